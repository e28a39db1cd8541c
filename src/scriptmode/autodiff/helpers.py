"""What reverse programs are made of besides rules: sums of cotangents."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from scriptmode.autodiff.rule import LINEAR, compiled, shared_function
from scriptmode.autodiff.rules import common
from scriptmode.ir import types as T
from scriptmode.ir.graph import Graph, copy_graph

MAYBE = T.optional_of(T.TENSOR)
COTANGENTS = T.ListType([MAYBE])


def accumulate(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    """The sum of two cotangents, either of which may be missing."""
    if a is None:
        return b
    if b is None:
        return a
    return a + b


def accumulate_list(into: list[Tensor | None], parts: list[Tensor | None]) -> None:
    """Add cotangents of the elements of a list to those that are known."""
    for i in range(len(into)):
        into[i] = accumulate(into[i], parts[i])


def accumulate_tensors(into: list[Tensor | None], parts: list[Tensor]) -> None:
    """The same for parts that are all there."""
    for i in range(len(into)):
        before = into[i]
        into[i] = parts[i] if before is None else before + parts[i]


def add_into(own: Tensor | None, part: Tensor | None) -> Tensor | None:
    """``accumulate`` in place: nothing else holds ``own``, nor then the result."""
    if part is None:
        return own
    if own is None:
        return part.clone()
    return own.add_(part)


def add_new_into(own: Tensor | None, part: Tensor) -> Tensor:
    """The same for a part that nothing else holds."""
    return part if own is None else own.add_(part)


@cache
def add_into_graph(own: T.Type, part: T.Type, is_new: bool) -> Graph:
    """``add_into`` for values of these types: Tensor or Tensor | None."""
    return compiled(add_new_into if is_new else add_into, (own, part))


@cache
def accumulate_graph(a: T.Type, b: T.Type) -> Graph:
    """``accumulate`` for values of these types: Tensor or Tensor | None."""
    return compiled(accumulate, (a, b))


@cache
def accumulate_list_graph(part: T.Type) -> Graph:
    """``accumulate_list`` for parts of this type of list."""
    function = accumulate_tensors if part == T.ListType([T.TENSOR]) else accumulate_list
    return compiled(function, (COTANGENTS, part))


def record(x: Tensor) -> Tensor:
    """A leaf of torch's tape in the memory of ``x``; one of integers records nothing.

    Where the program itself is recorded, because its result is differentiated again, what has a
    history keeps it.
    """
    if torch.is_grad_enabled() and x.requires_grad:
        return x
    leaf = x.detach()
    if leaf.dtype.is_floating_point or leaf.dtype.is_complex:
        leaf.requires_grad_(True)
    return leaf


def record_maybe(x: Tensor | None) -> Tensor | None:
    """``record`` of what may be missing."""
    return None if x is None else record(x)


def record_list(tensors: list[Tensor]) -> list[Tensor]:
    """``record`` of each."""
    return [record(x) for x in tensors]


def strip(x: Tensor) -> Tensor:
    """A result outside of torch's tape, unless the program itself is recorded."""
    return x if torch.is_grad_enabled() else x.detach()


def strip_list(tensors: list[Tensor]) -> list[Tensor]:
    """``strip`` of each."""
    return [strip(x) for x in tensors]


def pull(
    outputs: list[Tensor], grads: list[Tensor | None], inputs: list[Tensor | None]
) -> list[Tensor | None]:
    """Cotangents of leaves of torch's tape from those of what was recorded."""
    found: list[Tensor | None] = [None] * len(inputs)
    outs: list[Tensor] = []
    given: list[Tensor | None] = []
    for i in range(len(outputs)):
        grad = grads[i]
        if grad is not None and outputs[i].requires_grad:
            outs.append(outputs[i])
            given.append(grad)
    places: list[int] = []
    leaves: list[Tensor] = []
    for i in range(len(inputs)):
        leaf = inputs[i]
        if leaf is not None and leaf.requires_grad:
            places.append(i)
            leaves.append(leaf)
    if len(outs) > 0 and len(leaves) > 0:
        again = torch.is_grad_enabled()
        parts = torch.autograd.grad(
            outs, leaves, given, retain_graph=True, create_graph=again, allow_unused=True
        )
        for k in range(len(places)):
            found[places[k]] = parts[k]
    return found


