"""The verifier accepts a good program and finds every way in which it is broken here."""

import pytest

from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import BREAK, RETURN, UNREACHABLE, YIELD, Node, Use, copy_graph
from scriptmode.ir.parser import parse_graph, parse_program
from scriptmode.ir.verifier import verify, verify_program
from scriptmode.ops.aten import schema_of
from scriptmode.support.diagnostics import InternalError

PROGRAM = """\
program f
Enum<m.Colour>:
  RED = 1
Module<m.Cell> 'Cell':
  parameter weight: Tensor
  attribute count: int
  method forward = f
global scale = local('m:scale')

graph f(%self: Module<m.Cell>, %x: Tensor, %n: int, kwonly %c: bool = True) -> Tensor:
  %w: Tensor = prim::GetAttr[name='weight'](%self)  # m.py:3:4
  %two: int = prim::Constant[value=2]()
  prim::SetAttr[name='count'](%self, %two)
  %items: List[Tensor] = prim::ListConstruct(%x, %w)
  %pair: Tuple[Tensor, int] = prim::TupleConstruct(%x, %n)
  %first: Tensor = prim::TupleIndex[index=0](%pair)
  %table: Dict[int, Tensor] = prim::DictConstruct(%n, %x)
  list::append(%items, %first)
  %top: Tensor, %where: Tensor = aten::max.dim(%x, %two, %c)
  %called: Tensor = prim::Call[callee='g'](%top, %two)
  %r: Tensor = prim::If(%c)
    block0():
      %y: Tensor = aten::relu(%called)
      -> (%y)
    block1():
      prim::raise[exception=python('builtins:ValueError')]()
      unreachable
  %total: int, %h: Tensor = prim::Loop(%n, %c, %two, %r)
    block0(%i: int, %t: int, %hh: Tensor):
      %t2: int = int::add(%t, %i)
      prim::If(%c)
        block0():
          break (%t2, %hh)
        block1():
          -> ()
      %opt: Optional[Tensor] = prim::unchecked_cast(%hh)
      %some: Tensor = prim::unchecked_cast(%opt)
      -> (%c, %t2, %some)
  return (%h)

graph g(%a: Tensor, %b: Optional[int]) -> Tensor:
  return (%a)
"""


def program():
    return parse_program(PROGRAM, schema_of)


def test_accepts_a_good_program():
    verify_program(program(), schema_of)


def node(graph, kind, index=0):
    return graph.find_all(kind)[index]


def value(graph, kind, output=0):
    return node(graph, kind).outputs[output]


def set_attribute(kind, **attributes):
    return lambda p, g: node(g, kind).attributes.update(attributes)


def set_input(kind, index, source, output=0):
    return lambda p, g: node(g, kind).set_input(index, value(g, source, output))


def set_type(kind, t, output=0):
    return lambda p, g: setattr(value(g, kind, output), "type", t)


def drop_input(kind):
    return lambda p, g: node(g, kind).set_inputs(node(g, kind).inputs[:-1])


def use_before_definition(p, g):
    node(g, "aten::max").set_input(0, value(g, "prim::Call"))


def use_out_of_a_block(p, g):
    g.block.terminator.set_input(0, value(g, "aten::relu"))


def use_of_another_function(p, g):
    g.block.terminator.set_input(0, p.functions["g"].params[0])


def node_after_terminator(p, g):
    end = g.block.terminator
    extra = Node("prim::print")
    end.next, extra.previous, extra.block, g.block.last = extra, end, g.block, extra


def missing_terminator(p, g):
    g.block.terminator.erase()


def missing_use(p, g):
    value(g, "prim::GetAttr")._uses.clear()


def stale_use(p, g):
    param = g.params[1]
    param._uses[1, 0] = Use(Node("prim::print"), 0)


def wrong_use(p, g):
    relu = node(g, "aten::relu")
    g.params[2]._uses[id(relu), 0] = Use(relu, 0)


