"""Lists and dicts."""

from __future__ import annotations

from collections.abc import Callable

from scriptmode.ir import types as T
from scriptmode.ir.graph import Value
from scriptmode.torchscript.emitter import Emitter
from scriptmode.torchscript.ops.conversions import to_int, truth
from scriptmode.torchscript.ops.table import builtin


def _list_of(value: Value) -> T.Type | None:
    """The element type of a list."""
    return value.type.element if isinstance(value.type, T.ListType) else None


def _dict_of(value: Value) -> T.DictType | None:
    return value.type if isinstance(value.type, T.DictType) else None


@builtin("__getitem__")
def get_item(e: Emitter, owner: Value, index: Value) -> Value:
    """``owner[index]``."""
    t = owner.type
    if isinstance(t, T.ListType):
        return e.op("list::getitem", owner, e.fit(index, T.INT, "an index"))
    if isinstance(t, T.DictType):
        return e.op("dict::getitem", owner, e.fit(index, t.key, "a key"))
    if t == T.STR:
        return e.op("str::getitem", owner, e.fit(index, T.INT, "an index"))
    if isinstance(t, T.TupleType):
        return _get_of_tuple(e, owner, t, index)
    raise e.problem(f"a subscript of a {t}")


def _get_of_tuple(e: Emitter, owner: Value, t: T.TupleType, index: Value) -> Value:
    count = len(t.elements)
    if index.is_constant and type(index.constant) is int and -count <= index.constant < count:
        return e.builder.tuple_index(owner, index.constant % count)
    if count and index.type == T.INT and len(set(t.elements)) == 1:
        items = [e.builder.tuple_index(owner, i) for i in range(count)]
        return e.op("list::getitem", e.builder.list(items, t.elements[0]), index)
    raise e.problem(f"an index of a {t} that is not inside of it")


@builtin("_set_item")
def set_item(e: Emitter, owner: Value, index: Value, value: Value) -> Value | None:
    """``owner[index] = value``."""
    t = owner.type
    if isinstance(t, T.ListType):
        e.run("list::setitem", owner, e.fit(index, T.INT), e.fit(value, t.element, "an element"))
        return owner
    if isinstance(t, T.DictType):
        key = e.fit(index, t.key, "a key")
        return e.run("dict::setitem", owner, key, e.fit(value, t.value, "a value"))
    return None


@builtin("Delete")
def delete(e: Emitter, owner: Value, index: Value) -> Value | None:
    """``del owner[index]``."""
    if _list_of(owner) is not None:
        return e.run("list::delitem", owner, index)
    if _dict_of(owner) is not None:
        return e.run("dict::delitem", owner, index)
    return None


@builtin("len")
def length(e: Emitter, owner: Value) -> Value | None:
    """``len(owner)``."""
    if _list_of(owner) is not None:
        return e.op("list::len", owner)
    if _dict_of(owner) is not None:
        return e.op("dict::len", owner)
    if owner.type == T.STR:
        return e.op("str::len", owner)
    return e.op("tensor::len", owner) if owner.type == T.TENSOR else None


@builtin("__contains__")
def contains(e: Emitter, owner: Value, value: Value) -> Value | None:
    """``value in owner``."""
    element, table = _list_of(owner), _dict_of(owner)
    if element is not None and element != T.TENSOR:
        return e.op("list::contains", owner, e.fit(value, element, "an element"))
    if table is not None:
        return e.op("dict::contains", owner, e.fit(value, table.key, "a key"))
    return e.op("str::contains", owner, value) if owner.type == value.type == T.STR else None


@builtin("copy")
def copied(e: Emitter, owner: Value) -> Value | None:
    """``owner.copy()``."""
    if _list_of(owner) is not None:
        return e.op("list::copy", owner)
    return e.op("dict::copy", owner) if _dict_of(owner) is not None else None


@builtin("clear")
def cleared(e: Emitter, owner: Value) -> Value | None:
    """``owner.clear()``."""
    if _list_of(owner) is not None:
        return e.run("list::clear", owner)
    return e.run("dict::clear", owner) if _dict_of(owner) is not None else None


# lists


@builtin("append")
def append(e: Emitter, xs: Value, value: Value) -> Value | None:
    """``xs.append(value)``, which is the list."""
    element = _list_of(xs)
    if element is None:
        return None
    e.run("list::append", xs, e.fit(value, element, "an element"))
    return xs


@builtin("insert")
def insert(e: Emitter, xs: Value, index: Value, value: Value) -> Value | None:
    """``xs.insert(index, value)``."""
    element = _list_of(xs)
    return None if element is None else e.run("list::insert", xs, index, e.fit(value, element))


@builtin("extend")
def extend(e: Emitter, xs: Value, other: Value) -> Value | None:
    """``xs.extend(other)``."""
    return e.run("list::extend", xs, other) if _list_of(xs) is not None else None


