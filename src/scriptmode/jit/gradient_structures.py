"""Python containers and objects that hold tensors: arguments and results of calls with gradients.

All of these go through a value as the functions of ``autodiff.structures`` do, led by its type in
the program, and count only tensors in containers and attributes, not those in tuples alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch

from scriptmode.autodiff.dual import holds, touches
from scriptmode.ir import types as T

_LISTS = (T.ListType, T.VarTupleType)


def tensors_in(value: Any, t: T.Type, within: bool = False) -> Iterator[torch.Tensor]:
    """The tensors in the containers of a value, in order; ``within`` one, tensors count."""
    for found in leaves_in(value, t, within):
        if isinstance(found, torch.Tensor):
            yield found


def leaves_in(value: Any, t: T.Type, within: bool = False) -> Iterator[Any]:
    """What stands for the tensors in the containers of a value, in order."""
    if not (touches(t) if within else holds(t)) or value is None:
        return
    if t == T.TENSOR:
        yield value
    for _, part, inner, is_within in _parts(value, t, within):
        yield from leaves_in(part, inner, is_within)


def _parts(value: Any, t: T.Type, within: bool) -> list[tuple[Any, Any, T.Type, bool]]:
    """The parts of a value: key, part, type, and whether it is inside of a container."""
    if isinstance(t, T.OptionalType):
        return _parts(value, t.element, within) if t.element != T.TENSOR else [
            (None, value, T.TENSOR, within)
        ]  # fmt: skip
    if isinstance(t, T.TupleType) and isinstance(value, tuple):
        return [(i, v, e, within) for i, (v, e) in enumerate(zip(value, t.elements, strict=False))]
    if isinstance(t, _LISTS) and isinstance(value, (list, tuple)):
        return [(i, v, t.contained[0], True) for i, v in enumerate(value)]
    if isinstance(t, T.DictType) and isinstance(value, dict):
        return [(key, v, t.value, True) for key, v in value.items()]
    if isinstance(t, T.ClassType):
        return [
            (name, getattr(value, name), slot, True)
            for name, slot in t.attributes.items()
            if hasattr(value, name)
        ]
    return []


def is_shared(values: Iterable[tuple[Any, T.Type]]) -> bool:
    """Whether a container or object occurs twice, or is nested too deep to be gone through."""
    seen: set[int] = set()
    pending = [(value, t, False, 0) for value, t in values]
    while pending:
        found, t, within, depth = pending.pop()
        if found is None or not (touches(t) if within else holds(t)):
            continue
        plain = T.unwrap_optional(t)
        if not isinstance(plain, (T.TupleType, T.VarTupleType)) and plain != T.TENSOR:
            if id(found) in seen or depth > _DEEPEST:
                return True
            seen.add(id(found))
        parts = _parts(found, t, within)
        pending += [(part, inner, deeper, depth + 1) for _, part, inner, deeper in parts]
    return False


_DEEPEST = 200


def rebuilt(
    value: Any, t: T.Type, leaf: Callable[[Any], Any], memo: dict[int, Any], is_new: bool,
    within: bool = False,
) -> Any:  # fmt: skip
    """A value whose tensors are what ``leaf`` gives for what stands in their places.

    With ``is_new`` in containers of its own, else in these.  ``memo`` has what was made of each
    container, by its id.
    """
    if value is None or not (touches(t) if within else holds(t)):
        return value
    if isinstance(t, T.OptionalType):
        return rebuilt(value, t.element, leaf, memo, is_new, within)
    if t == T.TENSOR:
        return leaf(value)
    known = memo.get(id(value), _ABSENT)
    if known is not _ABSENT:
        return known
    if isinstance(value, tuple):
        if isinstance(value, torch.Size):
            return value
        items = list(value)
        for key, part, inner, deeper in _parts(value, t, within):
            items[key] = rebuilt(part, inner, leaf, memo, is_new, deeper)
        made = getattr(type(value), "_make", tuple)(items)
        memo[id(value)] = made
        return made
    made = memo[id(value)] = _like(value) if is_new else value
    parts = _parts(value, t, within)
    if is_new and not isinstance(t, T.ClassType):
        fill(made, value)
    for key, part, inner, deeper in parts:
        found = rebuilt(part, inner, leaf, memo, is_new, deeper)
        if isinstance(t, T.ClassType):
            object.__setattr__(made, key, found)
        else:
            made[key] = found
    return made


_ABSENT: Any = object()


def _like(value: Any) -> Any:
    """An empty container, or object, of the same class."""
    if isinstance(value, (list, dict)):
        return type(value)()
    made = object.__new__(type(value))
    if hasattr(value, "__dict__"):
        made.__dict__.update(value.__dict__)
    return made


def fill(into: Any, source: Any) -> None:
    """Give a list or dict what another one holds."""
    if isinstance(into, list):
        into[:] = source
    else:
        into.clear()
        into.update(source)


def update(into: Any, source: Any, t: T.Type) -> None:
    """Give a container, or object, what has become of its copy in the program."""
    if isinstance(t, T.ClassType):
        for name in t.attributes:
            found = getattr(source, name)
            if getattr(into, name, _ABSENT) is not found:
                object.__setattr__(into, name, found)
    else:
        fill(into, source)


def own_copy(value: Any, t: T.Type) -> Any:
    """The same tensors in containers and objects of their own."""
    return rebuilt(value, t, lambda tensor: tensor, {}, True)


class Ending:
    """Takes the duals in a result for tensors, when the node has given its outputs.

    ``final`` has the output, or view, by the id of the tensor in whose place it belongs.
    """

    def __init__(self, final: Mapping[int, torch.Tensor]) -> None:
        self.final = final
        self.memo: dict[int, Any] = {}

    def tensor(self, dual: tuple[torch.Tensor, Any, bool]) -> torch.Tensor:
        """The tensor for a dual."""
        return self.final.get(id(dual[0]), dual[0])

    def give_back(self, own: Any, argument: Any, t: T.Type) -> None:
        """Let an argument be what the program's structure for it has become."""
        rebuilt(own, t, self.tensor, {}, False)
        update(argument, own, t)
        self.memo[id(own)] = argument

    def result(self, value: Any, t: T.Type) -> Any:
        """The result itself."""
        return rebuilt(value, t, self.tensor, self.memo, False)
