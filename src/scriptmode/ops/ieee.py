"""Arithmetic on floats as IEEE 754 and C mean it: what Python raises for is infinite or NaN.

TorchScript files mean these; Python programs have the ops of ``scalars``.  With them are the
numbers that stand for dtypes in those files.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from scriptmode.ops.aten import SCALAR_TYPES
from scriptmode.ops.table import op


def _by_torch(name: str) -> Callable[..., float]:
    """The function of the C library, through an op of torch's that calls it."""
    function = getattr(torch, name)

    def run(*args: float) -> float:
        found: float = function(*(torch.tensor(a, dtype=torch.float64) for a in args)).item()
        return found

    return run


@op("ieee::div(float a, float b) -> float")
def divide(a: float, b: float) -> float:
    """``a / b``."""
    if b != 0:
        return a / b
    sign = math.copysign(1, a) * math.copysign(1, b)
    return math.nan if a == 0 or math.isnan(a) else sign * math.inf


@op("ieee::floordiv(float a, float b) -> float")
def floor_divide(a: float, b: float) -> float:
    """The floor of ``a / b``, which is rounded before."""
    found: float = divide(a, b)
    return float(math.floor(found)) if math.isfinite(found) and found != 0 else found


@op("ieee::fmod(float a, float b) -> float")
def remainder_of_truncation(a: float, b: float) -> float:
    """C's ``fmod``."""
    is_domain_error = b == 0 or math.isinf(a) or math.isnan(a) or math.isnan(b)
    return math.nan if is_domain_error else math.fmod(a, b)


@op("ieee::mod(float a, float b) -> float")
def modulo(a: float, b: float) -> float:
    """What is left of a division to the floor: of the sign of ``b``."""
    found: float = remainder_of_truncation(b + remainder_of_truncation(a, b), b)
    return found


@op("ieee::remainder(float a, float b) -> float")
def nearest_remainder(a: float, b: float) -> float:
    """What is left of a division to the nearest int."""
    is_domain_error = b == 0 or math.isinf(a) or math.isnan(a) or math.isnan(b)
    found: float = math.nan if is_domain_error else math.remainder(a, b)
    return found


@op("ieee::round(float a) -> float")
def round_to_even(a: float) -> float:
    """The nearest int, of two the even one."""
    return math.copysign(round(a), a) if math.isfinite(a) else a


op("ieee::pow(float a, float b) -> float")(_by_torch("pow"))
for _name in (
    "sqrt", "log", "log2", "log10", "log1p", "acos", "asin", "acosh", "atanh", "exp", "expm1",
    "sinh", "cosh", "sin", "cos", "tan",
):  # fmt: skip
    op(f"ieee::{_name}(float x) -> float")(_by_torch(_name))

_CODES = {dtype: code for code, dtype in SCALAR_TYPES.items()}

op("dtype::code(dtype self) -> int")(lambda self: _CODES[self])


@op("dtype::from_code(int code) -> dtype", raises=[RuntimeError])
def dtype_from_code(code: int) -> torch.dtype:
    """The dtype of that number."""
    if code not in SCALAR_TYPES:
        raise RuntimeError("there is no dtype of this number")
    return SCALAR_TYPES[code]
