"""Shapes: what stays of a symbolic value when its IR values are taken out.

``flatten`` takes a value apart into IR values by a shape, ``rebuild`` puts it together from others.
``join_shapes`` finds the shape that both values fit: where two values agree at compile time the
agreement is kept, elsewhere they become IR values of a joined type.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.values import (
    Constant,
    DictDisplay,
    IRValue,
    IterableValue,
    ListDisplay,
    ModuleValue,
    Sugared,
    TupleDisplay,
)
from scriptmode.ir import types as T
from scriptmode.ir.graph import Block, Value, ancestors
from scriptmode.ir.growth import grown


@dataclass(frozen=True)
class Leaf:
    """An IR value of this type."""

    type: T.Type


@dataclass(frozen=True, eq=False)
class Static:
    """A value of ``prototype``'s kind and key over parts of these shapes."""

    prototype: Sugared
    key: Hashable
    parts: tuple[Shape, ...]

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Static)
            and type(self.prototype) is type(other.prototype)
            and self.key == other.key
            and self.parts == other.parts
        )

    def __hash__(self) -> int:
        return hash((type(self.prototype), self.key, self.parts))


Shape = Leaf | Static


def shape_of(e: Emitter, value: Sugared, *, general: bool = False) -> Shape:
    """Shape of a value; ``general`` makes constants IR values, for variables that change."""
    if isinstance(value, IRValue):
        return Leaf(value.type)
    if isinstance(value, Constant) and general:
        t = e.type_of(value)
        if t is not None:
            return Leaf(t)
    if isinstance(value, (ListDisplay, DictDisplay)) and not value.frozen:
        t = e.type_of(value)
        if t is not None:
            return Leaf(t)
    parts = tuple(shape_of(e, p, general=general) for p in value.parts())
    return Static(value, value.key(), parts)


def type_of_shape(e: Emitter, shape: Shape) -> T.Type | None:
    """The type of the built value; None when it exists at compile time only."""
    if isinstance(shape, Leaf):
        return shape.type
    match shape.prototype:
        case Constant():
            return e.type_of(shape.prototype)
        case ModuleValue():
            return shape.prototype.value.type
        case IterableValue(kind="range"):
            return T.RANGE
        case TupleDisplay():
            parts = [type_of_shape(e, p) for p in shape.parts]
            known = [p for p in parts if p is not None]
            return T.TupleType(known) if len(known) == len(parts) else None
    return None


def join_shapes(e: Emitter, a: Shape, b: Shape) -> Shape | None:
    """The least shape that values of both fit; None when there is none."""
    if a == b:
        return a
    if isinstance(a, Static) and isinstance(b, Static):
        same = type(a.prototype) is type(b.prototype) and a.key == b.key
        if same and len(a.parts) == len(b.parts):
            parts = [join_shapes(e, x, y) for x, y in zip(a.parts, b.parts, strict=True)]
            if all(p is not None for p in parts):
                return Static(a.prototype, a.key, tuple(p for p in parts if p is not None))
    x, y = _built_type(e, a), _built_type(e, b)
    if x is None or y is None:
        return None
    joined = T.join(x, y)
    return None if joined is None else Leaf(joined)


def join_in_turn(e: Emitter, before: Shape, after: Shape) -> Shape | None:
    """The join of the shapes that a variable has in turn: a tuple may grow from one to the next."""
    x, y = _built_type(e, before), _built_type(e, after)
    if x is not None and y is not None and x != y:
        found = grown(x, y)
        if found is not None:
            return Leaf(found)
    return join_shapes(e, before, after)


def _built_type(e: Emitter, shape: Shape) -> T.Type | None:
    """The type of the built value, functions as choices."""
    if isinstance(shape, Static):
        if isinstance(shape.prototype, TupleDisplay):
            parts = [_built_type(e, p) for p in shape.parts]
            known = [p for p in parts if p is not None]
            return T.TupleType(known) if len(known) == len(parts) else None
        found: T.Type | None = e.unit.choice_type_of_shape(e, shape)
        if found is not None:
            return found
    return type_of_shape(e, shape)


def flatten(e: Emitter, value: Sugared, shape: Shape) -> list[Value]:
    """The IR values of ``value`` in the order of ``shape``'s leaves."""
    if isinstance(shape, Leaf):
        return [e.value(value, shape.type)]
    parts = value.parts()
    assert len(parts) == len(shape.parts), "value does not fit its shape"
    return [v for p, s in zip(parts, shape.parts, strict=True) for v in flatten(e, p, s)]


def leaves(shape: Shape) -> list[T.Type]:
    """Types of the leaves, in order."""
    if isinstance(shape, Leaf):
        return [shape.type]
    return [t for part in shape.parts for t in leaves(part)]


def rebuild(e: Emitter, shape: Shape, values: Iterator[Value]) -> Sugared:
    """Put a value together from IR values."""
    if isinstance(shape, Leaf):
        return e.lift(next(values))
    if not shape.parts:
        return shape.prototype
    parts: list[Sugared] = []
    for part in shape.parts:
        # a part that must stay an IR value (of a module) is not lifted to a module itself
        if isinstance(shape.prototype, ModuleValue) and isinstance(part, Leaf):
            parts.append(IRValue(next(values)))
        else:
            parts.append(rebuild(e, part, values))
    return shape.prototype.with_parts(parts)


def ir_values(value: Sugared) -> Iterator[Value]:
    """Every IR value inside."""
    if isinstance(value, IRValue):
        yield value.value
    else:
        for part in value.parts():
            yield from ir_values(part)


def is_visible(value: Sugared, block: Block) -> bool:
    """Whether every IR value inside may be used in ``block``."""
    around = set(map(id, ancestors(block)))
    return all(id(v.block) in around for v in ir_values(value))


def same_value(a: Sugared, b: Sugared) -> bool:
    """Whether both are the same IR values under the same static kind."""
    if a is b:
        return True
    if isinstance(a, IRValue) and isinstance(b, IRValue):
        return a.value is b.value
    if type(a) is not type(b) or a.key() != b.key():
        return False
    left, right = a.parts(), b.parts()
    return len(left) == len(right) and all(
        same_value(x, y) for x, y in zip(left, right, strict=True)
    )


def root_of(value: Sugared) -> Sugared:
    """The value before conditions narrowed it."""
    if isinstance(value, (IRValue, Constant)) and value.origin is not None:
        return root_of(value.origin)
    return value


def stable_key(shape: Shape) -> Hashable:
    """The same for like values in every attempt; choices inside are not told apart."""
    if isinstance(shape, Leaf):
        return re.sub("Choice<[0-9|]*>", "Choice", str(shape.type))
    prototype = shape.prototype
    own: Hashable = shape.key
    if isinstance(prototype, ModuleValue):
        own = ("module", id(prototype.info.python))
    return (type(prototype), own, tuple(stable_key(p) for p in shape.parts))


def join_all(e: Emitter, shapes: Sequence[Shape]) -> Shape | None:
    """The join of several shapes."""
    joined: Shape | None = shapes[0]
    for shape in shapes[1:]:
        if joined is None:
            return None
        joined = join_shapes(e, joined, shape)
    return joined
