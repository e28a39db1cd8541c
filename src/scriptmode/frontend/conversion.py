"""Turning operands into IR values of a wanted type, as torch's Python argument parser converts.

``accepts`` answers without building anything; ``convert`` appends the nodes.  There are two levels
of strictness because ranks and requires_grad of tensors are unknown: ``STRICT`` takes what the
parser takes whatever the tensor, ``LENIENT`` also what it takes for some tensors (a 0-dim tensor
where a number is wanted) or narrowings that are checked at run time.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any

import torch

from scriptmode.frontend.operands import (
    ConstOperand,
    Operand,
    SequenceOperand,
    SliceOperand,
    ValueOperand,
)
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import YIELD, Value
from scriptmode.ir.schema import NO_DEFAULT, Argument, EnumDefault
from scriptmode.ops.aten import SCALAR_TYPES
from scriptmode.support.diagnostics import Diagnostic, NotBuiltError, ScriptTypeError
from scriptmode.support.source import Span

STRICT, LENIENT = 0, 1

# the numbers of at::Layout and at::MemoryFormat that schemas have as defaults
_LAYOUTS = {0: torch.strided}
_MEMORY_FORMATS = {
    0: torch.contiguous_format,
    1: torch.preserve_format,
    2: torch.channels_last,
    3: torch.channels_last_3d,
}
_PYTHON_DTYPES: dict[object, torch.dtype] = {
    float: torch.float64, int: torch.int64, bool: torch.bool, complex: torch.complex128,
}  # fmt: skip

_CONSTANT_TYPES: tuple[tuple[type, T.Type], ...] = (
    (bool, T.BOOL), (int, T.INT), (float, T.FLOAT), (complex, T.COMPLEX), (str, T.STR),
    (torch.dtype, T.DTYPE), (torch.device, T.DEVICE), (torch.layout, T.LAYOUT),
    (torch.memory_format, T.MEMORY_FORMAT), (torch.Generator, T.GENERATOR),
    (torch.qscheme, T.QSCHEME), (torch.Tensor, T.TENSOR),
)  # fmt: skip


def type_error(message: str, span: Span | None, **details: Any) -> ScriptTypeError:
    """An error about operand types at ``span``."""
    return ScriptTypeError(Diagnostic("SM0223", message, span, **details))


def not_built(message: str, span: Span | None, **details: Any) -> NotBuiltError:
    """An error about something that torch has and scriptmode lacks."""
    return NotBuiltError(Diagnostic("SM0224", message, span, **details))


def operand(value: Any) -> Operand:
    """``value`` as an operand: operands and values pass, sequences nest, others are constants."""
    if isinstance(value, (ValueOperand, ConstOperand, SequenceOperand, SliceOperand)):
        return normalise(value)
    if isinstance(value, Value):
        return ValueOperand(value)
    if isinstance(value, (list, tuple)):
        kind = "list" if isinstance(value, list) else "tuple"
        return SequenceOperand(tuple(operand(v) for v in value), kind)  # type: ignore[arg-type]
    return ConstOperand(value)


def normalise(item: Operand) -> Operand:
    """Constant lists and tuples as sequences; numpy's numbers and enumerators as Python's."""
    if isinstance(item, ConstOperand):
        return _normal_constant(item)
    if isinstance(item, SequenceOperand):
        items = tuple(normalise(i) for i in item.items)
        if any(new is not old for new, old in zip(items, item.items, strict=True)):
            return SequenceOperand(items, item.kind)
    if isinstance(item, ValueOperand) and item.value.is_constant and item.value.type == T.NONE:
        return ConstOperand(None)
    return item


def _normal_constant(item: ConstOperand) -> Operand:
    value = item.value
    if type(value).__module__ == "numpy" and hasattr(value, "item") and not value.shape:
        return ConstOperand(value.item())
    if type_of_constant(value) is not None and not isinstance(value, enum.Enum):
        return item
    if isinstance(value, (list, tuple)):
        return operand(value)
    if isinstance(value, slice):
        return SliceOperand(*(operand(p) for p in (value.start, value.stop, value.step)))
    if isinstance(value, enum.Enum):
        return ConstOperand(value.value) if isinstance(value, (int, str)) else item
    if hasattr(type(value), "__index__"):
        return ConstOperand(value.__index__())
    return item


def type_of_constant(value: Any) -> T.Type | None:
    """IR type of an immutable constant; None when it has none."""
    if value is None:
        return T.NONE
    return next((t for cls, t in _CONSTANT_TYPES if isinstance(value, cls)), None)


def type_of(item: Operand) -> T.Type | None:
    """Type of an operand; None for a slice or an object that has no IR type."""
    if isinstance(item, ValueOperand):
        return item.value.type
    if isinstance(item, ConstOperand):
        return type_of_constant(item.value)
    if isinstance(item, SequenceOperand):
        found = [type_of(i) for i in item.items]
        types = [t for t in found if t is not None]
        if len(types) != len(found):
            return None
        if item.kind == "tuple":
            return T.TupleType(types)
        return T.ListType([T.union_of(types)]) if types else T.ListType([T.TENSOR])
    return None


def describe(item: Operand) -> str:
    """The operand's type as messages show it."""
    if isinstance(item, SliceOperand):
        return "slice"
    if isinstance(item, SequenceOperand) and type_of(item) is None:
        return f"a {item.kind} of {', '.join(sorted({describe(i) for i in item.items}))}"
    found = type_of(item)
    if found is None:
        value = item.value if isinstance(item, ConstOperand) else item
        return type(value).__name__
    return str(found)


