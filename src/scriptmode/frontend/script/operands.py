"""Symbolic values as operands of torch calls."""

from __future__ import annotations

import torch

from scriptmode.frontend.operands import (
    ConstOperand,
    Operand,
    SequenceOperand,
    SliceOperand,
    ValueOperand,
)
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.enums import plain
from scriptmode.frontend.script.values import (
    Constant,
    IRValue,
    ListDisplay,
    PythonObject,
    SliceValue,
    Sugared,
    TupleDisplay,
    reading,
)
from scriptmode.ir import types as T

_DTYPE_CLASSES = (int, float, bool, complex)


def operand(e: Emitter, value: Sugared) -> Operand:
    """``value`` as the shared call resolution takes it."""
    value = reading(plain(e, value))
    match value:
        case IRValue():
            return ValueOperand(value.value)
        case Constant():
            return ConstOperand(value.value)
        case TupleDisplay(items=items):
            return SequenceOperand(tuple(operand(e, i) for i in items), "tuple")
        case ListDisplay(items=items):
            return SequenceOperand(tuple(operand(e, i) for i in items), "list")
        case SliceValue(start=start, stop=stop, step=step):
            return SliceOperand(_bound(e, start), _bound(e, stop), _bound(e, step))
        case PythonObject(object=obj):
            if obj in _DTYPE_CLASSES or isinstance(obj, torch.Generator):
                return ConstOperand(obj)
    return ValueOperand(e.value(value))


def _bound(e: Emitter, value: Sugared) -> Operand:
    """A bound of a slice; one that may be an int or a tensor is an int."""
    if isinstance(value, IRValue) and isinstance(value.type, T.UnionType):
        return ValueOperand(e.unit.index_value(e, value, "a slice index"))
    return operand(e, value)
