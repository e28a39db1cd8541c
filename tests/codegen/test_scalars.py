"""Scalar ops: native results and errors are those of the reference meanings, edge cases included."""

from __future__ import annotations

import itertools
import math

import pytest

from scriptmode.codegen.module import CompiledProgram, choose_level, compile_program
from scriptmode.ir import types as T
from scriptmode.ir.graph import Graph, Program
from scriptmode.ir.parser import parse_program
from scriptmode.ops import table
from scriptmode.ops.aten import schema_of
from tests.codegen.native_calls import Compiled, builder_for

INTS = [0, 1, -1, 2, -3, 7, 10, 63, 64, -64, 2**31, -(2**62), 2**63 - 1, -(2**63), 2**53 + 1]
FLOATS = [0.0, -0.0, 1.0, -1.5, 0.1, 3.0, 1e300, -1e-300, math.inf, -math.inf, math.nan, 2.0**63]
VALUES = {T.INT: INTS, T.FLOAT: FLOATS, T.BOOL: [False, True]}


def plain_ops() -> dict[str, table.OpDef]:
    """Ops on and to int, float and bool alone."""
    return {
        d.schema.kind: d
        for d in table.all_ops()
        if d.schema.namespace in ("int", "float", "bool")
        and d.schema.arguments
        and all(a.type in VALUES for a in d.schema.arguments)
        and [r.type in VALUES for r in d.schema.returns] == [True]
    }


OPS = plain_ops()
HUGE = ("int::pow", "int::pow_float", "int::round_digits", "float::round_digits", "int::lshift")


@pytest.fixture(scope="module")
def compiled() -> CompiledProgram:
    program = Program(next(iter(OPS)))
    for kind, definition in OPS.items():
        graph = program.add(Graph(kind))
        inputs = [graph.add_param(a.type, a.name) for a in definition.schema.arguments]
        graph.return_type = definition.schema.returns[0].type
        graph.block.terminate("prim::Yield", [builder_for(graph).op(kind, *inputs)])
    return compile_program(program)


def outcome(function, arguments):
    """The result, or the class of the error."""
    try:
        return function(*arguments)
    except (ArithmeticError, ValueError) as error:
        return type(error)


def same(a, b) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return math.isnan(a) and math.isnan(b) or (a, math.copysign(1, a)) == (
            b, math.copysign(1, b)
        )  # fmt: skip
    return type(a) is type(b) and a == b


@pytest.mark.parametrize("kind", OPS)
def test_native_results_are_the_reference_meanings(kind, compiled):
    definition = OPS[kind]
    run = Compiled(compiled.program, kind, compiled)
    values = [VALUES[a.type] for a in definition.schema.arguments]
    for arguments in itertools.product(*values):
        if kind in HUGE and abs(arguments[1]) > 100:
            continue  # the reference would compute huge integers
        if kind == "float::pow" and arguments[0] < 0 and arguments[1] % 1:
            continue  # complex, which the op's type leaves no place for
        expected = outcome(definition.meaning, arguments)
        assert same(outcome(run, arguments), expected), (kind, arguments, expected)


def test_scalar_loops_are_optimised_and_tensor_code_is_not():
    scalar = parse_program("""
graph f(%n: int) -> int:
  %t: bool = prim::Constant[value=True]()
  %z: int = prim::Constant[value=0]()
  %r: int = prim::Loop(%n, %t, %z)
    block0(%i: int, %s: int):
      %u: int = int::add(%s, %i)
      -> (%t, %u)
  return (%r)
""", schema_of)  # fmt: skip
    tensor = parse_program("""
graph f(%x: Tensor, %n: int) -> Tensor:
  %t: bool = prim::Constant[value=True]()
  %r: Tensor = prim::Loop(%n, %t, %x)
    block0(%i: int, %s: Tensor):
      %u: Tensor = aten::relu(%s)
      -> (%t, %u)
  return (%r)
""", schema_of)  # fmt: skip
    assert (choose_level(scalar), choose_level(tensor)) == (2, 0)
