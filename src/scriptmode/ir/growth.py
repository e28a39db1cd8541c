"""Tuples that grow: ``t = t + (x,)`` in a loop has no fixed length.

``Tuple[()]``, ``Tuple[int]``, ``Tuple[int, int]``, ... would go on for ever; where a type is looked
for that no longer changes, such tuples meet in ``Tuple[int, ...]``.
"""

from __future__ import annotations

from collections.abc import Sequence

from scriptmode.ir import types as T

_MOST_LENGTHS = 2  # of tuples side by side
MOST_NESTED = 12  # types inside of a type that is still looked for


def join_growing(a: T.Type, b: T.Type) -> T.Type | None:
    """The join of two types that one place has in turn; tuples of different lengths meet."""
    return grown(a, b) or T.join(a, b)


def join_elements(a: T.Type, b: T.Type) -> T.Type:
    """The join of what a container holds: tuples of many lengths are tuples of any length."""
    if type(a) is T.TupleType and type(b) is T.TupleType and len(a.elements) == len(b.elements):
        return T.TupleType([*map(join_elements, a.elements, b.elements)])
    joined = T.join(a, b) or T.ANY
    if len(T.unwrap_optional(joined).contained) > _MOST_LENGTHS:
        return grown(a, b) or joined
    return joined


def grown(a: T.Type, b: T.Type) -> T.Type | None:
    """``Tuple[T, ...]`` of tuples whose lengths differ; None of other types."""
    if not _tuples(a) or not _tuples(b):
        return None
    found = tuple_of_any_length(T.union_of([a, b]))
    return T.optional_of(found) if found and (T.is_optional(a) or T.is_optional(b)) else found


def tuple_of_any_length(t: T.Type) -> T.Type | None:
    """``Tuple[T, ...]`` of a union of tuples whose lengths differ; None of other types."""
    tuples = _tuples(t)
    lengths = {len(m.contained) if isinstance(m, T.TupleType) else -1 for m in tuples}
    if len(tuples) < 2 or (len(lengths) < 2 and lengths != {-1}):
        return None
    element: T.Type = T.NEVER
    for part in (part for m in tuples for part in m.contained):
        element = T.join(element, part) or T.ANY
    return T.VarTupleType([element])


def _tuples(t: T.Type) -> Sequence[T.Type]:
    """The tuples without names that a type has as its only values, besides None."""
    core = T.unwrap_optional(t)
    members = core.contained if isinstance(core, T.UnionType) else (core,)
    fits = all(type(m) is T.TupleType or isinstance(m, T.VarTupleType) for m in members)
    return members if fits else ()


def depth_of(t: T.Type) -> int:
    """How deeply types are nested in a type."""
    return 1 + max(map(depth_of, t.contained), default=0)
