"""Expressions: names, constants, displays, operators, subscripts, comprehensions, f-strings."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Callable, Iterator, Sequence

from scriptmode.frontend.script import comparisons, operators
from scriptmode.frontend.script.conditions import fact, tested, truth
from scriptmode.frontend.script.emitter import Emitter, NeedsConstant
from scriptmode.frontend.script.flow import choose, discard_after
from scriptmode.frontend.script.functions import local_function
from scriptmode.frontend.script.handlers import EXPRESSIONS
from scriptmode.frontend.script.iteration import constant_range, cursor_of, items_of
from scriptmode.frontend.script.loops import run_cursor, unrollable
from scriptmode.frontend.script.source import stored_names
from scriptmode.frontend.script.statements import BINARY, assign_target
from scriptmode.frontend.script.values import (
    NONE_VALUE,
    CellVariable,
    Constant,
    DictDisplay,
    Facts,
    GeneratorValue,
    IRValue,
    ListDisplay,
    SliceValue,
    Sugared,
    TupleDisplay,
)
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value

_UNARY = {ast.USub: "neg", ast.UAdd: "pos", ast.Invert: "invert", ast.Not: "not"}
_COMPARE = {
    ast.Eq: "eq", ast.NotEq: "ne", ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge",
}  # fmt: skip


@EXPRESSIONS(ast.Constant)
def _constant(e: Emitter, node: ast.Constant, expected: T.Type | None) -> Sugared:
    return Constant(node.value)


@EXPRESSIONS(ast.Name)
def _name(e: Emitter, node: ast.Name, expected: T.Type | None) -> Sugared:
    return e.lookup(node.id)


@EXPRESSIONS(ast.Attribute)
def _attribute(e: Emitter, node: ast.Attribute, expected: T.Type | None) -> Sugared:
    known = tested(e, node)
    if known is not None:
        return known
    owner = e.expression(node.value)
    with e.at(node):
        return e.attribute(owner, node.attr)


@EXPRESSIONS(ast.Subscript)
def _subscript(e: Emitter, node: ast.Subscript, expected: T.Type | None) -> Sugared:
    known = tested(e, node)
    if known is not None:
        return known
    before, e.is_reading = e.is_reading, isinstance(node.value, ast.Subscript)
    try:
        owner = e.expression(node.value)
    finally:
        e.is_reading = before
    return e.subscript(owner, e.expression(node.slice))


@EXPRESSIONS(ast.Slice)
def _slice(e: Emitter, node: ast.Slice, expected: T.Type | None) -> Sugared:
    parts = [
        NONE_VALUE if p is None else e.expression(p) for p in (node.lower, node.upper, node.step)
    ]
    return SliceValue(*parts)


def _expanded(e: Emitter, nodes: Sequence[ast.expr], inner: T.Type | None) -> list[Sugared] | None:
    """Items of a display, starred ones expanded; None when a length is not known."""
    found: list[Sugared] = []
    for node in nodes:
        if isinstance(node, ast.Starred):
            value = e.expression(node.value)
            items = items_of(e, value)
            if items is None:
                return None
            found += items
        else:
            found.append(e.settle(e.expression(node, inner), inner))
    return found


@EXPRESSIONS(ast.Tuple)
def _tuple(e: Emitter, node: ast.Tuple, expected: T.Type | None) -> Sugared:
    wanted = T.unwrap_optional(expected) if expected is not None else None
    if isinstance(wanted, T.TupleType) and len(wanted.elements) == len(node.elts):
        if not any(isinstance(n, ast.Starred) for n in node.elts):
            return TupleDisplay(
                tuple(
                    e.settle(e.expression(n, t), t)
                    for n, t in zip(node.elts, wanted.elements, strict=True)
                )
            )
    mark = e.builder.block.last
    items = _expanded(e, node.elts, None)
    if items is not None:
        return TupleDisplay(tuple(items))
    discard_after(e, mark)
    return IRValue(operators.as_var_tuple(e, e.value(_concatenated(e, node, node.elts, None))))


def _learnt_inner(e: Emitter, site: ast.AST, index: int = 0) -> T.Type | None:
    """The container type that uses have shown of a display's elements."""
    hint = e.hints.get(site)
    found = hint.contained[index] if hint is not None else None
    return found if isinstance(found, T.CONTAINERS) else None


