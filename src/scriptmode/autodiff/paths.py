"""Where tensors are in nested tuples."""

from __future__ import annotations

from collections.abc import Iterator

from scriptmode.autodiff.dual import DUAL, TENSORS, holds
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value

Path = tuple[int, ...]
Key = tuple[Value, Path]
IN_CONTAINERS: Path = (-2,)  # of an argument: the list of all tensors in its containers


def tensor_paths(t: T.Type) -> Iterator[Path]:
    """Where the tensors are inside a value of this type: in tuples, Optional or not."""
    t = T.unwrap_optional(t)
    if t == DUAL:
        return  # it has a cell
    if t == T.TENSOR:
        yield ()
    elif isinstance(t, T.TupleType):
        for index, element in enumerate(t.elements):
            for path in tensor_paths(element):
                yield (index, *path)


def result_parts(t: T.Type, path: Path = ()) -> Iterator[tuple[Path, T.Type]]:
    """What a result consists of: everything in it that is no tuple."""
    if isinstance(t, T.TupleType):
        for index, element in enumerate(t.elements):
            yield from result_parts(element, (*path, index))
    else:
        yield path, t


def root_paths(t: T.Type) -> Iterator[Path]:
    """The tensors in an argument of this type that may be differentiated by; a list is one."""
    if t == TENSORS:
        yield ()
        return
    yield from tensor_paths(t)
    if holds(t):
        yield IN_CONTAINERS
