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

from scriptmode.autodiff import helpers
from scriptmode.autodiff.problems import NotDifferentiable
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import YIELD, Graph, Value, copy_node
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
# the like in forward mode, where cells hold tangents
PAIRED, UNPAIRED, TANGENTS, READ = (
    f"autodiff.{name}" for name in ("paired", "unpaired", "tangents", "read")
)

CONTAINERS = (
    T.ListType, T.DictType, T.DequeType, T.VarTupleType, T.SetType, T.IteratorType, T.CellType,
)  # fmt: skip


def holds(t: T.Type) -> bool:
    """Whether a container, or an object, in a value of this type holds tensors."""
    return any(
        (isinstance(part, CONTAINERS) and touches(part)) or _is_holder(part) for part in T.walk(t)
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


def has_cells(t: T.Type) -> bool:
    """Whether a value of this type, in a program as it is differentiated, holds cells."""
    return any(part == DUAL or is_shadow(part) for part in T.walk(t))


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
        made.python_class = t.python_class  # a result: its duals are taken out of the attributes
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
    if isinstance(t, (*CONTAINERS, T.ClassType)):
        return inside(t)
    return t.with_contained([outside(part) for part in t.contained])


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


def paired_graph() -> Graph:
    """``[(x, cell of t, True) for x, t in zip(tensors, tangents)]``."""
    graph = Graph(PAIRED)
    source, tangents = graph.add_param(TENSORS, "tensors"), graph.add_param(TENSORS, "tangents")
    inner, made, item, index = _loop_over(graph, source, DUALS)
    cell = _cell(inner, inner.op("list::getitem", tangents, index))
    inner.op_node("list::append", [made, inner.tuple([item, cell, inner.constant(True)])])
    return _finish(graph, inner, made)


def unpaired_graph() -> Graph:
    """``[(x, empty cell, True) for x in tensors]``."""
    graph = Graph(UNPAIRED)
    source = graph.add_param(TENSORS, "tensors")
    inner, made, item, _ = _loop_over(graph, source, DUALS)
    cell = _cell(inner, inner.constant(None, MAYBE))
    inner.op_node("list::append", [made, inner.tuple([item, cell, inner.constant(True)])])
    return _finish(graph, inner, made)


def _cell(builder: Builder, value: Value) -> Value:
    return builder.node("prim::CellConstruct", [value], [CELL]).output


def tangents_graph() -> Graph:
    """``[tangent in d[1], or zeros for d in duals]``."""
    graph = Graph(TANGENTS)
    source = graph.add_param(DUALS, "duals")
    inner, made, item, _ = _loop_over(graph, source, TENSORS)
    found = inner.node("prim::CellRead", [inner.tuple_index(item, 1)], [MAYBE]).output
    body = helpers.filled_graph()
    mapping = dict(zip(body.params, [found, inner.tuple_index(item, 0)], strict=True))
    for node in body.nodes:
        inner.block.append(copy_node(node, mapping))
    (tangent,) = body.block.returns
    inner.op_node("list::append", [made, mapping.get(tangent, tangent)])
    return _finish(graph, inner, made)


def read_graph() -> Graph:
    """What is in each cell."""
    graph = Graph(READ)
    source = graph.add_param(CELLS, "cells")
    inner, made, cell, _ = _loop_over(graph, source, T.ListType([MAYBE]))
    found = inner.node("prim::CellRead", [cell], [MAYBE]).output
    inner.op_node("list::append", [made, found])
    return _finish(graph, inner, made)


FUNCTIONS = {
    TO_TENSORS: tensors_graph, TO_DUALS: duals_graph, TO_CELLS: cells_graph, TO_FLAGS: flags_graph,
    REQUIRED: required_graph, ANY: any_graph, PAIRED: paired_graph, UNPAIRED: unpaired_graph,
    TANGENTS: tangents_graph, READ: read_graph,
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
