"""Values that the code of a TorchScript file writes out."""

from __future__ import annotations

import ast
import math
import operator
from typing import Any

from scriptmode.torchscript.sources import decoded
from scriptmode.torchscript.types import dotted

NOT_CONSTANT: Any = type("NotConstant", (), {})()
_NAMES = {"inf": math.inf, "nan": math.nan, "infj": complex(0, math.inf)}
_INT = 1 << 63
_OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub}


def constant_of(node: ast.expr) -> Any:
    """The int, float, bool, complex, str or None that an expression writes; or NOT_CONSTANT."""
    match node:
        case ast.Constant(value=str() as text):
            return decoded(text)
        case ast.Constant(value=bool() | float() | complex() | None as value):
            return value
        case ast.Constant(value=int() as value):
            return value if -_INT <= value < _INT else NOT_CONSTANT
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as value)):
            return -value if type(value) is int and value <= _INT else NOT_CONSTANT
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            value = constant_of(operand)
            return -value if type(value) in (float, complex) else NOT_CONSTANT
        case ast.Name(id=name):
            return _NAMES.get(name, NOT_CONSTANT)
        case ast.Attribute():
            names = dotted(node)
            found = names is not None and len(names) == 2 and names[0] == "math"
            return getattr(math, node.attr) if found and node.attr in _NAMES else NOT_CONSTANT
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            a, b = constant_of(left), constant_of(right)
            numbers = (int, float, complex)
            if type(a) in numbers and type(b) is complex:
                return _OPERATORS[type(op)](a, b)
    return NOT_CONSTANT
