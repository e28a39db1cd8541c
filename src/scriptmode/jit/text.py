"""Program text as Python functions whose source can be found again, with its true lines.

::

    found = define('''
        def double(x: Tensor) -> Tensor:
            return x + x
    ''', {})
    found["double"]        # a function of the file "<script 5f0c1e>", starting at its line 2

Annotations are not evaluated, as a script may name types that its surroundings do not import.
"""

from __future__ import annotations
import __future__

import hashlib
import linecache
import sys
import textwrap
import types
import typing
from collections.abc import Mapping
from typing import Any

import torch

from scriptmode.support import markers
from scriptmode.support.diagnostics import Diagnostic, ScriptSyntaxError
from scriptmode.support.source import Span

MODULE = "__script__"
# what text may name without any surroundings
NAMES: Mapping[str, Any] = {
    **{name: getattr(typing, name) for name in (
        "Any", "Dict", "Final", "List", "NamedTuple", "Optional", "Tuple", "Union",
    )},
    "Future": torch.futures.Future,
    "Tensor": torch.Tensor,
    "annotate": markers.annotate,
    "torch": torch,
}  # fmt: skip


def names_of_caller(frames_up: int) -> dict[str, Any]:
    """Names that the caller of the calling function sees."""
    frame = sys._getframe(frames_up + 2)
    return {**frame.f_globals, **frame.f_locals}


def define(source: str, names: Mapping[str, Any]) -> dict[str, Any]:
    """Functions and classes of a text, by name; ``names`` are what it may use."""
    text = textwrap.dedent(source)
    file = f"<script {hashlib.sha256(text.encode()).hexdigest()[:6]}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    flags = __future__.annotations.compiler_flag
    try:
        code = compile(text, file, "exec", flags, dont_inherit=True)
    except SyntaxError as error:
        place = Span(file, error.lineno or 0, max(0, (error.offset or 1) - 1))
        raise ScriptSyntaxError(Diagnostic("SM0105", f"{error.msg}", place)) from None
    namespace = {**NAMES, **names, "__name__": MODULE}
    before = dict(namespace)
    exec(code, namespace)
    return {
        name: value
        for name, value in namespace.items()
        if isinstance(value, (types.FunctionType, type)) and before.get(name) is not value
    }


__all__ = ["define", "names_of_caller"]
