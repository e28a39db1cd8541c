"""Containers of tensors that change, or whose contents are only known at run time.

A tensor that goes into such a container is stored together with a cell for its cotangent; whoever
takes it out again finds the cell beside it, whatever the program has done with the container::

    list::append(%xs, %x)                      %c: Cell[Optional[Tensor]] = prim::CellConstruct()
                                               %d: Tuple[Tensor, Cell[...], bool] =
                                    becomes        prim::TupleConstruct(%x, %c, %true)
                                               list::append(%xs, %d)
    %y: Tensor = list::getitem(%xs, %i)        %d = list::getitem(%xs, %i)
                                               %y: Tensor = prim::TupleIndex[index=0](%d)

The reverse of the second adds the cotangent of ``%y`` to the cell, that of the first takes what the
cell holds; in between containers need no reverse at all.  ``dualize(graph)`` rewrites the graph.
Lists of tensors that are only made by one op and read by others stay as they are.  Instances of
user classes are containers too: they become instances of a *shadow* of their class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from scriptmode.autodiff import helpers
from scriptmode.autodiff.problems import NotDifferentiable
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import YIELD, Block, Graph, Node, Value, copy_node
from scriptmode.ops.aten import schema_of
from scriptmode.support.source import UNKNOWN

MAYBE = T.optional_of(T.TENSOR)
CELL = T.CellType([MAYBE])
DUAL = T.TupleType([T.TENSOR, CELL, T.BOOL])  # the bool: see flags
TENSORS = T.ListType([T.TENSOR])
DUALS = T.ListType([DUAL])
INDICES = T.ListType([MAYBE])  # what an op of torch indexes by

# a call that makes a list of tensors of a list of duals, and the other way round
TO_TENSORS, TO_DUALS, TO_CELLS, TO_FLAGS, SCATTER, GATHER, REQUIRED, ANY = (
    f"autodiff.{name}"
    for name in (
        "tensors", "duals", "cells", "flags", "scatter", "gather", "required", "any",
    )
)  # fmt: skip
CELLS = T.ListType([CELL])

_CONTAINERS = (T.ListType, T.DictType, T.DequeType, T.VarTupleType, T.SetType, T.IteratorType)
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
    ]
)


def holds(t: T.Type) -> bool:
    """Whether a container, or an object, in a value of this type holds tensors."""
    return any(
        (isinstance(part, _CONTAINERS) and touches(part)) or _is_holder(part) for part in T.walk(t)
    )


def touches(t: T.Type) -> bool:
    """Whether there are tensors in a value of this type, in objects too."""
    return any(part == T.TENSOR or _is_holder(part) for part in T.walk(t))


def _is_holder(t: T.Type, around: frozenset[T.Type] = frozenset()) -> bool:
    """Whether ``t`` is a class whose instances hold tensors."""
    if not isinstance(t, T.ClassType) or t.is_module or t in around or is_shadow(t):
        return False
    around |= {t}
    parts = [part for slot in (*t.attributes.values(), *t.family) for part in T.walk(slot)]
    return any(part == T.TENSOR or _is_holder(part, around) for part in parts)


def is_shadow(t: T.Type) -> bool:
    """Whether ``t`` is a class that stands for another one."""
    return isinstance(t, T.ClassType) and t.dual is t


def _shadow(t: T.ClassType) -> T.ClassType:
    """The class whose instances hold duals where those of ``t`` hold tensors."""
    if t.dual is None:
        if t.late or t.bases or t.subclasses:
            raise NotDifferentiable(f"an object of type {t}", UNKNOWN)
        made = T.ClassType(f"{t.name}.dual", original_name=t.original_name)
        t.dual = made.dual = made
        made.attributes = {name: inside(slot) for name, slot in t.attributes.items()}
        made.family = [inside(slot) for slot in t.family]
        made.slots = dict(t.slots)
    return t.dual


def inside(t: T.Type) -> T.Type:
    """The type of what stands in a container for an element of type ``t``."""
    if t == T.TENSOR:
        return DUAL
    if not touches(t):
        return t
    if isinstance(t, T.ClassType):
        return _shadow(t)
    if isinstance(t, T.OptionalType):
        return T.optional_of(inside(t.element))
    return t.with_contained([inside(part) for part in t.contained])


def outside(t: T.Type) -> T.Type:
    """The type of an SSA value: its tensors are plain, those in its containers are not."""
    if not holds(t):
        return t
    if isinstance(t, (*_CONTAINERS, T.ClassType)):
        return inside(t)
    return t.with_contained([outside(part) for part in t.contained])


def dualize(graph: Graph) -> bool:
    """Return whether the graph changed; raises NotDifferentiable."""
    static = _static_lists(graph)
    changing = {v for v in _values(graph.block) if holds(v.type) and v not in static}
    changing -= set(graph.params)
    if not changing and not any(holds(p.type) for p in graph.params):
        return False
    changing |= _take_arguments(graph)
    nodes = list(_nodes(graph.block))
    before = {v: v.type for v in changing}
    for value in changing:
        value.type = outside(value.type)
    for node in nodes:
        if any(v in before for v in (*node.inputs, *node.outputs)):
            _rewrite(node, before)
    _end(graph, before)
    return True


def _take_arguments(graph: Graph) -> set[Value]:
    """Let the graph work on its own lists of duals instead of lists that it is given."""
    made = set()
    first = graph.block.first
    assert first is not None
    for param in graph.params:
        if not holds(param.type):
            continue
        if param.type != TENSORS:
            raise NotDifferentiable(f"an argument of type {param.type}", graph.span)
        call = Node("prim::Call", (), [TENSORS], attributes={"callee": TO_DUALS}, span=first.span)
        param.replace_all_uses_with(call.output)
        call.add_input(param)
        made.add(call.insert_before(first).output)
    if made:
        for node in _nodes(graph.block):
            _check_not_given(node)
        if holds(graph.block.returns[0].type):
            raise NotDifferentiable("containers both as argument and as result", graph.span)
    return made


def _check_not_given(node: Node) -> None:
    """Refuse writing a list that may be the caller's."""
    if node.schema is None or node.schema.namespace not in ("list", "dict", "deque"):
        return
    for argument, value in zip(node.schema.arguments, node.inputs, strict=True):
        is_written = argument.alias is not None and argument.alias.is_write
        if is_written and holds(value.type) and not _is_own(value):
            raise NotDifferentiable(f"{node.kind} of what may be an argument", node.span)


