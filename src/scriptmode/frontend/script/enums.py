"""Enumerations: members known at run time only, look-up by value and name, mixed-in types, flags.

Everything that is asked of a member is answered by Python's own member at compile time: ``pick``
chooses among the answers at run time.  The members of a ``Flag`` include its combinations.
"""

from __future__ import annotations

import collections
import enum
import inspect
import types
from collections.abc import Callable, Sequence
from typing import Any

from scriptmode.frontend.script import script_library
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.flow import choose, narrow
from scriptmode.frontend.script.values import (
    Arguments,
    BoundMethod,
    Constant,
    ModuleValue,
    PythonObject,
    Sugared,
    TupleDisplay,
)
from scriptmode.ir import types as T
from scriptmode.ir.enumerations import MOST_FLAGS, member
from scriptmode.ir.graph import Value

_MIXED_IN = (bool, int, float, complex, str)


def enum_of(e: Emitter, value: Sugared) -> T.EnumType | None:
    """The enumeration that a value is a member of."""
    t = e.type_of(value)
    return t if isinstance(t, T.EnumType) and t.python_class is not None else None


def mixed_in(cls: type[enum.Enum]) -> type | None:
    """The type whose instances the members are, too: int for an IntEnum."""
    found: type = vars(cls)["_member_type_"]
    return next((b for b in _MIXED_IN if issubclass(found, b)), None)


def pick(
    e: Emitter, value: Value, t: T.EnumType, answer: Callable[[enum.Enum], Sugared]
) -> Sugared:
    """``answer`` for the member that ``value`` is at run time."""
    found = [member(t, key) for key in t.members]

    def choice(first: int) -> Sugared:
        if first == len(found) - 1:
            return answer(found[first])
        this = e.builder.constant(found[first], t)
        here = e.builder.node("prim::is", [value, this], [T.BOOL]).output
        return choose(e, here, lambda: answer(found[first]), lambda: choice(first + 1))

    return choice(0)


def by_member(e: Emitter, value: Sugared, answer: Callable[[enum.Enum], Sugared]) -> Sugared:
    """``answer`` for a member known at compile time or at run time only."""
    if isinstance(value, Constant):
        return answer(value.value)
    t = enum_of(e, value)
    assert t is not None
    return pick(e, e.value(value), t, answer)


def data_of(value: enum.Enum) -> Any:
    """The int, float or str that a member of a mixed enumeration is."""
    data = mixed_in(type(value))
    if data is str:
        return str.__str__(value)
    assert data is not None
    return data(value)


def plain(e: Emitter, value: Sugared) -> Sugared:
    """A member of a mixed enumeration as its int, float or str; other values as they are."""
    t = enum_of(e, value)
    if t is None or mixed_in(t.python_class) is None:  # type: ignore[arg-type]
        return value
    return by_member(e, value, lambda m: Constant(data_of(m)))


def own_method(e: Emitter, value: Sugared, name: str) -> Sugared | None:
    """A method that the user's class of a module, enumeration or named tuple defines, bound."""
    if isinstance(value, ModuleValue):
        found = inspect.getattr_static(type(value.info.python), name, None)
        if not isinstance(found, types.FunctionType) or found.__module__.startswith("torch."):
            return None
        return BoundMethod(value, PythonObject(found))
    t = e.type_of(value)
    if not isinstance(t, (T.EnumType, T.NamedTupleType)):
        return None
    found = inspect.getattr_static(t.python_class, name, None)
    if isinstance(found, types.FunctionType) and not _is_generated(found):
        return BoundMethod(value, PythonObject(found))
    return None


def _is_generated(function: types.FunctionType) -> bool:
    """Whether a method comes with every enumeration or named tuple."""
    file = function.__code__.co_filename
    return function.__module__ == enum.__name__ or file.startswith("<") or file == _NAMED_TUPLES


_NAMED_TUPLES = collections.__file__


# attributes


def enum_attribute(e: Emitter, value: Sugared, t: T.EnumType, name: str) -> Sugared | None:
    """An attribute of a member: name, value, a method, a property, what ``__init__`` has set."""
    cls = t.python_class
    assert cls is not None
    if name in ("name", "value", "_name_", "_value_"):
        return by_member(e, value, lambda m: e.unit.wrap(e, getattr(m, name), name))
    found = inspect.getattr_static(cls, name, None)
    if isinstance(found, types.FunctionType):
        return BoundMethod(value, PythonObject(found))
    if isinstance(found, classmethod):
        return BoundMethod(PythonObject(cls), PythonObject(found.__func__))
    if isinstance(found, property) and found.fget is not None:
        return e.call_positional(e.unit.wrap(e, found.fget, name), value)
    if name == "__class__":
        return PythonObject(cls)
    members = [member(t, key) for key in t.members]
    if all(name in vars(m) for m in members):
        return by_member(e, value, lambda m: e.unit.wrap(e, getattr(m, name), name))
    if isinstance(found, staticmethod) or (found is not None and not callable(found)):
        return e.unit.wrap(e, getattr(cls, name), name)
    if mixed_in(cls) is not None:
        return e.find_attribute(plain(e, value), name)
    return None


