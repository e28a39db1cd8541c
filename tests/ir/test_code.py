"""``.code``: Python source that does what the interpreter does."""

import pytest
import torch
from tests.generate_ir import random_program
from tests.random_inputs import plain, random_value, rng_for

from scriptmode.interp.values import has_type
from scriptmode.ir.code import code_namespace, function_name, print_code
from scriptmode.ir.parser import parse_program
from scriptmode.ops import table
from scriptmode.ops.aten import schema_of


def load(program):
    code = print_code(program)
    namespace = code_namespace(code, program, lambda kind: table.find(kind).meaning, has_type)
    exec(compile(code.text, "<code>", "exec"), namespace)
    return code.text, namespace[function_name(program.root)]


CELL = """\
program m.Cell.forward
Module<m.Cell> 'Cell':
  parameter weight: Tensor
  attribute 0: int

graph m.Cell.forward(%self: Module<m.Cell>, %x: Tensor, %h: Tensor, %n: int = 3) -> Tensor:
  %true: bool = prim::Constant[value=True]()
  %one: int = prim::Constant[value=1]()
  %none: None = prim::Constant[value=None]()
  %r: Tensor = prim::Loop(%n, %true, %h)
    block0(%i: int, %g: Tensor):
      %w: Tensor = prim::GetAttr[name='weight'](%self)
      %l: Tensor = aten::linear(%x, %w, %none)
      %a: Tensor = prim::Call[callee='gate'](%l)
      %s: Tensor = aten::add.Tensor(%a, %g, %one)
      %t: Tensor = aten::tanh(%s)
      -> (%true, %t)
  return (%r)

graph gate(%x: Tensor) -> Tensor:
  %none: None = prim::Constant[value=None]()
  %zero: int = prim::Constant[value=0]()
  %s: Tensor = aten::sum(%x, %none)
  %p: Tensor = aten::gt.Scalar(%s, %zero)
  %c: bool = tensor::bool(%p)
  prim::If(%c)
    block0():
      return (%x)
    block1():
      -> ()
  %n: Tensor = aten::neg(%x)
  return (%n)
"""

SOURCE = """\
def m_Cell_forward(self, x: Tensor, h: Tensor, n: int = 3) -> Tensor:
    r = h
    for i in range(n):
        t = torch.ops.aten.tanh.default(torch.ops.aten.add.Tensor(gate(torch.ops.aten.linear.default(x, self.weight)), r))
        r = t
    return r


def gate(x: Tensor) -> Tensor:
    if bool(torch.ops.aten.gt.Scalar(torch.ops.aten.sum.default(x), 0)):
        return x
    return torch.ops.aten.neg.default(x)
"""


def test_reads_like_what_was_written():
    program = parse_program(CELL, schema_of)
    assert print_code(program).text == SOURCE


def test_runs_like_what_was_written():
    _, forward = load(parse_program(CELL, schema_of))
    cell = torch.nn.Linear(4, 4, bias=False)
    x, h = torch.randn(2, 4), torch.randn(2, 4)
    expected = h
    for _ in range(5):
        y = cell(x)
        expected = torch.tanh((y if y.sum() > 0 else -y) + expected)
    torch.testing.assert_close(forward(cell, x, h, 5), expected)


def test_functions_of_like_names_stay_apart():
    text = """\
graph m.f(%n: int) -> int:
  %a: int = prim::Call[callee='m_f'](%n)
  return (%a)

graph m_f(%n: int) -> int:
  %a: int = int::neg(%n)
  return (%a)"""
    source, f = load(parse_program(text, schema_of))
    assert "def m_f_1(" in source and f(3) == -3


def test_loops_without_a_fixed_count_are_while_loops():
    text = """\
graph f(%n: int) -> int:
  %far: int = prim::Constant[value=9223372036854775807]()
  %one: int = prim::Constant[value=1]()
  %two: int = prim::Constant[value=2]()
  %c: bool = int::gt(%n, %one)
  %r: int = prim::Loop(%far, %c, %n)
    block0(%i: int, %m: int):
      %half: int = int::floordiv(%m, %two)
      %d: bool = int::gt(%half, %one)
      -> (%d, %half)
  return (%r)"""
    source, f = load(parse_program(text, schema_of))
    assert "while go_on:" in source
    assert f(100) == 1


def run(call, args):
    """What ``observe`` gives, for a Python callable."""
    torch.manual_seed(0)
    try:
        result = call(*args)
    except Exception as error:
        return plain((type(error), str(error), args))
    return plain((result, args))


class State:
    """A module's attributes for both sides."""

    def __init__(self, values):
        self.__dict__.update(values)


@pytest.mark.parametrize("seed", range(80))
def test_random_programs_run_alike(seed, capsys):
    import copy

    from scriptmode.interp import Interpreter

    program = random_program(seed)
    source, function = load(program)
    rng = rng_for(seed)
    for _ in range(4):
        state, *args = [random_value(p.type, rng, small=True) for p in program.graph.params]
        outcomes = []
        for call in (lambda *a: Interpreter(program).run(program.root, *a), function):
            owner, rest = State(copy.deepcopy(state)), copy.deepcopy(args)
            outcome = run(lambda *a: call(owner, *a), rest)
            outcomes.append((outcome, plain(vars(owner)), capsys.readouterr().out))
        if "OverflowError" in str(outcomes[0]):
            continue  # Python's ints go on
        assert outcomes[0] == outcomes[1], source
