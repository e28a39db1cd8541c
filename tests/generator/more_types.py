"""Named tuples, unions and complex numbers."""

from __future__ import annotations

from tests.generator import kinds as K
from tests.generator.bodies import Body, statement
from tests.generator.expressions import Expressions, rule
from tests.generator.kinds import BOOL, FLOAT, INT, STR, Kind

NAMED = """
class Pair(NamedTuple):
    left: int
    right: List[str]

    def joined(self) -> str:
        return "+".join(self.right[:3]) + str(self.left)

    @property
    def size(self) -> int:
        return len(self.right)
"""


# ---- named tuples ----


@rule("Pair")
def _pair(e: Expressions, k: Kind, depth: int) -> str:
    name = e.some(k)
    i, words = e.expr(INT, depth), e.expr(K.list_of(STR), depth)
    if name is None:
        return e.rng.choice((f"Pair({i}, {words})", f"Pair(right={words}, left={i})"))
    return e.rng.choice(
        (f"{name}._replace(left={i})", f"{name}._replace(right={words})", f"Pair(*{name})",
         f"max({name}, {e.expr(k, depth)})", f"Pair({name}.left + 1, {name}.right)")
    )  # fmt: skip


@rule("int")
def _int_of_pair(e: Expressions, k: Kind, depth: int) -> str:
    name = e.some(K.PAIR)
    if name is None:
        return ""
    return e.rng.choice((f"{name}.left", f"{name}[0]", f"{name}.size", f"len({name})"))


@rule("str")
def _text_of_pair(e: Expressions, k: Kind, depth: int) -> str:
    name = e.some(K.PAIR)
    if name is None:
        return ""
    return e.rng.choice((f"{name}.joined()", f"str({name})[:30]", f"f'{{{name}.left:>4}}'"))


@rule("bool")
def _bool_of_pair(e: Expressions, k: Kind, depth: int) -> str:
    name = e.some(K.PAIR)
    if name is None:
        return ""
    other = e.expr(K.PAIR, depth)
    return e.rng.choice((f"({name} == {other})", f"({name} < {other})", f"({name} == (1, ['a']))",
                         f"({name}.right is {other}.right)"))  # fmt: skip


@statement(5, "named")
def _use_pair(b: Body) -> None:
    name = b.some(K.PAIR)
    if name is None:
        return
    x, y = b.fresh(), b.fresh()
    if b.rng.random() < 0.4:
        b.write(f"{name}.right.append({b.expr(STR, 1)})")
        b.write(f"del {name}.right[5:]")
    elif b.rng.random() < 0.5 or "match" not in b.features:
        b.write(f"{x}, {y} = {name}")
        b.variables.update({x: INT, y: K.list_of(STR)})
    else:
        b.write(f"match {name}:")
        b.indent += 1
        b.write(f"case Pair({K.literal(b.rng, INT)} | 2, [{y}, *_]):")
        b.suite(2, {y: STR})
        b.write(f"case ({x}, {y}):")
        b.suite(2, {x: INT, y: K.list_of(STR)})
        b.indent -= 1


# ---- unions ----


@rule("Either")
def _either(e: Expressions, k: Kind, depth: int) -> str:
    return e.expr(e.rng.choice((INT, STR)), depth)


@rule("str")
def _text_of_union(e: Expressions, k: Kind, depth: int) -> str:
    name = e.some(K.EITHER)
    if name is None:
        return ""
    return e.rng.choice((f"str({name})", f"f'<{{{name}}}>'", f"repr({name})[:9]",
                         f"({name} if isinstance({name}, str) else 'n')",
                         f"({name} * 2 if isinstance({name}, str) else str({name} + 1))"))  # fmt: skip


@rule("int")
def _int_of_union(e: Expressions, k: Kind, depth: int) -> str:
    name = e.some(K.EITHER)
    if name is None:
        return ""
    i = e.expr(INT, depth)
    return e.rng.choice((f"({name} if isinstance({name}, int) else {i})",
                         f"(len({name}) if isinstance({name}, str) else {name})"))  # fmt: skip


@rule("bool")
def _bool_of_union(e: Expressions, k: Kind, depth: int) -> str:
    name = e.some(K.EITHER)
    if name is None:
        return ""
    other = e.expr(e.rng.choice((K.EITHER, INT, STR)), depth)
    return e.rng.choice((f"({name} == {other})", f"isinstance({name}, str)", f"bool({name})",
                         f"(isinstance({name}, int) and {name} > {e.expr(INT, 1)})"))  # fmt: skip


@statement(6, "unions")
def _branch_on_union(b: Body) -> None:
    names = [n for n in b.names_of(K.EITHER) if n not in b.fixed]
    if not names:
        return
    name = b.rng.choice(names)
    first, second = b.rng.sample((INT, STR), 2)
    if "match" in b.features and b.rng.random() < 0.4:
        x = b.fresh("m")
        b.write(f"match {name}:")
        b.indent += 1
        b.write(f"case {first.name}({x}):")
        b.suite(2, {x: first})
        b.write(f"case {second.name}():")
        b.suite(2)
        b.indent -= 1
        return
    b.fixed.add(name)
    b.write(f"if isinstance({name}, {first.name}):")
    b.suite(2, {name: first})
    if b.rng.random() < 0.6:
        b.write("else:")
        b.suite(2, {name: second})
    b.fixed.discard(name)


# ---- complex numbers ----


@rule("complex")
def _complex(e: Expressions, k: Kind, depth: int) -> str:
    a, c = e.expr(k, depth), e.expr(k, depth)
    return e.rng.choice(
        (f"({a} + {c})", f"({a} - {c})", f"({a} * 0.5j)", f"(-{a})", f"{a}.conjugate()",
         f"complex({e.expr(FLOAT, depth)}, {e.expr(INT, depth)})", f"({a} / 2j)", f"({a} + {e.expr(INT, depth)})")
    )  # fmt: skip


@rule("float")
def _float_of_complex(e: Expressions, k: Kind, depth: int) -> str:
    if "complex" not in e.features:
        return ""
    a = e.expr(K.COMPLEX, depth)
    return e.rng.choice((f"{a}.real", f"{a}.imag", f"abs({a})"))


@rule("bool")
def _bool_of_complex(e: Expressions, k: Kind, depth: int) -> str:
    if "complex" not in e.features:
        return ""
    a, c = e.expr(K.COMPLEX, depth), e.expr(e.rng.choice((K.COMPLEX, FLOAT, BOOL)), depth)
    return e.rng.choice((f"({a} == {c})", f"({a} != {c})", f"bool({a})"))
