"""Lists, dicts, ranges, bytes and library functions over them, four ways."""

from __future__ import annotations

import bisect
import copy
import heapq
import itertools
from typing import Dict, List, Optional, Tuple  # noqa: UP035

import pytest
import torch

import scriptmode
from tests.fourway import check


def test_augmented_assignments_change_a_list_for_everyone() -> None:
    def f(a: List[int]):
        b = a
        a *= 3
        a += a
        a += range(2)
        return b is a, a

    check(f, ([1, 2],), ([],))


def test_ranges_are_values() -> None:
    def f(n: int, r: range):
        s = range(n, 0, -2)
        many = [range(i) for i in range(3)]
        return (
            s, s[0], s[1:], s[::-1], s[-1], 2 in s, 9 in s, True in r, 1.0 in r, s.index(n), len(s),
            s.count(n), s.start, s.stop, s.step, many, range(0) == range(2, 2), hash(s), str(s), r,
            {range(3): 1}, [x for x in r], sum(r), list(reversed(r)), max(r, default=-1), bool(r),
        )  # fmt: skip

    check(f, (4, range(3)), (9, range(0)), (5, range(10, 1, -4)))


def test_range_errors_are_pythons() -> None:
    def item(n: int):
        return range(n)[n]

    def missing(n: int):
        return range(n).index(-1)

    def step(n: int):
        return range(0, n, n - n)

    for f in (item, missing, step):
        check(f, (3,))


def test_slices_are_values() -> None:
    def f(a: List[int], n: int):
        s = slice(n, None, 2)
        return a[s], s.start, s.stop, s.step, s.indices(len(a)), slice(-3, None, -1).indices(n)

    check(f, ([1, 2, 3, 4, 5], 1), ([], 0), ([7], 4))


def test_bytes() -> None:
    def f(b: bytes, text: str):
        return (
            b, b[0], b[-1], b[1:3], len(b), b + b"x", b * 2, b == b"abc", b < b"b", b"bc" in b,
            97 in b, list(b), b.find(b"c"), b.replace(b"a", b"zz"), b.startswith(b"ab"), hash(b),
            {b: 1}[b], b.hex(), b.split(b"b"), b", ".join([b"p", b"q"]), text.encode(),
            text.encode("utf-16"), b"ok".decode(), [x for x in b], bytes([1, 2]), repr(b), bool(b""),
        )  # fmt: skip

    check(f, (b"abc\xff", "é"), (b"\x00'\"\\\n", ""))


def test_bytes_that_are_no_text_raise() -> None:
    def f(b: bytes):
        return b.decode()

    check(f, (b"\xff",), (b"ok",))


def test_heaps() -> None:
    def f(a: List[int], pairs: List[Tuple[float, str]]):
        heapq.heapify(a)
        heap: List[Tuple[float, str]] = []
        for pair in pairs:
            heapq.heappush(heap, pair)
        heapq.heappush(a, 3)
        popped = [heapq.heappop(heap) for _ in range(len(heap))]
        replaced = heapq.heapreplace(a, 9), heapq.heappushpop(a, 2)
        return a, popped, replaced, heapq.nlargest(2, a), heapq.nsmallest(2, a, key=lambda x: -x)

    check(f, ([5, 2, 8, 1, 9, 3], [(2.0, "b"), (1.0, "z"), (1.0, "a")]))


def test_popping_an_empty_heap_raises() -> None:
    def f(a: List[int]):
        return heapq.heappop(a)

    check(f, ([],), ([1],))


def test_bisection() -> None:
    def f(a: List[int], x: int):
        left, right = bisect.bisect_left(a, x), bisect.bisect_right(a, x)
        bisect.insort(a, x)
        bisect.insort_left(a, x + 1)
        return a, left, right, bisect.bisect(a, x, 1), bisect.bisect_left(a, -x, key=lambda v: -v)

    check(f, ([1, 2, 2, 4], 2), ([], 5))


def test_shallow_copies() -> None:
    def f(a: List[List[int]], d: Dict[str, List[int]]):
        b, c = copy.copy(a), copy.copy(d)
        b[0].append(5)
        b.append([])
        c["new"] = []
        return a, b, c, d, copy.copy((1, a)), copy.copy(3), b is a

    check(f, ([[1]], {"k": [2]}))


def test_the_columns_of_rows() -> None:
    def f(pairs: List[Tuple[int, int]], rows: List[List[int]], mixed: List[Tuple[str, float]]):
        xs, ys = zip(*pairs)
        names, values = zip(*mixed)
        return xs, ys, [list(c) for c in zip(*rows)], names, values, list(zip(*pairs))

    check(f, ([(1, 2), (3, 4)], [[1, 2, 3], [4, 5]], [("a", 1.0), ("b", 2.0)]))
    check(f, ([], [], []))


