"""Simplify the tapes of differentiated programs: lists of what iterations of a loop have kept.

A *tape* is a ``prim::ListConstruct[tape=True]``: who made it reads no element that is not there.

Before::

    graph f(%n: int, %x: float, %k: int) -> float:
      %true: bool = prim::Constant[value=True]()
      %one: int = prim::Constant[value=1]()
      %l: List[Optional[float]] = prim::ListConstruct[tape=True]()
      prim::Loop(%one, %true)
        block0(%i: int):
          %c: bool = int::lt(%i, %one)
          %kept: Optional[float] = prim::If(%c)
            block0():
              -> (%x)
            block1():
              %none: Optional[float] = prim::Constant[value=None]()
              -> (%none)
          list::append(%l, %kept)
          -> (%true)
      %zero: int = prim::Constant[value=0]()
      %found: Optional[float] = list::getitem(%l, %zero)
      %is: bool = int::lt(%zero, %one)
      %r: float = prim::If(%is)
        block0():
          %y: float = prim::unchecked_cast(%found)
          -> (%y)
        block1():
          -> (%x)
      return (%r)

After::

    graph f(%n: int, %x: float, %k: int) -> float:
      %true: bool = prim::Constant[value=True]()
      %one: int = prim::Constant[value=1]()
      %0: List[float] = prim::ListConstruct[tape=True]()
      %1: List[int] = prim::ListConstruct[tape=True]()
      prim::Loop(%one, %true)
        block0(%i: int):
          %c: bool = int::lt(%i, %one)
          %2: int = list::len(%0)
          %kept: Optional[float] = prim::If(%c)
            block0():
              list::append(%0, %x)
              -> (%x)
            block1():
              %none: Optional[float] = prim::Constant[value=None]()
              -> (%none)
          list::append(%1, %2)
          -> (%true)
      %zero: int = prim::Constant[value=0]()
      %is: bool = int::lt(%zero, %one)
      %r: float = prim::If(%is)
        block0():
          %3: int = list::getitem(%1, %zero)
          %4: float = list::getitem(%0, %3)
          -> (%4)
        block1():
          -> (%x)
      return (%r)

What only one side of a branch keeps is appended inside of that side, and a second tape says where;
tapes that the iterations of an outer loop put into a tape of its own become one in the same way.
Where a tape holds one value everywhere, readers take that; what nobody reads is dropped.
"""

from __future__ import annotations

from scriptmode.ir import types as T
from scriptmode.ir.graph import YIELD, Graph, Node, Program, Value, ancestors, innermost_loop
from scriptmode.ir.structural_rules import fits_constant
from scriptmode.passes.split_lists import builder_at, is_own, place


def simplify_tapes(graph: Graph, program: Program | None = None) -> bool:
    """Return whether the graph changed."""
    changed = False
    for node in list(graph.find_all("prim::ListConstruct")):
        if node.block is not None and _is_tape(node):
            changed |= _hoist(node) or _keep_inside(node) or _read(node)
    for node in graph.find_all("prim::TupleIndex"):
        changed |= _constant_element(node)
    for node in graph.find_all("prim::Loop"):
        changed |= _count(node)
    return changed


def _count(loop: Node) -> bool:
    """How often a loop has run follows from its constants."""
    body, trips = loop.blocks[0], loop.inputs[0]
    goes_on = [loop.inputs[1], *body.returns[:1]]
    if body.terminator.kind != YIELD or not trips.is_constant:
        return False
    if not all(v.is_constant and v.constant is True for v in goes_on):
        return False
    changed = False
    for index, output in enumerate(loop.outputs):
        start, after = loop.inputs[index + 2], body.returns[index + 1].node
        if not output.is_used or output.type != T.INT or after is None:
            continue
        if not start.is_constant or start.constant != 0 or after.kind != "int::add":
            continue
        if after.inputs[0] is body.params[0] and _is_one(after.inputs[1]):
            builder, block = builder_at(loop)
            found = builder.constant(max(0, trips.constant))
            place(block, loop)
            output.replace_all_uses_with(found)
            changed = True
    return changed


