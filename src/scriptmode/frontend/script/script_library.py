"""Functions of Python's library in the language itself, compiled where they are called."""

from __future__ import annotations

from typing import Any


def sort_by_comparison(items: list[Any], keys: list[Any], reverse: bool) -> None:
    """Sort ``items`` by ``keys``, which are asked for ``<`` only: binary insertion, stable."""
    if reverse:
        items.reverse()
        keys.reverse()
    for at in range(1, len(keys)):
        pivot = keys[at]
        item = items[at]
        low = 0
        high = at
        while low < high:
            middle = (low + high) // 2
            if pivot < keys[middle]:
                high = middle
            else:
                low = middle + 1
        if low < at:
            del keys[at]
            del items[at]
            keys.insert(low, pivot)
            items.insert(low, item)
    if reverse:
        items.reverse()


# print(*values)


def texts(items: Any) -> list[str]:
    """The text of each item."""
    return [str(item) for item in items]


def joined(separator: str, items: list[str]) -> str:
    """The items with ``separator`` between them."""
    return separator.join(items)


# collections.Counter


def most_common(counts: Any, n: int | None = None) -> Any:
    """Pairs of element and count, the most common first."""
    pairs = sorted(counts.items(), key=lambda pair: pair[1], reverse=True)
    if n is None:
        return pairs
    return pairs[: max(n, 0)]


def elements(counts: Any) -> Any:
    """Each element as often as it counts."""
    return [element for element, count in counts.items() for _ in range(count)]


def total(counts: Any) -> int:
    """The sum of the counts."""
    return sum(counts.values())


def counter_add(a: Any, b: Any) -> Any:
    """``a + b``: positive counts only."""
    made = a.copy()
    made.clear()
    for element, count in a.items():
        if count + b[element] > 0:
            made[element] = count + b[element]
    for element, count in b.items():
        if element not in a and count > 0:
            made[element] = count
    return made


def counter_sub(a: Any, b: Any) -> Any:
    """``a - b``: positive counts only."""
    made = a.copy()
    made.clear()
    for element, count in a.items():
        if count - b[element] > 0:
            made[element] = count - b[element]
    for element, count in b.items():
        if element not in a and count < 0:
            made[element] = 0 - count
    return made


def counter_and(a: Any, b: Any) -> Any:
    """``a & b``: the smaller counts, positive ones only."""
    made = a.copy()
    made.clear()
    for element, count in a.items():
        least = min(count, b[element])
        if least > 0:
            made[element] = least
    return made


def counter_or(a: Any, b: Any) -> Any:
    """``a | b``: the larger counts, positive ones only."""
    made = a.copy()
    made.clear()
    for element, count in a.items():
        most = max(count, b[element])
        if most > 0:
            made[element] = most
    for element, count in b.items():
        if element not in a and count > 0:
            made[element] = count
    return made


class Compared:
    """An item whose order is that of a comparison function, for ``functools.cmp_to_key``."""

    def __init__(self, function: Any, item: Any) -> None:
        self.function = function
        self.item = item

    def __lt__(self, other: Compared) -> bool:
        return bool(self.function(self.item, other.item) < 0)

    def __gt__(self, other: Compared) -> bool:
        return bool(self.function(self.item, other.item) > 0)


def comparing(function: Any) -> Any:
    """``functools.cmp_to_key(function)``."""
    return lambda item: Compared(function, item)


def least_by(items: Any, keys: Any) -> Any:
    """The first item whose key is the least."""
    best = 0
    for i in range(1, len(keys)):
        if keys[i] < keys[best]:
            best = i
    return items[best]


def greatest_by(items: Any, keys: Any) -> Any:
    """The first item whose key is the greatest."""
    best = 0
    for i in range(1, len(keys)):
        if keys[i] > keys[best]:
            best = i
    return items[best]


