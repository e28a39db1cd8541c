"""Graphs: SSA with nested blocks.

Grammar::

    Program  = functions by unique name, class types by qualified name
    Graph    = name, one top block; its params are the function's parameters
    Block    = params, nodes, one terminator
    Node     = kind, inputs, attributes, outputs, nested blocks, span, scope
    Value    = type, definition (a node's output or a block's param), uses

A block ends with a *terminator*, a node of one of the kinds below, whose inputs are the values that
leave the block::

    prim::Yield(values)      to the node that owns the block (results of an If branch;
                             condition and carried values of a Loop body; result of a function)
    prim::Break(values)      out of the innermost Loop with its carried values
    prim::Continue(values)   to the next iteration of the innermost Loop (condition, carried)
    prim::Leave(values)      out of the body of the innermost labelled Try, with its results
    prim::Return(value)      out of the function
    prim::Unreachable()      after a node that always raises

Structured control flow::

    %r... = prim::If(%c: bool)                      two blocks, each yields r... or leaves
    %r... = prim::Loop(%trips: int, %c: bool, %x...)  one block (%i: int, %x...)
    %r... = prim::Try()                             a body, and a handler (%e: Class<BaseException>)

The block of a Loop yields (%c, %x...); it runs while ``i < trips and c``.  The outputs of a Loop
are the last carried values.  Whatever the body of a Try raises ends the body and runs the handler,
which is given the exception; while it runs, the exception is the one being handled (what a bare
``raise`` raises again, the ``__context__`` of new ones).  ``prim::Try[labelled=True]`` is one that
a Leave may end.  A call of another function of the program, by unique name, is
``prim::Call[callee="name"](args...)``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scriptmode.ir.schema import OpSchema
from scriptmode.ir.types import ClassType, EnumType, NamedTupleType, Type
from scriptmode.support.captures import Captures
from scriptmode.support.source import UNKNOWN, Span

YIELD = "prim::Yield"
BREAK = "prim::Break"
CONTINUE = "prim::Continue"
LEAVE = "prim::Leave"
RETURN = "prim::Return"
UNREACHABLE = "prim::Unreachable"
TERMINATORS = frozenset([YIELD, BREAK, CONTINUE, LEAVE, RETURN, UNREACHABLE])


@dataclass(slots=True, unsafe_hash=True)  # not frozen: that would make each much slower to build
class Use:
    """Input number ``index`` of ``node``; never changed."""

    node: Node
    index: int


class Value:
    """An SSA value: output of a node or param of a block."""

    __slots__ = ("_uses", "definition", "name", "type")
    __match_args__ = ("node",)

    def __init__(self, type: Type, definition: Node | Block, name: str = "") -> None:
        self.type = type
        self.definition = definition
        self.name = name  # a hint; the printer makes names unique
        self._uses: dict[tuple[int, int], Use] = {}

    @property
    def node(self) -> Node | None:
        """The defining node; None for a block param."""
        return self.definition if isinstance(self.definition, Node) else None

    @property
    def block(self) -> Block:
        """The block in which this value is defined."""
        if isinstance(self.definition, Block):
            return self.definition
        assert self.definition.block is not None, "value of a detached node"
        return self.definition.block

    @property
    def uses(self) -> list[Use]:
        """All uses, in no particular order that a pass may rely on."""
        return list(self._uses.values())

    @property
    def is_used(self) -> bool:
        """Whether any node takes this value."""
        return bool(self._uses)

    def replace_all_uses_with(self, other: Value) -> None:
        """Make every user take ``other`` instead."""
        for use in self.uses:
            use.node.set_input(use.index, other)

    @property
    def constant(self) -> Any:
        """The Python value when defined by ``prim::Constant``; else raises ValueError."""
        node = self.node
        if node is None or node.kind != "prim::Constant":
            raise ValueError(f"%{self.name} is not a constant")
        return node.attributes["value"]

    @property
    def is_constant(self) -> bool:
        """Whether defined by ``prim::Constant``."""
        return self.node is not None and self.node.kind == "prim::Constant"

    def __repr__(self) -> str:
        return f"%{self.name or id(self)}: {self.type}"


class Node:
    """One operation."""

    __slots__ = (
        "_inputs", "attributes", "block", "blocks", "kind", "next", "outputs", "previous",
        "schema", "scope", "span",
    )  # fmt: skip
    __match_args__ = ("kind", "inputs")

    def __init__(
        self,
        kind: str,
        inputs: Iterable[Value] = (),
        output_types: Iterable[Type] = (),
        *,
        attributes: Mapping[str, Any] | None = None,
        schema: OpSchema | None = None,
        span: Span = UNKNOWN,
        scope: str = "",
    ) -> None:
        self.kind = kind
        self.schema = schema
        self.attributes: dict[str, Any] = dict(attributes or {})
        self.span = span
        self.scope = scope
        self.block: Block | None = None
        self.previous: Node | None = None
        self.next: Node | None = None
        self.blocks: list[Block] = []
        self._inputs: list[Value] = []
        self.outputs: list[Value] = [Value(t, self) for t in output_types]
        for value in inputs:
            self.add_input(value)

    @property
    def inputs(self) -> list[Value]:
        """A copy of the inputs; edit with ``set_input`` and friends."""
        return list(self._inputs)

    @property
    def output(self) -> Value:
        """The only output."""
        (value,) = self.outputs
        return value

    @property
    def is_terminator(self) -> bool:
        """Whether this node ends a block."""
        return self.kind in TERMINATORS

    def add_input(self, value: Value) -> None:
        """Append an input."""
        index = len(self._inputs)
        self._inputs.append(value)
        value._uses[id(self), index] = Use(self, index)

    def set_input(self, index: int, value: Value) -> None:
        """Replace input ``index``."""
        del self._inputs[index]._uses[id(self), index]
        self._inputs[index] = value
        value._uses[id(self), index] = Use(self, index)

    def set_inputs(self, values: Iterable[Value]) -> None:
        """Replace all inputs."""
        values = list(values)
        for index, old in enumerate(self._inputs):
            del old._uses[id(self), index]
        self._inputs = []
        for value in values:
            self.add_input(value)

    def add_output(self, type: Type, name: str = "") -> Value:
        """Append an output."""
        value = Value(type, self, name)
        self.outputs.append(value)
        return value

    def remove_output(self, index: int) -> None:
        """Remove an unused output."""
        assert not self.outputs[index].is_used, "output is used"
        del self.outputs[index]

    def add_block(self) -> Block:
        """Append an empty nested block."""
        block = Block(self)
        self.blocks.append(block)
        return block

    def insert_before(self, anchor: Node) -> Node:
        """Insert this detached node before ``anchor``."""
        assert self.block is None and anchor.block is not None
        self.block = anchor.block
        self.previous, self.next = anchor.previous, anchor
        if anchor.previous is None:
            anchor.block.first = self
        else:
            anchor.previous.next = self
        anchor.previous = self
        return self

    def insert_after(self, anchor: Node) -> Node:
        """Insert this detached node after ``anchor`` (not a terminator)."""
        assert anchor.next is not None, "nothing stands after a terminator"
        return self.insert_before(anchor.next)

    def detach(self) -> None:
        """Take the node out of its block; it keeps its inputs."""
        assert self.block is not None
        if self.previous is None:
            self.block.first = self.next
        else:
            self.previous.next = self.next
        if self.next is None:
            self.block.last = self.previous
        else:
            self.next.previous = self.previous
        self.block = self.previous = self.next = None

    def erase(self) -> None:
        """Delete the node; its outputs must be unused."""
        assert not any(o.is_used for o in self.outputs), f"{self.kind} is used"
        for block in self.blocks:
            block.clear()
        self.set_inputs([])
        if self.block is not None:
            self.detach()

    def replace_with(self, *values: Value) -> None:
        """Make users of the outputs take ``values``, then erase the node."""
        for output, value in zip(self.outputs, values, strict=True):
            output.replace_all_uses_with(value)
        self.erase()

    def __repr__(self) -> str:
        outputs = ", ".join(map(repr, self.outputs))
        inputs = ", ".join(f"%{v.name or id(v)}" for v in self._inputs)
        return f"{outputs} = {self.kind}({inputs})"


class Block:
    """A straight list of nodes with params, ended by a terminator."""

    __slots__ = ("first", "graph", "last", "owner", "params")

    def __init__(self, owner: Node | None, graph: Graph | None = None) -> None:
        self.owner = owner
        self.graph = graph  # set on a graph's top block only
        self.params: list[Value] = []
        self.first: Node | None = None
        self.last: Node | None = None

    @property
    def nodes(self) -> Iterator[Node]:
        """Nodes without the terminator, in order; the current node may be erased meanwhile."""
        node = self.first
        while node is not None and node.kind not in TERMINATORS:
            following = node.next
            yield node
            node = following

    @property
    def reversed_nodes(self) -> Iterator[Node]:
        """Nodes without the terminator, last first."""
        node = self.last
        while node is not None:
            following = node.previous
            if not node.is_terminator:
                yield node
            node = following

    @property
    def terminator(self) -> Node:
        """The node that ends the block."""
        assert self.last is not None and self.last.is_terminator, "block has no terminator"
        return self.last

    @property
    def is_terminated(self) -> bool:
        """Whether the block has its terminator already."""
        return self.last is not None and self.last.is_terminator

    @property
    def returns(self) -> list[Value]:
        """Inputs of the terminator."""
        return self.terminator.inputs

    @property
    def parent(self) -> Block | None:
        """The block around the owning node."""
        return self.owner.block if self.owner is not None else None

    def add_param(self, type: Type, name: str = "") -> Value:
        """Append a param."""
        value = Value(type, self, name)
        self.params.append(value)
        return value

    def append(self, node: Node) -> Node:
        """Append a detached node (before the terminator, if there is one)."""
        assert node.block is None
        if self.is_terminated:
            return node.insert_before(self.terminator)
        node.block = self
        node.previous = self.last
        if self.last is None:
            self.first = node
        else:
            self.last.next = node
        self.last = node
        return node

    def terminate(self, kind: str, values: Iterable[Value], span: Span = UNKNOWN) -> Node:
        """Append the terminator."""
        assert not self.is_terminated, "block is terminated already"
        return self.append(Node(kind, values, span=span))

    def clear(self) -> None:
        """Erase all nodes, last first."""
        if self.is_terminated:
            self.terminator.erase()
        for node in self.reversed_nodes:
            node.erase()


class Graph:
    """One function."""

    def __init__(self, name: str = "forward") -> None:
        self.name = name
        self.block = Block(None, self)
        self.return_type: Type | None = None  # set when the front end is done
        self.defaults: dict[str, Any] = {}  # parameter name -> Python default
        self.kwarg_only: set[str] = set()
        self.span: Span = UNKNOWN
        self.doc: str = ""
        self.is_shared = False  # called in many places: not copied into loops

    @property
    def params(self) -> list[Value]:
        """The function's parameters."""
        return self.block.params

    def add_param(self, type: Type, name: str) -> Value:
        """Append a parameter."""
        return self.block.add_param(type, name)

    @property
    def nodes(self) -> Iterator[Node]:
        """Nodes of the top block."""
        return self.block.nodes

    def walk(self) -> Iterator[Node]:
        """All nodes of all blocks in execution order, terminators included, parents first."""

        pending: list[Node | Block | None] = [self.block]
        while pending:
            last = pending.pop()
            node = last.first if isinstance(last, Block) else last
            while node is not None:
                following = node.next
                yield node
                if node.blocks:
                    pending.append(following)
                    pending += reversed(node.blocks)
                    break
                node = following

    def find_all(self, kind: str) -> list[Node]:
        """All nodes of ``kind`` (with or without its overload name)."""
        prefix = kind + "."
        return [
            n
            for n in self.walk()
            if n.kind == kind or (n.kind.startswith(prefix) and n.kind.find(".") == len(kind))
        ]

    def __str__(self) -> str:
        from_printer = GRAPH_PRINTER
        assert from_printer is not None, "scriptmode.ir.printer is not imported"
        text: str = from_printer(self)
        return text


