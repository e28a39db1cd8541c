"""Calls that need gradients: the forward program, one node on torch's tape, the reverse program.

``Gradients(variant, ...)`` belongs to one instance of a function.  ``call(arguments)`` runs the
forward program inside of an ``autograd.Function`` whose backward is the reverse program; where the
function has none (``NotDifferentiable``), the ordinary program records torch's own tape, and
``reason`` says why.  A forward and a reverse program are compiled for each pattern of which
arguments and parameters require a gradient.

Results that are arguments stay what they are; they do not pass through the node.  A backward under
``create_graph=True`` runs the ordinary program once more on torch's tape and differentiates that.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd import forward_ad

from scriptmode.analysis.effects import HIDDEN_WRITES, op_effects
from scriptmode.autodiff.activity import Key, Path, root_paths
from scriptmode.autodiff.differentiate import differentiate, program_of
from scriptmode.autodiff.prepare import written_in
from scriptmode.autodiff.problems import NotDifferentiable
from scriptmode.autodiff.transform import Differentiated
from scriptmode.codegen.compiler_process import CompilerEnded, compiler_process
from scriptmode.codegen.module import Compiler
from scriptmode.codegen.object_code import compile_object
from scriptmode.ir import types as T
from scriptmode.ir.graph import Graph, Program, Value, copy_graph
from scriptmode.ir.graph import Node as IRNode
from scriptmode.jit.background import background
from scriptmode.jit.gradient_choice import Choice
from scriptmode.jit.gradient_values import (
    Outputs,
    all_tensors,
    at,
    by_root,
    cotangent_of,
    frozen,
    refilled,
    replaced,
    requires_grad,
    root_tensors,
    view_of,
)
from scriptmode.jit.pipeline import compile_native
from scriptmode.ops.table import Effect
from scriptmode.runtime.boundary import make_entry, record_of, unusual_state
from scriptmode.runtime.captured import CapturedRows
from scriptmode.runtime.code import Lease
from scriptmode.runtime.instance import NativeInstance
from scriptmode.support import config

Entry = Callable[..., Any]
Pattern = tuple[bool, ...]


@dataclass
class Node:
    """A compiled pair of programs for one pattern."""

    differentiated: Differentiated
    forward: Entry
    compile_reverse: Callable[..., Entry]
    inputs: list[int]  # what the reverse program takes: parameters by number, then leaves
    wrt: list[tuple[int, Path]]  # what it gives the cotangents of
    saved: list[int]  # what must not be written until then: the inputs, and what the frame holds
    is_single: bool  # the result is one tensor, and no view of an argument
    keeps: bool  # whether anything is kept, so that there is a last backward
    is_random: bool
    writes: bool
    warns: bool
    is_recorded: bool  # torch's tape sees some of the ops
    code: Lease | None  # of the forward program, where frames may refer to its constants

    @functools.cached_property
    def reverse(self) -> Entry:
        """The reverse program, which leaves the frame as it is."""
        return self.compile_reverse(False)

    @functools.cached_property
    def last_reverse(self) -> Entry:
        """One that takes the frame: what it holds is freed as soon as it was used."""
        return self.compile_reverse(True)


@dataclass
class Run:
    """What one call shares between its forward, its backward and the caller."""

    node: Node
    owner: Gradients
    arguments: Sequence[Any]
    leaves: Sequence[Any]
    result: Any = None
    places: list[tuple[Path, int]] | None = None  # outputs of the node, by path in the result
    taken: list[Any] | None = None  # by cotangent that the reverse takes: outputs of the node or -1
    state: Any = None
    frame: Any = None
    is_over: bool = False  # the last backward has run
    views: Sequence[tuple[Path, torch.Tensor, torch.Tensor]] = ()
    code: Lease | None = None  # what the frame refers to

    def __del__(self) -> None:
        # a frame that is garbage together with its program must go first
        if self.code is not None:
            self.frame = None
            self.code.release()


class Gradients:
    """The differentiated forms of one instance of a function."""

    def __init__(
        self, program: Program, function: str, entry: Entry, instance: NativeInstance | None,
        module: Any,
    ) -> None:  # fmt: skip
        self.program, self.function, self.entry = program, function, entry
        self.instance, self.module = instance, module
        self.reason = ""
        self._lock = threading.RLock()
        self._nodes: dict[Pattern, Node | None] = {}
        self._leaf_paths: list[tuple[str, ...]] | None = None
        self._places: list[tuple[int, Path]] = []  # of all that may require a gradient
        self.is_plain = False  # no argument is a container
        self._readers: list[tuple[dict[str, Any], str]] = []
        self._asked: set[Pattern | None] = set()  # what the background makes, or has made

    @functools.cached_property
    def choice(self) -> Choice:
        """Which calls run programs of their own where that is not said."""
        return Choice(self.program, self.function)

    def free_lock(self) -> None:
        """In a forked process: the thread that compiled a program does not exist there."""
        self._lock = threading.RLock()
        self._asked.clear()

    # ---- calls

    def around(self, graph: Graph) -> Entry:
        """The entry, with a reverse program for the calls that need one."""
        if graph.return_type is None or T.TENSOR not in T.walk(graph.return_type):
            return self.entry
        params = graph.params[1:] if self.instance is not None else graph.params
        names = [p.name for p in params]
        count, defaults, entry = len(names), graph.defaults, self.entry
        positional = count - len(graph.kwarg_only)

        def call(*args: Any, **kwargs: Any) -> Any:
            if not torch.is_grad_enabled() or self.reason:
                return entry(*args, **kwargs)
            mode = config.get("autodiff")
            if not mode:
                return entry(*args, **kwargs)
            is_auto = mode == "auto" and not self.choice.asks
            if is_auto and not self._is_awaited():
                if not self.choice.repeats:
                    return entry(*args, **kwargs)
                start = time.thread_time()
                result = entry(*args, **kwargs)
                self.choice.watch(result, time.thread_time() - start)
                return result
            if len(args) == positional == count and not kwargs:
                return self.call(args, is_auto)
            given = dict(zip(names, args, strict=False))
            if len(args) > positional or given.keys() & kwargs.keys():
                return entry(*args, **kwargs)  # which knows what is wrong
            given = {**defaults, **given, **kwargs}
            if given.keys() != set(names):
                return entry(*args, **kwargs)
            return self.call([given[name] for name in names], is_auto)

        call.__wrapped__ = entry  # type: ignore[attr-defined]
        return call

    def call(self, arguments: Sequence[Any], is_auto: bool = False) -> Any:
        """Run the function on all its arguments, with a node on the tape where one is needed.

        With ``is_auto``, what is not compiled yet is compiled in the background.
        """
        leaves = self._leaves()
        if leaves is None:
            return self._ordinary(arguments)
        everything = (*arguments, *leaves)
        if self.is_plain:
            given = [everything[i] for i, _ in self._places]
            pattern = tuple([isinstance(t, torch.Tensor) and t.requires_grad for t in given])
        else:
            pattern = tuple([requires_grad(at(everything[i], p)) for i, p in self._places])
        if True not in pattern:
            return self._ordinary(arguments)
        if _needs_tape(everything):
            return self._ordinary(arguments)
        node = self._nodes.get(pattern, _UNKNOWN)
        if node is _UNKNOWN:
            node = self._later(pattern) if is_auto else self._node(pattern)
        if node is None:
            return self._ordinary(arguments)
        assert isinstance(node, Node)
        run = Run(node, self, arguments, leaves)
        try:
            if self.is_plain:
                roots = [everything[i] for i, _ in node.wrt]
            else:
                roots = [t for i, path in node.wrt for t in root_tensors(at(everything[i], path))]
            outputs = _Apply.apply(run, *roots)  # type: ignore[no-untyped-call]
        except _Misfit:
            return self._ordinary(arguments)
        if run.places is _WHOLE:
            run.result = None
            return outputs[0]
        assert run.places is not None
        # a result leads to the node, which leads to the run
        result, run.result = run.result, None
        for path, number in run.places:
            result = replaced(result, path, outputs[number])
        made: dict[int, torch.Tensor] = {}
        for path, base, view in run.views:  # torch's own view, which has a tape of its own
            if id(view) not in made:
                made[id(view)] = view_of(base, view)
            result = replaced(result, path, made[id(view)])
        run.views = ()
        return result

    def _ordinary(self, arguments: Sequence[Any]) -> Any:
        graph = self.program.functions[self.function]
        split = len(arguments) - len(graph.kwarg_only)
        named = [p.name for p in graph.params[len(graph.params) - len(graph.kwarg_only) :]]
        return self.entry(*arguments[:split], **dict(zip(named, arguments[split:], strict=True)))

    def _leaves(self) -> list[Any] | None:
        """The tensors of modules that the function reads; None when it has no reverse program."""
        if self._leaf_paths is None:
            with self._lock:
                if self.reason:
                    return None
                self._find_leaves()
                if self._leaf_paths is None:
                    return None
        return [holder.get(name) for holder, name in self._readers]

    def _find_leaves(self) -> None:
        try:
            _, leaves = differentiate(self.program, self.function, lambda graph, found: [])
        except NotDifferentiable as error:
            self.reason = str(error)
            return
        for _, path in leaves:
            owner = self.module
            for name in path[:-1]:
                owner = getattr(owner, name)
            held = owner._parameters if path[-1] in owner._parameters else owner._buffers
            if path[-1] not in held:
                held = owner.__dict__
            self._readers.append((held, path[-1]))
        graph = self.program.functions[self.function]
        own = graph.params[1:] if self.instance is not None else graph.params
        self._places = [
            (number, path)
            for number, t in enumerate([*(p.type for p in own), *(v.type for v, _ in leaves)])
            for path in root_paths(t)
        ]
        self.is_plain = not any(
            isinstance(t, (T.ListType, T.TupleType, T.VarTupleType))
            for p in own
            for t in T.walk(p.type)
        )
        self._leaf_paths = [path for _, path in leaves]  # last: other threads look for it

    # ---- compiling

    def _node(self, pattern: Pattern) -> Node | None:
        with self._lock:
            if pattern not in self._nodes:
                try:
                    self._nodes[pattern] = self._compile(pattern)
                except NotDifferentiable as error:
                    self.reason = str(error)
                    self._nodes[pattern] = None
            return self._nodes[pattern]

    def _is_awaited(self) -> bool:
        """Whether a call may run a program of its own now: the first one asks for it."""
        if self._leaf_paths is not None:
            return True
        if self.choice.repeats and self.choice.is_hot:
            self._later(None)
        return self._leaf_paths is not None

    def _later(self, pattern: Pattern | None) -> Node | None:
        """Ask the background for a pair of programs, or (None) for what patterns are made of.

        Nothing is there yet, but where programs should be the same in each run.
        """
        if torch.are_deterministic_algorithms_enabled():
            self._make(pattern, compile_object)
        elif pattern not in self._asked:
            self._asked.add(pattern)
            background.submit(_job(self, pattern))
        return self._nodes.get(pattern) if pattern is not None else None

    def make_behind(self, pattern: Pattern | None) -> None:
        """Do what ``_later`` asks for, in a thread that no call waits for."""
        try:
            self._make(pattern, compiler_process.compile)
        except CompilerEnded as error:
            self.reason = str(error)
        except Exception as error:
            self.reason = f"the compiler failed: {error!r}"
            raise

    def _make(self, pattern: Pattern | None, compiler: Compiler) -> None:
        if pattern is None:
            self._leaves()
            return
        try:
            with self._lock:
                if pattern in self._nodes:
                    return
                made = self._compile(pattern, compiler)
                made.__dict__["last_reverse"] = made.compile_reverse(True, compiler)
                self._nodes[pattern] = made
        except NotDifferentiable as error:
            self.reason = str(error)

    def differentiated(self) -> Differentiated:
        """The graphs by which calls that need gradients ran last, else for all that may need one.

        Raises NotDifferentiable.
        """
        for node in reversed(self._nodes.values()):
            if node is not None:
                return node.differentiated
        if self._leaves() is None:
            raise NotDifferentiable(self.reason, self.program.functions[self.function].span)
        return self._differentiated((True,) * len(self._places))[0]

    def _differentiated(self, pattern: Pattern) -> tuple[Differentiated, list[Value]]:
        everything: list[Value] = []

        def roots(graph: Graph, leaves: Sequence[tuple[Value, tuple[str, ...]]]) -> list[Key]:
            own = graph.params[1:] if self.instance is not None else graph.params
            everything.extend([*own, *(value for value, _ in leaves)])
            chosen = [p for p, needs in zip(self._places, pattern, strict=True) if needs]
            return [(everything[number], path) for number, path in chosen]

        found, _ = differentiate(self.program, self.function, roots)
        return found, everything

    def _compile(self, pattern: Pattern, compiler: Compiler = compile_object) -> Node:
        found, everything = self._differentiated(pattern)
        number = {value: i for i, value in enumerate(everything)}
        is_single = self.program.functions[self.function].return_type == T.TENSOR
        own = [v for v in everything if v in found.held and v not in found.inputs]
        saved = [number[v] for v in (*found.inputs, *own) if T.TENSOR in T.walk(v.type)]
        whole = (found.forward, *found.functions)
        kinds = {n.kind for graph in whole for n in graph.walk()}
        forward = self._entry(found.forward, self.instance, found.functions, compiler)
        plain = not found.functions and all(_is_made(v.value) for _, v in found.saved)
        return Node(
            found,
            forward,
            functools.partial(self._reverse_entry, found),
            [number[v] for v in found.inputs],
            [(number[v], path) for v, path in found.wrt],
            saved,
            is_single and self.is_plain and found.may_view_argument == [False],
            bool(saved or found.functions or any(_holds_tensors(v.value) for _, v in found.saved)),
            any(op_effects(k) & Effect.IO for k in kinds if k.startswith("aten::")),
            any(k.partition(".")[0] in HIDDEN_WRITES for k in kinds) or any(map(written_in, whole)),
            "prim::warn" in kinds,
            not all(k.partition("::")[0] in _OWN_OPS for k in kinds)
            or "torch::set_grad_enabled" in kinds,
            None if plain else self._code_of(forward),
        )

    def _code_of(self, entry: Entry) -> Lease | None:
        return record_of(entry).lease

    def _reverse_entry(
        self, found: Differentiated, is_last: bool, compiler: Compiler = compile_object
    ) -> Entry:
        graph = found.reverse
        if is_last:
            graph = copy_graph(graph)
            held = graph.params[0]
            reading = next(use.node for use in held.uses)
            IRNode("prim::CellDelete", [held], span=graph.span).insert_after(reading)
        with self._lock:
            return self._entry(graph, None, found.functions, compiler)

    def _entry(
        self,
        graph: Graph,
        instance: NativeInstance | None,
        functions: Sequence[Graph],
        compiler: Compiler,
    ) -> Entry:
        program = program_of(graph, self.program, functions)
        graph.kwarg_only.clear()
        guards = CapturedRows(self.program.captures)  # fails as the ordinary entry's do
        return make_entry(
            compile_native(program, compiler), graph.name, graph,
            slow=_misfit, instance=instance, guards=guards,
        )  # fmt: skip

    # ---- for the node

    def again(self, run: Run) -> Any:
        """The result of an ordinary call once more, on torch's tape, without other effects."""
        kept: list[tuple[torch.Tensor, torch.Tensor]] = []
        if run.node.writes and self.module is not None:
            kept = [(b, b.detach().clone()) for b in self.module.buffers()]
        with torch.random.fork_rng(devices=[], enabled=run.state is not None):
            if run.state is not None:
                torch.set_rng_state(run.state)
            with _silent() if run.node.warns else contextlib.nullcontext():
                result = self._ordinary(run.arguments)
        with torch.no_grad():
            for buffer, value in kept:
                buffer.copy_(value)
        return result


