"""Ops that compute each element from the elements at the same place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from scriptmode.analysis.facts import TensorFact
from scriptmode.loops.expr import Const, Expr, apply, cast, const
from scriptmode.loops.kernel import (
    KernelBuilder,
    Lazy,
    NotLowered,
    elementwise,
    fitting,
    number,
    select,
)
from scriptmode.loops.lowering import fixed, lowers

# dtypes that kernels compute in
SUPPORTED = frozenset(
    [
        torch.float32, torch.float64, torch.int64, torch.int32, torch.int16, torch.int8,
        torch.uint8, torch.bool,
    ]
)  # fmt: skip


def common_dtype(*operands: Any) -> torch.dtype:
    """The dtype in which torch computes with these tensors and numbers."""
    # by torch's own rules, on tensors without elements that matter
    samples = [_sample(o) for o in operands]
    found = samples[0].dtype if isinstance(samples[0], torch.Tensor) else None
    result: Any = samples[0]
    for sample in samples[1:]:
        found = torch.result_type(result, sample)
        rank = max(_rank(result), _rank(sample))
        result = torch.empty((1,) * rank, dtype=found)
    assert found is not None
    return found


def _rank(sample: Any) -> int:
    return sample.dim() if isinstance(sample, torch.Tensor) else 0


def _sample(operand: Any) -> Any:
    if isinstance(operand, Lazy):
        return torch.empty((1,) * operand.rank, dtype=operand.dtype)
    if isinstance(operand, Expr):
        return {torch.int64: 1, torch.float64: 1.0, torch.bool: True}[operand.dtype]
    if not isinstance(operand, (int, float, bool)):
        raise NotLowered("an operand is no real number")
    return operand


def in_dtype(operand: Any, dtype: torch.dtype) -> Any:
    """A number as an expression of ``dtype``; tensors are cast where they are read."""
    return operand if isinstance(operand, Lazy) else number(operand, dtype)


def computed(
    out: TensorFact, make: Callable[..., Expr], dtype: torch.dtype, *operands: Any
) -> Lazy:
    """``make`` over operands in ``dtype``; its result is cast to the result's dtype."""
    if dtype not in SUPPORTED or out.dtype not in SUPPORTED:
        raise NotLowered(f"kernels do not compute in {dtype}")

    def element(*values: Expr) -> Expr:
        return cast(make(*(cast(v, dtype) for v in values)), out.dtype)

    return elementwise(element, out.dtype, out.shape, *(in_dtype(o, dtype) for o in operands))


def scaled(value: Expr, factor: Any) -> Expr:
    """``value * factor``, where the factor may be 1."""
    factor = number(factor, value.dtype)
    if isinstance(factor, Const) and factor.value == 1:
        return value
    return apply("mul", value, factor)


# ---- one operand, result in floating point ----

_FLOATING = (
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "tanh", "sigmoid", "erf", "erfc",
    "sin", "cos", "tan", "sinh", "cosh", "asin", "acos", "atan", "sqrt", "rsqrt",
)  # fmt: skip


def _register_floating(name: str) -> None:
    @lowers(f"aten::{name}")
    def lowering(k: KernelBuilder, out: TensorFact, x: Lazy) -> Lazy:
        return computed(out, lambda a: apply(name, a), out.dtype, x)


for _name in _FLOATING:
    _register_floating(_name)


@lowers("aten::reciprocal")
def reciprocal(k: KernelBuilder, out: TensorFact, x: Lazy) -> Lazy:
    """``1 / x``."""
    return computed(out, lambda a: apply("div", const(1, out.dtype), a), out.dtype, x)


def _register_exact(name: str) -> None:
    @lowers(f"aten::{name}")
    def lowering(k: KernelBuilder, out: TensorFact, x: Lazy) -> Lazy:
        if not out.dtype.is_floating_point and name != "neg" and name != "abs":
            return computed(out, lambda a: a, out.dtype, x)
        if out.dtype in (torch.bool, torch.uint8) and name == "abs":
            return computed(out, lambda a: a, out.dtype, x)
        return computed(out, lambda a: apply(name, a), out.dtype, x)


