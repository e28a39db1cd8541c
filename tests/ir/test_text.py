"""Printing and parsing: the print reads back as an equal graph."""

import collections
import enum
import math

import pytest
import torch

from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.equal import difference, equal_values, program_difference
from scriptmode.ir.graph import YIELD, Graph, Node, Program
from scriptmode.ir.literals import ObjectReference
from scriptmode.ir.parser import parse_graph, parse_program
from scriptmode.ir.printer import PrintOptions, local_objects, print_graph, print_program
from scriptmode.ops.aten import schema_of
from scriptmode.support.diagnostics import ScriptSyntaxError
from scriptmode.support.source import Span

CELL = """\
graph forward(%self: Module<m.MyCell>, %x: Tensor, %n: int = 3, kwonly %flag: bool = True) -> Tensor:  # m.py:10:4
  doc 'A cell.'
  %w: Tensor = prim::GetAttr[name='weight'](%self) @cell  # m.py:12:8
  %0: Tensor = prim::If(%flag)  # m.py:13:8
    block0():
      %1: Tensor = aten::relu(%x)
      -> (%1)
    block1():
      return (%x)  # m.py:15:8
  %2: int, %3: Tensor = prim::Loop(%n, %flag, %n, %0)
    block0(%i: int, %k: int, %h: Tensor):
      %4: bool = int::eq(%i, %k)
      prim::If(%4)
        block0():
          break (%k, %h)
        block1():
          %5: bool = int::lt(%i, %k)
          prim::If(%5) @'odd scope'
            block0():
              continue (%flag, %i, %h)
            block1():
              prim::raise[exception=python('builtins:ValueError')]()
              unreachable
          -> ()
      %x.1: Tensor = aten::mul.Tensor(%h, %w)
      -> (%flag, %k, %x.1)
  return (%3)"""


def through_text(graph, **options):
    text = print_graph(graph, **options)
    parsed = parse_graph(text, schema_of)
    assert print_graph(parsed, **options) == text
    return parsed


def test_canonical_text_is_a_fixed_point():
    graph = parse_graph(CELL, schema_of)
    assert str(graph) == CELL
    assert difference(graph, through_text(graph)) is None
    assert graph.defaults == {"n": 3, "flag": True} and graph.kwarg_only == {"flag"}
    assert graph.return_type == T.TENSOR
    node = next(graph.nodes)
    assert node.span == Span("m.py", 12, 8) and node.scope == "cell"
    assert graph.find_all("aten::relu")[0].schema is schema_of("aten::relu")


class Colour(enum.Enum):
    RED = 1


Point = collections.namedtuple("Point", ["x", "y"])
base = torch.arange(12, dtype=torch.float64)
VALUES = [
    (None, T.NONE), (True, T.BOOL), (0, T.INT), (-(2**63), T.INT), (1.5, T.FLOAT), (-0.0, T.FLOAT),
    (1e-320, T.FLOAT), (1e300, T.FLOAT), (math.nan, T.FLOAT), (math.inf, T.FLOAT),
    (-math.inf, T.FLOAT), (-math.nan, T.FLOAT), (complex(1, -0.0), T.COMPLEX),
    (complex(math.nan, -math.inf), T.COMPLEX), ("", T.STR), ("a'b\"c\n\\ # é \ud800 \x00 \u2028", T.STR),
    (torch.float32, T.DTYPE), (torch.device("cuda", 1), T.DEVICE), (torch.strided, T.LAYOUT),
    (torch.channels_last, T.MEMORY_FORMAT), (torch.per_tensor_affine, T.QSCHEME),
    (torch.Size([2, 3]), T.SIZE), ((1, (2.0,), ()), T.TupleType([T.INT, T.TupleType([T.FLOAT]), T.TupleType([])])),
    (Point(1, "a"), T.NamedTupleType("m.Point", ["x", "y"], [T.INT, T.STR], Point)),
    (torch.return_types.max((1, 2)), T.NamedTupleType("max", ["values", "indices"], [T.INT, T.INT])),
    (Colour.RED, T.EnumType("m.Colour", {"RED": 1}, Colour)),
    (torch.randn(2, 3), T.TENSOR), (torch.randn(2, 3).t(), T.TENSOR), (torch.empty(0, 4), T.TENSOR),
    (torch.tensor(3), T.TENSOR), (base[2:8:2], T.TENSOR), (torch.ones(1).expand(3, 2), T.TENSOR),
    (torch.randn(2, requires_grad=True), T.TENSOR), (torch.nn.Parameter(torch.ones(2), False), T.TENSOR),
    (torch.tensor([True, False]), T.TENSOR), (torch.randn(2, dtype=torch.complex64).conj(), T.TENSOR),
    (torch.tensor([math.nan, -0.0], dtype=torch.bfloat16), T.TENSOR), (torch.eye(3).to_sparse(), T.TENSOR),
    (torch.quantize_per_tensor(torch.randn(4), 0.1, 3, torch.qint8), T.TENSOR),
    (torch.zeros(2, 2).as_strided((2, 2), (1, 1)), T.TENSOR), (torch.randn(20000), T.TENSOR),
]  # fmt: skip


