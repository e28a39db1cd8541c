"""Containers inside of containers that have more than one name, and what changes them there."""

from __future__ import annotations

from tests.generator import kinds as K
from tests.generator.bodies import LOOP_LIMIT, Body, statement
from tests.generator.expressions import Expressions, rule
from tests.generator.kinds import FLOAT, INT, STR, Kind


def _places(e: Expressions, inner: str) -> list[tuple[str, Kind]]:
    """Elements and attributes in scope whose value is a container ``inner``; reading may raise."""
    found: list[tuple[str, Kind]] = []
    for name, kind in list(e.variables.items()):
        if kind.name in ("List", "deque") and kind.inner[0].name == inner:
            found.append((f"{name}[{e.index()}]", kind.inner[0]))
        elif kind.name in ("Dict", "OrderedDict", "defaultdict") and kind.inner[1].name == inner:
            found.append((f"{name}[{e.expr(kind.inner[0], 1)}]", kind.inner[1]))
        elif kind.name == "Tuple":
            found += [(f"{name}[{i}]", k) for i, k in enumerate(kind.inner) if k.name == inner]
        elif kind == K.SHAPE and inner == "List":
            found.append((f"{name}.tags", K.list_of(STR)))
        elif kind == K.BOX and inner == "List":
            found.append((f"{name}.items", K.list_of(INT)))
    return found


@statement(7)
def _change_inner_list(b: Body) -> None:
    places = _places(b, "List")
    if not places:
        return
    place, kind = b.rng.choice(places)
    value = b.expr(kind.inner[0], 2)
    b.write(f"if len({place}) < 7:")
    b.write("    " + b.rng.choice(
        (f"{place}.append({value})", f"{place}.append({value})", f"{place}.insert(0, {value})",
         f"{place}[{b.index()}] = {value}", f"{place}.extend({b.expr(kind, 1)}[:2])", f"{place}.pop()",
         f"{place}[:1] = [{value}]", f"del {place}[{b.index()}]", f"{place}.reverse()")
    ))  # fmt: skip


@statement(5)
def _change_inner_dict(b: Body) -> None:
    places = _places(b, "Dict")
    if not places:
        return
    place, kind = b.rng.choice(places)
    key, value = (b.expr(k, 1) for k in kind.inner)
    b.write(b.rng.choice(
        (f"{place}[{key}] = {value}", f"{place}.update({{{key}: {value}}})", f"{place}.pop({key}, {value})",
         f"del {place}[{key}]", f"{place}.setdefault({key}, {value})")
    ))  # fmt: skip


@statement(5)
def _add_to_groups(b: Body) -> None:
    """The usual way to group."""
    groups = [
        (n, k) for n, k in b.variables.items() if k.name == "Dict" and k.inner[1].name == "List"
    ]
    if not groups:
        return
    name, kind = b.rng.choice(groups)
    key, value = b.expr(kind.inner[0], 1), b.expr(kind.inner[1].inner[0], 1)
    b.write(f"{name}.setdefault({key}, []).append({value})")


@statement(6)
def _alias_of_part(b: Body) -> None:
    places = [p for kind in ("List", "Dict", "Set", "Tuple") for p in _places(b, kind)]
    if not places:
        return
    place, kind = b.rng.choice(places)
    name = b.fresh()
    b.write(f"{name} = {place}")
    b.variables[name] = kind


@statement(4)
def _one_object_twice(b: Body) -> None:
    """Containers whose elements are one object."""
    element = K.random_kind(b.rng, b.features, 1)
    inner = b.rng.choice((K.list_of(element), K.dict_of(STR, element)))
    value, name = b.some(inner) or b.expr(inner, 2), b.fresh()
    form, kind = b.rng.choice(
        ((f"[{value}] * {b.rng.randrange(2, 4)}", K.list_of(inner)),
         (f"({value},) * 2", K.tuple_of(inner, inner)),
         (f"dict.fromkeys(['a', 'b'], {value})", K.dict_of(STR, inner)),
         (f"[q for q in ({value},) for _ in range(2)]", K.list_of(inner)))
    )  # fmt: skip
    b.write(f"{name}: {kind.annotation} = {form}")
    b.variables[name] = kind


@statement(3)
def _two_names(b: Body) -> None:
    """One value for two targets."""
    kind = K.random_kind(b.rng, b.features, 2)
    value, first, second = b.expr(kind, 2), b.fresh(), b.fresh()
    b.write(f"{first}: {kind.annotation} = {value}")
    places = [p for p in _places(b, kind.name) if p[1] == kind and "(" not in p[0]]
    target = b.rng.choice(places)[0] if places and kind.inner and b.rng.random() < 0.5 else ""
    if target and not target.startswith(tuple(b.names_like("Tuple"))):
        b.write(f"{target} = {second} = {first}")
    else:
        b.write(f"{second} = {first}")
    b.variables.update({first: kind, second: kind})


