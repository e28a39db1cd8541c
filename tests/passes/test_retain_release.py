"""The ownership pass: text cases, and every path of random graphs counted."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from scriptmode.analysis.ownership import is_stack_list
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import (
    BREAK,
    CONTINUE,
    RETURN,
    UNREACHABLE,
    YIELD,
    Block,
    Graph,
    Node,
    Program,
    Value,
    copy_graph,
)
from scriptmode.ir.parser import parse_program
from scriptmode.ops.aten import schema_of
from scriptmode.passes.retain_release import insert_retain_release

PAIR = T.TupleType([T.TENSOR, T.TENSOR])


# ---- a counting interpreter ----


@dataclass
class Counted:
    """A reference-counted object: its count, what it owns, and what it only lends."""

    count: int = 1
    children: list[Counted] = field(default_factory=list)
    lent: list[Counted] = field(default_factory=list)

    def use(self) -> None:
        assert self.count > 0, "used after its last release"
        for needed in self.lent:
            needed.use()

    def retain(self) -> None:
        self.use()
        self.count += 1

    def release(self) -> None:
        self.use()
        self.count -= 1
        if not self.count:
            for child in self.children:
                child.release()


class Left(Exception):
    """A terminator other than Yield, on its way out."""

    def __init__(self, kind: str, values: list[Counted]) -> None:
        self.kind, self.values = kind, values


class Counter:
    """Runs a graph, choosing branches and trip counts at random; counts references."""

    def __init__(self, choices: random.Random) -> None:
        self.choices = choices
        self.made: list[Counted] = []
        self.values: dict[Value, Counted] = {}

    def run(self, graph: Graph) -> None:
        tensors = [p for p in graph.params if p.type == T.TENSOR]
        params = [Counted() for _ in tensors]
        self.values.update(zip(tensors, params, strict=True))
        try:
            results = self.block(graph.block)
        except Left as left:
            if left.kind == UNREACHABLE:
                return
            assert left.kind == RETURN
            results = left.values
        for result in results:
            result.release()
        assert [p.count for p in params] == [1] * len(params), "a borrowed param changed hands"
        assert not [m for m in self.made if m.count], "a value was never released"

    def block(self, block: Block) -> list[Counted]:
        for node in block.nodes:
            self.node(node)
        end = block.terminator
        values = [self.values[v] for v in end.inputs if v.type not in (T.BOOL, T.INT)]
        for value in values:
            value.use()
        if end.kind == YIELD:
            return values
        raise Left(end.kind, values)

    def node(self, node: Node) -> None:
        inputs = [self.values[v] for v in node.inputs if v in self.values]
        for value in inputs:
            value.use()
        if node.kind == "prim::retain":
            inputs[0].retain()
        elif node.kind == "prim::release":
            inputs[0].release()
        elif node.kind == "prim::If":
            results = self.block(node.blocks[self.choices.randrange(2)])
            self.values.update(zip(node.outputs, results, strict=True))
        elif node.kind == "prim::Loop":
            self.loop(node, inputs)
        elif node.kind == "prim::TupleIndex":
            self.values[node.output] = inputs[0].children[node.attributes["index"]]
        elif is_stack_list(node):
            self.values[node.output] = Counted(lent=inputs)
        else:
            self.result(node, inputs)

    def result(self, node: Node, inputs: list[Counted]) -> None:
        for output in node.outputs:
            if output.type in (T.BOOL, T.INT):
                continue
            made = Counted()
            if node.kind == "prim::TupleConstruct":
                made.children = inputs
                for index, child in enumerate(inputs):
                    if index not in node.attributes.get("moved", ()):
                        child.retain()
            self.made.append(made)
            self.values[output] = made

    def loop(self, node: Node, carried: list[Counted]) -> None:
        (body,) = node.blocks
        for _ in range(self.choices.randrange(4)):
            self.values.update(zip(body.params[1:], carried, strict=True))
            try:
                carried = self.block(body)
            except Left as left:
                if left.kind not in (BREAK, CONTINUE):
                    raise
                carried = left.values
                if left.kind == BREAK:
                    break
        self.values.update(zip(node.outputs, carried, strict=True))


# ---- random graphs ----


class Generator:
    """Random structured graphs with all terminators."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.budget = 25

    def graph(self) -> Graph:
        graph = Graph("f")
        params = [graph.add_param(T.TENSOR, f"p{i}") for i in range(2)]
        self.condition = graph.add_param(T.BOOL, "c")
        self.trips = graph.add_param(T.INT, "n")
        graph.return_type = T.TENSOR
        self.b = Builder(graph.block, schema_of)
        values = list(params)
        self.nodes(values, 0, False)
        graph.block.terminate(YIELD, [self.pick(values, T.TENSOR)])
        return graph

    def pick(self, values: list[Value], t: T.Type) -> Value:
        fitting = [v for v in values if v.type == t]
        # the latest ones half of the time: they are the owned ones
        return self.random.choice(fitting[-3:] if self.random.random() < 0.5 else fitting)

    def nodes(self, values: list[Value], depth: int, in_loop: bool) -> None:
        for _ in range(self.random.randrange(1, 5)):
            if self.budget <= 0:
                return
            self.budget -= 1
            kinds = [self.op, self.op, self.tuple, self.index, self.list]
            if depth < 4:
                kinds += [self.branch, self.branch, self.loop]
            self.random.choice(kinds)(values, depth, in_loop)

    def op(self, values: list[Value], depth: int, in_loop: bool) -> None:
        values.append(self.b.op("aten::relu", self.pick(values, T.TENSOR)))

    def list(self, values: list[Value], depth: int, in_loop: bool) -> None:
        items = [self.pick(values, T.TENSOR) for _ in range(2)]
        lent = self.b.list(items, T.TENSOR)
        values.append(self.b.op("aten::stack", lent, self.b.constant(0)))

    def tuple(self, values: list[Value], depth: int, in_loop: bool) -> None:
        values.append(self.b.tuple([self.pick(values, T.TENSOR) for _ in range(2)]))

    def index(self, values: list[Value], depth: int, in_loop: bool) -> None:
        if any(v.type == PAIR for v in values):
            pair = self.pick(values, PAIR)
            values.append(self.b.tuple_index(pair, self.random.randrange(2)))

    def branch(self, values: list[Value], depth: int, in_loop: bool) -> None:
        node = self.b.if_node(self.condition)
        types = [T.TENSOR for _ in range(self.random.randrange(3))]
        for block in node.blocks:
            with self.b.at(block):
                inner = list(values)
                self.nodes(inner, depth + 1, in_loop)
                self.terminate(block, inner, types, in_loop)
        values += [node.add_output(t) for t in types]

    def terminate(
        self, block: Block, values: list[Value], types: list[T.Type], in_loop: bool
    ) -> None:
        chance = self.random.random()
        loop_values = [self.pick(values, T.TENSOR) for _ in self.carried] if in_loop else []
        if chance < 0.1:
            block.terminate(RETURN, [self.pick(values, T.TENSOR)])
        elif chance < 0.15:
            block.terminate(UNREACHABLE, [])
        elif in_loop and chance < 0.25:
            block.terminate(BREAK, loop_values)
        elif in_loop and chance < 0.35:
            block.terminate(CONTINUE, [self.condition, *loop_values])
        else:
            block.terminate(YIELD, [self.pick(values, t) for t in types])

    def loop(self, values: list[Value], depth: int, in_loop: bool) -> None:
        types = [T.TENSOR for _ in range(self.random.randrange(3))]
        initial = [self.pick(values, t) for t in types]
        node = self.b.node("prim::Loop", [self.trips, self.condition, *initial])
        body = node.add_block()
        body.add_param(T.INT, "i")
        inner = [*values, *(body.add_param(t, "h") for t in types)]
        outer, self.carried = getattr(self, "carried", []), types
        with self.b.at(body):
            self.nodes(inner, depth + 1, True)
            body.terminate(YIELD, [self.condition, *(self.pick(inner, t) for t in types)])
        self.carried = outer
        values += [node.add_output(t) for t in types]