@EXPRESSIONS(ast.List)
def _list(e: Emitter, node: ast.List, expected: T.Type | None) -> Sugared:
    wanted = T.unwrap_optional(expected) if expected is not None else None
    inner = wanted.element if isinstance(wanted, T.ListType) else _learnt_inner(e, node)
    mark = e.builder.block.last
    items = _expanded(e, node.elts, inner)
    if items is None:
        discard_after(e, mark)
        return _concatenated(e, node, node.elts, inner)
    display = ListDisplay(tuple(items), site=node)
    if isinstance(wanted, T.ListType) and not items:
        return IRValue(e.value(display, wanted))
    return display


def _concatenated(
    e: Emitter, site: ast.AST, nodes: Sequence[ast.expr], inner: T.Type | None
) -> Sugared:
    """``[a, *xs, b]`` where the length of ``xs`` is known at run time only."""
    result: Sugared | None = None
    pending: list[Sugared] = []

    def flush() -> None:
        nonlocal result, pending
        if pending:
            part: Sugared = IRValue(e.value(ListDisplay(tuple(pending), site=(site, len(pending)))))
            result = part if result is None else operators.binary(e, "add", result, part)
            pending = []

    for node in nodes:
        if isinstance(node, ast.Starred):
            flush()
            part = e.unit.built_list(e, e.expression(node.value))
            result = part if result is None else operators.binary(e, "add", result, part)
        else:
            pending.append(e.expression(node, inner))
    flush()
    assert result is not None
    return result


@EXPRESSIONS(ast.Dict)
def _dict(e: Emitter, node: ast.Dict, expected: T.Type | None) -> Sugared:
    wanted = T.unwrap_optional(expected) if expected is not None else None
    inner = wanted if isinstance(wanted, T.DictType) else None
    result: Sugared | None = None
    keys: list[Sugared] = []
    values: list[Sugared] = []
    for key_node, value_node in zip(node.keys, node.values, strict=True):
        if key_node is None:
            part = e.expression(value_node, expected)
            if isinstance(part, DictDisplay) and result is None:
                keys += part.keys
                values += part.values
                continue
            display = DictDisplay(tuple(keys), tuple(values), site=(node, len(keys)))
            base = display if result is None else operators.binary(
                e, "or", result, display, in_place=True
            )  # fmt: skip
            result = operators.binary(e, "or", IRValue(e.value(base, e.type_of(part))), part)
            keys, values = [], []
        else:
            keys.append(e.expression(key_node, inner.key if inner else None))
            held = inner.value if inner else _learnt_inner(e, node, 1)
            values.append(e.settle(e.expression(value_node, held), held))
    display = DictDisplay(tuple(keys), tuple(values), site=node)
    if result is not None:
        return operators.binary(e, "or", result, display, in_place=True) if keys else result
    if any(map(e.unit.dunders.concerns, keys)):  # which of the keys are equal is not known
        return e.settle(display, wanted)
    if inner is not None and not keys:
        return IRValue(e.value(display, inner))
    return display


@EXPRESSIONS(ast.BinOp)
def _binary(e: Emitter, node: ast.BinOp, expected: T.Type | None) -> Sugared:
    left = e.expression(node.left, expected)
    right = e.expression(node.right, expected if isinstance(node.op, ast.Add) else None)
    return operators.binary(e, BINARY[type(node.op)], left, right)


@EXPRESSIONS(ast.UnaryOp)
def _unary(e: Emitter, node: ast.UnaryOp, expected: T.Type | None) -> Sugared:
    value = e.expression(node.operand)
    result = operators.unary(e, _UNARY[type(node.op)], value)
    if isinstance(node.op, ast.Not) and isinstance(result, IRValue) and result.facts is None:
        if isinstance(value, IRValue) and isinstance(value.type, T.OptionalType):
            present = fact(e, node.operand, value, value.type.element)
            result.facts = Facts(when_false=present)
    return result


@EXPRESSIONS(ast.NamedExpr)
def _walrus(e: Emitter, node: ast.NamedExpr, expected: T.Type | None) -> Sugared:
    value = e.settle(e.expression(node.value, expected))
    assign_target(e, node.target, value)
    return value


@EXPRESSIONS(ast.Lambda)
def _lambda(e: Emitter, node: ast.Lambda, expected: T.Type | None) -> Sugared:
    return local_function(e, node)


@EXPRESSIONS(ast.Starred)
def _starred(e: Emitter, node: ast.Starred, expected: T.Type | None) -> Sugared:
    e.fail_syntax("a starred expression cannot stand here")


