"""Native lists against CPython's."""

from __future__ import annotations

import itertools
import random

import pytest

from scriptmode.ir.type_parser import parse_type
from scriptmode.ir.types import ANY, BOOL, FLOAT, INT, NONE, SIZE, STR
from scriptmode.runtime import descriptors
from tests.runtime.natives import BySlot, Slot, Typed, no_leaks, op, opt, outcome, raw

LIST_INT = parse_type("List[int]")
LIST_STR = parse_type("List[str]")
SAMPLES = {
    "List[int]": [0, -1, 5, 2**63 - 1, -(2**63)],
    "List[float]": [0.0, -0.0, 1.5, float("inf"), 3.25],
    "List[bool]": [True, False, True],
    "List[str]": ["", "a", "é", "€uro", "😀", "a"],
    "List[None]": [None, None],
    "List[complex]": [1 + 2j, 3j],
    "List[Optional[int]]": [None, 3, 0],
    "List[Optional[str]]": [None, "x", "y"],
    "List[Tuple[int, str]]": [(1, "a"), (2, "b"), (1, "a")],
    "List[Tuple[bool, int, Optional[float]]]": [(True, 1, None), (False, 2, 2.5)],
    "List[List[int]]": [[], [1], [1, 2]],
    "List[Any]": [1, "a", None, 2.5, (1, "z"), [1, [2]], 1 + 1j],
    "List[Tuple[int, ...]]": [(), (1, 2)],
}


@pytest.fixture(autouse=True)
def leaks():
    with no_leaks():
        yield


def mutate(t, items, name, *args):
    """Call a native function that changes a list; its outcome, and the list after."""
    with Slot(t, items) as a:
        return outcome(op, name, a, *args), a.value


def expect(items, function):
    a = list(items)
    return outcome(function, a), a


@pytest.mark.parametrize("text", SAMPLES)
def test_values_survive_a_round_trip(text):
    t = parse_type(text)
    with Slot(t, SAMPLES[text]) as a:
        assert repr(a.value) == repr(SAMPLES[text])
        assert op("sm_list_copy", a, returns=t) == SAMPLES[text]


@pytest.mark.parametrize("text", SAMPLES)
def test_methods_on_every_element_type(text):
    t, items = parse_type(text), SAMPLES[text]
    e = t.element
    for i in range(-len(items) - 1, len(items) + 1):
        with Slot(t, items) as a:
            assert outcome(lambda i=i: op("sm_list_getitem", a, i, returns=e)) == outcome(
                lambda i=i: items[i]
            )
        x = BySlot(e, items[0])
        assert mutate(t, items, "sm_list_setitem", i, x) == expect(
            items, lambda a, i=i: a.__setitem__(i, items[0])
        )
        assert mutate(t, items, "sm_list_delitem", i) == expect(
            items, lambda a, i=i: a.__delitem__(i)
        )
        assert mutate(t, items, "sm_list_insert", i, x) == expect(
            items, lambda a, i=i: a.insert(i, items[0])
        )
        with Slot(t, items) as a:
            got = outcome(lambda i=i: op("sm_list_pop", a, i, returns=e))
            assert (got, a.value) == expect(items, lambda a, i=i: a.pop(i))
    for x in items:
        by = BySlot(e, x)
        with Slot(t, items) as a:
            assert op("sm_list_contains", a, by, returns=BOOL) is True
            assert op("sm_list_count", a, by, returns=INT) == items.count(x)
            assert op("sm_list_index", a, by, *opt(None), *opt(None), returns=INT) == items.index(x)
        assert mutate(t, items, "sm_list_remove", by) == expect(items, lambda a, x=x: a.remove(x))
        assert mutate(t, items, "sm_list_append", by) == expect(items, lambda a, x=x: a.append(x))
    assert mutate(t, items, "sm_list_reverse") == expect(items, lambda a: a.reverse())
    assert mutate(t, items, "sm_list_clear") == expect(items, lambda a: a.clear())
    for n in (-1, 0, 1, 3):
        with Slot(t, items) as a:
            assert op("sm_list_repeat", a, n, returns=t) == items * n
        assert mutate(t, items, "sm_list_inplace_repeat", n)[1] == items * n
    with Slot(t, items) as a:
        assert op("sm_list_concat", a, a, returns=t) == items + items
        assert op("sm_list_extend", a, a) is None
        assert a.value == items + items
        assert op("sm_list_eq", a, a, returns=BOOL) is True
        assert op("sm_slot_repr", a.address, descriptors.descriptor(t), returns=STR) == repr(
            a.value
        )


BOUNDS = [None, -7, -5, -2, -1, 0, 1, 2, 4, 5, 6, 2**63 - 1, -(2**63)]


