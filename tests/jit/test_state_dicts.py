"""State dicts of compiled modules: own methods and hooks of the classes, submodules replaced."""

import pytest
import torch
from torch import Tensor, nn

import scriptmode


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.saved = 0
        self.tag = "a"

    def forward(self, x):
        return self.linear(x)

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        self.saved += 1
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[prefix + "mine"] = torch.ones(1) * self.saved

    def _load_from_state_dict(self, state_dict, prefix, *rest):
        state_dict.pop(prefix + "mine")
        self.saved = 100
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def get_extra_state(self):
        return self.tag

    def set_extra_state(self, state):
        self.tag = state


class Outer(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Inner()
        self.norm = nn.BatchNorm1d(2)
        self._register_state_dict_hook(lambda m, state, prefix, local: state.update(hooked=1))

    def forward(self, x):
        return self.norm(self.inner(x))


@pytest.mark.parametrize(
    "way", [scriptmode.script, lambda m: scriptmode.trace(m, torch.rand(2, 2))]
)
def test_methods_and_hooks_of_the_classes_are_asked(way):
    model = Outer().eval()
    compiled = way(Outer().eval())
    assert list(compiled.state_dict()) == list(model.state_dict())
    assert "hooked" in compiled.state_dict() and "inner.mine" in compiled.state_dict()


def test_they_read_and_write_the_compiled_state():
    compiled, other = scriptmode.script(Outer()), scriptmode.script(Outer())
    compiled.inner.tag = "b"
    state = compiled.state_dict()
    assert compiled.inner.saved == 1 and state["inner.mine"].item() == 1
    del state["hooked"]
    other.load_state_dict(state)
    assert other.inner.tag == "b" and other.inner.saved == 100
    torch.testing.assert_close(other.inner.linear.weight, compiled.inner.linear.weight)


def test_old_state_of_a_batch_norm_is_loaded_as_in_eager():
    old = {k: v for k, v in nn.BatchNorm1d(2).state_dict().items() if "num" not in k}
    assert str(scriptmode.script(nn.BatchNorm1d(2)).load_state_dict(old)) == (
        "<All keys matched successfully>"
    )


def test_an_exported_method_is_called_natively():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2))
            self.called = False

        def forward(self, x):
            return x * self.weight

        @scriptmode.export
        def get_extra_state(self) -> Tensor:
            self.called = True
            return self.weight + 1

    compiled = scriptmode.script(Own())
    assert compiled.state_dict()["_extra_state"].tolist() == [2, 2]
    assert compiled.called


class Holder(nn.Module):
    def __init__(self, part):
        super().__init__()
        self.part = part
        self.count = 0

    def forward(self, x):
        self.count += 1
        return self.part(x), self.count


def test_a_submodule_is_replaced_by_another_compiled_one():
    compiled = scriptmode.script(Holder(nn.ReLU()))
    x = torch.tensor([-1.0, 2.0])
    assert compiled(x)[1] == 1
    compiled.note = "kept"
    compiled.part = scriptmode.script(nn.Threshold(1.5, 7.0))
    value, count = compiled(x)
    assert value.tolist() == [7, 2] and count == 2 and compiled.note == "kept"
    with pytest.raises(AttributeError, match="can be replaced by a compiled one only"):
        compiled.part = nn.ReLU()


def test_a_submodule_that_does_not_fit_is_not_taken():
    class NoTensor(nn.Module):
        def forward(self, x: str):
            return x.upper()

    compiled = scriptmode.script(Holder(nn.ReLU()))
    with pytest.raises(scriptmode.ScriptError):
        compiled.part = scriptmode.script(NoTensor())
    assert compiled(torch.tensor([-1.0]))[0].item() == 0