@EXPRESSIONS(ast.Await)
def _async(e: Emitter, node: ast.expr, expected: T.Type | None) -> Sugared:
    e.fail_syntax("async code cannot be compiled")


# comparisons


@EXPRESSIONS(ast.Compare)
def _compare(e: Emitter, node: ast.Compare, expected: T.Type | None) -> Sugared:
    left = e.expression(node.left)
    return _chain(e, node.left, left, node.ops, node.comparators)


def _chain(
    e: Emitter,
    left_node: ast.expr,
    left: Sugared,
    ops: Sequence[ast.cmpop],
    rest: Sequence[ast.expr],
) -> Sugared:
    right = e.expression(rest[0])
    result = _one_comparison(e, ops[0], left_node, left, rest[0], right)
    if len(ops) == 1:
        return result
    outcome = truth(e, result)
    if isinstance(outcome, bool):
        return _chain(e, rest[0], right, ops[1:], rest[1:]) if outcome else result

    def false() -> Sugared:
        t = e.type_of(result)
        return Constant(False) if t == T.BOOL else result

    return choose(e, outcome, lambda: _chain(e, rest[0], right, ops[1:], rest[1:]), false)


def _one_comparison(
    e: Emitter,
    op: ast.cmpop,
    left_node: ast.expr,
    left: Sugared,
    right_node: ast.expr,
    right: Sugared,
) -> Sugared:
    if isinstance(op, (ast.Is, ast.IsNot)):
        result = comparisons.identical(e, left, right)
        result = _with_none_facts(e, result, left_node, left, right_node, right)
        return operators.unary(e, "not", result) if isinstance(op, ast.IsNot) else result
    if isinstance(op, (ast.In, ast.NotIn)):
        result = comparisons.contains(e, right, left)
        return operators.unary(e, "not", result) if isinstance(op, ast.NotIn) else result
    result = comparisons.compare(e, _COMPARE[type(op)], left, right)
    if isinstance(op, ast.Eq):
        return _with_none_facts(e, result, left_node, left, right_node, right)
    return result


def _with_none_facts(
    e: Emitter,
    result: Sugared,
    left_node: ast.expr,
    left: Sugared,
    right_node: ast.expr,
    right: Sugared,
) -> Sugared:
    """``x is None`` shows what ``x`` is."""
    if not isinstance(result, IRValue):
        return result
    for node, value, other in ((left_node, left, right), (right_node, right, left)):
        t = e.type_of(value)
        if isinstance(other, Constant) and other.value is None and isinstance(t, T.OptionalType):
            result.facts = Facts(fact(e, node, value, T.NONE), fact(e, node, value, t.element))
    return result


# comprehensions


Body = Callable[[], None]


def comprehend(
    e: Emitter,
    generators: Sequence[ast.comprehension],
    body: Body,
    first: Sugared | None = None,
    unroll: bool = False,
) -> None:
    """Run ``body`` for each combination of the generators' elements, in a scope of their names.

    ``first`` is the first iterable, when it has been compiled before; ``unroll`` unrolls ranges.
    """
    with comprehension_scope(e, generators):
        _generators(e, generators, body, first, unroll)


@contextlib.contextmanager
def comprehension_scope(e: Emitter, generators: Sequence[ast.comprehension]) -> Iterator[None]:
    """The names of a comprehension's targets are its own."""
    names = stored_names([g.target for g in generators])
    shadowed = {n: e.env.names.get(n) for n in names}
    for name, value in shadowed.items():
        if isinstance(value, CellVariable):
            e.env.unbind(name)
    added = set(names) - e.scope.locals
    e.scope.locals |= added
    try:
        yield
    finally:
        e.scope.locals -= added
    for name, value in shadowed.items():
        if value is None:
            e.env.unbind(name)
        else:
            e.env.names[name] = value


