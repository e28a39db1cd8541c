"""Subclasses of ``ScriptModule``, and methods given as text."""

import copy
from typing import Dict, List  # noqa: UP035

import pytest
import torch
from torch import nn

import scriptmode


class Scale(scriptmode.ScriptModule):
    __constants__ = ["offset"]

    def __init__(self, offset):
        super().__init__()
        self.offset = offset
        self.weight = nn.Parameter(torch.full((3,), 2.0))
        self.linear = nn.Linear(3, 3)

    @scriptmode.script_method
    def forward(self, x):
        return self.scaled(x) + self.offset

    @scriptmode.script_method
    def scaled(self, x):
        return self.linear(x) * self.weight

    def plain(self, x):
        return [self.scaled(x), self]


def eager(scale, x):
    return scale.linear._original(x) * scale.weight + scale.offset


def test_an_object_is_compiled_when_it_has_been_made():
    scale = Scale(5)
    x = torch.rand(2, 3)
    assert isinstance(scale, Scale) and isinstance(scale, scriptmode.RecursiveScriptModule)
    assert scale.original_name == type(scale).__name__ == "Scale"
    torch.testing.assert_close(scale(x), eager(scale, x))
    scaled, owner = scale.plain(x)
    assert owner is scale
    torch.testing.assert_close(scaled + 5, scale(x))
    assert set(dict(scale.named_parameters())) == {"weight", "linear.weight", "linear.bias"}
    assert scale.forward.name == "Scale.forward" and "linear" in str(scale.scaled.graph)


def test_training_and_copies():
    scale = Scale(1)
    x = torch.rand(2, 3)
    scale(x).sum().backward()
    assert scale.weight.grad is not None
    other = copy.deepcopy(scale)
    assert isinstance(other, Scale)
    torch.testing.assert_close(other(x), scale(x))
    with torch.no_grad():
        other.weight.zero_()
    assert (other(x) == 1).all() and not (scale(x) == 1).all()


def test_modules_inside_modules():
    class Outer(scriptmode.ScriptModule):
        def __init__(self):
            super().__init__()
            self.scale = Scale(3)

        @scriptmode.script_method
        def forward(self, x):
            return self.scale(x) + self.scale.scaled(x)

    outer = Outer()
    x = torch.rand(2, 3)
    torch.testing.assert_close(outer(x), 2 * outer.scale.scaled(x) + 3)
    torch.testing.assert_close(outer.scale(x), outer.scale.scaled(x) + 3)


def test_a_forward_that_is_not_marked_stays_python():
    class Half(scriptmode.ScriptModule):
        @scriptmode.script_method
        def double(self, x):
            return x * 2

        def forward(self, x):
            return {type(self).__name__: self.double(x)}

    assert Half()(torch.ones(1))["Half"].item() == 2


def test_methods_from_text():
    module = scriptmode.ScriptModule()
    module.bias = nn.Parameter(torch.ones(2))
    module.define(
        """
        def forward(self, x):
            return self.times(x, 2) + self.bias

        def times(self, x, n: int):
            return x * n
        """
    )
    assert module(torch.ones(2)).tolist() == [3, 3]
    scripted = scriptmode.script(nn.Linear(2, 2))
    scripted.define("def bias_sum(self) -> float:\n    return float(self.bias.sum())")
    torch.testing.assert_close(scripted.bias_sum(), float(scripted.bias.sum()))
    x = torch.rand(1, 2)
    torch.testing.assert_close(scripted(x), nn.functional.linear(x, scripted.weight, scripted.bias))


def test_text_defined_while_a_module_is_made():
    class Made(scriptmode.ScriptModule):
        def __init__(self, n):
            super().__init__()
            self.define(f"def forward(self, x):\n    return x + {n}")

    one, two = Made(1), Made(2)
    assert one(torch.zeros(1)).item() == 1 and two(torch.zeros(1)).item() == 2