for _name in ("neg", "abs", "floor", "ceil", "trunc", "round"):
    _register_exact(_name)


@lowers("aten::square")
def square(k: KernelBuilder, out: TensorFact, x: Lazy) -> Lazy:
    """``x * x``."""
    return computed(out, lambda a: apply("mul", a, a), out.dtype, x)


@lowers("aten::relu")
def relu(k: KernelBuilder, out: TensorFact, x: Lazy) -> Lazy:
    """``max(x, 0)``, NaN stays."""
    return computed(out, positive_part, out.dtype, x)


def positive_part(a: Expr) -> Expr:
    """0 where a value is less than 0."""
    zero = const(0, a.dtype)
    return select(apply("lt", a, zero, dtype=torch.bool), zero, a)


@lowers("aten::leaky_relu")
def leaky_relu(k: KernelBuilder, out: TensorFact, x: Lazy, slope: Any) -> Lazy:
    """``x`` where it is positive, else ``x * slope``."""

    def element(a: Expr) -> Expr:
        positive = apply("gt", a, const(0, a.dtype), dtype=torch.bool)
        return select(positive, a, apply("mul", a, number(slope, a.dtype)))

    return computed(out, element, out.dtype, x)


@lowers("aten::elu")
def elu(k: KernelBuilder, out: TensorFact, x: Lazy, alpha: Any, scale: Any, inner: Any) -> Lazy:
    """``scale * (x where positive, else alpha * expm1(inner * x))``."""

    def element(a: Expr) -> Expr:
        positive = apply("gt", a, const(0, a.dtype), dtype=torch.bool)
        curve = apply("mul", number(alpha, a.dtype), apply("expm1", scaled(a, inner)))
        return scaled(select(positive, a, curve), scale)

    return computed(out, element, out.dtype, x)


@lowers("aten::silu")
def silu(k: KernelBuilder, out: TensorFact, x: Lazy) -> Lazy:
    """``x * sigmoid(x)``."""
    return computed(out, lambda a: apply("mul", a, apply("sigmoid", a)), out.dtype, x)


@lowers("aten::gelu")
def gelu(k: KernelBuilder, out: TensorFact, x: Lazy, approximate: str) -> Lazy:
    """Gaussian error linear unit, by the error function or tanh's approximation."""

    def exact(a: Expr) -> Expr:
        root = const(0.7071067811865476, a.dtype)
        half = apply("mul", a, const(0.5, a.dtype))
        inner = apply("erf", apply("mul", a, root))
        return apply("mul", half, apply("add", inner, const(1, a.dtype)))

    def by_tanh(a: Expr) -> Expr:
        cube = apply("mul", apply("mul", a, a), a)
        inner = apply("add", a, apply("mul", cube, const(0.044715, a.dtype)))
        curve = apply("tanh", apply("mul", inner, const(0.7978845608028654, a.dtype)))
        half = apply("mul", a, const(0.5, a.dtype))
        return apply("mul", half, apply("add", curve, const(1, a.dtype)))

    return computed(out, by_tanh if fixed(approximate) == "tanh" else exact, out.dtype, x)


@lowers("aten::softplus")
def softplus(k: KernelBuilder, out: TensorFact, x: Lazy, beta: Any, threshold: Any) -> Lazy:
    """``log(1 + exp(beta * x)) / beta``, linear above the threshold."""

    def element(a: Expr) -> Expr:
        b = number(beta, a.dtype)
        inner = apply("mul", a, b)
        linear = apply("gt", inner, number(threshold, a.dtype), dtype=torch.bool)
        curve = apply("div", apply("log1p", apply("exp", inner)), b)
        return select(linear, a, curve)

    return computed(out, element, out.dtype, x)


@lowers("aten::hardtanh", "aten::clamp", "aten::clip")
def clamp(k: KernelBuilder, out: TensorFact, x: Lazy, low: Any, high: Any) -> Lazy:
    """Between two bounds, either of which may be None; NaN stays."""
    bounds = [
        (name, fitting(bound, out.dtype))
        for bound, name in ((low, "maximum"), (high, "minimum"))
        if bound is not None
    ]

    def element(a: Expr) -> Expr:
        for name, bound in bounds:
            a = apply(name, a, bound)
        return a

    return computed(out, element, out.dtype, x)


