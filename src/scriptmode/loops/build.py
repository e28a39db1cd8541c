"""From a region's function to its kernel: every node is lowered, the results are stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from scriptmode.analysis.facts import TensorFact, contiguous_fact
from scriptmode.analysis.shapes import result_facts
from scriptmode.ir import types as T
from scriptmode.ir.graph import Graph, Node, Value
from scriptmode.loops import lowerings
from scriptmode.loops.expr import Expr, apply, argument, cast, const, forget
from scriptmode.loops.index import Affine
from scriptmode.loops.kernel import (
    Kernel,
    Lazy,
    NotLowered,
    Strided,
    elementwise,
    in_memory,
)
from scriptmode.loops.lowering import find
from scriptmode.loops.lowerings.pointwise import SUPPORTED
from scriptmode.loops.sharing import functional_kind, is_view, lie_alike
from scriptmode.loops.writes import Lowered, lower_write

assert lowerings.FAMILIES

NUMBERS: Mapping[T.Type, torch.dtype] = {
    T.INT: torch.int64, T.FLOAT: torch.float64, T.BOOL: torch.bool,
}  # fmt: skip
# conversions of tensors of one element to numbers
TO_NUMBER = frozenset(["tensor::bool", "tensor::int", "tensor::float"])


class Lowerer(Lowered):
    """Lowers nodes one after the other; ``values`` are what they have become."""

    def tensor_input(self, value: Value, fact: TensorFact) -> None:
        """A tensor in memory."""
        if fact.dtype not in SUPPORTED:
            raise NotLowered(f"kernels do not compute in {fact.dtype}")
        span = 1 + sum((n - 1) * s for n, s in zip(fact.shape, fact.strides, strict=True))
        buffer = self.builder.buffer(fact.dtype, span if fact.numel else 0, "input")
        self.builder.kernel.inputs.append(buffer)
        self.facts[value] = fact
        self.owners[buffer] = value
        self.values[value] = in_memory(Strided(buffer, fact.strides), fact.shape)

    def number_input(self, value: Value) -> None:
        """A number that the kernel is given."""
        name = f"n{len(self.builder.kernel.inputs)}"
        self.builder.kernel.inputs.append(name)
        self.values[value] = argument(name, NUMBERS[value.type])

    def node(self, node: Node) -> None:
        """Lower one node; raises NotLowered."""
        if node.kind == "prim::Constant":
            value = node.attributes["value"]
            if isinstance(value, torch.Tensor):
                raise NotLowered("a constant tensor")
            self.values[node.output] = value
            return
        if node.kind == "prim::ListConstruct":
            self.values[node.output] = [self.values[v] for v in node.inputs]
            return
        if node.kind in TO_NUMBER:
            self.values[node.output] = self._number(node)
            return
        if functional_kind(node.kind) is not None:
            lower_write(self, node)
            return
        lowering = find(node.kind)
        if lowering is None:
            raise NotLowered(f"{node.kind} has no loop form")
        facts = result_facts(node, self.facts)
        known = [f for f in facts if f is not None]
        if len(known) < len(facts) or any(f.dtype not in SUPPORTED for f in known):
            raise NotLowered("the shape of a result is not known")
        outs: Any = known[0] if len(known) == 1 else known
        results = lowering(self.builder, outs, *map(self.operand, node.inputs))
        results = [results] if len(node.outputs) == 1 else results
        for output, fact, result in zip(node.outputs, known, results, strict=True):
            assert result.shape == fact.shape and result.dtype == fact.dtype, (
                f"{node.kind}: {result.dtype}{result.shape} is not {fact.text}"
            )
            self.facts[output] = fact
            self.values[output] = self.builder.keep(result, len(output.uses))
        if is_view(node, self.facts):
            self.sources[node.output] = node.inputs[0]

    def _number(self, node: Node) -> Lazy:
        x = self.values[node.inputs[0]]
        if not isinstance(x, Lazy) or x.numel != 1:
            raise NotLowered("not one element")
        dtype = NUMBERS[node.output.type]
        if dtype == torch.int64 and x.dtype.is_floating_point:
            raise NotLowered("a float as an int is checked")
        element = x.at((Affine(),) * x.rank)
        if dtype == torch.bool and x.dtype != torch.bool:
            zero = const(0, x.dtype)
            return elementwise(lambda: apply("ne", element, zero, dtype=torch.bool), torch.bool, ())
        return elementwise(lambda: cast(element, dtype), dtype, ())

    def result(self, value: Value, fact: TensorFact | None) -> None:
        """Store a value of the region, to be read from there afterwards.

        It lies as the fact says, without one densely and in order.
        """
        found = self.values[value]
        if isinstance(found, Expr):
            number = found
            found = elementwise(lambda: number, number.dtype, ())
        if not isinstance(found, Lazy):
            raise NotLowered("a constant result")
        memory = found.memory
        fact = fact or contiguous_fact(found.dtype, found.shape)
        if memory is not None and _is_whole(memory, found, fact):
            memory.buffer.role = "output"
        else:
            out = self.builder.buffer(found.dtype, found.numel, "output")
            found = self.builder.store(found, out, fact.strides)
        assert found.memory is not None
        self.owners[found.memory.buffer.memory] = value
        self.values[value] = found


def _is_whole(memory: Strided, x: Lazy, fact: TensorFact) -> bool:
    """Whether a tensor fills a temporary buffer of its own, and lies as a fact says."""
    own = TensorFact(x.dtype, x.shape, memory.strides)
    at_start = memory.start == Affine() and memory.buffer.size == x.numel
    return memory.buffer.role == "temporary" and at_start and own.is_dense and lie_alike(own, fact)


def build_kernel(
    graph: Graph, inputs: Sequence[TensorFact | None], results: Sequence[TensorFact | None] = ()
) -> Kernel:
    """The kernel of a region's function; ``inputs`` are None for numbers.

    ``results`` say how new tensors lie in memory; None is densely and in order.
    """
    lowerer = Lowerer(graph.name)
    try:
        for param, fact in zip(graph.params, inputs, strict=True):
            if fact is None:
                lowerer.number_input(param)
            else:
                lowerer.tensor_input(param, fact)
        (result,) = graph.block.returns
        assert result.node is not None and result.node.kind == "prim::TupleConstruct"
        outputs = result.node.inputs
        wanted = dict(zip(outputs, results or [None] * len(outputs), strict=True))
        for node in graph.nodes:
            if node is not result.node:
                lowerer.node(node)
                for output in node.outputs:
                    if output in outputs:
                        lowerer.result(output, wanted[output])
        memories = [lowerer.values[output].memory for output in outputs]
        lowerer.builder.kernel.outputs = [memory.buffer.memory for memory in memories]
        return lowerer.builder.kernel
    finally:
        forget()
