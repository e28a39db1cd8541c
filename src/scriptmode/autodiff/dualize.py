"""Rewrite containers of tensors that change into containers of tensors beside cells (see dual).

``dualize(graph, structures)`` rewrites the graph.  Lists of tensors that are only made by one op
and read by others stay as they are.  What the caller gives and gets is taken apart by functions of
``structures``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from scriptmode.autodiff.dual import (
    CELL,
    CONTAINERS,
    DUAL,
    DUALS,
    INDICES,
    MAYBE,
    TENSORS,
    TO_DUALS,
    TO_TENSORS,
    holds,
    inside,
    is_shadow,
    outside,
    touches,
)
from scriptmode.autodiff.mutation import nodes_in, values_in
from scriptmode.autodiff.paths import result_parts, tensor_paths
from scriptmode.autodiff.problems import NotDifferentiable
from scriptmode.autodiff.recorded import is_pulled
from scriptmode.autodiff.structures import (
    Structures,
    check_known,
    containers,
    is_structural,
    may_be_ring,
)
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import YIELD, Block, Graph, Node, Value
from scriptmode.ops.aten import schema_of

_COMPARING = ("eq", "lt", "le", "contains", "contains_any", "index", "count", "remove", "sort")
_OBJECTS = ("prim::CreateObject", "prim::SetAttr", "prim::GetAttr")
_STRUCTURAL = frozenset(
    [
        "prim::If",
        "prim::Loop",
        "prim::TupleConstruct",
        "prim::TupleIndex",
        "prim::unchecked_cast",
        "prim::checked_cast",
        "prim::is_none",
        "prim::Constant",
        "prim::ListConstruct",
        "prim::DictConstruct",
        "prim::VarTupleConstruct",
        "tuple::as_list",
        "tuple::from_list",
        "prim::is",
        "prim::CellConstruct",
        "prim::CellGet",
        "prim::CellRead",
        "prim::CellSet",
        "prim::CellDelete",
        "prim::CellIsBound",
    ]
)


def dualize(
    graph: Graph, structures: Structures, called: Mapping[str, Graph], is_called: bool = False
) -> bool:
    """Return whether the graph changed; raises NotDifferentiable.

    Functions that stay functions, ``called``, get and give containers as they are in the program.
    """
    static = _static_lists(graph)
    changing = {v for v in values_in(graph.block) if holds(v.type) and v not in static}
    changing -= set(graph.params)
    given = [p for p in graph.params if holds(p.type)]
    if not changing and not given:
        return False
    if is_called:
        changing.update(given)
        given = []
    returned = _returned([graph, *called.values()], given)
    made = {param: _take(graph, param, structures) for param in given}
    changing.update(value for values in made.values() for value in values)
    nodes = list(nodes_in(graph.block))
    before = {v: v.type for v in changing}
    for value in changing:
        value.type = outside(value.type)
    for node in nodes:
        if any(v in before for v in (*node.inputs, *node.outputs)):
            _rewrite(node, before, called)
    if is_called:
        assert graph.return_type is not None
        graph.return_type = outside(graph.return_type)
        return True
    own = {graph.params.index(param): made[param][-1] for param in returned}
    _end(graph, before, structures, own)
    return True


def _take(graph: Graph, param: Value, structures: Structures) -> list[Value]:
    """Let the graph work on a structure of its own instead of one that it is given: the last."""
    check_known(param.type, graph.span)
    first = graph.block.first
    assert first is not None
    uses = param.uses
    builder = Builder(Block(None), schema_of)
    builder.span = first.span
    flat = param if param.type == TENSORS else structures.flat(builder, param)
    own = [builder.call(TO_DUALS, [flat], TENSORS)]
    if flat is not param:
        own.append(structures.fill(builder, param, own[0]))
    for use in uses:
        use.node.set_input(use.index, own[-1])
    _insert(builder.block, first)
    return own


def _returned(graphs: Sequence[Graph], given: Sequence[Value]) -> list[Value]:
    """The parameters of the first graph that the caller must see as they are in the end.

    These are all, if a container of the caller's may be written, by others too, or returned.
    """
    graph = graphs[0]
    known = {t for param in given for t in containers(param.type)}
    met = containers(graph.return_type or graph.block.returns[0].type) & known
    for node in (node for each in graphs for node in nodes_in(each.block)):
        for value in _written_by(node):
            met |= {value.type} & known
    met = {t for t in met if not isinstance(t, T.VarTupleType)}
    if not met:
        return []
    for param in given:
        if containers(param.type) != {param.type}:
            what = f"{sorted(map(str, met))[0]} that may be in another container of the caller's"
            raise NotDifferentiable(f"a write or result of {what}", graph.span)
    return [param for param in given if not isinstance(param.type, T.VarTupleType)]


def _written_by(node: Node) -> Iterator[Value]:
    """The containers and objects that a node writes and that may be the caller's."""
    if node.kind in ("prim::SetAttr", "prim::DelAttr"):
        if holds(node.inputs[0].type) and not _is_own(node.inputs[0]):
            yield node.inputs[0]
    if node.schema is None or node.schema.namespace not in ("list", "dict", "deque"):
        return
    for argument, value in zip(node.schema.arguments, node.inputs, strict=True):
        is_written = argument.alias is not None and argument.alias.is_write
        if is_written and holds(value.type) and not _is_own(value):
            yield value


