"""``jvp``: the derivative of a function in a direction, by a native program in forward mode.

::

    def step(x, v):
        return torch.tanh(x) * v

    result, moved = scriptmode.jvp(step, (x, v), (dx, dv))

The names and results are those of ``torch.func``, and so is what a function changes in its
arguments: it gets containers of its own.  Regions of ``torch.no_grad()`` cut, as for gradients.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

import torch
from torch.utils import _pytree as pytree

from scriptmode.jit.api import script
from scriptmode.jit.dispatch import Dispatcher, Variant
from scriptmode.jit.function import Compiled
from scriptmode.jit.in_step import InStep
from scriptmode.jit.pushforwards import Unpushed, is_differentiable
from scriptmode.runtime.boundary import unusual_state
from scriptmode.transforms.gradients import counts_outside, vjp

_REST = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def jvp(func: Callable[..., Any], primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
    """``func(*primals)`` and its derivative in the direction ``tangents``.

    Tangents have the structure, shapes and dtypes of the primals.  The program is differentiated in
    forward mode; where it has no such form, the derivative is the pull-back of the pull-back, which
    is linear in the cotangents.  So it is in a backward of the result, if that depends on what
    requires a gradient.
    """
    compiled = compiled_form(func)
    flat, structure = pytree.tree_flatten(primals)
    given = _directions(flat, tangents)
    needing: list[torch.Tensor] = []
    if torch.is_grad_enabled():
        needing = [*counts_outside(compiled, primals), *(g for g in given if g.requires_grad)]
    following = iter(given)
    parts = [
        next(following) if is_differentiable(t)
        else torch.zeros_like(t) if isinstance(t, torch.Tensor) else t
        for t in flat
    ]  # fmt: skip
    # in containers of its own: what the function changes is not the caller's
    own = pytree.tree_unflatten(flat, structure)
    found = _pushed(compiled, own, pytree.tree_unflatten(parts, structure), bool(needing))
    if found is None:
        return pulled_twice(compiled, primals, given)
    if not needing:
        return found
    leaves, result_structure = pytree.tree_flatten(found)
    again = _Again(compiled, own, given, [t for t in leaves if is_differentiable(t)])
    outputs = iter(_Node.apply(again, *dict.fromkeys(needing)))  # type: ignore[no-untyped-call]
    leaves = [next(outputs) if is_differentiable(t) else t for t in leaves]
    return pytree.tree_unflatten(leaves, result_structure)


class _Again:
    """A call whose result must be differentiable again: what a backward of it needs."""

    def __init__(
        self, compiled: Any, primals: Any, given: list[torch.Tensor], outputs: list[torch.Tensor]
    ) -> None:
        self.compiled, self.primals, self.given = compiled, primals, given
        self.outputs: list[torch.Tensor] = outputs

    def pull(self, needing: Sequence[torch.Tensor], grads: Sequence[Any]) -> Sequence[Any]:
        """The cotangents of what requires a gradient, by the pull-back of the pull-back."""
        again = torch.is_grad_enabled()
        with torch.enable_grad():
            both = pytree.tree_leaves(pulled_twice(self.compiled, self.primals, self.given))
            outputs = [t for t in both if is_differentiable(t)]
            pairs = [(o, g) for o, g in zip(outputs, grads, strict=True) if o.requires_grad]
            return torch.autograd.grad(
                [o for o, _ in pairs], needing, [g for _, g in pairs], create_graph=again,
                allow_unused=True,
            )  # fmt: skip


class _Node(torch.autograd.Function):
    """The node on torch's tape for such a call."""

    @staticmethod
    def forward(ctx: Any, again: _Again, *needing: torch.Tensor) -> tuple[torch.Tensor, ...]:
        outputs, again.outputs = again.outputs, []  # they lead to the node
        ctx.again = again
        ctx.save_for_backward(*needing)
        return tuple(t.detach() for t in outputs)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return None, *ctx.again.pull(ctx.saved_tensors, grads)


_COMPILED: weakref.WeakKeyDictionary[Any, Compiled] = weakref.WeakKeyDictionary()


