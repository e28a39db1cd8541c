"""Modules that torch.jit has stored: results, state, methods, attributes, gradients."""

import copy
import io
from typing import Dict, List, Tuple

import pytest
import torch

import scriptmode
from tests.torchscript import modules
from tests.torchscript.alike import assert_same, both, check, outcome, saved, stored

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("cls", modules.MODULES, ids=lambda c: c.__name__)
def test_module_gives_what_torch_jit_gives(cls):
    check(cls().eval(), *modules.MODULES[cls])


@pytest.mark.parametrize("cls", [modules.Plain, modules.Recurrent, modules.Convolutions])
def test_loaded_module_trains_as_in_torch_jit(cls):
    ours, theirs = both(stored(cls()))
    (args,) = modules.MODULES[cls]
    gradients = []
    for module in (ours, theirs):
        module.train()
        optimizer = torch.optim.SGD(module.parameters(), 0.1)
        for _ in range(2):
            optimizer.zero_grad()
            found = module(*args)
            first = (
                found if isinstance(found, torch.Tensor) else found[0] + sum(map(torch.sum, found))
            )
            first.sum().backward()
            optimizer.step()
        gradients.append({n: p.grad for n, p in module.named_parameters()})
    assert list(gradients[0]) == list(gradients[1])
    torch.testing.assert_close(*[[g for g in side.values() if g is not None] for side in gradients])
    torch.testing.assert_close(dict(ours.state_dict()), dict(theirs.state_dict()))


def test_state_and_structure_are_those_of_the_file():
    ours, theirs = both(stored(modules.Plain()))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert [n for n, _ in ours.named_modules()] == [n for n, _ in theirs.named_modules()]
    assert {n: p.requires_grad for n, p in ours.named_parameters()} == {
        n: p.requires_grad for n, p in theirs.named_parameters()
    }
    assert ours.training and not ours.eval().training and not ours.lin.training
    assert ours.original_name == "Plain" and ours.none is None
    assert "linear" in ours.code or "forward" in ours.code
    other = modules.Plain().state_dict()
    ours.load_state_dict(other)
    theirs.load_state_dict(other)
    torch.testing.assert_close(ours(modules.Y), theirs(modules.Y))


def test_attributes_and_several_methods():
    ours, theirs = both(stored(modules.State()))
    for module in (ours, theirs):
        module(modules.Y)
    assert (ours.count, ours.rate, ours.name, ours.flag) == (1, 1.0, "é\n", True)
    assert ours.seen == [1, 2, 1] and ours.maybe == 5 and ours.pair == (3, "x")
    assert ours.texts("b") == theirs.texts("b")
    ours.reset()
    theirs.reset()
    assert_same(outcome(ours, (modules.Y,)), outcome(theirs, (modules.Y,)))
    assert ours.count == 1 and list(ours.table) == ["a", "1"]
    ours.count = 41
    assert ours(modules.Y)[1] == 42 + len(ours.table)


def test_constants_enumerations_and_named_tuples_are_the_users():
    ours, _ = both(stored(modules.Constants()))
    pair, same, value, mode, name = ours(modules.Y, modules.Color.BLUE)
    assert type(pair) is modules.Pair and pair.second == 3
    assert (same, value, mode, name) == (False, 2, "slow", "RED")
    assert ours.color is modules.Color.RED and ours.size == 3 and list(ours.names) == ["a", "b"]
    assert ours.pick(modules.Mode.SLOW) is modules.Mode.FAST


def test_classes_that_are_not_here_are_made(monkeypatch):
    data = stored(modules.Constants())
    monkeypatch.delattr(modules, "Pair")
    monkeypatch.delattr(modules, "Color")
    ours = scriptmode.load(io.BytesIO(data))
    color = type(ours.color)
    assert [m.name for m in color] == ["RED", "BLUE"] and ours.color.value == 1
    pair, same, *_ = ours(modules.Y, color.RED)
    assert same and pair._fields == ("first", "second") and pair.second == 3