def _job(gradients: Gradients, pattern: Pattern | None) -> Callable[[], None]:
    """A job that makes programs if the function is still there."""
    found = weakref.ref(gradients)

    def job() -> None:
        alive = found()
        if alive is not None:
            alive.make_behind(pattern)

    return job


def _holds_tensors(value: Value) -> bool:
    """Whether a value of a frame holds tensors."""
    return T.TENSOR in T.walk(value.type)


def _is_made(value: Value) -> bool:
    """Whether a value of a frame has no part that may be a constant of a program, as a str is."""
    parts = list(T.walk(value.type))
    kinds = (T.ClassType, T.UnionType)
    return _CONSTANT.isdisjoint(parts) and not any(isinstance(part, kinds) for part in parts)


_CONSTANT = {T.STR, T.BYTES, T.ANY}
_UNKNOWN: Any = object()
# what calls no code of others, which may ask for torch's tape
_OWN_OPS = (
    "aten", "prim", "int", "float", "bool", "complex", "str", "list", "dict", "tuple", "tensor",
    "iterator", "range", "dtype", "device", "number", "enum", "set", "deque", "math", "slice",
    "torch", "bytes",
)  # fmt: skip
_UNSEEN = torch._C._AutoDispatchBelowAutograd  # ops go past torch's tape, which has nothing to do


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Show no warnings; filters, and what was warned of once, stay as they are."""
    shown, warnings.showwarning = warnings.showwarning, lambda *args, **kwargs: None
    try:
        yield
    finally:
        warnings.showwarning = shown


def _needs_tape(values: Sequence[Any]) -> bool:
    """Whether the thread is in a state in which torch's own tape must see every op."""
    return (
        torch._C._is_any_autocast_enabled()
        or torch._C._autograd._top_saved_tensors_default_hooks(False) is not None
        or forward_ad._current_level >= 0
        or unusual_state(values, None) is not None
    )


