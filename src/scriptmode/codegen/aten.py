"""Lowering of ATen's ops, and of the ops that other libraries register: calls of their thunks."""

from __future__ import annotations

from llvmlite import ir

from scriptmode.abi.convention import I64, PTR, ctx_field
from scriptmode.codegen.function import FunctionEmitter
from scriptmode.codegen.lowering import DEFINED, lower
from scriptmode.codegen.unit import NULL
from scriptmode.ir.graph import Node
from scriptmode.ops.aten import aten_schema


@lower("aten::*")
def emit_thunk_call(f: FunctionEmitter, node: Node, *arguments: ir.Value) -> object:
    """Call the op's thunk, which writes its results straight into their slots."""
    schema = node.schema
    assert schema is not None
    f.checked_call(f.unit.thunk(schema), arguments, node.outputs)
    issue_warnings(f, node)
    return DEFINED


def issue_warnings(f: FunctionEmitter, node: Node) -> None:
    """What libtorch has warned of inside the op becomes a warning of this place, or an error."""
    noted = f.b.load(ctx_field(f.b, f.ctx, "op_warnings"), typ=PTR)
    with f.unlikely(f.b.icmp_unsigned("!=", noted, NULL)):
        location = ir.Constant(I64, f.unit.location(node.span))
        f.check(f.host_call("op_warnings", [location]))


def thunk_result(
    f: FunctionEmitter, kind: str, arguments: list[ir.Value], result: ir.Type
) -> ir.Value:
    """Call the thunk of an op whose only result is not counted."""
    schema = aten_schema(kind)
    assert schema is not None, kind
    place = f.temporary(result)
    f.check(f.b.call(f.unit.thunk(schema), [f.ctx, *arguments, place]))
    return f.b.load(place, typ=result)
