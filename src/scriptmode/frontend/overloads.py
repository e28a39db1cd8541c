"""Choice of a signature for operands, and the ATen node that carries the call out.

The choice is that of torch's Python argument parser (``FunctionSignature::parse``): signatures in
order, parameters from left to right, numpy's names, ``f(2, 3)`` for one list of ints, None for the
default.  What no signature takes for certain is tried again with the conversions that depend on
the tensor, such as a 0-dim tensor where a number is wanted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch

from scriptmode.frontend import conversion as C
from scriptmode.frontend.operands import Operand, SequenceOperand, ValueOperand
from scriptmode.frontend.signatures import (
    NUMBERS_AS_TENSORS,
    NUMPY_NAMES,
    Parameter,
    Signature,
)
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import YIELD, Node, Value
from scriptmode.ir.schema import NO_DEFAULT, Argument, OpSchema
from scriptmode.ops.aten import aten_schema
from scriptmode.support.diagnostics import Diagnostic, ScriptTypeError

Style = Literal["python", "ops"]


@dataclass
class Match:
    """A signature with the operands of its given parameters, by name."""

    signature: Signature
    given: dict[str, Operand] = field(default_factory=dict)


def choose(
    signatures: Sequence[Signature],
    args: Sequence[Operand],
    kwargs: Mapping[str, Operand],
) -> Match | str:
    """The signature that the parser picks, else why the last one failed."""
    reason = "it takes nothing"
    for level in (C.STRICT, C.LENIENT):
        for signature in signatures:
            found = _parse(signature, args, kwargs, level)
            if isinstance(found, Match):
                return found
            reason = found
    return reason


def _parse(
    signature: Signature, args: Sequence[Operand], kwargs: Mapping[str, Operand], level: int
) -> Match | str:
    varargs = signature.takes_varargs
    if len(args) > signature.positional_count and not varargs:
        return f"it takes {signature.positional_count} positional arguments, not {len(args)}"
    match = Match(signature)
    used: set[str] = set()
    position = 0
    for parameter in signature.parameters:
        if position < len(args):
            if parameter.keyword_only:
                return f"it takes {signature.positional_count} positional arguments"
            item: Operand | None = args[position]
            keyword = ""
        else:
            keyword = _keyword(parameter, kwargs)
            item = kwargs[keyword] if keyword else None
        if item is None:
            if parameter.is_required:
                return f"argument `{parameter.name}` is missing"
            continue
        if C.is_none(item) and parameter.allows_none:
            pass  # the default
        elif _takes(signature, parameter, item, level):
            match.given[parameter.name] = item
        elif varargs and position == 0 and not keyword:
            whole = SequenceOperand(tuple(args), "tuple")
            if not C.accepts(parameter.type, whole, None, level):
                return f"argument `{parameter.name}` cannot be {C.describe(whole)}"
            match.given[parameter.name] = whole
            position = len(args)
            continue
        else:
            return f"argument `{parameter.name}` cannot be {C.describe(item)}"
        if keyword:
            used.add(keyword)
        else:
            position += 1
    unknown = [k for k in kwargs if k not in used]
    return f"it has no argument `{unknown[0]}`" if unknown else match


def _keyword(parameter: Parameter, kwargs: Mapping[str, Operand]) -> str:
    names = (parameter.name, *NUMPY_NAMES.get(parameter.name, ()))
    return next((n for n in names if n in kwargs), "")


def _takes(signature: Signature, parameter: Parameter, item: Operand, level: int) -> bool:
    # an op of torch.ops takes a number for any tensor
    if parameter.type == T.TENSOR and (
        signature.name in NUMBERS_AS_TENSORS or "::" in signature.name
    ):
        found = C.type_of(item)
        if found is not None and T.is_numeric(found):
            return True
    if parameter.allows_none:
        found = C.type_of(item)
        if isinstance(found, T.OptionalType):
            return C.accepts(parameter.type, _present(item), parameter.size, level)
    return C.accepts(parameter.type, item, parameter.size, level)


def _present(item: Operand) -> Operand:
    """A stand-in of the optional operand's inner type, for acceptance only."""
    assert isinstance(item, ValueOperand)
    return ValueOperand(Value(T.unwrap_optional(item.value.type), item.value.definition))


