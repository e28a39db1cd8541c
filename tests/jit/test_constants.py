"""What compiled code has taken as constant cannot be changed behind its back."""

import pytest
import torch

import scriptmode


@pytest.fixture
def scripted():
    return scriptmode.script(torch.nn.Sequential(torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 3)))


def test_a_setting_that_is_compiled_in_cannot_be_assigned(scripted):
    with pytest.raises(AttributeError, match="`eps` is a constant"):
        scripted[0].eps = 1.0
    with pytest.raises(AttributeError, match="`eps` is a constant"):
        del scripted[0].eps


def test_a_submodule_cannot_be_replaced(scripted):
    with pytest.raises(AttributeError, match="submodule `1`"):
        setattr(scripted, "1", torch.nn.ReLU())


def test_new_attributes_and_the_training_flag_are_free(scripted):
    scripted.note = "mine"
    assert scripted.note == "mine"
    assert not scripted.eval()[0].training and scripted.train()[0].training


def test_a_compiled_container_is_a_container(scripted):
    assert len(scripted) == 2 and [m.original_name for m in scripted] == ["BatchNorm1d", "Linear"]
    assert scripted[1] is scripted[-1] and bool(scripted)
    with pytest.raises(TypeError, match="no __len__"):
        len(scripted[1])
    assert bool(scripted[1])


class Scaled(torch.nn.Module):
    K = 3

    def forward(self, x):
        return x * self.K


def test_a_class_attribute_that_is_compiled_in_cannot_be_assigned():
    with pytest.raises(AttributeError, match="`K` is a constant"):
        scriptmode.script(Scaled()).K = 4


def keyword_only(x, *, a: int = 3):
    return x * a


def all_kinds(*xs, scale: float = 2.0, **others):
    return xs[0] * scale + len(xs) + len(others)


def test_keyword_only_parameters_stand_between_the_open_ones():
    scripted = scriptmode.script(all_kinds)
    x = torch.ones(2)
    for args, keywords in [((x,), {}), ((x, x), {"scale": 3.0}), ((x,), {"a": x, "b": 1})]:
        torch.testing.assert_close(scripted(*args, **keywords), all_kinds(*args, **keywords))


def test_keyword_only_arguments_reach_further_instances():
    scripted = scriptmode.script(keyword_only)
    for a in (2, 1.5, torch.ones(2)):
        torch.testing.assert_close(scripted(torch.ones(2), a=a), keyword_only(torch.ones(2), a=a))