@lowers("aten::clamp_min")
def clamp_min(k: KernelBuilder, out: TensorFact, x: Lazy, low: Any) -> Lazy:
    """At least ``low``."""
    return clamp(k, out, x, low, None)


@lowers("aten::clamp_max")
def clamp_max(k: KernelBuilder, out: TensorFact, x: Lazy, high: Any) -> Lazy:
    """At most ``high``."""
    return clamp(k, out, x, None, high)


@lowers("aten::sign")
def sign(k: KernelBuilder, out: TensorFact, x: Lazy) -> Lazy:
    """-1, 0 or 1; 0 for NaN."""

    def element(a: Expr) -> Expr:
        zero = const(0, a.dtype)
        up = cast(apply("gt", a, zero, dtype=torch.bool), a.dtype)
        down = cast(apply("lt", a, zero, dtype=torch.bool), a.dtype)
        return apply("sub", up, down)

    if not out.dtype.is_floating_point:
        raise NotLowered("sign of integers")
    return computed(out, element, out.dtype, x)


# ---- two operands ----


def _arithmetic(name: str) -> Callable[..., Lazy]:
    def lowering(k: KernelBuilder, out: TensorFact, a: Any, b: Any, alpha: Any = 1) -> Lazy:
        if out.dtype == torch.bool:
            raise NotLowered("arithmetic of bools")
        return computed(out, lambda x, y: apply(name, x, scaled(y, alpha)), out.dtype, a, b)

    return lowering


lowers("aten::add.Tensor", "aten::add.Scalar")(_arithmetic("add"))
lowers("aten::sub.Tensor", "aten::sub.Scalar")(_arithmetic("sub"))
lowers("aten::mul.Tensor", "aten::mul.Scalar")(_arithmetic("mul"))


@lowers("aten::rsub.Scalar", "aten::rsub.Tensor")
def rsub(k: KernelBuilder, out: TensorFact, a: Any, b: Any, alpha: Any = 1) -> Lazy:
    """``b - alpha * a``."""
    return computed(out, lambda x, y: apply("sub", y, scaled(x, alpha)), out.dtype, a, b)


@lowers("aten::div.Tensor", "aten::div.Scalar", "aten::true_divide.Tensor")
def div(k: KernelBuilder, out: TensorFact, a: Any, b: Any) -> Lazy:
    """The quotient, in floating point."""
    return computed(out, lambda x, y: apply("div", x, y), out.dtype, a, b)


@lowers("aten::outer")
def outer(k: KernelBuilder, out: TensorFact, a: Lazy, b: Lazy) -> Lazy:
    """All products of elements of two vectors."""
    if out.dtype == torch.bool:
        raise NotLowered("arithmetic of bools")
    column = Lazy((*a.shape, 1), a.dtype, lambda i: a.at(i[:1]))
    return computed(out, lambda x, y: apply("mul", x, y), out.dtype, column, b)


@lowers("aten::addcmul")
def addcmul(k: KernelBuilder, out: TensorFact, x: Any, a: Any, b: Any, value: Any) -> Lazy:
    """``x + value * a * b``."""

    def element(x: Expr, a: Expr, b: Expr) -> Expr:
        return apply("add", x, scaled(apply("mul", a, b), value))

    return computed(out, element, out.dtype, x, a, b)


@lowers("aten::addcdiv")
def addcdiv(k: KernelBuilder, out: TensorFact, x: Any, a: Any, b: Any, value: Any) -> Lazy:
    """``x + value * a / b``."""
    if not out.dtype.is_floating_point:
        raise NotLowered("addcdiv of integers")

    def element(x: Expr, a: Expr, b: Expr) -> Expr:
        return apply("add", x, apply("div", scaled(a, value), b))

    return computed(out, element, out.dtype, x, a, b)


