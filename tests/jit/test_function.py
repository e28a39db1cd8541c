"""``ScriptFunction``: instances, arguments, what it shows of itself, ``explain``, ``SCRIPTMODE=0``."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys

import pytest
import torch
from torch import Tensor

import scriptmode
from scriptmode.interp.values import has_type
from scriptmode.ir.code import code_namespace, function_name, print_code
from scriptmode.ops import table
from scriptmode.support import config

X = torch.rand(3)


def scale(x, k: int = 2, *, shift: float = 0.5):
    """Scale and shift."""
    return x * k + shift


def helper(x):
    return x + 1


def calls_helper(x):
    return helper(x) * 2


def add(a, b):
    return a + b


def test_keyword_and_default_arguments():
    compiled = scriptmode.script(scale)
    for args, kwargs in (
        ((X,), {}),
        ((X, 3), {}),
        ((X,), {"k": 4}),
        ((), {"x": X, "shift": 1.5}),
        ((X, 1), {"shift": 2.0}),
    ):
        torch.testing.assert_close(compiled(*args, **kwargs), scale(*args, **kwargs))


@pytest.mark.parametrize(
    "args, kwargs",
    [((), {}), ((X, 1, 2.0), {}), ((X,), {"q": 1}), ((X, 1), {"k": 1}), ((X, 1, 1, 1), {})],
)
def test_arguments_that_do_not_fit(args, kwargs):
    compiled = scriptmode.script(scale)
    with pytest.raises(TypeError):
        scale(*args, **kwargs)
    with pytest.raises(TypeError) as caught:
        compiled(*args, **kwargs)
    assert isinstance(caught.value, scriptmode.ArgumentError)
    assert "test_function.py" in str(caught.value)


def test_what_it_shows_of_itself():
    compiled = scriptmode.script(scale)
    assert (compiled.name, compiled.__name__, compiled.__doc__) == ("scale", "scale", scale.__doc__)
    assert compiled.qualified_name == f"{__name__}.scale"
    assert compiled.schema.startswith("scale(Tensor x, int k=2")
    assert "ScriptFunction" in repr(compiled) and "scale" in repr(compiled)
    assert "aten::mul" in str(compiled.graph)
    calling = scriptmode.script(calls_helper)
    assert "prim::Call" in str(calling.graph)
    assert "prim::Call" not in str(calling.inlined_graph)
    assert torch.equal(pickle.loads(pickle.dumps(compiled))(X, 3), scale(X, 3))


def test_code_is_runnable_python():
    for function, args in ((scale, (X, 3)), (calls_helper, (X,))):
        compiled = scriptmode.script(function)
        program, name, _ = compiled.__scriptmode_ir__()
        names = code_namespace(
            print_code(program), program, lambda kind: table.find(kind).meaning, has_type
        )
        exec(compile(compiled.code, "code", "exec"), names)
        found = names[function_name(name)]
        torch.testing.assert_close(found(*args), function(*args))


def test_further_instances_for_other_types():
    compiled = scriptmode.script(add)
    assert compiled(1, 2) == 3 and type(compiled(1, 2)) is int
    assert compiled(1.5, 2) == 3.5
    assert compiled("a", "b") == "ab"
    assert compiled([1], [2]) == [1, 2]
    torch.testing.assert_close(compiled(X, 1), X + 1)
    torch.testing.assert_close(compiled(X, X), X + X)
    assert "str" in str(compiled.graph_for("a", "b"))
    assert "Tensor" in str(compiled.graph)
    assert len(compiled._dispatcher.variants) == 6


def test_an_ill_typed_call_is_the_error():
    compiled = scriptmode.script(add)
    with pytest.raises(TypeError) as caught:
        compiled("a", 1)
    assert isinstance(caught.value, scriptmode.ArgumentError)


def test_the_number_of_instances_is_bounded():
    compiled = scriptmode.script(add)
    with config.override(max_instances=2):
        compiled(1, 2)
        with pytest.raises(scriptmode.ArgumentError, match="instances already"):
            compiled("a", "b")
        assert compiled(3, 4) == 7


def test_an_annotated_type_is_kept():
    def f(n: int):
        return n + 1

    compiled = scriptmode.script(f)
    assert compiled(3) == 4
    try:
        got = compiled(2.5)
    except TypeError:
        return
    assert got == f(2.5)


def test_example_inputs_give_types():
    compiled = scriptmode.script(add, example_inputs=[(1, 2)])
    assert compiled.schema == "add(int a, int b) -> int"
    assert compiled(2, 3) == 5


def test_what_is_compiled_already_stays_itself():
    compiled = scriptmode.script(scale)
    assert scriptmode.script(compiled) is compiled


def test_a_compiled_function_in_another_and_as_decorator():
    inner = scriptmode.script(helper)

    @scriptmode.script
    def outer(x):
        return inner(x) * 2

    torch.testing.assert_close(outer(X), (X + 1) * 2)


def test_a_compiled_function_in_a_class_body_is_a_method():
    class Holder:
        factor = 3.0

        @staticmethod
        @scriptmode.script
        def double(x: Tensor) -> Tensor:
            return x * 2

    torch.testing.assert_close(Holder.double(X), X * 2)
    torch.testing.assert_close(Holder().double(X), X * 2)


def test_explain_shows_the_stages():
    compiled = scriptmode.script(calls_helper)
    compiled(X)
    text = scriptmode.explain(compiled)
    for part in ("source", "def calls_helper", "== IR ==", "native IR", "no call left native code"):
        assert part in text
    assert "define" in scriptmode.explain(compiled, llvm=True)


@pytest.mark.bails_out
def test_explain_shows_counted_bail_outs():
    compiled = scriptmode.script(helper)
    with torch.overrides.BaseTorchFunctionMode():
        compiled(X)
        compiled(X)
    assert sum(compiled.bailouts.values()) == 2
    assert "2 calls interpreted: TorchFunctionMode is active" in scriptmode.explain(compiled)


def test_scriptmode_0_runs_everything_eagerly():
    program = """
import torch, scriptmode
def f(x): return x + 1
m = torch.nn.Linear(2, 2)
assert scriptmode.script(f) is f and scriptmode.script(m) is m
assert scriptmode.trace(f, (torch.ones(2),)) is f
assert scriptmode.trace_module(m, {"forward": (torch.ones(2),)}) is m
print(f(torch.ones(1)).item())
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "SCRIPTMODE": "0"}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "2.0"


def test_results_and_arguments_keep_their_identity():
    @scriptmode.script
    def same(x):
        return x

    assert same(X) is X
