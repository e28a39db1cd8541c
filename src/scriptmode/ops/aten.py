"""ATen's ops: schemas and effects from torch's own registry."""

from __future__ import annotations

import functools
from typing import Any

import torch

from scriptmode.ir.schema import OpSchema, parse_schema
from scriptmode.ops import table
from scriptmode.ops.table import EVERYTHING, Effect

# the numbers of at::ScalarType, as schemas have them for defaults and the dispatcher for results
SCALAR_TYPES: dict[int, torch.dtype] = {
    0: torch.uint8, 1: torch.int8, 2: torch.int16, 3: torch.int32, 4: torch.int64,
    5: torch.float16, 6: torch.float32, 7: torch.float64, 8: torch.complex32,
    9: torch.complex64, 10: torch.complex128, 11: torch.bool, 15: torch.bfloat16,
}  # fmt: skip


@functools.cache
def overload(kind: str) -> Any:
    """The ``torch.ops`` overload object for a node kind such as ``aten::add.Tensor``; or None."""
    name, _, overload_name = kind.partition(".")
    namespace, _, base = name.partition("::")
    packet = getattr(getattr(torch.ops, namespace, None), base, None)
    return getattr(packet, overload_name or "default", None)


@functools.cache
def aten_schema(kind: str) -> OpSchema | None:
    """Schema of a registered op."""
    found = overload(kind)
    return None if found is None else parse_schema(str(found._schema))


@functools.cache
def aten_overloads(name: str) -> tuple[OpSchema, ...]:
    """All registered overloads of ``aten::name``, in registration order."""
    namespace, _, base = name.partition("::")
    packet = getattr(getattr(torch.ops, namespace, None), base, None)
    if packet is None:
        return ()
    schemas = []
    for overload_name in packet.overloads():
        kind = name if overload_name == "default" else f"{name}.{overload_name}"
        schema = aten_schema(kind)
        if schema is not None:
            schemas.append(schema)
    return tuple(schemas)


@functools.cache
def aten_effects(kind: str) -> Effect:
    """Effects of a registered op: it may raise; random ones count as IO."""
    found = overload(kind)
    schema = aten_schema(kind)
    if found is None or schema is None:
        return EVERYTHING
    effects = Effect.RAISES | Effect.READS
    if schema.is_mutable:
        effects |= Effect.WRITES
    if torch.Tag.nondeterministic_seeded in found.tags:
        effects |= Effect.IO
    if not schema.is_view:
        effects |= Effect.ALLOCATES
    if schema.namespace not in ("aten", "prims"):
        return EVERYTHING  # a custom op may do anything
    return effects


def schema_of(kind: str) -> OpSchema | None:
    """The schema that a node kind stands for: one of ours, else torch's."""
    definition = table.find(kind)
    return definition.schema if definition is not None else aten_schema(kind)