def wrong_block_link(p, g):
    node(g, "aten::relu").block = g.block


def wrong_previous(p, g):
    node(g, "aten::max").previous = None


def wrong_owner(p, g):
    node(g, "prim::If").blocks[0].owner = node(g, "prim::Loop")


def wrong_definition(p, g):
    value(g, "prim::GetAttr").definition = node(g, "aten::relu")


def wrong_last(p, g):
    g.block.last = g.block.first


def extra_block(p, g):
    node(g, "prim::If").add_block().terminate(YIELD, [g.params[1]])


def block_on_an_op(p, g):
    node(g, "aten::relu").add_block().terminate(YIELD, [])


def change_end(kind, new, pick):
    def change(p, g):
        end = node(g, kind)
        block, inputs = end.block, pick(g, end.inputs)
        end.erase()
        block.terminate(new, inputs)

    return change


def drop_loop_param(p, g):
    del node(g, "prim::Loop").blocks[0].params[2]


def trip_is_bool(p, g):
    node(g, "prim::Loop").set_input(0, g.params[3])


def rename_parameter(p, g):
    g.params[2].name = "x"


def default_of_nothing(p, g):
    g.defaults["y"] = 1


def keyword_only_first(p, g):
    g.kwarg_only.add("x")


def unregistered_class(p, g):
    del p.classes["m.Cell"]


def unregistered_enum(p, g):
    del p.enums["m.Colour"]
    Builder(g.block, schema_of).constant(1, T.EnumType("m.Colour", {}))


def type_variable(p, g):
    value(g, "prim::Call").type = T.TypeVar("t")


def lost_schema(p, g):
    node(g, "aten::relu").schema = None


def other_schema(p, g):
    node(g, "aten::relu").schema = schema_of("aten::abs")


def misspelt(kind, new):
    return lambda p, g: setattr(node(g, kind), "kind", new)


def list_constant(p, g):
    Builder(g.block, schema_of).constant([1], T.ListType([T.INT]))


def return_of_another_type(p, g):
    g.return_type = T.INT


def no_such_global(p, g):
    Builder(g.block, schema_of).node("prim::Global", [], [p.classes["m.Cell"]], name="shift")


def same_node_twice(p, g):
    relu, block = node(g, "aten::relu"), node(g, "prim::If").blocks[1]
    block.first = relu


def no_span(p, g):
    node(g, "aten::relu").span = None


