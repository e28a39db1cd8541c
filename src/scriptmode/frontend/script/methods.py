"""Attributes of IR values and calls of their methods; the methods of strs, numbers and tuples.

Those of lists are in ``list_methods``, those of dicts in ``dict_methods``.
"""

from __future__ import annotations

import collections
import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from scriptmode.frontend import calls
from scriptmode.frontend.script.arguments import check_arguments, one
from scriptmode.frontend.script.comparisons import equal
from scriptmode.frontend.script.conditions import members, split
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.enums import enum_attribute, own_method
from scriptmode.frontend.script.exceptions import exception_attribute
from scriptmode.frontend.script.flow import choose
from scriptmode.frontend.script.handlers import ATTRIBUTES, CALLS, Table
from scriptmode.frontend.script.instances import VirtualMethod, find_member, instance_type, not_none
from scriptmode.frontend.script.iteration import as_built_list, index_value, items_of
from scriptmode.frontend.script.literals import admit
from scriptmode.frontend.script.operands import operand
from scriptmode.frontend.script.operators import binary, convert_number, tuple_items
from scriptmode.frontend.script.values import (
    Arguments,
    BoundMethod,
    BuiltinMethod,
    Constant,
    DictDisplay,
    IRValue,
    IterableValue,
    ListDisplay,
    PythonObject,
    Sugared,
    TupleDisplay,
    reading,
)
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value
from scriptmode.ir.schema import OpSchema
from scriptmode.ops import table
from scriptmode.support.futures import Future

METHODS = Table("METHODS")  # (kind of type, name) -> (e, owner, arguments) -> Sugared
_PYTHON_TYPES: dict[T.Type, type] = {
    T.STR: str, T.INT: int, T.FLOAT: float, T.BOOL: bool, T.COMPLEX: complex, T.SIZE: torch.Size,
    T.DTYPE: torch.dtype, T.DEVICE: torch.device, T.BYTES: bytes, T.RANGE: range,
}  # fmt: skip
_CONTAINER_CLASSES: dict[type[T.Type], type] = {
    T.FutureType: Future, T.ListType: list, T.DictType: dict, T.VarTupleType: tuple, T.SetType: set,
    T.FrozenSetType: frozenset, T.DequeType: collections.deque,
    T.OrderedDictType: collections.OrderedDict, T.DefaultDictType: collections.defaultdict,
    T.CounterType: collections.Counter,
}  # fmt: skip


def python_type(t: T.Type) -> type | None:
    """The Python class of a type's values."""
    if t in _PYTHON_TYPES:
        return _PYTHON_TYPES[t]
    if type(t) in _CONTAINER_CLASSES:
        return _CONTAINER_CLASSES[type(t)]
    if isinstance(t, T.NamedTupleType):
        return t.python_class or tuple
    if isinstance(t, T.TupleType):
        return tuple
    if isinstance(t, (T.ClassType, T.EnumType)):
        return t.python_class
    return None


def method_of(t: T.Type | None, name: str) -> Callable[..., Sugared] | None:
    """The handler of a builtin class's method; classes share those of their bases."""
    if isinstance(t, T.ChoiceType):
        return METHODS.get(("function", name))
    python = python_type(t) if t is not None else None
    kinds = ["tuple"] if isinstance(t, T.TupleType) else [python.__name__ if python else str(t)]
    if isinstance(t, T.DictType):
        kinds.append("dict")
    for kind in kinds:
        found = METHODS.get((kind, name))
        if found is not None:
            return found
    return None


_READ_OPS: dict[tuple[T.Type, str], str] = {
    (T.COMPLEX, "real"): "complex::real", (T.COMPLEX, "imag"): "complex::imag",
    (T.DTYPE, "is_floating_point"): "dtype::is_floating_point",
    (T.DTYPE, "is_complex"): "dtype::is_complex", (T.DTYPE, "is_signed"): "dtype::is_signed",
    (T.DTYPE, "itemsize"): "dtype::itemsize", (T.DEVICE, "type"): "device::type",
    (T.DEVICE, "index"): "device::index",
}  # fmt: skip


