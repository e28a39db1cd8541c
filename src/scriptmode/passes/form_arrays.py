"""Keep small tensors as values where no one can tell: as arrays in the frame.

Before, where both regions and the Loop know float32[4]::

    graph f(%h: Tensor, %n: int) -> Tensor:
      %true: bool = prim::Constant[value=True]()
      %trips: int = prim::Constant[value=9]()
      %r: Tensor = prim::Loop(%trips, %true, %h)
        block0(%i: int, %c: Tensor):
          %d: Tensor = prim::Region[callee='g', ...](%c)
          -> (%true, %d)
      return (%r)

After::

    graph f(%h: Tensor, %n: int) -> Tensor:
      %true: bool = prim::Constant[value=True]()
      %trips: int = prim::Constant[value=9]()
      %a: Array[float32, 4] = prim::ToArray(%h)
      %r: Array[float32, 4] = prim::Loop(%trips, %true, %a)
        block0(%i: int, %c: Array[float32, 4]):
          %d: Array[float32, 4] = prim::Region[callee='g', ...](%c)
          -> (%true, %d)
      %t: Tensor = prim::ToTensor(%r)
      return (%t)

Values that flow into each other by Loops and Ifs change together.  They may when all of them have
one dtype and shape, and when a tensor that gets out is a new one each time: it comes from a region,
not from outside, and it gets out at one place, once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from scriptmode.analysis.alias import result_is_fresh
from scriptmode.analysis.effects import Effects, may_write_tensors
from scriptmode.analysis.facts import TensorFact
from scriptmode.analysis.local_lists import MAKING, LocalList, local_lists
from scriptmode.analysis.shapes import Facts, Shapes, gives_what_it_writes
from scriptmode.analysis.terminators import carried_offset, ends_of_branches, ends_of_loop
from scriptmode.ir import types as T
from scriptmode.ir.graph import (
    BREAK,
    Block,
    Graph,
    Node,
    Program,
    Use,
    Value,
    innermost_loop,
)

REGION = "prim::Region"
MOST_BYTES = 1 << 14  # of one array
MOST_FRAME = 1 << 17  # of all arrays of a function


def form_arrays(graph: Graph, program: Program | None, given: Facts) -> bool:
    """Return whether the graph changed."""
    effects = Effects(program)
    writing = [node for node in graph.walk() if may_write_tensors(node, effects)]
    written = _written(writing)
    if written is None:
        return False  # a copy would not see what is written
    flow = _Flow(graph, given)
    changed = False
    room = MOST_FRAME
    for group in flow.groups():
        size = group.bytes
        if size <= room and flow.is_unwritten(group, written) and flow.is_eligible(group):
            room -= size
            flow.change(group)
            changed = True
    return changed


def _written(nodes: Iterable[Node]) -> set[Value] | None:
    """The tensors that are written, themselves or by views; None where that is not known."""
    found: set[Value] = set()
    for node in nodes:
        if node.kind == REGION:
            values = [node.inputs[i] for i in node.attributes["writes"]]
        elif node.schema is not None and node.kind.startswith("aten::"):
            arguments = zip(node.schema.arguments, node.inputs, strict=True)
            values = [v for a, v in arguments if a.alias is not None and a.alias.is_write]
        else:
            return None
        for value in values:
            if value.type != T.TENSOR:
                return None
            found.add(_viewed(value))
    return found


def _viewed(value: Value) -> Value:
    """What a tensor is a view of."""
    node = value.node
    while node is not None and node.schema is not None and node.kind.startswith("aten::"):
        is_view = node.schema.is_view or gives_what_it_writes(node)
        if not is_view or node.inputs[0].type != T.TENSOR:
            break
        value = node.inputs[0]
        node = value.node
    return value


@dataclass(eq=False)
class _Group:
    """Values that change together, of one dtype and shape."""

    fact: TensorFact
    values: list[Value] = field(default_factory=list)

    @property
    def type(self) -> T.ArrayType:
        return T.ArrayType(self.fact.dtype, self.fact.shape)

    @property
    def bytes(self) -> int:
        return len(self.values) * (self.fact.numel * self.fact.dtype.itemsize + 64)


def _is_made(value: Value) -> bool:
    """Whether a region makes the value."""
    return value.node is not None and value.node.kind == REGION


def _is_new(value: Value) -> bool:
    """Whether a value is a new tensor, which shares memory with nothing made before."""
    node = value.node
    if node is None:
        return False
    return node.kind == REGION or (
        result_is_fresh(node) and node.schema is not None and not node.schema.is_view
    )


def _is_carried(value: Value) -> bool:
    """Whether the value is what a Loop or If carries, or an element that is read from a list."""
    if value.node is not None and value.node.kind == "list::getitem":
        return True
    owner = value.definition.owner if isinstance(value.definition, Block) else value.definition
    return owner is not None and owner.kind in ("prim::Loop", "prim::If")


def _is_read(use: Use) -> bool:
    """Whether a use only reads elements, and nothing keeps the tensor."""
    node = use.node
    if node.kind == "prim::ToArray":
        return True
    return (
        result_is_fresh(node)
        and not any(o.type != T.TENSOR and T.TENSOR in T.walk(o.type) for o in node.outputs)
        and node.schema is not None
        and not any(a.alias for a in node.schema.arguments)
    )


class _Flow:
    """Which values flow where."""

    def __init__(self, graph: Graph, given: Facts) -> None:
        self.graph = graph
        self.facts = dict(Shapes(graph, given).facts)
        self.next: dict[Value, list[Value]] = {}
        self.parent: dict[Value, Value] = {}
        self.lists: dict[Value, LocalList] = {}  # by a value that stands for all elements
        self.carried: set[tuple[Node, int]] = set()  # uses that hand a value on, or put it in one
        for made in local_lists(graph):
            self._list(made)
        for node in graph.walk():
            if node.kind == "prim::Loop":
                self._loop(node)
            elif node.kind == "prim::If":
                for end in ends_of_branches(node):
                    for index, output in enumerate(node.outputs):
                        self._hands_on(end, index, output)

    def _loop(self, loop: Node) -> None:
        params = loop.blocks[0].params[1:]
        for index, param in enumerate(params):
            initial, output = loop.inputs[index + 2], loop.outputs[index]
            self._hands_on(loop, index + 2, param)
            if not _runs(loop):
                self._flows(initial, output)
            for end in ends_of_loop(loop):
                place = index + carried_offset(end)
                if end.kind != BREAK:
                    self._flows(end.inputs[place], param)
                self._hands_on(end, place, output)
            self._union(param, output)

    def _list(self, made: LocalList) -> None:
        """Elements flow from where they are written to where they are read."""
        facts = {self.facts.get(v) for v in made.written}
        if len(facts) != 1 or not made.written:
            return
        (fact,) = facts
        if fact is None:
            return
        element = Value(T.TENSOR, self.graph.block, "element")
        self.facts[element] = fact
        self.lists[element] = made
        for value in made.written:
            self._flows(value, element)
        for node in made.reads:
            self._flows(element, node.output)
        owned = set(made.values)
        for value in made.values:
            if value.node is not None and value.node.kind == MAKING:
                self.carried.update((value.node, i) for i in range(len(value.node.inputs)))
        for value in made.written:
            for use in value.uses:
                node = use.node
                if use.index > 0 and node.kind in ("list::append", "list::setitem"):
                    if node.inputs[0] in owned:
                        self.carried.add((node, use.index))

    def is_plumbing(self, use: Use) -> bool:
        """Whether a use hands the value on to a Loop, If or list that is changed with it."""
        return (use.node, use.index) in self.carried

    def _hands_on(self, node: Node, index: int, target: Value) -> None:
        """A node's input becomes a value; one that may also be None keeps its tensors."""
        self._flows(node.inputs[index], target)
        if node.inputs[index].type == T.TENSOR and target.type == T.TENSOR:
            self.carried.add((node, index))

    def _flows(self, source: Value, target: Value) -> None:
        if source.type != T.TENSOR or target.type != T.TENSOR:
            return
        self.next.setdefault(source, []).append(target)
        self._union(source, target)

    def _find(self, value: Value) -> Value:
        while self.parent.setdefault(value, value) is not value:
            value = self.parent[value]
        return value

    def _union(self, a: Value, b: Value) -> None:
        if a.type == T.TENSOR and b.type == T.TENSOR:
            self.parent[self._find(a)] = self._find(b)

    def groups(self) -> Iterable[_Group]:
        """The groups that have a region's result among them."""
        for node in self.graph.walk():
            if node.kind == REGION:
                for output in node.outputs:
                    if output.type == T.TENSOR:
                        self._find(output)
        members: dict[Value, list[Value]] = {}
        for value in list(self.parent):
            members.setdefault(self._find(value), []).append(value)
        for values in members.values():
            if not any(map(_is_made, values)):
                continue
            facts = [self.facts.get(v) for v in values]
            first = facts[0]
            if first is None or any(
                f is None or (f.dtype, f.shape) != (first.dtype, first.shape) for f in facts
            ):
                continue
            if first.numel * first.dtype.itemsize <= MOST_BYTES and first.numel > 0:
                yield _Group(first, values)

    def is_unwritten(self, group: _Group, written: set[Value]) -> bool:
        """Whether nothing is written that shares memory with a value of a group.

        What is written must be new tensors of the function, which flow into no value of the group.
        """
        if not written:
            return True
        for value in written:
            flowing = [v for v in list(self.parent) if self._find(v) is self._find(value)]
            if any(v in group.values for v in flowing):
                return False
            if not all(_is_new(v) or _is_carried(v) for v in {value, *flowing}):
                return False
        return True

    def is_eligible(self, group: _Group) -> bool:
        """Whether the change is safe, and saves more allocations than it adds."""
        members = set(group.values)
        gained = lost = 0
        for value in group.values:
            weight = _weight(value)
            if _is_made(value):
                gained += weight
            if value in self.lists:
                continue
            if not _is_made(value) and not _is_carried(value):
                lost += weight if self._is_imported(value, members) else 0
            out = [u for u in value.uses if not self.is_plumbing(u) and u.node.kind != REGION]
            lost += sum(_weight_of(u.node) for u in out if value_changes(value))
        if gained <= lost:
            return False
        return self._is_safe(group)

    def _is_imported(self, value: Value, members: set[Value]) -> bool:
        return any(self.is_plumbing(u) for u in value.uses)

    def _is_safe(self, group: _Group) -> bool:
        escapes: dict[Value, list[Use]] = {}
        for value in group.values:
            if not value_changes(value):
                continue
            found = [
                u for u in value.uses
                if not self.is_plumbing(u) and u.node.kind != REGION and not _is_read(u)
            ]  # fmt: skip
            if found:
                escapes[value] = found
        if not escapes:
            return True
        for source in group.values:
            if _is_carried(source) or source in self.lists:
                continue
            reached = self._reached(source)
            sites = [u for v in reached for u in escapes.get(v, ())]
            if not value_changes(source) and sites:
                return False  # a tensor from outside would come out as a copy
            if len(sites) > 1:
                return False
            if sites and not self._gets_out_once(source, sites[0]):
                return False
        return True

    def _reached(self, source: Value) -> list[Value]:
        found = {source: None}
        pending = [source]
        while pending:
            following = [v for v in self.next.get(pending.pop(), ()) if v not in found]
            found.update(dict.fromkeys(following))
            pending += following
        return list(found)

    def _gets_out_once(self, source: Value, site: Use) -> bool:
        """Whether what a region makes gets out at a site in the same iteration, or behind."""
        loop = innermost_loop(site.node.block) if site.node.block is not None else None
        if loop is None:
            return True
        if any(v in self.lists for v in self._reached(source)):
            return False  # an element may be read again
        inside = site.node.inputs[site.index]
        if innermost_loop(inside.block) is not loop:
            return False
        if isinstance(inside.definition, Block):
            return False  # a carried value may stay the same for several iterations
        return innermost_loop(source.block) is loop or not _passes_params(source, inside, self.next)

    def change(self, group: _Group) -> None:
        """Make the group's values arrays, and lists of them lists of arrays."""
        array = group.type
        for value in group.values:
            if value in self.lists:
                _change_list(self.lists[value], array)
                continue
            if not value_changes(value):
                _import(value, [u for u in value.uses if self.is_plumbing(u)], array)
                continue
            value.type = array
            if value.node is not None and value.node.kind == REGION:
                _set_fact(value.node, "results", value.node.outputs.index(value))
            for use in value.uses:
                if use.node.kind == REGION:
                    _set_fact(use.node, "facts", use.index)
                elif use.node.kind == "prim::ToArray":
                    use.node.replace_with(value)
                elif not self.is_plumbing(use):
                    _export(value, use)


