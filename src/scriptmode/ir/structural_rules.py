"""Typing rules of the structural ops: one generator of complaints for each kind.

The verifier asks ``RULES[node.kind](node, program)`` for every node whose kind is in ``prim::`` and
which is neither control flow nor a terminator.  ``program`` is None where a graph is looked at on
its own; calls and captured objects are then not followed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from scriptmode.ir import types as T
from scriptmode.ir.graph import Node, Program
from scriptmode.ir.literals import ObjectReference

Complaints = Iterator[str]
Rule = Callable[[Node, Program | None], Complaints]

_CONSTANTS: Mapping[T.Type, type | tuple[type, ...]] = {
    T.TENSOR: torch.Tensor,
    T.FLOAT: float,
    T.BOOL: bool,
    T.COMPLEX: complex,
    T.STR: str,
    T.NONE: type(None),
    T.DEVICE: torch.device,
    T.DTYPE: torch.dtype,
    T.LAYOUT: torch.layout,
    T.MEMORY_FORMAT: torch.memory_format,
    T.QSCHEME: torch.qscheme,
    T.SIZE: torch.Size,
    T.BYTES: bytes,
    T.RANGE: range,
    T.NUMBER: (int, float, complex),
}


def fits_constant(value: Any, t: T.Type) -> bool:
    """Whether ``value`` may be a constant of type ``t``: immutable, or a tensor."""
    if t == T.INT:
        return type(value) is int and -(2**63) <= value < 2**63
    if t in _CONSTANTS:
        return isinstance(value, _CONSTANTS[t])
    match t:
        case T.OptionalType():
            return value is None or fits_constant(value, t.element)
        case T.UnionType():
            return any(fits_constant(value, member) for member in t.contained)
        case T.TupleType():
            if isinstance(value, tuple):
                return len(value) == len(t.elements) and all(map(fits_constant, value, t.elements))
            return isinstance(t, T.NamedTupleType) and hasattr(value, "items")
        case T.VarTupleType():
            return isinstance(value, tuple) and all(fits_constant(v, t.element) for v in value)
        case T.FrozenSetType():
            return type(value) is frozenset and all(fits_constant(v, t.element) for v in value)
        case T.ListType() | T.DictType() | T.SetType() | T.DequeType() | T.IteratorType():
            return False  # mutable: every evaluation must make a new one
    return True


def _shape(node: Node, inputs: int | None, outputs: int, *attributes: str) -> Complaints:
    if inputs is not None and len(node.inputs) != inputs:
        yield f"takes {inputs} inputs, has {len(node.inputs)}"
    if len(node.outputs) != outputs:
        yield f"has {len(node.outputs)} outputs instead of {outputs}"
    for name in attributes:
        if name not in node.attributes:
            yield f"lacks the attribute {name!r}"


def _well_formed(
    inputs: int | None,
    outputs: int,
    *attributes: str,
    output: T.Type | None = None,
    each: T.Type | None = None,
) -> Callable[[Rule], Rule]:
    """Check counts and attributes before the rule, so that it may rely on them."""

    def decorate(rule: Rule) -> Rule:
        def check(node: Node, program: Program | None) -> Complaints:
            wrong = list(_shape(node, inputs, outputs, *attributes))
            if output is not None and outputs == 1 and not wrong and node.output.type != output:
                wrong.append(f"its output is {node.output.type}, not {output}")
            if each is not None and not wrong:
                for value in node.inputs:
                    wrong += _expect(value, each, "input")
            yield from wrong
            if not wrong:
                yield from rule(node, program)

        return check

    return decorate


def _expect(value: Any, t: T.Type, what: str) -> Complaints:
    if not T.is_subtype(value.type, t):
        yield f"{what} {value!r} is not {t}"


@_well_formed(0, 1, "value")
def _constant(node: Node, program: Program | None) -> Complaints:
    value = node.attributes["value"]
    if not fits_constant(value, node.output.type):
        yield f"{value!r} is no constant of type {node.output.type}"


@_well_formed(None, 1)
def _list(node: Node, program: Program | None) -> Complaints:
    t = node.output.type
    if not isinstance(t, T.ListType):
        yield f"its output is {t}, not a list"
        return
    for value in node.inputs:
        yield from _expect(value, t.element, "element")


@_well_formed(None, 1)
def _var_tuple(node: Node, program: Program | None) -> Complaints:
    t = node.output.type
    if t != T.SIZE and not isinstance(t, T.VarTupleType):
        yield f"its output is {t}, not a tuple of any length"
        return
    element = t.element if isinstance(t, T.VarTupleType) else T.INT
    for value in node.inputs:
        yield from _expect(value, element, "element")


@_well_formed(None, 1)
def _tuple(node: Node, program: Program | None) -> Complaints:
    t = node.output.type
    if not isinstance(t, T.TupleType) or len(t.elements) != len(node.inputs):
        yield f"its output is {t}, for {len(node.inputs)} elements"
        return
    for value, element in zip(node.inputs, t.elements, strict=True):
        yield from _expect(value, element, "element")


@_well_formed(1, 1, "index")
def _tuple_index(node: Node, program: Program | None) -> Complaints:
    t, index = node.inputs[0].type, node.attributes["index"]
    if not isinstance(t, T.TupleType):
        yield f"{t} is not a tuple"
    elif not (type(index) is int and 0 <= index < len(t.elements)):
        yield f"index {index!r} is outside of {t}"
    elif t.elements[index] != node.output.type:
        yield f"its output is {node.output.type}, not {t.elements[index]}"


@_well_formed(None, 1)
def _dict(node: Node, program: Program | None) -> Complaints:
    t = node.output.type
    if not isinstance(t, T.DictType) or len(node.inputs) % 2:
        yield f"its output is {t}, for {len(node.inputs)} keys and values"
        return
    for index, value in enumerate(node.inputs):
        yield from _expect(value, t.value if index % 2 else t.key, "value" if index % 2 else "key")


@_well_formed(None, 1)
def _set(node: Node, program: Program | None) -> Complaints:
    t = node.output.type
    if not isinstance(t, T.SetType):
        yield f"its output is {t}, not a set"
        return
    for value in node.inputs:
        yield from _expect(value, t.element, "element")


@_well_formed(0, 1, "name")
def _global(node: Node, program: Program | None) -> Complaints:
    if program is not None and node.attributes["name"] not in program.globals:
        yield f"the program captures no object {node.attributes['name']!r}"


def _attribute_type(node: Node) -> T.Type | str:
    owner, name = node.inputs[0].type, node.attributes["name"]
    if not isinstance(owner, T.ClassType):
        return f"{owner} has no attributes"
    return owner.attributes.get(name, f"{owner} has no attribute {name!r}")


@_well_formed(1, 1, "name")
def _get_attribute(node: Node, program: Program | None) -> Complaints:
    t = _attribute_type(node)
    if isinstance(t, str):
        yield t
    elif t != node.output.type:
        yield f"its output is {node.output.type}, the attribute {t}"


@_well_formed(2, 0, "name")
def _set_attribute(node: Node, program: Program | None) -> Complaints:
    t = _attribute_type(node)
    if isinstance(t, str):
        yield t
    else:
        yield from _expect(node.inputs[1], t, "value")


def _cell_element(t: T.Type) -> T.Type | str:
    return t.element if isinstance(t, T.CellType) else f"{t} is not a cell"


@_well_formed(None, 1)
def _cell(node: Node, program: Program | None) -> Complaints:
    element = _cell_element(node.output.type)
    if isinstance(element, str):
        yield element
    elif len(node.inputs) > 1:
        yield "a cell has one value"
    else:
        for value in node.inputs:
            yield from _expect(value, element, "value")


def _read_cell(node: Node, program: Program | None) -> Complaints:
    element = _cell_element(node.inputs[0].type)
    if isinstance(element, str):
        yield element
    elif element != node.output.type:
        yield f"its output is {node.output.type}, the cell holds {element}"


def _is_bound(node: Node, program: Program | None) -> Complaints:
    element = _cell_element(node.inputs[0].type)
    if isinstance(element, str):
        yield element


@_well_formed(2, 0)
def _set_cell(node: Node, program: Program | None) -> Complaints:
    element = _cell_element(node.inputs[0].type)
    if isinstance(element, str):
        yield element
    else:
        yield from _expect(node.inputs[1], element, "value")


@_well_formed(1, 0)
def _delete_cell(node: Node, program: Program | None) -> Complaints:
    element = _cell_element(node.inputs[0].type)
    if isinstance(element, str):
        yield element


@_well_formed(0, 1)
def _create_object(node: Node, program: Program | None) -> Complaints:
    if not T.is_instance_type(node.output.type):
        yield f"its output is {node.output.type}, not an instance"


@_well_formed(1, 1, "name", output=T.BOOL)
def _has_attribute(node: Node, program: Program | None) -> Complaints:
    t = _attribute_type(node)
    if isinstance(t, str):
        yield t


@_well_formed(1, 0, "name")
def _delete_attribute(node: Node, program: Program | None) -> Complaints:
    owner, name = node.inputs[0].type, node.attributes["name"]
    t = _attribute_type(node)
    if isinstance(t, str):
        yield t
    elif not (isinstance(owner, T.ClassType) and owner.may_lack(name)):
        yield f"attribute {name!r} of {owner} always has a value"


@_well_formed(None, 1, "callee")
def _call(node: Node, program: Program | None) -> Complaints:
    if program is None:
        return
    callee = program.functions.get(node.attributes["callee"])
    if callee is None:
        yield f"the program has no function {node.attributes['callee']!r}"
        return
    if len(callee.params) != len(node.inputs):
        yield f"{callee.name} takes {len(callee.params)} inputs, given are {len(node.inputs)}"
        return
    for param, value in zip(callee.params, node.inputs, strict=True):
        yield from _expect(value, param.type, f"argument {param.name!r}")
    if callee.return_type is not None and callee.return_type != node.output.type:
        yield f"its output is {node.output.type}, {callee.name} returns {callee.return_type}"


def _region(node: Node, program: Program | None) -> Complaints:
    facts = node.attributes.get("facts")
    if "callee" not in node.attributes or facts is None or len(facts) != len(node.inputs):
        yield "a region has a callee, and a fact for each input"
        return
    for value, fact in zip(node.inputs, facts, strict=True):
        if (value.type == T.TENSOR) != (fact is not None):
            yield f"{value!r} has the fact {fact}"
    callee = None if program is None else program.functions.get(node.attributes["callee"])
    if program is None:
        return
    if callee is None:
        yield f"the program has no function {node.attributes['callee']!r}"
        return
    for param, value in zip(callee.params, node.inputs, strict=False):
        t = T.TENSOR if isinstance(value.type, T.ArrayType) else value.type
        if param.type != t:
            yield f"argument {param.name!r} is {value.type}, not {param.type}"
    results = callee.return_type
    if len(callee.params) != len(node.inputs) or not isinstance(results, T.TupleType):
        yield f"{callee.name} does not fit the region"
        return
    given = [T.TENSOR if isinstance(o.type, T.ArrayType) else o.type for o in node.outputs]
    if given != list(results.elements):
        yield f"its outputs are {given}, {callee.name} returns {results}"


def _to_array(node: Node, program: Program | None) -> Complaints:
    if not isinstance(node.output.type, T.ArrayType):
        yield f"its output is {node.output.type}, no array"


@_well_formed(None, 1, "callee")
def _task(node: Node, program: Program | None) -> Complaints:
    t = node.output.type
    if not isinstance(t, T.FutureType):
        yield f"its output is {t}, not a future"
        return
    callee = None if program is None else program.functions.get(node.attributes["callee"])
    if callee is None:
        return
    if len(callee.params) != len(node.inputs):
        yield f"{callee.name} takes {len(callee.params)} inputs, given are {len(node.inputs)}"
        return
    for param, value in zip(callee.params, node.inputs, strict=True):
        yield from _expect(value, param.type, f"argument {param.name!r}")
    if callee.return_type is not None and callee.return_type != t.element:
        yield f"its output is {t}, {callee.name} returns {callee.return_type}"


@_well_formed(1, 1)
def _future(node: Node, program: Program | None) -> Complaints:
    t = node.output.type
    if not isinstance(t, T.FutureType) or t.element != node.inputs[0].type:
        yield f"its output {t} is no future of its input"


@_well_formed(1, 1)
def _wait(node: Node, program: Program | None) -> Complaints:
    t = node.inputs[0].type
    if not isinstance(t, T.FutureType) or t.element != node.output.type:
        yield f"its output is not what {t} is a future of"


@_well_formed(1, 1, "types", output=T.BOOL)
def _isinstance(node: Node, program: Program | None) -> Complaints:
    types = node.attributes["types"]
    if not isinstance(types, tuple) or not all(isinstance(t, T.Type) for t in types):
        yield "'types' is not a tuple of types"


@_well_formed(1, 1)
def _cast(node: Node, program: Program | None) -> Complaints:
    a, b = node.inputs[0].type, node.output.type
    if not T.is_subtype(a, b) and not T.is_subtype(b, a):
        yield f"no value of {a} is a {b}"


@_well_formed(2, 1, output=T.STR)
def _format(node: Node, program: Program | None) -> Complaints:
    yield from _expect(node.inputs[1], T.STR, "format")


@_well_formed(2, 1, output=T.BOOL)
def _equal(node: Node, program: Program | None) -> Complaints:
    a, b = (v.type for v in node.inputs)
    both_containers = isinstance(a, T.CONTAINERS) and isinstance(b, T.CONTAINERS)
    if T.join(a, b, allow_union=False) is None and not both_containers:
        yield f"{a} and {b} are not compared"


@_well_formed(None, 0, "exception", each=T.STR)
def _raise(node: Node, program: Program | None) -> Complaints:
    exception = node.attributes["exception"]
    is_class = isinstance(exception, type) and issubclass(exception, BaseException)
    if not is_class and not isinstance(exception, ObjectReference):
        yield f"{exception!r} is not an exception class"
    if len(node.inputs) > 1:
        yield "it has more than a message"


@_well_formed(None, 1)
def _exception(node: Node, program: Program | None) -> Complaints:
    if not T.is_exception(node.output.type):
        yield f"its output is {node.output.type}, not an exception"


@_well_formed(1, 0)
def _raise_object(node: Node, program: Program | None) -> Complaints:
    if not T.is_exception(node.inputs[0].type):
        yield f"{node.inputs[0]!r} is not an exception"


@_well_formed(None, 0, each=T.STR)
def _print(node: Node, program: Program | None) -> Complaints:
    for name in ("sep", "end"):
        if not isinstance(node.attributes.get(name, ""), str):
            yield f"attribute {name!r} is not a str"


@_well_formed(None, 1, "function")
def _python_call(node: Node, program: Program | None) -> Complaints:
    if not callable(node.attributes["function"]):
        yield "'function' cannot be called"


def _nothing(node: Node, program: Program | None) -> Complaints:
    yield from ()


def _ownership(node: Node, program: Program | None) -> Complaints:
    if not node.inputs:
        yield "it has no input"


RULES: Mapping[str, Rule] = {
    "prim::Constant": _constant,
    "prim::ListConstruct": _list,
    "prim::VarTupleConstruct": _var_tuple,
    "prim::TupleConstruct": _tuple,
    "prim::TupleIndex": _tuple_index,
    "prim::DictConstruct": _dict,
    "prim::SetConstruct": _set,
    "prim::Global": _global,
    "prim::GetAttr": _get_attribute,
    "prim::SetAttr": _set_attribute,
    "prim::CellConstruct": _cell,
    "prim::CellGet": _well_formed(1, 1, "name")(_read_cell),
    "prim::CellRead": _well_formed(1, 1)(_read_cell),
    "prim::CellIsBound": _well_formed(1, 1, output=T.BOOL)(_is_bound),
    "prim::CellSet": _set_cell,
    "prim::CellDelete": _delete_cell,
    "prim::HasAttr": _has_attribute,
    "prim::DelAttr": _delete_attribute,
    "prim::CreateObject": _create_object,
    "prim::Call": _call,
    "prim::Region": _region,
    "prim::ToArray": _well_formed(1, 1)(_to_array),
    "prim::StackArrays": _well_formed(1, 1, output=T.TENSOR)(_nothing),
    "prim::ToTensor": _well_formed(1, 1, output=T.TENSOR)(_nothing),
    "prim::Fork": _task,
    "prim::Defer": _task,
    "prim::Future": _future,
    "prim::Wait": _wait,
    "prim::IsDone": _well_formed(1, 1, output=T.BOOL)(_nothing),
    "prim::is_none": _well_formed(1, 1, output=T.BOOL)(_nothing),
    "prim::isinstance": _isinstance,
    "prim::unchecked_cast": _cast,
    "prim::checked_cast": _cast,
    "prim::str": _well_formed(1, 1, output=T.STR)(_nothing),
    "prim::repr": _well_formed(1, 1, output=T.STR)(_nothing),
    "prim::format": _format,
    "prim::eq": _equal,
    "prim::is": _well_formed(2, 1, output=T.BOOL)(_nothing),
    "prim::hash": _well_formed(1, 1, output=T.INT)(_nothing),
    "prim::ExceptionConstruct": _exception,
    "prim::class_name": _well_formed(1, 1, output=T.STR)(_nothing),
    "prim::raise_object": _raise_object,
    "prim::reraise": _well_formed(0, 0)(_nothing),
    "prim::raise": _raise,
    "prim::print": _print,
    "prim::warn": _well_formed(1, 0, "category", each=T.STR)(_nothing),
    "prim::python_call": _python_call,
    "prim::retain": _ownership,
    "prim::release": _ownership,
}
