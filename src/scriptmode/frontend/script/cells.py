"""Local variables that live in cells: shared by closures that may outlive a change of them.

A variable is kept in a ``Cell[T]`` when a nested function declares it ``nonlocal``, and when a
function that closes over it is stored or returned while the variable may be bound again::

    def make():
        count = 0                 # %count: Cell[int] = prim::CellConstruct(0)
        def more():
            nonlocal count
            count += 1            # prim::CellSet(%count, ...)
            return count
        return more               # the closure holds the cell

``T`` joins what is assigned anywhere; a value that does not fit starts the unit again.
"""

from __future__ import annotations

import ast
from collections.abc import Hashable, Iterator

from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.shapes import stable_key
from scriptmode.frontend.script.source import (
    FunctionNode,
    FunctionSource,
    outer_names,
    stored_names,
)
from scriptmode.frontend.script.trees import children, kept, walk
from scriptmode.frontend.script.values import (
    CellVariable,
    IRValue,
    LocalFunction,
    Sugared,
    Unusable,
)
from scriptmode.ir import types as T
from scriptmode.ir.cells import unbound_error
from scriptmode.ir.growth import join_growing


class CellTable:
    """What has been learnt of cells; it outlives the attempts to compile the program."""

    def __init__(self) -> None:
        self.types: dict[Hashable, T.Type] = {}  # by instance and variable
        self.needed: set[tuple[int, str]] = set()  # by function: variables found to need a cell


def make_cells(e: Emitter) -> None:
    """Put the variables of the function being entered that need it into cells."""
    source = e.scope.source
    found = shared_names(source.node) & source.locals
    found |= {name for owner, name in e.unit.cells.needed if owner == id(source.node)}
    if not found:
        return
    instance = e.unit.stack[-1]
    which = tuple((n, stable_key(s)) for n, s in instance.shapes.items())
    for name in sorted(found):
        owner = (id(source.node), name, which)
        value = e.env.names.get(name)
        inputs = []
        if value is not None and not isinstance(value, Unusable):
            built = e.value(value, e.scope.declared.get(name))
            _learn(e, owner, built.type)
            inputs.append(built)
        t = _learnt(e, owner)
        cell = e.builder.node("prim::CellConstruct", inputs, [T.CellType([t])]).output
        e.env.names[name] = CellVariable(owner, IRValue(cell))


def _learnt(e: Emitter, owner: Hashable) -> T.Type:
    """What is known to be assigned to the variable, with the classes of this attempt."""
    return e.unit.classes.adopt(e.unit.cells.types.get(owner, T.NEVER))


def _learn(e: Emitter, owner: Hashable, t: T.Type) -> bool:
    """Values of ``t`` must fit into the cell; whether that is news."""
    old = _learnt(e, owner)
    if T.is_subtype(t, old):
        return False
    e.unit.cells.types[owner] = join_growing(old, t) or T.ANY
    return True


def read_cell(e: Emitter, name: str, variable: CellVariable, *, is_free: bool) -> Sugared:
    """The value of a variable in a cell."""
    known = e.env.attributes.get((name,))
    if known is not None:
        return known
    cell = e.value(variable.cell)
    assert isinstance(cell.type, T.CellType)
    if cell.type.element == T.NEVER:
        error = unbound_error(name, is_free)
        e.raise_error(type(error), str(error))
    node = e.builder.node("prim::CellGet", [cell], [cell.type.element], name=name)
    if is_free:
        node.attributes["is_free"] = True
    return e.lift(node.output)


def write_cell(e: Emitter, name: str, variable: CellVariable, value: Sugared) -> None:
    """Assign a variable in a cell."""
    cell = e.value(variable.cell)
    assert isinstance(cell.type, T.CellType)
    built = e.value(value, cell.type.element)
    if _learn(e, variable.owner, built.type):
        e.unit.start_again()
    e.builder.node("prim::CellSet", [cell, built])
    e.env.forget_attributes()
    e.epoch += 1


