"""Bounds that the analysis finds, and does not find."""

from scriptmode.analysis.intervals import INT_MAX, INT_MIN, MOST_ITEMS, TOP, Intervals
from scriptmode.ir.parser import parse_graph
from scriptmode.ops.aten import schema_of


def bounds(text, kind):
    """Bounds of the inputs of the last node of ``kind``."""
    graph = parse_graph(text, schema_of)
    node = [n for n in graph.walk() if n.kind == kind][-1]
    return Intervals(graph).inputs_of(node)


def test_a_loop_index_is_below_the_length():
    found = bounds(
        """
graph f(%a: List[int], %c: bool):
  %n: int = list::len(%a)
  prim::Loop(%n, %c)
    block0(%i: int):
      %x: int = list::getitem(%a, %i)
      -> (%c)
  return (%n)
""",
        "list::getitem",
    )
    assert found[1] == (0, MOST_ITEMS - 1)


def test_what_grows_in_a_loop_is_unbounded_above_only():
    found = bounds(
        """
graph f(%n: int, %c: bool):
  %one: int = prim::Constant[value=1]()
  %two: int = prim::Constant[value=2]()
  %r: int = prim::Loop(%n, %c, %two)
    block0(%i: int, %x: int):
      %y: int = int::mul(%x, %two)
      %z: int = int::sub(%y, %one)
      -> (%c, %z)
  return (%r)
""",
        "int::sub",
    )
    assert found == [(4, INT_MAX), (1, 1)]


def test_a_branch_knows_its_condition_and_the_other_its_opposite():
    text = """
graph f(%n: int):
  %zero: int = prim::Constant[value=0]()
  %c: bool = int::lt(%n, %zero)
  %r: int = prim::If(%c)
    block0():
      %a: int = int::abs(%n)
      -> (%a)
    block1():
      %b: int = int::neg(%n)
      -> (%b)
  %s: int = int::invert(%r)
  %t: int = int::bit_length(%n)
  return (%s)
"""
    assert bounds(text, "int::abs") == [(INT_MIN, -1)]
    assert bounds(text, "int::neg") == [(0, INT_MAX)]
    assert bounds(text, "int::bit_length") == [TOP]


def test_a_condition_holds_on_when_the_other_branch_leaves():
    found = bounds(
        """
graph f(%n: int):
  %ten: int = prim::Constant[value=10]()
  %c: bool = int::le(%n, %ten)
  prim::If(%c)
    block0():
      -> ()
    block1():
      return (%n)
  %s: int = int::neg(%n)
  return (%s)
""",
        "int::neg",
    )
    assert found == [(INT_MIN, 10)]


def test_a_value_from_outside_the_loop_is_not_what_the_loop_makes_of_it():
    found = bounds(
        """
graph f(%n: int, %c: bool):
  %zero: int = prim::Constant[value=0]()
  %r: int = prim::Loop(%n, %c, %zero)
    block0(%i: int, %x: int):
      %d: bool = int::gt(%i, %n)
      %y: int = prim::If(%d)
        block0():
          -> (%n)
        block1():
          -> (%x)
      %z: int = int::neg(%y)
      -> (%c, %z)
  return (%r)
""",
        "int::neg",
    )
    assert found == [TOP]
