"""Whether special code pays: before it is made, and when it is there.

``Cost`` says from when on a version may be made: once calls have taken as long as making one is
expected to take, so that a program never works more than about twice as long as it had to.
``Trial`` lets calls run with and without a new version in turn, in blocks, and compares the fastest
block of each way; a version that is not faster goes.  The results are the same whatever is run.
"""

from __future__ import annotations

from collections.abc import Callable

from scriptmode.runtime import versions as entries
from scriptmode.runtime.versions import Times

NODE = 1e-3  # seconds that a node of the graph costs, about
SLOWEST = 1.02  # of the time without the version, that with it is kept
ROUNDS = 6  # blocks of each way
TIMED = 4  # calls of a block whose time is taken
LONG = 0.02  # seconds of a call of which one makes a block
MOST_BLOCKS = 10 * ROUNDS  # that may go by without a verdict
MOST_CALLS = 1 << 20  # until it is looked again


class Cost:
    """What making a version of a function costs, and what its calls have cost."""

    def __init__(self, entry: entries.Entry, seconds: float) -> None:
        self.entry = entry
        self.seconds = seconds  # that calls must have taken
        self._before = Times(0, 0, 0)

    def know(self, nodes: int) -> None:
        """The size of the program is known."""
        self.seconds = max(self.seconds, NODE * nodes)

    @property
    def so_far(self) -> Times:
        """The calls since the last version."""
        return entries.times_of(self.entry).since(self._before)

    def begin(self) -> None:
        """A version has been made."""
        self._before = entries.times_of(self.entry)

    def calls_left(self, missed: int) -> int:
        """Calls like these ``missed`` ones until a version may pay for them; 0: it does.

        It is looked again after as many calls as there were, since the next ones may take longer.
        """
        found = self.so_far
        if not found.timed:
            return 1
        missing = self.seconds - found.each * missed
        if missing <= 0:
            return 0
        wanted = missing / found.each if found.each else MOST_CALLS
        return max(1, int(min(wanted, 2 * missed + 1, MOST_CALLS)))


class Trial:
    """Calls of an entry with and without a version in turn."""

    def __init__(self, entry: entries.Entry, without: int, hits: Callable[[], int]) -> None:
        self.entry, self.hits = entry, hits
        self._ways = {True: entries.code_that_runs(entry), False: without}
        self._best: dict[bool, float] = {}
        self._blocks = 0
        self._counted = {True: 0, False: 0}
        self._is_with = True
        self._begin()

    def _begin(self) -> None:
        """Begin a block."""
        entries.run_code(self.entry, self._ways[self._is_with])
        self._before, self._hits = entries.times_of(self.entry), self.hits()
        entries.count_calls(self.entry, 1)

    def step(self) -> float | None:
        """Look at a call: how many times as long calls take with the version, when it is known."""
        block = entries.times_of(self.entry).since(self._before)
        if block.timed < (1 if block.each > LONG else TIMED):
            entries.count_calls(self.entry, 3)
            return None
        self._blocks += 1
        # the first block of each way warms up
        if self._blocks > 2 and not (
            self._is_with and 2 * (self.hits() - self._hits) < block.calls
        ):
            best = self._best.get(self._is_with)
            self._best[self._is_with] = block.each if best is None else min(best, block.each)
            self._counted[self._is_with] += 1
        if min(self._counted.values()) >= ROUNDS:
            return self._best[True] / self._best[False]
        if self._blocks >= MOST_BLOCKS:  # calls that fit have become rare
            return 0.0
        self._is_with = not self._is_with
        self._begin()
        return None

    def end(self, keep: bool) -> None:
        """Go on with or without the version."""
        entries.run_code(self.entry, self._ways[keep])