# look-up


def by_value(e: Emitter, cls: type[enum.Enum], given: Arguments) -> Sugared:
    """``Color(value)``."""
    if len(given.positional) != 1 or given.keywords:
        e.not_built("making an enumeration inside compiled code is", help="make it at module level")
    value = given.positional[0]
    if enum_of(e, value) == e.unit.enum_type(cls):
        return value
    if isinstance(value, Constant):
        try:
            return Constant(cls(value.value))
        except (ValueError, TypeError) as error:
            e.raise_error(type(error), str(error))
    missing = inspect.getattr_static(cls, "_missing_")
    if issubclass(cls, enum.Flag):
        return _flag_of(e, cls, value)
    if isinstance(missing, classmethod) and missing is not vars(enum.Enum)["_missing_"]:
        own = BoundMethod(PythonObject(cls), PythonObject(missing.__func__))
        return _search(e, cls, value, lambda: _by_missing(e, cls, own, value))
    return _search(e, cls, value, lambda: _no_member(e, cls, value))


def _by_missing(e: Emitter, cls: type[enum.Enum], missing: Sugared, value: Sugared) -> Sugared:
    """The member that a class's own ``_missing_`` gives for a value that no member has."""
    found = e.settle(e.call_positional(missing, value))
    wanted, t = e.unit.enum_type(cls), e.type_of(found)
    if t == T.NONE:
        return _no_member(e, cls, value)
    if t is None or T.unwrap_optional(t) != wanted:
        e.fail_type(f"`_missing_` of `{cls.__name__}` must return a member or None, not {t}")
    if t == wanted:
        return found
    none = e.builder.node("prim::is_none", [e.value(found)], [T.BOOL]).output
    return choose(e, none, lambda: _no_member(e, cls, value), lambda: narrow(e, found, wanted))


def _search(
    e: Emitter, cls: type[enum.Enum], value: Sugared, otherwise: Callable[[], Sugared]
) -> Sugared:
    members = list(cls)

    def choice(first: int) -> Sugared:
        if first == len(members):
            return otherwise()
        candidate = members[first]
        if mixed_in(cls):
            own = plain(e, Constant(candidate))
        else:
            own = e.unit.wrap(e, candidate.value, "value")
        same = e.unit.equal(e, value, own)
        if isinstance(same, Constant):
            return Constant(candidate) if same.value else choice(first + 1)
        return choose(e, e.value(same), lambda: Constant(candidate), lambda: choice(first + 1))

    return choice(0)


def _no_member(e: Emitter, cls: type[enum.Enum], value: Sugared) -> Sugared:
    shown = e.value(e.unit.to_repr(e, value))
    rest = e.builder.constant(f" is not a valid {cls.__qualname__}")
    e.raise_error(ValueError, e.builder.op("str::concat", shown, rest))


def by_name(e: Emitter, cls: type[enum.Enum], name: Sugared) -> Sugared:
    """``Color[name]``."""
    if isinstance(name, Constant):
        try:
            return Constant(cls[name.value])
        except KeyError as error:
            e.raise_error(KeyError, error.args[0])
    if e.type_of(name) != T.STR:
        e.fail_type(f"the name of a `{cls.__name__}` must be str, not {e.type_of(name)}")
    members = list(cls.__members__.items())
    text = e.value(name)

    def choice(first: int) -> Sugared:
        if first == len(members):
            e.raise_error(KeyError, text)
        here = e.builder.op("str::eq", text, e.builder.constant(members[first][0]))
        return choose(e, here, lambda: Constant(members[first][1]), lambda: choice(first + 1))

    return choice(0)


# operators


def operator_method(
    e: Emitter, name: str, a: Sugared, b: Sugared | None
) -> Callable[[], Sugared] | None:
    """How an enumeration answers an operator: by a method of its own, as a flag, or as its data.

    ``name`` is the operator's, such as "add"; ``b`` is None for a unary operator.
    """
    own = own_method(e, a, f"__{name}__")
    if own is not None:
        rest = () if b is None else (b,)
        return lambda: e.call_positional(own, *rest)
    if b is not None:
        reflected = own_method(e, b, f"__r{name}__")
        if reflected is not None and e.type_of(a) != e.type_of(b):
            return lambda: e.call_positional(reflected, a)
    flag = _flag_operator(e, name, a, b)
    if flag is None and b is not None and enum_of(e, a) is None:
        return _flag_operator(e, name, b, a)
    return flag


_FLAG_FUNCTIONS = {"and": "int::and", "or": "int::or", "xor": "int::xor"}


