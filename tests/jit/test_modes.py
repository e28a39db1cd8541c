"""Modes and unusual tensors: each call equals eager or is refused; interpreted calls are counted."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import scriptmode

X = torch.randn(3, 4)


def work(x):
    y = torch.relu(x) * 2
    for _ in range(2):
        y = y + x.mean()
    return torch.softmax(y, -1)


def make(x):
    return (
        x + torch.ones(4),
        torch.zeros(2),
        torch.arange(3),
        torch.full((2,), 1.5),
        torch.arange(1, 3, 1),
    )


def linear(x, w):
    return torch.mm(x, w) + 1


@pytest.fixture(params=["script", "trace"])
def compiled(request):
    return scriptmode.script(work) if request.param == "script" else scriptmode.trace(work, (X,))


def counted(compiled):
    return sum(compiled.bailouts.values())


# ---- interpreted under the mode


class Doubled(torch.Tensor):
    """A subclass that notes what is called."""

    seen: list[str] = []

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        cls.seen.append(getattr(function, "__name__", str(function)))
        return super().__torch_function__(function, types, args, kwargs or {})


@pytest.mark.bails_out
def test_tensor_subclasses(compiled):
    x = X.clone().as_subclass(Doubled)
    Doubled.seen.clear()
    got = compiled(x)
    assert type(got) is Doubled and Doubled.seen
    torch.testing.assert_close(got.as_subclass(Tensor), work(X))
    assert counted(compiled) == 1


@pytest.mark.bails_out
def test_a_plain_subclass():
    class Plain(torch.Tensor):
        pass

    compiled = scriptmode.script(work)
    got = compiled(X.clone().as_subclass(Plain))
    assert type(got) is type(work(X.clone().as_subclass(Plain)))
    assert counted(compiled) == 1


@pytest.mark.bails_out
def test_fake_tensors(compiled):
    with FakeTensorMode() as mode:
        fake = mode.from_tensor(X)
        got = compiled(fake)
        assert type(got) is type(work(fake)) and got.shape == X.shape
    outside = compiled(fake)
    assert type(outside) is type(fake)
    assert counted(compiled) == 2


@pytest.mark.bails_out
@pytest.mark.parametrize("transform", ["vmap", "grad", "jvp", "jacrev"])
def test_functorch(compiled, transform):
    def apply(function):
        if transform == "vmap":
            return torch.func.vmap(function)(X)
        if transform == "grad":
            return torch.func.grad(lambda x: function(x).square().sum())(X)
        if transform == "jvp":
            return torch.func.jvp(function, (X,), (torch.ones_like(X),))
        return torch.func.jacrev(function)(X)

    torch.testing.assert_close(apply(compiled), apply(work))
    assert counted(compiled) == 1


class Names(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.append(str(function))
        return function(*args, **(kwargs or {}))


@pytest.mark.bails_out
def test_dispatch_modes_see_the_ops(compiled):
    with Names() as eager:
        want = work(X)
    with Names() as ours:
        got = compiled(X)
    torch.testing.assert_close(got, want)
    assert [n for n in ours.names if "relu" in n or "softmax" in n] == [
        n for n in eager.names if "relu" in n or "softmax" in n
    ]
    assert counted(compiled) == 1
    compiled(X)
    assert counted(compiled) == 1


class Halving(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        return result / 2 if "relu" in str(function) else result


@pytest.mark.bails_out
def test_function_modes_change_results(compiled):
    with Halving():
        want, got = work(X), compiled(X)
    torch.testing.assert_close(got, want)
    assert counted(compiled) == 1


@pytest.mark.bails_out
def test_default_devices():
    compiled = scriptmode.script(make)
    with torch.device("meta"):
        got, want = compiled(X.to("meta")), make(X.to("meta"))
    assert [t.device for t in got] == [t.device for t in want]
    assert {t.device.type for t in got} == {"meta"}
    torch.set_default_device("meta")
    try:
        got = compiled(X.to("meta"))
        assert {t.device.type for t in got} == {"meta"}
    finally:
        torch.set_default_device(None)
    assert {t.device.type for t in compiled(X)} == {"cpu"}
    assert counted(compiled) == 2


def test_meta_tensors_run_natively(compiled):
    x = X.to("meta")
    got = compiled(x)
    assert got.device.type == "meta" and got.shape == work(x).shape


# ---- native under the mode


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        return torch.softmax(self.linear(x), -1) + x.sum()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast(dtype):
    net = Net()
    for compiled in (scriptmode.script(net), scriptmode.trace(net, (X,))):
        for cache in (True, False):
            with torch.autocast("cpu", dtype, cache_enabled=cache):
                want, got = net(X), compiled(X)
            assert got.dtype == want.dtype
            torch.testing.assert_close(got, want)
        torch.testing.assert_close(compiled(X), net(X))


def test_autocast_of_a_product(compiled):
    product = scriptmode.script(linear)
    with torch.autocast("cpu", torch.bfloat16):
        got, want = product(X, torch.eye(4)), linear(X, torch.eye(4))
    assert got.dtype == want.dtype
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_grad_modes(compiled, mode):
    x = X.clone().requires_grad_()
    with mode():
        want, got = work(x), compiled(x)
        assert got.requires_grad == want.requires_grad
        assert got.is_inference() == want.is_inference()
    torch.testing.assert_close(got, want)


def test_inference_tensors_outside_of_their_mode():
    with torch.inference_mode():
        x = X.clone()

    def write(x):
        return x.add_(1)

    compiled = scriptmode.script(write)
    for function in (write, compiled):
        with pytest.raises(RuntimeError, match="[Ii]nference tensor"):
            function(x)


def test_gradients_of_gradients(compiled):
    def second(function):
        x = X.clone().requires_grad_()
        (first,) = torch.autograd.grad(function(x).square().sum(), x, create_graph=True)
        return torch.autograd.grad(first.sum(), x)[0]

    torch.testing.assert_close(second(compiled), second(work))


def test_anomaly_and_saved_tensor_hooks(compiled):
    packed = []

    def grad(function):
        x = X.clone().requires_grad_()
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t: packed.append(t.shape) or t, lambda t: t
        ):
            y = function(x)
        return torch.autograd.grad(y.sum(), x)[0]

    want, n = grad(work), len(packed)
    torch.testing.assert_close(grad(compiled), want)
    assert len(packed) == 2 * n
    with torch.autograd.detect_anomaly(check_nan=False):
        torch.testing.assert_close(grad(compiled), want)


def test_deterministic_algorithms():
    def uninitialised(x, index):
        return torch.empty(3), x.index_add(0, index, x)

    compiled = scriptmode.script(uninitialised)
    torch.use_deterministic_algorithms(True)
    try:
        got = compiled(X, torch.tensor([0, 1, 0]))
        want = uninitialised(X, torch.tensor([0, 1, 0]))
        assert got[0].isnan().all() and want[0].isnan().all()
        assert torch.equal(got[1], want[1])
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_another_default_dtype(dtype):
    def floats(x, n: int):
        return torch.ones(2), torch.tensor(1.5), torch.arange(3) / n, torch.full((2,), 0.5), x * 0.5

    compiled = scriptmode.script(floats)
    compiled(torch.arange(3), 2)
    torch.set_default_dtype(dtype)
    try:
        got, want = compiled(torch.arange(3), 2), floats(torch.arange(3), 2)
        assert [t.dtype for t in got] == [t.dtype for t in want]
        for a, b in zip(got, want, strict=True):
            torch.testing.assert_close(a, b)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    "make_view",
    [
        lambda: torch.randn(3, 4, dtype=torch.complex64).conj(),
        lambda: torch.randn(3, 4, dtype=torch.complex64).conj().imag,
        lambda: torch._efficientzerotensor((3, 4)),
        lambda: X.t(),
        lambda: X[:0],
        lambda: X.to_sparse(),
        lambda: torch.quantize_per_tensor(X, 0.1, 0, torch.quint8),
    ],
    ids=["conj", "neg", "zero", "transposed", "empty", "sparse", "quantized"],
)
def test_unusual_tensors(make_view):
    def f(x):
        return x * 2

    x = make_view()
    try:
        want = f(x)
    except (RuntimeError, NotImplementedError) as error:
        with pytest.raises(type(error)):
            scriptmode.script(f)(x)
        return
    got = scriptmode.script(f)(x)
    assert got.layout == want.layout and got.is_conj() == want.is_conj()
    assert got.is_neg() == want.is_neg() and got.is_quantized == want.is_quantized
    if want.is_quantized:
        got, want = got.dequantize(), want.dequantize()
    torch.testing.assert_close(got.resolve_conj(), want.resolve_conj())


@pytest.mark.bails_out
def test_a_parameter_that_is_a_subclass():
    net = Net()
    compiled = scriptmode.script(net)
    net.linear.weight = nn.Parameter(net.linear.weight.detach().as_subclass(Doubled))
    try:
        got = compiled(X)
    except (TypeError, scriptmode.ScriptError):
        return
    torch.testing.assert_close(got.as_subclass(Tensor), net(X).as_subclass(Tensor))
    assert counted(compiled) == 1


@pytest.mark.bails_out
def test_functional_call_and_swapped_parameters():
    net = Net()
    compiled = scriptmode.script(net)
    state = {k: v.detach() * 2 for k, v in net.state_dict().items()}
    want = torch.func.functional_call(net, state, (X,))
    torch.testing.assert_close(torch.func.functional_call(compiled, state, (X,)), want)
    torch.testing.assert_close(compiled(X), net(X))
    grads = torch.func.grad(lambda s: torch.func.functional_call(compiled, s, (X,)).sum())(state)
    wanted = torch.func.grad(lambda s: torch.func.functional_call(net, s, (X,)).sum())(state)
    torch.testing.assert_close(grads, wanted)
