"""Which tensors may carry a gradient.

``Activity(graph, roots)`` answers ``is_active(value, path)`` for a graph whose blocks end with
their Yields: whether the tensor at ``path`` inside the value (() for a tensor, (1, 0) for the first
element of the second element of a tuple) depends differentiably on one of ``roots``.  Around loops
the answer is a fixed point.

Example: with the root ``%x`` ::

    graph f(%x: Tensor, %y: Tensor):
      %a: Tensor = aten::mul.Tensor(%x, %y)    active
      %b: Tensor = aten::detach(%a)            not active
      %c: Tensor = aten::gt.Tensor(%a, %y)     not active
"""

from __future__ import annotations

from collections.abc import Iterable

from scriptmode.autodiff.dual import DUAL, TO_TENSORS, has_cells
from scriptmode.autodiff.mutation import WRITTEN
from scriptmode.autodiff.paths import Key, Path, tensor_paths
from scriptmode.autodiff.rule import carries_gradient, is_cut, is_without_gradient
from scriptmode.ir import types as T
from scriptmode.ir.graph import UNREACHABLE, Block, Graph, Node, Value

PULLED = "autodiff.pulled."  # begins the names of pull-backs of recorded ops, see recorded
TAPED = ".taped"  # ends the names of recursive functions, see recursion


def is_taped(node: Node) -> bool:
    """Whether a node calls a function that has a tape; its ``active`` are paths of the result."""
    return node.kind == "prim::Call" and str(node.attributes["callee"]).endswith(TAPED)


class Activity:
    """The tensors of ``graph`` that depend on ``roots``; a list of tensors has the path ()."""

    def __init__(self, graph: Graph, roots: Iterable[Key]) -> None:
        self._active: set[Key] = set(roots)
        if self._active or any(has_cells(p.type) for p in graph.params):
            self._block(graph.block)

    def is_active(self, value: Value, path: Path = ()) -> bool:
        """Whether the tensor at ``path`` in ``value`` may carry a gradient."""
        return (value, path) in self._active

    def add(self, value: Value) -> None:
        """Take a tensor, or list, that was added to the graph for an active one."""
        self._active.add((value, ()))

    def paths(self, value: Value) -> list[Path]:
        """The paths of the active tensors in ``value``."""
        return [path for path in tensor_paths(value.type) if (value, path) in self._active]

    def any_in(self, value: Value) -> bool:
        """Whether ``value``, a list of tensors too, holds an active one."""
        return (value, ()) in self._active or bool(self.paths(value))

    def _mark(self, value: Value, path: Path) -> bool:
        if (value, path) in self._active:
            return False
        self._active.add((value, path))
        return True

    def _flow(self, source: Value, target: Value, strip: Path = (), add: Path = ()) -> bool:
        """What is active in ``source`` under ``strip`` is so in ``target`` under ``add``."""
        changed = False
        for path in [*self.paths(source), *([()] if self.is_active(source) else [])]:
            if path[: len(strip)] == strip:
                changed |= self._mark(target, (*add, *path[len(strip) :]))
        return changed

    def _block(self, block: Block) -> bool:
        changed = False
        for node in block.nodes:
            changed |= self._node(node)
        return changed

    def _node(self, node: Node) -> bool:
        match node.kind:
            case "prim::If":
                changed = False
                for block in node.blocks:
                    changed |= self._block(block)
                    if block.terminator.kind != UNREACHABLE:
                        for value, output in zip(block.returns, node.outputs, strict=True):
                            changed |= self._flow(value, output)
                return changed
            case "prim::Loop":
                return self._loop(node)
            case "prim::TupleIndex" if node.inputs[0].type == DUAL:
                return node.attributes["index"] == 0 and self._mark(node.output, ())
            case "prim::Call" if node.attributes["callee"] == TO_TENSORS:
                return self._mark(node.output, ())
            case "prim::Call" if node.attributes["callee"] == WRITTEN:
                return any(map(self.any_in, node.inputs)) and self._mark(node.output, ())
            case "prim::Call" if is_taped(node):
                if not any(self.any_in(v) or has_cells(v.type) for v in node.inputs):
                    return False
                active = node.attributes["active"]
                marked = [self._mark(node.output, (0, *path)) for path in active]
                return any(marked)
            case "prim::Call" if str(node.attributes["callee"]).startswith(PULLED):
                return any(map(self.any_in, node.inputs)) and self._mark(node.output, ())
            case "prim::Call":
                return self._flow(node.inputs[0], node.output)
            case "prim::TupleConstruct":
                changed = False
                for index, value in enumerate(node.inputs):
                    changed |= self._flow(value, node.output, (), (index,))
                return changed
            case "prim::TupleIndex":
                return self._flow(node.inputs[0], node.output, (node.attributes["index"],))
            case "prim::unchecked_cast" | "prim::checked_cast":
                return self._flow(node.inputs[0], node.output)
            case "prim::ListConstruct" | "tuple::as_list" | "tuple::from_list":
                active = any(map(self.any_in, node.inputs))
                return active and self._mark(node.output, ())
            case "list::getitem":
                return self.is_active(node.inputs[0]) and self._mark(node.output, ())
        if is_without_gradient(node.kind) or is_cut(node):
            return False
        if not any(map(self.any_in, node.inputs)):
            return False
        changed = False
        for number, output in enumerate(node.outputs):
            if _holds_tensors(output.type) and carries_gradient(node.kind, number):
                changed |= self._mark(output, ())
        return changed

    def _loop(self, node: Node) -> bool:
        body = node.blocks[0]
        changed = False
        for start, param in zip(node.inputs[2:], body.params[1:], strict=True):
            changed |= self._flow(start, param)
        again = True
        while again:
            again = self._block(body)
            for value, param in zip(body.returns[1:], body.params[1:], strict=True):
                again |= self._flow(value, param)
            changed |= again
        for param, output in zip(body.params[1:], node.outputs, strict=True):
            changed |= self._flow(param, output)
        return changed


def _holds_tensors(t: T.Type) -> bool:
    return T.unwrap_optional(t) == T.TENSOR or t == T.ListType([T.TENSOR])