@lowers("aten::lerp.Scalar", "aten::lerp.Tensor")
def lerp(k: KernelBuilder, out: TensorFact, a: Any, b: Any, weight: Any) -> Lazy:
    """``a + weight * (b - a)``, from the end that is nearer."""

    def element(a: Expr, b: Expr, w: Expr) -> Expr:
        span = apply("sub", b, a)
        near = apply("lt", apply("abs", w), const(0.5, w.dtype), dtype=torch.bool)
        rest = apply("sub", const(1, w.dtype), w)
        from_a = apply("add", a, apply("mul", w, span))
        return select(near, from_a, apply("sub", b, apply("mul", span, rest)))

    return computed(out, element, out.dtype, a, b, weight)


def _register_extremum(name: str, kinds: tuple[str, ...]) -> None:
    @lowers(*kinds)
    def lowering(k: KernelBuilder, out: TensorFact, a: Lazy, b: Lazy) -> Lazy:
        if not isinstance(b, Lazy):
            raise NotLowered("no second tensor")
        return computed(out, lambda x, y: apply(name, x, y), out.dtype, a, b)


_register_extremum("maximum", ("aten::maximum", "aten::max.other"))
_register_extremum("minimum", ("aten::minimum", "aten::min.other"))


@lowers("aten::pow.Tensor_Scalar", "aten::pow.Tensor_Tensor", "aten::pow.Scalar")
def power(k: KernelBuilder, out: TensorFact, a: Any, b: Any) -> Lazy:
    """``a ** b`` of floats; small constant exponents by products."""
    if not out.dtype.is_floating_point:
        if isinstance(b, int) and b in (2, 3):
            return computed(out, lambda x: product_power(x, b), out.dtype, a)
        raise NotLowered("powers of integers")
    if isinstance(b, (int, float)) and b in (2, 3, 4):
        return computed(out, lambda x: product_power(x, int(b)), out.dtype, a)
    if isinstance(b, (int, float)) and b == 0.5:
        return computed(out, lambda x: apply("sqrt", x), out.dtype, a)
    if isinstance(b, (int, float)) and b == -0.5:
        return computed(out, lambda x: apply("rsqrt", x), out.dtype, a)
    if isinstance(b, (int, float)) and b == -1:
        return computed(out, lambda x: apply("div", const(1, x.dtype), x), out.dtype, a)
    if isinstance(b, (int, float)) and b == 1:
        return computed(out, lambda x: x, out.dtype, a)
    return computed(out, lambda x, y: apply("pow", x, y), out.dtype, a, b)


def product_power(x: Expr, exponent: int) -> Expr:
    """A power by two products at most."""
    twice = apply("mul", x, x)
    return {2: twice, 3: apply("mul", twice, x), 4: apply("mul", twice, twice)}[exponent]


@lowers("aten::atan2")
def atan2(k: KernelBuilder, out: TensorFact, a: Any, b: Any) -> Lazy:
    """The angle of a point."""
    return computed(out, lambda y, x: apply("atan2", y, x), out.dtype, a, b)


# ---- comparisons and logic ----


def _register_comparison(name: str) -> None:
    @lowers(f"aten::{name}.Tensor", f"aten::{name}.Scalar")
    def lowering(k: KernelBuilder, out: TensorFact, a: Any, b: Any) -> Lazy:
        dtype = common_dtype(a, b)
        return computed(out, lambda x, y: apply(name, x, y, dtype=torch.bool), dtype, a, b)


for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    _register_comparison(_name)


def truth(a: Expr) -> Expr:
    """Whether a value is not 0."""
    return a if a.dtype == torch.bool else apply("ne", a, const(0, a.dtype), dtype=torch.bool)


def _register_logic(name: str, function: str) -> None:
    @lowers(f"aten::{name}")
    def lowering(k: KernelBuilder, out: TensorFact, a: Lazy, b: Lazy) -> Lazy:
        def element(x: Expr, y: Expr) -> Expr:
            return apply(function, truth(x), truth(y))

        return elementwise(element, torch.bool, out.shape, a, b)


_register_logic("logical_and", "and")
_register_logic("logical_or", "or")
_register_logic("logical_xor", "xor")


def _register_bitwise(name: str, function: str) -> None:
    @lowers(f"aten::bitwise_{name}.Tensor", f"aten::__{name}__.Tensor")
    def lowering(k: KernelBuilder, out: TensorFact, a: Lazy, b: Lazy) -> Lazy:
        return computed(out, lambda x, y: apply(function, x, y), out.dtype, a, b)