@pytest.mark.parametrize(("value", "type"), VALUES, ids=lambda v: type(v).__name__)
def test_constants_of_every_type_read_back_exactly(value, type):
    graph = Graph("f")
    graph.block.terminate(YIELD, [Builder(graph.block, schema_of).constant(value, type)])
    parsed = through_text(graph)
    assert difference(graph, parsed) is None
    assert equal_values(value, parsed.block.returns[0].constant)


def test_tensors_that_share_storage_or_identity_share_it_again():
    graph = Graph("f")
    b = Builder(graph.block, schema_of)
    raw = torch.arange(64, dtype=torch.uint8)
    tensors = [raw[5:9], raw[8:24].view(torch.float32), raw, raw[5:9]]
    values = [b.constant(t, T.TENSOR) for t in [*tensors, tensors[0]]]
    graph.block.terminate(YIELD, values[:1])
    found = [n.attributes["value"] for n in through_text(graph).nodes]
    assert found[4] is found[0] and found[3] is not found[0]
    found[2].fill_(1)
    assert found[0].tolist() == [1] * 4 and found[1].view(torch.uint8).tolist() == [1] * 16


def test_elided_tensors_are_for_humans_only():
    graph = Graph("f")
    graph.block.terminate(
        YIELD, [Builder(graph.block, schema_of).constant(torch.ones(3), T.TENSOR)]
    )
    text = print_graph(graph, PrintOptions(elide_tensors=True))
    assert "tensor(torch.float32, (3,), (1,), <elided>)" in text
    with pytest.raises(ScriptSyntaxError, match="elided"):
        parse_graph(text, schema_of)


def test_values_get_unique_names_and_keep_their_hints():
    graph = Graph("f")
    x = graph.add_param(T.INT, "x")
    for hint in ("x", "", "x", "7", "bad name!", "x.1"):
        graph.block.append(
            Node("int::neg", [x], [T.INT], schema=schema_of("int::neg"))
        ).output.name = hint
    graph.block.terminate(YIELD, [x])
    names = [line.split(":")[0].strip() for line in str(graph).split("\n")[1:-1]]
    assert names == ["%x.1", "%0", "%x.2", "%1", "%bad_name_", "%x.1.1"]
    assert difference(graph, through_text(graph)) is None


def test_whole_spans_survive_in_the_full_style():
    graph = Graph("f")
    x = graph.add_param(T.INT, "x")
    graph.span = Span("a b.py", 1, 0, 9, 9, "outer.<locals>.f")
    span = Span("C:\\x 'y'.py", 3, 4, 3, 9, "it's in g")
    graph.block.append(Node("int::neg", [x], [T.INT], schema=schema_of("int::neg"), span=span))
    graph.block.terminate(YIELD, [x], span)
    options = PrintOptions(spans="full")
    assert difference(graph, through_text(graph, options=options), full_spans=True) is None
    assert difference(graph, through_text(graph)) is None
    bare = parse_graph(print_graph(graph, PrintOptions(spans="none")), schema_of)
    assert difference(graph, bare, places=False) is None and difference(graph, bare) is not None


