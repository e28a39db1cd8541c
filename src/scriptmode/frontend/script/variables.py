"""Variables in cells: what control finds in them when it comes from the middle of a statement.

Each assignment is written to the variable's cell besides; straight code goes on using the values
themselves.  A cell is read where the value is not known: in the handler of a ``try``, after a part
that may have bound the variable or not.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache

from scriptmode.frontend.script.emitter import DeadCode, Emitter
from scriptmode.frontend.script.flow import discard_after, when
from scriptmode.frontend.script.trees import children
from scriptmode.frontend.script.values import Sugared, Unusable, VariableCell
from scriptmode.ir import types as T
from scriptmode.ir.cells import unbound_error
from scriptmode.ir.growth import join_growing

_MOST_PASSES = 30
_UNBOUND = Unusable("unbound")


@cache
def _names_bound_on_condition(statement: ast.stmt) -> tuple[str, ...]:
    """Names that ``:=`` binds in an expression of the statement, where it may not be reached."""
    found: dict[str, None] = {}

    def visit(node: ast.AST, sure: bool) -> None:
        match node:
            case ast.Lambda() | ast.FunctionDef() | ast.ClassDef():
                return
            case ast.NamedExpr(target=ast.Name(id=name)) if not sure:
                found[name] = None
            case ast.BoolOp(values=values):
                for index, value in enumerate(values):
                    visit(value, sure and index == 0)
                return
            case ast.IfExp():
                sure = False
            case ast.Compare(left=left, comparators=others):
                for index, value in enumerate([left, *others]):
                    visit(value, sure and index < 2)
                return
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                sure = False
        for child in children(node):
            if not isinstance(child, (ast.stmt, ast.ExceptHandler, ast.match_case)):
                visit(child, sure)

    if not isinstance(statement, (ast.While, ast.FunctionDef, ast.ClassDef)):
        visit(statement, True)
    return tuple(found)


def run_statement(e: Emitter, node: ast.stmt, handler: Callable[[Emitter, ast.stmt], None]) -> None:
    """Compile a statement; what its expressions bind on some paths only goes into cells."""
    names = [
        name
        for name in _names_bound_on_condition(node)
        if isinstance(e.env.names.get(name, _UNBOUND), Unusable) and name in e.scope.locals
    ]
    if names:
        with_cells(e, names, lambda: handler(e, node))
    else:
        handler(e, node)


def read(e: Emitter, name: str, cell: VariableCell) -> Sugared:
    """The value of a variable that may be unbound: checked at run time."""
    if cell.problem:
        e.fail_type(cell.problem)
    if cell.type == T.NEVER:
        e.raise_error(UnboundLocalError, str(unbound_error(name, is_free=False)))
    found = e.builder.node("prim::CellGet", [cell.value], [cell.type], name=name).output
    e.env.names[name] = e.lift(found)
    return e.env.names[name]


def read_bound(e: Emitter, cell: VariableCell, t: T.Type | None = None) -> Sugared:
    """The value of a variable that is bound, and of type ``t``."""
    if cell.problem:
        e.fail_type(cell.problem)
    found = e.builder.node("prim::CellRead", [cell.value], [cell.type]).output
    if t is not None and t != cell.type and T.is_subtype(t, cell.type):
        found = e.builder.cast(found, t)
    return e.lift(found)


def write(e: Emitter, cell: VariableCell, value: Sugared) -> None:
    """Write an assignment; a type that the cell does not hold is noted for the next pass."""
    t = e.type_of(value)
    if t is None:
        cell.problem = cell.problem or f"`{cell.name}` is {value.describe()} on some paths"
        return
    joined = join_growing(cell.seen, t)
    cell.seen = T.ANY if joined is None else joined
    if not cell.problem and T.is_subtype(t, cell.type):
        e.builder.node("prim::CellSet", [cell.value, e.value(value, cell.type)])


def with_cells(e: Emitter, names: Sequence[str], act: Callable[[], None]) -> None:
    """``act`` with cells for ``names``, again until the cells have the types that it assigns."""
    types: dict[str, T.Type] = {}
    problems: dict[str, str] = {}
    mark, outer = e.builder.block.last, e.env.copy()
    for _ in range(_MOST_PASSES):
        made = [
            _make(e, name, types.get(name), problems.get(name, ""))
            for name in names
            if name not in outer.cells and e.cell_of(name) is None
        ]
        found: BaseException | None = None
        try:
            act()
        except DeadCode as dead:
            found = dead
        if all(c.seen == c.type and c.problem == problems.get(c.name, "") for c in made):
            for cell in made:
                _retire(e, cell)
            if found is not None:
                raise found
            return
        types.update({c.name: c.seen for c in made})
        problems.update({c.name: c.problem for c in made if c.problem})
        discard_after(e, mark)
        e.env = outer.copy()
    e.fail_type("the types of the variables do not settle", help="annotate them")


def _make(e: Emitter, name: str, t: T.Type | None, problem: str) -> VariableCell:
    """A cell with the variable's present value, if it has one, entered into the environment."""
    present = e.env.names.get(name)
    if isinstance(present, Unusable) and present.cell is None:
        present = None
    declared = e.scope.declared.get(name)
    own = present.cell.type if isinstance(present, Unusable) and present.cell is not None else None
    if present is not None and own is None:
        own = e.type_of(present)
        if own is None:
            problem = problem or f"`{name}` is {present.describe()} on some paths"
    start = own if own is not None else T.NEVER
    if declared is not None and T.is_subtype(start, declared):
        start = declared
    seen = start if t is None else T.join(start, t) or T.ANY
    element = seen if seen != T.NEVER and not problem else T.NONE
    cell_type = T.CellType([element])
    if present is None or isinstance(present, Unusable) or problem:
        value = e.builder.node("prim::CellConstruct", [], [cell_type]).output
    else:
        inputs = [e.value(present, element)]
        value = e.builder.node("prim::CellConstruct", inputs, [cell_type]).output
    cell = VariableCell(name, value, seen, seen, problem)
    if isinstance(present, Unusable) and present.cell is not None and not problem:
        _copy(e, present.cell, cell)
        e.env.names[name] = Unusable("unbound", present.place, None, cell)
    e.env.cells[name] = cell
    return cell


