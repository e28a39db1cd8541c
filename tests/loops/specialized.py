"""Specialise a function for one set of arguments and run it natively, for the tests of loops.

``specialized(function, arguments)`` is a callable of the arguments' tensors; ``None`` where no
region is found.  The graph is what ``scriptmode.script`` makes, with the facts of the arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

import scriptmode
from scriptmode.analysis.shapes import fact_of
from scriptmode.interp import Interpreter
from scriptmode.ir.graph import Graph
from scriptmode.ir.verifier import verify
from scriptmode.jit.pipeline import optimize
from scriptmode.loops.specialize import specialize_function
from scriptmode.ops.aten import schema_of
from scriptmode.passes.inline import inline_calls
from tests.codegen.native_calls import Compiled


class Specialized:
    """A program for tensors of certain facts: ``interpret`` and ``run`` it."""

    def __init__(self, function: Callable[..., Any], arguments: Sequence[Any]) -> None:
        program, name, _ = scriptmode.script(function).__scriptmode_ir__()
        self.program = optimize(program)
        self.graph: Graph = self.program.functions[name]
        inline_calls(self.graph, self.program)
        facts = {
            param: fact_of(value)
            for param, value in zip(self.graph.params, arguments, strict=True)
            if isinstance(value, torch.Tensor)
        }
        self.changed = specialize_function(self.graph, self.program, facts)
        kept = [name, *(f for f in self.program.functions if ".region" in f)]
        self.program.functions = {f: self.program.functions[f] for f in kept}
        verify(self.graph, self.program, schema_of)
        self._compiled: Compiled | None = None

    @property
    def left(self) -> list[str]:
        """The ops of torch that are in no region."""
        return [n.kind for n in self.graph.walk() if n.kind.startswith("aten::")]

    def interpret(self, *arguments: Any) -> Any:
        """What the reference interpreter gives."""
        return Interpreter(self.program).run(self.program.root, *arguments)

    def run(self, *arguments: Any) -> Any:
        """What native code gives."""
        if self._compiled is None:
            self._compiled = Compiled(self.program)
        return self._compiled(*arguments)
