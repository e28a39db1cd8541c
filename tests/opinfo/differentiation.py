"""Gradients of the database's samples: eager autograd against the reverse program.

Every sample is a scripted function of its tensors, in float64; compared are which results require a
gradient, and the gradients of all inputs.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils import _pytree as pytree

import scriptmode
from tests.opinfo.native import load, source_of
from tests.opinfo.table import SEED, name_of

MOST = 12  # samples of one op


@dataclass
class Row:
    """What happened to the samples of one op."""

    name: str
    own: int = 0  # by a reverse program
    tape: dict[str, int] = field(default_factory=dict)  # by torch's tape: why
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.name}: own {self.own}, tape {self.tape}, failures {self.failures[:2]}"


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


def gradients(function: Any, tensors: list[torch.Tensor]) -> Any:
    """Results' ``requires_grad``, and gradients of the inputs."""
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
    found = torch.autograd.grad(needing, wanted, given, allow_unused=True)
    return [o.requires_grad for o in outputs], list(found)


def check(op: Any, most: int = MOST) -> Row:
    """Compare all samples of an op."""
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
            try:
                got = gradients(scripted, tensors)
                difference = _difference(want, got)
            except Exception as error:
                difference = f"{type(error).__name__}: {error}"[:300]
        reason = scripted._dispatcher.primary.gradients.reason
        if difference:
            row.failures.append(f"{difference} [{reason or 'own'}] {text.splitlines()[-1].strip()}")
        elif reason:
            reason = reason.partition(" (")[0]
            row.tape[reason] = row.tape.get(reason, 0) + 1
        else:
            row.own += 1
    return row


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
