"""Ops on lists, dicts and tuples, with CPython's meaning.

``t``, ``k`` and ``v`` are type variables.  A ``Tuple[T, ...]`` and a ``Size`` are read through
``tuple::as_list``, whose result is the same object under a list's type and is never written.
"""

from __future__ import annotations

import collections
import operator
from collections.abc import Callable
from typing import Any

import torch

from scriptmode.ops.table import Effect, op

READS, ALLOCATES = Effect.READS, Effect.ALLOCATES
NEW = READS | ALLOCATES

op("list::len(t[] self) -> int", effects=READS)(len)
op("list::getitem(t[] self, int index) -> t", effects=READS, raises=[IndexError])(operator.getitem)
op("list::setitem(t[](a!) self, int index, t value) -> ()", raises=[IndexError])(operator.setitem)
op("list::delitem(t[](a!) self, int index) -> ()", raises=[IndexError])(operator.delitem)


@op(
    "list::slice(t[] self, int? start, int? stop, int? step) -> t[]",
    effects=NEW,
    raises=[ValueError],
)
def _slice(self: list[Any], start: Any, stop: Any, step: Any) -> list[Any]:
    return self[start:stop:step]


@op(
    "list::setslice(t[](a!) self, int? start, int? stop, int? step, t[] value) -> ()",
    raises=[ValueError],
)
def _setslice(self: list[Any], start: Any, stop: Any, step: Any, value: list[Any]) -> None:
    self[start:stop:step] = value


@op("list::delslice(t[](a!) self, int? start, int? stop, int? step) -> ()", raises=[ValueError])
def _delslice(self: list[Any], start: Any, stop: Any, step: Any) -> None:
    del self[start:stop:step]


def _sort_by(self: list[Any], keys: list[Any], reverse: bool) -> None:
    order = sorted(range(len(self)), key=keys.__getitem__, reverse=reverse)
    self[:] = [self[i] for i in order]


# where the index is known to be that of an element, counted from the start
op("list::getitem_inside(t[] self, int index) -> t", effects=READS)(operator.getitem)
op("list::setitem_inside(t[](a!) self, int index, t value) -> ()")(operator.setitem)

# an element more, where there is room for it and the length is known
op("list::has_room(t[] self, int more) -> bool", effects=READS)(lambda self, more: True)
op("list::append_at(t[](a!) self, int length, t value) -> ()")(
    lambda self, length, value: self.append(value)
)

# an element that is read before it is known to be there: nothing then, and an error in its place
op("list::has_index(t[] self, int index) -> bool", effects=READS)(
    lambda self, index: -len(self) <= index < len(self)
)
op("list::peek(t[] self, int index) -> t", effects=READS)(
    lambda self, index: self[index] if -len(self) <= index < len(self) else None
)
op("list::covers(t[] self, int low, int end, int plus, int minus) -> bool", effects=READS)(
    lambda self, low, end, plus, minus: (
        low < end and low + plus - minus >= 0 and end + plus - minus <= len(self)
    )
)


@op("list::check_index(bool inside) -> ()", raises=[IndexError])
def _check_index(inside: bool) -> None:
    if not inside:
        raise IndexError("list index out of range")


op("list::reserve(t[](a!) self, int more) -> ()")(lambda self, more: None)
op("list::append(t[](a!) self, t value) -> ()")(list.append)
op("list::extend(t[](a!) self, t[] other) -> ()")(list.extend)
op("list::insert(t[](a!) self, int index, t value) -> ()")(list.insert)
op("list::pop(t[](a!) self, int index=-1) -> t", raises=[IndexError])(list.pop)
op("list::clear(t[](a!) self) -> ()")(list.clear)
op("list::reverse(t[](a!) self) -> ()")(list.reverse)
op("list::remove(t[](a!) self, t value) -> ()", raises=[ValueError])(list.remove)
op("list::index(t[] self, t value, int? start=None, int? stop=None) -> int", effects=READS,
   raises=[ValueError])(
    lambda self, value, start, stop: self.index(
        value, 0 if start is None else start, len(self) if stop is None else stop
    )
)  # fmt: skip
op("list::count(t[] self, t value) -> int", effects=READS)(lambda self, value: self.count(value))
op("list::contains(t[] self, t value) -> bool", effects=READS)(operator.contains)
op("list::contains_any(t[] self, u value) -> bool", effects=READS)(operator.contains)
op("list::copy(t[] self) -> t[]", effects=NEW)(list.copy)
op("list::concat(t[] a, t[] b) -> t[]", effects=NEW)(operator.add)
op("list::repeat(t[] a, int n) -> t[]", effects=NEW)(operator.mul)
op("list::eq(t[] a, t[] b) -> bool", effects=READS)(operator.eq)
op("list::lt(t[] a, u[] b) -> bool", effects=READS)(operator.lt)
op("list::le(t[] a, u[] b) -> bool", effects=READS)(operator.le)
op("list::sort(t[](a!) self, *, bool reverse=False) -> ()")(
    lambda self, reverse: self.sort(reverse=reverse)
)
op("list::sort_by(t[](a!) self, k[] keys, *, bool reverse=False) -> ()")(
    lambda self, keys, reverse: _sort_by(self, keys, reverse)
)
op("list::range(int start, int stop, int step) -> int[]", effects=ALLOCATES, raises=[ValueError])(
    lambda start, stop, step: list(range(start, stop, step))
)
op("range::length(int start, int stop, int step) -> int", raises=[ValueError])(
    lambda start, stop, step: min(_length(range(start, stop, step)), 2**63 - 1)
)
op("range::item(int start, int stop, int step, int index) -> int")(
    lambda start, stop, step, index: start + index * step
)


