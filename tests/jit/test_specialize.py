"""Specialised code: results are eager's whether its guards hold or not, and it can be seen."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
import threading
import weakref
from typing import NamedTuple, Optional

import pytest
import torch
from torch.autograd import forward_ad

import scriptmode
from scriptmode.codegen.compiler_process import compiler_process
from scriptmode.interp import Interpreter
from scriptmode.jit import versions
from scriptmode.jit.background import background
from scriptmode.support import config
from tests.fourway import same

CALLS = 3


@pytest.fixture(autouse=True)
def sync():
    with config.override(specialize="sync", specialize_calls=CALLS, specialize_seconds=0.0):
        yield


def warm(f, *args, calls=CALLS):
    """Call often enough for a version."""
    for _ in range(calls):
        result = f(*args)
    return result


def check(f, eager, *args):
    """The result, compared with eager's; arguments afterwards too."""
    copies = [a.clone() if isinstance(a, torch.Tensor) and a.is_leaf else a for a in args]
    want = eager(*copies)
    got = f(*args)
    same(want, got)
    same(copies, list(args))


def step(x, y):
    z = torch.tanh(x) * 2 + y
    if z.sum() > 0:
        return z
    return z - y


class Cell(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)
        self.drop = torch.nn.Dropout(0.5)
        self.register_buffer("shift", torch.ones(4))
        self.scale = 2
        self.name = "cell"

    def forward(self, x, h):
        return self.drop(torch.tanh(self.linear(x) + h)) * self.scale + self.shift


# ---- when


def test_equal_calls_make_a_version_and_the_call_that_is_enough_runs_it():
    f = scriptmode.script(step)
    x = torch.rand(3, 4)
    for number in range(CALLS + 2):
        assert len(f.versions) == int(number >= CALLS)
        check(f, step, x, x)
    (version,) = f.versions
    assert (version.hits, version.misses) == (3, 0)
    assert version.guards == ["x is float32[3, 4]", "y is float32[3, 4]"]
    assert version.seconds > 0


def test_off_makes_none():
    with config.override(specialize="off"):
        f = scriptmode.script(step)
    warm(f, torch.rand(3), torch.rand(3), calls=10)
    assert f.versions == []


def test_other_words_are_refused():
    with pytest.raises(config.ConfigError, match="sync or off"):
        config.set("specialize", "always")


def test_versions_are_bounded_and_the_least_used_goes():
    f = scriptmode.script(step)
    with config.override(max_versions=2):
        for size in (2, 3, 4):
            x = torch.rand(size)
            for _ in range(40):
                check(f, step, x, x)
        assert [v.guards[0] for v in f.versions][0] == "x is float32[4]" and len(f.versions) == 2
        for size in range(5, 30):
            for _ in range(40):
                check(f, step, torch.rand(size), torch.rand(size))
    assert len(f.versions) == 2
    (manager,) = [v.versions for v in f._dispatcher.variants]
    assert manager.made == 8 and "8 versions" in manager.reason


def test_a_function_whose_calls_differ_is_left_alone():
    f = scriptmode.script(step)
    for size in range(1, 200):
        check(f, step, torch.rand(size), torch.rand(size))
    assert f.versions == []


def test_two_shapes_in_turn_get_a_version_each():
    f = scriptmode.script(step)
    for _ in range(60):
        for size in (2, 3):
            check(f, step, torch.rand(size), torch.rand(size))
    assert sorted(v.guards[0] for v in f.versions) == ["x is float32[2]", "x is float32[3]"]
    before = [v.hits for v in f.versions]
    check(f, step, torch.rand(2), torch.rand(2))
    assert sum(v.hits for v in f.versions) == sum(before) + 1


# ---- guards that fail