def _is_own(value: Value) -> bool:
    return value.node is not None and value.node.kind in (
        "prim::ListConstruct", "prim::DictConstruct", "list::copy", "list::slice", "list::concat",
        "list::repeat",
    )  # fmt: skip


def _values(block: Block) -> Iterator[Value]:
    yield from block.params
    for node in block.nodes:
        yield from node.outputs
        for inner in node.blocks:
            yield from _values(inner)


def _nodes(block: Block) -> Iterator[Node]:
    for node in block.nodes:
        yield node
        for inner in node.blocks:
            yield from _nodes(inner)


def _static_lists(graph: Graph) -> set[Value]:
    """Lists that one op makes and others read, in no loop, branch or container."""
    found = set()
    for value in _values(graph.block):
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
    elif node.kind != "prim::ListConstruct" and not node.kind.startswith("aten::"):
        return False
    for use in value.uses:
        user = use.node
        if user.kind in ("tuple::as_list", "tuple::from_list"):
            if user.output not in static:
                return False
        elif user.kind in ("list::getitem", "list::len"):
            continue
        elif not user.kind.startswith("aten::"):
            return False
    return True


def _rewrite(node: Node, before: dict[Value, T.Type]) -> None:
    """Make a node work on the containers as they are now."""
    if node.kind.startswith("aten::"):
        _rewrite_aten(node, before)
        return
    if node.kind in ("prim::If", "prim::Loop", "prim::is_none", "prim::is", "prim::Constant"):
        return
    if node.attributes.get("callee") == TO_DUALS:
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
        if value not in before and touches(value.type):
            builder = Builder(Block(None), schema_of)
            builder.span = node.span
            stored = _inward(builder, value)
            _insert(builder.block, node)
            node.set_input(index, stored)
    for output in node.outputs:
        if output not in before and touches(output.type):
            _take_out(node, output)


