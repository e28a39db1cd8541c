"""Values of the classes of ``collections``, frozensets and bytes."""

from __future__ import annotations

from tests.generator import kinds as K
from tests.generator.bodies import Body, statement
from tests.generator.expressions import Expressions, rule
from tests.generator.kinds import INT, STR, Kind


@rule("deque")
def _deque(e: Expressions, k: Kind, depth: int) -> str:
    name, (element,) = e.some(k), k.inner
    source = e.expr(K.list_of(element), depth)
    if name is None:
        return f"deque({source}, {e.rng.randrange(1, 6)})"
    return e.rng.choice((f"deque({source}, maxlen=4)", f"{name}.copy()", f"deque(reversed({name}))",
                         f"deque(list({name})[1:])"))  # fmt: skip


@statement(9, "collections")
def _change_deque(b: Body) -> None:
    name = b.changeable("deque")
    if name is None:
        return
    value = b.expr(b.variables[name].inner[0], 2)
    b.write(f"if len({name}) < 9:")
    b.write("    " + b.rng.choice(
        (f"{name}.append({value})", f"{name}.appendleft({value})", f"{name}.pop()",
         f"{name}.popleft()", f"{name}.rotate({b.expr(INT, 1)} % 4)", f"{name}.extend([{value}])",
         f"{name}.extendleft([{value}, {value}])", f"{name}[{b.index()}] = {value}",
         f"{name}.reverse()", f"del {name}[{b.index()}]", f"{name}.insert(1, {value})")
    ))  # fmt: skip


@rule("defaultdict")
def _default_dict(e: Expressions, k: Kind, depth: int) -> str:
    name = e.some(k)
    if name is not None and e.rng.random() < 0.4:
        return f"{name}.copy()"
    value = k.inner[1].annotation if not k.inner[1].inner else "list"
    plain = e.expr(K.dict_of(*k.inner), depth)
    return f"defaultdict({value}, {plain})"


@statement(9, "collections")
def _change_default_dict(b: Body) -> None:
    name = b.changeable("defaultdict")
    if name is None:
        return
    key, kind = b.expr(b.variables[name].inner[0], 2), b.variables[name].inner[1]
    if kind.name == "List":
        change = f"{name}[{key}].append({b.expr(kind.inner[0], 2)})"
    elif kind == INT:
        change = f"{name}[{key}] += {b.expr(INT, 1)} % 7"
    else:
        change = f"{name}[{key}] = {b.expr(kind, 2)}"
    ways = (
        change,
        change,
        f"{name}.pop({key})",
        f"print({name}[{key}])",
        f"print({name}.get({key}))",
    )
    b.write(b.rng.choice(ways))


@rule("Counter")
def _counter(e: Expressions, k: Kind, depth: int) -> str:
    a, name = e.expr(k, depth), e.some(k)
    words = e.some(K.list_of(STR))
    ways = [f"Counter({e.expr(STR, depth)})", f"({a} + {e.expr(k, depth)})",
            f"({a} - {e.expr(k, depth)})", f"({a} | {e.expr(k, depth)})", f"({a} & {e.expr(k, depth)})"]  # fmt: skip
    if words is not None:
        ways.append(f"Counter({words})")
    if name is not None:
        ways.append(f"{name}.copy()")
    return e.rng.choice(ways)


@statement(8, "collections")
def _change_counter(b: Body) -> None:
    name = b.changeable("Counter")
    if name is None:
        return
    word = b.expr(STR, 1)
    b.write(b.rng.choice(
        (f"{name}[{word}] += 1", f"{name}.update({word})", f"{name}.subtract({word})",
         f"del {name}[{word}]", f"{name}[{word}] = {b.expr(INT, 1)}")
    ))  # fmt: skip


@rule("OrderedDict")
def _ordered_dict(e: Expressions, k: Kind, depth: int) -> str:
    name = e.some(k)
    if name is not None and e.rng.random() < 0.4:
        return e.rng.choice((f"{name}.copy()", f"OrderedDict({name})"))
    return f"OrderedDict({e.expr(K.dict_of(*k.inner), depth)})"


@statement(8, "collections")
def _change_ordered_dict(b: Body) -> None:
    name = b.changeable("OrderedDict")
    if name is None:
        return
    key, value = (b.expr(k, 2) for k in b.variables[name].inner)
    b.write(b.rng.choice(
        (f"{name}[{key}] = {value}", f"{name}.move_to_end({key})", f"{name}.popitem()",
         f"{name}.popitem(last=False)", f"{name}.move_to_end({key}, last=False)",
         f"{name}.pop({key})", f"del {name}[{key}]", f"{name}.update({{{key}: {value}}})")
    ))  # fmt: skip


@rule("int", "int", "int")
def _int_of_collection(e: Expressions, k: Kind, depth: int) -> str:
    ways = []
    for name, kind in list(e.variables.items()):
        if kind.name in ("deque", "defaultdict", "Counter", "OrderedDict", "FrozenSet", "bytes"):
            ways.append(f"len({name})")
        if kind.name == "deque" and kind.inner[0] == INT:
            ways += [f"{name}[{e.index()}]", f"sum({name})", f"{name}.count({e.expr(INT, 0)})",
                     f"max({name})"]  # fmt: skip
        if kind.name == "Counter":
            ways += [f"{name}[{e.expr(STR, 0)}]", f"sum({name}.values())", f"{name}.total()",
                     f"len(list({name}.elements())) % 99", f"len({name}.most_common(2))"]  # fmt: skip
        if kind.name in ("defaultdict", "OrderedDict") and kind.inner[1] == INT:
            ways += [f"sum({name}.values())", f"{name}[{e.expr(kind.inner[0], 0)}]"]
        if kind == K.BYTES:
            ways += [
                f"{name}[{e.index()}]",
                f"sum({name})",
                f"{name}.find(b'a')",
                f"{name}.count(b'b')",
            ]
    return e.rng.choice(ways) if ways else ""


