"""``trace`` and ``trace_module``: recorded runs as compiled functions and modules."""

from __future__ import annotations

import types
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from scriptmode.frontend.trace import (
    Arguments,
    Frozen,
    InputTree,
    OutputTree,
    TracedMethod,
    TraceResult,
    trace_function,
    trace_module_methods,
)
from scriptmode.frontend.trace.check import check_trace as check_recording
from scriptmode.jit.dispatch import Dispatcher
from scriptmode.jit.function import ScriptFunction
from scriptmode.jit.module import Build, RecursiveScriptModule
from scriptmode.jit.pipeline import compile_native
from scriptmode.support import config
from scriptmode.support.diagnostics import TracerWarning


class TracedFunction(ScriptFunction):
    """A recorded run of a function, or a graph that is called as one (without a recording)."""

    def __init__(
        self,
        function: Callable[..., Any],
        dispatcher: Dispatcher,
        recording: TracedMethod | None,
    ) -> None:
        super().__init__(function, dispatcher)
        self.frozen = [] if recording is None else list(recording.frozen)
        self.recording = recording
        self.__scriptmode_flat__ = recording is None or _is_flat(recording)
        self.__scriptmode_trees__ = None if recording is None else _trees(recording)


class TracedModule(RecursiveScriptModule):
    """A module whose methods are recorded runs; those of its submodules run as Python."""

    @property
    def forward(self) -> Any:  # type: ignore[override]
        """The recorded ``forward``; that of a submodule as Python, on this module's state."""
        function = getattr(type(self._original), "forward", None)
        if self._path and isinstance(function, types.FunctionType):
            return function.__get__(self)
        return super().forward

    @property
    def frozen(self) -> list[Frozen]:
        """Every Python value that the recording has fixed, with its place."""
        return list(self._build.frozen)

    def train(self, mode: bool = True) -> TracedModule:
        """Set ``training``; what was recorded stays as it was, which is said where they differ."""
        if mode != self._build.training and not self._path:
            was = "training" if self._build.training else "evaluation"
            warnings.warn(
                f"{self.original_name} was traced in {was} mode, which its recording keeps: "
                "set the mode before tracing, or use script",
                TracerWarning,
                stacklevel=2,
            )
        super().train(mode)
        return self

    @property
    def __scriptmode_flat__(self) -> bool:
        method = self._build.traced.get("forward")
        return not self._path and method is not None and _is_flat(method)

    @property
    def __scriptmode_trees__(self) -> tuple[InputTree, OutputTree] | None:
        method = self._build.traced.get("forward")
        return None if self._path or method is None else _trees(method)


class TraceBuild(Build):
    """Methods that were recorded."""

    module_class = TracedModule
    runs_hooks = False  # they were recorded

    def __init__(self, result: TraceResult) -> None:
        super().__init__(result.program, {name: name for name in result.methods})
        self.traced = dict(result.methods)
        self.frozen = list(result.frozen)
        self.training = bool(getattr(result.program.self_object, "training", False))

    def is_method(self, module: RecursiveScriptModule, name: str) -> bool:
        return not module._path and name in self.methods

    def dispatcher(self, module: RecursiveScriptModule, method: str) -> Dispatcher:
        if module._path or method not in self.traced:
            path = module._path or "the module"
            raise AttributeError(f"{method} of {path} was not traced; trace that module itself")
        return _dispatcher(
            self.traced[method], self.program, self.compiled, module, module._instance
        )


def _trees(method: TracedMethod) -> tuple[InputTree, OutputTree]:
    """How the arguments and the result of a recording are made of its leaves."""
    return method.input_tree, method.output_tree


def _is_flat(method: TracedMethod) -> bool:
    """Whether the graph takes and returns what the caller passes."""
    tree = method.input_tree
    is_frozen = any(leaf.is_frozen for leaf in tree.leaves)
    return tree.is_flat and method.output_tree.is_plain and not is_frozen


