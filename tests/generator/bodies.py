"""Random statements: the bodies of functions."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.generator import kinds as K
from tests.generator.expressions import Expressions, Signature
from tests.generator.kinds import BOOL, FLOAT, INT, STR, TENSOR, Kind

Statement = Callable[["Body"], None]
STATEMENTS: list[tuple[int, str, Statement]] = []
LOOP_LIMIT = 12  # no loop runs longer: what it iterates over may grow in it


def statement(weight: int, feature: str = "") -> Callable[[Statement], Statement]:
    """Register a kind of statement."""

    def register(function: Statement) -> Statement:
        STATEMENTS.append((weight, feature, function))
        return function

    return register


class Body(Expressions):
    """Writes the statements of one function."""

    def __init__(
        self,
        rng: random.Random,
        features: frozenset[str],
        helpers: tuple[Signature, ...],
        size: int,
    ) -> None:
        super().__init__(rng, features, helpers)
        self.size = size
        self.lines: list[str] = []
        self.indent = 1
        self.loops = 0
        self.in_closure = 0
        self.in_loop = False  # where `break` and `continue` may stand
        self.result = INT
        self.fixed: set[str] = set()  # variables that are not assigned here
        choices = [s for s in STATEMENTS if not s[1] or s[1] in features]
        self.choices = [s[2] for s in choices]
        self.weights = [s[0] for s in choices]

    def function(self, signature: Signature) -> str:
        """The text of a function."""
        names = [f"a{i}" for i in range(len(signature.parameters))]
        self.variables = dict(zip(names, signature.parameters, strict=True))
        self.result = signature.result
        parameters = ", ".join(f"{n}: {k.annotation}" for n, k in self.variables.items())
        parameters += ", way: int"
        head = f"\ndef {signature.name}({parameters}) -> {signature.result.annotation}:"
        self.lines = []
        self.block(self.size)
        self._show()
        self.write(f"return {self.expr(signature.result)}")
        return "\n".join([head, *self.lines]) + "\n"

    def _show(self) -> None:
        """Print what is left in some variables."""
        shown = [n for n, k in self.variables.items() if k.is_printable]
        if shown:
            names = self.rng.sample(shown, min(len(shown), 6))
            self.write(f"print({', '.join(names)})")

    def write(self, line: str) -> None:
        """Add a line at the present indentation."""
        self.lines.append("    " * self.indent + line)

    def block(self, size: int) -> None:
        """Up to ``size`` statements; variables bound there are not seen after it."""
        tries = 4 * size  # many statements want a variable of their kind
        while size > 0 and tries > 0 and self.size > 0:
            before = len(self.lines)
            self.rng.choices(self.choices, self.weights)[0](self)
            tries -= 1
            if len(self.lines) > before:
                size -= 1
                self.size -= 1

    def suite(self, size: int, names: dict[str, Kind] | None = None) -> None:
        """An indented block with its own new variables."""
        saved, functions = dict(self.variables), list(self.local_functions)
        self.variables.update(names or {})
        self.indent += 1
        before = len(self.lines)
        self.block(size)
        if len(self.lines) == before:
            self.write("pass")
        self.indent -= 1
        self.variables, self.local_functions = saved, functions

    def loop_suite(
        self, size: int, names: dict[str, Kind] | None = None, *, leave: bool = True
    ) -> None:
        """The body of a loop, which may be left early."""
        self.loops += 1
        before, self.in_loop = self.in_loop, leave
        self.suite(size, names)
        if leave and self.rng.random() < 0.4:
            self.indent += 1
            self.write(f"if {self.condition()}:")
            self.write(f"    {self.rng.choice(('break', 'continue'))}")
            self.indent -= 1
        self.in_loop = before
        self.loops -= 1

    def add_function(self, signature: Signature) -> None:
        """Make a local function known, and call it, or leave that to what follows."""
        self.local_functions.append(signature)
        if self.rng.random() < 0.6:
            found = self.fresh()
            self.write(f"{found} = {self.call(signature, 1)}")
            self.variables[found] = signature.result

    def writable(self, *constructors: str) -> str | None:
        """A variable that may be assigned or changed."""
        found = [
            n for n, k in self.variables.items()
            if n not in self.fixed and (not constructors or k.name in constructors)
        ]  # fmt: skip
        return self.rng.choice(found) if found else None

    def changeable(self, constructor: str) -> str | None:
        """A variable whose object may be changed."""
        found = self.names_like(constructor)
        return self.rng.choice(found) if found else None


# ---- assignments ----


@statement(16)
def _new_variable(b: Body) -> None:
    kind = K.random_kind(b.rng, b.features, 2)
    value = b.expr(kind)
    name = b.fresh()
    if b.rng.random() < 0.5 or value in ("None", "[]", "{}") or kind.name == "Optional":
        b.write(f"{name}: {kind.annotation} = {value}")
    elif kind.inner:
        b.write(f"{name}: {kind.annotation} = {value}")
    else:
        b.write(f"{name} = {value}")
    b.variables[name] = kind


@statement(6)
def _alias(b: Body) -> None:
    found = [n for n, k in b.variables.items() if k.inner or k in (K.POINT, K.SHAPE, TENSOR)]
    if found:
        source, name = b.rng.choice(found), b.fresh()
        b.write(f"{name} = {source}")
        b.variables[name] = b.variables[source]


@statement(8)
def _assign(b: Body) -> None:
    name = b.writable()
    if name is not None:
        b.write(f"{name} = {b.expr(b.variables[name])}")


@statement(7)
def _augmented(b: Body) -> None:
    name = b.writable("int", "float", "str", "List")
    if name is None:
        return
    kind = b.variables[name]
    if kind == INT:
        b.write(f"{name} {b.rng.choice(('+=', '-=', '*=', '//=', '%=', '|=', '^='))} {b.expr(INT)}")
        b.write(f"{name} %= 1009")
    elif kind == FLOAT:
        b.write(f"{name} {b.rng.choice(('+=', '-=', '/='))} {b.expr(FLOAT)}")
    elif kind == STR:
        b.write(f"{name} += {b.expr(STR)}")
        b.write(f"{name} = {name}[-12:]")
    else:
        b.write(f"{name} += {b.expr(kind)}[:2]")
        b.write(f"del {name}[8:]")


@statement(4)
def _unpack(b: Body) -> None:
    found = b.names_like("Tuple")
    if found and b.rng.random() < 0.7:
        source = b.rng.choice(found)
        kinds = b.variables[source].inner
        names = [b.fresh() for _ in kinds]
        b.write(f"{', '.join(names)}{',' if len(names) == 1 else ''} = {source}")
        b.variables.update(zip(names, kinds, strict=True))
        return
    source_list = b.changeable("List")
    if source_list is not None:
        first, rest = b.fresh(), b.fresh()
        kind = b.variables[source_list]
        form = b.rng.choice((f"{first}, *{rest}", f"*{rest}, {first}"))
        b.write(f"{form} = {source_list}")
        b.variables.update({first: kind.inner[0], rest: kind})


@statement(2)
def _swap(b: Body) -> None:
    name = b.writable()
    if name is not None:
        others = [n for n in b.names_of(b.variables[name]) if n not in b.fixed]
        other = b.rng.choice(others)
        b.write(f"{name}, {other} = {other}, {name}")


@statement(3)
def _walrus(b: Body) -> None:
    if b.in_closure:
        return
    name = b.fresh()
    kind = b.rng.choice((INT, STR))
    limit = "5" if kind == INT else "'ab'"
    b.write(f"if ({name} := {b.expr(kind, 1)}) {b.rng.choice(('>', '<=', '==', '!='))} {limit}:")
    b.suite(2, {name: kind})
    b.variables[name] = kind


# ---- changes of objects ----


@statement(10)
def _change_list(b: Body) -> None:
    name = b.changeable("List")
    if name is None:
        return
    (element,) = b.variables[name].inner
    value = b.expr(element)
    ways = [f"{name}[{b.index()}] = {value}", f"{name}.insert({b.index()}, {value})",
            f"{name}.reverse()", f"{name}.extend({b.expr(b.variables[name])}[:3])",
            f"del {name}[{b.index()}]", f"{name}[1:2] = [{value}]", f"{name}.pop({b.index()})",
            f"{name}.clear()"]  # fmt: skip
    ways += [f"{name}.append({value})"] * 4
    if element.is_ordered:
        ways += [f"{name}.sort()", f"{name}.remove({value})"]
    step = b.rng.choice((2, -2, 3))
    ways += [f"del {name}[::{step}]", f"{name}[::{step}] = {name}[::{step}][::-1]",
             f"{name}[1:] = [*{name}[:2], {value}]"]  # fmt: skip
    if element == INT:
        ways.append(f"{name}[{b.index()}] += {b.expr(INT, 1)} % 5")
    b.write(f"if len({name}) < 9:")
    b.write(f"    {b.rng.choice(ways)}")


@statement(7)
def _change_dict(b: Body) -> None:
    name = b.changeable("Dict")
    if name is None:
        return
    key, value = (b.expr(k, 2) for k in b.variables[name].inner)
    b.write(
        b.rng.choice(
            (f"{name}[{key}] = {value}", f"{name}[{key}] = {value}", f"{name}.pop({key}, {value})",
             f"del {name}[{key}]", f"{name}.setdefault({key}, {value})",
             f"{name}.update({{{key}: {value}}})", f"{name}.pop({key})", f"{name}.clear()")
        )
    )  # fmt: skip


@statement(4, "sets")
def _change_set(b: Body) -> None:
    name = b.changeable("Set")
    if name is None:
        return
    value = b.expr(b.variables[name].inner[0], 2)
    b.write(
        b.rng.choice(
            (f"{name}.add({value})", f"{name}.discard({value})", f"{name}.remove({value})",
             f"{name}.update([{value}])", f"{name} |= {{{value}}}", f"{name}.clear()")
        )
        if name not in b.fixed
        else f"{name}.add({value})"
    )  # fmt: skip


@statement(4, "tensors")
def _change_tensor(b: Body) -> None:
    name = b.some(TENSOR)
    if name is not None:
        b.write(
            b.rng.choice(
                (f"{name}.add_({b.expr(FLOAT, 1)})", f"{name}[{b.rng.randrange(3)}] = {b.expr(FLOAT, 1)}",
                 f"{name}[1:].mul_(0.5)", f"torch.neg_({name})")
            )
        )  # fmt: skip


@statement(6)
def _change_object(b: Body) -> None:
    point, shape, node = b.some(K.POINT), b.some(K.SHAPE), b.some(K.NODE)
    ways = []
    if point:
        ways += [f"{point}.x = {b.expr(INT)}", f"{point}.name += {b.expr(STR)}[:2]"]
    if shape:
        ways += [f"{shape}.grow({b.expr(INT)})", f"{shape}.size = {b.expr(INT)}",
                 f"{shape}.tags.append({b.expr(STR)})"]  # fmt: skip
    if node:
        ways += [f"{node}.value = {b.expr(INT)}", f"{node}.next = {b.expr(K.NODE)}",
                 f"{node}.next = None"]  # fmt: skip
    if ways:
        b.write(b.rng.choice(ways))


# ---- control ----


@statement(12)
def _if(b: Body) -> None:
    optionals = [n for n in b.names_like("Optional") if n not in b.fixed]
    if optionals and b.rng.random() < 0.4:
        name = b.rng.choice(optionals)
        b.write(f"if {name} is not None:")
        b.fixed.add(name)
        b.suite(3, {name: b.variables[name].inner[0]})
        b.fixed.discard(name)
    else:
        b.write(f"if {b.condition()}:")
        b.suite(3)
    if b.rng.random() < 0.25:
        b.write(f"elif {b.condition()}:")
        b.suite(2)
    if b.rng.random() < 0.5:
        b.write("else:")
        b.suite(3)


@statement(11)
def _for(b: Body) -> None:
    if b.loops >= 2:
        return
    source, kind = b.iterable(2)
    names, target = b.target(kind)
    guard = b.fresh("n")
    b.write(f"{guard} = 0")
    b.write(f"for {target} in {source}:")
    b.indent += 1
    b.write(f"{guard} += 1")
    b.write(f"if {guard} > {LOOP_LIMIT}:")
    b.write("    break")
    b.indent -= 1
    b.loop_suite(4, names)
    if b.rng.random() < 0.15:
        b.write("else:")
        b.suite(2)


@statement(5)
def _while(b: Body) -> None:
    if b.loops >= 2:
        return
    name = b.fresh("n")
    b.write(f"{name} = 0")
    b.write(f"while {name} < {b.rng.randrange(2, 6)} and ({b.condition()}):")
    b.fixed.add(name)
    b.indent += 1
    b.write(f"{name} += 1")
    b.indent -= 1
    b.loop_suite(3, {name: INT})
    b.fixed.discard(name)
    b.variables[name] = INT
    if b.rng.random() < 0.15:
        b.write("else:")
        b.suite(1)


@statement(2)
def _return(b: Body) -> None:
    if not b.in_closure:
        b.write(f"if {b.condition()}:")
        b.write(f"    return {b.expr(b.result)}")


@statement(2)
def _raise(b: Body) -> None:
    kinds = ["ValueError", "RuntimeError", "KeyError", "IndexError"]
    if "try" in b.features:
        kinds += ["Refused", "Worse"]
    b.write(f"if ({b.condition()}) and {b.expr(BOOL)}:")
    text = b.rng.choice(("'mine'", f"f'mine {{{b.expr(INT, 0)}}}'"))
    b.write(f"    raise {b.rng.choice(kinds)}({text})")


@statement(1)
def _assert(b: Body) -> None:
    b.write(f"assert {b.expr(BOOL)} or {b.bit()} or {b.bit()}, 'mine'")


@statement(3)
def _print(b: Body) -> None:
    names = [n for n, k in b.variables.items() if k.is_printable]
    if names:
        b.write(f"print({b.rng.choice(names)}, {b.expr(INT, 1)})")


@statement(2, "tensors")
def _with(b: Body) -> None:
    b.write("with torch.no_grad():")
    b.suite(2)


@statement(9, "try")
def _try(b: Body) -> None:
    b.write("try:")
    b.suite(4)
    clauses = b.rng.sample(
        ("except ValueError:", "except (KeyError, IndexError):", "except ZeroDivisionError:",
         "except Worse:", "except Refused as error:", "except LookupError as error:"),
        b.rng.randrange(0, 3),
    )  # fmt: skip
    if b.rng.random() < 0.4:
        clauses.append("except Exception as error:")
    has_finally = not clauses or b.rng.random() < 0.3
    for clause in clauses:
        b.write(clause)
        if "as error" in clause and b.rng.random() < 0.6:
            b.indent += 1
            b.write("print(type(error).__name__)")
            b.indent -= 1
        if b.rng.random() < 0.15:
            b.indent += 1
            b.write("raise")
            b.indent -= 1
        else:
            b.suite(2)
    if clauses and b.rng.random() < 0.25:
        b.write("else:")
        b.suite(2)
    if has_finally:
        b.write("finally:")
        loops, b.loops = b.loops, 2  # no `continue` in a finally of another loop
        b.suite(2)
        b.loops = loops


# ---- functions ----


@statement(4, "closures")
def _closure(b: Body) -> None:
    if b.in_closure:
        return
    name = b.fresh("g")
    parameters = [K.random_kind(b.rng, b.features, 1) for _ in range(b.rng.randrange(0, 3))]
    result = K.random_kind(b.rng, b.features, 1)
    own = {b.fresh("p"): k for k in parameters}
    shown = ", ".join(f"{n}: {k.annotation}" for n, k in own.items())
    b.write(f"def {name}({shown}) -> {result.annotation}:")
    outer = [n for n, k in b.variables.items() if k == INT and n not in b.fixed]
    saved, fixed = dict(b.variables), set(b.fixed)
    b.variables.update(own)
    b.fixed |= set(saved)
    b.indent += 1
    b.in_closure += 1
    loops, b.loops = b.loops, 1
    in_loop, b.in_loop = b.in_loop, False
    if outer and b.rng.random() < 0.5:
        changed = b.rng.choice(outer)
        b.write(f"nonlocal {changed}")
        b.write(f"{changed} = ({changed} + {b.expr(INT, 1)}) % 1009")
    b.block(2)
    b.write(f"return {b.expr(result, 2)}")
    b.loops, b.in_loop = loops, in_loop
    b.in_closure -= 1
    b.indent -= 1
    b.variables, b.fixed = saved, fixed
    b.add_function(Signature(name, tuple(parameters), result))


@statement(3, "generators")
def _generator(b: Body) -> None:
    if b.in_closure or b.loops >= 2:
        return
    name, count, item = b.fresh("g"), b.fresh("p"), b.fresh("i")
    kind = b.rng.choice((INT, STR, K.tuple_of(INT, INT)))
    b.write(f"def {name}({count}: int):")
    saved, fixed = dict(b.variables), set(b.fixed)
    b.variables.update({count: INT, item: INT})
    b.fixed |= set(b.variables)
    b.in_closure += 1
    b.indent += 1
    guarded = "try" in b.features and b.rng.random() < 0.5
    if guarded:
        b.write("try:")
        b.indent += 1
    b.write(f"for {item} in range({count} % 6):")
    b.indent += 1
    if "try" in b.features and b.rng.random() < 0.4:
        _guarded_yields(b, name, count, kind)
    else:
        _yields(b, count, kind)
    b.indent -= 1
    if guarded:
        b.indent -= 1
        b.write("finally:")
        b.write(f"    print('end of {name}')")
    b.indent -= 1
    b.in_closure -= 1
    b.variables, b.fixed = saved, fixed
    call = f"{name}({b.expr(INT, 1)})"
    found = b.fresh()
    way = b.rng.random()
    if way < 0.4:
        b.write(f"{found} = list({call})")
        b.variables[found] = K.list_of(kind)
        return
    if way < 0.5:
        b.write(f"{found} = next({call}, {b.expr(kind, 1)})")
        b.variables[found] = kind
        return
    loop = b.fresh("i")
    b.write(f"for {loop} in {call}:")
    b.loop_suite(3, {loop: kind})


def _guarded_yields(b: Body, name: str, count: str, kind: Kind) -> None:
    """The body of a generator's loop with `yield` inside `try`, its clauses and `finally`."""
    b.write("try:")
    b.indent += 1
    _yields(b, count, kind)
    if b.rng.random() < 0.4:
        b.write(f"if {b.condition(1)}:")
        b.write("    raise ValueError('inside')")
    b.indent -= 1
    if b.rng.random() < 0.6:
        b.write("except ValueError as error:")
        b.write("    print(error)")
        if b.rng.random() < 0.6:
            b.write(f"    yield {b.expr(kind, 1)}")
        if b.rng.random() < 0.3:
            b.write("    raise")
    b.write("finally:")
    b.write(f"    print('left {name}')")


