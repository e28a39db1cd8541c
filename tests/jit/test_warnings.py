"""Warnings of torch's C++ code: from native code they are the Python warnings of eager mode."""

from __future__ import annotations

import threading
import warnings

import pytest
import torch

import scriptmode

ONE = torch.ones(1)


def deviation(x):
    return x.std()


def deviation_then_write(x, y):
    z = x.std()
    y.add_(1)
    return z


def resized(x, out):
    return torch.add(x, 1, out=out)


def many(x, n: int):
    for _ in range(n):
        x = x.std().reshape(1)
    return x


def warns_and_fails(x):
    y = x.std().reshape(1, 1)
    return torch.mm(y, torch.ones(3, 3))


class Deviation(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))

    def forward(self, x):
        return self.scale.std() + x


def seen(function, *args, how="always"):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter(how)
        result = function(*args)
    return result, caught


def texts(caught):
    return [(w.category, str(w.message)) for w in caught]


@pytest.mark.parametrize(
    "function, args",
    [
        (deviation, (ONE,)),
        (resized, (torch.ones(3), torch.ones(2))),
        (many, (ONE, 3)),
        (Deviation(), (ONE,)),
    ],
)
def test_warnings_are_those_of_eager_mode(function, args):
    want, eager = seen(function, *[torch.clone(a) if torch.is_tensor(a) else a for a in args])
    assert eager
    compiled = scriptmode.script(function)
    for _ in range(2):
        again = [torch.clone(a) if torch.is_tensor(a) else a for a in args]
        got, native = seen(compiled, *again)
        torch.testing.assert_close(got, want, equal_nan=True)
        assert texts(native) == texts(eager)
        # the place is the user's line, as in eager mode
        assert [(w.filename, w.lineno) for w in native] == [(w.filename, w.lineno) for w in eager]


def test_traced_code_warns_too():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = scriptmode.trace(deviation, (ONE,))
    _, eager = seen(deviation, ONE)
    _, native = seen(traced, ONE)
    assert texts(native) == texts(eager)
    assert native[0].lineno == eager[0].lineno


def test_the_default_filter_shows_a_place_once():
    compiled = scriptmode.script(many)
    for function in (many, compiled):
        _, caught = seen(lambda: (function(ONE, 5), function(ONE, 5)), how="default")
        assert len(caught) == 1


def test_a_warning_turned_into_an_error_ends_the_call_at_its_place():
    for compiled in (deviation_then_write, scriptmode.script(deviation_then_write)):
        y = torch.zeros(1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(UserWarning, match="degrees of freedom"):
                compiled(ONE, y)
        assert y.item() == 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compiled(ONE, y)
        assert y.item() == 1


def test_an_error_after_a_warning_keeps_both():
    compiled = scriptmode.script(warns_and_fails)
    for function in (warns_and_fails, compiled):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with pytest.raises(RuntimeError, match="mat1 and mat2"):
                function(ONE)
        assert len(caught) == 1


def test_warn_once_warns_once_in_either_mode():
    def transpose(x):
        return x.T

    x = torch.ones(2, 2, 2)
    compiled = scriptmode.script(transpose)
    torch.set_warn_always(True)
    try:
        _, eager = seen(transpose, x)
        _, native = seen(compiled, x)
    finally:
        torch.set_warn_always(False)
    assert texts(native) == texts(eager) and len(eager) == 1


def test_threads_keep_their_warnings_apart():
    compiled = scriptmode.script(many)
    failures = []

    def run(k):
        for _ in range(20):
            try:
                compiled(ONE, k)
            except UserWarning as error:
                if "degrees of freedom" not in str(error):
                    failures.append(error)
            else:
                failures.append("no warning")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        threads = [threading.Thread(target=run, args=(k,)) for k in range(1, 5)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    assert not failures


def test_nothing_reaches_the_standard_error_stream(capfd):
    seen(scriptmode.script(many), ONE, 3)
    assert capfd.readouterr().err == ""