def _dispatcher(
    method: TracedMethod, program: Any, compiled: Any, owner: Any = None, instance: Any = None
) -> Dispatcher:
    return Dispatcher(
        method.name,
        program,
        method.name,
        compiled=compiled,
        flatten=method.flatten,
        unflatten=method.unflatten if method.input_tree.guards or not _is_flat(method) else None,
        self_object=owner,
        instance=instance,
    )


def trace(
    func: Any,
    example_inputs: Any = None,
    optimize: None = None,
    check_trace: bool = True,
    check_inputs: Sequence[Any] | None = None,
    check_tolerance: float = 1e-5,
    strict: bool = True,
    _force_outplace: bool = False,
    _module_class: Any = None,
    _compilation_unit: Any = None,
    example_kwarg_inputs: Mapping[str, Any] | None = None,
    _store_inputs: bool = True,
) -> Any:
    """Record one run of a function or module on example inputs.

    Parameters
    ----------
    func
        A function, a module, or a module's bound method.
    example_inputs
        A tuple or list of arguments (any other value is a single argument): nested tuples, lists
        and dicts of tensors, ints, floats, bools, strings and None.
    check_trace, check_inputs, check_tolerance
        Run program and function again, on the example and on each further argument tuple, and
        report the node that diverged.
    strict, _force_outplace, _module_class, _compilation_unit, _store_inputs
        Accepted for torch.jit's callers; containers in results are always allowed.
    example_kwarg_inputs
        Keyword arguments of the run.

    Returns
    -------
    ``TracedFunction``, ``TracedModule``, or the recorded method of one; ``.frozen`` lists what
    Python's control flow has fixed.
    With ``SCRIPTMODE=0`` it is ``func`` itself.

    Raises
    ------
    TraceError
        The run cannot be recorded, or the recording does not reproduce.
    """
    if not config.get("enabled"):
        return func
    args = () if example_inputs is None else example_inputs
    result = trace_function(func, args, example_kwarg_inputs)
    compiled = compiled_recording(func, result)
    if check_trace:
        _check(compiled, result, check_inputs, check_tolerance)
    result.forget_examples()
    if isinstance(func, types.MethodType) and isinstance(compiled, TracedModule):
        if func.__name__ != "forward":
            return getattr(compiled, func.__name__)
    return compiled


def trace_module(
    mod: torch.nn.Module,
    inputs: Mapping[str, Any],
    optimize: None = None,
    check_trace: bool = True,
    check_inputs: Sequence[Any] | None = None,
    check_tolerance: float = 1e-5,
    strict: bool = True,
    _force_outplace: bool = False,
    _module_class: Any = None,
    _compilation_unit: Any = None,
    example_inputs_is_kwarg: bool = False,
    _store_inputs: bool = True,
) -> Any:
    """Record several methods of a module: example arguments by method name.

    The rest is as for ``trace``; with ``example_inputs_is_kwarg`` the examples are dicts of keyword
    arguments.
    """
    if not config.get("enabled"):
        return mod
    if example_inputs_is_kwarg:
        inputs = {name: Arguments((), dict(kwargs)) for name, kwargs in inputs.items()}
    result = trace_module_methods(mod, inputs)
    compiled = TraceBuild(result).wrap(mod)
    if check_trace:
        _check(compiled, result, check_inputs, check_tolerance)
    result.forget_examples()
    return compiled


def compiled_recording(func: Any, result: TraceResult) -> Any:
    """The compiled function or module of a recording of ``func``."""
    if result.program.self_object is not None:
        return TraceBuild(result).wrap(result.program.self_object)
    dispatcher = _dispatcher(result.root, result.program, compile_native(result.program))
    return TracedFunction(func, dispatcher, result.root)


def _check(
    compiled: Any, result: TraceResult, check_inputs: Sequence[Any] | None, tolerance: float
) -> None:
    def run(method: TracedMethod, flat: Sequence[Any]) -> Any:
        if isinstance(compiled, RecursiveScriptModule):
            return compiled._dispatcher_for(method.name).entry(*flat)
        return compiled._dispatcher.entry(*flat)

    check_recording(result, run, check_inputs=list(check_inputs or ()), tolerance=tolerance)


__all__ = ["TracedFunction", "TracedModule", "trace", "trace_module"]
