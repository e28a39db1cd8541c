"""What a ``defaultdict`` does for a missing key.

A factory that makes an empty or zero value is known by the type of that value.  Any other one is
a ``Factory`` type (``ir.factories``), and is called where a key is missing.  It may close over
constants only: the dict has no place for run-time values.
"""

from __future__ import annotations

import ast
import types
from typing import Any

from scriptmode.frontend.script import is_user_class
from scriptmode.frontend.script.captured_objects import MADE
from scriptmode.frontend.script.emitter import DeadCode, Emitter
from scriptmode.frontend.script.flow import discard_after, when
from scriptmode.frontend.script.functions import crossing
from scriptmode.frontend.script.literals import admit
from scriptmode.frontend.script.shapes import ir_values
from scriptmode.frontend.script.values import (
    Constant,
    IRValue,
    LocalFunction,
    PartialFunction,
    PythonObject,
    Sugared,
)
from scriptmode.ir import factories
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value

_ZEROS: dict[T.Type, Any] = {
    T.INT: 0, T.FLOAT: 0.0, T.BOOL: False, T.STR: "", T.COMPLEX: 0j, T.BYTES: b"",
}  # fmt: skip


def made_by(e: Emitter, factory: Sugared) -> tuple[T.Type, T.Type]:
    """The type of what a factory makes, and the type that stands for the factory."""
    if isinstance(factory, PythonObject) and factory.object in MADE:
        return MADE[factory.object], MADE[factory.object]
    if isinstance(factory, Constant) and factory.value is None:
        return T.NEVER, factories.enter_object(None)
    if isinstance(factory, PythonObject) and is_user_class(factory.object):
        made = e.unit.type_of_class(factory.object)
        if made is not None:
            return made, _enter(e, factory)
    if not isinstance(factory, (LocalFunction, PartialFunction, PythonObject)):
        e.not_built(f"a defaultdict that calls {factory.describe()} is", help="use a function")
    t, is_empty = _try(e, factory)
    return (t, t) if is_empty else (t, _enter(e, factory))


def _try(e: Emitter, factory: Sugared) -> tuple[T.Type, bool]:
    """The type of what a factory makes, and whether that is empty or zero."""
    mark, block, env = e.builder.block.last, e.builder.block, e.env.copy()
    try:
        made = e.settle(_result_of(e, factory))
        t = e.type_of(made)
        t = e.value(made).type if t is None else t
    except DeadCode:
        e.not_built("a defaultdict whose factory calls itself, or only raises, is")
    is_zero = isinstance(made, Constant) and t in _ZEROS and made.value == _ZEROS[t]
    node = made.value.node if isinstance(made, IRValue) else None
    is_empty = node is not None and node.kind.endswith("Construct") and not node.inputs
    is_empty = is_empty and node is block.last and isinstance(t, T.CONTAINERS)
    assert e.builder.block is block
    discard_after(e, mark)
    e.env = env
    return t, is_zero or is_empty


def _result_of(e: Emitter, factory: Sugared) -> Sugared:
    """What a call without arguments gives."""
    if isinstance(factory, LocalFunction) and factory.scope is e.scope:
        node = factory.source.node
        if isinstance(node, ast.Lambda):
            return e.expression(node.body)
    return e.call_positional(factory)


def _enter(e: Emitter, factory: Sugared) -> T.Type:
    """The type that stands for a factory."""
    closed = crossing(e, factory)
    if any(True for _ in ir_values(closed)):
        _refuse_closure(e)
    if isinstance(closed, PythonObject):
        found = factories.enter_object(closed.object)
    elif isinstance(closed, LocalFunction):
        found = _enter_local(e, closed)
    else:
        e.not_built(f"a defaultdict that calls {factory.describe()} is", help="use a function")
    e.unit.choices.factories[found.number] = closed
    return found


def _refuse_closure(e: Emitter) -> None:
    e.not_built(
        "a defaultdict whose factory reads variables of the function around it is",
        help="use `d.setdefault(key, value)`, or constants in the factory",
    )


