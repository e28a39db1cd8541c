"""Cells, in the frame and on the heap: values, the unbound state, ownership."""

from __future__ import annotations

import pytest
import torch

from scriptmode.interp.evaluator import Interpreter
from scriptmode.ir.parser import parse_program
from scriptmode.ir.printer import print_program
from scriptmode.ir.verifier import verify_program
from scriptmode.ops.aten import schema_of
from tests.runtime.entries import entry

LOCAL = """
graph f(%x: {t}, %c: bool) -> {t}:
  %cell: Cell[{t}] = prim::CellConstruct()
  prim::If(%c)
    block0():
      prim::CellSet(%cell, %x)
      prim::CellSet(%cell, %x)
      -> ()
    block1():
      -> ()
  %y: {t} = prim::CellGet[name='y'](%cell)
  prim::CellDelete[name='y'](%cell)
  prim::CellSet(%cell, %y)
  %z: {t} = prim::CellRead(%cell)
  return (%z)
"""
ESCAPING = """
graph f(%x: {t}, %c: bool) -> {t}:
  %cell: Cell[{t}] = prim::CellConstruct()
  %n: None = prim::Call[callee='set'](%cell, %x, %c)
  %y: {t} = prim::CellGet[is_free=True, name='y'](%cell)
  return (%y)

graph set(%cell: Cell[{t}], %x: {t}, %c: bool) -> None:
  %none: None = prim::Constant[value=None]()
  prim::If(%c)
    block0():
      prim::CellSet(%cell, %x)
      prim::CellSet(%cell, %x)
      -> ()
    block1():
      -> ()
  return (%none)
"""
IN_LOOP = """
graph f(%x: {t}, %c: bool) -> {t}:
  %n: int = prim::Constant[value=3]()
  %true: bool = prim::Constant[value=True]()
  %r: {t} = prim::Loop(%n, %true, %x)
    block0(%i: int, %h: {t}):
      %cell: Cell[{t}] = prim::CellConstruct(%h)
      %a: {t} = prim::CellGet[name='a'](%cell)
      prim::If(%c)
        block0():
          prim::CellSet(%cell, %x)
          -> ()
        block1():
          prim::CellDelete[name='a'](%cell)
          -> ()
      %b: {t} = prim::CellGet[name='a'](%cell)
      -> (%true, %b)
  return (%r)
"""
VALUES = {
    "int": 5,
    "str": "a text",
    "Tensor": torch.ones(2),
    "Optional[int]": None,
    "Tuple[str, Tensor]": ("a", torch.ones(2)),
    "List[str]": ["a", "b"],
}


@pytest.mark.parametrize("t", VALUES)
@pytest.mark.parametrize("text", [LOCAL, ESCAPING, IN_LOOP])
def test_cells_hold_values_and_know_that_they_are_unbound(text, t):
    program = parse_program(text.format(t=t), schema_of)
    verify_program(program, schema_of)
    assert "Cell" in print_program(parse_program(print_program(program), schema_of))
    run = entry(text.format(t=t))
    assert str(run(VALUES[t], True)) == str(Interpreter(program).run("f", VALUES[t], True))
    with pytest.raises(NameError) as eager:
        Interpreter(program).run("f", VALUES[t], False)
    with pytest.raises(NameError) as native:
        run(VALUES[t], False)
    assert str(native.value) == str(eager.value)
    assert type(native.value) is type(eager.value)
