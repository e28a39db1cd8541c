"""A graph of one torch call: tensors become parameters, everything else constants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from scriptmode.frontend.operands import ConstOperand, Operand, SequenceOperand, ValueOperand
from scriptmode.interp import Interpreter
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import YIELD, Graph, Program, Value
from scriptmode.ir.verifier import verify_program
from scriptmode.ops.aten import schema_of


class Building:
    """A function under construction with the arguments to run it on."""

    def __init__(self) -> None:
        self.graph = Graph("forward")
        self.builder = Builder(self.graph.block, schema_of)
        self.arguments: list[Any] = []
        self._known: dict[int, Value] = {}

    def parameter(self, value: Any, t: T.Type) -> ValueOperand:
        """A parameter of the graph; one for each object."""
        known = self._known.get(id(value))
        if known is None or t != T.TENSOR:
            known = self.graph.add_param(t, f"a{len(self.arguments)}")
            self.arguments.append(value)
            if t == T.TENSOR:
                self._known[id(value)] = known
        return ValueOperand(known)

    def operand(self, value: Any) -> Operand:
        """``value`` as a front end would pass it."""
        if isinstance(value, torch.Tensor):
            return self.parameter(value, T.TENSOR)
        if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
            kind = "list" if isinstance(value, list) else "tuple"
            return SequenceOperand(tuple(self.operand(v) for v in value), kind)
        return ConstOperand(value)

    def finish(self, result: Value) -> Program:
        """The program that returns ``result``."""
        self.builder.node(YIELD, [result])
        self.graph.return_type = result.type
        program = Program(self.graph.name)
        program.add(self.graph)
        verify_program(program, schema_of)
        return program

    def run(self, result: Value) -> Any:
        """Finish, and evaluate on the arguments."""
        return Interpreter(self.finish(result)).run_root(*self.arguments)


def evaluate(build: Callable[[Building], Value]) -> Any:
    """What the graph built by ``build`` computes."""
    building = Building()
    return building.run(build(building))
