"""Containers and objects that a program gets or returns, in programs that are differentiated.

Inside, tensors in containers stand beside cells for their cotangents (see dual).  A parameter that
holds tensors in containers or objects is taken apart, and a structure of the program's own is made
of it, whose cells are those of a flat list::

    graph f(%d: Dict[str, Tensor]):               %x: Tensor[] = prim::Call[flat](%d)
                                       becomes    %duals = prim::Call[autodiff.duals](%x)
                                                  %own = prim::Call[fill](%d, %duals)

The flat list is what is differentiated by.  A result is returned as it is, with its cells, which
whoever called takes out; ``cells`` lists them for the reverse program, whose cotangents come in the
same order: elements, values of dicts and attributes in turn, what is inside of two others twice.

``Structures`` makes these functions, by recursion over the type, for one program.
"""

from __future__ import annotations

from collections.abc import Iterator

from scriptmode.autodiff.dual import (
    CELL,
    CELLS,
    DUALS,
    TENSORS,
    holds,
    inside,
    outside,
    touches,
)
from scriptmode.autodiff.paths import IN_CONTAINERS, Key, Path
from scriptmode.autodiff.problems import NotDifferentiable
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import YIELD, Graph, Node, Value
from scriptmode.ops.aten import schema_of
from scriptmode.support.source import Span

FLAT, FILL, CELLS_OF = (f"autodiff.{name}." for name in ("flat", "fill", "cells"))
_MOST_TRIPS = 2**63 - 1
_LISTS = (T.ListType, T.VarTupleType)
_KNOWN = (*_LISTS, T.DictType, T.TupleType, T.NamedTupleType, T.OptionalType, T.ClassType)


def is_structural(call: Node) -> bool:
    """Whether a node calls one of these functions."""
    return str(call.attributes.get("callee")).startswith((FLAT, FILL, CELLS_OF))


def flat_of(param: Value) -> Value | None:
    """The list of the tensors in the containers of a parameter."""
    calls = [use.node for use in param.uses]
    found = [n.output for n in calls if str(n.attributes.get("callee")).startswith(FLAT)]
    return found[0] if found else None


def is_flat(value: Value) -> bool:
    """Whether a value is the list of the tensors in the containers of a parameter."""
    node = value.node
    return node is not None and str(node.attributes.get("callee")).startswith(FLAT)


def cell_lists(graph: Graph) -> list[Node]:
    """The calls that list the cells of the parts of the result; ``path`` says of which."""
    calls = graph.find_all("prim::Call")
    return [call for call in calls if str(call.attributes["callee"]).startswith(CELLS_OF)]


def root_of(param: Value, path: Path) -> Key:
    """The value, and the path in it, that stand for a part of a parameter."""
    if path != IN_CONTAINERS:
        return param, path
    flat = flat_of(param)
    assert flat is not None, "what holds tensors is taken apart"
    return flat, ()


def containers(t: T.Type) -> set[T.Type]:
    """The containers and classes in ``t`` that hold tensors, in attributes too."""
    found: set[T.Type] = set()
    pending = [t]
    while pending:
        for part in T.walk(pending.pop()):
            if part in found or not holds(part) or isinstance(part, (T.TupleType, T.OptionalType)):
                continue
            found.add(part)
            if isinstance(part, T.ClassType):
                pending += part.attributes.values()
    return found


def may_be_ring(t: T.Type) -> bool:
    """Whether an object in a value of this type may lead to itself."""
    return any(
        c in containers(slot)
        for c in containers(t)
        if isinstance(c, T.ClassType)
        for slot in c.attributes.values()
    )


def check_known(t: T.Type, span: Span) -> None:
    """Raise NotDifferentiable for what cannot be taken apart."""
    for part in {*containers(t), *(p for p in T.walk(t) if holds(p))}:
        if type(part) not in _KNOWN or (isinstance(part, T.DictType) and touches(part.key)):
            raise NotDifferentiable(f"a value of type {part} from or to the caller", span)


