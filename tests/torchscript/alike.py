"""Files that torch.jit.save writes, read by both."""

import copy
import io
import warnings

import torch

import scriptmode


def stored(subject, extra=None):
    """The bytes of the file of a function or module, or of what is compiled already."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not isinstance(subject, (torch.jit.ScriptModule, torch.jit.ScriptFunction)):
            subject = torch.jit.script(subject)
        torch.jit.save(subject, file, _extra_files=extra)
    return file.getvalue()


def both(data, **options):
    """What scriptmode and torch.jit load of a file."""
    return scriptmode.load(io.BytesIO(data), **options), torch.jit.load(io.BytesIO(data))


def outcome(function, args):
    """The result of a call and the arguments after it, or the kind of its error."""
    args = copy.deepcopy(args)
    torch.manual_seed(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*args), [a for a in args if isinstance(a, torch.Tensor)]
    except (RuntimeError, ValueError, ArithmeticError, LookupError, AssertionError, TypeError,
            NotImplementedError, torch.jit.Error) as error:  # fmt: skip
        return f"an error, {type(error).__name__}: {error}"


def plain(value):
    """A value in which named tuples are tuples, and members of enumerations their names."""
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    if isinstance(value, list):
        return list(map(plain, value))
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return getattr(value, "name", value) if type(value).__name__ == "Color" else value


def assert_same(ours, theirs):
    """Raise unless both ended in the same way."""
    if isinstance(theirs, str) or isinstance(ours, str):
        assert isinstance(theirs, str) and isinstance(ours, str), f"{ours!r} and {theirs!r}"
        return
    a, b = [], []
    spread(plain(ours), a)
    spread(plain(theirs), b)
    assert [p for p in a if isinstance(p, str)] == [p for p in b if isinstance(p, str)]
    numbers = [[p for p in side if not isinstance(p, str)] for side in (a, b)]
    torch.testing.assert_close(*numbers, equal_nan=True)


def spread(value, found):
    """Enter what is inside of a value: types and texts as texts, numbers and tensors."""
    found.append(type(value).__name__)
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, (tuple, list)):
        for part in value:
            spread(part, found)
    elif isinstance(value, (int, float, complex, torch.Tensor)):
        found.append(value)
    else:
        found.append(str(value))


def check(subject, *calls, method="forward"):
    """Raise unless a stored program does what torch.jit does, in every call, one after the other."""
    ours, theirs = both(stored(subject))
    for args in calls:
        with torch.set_grad_enabled(getattr(subject, "__name__", "") == "gradients"):
            pair = [outcome(getattr(m, method), args) for m in (ours, theirs)]
        assert_same(*pair)
    again = scriptmode.load(io.BytesIO(saved(ours)))
    with torch.set_grad_enabled(getattr(subject, "__name__", "") == "gradients"):
        pair = [outcome(getattr(m, method), calls[-1]) for m in (again, theirs)]
    if "state" not in getattr(subject, "tags", ()):
        assert_same(*pair)
    return ours


def saved(module):
    """The bytes of the archive of a loaded module."""
    file = io.BytesIO()
    scriptmode.save(module, file)
    return file.getvalue()
