"""Run a program under eager autograd and compiled, and say whether all agrees.

``ARGUMENTS`` of a program makes the arguments of its calls.  Each is run with none, one and all of
its tensors requiring gradients.  ``judge`` runs native code; ``judge_interpreted`` runs the forward
and the reverse program in the reference interpreter, which takes a fraction of the time.
"""

from __future__ import annotations

import contextlib
import gc
import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import torch

import scriptmode
from scriptmode.autodiff.differentiate import program_of
from scriptmode.codegen.module import Compiler
from scriptmode.frontend.script import compile_function
from scriptmode.interp import Interpreter
from scriptmode.ir.graph import Graph
from scriptmode.jit.gradients import Gradients
from scriptmode.runtime import nativelib
from scriptmode.runtime.instance import NativeInstance
from tests.autodiff.gradients import cotangents, leaves
from tests.generator.judge import DIFFERENT, INVALID, OVERFLOW, REFUSED, SAME, Verdict, loaded

TAPE = "TAPE"  # as eager, on torch's own tape
_HUGE = 1e8


@dataclass
class Outcome:
    """What a call did."""

    error: str = ""
    message: str = ""
    structure: Any = None  # containers, numbers, which tensors are which
    values: list[torch.Tensor] = field(default_factory=list)
    gradients: list[Any] = field(default_factory=list)
    second: list[Any] | None = None


class _Structure:
    """Everything about a result but the tensors' elements."""

    def __init__(self, arguments: tuple[Any, ...]) -> None:
        self.seen: dict[int, int] = {}
        self.storages: dict[int, int] = {}
        self.kept: list[Any] = []
        self.inputs = [self.of(argument) for argument in arguments]

    def of(self, value: Any) -> Any:
        if isinstance(value, float):
            return ("float", float(f"{value:.7g}") if abs(value) > 1e-6 else 0.0)
        if value is None or isinstance(value, (bool, int, str)):
            return value
        if isinstance(value, tuple):
            return (type(value).__name__, *map(self.of, value))
        if id(value) in self.seen:
            return ("again", self.seen[id(value)])
        self.seen[id(value)] = len(self.seen)
        self.kept.append(value)
        if isinstance(value, torch.Tensor):
            place = value.untyped_storage().data_ptr()
            storage = self.storages.setdefault(place, len(self.storages))
            return (
                "tensor", str(value.dtype), tuple(value.shape), storage,
                f"requires_grad {value.requires_grad}", f"is_leaf {value.is_leaf}",
            )  # fmt: skip
        if isinstance(value, dict):
            return ("dict", *((k, self.of(v)) for k, v in value.items()))
        if hasattr(value, "__dict__"):
            return (type(value).__name__, *((k, self.of(v)) for k, v in vars(value).items()))
        return (type(value).__name__, *map(self.of, value))


def _marked(arguments: tuple[Any, ...], mask: int) -> tuple[Any, ...]:
    """The arguments with the chosen tensors requiring gradients; -1 for all."""
    for number, tensor in enumerate(leaves(list(arguments))):
        tensor.requires_grad_(bool(mask >> number & 1))
    return arguments


def outcome(function: Callable[..., Any], arguments: tuple[Any, ...], second: bool) -> Outcome:
    """Call ``function`` and differentiate its result, twice through the same node."""
    inputs = [t for t in leaves(list(arguments)) if t.requires_grad]
    found = Outcome()
    structure = _Structure(arguments)
    try:
        result = function(*arguments)
    except Exception as error:
        return Outcome(type(error).__name__, str(error))
    found.structure = (structure.of(result), _Structure(()).of(list(arguments)))
    found.values = [t.detach().clone() for t in leaves(result)]
    outputs = [t for t in leaves(result) if t.requires_grad]
    if not outputs or not inputs:
        return found
    try:
        for seed in (5, 6):
            given = cotangents(outputs, seed)
            found.gradients += torch.autograd.grad(
                outputs, inputs, given, retain_graph=True, allow_unused=True
            )
    except RuntimeError as error:
        return Outcome("backward " + type(error).__name__, str(error)[:40])
    if second:
        first = torch.autograd.grad(
            outputs, inputs, cotangents(outputs, 7), create_graph=True, allow_unused=True
        )
        again = [g for g in first if g is not None and g.requires_grad]
        with contextlib.suppress(RuntimeError):  # ops that torch does not differentiate twice
            found.second = list(torch.autograd.grad(
                again, inputs, cotangents(again, 8), allow_unused=True
            )) if again else []  # fmt: skip
    return found


def _apart(want: Any, got: Any) -> bool:
    if (want is None) != (got is None):
        return True
    if want is None:
        return False
    scale = float(want.abs().nan_to_num(0.0, 0.0, 0.0).max()) if want.numel() else 0.0
    return want.shape != got.shape or not torch.allclose(
        got, want, rtol=1e-9, atol=1e-9 * max(scale, 1e-3), equal_nan=True
    )


def _wild(values: list[Any]) -> bool:
    """Whether rounding decides: huge values, or none that are finite."""
    return any(v is not None and bool((~(v.abs() < _HUGE)).any()) for v in values)