def test_slices_equal_pythons():
    items = [10, 11, 12, 13, 14]
    cases = list(itertools.product(BOUNDS, BOUNDS, [None, 1, 2, 3, -1, -2, 2**62, -(2**63), 0]))
    for start, stop, step in random.Random(2).choices(cases, k=700):
        args = [x for b in (start, stop, step) for x in opt(b)]
        s = slice(start, stop, step)
        with Slot(LIST_INT, items) as a:
            assert outcome(lambda: op("sm_list_slice", a, *args, returns=LIST_INT)) == outcome(
                lambda: items[s]
            )
        assert mutate(LIST_INT, items, "sm_list_delslice", *args) == expect(
            items, lambda a: a.__delitem__(s)
        )


def test_slice_assignment_equals_pythons():
    rng = random.Random(1)
    items = ["a", "b", "c", "d", "e"]
    for _ in range(600):
        start, stop = rng.choice(BOUNDS), rng.choice(BOUNDS)
        step = rng.choice([None, None, 1, 2, -1, -2, 0])
        new = [str(i) for i in range(rng.randrange(6))]
        args = [x for b in (start, stop, step) for x in opt(b)]
        got = mutate(LIST_STR, items, "sm_list_setslice", *args, Typed(LIST_STR, new))
        assert got == expect(items, lambda a: a.__setitem__(slice(start, stop, step), new))


def test_a_slice_of_itself_may_be_assigned():
    with Slot(LIST_STR, ["a", "b", "c"]) as a:
        op("sm_list_setslice", a, *opt(1), *opt(1), *opt(None), a)
        assert a.value == ["a", "a", "b", "c", "b", "c"]


def test_error_messages():
    for name, args, call in [
        ("sm_list_remove", [BySlot(INT, 9)], lambda a: a.remove(9)),
        ("sm_list_delitem", [3], lambda a: a.__delitem__(3)),
    ]:
        assert mutate(LIST_INT, [1, 2, 3], name, *args) == expect([1, 2, 3], call)
    with Slot(LIST_STR, ["a'"]) as a:
        got = outcome(
            lambda: op("sm_list_index", a, BySlot(STR, 'q"'), *opt(None), *opt(None), returns=INT)
        )
        assert got == outcome(lambda: ["a'"].index('q"'))
        assert outcome(lambda: op("sm_list_pop", a, 5, returns=STR)) == outcome(
            lambda: ["a"].pop(5)
        )
    with Slot(LIST_INT, []) as a:
        assert outcome(lambda: op("sm_list_pop", a, -1, returns=INT)) == outcome(lambda: [].pop())


def test_index_bounds():
    items = [1, 2, 1, 3, 1]
    for start, stop in itertools.product(BOUNDS, BOUNDS):
        with Slot(LIST_INT, items) as a:
            got = outcome(
                lambda: op("sm_list_index", a, BySlot(INT, 1), *opt(start), *opt(stop), returns=INT)
            )
        lo, hi = 0 if start is None else start, 2**63 - 1 if stop is None else stop
        assert got == outcome(lambda: items.index(1, lo, hi))


def test_equality_and_order_across_element_types():
    values = [
        ("List[int]", [1, 2]), ("List[float]", [1.0, 2.0]), ("List[bool]", [True]), ("List[int]", [1]),
        ("List[Any]", [1, 2.0]), ("List[Optional[int]]", [1, None]), ("List[complex]", [1 + 0j, 2 + 0j]),
        ("List[Tuple[int, float]]", [(1, 2.0)]), ("List[Tuple[float, int]]", [(1.0, 2)]),
        ("List[Tuple[int, ...]]", [(1, 2)]), ("List[List[int]]", [[1, 2]]), ("List[int]", []),
        ("List[float]", [float("nan")]), ("List[str]", ["a"]), ("List[str]", ["a", "é"]), ("List[str]", ["€"]),
    ]  # fmt: skip
    for (ta, a), (tb, b) in itertools.product(values, values):
        with Slot(parse_type(ta), a) as x, Slot(parse_type(tb), b) as y:
            same = a is b and a == [float("nan")]
            if not same and repr(a) != "[nan]" or repr(b) != "[nan]":
                assert op("sm_list_eq", x, y, returns=BOOL) == (a == b), (a, b)
            for name, symbol in [
                ("lt", "__lt__"),
                ("le", "__le__"),
                ("gt", "__gt__"),
                ("ge", "__ge__"),
            ]:
                if repr(a) == repr(b) == "[nan]":
                    continue
                compare = {"__lt__": lambda: a < b, "__le__": lambda: a <= b, "__gt__": lambda: a > b,
                           "__ge__": lambda: a >= b}[symbol]  # fmt: skip
                assert outcome(lambda: op(f"sm_list_{name}", x, y, returns=BOOL)) == outcome(
                    compare
                ), (a, b, name)


