"""The OpInfo table through ``script`` and ``trace``: native code against eager.

An op passes a way when *every* sample of its main dtype and one sample of each other dtype gives
what eager gives, and no call left native code.  ``script`` compiles the source text of one call, as a
user would write it (``torch.add(i0, i1, alpha=2)``); ``trace`` records the call.  The peer column
says whether torch.jit can compile the same text, or trace the same call, on the first sample.
"""

from __future__ import annotations

import importlib.util
import itertools
import linecache
import math
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch.utils import _pytree as pytree

import scriptmode
from tests.opinfo.table import (
    SEED,
    UNINITIALISED,
    Row,
    difference,
    dtype_of,
    name_of,
    samples_of,
)

WAYS = ("script", "trace")
_temporary = tempfile.TemporaryDirectory(prefix="opinfo-")  # removed at exit
_folder = Path(_temporary.name)
_numbers = itertools.count()


def samples(op: Any, most: int | None = None) -> Iterator[tuple[torch.dtype, Any]]:
    """All samples of the main dtype, or ``most``, then the first of every other supported one."""
    main = dtype_of(op)
    for sample in samples_of(op, most):
        yield main, sample
    for dtype in sorted(op.supported_dtypes("cpu") - {main}, key=str):
        torch.manual_seed(SEED)
        try:
            first = next(iter(op.sample_inputs("cpu", dtype, requires_grad=False)), None)
        except (RuntimeError, TypeError, NotImplementedError, ValueError):
            continue  # some generators cannot make samples of every dtype they declare
        if first is not None:
            yield dtype, first


def literal(value: Any) -> str:
    """Source text of an argument that is no tensor."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"float('{value}')"
    if isinstance(value, torch.Size):
        return str(tuple(value))
    if isinstance(value, torch.device):
        return f"torch.device({str(value)!r})"
    if isinstance(value, slice):
        return f"slice({literal(value.start)}, {literal(value.stop)}, {literal(value.step)})"
    if value is Ellipsis:
        return "..."
    if isinstance(value, (list, tuple)):
        items = ", ".join(map(literal, value))
        if isinstance(value, list):
            return f"[{items}]"
        return f"({items},)" if len(value) == 1 else f"({items})"
    if isinstance(value, _Input):
        return value.name
    return repr(value)


_LITERALS = (
    bool, int, float, complex, str, type(None), torch.dtype, torch.device, torch.layout,
    torch.memory_format, torch.Size, slice, type(Ellipsis),
)  # fmt: skip


class _Input:
    def __init__(self, number: int) -> None:
        self.name = f"i{number}"


def callee(op: Any) -> str | None:
    """How a user spells the op; None when it has no name of its own."""
    place: Any = torch
    for part in op.name.split("."):
        place = getattr(place, part, None)
    if callable(place) and "." not in op.name and not op.name.startswith("_"):
        return f"torch.{op.name}"
    if callable(place):
        return f"torch.{op.name}"
    if callable(getattr(torch.Tensor, op.name, None)):
        return f".{op.name}"
    return None


def source_of(op: Any, sample: Any) -> tuple[str, list[torch.Tensor]] | None:
    """Text of a function that makes the call, and its tensor arguments."""
    tensors: list[torch.Tensor] = []

    inexpressible: list[Any] = []

    def name(leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor):
            if not isinstance(leaf, _LITERALS):
                inexpressible.append(leaf)
            return leaf
        tensors.append(leaf)
        return _Input(len(tensors) - 1)

    spelled = callee(op)
    if spelled is None:
        return None
    tree = (sample.input, *sample.args), sample.kwargs
    args, kwargs = pytree.tree_map(name, tree)
    if inexpressible:
        return None  # a module or function as an argument
    texts = [literal(a) for a in args]
    named = [f"{k}={literal(v)}" for k, v in kwargs.items()]
    parameters = ", ".join(f"i{n}: torch.Tensor" for n in range(len(tensors)))
    if spelled.startswith("."):
        call = f"{texts[0]}{spelled}({', '.join([*texts[1:], *named])})"
    else:
        call = f"{spelled}({', '.join([*texts, *named])})"
    head = "import torch\nfrom torch import inf, nan\n\n"
    return f"{head}def the_op({parameters}):\n    return {call}\n", tensors


def load(text: str) -> Callable[..., Any]:
    """The function of a source text."""
    path = _folder / f"op_{next(_numbers)}.py"
    path.write_text(text)
    linecache.checkcache(str(path))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module.the_op


def call_of(op: Any, sample: Any) -> tuple[Callable[..., Any], list[torch.Tensor]]:
    """A function of the sample's tensors that calls the op."""
    leaves, spec = pytree.tree_flatten(((sample.input, *sample.args), sample.kwargs))
    places = [n for n, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor)]

    def call(*tensors: torch.Tensor) -> Any:
        filled = list(leaves)
        for place, tensor in zip(places, tensors):
            filled[place] = tensor
        args, kwargs = pytree.tree_unflatten(filled, spec)
        return op.op(*args, **kwargs)

    return call, [leaves[n] for n in places]


