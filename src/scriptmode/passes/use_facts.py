"""Use what is known of tensors: metadata become constants, lists of tensors their elements.

Before, with ``%x`` known to be float32[2, 6]::

    graph f(%x: Tensor) -> Tensor:
      %n: int = prim::Constant[value=3]()
      %d: int = prim::Constant[value=1]()
      %parts: List[Tensor] = aten::chunk(%x, %n, %d)
      %k: int = list::len(%parts)
      %p: Tensor = list::getitem(%parts, %d)
      return (%p)

After::

    graph f(%x: Tensor) -> Tensor:
      %n: int = prim::Constant[value=3]()
      %d: int = prim::Constant[value=1]()
      %2: int = prim::Constant[value=2]()
      %4: int = prim::Constant[value=4]()
      %p: Tensor = aten::slice.Tensor(%x, %d, %2, %4, %d)
      return (%p)

Lists that are only read count; one element of ``unbind`` may have an index that is not constant.
``x.item()`` and ``x[i].item()`` become the number that the dtype says.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from scriptmode.analysis.effects import op_effects
from scriptmode.analysis.facts import TensorFact
from scriptmode.analysis.known_values import Unknown, are_read_only, known_value
from scriptmode.analysis.shapes import (
    METADATA,
    PASSING,
    SPLITTING,
    Facts,
    Shapes,
    is_fixed,
    is_only_read,
    meta_result,
    metadata,
)
from scriptmode.ir import types as T
from scriptmode.ir.graph import Graph, Node, Program, Value
from scriptmode.ir.structural_rules import fits_constant
from scriptmode.ops.aten import schema_of
from scriptmode.ops.table import Effect
from scriptmode.ops.tensors import is_expanded

_CHECKED = frozenset(
    [
        "aten::embedding",
        "aten::index_select",
        "aten::gather",
        "aten::index.Tensor",
        "aten::take",
        "aten::one_hot",
        "aten::floor_divide",
        "aten::remainder.Tensor",
        "aten::fmod.Tensor",
        "aten::div.Tensor_mode",
        "aten::remainder.Scalar",
        "aten::floor_divide.Scalar",
        "aten::fmod.Scalar",
        "aten::div.Scalar_mode",
    ]
)
_READING = {"aten::item": 0, "tensor::element.one": 1, "tensor::element.two": 2}  # indices
# ops that may follow from facts
_ANSWERS = frozenset(
    ["tensor::same_form", "list::len", "list::eq", "list::ne", "size::from_list", "prim::If"]
)
_NUMBERS = {T.INT: "tensor::int", T.FLOAT: "tensor::float", T.BOOL: "tensor::bool"}


def use_facts(graph: Graph, program: Program | None, given: Facts) -> bool:
    """Return whether the graph changed; ``given`` are the facts of its parameters."""
    facts = Shapes(graph, given).facts
    changed = False
    for node in list(graph.walk()):
        if node.block is None:
            continue
        if node.kind in METADATA:
            changed |= _constant_metadata(node, facts)
        elif len(node.outputs) == 1 and node.kind in _ANSWERS:
            changed |= _known(node, facts)
        elif node.kind in SPLITTING:
            changed |= _split(node, facts)
        elif node.kind == "aten::broadcast_tensors":
            changed |= _broadcast(node, facts)
        elif node.kind == "prim::ListConstruct":
            changed |= _elements(node)
        elif node.kind == "tuple::as_list":
            changed |= _constant_sizes(node)
        elif node.kind == "tensor::check_writable":
            changed |= _is_writable(node, facts)
        elif node.kind in _READING:
            changed |= _item(node, facts)
    return erase_dead(graph, facts) or changed


def _constant(before: Node, value: Any, t: T.Type) -> Value:
    made = Node("prim::Constant", (), [t], attributes={"value": value}, span=before.span)
    return made.insert_before(before).output


def _constant_metadata(node: Node, facts: Facts) -> bool:
    try:
        value = metadata(node, facts)
    except Unknown:
        return False
    node.replace_with(_constant(node, value, node.output.type))
    return True


def _is_writable(node: Node, facts: Facts) -> bool:
    """Erase the check of a tensor whose elements are known to lie apart."""
    fact = facts.get(node.inputs[0])
    if fact is None or is_expanded(fact.shape, fact.strides):
        return False
    node.erase()
    return True


def _known(node: Node, facts: Facts) -> bool:
    """A number or answer that follows from facts."""
    try:
        value = known_value(node.output, facts, metadata)
    except Unknown:
        return False
    if not fits_constant(value, node.output.type) or not node.output.is_used:
        return False
    # an If stays, for what it does besides
    node.output.replace_all_uses_with(_constant(node, value, node.output.type))
    return True


# ---- lists ----


def _constant_sizes(node: Node) -> bool:
    """Write the numbers of a known ``Size`` down one by one, where it is taken apart."""
    source, t = node.inputs[0], node.output.type
    if not source.is_constant or source.type != T.SIZE:
        return False
    if not is_only_read(node.output) and not are_read_only(node.output):
        return False
    numbers = [_constant(node, n, T.INT) for n in source.constant]
    made = Node("prim::ListConstruct", numbers, [t], span=node.span).insert_before(node)
    node.replace_with(made.output)
    _elements(made)
    return True


def _split(node: Node, facts: Facts) -> bool:
    """Write the parts of a split down as views, if its list is only read."""
    source = node.inputs[0]
    fact = facts.get(source)
    if fact is None or not is_only_read(node.output):
        return False
    parts = meta_result(node, facts)
    if parts is None:
        return False
    dim = _split_dim(node, len(fact.shape))
    if node.kind == "aten::unbind.int":
        return _unbind(node, fact, dim)
    start = 0
    views: list[Value] = []
    for part in parts:
        size = part.shape[dim]
        views.append(_slice(node, source, dim, start, start + size))
        start += size
    made = Node("prim::ListConstruct", views, [node.output.type], span=node.span)
    made.insert_before(node)
    node.replace_with(made.output)
    _elements(made)
    return True


def _broadcast(node: Node, facts: Facts) -> bool:
    """Write broadcast tensors down as expanded ones, if their list is only read."""
    made = node.inputs[0].node
    parts = meta_result(node, facts)
    if parts is None or made is None or made.kind != "prim::ListConstruct":
        return False
    if not is_only_read(node.output) or not is_fixed(made.output):
        return False
    sizes = [_constant(node, n, T.INT) for n in parts[0].shape]
    shape = Node("prim::ListConstruct", sizes, [T.ListType([T.INT])], span=node.span)
    shape.insert_before(node)
    off = _constant(node, False, T.BOOL)
    views = [_op(node, "aten::expand", [v, shape.output, off]) for v in made.inputs]
    parts = Node("prim::ListConstruct", views, [node.output.type], span=node.span)
    parts.insert_before(node)
    node.replace_with(parts.output)
    _elements(parts)
    return True


def _split_dim(node: Node, rank: int) -> int:
    assert node.schema is not None
    names = [a.name for a in node.schema.arguments]
    return int(node.inputs[names.index("dim")].constant) % max(rank, 1)


def _slice(before: Node, source: Value, dim: int, start: int, end: int) -> Value:
    numbers = [_constant(before, n, T.INT) for n in (dim, start, end, 1)]
    return _op(before, "aten::slice.Tensor", [source, *numbers])


def _op(before: Node, kind: str, inputs: Sequence[Value], result: T.Type = T.TENSOR) -> Value:
    made = Node(
        kind, inputs, [result], schema=schema_of(kind), span=before.span, scope=before.scope
    )
    return made.insert_before(before).output


def _unbind(node: Node, fact: TensorFact, dim: int) -> bool:
    """Each element that is read becomes a selection where it is read."""
    length = fact.shape[dim]
    changed = False
    for use in _reads(node.output):
        reader = use
        if reader.kind == "list::len":
            reader.replace_with(_constant(reader, length, T.INT))
        elif reader.kind == "list::getitem":
            index = reader.inputs[1]
            if index.is_constant and not -length <= index.constant < length:
                continue
            if not index.is_constant:
                _check_index(reader, index, length)
            number = _constant(reader, dim, T.INT)
            selected = _op(reader, "aten::select.int", [node.inputs[0], number, index])
            reader.replace_with(selected)
        else:
            continue
        changed = True
    return changed


def _check_index(reader: Node, index: Value, length: int) -> None:
    """IndexError where a list of this length has no such element."""
    low = _op(reader, "int::ge", [index, _constant(reader, -length, T.INT)], T.BOOL)
    high = _op(reader, "int::lt", [index, _constant(reader, length, T.INT)], T.BOOL)
    inside = _op(reader, "bool::and", [low, high], T.BOOL)
    check = Node(
        "list::check_index", [inside], schema=schema_of("list::check_index"), span=reader.span
    )
    check.insert_before(reader)


def _reads(value: Value) -> list[Node]:
    """The nodes that read a list, through conversions to tuples and back."""
    found: list[Node] = []
    for use in value.uses:
        if use.node.kind in PASSING:
            found += _reads(use.node.output)
        else:
            found.append(use.node)
    return found


def _elements(node: Node) -> bool:
    """Take lengths and elements of a list that is only read from where it is made."""
    if not isinstance(node.output.type, T.ListType) or not is_only_read(node.output):
        return False
    items = node.inputs
    changed = False
    for reader in _reads(node.output):
        if reader.kind == "list::len":
            reader.replace_with(_constant(reader, len(items), T.INT))
        elif reader.kind == "list::getitem" and reader.inputs[1].is_constant:
            index = reader.inputs[1].constant
            if not -len(items) <= index < len(items):
                continue
            item = items[index]
            if item.type != reader.output.type:
                continue
            reader.replace_with(item)
        elif reader.kind == "prim::TupleIndex":
            item = items[reader.attributes["index"]]
            if item.type != reader.output.type:
                continue
            reader.replace_with(item)
        else:
            continue
        changed = True
    return changed


# ---- numbers ----


def _item(node: Node, facts: Facts) -> bool:
    """``x.item()`` and ``x[i].item()``, whose type follows from the dtype."""
    fact, count = facts.get(node.inputs[0]), _READING[node.kind]
    if fact is None or fact.dtype.is_complex or len(fact.shape) < count:
        return False
    if math.prod(fact.shape[count:]) != 1:
        return False
    t = T.FLOAT if fact.dtype.is_floating_point else T.BOOL if fact.dtype == torch.bool else T.INT
    uses = [use.node for use in node.output.uses]
    if not all(u.kind in ("prim::isinstance", "prim::unchecked_cast") for u in uses):
        return False
    element = node.inputs[0]
    for index in node.inputs[1:]:
        element = _op(node, "aten::select.int", [element, _constant(node, 0, T.INT), index])
    number = _op(node, _NUMBERS[t], [element], t)
    for user in uses:
        if user.block is None:
            continue
        if user.kind == "prim::isinstance":
            answer = any(T.is_instance_of(t, wanted) for wanted in user.attributes["types"])
            user.replace_with(_constant(user, answer, T.BOOL))
        elif user.output.type == t:
            user.replace_with(number)
        # a cast to another type is never reached
    if not node.output.is_used:
        node.erase()
    return True


# ---- what is left over ----


def erase_dead(graph: Graph, facts: Facts) -> bool:
    """Erase unused ops that are known not to raise, since torch's shape rules accept them."""
    changed = False
    for node in reversed(list(graph.walk())):
        if node.block is None or any(o.is_used for o in node.outputs) or not node.outputs:
            continue
        if node.kind in ("prim::ListConstruct", *PASSING) or _cannot_raise(node, facts):
            node.erase()
            changed = True
    return changed


def _cannot_raise(node: Node, facts: Facts) -> bool:
    if not node.kind.startswith("aten::") or node.kind in _CHECKED:
        return False
    if op_effects(node.kind) & (Effect.WRITES | Effect.IO):
        return False
    if node.kind in SPLITTING:
        return meta_result(node, facts) is not None
    return all(o in facts for o in node.outputs)
