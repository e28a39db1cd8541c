"""Generators that are sent values and errors: programs for ``tests/frontend/script``."""

from __future__ import annotations

from typing import Generator, List


def echo(n: int):
    def g():
        got = []
        while True:
            x = yield len(got)
            if x is None:
                break
            got.append(x)
        return got

    it = g()
    next(it)
    a = it.send(n)
    b = it.send(n + 1)
    try:
        next(it)
    except StopIteration as e:
        return a, b, e.value
    return a, b, None


def averager(xs: List[float]):
    def avg():
        total = 0.0
        count = 0
        mean = 0.0
        while True:
            x = yield mean
            total += x
            count += 1
            mean = total / count

    a = avg()
    next(a)
    return [a.send(x) for x in xs]


def averager_ann(xs: List[float]):
    def avg() -> Generator[float, float, None]:
        total = 0.0
        count = 0
        mean = 0.0
        while True:
            x = yield mean
            total += x
            count += 1
            mean = total / count

    a = avg()
    a.send(None)
    return [a.send(x) for x in xs]


def just_started(n: int):
    def g():
        x = yield 1
        yield x

    it = g()
    try:
        it.send(n)
    except TypeError as e:
        return str(e), next(it), it.send(5)
    return "", 0, 0


def send_end(n: int):
    def g():
        x = yield 1
        return x * 2

    it = g()
    next(it)
    try:
        it.send(n)
    except StopIteration as e:
        return e.value, e.args
    return None, ()


def throw_in(n: int):
    log: List[str] = []

    def g():
        for i in range(5):
            try:
                yield i
            except ValueError as e:
                log.append("V" + str(e))
            except KeyError:
                log.append("K")
                return 9
            finally:
                log.append("f")

    it = g()
    log.append(str(next(it)))
    log.append(str(it.throw(ValueError("a"))))
    try:
        if n:
            log.append(str(it.throw(KeyError)))
        else:
            log.append(str(it.throw(TypeError("t"))))
    except StopIteration as e:
        log.append("stop" + str(e.value))
    except TypeError as e:
        log.append("type" + str(e))
    return log, next(it, -1)


def throw_plain(n: int):
    def g():
        yield 1
        yield 2

    it = g()
    if n:
        next(it)
    try:
        it.throw(ValueError("x"))
    except ValueError as e:
        return str(e), next(it, -5)
    return "", 0


def throw_finished(n: int):
    def g():
        yield 1

    it = g()
    list(it)
    try:
        it.throw(ValueError("x"))
    except ValueError as e:
        return str(e)
    return ""


def sub_result(n: int):
    def inner(k: int):
        x = 0
        for i in range(k):
            x += i
            yield i
        return x

    def outer():
        a = yield from inner(n)
        b = yield from inner(n + 1)
        yield a * 100 + b
        return a + b

    def top():
        r = yield from outer()
        yield -r

    return list(top())


def send_through(n: int):
    log: List[str] = []

    def inner():
        total = 0
        while True:
            x = yield total
            if x is None:
                return total
            total += x

    def outer():
        while True:
            r = yield from inner()
            log.append(str(r))

    it = outer()
    next(it)
    a = it.send(3)
    b = it.send(n)
    c = next(it)
    d = it.send(7)
    return a, b, c, d, log


def throw_through(n: int):
    log: List[str] = []

    def inner():
        try:
            yield 1
            yield 2
        except ValueError:
            log.append("inner caught")
            yield 50
        return 7

    def outer():
        try:
            r = yield from inner()
            log.append("r" + str(r))
            yield 3
        except KeyError:
            log.append("outer key")
            yield 60

    it = outer()
    next(it)
    if n == 0:
        log.append(str(it.throw(ValueError)))
    elif n == 1:
        log.append(str(it.throw(KeyError("k"))))
    else:
        try:
            it.throw(TypeError("t"))
        except TypeError:
            log.append("T")
    for x in it:
        log.append(str(x))
    return log


def send_if(n: int):
    def counter(limit: int):
        c = 0
        while c < limit:
            jump = yield c
            if jump is not None:
                c = jump
            else:
                c += 1

    it = counter(n)
    out = [next(it)]
    out.append(next(it))
    out.append(it.send(5))
    for x in it:
        out.append(x)
    return out


def coroutine_pipeline(n: int):
    out: List[int] = []

    def sink():
        while True:
            x = yield
            out.append(x)

    def double(target):
        while True:
            x = yield
            target.send(x * 2)

    s = sink()
    next(s)
    d = double(s)
    next(d)
    for i in range(n):
        d.send(i)
    return out


def send_str(n: int):
    def g():
        words = ""
        while True:
            w = yield words
            words += w

    it = g()
    next(it)
    it.send("a")
    return it.send("b" * n)


def grep(lines: List[str], pat: str):
    found: List[str] = []

    def grep_():
        try:
            while True:
                line = yield
                if pat in line:
                    found.append(line)
        except GeneratorExit:
            found.append("bye")

    g = grep_()
    next(g)
    for l in lines:
        g.send(l)
    g.close()
    return found


def stopvalue(n: int):
    def g():
        yield 1
        if n:
            return n

    it = g()
    next(it)
    try:
        next(it)
    except StopIteration as e:
        return e.value, len(e.args)
    return None, 0


def yield_expr(n: int):
    def g():
        y = (yield 1) or 5
        print((yield y))
        z = [(yield 3), 4]
        while (yield z[1]):
            pass
        return (yield 9)

    return list(g())


def send_two_types(n: int):
    def g():
        x = yield 0
        while True:
            x = yield str(x)

    it = g()
    next(it)
    return it.send(n), it.send("s"), it.send(2.5)


def walrus(n: int):
    def g():
        while (x := (yield)) is not None:
            out.append(x)

    out: List[int] = []
    it = g()
    next(it)
    it.send(n)
    it.send(4)
    return out, next(it, -1)


def task_sched(n: int):
    log: List[str] = []

    def task(name: str, k: int):
        for i in range(k):
            log.append(name + str(i))
            yield i

    tasks = [task("a", 2), task("b", n)]
    while tasks:
        t = tasks.pop(0)
        try:
            next(t)
            tasks.append(t)
        except StopIteration:
            log.append("done")
    return log


CASES = [
    (echo, (4,)),
    (averager, ([1.0, 2.0, 4.5],)),
    (averager_ann, ([1.0, 2.0],)),
    (just_started, (3,)),
    (send_end, (3,)),
    (throw_in, (0,), (1,)),
    (throw_plain, (0,), (1,)),
    (throw_finished, (0,)),
    (sub_result, (3,)),
    (send_through, (4,)),
    (throw_through, (0,), (1,), (2,)),
    (send_if, (8,)),
    (coroutine_pipeline, (3,)),
    (send_str, (2,)),
    (grep, (["ab", "c", "xa"], "a")),
    (stopvalue, (0,), (4,)),
    (yield_expr, (1,)),
    (send_two_types, (3,)),
    (walrus, (3,)),
    (task_sched, (3,)),
]