def outcome(op: Any, function: Callable[..., Any], tensors: list[torch.Tensor]) -> Any:
    torch.manual_seed(SEED)
    result = function(*[t.clone() for t in tensors])
    if op.name in UNINITIALISED:
        result = pytree.tree_map(lambda t: torch.zeros_like(t), result)
    return result


class Subject:
    """One op in one way; equal source texts are compiled once."""

    def __init__(self, op: Any, way: str) -> None:
        self.op, self.way = op, way
        self.functions: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {}

    def pair(self, sample: Any) -> tuple[Callable[..., Any], Callable[..., Any], Any] | None:
        """Eager function, compiled function and tensor arguments of a sample."""
        if self.way == "trace":
            function, tensors = call_of(self.op, sample)
            torch.manual_seed(SEED)
            example = tuple(t.clone() for t in tensors)
            return function, scriptmode.trace(function, example, check_trace=False), tensors
        found = source_of(self.op, sample)
        if found is None:
            return None
        text, tensors = found
        if text not in self.functions:
            function = load(text)
            self.functions[text] = function, scriptmode.script(function)
        return *self.functions[text], tensors

    def run(self, sample: Any) -> str | None:
        """None for equal results, "" where eager has none, else what is wrong."""
        reference, tensors = (
            call_of(self.op, sample) if self.way == "trace" else self._eager(sample)
        )
        if reference is None:
            return ""
        try:
            expected = outcome(self.op, reference, tensors)
            if difference(outcome(self.op, reference, tensors), expected) is not None:
                return ""  # eager differs from itself
        except (RuntimeError, TypeError, ValueError, IndexError, AssertionError, AttributeError):
            return ""
        pair = self.pair(sample)
        assert pair is not None
        _, compiled, tensors = pair
        before = scriptmode.bailout_count()
        found = difference(outcome(self.op, compiled, tensors), expected)
        if scriptmode.bailout_count() != before:
            return "left native code"
        return found

    def _eager(self, sample: Any) -> Any:
        found = source_of(self.op, sample)
        if found is None:
            return None, []
        try:
            return load(found[0]), found[1]
        except (SyntaxError, NameError):
            return None, []


def peer_can(op: Any, way: str) -> bool:
    """Whether torch.jit compiles (or traces) the op's first sample and gives eager's result."""
    for _, sample in samples(op):
        try:
            if way == "trace":
                function, tensors = call_of(op, sample)
                compiled = torch.jit.trace(function, tuple(tensors), check_trace=False)
            else:
                found = source_of(op, sample)
                if found is None:
                    return False
                function, tensors = load(found[0]), found[1]
                compiled = torch.jit.script(function)
            return (
                difference(outcome(op, compiled, tensors), outcome(op, function, tensors)) is None
            )
        except Exception:  # whatever it raises, the peer cannot
            return False
    return False


def check(op: Any, way: str, most: int | None = None) -> Row:
    """Run one op in one way, with all samples of its main dtype or ``most``."""
    row = Row(name_of(op), way)
    subject = Subject(op, way)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for dtype, sample in samples(op, most):
            try:
                found = subject.run(sample)
            except Exception as error:  # the table shows every failure
                found = f"{type(error).__name__}: {' '.join(str(error).split())[:150]}"
            if found == "":
                continue
            row.samples += 1
            row.passed += found is None
            row.failure = row.failure or (found and f"{dtype}: {found}") or ""
    return row
