"""What Python takes out of a trace is warned about at the user's line, and listed."""

from __future__ import annotations

import inspect
import warnings

import pytest
import torch

from scriptmode.frontend.trace import trace_function
from scriptmode.support.diagnostics import TracerWarning
from tests.frontend.trace.helpers import quiet_trace, run, warnings_of

TABLE = torch.ones(3)


def branch(x):
    if x.sum() > 0:  # here
        return x
    return -x


def number(x):
    return x * x.sum().item()  # here


def to_float(x):
    return x + float(x[0])  # here


def to_int(x):
    return x + int(x[0])  # here


def length(x):
    return x + len(x)  # here


def listed(x):
    return x * x.tolist()[0]  # here


def array(x):
    return x + float(x.numpy()[0])  # here


def unpacked(x):
    a, b, c = x  # here
    return a + b + c


def looped(x):
    total = 0
    for row in x:  # here
        total = total + row
    return total


def size_branch(x):
    if x.shape[0] > 2:  # here
        return x
    return -x


def size_range(x):
    return sum(x[i] for i in range(x.shape[0]))  # here


def size_to_int(x):
    return x[: int(x.shape[0])]  # here


def size_repeats(x):
    return x + torch.tensor([1.0] * x.shape[0])  # here


def equal(x):
    return x if torch.equal(x, x) else -x  # here


def constant(x):
    return x + TABLE  # here


def text(x):
    return x, f"{x.sum():.2f}"  # here


def index(x):
    return x + [10, 20, 30, 40][x.argmax()]  # here


WARNING = {
    branch: "bool", number: "item", to_float: "float", to_int: "int", length: "len",
    listed: "tolist", array: "numpy", unpacked: "iteration", looped: "iteration",
    size_branch: "comparison", size_range: "range", size_to_int: "int", size_repeats: "number",
    equal: "equal", constant: "constant", text: "str", index: "index",
}  # fmt: skip


@pytest.mark.parametrize("function", WARNING, ids=lambda f: f.__name__)
def test_a_conversion_warns_at_its_line_and_is_listed(function):
    result, caught = warnings_of(function, torch.tensor([1.0, 2.0, 3.0]))
    source, first = inspect.getsourcelines(function)
    line = first + next(i for i, s in enumerate(source) if "# here" in s)
    assert {(w.filename, w.lineno) for w in caught} == {(__file__, line)}
    kinds = [f.kind for f in result.frozen if f.warned]
    assert kinds[0] == WARNING[function]
    assert all(f.span.file == __file__ and f.span.line == line for f in result.frozen)


def test_the_line_of_the_trace_call_stands_for_library_code():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trace_function(torch.is_nonzero, (torch.ones(1),))
    assert [w.filename for w in caught] == [__file__]


def test_a_loop_warns_once_for_a_place():
    def loop(x):
        for _ in range(5):
            x = x * x.sum().sign().item()
        return x

    _, caught = warnings_of(loop, torch.ones(3))
    assert len(caught) == 1


def test_the_rank_and_the_dtype_are_listed_without_warning():
    result = quiet_trace(lambda x: x if x.dim() == 2 and x.dtype == torch.float32 else -x, TABLE)
    assert [f.kind for f in result.frozen] == ["rank"]
    assert not result.frozen[0].warned


def test_a_warning_can_be_an_error():
    with warnings.catch_warnings():
        warnings.simplefilter("error", TracerWarning)
        with pytest.raises(TracerWarning):
            trace_function(branch, (TABLE,))
    assert range is type(range(3))


def test_the_constant_is_the_very_tensor():
    weight = torch.ones(3, requires_grad=True)
    result, _ = warnings_of(lambda x: (x * weight).sum(), torch.ones(3))
    run(result, torch.full((3,), 2.0)).backward()
    assert torch.equal(weight.grad, torch.full((3,), 2.0))


def test_a_count_of_tensors_that_changes_is_an_error_at_run_time():
    result = quiet_trace(lambda x: torch.stack(x.split(2)), torch.ones(4))
    with pytest.raises(RuntimeError, match="2 tensors when traced"):
        run(result, torch.ones(6))
