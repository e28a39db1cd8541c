"""More statements: patterns, jumps through ``finally``, ``try`` in generators, slices, refinement."""

from __future__ import annotations

from tests.generator import kinds as K
from tests.generator.bodies import Body, statement
from tests.generator.expressions import Expressions, rule
from tests.generator.kinds import BOOL, FLOAT, INT, STR, Kind

# ---- patterns ----


@statement(4, "match")
def _match_pair(b: Body) -> None:
    x, y = b.fresh("m"), b.fresh("m")
    kinds = b.rng.choice((INT, BOOL, STR)), b.rng.choice((INT, STR))
    first, second = kinds
    wanted = [K.literal(b.rng, k) for k in kinds]
    given = [f"{w} if {b.bit()} else {b.expr(k, 2)}" for k, w in zip(kinds, wanted, strict=True)]
    b.write(f"match ({', '.join(given)}):")
    b.indent += 1
    b.write(f"case ({wanted[0]}, {y}):")
    b.suite(2, {y: second})
    b.write(f"case ({x}, {wanted[1]}) if {b.condition(1)}:")
    b.suite(2, {x: first})
    if b.rng.random() < 0.5:
        b.write(f"case ({x}, {y}):")
        b.suite(2, {x: first, y: second})
    b.indent -= 1


@statement(4, "match")
def _match_list(b: Body) -> None:
    name = b.changeable("List")
    if name is None:
        return
    kind = b.variables[name]
    (element,) = kind.inner
    x, rest = b.fresh("m"), b.fresh("m")
    b.write(f"match {name}:")
    b.indent += 1
    b.write("case []:")
    b.suite(1)
    if b.rng.random() < 0.5:
        b.write(f"case [{x}]:")
        b.suite(2, {x: element})
    form = b.rng.choice((f"[{x}, *{rest}]", f"[*{rest}, {x}]", f"[_, {x}, *{rest}]"))
    guard = f" if {b.expr(BOOL, 1)}" if b.rng.random() < 0.4 else ""
    b.write(f"case {form}{guard}:")
    b.suite(2, {x: element, rest: kind})
    b.write("case _:")
    b.suite(1)
    b.indent -= 1


@statement(4, "match")
def _match_object(b: Body) -> None:
    x, y = b.fresh("m"), b.fresh("m")
    ways: list[tuple[Kind, list[tuple[str, dict[str, Kind]]]]] = []
    if "dataclasses" in b.features:
        ways.append((K.POINT, [(f"Point(x={K.literal(b.rng, INT)})", {}),
                               (f"Point(name='a', x={x})", {x: INT}),
                               (f"Point({x}, {y})", {x: INT, y: STR})]))  # fmt: skip
    if "classes" in b.features:
        ways.append((K.SHAPE, [(f"Square(size={x})", {x: INT}),
                               (f"Round(size={x}, extra={y})", {x: INT, y: INT}), ("_", {})]))  # fmt: skip
        ways.append((K.optional(K.NODE), [("None", {}), (f"Node(value={x}, next=None)", {x: INT}),
                                          (f"Node(next=Node(value={x}))", {x: INT})]))  # fmt: skip
    if "enums" in b.features:
        ways.append((K.COLOR, [("Color.RED | Color.BLUE", {}), (x, {x: K.COLOR})]))
    ways.append((K.optional(INT), [("None", {}), ("0 | 1", {}), (x, {x: INT})]))
    ways.append((K.dict_of(STR, INT), [(f"{{'a': {x}}}", {x: INT}), (f"{{'b': 2, 'ab': {y}}}", {y: INT}),
                                       (f"{{**{y}}}", {y: K.dict_of(STR, INT)})]))  # fmt: skip
    kind, cases = b.rng.choice(ways)
    b.write(f"match {b.some(kind) or b.expr(kind, 2)}:")
    b.indent += 1
    for pattern, names in cases:
        b.write(f"case {pattern}:")
        b.suite(2, names)
    b.indent -= 1


# ---- jumps through finally ----


@statement(4, "try")
def _jump_in_finally(b: Body) -> None:
    """Leave from the body of a ``try`` with ``finally``, or from the ``finally`` itself."""
    jumps = []
    if not b.in_closure:
        jumps.append(f"return {b.expr(b.result, 1)}")
    if b.in_loop and not b.in_closure:
        jumps += ["break", "continue"]
    if not jumps:
        return
    b.write("try:")
    b.suite(2)
    b.write(f"    if {b.condition(1)}:")
    b.write(f"        {b.rng.choice(jumps)}")
    if b.rng.random() < 0.3:
        b.write("except (ValueError, LookupError):")
        b.suite(1)
    b.write("finally:")
    b.write(f"    print('finally', {b.expr(INT, 1)})")
    if b.rng.random() < 0.3:
        b.write(f"    if {b.condition(1)}:")
        b.write(f"        {b.rng.choice(jumps)}")


