"""Records a Python function of torch call by call, for ops that torch writes in Python."""

from __future__ import annotations

import contextlib
import sys
import types as types_
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from scriptmode.frontend import calls
from scriptmode.frontend.conversion import as_list
from scriptmode.frontend.operands import ConstOperand, Operand, SequenceOperand, ValueOperand
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value
from scriptmode.support.source import UNKNOWN
from tests.opinfo.building import Building

_CHECKS = ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic")


@contextlib.contextmanager
def _without_overrides() -> Iterator[None]:
    """Let torch's Python functions run their bodies under a mode."""
    saved = []
    for module in list(sys.modules.values()):
        if not getattr(module, "__name__", "").startswith("torch"):
            continue
        for name in _CHECKS:
            if name in getattr(module, "__dict__", {}):
                saved.append((module, name, getattr(module, name)))
                setattr(module, name, lambda *args: False)
    try:
        yield
    finally:
        for module, name, value in saved:
            setattr(module, name, value)


class Recorder(TorchFunctionMode):
    """Builds the graph of what runs under it; numbers computed from tensors are frozen."""

    def __init__(self, building: Building) -> None:
        super().__init__()
        self.building = building
        self.values: dict[int, Value] = {}
        self.alive: list[Any] = []

    def operand(self, item: Any) -> Operand:
        """An argument as an operand."""
        if isinstance(item, torch.Tensor):
            if id(item) not in self.values:
                # a copy: what runs now may write its arguments
                parameter = self.building.parameter(item.clone(), T.TENSOR)
                self.bind(item, parameter.value)
            return ValueOperand(self.values[id(item)])
        if isinstance(item, (list, tuple)):
            kind = "list" if isinstance(item, list) else "tuple"
            return SequenceOperand(tuple(self.operand(i) for i in item), kind)
        return ConstOperand(item)

    def bind(self, result: Any, value: Value) -> None:
        """Remember that ``value`` stands for ``result``."""
        self.alive.append(result)
        builder = self.building.builder
        if isinstance(result, (torch.Tensor, tuple)):
            self.values[id(result)] = value
        if isinstance(result, torch.Tensor):
            return
        if isinstance(result, (list, tuple)) and not isinstance(result, torch.Size):
            for i, item in enumerate(result):
                if isinstance(value.type, T.TupleType):
                    self.bind(item, builder.tuple_index(value, i))
                elif isinstance(value.type, (T.VarTupleType, T.ListType)):
                    whole = value if isinstance(value.type, T.ListType) else as_list(builder, value)
                    self.bind(item, builder.op("list::getitem", whole, builder.constant(i)))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if calls.is_torch_callable(func):
            operands = [self.operand(a) for a in args]
            named = {k: self.operand(v) for k, v in kwargs.items()}
            value = calls.call_torch(self.building.builder, func, operands, named, UNKNOWN)
            result = func(*args, **kwargs)
            self.bind(result, value)
            return result
        if not isinstance(func, types_.FunctionType):
            return func(*args, **kwargs)  # a builtin has no body to look into
        with self:
            return func(*args, **kwargs)

    def value(self, result: Any) -> Value:
        """The graph's value of a (nested) result."""
        builder = self.building.builder
        if isinstance(result, torch.Tensor):
            operand = self.operand(result)
            assert isinstance(operand, ValueOperand)
            return operand.value
        if isinstance(result, tuple) and id(result) in self.values:
            return self.values[id(result)]
        if isinstance(result, torch.Size):
            sizes = builder.list([builder.constant(n) for n in result], T.INT)
            return builder.op("size::from_list", sizes)
        if isinstance(result, (list, tuple)):
            items = [self.value(r) for r in result]
            return builder.list(items, T.TENSOR) if type(result) is list else builder.tuple(items)
        return builder.constant(result)


def record(function: Callable[..., Any], args: Any, kwargs: Any) -> tuple[Building, Value]:
    """The graph of ``function(*args, **kwargs)``."""
    building = Building()
    recorder = Recorder(building)
    with _without_overrides(), recorder:
        result = function(*args, **kwargs)
    return building, recorder.value(result)
