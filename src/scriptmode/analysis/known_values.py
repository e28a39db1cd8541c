"""Numbers, sizes and answers that follow from the facts of tensors.

``known_value(value, facts)`` is the Python value of ``%flat`` below where the fact of ``%x`` is
known; it raises ``Unknown`` for what depends on anything else::

    %n: int = tensor::ndim(%x)
    %two: int = prim::Constant[value=2]()
    %flat: bool = int::eq(%n, %two)

Lists count when they are made of known numbers and are only read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scriptmode.analysis.facts import TensorFact
from scriptmode.ir import types as T
from scriptmode.ir.graph import YIELD, Node, Value
from scriptmode.ops import table
from scriptmode.ops.table import Effect


class Unknown(Exception):
    """What is asked for is not known."""


_DEEPEST = 40
_PLAIN = (T.INT, T.FLOAT, T.BOOL, T.DTYPE, T.SIZE, T.STR)
_NUMBERS = T.ListType([T.INT])
# ops that read a list of numbers
_READING = frozenset(
    ["list::len", "list::getitem", "list::slice", "list::eq", "list::ne", "size::from_list"]
)


def known_value(
    value: Value, facts: Mapping[Value, TensorFact], metadata: Any, depth: int = 0
) -> Any:
    """The value; ``metadata(node, facts)`` answers ops that ask for metadata."""
    if value.is_constant:
        if value.type == T.TENSOR:
            raise Unknown
        return value.constant
    node = value.node
    if node is None or depth > _DEEPEST:
        raise Unknown
    if node.kind == "prim::If":
        return _of_branch(value, node, facts, metadata, depth)
    if node.kind == "prim::ListConstruct":
        _must_be_read_only(value)
        return [known_value(v, facts, metadata, depth + 1) for v in node.inputs]
    if node.kind == "tensor::same_form":
        a, b = (facts.get(v) for v in node.inputs)
        if a is None or b is None:
            raise Unknown
        return (a.shape, a.dtype) == (b.shape, b.dtype)
    definition = table.find(node.kind)
    if any(v.type == T.TENSOR for v in node.inputs):
        return metadata(node, facts)
    if definition is None or len(node.outputs) != 1 or value.type not in (*_PLAIN, _NUMBERS):
        raise Unknown
    if definition.effects & ~(Effect.RAISES | Effect.READS | Effect.ALLOCATES):
        raise Unknown
    if node.kind.partition("::")[0] not in (
        "int",
        "bool",
        "float",
        "dtype",
        "tuple",
        "list",
        "size",
    ):
        raise Unknown
    if value.type == _NUMBERS:
        _must_be_read_only(value)
    given = [known_value(v, facts, metadata, depth + 1) for v in node.inputs]
    try:
        return definition.meaning(*given)
    except definition.raises as error:
        raise Unknown from error


def are_read_only(value: Value) -> bool:
    """Whether a list of numbers is only read, by ops of torch too."""
    return value.type == _NUMBERS and all(_reads(use.node) for use in value.uses)


def _must_be_read_only(value: Value) -> None:
    """Raise Unknown for a list that something may change."""
    if not are_read_only(value):
        raise Unknown


def _reads(node: Node) -> bool:
    return node.kind in _READING or node.kind.startswith("aten::")


def _of_branch(
    value: Value, node: Node, facts: Mapping[Value, TensorFact], metadata: Any, depth: int
) -> Any:
    if value.type not in _PLAIN:
        raise Unknown
    taken = known_value(node.inputs[0], facts, metadata, depth + 1)
    block = node.blocks[not taken]
    if block.terminator.kind != YIELD:
        raise Unknown
    return known_value(block.returns[node.outputs.index(value)], facts, metadata, depth + 1)
