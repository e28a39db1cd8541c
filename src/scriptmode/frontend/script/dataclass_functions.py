"""Calls of ``dataclasses.replace``, ``asdict``, ``astuple``, ``fields`` and ``is_dataclass``."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from scriptmode.frontend.script.arguments import one
from scriptmode.frontend.script.conditions import members, split
from scriptmode.frontend.script.dataclass_sources import is_init_var
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.handlers import OBJECT_CALLS
from scriptmode.frontend.script.instances import (
    construct,
    instance_type,
    python_class,
    under_each,
)
from scriptmode.frontend.script.iteration import cursor_of, unpack
from scriptmode.frontend.script.loops import run_cursor
from scriptmode.frontend.script.operators import tuple_items
from scriptmode.frontend.script.values import (
    Arguments,
    Constant,
    DictDisplay,
    IRValue,
    IterableValue,
    PythonObject,
    Sugared,
    TupleDisplay,
)
from scriptmode.ir import types as T

_SIMPLE = (
    T.INT, T.FLOAT, T.BOOL, T.COMPLEX, T.STR, T.NONE, T.DTYPE, T.DEVICE, T.LAYOUT, T.MEMORY_FORMAT,
)  # fmt: skip


def _dataclass_of(value: Sugared) -> type | None:
    t = instance_type(value)
    cls = None if t is None else python_class(t)
    return cls if cls is not None and dataclasses.is_dataclass(cls) else None


def _instance(e: Emitter, value: Sugared, name: str) -> IRValue:
    if _dataclass_of(value) is None:
        e.raise_error(TypeError, f"{name}() should be called on dataclass instances")
    assert isinstance(value, IRValue)
    return value


@OBJECT_CALLS(dataclasses.replace)
def _replace(e: Emitter, given: Arguments) -> Sugared:
    if len(given.positional) != 1:
        e.fail_type("replace() takes one instance and changes by keyword")
    value = _instance(e, given.positional[0], "replace")

    def act(v: IRValue, t: T.ClassType) -> Sugared:
        cls = python_class(t)
        keywords = dict(given.keywords)
        every: dict[str, Any] = cls.__dataclass_fields__  # type: ignore[attr-defined]
        for name, f in every.items():
            if name in keywords and not f.init:
                message = f"field {name} is declared with init=False, it cannot be specified with"
                e.raise_error(ValueError, f"{message} replace()")
            if not f.init or name in keywords or _is_class_var(f):
                continue
            if is_init_var(f):
                if f.default is dataclasses.MISSING:
                    e.raise_error(ValueError, f"InitVar {name!r} must be specified with replace()")
                continue
            keywords[name] = e.attribute(v, name)
        made = construct(e, cls, Arguments([], keywords, given.node))
        assert made is not None
        return made

    return under_each(e, value, lambda c: c, act)


def _is_class_var(f: dataclasses.Field[Any]) -> bool:
    return f._field_type is dataclasses._FIELD_CLASSVAR  # type: ignore[attr-defined]


def _conversion(as_tuple: bool) -> Callable[[Emitter, Arguments], Sugared]:
    name = "astuple" if as_tuple else "asdict"

    def run(e: Emitter, given: Arguments) -> Sugared:
        if given.keywords or len(given.positional) != 1:
            e.not_built(f"{name}() with a factory is")
        return _plain(e, _instance(e, given.positional[0], name), given, as_tuple, ())

    return run


OBJECT_CALLS(dataclasses.asdict)(_conversion(False))
OBJECT_CALLS(dataclasses.astuple)(_conversion(True))


def _plain(
    e: Emitter, value: Sugared, given: Arguments, as_tuple: bool, around: tuple[type, ...]
) -> Sugared:
    """A value as asdict() or astuple() copies it; ``around`` are the classes it is inside of."""
    cls = _dataclass_of(value)
    if cls in around:
        e.not_built(f"asdict() or astuple() of a `{cls.__name__}` that contains itself is")
    inside = around if cls is None else (*around, cls)

    def again(inner: Sugared) -> Sugared:
        return e.settle(_plain(e, inner, given, as_tuple, inside))

    t = e.type_of(value)
    if cls is not None:
        assert isinstance(value, IRValue)

        def act(v: IRValue, c: T.ClassType) -> Sugared:
            names = [f.name for f in dataclasses.fields(python_class(c))]
            found = tuple(again(e.attribute(v, n)) for n in names)
            if as_tuple:
                return TupleDisplay(found)
            return DictDisplay(tuple(map(Constant, names)), found, (given.node, c))

        return under_each(e, value, lambda c: c, act)
    if t in _SIMPLE or isinstance(t, T.EnumType):
        return value
    if isinstance(t, T.VarTupleType) and t.element in _SIMPLE:
        return value
    if isinstance(value, IRValue) and len(members(value.type)) > 1:
        return split(e, value, again)
    items = tuple_items(e, value)
    if items is not None and not isinstance(t, T.NamedTupleType):
        return TupleDisplay(tuple(map(again, items)))
    if isinstance(t, T.ListType):

        def fill(append: Callable[[Sugared], None]) -> None:
            run_cursor(e, cursor_of(e, value), [], lambda item: append(again(item)))

        return e.unit.collected(e, fill, (given.node, t))
    if isinstance(t, T.DictType) and type(t) is T.DictType:

        def fill_dict(store: Callable[[Sugared, Sugared], None]) -> None:
            def body(item: Sugared) -> None:
                store(*map(again, unpack(e, item, 2, None)))

            run_cursor(e, cursor_of(e, IterableValue("items", (value,))), [], body)

        return e.unit.collected_dict(e, fill_dict, (given.node, t))
    e.not_built(f"a deep copy of a {t or value.describe()} in asdict() or astuple() is")


@OBJECT_CALLS(dataclasses.fields)
def _fields(e: Emitter, given: Arguments) -> Sugared:
    value = one(e, given)
    if isinstance(value, PythonObject) and dataclasses.is_dataclass(value.object):
        cls: Any = value.object
    else:
        cls = _dataclass_of(value)
    if cls is None:
        e.raise_error(TypeError, "must be called with a dataclass type or instance")
    return TupleDisplay(tuple(PythonObject(f) for f in dataclasses.fields(cls)))


@OBJECT_CALLS(dataclasses.is_dataclass)
def _is_dataclass(e: Emitter, given: Arguments) -> Sugared:
    value = one(e, given)
    if isinstance(value, PythonObject):
        return Constant(dataclasses.is_dataclass(value.object))
    return Constant(_dataclass_of(value) is not None)
