"""``python -m tests.loops [--only text] [--tenth K] [--most N]``: the table of ops by kernels.

For each op of torch's operator database: its samples as functions that are specialised for the
samples' tensors.  Printed are wrong results and, at the end, how many ops have kernels.
"""

from __future__ import annotations

import argparse
import itertools
import warnings
from typing import Any

import torch
from torch.utils import _pytree as pytree

from tests.loops.specialized import Specialized
from tests.opinfo import native
from tests.opinfo.table import all_ops, name_of


def difference(found: Any, expected: Any) -> str | None:
    """What is not as eager has it: values within rounding, dtypes, shapes and strides exactly."""
    try:
        torch.testing.assert_close(found, expected, equal_nan=True)
    except AssertionError as error:
        return " ".join(str(error).split())[:160]
    pairs = zip(pytree.tree_leaves(found), pytree.tree_leaves(expected), strict=True)
    for a, b in pairs:
        if type(a) is not type(b):
            return f"a {type(a).__name__} instead of a {type(b).__name__}"
        if isinstance(a, torch.Tensor) and a.stride() != b.stride():
            return f"strides {a.stride()} instead of {b.stride()}"
    return None


def check(op: Any, most: int, *, interpret: bool = False) -> tuple[int, int, list[str]]:
    """Samples that a kernel computes, samples that it does not, and what is wrong."""
    inside, outside, wrong = 0, 0, []
    for dtype, sample in itertools.islice(native.samples(op), most):
        found = native.source_of(op, sample)
        if found is None:
            continue
        text, tensors = found
        if any(t.layout != torch.strided or t.requires_grad for t in tensors):
            continue
        try:
            function = native.load(text)
            with torch.no_grad():
                torch.manual_seed(0)
                expected = function(*[t.clone() for t in tensors])
                special = Specialized(function, tensors)
        except Exception:  # noqa: S112  (what cannot be scripted is the concern of other tables)
            continue
        if not special.changed:
            outside += 1
            continue
        inside += 1
        try:
            with torch.no_grad():
                run = special.interpret if interpret else special.run
                torch.manual_seed(0)
                problem = difference(run(*tensors), expected)
        except Exception as error:  # the table shows every failure
            problem = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        if problem is not None:
            wrong.append(f"{name_of(op)} {dtype}: {problem}\n{text.splitlines()[-1]}")
    return inside, outside, wrong


def main() -> int:
    """Print wrong results and a summary."""
    parser = argparse.ArgumentParser(prog="tests.loops")
    parser.add_argument("--only", default="", help="ops whose name contains this")
    parser.add_argument("--tenth", type=int, help="every tenth op, from this one")
    parser.add_argument("--most", type=int, default=6, help="samples of an op")
    parser.add_argument("--show", action="store_true", help="print the ops without kernels")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    ops = [op for op in all_ops() if options.only in name_of(op)]
    if options.tenth is not None:
        ops = ops[options.tenth :: 10]
    totals = [0, 0, 0, 0]
    for op in ops:
        inside, outside, wrong = check(op, options.most)
        totals[0] += inside > 0
        totals[1] += inside
        totals[2] += outside
        totals[3] += len(wrong)
        for text in wrong:
            print(text, flush=True)
        if options.show and not inside:
            print(f"no kernel: {name_of(op)}", flush=True)
    print(
        f"loops: {totals[0]} of {len(ops)} ops have kernels; {totals[1]} samples by kernels, "
        f"{totals[2]} without; {totals[3]} wrong"
    )
    return totals[3] > 0


if __name__ == "__main__":
    raise SystemExit(main())