OTHERS = {
    "another shape": lambda: torch.rand(5, 4),
    "fewer dimensions": lambda: torch.rand(4),
    "another dtype": lambda: torch.rand(3, 4, dtype=torch.float64),
    "another stride": lambda: torch.rand(4, 3).t(),
    "a slice": lambda: torch.rand(3, 9)[:, :4],
    "expanded": lambda: torch.rand(4).expand(3, 4),
    "empty": lambda: torch.rand(0, 4),
    "int": lambda: torch.ones(3, 4, dtype=torch.int64),
    "negative view": lambda: torch.rand(3, 4, dtype=torch.complex64).conj().imag,
}


@pytest.mark.parametrize("what", OTHERS)
def test_other_tensors_run_the_generic_code(what):
    f = scriptmode.script(step)
    x = torch.rand(3, 4)
    warm(f, x, x)
    other = OTHERS[what]()
    check(f, step, other, other)
    assert f.versions[0].misses == 1 and f.versions[0].hits == 1
    check(f, step, x, x)
    assert f.versions[0].hits == 2 and not f.bailouts


def test_tensors_of_another_device():
    def f(x):
        return torch.relu(x) + 1

    s = scriptmode.script(f)
    warm(s, torch.rand(2))
    result = s(torch.empty(2, device="meta"))
    assert result.device.type == "meta" and s.versions[0].misses == 1


def test_gradients_are_recorded_by_generic_code():
    f = scriptmode.script(step)
    x = torch.rand(3, 4)
    warm(f, x, x)
    a = torch.rand(3, 4, requires_grad=True)
    b = a.detach().clone().requires_grad_()
    with scriptmode.config.override(autodiff=False):  # else a program of its own runs
        result = f(a, x)
    result.sum().backward()
    step(b, x).sum().backward()
    torch.testing.assert_close(a.grad, b.grad)
    assert f.versions[0].misses == 1
    with torch.no_grad():
        assert not f(a, x).requires_grad
    assert f.versions[0].hits == 2


def test_calls_that_need_gradients_make_no_version():
    f = scriptmode.script(step)
    a = torch.rand(3, requires_grad=True)
    warm(f, a, a, calls=40)
    assert f.versions == []


def test_parameters_under_no_grad():
    cell = Cell().eval()
    f = scriptmode.script(cell)
    x = torch.rand(3, 4)
    with torch.no_grad():
        warm(f, x, x)
        assert "no gradients are recorded" in f.versions[0].guards
        check(f, cell, x, x)
        assert f.versions[0].hits == 2
    with scriptmode.config.override(autodiff=False):
        assert f(x, x).requires_grad
    assert f.versions[0].misses == 1


def test_forward_mode_runs_generic_code():
    f = scriptmode.script(step)
    x = torch.rand(3)
    warm(f, x, x)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x, torch.ones(3))
        want = forward_ad.unpack_dual(step(dual, x))
        got = forward_ad.unpack_dual(f(dual, x))
        torch.testing.assert_close(got.tangent, want.tangent)
    assert f.versions[0].misses == 1


