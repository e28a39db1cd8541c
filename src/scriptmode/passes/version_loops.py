"""Give loops over lists a version without checks, for when all indices are inside.

Before::

    graph(%a: List[int], %n: int, %c: bool):
      %zero: int = prim::Constant[value=0]()
      %sum: int = prim::Loop(%n, %c, %zero)
        block0(%i: int, %s: int):
          %x: int = list::getitem(%a, %i)
          %t: int = int::add(%s, %x)
          -> (%c, %t)
      return (%sum)

After::

    graph(%a: List[int], %n: int, %c: bool):
      %zero: int = prim::Constant[value=0]()
      %0: int = prim::Constant[value=0]()
      %1: bool = list::covers(%a, %0, %n, %0, %0)
      %sum: int = prim::If(%1)
        block0():
          %2: int = prim::Loop[versioned=True](%n, %c, %zero)
            block0(%i: int, %s: int):
              %x: int = list::getitem_inside(%a, %i)
              %t: int = int::add(%s, %x)
              -> (%c, %t)
          -> (%2)
        block1():
          %3: int = prim::Loop[versioned=True](%n, %c, %zero)
            block0(%i.1: int, %s.1: int):
              %x.1: int = list::getitem(%a, %i.1)
              %t.1: int = int::add(%s.1, %x.1)
              -> (%c, %t.1)
          -> (%3)
      return (%sum)

Only innermost loops, in which no list of the same type may become shorter, and not lists of
tensors.  Where the first and the last index that an iteration may use are inside, neither negative
nor beyond the end, so are all between, and the access needs no check.  In that version elements
that the iteration before has read or written are carried over (``carry_elements``).
"""

from __future__ import annotations

from scriptmode.analysis.borrowing import is_opaque, may_be_same, with_nested, written_by
from scriptmode.analysis.loop_indices import ENDLESS, IndexForm, index_form, is_outside
from scriptmode.analysis.terminators import ends_of_loop
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import CONTINUE, YIELD, Block, Graph, Node, Program, Value, copy_node
from scriptmode.ops.aten import schema_of
from scriptmode.passes.carry_elements import carry_elements
from scriptmode.passes.loop_guard import Guard

ACCESSES = {
    "list::getitem": "list::getitem_inside",
    "list::setitem": "list::setitem_inside",
}
_STORES = ("list::setitem", "list::setitem_inside")
# writes after which all indices are as good as before
_KEEPING = frozenset(
    ["list::setitem", "list::setitem_inside", "list::append", "list::append_at", "list::extend",
     "list::insert", "list::reverse", "list::reserve"]
)  # fmt: skip
LARGEST = 120  # nodes of a loop that is copied
FEWEST_TRIPS = 5


def version_loops(graph: Graph, program: Program | None = None) -> bool:
    """Return whether the graph changed."""
    changed = False
    for loop in list(graph.find_all("prim::Loop")):
        trips = loop.inputs[0]
        if loop.attributes.get("versioned") or (
            trips.is_constant and trips.constant < FEWEST_TRIPS
        ):
            continue
        nodes = [n for n in with_nested(loop) if n is not loop]
        if len(nodes) <= LARGEST and not any(map(_is_foreign, nodes)):
            forms, appends = _forms(loop, nodes), _appends(loop, nodes)
            if appends or any(not form.is_fixed for form in forms.values()):
                _version(loop, nodes, forms, appends)
                changed = True
    return changed


def _is_foreign(node: Node) -> bool:
    """Whether the node is a loop, runs code, or writes what is not known."""
    if node.kind == "prim::If":
        return False
    return bool(node.blocks) or node.kind.startswith("aten::") or is_opaque(node)


def _forms(loop: Node, nodes: list[Node]) -> dict[Node, IndexForm]:
    """The accesses that are likely to be inside, of lists that keep their lengths.

    Those that run in each iteration must be, or the loop ends with an error.  A condition may be
    what keeps others inside.
    """
    changing = [
        value.type for node in nodes if node.kind not in _KEEPING for value in written_by(node)
    ]
    surely: dict[Node, IndexForm] = {}
    maybe: dict[Node, IndexForm] = {}
    for node in nodes:
        if node.kind not in ACCESSES:
            continue
        source = node.inputs[0]
        if _has_tensors(source) or not is_outside(source, loop):
            continue
        if not any(may_be_same(t, source.type) for t in changing):
            form = index_form(loop, node.inputs[1])
            if form is not None:
                (surely if node.block is loop.blocks[0] else maybe)[node] = form
    known = {(node.inputs[0], form) for node, form in surely.items()}
    for node, form in maybe.items():
        if (node.inputs[0], form) in known or _starts_inside(form):
            surely[node] = form
    return surely