def least_by_some(items: Any, keys: Any) -> Any:
    """``least_by`` of keys that may be None, which are refused when they are compared."""
    best = 0
    for i in range(1, len(keys)):
        new, old = keys[i], keys[best]
        if new is None or old is None:
            raise TypeError("'<' not supported between these keys, one of which is None")
        if new < old:
            best = i
    return items[best]


def greatest_by_some(items: Any, keys: Any) -> Any:
    """``greatest_by`` of keys that may be None, which are refused when they are compared."""
    best = 0
    for i in range(1, len(keys)):
        new, old = keys[i], keys[best]
        if new is None or old is None:
            raise TypeError("'>' not supported between these keys, one of which is None")
        if new > old:
            best = i
    return items[best]


def counter_eq(a: Any, b: Any) -> bool:
    """``a == b``: what is missing counts 0."""
    return all(a[element] == b[element] for element in a) and all(
        a[element] == b[element] for element in b
    )


def counter_le(a: Any, b: Any) -> bool:
    """``a <= b``: no count is larger."""
    return all(a[element] <= b[element] for element in a) and all(
        a[element] <= b[element] for element in b
    )


def counter_lt(a: Any, b: Any) -> bool:
    """``a < b``."""
    return counter_le(a, b) and not counter_eq(a, b)


def counter_iadd(a: Any, b: Any) -> Any:
    """``a += b``."""
    for element, count in b.items():
        a[element] += count
    return counter_positive(a)


def counter_isub(a: Any, b: Any) -> Any:
    """``a -= b``."""
    for element, count in b.items():
        a[element] -= count
    return counter_positive(a)


def counter_ior(a: Any, b: Any) -> Any:
    """``a |= b``."""
    for element, count in b.items():
        if count > a[element]:
            a[element] = count
    return counter_positive(a)


def counter_iand(a: Any, b: Any) -> Any:
    """``a &= b``."""
    for element, count in a.items():
        other = b[element]
        if other < count:
            a[element] = other
    return counter_positive(a)


def counter_positive(counter: Any) -> Any:
    """``counter`` without the counts that are not positive."""
    for element in [element for element, count in counter.items() if count <= 0]:
        del counter[element]
    return counter


def counter_pos(a: Any) -> Any:
    """``+a``: positive counts only."""
    return counter_positive(a.copy())


def counter_neg(a: Any) -> Any:
    """``-a``: negative counts only, as positive ones."""
    made = a.copy()
    made.clear()
    for element, count in a.items():
        if count < 0:
            made[element] = 0 - count
    return made


# range and slice


def slice_indices(part: slice, length: int) -> Any:
    """``part.indices(length)``."""
    if length < 0:
        raise ValueError("length should not be negative")
    step = 1 if part.step is None else part.step
    if step == 0:
        raise ValueError("slice step cannot be zero")
    lowest = -1 if step < 0 else 0
    highest = length - 1 if step < 0 else length
    start = highest if step < 0 else lowest
    if part.start is not None:
        start = part.start
        start = max(start + length, lowest) if start < 0 else min(start, highest)
    stop = lowest if step < 0 else highest
    if part.stop is not None:
        stop = part.stop
        stop = max(stop + length, lowest) if stop < 0 else min(stop, highest)
    return start, stop, step


def range_item(values: range, index: int) -> int:
    """``values[index]``."""
    length = len(values)
    at = index + length if index < 0 else index
    if at < 0 or at >= length:
        raise IndexError("range object index out of range")
    return values.start + at * values.step


def range_slice(values: range, start: int | None, stop: int | None, step: int | None) -> Any:
    """``values[start:stop:step]``."""
    first, last, by = slice_indices(slice(start, stop, step), len(values))
    return range(
        values.start + first * values.step, values.start + last * values.step, by * values.step
    )


def range_contains(values: range, item: int) -> bool:
    """``item in values``."""
    if values.step > 0:
        inside = values.start <= item < values.stop
    else:
        inside = values.stop < item <= values.start
    return inside and (item - values.start) % values.step == 0


