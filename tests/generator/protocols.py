"""Instances whose class has Python's special methods, a flag, calls of every form, recursion."""

from __future__ import annotations

from tests.generator import kinds as K
from tests.generator.bodies import Body, statement
from tests.generator.expressions import Expressions, Signature, rule
from tests.generator.kinds import BOOL, INT, STR, Kind

BOXES = """
class Box:
    def __init__(self, items: List[int]):
        self.items = items
        self.entered = 0

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int) -> int:
        return self.items[i]

    def __setitem__(self, i: int, value: int) -> None:
        self.items[i] = value

    def __contains__(self, n: int) -> bool:
        return n in self.items

    def __iter__(self):
        for item in self.items:
            yield item

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Box) and self.items == other.items

    def __lt__(self, other: "Box") -> bool:
        return len(self.items) < len(other.items)

    def __add__(self, other: "Box") -> "Box":
        return Box((self.items + other.items)[:5])

    def __iadd__(self, n: int) -> "Box":
        self.items.append(n)
        del self.items[5:]
        return self

    def __neg__(self) -> "Box":
        return Box(self.items[::-1])

    def __call__(self, n: int, by: int = 1) -> int:
        return (n * by + len(self.items)) % 1009

    def __repr__(self) -> str:
        return f"Box({self.items})"

    def __enter__(self) -> "Box":
        self.entered += 1
        print("in", self.entered)
        return self

    def __exit__(self, kind, value, trace) -> bool:
        self.entered -= 1
        print("out", kind is None)
        return isinstance(value, ValueError)

    @property
    def first(self) -> int:
        return self.items[0] if self.items else -1

    @first.setter
    def first(self, value: int) -> None:
        self.items.insert(0, value)
        del self.items[5:]

    @staticmethod
    def of(n: int) -> "Box":
        return Box([n, n % 7])

    @classmethod
    def empty(cls) -> "Box":
        return cls([])
"""

CALLS = """
def spread(first: int, *rest: int, scale: int = 2, **named: int) -> int:
    total = first * scale
    for r in rest:
        total += r
    for key, value in named.items():
        total += len(key) * value
    return total % 1009


def made(a: int, b: str = "b", *, c: float = 0.5) -> Tuple[int, str, float]:
    return a, b, c


def applied(g: Callable[[int], int], n: int) -> int:
    return g(n) % 1009


def down(n: int, seen: List[int]) -> int:
    if n <= 0 or n > 9:
        return len(seen)
    seen.append(n)
    return (down(n - 1, seen) + n) % 1009


def even(n: int) -> bool:
    return True if n <= 0 or n > 9 else odd(n - 1)


def odd(n: int) -> bool:
    return False if n <= 0 or n > 9 else even(n - 1)
"""


# ---- boxes ----


@rule("Box")
def _box(e: Expressions, k: Kind, depth: int) -> str:
    return e.rng.choice(
        (f"Box({e.expr(K.list_of(INT), depth)})", f"({e.expr(k, depth)} + {e.expr(k, depth)})",
         f"(-{e.expr(k, depth)})", f"Box.of({e.expr(INT, depth)})", "Box.empty()")
    )  # fmt: skip


@rule("int", "int", "int")
def _int_of_box(e: Expressions, k: Kind, depth: int) -> str:
    if "boxes" not in e.features:
        return ""
    b = e.some(K.BOX) or e.expr(K.BOX, depth)
    return e.rng.choice(
        (f"len({b})", f"{b}[{e.index()}]", f"{b}({e.expr(INT, depth)})", f"sum({b})", f"{b}.first",
         f"{b}({e.expr(INT, 0)}, by={e.expr(INT, 0)})", f"max({b}, default=2)",
         f"next(iter({b}), 7)", f"sum(q for q in {b} if q > 1)", f"sorted({b}, reverse=True)[0]")
    )  # fmt: skip


