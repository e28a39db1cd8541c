"""Classes that stand for those of the user's that are not here: the same name and fields.

Nothing is executed to make them: ``dataclasses`` and ``namedtuple`` would compile text with the
names in it.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import keyword
import types
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

_DOC = "Made for what a program that was loaded from an archive takes and returns."


def make_class(row: Mapping[str, Any], bases: tuple[type, ...]) -> type:
    """A class as a row of an archive says; TypeError, ValueError or KeyError when it is wrong."""
    module, _, qualname = str(row["name"]).partition(":")
    name = qualname.rpartition(".")[2]
    if not name.isidentifier():
        raise ValueError(f"{name!r} is no name")
    make = _MAKERS.get(row["kind"])
    if make is None:
        raise ValueError(f"unknown kind {row['kind']!r}")
    made = make(name, bases, row)
    made.__module__, made.__qualname__, made.__doc__ = module, qualname, _DOC
    return made


def _plain(name: str, bases: tuple[type, ...], row: Mapping[str, Any]) -> type:
    return types.new_class(name, bases)


def _enumeration(name: str, bases: tuple[type, ...], row: Mapping[str, Any]) -> type:
    base: Any = next(b for b in bases if issubclass(b, enum.Enum))
    members = [
        (str(n), float.fromhex(v["f"]) if isinstance(v, dict) else v)
        for n, v in row["members"].items()
    ]
    mixed = next((b for b in bases if not issubclass(b, enum.Enum)), None)
    made: type = base(name, members, module=__name__, type=mixed)
    return made


def _fields_in(row: Mapping[str, Any]) -> list[str]:
    names = row["fields"]
    is_list = isinstance(names, list) and all(isinstance(n, str) for n in names)
    if not is_list or len(set(names)) < len(names):
        raise ValueError("its fields are no list of names")
    if not all(n.isidentifier() and not keyword.iskeyword(n) for n in names):
        raise ValueError("its fields have other names than a class can have")
    return list(names)


# named tuples


def _named_tuple(name: str, bases: tuple[type, ...], row: Mapping[str, Any]) -> type:
    fields = tuple(_fields_in(row))

    def new(cls: type, *args: Any, **kwargs: Any) -> Any:
        return tuple.__new__(cls, _in_order(name, fields, args, kwargs))

    def replaced(self: Any, /, **kwargs: Any) -> Any:
        return type(self)(**{**self._asdict(), **kwargs})

    def shown(self: Any) -> str:
        return _text(name, fields, self)

    members = {
        "__slots__": (),
        "__new__": new,
        "__repr__": shown,
        "__getnewargs__": lambda self: tuple(self),
        "__match_args__": fields,
        "_fields": fields,
        "_field_defaults": {},
        "_make": classmethod(lambda cls, items: cls(*items)),
        "_asdict": lambda self: dict(zip(fields, self, strict=True)),
        "_replace": replaced,
        **{n: property(itemgetter(i)) for i, n in enumerate(fields)},
    }
    return types.new_class(name, (tuple,), exec_body=lambda names: names.update(members))


def _in_order(
    name: str, fields: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> list[Any]:
    """Arguments by the order of the fields; each must be there once."""
    given = dict(zip(fields, args, strict=False))
    if len(args) > len(fields) or given.keys() & kwargs.keys() or kwargs.keys() - set(fields):
        raise TypeError(f"{name}() takes {', '.join(fields) or 'no arguments'}")
    given |= kwargs
    missing = [n for n in fields if n not in given]
    if missing:
        raise TypeError(f"{name}() misses {', '.join(missing)}")
    return [given[n] for n in fields]


def _text(name: str, fields: Sequence[str], values: Sequence[Any]) -> str:
    pairs = (f"{n}={v!r}" for n, v in zip(fields, values, strict=True))
    return f"{name}({', '.join(pairs)})"


# dataclasses


def _dataclass(name: str, bases: tuple[type, ...], row: Mapping[str, Any]) -> type:
    fields = tuple(_fields_in(row))
    params = row["params"]
    if not isinstance(params, dict):
        raise ValueError("no parameters of a dataclass")

    def values(instance: Any) -> tuple[Any, ...]:
        return tuple(getattr(instance, n) for n in fields)

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        for field, value in zip(fields, _in_order(name, fields, args, kwargs), strict=True):
            object.__setattr__(self, field, value)

    members: dict[str, Any] = {
        "__init__": init,
        "__match_args__": fields,
        "__dataclass_fields__": {n: _field(n) for n in fields},
    }
    if params.get("repr") is True:
        members["__repr__"] = lambda self: _text(type(self).__qualname__, fields, values(self))
    if params.get("eq") is True:
        members["__eq__"] = _compared(lambda a, b: a == b, values)
        is_frozen = params.get("frozen") is True
        hashes = is_frozen or params.get("unsafe_hash") is True
        members["__hash__"] = (lambda self: hash(values(self))) if hashes else None
    if params.get("order") is True:
        members["__lt__"] = _compared(lambda a, b: a < b, values)
        members["__le__"] = _compared(lambda a, b: a <= b, values)
        members["__gt__"] = _compared(lambda a, b: a > b, values)
        members["__ge__"] = _compared(lambda a, b: a >= b, values)
    if params.get("frozen") is True:
        members["__setattr__"] = functools.partialmethod(_refuse, "assign to")
        members["__delattr__"] = functools.partialmethod(_refuse, "delete")
    return types.new_class(name, bases, exec_body=lambda names: names.update(members))


def _field(name: str) -> Any:
    found: Any = dataclasses.field()
    found.name, found.type = name, Any
    found._field_type = dataclasses._FIELD  # type: ignore[attr-defined]
    found.kw_only = False
    return found


def _compared(
    compare: Callable[[Any, Any], bool], values: Callable[[Any], tuple[Any, ...]]
) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        if type(other) is not type(self):
            return NotImplemented
        return compare(values(self), values(other))

    return method


def _refuse(self: Any, what: str, name: str, *value: Any) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot {what} field {name!r}")


_MAKERS: Mapping[str, Callable[[str, tuple[type, ...], Mapping[str, Any]], type]] = {
    "class": _plain,
    "module": _plain,
    "enum": _enumeration,
    "namedtuple": _named_tuple,
    "dataclass": _dataclass,
}
