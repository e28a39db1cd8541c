"""Calls inside a trace that each run leaves to Python: ``autograd.Function.apply``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from scriptmode.frontend.operands import ValueOperand
from scriptmode.frontend.trace import numbers
from scriptmode.frontend.trace.recorder import Recorder
from scriptmode.frontend.trace.structure import leaf_type
from scriptmode.ir import types as T


def record_python_call(
    recorder: Recorder, function: Callable[..., Any], args: Sequence[Any], what: str
) -> Any:
    """Record a call that Python makes again in each run.

    Its operands are the tensors and live numbers among ``args``; what else was passed is passed
    again.
    """
    recorder.before_call()
    operands = {i: recorder.operand(a) for i, a in enumerate(args) if _is_operand(a)}
    if any(_holds_operand(a) for i, a in enumerate(args) if i not in operands):
        recorder.refuse(
            "SM0613",
            f"a container of tensors as an argument of {what} inside a traced function",
            "pass the tensors one by one",
        )
    inputs = [o.value for o in operands.values() if isinstance(o, ValueOperand)]
    given = [numbers.plain(a) for a in args]
    assert recorder.call_hooks is not None, "the recorder was started"
    with recorder.call_hooks.claimed():
        result = function(*given)
    called = _filled(function, given, tuple(operands))
    node = recorder.builder.node(
        "prim::python_call", inputs, [_type_of_result(recorder, result, what)], function=called
    )
    return recorder.bind_result(result, node.output, what)


def _is_operand(value: Any) -> bool:
    return isinstance(value, torch.Tensor) or numbers.is_live(value)


def _holds_operand(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(_is_operand(v) or _holds_operand(v) for v in value)
    return isinstance(value, dict) and _holds_operand(list(value.values()))


def _type_of_result(recorder: Recorder, result: Any, what: str) -> T.Type:
    if result is None:
        return T.NONE
    if type(result) is tuple:
        return T.TupleType([_type_of_result(recorder, r, what) for r in result])
    found = leaf_type(result)
    if found is None:
        kind = type(result).__name__
        recorder.refuse("SM0613", f"{what} gave a {kind}, which a trace cannot hold")
    assert found is not None, "refuse raises"
    return found


def _filled(
    function: Callable[..., Any], given: Sequence[Any], places: tuple[int, ...]
) -> Callable[..., Any]:
    """``function`` with all arguments of ``given`` but those at ``places``, which are passed."""
    kept = [None if i in places else a for i, a in enumerate(given)]

    def call(*passed: Any) -> Any:
        arguments = list(kept)
        for place, value in zip(places, passed, strict=True):
            arguments[place] = value
        return function(*arguments)

    return call


__all__ = ["record_python_call"]
