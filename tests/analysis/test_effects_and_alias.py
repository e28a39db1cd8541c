"""Effects and alias classes of small graphs."""

from scriptmode.analysis.alias import AliasAnalysis, is_only_read
from scriptmode.analysis.effects import Effects, leaves, op_effects
from scriptmode.ir.parser import parse_graph, parse_program
from scriptmode.ops.aten import schema_of
from scriptmode.ops.table import EVERYTHING, Effect


def values(text):
    graph = parse_graph(text, schema_of)
    found = {p.name: p for p in graph.params}
    for node in graph.walk():
        found |= {o.name: o for o in node.outputs}
        for block in node.blocks:
            found |= {p.name: p for p in block.params}
    return graph, found


def test_unknown_ops_do_everything():
    assert op_effects("aten::nothing_of_that_name") == EVERYTHING
    assert op_effects("aten::_backward") == EVERYTHING  # no results, so it is there for its effect


def test_registered_ops_that_write_without_saying_so():
    assert op_effects("aten::batch_norm") & Effect.WRITES
    assert not op_effects("aten::layer_norm") & Effect.WRITES


def test_calls_have_the_effects_of_their_callee():
    program = parse_program(
        """\
graph f(%x: float) -> float:
  %a: float = prim::Call[callee='g'](%x)
  %b: float = prim::Call[callee='f'](%x)
  return (%a)

graph g(%x: float) -> float:
  %z: float = float::truediv(%x, %x)
  return (%z)
""",
        schema_of,
    )
    effects = Effects(program)
    pure, recursive = program.graph.find_all("prim::Call")
    assert effects.of(pure) == Effect.RAISES
    assert effects.of(recursive) == EVERYTHING
    assert Effects().of(pure) == EVERYTHING


def test_leaving():
    graph, _ = values(
        """\
graph f(%n: int, %c: bool):
  prim::Loop(%n, %c)
    block0(%i: int):
      prim::If(%c)
        block0():
          break ()
        block1():
          -> ()
      -> (%c)
  return (%n)"""
    )
    loop = graph.find_all("prim::Loop")[0]
    assert not leaves(loop) and leaves(loop.blocks[0].first)


def test_alias_classes():
    graph, v = values(
        """\
graph f(%x: Tensor, %y: Tensor, %n: int, %c: bool):
  %fresh: Tensor = aten::relu(%x)
  %view: Tensor = aten::t(%fresh)
  %drop: Tensor = aten::dropout(%view, %p, %c)
  %other: Tensor = aten::abs(%x)
  %list: List[Tensor] = prim::ListConstruct(%other)
  %zero: int = prim::Constant[value=0]()
  %item: Tensor = list::getitem(%list, %zero)
  %third: Tensor = aten::neg(%x)
  %h: Tensor = prim::Loop(%n, %c, %third)
    block0(%i: int, %g: Tensor):
      %k: Tensor = aten::abs(%g)
      -> (%c, %k)
  %written: Tensor = aten::relu_(%view)
  return (%h)""".replace("  %fresh", "  %p: float = prim::Constant[value=0.5]()\n  %fresh")
    )
    aliases = AliasAnalysis(graph)
    assert aliases.may_alias(v["x"], v["y"])  # the caller may pass one tensor twice
    assert not aliases.may_alias(v["x"], v["fresh"])
    assert aliases.may_alias(v["fresh"], v["view"])
    assert aliases.may_alias(v["drop"], v["view"])  # the argument itself, when not training
    assert aliases.may_alias(v["item"], v["other"])
    assert not aliases.may_alias(v["item"], v["fresh"])
    assert aliases.may_alias(v["h"], v["k"]) and aliases.may_alias(v["third"], v["h"])
    assert aliases.is_outside(v["h"]) and not aliases.is_outside(v["view"])  # it is returned
    relu_ = graph.find_all("aten::relu_")[0]
    assert aliases.may_write(relu_, v["fresh"]) and not aliases.may_write(relu_, v["x"])
    assert not aliases.may_write(relu_, v["n"])
    assert not is_only_read(v["view"]) and not is_only_read(v["fresh"]) and is_only_read(v["x"])


def test_setting_the_storage_shares_it():
    graph, v = values(
        """\
graph f(%x: Tensor):
  %a: Tensor = aten::abs(%x)
  %b: Tensor = aten::neg(%x)
  %c: Tensor = aten::set_.source_Tensor(%a, %b)
  return (%x)"""
    )
    assert AliasAnalysis(graph).may_alias(v["a"], v["b"])
    assert not is_only_read(v["b"])
