"""deque, OrderedDict, defaultdict, Counter, iterators and sorting, four ways."""

from __future__ import annotations

import collections
import itertools
from collections import Counter, OrderedDict, defaultdict, deque
from typing import DefaultDict, Deque, Dict, List, Tuple  # noqa: UP035

import pytest

import scriptmode
from scriptmode.ir.parser import parse_program
from scriptmode.ir.printer import print_program
from scriptmode.ops.aten import schema_of
from tests.fourway import check


def test_deques_grow_and_shrink_at_both_ends() -> None:
    def f(n: int):
        d = deque([1, 2, 3])
        for i in range(n):
            d.append(i)
            d.appendleft(-i)
            if i % 3 == 0:
                d.popleft()
        d.rotate(3)
        d.rotate(-1)
        d.extendleft([7, 8])
        d.insert(2, 99)
        d.reverse()
        d.remove(99)
        del d[0]
        d[1] = 55
        return list(d), len(d), d[0], d[-1], d.index(55), d.count(1), 55 in d, d.pop(), bool(d)

    check(f, (0,), (5,), (50,))


def test_a_limited_deque_drops_from_the_other_end() -> None:
    def f(d: Deque[str]):
        d.append("x")
        d.appendleft("y")
        d.extend(["p", "q"])
        return d.maxlen, d, str(d), d + deque(["z"]), d.copy(), deque([1, 2, 3], maxlen=2)

    check(f, (deque(["a", "b"], maxlen=3),), (deque(["a"]),))


def test_a_deque_takes_over_any_iterable() -> None:
    def f(d: Deque[int]):
        e = d
        e += [5]
        e += range(2)
        return d, e is d, hash(frozenset()), frozenset("ab") == set("ba")

    check(f, (deque([1]),))


def test_a_deque_as_a_queue() -> None:
    def f(start: int):
        queue = deque()
        queue.append(start)
        order = []
        while queue:
            node = queue.popleft()
            order.append(node)
            if node < 50:
                queue.append(node * 2)
                queue.append(node * 2 + 1)
        return order

    check(f, (1,))


def test_deque_errors_are_pythons() -> None:
    def pop(d: Deque[int]):
        return d.popleft()

    def index(d: Deque[int]):
        return d[5]

    def mutate(d: Deque[int]):
        for x in d:
            d.append(x)

    for f in (pop, index, mutate):
        check(f, (deque(),), (deque([1]),))
    with pytest.raises(RuntimeError, match="deque mutated during iteration"):
        scriptmode.script(mutate)(deque([1]))


def test_an_ordered_dict_that_changes_while_iterated_raises_unless_it_was_at_its_end() -> None:
    def f(d: collections.OrderedDict[str, int], at: int, how: int, backwards: bool):
        seen: List[str] = []
        n = 0
        try:
            for key in reversed(d) if backwards else iter(d):
                seen.append(key)
                if n == at:
                    if how == 0:
                        d["new"] = 1
                    elif how == 1:
                        del d[key]
                    elif how == 2:
                        d.move_to_end(key)
                    elif how == 3:
                        d.move_to_end(key, last=False)
                    elif how == 4:
                        d[key] = 9
                    elif how == 5:
                        d.popitem()
                        d["new"] = 1
                    else:
                        d.clear()
                n += 1
        except RuntimeError:
            seen.append("raised")
        return seen

    def again(d: collections.OrderedDict[str, int]):
        it = iter(d.items())
        first = next(it, ("none", 0))
        d["new"] = 2
        try:
            next(it)
        except (RuntimeError, StopIteration) as error:
            return first, str(error), list(it)
        return first, "nothing", list(it)

    def made(n: int):
        return collections.OrderedDict((c, i) for i, c in enumerate("abc"[:n]))

    cases = itertools.product((1, 2, 3), range(3), range(7), (False, True))
    check(f, *((made(n), at, how, back) for n, at, how, back in cases))
    check(again, *((made(n),) for n in range(3)))


def test_an_ordered_dict_keeps_its_class_and_order() -> None:
    def f(d: collections.OrderedDict[str, int]):
        d["z"] = 1
        d.move_to_end("a")
        d.move_to_end("z", last=False)
        copy = d.copy()
        first = d.popitem(last=False)
        return first, d, copy, list(copy), d == {"b": 2, "a": 1}, copy == d, repr(d)

    check(f, (OrderedDict(a=1, b=2),))


def test_ordered_dicts_compare_by_order() -> None:
    def f(n: int):
        a = OrderedDict()
        b = OrderedDict()
        for i in range(n):
            a[i] = i
            b[n - 1 - i] = n - 1 - i
        return a == b, a == dict(b), dict(a) == dict(b), a != b

    check(f, (1,), (3,))


def test_default_dicts_make_what_is_missing() -> None:
    def f(words: List[str]):
        groups = defaultdict(list)
        counts = defaultdict(int)
        sets = defaultdict(set)
        nested = defaultdict(lambda: defaultdict(int))
        for word in words:
            groups[len(word)].append(word)
            counts[word] += 1
            sets[word[0]].add(word)
            nested[word[0]][word] += 1
        return (
            groups, dict(counts), {k: sorted(v) for k, v in sets.items()}, nested["b"]["ba"],
            "zz" in counts, counts["zz"], "zz" in counts, len(groups), counts.get("no"),
        )  # fmt: skip

    check(f, (["a", "bb", "a", "ba"],))


