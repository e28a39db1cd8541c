"""Calls that need gradients run programs of their own in these tests.

Second derivatives do so in ``test_second.py``: each would take seconds to compile.
"""

import pytest

from scriptmode.support import config


@pytest.fixture(autouse=True)
def own_programs():
    with config.override(autodiff=True, autodiff_again=False):
        yield
