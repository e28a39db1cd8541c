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

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, TypeVar

from scriptmode.loops.expr import Expr
from scriptmode.loops.kernel import Lazy, NotLowered

Lowering = Callable[..., Any]
F = TypeVar("F", bound=Lowering)

_LOWERINGS: dict[str, Lowering] = {}
_ALONE: dict[str, Lowering] = {}  # of ops that are better left to torch where there is one
_HAS_TORCH: ContextVar[bool] = ContextVar("has_torch", default=True)


def lowers(*kinds: str) -> Callable[[F], F]:
    """Register a lowering for the ops of ``kinds``."""

    def register(lowering: F) -> F:
        for kind in kinds:
            assert kind not in _LOWERINGS, f"{kind} has a lowering"
            _LOWERINGS[kind] = lowering
        return lowering

    return register


def lowers_alone(*kinds: str) -> Callable[[F], F]:
    """Register a lowering that is found only inside of ``without_torch``."""

    def register(lowering: F) -> F:
        _ALONE.update(dict.fromkeys(kinds, lowering))
        return lowering

    return register


@contextlib.contextmanager
def without_torch() -> Iterator[None]:
    """Inside of the block, in this thread, kernels are made for code that has no torch."""
    token = _HAS_TORCH.set(False)
    try:
        yield
    finally:
        _HAS_TORCH.reset(token)


def has_torch() -> bool:
    """Whether the code that is made runs beside torch."""
    return _HAS_TORCH.get()


def find(kind: str) -> Lowering | None:
    """The lowering of an op."""
    found = _LOWERINGS.get(kind)
    return _ALONE.get(kind) if found is None and not _HAS_TORCH.get() else found


def lowered_kinds() -> list[str]:
    """All ops with a lowering, sorted."""
    return sorted(_LOWERINGS if _HAS_TORCH.get() else _LOWERINGS | _ALONE)


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
