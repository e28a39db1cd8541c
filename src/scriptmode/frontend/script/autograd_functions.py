"""``Fn.apply(...)`` of a ``torch.autograd.Function``: left to Python, as one node of eager's tape.

What it gives has the type that ``forward`` is annotated with; without an annotation a tensor, or a
tuple of tensors when every ``return`` of ``forward`` is a display of so many.
"""

from __future__ import annotations

import ast
import types
from typing import Any

import torch

from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.handlers import OBJECT_CALLS
from scriptmode.frontend.script.objects import call_python
from scriptmode.frontend.script.source import source_of
from scriptmode.frontend.script.trees import children
from scriptmode.frontend.script.values import Arguments, PythonObject, Sugared
from scriptmode.ir import types as T


@OBJECT_CALLS(torch.autograd.Function.apply.__func__)  # type: ignore[attr-defined]
def _apply(e: Emitter, given: Arguments) -> Sugared:
    owner, *rest = given.positional
    if not isinstance(owner, PythonObject) or given.keywords:
        e.fail_type("apply() of an autograd.Function takes positional arguments")
    cls: Any = owner.object
    result = _result_type(e, cls.forward)
    return call_python(e, cls.apply, Arguments(rest, {}, given.node), result)


def _result_type(e: Emitter, forward: Any) -> T.Type:
    if not isinstance(forward, types.FunctionType):
        return T.TENSOR
    if "return" in forward.__annotations__:
        return e.unit.declared.annotated_result(e, forward)
    counts = _display_lengths(source_of(forward).node)
    if len(counts) == 1 and None not in counts:
        return T.TupleType([T.TENSOR] * (counts.pop() or 0))
    return T.TENSOR


def _display_lengths(function: ast.AST) -> set[int | None]:
    """Lengths of the tuple displays that a function returns; None for anything else."""
    found: set[int | None] = set()
    rest = list(children(function))
    while rest:
        node = rest.pop()
        if isinstance(node, ast.Return):
            found.add(len(node.value.elts) if isinstance(node.value, ast.Tuple) else None)
        elif not isinstance(node, (ast.FunctionDef, ast.Lambda, ast.ClassDef)):
            rest.extend(children(node))
    return found


__all__: list[str] = []
