"""Elementary functions as branch-free LLVM code, for fused loops over floats and doubles.

``emit`` writes a function out where it is called, on scalars or on explicit vectors::

    y = emit("tanh", builder, x)

All but ``fmod`` and ``remainder`` of doubles (which end in a call of libc) are straight-line code
of arithmetic, selects and bit operations, so that LLVM vectorises a loop around the scalar form.
Results are within 2 units in the last place of the exact ones (pow: 4), for all arguments:
subnormal numbers, infinities and signed zeros as in C99 and torch, NaN stays NaN.  Processors
without FMA get other code, equally exact.

``SMALL`` names cheaper forms for arguments of bounded size: a loop may run them first, note
whether an argument was too large, and run again if so.  LLVM takes vectors of 512 bits on Intel's
processors only in functions that have the attribute "prefer-vector-width"="512".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from scriptmode.codegen.elementwise import error_function as error
from scriptmode.codegen.elementwise import exponential as e
from scriptmode.codegen.elementwise import inverse_trigonometric as arc
from scriptmode.codegen.elementwise import logarithm, power, rounding
from scriptmode.codegen.elementwise import trigonometric as circle
from scriptmode.codegen.elementwise.lanes import Lanes

# name -> number of arguments, emitter
FUNCTIONS: dict[str, tuple[int, Callable[..., Lanes]]] = {
    "exp": (1, e.exp),
    "exp2": (1, e.exp2),
    "expm1": (1, e.expm1),
    "log": (1, logarithm.log),
    "log2": (1, logarithm.log2),
    "log10": (1, logarithm.log10),
    "log1p": (1, logarithm.log1p),
    "softplus": (1, logarithm.softplus),
    "sigmoid": (1, e.sigmoid),
    "silu": (1, e.silu),
    "tanh": (1, e.tanh),
    "sinh": (1, e.sinh),
    "cosh": (1, e.cosh),
    "erf": (1, error.erf),
    "erfc": (1, error.erfc),
    "gelu": (1, error.gelu),
    "gelu_tanh": (1, error.gelu_tanh),
    "sin": (1, circle.sin),
    "cos": (1, circle.cos),
    "tan": (1, circle.tan),
    "sin_small": (1, circle.sin_small),
    "cos_small": (1, circle.cos_small),
    "tan_small": (1, circle.tan_small),
    "asin": (1, arc.asin),
    "acos": (1, arc.acos),
    "atan": (1, arc.atan),
    "atan2": (2, arc.atan2),
    "pow": (2, power.pow),
    "hypot": (2, power.hypot),
    "sqrt": (1, rounding.sqrt),
    "rsqrt": (1, rounding.rsqrt),
    "reciprocal": (1, rounding.reciprocal),
    "floor": (1, rounding.floor),
    "ceil": (1, rounding.ceil),
    "trunc": (1, rounding.trunc),
    "round": (1, rounding.round_half_even),
    "sign": (1, rounding.sign),
    "relu": (1, rounding.relu),
    "minimum": (2, rounding.minimum),
    "maximum": (2, rounding.maximum),
    "fmod": (2, rounding.fmod),
    "remainder": (2, rounding.remainder),
}

# name -> the cheaper form, and how large |x| may be for floats and for doubles
SMALL: dict[str, tuple[str, float, float]] = {
    name: (f"{name}_small", circle.LIMITS[24], circle.LIMITS[53]) for name in ("sin", "cos", "tan")
}


def emit(name: str, builder: ir.IRBuilder, *arguments: Any) -> Any:
    """The value of function ``name``: arguments and result are of one type, which is float, double
    or a vector of these; raises KeyError when there is no such function."""
    arity, function = FUNCTIONS[name]
    if len(arguments) != arity:
        raise TypeError(f"{name} takes {arity} arguments, not {len(arguments)}")
    return function(*(Lanes(builder, a) for a in arguments)).value
