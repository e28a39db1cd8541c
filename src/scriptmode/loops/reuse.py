"""Let a region write its result where an argument lies that nobody needs any more.

Before, with all tensors float32[1, 64, 56, 56]::

    %y: Tensor = aten::conv2d(%x, %w, %none, %s, %p, %s, %one)
    %z: Tensor = prim::Region[callee='f.region', ...](%y)

After::

    %z: Tensor = prim::Region[callee='f.region', ..., reuses=((0, 0),)](%y)

``reuses`` are pairs of a result's and an argument's number.  The argument is a new tensor of the
same dtype, sizes and strides, and the region its only user.  The kernel must read an element of it
before it writes that place, and not later: ``may_reuse(plan, pair)`` tells.
"""

from __future__ import annotations

from scriptmode.ir import types as T
from scriptmode.ir.graph import Graph, Node, Program, Value
from scriptmode.loops.expr import Buffer, loads
from scriptmode.loops.kernel import Stage
from scriptmode.loops.schedule import Schedule
from scriptmode.loops.sharing import VIEWS

REUSES = "reuses"

# ops that always give a new tensor
_NEW = frozenset(
    [
        "aten::conv1d", "aten::conv2d", "aten::conv3d", "aten::linear", "aten::addmm", "aten::mm",
        "aten::bmm", "aten::max_pool2d", "aten::avg_pool2d", "aten::adaptive_avg_pool2d",
    ]
)  # fmt: skip


def reuse_arguments(graph: Graph, program: Program) -> None:
    """Note for all regions which results may lie where an argument does."""
    for node in graph.find_all("prim::Region"):
        pairs: list[tuple[int, int]] = []
        facts, results = node.attributes["facts"], node.attributes["results"]
        for result, output in enumerate(node.outputs):
            if output.type != T.TENSOR:
                continue
            for argument, value in enumerate(node.inputs):
                is_taken = any(argument == other for _, other in pairs)
                if (
                    results[result] == facts[argument]
                    and _is_free(node, value, program)
                    and not is_taken
                ):
                    pairs.append((result, argument))
                    break
        if pairs:
            node.attributes[REUSES] = tuple(pairs)


def _is_free(node: Node, value: Value, program: Program) -> bool:
    """Whether a new tensor is used by a region of its block only, and once."""
    made = value.node
    if made is None or made.block is not node.block or len(value.uses) != 1:
        return False
    return value.type == T.TENSOR and (made.kind in _NEW or _is_new(made, value, program))


def _is_new(made: Node, value: Value, program: Program) -> bool:
    """Whether a value is a region's result, and a new tensor even when its ops run."""
    if made.kind != "prim::Region":
        return False
    results = program.functions[made.attributes["callee"]].block.terminator.inputs[0].node
    assert results is not None, "a region's function returns a tuple"
    source = results.inputs[made.outputs.index(value)].node
    return source is not None and source.kind not in VIEWS


def may_reuse(plan: Schedule, pair: tuple[int, int]) -> bool:
    """Whether a kernel has read an element of an argument before it writes the result there."""
    result, argument = plan.kernel.outputs[pair[0]], plan.kernel.inputs[pair[1]]
    if not isinstance(argument, Buffer) or argument in plan.kernel.writes or plan.kernel.checks:
        return False
    is_written = False
    for group in plan.groups:
        for bundle in group.bundles:
            for stage in bundle.stages:
                read = list(loads(stage.value))
                met = [r.offset for r in read if r.buffer.memory is argument.memory]
                if met and is_written:
                    return False
                if stage.out.memory is not result.memory:
                    if met and any(s.out.memory is result.memory for s in bundle.stages):
                        return False
                    continue
                others = [s for b in group.bundles for s in b.stages if s is not stage]
                if group.vars and any(_reads(s, argument) for s in others):
                    return False
                if stage.fold is not None or any(offset != stage.offset for offset in met):
                    return False
                is_written = True
    return True


def _reads(stage: Stage, buffer: Buffer) -> bool:
    return any(r.buffer.memory is buffer.memory for r in loads(stage.value))