def is_none(item: Operand) -> bool:
    """Whether the operand is None for certain."""
    return type_of(item) == T.NONE


NOT_CONSTANT: Any = type("NotConstant", (), {})()


def constant_of(item: Operand) -> Any:
    """The operand's compile-time value (lists and tuples too), else ``NOT_CONSTANT``."""
    if isinstance(item, ConstOperand):
        return item.value
    if isinstance(item, ValueOperand) and item.value.is_constant:
        return item.value.constant
    if isinstance(item, SequenceOperand):
        values = [constant_of(i) for i in item.items]
        if any(v is NOT_CONSTANT for v in values):
            return NOT_CONSTANT
        return values if item.kind == "list" else tuple(values)
    return NOT_CONSTANT


def is_tensor(item: Operand) -> bool:
    """Whether the operand is a Tensor for certain."""
    return type_of(item) == T.TENSOR


def item_types(item: Operand) -> Sequence[T.Type | None] | None:
    """Types of the elements of a list or tuple whose length is known."""
    if isinstance(item, SequenceOperand):
        return [type_of(i) for i in item.items]
    found = type_of(item)
    if isinstance(found, T.TupleType):
        return found.elements
    return None


def items_of(builder: Builder, item: Operand) -> Sequence[Operand] | None:
    """The elements of a list or tuple whose length is known."""
    if isinstance(item, SequenceOperand):
        return item.items
    if isinstance(item, ValueOperand) and isinstance(item.value.type, T.TupleType):
        count = len(item.value.type.elements)
        return [ValueOperand(builder.tuple_index(item.value, i)) for i in range(count)]
    return None


def element_type(item: Operand) -> T.Type | None:
    """Element type of a list or tuple whose length is not known."""
    found = type_of(item)
    if isinstance(found, (T.ListType, T.VarTupleType)) and isinstance(item, ValueOperand):
        return found.element
    return T.INT if found == T.SIZE else None


# ------------------------------------------------------------------------------------- acceptance


def accepts(formal: T.Type, item: Operand, size: int | None, level: int) -> bool:
    """Whether torch's parser takes ``item`` where a ``formal`` is wanted."""
    formal = T.unwrap_optional(formal)
    if formal == T.ANY:
        return True
    if isinstance(formal, T.ListType):
        return _accepts_list(formal.element, item, size, level)
    if isinstance(item, ConstOperand) and _accepts_object(formal, item.value):
        return True
    found = type_of(item)
    if found is None:
        return False
    if level == LENIENT:
        found = T.unwrap_optional(found)
    return _accepts_type(formal, found, level)


def _accepts_object(formal: T.Type, value: Any) -> bool:
    if formal == T.DTYPE:
        return value in _PYTHON_DTYPES if isinstance(value, type) else False
    if formal == T.DEVICE:
        return isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))
    return False


def _accepts_type(formal: T.Type, found: T.Type, level: int) -> bool:
    if found == formal or (found == T.ANY and level == LENIENT):
        return True
    if isinstance(found, T.UnionType):
        if not T.is_subtype(found, T.NUMBER):
            return False
        found = T.NUMBER
    loose: tuple[T.Type, ...] = (T.TENSOR,) if level == LENIENT else ()
    if formal == T.NUMBER:
        return T.is_numeric(found) or found in loose
    if formal in (T.INT, T.FLOAT, T.BOOL) and level == LENIENT and found == T.NUMBER:
        return True
    if formal == T.FLOAT:
        return found in (T.INT, T.BOOL) or found in loose
    if formal == T.COMPLEX:
        return found in (T.INT, T.BOOL, T.FLOAT) or found in loose
    if formal == T.INT:
        return found in loose
    if formal == T.DEVICE:
        return found == T.STR
    return T.is_subtype(found, formal)