MUTATIONS = {
    "op input of the wrong type": set_input("aten::relu", 0, "prim::Constant"),
    "op output of the wrong type": set_type("aten::relu", T.INT),
    "type variable bound twice": set_input("list::append", 1, "prim::Constant"),
    "too few op inputs": drop_input("aten::max"),
    "too few results": lambda p, g: node(g, "aten::max").outputs.pop(),
    "misspelt op": misspelt("aten::relu", "aten::rleu"),
    "misspelt structural op": misspelt("prim::raise", "prim::throw"),
    "attribute of an op": lambda p, g: node(g, "aten::relu").attributes.update(x=1),
    "constant of the wrong type": set_attribute("prim::Constant", value=2.0),
    "constant beyond 64 bits": set_attribute("prim::Constant", value=2**63),
    "bool constant as int": set_attribute("prim::Constant", value=True),
    "missing attribute": lambda p, g: node(g, "prim::Constant").attributes.clear(),
    "unknown module attribute": set_attribute("prim::GetAttr", name="bias"),
    "module attribute of the wrong type": set_attribute("prim::GetAttr", name="count"),
    "stored value of the wrong type": set_input("prim::SetAttr", 1, "prim::GetAttr"),
    "list element": set_input("prim::ListConstruct", 1, "prim::Constant"),
    "tuple length": drop_input("prim::TupleConstruct"),
    "tuple index": set_attribute("prim::TupleIndex", index=2),
    "negative tuple index": set_attribute("prim::TupleIndex", index=-1),
    "dict without value": drop_input("prim::DictConstruct"),
    "dict key": set_input("prim::DictConstruct", 0, "prim::GetAttr"),
    "no such callee": set_attribute("prim::Call", callee="h"),
    "too few call inputs": drop_input("prim::Call"),
    "call input": set_input("prim::Call", 1, "prim::GetAttr"),
    "call result": set_type("prim::Call", T.ANY),
    "cast between strangers": set_input("prim::unchecked_cast", 0, "prim::Constant"),
    "no exception class": set_attribute("prim::raise", exception=int),
    "condition that is no bool": set_input("prim::If", 0, "prim::Constant"),
    "Yield of the wrong type": lambda p, g: node(g, YIELD).set_input(0, value(g, "prim::Constant")),
    "Yield of too few": lambda p, g: node(g, YIELD).set_inputs([]),
    "Break of too few": lambda p, g: node(g, BREAK).set_inputs([]),
    "Break outside of a loop": change_end(YIELD, BREAK, lambda g, v: v),
    "Continue without condition": change_end(BREAK, "prim::Continue", lambda g, v: v),
    "Return of the wrong type": change_end(BREAK, RETURN, lambda g, v: v[:1]),
    "Return of nothing": change_end(BREAK, RETURN, lambda g, v: []),
    "Unreachable that is reached": change_end(BREAK, UNREACHABLE, lambda g, v: []),
    "Unreachable with a value": lambda p, g: node(g, UNREACHABLE).add_input(g.params[0]),
    "initial value of a Loop": lambda p, g: node(g, "prim::Loop").set_input(2, g.params[1]),
}
MUTATIONS |= {
    f.__name__: f
    for f in (
        use_before_definition, use_out_of_a_block, use_of_another_function, node_after_terminator,
        missing_terminator, missing_use, stale_use, wrong_use, wrong_block_link, wrong_previous,
        wrong_owner, wrong_definition, wrong_last, extra_block, block_on_an_op, drop_loop_param,
        trip_is_bool, rename_parameter, default_of_nothing, keyword_only_first, unregistered_class,
        unregistered_enum, type_variable, lost_schema, other_schema, list_constant,
        return_of_another_type, no_such_global, same_node_twice, no_span,
    )
}  # fmt: skip


@pytest.mark.parametrize("name", MUTATIONS)
def test_finds(name):
    broken = program()
    MUTATIONS[name](broken, broken.graph)
    with pytest.raises(InternalError, match="invalid IR in f"):
        verify(broken.graph, broken, schema_of)


def test_names_the_node_and_its_place():
    broken = program()
    set_attribute("prim::GetAttr", name="bias")(broken, broken.graph)
    with pytest.raises(InternalError) as caught:
        verify(broken.graph, broken, schema_of)
    assert "Module<m.Cell> has no attribute 'bias'" in str(caught.value)
    assert "prim::GetAttr" in str(caught.value) and caught.value.span.line == 3


def test_a_graph_alone_is_checked_without_its_program():
    verify(copy_graph(program().graph), None, schema_of)


def test_methods_and_root_must_exist():
    broken = program()
    broken.classes["m.Cell"].methods["forward"] = "h"
    with pytest.raises(InternalError, match="missing function 'h'"):
        verify_program(broken, schema_of)
    broken.root = "h"
    with pytest.raises(InternalError, match="no root 'h'"):
        verify_program(broken, schema_of)


def test_sequences_of_any_length():
    text = """\
graph(%n: int, %a: Tuple[int, ...]):
  %s: Size = prim::VarTupleConstruct(%n, %n)
  %l: List[int] = tuple::as_list(%s)
  %t: Tuple[int, ...] = tuple::from_list(%l)
  %k: int, %v: int = dict::popitem(%d)
  return (%s)"""
    text = text.replace("  %k", "  %d: Dict[int, int] = prim::DictConstruct(%n, %n)\n  %k")
    verify(parse_graph(text, schema_of), None, schema_of)
