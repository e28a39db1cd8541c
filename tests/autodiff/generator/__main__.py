"""``python -m tests.autodiff.generator``: judge random differentiable programs."""

from __future__ import annotations

import argparse
import collections
import random
import re
import sys
from pathlib import Path

from scriptmode.support import config
from tests.autodiff.generator.judge import TAPE, judge, judge_interpreted
from tests.autodiff.generator.programs import random_program, small_program
from tests.generator.judge import CRASH, DIFFERENT, INVALID, REFUSED, SAME, Verdict
from tests.generator.runner import Judge, Worker, judge_all, shrunk


def main() -> int:
    config.set("autodiff", True)
    parser = argparse.ArgumentParser(prog="python -m tests.autodiff.generator", description=__doc__)
    parser.add_argument("--first", type=int, help="first seed (default: a fresh one, printed)")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, help="one program")
    parser.add_argument("--file", type=Path, help="a program's text")
    parser.add_argument("--show", action="store_true", help="print the programs")
    parser.add_argument("--no-shrink", action="store_true")
    parser.add_argument("--out", type=Path, help="folder for the failing programs")
    parser.add_argument("--small", action="store_true", help="programs of some lines")
    parser.add_argument("--interpret", action="store_true", help="without native code")
    options = parser.parse_args()
    program_of = small_program if options.small else random_program
    judging = judge_interpreted if options.interpret else judge
    if options.seed is not None or options.file is not None:
        text = options.file.read_text() if options.file else program_of(options.seed)
        worker = Worker(judging)
        verdict = worker.judge(text)
        worker.close()
        print(text if options.show else "", verdict.kind, verdict.text)
        return int(verdict.kind in (DIFFERENT, CRASH))
    first = options.first if options.first is not None else random.SystemRandom().randrange(10**9)
    print(f"seeds {first} to {first + options.count - 1}", flush=True)
    counts: collections.Counter[str] = collections.Counter()
    reasons: collections.Counter[str] = collections.Counter()
    seeds = range(first, first + options.count)
    for seed, verdict in zip(seeds, judge_all(map(program_of, seeds), judging), strict=False):
        counts[verdict.kind] += 1
        if sum(counts.values()) % 100 == 0:
            print(dict(counts), flush=True)
        if verdict.kind in (TAPE, REFUSED):
            reasons[f"{verdict.kind}: {_reason(verdict)}"] += 1
        if verdict.kind in (DIFFERENT, CRASH, INVALID):
            _report(seed, verdict, program_of(seed), judging, options)
    for reason, count in reasons.most_common(30):
        print(f"  {count:4} {reason}")
    print(f"SAME {counts[SAME] + counts[TAPE]} (own reverse program {counts[SAME]}, "
          f"tape {counts[TAPE]})")  # fmt: skip
    for kind in (REFUSED, DIFFERENT, CRASH, INVALID, "OVERFLOW"):
        print(f"{kind} {counts[kind]}")
    return int(bool(counts[DIFFERENT] or counts[CRASH] or counts[INVALID]))


def _reason(verdict: Verdict) -> str:
    lines = verdict.text.splitlines() or [""]
    text = next((line for line in lines if "error" in line), lines[0])
    return re.sub(r" \(?/\S*:\d+\)?|^\S*:\d+: ", "", text)[:110]


def _report(
    seed: int, verdict: Verdict, text: str, judging: Judge, options: argparse.Namespace
) -> None:
    print(f"== seed {seed}: {verdict.kind} {verdict.text[:700]}", flush=True)
    if not options.no_shrink and verdict.kind != INVALID:
        text = shrunk(text, verdict, judging)
    print(text, flush=True)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / f"seed_{seed}.py").write_text(text)


if __name__ == "__main__":
    sys.exit(main())
