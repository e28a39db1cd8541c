"""Random typed expressions over the variables in scope."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.generator import kinds as K
from tests.generator.kinds import BOOL, FLOAT, INT, STR, TENSOR, Kind


@dataclass(frozen=True)
class Signature:
    """A function that may be called; ``steered`` ones take ``way`` as their last argument."""

    name: str
    parameters: tuple[Kind, ...]
    result: Kind
    steered: bool = False


Rule = Callable[["Expressions", Kind, int], str]
RULES: dict[str, list[Rule]] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register a way to make an expression of these kinds."""

    def register(function: Rule) -> Rule:
        for name in names:
            RULES.setdefault(name, []).append(function)
        return function

    return register


class Expressions:
    """The variables in scope and expressions over them."""

    def __init__(
        self, rng: random.Random, features: frozenset[str], helpers: tuple[Signature, ...]
    ) -> None:
        self.rng = rng
        self.features = features
        self.helpers = helpers
        self.variables: dict[str, Kind] = {}
        self.local_functions: list[Signature] = []
        self.count = 0

    def fresh(self, prefix: str = "v") -> str:
        """A new name."""
        self.count += 1
        return f"{prefix}{self.count}"

    def names_of(self, *kinds: Kind) -> list[str]:
        """Variables of these kinds."""
        return [n for n, k in self.variables.items() if k in kinds]

    def names_like(self, constructor: str) -> list[str]:
        """Variables of one constructor."""
        return [n for n, k in self.variables.items() if k.name == constructor]

    def some(self, k: Kind) -> str | None:
        """A variable of a kind; None when there is none."""
        found = self.names_of(k)
        return self.rng.choice(found) if found else None

    def expr(self, k: Kind, depth: int = 3) -> str:
        """An expression of kind ``k``."""
        variable = self.some(k)
        roll = self.rng.random()
        if variable is not None and (roll < 0.4 or depth <= 0):
            return variable
        if depth <= 0 or (roll < 0.46 if variable is not None else roll < 0.25):
            return K.literal(self.rng, k, 2)
        rules = RULES.get(k.name, [])
        for _ in range(4):
            if rules:
                found = self.rng.choice(rules)(self, k, depth - 1)
                if found:
                    return found
        return self.general(k, depth - 1)

    def general(self, k: Kind, depth: int) -> str:
        """What works for every kind: a choice, a call, an element."""
        roll = self.rng.random()
        if roll < 0.35:
            return f"({self.expr(k, depth)} if {self.expr(BOOL, depth)} else {self.expr(k, depth)})"
        if roll < 0.65:
            callee = [s for s in (*self.helpers, *self.local_functions) if s.result == k]
            if callee:
                return self.call(self.rng.choice(callee), depth)
        if roll < 0.85:
            element = self.element(k, depth)
            if element:
                return element
        return K.literal(self.rng, k, 2)

    def call(self, callee: Signature, depth: int) -> str:
        """A call of a function."""
        given = [self.expr(p, depth) for p in callee.parameters]
        return f"{callee.name}({', '.join([*given, 'way'] if callee.steered else given)})"

    def bit(self) -> str:
        """A bit of ``way``, the same in all iterations of a loop or not."""
        number = self.some(INT) if self.rng.random() < 0.4 else None
        return f"way >> {number} % 8 & 1" if number else f"way & {1 << self.rng.randrange(10)}"

    def condition(self, depth: int = 3) -> str:
        """A test of a branch, often of a bit of ``way``, so that calls take different branches."""
        roll = self.rng.random()
        if roll < 0.15:
            return self.expr(BOOL, depth)
        bit = self.bit()
        if roll < 0.6:
            return self.rng.choice((bit, f"not {bit}", f"({bit}) == 0"))
        return f"{bit} {self.rng.choice(('and', 'or', 'or', 'or'))} {self.expr(BOOL, depth)}"

    def element(self, k: Kind, depth: int) -> str:
        """An element of a container in scope; may raise."""
        ways = []
        for name, kind in list(self.variables.items()):
            if kind == K.list_of(k):
                ways.append(f"{name}[{self.index()}]")
                ways.append(f"{name}.pop()")
            elif kind.name == "Dict" and kind.inner[1] == k:
                ways.append(f"{name}[{self.expr(kind.inner[0], 0)}]")
                default = K.literal(self.rng, k, 1)
                ways.append(f"{name}.get({self.expr(kind.inner[0], 0)}, {default})")
            elif kind.name == "Tuple":
                ways += [f"{name}[{i}]" for i, inner in enumerate(kind.inner) if inner == k]
            elif kind == K.optional(k) and kind != k:
                ways.append(f"({name} if {name} is not None else {K.literal(self.rng, k, 1)})")
        return self.rng.choice(ways) if ways else ""

    def index(self) -> str:
        """A small int, usually within bounds."""
        return self.rng.choice(("0", "0", "-1", "1", "-2", self.expr(INT, 0)))

    def iterable(self, depth: int) -> tuple[str, Kind]:
        """Something to iterate over, and the kind of its elements."""
        ways: list[tuple[str, Kind]] = [
            (f"range({self.rng.randrange(1, 5)})", INT),
            (f"range({self.rng.randrange(0, 3)}, {self.rng.randrange(2, 6)})", INT),
            (f"range({self.rng.randrange(2, 5)}, -1, -{self.rng.randrange(1, 3)})", INT),
        ]
        for name, kind in list(self.variables.items()):
            if kind.name == "List":
                ways += [(name, kind.inner[0])] * 2
                ways.append((f"reversed({name})", kind.inner[0]))
                ways.append((f"{name}[1:]", kind.inner[0]))
                ways.append((f"enumerate({name})", K.tuple_of(INT, kind.inner[0])))
                ways.append((f"zip({name}, range(3))", K.tuple_of(kind.inner[0], INT)))
            elif kind.name == "Dict":
                ways.append((name, kind.inner[0]))
                ways.append((f"{name}.items()", K.tuple_of(*kind.inner)))
                ways.append((f"{name}.values()", kind.inner[1]))
            elif kind.name == "Set" and kind.inner[0].is_ordered:
                ways += [(f"sorted({name})", kind.inner[0]), (name, kind.inner[0])]
            elif kind == STR:
                ways.append((f"{name}[:4]", STR))
            elif kind == K.BOX:
                ways.append((f"list({name})", INT))
            elif kind.name == "deque":
                ways += [(name, kind.inner[0]), (f"reversed({name})", kind.inner[0])]
            elif kind.name in ("OrderedDict", "defaultdict"):
                ways += [(name, kind.inner[0]), (f"{name}.items()", K.tuple_of(*kind.inner))]
            elif kind == K.COUNTER:
                ways += [(name, STR), (f"{name}.items()", K.tuple_of(STR, INT))]
            elif kind == K.BYTES:
                ways.append((name, INT))
        if "enums" in self.features:
            ways.append(("Color", K.COLOR))
        return self.rng.choice(ways)

    def inside(self, names: dict[str, Kind], make: Callable[[], str]) -> str:
        """What ``make`` gives with further variables in scope."""
        saved = dict(self.variables)
        self.variables.update(names)
        result = make()
        self.variables = saved
        return result

    def comprehension(self, make: Callable[[], str], depth: int) -> str:
        """``ELEMENT for target in iterable [if condition]...`` with up to three loops."""
        saved, clauses = dict(self.variables), []
        for number in range(3):
            if number == 0 or (number == 1 and self.rng.random() < 0.3):
                source, kind = self.iterable(depth)
            else:
                source, kind = f"range({self.rng.randrange(1, 4)})", INT
            names, target = self.target(kind)
            self.variables.update(names)
            tests = [self.expr(BOOL, depth) for p in (0.4, 0.08) if self.rng.random() < p]
            clauses.append("".join((f" for {target} in {source}", *(f" if {t}" for t in tests))))
            if self.rng.random() < 0.8:
                break
        element = make()
        self.variables = saved
        return element + "".join(clauses)

    def target(self, kind: Kind) -> tuple[dict[str, Kind], str]:
        """New loop variables for elements of a kind."""
        if kind.name == "Tuple" and len(kind.inner) == 2 and self.rng.random() < 0.8:
            a, b = self.fresh("i"), self.fresh("i")
            return {a: kind.inner[0], b: kind.inner[1]}, f"{a}, {b}"
        name = self.fresh("i")
        return {name: kind}, name


