"""``import`` inside a function, carried out at compile time."""

from __future__ import annotations

import ast
import importlib
from types import ModuleType
from typing import Any

from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.values import (
    PythonObject,
)


def _package(e: Emitter, node: ast.ImportFrom) -> str | None:
    """The package that a relative import starts from."""
    if not node.level:
        return None
    package = e.scope.globals.get("__package__")
    if package is None:
        name = str(e.scope.globals.get("__name__", ""))
        package = name if "__path__" in e.scope.globals else name.rpartition(".")[0]
    if not package:
        raise ImportError("attempted relative import with no known parent package")
    return str(package)


def _member(module: ModuleType, name: str) -> Any:
    """What a module has under a name, or a module inside of it."""
    if not hasattr(module, name) and hasattr(module, "__path__"):
        try:
            return importlib.import_module(f"{module.__name__}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{module.__name__}.{name}":
                raise
    return getattr(module, name)


def import_names(e: Emitter, node: ast.Import | ast.ImportFrom) -> None:
    """An import inside a function, carried out at compile time."""
    try:
        if isinstance(node, ast.Import):
            for alias in node.names:
                module = importlib.import_module(alias.name)
                top = importlib.import_module(alias.name.partition(".")[0])
                name = alias.asname or alias.name.partition(".")[0]
                e.assign(name, PythonObject(module if alias.asname else top))
            return
        module = importlib.import_module("." * node.level + (node.module or ""), _package(e, node))
        for alias in node.names:
            if alias.name == "*":
                e.fail_syntax("`import *` cannot stand in a function")
            e.assign(
                alias.asname or alias.name,
                e.unit.wrap(e, _member(module, alias.name), alias.name),
            )
    except (ImportError, AttributeError) as error:
        kind = type(error) if isinstance(error, ImportError) else ImportError
        e.raise_error(kind, str(error))