def test_errors_in_text_name_its_lines():
    with pytest.raises(scriptmode.CompileError, match=r"<script \w+>, line 4, column 12") as caught:
        scriptmode.CompilationUnit(
            """
            def f(x):
                y = 1
                return y.missing
            """
        )
    assert "return y.missing" in str(caught.value)
    with pytest.raises(scriptmode.frontend.NotSupportedError, match="line 1, column 10"):
        scriptmode.CompilationUnit("def f(x) return x")


def test_a_compilation_unit_holds_functions_that_see_each_other():
    factor = 3
    unit = scriptmode.CompilationUnit(
        """
        def f(x):
            # type: (int) -> int
            return g(x) * factor

        def g(x: int) -> int:
            return x + 1
        """
    )
    assert unit.f(1) == 6 and unit.g(1) == 2
    unit.define("def h(x: Optional[List[int]]) -> int:\n    return 0 if x is None else f(x[0])")
    assert unit.h(None) == 0 and unit.h([2]) == 9
    assert {f.name for f in unit.get_functions()} == {"f", "g", "h"}
    assert unit.find_function("f") is unit.f and unit.find_function("none") is None
    with pytest.raises(AttributeError, match="no function 'none'"):
        unit.none  # noqa: B018
    made = unit.create_function("again", unit.g.graph)
    assert made(4) == 5 and unit.again is made
    unit.drop_all_functions()
    assert unit.get_functions() == []
    assert factor == 3


def test_classes_and_interfaces_of_text():
    unit = scriptmode.CompilationUnit(
        """
        class Pair(NamedTuple):
            a: int
            b: float

        @scriptmode.interface
        class Shape:
            def area(self) -> float:
                pass

        def make(a: int) -> Pair:
            return Pair(a, 0.5)
        """
    )
    assert unit.make(1) == (1, 0.5)
    assert unit.get_class("Pair") is type(unit.make(1))
    assert unit.get_class("Shape") is None and unit.get_interface("Pair") is None
    assert unit.get_interface("Shape").__name__ == "Shape"


def test_attributes_with_their_types():
    class Counter(scriptmode.ScriptModule):
        def __init__(self):
            super().__init__()
            self.seen = scriptmode.Attribute([], List[int])
            self.names = torch.jit.Attribute(value={}, type=Dict[str, int])
            self.n = scriptmode.Attribute(0, int)

        @scriptmode.script_method
        def forward(self, k: int):
            self.n += k
            self.seen.append(k)
            self.names[str(k)] = self.n
            return self.n

    counter = Counter()
    assert [counter(2), counter(3)] == [2, 5]
    assert counter.n == 5 and counter.seen == [2, 3] and counter.names == {"2": 2, "3": 5}


def test_copies_share_tensors_and_functions():
    function = scriptmode.script(lambda x: x * 2)
    assert copy.deepcopy(function) is function and copy.copy(function) is function
    linear = scriptmode.script(nn.Linear(2, 2))
    other = copy.copy(linear)
    x = torch.rand(1, 2)
    torch.testing.assert_close(other(x), linear(x))
    assert other.weight is linear.weight


def test_an_attribute_with_a_type_is_its_value_at_once():
    class Typed(scriptmode.ScriptModule):
        def __init__(self):
            super().__init__()
            self.step = scriptmode.Attribute(0.1, float)
            assert self.step > 0
            self.seen = scriptmode.Attribute({}, Dict[str, int])
            self.seen["a"] = 3

        @scriptmode.script_method
        def forward(self):
            return self.step, self.seen["a"]

    assert Typed()() == (0.1, 3)


def test_a_method_without_a_parameter_for_the_module_is_refused():
    class NoSelf(scriptmode.ScriptModule):
        @scriptmode.script_method
        def forward():
            return torch.zeros(3)

    with pytest.raises(scriptmode.ScriptTypeError, match="has no parameter for the module"):
        NoSelf()
