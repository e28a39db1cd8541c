"""Python's operators on tensors: which method runs, and on what, as in ``torch/_tensor.py``."""

from __future__ import annotations

from collections.abc import Callable

from scriptmode.frontend import conversion as C
from scriptmode.frontend import overloads
from scriptmode.frontend.operands import Operand, ValueOperand
from scriptmode.frontend.signatures import signatures
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import Value
from scriptmode.support.diagnostics import Diagnostic, ScriptTypeError
from scriptmode.support.source import Span

SYMBOLS = {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%",
    "pow": "**", "matmul": "@", "and": "&", "or": "|", "xor": "^", "lshift": "<<",
    "rshift": ">>", "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
}  # fmt: skip

# Tensor.__op__ runs this ATen method of the left operand
_FORWARD = {
    "add": "add", "sub": "sub", "mul": "mul", "truediv": "div", "floordiv": "floor_divide",
    "mod": "remainder", "pow": "pow", "matmul": "matmul", "and": "__and__", "or": "__or__",
    "xor": "__xor__", "lshift": "__lshift__", "rshift": "__rshift__",
}  # fmt: skip
_INPLACE = {
    "add": "add_", "sub": "sub_", "mul": "mul_", "truediv": "div_",
    "floordiv": "floor_divide_", "mod": "remainder_", "pow": "pow_", "and": "__iand__",
    "or": "__ior__", "xor": "__ixor__", "lshift": "__ilshift__", "rshift": "__irshift__",
}  # fmt: skip
# Tensor.__rop__ with the tensor on the right, as a method of the tensor or as a function
_REFLECTED_METHOD = {
    "add": "add", "mul": "mul", "sub": "rsub", "and": "__and__", "or": "__or__",
    "xor": "__xor__",
}  # fmt: skip
_REFLECTED_FUNCTION = {
    "floordiv": "floor_divide", "mod": "remainder", "pow": "pow", "matmul": "matmul",
    "lshift": "bitwise_left_shift", "rshift": "bitwise_right_shift",
}  # fmt: skip
_MIRRORED = {"eq": "eq", "ne": "ne", "lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}
_UNARY = {"neg": "neg", "pos": "positive", "invert": "bitwise_not", "abs": "abs"}


def _method(builder: Builder, receiver: Operand, name: str, *args: Operand) -> Value:
    found = signatures(name, is_method=True) or signatures(name)
    value = C.to_value(builder, receiver)
    return overloads.call(builder, f"Tensor.{name}", found, args, {}, receiver=value)


def _function(builder: Builder, name: str, *args: Operand) -> Value:
    return overloads.call(builder, f"torch.{name}", signatures(name), args, {})


def _unsupported(builder: Builder, symbol: str, left: Operand, right: Operand) -> ScriptTypeError:
    message = f"`{symbol}` is not defined for {C.describe(left)} and {C.describe(right)}"
    return ScriptTypeError(Diagnostic("SM0222", message, builder.span))


def _attempt(
    builder: Builder, symbol: str, left: Operand, right: Operand, run: Callable[[], Value]
) -> Value:
    """``run()``, with a failed choice of overload told in the operator's words."""
    if any(C.type_of(o) is None for o in (left, right)):
        raise _unsupported(builder, symbol, left, right)
    try:
        return run()
    except ScriptTypeError as error:
        if error.code != "SM0221":
            raise
        raise _unsupported(builder, symbol, left, right) from None


def binary(builder: Builder, name: str, left: Operand, right: Operand, span: Span) -> Value:
    """``left op right`` where at least one is a Tensor; ``name`` is a key of ``SYMBOLS``."""
    with builder.located(span):
        left, right = C.normalise(left), C.normalise(right)
        if name in _MIRRORED:
            return compare(builder, name, left, right, span)
        return _attempt(
            builder, SYMBOLS[name], left, right, lambda: _binary(builder, name, left, right)
        )


def _binary(builder: Builder, name: str, left: Operand, right: Operand) -> Value:
    if C.is_tensor(left):
        return _method(builder, left, _FORWARD[name], right)
    return _reflected(builder, name, left, right)


def reflected(builder: Builder, name: str, left: Operand, right: Operand, span: Span) -> Value:
    """``right.__rop__(left)``, whatever ``left`` is."""
    with builder.located(span):
        return _attempt(
            builder, SYMBOLS[name], left, right, lambda: _reflected(builder, name, left, right)
        )


def _reflected(builder: Builder, name: str, left: Operand, right: Operand) -> Value:
    if name == "truediv":
        reciprocal = _method(builder, right, "reciprocal")
        return _method(builder, ValueOperand(reciprocal), "mul", left)
    if name in _REFLECTED_METHOD:
        return _method(builder, right, _REFLECTED_METHOD[name], left)
    return _function(builder, _REFLECTED_FUNCTION[name], left, right)


def inplace_binary(builder: Builder, name: str, left: Operand, right: Operand, span: Span) -> Value:
    """The new binding of ``left op= right``; only a Tensor on the left is changed in place."""
    left, right = C.normalise(left), C.normalise(right)
    if not C.is_tensor(left) or name not in _INPLACE:
        return binary(builder, name, left, right, span)
    with builder.located(span):
        return _attempt(
            builder, SYMBOLS[name] + "=", left, right,
            lambda: _method(builder, left, _INPLACE[name], right),
        )  # fmt: skip


def compare(builder: Builder, name: str, left: Operand, right: Operand, span: Span) -> Value:
    """A comparison where at least one operand is a Tensor."""
    with builder.located(span):
        left, right = C.normalise(left), C.normalise(right)
        if not C.is_tensor(left):
            left, right, name = right, left, _MIRRORED[name]
        other = C.type_of(right)
        comparable = other is not None and (other == T.TENSOR or T.is_numeric(other))
        if name in ("eq", "ne") and not comparable and _is_plain(other):
            # Tensor.__eq__ answers NotImplemented, so Python compares identities
            return builder.constant(name == "ne")
        return _attempt(
            builder, SYMBOLS[name], left, right, lambda: _method(builder, left, name, right)
        )


def _is_plain(found: T.Type | None) -> bool:
    """Whether no value of the type is a Tensor or a number."""
    if found is None:
        return True
    if found == T.ANY or isinstance(found, (T.OptionalType, T.UnionType)):
        return False
    return not (found == T.TENSOR or T.is_numeric(found))


def unary(builder: Builder, name: str, value: Operand, span: Span) -> Value:
    """``neg``, ``pos``, ``invert``, ``abs`` or ``not`` of a Tensor."""
    with builder.located(span):
        if name == "not":
            return builder.op("bool::not", builder.op("tensor::bool", C.to_value(builder, value)))
        return _method(builder, value, _UNARY[name])