@ATTRIBUTES(IRValue)
def value_attribute(e: Emitter, value: IRValue, name: str) -> Sugared | None:
    """``value.name``."""
    t = value.type
    if T.is_exception(t):
        return exception_attribute(e, value, name)
    if t == T.TENSOR:
        return _tensor_attribute(e, value, name)
    if isinstance(t, T.ChoiceType):
        return e.unit.by_member(e, value.value, lambda v: e.attribute(v, name))
    if (t, name) in _READ_OPS:
        return e.op(_READ_OPS[t, name], value.value)
    if isinstance(t, T.NamedTupleType) and name in t.fields:
        return e.lift(e.builder.tuple_index(value.value, t.fields.index(name)))
    if isinstance(t, T.NamedTupleType) and t.python_class is not None:
        return _named_tuple_attribute(e, value, t, name)
    if isinstance(t, T.EnumType):
        return enum_attribute(e, value, t, name)
    if instance_type(value) is not None:
        return find_member(e, value, name)
    if method_of(t, name) is not None or (t == T.STR and table.overloads(f"str::{name}")):
        return BuiltinMethod(value, name)
    if isinstance(t, T.OptionalType) and any(map(T.is_instance_type, members(t))):
        return e.attribute(not_none(e, value, name), name)
    if isinstance(t, T.OptionalType):
        e.fail("SM0205", f"attribute `{name}` of a value that may be None",
               help="test it first: `if x is not None:` or `assert x is not None`")  # fmt: skip
    if len(members(t)) > 1:
        return _union_attribute(e, value, name)
    if isinstance(t, T.DequeType) and name == "maxlen":
        return e.op("deque::maxlen", value.value)
    if t in (T.INT, T.BOOL, T.FLOAT) and name == "real":
        return IRValue(convert_number(e, value.value, T.INT)) if t == T.BOOL else value
    if t in (T.INT, T.BOOL, T.FLOAT) and name == "imag":
        return Constant(0.0 if t == T.FLOAT else 0)
    if t in (T.INT, T.BOOL) and name == "numerator":
        return IRValue(convert_number(e, value.value, T.INT))
    if t in (T.INT, T.BOOL) and name == "denominator":
        return Constant(1)
    python = python_type(t)
    if python is not None and name == "__class__":
        return PythonObject(python)
    return None


def _named_tuple_attribute(
    e: Emitter, value: IRValue, t: T.NamedTupleType, name: str
) -> Sugared | None:
    """What the class of a named tuple has, bound to it; else a method of tuples."""
    assert t.python_class is not None
    own = own_method(e, value, name)
    if own is not None:
        return own
    if name in ("_replace", "_asdict") or ("tuple", name) in METHODS:
        return BuiltinMethod(value, name)
    if name == "__class__":
        return PythonObject(t.python_class)
    found = inspect.getattr_static(t.python_class, name, None)
    if isinstance(found, property) and found.fget is not None:
        return e.call_positional(e.unit.wrap(e, found.fget, name), value)
    if found is None or isinstance(found, (types.FunctionType, types.WrapperDescriptorType)):
        return None
    return e.attribute(PythonObject(t.python_class), name)