def _is_own(value: Value) -> bool:
    return value.node is not None and value.node.kind in (
        "prim::ListConstruct", "prim::DictConstruct", "list::copy", "list::slice", "list::concat",
        "list::repeat", "prim::CreateObject",
    )  # fmt: skip


def _static_lists(graph: Graph) -> set[Value]:
    """Lists that one op makes and others read, in no loop, branch or container."""
    found = set()
    for value in values_in(graph.block):
        if value.type in (TENSORS, INDICES, T.VarTupleType([T.TENSOR])) and value.node is not None:
            found.add(value)
    again = True
    while again:
        again = False
        for value in list(found):
            if not _is_static(value, found):
                found.discard(value)
                again = True
    return found


def _is_static(value: Value, static: set[Value]) -> bool:
    node = value.node
    if node is None or node.blocks:
        return False
    if node.kind in ("tuple::as_list", "tuple::from_list"):
        if node.inputs[0] not in static:
            return False
    elif node.kind != "prim::ListConstruct" and not _is_torch(node):
        return False
    for use in value.uses:
        user = use.node
        if user.kind in ("tuple::as_list", "tuple::from_list"):
            if user.output not in static:
                return False
        elif user.kind in ("list::getitem", "list::len"):
            continue
        elif not _is_torch(user):
            return False
    return True


def _is_torch(node: Node) -> bool:
    """Whether a node is an op of torch, or the pull-back of one."""
    return node.kind.startswith("aten::") or is_pulled(node)


def _rewrite(node: Node, before: dict[Value, T.Type], called: Mapping[str, Graph]) -> None:
    """Make a node work on the containers as they are now."""
    if _is_torch(node):
        _rewrite_aten(node, before)
        return
    if node.kind in ("prim::If", "prim::Loop", "prim::is_none", "prim::is", "prim::Constant"):
        return
    if node.attributes.get("callee") == TO_DUALS or is_structural(node):
        return
    if node.attributes.get("callee") in called:
        return
    if node.kind in ("prim::TupleConstruct", "prim::TupleIndex"):
        for output in node.outputs:
            if output not in before and holds(output.type):
                raise NotDifferentiable(f"a value of type {output.type}", node.span)
        return
    namespace, _, name = node.kind.partition("::")
    is_known = node.kind in _STRUCTURAL or namespace in (
        "list",
        "dict",
        "deque",
        "tuple",
        "iterator",
    )
    if node.kind in _OBJECTS:
        owner = node.inputs[0] if node.inputs else node.output
        is_known = is_shadow(T.unwrap_optional(owner.type))
    if not is_known or name.partition(".")[0] in _COMPARING:
        raise NotDifferentiable(f"{node.kind} of a container of tensors", node.span)
    for index, value in enumerate(node.inputs):
        plain = before.get(value, value.type)
        if touches(plain) and value.type != inside(plain):
            builder = Builder(Block(None), schema_of)
            builder.span = node.span
            stored = _inward(builder, value, plain)
            _insert(builder.block, node)
            node.set_input(index, stored)
    for output in node.outputs:
        plain = before.get(output, output.type)
        if touches(plain) and outside(plain) != inside(plain):
            taken = _take_out(node, output, plain)
            if holds(plain):
                before[taken] = plain


def _take_out(node: Node, output: Value, plain: T.Type) -> Value:
    """Let users of an element get the plain tensors in it."""
    output.type = inside(plain)
    uses = output.uses
    builder = Builder(Block(None), schema_of)
    builder.span = node.span
    taken = _outward(builder, output, plain)
    for use in uses:
        use.node.set_input(use.index, taken)
    following = node.next
    assert following is not None
    _insert(builder.block, following)
    return taken


def _insert(block: Block, anchor: Node) -> None:
    for node in list(block.nodes):
        node.detach()
        node.insert_before(anchor)


def _inward(builder: Builder, value: Value, plain: T.Type) -> Value:
    """A value as a container holds it: a dual for each tensor."""

    def dual(b: Builder, tensor: Value) -> Value:
        nothing = b.constant(None, MAYBE)
        cell = b.node("prim::CellConstruct", [nothing], [CELL]).output
        return b.tuple([tensor, cell, b.constant(True)])

    return _converted(builder, value, plain, inside, dual)


