"""Representation: Optional, Union, Any, tuples, numbers, constants, module attributes."""

from __future__ import annotations

import ctypes

import pytest
import torch

from scriptmode.abi.instances import instance_size, slot_offsets
from scriptmode.interp.evaluator import Interpreter
from scriptmode.ir import types as T
from scriptmode.ir.graph import Graph, Program
from scriptmode.ir.parser import parse_program
from scriptmode.ops.aten import schema_of
from tests.codegen.native_calls import Compiled, builder_for, nothing_left

ROUND_TRIPS = {
    "union_of_int_and_str": """
graph f(%c: bool, %i: int, %s: str) -> str:
  %u: Union[int, str] = prim::If(%c)
    block0():
      -> (%i)
    block1():
      -> (%s)
  %is_str: bool = prim::isinstance[types=(type(str),)](%u)
  %r: str = prim::If(%is_str)
    block0():
      %t: str = prim::unchecked_cast(%u)
      -> (%t)
    block1():
      %j: int = prim::unchecked_cast(%u)
      %k: str = int::str(%j)
      -> (%k)
  return (%r)
""",
    "any_holds_a_boxed_tuple": """
graph f(%c: bool, %i: int, %s: str) -> str:
  %t: Tuple[int, str] = prim::TupleConstruct(%i, %s)
  %a: Any = prim::If(%c)
    block0():
      -> (%t)
    block1():
      -> (%s)
  %is_tuple: bool = prim::isinstance[types=(type(Tuple[int, str]),)](%a)
  %r: str = prim::If(%is_tuple)
    block0():
      %u: Tuple[int, str] = prim::unchecked_cast(%a)
      %v: str = prim::TupleIndex[index=1](%u)
      -> (%v)
    block1():
      %w: str = prim::checked_cast(%a)
      -> (%w)
  return (%r)
""",
    "optional_int_and_none": """
graph f(%c: bool, %i: int, %s: str) -> str:
  %n: None = prim::Constant[value=None]()
  %o: Optional[int] = prim::If(%c)
    block0():
      -> (%i)
    block1():
      -> (%n)
  %z: bool = prim::is_none(%o)
  %r: str = prim::If(%z)
    block0():
      -> (%s)
    block1():
      %j: int = prim::unchecked_cast(%o)
      %k: str = int::str(%j)
      -> (%k)
  return (%r)
""",
    "optional_tuple_into_any": """
graph f(%c: bool, %i: int, %s: str) -> str:
  %t: Tuple[int, str] = prim::TupleConstruct(%i, %s)
  %n: None = prim::Constant[value=None]()
  %o: Optional[Tuple[int, str]] = prim::If(%c)
    block0():
      -> (%t)
    block1():
      -> (%n)
  %l: List[Any] = prim::ListConstruct(%o, %i, %s)
  %zero: int = prim::Constant[value=0]()
  %a: Any = list::getitem(%l, %zero)
  %z: bool = prim::is_none(%a)
  %r: str = prim::str(%z)
  return (%r)
""",
    "nested_tuples": """
graph f(%c: bool, %i: int, %s: str) -> str:
  %a: Tuple[int, str] = prim::TupleConstruct(%i, %s)
  %b: Tuple[Tuple[int, str], bool] = prim::TupleConstruct(%a, %c)
  %d: Tuple[Tuple[int, str], bool] = prim::If(%c)
    block0():
      -> (%b)
    block1():
      %x: str = str::concat(%s, %s)
      %y: Tuple[int, str] = prim::TupleConstruct(%i, %x)
      %z: Tuple[Tuple[int, str], bool] = prim::TupleConstruct(%y, %c)
      -> (%z)
  %e: Tuple[int, str] = prim::TupleIndex[index=0](%d)
  %r: str = prim::TupleIndex[index=1](%e)
  return (%r)
""",
    "dict_of_strs": """
graph f(%c: bool, %i: int, %s: str) -> str:
  %k: str = prim::Constant[value='k']()
  %d: Dict[str, str] = prim::DictConstruct(%k, %s)
  %t: str = str::concat(%s, %k)
  dict::setitem(%d, %t, %k)
  %l: List[str] = dict::keys(%d)
  %r: str = str::join(%k, %l)
  return (%r)
""",
}


@pytest.mark.parametrize("name", ROUND_TRIPS)
def test_values_survive_conversions(name):
    program = parse_program(ROUND_TRIPS[name], schema_of)
    run, interpreter = Compiled(program), Interpreter(program)
    for flag in (True, False):
        with nothing_left():
            assert run(flag, 42, "text") == interpreter.run_root(flag, 42, "text")


