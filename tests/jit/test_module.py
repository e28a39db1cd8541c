"""``ScriptModule`` is an ``nn.Module``: state, training, hooks, copies, methods, printing."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn

import scriptmode
from scriptmode import export

X = torch.randn(3, 4)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.drop = nn.Dropout(0.5)
        self.register_buffer("seen", torch.zeros(4))
        self.register_buffer("temporary", torch.ones(4), persistent=False)
        self.scale = nn.Parameter(torch.ones(4))

    def forward(self, x):
        y = self.drop(self.norm(self.linear(x))) * self.scale + self.temporary
        if self.training:
            self.seen += y.detach().sum(0)
        return y

    @export
    def features(self, x: Tensor, k: int = 2) -> Tensor:
        return self.linear(x) * k


def pair():
    net = Net()
    return copy.deepcopy(net), scriptmode.script(net)


def test_it_is_a_module_with_the_same_state():
    net, compiled = pair()
    assert isinstance(compiled, nn.Module) and isinstance(compiled, scriptmode.ScriptModule)
    assert list(compiled.state_dict()) == list(net.state_dict())
    assert "temporary" not in compiled.state_dict()
    for listing in ("named_parameters", "named_buffers", "named_modules", "named_children"):
        want = [name for name, _ in getattr(net, listing)()]
        assert [name for name, _ in getattr(compiled, listing)()] == want
    assert all(isinstance(m, scriptmode.ScriptModule) for m in compiled.modules())
    assert [p.shape for p in compiled.parameters()] == [p.shape for p in net.parameters()]


def test_parameters_are_those_of_the_eager_module():
    net = Net()
    compiled = scriptmode.script(net)
    assert all(a is b for a, b in zip(net.parameters(), compiled.parameters(), strict=True))
    assert compiled.linear.weight is net.linear.weight


@pytest.mark.parametrize("side", ["eager", "compiled"])
def test_load_state_dict_on_either_side(side):
    net = Net().eval()
    compiled = scriptmode.script(net)
    other = Net().eval()
    (net if side == "eager" else compiled).load_state_dict(other.state_dict())
    torch.testing.assert_close(compiled(X), other(X))
    (net if side == "eager" else compiled).load_state_dict(Net().state_dict(), assign=True)
    torch.testing.assert_close(compiled(X), net(X))


@pytest.mark.parametrize("side", ["eager", "compiled"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_to_another_dtype(side, dtype):
    net = Net().eval()
    compiled = scriptmode.script(net)
    (net if side == "eager" else compiled).to(dtype)
    x = X.to(dtype)
    got = compiled(x)
    assert got.dtype == dtype
    torch.testing.assert_close(got, net(x))


def test_double_half_and_float():
    net, compiled = pair()
    for name in ("double", "half", "float"):
        assert getattr(compiled.eval(), name)() is compiled
        getattr(net.eval(), name)()
        x = X.to(net.scale.dtype)
        torch.testing.assert_close(compiled(x), net(x))


def test_train_and_eval_reach_native_code():
    net, compiled = pair()
    for mode in (True, False, True):
        net.train(mode), compiled.train(mode)
        assert compiled.training is mode and compiled.drop.training is mode
        torch.manual_seed(3)
        want = net(X)
        torch.manual_seed(3)
        torch.testing.assert_close(compiled(X), want)
        for (name, a), (_, b) in zip(net.named_buffers(), compiled.named_buffers(), strict=True):
            torch.testing.assert_close(b, a, msg=name)
    compiled.norm.eval()
    net.norm.eval()
    torch.manual_seed(3)
    want = net(X)
    torch.manual_seed(3)
    torch.testing.assert_close(compiled(X), want)


def test_train_and_eval_of_the_eager_module_do_not_reach_the_compiled_one():
    net = nn.Sequential(nn.Dropout(0.5))
    compiled = scriptmode.script(net)
    compiled.eval()
    net.train()
    torch.testing.assert_close(compiled(X), X)


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam])
def test_training_steps_equal_eager(optimizer):
    net, compiled = pair()
    steps = [(m, optimizer(m.parameters(), lr=0.1)) for m in (net, compiled)]
    for step in range(3):
        losses = []
        for model, update in steps:
            torch.manual_seed(step)
            update.zero_grad()
            loss = model(X).square().mean()
            loss.backward()
            update.step()
            losses.append(loss.detach())
        torch.testing.assert_close(*losses)
    for a, b in zip(net.parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(a, b)
        torch.testing.assert_close(a.grad, b.grad)
    compiled.zero_grad()
    assert all(p.grad is None for p in compiled.parameters())


def test_frozen_parameters_get_no_gradient():
    net, compiled = pair()
    for model in (net, compiled):
        model.linear.requires_grad_(False)
        model(X).sum().backward()
    assert compiled.linear.weight.grad is None and compiled.scale.grad is not None


def test_hooks_on_the_outer_module():
    calls = []
    _, compiled = pair()
    compiled.eval()
    plain = compiled(X)
    before = compiled.register_forward_pre_hook(lambda m, args: (args[0] * 2,))
    after = compiled.register_forward_hook(lambda m, args, out: calls.append(m) or out + 1)
    got = compiled(X)
    before.remove()
    torch.testing.assert_close(compiled(X), plain + 1)
    after.remove()
    torch.testing.assert_close(compiled(X), plain)
    assert calls == [compiled, compiled] and not torch.equal(got, plain + 1)
    grads = []
    compiled.register_full_backward_hook(lambda m, gi, go: grads.append(go[0].shape))
    compiled(X.clone().requires_grad_()).sum().backward()
    assert grads == [X.shape]


def test_hooks_on_inner_modules_are_refused():
    _, compiled = pair()
    for name in ("register_forward_hook", "register_forward_pre_hook"):
        with pytest.raises(scriptmode.ScriptAttributeError, match="no effect"):
            getattr(compiled.linear, name)(lambda *a: None)


class Doubling(nn.Module):
    """A module whose child has a hook before it is compiled."""

    def __init__(self, kind):
        super().__init__()
        self.inner = nn.Linear(4, 4)
        if kind == "forward":
            self.inner.register_forward_hook(double_result)
        else:
            self.inner.register_forward_pre_hook(double_inputs)

    def forward(self, x):
        return self.inner(x)


def double_result(module, args: tuple[Tensor], out: Tensor) -> Tensor:
    return out * 2


def double_inputs(module, args: tuple[Tensor]) -> tuple[Tensor]:
    return (args[0] * 2,)


@pytest.mark.parametrize("kind", ["forward", "pre"])
def test_hooks_before_scripting_are_honoured_or_refused(kind):
    net = Doubling(kind)
    try:
        compiled = scriptmode.script(net)
    except scriptmode.CompileError as error:
        assert "hook" in str(error)
    else:
        torch.testing.assert_close(compiled(X), net(X))
    traced = scriptmode.trace(net, (X,))
    torch.testing.assert_close(traced(X), net(X))


def test_a_hook_of_the_root_before_scripting_is_honoured_or_refused():
    net = nn.Linear(4, 4)
    net.register_forward_hook(double_result)
    try:
        compiled = scriptmode.script(net)
    except scriptmode.CompileError as error:
        assert "hook" in str(error)
    else:
        torch.testing.assert_close(compiled(X), net(X))


def test_a_hook_of_the_root_before_tracing_runs_once():
    net = nn.Linear(4, 4)
    net.register_forward_hook(double_result)
    torch.testing.assert_close(scriptmode.trace(net, (X,))(X), net(X))


@pytest.mark.parametrize("inner", [False, True])
def test_backward_hooks_before_scripting_run(inner):
    net = nn.Sequential(nn.Linear(4, 4))
    counts = [0]

    def count(module, grad_input, grad_output):
        counts[0] += 1

    (net[0] if inner else net).register_full_backward_hook(count)
    compiled = scriptmode.script(net)
    compiled(X.clone().requires_grad_()).sum().backward()
    assert counts == [1]


def test_hooks_of_all_modules_are_honoured_or_refused():
    net = nn.Sequential(nn.Linear(4, 4))
    compiled = scriptmode.script(net)
    counts = [0]

    def count(module, args, result):
        counts[0] += 1

    handle = nn.modules.module.register_module_forward_hook(count)
    try:
        net(X)
        want, counts[0] = counts[0], 0
        try:
            compiled(X)
        except scriptmode.ScriptError as error:
            assert "hook" in str(error)
        else:
            assert counts[0] == want
    finally:
        handle.remove()


def test_a_deep_copy_is_independent():
    _, compiled = pair()
    compiled(X)
    twin = copy.deepcopy(compiled)
    assert type(twin) is type(compiled)
    assert twin._build.compiled is compiled._build.compiled
    assert list(twin.state_dict()) == list(compiled.state_dict())
    with torch.no_grad():
        twin.scale.mul_(3)
    twin.eval()
    assert compiled.training and not twin.training
    assert not torch.equal(twin.scale, compiled.scale)
    torch.manual_seed(1)
    a = compiled(X)
    torch.manual_seed(1)
    assert not torch.allclose(a, twin(X))


def test_exported_methods_and_submodules_are_compiled():
    net, compiled = pair()
    torch.testing.assert_close(compiled.features(X), (net.features(X)))
    torch.testing.assert_close(compiled.features(X, k=5), net.features(X, k=5))
    torch.testing.assert_close(compiled.linear(X), net.linear(X))
    assert compiled.linear.graph.return_type is not None


def test_a_call_of_a_submodule_sees_its_state():
    _, compiled = pair()
    compiled.drop.eval()
    torch.testing.assert_close(compiled.drop(X), X)
    compiled.drop.train()
    assert (compiled.drop(torch.ones(1000)) == 0).any()


def test_it_prints_its_tree():
    _, compiled = pair()
    text = repr(compiled)
    for name in ("Net", "linear", "Linear", "BatchNorm1d", "Dropout"):
        assert name in text
    assert compiled.original_name == "Net" and compiled.linear.original_name == "Linear"


def test_a_pickle_holds_an_archive():
    _, compiled = pair()
    back = pickle.loads(pickle.dumps(compiled.eval()))
    assert back is not compiled and torch.equal(back(X), compiled(X))


def test_graph_and_code():
    _, compiled = pair()
    assert "graph" in str(compiled.graph) and "prim::Call" in str(compiled.graph)
    assert "aten::linear" in str(compiled.inlined_graph)
    compile(compiled.code, "code", "exec")
    assert "forward" in compiled.schema or "Net" in compiled.schema


def test_containers_index_and_iterate():
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    compiled = scriptmode.script(net)
    assert len(compiled) == 3
    assert [m.original_name for m in compiled] == ["Linear", "ReLU", "Linear"]
    torch.testing.assert_close(compiled[0](X), net[0](X))
    torch.testing.assert_close(compiled(X), net(X))


def test_what_is_compiled_already_stays_itself():
    _, compiled = pair()
    assert scriptmode.script(compiled) is compiled


class Outer(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x) + 1


def test_a_compiled_module_inside_another():
    inner = nn.Linear(4, 4)
    compiled = scriptmode.script(Outer(scriptmode.script(inner)))
    torch.testing.assert_close(compiled(X), inner(X) + 1)
    eager = Outer(scriptmode.script(inner))
    torch.testing.assert_close(eager(X), inner(X) + 1)
    assert list(eager.state_dict()) == ["inner.weight", "inner.bias"]


@pytest.mark.parametrize("register", ["register_forward_hook", "register_forward_pre_hook"])
def test_hooks_with_other_parameters_are_refused_when_scripted(register):
    module = nn.Linear(2, 2)
    getattr(module, register)(lambda module: None)
    with pytest.raises(scriptmode.ScriptTypeError, match="does not fit: too many positional"):
        scriptmode.script(module)
    module = nn.Linear(2, 2)
    getattr(module, register)(lambda *everything: None, with_kwargs=True)
    scriptmode.script(module)(torch.ones(1, 2))
