"""Tracing: run a function once under the modes and keep the program.

``trace_function(fn, (x,))`` records one function or module call; ``trace_module_methods`` several
methods of one module into one program.  The run happens on the very arguments, so that state is as
after one eager call.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from scriptmode.frontend.trace import numbers, patches, scripted
from scriptmode.frontend.trace.dispatch import DispatchMode
from scriptmode.frontend.trace.functions import FunctionMode
from scriptmode.frontend.trace.guards import facts_of
from scriptmode.frontend.trace.modules import ModuleIndex, ModuleTree, module_tree
from scriptmode.frontend.trace.recorder import Recorder
from scriptmode.frontend.trace.snapshot import Snapshot
from scriptmode.frontend.trace.state import Frozen, activated, active_recorder
from scriptmode.frontend.trace.structure import (
    InputBuilder,
    InputTree,
    Leaf,
    OutputTree,
    Spec,
    Static,
    bind_arguments,
    example_arguments,
    leaf_type,
    signature_of,
    take_apart,
)
from scriptmode.ir import types as T
from scriptmode.ir.graph import Graph, Program, Value
from scriptmode.support.diagnostics import Diagnostic, TraceError
from scriptmode.support.source import UNKNOWN, Span


@dataclass
class Example:
    """The call that was recorded; ``snapshot`` leads back to the state before it."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    snapshot: Snapshot


@dataclass
class TracedMethod:
    """One recorded function: ``program.functions[name]`` with its flat inputs and outputs."""

    name: str
    input_tree: InputTree
    output_tree: OutputTree
    frozen: list[Frozen]
    warnings: list[str]
    example: Example | None
    recorder: Recorder | None

    def flatten(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
        """The flat arguments of the graph (``self`` not among them)."""
        return self.input_tree.flatten(args, kwargs)

    def unflatten(self, result: Any) -> Any:
        """The Python result."""
        return self.output_tree.unflatten(result)


@dataclass
class TraceResult:
    """A recorded program; the properties are those of its root function."""

    program: Program
    methods: dict[str, TracedMethod]
    module_tree: ModuleTree | None = None

    def forget_examples(self) -> None:
        """Let go of the example calls and all their tensors; no check is possible after it."""
        for method in self.methods.values():
            method.example = method.recorder = None

    @property
    def root(self) -> TracedMethod:
        """The root function."""
        return self.methods[self.program.root]

    @property
    def input_tree(self) -> InputTree:
        """How arguments become the graph's parameters."""
        return self.root.input_tree

    @property
    def output_tree(self) -> OutputTree:
        """How the graph's result becomes the Python result."""
        return self.root.output_tree

    @property
    def frozen(self) -> list[Frozen]:
        """All values that the recorded functions have frozen."""
        return [f for m in self.methods.values() for f in m.frozen]

    @property
    def warnings(self) -> list[str]:
        """All warnings that were given."""
        return [w for m in self.methods.values() for w in m.warnings]


def trace_function(
    fn: Callable[..., Any],
    args: Sequence[Any] | Any,
    kwargs: Mapping[str, Any] | None = None,
    *,
    name: str | None = None,
) -> TraceResult:
    """Record ``fn(*args, **kwargs)``; ``fn`` is a function, a module or a module's method.

    ``args`` that are no tuple or list stand for one argument.
    """
    args = example_arguments(args)
    module = _module_of(fn)
    if module is not None:
        method = "forward" if isinstance(fn, torch.nn.Module) else fn.__name__
        return _trace(module, {name or method: (fn, args, dict(kwargs or {}))})
    own = str(name or getattr(fn, "__name__", type(fn).__name__))
    own = own if own.isidentifier() else "traced"
    return _trace(None, {own: (fn, args, dict(kwargs or {}))})


def trace_module_methods(module: torch.nn.Module, inputs: Mapping[str, Any]) -> TraceResult:
    """Record several methods of ``module``: example arguments by method name.

    The arguments of a method are a tuple or list, a single argument, or ``(args, kwargs)`` as
    ``Arguments``.
    """
    runs = {}
    for method, example in inputs.items():
        fn = module if method == "forward" else getattr(module, method, None)
        if fn is None:
            raise TraceError(
                Diagnostic("SM0604", f"{type(module).__name__} has no method `{method}`")
            )
        if not isinstance(example, Arguments):
            example = Arguments(example_arguments(example))
        runs[method] = (fn, example.args, example.kwargs)
    return _trace(module, runs)


@dataclass
class Arguments:
    """Positional and keyword arguments of an example call."""

    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)


def _module_of(fn: Any) -> torch.nn.Module | None:
    if isinstance(fn, torch.nn.Module):
        return fn
    owner = getattr(fn, "__self__", None)
    return owner if isinstance(owner, torch.nn.Module) else None


_Run = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


