"""The evaluator: a block is its nodes in order, then its terminator.

::

    graph forward(%x: Tensor) -> Tensor:
      %1: Tensor = aten::relu(%x)
      return (%1)

``run_graph(program, graph, [x])`` is ``torch.ops.aten.relu(x)``.  Torch's ops are run by torch,
ours by the meanings in the op table.  An error leaves with a note for its node and for each call
around it, naming the user's file and line.  Loops use no stack.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch.overrides import _get_current_function_mode_stack
from torch.utils._device import DeviceContext, _device_constructors

from scriptmode.interp.structural import MEANINGS
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
from scriptmode.ir.types import DTYPE
from scriptmode.ops import table
from scriptmode.ops.aten import SCALAR_TYPES, aten_schema, overload
from scriptmode.support.diagnostics import Diagnostic, InternalError

Environment = dict[Value, Any]
_MOST_NOTES = 64


class Interpreter:
    """Runs the functions of one program; ``ownership`` counts the retains and releases seen."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.ownership: dict[str, int] = {}

    def run(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Call the function ``name``; missing arguments take their defaults."""
        graph = self.program.functions[name]
        return self.run_graph(graph, _bind(graph, args, kwargs))

    def run_root(self, *args: Any, **kwargs: Any) -> Any:
        """Call the root function, with the program's module in front where it has one."""
        owner = self.program.self_object
        return self.run(self.program.root, *([] if owner is None else [owner]), *args, **kwargs)

    def run_graph(self, graph: Graph, args: Sequence[Any]) -> Any:
        """Execute ``graph`` on one value for each param."""
        grad_mode = torch.is_grad_enabled()
        try:
            how, values = self._block(graph.block, args, {})
        except BaseException:
            if graph.find_all("torch::guard_grad_mode"):
                torch._C._set_grad_enabled(grad_mode)
            raise
        if how not in (YIELD, RETURN):
            raise _defect(graph.block.terminator, f"{how} leaves a function")
        (result,) = values
        return result

    def _block(
        self, block: Block, args: Sequence[Any], values: Environment
    ) -> tuple[str, Sequence[Any]]:
        """How the block ended (the kind of the terminator) and with what."""
        values.update(zip(block.params, args, strict=True))
        for node in block.nodes:
            inputs = [values[v] for v in node.inputs]
            if node.kind == "prim::If":
                how, outputs = self._block(node.blocks[not inputs[0]], [], values)
            elif node.kind == "prim::Loop":
                how, outputs = self._loop(node, inputs, values)
            elif node.kind == "prim::Try":
                how, outputs = self._try(node, values)
            else:
                how, outputs = YIELD, self._node(node, inputs)
            if how != YIELD:
                return how, outputs
            values.update(zip(node.outputs, outputs, strict=True))
        end = block.terminator
        if end.kind == UNREACHABLE:
            raise _defect(end, "a place that cannot be reached was reached")
        return end.kind, [values[v] for v in end.inputs]

    def _loop(
        self, node: Node, inputs: Sequence[Any], values: Environment
    ) -> tuple[str, Sequence[Any]]:
        trips, condition, *carried = inputs
        index = 0
        while index < trips and condition:
            how, results = self._block(node.blocks[0], [index, *carried], values)
            if how == BREAK:
                return YIELD, results
            if how not in (YIELD, CONTINUE):
                return how, results
            condition, *carried = results
            index += 1
        return YIELD, carried

    def _try(self, node: Node, values: Environment) -> tuple[str, Sequence[Any]]:
        try:
            how, outputs = self._block(node.blocks[0], [], values)
        except InternalError:
            raise
        except BaseException as error:  # the program decides which ones it catches
            return self._block(node.blocks[1], [error], values)
        if how == LEAVE and node.attributes.get("labelled"):
            return YIELD, outputs
        return how, outputs

    def _node(self, node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
        try:
            structural = MEANINGS.get(node.kind)
            if structural is not None:
                return structural(self, node, inputs)
            definition = table.find(node.kind)
            if definition is not None:
                result = definition.meaning(*inputs)
            else:
                result = call_torch(node, inputs)
        except BaseException as error:
            _note_place(error, node)
            raise
        if len(node.outputs) == 1:
            return [result]
        return [] if result is None else result


def run_graph(program: Program, graph: Graph, args: Sequence[Any]) -> Any:
    """Execute ``graph``, whose callees are in ``program``, on one value for each param."""
    return Interpreter(program).run_graph(graph, args)


def call_torch(node: Node, inputs: Sequence[Any]) -> Any:
    """Run an op of torch's registry on one value for each argument of its schema."""
    function, schema = overload(node.kind), node.schema or aten_schema(node.kind)
    if function is None or schema is None:
        raise _defect(node, f"unknown op {node.kind}")
    pairs = list(zip(schema.arguments, inputs, strict=True))
    positional = [value for argument, value in pairs if not argument.kwarg_only]
    keywords = {argument.name: value for argument, value in pairs if argument.kwarg_only}
    if keywords.get("device", 0) is None and schema.name in _constructors():
        keywords["device"] = _default_device()
    result = function(*positional, **keywords)
    is_dtype = [r.type for r in schema.returns] == [DTYPE]
    return SCALAR_TYPES[result] if is_dtype and isinstance(result, int) else result


@cache
def _constructors() -> frozenset[str]:
    """The ops whose device is the default device unless it is given."""
    return frozenset(f"aten::{function.__name__}" for function in _device_constructors())


def _default_device() -> torch.device | None:
    # modes know torch's functions, not the ops behind them
    stack = _get_current_function_mode_stack()  # type: ignore[no-untyped-call]
    for mode in reversed(stack):
        if isinstance(mode, DeviceContext):
            return torch.device(mode.device)
    return None


def _bind(graph: Graph, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Any]:
    names = [param.name for param in graph.params]
    given = dict(zip(names, args, strict=False))
    if len(args) > len(names) or set(given) & set(kwargs) or set(kwargs) - set(names):
        raise TypeError(f"{graph.name}() got arguments that do not fit ({', '.join(names)})")
    given |= kwargs
    missing = [n for n in names if n not in given and n not in graph.defaults]
    if missing:
        raise TypeError(f"{graph.name}() misses arguments: {', '.join(missing)}")
    return [given[n] if n in given else graph.defaults[n] for n in names]


def _note_place(error: BaseException, node: Node) -> None:
    span = node.span
    if len(getattr(error, "__notes__", ())) >= _MOST_NOTES:
        return  # a recursion that went too deep
    if span.line and sys.version_info >= (3, 11):
        function = f", in {span.function}" if span.function else ""
        error.add_note(f'File "{span.file}", line {span.line}{function}')


def _defect(node: Node, message: str) -> InternalError:
    return InternalError(Diagnostic("SM9100", message, node.span))
