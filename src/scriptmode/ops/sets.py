"""Ops on sets, frozensets, deques and bytes, with CPython's meaning.

Results of set operations are of the left operand's class.  A ``values`` argument is a list: what
an iterable that is no set yields.
"""

from __future__ import annotations

import copy
import operator
from collections import deque
from typing import Any

from scriptmode.ops.table import Effect, op

READS, ALLOCATES = Effect.READS, Effect.ALLOCATES
NEW = READS | ALLOCATES

op("set::len(Set(t) self) -> int", effects=READS)(len)
op("set::contains(Set(t) self, u item) -> bool", effects=READS, raises=[TypeError])(
    operator.contains
)
op("set::add(Set(t)(a!) self, t item) -> ()", raises=[TypeError])(set.add)
op("set::discard(Set(t)(a!) self, t item) -> ()", raises=[TypeError])(set.discard)
op("set::remove(Set(t)(a!) self, t item) -> ()", raises=[KeyError])(set.remove)
op("set::pop(Set(t)(a!) self) -> t", raises=[KeyError])(set.pop)
op("set::clear(Set(t)(a!) self) -> ()")(set.clear)
op("set::set(Set(t) self) -> Set(t)", effects=NEW)(set)
op("set::frozenset(Set(t) self) -> FrozenSet(t)", effects=NEW)(frozenset)
op("set::from_list(t[] values) -> Set(t)", effects=NEW, raises=[TypeError])(set)
op("set::frozen_from_list(t[] values) -> FrozenSet(t)", effects=NEW, raises=[TypeError])(frozenset)
op("set::from_keys(Dict(k, v) d) -> Set(k)", effects=NEW)(set)
op("set::frozen_keys(Dict(k, v) d) -> FrozenSet(k)", effects=NEW)(frozenset)
op("set::list(Set(t) self) -> t[]", effects=NEW)(list)
op("set::update(Set(t)(a!) self, Set(t) other) -> ()")(set.update)
op("set::update_list(Set(t)(a!) self, t[] values) -> ()", raises=[TypeError])(set.update)
op("set::update_sized(Set(t)(a!) self, t[] keys) -> ()", raises=[TypeError])(
    lambda self, keys: self.update(dict.fromkeys(keys))
)
for _name in ("union", "intersection", "difference", "symmetric_difference"):
    op(f"set::{_name}(Set(t) self, Set(t) other) -> Set(t)", effects=NEW)(
        lambda self, other, name=_name: getattr(self, name)(other)
    )
for _name in ("intersection", "difference", "symmetric_difference"):
    op(f"set::{_name}_update(Set(t)(a!) self, Set(t) other) -> ()")(
        lambda self, other, name=_name: getattr(self, f"{name}_update")(other)
    )
for _name in ("intersection", "difference"):
    op(f"set::{_name}_list(Set(t) self, t[] values) -> Set(t)", effects=NEW, raises=[TypeError])(
        lambda self, values, name=_name: getattr(self, name)(values)
    )
op("set::intersection_update_list(Set(t)(a!) self, t[] values) -> ()", raises=[TypeError])(
    lambda self, values: self.intersection_update(values)
)
op("set::difference_update_list(Set(t)(a!) self, t[] values) -> ()", raises=[TypeError])(
    lambda self, values: self.difference_update(values)
)
# natively, the result has the table of ``self`` and so its order
op("set::freeze(Set(t)(a!) self) -> FrozenSet(t)", effects=ALLOCATES)(frozenset)
op("set::eq(Set(t) a, Set(u) b) -> bool", effects=READS)(operator.eq)
op("set::lt(Set(t) a, Set(u) b) -> bool", effects=READS)(operator.lt)
op("set::issubset(Set(t) a, Set(u) b) -> bool", effects=READS)(operator.le)
op("set::isdisjoint(Set(t) a, Set(u) b) -> bool", effects=READS)(lambda a, b: a.isdisjoint(b))


# deques


@op("deque::new(int limit) -> Any", effects=ALLOCATES)
def _deque_new(limit: int) -> deque[Any]:
    """An empty deque; its element type is set by who makes it."""
    return deque(maxlen=None if limit < 0 else limit)


op("deque::as_list(Deque(t) self) -> t[]", effects=Effect.PURE)(lambda self: self)
op("deque::list(Deque(t) self) -> t[]", effects=NEW)(list)
op("deque::copy(Deque(t) self) -> Deque(t)", effects=NEW)(deque.copy)
op("deque::append(Deque(t)(a!) self, t item) -> ()")(deque.append)
op("deque::appendleft(Deque(t)(a!) self, t item) -> ()")(deque.appendleft)
op("deque::pop(Deque(t)(a!) self) -> t", raises=[IndexError])(deque.pop)
op("deque::popleft(Deque(t)(a!) self) -> t", raises=[IndexError])(deque.popleft)
op("deque::clear(Deque(t)(a!) self) -> ()")(deque.clear)
op("deque::extend(Deque(t)(a!) self, t[] values) -> ()")(deque.extend)
op("deque::extendleft(Deque(t)(a!) self, t[] values) -> ()")(deque.extendleft)
op("deque::rotate(Deque(t)(a!) self, int n=1) -> ()")(deque.rotate)
op("deque::reverse(Deque(t)(a!) self) -> ()")(deque.reverse)
op("deque::insert(Deque(t)(a!) self, int index, t item) -> ()", raises=[IndexError])(deque.insert)
op("deque::remove(Deque(t)(a!) self, t item) -> ()", raises=[ValueError])(deque.remove)
op("deque::getitem(Deque(t) self, int index) -> t", effects=READS, raises=[IndexError])(
    operator.getitem
)
op("deque::setitem(Deque(t)(a!) self, int index, t item) -> ()", raises=[IndexError])(
    operator.setitem
)
op("deque::delitem(Deque(t)(a!) self, int index) -> ()", raises=[IndexError])(operator.delitem)
op("deque::maxlen(Deque(t) self) -> int?", effects=READS)(lambda self: self.maxlen)

# copies whose elements are of a wider type, which the node's output says
op("list::widen(t[] self) -> Any", effects=NEW)(list)
op("set::widen(Set(t) self) -> Any", effects=NEW)(lambda self: self.copy())

op("object::copy(t self) -> t", effects=NEW)(copy.copy)  # of an instance
op("object::deepcopy(t self) -> t", effects=NEW)(copy.deepcopy)


# bytes: a str of the same code points under another type

op("bytes::len(bytes self) -> int")(len)
op("bytes::getitem(bytes self, int index) -> int", raises=[IndexError])(operator.getitem)
op("bytes::as_text(bytes self) -> str")(lambda self: self.decode("latin-1"))
op("str::as_bytes(str self) -> bytes")(lambda self: self.encode("latin-1"))
