"""Python objects known at compile time: attributes, calls, classes."""

from __future__ import annotations

import collections
import enum
import functools
import inspect
import itertools
import operator
import types
import typing
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from scriptmode.frontend import calls
from scriptmode.frontend.script import iterator_library, script_library
from scriptmode.frontend.script.annotations import named_tuple
from scriptmode.frontend.script.arguments import COUNTED_CLASSES, check_arguments, one
from scriptmode.frontend.script.captured_objects import SET_CHANGES
from scriptmode.frontend.script.conditions import split
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.enums import by_name, by_value
from scriptmode.frontend.script.exceptions import construct as construct_exception
from scriptmode.frontend.script.functions import call_function, call_local
from scriptmode.frontend.script.handlers import ATTRIBUTES, CALLS, OBJECT_CALLS, SUBSCRIPTS
from scriptmode.frontend.script.instances import construct
from scriptmode.frontend.script.linking import call_recording, is_traced
from scriptmode.frontend.script.module_calls import call_method
from scriptmode.frontend.script.operands import operand
from scriptmode.frontend.script.shared_objects import shared
from scriptmode.frontend.script.values import (
    Arguments,
    BoundMethod,
    BuiltinMethod,
    Constant,
    Getter,
    IRValue,
    LocalFunction,
    ModuleValue,
    PartialFunction,
    PythonObject,
    Sugared,
    reading,
)
from scriptmode.ir import types as T
from scriptmode.support.captures import MISSING, is_fixed
from scriptmode.support.diagnostics import NotBuiltError
from scriptmode.support.markers import IGNORE, UNUSED, modifier_of


@ATTRIBUTES(PythonObject)
def object_attribute(e: Emitter, value: PythonObject, name: str) -> Sugared | None:
    """An attribute of a Python module, class or other object."""
    obj = value.object
    if type(obj) is set and name in SET_CHANGES:
        e.unit.make_run_time(e, value)
    outside = e.unit.read_attribute_outside(e, obj, name)
    if outside is not None:
        return outside
    own = inspect.getattr_static(type(obj), name, None)
    if isinstance(own, property) and not is_fixed(type(obj).__module__):
        return e.call_positional(e.unit.wrap(e, own.fget, name), value)
    try:
        found = getattr(obj, name, MISSING)
    except (RuntimeError, ValueError, TypeError, LookupError, OSError, ImportError) as error:
        e.fail("SM0305", f"reading `{name}` of {value.describe()} raises {error!r}")
    e.unit.program.captures.add_attribute(obj, name, found)
    if found is MISSING:
        return None
    if name == "_make" and isinstance(obj, type) and issubclass(obj, tuple):
        return BuiltinMethod(value, name)
    if isinstance(found, types.MethodType) and not isinstance(obj, types.ModuleType):
        owner = found.__self__
        return BoundMethod(e.unit.wrap(e, owner, name), PythonObject(found.__func__))
    return e.unit.wrap(e, found, name)


@SUBSCRIPTS(PythonObject)
def _object_subscript(e: Emitter, value: PythonObject, index: Sugared) -> Sugared:
    obj = value.object
    if isinstance(obj, type) and issubclass(obj, enum.Enum):
        return by_name(e, obj, index)
    if isinstance(obj, type) or hasattr(obj, "__class_getitem__") or _is_typing(obj):
        return PythonObject(e.unit.declared.annotation_subscript(e, obj, index))
    if isinstance(obj, (list, tuple, dict)) or hasattr(type(obj), "__getitem__"):
        if isinstance(index, Constant):
            try:
                return e.unit.wrap(e, obj[index.value], "item")
            except (KeyError, IndexError) as error:
                e.raise_error(type(error), str(error))
    e.fail_type(f"{value.describe()} cannot be subscripted here")


def _is_typing(obj: Any) -> bool:
    return getattr(type(obj), "__module__", "") == "typing"


@CALLS(LocalFunction)
def _call_local(e: Emitter, value: LocalFunction, given: Arguments) -> Sugared:
    return call_local(e, value, given)


