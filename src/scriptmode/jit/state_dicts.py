"""What a module's class does of its own when its state is read or loaded.

A compiled module is an ``nn.Module`` of another class; these methods of the original's class are
asked all the same, natively where they are compiled, else in Python on the module's state.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

from torch import nn

_METHODS = (
    "_save_to_state_dict", "_load_from_state_dict", "get_extra_state", "set_extra_state",
    "state_dict", "load_state_dict",
)  # fmt: skip
STATE_HOOKS = (
    "_state_dict_hooks", "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks",
)  # fmt: skip


def with_own_state_methods(base: type, original: type) -> Any:
    """``base`` with those of the methods that ``original`` does not have from ``nn.Module``."""
    own = [n for n in _METHODS if getattr(original, n) is not getattr(nn.Module, n)]
    if not own:
        return base
    members: dict[str, Any] = {name: _asking(name) for name in own}
    members["__module__"] = base.__module__
    return types.new_class(base.__name__, (base,), exec_body=lambda n: n.update(members))


def _asking(name: str) -> Callable[..., Any]:
    def ask(module: Any, *args: Any, **kwargs: Any) -> Any:
        return module._call_own(name, *args, **kwargs)

    ask.__name__ = name
    return ask


__all__ = ["STATE_HOOKS", "with_own_state_methods"]
