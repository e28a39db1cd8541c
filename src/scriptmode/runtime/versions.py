"""Other code for an entry that exists: calls are shown to Python, and code is put in front.

``watch(entry, observe, calls)`` lets the entry call ``observe(arguments)`` once that many calls
have been made, ``put_in_front(entry, compiled, ...)`` makes it run a function of another program,
which knows how to go on with what the entry ran before.  Threads may be inside of any code
meanwhile: the record gets the new address in one word, and keeps everything that ever ran alive.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scriptmode.codegen.module import CompiledProgram, Elsewhere
from scriptmode.codegen.outside import MISS
from scriptmode.runtime import frame
from scriptmode.runtime.boundary import EntryRecord, record_of
from scriptmode.runtime.code import manage
from scriptmode.runtime.instance import NativeInstance

Entry = Callable[..., Any]
Observe = Callable[[tuple[Any, ...]], None]


def watch(entry: Entry, observe: Observe, calls: int) -> None:
    """Show the arguments of a call to ``observe`` when ``calls`` have been made before it."""
    record = record_of(entry)
    record.observe = observe
    record.set(frame.REC_OBSERVE, id(observe))
    count_calls(entry, calls)


def count_calls(entry: Entry, calls: int) -> None:
    """Observe again after so many calls, or a part of them that ran the generic code."""
    record_of(entry).set(frame.REC_COUNTDOWN, calls)


def count_misses(entry: Entry, misses: int) -> None:
    """Observe again after so many calls whose guards have failed."""
    record_of(entry).set(frame.REC_COUNTDOWN, misses * MISS - 1)


def stop_watching(entry: Entry) -> None:
    """Never observe again."""
    record_of(entry).set(frame.REC_COUNTDOWN, frame.FOREVER)


@dataclass(frozen=True)
class Times:
    """Calls of an entry that ran native code, and the time of those of which it was taken."""

    calls: int
    timed: int
    nanoseconds: int

    def since(self, before: Times) -> Times:
        """What came after an earlier state."""
        return Times(
            self.calls - before.calls,
            self.timed - before.timed,
            self.nanoseconds - before.nanoseconds,
        )

    @property
    def each(self) -> float:
        """Seconds of a call on average."""
        return self.nanoseconds / self.timed * 1e-9 if self.timed else 0.0

    @property
    def seconds(self) -> float:
        """Seconds of all calls."""
        return self.each * self.calls


def times_of(entry: Entry) -> Times:
    """The calls so far."""
    words = record_of(entry).words
    return Times(*(words[at // 8] for at in (frame.REC_CALLS, frame.REC_TIMED, frame.REC_TIME)))


def code_that_runs(entry: Entry) -> int:
    """The address of what calls run now."""
    return int(record_of(entry).words[frame.REC_FUNCTION // 8])


def run_code(entry: Entry, address: int) -> None:
    """Let calls run what ``code_that_runs`` was before, which is kept."""
    record_of(entry).set(frame.REC_FUNCTION, address)


def code_behind(entry: Entry, function: str) -> Elsewhere:
    """The code that the entry was made with, for programs that go on with it."""
    record = record_of(entry)
    generic = record.compiled
    functions = {name: generic.address(name) for name in generic.graphs}
    return Elsewhere(functions, record.locations, function)


def instances_of(entry: Entry, instance: NativeInstance | None) -> dict[int, NativeInstance]:
    """The native instances that the entry's program reaches, by the id of the Python module."""
    roots = list(record_of(entry).captured) + ([instance] if instance is not None else [])
    return {id(found.module): found for root in roots for found in root.walk()}


def tensors_read(entry: Entry) -> set[tuple[str, str]]:
    """What a call reads of the modules' tensors, by names of class and attribute."""
    return {(owner.name, name) for owner, name in record_of(entry).compiled.tensor_reads}


def put_in_front(entry: Entry, compiled: CompiledProgram, root: str, function: str) -> None:
    """Run ``root`` of ``compiled``, which goes on with what ran before as ``function``."""
    record = record_of(entry)
    lease = manage(compiled)
    record.kept.append(compiled)
    _share_cells(record, compiled)
    if record.compiled.global_cells or record.words[frame.REC_SELF // 8]:
        record.tree.memory.use(lease)  # its constants may get into the modules' state
    known = len(record.locations)
    assert compiled.locations[:known] == record.locations, "the ids of places have changed"
    record.locations = compiled.locations
    go_on_with(compiled, function, record.words[frame.REC_FUNCTION // 8])
    record.set(frame.REC_GUARDED, 1)
    record.set(frame.REC_FUNCTION, compiled.address(root))


def _share_cells(record: EntryRecord, compiled: CompiledProgram) -> None:
    """Give code the captured modules that the entry's own has."""
    for name, cell in compiled.global_cells.items():
        own = record.compiled.global_cells[name]
        ctypes.c_int64.from_address(cell).value = ctypes.c_int64.from_address(own).value


def go_on_with(compiled: CompiledProgram, function: str, address: int) -> None:
    """Let code call another one as ``function`` when its guards fail."""
    ctypes.c_int64.from_address(compiled.outside[function]).value = address


def goes_on_with(compiled: CompiledProgram, function: str) -> int:
    """The code that is called as ``function``."""
    return ctypes.c_int64.from_address(compiled.outside[function]).value


def report_misses(entry: Entry, compiled: CompiledProgram, is_last: bool) -> None:
    """Whether a call that fails the guards counts as a miss of the entry: those of the last do."""
    record = record_of(entry)
    words = record.words if is_last else _ignored
    offset = frame.REC_COUNTDOWN if is_last else 0
    place = ctypes.addressof(words) + offset
    ctypes.c_int64.from_address(compiled.counters["missed"]).value = place


def counted(compiled: CompiledProgram, what: str) -> int:
    """How often code has reached a ``torch::count`` of ``what``."""
    return ctypes.c_int64.from_address(compiled.counters[what]).value


_ignored = (ctypes.c_int64 * 1)()