@CALLS(PartialFunction)
def _call_partial(e: Emitter, value: PartialFunction, given: Arguments) -> Sugared:
    arguments = Arguments(
        [*value.arguments, *given.positional], {**value.keywords, **given.keywords}, given.node
    )
    return e.call(value.function, arguments)


@CALLS(PythonObject)
def call_object(e: Emitter, value: PythonObject, given: Arguments) -> Sugared:
    """Call a function, class or builtin."""
    obj = value.object
    if not given.keywords:
        special: Sugared | None = e.unit.dunders.call_builtin(e, obj, given.positional)
        if special is not None:
            return special
    if getattr(obj, "__self__", None) is itertools.chain:  # another object at each reading
        return e.unit.call_python_source(e, iterator_library.chain_from, *given.positional)
    handler = OBJECT_CALLS.get(obj)
    if handler is not None:
        if isinstance(obj, types.BuiltinFunctionType) or any(obj is c for c in COUNTED_CLASSES):
            check_arguments(e, obj, given)
        if getattr(obj, "__module__", None) in ("builtins", "math", "itertools"):  # they only read
            positional = [reading(a) for a in given.positional]
            given = Arguments(positional, given.keywords, given.node)
        return handler(e, given)
    if isinstance(obj, typing.NewType):
        return one(e, given)
    marker = marker_call(e, obj, given)
    if marker is not None:
        return marker
    if calls.is_torch_callable(obj):
        return call_torch(e, obj, given)
    if e.unit.is_single_dispatch(obj):
        dispatched: Sugared = e.unit.call_single_dispatch(e, obj, given)
        return dispatched
    bound: Sugared | None = e.unit.call_descriptor(e, obj, given)
    if bound is not None:
        return bound
    if isinstance(obj, types.FunctionType):
        if given.positional and isinstance(given.positional[0], ModuleValue):
            first = given.positional[0]
            if inspect.getattr_static(type(first.info.python), obj.__name__, None) is obj:
                rest = Arguments(given.positional[1:], given.keywords, given.node)
                return call_method(e, first, obj, rest)
        return call_function(e, obj, given)
    if isinstance(obj, types.MethodType):
        owner = e.unit.wrap(e, obj.__self__, "self")
        return e.call(BoundMethod(owner, PythonObject(obj.__func__)), given)
    if isinstance(obj, functools.partial):
        inner = Arguments(
            [*(e.unit.wrap(e, a, "argument") for a in obj.args), *given.positional],
            {**{k: e.unit.wrap(e, v, k) for k, v in obj.keywords.items()}, **given.keywords},
            given.node,
        )
        return e.call(e.unit.wrap(e, obj.func, "func"), inner)
    if isinstance(obj, type):
        return _construct(e, obj, given)
    if isinstance(obj, types.BuiltinMethodType):
        method = OBJECT_CALLS.get(getattr(type(obj.__self__), obj.__name__, None))
        if method is not None:
            owner = PythonObject(obj.__self__)
            return method(e, Arguments([owner, *given.positional], given.keywords, given.node))
    if isinstance(obj, types.MethodDescriptorType) and obj.__objclass__ in _BUILTIN_CLASSES:
        return _unbound(e, obj, given)
    if isinstance(obj, (operator.itemgetter, operator.attrgetter, operator.methodcaller)):
        return e.call(Getter(obj), given)
    if hasattr(obj, "cache_info") and hasattr(obj, "__wrapped__"):
        return e.unit.call_cached(e, obj, given)
    if is_traced(obj):
        return call_recording(e, obj, given)
    origin = typing.get_origin(obj)
    if isinstance(origin, type):
        return _construct_generic(e, obj, origin, given)
    own_call = inspect.getattr_static(type(obj), "__call__", None)
    if isinstance(own_call, types.FunctionType):
        positional = [value, *given.positional]
        return call_function(e, own_call, Arguments(positional, given.keywords, given.node))
    name = getattr(obj, "__qualname__", None) or type(obj).__name__
    if "pybind11" in name:
        name = obj.__name__
    module = getattr(obj, "__module__", None)
    e.fail_type(f"`{f'{module}.' if module else ''}{name}` cannot be called from compiled code")