def range_index(values: range, item: int) -> int:
    """``values.index(item)``."""
    if not range_contains(values, item):
        raise ValueError(f"{item!r} is not in range")
    return (item - values.start) // values.step


def range_count(values: range, item: int) -> int:
    """``values.count(item)``."""
    return 1 if range_contains(values, item) else 0


# bisect


def bisect_left(a: Any, x: Any, lo: int = 0, hi: int | None = None, *, key: Any = None) -> int:
    """``bisect.bisect_left``."""
    if lo < 0:
        raise ValueError("lo must be non-negative")
    low = lo
    high = len(a) if hi is None else hi
    while low < high:
        middle = (low + high) // 2
        item = a[middle] if key is None else key(a[middle])
        if item < x:
            low = middle + 1
        else:
            high = middle
    return low


def bisect_right(a: Any, x: Any, lo: int = 0, hi: int | None = None, *, key: Any = None) -> int:
    """``bisect.bisect_right``."""
    if lo < 0:
        raise ValueError("lo must be non-negative")
    low = lo
    high = len(a) if hi is None else hi
    while low < high:
        middle = (low + high) // 2
        item = a[middle] if key is None else key(a[middle])
        if x < item:
            high = middle
        else:
            low = middle + 1
    return low


def insort_left(a: Any, x: Any, lo: int = 0, hi: int | None = None, *, key: Any = None) -> None:
    """``bisect.insort_left``."""
    a.insert(bisect_left(a, x if key is None else key(x), lo, hi, key=key), x)


def insort_right(a: Any, x: Any, lo: int = 0, hi: int | None = None, *, key: Any = None) -> None:
    """``bisect.insort_right``."""
    a.insert(bisect_right(a, x if key is None else key(x), lo, hi, key=key), x)


# heapq


def _rise(heap: Any, start: int, place: int) -> None:
    """Move an item towards the root past larger ones."""
    item = heap[place]
    at = place
    while at > start:
        above = (at - 1) >> 1
        if not item < heap[above]:
            break
        heap[at] = heap[above]
        at = above
    heap[at] = item


def _sink(heap: Any, place: int) -> None:
    """Move an item down to a leaf by its smaller children, then up to where it belongs."""
    end = len(heap)
    item = heap[place]
    at = place
    child = 2 * at + 1
    while child < end:
        other = child + 1
        if other < end and not heap[child] < heap[other]:
            child = other
        heap[at] = heap[child]
        at = child
        child = 2 * at + 1
    heap[at] = item
    _rise(heap, place, at)


def heappush(heap: Any, item: Any) -> None:
    """``heapq.heappush``."""
    heap.append(item)
    _rise(heap, 0, len(heap) - 1)


def heappop(heap: Any) -> Any:
    """``heapq.heappop``."""
    last = heap.pop() if len(heap) > 0 else _empty_heap(heap)
    if len(heap) == 0:
        return last
    first = heap[0]
    heap[0] = last
    _sink(heap, 0)
    return first


def _empty_heap(heap: Any) -> Any:
    """Raise what ``pop`` of an empty heap raises."""
    raise IndexError("index out of range")


def heapreplace(heap: Any, item: Any) -> Any:
    """``heapq.heapreplace``."""
    if len(heap) == 0:
        raise IndexError("index out of range")
    first = heap[0]
    heap[0] = item
    _sink(heap, 0)
    return first


def heappushpop(heap: Any, item: Any) -> Any:
    """``heapq.heappushpop``."""
    if len(heap) > 0 and heap[0] < item:
        return heapreplace(heap, item)
    return item


