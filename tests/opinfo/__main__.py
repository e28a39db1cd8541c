"""``python -m tests.opinfo [way...] [--only text]``: the whole table, failures and totals.

``function``, ``method`` and ``inplace`` check the front ends through the interpreter; ``script`` and
``trace`` run native code, and count only ops that torch.jit can do (all with ``--no-peer``);
``gradients`` compares derivatives (``--most`` samples of each op).
"""

from __future__ import annotations

import argparse
import warnings
from collections import Counter
from typing import Any

import torch

from scriptmode.support import config
from tests.opinfo import differentiation, native, table
from tests.opinfo.table import all_ops, name_of

GRADIENTS = "gradients"
WAYS = (*native.WAYS, *table.WAYS, GRADIENTS)


def main() -> int:
    """Print one line for each failing op and a summary for each way."""
    parser = argparse.ArgumentParser(prog="tests.opinfo")
    parser.add_argument("ways", nargs="*", choices=[[], *WAYS], default=[])
    parser.add_argument("--only", default="", help="ops whose name contains this")
    parser.add_argument("--tenth", type=int, help="every tenth op, from this one")
    parser.add_argument("--no-peer", action="store_true", help="do not ask what torch.jit can do")
    parser.add_argument("--most", type=int, default=differentiation.MOST, help="samples of an op")
    options = parser.parse_args()
    torch.set_num_threads(1)
    config.set("autodiff", True)
    ops = [op for op in all_ops() if options.only in name_of(op)]
    if options.tenth is not None:
        ops = ops[options.tenth :: 10]
    failed = False
    for way in options.ways or WAYS:
        if way == GRADIENTS:
            failed |= derivatives(ops, options.most)
            continue
        check = native.check if way in native.WAYS else table.check
        asked = ops
        if way in native.WAYS and not options.no_peer:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                asked = [op for op in ops if native.peer_can(op, way)]
        rows = [r for r in (check(op, way) for op in asked) if r.samples]
        good = sum(r.is_pass for r in rows)
        for row in rows:
            if not row.is_pass:
                print(row, flush=True)
        share = 100 * good / max(1, len(rows))
        print(f"{way}: {good} of {len(rows)} ops pass ({share:.1f} %)", flush=True)
        failed |= good < len(rows)
    return int(failed)


def derivatives(ops: list[Any], most: int) -> bool:
    """Compare derivatives; whether any is wrong."""
    rows = []
    for op in ops:
        row = differentiation.check(op, most)
        rows.append(row)
        if row.failures:
            print(row, flush=True)
    tape = Counter(reason for row in rows for reason in row.tape.elements())
    for reason, count in tape.most_common(10):
        print(f"  on torch's tape: {count} samples: {reason}", flush=True)
    wrong = sum(len(row.failures) for row in rows)
    samples = [r for r in rows if r.own or r.recorded or r.tape or r.failures]
    print(
        f"gradients: {len(samples)} ops: {sum(r.own for r in rows)} samples by rules, "
        f"{sum(r.recorded for r in rows)} with a recorded op, {tape.total()} on torch's tape, "
        f"{wrong} wrong; {sum(r.twice for r in rows)} second derivatives",
        flush=True,
    )
    return wrong > 0


if __name__ == "__main__":
    raise SystemExit(main())