def _accepts_list(element: T.Type, item: Operand, size: int | None, level: int) -> bool:
    inner = T.unwrap_optional(element)
    types = item_types(item)
    if types is None:
        found = element_type(item)
        if found is not None:
            if inner in (T.FLOAT, T.NUMBER) and level == STRICT:
                return found in (element, inner)
            return _accepts_type(inner, T.unwrap_optional(found), level)
        single = type_of(item)
        return (
            bool(size)
            and single is not None
            and inner in (T.INT, T.BOOL, T.FLOAT)
            and _accepts_type(inner, single, level)
        )
    if inner == T.TENSOR:
        # every element is looked at; other lists are judged by their first element
        return all(
            t == T.TENSOR or (t == T.NONE and inner != element) or (level and t in (T.ANY,))
            for t in (T.unwrap_optional(t) if t and level else t for t in types)
        )
    return all(t is not None and _accepts_type(inner, t, level) for t in types)


# ------------------------------------------------------------------------------------- conversion


def convert(builder: Builder, formal: T.Type, item: Operand, size: int | None = None) -> Value:
    """``item`` as a value that fits ``formal``; ``accepts`` has said that it can be one."""
    optional = isinstance(formal, T.OptionalType)
    inner = T.unwrap_optional(formal)
    if optional and is_none(item):
        return builder.constant(None)
    if isinstance(item, ValueOperand) and isinstance(item.value.type, T.OptionalType):
        if T.is_subtype(item.value.type, formal):
            return item.value
        if optional:
            return _map_optional(builder, item.value, formal, size)
    if isinstance(inner, T.ListType):
        return _convert_list(builder, inner.element, item, size)
    if isinstance(item, ConstOperand):
        return _convert_constant(builder, inner, item.value)
    value = to_value(builder, item)
    if isinstance(value.type, T.OptionalType):
        value = builder.node("prim::checked_cast", [value], [value.type.element]).output
    return _convert_value(builder, inner, value)


def _convert_constant(builder: Builder, formal: T.Type, value: Any) -> Value:
    if isinstance(value, type) and value in _PYTHON_DTYPES:
        return builder.constant(_PYTHON_DTYPES[value], T.DTYPE)
    if formal == T.DEVICE and isinstance(value, (str, int)):
        try:
            return builder.constant(torch.device(value), T.DEVICE)
        except RuntimeError as error:
            raise type_error(str(error).partition("\n")[0], builder.span) from None
    if formal == T.FLOAT and isinstance(value, int):
        return builder.constant(float(value))
    if formal == T.COMPLEX and isinstance(value, (int, float)):
        return builder.constant(complex(value))
    constant = to_value(builder, ConstOperand(value))
    return _convert_value(builder, formal, constant)


_FROM_TENSOR: dict[T.Type, str] = {
    T.INT: "tensor::index", T.FLOAT: "tensor::float", T.COMPLEX: "tensor::complex",
    T.NUMBER: "aten::item",
}  # fmt: skip
_NUMERIC: dict[tuple[T.Type, T.Type], tuple[str, ...]] = {
    (T.INT, T.FLOAT): ("int::float",),
    (T.BOOL, T.FLOAT): ("bool::float",),
    (T.NUMBER, T.FLOAT): ("number::float",),
    (T.INT, T.COMPLEX): ("int::complex",),
    (T.FLOAT, T.COMPLEX): ("float::complex",),
    (T.BOOL, T.COMPLEX): ("bool::int", "int::complex"),
    (T.NUMBER, T.COMPLEX): ("number::complex",),
}


def _convert_value(builder: Builder, formal: T.Type, value: Value) -> Value:
    found = value.type
    if T.is_subtype(found, formal):
        return value
    if isinstance(found, T.UnionType) and T.is_subtype(found, T.NUMBER):
        found = T.NUMBER
    if found == T.TENSOR and formal in _FROM_TENSOR:
        return builder.op(_FROM_TENSOR[formal], value)
    if (found, formal) in _NUMERIC:
        for kind in _NUMERIC[found, formal]:
            value = builder.op(kind, value)
        return value
    if found == T.STR and formal == T.DEVICE:
        return builder.op("device::make", value)
    if found in (T.ANY, T.NUMBER) or isinstance(found, (T.OptionalType, T.UnionType)):
        return builder.node("prim::checked_cast", [value], [formal]).output
    raise type_error(f"a {found} cannot become a {formal}", builder.span)