def _has_tensors(value: Value) -> bool:
    """Whether a list holds tensors: what is done to such lists other passes must recognise."""
    return T.TENSOR in T.walk(value.type)


def _starts_inside(form: IndexForm) -> bool:
    """Whether an index starts at a known element and goes no further than a range."""
    if form.is_fixed or form.outer is not None or form.constant > 0 or form.step != 1:
        return False
    if form.item is None:
        return form.constant == 0
    start = form.item.inputs[0]
    return start.is_constant and start.constant + form.constant >= 0


def _appends(loop: Node, nodes: list[Node]) -> list[Node]:
    """The appends by which each iteration adds one element to a list from outside."""
    trips = loop.inputs[0]
    if trips.is_constant and trips.constant >= ENDLESS:
        return []
    if any(end.kind == CONTINUE for end in ends_of_loop(loop)):
        return []
    found = [
        n
        for n in nodes
        if n.kind == "list::append" and n.block is loop.blocks[0] and is_outside(n.inputs[0], loop)
    ]
    if any(_has_tensors(n.inputs[0]) for n in found):
        return []
    targets = [n.inputs[0] for n in found]
    others = [
        v.type for n in nodes if n not in found and n.kind not in _STORES for v in written_by(n)
    ]
    if len(set(targets)) < len(targets):
        return []
    if any(may_be_same(t, v.type) for t in others for v in targets):
        return []
    vague = [
        a for a in targets for b in targets if a.type != b.type and may_be_same(a.type, b.type)
    ]
    return [] if vague else found


def _version(
    loop: Node, nodes: list[Node], forms: dict[Node, IndexForm], appends: list[Node]
) -> None:
    """Put the loop into the second branch of an If, its version without checks into the first."""
    build = Builder(Block(None), schema_of)
    build.span, build.scope = loop.span, loop.scope
    checks = [n for n in nodes if n.kind == "list::check_index" and is_outside(n.inputs[0], loop)]
    first = Builder(Block(None), schema_of)
    first.span, first.scope = loop.span, loop.scope
    guard = Guard(build, first)
    for check in checks:
        guard.require(check.inputs[0])
    for node, form in forms.items():
        guard.require_inside(node.inputs[0], form, loop)
    for number, append in enumerate(appends):
        target = append.inputs[0]
        guard.require(build.op("list::has_room", target, loop.inputs[0]))
        for other in appends[:number]:
            if other.inputs[0].type == target.type:
                guard.require_other(other.inputs[0], target)
    mapping: dict[Value, Value] = {}
    fast = copy_node(loop, mapping)
    copies = dict(zip(nodes, (n for n in with_nested(fast) if n is not fast), strict=True))
    for node in forms:
        access = copies[node]
        access.kind = ACCESSES[access.kind]
        access.schema = schema_of(access.kind)
    for check in checks:
        copies[check].erase()
    for append in appends:
        _append_at(copies[append], first, fast)
    carry_elements(fast, {copies[n]: f for n, f in forms.items()}, guard)
    assert guard.condition is not None
    branch = build.if_node(guard.condition)
    for node in list(build.block.nodes):
        node.detach()
        node.insert_before(loop)
    for output in loop.outputs:
        output.replace_all_uses_with(branch.add_output(output.type, output.name))
    for node in [*first.block.nodes, fast]:
        if node.block is not None:
            node.detach()
        branch.blocks[0].append(node)
    loop.detach()
    branch.blocks[1].append(loop)
    count = len(loop.outputs)
    for block, version in zip(branch.blocks, (fast, loop), strict=True):
        version.attributes["versioned"] = True
        block.terminate(YIELD, version.outputs[:count], loop.span)


def _append_at(append: Node, first: Builder, loop: Node) -> None:
    """Let an append know how long the list is."""
    target, value = append.inputs
    before = first.op("list::len", target)
    build = Builder(Block(None), schema_of)
    build.span, build.scope = append.span, append.scope
    length = build.op("int::add", before, loop.blocks[0].params[0])
    build.op_node("list::append_at", [target, length, value])
    for node in list(build.block.nodes):
        node.detach()
        node.insert_before(append)
    append.erase()
