"""``grad``, ``value_and_grad``, ``vjp``, ``hessian``: gradients as functions.

::

    def loss(w, x):
        return ((x @ w) ** 2).sum()

    dw = scriptmode.grad(loss)(w, x)                      # one native program
    value, dw = scriptmode.value_and_grad(loss)(w, x)
    hessian = scriptmode.hessian(lambda v: (v ** 3).sum())(v)

Arguments may be tensors, or tuples, lists and dicts of them; a gradient has the structure of its
argument, with zeros where nothing depends on it.  Where the function has a reverse program, value
and gradient are one native program; otherwise, and where an argument requires a gradient itself
(so that the result must be differentiable again), torch's tape is used.  The names and results are
those of ``torch.func``, but ``value_and_grad`` returns the value first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils import _pytree as pytree

from scriptmode.autodiff.problems import NotDifferentiable
from scriptmode.autodiff.programs import gradient_program
from scriptmode.jit.api import script
from scriptmode.jit.dispatch import Variant
from scriptmode.jit.function import Compiled
from scriptmode.jit.pipeline import compile_native
from scriptmode.jit.pushforwards import is_differentiable
from scriptmode.runtime.boundary import make_entry

Argnums = int | Sequence[int]


class _Misfit(Exception):
    """A call that the native program does not take."""


def _misfit(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    raise _Misfit


class Gradient:
    """What ``grad`` and ``value_and_grad`` return; ``reason`` says why torch's tape is used."""

    def __init__(
        self, function: Callable[..., Any], argnums: Argnums, has_aux: bool, with_value: bool
    ) -> None:
        self.function = function
        self.argnums = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        self.is_single = isinstance(argnums, int)
        self.has_aux = has_aux
        self.with_value = with_value
        self.reason = ""
        self._compiled: Any = function if isinstance(function, Compiled) else script(function)
        self._entries: dict[Any, Callable[..., Any] | None] = {}

    def __call__(self, *args: Any) -> Any:
        value, gradients = self._value_and_gradients(args)
        found = gradients[0] if self.is_single else tuple(gradients)
        if self.has_aux:
            value, aux = value
            return ((value, aux), found) if self.with_value else (found, aux)
        return (value, found) if self.with_value else found

    def _value_and_gradients(self, args: tuple[Any, ...]) -> tuple[Any, Sequence[Any]]:
        for number in self.argnums:
            _check_dtypes(args[number])
        again = torch.is_grad_enabled() and bool(counts_outside(self._compiled, args))
        if not again:
            entry = self._entry(args)
            if entry is not None:
                try:
                    with torch.no_grad():
                        value, found = entry(*args)
                        return value, found
                except _Misfit:
                    pass
        return self._by_tape(args, again)

    def _entry(self, args: tuple[Any, ...]) -> Callable[..., Any] | None:
        """The native program for arguments of these types."""
        dispatcher = self._compiled._dispatcher
        try:
            bound = dispatcher._bind(args, {})
            variant: Variant = dispatcher.variant_for(dispatcher._types_of(bound))
        except TypeError:  # containers that the boundary does not know
            return None
        key = id(variant)
        if key not in self._entries:
            self._entries[key] = self._compile(variant, dispatcher.instance)
        return self._entries[key]

    def _compile(self, variant: Variant, instance: Any) -> Callable[..., Any] | None:
        try:
            program = gradient_program(
                variant.program, variant.function, self.argnums, self.has_aux
            )
        except NotDifferentiable as error:
            self.reason = str(error)
            return None
        graph = program.graph
        graph.kwarg_only.clear()
        return make_entry(
            compile_native(program), graph.name, graph, slow=_misfit, instance=instance
        )

    def _by_tape(self, args: tuple[Any, ...], again: bool) -> tuple[Any, Sequence[Any]]:
        """The same by torch's tape; ``again``: differentiable again."""
        with torch.enable_grad():
            chosen, spec, given, inputs = [], [], list(args), []
            for number in self.argnums:
                flat, structure = pytree.tree_flatten(args[number])
                own = [_variable(t, again) for t in flat]
                given[number] = pytree.tree_unflatten(own, structure)
                chosen.append(own)
                spec.append(structure)
                inputs += [t for t in own if isinstance(t, torch.Tensor)]
            value = self._compiled(*given)
            output = value[0] if self.has_aux else value
            if not isinstance(output, torch.Tensor) or output.dim() != 0:
                what = list(output.shape) if isinstance(output, torch.Tensor) else type(output)
                raise RuntimeError(
                    f"a gradient is that of a scalar tensor, and the value has shape {what}"
                )
            found = iter(
                torch.autograd.grad(
                    output, inputs, create_graph=again, allow_unused=True, materialize_grads=True
                )
                if output.requires_grad
                else [torch.zeros_like(t) for t in inputs]
            )
        gradients = []
        for own, structure in zip(chosen, spec, strict=True):
            parts = [next(found) if isinstance(t, torch.Tensor) else t for t in own]
            gradients.append(pytree.tree_unflatten(parts, structure))
        if not again:
            value = pytree.tree_map_only(torch.Tensor, torch.Tensor.detach, value)
        return value, gradients


