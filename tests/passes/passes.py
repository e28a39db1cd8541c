"""The passes by the names that cases use."""

import scriptmode.passes.rules  # noqa: F401  (registers the rules)
from scriptmode.passes.cse import eliminate_common_subexpressions
from scriptmode.passes.dce import eliminate_dead_code
from scriptmode.passes.decide_none import decide_none
from scriptmode.passes.fold import fold_constants
from scriptmode.passes.fuse_lists import fuse_lists
from scriptmode.passes.hoist_elements import hoist_elements
from scriptmode.passes.inline import inline_calls
from scriptmode.passes.licm import hoist_loop_invariants
from scriptmode.passes.read_elements import read_elements
from scriptmode.passes.reserve_lists import reserve_lists
from scriptmode.passes.rewrite import apply_rules
from scriptmode.passes.share_lookups import share_lookups
from scriptmode.passes.simplify_control_flow import simplify_control_flow
from scriptmode.passes.simplify_tapes import simplify_tapes
from scriptmode.passes.split_lists import split_lists
from scriptmode.passes.stream_splits import stream_splits
from scriptmode.passes.structure_exits import structure_exits
from scriptmode.passes.unroll_recursion import unroll_recursion
from scriptmode.passes.version_loops import version_loops

PASSES = {
    "cse": eliminate_common_subexpressions,
    "decide_none": decide_none,
    "dce": eliminate_dead_code,
    "fold": fold_constants,
    "fuse_lists": fuse_lists,
    "hoist_elements": hoist_elements,
    "inline": inline_calls,
    "licm": hoist_loop_invariants,
    "read_elements": read_elements,
    "reserve_lists": reserve_lists,
    "rules": apply_rules,
    "share_lookups": share_lookups,
    "simplify_control_flow": simplify_control_flow,
    "simplify_tapes": simplify_tapes,
    "split_lists": split_lists,
    "stream_splits": stream_splits,
    "structure_exits": structure_exits,
    "unroll_recursion": unroll_recursion,
    "version_loops": version_loops,
}
