"""Errors of native code: class, text, place, and that nothing leaks on the way out."""

from __future__ import annotations

import ctypes

import pytest
import torch
from llvmlite import ir

from scriptmode.abi.convention import I32, I64, PTR
from scriptmode.codegen.engine import Engine
from scriptmode.codegen.function import lowering_for
from scriptmode.ir import types as T
from scriptmode.ir.graph import Graph, Node
from scriptmode.ir.parser import parse_program
from scriptmode.ops.aten import schema_of
from scriptmode.support.diagnostics import NotBuiltError
from scriptmode.support.source import Span
from tests.codegen.native_calls import Compiled, builder_for, nothing_left, program_of


def compiled_of(text: str) -> Compiled:
    return Compiled(parse_program(text, schema_of, objects={"builtins.KeyError": KeyError}))


def binary(kind: str, operand: str, result: str) -> Compiled:
    return compiled_of(f"""
graph f(%a: {operand}, %b: {operand}) -> {result}:
  %r: {result} = {kind}(%a, %b)
  return (%r)
""")


@pytest.mark.parametrize(
    ("kind", "a", "b", "error"),
    [
        ("int::add", 2**63 - 1, 1, OverflowError),
        ("int::sub", -(2**63), 1, OverflowError),
        ("int::mul", 2**32, 2**31, OverflowError),
        ("int::floordiv", 1, 0, ZeroDivisionError),
        ("int::floordiv", -(2**63), -1, OverflowError),
        ("int::mod", 1, 0, ZeroDivisionError),
        ("int::lshift", 1, 63, OverflowError),
        ("int::lshift", 1, -1, ValueError),
        ("int::rshift", 1, -1, ValueError),
    ],
)
def test_integer_arithmetic_raises_as_python_does(kind, a, b, error):
    run = binary(kind, "int", "int")
    with pytest.raises(error):
        run(a, b)


def test_list_index_error_has_pythons_text():
    run = compiled_of("""
graph f(%l: List[int], %i: int) -> int:
  %r: int = list::getitem(%l, %i)
  return (%r)
""")
    assert run([1, 2, 3], -3) == 1
    with nothing_left(), pytest.raises(IndexError, match="^list index out of range$"):
        run([1, 2, 3], 3)
    with pytest.raises(IndexError):
        run([1, 2, 3], -4)


def test_an_error_in_a_loop_releases_everything_and_names_its_place():
    graph = Graph("f")
    x, n = graph.add_param(T.TENSOR, "x"), graph.add_param(T.INT, "n")
    graph.return_type = T.TENSOR
    b = builder_for(graph)
    true, one = b.constant(True), b.constant(1)
    kept = b.op("aten::neg", x)
    loop = b.node("prim::Loop", [n, true, x])
    body = loop.add_block()
    i = body.add_param(T.INT, "i")
    h = body.add_param(T.TENSOR, "h")
    with b.at(body), b.located(Span("user.py", 12, 4, function="f")):
        doubled = b.node("aten::cat", [b.list([h, kept], T.TENSOR), b.constant(0)],
                         [T.TENSOR], schema=schema_of("aten::cat")).output  # fmt: skip
        longer = b.op("aten::add.Tensor", doubled, kept, one)
        assert i is not None
        body.terminate("prim::Yield", [true, longer])
    last = b.op("aten::add.Tensor", loop.add_output(T.TENSOR), kept, one)
    graph.block.terminate("prim::Yield", [last])
    run = Compiled(program_of(graph))
    value = torch.randn(3)
    before = value._use_count()
    with nothing_left(), pytest.raises(RuntimeError, match="must match the size"):
        run(value, 3)
    assert value._use_count() == before
    assert [run.program.locations[i].line for i in run.context.locations()] == [12]


def test_the_trace_lists_frames_innermost_first():
    run = compiled_of("""
graph f(%x: Tensor, %y: Tensor) -> Tensor:
  %a: Tensor = aten::relu(%x)
  %r: Tensor = prim::Call[callee='g'](%a, %y)  # user.py:3:4
  return (%r)
graph g(%x: Tensor, %y: Tensor) -> Tensor:
  %a: Tensor = aten::relu(%x)
  %r: Tensor = aten::mm(%a, %y)  # user.py:7:8
  return (%r)
""")
    with nothing_left(), pytest.raises(RuntimeError):
        run(torch.randn(3), torch.randn(2))
    assert [run.program.locations[i].line for i in run.context.locations()] == [7, 3]
    a, b = torch.randn(2, 2), torch.randn(2, 2)
    torch.testing.assert_close(run(a, b), a.relu().relu() @ b)


def test_recursion_ends_with_recursion_error():
    run = compiled_of("""
graph f(%n: int) -> int:
  %zero: int = prim::Constant[value=0]()
  %one: int = prim::Constant[value=1]()
  %done: bool = int::le(%n, %zero)
  %r: int = prim::If(%done)
    block0():
      -> (%zero)
    block1():
      %m: int = int::sub(%n, %one)
      %s: int = prim::Call[callee='f'](%m)
      %t: int = int::add(%s, %n)
      -> (%t)
  return (%r)
""")
    assert run(10) == 55

    run.stack_limit = stack_pointer() - 200_000
    assert run(10) == 55
    with pytest.raises(RecursionError, match="maximum recursion depth exceeded"):
        run(1_000_000)
    assert len(run.context.locations()) == 64


def stack_pointer() -> int:
    """An address in the current native stack."""
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(I64, []), "here")
    b = ir.IRBuilder(function.append_basic_block())
    frame = ir.Function(module, ir.FunctionType(PTR, [I32]), "llvm.frameaddress.p0")
    b.ret(b.ptrtoint(b.call(frame, [ir.Constant(I32, 0)]), I64))
    engine = Engine()
    engine.add(module)
    found = ctypes.CFUNCTYPE(ctypes.c_int64)(engine.address("here"))()
    engine.close()
    return found


def test_a_raise_carries_class_and_message():
    run = compiled_of("""
graph f(%s: str, %c: bool) -> str:
  %p: str = prim::Constant[value="no "]()
  prim::If(%c)
    block0():
      %m: str = str::concat(%p, %s)
      prim::raise[exception=python('builtins.KeyError')](%m)
      unreachable
    block1():
      -> ()
  return (%s)
""")
    assert run("x", False) == "x"
    with nothing_left(), pytest.raises(KeyError, match="no way"):
        run("way", True)


def test_print_goes_to_the_host_as_one_text():
    run = compiled_of("""
graph f(%s: str) -> None:
  %n: None = prim::Constant[value=None]()
  prim::print[sep=', ', end='!'](%s, %s)
  return (%n)
""")
    with nothing_left():
        run("é")
    assert run.context.printed == ["é, é!"]


def test_back_edges_poll_when_the_flag_is_set():
    run = compiled_of("""
graph f(%n: int) -> int:
  %t: bool = prim::Constant[value=True]()
  %z: int = prim::Constant[value=0]()
  %r: int = prim::Loop(%n, %t, %z)
    block0(%i: int, %s: int):
      %u: int = int::add(%s, %i)
      -> (%t, %u)
  return (%r)
""")
    run.flag = 1
    assert run(100) == 4950
    assert run.context.polls == 1


def test_an_op_without_native_code_names_itself_and_its_place():
    node = Node("made::up", [], [T.INT], span=Span("user.py", 5, 4))
    with pytest.raises(NotBuiltError, match="made::up") as caught:
        lowering_for(node)
    assert caught.value.span is not None and caught.value.span.line == 5
