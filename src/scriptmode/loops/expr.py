"""What is computed for one element: trees over loads, constants and elementary functions.

Expressions are made once: equal ones are the same object (within a thread, until ``forget``), so
that what several results share is computed once per element.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from scriptmode.loops.index import (
    Affine,
    Element,
    Quotient,
    Remainder,
    Term,
    mentions,
    with_elements,
)


@dataclass(eq=False)
class Buffer:
    """Memory of elements of one dtype.

    ``role``: "input" and "output" are arguments of the kernel, "temporary" memory is its own, and
    "written" is the memory of ``base`` after it was written in place.
    ``size`` counts elements from the first to the last that is used.
    """

    name: str
    dtype: torch.dtype
    size: int
    role: str
    base: Buffer | None = None

    @property
    def memory(self) -> Buffer:
        """The buffer of which this is a version."""
        return self if self.base is None else self.base

    def __repr__(self) -> str:
        return self.name


class Expr:
    """Base of expressions; ``dtype`` is that of the value."""

    __slots__ = ("dtype",)
    dtype: torch.dtype

    @property
    def operands(self) -> tuple[Expr, ...]:
        """Expressions directly inside."""
        return ()

    def substitute(self, mapping: Mapping[Term, Affine]) -> Expr:
        """With loop variables replaced."""
        return self

    def mentions(self, term: Term) -> bool:
        """Whether the value depends on a loop variable."""
        return any(o.mentions(term) for o in self.operands)


class Const(Expr):
    """A number."""

    __slots__ = ("value",)

    def __init__(self, value: Any, dtype: torch.dtype) -> None:
        self.value, self.dtype = value, dtype

    def __repr__(self) -> str:
        return repr(self.value)


class Argument(Expr):
    """A number that the kernel is given: int64, float64 or bool."""

    __slots__ = ("name",)

    def __init__(self, name: str, dtype: torch.dtype) -> None:
        self.name, self.dtype = name, dtype

    def __repr__(self) -> str:
        return self.name


class Load(Expr):
    """An element of a buffer."""

    __slots__ = ("buffer", "offset")

    def __init__(self, buffer: Buffer, offset: Affine) -> None:
        self.buffer, self.offset, self.dtype = buffer, offset, buffer.dtype

    def substitute(self, mapping: Mapping[Term, Affine]) -> Expr:
        offset = self.offset.substitute(mapping)
        return self if offset == self.offset else load(self.buffer, offset)

    def mentions(self, term: Term) -> bool:
        return mentions(self.offset, term)

    def __repr__(self) -> str:
        return f"{self.buffer}[{self.offset}]"


class Position(Expr):
    """An index as an int64 value."""

    __slots__ = ("index",)

    def __init__(self, index: Affine) -> None:
        self.index, self.dtype = index, torch.int64

    def substitute(self, mapping: Mapping[Term, Affine]) -> Expr:
        return position(self.index.substitute(mapping))

    def mentions(self, term: Term) -> bool:
        return mentions(self.index, term)

    def __repr__(self) -> str:
        return f"({self.index})"


class Apply(Expr):
    """An elementary function of other expressions; ``cast`` converts to its dtype."""

    __slots__ = ("_operands", "name")

    def __init__(self, name: str, operands: tuple[Expr, ...], dtype: torch.dtype) -> None:
        self.name, self._operands, self.dtype = name, operands, dtype

    @property
    def operands(self) -> tuple[Expr, ...]:
        return self._operands

    def substitute(self, mapping: Mapping[Term, Affine]) -> Expr:
        operands = [o.substitute(mapping) for o in self._operands]
        if all(a is b for a, b in zip(operands, self._operands, strict=True)):
            return self
        return apply(self.name, *operands, dtype=self.dtype)

    def __repr__(self) -> str:
        inner = ", ".join(map(repr, self._operands))
        if self.name == "cast":
            return f"{str(self.dtype).removeprefix('torch.')}({inner})"
        return f"{self.name}({inner})"


class _Table(threading.local):
    def __init__(self) -> None:
        self.known: dict[Any, Expr] = {}


_TABLE = _Table()


def forget() -> None:
    """Drop the table of known expressions; at the end of a kernel."""
    _TABLE.known.clear()


def _once(key: Any, make: Callable[[], Expr]) -> Any:
    found = _TABLE.known.get(key)
    if found is None:
        found = _TABLE.known[key] = make()
    return found


def const(value: Any, dtype: torch.dtype) -> Expr:
    """A number as an element of ``dtype`` is."""
    if dtype.is_floating_point:
        value = float(value)
    elif dtype == torch.bool:
        value = bool(value)
    else:
        value = int(value)
    found: Expr = _once(("const", repr(value), dtype), lambda: Const(value, dtype))
    return found


def argument(name: str, dtype: torch.dtype) -> Expr:
    """A number that the kernel is given."""
    found: Expr = _once(("argument", name), lambda: Argument(name, dtype))
    return found


def load(buffer: Buffer, offset: Affine) -> Expr:
    """An element of ``buffer``."""
    found: Expr = _once(("load", id(buffer), offset), lambda: Load(buffer, offset))
    return found


def position(index: Affine) -> Expr:
    """An index as a value."""
    found: Expr = _once(("position", index), lambda: Position(index))
    return found


def apply(name: str, *operands: Expr, dtype: torch.dtype | None = None) -> Expr:
    """An elementary function; the dtype is the first operand's unless it is given."""
    kind = operands[0].dtype if dtype is None else dtype
    key = ("apply", name, tuple(map(id, operands)), kind)
    found: Expr = _once(key, lambda: Apply(name, operands, kind))
    return found


