"""Op thunks agree with eager on values, exceptions, reference counts and autograd."""

import ctypes
import math
import threading

import pytest
import torch

from scriptmode.abi import dtypes, libtorch
from scriptmode.abi.convention import CTX_FIELDS
from scriptmode.abi.errors import release_cpp_exception
from scriptmode.codegen.engine import ThunkCache
from tests.abi.native_values import (
    Caller,
    in_a_child_process,
    provide_lists,
    schema_of,
    unchanged_counts,
)

pytestmark = pytest.mark.takes_handles

torch.set_num_threads(1)
aten = torch.ops.aten


def x(*shape: int) -> torch.Tensor:
    return torch.arange(1.0, 1 + math.prod(shape)).reshape(shape) / 7


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


# One row for each kind of argument and result: (op, arguments, keyword arguments).
CASES = {
    "tensors and a number": (aten.add.Tensor, (x(3), x(3)), {"alpha": 2}),
    "a float number": (aten.add.Scalar, (x(3), 2.5), {}),
    "a complex number": (aten.mul.Scalar, (x(3), 1 + 2j), {}),
    "a bool number": (aten.add.Scalar, (torch.tensor([1, 2]), True), {}),
    "optional numbers": (aten.clamp, (x(4),), {"min": 0.2, "max": None}),
    "a list of numbers": (aten._foreach_add.ScalarList, ([x(2), x(3)], [1, 2.5]), {}),
    "an int": (aten.unbind.int, (x(3, 2), 1), {}),
    "a symint": (aten.select.int, (x(3, 2), 0, 2), {}),
    "optional symints": (aten.slice.Tensor, (x(6), 0, 1, None, 2), {}),
    "a list of symints": (aten.reshape, (x(6), [2, -1]), {}),
    "an int list": (aten.permute, (x(2, 3), [1, 0]), {}),
    "an optional int list": (aten.sum.dim_IntList, (x(2, 3), [1]), {"keepdim": True}),
    "an absent int list": (aten.sum.dim_IntList, (x(2, 3), None), {}),
    "a dtype": (aten.sum, (x(2, 3),), {"dtype": torch.float64}),
    "a bool": (aten.cumsum.default, (x(3), 0), {}),
    "an optional float": (aten.logit, (x(3) / 2, 1e-3), {}),
    "no optional float": (aten.logit, (x(3) / 2,), {}),
    "a float": (aten.leaky_relu, (-x(3), 0.3), {}),
    "a string": (aten.div.Tensor_mode, (x(3), x(3) / 3), {"rounding_mode": "floor"}),
    "no string": (aten.div.Tensor_mode, (x(3), x(3) / 3), {"rounding_mode": None}),
    "a plain string": (aten.gelu, (x(3),), {"approximate": "tanh"}),
    "a list of tensors": (aten.stack, ([x(3), x(3)], 1), {}),
    "an ilist of tensors": (aten.cat, ([x(3), x(2)],), {}),
    "an optional tensor": (aten.linear, (x(2, 3), x(4, 3), x(4)), {}),
    "no optional tensor": (aten.linear, (x(2, 3), x(4, 3)), {}),
    "arguments beyond the registers": (
        aten.convolution,
        (x(1, 2, 5, 5), x(3, 2, 3, 3), x(3), [1, 1], [1, 1], [1, 1], False, [0, 0], 1),
        {},
    ),
    "many arguments and results": (
        aten.native_batch_norm,
        (x(4, 3), x(3), None, None, None, True, 0.1, 1e-5),
        {},
    ),
    "an array of bools": (
        aten.convolution_backward,
        (x(1, 3, 3, 3), x(1, 2, 3, 3), x(3, 2, 1, 1), [3], [1, 1], [0, 0], [1, 1], False,
         [0, 0], 1, [True, False, True]),
        {},
    ),
    "factory arguments": (
        aten.empty_strided,
        None,
        {},
    ),
    "device and dtype": (
        aten.full,
        ([2, 2], 3),
        {"dtype": torch.int32, "device": "cpu", "layout": torch.strided, "pin_memory": False},
    ),
    "memory format": (
        aten.clone, (x(1, 2, 3, 3),), {"memory_format": torch.channels_last},
    ),
    "a generator": (aten.normal.float_float, (0.0, 1.0, [3]), {"generator": generator}),
    "no generator": (aten.bernoulli.p, (torch.zeros(3), 1.0), {}),
    "optional tensors in a list": (
        aten.index.Tensor, (x(3, 4), [None, torch.tensor([1, 2])]), {},
    ),
    "a pair": (aten.max.dim, (x(3, 4), 1), {}),
    "a triple": (aten.native_layer_norm, (x(2, 3), [3], None, None, 1e-5), {}),
    "a list result": (aten.split.Tensor, (x(5), 2), {}),
    "an int result": (aten.size.int, (x(2, 3), 1), {}),
    "a symint result": (aten.sym_numel, (x(2, 3),), {}),
    "a bool result": (aten.equal, (x(3), x(3)), {}),
    "a float result": (aten.q_scale, (torch.quantize_per_tensor(x(2), 0.5, 1, torch.qint8),), {}),
    "a number result, float": (aten._local_scalar_dense, (torch.tensor(2.5).double(),), {}),
    "a number result, int": (aten._local_scalar_dense, (torch.tensor(-3),), {}),
    "a number result, bool": (aten._local_scalar_dense, (torch.tensor(True),), {}),
    "a number result, complex": (aten._local_scalar_dense, (torch.tensor(1 + 2j),), {}),
    "a number result, unsigned": (
        aten._local_scalar_dense, (torch.tensor(7, dtype=torch.uint64),), {},
    ),
    "mixed results": (aten._choose_qparams_per_tensor, (x(4),), {}),
    "a list of floats": (
        aten.upsample_nearest2d.vec, (x(1, 1, 2, 2), None, [2.0, 2.0]), {},
    ),
    "a result with tensors and ints": (
        aten._scaled_dot_product_flash_attention_for_cpu, (x(1, 2, 3, 8), x(1, 2, 3, 8), x(1, 2, 3, 8)), {},
    ),
    "einsum": (aten.einsum, ("ij,jk->ik", [x(2, 3), x(3, 2)]), {}),
    "no tensor": (aten.eye, (3,), {}),
    "promotion": (aten.result_type.Tensor, (x(2), torch.tensor(1)), {}),
}  # fmt: skip
CASES = {name: case for name, case in CASES.items() if case[1] is not None}