def test_range():
    for start, stop, step in [
        (0, 5, 1),
        (5, 0, -2),
        (0, 0, 1),
        (3, 1, 1),
        (0, 10, 3),
        (1, 2, 0),
        (-5, 5, 4),
    ]:
        assert outcome(lambda: op("sm_list_range", start, stop, step, returns=LIST_INT)) == outcome(
            lambda: list(range(start, stop, step))
        )
    ends = [0, 1, -1, 5, 2**63 - 1, -(2**63), 2**62]
    for start, stop, step in itertools.product(ends, ends, [1, -1, 2, -(2**63), 2**63 - 1]):
        n = range(start, stop, step)
        want = 0 if not n else (n[-1] - n[0]) // step + 1
        assert op("sm_range_length", start, stop, step, returns=INT) == min(want, 2**63 - 1)


def test_conversion_to_tuple_and_size():
    with Slot(LIST_INT, [1, 2]) as a:
        assert op("sm_list_convert", a, descriptors.descriptor(SIZE), returns=SIZE) == (1, 2)
    t = parse_type("Tuple[str, ...]")
    with Slot(t, ("a", "b")) as a:
        assert op("sm_list_slice", a, 1, 1, 0, 0, 0, 0, returns=LIST_STR) == ["b"]
        assert op("sm_slot_repr", a.address, descriptors.descriptor(t), returns=STR) == "('a', 'b')"
    with Slot(SIZE, (2, 3)) as a:
        assert (
            op("sm_slot_repr", a.address, descriptors.descriptor(SIZE), returns=STR)
            == "torch.Size([2, 3])"
        )


def test_memory_errors_are_raised():
    with Slot(LIST_INT, [1, 2, 3]) as a:
        for n in (2**62, 2**59, 2**63 - 1):
            assert outcome(lambda: op("sm_list_repeat", a, n, returns=LIST_INT))[1] == "MemoryError"
        assert (
            outcome(lambda: op("sm_list_range", 0, 2**62, 1, returns=LIST_INT))[1] == "MemoryError"
        )


def test_a_million_nested_lists_are_dropped_without_recursion():
    t = parse_type("List[Any]")
    with Slot(t, []) as a:
        inner = a.address
        current = raw("sm_list_new")(descriptors.descriptor(t), 1)
        from tests.runtime.natives import set_word, word

        for _ in range(100_000):
            outer = raw("sm_list_new")(descriptors.descriptor(t), 1)
            data = word(outer + 32)
            set_word(data, descriptors.descriptor(t))
            set_word(data + 8, current)
            set_word(outer + 16, 1)
            current = outer
        assert inner
    raw("sm_release")(current)


def test_any_holds_none_and_large_values():
    with Slot(ANY, (1, "a", 2.5)) as a:
        assert a.value == (1, "a", 2.5)
    with Slot(NONE, None), Slot(FLOAT, 1.0):
        pass


def test_sort():
    rng = random.Random(11)
    nan = float("nan")
    makers = {
        "List[int]": lambda: rng.randrange(20), "List[float]": lambda: rng.choice([0.0, 1.5, -2.0, 3.0]),
        "List[str]": lambda: rng.choice(["a", "b", "é", "", "aa", "😀"]), "List[bool]": lambda: rng.random() < 0.5,
        "List[Tuple[int, str]]": lambda: (rng.randrange(3), rng.choice("xyz")),
        "List[List[int]]": lambda: [rng.randrange(3) for _ in range(rng.randrange(3))],
        "List[Any]": lambda: rng.choice([1, 2.5, True, -3]),
    }  # fmt: skip
    for text, make in makers.items():
        for n in (0, 1, 2, 3, 10, 63, 64, 65, 200):
            items = [make() for _ in range(n)]
            for start in (items, sorted(items), sorted(items, reverse=True)):
                for reverse in (0, 1):
                    got = mutate(parse_type(text), start, "sm_list_sort", reverse)
                    assert repr(got) == repr(expect(start, lambda a: a.sort(reverse=bool(reverse))))
    for n in range(2, 64):
        items = [rng.choice([nan, 1.0, 2.0, 3.0, -1.0, 0.5]) for _ in range(n)]
        assert repr(mutate(parse_type("List[float]"), items, "sm_list_sort", 0)[1]) == repr(
            expect(items, lambda a: a.sort())[1]
        )
    assert (
        mutate(parse_type("List[float]"), [nan] * 64, "sm_list_sort", 0)[0][1]
        == "NotImplementedError"
    )
    for items in ([3, "a", 1], [1, None], [1j, 2j]):
        assert mutate(parse_type("List[Any]"), items, "sm_list_sort", 0) == expect(
            items, lambda a: a.sort()
        )


def test_sort_by_keys_is_stable():
    rng = random.Random(12)
    items = [rng.randrange(1000) for _ in range(150)]
    keys = [x % 7 for x in items]
    for reverse in (0, 1):
        got = mutate(LIST_INT, items, "sm_list_sort_by", Typed(LIST_INT, keys), reverse)
        assert got[1] == sorted(items, key=lambda x: x % 7, reverse=bool(reverse))