def test_numbers_take_ints_floats_and_bools():
    run = Compiled(parse_program("""
graph f(%x: Tensor, %i: int, %y: float, %c: bool) -> Tensor:
  %a: Tensor = aten::mul.Scalar(%x, %i)
  %b: Tensor = aten::mul.Scalar(%a, %y)
  %d: Tensor = aten::mul.Scalar(%b, %c)
  return (%d)
""", schema_of))  # fmt: skip
    x = torch.randn(3)
    torch.testing.assert_close(run(x, 3, 0.5, True), x * 3 * 0.5)


def test_constants_of_every_sort():
    program = Program("f")
    graph = program.add(Graph("f"))
    graph.return_type = T.TENSOR
    b = builder_for(graph)
    held = torch.randn(2, 3)
    weight = b.constant(held, T.TENSOR)
    none = b.constant(None)
    made = b.op_node(
        "aten::zeros",
        [b.list([b.constant(2), b.constant(3)], T.INT), b.constant(torch.float64, T.DTYPE),
         b.constant(torch.strided, T.LAYOUT), b.constant(torch.device("cpu"), T.DEVICE), none],
    ).output  # fmt: skip
    total = b.op("aten::add.Tensor", made, weight, b.constant(2.0))
    graph.block.terminate("prim::Yield", [total])
    run = Compiled(program)
    before = held._use_count()
    with nothing_left():
        torch.testing.assert_close(run(), held.double() * 2)
    assert held._use_count() == before


def test_tensor_metadata_and_numbers():
    run = Compiled(parse_program("""
graph f(%x: Tensor) -> Tuple[Size, List[int], int, int, int, float, bool, bool]:
  %s: Size = tensor::shape(%x)
  %t: List[int] = tensor::stride(%x)
  %n: int = tensor::ndim(%x)
  %l: int = tensor::len(%x)
  %e: Tensor = aten::sum(%x, %none)
  %i: int = tensor::int(%e)
  %f: float = tensor::float(%e)
  %b: bool = tensor::bool(%e)
  %d: dtype = tensor::dtype(%x)
  %g: bool = dtype::is_floating_point(%d)
  %r: Tuple[Size, List[int], int, int, int, float, bool, bool] = prim::TupleConstruct(%s, %t, %n, %l, %i, %f, %b, %g)
  return (%r)
""".replace("  %e: Tensor", "  %none: None = prim::Constant[value=None]()\n  %e: Tensor"), schema_of))  # fmt: skip
    x = torch.full((2, 3), 1.25)
    with nothing_left():
        assert run(x) == ([2, 3], [3, 1], 2, 2, 7, 7.5, True, True)
        assert run(torch.zeros(1, 1))[6] is False


def test_module_attributes_live_in_slots_and_in_the_tensor_table():
    module = T.ClassType("m.M", is_module=True)
    module.attributes.update(scale=T.FLOAT, weight=T.TENSOR, steps=T.INT)
    program = Program("f")
    graph = program.add(Graph("f"))
    this, x = graph.add_param(module, "self"), graph.add_param(T.TENSOR, "x")
    graph.return_type = T.TENSOR
    b = builder_for(graph)
    weight = b.node("prim::GetAttr", [this], [T.TENSOR], name="weight").output
    scale = b.node("prim::GetAttr", [this], [T.FLOAT], name="scale").output
    steps = b.node("prim::GetAttr", [this], [T.INT], name="steps").output
    b.node("prim::SetAttr", [this, b.op("int::add", steps, b.constant(1))], name="steps")
    product = b.op("aten::mul.Scalar", b.op("aten::mul.Tensor", x, weight), scale)
    b.node("prim::SetAttr", [this, product], name="weight")
    graph.block.terminate("prim::Yield", [weight])

    offsets = slot_offsets(module)
    memory = (ctypes.c_int64 * (instance_size(module) // 8))()
    start = ctypes.addressof(memory)
    memory[0] = 1 << 62
    ctypes.c_double.from_address(start + offsets["scale"]).value = 0.5
    ctypes.c_int64.from_address(start + offsets["steps"]).value = 7
    ctypes.c_int64.from_address(start + offsets["weight"]).value = 1
    run = Compiled(program)
    assert run.program.tensor_reads == [(module, "weight")]
    held, given = torch.randn(3), torch.randn(3)
    with nothing_left():
        result, table = run.with_instance(start, [None, held], given)
        assert result is held
        new, dirty = table[1]
        torch.testing.assert_close(new, given * held * 0.5)
        assert dirty
        del new, table
    assert ctypes.c_int64.from_address(start + offsets["steps"]).value == 8