def resolved(named: dict) -> dict:
    return {k: v() if v is generator else v for k, v in named.items()}


@pytest.mark.parametrize("name", CASES)
def test_a_thunk_gives_what_eager_gives(name: str) -> None:
    op, values, named = CASES[name]
    got = Caller(op)(*values, **resolved(named))
    expected = op(*values, **resolved(named))
    if isinstance(got, torch.dtype):
        assert dtypes.DTYPE_NUMBERS[got] == expected  # the registry gives the number
    elif isinstance(expected, torch.Tensor) or isinstance(expected, (list, tuple)):
        expected = expected if isinstance(expected, torch.Tensor) else type(got)(expected)
        _same(got, expected)
    else:
        assert type(got) is type(expected) and got == expected


def _same(got, expected) -> None:
    if isinstance(expected, torch.Tensor):
        assert got.dtype == expected.dtype and got.stride() == expected.stride()
        torch.testing.assert_close(got, expected, equal_nan=True)
    elif isinstance(expected, (list, tuple)):
        assert len(got) == len(expected)
        for g, e in zip(got, expected, strict=True):
            if e is not None:
                _same(g, e)
    else:
        assert got == expected


def test_in_place_and_out_results_are_the_argument() -> None:
    target = x(3).clone()
    assert Caller(aten.add_.Tensor)(target, x(3)) is target
    torch.testing.assert_close(target, 2 * x(3))
    out = torch.empty(3)
    assert Caller(aten.mul.out)(x(3), x(3), out=out) is out
    torch.testing.assert_close(out, x(3) * x(3))
    values, indices = torch.empty(2), torch.empty(2, dtype=torch.int64)
    got = Caller(aten.max.dim_max)(x(2, 3), 1, max=values, max_values=indices)
    assert got[0] is values and got[1] is indices
    assert Caller(aten.resize_)(out, [5]) is out and out.shape == (5,)


