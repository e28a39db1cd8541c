"""Names of the public API whose work is not built yet: each raises ``NotBuiltError`` saying so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import torch

from scriptmode.support.diagnostics import Diagnostic, NotBuiltError


def not_built(what: str) -> NotBuiltError:
    """The error for a planned feature."""
    return NotBuiltError(Diagnostic("SM0001", f"{what} is not built yet"))


def save_jit_module_to_flatbuffer(
    m: Any, f: Any, _extra_files: dict[str, Any] | None = None
) -> NoReturn:
    """Write a compiled module to a flatbuffer."""
    raise not_built("scriptmode.save_jit_module_to_flatbuffer")


def jit_module_from_flatbuffer(f: Any) -> NoReturn:
    """Read a compiled module from a flatbuffer."""
    raise not_built("scriptmode.jit_module_from_flatbuffer")


def freeze(
    mod: torch.nn.Module,
    preserved_attrs: Sequence[str] | None = None,
    optimize_numerics: bool = True,
) -> NoReturn:
    """Make a module's parameters and attributes constants of its code."""
    raise not_built("scriptmode.freeze")


def optimize_for_inference(
    mod: torch.nn.Module, other_methods: Sequence[str] | None = None
) -> NoReturn:
    """Freeze a module and rewrite it for inference."""
    raise not_built("scriptmode.optimize_for_inference")


def run_frozen_optimizations(
    mod: torch.nn.Module,
    optimize_numerics: bool = True,
    preserved_methods: Sequence[str] | None = None,
) -> NoReturn:
    """Rewrite a frozen module in place."""
    raise not_built("scriptmode.run_frozen_optimizations")


__all__ = [
    "freeze",
    "jit_module_from_flatbuffer",
    "not_built",
    "optimize_for_inference",
    "run_frozen_optimizations",
    "save_jit_module_to_flatbuffer",
]
