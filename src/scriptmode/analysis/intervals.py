"""Between which bounds the ints of a function lie.

::

    %n: int = list::len(%a)                 0 .. 2**60
    prim::Loop(%n, %true)
      block0(%i: int):                      0 .. 2**60 - 1
        %j: int = int::add(%i, %one)        1 .. 2**60: cannot overflow

``Intervals(graph).inputs_of(node)`` are the bounds of a node's inputs where it stands: a branch
knows its condition.  Int arithmetic raises instead of leaving 64 bits, so that bounds never do.
Loops are repeated until nothing changes; what goes on growing is unbounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scriptmode.ir import types as T
from scriptmode.ir.graph import BREAK, CONTINUE, YIELD, Block, Graph, Node, Value

INT_MIN, INT_MAX = -(2**63), 2**63 - 1
MOST_ITEMS = 2**60  # of anything that takes memory
_ROUNDS = 3  # of a loop before what grows is given up
_DEEPEST = 4  # loops inside loops that are looked into more than once

Interval = tuple[int, int]
TOP: Interval = (INT_MIN, INT_MAX)
_Facts = dict[Value, Interval]
_Leaving = list[list[Interval]]


def join(a: Interval, b: Interval) -> Interval:
    """The least interval around both."""
    return min(a[0], b[0]), max(a[1], b[1])


def meet(a: Interval, b: Interval) -> Interval:
    """What is in both; ``a`` when nothing is: the code is never reached."""
    low, high = max(a[0], b[0]), min(a[1], b[1])
    return (low, high) if low <= high else a


def clip(low: int, high: int) -> Interval:
    """Bounds of a result that raises outside 64 bits."""
    return meet(TOP, (low, high))


@dataclass
class _LoopState:
    """What has left a loop, and what its next iteration may start with."""

    leaving: _Leaving
    repeating: _Leaving


class Intervals:
    """Bounds of the ints of one function; all are unbounded where there is no graph."""

    def __init__(self, graph: Graph | None) -> None:
        self._facts: _Facts = {}
        self._inputs: dict[Node, list[Interval]] = {}
        self._loops: list[_LoopState] = []
        self._yields: list[_Leaving] = []
        if graph is not None:
            self._block(graph.block)

    def inputs_of(self, node: Node) -> list[Interval]:
        """Bounds of the inputs of an int op; what is not known is unbounded."""
        found = self._inputs.get(node)
        return found if found is not None else [TOP] * len(node.inputs)

    def _of(self, value: Value) -> Interval:
        found = self._facts.get(value)
        if found is not None:
            return found
        if value.is_constant and type(value.constant) is int:
            return value.constant, value.constant
        return TOP

    # ---- nodes ----

    def _block(self, block: Block) -> None:
        for node in block.nodes:
            if node.kind == "prim::If":
                self._if(node)
            elif node.kind == "prim::Loop":
                self._loop(node)
            elif node.blocks:
                self._unknown(node)
            else:
                self._node(node)
        self._terminator(block.terminator)

    def _node(self, node: Node) -> None:
        if not any(v.type == T.INT for v in (*node.inputs, *node.outputs)):
            return
        inputs = [self._of(v) for v in node.inputs]
        self._inputs[node] = inputs
        transfer = TRANSFER.get(node.kind)
        if transfer is not None:
            self._facts[node.outputs[0]] = transfer(*inputs)
        elif node.kind in LENGTHS:
            self._facts[node.outputs[0]] = 0, _most_items(node)

    def _unknown(self, node: Node) -> None:
        """A node with blocks whose order of execution is not known here."""
        for block in node.blocks:
            saved = dict(self._facts)
            self._yields.append([])
            self._block(block)
            self._yields.pop()
            self._facts = saved

    def _if(self, node: Node) -> None:
        before = dict(self._facts)
        leaving: _Leaving = []
        ends: list[_Facts] = []
        for block, outcome in zip(node.blocks, (True, False), strict=True):
            self._facts = dict(before)
            self._assume(node.inputs[0], outcome)
            self._yields.append([])
            self._block(block)
            found = self._yields.pop()
            if found:
                leaving += found
                ends.append(self._facts)
        # what the only way on knows, all that follows knows
        self._facts = ends[0] if len(ends) == 1 else before
        for index, output in enumerate(node.outputs):
            if output.type == T.INT and leaving:
                self._facts[output] = _join_all([values[index] for values in leaving])

    def _terminator(self, end: Node) -> None:
        values = [self._of(v) for v in end.inputs]
        owner = end.block.owner if end.block is not None else None
        if end.kind == YIELD and owner is not None and owner.kind != "prim::Loop":
            self._yields[-1].append(values)
        elif self._loops and end.kind == BREAK:
            self._loops[-1].leaving.append(values)
        elif self._loops and end.kind in (YIELD, CONTINUE) and owner is not None:
            self._loops[-1].repeating.append(values[1:])

    # ---- loops ----

    def _loop(self, node: Node) -> None:
        (body,) = node.blocks
        trips, _, *carried = node.inputs
        before = dict(self._facts)
        current = [self._of(v) for v in carried]
        last = max(0, min(self._of(trips)[1], INT_MAX) - 1)
        rounds = _ROUNDS if len(self._loops) < _DEEPEST else 0
        while True:
            self._facts = dict(before)
            self._facts[body.params[0]] = 0, last
            for param, interval in zip(body.params[1:], current, strict=True):
                self._facts[param] = interval
            state = _LoopState([], [])
            self._loops.append(state)
            self._block(body)
            self._loops.pop()
            following = [_join_all([c, *(r[i] for r in state.repeating)])
                         for i, c in enumerate(current)]  # fmt: skip
            if following == current:
                break
            widen = rounds <= 0
            current = [_widen(old, new) if widen else new
                       for old, new in zip(current, following, strict=True)]  # fmt: skip
            rounds -= 1
        self._facts = before
        for index, output in enumerate(node.outputs):
            if output.type == T.INT:
                ways = [current[index], *(values[index] for values in state.leaving)]
                self._facts[output] = _join_all(ways)

    # ---- conditions ----

    def _assume(self, condition: Value, outcome: bool) -> None:
        """Learn from a condition that is known to be ``outcome``."""
        node = condition.node
        if node is None:
            return
        if node.kind == "bool::not":
            self._assume(node.inputs[0], not outcome)
        elif node.kind == ("bool::and" if outcome else "bool::or"):
            for value in node.inputs:
                self._assume(value, outcome)
        elif node.kind in COMPARISONS:
            kind = node.kind if outcome else OPPOSITE[node.kind]
            a, b = node.inputs
            x, y = self._of(a), self._of(b)
            self._learn(a, COMPARISONS[kind](x, y))
            self._learn(b, COMPARISONS[MIRRORED[kind]](y, x))

    def _learn(self, value: Value, interval: Interval) -> None:
        if not value.is_constant:
            self._facts[value] = meet(self._of(value), interval)


def _join_all(intervals: list[Interval]) -> Interval:
    return min(i[0] for i in intervals), max(i[1] for i in intervals)


def _widen(old: Interval, new: Interval) -> Interval:
    return old[0] if new[0] >= old[0] else INT_MIN, old[1] if new[1] <= old[1] else INT_MAX


def _most_items(node: Node) -> int:
    contained = node.inputs[0].type.contained
    takes_memory = not contained or contained[0] in (T.INT, T.FLOAT, T.BOOL, T.STR, T.TENSOR)
    return MOST_ITEMS if takes_memory else INT_MAX


def _shift(interval: Interval, by: int) -> Interval:
    return max(interval[0] + by, INT_MIN), min(interval[1] + by, INT_MAX)


# what is known of ``a`` when the comparison with ``b`` holds
COMPARISONS: Mapping[str, Callable[[Interval, Interval], Interval]] = {
    "int::lt": lambda a, b: (INT_MIN, _shift(b, -1)[1]),
    "int::le": lambda a, b: (INT_MIN, b[1]),
    "int::gt": lambda a, b: (_shift(b, 1)[0], INT_MAX),
    "int::ge": lambda a, b: (b[0], INT_MAX),
    "int::eq": lambda a, b: b,
    "int::ne": lambda a, b: (
        a[0] + (a[0] == b[0] == b[1]), a[1] - (a[1] == b[0] == b[1])
    ) if a[0] < a[1] else a,
}  # fmt: skip
OPPOSITE = {
    "int::lt": "int::ge", "int::ge": "int::lt", "int::gt": "int::le", "int::le": "int::gt",
    "int::eq": "int::ne", "int::ne": "int::eq",
}  # fmt: skip
MIRRORED = {
    "int::lt": "int::gt", "int::gt": "int::lt", "int::le": "int::ge", "int::ge": "int::le",
    "int::eq": "int::eq", "int::ne": "int::ne",
}  # fmt: skip


def product(a: Interval, b: Interval) -> Interval:
    """Bounds of a product, as if ints were unbounded."""
    corners = [x * y for x in a for y in b]
    return min(corners), max(corners)


def total(a: Interval, b: Interval) -> Interval:
    """Bounds of a sum, as if ints were unbounded."""
    return a[0] + b[0], a[1] + b[1]


def difference(a: Interval, b: Interval) -> Interval:
    """Bounds of a difference, as if ints were unbounded."""
    return a[0] - b[1], a[1] - b[0]


def _floordiv(a: Interval, b: Interval) -> Interval:
    if b[0] <= 0:
        return TOP
    corners = [x // y for x in a for y in b]
    return min(corners), max(corners)


def _mod(a: Interval, b: Interval) -> Interval:
    if b[0] > 0:
        return 0, min(b[1] - 1, a[1]) if a[0] >= 0 else b[1] - 1
    return (b[0] + 1, 0) if b[1] < 0 else TOP


def _and(a: Interval, b: Interval) -> Interval:
    highs = [x[1] for x in (a, b) if x[0] >= 0]
    return (0, min(highs)) if highs else TOP


def _range_item(start: Interval, stop: Interval, step: Interval, index: Interval) -> Interval:
    if step[0] > 0:
        return start[0], max(start[0], _shift(stop, -1)[1])
    if step[1] < 0:
        return min(start[1], _shift(stop, 1)[0]), start[1]
    return join(start, stop)


TRANSFER: Mapping[str, Callable[..., Interval]] = {
    "int::add": lambda a, b: clip(*total(a, b)),
    "int::sub": lambda a, b: clip(*difference(a, b)),
    "int::mul": lambda a, b: clip(*product(a, b)),
    "int::neg": lambda a: clip(-a[1], -a[0]),
    "int::abs": lambda a: clip(0 if a[0] < 0 < a[1] else min(map(abs, a)), max(map(abs, a))),
    "int::floordiv": _floordiv,
    "int::mod": _mod,
    "int::and": _and,
    "int::rshift": lambda a, b: (min(a[0], 0), max(a[1], 0)) if b[0] >= 0 else TOP,
    "int::bit_length": lambda a: (0, 64),
    "int::bit_count": lambda a: (0, 64),
    "bool::int": lambda a: (0, 1),
    "str::ord": lambda a: (0, 0x10FFFF),
    "range::item": _range_item,
    "range::length": lambda start, stop, step: (
        0, max(0, stop[1] - start[0]) if step == (1, 1) and stop[1] - start[0] <= INT_MAX
        else INT_MAX
    ),
    "dict::find": lambda d, k: (-1, MOST_ITEMS),
}  # fmt: skip
LENGTHS = frozenset(["list::len", "dict::len", "str::len", "set::len"])
