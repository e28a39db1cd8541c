"""Lowering of ATen's ops, and of the ops that other libraries register: calls of their thunks.

An op whose kernel is a Python function, or which libtorch's interfaces cannot call, is called
through the host table, as Python would call it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from llvmlite import ir

from scriptmode.abi import libtorch
from scriptmode.abi.convention import I64, PTR, ctx_field
from scriptmode.codegen.function import FunctionEmitter
from scriptmode.codegen.lowering import DEFINED, lower
from scriptmode.codegen.python_calls import call_python
from scriptmode.codegen.unit import NULL
from scriptmode.ir.graph import Node
from scriptmode.ir.schema import OpSchema
from scriptmode.ops.aten import aten_schema, overload


@lower("aten::*")
def emit_thunk_call(f: FunctionEmitter, node: Node, *arguments: ir.Value) -> object:
    """Call the op's thunk, which writes its results straight into their slots."""
    schema = node.schema
    assert schema is not None
    if is_left_to_python(schema):
        result = call_python(f, node, _in_order(schema))
        if len(node.outputs) <= 1:
            return result if node.outputs else None
        return [f.b.extract_value(result, i) for i in range(len(node.outputs))]
    f.checked_call(f.unit.thunk(schema), arguments, node.outputs)
    issue_warnings(f, node)
    return DEFINED


def is_left_to_python(schema: OpSchema) -> bool:
    """Whether no native code can call an op, so that Python does."""
    route = libtorch.route(schema)
    return route.name is None or route.in_python


@functools.cache
def _in_order(schema: OpSchema) -> Callable[..., Any]:
    """The registered op as a function that takes all arguments by position."""
    op = overload(schema.kind)
    names = [a.name for a in schema.arguments if a.kwarg_only]
    if not names:
        return op  # type: ignore[no-any-return]

    def call(*arguments: Any) -> Any:
        split = len(arguments) - len(names)
        return op(*arguments[:split], **dict(zip(names, arguments[split:], strict=True)))

    return call


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