def test_an_op_without_result_returns_none() -> None:
    tensors = [x(2).clone(), x(3).clone()]
    assert Caller(aten._foreach_add_.Scalar)(tensors, 1) is None
    torch.testing.assert_close(tensors[1], x(3) + 1)


RAISING = {
    "shape": (aten.add.Tensor, (x(3), x(4)), {}),
    "index": (aten.select.int, (x(3), 0, 7), {}),
    "dim": (aten.sum.dim_IntList, (x(3), [4]), {}),
    "not implemented": (aten.bitwise_and.Tensor, (x(3), x(3)), {}),
    "value": (aten.div.Tensor_mode, (x(3), x(3)), {"rounding_mode": "café ü"}),
    "wide text": (aten.div.Tensor_mode, (x(3), x(3)), {"rounding_mode": "日本\U0001f600"}),
    "list of optional": (aten.index.Tensor, (x(3), [torch.tensor([9])]), {}),
    "singular": (aten.linalg_inv, (torch.zeros(2, 2),), {}),
    "generator": (aten.normal.float_float, (0.0, -1.0, [3]), {"generator": generator}),
    "numbers": (aten._foreach_add.ScalarList, ([x(2), x(3)], [1]), {}),
}


@pytest.mark.parametrize("name", RAISING)
def test_a_c_plus_plus_exception_becomes_eagers_exception(name: str) -> None:
    op, values, named = RAISING[name]
    with pytest.raises(Exception) as expected:
        op(*values, **resolved(named))
    caller = Caller(op)
    with pytest.raises(type(expected.value)) as got:
        caller(*values, **resolved(named))
    assert type(got.value) is type(expected.value)
    assert str(got.value) == str(expected.value)


def test_integers_below_the_symint_range_are_refused() -> None:
    with pytest.raises(RuntimeError, match=r"below -2\*\*62"):
        Caller(aten.select.int)(x(3), 0, -(1 << 62) - 1)
    with pytest.raises(RuntimeError, match=r"below -2\*\*62"):
        Caller(aten.reshape)(x(3), [-(1 << 63)])
    with pytest.raises(IndexError):
        Caller(aten.select.int)(x(3), 0, -(1 << 62))


def test_a_bool_list_of_the_wrong_length_is_refused() -> None:
    op, values, named = CASES["an array of bools"]
    with pytest.raises(RuntimeError, match="wrong length"):
        Caller(op)(*values[:-1], [True, False], **named)


def test_an_unsigned_number_beyond_int64_is_refused() -> None:
    with pytest.raises(RuntimeError, match="64-bit"):
        Caller(aten._local_scalar_dense)(torch.tensor(2**63 + 1, dtype=torch.uint64))


COUNTED = {
    "a new tensor": (aten.add.Tensor, (x(3), x(3)), {}),
    "a view": (aten.select.int, (x(3), 0, 1), {}),
    "a list": (aten.split.Tensor, (x(5), 2), {}),
    "lists of tensors": (aten.stack, ([x(3), x(3)],), {}),
    "optional tensors": (aten.index.Tensor, (x(3, 3), [None, torch.tensor([1])]), {}),
    "in place": (aten.mul_.Scalar, (x(3), 1), {}),
    "a pair": (aten.max.dim, (x(3, 4), 1), {}),
    "raising": (aten.add.Tensor, (x(3), x(4)), {}),
    "raising in a list": (aten.index.Tensor, (x(3), [torch.tensor([9])]), {}),
    "a generator": (aten.normal.float_float, (0.0, 1.0, [3]), {"generator": generator()}),
}


def tensors_in(values) -> list[torch.Tensor]:
    found = []
    for value in values:
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, list):
            found += tensors_in(value)
    return found


@pytest.mark.parametrize("name", COUNTED)
def test_reference_counts_are_exact(name: str) -> None:
    op, values, named = COUNTED[name]
    caller = Caller(op)
    involved = tensors_in(values)
    with unchanged_counts(*involved):
        for _ in range(200):
            try:
                got = caller(*values, **named)
            except (RuntimeError, IndexError):
                continue
            del got


