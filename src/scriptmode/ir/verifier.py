"""Checks every invariant of a graph.

::

    graph f(%x: Tensor):
      %1: Tensor = aten::relu(%x)
      return (%1)

- *Lists*: nodes, blocks and uses name each other consistently; a block ends with its only
  terminator.
- *Dominance*: an input is defined before, in the same block or one around it.
- *Types*: inputs are subtypes of what the op takes, outputs are what it returns; terminators fit
  the node, the Loop or the function that receives their values.
- *Program*: callees, captured objects and classes exist in it.

``verify`` raises ``InternalError``: a graph that breaks a rule is a defect of the compiler.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from scriptmode.ir import types as T
from scriptmode.ir.builder import Resolver
from scriptmode.ir.graph import (
    BREAK,
    CONTINUE,
    LEAVE,
    RETURN,
    UNREACHABLE,
    YIELD,
    Block,
    Graph,
    Node,
    Program,
    Value,
    innermost_loop,
    labelled_try,
)
from scriptmode.ir.structural_rules import RULES
from scriptmode.support.diagnostics import Diagnostic, InternalError
from scriptmode.support.source import Span

_NAME = re.compile(r"[\w.]+")
_MOST_REPORTED = 5
_MAY_NEVER_COMPLETE = frozenset(
    [
        "prim::raise", "prim::raise_object", "prim::reraise", "prim::Loop", "prim::Call",
        "prim::python_call",
    ]
)  # fmt: skip
Finding = tuple[str, Node | None]


def verify(graph: Graph, program: Program | None, resolve_schema: Resolver) -> None:
    """Raise ``InternalError`` unless every invariant holds; callees need ``program``."""
    found = []
    for message, node in _Verifier(graph, program, resolve_schema).findings():
        notes = (f"in `{node!r}`",) if node is not None else ()
        place = node.span if node is not None else graph.span
        found.append(
            Diagnostic("SM9002", f"invalid IR in {graph.name}: {message}", place, notes=notes)
        )
        if len(found) == _MOST_REPORTED:
            break
    if found:
        raise InternalError(found)


def verify_program(program: Program, resolve_schema: Resolver) -> None:
    """Verify every function of ``program`` and that its names agree."""
    for name, graph in program.functions.items():
        if graph.name != name:
            raise InternalError(Diagnostic("SM9002", f"function {graph.name} is listed as {name}"))
        verify(graph, program, resolve_schema)
    if program.root not in program.functions:
        raise InternalError(Diagnostic("SM9002", f"the program has no root {program.root!r}"))
    for cls in program.classes.values():
        for method, function in cls.methods.items():
            if function not in program.functions:
                message = f"method {method} of {cls} is the missing function {function!r}"
                raise InternalError(Diagnostic("SM9002", message))


class _Verifier:
    def __init__(self, graph: Graph, program: Program | None, resolve: Resolver) -> None:
        self.graph = graph
        self.program = program
        self.resolve = resolve
        self.nodes: set[Node] = set()
        self.defined: list[Value] = []

    def findings(self) -> Iterator[Finding]:
        broken = list(self.lists(self.graph.block))
        yield from broken
        if broken:
            return  # nothing else can be walked safely
        yield from self.signature()
        yield from self.block(self.graph.block, set())
        yield from self.uses()

    # lists

    def lists(self, block: Block) -> Iterator[Finding]:
        """Links between the nodes, blocks and owners."""
        if block.owner is None and block.graph is not self.graph:
            yield "the top block belongs to another graph", None
        previous: Node | None = None
        node = block.first
        while node is not None:
            if node in self.nodes:
                yield "a node stands in two places", node
                return
            self.nodes.add(node)
            if node.block is not block or node.previous is not previous:
                yield "a node's links are inconsistent", node
                return
            for inner in node.blocks:
                if inner.owner is not node:
                    yield "a nested block has another owner", node
                    return
                yield from self.lists(inner)
            if node.is_terminator and node.next is not None:
                yield "a terminator stands in the middle of a block", node
            previous, node = node, node.next
        if block.last is not previous:
            yield "a block's last node is not at its end", previous
        elif previous is None or not previous.is_terminator:
            yield "a block has no terminator", previous or block.owner

    def uses(self) -> Iterator[Finding]:
        for value in self.defined:
            for (key, index), use in value._uses.items():
                node = use.node
                if key != id(node) or use.index != index or node not in self.nodes:
                    yield f"{value!r} lists a use that is not in the graph", value.node
                elif index >= len(node._inputs) or node._inputs[index] is not value:
                    yield f"{value!r} lists a use that does not use it", node

    # the function

    def signature(self) -> Iterator[Finding]:
        graph = self.graph
        names = [p.name for p in graph.params]
        if len(set(names)) < len(names) or not all(map(_NAME.fullmatch, names)):
            yield f"parameter names {names} are not distinct names", None
        for what, named in (("defaults", set(graph.defaults)), ("keyword-only", graph.kwarg_only)):
            if named - set(names):
                yield f"{what} {sorted(named - set(names))} are no parameters", None
        marks = [name in graph.kwarg_only for name in names]
        if marks != sorted(marks):
            yield "a keyword-only parameter precedes a positional one", None
        if graph.return_type is not None:
            yield from self.type(graph.return_type, None)

    def type(self, t: T.Type, node: Node | None) -> Iterator[Finding]:
        for inner in T.walk(t):
            if isinstance(inner, T.TypeVar):
                yield f"{t} has a type variable", node
            elif isinstance(inner, T.ClassType) and self.program is not None:
                if self.program.classes.get(inner.name) is not inner:
                    yield f"{inner} is not the class of that name in the program", node
            elif isinstance(inner, T.EnumType) and self.program is not None:
                if inner.name not in self.program.enums:
                    yield f"{inner} is not in the program", node

    # blocks

    def define(
        self, values: Sequence[Value], by: Node | Block, scope: set[Value], node: Node | None
    ) -> Iterator[Finding]:
        for value in values:
            if value.definition is not by:
                yield f"{value!r} names another definition", node
            if value in scope:
                yield f"{value!r} is defined twice", node
            yield from self.type(value.type, node)
            scope.add(value)
            self.defined.append(value)

    def block(self, block: Block, outer: set[Value]) -> Iterator[Finding]:
        scope = set(outer)
        yield from self.define(block.params, block, scope, block.owner)
        for node in block.nodes:
            yield from self.inputs(node, scope)
            for inner in node.blocks:
                yield from self.block(inner, scope)
            for message in self.node(node):
                yield message, node
            yield from self.define(node.outputs, node, scope, node)
        yield from self.inputs(block.terminator, scope)
        for message in self.terminator(block.terminator, block):
            yield message, block.terminator

    def inputs(self, node: Node, scope: set[Value]) -> Iterator[Finding]:
        if not isinstance(node.span, Span):
            yield "a node has no span", node
        for index, value in enumerate(node._inputs):
            if value not in scope:
                yield f"input {value!r} is not defined here", node
            use = value._uses.get((id(node), index))
            if use is None or use.node is not node:
                yield f"input {value!r} does not list this use", node

    def node(self, node: Node) -> Iterator[str]:
        if node.kind == "prim::If":
            yield from self.if_node(node)
        elif node.kind == "prim::Loop":
            yield from self.loop(node)
        elif node.kind == "prim::Try":
            yield from self.try_node(node)
        elif node.blocks:
            yield "only If, Loop and Try have blocks"
        elif node.kind in RULES:
            yield from RULES[node.kind](node, self.program)
        else:
            yield from self.schema(node)

    def if_node(self, node: Node) -> Iterator[str]:
        if [v.type for v in node.inputs] != [T.BOOL]:
            yield "an If takes one bool"
        if len(node.blocks) != 2 or any(b.params for b in node.blocks):
            yield "an If has two blocks without params"

    def try_node(self, node: Node) -> Iterator[str]:
        if node.inputs:
            yield "a Try has no inputs"
        if len(node.blocks) != 2 or node.blocks[0].params or len(node.blocks[1].params) != 1:
            yield "a Try has a body without params and a handler with one"
        elif not T.is_exception(node.blocks[1].params[0].type):
            yield "the param of a handler is an exception"

    def loop(self, node: Node) -> Iterator[str]:
        if [v.type for v in node.inputs[:2]] != [T.INT, T.BOOL]:
            yield "a Loop takes an int and a bool first"
            return
        initial = node.inputs[2:]
        if len(node.blocks) != 1:
            yield "a Loop has one block"
            return
        index, carried = node.blocks[0].params[:1], node.blocks[0].params[1:]
        if [v.type for v in index] != [T.INT]:
            yield "the first param of a Loop's block is an int"
        yield from _fit("initial values", initial, carried)
        yield from _fit("initial values", initial, node.outputs)

    def schema(self, node: Node) -> Iterator[str]:
        schema = self.resolve(node.kind) if not node.kind.startswith("prim::") else None
        if schema is None:
            yield f"unknown op {node.kind}"
            return
        if node.schema is None or node.schema.text != schema.text:
            yield f"its schema is {node.schema}, not {schema}"
            return
        if node.attributes:
            yield "an op with a schema has no attributes"
        if len(node.inputs) != len(schema.arguments) or len(node.outputs) != len(schema.returns):
            yield f"counts of inputs and outputs are not those of {schema}"
            return
        binding: dict[str, T.Type] = {}
        for argument, value in zip(schema.arguments, node.inputs, strict=True):
            if not T.match_type(argument.type, value.type, binding):
                yield f"argument {argument.name!r} is {value.type}, not {argument.type}"
        for returned, value in zip(schema.returns, node.outputs, strict=True):
            t = T.substitute(returned.type, binding)
            if (
                t not in (value.type, T.ANY)
                and not T.has_type_var(t)
                and not _is_of_class(value.type, t)
            ):
                yield f"its output is {value.type}, not {t}"

    # terminators

    def terminator(self, node: Node, block: Block) -> Iterator[str]:
        if node.outputs or node.blocks or node.attributes:
            yield "a terminator has neither outputs nor blocks nor attributes"
        if node.kind == YIELD:
            yield from self.yielded(node, block)
        elif node.kind == RETURN:
            yield from self.returned(node.inputs)
        elif node.kind == UNREACHABLE:
            if node.inputs:
                yield "Unreachable takes no inputs"
            if node.previous is None or _completes(node.previous):
                yield "Unreachable follows nothing that always leaves"
        elif node.kind == LEAVE:
            target = labelled_try(block)
            if target is None:
                yield "it is in no labelled Try"
            else:
                yield from _fit("values", node.inputs, target.outputs)
        else:
            loop = innermost_loop(block)
            if loop is None:
                yield "it is in no Loop"
            elif node.kind == BREAK:
                yield from _fit("values", node.inputs, loop.outputs)
            elif node.kind == CONTINUE:
                yield from self.next_iteration(node.inputs, loop)

    def yielded(self, node: Node, block: Block) -> Iterator[str]:
        if block.owner is None:
            yield from self.returned(node.inputs)
        elif block.owner.kind == "prim::Loop":
            yield from self.next_iteration(node.inputs, block.owner)
        else:
            yield from _fit("values", node.inputs, block.owner.outputs)

    def returned(self, values: Sequence[Value]) -> Iterator[str]:
        t = self.graph.return_type
        if len(values) != 1:
            yield f"a function returns one value, not {len(values)}"
        elif t is not None and not T.is_subtype(values[0].type, t):
            yield f"it returns {values[0]!r}, the function {t}"

    def next_iteration(self, values: Sequence[Value], loop: Node) -> Iterator[str]:
        if not values or values[0].type != T.BOOL:
            yield "the next iteration of a Loop takes a bool first"
        elif len(loop.blocks) == 1:
            yield from _fit("values", values[1:], loop.blocks[0].params[1:])
            yield from _fit("values", values[1:], loop.outputs)


def _fit(what: str, values: Sequence[Value], places: Sequence[Value]) -> Iterator[str]:
    if len(values) != len(places):
        yield f"{len(values)} {what} for {len(places)}"
        return
    for value, place in zip(values, places, strict=True):
        if not T.is_subtype(value.type, place.type):
            yield f"{what}: {value!r} is not {place.type}"


def _completes(node: Node) -> bool:
    """Whether the place after ``node`` is known to be reached by some path."""
    if node.kind == "prim::Try" and node.attributes.get("labelled"):
        return False  # a Leave may be anywhere inside
    if node.kind in ("prim::If", "prim::Try"):
        return any(b.is_terminated and b.terminator.kind == YIELD for b in node.blocks)
    if any(o.type == T.NEVER for o in node.outputs):
        return False  # an element of an empty container
    return node.kind not in _MAY_NEVER_COMPLETE


def _is_of_class(actual: T.Type, declared: T.Type) -> bool:
    """Whether a dict or set is of a subclass of the declared one, with the same elements."""
    is_container = isinstance(declared, (T.DictType, T.SetType))
    same = actual.contained == declared.contained
    return is_container and isinstance(actual, type(declared)) and same
