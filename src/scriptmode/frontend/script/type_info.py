"""``torch.finfo`` and ``torch.iinfo``, of dtypes known at compile time or at run time only."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import cache
from typing import Any

import torch

from scriptmode.frontend.script.arguments import take
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.flow import choose, choose_value, when
from scriptmode.frontend.script.handlers import ATTRIBUTES, OBJECT_CALLS, ObjectCall
from scriptmode.frontend.script.values import Arguments, Constant, IRValue, PythonObject, Sugared
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value
from scriptmode.ops.scalars import INT_MAX, INT_MIN

_COMMON = (torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.int32)


@cache
def _known(cls: type) -> dict[torch.dtype, Any]:
    """Every dtype that ``cls`` describes, frequent ones first."""
    every = {d: None for d in vars(torch).values() if isinstance(d, torch.dtype)}
    found: dict[torch.dtype, Any] = {}
    for dtype in (*_COMMON, *every):
        try:
            found[dtype] = cls(dtype)
        except (TypeError, NotImplementedError):
            continue
    return found


class TypeInfo(Sugared):
    """``torch.finfo(dtype)`` or ``torch.iinfo(dtype)``; the dtype is one that the class takes."""

    def __init__(self, cls: type, dtype: Sugared) -> None:
        self.cls = cls
        self.dtype = dtype

    def parts(self) -> tuple[Sugared, ...]:
        return (self.dtype,)

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        return TypeInfo(self.cls, parts[0])

    def key(self) -> Hashable:
        return ("type info", self.cls)

    def describe(self) -> str:
        return f"a torch.{self.cls.__name__} object"


def _make(cls: type) -> ObjectCall:
    def run(e: Emitter, given: Arguments) -> Sugared:
        (dtype,) = take(e, given, "type", required=int(cls is torch.iinfo))
        if dtype is None:
            dtype = e.op("torch::get_default_dtype")
        if isinstance(dtype, Constant):
            try:
                return PythonObject(cls(dtype.value))
            except (TypeError, NotImplementedError) as error:
                e.raise_error(type(error), str(error))
        if e.type_of(dtype) != T.DTYPE:
            e.fail_type(f"torch.{cls.__name__} of {dtype.describe()}")
        known = _one_of(e, e.value(dtype), list(_known(cls)))
        kind = "a floating point" if cls is torch.finfo else "an integer"
        message = f"torch.{cls.__name__}() requires {kind} input type"
        unknown = e.builder.op("bool::not", known)
        when(e, unknown, lambda: e.raise_error(TypeError, message))
        return TypeInfo(cls, dtype)

    return run


OBJECT_CALLS(torch.finfo)(_make(torch.finfo))
OBJECT_CALLS(torch.iinfo)(_make(torch.iinfo))


def _equals(e: Emitter, dtype: Value, other: torch.dtype) -> Value:
    return e.builder.op("dtype::eq", dtype, e.builder.constant(other, T.DTYPE))


def _one_of(e: Emitter, dtype: Value, candidates: list[torch.dtype]) -> Value:
    if len(candidates) == 1:
        return _equals(e, dtype, candidates[0])
    first = _equals(e, dtype, candidates[0])
    return choose_value(
        e, first, lambda: Constant(True), lambda: IRValue(_one_of(e, dtype, candidates[1:]))
    )


@ATTRIBUTES(TypeInfo)
def _attribute(e: Emitter, value: TypeInfo, name: str) -> Sugared | None:
    candidates = list(_known(value.cls).items())
    if not hasattr(candidates[0][1], name):
        return None
    dtype = e.value(value.dtype)

    def chain(rest: Sequence[tuple[torch.dtype, Any]]) -> Sugared:
        (first, info), *others = rest
        if not others:
            return _read(e, info, name)
        return choose(
            e, _equals(e, dtype, first), lambda: _read(e, info, name), lambda: chain(others)
        )

    return chain(candidates)


def _read(e: Emitter, info: Any, name: str) -> Sugared:
    try:
        found = getattr(info, name)
    except (RuntimeError, NotImplementedError) as error:
        e.raise_error(type(error), str(error))
    if isinstance(found, int) and not INT_MIN <= found <= INT_MAX:
        e.raise_error(OverflowError, f"{name} of {info.dtype} does not fit 64 bits")
    return Constant(found)