GRAPH_PRINTER: Any = None  # set by ir.printer, which depends on this module


class Program:
    """All functions and class types that one compiled callable needs.

    ``functions[root]`` is its entry.  ``self_object`` is the Python module behind the root's first
    parameter (None for a plain function); ``globals`` are the captured mutable Python objects that
    ``prim::Global[name=...]`` nodes read; ``captures`` guard the Python values taken as constants.
    ``results`` are the Python objects that entries return which return no value of a type.
    ``known`` are the types of an entry's parameters that have no run-time value, by entry and name.
    """

    def __init__(self, root: str = "forward") -> None:
        self.root = root
        self.functions: dict[str, Graph] = {}
        self.classes: dict[str, ClassType] = {}
        self.enums: dict[str, EnumType] = {}
        self.named_tuples: dict[str, NamedTupleType] = {}
        self.self_object: Any = None
        self.globals: dict[str, Any] = {}
        self.captures = Captures()
        self.known: dict[str, dict[str, Type]] = {}
        self.results: dict[str, Any] = {}

    @property
    def graph(self) -> Graph:
        """The root function's graph."""
        return self.functions[self.root]

    def resolve_type(self, name: str) -> Type | None:
        """The class, enum or named tuple called ``name``."""
        return self.classes.get(name) or self.enums.get(name) or self.named_tuples.get(name)

    def add(self, graph: Graph) -> Graph:
        """Add a function; its name must be new."""
        assert graph.name not in self.functions, f"function {graph.name} exists"
        self.functions[graph.name] = graph
        return graph

    def unique_name(self, name: str) -> str:
        """``name`` or ``name.N``, whichever no function has yet."""
        candidate, number = name, 0
        while candidate in self.functions:
            number += 1
            candidate = f"{name}.{number}"
        return candidate


