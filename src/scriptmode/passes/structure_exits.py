"""Make every block end with its Yield: early Returns, Breaks, Continues and Leaves become values.

Before::

    graph f(%x: Tensor, %n: int, %c: bool) -> Tensor:
      %true: bool = prim::Constant[value=True]()
      %y: Tensor = prim::Loop(%n, %true, %x)
        block0(%i: int, %h: Tensor):
          prim::If(%c)
            block0():
              break (%h)
            block1():
              -> ()
          %t: Tensor = aten::tanh(%h)
          -> (%true, %t)
      return (%y)

After::

    graph f(%x: Tensor, %n: int, %c: bool) -> Tensor:
      %true: bool = prim::Constant[value=True]()
      %y: Tensor = prim::Loop(%n, %true, %x)
        block0(%i: int, %h: Tensor):
          %0: bool, %1: Tensor = prim::If(%c)
            block0():
              %no: bool = prim::Constant[value=False]()
              -> (%no, %h)
            block1():
              %t: Tensor = aten::tanh(%h)
              -> (%true, %t)
          -> (%0, %1)
      return (%y)

What follows an If that goes on on one side only moves into that side.  An If that may go on on both
sides, and a Loop that is left by a Return, yield an exit code (0: goes on) and the values that
leave, as Optionals; what follows becomes the branch of code 0.  A block that raises keeps its
Unreachable.  Not handled: a Try with an exit inside; the graph stays as it is then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scriptmode.ir.builder import Builder
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
)
from scriptmode.ir.types import BOOL, INT, NONE, Type, optional_of
from scriptmode.ops.aten import schema_of

_CODES = {RETURN: 1, BREAK: 2, CONTINUE: 3}

# the values of the Yield that stands for a terminator of this kind with these inputs
End = Callable[[Builder, str, Sequence[Value]], list[Value]]


@dataclass(frozen=True)
class _Target:
    """Where a block's values go: ``end`` makes the inputs of its Yield, of ``types``."""

    end: End
    types: tuple[Type, ...]


def structure_exits(graph: Graph, program: Program | None = None) -> bool:
    """Return whether the graph changed."""
    if not _has_exits(graph.block) or _has_exits_in_try(graph.block):
        return False
    result = graph.return_type or _returned(graph.block)
    assert result is not None, f"{graph.name} never returns"
    top = _Target(lambda b, kind, values: list(values), (result,))
    _convert(graph.block, top)
    return True


def _has_exits(block: Block) -> bool:
    return any(_exits(inner) or _has_exits(inner) for node in block.nodes for inner in node.blocks)


def _has_exits_in_try(block: Block) -> bool:
    return any(
        (node.kind == "prim::Try" and (node.attributes.get("labelled") or bool(_exits(inner))))
        or _has_exits_in_try(inner)
        for node in block.nodes
        for inner in node.blocks
    )


def _returned(block: Block) -> Type | None:
    if block.terminator.kind == RETURN:
        return block.terminator.inputs[0].type
    found = [_returned(inner) for node in block.nodes for inner in node.blocks]
    return next((t for t in found if t is not None), None)


def _exits(block: Block) -> dict[str, tuple[Type, ...]]:
    """Kinds of terminators by which control leaves the node around ``block``, with their types."""
    found: dict[str, tuple[Type, ...]] = {}
    end = block.terminator
    if end.kind in (RETURN, BREAK, CONTINUE, LEAVE):
        found[end.kind] = tuple(v.type for v in end.inputs)
    for node in block.nodes:
        for inner in node.blocks:
            for kind, types in _exits(inner).items():
                if node.kind != "prim::Loop" or kind not in (BREAK, CONTINUE):
                    found[kind] = types
    return found


def _exits_of(node: Node) -> dict[str, tuple[Type, ...]]:
    found: dict[str, tuple[Type, ...]] = {}
    for block in node.blocks:
        for kind, types in _exits(block).items():
            if node.kind != "prim::Loop" or kind not in (BREAK, CONTINUE):
                found[kind] = types
    return found


