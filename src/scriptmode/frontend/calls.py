"""Calls of torch's functions and methods as IR nodes: the entrance that both front ends use.

``call_torch`` takes the Python object that is called (``torch.add``, ``Tensor.sum``,
``torch.ops.aten.relu``, ...) and ``Operand``s, and appends what eager runs for them.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from scriptmode.frontend import conversion as C
from scriptmode.frontend import overloads
from scriptmode.frontend.attributes import assign_tensor_attribute, tensor_attribute
from scriptmode.frontend.conversion import to_value
from scriptmode.frontend.indexing import assign_subscript, subscript
from scriptmode.frontend.methods import METHODS
from scriptmode.frontend.operands import Operand, ValueOperand
from scriptmode.frontend.operators import (
    binary,
    compare,
    inplace_binary,
    reflected,
    unary,
)
from scriptmode.frontend.signatures import op_signature, op_signatures, signatures
from scriptmode.frontend.torch_table import FUNCTIONS, PYTHON_METHODS, function_name
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import Value
from scriptmode.support.diagnostics import Diagnostic, ScriptAttributeError, ScriptTypeError
from scriptmode.support.source import Span

__all__ = [
    "assign_subscript", "assign_tensor_attribute", "binary", "call_method", "call_torch",
    "compare", "has_method", "inplace_binary", "is_torch_callable", "python_source",
    "subscript", "tensor_attribute", "to_value", "unary",
]  # fmt: skip

_OPERATORS: dict[str, tuple[Callable[..., Value], str, bool]] = {}
for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or",
              "xor", "lshift", "rshift"):  # fmt: skip
    _OPERATORS[f"__{_name}__"] = (binary, _name, False)
    _OPERATORS[f"__r{_name}__"] = (reflected, _name, True)
    _OPERATORS[f"__i{_name}__"] = (inplace_binary, _name, False)
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    _OPERATORS[f"__{_name}__"] = (compare, _name, False)
_OPERATORS["__div__"] = _OPERATORS["__truediv__"]
_OPERATORS["__rdiv__"] = _OPERATORS["__rtruediv__"]
_OPERATORS["__idiv__"] = _OPERATORS["__itruediv__"]
_UNARY = {"__neg__": "neg", "__pos__": "pos", "__invert__": "invert", "__abs__": "abs"}


def is_torch_callable(target: Any) -> bool:
    """Whether ``call_torch`` knows ``target``."""
    if isinstance(target, (torch._ops.OpOverload, torch._ops.OpOverloadPacket)):
        return not str(target).startswith("prim.")  # those belong to another compiler
    if isinstance(target, types.MethodWrapperType):
        return isinstance(target.__self__, types.GetSetDescriptorType) and (
            getattr(target.__self__, "__objclass__", None) is torch._C.TensorBase
        )
    if not _is_hashable(target):
        return False
    if target in FUNCTIONS:
        return True
    name = method_name(target)
    if name is not None:
        return has_method(name)
    name = function_name(target)
    return name is not None and bool(signatures(name))


def _is_hashable(target: Any) -> bool:
    return type(target).__hash__ is not None and isinstance(
        target, (types.FunctionType, types.BuiltinFunctionType, types.MethodDescriptorType,
                 types.WrapperDescriptorType, type)
    )  # fmt: skip


def method_name(target: Any) -> str | None:
    """Name of the Tensor method that ``target`` is as an unbound method."""
    name = getattr(target, "__name__", None)
    if isinstance(target, (types.MethodDescriptorType, types.WrapperDescriptorType)):
        return name if getattr(target, "__objclass__", None) is torch._C.TensorBase else None
    if isinstance(target, types.FunctionType):
        return _PYTHON_METHODS.get(target)
    return None


# methods of Tensor that are Python functions, by the function
_PYTHON_METHODS: dict[Any, str] = {
    f: name
    for name in dir(torch.Tensor)
    if isinstance(f := getattr(torch.Tensor, name), types.FunctionType)
}


_SUBSCRIPTING = {"__getitem__": 1, "__setitem__": 2}  # the number of their arguments


def has_method(name: str) -> bool:
    """Whether ``call_method`` knows the Tensor method ``name``."""
    return (
        name in METHODS
        or name in PYTHON_METHODS
        or name in _OPERATORS
        or name in _UNARY
        or name in _SUBSCRIPTING
        or (hasattr(torch.Tensor, name) and bool(signatures(name, is_method=True)))
    )


def python_source(target: Any) -> Callable[..., Any] | None:
    """The Python function to compile from source for what ``call_torch`` does not know."""
    if isinstance(target, types.FunctionType) and not is_torch_callable(target):
        return target
    return None


def call_torch(
    builder: Builder,
    target: Any,
    args: Sequence[Operand],
    kwargs: Mapping[str, Operand],
    span: Span,
) -> Value:
    """Append the call ``target(*args, **kwargs)``."""
    with builder.located(span):
        if isinstance(target, torch._ops.OpOverloadPacket):
            name = target._qualified_op_name
            return overloads.call(builder, name, op_signatures(name), args, kwargs, style="ops")
        if isinstance(target, torch._ops.OpOverload):
            kind = str(target.name())  # type: ignore[no-untyped-call]
            single = [op_signature(kind)]
            return overloads.call(builder, kind, single, args, kwargs, style="ops")
        if isinstance(target, types.MethodWrapperType):
            return _call_descriptor(builder, target, args, span)
        if target in FUNCTIONS:
            return FUNCTIONS[target](builder, args, kwargs)
        method = method_name(target)
        if method is not None and args:
            receiver = to_value(builder, args[0])
            return call_method(builder, receiver, method, args[1:], kwargs, span)
        function = function_name(target)
        if function is None or not signatures(function):
            text = getattr(target, "__qualname__", None) or repr(target)
            raise C.not_built(f"`{text}` is not supported", span)
        found = signatures(function)
        return overloads.call(builder, f"torch.{function}", found, args, kwargs)


def _call_descriptor(builder: Builder, target: Any, args: Sequence[Operand], span: Span) -> Value:
    """``Tensor.shape.__get__(x)`` and ``__set__(x, v)``, as ``__torch_function__`` sees them."""
    name = target.__self__.__name__
    receiver = to_value(builder, args[0])
    if target.__name__ == "__set__":
        assign_tensor_attribute(builder, receiver, name, args[1], span)
        return builder.constant(None)
    found = tensor_attribute(builder, receiver, name, span)
    if found is None:
        raise C.not_built(f"attribute `{name}` of a tensor is not supported", span)
    return found


def call_method(
    builder: Builder,
    self_value: Value,
    name: str,
    args: Sequence[Operand],
    kwargs: Mapping[str, Operand],
    span: Span,
) -> Value:
    """Append the call ``self_value.name(*args, **kwargs)`` of a Tensor method."""
    receiver = ValueOperand(self_value)
    with builder.located(span):
        handler = METHODS.get(name) or PYTHON_METHODS.get(name)
        if handler is not None:
            return handler(builder, [receiver, *args], kwargs)
        if name in _OPERATORS and len(args) == 1 and not kwargs:
            run, operator, is_reflected = _OPERATORS[name]
            left, right = (args[0], receiver) if is_reflected else (receiver, args[0])
            return run(builder, operator, left, right, span)
        if name in _UNARY and not args:
            return unary(builder, _UNARY[name], receiver, span)
        expected = _SUBSCRIPTING.get(name)
        if expected is not None and (kwargs or len(args) != expected):
            message = f"Tensor.{name} takes {expected} arguments by position, not {len(args)}"
            raise ScriptTypeError(Diagnostic("SM0201", message, span))
        if name == "__getitem__":
            return subscript(builder, self_value, args[0], span)
        if name == "__setitem__":
            assign_subscript(builder, self_value, args[0], args[1], span)
            return builder.constant(None)
        if not hasattr(torch.Tensor, name):
            message = f"a Tensor has no method `{name}`"
            raise ScriptAttributeError(Diagnostic("SM0303", message, span))
        found = signatures(name, is_method=True)
        if not found:
            raise C.not_built(f"`Tensor.{name}` is not supported", span)
        return overloads.call(builder, f"Tensor.{name}", found, args, kwargs, receiver=self_value)
