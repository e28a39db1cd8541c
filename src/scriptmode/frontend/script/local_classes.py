"""Class statements inside functions: the class is made by Python while the function is compiled.

::

    def f(n: int):
        class Box:                      made once, as Python makes it
            def __init__(self, value):
                self.value = value
        return Box(n).value

What the class statement reads of the function around it must be known at compile time then, and may
not change later.
"""

from __future__ import annotations

import ast
import collections
import enum
import typing
from collections.abc import Hashable
from typing import Any

from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.handlers import OBJECT_CALLS, STATEMENTS
from scriptmode.frontend.script.source import FunctionSource, loaded_names
from scriptmode.frontend.script.stores import assign_attribute
from scriptmode.frontend.script.trees import walk
from scriptmode.frontend.script.values import (
    Arguments,
    Constant,
    DictDisplay,
    ListDisplay,
    PythonObject,
    Sugared,
    TupleDisplay,
    Unusable,
)

_FIRST_VALUE = "%first value"


@STATEMENTS(ast.ClassDef)
def _class(e: Emitter, node: ast.ClassDef) -> None:
    names = _names_around(e, node)
    key = tuple((name, _key(value)) for name, value in names.items())
    known = e.scope.source.classes
    cls = known.get((id(node), key))
    if cls is None:
        cls = known[id(node), key] = _make(e, node, names)
    _begin_variables(e, node, cls)
    e.assign(node.name, PythonObject(cls))


def _begin_variables(e: Emitter, node: ast.ClassDef, cls: type) -> None:
    """Give class variables that may change their first values, as each class of Python's has."""
    if issubclass(cls, (enum.Enum, tuple)):
        return
    assigned = {
        n.attr
        for n in walk(e.scope.source.node)
        if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)
        and not (isinstance(n.value, ast.Name) and n.value.id == "self")
    }  # fmt: skip
    fields = getattr(cls, "__dataclass_fields__", {})
    for statement in node.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.expr() as value):
                pass
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                pass
            case _:
                continue
        if name not in vars(cls) or name in fields or name.startswith("__"):
            continue
        if name in assigned or isinstance(value, (ast.List, ast.Dict, ast.Set)):
            first = _first_value(e, statement)
            if e.type_of(first) is not None:  # functions in containers do not change
                assign_attribute(e, PythonObject(cls), name, first)


def _first_value(e: Emitter, statement: ast.Assign | ast.AnnAssign) -> Sugared:
    """What a statement of a class assigns, of the type that it declares."""
    target = ast.copy_location(ast.Name(_FIRST_VALUE, ast.Store()), statement)
    if isinstance(statement, ast.AnnAssign):
        one: ast.stmt = ast.AnnAssign(target, statement.annotation, statement.value, 1)
    else:
        one = ast.Assign([target], statement.value)
    e.statements([ast.copy_location(one, statement)])
    value = e.lookup(_FIRST_VALUE)
    e.env.unbind(_FIRST_VALUE)
    return value


@OBJECT_CALLS(collections.namedtuple)
def _namedtuple(e: Emitter, given: Arguments) -> Sugared:
    """``namedtuple(name, fields)`` of constants: a class made while the function is compiled."""
    positional = [_plain(e, v) for v in given.positional]
    keywords = {name: _plain(e, v) for name, v in given.keywords.items()}
    return _named_tuple(e, collections.namedtuple, given, positional, keywords)


@OBJECT_CALLS(typing.NamedTuple)
def _typed_namedtuple(e: Emitter, given: Arguments) -> Sugared:
    """``NamedTuple(name, [(field, type), ...])``, likewise."""
    positional = [_plain(e, v) for v in given.positional]
    keywords = {name: _plain(e, v) for name, v in given.keywords.items()}
    return _named_tuple(e, typing.NamedTuple, given, positional, keywords)


def _named_tuple(
    e: Emitter, make: Any, given: Arguments, positional: list[Any], keywords: dict[str, Any]
) -> Sugared:
    known = e.scope.source.classes
    key = id(given.node), (repr(positional), repr(keywords))
    if key not in known:
        try:
            known[key] = make(*positional, **keywords)
        except (TypeError, ValueError) as error:
            e.raise_error(type(error), str(error))
        known[key].__module__ = str(e.scope.globals.get("__name__"))
    return PythonObject(known[key])


def _plain(e: Emitter, value: Sugared) -> Any:
    """The Python value of what is known at compile time, for the maker of a class."""
    match value:
        case Constant(value=constant):
            return constant
        case PythonObject(object=found):
            return found
        case TupleDisplay(items=items) | ListDisplay(items=items):
            return [_plain(e, i) for i in items]
        case DictDisplay(keys=keys, values=values):
            return {_plain(e, k): _plain(e, v) for k, v in zip(keys, values, strict=True)}
    e.not_built("a class made of values that are known at run time only is",
                help="make the class outside of the function")  # fmt: skip


def _names_around(e: Emitter, node: ast.ClassDef) -> dict[str, Any]:
    """The variables of the function around the class that it reads, by name."""
    found: dict[str, Any] = {}
    for name in sorted(loaded_names([node]) - {node.name}):
        value = e.env.names.get(name) or e.scope.captured.get(name)
        if value is None and name in e.scope.closure:
            found[name] = e.scope.closure[name]
        if value is None or isinstance(value, Unusable):
            continue
        if not isinstance(value, (Constant, PythonObject)):
            e.not_built(
                f"a class that reads the variable `{name}` of the function around it is",
                help=f"pass `{name}` to its __init__",
            )
        if name in e.env.names and _count_stores(e.scope.source, name) > 1:
            e.not_built(
                f"a class that reads the variable `{name}`, which is assigned more than once, is",
                help=f"pass `{name}` to its __init__",
            )
        found[name] = value.value if isinstance(value, Constant) else value.object
    return found


def _count_stores(source: FunctionSource, name: str) -> int:
    stores = (ast.Store, ast.Del)
    return sum(
        isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, stores)
        for n in walk(source.node)
    )


def _key(value: Any) -> Hashable:
    if isinstance(value, (bool, int, float, complex, str, type(None))):
        return (type(value), repr(value))
    return id(value)


def _make(e: Emitter, node: ast.ClassDef, names: dict[str, Any]) -> type:
    """Run the class statement in a function of its own, whose parameters are the names."""
    source = e.scope.source
    parameters = ast.arguments(
        posonlyargs=[], args=[ast.arg(name) for name in names], kwonlyargs=[], kw_defaults=[],
        defaults=[],
    )  # fmt: skip
    result = ast.Return(ast.Name(node.name, ast.Load()))
    around = ast.FunctionDef(name="around", args=parameters, body=[node, result], decorator_list=[])
    ast.copy_location(around, node)
    module = ast.fix_missing_locations(ast.Module([around], type_ignores=[]))
    local: dict[str, Any] = {}
    try:
        code = compile(module, source.file, "exec")
        names_outside = e.scope.globals
        assert isinstance(names_outside, dict)
        exec(code, names_outside, local)  # the statement is the user's own code
        cls = local["around"](**names)
    except Exception as error:  # whatever the class statement raises
        e.fail("SM0305", f"the class statement raises {error!r}")
    assert isinstance(cls, type)
    cls.__qualname__ = f"{source.qualname}.<locals>.{node.name}"
    return cls
