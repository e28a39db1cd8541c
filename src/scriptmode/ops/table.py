"""The op table: every op that is not ATen's, declared once.

An op is declared by its schema, its effects and its *reference meaning*, an ordinary Python
function used by the interpreter and by constant folding only::

    @op("str::split(str self, str? sep=None, int maxsplit=-1) -> str[]", raises=[ValueError])
    def split(self, sep, maxsplit):
        return self.split(sep, maxsplit)

Effects are what dead code elimination, CSE and code motion ask for.  ``(a!)`` in the schema says
that an argument is written; ``Effect.READS`` that the result depends on memory which a write may
change.  An unknown op is treated as doing everything.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from scriptmode.ir.schema import OpSchema, parse_schema


class Effect(enum.Flag):
    """What an op does besides computing its results."""

    PURE = 0
    READS = enum.auto()  # the result depends on mutable memory reachable from the inputs
    WRITES = enum.auto()  # writes memory reachable from the inputs
    RAISES = enum.auto()  # may raise
    IO = enum.auto()  # visible outside: print, warnings, random numbers, host calls
    ALLOCATES = enum.auto()  # the result is a new mutable object: two calls must not be merged


EVERYTHING = Effect.READS | Effect.WRITES | Effect.RAISES | Effect.IO


@dataclass(frozen=True)
class OpDef:
    """A declared op; ``meaning`` takes the schema's arguments in order."""

    schema: OpSchema
    effects: Effect
    raises: tuple[type[BaseException], ...]
    meaning: Callable[..., Any]

    @property
    def is_pure(self) -> bool:
        """Whether unused results make the op removable (it may still allocate)."""
        return not self.effects & ~Effect.ALLOCATES


_OPS: dict[str, list[OpDef]] = {}


def op(
    schema: str, *, effects: Effect = Effect.PURE, raises: Iterable[type[BaseException]] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare an op; effects that the schema and ``raises`` imply are added."""
    parsed = parse_schema(schema)
    exceptions = tuple(raises)
    if exceptions:
        effects |= Effect.RAISES
    if parsed.is_mutable:
        effects |= Effect.WRITES

    def declare(meaning: Callable[..., Any]) -> Callable[..., Any]:
        overloads = _OPS.setdefault(parsed.name, [])
        assert all(o.schema.overload != parsed.overload for o in overloads), f"{schema} is declared"
        overloads.append(OpDef(parsed, effects, exceptions, meaning))
        return meaning

    return declare


def op_family(schemas: Sequence[str], meaning: Callable[..., Any], **options: Any) -> None:
    """Declare several ops with one meaning."""
    for schema in schemas:
        op(schema, **options)(meaning)


def overloads(name: str) -> list[OpDef]:
    """All overloads of the op called ``name`` (``int::add``)."""
    return _OPS.get(name, [])


def find(kind: str) -> OpDef | None:
    """The op that a node of ``kind`` (``int::add``, ``x::y.overload``) stands for."""
    name, _, overload = kind.partition(".")
    for definition in _OPS.get(name, ()):
        if definition.schema.overload == overload:
            return definition
    return None


def all_ops() -> list[OpDef]:
    """Every declared op, by name."""
    return [d for name in sorted(_OPS) for d in _OPS[name]]
