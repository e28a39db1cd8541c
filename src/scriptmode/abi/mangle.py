"""Itanium C++ mangling of the few kinds of names and types that libtorch's operators use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_BASE36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class CxxName:
    """Base of the C++ types that can be mangled; frozen, so equal types are equal keys."""


@dataclass(frozen=True)
class Builtin(CxxName):
    """A fundamental type, by its one-letter code."""

    code: str


@dataclass(frozen=True)
class Literal(CxxName):
    """A non-type template argument of type unsigned long."""

    value: int


@dataclass(frozen=True)
class Named(CxxName):
    """A class or enumeration: namespace ("std" abbreviates to St), name, template arguments."""

    namespace: str
    name: str
    arguments: tuple[CxxName, ...] = ()


@dataclass(frozen=True)
class Qualified(CxxName):
    """``inner const`` (code K) or ``inner&`` (code R)."""

    code: str
    inner: CxxName


def const_ref(inner: CxxName) -> CxxName:
    """``inner const&``."""
    return Qualified("R", Qualified("K", inner))


def mutable_ref(inner: CxxName) -> CxxName:
    """``inner&``."""
    return Qualified("R", inner)


class _Mangler:
    """Holds the substitution dictionary of one symbol."""

    def __init__(self) -> None:
        self.known: dict[object, int] = {}

    def remember(self, key: object) -> None:
        self.known.setdefault(key, len(self.known))

    def substitution(self, key: object) -> str | None:
        index = self.known.get(key)
        if index is None:
            return None
        return "S_" if index == 0 else f"S{_base36(index - 1)}_"

    def prefix(self, parts: tuple[str, ...]) -> str:
        """A namespace or class prefix, outermost first."""
        found = self.substitution(parts)
        if found is not None:
            return found
        head = self.prefix(parts[:-1]) if len(parts) > 1 else ""
        self.remember(parts)
        return f"{head}{_source(parts[-1])}"

    def type(self, t: CxxName) -> str:
        if isinstance(t, Builtin):
            return t.code
        if isinstance(t, Literal):
            return f"Lm{t.value}E"
        found = self.substitution(t)
        if found is not None:
            return found
        if isinstance(t, Qualified):
            text = t.code + self.type(t.inner)
        elif isinstance(t, Named):
            text = self.named(t)
        else:
            raise TypeError(f"cannot mangle {t!r}")
        self.remember(t)
        return text

    def named(self, t: Named) -> str:
        if t.namespace == "std":
            return self.template(t, f"St{_source(t.name)}")
        template = self.substitution(("template", t.namespace, t.name))
        if template is not None and t.arguments:
            return f"N{template}{self.arguments(t)}E"
        head = self.prefix((t.namespace,)) + _source(t.name)
        if not t.arguments:
            return f"N{head}E"
        return f"N{self.template(t, head)}E"

    def template(self, t: Named, head: str) -> str:
        key = ("template", t.namespace, t.name)
        found = self.substitution(key)
        if found is None:
            self.remember(key)
            found = head
        return found + self.arguments(t)

    def arguments(self, t: Named) -> str:
        return f"I{''.join(self.type(a) for a in t.arguments)}E"


def _base36(number: int) -> str:
    head = _base36(number // 36) if number >= 36 else ""
    return head + _BASE36[number % 36]


def _source(name: str) -> str:
    return f"{len(name)}{name}"


def mangle_function(path: Sequence[str], parameters: Sequence[CxxName]) -> str:
    """Symbol of the function ``path[0]::path[1]::...`` with these parameter types."""
    mangler = _Mangler()
    prefix = mangler.prefix(tuple(path[:-1]))
    types = "".join(mangler.type(p) for p in parameters) or "v"
    return f"_ZN{prefix}{_source(path[-1])}E{types}"
