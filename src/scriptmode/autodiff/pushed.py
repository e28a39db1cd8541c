"""Ops without rules for tangents: torch's own forward mode pushes the op alone.

::

    %found: Tuple[Tensor, Tensor] = prim::Call[callee='autodiff.pushed.0'](%x, %n, %dx)

runs the op on a dual tensor of ``%x`` and ``%dx`` of torch's, and gives the result and its tangent.
Whoever runs the program enters a level of torch's forward mode around it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from scriptmode.autodiff.dual import MAYBE, TENSORS
from scriptmode.autodiff.problems import NotDifferentiable
from scriptmode.autodiff.rule import compiled, share
from scriptmode.autodiff.rules.common import spread
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import YIELD, Graph, Node, Value, copy_node
from scriptmode.ops.aten import schema_of

PUSHED = "autodiff.pushed."  # begins the names of such functions
_NAMES: dict[object, str] = {}


def dual(x: Tensor, tangent: Tensor) -> Tensor:
    """A dual tensor of torch's; one of integers has no tangent."""
    if not (x.dtype.is_floating_point or x.dtype.is_complex):
        return x
    made: Tensor = torch.ops.aten._make_dual(x, spread(tangent, x.shape, x.dtype), 0)
    return made


def dual_maybe(x: Tensor | None, tangent: Tensor | None) -> Tensor | None:
    """``dual`` of what may be missing."""
    return x if x is None or tangent is None else dual(x, tangent)


def dual_list(tensors: list[Tensor], tangents: list[Tensor]) -> list[Tensor]:
    """``dual`` of each."""
    return [dual(tensors[i], tangents[i]) for i in range(len(tensors))]


def plain(x: Tensor) -> Tensor:
    """A tensor without its tangent."""
    found: Tensor = torch.ops.aten._unpack_dual(x, 0)[0]
    return found


def tangent_of(x: Tensor) -> Tensor:
    """The tangent of a tensor; zeros where it has none."""
    found: Tensor = torch.ops.aten._unpack_dual(x, 0)[1]
    # of what has no tangent it is the undefined tensor, which has no dtype
    if found.dtype == x.dtype and not torch.ops.aten._is_zerotensor(found):
        return found
    return torch.zeros_like(plain(x))


def plain_list(tensors: list[Tensor]) -> list[Tensor]:
    """``plain`` of each."""
    return [plain(x) for x in tensors]


def tangents_of(tensors: list[Tensor]) -> list[Tensor]:
    """``tangent_of`` each."""
    return [tangent_of(x) for x in tensors]


_DUAL = {T.TENSOR: dual, MAYBE: dual_maybe, TENSORS: dual_list}
_PLAIN = {T.TENSOR: plain, TENSORS: plain_list}
_TANGENT = {T.TENSOR: tangent_of, TENSORS: tangents_of}


def pushed(node: Node, kind: str, active: Sequence[int], outputs: Sequence[int]) -> str:
    """The name of the function for an op, ``kind`` with the operands of ``node``.

    It takes the operands and the tangents of the ``active`` ones, and gives the results and the
    tangents of those in ``outputs``.  Raises NotDifferentiable for operands that are no tensors.
    """
    types = tuple(v.type for v in node.inputs)
    key = (kind, types, tuple(v.type for v in node.outputs), tuple(active), tuple(outputs))
    name = _NAMES.get(key)
    if name is None:
        if any(types[i] not in _DUAL for i in active):
            raise NotDifferentiable(f"{kind} has no rule for tangents", node.span)
        if any(node.outputs[i].type not in _TANGENT for i in outputs):
            raise NotDifferentiable(f"{kind} has no rule for tangents", node.span)
        name = _NAMES[key] = f"{PUSHED}{len(_NAMES)}"
        share(_function(name, node, kind, active, outputs))
    return name


def _function(
    name: str, node: Node, kind: str, active: Sequence[int], outputs: Sequence[int]
) -> Graph:
    graph = Graph(name)
    graph.is_shared = True
    builder = Builder(graph.block, schema_of)
    inputs = [graph.add_param(v.type, f"x{i}") for i, v in enumerate(node.inputs)]
    for index in active:
        tangent = graph.add_param(inputs[index].type, f"d{index}")
        function = compiled(_DUAL[tangent.type], (tangent.type, tangent.type))
        inputs[index] = _splice(builder, function, [inputs[index], tangent])
    op = builder.node(kind, inputs, [v.type for v in node.outputs], schema=schema_of(kind))
    results, tangents = [], []
    for output in op.outputs:
        strip = _PLAIN.get(output.type)
        if strip is not None:
            output = _splice(builder, compiled(strip, (output.type,)), [output])
        results.append(output)
    for index in outputs:
        output = op.outputs[index]
        tangents.append(_splice(builder, compiled(_TANGENT[output.type], (output.type,)), [output]))
    both = builder.tuple([*results, *tangents])
    graph.return_type = both.type
    graph.block.terminate(YIELD, [both])
    return graph


def _splice(builder: Builder, body: Graph, inputs: Sequence[Value]) -> Value:
    mapping = dict(zip(body.params, inputs, strict=True))
    for node in body.nodes:
        builder.block.append(copy_node(node, mapping))
    (result,) = body.block.returns
    return mapping.get(result, result)
