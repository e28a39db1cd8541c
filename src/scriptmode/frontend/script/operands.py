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
            return SliceOperand(operand(e, start), operand(e, stop), operand(e, step))
        case PythonObject(object=obj):
            if obj in _DTYPE_CLASSES or isinstance(obj, torch.Generator):
                return ConstOperand(obj)
    return ValueOperand(e.value(value))