@rule("bool", "bool")
def _bool_of_box(e: Expressions, k: Kind, depth: int) -> str:
    if "boxes" not in e.features:
        return ""
    a, b = e.expr(K.BOX, depth), e.expr(K.BOX, depth)
    return e.rng.choice(
        (f"({a} == {b})", f"({a} != {b})", f"({a} < {b})", f"({a} > {b})", f"bool({a})",
         f"({e.expr(INT, depth)} in {a})", f"any({a})", f"all(q < 5 for q in {a})",
         f"({e.expr(INT, depth)} not in {b})")
    )  # fmt: skip


@rule("List")
def _list_of_box(e: Expressions, k: Kind, depth: int) -> str:
    name = e.some(K.BOX)
    if name is None or k.inner[0] != INT:
        return ""
    return e.rng.choice((f"list({name})", f"[*{name}, {e.expr(INT, depth)}]", f"sorted({name})"))


@statement(6, "boxes")
def _change_box(b: Body) -> None:
    name = b.some(K.BOX)
    if name is not None:
        ways = [f"{name}[{b.index()}] = {b.expr(INT)}", f"{name}.first = {b.expr(INT)}",
                f"{name}[{b.index()}] += {b.expr(INT, 1)} % 5"]  # fmt: skip
        if name not in b.fixed:
            ways.append(f"{name} += {b.expr(INT)}")
        b.write(b.rng.choice(ways))


@statement(5, "boxes")
def _with_box(b: Body) -> None:
    name = b.fresh("w")
    several = f", Box.of({b.expr(INT, 1)})" if b.rng.random() < 0.25 else ""
    b.write(f"with {b.expr(K.BOX)} as {name}{several}:")
    b.fixed.add(name)
    b.suite(3, {name: K.BOX})
    roll = b.rng.random()
    if roll < 0.25:
        b.write("    if " + b.condition(1) + ":")
        b.write("        raise ValueError('mine')")
    elif roll < 0.4 and not b.in_closure:
        b.write("    if " + b.condition(1) + ":")
        b.write(f"        return {b.expr(b.result, 1)}")
    elif roll < 0.55 and b.loops and not b.in_closure and b.in_loop:
        b.write("    if " + b.condition(1) + ":")
        b.write(f"        {b.rng.choice(('break', 'continue'))}")
    b.fixed.discard(name)


@statement(3, "boxes")
def _loop_over_box(b: Body) -> None:
    if b.loops >= 2:
        return
    item = b.fresh("i")
    b.write(f"for {item} in list({b.expr(K.BOX, 2)})[:6]:")
    b.loop_suite(3, {item: INT})


# ---- flags ----

FLAGS = """
class Perm(Flag):
    R = 1
    W = 2
    X = 4
"""


@rule("Perm")
def _perm(e: Expressions, k: Kind, depth: int) -> str:
    a, b = e.expr(k, depth), e.expr(k, depth)
    return e.rng.choice((f"({a} | {b})", f"({a} & {b})", f"({a} ^ {b})", f"(~{a})",
                         f"Perm({e.expr(INT, depth)} % 8)"))  # fmt: skip


@rule("bool")
def _bool_of_flag(e: Expressions, k: Kind, depth: int) -> str:
    if "flags" not in e.features:
        return ""
    a, b = e.expr(K.PERM, depth), e.expr(K.PERM, depth)
    return e.rng.choice((f"bool({a})", f"(Perm.R in {a})", f"({a} == {b})", f"({a} in {b})"))


@rule("int")
def _int_of_enums(e: Expressions, k: Kind, depth: int) -> str:
    ways = []
    if "flags" in e.features:
        ways.append(f"{e.expr(K.PERM, depth)}.value")
    if "enums" in e.features:
        ways += ["len(Color)", "sum(q.value for q in Color)", "max(q.value for q in Level)",
                 f"list(Color)[{e.expr(INT, 0)} % 3].value", f"sum(q for q in Level if q > {e.expr(INT, 0)})"]  # fmt: skip
    return e.rng.choice(ways) if ways else ""


# ---- calls ----


