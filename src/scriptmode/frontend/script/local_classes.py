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
from collections.abc import Hashable
from typing import Any

from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.handlers import STATEMENTS
from scriptmode.frontend.script.source import FunctionSource, loaded_names
from scriptmode.frontend.script.values import Constant, PythonObject, Unusable


@STATEMENTS(ast.ClassDef)
def _class(e: Emitter, node: ast.ClassDef) -> None:
    names = _names_around(e, node)
    key = tuple((name, _key(value)) for name, value in names.items())
    known = e.scope.source.classes
    cls = known.get((id(node), key))
    if cls is None:
        cls = known[id(node), key] = _make(e, node, names)
    e.assign(node.name, PythonObject(cls))


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
        for n in ast.walk(source.node)
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
