"""``python -m tests.generator``: judge random programs, shrink and show those that fail."""

from __future__ import annotations

import argparse
import collections
import random
import sys
from pathlib import Path

from tests.generator.judge import CRASH, DIFFERENT, INVALID, REFUSED, Verdict
from tests.generator.programs import FEATURES, random_program
from tests.generator.runner import Worker, judge_all, shrunk


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.generator", description=__doc__)
    parser.add_argument("--first", type=int, help="first seed (default: a fresh one, printed)")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, help="one program")
    parser.add_argument("--file", type=Path, help="a program's text")
    parser.add_argument("--show", action="store_true", help="print the programs")
    parser.add_argument("--refused", action="store_true", help="also shrink what is refused")
    parser.add_argument("--no-shrink", action="store_true")
    parser.add_argument("--features", help=f"only these: {', '.join(sorted(FEATURES))}")
    parser.add_argument("--out", type=Path, help="folder for the failing programs")
    options = parser.parse_args()
    features = FEATURES
    if options.features:
        features = FEATURES.intersection(options.features.split(","))
    if options.seed is not None or options.file is not None:
        text = (
            options.file.read_text()
            if options.file
            else random_program(options.seed, features).text
        )
        worker = Worker()
        verdict = worker.judge(text)
        worker.close()
        print(text if options.show else "", verdict.kind, verdict.text)
        return int(verdict.kind in (DIFFERENT, CRASH))
    first = options.first if options.first is not None else random.SystemRandom().randrange(10**9)
    print(f"seeds {first} to {first + options.count - 1}", flush=True)
    counts = _run(range(first, first + options.count), options, features)
    print(_summary(counts))
    return int(bool(counts[DIFFERENT] or counts[CRASH] or counts[INVALID]))


def _run(
    seeds: range, options: argparse.Namespace, features: frozenset[str]
) -> collections.Counter[str]:
    counts: collections.Counter[str] = collections.Counter()
    reasons: collections.Counter[str] = collections.Counter()
    texts = (random_program(seed, features).text for seed in seeds)
    for seed, verdict in zip(seeds, judge_all(texts), strict=False):
        counts[verdict.kind] += 1
        if verdict.kind == REFUSED:
            reasons[_reason(verdict)] += 1
        if verdict.kind in (DIFFERENT, CRASH, INVALID):
            _report(seed, verdict, options, features)
        done = seed - seeds.start + 1
        if done % 100 == 0:  # a long run that is ended early has said how far it came
            print(f"{done} programs: {_summary(counts)}", flush=True)
    for reason, count in reasons.most_common(12):
        print(f"  refused {count}: {reason}")
    return counts


def _summary(counts: collections.Counter[str]) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()))


def _reason(verdict: Verdict) -> str:
    return next((line for line in verdict.text.splitlines() if "error" in line), verdict.text)[:110]


def _report(
    seed: int, verdict: Verdict, options: argparse.Namespace, features: frozenset[str]
) -> None:
    print(f"== seed {seed}: {verdict.kind} {verdict.text[:600]}", flush=True)
    text = random_program(seed, features).text
    if not options.no_shrink:
        text = shrunk(text, verdict)
    print(text, flush=True)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / f"seed_{seed}.py").write_text(text)


if __name__ == "__main__":
    sys.exit(main())
