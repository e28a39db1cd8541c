"""What a reverse program takes from its forward program, and its cotangents.

``Residuals`` finds for a value of the forward program the value of the reverse program that equals
it: a parameter, a constant made again, or a part of the *frame* of the block that defines it, which
the forward program returns, or yields for a branch, or lists for the iterations of a loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from scriptmode.analysis.alias import result_is_fresh
from scriptmode.autodiff import helpers
from scriptmode.autodiff.activity import Activity
from scriptmode.autodiff.mutation import Versions
from scriptmode.autodiff.paths import Key
from scriptmode.autodiff.problems import NotDifferentiable
from scriptmode.autodiff.recursion import Called
from scriptmode.autodiff.rule import FORM, Operand
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import YIELD, Block, Graph, Node, Value, copy_node
from scriptmode.ir.schema import OpSchema
from scriptmode.ops.aten import schema_of
from scriptmode.support.source import UNKNOWN

MAYBE = T.optional_of(T.TENSOR)
COTANGENTS = T.ListType([MAYBE])  # the cotangent of a list of tensors
ALIASES = ("tuple::as_list", "tuple::from_list")


@dataclass
class Saved:
    """One value of a frame, and why it is kept."""

    value: Value
    reason: str


@dataclass
class Scope:
    """A block of the graph and its place in the reverse program.

    ``reads`` are the values of the reverse program that stand for values of this block; they are
    put in front of ``anchor``, where ``frame`` is known.
    """

    block: Block
    parent: Scope | None
    frame: Value
    anchor: Node
    saved: list[Saved] = field(default_factory=list)
    reads: dict[Value, Value] = field(default_factory=dict)
    lists: dict[Value, Value] = field(default_factory=dict)


class Cotangents:
    """Cotangents by value and path within one block of the reverse program.

    A cotangent has two parts: ``of`` holds what other values may share, ``sums`` what nothing else
    holds, so that it is added to in place.  ``enter`` gives the sum, as it is outside of the block,
    of a value of a block around.
    """

    def __init__(
        self, block: Block | None = None, enter: Callable[[Key], Value | None] | None = None
    ) -> None:
        self.of: dict[Key, Value] = {}
        self.sums: dict[Key, Value] = {}
        self.block = block
        self._enter = enter

    def add(self, emitter: Residuals, key: Key, cotangent: Value) -> None:
        """Add a contribution."""
        before = self.of.get(key)
        self.of[key] = cotangent if before is None else emitter.accumulate(before, cotangent)

    def take(self, emitter: Residuals, key: Key) -> Value | None:
        """The whole cotangent, which is then gone."""
        shared, own = self.of.pop(key, None), self.sums.pop(key, None)
        if shared is None or own is None:
            return own if shared is None else shared
        return emitter.accumulate(own, shared)

    def take_own(self, emitter: Residuals, key: Key) -> Value | None:
        """The same as a tensor that nothing else holds."""
        shared, own = self.of.pop(key, None), self.sums.pop(key, None)
        return own if shared is None else self._add_into(emitter, own, shared)

    def add_own(self, emitter: Residuals, key: Key, cotangent: Value) -> None:
        """Add a contribution that nothing else holds."""
        before = self.sum_of(key)
        self.sums[key] = cotangent if before is None else emitter.add_into(before, cotangent, False)

    def to_sum(self, emitter: Residuals, key: Key) -> None:
        """Make the whole cotangent a sum."""
        shared = self.of.pop(key, None)
        if shared is not None:
            self.sums[key] = self._add_into(emitter, self.sum_of(key), shared)

    def _add_into(self, emitter: Residuals, own: Value | None, part: Value) -> Value:
        is_shared = part in self.of.values() or part.block is not emitter.builder.block
        return emitter.add_into(own, part, not is_shared and _is_new(part))

    def sum_of(self, key: Key) -> Value | None:
        """The sum so far; None if there is none yet."""
        if key not in self.sums and self._enter is not None and key[0].block is not self.block:
            found = self._enter(key)
            if found is not None:
                self.sums[key] = found
        return self.sums.get(key)


class Residuals:
    """The reverse graph under construction, and what it needs of the forward graph."""

    def __init__(
        self,
        graph: Graph,
        roots: Sequence[Key],
        versions: Versions,
        functions: Mapping[str, Called] | None = None,
        given: Sequence[bool] | None = None,
    ) -> None:
        self.given = given  # which outputs have a cotangent
        self.is_pure = given is not None  # it writes none: it is differentiated again
        self.versions = versions
        self.functions = functions or {}
        self.tapes: dict[str, Value] = {}  # of the reverse program, by function
        self.current: Node | None = None  # the node whose reverse is emitted
        self.users: dict[Value, list[Node]] = {}  # by kept value: the nodes whose reverse reads it
        self._copies: dict[Node, Value] = {}
        self.graph = graph
        self.roots = list(roots)
        self.activity = Activity(graph, roots)
        self.reverse = Graph(f"{graph.name}.reverse")
        self.builder = Builder(self.reverse.block, schema_of)
        self.inputs: dict[Value, Value] = {}  # what the reverse graph takes, by value of the graph
        self.metadata: dict[tuple[Value, str], Value] = {}
        self.scope: Scope
        self.saved: list[tuple[str, Saved]] = []

    def frame_of(self, builder: Builder, scope: Scope, where: str) -> Value:
        self.saved += [(where, saved) for saved in scope.saved]
        return builder.tuple([saved.value for saved in scope.saved])

    def mark(self) -> Node:
        """A place in the reverse program: a node that is removed in the end."""
        return self.builder.node("prim::Constant", (), [T.NONE], value=None)

    # ---- values of the forward program ----

    def need(self, value: Value, reason: str) -> Value:
        """The value of the reverse program that equals ``value``."""
        if self.current is not None:
            self.users.setdefault(value, []).append(self.current)
        if value.node is not None and self._is_remade(value.node):
            return self._remake(value.node, reason)
        scope: Scope | None = self.scope
        while scope is not None and scope.block is not value.block:
            scope = scope.parent
        assert scope is not None, f"{value!r} is of no block around"
        found = scope.reads.get(value)
        if found is None:
            is_input = scope.parent is None and self.is_input(value)
            found = self._input(value) if is_input else self.keep(scope, value, reason)
            scope.reads[value] = found
        return found

    def is_input(self, value: Value) -> bool:
        """Whether the reverse program takes a value of the outermost block as a parameter."""
        return value.definition is self.graph.block or _is_module_tensor(value)

    def _input(self, value: Value) -> Value:
        found = self.reverse.add_param(value.type, f"{value.name or 'x'}.{len(self.inputs)}")
        self.inputs[value] = found
        return found

    def keep(self, scope: Scope, value: Value, reason: str) -> Value:
        """Make a value of the forward program part of the scope's frame; its reading."""
        index = len(scope.saved)
        scope.saved.append(Saved(value, reason))
        node = Node("prim::TupleIndex", [scope.frame], [value.type], attributes={"index": index},
                    span=self.builder.span)  # fmt: skip
        return node.insert_before(scope.anchor).output

    def _is_remade(self, node: Node) -> bool:
        """Whether a value costs nothing to make again."""
        if node.kind == "prim::Constant":
            return True
        return (
            node.kind == "prim::ListConstruct"
            and node.output.type != T.ListType([T.TENSOR])
            and all(v.node is not None and v.node.kind == "prim::Constant" for v in node.inputs)
            and not any(_is_written(use.node, node.output) for use in node.output.uses)
        )

    def _remake(self, node: Node, reason: str) -> Value:
        mapping = {v: self.need(v, reason) for v in node.inputs}
        copy = copy_node(node, mapping)
        self.builder.block.append(copy)
        return copy.output

    def need_operand(self, node: Node, operand: Operand, needed: Sequence[bool]) -> Value:
        """An operand of a rule for ``node``, other than a cotangent."""
        if operand.role == "needed":
            flags = [self.builder.constant(bool(flag)) for flag in needed]
            return self.builder.list(flags, T.BOOL)
        values = node.inputs if operand.role == "argument" else node.outputs
        value = values[operand.index]
        is_written = node in self.versions.nodes and operand.index == 0
        if operand.role == "argument" and is_written and not operand.metadata:
            value = self._before_write(node, value)
        if not operand.metadata or T.unwrap_optional(value.type) != T.TENSOR:
            return self.need(value, f"{operand.role} {operand.index} of {node.kind}")
        if operand.metadata == FORM:
            return self.need(self._form_of(node, value), f"form for {node.kind}")
        what = operand.metadata.removeprefix("tensor::")
        return self.need(self.metadata_of(value, operand.metadata), f"{what} for {node.kind}")

    def _before_write(self, node: Node, value: Value) -> Value:
        """What an op writes, as it was before: a copy."""
        found = self._copies.get(node)
        if found is None:
            schema = _schema("aten::clone")
            holder = Block(None)
            nothing = Builder(holder, schema_of).constant(None)
            made = holder.first
            assert made is not None
            made.detach()
            made.insert_before(node)
            copy = Node("aten::clone", [value, nothing], [T.TENSOR], schema=schema, span=node.span)
            found = self._copies[node] = copy.insert_before(node).output
        return found

    def metadata_of(self, value: Value, kind: str) -> Value:
        """The shape, dtype or length of a value, read in the forward program."""
        found = self.metadata.get((value, kind))
        if found is None:
            found = self.metadata[value, kind] = self._read_metadata(value, kind)
        return found

    def _form_of(self, node: Node, value: Value) -> Value:
        """Shape and dtype of an operand, None where they are those of the result."""
        kind, form = "tensor::same_form", T.TupleType([T.SIZE, T.DTYPE])
        holder = Block(None)
        builder = Builder(holder, schema_of)
        builder.span = node.span
        branch = builder.if_node(builder.op(kind, value, node.output))
        with builder.at(branch.blocks[0]) as block:
            block.terminate(YIELD, [builder.constant(None, T.optional_of(form))], node.span)
        with builder.at(branch.blocks[1]) as block:
            shape, dtype = builder.op("tensor::shape", value), builder.op("tensor::dtype", value)
            block.terminate(YIELD, [builder.tuple([shape, dtype])], node.span)
        found = branch.add_output(T.optional_of(form))
        for made in reversed(list(holder.nodes)):
            made.detach()
            made.insert_after(node)
        return found

    def _read_metadata(self, value: Value, kind: str) -> Value:
        if T.is_optional(value.type):
            place = value.node.span if value.node is not None else UNKNOWN
            raise NotDifferentiable(f"the shape of `{value.name}`, which may be None", place)
        schema = schema_of(kind)
        assert schema is not None
        node = Node(kind, [value], [r.type for r in schema.returns], schema=schema)
        if value.node is not None:
            node.span = value.node.span
            node.insert_after(value.node)
        else:
            block = value.block
            assert block.first is not None
            node.insert_before(block.first)
        return node.output

    # ---- cotangents ----

    def optional(self, value: Value | None) -> Value:
        if value is None:
            return self.builder.constant(None, MAYBE)
        return value

    def accumulate(self, a: Value, b: Value) -> Value:
        """The sum of two cotangents."""
        if a.type == T.TENSOR and b.type == T.TENSOR:
            return self.builder.call_schema(
                _schema("aten::add.Tensor"), [a, b, self.builder.constant(1)]
            ).output
        return self.splice(helpers.accumulate_graph(a.type, b.type), [a, b])

    def add_into(self, own: Value | None, part: Value, is_new: bool) -> Value:
        """The sum of a cotangent that nothing else holds, which is written, and another one."""
        if self.is_pure:
            return part if own is None else self.accumulate(own, part)
        if own is None:
            own = self.builder.constant(None, MAYBE)
        graph = helpers.add_into_graph(own.type, part.type, is_new)
        return self.splice(graph, [own, part])

    def splice(self, body: Graph, inputs: Sequence[Value]) -> Value:
        """The result of a graph's body on these values, in place."""
        mapping: dict[Value, Value] = dict(zip(body.params, inputs, strict=True))
        for node in body.nodes:
            copy = copy_node(node, mapping)
            _locate(copy, self.builder)
            self.builder.block.append(copy)
        (result,) = body.block.returns
        return mapping.get(result, result)

    def list_cotangent(self, value: Value) -> Value:
        """The list of cotangents of a list of tensors, in the block where the list was made."""
        value = root_list(value)
        scope: Scope | None = self.scope
        while scope is not None and scope.block is not value.block:
            scope = scope.parent
        assert scope is not None
        found = scope.lists.get(value)
        if found is None:
            length = self.need_in(scope, self.metadata_of(value, "list::len"), "length of a list")
            block, span = self.builder.block, self.builder.span
            before: list[Node] = []
            holder = Block(None)
            self.builder.block = holder
            nothing = self.builder.list([self.builder.constant(None, MAYBE)], MAYBE)
            found = self.builder.op("list::repeat", nothing, length)
            self.builder.block, self.builder.span = block, span
            node = holder.first
            while node is not None:
                before.append(node)
                node = node.next
            for node in before:
                node.detach()
                node.insert_before(scope.anchor)
            scope.lists[value] = found
        return found

    def need_in(self, scope: Scope, value: Value, reason: str) -> Value:
        """``need``, as seen from ``scope``."""
        saved, self.scope = self.scope, scope
        try:
            return self.need(value, reason)
        finally:
            self.scope = saved


