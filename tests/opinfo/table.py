"""The OpInfo table: every op of torch's own database, built through the front end and compared.

``check(op, way)`` runs all float32 samples of an op (samples of its first dtype when it has no
float32).  Ways: ``function`` calls ``op.op``; ``method`` and ``inplace`` call the Tensor method of
its name.  What torch writes in Python is recorded call by call.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.testing._internal.common_methods_invocations import op_db
from torch.utils import _pytree as pytree

from scriptmode.frontend import calls
from scriptmode.interp import Interpreter
from scriptmode.ir.graph import Program
from scriptmode.support.source import UNKNOWN
from tests.opinfo.building import Building
from tests.opinfo.recording import record

WAYS = ("function", "method", "inplace")

SEED = 42  # that of the database's own wrapper around random ops

# results of these have no defined contents
UNINITIALISED = (
    "empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided",
    "resize_", "resize_as_",
)  # fmt: skip


@dataclass
class Row:
    """One op in one way: how many samples passed, and the first failure."""

    op: str
    way: str
    samples: int = 0
    passed: int = 0
    failure: str = ""

    @property
    def is_pass(self) -> bool:
        """Whether every sample passed."""
        return self.passed == self.samples

    def __str__(self) -> str:
        mark = "ok  " if self.is_pass else "FAIL"
        return f"{mark} {self.way:8} {self.op:45} {self.passed}/{self.samples}  {self.failure}"


def all_ops() -> Sequence[Any]:
    """Every OpInfo that has a dtype on the CPU."""
    return [op for op in op_db if dtype_of(op) is not None]


def dtype_of(op: Any) -> torch.dtype | None:
    """float32 where the op supports it, else its first dtype by name."""
    supported = op.supported_dtypes("cpu")
    if torch.float32 in supported:
        return torch.float32
    return min(supported, key=str) if supported else None


FEW = 32  # samples of an op that a test runs: of some there are more than a thousand


def samples_of(op: Any, most: int | None = None) -> Iterator[Any]:
    """The samples, drawn with a fixed seed; ``most`` of them, which lie apart."""
    torch.manual_seed(SEED)
    samples = op.sample_inputs("cpu", dtype_of(op), requires_grad=False)
    if most is None:
        return iter(samples)
    found = list(samples)
    n = min(most, len(found))
    return (found[i * len(found) // n] for i in range(n))


def name_of(op: Any) -> str:
    """Name with variant."""
    return f"{op.name}.{op.variant_test_name}" if op.variant_test_name else op.name


def build(op: Any, way: str, args: Any, kwargs: Any) -> tuple[Program, list[Any]]:
    """The program of one call and the arguments to run it on."""
    target = _target(op, way)
    name = getattr(target, "__name__", "")
    if not (calls.is_torch_callable(target) or (way != "function" and calls.has_method(name))):
        building, value = record(target, args, kwargs)
        return building.finish(value), building.arguments
    building = Building()
    operands = [building.operand(a) for a in args]
    named = {k: building.operand(v) for k, v in kwargs.items()}
    builder = building.builder
    if way == "function":
        value = calls.call_torch(builder, target, operands, named, UNKNOWN)
    else:
        receiver = operands[0].value
        value = calls.call_method(builder, receiver, name, operands[1:], named, UNKNOWN)
    return building.finish(value), building.arguments


def _copy(tree: Any) -> Any:
    return pytree.tree_map(lambda x: x.clone() if isinstance(x, torch.Tensor) else x, tree)


def _target(op: Any, way: str) -> Any:
    return {"function": op.op, "method": op.method_variant, "inplace": op.inplace_variant}[way]


def run_sample(op: Any, way: str, sample: Any) -> str | None:
    """None when scriptmode's result is eager's, else what differs; '' when eager has no result."""
    args, kwargs = (sample.input, *sample.args), sample.kwargs
    expected_args, expected_kwargs = _copy((args, kwargs))
    torch.manual_seed(SEED)
    try:
        expected = _target(op, way)(*expected_args, **expected_kwargs)
    except (RuntimeError, TypeError, ValueError, IndexError, AssertionError):
        return ""
    our_args, our_kwargs = _copy((args, kwargs))
    program, arguments = build(op, way, our_args, our_kwargs)
    torch.manual_seed(SEED)
    actual = Interpreter(program).run_root(*arguments)
    if op.name in UNINITIALISED:
        actual, expected = actual.zero_(), expected.zero_()
    found = difference(actual, expected)
    if found is not None:
        torch.manual_seed(SEED)
        again_args, again_kwargs = _copy((args, kwargs))
        again = _target(op, way)(*again_args, **again_kwargs)
        if difference(again, expected) is not None:
            return ""  # eager differs from itself
    return found


def difference(actual: Any, expected: Any) -> str | None:
    """What is not equal, structure and types included; None when all is."""
    if isinstance(expected, torch.Tensor):
        if not isinstance(actual, torch.Tensor):
            return f"{type(actual).__name__} is not a Tensor"
        try:
            torch.testing.assert_close(actual, expected, rtol=0, atol=0, equal_nan=True,
                                       check_stride=expected.layout == torch.strided)  # fmt: skip
        except AssertionError as error:
            return str(error).partition("\n")[0]
        return None
    if type(actual) is not type(expected):
        return f"{type(actual).__name__} is not a {type(expected).__name__}"
    if isinstance(expected, (list, tuple)):
        if len(actual) != len(expected):
            return f"{len(actual)} results, not {len(expected)}"
        pairs = zip(actual, expected, strict=True)
        return next((d for a, e in pairs if (d := difference(a, e)) is not None), None)
    return None if actual == expected or actual != actual else f"{actual} is not {expected}"


def check(op: Any, way: str = "function", most: int | None = None) -> Row:
    """Run all samples of one op, or ``most``."""
    row = Row(name_of(op), way)
    if _target(op, way) is None:
        return row
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for sample in samples_of(op, most):
            if way == "inplace" and sample.broadcasts_input:
                continue
            try:
                found = run_sample(op, way, sample)
            except Exception as error:  # the table shows every failure
                found = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
            if found == "":
                continue
            row.samples += 1
            row.passed += found is None
            row.failure = row.failure or found or ""
    return row
