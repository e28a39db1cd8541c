"""Module instances: tensors shared with Python, other state owned natively."""

from __future__ import annotations

import gc
import sys

import pytest
import torch

from scriptmode.codegen.engine import thunks
from scriptmode.codegen.module import compile_program
from scriptmode.ir.parser import parse_program
from scriptmode.ops.aten import schema_of
from scriptmode.runtime import frame
from scriptmode.runtime.boundary import make_entry, slow_calls
from scriptmode.runtime.instance import NativeInstance
from tests.runtime.entries import WentSlow, alive, refuse


class Inner(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([2.0]))
        self.bias = None
        self.register_buffer("seen", torch.tensor([0.0]))
        self.plain = torch.tensor([10.0])
        self.count = 3
        self.name = "inner"
        self.items = [1, 2]


class Outer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a = Inner()
        self.b = self.a


TEXT = """
Module<Inner> "Inner":
  parameter weight: Tensor
  parameter bias: Optional[Tensor]
  buffer seen: Tensor
  attribute plain: Tensor
  attribute count: int
  attribute name: str
  attribute items: List[int]
Module<Outer> "Outer":
  attribute a: Module<Inner>
  attribute b: Module<Inner>

graph forward(%self: Module<Outer>, %x: Tensor) -> Tensor:
  %one: int = prim::Constant[value=1]()
  %a: Module<Inner> = prim::GetAttr[name="a"](%self)
  %b: Module<Inner> = prim::GetAttr[name="b"](%self)
  %w: Tensor = prim::GetAttr[name="weight"](%a)
  %p: Tensor = prim::GetAttr[name="plain"](%b)
  %y: Tensor = aten::mul.Tensor(%x, %w)
  %z: Tensor = aten::add.Tensor(%y, %p, %one)
  %s: Tensor = prim::GetAttr[name="seen"](%a)
  %t: Tensor = aten::add.Tensor(%s, %x, %one)
  prim::SetAttr[name="seen"](%b, %t)
  %n: int = prim::GetAttr[name="count"](%a)
  %m: int = int::add(%n, %one)
  prim::SetAttr[name="count"](%a, %m)
  %r: Tensor = aten::add.Scalar(%z, %m, %one)
  return (%r)
"""


def build(text, module, name="forward", classes=None):
    program = parse_program(text, schema_of)
    compiled = compile_program(program, debug=thunks.debug)
    graph = program.functions[name]
    instance = NativeInstance(graph.params[0].type, module)
    return make_entry(compiled, name, graph, slow=refuse, instance=instance), instance


def built():
    module = Outer()
    f, instance = build(TEXT, module)
    return module, f, instance


def test_reads_and_writes_state():
    module, f, instance = built()
    x = torch.tensor([1.0])
    before = alive()
    assert f(x).item() == 2 + 10 + 4
    assert f(x).item() == 2 + 10 + 5
    inner = instance.child("a")
    assert inner is instance.child("b")
    assert module.a.seen.item() == 2 and inner.get("count") == 5 and module.a.count == 3
    assert alive() == before


def test_tensors_are_read_at_each_call():
    module, f, _ = built()
    x = torch.tensor([1.0])
    f(x)
    with torch.no_grad():
        module.a.weight.fill_(5)
    module.a.plain = torch.tensor([100.0])
    assert f(x).item() == 5 + 100 + 5
    module.a.weight = torch.nn.Parameter(torch.tensor([7.0]))
    assert f(x).item() == 7 + 100 + 6
    module.load_state_dict({**module.state_dict(), "a.weight": torch.tensor([1.0])}, strict=False)
    assert f(x).item() == 1 + 100 + 7
    module.double()
    module.a.plain = module.a.plain.double()
    assert f(x.double()).dtype == torch.float64


def test_gradients_reach_parameters():
    module, f, _ = built()
    f(torch.tensor([3.0])).sum().backward()
    assert module.a.weight.grad.item() == 3


def test_counts_are_exact():
    module, f, _ = built()
    x = torch.tensor([1.0])
    f(x)
    tensors = [module.a.weight, module.a.plain, x]
    counts = [(t._use_count(), sys.getrefcount(t)) for t in tensors]
    for _ in range(50):
        f(x)
    assert [(t._use_count(), sys.getrefcount(t)) for t in tensors] == counts
    assert module.a.seen._use_count() == 1


def test_changed_modules_go_the_slow_way():
    module, f, _ = built()
    x = torch.tensor([1.0])
    weight = module.a.weight
    del module.a.weight
    with pytest.raises(WentSlow):
        f(x)
    module.a.weight = weight
    f(x)
    module.a._parameters["weight"] = None
    with pytest.raises(WentSlow):
        f(x)
    module.a._parameters = {"weight": weight}
    with pytest.raises(WentSlow):
        f(x)
    assert slow_calls(f) == {frame.REASONS[frame.REASON_MODULE]: 3}


def test_subclass_as_parameter_goes_the_slow_way():
    module, f, instance = built()

    class Mine(torch.Tensor):
        pass

    module.a.plain = torch.tensor([1.0]).as_subclass(Mine)
    with pytest.raises(WentSlow):
        f(torch.tensor([1.0]))
    assert slow_calls(f) == {frame.REASONS[frame.REASON_SUBCLASS]: 1}
    assert "Mine" in instance.unusual()


def test_attributes_from_python():
    module, f, instance = built()
    inner = instance.child("a")
    assert inner.has_slot("count") and inner.has_slot("weight") and not instance.has_slot("a")
    assert inner.get("name") == "inner" and inner.get("items") == [1, 2]
    inner.set("count", 40)
    assert f(torch.tensor([1.0])).item() == 2 + 10 + 41
    inner.set("name", "other")
    inner.set("items", [5])
    assert inner.get("name") == "other" and inner.get("items") == [5]
    assert inner.get("weight") is module.a.weight
    with pytest.raises(TypeError):
        inner.set("count", 1.5)
    with pytest.raises(TypeError):
        inner.set("weight", 3)
    instance.export_to(module)
    assert module.a.count == 41 and module.a.name == "other" and module.a.items == [5]


def test_instances_do_not_leak():
    gc.collect()
    before = alive()
    for _ in range(5):
        module = Outer()
        f, instance = build(TEXT, module)
        f(torch.tensor([1.0]))
        instance.child("a").set("name", "x")
        del f, instance, module
    gc.collect()
    assert alive() == before


def test_state_is_written_back_when_an_error_leaves():
    text = TEXT.replace("%r: Tensor = aten::add.Scalar(%z, %m, %one)",
                        "%r: Tensor = aten::mm(%z, %z)")  # fmt: skip
    module = Outer()
    f, _ = build(text, module)
    before = alive()
    for n in range(1, 4):
        with pytest.raises(RuntimeError):
            f(torch.tensor([1.0]))
        assert module.a.seen.item() == n
    assert alive() == before and module.a.seen._use_count() == 1


def test_many_parameters():
    class Many(torch.nn.Module):
        def __init__(self):
            super().__init__()
            for i in range(200):
                self.register_parameter(f"p{i}", torch.nn.Parameter(torch.tensor(float(i))))

    lines = "".join(f"  parameter p{i}: Tensor\n" for i in range(200))
    reads = "".join(f'  %v{i}: Tensor = prim::GetAttr[name="p{i}"](%self)\n' for i in range(200))
    text = f"""
Module<Many> "Many":
{lines}
graph forward(%self: Module<Many>) -> Tensor:
{reads}  return (%v199)
"""
    module = Many()
    f, _ = build(text, module)
    assert f() is module.p199
    assert all(p._use_count() == 1 for p in module.parameters())
