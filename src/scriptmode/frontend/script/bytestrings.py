"""``bytes``: subscripts, operators and methods.

Bytes are strings of code points below 256; what both do alike is done by the ops of str.  Methods
that are not among these are left to Python.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.handlers import OBJECT_CALLS
from scriptmode.frontend.script.iteration import as_built_list, index_value
from scriptmode.frontend.script.methods import METHODS
from scriptmode.frontend.script.operators import convert_number, operator_of
from scriptmode.frontend.script.stores import slice_bounds
from scriptmode.frontend.script.values import (
    Arguments,
    Constant,
    IRValue,
    SliceValue,
    Sugared,
    TupleDisplay,
)
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value

_RESULTS: dict[str, T.Type] = {
    "decode": T.STR, "hex": T.STR, "rindex": T.INT, "index": T.INT,
    **dict.fromkeys(
        ["upper", "lower", "title", "capitalize", "swapcase", "strip", "lstrip", "rstrip",
         "removeprefix", "removesuffix", "ljust", "rjust", "center", "zfill", "expandtabs",
         "translate"],
        T.BYTES,
    ),
    **dict.fromkeys(
        ["isalnum", "isalpha", "isascii", "isdigit", "islower", "isspace", "istitle", "isupper"],
        T.BOOL,
    ),
    **dict.fromkeys(["split", "rsplit", "splitlines"], T.ListType([T.BYTES])),
    **dict.fromkeys(["partition", "rpartition"], T.TupleType([T.BYTES] * 3)),
}  # fmt: skip


def text_of(e: Emitter, value: Sugared) -> Value:
    """Bytes as the str of the same code points."""
    return e.builder.op("bytes::as_text", e.value_of_type(value, T.BYTES, "the operand"))


def bytes_of(e: Emitter, text: Value) -> Sugared:
    """A str of code points below 256 as bytes."""
    return e.op("str::as_bytes", text)


def subscript(e: Emitter, value: Value, index: Sugared) -> Sugared:
    """``value[index]``."""
    text = e.builder.op("bytes::as_text", value)
    if isinstance(index, SliceValue):
        return bytes_of(e, e.builder.op("str::slice", text, *slice_bounds(e, index)))
    return e.op("bytes::getitem", value, index_value(e, index, "an index of bytes"))


def contains(e: Emitter, value: Sugared, item: Sugared) -> Sugared:
    """``item in value``."""
    if e.type_of(item) == T.BYTES:
        return e.op("str::contains", text_of(e, value), text_of(e, item))
    whole = e.value(as_built_list(e, value))
    return e.op("list::contains", whole, index_value(e, item, "what is looked for in bytes"))


@operator_of(("bytes", "bytes"))
def _operator(e: Emitter, name: str, a: Sugared, b: Sugared, in_place: bool) -> Sugared | None:
    if name != "add":
        return None
    return bytes_of(e, e.builder.op("str::concat", text_of(e, a), text_of(e, b)))


@operator_of(("bytes", "number"), ("number", "bytes"))
def _repeat(e: Emitter, name: str, a: Sugared, b: Sugared, in_place: bool) -> Sugared | None:
    if e.type_of(a) != T.BYTES:
        a, b = b, a
    if name != "mul" or e.type_of(b) not in (T.INT, T.BOOL):
        return None
    count = convert_number(e, e.value(b), T.INT)
    return bytes_of(e, e.builder.op("str::repeat", text_of(e, a), count))


def order(e: Emitter, name: str, a: Sugared, b: Sugared) -> Sugared:
    """``a op b`` for lt, le, gt, ge."""
    return e.op(f"str::{name}", text_of(e, a), text_of(e, b))


def _as_text(e: Emitter, value: Sugared) -> Sugared:
    """Bytes, or bytes of a tuple, as text."""
    if isinstance(value, TupleDisplay):
        return value.with_parts([_as_text(e, part) for part in value.items])
    return IRValue(text_of(e, value)) if e.type_of(value) == T.BYTES else value


def _shared(name: str) -> Callable[..., Sugared]:
    """A method that does to bytes what it does to a str."""

    def run(e: Emitter, owner: Value, given: Arguments) -> Sugared:
        rest = [_as_text(e, a) for a in given.positional]
        text = e.attribute(IRValue(e.builder.op("bytes::as_text", owner)), name)
        found = e.call(text, Arguments(rest, given.keywords))
        return bytes_of(e, e.value(found)) if e.type_of(found) == T.STR else found

    return run


for _name in ("find", "rfind", "count", "startswith", "endswith", "replace"):
    METHODS(("bytes", _name))(_shared(_name))


def call_method(owner: Any, name: str, *arguments: Any) -> Any:
    """A method of a text or of bytes by Python; programs that are saved name this function."""
    return getattr(owner, name)(*arguments)


def _in_python(name: str, result: T.Type) -> Callable[..., Sugared]:
    def run(e: Emitter, owner: Value, given: Arguments) -> Sugared:
        if given.keywords:
            e.not_built(f"bytes.{name}() with arguments by name is")
        whole = Arguments([IRValue(owner), Constant(name), *given.positional], {})
        return e.unit.call_python(e, call_method, whole, result)

    return run


for _name, _result in _RESULTS.items():
    METHODS(("bytes", _name))(_in_python(_name, _result))


@METHODS(("bytes", "join"))
def _join(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    separator = e.builder.op("bytes::as_text", owner)

    def fill(append: Callable[[Sugared], None]) -> None:
        e.unit.for_each(e, given.positional[0], lambda item: append(IRValue(text_of(e, item))))

    parts = e.value(e.unit.collected(e, fill, None))
    return bytes_of(e, e.builder.op("str::join", separator, parts))


@METHODS(("str", "encode"))
def _encode(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    named = [given.keywords[n] for n in ("encoding", "errors") if n in given.keywords]
    parts = [*given.positional, *named]
    if not all(isinstance(p, Constant) for p in parts):
        e.not_built("encode() with a variable encoding is")
    whole = Arguments([IRValue(owner), Constant("encode"), *parts], {})
    return e.unit.call_python(e, call_method, whole, T.BYTES)


@OBJECT_CALLS(bytes)
def _bytes(e: Emitter, given: Arguments) -> Sugared:
    if not given.positional:
        return Constant(b"")
    value = given.positional[0]
    t = e.type_of(value)
    if t == T.BYTES:
        return value
    if isinstance(value, Constant) and isinstance(value.value, int):
        if value.value < 0:
            e.raise_error(ValueError, "negative count")
        return Constant(bytes(value.value))
    if t in (T.INT, T.BOOL):
        return e.unit.call_python(e, bytes, Arguments([value], {}), T.BYTES)
    if t == T.STR:
        return _encode(e, e.value(value), Arguments(given.positional[1:], given.keywords))
    whole = e.value(as_built_list(e, value))
    return e.unit.call_python(e, bytes, Arguments([IRValue(whole)], {}), T.BYTES)
