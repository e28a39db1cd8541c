"""Indices that move evenly through a counted loop.

::

    prim::Loop(%n, %true)
      block0(%i: int):
        %j: int = range::item(%first, %last, %one, %i)
        %k: int = int::sub(%j, %one)
        %x: int = list::getitem(%a, %k)      a[j - 1], j from first to last

``index_form(loop, value)`` says in which range a value lies: a counter or an item of a range, plus
or minus one value from outside of the loop, plus a constant.  What it says holds in every iteration
if it holds for the first and the last one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from scriptmode.ir.graph import Node, Value, ancestors

LARGEST_OFFSET = 2**31
ENDLESS = 2**62  # trips of loops that their condition ends


@dataclass(frozen=True)
class IndexForm:
    """``base + sign * outer + constant``; the base counts trips, or walks a range.

    ``item`` is the ``range::item`` that is the base, None for the loop's counter; ``is_fixed``:
    there is no base at all.  ``step`` is how much the base grows from one iteration to the next.
    """

    item: Node | None = None
    is_fixed: bool = False
    outer: Value | None = None
    sign: int = 0
    constant: int = 0
    step: int = 1

    def moved(self, by: int) -> IndexForm | None:
        """The same plus a constant."""
        constant = self.constant + by
        return replace(self, constant=constant) if abs(constant) < LARGEST_OFFSET else None


def is_outside(value: Value, loop: Node) -> bool:
    """Whether a value comes from outside of a loop."""
    return not any(block.owner is loop for block in ancestors(value.block))


def index_form(loop: Node, value: Value) -> IndexForm | None:
    """The form of an int that is used in ``loop``; None when it has none of these."""
    if is_outside(value, loop):
        if value.is_constant:
            return IndexForm(is_fixed=True).moved(value.constant) if value.constant >= 0 else None
        return IndexForm(is_fixed=True, outer=value, sign=1)
    if value is loop.blocks[0].params[0]:
        trips = loop.inputs[0]
        return None if trips.is_constant and trips.constant >= ENDLESS else IndexForm()
    node = value.node
    if node is None:
        return None
    if node.kind == "range::item":
        return _item_form(loop, node)
    if node.kind in ("int::add", "int::sub"):
        return _sum_form(loop, node)
    return None


def _item_form(loop: Node, node: Node) -> IndexForm | None:
    """An item of the range that the loop goes through."""
    trips = loop.inputs[0].node
    *limits, counter = node.inputs
    if counter is not loop.blocks[0].params[0] or trips is None or trips.kind != "range::length":
        return None
    if trips.inputs != limits or not all(is_outside(v, loop) for v in limits):
        return None
    # with an unknown step the check costs less than what LLVM does to the loop without it
    step = limits[2].constant if limits[2].is_constant else 0
    return IndexForm(item=node, step=step) if step != 0 else None


def _sum_form(loop: Node, node: Node) -> IndexForm | None:
    a, b = node.inputs
    sign = 1 if node.kind == "int::add" else -1
    if sign == 1 and is_outside(a, loop):
        a, b = b, a
    if is_outside(a, loop) or not is_outside(b, loop):
        return None
    form = index_form(loop, a)
    if form is None:
        return None
    if b.is_constant:
        return form.moved(sign * b.constant)
    return replace(form, outer=b, sign=sign) if form.outer is None else None
