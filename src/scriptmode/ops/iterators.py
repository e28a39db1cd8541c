"""What an ``Iterator[T]`` is to the reference interpreter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from scriptmode.ops.table import Effect, op


class Iteration:
    """A Python iterator with the element it stands at."""

    def __init__(self, source: Iterable[Any]) -> None:
        self.iterator = iter(source)
        self.current: Any = None

    def __iter__(self) -> Iterator[Any]:
        return self.iterator

    def advance(self) -> bool:
        """Move to the next element; whether there is one."""
        for item in self.iterator:
            self.current = item
            return True
        return False


NEW = Effect.READS | Effect.ALLOCATES

op("list::reversed(t[] self) -> Iterator(t)", effects=NEW)(lambda self: Iteration(reversed(self)))
op("dict::iter_keys(Dict(k, v) self) -> Iterator(k)", effects=NEW)(Iteration)
op("dict::iter_values(Dict(k, v) self) -> Iterator(v)", effects=NEW)(
    lambda self: Iteration(self.values())
)
op("dict::iter_items(Dict(k, v) self) -> Iterator(Tuple(k, v))", effects=NEW)(
    lambda self: Iteration(self.items())
)
op("dict::reversed_keys(Dict(k, v) self) -> Iterator(k)", effects=NEW)(
    lambda self: Iteration(reversed(self))
)
op("dict::reversed_values(Dict(k, v) self) -> Iterator(v)", effects=NEW)(
    lambda self: Iteration(reversed(self.values()))
)
op("dict::reversed_items(Dict(k, v) self) -> Iterator(Tuple(k, v))", effects=NEW)(
    lambda self: Iteration(reversed(self.items()))
)
op("set::iter(Set(t) self) -> Iterator(t)", effects=NEW)(Iteration)
op("deque::iter(Deque(t) self) -> Iterator(t)", effects=NEW)(Iteration)
op("deque::reversed(Deque(t) self) -> Iterator(t)", effects=NEW)(
    lambda self: Iteration(reversed(self))
)
op("bytes::iter(bytes self) -> Iterator(int)", effects=Effect.ALLOCATES)(Iteration)
op("iterator::advance(Iterator(t)(a!) self) -> bool", raises=[RuntimeError])(Iteration.advance)
# only after an advance: it is not to be moved before one, as what cannot raise may be
op("iterator::current(Iterator(t) self) -> t", effects=Effect.READS, raises=[RuntimeError])(
    lambda self: self.current
)
