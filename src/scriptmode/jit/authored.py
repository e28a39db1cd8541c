"""Methods that modules get from markers and from text; ``module`` compiles them."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any

import torch

from scriptmode.support.markers import EXPORT, Attribute, export, modifier_of


def extend(module: torch.nn.Module, functions: Mapping[str, Any]) -> None:
    """Give one module further methods, by a class of its own."""
    cls = type(module)
    methods: dict[str, Any] = {
        n: export(f) for n, f in functions.items() if isinstance(f, types.FunctionType)
    }
    methods["__module__"] = cls.__module__
    module.__class__ = types.new_class(cls.__name__, (cls,), exec_body=lambda n: n.update(methods))


def script_methods(cls: type) -> list[str]:
    """Names of the methods of a class that are marked to be compiled, ``forward`` first."""
    names = [
        name
        for name in dir(cls)
        if isinstance(getattr(cls, name, None), types.FunctionType)
        and modifier_of(getattr(cls, name)) == EXPORT
    ]
    return sorted(names, key=lambda name: name != "forward")


def unwrap_attributes(module: torch.nn.Module) -> None:
    """Replace every ``Attribute(value, type)`` of a module tree by its value.

    The front end reads the type where the constructor makes it.
    """
    for inner in module.modules():
        for name, value in list(vars(inner).items()):
            if isinstance(value, tuple) and getattr(value, "_fields", None) == ("value", "type"):
                if type(value).__name__ == Attribute.__name__:
                    setattr(inner, name, value[0])


__all__ = ["extend", "script_methods", "unwrap_attributes"]