def test_ten_thousand_calls_do_not_grow(tmp_path) -> None:
    caller = Caller(aten.index.Tensor)
    values, index = x(64, 64), torch.arange(64)
    failing = Caller(aten.add.Tensor)

    def run(times: int) -> int:
        for _ in range(times):
            caller(values, [index, None])
            with pytest.raises(RuntimeError):
                failing(values, index[:3])
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096

    run(500)
    before = run(500)
    assert run(4500) - before < 4 << 20


@in_a_child_process
def test_debug_thunks_count_owned_tensors(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("SCRIPTMODE_CACHE_DIR", str(tmp_path))
    provide_lists()
    cache = ThunkCache(debug=True)
    for name, gained in (("a new tensor", 1), ("a list", 3), ("in place", 1), ("a pair", 2),
                         ("optional tensors", 1), ("raising", 0)):  # fmt: skip
        op, values, named = COUNTED[name]
        caller = Caller(op, cache)
        before = cache.live_tensors.value
        ctx = (ctypes.c_int64 * len(CTX_FIELDS))()
        arguments = caller.bind(*values, **named)
        status, _ = caller.raw(ctx, arguments)
        assert cache.live_tensors.value - before == gained, name
        if status:
            release_cpp_exception(ctx[2])


def test_autograd_records_when_grad_mode_is_on() -> None:
    weight = x(3).clone().requires_grad_()
    got = Caller(aten.mul.Tensor)(weight, weight)
    assert got.requires_grad
    got.sum().backward()
    torch.testing.assert_close(weight.grad, 2 * x(3))
    with torch.no_grad():
        assert not Caller(aten.mul.Tensor)(weight, weight).requires_grad


def test_saved_indices_outlive_the_call() -> None:
    source = x(3, 4).clone().requires_grad_()
    index = torch.tensor([1, 1, 3])
    with unchanged_counts(index):
        got = Caller(aten.index.Tensor)(source, [None, index])
        got.sum().backward()
        expected = torch.zeros(3, 4)
        expected[:, 1], expected[:, 3] = 2, 1
        torch.testing.assert_close(source.grad, expected)
        del got
    values = x(3).clone().requires_grad_()
    base = torch.zeros(4)
    put = Caller(aten.index_put)(base, [index], values, True)
    put.sum().backward()
    torch.testing.assert_close(values.grad, torch.ones(3))


def test_index_works_under_functorch() -> None:
    caller = Caller(aten.index.Tensor)

    def gather(row, index):
        return caller(row, [index])

    rows, indices = x(3, 4), torch.tensor([[0, 1], [1, 2], [3, 3]])
    got = torch.vmap(gather)(rows, indices)
    torch.testing.assert_close(got, torch.gather(rows, 1, indices))


def test_an_undefined_tensor_is_none_for_an_optional_argument() -> None:
    gradient = Caller(aten.convolution_backward)
    _, values, _ = CASES["an array of bools"]
    results = gradient(*values)
    assert results[1] is None  # the undefined tensor is None to Python


def test_many_threads_call_at_once() -> None:
    callers = [Caller(aten.add.Tensor), Caller(aten.split.Tensor), Caller(aten.add.Tensor)]
    shared = x(8)
    problems: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(300):
                torch.testing.assert_close(callers[0](shared, shared), 2 * shared)
                assert len(callers[1](shared, 3)) == 3
                with pytest.raises(RuntimeError):
                    callers[2](shared, x(3))
        except BaseException as problem:
            problems.append(problem)

    with unchanged_counts(shared):
        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not problems


@in_a_child_process
def test_threads_may_ask_for_the_same_thunks(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("SCRIPTMODE_CACHE_DIR", str(tmp_path))
    cache = ThunkCache(debug=True)
    schemas = [schema_of(op) for op in (aten.relu, aten.sin, aten.cos)]
    found: list[dict] = []
    threads = [threading.Thread(target=lambda: found.append(cache.get(schemas))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 5 and all(f == found[0] for f in found)


@in_a_child_process
def test_damaged_and_unwritable_caches_are_ignored(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("SCRIPTMODE_CACHE_DIR", str(tmp_path))
    schemas = [schema_of(aten.tanh)]
    assert ThunkCache(debug=True).get(schemas)
    files = [f for f in tmp_path.rglob("*") if f.is_file()]
    assert files
    for file in files:
        file.write_bytes(file.read_bytes()[:-1] + b"?")
    assert ThunkCache(debug=True).get(schemas)
    monkeypatch.setenv("SCRIPTMODE_CACHE_DIR", "/proc/nowhere")
    assert ThunkCache(debug=True).get(schemas)


@pytest.fixture(scope="module")
def library():
    """Ops implemented in Python, which have no function exported by libtorch."""
    made = torch.library.Library("sm_test", "FRAGMENT")
    made.define(
        "mix(Tensor x, Tensor? y, int k, float f, bool b, str s, int[] sizes, Tensor[] ts, "
        "float? g, str? t, ScalarType? dtype, Device? device) -> (Tensor, float, bool, float, Tensor)"
    )
    made.define("pieces(Tensor x, int n) -> Tensor[]")
    made.define("maybe(Tensor x, bool b) -> Tensor?")
    made.define("fails(Tensor x) -> Tensor")
    made.define("bump_(Tensor(a!) x) -> Tensor(a!)")
    made.define("uneven(Tensor x) -> (Tensor, int)")
    made.define("scaled(Tensor x, Scalar s) -> Tensor")

    def mix(x, y, k, f, b, s, sizes, ts, g, t, dtype, device):
        total = x * k + f + (0 if y is None else y) + sum(sizes) + sum(ts)
        assert s == "aé" and t in (None, "日") and dtype in (None, torch.float64)
        assert device in (None, torch.device("cpu")) and (g is None or g == 0.5)
        return total, f + 1, not b, f * 2, -total

    kernels = {
        "mix": mix,
        "pieces": lambda x, n: [x + i for i in range(n)],
        "maybe": lambda x, b: x + 1 if b else None,
        "fails": _fail,
        "bump_": lambda x: x.add_(1),
    }
    for name, kernel in kernels.items():
        made.impl(name, kernel, "CompositeExplicitAutograd")
    yield torch.ops.sm_test
    made._destroy()


def _fail(x):
    raise ValueError("no such thing")


def test_ops_implemented_in_python_go_through_the_dispatcher(library) -> None:
    for y, g, t, dtype, device in (
        (x(3), 0.5, "日", torch.float64, "cpu"),
        (None, None, None, None, None),
    ):
        values = (x(3), y, 3, 1.5, True, "aé", [1, 2], [x(3), x(3)], g, t, dtype, device)
        assert libtorch.route(schema_of(library.mix)) == libtorch.Route(
            "dispatcher", in_python=True
        )
        _same(Caller(library.mix)(*values), library.mix(*values))
    _same(Caller(library.pieces)(x(3), 2), library.pieces(x(3), 2))
    _same(Caller(library.maybe)(x(3), True), x(3) + 1)
    target = x(3).clone()
    assert Caller(library.bump_)(target) is target
    torch.testing.assert_close(target, x(3) + 1)


def test_the_dispatcher_reports_the_text_of_an_error(library) -> None:
    caller = Caller(library.fails)
    with pytest.raises(RuntimeError, match="ValueError: no such thing"):
        caller(x(3))


def test_the_dispatcher_keeps_reference_counts(library) -> None:
    source = x(3)
    with unchanged_counts(source):
        for op, values in (
            (library.pieces, (source, 2)),
            (library.fails, (source,)),
            (library.bump_, (source,)),
            (library.maybe, (source, True)),
        ):
            caller = Caller(op)
            for _ in range(50):
                try:
                    got = caller(*values)
                except RuntimeError:
                    continue
                del got


@in_a_child_process
def test_an_op_without_native_route_says_why(library) -> None:
    schema = schema_of(library.scaled)
    assert libtorch.route(schema).name is None
    with pytest.raises(NotImplementedError, match=r"sm_test::scaled: .* the type Scalar"):
        ThunkCache(debug=True).get([schema])
    assert "different types" in libtorch.route(schema_of(library.uneven)).reason