def with_ownership(graph: Graph) -> Graph:
    copy = copy_graph(graph)
    program = Program("f")
    program.add(copy)
    insert_retain_release(copy, program)
    return copy


@pytest.mark.parametrize("first_seed", range(0, 400, 50))
def test_each_owned_value_is_released_exactly_once_on_every_path(first_seed):
    for seed in range(first_seed, first_seed + 50):
        graph = with_ownership(Generator(seed).graph())
        for path in range(12):
            Counter(random.Random(path)).run(graph)


def test_the_counting_interpreter_sees_a_missing_release():
    graph = with_ownership(Generator(3).graph())
    release = next(n for n in graph.walk() if n.kind == "prim::release")
    release.erase()
    with pytest.raises(AssertionError):
        for path in range(40):
            Counter(random.Random(path)).run(graph)


# ---- text cases ----


def inserted(text: str) -> list[str]:
    """The graph's lines after the pass."""
    program = parse_program(text, schema_of)
    insert_retain_release(program.graph, program)
    return [line.strip() for line in str(program.graph).splitlines()[1:]]


def count(lines: list[str], kind: str) -> int:
    return sum(kind in line for line in lines)


def test_a_result_that_is_returned_is_moved_without_retain():
    lines = inserted("""
graph(%x: Tensor):
  %a: Tensor = aten::relu(%x)
  return (%a)
""")
    assert count(lines, "prim::retain") == 0 and count(lines, "prim::release") == 0