def _flag_operator(
    e: Emitter, name: str, a: Sugared, b: Sugared | None
) -> Callable[[], Sugared] | None:
    t = enum_of(e, a)
    if t is None or not issubclass(t.python_class, enum.Flag):  # type: ignore[arg-type]
        return None
    cls = t.python_class
    assert cls is not None
    if b is None:
        if name != "invert":
            return None
        return lambda: by_member(e, a, lambda m: Constant(~m))  # type: ignore[operator]
    if name not in _FLAG_FUNCTIONS or not (enum_of(e, b) == t or _is_bits(e, cls, b)):
        return None

    def run() -> Sugared:
        bits = [e.value(_bits(e, v) if enum_of(e, v) == t else plain(e, v)) for v in (a, b)]
        return _flag_of(e, cls, e.op(_FLAG_FUNCTIONS[name], *bits))

    return run


def _is_bits(e: Emitter, cls: type[enum.Enum], value: Sugared) -> bool:
    """Whether an ``IntFlag`` takes the value for bits of its own."""
    return issubclass(cls, int) and e.type_of(plain(e, value)) == T.INT


def _bits(e: Emitter, value: Sugared) -> Sugared:
    return by_member(e, value, lambda m: Constant(m.value))


def _flag_of(e: Emitter, cls: type[enum.Enum], bits: Sugared) -> Sugared:
    """The combination of flags with this value: a search by halves."""
    t = e.unit.enum_type(cls)
    assert isinstance(t, T.EnumType)
    if e.type_of(bits) != T.INT:
        e.not_built(f"a `{cls.__name__}` made from a {e.type_of(bits)} is")
    every = sorted((member(t, key) for key in t.members), key=lambda m: int(m.value))
    if len(every) == len(list(cls)):
        e.not_built(
            f"combining members of `{cls.__name__}` at run time is",
            help=f"compiled flags have at most {MOST_FLAGS} bits",
        )
    value = e.value(bits)

    def search(low: int, high: int) -> Sugared:
        if high - low == 1:
            return Constant(every[low])
        middle = (low + high) // 2
        below = e.builder.op("int::lt", value, e.int_constant(every[middle].value))
        return choose(e, below, lambda: search(low, middle), lambda: search(middle, high))

    largest = every[-1].value
    outside = e.builder.op(
        "bool::or",
        e.builder.op("int::lt", value, e.int_constant(0)),
        e.builder.op("int::ne", value, e.builder.op("int::and", value, e.int_constant(largest))),
    )
    return choose(e, outside, lambda: _bad_flag(e, cls, bits), lambda: search(0, len(every)))


def _bad_flag(e: Emitter, cls: type[enum.Enum], bits: Sugared) -> Sugared:
    if getattr(cls, "_boundary_", None) is not getattr(enum, "STRICT", None):
        e.raise_error(NotImplementedError, f"bits outside of those that {cls.__name__} names")
    return _no_member(e, cls, bits)


def contains_flag(e: Emitter, container: Sugared, item: Sugared) -> Sugared | None:
    """``flag in flags``; None when these are no flags."""
    t = enum_of(e, container)
    if t is None or not issubclass(t.python_class, enum.Flag):  # type: ignore[arg-type]
        return None
    if enum_of(e, item) != t:
        e.fail_type(f"`in` of a {t} needs one of its members")
    bits = e.value(_bits(e, item))
    return e.op("int::eq", e.builder.op("int::and", e.value(_bits(e, container)), bits), bits)


def truth(e: Emitter, value: Sugared) -> Sugared:
    """``bool(member)``."""
    own = own_method(e, value, "__bool__")
    if own is not None:
        return e.unit.truth(e, e.call_positional(own))
    t = enum_of(e, value)
    assert t is not None
    answers = {bool(member(t, key)) for key in t.members}
    if len(answers) == 1:
        return Constant(answers.pop())
    return by_member(e, value, lambda m: Constant(bool(m)))


def written(e: Emitter, value: Sugared, spec: Sugared | None) -> Sugared | None:
    """``format(member, spec)``, or ``str(member)`` without a spec; None where it is not special."""
    own = own_method(e, value, "__str__" if spec is None else "__format__")
    if own is not None:
        return e.call_positional(own, *(() if spec is None else (spec,)))
    if spec is None:
        return None
    text = own_method(e, value, "__str__")
    if text is not None and isinstance(spec, Constant) and spec.value == "":
        return e.call_positional(text)
    if isinstance(spec, Constant):
        return by_member(e, value, lambda m: Constant(format(m, spec.value)))
    return None


def iterated_flags(e: Emitter, value: Sugared) -> Sequence[Sugared] | None:
    """The single flags of a combination known at compile time."""
    if isinstance(value, Constant) and isinstance(value.value, enum.Flag):
        return [Constant(m) for m in value.value]
    return None


def flags_of(e: Emitter, value: Sugared) -> Sugared | None:
    """The single flags of a combination known at run time only, as a list; None of others."""
    t = enum_of(e, value)
    if t is None or t.python_class is None or not issubclass(t.python_class, enum.Flag):
        return None
    every = TupleDisplay(tuple(Constant(m) for m in t.python_class))
    if isinstance(value, Constant):
        return None
    found: Sugared = e.unit.call_python_source(e, script_library.flags_among, value, every)
    return found


def members_of(cls: type[enum.Enum]) -> TupleDisplay:
    """The members in order."""
    return TupleDisplay(tuple(Constant(m) for m in cls))
