"""From a function whose tensors are known to regions and arrays: the steps and their order."""

from __future__ import annotations

from scriptmode.analysis.shapes import Facts, Shapes
from scriptmode.ir.graph import Graph, Program
from scriptmode.loops.form import form_regions
from scriptmode.loops.lowering import has_torch
from scriptmode.loops.reuse import reuse_arguments
from scriptmode.passes.cse import eliminate_common_subexpressions
from scriptmode.passes.dce import eliminate_dead_code
from scriptmode.passes.decide_none import decide_none
from scriptmode.passes.fold import fold_constants
from scriptmode.passes.form_arrays import form_arrays
from scriptmode.passes.fuse_cells import fuse_cells
from scriptmode.passes.fuse_lists import fuse_lists
from scriptmode.passes.licm import hoist_loop_invariants
from scriptmode.passes.name_written import name_written
from scriptmode.passes.rewrite import apply_rules
from scriptmode.passes.simplify_control_flow import simplify_control_flow
from scriptmode.passes.simplify_tapes import simplify_tapes
from scriptmode.passes.split_carried import split_carried
from scriptmode.passes.split_lists import split_lists
from scriptmode.passes.unroll_elements import unroll_elements
from scriptmode.passes.use_channels_last import use_channels_last
from scriptmode.passes.use_facts import erase_dead, use_facts

ROUNDS = 12

# ops that change what a tensor is, not only what is in it
_RESHAPING = (
    "aten::resize_", "aten::set_", "aten::set_data", "aten::t_", "aten::transpose_",
    "aten::swapaxes_", "aten::unsqueeze_", "aten::squeeze_", "aten::resize_as_",
    "aten::as_strided_", "aten::requires_grad_", "aten::detach_",
)  # fmt: skip


def specialize_function(graph: Graph, program: Program, facts: Facts) -> bool:
    """Use the facts of a function's parameters; return whether the graph changed."""
    if not can_specialize(graph):
        return False
    for _ in range(ROUNDS):
        if not _simplify(graph, program, facts):
            break
    return _form(graph, program, facts)


def can_specialize(graph: Graph) -> bool:
    """Whether what is known of tensors stays true in a function."""
    return not any(graph.find_all(kind) for kind in _RESHAPING)


def simplify_joint(graph: Graph, program: Program, facts: Facts) -> None:
    """The same for a forward and reverse program in one, up to the search for regions."""
    for _ in range(ROUNDS):
        changed = split_lists(graph, program)
        changed |= simplify_tapes(graph, program)
        changed |= fuse_lists(graph, program)
        changed |= fuse_cells(graph, program)
        changed |= decide_none(graph, program)
        changed |= _simplify(graph, program, facts)
        if not changed:
            break


def form_joint(graph: Graph, program: Program, facts: Facts) -> bool:
    """The rest; whether there are regions."""
    return _form(graph, program, facts)


def _simplify(graph: Graph, program: Program, facts: Facts) -> bool:
    changed = use_facts(graph, program, facts)
    changed |= fold_constants(graph, program)
    changed |= apply_rules(graph, program)
    changed |= simplify_control_flow(graph, program)
    changed |= split_carried(graph, program)
    changed |= unroll_elements(graph, program)
    changed |= name_written(graph)
    eliminate_dead_code(graph, program)
    return changed


def _form(graph: Graph, program: Program, facts: Facts) -> bool:
    if has_torch():  # its convolutions like that layout
        use_channels_last(graph, program, facts)
    eliminate_common_subexpressions(graph, program)
    hoist_loop_invariants(graph, program)
    if not form_regions(graph, program, facts):
        return False
    erase_dead(graph, Shapes(graph, facts).facts)
    form_arrays(graph, program, facts)
    eliminate_dead_code(graph, program)
    reuse_arguments(graph, program)
    return True
