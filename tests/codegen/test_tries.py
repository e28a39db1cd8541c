"""Try nodes: values, ownership on every path, nesting, against the interpreter."""

from __future__ import annotations

import pytest
import torch

from scriptmode.interp.evaluator import Interpreter
from scriptmode.ir.parser import parse_program
from scriptmode.ir.printer import print_program
from scriptmode.ir.verifier import verify_program
from scriptmode.ops.aten import schema_of
from tests.runtime.entries import entry

HEAD = """program f
Class<builtins.BaseException> 'BaseException' = python('builtins:BaseException'):
  attribute '%class': int
  attribute args: Tuple[Any, ...]
  attribute __cause__: Optional[Class<builtins.BaseException>]
  attribute __context__: Optional[Class<builtins.BaseException>]
  attribute '%origin': PythonObject
  attribute '%trace': Optional[List[int]]
  attribute __suppress_context__: bool

"""
E = "%e: Class<builtins.BaseException>"
CASES = {
    "value_of_body_or_handler": (
        f"""
graph f(%a: str, %i: int) -> str:
  %r: str = prim::Try()
    block0():
      %s: str = str::concat(%a, %a)
      %c: str = str::getitem(%s, %i)
      %t: str = str::concat(%s, %c)
      -> (%t)
    block1({E}):
      %m: str = prim::str(%e)
      -> (%m)
  return (%r)
""",
        [("abc", 1), ("abc", 99), ("", 0)],
    ),
    "outer_value_lives_in_both": (
        f"""
graph f(%a: str, %i: int) -> str:
  %s: str = str::concat(%a, %a)
  %r: str = prim::Try()
    block0():
      %c: str = str::getitem(%s, %i)
      -> (%s)
    block1({E}):
      %t: str = str::concat(%s, %a)
      -> (%t)
  return (%r)
""",
        [("abc", 1), ("abc", 99)],
    ),
    "tensors_in_a_body_that_torch_ends": (
        f"""
graph f(%x: Tensor, %y: Tensor) -> Tensor:
  %r: Tensor = prim::Try()
    block0():
      %a: Tensor = aten::relu(%x)
      %b: Tensor = aten::mm(%a, %y)
      %c: Tensor = aten::mm(%b, %y)
      -> (%c)
    block1({E}):
      %n: Tensor = aten::neg(%x)
      -> (%n)
  return (%r)
""",
        [
            (torch.ones(2, 2), torch.ones(2, 2)),
            (torch.ones(2, 2), torch.ones(2, 3)),
            (torch.ones(2, 2), torch.ones(3, 3)),
        ],
    ),
    "loop_with_break_continue_and_return_inside": (
        f"""
graph f(%a: str, %n: int) -> str:
  %true: bool = prim::Constant[value=True]()
  %two: int = prim::Constant[value=2]()
  %five: int = prim::Constant[value=5]()
  %seven: int = prim::Constant[value=7]()
  %start: str = str::concat(%a, %a)
  %r: str = prim::Loop(%n, %true, %start)
    block0(%i: int, %s: str):
      %u: str = prim::Try()
        block0():
          %c: str = str::getitem(%a, %i)
          %t: str = str::concat(%s, %c)
          %is2: bool = int::eq(%i, %two)
          prim::If(%is2)
            block0():
              continue (%true, %t)
            block1():
              -> ()
          %is7: bool = int::eq(%i, %seven)
          prim::If(%is7)
            block0():
              return (%t)
            block1():
              -> ()
          -> (%t)
        block1({E}):
          %m: str = str::concat(%s, %start)
          %is5: bool = int::eq(%i, %five)
          prim::If(%is5)
            block0():
              break (%m)
            block1():
              -> ()
          -> (%m)
      -> (%true, %u)
  return (%r)
""",
        [("abcdefghij", 10), ("abc", 10), ("abcd", 3), ("abcdefghij", 2)],
    ),
    "nested_and_raised_again": (
        f"""
graph f(%a: str, %i: int) -> str:
  %r: str = prim::Try()
    block0():
      %x: str = str::concat(%a, %a)
      %q: str = prim::Try()
        block0():
          %y: str = str::concat(%x, %a)
          %c: str = str::getitem(%y, %i)
          -> (%c)
        block1({E}):
          %m: str = prim::str(%e)
          %bad: int = int::floordiv(%i, %i)
          prim::reraise()
          unreachable
      %w: str = str::concat(%q, %x)
      -> (%w)
    block1(%f: Class<builtins.BaseException>):
      %k: str = prim::repr(%f)
      -> (%k)
  return (%r)
""",
        [("abc", 1), ("abc", 99)],
    ),
    "a_leave_crosses_loops_and_handlers": (
        f"""
graph f(%a: str, %n: int) -> str:
  %true: bool = prim::Constant[value=True]()
  %two: int = prim::Constant[value=2]()
  %r: str = prim::Try[labelled=True]()
    block0():
      %o: str = prim::Loop(%n, %true, %a)
        block0(%i: int, %s: str):
          %t: str = str::concat(%s, %a)
          prim::Try()
            block0():
              %c: str = str::getitem(%a, %i)
              %is2: bool = int::eq(%i, %two)
              prim::If(%is2)
                block0():
                  leave (%t)
                block1():
                  -> ()
              -> ()
            block1({E}):
              %m: str = prim::str(%e)
              leave (%m)
          -> (%true, %t)
      -> (%o)
    block1(%f: Class<builtins.BaseException>):
      %k: str = prim::repr(%f)
      -> (%k)
  return (%r)
""",
        [("abc", 10), ("ab", 10), ("abc", 1)],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_native_code_does_what_the_interpreter_does(name):
    text, argument_sets = CASES[name]
    program = parse_program(HEAD + text, schema_of)
    verify_program(program, schema_of)
    printed = print_program(program)
    assert print_program(parse_program(printed, schema_of)) == printed
    run = entry(HEAD + text)
    for args in argument_sets:
        wanted = Interpreter(program).run("f", *args)
        for _ in range(2):
            assert str(run(*args)) == str(wanted)


def test_an_error_of_a_handler_knows_what_was_handled():
    text = f"""
graph f(%a: str, %i: int) -> str:
  %r: str = prim::Try()
    block0():
      %c: str = str::getitem(%a, %i)
      -> (%c)
    block1({E}):
      %zero: int = prim::Constant[value=0]()
      %bad: int = int::floordiv(%i, %zero)
      -> (%a)
  return (%r)
"""
    with pytest.raises(ZeroDivisionError) as raised:
        entry(HEAD + text)("abc", 99)
    assert isinstance(raised.value.__context__, IndexError)
    assert raised.value.__context__.args == ("string index out of range",)
