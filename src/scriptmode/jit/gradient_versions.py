"""Special code of forward and reverse programs, in pairs.

The forward and the reverse program of a call that needs gradients are specialised together
(``autodiff.joint``), so that what one keeps for the other has no more form than both need: numbers
and small tensors stand in lists without tensors of their own.  A ``Pair`` has two entries behind
guards.  The forward one gives None when a call is not like what was seen, and the next pair, then
the generic forward program runs.  The reverse one, which alone can read the frame, gives None for
other inputs or cotangents than those that it was made for; such a backward runs the ordinary
program once more on torch's tape, as one under ``create_graph=True`` does.

Which cotangents there are is part of what is seen.  Before the first backward all are expected.

In the background, a pair is made once the generic programs have taken as long as making it is
expected to take, and dropped when the fastest of its first calls is not faster than the fastest
generic one (``Clock``).
"""

from __future__ import annotations

import collections
import functools
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from scriptmode.analysis.facts import TensorFact, contiguous_fact
from scriptmode.analysis.shapes import Shapes
from scriptmode.autodiff.differentiate import program_of
from scriptmode.autodiff.joint import Joint, NotJoined, join, part
from scriptmode.autodiff.transform import Differentiated
from scriptmode.codegen.compiler_process import CompilerEnded, compiler_process
from scriptmode.codegen.module import Compiler, compile_program
from scriptmode.codegen.object_code import compile_object
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import YIELD, Graph, Node, Program, Value, callees, copy_graph
from scriptmode.ir.verifier import verify
from scriptmode.jit.background import background
from scriptmode.jit.observation import MOST_NODES, Seen, Subject
from scriptmode.jit.pipeline import SIMPLIFYING, optimize_function
from scriptmode.jit.versions import Guarded, Known, text_of
from scriptmode.jit.worth import NODE, SLOWEST
from scriptmode.loops.specialize import can_specialize, form_joint, simplify_joint
from scriptmode.ops.aten import schema_of
from scriptmode.passes.inline import inline_calls
from scriptmode.runtime.boundary import make_entry, record_of
from scriptmode.runtime.captured import CapturedRows
from scriptmode.runtime.code import Lease
from scriptmode.runtime.instance import NativeInstance
from scriptmode.runtime.versions import counted
from scriptmode.support import config
from scriptmode.support.diagnostics import CompileError, NotBuiltError

Entry = Callable[..., Any]
Present = tuple[bool, ...]
MOST_MADE = 4  # times max_versions
TIMED = 6  # calls of a new pair whose fastest one is compared
MOST_REDONE = 8  # backwards, or a quarter of the calls if that is more


