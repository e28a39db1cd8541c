"""At run time: whether a result depends on what is differentiated by.

``requires_grad`` of a result is that of eager: a tensor made in a branch that was not taken, or
in a loop that did not run, does not count.  ``Flags(graph, activity)`` gives for a tensor the
bool that tells, a constant wherever the activity analysis knows it, and otherwise values that it
adds to the forward program::

    %y: Tensor, %0: bool = prim::If(%c)
      block0():
        %a: Tensor = aten::mul.Tensor(%x, %w)
        %true: bool = prim::Constant[value=True]()
        -> (%a, %true)
      block1():
        %false: bool = prim::Constant[value=False]()
        -> (%z, %false)
"""

from __future__ import annotations

from collections.abc import Iterable

from scriptmode.autodiff.activity import Activity, Key, Path, is_taped
from scriptmode.autodiff.dual import ANY, DUAL, REQUIRED, TENSORS, TO_DUALS, TO_FLAGS, TO_TENSORS
from scriptmode.autodiff.mutation import WRITTEN
from scriptmode.autodiff.recorded import RECORDS, STRIPS
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import UNREACHABLE, Block, Graph, Node, Value
from scriptmode.ops.aten import schema_of

Flag = Value | bool
BOOLS = T.ListType([T.BOOL])
# lists of which each element depends on that of the operand alone
_BY_ELEMENT = (
    "tuple::as_list", "tuple::from_list", "aten::broadcast_tensors", "aten::meshgrid",
    "aten::meshgrid.indexing", "aten::atleast_1d.Sequence", "aten::atleast_2d.Sequence",
    "aten::atleast_3d.Sequence",
)  # fmt: skip


