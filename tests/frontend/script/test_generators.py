"""Generators and iterators: they take turns with their consumer, as Python's do."""

from __future__ import annotations

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
