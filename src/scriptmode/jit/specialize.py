"""Specialisation: versions of a function for what its calls were seen to be.

The entry of a function shows a call to ``Versions.observe`` now and then; when ``specialize_calls``
of them were alike, a version is made for them, and the entry runs its code, which goes on with what
ran before when its guards fail.  A call that fails all of them costs its guards, and after some
such calls the entry shows one again.  At most ``max_versions`` are tried; of more, the one with the
fewest hits goes.

In the background, a thread makes versions and another process compiles their code; calls run what
there is meanwhile.  There a version is made once it is known to pay, and dropped when calls are not
faster with it (``worth``).  Calls wait for none of that: what has to be known of the program is
looked at by the thread as well, before calls are compared.

``scriptmode.specialize(f, inputs)`` makes a version at once.
"""

from __future__ import annotations

import collections
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch

from scriptmode.analysis.facts import TensorFact
from scriptmode.codegen.compiler_process import CompilerEnded, compiler_process
from scriptmode.codegen.module import Compiler
from scriptmode.codegen.object_code import compile_object
from scriptmode.ir.graph import Program
from scriptmode.jit import special_loops as special_loops
from scriptmode.jit.background import background
from scriptmode.jit.observation import Seen, Subject
from scriptmode.jit.versions import Version, build
from scriptmode.jit.worth import SLOWEST, Cost, Trial
from scriptmode.ops import table
from scriptmode.runtime import versions as entries
from scriptmode.runtime.boundary import record_of
from scriptmode.runtime.instance import NativeInstance
from scriptmode.support import config
from scriptmode.support.diagnostics import CompileError, NotBuiltError

MOST_MADE = 4  # times max_versions: a function whose calls go on changing is left alone then
UNDECIDED = 16  # calls that are looked at in a row
WAIT = 64  # calls, or misses, before it is looked again; twice as many each time

_IS_PLAIN_STATE = table.find("torch::is_plain_state")
assert _IS_PLAIN_STATE is not None


def _observer(versions: Versions) -> Callable[[tuple[Any, ...]], None]:
    """``versions.observe`` for an entry, which must not keep alive what keeps it."""
    found = weakref.ref(versions)

    def observe(values: tuple[Any, ...]) -> None:
        alive = found()
        if alive is not None:
            alive.observe(values)

    return observe


def _later(versions: Versions, work: Callable[[Versions], None]) -> Callable[[], None]:
    """A job for the thread if the function is still there."""
    found = weakref.ref(versions)

    def job() -> None:
        alive = found()
        if alive is not None:
            work(alive)

    return job


