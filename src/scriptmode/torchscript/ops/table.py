"""The table of ops that are no ops of ATen: on numbers, texts, containers, tensors' attributes.

A handler is given the emitter and the arguments; it appends nodes and gives the result, or None
where it is not meant for arguments of these types::

    @builtin("append")
    def append(e: Emitter, xs: Value, value: Value) -> Value | None:
        ...
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from scriptmode.ir.graph import Value
from scriptmode.torchscript.emitter import Emitter

Handler = Callable[..., Value | None]
F = TypeVar("F", bound=Handler)

BUILTINS: dict[str, list[tuple[Handler, inspect.Signature]]] = {}


def builtin(*names: str) -> Callable[[F], F]:
    """Register a handler for ops; those registered first are asked first."""

    def register(handler: F) -> F:
        signature = inspect.signature(handler)
        for name in names:
            BUILTINS.setdefault(name, []).append((handler, signature))
        return handler

    return register


def call_builtin(
    e: Emitter, name: str, args: Sequence[Value], kwargs: Mapping[str, Value]
) -> Value | None:
    """The result of the first handler that takes the arguments."""
    for handler, signature in BUILTINS.get(name, ()):
        try:
            bound = signature.bind(e, *args, **kwargs)
        except TypeError:
            continue
        found = handler(*bound.args, **bound.kwargs)
        if found is not None:
            return found
    return None
