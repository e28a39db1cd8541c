"""The dispatch level: what no resolver of Python calls knows is recorded op by op, below autograd.

While a call is claimed, that is recorded as a whole already, its inner ops pass; what they write is
saved for the check all the same.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import torch
from torch._compile import _disable_dynamo
from torch.utils._python_dispatch import TorchDispatchMode

from scriptmode.frontend import overloads
from scriptmode.frontend.conversion import type_of
from scriptmode.frontend.operands import Operand, ValueOperand
from scriptmode.frontend.signatures import op_signature
from scriptmode.frontend.trace.recorder import Recorder
from scriptmode.frontend.trace.snapshot import op_kind
from scriptmode.frontend.trace.state import active_recorder
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value
from scriptmode.ops.aten import aten_schema
from scriptmode.support.diagnostics import ScriptError


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """The tensors in nested lists, tuples and dicts."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, dict):
        yield from tensors_in(list(value.values()))


class DispatchMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every op that runs during the trace."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.recorder = recorder
        self.is_claimed = False

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """Ops within the ``with`` are part of a recorded call."""
        saved, self.is_claimed = self.is_claimed, True
        try:
            yield
        finally:
            self.is_claimed = saved

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Whether torch hides ``__torch_dispatch__`` from its compiler, which it imports for that.

        The import takes seconds, and only a process that has it already has anything to hide from.
        """
        return False

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        see = _see_unseen if "torch._dynamo" in sys.modules else DispatchMode._see
        return see(self, function, args, kwargs or {})

    def _see(self, function: Any, args: Any, kwargs: Any) -> Any:
        if active_recorder() is not self.recorder:
            return function(*args, **kwargs)
        inputs = list(tensors_in((args, kwargs)))
        self.recorder.snapshot.before_op(function, args, kwargs)
        if self.is_claimed:
            result = function(*args, **kwargs)
        else:
            self._note_sizes(function, args, kwargs)
            result = record_overload(self.recorder, function, args, kwargs)
        self.recorder.snapshot.after_op(inputs, list(tensors_in(result)))
        return result

    def _note_sizes(self, function: Any, args: Any, kwargs: Any) -> None:
        """Sizes that C++ has computed are numbers here and cannot follow another input."""
        schema = aten_schema(op_kind(function))
        for argument, value in zip(schema.arguments if schema else (), args, strict=False):
            if argument.written.startswith("SymInt[") and value:
                what = f"{function} was recorded in pieces, below autograd"
                self.recorder.freeze("size", list(value), what)


_see_unseen = _disable_dynamo(DispatchMode._see)  # by torch's compiler


def record_overload(recorder: Recorder, function: Any, args: Any, kwargs: Any) -> Any:
    """Record and run one ``torch.ops`` overload."""
    operands = [recorder.operand(a) for a in args]
    keywords = {k: recorder.operand(v) for k, v in kwargs.items()}
    recorder.before_call()
    value = overload_value(recorder, function, operands, keywords)
    result = function(*args, **kwargs)
    return recorder.bind_result(result, value, op_kind(function))


def overload_value(
    recorder: Recorder, function: Any, args: list[Operand], kwargs: dict[str, Operand]
) -> Value:
    """Append the node of an overload; TraceError when its operands cannot be recorded."""
    kind = op_kind(function)
    if aten_schema(kind) is None:
        recorder.refuse("SM0620", f"the op {kind} cannot be recorded")
    try:
        with recorder.attempt():
            kind, args = _with_numbers(recorder, kind, args)
            return overloads.call(
                recorder.builder, kind, (op_signature(kind),), args, kwargs, style="ops"
            )
    except ScriptError as error:
        recorder.refuse("SM0620", f"the op {kind} cannot be recorded: {_reason(error)}")
    raise AssertionError("refuse raises")


def _with_numbers(recorder: Recorder, kind: str, args: list[Operand]) -> tuple[str, list[Operand]]:
    """Numbers where tensors are wanted, in the dispatcher's arguments: a Scalar overload."""
    schema = aten_schema(kind)
    assert schema is not None, kind
    pairs = zip(schema.arguments, args, strict=False)
    found = [i for i, (a, item) in enumerate(pairs) if a.type == T.TENSOR and _is_number(item)]
    if not found:
        return kind, args
    names = [a.name for a in schema.arguments]
    scalar = aten_schema(f"{schema.name}.Scalar")
    if scalar is not None and [a.name for a in scalar.arguments] == names:
        return scalar.kind, args
    tensors = [a for a in args if isinstance(a, ValueOperand) and a.value.type == T.TENSOR]
    partner = tensors[0].value if tensors else None
    args = list(args)
    for index in found:
        value = overloads.number_tensor(recorder.builder, args[index], partner)
        args[index] = ValueOperand(value)
    return kind, args


def _is_number(item: Operand) -> bool:
    found = type_of(item)
    return found is not None and T.is_numeric(found)


def _reason(error: ScriptError) -> str:
    return error.diagnostics[0].message
