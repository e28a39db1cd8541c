"""The node of one call on torch's tape: an ``autograd.Function`` around native programs.

``Apply`` runs the forward program and turns the tensors of its result into outputs of the node; its
backward runs the reverse program, or, under ``create_graph=True``, a form of it that is
differentiated in turn; where there is none, what torch's tape records of the ordinary program is.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from scriptmode.autodiff.dual import TENSORS
from scriptmode.autodiff.effects import Effects, Names
from scriptmode.autodiff.paths import Path
from scriptmode.autodiff.transform import Differentiated
from scriptmode.ir import types as T
from scriptmode.jit.gradient_structures import Ending, leaves_in
from scriptmode.jit.gradient_values import (
    Outputs,
    at,
    by_root,
    cotangent_of,
    refilled,
    root_tensors,
)
from scriptmode.jit.gradient_versions import Pair, Pairs
from scriptmode.runtime.code import Lease

Entry = Callable[..., Any]
_UNSEEN = torch._C._AutoDispatchBelowAutograd  # ops go past torch's tape, which has nothing to do


class Owner(Protocol):
    """The differentiated forms of the function that is called."""

    held: dict[int, T.Type]
    is_plain: bool

    def part(self, everything: Sequence[Any], place: tuple[int, Path]) -> Any:
        """What may require a gradient: a tensor, or a list of tensors."""

    def tensors_of(self, everything: Sequence[Any], number: int) -> Iterator[torch.Tensor]:
        """The tensors of an argument or leaf."""

    def tensors(self, everything: Sequence[Any], numbers: Iterable[int]) -> list[torch.Tensor]:
        """The tensors of arguments and leaves."""

    def before(self, run: Run) -> Before:
        """What the program will write."""

    def again(self, run: Run) -> Any:
        """The result of an ordinary call once more, on torch's tape, without other effects."""

    def pulled_back(self, run: Run, cotangents: Sequence[Any]) -> Sequence[Any] | None:
        """Cotangents of the roots that can be differentiated again; None without a program."""


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
    result: T.Type | None  # in plain types, if it has cells beside its tensors
    effects: Effects
    written: list[int]  # tensors of modules that are written, by number
    returned: list[int]  # arguments behind the result proper in it: what they have become
    parts: dict[Path, T.Type]  # the parts of the result with such cells
    pattern: tuple[bool, ...]  # what requires a gradient
    pairs: Pairs | None = None  # special code

    @functools.cached_property
    def reverse(self) -> Entry:
        """The reverse program, which leaves the frame as it is."""
        return self.compile_reverse(False)

    @functools.cached_property
    def last_reverse(self) -> Entry:
        """One that takes the frame: what it holds is freed as soon as it was used."""
        return self.compile_reverse(True)


@dataclass
class Before:
    """What a program will write, as it was before a call."""

    attributes: dict[Names, Any]
    tensors: dict[int, torch.Tensor]  # by number


@dataclass(slots=True)
class Run:
    """What one call shares between its forward, its backward and the caller."""

    node: Node
    owner: Owner
    given: Sequence[Any]  # the arguments themselves
    arguments: Sequence[Any]  # those whose containers nobody else has
    leaves: Sequence[Any]
    result: Any = None
    places: list[tuple[Path, int]] | None = None  # outputs of the node, by path in the result
    taken: list[Any] | None = None  # by cotangent that the reverse takes: outputs of the node or -1
    state: Any = None  # of the random numbers, before the call
    before: Before | None = None
    frame: Any = None
    is_over: bool = False  # the last backward has run
    views: Sequence[tuple[Path | None, torch.Tensor, torch.Tensor]] = ()
    elements: Mapping[int, int] = field(default_factory=dict)  # see Outputs
    code: Lease | None = None  # what the frame refers to
    pair: Pair | None = None  # the special code that has made the frame

    def __del__(self) -> None:
        # a frame that is garbage together with its program must go first
        if self.code is not None:
            self.frame = None
            self.code.release()


