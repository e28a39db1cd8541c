"""Which elements may be used without a reference of their own.

::

    %row: List[int] = list::getitem(%rows, %i)     borrowed: %rows keeps it until the last use
    %n: int = list::getitem(%row, %j)
    list::setitem(%rows, %i, %other)

The element of a list, or an attribute of an object, lives as long as its container does and nothing
drops it from there.  What may drop it: a write to a container of the same type, and whatever runs
code that is not at hand, calls among them.  Adding and reordering drop nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from scriptmode.analysis.effects import op_effects
from scriptmode.ir import types as T
from scriptmode.ir.graph import Block, Node, Value
from scriptmode.ops import table
from scriptmode.ops.prim import STRUCTURAL
from scriptmode.ops.table import Effect

# writes after which every element is still there
_KEEPING = frozenset(
    ["list::append", "list::append_at", "list::extend", "list::insert", "list::reverse",
     "list::reserve", "prim::retain", "prim::release", "prim::box", "prim::raise", "prim::print",
     "prim::warn"]
)  # fmt: skip
_READERS = frozenset(["list::getitem", "list::getitem_inside", "list::peek", "dict::value_at"])
_COUNTING = frozenset(["prim::retain", "prim::release"])
_FARTHEST = 400  # nodes looked at; beyond, the element gets a reference


def is_borrowed_element(node: Node, is_derived: Callable[[Node], bool]) -> bool:
    """Whether the element that ``node`` reads is there until its last use.

    ``is_derived`` tells which results are usable only while their inputs are.
    """
    if node.block is None or not _reads_element(node):
        return False
    if not node.output.is_used:
        return True
    last = _last_use(node.output, node.block, is_derived)
    if last is None:
        return False
    budget = _FARTHEST
    current = node.next
    while current is not None:
        for inner in with_nested(current):
            # the answer must be the same before and after ownership is made explicit
            budget -= inner.kind not in _COUNTING
            if budget < 0 or may_drop(inner, node):
                return False
        if current is last:
            return True
        current = current.next
    return False


def _reads_element(node: Node) -> bool:
    if node.kind == "prim::GetAttr":  # another thread may replace a module's attribute
        owner = node.inputs[0].type
        return isinstance(owner, T.ClassType) and not owner.is_module
    return node.kind in _READERS


def _last_use(value: Value, block: Block, is_derived: Callable[[Node], bool]) -> Node | None:
    """The last node of ``block`` that uses ``value`` or what is derived from it, itself or inside.

    None when there is a use that the nodes of ``block`` do not contain.
    """
    users: set[Node] = set()
    pending = [value]
    while pending:
        for use in pending.pop().uses:
            if use.node.kind in _COUNTING:
                continue  # they are not there before ownership is made explicit
            user = _in_block(use.node, block)
            if user is None:
                return None
            users.add(user)
            if use.node.outputs and is_derived(use.node):
                pending += use.node.outputs
    if block.terminator in users:
        return block.terminator
    return next(n for n in block.reversed_nodes if n in users)


def _in_block(node: Node, block: Block) -> Node | None:
    """The node of ``block`` that is, or contains, ``node``."""
    current: Node | None = node
    while current is not None and current.block is not block:
        current = current.block.owner if current.block is not None else None
    return current


def _all_nodes(block: Block) -> Iterable[Node]:
    node = block.first
    while node is not None:
        yield node
        node = node.next


def with_nested(node: Node) -> Iterable[Node]:
    """The node and all that is in its blocks."""
    yield node
    for block in node.blocks:
        for inner in _all_nodes(block):
            yield from with_nested(inner)


def may_drop(node: Node, reader: Node) -> bool:
    """Whether ``node`` may take what ``reader`` has read out of its container."""
    if node.is_terminator or node.kind in _KEEPING:
        return False
    definition = table.find(node.kind)
    if definition is None and node.kind not in STRUCTURAL:
        return not node.kind.startswith("aten::")  # ATen's ops know nothing of our containers
    effects = op_effects(node.kind)
    if not effects & Effect.WRITES:
        return False
    if node.kind == "prim::SetAttr":
        return reader.kind == "prim::GetAttr" and (
            node.attributes["name"] == reader.attributes["name"]
        )
    if definition is None:
        return True
    written = written_by(node)
    if not written:
        return True
    return any(may_be_same(value.type, reader.inputs[0].type) for value in written)


def written_by(node: Node) -> list[Value]:
    """The inputs that an op of ours writes, as its schema says."""
    definition = table.find(node.kind)
    if definition is None:
        return []
    return [
        value
        for argument, value in zip(definition.schema.arguments, node.inputs, strict=True)
        if argument.alias is not None and argument.alias.is_write
    ]


def is_opaque(node: Node) -> bool:
    """Whether the node may run code, or write what its schema does not say."""
    if node.is_terminator or node.kind.startswith("aten::"):
        return False
    if not op_effects(node.kind) & Effect.WRITES:
        return node.kind not in STRUCTURAL and table.find(node.kind) is None
    return not written_by(node)


def may_be_same(a: T.Type, b: T.Type) -> bool:
    """Whether containers of two types may be one object: element types are exact, but for these."""
    if T.ANY in (a, b):
        return True
    return type(a) is type(b) and (a == b or any(map(_is_vague, (*T.walk(a), *T.walk(b)))))


def _is_vague(t: T.Type) -> bool:
    """Whether values of a type may be of several."""
    return t in (T.ANY, T.NEVER) or isinstance(t, (T.ClassType, T.UnionType, T.OptionalType))