@statement(3, "try")
def _raise_again(b: Body) -> None:
    """Chained exceptions, and their arguments."""
    b.write("try:")
    b.suite(2)
    b.write(f"    if {b.condition(1)}:")
    b.write(
        f"        raise {b.rng.choice(('Worse', 'KeyError', 'Refused'))}('mine', {b.expr(INT, 1)})"
    )
    b.write(f"except {b.rng.choice(('Refused', 'KeyError', 'Exception'))} as error:")
    b.write("    print(type(error).__name__, len(error.args))")
    b.suite(1)
    if b.rng.random() < 0.6:
        cause = b.rng.choice((" from error", " from None", ""))
        b.write(f"    if {b.condition(1)}:")
        b.write(f"        raise ValueError('mine too'){cause}")


@statement(3, "try")
def _try_in_generator(b: Body) -> None:
    if b.in_closure or b.loops >= 2 or "generators" not in b.features:
        return
    name, count, item = b.fresh("g"), b.fresh("p"), b.fresh("i")
    b.write(f"def {name}({count}: int):")
    saved, fixed = dict(b.variables), set(b.fixed)
    b.variables.update({count: INT, item: INT})
    b.fixed |= set(b.variables)
    b.in_closure += 1
    b.indent += 1
    b.write(f"for {item} in range({count} % 6):")
    b.indent += 1
    b.write("try:")
    b.write(f"    yield {b.expr(INT, 2)}")
    b.write(f"    if {b.condition(1)}:")
    b.write(f"        raise {b.rng.choice(('ValueError', 'KeyError', 'Worse'))}('mine')")
    b.write(f"except {b.rng.choice(('ValueError', 'LookupError', 'Refused', 'Exception'))}:")
    b.write("    " + b.rng.choice((f"print('caught', {item})", "continue", "break", "pass")))
    if b.rng.random() < 0.3:
        b.write("else:")
        b.write(f"    yield {b.expr(INT, 1)}")
    b.indent -= 2
    b.in_closure -= 1
    b.variables, b.fixed = saved, fixed
    found = b.fresh()
    b.write(f"{found} = {b.rng.choice(('list', 'sorted'))}({name}({b.expr(INT, 1)}))")
    b.variables[found] = K.list_of(INT)


@statement(3, "generators")
def _delegating(b: Body) -> None:
    """``yield from``, and a generator that is driven by hand."""
    if b.in_closure or b.loops >= 2:
        return
    name, count = b.fresh("g"), b.fresh("p")
    b.write(f"def {name}({count}: int):")
    saved, fixed = dict(b.variables), set(b.fixed)
    b.variables[count] = INT
    b.fixed |= set(b.variables)
    b.in_closure += 1
    source, kind = b.iterable(1)
    b.write(f"    yield from {source}")
    if kind == INT:
        b.write(f"    yield {b.expr(INT, 1)}")
    b.in_closure -= 1
    b.variables, b.fixed = saved, fixed
    call, found = f"{name}({b.expr(INT, 1)})", b.fresh()
    if kind == INT and b.rng.random() < 0.5:
        driven = b.fresh("g")
        b.write(f"{driven} = {call}")
        b.write(f"{found} = next({driven}, 5) + next({driven}, 6) + sum({driven})")
        b.variables[found] = INT
    else:
        b.write(f"{found} = list({call})[:8]")
        b.variables[found] = K.list_of(kind)


# ---- slices and unpacking ----


@statement(5)
def _change_slice(b: Body) -> None:
    name = b.changeable("List")
    if name is None:
        return
    i, j = (b.rng.choice(("", "0", "1", "2", "-1", "-2", b.expr(INT, 0))) for _ in range(2))
    kind = b.variables[name]
    b.write(f"if len({name}) < 9:")
    b.write("    " + b.rng.choice(
        (f"del {name}[{i}:{j}]", f"{name}[{i}:{j}] = {b.expr(kind, 2)}[:3]",
         f"{name}[{i}:{j}] = reversed({name}[{i}:{j}])", f"{name} *= 2" if name not in b.fixed
         and len(b.local_functions) < 1 else f"{name}.extend({name}[:1])",
         f"{name}[::2], {name}[1::2] = {name}[::2][::-1], {name}[1::2]",
         f"del {name}[{i}:{j}:{b.rng.choice(('2', '-1', '-2'))}]")
    ))  # fmt: skip


@statement(3)
def _unpack_nested(b: Body) -> None:
    kind, other = K.random_kind(b.rng, b.features, 1), b.rng.choice((INT, STR))
    items = b.expr(K.list_of(other), 2)
    x, y, rest = b.fresh(), b.fresh(), b.fresh()
    b.write(f"{x}, ({y}, *{rest}) = {b.expr(kind, 2)}, [{b.expr(other, 1)}, *{items}]")
    b.variables.update({x: kind, y: other, rest: K.list_of(other)})


