"""Effects of a node, those of its nested blocks and callees included.

``Effects(program).of(node)`` is the join of all that executing the node may do.  What is not known
does everything.  ``leaves(node)`` says whether control may go elsewhere than to the next node: a
nested Return, or a Break, Continue or Leave of a Loop or Try around the node.

Torch's registry does not say everything: some ops write tensors or state that their schema does not
mark (``HIDDEN_WRITES``), an op without results has some effect, and the grad mode is read by every
op that records a tape.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping

import torch

from scriptmode.ir import types as T
from scriptmode.ir.graph import BREAK, CONTINUE, LEAVE, RETURN, Block, Node, Program
from scriptmode.ops import table
from scriptmode.ops.aten import aten_effects, aten_schema, overload
from scriptmode.ops.prim import STRUCTURAL
from scriptmode.ops.table import EVERYTHING, Effect

# op -> arguments that it writes without saying so
HIDDEN_WRITES: Mapping[str, tuple[str, ...]] = {
    "aten::batch_norm": ("running_mean", "running_var"),
    "aten::native_batch_norm": ("running_mean", "running_var"),
    "aten::cudnn_batch_norm": ("running_mean", "running_var"),
    "aten::miopen_batch_norm": ("running_mean", "running_var"),
    "aten::_batch_norm_impl_index": ("running_mean", "running_var"),
    "aten::batch_norm_update_stats": ("running_mean", "running_var"),
    "aten::batch_norm_gather_stats": ("running_mean", "running_var"),
    "aten::batch_norm_gather_stats_with_counts": ("running_mean", "running_var"),
    "aten::instance_norm": ("running_mean", "running_var"),
}

# registered ops that do not raise, whatever the tensor
_NEVER_RAISE = frozenset(["aten::detach", "aten::alias", "aten::numel", "aten::dim"])

ENDLESS = 2**31  # a Loop of so many trips is not known to end


@functools.cache
def op_effects(kind: str) -> Effect:
    """Effects of a node's own op, nested blocks and callees aside."""
    structural = STRUCTURAL.get(kind)
    if structural is not None:
        return structural
    definition = table.find(kind)
    if definition is not None:
        return definition.effects
    schema, found = aten_schema(kind), overload(kind)
    if schema is None or not schema.returns:
        return EVERYTHING
    effects = aten_effects(kind)
    may_mutate = torch.Tag.maybe_aliasing_or_mutating in found.tags and "dropout" not in kind
    if schema.name in HIDDEN_WRITES or may_mutate:
        effects |= Effect.WRITES
    if schema.name in _NEVER_RAISE:
        effects &= ~Effect.RAISES
    return effects


def writes_thread_state(node: Node, effects: Effect) -> bool:
    """Whether the node may change the grad mode or the like, which other ops read."""
    return node.kind.startswith("torch::set_") or EVERYTHING & ~effects == Effect.PURE


class Effects:
    """Effects within one program; None where only one graph is at hand (calls do everything)."""

    def __init__(self, program: Program | None = None) -> None:
        self.program = program
        self._functions: dict[str, Effect] = {}

    def of(self, node: Node) -> Effect:
        """All effects of executing ``node``."""
        if node.kind == "prim::Call":
            return self.of_function(node.attributes["callee"])
        if _runs_user_code(node):
            return EVERYTHING
        effects = op_effects(node.kind) if not node.is_terminator else Effect.PURE
        if node.attributes.get("writes"):
            effects |= Effect.WRITES  # a region that writes in place
        if node.kind == "prim::GetAttr" and _may_lack(node):
            effects |= Effect.RAISES
        if node.kind == "prim::Loop" and not _ends(node):
            effects |= Effect.IO  # an endless loop is visible
        for block in node.blocks:
            effects |= self.of_block(block)
        return effects

    def of_block(self, block: Block) -> Effect:
        """All effects of executing the nodes of ``block``."""
        # few are different, and each is one object: the unions are what takes time
        found = {id(effects): effects for effects in map(self.of, block.nodes)}
        return functools.reduce(operator.or_, found.values(), Effect.PURE)

    def of_function(self, name: str) -> Effect:
        """All effects of calling the function; a recursive one does everything."""
        if name not in self._functions:
            graph = self.program.functions.get(name) if self.program is not None else None
            self._functions[name] = EVERYTHING  # what a recursive call finds
            if graph is not None:
                self._functions[name] = self.of_block(graph.block)
        return self._functions[name]

    def is_removable(self, node: Node) -> bool:
        """Whether the program cannot tell that the node was left out, if its outputs are unused."""
        observable = Effect.WRITES | Effect.RAISES | Effect.IO
        return not self.of(node) & observable and not leaves(node)


# ops that write containers or variables, and no tensor
_CONTAINERS = ("list::", "dict::", "set::", "deque::", "iter::", "prim::Cell")


def may_write_tensors(node: Node, effects: Effects) -> bool:
    """Whether the node's own op, nested blocks aside, may write elements of some tensor."""
    if node.is_terminator or node.kind in ("prim::If", "prim::Loop", "prim::Try"):
        return False
    if not effects.of(node) & Effect.WRITES:
        return False
    return _runs_user_code(node) or not node.kind.startswith(_CONTAINERS)


_COMPARING = frozenset(
    ["prim::eq", "prim::hash", "prim::str", "prim::repr", "prim::format", "prim::DictConstruct"]
)  # fmt: skip


def _runs_user_code(node: Node) -> bool:
    """Whether comparing, hashing or printing instances runs methods of their classes."""
    if node.kind not in _COMPARING and not node.kind.startswith(("list::", "dict::", "set::")):
        return False
    return any(T.is_instance_type(t) for v in node.inputs for t in T.walk(v.type))


def _may_lack(node: Node) -> bool:
    t = node.inputs[0].type
    return isinstance(t, T.ClassType) and t.may_lack(node.attributes["name"])


def _ends(loop: Node) -> bool:
    trips = loop.inputs[0]
    return not trips.is_constant or bool(trips.constant < ENDLESS)


def leaves(node: Node) -> bool:
    """Whether control may go from inside ``node`` to elsewhere than behind it."""
    return any(_block_leaves(b, *_holds(node, b, False, False)) for b in node.blocks)


def _holds(node: Node, block: Block, in_loop: bool, in_try: bool) -> tuple[bool, bool]:
    """Whether a Break, and a Leave, in ``block`` of ``node`` stay inside."""
    labelled = node.kind == "prim::Try" and bool(node.attributes.get("labelled"))
    in_try = in_try or (labelled and block is node.blocks[0])
    return in_loop or node.kind == "prim::Loop", in_try


def _block_leaves(block: Block, in_loop: bool, in_try: bool) -> bool:
    end = block.terminator.kind
    if end == RETURN or (end in (BREAK, CONTINUE) and not in_loop):
        return True
    if end == LEAVE and not in_try:
        return True
    return any(
        _block_leaves(inner, *_holds(node, inner, in_loop, in_try))
        for node in block.nodes
        for inner in node.blocks
    )
