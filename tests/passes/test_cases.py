"""Every text case of a pass."""

from pathlib import Path

import pytest
from tests.passes.case_runner import check, equal_texts, read_cases, write_cases

CASES = [(p, c) for p in sorted(Path(__file__).parent.glob("*.ir")) for c in read_cases(p)]


@pytest.mark.parametrize(("path", "case"), CASES, ids=lambda v: getattr(v, "name", None))
def test_case(path, case, request):
    changed, text = check(case.before, case.passes, case.after, seed=case.name)
    found = text if changed else "unchanged"
    if request.config.getoption("--update"):
        cases = read_cases(path)
        next(c for c in cases if c.name == case.name).after = found
        write_cases(path, cases)
        return
    if case.after == "unchanged" or not changed:
        assert found == case.after
    else:
        assert equal_texts(found, case.after), f"found\n{text}"


def test_names_are_unique():
    names = [case.name for _, case in CASES]
    assert len(set(names)) == len(names)