def test_autocast_runs_generic_code():
    def f(a, b):
        return a @ b

    s = scriptmode.script(f)
    x = torch.rand(4, 4)
    warm(s, x, x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert s(x, x).dtype == torch.bfloat16
    assert s.versions[0].misses == 1
    assert s(x, x).dtype == torch.float32


def test_inference_mode_runs_special_code():
    f = scriptmode.script(step)
    x = torch.rand(3)
    warm(f, x, x)
    with torch.inference_mode():
        y = torch.rand(3)
        assert f(x, y).is_inference()
        assert f.versions[0].hits == 2
    f(x, y)
    assert f.versions[0].misses == 1


class Subclass(torch.Tensor):
    pass


@pytest.mark.bails_out
def test_subclasses_and_modes_leave_native_code_as_before():
    f = scriptmode.script(step)
    x = torch.rand(3)
    warm(f, x, x)
    f(x.as_subclass(Subclass), x)
    with torch.device("cpu"):
        check(f, step, x, x)
    assert sum(f.bailouts.values()) == 2
    assert (f.versions[0].hits, f.versions[0].misses) == (1, 0)


# ---- modules


def prepared(**values):
    torch.manual_seed(0)
    cell = Cell().eval()
    f = scriptmode.script(cell)
    x = torch.rand(3, 4)
    with torch.no_grad():
        warm(f, x, x)
    assert len(f.versions) == 1
    return cell, f, x


def test_new_values_of_parameters_are_seen():
    cell, f, x = prepared()
    with torch.no_grad():
        cell.load_state_dict({k: v + 1 for k, v in cell.state_dict().items()})
        check(f, cell, x, x)
        cell.linear.weight.data = torch.rand(4, 4)
        check(f, cell, x, x)
        cell.linear.bias = torch.nn.Parameter(torch.rand(4))
        check(f, cell, x, x)
        cell.shift = torch.zeros(4)
        check(f, cell, x, x)
        assert f.versions[0].hits == 5
        cell.shift = torch.zeros(1)
        check(f, cell, x, x)
        assert f.versions[0].misses == 1
        cell.linear.weight.data = torch.rand(4, 4).t()
        check(f, cell, x, x)
        cell.double()
        check(f, cell, x.double(), x.double())
        assert f.versions[0].misses == 3


def test_attributes_are_constants_behind_guards():
    _, f, x = prepared()
    assert {"self.scale is 2", "self.drop.training is False"} <= set(f.versions[0].guards)
    (version,) = f.versions
    assert "GetAttr" not in str(version.graph)
    regions = [g for name, g in version.program.functions.items() if ".region" in name]
    assert any("value=2" in str(g) for g in (version.graph, *regions))
    with torch.no_grad():
        eval_result = f(x, x)
        f.train()
        torch.manual_seed(1)
        first = f(x, x)
        torch.manual_seed(1)
        same(first, f(x, x))
        assert f.versions[0].misses == 2
        f.eval()
        same(eval_result, f(x, x))
        f.scale = 3
        torch.testing.assert_close(f(x, x) - 1, (eval_result - 1) / 2 * 3)


def test_a_wider_attribute_gets_a_version_of_its_own():
    _, f, x = prepared()
    with torch.no_grad():
        f.scale = 5
        warm(f, x, x, calls=10)
    assert [v.guards.count("self.scale is 5") for v in f.versions] == [1, 0]


def test_what_the_program_assigns_is_not_guarded():
    class Counter(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.calls = 0
            self.register_buffer("total", torch.zeros(2))

        def forward(self, x):
            self.calls += 1
            self.total = self.total + x
            return self.total * self.calls

    torch.manual_seed(0)
    eager, other = Counter(), Counter()
    f = scriptmode.script(eager)
    for _ in range(8):
        x = torch.rand(2)
        same(other(x), f(x))
    assert f.calls == 8 and f.versions[0].guards == ["x is float32[2]"]


FACTOR = torch.nn.Linear(3, 3)


def test_captured_modules():
    def f(x):
        return FACTOR(x) + 1

    s = scriptmode.script(f)
    x = torch.rand(2, 3)
    with torch.no_grad():
        warm(s, x)
        check(s, f, x)
        FACTOR.weight.data = FACTOR.weight.data + 1
        check(s, f, x)
    assert s.versions[0].hits == 3
    assert any("weight is float32[3, 3]" in guard for guard in s.versions[0].guards)


def test_values_taken_as_constants_still_compile_again():
    k = 2

    def f(x):
        return x * k

    s = scriptmode.script(f)
    x = torch.rand(2)
    warm(s, x)
    k = 3
    same(f(x), s(x))
    warm(s, x)
    same(f(x), s(x))
    assert len(s.versions) == 1


# ---- arguments of other sorts


class Pair(NamedTuple):
    a: torch.Tensor
    n: int


def test_tensors_in_tuples_are_guarded():
    def f(pair: Pair, other: tuple[torch.Tensor, tuple[torch.Tensor, int]]):
        return pair.a * pair.n + other[0] + other[1][0] * other[1][1]

    s = scriptmode.script(f)
    x, y = torch.rand(2), torch.rand(2)
    args = (Pair(x, 2), (y, (x, 3)))
    warm(s, *args)
    assert s.versions[0].guards == [
        "pair[0] is float32[2]", "other[0] is float32[2]", "other[1][0] is float32[2]"
    ]  # fmt: skip
    assert "TupleIndex[index=0](%pair" not in str(s.versions[0].graph)
    same(f(*args), s(*args))
    args = (Pair(x, 4), (torch.rand(1), (x.double(), 3)))
    same(f(*args), s(*args))
    assert (s.versions[0].hits, s.versions[0].misses) == (2, 1)


def test_optional_tensors_are_guarded_by_none():
    def f(x, mask: Optional[torch.Tensor] = None, n: Optional[int] = None):
        if mask is not None:
            x = x * mask
        if n is not None:
            x = x + n
        return x

    s = scriptmode.script(f)
    x, mask = torch.rand(2), torch.ones(2)
    warm(s, x)
    assert s.versions[0].guards == ["x is float32[2]", "mask is None", "n is None"]
    assert "prim::If" not in str(s.versions[0].graph)
    same(f(x, mask), s(x, mask))
    same(f(x, None, 3), s(x, None, 3))
    assert (s.versions[0].hits, s.versions[0].misses) == (1, 2)
    warm(s, x, mask, calls=20)
    assert s.versions[0].guards == ["x is float32[2]", "mask is float32[2]", "n is None"]
    assert "prim::If" not in str(s.versions[0].graph)
    same(f(x), s(x))
    same(f(x, mask), s(x, mask))


def test_numbers_are_not_specialised():
    def f(x, n: int, k: float):
        return x * n + k

    s = scriptmode.script(f)
    x = torch.rand(2)
    warm(s, x, 1, 1.0)
    for n in range(4):
        same(f(x, n, 0.5 * n), s(x, n, 0.5 * n))
    assert s.versions[0].hits == 5


def test_lists_are_brought_back():
    def f(x, out: list[torch.Tensor]):
        out.append(x + 1)
        return len(out)

    s = scriptmode.script(f)
    x = torch.rand(2)
    out: list[torch.Tensor] = []
    for n in range(6):
        assert s(x, out) == n + 1 == len(out)
    assert s.versions[0].hits == 4


def test_aliases_stay_aliases():
    def f(x, y):
        x.add_(1)
        return y * 2

    s = scriptmode.script(f)
    warm(s, torch.rand(2), torch.rand(2))
    a = torch.zeros(2)
    same(s(a, a), torch.full((2,), 2.0))
    assert s.versions[0].hits == 2


def test_recursion_goes_on_in_generic_code():
    def power(x: torch.Tensor, n: int) -> torch.Tensor:
        if n == 0:
            return torch.ones_like(x)
        return x * power(x, n - 1)

    globals()["power"] = power
    s = scriptmode.script(power)
    x = torch.rand(2)
    warm(s, x, 5)
    for n in range(8):
        same(power(x, n), s(x, n))
    assert s.versions[0].hits == 9


def test_traces():
    cell = Cell().eval()
    x = torch.rand(3, 4)
    f = scriptmode.trace(cell, (x, x))
    with torch.no_grad():
        warm(f, x, x, calls=5)
        check(f, cell, x, x)
        check(f, cell, torch.rand(2, 4), torch.rand(2, 4))
    assert f.versions[0].hits >= 4


# ---- functions that are left alone

REFUSED = {
    "resize": "x.resize_(3)",
    "transposed in place": "x.t_()",
    "squeezed in place": "x.squeeze_()",
    "data": "x.data = x.data * 2",
    "out": "torch.add(x, 1, out=x)",
    "autocast": "with torch.autocast('cpu'):\n        x = x + 1",
}


@pytest.mark.parametrize("what", REFUSED)
def test_functions_that_change_what_a_tensor_is_are_left_alone(what, tmp_path):
    source = f"import torch\n\ndef f(x):\n    {REFUSED[what]}\n    return x + 1\n"
    path = tmp_path / "refused.py"
    path.write_text(source)
    namespace: dict[str, object] = {}
    exec(compile(source, str(path), "exec"), namespace)
    f = namespace["f"]
    s = scriptmode.script(f)
    for _ in range(CALLS + 1):
        x = torch.rand(1, 3)
        same(f(x.clone()), s(x))
    (manager,) = [v.versions for v in s._dispatcher.variants]
    assert s.versions == [] and manager.reason
    with pytest.raises(scriptmode.ArgumentError, match="cannot be specialised"):
        scriptmode.specialize(s, torch.rand(1, 3))


def test_a_function_that_enables_gradients():
    def f(x, w):
        with torch.enable_grad():
            y = x * w
        return y

    s = scriptmode.script(f)
    x, w = torch.rand(2), torch.rand(2, requires_grad=True)
    with torch.no_grad():
        warm(s, x, w, calls=8)
        assert s.versions == []
        warm(s, x, x, calls=100)
        assert s.versions[0].hits
        assert s(x, w).requires_grad
        assert s.versions[0].misses


# ---- errors


def test_errors_carry_the_same_places():
    def inner(x, y):
        return torch.mm(x, y)

    def f(x, y, n: int):
        z = x + 1
        if n > 0:
            z = inner(z, y)
        return z.sum() / (3 // n)

    globals()["inner"] = inner
    s = scriptmode.script(f)
    x = torch.rand(2, 3)

    def failure(*args):
        with pytest.raises((RuntimeError, ZeroDivisionError)) as caught:
            s(*args)
        return str(caught.value), list(getattr(caught.value, "__notes__", []))

    generic = failure(x, x, 1), failure(x, x, 0)
    assert "inner" in generic[0][1][-1] and len(generic[0][1]) == 2
    scriptmode.specialize(s, (x, x, 1))
    assert (failure(x, x, 1), failure(x, x, 0)) == generic
    assert s.versions[0].hits == 2
    other = torch.rand(2, 4)
    assert failure(other, other, 0) == generic[1]
    assert s.versions[0].misses == 1


# ---- ahead of time


def test_specialize_makes_a_version_at_once():
    f = scriptmode.script(step)
    x = torch.rand(3)
    with config.override(specialize="off"):
        assert scriptmode.specialize(f, (x, x)) is f
        scriptmode.specialize(f, [(torch.rand(2), torch.rand(2)), (x, x)])
    assert [v.guards[0] for v in f.versions] == ["x is float32[2]", "x is float32[3]"]
    check(f, step, x, x)
    assert f.versions[1].hits == 1


def test_specialize_takes_a_module_and_one_argument():
    module = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.ReLU())
    f = scriptmode.specialize(scriptmode.script(module), torch.rand(2, 3))
    assert not f.versions[0].hits
    x = torch.rand(2, 3)
    with torch.no_grad():
        check(f, module, x)
    assert f.versions[0].hits == 1
    with scriptmode.config.override(autodiff=False):
        check(f, module, x)
    assert f.versions[0].misses == 1


def test_specialize_compiles_the_instance_for_the_types():
    def f(x, n):
        return x * n

    s = scriptmode.script(f)
    scriptmode.specialize(s, (torch.rand(2), 3))
    assert s.versions[0].guards == ["x is float32[2]"]
    same(s(torch.ones(2), 3), torch.full((2,), 3.0))
    assert s.versions[0].hits == 1


def test_specialize_refuses_what_is_no_call():
    f = scriptmode.script(step)
    with pytest.raises(scriptmode.ArgumentError, match="missing"):
        scriptmode.specialize(f, torch.rand(2))
    with pytest.raises(scriptmode.ArgumentError, match="specialize takes what"):
        scriptmode.specialize(step, torch.rand(2))
    with pytest.raises(scriptmode.ArgumentError, match="no argument and no attribute"):
        meta = torch.rand(2, device="meta")
        scriptmode.specialize(f, (meta, meta))


# ---- what is shown


def test_explain_shows_versions():
    f = scriptmode.script(step)
    assert "== versions ==" not in scriptmode.explain(f)
    x = torch.rand(3, 4)
    warm(f, x, x.t().contiguous().t(), calls=5)
    f(x.double(), x.double())
    text = scriptmode.explain(f)
    assert "version: 3 hits, 1 misses, compiled in" in text
    assert "  x is float32[3, 4]\n  y is float32[3, 4] strides [1, 3]" in text
    assert "f.special" in text or "step.special" in text


def test_the_program_of_a_version_is_ir_like_any_other():
    f = scriptmode.script(step)
    x = torch.rand(3)
    warm(f, x, x)
    (version,) = f.versions
    interpreter = Interpreter(version.program)
    for other in (x, torch.rand(2)):
        same(step(other, other), interpreter.run(version.root, other, other))


def test_registered_steps_get_the_facts(monkeypatch):
    seen = []

    def run(graph, program, facts):
        seen.append({value.name: fact.text for value, fact in facts.items()})
        assert set(facts) <= set(graph.params)
        return False

    monkeypatch.setattr(versions, "_SPECIALIZERS", [run])
    prepared()
    assert seen == [
        {"x": "float32[3, 4]", "h": "float32[3, 4]", "self_linear_weight": "float32[4, 4]",
         "self_linear_bias": "float32[4]", "self_shift": "float32[4]"}
    ]  # fmt: skip


@pytest.mark.parametrize("mode", ["sync", "background"])
def test_a_defect_of_the_compiler_leaves_calls_as_they_are(monkeypatch, capsys, mode):
    def run(graph, program, facts):
        raise IndexError("a defect")

    monkeypatch.setattr(versions, "_SPECIALIZERS", [run])
    with config.override(specialize=mode, verify=False):
        f = scriptmode.script(step)
        x = torch.rand(3)
        for _ in range(3 * CALLS):
            check(f, step, x, x)
        background.wait()
        check(f, step, x, x)
    assert not f.versions and not capsys.readouterr().err
    assert "the compiler failed: IndexError('a defect')" in scriptmode.explain(f)


# ---- threads and lifetime


def test_threads_call_while_code_is_swapped():
    f = scriptmode.script(step)
    errors: list[BaseException] = []
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)

    def work(seed):
        try:
            for number in range(120):
                size = 1 + (number + seed) // 30 % 3
                check(f, step, torch.rand(size, 64), torch.rand(size, 64))
        except BaseException as error:
            errors.append(error)

    try:
        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not errors and f.versions


def test_everything_dies_with_the_function():
    f = scriptmode.script(Cell().eval())
    x = torch.rand(3, 4)
    with torch.no_grad():
        warm(f, x, x)
        manager = weakref.ref(f._dispatcher.primary.versions)
        code = weakref.ref(f.versions[0].compiled)
        result = f(x, x)
    del f
    gc.collect()
    assert manager() is None and code() is None
    assert result.shape == (3, 4)


def test_code_stays_while_it_runs():
    def f(x, n: int):
        for _ in range(n):
            x = torch.tanh(x)
        return x

    s = scriptmode.script(f)
    x = torch.rand(64, 64)
    warm(s, x, 1)
    results = []
    thread = threading.Thread(target=lambda call: results.append(call(x, 2000)), args=(s,))
    thread.start()
    del s
    gc.collect()
    thread.join()
    torch.testing.assert_close(results[0], f(x, 2000))


# ---- calls that do not fit


@pytest.mark.bails_out
def test_arguments_of_wrong_types_are_looked_at_without_harm():
    def f(pair: tuple[torch.Tensor, torch.Tensor], x):
        return pair[0] + pair[1] * x

    s = scriptmode.script(f)
    x = torch.rand(2)
    for _ in range(CALLS + 1):
        with pytest.raises(scriptmode.ArgumentError):
            s(None, x)
        with pytest.raises(scriptmode.ArgumentError):
            s("text", x)
    warm(s, (x, x), x, calls=20)
    same(f((x, x), x), s((x, x), x))
    assert s.versions[0].hits


@pytest.mark.bails_out
def test_a_module_that_lacks_a_tensor_is_looked_at_without_harm():
    cell = Cell().eval()
    f = scriptmode.script(cell)
    x = torch.rand(3, 4)
    bias = cell.linear.bias
    with torch.no_grad():
        cell.linear.bias = None
        for _ in range(CALLS + 1):
            same(cell(x, x), f(x, x))
        cell.linear.bias = bias
        warm(f, x, x, calls=20)
        check(f, cell, x, x)
    assert f.versions[0].hits


def test_errors_that_are_caught_bring_back_the_grad_mode():
    def fails(x):
        with torch.no_grad():
            if x.sum() > -1:
                raise ValueError("no")
        return x

    def f(x):
        try:
            x = fails(x)
        except ValueError:
            x = x + 1
        return x, torch.is_grad_enabled()

    globals()["fails"] = fails
    s = scriptmode.script(f)
    x = torch.rand(2)
    warm(s, x)
    same(f(x), s(x))
    assert s.versions[0].hits == 2


# ---- in the background


def test_versions_are_made_in_the_background():
    with config.override(specialize="background"):
        f = scriptmode.script(step)
    x = torch.rand(3, 4)
    warm(f, x, x)
    background.wait()
    assert len(f.versions) == 1 and f.versions[0].hits == 0
    check(f, step, x, x)
    check(f, step, x.double(), x.double())
    assert (f.versions[0].hits, f.versions[0].misses) == (1, 1)
    y = torch.rand(2)
    warm(f, y, y, calls=40)
    background.wait()
    warm(f, y, y, calls=40)
    background.wait()
    assert [v.guards[0] for v in f.versions] == ["x is float32[2]", "x is float32[3, 4]"]
    check(f, step, y, y)


def test_calls_go_on_while_versions_are_made():
    with config.override(specialize="background"):
        functions = [scriptmode.script(step) for _ in range(3)]
    for number in range(300):
        size = 1 + number // 60
        for f in functions:
            check(f, step, torch.rand(size), torch.rand(size))
    background.wait()
    assert all(f.versions for f in functions)


def test_a_function_may_die_before_its_version_is_made():
    with config.override(specialize="background"):
        f = scriptmode.script(step)
    gate = threading.Event()
    background.submit(gate.wait)
    warm(f, torch.rand(3), torch.rand(3))
    manager = weakref.ref(f._dispatcher.primary.versions)
    del f
    gc.collect()
    gate.set()
    background.wait()
    assert manager() is None


def test_a_process_that_compiles_and_ends_is_started_again():
    text = "define i32 @f() {\nret i32 1\n}\n"
    first = compiler_process.compile(text, 1)
    assert first[:4] == b"\x7fELF"
    assert compiler_process._process is not None
    compiler_process._process.kill()
    compiler_process._process.wait()
    assert compiler_process.compile(text, 1) == first
    with pytest.raises(RuntimeError, match="expected"):
        compiler_process.compile("nonsense", 1)
    assert compiler_process.compile(text, 1) == first


CHILD = """
import os, sys, threading, time, torch, scriptmode
sys.path.insert(0, {folder!r})
import program
fs = [scriptmode.script(program.f) for _ in range(3)]
x = torch.rand(3)
for f in fs:
    for _ in range(4):
        f(x)
{then}
"""
PROGRAM = """
def f(x):
    for _ in range(3):
        x = x * 2 + 1
    return x
"""


def run_child(tmp_path, then):
    (tmp_path / "program.py").write_text(PROGRAM)
    code = CHILD.format(folder=str(tmp_path), then=textwrap.dedent(then))
    env = {
        **os.environ, "SCRIPTMODE_SPECIALIZE": "background", "SCRIPTMODE_SPECIALIZE_SECONDS": "0"
    }  # fmt: skip
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)