def test_empty_displays_learn_from_nested_uses() -> None:
    def f(words: List[str]):
        a = [[]]
        a[0].append(1)
        b = [[] for _ in range(3)]
        b[1].append("x")
        c = {"k": []}
        c["k"].append(2.0)
        d = {}
        d["a"] = {}
        d["a"]["b"] = []
        d["a"]["b"].append(1)
        pair = ([], {})
        pair[0].append(1)
        pair[1]["z"] = None
        table = {}
        for word in words:
            table.setdefault(len(word), []).append(word)
        evens, odds = [], []
        for i in range(5):
            (evens if i % 2 == 0 else odds).append(i)
        return a, b, c, d, pair, table, evens, odds

    check(f, (["a", "bb", "cc"],))


def test_empty_displays_learn_from_other_branches() -> None:
    def f(c: bool):
        x = [] if c else [1]
        y = {} if c else {"a": 1}
        z = set() if c else {1}
        if c:
            w = []
        else:
            w = [1.5]
        w.append(2.5)
        return x, y, z, w

    check(f, (True,), (False,))


def test_lists_of_optionals_take_lists_of_values() -> None:
    def f(a: List[Optional[int]], b: List[int]):
        a.extend(b)
        a += b
        c: List[Optional[int]] = []
        c.extend(b)
        return a, a + b, b + a, c, [*a, *b, None]

    check(f, ([1, None], [2]))


def test_methods_by_their_dunder_names() -> None:
    def f(a: List[int], d: Dict[str, int]):
        a.__setitem__(0, 9)
        d.__delitem__("gone")
        return sorted(range(len(a)), key=a.__getitem__), a.__len__(), d.__contains__("k"), d, a

    check(f, ([3, 1, 2], {"k": 1, "gone": 2}))


def test_the_list_of_a_tensor_has_the_annotated_type() -> None:
    def f(x: torch.Tensor, y: torch.Tensor) -> List[float]:
        a: List[List[int]] = x.tolist()
        b: int = x[0, 0].tolist()
        a.append([b])
        return y.tolist() if len(a) > 2 else []

    check(
        f, (torch.arange(6).reshape(2, 3), torch.rand(3)), (torch.ones(1, 1).long(), torch.ones(1))
    )


def test_a_tensor_of_another_type_than_annotated_raises() -> None:
    def f(x: torch.Tensor) -> List[int]:
        return x.tolist()

    compiled = scriptmode.script(f)
    assert compiled(torch.arange(2)) == [0, 1]
    with pytest.raises(TypeError, match="List\\[int\\] is expected"):
        compiled(torch.rand(2))


def test_values_of_different_types_are_looked_for_by_equality() -> None:
    def f(a: List[int], d: Dict[int, str], t: Dict[Tuple[float, float], int], n: List[List[int]]):
        return (
            2.0 in a, 2.5 in a, True in a, "x" in a, None in a, (1,) in a, 1.0 in d, "a" in d,
            (1, 2) in t, (1, 3) in t, [1.0] in n, [] in n, a.index(2.0), a.count(True), [] in [[]],
            n.index([2]), a == [1.0, 2.0, 3.0], {1: 2} == {1.0: 2.0}, [1] == ["a"], a < [1.5],
        )  # fmt: skip

    check(f, ([1, 2, 3], {1: "a"}, {(1.0, 2.0): 1}, [[1], [2]]))


def test_combinations_and_permutations_of_any_size() -> None:
    def f(a: List[int], n: int):
        return (
            list(itertools.permutations(a)), list(itertools.permutations(a, 2)),
            list(itertools.permutations(a, n)), list(itertools.combinations(a, n)),
            list(itertools.combinations_with_replacement(a, n)), list(itertools.combinations(a, 9)),
            list(itertools.product(a, repeat=n)), [x + y for x, y in itertools.permutations(a, 2)],
        )  # fmt: skip

    check(f, ([1, 2, 3], 2), ([], 0))


def test_keys_that_change_under_a_loop_raise() -> None:
    def f(d: Dict[int, str]):
        for k in d:
            if k == 1:
                del d[1]
                d[3] = "c"
        return d

    check(f, ({1: "a", 2: "b"},))


def test_methods_of_classes_as_functions() -> None:
    def f(a: List[str], d: Dict[str, int]):
        list.append(a, "z")
        return sorted(a, key=str.upper), list(map(str.upper, a)), dict.get(d, "k"), str.join("-", a)

    check(f, (["b", "A"], {"k": 1}))


def test_a_dict_takes_over_pairs_in_place() -> None:
    def f(d: Dict[str, int]):
        e = d
        e |= {"b": 2}
        e |= [("c", 3)]
        return d, e is d

    check(f, ({"a": 1},))
