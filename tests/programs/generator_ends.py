"""Generators that are left early: programs for ``tests/frontend/script/test_generator_ends``."""

from __future__ import annotations

from itertools import islice
from typing import List


def exhaust(n: int):
    log: List[str] = []

    def g():
        try:
            for i in range(n):
                yield i
        finally:
            log.append("fin")

    out = []
    for x in g():
        out.append(x)
    log.append("after")
    return out, log, list(g()), sum(g())


def brk(n: int):
    log: List[str] = []

    def g():
        try:
            for i in range(10):
                yield i
        finally:
            log.append("fin")

    for x in g():
        if x == n:
            break
        log.append(str(x))
    log.append("after")
    return log


def brk_nested(n: int):
    log: List[str] = []

    def g(name: str):
        try:
            for i in range(3):
                yield i
        finally:
            log.append("fin" + name)

    for x in g("a"):
        for y in g("b"):
            if y == n:
                break
            if x == n:
                return log
            log.append(f"{x}{y}")
        else:
            log.append("else")
    log.append("after")
    return log


def exc(n: int):
    log: List[str] = []

    def g():
        try:
            for i in range(10):
                yield i
        finally:
            log.append("fin")

    try:
        for x in g():
            log.append(str(10 // (n - x)))
    except ZeroDivisionError:
        log.append("zero")
    return log


def ret_in_loop(n: int):
    log: List[str] = []

    def g():
        with_ = 1
        try:
            yield with_
            yield 2
        finally:
            log.append("fin")

    def find() -> int:
        for x in g():
            if x == n:
                return x
        return -1

    r = find()
    log.append(str(r))
    return log


class CM:
    def __init__(self, log: List[str]):
        self.log = log

    def __enter__(self):
        self.log.append("enter")
        return self

    def __exit__(self, t, v, tb):
        self.log.append("exit" + ("" if t is None else t.__name__))
        return False


def in_with(n: int):
    log: List[str] = []

    def g():
        with CM(log):
            for i in range(5):
                yield i

    for x in g():
        if x == n:
            break
    log.append("after")
    return log, list(g()), log


def close_(n: int):
    log: List[str] = []

    def g():
        try:
            yield 1
            yield 2
        except GeneratorExit:
            log.append("exit")
            raise
        finally:
            log.append("fin")

    it = g()
    if n > 0:
        log.append(str(next(it)))
    it.close()
    log.append("closed")
    it.close()
    return log, next(it, -1)


def close_ignored(n: int):
    log: List[str] = []

    def g():
        for _ in range(n):
            try:
                yield 1
            except GeneratorExit:
                log.append("exit")
        log.append("end")

    it = g()
    next(it)
    try:
        it.close()
    except RuntimeError as e:
        log.append(str(e))
    return list(it), log


def drop_var(n: int):
    log: List[str] = []

    def g(k: str):
        try:
            yield 1
            yield 2
        finally:
            log.append("fin" + k)

    def f() -> int:
        a = g("a")
        next(a)
        log.append("x")
        a = g("b")
        next(a)
        log.append("y")
        b = g("c")
        if n > 1:
            next(b)
        log.append("z")
        del a
        log.append("w")
        return 5

    r = f()
    log.append(str(r))
    return log


def rebind_loop(n: int):
    log: List[str] = []

    def g(k: int):
        try:
            yield k
            yield k
        finally:
            log.append(f"fin{k}")

    for i in range(n):
        it = g(i)
        log.append(str(next(it)))
    log.append("end")
    return log


def next_temp(n: int):
    log: List[str] = []

    def g():
        try:
            yield n
            yield 2
        finally:
            log.append("fin")

    log.append(str(next(g())))
    x = next(g()) + 1
    a = any(v == 1 for v in g())
    b = n in g()
    c = [v for v in g()]
    d, e = g()
    return log, x, a, b, c, d, e


def temp_in_zip(n: int):
    log: List[str] = []

    def g():
        try:
            while True:
                yield n
        finally:
            log.append("fin")

    out = [a + b for a, b in zip(range(3), g())]
    for i, x in enumerate(g()):
        if i == n:
            break
    log.append("after")
    return out, log


def pipeline(n: int):
    log: List[str] = []

    def src():
        try:
            for i in range(10):
                yield i
        finally:
            log.append("src")

    def dbl(it):
        try:
            for x in it:
                yield x * 2
        finally:
            log.append("dbl")

    for v in dbl(src()):
        if v == n:
            break
    log.append("after")
    return log


def pipeline2(n: int):
    log: List[str] = []

    def src():
        try:
            for i in range(10):
                yield i
        finally:
            log.append("src")

    def dbl(it):
        for x in it:
            yield x * 2

    for v in dbl(src()):
        if v == n:
            break
    log.append("after")
    return log, list(islice(src(), 3))


def delegating(n: int):
    log: List[str] = []

    def inner():
        try:
            yield 1
            yield 2
        finally:
            log.append("inner")

    def outer():
        try:
            yield 0
            yield from inner()
            yield 3
        finally:
            log.append("outer")

    for v in outer():
        if v == n:
            break
    log.append("after")
    return log


def gen_in_gen_loop(n: int):
    log: List[str] = []

    def inner():
        try:
            yield 1
            yield 2
        finally:
            log.append("inner")

    def outer():
        for x in inner():
            yield x * 10

    for v in outer():
        if v == n:
            break
    log.append("after")
    return log


def try_except(n: int):
    log: List[str] = []

    def g():
        for i in range(4):
            try:
                yield i
                if i == n:
                    raise ValueError("v")
            except ValueError:
                log.append("caught")
                yield 100
                log.append("resumed")
            else:
                yield 7
            finally:
                log.append("fin")

    return list(g()), log


def yield_in_finally(n: int):
    log: List[str] = []

    def g():
        try:
            yield 1
            if n:
                raise ValueError("v")
        finally:
            log.append("f")
            yield 2
            log.append("g")
        log.append("end")

    out = []
    try:
        for x in g():
            out.append(x)
    except ValueError as e:
        log.append(str(e) + repr(e.__context__))
    return out, log


def reraise_in_gen(n: int):
    log: List[str] = []

    def g():
        try:
            raise ValueError("v")
        except ValueError as e:
            yield 1
            log.append(str(e))
            if n:
                raise
            yield 2

    try:
        for x in g():
            log.append(str(x))
    except ValueError as e:
        log.append("out" + str(e))
    return log


def consume_func(n: int):
    log: List[str] = []

    def g():
        try:
            yield n
            yield 2
        finally:
            log.append("fin")

    def first(it) -> int:
        for x in it:
            return x
        return 0

    r = first(g())
    log.append(str(r))
    return log


def gen_method(n: int):
    log: List[str] = []
    c = Coll([1, 2, 3], log)
    for x in c:
        if x == n:
            break
    log.append("after")
    return log, sum(c), [y for y in c.pairs()]


class Coll:
    def __init__(self, xs: List[int], log: List[str]):
        self.xs = xs
        self.log = log

    def __iter__(self):
        try:
            for x in self.xs:
                yield x
        finally:
            self.log.append("iter end")

    def pairs(self):
        with CM(self.log):
            for x in self.xs:
                yield x, x


def make(n: int):
    log: List[str] = []

    def g(k: int):
        try:
            yield k
            yield 2
        finally:
            log.append("fin")

    def factory(k: int):
        return g(k)

    def factory2(k: int):
        it = g(k)
        next(it)
        return it

    it = factory(n)
    log.append(str(next(it)))
    for x in factory2(n):
        log.append(str(x))
        break
    log.append("end")
    return log


def store(n: int):
    def g():
        try:
            yield 1
        finally:
            pass

    L = [g(), g()]
    return next(L[0])


def exc_in_finally(n: int):
    log: List[str] = []

    def g():
        try:
            yield 1
        finally:
            log.append("f")
            raise KeyError("k")

    try:
        for x in g():
            if n:
                raise ValueError("v")
    except ValueError:
        log.append("V")
    except KeyError:
        log.append("K")
    return log


def explicit_exc(n: int):
    log: List[str] = []

    def g():
        try:
            yield 1
        finally:
            raise KeyError("k")

    it = g()
    next(it)
    try:
        it.close()
    except KeyError as e:
        log.append(repr(e.__context__))
    return log


def names_of_clauses(n: int):
    log: List[str] = []

    def g():
        for i in range(n):
            try:
                yield i
                if i == 1:
                    raise ValueError("inside")
            except ValueError as error:
                log.append(str(error))
                yield 100
            finally:
                log.append("left")

    def h():
        k = 0
        while k < n:
            k += 1
            try:
                raise ValueError(str(k))
            except ValueError as error:
                yield k
                log.append(str(error))

    for x in g():
        log.append(str(x))
    return log, list(h())


def cond_var(n: int):
    log: List[str] = []

    def g(k: int):
        try:
            yield k
            yield 2
        finally:
            log.append("fin" + str(k))

    out = 0
    if n > 0:
        it = g(n)
        out += next(it)
    log.append("mid")
    for i in range(n):
        jt = g(i + 10)
        for x in jt:
            out += x
            if i == 1:
                break
        log.append("l")
    return out, log


def rec_loop(n: int):
    log: List[str] = []

    def walk(k: int):
        if k > 0:
            for x in walk(k - 1):
                yield x * 10
        try:
            yield k
        finally:
            log.append("f" + str(k))

    for x in walk(n):
        log.append(str(x))
        if x == 10:
            break
    return log, list(walk(2))


def throw_rec(n: int):
    log: List[str] = []

    def walk(k: int):
        try:
            if k > 0:
                yield from walk(k - 1)
            yield k
        except ValueError:
            log.append("caught" + str(k))
            yield -k

    it = walk(n)
    next(it)
    log.append(str(it.throw(ValueError("x"))))
    for x in it:
        log.append(str(x))
    return log


def nested_try_yield(n: int):
    log: List[str] = []

    def g():
        try:
            try:
                yield 1
                if n == 1:
                    raise KeyError("a")
            finally:
                log.append("inner")
                yield 2
        except KeyError as e:
            log.append("outer" + repr(e))
            try:
                yield 3
                raise ValueError("b")
            except ValueError as v:
                log.append(repr(v.__context__))
                yield 4
        else:
            log.append("else")
            yield 5

    return list(g()), log


def return_in_try(n: int):
    log: List[str] = []

    def g():
        for i in range(5):
            try:
                yield i
                if i == n:
                    return 77
                if i == n + 1:
                    break
            finally:
                log.append("f")
        return 5

    def h():
        r = yield from g()
        log.append("r" + str(r))

    return list(h()), log


def gen_in_dict_comp(n: int):
    log: List[str] = []

    def g(k: int):
        try:
            yield from range(k)
        finally:
            log.append("f")

    return (
        {x: x * x for x in g(n)},
        [x + y for x in g(2) for y in g(x + 1)],
        sum(x for x in g(3) if x),
        max(g(n)),
        sorted(g(3), key=lambda v: -v),
        log,
    )


CASES = [
    (cond_var, (0,), (3,)),
    (rec_loop, (2,), (1,)),
    (throw_rec, (2,)),
    (nested_try_yield, (0,), (1,)),
    (return_in_try, (2,), (9,)),
    (gen_in_dict_comp, (3,)),
    (names_of_clauses, (4,)),
    (exhaust, (3,)),
    (brk, (2,), (20,)),
    (brk_nested, (1,), (2,), (9,)),
    (exc, (2,), (20,)),
    (ret_in_loop, (1,), (5,)),
    (in_with, (2,), (9,)),
    (close_, (0,), (1,)),
    (close_ignored, (1,), (2,)),
    (drop_var, (0,), (3,)),
    (rebind_loop, (3,)),
    (next_temp, (1,)),
    (temp_in_zip, (2,)),
    (pipeline, (4,), (99,)),
    (pipeline2, (4,), (99,)),
    (delegating, (0,), (1,), (3,), (9,)),
    (gen_in_gen_loop, (10,), (9,)),
    (try_except, (1,), (9,)),
    (yield_in_finally, (0,), (1,)),
    (reraise_in_gen, (0,), (1,)),
    (consume_func, (1,)),
    (gen_method, (2,), (9,)),
    (make, (1,)),
    (store, (1,)),
    (exc_in_finally, (0,)),
    (explicit_exc, (1,)),
]