def _convert(block: Block, target: _Target) -> None:
    """Make ``block`` end with one Yield of the target's values, or with Unreachable."""
    for node in block.nodes:
        exits = _exits_of(node)
        if node.kind == "prim::Loop":
            _convert_loop(node, exits)
            if exits:
                _branch_on_code(node, block, exits, target)
                return
        elif exits and node.kind == "prim::If":
            going_on = [b for b in node.blocks if b.terminator.kind == YIELD]
            if len(going_on) == 2:
                _flag(node, exits)
                _branch_on_code(node, block, exits, target)
            else:
                _move_rest(node, block, going_on)
                _end_with(node, block, target)
            return
        else:
            for inner in node.blocks:
                _convert_inside(inner)
    end = block.terminator
    if end.kind == UNREACHABLE:
        return
    builder = Builder(block, schema_of)
    builder.span = end.span
    kind, inputs = end.kind, end.inputs
    end.erase()
    values = target.end(builder, kind, inputs)
    block.terminate(YIELD, values, builder.span)


def _convert_inside(block: Block) -> None:
    """Convert the loops in a block that has no exits of its own."""
    for node in block.nodes:
        if node.kind == "prim::Loop":
            _convert_loop(node, {})
        else:
            for inner in node.blocks:
                _convert_inside(inner)


def _move_rest(node: Node, block: Block, going_on: list[Block]) -> None:
    """Move what follows ``node`` to the end of its only branch that goes on; drop it if none does.

    ``block`` is left without a terminator.
    """
    if not going_on:
        last = block.last
        while last is not node:
            assert last is not None
            previous = last.previous
            last.erase()
            last = previous
    else:
        (branch,) = going_on
        end = branch.terminator
        for output, value in zip(node.outputs, end.inputs, strict=True):
            output.replace_all_uses_with(value)
        end.erase()
        _move_behind(node, branch)
    node.outputs.clear()


def _move_behind(node: Node, branch: Block) -> None:
    following = node.next
    while following is not None:
        moved, following = following, following.next
        moved.detach()
        branch.append(moved)


def _end_with(node: Node, block: Block, target: _Target) -> None:
    """Let the branches of the last node yield the target's values, and ``block`` what it yields."""
    for inner in node.blocks:
        _convert(inner, target)
    if all(inner.terminator.kind == UNREACHABLE for inner in node.blocks):
        block.terminate(UNREACHABLE, [], node.span)
        return
    block.terminate(YIELD, [node.add_output(t) for t in target.types], node.span)


def _payload(exits: dict[str, tuple[Type, ...]]) -> list[Type]:
    return [optional_of(t) for kind in sorted(exits) for t in exits[kind]]


def _flags(
    builder: Builder, exits: dict[str, tuple[Type, ...]], kind: str, values: Sequence[Value]
) -> list[Value]:
    """The exit code and, for each kind of exit, its values or None."""
    found = [builder.constant(_CODES[kind] if kind in exits else 0, INT)]
    for other in sorted(exits):
        for index, t in enumerate(exits[other]):
            is_this = other == kind
            found.append(values[index] if is_this else builder.constant(None, optional_of(t)))
    return found


def _flag(node: Node, exits: dict[str, tuple[Type, ...]]) -> None:
    """Give an If that goes on on both sides an exit code and the values that leave."""
    normal = [optional_of(o.type) for o in node.outputs]

    def end(builder: Builder, kind: str, values: Sequence[Value]) -> list[Value]:
        if kind == YIELD:
            return [*values, *_flags(builder, exits, kind, ())]
        nothing = [builder.constant(None, t) for t in normal]
        return [*nothing, *_flags(builder, exits, kind, values)]

    target = _Target(end, (*normal, INT, *_payload(exits)))
    for block in node.blocks:
        _convert(block, target)
    for output in list(node.outputs):
        _retype(node, output)
    for t in (INT, *_payload(exits)):
        node.add_output(t)


