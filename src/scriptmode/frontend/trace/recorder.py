"""The recorder: one graph in the making, and what each Python tensor and number is in it.

Tensors are known by identity; they are kept alive so that no identity is used twice.  A tensor that
no recorded op has made is an attribute of a module, or else a constant, with a warning.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from scriptmode.frontend.conversion import as_list
from scriptmode.frontend.operands import (
    ConstOperand,
    Operand,
    SequenceOperand,
    SliceOperand,
    ValueOperand,
)
from scriptmode.frontend.trace import numbers
from scriptmode.frontend.trace.guards import FACT_OF_NAME, Guard
from scriptmode.frontend.trace.modules import ModuleIndex, Reads
from scriptmode.frontend.trace.places import called_by_torch, user_span
from scriptmode.frontend.trace.snapshot import Snapshot
from scriptmode.frontend.trace.state import Frozen, paused
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import UNREACHABLE, YIELD, Block, Graph, Node, Program, Value
from scriptmode.ops.aten import schema_of
from scriptmode.support.diagnostics import Diagnostic, NotBuiltError, TraceError, TracerWarning
from scriptmode.support.source import Span

_PLAIN_TENSORS = (torch.Tensor, torch.nn.Parameter, torch.nn.Buffer)


# reads that are recorded before it is known whether Python uses them
_READS = frozenset([
    "prim::Constant", "tensor::shape", "tuple::as_list", "list::getitem", "list::len", "int::ne",
    "aten::size.int", "aten::size", "aten::numel", "aten::stride", "aten::stride.int",
    "tensor::stride", "prim::TupleIndex", "tuple::from_list", "size::from_list",
    "prim::TupleConstruct", "prim::ListConstruct", "tensor::dtype", "tensor::device",
])  # fmt: skip


@dataclass
class _Element:
    """A tensor inside a recorded list, tuple or dict, read when it is first used."""

    container: Value
    index: Any


class Hooks(Protocol):
    """What the recorder leaves to modules that build on it."""

    def is_compiled(self, value: Any) -> bool:
        """Whether ``value`` offers a compiled program."""

    def call_compiled(self, recorder: Recorder, compiled: Any, args: Any, kwargs: Any) -> Any:
        """Record a call of it."""

    def claimed(self) -> contextlib.AbstractContextManager[None]:
        """Run what is recorded already within the ``with``."""


class Recorder:
    """Records one run into ``graph``."""

    def __init__(self, program: Program, graph: Graph, index: ModuleIndex) -> None:
        self.program, self.graph, self.index = program, graph, index
        self.builder = Builder(graph.block, schema_of)
        self.snapshot = Snapshot(index)
        self.frozen: list[Frozen] = []
        self.guards: dict[str, Guard] = {}  # by fact
        self.warnings: list[str] = []
        self._seen_remarks: set[tuple[str, str, Span]] = set()
        # reads of attributes and constants go to the head of the graph
        self._head = Block(None)
        self._head_builder = Builder(self._head, schema_of)
        self._values: dict[int, tuple[Any, Value | _Element]] = {}
        self.reads: Reads | None = None
        self._grad = GradMode(self)
        self.call_hooks: Hooks | None = None
        self._autocast = _autocast_state()

    # values

    def start(self, self_value: Value | None) -> None:
        """Begin, after the graph's parameters were made."""
        self.reads = Reads(self.index, self_value, self._read)

    def _read(self, kind: str, inputs: Sequence[Value], t: T.Type, name: str) -> Value:
        builder = self._head_builder
        builder.span, builder.scope = user_span(), ""
        return builder.node(kind, inputs, [t], name=name).output

    def bind(self, tensor: Any, value: Value | _Element) -> None:
        """Tie a Python tensor to an IR value."""
        self._values[id(tensor)] = (tensor, value)

    def is_traced(self, tensor: torch.Tensor) -> bool:
        """Whether the recorded program computes or reads ``tensor``."""
        return self.is_known(tensor) or self.index.find_tensor(tensor) is not None

    def is_known(self, tensor: torch.Tensor) -> bool:
        """Whether ``tensor`` was bound."""
        return id(tensor) in self._values

    def value_of_tensor(self, tensor: torch.Tensor) -> Value:
        """The IR value of a tensor: recorded, a module's, or a new constant."""
        found = self._values.get(id(tensor))
        if found is not None:
            value = found[1]
            if isinstance(value, _Element):
                value = self._element(value)
                self.bind(tensor, value)
            return value
        self.check_tensor(tensor)
        place = self.index.find_tensor(tensor)
        if place is None:
            self.index.rescan()
            place = self.index.find_tensor(tensor)
        if place is not None:
            assert self.reads is not None, "the recorder was not started"
            value = self.reads.tensor(*place)
        else:
            value = self._tensor_constant(tensor)
        self.bind(tensor, value)
        return value

    def value_of_assigned(self, tensor: torch.Tensor) -> Value | None:
        """The value of a tensor that now stands in a module attribute; None when it was not made
        by the recorded program."""
        return self.value_of_tensor(tensor) if self.is_known(tensor) else None

    def check_tensor(self, tensor: torch.Tensor) -> None:
        """Refuse subclasses, whose behaviour a recording would lose."""
        if type(tensor) not in _PLAIN_TENSORS:
            self.refuse(
                "SM0610",
                f"a {type(tensor).__name__} cannot be recorded",
                "trace with plain tensors",
            )

    def _element(self, element: _Element) -> Value:
        container = element.container
        with self._placed():
            if isinstance(container.type, T.TupleType):
                return self.builder.tuple_index(container, element.index)
            if isinstance(container.type, T.DictType):
                key = self.constant(element.index)
                return self.builder.op("dict::getitem", container, key)
            return self.builder.op("list::getitem", container, self.constant(element.index))

    def _tensor_constant(self, tensor: torch.Tensor) -> Value:
        shape = "x".join(map(str, tensor.shape)) or "scalar"
        self.remark(
            "constant",
            tensor,
            f"a tensor ({shape}, {tensor.dtype}) that no parameter, buffer or input holds "
            "became a constant of the trace",
        )
        return self._head_builder.constant(tensor, T.TENSOR)

    def constant(self, value: Any) -> Value:
        """A constant at the current place."""
        with self._placed():
            return self.builder.constant(value)

    def operand(self, value: Any) -> Operand:
        """``value`` as ``frontend.calls`` wants it."""
        if isinstance(value, torch.Tensor):
            return ValueOperand(self.value_of_tensor(value))
        if numbers.is_live(value):
            return ValueOperand(value._traced)
        if isinstance(value, (list, tuple)):
            items = tuple(self.operand(v) for v in value)
            return SequenceOperand(items, "list" if isinstance(value, list) else "tuple")
        if isinstance(value, slice):
            return SliceOperand(*(self.operand(v) for v in (value.start, value.stop, value.step)))
        return ConstOperand(numbers.plain(value))

    # nodes

    @contextlib.contextmanager
    def _placed(self) -> Iterator[None]:
        self.builder.span = user_span()
        yield

    def emit(self, kind: str, *inputs: Value) -> Value:
        """Append an op with one result."""
        with self._placed():
            return self.builder.op(kind, *inputs)

    def select(self, kind: str, a: Value, b: Value) -> Value:
        """Append ``a if kind(a, b) else b``."""
        with self._placed():
            node = self.builder.if_node(self.builder.op(kind, a, b))
            result = node.add_output(a.type)
            node.blocks[0].terminate(YIELD, [a], node.span)
            node.blocks[1].terminate(YIELD, [b], node.span)
            return result

    def require_length(self, container: Value, count: int, what: str) -> None:
        """Append a check that a list has the length that Python unpacked."""
        with self._placed():
            builder = self.builder
            length = builder.op("list::len", container)
            differs = builder.op("int::ne", length, builder.constant(count))
            self._raise_if(differs, f"{what} gave {count} tensors when traced, not now")

    def _require_none(self, value: Value, is_none: bool, what: str) -> None:
        """Append a check that an optional result is None, or is not, as it was for Python."""
        with self._placed():
            differs = self.builder.node("prim::is_none", [value], [T.BOOL]).output
            if is_none:
                differs = self.builder.op("bool::not", differs)
            given = "None" if is_none else "a value"
            self._raise_if(differs, f"{what} gave {given} when traced, not now")

    def _raise_if(self, condition: Value, text: str) -> None:
        builder = self.builder
        node = builder.if_node(condition)
        with builder.at(node.blocks[0]) as block:
            builder.node("prim::raise", [builder.constant(text)], exception=RuntimeError)
            block.terminate(UNREACHABLE, [], node.span)
        node.blocks[1].terminate(YIELD, [], node.span)

    @contextlib.contextmanager
    def attempt(self) -> Iterator[None]:
        """Take back the nodes appended within the ``with`` when an exception leaves it."""
        mark = self.builder.block.last
        try:
            yield
        except BaseException:
            node = self.builder.block.last
            while node is not None and node is not mark:
                previous = node.previous
                node.erase()
                node = previous
            raise

    def before_call(self) -> None:
        """Check the thread's modes and record a change of the grad mode; set place and scope."""
        if _autocast_state() != self._autocast:
            self.refuse(
                "SM0611",
                "an autocast region inside a traced function cannot be recorded yet",
                "put the whole call of the traced function under autocast",
            )
        if torch.is_inference_mode_enabled() != self._grad.inference:
            self.refuse(
                "SM0612",
                "an inference_mode region inside a traced function cannot be recorded",
                "use torch.no_grad() inside, or call the traced function under inference_mode",
            )
        self.builder.span = user_span()
        self._grad.settle()

    @property
    def grad_mode(self) -> GradMode:
        """The recorded grad mode."""
        return self._grad

    def known_tensors(self) -> dict[Value, torch.Tensor]:
        """What the run computed, by IR value."""
        return {v: t for t, v in self._values.values() if isinstance(v, Value)}

    # results

    def bind_result(self, result: Any, value: Value, what: str) -> Any:
        """Tie what a call gave Python to its IR value; what Python is to see."""
        if value.type == T.NONE:
            return result
        if isinstance(value.type, T.OptionalType):
            self._require_none(value, result is None, what)
            if result is not None:
                value = self.builder.cast(value, value.type.element)
        if isinstance(result, torch.Tensor):
            self.bind(result, value)
            return result
        if result is None:
            return result
        if isinstance(result, (tuple, list)):
            return self._bind_sequence(result, value, what)
        if isinstance(result, dict):
            items = {k: self._bind_item(v, value, k, what) for k, v in result.items()}
            return items
        return self._bind_scalar(result, value, what)

    def _bind_sequence(self, result: Any, value: Value, what: str) -> Any:
        node = value.node
        if isinstance(value.type, T.VarTupleType) or value.type == T.SIZE:
            is_wrapper = node is not None and node.kind in ("tuple::from_list", "size::from_list")
            elements = node.inputs[0] if node and is_wrapper else as_list(self.builder, value)
            if value.type != T.SIZE:
                self.require_length(elements, len(result), what)
            parts = [self._bind_item(r, elements, i, what) for i, r in enumerate(result)]
        elif isinstance(value.type, T.TupleType):
            if node is not None and node.kind == "prim::TupleConstruct":
                pairs = zip(result, node.inputs, strict=True)
                parts = [self.bind_result(r, v, what) for r, v in pairs]
            else:
                parts = [self._bind_item(r, value, i, what) for i, r in enumerate(result)]
        elif isinstance(value.type, T.ListType):
            self.require_length(value, len(result), what)
            parts = [self._bind_item(r, value, i, what) for i, r in enumerate(result)]
        else:
            self.freeze("value", result, f"the result of {what} became a Python value")
            return result
        if all(a is b for a, b in zip(parts, result, strict=True)):
            return result
        if isinstance(result, tuple) and hasattr(type(result), "_fields"):
            return type(result)(*parts)
        return type(result)(parts)

    def _bind_item(self, item: Any, container: Value, index: Any, what: str) -> Any:
        element = _Element(container, index)
        if isinstance(item, torch.Tensor) and T.TENSOR in _element_types(container.type, index):
            self.bind(item, element)
            return item
        return self.bind_result(item, self._element(element), what)

    def _bind_scalar(self, result: Any, value: Value, what: str) -> Any:
        if isinstance(result, bool) or value.type not in (T.INT, T.FLOAT):
            self.freeze("value", result, f"the result of {what} became a Python value")
            return result
        return numbers.traced_number(self, result, value)

    # remarks

    def freeze(self, kind: str, value: Any, text: str, *, warn: bool = True) -> None:
        """Note that Python has taken ``value``."""
        if kind == "comparison" and called_by_torch():
            warn = False  # torch's own consistency checks of shapes
        shown = f" ({value!r})" if isinstance(value, (bool, int, float, str)) else ""
        text = f"{text}{shown:.60}, which is frozen: the trace keeps it for every input"
        self.remark(kind, value, text, warn=warn)

    def guard(self, name: str) -> None:
        """Note that the user's code has read something of a tensor that inputs decide."""
        fact = FACT_OF_NAME.get(name)
        if fact is not None and fact not in self.guards and not called_by_torch():
            self.guards[fact] = Guard(fact, name, user_span())

    def remark(self, kind: str, value: Any, message: str, *, warn: bool = True) -> None:
        """Append to ``frozen`` and warn, once for each place."""
        span = user_span()
        key = (kind, message, span)
        if key in self._seen_remarks:
            return
        self._seen_remarks.add(key)
        self.frozen.append(Frozen(kind, value, span, message, warn))
        if warn:
            self.warnings.append(message)
            with paused():
                warnings.warn_explicit(message, TracerWarning, span.file, span.line or 1)

    def refuse(self, code: str, message: str, help: str = "") -> None:
        """Raise TraceError at the user's place."""
        raise TraceError(Diagnostic(code, message, user_span(), help=help))

    # modules

    def call_module(
        self, original: Callable[..., Any], module: torch.nn.Module, args: Any, kwargs: Any
    ) -> Any:
        """Run a module's ``__call__`` with its scope."""
        if module._backward_hooks or module._backward_pre_hooks:
            self.refuse(
                "SM0617",
                f"a backward hook on a {type(module).__name__}, which a recording would lose",
                "remove the hook, or register it after tracing on the outermost module",
            )
        known = self.index.find(module)
        if known is None:
            self.snapshot.add_module(module)
            self.index.capture(module, type(module).__name__.lower())
            known = self.index.find(module)
        assert known is not None, "the module was just captured"
        saved, self.builder.scope = self.builder.scope, known.scope
        try:
            if self.call_hooks is not None and self.call_hooks.is_compiled(module):
                return self.call_hooks.call_compiled(self, module, args, kwargs)
            return original(module, *args, **kwargs)
        finally:
            self.builder.scope = saved

    # the end

    def _guard_grad_mode(self) -> None:
        """Let errors leave the caller's grad mode, where the recording has changed it."""
        if not self.graph.find_all("torch::set_grad_enabled") or self.graph.block.first is None:
            return
        kind = "torch::guard_grad_mode"
        Node(kind, schema=schema_of(kind)).insert_before(self.graph.block.first)

    def finish(self, result: Value) -> None:
        """Terminate the graph, drop unused reads of sizes and put the reads of attributes first."""
        self._grad.restore()
        block = self.graph.block
        self._guard_grad_mode()
        self.graph.return_type = result.type
        block.terminate(YIELD, [result], self.graph.span)
        for node in list(block.reversed_nodes):
            if node.kind in _READS and not any(o.is_used for o in node.outputs):
                node.erase()
        first = block.first
        assert first is not None, "a terminated block has a node"
        head: list[Node] = [n for n in self._head.nodes if any(o.is_used for o in n.outputs)]
        for node in head:
            node.detach()
            node.insert_before(first)


