"""Texts: methods of str, and what formats values."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from scriptmode.ir import types as T
from scriptmode.ir.graph import Value
from scriptmode.torchscript.emitter import Emitter
from scriptmode.torchscript.ops.conversions import to_text
from scriptmode.torchscript.ops.table import builtin

_PERCENT = re.compile(r"%(.?)", re.DOTALL)
_END = -1  # how an end that is not given is written


def _is_text(value: Value) -> bool:
    return value.type == T.STR


@builtin("add")
def concatenated(e: Emitter, a: Value, b: Value) -> Value | None:
    """``a + b``."""
    return e.op("str::concat", a, b) if _is_text(a) and _is_text(b) else None


def _compared(name: str) -> Callable[[Emitter, Value, Value], Value | None]:
    return lambda e, a, b: e.op(f"str::{name}", a, b) if _is_text(a) and _is_text(b) else None


for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    builtin(_name)(_compared(_name))


def _simple(name: str) -> Callable[[Emitter, Value], Value | None]:
    return lambda e, text: e.op(f"str::{name}", text) if _is_text(text) else None


for _name in (
    "lower", "upper", "title", "capitalize", "swapcase", "isalnum", "isalpha", "isdecimal",
    "isdigit", "isidentifier", "islower", "isnumeric", "isprintable", "isspace", "istitle",
    "isupper",
):  # fmt: skip
    builtin(_name)(_simple(_name))


def _stripped(name: str) -> Callable[..., Value | None]:
    def run(e: Emitter, text: Value, chars: Value | None = None) -> Value | None:
        if not _is_text(text):
            return None
        return e.op(f"str::{name}", text, e.constant(" \n\t\f\v") if chars is None else chars)

    return run


for _name in ("strip", "lstrip", "rstrip"):
    builtin(_name)(_stripped(_name))


@builtin("split")
def split(
    e: Emitter, text: Value, separator: Value | None = None, max: Value | None = None
) -> Value | None:
    """``text.split(separator, max)``."""
    if not _is_text(text):
        return None
    most = e.constant(-1) if max is None else max
    return e.op("str::split", text, e.none() if separator is None else separator, most)


@builtin("rsplit")
def split_from_right(
    e: Emitter, text: Value, separator: Value | None = None, max: Value | None = None
) -> Value | None:
    """``text.rsplit(separator, max)``."""
    if not _is_text(text):
        return None
    most = e.constant(-1) if max is None else max
    return e.op("str::rsplit", text, e.constant(" ") if separator is None else separator, most)


@builtin("splitlines")
def split_lines(e: Emitter, text: Value, keepends: Value | None = None) -> Value | None:
    """``text.splitlines(keepends)``."""
    if not _is_text(text):
        return None
    return e.op("str::splitlines", text, e.constant(False) if keepends is None else keepends)


@builtin("join")
def join(e: Emitter, text: Value, values: Value) -> Value | None:
    """``text.join(values)``."""
    return e.op("str::join", text, values) if _is_text(text) else None


@builtin("replace")
def replace(
    e: Emitter, text: Value, old: Value, new: Value, max: Value | None = None
) -> Value | None:
    """``text.replace(old, new, max)``."""
    if not _is_text(text):
        return None
    return e.op("str::replace", text, old, new, e.constant(-1) if max is None else max)


def _searched(name: str) -> Callable[..., Value | None]:
    def run(
        e: Emitter, text: Value, substr: Value, start: Value | None = None,
        end: Value | None = None,
    ) -> Value | None:  # fmt: skip
        if not _is_text(text):
            return None
        if end is not None and end.is_constant and end.constant == _END:
            end = None
        begin = e.constant(0) if start is None else start
        return e.op(f"str::{name}", text, substr, begin, e.none() if end is None else end)

    return run


for _name in ("find", "rfind", "index", "rindex", "count", "startswith", "endswith"):
    builtin(_name)(_searched(_name))


def _cut(name: str) -> Callable[[Emitter, Value, Value], Value | None]:
    def run(e: Emitter, text: Value, separator: Value) -> Value | None:
        if not _is_text(text):
            return None
        return e.builder.tuple(e.several(f"str::{name}", text, separator))

    return run


for _name in ("partition", "rpartition"):
    builtin(_name)(_cut(_name))


def _padded(name: str) -> Callable[..., Value | None]:
    def run(e: Emitter, text: Value, width: Value, fillchar: Value | None = None) -> Value | None:
        if not _is_text(text):
            return None
        return e.op(f"str::{name}", text, width, e.constant(" ") if fillchar is None else fillchar)

    return run


for _name in ("center", "ljust", "rjust"):
    builtin(_name)(_padded(_name))


@builtin("zfill")
def zero_filled(e: Emitter, text: Value, width: Value) -> Value | None:
    """``text.zfill(width)``."""
    return e.op("str::zfill", text, width) if _is_text(text) else None


@builtin("expandtabs")
def expand_tabs(e: Emitter, text: Value, tabsize: Value | None = None) -> Value | None:
    """``text.expandtabs(tabsize)``."""
    if not _is_text(text):
        return None
    return e.op("str::expandtabs", text, e.constant(8) if tabsize is None else tabsize)


@builtin("ord")
def code_point(e: Emitter, text: Value) -> Value | None:
    """``ord(text)``."""
    return e.op("str::ord", text)


def _written(name: str) -> Callable[[Emitter, Value], Value | None]:
    return lambda e, value: e.op(f"int::{name}", value) if value.type == T.INT else None


for _name in ("chr", "hex", "oct", "bin"):
    builtin(_name)(_written(_name))


@builtin("hash")
def hashed(e: Emitter, value: Value) -> Value | None:
    """``hash(value)``."""
    return e.builder.node("prim::hash", [value], [T.INT]).output


# formats


def joined(e: Emitter, pieces: Sequence[Value]) -> Value:
    """Texts one after the other."""
    found: Value | None = None
    for piece in pieces:
        found = piece if found is None else e.op("str::concat", found, piece)
    return e.constant("") if found is None else found


def _formatted_later(e: Emitter, text: Value, values: Sequence[Value]) -> Value:
    """A format that is known when the program runs."""
    pieces, place = list[Value](), e.constant("{}")
    for value in values:
        head, found, text = e.several("str::partition", text, place)
        e.check(e.op("str::bool", found), RuntimeError, "Too many arguments for format string")
        pieces += [head, to_text(e, value)]
    return joined(e, [*pieces, text])


def _constant_text(e: Emitter, text: Value) -> str:
    if not text.is_constant or not isinstance(text.constant, str):
        raise e.problem("a format that is not known before the program runs")
    return text.constant


@builtin("format")
def formatted(e: Emitter, text: Value, *values: Value) -> Value:
    """``text.format(*values)``: each ``{}`` is a value."""
    if not text.is_constant or text.constant.count("{}") != len(values):
        return _formatted_later(e, text, values)
    parts = text.constant.split("{}")
    pieces: list[Value] = []
    for index, piece in enumerate(parts):
        if piece:
            pieces.append(e.constant(piece))
        if index < len(values):
            pieces.append(to_text(e, values[index]))
    return joined(e, pieces)


@builtin("percentFormat")
def percent_formatted(e: Emitter, text: Value, *values: Value) -> Value:
    """``text % values``."""
    whole = _constant_text(e, text)
    if len(values) == 1 and isinstance(values[0].type, T.TupleType):
        count = len(values[0].type.elements)
        values = tuple(e.builder.tuple_index(values[0], i) for i in range(count))
    left, pieces, at = list(values), list[Value](), 0
    for found in _PERCENT.finditer(whole):
        if found.start() > at:
            pieces.append(e.constant(whole[at : found.start()]))
        at = found.end()
        if found[1] == "%":
            pieces.append(e.constant("%"))
            continue
        if not left:
            raise e.problem("a format with more places than values")
        pieces.append(_percent(e, found[1], left.pop(0)))
    if left:
        raise e.problem("a format with fewer places than values")
    if at < len(whole):
        pieces.append(e.constant(whole[at:]))
    return joined(e, pieces)


def _percent(e: Emitter, code: str, value: Value) -> Value:
    if code == "s":
        return to_text(e, value)
    if code in ("d", "i") and value.type in (T.INT, T.BOOL, T.FLOAT):
        number = value if value.type == T.INT else e.op(f"{value.type}::int", value)
        return e.op("int::str", number)
    if code in ("e", "E", "f", "F", "g", "G") and value.type in (T.FLOAT, T.INT):
        number = value if value.type == T.FLOAT else e.op("int::float", value)
        return e.op("float::format", number, e.constant(code))
    if code == "c" and value.type == T.INT:
        return e.op("int::chr", value)
    if code == "c" and value.type == T.STR:
        return value
    raise e.problem(f"%{code} of a {value.type}")