def _trace(module: torch.nn.Module | None, runs: Mapping[str, _Run]) -> TraceResult:
    if active_recorder() is not None:
        raise TraceError(Diagnostic("SM0605", "a trace cannot start inside a trace"))
    if not runs:
        raise TraceError(Diagnostic("SM0606", "there is nothing to trace"))
    program = Program("forward" if "forward" in runs else next(iter(runs)))
    program.self_object = module
    index = ModuleIndex(program, module)
    linker = scripted.Linker(program)
    methods: dict[str, TracedMethod] = {}
    graphs = {name: program.add(Graph(name)) for name in runs}  # the names are taken
    for name, (fn, args, kwargs) in runs.items():
        tracing = _Tracing(program, index, linker, graphs[name], fn, args, kwargs)
        methods[name] = tracing.run()
        if module is not None:
            known = index.find(module)
            assert known is not None, "the root module is known"
            index.class_type(known).methods[name] = name
    tree = None if module is None else module_tree(module)
    return TraceResult(program, methods, tree)


def _captured_modules(fn: Any) -> Iterator[tuple[str, torch.nn.Module]]:
    """Modules that a plain function reads: closure cells, globals, defaults, partial arguments."""
    while hasattr(fn, "__wrapped__") or hasattr(fn, "func"):
        fn = getattr(fn, "__wrapped__", None) or fn.func
    fn = getattr(fn, "__func__", fn)
    if not inspect.isfunction(fn):
        return
    code = fn.__code__
    found: dict[str, Any] = {n: fn.__globals__[n] for n in code.co_names if n in fn.__globals__}
    for name, cell in zip(code.co_freevars, fn.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # an empty cell
            found[name] = cell.cell_contents
    for name, value in found.items():
        if isinstance(value, torch.nn.Module):
            yield name, value


class _Hooks:
    """Compiled callees inside the trace."""

    def __init__(self, linker: scripted.Linker, dispatch: DispatchMode) -> None:
        self.linker, self.dispatch = linker, dispatch

    def is_compiled(self, value: Any) -> bool:
        return scripted.is_compiled(value)

    def claimed(self) -> contextlib.AbstractContextManager[None]:
        return self.dispatch.claimed()

    def call_compiled(self, recorder: Recorder, compiled: Any, args: Any, kwargs: Any) -> Any:
        program, name, owner = getattr(compiled, scripted.PROTOCOL)()
        callee = scripted.Callee(program, name, owner, compiled)
        return self.call_program(recorder, callee, args, kwargs)

    def call_program(self, recorder: Recorder, callee: Any, args: Any, kwargs: Any) -> Any:
        return scripted.record_program(recorder, self.linker, callee, args, kwargs)


class _Tracing:
    """One run."""

    def __init__(
        self,
        program: Program,
        index: ModuleIndex,
        linker: scripted.Linker,
        graph: Graph,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        self.program, self.index, self.graph, self.fn = program, index, graph, fn
        self.args, self.kwargs = args, kwargs
        target = fn.forward if isinstance(fn, torch.nn.Module) else fn
        self.signature = signature_of(target)
        for captured, module in _captured_modules(target):
            index.capture(module, captured)
        self.graph.span = _span_of(target)
        self.recorder = Recorder(program, graph, index)
        self.dispatch = DispatchMode(self.recorder)
        self.recorder.call_hooks = _Hooks(linker, self.dispatch)

    def run(self) -> TracedMethod:
        """Record the call."""
        recorder = self.recorder
        self_value: Value | None = None
        if self.index.root is not None:
            known = self.index.find(self.index.root)
            assert known is not None, "the root module is known"
            self_value = self.graph.add_param(self.index.class_type(known), "self")
        recorder.start(self_value)
        given = bind_arguments(self.signature, self.args, self.kwargs, TraceError)
        builder = InputBuilder()
        specs = {n: builder.spec(v, n, n) for n, v in given.items()}
        leaves = iter([self._input(leaf, v) for leaf, v in _pairs(builder)])
        seen = {n: s.build(leaves) for n, s in specs.items()}
        args, kwargs = rebuild_call(self.signature, self.args, self.kwargs, seen)
        with patches.installed(), activated(recorder):
            with self.dispatch, FunctionMode(recorder, self.dispatch):
                result = self.fn(*args, **kwargs)
            output = self._output(result)
            self._record_assignments()
            recorder.finish(output[0])
        return TracedMethod(
            self.graph.name,
            InputTree(
                self.signature,
                specs,
                tuple(builder.leaves),
                tuple(recorder.guards.values()),
                facts_of(builder.values) if recorder.guards else (),
            ),
            output[1],
            recorder.frozen,
            recorder.warnings,
            Example(self.fn, self.args, self.kwargs, recorder.snapshot),
            recorder,
        )

    # inputs

    def _input(self, leaf: Leaf, value: Any) -> Any:
        param = self.graph.add_param(leaf.type, leaf.name)
        recorder = self.recorder
        if isinstance(value, torch.Tensor):
            recorder.check_tensor(value)
            if recorder.is_traced(value):
                value = _another_object(value)
            recorder.bind(value, param)
            return value
        return numbers.traced_number(recorder, value, param)

    # outputs

    def _output(self, result: Any) -> tuple[Value, OutputTree]:
        values: list[Value] = []
        spec = self._output_spec(result, values, "result")
        builder = self.recorder.builder
        builder.scope, builder.span = "", self.graph.span
        if len(values) == 1:
            return values[0], OutputTree(spec, 1)
        if not values:
            return builder.constant(None), OutputTree(spec, 0)
        return builder.tuple(values), OutputTree(spec, len(values))

    def _output_spec(self, result: Any, values: list[Value], place: str) -> Spec:
        if isinstance(result, torch.Tensor):
            values.append(self.recorder.value_of_tensor(result))
            return Leaf(T.TENSOR)
        if numbers.is_live(result):
            values.append(result._traced)
            return Leaf(result._traced.type)
        if leaf_type(result) is not None or result is None:
            return Static(numbers.plain(result))
        container = take_apart(result)
        if container is not None:
            keys, items = container.take(result)
            specs = [
                self._output_spec(v, values, f"{place}[{k!r}]")
                for k, v in zip(keys, items, strict=True)
            ]
            return dataclasses.replace(container, items=tuple(specs))
        if _may_hold_tensors(result):
            self.recorder.refuse(
                "SM0607",
                f"{place}: a {type(result).__name__} cannot be the result of a trace",
                "return tensors, numbers, and tuples, lists, dicts, dataclasses of them",
            )
        return Static(result)

    # module state

    def _record_assignments(self) -> None:
        """Tensors that the run has put into module attributes; warn about other assignments."""
        recorder = self.recorder
        for known in self.index:
            before = recorder.snapshot.state_of(known.module)
            if before:
                self._record_module(known, before)

    def _record_module(self, known: Any, before: dict[str, Any]) -> None:
        module = known.module
        old = _state(before)
        new = _state(module.__dict__)
        for name, value in new.items():
            if value is old.get(name, _MISSING):
                continue
            holder = old.get(name, _MISSING)
            if isinstance(value, torch.Tensor) and isinstance(holder, torch.Tensor):
                self._set_attribute(known, name, value)
            elif isinstance(value, torch.nn.Module):
                continue
            elif not _is_same(holder, value):
                where = f"{known.scope}.{name}" if known.scope else name
                self.recorder.remark(
                    "attribute",
                    None,
                    f"the assignment of module attribute `{where}` is not part of the trace",
                )

    def _set_attribute(self, known: Any, name: str, tensor: torch.Tensor) -> None:
        recorder = self.recorder
        assert recorder.reads is not None, "the recorder was started"
        owner = recorder.reads.module(known)
        self.index.add_tensor_attribute(known, name)
        value = recorder.value_of_assigned(tensor)
        if value is not None:
            recorder.builder.node("prim::SetAttr", [owner, value], [], name=name)


def rebuild_call(
    signature: inspect.Signature | None,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    given: Mapping[str, Any],
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The call ``args``, ``kwargs`` with other values, given in the order of the parameters."""
    values = iter(given.values())
    if signature is None:
        return tuple(next(values) for _ in args), {k: next(values) for k in kwargs}
    bound = signature.bind(*args, **kwargs)
    for name, value in list(bound.arguments.items()):
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            bound.arguments[name] = tuple(next(values) for _ in value)
        elif kind is inspect.Parameter.VAR_KEYWORD:
            bound.arguments[name] = {k: next(values) for k in value}
        else:
            bound.arguments[name] = next(values)
    return bound.args, bound.kwargs


_MISSING: Any = object()


def _state(table: Mapping[str, Any]) -> dict[str, Any]:
    own = {n: v for n, v in table.items() if not n.startswith("_") or isinstance(v, torch.Tensor)}
    return own | dict(table.get("_parameters", {})) | dict(table.get("_buffers", {}))


def _is_same(a: Any, b: Any) -> bool:
    if isinstance(a, (int, float, str, bool, type(None))) and type(a) is type(numbers.plain(b)):
        return bool(a == numbers.plain(b))
    return False


def _may_hold_tensors(value: Any) -> bool:
    return hasattr(value, "__dict__") and not callable(value) and not isinstance(value, type)


def _pairs(builder: InputBuilder) -> Iterator[tuple[Leaf, Any]]:
    return zip(builder.leaves, builder.values, strict=True)


def _another_object(tensor: torch.Tensor) -> torch.Tensor:
    """Another object for the same tensor, so that two inputs have two names."""
    if tensor.is_leaf:
        return tensor.detach().requires_grad_(tensor.requires_grad)
    return tensor.view_as(tensor)


def _span_of(fn: Any) -> Span:
    fn = getattr(fn, "__func__", fn)
    code = getattr(fn, "__code__", None)
    if code is None:
        return UNKNOWN
    qualified = getattr(fn, "__qualname__", code.co_name)
    return Span(code.co_filename, code.co_firstlineno, 0, 0, 0, qualified)