# ---- ints ----


@rule("int")
def _arithmetic(e: Expressions, k: Kind, depth: int) -> str:
    a, b = e.expr(INT, depth), e.expr(INT, depth)
    operator = e.rng.choice(("+", "-", "*", "&", "|", "^"))
    return f"(({a} {operator} {b}) % 1009)"


@rule("int")
def _division(e: Expressions, k: Kind, depth: int) -> str:
    operator = e.rng.choice(("//", "%"))
    divisor = e.rng.choice(("3", "-3", "7", e.expr(INT, depth)))
    return f"({e.expr(INT, depth)} {operator} {divisor})"


@rule("int")
def _int_function(e: Expressions, k: Kind, depth: int) -> str:
    a, b = e.expr(INT, depth), e.expr(INT, depth)
    return e.rng.choice(
        (f"abs({a})", f"min({a}, {b})", f"max({a}, {b}, 3)", f"-({a})", f"int({e.expr(BOOL, depth)})",
         f"(1 << ({a} % 5))", f"({a} >> ({b} % 4))", f"int({e.expr(FLOAT, depth)})", f"(~({a}))",
         f"divmod({a}, 7)[1]", f"(({a} % 9) ** 2)", f"round({e.expr(FLOAT, depth)})")
    )  # fmt: skip


