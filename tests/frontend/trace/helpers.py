"""Tracing a callable and comparing what the interpreter makes of the program with eager."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import torch

from scriptmode.frontend.trace import TraceResult, trace_function
from scriptmode.interp import Interpreter
from scriptmode.ir.parser import parse_program
from scriptmode.ir.printer import local_objects, print_program
from scriptmode.ir.verifier import verify_program
from scriptmode.ops.aten import schema_of
from scriptmode.support.diagnostics import TracerWarning
from tests.fourway import same


def run(result: TraceResult, *args: Any, method: str | None = None, **kwargs: Any) -> Any:
    """Call the traced program through the interpreter."""
    traced = result.methods[method or result.program.root]
    owner = result.program.self_object
    first = [] if owner is None else [owner]
    flat = traced.flatten(args, kwargs)
    return traced.unflatten(Interpreter(result.program).run(traced.name, *first, *flat))


def check_program(result: TraceResult) -> None:
    """Verify the program and read its print back."""
    verify_program(result.program, schema_of)
    text = print_program(result.program)
    again = parse_program(text, schema_of, objects=local_objects(result.program))
    assert print_program(again) == text


def quiet_trace(fn: Any, *args: Any, **kwargs: Any) -> TraceResult:
    """Trace, failing on any TracerWarning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", TracerWarning)
        result = trace_function(fn, args, kwargs)
    check_program(result)
    return result


def warnings_of(fn: Any, *args: Any) -> tuple[TraceResult, list[warnings.WarningMessage]]:
    """Trace and return the TracerWarnings given."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = trace_function(fn, args)
    check_program(result)
    return result, [w for w in caught if issubclass(w.category, TracerWarning)]


def _state(fn: Any) -> dict[str, torch.Tensor]:
    return copy.deepcopy(fn.state_dict()) if isinstance(fn, torch.nn.Module) else {}


def _restore(fn: Any, state: dict[str, torch.Tensor]) -> None:
    if isinstance(fn, torch.nn.Module):
        fn.load_state_dict(state)


def clone(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """A deep copy; non-leaf tensors are detached first."""
    return copy.deepcopy(args)


def agrees(result: TraceResult, fn: Any, *calls: tuple[Any, ...]) -> None:
    """The program gives what ``fn`` gives: results, arguments and state, on each call's arguments."""
    for args in calls:
        before = _state(fn)
        eager_args, traced_args = clone(args), clone(args)
        torch.manual_seed(5)
        want = fn(*eager_args)
        after = _state(fn)
        _restore(fn, before)
        torch.manual_seed(5)
        got = run(result, *traced_args)
        same(want, got)
        same(eager_args, traced_args, "arguments")
        same(dict(after), dict(_state(fn)), "state")


def trace_agrees(fn: Any, args: tuple[Any, ...], *others: tuple[Any, ...]) -> TraceResult:
    """Trace without warnings on ``args``; compare on copies of them and on ``others``."""
    result = quiet_trace(fn, *clone(args))
    agrees(result, fn, args, *others)
    return result