def _map_optional(builder: Builder, value: Value, formal: T.Type, size: int | None) -> Value:
    """Optional[A] as Optional[B] where an A converts to a B."""
    assert isinstance(value.type, T.OptionalType) and isinstance(formal, T.OptionalType)
    missing = builder.node("prim::is_none", [value], [T.BOOL]).output
    node = builder.if_node(missing)
    with builder.at(node.blocks[0]):
        builder.node(YIELD, [builder.constant(None)])
    with builder.at(node.blocks[1]):
        present = builder.cast(value, value.type.element)
        builder.node(YIELD, [convert(builder, formal.element, ValueOperand(present), size)])
    return node.add_output(formal)


def _convert_list(builder: Builder, element: T.Type, item: Operand, size: int | None) -> Value:
    items = items_of(builder, item)
    if items is not None:
        return builder.list([convert(builder, element, i) for i in items], element)
    found = element_type(item)
    if found is None:  # one int for int[N]
        single = convert(builder, element, item)
        return builder.list([single] * (size or 1), element)
    value = to_value(builder, item)
    if not isinstance(value.type, T.ListType):
        value = as_list(builder, value)
    if found == element:
        return value
    return _map_list(builder, value, found, element)


def _map_list(builder: Builder, value: Value, found: T.Type, element: T.Type) -> Value:
    """A new list of the converted elements."""
    result = builder.list([], element)
    count = builder.op("list::len", value)
    loop = builder.node("prim::Loop", [count, builder.constant(True)])
    body = loop.add_block()
    index = body.add_param(T.INT)
    with builder.at(body):
        one = builder.op("list::getitem", value, index)
        one = convert(builder, element, ValueOperand(one))
        builder.op_node("list::append", [result, one])
        builder.node(YIELD, [builder.constant(True)])
    return result


def as_list(builder: Builder, value: Value) -> Value:
    """A ``Tuple[T, ...]`` or ``Size`` under its list type."""
    element = T.INT if value.type == T.SIZE else value.type.contained[0]
    schema = builder.resolve("tuple::as_list")
    return builder.node("tuple::as_list", [value], [T.ListType([element])], schema=schema).output


def as_tuple(builder: Builder, value: Value) -> Value:
    """A list as a ``Tuple[T, ...]``."""
    assert isinstance(value.type, T.ListType)
    schema = builder.resolve("tuple::from_list")
    return builder.node(
        "tuple::from_list", [value], [T.VarTupleType([value.type.element])], schema=schema
    ).output


_CLASS = type


def to_value(builder: Builder, item: Operand, type: T.Type | None = None) -> Value:
    """A constant or display as an IR value, of ``type`` when one is wanted."""
    item = normalise(item)
    if type is not None:
        if not (accepts(type, item, None, LENIENT) or T.is_optional(type)):
            raise type_error(f"{describe(item)} where a {type} is wanted", builder.span)
        return convert(builder, type, item)
    if isinstance(item, ValueOperand):
        return item.value
    if isinstance(item, ConstOperand):
        value = item.value
        if isinstance(value, _CLASS) and value in _PYTHON_DTYPES:
            return builder.constant(_PYTHON_DTYPES[value], T.DTYPE)
        found = type_of_constant(value)
        if found is None:
            raise type_error(f"a {type_name(value)} cannot be used as a value here", builder.span)
        return builder.constant(value, found)
    if isinstance(item, SequenceOperand):
        values = [to_value(builder, i) for i in item.items]
        if item.kind == "tuple":
            return builder.tuple(values)
        element = T.union_of([v.type for v in values]) if values else T.TENSOR
        return builder.list(values, element)
    raise type_error("a slice stands only in a subscript", builder.span)


def type_name(value: Any) -> str:
    """Name of a Python object's class."""
    return type(value).__name__


def default_value(builder: Builder, argument: Argument) -> Value:
    """The constant that a schema argument has when a call leaves it out."""
    if argument.default is NO_DEFAULT:
        assert T.is_optional(argument.type), argument.name
        return builder.constant(None)  # an explicit None
    return constant_for(builder, argument.type, argument.default)


def constant_for(builder: Builder, formal: T.Type, value: Any) -> Value:
    """A schema's default ``value`` for ``formal``."""
    inner = T.unwrap_optional(formal)
    if value is None:
        return builder.constant(None)
    if isinstance(value, EnumDefault):
        return convert(builder, formal, ConstOperand(getattr(torch, value.name)))
    for wanted, numbers in (
        (T.DTYPE, SCALAR_TYPES), (T.LAYOUT, _LAYOUTS), (T.MEMORY_FORMAT, _MEMORY_FORMATS),
    ):  # fmt: skip
        if inner == wanted and isinstance(value, int):
            return builder.constant(numbers[value], wanted)
    return convert(builder, formal, operand(value))