def call_torch(e: Emitter, obj: Any, given: Arguments) -> Sugared:
    """Call one of torch's functions."""
    divided = by_types(e, given, lambda a: call_torch(e, obj, a))
    if divided is not None:
        return divided
    if obj in (torch.tensor, torch.as_tensor) and given.positional:
        given = Arguments([_rows(e, given.positional[0]), *given.positional[1:]], given.keywords)
    positional = [operand(e, a) for a in given.positional]
    keywords = {k: operand(e, v) for k, v in given.keywords.items()}
    result = calls.call_torch(e.builder, obj, positional, keywords, e.span)
    return e.lift(result)


def _rows(e: Emitter, data: Sugared) -> Sugared:
    """Data of a tensor; a list of tuples as a list of lists."""
    t = e.type_of(data)
    if not isinstance(data, IRValue) or not isinstance(t, T.ListType):
        return data
    row = t.element
    if type(row) is not T.TupleType or len(set(row.elements)) != 1:
        return data
    return e.call_positional(PythonObject(script_library.rows_of), data)


def by_types(e: Emitter, given: Arguments, act: Callable[[Arguments], Sugared]) -> Sugared | None:
    """``act`` under each type of an argument that may be of several; None when none is."""
    places: list[tuple[int | str, Sugared]] = [
        *enumerate(given.positional), *given.keywords.items()
    ]  # fmt: skip
    place, divided = next(((p, v) for p, v in places if _is_divided(v)), (0, None))
    if not isinstance(divided, IRValue):
        return None

    def with_one(value: Sugared) -> Sugared:
        positional, keywords = list(given.positional), dict(given.keywords)
        if isinstance(place, int):
            positional[place] = value
        else:
            keywords[place] = value
        return act(Arguments(positional, keywords, given.node))

    return split(e, divided, with_one)


def _is_divided(value: Sugared) -> bool:
    """Whether a value may be of several types."""
    return isinstance(value, IRValue) and isinstance(T.unwrap_optional(value.type), T.UnionType)


def marker_call(e: Emitter, obj: Any, given: Arguments) -> Sugared | None:
    """A call of a function marked ``ignore`` or ``unused``; None for others.

    Both are left to Python; an unused one whose types are not known raises when it is reached.
    """
    modifier = modifier_of(obj)
    if modifier not in (IGNORE, UNUSED) or not isinstance(obj, types.FunctionType):
        return None
    known = "return" in obj.__annotations__
    if modifier == UNUSED and not (known and all(e.type_of(a) for a in given.all())):
        name = getattr(obj, "__qualname__", "function")
        e.raise_error(RuntimeError, f"{name} is marked unused and cannot be called")
    return call_python(e, obj, given, e.unit.declared.annotated_result(e, obj))


def call_python(
    e: Emitter, function: Callable[..., Any], given: Arguments, result: T.Type
) -> Sugared:
    """A call that is left to Python."""
    inputs = [e.value(a) for a in given.all()]
    called = with_keywords(function, tuple(given.keywords)) if given.keywords else function
    node = e.builder.node("prim::python_call", inputs, [result], function=called)
    e.forget_written()
    return e.lift(node.output)


def drop_result(value: Sugared) -> None:
    """Nothing uses the value of an expression: what a function left to Python gives may be any."""
    node = value.value.node if isinstance(value, IRValue) else None
    if node is not None and node.kind == "prim::python_call" and not node.output.uses:
        node.attributes["function"] = _discarding(node.attributes["function"])
        node.output.type = T.NONE


@functools.cache
def _discarding(function: Callable[..., Any]) -> Callable[..., None]:
    @functools.wraps(function)
    def call(*arguments: Any) -> None:
        function(*arguments)

    return call


@functools.cache
def with_keywords(function: Callable[..., Any], names: tuple[str, ...]) -> Callable[..., Any]:
    """``function`` with its last arguments, called by position, passed by these names."""

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        split = len(arguments) - len(names)
        return function(*arguments[:split], **dict(zip(names, arguments[split:], strict=True)))

    return call