def _take_out(node: Node, output: Value) -> None:
    """Let users of an element get the plain tensors in it."""
    plain = output.type
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


def _insert(block: Block, anchor: Node) -> None:
    for node in list(block.nodes):
        node.detach()
        node.insert_before(anchor)


def _inward(builder: Builder, value: Value) -> Value:
    t = value.type
    if t == T.TENSOR:
        nothing = builder.constant(None, MAYBE)
        cell = builder.node("prim::CellConstruct", [nothing], [CELL]).output
        return builder.tuple([value, cell, builder.constant(True)])
    if not touches(t) or isinstance(t, (*_CONTAINERS, T.ClassType)):
        return value
    if isinstance(t, T.TupleType):
        parts = [_inward(builder, builder.tuple_index(value, i)) for i in range(len(t.elements))]
        return builder.tuple(parts, inside(t))
    if isinstance(t, T.OptionalType):
        return _if_present(builder, value, T.optional_of(inside(t.element)), _inward)
    raise NotDifferentiable(f"a value of type {t} in a container", builder.span)


def _outward(builder: Builder, value: Value, plain: T.Type) -> Value:
    if plain == T.TENSOR:
        return builder.tuple_index(value, 0)
    if not touches(plain) or isinstance(plain, (*_CONTAINERS, T.ClassType)):
        return value
    if isinstance(plain, T.TupleType):
        parts = [
            _outward(builder, builder.tuple_index(value, i), element)
            for i, element in enumerate(plain.elements)
        ]
        made = outside(plain)
        assert isinstance(made, T.TupleType)
        return builder.tuple(parts, made)
    if isinstance(plain, T.OptionalType):
        element = plain.element
        return _if_present(
            builder, value, T.optional_of(outside(element)),
            lambda b, v: _outward(b, v, element),
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


def _end(graph: Graph, before: dict[Value, T.Type]) -> None:
    """Let the function return plain containers."""
    end = graph.block.terminator
    (result,) = end.inputs
    if not holds(graph.return_type or result.type) and DUAL not in T.walk(result.type):
        return
    builder = Builder(Block(None), schema_of)
    builder.span = end.span
    plain = before.get(result, graph.return_type or result.type)
    end.set_input(0, _plain(builder, result, plain))
    _insert(builder.block, end)


def _plain(builder: Builder, value: Value, plain: T.Type) -> Value:
    if any(map(is_shadow, T.walk(value.type))):
        raise NotDifferentiable(f"a result of type {plain}", builder.span)
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


# ---- the functions that are called


def _loop_over(graph: Graph, source: Value, target: T.Type) -> tuple[Builder, Value, Value, Value]:
    """A builder in the body of a loop over a list; the new list, the element, the index."""
    builder = Builder(graph.block, schema_of)
    made = builder.list([], target.contained[0])
    n = builder.op("list::len", source)
    true = builder.constant(True)
    loop = builder.node("prim::Loop", [n, true])
    body = loop.add_block()
    index = body.add_param(T.INT, "i")
    inner = Builder(body, schema_of)
    return inner, made, inner.op("list::getitem", source, index), index


def _finish(graph: Graph, inner: Builder, result: Value) -> Graph:
    inner.block.terminate(YIELD, [inner.constant(True)])
    graph.return_type = result.type
    graph.block.terminate(YIELD, [result])
    return graph


def tensors_graph() -> Graph:
    """``[d[0] for d in duals]``."""
    graph = Graph(TO_TENSORS)
    source = graph.add_param(DUALS, "duals")
    inner, made, item, _ = _loop_over(graph, source, TENSORS)
    inner.op_node("list::append", [made, inner.tuple_index(item, 0)])
    return _finish(graph, inner, made)


def duals_graph() -> Graph:
    """``[(x, new cell, flag) for x, flag in zip(tensors, flags)]``."""
    graph = Graph(TO_DUALS)
    source = graph.add_param(TENSORS, "tensors")
    flags = graph.add_param(T.ListType([T.BOOL]), "flags")
    inner, made, item, index = _loop_over(graph, source, DUALS)
    nothing = inner.constant(None, MAYBE)
    cell = inner.node("prim::CellConstruct", [nothing], [CELL]).output
    flag = inner.op("list::getitem", flags, index)
    inner.op_node("list::append", [made, inner.tuple([item, cell, flag])])
    return _finish(graph, inner, made)


def cells_graph() -> Graph:
    """``[d[1] for d in duals]``: what is kept of a list, and later changes do not reach."""
    graph = Graph(TO_CELLS)
    source = graph.add_param(DUALS, "duals")
    inner, made, item, _ = _loop_over(graph, source, CELLS)
    inner.op_node("list::append", [made, inner.tuple_index(item, 1)])
    return _finish(graph, inner, made)


def flags_graph() -> Graph:
    """``[d[2] for d in duals]``: which elements depend on what is differentiated by."""
    graph = Graph(TO_FLAGS)
    source = graph.add_param(DUALS, "duals")
    inner, made, item, _ = _loop_over(graph, source, T.ListType([T.BOOL]))
    inner.op_node("list::append", [made, inner.tuple_index(item, 2)])
    return _finish(graph, inner, made)


def required_graph() -> Graph:
    """``[flag and x.requires_grad for x in tensors]``."""
    graph = Graph(REQUIRED)
    source = graph.add_param(TENSORS, "tensors")
    flag = graph.add_param(T.BOOL, "flag")
    inner, made, item, _ = _loop_over(graph, source, T.ListType([T.BOOL]))
    found = inner.op("tensor::requires_grad", item)
    inner.op_node("list::append", [made, inner.op("bool::and", flag, found)])
    return _finish(graph, inner, made)


def any_graph() -> Graph:
    """``any(flags)``."""
    graph = Graph(ANY)
    flags = graph.add_param(T.ListType([T.BOOL]), "flags")
    builder = Builder(graph.block, schema_of)
    found = builder.op("list::contains", flags, builder.constant(True))
    graph.return_type = T.BOOL
    graph.block.terminate(YIELD, [found])
    return graph


FUNCTIONS = {
    TO_TENSORS: tensors_graph, TO_DUALS: duals_graph, TO_CELLS: cells_graph, TO_FLAGS: flags_graph,
    REQUIRED: required_graph, ANY: any_graph,
}  # fmt: skip


def gather_graph() -> Graph:
    """The cotangents in cells, which are then empty: the reverse of ``TO_DUALS``."""
    graph = Graph(GATHER)
    source = graph.add_param(CELLS, "cells")
    inner, made, cell, _ = _loop_over(graph, source, T.ListType([MAYBE]))
    found = inner.node("prim::CellRead", [cell], [MAYBE]).output
    inner.node("prim::CellSet", [cell, inner.constant(None, MAYBE)])
    inner.op_node("list::append", [made, found])
    return _finish(graph, inner, made)


def scatter_graph() -> Graph:
    """Add cotangents to cells: the reverse of ``TO_TENSORS``."""
    graph = Graph(SCATTER)
    source = graph.add_param(CELLS, "cells")
    parts = graph.add_param(T.ListType([MAYBE]), "parts")
    inner, _, cell, index = _loop_over(graph, source, T.ListType([MAYBE]))
    before = inner.node("prim::CellRead", [cell], [MAYBE]).output
    body = helpers.accumulate_graph(MAYBE, MAYBE)
    mapping = dict(zip(body.params, [before, inner.op("list::getitem", parts, index)], strict=True))
    for node in body.nodes:
        inner.block.append(copy_node(node, mapping))
    (total,) = body.block.returns
    inner.node("prim::CellSet", [cell, mapping.get(total, total)])
    nothing = Builder(graph.block, schema_of).constant(None, T.NONE)
    return _finish(graph, inner, nothing)