def whole_program():
    program = Program("m.Cell.forward")
    cell = T.ClassType("m.f.<locals>.Cell", is_module=True, original_name="Cell")
    inner = T.ClassType("m.Inner")
    colour = T.EnumType("m.Colour", {"RED": 1}, Colour)
    point = T.NamedTupleType("m.Point", ["x", "y"], [T.INT, inner], Point)
    cell.attributes = {"weight": T.TENSOR, "mean": T.TENSOR, "inner": inner, "0": T.INT, "p": point}
    cell.parameters, cell.buffers = {"weight", "bias"}, {"mean"}
    cell.constants = {"k": [1, {"a": (2,)}], "act": torch.relu, "helper": whole_program}
    cell.methods = {"forward": "m.Cell.forward", "local": "f.<locals>.g"}
    cell.python_class = torch.nn.Linear
    program.classes = {cell.name: cell, inner.name: inner}
    program.enums = {colour.name: colour}
    program.named_tuples = {point.name: point}
    program.self_object = torch.nn.Linear(1, 1)
    program.globals = {"scale": torch.nn.Linear(1, 2), "other thing": [1]}
    for name in ("m.Cell.forward", "f.<locals>.g"):
        graph = program.add(Graph(name))
        owner = graph.add_param(cell, "self")
        x = graph.add_param(T.optional_of(T.INT), "x")
        graph.defaults = {"x": None}
        b = Builder(graph.block, schema_of)
        b.node("prim::isinstance", [x], [T.BOOL], types=(T.INT, point))
        b.node("prim::python_call", [x], [T.ANY], function=lambda v: v)
        b.node("prim::Constant", [], [colour], value=Colour.RED)
        result = b.node("prim::GetAttr", [owner], [T.TENSOR], name="weight").output
        graph.block.terminate(YIELD, [result])
        graph.return_type = T.TENSOR
    return program


def test_programs_keep_types_constants_and_captured_objects():
    program = whole_program()
    text = print_program(program)
    parsed = parse_program(text, schema_of, objects=local_objects(program))
    assert program_difference(program, parsed) is None
    assert print_program(parsed) == text
    assert parsed.self_object is program.self_object
    assert parsed.classes["m.f.<locals>.Cell"].python_class is torch.nn.Linear
    assert parsed.named_tuples["m.Point"].python_class is Point


def test_objects_that_were_not_given_stay_references():
    program = whole_program()
    text = print_program(program)
    parsed = parse_program(text, schema_of)
    assert print_program(parsed) == text
    assert program_difference(program, parsed) is None
    call = parsed.functions["f.<locals>.g"].find_all("prim::python_call")[0]
    assert isinstance(call.attributes["function"], ObjectReference)
    with pytest.raises(NameError, match="was not given"):
        call.attributes["function"](1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("graph(%x: Tensor)", "expected ':'"),
        ("graph(%x: Tensr):", "unknown type 'Tensr'"),
        ("graph(%x: Tensor):\n  return (%y)", "%y is not defined"),
        ("graph(%x: Tensor):\n  %x: Tensor = aten::relu(%x)", "%x is defined twice"),
        ("graph(%x: Tensor):\n  %y: Tensor = aten::rleu(%x)", "unknown op aten::rleu"),
        ("graph(%x: Tensor):\n  %y: Tensor = aten::relu(%x) what", "unexpected text"),
        ("graph(%x: Tensor):\n  return (%x)\n  return (%x)", "after the end of a block"),
        ("graph(%x: Tensor):\n  %y: int = prim::Constant[value=what]()", "unknown literal"),
        ("graph(%x: Tensor):\n  prim::If(%x)\n    blck0():", "expected block0"),
        ("graph(%x: Tensor):\n  %y: Tensor = relu(%x)", "expected the kind of a node"),
        ("graph(%x: Tensor):\n  return (%x)\ngraph g():", "text after the graph"),
        ("", "expected a graph"),
    ],
)
def test_errors_say_what_and_where(text, message):
    with pytest.raises(ScriptSyntaxError) as caught:
        parse_graph(text, schema_of)
    assert message in str(caught.value)


DIFFERENT = [
    ("%w: Tensor = prim::GetAttr[name='weight']", "%w: Tensor = prim::GetAttr[name='bias']"),
    ("@cell", "@cell2"), ("m.py:12:8", "m.py:12:9"), ("aten::relu", "aten::abs"),
    ("%n: int = 3", "%n: int = 4"), ("kwonly ", ""), ("'A cell.'", "'B'"), ("-> (%1)", "-> (%x)"),
    ("break (%k, %h)", "break (%i, %h)"), ("%i: int, %k: int", "%i: int, %k: float"), ("%x: Tensor,", "%y: Tensor,"),
    ("continue (", "-> ("), ("ValueError", "KeyError"), ("m.MyCell", "m.YourCell"), ("forward", "backward"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new"), DIFFERENT)
def test_any_change_is_a_difference(old, new):
    assert old in CELL
    changed = CELL.replace(old, new)
    if old.startswith("%x"):
        changed = changed.replace("(%x)", "(%y)")
    assert difference(parse_graph(CELL, schema_of), parse_graph(changed, schema_of)) is not None