def compiled_form(func: Callable[..., Any]) -> Any:
    """The compiled form of a function, which is kept as long as the function."""
    if isinstance(func, Compiled) or not isinstance(func, FunctionType):
        return func if isinstance(func, Compiled) else script(func)
    found = _COMPILED.get(func)
    if found is None:
        found = _COMPILED[func] = script(func)
    return found


def _directions(primals: Sequence[Any], tangents: Any) -> list[torch.Tensor]:
    """The tangents of the tensors that have one, in order; RuntimeError if they do not fit."""
    wanted = [t for t in primals if is_differentiable(t)]
    given = [t for t in pytree.tree_leaves(tangents) if is_differentiable(t)]
    if len(given) != len(wanted):
        raise RuntimeError(f"there are {len(given)} tangents for {len(wanted)} tensors")
    for primal, tangent in zip(wanted, given, strict=True):
        if primal.shape != tangent.shape:
            raise RuntimeError(
                f"a tangent has shape {list(tangent.shape)}, its tensor {list(primal.shape)}"
            )
    return [t if t.dtype == p.dtype else t.to(p.dtype) for p, t in zip(wanted, given, strict=True)]


def _pushed(
    compiled: Any, primals: tuple[Any, ...], tangents: tuple[Any, ...], is_repeated: bool
) -> Any:
    """The result and its tangent in forward mode; None where there is no such program.

    The instance's ``pushforwards.reason`` then says why.  With ``is_repeated``, the function may
    run once more.
    """
    dispatcher: Dispatcher = compiled._dispatcher
    unflatten = dispatcher._unflatten
    if dispatcher._flatten is not None and unflatten is not None:
        primals = tuple(dispatcher._flatten(primals, {}))
        tangents = tuple(dispatcher._flatten(tangents, {}))
    reason: str | None = None
    try:
        arguments = dispatcher._bind(primals, {})
        types = dispatcher._types_of(arguments)
    except TypeError as error:  # which the ordinary call raises again
        reason = str(error).partition("\n")[0]
    else:
        reason = unusual_state((*arguments.values(), *tangents), dispatcher.instance)
        if any(p.kind in _REST for p in dispatcher.signature.parameters.values()):
            reason = "it takes any number of arguments (*args or **kwargs)"
    if reason is not None:
        dispatcher.primary.pushforwards.reason = reason
        return None
    dispatcher._follow_captured()
    variant: Variant = dispatcher._variant_for_any(types, arguments)
    variant = dispatcher._knowing(variant, types, arguments)
    program, instance = variant.program, dispatcher.instance
    try:
        result, tangent = variant.pushforwards.call(
            program, variant.function, instance,
            lambda entry: InStep(entry, program, instance).around(entry),
            list(arguments.values()), tangents, is_repeated,
        )  # fmt: skip
    except Unpushed:
        return None
    return (result, tangent) if unflatten is None else (unflatten(result), unflatten(tangent))


def pulled_twice(compiled: Any, primals: tuple[Any, ...], given: list[torch.Tensor]) -> Any:
    """The same as the pull-back of the pull-back."""
    with torch.enable_grad():
        result, pull = vjp(compiled, *primals)
        flat, structure = pytree.tree_flatten(result)
        dummies = [
            torch.zeros_like(t).requires_grad_() if is_differentiable(t) else t for t in flat
        ]
        pulled = pull(pytree.tree_unflatten(dummies, structure))
        back = [t for t in pytree.tree_leaves(pulled) if is_differentiable(t)]
        pairs = [(b, g) for b, g in zip(back, given, strict=True) if b.requires_grad]
        inputs = [t for t in dummies if is_differentiable(t)]
        found = iter(
            torch.autograd.grad(
                [b for b, _ in pairs], inputs, [g for _, g in pairs], allow_unused=True,
                materialize_grads=True, create_graph=True,
            )
            if pairs
            else [torch.zeros_like(t) for t in inputs]
        )  # fmt: skip
    parts = [
        next(found) if is_differentiable(t)
        else torch.zeros_like(t) if isinstance(t, torch.Tensor) else t
        for t in flat
    ]  # fmt: skip
    return result, pytree.tree_unflatten(parts, structure)