def _retype(node: Node, output: Value) -> None:
    """Make ``output`` Optional; where it is used, it is there."""
    narrow = output.type
    if optional_of(narrow) == narrow:
        return
    output.type = optional_of(narrow)
    if output.is_used:
        cast = Node("prim::unchecked_cast", (), [narrow], span=node.span, scope=node.scope)
        output.replace_all_uses_with(cast.output)
        cast.add_input(output)
        cast.insert_after(node)


def _convert_loop(loop: Node, exits: dict[str, tuple[Type, ...]]) -> None:
    """Let the body of a Loop end with one Yield; a Return inside sets the exit code."""
    body = loop.blocks[0]
    params = body.params[1:]
    types = (BOOL, *(p.type for p in params))

    def end(builder: Builder, kind: str, values: Sequence[Value]) -> list[Value]:
        if kind in (YIELD, CONTINUE):
            found = list(values)
        elif kind == BREAK:
            found = [builder.constant(False, BOOL), *values]
        else:
            found = [builder.constant(False, BOOL), *params]
        return found + (_flags(builder, exits, kind, values) if exits else [])

    extra = [INT, *_payload(exits)] if exits else []
    _convert(body, _Target(end, (*types, *extra)))
    if not exits:
        return
    assert loop.block is not None
    for t in extra:
        start = Node("prim::Constant", (), [t], span=loop.span, scope=loop.scope,
                     attributes={"value": 0 if t == INT else None})  # fmt: skip
        loop.add_input(start.insert_before(loop).output)
        loop.add_output(t)
        body.add_param(t)


def _branch_on_code(
    node: Node, block: Block, exits: dict[str, tuple[Type, ...]], target: _Target
) -> None:
    """What follows ``node`` becomes the branch of exit code 0; the others end ``block`` early."""
    payload = node.outputs[-sum(map(len, exits.values())) :] if any(exits.values()) else []
    code = node.outputs[-len(payload) - 1]
    rest: list[Node] = []
    following = node.next
    while following is not None:
        moved, following = following, following.next
        moved.detach()
        rest.append(moved)
    builder = Builder(block, schema_of)
    builder.span, builder.scope = node.span, node.scope
    zero = builder.constant(0)
    goes_on = builder.op("int::eq", code, zero)
    branch = builder.if_node(goes_on)
    for moved in rest:
        branch.blocks[0].append(moved)
    with builder.at(branch.blocks[1]):
        _leave_early(builder, exits, code, payload, target)
    _convert(branch.blocks[0], target)
    if all(inner.terminator.kind == UNREACHABLE for inner in branch.blocks):
        block.terminate(UNREACHABLE, [], node.span)
        return
    block.terminate(YIELD, [branch.add_output(t) for t in target.types], node.span)


def _leave_early(
    builder: Builder,
    exits: dict[str, tuple[Type, ...]],
    code: Value,
    payload: Sequence[Value],
    target: _Target,
) -> None:
    """End the builder's block by the exit whose code was set."""
    kind = min(exits)
    count = len(exits[kind])
    values = [
        builder.cast(v, t) if v.type != NONE else v
        for v, t in zip(payload[:count], exits[kind], strict=True)
    ]
    if len(exits) == 1:
        block = builder.block
        block.terminate(YIELD, target.end(builder, kind, values), builder.span)
        return
    others = {k: t for k, t in exits.items() if k != kind}
    is_this = builder.op("int::eq", code, builder.constant(_CODES[kind]))
    node = builder.if_node(is_this)
    outer = builder.block
    # the casts hold in the first branch only
    for value in values:
        if value.node is not None and value.node.block is outer:
            value.node.detach()
            node.blocks[0].append(value.node)
    with builder.at(node.blocks[0]):
        node.blocks[0].terminate(YIELD, target.end(builder, kind, values), builder.span)
    with builder.at(node.blocks[1]):
        _leave_early(builder, others, code, payload[count:], target)
    outer.terminate(YIELD, [node.add_output(t) for t in target.types], builder.span)