def callees(graph: Graph) -> list[str]:
    """Names of the functions that the nodes of ``graph`` call, now or later, each once."""
    names = (node.attributes.get("callee") for node in graph.walk())
    return list(dict.fromkeys(name for name in names if name is not None))


def callable_functions(program: Program) -> list[str]:
    """The root function, the methods of the root module and of classes, and all that they call."""
    found = [program.root]
    found += [f for t in program.classes.values() if not t.is_module for f in t.methods.values()]
    if program.graph.params and program.self_object is not None:
        root = program.graph.params[0].type
        assert isinstance(root, ClassType)
        found += [name for name in root.methods.values() if name != program.root]
    for name in found:
        found += [c for c in callees(program.functions[name]) if c not in found]
    return found


def ancestors(block: Block | None) -> Iterator[Block]:
    """``block`` and the blocks around it, innermost first."""
    while block is not None:
        yield block
        block = block.parent


def innermost_loop(block: Block) -> Node | None:
    """The Loop whose body ``block`` is in."""
    for b in ancestors(block):
        if b.owner is not None and b.owner.kind == "prim::Loop":
            return b.owner
    return None


def labelled_try(block: Block) -> Node | None:
    """The labelled Try that a Leave in ``block`` ends."""
    for b in ancestors(block):
        owner = b.owner
        if owner is not None and owner.kind == "prim::Try" and owner.attributes.get("labelled"):
            if owner.blocks[0] is b:
                return owner
    return None