def _is_one(value: Value) -> bool:
    return value.is_constant and value.constant == 1


def _constant_element(node: Node) -> bool:
    """An element of a constant tuple is a constant."""
    value = node.inputs[0]
    while value.node is not None and value.node.kind == "prim::unchecked_cast":
        value = value.node.inputs[0]
    if not value.is_constant or not isinstance(value.constant, tuple):
        return False
    if isinstance(node.inputs[0].type, T.NamedTupleType):
        return False
    builder, block = builder_at(node)
    found = builder.constant(value.constant[node.attributes["index"]], node.output.type)
    place(block, node)
    node.replace_with(found)
    return True


def _is_tape(node: Node) -> bool:
    return bool(node.attributes.get("tape")) and is_own(node)


# ---- tapes in tapes


def _hoist(outer: Node) -> bool:
    t = outer.output.type
    if not isinstance(t, T.ListType) or not isinstance(t.element, T.ListType):
        return False
    users = [u.node for u in outer.output.uses]
    appends = [u for u in users if u.kind == "list::append"]
    reads = [u for u in users if u.kind == "list::getitem"]
    if len(appends) != 1 or any(u.kind == "list::len" for u in users):
        return False
    (append,) = appends
    inner = append.inputs[1].node
    if inner is None or not inner.attributes.get("tape") or inner.inputs:
        return False
    # one iteration fills its tape before the next one begins
    if append.block is None or inner.block is not append.block:
        return False
    if innermost_loop(append.block) is None:
        return False
    fills = [u for u in inner.output.uses if u.node is not append]
    if not all(u.node.kind in ("list::append", "list::reserve") and not u.index for u in fills):
        return False
    read_uses = [u for read in reads for u in read.output.uses]
    if not all(u.node.kind == "list::getitem" and u.index == 0 for u in read_uses):
        return False
    builder, block = builder_at(outer)
    flat = builder.node(outer.kind, (), [t.element], tape=True).output
    starts = builder.node(outer.kind, (), [T.ListType([T.INT])], tape=True).output
    place(block, outer)
    builder, block = builder_at(inner)
    start = builder.op("list::len", flat)
    place(block, inner)
    builder, block = builder_at(append)
    builder.op_node("list::append", [starts, start])
    place(block, append)
    append.erase()
    for use in fills:
        if use.node.kind == "list::reserve":
            use.node.erase()
        else:
            use.node.set_input(0, flat)
    inner.erase()
    for read in reads:
        builder, block = builder_at(read)
        begin = builder.op("list::getitem", starts, read.inputs[1])
        place(block, read)
        for use in list(read.output.uses):
            builder, block = builder_at(use.node)
            index = builder.op("int::add", begin, use.node.inputs[1])
            place(block, use.node)
            use.node.set_input(1, index)
            use.node.set_input(0, flat)
        read.erase()
    for use in list(outer.output.uses):
        use.node.erase()  # list::reserve
    outer.erase()
    return True


# ---- what one side of a branch keeps


def _keep_inside(tape: Node) -> bool:
    """Append inside of the branch what is None on its other side; readers know the side."""
    t = tape.output.type
    if not isinstance(t, T.ListType) or not T.is_optional(t.element):
        return False
    plain = T.unwrap_optional(t.element)
    users = [u.node for u in tape.output.uses]
    appends = [u for u in users if u.kind == "list::append"]
    reads = [u for u in users if u.kind == "list::getitem"]
    if len(appends) != 1 or any(u.kind == "list::len" for u in users):
        return False
    casts = [u.node for read in reads for u in read.output.uses]
    if not all(c.kind == "prim::unchecked_cast" and c.output.type == plain for c in casts):
        return False
    (append,) = appends
    side = _only_side(append, plain)
    if side is None:
        return False
    end, kept = side
    assert append.inputs[1].node is not None
    builder, block = builder_at(tape)
    flat = builder.node(tape.kind, (), [T.ListType([plain])], tape=True).output
    starts = builder.node(tape.kind, (), [T.ListType([T.INT])], tape=True).output
    place(block, tape)
    builder, block = builder_at(append.inputs[1].node)
    start = builder.op("list::len", flat)
    place(block, append.inputs[1].node)
    builder, block = builder_at(end)
    builder.op_node("list::append", [flat, kept])
    place(block, end)
    builder, block = builder_at(append)
    builder.op_node("list::append", [starts, start])
    place(block, append)
    append.erase()
    for read in reads:
        for use in list(read.output.uses):
            builder, block = builder_at(use.node)
            begin = builder.op("list::getitem", starts, read.inputs[1])
            found = builder.op("list::getitem", flat, begin)
            place(block, use.node)
            use.node.replace_with(found)
        read.erase()
    for use in list(tape.output.uses):
        use.node.erase()  # list::reserve
    tape.erase()
    return True