@rule("int")
def _length(e: Expressions, k: Kind, depth: int) -> str:
    names = [n for n, v in e.variables.items() if v.name in ("List", "Dict", "Set", "str")]
    return f"len({e.rng.choice(names)})" if names else f"len({e.expr(STR, depth)})"


@rule("int")
def _int_of_list(e: Expressions, k: Kind, depth: int) -> str:
    name = e.some(K.list_of(INT))
    if name is None:
        return ""
    return e.rng.choice(
        (f"sum({name})", f"{name}.count({e.expr(INT, 0)})", f"{name}.index({e.expr(INT, 0)})",
         f"max({name}, default=4)", f"min({name})", f"sum({name}[:2], 5)")
    )  # fmt: skip


@rule("int")
def _sum_of_generator(e: Expressions, k: Kind, depth: int) -> str:
    return f"sum({e.comprehension(lambda: e.expr(INT, depth), depth)})"


@rule("int")
def _int_of_str(e: Expressions, k: Kind, depth: int) -> str:
    s = e.expr(STR, depth)
    return e.rng.choice((f"{s}.find({e.expr(STR, 0)})", f"{s}.count('a')", f"ord(({s} + 'q')[0])"))


@rule("int")
def _int_of_object(e: Expressions, k: Kind, depth: int) -> str:
    if "dataclasses" in e.features and e.rng.random() < 0.3:
        return f"{e.expr(K.POINT, depth)}.x"
    if "classes" in e.features and e.rng.random() < 0.7:
        return e.rng.choice(
            (f"{e.expr(K.SHAPE, depth)}.area()",
             f"{e.expr(K.SHAPE, depth)}.size", f"{e.expr(K.NODE, depth)}.total()",
             f"len({e.expr(K.SHAPE, depth)})")
        )  # fmt: skip
    if "enums" in e.features:
        return e.rng.choice(
            (f"{e.expr(K.COLOR, depth)}.value", f"{e.expr(K.LEVEL, depth)}.value",
             f"({e.expr(K.LEVEL, depth)} + 1)", f"int({e.expr(K.LEVEL, depth)})")
        )  # fmt: skip
    return ""


# ---- floats ----