@cache
def function_graph(name: str) -> Graph:
    """The function ``autodiff.NAME`` of forward and reverse programs."""
    found = shared_function(name)
    if found is not None:
        return found
    if name in LINEAR:
        graph = copy_graph(compiled(getattr(common, name.rpartition(".")[2]), LINEAR[name]))
        graph.name, graph.is_shared = name, True
        (result,) = graph.block.returns
        graph.return_type = result.type
        return graph
    maybe, tensors = MAYBE, T.ListType([T.TENSOR])
    function, types = {
        "autodiff.record": (record, (T.TENSOR,)),
        "autodiff.record_maybe": (record_maybe, (maybe,)),
        "autodiff.record_list": (record_list, (tensors,)),
        "autodiff.strip": (strip, (T.TENSOR,)),
        "autodiff.strip_list": (strip_list, (tensors,)),
    }[name]
    graph = copy_graph(compiled(function, types))
    graph.name = name
    return graph


def pull_graph() -> Graph:
    """``pull`` as a graph."""
    return compiled(pull, (T.ListType([T.TENSOR]), COTANGENTS, COTANGENTS))


def append_all(into: list[Tensor | None], tensors: list[Tensor]) -> None:
    """Append each."""
    for x in tensors:
        into.append(x)


def part(values: list[Tensor | None], start: int, stop: int) -> list[Tensor | None]:
    """``values[start:stop]``."""
    return values[start:stop]


def tensor_part(values: list[Tensor], start: int, stop: int) -> list[Tensor]:
    """``values[start:stop]``."""
    return values[start:stop]


def tensor_slice_graph() -> Graph:
    """``tensor_part`` as a graph."""
    return compiled(tensor_part, (T.ListType([T.TENSOR]), T.INT, T.INT))


def filled_leaves(found: list[Tensor | None], leaves: list[Tensor | None]) -> list[Tensor]:
    """Cotangents of leaves; for a missing one a tensor of bools, which no cotangent is."""
    made: list[Tensor] = []
    for i in range(len(leaves)):
        cotangent = found[i]
        made.append(torch.zeros(0, dtype=torch.bool) if cotangent is None else cotangent)
    return made


def unfilled(cotangent: Tensor) -> Tensor | None:
    """A cotangent, or None where ``filled_leaves`` found none."""
    return None if cotangent.dtype == torch.bool else cotangent


def unfilled_graph() -> Graph:
    """``unfilled`` as a graph."""
    return compiled(unfilled, (T.TENSOR,))


def unfilled_list(cotangents: list[Tensor]) -> list[Tensor | None]:
    """``unfilled`` of each."""
    return [unfilled(cotangent) for cotangent in cotangents]


def unfilled_list_graph() -> Graph:
    """``unfilled_list`` as a graph."""
    return compiled(unfilled_list, (T.ListType([T.TENSOR]),))


def filled_leaves_graph() -> Graph:
    """``filled_leaves`` as a graph."""
    return compiled(filled_leaves, (COTANGENTS, COTANGENTS))


def append_all_graph() -> Graph:
    """``append_all`` as a graph."""
    return compiled(append_all, (COTANGENTS, T.ListType([T.TENSOR])))


def slice_graph() -> Graph:
    """``part`` as a graph."""
    return compiled(part, (COTANGENTS, T.INT, T.INT))


def one(value: Tensor) -> Tensor:
    """The cotangent of a value that is differentiated."""
    if value.dim() != 0:
        raise RuntimeError(
            f"a gradient is that of a scalar tensor, and the value has shape {list(value.shape)}"
        )
    return torch.ones_like(value)


def filled(cotangent: Tensor | None, x: Tensor) -> Tensor:
    """A gradient: zeros where nothing depends on ``x``."""
    return torch.zeros_like(x) if cotangent is None else cotangent


def filled_list(cotangents: list[Tensor | None], tensors: list[Tensor]) -> list[Tensor]:
    """``filled`` for each."""
    return [filled(cotangents[i], tensors[i]) for i in range(len(tensors))]


def one_graph() -> Graph:
    """``one`` as a graph."""
    return compiled(one, (T.TENSOR,))


def filled_graph() -> Graph:
    """``filled`` as a graph."""
    return compiled(filled, (MAYBE, T.TENSOR))


def filled_list_graph() -> Graph:
    """``filled_list`` as a graph."""
    return compiled(filled_list, (COTANGENTS, T.ListType([T.TENSOR])))