class Versions:
    """The versions of one instance of a function, the last made first."""

    def __init__(
        self, program: Program, function: str, entry: Any, instance: NativeInstance | None
    ) -> None:
        self.entry = entry
        self.found: list[Version] = []
        self.made = 0
        self.reason = ""  # why no more are made
        self.subject = Subject(program, function, instance, entry)
        self._lock = threading.RLock()
        self._alike: collections.Counter[frozenset[Any]] = collections.Counter()
        self._waits = 0
        self._misses = 0  # of the last version, when it was looked last
        self._mode = config.get("specialize")
        self.dropped: list[Version] = []  # that calls were not faster with
        self.cost = Cost(entry, config.get("specialize_seconds"))
        self._is_prepared = self.cost.seconds == 0
        self._is_tried = self.cost.seconds > 0
        self._trial: Trial | None = None
        self._waits_for_thread = False
        if self._mode != "off":
            entries.watch(entry, _observer(self), 0)

    def free_lock(self) -> None:
        """In a forked child, where the thread that held it does not exist."""
        self._lock = threading.RLock()
        if self._waits_for_thread:
            self._waits_for_thread = False
            entries.count_calls(self.entry, WAIT)

    # ---- what calls are like

    def observe(self, values: tuple[Any, ...]) -> None:
        """Look at the arguments of a call."""
        if not self._lock.acquire(blocking=False):
            entries.count_calls(self.entry, WAIT)  # another thread is at it
            return
        try:
            self._observe(values)
        finally:
            self._lock.release()

    def _observe(self, values: Sequence[Any]) -> None:
        if self.reason:
            entries.stop_watching(self.entry)
            return
        is_behind = self._mode == "background" and not torch.are_deterministic_algorithms_enabled()
        if self._trial is not None:
            self._try(self._trial)
            return
        if is_behind and not self._pays():
            return
        entries.count_calls(self.entry, 0)
        seen = self.subject.arguments(values)
        alike = frozenset(seen.items())
        self._alike[alike] += 1
        if self._alike[alike] < config.get("specialize_calls"):
            if sum(self._alike.values()) >= UNDECIDED:
                self._wait()
            return
        needs_no_grad = self.subject.needs_grad(values)
        seen = self.subject.everything(values)
        if not self._can_fit(needs_no_grad) or self._has(seen, needs_no_grad):
            if sum(self._alike.values()) >= UNDECIDED:
                self._wait()
            return
        if is_behind:
            self._submit(lambda versions: versions.make_behind(seen, needs_no_grad))
            return
        self._add(seen, needs_no_grad)
        self._wait()

    def _submit(self, work: Callable[[Versions], None]) -> None:
        entries.stop_watching(self.entry)
        self._waits_for_thread = True
        background.submit(_later(self, work))

    def _pays(self) -> bool:
        """Whether a version would pay; else it is looked again later."""
        if not self._is_tried:
            return True
        missed = self.cost.so_far.calls
        if self.found:
            missed = max(0, self.found[-1].misses - self._misses)
        left = self.cost.calls_left(missed)
        if left:
            count = entries.count_misses if self.found else entries.count_calls
            count(self.entry, left)
        elif not self._is_prepared:
            self._submit(Versions.prepare_behind)
            return False
        return not left

    def prepare_behind(self) -> None:
        """Look at the program, so that no call does."""
        with self._lock:
            self.reason = self.subject.reason
            if not self.reason:
                self.subject.prepare()
                self.cost.know(sum(1 for _ in self.subject.graph.walk()))
            self._is_prepared, self._waits_for_thread = True, False
            entries.count_calls(self.entry, 0)

    def _try(self, trial: Trial) -> None:
        """Go on with the trial of the version in front, which goes when it is not faster."""
        ratio = trial.step()
        if ratio is None:
            return
        self._end_trial(ratio <= SLOWEST)
        self.found[0].ratio = ratio
        if ratio > SLOWEST:
            self.dropped.append(self.found.pop(0))
        self._wait()

    def _end_trial(self, keep: bool) -> None:
        trial, self._trial = self._trial, None
        if trial is not None:
            trial.end(keep)

    def make_behind(self, seen: Seen, needs_no_grad: bool) -> None:
        """Make a version in a thread that no call waits for."""
        with self._lock:
            without, made = entries.code_that_runs(self.entry), self.made
            try:
                if not self._has(seen, needs_no_grad):
                    self._add(seen, needs_no_grad, compiler_process.compile)
            except CompilerEnded as error:
                self.reason = str(error)
            finally:
                self._waits_for_thread = False
                self._wait()
            self.cost.begin()
            self._misses = self.found[-1].misses if self.found else 0
            if self._is_tried and self.made > made:
                version = self.found[0]
                self._trial = Trial(self.entry, without, lambda: version.hits)

    def _can_fit(self, needs_no_grad: bool) -> bool:
        """Whether guards can hold for a call that is like this one."""
        assert _IS_PLAIN_STATE is not None
        return bool(_IS_PLAIN_STATE.meaning(needs_no_grad, torch.get_default_dtype()))

    def _has(self, seen: Seen, needs_no_grad: bool) -> bool:
        wanted = seen, needs_no_grad, torch.get_default_dtype()
        made = (*self.found, *self.dropped)
        return any((v.seen, v.needs_no_grad, v.default_dtype) == wanted for v in made)

    @property
    def text(self) -> list[str]:
        """What is to say besides the versions that there are, for a reader."""
        found = [
            f"dropped, calls took {one.ratio:.2f} times as long: {'; '.join(one.guards)}"
            for one in self.dropped
        ]
        if self._trial is not None:
            found.append("on trial: calls run with and without the first version in turn")
        if self.reason:
            found.append(f"no further version: {self.reason}")
        elif self._mode == "background" and self._is_tried and not self.found:
            found.append(
                f"special code is made in the background when calls have taken "
                f"{self.cost.seconds:.3g} s; so far {self.cost.so_far.seconds:.3g} s"
            )
        return found

    def _wait(self) -> None:
        """Let calls pass before it is looked again."""
        self._alike.clear()
        if self.reason:
            entries.stop_watching(self.entry)
        elif self.found:
            entries.count_misses(self.entry, 1 << min(self._waits, 20))
        else:
            entries.count_calls(self.entry, WAIT << min(self._waits, 20))
        self._waits += 1

    # ---- making versions

    def add(self, values: Sequence[Any]) -> str:
        """Make a version for arguments unless there is one; why not, or ""."""
        with self._lock:
            seen, needs_no_grad = self.subject.everything(values), self.subject.needs_grad(values)
            self.dropped.clear()  # they are asked for
            if self._has(seen, needs_no_grad):
                return ""
            return self._add(seen, needs_no_grad)

    def _add(self, seen: Seen, needs_no_grad: bool, compiler: Compiler = compile_object) -> str:
        """Make a version and put it in front; why not, or ""."""
        self._end_trial(True)
        if not any(isinstance(fact, TensorFact) for fact in seen.values()):
            return "no argument and no attribute is a plain tensor of the CPU"
        self.reason = self.subject.reason
        most = config.get("max_versions")
        if needs_no_grad and self.subject.may_enable_grad:
            return "it may switch on the recording of gradients"
        if self.made >= MOST_MADE * most:
            self.reason = f"{self.made} versions were made already"
        if self.reason:
            return self.reason
        subject, entry = self.subject, self.entry
        generic = record_of(entry).compiled.program
        try:
            code = entries.code_behind(entry, subject.function)
            made = build(subject, seen, needs_no_grad, generic, code, compiler)
        except (CompileError, NotBuiltError) as error:
            self.reason = str(error)
            return self.reason
        except CompilerEnded:
            raise
        except Exception as error:
            # a defect of ours: calls go on with the code that they have
            self.reason = f"the compiler failed: {error!r}"
            if config.get("verify"):
                raise
            return self.reason
        read = {(owner.name, name) for owner, name in made.compiled.tensor_reads}
        if not read <= subject.tensor_reads:
            self.reason = "special code would read more of the modules than calls do"
            return self.reason
        entries.report_misses(entry, made.compiled, not self.found)
        entries.put_in_front(entry, made.compiled, made.root, subject.function)
        self.found.insert(0, made)
        self.made += 1
        self._waits = 0
        while len(self.found) > max(1, most):
            self._drop(min(self.found[1:], key=lambda version: version.hits))
        return ""

    def _drop(self, version: Version) -> None:
        """Take a version out of the chain; threads that are inside of it go on."""
        place = self.found.index(version)
        before = self.found[place - 1]
        name = self.subject.function
        entries.go_on_with(before.compiled, name, entries.goes_on_with(version.compiled, name))
        self.found.remove(version)
        if place == len(self.found):
            entries.report_misses(self.entry, before.compiled, True)
