"""Statements."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import NoReturn

from scriptmode.frontend.methods import NESTED_NUMBERS
from scriptmode.frontend.script import operators
from scriptmode.frontend.script.conditions import test, tested
from scriptmode.frontend.script.emitter import DeadCode, Emitter
from scriptmode.frontend.script.flow import clean_up
from scriptmode.frontend.script.functions import crossing, local_function
from scriptmode.frontend.script.handlers import STATEMENTS
from scriptmode.frontend.script.iteration import unpack
from scriptmode.frontend.script.objects import drop_result
from scriptmode.frontend.script.powers import returned_power
from scriptmode.frontend.script.stores import (
    assign_attribute,
    assign_subscript,
    delete_attribute,
    delete_subscript,
)
from scriptmode.frontend.script.trees import children, walk
from scriptmode.frontend.script.values import (
    Constant,
    DictDisplay,
    GeneratorValue,
    IRValue,
    IterableValue,
    ListDisplay,
    Sugared,
    TupleDisplay,
    Unusable,
)
from scriptmode.ir import types as T
from scriptmode.ir.graph import RETURN, YIELD

BINARY = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "truediv",
    ast.FloorDiv: "floordiv", ast.Mod: "mod", ast.Pow: "pow", ast.MatMult: "matmul",
    ast.BitAnd: "and", ast.BitOr: "or", ast.BitXor: "xor", ast.LShift: "lshift",
    ast.RShift: "rshift",
}  # fmt: skip


@STATEMENTS(ast.Pass, ast.Global, ast.Nonlocal)
def _nothing(e: Emitter, node: ast.stmt) -> None:
    pass


@STATEMENTS(ast.Expr)
def _expression(e: Emitter, node: ast.Expr) -> None:
    if not isinstance(node.value, ast.Constant):
        drop_result(e.expression(node.value))


# assignment


def assign_target(e: Emitter, target: ast.expr, value: Sugared) -> None:
    """Bind a target of any form."""
    with e.at(target):
        match target:
            case ast.Name(id=name):
                e.assign(name, value)
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                _assign_many(e, targets, value)
            case ast.Attribute(value=owner, attr=attr):
                value = e.settle(value)
                assign_attribute(e, e.expression(owner), attr, value)
                _assume_assigned(e, target, value)
            case ast.Subscript(value=owner, slice=index):
                container, key = e.expression(owner), e.expression(index)
                assign_subscript(e, container, key, value)
                _assume_stored(e, target, container, key, value)
            case ast.Starred():
                e.fail_syntax("a starred target must stand in a tuple or list")
            case _:
                e.fail_syntax(f"assignment to {type(target).__name__} is not supported")


def _assume_assigned(e: Emitter, target: ast.Attribute, value: Sugared) -> None:
    """An attribute that may be of several types is of the type that was assigned."""
    _assume(e, target, e.unit.field_type(e, target), value)


def _assume_stored(
    e: Emitter, target: ast.Subscript, container: Sugared, key: Sugared, value: Sugared
) -> None:
    """An element that may be of several types is of the type that was stored."""
    t = e.type_of(container)
    if isinstance(t, (T.ListType, T.DictType)) and e.type_of(key) in (T.INT, T.STR):
        _assume(e, target, t.contained[-1], value)


def _assume(e: Emitter, target: ast.expr, known: T.Type | None, value: Sugared) -> None:
    place = e.unit.place_of(target)
    t = e.type_of(value)
    if place is None or known is None or t is None or t == known:
        return
    if isinstance(known, (T.OptionalType, T.UnionType)) and T.is_subtype(t, known):
        e.env.attributes[place] = value


def _assign_many(e: Emitter, targets: Sequence[ast.expr], value: Sugared) -> None:
    stars = [i for i, t in enumerate(targets) if isinstance(t, ast.Starred)]
    if len(stars) > 1:
        e.fail_syntax("only one target may be starred")
    if not isinstance(value, GeneratorValue):
        value = e.settle(value)
    star = stars[0] if stars else None
    held = e.unit.take_fresh(e, value)
    if held:
        whole = e.unit.with_drops(
            e, held, None, lambda: TupleDisplay(tuple(unpack(e, value, len(targets), star)))
        )
        assert whole is not None
        found = list(whole.parts())
    else:
        found = unpack(e, value, len(targets), star)
    for target, item in zip(targets, found, strict=True):
        inner = target.value if isinstance(target, ast.Starred) else target
        assign_target(e, inner, item)


@STATEMENTS(ast.Assign)
def _assign(e: Emitter, node: ast.Assign) -> None:
    expected: T.Type | None = None
    first = node.targets[0]
    if isinstance(first, ast.Name):
        if node.type_comment:
            e.scope.declared[first.id] = e.unit.declared.annotation_text(e, node.type_comment)
        expected = e.scope.declared.get(first.id)
    elif isinstance(first, ast.Attribute):
        expected = e.unit.attribute_type(e, first)
    value = e.expression(node.value, expected)
    if isinstance(value, (GeneratorValue, IterableValue)) and len(node.targets) == 1:
        if isinstance(first, ast.Name) and _is_consumed_once(e, node, first.id):
            e.env.bind(first.id, value)
            return
    # an item's type comes from its container
    stays = (
        isinstance(value, (ListDisplay, DictDisplay))
        and node.targets == [first]
        and isinstance(first, ast.Subscript)
    )
    unpacked = isinstance(value, GeneratorValue) and isinstance(first, (ast.Tuple, ast.List))
    if not stays and not unpacked:
        value = e.settle(value, expected)
    for target in node.targets:
        assign_target(e, target, value)


def _is_consumed_once(e: Emitter, assignment: ast.Assign, name: str) -> bool:
    """Whether a variable is read at one place, at most once for each time it is assigned."""
    reads: list[bool] = []

    def visit(node: ast.AST, repeated: bool) -> None:
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load):
            reads.append(repeated)
        loops = (ast.For, ast.While, ast.Lambda, ast.FunctionDef, ast.ListComp, ast.GeneratorExp)
        inside = repeated or (
            isinstance(node, loops) and all(n is not assignment for n in walk(node))
        )
        for child in children(node):
            visit(child, inside)

    visit(e.scope.source.node, False)
    return reads == [False]


@STATEMENTS(ast.AnnAssign)
def _annotated(e: Emitter, node: ast.AnnAssign) -> None:
    declared = e.unit.declared.annotation_node(e, node.annotation)
    if isinstance(node.target, ast.Name) and declared is not None:
        e.scope.declared[node.target.id] = declared
    if node.value is not None:
        value = e.settle(e.expression(node.value, declared), declared)
        assign_target(e, node.target, _as_declared(e, value, declared))


def _as_declared(e: Emitter, value: Sugared, declared: T.Type | None) -> Sugared:
    """The nested list of a tensor as the type that the program says it has."""
    if declared is None or not isinstance(value, IRValue) or value.value.node is None:
        return value
    if value.value.type != NESTED_NUMBERS or declared not in NESTED_NUMBERS.contained:
        return value
    node = e.builder.node("prim::checked_cast", [value.value], [declared])
    return IRValue(node.output)


def binary_of(e: Emitter, op: ast.operator, left: Sugared, right: Sugared) -> Sugared:
    """``left op= right``."""
    return operators.binary(e, BINARY[type(op)], left, right, in_place=True)


@STATEMENTS(ast.AugAssign)
def _augmented(e: Emitter, node: ast.AugAssign) -> None:
    name = BINARY[type(node.op)]
    target = node.target
    match target:
        case ast.Name(id=variable):
            old = e.lookup(variable)
            new = operators.binary(e, name, old, e.expression(node.value), in_place=True)
            e.assign(variable, new)
        case ast.Attribute(value=owner_node, attr=attr):
            owner = e.expression(owner_node)
            old = tested(e, target) or e.attribute(owner, attr)
            value = e.expression(node.value)
            new = operators.binary(e, name, old, value, in_place=True)
            is_same = (
                isinstance(new, IRValue) and isinstance(old, IRValue) and new.value is old.value
            )
            if not is_same or e.unit.is_asked(e, owner, attr):
                new = e.settle(new)
                assign_attribute(e, owner, attr, new)
                _assume_assigned(e, target, new)
        case ast.Subscript(value=owner_node, slice=index_node):
            container = e.expression(owner_node)
            index = e.expression(index_node)
            old = tested(e, target) or e.subscript(container, index)
            new = operators.binary(e, name, old, e.expression(node.value), in_place=True)
            new = e.settle(new)
            assign_subscript(e, container, index, new)
            _assume_stored(e, target, container, index, new)


def unbind(e: Emitter, name: str) -> None:
    """``del name``."""
    cell = e.env.cells.get(name)
    if cell is not None and not cell.problem:
        e.builder.node("prim::CellDelete", [cell.value], name=name)
    else:
        e.lookup(name)
    e.env.bind(name, Unusable("unbound", e.span))


@STATEMENTS(ast.Delete)
def _delete(e: Emitter, node: ast.Delete) -> None:
    for target in node.targets:
        with e.at(target):
            match target:
                case ast.Name(id=name) if (cell := e.cell_of(name)) is not None:
                    e.unit.delete_cell(e, name, cell)
                case ast.Name(id=name) if e.is_outside(name):
                    e.unit.delete_outside(e, name)
                case ast.Name(id=name):
                    unbind(e, name)
                    e.unit.release(e, name)
                case ast.Subscript(value=owner, slice=index):
                    delete_subscript(e, e.expression(owner), e.expression(index))
                case ast.Attribute(value=owner, attr=name):
                    delete_attribute(e, e.expression(owner), name)
                case _:
                    e.fail_syntax("this cannot be deleted")


# control


@STATEMENTS(ast.If)
def _if(e: Emitter, node: ast.If) -> None:
    test(e, node.test, lambda: e.statements(node.body), lambda: e.statements(node.orelse))


@STATEMENTS(ast.Return)
def _return(e: Emitter, node: ast.Return) -> None:
    expected = e.unit.declared.expected_return(e)
    value: Sugared = Constant(None)
    if node.value is not None:
        value = e.settle(_returned(e, node.value, expected), expected)
        if e.fresh:
            value = e.unit.kept(e, value)
        e.unit.returns(e, node.value, value)
    return_value(e, value)


def _returned(e: Emitter, node: ast.expr, expected: T.Type | None) -> Sugared:
    is_free = expected is None and len(e.unit.stack) == 1  # what an entry returns may be a union
    if is_free and isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        return returned_power(e, node)
    return e.expression(node, expected)


def return_value(e: Emitter, value: Sugared) -> NoReturn:
    """Leave the function through what is around."""
    clean_up(e, 0, RETURN, value)
    finish(e, value)
    raise DeadCode


def finish(e: Emitter, value: Sugared) -> None:
    """Leave the function with ``value``."""
    if e.generator is not None:
        value = e.unit.finish_generator(e, value)
    finish_with(e, value)


def finish_with(e: Emitter, value: Sugared) -> None:
    """Leave the IR function with ``value``."""
    block = e.builder.block
    known = e.type_of(value) is not None
    built = e.value(value) if known else e.builder.constant(None)
    kind = YIELD if block.owner is None else RETURN
    end = block.terminate(kind, [built], e.span)
    e.returned[end] = value if known else crossing(e, value)


# functions, context managers, and what is not built


@STATEMENTS(ast.FunctionDef)
def _function(e: Emitter, node: ast.FunctionDef) -> None:
    function: Sugared = local_function(e, node)
    for decorator in reversed(node.decorator_list):
        function = e.call_positional(e.expression(decorator), function)
    e.assign(node.name, function)


@STATEMENTS(ast.Import, ast.ImportFrom)
def _import(e: Emitter, node: ast.Import | ast.ImportFrom) -> None:
    e.unit.import_names(e, node)


@STATEMENTS(ast.AsyncFor, ast.AsyncFunctionDef, ast.AsyncWith)
def _async(e: Emitter, node: ast.stmt) -> None:
    e.fail_syntax("async code cannot be compiled")