@rule("float")
def _float_arithmetic(e: Expressions, k: Kind, depth: int) -> str:
    a, b = e.expr(FLOAT, depth), e.expr(FLOAT, depth)
    return e.rng.choice(
        (f"({a} + {b})", f"({a} - {b})", f"(({a} * {b}) % 97.0)", f"({a} / {e.expr(INT, depth)})",
         f"float({e.expr(INT, depth)})", f"abs({a})", f"max({a}, {b})", f"({a} // 0.5)",
         f"({e.expr(INT, depth)} * 0.5)", f"(({a} % 7.0) ** 2)")
    )  # fmt: skip


@rule("float")
def _float_of_tensor(e: Expressions, k: Kind, depth: int) -> str:
    if "tensors" not in e.features:
        return ""
    t = e.expr(TENSOR, depth)
    return e.rng.choice((f"{t}.sum().item()", f"float({t}[0])", f"{t}.max().item()"))


# ---- bools ----


@rule("bool")
def _comparison(e: Expressions, k: Kind, depth: int) -> str:
    kind = e.rng.choice((INT, INT, FLOAT, STR))
    operator = e.rng.choice(("<", "<=", "==", "!=", ">", ">="))
    if e.rng.random() < 0.15:
        parts = [e.expr(kind, depth) for _ in range(3)]
        return f"({parts[0]} < {parts[1]} <= {parts[2]})"
    return f"({e.expr(kind, depth)} {operator} {e.expr(kind, depth)})"


@rule("bool")
def _logic(e: Expressions, k: Kind, depth: int) -> str:
    a, b = e.expr(BOOL, depth), e.expr(BOOL, depth)
    return e.rng.choice(
        (f"({a} and {b})", f"({a} or {b})", f"(not {a})", f"bool({e.expr(INT, depth)})")
    )


@rule("bool")
def _membership(e: Expressions, k: Kind, depth: int) -> str:
    ways = []
    for name, kind in list(e.variables.items()):
        if kind.name in ("List", "Set", "Dict") and not kind.inner[0].has_tensor:
            ways.append(f"({e.expr(kind.inner[0], 1)} in {name})")
        if kind.name == "Optional":
            ways.append(f"({name} is None)")
        if kind == K.SHAPE:
            ways.append(f"isinstance({name}, Square)")
    return e.rng.choice(ways) if ways else f"({e.expr(STR, depth)} in {e.expr(STR, depth)})"


@rule("bool")
def _equality(e: Expressions, k: Kind, depth: int) -> str:
    names = [n for n, v in e.variables.items() if v.inner and not v.has_tensor]
    if not names:
        return ""
    name = e.rng.choice(names)
    return f"({name} {e.rng.choice(('==', '!='))} {e.expr(e.variables[name], depth)})"


@rule("bool")
def _quantifier(e: Expressions, k: Kind, depth: int) -> str:
    inner = e.comprehension(lambda: e.expr(BOOL, depth), depth)
    return f"{e.rng.choice(('any', 'all'))}({inner})"


@rule("bool")
def _identity(e: Expressions, k: Kind, depth: int) -> str:
    kinds = [v for v in e.variables.values() if v.name in ("List", "Dict", "Set", "Shape", "Color")]
    if not kinds:
        return ""
    kind = e.rng.choice(kinds)
    return f"({e.some(kind)} is {e.some(kind)})"


# ---- strings ----


@rule("str")
def _text(e: Expressions, k: Kind, depth: int) -> str:
    a, b = e.expr(STR, depth), e.expr(STR, depth)
    return e.rng.choice(
        (f"({a} + {b})[:12]", f"({a} * ({e.expr(INT, depth)} % 3))[:9]", f"{a}.upper()",
         f"{a}.replace({b}, 'r')[:14]", f"{a}[{e.rng.randrange(-3, 3)}:]", f"{a}[::-1]",
         f"{a}.strip()", f"{a}.title()", f"{a}[{e.index()}]", f"{a}.zfill(4)", f"{a}.center(6, '*')")
    )  # fmt: skip