def _passes_params(source: Value, target: Value, following: dict[Value, list[Value]]) -> bool:
    """Whether the way from one value to another may lead through params of loops."""
    pending, seen = [source], set()
    while pending:
        value = pending.pop()
        if value in seen:
            continue
        seen.add(value)
        pending += [v for v in following.get(value, ()) if v is not target]
    return any(isinstance(v.definition, Block) for v in seen)


def _runs(loop: Node) -> bool:
    """Whether a Loop is known to run at least once."""
    trips, condition = loop.inputs[:2]
    runs = trips.is_constant and trips.constant > 0
    return bool(runs and condition.is_constant and condition.constant is True)


def _weight(value: Value) -> int:
    return _weight_of_block(value.block)


def _weight_of(node: Node) -> int:
    assert node.block is not None
    return _weight_of_block(node.block)


def _weight_of_block(block: Block) -> int:
    weight = 1
    loop = innermost_loop(block)
    while loop is not None:
        weight *= 10
        assert loop.block is not None
        loop = innermost_loop(loop.block)
    return weight


def value_changes(value: Value) -> bool:
    """Whether the value itself becomes an array; others are copied into one where they flow in."""
    return _is_made(value) or _is_carried(value)


def _change_list(made: LocalList, array: T.ArrayType) -> None:
    for value in made.values:
        value.type = T.ListType([array])
    for node in made.stacks:
        stacked = Node("prim::StackArrays", node.inputs[:1], [T.TENSOR], span=node.span)
        stacked.insert_before(node)
        node.replace_with(stacked.output)


def _set_fact(region: Node, name: str, index: int) -> None:
    facts = list(region.attributes[name])
    facts[index] = None
    region.attributes[name] = tuple(facts)


def _import(value: Value, uses: list[Use], array: T.ArrayType) -> None:
    for use in uses:
        made = Node("prim::ToArray", [value], [array], span=use.node.span)
        made.insert_before(use.node)
        use.node.set_input(use.index, made.output)


def _export(value: Value, use: Use) -> None:
    made = Node("prim::ToTensor", [value], [T.TENSOR], span=use.node.span)
    made.insert_before(use.node)
    use.node.set_input(use.index, made.output)