@rule("str", "str")
def _text_of_collection(e: Expressions, k: Kind, depth: int) -> str:
    ways = []
    for name, kind in list(e.variables.items()):
        if kind.name in ("deque", "defaultdict", "OrderedDict") and kind.is_printable:
            ways.append(f"str({name})[:30]")
        if kind.name == "Counter":
            ways += [f"str({name})[:30]", f"'|'.join({name}.elements())[:12]",
                     f"str({name}.most_common(2))[:30]"]  # fmt: skip
        if kind == K.BYTES:
            ways += [f"str({name})", f"{name}.hex()", f"{name}.decode('latin-1')"]
    return e.rng.choice(ways) if ways else ""


@rule("bool", "bool")
def _bool_of_collection(e: Expressions, k: Kind, depth: int) -> str:
    ways = []
    for name, kind in list(e.variables.items()):
        if kind.name in ("deque", "defaultdict", "OrderedDict", "FrozenSet"):
            if not kind.inner[0].has_tensor:
                ways += [f"({e.expr(kind.inner[0], 1)} in {name})"]
        if kind.name == "Counter":
            ways.append(f"({e.expr(STR, 1)} in {name})")
        if kind.name == "FrozenSet":
            other = e.expr(kind, 1)
            ways += [f"({name} <= {other})", f"({name} > {other})", f"{name}.isdisjoint({other})",
                     f"{name}.issubset({other})", f"({name} == {other})"]  # fmt: skip
        if kind == K.BYTES:
            ways += [
                f"(b'a' in {name})",
                f"({name} < {e.expr(kind, 1)})",
                f"{name}.startswith(b'x')",
            ]
    return e.rng.choice(ways) if ways else ""


@rule("FrozenSet")
def _frozen_set(e: Expressions, k: Kind, depth: int) -> str:
    (element,) = k.inner
    other = e.expr(k, depth)
    ways = [f"frozenset({e.expr(K.list_of(element), depth)})", f"({other} | {e.expr(k, depth)})",
            f"({other} & {e.expr(k, depth)})", f"({other} - {e.expr(k, depth)})",
            f"{other}.union({e.expr(k, depth)})", f"({other} ^ {e.expr(k, depth)})"]  # fmt: skip
    if "sets" in e.features:
        ways.append(f"frozenset({e.expr(K.set_of(element), depth)})")
    return e.rng.choice(ways)


@statement(3, "sets")
def _change_set_by_set(b: Body) -> None:
    name = b.changeable("Set")
    if name is None:
        return
    other = b.expr(b.variables[name], 2)
    method = b.rng.choice(("update", "intersection_update", "difference_update",
                           "symmetric_difference_update"))  # fmt: skip
    b.write(f"{name}.{method}({other})")


@rule("bool")
def _bool_of_set(e: Expressions, k: Kind, depth: int) -> str:
    sets = e.names_like("Set")
    if not sets:
        return ""
    name = e.rng.choice(sets)
    other = e.expr(e.variables[name], 1)
    return e.rng.choice((f"({name} <= {other})", f"({name} < {other})", f"({name} >= {other})",
                         f"{name}.isdisjoint({other})", f"{name}.issuperset({other})"))  # fmt: skip


@rule("bytes")
def _bytes(e: Expressions, k: Kind, depth: int) -> str:
    a = e.expr(k, depth)
    return e.rng.choice(
        (f"({a} + {e.expr(k, depth)})[:8]", f"{e.expr(STR, depth)}.encode()[:8]", f"{a}[1:]",
         f"{a}[::-1]", f"bytes([{e.expr(INT, depth)} % 256, 65])", f"({a} * 2)[:6]", f"{a}.upper()",
         f"{a}.replace(b'a', b'xy')[:8]", f"bytes({e.expr(INT, depth)} % 4)", f"{a}.strip()")
    )  # fmt: skip


@rule("List")
def _list_of_collection(e: Expressions, k: Kind, depth: int) -> str:
    ways = []
    for name, kind in list(e.variables.items()):
        if kind.name in ("deque", "FrozenSet") and kind.inner == k.inner:
            ways += [f"list({name})", f"[*{name}]"]
            if k.inner[0].is_ordered:
                ways.append(f"sorted({name})")
        if kind.name in ("defaultdict", "OrderedDict") and kind.inner[0] == k.inner[0]:
            ways += [f"list({name})", f"[q for q in {name}]"]
        if kind.name == "OrderedDict" and kind.inner[1] == k.inner[0]:
            ways += [f"list({name}.values())", f"list(reversed({name}.values()))"]
        if kind.name == "Counter" and k.inner[0] == STR:
            ways += [f"list({name})", f"[q for q, _ in {name}.most_common()]"]
        if kind == K.BYTES and k.inner[0] == INT:
            ways.append(f"list({name})")
    return e.rng.choice(ways) if ways else ""