def cast(value: Expr, dtype: torch.dtype) -> Expr:
    """``value`` as an element of ``dtype``."""
    if value.dtype == dtype:
        return value
    if isinstance(value, Const) and not (dtype == torch.bool or value.dtype.is_floating_point):
        return const(value.value, dtype)
    if isinstance(value, Const) and dtype.is_floating_point:
        return const(value.value, dtype)
    return apply("cast", value, dtype=dtype)


def loads(value: Expr) -> Iterator[Load]:
    """Every load in an expression, those of gathered indices too."""
    seen: set[int] = set()
    pending = [value]
    while pending:
        found = pending.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        if isinstance(found, Load):
            yield found
            pending += gathered(found.offset)
        elif isinstance(found, Position):
            pending += gathered(found.index)
        pending += found.operands


def gathered(index: Affine) -> list[Expr]:
    """The expressions that compute parts of an index."""
    found: list[Expr] = []
    for term, _ in index.parts:
        if isinstance(term, Element):
            found.append(term.value)
        elif isinstance(term, (Quotient, Remainder)):
            found += gathered(term.value)
    return found


def rewritten(value: Expr, change: Callable[[Load], Expr], done: dict[int, Expr]) -> Expr:
    """An expression with ``change`` of its loads, those of gathered indices first."""
    found = done.get(id(value))
    if found is not None:
        return found

    def inner(part: Expr) -> Expr:
        return rewritten(part, change, done)

    found = value
    if isinstance(value, Load):
        found = change(_at(value, with_elements(value.offset, inner)))
    elif isinstance(value, Position):
        index = with_elements(value.index, inner)
        found = value if index == value.index else position(index)
    elif isinstance(value, Apply):
        operands = [inner(o) for o in value.operands]
        if any(a is not b for a, b in zip(operands, value.operands, strict=True)):
            found = apply(value.name, *operands, dtype=value.dtype)
    done[id(value)] = found
    return found


def _at(value: Load, offset: Affine) -> Load:
    if offset == value.offset:
        return value
    found: Load = _once(("load", id(value.buffer), offset), lambda: Load(value.buffer, offset))
    return found


def cost(value: Expr) -> int:
    """Roughly how many instructions a value takes; shared parts count once."""
    seen: set[int] = set()
    total = 0
    pending = [value]
    while pending:
        found = pending.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        total += _COSTS.get(found.name, 1) if isinstance(found, Apply) else 1
        pending += found.operands
    return total


_COSTS = dict.fromkeys(
    [
        "exp", "exp2", "expm1", "log", "log1p", "log2", "log10", "tanh", "sigmoid", "erf", "erfc",
        "gelu", "gelu_tanh", "silu", "sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh",
        "cosh", "pow", "div", "sqrt", "rsqrt", "fmod", "remainder",
    ],
    20,
)  # fmt: skip