@builtin("add")
def concatenated(e: Emitter, a: Value, b: Value) -> Value | None:
    """``a + b`` of lists."""
    if _list_of(a) is None or _list_of(b) is None:
        return None
    return e.op("list::concat", a, b)


@builtin("add_")
def extended(e: Emitter, a: Value, b: Value) -> Value | None:
    """``a += b`` of lists."""
    if _list_of(a) is None or _list_of(b) is None:
        return None
    e.run("list::extend", a, b)
    return a


@builtin("mul")
def repeated(e: Emitter, a: Value, b: Value) -> Value | None:
    """``xs * n``, ``n * xs``."""
    if _list_of(a) is not None and b.type == T.INT:
        return e.op("list::repeat", a, b)
    if _list_of(b) is not None and a.type == T.INT:
        return e.op("list::repeat", b, a)
    return None


@builtin("slice")
def part(
    e: Emitter, xs: Value, start: Value | None = None, end: Value | None = None,
    step: Value | None = None,
) -> Value | None:  # fmt: skip
    """``xs[start:end:step]`` of a list or text."""
    kind = "list" if _list_of(xs) is not None else "str" if xs.type == T.STR else ""
    if not kind:
        return None
    bounds = [e.none() if b is None else b for b in (start, end, step)]
    return e.op(f"{kind}::slice", xs, *bounds)


@builtin("select")
def selected(e: Emitter, xs: Value, index: Value) -> Value | None:
    """``xs[index]``."""
    return e.op("list::getitem", xs, index) if _list_of(xs) is not None else None


@builtin("pop")
def popped(e: Emitter, xs: Value, index: Value | None = None) -> Value | None:
    """``xs.pop(index)``."""
    if _list_of(xs) is None:
        return None
    return e.op("list::pop", xs, e.constant(-1) if index is None else index)


@builtin("remove")
def removed(e: Emitter, xs: Value, value: Value) -> Value | None:
    """``xs.remove(value)``."""
    return e.run("list::remove", xs, value) if _list_of(xs) not in (None, T.TENSOR) else None


@builtin("reverse")
def reversed_(e: Emitter, xs: Value) -> Value | None:
    """``xs.reverse()``."""
    return e.run("list::reverse", xs) if _list_of(xs) is not None else None


_ORDERED = (T.INT, T.FLOAT, T.BOOL, T.STR)


@builtin("sort")
def sort(e: Emitter, xs: Value, reverse: Value | None = None) -> Value | None:
    """``xs.sort(reverse)``."""
    if not _has_order(xs):
        return None
    return e.run("list::sort", xs, e.constant(False) if reverse is None else reverse)


@builtin("sorted")
def sorted_(e: Emitter, xs: Value) -> Value | None:
    """``sorted(xs)``."""
    if not _has_order(xs):
        return None
    found = e.op("list::copy", xs)
    e.run("list::sort", found, e.constant(False))
    return found


def _has_order(xs: Value) -> bool:
    element = _list_of(xs)
    if isinstance(element, T.TupleType):
        return all(part in _ORDERED for part in element.elements)
    return element in _ORDERED


@builtin("index")
def index_of(e: Emitter, xs: Value, value: Value) -> Value | None:
    """``xs.index(value)``."""
    if _list_of(xs) in (None, T.TENSOR):
        return None
    return e.op("list::index", xs, value, e.none(), e.none())


@builtin("count")
def count(e: Emitter, xs: Value, value: Value) -> Value | None:
    """``xs.count(value)``."""
    return e.op("list::count", xs, value) if _list_of(xs) not in (None, T.TENSOR) else None


@builtin("list")
def listed(e: Emitter, xs: Value) -> Value | None:
    """``list(xs)``."""
    if xs.type == T.STR:
        return e.op("str::list", xs)
    return e.op("list::copy", xs) if _list_of(xs) is not None else None


@builtin("eq")
def equal(e: Emitter, a: Value, b: Value) -> Value | None:
    """``a == b`` of lists."""
    if _list_of(a) in (None, T.TENSOR) or _list_of(b) in (None, T.TENSOR):
        return None
    return e.op("list::eq", a, b)


@builtin("ne")
def unequal(e: Emitter, a: Value, b: Value) -> Value | None:
    """``a != b`` of lists."""
    found = equal(e, a, b)
    return None if found is None else e.op("bool::not", found)


@builtin("sum")
def total(e: Emitter, xs: Value) -> Value | None:
    """``sum(xs)``."""
    element = _list_of(xs)
    if element in (T.INT, T.FLOAT):
        return e.op(f"list::sum_{element}", xs)
    if element == T.BOOL:
        found = e.builder.list([], T.INT)
        e.loop(
            e.op("list::len", xs),
            lambda i: e.run("list::append", found, to_int(e, e.op("list::getitem", xs, i))),
        )
        return e.op("list::sum_int", found)
    return None


