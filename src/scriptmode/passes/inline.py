"""Replace calls by the callee's body.

Before::

    graph f(%x: Tensor, %c: bool) -> Tensor:
      %y: Tensor = prim::Call[callee='gate'](%x, %c)
      return (%y)

    graph gate(%a: Tensor, %b: bool) -> Tensor:
      prim::If(%b)
        block0():
          return (%a)
        block1():
          -> ()
      %n: Tensor = aten::neg(%a)
      return (%n)

After::

    graph f(%x: Tensor, %c: bool) -> Tensor:
      %y: Tensor = prim::If(%c)
        block0():
          -> (%x)
        block1():
          %n: Tensor = aten::neg(%x)
          -> (%n)
      return (%y)

An early Return becomes the Yield of its branch, and what follows the If moves into the other one.
Not inlined: a callee that returns from inside a loop, or whose If may go on on both sides when a
nested If returns; one that never returns; a recursive one; one of more than ``max_nodes`` nodes.
"""

from __future__ import annotations

from collections.abc import Callable

from scriptmode.ir.graph import (
    RETURN,
    UNREACHABLE,
    YIELD,
    Block,
    Graph,
    Node,
    Program,
    callees,
    copy_graph,
    copy_node,
    innermost_loop,
)
from scriptmode.ir.types import Type
from scriptmode.passes.narrowing import for_users_of, replace_uses, replace_with
from scriptmode.passes.simplify_control_flow import truncate_after


def inline_calls(
    graph: Graph,
    program: Program | None = None,
    max_nodes: int = 1000,
    max_total: int = 50_000,
    where: Callable[[Node], bool] = lambda call: True,
) -> bool:
    """Return whether the graph changed; it grows to about ``max_total`` nodes at most.

    Only calls that ``where`` approves are inlined.
    """
    if program is None:
        return False
    bodies: dict[str, Graph | None] = {}
    size = _size(graph)
    changed, progress = False, True
    while progress:
        progress = False
        for node in graph.find_all("prim::Call"):
            name = node.attributes["callee"]
            if name not in bodies:
                bodies[name] = _body(program, name, max_nodes)
            body = bodies[name]
            if body is not None and name != graph.name and size < max_total and where(node):
                inline_call(node, body)
                size += _size(body)
                changed = progress = True
    return changed


def inline_calls_in_loops(graph: Graph, program: Program | None = None) -> bool:
    """Inline small callees where hoisting and merging can use them; whether the graph changed.

    Not those that are shared by many callers: their code is there once.
    """

    def is_in_loop(call: Node) -> bool:
        callee = program.functions.get(call.attributes["callee"]) if program is not None else None
        if callee is not None and callee.is_shared:
            return False
        return call.block is not None and innermost_loop(call.block) is not None

    return inline_calls(graph, program, 200, 4000, is_in_loop)


def _size(graph: Graph) -> int:
    return sum(1 for _ in graph.walk())


def _body(program: Program, name: str, max_nodes: int) -> Graph | None:
    """The callee's body; None when it is not to be inlined."""
    callee = program.functions.get(name)
    if callee is None or _is_recursive(program, name) or _size(callee) > max_nodes:
        return None
    return inlinable_body(callee)


def inlinable_body(callee: Graph) -> Graph | None:
    """A copy of ``callee`` without early Returns; None when it cannot be had."""
    body = copy_graph(callee)
    if any(_has_return(b) for n in body.nodes for b in n.blocks):
        if callee.return_type is None or not _can_return_from_tails(body.block):
            return None
        _return_from_tails(body.block, callee.return_type)
    return body if body.block.terminator.kind in (YIELD, RETURN) else None


def _is_recursive(program: Program, name: str) -> bool:
    seen: set[str] = set()
    pending = [name]
    while pending:
        graph = program.functions.get(pending.pop())
        for callee in callees(graph) if graph is not None else ():
            if callee == name:
                return True
            if callee not in seen:
                seen.add(callee)
                pending.append(callee)
    return False


def _has_return(block: Block) -> bool:
    if block.terminator.kind == RETURN:
        return True
    return any(_has_return(inner) for node in block.nodes for inner in node.blocks)


def _can_return_from_tails(block: Block) -> bool:
    """Whether every If with a Return inside goes on on one side at most."""
    for node in block.nodes:
        if not any(map(_has_return, node.blocks)):
            continue
        if node.kind == "prim::Loop":
            return False
        if node.kind == "prim::Try" and not _always_returns(node):
            return False  # what follows must stay out of the body
        going_on = [b for b in node.blocks if b.terminator.kind == YIELD]
        if len(going_on) == 2 or not all(map(_can_return_from_tails, node.blocks)):
            return False
    return True


def _always_returns(node: Node) -> bool:
    """Whether nothing behind ``node`` is ever reached, and no Loop or Leave is among its exits."""
    if node.kind not in ("prim::If", "prim::Try") or node.attributes.get("labelled"):
        return False
    for block in node.blocks:
        kind = block.terminator.kind
        last = block.terminator.previous
        if kind == RETURN:
            continue
        if kind != UNREACHABLE:
            return False
        if last is not None and last.blocks and not _always_returns(last):
            return False
    return True


def _return_from_tails(block: Block, result: Type) -> None:
    """Make ``block``, which ends the function, end with Yield (or Unreachable) on every path."""
    end = block.terminator
    for node in block.nodes:
        if any(map(_has_return, node.blocks)):
            _absorb_rest(node, block)
            for inner in node.blocks:
                _return_from_tails(inner, result)
            if any(b.terminator.kind == YIELD for b in node.blocks):
                block.terminate(YIELD, [node.add_output(result)], end.span)
            else:
                block.terminate(UNREACHABLE, [], end.span)
            return
    if end.kind == RETURN:
        inputs = end.inputs
        end.erase()
        block.terminate(YIELD, inputs, end.span)


def _absorb_rest(node: Node, block: Block) -> None:
    """Move what follows ``node`` to the end of its branch that goes on, if one does."""
    going_on = [b for b in node.blocks if b.terminator.kind == YIELD]
    if not going_on:
        truncate_after(node)
        node.outputs.clear()
        return
    (branch,) = going_on
    for output, value in zip(node.outputs, branch.terminator.inputs, strict=True):
        replace_uses(output, value)
    branch.terminator.erase()
    node.outputs.clear()
    following = node.next
    while following is not None:
        moved, following = following, following.next
        moved.detach()
        branch.append(moved)


def inline_call(call: Node, body: Graph) -> None:
    """Replace ``call`` by a copy of ``body``."""
    mapping = {
        param: for_users_of(param, argument, call)
        for param, argument in zip(body.params, call.inputs, strict=True)
    }
    for node in body.nodes:
        copy = copy_node(node, mapping).insert_before(call)
        _nest(copy, call)
    (result,) = body.block.returns
    replace_with(call, mapping.get(result, result))


def _nest(node: Node, call: Node) -> None:
    """Let ``node`` and what is in it know that it came from ``call``."""
    if call.scope:
        node.scope = f"{call.scope}.{node.scope}" if node.scope else call.scope
    node.span = node.span.called_from(call.span)
    for block in node.blocks:
        for inner in block.nodes:
            _nest(inner, call)
        block.terminator.span = block.terminator.span.called_from(call.span)