@rule("str")
def _written(e: Expressions, k: Kind, depth: int) -> str:
    names = [n for n, v in e.variables.items() if v.is_printable]
    value = e.rng.choice(names) if names else e.expr(INT, depth)
    return e.rng.choice((f"str({value})[:20]", f"f'<{{{value}!r:.18}}>'", f"repr({value})[:20]"))


@rule("str")
def _formatted(e: Expressions, k: Kind, depth: int) -> str:
    i = e.some(INT) or "5"
    x = e.some(FLOAT) or "0.5"
    return e.rng.choice((f"f'{{{i}:04d}}|{{{x}:.2f}}'", f"('%d-%s' % ({i}, {x}))",
                         f"'{{}}:{{:>5}}'.format({x}, {i})", f"format({i}, 'x')"))  # fmt: skip


@rule("str")
def _joined(e: Expressions, k: Kind, depth: int) -> str:
    name = e.some(K.list_of(STR))
    if name is not None and e.rng.random() < 0.5:
        return f"','.join({name})[:16]"
    return f"'-'.join({e.comprehension(lambda: e.expr(STR, depth), depth)})[:16]"


@rule("str")
def _name_of_member(e: Expressions, k: Kind, depth: int) -> str:
    if "enums" not in e.features:
        return ""
    return f"{e.expr(e.rng.choice((K.COLOR, K.LEVEL)), depth)}.name"


# ---- tensors ----


@rule("Tensor")
def _tensor(e: Expressions, k: Kind, depth: int) -> str:
    a, b = e.expr(TENSOR, depth), e.expr(TENSOR, depth)
    return e.rng.choice(
        (f"({a} + {b})", f"({a} * 0.5)", f"torch.relu({a})", f"({a} - {e.expr(FLOAT, depth)})",
         f"torch.where({a} > 0, {a}, {b})", f"{a}.clone()", f"(-{a})", f"{a}.flip(0)",
         f"torch.stack([{a}, {b}]).sum(0)", f"torch.tanh({a} * {e.expr(INT, depth)})", f"{a}.view(3)")
    )  # fmt: skip


# ---- containers ----


@rule("List")
def _list(e: Expressions, k: Kind, depth: int) -> str:
    (element,) = k.inner
    roll = e.rng.random()
    if roll < 0.3:
        items = ", ".join(e.expr(element, depth) for _ in range(e.rng.randrange(0, 4)))
        return f"[{items}]"
    if roll < 0.55:
        return f"[{e.comprehension(lambda: e.expr(element, depth), depth)}][:8]"
    name = e.some(k)
    if name is None:
        return ""
    ways = [f"{name}[1:]", f"{name}[::-1]", f"list({name})", f"({name} + {e.expr(k, depth)})[:8]",
            f"[*{name}[:5], {e.expr(element, depth)}]", f"{name}.copy()", f"({name} * 2)[:6]",
            f"list(reversed({name}))"]  # fmt: skip
    if element.is_ordered:
        ways += [f"sorted({name})", f"sorted({name}, reverse=True)"]
        if element == INT:
            ways.append(f"sorted({name}, key=lambda q: (q % 3, -q))")
    return e.rng.choice(ways)


@rule("List")
def _list_of_other(e: Expressions, k: Kind, depth: int) -> str:
    ways = []
    for name, kind in list(e.variables.items()):
        if kind.name == "Dict" and kind.inner[0] == k.inner[0]:
            ways += [f"list({name})", f"list({name}.keys())"]
        if kind.name == "Dict" and kind.inner[1] == k.inner[0]:
            ways.append(f"list({name}.values())")
        if kind.name == "Set" and kind.inner == k.inner:
            ways.append(f"list({name})")
            if k.inner[0].is_ordered:
                ways.append(f"sorted({name})")
    if k.inner[0] == STR:
        ways.append(f"{e.expr(STR, depth)}.split()")
        ways.append(f"list({e.expr(STR, depth)})")
    return e.rng.choice(ways) if ways else ""


