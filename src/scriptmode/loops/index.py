"""Index arithmetic: sums of loop variables times constants.

An ``Affine`` is ``constant + sum(coefficient * term)``.  A term is a loop variable, a quotient or
remainder of an affine index by a constant (what a reshape that merges dimensions leaves), or an
integer that is only known when the kernel runs (``Known``: an argument; ``Element``: read from
memory).  Terms are compared by identity, elements by what computes them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

_serial = itertools.count()


class Term:
    """A part of an index; ``low`` and ``high`` bound its values, both inclusive."""

    __slots__ = ("high", "low", "serial")

    def __init__(self, low: int, high: int) -> None:
        self.low = low
        self.high = high
        self.serial = next(_serial)


class Var(Term):
    """A loop variable, from 0 to ``extent - 1``."""

    __slots__ = ("extent", "name")

    def __init__(self, name: str, extent: int) -> None:
        super().__init__(0, max(extent - 1, 0))
        self.name = name
        self.extent = extent

    def __repr__(self) -> str:
        return self.name


class Quotient(Term):
    """``value // divisor`` of a value that is never negative."""

    __slots__ = ("divisor", "value")

    def __init__(self, value: Affine, divisor: int) -> None:
        low, high = value.bounds
        super().__init__(low // divisor, high // divisor)
        self.value = value
        self.divisor = divisor

    def __repr__(self) -> str:
        return f"({self.value}) // {self.divisor}"


class Remainder(Term):
    """``value % divisor`` of a value that is never negative."""

    __slots__ = ("divisor", "value")

    def __init__(self, value: Affine, divisor: int) -> None:
        super().__init__(0, divisor - 1)
        self.value = value
        self.divisor = divisor

    def __repr__(self) -> str:
        return f"({self.value}) % {self.divisor}"


class Known(Term):
    """An integer argument of the kernel, checked to lie within the bounds when it starts."""

    __slots__ = ("name",)

    def __init__(self, name: str, low: int, high: int) -> None:
        super().__init__(low, high)
        self.name = name

    def __repr__(self) -> str:
        return self.name


class Element(Term):
    """An index that an expression computes (a gather), which lies within the bounds."""

    __slots__ = ("value",)

    def __init__(self, value: Any, low: int, high: int) -> None:
        super().__init__(low, high)
        self.value = value  # an Expr of dtype int64

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Element):
            return NotImplemented
        return self.value is other.value and (self.low, self.high) == (other.low, other.high)

    def __hash__(self) -> int:
        return hash((id(self.value), self.low, self.high))

    def __repr__(self) -> str:
        return f"[{self.value}]"


