"""``torch.autograd.grad`` and ``backward`` inside compiled code.

The ops of a compiled program record torch's own tape.  ``grad`` is a call of libtorch's engine,
``autograd::grad`` in the IR; ``backward``, and options that only Python's function knows, are left
to Python.
"""

from __future__ import annotations

import torch

from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.handlers import OBJECT_CALLS
from scriptmode.frontend.script.iteration import items_of
from scriptmode.frontend.script.objects import call_python
from scriptmode.frontend.script.values import Arguments, Constant, Sugared
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value

MAYBE = T.optional_of(T.TENSOR)
_NAMES = (
    "outputs", "inputs", "grad_outputs", "retain_graph", "create_graph", "only_inputs",
    "allow_unused", "is_grads_batched", "materialize_grads",
)  # fmt: skip


@OBJECT_CALLS(torch.autograd.grad)
def _grad(e: Emitter, given: Arguments) -> Sugared:
    """A tuple with a gradient for every input."""
    bound = {**dict(zip(_NAMES, given.positional, strict=False)), **given.keywords}
    if "inputs" not in bound or "outputs" not in bound:
        e.fail_type("torch.autograd.grad() takes outputs and inputs")
    outputs = _tensors(e, bound["outputs"], T.TENSOR)
    inputs = _tensors(e, bound["inputs"], T.TENSOR)
    grads = _tensors(e, bound.get("grad_outputs", Constant(None)), MAYBE)
    unused = bound.get("allow_unused", Constant(None))
    plain = all(
        isinstance(bound.get(name, Constant(value)), Constant)
        and bound.get(name, Constant(value)) == Constant(value)
        for name, value in (
            ("only_inputs", True), ("is_grads_batched", False), ("materialize_grads", False)
        )
    )  # fmt: skip
    if None in (outputs, inputs, grads) or not plain or not isinstance(unused, Constant):
        return _left_to_python(e, given, bound)
    assert outputs is not None and inputs is not None and grads is not None
    b = e.builder
    if grads == []:
        none = b.constant(None, MAYBE)
        missing = b.list([none], MAYBE)
        outs = b.list(outputs, T.TENSOR) if isinstance(outputs, list) else outputs
        given_grads = b.op("list::repeat", missing, b.op("list::len", outs))
    else:
        outs = b.list(outputs, T.TENSOR) if isinstance(outputs, list) else outputs
        given_grads = b.list(grads, MAYBE) if isinstance(grads, list) else grads
    ins = b.list(inputs, T.TENSOR) if isinstance(inputs, list) else inputs
    retain = e.value(bound.get("retain_graph", Constant(None)))
    create = e.value(bound.get("create_graph", Constant(False)))
    allow = b.constant(bool(unused.value))
    found = b.op("autograd::grad", outs, ins, given_grads, retain, create, allow)
    e.forget_written()
    is_certain = not unused.value
    if isinstance(inputs, list):
        parts = [b.op("list::getitem", found, b.constant(index)) for index in range(len(inputs))]
        if is_certain:
            parts = [b.cast(part, T.TENSOR) for part in parts]
        return e.lift(b.tuple(parts))
    if is_certain:
        result = T.VarTupleType([T.TENSOR])
        return e.lift(b.node("prim::unchecked_cast", [_as_tuple(e, found)], [result]).output)
    return e.lift(_as_tuple(e, found))


def _as_tuple(e: Emitter, values: Value) -> Value:
    t = T.VarTupleType([MAYBE])
    schema = e.builder.resolve("tuple::from_list")
    return e.builder.node("tuple::from_list", [values], [t], schema=schema).output


def _tensors(e: Emitter, value: Sugared, element: T.Type) -> list[Value] | Value | None:
    """A tensor, or a sequence of them, as values or as one list; None when it is neither."""
    if isinstance(value, Constant) and value.value is None:
        return []
    if e.type_of(value) in (T.TENSOR, element):
        return [e.value(value)]
    items = items_of(e, value)
    if items is not None:
        found = [e.value(item) for item in items]
        return found if all(T.is_subtype(v.type, element) for v in found) else None
    t = e.type_of(value)
    if t == T.ListType([element]):
        return e.value(value)
    return None


def _left_to_python(e: Emitter, given: Arguments, bound: dict[str, Sugared]) -> Sugared:
    inputs = bound["inputs"]
    unused = bound.get("allow_unused", Constant(False))
    is_certain = isinstance(unused, Constant) and not unused.value
    gradient: T.Type = T.TENSOR if is_certain else MAYBE
    known = None if e.type_of(inputs) == T.TENSOR else items_of(e, inputs)
    result: T.Type = T.VarTupleType([gradient])
    if e.type_of(inputs) == T.TENSOR:
        result = T.TupleType([gradient])
    elif known is not None:
        result = T.TupleType([gradient] * len(known))
    return call_python(e, torch.autograd.grad, given, result)


@OBJECT_CALLS(torch.autograd.backward)
def _backward(e: Emitter, given: Arguments) -> Sugared:
    return call_python(e, torch.autograd.backward, given, T.NONE)
