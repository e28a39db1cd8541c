"""What every test gets: one thread, a fixed seed, verification between passes, nothing left alive."""

from __future__ import annotations

import gc
import os
import random

os.environ.setdefault("SCRIPTMODE_VERIFY", "1")
os.environ.setdefault("SCRIPTMODE_DEBUG", "1")
# all calls that need gradients run programs of their own, from the first one on
os.environ.setdefault("SCRIPTMODE_AUTODIFF", "1")
# special code, which the default makes when calls have taken some time, is asked for where it is
# tested (tests/jit/test_default_mode.py runs with the default)
os.environ.setdefault("SCRIPTMODE_SPECIALIZE", "off")
# of the random programs: fresh in each run, the same for the workers of one
os.environ.setdefault("SCRIPTMODE_TEST_SEED", str(random.SystemRandom().randrange(10**9)))

import pytest
import torch

import scriptmode
from scriptmode.runtime import nativelib


def pytest_addoption(parser):
    parser.addoption("--update", action="store_true", help="rewrite expected texts of text cases")


def pytest_terminal_summary(terminalreporter):
    """Tell the seeds, so that the run can be repeated."""
    terminalreporter.write_line(f"SCRIPTMODE_TEST_SEED={os.environ['SCRIPTMODE_TEST_SEED']}")


@pytest.fixture(autouse=True)
def one_thread_and_seed():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield


def pytest_collection_finish(session):
    """What is imported by now need not be looked through by the collections between the tests."""
    gc.collect()
    gc.freeze()


def live() -> tuple[int, int]:
    """Heap objects and tensor handles that generated code owns now."""
    return nativelib.live_objects(), nativelib.live_tensors()


@pytest.fixture(autouse=True)
def nothing_stays_alive_and_nothing_bails_out(request):
    """Every native object is gone after the test, and no call in it has left native code.

    A test that expects calls to leave native code is marked ``bails_out``; one that takes handles
    out of native functions itself, and so upsets the count, ``takes_handles``.
    """
    objects, tensors = live()
    bailouts = scriptmode.bailout_count()
    yield
    if request.node.get_closest_marker("bails_out") is None:
        assert scriptmode.bailout_count() == bailouts, "a call left native code"
    after = live()
    if after[0] > objects or after[1] > tensors:
        gc.collect()  # only then: it takes longer than many a test
        after = live()
    if request.node.get_closest_marker("takes_handles") is not None:
        return
    assert after[0] <= objects, f"{after[0] - objects} native objects are left"
    assert after[1] <= tensors, f"{after[1] - tensors} tensor handles are left"
