"""Forward mode of one instance of a function: its native programs, and calls of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch.autograd import forward_ad

from scriptmode.autodiff.dual import TENSORS, has_cells, holds
from scriptmode.autodiff.paths import IN_CONTAINERS, Path, root_paths
from scriptmode.autodiff.problems import NotDifferentiable
from scriptmode.autodiff.pushforward import Pushforward, pushforward_program
from scriptmode.ir import types as T
from scriptmode.ir.graph import Program
from scriptmode.jit.gradient_structures import fill, is_shared, leaves_in, rebuilt, tensors_in
from scriptmode.jit.gradient_values import at
from scriptmode.jit.pipeline import compile_native
from scriptmode.runtime.boundary import make_entry
from scriptmode.runtime.instance import NativeInstance
from scriptmode.support.locks import held_while_forking
from scriptmode.support.markers import HIDDEN_PARAMETER

Places = tuple[tuple[int, Path], ...]
_LEVEL = held_while_forking(threading.RLock())  # torch has one level for all threads


class Unpushed(Exception):
    """A call that has no native program in forward mode."""


def _misfit(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    raise Unpushed


def is_differentiable(value: Any) -> bool:
    """Whether a value is a tensor that may have a tangent."""
    return isinstance(value, torch.Tensor) and (value.is_floating_point() or value.is_complex())


class Pushforwards:
    """The programs of one instance; ``reason`` says why the last one that was asked for is none."""

    def __init__(self) -> None:
        self.reason = ""
        self._made: dict[Places, tuple[Pushforward, Callable[..., Any]] | str] = {}
        self._lock = threading.RLock()

    def call(
        self, program: Program, function: str, instance: NativeInstance | None,
        around: Callable[[Callable[..., Any]], Callable[..., Any]],
        arguments: Sequence[Any], tangents: Sequence[Any], is_repeated: bool = False,
    ) -> tuple[Any, Any]:  # fmt: skip
        """The result and its tangent, or Unpushed.

        ``tangents`` are those of the first arguments, in their structure.  With ``is_repeated`` the
        function may run once more: then it must do nothing besides giving the result.
        """
        places = self._places(program, function, instance, arguments[: len(tangents)])
        with self._lock:
            if places not in self._made:
                self._made[places] = self._compile(program, function, instance, around, places)
            made = self._made[places]
        if isinstance(made, str):
            self.reason = made
            raise Unpushed
        pushforward, entry = made
        if is_repeated and (
            pushforward.is_random or pushforward.has_effects or pushforward.returned
        ):
            self.reason = "a result to differentiate again of a function with effects"
            raise Unpushed
        self._check_containers(program, function, instance, arguments)
        given = [tangents[n] for n in dict.fromkeys(number for number, _ in places)]
        state = torch.get_rng_state() if pushforward.is_random else None
        try:
            with torch.no_grad(), level() if pushforward.uses_torch else nullcontext():
                result, found = entry(*arguments, *given)
        except Exception as error:
            if pushforward.has_effects:
                raise
            # the other way raises it again, unless torch cannot push an op forward
            if state is not None:
                torch.set_rng_state(state)
            self.reason = str(error).partition(" because")[0]
            if isinstance(error, NotImplementedError):
                with self._lock:
                    self._made[places] = self.reason
            raise Unpushed from None
        return _Ending(pushforward, found, arguments).split(result)

    def _check_containers(
        self, program: Program, function: str, instance: NativeInstance | None,
        arguments: Sequence[Any],
    ) -> None:  # fmt: skip
        params = program.functions[function].params
        own = params[1:] if instance is not None else params
        held = [(v, p.type) for p, v in zip(own, arguments, strict=True) if holds(p.type)]
        if held and is_shared(held):
            self.reason = "a container that is given twice"
            raise Unpushed

    @property
    def made(self) -> list[tuple[Pushforward, Callable[..., Any]]]:
        """The programs, and their entries."""
        return [made for made in self._made.values() if not isinstance(made, str)]

    def _places(
        self, program: Program, function: str, instance: NativeInstance | None,
        arguments: Sequence[Any],
    ) -> Places:  # fmt: skip
        """What has a tangent."""
        params = program.functions[function].params
        own = params[1:] if instance is not None else params
        found: list[tuple[int, Path]] = []
        for number, (param, value) in enumerate(zip(own, arguments, strict=False)):
            if any(isinstance(part, T.ClassType) for part in T.walk(param.type)):
                continue  # an object is no tensor: it has no tangent
            for path in root_paths(param.type):
                if path == IN_CONTAINERS:
                    is_any = any(map(is_differentiable, tensors_in(value, param.type)))
                elif param.type == TENSORS:
                    is_any = any(map(is_differentiable, value))
                else:
                    is_any = is_differentiable(at(value, path))
                if is_any:
                    found.append((number, path))
        return tuple(found)

    def _compile(
        self, program: Program, function: str, instance: NativeInstance | None,
        around: Callable[[Callable[..., Any]], Callable[..., Any]], places: Places,
    ) -> tuple[Pushforward, Callable[..., Any]] | str:  # fmt: skip
        graph = program.functions[function]
        if any(p.name.startswith(HIDDEN_PARAMETER) for p in graph.params):
            return "an object that the program shares"
        if function in program.results or program.known.get(function):
            return "functions among the arguments or results"
        try:
            made = pushforward_program(program, function, places)
        except NotDifferentiable as error:
            return str(error)
        graph = made.program.graph
        entry = make_entry(
            compile_native(made.program), graph.name, graph, slow=_misfit, instance=instance
        )
        return made, around(entry)


@contextmanager
def level() -> Iterator[None]:
    """A level of torch's forward mode; Unpushed where there is one already."""
    with _LEVEL:
        if forward_ad._current_level >= 0:
            raise Unpushed
        with forward_ad.dual_level():
            yield