def _length(items: range) -> int:
    """``len`` that may leave 63 bits."""
    last = items.stop - items.start - (1 if items.step > 0 else -1)
    return max(0, last // items.step + 1) if last == 0 or (last > 0) == (items.step > 0) else 0


op("list::sum_int(int[] self) -> int", effects=READS, raises=[OverflowError])(sum)
op("list::sum_float(float[] self) -> float", effects=READS)(sum)

# Tuple[T, ...] and Size
op("tuple::as_list(Any self) -> t[]", effects=Effect.PURE)(list)
op("tuple::from_list(t[] self) -> Any", effects=READS)(tuple)
op("size::from_list(int[] self) -> Size", effects=READS)(torch.Size)
op("size::numel(Size self) -> int", raises=[OverflowError])(lambda self: self.numel())

op("range::make(int start, int stop, int step) -> range", effects=Effect.PURE,
   raises=[ValueError])(range)  # fmt: skip
op("range::start(range self) -> int", effects=Effect.PURE)(lambda self: self.start)
op("range::stop(range self) -> int", effects=Effect.PURE)(lambda self: self.stop)
op("range::step(range self) -> int", effects=Effect.PURE)(lambda self: self.step)

# dicts; their classes have methods of their own


def method(name: str) -> Callable[..., Any]:
    """The method called ``name`` of whatever class an object is of."""
    return lambda self, *arguments: getattr(self, name)(*arguments)


def update(self: dict[Any, Any], other: dict[Any, Any]) -> None:
    """``self.update(other)``; a Counter's entries are replaced, not added to."""
    if isinstance(self, collections.OrderedDict):
        self.update(other)
    else:
        dict.update(self, other)


op("dict::len(Dict(k, v) self) -> int", effects=READS)(len)
op("dict::getitem(Dict(k, v) self, k key) -> v", effects=READS, raises=[KeyError])(operator.getitem)
op("dict::setitem(Dict(k, v)(a!) self, k key, v value) -> ()")(operator.setitem)
op("dict::delitem(Dict(k, v)(a!) self, k key) -> ()", raises=[KeyError])(operator.delitem)
op("dict::contains(Dict(k, v) self, k key) -> bool", effects=READS)(operator.contains)
op("dict::contains_any(Dict(k, v) self, u key) -> bool", effects=READS, raises=[TypeError])(
    operator.contains
)
op("dict::get(Dict(k, v) self, k key) -> v?", effects=READS)(method("get"))
op("dict::get_default(Dict(k, v) self, k key, v default) -> v", effects=READS)(method("get"))
op("dict::pop(Dict(k, v)(a!) self, k key) -> v", raises=[KeyError])(method("pop"))
op("dict::pop_default(Dict(k, v)(a!) self, k key, v default) -> v")(method("pop"))
op("dict::popitem(Dict(k, v)(a!) self) -> (k, v)", raises=[KeyError])(method("popitem"))
op("dict::setdefault(Dict(k, v)(a!) self, k key, v default) -> v")(method("setdefault"))
op("dict::update(Dict(k, v)(a!) self, Dict(k, v) other) -> ()")(update)
op("dict::clear(Dict(k, v)(a!) self) -> ()")(method("clear"))
op("dict::copy(Dict(k, v) self) -> Dict(k, v)", effects=NEW)(method("copy"))
op("dict::plain(Dict(k, v) self) -> Dict(k, v)", effects=NEW)(dict)
op("dict::keys(Dict(k, v) self) -> k[]", effects=NEW)(list)
op("dict::values(Dict(k, v) self) -> v[]", effects=NEW)(lambda self: list(self.values()))
op("dict::items(Dict(k, v) self) -> Tuple(k, v)[]", effects=NEW)(lambda self: list(self.items()))
# lookups that share their search; an entry is what dict::find gives, while no key comes or goes
op("dict::find(Dict(k, v) self, k key) -> int", effects=READS)(
    lambda self, key: list(self).index(key) if key in self else -1
)


@op("dict::check_found(Dict(k, v) self, k key, int entry) -> ()", effects=READS, raises=[KeyError])
def _check_found(self: dict[Any, Any], key: Any, entry: int) -> None:
    if entry < 0:
        raise KeyError(key)


# only of an entry that is there: not to be moved before the check, as what cannot raise may be
op("dict::value_at(Dict(k, v) self, int entry) -> v", effects=READS, raises=[IndexError])(
    lambda self, entry: list(self.values())[entry]
)


@op("dict::set_at(Dict(k, v)(a!) self, int entry, v value) -> ()")
def _set_at(self: dict[Any, Any], entry: int, value: Any) -> None:
    self[list(self)[entry]] = value


@op("dict::add(Dict(k, v)(a!) self, k key, v value) -> ()")
def add(self: dict[Any, Any], key: Any, value: Any) -> None:
    """``self[key] = value`` of a key that is not there."""
    assert key not in self
    self[key] = value


op("dict::eq(Dict(k, v) a, Dict(k, v) b) -> bool", effects=READS)(operator.eq)
op("dict::move_to_end(Dict(k, v)(a!) self, k key, bool last) -> ()", raises=[KeyError])(
    lambda self, key, last: self.move_to_end(key, last)
)
op("dict::popitem_first(Dict(k, v)(a!) self) -> (k, v)", raises=[KeyError])(
    lambda self: self.popitem(last=False)
)