def test_a_param_that_is_returned_is_retained():
    assert count(inserted("graph(%x: Tensor):\n  return (%x)\n"), "prim::retain") == 1


def test_an_unused_result_is_released_at_once():
    lines = inserted("""
graph(%x: Tensor):
  %a: Tensor = aten::relu_(%x)
  return (%x)
""")
    assert lines[1] == "prim::release(%a)"


def test_a_value_dead_in_one_branch_is_released_at_its_entry():
    lines = inserted("""
graph(%x: Tensor, %c: bool):
  %a: Tensor = aten::relu(%x)
  %r: Tensor = prim::If(%c)
    block0():
      -> (%a)
    block1():
      -> (%x)
  return (%r)
""")
    assert lines[lines.index("block1():") + 1] == "prim::release(%a)"


def test_types_without_counts_are_skipped():
    lines = inserted("""
graph(%x: int, %y: Tuple[int, float]):
  %a: int = int::add(%x, %x)
  %b: Optional[int] = prim::unchecked_cast(%a)
  return (%y)
""")
    assert count(lines, "prim::retain") == 0 and count(lines, "prim::release") == 0


def test_a_loop_moves_its_initial_value_and_its_results():
    lines = inserted("""
graph(%x: Tensor, %n: int):
  %t: bool = prim::Constant[value=True]()
  %a: Tensor = aten::relu(%x)
  %r: Tensor = prim::Loop(%n, %t, %a)
    block0(%i: int, %h: Tensor):
      %k: Tensor = aten::relu(%h)
      -> (%t, %k)
  return (%r)
""")
    assert count(lines, "prim::retain") == 0
    assert count(lines, "prim::release") == 1  # of the old carried value


def test_an_element_of_a_tuple_is_borrowed():
    lines = inserted("""
graph(%x: Tensor):
  %a: Tensor = aten::relu(%x)
  %t: Tuple[Tensor, Tensor] = prim::TupleConstruct(%a, %x)
  %e: Tensor = prim::TupleIndex[index=0](%t)
  %r: Tensor = aten::neg(%e)
  return (%r)
""")
    assert "[moved=(0,)]" in lines[1]
    assert count(lines, "prim::release") == 1 and count(lines, "prim::retain") == 0
    assert lines[4] == "prim::release(%t)"


def test_the_attribute_of_a_module_is_borrowed_unless_it_is_written():
    module = T.ClassType("m.M", is_module=True)
    module.attributes["w"] = T.TENSOR
    program = Program("f")
    graph = program.add(Graph("f"))
    this = graph.add_param(module, "self")
    b = Builder(graph.block, schema_of)
    w = b.node("prim::GetAttr", [this], [T.TENSOR], name="w").output
    r = b.op("aten::relu", w)
    graph.block.terminate(YIELD, [r])
    writing = copy_graph(graph)
    b = Builder(writing.block, schema_of)
    b.node("prim::SetAttr", [writing.params[0], writing.block.terminator.inputs[0]], name="w")
    for made, releases in ((graph, 0), (writing, 1)):
        program.functions["f"] = made
        insert_retain_release(made, program)
        assert len(made.find_all("prim::release")) == releases
