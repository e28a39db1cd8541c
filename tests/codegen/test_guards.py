"""Guards: native answers are those of the reference meanings, for tensors and threads of all sorts."""

import ctypes

import pytest
import torch
from torch.autograd import forward_ad

from scriptmode.abi import tensorfields, threadkeys
from scriptmode.abi.tensorkeys import without_modes
from scriptmode.codegen import function, guards
from scriptmode.ir import types as T
from scriptmode.ir.graph import Graph
from scriptmode.ops import table
from tests.codegen.native_calls import Compiled, builder_for, program_of

FITS = table.find("tensor::fits").meaning
IS_PLAIN_STATE = table.find("torch::is_plain_state").meaning
pytestmark = pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
BASE = torch.rand(2, 3, 4)
WANTED = [
    (torch.float32, (2, 3, 4), (12, 4, 1)),
    (torch.float32, (2, 4, 3), (12, 1, 4)),
    (torch.float32, (2, -1, 4), (12, -1, 1)),
    (torch.int64, (2, 3, 4), (12, 4, 1)),
    (torch.float32, (), ()),
    (torch.float32, (1, 1, 2, 1, 1, 3, 4), (24, 24, 12, 12, 12, 4, 1)),
    (torch.float32, (1,) * 9, (1,) * 9),
]


def compile_fits(dtype, shape, strides, records=True) -> Compiled:
    graph = Graph("fits")
    x = graph.add_param(T.TENSOR, "x")
    graph.return_type = T.BOOL
    b = builder_for(graph)
    wanted = [
        b.constant(dtype, T.DTYPE), b.constant(torch.Size(shape), T.SIZE),
        b.constant(torch.Size(strides), T.SIZE), b.constant(records),
    ]  # fmt: skip
    graph.block.terminate("prim::Yield", [b.op("tensor::fits", x, *wanted)])
    return Compiled(program_of(graph))


def compile_state() -> Compiled:
    graph = Graph("state")
    needs_no_grad = graph.add_param(T.BOOL, "needs_no_grad")
    graph.return_type = T.BOOL
    b = builder_for(graph)
    default = b.constant(torch.float32, T.DTYPE)
    plain = b.op("torch::is_plain_state", needs_no_grad, default)
    graph.block.terminate("prim::Yield", [plain])
    return Compiled(program_of(graph))


def tensors() -> dict[str, torch.Tensor]:
    """Tensors that fit one of ``WANTED``, or nearly."""
    complex_one = torch.rand(2, 3, 4, dtype=torch.complex64)
    with torch.inference_mode():
        of_inference = torch.rand(2, 3, 4)
    return {
        "plain": BASE,
        "transposed": BASE.transpose(1, 2),
        "transposed to fit": torch.rand(2, 4, 3).transpose(1, 2),
        "five rows": torch.rand(2, 5, 4),
        "slice with its strides": torch.rand(2, 9, 4)[:, :3],
        "fewer dimensions": BASE[0],
        "scalar": torch.tensor(1.0),
        "empty": torch.empty(0, 3, 4),
        "seven dimensions": torch.rand(1, 1, 2, 1, 1, 3, 4),
        "seven others": torch.rand(1, 1, 2, 1, 1, 4, 3),
        "nine dimensions": torch.rand((1,) * 9),
        "eleven dimensions": torch.rand((1,) * 11),
        "double": BASE.double(),
        "int": BASE.long(),
        "meta": torch.empty(2, 3, 4, device="meta"),
        "leaf": torch.rand(2, 3, 4, requires_grad=True),
        "parameter": torch.nn.Parameter(torch.rand(2, 3, 4)),
        "fixed parameter": torch.nn.Parameter(torch.rand(2, 3, 4), requires_grad=False),
        "result with gradient": torch.rand(2, 3, 4, requires_grad=True) * 2,
        "view of what needs gradients": torch.rand(6, 4, requires_grad=True).view(2, 3, 4),
        "view": torch.rand(6, 4).view(2, 3, 4),
        "detached": torch.rand(2, 3, 4, requires_grad=True).detach(),
        "imaginary part": complex_one.imag,
        "negative view": complex_one.conj().imag,
        "complex": complex_one,
        "conjugate": complex_one.conj(),
        "sparse": torch.ones(2, 3, 4).to_sparse(),
        "quantized": torch.quantize_per_tensor(BASE, 0.1, 0, torch.quint8),
        "made in inference mode": of_inference,
    }


def modes():
    """Thread states; each entry makes a context manager."""
    return {
        "grad": torch.enable_grad,
        "no grad": torch.no_grad,
        "inference": torch.inference_mode,
    }


