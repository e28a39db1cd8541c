"""Context managers of ``contextlib``, for ``tests/frontend/script``."""

from __future__ import annotations

from contextlib import (
    AbstractContextManager,
    ContextDecorator,
    ExitStack,
    closing,
    contextmanager,
    nullcontext,
    suppress,
)
from typing import List, Optional


@contextmanager
def tag(log: List[str], name: str):
    log.append("<" + name)
    try:
        yield name
    finally:
        log.append(">" + name)


@contextmanager
def swallow(log: List[str]):
    try:
        yield
    except ValueError as e:
        log.append("swallowed " + str(e))


def decorated(n: int):
    log: List[str] = []

    @tag(log, "d")
    def g(x: int) -> int:
        log.append("g")
        return x + 1

    return g(n), g(2), log


@contextmanager
def retry_in_except(log: List[str]):
    try:
        log.append("try")
        raise ValueError("a")
    except ValueError:
        log.append("except")
        yield 1
        log.append("after")


@contextmanager
def yield_in_finally(log: List[str]):
    try:
        log.append("try")
    finally:
        yield 5
        log.append("end")


@contextmanager
def delegating(log: List[str]):
    def inner():
        try:
            yield 3
        finally:
            log.append("inner end")

    yield from inner()


def in_except(n: int):
    log: List[str] = []
    with retry_in_except(log) as v:
        log.append(str(v))
    return log


def in_finally(n: int):
    log: List[str] = []
    with yield_in_finally(log) as v:
        log.append(str(v))
        if n:
            raise KeyError("x")
    return log


def deleg(n: int):
    log: List[str] = []
    try:
        with delegating(log) as v:
            log.append(str(v))
            if n:
                raise KeyError("x")
    except KeyError:
        log.append("key")
    return log


def runtime_choice(n: int):
    log: List[str] = []
    cm = tag(log, "a") if n else tag(log, "b")
    with cm as x:
        log.append(x)
    return log


def runtime_choice2(n: int):
    log: List[str] = []
    cm = tag(log, "a") if n else nullcontext("z")
    with cm as x:
        log.append(x)
    return log


def runtime_choice3(n: int):
    log: List[str] = []
    if n > 1:
        cm = swallow(log)
    else:
        cm = nullcontext()
    try:
        with cm:
            raise ValueError("v")
    except ValueError:
        log.append("not swallowed")
    return log


def twice(n: int):
    log: List[str] = []
    cm = tag(log, "a")
    with cm:
        pass
    try:
        with cm:
            pass
    except (RuntimeError, AttributeError) as e:
        log.append(type(e).__name__ + str(e))
    return log


def stack(n: int):
    log: List[str] = []
    with ExitStack() as st:
        for i in range(n):
            x = st.enter_context(tag(log, str(i)))
            log.append(x)
        log.append("body")
    return log


def stack_cb(n: int):
    log: List[str] = []
    with ExitStack() as st:
        st.callback(log.append, "cb1")
        st.callback(lambda a, b: log.append(a + b), "x", b="y")
        st.enter_context(tag(log, "t"))
        if n:
            raise ValueError("e")
        log.append("body")
    return log


def stack_close(n: int):
    log: List[str] = []
    st = ExitStack()
    st.enter_context(tag(log, "t"))
    st.close()
    return log


class Res:
    def __init__(self, log: List[str]):
        self.log = log

    def close(self):
        self.log.append("closed")


def closing_(n: int):
    log: List[str] = []
    with closing(Res(log)) as r:
        r.log.append("use")
    return log


def closing_gen(n: int):
    log: List[str] = []

    def g():
        try:
            for i in range(n):
                yield i
        finally:
            log.append("fin")

    with closing(g()) as it:
        for x in it:
            log.append(str(x))
            if x == 2:
                break
    log.append("after")
    return log


def nullc(n: int):
    with nullcontext(n) as x:
        return x


def supp(n: int):
    out = []
    with suppress(KeyError, ValueError):
        out.append(1)
        if n == 1:
            raise KeyError
        if n == 2:
            raise IndexError
        out.append(2)
    return out