class _Ending:
    """Takes a result and its tangents apart."""

    def __init__(
        self, pushforward: Pushforward, found: Sequence[Any], arguments: Sequence[Any]
    ) -> None:
        self.returned = [arguments[number] for number in pushforward.returned]
        self.found = {path: v for (path, _), v in zip(pushforward.parts, found, strict=True)}
        self.plain, self.cells = pushforward.plain, pushforward.parts
        self.tangents: dict[int, Any] = {}  # by dual
        # what was made of each container: in the result, in its tangent
        self.memos: tuple[dict[int, Any], dict[int, Any]] = ({}, {})

    def split(self, result: Any) -> tuple[Any, Any]:
        """The result, and its tangent in the same structure."""
        for path, t in self.cells:
            if has_cells(t):
                duals = list(leaves_in(at(result, path), self._plain_at(path)))
                for dual, tangent in zip(duals, self.found[path], strict=True):
                    self.tangents[id(dual)] = tangent
        if not self.returned:
            return self._part(result, self.plain, (), 0), self._part(result, self.plain, (), 1)
        for index, argument in enumerate(self.returned, 1):
            own = result[index]
            fill(argument, rebuilt(own, self._plain_at((index,)), self._leaf(0), {}, True))
            self.memos[0][id(own)] = argument
        t = self._plain_at((0,))
        return self._part(result[0], t, (0,), 0), self._part(result[0], t, (0,), 1)

    def _plain_at(self, path: Path) -> T.Type:
        t = self.plain
        for index in path:
            assert isinstance(t, T.TupleType)
            t = t.elements[index]
        return t

    def _part(self, value: Any, t: T.Type, path: Path, side: int) -> Any:
        if isinstance(t, T.TupleType):
            parts = [
                self._part(value[i], element, (*path, i), side)
                for i, element in enumerate(t.elements)
            ]
            return getattr(type(value), "_make", tuple)(parts)
        if (holds(t) and t != TENSORS) or (t == TENSORS and self._is_dual(path)):
            return rebuilt(value, t, self._leaf(side), self.memos[side], True)
        if side == 0:
            return value
        if t == TENSORS:
            return [tangent_like(x, d) for x, d in zip(value, self.found[path], strict=True)]
        if isinstance(value, torch.Tensor):
            return tangent_like(value, self.found[path])
        return value

    def _is_dual(self, path: Path) -> bool:
        return any(p == path and has_cells(t) for p, t in self.cells)

    def _leaf(self, side: int) -> Callable[[Any], Any]:
        if side == 0:
            return lambda dual: dual[0]
        return lambda dual: tangent_like(dual[0], self.tangents[id(dual)])


def tangent_like(x: torch.Tensor, tangent: torch.Tensor | None) -> torch.Tensor:
    """A tangent in the form of its tensor, as torch.func gives it: zeros for none."""
    if tangent is None or not is_differentiable(x):
        return torch.zeros_like(x)
    if tangent.shape != x.shape:
        tangent = tangent.expand(x.shape)
    return tangent.to(x.dtype)
