"""Writes in place inside a kernel: each makes a new version of the memory.

::

    p.mul_(2).add_(q)        store w1 <- p * 2      (w1 is p's memory from here on)
                             store w2 <- w1 + q

What shares the memory reads the newest version from then on; what was not computed yet and reads an
older one is computed first, into memory of its own.  A value that depends on other elements of the
same memory than the one it is written to is refused.
"""

from __future__ import annotations

from typing import Any

from scriptmode.analysis.facts import TensorFact, contiguous_fact
from scriptmode.analysis.shapes import functional_fact
from scriptmode.ir import types as T
from scriptmode.ir.graph import Node, Value
from scriptmode.loops.expr import Buffer, loads
from scriptmode.loops.index import Affine, linear
from scriptmode.loops.kernel import (
    KernelBuilder,
    Lazy,
    NotLowered,
    Strided,
    broadcast,
    elementwise,
    fitting,
    in_memory,
)
from scriptmode.loops.lowering import find
from scriptmode.loops.lowerings.pointwise import SUPPORTED, converted
from scriptmode.loops.sharing import functional_kind, has_own_elements, may_hold
from scriptmode.ops.aten import aten_schema


class Lowered:
    """What the nodes of a region have become so far."""

    def __init__(self, name: str) -> None:
        self.builder = KernelBuilder(name)
        self.values: dict[Value, Any] = {}
        self.facts: dict[Value, TensorFact] = {}
        self.sources: dict[Value, Value] = {}  # what a view is a view of
        self.owners: dict[Buffer, Value] = {}  # whose memory a buffer is

    def operand(self, value: Value) -> Any:
        """What a lowering is given: a number that is taken from a tensor as an expression."""
        found = self.values[value]
        return found.at(()) if isinstance(found, Lazy) and value.type != T.TENSOR else found

    def root(self, value: Value) -> Value:
        """What a value is, or is a view of."""
        while value in self.sources:
            value = self.sources[value]
        return value


def lower_write(lowered: Lowered, node: Node) -> None:
    """Lower an op that writes its first argument in place; raises NotLowered."""
    _Writer(lowered, node).run()


class _Writer:
    """Lowers an op that writes its first argument in place.

    The memory becomes a new version, and so do all that share it.  What is not computed yet and
    reads the old version is computed first.
    """

    def __init__(self, lowerer: Lowered, node: Node) -> None:
        self.lowerer, self.node = lowerer, node
        self.builder = lowerer.builder
        self.target = node.inputs[0]
        self.fact = lowerer.facts[self.target]

    def run(self) -> None:
        """Raises NotLowered before anything is written."""
        lowerer, target = self.lowerer, self.target
        if not has_own_elements(self.fact):
            raise NotLowered("elements that share a place")
        memory = self._memory()
        value = self._value()
        if self._reads_elsewhere(value, memory):
            self._settle(memory.buffer.memory)
            value = self._value()
            if self._reads_elsewhere(value, memory):
                raise NotLowered("what is written overlaps with what is read")
        self._settle(memory.buffer.memory)
        version = self.builder.version(memory.buffer)
        self.builder.store(value, version, memory.strides, memory.start)
        self._go_on_with(version)
        (result,) = self.node.outputs
        lowerer.facts[result], lowerer.sources[result] = self.fact, target
        lowerer.values[result] = lowerer.values[target]

    def _memory(self) -> Strided:
        """Where the target lies, in memory of its own."""
        lowerer, target = self.lowerer, self.target
        x, root = lowerer.values[target], lowerer.root(target)
        assert isinstance(x, Lazy), "only tensors are written"
        memory = x.memory
        if memory is not None and lowerer.owners.get(memory.buffer.memory) is root:
            return memory
        if root is not target or any(
            v is not target and lowerer.root(v) is root for v in lowerer.values
        ):
            raise NotLowered("a view of what is not in memory")
        x = lowerer.values[target] = self.builder.copy(x)
        assert x.memory is not None
        lowerer.owners[x.memory.buffer] = target
        return x.memory

    def _value(self) -> Lazy:
        """What is written."""
        lowerer, kind, fact = self.lowerer, functional_kind(self.node.kind), self.fact
        arguments = [lowerer.operand(v) for v in self.node.inputs]
        if kind == "aten::zero_":
            return constant_of(fact, 0)
        if kind == "aten::fill_.Scalar":
            return constant_of(fact, arguments[1])
        if kind in ("aten::copy_", "aten::fill_.Tensor"):
            source = arguments[1]
            if broadcast(source.shape, fact.shape) != fact.shape:
                raise NotLowered("a shape that does not fit")
            return self._converted(elementwise(lambda x: x, source.dtype, fact.shape, source))
        assert kind is not None
        result = functional_fact(kind, aten_schema(kind), self.node.inputs, lowerer.facts)
        lowering = find(kind)
        if result is None or result.shape != fact.shape:
            raise NotLowered("a result that does not fit")
        if result.dtype not in SUPPORTED or not may_hold(result.dtype, fact.dtype):
            raise NotLowered("a dtype that does not fit")
        assert lowering is not None
        return self._converted(lowering(self.builder, result, *arguments))

    def _converted(self, value: Lazy) -> Lazy:
        return converted(contiguous_fact(self.fact.dtype, self.fact.shape), value)

    def _reads_elsewhere(self, value: Lazy, memory: Strided) -> bool:
        """Whether an element depends on others of the memory than the one it is written to."""
        indices = tuple(map(Affine.of, self.builder.variables(value.shape)))
        place = linear(indices, memory.strides) + memory.start
        return any(
            read.offset != place
            for read in loads(value.at(indices))
            if read.buffer.memory is memory.buffer.memory
        )

    def _settle(self, memory: Buffer) -> None:
        """Compute what reads the memory and does not share it."""
        lowerer, done = self.lowerer, dict[int, Lazy]()
        for value, x in list(lowerer.values.items()):
            if not isinstance(x, Lazy) or not _mentions(self.builder, x, memory):
                continue
            if lowerer.root(value) is lowerer.owners.get(memory):
                if x.memory is None:
                    raise NotLowered("a view of what is not in memory")
                continue
            if id(x) not in done:
                done[id(x)] = self.builder.copy(x)
            lowerer.values[value] = done[id(x)]

    def _go_on_with(self, version: Buffer) -> None:
        """Let all that share the memory read the new version, in lists too."""
        for value, x in list(self.lowerer.values.items()):
            if isinstance(x, Lazy) and x.memory is not None:
                memory = x.memory
                if memory.buffer.memory is version.memory:
                    new = Strided(version, memory.strides, memory.start)
                    self.lowerer.values[value] = in_memory(new, x.shape)
        for value, x in list(self.lowerer.values.items()):
            if isinstance(x, list) and value.node is not None:
                self.lowerer.values[value] = [self.lowerer.values[v] for v in value.node.inputs]


def _mentions(builder: KernelBuilder, x: Lazy, memory: Buffer) -> bool:
    """Whether a tensor's elements depend on what is in a buffer."""
    if x.memory is not None:
        return x.memory.buffer.memory is memory
    indices = tuple(map(Affine.of, builder.variables(x.shape)))
    return any(read.buffer.memory is memory for read in loads(x.at(indices)))


def constant_of(fact: TensorFact, value: Any) -> Lazy:
    """The same number everywhere."""
    element = fitting(value, fact.dtype)
    return Lazy(fact.shape, fact.dtype, lambda indices: element)
