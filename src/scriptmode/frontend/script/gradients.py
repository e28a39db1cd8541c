"""``torch.autograd.grad`` and ``backward`` inside compiled code.

The ops of a compiled program record torch's own tape, so both are left to torch, which walks it.
"""

from __future__ import annotations

import torch

from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.handlers import OBJECT_CALLS
from scriptmode.frontend.script.iteration import items_of
from scriptmode.frontend.script.objects import call_python
from scriptmode.frontend.script.values import Arguments, Constant, Sugared
from scriptmode.ir import types as T


@OBJECT_CALLS(torch.autograd.grad)
def _grad(e: Emitter, given: Arguments) -> Sugared:
    """A tuple with a gradient for every input."""
    inputs = given.keywords.get("inputs", given.positional[1] if given.positional[1:] else None)
    if inputs is None:
        e.fail_type("torch.autograd.grad() takes outputs and inputs")
    unused = given.keywords.get("allow_unused", Constant(False))
    is_certain = isinstance(unused, Constant) and not unused.value
    gradient: T.Type = T.TENSOR if is_certain else T.optional_of(T.TENSOR)
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