def counts_outside(compiled: Any, args: tuple[Any, ...]) -> list[torch.Tensor]:
    """What requires a gradient itself, and the result may depend on."""
    primary = compiled._dispatcher.primary
    module = compiled._dispatcher.self_object
    objects = [*primary.program.globals.values(), *([] if module is None else [module])]
    modules = [o for o in objects if isinstance(o, torch.nn.Module)]
    nodes = [n for graph in primary.program.functions.values() for n in graph.walk()]
    constants = [n.attributes["value"] for n in nodes if n.kind == "prim::Constant"]
    parameters = [p for m in modules for p in m.parameters()]
    found = [*pytree.tree_leaves(args), *objects, *constants, *parameters]
    return [t for t in found if isinstance(t, torch.Tensor) and t.requires_grad]


def _check_dtypes(argument: Any) -> None:
    for t in pytree.tree_leaves(argument):
        if isinstance(t, torch.Tensor) and not is_differentiable(t):
            raise RuntimeError(f"there is no gradient by a tensor of {t.dtype}")


def _variable(value: Any, again: bool) -> Any:
    """A tensor to differentiate by: itself where it has a history that counts."""
    if not isinstance(value, torch.Tensor) or (again and value.requires_grad):
        return value
    return value.detach().requires_grad_()


def grad(func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Gradient:
    """A function that gives the gradient of ``func``, which returns a scalar tensor.

    Parameters
    ----------
    func
        A function, a module, or a compiled one of either.
    argnums
        The argument to differentiate by, or several: the gradient is then a tuple.
    has_aux
        ``func`` returns ``(scalar, anything)``; the result is ``(gradient, anything)``.
    """
    return Gradient(func, argnums, has_aux, with_value=False)


def value_and_grad(
    func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Gradient:
    """A function that gives ``(value, gradient)``; the parameters are those of ``grad``."""
    return Gradient(func, argnums, has_aux, with_value=True)


def vjp(func: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., tuple[Any, ...]]]:
    """``func(*primals)`` and the function that pulls cotangents of its results back to the primals.

    The cotangents have the structure of the results; those of the primals come as a tuple.
    """
    compiled: Any = func if isinstance(func, Compiled) else script(func)
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        flat, structure = pytree.tree_flatten(primals)
        own = [_variable(t, again) if is_differentiable(t) else t for t in flat]
        result = compiled(*pytree.tree_unflatten(own, structure))
    outputs, result_structure = pytree.tree_flatten(result)

    def pull(cotangents: Any) -> tuple[Any, ...]:
        given, given_structure = pytree.tree_flatten(cotangents)
        if given_structure != result_structure:
            raise RuntimeError("the cotangents do not have the structure of the results")
        pairs = [
            (o, g)
            for o, g in zip(outputs, given, strict=True)
            if isinstance(o, torch.Tensor) and o.requires_grad
        ]
        inputs = [t for t in own if is_differentiable(t)]
        with torch.enable_grad():
            found = iter(
                torch.autograd.grad(
                    [o for o, _ in pairs], inputs, [g for _, g in pairs],
                    retain_graph=True, create_graph=again, allow_unused=True,
                    materialize_grads=True,
                )
                if pairs and inputs
                else [torch.zeros_like(t) for t in inputs]
            )  # fmt: skip
        parts = [next(found) if is_differentiable(t) else t for t in own]
        back: tuple[Any, ...] = pytree.tree_unflatten(parts, structure)
        return back

    plain = result
    if not again:
        plain = pytree.tree_map_only(torch.Tensor, torch.Tensor.detach, result)
    return plain, pull


def hessian(func: Callable[..., Any], argnums: int = 0) -> Callable[..., torch.Tensor]:
    """A function that gives the matrix of second derivatives by one tensor argument.

    For an argument of shape S it has the shape S + S.
    """
    first = grad(func, argnums)

    def second(*args: Any) -> torch.Tensor:
        x: torch.Tensor = args[argnums]
        again = torch.is_grad_enabled() and x.requires_grad
        with torch.enable_grad():
            own = x if again else x.detach().requires_grad_()
            given = [*args]
            given[argnums] = own
            slope = first(*given)
            rows = []
            for part in slope.reshape(-1):
                if part.requires_grad:
                    (row,) = torch.autograd.grad(
                        part, own, retain_graph=True, create_graph=again, allow_unused=True,
                        materialize_grads=True,
                    )  # fmt: skip
                else:
                    row = torch.zeros_like(x)
                rows.append(row)
        if not rows:
            return x.new_zeros((*x.shape, *x.shape))
        return torch.stack(rows).reshape((*x.shape, *x.shape))

    return second