def test_a_process_may_end_while_versions_are_made(tmp_path):
    done = run_child(tmp_path, "print('ended')")
    assert (done.returncode, done.stdout, done.stderr) == (0, "ended\n", "")


@pytest.mark.parametrize("caught", ["ZeroDivisionError", "Exception"])
def test_a_process_may_end_in_the_midst_of_long_work(tmp_path, caught):
    done = run_child(
        tmp_path,
        f"""
        from scriptmode.jit import background as module
        module.PATIENCE = 30.0
        begun = threading.Event()
        def job():
            begun.set()
            try:
                while True:
                    try:
                        while True:
                            pass
                    except {caught}:
                        pass
            finally:
                print("left", flush=True)
        module.background.submit(job)
        begun.wait()
        """,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "left\n", "")


def test_forks_while_versions_are_made_do_not_hang(tmp_path):
    done = run_child(
        tmp_path,
        """
        for number in range(10):
            child = os.fork()
            if child == 0:
                f = scriptmode.script(program.f)
                for _ in range(4):
                    f(x)
                from scriptmode.jit.background import background
                if number == 9:
                    background.wait()
                    os._exit(len(f.versions))
                os._exit(1)
            _, status = os.waitpid(child, 0)
            assert os.waitstatus_to_exitcode(status) == 1, status
        from scriptmode.jit.background import background
        background.wait()
        print([len(f.versions) for f in fs])
        """,
    )
    assert (done.returncode, done.stdout) == (0, "[1, 1, 1]\n"), done.stderr


