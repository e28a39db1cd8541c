"""Gradients of the database's samples: eager autograd against the reverse program.

Every sample is a scripted function of its tensors, in float64; compared are which results require a
gradient, the gradients of all inputs, and, where the op has them, gradients of these.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils import _pytree as pytree

import scriptmode
from scriptmode.autodiff.recorded import STRIPS
from tests.opinfo.native import load, source_of
from tests.opinfo.table import SEED, name_of

MOST = 12  # samples of one op


@dataclass
class Row:
    """What happened to the samples of one op."""

    name: str
    own: int = 0  # by a reverse program of rules
    recorded: int = 0  # by one in which torch's tape records some op
    twice: int = 0  # samples of which the second derivative was compared
    tape: Counter[str] = field(default_factory=Counter)  # by torch's tape: why
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.name}: own {self.own}, recorded {self.recorded}, tape {dict(self.tape)}, failures {self.failures[:2]}"


def samples(op: Any, most: int = MOST) -> Iterator[Any]:
    """Samples in float64 that require gradients."""
    if not op.supports_autograd or torch.float64 not in op.supported_dtypes("cpu"):
        return
    torch.manual_seed(SEED)
    try:
        made = op.sample_inputs("cpu", torch.float64, requires_grad=True)
        for number, sample in enumerate(made):
            if number == most:
                return
            yield sample
    except (RuntimeError, TypeError, NotImplementedError, ValueError):
        return


def gradients(function: Any, tensors: list[torch.Tensor], twice: bool = False) -> Any:
    """Results' ``requires_grad``, and gradients of the inputs; with ``twice``, of those by these."""
    inputs = [t.detach().clone().requires_grad_(t.requires_grad) for t in tensors]
    torch.manual_seed(SEED)
    result = function(*inputs)
    outputs = [o for o in pytree.tree_leaves(result) if isinstance(o, torch.Tensor)]
    needing = [o for o in outputs if o.requires_grad]
    wanted = [i for i in inputs if i.requires_grad]
    torch.manual_seed(SEED + 1)
    given = [torch.randn_like(o) for o in needing]
    if not needing or not wanted:
        return [o.requires_grad for o in outputs], []
    found = torch.autograd.grad(needing, wanted, given, allow_unused=True, create_graph=twice)
    flags = [o.requires_grad for o in outputs]
    if twice:
        again = [f for f in found if f is not None and f.requires_grad]
        flags += [f is not None and f.requires_grad for f in found]
        if again:
            given = [torch.randn_like(f) for f in again]
            found = torch.autograd.grad(again, wanted, given, allow_unused=True)
    return flags, list(found)


def check(op: Any, most: int = MOST, twice: bool = True) -> Row:
    """Compare samples of an op, with ``twice`` their second derivatives too."""
    row = Row(name_of(op))
    compiled: dict[str, tuple[Any, Any]] = {}
    for sample in samples(op, most):
        built = source_of(op, sample)
        if built is None:
            continue
        text, tensors = built
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if text not in compiled:
                function = load(text)
                try:
                    compiled[text] = function, scriptmode.script(function)
                except Exception:
                    compiled[text] = function, None  # the table of ops counts it
            function, scripted = compiled[text]
            if scripted is None:
                continue
            try:
                want = gradients(function, tensors)
            except Exception:
                continue
            difference = _compare(want, scripted, tensors, False)
            if not difference and twice and op.supports_gradgrad:
                want = _second(function, tensors)
                if want is not None:
                    row.twice += 1
                    difference = _compare(want, scripted, tensors, True)
        reason = scripted._dispatcher.primary.gradients.reason
        if difference:
            row.failures.append(f"{difference} [{reason or 'own'}] {text.splitlines()[-1].strip()}")
        elif reason:
            reason = reason.partition(" (")[0]
            row.tape[reason] += 1
        elif _records(scripted):
            row.recorded += 1
        else:
            row.own += 1
    return row


def _second(function: Any, tensors: list[torch.Tensor]) -> Any:
    """Eager's second derivatives; None where it has none."""
    try:
        return gradients(function, tensors, True)
    except Exception:
        return None


def _compare(want: Any, scripted: Any, tensors: list[torch.Tensor], twice: bool) -> str:
    try:
        difference = _difference(want, gradients(scripted, tensors, twice))
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:300]
    return f"twice: {difference}" if difference and twice else difference


def _records(scripted: Any) -> bool:
    """Whether torch's tape records an op of the forward program."""
    nodes = scripted._dispatcher.primary.gradients.differentiated().forward.walk()
    return any(node.attributes.get("callee") in STRIPS for node in nodes)


def _difference(want: Any, got: Any) -> str:
    if want[0] != got[0]:
        return f"requires_grad {got[0]} instead of {want[0]}"
    for number, (w, g) in enumerate(zip(want[1], got[1], strict=True)):
        if (w is None) != (g is None):
            return f"gradient {number} is {'None' if g is None else 'there'}"
        if w is not None:
            try:
                torch.testing.assert_close(g, w, rtol=1e-9, atol=1e-9, equal_nan=True)
            except AssertionError as error:
                return f"gradient {number}: {str(error).splitlines()[0]}"
    return ""
