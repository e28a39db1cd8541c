"""Calls ``torch.op(...)`` of a TorchScript file's code, as the file's version means them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scriptmode.ir.graph import Value
from scriptmode.torchscript.aten_calls import call_aten
from scriptmode.torchscript.emitter import Emitter
from scriptmode.torchscript.ops import call_builtin
from scriptmode.torchscript.upgraders import upgraded


def call_op(e: Emitter, name: str, args: Sequence[Value], kwargs: Mapping[str, Value]) -> Value:
    """Append the op ``name`` of torch."""
    changed = upgraded(e, e.unit.version, name, args, kwargs)
    if isinstance(changed, Value):
        return changed
    if changed is not None:
        name, args, kwargs = changed
    found = call_builtin(e, name, args, kwargs)
    return found if found is not None else call_aten(e, name, args, kwargs)
