"""In the background, versions are made when they pay, tried, and dropped when they do not."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch

import scriptmode
from scriptmode.jit import worth
from scriptmode.jit.background import background
from scriptmode.jit.worth import ROUNDS, Cost, Trial
from scriptmode.runtime.versions import Times
from scriptmode.support import config
from tests.fourway import same

LITTLE = 1e-9  # seconds: every call is worth a version


def step(x, y):
    z = torch.tanh(x) * 2 + y
    if z.sum() > 0:
        return z
    return z - y


def scripted(seconds=LITTLE, **options):
    with config.override(specialize="background", specialize_seconds=seconds, **options):
        return scriptmode.script(step)


def manager_of(f):
    return f._dispatcher.primary.versions


def call(f, size=3, times=1):
    for _ in range(times):
        x, y = torch.rand(size), torch.rand(size)
        same(step(x, y), f(x, y))


def call_until(f, reached, size=3):
    for _ in range(2000):
        call(f, size)
        background.wait()
        if reached():
            return
    raise AssertionError("it was not reached")


# ---- when


def test_few_short_calls_make_no_version():
    f = scripted(seconds=1e6)
    call(f, times=100)
    background.wait()
    manager = manager_of(f)
    assert not f.versions and not manager._is_prepared and "graph" not in vars(manager.subject)
    assert "when calls have taken 1e+06 s; so far 0.0" in scriptmode.explain(f)


@pytest.fixture
def clock(monkeypatch):
    """Times of calls that a test sets, of an entry that is no more than a name."""

    class Clock:
        now = Times(0, 0, 0)
        code = "special"
        left = 0

        def run(self, code, times=Times(4, 4, 4)):
            self.code = code

    clock = Clock()
    monkeypatch.setattr(worth.entries, "times_of", lambda entry: clock.now)
    monkeypatch.setattr(worth.entries, "code_that_runs", lambda entry: clock.code)
    monkeypatch.setattr(worth.entries, "run_code", lambda entry, code: clock.run(code))
    monkeypatch.setattr(worth.entries, "count_calls", lambda entry, n: setattr(clock, "left", n))
    return clock


def test_what_calls_must_have_cost(clock):
    cost = Cost("f", 0.5)
    assert cost.calls_left(0) == 1
    clock.now = Times(10, 5, 10_000_000)  # 2 ms each
    assert cost.calls_left(10) == 21  # not 240: the next calls may take longer
    clock.now = Times(249, 100, 200_000_000)
    assert cost.calls_left(249) == 1
    assert cost.calls_left(250) == 0
    cost.know(1000)
    assert cost.calls_left(250) == 250
    cost.begin()
    assert cost.calls_left(500) == 1  # none was timed since
    clock.now = Times(260, 102, 300_000_000)
    assert cost.so_far == Times(11, 2, 100_000_000)


@pytest.mark.parametrize("special, ratio", [(150, 1.5), (100, 1.0), (20, 0.2)])
def test_the_fastest_blocks_are_compared(clock, special, ratio):
    hits = [0]
    trial = Trial("f", "generic", lambda: hits[0])
    each = {"special": special, "generic": 100}
    verdict, blocks = None, []
    while verdict is None:
        assert len(blocks) <= 2 * ROUNDS + 2
        blocks.append(clock.code)
        slower = 50 * (len(blocks) % 4 < 2)  # something else runs now and then
        before = clock.now
        clock.now = Times(
            before.calls + 64,
            before.timed + 4,
            before.nanoseconds + 4 * (each[clock.code] + slower),
        )
        hits[0] += 64 * (clock.code == "special")
        verdict = trial.step()
    assert verdict == pytest.approx(ratio)
    assert blocks == ["special", "generic"] * (ROUNDS + 1)
    trial.end(True)
    assert clock.code == "special"
    trial.end(False)
    assert clock.code == "generic"


def test_blocks_end_when_enough_calls_were_timed(clock):
    trial = Trial("f", "generic", lambda: 0)
    clock.now = Times(30, 2, 2000)
    assert trial.step() is None and clock.code == "special" and clock.left
    clock.now = Times(60, 4, 4000)
    assert trial.step() is None and clock.code == "generic"
    clock.now = Times(61, 5, 4000 + 10**9)
    assert trial.step() is None and clock.code == "special"  # one long call is enough


def test_a_version_that_no_call_fits_any_more_stays(clock):
    trial = Trial("f", "generic", lambda: 0)
    verdict = None
    while verdict is None:
        now = clock.now
        clock.now = Times(now.calls + 4, now.timed + 4, now.nanoseconds + 4000)
        verdict = trial.step()
    assert verdict == 0.0


# ---- what becomes of it


def test_calls_that_pay_lead_to_a_version_and_a_trial():
    f = scripted()
    manager = manager_of(f)
    call_until(f, lambda: manager._is_prepared)
    assert not f.versions
    call_until(f, lambda: f.versions)
    assert manager._trial is not None and "on trial" in scriptmode.explain(f)
    call_until(f, lambda: manager._trial is None)
    (version,) = [*manager.found, *manager.dropped]
    assert version.ratio > 0 and version.hits > 0 and version.misses == 0


@pytest.mark.parametrize("ratio", [1.5, 0.5])
def test_what_is_slower_goes_for_good(ratio, monkeypatch):
    monkeypatch.setattr(Trial, "step", lambda trial: ratio)
    f = scripted()
    manager = manager_of(f)
    call_until(f, lambda: manager.made and manager._trial is None)
    hits = [v.hits for v in [*manager.found, *manager.dropped]]
    call(f, times=200)
    background.wait()
    call(f, times=200)
    text = scriptmode.explain(f)
    assert manager.made == 1
    if ratio > 1:
        assert not f.versions and [v.hits for v in manager.dropped] == hits
        assert "dropped, calls took 1.50 times as long: x is float32[3]; y is float32[3]" in text
        call_until(f, lambda: manager.made == 2, size=4)  # other calls are another matter
        assert f.versions == [] or f.versions[0].guards[0] == "x is float32[4]"
    else:
        assert [v.hits for v in f.versions] == [hits[0] + 400]
        assert "calls take 0.50 of the time" in text


def test_special_code_that_is_asked_for_is_not_tried():
    f = scripted()
    manager = manager_of(f)
    call_until(f, lambda: f.versions)
    assert manager._trial is not None
    with config.override(specialize="background"):
        scriptmode.specialize(f, (torch.rand(5), torch.rand(5)))
    assert manager._trial is None and len(f.versions) == 2
    call(f, size=5, times=3)
    call(f, size=3, times=3)
    assert f.versions[0].hits == 3 and f.versions[1].hits >= 3


def test_misses_that_pay_lead_to_further_versions(monkeypatch):
    monkeypatch.setattr(Trial, "step", lambda trial: 0.5)
    f = scripted()
    for size in (2, 3, 4):
        call_until(
            f,
            lambda size=size: f.versions and f.versions[0].guards[0] == f"x is float32[{size}]",
            size,
        )
    for size in (2, 3, 4):
        before = {v.guards[0]: v.hits for v in f.versions}
        call(f, size)
        (grown,) = [v.guards[0] for v in f.versions if v.hits > before[v.guards[0]]]
        assert grown == f"x is float32[{size}]"


def test_functions_that_cannot_be_specialised_are_left_alone():
    def f(x):
        x.resize_(3)
        return x + 1

    with config.override(specialize="background", specialize_seconds=LITTLE):
        s = scriptmode.script(f)
    manager = manager_of(s)
    for _ in range(20):
        s(torch.rand(1, 3))
        background.wait()
    assert not s.versions and "resize_ changes what a tensor is" in manager.reason
    assert "no further version" in scriptmode.explain(s)


def test_deterministic_algorithms_ask_for_no_trial():
    f = scripted()
    torch.use_deterministic_algorithms(True)
    try:
        call(f, times=4)
    finally:
        torch.use_deterministic_algorithms(False)
    (version,) = f.versions
    assert version.hits == 2 and manager_of(f)._trial is None


def test_a_function_on_trial_dies():
    f = scripted()
    manager = weakref.ref(manager_of(f))
    call_until(f, lambda: manager().found)
    assert manager()._trial is not None
    del f
    gc.collect()
    assert manager() is None
