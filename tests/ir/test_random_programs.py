"""Random programs: the text reads back, the verifier is content, passes keep the meaning."""

import itertools

import pytest
from tests.generate_ir import random_program
from tests.passes.passes import PASSES
from tests.random_inputs import observe, random_value, rng_for

from scriptmode.ir.equal import difference, program_difference
from scriptmode.ir.graph import copy_graph
from scriptmode.ir.parser import parse_program
from scriptmode.ir.printer import print_program
from scriptmode.ir.verifier import verify_program
from scriptmode.ops.aten import schema_of

SEEDS = range(60)
ORDER = ["inline", "rules", "fold", "simplify_control_flow", "cse", "licm", "dce"]


def arguments(graph, rng):
    return [random_value(p.type, rng, small=True) for p in graph.params]


@pytest.mark.parametrize("seed", SEEDS)
def test_text_reads_back(seed):
    program = random_program(seed)
    verify_program(program, schema_of)
    text = print_program(program)
    again = parse_program(text, schema_of)
    verify_program(again, schema_of)
    assert program_difference(program, again) is None
    assert print_program(again) == text
    assert difference(program.graph, copy_graph(program.graph), places=False) is None


def same_behaviour(program, other, seed, capsys, runs=4):
    rng = rng_for(seed)
    for _ in range(runs):
        args = arguments(program.graph, rng)
        expected = observe(program, program.root, args), capsys.readouterr().out
        assert expected == (observe(other, program.root, args), capsys.readouterr().out)


@pytest.mark.parametrize("seed", SEEDS)
def test_all_passes_keep_the_meaning(seed, capsys):
    program, other = random_program(seed), random_program(seed)
    for name, graph in itertools.product(ORDER * 2, list(other.functions.values())):
        before = copy_graph(graph)
        changed = PASSES[name](graph, other)
        verify_program(other, schema_of)
        assert changed == (difference(before, graph, places=False) is not None), name
    same_behaviour(program, other, seed, capsys)


@pytest.mark.parametrize("name", sorted(PASSES))
def test_each_pass_alone_keeps_the_meaning(name, capsys):
    for seed in range(100, 115):
        program, other = random_program(seed), random_program(seed)
        for graph in list(other.functions.values()):
            PASSES[name](graph, other)
        verify_program(other, schema_of)
        same_behaviour(program, other, seed, capsys, runs=2)