def _misfit(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A call that an entry does not take: the guards, so to speak, have failed."""
    return None


@dataclass
class Pair:
    """Special code of a forward and a reverse program."""

    seen: Seen
    present: Present
    default_dtype: torch.dtype
    forward: Entry
    reverses: tuple[Entry, Entry]  # one that leaves the frame as it is, one that takes it
    graphs: tuple[Graph, Graph]
    seconds: float  # that making it took
    ratio: float = 0.0  # of the times of a call with it and without, if that was compared

    @property
    def guards(self) -> list[str]:
        """What must hold, in words."""
        words = [f"{place} is {text_of(fact)}" for place, fact in self.seen.items()]
        if self.default_dtype != torch.float32:
            words.append(f"the default dtype is {self.default_dtype}")
        missing = [str(i) for i, there in enumerate(self.present) if not there]
        return [*words, *(f"result {i} has no cotangent" for i in missing)]

    @property
    def hits(self) -> int:
        """Calls that ran the special forward program."""
        return counted(record_of(self.forward).compiled, "hits")

    @property
    def misses(self) -> int:
        """Calls whose guards have failed."""
        return counted(record_of(self.forward).compiled, "misses")

    @property
    def code(self) -> Lease:
        """What frames refer to."""
        return record_of(self.forward).lease

    def pull(self, frame: Any, inputs: Sequence[Any], given: Sequence[Any], is_last: bool) -> Any:
        """The cotangents of the roots; None where the reverse program is not for these."""
        if tuple([g is not None for g in given]) != self.present:
            return None
        if torch.get_default_dtype() != self.default_dtype or torch._C._is_any_autocast_enabled():
            return None
        there = [g if g.is_contiguous() else g.contiguous() for g in given if g is not None]
        return self.reverses[is_last](frame, *inputs, *there)


class Clock:
    """The times of forward and reverse programs, generic ones and those of the newest pair."""

    def __init__(self) -> None:
        self.spent = 0.0  # seconds in generic programs
        self.best = {False: [float("inf")] * 2, True: [float("inf")] * 2}
        self.counts = [0, 0]  # of special forward and reverse programs

    def add(self, is_special: bool, part: int, seconds: float) -> None:
        """A run: ``part`` is 0 for a forward and 1 for a reverse program."""
        best = self.best[is_special]
        best[part] = min(best[part], seconds)
        if is_special:
            self.counts[part] += 1
        else:
            self.spent += seconds

    @property
    def ratio(self) -> float | None:
        """How many times as long special programs take, when it is known."""
        if min(self.counts) < TIMED:
            return None
        return sum(self.best[True]) / sum(self.best[False])

    def begin(self) -> None:
        """A new pair is there."""
        self.best[True], self.counts = [float("inf")] * 2, [0, 0]


class Pairs:
    """The pairs of one node, the last made first."""

    def __init__(
        self, found: Differentiated, original: Program, instance: NativeInstance | None,
        forward: Entry,
    ) -> None:  # fmt: skip
        self.found: list[Pair] = []
        self.dropped: list[Pair] = []  # that were not faster
        self.reason = ""  # why no more are made
        self.made = 0
        self.redone = 0  # backwards that no reverse program could run
        self.present: Present | None = None  # as the last backward had them
        self.differentiated, self.original = found, original
        self.instance, self.generic = instance, forward
        self._lock = threading.RLock()
        self._alike: collections.Counter[frozenset[Any]] = collections.Counter()
        self._asked: set[Any] = set()
        self._mode = config.get("specialize")
        self._seconds = config.get("specialize_seconds")
        self._nodes = 0
        # None where nothing is timed: pairs are made when calls were alike
        is_timed = self._mode == "background" and self._seconds > 0
        self.clock = Clock() if is_timed else None

    def free_lock(self) -> None:
        """In a forked process: the thread that made a pair does not exist there."""
        self._lock = threading.RLock()
        self._asked.clear()

    @functools.cached_property
    def subject(self) -> Subject:
        """The forward program, and what it reads."""
        found = self.differentiated
        program = program_of(found.forward, self.original, found.functions)
        return Subject(program, found.forward.name, self.instance, self.generic)

    # ---- calls

    def forward(self, given: Sequence[Any]) -> tuple[Pair, Any] | None:
        """The result of a special forward program, if there is one for a call like this."""
        expected = self._expected()
        for pair in self.found:
            if pair.present == expected:
                result = pair.forward(*given)
                if result is not None:
                    return pair, result
        if self._mode != "off" and not self.reason:
            made = self._observe(given)
            if made is not None:
                result = made.forward(*given)
                if result is not None:
                    return made, result
        return None

    def start(self, is_special: bool) -> float:
        """The time when a program begins, if that matters."""
        if self.clock is None or self.reason:
            return 0.0
        if is_special and (not self.found or self.found[0].ratio):
            return 0.0  # the newest pair is known to be faster
        return time.thread_time()

    def stop(self, start: float, is_special: bool, part: int) -> None:
        """A program has run; the newest pair goes when it is known not to be faster."""
        clock = self.clock
        if clock is None or not start or self.reason:
            return
        clock.add(is_special, part, time.thread_time() - start)
        if not is_special or not self.found:
            return
        ratio = clock.ratio
        if ratio is not None:
            newest = self.found[0]
            newest.ratio = ratio
            if ratio > SLOWEST:
                self.found = [pair for pair in self.found if pair is not newest]
                self.dropped.append(newest)

    def _pays(self) -> bool:
        """Whether generic programs have taken as long as making a pair will."""
        if self.clock is None:
            return True
        if not self._nodes:
            graphs = (self.differentiated.forward, self.differentiated.reverse)
            self._nodes = sum(1 for graph in graphs for _ in graph.walk())
        return self.clock.spent >= max(float(self._seconds), NODE * self._nodes)

    def redo(self) -> None:
        """Count a backward that had to run the program again; too many end special code."""
        self.redone += 1
        hits = sum(pair.hits for pair in self.found)
        if self.redone > MOST_REDONE and self.redone * 4 > hits:
            self.reason = "backwards have other cotangents again and again"
            self.found = []

    def note(self, given: Sequence[Any]) -> None:
        """Which cotangents a backward has."""
        self.present = tuple([g is not None for g in given])

    def _expected(self) -> Present:
        return self.present or (True,) * len(self.differentiated.outputs)

    def _observe(self, given: Sequence[Any]) -> Pair | None:
        if not self._lock.acquire(blocking=False):
            return None  # another thread is at it
        try:
            if not self._pays():
                return None
            alike = frozenset(self.subject.arguments(given).items())
            self._alike[alike] += 1
            if self._alike[alike] < config.get("specialize_calls"):
                return None
            self._alike.clear()
            seen, present = self.subject.everything(given), self._expected()
            if self._has(seen, present):
                return None
            if self._mode == "background" and not torch.are_deterministic_algorithms_enabled():
                key = frozenset(seen.items()), present
                if key not in self._asked:
                    self._asked.add(key)
                    background.submit(_job(self, seen, present))
                return None
            return self._add(seen, present)
        finally:
            self._lock.release()

    def _has(self, seen: Seen, present: Present) -> bool:
        wanted = seen, present, torch.get_default_dtype()
        made = (*self.found, *self.dropped)
        return any((p.seen, p.present, p.default_dtype) == wanted for p in made)

    # ---- making pairs

    def add(self, given: Sequence[Any]) -> str:
        """Make a pair for a call like this unless there is one; why not, or ""."""
        with self._lock:
            seen, present = self.subject.everything(given), self._expected()
            if not self._has(seen, present):
                self._add(seen, present)
            return self.reason

    def make_behind(self, seen: Seen, present: Present) -> None:
        """Make a pair in a thread that no call waits for."""
        with self._lock:
            try:
                self._add(seen, present, compiler_process.compile)
            except CompilerEnded as error:
                self.reason = str(error)
            except Exception as error:
                self.reason = f"the compiler failed: {error!r}"
                raise

    def _add(
        self, seen: Seen, present: Present, compiler: Compiler = compile_object
    ) -> Pair | None:  # fmt: skip
        self.reason = self.subject.reason
        most = max(1, config.get("max_versions"))
        if self.made >= MOST_MADE * most:
            self.reason = f"{self.made} pairs were made already"
        if self.reason:
            return None
        if not any(isinstance(fact, TensorFact) for fact in seen.values()):
            return None
        try:
            made = _Making(self, seen, present).pair(compiler)
        except (CompileError, NotBuiltError, NotJoined) as error:
            self.reason = str(error)
            return None
        self.made += 1
        if self.clock is not None:
            self.clock.begin()
        self.found = [made, *self.found][:most]
        return made


def _job(pairs: Pairs, seen: Seen, present: Present) -> Callable[[], None]:
    found = weakref.ref(pairs)

    def job() -> None:
        alive = found()
        if alive is not None:
            alive.make_behind(seen, present)

    return job


class _Making:
    """A pair while it is made."""

    def __init__(self, pairs: Pairs, seen: Seen, present: Present) -> None:
        self.pairs, self.seen, self.present = pairs, seen, present
        self.default_dtype = torch.get_default_dtype()
        found = pairs.differentiated
        self.joint = join(found, present)
        self.program = program_of(self.joint.graph, pairs.original, found.functions)
        self.joint.graph = self.program.functions[self.joint.graph.name]

    def pair(self, compiler: Compiler) -> Pair:
        """Make it."""
        start = time.perf_counter()
        joint, program, pairs = self.joint, self.program, self.pairs
        graph = joint.graph
        inline_calls(graph, program, MOST_NODES, MOST_NODES)
        known = Known(pairs.subject, self.seen, graph)
        facts = dict(known.facts)
        for name in [n for n in program.functions if n != graph.name]:
            optimize_function(program.functions[name], program)
        optimize_function(graph, program, SIMPLIFYING)
        if not can_specialize(graph):
            raise NotJoined("an op changes what a tensor is")
        simplify_joint(graph, program, facts)
        _know_cotangents(joint, facts)
        simplify_joint(graph, program, facts)
        if not form_joint(graph, program, facts):
            raise NotJoined("there is nothing to make loops of")
        if config.get("verify"):
            verify(graph, program, schema_of)
        parted = part(joint, pairs.differentiated)
        inputs = _held(graph)[: len(pairs.differentiated.inputs)]
        forward = self._forward(parted.forward, known, compiler)
        guarded = [facts.get(v) for v in inputs] + [facts[v] for v in joint.given if v is not None]
        reverses = tuple(
            self._reverse(parted.reverse, guarded, is_last, compiler) for is_last in (False, True)
        )
        return Pair(
            self.seen, self.present, self.default_dtype, forward, (reverses[0], reverses[1]),
            (parted.forward, parted.reverse), time.perf_counter() - start,
        )  # fmt: skip

    def _program(self, special: Graph) -> Program:
        """A program of a part and of what it calls."""
        program, source = Program(), self.program
        program.classes, program.enums = source.classes, source.enums
        program.named_tuples, program.globals = source.named_tuples, source.globals
        program.self_object, program.captures = source.self_object, source.captures
        program.add(special)
        pending = [special]
        methods = [
            m for t in source.classes.values() if not t.is_module for m in t.methods.values()
        ]
        names = list(methods)
        for graph in pending:
            names += callees(graph)
            names += [str(n.attributes["callee"]) for n in graph.find_all("prim::Region")]
            while names:
                name = names.pop()
                if name not in program.functions:
                    pending.append(program.add(copy_graph(source.functions[name])))
        return program

    def _forward(self, special: Graph, known: Known, compiler: Compiler) -> Entry:
        program = self._program(special)
        subject = self.pairs.subject
        guarded = Guarded(
            program, subject, self.seen, False, self.default_dtype, special, known.extra, False
        )
        program.root = program.add(guarded.graph).name
        return self._entry(program, guarded.graph, self.pairs.instance, compiler)

    def _reverse(
        self, special: Graph, facts: Sequence[TensorFact | None], is_last: bool, compiler: Compiler
    ) -> Entry:
        if is_last:
            special = copy_graph(special)
            held = special.params[0]
            reading = next(use.node for use in held.uses)
            Node("prim::CellDelete", [held], span=special.span).insert_after(reading)
        program = self._program(special)
        guarded = _guarded_reverse(program, special, facts)
        program.root = program.add(guarded).name
        return self._entry(program, guarded, None, compiler)

    def _entry(
        self, program: Program, root: Graph, instance: NativeInstance | None, compiler: Compiler
    ) -> Entry:
        if config.get("verify"):
            for graph in program.functions.values():
                verify(graph, program, schema_of)
        compiled = compile_program(program, debug=config.get("debug"), compiler=compiler)
        guards = CapturedRows(self.pairs.original.captures)
        return make_entry(
            compiled, root.name, root, slow=_misfit, instance=instance, guards=guards
        )  # fmt: skip


def _held(graph: Graph) -> list[Value]:
    """What the reverse program takes besides frame and cotangents, and what the frame may hold."""
    (whole,) = graph.block.returns
    assert whole.node is not None
    listed = whole.node.inputs[2].node
    assert listed is not None
    return listed.inputs


def _know_cotangents(joint: Joint, facts: dict[Value, TensorFact]) -> None:
    """Cotangents have the dtypes and sizes of results, and are contiguous."""
    found = Shapes(joint.graph, facts)
    for number, cotangent in enumerate(joint.given):
        if cotangent is None:
            continue
        result = joint.result_at(number)
        fact = None if result is None else found.of(result)
        if fact is None:
            raise NotJoined("the size of a result does not follow from those of the arguments")
        facts[cotangent] = contiguous_fact(fact.dtype, fact.shape)


def _guarded_reverse(
    program: Program, special: Graph, facts: Sequence[TensorFact | None]
) -> Graph:  # fmt: skip
    """A reverse program behind the guards of its inputs and cotangents."""
    graph = Graph(program.unique_name(f"{special.name}.guarded"))
    graph.span = special.span
    params = [graph.add_param(p.type, p.name) for p in special.params]
    b = Builder(graph.block, schema_of)
    fits = b.constant(True)
    for param, fact in zip(params[1:], facts, strict=True):
        if fact is not None:
            wanted = [
                b.constant(fact.dtype, T.DTYPE),
                b.constant(torch.Size(fact.shape), T.SIZE),
                b.constant(torch.Size(fact.strides), T.SIZE),
                b.constant(True),
            ]
            fits = b.op("bool::and", fits, b.op("tensor::fits", param, *wanted))
    assert special.return_type is not None
    result = graph.return_type = T.optional_of(special.return_type)
    branch = b.if_node(fits)
    branch.add_output(result)
    with b.at(branch.blocks[0]) as block:
        b.op_node("torch::count", [b.constant("hits")])
        block.terminate(YIELD, [b.call(special.name, params, special.return_type)])
    with b.at(branch.blocks[1]) as block:
        b.op_node("torch::count", [b.constant("misses")])
        block.terminate(YIELD, [b.constant(None, result)])
    graph.block.terminate(YIELD, [branch.output])
    return graph
