"""What compiled objects and decorators do when they are called inside a trace."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from scriptmode.frontend.script import compile_function
from scriptmode.frontend.trace import numbers
from scriptmode.frontend.trace.state import active_recorder
from scriptmode.ir import types as T
from scriptmode.ir.graph import Program


def call_compiled(compiled: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Record a call of an object with the protocol ``__scriptmode_ir__`` in this thread's trace."""
    recorder = active_recorder()
    assert recorder is not None, "call_compiled outside a trace"
    return recorder.call_hooks.call_compiled(recorder, compiled, args, kwargs)


def script_if_tracing(fn: Callable[..., Any]) -> Callable[..., Any]:
    """``fn`` itself, and inside a trace its compiled form, so that its control flow is kept."""
    programs: dict[tuple[tuple[str, T.Type], ...], Program] = {}

    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        recorder = active_recorder()
        if recorder is None:
            return fn(*args, **kwargs)
        types = _argument_types(fn, args, kwargs)
        key = tuple(types.items())
        if key not in programs:
            programs[key] = compile_function(fn, types or None)
        program = programs[key]
        return recorder.call_hooks.call_program(
            recorder, program, program.root, None, None, args, kwargs
        )

    return call


def _argument_types(fn: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, T.Type]:
    """Types of the arguments whose parameters have no annotation."""
    signature = inspect.signature(fn)
    found = {}
    for name, value in signature.bind(*args, **kwargs).arguments.items():
        if signature.parameters[name].annotation is inspect.Parameter.empty:
            t = type_of_value(value)
            if t is not None:
                found[name] = t
    return found


def type_of_value(value: Any) -> T.Type | None:
    """The IR type of a Python value; None where it has none or an empty list leaves it open."""
    value = numbers.plain(value)
    if isinstance(value, torch.Tensor):
        return T.TENSOR
    simple = {bool: T.BOOL, int: T.INT, float: T.FLOAT, str: T.STR, type(None): T.NONE}
    if type(value) in simple:
        return simple[type(value)]
    if isinstance(value, torch.Size):
        return T.SIZE
    if type(value) is tuple:
        parts = [type_of_value(v) for v in value]
        return None if None in parts else T.TupleType([p for p in parts if p is not None])
    if type(value) is list and value:
        element = T.NEVER if not value else type_of_value(value[0])
        for item in value[1:]:
            other = type_of_value(item)
            element = None if element is None or other is None else T.join(element, other)
        return None if element is None else T.ListType([element])
    if type(value) is dict and value:
        keys = type_of_value(list(value))
        values = type_of_value(list(value.values()))
        if isinstance(keys, T.ListType) and isinstance(values, T.ListType):
            return T.DictType([keys.element, values.element])
    return None