class _Misfit(Exception):
    """The arguments of a call do not fit the types of the instance, or it runs under a mode."""


def _misfit(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    raise _Misfit


_WHOLE: list[tuple[Path, int]] = [((), 0)]  # the result is the output
_FIRST: list[Any] = [0]


class _Apply(torch.autograd.Function):
    """The node of one call."""

    @staticmethod
    def forward(ctx: Any, run: Run, *roots: torch.Tensor) -> tuple[torch.Tensor, ...]:
        node = run.node
        if node.is_random:
            run.state = torch.get_rng_state()
        with contextlib.nullcontext() if node.is_recorded else _UNSEEN():
            run.result, run.frame, flags = node.forward(*run.arguments)
        if node.code is not None:
            run.code = node.code.hold()
        if not run.owner.is_plain:
            run.arguments = [frozen(v) for v in run.arguments]  # the caller's lists may change
        everything = (*run.arguments, *run.leaves)
        result = run.result
        ctx.set_materialize_grads(False)
        ctx.run = run
        ctx.versions = [root._version for root in roots]
        ctx.save_for_backward(*all_tensors([everything[i] for i in node.saved]))
        if node.is_single and flags[0] and not any(result is v for v in everything):
            run.places, run.taken = _WHOLE, _FIRST
            ctx.kept = ()
            if node.differentiated.may_be_saved[0]:
                ctx.kept = ((result, result._version),)
                result = result.detach()
            return (result,)
        given = {id(v): v for v in all_tensors(everything)}
        outputs = Outputs(given)
        run.places, run.views = outputs.places, outputs.views
        run.taken = [
            outputs.take(path, at(result, path), kept, views, flag)
            for path, kept, views, flag in zip(
                node.differentiated.outputs,
                node.differentiated.may_be_saved,
                node.differentiated.may_view_argument,
                flags,
                strict=True,
            )
        ]
        ctx.kept = outputs.kept
        return tuple(outputs.fresh)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor | None) -> Any:
        run: Run = ctx.run
        node = run.node
        tensors = iter(ctx.saved_tensors if node.saved else ())
        if run.is_over:
            raise RuntimeError(_SECOND_TIME)
        everything = (*run.arguments, *run.leaves)
        places = [at(everything[i], path) for i, path in node.wrt]
        if torch.is_grad_enabled():
            roots = [root for place in places for root in root_tensors(place)]
            _check_versions(zip(roots, ctx.versions, strict=True), "an argument")
            return None, *_again(run, roots, grads)
        _check_versions(ctx.kept, "a result")
        values = {i: refilled(everything[i], tensors) for i in node.saved}
        inputs = [values.get(i, everything[i]) for i in node.inputs]
        assert run.taken is not None
        given = [cotangent_of(number, grads) for number in run.taken]
        is_last = node.keeps and not torch._C._autograd._get_current_graph_task_keep_graph()
        reverse = node.last_reverse if is_last else node.reverse
        frame = run.frame
        if is_last:
            run.is_over, run.frame, run.arguments, run.leaves = True, None, (), ()
        with contextlib.nullcontext() if node.is_recorded else _UNSEEN():
            found = reverse(frame, *inputs, *given)
        return None, *by_root(found, places)


