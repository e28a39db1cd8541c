"""Text cases of passes, one file for each pass or group.

::

    [case keeps_node_with_effect]
    graph f(...):
      ...
    [after dce]
    unchanged

Several functions may stand in a case; the pass works on the first.  ``[after a b]`` runs two passes
in turn.  For every case the graph is verified, printed and parsed again before and after, and both
are run on random inputs and compared.  ``pytest --update`` rewrites the ``[after ...]`` sections.
"""

import re
from dataclasses import dataclass

from tests.passes.passes import PASSES
from tests.random_inputs import observe, random_value, rng_for

from scriptmode.ir.equal import difference, program_difference
from scriptmode.ir.parser import parse_program
from scriptmode.ir.printer import print_graph, print_program
from scriptmode.ir.verifier import verify_program
from scriptmode.ops.aten import schema_of

RUNS = 6


@dataclass
class Case:
    name: str
    before: str
    passes: list
    after: str


def read_cases(path):
    cases = []
    for part in re.split(r"^\[case ", path.read_text(), flags=re.M)[1:]:
        head, _, after = part.partition("\n[after ")
        name, _, before = head.partition("]\n")
        passes, _, expected = after.partition("]\n")
        cases.append(Case(name, before.strip("\n"), passes.split(), expected.strip("\n")))
    return cases


def write_cases(path, cases):
    preface = re.split(r"^\[case ", path.read_text(), flags=re.M)[0]
    parts = [
        f"[case {c.name}]\n{c.before}\n[after {' '.join(c.passes)}]\n{c.after}\n" for c in cases
    ]
    path.write_text(preface + "\n".join(parts))


def read(text):
    program = parse_program(text, schema_of)
    verify_program(program, schema_of)
    again = parse_program(print_program(program), schema_of)
    assert program_difference(program, again) is None
    return program


def first(program):
    return next(iter(program.functions.values()))


def check(before, passes, after, seed="", runs=RUNS):
    """Run ``passes`` on a program's text, return (changed, text of the first function)."""
    original, program = read(before), read(before)
    graph = first(program)
    changed = False
    for name in passes:
        changed = PASSES[name](graph, program) or changed
        verify_program(program, schema_of)
    read(print_program(program))
    same = difference(first(original), graph, places=False) is None
    assert changed == (not same), "the pass misreports whether it changed the graph"
    rng = rng_for(seed)
    for _ in range(runs):
        args = [random_value(p.type, rng, small=True) for p in graph.params]
        assert observe(original, graph.name, args) == observe(program, graph.name, args)
    return changed, print_graph(graph)


def equal_texts(a, b):
    x, y = (parse_program(text, schema_of) for text in (a, b))
    return difference(first(x), first(y), places=False) is None