def _is_new(part: Value) -> bool:
    """Whether a cotangent is a new tensor that has no other use yet."""
    node = part.node
    if node is None or node.schema is None or part.uses:
        return False
    return result_is_fresh(node) and not node.schema.is_view and not node.schema.is_mutable


def _locate(node: Node, builder: Builder) -> None:
    """Say that a node of a rule belongs to the node that is differentiated."""
    node.span = builder.span
    for block in node.blocks:
        for inner in block.nodes:
            _locate(inner, builder)
        block.terminator.span = builder.span


def _schema(kind: str) -> OpSchema:
    found = schema_of(kind)
    assert found is not None
    return found


def root_list(value: Value) -> Value:
    """The list behind casts between lists and tuples of any length."""
    while value.node is not None and value.node.kind in ALIASES:
        value = value.node.inputs[0]
    return value


def _is_module_tensor(value: Value) -> bool:
    node = value.node
    is_tensor = T.unwrap_optional(value.type) == T.TENSOR
    return is_tensor and node is not None and node.kind == "prim::GetAttr"


def _is_written(user: Node, value: Value) -> bool:
    schema = user.schema
    if schema is None:
        return False
    return any(
        v is value and a.alias is not None and a.alias.is_write
        for a, v in zip(schema.arguments, user.inputs, strict=False)
    )
