"""Whether the hooks of a module can take what a call gives them, asked when it is scripted.

Hooks of inner modules are compiled, with the same check; those of the outermost one run in Python.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from scriptmode.frontend.script.source import place_of
from scriptmode.support.diagnostics import Diagnostic, ScriptCallError


def check_hooks(module: nn.Module) -> None:
    """Raise when a forward hook or pre-hook has parameters for another number of arguments."""
    with_keywords = module._forward_pre_hooks_with_kwargs
    _check(module._forward_pre_hooks, with_keywords, ("module", "args"), "pre-hook")
    with_keywords = module._forward_hooks_with_kwargs
    _check(module._forward_hooks, with_keywords, ("module", "args", "output"), "hook")


def _check(
    hooks: Mapping[int, Callable[..., Any]],
    with_keywords: Mapping[int, bool],
    names: tuple[str, ...],
    what: str,
) -> None:
    for key, hook in hooks.items():
        given = (*names[:2], "kwargs", *names[2:]) if key in with_keywords else names
        try:
            signature = inspect.signature(hook)
        except (TypeError, ValueError):  # Python knows none
            continue
        try:
            signature.bind(*given)
        except TypeError as error:
            name = getattr(hook, "__name__", type(hook).__name__)
            raise ScriptCallError(
                Diagnostic(
                    "SM0201",
                    f"the forward {what} `{name}` does not fit: {error}",
                    place_of(hook),
                    help=f"it is called with ({', '.join(given)})",
                )
            ) from None


__all__ = ["check_hooks"]
