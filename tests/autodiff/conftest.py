"""Calls that need gradients run programs of their own in these tests."""

import pytest

from scriptmode.support import config


@pytest.fixture(autouse=True)
def own_programs():
    with config.override(autodiff=True):
        yield