# ---------------------------------------------------------------------------------------- emission


def call(
    builder: Builder,
    name: str,
    signatures: Sequence[Signature],
    args: Sequence[Operand],
    kwargs: Mapping[str, Operand],
    *,
    receiver: Value | None = None,
    style: Style = "python",
) -> Value:
    """Append the call of ``name``; ``receiver`` is a method's tensor."""
    args = [C.normalise(a) for a in args]
    kwargs = {k: C.normalise(v) for k, v in kwargs.items()}
    match = choose(signatures, args, kwargs)
    if isinstance(match, str):
        raise no_overload(builder, name, signatures, args, kwargs, match)
    return emit(builder, match, receiver, style)


def no_overload(
    builder: Builder,
    name: str,
    signatures: Sequence[Signature],
    args: Sequence[Operand],
    kwargs: Mapping[str, Operand],
    reason: str,
) -> ScriptTypeError:
    """The error for operands that no signature takes."""
    texts = [C.describe(a) for a in args] + [f"{k}={C.describe(v)}" for k, v in kwargs.items()]
    notes = [f"it takes {s}" for s in signatures if not s.is_deprecated]
    message = f"{name}() does not take ({', '.join(texts)})"
    if len(signatures) == 1:
        message += f": {reason}"
    return ScriptTypeError(Diagnostic("SM0221", message, builder.span, notes=tuple(notes)))


def emit(builder: Builder, match: Match, receiver: Value | None, style: Style) -> Value:
    """Append the node of a chosen signature and shape its results as Python sees them."""
    signature, given = match.signature, dict(match.given)
    schema = signature.schema
    outs: dict[str, Operand] = {}
    if signature.out_schema is not None:
        outs = _out_operands(builder, signature, given)
        if outs:
            schema = signature.out_schema
    if outs and any(n in given for n in ("dtype", "layout", "device")):
        names = {a.name for a in schema.arguments}
        if "dtype" in given and "dtype" not in names:
            raise C.not_built("`dtype` together with `out` is not supported", builder.span)
    by_source = {p.source: given[p.name] for p in signature.parameters if p.name in given}
    defaults = {p.source: p.default for p in signature.parameters}
    schema, by_source = _without_number_tensors(builder, schema, by_source, receiver)
    inputs = []
    for argument in schema.arguments:
        if argument.name == "self" and receiver is not None:
            inputs.append(receiver)
        elif argument.name in outs:
            inputs.append(C.convert(builder, argument.type, outs[argument.name]))
        elif argument.name in by_source:
            inputs.append(_input(builder, argument, by_source[argument.name]))
        else:
            default = defaults.get(argument.name, argument.default)
            default = None if default is NO_DEFAULT else default  # None was given
            inputs.append(C.constant_for(builder, argument.type, default))
    node = builder.call_schema(schema, inputs)
    result = results(builder, schema, node, style)
    wanted = given.get("requires_grad")
    if wanted is not None and "requires_grad" not in {a.name for a in schema.arguments}:
        if C.constant_of(wanted) is not False:
            flag = C.convert(builder, T.BOOL, wanted)
            result = builder.op("aten::requires_grad_", result, flag)
    return result


def _input(builder: Builder, argument: Argument, item: Operand) -> Value:
    found = C.type_of(item)
    takes_none = isinstance(argument.type, T.OptionalType) and argument.default is None
    has_default = argument.default is not None and argument.has_default
    if not isinstance(found, T.OptionalType) or takes_none or not has_default:
        return C.convert(builder, argument.type, item, argument.size)
    # None at run time stands for the default
    value = C.to_value(builder, item)
    node = builder.if_node(builder.node("prim::is_none", [value], [T.BOOL]).output)
    with builder.at(node.blocks[0]):
        builder.node(YIELD, [C.default_value(builder, argument)])
    with builder.at(node.blocks[1]):
        present = ValueOperand(builder.cast(value, found.element))
        builder.node(YIELD, [C.convert(builder, argument.type, present, argument.size)])
    return node.add_output(argument.type)


