"""Lowerings of exceptions and of the services of the host table: print, warnings, Python calls."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from llvmlite import ir

from scriptmode.abi.convention import I32, I64, PTR, TEXT_NAME
from scriptmode.codegen.containers import lent_list
from scriptmode.codegen.function import FunctionEmitter
from scriptmode.codegen.lowering import DEFINED, lower
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


@lower("prim::ExceptionConstruct")
def exception_construct(f: FunctionEmitter, node: Node, args: ir.Value) -> object:
    """A new exception object."""
    t = node.output.type
    assert isinstance(t, T.ClassType)
    cls = f.b.load(f.unit.cell(t.python_class), typ=PTR)
    f.native_call("sm_exception_make", [f.unit.descriptor(t), cls, args], node.outputs)
    return DEFINED


@lower("prim::class_name", raw=True)
def class_name(f: FunctionEmitter, node: Node) -> object:
    """The name of an exception's class."""
    which = ir.Constant(I64, TEXT_NAME)
    f.native_call("sm_exception_text", [f.values[node.inputs[0]], which], node.outputs)
    return DEFINED


@lower("prim::raise_object", raw=True)
def raise_object(f: FunctionEmitter, node: Node) -> None:
    """Raise an exception object."""
    (exception,) = node.inputs
    raising = f.unit.native("sm_raise_object", I32, [PTR, PTR])
    f.b.call(raising, [f.ctx, f.values[exception]])
    f.fail()


@lower("prim::reraise", raw=True)
def reraise(f: FunctionEmitter, node: Node) -> None:
    """A bare ``raise``, or the end of a handler that does not handle the exception."""
    f.b.call(f.unit.native("sm_reraise", I32, [PTR]), [f.ctx])
    f.fail()


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


# what torch's Python class alone can say
_OF_TENSOR: Mapping[str, Callable[[Any], object]] = {
    "tensor::grad": operator.attrgetter("grad"),
    "tensor::tolist": operator.methodcaller("tolist"),
    "tensor::type_name": operator.methodcaller("type"),
}


@lower(*_OF_TENSOR, raw=True)
def tensor_in_python(f: FunctionEmitter, node: Node) -> object:
    """What Python is asked about a tensor."""
    return call_python(f, node, _OF_TENSOR[node.kind])
