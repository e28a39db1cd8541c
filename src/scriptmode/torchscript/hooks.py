"""Forward hooks that a TorchScript file has compiled into a module.

Code that calls a submodule calls its hooks itself; a call from Python goes through ``forward`` with
the hooks around it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from scriptmode.ir import types as T
from scriptmode.ir.graph import Graph, Value
from scriptmode.torchscript.emitter import Emitter

Call = Callable[[Emitter, str, Sequence[Value]], Value]


def surround(
    e: Emitter, forward: Graph, before: Sequence[str], after: Sequence[str], call: Call
) -> None:
    """Fill the graph of ``e`` with ``forward`` and the hooks ``before`` and ``after`` it."""
    own, *params = [e.graph.add_param(p.type, p.name) for p in forward.params]
    e.graph.defaults, e.graph.kwarg_only = dict(forward.defaults), set(forward.kwarg_only)
    given = e.builder.tuple(params)
    for hook in before:
        changed = call(e, hook, [own, given])
        if isinstance(changed.type, T.TupleType):
            given = changed
        elif changed.type != T.NONE:
            given = e.builder.tuple([changed])
    assert isinstance(given.type, T.TupleType)
    items = [e.builder.tuple_index(given, i) for i in range(len(given.type.elements))]
    result = call(e, "forward", [own, *items])
    for hook in after:
        changed = call(e, hook, [own, given, result])
        result = result if changed.type == T.NONE else changed
    e.graph.return_type = result.type
    e.yield_([result])