@rule("int", "int", "int")
def _int_of_call(e: Expressions, k: Kind, depth: int) -> str:
    if "calls" not in e.features:
        return ""
    i, j, n = e.expr(INT, depth), e.expr(INT, depth), e.expr(INT, 0)
    ints = e.some(K.list_of(INT)) or "[1, 2, 3]"
    word = e.rng.choice(("x", "long"))
    return e.rng.choice(
        (f"spread({i})", f"spread({i}, {j}, {n})", f"spread({i}, scale={j}, {word}={n})",
         f"spread({i}, *{ints}[:3])", f"spread(*({i}, {j}), **{{'k': {n}}})",
         f"spread(scale={n}, first={i})", f"made({i})[0]", f"made(c=1.5, a={i}, b='z')[0]",
         f"applied(lambda q: q * 2 + {i}, {j})", f"applied(abs, {i})",
         f"[lambda q: q + 1, lambda q: q * {n}][{i} % 2]({j})",
         f"{{'a': lambda q: q - {n}, 'b': lambda q: q * 2}}[{e.rng.choice(('a', 'b'))!r}]({i})",
         f"functools.partial(spread, {i})({j}, scale=3)", f"(lambda q, r=2: q * r)({i})",
         f"down({i} % 9, [])", f"int(even({i} % 9))", f"int(odd({i} % 8))",
         f"sum(map(lambda q: q % 5, {ints}))", f"sum(filter(lambda q: q > {n}, {ints}))",
         f"max({ints}, key=lambda q: (q % 3, q), default=0)")
    )  # fmt: skip


@rule("List")
def _mapped(e: Expressions, k: Kind, depth: int) -> str:
    name = e.some(k)
    if "calls" not in e.features or name is None:
        return ""
    (element,) = k.inner
    q = e.fresh("q")
    made = e.inside({q: element}, lambda: e.expr(element, 1))
    test = e.inside({q: element}, lambda: e.expr(BOOL, 1))
    ways = [
        f"list(map(lambda {q}: {made}, {name}))[:8]",
        f"list(filter(lambda {q}: {test}, {name}))",
    ]
    if element.is_ordered:
        key = e.inside(
            {q: element}, lambda: e.expr(e.rng.choice((INT, STR, K.tuple_of(BOOL, INT))), 1)
        )
        ways.append(
            f"sorted({name}, key=lambda {q}: {key}, reverse={e.rng.choice(('True', 'False'))})"
        )
    return e.rng.choice(ways)


@statement(4, "calls")
def _counter(b: Body) -> None:
    """A function that keeps a count."""
    if b.in_closure:
        return
    maker, count, step, by = b.fresh("g"), b.fresh("p"), b.fresh("g"), b.fresh("p")
    b.write(f"def {maker}({count}: int):")
    b.write(f"    def {step}({by}: int) -> int:")
    b.write(f"        nonlocal {count}")
    b.write(f"        {count} = ({count} + {by}) % 1009")
    b.write(f"        return {count}")
    b.write(f"    return {step}")
    name = b.fresh("v")
    b.write(f"{name} = {maker}({b.expr(INT, 1)})")
    b.add_function(Signature(name, (INT,), INT))


@statement(3, "calls")
def _recursive(b: Body) -> None:
    if b.in_closure:
        return
    name, n = b.fresh("g"), b.fresh("p")
    kind = b.rng.choice((INT, STR, K.list_of(INT)))
    b.write(f"def {name}({n}: int) -> {kind.annotation}:")
    saved, fixed = dict(b.variables), set(b.fixed)
    b.variables[n] = INT
    b.fixed |= set(b.variables)
    b.in_closure += 1
    b.write(f"    if {n} <= 0 or {n} > 6:")
    b.write(f"        return {b.expr(kind, 1)}")
    more = {"int": f"({b.expr(INT, 1)} + {name}({n} - 1)) % 1009",
            "str": f"({b.expr(STR, 1)} + {name}({n} - 1))[:12]",
            "List": f"[{b.expr(INT, 1)}, *{name}({n} - 1)]"}  # fmt: skip
    b.write(f"    return {more[kind.name]}")
    b.in_closure -= 1
    b.variables, b.fixed = saved, fixed
    b.add_function(Signature(name, (INT,), kind))