class A:
    def __init__(self, log: List[str]):
        self.log = log

    def __enter__(self):
        self.log.append("A in")
        return 1

    def __exit__(self, t, v, tb):
        self.log.append("A out")
        return True


class B(A):
    def __enter__(self):
        self.log.append("B in")
        return 2

    def __exit__(self, *exc):
        self.log.append("B out")
        return False


def cls_choice(n: int):
    log: List[str] = []
    m = A(log) if n else B(log)
    try:
        with m as v:
            log.append(str(v))
            raise ValueError("x")
    except ValueError:
        log.append("raised")
    return log


class C2:
    def __init__(self, log: List[str]):
        self.log = log

    def __enter__(self):
        self.log.append("C in")
        return 7

    def __exit__(self, t, v, tb):
        self.log.append("C out")


def cls_choice2(n: int):
    log: List[str] = []
    if n:
        m = A(log)
    else:
        m = C2(log)
    with m as v:
        log.append(str(v))
    return log


class CD(ContextDecorator):
    def __init__(self, log: List[str]):
        self.log = log

    def __enter__(self):
        self.log.append("in")
        return self

    def __exit__(self, *exc):
        self.log.append("out")
        return False


def ctxdec(n: int):
    log: List[str] = []

    @CD(log)
    def f(x: int) -> int:
        return x + 1

    return f(n), log


def parenthesized(n: int):
    log: List[str] = []
    with tag(log, "a") as a, tag(log, "b" + a) as b:
        log.append(b)
    return log


@contextmanager
def two(n: int):
    if n:
        yield 1
    else:
        yield 2


def two_paths(n: int):
    with two(n) as v:
        return v


def list_cms(n: int):
    log: List[str] = []
    cms = [tag(log, str(i)) for i in range(n)]
    for c in cms:
        with c as x:
            log.append(x)
    return log


def abstractcm(n: int):
    class M(AbstractContextManager):
        def __exit__(self, t, v, tb):
            return None

    with M():
        return n


class WithGen:
    def __init__(self):
        self.log: List[str] = []

    @contextmanager
    def step(self, k: int):
        self.log.append("s%d" % k)
        yield k * 2
        self.log.append("e%d" % k)


def method_cm(n: int):
    w = WithGen()
    with w.step(n) as v:
        w.log.append(str(v))
    return w.log


class Named:
    def __init__(self, log: List[str], name: str, swallows: bool = False):
        self.log = log
        self.name = name
        self.swallows = swallows

    def __enter__(self):
        self.log.append("in " + self.name)
        return self.name

    def __exit__(self, t, v, tb):
        self.log.append("out " + self.name + ("" if t is None else " " + t.__name__))
        return self.swallows


def stack_mixed(n: int):
    log: List[str] = []
    try:
        with ExitStack() as st:
            a = st.enter_context(Named(log, "r", n == 1))
            b = st.enter_context(tag(log, "t"))
            st.enter_context(nullcontext())
            if n > 3:
                st.enter_context(suppress(KeyError))
            if n > 2:
                st.enter_context(swallow(log))
            if n:
                raise ValueError("bad" + a + b)
            if n < 0:
                raise KeyError("k")
    except ValueError as e:
        log.append(str(e))
    return log


def stack_return(n: int):
    log: List[str] = []

    def f() -> int:
        with ExitStack() as st:
            for i in range(3):
                st.enter_context(tag(log, str(i)))
                if i == n:
                    return i
        return -1

    return f(), log


def stack_error_in_exit(n: int):
    log: List[str] = []

    class Bad:
        def __enter__(self):
            return self

        def __exit__(self, t, v, tb):
            raise KeyError("exit")

    try:
        with ExitStack() as st:
            st.enter_context(tag(log, "a"))
            st.enter_context(Bad())
            if n:
                raise ValueError("body")
    except KeyError as e:
        log.append(repr(e.__context__))
    return log


def stack_pop_all(n: int):
    log: List[str] = []
    with ExitStack() as st:
        st.enter_context(tag(log, "a"))
        kept = st.pop_all()
    log.append("after")
    kept.close()
    return log


def stack_comp(n: int):
    log: List[str] = []
    with ExitStack() as st:
        names = [st.enter_context(tag(log, str(i))) for i in range(n)]
        log.append("".join(names))
    return log


