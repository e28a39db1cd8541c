"""``import`` inside a function, carried out at compile time."""

from __future__ import annotations

import ast
import importlib

from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.values import (
    PythonObject,
)


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
        package = e.scope.globals.get("__package__") if node.level else None
        module = importlib.import_module("." * node.level + (node.module or ""), package)
        for alias in node.names:
            if alias.name == "*":
                e.fail_syntax("`import *` cannot stand in a function")
            e.assign(
                alias.asname or alias.name,
                e.unit.wrap(e, getattr(module, alias.name), alias.name),
            )
    except (ImportError, AttributeError) as error:
        kind = type(error) if isinstance(error, ImportError) else ImportError
        e.raise_error(kind, str(error))