_SECOND_TIME = (
    "Trying to backward through the graph a second time (or directly access saved tensors after "
    "they have already been freed). Saved intermediate values of the graph are freed when you call "
    ".backward() or autograd.grad(). Specify retain_graph=True if you need to backward through the "
    "graph a second time or if you need to access saved tensors after calling backward."
)


def _check_versions(found: Iterable[tuple[torch.Tensor, int]], what: str) -> None:
    for tensor, version in found:
        if tensor._version != version:
            raise RuntimeError(
                "one of the variables needed for gradient computation has been modified by an "
                f"inplace operation: {what} of shape {list(tensor.shape)} is at version "
                f"{tensor._version}; expected version {version} instead"
            )


def _again(run: Run, roots: Sequence[torch.Tensor], grads: Sequence[Any]) -> Sequence[Any]:
    """The cotangents of ``roots`` as functions of ``grads`` and ``roots``."""
    result = run.owner.again(run)
    assert run.places is not None
    by_number = {number: at(result, path) for path, number in run.places}
    pairs = [(by_number[i], g) for i, g in enumerate(grads) if g is not None]
    pairs = [(out, g) for out, g in pairs if out.requires_grad]
    if not pairs:
        return [None] * len(roots)
    outs, given = zip(*pairs, strict=True)
    return torch.autograd.grad(outs, roots, given, create_graph=True, allow_unused=True)
