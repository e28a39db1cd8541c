"""Random programs of the language agree every way they are run; so do those that once did not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.generator.judge import OVERFLOW, REFUSED, SAME, judge
from tests.generator.programs import random_program
from tests.generator.runner import judge_all

CASES = sorted((Path(__file__).parent / "cases").glob("*.py"))
COUNT = 300
PARTS = 30
FIRST = int(os.environ["SCRIPTMODE_TEST_SEED"])  # fresh in each run, and printed at its end


@pytest.mark.parametrize("part", range(PARTS))
def test_random_programs_agree_in_every_way(part):
    seeds = range(FIRST + part, FIRST + COUNT, PARTS)
    print(f"seeds {seeds}")
    verdicts = list(judge_all(random_program(seed).text for seed in seeds))
    wrong = [
        f"python -m tests.generator --seed {seed} --show: {v.kind} {v.text}"
        for seed, v in zip(seeds, verdicts)
        if v.kind not in (SAME, REFUSED, OVERFLOW)
    ]
    assert not wrong, "\n".join(wrong)
    refused = sum(v.kind == REFUSED for v in verdicts)
    assert refused <= len(verdicts) // 5, "most programs are within the language"


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_programs_that_once_differed_agree(path):
    verdict = judge(path.read_text())
    assert verdict.kind == SAME, verdict.text
