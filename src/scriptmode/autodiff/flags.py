"""At run time: whether a result depends on what is differentiated by.

``requires_grad`` of a result is that of eager: a tensor made in a branch that was not taken, or
in a loop that did not run, does not count.  ``Flags(graph, activity, roots)`` gives for a tensor
the bool that tells: a constant wherever the equations have one solution (see ``flag_equations``),
and otherwise values that it adds to the forward program::

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

from collections.abc import Collection, Sequence
from typing import Any

from scriptmode.autodiff.activity import Activity, is_taped
from scriptmode.autodiff.dual import ANY, DUAL, REQUIRED, TO_DUALS, TO_FLAGS
from scriptmode.autodiff.flag_equations import ELEMENTS, Equation, Equations, How
from scriptmode.autodiff.paths import Key, Path
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import UNREACHABLE, Block, Graph, Node, Value
from scriptmode.ops.aten import schema_of

Flag = Value | bool
BOOLS = T.ListType([T.BOOL])
_RESULTS = {
    "prim::ListConstruct": BOOLS,
    "list::repeat": BOOLS,
    "list::len": T.INT,
    "tensor::dtype": T.DTYPE,
}


class Flags:
    """Flags of the tensors of one graph."""

    def __init__(self, graph: Graph, activity: Activity, roots: Collection[Key]) -> None:
        self.graph = graph
        self.equations = Equations(activity, roots)
        self._made: dict[Key, Value] = {}
        self._places: dict[Node | Block, Node] = {}
        self._open: list[tuple[Block, int, Key]] = []  # bodies of loops that do not yield it yet

    def know(self, key: Key, flag: Value) -> None:
        """Take a value for the flag of a root."""
        self.equations.given.add(key)
        self._made[key] = flag

    def before(self, value: Value, path: Path, anchor: Node) -> Value:
        """The flag as a value in front of ``anchor``."""
        return self._as_value(self.of(value, path), anchor)

    def constant(self, flag: Flag, block: Block) -> Value:
        """The flag as a value at the end of ``block``."""
        if isinstance(flag, Value):
            return flag
        return Builder(block, schema_of).constant(flag)

    def of(self, value: Value, path: Path = ()) -> Flag:
        """The flag of the tensor at ``path``; of a list: whether an op of it depends on any."""
        key = (value, path)
        known = self._known(key)
        return self._value_of(key) if known is None else known

    def in_list(self, value: Value) -> Value:
        """The flags of the elements of a list of tensors."""
        return self._value_of((value, ELEMENTS))

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

    def _known(self, key: Key) -> bool | None:
        """The flag where it is a constant; what never has one, behind a raise, counts as False."""
        possible = self.equations.possible(key)
        return None if len(possible) == 2 else True in possible

    # ---- in which order values are made

    def _value_of(self, key: Key) -> Value:
        """The flag, or the list of flags, as a value."""
        self._make_in_order(key)
        while self._open:
            body, place, after = self._open.pop()
            if self._known(after) is None:
                self._make_in_order(after)
            body.terminator.set_input(place, self.constant(self._flag(after), body))
        return self._made[key]

    def _make_in_order(self, key: Key) -> None:
        """Make a flag, and before it those that it is made of."""
        stack = [key]
        while stack:
            missing = [k for k in self._parts(stack[-1]) if k not in self._made]
            if missing and stack[-1] not in self._made:
                stack += missing
                continue
            made = stack.pop()
            if made not in self._made:
                self._made[made] = self._make(made)

    def _parts(self, key: Key) -> list[Key]:
        """The flags that have to be values before that of ``key`` is one."""
        equation = self.equations.of(key)
        if isinstance(equation, bool) or self._known(key) is not None:
            return []
        # what the body of a loop yields is made later: it may be made of this one
        keys = equation.keys[:1] if equation.how is How.CARRIED else equation.keys
        return [k for k in keys if self._known(k) is None]

    def _flag(self, key: Key) -> Flag:
        """A flag that has its value, or needs none."""
        known = self._known(key)
        return self._made[key] if known is None else known

    # ---- values

    def _make(self, key: Key) -> Value:
        value, path = key
        equation, known = self.equations.of(key), self._known(key)
        if isinstance(equation, bool) or known is not None:
            assert path == ELEMENTS, "a constant needs no value"
            return self._repeated(value, bool(known))
        if equation.how is How.CARRIED:
            return self._carried(value, path, equation)
        if path == ELEMENTS:
            return self._elements(value, equation)
        node = value.node
        assert node is not None
        match equation.how:
            case How.STORED if is_taped(node):
                return self._told(node, path[1:])
            case How.STORED:
                return self._put(value, "prim::TupleIndex", node.inputs, {"index": 2})
            case How.ASKED:
                flag = self._any(value, equation)
                asked = self._put(value, "tensor::requires_grad", node.inputs)
                return self._both(value, flag, asked)
            case How.FLOATING:
                dtype = self._put(value, "tensor::dtype", [value])
                is_real = self._put(value, "dtype::is_floating_point", [dtype])
                is_complex = self._put(value, "dtype::is_complex", [dtype])
                carries = self._put(value, "bool::or", [is_real, is_complex])
                return self._both(value, self._any(value, equation), carries)
            case How.ONE if node.kind == "prim::If":
                return self._branches(node, equation)
            case How.ONE:
                (key,) = equation.keys
                if node.kind != "list::getitem":
                    return self._made[key]
                return self._put(value, node.kind, [self._made[key], node.inputs[1]])
        return self._as_value(self._any(value, equation), value)

    def _told(self, call: Node, path: Path) -> Value:
        """What a function that has a tape says of its result."""
        place = call.attributes["active"].index(path)
        flags = Node("prim::TupleIndex", [call.output], [call.output.type.contained[1]],
                     attributes={"index": 1})  # fmt: skip
        told = self._insert(flags, call.output)
        return self._insert(
            Node("prim::TupleIndex", [told], [T.BOOL], attributes={"index": place}), call.output
        )

    def _both(self, value: Value, flag: Flag, other: Value) -> Value:
        """Whether two flags hold, the first of which is not False."""
        return self._put(value, "bool::and", [flag, other]) if isinstance(flag, Value) else other

    def _elements(self, value: Value, equation: Equation) -> Value:
        """The flags of the elements of a list."""
        node = value.node
        if equation.how is How.STORED:
            if node is None or (value, ()) in self.equations.roots:
                return self._call(REQUIRED, value, [value, self._as_value(True, value)])
            return self._call(TO_FLAGS, value, node.inputs)
        assert node is not None
        flags = [self._flag(k) for k in equation.keys]
        if equation.how is How.ONE and node.kind == "prim::ListConstruct":
            return self._put(value, node.kind, [self._as_value(f, value) for f in flags])
        if equation.how is How.ONE:
            (same,) = equation.keys
            return self._made[same]
        flag = self._any(value, equation)
        if equation.how is How.ASKED:
            return self._call(REQUIRED, value, [node.inputs[0], self._as_value(flag, value)])
        return self._repeated(value, flag)

    def _repeated(self, value: Value, flag: Flag) -> Value:
        """The same flag for every element."""
        one = self._put(value, "prim::ListConstruct", [self._as_value(flag, value)])
        return self._put(value, "list::repeat", [one, self._put(value, "list::len", [value])])

    def _any(self, value: Value, equation: Equation) -> Flag:
        """Whether any operand of what made ``value`` counts."""
        flags = [self._flag(k) for k in equation.keys]
        if True in flags:
            return True
        values = [f for f in flags if isinstance(f, Value)]
        if not values:
            return False
        found = values[0]
        if found.type == BOOLS:
            return self._call(ANY, value, [found])
        for other in values[1:]:
            found = self._put(value, "bool::or", [found, other])
        return found

    def _branches(self, node: Node, equation: Equation) -> Value:
        live = [b for b in node.blocks if b.terminator.kind != UNREACHABLE]
        for block, key in zip(live, equation.keys, strict=True):
            block.terminator.add_input(self.constant(self._flag(key), block))
        return node.add_output(T.BOOL)

    def _carried(self, value: Value, path: Path, equation: Equation) -> Value:
        """A further carried value of a loop: the flag of one that it carries."""
        owner = value.node or value.block.owner
        assert owner is not None
        (body,) = owner.blocks
        index = owner.outputs.index(value) if value.node else body.params.index(value) - 1
        start, after = equation.keys
        owner.add_input(self._as_value(self._flag(start), owner))
        self._made[body.params[1 + index], path] = inside = body.add_param(T.BOOL, "flag")
        self._made[owner.outputs[index], path] = behind = owner.add_output(T.BOOL)
        self._open.append((body, len(body.terminator.inputs), after))
        body.terminator.add_input(inside)  # until what the body yields is made
        return behind if value.node else inside

    # ---- placing them

    def _as_value(self, flag: Flag, near: Value | Node) -> Value:
        """The flag as a value: in front of a node, or where the flag of a value is made."""
        if isinstance(flag, Value):
            return flag
        constant = Node("prim::Constant", (), [T.BOOL], attributes={"value": flag})
        if isinstance(near, Value):
            return self._insert(constant, near)
        constant.span = near.span
        return constant.insert_before(near).output

    def _put(
        self,
        value: Value,
        kind: str,
        inputs: Sequence[Value],
        attributes: dict[str, Any] | None = None,
    ) -> Value:
        """A node by which the flag of ``value`` is made."""
        schema = None if kind.startswith("prim::") else schema_of(kind)
        types = _RESULTS.get(kind, T.BOOL)
        return self._insert(
            Node(kind, inputs, [types], attributes=attributes, schema=schema), value
        )

    def _call(self, name: str, value: Value, inputs: Sequence[Value]) -> Value:
        result = T.BOOL if name == ANY else BOOLS
        return self._insert(
            Node("prim::Call", inputs, [result], attributes={"callee": name}), value
        )

    def _insert(self, node: Node, value: Value) -> Value:
        """Put a node right behind the definition of a value, and behind what was put there."""
        definition = value.definition
        place = self._places.get(definition)
        if place is None:
            first = value.block.first if value.node is None else value.node.next
            assert first is not None
            place = self._places[definition] = first
        node.span = place.span if value.node is None else value.node.span
        return node.insert_before(place).output
