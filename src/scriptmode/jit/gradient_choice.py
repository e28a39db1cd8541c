"""Which calls that need gradients run programs of their own, and from when on.

With ``autodiff`` on, all do, from the first call; with ``auto``, those of which it is known that it
pays:

- ops on tensors are *repeated* in the program, by a loop or by recursion.  Of an op that runs once
  in each call, torch's tape, recorded without Python, costs no more than a program of ours, and
  that would have to be compiled;
- results have been differentiated, ``BACKWARDS`` times.  A call whose result is never
  differentiated costs what it costs without gradients of our own;
- the calls have taken ``SECONDS`` of CPU altogether, and ``CALL`` each on average, so that there is
  something to win: a call that hangs a node of ours onto torch's tape costs some 40 us more.

Until then, and while a thread makes the programs in the background, calls record torch's tape.
A function that asks for ``scriptmode.checkpoint`` runs programs of its own from the first call on.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any

import torch

from scriptmode.autodiff.recursion import CHECKPOINT
from scriptmode.ir import types as T
from scriptmode.ir.graph import Block, Graph, Node, Program, callees

BACKWARDS = 2
SECONDS = 0.1
CALL = 1e-4


class Choice:
    """What is known of the calls of one function."""

    def __init__(self, program: Program, function: str) -> None:
        graphs = {name: program.functions[name] for name in _called(program, function)}
        self.asks = any(
            call.attributes.get(CHECKPOINT)
            for graph in graphs.values()
            for call in graph.find_all("prim::Call")
        )
        self.repeats = _repeats(graphs)
        self.seconds = 0.0
        self.calls = 0
        self.backwards = 0

    @property
    def is_hot(self) -> bool:
        """Whether programs of its own are worth making."""
        is_long = self.seconds >= max(SECONDS, CALL * self.calls)
        return is_long and self.backwards >= BACKWARDS

    @property
    def text(self) -> str:
        """Which calls run programs of their own, for a reader."""
        if self.asks:
            return "from the first call on: the program asks for checkpoints"
        if not self.repeats:
            return "none: no op on tensors is repeated, so torch's tape is as good"
        return (
            f"after {BACKWARDS} backwards and {SECONDS} s in calls of {1e6 * CALL:.0f} us or more, "
            f"by work in the background; so far {self.seconds:.3f} s in {self.calls} calls"
        )

    def watch(self, result: Any, seconds: float) -> None:
        """Learn of a call that took ``seconds``, and of it when its result is differentiated."""
        self.seconds += seconds
        self.calls += 1
        for tensor in _tensors(result):
            if tensor.grad_fn is not None:
                if self.backwards < BACKWARDS:
                    tensor.grad_fn.register_prehook(_counter(self))
                return


def _counter(choice: Choice) -> Callable[[Any], None]:
    """A hook of torch's tape, which must not keep alive what keeps it."""
    found = weakref.ref(choice)

    def count(grads: Any) -> None:
        alive = found()
        if alive is not None:
            alive.backwards += 1

    return count


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for element in value:
            yield from _tensors(element)


def _called(program: Program, function: str) -> list[str]:
    """The function and all that it may call."""
    found = [function]
    for name in found:
        found += [n for n in callees(program.functions[name]) if n not in found]
    return found


def _repeats(graphs: dict[str, Graph]) -> bool:
    """Whether an op on tensors is in a loop, or in a function that calls itself."""
    computing = {name for name, graph in graphs.items() if any(map(_computes, graph.walk()))}
    calls = {name: set(callees(graph)) for name, graph in graphs.items()}
    before: dict[str, set[str]] = {}
    while calls != before:  # all that each leads to
        before = calls
        calls = {name: of.union(*(before[n] for n in of)) for name, of in before.items()}
    for name, of in calls.items():
        if name in of and (name in computing or not of.isdisjoint(computing)):
            return True
    leading = computing | {name for name, of in calls.items() if not of.isdisjoint(computing)}
    return any(
        _computes(node) or node.attributes.get("callee") in leading
        for graph in graphs.values()
        for loop in graph.find_all("prim::Loop")
        for block in loop.blocks
        for node in _walk(block)
    )


def _computes(node: Node) -> bool:
    return node.kind.startswith("aten::") and any(
        T.TENSOR in T.walk(output.type) for output in node.outputs
    )


def _walk(block: Block) -> Iterator[Node]:
    for node in block.nodes:
        yield node
        for inner in node.blocks:
            yield from _walk(inner)
