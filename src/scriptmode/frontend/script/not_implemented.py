"""``NotImplemented`` that a method returns on some of its run-time paths.

A method that always gives ``NotImplemented`` is passed over at compile time.  One that may give it
returns a union with the only member of an enumeration that stands for it; who asked tests for that
at run time and goes on with what Python tries next::

    def __add__(self, other):            -> Union[int, Enum<...GivenUp>]
        if self.n > 0:
            return self.n
        return NotImplemented
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from scriptmode.frontend.script.conditions import is_type, members
from scriptmode.frontend.script.flow import choose, narrow
from scriptmode.frontend.script.values import Constant, IRValue, Sugared
from scriptmode.ir import types as T
from scriptmode.ir.graph import Node

if TYPE_CHECKING:
    from scriptmode.frontend.script.emitter import Emitter

Returned = list[tuple[Node, Sugared]]


class GivenUp(enum.Enum):
    """What stands for NotImplemented at run time."""

    NOT_IMPLEMENTED = "NotImplemented"


def is_given_up(value: Sugared) -> bool:
    """Whether a value is NotImplemented, known at compile time."""
    return isinstance(value, Constant) and value.value in (
        NotImplemented, GivenUp.NOT_IMPLEMENTED,
    )  # fmt: skip


def at_run_time(e: Emitter, returned: Sequence[tuple[Node, Sugared]]) -> Returned:
    """What a function returns, NotImplemented as a run-time value where it gives others, too."""
    plain = [v for _, v in returned if not is_given_up(v)]
    if not plain or len(plain) == len(returned) or any(e.type_of(v) is None for v in plain):
        return list(returned)
    found: Returned = []
    for node, value in returned:
        if is_given_up(value):
            block, kind, span = node.block, node.kind, node.span
            assert block is not None
            node.erase()
            value = Constant(GivenUp.NOT_IMPLEMENTED)
            with e.builder.at(block), e.builder.located(span):
                node = block.terminate(kind, [e.value(value)], span)
            e.returned[node] = value
        found.append((node, value))
    return found


def given_up_type(e: Emitter) -> T.Type:
    """The type of NotImplemented at run time."""
    found: T.Type = e.unit.enum_type(GivenUp)
    return found


def may_give_up(e: Emitter, value: Sugared) -> bool:
    """Whether a value may be NotImplemented at run time."""
    t = e.type_of(value)
    return t is not None and given_up_type(e) in members(t)


def or_else(
    e: Emitter, value: Sugared, answer: Callable[[Sugared], Sugared], rest: Callable[[], Sugared]
) -> Sugared:
    """``answer`` of a value that is not NotImplemented; ``rest`` where it is, at run time."""
    if not may_give_up(e, value) or not isinstance(value, IRValue):
        return answer(value)
    others = T.union_of([m for m in members(value.type) if m != given_up_type(e)])
    gave_up = is_type(e, value.value, [given_up_type(e)])
    return choose(e, gave_up, rest, lambda: answer(narrow(e, value, others)))


def mentions(t: T.Type) -> bool:
    """Whether values of a type may be, or hold, NotImplemented."""
    return any(isinstance(i, T.EnumType) and i.python_class is GivenUp for i in T.walk(t))
