"""Tensors within nested lists and tuples: the arguments and results of calls with gradients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from scriptmode.autodiff.paths import Path


def requires_grad(value: Any) -> bool:
    """Whether a tensor, or one of a list, requires a gradient."""
    if isinstance(value, torch.Tensor):
        return value.requires_grad
    return isinstance(value, list) and any(map(requires_grad, value))


def root_tensors(value: Any) -> list[torch.Tensor]:
    """A root: a tensor, or those of a list that require gradients."""
    return [v for v in value if v.requires_grad] if isinstance(value, list) else [value]


def at(value: Any, path: Path) -> Any:
    """The part at ``path``; None inside of None."""
    for index in path:
        if value is None:
            return None
        value = value[index]
    return value


def view_of(base: torch.Tensor, view: torch.Tensor) -> torch.Tensor:
    """A view of ``base`` like ``view``: of its parts if one is real and the other complex."""
    size, stride, start = view.size(), view.stride(), view.storage_offset()
    if view.is_complex() and not base.is_complex():
        parts = base.as_strided((*size, 2), (*(2 * s for s in stride), 1), 2 * start)
        made = torch.view_as_complex(parts)
    else:
        if base.is_complex() and not view.is_complex():
            base = torch.view_as_real(base.conj() if base.is_conj() else base)
        made = base.as_strided(size, stride, start)
    if made.is_conj() != view.is_conj():
        made = made.conj()
    return torch._neg_view(made) if made.is_neg() != view.is_neg() else made


def replaced(value: Any, path: Path, new: Any) -> Any:
    """A nested tuple with another element at ``path``."""
    if not path:
        return new
    if isinstance(value, list):  # made by the call
        value[path[0]] = replaced(value[path[0]], path[1:], new)
        return value
    items = list(value)
    items[path[0]] = replaced(items[path[0]], path[1:], new)
    make = getattr(type(value), "_make", tuple)
    return make(items)


class Outputs:
    """The tensors of a result that become outputs of the node: each once, no arguments."""

    def __init__(self, given: dict[int, torch.Tensor]) -> None:
        self.given = given
        self.fresh: list[torch.Tensor] = []
        self.places: list[tuple[Path, int]] = []
        self.kept: list[tuple[torch.Tensor, int]] = []
        self.views: list[tuple[Path | None, torch.Tensor, torch.Tensor]] = []
        self.elements: dict[int, int] = {}  # of containers: numbers by the ids of their tensors
        self._numbers: dict[int, int] = {}

    def take(self, path: Path, value: Any, is_kept: bool, may_view: bool, flag: Any) -> Any:
        """The number of the output whose cotangent belongs to this place; -1 for none.

        ``flag`` tells whether the tensor depends on anything that requires a gradient.

        A list of numbers for a list.  A tensor that the frame keeps gets another object: the frame
        must not hold what leads to the node, and whether it was written since is checked.
        """
        if isinstance(value, list):
            parts = zip(value, flag, strict=True)
            return [
                self.take((*path, i), v, is_kept, may_view, f) for i, (v, f) in enumerate(parts)
            ]
        number, is_new = self._take(path, value, is_kept, may_view, flag)
        if number >= 0:
            self.places.append((path, number))
        return number if is_new else -1  # its cotangent comes with the other one

    def take_element(self, value: Any, is_kept: bool, may_view: bool, flag: Any) -> int:
        """The same for a tensor in a container."""
        number, is_new = self._take(None, value, is_kept, may_view, flag)
        if number >= 0:
            self.elements[id(value)] = number
        return number if is_new else -1

    def _take(
        self, path: Path | None, value: Any, is_kept: bool, may_view: bool, flag: Any
    ) -> tuple[int, bool]:
        if value is None or not flag or id(value) in self.given:
            return -1, False
        if may_view:
            base = self._base_of(value)
            if base is not None:
                self.views.append((path, base, value))
                return -1, False
        number = self._numbers.get(id(value))
        if number is not None:
            return number, False
        number = self._numbers[id(value)] = len(self.fresh)
        self.fresh.append(value.detach() if is_kept else value)
        if is_kept:
            self.kept.append((value, value._version))
        return number, True

    def _base_of(self, value: torch.Tensor) -> torch.Tensor | None:
        """The argument whose memory a result is a view of."""
        place = value.untyped_storage().data_ptr()
        for tensor in self.given.values():
            if place and tensor.untyped_storage().data_ptr() == place:
                return tensor
        return None


def cotangent_of(number: Any, grads: Sequence[Any]) -> Any:
    """The cotangent of what ``Outputs.take`` gave a number; of each element of a list."""
    if isinstance(number, list):
        return [cotangent_of(n, grads) for n in number]
    return None if number < 0 else grads[number]


def all_tensors(values: Any) -> Iterator[torch.Tensor]:
    """The tensors in nested lists and tuples, in order."""
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from all_tensors(value)


def refilled(value: Any, tensors: Iterator[Any]) -> Any:
    """The same structure with other tensors."""
    if isinstance(value, torch.Tensor):
        return next(tensors)
    if isinstance(value, (list, tuple)):
        items = [refilled(v, tensors) for v in value]
        return items if isinstance(value, list) else getattr(type(value), "_make", tuple)(items)
    return value


def by_root(found: Sequence[Any], roots: Sequence[Any]) -> Iterator[Any]:
    """Cotangents in the order of the node's inputs."""
    for cotangent, root in zip(found, roots, strict=True):
        if isinstance(root, list):
            yield from (c for c, v in zip(cotangent, root, strict=True) if v.requires_grad)
        else:
            yield cotangent