class TraceNotBuiltError(TraceError, NotBuiltError):
    """A construct that the trace front end will record later."""


def _element_types(t: T.Type, index: Any) -> tuple[T.Type, ...]:
    """What an element of a container may be, as its type says."""
    if isinstance(t, T.TupleType):
        return (t.elements[index],)
    return (t.contained[-1],)


def _autocast_state() -> tuple[Any, ...]:
    state: list[Any] = []
    for device in ("cpu", "cuda"):
        enabled = torch.is_autocast_enabled(device)
        state.append((enabled, torch.get_autocast_dtype(device) if enabled else None))
    return tuple(state)


class GradMode:
    """The grad mode as the program computes it.

    A region's end goes back to what was before it, which at the outermost level is the caller's
    mode and not the one at the time of the trace.  Changes are recorded when an op follows them.
    """

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.inference = torch.is_inference_mode_enabled()
        self._initial: Value | None = None
        self._wanted: bool | None = None  # None: the caller's mode
        self._emitted: bool | None = None
        self._before: dict[int, tuple[Any, bool | None]] = {}

    def enter(self, context: Any, mode: bool) -> None:
        """A region begins: ``context`` sets ``mode``."""
        self._before.setdefault(id(context), (context, self._wanted))
        self._wanted = mode

    def leave(self, context: Any, mode: bool) -> None:
        """A region ends."""
        found = self._before.pop(id(context), None)
        self._wanted = mode if found is None else found[1]

    def settle(self) -> None:
        """Append the change that is due."""
        if self._wanted is self._emitted:
            return
        recorder = self.recorder
        if self._initial is None:
            self._initial = recorder.emit("torch::is_grad_enabled")
        wanted = self._initial if self._wanted is None else recorder.constant(self._wanted)
        builder = recorder.builder
        schema = schema_of("torch::set_grad_enabled")
        builder.node("torch::set_grad_enabled", [wanted], [], schema=schema)
        self._emitted = self._wanted

    def restore(self) -> None:
        """Give the caller's mode back at the end of the program."""
        if self._before:
            self.recorder.refuse(
                "SM0616",
                "the traced function changes the grad mode and leaves it so",
                "write `with torch.set_grad_enabled(mode):` around what needs the mode",
            )
        self._wanted = None
        self.settle()
