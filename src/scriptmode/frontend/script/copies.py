"""``copy.copy`` and ``copy.deepcopy``."""

from __future__ import annotations

import copy
from collections.abc import Collection

from scriptmode.frontend.script.arguments import one
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.handlers import OBJECT_CALLS
from scriptmode.frontend.script.instances import instance_type
from scriptmode.frontend.script.objects import call_python
from scriptmode.frontend.script.values import Arguments, Constant, DictDisplay, Sugared
from scriptmode.ir import types as T

_IMMUTABLE = (
    T.INT, T.FLOAT, T.BOOL, T.STR, T.COMPLEX, T.NONE, T.BYTES, T.RANGE, T.SIZE, T.DTYPE, T.DEVICE,
    T.LAYOUT, T.MEMORY_FORMAT, T.NUMBER,
)  # fmt: skip
# by these a class says how its instances are copied
_HOOKS = (
    "__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__getnewargs__",
    "__getnewargs_ex__", "__new__",
)  # fmt: skip
_HELP = "copy what is inside one by one; `x.clone()` copies a tensor"


@OBJECT_CALLS(copy.copy)
def _copy(e: Emitter, given: Arguments) -> Sugared:
    value = e.settle(one(e, given))
    t = e.type_of(value)
    if t is None or t in _IMMUTABLE or isinstance(value, Constant):
        return value
    if isinstance(t, (T.TupleType, T.VarTupleType, T.EnumType, T.FrozenSetType)):
        return value
    if isinstance(t, T.CONTAINERS):
        return e.call_positional(e.attribute(value, "copy"))
    owner = instance_type(value)
    if owner is not None and not T.is_exception(owner):
        if _has(owner, "__copy__"):
            return e.call_positional(e.attribute(value, "__copy__"))
        members = e.unit.classes.concrete(owner)
        if not any(_hooks(c) or _has(c, "__copy__") or _is_cut(e, c) for c in members):
            return e.op("object::copy", e.value(value))
    if t == T.TENSOR:
        return call_python(e, copy.copy, Arguments([value], {}), t)
    e.not_built(f"copy.copy of a {t} is", help="make the copy in a method")


@OBJECT_CALLS(copy.deepcopy)
def _deep_copy(e: Emitter, given: Arguments) -> Sugared:
    value = e.settle(one(e, given))
    t = e.type_of(value)
    if isinstance(value, Constant) or (t is not None and _is_immutable(t)):
        return value
    owner = instance_type(value)
    if owner is not None and _has(owner, "__deepcopy__"):
        return e.call_positional(e.attribute(value, "__deepcopy__"), DictDisplay((), ()))
    if t is not None and _is_copied_in_python(t):
        return call_python(e, copy.deepcopy, Arguments([value], {}), t)
    if t is None or not _is_copied(e, t, ()):
        e.not_built(f"copy.deepcopy of {value.describe()} is", help=_HELP)
    return e.op("object::deepcopy", e.value(value))


def _is_immutable(t: T.Type) -> bool:
    if isinstance(t, T.NamedTupleType):
        return False  # copied like an instance
    if isinstance(t, (T.TupleType, T.VarTupleType, T.FrozenSetType, T.OptionalType, T.UnionType)):
        return all(map(_is_immutable, t.contained))
    return t in _IMMUTABLE or isinstance(t, T.EnumType)


def _is_copied_in_python(t: T.Type) -> bool:
    """Whether a value holds tensors, beside plain values and containers: torch copies storages."""
    kinds = (*T.CONTAINERS, T.TupleType, T.VarTupleType, T.OptionalType, T.UnionType)
    parts = list(T.walk(t))
    return T.TENSOR in parts and all(
        p == T.TENSOR or p == T.NEVER or _is_immutable(p) or isinstance(p, kinds) for p in parts
    )


def _is_copied(e: Emitter, t: T.Type, around: Collection[T.Type]) -> bool:
    """Whether the native library makes deep copies of every value of ``t``."""
    if t in around or _is_immutable(t) or t == T.NEVER:
        return True
    around = (*around, t)
    if isinstance(t, T.ClassType):
        return _is_plain_class(e, t, around)
    if isinstance(t, T.SetType) and not _is_immutable(t.element):
        return False
    if isinstance(t, T.DictType) and not (_is_immutable(t.key) or t.key == T.NEVER):
        return False
    if isinstance(t, T.NamedTupleType) and (t.python_class is None or _redefines(t.python_class)):
        return False
    if isinstance(t, T.ChoiceType):
        return False
    kinds = (*T.CONTAINERS, T.TupleType, T.VarTupleType, T.OptionalType, T.UnionType)
    return isinstance(t, kinds) and all(_is_copied(e, inner, around) for inner in t.contained)


def _is_plain_class(e: Emitter, t: T.ClassType, around: Collection[T.Type]) -> bool:
    if t.is_module or T.is_exception(t):
        return False
    for member in (t, *e.unit.classes.concrete(t)):
        if _hooks(member) or _has(member, "__deepcopy__") or _is_cut(e, member):
            return False
        if not all(_is_copied(e, inner, around) for inner in member.attributes.values()):
            return False
    return True


def _is_cut(e: Emitter, t: T.ClassType) -> bool:
    """Whether the program does not know all attributes that the class's methods assign."""
    return e.unit.classes.keep_whole(t) is not None


def _has(t: T.ClassType, name: str) -> bool:
    return hasattr(t.python_class, name)


def _hooks(t: T.ClassType) -> bool:
    """Whether a class says how its instances are copied."""
    return t.python_class is None or _redefines(t.python_class)


def _redefines(cls: type) -> bool:
    plain = tuple if issubclass(cls, tuple) else object
    own = [n for n in _HOOKS if not (plain is tuple and n in ("__new__", "__getnewargs__"))]
    return any(getattr(cls, n, None) is not getattr(plain, n, None) for n in own)