def _yields(b: Body, count: str, kind: Kind) -> None:
    """The body of a generator's loop: an item, more in an inner loop, a return."""
    if b.rng.random() < 0.5:
        b.write(f"if {b.condition(1)}:")
        b.write(f"    yield {b.expr(kind, 1)}")
    if b.rng.random() < 0.5:
        inner = b.fresh("i")
        b.variables[inner] = INT
        b.write(f"for {inner} in range({b.rng.choice(('2', f'{count} % 3', '1, 4, 2'))}):")
        b.write(f"    yield {b.expr(kind, 1)}")
        b.write(f"    if {b.condition(1)}:")
        b.write(f"        {b.rng.choice(('break', 'continue'))}")
    else:
        b.write(f"yield {b.expr(kind, 2)}")
    if b.rng.random() < 0.4:
        b.write(f"if {b.condition(1)}:")
        b.write("    return")


@statement(3, "match")
def _match(b: Body) -> None:
    subject = f"way >> {b.rng.randrange(8)} & 7" if b.rng.random() < 0.5 else b.expr(INT, 2)
    b.write(f"match {b.rng.choice((subject, subject, b.expr(STR, 2)))}:")
    b.indent += 1
    b.write(b.rng.choice(("case 0 | 1:", "case 2:", "case 'a':")))
    b.suite(2)
    name = b.fresh("m")
    b.write(f"case int({name}) if {name} > 4:")
    b.suite(2, {name: INT})
    b.write("case _:")
    b.suite(2)
    b.indent -= 1