def _out_operands(
    builder: Builder, signature: Signature, given: dict[str, Operand]
) -> dict[str, Operand]:
    assert signature.out_schema is not None
    names = [a.name for a in signature.out_schema.arguments if a.is_out]
    if len(names) == 1:
        return {names[0]: given.pop(names[0])} if names[0] in given else {}
    if "out" not in given:
        return {}
    items = C.items_of(builder, given.pop("out"))
    if items is None or len(items) != len(names):
        raise C.type_error(f"`out` must be a tuple of {len(names)} tensors", builder.span)
    return dict(zip(names, items, strict=True))


def _without_number_tensors(
    builder: Builder,
    schema: OpSchema,
    given: dict[str, Operand],
    receiver: Value | None,
) -> tuple[OpSchema, dict[str, Operand]]:
    """Numbers given for tensors: by an overload that takes a Scalar, else as 0-dim tensors."""
    tensors = [a.name for a in schema.arguments if a.type == T.TENSOR and not a.is_out]
    numbers = [n for n in tensors if n in given and _is_number(given[n])]
    if not numbers:
        return schema, given
    if numbers == ["other"]:
        mode = "Scalar_mode" if schema.overload == "Tensor_mode" else "Scalar"
        scalar = aten_schema(f"{schema.name}.{mode}")
        if scalar is not None and not any(a.is_out for a in schema.arguments):
            return scalar, given
    given = dict(given)
    others = [n for n in tensors if n not in numbers]
    partner = receiver
    if partner is None and others:
        partner = C.to_value(builder, given[others[0]])
    for name in numbers:
        given[name] = ValueOperand(number_tensor(builder, given[name], partner))
    return schema, given


def _is_number(item: Operand) -> bool:
    found = C.type_of(item)
    return found is not None and T.is_numeric(found)


def number_tensor(builder: Builder, number: Operand, partner: Value | None) -> Value:
    """A number as the 0-dim tensor that promotes with ``partner`` as the number itself would."""
    value = C.to_value(builder, number)
    if partner is None:
        dtype = builder.op("aten::result_type.Scalar_Scalar", value, value)
    else:
        dtype = builder.op("aten::result_type.Scalar_Tensor", value, partner)
    return scalar_tensor(builder, value, dtype)


def scalar_tensor(
    builder: Builder, value: Value, dtype: Value, device: Value | None = None
) -> Value:
    """``aten::scalar_tensor`` of the number ``value``."""
    none = builder.constant(None)
    return builder.op("aten::scalar_tensor", value, dtype, none, device or none, none)


# ----------------------------------------------------------------------------------------- results


def results(builder: Builder, schema: OpSchema, node: Node, style: Style) -> Value:
    """The node's outputs as one value: None, the result, or a (named) tuple."""
    outputs = node.outputs
    if style == "python":
        outputs = [C.as_tuple(builder, o) if isinstance(o.type, T.ListType) else o for o in outputs]
    if not outputs:
        return builder.constant(None)
    if len(outputs) == 1:
        return outputs[0]
    kind = named_result(schema, [o.type for o in outputs]) if style == "python" else None
    return builder.tuple(outputs, kind)


def named_result(schema: OpSchema, types: Sequence[T.Type]) -> T.NamedTupleType | None:
    """The ``torch.return_types`` class of an op with several named results."""
    name = schema.base_name
    if any(a.is_out for a in schema.arguments):
        name += "_out"
    cls = getattr(torch.return_types, name, None)
    fields = getattr(cls, "__match_args__", ())
    if cls is None or len(fields) != len(types):
        return None
    return T.NamedTupleType(f"torch.return_types.{name}", fields, types, cls)