def _generators(
    e: Emitter,
    generators: Sequence[ast.comprehension],
    body: Body,
    iterable: Sugared | None,
    unroll: bool,
) -> None:
    if not generators:
        body()
        return
    first, rest = generators[0], generators[1:]
    if first.is_async:
        e.fail_syntax("async comprehensions cannot be compiled")

    def one(item: Sugared) -> None:
        assign_target(e, first.target, item)
        _filtered(e, first.ifs, lambda: _generators(e, rest, body, None, unroll))

    if iterable is None:
        iterable = unrollable(e, e.expression(first.iter))
    iterable = e.unit.in_turn(e, iterable)
    held = e.unit.take_fresh(e, iterable)
    if held:
        place = ast.copy_location(ast.ListComp(ast.Constant(None), list(generators)), first.iter)
        e.unit.with_drops(
            e, held, place, lambda: _generators(e, generators, body, iterable, unroll)
        )
        return
    items = items_of(e, iterable)
    if items is None and unroll:
        items = constant_range(iterable)
    if items is not None:
        for item in items:
            one(item)
        return
    walrus = [*first.ifs, *[r.iter for r in rest]]
    assigned = stored_names([first.target, *walrus, *[r.target for r in rest]])
    run_cursor(e, cursor_of(e, iterable), assigned, one)


def _filtered(e: Emitter, tests: Sequence[ast.expr], body: Body) -> None:
    if not tests:
        body()
        return

    def then() -> None:
        _filtered(e, tests[1:], body)

    e.unit.test(e, tests[0], then, lambda: None)


class _NotStatic(Exception):
    """A comprehension's length is not known at compile time."""


def static_items(
    e: Emitter,
    node: ast.ListComp | ast.GeneratorExp,
    expected: T.Type | None,
    first: Sugared | None = None,
    unroll: bool = False,
) -> list[Sugared] | None:
    """Elements of a comprehension whose length is known at compile time."""
    mark, env = e.builder.block.last, e.env.copy()
    block = e.builder.block
    items: list[Sugared] = []

    def body() -> None:
        if e.builder.block is not block:
            raise _NotStatic
        items.append(e.settle(e.expression(node.elt, expected), expected))

    try:
        iterable = first
        if iterable is None:
            iterable = unrollable(e, e.expression(node.generators[0].iter))
        iterable = e.unit.in_turn(e, iterable)
        if items_of(e, iterable) is None and not (unroll and constant_range(iterable)):
            raise _NotStatic
        comprehend(e, node.generators, body, iterable, unroll)
    except _NotStatic:
        discard_after(e, mark)
        e.env = env
        return None
    return items


@EXPRESSIONS(ast.GeneratorExp)
def _generator(e: Emitter, node: ast.GeneratorExp, expected: T.Type | None) -> Sugared:
    made = GeneratorValue(node, unrollable(e, e.expression(node.generators[0].iter)))
    return e.unit.lazily(e, made)


@EXPRESSIONS(ast.ListComp)
def list_comprehension(
    e: Emitter,
    node: ast.ListComp | ast.GeneratorExp,
    expected: T.Type | None,
    first: Sugared | None = None,
) -> Sugared:
    """A new list, of known items where their number is known."""
    wanted = T.unwrap_optional(expected) if expected is not None else None
    inner = wanted.element if isinstance(wanted, T.ListType) else _learnt_inner(e, node)
    items = static_items(e, node, inner, first)
    if items is not None:
        return ListDisplay(tuple(items), site=node)

    def fill(append: Callable[[Sugared], None]) -> None:
        comprehend(e, node.generators, lambda: append(e.expression(node.elt, inner)), first)

    mark, env = e.builder.block.last, e.env.copy()
    try:
        return collected(e, fill, node, inner)
    except NeedsConstant:
        discard_after(e, mark)
        e.env = env
        items = static_items(e, node, inner, first, unroll=True)
        if items is None:
            raise
        return ListDisplay(tuple(items), site=node)


def collected(
    e: Emitter,
    fill: Callable[[Callable[[Sugared], None]], None],
    site: object,
    inner: T.Type | None = None,
) -> Sugared:
    """A new list that ``fill`` appends to; its element type is known when that is done."""
    site = ("made at", e.span) if site is None else site
    hint = e.hints.get(site)
    element: T.Type = hint.contained[0] if hint is not None else T.NEVER
    result = e.builder.list([], element)
    assert result.node is not None
    e.sites[result.node] = site
    seen: list[T.Type] = [element]

    def append(item: Sugared) -> None:
        built = e.value(item, inner)
        seen.append(built.type)
        node = e.builder.node("list::append", [result, built], [])
        node.schema = e.builder.resolve("list::append")

    fill(append)
    for t in seen:
        element = T.join(element, t) or T.ANY
    if inner is not None and T.is_subtype(element, inner):
        element = inner
    result.type = T.ListType([element])
    return IRValue(result)


