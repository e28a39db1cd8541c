"""The check of a trace: run the program and the eager function again, on copies, and compare.

When they differ, a second recording is compared with the first node by node, then the values of
the nodes; the report names the first node that differs and the user's line.  Whatever the check
runs, state is afterwards as it was before the check.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from scriptmode.frontend.trace.record import (
    Arguments,
    Example,
    TracedMethod,
    TraceResult,
    rebuild_call,
    trace_function,
)
from scriptmode.frontend.trace.snapshot import copy_of, storage_key
from scriptmode.frontend.trace.structure import bind_arguments, example_arguments
from scriptmode.interp import Interpreter
from scriptmode.ir.graph import Graph, Node, Value
from scriptmode.support.diagnostics import (
    ArgumentError,
    Diagnostic,
    TraceError,
    TracerWarning,
    TracingCheckError,
)
from scriptmode.support.source import UNKNOWN, Span

Runner = Callable[[TracedMethod, Sequence[Any]], Any]
"""Runs a method's graph on flat arguments (without self) and returns the graph's result."""


def interpreter_runner(result: TraceResult) -> Runner:
    """Runs methods by the reference interpreter."""

    def run(method: TracedMethod, flat: Sequence[Any]) -> Any:
        owner = result.program.self_object
        first = [] if owner is None else [owner]
        return Interpreter(result.program).run(method.name, *first, *flat)

    return run


def check_trace(
    result: TraceResult,
    runner: Runner | None = None,
    *,
    check_inputs: Sequence[Any] = (),
    tolerance: float = 1e-5,
) -> None:
    """Compare every method with eager on its example and on ``check_inputs``.

    ``check_inputs`` are argument tuples of the only method, or dicts of them by method name.  A
    program of other operations or other frozen values is a TraceError, a difference in numbers
    alone a TracerWarning.
    """
    runner = runner or interpreter_runner(result)
    for method in result.methods.values():
        example = method.example
        assert example is not None, "the examples were forgotten"
        calls = [(example.args, example.kwargs)]
        for inputs in check_inputs:
            chosen = inputs.get(method.name) if _is_by_method(inputs, result) else inputs
            if chosen is not None:
                calls.append(_arguments(chosen))
        for number, (args, kwargs) in enumerate(calls):
            _Check(result, method, example, runner, tolerance, number).run(args, kwargs)


def _is_by_method(inputs: Any, result: TraceResult) -> bool:
    return isinstance(inputs, dict) and set(inputs) <= set(result.methods)


def _arguments(inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(inputs, Arguments):
        return inputs.args, inputs.kwargs
    return example_arguments(inputs), {}


class _Copier:
    """Copies tensors; those that share memory share it again."""

    def __init__(self) -> None:
        self._storages: dict[int, torch.UntypedStorage] = {}
        self._tensors: dict[int, torch.Tensor] = {}

    def copy(self, value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        if id(value) not in self._tensors:
            self._tensors[id(value)] = self._copy(value)
        return self._tensors[id(value)]

    def _copy(self, tensor: torch.Tensor) -> torch.Tensor:
        key = storage_key(tensor)
        with torch.no_grad():
            if key is None or tensor.is_conj() or tensor.is_neg():
                copy = tensor.detach().clone()
            else:
                if key not in self._storages:
                    self._storages[key] = copy_of(tensor.untyped_storage())
                copy = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
                place = tensor.storage_offset(), tensor.shape, tensor.stride()
                copy.set_(self._storages[key], *place)
        return copy.requires_grad_(tensor.requires_grad)


@dataclass
class _Outcome:
    """What a run left: its result's leaves, its arguments, the memory it wrote, or its error."""

    leaves: list[Any]
    state: list[Any]
    error: Exception | None = None


