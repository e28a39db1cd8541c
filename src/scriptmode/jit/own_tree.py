"""The tree of modules that a ``ScriptModule`` owns.

A compiled module shares the dicts of parameters, buffers and hooks with the eager module, and owns
all other state.  ``own_tree`` makes the modules that this state is lent to when Python needs it:
objects of the same classes over the same dicts of tensors, with dicts of attributes of their own.
The eager modules are never written to.

A module's ``__prepare_scriptable__`` is asked for what is compiled in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import nn

from scriptmode.frontend.trace import is_compiled

PREPARE = "__prepare_scriptable__"


@dataclass
class OwnTree:
    """A tree and, by the ids of the eager modules, the modules that stand for them in it."""

    root: nn.Module
    stand_ins: Mapping[int, nn.Module] = field(default_factory=dict)
    eager: list[nn.Module] = field(default_factory=list)  # keeps the ids unique


def own_tree(module: nn.Module) -> OwnTree:
    """The tree for compiling ``module``."""
    stand_ins: dict[int, nn.Module] = {}
    eager: list[nn.Module] = []
    root = _own(module, stand_ins, eager)
    return OwnTree(root, stand_ins, eager)


def _own(
    module: nn.Module, stand_ins: dict[int, nn.Module], eager: list[nn.Module]
) -> nn.Module:  # fmt: skip
    found = stand_ins.get(id(module))
    if found is not None:
        return found
    eager.append(module)
    if is_compiled(module):
        stand_ins[id(module)] = module  # it owns its state already
        return module
    prepare = getattr(module, PREPARE, None)
    source = module if prepare is None else prepare()
    own: nn.Module = object.__new__(type(source))
    stand_ins[id(module)] = own
    if source is not module:
        stand_ins[id(source)] = own
        eager.append(source)
    own.__dict__.update(source.__dict__)
    own.__dict__["_modules"] = {
        name: None if child is None else _own(child, stand_ins, eager)
        for name, child in source._modules.items()
    }
    return own
