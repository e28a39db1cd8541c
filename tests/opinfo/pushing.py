"""Tangents of the database's samples: torch's forward mode against our rules for tangents.

Every sample is a scripted function of its tensors, in float64 and complex128.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.autograd import forward_ad
from torch.utils import _pytree as pytree

import scriptmode
from scriptmode.autodiff.pushed import PUSHED
from scriptmode.jit.pushforwards import is_differentiable
from tests.opinfo.native import load, source_of
from tests.opinfo.table import SEED, name_of


@dataclass
class Row:
    """What happened to the samples of one op."""

    name: str
    own: int = 0  # by our rules alone
    pushed: int = 0  # where torch pushes some op
    reasons: list[str] = field(default_factory=list)  # why there is no forward program
    failures: list[str] = field(default_factory=list)


def eager(function: Callable[..., Any], tensors: list[torch.Tensor], tangents: list[Any]) -> Any:
    """Results and tangents by torch's forward mode."""
    with forward_ad.dual_level():
        given = [
            t if d is None else forward_ad.make_dual(t, d)
            for t, d in zip(tensors, tangents, strict=True)
        ]
        torch.manual_seed(SEED)
        result = function(*given)
        parts = [t for t in pytree.tree_leaves(result) if isinstance(t, torch.Tensor)]
        both = [forward_ad.unpack_dual(t) for t in parts]
        return [p for p, _ in both], [
            torch.zeros_like(p) if d is None else d.clone() for p, d in both
        ]


def check(op: Any, dtype: torch.dtype, most: int) -> Row:
    """Compare the first samples of an op."""
    row = Row(name_of(op))
    torch.manual_seed(SEED)
    for number, sample in enumerate(op.sample_inputs("cpu", dtype, requires_grad=False)):
        if number == most:
            break
        built = source_of(op, sample)
        if built is None:
            continue
        text, tensors = built
        torch.manual_seed(SEED + 1)
        tangents = [torch.randn_like(t) if is_differentiable(t) else None for t in tensors]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            function = load(text)
            try:
                want = eager(function, tensors, tangents)
                scripted = scriptmode.script(function)
            except Exception:
                continue  # what eager or the language refuses
            torch.manual_seed(SEED)
            given = tuple(t if d is None else d for t, d in zip(tensors, tangents, strict=True))
            try:
                result, tangent = scriptmode.jvp(scripted, tuple(tensors), given)
            except RuntimeError:  # what has no forward program, nor a gradient
                row.reasons.append(scripted._dispatcher.primary.pushforwards.reason)
                assert row.reasons[-1]
                continue
        got = [
            [t for t in pytree.tree_leaves(part) if isinstance(t, torch.Tensor)]
            for part in (result, tangent)
        ]
        try:
            torch.testing.assert_close(got, list(want), rtol=1e-9, atol=1e-9, equal_nan=True)
        except AssertionError as error:
            row.failures.append(f"{error} {text.splitlines()[-1].strip()}")
        pushforwards = scripted._dispatcher.primary.pushforwards
        if pushforwards.reason:
            row.reasons.append(pushforwards.reason)
        elif any(f"'{PUSHED}" in str(made[0].program.graph) for made in pushforwards.made):
            row.pushed += 1
        else:
            row.own += 1
    return row
