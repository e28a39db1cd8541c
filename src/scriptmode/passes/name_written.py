"""Call what was written in place by its own name, not by the result of the op.

Before::

    graph f(%x: Tensor, %y: Tensor) -> Tensor:
      %one: int = prim::Constant[value=1]()
      %a: Tensor = aten::add_.Tensor(%x, %y, %one)
      %b: Tensor = aten::tanh(%a)
      return (%b)

After::

    graph f(%x: Tensor, %y: Tensor) -> Tensor:
      %one: int = prim::Constant[value=1]()
      %a: Tensor = aten::add_.Tensor(%x, %y, %one)
      %b: Tensor = aten::tanh(%x)
      return (%b)

Both are the same object.
"""

from __future__ import annotations

from scriptmode.analysis.shapes import gives_what_it_writes
from scriptmode.ir.graph import Graph, Program


def name_written(graph: Graph, program: Program | None = None) -> bool:
    """Return whether the graph changed."""
    changed = False
    for node in graph.walk():
        if node.schema is not None and gives_what_it_writes(node) and node.output.is_used:
            node.output.replace_all_uses_with(node.inputs[0])
            changed = True
    return changed
