"""Each wrong program gives exactly the message its document shows."""

from __future__ import annotations

import pytest

from tests.diagnostics_runner import cases, message, update


@pytest.mark.bails_out
@pytest.mark.parametrize("case", cases(), ids=lambda c: f"{c.file.stem}: {c.title}")
def test_message_is_the_documented_one(case, tmp_path, request):
    text = message(case, tmp_path)
    assert text != "no error\n", "the program has no error"
    if request.config.getoption("--update"):
        update(case, text)
        return
    assert text == case.text


def test_there_are_at_least_eighty_kinds():
    assert len(cases()) >= 80