@dataclass(frozen=True)
class Affine:
    """``constant + sum(coefficient * term)``, terms in order of their making."""

    constant: int = 0
    parts: tuple[tuple[Term, int], ...] = field(default=())

    @staticmethod
    def of(term: Term) -> Affine:
        """One term."""
        return Affine(0, ((term, 1),))

    @staticmethod
    def sum(constant: int, parts: Iterable[tuple[Term, int]]) -> Affine:
        """Like terms are added up, and ``d * (x // d) + x % d`` is ``x``."""
        found: dict[Term, int] = {}
        for term, coefficient in parts:
            found[term] = found.get(term, 0) + coefficient
        for term in list(found):
            if not isinstance(term, Remainder) or not found.get(term):
                continue
            factor = found[term]
            for other in list(found):
                if (
                    isinstance(other, Quotient)
                    and other.divisor == term.divisor
                    and other.value == term.value
                    and found[other] == factor * term.divisor
                ):
                    del found[other], found[term]
                    whole = term.value * factor
                    return Affine.sum(constant + whole.constant, [*found.items(), *whole.parts])
        kept = [(t, c) for t, c in found.items() if (c and t.high > 0) or (c and t.low < 0)]
        return Affine(constant, tuple(sorted(kept, key=lambda part: part[0].serial)))

    def __add__(self, other: Affine | int) -> Affine:
        if isinstance(other, int):
            return Affine(self.constant + other, self.parts)
        return Affine.sum(self.constant + other.constant, [*self.parts, *other.parts])

    def __mul__(self, factor: int) -> Affine:
        if factor == 0:
            return Affine()
        return Affine(self.constant * factor, tuple((t, c * factor) for t, c in self.parts))

    @property
    def bounds(self) -> tuple[int, int]:
        """The least and the greatest value that it may have."""
        low = high = self.constant
        for term, coefficient in self.parts:
            ends = (term.low * coefficient, term.high * coefficient)
            low, high = low + min(ends), high + max(ends)
        return low, high

    def coefficient(self, term: Term) -> int:
        """Of ``term`` itself; quotients and remainders that hold it do not count."""
        return next((c for t, c in self.parts if t is term), 0)

    def without(self, term: Term) -> Affine:
        """The rest of the sum."""
        return Affine(self.constant, tuple(p for p in self.parts if p[0] is not term))

    @property
    def is_constant(self) -> bool:
        """Whether no term is left."""
        return not self.parts

    def divided(self, divisor: int) -> Affine:
        """``self // divisor``; self must not be negative."""
        low, high = self.bounds
        assert low >= 0, "only indices are divided"
        if divisor == 1:
            return self
        if high < divisor:
            return Affine()
        whole = [(t, c) for t, c in self.parts if c % divisor == 0]
        rest = Affine(self.constant % divisor, tuple(p for p in self.parts if p[1] % divisor != 0))
        low, high = rest.bounds
        if low >= 0 and high < divisor:
            parts = [(t, c // divisor) for t, c in whole]
            return Affine.sum(self.constant // divisor, parts)
        return Affine.of(Quotient(self, divisor))

    def modulo(self, divisor: int) -> Affine:
        """``self % divisor``; self must not be negative."""
        low, high = self.bounds
        assert low >= 0, "only indices are divided"
        if divisor == 1:
            return Affine()
        if high < divisor:
            return self
        rest = Affine(self.constant % divisor, tuple(p for p in self.parts if p[1] % divisor != 0))
        low, high = rest.bounds
        if low >= 0 and high < divisor:
            return rest
        return Affine.of(Remainder(self, divisor))

    def substitute(self, mapping: Mapping[Term, Affine]) -> Affine:
        """With terms replaced, inside quotients too."""
        result = Affine(self.constant)
        for term, coefficient in self.parts:
            result = result + replaced(term, mapping) * coefficient
        return result

    def __str__(self) -> str:
        texts = [f"{t}" if c == 1 else f"{c}*{t}" for t, c in self.parts]
        if self.constant or not texts:
            texts.append(str(self.constant))
        return " + ".join(texts)


def replaced(term: Term, mapping: Mapping[Term, Affine]) -> Affine:
    """What becomes of one term when others are replaced."""
    if term in mapping:
        return mapping[term]
    if isinstance(term, Quotient):
        value = term.value.substitute(mapping)
        return Affine.of(term) if value == term.value else value.divided(term.divisor)
    if isinstance(term, Remainder):
        value = term.value.substitute(mapping)
        return Affine.of(term) if value == term.value else value.modulo(term.divisor)
    if isinstance(term, Element):
        value = term.value.substitute(mapping)
        same = value is term.value
        return Affine.of(term if same else Element(value, term.low, term.high))
    return Affine.of(term)


def with_elements(index: Affine, change: Callable[[Any], Any]) -> Affine:
    """An index whose gathered parts are computed by what ``change`` gives of their expressions."""
    if not any(isinstance(term, (Element, Quotient, Remainder)) for term, _ in index.parts):
        return index
    result = Affine(index.constant)
    for term, coefficient in index.parts:
        found = Affine.of(term)
        if isinstance(term, Element):
            value = change(term.value)
            if value is not term.value:
                found = Affine.of(Element(value, term.low, term.high))
        elif isinstance(term, (Quotient, Remainder)):
            value = with_elements(term.value, change)
            if value != term.value:
                is_quotient = isinstance(term, Quotient)
                found = (value.divided if is_quotient else value.modulo)(term.divisor)
        result = result + found * coefficient
    return result


def linear(indices: Iterable[Affine], strides: Iterable[int], start: int = 0) -> Affine:
    """The offset of an element."""
    result = Affine(start)
    for index, stride in zip(indices, strides, strict=True):
        result = result + index * stride
    return result


def mentions(index: Affine, term: Term) -> bool:
    """Whether ``term`` is anywhere in ``index``."""
    for part, _ in index.parts:
        if part is term:
            return True
        if isinstance(part, (Quotient, Remainder)) and mentions(part.value, term):
            return True
        if isinstance(part, Element) and part.value.mentions(term):
            return True
    return False