def test_a_default_dict_argument_is_changed_for_the_caller() -> None:
    def f(d: DefaultDict[str, int]):
        d["a"] += 2
        d["b"]
        return d, repr(d)

    check(f, (defaultdict(int, a=1),))


def test_counters_count() -> None:
    def f(words: List[str]):
        c = Counter(words)
        c.update(["x", "x"])
        c.update({"y": 5})
        c.subtract(["x"])
        d = Counter(x=1, y=2)
        return (
            c, c["absent"], "absent" in c, c.most_common(2), c.most_common(), list(c.elements()),
            c + d, c - d, c & d, c | d, sum(c.values()), c.total(), str(c),
        )  # fmt: skip

    check(f, (["a", "b", "a", "x"],), ([],))


def test_iterators_are_used_up() -> None:
    def f(a: List[int], d: Dict[str, int]):
        it = iter(a)
        first = next(it, -1)
        rest = [x for x in it]
        after = next(it, -2)
        pairs = zip(a, d)
        once, twice = list(pairs), list(pairs)
        numbered = enumerate(d, 5)
        return first, rest, after, once, twice, list(numbered), list(numbered)

    check(f, ([1, 2, 3], {"x": 1, "y": 2}), ([], {}))


def test_next_of_an_exhausted_iterator_raises() -> None:
    def f(a: List[int]):
        it = iter(a)
        return next(it), next(it)

    check(f, ([1, 2],), ([1],))


def test_a_dict_is_seen_live_while_it_is_iterated_over() -> None:
    def f(d: Dict[str, int]):
        seen = []
        for k, v in d.items():
            d["b"] = 100
            seen.append((k, v))
        backwards = [k for k in reversed(d)], list(reversed(d.items())), list(reversed(d.values()))
        return seen, backwards

    check(f, ({"a": 1, "b": 2, "c": 3},))


def test_sorting_by_key_is_stable_and_calls_it_once() -> None:
    def f(a: List[str], pairs: List[Tuple[int, str]]):
        calls: List[str] = []

        def key(s: str) -> int:
            calls.append(s)
            return len(s)

        b = sorted(a, key=key)
        a.sort(key=len, reverse=True)
        pairs.sort()
        return b, calls, a, pairs, sorted(pairs, key=lambda p: p[1]), sorted(pairs, reverse=True)

    check(f, (["bb", "a", "cc", "d"], [(2, "x"), (1, "z"), (1, "a")]))


def test_lists_of_lists_sort_and_those_of_mixed_types_raise() -> None:
    def f(a: List[List[int]]):
        return sorted(a), max(a), min(a), sorted(map(tuple, a))

    def g(n: int):
        return sorted([n, "a"])

    check(f, ([[3, 1], [1, 2], [1]],))
    check(g, (1,))


def test_dicts_update_from_pairs_and_keywords() -> None:
    def f(d: Dict[str, int]):
        e = dict(d)
        e.update([("x", 1), ("y", 2)], z=3)
        e.update(zip(["p"], [4]))
        return e, dict.fromkeys(["a", "b"], 0), {}.fromkeys("ab"), {**d, "k": 1, **e}

    check(f, ({"a": 1},))


def test_lists_extend_by_any_iterable() -> None:
    def f(a: List[int], d: Dict[int, str]):
        a += (7, 8)
        a += range(2)
        a.extend(d)
        a.extend(x * 2 for x in d)
        return a, a + [None], [1.5] + a[:1]

    check(f, ([1], {5: "x"}))


def test_the_printed_code_and_ir_of_collections_read_back() -> None:
    def f(a: List[int]):
        d = OrderedDict(k=len(a))
        c = Counter(a)
        s = {1, 2, 3} | set(a)
        q = deque(a, maxlen=2)
        g = defaultdict(int)
        g["x"] += 1
        return d, c, s, q, g, frozenset(a), range(len(a))

    compiled = scriptmode.script(f)
    program, _, _ = compiled.__scriptmode_ir__()
    assert print_program(parse_program(print_program(program), schema_of)) == print_program(program)
    assert "OrderedDict" in compiled.code
    check(f, ([1, 2, 1],))


def test_generic_aliases_make_containers_of_known_types() -> None:
    def f(a: List[int]):
        x = list[int]()
        d = dict[str, List[int]]()
        d["a"] = []
        o = OrderedDict[str, int]()
        g = defaultdict[str, int](int)
        g["z"] += 1
        return x, d, set[int](a), o, g, deque[int](a)

    check(f, ([1, 2],))


def test_building_and_dropping_every_container_leaves_nothing() -> None:
    def f(n: int):
        total = 0
        for i in range(n):
            a = [i, i + 1]
            q = deque(a)
            q.appendleft(i)
            groups = defaultdict(list)
            groups["k"].append(i)
            it = iter({i: "x"})
            total += len({i, 2}) + len(frozenset(a)) + len(q) + len(OrderedDict(a=i)) + len(groups)
            total += len(Counter("aab")) + len(b"ab" + b"c") + next(it) - i
        return total

    check(f, (100,))


def empty_ordered_dict(n: int):
    d: OrderedDict[str, int] = OrderedDict()
    first = repr(d)
    d["a"] = n
    return first, str(d)


def test_the_text_of_an_empty_ordered_dict():
    check(empty_ordered_dict, (3,))
