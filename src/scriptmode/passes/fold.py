"""Compute ops on constants at compile time.

Before::

    graph f():
      %a: int = prim::Constant[value=3]()
      %b: int = prim::Constant[value=4]()
      %c: int = int::mul(%a, %b)
      return (%c)

After::

    graph f():
      %a: int = prim::Constant[value=3]()
      %b: int = prim::Constant[value=4]()
      %c: int = prim::Constant[value=12]()
      return (%c)

An op is computed by its meaning, so it must depend on nothing but its inputs.  What raises is left
to raise at run time.  Ops whose cost or result may be large for small inputs are left alone.
"""

from __future__ import annotations

from scriptmode.interp.values import has_type
from scriptmode.ir import types as T
from scriptmode.ir.graph import Graph, Node, Program
from scriptmode.ir.structural_rules import fits_constant
from scriptmode.ops import table
from scriptmode.ops.table import Effect, OpDef

_UNBOUNDED = frozenset(
    [
        "str::repeat", "str::center", "str::ljust", "str::rjust", "str::zfill", "str::expandtabs",
        "str::format", "int::format", "float::format", "str::replace", "str::join",
        "math::factorial", "math::comb", "math::perm",
    ]
)  # fmt: skip


def fold_constants(graph: Graph, program: Program | None = None) -> bool:
    """Return whether the graph changed."""
    changed = False
    for node in list(graph.walk()):
        if node.kind == "prim::isinstance":
            changed |= _fold_isinstance(node)
            continue
        definition = table.find(node.kind)
        if definition is not None and _is_foldable(node, definition):
            changed |= _fold(node, definition)
    return changed


def _is_foldable(node: Node, definition: OpDef) -> bool:
    return (
        not definition.effects & ~Effect.RAISES
        and len(node.outputs) == 1
        and node.kind not in _UNBOUNDED
        and all(value.is_constant for value in node.inputs)
    )


def _fold(node: Node, definition: OpDef) -> bool:
    try:
        value = definition.meaning(*(v.constant for v in node.inputs))
    except definition.raises:
        return False
    if not fits_constant(value, node.output.type):
        return False
    _replace(node, value)
    return True


def _fold_isinstance(node: Node) -> bool:
    value, types = node.inputs[0], node.attributes["types"]
    if node.attributes.get("exact"):
        t = value.type
        possible = [t, *t.subclasses] if isinstance(t, T.ClassType) else []
        answers = {p in types for p in possible}
        if len(answers) != 1:
            return False
        _replace(node, answers.pop())
        return True
    if any(T.is_instance_of(value.type, t) for t in types):
        _replace(node, True)
    elif value.is_constant:
        _replace(node, any(has_type(value.constant, t) for t in types))
    else:
        return False
    return True


def _replace(node: Node, value: object) -> None:
    constant = Node(
        "prim::Constant",
        (),
        [node.output.type],
        attributes={"value": value},
        span=node.span,
        scope=node.scope,
    )
    constant.output.name = node.output.name
    constant.insert_before(node)
    node.replace_with(constant.output)
