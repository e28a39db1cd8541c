"""Which values may share memory.

Values that hold memory (tensors, containers, objects) are put into classes; two values may alias
exactly when they are in the same class.  All that comes from outside (parameters, attributes,
constants, captured objects, whatever a call saw) is in the one class ``outside``: callers may pass
the same tensor twice, and weights may be tied.  A container is in the class of its contents.

A schema's marks say what a result of a torch op shares with its arguments.  A result without a mark
is new memory, except that of a composite op, which may hand back its argument.

Flow-insensitive: classes hold for the whole function.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch

from scriptmode.analysis.effects import HIDDEN_WRITES, op_effects
from scriptmode.ir import types as T
from scriptmode.ir.graph import (
    BREAK,
    CONTINUE,
    LEAVE,
    YIELD,
    Block,
    Graph,
    Node,
    Use,
    Value,
    innermost_loop,
    labelled_try,
)
from scriptmode.ir.schema import AliasInfo, OpSchema
from scriptmode.ops import table
from scriptmode.ops.aten import overload
from scriptmode.ops.table import EVERYTHING, Effect

_IMMUTABLE = frozenset(
    [
        T.INT, T.FLOAT, T.BOOL, T.COMPLEX, T.STR, T.NONE, T.NUMBER, T.DEVICE, T.DTYPE, T.LAYOUT,
        T.MEMORY_FORMAT, T.QSCHEME, T.SIZE, T.NEVER, T.BYTES, T.RANGE,
    ]
)  # fmt: skip

# composite ops whose results are new memory all the same
_FRESH_COMPOSITES = frozenset(
    [
        "aten::linear", "aten::matmul", "aten::conv1d", "aten::conv2d", "aten::conv3d",
        "aten::layer_norm", "aten::group_norm", "aten::square", "aten::softmax",
        "aten::log_softmax", "aten::cross_entropy_loss", "aten::outer", "aten::max_pool2d",
    ]
)  # fmt: skip

# ops that make an argument share another one's storage without a mark
_SHARING = frozenset(["aten::set_", "aten::set_data"])


def holds_memory(t: T.Type) -> bool:
    """Whether a value of ``t`` can be written or refers to what can be."""
    if t in _IMMUTABLE or isinstance(t, (T.EnumType, T.FunctionType)):
        return False
    if isinstance(t, (T.OptionalType, T.UnionType, T.TupleType, T.VarTupleType, T.FrozenSetType)):
        return any(map(holds_memory, t.contained))
    return True


@functools.cache
def _is_composite(kind: str) -> bool:
    found = overload(kind)
    if found is None:
        return True
    key = "CompositeImplicitAutograd"
    return bool(torch._C._dispatch_has_kernel_for_dispatch_key(found.name(), key))


def result_is_fresh(node: Node) -> bool:
    """Whether every unmarked result of a torch op is new memory."""
    schema = node.schema
    if schema is None or not node.kind.startswith("aten::"):
        return False
    return schema.name in _FRESH_COMPOSITES or not _is_composite(node.kind)


class AliasAnalysis:
    """Alias classes of one function."""

    def __init__(self, graph: Graph) -> None:
        self._parent: dict[Value | None, Value | None] = {None: None}  # None is the outside
        for param in graph.params:
            self._join(param, None)
        self._block(graph.block)

    def may_alias(self, a: Value, b: Value) -> bool:
        """Whether writing ``a`` may be seen through ``b``."""
        if not holds_memory(a.type) or not holds_memory(b.type):
            return False
        return self._find(a) is self._find(b)

    def is_outside(self, value: Value) -> bool:
        """Whether the value may be known to the caller or to other functions."""
        return holds_memory(value.type) and self._find(value) is self._find(None)

    def may_write(self, node: Node, value: Value) -> bool:
        """Whether executing ``node``, nested blocks included, may write memory of ``value``."""
        return holds_memory(value.type) and self.written_by(node)(value)

    def written_by(self, node: Node) -> Callable[[Value], bool]:
        """``may_write(node, ...)``, for many values."""
        written = dict.fromkeys(
            self._find(w)
            for inner in _with_nested(node)
            for w in written_values(inner)
            if w is None or holds_memory(w.type)
        )
        return lambda value: holds_memory(value.type) and self._find(value) in written

    def _find(self, value: Value | None) -> Value | None:
        parent = self._parent.setdefault(value, value)
        while parent is not value:
            grandparent = self._parent[parent]
            self._parent[value] = grandparent
            value, parent = parent, grandparent
        return value

    def _join(self, a: Value | None, b: Value | None) -> None:
        if all(v is None or holds_memory(v.type) for v in (a, b)):
            first, second = self._find(a), self._find(b)
            if first is not second:
                self._parent[first] = second

    def _join_all(self, values: list[Value], others: list[Value]) -> None:
        for a, b in zip(values, others, strict=False):
            self._join(a, b)

    def _block(self, block: Block) -> None:
        for node in block.nodes:
            for inner in node.blocks:
                self._block(inner)
            self._node(node)
        self._terminator(block)

    def _terminator(self, block: Block) -> None:
        end, owner = block.terminator, block.owner
        if end.kind == LEAVE:
            target = labelled_try(block)
            assert target is not None, "Leave in no labelled Try"
            self._join_all(end.inputs, target.outputs)
            return
        loop = innermost_loop(block) if end.kind in (BREAK, CONTINUE) else owner
        if owner is None or loop is None:
            for value in end.inputs:
                self._join(value, None)
        elif loop.kind in ("prim::If", "prim::Try") or end.kind == BREAK:
            self._join_all(end.inputs, loop.outputs)
        else:
            self._join_all(end.inputs[1:], loop.outputs)
        if end.kind == "prim::Return":
            for value in end.inputs:
                self._join(value, None)

    def _node(self, node: Node) -> None:
        schema = node.schema
        if node.kind == "prim::If":
            return
        if node.kind == "prim::Try":
            self._join(node.blocks[1].params[0], None)  # what was raised may hold anything
            return
        if node.kind == "prim::Loop":
            self._join_all(node.inputs[2:], node.outputs)
            self._join_all(node.blocks[0].params[1:], node.outputs)
        elif node.kind in ("prim::Constant", "prim::Global") or is_unknown(node):
            for value in [*node.inputs, *node.outputs]:
                self._join(value, None)
        elif schema is not None and table.find(node.kind) is None:
            self._schema(node, schema)
        else:
            self._everything_meets(node)

    def _schema(self, node: Node, schema: OpSchema) -> None:
        if schema.name in _SHARING:
            self._everything_meets(node)
        for returned, output in zip(schema.returns, node.outputs, strict=True):
            if returned.alias is None and result_is_fresh(node):
                continue
            for argument, value in zip(schema.arguments, node.inputs, strict=True):
                if returned.alias is None or _meet(returned.alias, argument.alias):
                    self._join(value, output)

    def _everything_meets(self, node: Node) -> None:
        """Ours: containers, tuples, attributes: a result may be, or contain, any input."""
        values = [v for v in [*node.inputs, *node.outputs] if holds_memory(v.type)]
        for value in values[1:]:
            self._join(values[0], value)


def is_unknown(node: Node) -> bool:
    """Whether the node may do anything to whatever it can reach."""
    return EVERYTHING & ~op_effects(node.kind) == Effect.PURE


def _meet(a: AliasInfo, b: AliasInfo | None) -> bool:
    if "*" in a.sets or "*" in a.after:
        return True
    return b is not None and bool({*a.sets, *a.after} & {*b.sets, *b.after} or "*" in b.after)


def written_values(node: Node) -> list[Value | None]:
    """What the node itself writes; None stands for everything outside."""
    if node.kind == "prim::Region":
        return [node.inputs[index] for index in node.attributes.get("writes", ())]
    if not op_effects(node.kind) & Effect.WRITES:
        return []
    if is_unknown(node):
        return [None]
    if node.kind in ("prim::SetAttr", "prim::DelAttr", "prim::CellSet", "prim::CellDelete"):
        return [node.inputs[0]]
    schema = node.schema
    if schema is None:
        return [None, *node.inputs]
    hidden = HIDDEN_WRITES.get(schema.name, ())
    written: list[Value | None] = [
        value
        for argument, value in zip(schema.arguments, node.inputs, strict=True)
        if (argument.alias is not None and argument.alias.is_write) or argument.name in hidden
    ]
    return written or [None, *node.inputs]


def _with_nested(node: Node) -> list[Node]:
    found = [node]
    for block in node.blocks:
        for inner in block.nodes:
            found += _with_nested(inner)
    return found


def is_quiet_until_used(start: Node, value: Value) -> bool:
    """Whether nothing is written from ``start`` to the last use of ``value``, all in one block."""
    pending = {use.node for use in value.uses}
    if any(user.block is not start.block for user in pending):
        return False
    node: Node | None = start
    while pending and node is not None:
        if any(written_values(inner) for inner in _with_nested(node)):
            return False
        pending.discard(node)
        node = node.next
    return True


def _join_of(use: Use) -> Value | None:
    """The output of an If that a value leaves by, when ``use`` is the Yield of a branch."""
    block = use.node.block
    if use.node.kind != YIELD or block is None or block.owner is None:
        return None
    return block.owner.outputs[use.index] if block.owner.kind == "prim::If" else None


def is_only_read(value: Value) -> bool:
    """Whether nothing can tell ``value`` from an equal tensor made anew for each use.

    It and its views are only read by torch's ops and by ops that ask for metadata: never written,
    stored, returned, passed on, carried by a loop or compared by identity.  The output of an If
    that it leaves by counts as a view.
    """
    for use in value.uses:
        schema = use.node.schema
        joined = _join_of(use)
        if joined is not None:
            if not is_only_read(joined):
                return False
            continue
        if schema is None or use.node.kind == "tensor::same_object":
            return False
        if use.node.kind.partition("::")[0] not in ("aten", "tensor"):
            return False
        written = written_values(use.node)
        if schema.name in _SHARING or None in written or value in written:
            return False
        aliasing = not result_is_fresh(use.node) or schema.is_view or schema.is_mutable
        results = [v for v in use.node.outputs if holds_memory(v.type)]
        if aliasing and not all(map(is_only_read, results)):
            return False
    return True
