"""THE pass table: what happens to a program between the front end and code generation.

``optimize(program)`` copies the program and runs ``PIPELINE`` over it in order; ``compile_native``
hands the result to the code generator.  Order constraints stand in ``MUST_PRECEDE`` with their
reason and are checked when this module is imported.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Container
from dataclasses import dataclass

from scriptmode.codegen.module import CompiledProgram, Compiler, compile_program
from scriptmode.codegen.object_code import compile_object
from scriptmode.ir.graph import Graph, Program, callable_functions, copy_graph
from scriptmode.ir.verifier import verify
from scriptmode.ops.aten import schema_of
from scriptmode.passes.cse import eliminate_common_subexpressions
from scriptmode.passes.dce import eliminate_dead_code
from scriptmode.passes.fold import fold_constants
from scriptmode.passes.hoist_elements import hoist_elements
from scriptmode.passes.inline import inline_calls_in_loops
from scriptmode.passes.licm import hoist_loop_invariants
from scriptmode.passes.read_elements import read_elements
from scriptmode.passes.reserve_lists import reserve_lists
from scriptmode.passes.rewrite import apply_rules
from scriptmode.passes.share_lookups import share_lookups
from scriptmode.passes.simplify_control_flow import simplify_control_flow
from scriptmode.passes.stream_splits import stream_splits
from scriptmode.passes.unroll_recursion import unroll_recursion
from scriptmode.passes.version_loops import version_loops
from scriptmode.runtime import link  # noqa: F401  (registers the native library)
from scriptmode.support import config


@dataclass(frozen=True)
class Pass:
    """A named step; ``run`` returns whether the graph changed."""

    name: str
    run: Callable[[Graph, Program], bool]
    required: bool = False  # runs at optimisation level 0 too


PIPELINE: list[Pass] = [
    Pass("inline", inline_calls_in_loops),
    Pass("unroll_recursion", unroll_recursion),
    Pass("fold", fold_constants),
    Pass("rules", apply_rules),
    Pass("simplify_control_flow", simplify_control_flow),
    Pass("share_lookups", share_lookups),
    Pass("cse", eliminate_common_subexpressions),
    Pass("licm", hoist_loop_invariants),
    Pass("read_elements", read_elements),
    Pass("stream_splits", stream_splits),
    Pass("hoist_elements", hoist_elements),
    Pass("reserve_lists", reserve_lists),
    Pass("version_loops", version_loops),
    Pass("dce", eliminate_dead_code),
]

MUST_PRECEDE: list[tuple[str, str, str]] = [
    ("inline", "fold", "constants meet across calls only after inlining"),
    ("inline", "licm", "what a callee computes anew in each iteration is visible after inlining"),
    ("inline", "unroll_recursion", "a body is copied with what its own calls have become"),
    ("unroll_recursion", "cse", "the copies compute what the calls around them have computed"),
    ("fold", "simplify_control_flow", "a condition must be constant before its If is removed"),
    ("fold", "rules", "rules look for constant operands"),
    ("share_lookups", "cse", "searches for one key become equal nodes, which are merged"),
    ("cse", "licm", "equal nodes are merged before they are moved"),
    ("licm", "hoist_elements", "an index that is computed in the loop must have been moved"),
    ("licm", "read_elements", "a view that a loop does not change is made once, before it"),
    ("licm", "stream_splits", "lengths of the pieces are taken before the loop"),
    ("hoist_elements", "version_loops", "rows are read before the loops that go through them"),
    ("licm", "dce", "moving leaves nodes without users"),
]


def _check_order() -> None:
    position = {p.name: i for i, p in enumerate(PIPELINE)}
    for first, second, reason in MUST_PRECEDE:
        assert position[first] < position[second], f"{first} must precede {second}: {reason}"


_check_order()


def copy_program(program: Program) -> Program:
    """A program with copied graphs; types, captured objects and constants are shared."""
    copy = Program(program.root)
    copy.functions = {name: copy_graph(graph) for name, graph in program.functions.items()}
    copy.classes, copy.enums = program.classes, program.enums
    copy.named_tuples = program.named_tuples
    copy.self_object, copy.globals = program.self_object, program.globals
    copy.captures = program.captures
    return copy


@dataclass
class StageReport:
    """What one pass did to one function: the text before and after, when it changed."""

    name: str
    function: str
    changed: bool
    seconds: float
    before: str = ""
    after: str = ""


def optimize(program: Program, report: list[StageReport] | None = None) -> Program:
    """Run the pass table on a copy of ``program``."""
    result = copy_program(program)
    for step in _steps():
        for graph in list(result.functions.values()):
            _run(step, graph, result, report)
    if config.get("verify"):  # of a pass that says nothing of its change, too
        for graph in result.functions.values():
            verify(graph, result, schema_of)
    result.functions = {name: result.functions[name] for name in callable_functions(result)}
    return result


# what may be repeated as often as it makes new constants
SIMPLIFYING = ("fold", "rules", "simplify_control_flow", "share_lookups", "cse", "dce")


def optimize_function(graph: Graph, program: Program, names: Container[str] | None = None) -> None:
    """Run the pass table, or the passes called ``names``, on one function in place."""
    for step in _steps():
        if names is None or step.name in names:
            _run(step, graph, program, None)
    if config.get("verify"):
        verify(graph, program, schema_of)


def _steps() -> list[Pass]:
    """The passes that the options allow."""
    level, limit = config.get("opt"), config.get("stop_after")
    return [
        step
        for number, step in enumerate(PIPELINE)
        if (level > 0 or step.required) and not 0 <= limit <= number
    ]


def _run(step: Pass, graph: Graph, program: Program, report: list[StageReport] | None) -> None:
    before = str(graph) if report is not None else ""
    start = time.perf_counter()
    changed = step.run(graph, program)
    seconds = time.perf_counter() - start
    if report is not None:
        after = str(graph) if changed else before
        report.append(StageReport(step.name, graph.name, changed, seconds, before, after))
    dump = config.get("dump")
    if changed and (step.name in dump or "all" in dump):
        print(f"# after {step.name}\n{graph}", file=sys.stderr)
    if changed and config.get("verify"):
        verify(graph, program, schema_of)


def compile_native(program: Program, compiler: Compiler = compile_object) -> CompiledProgram:
    """Optimise and generate machine code."""
    start = time.perf_counter()
    optimised = optimize(program)
    middle = time.perf_counter()
    compiled = compile_program(optimised, debug=config.get("debug"), compiler=compiler)
    if config.get("time"):
        end = time.perf_counter()
        print(
            f"scriptmode: {program.root}: passes {1e3 * (middle - start):.1f} ms, "
            f"code {1e3 * (end - middle):.1f} ms",
            file=sys.stderr,
        )
    return compiled
