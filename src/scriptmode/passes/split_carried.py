"""Carry the elements of tuples instead of tuples, and nothing that never changes.

Before::

    graph f(%n: int, %a: Tensor, %b: Tensor, %l: List[int]) -> Tensor:
      %true: bool = prim::Constant[value=True]()
      %t: Tuple[Tensor, Tensor] = prim::TupleConstruct(%a, %b)
      %s: Tuple[Tensor, Tensor], %k: List[int] = prim::Loop(%n, %true, %t, %l)
        block0(%i: int, %u: Tuple[Tensor, Tensor], %m: List[int]):
          %x: Tensor = prim::TupleIndex[index=0](%u)
          %v: Tuple[Tensor, Tensor] = prim::TupleConstruct(%x, %x)
          list::append(%m, %i)
          -> (%true, %v, %m)
      %r: Tensor = prim::TupleIndex[index=0](%s)
      return (%r)

After, the tuples made for users that still want them aside::

      %s0: Tensor, %s1: Tensor = prim::Loop(%n, %true, %a, %b)
        block0(%i: int, %u0: Tensor, %u1: Tensor):
          list::append(%l, %i)
          -> (%true, %u0, %u0)
      return (%s0)

Branches of an If likewise.
"""

from __future__ import annotations

from collections.abc import Sequence

from scriptmode.analysis.terminators import carried_offset, ends_of_branches, ends_of_loop
from scriptmode.ir import types as T
from scriptmode.ir.graph import Graph, Node, Program, Value


def split_carried(graph: Graph, program: Program | None = None) -> bool:
    """Return whether the graph changed."""
    changed = False
    progress = True
    while progress:
        progress = False
        for node in list(graph.walk()):
            if node.kind == "prim::Loop":
                progress |= _drop_unchanged(node) or _split_loop(node)
            elif node.kind == "prim::If":
                progress |= _split_if(node)
        changed |= progress
    return changed


def _plain_tuple(t: T.Type) -> bool:
    return type(t) is T.TupleType and len(t.elements) > 0


def _drop_unchanged(loop: Node) -> bool:
    """Use the initial value of what every iteration hands on as it is."""
    params = loop.blocks[0].params[1:]
    ends = list(ends_of_loop(loop))
    for index, param in enumerate(params):
        initial, output = loop.inputs[index + 2], loop.outputs[index]
        if initial.type != param.type or output.type != param.type:
            continue
        values = {end.inputs[index + carried_offset(end)] for end in ends}
        if values <= {param, initial}:
            if not (param.is_used or output.is_used):
                continue
            users = [u for u in param.uses if u.node not in ends]
            if not users and not output.is_used:
                continue
            param.replace_all_uses_with(initial)
            output.replace_all_uses_with(initial)
            return True
    return False


def _indexed(value: Value, before: Node) -> list[Value]:
    """The elements of a tuple."""
    t = value.type
    assert isinstance(t, T.TupleType)
    node = value.node
    if node is not None and node.kind == "prim::TupleConstruct":
        if [v.type for v in node.inputs] == list(t.elements):
            return node.inputs
    return [
        Node("prim::TupleIndex", [value], [element], attributes={"index": i}, span=before.span)
        .insert_before(before)
        .output
        for i, element in enumerate(t.elements)
    ]


def _rebuilt(values: Sequence[Value], old: Value, before: Node) -> None:
    """Let the users of a tuple take the values, in a new tuple where they want all of it."""
    for use in old.uses:
        user = use.node
        if user.kind == "prim::TupleIndex" and user.block is not None:
            user.replace_with(values[user.attributes["index"]])
    if old.is_used:
        made = Node("prim::TupleConstruct", values, [old.type], span=before.span)
        made.insert_before(before)
        old.replace_all_uses_with(made.output)


def _split_loop(loop: Node) -> bool:
    body = loop.blocks[0]
    for index, param in enumerate(body.params[1:]):
        output = loop.outputs[index]
        if not _plain_tuple(param.type) or output.type != param.type:
            continue
        ends = list(ends_of_loop(loop))
        given = [loop.inputs[index + 2], *(e.inputs[index + carried_offset(e)] for e in ends)]
        if any(v.type != param.type for v in given):
            continue
        assert isinstance(param.type, T.TupleType)
        elements = param.type.elements
        inputs = loop.inputs
        loop.set_inputs(
            [*inputs[: index + 2], *_indexed(inputs[index + 2], loop), *inputs[index + 3 :]]
        )
        for end in ends:
            at = index + carried_offset(end)
            values = end.inputs
            end.set_inputs([*values[:at], *_indexed(values[at], end), *values[at + 1 :]])
        fresh = [Value(t, body, f"{param.name}.{i}" if param.name else "")
                 for i, t in enumerate(elements)]  # fmt: skip
        first = body.first
        assert first is not None
        _rebuilt(fresh, param, first)
        body.params[index + 1 : index + 2] = fresh
        results = [Value(t, loop, f"{output.name}.{i}" if output.name else "")
                   for i, t in enumerate(elements)]  # fmt: skip
        assert loop.next is not None
        _rebuilt(results, output, loop.next)
        loop.outputs[index : index + 1] = results
        return True
    return False


def _split_if(node: Node) -> bool:
    for index, output in enumerate(node.outputs):
        if not _plain_tuple(output.type):
            continue
        ends = ends_of_branches(node)
        if any(e.inputs[index].type != output.type for e in ends):
            continue
        for end in ends:
            values = end.inputs
            end.set_inputs([*values[:index], *_indexed(values[index], end), *values[index + 1 :]])
        assert isinstance(output.type, T.TupleType)
        results = [Value(t, node, f"{output.name}.{i}" if output.name else "")
                   for i, t in enumerate(output.type.elements)]  # fmt: skip
        assert node.next is not None
        _rebuilt(results, output, node.next)
        node.outputs[index : index + 1] = results
        return True
    return False
