"""Meanings of the structural ops, as ``ops.prim`` lists them.

Each is a function of the interpreter, the node and the values of its inputs; it returns the values
of the outputs.  ``prim::If``, ``prim::Loop`` and the terminators are in the evaluator.
"""

from __future__ import annotations

import functools
import types
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch

from scriptmode.interp.values import empty_dict, has_type
from scriptmode.ir import types as T
from scriptmode.ir.cells import delete_cell, is_bound, read_cell
from scriptmode.ir.exceptions import make_exception
from scriptmode.ir.graph import Node, Program
from scriptmode.ir.instances import has_slot, missing_attribute, read_slot
from scriptmode.support.diagnostics import Diagnostic, InternalError
from scriptmode.support.futures import Future


class Host(Protocol):
    """What a structural op may ask of the interpreter."""

    program: Program
    ownership: dict[str, int]

    def run(self, name: str, *args: Any) -> Any:
        """Run a function of the program."""


_UNBOUND = object()
Meaning = Callable[[Host, Node, Sequence[Any]], Sequence[Any]]


def _constant(host: Host, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
    return [node.attributes["value"]]


def _list(host: Host, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
    return [list(inputs)]


def _tuple(host: Host, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
    t = node.output.type
    if t == T.SIZE:
        return [torch.Size(inputs)]
    if isinstance(t, T.NamedTupleType) and t.python_class is not None:
        if t.python_class.__module__ == "torch.return_types":
            return [t.python_class(inputs)]  # a C structure sequence takes one iterable
        return [t.python_class(*inputs)]
    return [tuple(inputs)]


def _tuple_index(host: Host, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
    return [inputs[0][node.attributes["index"]]]


def _dict(host: Host, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
    made = empty_dict(node.output.type)
    for key, value in zip(inputs[::2], inputs[1::2], strict=True):
        made[key] = value
    return [made]


def _set(host: Host, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
    made: set[Any] = set()
    for value in inputs:
        made.add(value)
    return [made]


def _global(host: Host, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
    return [host.program.globals[node.attributes["name"]]]


def _create_object(host: Host, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
    t = node.output.type
    assert isinstance(t, T.ClassType)
    cls: Any = t.python_class
    if cls is None:
        return [{}]
    is_builtin = issubclass(
        cls, BaseException
    )  # the program itself calls a `__new__` of the user's
    return [cls.__new__(cls) if is_builtin else object.__new__(cls)]


def _get_attribute(host: Host, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
    owner, name = inputs[0], node.attributes["name"]
    t = node.inputs[0].type
    if isinstance(t, T.ClassType) and name in t.late:
        value = getattr(owner, name, _UNBOUND)
        if value is _UNBOUND:
            return [None]
        return [(value,) if T.is_optional(t.late[name]) else value]
    if T.is_instance_type(node.inputs[0].type):
        return [read_slot(owner, name)]
    return [owner[name] if isinstance(owner, dict) else getattr(owner, name)]


def _set_attribute(host: Host, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
    owner, name = inputs[0], node.attributes["name"]
    if isinstance(owner, dict):
        owner[name] = inputs[1]
        return []
    t = node.inputs[0].type
    if isinstance(t, T.ClassType) and name in t.late:
        _set_late(owner, name, inputs[1], is_wrapped=T.is_optional(t.late[name]))
    elif T.is_instance_type(node.inputs[0].type):
        object.__setattr__(owner, name, inputs[1])
    else:
        setattr(owner, name, inputs[1])
    return []


def _cell(host: Host, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
    return [types.CellType(*inputs)]


def _get_cell(host: Host, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
    return [read_cell(inputs[0], node.attributes["name"], node.attributes.get("is_free", False))]


def _set_cell(host: Host, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
    inputs[0].cell_contents = inputs[1]
    return []


def _delete_cell(host: Host, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
    delete_cell(inputs[0], node.attributes.get("name"), node.attributes.get("is_free", False))
    return []


def _set_late(owner: Any, name: str, value: Any, *, is_wrapped: bool) -> None:
    """Write an attribute that may be unbound: None unbinds it."""
    if value is not None:
        setattr(owner, name, value[0] if is_wrapped else value)
    elif hasattr(owner, name):
        delattr(owner, name)


def _has_attribute(host: Host, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
    return [has_slot(inputs[0], node.attributes["name"])]


def _delete_attribute(host: Host, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
    owner, name = inputs[0], node.attributes["name"]
    if not has_slot(owner, name):
        raise AttributeError(missing_attribute(type(owner).__name__, name))
    if isinstance(owner, dict):
        del owner[name]
    else:
        object.__delattr__(owner, name)
    return []


def _call(host: Host, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
    return [host.run(node.attributes["callee"], *inputs)]


def _region(host: Host, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
    results = host.run(node.attributes["callee"], *inputs)
    return [
        r.contiguous() if isinstance(o.type, T.ArrayType) else r
        for r, o in zip(results, node.outputs, strict=True)
    ]


def _to_array(host: Host, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
    return [inputs[0].clone(memory_format=torch.contiguous_format)]


def _fork(host: Host, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
    return [Future.run(functools.partial(host.run, node.attributes["callee"], *inputs))]


def _defer(host: Host, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
    return [Future(functools.partial(host.run, node.attributes["callee"], *inputs))]


def _isinstance(host: Host, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
    if node.attributes.get("exact"):
        classes = [t.python_class for t in node.attributes["types"]]
        return [any(type(inputs[0]) is c for c in classes)]
    return [any(has_type(inputs[0], t) for t in node.attributes["types"])]


def _unchecked_cast(host: Host, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
    if not has_type(inputs[0], node.output.type):
        message = f"{inputs[0]!r} is not the {node.output.type} that was proved"
        raise InternalError(Diagnostic("SM9101", message, node.span))
    return inputs


def _checked_cast(host: Host, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
    if not has_type(inputs[0], node.output.type):
        raise TypeError(f"expected {node.output.type}, got {type(inputs[0]).__name__}")
    return inputs


def _raise(host: Host, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
    raise node.attributes["exception"](*inputs)


def _exception(host: Host, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
    t = node.output.type
    assert isinstance(t, T.ClassType) and t.python_class is not None
    return [make_exception(t.python_class, inputs[0])]


def _raise_object(host: Host, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
    raise inputs[0]


def _reraise(host: Host, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
    raise


def _print(host: Host, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
    attributes = node.attributes
    print(*inputs, sep=attributes.get("sep", " "), end=attributes.get("end", "\n"))
    return []


def _warn(host: Host, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
    category = node.attributes.get("category", UserWarning)
    place = node.span
    warnings.warn_explicit(str(inputs[0]), category, place.file, place.line)
    return []


def _python_call(host: Host, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
    result = node.attributes["function"](*inputs)
    return [result] if node.outputs else []


def _count_ownership(host: Host, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
    host.ownership[node.kind] = host.ownership.get(node.kind, 0) + 1
    return inputs[: len(node.outputs)]


def _of(function: Callable[..., Any]) -> Meaning:
    return lambda host, node, inputs: [function(*inputs)]


MEANINGS: Mapping[str, Meaning] = {
    "prim::Constant": _constant,
    "prim::ListConstruct": _list,
    "prim::VarTupleConstruct": _tuple,
    "prim::TupleConstruct": _tuple,
    "prim::TupleIndex": _tuple_index,
    "prim::DictConstruct": _dict,
    "prim::SetConstruct": _set,
    "prim::Global": _global,
    "prim::GetAttr": _get_attribute,
    "prim::SetAttr": _set_attribute,
    "prim::CellConstruct": _cell,
    "prim::CellGet": _get_cell,
    "prim::CellRead": _of(lambda cell: cell.cell_contents),
    "prim::CellIsBound": _of(is_bound),
    "prim::CellSet": _set_cell,
    "prim::CellDelete": _delete_cell,
    "prim::CreateObject": _create_object,
    "prim::HasAttr": _has_attribute,
    "prim::DelAttr": _delete_attribute,
    "prim::Call": _call,
    "prim::Region": _region,
    "prim::StackArrays": lambda host, node, inputs: [torch.stack(inputs[0])],
    "prim::ToArray": _to_array,
    "prim::ToTensor": _to_array,
    "prim::Fork": _fork,
    "prim::Defer": _defer,
    "prim::Future": _of(Future.of),
    "prim::Wait": _of(Future.wait),
    "prim::IsDone": _of(Future.done),
    "prim::is_none": _of(lambda x: x is None),
    "prim::isinstance": _isinstance,
    "prim::unchecked_cast": _unchecked_cast,
    "prim::checked_cast": _checked_cast,
    "prim::str": _of(str),
    "prim::repr": _of(repr),
    "prim::format": _of(format),
    "prim::eq": _of(lambda a, b: bool(a == b)),
    "prim::is": _of(lambda a, b: a is b),
    "prim::hash": _of(hash),
    "prim::ExceptionConstruct": _exception,
    "prim::class_name": _of(lambda value: type(value).__name__),
    "prim::raise_object": _raise_object,
    "prim::reraise": _reraise,
    "prim::raise": _raise,
    "prim::print": _print,
    "prim::warn": _warn,
    "prim::python_call": _python_call,
    "prim::retain": _count_ownership,
    "prim::release": _count_ownership,
}
