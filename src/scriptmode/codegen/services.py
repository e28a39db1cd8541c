"""Lowerings of exceptions and of the services of the host table: print, warnings, Python calls."""

from __future__ import annotations

from llvmlite import ir

from scriptmode.abi.convention import I32, I64, PTR
from scriptmode.codegen.containers import lent_list
from scriptmode.codegen.function import FunctionEmitter
from scriptmode.codegen.lowering import lower
from scriptmode.codegen.python_calls import call_python
from scriptmode.codegen.unit import NULL
from scriptmode.codegen.values import Count
from scriptmode.ir import types as T
from scriptmode.ir.graph import Node


@lower("prim::raise")
def prim_raise(f: FunctionEmitter, node: Node, *message: ir.Value) -> None:
    """Raise an exception of a constant class."""
    if message:
        f.retain(message[0], T.STR)
    f.raise_(node.attributes["exception"], message[0] if message else NULL)


@lower("prim::print")
def prim_print(f: FunctionEmitter, node: Node, *texts: ir.Value) -> None:
    """Hand the joined text to the host."""
    parts: list[ir.Value] = []
    for index, text in enumerate(texts):
        if index:
            parts.append(f.unit.text(node.attributes.get("sep", " ")))
        parts.append(text)
    parts.append(f.unit.text(node.attributes.get("end", "\n")))
    pieces = lent_list(f, PTR, parts)
    with f.owned_slot(Count.OBJECT) as slot:
        types = [PTR, PTR, PTR, PTR]
        join = f.unit.native("sm_str_join", I32, types)
        f.check(f.b.call(join, [f.ctx, f.unit.text(""), pieces, slot.address]))
        f.check(f.host_call("print", [f.b.load(slot.address, typ=PTR)]))


@lower("prim::warn")
def prim_warn(f: FunctionEmitter, node: Node, message: ir.Value) -> None:
    """A Python warning at the user's line."""
    category = f.b.load(f.unit.cell(node.attributes.get("category", UserWarning)), typ=PTR)
    location = ir.Constant(I64, f.unit.location(node.span))
    level = ir.Constant(I64, node.attributes.get("stacklevel", 1))
    f.check(f.host_call("warn", [category, message, location, level]))


@lower("prim::python_call", raw=True)
def python_call(f: FunctionEmitter, node: Node) -> object:
    """Call a Python function through the host."""
    result = call_python(f, node, node.attributes["function"])
    return result if node.outputs else None