class Misfit(Exception):
    """The arguments of a call do not fit the types of the instance, or it runs under a mode."""


WHOLE: list[tuple[Path, int]] = [((), 0)]  # the result is the output
_FIRST: list[Any] = [0]


class Apply(torch.autograd.Function):
    """The node of one call."""

    @staticmethod
    def forward(ctx: Any, run: Run, *roots: torch.Tensor) -> tuple[torch.Tensor, ...]:
        node = run.node
        if node.is_random:
            run.state = torch.get_rng_state()
        if node.effects.assigned or node.written:
            run.before = run.owner.before(run)
        pairs = node.pairs
        start = pairs.start(True) if pairs is not None else 0.0
        special = pairs.forward(run.given) if pairs is not None else None
        if special is not None:
            run.pair, (run.result, run.frame, flags) = special
        else:
            start = pairs.start(False) if pairs is not None else 0.0
            with contextlib.nullcontext() if node.is_recorded else _UNSEEN():
                run.result, run.frame, flags = node.forward(*run.given)
        if pairs is not None:
            pairs.stop(start, special is not None, 0)
        code = node.code if run.pair is None else run.pair.code
        if code is not None:
            run.code = code.hold()
        everything = (*run.arguments, *run.leaves)
        result = run.result
        ctx.set_materialize_grads(False)
        ctx.run = run
        ctx.versions = [root._version for root in roots]
        owner = run.owner
        ctx.save_for_backward(*owner.tensors(everything, node.saved))
        if node.is_single and flags[0] and not any(result is v for v in everything):
            run.places, run.taken = WHOLE, _FIRST
            ctx.kept = ()
            if node.differentiated.may_be_saved[0]:
                ctx.kept = ((result, result._version),)
                result = result.detach()
            return (result,)
        given = {id(t): t for t in owner.tensors(everything, range(len(everything)))}
        outputs = Outputs(given)
        run.places, run.views, run.elements = outputs.places, outputs.views, outputs.elements
        run.taken = [
            [
                outputs.take_element(tensor, kept, views, own_flag)
                for tensor, _, own_flag in leaves_in(at(result, path), node.parts[path])
            ]
            if path in node.parts
            else outputs.take(path, at(result, path), kept, views, flag)
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
        owner = run.owner
        tensors: Sequence[Any] = ctx.saved_tensors if node.saved else ()
        if run.is_over:
            raise RuntimeError(_SECOND_TIME)
        everything = (*run.arguments, *run.leaves)
        if torch.is_grad_enabled():
            roots = _roots(run, everything)
            _check_versions(zip(roots, ctx.versions, strict=True), "an argument")
            assert run.taken is not None
            given = [cotangent_of(number, grads) for number in run.taken]
            found = owner.pulled_back(run, given)
            if found is not None:
                return _in_order(run, everything, found)
            return None, *_again(run, roots, grads)
        _check_versions(ctx.kept, "a result")
        if owner.is_plain and len(tensors) == len(node.saved):
            values = dict(zip(node.saved, tensors, strict=True))
        else:
            left = iter(tensors)
            values = {i: _refilled(owner, everything, i, left) for i in node.saved}
        inputs = [values.get(i, everything[i]) for i in node.inputs]
        assert run.taken is not None
        given = [cotangent_of(number, grads) for number in run.taken]
        pairs = node.pairs
        if pairs is not None:
            pairs.note(given)
        is_last = node.keeps and not torch._C._autograd._get_current_graph_task_keep_graph()
        frame = run.frame
        start = pairs.start(run.pair is not None) if pairs is not None else 0.0
        if run.pair is not None:
            assert pairs is not None
            found = run.pair.pull(frame, inputs, given, is_last)
            if found is None:
                pairs.redo()
                roots = _roots(run, everything)
                _check_versions(zip(roots, ctx.versions, strict=True), "an argument")
                with torch.enable_grad():
                    again = _again(run, roots, grads, False)
                if is_last:
                    _end(run)
                return None, *again
            pairs.stop(start, True, 1)
            if is_last:
                _end(run)
            return _in_order(run, everything, found)
        reverse = node.last_reverse if is_last else node.reverse
        if is_last:
            _end(run)
        with contextlib.nullcontext() if node.is_recorded else _UNSEEN():
            found = reverse(frame, *inputs, *given)
        if pairs is not None:
            pairs.stop(start, False, 1)
        return _in_order(run, everything, found)


def _places(run: Run, everything: Sequence[Any]) -> list[Any]:
    """What the node differentiates by: tensors and lists of them."""
    return [run.owner.part(everything, place) for place in run.node.wrt]


def _roots(run: Run, everything: Sequence[Any]) -> list[torch.Tensor]:
    """The tensors that the node differentiates by."""
    return [root for place in _places(run, everything) for root in root_tensors(place)]


def _in_order(run: Run, everything: Sequence[Any], found: Sequence[Any]) -> tuple[Any, ...]:
    """Cotangents in the order of the node's inputs, the first of which is no tensor."""
    if run.owner.is_plain:
        return (None, *found)
    return (None, *by_root(found, _places(run, everything)))


def _end(run: Run) -> None:
    """Forget what only a backward needs."""
    run.is_over, run.frame, run.arguments, run.leaves = True, None, (), ()


_SECOND_TIME = (
    "Trying to backward through the graph a second time (or directly access saved tensors after "
    "they have already been freed). Saved intermediate values of the graph are freed when you call "
    ".backward() or autograd.grad(). Specify retain_graph=True if you need to backward through the "
    "graph a second time or if you need to access saved tensors after calling backward."
)


def _refilled(owner: Owner, everything: Sequence[Any], number: int, tensors: Iterator[Any]) -> Any:
    """An argument or leaf with saved tensors; those of containers are only checked."""
    if owner.held.get(number, TENSORS) == TENSORS:
        return refilled(everything[number], tensors)
    for _ in owner.tensors_of(everything, number):
        next(tensors)
    return None


def ended(node: Node, result: Any, ending: Ending, arguments: Sequence[Any]) -> Any:
    """The result proper; arguments become what they are now."""
    assert node.result is not None
    if not node.returned:
        return ending.result(result, node.result)
    proper, *own = result
    for number, value, t in zip(node.returned, own, node.result.contained[1:], strict=True):
        ending.give_back(value, arguments[number], t)
    return ending.result(proper, node.result.contained[0])


def _check_versions(found: Iterable[tuple[torch.Tensor, int]], what: str) -> None:
    for tensor, version in found:
        if tensor._version != version:
            raise RuntimeError(
                "one of the variables needed for gradient computation has been modified by an "
                f"inplace operation: {what} of shape {list(tensor.shape)} is at version "
                f"{tensor._version}; expected version {version} instead"
            )


def _again(
    run: Run, roots: Sequence[torch.Tensor], grads: Sequence[Any], create_graph: bool = True
) -> Sequence[Any]:
    """The cotangents of ``roots``; with ``create_graph`` functions of ``grads`` and ``roots``."""
    result = run.owner.again(run)
    assert run.places is not None
    by_number = {number: at(result, path) for path, number in run.places}
    assert run.taken is not None
    for path, numbers in zip(run.node.differentiated.outputs, run.taken, strict=True):
        if path in run.node.parts:
            elements = leaves_in(at(result, path), run.node.parts[path])
            by_number.update(zip(numbers, elements, strict=True))
    pairs = [(by_number[i], g) for i, g in enumerate(grads) if g is not None]
    pairs = [(out, g) for out, g in pairs if out.requires_grad]
    if not pairs:
        return [None] * len(roots)
    outs, given = zip(*pairs, strict=True)
    return torch.autograd.grad(outs, roots, given, create_graph=create_graph, allow_unused=True)