def exists(
    e: Emitter,
    node: ast.GeneratorExp,
    generators: Sequence[ast.comprehension],
    wanted: bool,
    first: Sugared | None,
) -> Sugared:
    """Whether the truth of some element is ``wanted``: looked at in order until one is found.

    The result is true when one is found for ``any``, false for ``all``.
    """
    with comprehension_scope(e, generators):
        found = _found(e, node, generators, wanted, first)
    return found if wanted else operators.unary(e, "not", found)


def _found(
    e: Emitter,
    node: ast.GeneratorExp,
    generators: Sequence[ast.comprehension],
    wanted: bool,
    iterable: Sugared | None = None,
) -> Sugared:
    if not generators:
        outcome = e.unit.truth(e, e.expression(node.elt))
        return outcome if wanted else operators.unary(e, "not", outcome)
    first, rest = generators[0], generators[1:]

    def one(item: Sugared) -> Sugared:
        assign_target(e, first.target, item)
        return under(first.ifs)

    def under(tests: Sequence[ast.expr]) -> Sugared:
        if not tests:
            return _found(e, node, rest, wanted)
        result = e.unit.test(e, tests[0], lambda: under(tests[1:]), lambda: Constant(False))
        assert result is not None
        return result

    if iterable is None:
        iterable = e.expression(first.iter)
    iterable = e.unit.in_turn(e, iterable)
    items = items_of(e, iterable)
    if items is not None:
        return _first_of(e, list(items), one)
    flag = f"%found{len(generators)}"
    e.env.bind(flag, Constant(False))

    def body(item: Sugared) -> None:
        hit = one(item)
        e.env.bind(flag, hit)
        e.unit.break_if(e, hit)

    assigned = stored_names([g.target for g in generators])
    run_cursor(e, cursor_of(e, iterable), [flag, *assigned], body)
    result = e.env.names[flag]
    e.env.unbind(flag)
    return result


def _first_of(e: Emitter, items: list[Sugared], one: Callable[[Sugared], Sugared]) -> Sugared:
    if not items:
        return Constant(False)
    outcome = truth(e, one(items[0]))
    if isinstance(outcome, bool):
        return Constant(True) if outcome else _first_of(e, items[1:], one)
    return choose(e, outcome, lambda: Constant(True), lambda: _first_of(e, items[1:], one))


@EXPRESSIONS(ast.DictComp)
def _dict_comprehension(e: Emitter, node: ast.DictComp, expected: T.Type | None) -> Sugared:
    hint = e.hints.get(node)
    key: T.Type = hint.contained[0] if hint is not None else T.NEVER
    value: T.Type = hint.contained[1] if hint is not None else T.NEVER
    built_node = e.builder.node("prim::DictConstruct", [], [T.DictType([key, value])])
    result = built_node.output
    e.sites[built_node] = node
    seen: list[tuple[Value, Value]] = []
    wanted = T.unwrap_optional(expected) if hint is None and expected is not None else hint
    inner = wanted.value if isinstance(wanted, T.DictType) and wanted.value != T.NEVER else None

    def body() -> None:
        k, v = e.value(e.expression(node.key)), e.value(e.expression(node.value, inner), inner)
        seen.append((k, v))
        stored = e.builder.node("dict::setitem", [result, k, v], [])
        stored.schema = e.builder.resolve("dict::setitem")

    comprehend(e, node.generators, body)
    for k, v in seen:
        key, value = T.join(key, k.type) or T.ANY, T.join(value, v.type) or T.ANY
    result.type = T.DictType([key, value])
    return IRValue(result)


# f-strings


@EXPRESSIONS(ast.JoinedStr)
def _joined(e: Emitter, node: ast.JoinedStr, expected: T.Type | None) -> Sugared:
    result: Sugared = Constant("")
    for part in node.values:
        piece = e.expression(part)
        if isinstance(result, Constant) and result.value == "":
            result = piece
        else:
            result = operators.binary(e, "add", result, piece)
    return result


@EXPRESSIONS(ast.FormattedValue)
def _formatted(e: Emitter, node: ast.FormattedValue, expected: T.Type | None) -> Sugared:
    value = e.expression(node.value)
    if node.conversion == ord("a"):
        value = e.unit.to_ascii(e, value)
    elif node.conversion == ord("r"):
        value = e.unit.to_repr(e, value)
    elif node.conversion == ord("s"):
        value = e.unit.to_str(e, value)
    if node.format_spec is None:
        return e.unit.to_format(e, value, Constant(""))
    return e.unit.to_format(e, value, e.expression(node.format_spec))