class Flags:
    """Flags of the tensors of one graph."""

    def __init__(self, graph: Graph, activity: Activity, roots: Iterable[Key]) -> None:
        self.graph = graph
        self.activity = activity
        self.roots = set(roots)
        self._known: dict[tuple[Value, Path], Flag] = {}

    def know(self, key: Key, flag: Value) -> None:
        """Take a value for the flag of a root."""
        self._known[key] = flag

    def before(self, value: Value, path: Path, anchor: Node) -> Value:
        """The flag as a value in front of ``anchor``."""
        flag = self.of(value, path)
        if isinstance(flag, Value):
            return flag
        node = Node("prim::Constant", (), [T.BOOL], attributes={"value": flag}, span=anchor.span)
        return node.insert_before(anchor).output

    def constant(self, flag: Flag, block: Block) -> Value:
        """The flag as a value at the end of ``block``."""
        if isinstance(flag, Value):
            return flag
        return Builder(block, schema_of).constant(flag)

    def of(self, value: Value, path: Path = ()) -> Flag:
        """The flag of the tensor at ``path``; of a list: whether an op of it depends on any."""
        key = (value, path)
        if key not in self._known:
            self._known[key] = self._find(value, path)
        return self._known[key]

    def _find(self, value: Value, path: Path) -> Flag:
        if not self.activity.is_active(value, path) and not self._is_list(value):
            return False
        if (value, path) in self.roots:
            return self._any_of(value) if self._is_list(value) else True
        node = value.node
        if node is None:
            owner = value.block.owner
            assert owner is not None, "an active parameter is a root"
            return self._carried(owner, value.block.params.index(value) - 1, path)[0]
        match node.kind:
            case "prim::If":
                return self._branches(node, node.outputs.index(value), path)
            case "prim::Loop":
                return self._carried(node, node.outputs.index(value), path)[1]
            case "prim::TupleConstruct":
                return self.of(node.inputs[path[0]], path[1:])
            case "prim::TupleIndex" if node.inputs[0].type == DUAL:
                return self._stored(node)
            case "prim::TupleIndex":
                return self.of(node.inputs[0], (node.attributes["index"], *path))
            case "prim::unchecked_cast" | "prim::checked_cast":
                return self.of(node.inputs[0], path)
            case "prim::Call" if node.attributes["callee"] in STRIPS:
                return self._on_tape(node)
            case "prim::Call" if node.attributes["callee"] == WRITTEN:
                return self._any(node)
            case "prim::Call" if node.attributes["callee"] in RECORDS:
                return self.of(node.inputs[0])
            case "prim::Call" if is_taped(node):
                return self._told(node, path[1:])
            case "prim::Call":
                return self._any_of(value)
            case "list::getitem":
                return self._element(node)
        return self._any(node)

    # ---- lists

    def in_list(self, value: Value) -> Value:
        """The flags of the elements of a list of tensors."""
        key = (value, (-1,))
        if key not in self._known:
            self._known[key] = self._find_in_list(value)
        found = self._known[key]
        assert isinstance(found, Value)
        return found

    def _find_in_list(self, value: Value) -> Value:
        node = value.node
        if node is None:
            anchor = value.block.first if (value, ()) in self.roots else None
            if anchor is None:
                return self._repeated(value, False)
            return self._called(REQUIRED, value, anchor)
        callee = node.attributes.get("callee")
        if callee == TO_TENSORS:
            return self._called(TO_FLAGS, node.inputs[0], node)
        if callee in STRIPS:
            raw = node.inputs[0]
            assert raw.node is not None
            if raw.node.kind in _BY_ELEMENT:
                return self.in_list(raw)
            flag = self._any(raw.node)
            return (
                self._called(REQUIRED, raw, node) if flag is True else self._repeated(value, flag)
            )
        if callee in RECORDS or node.kind in _BY_ELEMENT:
            return self.in_list(node.inputs[0])
        if node.kind == "prim::ListConstruct":
            flags = [self.of(v) for v in node.inputs]
            builder = Builder(Block(None), schema_of)
            builder.span = node.span
            made = builder.list([self.constant(f, builder.block) for f in flags], T.BOOL)
            _move(builder.block, node)
            return made
        return self._repeated(value, self._any(node))

    def _repeated(self, value: Value, flag: Flag) -> Value:
        """The same flag for every element."""
        builder = Builder(Block(None), schema_of)
        one = builder.list([self.constant(flag, builder.block)], T.BOOL)
        made = builder.op("list::repeat", one, builder.op("list::len", value))
        anchor = value.block.first
        if value.node is not None:
            builder.span = value.node.span
            anchor = value.node.next
            while anchor is not None and isinstance(flag, Value) and _follows(flag.node, anchor):
                anchor = anchor.next
        assert anchor is not None
        _move(builder.block, anchor)
        return made

    def _called(self, name: str, value: Value, anchor: Node) -> Value:
        result = T.BOOL if name == ANY else BOOLS
        call = Node("prim::Call", [value], [result], attributes={"callee": name}, span=anchor.span)
        return call.insert_before(anchor).output

    def _any_of(self, value: Value) -> Flag:
        """Whether any element of a list counts, at run time."""
        flags = self.in_list(value)
        assert flags.node is not None and flags.node.next is not None
        return self._called(ANY, flags, flags.node.next)

    def _element(self, load: Node) -> Flag:
        """The flag of what is read from a list."""
        source, index = load.inputs
        if isinstance(self._shared(source), bool):
            return self.of(source)
        kind = "list::getitem"
        flags = self.in_list(source)
        node = Node(kind, [flags, index], [T.BOOL], schema=schema_of(kind), span=load.span)
        return node.insert_after(load).output

    def _shared(self, value: Value) -> Flag | None:
        """The flag that all elements have, where that is a constant."""
        node = value.node
        if node is None or node.kind == "prim::Call" or (value, ()) in self.roots:
            return None
        if node.kind in _BY_ELEMENT:
            return self._shared(node.inputs[0])
        if node.kind == "prim::ListConstruct":
            flags = {f if isinstance(f, bool) else None for f in map(self.of, node.inputs)}
            return flags.pop() if len(flags) == 1 else None
        flag = self.of(value)
        return flag if isinstance(flag, bool) else None

    def fill(self) -> None:
        """Store the flags of tensors that go into containers."""
        for node in list(self.graph.walk()):
            if node.kind == "prim::TupleConstruct" and node.output.type == DUAL:
                flag = self.of(node.inputs[0])
                if isinstance(flag, Value):
                    node.set_input(2, flag)
                elif not flag:
                    holder = Node("prim::Constant", (), [T.BOOL], attributes={"value": False},
                                  span=node.span)  # fmt: skip
                    node.set_input(2, holder.insert_before(node).output)
            elif node.attributes.get("callee") == TO_DUALS:
                node.add_input(self.in_list(node.inputs[0]))

    def _is_list(self, value: Value) -> bool:
        return isinstance(value.type, (T.ListType, T.VarTupleType))

    def _told(self, call: Node, path: Path) -> Flag:
        """What a recursive function says of its result."""
        flags = call.output.type.contained[1]
        place = call.attributes["active"].index(path)
        both = Node("prim::TupleIndex", [call.output], [flags], attributes={"index": 1},
                    span=call.span)  # fmt: skip
        both.insert_after(call)
        flag = Node("prim::TupleIndex", [both.output], [T.BOOL], attributes={"index": place},
                    span=call.span)  # fmt: skip
        return flag.insert_after(both).output

    def _stored(self, load: Node) -> Flag:
        flag = Node("prim::TupleIndex", load.inputs, [T.BOOL], attributes={"index": 2},
                    span=load.span)  # fmt: skip
        return flag.insert_after(load).output

    def _on_tape(self, strip: Node) -> Flag:
        """Whether a result that torch has recorded counts: it says so, and an operand does."""
        (raw,) = strip.inputs
        if raw.type == TENSORS:
            return self._any_of(strip.output)
        assert raw.node is not None
        flag = self._any(raw.node)
        if flag is False:
            return False
        kind = "tensor::requires_grad"
        asked = Node(kind, [raw], [T.BOOL], schema=schema_of(kind), span=strip.span)
        found = asked.insert_before(strip).output
        if flag is True:
            return found
        both = Node("bool::and", [flag, found], [T.BOOL], schema=schema_of("bool::and"),
                    span=strip.span)  # fmt: skip
        return both.insert_before(strip).output

    def _any(self, node: Node) -> Flag:
        """Whether any operand of an op counts."""
        found: list[Value] = []
        for value in node.inputs:
            if self.activity.any_in(value):
                flag = self.of(value)
                if flag is True:
                    return True
                if isinstance(flag, Value):
                    found.append(flag)
        if not found:
            return False
        result = found[0]
        anchor = node
        for other in found[1:]:
            joined = Node("bool::or", [result, other], [T.BOOL], schema=schema_of("bool::or"),
                          span=node.span)  # fmt: skip
            anchor = joined.insert_after(anchor)
            result = joined.output
        return result

    def _branches(self, node: Node, index: int, path: Path) -> Flag:
        live = [b for b in node.blocks if b.terminator.kind != UNREACHABLE]
        flags = [self.of(b.returns[index], path) for b in live]
        if all(f is True for f in flags) or all(f is False for f in flags):
            return flags[0]
        for block, flag in zip(live, flags, strict=True):
            block.terminator.add_input(self.constant(flag, block))
        return node.add_output(T.BOOL)

    def _carried(self, loop: Node, index: int, path: Path) -> tuple[Flag, Flag]:
        """The flags of a carried value inside of the loop and behind it."""
        body = loop.blocks[0]
        param, output = body.params[1 + index], loop.outputs[index]
        start = self.of(loop.inputs[2 + index], path)
        if isinstance(start, bool):
            self._known[param, path] = start  # a guess, which the body confirms or not
            if self._guess(body, index, path) == start:
                self._known[output, path] = start
                return start, start
        assert loop.block is not None
        holder = Node("prim::Constant", (), [T.BOOL], attributes={"value": start}, span=loop.span)
        first = start if isinstance(start, Value) else holder.insert_before(loop).output
        loop.add_input(first)
        inside = self._known[param, path] = body.add_param(T.BOOL, "flag")
        behind = self._known[output, path] = loop.add_output(T.BOOL)
        place = len(body.terminator.inputs)  # asking for the flag may let other values be carried
        body.terminator.add_input(inside)
        after = self.of(body.returns[1 + index], path)
        body.terminator.set_input(place, self.constant(after, body))
        return inside, behind

    def _guess(self, body: Block, index: int, path: Path) -> Flag | None:
        """The flag at the end of the body where it is a constant, without changing anything."""
        trial = _Trial(self.graph, self.activity, self.roots)
        trial._known = dict(self._known)
        try:
            return trial.of(body.returns[1 + index], path)
        except _Unsure:
            return None


