"""``try`` in all its forms, four ways: values, exceptions, variables after an error."""

from __future__ import annotations

import pytest

from tests.exceptions_alike import check_alike
from tests.programs import control, exception_classes, tries


@pytest.mark.parametrize(
    "case",
    [*tries.CASES, *exception_classes.CASES, *control.CASES],
    ids=lambda case: case[0].__name__,
)
def test_exceptions_are_those_of_python(case):
    check_alike(*case)