@statement(4)
def _change_parts_in_loop(b: Body) -> None:
    nested = [
        (n, k) for n, k in b.variables.items() if k.name == "List" and k.inner[0].name == "List"
    ]
    if not nested or b.loops >= 2:
        return
    name, kind = b.rng.choice(nested)
    row, at = b.fresh("i"), b.fresh("n")
    element = kind.inner[0].inner[0]
    b.write(f"for {at}, {row} in enumerate({name}):")
    b.write(f"    if {at} > {LOOP_LIMIT} or len({row}) > 7:")
    b.write("        break")
    b.fixed.add(at)
    b.loop_suite(2, {row: kind.inner[0], at: INT})
    b.fixed.discard(at)
    b.write("    " + b.rng.choice(
        (f"{row}.append({b.expr(element, 1)})", f"{name}[{at}] = {row}[1:]", f"{row} += {row}[:1]",
         f"{name}[{at}], {name}[0] = {name}[0], {row}", f"{name}[-1] = {row}")
    ))  # fmt: skip


# ---- functions made in loops, and functions of the library ----


@statement(3, "closures")
def _late_binding(b: Body) -> None:
    """Functions made in a loop see its last value; those with a default see their own."""
    if b.in_closure or b.loops >= 2:
        return
    made, i, total = b.fresh("g"), b.fresh("i"), b.fresh()
    kept = b.rng.random() < 0.5
    body = b.inside({i: INT}, lambda: b.expr(INT, 1))
    b.write(f"{made}: List[Callable[[int], int]] = []")
    b.write(f"for {i} in range({b.rng.randrange(1, 4)}):")
    b.write(f"    {made}.append(lambda q{f', {i}={i}' if kept else ''}: (q * 2 + {body}) % 1009)")
    b.write(f"{total} = sum(q({b.expr(INT, 1)}) for q in {made})")
    b.variables[total] = INT


@statement(2)
def _forget(b: Body) -> None:
    """A name that ends."""
    name = b.fresh()
    kind = K.random_kind(b.rng, b.features, 1)
    b.write(f"{name}: {kind.annotation} = {b.expr(kind, 2)}")
    kept = b.fresh()
    b.write(f"{kept} = [{name}]")
    b.write(f"del {name}")
    b.variables[kept] = K.list_of(kind)


@rule("List")
def _by_library(e: Expressions, k: Kind, depth: int) -> str:
    (element,) = k.inner
    name = e.some(k) or e.expr(k, depth)
    ways = [f"list(chain({name}, {e.expr(k, depth)}))[:8]", f"list(islice({name}, 1, 5, 2))",
            f"[q for _, q in zip(range(3), cycle({name}))]", f"list(repeat({e.expr(element, depth)}, 2))",
            f"[q for q, _ in product({name}, 'ab')][:6]", f"[q for _, q in pairwise({name})]",
            f"list(takewhile(lambda q: {e.bit()}, {name}))", f"[*{name}, *{name}][:7]",
            f"[q if r else q for q, r in zip_longest({name}[:2], [True], fillvalue={name}[0])]"]  # fmt: skip
    if element == INT:
        ways += [
            f"list(accumulate({name}))[:6]",
            f"nsmallest(2, {name})",
        ]
    return e.rng.choice(ways)


@rule("int", "int")
def _int_by_library(e: Expressions, k: Kind, depth: int) -> str:
    ints = e.some(K.list_of(INT)) or e.expr(K.list_of(INT), depth)
    i = e.expr(INT, depth)
    return e.rng.choice(
        (f"functools.reduce(lambda q, r: (q * 3 + r) % 1009, {ints}, {i})", f"bisect_left(sorted({ints}), {i})",
         f"int({e.expr(STR, depth)} or '7')", f"int({i} < {e.expr(FLOAT, depth)})", f"len(set({ints}))",
         f"sum(q * r for q, r in zip({ints}, {ints}[1:])) % 1009", f"hash({i}) % 97", f"({i}).bit_length()",
         f"pow({i}, 3, 7)", f"min({ints}, key=lambda q: -q, default={i})", f"[{i}, *{ints}].index({i})",
         f"math.gcd({i}, 6)", f"int(math.floor({e.expr(FLOAT, depth)}))", f"(-{i} // 4)", f"({i} % -4)")
    )  # fmt: skip