@METHODS(("tuple", "_replace"))
def _replace(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    t = owner.type
    if not isinstance(t, T.NamedTupleType) or given.positional:
        e.fail_type("_replace() takes fields of a named tuple by name")
    unknown = [k for k in given.keywords if k not in t.fields]
    if unknown:
        e.raise_error(ValueError, f"Got unexpected field names: {unknown!r}")
    parts = [
        e.value(given.keywords[field], inner)
        if field in given.keywords
        else e.builder.tuple_index(owner, index)
        for index, (field, inner) in enumerate(zip(t.fields, t.elements, strict=True))
    ]
    kinds = [
        inner if T.is_subtype(p.type, inner) else p.type
        for p, inner in zip(parts, t.elements, strict=True)
    ]
    return IRValue(e.builder.tuple(parts, t.with_contained(kinds)))


@METHODS(("tuple", "_asdict"))
def _asdict(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    assert isinstance(owner.type, T.NamedTupleType)
    items = tuple_items(e, IRValue(owner)) or ()
    return DictDisplay(tuple(Constant(f) for f in owner.type.fields), items, given.node)


def _union_attribute(e: Emitter, value: IRValue, name: str) -> Sugared | None:
    found = [
        python is not None and callable(inspect.getattr_static(python, name, None))
        for python in (
            torch.Tensor if m == T.TENSOR else python_type(m) for m in members(value.type)
        )
    ]
    if all(found):
        if any(map(T.is_instance_type, members(value.type))):
            return VirtualMethod(value, name)
        return BuiltinMethod(value, name)
    return split(e, value, lambda v: e.attribute(v, name))


def _tensor_attribute(e: Emitter, value: IRValue, name: str) -> Sugared | None:
    found = calls.tensor_attribute(e.builder, value.value, name, e.span)
    if found is not None:
        return e.lift(found)
    if name == "__class__":
        return PythonObject(torch.Tensor)
    if calls.has_method(name):
        return BuiltinMethod(value, name)
    on_class = inspect.getattr_static(torch.Tensor, name, None)
    if isinstance(on_class, types.FunctionType):
        return BoundMethod(value, PythonObject(on_class))
    if on_class is not None:
        e.not_built(f"`Tensor.{name}` is")
    return None


@ATTRIBUTES(TupleDisplay, ListDisplay, DictDisplay)
def _display_attribute(e: Emitter, value: Sugared, name: str) -> Sugared | None:
    kinds = {TupleDisplay: "tuple", ListDisplay: "list", DictDisplay: "dict"}
    if (kinds[type(value)], name) not in METHODS:
        return None
    if e.type_of(value) is None or getattr(value, "frozen", False):
        return BuiltinMethod(value, name)
    settled = e.settle(value)
    return BuiltinMethod(settled, name)


def _check_method_arguments(e: Emitter, method: BuiltinMethod, given: Arguments) -> None:
    """Refuse arguments that the method of Python's class would not take."""
    owner = method.owner
    if isinstance(owner, Constant):
        cls: type | None = type(owner.value)
    else:
        t = e.type_of(owner)
        cls = python_type(t) if t is not None else None
        if isinstance(owner, ListDisplay):
            cls = list
    found = inspect.getattr_static(cls, method.name, None) if cls is not None else None
    if isinstance(found, types.MethodDescriptorType) and cls is not torch.Tensor:
        check_arguments(e, found, given, owners=1)
    elif isinstance(found, types.ClassMethodDescriptorType):
        check_arguments(e, getattr(cls, method.name), given)


@CALLS(BuiltinMethod)
def call_builtin_method(e: Emitter, method: BuiltinMethod, given: Arguments) -> Sugared:
    """Call a method of an IR value or a constant."""
    owner = method.owner
    if isinstance(owner, PythonObject):  # a named tuple's _make
        items = items_of(e, one(e, given))
        if items is None:
            e.not_built(f"`{method.name}` of a list whose length is not known is")
        return e.call_positional(owner, *items)
    _check_method_arguments(e, method, given)
    if isinstance(owner, Constant):
        folded = _fold_method(e, owner.value, method.name, given)
        if folded is not None:
            return folded
    if isinstance(owner, (TupleDisplay, ListDisplay, DictDisplay)):
        return display_method(e, owner, method.name, given)
    t = e.type_of(owner)
    if t == T.TENSOR:
        divided = e.unit.by_types(e, given, lambda a: call_builtin_method(e, method, a))
        if divided is not None:
            return divided
        positional = [operand(e, a) for a in given.positional]
        keywords = {k: operand(e, v) for k, v in given.keywords.items()}
        built = e.value(owner)
        return e.lift(
            calls.call_method(e.builder, built, method.name, positional, keywords, e.span)
        )
    handler = method_of(t, method.name)
    if handler is not None:
        result: Sugared = handler(e, e.value(owner), given)
        return result
    if t == T.STR and table.overloads(f"str::{method.name}"):
        return call_op(e, f"str::{method.name}", [owner, *given.positional], given.keywords)
    if isinstance(owner, IRValue) and t is not None and len(members(t)) > 1:
        return split(e, owner, lambda v: e.call(e.attribute(v, method.name), given))
    e.fail_type(f"a {t} has no method `{method.name}`")


def _fold_method(e: Emitter, owner: Any, name: str, given: Arguments) -> Sugared | None:
    if not isinstance(owner, (str, int, float, complex)) or given.keywords:
        return None
    if not all(isinstance(a, Constant) for a in given.positional):
        return None
    if isinstance(owner, str) and name in ("format", "encode", "maketrans", "translate"):
        return None
    arguments = [a.value for a in given.positional if isinstance(a, Constant)]
    try:
        result = getattr(owner, name)(*arguments)
    except (TypeError, AttributeError) as error:
        e.fail_type(str(error))
    except (ValueError, ArithmeticError) as error:
        e.raise_error(type(error), str(error))
    if isinstance(result, list):
        return ListDisplay(tuple(Constant(r) for r in result), site=given.node)
    if isinstance(result, tuple):
        return TupleDisplay(tuple(Constant(r) for r in result))
    return Constant(result) if isinstance(result, (str, int, float, bool, complex)) else None


def display_method(e: Emitter, owner: Sugared, name: str, given: Arguments) -> Sugared:
    """Call a method of a tuple or of a display of a list or dict."""
    if isinstance(owner, DictDisplay):
        if name in ("keys", "values", "items"):
            return IterableValue(name, (owner,))
        if name in ("get", "pop", "__getitem__") and isinstance(given.positional[0], Constant):
            found = owner.find(given.positional[0].value)
            if found is not None and name != "pop":
                return found
            if name == "get":
                return given.positional[1] if len(given.positional) > 1 else Constant(None)
            if name == "pop" and found is None and len(given.positional) > 1:
                return given.positional[1]
            if name == "pop" and found is not None:
                e.not_built("removing from a dict of keyword arguments is")
        if name == "copy":
            return DictDisplay(owner.keys, owner.values, given.node)
        if name == "get":
            return e.call(BuiltinMethod(IRValue(e.value(reading(owner))), name), given)
    if name == "copy" and isinstance(owner, ListDisplay):
        return ListDisplay(owner.items, given.node)
    items = owner.parts()
    if name in ("index", "count") and given.positional and not isinstance(owner, DictDisplay):
        if name == "count":
            total: Sugared = Constant(0)
            for item in items:
                same = e.unit.truth(e, equal(e, item, given.positional[0]))
                total = binary(e, "add", total, same)
            return total
        return tuple_index(e, items, given.positional[0], 0)
    if isinstance(owner, (ListDisplay, DictDisplay)) and owner.captured is not None:
        e.value(owner)
    if isinstance(owner, (ListDisplay, DictDisplay)):
        e.unit.build_display(e, owner)
    e.fail_type(f"{owner.describe()} of compile-time values has no method `{name}` that works here")


def tuple_index(e: Emitter, items: Sequence[Sugared], item: Sugared, first: int) -> Sugared:
    """The index of an item that is equal, from ``first`` on; ValueError without one."""
    if first == len(items):
        e.raise_error(ValueError, "tuple.index(x): x not in tuple")
    same = e.unit.truth(e, equal(e, items[first], item))
    if isinstance(same, Constant):
        return Constant(first) if same.value else tuple_index(e, items, item, first + 1)
    return choose(
        e, e.value(same),
        lambda: Constant(first), lambda: tuple_index(e, items, item, first + 1),
    )  # fmt: skip


def call_op(
    e: Emitter, kind: str, positional: Sequence[Sugared], keywords: Mapping[str, Sugared]
) -> Sugared:
    """Call one of our ops as its schema takes arguments, with Python's conversions of numbers."""
    schema = table.overloads(kind)[0].schema
    name = schema.base_name
    given = dict(zip((a.name for a in schema.arguments), positional, strict=False))
    if len(positional) > len(schema.arguments):
        e.fail_type(f"{name}() takes at most {len(schema.arguments)} arguments")
    for key, value in keywords.items():
        if key in given or all(a.name != key for a in schema.arguments):
            e.fail_type(f"{name}() got an unexpected argument `{key}`")
        given[key] = value
    inputs = []
    for argument in schema.arguments:
        if argument.name not in given and not argument.has_default:
            e.fail_type(f"{name}() misses the argument `{argument.name}`")
        value = given.get(argument.name, Constant(argument.default))
        inputs.append(fit(e, value, argument.type, f"`{argument.name}` of {name}()"))
    return run_op(e, schema, inputs)


def run_op(e: Emitter, schema: OpSchema, inputs: Sequence[Value]) -> Sugared:
    """Append an op; without results it is None."""
    node = e.builder.call_schema(schema, inputs)
    if len(node.outputs) == 1:
        return e.lift(node.output)
    return TupleDisplay(tuple(map(e.lift, node.outputs))) if node.outputs else Constant(None)


def fit(e: Emitter, value: Sugared, t: T.Type, what: str) -> Value:
    """``value`` where an op takes a ``t``."""
    if isinstance(t, T.OptionalType) and e.type_of(value) != T.NONE:
        if not isinstance(e.type_of(value), T.OptionalType):
            t = t.element
    if t == T.INT:
        return index_value(e, value, what)
    if t == T.FLOAT:
        return float_value(e, value, what)
    if isinstance(t, T.ListType) and not isinstance(e.type_of(value), T.ListType):
        value = as_built_list(e, value)
    built = e.value(value, t)
    if not T.has_type_var(t) and not T.is_subtype(built.type, t):
        if isinstance(t, T.ListType):
            admit(e, built, t.element)
        e.fail_type(f"{what} must be {t}, not {built.type}")
    return built


def float_value(e: Emitter, value: Sugared, what: str) -> Value:
    """A float where Python takes anything with ``__float__``."""
    built = e.value(value)
    if built.type == T.TENSOR:
        return e.builder.op("tensor::float", built)
    if built.type in (T.INT, T.BOOL, T.FLOAT, T.NUMBER):
        return convert_number(e, built, T.FLOAT)
    if isinstance(value, IRValue) and len(members(built.type)) > 1:
        return e.value(split(e, value, lambda v: IRValue(float_value(e, v, what))))
    e.fail_type(f"{what} must be a real number, not {built.type}")


@METHODS(("str", "join"))
def _join(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    parts = e.value(as_built_list(e, given.positional[0]), T.ListType([T.STR]))
    if parts.type.contained[0] == T.NEVER:
        admit(e, parts, T.STR)
    if parts.type != T.ListType([T.STR]):
        e.fail_type(f"join() needs strings, not {parts.type}")
    return e.op("str::join", owner, parts)


def _affix(name: str) -> Callable[..., Sugared]:
    def test(e: Emitter, owner: Value, given: Arguments) -> Sugared:
        items = tuple_items(e, given.positional[0])
        rest = given.positional[1:]
        if items is None:
            return call_op(e, f"str::{name}", [IRValue(owner), *given.positional], {})
        found: Sugared = Constant(False)
        for item in items:
            one = call_op(e, f"str::{name}", [IRValue(owner), item, *rest], {})
            found = one if isinstance(found, Constant) else binary(e, "or", found, one)
        return found

    return test


METHODS(("str", "startswith"))(_affix("startswith"))
METHODS(("str", "endswith"))(_affix("endswith"))


@METHODS(("str", "format"))
def _format(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    if not owner.is_constant:
        return e.unit.brace_format_by_python(e, IRValue(owner), given)
    return e.unit.brace_format(e, owner.constant, given)


@METHODS(("complex", "conjugate"))
def _conjugate(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    return e.op("complex::conjugate", owner)


@METHODS(("int", "bit_length"), ("bool", "bit_length"))
def _bit_length(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    return e.op("int::bit_length", convert_number(e, owner, T.INT))


@METHODS(("int", "bit_count"))
def _bit_count(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    return e.op("int::bit_count", owner)


@METHODS(("float", "is_integer"))
def _is_integer(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    return e.op("float::is_integer", owner)


def exactly(e: Emitter, given: Arguments, count: int, name: str) -> list[Sugared]:
    """Exactly ``count`` positional arguments."""
    if len(given.positional) != count or given.keywords:
        e.fail_type(f"{name}() takes {count} arguments")
    return given.positional
