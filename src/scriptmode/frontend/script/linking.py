"""Compiled functions and modules inside programs that are compiled later.

They are known by the protocol ``__scriptmode_ir__() -> (program, function, module)``.  What was
scripted is compiled again from its source, for the types of this call.  What was traced has no
source that may be compiled, nor has a function that was loaded from an archive: its program is
merged into this one.  ``__scriptmode_flat__`` says
that the graph takes and returns what the caller passes; else ``__scriptmode_trees__`` say how.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.nested_recordings import flat_inputs, nested_result
from scriptmode.frontend.script.values import Arguments, Constant, Sugared
from scriptmode.frontend.trace.scripted import Linker, is_compiled
from scriptmode.ir import types as T
from scriptmode.ir.graph import Graph, Program, Value

FLAT = "__scriptmode_flat__"
TREES = "__scriptmode_trees__"


def is_traced(obj: Any) -> bool:
    """Whether a compiled object has no source: a recording, or a function from an archive."""
    return is_compiled(obj) and (hasattr(obj, "frozen") or bool(getattr(obj, FLAT, False)))


def source_object(obj: Any) -> Any:
    """The function or module whose source stands for ``obj``."""
    if not is_compiled(obj) or is_traced(obj):
        return obj
    if isinstance(obj, nn.Module):
        return obj.__scriptmode_ir__()[2]  # type: ignore[operator]
    return getattr(obj, "__wrapped__", obj)


class ProgramLinker:
    """Merges programs of recordings into the one being compiled."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._linker = Linker(program)

    def link(self, traced: Any, reserved: set[str]) -> Graph:
        """The function of a recording, merged; ``reserved`` names are taken."""
        program, name, _ = traced.__scriptmode_ir__()
        held = {n: Graph(n) for n in reserved if n not in self.program.functions}
        self.program.functions.update(held)
        names = self._linker.link(program)
        for key, graph in held.items():
            if self.program.functions.get(key) is graph:
                del self.program.functions[key]
        reserved.update(names.values())
        return self.program.functions[names[name]]


def call_recording(
    e: Emitter, traced: Any, given: Arguments, owner: Value | None = None
) -> Sugared:
    """Call a traced function, or the forward of a traced module."""
    if not getattr(traced, FLAT, False):
        return _call_nested(e, traced, given, owner)
    graph = e.unit.link(traced)
    params = graph.params if owner is None else graph.params[1:]
    values = list(given.positional)
    names = [p.name for p in params]
    for name in names[len(values) :]:
        if name in given.keywords:
            values.append(given.keywords[name])
        elif name in graph.defaults:
            values.append(Constant(graph.defaults[name]))
    if len(values) != len(params) or set(given.keywords) - set(names):
        e.fail_type(f"it takes {len(params)} arguments, {len(values)} given")
    inputs = [] if owner is None else [owner]
    for param, value in zip(params, values, strict=True):
        inputs.append(e.value_of_type(value, param.type, f"argument `{param.name}`"))
    return e.lift(_call(e, graph, inputs))


def _call(e: Emitter, graph: Graph, inputs: list[Value]) -> Value:
    result = graph.return_type
    assert isinstance(result, T.Type), "a compiled function has its return type"
    output = e.builder.call(graph.name, inputs, result)
    e.forget_written()
    return output


def _call_nested(e: Emitter, traced: Any, given: Arguments, owner: Value | None) -> Sugared:
    trees = getattr(traced, TREES, None)
    if trees is None:
        e.not_built("a call of a submodule of a recording is", help="trace that module itself")
    graph = e.unit.link(traced)
    inputs = [] if owner is None else [owner]
    inputs += flat_inputs(e, trees[0], given)
    return nested_result(e, trees[1], _call(e, graph, inputs), given.node)