def _only_side(append: Node, plain: T.Type) -> tuple[Node, Value] | None:
    """The end of the one side of an If that gives what is appended, and the value there."""
    value = append.inputs[1]
    branch = value.node
    if branch is None or branch.kind != "prim::If" or branch.block is not append.block:
        return None
    if len(value.uses) != 1:
        return None
    index = branch.outputs.index(value)
    ends = [block.terminator for block in branch.blocks]
    if any(end.kind != YIELD for end in ends):
        return None
    found = [(end, end.inputs[index]) for end in ends]
    found = [(end, v) for end, v in found if not (v.is_constant and v.constant is None)]
    if len(found) != 1 or found[0][1].type != plain:
        return None
    return found[0]


# ---- what is read of tapes


def _read(tape: Node) -> bool:
    changed = False
    for use in tape.output.uses:
        if use.node.kind == "list::getitem" and not use.node.output.is_used:
            use.node.erase()
            changed = True
    users = [u.node for u in tape.output.uses]
    is_measured = any(u.kind == "list::len" for u in users)
    reads = [u for u in users if u.kind == "list::getitem"]
    written = {u.inputs[1] for u in users if u.kind == "list::append"}
    if is_measured and not reads:
        return changed
    written = set(filter(None, map(_outside, written))) if _are_tuples(written) else written
    if reads and not _is_outside(written, tape) and not _are_one_constant(written):
        return changed
    for read in reads:
        value = next(iter(written))
        if value.is_constant:
            builder, block = builder_at(read)
            value = builder.constant(value.constant, read.output.type)
            place(block, read)
        elif value.type != read.output.type:
            builder, block = builder_at(read)
            value = builder.node("prim::unchecked_cast", [value], [read.output.type]).output
            place(block, read)
        read.replace_with(value)
    if is_measured:
        return True
    for use in list(tape.output.uses):
        use.node.erase()
    tape.erase()
    return True


def _are_tuples(values: set[Value]) -> bool:
    """Whether tuples of constants are all that a tape holds."""
    return bool(values) and all(
        v.node is not None
        and v.node.kind == "prim::TupleConstruct"
        and all(part.is_constant and part.type != T.TENSOR for part in v.node.inputs)
        for v in values
    )


def _outside(value: Value) -> Value | None:
    """A constant equal to a tuple of constants, in its place."""
    node = value.node
    assert node is not None
    builder, block = builder_at(node)
    found = tuple(part.constant for part in node.inputs)
    if not fits_constant(found, value.type):
        return None
    made = builder.constant(found, value.type)
    place(block, node)
    value.replace_all_uses_with(made)
    return made


def _are_one_constant(values: set[Value]) -> bool:
    if not values or not all(v.is_constant and v.type != T.TENSOR for v in values):
        return False
    found = [(v.type, repr(v.constant)) for v in values]
    return all(f == found[0] for f in found)


def _is_outside(values: set[Value], tape: Node) -> bool:
    """Whether one value is all that a tape holds, which was there before the tape was made."""
    if len(values) != 1:
        return False
    (value,) = values
    return any(value.block is block for block in ancestors(tape.block))
