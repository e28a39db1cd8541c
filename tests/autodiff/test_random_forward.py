"""Tangents of random programs: what they give in a direction is what gradients say.

For cotangents v and tangents u, <v, J u> by ``jvp`` is <u, transpose of J times v> by eager's tape.
"""

from __future__ import annotations

import contextlib
import gc
import io
import os
import warnings

import torch

import scriptmode
from scriptmode.runtime import nativelib
from scriptmode.support.diagnostics import CompileError
from tests.autodiff.generator.programs import small_program
from tests.autodiff.gradients import leaves
from tests.generator.judge import loaded

FIRST = int(os.environ["SCRIPTMODE_TEST_SEED"])  # fresh in each run, and printed at its end
COUNT = 8
_HUGE = 1e6


def directions(tensors, seed):
    torch.manual_seed(seed)
    return [torch.randn(t.shape, dtype=t.dtype) for t in tensors]


def product(first, second):
    return sum(float((a * b).sum()) for a, b in zip(first, second, strict=True))


def by_eager(f, arguments):
    """The results, and <u, transpose of J times v>; None where eager has none."""
    inputs = leaves(list(arguments))
    moved = directions(inputs, 1)
    for x in inputs:
        x.requires_grad_()
    try:
        result = f(*arguments)
        outputs = [o for o in leaves(result) if o.requires_grad]
        found = torch.autograd.grad(
            outputs, inputs, directions(outputs, 2), allow_unused=True, materialize_grads=True
        )
    except Exception:
        return None
    return result, product(moved, found), [o.requires_grad for o in leaves(result)]


def by_jvp(scripted, arguments, counted):
    """The results, and <v, J u>."""
    inputs = leaves(list(arguments))
    following = iter(directions(inputs, 1))

    def direction(value):
        if isinstance(value, torch.Tensor):
            return next(following)
        if isinstance(value, (list, tuple)):
            made = [direction(v) for v in value]
            return type(value)(*made) if hasattr(value, "_fields") else type(value)(made)
        if isinstance(value, dict):
            return {k: direction(v) for k, v in value.items()}
        return value

    result, tangent = scriptmode.jvp(scripted, arguments, direction(tuple(arguments)))
    pairs = zip(leaves(result), leaves(tangent), counted, strict=True)
    found = [d for _, d, c in pairs if c]
    return result, product(directions(found, 2), found)


def verdict(seed):
    """``same``, ``other`` for what has no forward program, ``left`` for what is not compared."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        with loaded(small_program(seed)) as module:
            arguments = module.ARGUMENTS[0]()
            if any(hasattr(a, "__dict__") and not leaves([a]) == [a] for a in arguments):
                return "left"  # objects have no tangents
            want = by_eager(module.f, arguments)
            values = [] if want is None else [t.detach() for t in leaves(want[0])]
            if want is None or any(bool((~(v.abs() < _HUGE)).any()) for v in values):
                return "left"
            try:
                scripted = scriptmode.script(module.f)
            except CompileError:
                return "left"
            try:
                with torch.no_grad():
                    got = by_jvp(scripted, module.ARGUMENTS[0](), want[2])
            except NotImplementedError as error:  # pulled back twice, which torch cannot
                if "the derivative for" not in str(error):
                    raise
                return "other"
    torch.testing.assert_close(leaves(got[0]), values)
    size = 1e-7 * max(1.0, abs(want[1]))
    assert abs(got[1] - want[1]) <= size, f"seed {seed}: {got[1]} instead of {want[1]}"
    reasons = [v.pushforwards.reason for v in scripted._dispatcher.variants]
    return "other" if any(reasons) else "same"


def test_random_programs_have_the_tangents_that_their_gradients_say():
    gc.collect()
    before = nativelib.live_objects(), nativelib.live_tensors()
    print(f"seeds {FIRST} to {FIRST + COUNT}")
    verdicts = [verdict(seed) for seed in range(FIRST, FIRST + COUNT)]
    gc.collect()
    assert (nativelib.live_objects(), nativelib.live_tensors()) == before
    assert len(verdicts) == COUNT