def heapify(heap: Any) -> None:
    """``heapq.heapify``."""
    for place in range(len(heap) // 2 - 1, -1, -1):
        _sink(heap, place)


def nlargest(n: int, values: Any, key: Any = None) -> Any:
    """``heapq.nlargest``."""
    return sorted(values, key=key, reverse=True)[: max(n, 0)]


def nsmallest(n: int, values: Any, key: Any = None) -> Any:
    """``heapq.nsmallest``."""
    return sorted(values, key=key)[: max(n, 0)]


# zip(*rows)


def columns(rows: Any) -> Any:
    """The columns of rows of any length."""
    count = min(len(row) for row in rows) if len(rows) > 0 else 0
    return [tuple(row[i] for row in rows) for i in range(count)]


def columns_of(rows: Any, count: int) -> Any:
    """The columns of rows of one length."""
    return [tuple(row[i] for row in rows) for i in range(count if len(rows) > 0 else 0)]


def column(rows: Any, index: int) -> Any:
    """One column."""
    return tuple(row[index] for row in rows)


# items of containers of tensors: equal when they are the same object, or by the truth of ``==``


def same_item(a: Any, b: Any) -> bool:
    """Whether a container takes two tensors for equal."""
    return a is b or bool(a == b)


def lists_equal(a: Any, b: Any) -> bool:
    """``a == b`` of lists."""
    if len(a) != len(b):
        return False
    return all((x,) == (y,) for x, y in zip(a, b, strict=True))


def dicts_equal(a: Any, b: Any) -> bool:
    """``a == b`` of dicts."""
    if len(a) != len(b):
        return False
    return all(key in b and (x,) == (b[key],) for key, x in a.items())


def contains_item(items: Any, item: Any) -> bool:
    """``item in items``."""
    return any((x,) == (item,) for x in items)


def index_of_item(items: Any, item: Any, start: int = 0, stop: int | None = None) -> int:
    """``items.index(item, start, stop)``."""
    first, last, _ = slice_indices(slice(start, stop, None), len(items))
    for i in range(first, last):
        if (items[i],) == (item,):
            return i
    raise ValueError("the item is not in list")


def count_items(items: Any, item: Any) -> int:
    """``items.count(item)``."""
    total = 0
    for x in items:
        if (x,) == (item,):
            total += 1
    return total


def remove_item(items: Any, item: Any) -> None:
    """``items.remove(item)``."""
    for i in range(len(items)):
        if (items[i],) == (item,):
            del items[i]
            return
    raise ValueError("list.remove(x): x not in list")


def repeat_deque(items: Any, times: int) -> None:
    """``items *= times`` of a deque, which keeps of more than ``maxlen`` elements the last."""
    size = len(items)
    if size == 0 or times == 1:
        return
    if times <= 0:
        items.clear()
        return
    limit = items.maxlen
    if limit is not None and size > 1 and times > limit // size:
        times = (limit + size - 1) // size
    items.extend(list(items) * (times - 1))


def rows_of(data: Any) -> Any:
    """The tuples of a list as lists."""
    return [list(row) for row in data]


def list_less(a: Any, b: Any) -> Any:
    """``a < b`` of lists whose elements the program compares."""
    for x, y in zip(a, b, strict=False):
        if x != y:
            return x < y
    return len(a) < len(b)


def list_at_most(a: Any, b: Any) -> Any:
    """``a <= b`` of lists whose elements the program compares."""
    for x, y in zip(a, b, strict=False):
        if x != y:
            return x <= y
    return len(a) <= len(b)


def flags_among(value: Any, every: Any) -> Any:
    """The flags that a combination has."""
    return [flag for flag in every if flag in value]


def exception_text(args: Any) -> Any:
    """``BaseException.__str__`` of an exception with these arguments."""
    if len(args) == 0:
        return ""
    return str(args[0]) if len(args) == 1 else str(args)


def key_error_text(args: Any) -> Any:
    """``KeyError.__str__``: a single argument as Python writes it."""
    if len(args) == 0:
        return ""
    return repr(args[0]) if len(args) == 1 else str(args)


def exception_repr(name: Any, args: Any) -> Any:
    """``BaseException.__repr__``."""
    if len(args) == 1:
        return name + "(" + repr(args[0]) + ")"
    return name + repr(args)
