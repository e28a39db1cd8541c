"""Random differentiable programs agree with eager autograd; so do those that once did not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.autodiff.generator.judge import TAPE, judge, judge_interpreted
from tests.autodiff.generator.programs import random_program, small_program
from tests.generator.judge import OVERFLOW, REFUSED, SAME
from tests.generator.runner import judge_all

CASES = sorted((Path(__file__).parent / "cases").glob("*.py"))
INTERPRETED, NATIVE = 180, 20
PARTS = 10
FIRST = int(os.environ["SCRIPTMODE_TEST_SEED"])  # fresh in each run, and printed at its end
ONCE_DIFFERENT = (117922037,)


def check(seeds, judging, option):
    print(f"seeds {seeds}")
    verdicts = list(judge_all(map(small_program, seeds), judging))
    wrong = [
        f"python -m tests.autodiff.generator --small {option} --seed {seed} --show: {v.kind} {v.text}"
        for seed, v in zip(seeds, verdicts)
        if v.kind not in (SAME, TAPE, REFUSED, OVERFLOW)
    ]
    assert not wrong, "\n".join(wrong)
    refused = sum(v.kind == REFUSED for v in verdicts)
    assert refused <= len(verdicts) // 5, "most programs are within the language"


@pytest.mark.parametrize("part", range(PARTS))
def test_random_programs_agree_with_eager_in_the_interpreter(part):
    check(range(FIRST + part, FIRST + INTERPRETED, PARTS), judge_interpreted, "--interpret")


@pytest.mark.parametrize("part", range(PARTS))
def test_random_programs_agree_with_eager(part):
    first = FIRST + INTERPRETED
    check(range(first + part, first + NATIVE, PARTS), judge, "")


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_programs_that_once_differed_agree(path):
    verdict = judge(path.read_text())
    assert verdict.kind in (SAME, TAPE), verdict.text


@pytest.mark.parametrize("seed", ONCE_DIFFERENT)
def test_random_programs_that_once_differed_agree(seed):
    verdict = judge_interpreted(random_program(seed))
    assert verdict.kind in (SAME, TAPE), verdict.text
