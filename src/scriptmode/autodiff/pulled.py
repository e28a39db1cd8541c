"""Pull-backs of ops without rules, as functions that torch's tape can record again.

::

    %found: Tensor[] = prim::Call[callee='autodiff.pulled.0'](%x, %n, %d)

runs the op on ``%x`` and ``%n`` for torch's tape, and gives the cotangents of those of its inputs
that are differentiated by, ``%d`` being that of its result.  Under grad mode, and if what it gets
has a history, so has what it gives.
"""

from __future__ import annotations

from collections.abc import Sequence

from scriptmode.autodiff import helpers
from scriptmode.autodiff.activity import PULLED
from scriptmode.autodiff.dual import MAYBE, TENSORS
from scriptmode.autodiff.recorded import RECORD, RECORD_LIST, RECORD_MAYBE
from scriptmode.autodiff.rule import share
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import YIELD, Graph, Node, Value, copy_node
from scriptmode.ops.aten import schema_of

COTANGENTS = T.ListType([MAYBE])
_RECORD_OF = {T.TENSOR: RECORD, MAYBE: RECORD_MAYBE, TENSORS: RECORD_LIST}
_NAMES: dict[object, str] = {}
_COUNTS: dict[str, int | None] = {}  # of results by function; None where lists decide


def _cotangent_type(output: Value) -> T.Type:
    """The type of the cotangent of an output."""
    return COTANGENTS if output.type == TENSORS else MAYBE


def count_of(node: Node) -> int | None:
    """How many tensors a call of such a function gives; None if that is only known in a run."""
    return _COUNTS.get(str(node.attributes.get("callee")))


def pulled(node: Node, active: Sequence[int]) -> str:
    """The name of the function for an op, or for a call of such a function."""
    types = tuple(v.type for v in node.inputs)
    key = (node.kind, node.attributes.get("callee"), types, tuple(active))
    name = _NAMES.get(key)
    if name is None:
        name = _NAMES[key] = f"{PULLED}{len(_NAMES)}"
        is_known = all(types[i] != TENSORS for i in active)
        _COUNTS[name] = len(active) if is_known else None
        share(_function(name, node, active))
    return name


def _function(name: str, node: Node, active: Sequence[int]) -> Graph:
    graph = Graph(name)
    graph.is_shared = True
    builder = Builder(graph.block, schema_of)
    builder.op_node("torch::guard_grad_mode", [])
    mode = builder.op("torch::is_grad_enabled")
    inputs = [graph.add_param(v.type, f"x{i}") for i, v in enumerate(node.inputs)]
    recorded = {i: builder.call(_RECORD_OF[inputs[i].type], [inputs[i]], inputs[i].type)
                for i in active}  # fmt: skip
    builder.op_node("torch::set_grad_enabled", [builder.constant(True)])
    given = [recorded.get(i, value) for i, value in enumerate(inputs)]
    op = copy_node(node, dict(zip(node.inputs, given, strict=True)))
    for index, value in enumerate(given):
        op.set_input(index, value)  # one value may be two inputs
    graph.block.append(op)
    builder.op_node("torch::set_grad_enabled", [mode])
    outs, cotangents = builder.list([], T.TENSOR), builder.list([], MAYBE)
    for number, output in enumerate(op.outputs):
        if output.type not in (T.TENSOR, TENSORS):
            continue
        count = count_of(node)
        if count is not None:  # each has a cotangent of its own
            for index in range(count):
                part = builder.op("list::getitem", output, builder.constant(index))
                builder.op_node("list::append", [outs, part])
                cotangent = graph.add_param(MAYBE, f"d{number}.{index}")
                builder.op_node("list::append", [cotangents, cotangent])
            continue
        cotangent = graph.add_param(_cotangent_type(output), f"d{number}")
        if output.type == TENSORS:
            outs = builder.op("list::concat", outs, output)
            cotangents = builder.op("list::concat", cotangents, cotangent)
            continue
        builder.op_node("list::append", [outs, output])
        builder.op_node("list::append", [cotangents, cotangent])
    leaves = builder.list([], MAYBE)
    for value in recorded.values():
        if value.type == TENSORS:
            _splice(builder, helpers.append_all_graph(), [leaves, value])
        else:
            builder.op_node("list::append", [leaves, value])
    found = _splice(builder, helpers.pull_graph(), [outs, cotangents, leaves])
    result = _splice(builder, helpers.filled_leaves_graph(), [found, leaves])
    graph.return_type = result.type
    graph.block.terminate(YIELD, [result])
    return graph


def _splice(builder: Builder, body: Graph, inputs: Sequence[Value]) -> Value:
    mapping = dict(zip(body.params, inputs, strict=True))
    for node in body.nodes:
        builder.block.append(copy_node(node, mapping))
    (result,) = body.block.returns
    return mapping.get(result, result)
