"""``torch.autograd.grad`` and ``backward`` inside of a program."""

from __future__ import annotations

import torch

from scriptmode.ir import types as T
from scriptmode.ir.graph import Value
from scriptmode.torchscript.emitter import Emitter
from scriptmode.torchscript.ops.table import builtin

_MAYBE = T.optional_of(T.TENSOR)


@builtin("autograd.grad", "grad")
def grad(
    e: Emitter, outputs: Value, inputs: Value, grad_outputs: Value | None = None,
    retain_graph: Value | None = None, create_graph: Value | None = None,
    allow_unused: Value | None = None,
) -> Value | None:  # fmt: skip
    """The gradients of the inputs, each a tensor or None."""
    if grad_outputs is None or grad_outputs.type == T.NONE:
        missing = e.builder.list([e.constant(None, _MAYBE)], _MAYBE)
        grad_outputs = e.op("list::repeat", missing, e.op("list::len", outputs))
    given = e.fit(grad_outputs, T.ListType([_MAYBE]), "grad_outputs")
    return e.op(
        "autograd::grad", outputs, inputs, given,
        e.none() if retain_graph is None else retain_graph,
        create_graph or e.constant(False), allow_unused or e.constant(False),
    )  # fmt: skip


@builtin("autograd.backward", "backward")
def backward(
    e: Emitter, tensors: Value, grad_tensors: Value | None = None,
    retain_graph: Value | None = None, create_graph: Value | None = None,
) -> Value | None:  # fmt: skip
    """``torch.autograd.backward``, which Python runs."""
    given = [
        e.none() if grad_tensors is None else grad_tensors,
        e.none() if retain_graph is None else retain_graph,
        create_graph or e.constant(False),
    ]
    return e.builder.node(
        "prim::python_call", [tensors, *given], [T.NONE], function=torch.autograd.backward
    ).output
