"""Let a small function that calls itself do several calls' work in one.

Before::

    graph count(%x: int) -> int:
      %zero: int = prim::Constant[value=0]()
      %end: bool = int::le(%x, %zero)
      prim::If(%end)
        block0():
          return (%x)
        block1():
          -> ()
      %one: int = prim::Constant[value=1]()
      %less: int = int::sub(%x, %one)
      %rest: int = prim::Call[callee='count'](%less)
      return (%rest)

After::

    graph count(%x: int) -> int:
      %zero: int = prim::Constant[value=0]()
      %end: bool = int::le(%x, %zero)
      prim::If(%end)
        block0():
          return (%x)
        block1():
          -> ()
      %one: int = prim::Constant[value=1]()
      %less: int = int::sub(%x, %one)
      %zero.1: int = prim::Constant[value=0]()
      %end.1: bool = int::le(%less, %zero.1)
      %0: int = prim::If(%end.1)
        block0():
          -> (%less)
        block1():
          %one.1: int = prim::Constant[value=1]()
          %less.1: int = int::sub(%less, %one.1)
          %zero.2: int = prim::Constant[value=0]()
          %end.2: bool = int::le(%less.1, %zero.2)
          %1: int = prim::If(%end.2)
            block0():
              -> (%less.1)
            block1():
              %one.2: int = prim::Constant[value=1]()
              %less.2: int = int::sub(%less.1, %one.2)
              %zero.3: int = prim::Constant[value=0]()
              %end.3: bool = int::le(%less.2, %zero.3)
              %2: int = prim::If(%end.3)
                block0():
                  -> (%less.2)
                block1():
                  %one.3: int = prim::Constant[value=1]()
                  %less.3: int = int::sub(%less.2, %one.3)
                  %rest: int = prim::Call[callee='count'](%less.3)
                  -> (%rest)
              -> (%2)
          -> (%1)
      return (%0)

Each round replaces the calls by the body as it was at first, as long as the function stays small:
arguments and results of the calls inside are values, and the stack is checked once for all.
Functions with loops or ops of torch are left alone, for a call is little beside these.
"""

from __future__ import annotations

from scriptmode.ir.graph import Graph, Node, Program
from scriptmode.ops import table
from scriptmode.passes.inline import inlinable_body, inline_call

ROUNDS = 3


def unroll_recursion(
    graph: Graph, program: Program | None = None, max_nodes: int = 60, max_total: int = 150
) -> bool:
    """Return whether the graph changed; it grows to ``max_total`` nodes at most."""
    calls = _calls_of_itself(graph)
    nodes = list(graph.walk())
    size = total = len(nodes)
    if not calls or size > max_nodes or any(map(_is_long, nodes)):
        return False
    body = inlinable_body(graph)
    if body is None:
        return False
    changed = False
    for _ in range(ROUNDS):
        if total + len(calls) * size > max_total:
            break
        for call in calls:
            inline_call(call, body)
        total += len(calls) * size
        calls = _calls_of_itself(graph)
        changed = True
    return changed


def _calls_of_itself(graph: Graph) -> list[Node]:
    return [n for n in graph.find_all("prim::Call") if n.attributes["callee"] == graph.name]


def _is_long(node: Node) -> bool:
    runs_torch = node.schema is not None and table.find(node.kind) is None
    return runs_torch or node.kind == "prim::Loop"
