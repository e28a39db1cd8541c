"""Sets and frozensets, four ways: values, order, state of the arguments."""

from __future__ import annotations

import enum
from typing import Dict, FrozenSet, List, Optional, Set, Tuple  # noqa: UP035

import pytest
import torch

import scriptmode
from scriptmode.support.diagnostics import CompileError
from tests.fourway import check

WORDS = ["apple", "banana", "cherry", "date", "elder", "fig", "grape", "é", "漢字", "😀", ""]

ITEMS = [
    [(10, 5), (0, 1), (7, 100)],
    [(1, 2), (3, 4), (5, 6), (9, 9)],
    [(100, -4), (5, -4)],
]


class Color(enum.Enum):
    RED = 1
    BLUE = 2


def test_a_set_of_strings_has_the_order_of_this_process() -> None:
    def f(words: List[str]):
        s = set(words)
        return list(s), {w + "!" for w in s}, [w for w in {"p", "q", "r", "s", "t"}], sorted(s)

    check(f, (WORDS,), ([f"w{i}" for i in range(200)],))


def test_operations_on_sets_keep_cpythons_order() -> None:
    def f(s: Set[str], t: Set[str], values: List[str]):
        found = [list(s | t), list(s & t), list(s - t), list(t - s), list(s ^ t)]
        found.append(list(s.union(t, values)))
        found.append(list(s.difference(values)))
        found.append(list(s.intersection(values)))
        return found, s <= t, s < t, s >= t, s > t, s == t, s != t, s.isdisjoint(t)

    a, b = {f"x{i}" for i in range(30)}, {"x1", "x50", "zz"}
    check(f, (a, b, ["x2", "x3", "no"]), (b, a, ["zz"]), (set(WORDS), set(WORDS), ["fig"]))


def test_the_union_of_a_set_with_itself_keeps_its_table() -> None:
    def f(s: Set[Tuple[int, int]], t: FrozenSet[Tuple[int, int]]):
        more = {(7, 7), (3, 9)}
        mine = [list(s.union(s)), list(s | s), list(s.union(s, s)), list(s.union(s, more, s))]
        frozen = [list(t.union(t)), list(t | t), list(t.union(s))]
        return mine, frozen, t.union() is t, s.union() is s

    check(f, *(({*items}, frozenset(items)) for items in ITEMS))


def test_a_frozen_union_is_filled_in_the_order_of_what_is_added() -> None:
    def f(t: FrozenSet[int]):
        keys = {k: 1.5 for k in range(40, 10, -3)}
        many = t.union([64, 8, 16], keys, {128, 72}, t)
        return list(many), list(t.union({0.5: 1}, [2.5])), list(t.union(keys)), list(t.union())

    compiled = scriptmode.script(f)
    for t in (frozenset({3, 1, 2}), frozenset({100, 9, 33, 17}), frozenset[int]()):
        assert compiled(t) == f(t)


def test_changes_in_place_reach_the_caller_with_their_order() -> None:
    def f(s: Set[int], t: Set[int]):
        before = s
        s |= {101, 102}
        s -= t
        s ^= {1, 2, 103}
        s.update([7, 8], {9: 1}, (10,))
        s.discard(3)
        s.difference_update([102])
        first = s.pop()
        t &= {4, 5, 6, 7}
        return first, list(s), before is s, list(t)

    check(f, (set(range(40)), {5, 6, 7}), ({1, 9, 17, 25}, set()))


def test_dummies_are_used_again_as_in_cpython() -> None:
    def f(n: int):
        s = {10, 11, 12, 13, 14}
        s.update((0, 32, 64))
        s.discard(0)
        s.discard(32)
        s.add(96)
        seen = list(s)
        for i in range(n):
            s.add(i * 37 % 64)
            s.discard(i * 11 % 64)
        return seen, list(s), len(s)

    check(f, (50,), (500,))


def test_a_set_that_changes_its_size_under_a_loop_raises() -> None:
    def f(s: Set[int]):
        for x in s:
            s.add(x + 10)

    check(f, ({1, 2},))
    with pytest.raises(RuntimeError, match="Set changed size during iteration"):
        scriptmode.script(f)({1})


def test_missing_and_unhashable_elements_raise() -> None:
    def remove(s: Set[str]):
        s.remove("absent")

    def pop(s: Set[str]):
        return s.pop()

    def unhashable(a: List[int]):
        return {1}, set([a])

    check(remove, ({"a"},))
    check(pop, (set(),), ({"a"},))
    check(unhashable, ([1],))
    with pytest.raises(KeyError, match="absent"):
        scriptmode.script(remove)({"a"})


def test_elements_of_every_hashable_kind() -> None:
    def f(n: int):
        pairs = {(i, str(i)) for i in range(n)}
        mixed = {1, "a", None, 2.5, (1, 2)}
        nested = {frozenset([i, i + 1]) for i in range(n)}
        return (
            sorted(pairs), len(mixed), None in mixed, (1, 2) in mixed, 1.0 in mixed, "b" in mixed,
            frozenset([1, 0]) in nested, {True, False}, {1.5, 2.0}, {b"a", b"b"},
        )  # fmt: skip

    check(f, (3,))


