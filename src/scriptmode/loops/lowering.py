"""The table of lowerings: how an op of torch becomes lazy tensors and stages.

::

    @lowers("aten::neg")
    def neg(k: KernelBuilder, out: TensorFact, x: Lazy) -> Lazy:
        return elementwise(lambda a: apply("neg", a), out.dtype, out.shape, x)

A lowering gets the builder, the fact of the result (a tuple of facts where there are several), and
the op's arguments: a ``Lazy`` for a tensor, a Python value for a constant, an ``Expr`` for a number
that is known when the kernel runs, lists of these.  It raises ``NotLowered`` for what it has no
form for; the op then stays torch's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from scriptmode.loops.expr import Expr
from scriptmode.loops.kernel import Lazy, NotLowered

Lowering = Callable[..., Any]
F = TypeVar("F", bound=Lowering)

_LOWERINGS: dict[str, Lowering] = {}


def lowers(*kinds: str) -> Callable[[F], F]:
    """Register a lowering for the ops of ``kinds``."""

    def register(lowering: F) -> F:
        for kind in kinds:
            assert kind not in _LOWERINGS, f"{kind} has a lowering"
            _LOWERINGS[kind] = lowering
        return lowering

    return register


def find(kind: str) -> Lowering | None:
    """The lowering of an op."""
    return _LOWERINGS.get(kind)


def lowered_kinds() -> list[str]:
    """All ops with a lowering, sorted."""
    return sorted(_LOWERINGS)


def fixed(value: Any) -> Any:
    """An argument that must be a constant; NotLowered where it is known at run time only."""
    if isinstance(value, (Expr, Lazy)):
        raise NotLowered("an argument is not a constant")
    if isinstance(value, (list, tuple)):
        return [fixed(v) for v in value]
    return value


def wrap(dim: Any, rank: int) -> int:
    """A dimension, counted from the front."""
    dim = fixed(dim)
    rank = max(rank, 1)
    if not -rank <= dim < rank:
        raise NotLowered("a dimension is out of range")
    return int(dim % rank)