def difference(want: Outcome, got: Outcome) -> str:
    """What differs; empty when nothing does."""
    if want.error != got.error:
        shown = f"eager {want.error}: {want.message}, here {got.error}: {got.message}"
        return f"error: {shown}"
    if want.structure != got.structure:
        return f"structure: eager {want.structure}, here {got.structure}"
    for what in ("values", "gradients", "second"):
        a, b = getattr(want, what), getattr(got, what)
        if what != "values" and _wild(want.values):
            return ""
        if what == "second" and (a is None or b is None or _wild(want.gradients)):
            continue
        if what == "second" and (len(a) != len(b) or _wild(a)):
            # a zero that eager's tape knows to be one, or a derivative that is not finite
            continue
        for number, (w, g) in enumerate(zip(a, b, strict=True)):
            if what == "second" and (w is None or g is None):
                w, g = (
                    (
                        torch.zeros_like(x if o is None else o) if o is None else o
                        for o, x in ((w, g), (g, w))
                    )
                    if (w is None) != (g is None)
                    else (w, g)
                )
            if _apart(w, g) and not _wild([w]):
                return f"{what} {number}: eager {w}, here {g}"
    return ""


def _cases(module: ModuleType) -> Iterator[tuple[Callable[[], tuple[Any, ...]], int]]:
    for number, make in enumerate(module.ARGUMENTS):
        count = len(leaves(list(make())))
        yield make, -1
        if count > 1:
            yield make, 1 << len(module.f.__code__.co_code) % count
        if number == 0:
            yield make, 0


class _InterpretedGradients(Gradients):
    """Forward and reverse programs without native code."""

    def _entry(
        self,
        graph: Graph,
        instance: NativeInstance | None,
        functions: Sequence[Graph],
        compiler: Compiler,
    ) -> Callable[..., Any]:
        program = program_of(graph, self.program, functions)
        graph.kwarg_only.clear()
        run = Interpreter(program).run
        return lambda *arguments: run(graph.name, *arguments)

    def _code_of(self, entry: Callable[..., Any]) -> None:
        return None


@dataclass
class _Compiled:
    """A function, and whether it has a reverse program."""

    call: Callable[..., Any]
    gradients: Gradients
    bailouts: Any = None


def native(function: Callable[..., Any]) -> _Compiled:
    made = scriptmode.script(function)
    return _Compiled(made, made._dispatcher.primary.gradients, made.bailouts)


def interpreted(function: Callable[..., Any]) -> _Compiled:
    program = compile_function(function)
    run = Interpreter(program).run
    gradients = _InterpretedGradients(
        program, program.root, lambda *arguments: run(program.root, *arguments), None, None
    )
    return _Compiled(gradients.around(program.graph), gradients)


def judge_interpreted(text: str) -> Verdict:
    """Run a program in eager mode and in the interpreter."""
    return _judged(text, interpreted)


def judge(text: str) -> Verdict:
    """Run a program in eager mode and natively."""
    gc.collect()
    before = nativelib.live_objects(), nativelib.live_tensors()
    verdict = _judged(text, native)
    gc.collect()
    after = nativelib.live_objects(), nativelib.live_tensors()
    if verdict.kind in (SAME, TAPE) and after != before:
        return Verdict(DIFFERENT, f"left alive: {after[0] - before[0]} objects, "
                       f"{after[1] - before[1]} tensors")  # fmt: skip
    return verdict


def _judged(text: str, compile: Callable[[Callable[..., Any]], _Compiled]) -> Verdict:
    torch.set_num_threads(1)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            with loaded(text) as module:
                return _judge(module, compile)
    except Exception as error:
        return Verdict(INVALID, repr(error))


def _judge(module: ModuleType, compile: Callable[[Callable[..., Any]], _Compiled]) -> Verdict:
    wanted = [
        (make, mask, outcome(module.f, _marked(make(), mask), second=mask == -1))
        for make, mask in _cases(module)
    ]
    for _, _, want in wanted:
        if want.error in ("NameError", "UnboundLocalError", "TypeError", "AttributeError"):
            return Verdict(INVALID, want.message)
    try:
        compiled = compile(module.f)
    except scriptmode.InternalError as error:
        return Verdict(DIFFERENT, f"compiler failed: {error}")
    except scriptmode.ScriptError as error:
        return Verdict(REFUSED, str(error))
    except Exception as error:
        return Verdict(DIFFERENT, f"compiler failed: {error!r}")
    bailouts = scriptmode.bailout_count()
    for make, mask, want in wanted:
        got = outcome(compiled.call, _marked(make(), mask), second=mask == -1)
        if got.error == "OverflowError" and want.error != got.error:
            return Verdict(OVERFLOW)
        if got.error in ("NotBuiltError", "CompileError", "ScriptTypeError"):
            return Verdict(REFUSED, got.message)
        found = difference(want, got)
        if found:
            again = outcome(module.f, _marked(make(), mask), second=mask == -1)
            if difference(want, again):
                continue  # eager differs from itself, which says nothing of the program
            return Verdict(DIFFERENT, f"{found} (requiring gradients: {mask:b})")
    if scriptmode.bailout_count() != bailouts:
        return Verdict(DIFFERENT, f"left native code: {compiled.bailouts}")
    reason = compiled.gradients.reason
    return Verdict(TAPE, reason) if reason else Verdict(SAME)