def test_enum_members_and_optionals_in_sets() -> None:
    def f(colors: Set[Color], numbers: Set[Optional[int]]):
        colors.add(Color.BLUE)
        return Color.RED in colors, len(colors), [x for x in numbers], None in numbers

    check(f, ({Color.RED}, {None, 1, 5}), (set(), {2}))


def test_frozensets_hash_and_serve_as_keys() -> None:
    def f(s: FrozenSet[int]):
        table = {s: 1, frozenset([7]): 2}
        return table[frozenset([3, 2, 1])], s | {9}, s & {1}, hash(s), {s}, s.union([4], {5})

    check(f, (frozenset([1, 2, 3]),))


def test_hashes_are_cpythons() -> None:
    def f(text: str, n: int, x: float, flag: bool):
        t = (n, text, None, x, (flag, ""))
        return hash(text), hash(n), hash(x), hash(t), hash(frozenset([text])), hash(range(n, 9))

    check(
        f,
        ("", 0, 0.5, True),
        ("é漢字😀", -1, float("inf"), False),
        ("abc" * 50, 2**61, 1e300, True),
    )


def test_sets_nest_in_other_containers() -> None:
    def f(d: Dict[str, Set[int]], a: List[Tuple[int, str]]):
        d["a"].add(3)
        d["b"] = set()
        d["b"].add(4)
        groups: Dict[int, Set[str]] = {}
        for number, name in a:
            groups.setdefault(number % 2, set()).add(name)
        return {k: len(v) for k, v in d.items()}, {k: sorted(v) for k, v in groups.items()}

    check(f, ({"a": {1}}, [(1, "x"), (2, "y"), (3, "x"), (5, "z")]))


def test_the_elements_of_an_empty_set_are_learnt_from_uses() -> None:
    def f(a: List[int]):
        seen = set()
        again = []
        for x in a:
            if x in seen:
                again.append(x)
            seen.add(x)
        empty: Set[str] = set()
        return again, seen, empty, bool(empty), not seen, str(empty), f"{seen}"

    check(f, ([1, 2, 1],), ([],))


def test_keys_of_a_dict_take_part_in_set_operations() -> None:
    def f(d: Dict[str, int], other: Dict[str, int]):
        return (
            sorted(d.keys() & other.keys()), sorted(d.keys() | {"q"}), sorted(d.keys() - {"a"}),
            d.keys() == {"a", "b"}, set(d), set(d.items()), set(d.values()), len(d.keys()),
        )  # fmt: skip

    check(f, ({"a": 1, "b": 2}, {"b": 3, "c": 4}))


def test_an_alias_of_a_set_stays_one() -> None:
    def f(a: Set[int], b: Set[int]):
        a.add(5)
        return a is b, a, b, [a, b]

    shared = {1}
    check(f, (shared, shared), ({1}, {2}))
    compiled = scriptmode.script(f)
    _, first, _, both = compiled(shared, shared)
    assert first is shared and both[0] is both[1] is shared


def test_a_set_of_tensors_is_refused() -> None:
    def f(x):
        return {x}

    with pytest.raises(CompileError, match="a set of tensors"):
        scriptmode.script(f)


def test_sets_of_dtypes_and_devices_are_pythons_own() -> None:
    def f(x: torch.Tensor):
        kinds = {x.dtype, torch.float16, torch.int64, torch.bool}
        places = {x.device, torch.device("cpu")}
        return kinds, list(kinds), x.dtype in kinds, places, len(places)

    compiled = check(f, (torch.ones(1),))
    kinds = compiled(torch.ones(1))[0]
    assert torch.float16 in kinds and torch.float32 in kinds and torch.int8 not in kinds


class Plain:
    pass


def test_a_set_of_objects_that_are_hashed_by_address_does_not_leave() -> None:
    def f(n: int):
        return {Plain(), Plain()}

    with pytest.raises(CompileError, match="hashed by their addresses"):
        scriptmode.script(f)


def test_sets_of_dicts_have_room_for_all_keys_at_once() -> None:
    def f(s: Set[int], d: Dict[int, str]):
        found = [list(set(d)), list(frozenset(d)), list(s.union(d)), list(s.union(d, {0.5: 1}))]
        shown = [list(set({17: 1, 33: 2, 1: 3, 9: 4, 25: 5})), list(s | set({40: "a", 8: "b"}))]
        s.update({17: len, 33: sum, 1: abs})
        s.update(d)
        return found, shown, list(s)

    check(f, ({9, 100, 17, 33}, {k * 8 + 1: "v" for k in range(9)}), (set(), {3: "a", 19: "b"}))


def test_what_a_list_keeps_of_a_set_is_in_the_order_of_the_list() -> None:
    def f(s: Set[int], values: List[int]):
        t, u = s.copy(), s.copy()
        t.intersection_update(values)
        u.intersection_update(values, dict.fromkeys(values), {9, 17})
        return list(t), list(u), list(s.intersection(values)), list(s)

    check(f, ({1, 9, 17, 25, 3}, [25, 17, 9, 1, 88]), (set(range(0, 200, 8)), [160, 8, 32, 0, 8]))
