"""Ops that meant something else in older files: what they are called as today.

==========  =============  ====================================================================
op          changed in     before
==========  =============  ====================================================================
div         version 4      two tensors of ints are divided to ints, rounded towards zero
full        version 5      a tensor without a dtype is of floats, whatever it is filled with
linspace    version 8      100 steps where none are given
logspace    version 9      100 steps where none are given
gelu        version 10     there is no approximation to choose: the exact one
==========  =============  ====================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scriptmode.ir import types as T
from scriptmode.ir.graph import Value
from scriptmode.torchscript.aten_calls import call_aten
from scriptmode.torchscript.emitter import Emitter
from scriptmode.torchscript.ops.conversions import to_float

OLDEST, NEWEST = 1, 10
Call = tuple[str, Sequence[Value], Mapping[str, Value]]


def upgraded(
    e: Emitter, version: int, name: str, args: Sequence[Value], kwargs: Mapping[str, Value]
) -> Call | Value | None:
    """What an op of a file of ``version`` is today; None when it is the same."""
    if name in ("div", "div_") and version < 4:
        return _div(e, name, args, kwargs)
    if name == "full" and version < 5:
        return _full(e, name, args, kwargs)
    if (name == "linspace" and version < 8) or (name == "logspace" and version < 9):
        return _spaced(e, name, args, kwargs)
    if name == "gelu" and version < 10 and len(args) == 1 and not kwargs:
        return name, args, {"approximate": e.constant("none")}
    return None


def _div(
    e: Emitter, name: str, args: Sequence[Value], kwargs: Mapping[str, Value]
) -> Call | Value | None:
    """True division where some operand is of floats, else one that is rounded towards zero."""
    whole = [*args, *(kwargs[n] for n in ("other",) if n in kwargs)]
    if len(whole) != 2 or whole[0].type != T.TENSOR or set(kwargs) - {"other", "out"}:
        return None
    base, other = whole
    condition = _is_floating(e, base)
    if other.type == T.TENSOR:
        condition = e.op("bool::or", condition, _is_floating(e, other))
    elif other.type == T.FLOAT:
        condition = e.constant(True)
    elif other.type != T.INT:
        is_float = e.builder.node("prim::isinstance", [other], [T.BOOL], types=(T.FLOAT,)).output
        condition = e.op("bool::or", condition, is_float)
    out = {n: v for n, v in kwargs.items() if n == "out"}
    truncating = {**out, "rounding_mode": e.constant("trunc")}
    return e.choose(
        condition,
        lambda: call_aten(e, name, whole, out),
        lambda: call_aten(e, name, whole, truncating),
    )


def _is_floating(e: Emitter, tensor: Value) -> Value:
    return e.op("aten::is_floating_point", tensor)


def _full(e: Emitter, name: str, args: Sequence[Value], kwargs: Mapping[str, Value]) -> Call | None:
    """The number as a float, unless a dtype is asked for."""
    names = ("size", "fill_value")
    found = dict(zip(names, args, strict=False)) | dict(kwargs)
    dtype = found.get("dtype")
    if len(args) > len(names) or "fill_value" not in found or "out" in found:
        return None
    if dtype is not None and dtype.type != T.NONE:
        if dtype.type == T.INT:
            return None
        raise e.problem("an old `full` with a dtype that may be None")
    found["fill_value"] = to_float(e, found["fill_value"])
    return name, [], found


def _spaced(
    e: Emitter, name: str, args: Sequence[Value], kwargs: Mapping[str, Value]
) -> Call | None:
    """100 steps where none are given."""
    given = args[2] if len(args) > 2 else kwargs.get("steps")
    if given is None:
        return name, args, {**kwargs, "steps": e.constant(100)}
    if T.is_optional(given.type):
        steps = e.choose(
            e.builder.node("prim::is_none", [given], [T.BOOL]).output,
            lambda: e.constant(100),
            lambda: e.fit(given, T.INT) if given.type != T.NONE else e.constant(100),
        )
        if len(args) > 2:
            return name, [*args[:2], steps, *args[3:]], kwargs
        return name, args, {**kwargs, "steps": steps}
    return None