class Structures:
    """The functions that take structures apart and make them."""

    def __init__(self) -> None:
        self.graphs: list[Graph] = []
        self.result: T.Type | None = None  # of the program, in plain types, if it has cells
        self.returned: list[int] = []  # parameters behind the result in it: what they have become
        self._names: dict[tuple[str, T.Type], str] = {}

    def flat(self, builder: Builder, value: Value) -> Value:
        """The tensors in the containers of a plain value."""
        return builder.call(self._entry(FLAT, value.type), [value], TENSORS)

    def fill(self, builder: Builder, value: Value, duals: Value) -> Value:
        """A structure like a plain one, of ``duals``; its plain type, which dualize changes."""
        return builder.call(self._entry(FILL, value.type), [value, duals], value.type)

    def cells(self, builder: Builder, value: Value, plain: T.Type) -> Value:
        """The cells in the containers of a value of the program."""
        return builder.call(self._entry(CELLS_OF, plain), [value], CELLS)

    # ---- functions

    def _entry(self, what: str, t: T.Type) -> str:
        """The function that takes or makes a whole structure: it goes through it in order."""
        name, graph = self._new(f"{what}all.", t)
        if graph is None:
            return name
        builder = Builder(graph.block, schema_of)
        source = graph.add_param(outside(t) if what is CELLS_OF else t, "value")
        if what is FILL:
            duals = graph.add_param(DUALS, "duals")
            rest = builder.op("list::copy", duals)
            builder.op_node("list::reverse", [rest])
            result = self._filled(builder, source, t, rest, False)
        else:
            element = CELL if what is CELLS_OF else T.TENSOR
            result = builder.list([], element)
            self._visit(what, builder, source, t, result, False)
        return self._finished(graph, builder, result)

    def _new(self, what: str, t: T.Type) -> tuple[str, Graph | None]:
        """The name of a function, and an empty graph if there is none yet."""
        known = self._names.get((what, t))
        if known is not None:
            return known, None
        name = self._names[what, t] = f"{what}{len(self._names)}"
        graph = Graph(name)
        self.graphs.append(graph)
        return name, graph

    def _finished(self, graph: Graph, builder: Builder, result: Value) -> str:
        graph.return_type = result.type
        builder.block.terminate(YIELD, [result])
        return graph.name

    # ---- taking apart

    def _visit(
        self, what: str, builder: Builder, value: Value, t: T.Type, into: Value, within: bool
    ) -> None:
        """Append the tensors, or cells, in ``value``, of plain type ``t``, in order.

        ``within``: inside of a container, where tensors count.
        """
        if not (touches(t) if within else holds(t)):
            return
        if t == T.TENSOR:
            found = builder.tuple_index(value, 1) if what is CELLS_OF else value
            builder.op_node("list::append", [into, found])
        elif isinstance(t, T.TupleType):
            for index, element in enumerate(t.elements):
                self._visit(what, builder, builder.tuple_index(value, index), element, into, within)
        elif isinstance(t, T.OptionalType):
            is_none = builder.node("prim::is_none", [value], [T.BOOL]).output
            branch = builder.if_node(is_none)
            branch.blocks[0].terminate(YIELD, [], builder.span)
            with builder.at(branch.blocks[1]) as block:
                assert isinstance(value.type, T.OptionalType)
                inner = builder.cast(value, value.type.element)
                self._visit(what, builder, inner, t.element, into, within)
                block.terminate(YIELD, [], builder.span)
        else:
            builder.call(self._visitor(what, t), [value, into], T.NONE)

    def _visitor(self, what: str, t: T.Type) -> str:
        """The function that appends what is in a container or object."""
        name, graph = self._new(what, t)
        if graph is None:
            return name
        is_cells = what is CELLS_OF
        source = graph.add_param(inside(t) if is_cells else t, "value")
        into = graph.add_param(CELLS if is_cells else TENSORS, "into")
        builder = Builder(graph.block, schema_of)
        if isinstance(t, T.ClassType):
            for attribute, slot in t.attributes.items():
                if touches(slot):
                    got = inside(slot) if is_cells else slot
                    found = self._attribute(builder, source, attribute, got)
                    self._visit(what, builder, found, slot, into, True)
        else:
            element = t.value if isinstance(t, T.DictType) else t.contained[0]
            for inner, item, _ in self._items(builder, source, t):
                self._visit(what, inner, item, element, into, True)
        return self._finished(graph, builder, builder.constant(None))

    # ---- making

    def _filled(
        self, builder: Builder, value: Value, t: T.Type, rest: Value, within: bool
    ) -> Value:
        """A structure like ``value``, of plain type ``t``, whose duals are the last of ``rest``."""
        if not (touches(t) if within else holds(t)):
            return value
        if t == T.TENSOR:
            return builder.op("list::pop", rest, builder.constant(-1))
        if isinstance(t, T.TupleType):
            parts = [
                self._filled(builder, builder.tuple_index(value, index), element, rest, within)
                for index, element in enumerate(t.elements)
            ]
            made = inside(t) if within else outside(t)
            assert isinstance(made, T.TupleType)
            return builder.tuple(parts, made)
        if isinstance(t, T.OptionalType):
            made = inside(t) if within else outside(t)
            branch = builder.if_node(builder.node("prim::is_none", [value], [T.BOOL]).output)
            with builder.at(branch.blocks[0]) as block:
                block.terminate(YIELD, [builder.constant(None, made)], builder.span)
            with builder.at(branch.blocks[1]) as block:
                plain = builder.cast(value, t.element)
                found = self._filled(builder, plain, t.element, rest, within)
                block.terminate(YIELD, [found], builder.span)
            return branch.add_output(made)
        return builder.call(self._filler(t), [value, rest], inside(t))

    def _filler(self, t: T.Type) -> str:
        name, graph = self._new(FILL, t)
        if graph is None:
            return name
        source, rest = graph.add_param(t, "value"), graph.add_param(DUALS, "rest")
        builder = Builder(graph.block, schema_of)
        if isinstance(t, T.ClassType):
            made = builder.node("prim::CreateObject", (), [inside(t)]).output
            for attribute, slot in t.attributes.items():
                found = self._attribute(builder, source, attribute, slot)
                given = self._filled(builder, found, slot, rest, True)
                builder.node("prim::SetAttr", [made, given], (), name=attribute)
            return self._finished(graph, builder, made)
        if isinstance(t, T.DictType):
            made = builder.node("prim::DictConstruct", (), [inside(t)]).output
            for inner, item, key in self._items(builder, source, t):
                found = self._filled(inner, item, t.value, rest, True)
                inner.op_node("dict::setitem", [made, key, found])
            return self._finished(graph, builder, made)
        made = builder.list([], inside(t.contained[0]))
        for inner, item, _ in self._items(builder, source, t):
            found = self._filled(inner, item, t.contained[0], rest, True)
            inner.op_node("list::append", [made, found])
        if isinstance(t, T.VarTupleType):
            schema = schema_of("tuple::from_list")
            made = builder.node("tuple::from_list", [made], [inside(t)], schema=schema).output
        return self._finished(graph, builder, made)

    # ---- parts

    def _attribute(self, builder: Builder, value: Value, name: str, t: T.Type) -> Value:
        return builder.node("prim::GetAttr", [value], [t], name=name).output

    def _items(
        self, builder: Builder, value: Value, t: T.Type
    ) -> Iterator[tuple[Builder, Value, Value]]:
        """Once: a builder in the body of a loop over a container, its element, index or key."""
        true = builder.constant(True)
        if isinstance(t, T.DictType):
            keys = builder.op("dict::iter_keys", value)
            first = builder.op("iterator::advance", keys)
            loop = builder.node("prim::Loop", [builder.constant(_MOST_TRIPS), first])
            body = loop.add_block()
            body.add_param(T.INT, "i")
            inner = Builder(body, schema_of)
            key = inner.op("iterator::current", keys)
            yield inner, inner.op("dict::getitem", value, key), key
            more = inner.op("iterator::advance", keys)
        else:
            if isinstance(t, T.VarTupleType):
                listed = T.ListType(value.type.contained)
                schema = schema_of("tuple::as_list")
                value = builder.node("tuple::as_list", [value], [listed], schema=schema).output
            loop = builder.node("prim::Loop", [builder.op("list::len", value), true])
            body = loop.add_block()
            index = body.add_param(T.INT, "i")
            inner = Builder(body, schema_of)
            yield inner, inner.op("list::getitem", value, index), index
            more = inner.constant(True)
        inner.block.terminate(YIELD, [more])