@pytest.mark.parametrize("records", [True, False])
@pytest.mark.parametrize("wanted", WANTED, ids=str)
def test_a_tensor_fits_as_the_reference_meaning_says(wanted, records) -> None:
    fits = compile_fits(*wanted, records)
    shape, strides = torch.Size(wanted[1]), torch.Size(wanted[2])
    seen = set()
    for name, tensor in tensors().items():
        for mode, enter in modes().items():
            with enter():
                want = FITS(tensor, wanted[0], shape, strides, records)
                assert fits(tensor) == want, f"{name} under {mode}"
                seen.add(want)
    assert seen == {True, False}


def test_tensors_fit_by_the_c_interface_where_words_are_not_found(monkeypatch) -> None:
    monkeypatch.setattr(guards, "fields", lambda: None)
    for wanted in WANTED[:3]:
        test_a_tensor_fits_as_the_reference_meaning_says(wanted, True)


def test_tensors_fit_by_tests_that_many_guards_share(monkeypatch) -> None:
    monkeypatch.setattr(function, "MOST_GUARDS", 0)
    for wanted in WANTED:
        for records in (True, False):
            test_a_tensor_fits_as_the_reference_meaning_says(wanted, records)


def test_a_function_of_many_guards_tests_each() -> None:
    many = function.MOST_GUARDS + 3
    graph = Graph("fits")
    params = [graph.add_param(T.TENSOR, f"x{i}") for i in range(many)]
    graph.return_type = T.BOOL
    b = builder_for(graph)
    found = b.constant(True)
    for i, x in enumerate(params):
        wanted = [
            b.constant(torch.float32, T.DTYPE), b.constant(torch.Size((2 + i % 3,)), T.SIZE),
            b.constant(torch.Size((1,)), T.SIZE), b.constant(True),
        ]  # fmt: skip
        found = b.op("bool::and", found, b.op("tensor::fits", x, *wanted))
    graph.block.terminate("prim::Yield", [found])
    compiled = Compiled(program_of(graph))
    values = [torch.ones(2 + i % 3) for i in range(many)]
    assert compiled(*values)
    for i in range(many):
        assert not compiled(*values[:i], torch.ones(7), *values[i + 1 :])


def test_gradients_are_looked_for_only_while_they_are_recorded() -> None:
    fits = compile_fits(*WANTED[0])
    parameter = tensors()["parameter"]
    assert not fits(parameter)
    with torch.no_grad():
        assert fits(parameter)


def test_a_tensor_of_inference_mode_fits_there_only() -> None:
    fits = compile_fits(*WANTED[0])
    tensor = tensors()["made in inference mode"]
    assert not fits(tensor)
    with torch.inference_mode():
        assert fits(tensor) and fits(BASE)


STATES = {
    "plain": (torch.enable_grad, True),
    "no grad": (torch.no_grad, True),
    "inference mode": (torch.inference_mode, True),
    "autocast": (lambda: torch.autocast("cpu"), False),
    "functionalize": (
        lambda: torch._C._IncludeDispatchKeyGuard(torch._C.DispatchKey.Functionalize), False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("found", [True, False], ids=["words", "queries"])
@pytest.mark.parametrize("name", STATES)
def test_thread_states(name, found, monkeypatch) -> None:
    if not found:
        monkeypatch.setattr(guards, "thread_keys", lambda: None)
    state = compile_state()
    enter, is_plain = STATES[name]
    with enter():
        for needs_no_grad in (False, True):
            want = is_plain and not (needs_no_grad and torch.is_grad_enabled())
            assert state(needs_no_grad) == want
            assert IS_PLAIN_STATE(needs_no_grad, torch.float32) == want


def test_a_dual_level_is_no_plain_state() -> None:
    with forward_ad.dual_level():
        assert not IS_PLAIN_STATE(False, torch.float32)


def test_another_default_dtype_is_no_plain_state() -> None:
    state = compile_state()
    torch.set_default_dtype(torch.float64)
    try:
        assert not state(False)
        assert not IS_PLAIN_STATE(False, torch.float32)
    finally:
        torch.set_default_dtype(torch.float32)
    assert state(False)


def test_a_new_thread_is_plain() -> None:
    state = compile_state()
    with torch.autocast("cpu"):
        assert not state(False)
        assert without_modes(lambda: state(False))


def test_the_installed_torch_is_laid_out_as_expected() -> None:
    assert tensorfields.fields() is not None
    assert threadkeys.thread_keys() is not None


def test_a_torch_laid_out_otherwise_is_noticed(monkeypatch) -> None:
    assert tensorfields._holds(tensorfields.fields())
    monkeypatch.setattr(tensorfields, "INLINE_DIMS", 4)
    assert tensorfields._find() is None


def test_the_address_of_the_thread_keys_is_checked() -> None:
    module, offset = threadkeys._find_index()
    assert threadkeys._checked((module, offset + 8)) is None
    assert ctypes.sizeof(threadkeys.thread_keys().index) == 16
