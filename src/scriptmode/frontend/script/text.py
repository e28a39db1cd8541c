"""Strings made from values: str(), repr(), format specs, ``%`` and ``str.format``."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from typing import Any, cast

from scriptmode.frontend.script.conditions import members, split
from scriptmode.frontend.script.default_factories import refuse_text
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.enums import enum_of, own_method, written
from scriptmode.frontend.script.iteration import index_value
from scriptmode.frontend.script.operators import binary, tuple_items
from scriptmode.frontend.script.values import (
    Arguments,
    Constant,
    IRValue,
    IterableValue,
    PythonObject,
    Sugared,
)
from scriptmode.ir import types as T

_STR_OPS: dict[T.Type | None, str] = {
    T.INT: "int::str", T.FLOAT: "float::str", T.BOOL: "bool::str", T.COMPLEX: "complex::str",
    T.DTYPE: "dtype::str", T.DEVICE: "device::str",
}  # fmt: skip


def to_str(e: Emitter, value: Sugared) -> Sugared:
    """``str(value)``."""
    special = written(e, value, None) if enum_of(e, value) is not None else None
    if special is not None:
        return special
    if isinstance(e.type_of(value), T.NamedTupleType):
        own = own_method(e, value, "__str__") or own_method(e, value, "__repr__")
        if own is not None:
            return e.call_positional(own)
    if isinstance(value, Constant):
        return Constant(str(value.value))
    if isinstance(value, PythonObject):
        if isinstance(value.object, (set, frozenset)) and all(map(_is_plain, value.object)):
            e.unit.program.captures.add_items(value.object, "a captured set")
            return Constant(str(value.object))
        if not isinstance(value.object, type):
            e.fail_type(f"the text of {value.describe()} is not known in compiled code")
        return Constant(str(value.object))
    t = e.type_of(value)
    if t == T.STR:
        return value
    if t in _STR_OPS and t is not None:
        return e.op(_STR_OPS[t], e.value(value))
    return _structural(e, "str", value)


def to_repr(e: Emitter, value: Sugared) -> Sugared:
    """``repr(value)``."""
    own = own_method(e, value, "__repr__")
    if own is not None:
        return e.call_positional(own)
    if isinstance(value, Constant):
        return Constant(repr(value.value))
    t = e.type_of(value)
    if t in _STR_OPS and t != T.DEVICE and t is not None:
        return e.op(_STR_OPS[t], e.value(value))
    return _structural(e, "repr", value)


def _is_plain(item: object) -> bool:
    return isinstance(item, (str, int, float, bool, type(None)))


def to_ascii(e: Emitter, value: Sugared) -> Sugared:
    """``ascii(value)``."""
    if isinstance(value, Constant):
        return Constant(ascii(value.value))
    text = to_repr(e, value)
    if e.type_of(value) in (T.INT, T.FLOAT, T.BOOL, T.COMPLEX, T.NONE):
        return text
    escaped: Sugared = e.unit.escaped(e, text)
    return escaped


def _text_of_view(e: Emitter, value: IterableValue) -> Sugared:
    """``dict_keys([...])``."""
    t = e.type_of(value.arguments[0])
    prefix = "odict" if isinstance(t, T.OrderedDictType) else "dict"
    inside = to_repr(e, e.unit.collect(e, value))
    return concatenate(e, [Constant(f"{prefix}_{value.kind}("), inside, Constant(")")])


def _structural(e: Emitter, kind: str, value: Sugared) -> Sugared:
    if isinstance(value, IterableValue) and value.kind in ("keys", "values", "items"):
        return _text_of_view(e, value)
    t = e.type_of(value)
    if e.unit.dunders.concerns(value):
        asked: Sugared = e.unit.dunders.to_text(e, value, kind)
        return asked
    if isinstance(value, IRValue) and any(map(T.is_instance_type, members(value.type))):
        act = to_str if kind == "str" else to_repr
        if len(members(value.type)) > 1:
            return split(e, value, lambda v: act(e, v))
    if t is None or isinstance(t, T.ClassType):
        e.fail_type(f"the text of {value.describe()} is not known in compiled code")
    refuse_text(e, t)
    return IRValue(e.builder.node(f"prim::{kind}", [e.value(value)], [T.STR]).output)


_FORMAT_OPS: dict[T.Type | None, str] = {
    T.INT: "int::format", T.FLOAT: "float::format", T.STR: "str::format",
}  # fmt: skip


def to_format(e: Emitter, value: Sugared, spec: Sugared) -> Sugared:
    """``format(value, spec)``."""
    if enum_of(e, value) is not None:
        special = written(e, value, spec)
        if special is not None:
            return special
    if isinstance(value, Constant) and isinstance(spec, Constant):
        try:
            return Constant(format(value.value, spec.value))
        except (ValueError, TypeError, OverflowError) as error:
            e.raise_error(type(error), str(error))
    t = e.type_of(value)
    if e.unit.dunders.concerns(value):
        asked: Sugared = e.unit.dunders.to_format(e, value, spec)
        return asked
    # tensors of one element format as numbers
    if isinstance(spec, Constant) and spec.value == "" and not _may_be_tensor(t):
        return to_str(e, value)
    if t in _FORMAT_OPS and t is not None:
        text = e.value_of_type(spec, T.STR, "the format spec")
        return e.op(_FORMAT_OPS[t], e.value(value), text)
    if isinstance(value, IRValue) and len(members(value.type)) > 1:
        return split(e, value, lambda v: to_format(e, v, spec))
    if t is None or isinstance(t, T.ClassType):
        e.fail_type(f"the text of {value.describe()} is not known in compiled code")
    text = e.value_of_type(spec, T.STR, "the format spec")
    return IRValue(e.builder.node("prim::format", [e.value(value), text], [T.STR]).output)


def _may_be_tensor(t: T.Type | None) -> bool:
    return t in (T.TENSOR, T.ANY) or (
        isinstance(t, (T.OptionalType, T.UnionType)) and any(map(_may_be_tensor, t.contained))
    )


def concatenate(e: Emitter, parts: Sequence[Sugared]) -> Sugared:
    """All parts as one string."""
    result: Sugared = Constant("")
    for part in parts:
        if isinstance(result, Constant) and result.value == "":
            result = part
        elif not (isinstance(part, Constant) and part.value == ""):
            result = binary(e, "add", result, part)
    return result


_PERCENT = re.compile(r"%([-+ 0#]*)(\d*)(?:\.(\d+))?([a-zA-Z%])")
_KINDS = set("sradiuxXoceEfFgG%")
# what native code formats
_FORMATTED: dict[str, tuple[T.Type, ...]] = {
    **dict.fromkeys("diu", (T.INT, T.BOOL, T.FLOAT)),
    **dict.fromkeys("xXoc", (T.INT, T.BOOL, T.TENSOR)),
    **dict.fromkeys("eEfFgG", (T.INT, T.BOOL, T.FLOAT, T.TENSOR)),
}
_WITH_NAMES = re.compile(r"%\(|%[-+ 0#]*\*|%[-+ 0#]*\d*\.(\*|\D|\d*[diuxXo])|%[-+ 0#]*[\d.]*[hlL]")


def _percent_text(template: str, *values: Any) -> str:
    return template % values


def _percent_text_of_one(template: str, value: Any) -> str:
    return cast(str, template % value)


def _brace_text(template: str, *values: Any, **named: Any) -> str:
    return template.format(*values, **named)


def _percent_by_python(e: Emitter, template: Sugared, values: Sugared) -> Sugared:
    """``template % values`` left to Python."""
    items = tuple_items(e, values)
    function = _percent_text_of_one if items is None else _percent_text
    given = Arguments([template, *(items if items is not None else [values])], {})
    found: Sugared = e.unit.call_python(e, function, given, T.STR)
    return found


def brace_format_by_python(e: Emitter, template: Sugared, given: Arguments) -> Sugared:
    """``template.format(...)`` left to Python."""
    arguments = Arguments([template, *given.positional], given.keywords)
    found: Sugared = e.unit.call_python(e, _brace_text, arguments, T.STR)
    return found


def percent_format(e: Emitter, template: Sugared, values: Sugared) -> Sugared:
    """``template % values``."""
    if not isinstance(template, Constant) or _WITH_NAMES.search(template.value):
        return _percent_by_python(e, template, values)
    kinds = [found[4] for found in _PERCENT.finditer(template.value)]
    if "%" in _PERCENT.sub("", template.value) or not set(kinds) <= _KINDS:
        return _percent_by_python(e, template, values)  # which says what is wrong with it
    items = tuple_items(e, values)
    rest = list(items) if items is not None else [values]
    parts: list[Sugared] = []
    last = 0
    for found in _PERCENT.finditer(template.value):
        parts.append(Constant(template.value[last : found.start()]))
        last = found.end()
        flags, width, precision, kind = found.groups()
        if kind == "%":
            parts.append(Constant("%"))
            continue
        if not rest:
            e.raise_error(TypeError, "not enough arguments for format string")
        parts.append(_percent_one(e, flags, width, precision, kind, rest.pop(0)))
    parts.append(Constant(template.value[last:]))
    if rest:
        e.raise_error(TypeError, "not all arguments converted during string formatting")
    return concatenate(e, parts)


def _percent_one(
    e: Emitter, flags: str, width: str, precision: str | None, kind: str, value: Sugared
) -> Sugared:
    if kind in "sra":
        text = {"s": to_str, "r": to_repr, "a": to_ascii}[kind](e, value)
        spec = f"{'<' if '-' in flags else '>'}{width}" if width else ""
        return to_format(e, text, Constant(spec + (f".{precision}" if precision else "")))
    t = e.type_of(value)
    if t not in _FORMATTED[kind]:  # Python converts it, or raises its error
        dot = "" if precision is None else f".{precision}"
        return _percent_by_python(e, Constant(f"%{flags}{width}{dot}{kind}"), value)
    if kind in "diu":
        if t == T.FLOAT:
            value = e.op("float::int", e.value(value))
        elif t == T.BOOL:
            value = IRValue(index_value(e, value, "the value of %d"))
        kind, precision = "d", None
    elif kind in "xXoc":
        value = IRValue(index_value(e, value, f"the value of %{kind}"))
    else:
        from_value = e.value(value)
        if from_value.type in (T.INT, T.BOOL):
            value = e.op(f"{from_value.type}::float", from_value)
        elif from_value.type == T.TENSOR:
            value = e.op("tensor::float", from_value)
        precision = precision if precision is not None else "6"
    align = "<" if "-" in flags else ""
    sign = "+" if "+" in flags else " " if " " in flags else ""
    zero = "0" if "0" in flags and not align else ""
    alternate = "#" if "#" in flags else ""
    dot = f".{precision}" if precision is not None else ""
    return to_format(e, value, Constant(f"{align}{sign}{alternate}{zero}{width}{dot}{kind}"))


def brace_format(e: Emitter, template: str, given: Arguments) -> Sugared:
    """``template.format(...)``."""
    parts: list[Sugared] = []
    automatic = 0
    numbered: set[bool] = set()
    try:
        pieces = list(string.Formatter().parse(template))
    except ValueError as error:
        e.raise_error(ValueError, str(error))
    for literal, field, spec, conversion in pieces:
        parts.append(Constant(literal))
        if field is None:
            continue
        head = re.match(r"[^.\[]*", field)
        name = head.group() if head is not None else ""
        if field != name or (spec and "{" in spec):
            return brace_format_by_python(e, Constant(template), given)
        if name == "" or name.isdigit():
            numbered.add(name != "")
            if len(numbered) > 1:
                ways = ("automatic field numbering", "manual field specification")
                before, now = ways if name else ways[::-1]
                e.raise_error(ValueError, f"cannot switch from {before} to {now}")
        if name == "":
            name, automatic = str(automatic), automatic + 1
        if name.isdigit():
            if int(name) >= len(given.positional):
                e.raise_error(
                    IndexError, f"Replacement index {name} out of range for positional args tuple"
                )
            value = given.positional[int(name)]
        elif name in given.keywords:
            value = given.keywords[name]
        else:
            e.raise_error(KeyError, name)
        if conversion:
            value = {"s": to_str, "r": to_repr, "a": to_ascii}[conversion](e, value)
        parts.append(to_format(e, value, Constant(spec or "")))
    return concatenate(e, parts)
