"""Calls that need gradients: the forward program, one node on torch's tape, the reverse program.

``Gradients(variant, ...)`` belongs to one instance of a function.  ``call(arguments)`` runs the
forward program inside of an ``autograd.Function`` whose backward is the reverse program; where the
function has none (``NotDifferentiable``), the ordinary program records torch's own tape, and
``reason`` says why.  A forward and a reverse program are compiled for each pattern of which
arguments and parameters require a gradient.

Results that are arguments stay what they are; they do not pass through the node.  A backward under
``create_graph=True`` calls the reverse program as a function that has ``Gradients`` of its own (see
``autodiff.pullback``); where that is not possible, for the reason ``pullbacks.reason``, it runs
the ordinary program once more on torch's tape.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch

from scriptmode.analysis.effects import HIDDEN_WRITES, op_effects
from scriptmode.autodiff.differentiate import differentiate, program_of
from scriptmode.autodiff.dual import TENSORS, holds, touches
from scriptmode.autodiff.effects import Names, drop_messages, effects_of
from scriptmode.autodiff.paths import IN_CONTAINERS, Key, Path, result_parts, root_paths
from scriptmode.autodiff.prepare import sources_of_values, written_in
from scriptmode.autodiff.problems import NotDifferentiable
from scriptmode.autodiff.pullback import pullback_program
from scriptmode.autodiff.structures import flat_of, is_flat, root_of
from scriptmode.autodiff.transform import Differentiated
from scriptmode.codegen.compiler_process import CompilerEnded, compiler_process
from scriptmode.codegen.module import Compiler
from scriptmode.codegen.object_code import compile_object
from scriptmode.ir import types as T
from scriptmode.ir.graph import Graph, Program, Value, copy_graph
from scriptmode.ir.graph import Node as IRNode
from scriptmode.jit.background import background
from scriptmode.jit.gradient_checks import holds_tensors, is_made, is_recorded, needs_tape
from scriptmode.jit.gradient_choice import Choice
from scriptmode.jit.gradient_node import WHOLE, Apply, Before, Entry, Misfit, Node, Run, ended
from scriptmode.jit.gradient_structures import Ending, is_shared, own_copy, tensors_in
from scriptmode.jit.gradient_values import (
    all_tensors,
    at,
    replaced,
    requires_grad,
    root_tensors,
    view_of,
)
from scriptmode.jit.gradient_versions import Pairs
from scriptmode.jit.pipeline import compile_native
from scriptmode.jit.pullbacks import Pullbacks
from scriptmode.ops.table import Effect
from scriptmode.runtime.boundary import make_entry, record_of
from scriptmode.runtime.captured import CapturedRows
from scriptmode.runtime.code import Lease
from scriptmode.runtime.instance import NativeInstance
from scriptmode.support import config

Pattern = tuple[bool, ...]


def _most_nodes() -> int:
    """How large a reverse program is differentiated again: compiling takes time, in ``auto`` too.

    Each derivative is 3 to 16 times as large as what it is of.
    """
    return 5_000 if config.get("autodiff") == "auto" else 20_000


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
        self.held: dict[int, T.Type] = {}  # arguments with tensors in containers or objects
        self._readers: list[tuple[dict[str, Any], str]] = []
        self._asked: set[Pattern | None] = set()  # what the background makes, or has made
        self.pullbacks: Pullbacks[Gradients] = Pullbacks()

    @functools.cached_property
    def choice(self) -> Choice:
        """Which calls run programs of their own where that is not said."""
        return Choice(self.program, self.function)

    def free_lock(self) -> None:
        """In a forked process: the thread that compiled a program does not exist there."""
        self._lock = threading.RLock()
        self._asked.clear()
        self.pullbacks.free_lock()
        for made in self.pullbacks.all():
            made.free_lock()
        for pairs in self.pairs:
            pairs.free_lock()

    @property
    def pairs(self) -> list[Pairs]:
        """What makes special code, for each pattern that has a reverse program."""
        nodes = list(self._nodes.values())
        return [n.pairs for n in nodes if n is not None and n.pairs is not None]

    def specialize(self, arguments: Sequence[Any]) -> str:
        """Make special code for calls like one that needs gradients; why not, or ""."""
        leaves = self._leaves()
        if leaves is None:
            return self.reason
        everything = (*arguments, *leaves)
        pattern = tuple(requires_grad(self.part(everything, p)) for p in self._places)
        node = self._node(pattern) if True in pattern else None
        if node is None:
            return self.reason or "nothing requires a gradient"
        if node.pairs is None:
            return "torch's tape sees some ops, or there are containers of tensors, or recursion"
        return node.pairs.add(arguments)

    # ---- calls

    def around(self, graph: Graph) -> Entry:
        """The entry, with a reverse program for the calls that need one."""
        if graph.return_type is None or not touches(graph.return_type):
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
        if self.held and is_shared((arguments[i], t) for i, t in self.held.items()):
            return self._ordinary(arguments)
        pattern = self._pattern(everything)
        if True not in pattern:
            return self._ordinary(arguments)
        if needs_tape(everything):
            return self._ordinary(arguments)
        node = self._nodes.get(pattern, _UNKNOWN)
        if node is _UNKNOWN:
            node = self._later(pattern) if is_auto else self._node(pattern)
        if node is None:
            return self._ordinary(arguments)
        assert isinstance(node, Node)
        run = Run(node, self, arguments, self.own(arguments), leaves)
        try:
            if self.is_plain:
                roots = [everything[i] for i, _ in node.wrt]
            else:
                roots = [
                    t for place in node.wrt for t in root_tensors(self.part(everything, place))
                ]
            outputs = Apply.apply(run, *roots)  # type: ignore[no-untyped-call]
        except Misfit:
            return self._ordinary(arguments)
        except Exception:
            if not node.returned:
                raise
            if run.state is not None:
                torch.set_rng_state(run.state)
            return self._ordinary(arguments)  # which leaves containers as they are then
        run.given = ()
        if run.places is WHOLE:
            run.result = None
            return outputs[0]
        assert run.places is not None
        # a result leads to the node, which leads to the run
        result, run.result = run.result, None
        for path, number in run.places:
            result = replaced(result, path, outputs[number])
        made: dict[int, torch.Tensor] = {}
        for place, base, view in run.views:  # torch's own view, which has a tape of its own
            if id(view) not in made:
                made[id(view)] = view_of(base, view)
            if place is not None:
                result = replaced(result, place, made[id(view)])
        if node.result is not None:
            made.update((key, outputs[number]) for key, number in run.elements.items())
            result = ended(node, result, Ending(made), arguments)
        run.views, run.elements = (), {}
        return result

    def _pattern(self, everything: Sequence[Any]) -> Pattern:
        """What requires a gradient."""
        if self.is_plain:
            given = [everything[i] for i, _ in self._places]
            return tuple([isinstance(t, torch.Tensor) and t.requires_grad for t in given])
        return tuple([requires_grad(self.part(everything, p)) for p in self._places])

    def has_node(self, arguments: Sequence[Any]) -> bool:
        """Whether programs for such a call are there; else the background is asked for them."""
        leaves = self._leaves()
        if leaves is None:
            return False
        pattern = self._pattern((*arguments, *leaves))
        return True in pattern and (self._nodes.get(pattern) or self._later(pattern)) is not None

    def part(self, everything: Sequence[Any], place: tuple[int, Path]) -> Any:
        """What may require a gradient: a tensor, or a list of tensors."""
        number, path = place
        if path == IN_CONTAINERS:
            return list(tensors_in(everything[number], self.held[number]))
        return at(everything[number], path)

    def own(self, arguments: Sequence[Any]) -> Sequence[Any]:
        """Arguments in whose containers nothing changes."""
        if not self.held:
            return arguments
        return [own_copy(v, self.held[i]) if i in self.held else v for i, v in enumerate(arguments)]

    def tensors_of(self, everything: Sequence[Any], number: int) -> Iterator[torch.Tensor]:
        """The tensors of an argument or leaf."""
        yield from all_tensors([everything[number]])
        if number in self.held and self.held[number] != TENSORS:
            yield from tensors_in(everything[number], self.held[number])

    def tensors(self, everything: Sequence[Any], numbers: Iterable[int]) -> list[torch.Tensor]:
        """The tensors of arguments and leaves."""
        if self.is_plain:
            return [t for i in numbers if isinstance(t := everything[i], torch.Tensor)]
        return [t for i in numbers for t in self.tensors_of(everything, i)]

    @functools.cached_property
    def _silent_entry(self) -> Entry:
        """The ordinary program, which prints nothing and warns of nothing."""
        functions = [copy_graph(graph) for graph in self.program.functions.values()]
        for graph in functions:
            drop_messages(graph)
        (own,) = [graph for graph in functions if graph.name == self.function]
        with self._lock:
            return self._entry(own, self.instance, functions, compile_object)

    def _silently(self, arguments: Sequence[Any]) -> Any:
        return self._silent_entry(*arguments)

    def _ordinary(self, arguments: Sequence[Any]) -> Any:
        graph = self.program.functions[self.function]
        split = len(arguments) - len(graph.kwarg_only)
        named = [p.name for p in graph.params[len(graph.params) - len(graph.kwarg_only) :]]
        named_arguments = dict(zip(named, arguments[split:], strict=True))
        return self.entry(*arguments[:split], **named_arguments)

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
        except Exception as error:
            self._give_up(error)
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
        self.held = {number: p.type for number, p in enumerate(own) if holds(p.type)}
        self.is_plain = not self.held and not any(
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
                except Exception as error:
                    self._give_up(error)
                    self._nodes[pattern] = None
            return self._nodes[pattern]

    def _give_up(self, error: Exception) -> None:
        """Leave gradients to torch's tape, and say why.

        A defect of the compiler must not end a call that the tape can differentiate; it is raised
        where the IR is verified, as in tests.
        """
        if isinstance(error, NotDifferentiable):
            self.reason = str(error)
        elif config.get("verify"):
            raise error
        else:
            self.reason = f"the compiler failed: {error!r}"

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
        except CompilerEnded:
            raise
        except Exception as error:
            self._give_up(error)

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

    def _differentiated(self, pattern: Pattern) -> tuple[Differentiated, dict[Value, int]]:
        """The graphs, and the numbers of arguments and leaves, and of what stands for them."""
        numbers: dict[Value, int] = {}
        roots = functools.partial(self._roots, pattern, numbers)
        found, _ = differentiate(self.program, self.function, roots)
        return found, numbers

    def _roots(
        self,
        pattern: Pattern,
        numbers: dict[Value, int],
        graph: Graph,
        leaves: Sequence[tuple[Value, tuple[str, ...]]],
    ) -> list[Key]:
        """What to differentiate by; enters what has a number."""
        own = graph.params[1:] if self.instance is not None else graph.params
        everything = [*own, *(value for value, _ in leaves)]
        for number, value in enumerate(everything):
            numbers[value] = numbers[flat_of(value) or value] = number
        chosen = [p for p, needs in zip(self._places, pattern, strict=True) if needs]
        return [root_of(everything[number], path) for number, path in chosen]

    def _compile(self, pattern: Pattern, compiler: Compiler = compile_object) -> Node:
        found, number = self._differentiated(pattern)
        is_single = self.program.functions[self.function].return_type == T.TENSOR
        own = [v for v in number if v in found.held and v not in found.inputs]
        used = [v for v in (*found.inputs, *own) if touches(v.type)]
        saved = list(dict.fromkeys(number[v] for v in used))
        whole = (found.forward, *found.functions)
        kinds = {n.kind for graph in whole for n in graph.walk()}
        if found.returned and effects_of(found.forward).is_any:
            what = "effects besides the result, and changes of arguments"
            raise NotDifferentiable(what, found.forward.span)
        forward = self._entry(found.forward, self.instance, found.functions, compiler)
        plain = not found.functions and all(is_made(v.value) for _, v in found.saved)
        return Node(
            found,
            forward,
            functools.partial(self._reverse_entry, found),
            [number[v] for v in found.inputs],
            [(number[v], IN_CONTAINERS if is_flat(v) else path) for v, path in found.wrt],
            saved,
            is_single and self.is_plain and found.may_view_argument == [False],
            bool(saved or found.functions or any(holds_tensors(v.value) for _, v in found.saved)),
            any(op_effects(k) & Effect.IO for k in kinds if k.startswith("aten::")),
            any(k.partition(".")[0] in HIDDEN_WRITES for k in kinds) or any(map(written_in, whole)),
            "prim::warn" in kinds,
            is_recorded(whole),
            None if plain else self._code_of(forward),
            found.result,
            effects_of(found.forward),
            self._written(found, number),
            [number - (self.instance is not None) for number in found.returned],
            {p: t for p, t in result_parts(found.result) if holds(t)} if found.result else {},
            pattern,
            None if is_recorded(whole) else self._pairs(found, forward),
        )

    def _pairs(self, found: Differentiated, forward: Entry) -> Pairs | None:
        """What makes special code, where there may be some."""
        if found.functions or found.returned or self.held:
            return None
        return Pairs(found, self.program, self.instance, forward)

    def _written(self, found: Differentiated, number: Mapping[Value, int]) -> list[int]:
        """The tensors of modules that a program writes in place."""
        sources = sources_of_values(found.forward, written_in(found.forward))
        return sorted({number[v] for v in sources if v in number and v.node is not None})

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

    def before(self, run: Run) -> Before:
        """What the program will write."""
        attributes = {
            names: self._holder(names).get(names[-1]) for names in run.node.effects.assigned
        }
        everything = (*run.given, *run.leaves)
        tensors = {number: everything[number].detach().clone() for number in run.node.written}
        return Before(attributes, tensors)

    def _holder(self, names: Names) -> NativeInstance:
        """The native state of the module that has an attribute."""
        found = self.instance
        for name in names[:-1]:
            assert found is not None
            found = found.child(name)
        assert found is not None
        return found

    def again(self, run: Run) -> Any:
        """The result of an ordinary call once more, on torch's tape, without other effects."""
        node = run.node
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._as_before(run))
            if node.writes:
                stack.enter_context(self._other_buffers(run))
            arguments = self.own(run.arguments)
            is_silent = not (node.warns or node.effects.prints)
            run_again = self._ordinary if is_silent else self._silently
            result = run_again(arguments)
        return (result, *(arguments[i] for i in node.returned)) if node.returned else result

    @contextlib.contextmanager
    def _as_before(self, run: Run) -> Iterator[None]:
        """Let random numbers and attributes be what they were before the call."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(torch.random.fork_rng(devices=[], enabled=run.state is not None))
            if run.state is not None:
                torch.set_rng_state(run.state)
            if run.before is not None:
                stack.enter_context(self._other_attributes(run.before.attributes))
            yield

    def pulled_back(self, run: Run, cotangents: Sequence[Any]) -> Sequence[Any] | None:
        """Cotangents of the roots that can be differentiated again; None without a program."""
        if not config.get("autodiff_again") or needs_tape((*run.arguments, *run.leaves)):
            return None
        given = tuple([c is not None for c in cotangents])
        is_auto = config.get("autodiff") == "auto" and not self.choice.asks
        pullback = self.pullbacks.find(self, run.node.pattern, given, is_auto)
        if pullback is None:
            return None
        known = {} if run.before is None else run.before.tensors
        first = len(run.arguments)
        leaves = [known.get(first + i, leaf) for i, leaf in enumerate(run.leaves)]
        everything = (*run.arguments, *cotangents, *leaves)
        if is_auto and not pullback.has_node(everything):
            return None
        with self._as_before(run):
            found: Sequence[Any] = pullback.call(everything)
        return found

    def pullback(self, pattern: Pattern, given: Pattern) -> Gradients:
        """The reverse program as a function; raises NotDifferentiable."""
        roots = functools.partial(self._roots, pattern, {})
        program = pullback_program(self.program, self.function, roots, given)
        graph = program.graph
        size = sum(1 for g in program.functions.values() for _ in g.walk())
        if size > _most_nodes():
            text = f"the reverse program is too large to be differentiated again ({size} nodes)"
            raise NotDifferentiable(text, graph.span)

        @functools.cache
        def entry() -> Entry:
            return self._entry(copy_graph(graph), self.instance, [], compile_object)

        def run(*arguments: Any) -> Any:
            return entry()(*arguments)

        made = Gradients(program, graph.name, run, self.instance, self.module)
        if made._leaves() is None:
            raise NotDifferentiable(made.reason, graph.span)
        return made

    @contextlib.contextmanager
    def _other_buffers(self, run: Run) -> Iterator[None]:
        """Let the module have copies of its buffers, as they were before the call."""
        known = {} if run.before is None else run.before.tensors
        own = len(run.arguments)
        by_place: dict[tuple[int, str], torch.Tensor] = {
            (id(holder), name): known[own + i]
            for i, (holder, name) in enumerate(self._readers)
            if own + i in known
        }
        modules = [] if self.module is None else list(self.module.modules())
        kept = [(m._buffers, dict(m._buffers)) for m in modules]
        try:
            with torch.no_grad():
                for held, before in kept:
                    for name, buffer in before.items():
                        if buffer is not None:
                            earlier = by_place.get((id(held), name))
                            found = buffer if earlier is None else earlier
                            held[name] = found.detach().clone()
            yield
        finally:
            for held, before in kept:
                held.update(before)

    @contextlib.contextmanager
    def _other_attributes(self, before: Mapping[Names, Any]) -> Iterator[None]:
        """Let attributes have the values that they had before the call."""
        now = {names: self._holder(names).get(names[-1]) for names in before}
        try:
            for names, value in before.items():
                self._holder(names).set(names[-1], value)
            yield
        finally:
            for names, value in now.items():
                self._holder(names).set(names[-1], value)


def _job(gradients: Gradients, pattern: Pattern | None) -> Callable[[], None]:
    """A job that makes programs if the function is still there."""
    found = weakref.ref(gradients)

    def job() -> None:
        alive = found()
        if alive is not None:
            alive.make_behind(pattern)

    return job


_UNKNOWN: Any = object()


def _misfit(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    raise Misfit
