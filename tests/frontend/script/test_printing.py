"""``print`` and ``warnings.warn`` with all their arguments, against eager."""

from __future__ import annotations

import contextlib
import io
import sys
import warnings

import pytest

import scriptmode


class Own(UserWarning):
    pass


def prints(sep: str, end: str):
    print(1, "a", 1.5, None, True, sep="-", end="!\n")
    print()
    print("x", flush=True)
    print("a", "b", sep=sep, end=end)
    print("a", "b", sep=None, end=None)
    print("wrong", sep, file=sys.stderr)
    print("right", file=sys.stdout)
    e = ValueError("x", 1)
    print(e, [e], f"{e} {e!r}")


def warns(sep: str, end: str):
    warnings.warn("plain")
    warnings.warn("old", DeprecationWarning)
    warnings.warn(sep, Own, 1)
    warnings.warn(f"above {end}", category=Own, stacklevel=2)
    warnings.warn(UserWarning("instance"))


def seen(function, *args):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            function(*args)
    places = [(str(w.message), w.category, w.filename, w.lineno) for w in caught]
    return out.getvalue(), err.getvalue(), places


def prints_lists(sep: str, end: str):
    texts, none = [sep, end], [1][1:]
    print(*texts)
    print(*none)
    print(1, *texts, *none, 2.5, sep=sep, end=end)
    print(*texts, file=sys.stderr)


@pytest.mark.parametrize("function", [prints, prints_lists, warns])
def test_what_is_written_is_what_eager_writes(function):
    assert seen(scriptmode.script(function), "-", "?") == seen(function, "-", "?")