def delete_cell(e: Emitter, name: str, variable: CellVariable) -> None:
    """``del`` of a variable in a cell."""
    e.builder.node("prim::CellDelete", [e.value(variable.cell)], name=name)
    e.env.forget_attributes()
    e.epoch += 1


# which variables


@kept
def shared_names(node: FunctionNode) -> frozenset[str]:
    """Names that functions nested in ``node`` declare ``nonlocal`` and that reach it."""
    found: set[str] = set()
    for inner in _nested(node):
        names = outer_names(inner)[1] | shared_names(inner)
        found |= names - (_bound_in(inner) - outer_names(inner)[1])
    return frozenset(found)


def _nested(node: ast.AST) -> Iterator[FunctionNode]:
    """Functions whose scope is directly inside of ``node``'s."""
    for child in children(node):
        if isinstance(child, (ast.FunctionDef, ast.Lambda)):
            yield child
        else:
            yield from _nested(child)


def _bound_in(node: FunctionNode) -> set[str]:
    arguments = [a.arg for a in walk(node.args) if isinstance(a, ast.arg)]
    body = node.body if isinstance(node, ast.FunctionDef) else []
    return {*arguments, *stored_names(body)}


def share_variable(e: Emitter, name: str) -> None:
    """Start again with a variable in a cell that a function reads which was made before it."""
    source = e.scope.source.parent
    while source is not None:
        if name in source.locals:
            owner = (id(source.node), name)
            if owner in e.unit.cells.needed:
                return
            e.unit.cells.needed.add(owner)
            e.unit.start_again()
        source = source.parent


def check_escaping(e: Emitter, value: Sugared) -> None:
    """A function inside ``value`` outlives this point: variables bound again must be shared."""
    if isinstance(value, LocalFunction):
        for name, held in (value.captured or {}).items():
            if not isinstance(held, CellVariable):
                _check_variable(e, value.source, name)
    for part in value.parts():
        check_escaping(e, part)


def _check_variable(e: Emitter, function: FunctionSource, name: str) -> None:
    source = function.parent
    node = function.origin or function.node
    while source is not None:
        if _is_comprehension_variable(source.node, node, name):
            e.fail_syntax(
                f"a function that outlives an iteration reads the comprehension's `{name}`",
                help=f"give it the value of now: `lambda ..., {name}={name}: ...`",
            )
        if name in source.locals:
            if _is_bound_again(source.node, node, name):
                e.unit.cells.needed.add((id(source.node), name))
                e.unit.start_again()
            return
        source = source.parent


def _is_comprehension_variable(outer: ast.AST, function: ast.AST, name: str) -> bool:
    for node in walk(outer):
        if isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            if name in stored_names([g.target for g in node.generators]):
                if node is not function and any(n is function for n in walk(node)):
                    return True
    return False


def _is_bound_again(outer: FunctionNode, function: ast.AST, name: str) -> bool:
    """Whether ``outer`` may bind ``name`` after ``function`` has been made."""
    here = (function.lineno, function.col_offset)  # type: ignore[attr-defined]
    body = outer.body if isinstance(outer, ast.FunctionDef) else [outer.body]
    for statement in body:
        for node in _own_nodes(statement):
            if not _binds(node, name):
                continue
            if (node.lineno, node.col_offset) > here:  # type: ignore[attr-defined]
                return True
    for loop in _own_nodes(outer):
        if isinstance(loop, (ast.For, ast.While)):
            inside = list(walk(loop))
            if any(n is function for n in inside) and name in stored_names([loop]):
                return True
    return False


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """``node`` and what is inside, without the bodies of nested functions."""
    yield node
    for child in children(node):
        if isinstance(child, (ast.Lambda, ast.ClassDef)):
            continue
        if isinstance(child, ast.FunctionDef):
            yield ast.copy_location(ast.Name(child.name, ast.Store()), child)
            continue
        yield from _own_nodes(child)


def _binds(node: ast.AST, name: str) -> bool:
    if isinstance(node, ast.Name):
        return node.id == name and isinstance(node.ctx, (ast.Store, ast.Del))
    if isinstance(node, ast.ExceptHandler):
        return node.name == name
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return name in stored_names([node])
    return False