@rule("Dict")
def _dict(e: Expressions, k: Kind, depth: int) -> str:
    key, value = k.inner
    roll = e.rng.random()
    if roll < 0.35:
        count = e.rng.randrange(0, 4)
        pairs = ", ".join(f"{e.expr(key, depth)}: {e.expr(value, depth)}" for _ in range(count))
        return "{" + pairs + "}"
    if roll < 0.65:
        inner = e.comprehension(lambda: f"{e.expr(key, depth)}: {e.expr(value, depth)}", depth)
        return "{" + inner + "}"
    name = e.some(k)
    if name is None:
        return ""
    return e.rng.choice(
        (f"dict({name})", f"{name}.copy()", f"({name} | {e.expr(k, depth)})",
         f"{{**{name}, {e.expr(key, depth)}: {e.expr(value, depth)}}}")
    )  # fmt: skip


@rule("Set")
def _set(e: Expressions, k: Kind, depth: int) -> str:
    (element,) = k.inner
    roll = e.rng.random()
    if roll < 0.3:
        return "{" + ", ".join(e.expr(element, depth) for _ in range(e.rng.randrange(1, 4))) + "}"
    if roll < 0.6:
        return "{" + e.comprehension(lambda: e.expr(element, depth), depth) + "}"
    name = e.some(k)
    if name is None:
        source = e.some(K.list_of(element))
        return f"set({source})" if source else ""
    other = e.expr(k, depth)
    return e.rng.choice(
        (f"({name} | {other})", f"({name} & {other})", f"({name} - {other})", f"({name} ^ {other})",
         f"set({name})", f"{name}.union({other})", f"{name}.copy()")
    )  # fmt: skip


@rule("Tuple")
def _tuple(e: Expressions, k: Kind, depth: int) -> str:
    items = ", ".join(e.expr(i, depth) for i in k.inner)
    return f"({items}{',' if len(k.inner) == 1 else ''})"


@rule("Optional")
def _optional(e: Expressions, k: Kind, depth: int) -> str:
    (inner,) = k.inner
    roll = e.rng.random()
    if roll < 0.6:
        return e.expr(inner, depth)
    names = [n for n, v in e.variables.items() if v.name == "Dict" and v.inner[1] == inner]
    if names:
        name = e.rng.choice(names)
        return f"{name}.get({e.expr(e.variables[name].inner[0], 0)})"
    return f"({e.expr(inner, depth)} if {e.expr(BOOL, depth)} else None)"


# ---- objects ----


@rule("Color")
def _color(e: Expressions, k: Kind, depth: int) -> str:
    i = e.expr(INT, depth)
    return e.rng.choice((f"Color({i} % 3 + 1)", f"Color({i})", "Color['GREEN']"))


@rule("Level")
def _level(e: Expressions, k: Kind, depth: int) -> str:
    return f"Level({e.rng.choice(('1', '5', '9'))})"


@rule("Point")
def _point(e: Expressions, k: Kind, depth: int) -> str:
    return e.rng.choice(
        (f"Point({e.expr(INT, depth)}, {e.expr(STR, depth)})", f"Point({e.expr(INT, depth)})",
         f"{e.expr(K.POINT, depth)}.moved({e.expr(INT, depth)})",
         f"({e.expr(K.POINT, depth)} + {e.expr(K.POINT, depth)})")
    )  # fmt: skip


@rule("Key")
def _key(e: Expressions, k: Kind, depth: int) -> str:
    return f"Key({e.expr(INT, depth)}, {e.expr(STR, depth)})"


@rule("Shape")
def _shape(e: Expressions, k: Kind, depth: int) -> str:
    return e.rng.choice((f"Square({e.expr(INT, depth)})", f"Round({e.expr(INT, depth)}, 2)",
                         f"Shape({e.expr(INT, depth)})"))  # fmt: skip


@rule("Node")
def _node(e: Expressions, k: Kind, depth: int) -> str:
    return f"Node({e.expr(INT, depth)}, {e.expr(K.NODE, depth)})"