WEIGHT = torch.ones(2)


def test_a_captured_tensor_that_comes_to_need_a_gradient() -> None:
    def f(x):
        return (x + WEIGHT) * 2

    s = scriptmode.script(f)
    x = torch.ones(2)
    scriptmode.specialize(s, (x,))
    assert torch.equal(s(x), f(x))
    WEIGHT.requires_grad_()
    try:
        s(x).sum().backward()
        assert torch.equal(WEIGHT.grad, torch.full((2,), 2.0))
    finally:
        WEIGHT.requires_grad_(False)
        WEIGHT.grad = None


def test_another_default_dtype_is_another_version() -> None:
    def f(x, n: int):
        return x / n + torch.ones(2)

    s = scriptmode.script(f)
    x = torch.arange(2)
    scriptmode.specialize(s, (x, 3))
    assert s(x, 3).dtype == torch.float32
    torch.set_default_dtype(torch.float64)
    try:
        assert s(x, 3).dtype == torch.float64
        scriptmode.specialize(s, (x, 3))
        assert s(x, 3).dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert s(x, 3).dtype == torch.float32
    assert [v.hits for v in s.versions] == [1, 2]


def test_keyword_only_parameters_in_special_code() -> None:
    def f(x, *, scale: float = 2.0):
        return x * scale

    s = scriptmode.script(f)
    x = torch.ones(2)
    scriptmode.specialize(s, (x,))
    assert torch.equal(s(x, scale=3.0), f(x, scale=3.0))
    assert s.versions[0].hits == 1


def test_what_runs_torchs_ops_instead_of_its_kernel_is_counted() -> None:
    def f(x, i: int):
        return (x[i] * 2 + 1).sum()

    s = scriptmode.script(f)
    x = torch.ones(4, 3)
    scriptmode.specialize(s, (x, 1))
    for i in (0, 3, -1):
        assert torch.equal(s(x, i), f(x, i))
    (version,) = s.versions
    assert version.left == {}
    for _ in range(2):
        with pytest.raises(IndexError):
            s(x, 4)
    assert list(version.left.values()) == [2]
    assert "2 times torch's ops ran instead of the kernel of" in scriptmode.explain(s)
