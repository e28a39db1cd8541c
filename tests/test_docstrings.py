"""The Before and After of each pass's docstring, and the algebra of each rule's, are true."""

import ast
import importlib
import pkgutil
import re
import textwrap

import pytest

import scriptmode.passes
import scriptmode.passes.rules
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import YIELD, Graph, Program
from scriptmode.ops.aten import schema_of
from scriptmode.passes.rewrite import RULES, rewrite
from tests.passes.case_runner import check, equal_texts
from tests.passes.passes import PASSES
from tests.random_inputs import observe, random_value, rng_for

MODULES = {
    name.rpartition(".")[2]: importlib.import_module(name)
    for _, name, _ in pkgutil.iter_modules(scriptmode.passes.__path__, "scriptmode.passes.")
}
EXAMPLE = re.compile(r"^Before::\n\n(.*?)\n\nAfter::\n\n(.*?)\n(?=\S|\Z)", re.S | re.M)


@pytest.mark.parametrize("name", sorted(PASSES.keys() - {"rules"}))
def test_example_of_pass(name):
    match = EXAMPLE.search(MODULES[name].__doc__)
    assert match is not None, f"{name} has no example"
    before, after = (textwrap.dedent(part) for part in match.groups())
    changed, text = check(before, [name], after, seed=name)
    assert changed and equal_texts(text, after), f"found\n{text}"


RULE_FUNCTIONS = sorted({r for rules in RULES.values() for r in rules}, key=lambda r: r.__name__)
KIND = re.compile(r"\b([a-z_]+)::(\w+)(?:\[(\w+)=(\d+)\])?")


def expression(text):
    """Python syntax for ``kind[attribute=n](...)``."""
    return KIND.sub(lambda m: f"{m[1]}__{m[2]}" + (f"__{m[3]}__{m[4]}" if m[3] else ""), text)


class Building:
    """Builds the graph of one side; parameters get the types that the ops want."""

    def __init__(self, graph):
        self.graph, self.builder, self.params = graph, Builder(graph.block, schema_of), {}

    def build(self, node, wanted):
        if isinstance(node, ast.Constant):
            return self.builder.constant(node.value)
        if isinstance(node, ast.Name):
            if node.id not in self.params:
                self.params[node.id] = self.graph.add_param(wanted, node.id)
            return self.params[node.id]
        namespace, name, *attribute = node.func.id.split("__")
        kind = f"{namespace}::{name}"
        schema = schema_of(kind) if namespace != "prim" else None
        formal = [a.type for a in schema.arguments] if schema else [T.INT] * len(node.args)
        inputs = [self.build(a, t) for a, t in zip(node.args, formal, strict=True)]
        if schema:
            return self.builder.op(kind, *inputs)
        if kind == "prim::TupleConstruct":
            return self.builder.tuple(inputs)
        if kind == "prim::TupleIndex":
            return self.builder.tuple_index(inputs[0], int(attribute[1]))
        output = T.BOOL if kind == "prim::is_none" else inputs[0].type
        return self.builder.node(kind, inputs, [output]).output


@pytest.mark.parametrize("rule", RULE_FUNCTIONS, ids=lambda r: r.__name__)
def test_algebra_of_rule(rule):
    left, _, right = expression(rule.__doc__.splitlines()[0].split(", where")[0]).partition(" -> ")
    program, graph = Program("left"), Graph("left")
    building = Building(program.add(graph))
    value = building.build(ast.parse(left, mode="eval").body, None)
    if value.type == T.TENSOR:
        value = building.builder.op("aten::neg", value)  # the rule's result must not escape
    graph.block.terminate(YIELD, [value])
    other = Building(program.add(Graph("right")))
    for name, param in building.params.items():
        other.params[name] = other.graph.add_param(param.type, name)
    result = other.build(ast.parse(right, mode="eval").body, None)
    if result.type == T.TENSOR:
        result = other.builder.op("aten::neg", result)
    other.graph.block.terminate(YIELD, [result])
    rng = rng_for(left)
    for _ in range(20):
        args = [random_value(p.type, rng) for p in graph.params]
        expected = observe(program, "left", args)
        assert rewrite_fires(rule, program) and expected == observe(program, "right", args)


def rewrite_fires(rule, program):
    """Whether the rule itself matches its own left side."""
    nodes = list(program.functions["left"].walk())
    return any(rule in RULES.get(n.kind, ()) and rule(n) is not None for n in nodes)


def test_rewriting_applies_every_rule_that_fires():
    program = Program("f")
    graph = program.add(Graph("f"))
    x = graph.add_param(T.BOOL, "x")
    b = Builder(graph.block, schema_of)
    value = x
    for _ in range(7):
        value = b.op("bool::not", value)
    graph.block.terminate(YIELD, [value])
    assert rewrite(graph)
    PASSES["dce"](graph)
    assert [n.kind for n in graph.nodes] == ["bool::not"]
    assert observe(program, "f", [True])[1][0] == (bool, "False")