def test_tied_parameters_and_shared_storage_stay_so():
    class Tied(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a = torch.nn.Linear(3, 3, bias=False)
            self.b = torch.nn.Linear(3, 3, bias=False)
            self.b.weight = self.a.weight
            whole = torch.arange(6.0)
            self.register_buffer("low", whole[:3])
            self.register_buffer("high", whole[3:])

        def forward(self, x):
            return self.b(self.a(x)) + self.low + self.high

    ours, theirs = both(stored(Tied()))
    assert ours.a.weight is ours.b.weight
    assert ours.low.untyped_storage().data_ptr() == ours.high.untyped_storage().data_ptr()
    torch.testing.assert_close(ours(modules.Y), theirs(modules.Y))


def test_lists_hold_the_parameters_themselves():
    class Listed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.w = torch.nn.Parameter(torch.ones(3))
            self.weights = [self.w, torch.zeros(3)]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.weights[0] + self.weights[1]

    class Outer(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Listed()
            self.first = [self.inner.w]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x) * self.first[0]

    ours, theirs = both(stored(Outer()))
    for module in (ours, theirs):
        module(modules.Y).sum().backward()
    torch.testing.assert_close(ours.inner.w.grad, theirs.inner.w.grad)


def test_loaded_module_is_copied_and_pickled():
    ours, _ = both(stored(modules.Plain()))
    wanted = ours(modules.Y)
    torch.testing.assert_close(copy.deepcopy(ours)(modules.Y), wanted)
    once = saved(ours)
    again = scriptmode.load(io.BytesIO(once))
    torch.testing.assert_close(again(modules.Y), wanted)
    assert saved(again) == once


def test_errors_are_of_the_class_that_was_raised():
    ours, _ = both(stored(modules.Raising()))
    with pytest.raises(IndexError, match="n is 3"):
        ours(modules.Y, 3)
    with pytest.raises(RuntimeError, match="in a loop"):
        ours(modules.Y, 2)


def double(self, input: Tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
    return output * 2


def shifted(self, input: Tuple[torch.Tensor]) -> Tuple[torch.Tensor]:
    return (input[0] + 10,)


def watched(self, input: Tuple[torch.Tensor], output: torch.Tensor) -> None:
    print("seen", input[0].size(0), output.size(0))


def test_compiled_hooks_run(capsys):
    class Outer(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = torch.nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.lin(x) - 1

    network = Outer()
    network.lin.register_forward_hook(double)
    network.lin.register_forward_pre_hook(shifted)
    for hook in (double, watched):
        network.register_forward_hook(hook)
    network.register_forward_pre_hook(shifted)
    ours, theirs = both(stored(network))
    torch.testing.assert_close(ours(modules.Y), theirs(modules.Y))
    torch.testing.assert_close(ours.lin(modules.Y), theirs.lin(modules.Y))
    assert capsys.readouterr().out.splitlines().count("seen 2 2") == 2
    again = scriptmode.load(io.BytesIO(saved(ours)))
    torch.testing.assert_close(again(modules.Y), theirs(modules.Y))


def test_module_without_forward():
    class Library(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = torch.nn.Linear(3, 3)

        @torch.jit.export
        def run(self, x: torch.Tensor, n: int = 2) -> torch.Tensor:
            return self.lin(x) * n

        @torch.jit.export
        def count(self, words: List[str]) -> Dict[str, int]:
            found: Dict[str, int] = {}
            for word in words:
                found[word] = found.get(word, 0) + 1
            return found

    ours, theirs = both(stored(Library()))
    assert_same(outcome(ours.run, (modules.Y,)), outcome(theirs.run, (modules.Y,)))
    again = scriptmode.load(io.BytesIO(saved(ours)))
    assert ours.count(["a", "b", "a"]) == again.count(["a", "b", "a"]) == {"a": 2, "b": 1}
    with pytest.raises((AttributeError, NotImplementedError)):
        ours(modules.Y)


def test_submodules_can_be_called():
    ours, theirs = both(stored(modules.Plain()))
    torch.testing.assert_close(ours.lin(modules.Y), theirs.lin(modules.Y))
    assert isinstance(ours.lin, scriptmode.ScriptModule)