# ---- refinement ----


@statement(6)
def _refine(b: Body) -> None:
    names = [n for n in b.names_like("Optional") if n not in b.fixed]
    if not names:
        return
    name = b.rng.choice(names)
    (inner,) = b.variables[name].inner
    roll = b.rng.random()
    if roll < 0.3:
        b.write(f"if {name} is None or ({b.inside({name: inner}, b.condition)}):")
        b.suite(2)
    elif roll < 0.6:
        b.write(f"if {name} is not None and ({b.inside({name: inner}, b.condition)}):")
        b.fixed.add(name)
        b.suite(3, {name: inner})
        b.fixed.discard(name)
    elif roll < 0.8:
        b.write(f"if {name} is None:")
        b.write(f"    {name} = {b.expr(inner, 2)}")
        new = b.fresh()
        b.write(f"{new} = {name}")
        b.variables[new] = inner
    else:
        new = b.fresh()
        b.write(f"{new} = {name} if {name} is not None else {b.expr(inner, 1)}")
        b.variables[new] = inner


@statement(3, "classes")
def _walk_nodes(b: Body) -> None:
    node = b.some(K.NODE)
    if node is None or b.loops >= 2:
        return
    at, steps = b.fresh(), b.fresh("n")
    b.write(f"{at}: Optional[Node] = {node}")
    b.write(f"{steps} = 0")
    b.write(f"while {at} is not None and {steps} < 6:")
    b.write(f"    {steps} += 1")
    b.fixed |= {at, steps}
    b.loop_suite(2, {at: K.NODE, steps: INT}, leave=False)
    b.write(f"    if {at}.next is not None and {at}.next.value > {b.expr(INT, 0)}:")
    b.write(f"        {at}.next.value -= 1")
    b.write(f"    {at} = {at}.next")
    b.fixed -= {at, steps}


# ---- formats ----


@rule("str")
def _with_width(e: Expressions, k: Kind, depth: int) -> str:
    i, x, s = e.expr(INT, 0), e.expr(FLOAT, 0), e.expr(STR, 0)
    n = e.rng.randrange(1, 9)
    spec = e.rng.choice(
        ("+d", "b", "#x", "#o", ",", "_", f"0{n}", f">{n}", f"^{n}", f"*<{n}d", "e", ".1f", "%")
    )
    real = e.rng.choice(
        (".3g", "e", ".0f", f"{n}.2f", "+.1f", "%", ",.2f", "g", f"<{n}", f"0{n}.1f")
    )
    text = e.rng.choice((f"{n}", f">{n}", f"*^{n}", f".{n}", f"-<{n}.2"))
    align = e.rng.choice(("ljust", "rjust", "center"))
    return e.rng.choice(
        (f"f'{{{i}:{spec}}}'", f"f'{{{x}:{real}}}'", f"f'{{{_quoted(s)}:{text}}}'",
         f"f'{{{i}:>{{{n}}}}}'", f"('%5.1f|%-4d|%+d' % ({x}, {i}, {i}))", f"('%{n}s' % ({s},))",
         f"'{{0}}-{{1:>4}}-{{0}}'.format({i}, {x})", f"'{{a:>5}}|{{b!r}}'.format(a={i}, b={s})",
         f"{s}.{align}({n}, '.')", f"format({x}, {real!r})", f"str({x})", f"repr({s})",
         f"'x'.join({s})[:9]", f"{s}.partition('a')[2]", f"{s}.swapcase()", f"{s}.capitalize()",
         f"hex({i})", f"bin({i})[:9]", f"chr({i} % 256 + 65)", f"{s}.lstrip(' a')", f"{s}.casefold()",
         f"{s}.removeprefix('a')", f"('%s' % ({i},))", f"('%r:%c' % ({s}, 'q'))", f"ascii({s})[:12]")
    )  # fmt: skip


def _quoted(text: str) -> str:
    """An expression inside an f-string in single quotes."""
    return text.replace("'", '"')


@rule("bool")
def _text_test(e: Expressions, k: Kind, depth: int) -> str:
    s = e.expr(STR, depth)
    method = e.rng.choice(
        ("isdigit", "isalpha", "isupper", "isspace", "isalnum", "istitle", "isidentifier")
    )
    return e.rng.choice((f"{s}.{method}()", f"{s}.startswith({e.expr(STR, 0)})", f"{s}.endswith('a')",
                         f"{s}.startswith(('a', {e.expr(STR, 0)}))"))  # fmt: skip


@rule("List")
def _pieces(e: Expressions, k: Kind, depth: int) -> str:
    if k.inner[0] != STR:
        return ""
    s = e.expr(STR, depth)
    return e.rng.choice((f"{s}.split('a')", f"{s}.split(',', 1)", f"{s}.rsplit(None, 1)",
                         f"{s}.splitlines()", f"[*{s}][:6]", f"list({s}.partition(','))"))  # fmt: skip