def is_handler(block: Block) -> bool:
    """Whether ``block`` is the handler of a Try."""
    owner = block.owner
    return owner is not None and owner.kind == "prim::Try" and owner.blocks[1] is block


def copy_graph(graph: Graph) -> Graph:
    """A deep copy; types, schemas, attributes' values and spans are shared."""
    copy = Graph(graph.name)
    copy.return_type, copy.span, copy.doc = graph.return_type, graph.span, graph.doc
    copy.defaults, copy.kwarg_only = dict(graph.defaults), set(graph.kwarg_only)
    copy.is_shared = graph.is_shared
    copy_block_into(graph.block, copy.block, {})
    return copy


def copy_block_into(source: Block, target: Block, mapping: dict[Value, Value]) -> None:
    """Copy params, nodes and terminator of ``source`` to the end of ``target``."""
    for param in source.params:
        mapping[param] = target.add_param(param.type, param.name)
    for node in source.nodes:
        target.append(copy_node(node, mapping))
    if source.is_terminated:
        end = source.terminator
        target.terminate(end.kind, [mapping.get(v, v) for v in end.inputs], end.span)


def copy_node(node: Node, mapping: dict[Value, Value]) -> Node:
    """A detached copy of ``node`` with inputs mapped; nested blocks are copied."""
    copy = Node(
        node.kind,
        [mapping.get(v, v) for v in node.inputs],
        attributes=node.attributes,
        schema=node.schema,
        span=node.span,
        scope=node.scope,
    )
    for output in node.outputs:
        mapping[output] = copy.add_output(output.type, output.name)
    for block in node.blocks:
        copy_block_into(block, copy.add_block(), mapping)
    return copy