class _Check:
    def __init__(
        self,
        result: TraceResult,
        method: TracedMethod,
        example: Example,
        runner: Runner,
        tolerance: float,
        number: int,
    ) -> None:
        self.result, self.method, self.example = result, method, example
        self.runner, self.tolerance = runner, tolerance
        self.where = "the example input" if number == 0 else f"check_inputs[{number - 1}]"

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Run both and report."""
        snapshot = self.example.snapshot
        with snapshot.rewound(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            eager = self._eager(*self._copies(args, kwargs))
            snapshot.rewind()
            program = self._program(*self._copies(args, kwargs))
            snapshot.rewind()
            if eager.error is not None:
                raise eager.error
            difference = self._difference(eager, program)
            if difference is None:
                return
            again = self._eager(*self._copies(args, kwargs))
            snapshot.rewind()
            is_random = self._difference(eager, again) is not None
            found = self._first_node(*self._copies(args, kwargs))
        self._report(difference, found, is_random)

    # the runs

    def _copies(self, args: Any, kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        tree, copier = self.method.input_tree, _Copier()
        given = bind_arguments(tree.signature, args, kwargs, TraceError)
        for name, value in given.items():
            spec = tree.specs.get(name)
            if spec is None:
                continue  # flatten() reports it
            leaves: list[Any] = []
            try:
                spec.flatten(value, name, leaves)
            except ArgumentError as mismatch:
                raise TraceError(mismatch.diagnostics) from None
            given[name] = spec.build(iter([copier.copy(leaf) for leaf in leaves]))
        return rebuild_call(tree.signature, args, kwargs, given)

    def _eager(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Outcome:
        flat = self.method.flatten(args, kwargs)
        try:
            result = self.example.function(*args, **kwargs)
        except Exception as error:
            return _Outcome([], [], error)
        leaves: list[Any] = []
        try:
            self.method.output_tree.spec.flatten(result, "result", leaves)
        except ArgumentError as mismatch:
            return _Outcome([f"another structure: {mismatch.diagnostics[0].message}"], [])
        return _Outcome(_kept(leaves), _kept([*flat, *self.example.snapshot.written()]))

    def _program(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Outcome:
        flat = self.method.flatten(args, kwargs)
        try:
            result = self.runner(self.method, flat)
        except Exception as error:
            return _Outcome([], [], error)
        count = self.method.output_tree.count
        leaves = [result] if count == 1 else list(result) if count else []
        return _Outcome(_kept(leaves), _kept([*flat, *self.example.snapshot.written()]))

    # comparing

    def _difference(self, eager: _Outcome, program: _Outcome) -> str | None:
        if program.error is not None:
            return f"the program raises {type(program.error).__name__}: {program.error}"
        if len(eager.leaves) != len(program.leaves):
            return f"the function returns {eager.leaves[0] if eager.leaves else 'nothing'}"
        for index, (a, b) in enumerate(zip(eager.leaves, program.leaves, strict=True)):
            text = difference(a, b, self.tolerance)
            if text is not None:
                return f"output {index}: {text}"
        for a, b in zip(eager.state, program.state, strict=True):
            text = difference(a, b, self.tolerance)
            if text is not None:
                return f"a tensor that is changed in place: {text}"
        return None

    def _first_node(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Divergence | None:
        name = self.method.name
        try:
            second = trace_function(self.example.function, args, kwargs, name=name)
        except TraceError as error:
            return _Divergence(error.span or UNKNOWN, "", error.diagnostics[0].message, True)
        self.example.snapshot.rewind()
        graphs = self.result.program.functions[name], second.program.functions[name]
        found = first_difference(*graphs)
        if found is not None:
            return found
        recorder = second.root.recorder
        assert recorder is not None, "the example was not forgotten"
        flat = self.method.flatten(*self._copies(args, kwargs))
        return self._first_value(graphs, recorder.known_tensors(), flat)

    def _first_value(
        self, graphs: tuple[Graph, Graph], eager: Mapping[Value, torch.Tensor], flat: list[Any]
    ) -> _Divergence | None:
        watcher = _Watcher(self.result, graphs[0])
        watcher.run_watched(flat)
        for node, other in zip(graphs[0].nodes, graphs[1].nodes, strict=False):
            for value, counterpart in zip(node.outputs, other.outputs, strict=False):
                if value in watcher.seen and counterpart in eager:
                    text = difference(eager[counterpart], watcher.seen[value], self.tolerance)
                    if text is not None:
                        return _Divergence(node.span, describe(node), text, False)
        return None

    def _report(self, what: str, found: _Divergence | None, is_random: bool) -> None:
        message = f"the trace of {self.method.name} differs from eager on {self.where}"
        span = (
            found.span
            if found is not None
            else self.result.program.functions[self.method.name].span
        )
        notes = [what]
        if found is not None:
            node = f"first different node: {found.node}: " if found.node else ""
            notes.append(f"{node}{found.text}")
        if is_random:
            notes.append("the function itself gives different results on equal input")
        diagnostic = Diagnostic(
            "SM0630", message, span, notes=tuple(notes), help="script the part that varies"
        )
        if found is not None and found.is_structural and not is_random:
            raise TracingCheckError(diagnostic)
        warnings.warn_explicit(
            diagnostic.render().replace("error", "warning", 1),
            TracerWarning,
            span.file,
            span.line or 1,
        )


def _kept(values: Sequence[Any]) -> list[Any]:
    return [v.detach().clone() if isinstance(v, torch.Tensor) else v for v in values]


def difference(eager: Any, program: Any, tolerance: float) -> str | None:
    """How two leaves differ; None when they agree."""
    if isinstance(eager, torch.Tensor) and isinstance(program, torch.Tensor):
        if _agree(eager, program, tolerance):
            return None
        try:
            torch.testing.assert_close(
                program, eager, rtol=tolerance, atol=tolerance, equal_nan=True
            )
        except AssertionError as error:
            return str(error).strip().splitlines()[0] + _greatest(str(error))
        return None
    if type(eager) is type(program) and (eager == program or eager != eager):
        return None
    if isinstance(eager, (int, float)) and isinstance(program, (int, float)):
        if abs(eager - program) <= tolerance * (1 + abs(eager)):
            return None
    return f"eager gives {eager!r:.40}, the program {program!r:.40}"


_CLOSE = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.complex64,
          torch.complex128)  # fmt: skip


def _agree(a: torch.Tensor, b: torch.Tensor, tolerance: float) -> bool:
    """Whether two plain tensors agree; those of other kinds are not judged.

    ``torch.testing`` imports the whole of ``torch.distributed.tensor`` first, which takes a second.
    """
    kinds = [(type(t), t.dtype, t.device, t.layout, t.shape) for t in (a, b)]
    if kinds[0] != kinds[1] or a.layout is not torch.strided or a.is_quantized:
        return False
    if a.dtype in _CLOSE:
        return torch.allclose(b, a, rtol=tolerance, atol=tolerance, equal_nan=True)
    return torch.equal(a, b)


def _greatest(text: str) -> str:
    lines = [s.strip() for s in text.splitlines() if "absolute difference" in s]
    return f" ({lines[0]})" if lines else ""


@dataclass(frozen=True)
class _Divergence:
    """The first node at which two runs differ; structural: another op or frozen value."""

    span: Span
    node: str
    text: str
    is_structural: bool


def describe(node: Node) -> str:
    """A node in a message."""
    scope = f" in {node.scope}" if node.scope else ""
    return f"{node.kind}{scope} at {node.span.file}:{node.span.line}"


def first_difference(first: Graph, second: Graph) -> _Divergence | None:
    """The first node that is not the same in two recordings."""
    mapping = dict(zip(first.params, second.params, strict=True))
    ours, theirs = list(first.nodes), list(second.nodes)
    for a, b in zip(ours, theirs, strict=False):
        text = _node_difference(a, b, mapping)
        if text is not None:
            return _Divergence(b.span if b.span.line else a.span, describe(a), text, True)
        mapping.update(zip(a.outputs, b.outputs, strict=True))
    if len(ours) != len(theirs):
        longer = (ours if len(ours) > len(theirs) else theirs)[min(len(ours), len(theirs))]
        who = "the trace" if len(ours) > len(theirs) else "eager"
        return _Divergence(longer.span, describe(longer), f"only {who} has it", True)
    for x, y in zip(first.block.returns, second.block.returns, strict=True):
        if mapping.get(x) is not y:
            return _Divergence(first.span, "the result", "another value is returned", True)
    return None


def _node_difference(a: Node, b: Node, mapping: Mapping[Value, Value]) -> str | None:
    if a.kind != b.kind:
        return f"the trace has {a.kind}, eager now runs {b.kind} ({describe(b)})"
    if "value" in a.attributes and not _same_constant(a.attributes["value"], b.attributes["value"]):
        return (
            f"the constant {_shown(a.attributes['value'])} is {_shown(b.attributes['value'])} now"
        )
    if len(a.inputs) != len(b.inputs):
        return f"it has {len(a.inputs)} inputs, and {len(b.inputs)} now"
    for index, (x, y) in enumerate(zip(a.inputs, b.inputs, strict=True)):
        if mapping.get(x) is not y:
            return f"input {index} is another value now"
    return None


def _shown(value: Any) -> str:
    if isinstance(value, torch.Tensor) and value.numel() > 8:
        return f"tensor of shape {tuple(value.shape)}"
    return f"{value!r:.60}"


def _same_constant(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return a is b or (
            a.shape == b.shape and a.dtype == b.dtype and difference(a, b, 0.0) is None
        )
    return type(a) is type(b) and bool(a == b or (a != a and b != b))


class _Watcher(Interpreter):
    """Keeps copies of what the top block's nodes give."""

    def __init__(self, result: TraceResult, graph: Graph) -> None:
        super().__init__(result.program)
        self.graph = graph
        self.seen: dict[Value, torch.Tensor] = {}

    def run_watched(self, flat: Sequence[Any]) -> None:
        """Run the graph as far as it goes."""
        owner = self.program.self_object
        try:
            self.run_graph(self.graph, [*([] if owner is None else [owner]), *flat])
        except Exception:
            return  # the report has the error; what was seen until then tells the node

    def _node(self, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
        outputs = super()._node(node, inputs)
        for value, result in zip(node.outputs, outputs, strict=False):
            if isinstance(result, torch.Tensor):
                self.seen[value] = result.detach().clone()
        return outputs
