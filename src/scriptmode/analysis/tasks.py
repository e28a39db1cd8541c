"""Which forked calls may run in another thread.

A task is *independent* when no other thread can notice how it is interleaved with its maker: it is
given tensors and plain values only, reads module state only where that is tensors and plain values,
and writes nothing that it has not made itself.  Random numbers, host services and changes of the
thread's state keep it in the maker's thread, where it runs at once, as in eager mode.
"""

from __future__ import annotations

import torch

from scriptmode.analysis.alias import AliasAnalysis, written_values
from scriptmode.analysis.effects import HIDDEN_WRITES
from scriptmode.analysis.ownership import is_counted
from scriptmode.ir import types as T
from scriptmode.ir.graph import Graph, Node, Program, callees
from scriptmode.ops.aten import overload

# structural ops that neither ask the host for anything nor write what others may know
_FREE = frozenset(
    [
        "prim::Constant", "prim::ListConstruct", "prim::VarTupleConstruct", "prim::TupleConstruct",
        "prim::TupleIndex", "prim::DictConstruct", "prim::Call", "prim::Fork", "prim::Defer",
        "prim::Future", "prim::Wait", "prim::IsDone", "prim::If", "prim::Loop", "prim::is_none",
        "prim::isinstance", "prim::unchecked_cast", "prim::checked_cast", "prim::raise",
        "prim::box", "prim::is",
    ]
)  # fmt: skip
# namespaces of our ops that are native code for every operand
_NATIVE = frozenset(
    ["int", "float", "bool", "complex", "number", "math", "str", "list", "dict", "tuple", "size",
     "range", "dtype", "device"]
)  # fmt: skip
_READS_STATE = frozenset(["prim::GetAttr", "prim::Global"])


def is_independent(program: Program, task: Node) -> bool:
    """Whether the call of a ``prim::Fork`` may run in another thread."""
    return all(_is_safe(v.type) for v in task.inputs) and all(
        _keeps_to_itself(program.functions[name])
        for name in reached(program, task.attributes["callee"])
    )


def _is_safe(t: T.Type) -> bool:
    """Whether threads may share a value: its counts are atomic, or it has none."""
    if t == T.TENSOR or not is_counted(t):
        return True
    return isinstance(t, (T.TupleType, T.OptionalType)) and all(map(_is_safe, t.contained))


def reached(program: Program, function: str) -> list[str]:
    """``function`` and all that it calls."""
    found = [function]
    for name in found:
        found += [c for c in callees(program.functions[name]) if c not in found]
    return found


def _keeps_to_itself(graph: Graph) -> bool:
    aliases = AliasAnalysis(graph)
    return not any(_is_tied(node, aliases) for node in graph.walk())


def _is_tied(node: Node, aliases: AliasAnalysis) -> bool:
    if node.is_terminator or node.kind in _FREE:
        return False  # the functions that it calls are looked at themselves
    if node.kind in _READS_STATE:
        return not all(_is_safe(o.type) for o in node.outputs)
    if node.schema is None or not node.kind.startswith("aten::"):
        return node.kind.partition("::")[0] not in _NATIVE
    found = overload(node.kind)
    if found is None or torch.Tag.nondeterministic_seeded in found.tags:
        return True
    if node.schema.name in HIDDEN_WRITES or not node.schema.returns:
        return True
    return any(value is None or aliases.is_outside(value) for value in written_values(node))