for _name in ("and", "or", "xor"):
    _register_bitwise(_name, _name)


@lowers("aten::logical_not")
def logical_not(k: KernelBuilder, out: TensorFact, a: Lazy) -> Lazy:
    """Whether an element is 0."""
    return elementwise(lambda x: apply("not", truth(x)), torch.bool, out.shape, a)


@lowers("aten::bitwise_not")
def bitwise_not(k: KernelBuilder, out: TensorFact, a: Lazy) -> Lazy:
    """All bits inverted."""
    return computed(out, lambda x: apply("not", x), out.dtype, a)


@lowers("aten::isnan")
def isnan(k: KernelBuilder, out: TensorFact, a: Lazy) -> Lazy:
    """Whether an element is NaN."""
    return elementwise(lambda x: apply("ne", x, x, dtype=torch.bool), torch.bool, out.shape, a)


@lowers("aten::isinf")
def isinf(k: KernelBuilder, out: TensorFact, a: Lazy) -> Lazy:
    """Whether an element is infinite."""
    if not a.dtype.is_floating_point:
        raise NotLowered("isinf of integers")

    def element(x: Expr) -> Expr:
        infinite = const(float("inf"), x.dtype)
        return apply("eq", apply("abs", x), infinite, dtype=torch.bool)

    return elementwise(element, torch.bool, out.shape, a)


@lowers(
    "aten::where.self", "aten::where.ScalarOther", "aten::where.ScalarSelf", "aten::where.Scalar"
)
def where(k: KernelBuilder, out: TensorFact, condition: Lazy, a: Any, b: Any) -> Lazy:
    """``a`` where the condition holds, else ``b``."""
    if out.dtype not in SUPPORTED:
        raise NotLowered(f"kernels do not compute in {out.dtype}")

    def element(c: Expr, x: Expr, y: Expr) -> Expr:
        return select(truth(c), cast(x, out.dtype), cast(y, out.dtype))

    operands = (o if isinstance(o, Lazy) else fitting(o, out.dtype) for o in (a, b))
    return elementwise(element, out.dtype, out.shape, condition, *operands)


@lowers("aten::masked_fill.Scalar", "aten::masked_fill.Tensor")
def masked_fill(k: KernelBuilder, out: TensorFact, x: Lazy, mask: Lazy, value: Any) -> Lazy:
    """``value`` where the mask holds."""
    return where(k, out, mask, value, x)


# ---- conversions ----


def converted(out: TensorFact, x: Lazy) -> Lazy:
    """Each element in the result's dtype."""
    if x.dtype not in SUPPORTED or out.dtype not in SUPPORTED:
        raise NotLowered(f"kernels do not compute in {x.dtype} or {out.dtype}")
    if x.dtype.is_floating_point and not out.dtype.is_floating_point and out.dtype != torch.bool:
        if out.dtype not in (torch.int64, torch.int32):
            raise NotLowered("floats to narrow integers")
    if x.dtype == out.dtype:
        return x
    return elementwise(lambda a: cast(a, out.dtype), out.dtype, out.shape, x)


@lowers(
    "aten::to.dtype", "aten::type_as", "aten::to.other", "aten::to.dtype_layout", "aten::_to_copy"
)
def to(k: KernelBuilder, out: TensorFact, x: Lazy, *rest: Any) -> Lazy:
    """A conversion of dtype; others keep the elements."""
    return converted(out, x)


@lowers("aten::clone", "aten::contiguous")
def same(k: KernelBuilder, out: TensorFact, x: Lazy, *rest: Any) -> Lazy:
    """The same elements, in the order that the result's strides say."""
    return x


@lowers("aten::detach", "aten::alias", "aten::dropout", "aten::feature_dropout")
def itself(k: KernelBuilder, out: TensorFact, x: Lazy, *rest: Any) -> Lazy:
    """The same tensor; dropout only where it does nothing."""
    if len(rest) == 2 and (fixed(rest[1]) is not False):
        raise NotLowered("dropout in training")
    return x
