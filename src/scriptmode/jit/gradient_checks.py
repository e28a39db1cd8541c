"""Questions about calls that need gradients, and about the programs that they run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch.autograd import forward_ad

from scriptmode.autodiff.recorded import is_pulled
from scriptmode.ir import types as T
from scriptmode.ir.graph import Graph, Value
from scriptmode.runtime.boundary import unusual_state

_CONSTANT = {T.STR, T.BYTES, T.ANY}
# what calls no code of others, which may ask for torch's tape
_OWN_OPS = (
    "aten", "prim", "int", "float", "bool", "complex", "str", "list", "dict", "tuple", "tensor",
    "iterator", "range", "dtype", "device", "number", "enum", "set", "deque", "math", "slice",
    "torch", "bytes",
)  # fmt: skip


def holds_tensors(value: Value) -> bool:
    """Whether a value of a frame holds tensors."""
    return T.TENSOR in T.walk(value.type)


def is_made(value: Value) -> bool:
    """Whether a value of a frame has no part that may be a constant of a program, as a str is."""
    parts = list(T.walk(value.type))
    kinds = (T.ClassType, T.UnionType)
    return _CONSTANT.isdisjoint(parts) and not any(isinstance(part, kinds) for part in parts)


def is_recorded(graphs: Iterable[Graph]) -> bool:
    """Whether torch's tape must see some of the ops of a program."""
    nodes = [node for graph in graphs for node in graph.walk()]
    return any(
        node.kind.partition("::")[0] not in _OWN_OPS
        or node.kind == "torch::set_grad_enabled"
        or is_pulled(node)
        for node in nodes
    )


def needs_tape(values: Sequence[Any]) -> bool:
    """Whether the thread is in a state in which torch's own tape must see every op."""
    return (
        torch._C._is_any_autocast_enabled()
        or torch._C._autograd._top_saved_tensors_default_hooks(False) is not None
        or forward_ad._current_level >= 0
        or unusual_state(values, None) is not None
    )
