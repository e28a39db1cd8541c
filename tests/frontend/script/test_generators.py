"""Generators and iterators: they take turns with their consumer, as Python's do."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import List, Optional  # noqa: UP035

import torch

from tests.fourway import check

# ruff: noqa: E731, B023, B007


def test_a_generator_is_consumed_by_for_list_and_sum() -> None:
    def f(n: int):
        def squares(k):
            i = 0
            while i < k:
                yield i * i
                i += 1

        total = 0
        for v in squares(n):
            total += v
        return total, list(squares(n)), sum(squares(n + 1))

    check(f, (5,))


def test_continue_and_break_around_yield() -> None:
    def f(n: int):
        def g(k):
            for x in range(k):
                if x % 3 == 0:
                    continue
                if x > 10:
                    break
                yield x
            yield -1

        return list(g(n))

    check(f, (15,), (4,))


def test_generator_and_consumer_take_turns() -> None:
    def f(n: int):
        log = [0]

        def g(k: int):
            log.append(-1)
            for x in range(k):
                log.append(x)
                yield x
            log.append(-2)

        it = g(n)
        log.append(100)
        a = next(it)
        b = next(it, 77)
        for x in it:
            log.append(x * 10)
        c = next(it, 99)
        return a, b, c, log

    check(f, (4,), (1,))


def test_a_stored_generator_expression_is_consumed_in_parts() -> None:
    def f(n: int):
        g = (x * x for x in range(n))
        a = next(g)
        rest = list(g)
        return a, rest, list(g)

    check(f, (4,))


def test_endless_generators_are_left_early() -> None:
    def f(n: int):
        def naturals():
            k = 0
            while True:
                yield k
                k += 1

        out = []
        for a, b in zip(naturals(), [5, 6, 7]):
            out.append(a * b)
        for v in naturals():
            if v > n:
                break
            out.append(v)
        return out

    check(f, (3,))


def test_a_generator_calls_itself() -> None:
    def f(n: int):
        def walk(k: int):
            if k > 0:
                yield from walk(k - 1)
                yield k
                yield from walk(k - 1)

        return list(walk(n))

    check(f, (3,))


def test_generators_over_generators() -> None:
    def f(n: int):
        def pipeline(xs):
            for x in xs:
                yield x + 1

        def evens(xs):
            for x in xs:
                if x % 2 == 0:
                    yield x

        return list(pipeline(evens(pipeline(range(n)))))

    check(f, (10,))


def test_items_of_a_dict_are_yielded() -> None:
    def f(n: int):
        def pairs(d):
            for k, v in d.items():
                yield k, v
                yield k + "!", -v

        return [f"{a}{b}" for a, b in pairs({"a": n, "b": 2})]

    check(f, (3,))


def test_items_of_several_types() -> None:
    def f(n: int):
        def g():
            yield 1
            yield 2.5
            yield "s"

        out = []
        for v in g():
            out.append(str(v))
        return out

    check(f, (3,))


def test_an_iterator_over_a_list() -> None:
    def f(n: int):
        it = iter([3, 4, 5])
        a = next(it)
        b = next(it)
        return a, b, list(it)

    check(f, (3,))


def test_star_arguments_of_generators() -> None:
    def f(n: int):
        def g(a, b=2, *rest):
            yield a
            for r in rest:
                yield r * b

        return tuple(g(n, 3, 4, 5)), max(g(1)), any(x > 3 for x in g(1, 2, 3)), sorted(g(5, 1, 2))

    check(f, (1,))


def test_yield_from_gives_what_was_returned() -> None:
    def f(n: int):
        def g():
            r = yield from h()
            yield r

        def h():
            yield 1
            return 42

        return list(g())

    check(f, (3,))


def test_two_loops_share_an_iterator() -> None:
    def f(n: int):
        it = iter(range(n))
        out = []
        for x in it:
            out.append(x)
            if x == 2:
                break
        out.append(-1)
        for x in it:
            out.append(x)
        return out

    check(f, (6,))


def test_zip_and_map_are_consumed_once() -> None:
    def f(n: int):
        z = zip([1, 2, 3], ["a", "b", "c"])
        a = list(z)
        b = list(z)
        m = map(lambda x: x * n, [1, 2])
        c = next(m)
        return a, b, c, list(m)

    check(f, (4,))


def test_tensors_are_kept_while_suspended() -> None:
    def f(x: torch.Tensor, n: int):
        def scaled(t):
            for i in range(n):
                t = t * 2
                yield t

        acc = x
        for y in scaled(x):
            acc = acc + y
        return acc

    check(f, (torch.ones(2), 3))


def test_an_exception_inside_ends_a_generator() -> None:
    def f(n: int):
        def g(k: int):
            if k < 0:
                return
            yield k
            raise ValueError("bad")

        it = g(n)
        a = next(it)
        b = next(it, 5)
        return a, b

    check(f, (3,), (-1,))


def test_next_of_an_exhausted_iterator() -> None:
    def f(n: int):
        it = iter([1])
        next(it)
        return next(it)

    check(f, (3,))


def test_a_generator_expression_is_unpacked() -> None:
    def f(n: int):
        a, b, *c = (x * 2 for x in range(n))
        return a, b, c

    check(f, (5,))


def test_generator_expressions_in_a_list_share_variables() -> None:
    def f(n: int):
        gens = []
        for i in range(n):
            gens.append(x + i for x in range(2))
        return [list(g) for g in gens]

    check(f, (3,))


def test_counting_chaining_accumulating() -> None:
    def f(n: int):
        return (
            list(itertools.islice(itertools.count(n, 2), 4)),
            list(itertools.chain([1, 2], (3,), range(n))),
            list(itertools.accumulate([1, 2, 3])),
            list(itertools.takewhile(lambda x: x < n, itertools.count())),
        )

    check(f, (3,))


def test_filter_asks_in_turn_with_its_consumer() -> None:
    def f(xs: list[int]):
        log = [0]

        def keep(x: int):
            log.append(x)
            return x % 2 == 0

        out = []
        for v in filter(keep, xs):
            log.append(-v)
            out.append(v)
        f = filter(keep, xs)
        a = next(f, -1)
        return (
            out,
            log,
            a,
            list(f),
            list(filter(None, xs)),
            sum(filter(keep, xs)),
            [i for i in enumerate(filter(keep, xs))],
        )

    check(f, ([0, 1, 2, 3, 4],), ([],))


def test_cycles_products_and_repetitions() -> None:
    def f(n: int):
        c = itertools.cycle([1, 2, 3])
        return (
            [next(c) for _ in range(n)],
            list(itertools.product([1, 2], ["a", "b"])),
            list(itertools.pairwise([1, 2, 3])),
            list(itertools.repeat(n, 3)),
            list(itertools.zip_longest([1, 2, 3], [4], fillvalue=0)),
        )

    check(f, (5,))


def test_chains_of_lists_and_star_maps() -> None:
    def f(xss: list[list[int]]):
        return (
            list(itertools.chain.from_iterable(xss)),
            list(itertools.chain(*xss)),
            list(itertools.starmap(lambda a, b: a + b, [(1, 2), (3, 4)])),
            list(itertools.dropwhile(lambda x: x < 2, [1, 2, 1])),
            list(itertools.combinations([1, 2, 3], 2)),
        )

    check(f, ([[1], [2, 3]],))


def test_a_chain_runs_its_parts_one_after_the_other() -> None:
    def f(n: int):
        log = [0]

        def gen(k: int):
            log.append(k)
            yield k
            log.append(-k)

        for x in itertools.chain(gen(1), gen(n)):
            log.append(x * 100)
        return log

    check(f, (2,))


class Bag:
    def __init__(self, n: int):
        self.items = [i * 2 for i in range(n)]

    def __iter__(self):
        for x in self.items:
            yield x

    def pairs(self):
        for i, x in enumerate(self.items):
            yield i, x


class Node:
    def __init__(self, v: int, left: Optional[Node] = None, right: Optional[Node] = None):
        self.v = v
        self.left = left
        self.right = right

    def walk(self) -> Iterator[int]:
        if self.left is not None:
            yield from self.left.walk()
        yield self.v
        if self.right is not None:
            yield from self.right.walk()


class Up:
    def __init__(self, n: int):
        self.n = n
        self.i = 0

    def __iter__(self):
        return self

    def __next__(self) -> int:
        if self.i >= self.n:
            raise StopIteration
        self.i += 1
        return self.i


class Squares:
    def __getitem__(self, i: int) -> int:
        if i >= 3:
            raise IndexError("out")
        return i * i


def test_methods_are_generators() -> None:
    def f(n: int):
        b = Bag(n)
        it = iter(b)
        first = next(it)
        return (
            [x for x in b],
            sum(b),
            max(b),
            [p for p in b.pairs()],
            list(zip(b, b)),
            first,
            list(it),
        )

    check(f, (3,))


def test_a_tree_is_walked_recursively() -> None:
    def f(n: int):
        t = Node(5, Node(3, Node(n)), Node(8))
        return list(t.walk()), sum(t.walk())

    check(f, (1,))


def test_iterators_of_the_program() -> None:
    def f(n: int):
        out = []
        for x in Up(n):
            out.append(x)
        u = Up(n)
        first = next(u, -1)
        return out, first, list(u), sum(Up(4)), [x for x in Squares()]

    check(f, (0,), (3,))


def test_consumers_and_producers_take_turns_in_for_loops() -> None:
    def f(n: int):
        log = [0]

        def g(x: int):
            log.append(x)
            return x

        for v in map(g, (1, 2, n)):
            log.append(-v)
        for v in (g(x) for x in [1, 2]):
            log.append(-v)
        ys = [v + log[-1] for v in map(g, [4, 5])]
        for i, v in enumerate(g(x) for x in range(2)):
            log.append(i - v * 10)
        for a, b in zip(map(g, [7, 8]), (g(x) for x in (9, 10))):
            log.append(a - b)
        return log, ys

    check(f, (3,))


def test_yield_inside_try() -> None:
    def f(xs: list[int]):
        log = [0]

        def g():
            for x in xs:
                try:
                    y = 10 // x
                    yield y
                    log.append(x)
                    if x == 3:
                        raise ValueError("three")
                except ZeroDivisionError:
                    log.append(-1)
                except ValueError:
                    log.append(-3)
                else:
                    log.append(1000)

        return [v for v in g()], log

    check(f, ([1, 0, 3, 2],))


def test_a_suspended_generator_sees_outer_variables_change() -> None:
    def f(n: int):
        k = n

        def g():
            for _ in range(3):
                yield k

        out = []
        for v in g():
            out.append(v)
            k += v
        return out, k

    check(f, (2,))


def test_stop_iteration_inside_a_generator_becomes_a_runtime_error() -> None:
    def first(items: list[int]):
        return next(iter(items))

    def f(items: list[int], how: int):
        def g():
            yield 0
            if how == 0:
                raise StopIteration(5)
            if how == 1:
                yield next(iter(items))
            yield first(items)

        it = g()
        out = []
        for _ in range(3):
            try:
                out.append(str(next(it, -1)))
            except RuntimeError as error:
                out.append(f"{error} from {type(error.__cause__).__name__}")
        return out

    check(f, ([], 0), ([], 1), ([], 2), ([4], 1))


def test_a_generator_that_has_raised_is_at_its_end() -> None:
    def f(n: int):
        def g():
            yield 1
            raise ValueError(str(n))

        it = g()
        out = []
        for _ in range(3):
            try:
                out.append(next(it, 99))
            except ValueError:
                out.append(-1)
        return out

    check(f, (3,))


def test_close_ends_a_generator_and_send_none_resumes_it() -> None:
    def f(n: int):
        def g():
            for i in range(n):
                yield i

        it, other = g(), g()
        first = next(it)
        it.close()
        it.close()
        sent = (other.send(None), other.__next__())
        return first, list(it), next(it, -1), sent, list(other.__iter__())

    check(f, (5,))


def zipped_strictly(a: List[int], b: List[str]):
    pairs = zip(a, b, a, strict=True)
    first = next(pairs)
    return first, list(pairs), sum(x + len(y) for x, y in zip(a, b, strict=True))


def test_a_strict_zip_as_an_iterator():
    check(zipped_strictly, ([1, 2], ["a", "bb"]), ([1], ["a", "b"]), ([1, 2], ["a"]))


def test_a_strict_zip_in_turn_raises_where_the_lengths_differ() -> None:
    def f(a: list[int], b: list[float], c: list[str]):
        log = []
        rows = zip(a, b, c, strict=True)
        try:
            while True:
                log.append(str(next(rows)))
        except StopIteration:
            log.append("end")
        except ValueError as error:
            log.append(str(error))
        return log, sum(p for p, q in zip(a, a, strict=True) if p > q - 1)

    texts = [(["a", "b"]), ["a"], ["a", "b", "c"]]
    check(
        f, *[([1, 2], [1.0, 2.0], text) for text in texts], ([1], [1.0, 2.0], ["a"]), ([], [], [])
    )
