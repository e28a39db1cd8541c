"""The table of push-forwards: what the tangent of an argument adds to that of the result.

::

    linear("aten::mm", "self", "mat2")          # the op itself, with the tangent in its place

    diagonal("aten::tanh", conjugate=True)      # the rule for cotangents is one for tangents

    @jvp("aten::softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor", "self")
    def softmax(tangent: Tensor, result: Tensor, dim: int) -> Tensor:
        return result * (tangent - (result * tangent).sum([dim], True))

An elementwise function multiplies by its slope in either direction, so that ``diagonal`` takes its
rules for cotangents (see rule); those multiply by the conjugate of the slope, which ``conjugate``
undoes.  The parameters of functions are those of these rules, with ``tangent`` for that of the
argument; they give the tangent of result 0.

What several arguments add is summed.  ``is_partial``: alone, it may lack dimensions in which the
result is broadcast, or have another dtype.  Ops that are not in the table are pushed forward by
torch (see pushed).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scriptmode.autodiff.rule import Rule, not_in_place, read_rule, rules_of
from scriptmode.ops.aten import schema_of


@dataclass(frozen=True)
class Tangent:
    """What one argument adds; without ``rule``, the op itself with the tangent in its place."""

    rule: Rule | None = None
    is_partial: bool = False
    is_conjugated: bool = False


_TANGENTS: dict[str, dict[str, Tangent]] = {}


def jvp(
    schema: str, of: str, *, is_partial: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter a rule: what the tangent of argument ``of`` adds for the op of this schema.

    Raises ValueError for a schema that torch does not have, an argument that the op does not have,
    a parameter that stands for nothing, and a second rule for the same.
    """

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        rule = read_rule(schema, function, (of,))
        if rule is not None:
            _enter(schema.partition("(")[0], of, Tangent(rule, is_partial))
        return function

    return enter


def linear(kind: str, *of: str) -> None:
    """Enter an op that is linear in each of these arguments; raises ValueError as ``jvp`` does."""
    schema = schema_of(kind)
    if schema is None:
        return  # an op of another version of torch
    for name in of:
        if name not in [a.name for a in schema.arguments]:
            raise ValueError(f"{kind} has no argument {name!r}")
        _enter(kind, name, Tangent())


def diagonal(*kinds: str, conjugate: bool = False, is_partial: bool = False) -> None:
    """Enter elementwise ops with their rules for cotangents; those that others entered stay.

    Raises ValueError for an op without such rules.
    """
    for kind in kinds:
        if schema_of(kind) is None:
            continue
        rules = rules_of(kind)
        if not rules:
            raise ValueError(f"{kind} has no rules for cotangents")
        for name, rule in rules.items():
            if name not in _TANGENTS.get(kind, {}):
                _enter(kind, name, Tangent(rule, is_partial, conjugate))


def _enter(kind: str, of: str, tangent: Tangent) -> None:
    known = _TANGENTS.setdefault(kind, {})
    if of in known:
        raise ValueError(f"{kind} has a rule for the tangent of {of} already")
    known[of] = tangent


def tangents_of(kind: str) -> Mapping[str, Tangent]:
    """The rules of an op, by argument; those of an op in place are of the one that is not."""
    return _TANGENTS.get(not_in_place(kind), {})


def all_tangents() -> Mapping[str, Mapping[str, Tangent]]:
    """Every rule, by kind and argument."""
    return dict(sorted(_TANGENTS.items()))