def stop_in_body(n: int):
    log: List[str] = []
    try:
        with tag(log, "a"):
            raise StopIteration(n)
    except StopIteration as e:
        log.append("stop" + str(e.value))
    except RuntimeError:
        log.append("runtime")
    return log


def dec_many(n: int):
    log: List[str] = []

    @swallow(log)
    def f(x: int, *, k: int = 2) -> Optional[int]:
        if x > 2:
            raise ValueError("big")
        log.append("f")
        return x * k

    return f(1), f(5), f(2, k=9), log


def choice_loop(n: int):
    log: List[str] = []
    for i in range(n):
        cm = tag(log, "even") if i % 2 == 0 else swallow(log)
        with cm:
            if i == 1:
                raise ValueError("one")
            if i == 2:
                continue
            log.append(str(i))
            if i == 3:
                break
    return log


def dict_of_cms(n: int):
    log: List[str] = []
    table = {"a": tag(log, "x"), "b": tag(log, "y")}
    with table["a" if n else "b"] as v:
        log.append(v)
    return log


def closing_exc(n: int):
    log: List[str] = []

    def g():
        try:
            yield 1
            yield 2
        except GeneratorExit:
            log.append("exit")
            raise

    try:
        with closing(g()) as it:
            for x in it:
                if n == x:
                    raise ValueError("v")
                log.append(str(x))
    except ValueError:
        log.append("V")
    return log


def yield_in_with_chosen(n: int):
    log: List[str] = []

    def g():
        with tag(log, "g") as t:
            for i in range(3):
                yield t + str(i)

    for s in g():
        log.append(s)
        if s.endswith(str(n)):
            break
    return log


@contextmanager
def outer_cm(log: List[str], n: int):
    with ExitStack() as st:
        for i in range(n):
            st.enter_context(tag(log, str(i)))
        yield n


def cm_with_stack(n: int):
    log: List[str] = []
    with outer_cm(log, n) as k:
        log.append(str(k))
    return log


def with_in_gen_exc(n: int):
    log: List[str] = []

    @contextmanager
    def cm(name: str):
        log.append("+" + name)
        try:
            yield name
        except ValueError:
            log.append("!" + name)
            if n == 2:
                raise
        finally:
            log.append("-" + name)

    def g():
        with cm("a") as a, cm("b"):
            yield a
            if n:
                raise ValueError("v")
            yield a + "2"

    try:
        for x in g():
            log.append(x)
    except ValueError:
        log.append("out")
    return log


CASES = [
    (with_in_gen_exc, (0,), (1,), (2,)),
    (decorated, (1,)),
    (in_except, (1,)),
    (in_finally, (0,), (1,)),
    (deleg, (0,), (1,)),
    (runtime_choice, (0,), (1,)),
    (runtime_choice2, (0,), (1,)),
    (runtime_choice3, (0,), (2,)),
    (twice, (1,)),
    (stack, (0,), (3,)),
    (stack_cb, (0,), (1,)),
    (stack_close, (1,)),
    (closing_, (1,)),
    (closing_gen, (1,), (5,)),
    (nullc, (3,)),
    (supp, (0,), (1,), (2,)),
    (cls_choice, (0,), (1,)),
    (cls_choice2, (0,), (1,)),
    (ctxdec, (1,)),
    (parenthesized, (1,)),
    (two_paths, (0,), (1,)),
    (list_cms, (3,)),
    (abstractcm, (1,)),
    (method_cm, (3,)),
    (stack_mixed, (0,), (1,), (2,), (3,), (4,), (-1,)),
    (stack_return, (1,), (9,)),
    (stack_error_in_exit, (0,), (1,)),
    (stack_pop_all, (1,)),
    (stack_comp, (3,), (0,)),
    (stop_in_body, (3,)),
    (dec_many, (1,)),
    (choice_loop, (5,)),
    (dict_of_cms, (0,), (1,)),
    (closing_exc, (1,), (2,), (9,)),
    (yield_in_with_chosen, (1,), (7,)),
    (cm_with_stack, (2,)),
]
