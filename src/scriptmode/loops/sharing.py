"""Which ops share the memory of their first argument: views, and writes in place.

``is_view(node, facts)``: the result is the argument or a view of it.  ``functional_kind(kind)``:
the op that computes what an op writes into its first argument, such as ``aten::add.Tensor`` of
``aten::add_.Tensor``.
"""

from __future__ import annotations

import functools

import torch

from scriptmode.analysis.facts import TensorFact
from scriptmode.analysis.shapes import Facts, meta_tensor
from scriptmode.ir.graph import Node
from scriptmode.loops.lowering import find
from scriptmode.ops.aten import aten_schema

# ops that give their argument itself or a view of it
VIEWS = frozenset(
    [
        "aten::t", "aten::transpose.int", "aten::permute", "aten::select.int", "aten::slice.Tensor",
        "aten::unsqueeze", "aten::squeeze", "aten::squeeze.dim", "aten::squeeze.dims", "aten::view",
        "aten::expand", "aten::expand_as", "aten::detach", "aten::alias", "aten::numpy_T",
        "aten::swapaxes", "aten::narrow", "aten::flatten.using_ints", "aten::reshape",
        "aten::unflatten.int", "aten::view_as", "aten::reshape_as", "aten::contiguous",
        "aten::dropout", "aten::feature_dropout", "aten::to.dtype", "aten::to.dtype_layout",
        "aten::to.other", "aten::type_as", "aten::broadcast_to", "aten::_unsafe_view",
    ]
)  # fmt: skip
_CONVERSIONS = frozenset(
    ["aten::to.dtype", "aten::to.dtype_layout", "aten::to.other", "aten::type_as"]
)
_RESHAPES = frozenset(["aten::reshape", "aten::reshape_as", "aten::flatten.using_ints"])
# views that are copies where the dtype or the order of the elements changes
MAY_COPY = _CONVERSIONS | _RESHAPES | {"aten::contiguous"}


def is_view(node: Node, facts: Facts) -> bool:
    """Whether the result of an op shares memory with its first argument; so it may, if unknown."""
    if node.kind not in VIEWS:
        return False
    if node.kind not in MAY_COPY:
        return True
    source, result = facts.get(node.inputs[0]), facts.get(node.outputs[0])
    if source is None or result is None:
        return True
    if source.dtype != result.dtype:
        return False
    if node.kind == "aten::contiguous":
        return lie_alike(source, result)
    if node.kind in _RESHAPES:
        return _can_view(source, result)
    return not _copies(node)


def lie_alike(a: TensorFact, b: TensorFact) -> bool:
    """Whether tensors of one shape have their elements in the same order."""
    return all(
        size == 1 or one == other
        for size, one, other in zip(a.shape, a.strides, b.strides, strict=True)
    )


def _copies(conversion: Node) -> bool:
    """Whether a conversion is asked for a copy."""
    if conversion.schema is None:
        return True
    names = [a.name for a in conversion.schema.arguments]
    if "copy" not in names:
        return False
    copy = conversion.inputs[names.index("copy")]
    return not (copy.is_constant and copy.constant is False)


def _can_view(source: TensorFact, result: TensorFact) -> bool:
    """Whether a tensor can be seen in another shape without a copy, by torch's own rule."""
    try:
        meta_tensor(source).view(result.shape)
    except RuntimeError:
        return False
    return True


# ---- writes in place ----

_FILLING = frozenset(["aten::copy_", "aten::zero_", "aten::fill_.Scalar", "aten::fill_.Tensor"])


@functools.cache
def functional_kind(kind: str) -> str | None:
    """The op that computes what ``kind`` writes; ``kind`` itself where it only fills."""
    if kind in _FILLING:
        return kind
    name, dot, overload = kind.partition(".")
    if not name.endswith("_") or name.endswith("__"):
        return None
    found = name[:-1] + dot + overload
    schema, ours = aten_schema(kind), aten_schema(found)
    if found in VIEWS or schema is None or ours is None or find(found) is None:
        return None
    first = schema.arguments[0].alias if schema.arguments else None
    if first is None or not first.is_write or len(schema.returns) != 1:
        return None
    same = [a.name for a in schema.arguments] == [a.name for a in ours.arguments]
    return found if same else None


def has_own_elements(fact: TensorFact) -> bool:
    """Whether no two elements of a tensor lie at one place."""
    reach = 0
    for stride, size in sorted(zip(fact.strides, fact.shape, strict=True)):
        if size == 1:
            continue
        if stride <= reach:
            return False
        reach += stride * (size - 1)
    return True


def may_hold(source: torch.dtype, target: torch.dtype) -> bool:
    """Whether torch writes results of one dtype into tensors of another."""
    return torch.can_cast(source, target)
