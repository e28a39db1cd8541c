"""What is learnt of generators while a unit is compiled; it outlives the attempts."""

from __future__ import annotations

import ast
from collections.abc import Hashable
from dataclasses import dataclass, field

from scriptmode.frontend.script.source import FunctionSource
from scriptmode.frontend.script.trees import kept, walk
from scriptmode.ir import types as T

NEXT = "next"  # called without a default


@dataclass
class GeneratorFacts:
    """Facts about the code of generators, by its key, and about what may end iterators."""

    thrown_into: set[Hashable] = field(default_factory=set)
    sent: dict[Hashable, T.Type] = field(default_factory=dict)
    starved: set[Hashable] = field(default_factory=set)  # nothing is known to be sent, yet used
    needs_sent: set[Hashable] = field(default_factory=set)  # a `yield` is never given None
    sources: dict[int, FunctionSource] = field(default_factory=dict)  # of the program's functions
    stopping: set[str] = field(default_factory=set)  # names of what may raise StopIteration
    asked: list[frozenset[str]] = field(default_factory=list)  # of which it was said that none may

    def note_source(self, source: FunctionSource) -> bool:
        """A function of the program; whether its calls make an answer of ``may_stop`` wrong."""
        if id(source) in self.sources:
            return False
        self.sources[id(source)] = source
        return bool(self.stopping) and self._is_wrong()

    def note_stop(self, source: FunctionSource, is_caught: bool) -> bool:
        """A function raises StopIteration; whether that makes an answer of ``may_stop`` wrong."""
        names = {NEXT, "__next__"} if is_caught else {NEXT, "__next__", _name(source)}
        if names <= self.stopping:
            return False
        self.stopping |= names
        return self._is_wrong()

    def _is_wrong(self) -> bool:
        before, self.asked = self.asked, []
        return any(self.may_stop(names) for names in before)

    def may_stop(self, names: frozenset[str]) -> bool:
        """Whether one of the functions of these names may raise StopIteration."""
        if self.stopping and not self.stopping.isdisjoint(self._reached(names)):
            return True
        self.asked.append(names)
        return False

    def _reached(self, names: frozenset[str]) -> set[str]:
        """``names``, and those of what these functions call, and so on."""
        found, new = set[str](), set(names)
        while new:
            found |= new
            called = [called_names(s.node) for s in self.sources.values() if _name(s) in new]
            # a function that lets the StopIteration of a `next` out is known by its own name
            new = set[str]().union(*called) - found - {NEXT, "__next__"}
        return found


def _name(source: FunctionSource) -> str:
    return source.qualname.rpartition(".")[2]


@kept
def called_names(node: ast.AST) -> frozenset[str]:
    """The last names of what is called inside; ``next`` where it has no default."""
    found = set()
    for inner in walk(node):
        if not isinstance(inner, ast.Call):
            continue
        match inner.func:
            case ast.Name(id="next") if len(inner.args) > 1:
                pass
            case ast.Name(id=name) | ast.Attribute(attr=name):
                found.add(name)
    return frozenset(found)
