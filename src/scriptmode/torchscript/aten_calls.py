"""Calls ``torch.op(...)`` of a TorchScript file's code: the overload, and the node.

The overload is the first, in the registry's order, whose arguments take what is given; in a second
round a tensor is taken for a number.  dtypes, layouts and memory formats are ints in that language.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import torch

from scriptmode.frontend import conversion as C
from scriptmode.frontend import overloads
from scriptmode.frontend.operands import ConstOperand, Operand, ValueOperand
from scriptmode.frontend.signatures import Parameter, Signature, op_signatures
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value
from scriptmode.ops.aten import SCALAR_TYPES
from scriptmode.torchscript.emitter import Emitter

LAYOUTS: Mapping[int, torch.layout] = {
    0: torch.strided, 1: torch.sparse_coo, 2: torch.sparse_csr, 3: torch._mkldnn,  # type: ignore[attr-defined]
}  # fmt: skip
MEMORY_FORMATS: Mapping[int, torch.memory_format] = {
    0: torch.contiguous_format, 1: torch.preserve_format, 2: torch.channels_last,
    3: torch.channels_last_3d,
}  # fmt: skip
_NUMBERED: Mapping[T.Type, Mapping[int, object]] = {
    T.DTYPE: SCALAR_TYPES, T.LAYOUT: LAYOUTS, T.MEMORY_FORMAT: MEMORY_FORMATS,
}  # fmt: skip


def call_aten(e: Emitter, name: str, args: Sequence[Value], kwargs: Mapping[str, Value]) -> Value:
    """Append an op of the dispatcher."""
    space, _, base = name.rpartition(".")
    whole = f"{space or 'aten'}::{base}"
    signatures = _signatures(whole) if base.isidentifier() and space != "prim" else ()
    if not signatures:
        raise e.problem(f"there is no op {whole}")
    for level in (C.STRICT, C.LENIENT):
        for signature in signatures:
            given = _matched(signature, args, kwargs, level)
            if given is not None:
                operands = {
                    n: _converted(e, p, v) for n, (p, v) in given.items()
                }  # fmt: skip
                match = overloads.Match(signature, operands)
                return overloads.emit(e.builder, match, None, "ops")
    shown = [str(a.type) for a in args] + [f"{n}: {v.type}" for n, v in kwargs.items()]
    raise e.problem(f"no overload of {whole} takes ({', '.join(shown)})")


@functools.cache
def _signatures(name: str) -> tuple[Signature, ...]:
    """What the overloads take that the dispatcher has."""
    known = torch._C._dispatch_has_kernel
    return tuple(s for s in op_signatures(name) if known(s.schema.kind))


Given = dict[str, tuple[Parameter, Value]]


def _matched(
    signature: Signature, args: Sequence[Value], kwargs: Mapping[str, Value], level: int
) -> Given | None:
    """The arguments by the parameters that take them; None when they do not fit."""
    if len(args) > signature.positional_count:
        return None
    found: Given = {}
    used = 0
    for index, parameter in enumerate(signature.parameters):
        if index < len(args):
            value = args[index]
        elif parameter.name in kwargs:
            value = kwargs[parameter.name]
            used += 1
        elif parameter.is_required:
            return None
        else:
            continue
        if not _takes(parameter, value, level):
            return None
        found[parameter.name] = (parameter, value)
    return found if used == len(kwargs) else None


def _takes(parameter: Parameter, value: Value, level: int) -> bool:
    wanted, t = T.unwrap_optional(parameter.type), value.type
    if t == T.NONE:
        return isinstance(parameter.type, T.OptionalType)
    if isinstance(t, T.OptionalType):
        if not isinstance(parameter.type, T.OptionalType):
            return False
        t = t.element
    if wanted in _NUMBERED:
        return t in (T.INT, wanted)
    if isinstance(wanted, T.ListType) and isinstance(t, T.ListType):
        return _takes_list(wanted.element, t.element, value)
    if wanted == T.TENSOR or level == C.STRICT:
        if wanted == T.FLOAT:
            return t == T.FLOAT
        stand_in = ValueOperand(Value(t, value.definition))
        return C.accepts(parameter.type, stand_in, parameter.size, C.STRICT)
    stand_in = ValueOperand(Value(t, value.definition))
    return C.accepts(parameter.type, stand_in, parameter.size, level)


def _takes_list(wanted: T.Type, found: T.Type, value: Value) -> bool:
    if T.is_subtype(found, wanted) and (found == wanted or _is_display(value)):
        return True
    return wanted in (T.FLOAT, T.NUMBER) and found in (T.INT, T.FLOAT)


def _is_display(value: Value) -> bool:
    return value.node is not None and value.node.kind == "prim::ListConstruct"


def _converted(e: Emitter, parameter: Parameter, value: Value) -> Operand:
    """An argument as the front ends' conversion takes it."""
    wanted = T.unwrap_optional(parameter.type)
    if wanted in _NUMBERED and value.type != wanted:
        return _numbered(e, wanted, value)
    if isinstance(wanted, T.ListType) and isinstance(value.type, T.ListType):
        if wanted.element != value.type.element and _is_display(value):
            assert value.node is not None
            if all(T.is_subtype(v.type, wanted.element) for v in value.node.inputs):
                return ValueOperand(e.builder.list(value.node.inputs, wanted.element))
    return C.normalise(ValueOperand(value))


def dtype_of(e: Emitter, value: Value) -> Operand:
    """The dtype that a number stands for, or None."""
    return _numbered(e, T.DTYPE, value) if value.type != T.DTYPE else ValueOperand(value)


def _numbered(e: Emitter, wanted: T.Type, value: Value) -> Operand:
    """The dtype, layout or memory format that an int stands for."""
    if value.is_constant:
        number = value.constant
        if number is None:
            return ConstOperand(None)
        found = _NUMBERED[wanted].get(number)
        if found is None:
            raise e.problem(f"there is no {wanted} {number}")
        return ValueOperand(e.constant(found, wanted))
    if wanted != T.DTYPE:
        raise e.problem(f"a {wanted} that is not known before the program runs")
    if value.type == T.NONE:
        return ConstOperand(None)
    if isinstance(value.type, T.OptionalType):
        missing = e.builder.node("prim::is_none", [value], [T.BOOL]).output
        return ValueOperand(
            e.choose(
                missing,
                e.none,
                lambda: e.op("dtype::from_code", e.builder.cast(value, T.INT)),
                T.optional_of(T.DTYPE),
            )
        )
    return ValueOperand(e.op("dtype::from_code", value))
