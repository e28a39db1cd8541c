"""Questions about compiled programs."""

from __future__ import annotations

from typing import NoReturn

from scriptmode.jit.function import Compiled, reachable
from scriptmode.ops import table
from scriptmode.support.diagnostics import ArgumentError, Diagnostic, NotBuiltError


def export_opnames(m: Compiled) -> list[str]:
    """Names of torch's operators that a compiled function or module uses, sorted."""
    if not isinstance(m, Compiled):
        raise ArgumentError(
            Diagnostic("SM0404", f"export_opnames takes what script or trace returned, not {m!r}")
        )
    primary = m._dispatcher.primary
    names = set()
    for function in reachable(primary.program, primary.function):
        for node in primary.program.functions[function].walk():
            schema = node.schema
            if schema is not None and table.find(node.kind) is None:
                names.add(schema.kind)
    return sorted(names)


def last_executed_optimized_graph() -> NoReturn:
    """Not built: calls do not record which program they run."""
    raise NotBuiltError(
        Diagnostic(
            "SM0001",
            "last_executed_optimized_graph is not built yet",
            help="`f.graph_for(*arguments)` is the program that a call with these runs",
        )
    )


__all__ = ["export_opnames", "last_executed_optimized_graph"]
