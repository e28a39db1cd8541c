"""Identity, options, enumerations, tasks, output and errors."""

from __future__ import annotations

import builtins

from scriptmode.ir import types as T
from scriptmode.ir.graph import Value
from scriptmode.torchscript.emitter import Emitter
from scriptmode.torchscript.ops.conversions import to_text
from scriptmode.torchscript.ops.table import builtin

_EXCEPTIONS = {
    n: v for n, v in vars(builtins).items()
    if isinstance(v, type) and issubclass(v, Exception)
}  # fmt: skip
_ASSERTION = "AssertionError: "


@builtin("prim.RaiseException")
def raise_exception(e: Emitter, message: Value, cls: Value | None = None) -> Value | None:
    """Raise; classes that are none of Python's own become RuntimeError."""
    nothing = e.none()
    exception: type[BaseException] = RuntimeError
    if cls is not None and cls.is_constant and isinstance(cls.constant, str):
        folder, _, name = cls.constant.rpartition(".")
        if folder in ("builtins", ""):
            exception = _EXCEPTIONS.get(name, RuntimeError)
    elif message.is_constant and isinstance(message.constant, str):
        if message.constant.startswith(_ASSERTION):
            exception = AssertionError
            message = e.constant(message.constant.removeprefix(_ASSERTION))
    e.raise_(exception, to_text(e, message))
    return nothing


@builtin("prim.Print")
def print_(e: Emitter, *values: Value) -> Value | None:
    """``print(*values)``."""
    e.builder.node("prim::print", [to_text(e, v) for v in values], sep=" ", end="\n")
    return e.none()


@builtin("warn")
def warn(e: Emitter, message: Value, stacklevel: Value | None = None) -> Value | None:
    """``warnings.warn(message)``."""
    e.builder.node("prim::warn", [to_text(e, message)], category=UserWarning, stacklevel=1)
    return e.none()


@builtin("__is__")
def is_(e: Emitter, a: Value, b: Value) -> Value | None:
    """``a is b``."""
    if T.NONE in (a.type, b.type):
        other = a if b.type == T.NONE else b
        if not T.is_optional(other.type):
            return e.constant(False)
        return e.builder.node("prim::is_none", [other], [T.BOOL]).output
    if isinstance(a.type, T.EnumType):
        return equal_members(e, a, b)
    return e.builder.node("prim::is", [a, b], [T.BOOL]).output


@builtin("__isnot__")
def is_not(e: Emitter, a: Value, b: Value) -> Value | None:
    """``a is not b``."""
    found = is_(e, a, b)
    return None if found is None else e.op("bool::not", found)


@builtin("eq")
def equal_members(e: Emitter, a: Value, b: Value) -> Value | None:
    """``a == b`` of members of an enumeration, of None, and of instances."""
    if isinstance(a.type, T.EnumType) and a.type == b.type:
        return e.builder.node("prim::eq", [a, b], [T.BOOL]).output
    if isinstance(a.type, T.EnumType) and isinstance(b.type, T.EnumType):
        return e.constant(False)
    return is_(e, a, b) if T.NONE in (a.type, b.type) else None


@builtin("ne")
def unequal_members(e: Emitter, a: Value, b: Value) -> Value | None:
    """``a != b`` of members of an enumeration."""
    found = equal_members(e, a, b)
    return None if found is None else e.op("bool::not", found)


@builtin("_unwrap_optional", "prim.unchecked_unwrap_optional")
def unwrap_optional(e: Emitter, value: Value) -> Value | None:
    """The value of an option; an error when it is None."""
    if not isinstance(value.type, T.OptionalType):
        return None if value.type == T.NONE else value
    missing = e.builder.node("prim::is_none", [value], [T.BOOL]).output
    e.check(e.op("bool::not", missing), RuntimeError, "Unwrapping null optional")
    return e.builder.cast(value, value.type.element)


@builtin("wait")
def wait(e: Emitter, future: Value) -> Value | None:
    """The result of a task."""
    if not isinstance(future.type, T.FutureType):
        return None
    return e.builder.node("prim::Wait", [future], [future.type.element]).output