# classes

_BUILTIN_CLASSES = frozenset(
    [str, bytes, list, tuple, dict, set, frozenset, int, float, bool, complex, collections.deque,
     collections.OrderedDict]
)  # fmt: skip


def _unbound(e: Emitter, method: Any, given: Arguments) -> Sugared:
    """``str.upper(s)``: a method of a builtin class, called as a function."""
    if not given.positional:
        e.raise_error(TypeError, f"unbound method {method.__qualname__}() needs an argument")
    found = e.attribute(e.settle(given.positional[0]), method.__name__)
    return e.call(found, Arguments(given.positional[1:], given.keywords, given.node))


def _construct_generic(e: Emitter, alias: Any, origin: type, given: Arguments) -> Sugared:
    """``list[int]()``, ``OrderedDict[str, int]()``: the class, of elements of known types."""
    made = e.call(PythonObject(origin), given)
    wanted = e.unit.declared.annotation(e, alias) if typing.get_args(alias) else None
    if wanted is not None:
        made = e.settle(made, wanted)
        if isinstance(made, IRValue):
            e.unit.adapt(e, made.value, wanted)
    return made


def _construct(e: Emitter, cls: type, given: Arguments) -> Sugared:
    if issubclass(cls, enum.Enum):
        return by_value(e, cls, given)
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return _construct_named_tuple(e, cls, given)
    if issubclass(cls, nn.Module):
        e.not_built("making a module inside compiled code is", help="make it in __init__")
    if issubclass(cls, BaseException):
        return construct_exception(e, cls, given)
    if issubclass(cls, torch.autograd.Function):
        e.not_built("torch.autograd.Function is")
    if issubclass(cls, (set, frozenset)):
        e.not_built("a set is")
    made = construct(e, cls, given)
    if made is not None:
        return made
    e.fail(
        "SM0103",
        f"instances of `{cls.__qualname__}` cannot be made in compiled code",
        error=NotBuiltError,
        help="make the object outside compiled code, or keep its parts in variables",
    )


def _field_default(e: Emitter, declared: T.Type | None, name: str, default: Any) -> Sugared:
    """The default of a named tuple's field: a list or dict is one object for all tuples."""
    if type(default) in (list, dict):
        t = e.unit.type_of_object(default)
        if isinstance(declared, T.NamedTupleType):
            t = T.unwrap_optional(declared.contained[declared.fields.index(name)])
        if isinstance(t, (T.ListType, T.DictType)):
            return shared(e, default, t)
    return e.unit.wrap_default(e, default)


def _construct_named_tuple(e: Emitter, cls: type, given: Arguments) -> Sugared:
    fields: tuple[str, ...] = cls._fields  # type: ignore[attr-defined]
    defaults: dict[str, Any] = cls._field_defaults  # type: ignore[attr-defined]
    values = dict(zip(fields, given.positional, strict=False))
    if len(given.positional) > len(fields):
        e.fail_type(f"{cls.__name__}() takes {len(fields)} arguments")
    for key, value in given.keywords.items():
        if key not in fields or key in values:
            e.fail_type(f"{cls.__name__}() got an unexpected argument `{key}`")
        values[key] = value
    declared = named_tuple(cls, e.unit.type_of_class)
    for key, default in defaults.items():
        if key not in values:
            values[key] = _field_default(e, declared, key, default)
    missing = [f for f in fields if f not in values]
    if missing:
        e.fail_type(f"{cls.__name__}() misses the argument `{missing[0]}`")
    wanted = declared.contained if declared is not None else [None] * len(fields)
    parts = [e.value(e.settle(values[f]), t) for f, t in zip(fields, wanted, strict=True)]
    kinds = [
        t if t is not None and T.is_subtype(p.type, t) else p.type
        for p, t in zip(parts, wanted, strict=True)
    ]
    name = f"{cls.__module__}.{cls.__qualname__}"
    t = T.NamedTupleType(name, fields, kinds, cls)
    e.unit.program.named_tuples.setdefault(name, t)
    return IRValue(e.builder.tuple(parts, t))
