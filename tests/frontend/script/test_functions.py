"""Functions: arguments, instances, closures, decorators, recursion, markers."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any, Optional, Union

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import scriptmode
import scriptmode.support.markers as markers
from scriptmode.ir import types as T
from scriptmode.support.diagnostics import CompileError
from tests.frontend.script.helpers import check, compiled, text_of

X = torch.tensor([1.0, -2.0, 3.0])
SCALE = 3
TABLE = {"a": 1.5, "b": 2}
SHAPE = (1, 3)
WEIGHT = torch.tensor([2.0, 2.0, 2.0])


def helper(x: Tensor, n: int = 2, *, scale: float = 1.0) -> Tensor:
    return x * n * scale


def collect(*args: Any, **kwargs: Any) -> Any:
    total = 0
    for a in args:
        total = total + a
    for name, value in kwargs.items():
        total = total + value * len(name)
    return total, len(args), "k" in kwargs


def factorial(n: int) -> int:
    return 1 if n < 2 else n * factorial(n - 1)


def is_even(n: int):
    if n == 0:
        return True
    return is_odd(n - 1)


def is_odd(n: int):
    if n == 0:
        return False
    return is_even(n - 1)


def doubled(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs) * 2

    return wrapper


@doubled
def decorated(x: Tensor, n: int) -> Tensor:
    return x + n


@torch.no_grad()
def without_grad(x: Tensor) -> Tensor:
    return x * 2


def apply(function: Any, x: Any) -> Any:
    return function(x)


def test_calls_with_defaults_keywords_and_stars() -> None:
    def f(x: Tensor):
        args = (x, 3)
        return (
            helper(x), helper(x, 3), helper(n=4, x=x), helper(x, scale=0.5), helper(*args),
            helper(x, **{"n": 5}), collect(1, 2.5, kk=3), collect(), collect(*args, k=1),
        )  # fmt: skip

    check(f, (X,))


def test_wrong_arguments_are_errors_with_the_call_site() -> None:
    def f(x: Tensor):
        return helper(x, m=1)

    with pytest.raises(CompileError, match="unexpected keyword argument 'm'"):
        compiled(f)


def test_one_instance_is_made_for_each_kind_of_arguments() -> None:
    def twice(v):
        return v + v

    def f(x: Tensor):
        return twice(x), twice(1), twice("a"), twice(2), twice(x * 2)

    program = check(f, (X,))
    assert len(program.functions) == 4


def test_flags_and_none_prune_inside_instances() -> None:
    def g(x: Tensor, y: Optional[Tensor] = None, flag: bool = False):
        if y is not None:
            x = x + y
        if flag:
            x = x.missing
        return x

    def f(x: Tensor):
        return g(x) + g(x, x)

    assert "prim::If" not in text_of(check(f, (X,)))


def test_recursion_with_and_without_annotations() -> None:
    def f(n: int):
        def fib(k: int):
            if k < 2:
                return k
            return fib(k - 1) + fib(k - 2)

        return factorial(n), is_even(n), fib(n)

    check(f, (0,), (1,), (7,))


def test_closures_read_variables_at_the_call() -> None:
    def f(x: Tensor, n: int):
        def inner(y: Tensor, k: int = n):
            return y * n + k

        n = n + 1
        g = lambda v: inner(v) + n  # noqa: E731
        n = n + 1
        return inner(x), g(x), apply(inner, x), apply(lambda v: v * n, x)

    check(f, (X, 2))


def test_functions_that_return_functions() -> None:
    def make(k: int):
        return F.relu if k > 100 else F.relu

    def f(x: Tensor):
        return make(1)(x)

    check(f, (X,))


def test_decorators_are_honoured() -> None:
    def f(x: Tensor):
        return decorated(x, 2), without_grad(x)

    check(f, (X,), (X.clone().requires_grad_(),))
    check(decorated, (X, 2))
    check(without_grad, (X.clone().requires_grad_(),))


def test_partial_functions_and_functions_as_values() -> None:
    part = functools.partial(helper, n=7)

    def f(x: Tensor):
        table = {"relu": F.relu, "tanh": torch.tanh}
        out = x
        for name in ("relu", "tanh"):
            out = table[name](out)
        for g in [torch.sin, torch.cos]:
            out = g(out)
        local = functools.partial(helper, scale=2.0)
        return out, part(x), local(x, 2)

    check(f, (X,))


def test_globals_and_closures_are_constants_and_tensors_are_shared() -> None:
    offset = 10

    def f(x: Tensor):
        return x * SCALE + TABLE["a"] + offset, x.reshape(SHAPE), x * WEIGHT

    program = check(f, (X,))
    assert not program.globals
    assert {"offset", "SCALE", "WEIGHT"} <= {guard.name for guard in program.captures}


def test_modules_used_by_plain_functions_are_globals() -> None:
    linear = torch.nn.Linear(3, 2)

    def f(x: Tensor):
        return linear(x)

    program = check(f, (X,))
    assert program.globals == {"linear": linear}


def test_ignored_functions_call_python_and_unused_ones_without_types_raise() -> None:
    @markers.ignore
    def host(x: Tensor) -> Tensor:
        return torch.from_numpy(x.numpy() * 2)

    @torch.jit.unused
    def typed(x: Tensor) -> Tensor:
        return eval("x + 1")

    @markers.unused
    def never(x):
        return eval("x")

    def f(x: Tensor):
        return host(x) + typed(x)

    def g(x: Tensor):
        return never(x)

    check(f, (X,))
    from tests.frontend.script.helpers import runner

    with pytest.raises(RuntimeError, match="never"):
        runner(compiled(g))(X)


def test_functional_has_its_python_source_compiled() -> None:
    def f(x: Tensor):
        return (
            F.relu(x), F.dropout(x, 0.0), F.softmax(x, 0), F.layer_norm(x, [3]), F.normalize(x, dim=0),
            F.max_pool1d(x[None], 2), F.max_pool1d(x[None], 2, return_indices=True),
            F.interpolate(x[None, None], scale_factor=2.0), F.pad(x, (1, 1)), F.mse_loss(x, x + 1),
            F.cross_entropy(x[None], torch.tensor([1])), F.gelu(x, approximate="tanh"),
            F.one_hot(torch.tensor([0, 2]), 3), F.cosine_similarity(x, x, dim=0),
        )  # fmt: skip

    check(f, (X,))


def test_a_run_time_flag_joins_results_of_different_types() -> None:
    def f(x: Tensor, flag: bool):
        return F.max_pool1d(x, 2, return_indices=flag)

    check(f, (X[None], True), (X[None], False))


def test_parameters_without_annotation_are_typed_by_default_or_as_tensors() -> None:
    def f(x, n=2, s="a", y=None):
        return x * n, s, y is None

    program = check(f, (X, 3, "b"))
    assert [str(p.type) for p in program.graph.params] == ["Tensor", "int", "str", "None"]
    check(f, (X, 2, "a", X), y=T.TENSOR)


def test_lambdas_compile() -> None:
    check(lambda x: x + 1, (X,))
    first, second = (lambda x: x + 1), (lambda x: x + 2)
    check(first, (X,))
    check(second, (X,))


def test_itertools() -> None:
    def f(xs: list[int]):
        return list(itertools.repeat(1, 3)), [x for x in itertools.chain(xs, [1], xs)]

    check(f, ([1, 2],))


def test_star_parameters_of_entries_may_stay_empty() -> None:
    def f(x: Tensor, *rest: Tensor, **options: Tensor):
        return x, len(rest), len(options)

    program = compiled(f)
    assert program.graph.defaults == {"rest": (), "options": {}}


def test_a_default_list_of_a_nested_function_is_shared_by_its_calls() -> None:
    def f(n: int):
        def add(x: int, xs: list[int] = []):  # noqa: B006
            xs.append(x)
            return len(xs)

        return add(n), add(n), add(1, [5])

    check(f, (3,))


def test_compiled_functions_are_compiled_again_where_they_are_called() -> None:
    import scriptmode

    scripted = scriptmode.script(helper)

    def f(x: Tensor):
        return scripted(x, 3), scripted(x, scale=2.0)

    check(f, (X,))


def test_sizes_are_spread_into_torchs_variable_arguments() -> None:
    def f(x: Tensor):
        return x.reshape(*x.shape[:-1], 1, -1), torch.zeros(*x.shape), x.expand(2, *x.shape)

    check(f, (X,))


def test_limits_of_dtypes() -> None:
    def floats(x: Tensor):
        info = torch.finfo(x.dtype)
        return info.eps, info.max, info.tiny, info.bits, info.dtype, torch.finfo(torch.half).min

    def ints(x: Tensor):
        return torch.iinfo(x.dtype).min, torch.iinfo(x.dtype).max, torch.finfo().eps

    check(floats, *((torch.zeros(2).to(d),) for d in (
        torch.float32, torch.float64, torch.bfloat16, torch.complex64, torch.float8_e5m2, torch.int32,
    )))  # fmt: skip
    dtypes = (torch.int64, torch.uint8, torch.uint32, torch.float32)
    check(ints, *((torch.zeros(2).to(d),) for d in dtypes))


def test_stft_with_a_flag_known_at_run_time() -> None:
    def transform(x: Tensor, window: Tensor, center: bool):
        return torch.stft(x, 16, 8, window=window, center=center, return_complex=True)

    x, window = torch.rand(2, 64), torch.hann_window(16)
    check(transform, (x, window, True), (x, window, False), (x[0], window, True))


def test_displays_in_arms_have_the_annotated_type() -> None:
    def sizes(given: Optional[tuple[Optional[int], Optional[int]]]) -> list[Optional[int]]:
        return list(given) if given is not None else [None, None]

    def fill(x: Tensor, given: Optional[tuple[Optional[int], Optional[int]]]):
        found = sizes(given)
        if found[0] is None:
            found[0] = x.size(0)
        return found

    check(fill, (X, None), (X, (None, 2)), (X, (7, None)))


class Unknown(bytearray):
    """A class without a type."""


def test_entries_take_the_members_of_a_union_that_have_types() -> None:
    def double(x: Union[Tensor, Unknown], flag: Optional[Union[Unknown, int]] = None):
        if isinstance(x, Unknown):
            return x
        return x * 2 if flag is None else x * flag

    native = scriptmode.script(double)
    assert torch.equal(native(X), X * 2)
    assert torch.equal(native(X, 3), X * 3)
    with pytest.raises(TypeError):
        native(Unknown())