def _outward(builder: Builder, value: Value, plain: T.Type) -> Value:
    """What a container holds, as a value outside of it: the tensor of each dual."""
    return _converted(builder, value, plain, outside, lambda b, v: b.tuple_index(v, 0))


def _converted(
    builder: Builder, value: Value, plain: T.Type, type_of: Callable[[T.Type], T.Type],
    leaf: Callable[[Builder, Value], Value],
) -> Value:  # fmt: skip
    """A value of type ``plain`` outside of containers, or its like inside, as the other one."""
    if plain == T.TENSOR:
        return leaf(builder, value)
    if not touches(plain) or isinstance(plain, (*CONTAINERS, T.ClassType)):
        return value
    if isinstance(plain, T.TupleType):
        parts = [
            _converted(builder, builder.tuple_index(value, i), element, type_of, leaf)
            for i, element in enumerate(plain.elements)
        ]
        made = type_of(plain)
        assert isinstance(made, T.TupleType)
        return builder.tuple(parts, made)
    if isinstance(plain, T.OptionalType):
        element = plain.element
        return _if_present(
            builder, value, T.optional_of(type_of(element)),
            lambda b, v: _converted(b, v, element, type_of, leaf),
        )  # fmt: skip
    raise NotDifferentiable(f"a value of type {plain} in a container", builder.span)


def _if_present(
    builder: Builder, value: Value, t: T.Type, convert: Callable[[Builder, Value], Value]
) -> Value:
    """``convert`` of an Optional's value, None of None."""
    is_none = builder.node("prim::is_none", [value], [T.BOOL]).output
    branch = builder.if_node(is_none)
    with builder.at(branch.blocks[0]) as block:
        block.terminate(YIELD, [builder.constant(None, t)], builder.span)
    with builder.at(branch.blocks[1]) as block:
        assert isinstance(value.type, T.OptionalType)
        found = convert(builder, builder.cast(value, value.type.element))
        block.terminate(YIELD, [found], builder.span)
    return branch.add_output(t)


def _rewrite_aten(node: Node, before: dict[Value, T.Type]) -> None:
    """Ops of torch take and give plain lists."""
    for index, value in enumerate(node.inputs):
        if value in before:
            if value.type != DUALS:
                raise NotDifferentiable(f"a {before[value]} as an argument", node.span)
            call = Node("prim::Call", [value], [TENSORS], attributes={"callee": TO_TENSORS},
                        span=node.span)  # fmt: skip
            node.set_input(index, call.insert_before(node).output)
    for output in node.outputs:
        if output in before:
            output.type = before[output]
            uses = output.uses
            call = Node("prim::Call", [output], [DUALS], attributes={"callee": TO_DUALS},
                        span=node.span)  # fmt: skip
            for use in uses:
                use.node.set_input(use.index, call.output)
            call.insert_after(node)


def _end(
    graph: Graph, before: dict[Value, T.Type], structures: Structures, own: dict[int, Value]
) -> None:
    """Let the function return plain containers, or containers of duals and their cells.

    ``own`` are structures, by parameter, that the caller wants to see too.
    """
    end = graph.block.terminator
    (result,) = end.inputs
    plain = before.get(result, result.type)
    builder = Builder(Block(None), schema_of)
    builder.span = end.span
    if own:
        result = builder.tuple([result, *own.values()])
        plain = T.TupleType([plain, *(before[value] for value in own.values())])
    parts = [(path, t) for path, t in result_parts(plain) if holds(t)]
    if [t for _, t in parts] == [TENSORS] and not own:
        result = _plain(builder, result, plain)
    elif parts:
        structures.result, structures.returned = plain, list(own)
        for path, t in parts:
            check_known(t, graph.span)
            if may_be_ring(t) or any(True for _ in tensor_paths(t)):
                raise NotDifferentiable(f"a result of type {t}", graph.span)
            value = result
            for index in path:
                value = builder.tuple_index(value, index)
            cells = structures.cells(builder, value, t)
            assert cells.node is not None
            cells.node.attributes["path"] = path
        graph.return_type = result.type
    end.set_input(0, result)
    _insert(builder.block, end)


def _plain(builder: Builder, value: Value, plain: T.Type) -> Value:
    if DUAL not in T.walk(value.type):
        return value
    if plain == TENSORS:
        return builder.call(TO_TENSORS, [value], TENSORS)
    if isinstance(plain, T.TupleType):
        parts = [
            _plain(builder, builder.tuple_index(value, i), element)
            for i, element in enumerate(plain.elements)
        ]
        return builder.tuple(parts, plain)
    raise NotDifferentiable(f"a result of type {plain}", builder.span)
