"""Take elements of lists from where they come from, so that the lists are not needed.

Before::

    graph f(%x: Tensor, %n: int) -> int:
      %true: bool = prim::Constant[value=True]()
      %one: int = prim::Constant[value=1]()
      %zero: int = prim::Constant[value=0]()
      %l: List[int] = prim::ListConstruct()
      prim::Loop(%n, %true)
        block0(%i: int):
          %a: int = int::mul(%i, %i)
          list::append(%l, %a)
          -> (%true)
      %r: int = prim::Loop(%n, %true, %zero)
        block0(%j: int, %s: int):
          %b: int = list::getitem(%l, %j)
          -> (%true, %b)
      return (%r)

After::

    graph f(%x: Tensor, %n: int) -> int:
      %true: bool = prim::Constant[value=True]()
      %one: int = prim::Constant[value=1]()
      %zero: int = prim::Constant[value=0]()
      prim::Loop(%n, %true)
        block0(%i: int):
          %a: int = int::mul(%i, %i)
          -> (%true)
      %r: int = prim::Loop(%n, %true, %zero)
        block0(%j: int, %s: int):
          %a.1: int = int::mul(%j, %j)
          -> (%true, %a.1)
      return (%r)

A *mapped list* is filled by one loop that appends one element in each iteration, and only read
afterwards; each of its elements is computed from the index alone, by ops without effects.  Lists
that such a loop copies are the lists that it reads.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from scriptmode.analysis.local_lists import known_length
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import (
    YIELD,
    Block,
    Graph,
    Node,
    Program,
    Use,
    Value,
    ancestors,
    copy_node,
)
from scriptmode.ops import table
from scriptmode.ops.aten import schema_of
from scriptmode.ops.table import Effect

APPEND, GET, SET, LEN = "list::append", "list::getitem", "list::setitem", "list::len"
_LISTS = (APPEND, GET, LEN, "list::reserve")
_VIEWS = frozenset(
    ["aten::select.int", "aten::t", "aten::transpose.int", "aten::unsqueeze", "aten::slice.Tensor"]
)
MOST_COPIED = 24  # nodes that compute an element
MOST_ELEMENTS = 64  # of a list that becomes its elements


def fuse_lists(graph: Graph, program: Program | None = None) -> bool:
    """Return whether the graph changed."""
    changed = False
    for step in (
        _gather,
        _repeat_lengths,
        _known_lengths,
        _updates_to_appends,
        _forward_copies,
        _read_mapped,
        _take_apart,
        _retype,
        _drop_unread,
    ):
        for node in list(graph.walk()):
            if node.block is not None and node.kind in ("prim::ListConstruct", "list::repeat"):
                changed |= step(node)
    return changed


# ---- loops that fill lists


@dataclass
class _Filling:
    """A loop that appends an element to a list in each iteration, and nothing else does."""

    made: Node
    loop: Node
    append: Node

    @property
    def index(self) -> Value:
        return self.loop.blocks[0].params[0]

    @property
    def element(self) -> Value:
        return self.append.inputs[1]


def _filling(made: Node) -> _Filling | None:
    """The loop that fills a list, which is only read behind it."""
    if made.kind != "prim::ListConstruct" or made.inputs:
        return None
    appends = [u.node for u in made.output.uses if u.node.kind == APPEND and u.index == 0]
    if len(appends) != 1 or any(u.node.kind == APPEND and u.index for u in made.output.uses):
        return None
    (append,) = appends
    assert append.block is not None
    loop = append.block.owner
    if loop is None or not _is_plain(loop) or loop.block is not made.block:
        return None
    if not all(_is_behind(u.node, loop) for u in made.output.uses if u.node is not append):
        return None
    return _Filling(made, loop, append)


def _is_plain(loop: Node) -> bool:
    """Whether a loop runs as often as it says."""
    if loop.kind != "prim::Loop" or loop.blocks[0].terminator.kind != YIELD:
        return False
    goes_on = [loop.inputs[1], loop.blocks[0].returns[0]]
    return all(v.is_constant and v.constant is True for v in goes_on)


def _is_behind(node: Node, anchor: Node) -> bool:
    """Whether a node, or one around it, stands behind another one in its block."""
    current: Node | None = node
    while current is not None and current.block is not anchor.block:
        current = current.block.owner if current.block is not None else None
    if current is None or current is anchor:
        return False
    following = anchor.next
    while following is not None:
        if following is current:
            return True
        following = following.next
    return False


def _only(uses: Iterable[Use], *kinds: str) -> bool:
    return all(u.node.kind in kinds and u.index == 0 for u in uses)


def _is_same_count(a: Value, b: Value) -> bool:
    """Whether two numbers of trips are the same."""
    if a is b:
        return True
    if a.is_constant and b.is_constant:
        return bool(a.constant == b.constant)
    x, y = a.node, b.node
    if x is not None and y is not None and x.kind == y.kind == LEN:
        return x.inputs[0] is y.inputs[0] and not _grows(x.inputs[0], x, y)
    return False


def _grows(value: Value, *seen: Node) -> bool:
    """Whether a list may be changed behind some node."""
    for use in value.uses:
        if use.node.kind in (GET, LEN):
            continue
        if any(not _is_behind(node, use.node) for node in seen):
            around = [u for u in seen if _is_in_front(use.node, u)]
            if len(around) < len(seen):
                return True
    return False


def _is_in_front(node: Node, of: Node) -> bool:
    """Whether a node, or one around it, stands in front of another one or one around that."""
    current: Node | None = of
    while current is not None:
        outer: Node | None = node
        while outer is not None:
            if outer.block is current.block:
                return outer is not current and _is_behind(current, outer)
            outer = outer.block.owner if outer.block is not None else None
        current = current.block.owner if current.block is not None else None
    return False


# ---- lists of one value, and updates of all elements


def _repeated(node: Node) -> Value | None:
    """The value that a new list has everywhere."""
    if node.kind != "list::repeat":
        return None
    one = node.inputs[0].node
    if one is None or one.kind != "prim::ListConstruct" or len(one.inputs) != 1:
        return None
    return one.inputs[0] if len(one.output.uses) == 1 else None


def _repeat_lengths(node: Node) -> bool:
    """``len([x] * n)`` is n, where n is a length itself."""
    if _repeated(node) is None:
        return False
    count = node.inputs[1]
    is_length = count.node is not None and count.node.kind == LEN
    if not is_length and not (count.is_constant and count.constant >= 0):
        return False
    if not _only(node.output.uses, GET, SET, LEN):
        return False
    changed = False
    for use in node.output.uses:
        if use.node.kind == LEN:
            use.node.replace_with(count)
            changed = True
    return changed


def _known_lengths(node: Node) -> bool:
    """The length of a list is how often the loop has run that fills it."""
    filling = _filling(node)
    if filling is None:
        return False
    trips = filling.loop.inputs[0]
    is_length = trips.node is not None and trips.node.kind == LEN
    if not is_length and not (trips.is_constant and trips.constant >= 0):
        return False
    changed = False
    for use in list(node.output.uses):
        if use.node.kind == LEN:
            use.node.replace_with(trips)
            changed = True
    return changed


def _updates_to_appends(node: Node) -> bool:
    """A list of one value whose elements are all set by the first loop is made by that loop."""
    value = _repeated(node)
    if value is None or not _only(node.output.uses, GET, SET, LEN):
        return False
    sets = [u.node for u in node.output.uses if u.node.kind == SET]
    if len(sets) != 1:
        return False
    (update,) = sets
    assert update.block is not None
    loop = update.block.owner
    if loop is None or not _is_plain(loop) or loop.block is not node.block:
        return False
    index = loop.blocks[0].params[0]
    if update.inputs[1] is not index or not _is_same_count(loop.inputs[0], node.inputs[1]):
        return False
    before: list[Node] = []
    for use in node.output.uses:
        if use.node is update or _is_behind(use.node, loop):
            continue
        if use.node.kind != GET or use.node.inputs[1] is not index:
            return False
        if not _is_in_front(use.node, update):
            return False
        before.append(use.node)
    for read in before:
        read.replace_with(_as(value, read))
    made = Node("prim::ListConstruct", (), [node.output.type], span=node.span)
    made.insert_before(node)
    append = Node(
        APPEND, [made.output, update.inputs[2]], schema=schema_of(APPEND), span=update.span
    )
    append.insert_before(update)
    update.erase()
    node.replace_with(made.output)
    return True


def _as(value: Value, read: Node) -> Value:
    """A value with the type that a reader gave it."""
    if value.type == read.output.type:
        return value
    if value.is_constant:
        builder = Builder(Block(None), schema_of)
        made = builder.constant(value.constant, read.output.type)
    else:
        builder = Builder(Block(None), schema_of)
        made = builder.node("prim::unchecked_cast", [value], [read.output.type]).output
    assert made.node is not None
    made.node.detach()
    made.node.insert_before(read)
    return made


# ---- copies


def _forward_copies(node: Node) -> bool:
    """Readers of a copy read what it is a copy of."""
    filling = _filling(node)
    if filling is None:
        return False
    element = filling.element.node
    if element is None or element.kind != GET or element.inputs[1] is not filling.index:
        return False
    source = element.inputs[0]
    if source.type != node.output.type or source.block not in list(ancestors(node.block)):
        return False
    if not _counts(filling.loop.inputs[0], source):
        return False
    others = [u.node for u in node.output.uses if u.node is not filling.append]
    if any(u.kind not in (GET, LEN) and not u.kind.startswith("aten::") for u in others):
        return False
    made = source.node
    if made is None or made.kind != "prim::ListConstruct" or not _only(source.uses, *_LISTS):
        return False
    writes = [u.node for u in source.uses if u.node.kind in (APPEND, "list::reserve")]
    if not all(_is_in_front(w, filling.loop) for w in writes):
        return False
    reads = [u.node for u in source.uses if u.node.kind == GET]
    if node.attributes.get("tape") and reads == [element]:
        made.attributes = {**made.attributes, "tape": True}  # nobody else reads it
    filling.append.erase()
    node.output.replace_all_uses_with(source)
    node.erase()
    return True


def _counts(trips: Value, source: Value) -> bool:
    """Whether a number of trips is the length of a list."""
    if trips.is_constant:
        return bool(known_length(source) == trips.constant)
    count = trips.node
    if count is None or count.kind != LEN:
        return False
    # lists that are made side by side are of one length
    return count.inputs[0] is source or _are_parallel(count.inputs[0], source)


def _are_parallel(a: Value, b: Value) -> bool:
    """Whether two lists are filled by appends that stand side by side."""
    if a is b:
        return True
    found = []
    for value in (a, b):
        made = value.node
        if made is None or made.kind != "prim::ListConstruct" or made.inputs:
            return False
        appends = [u.node for u in value.uses if u.node.kind == APPEND]
        if len(appends) != 1 or not all(
            u.node.kind in (*_LISTS, "aten::stack") for u in value.uses
        ):
            return False
        found.append((made.block, appends[0].block))
    return found[0] == found[1]


# ---- elements that follow from the index


def _read_mapped(node: Node) -> bool:
    """Compute elements where they are read."""
    filling = _filling(node)
    if filling is None:
        return False
    changed = False
    for use in list(node.output.uses):
        read = use.node
        if read.kind == GET and not read.output.is_used and _counts_up(read.inputs[1], filling):
            read.erase()
            changed = True
    slice_ = _slice(filling)
    if slice_ is None:
        return changed
    for use in list(node.output.uses):
        read = use.node
        if read.kind != GET or read is filling.append:
            continue
        is_inside = node.attributes.get("tape") or _counts_up(read.inputs[1], filling)
        if not is_inside:
            continue
        mapping = {filling.index: read.inputs[1]}
        for part in slice_:
            copy_node(part, mapping).insert_before(read)
        found = mapping.get(filling.element, filling.element)
        if found.type != read.output.type:
            cast = Node("prim::unchecked_cast", [found], [read.output.type], span=read.span)
            found = cast.insert_before(read).output
        read.replace_with(found)
        changed = True
    return changed


def _counts_up(index: Value, filling: _Filling) -> bool:
    """Whether an index is that of a loop that runs as often as the one that fills the list."""
    definition = index.definition
    if not isinstance(definition, Block) or definition.owner is None:
        return False
    loop = definition.owner
    if loop.kind != "prim::Loop" or index is not definition.params[0]:
        return False
    trips = loop.inputs[0]
    made = trips.node
    if made is not None and made.kind == LEN and made.inputs[0] is filling.made.output:
        return True
    return _is_same_count(trips, filling.loop.inputs[0])


def _slice(filling: _Filling) -> list[Node] | None:
    """What computes an element of its index, and of values from outside of the loop."""
    body = filling.loop.blocks[0]
    found: dict[Node, None] = {}
    pending = [filling.element]
    while pending:
        value = pending.pop()
        if value is filling.index:
            continue
        node = value.node
        inside = any(b.owner is filling.loop for b in ancestors(value.block))
        if not inside:
            continue
        if node is None or node.block is not body:
            return None
        if node in found:
            continue
        if len(found) >= MOST_COPIED or not _is_pure(node, filling):
            return None
        found[node] = None
        pending += node.inputs
    return [node for node in body.nodes if node in found]


def _is_pure(node: Node, filling: _Filling) -> bool:
    """Whether a node gives the same wherever it stands behind the loop."""
    if node.blocks:
        return False
    if node.kind == GET:
        source = node.inputs[0].node
        if source is None or source.kind != "prim::ListConstruct":
            return False
        if not _only(node.inputs[0].uses, *_LISTS):
            return False
        writes = [u.node for u in node.inputs[0].uses if u.node.kind == APPEND]
        return all(_is_in_front(w, filling.loop) for w in writes)
    if node.kind in _VIEWS or node.kind in ("prim::Constant", "prim::unchecked_cast"):
        return True
    definition = table.find(node.kind)
    return (
        definition is not None
        and node.kind.partition("::")[0] in ("int", "float", "bool")
        and not definition.effects & ~Effect.RAISES
    )


# ---- lists that are their elements


def _take_apart(node: Node) -> bool:
    """Elements of a list at constant places are values, until it is read as a whole."""
    assert node.block is not None
    value = _repeated(node)
    if value is not None and node.inputs[1].is_constant:
        count = node.inputs[1].constant
        if not 0 <= count <= MOST_ELEMENTS:
            return False
        now = [value] * count
    elif node.kind == "prim::ListConstruct" and node.inputs:
        now = list(node.inputs)
    else:
        return False
    sets = [u.node for u in node.output.uses if u.node.kind == SET and u.index == 0]
    if not sets or any(s.block is not node.block for s in sets):
        return False
    place = {n: i for i, n in enumerate(node.block.nodes)}
    uses = sorted((u for u in node.output.uses if u.node in place), key=lambda u: place[u.node])
    last = max(sets, key=place.__getitem__)
    if not all(_is_element(u, len(now)) for u in uses if place[u.node] <= place[last]):
        return False
    rest = [u for u in node.output.uses if u.node not in place or place[u.node] > place[last]]
    if not all(_is_behind(u.node, last) and _may_read(u) for u in rest):
        return False
    for use in uses:
        if place[use.node] > place[last]:
            continue
        user = use.node
        if user.kind == LEN:
            builder = Builder(Block(None), schema_of)
            made = builder.constant(len(now))
            assert made.node is not None
            made.node.detach()
            made.node.insert_before(user)
            user.replace_with(made)
            continue
        at = user.inputs[1].constant
        if user.kind == GET:
            user.replace_with(_as(now[at], user))
        else:
            now[at] = user.inputs[2]
    whole = Node("prim::ListConstruct", now, [node.output.type], span=node.span)
    whole.insert_before(last)
    for use in list(node.output.uses):
        if use.node.kind == SET and use.index == 0:
            use.node.erase()
        else:
            use.node.set_input(use.index, whole.output)
    node.erase()
    return True


def _is_element(use: Use, count: int) -> bool:
    node = use.node
    if use.index != 0 or node.kind not in (GET, SET, LEN):
        return False
    if node.kind == LEN:
        return True
    index = node.inputs[1]
    return index.is_constant and -count <= index.constant < count


def _may_read(use: Use) -> bool:
    return use.node.kind in (GET, LEN) or use.node.kind.startswith("aten::")


def _gather(node: Node) -> bool:
    """A list that is appended to where it is made, and then only read, is made at once."""
    assert node.block is not None
    if node.kind != "prim::ListConstruct":
        return False
    uses = node.output.uses
    appends = [u.node for u in uses if u.node.kind == APPEND and u.index == 0]
    if not appends or any(a.block is not node.block for a in appends):
        return False
    place = {n: i for i, n in enumerate(node.block.nodes)}
    appends.sort(key=place.__getitem__)
    rest = [u for u in uses if u.node not in appends and u.node.kind != "list::reserve"]
    if not all(_is_behind(u.node, appends[-1]) and _may_read(u) for u in rest):
        return False
    if not all(u.node.block is node.block for u in uses if u.node.kind == "list::reserve"):
        return False
    values = [*node.inputs, *(a.inputs[1] for a in appends)]
    if len(values) > MOST_ELEMENTS:
        return False
    whole = Node("prim::ListConstruct", values, [node.output.type], span=node.span)
    whole.insert_before(appends[-1])
    for use in rest:
        use.node.set_input(use.index, whole.output)
    for use in list(node.output.uses):
        use.node.erase()
    node.erase()
    return True


# ---- plain types, and what is left


def _retype(node: Node) -> bool:
    """A list of Optional values none of which is None is a list of plain values."""
    t = node.output.type
    if node.kind != "prim::ListConstruct" or not isinstance(t, T.ListType):
        return False
    if not isinstance(t.element, T.OptionalType) or not _only(node.output.uses, *_LISTS):
        return False
    plain = t.element.element
    written = [*node.inputs, *(u.node.inputs[1] for u in node.output.uses if u.node.kind == APPEND)]
    if not written or any(v.type != plain for v in written):
        return False
    node.output.type = T.ListType([plain])
    for use in node.output.uses:
        if use.node.kind == GET:
            use.node.output.type = plain
    return True


def _drop_unread(node: Node) -> bool:
    """Drop a list that is only written."""
    if node.kind != "prim::ListConstruct" or not node.output.uses:
        return False
    if not _only(node.output.uses, APPEND, "list::reserve"):
        return False
    for use in list(node.output.uses):
        use.node.erase()
    node.erase()
    return True
