"""Control flow, ownership and errors of compiled functions, against the interpreter."""

from __future__ import annotations

import pytest
import torch

from scriptmode.interp.evaluator import Interpreter
from scriptmode.ir.parser import parse_program
from scriptmode.ir.verifier import verify_program
from scriptmode.ops.aten import schema_of
from tests.codegen.native_calls import Compiled, nothing_left

CASES = {
    "if_yields_one_of_two": (
        """
graph(%x: Tensor, %c: bool):
  %a: Tensor = aten::relu(%x)
  %r: Tensor = prim::If(%c)
    block0():
      -> (%a)
    block1():
      -> (%x)
  return (%r)
""",
        [(torch.randn(3), True), (torch.randn(3), False)],
    ),
    "early_return_in_branch": (
        """
graph f(%x: Tensor, %c: bool) -> Tensor:
  %a: Tensor = aten::relu(%x)
  prim::If(%c)
    block0():
      return (%a)
    block1():
      -> ()
  %b: Tensor = aten::neg(%a)
  return (%b)
""",
        [(torch.randn(3), True), (torch.randn(3), False)],
    ),
    "loop_carries_tensor": (
        """
graph f(%x: Tensor, %n: int) -> Tensor:
  %one: int = prim::Constant[value=1]()
  %t: bool = prim::Constant[value=True]()
  %r: Tensor = prim::Loop(%n, %t, %x)
    block0(%i: int, %h: Tensor):
      %k: Tensor = aten::add.Scalar(%h, %i, %one)
      -> (%t, %k)
  return (%r)
""",
        [(torch.randn(3), 0), (torch.randn(3), 1), (torch.randn(3), 5)],
    ),
    "loop_swaps_carried": (
        """
graph f(%x: Tensor, %n: int) -> Tuple[Tensor, Tensor]:
  %t: bool = prim::Constant[value=True]()
  %y: Tensor = aten::neg(%x)
  %a: Tensor, %b: Tensor = prim::Loop(%n, %t, %x, %y)
    block0(%i: int, %p: Tensor, %q: Tensor):
      -> (%t, %q, %p)
  %r: Tuple[Tensor, Tensor] = prim::TupleConstruct(%a, %b)
  return (%r)
""",
        [(torch.randn(3), 0), (torch.randn(3), 1), (torch.randn(3), 2)],
    ),
    "break_and_continue_with_owned_values": (
        """
graph f(%x: Tensor, %n: int) -> Tensor:
  %one: int = prim::Constant[value=1]()
  %two: int = prim::Constant[value=2]()
  %five: int = prim::Constant[value=5]()
  %zero: int = prim::Constant[value=0]()
  %t: bool = prim::Constant[value=True]()
  %outer: Tensor = aten::neg(%x)
  %r: Tensor = prim::Loop(%n, %t, %x)
    block0(%i: int, %h: Tensor):
      %k: Tensor = aten::add.Tensor(%h, %outer, %one)
      %m: int = int::mod(%i, %two)
      %even: bool = int::eq(%m, %zero)
      prim::If(%even)
        block0():
          continue (%t, %k)
        block1():
          -> ()
      %l: Tensor = aten::relu(%k)
      %late: bool = int::gt(%i, %five)
      prim::If(%late)
        block0():
          break (%l)
        block1():
          -> ()
      %m2: Tensor = aten::add.Tensor(%l, %k, %one)
      -> (%t, %m2)
  return (%r)
""",
        [(torch.randn(3), n) for n in (0, 1, 2, 7, 12)],
    ),
    "return_out_of_nested_loops": (
        """
graph f(%x: Tensor, %n: int) -> Tensor:
  %t: bool = prim::Constant[value=True]()
  %three: int = prim::Constant[value=3]()
  %one: int = prim::Constant[value=1]()
  %a: Tensor = aten::neg(%x)
  %r: Tensor = prim::Loop(%n, %t, %x)
    block0(%i: int, %h: Tensor):
      %g: Tensor = aten::relu(%h)
      %s: Tensor = prim::Loop(%n, %t, %g)
        block0(%j: int, %u: Tensor):
          %p: int = int::mul(%i, %j)
          %c: bool = int::gt(%p, %three)
          prim::If(%c)
            block0():
              return (%a)
            block1():
              -> ()
          %v: Tensor = aten::add.Tensor(%u, %g, %one)
          -> (%t, %v)
      -> (%t, %s)
  return (%r)
""",
        [(torch.randn(3), n) for n in (0, 1, 2, 4)],
    ),
    "while_loop_on_tensor_condition": (
        """
graph f(%x: Tensor) -> Tuple[Tensor, int]:
  %most: int = prim::Constant[value=9223372036854775807]()
  %one: int = prim::Constant[value=1]()
  %limit: int = prim::Constant[value=100]()
  %zero: int = prim::Constant[value=0]()
  %t: bool = prim::Constant[value=True]()
  %h: Tensor, %n: int = prim::Loop(%most, %t, %x, %zero)
    block0(%i: int, %h0: Tensor, %n0: int):
      %h1: Tensor = aten::add.Tensor(%h0, %h0, %one)
      %n1: int = int::add(%n0, %one)
      %c: Tensor = aten::lt.Scalar(%h1, %limit)
      %b: bool = tensor::bool(%c)
      -> (%b, %h1, %n1)
  %r: Tuple[Tensor, int] = prim::TupleConstruct(%h, %n)
  return (%r)
""",
        [(torch.tensor(1.0),), (torch.tensor(200.0),)],
    ),
    "optional_tensor_through_branches": (
        """
graph f(%x: Optional[Tensor], %c: bool) -> Optional[Tensor]:
  %none: bool = prim::is_none(%x)
  %r: Optional[Tensor] = prim::If(%none)
    block0():
      %n: None = prim::Constant[value=None]()
      -> (%n)
    block1():
      %y: Tensor = prim::unchecked_cast(%x)
      %z: Tensor = aten::neg(%y)
      %w: Optional[Tensor] = prim::If(%c)
        block0():
          -> (%z)
        block1():
          -> (%x)
      -> (%w)
  return (%r)
""",
        [(None, True), (torch.randn(2), True), (torch.randn(2), False)],
    ),
    "multiple_returns_and_unused_ones": (
        """
graph f(%x: Tensor) -> Tensor:
  %d: int = prim::Constant[value=0]()
  %f: bool = prim::Constant[value=False]()
  %v: Tensor, %i: Tensor = aten::max.dim(%x, %d, %f)
  return (%i)
""",
        [(torch.randn(3, 2),)],
    ),
    "stack_lists_of_tensors_and_ints": (
        """
graph f(%x: Tensor, %n: int) -> Tensor:
  %d: int = prim::Constant[value=0]()
  %two: int = prim::Constant[value=2]()
  %y: Tensor = aten::neg(%x)
  %l: List[Tensor] = prim::ListConstruct(%x, %y, %x)
  %c: Tensor = aten::cat(%l, %d)
  %s: List[int] = prim::ListConstruct(%n, %two)
  %r: Tensor = aten::reshape(%c, %s)
  %k: List[int] = prim::ListConstruct(%d)
  %f: bool = prim::Constant[value=False]()
  %none: None = prim::Constant[value=None]()
  %q: Tensor = aten::sum.dim_IntList(%r, %k, %f, %none)
  return (%q)
""",
        [(torch.randn(4), 6), (torch.randn(2), 3)],
    ),
    "heap_lists_grow_and_return": (
        """
graph f(%x: Tensor, %n: int) -> List[Tensor]:
  %t: bool = prim::Constant[value=True]()
  %l: List[Tensor] = prim::ListConstruct(%x)
  prim::Loop(%n, %t)
    block0(%i: int):
      %y: Tensor = aten::neg(%x)
      list::append(%l, %y)
      -> (%t)
  return (%l)
""",
        [(torch.randn(2), n) for n in (0, 1, 20)],
    ),
    "list_items": (
        """
graph f(%l: List[Tensor], %n: int) -> Tensor:
  %m: int = prim::Constant[value=-1]()
  %a: Tensor = list::getitem(%l, %n)
  %b: Tensor = list::getitem(%l, %m)
  list::setitem(%l, %n, %b)
  list::setitem(%l, %m, %b)
  %one: int = prim::Constant[value=1]()
  %r: Tensor = aten::add.Tensor(%a, %b, %one)
  return (%r)
""",
        [([torch.randn(2), torch.randn(2)], 0), ([torch.randn(2), torch.randn(2)], 1)],
    ),
    "split_gives_a_list": (
        """
graph f(%x: Tensor) -> Tensor:
  %one: int = prim::Constant[value=1]()
  %zero: int = prim::Constant[value=0]()
  %l: List[Tensor] = aten::split.Tensor(%x, %one, %zero)
  %a: Tensor = list::getitem(%l, %one)
  return (%a)
""",
        [(torch.randn(3),)],
    ),
    "strings": (
        """
graph f(%s: str, %c: bool) -> str:
  %a: str = prim::Constant[value="hé"]()
  %r: str = prim::If(%c)
    block0():
      %t: str = str::concat(%s, %a)
      -> (%t)
    block1():
      -> (%a)
  %q: str = str::concat(%r, %r)
  return (%q)
""",
        [("x", True), ("x", False)],
    ),
}


def compiled_case(text: str) -> tuple[Compiled, Interpreter]:
    program = parse_program(text, schema_of)
    verify_program(program, schema_of)
    return Compiled(program), Interpreter(program)


def counts(arguments) -> list[int]:
    """Reference counts of the tensors among the arguments."""
    flat = [t for a in arguments for t in (a if isinstance(a, list) else [a])]
    return [t._use_count() for t in flat if isinstance(t, torch.Tensor)]


@pytest.mark.parametrize("name", CASES)
def test_native_code_gives_what_the_interpreter_gives(name):
    text, inputs = CASES[name]
    compiled, interpreter = compiled_case(text)
    for arguments in inputs:
        copies = [list(a) if isinstance(a, list) else a for a in arguments]
        before = counts(arguments)
        expected = interpreter.run_root(*copies)
        with nothing_left():
            actual = compiled(*arguments)
            if isinstance(expected, str):
                assert actual == expected
            else:
                torch.testing.assert_close(actual, expected, rtol=0, atol=0)
            del actual, expected, copies
        assert counts(arguments) == before
    compiled.close()
