"""Syntax trees of the methods that ``dataclasses`` generates.

They are made by ``exec`` and have no source text; ``enter_sources(cls)`` gives each the tree of
what CPython generates, so that they are compiled as any other method::

    @dataclass
    class Point:                 def __init__(self, x, xs=_HAS_DEFAULT_FACTORY):
        x: int                       self.x = x
        xs: list = field(...)        self.xs = _dflt_xs() if xs is _HAS_DEFAULT_FACTORY else xs

The functions stay CPython's: their defaults and closures are used as they are.  Comparisons leave
out the test that the other is of the same class: operators make it before they call them.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import sys
import types
from collections.abc import Sequence
from typing import Any

from scriptmode.frontend.script.source import FunctionSource, enter_source
from scriptmode.frontend.script.trees import walk

_ORDER = {"__lt__": ast.Lt, "__le__": ast.LtE, "__gt__": ast.Gt, "__ge__": ast.GtE}
_MISSING = dataclasses.MISSING


def is_own_dataclass(cls: type) -> bool:
    """Whether the class itself is decorated, not only one of its bases."""
    return "__dataclass_fields__" in vars(cls)


def generated(found: Any) -> Any:
    """The function behind ``__repr__``, which is wrapped against endless recursion."""
    inner = getattr(found, "__wrapped__", None)
    if isinstance(found, types.FunctionType) and isinstance(inner, types.FunctionType):
        if found.__code__.co_filename == dataclasses.__file__ and is_generated(inner):
            return inner
    return found


def is_generated(function: Any) -> bool:
    """Whether a method was made without source text, as those of dataclasses are."""
    return isinstance(function, types.FunctionType) and function.__code__.co_filename.startswith(
        "<"
    )


def is_generated_comparison(function: types.FunctionType) -> bool:
    """Whether a method is one that gives NotImplemented for instances of other classes."""
    return is_generated(function) and function.__name__ in ("__eq__", *_ORDER)


def is_frozen(cls: type) -> bool:
    """Whether instances refuse to be assigned to."""
    params = getattr(cls, "__dataclass_params__", None)
    return params is not None and bool(params.frozen)


def enter_sources(cls: type) -> None:
    """Give the generated methods of a class their syntax trees."""
    if not is_own_dataclass(cls):
        return
    for name, found in vars(cls).items():
        function = generated(found)
        if not is_generated(function):
            continue
        body = _body(cls, name, function)
        if body is not None:
            _enter(cls, name, function, body)


def _enter(cls: type, name: str, function: types.FunctionType, body: list[ast.stmt]) -> None:
    file, line = _place(cls)
    code = function.__code__
    count = code.co_argcount
    names, keywords = code.co_varnames[:count], code.co_varnames[count:]
    defaults = function.__defaults__ or ()
    arguments = ast.arguments(
        posonlyargs=[],
        args=[ast.arg(n) for n in names],
        kwonlyargs=[ast.arg(n) for n in keywords[: code.co_kwonlyargcount]],
        # the values are those of the function object
        defaults=[ast.Constant(None) for _ in defaults],
        kw_defaults=[None for _ in range(code.co_kwonlyargcount)],
    )
    node = ast.FunctionDef(name=name, args=arguments, body=body or [ast.Pass()], decorator_list=[])
    for inner in walk(node):
        if isinstance(inner, (ast.stmt, ast.expr, ast.arg)):
            inner.lineno = inner.end_lineno = line
            inner.col_offset = inner.end_col_offset = 0
    qualname = f"{cls.__qualname__}.{name}"
    enter_source(function, FunctionSource(node, file, qualname, cls.__module__, is_given=True))


def _place(cls: type) -> tuple[str, int]:
    try:
        return inspect.getsourcefile(cls) or "<unknown>", inspect.getsourcelines(cls)[1]
    except (OSError, TypeError):
        return "<unknown>", 1


def _body(cls: type, name: str, function: types.FunctionType) -> list[ast.stmt] | None:
    own = _fields(cls)
    if name == "__init__":
        return _init(cls, function)
    if name == "__repr__":
        return [ast.Return(_repr([f.name for f in own if f.repr]))]
    compared = [f.name for f in own if f.compare]
    if name == "__eq__":
        return [ast.Return(_equal(compared))]
    if name in _ORDER:
        mine, theirs = _display("self", compared), _display("other", compared)
        return [ast.Return(ast.Compare(mine, [_ORDER[name]()], [theirs]))]
    if name == "__hash__":
        hashed = [f.name for f in own if (f.compare if f.hash is None else f.hash)]
        return [ast.Return(_call(_name("hash"), [_display("self", hashed)]))]
    return None


def _fields(cls: type) -> list[dataclasses.Field[Any]]:
    return list(dataclasses.fields(cls))


def _all_fields(cls: type) -> list[dataclasses.Field[Any]]:
    """Fields and ``InitVar``s, no ``ClassVar``s."""
    every: dict[str, Any] = vars(cls)["__dataclass_fields__"]
    return [f for f in every.values() if f._field_type is not dataclasses._FIELD_CLASSVAR]  # type: ignore[attr-defined]


def is_init_var(f: dataclasses.Field[Any]) -> bool:
    """Whether a field is an argument of ``__init__`` only."""
    return f._field_type is dataclasses._FIELD_INITVAR  # type: ignore[attr-defined]


def _init(cls: type, function: types.FunctionType) -> list[ast.stmt]:
    free = function.__code__.co_freevars
    body: list[ast.stmt] = []
    for f in _all_fields(cls):
        value = _initial(f, free, "__slots__" in vars(cls))
        if value is not None and not is_init_var(f):
            target = ast.Attribute(_name("self"), f.name, ast.Store())
            body.append(ast.Assign([target], value))
    if hasattr(cls, "__post_init__"):
        given: list[ast.expr] = [_name(f.name) for f in _all_fields(cls) if is_init_var(f)]
        body.append(ast.Expr(_call(_attribute("self", "__post_init__"), given)))
    return body


def _initial(f: dataclasses.Field[Any], free: Sequence[str], slots: bool) -> ast.expr | None:
    """What a field is assigned in ``__init__``; None where it is not."""
    if f.default_factory is not _MISSING:
        made = _call(_name(_variable(free, f"dflt_{f.name}")), [])
        if not f.init:
            return made
        test = ast.Compare(_name(f.name), [ast.Is()], [_name(_variable(free, "DEFAULT_FACTORY"))])
        return ast.IfExp(test, made, _name(f.name))
    if f.init:
        return _name(f.name)
    if slots and f.default is not _MISSING:
        return _name(_variable(free, f"dflt_{f.name}"))
    return None


def _variable(free: Sequence[str], part: str) -> str:
    """The free variable of a generated function, whose name differs among versions of Python."""
    return next(name for name in free if name.strip("_").endswith(part))


def _equal(names: Sequence[str]) -> ast.expr:
    if sys.version_info < (3, 13):
        return ast.Compare(_display("self", names), [ast.Eq()], [_display("other", names)])
    tests: list[ast.expr] = [
        ast.Compare(_attribute("self", n), [ast.Eq()], [_attribute("other", n)]) for n in names
    ]
    if not tests:
        return ast.Constant(True)
    return tests[0] if len(tests) == 1 else ast.BoolOp(ast.And(), tests)


def _repr(names: Sequence[str]) -> ast.expr:
    parts: list[ast.expr] = [ast.Constant("(")]
    for index, name in enumerate(names):
        parts.append(ast.Constant(f"{', ' if index else ''}{name}="))
        parts.append(ast.FormattedValue(_attribute("self", name), ord("r")))
    parts.append(ast.Constant(")"))
    cls = ast.Attribute(_name("self"), "__class__", ast.Load())
    return ast.BinOp(
        ast.Attribute(cls, "__qualname__", ast.Load()), ast.Add(), ast.JoinedStr(parts)
    )


def _name(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def _attribute(owner: str, name: str) -> ast.Attribute:
    return ast.Attribute(_name(owner), name, ast.Load())


def _display(owner: str, names: Sequence[str]) -> ast.Tuple:
    return ast.Tuple([_attribute(owner, n) for n in names], ast.Load())


def _call(function: ast.expr, arguments: list[ast.expr]) -> ast.Call:
    return ast.Call(function, arguments, [])