def _enter_local(e: Emitter, closed: LocalFunction) -> T.FactoryType:
    """A nested function without run-time values: Python gets one of its own, of the same tree."""
    inside: dict[str, Any] = {}
    for name, value in (closed.captured or {}).items():
        match value:
            case Constant():
                inside[name] = value.value
            case PythonObject():
                inside[name] = value.object
            case _:
                _refuse_closure(e)
    if closed.defaults or closed.keyword_defaults:
        e.not_built("a defaultdict whose factory has parameters is", help="use a lambda without")
    node = closed.source.node
    place = (closed.source.file, node.lineno, node.col_offset)
    key = (*place, *((name, id(value)) for name, value in inside.items()))
    return factories.enter(key, _python_function(closed, inside))


def _python_function(closed: LocalFunction, inside: dict[str, Any]) -> Any:
    """The function of a nested function's tree, as Python has it."""
    node = closed.source.node
    namespace = {**closed.scope.globals, **closed.scope.closure, **inside}
    if isinstance(node, ast.Lambda):
        return eval(compile(ast.Expression(node), closed.source.file, "eval"), namespace)
    plain = ast.FunctionDef(node.name, node.args, node.body, [], None, lineno=1, col_offset=0)
    tree = ast.fix_missing_locations(ast.Module([plain], []))
    exec(compile(tree, closed.source.file, "exec"), namespace)
    function = namespace[node.name]
    assert isinstance(function, types.FunctionType)
    return function


def missing(e: Emitter, owner: Value, index: Sugared) -> Sugared:
    """``owner[index]`` of a defaultdict, which is entered when it is missing."""
    t = owner.type
    assert isinstance(t, T.DefaultDictType)
    key = e.value(index, t.key)
    admit(e, owner, key.type, T.NEVER)
    if not isinstance(t.made, (T.FactoryType, T.ClassType)):
        return e.lift(e.builder.op("dict::setdefault", owner, key, empty_of(e, t.made)))
    function: Sugared | None
    if isinstance(t.made, T.ClassType):
        function = PythonObject(t.made.python_class)
    else:
        function = e.unit.choices.factories.get(t.made.number)
        function = function or PythonObject(factories.function_of(t.made))
    if not (isinstance(function, PythonObject) and function.object is None):

        def make() -> None:
            made = e.value(e.settle(e.call_positional(function)), t.value)
            admit(e, owner, key.type, made.type)
            e.builder.op_node("dict::setitem", [owner, key, made])

        known = e.builder.op("dict::contains", owner, key)
        when(e, e.builder.op("bool::not", known), make)
    return e.lift(e.builder.op("dict::getitem", owner, key))


def empty_of(e: Emitter, t: T.Type) -> Value:
    """What a defaultdict's factory makes that is known by its type."""
    if t in _ZEROS:
        return e.builder.constant(_ZEROS[t], t)
    if isinstance(t, T.ListType):
        return e.builder.list([], t.element)
    if isinstance(t, T.DictType):
        return e.builder.node("prim::DictConstruct", [], [t]).output
    if isinstance(t, T.SetType):
        return e.builder.node("prim::SetConstruct", [], [t]).output
    if not isinstance(t, T.DequeType):
        e.fail_type(f"what makes a missing {t} is not known", help="assign the defaultdict first")
    schema = e.builder.resolve("deque::new")
    return e.builder.node("deque::new", [e.int_constant(-1)], [t], schema=schema).output


def refuse_text(e: Emitter, t: T.Type) -> None:
    """The text of a defaultdict shows its factory; that of a function holds an address."""
    for inner in T.walk(t):
        if isinstance(inner, T.DefaultDictType) and not factories.has_text(inner.made):
            e.fail("SM0202", "the text of a defaultdict holds the address of its factory",
                   help="write `dict(d)`")  # fmt: skip
