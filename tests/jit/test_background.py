"""Jobs in the background: other threads run meanwhile, and the interpreter is as before after."""

from __future__ import annotations

import gc
import os
import sys
import threading

import pytest

from scriptmode.jit.background import SLICE, background


def settings():
    return gc.get_threshold(), sys.getswitchinterval()


@pytest.fixture
def before():
    background.wait()
    found = settings()
    yield found
    background.wait()
    gc.set_threshold(*found[0])
    sys.setswitchinterval(found[1])


def test_jobs_neither_hold_the_gil_long_nor_collect_everything(before):
    seen = []
    background.submit(lambda: seen.append(settings()))
    background.wait()
    ((thresholds, interval),) = seen
    assert thresholds[:2] == before[0][:2] and thresholds[2] > 1000 * before[0][2]
    assert interval == pytest.approx(SLICE)
    background.submit(lambda: None)
    background.wait()
    assert wait_for_settings(before)


def wait_for_settings(wanted):
    """They are brought back just behind the job that tells that it is done."""
    for _ in range(1000):
        if settings() == wanted:
            return True
        threading.Event().wait(0.005)
    return False


def test_a_job_that_fails_brings_the_settings_back(before, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda arguments: None)
    background.submit(lambda: 1 // 0)
    assert wait_for_settings(before)
    background.wait()


def test_what_the_program_sets_meanwhile_stays(before):
    background.submit(lambda: (gc.set_threshold(500, 5, 5), sys.setswitchinterval(0.002)))
    assert wait_for_settings(((500, 5, 5), 0.002))


def test_a_forked_child_has_the_settings_of_before(before):
    running, done = threading.Event(), threading.Event()
    background.submit(lambda: (running.set(), done.wait(60)))
    running.wait()
    assert settings() != before
    child = os.fork()
    if child == 0:
        os._exit(0 if settings() == before else 1)
    _, status = os.waitpid(child, 0)
    done.set()
    assert os.waitstatus_to_exitcode(status) == 0
    assert wait_for_settings(before)