def _copy(e: Emitter, source: VariableCell, target: VariableCell) -> None:
    bound = e.builder.node("prim::CellIsBound", [source.value], [T.BOOL]).output

    def copy() -> None:
        value = e.builder.node("prim::CellRead", [source.value], [source.type]).output
        e.builder.node("prim::CellSet", [target.value, value])

    when(e, bound, copy)


def _retire(e: Emitter, cell: VariableCell) -> None:
    """Stop writing to a cell that nothing will read."""
    found = e.env.names.get(cell.name)
    if not (isinstance(found, Unusable) and found.cell is cell):
        e.env.cells.pop(cell.name, None)


def after_error(
    e: Emitter, assigned: Sequence[str], deleted: Collection[str], start: Mapping[str, Sugared]
) -> None:
    """Make the environment that of a handler: any part of ``assigned`` may have been assigned.

    ``deleted`` may have been unbound; ``start`` are the values at the beginning of what was
    protected.
    """
    e.env.attributes.clear()
    e.epoch += 1
    for name in assigned:
        if e.cell_of(name) is not None:
            continue  # it lives in its cell
        cell = e.env.cells.get(name)
        was = start.get(name)
        if cell is None:
            if name in e.env.names or was is not None:
                e.env.bind(name, Unusable("unbound", e.span))
        elif cell.problem:
            e.env.bind(name, Unusable(cell.problem))
        elif was is not None and not isinstance(was, Unusable) and name not in deleted:
            e.env.bind(name, read_bound(e, cell))
        else:
            e.env.bind(name, Unusable("unbound", e.span, None, cell))