class _Unsure(Exception):
    pass


class _Trial(Flags):
    """Flags that are constants; anything else raises."""

    def _told(self, call: Node, path: Path) -> Flag:
        raise _Unsure

    def _on_tape(self, strip: Node) -> Flag:
        raise _Unsure

    def _stored(self, load: Node) -> Flag:
        raise _Unsure

    def in_list(self, value: Value) -> Value:
        raise _Unsure

    def _branches(self, node: Node, index: int, path: Path) -> Flag:
        live = [b for b in node.blocks if b.terminator.kind != UNREACHABLE]
        flags = [self.of(b.returns[index], path) for b in live]
        if all(f is True for f in flags) or all(f is False for f in flags):
            return flags[0]
        raise _Unsure

    def _any(self, node: Node) -> Flag:
        unsure = False
        for value in node.inputs:
            if self.activity.any_in(value):
                try:
                    if self.of(value) is True:
                        return True
                except _Unsure:
                    unsure = True
        if unsure:
            raise _Unsure
        return False

    def _carried(self, loop: Node, index: int, path: Path) -> tuple[Flag, Flag]:
        body = loop.blocks[0]
        start = self.of(loop.inputs[2 + index], path)
        self._known[body.params[1 + index], path] = start
        if self.of(body.returns[1 + index], path) != start or not isinstance(start, bool):
            raise _Unsure
        return start, start


def _move(block: Block, anchor: Node) -> None:
    for node in list(block.nodes):
        node.detach()
        node.insert_before(anchor)


def _follows(node: Node | None, anchor: Node) -> bool:
    """Whether ``node`` is ``anchor`` or stands behind it in its block."""
    step: Node | None = anchor
    while step is not None and node is not None:
        if step is node:
            return True
        step = step.next
    return False