def _every(name: str, is_all: bool) -> Callable[[Emitter, Value], Value | None]:
    def run(e: Emitter, xs: Value) -> Value | None:
        element = _list_of(xs)
        if element not in (T.INT, T.FLOAT, T.BOOL, T.STR):
            return None
        node = e.builder.node(
            "prim::Loop", [e.op("list::len", xs), e.constant(True), e.constant(is_all)]
        )
        block = node.add_block()
        index = block.add_param(T.INT)
        block.add_param(T.BOOL)
        with e.builder.at(block):
            item = truth(e, e.op("list::getitem", xs, index))
            goes_on = item if is_all else e.op("bool::not", item)
            e.yield_([goes_on, item])
        return node.add_output(T.BOOL)

    return run


builtin("all")(_every("all", True))
builtin("any")(_every("any", False))


@builtin("prim.rangelist")
def range_list(e: Emitter, stop: Value) -> Value | None:
    """``list(range(stop))``."""
    return e.op("list::range", e.constant(0), stop, e.constant(1))


@builtin("__range_length")
def range_length(e: Emitter, start: Value, stop: Value, step: Value) -> Value | None:
    """``len(range(start, stop, step))``."""
    return e.op("range::length", start, stop, step)


@builtin("__derive_index")
def derived_index(e: Emitter, index: Value, start: Value, step: Value) -> Value | None:
    """``range(start, ..., step)[index]``."""
    return e.op("int::add", start, e.op("int::mul", index, step))


# dicts


@builtin("keys")
def keys(e: Emitter, d: Value) -> Value | None:
    """``list(d.keys())``."""
    return e.op("dict::keys", d) if _dict_of(d) is not None else None


@builtin("values")
def values(e: Emitter, d: Value) -> Value | None:
    """``list(d.values())``."""
    return e.op("dict::values", d) if _dict_of(d) is not None else None


@builtin("items")
def items(e: Emitter, d: Value) -> Value | None:
    """``list(d.items())``."""
    return e.op("dict::items", d) if _dict_of(d) is not None else None


@builtin("get")
def get(e: Emitter, d: Value, key: Value, default: Value | None = None) -> Value | None:
    """``d.get(key, default)``."""
    t = _dict_of(d)
    if t is None:
        return None
    key = e.fit(key, t.key, "a key")
    if default is None or default.type == T.NONE:
        return e.op("dict::get", d, key)
    if not T.is_subtype(default.type, t.value):
        joined = T.join(default.type, t.value) or T.ANY
        here = e.op("dict::contains", d, key)
        return e.choose(here, lambda: e.op("dict::getitem", d, key), lambda: default, joined)
    return e.op("dict::get_default", d, key, default)


@builtin("setdefault")
def set_default(e: Emitter, d: Value, key: Value, default: Value) -> Value | None:
    """``d.setdefault(key, default)``."""
    t = _dict_of(d)
    return None if t is None else e.op("dict::setdefault", d, key, e.fit(default, t.value))


@builtin("pop")
def pop_key(e: Emitter, d: Value, key: Value, default: Value | None = None) -> Value | None:
    """``d.pop(key, default)``."""
    if _dict_of(d) is None:
        return None
    if default is None:
        return e.op("dict::pop", d, key)
    return e.op("dict::pop_default", d, key, default)


@builtin("popitem")
def pop_item(e: Emitter, d: Value) -> Value | None:
    """``d.popitem()``, which takes the first entry."""
    if _dict_of(d) is None:
        return None
    some = e.op("int::gt", e.op("dict::len", d), e.constant(0))
    e.check(some, KeyError, "popitem(): dictionary is empty")
    first = e.op("list::getitem", e.op("dict::keys", d), e.constant(0))
    return e.builder.tuple([first, e.op("dict::pop", d, first)])


@builtin("update")
def update(e: Emitter, d: Value, other: Value) -> Value | None:
    """``d.update(other)``."""
    return e.run("dict::update", d, other) if _dict_of(d) is not None else None


@builtin("dict")
def dict_of(e: Emitter, source: Value | None = None) -> Value | None:
    """``dict(source)``."""
    if source is None:
        t: T.Type = T.DictType([T.STR, T.TENSOR])
        return e.builder.node("prim::DictConstruct", [], [t]).output
    if _dict_of(source) is not None:
        return e.op("dict::copy", source)
    element = _list_of(source)
    if not isinstance(element, T.TupleType) or len(element.elements) != 2:
        return None
    found = e.builder.node("prim::DictConstruct", [], [T.DictType(element.elements)]).output

    def enter(index: Value) -> None:
        pair = e.op("list::getitem", source, index)
        key, value = (e.builder.tuple_index(pair, i) for i in range(2))
        e.run("dict::setitem", found, key, value)

    e.loop(e.op("list::len", source), enter)
    return found
