"""C++ types of the arguments and results of ATen operators, as their schemas imply them.

``argument_type`` maps a schema argument to a ``CxxArgument``: how its C++ type is mangled and how
large it is.  ``argument_alternatives`` lists further C++ types that the same spelling may stand
for; the symbol that exists decides.  ``result_type`` does the same for the results.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from functools import cache

from scriptmode.abi.mangle import Builtin, CxxName, Literal, Named, const_ref, mutable_ref
from scriptmode.ir import types as T
from scriptmode.ir.schema import Argument, OpSchema


class Kind(Enum):
    """How a schema argument is converted to its C++ form."""

    TENSOR = "tensor"  # pointer to a cell that holds the TensorImpl
    OPTIONAL_TENSOR = "optional tensor"
    TENSOR_LIST = "tensor list"
    TENSOR_ILIST = "tensor ilist"  # c10::IListRef const&
    OPTIONAL_TENSOR_LIST = "optional tensor list"  # c10::List<optional<Tensor>> const&
    SCALAR = "scalar"
    OPTIONAL_SCALAR = "optional scalar"
    SCALAR_LIST = "scalar list"
    SYM_INT = "symint"  # invisible reference to an 8-byte cell
    OPTIONAL_SYM_INT = "optional symint"
    SYM_INT_LIST = "symint list"
    OPTIONAL_SYM_INT_LIST = "optional symint list"
    PLAIN = "plain"  # an integer or floating-point register
    OPTIONAL_PLAIN = "optional plain"
    LIST = "list"  # ArrayRef of plain elements
    OPTIONAL_LIST = "optional list"
    BOOL_ARRAY = "bool array"
    STR = "str"
    OPTIONAL_STR = "optional str"
    COUNTED = "counted"  # invisible reference to a cell with an intrusive_ptr
    OPTIONAL_COUNTED = "optional counted"
    STREAM = "stream"
    TENSOR_VECTOR = "tensor vector"  # std::vector<at::Tensor> const&
    OPTIONAL_TENSOR_VECTOR = "optional tensor vector"  # the same, undefined ones for missing ones


class Passing(Enum):
    """How a C++ argument travels, before registers are counted."""

    INTEGER = "integer"  # 1 or 2 integer words
    FLOATING = "floating"  # a double
    MIXED = "mixed"  # a double followed by an integer word
    MEMORY = "memory"  # trivially copyable, more than two words
    REFERENCE = "reference"  # a C++ reference, or a class with a destructor: a pointer


@dataclass(frozen=True)
class CxxArgument:
    """One C++ argument: its type for the symbol, its conversion, its size in 8-byte words."""

    cxx: CxxName
    kind: Kind
    passing: Passing
    words: int = 1
    bits: int = 64  # of a plain value: width in C++
    signed: bool = True
    count: int = 0  # elements of a bool array


LONG = Builtin("l")
DOUBLE = Builtin("d")
BOOL = Builtin("b")
SIGNED_CHAR = Builtin("a")
TENSOR = Named("at", "Tensor")
SCALAR = Named("c10", "Scalar")
SYM_INT = Named("c10", "SymInt")
STRING_VIEW = Named(
    "std",
    "basic_string_view",
    (Builtin("c"), Named("std", "char_traits", (Builtin("c"),))),
)


def _optional(t: CxxName) -> CxxName:
    return Named("std", "optional", (t,))


def _array_ref(t: CxxName) -> CxxName:
    return Named("c10", "ArrayRef", (t,))


def _optional_array_ref(t: CxxName) -> CxxName:
    return Named("c10", "OptionalArrayRef", (t,))


def _plain(t: CxxName, bits: int, signed: bool = True) -> tuple[CxxArgument, CxxArgument]:
    words = 2 if bits == 64 else 1
    return (
        CxxArgument(t, Kind.PLAIN, Passing.INTEGER, 1, bits, signed),
        CxxArgument(_optional(t), Kind.OPTIONAL_PLAIN, Passing.INTEGER, words, bits, signed),
    )


def _table() -> dict[str, CxxArgument]:
    """C++ arguments by the spelling of the schema, alias marks and array sizes removed."""
    ref, integer, memory = Passing.REFERENCE, Passing.INTEGER, Passing.MEMORY
    table = {
        "Tensor": CxxArgument(const_ref(TENSOR), Kind.TENSOR, ref),
        "Tensor?": CxxArgument(const_ref(_optional(TENSOR)), Kind.OPTIONAL_TENSOR, ref),
        "Tensor[]": CxxArgument(_array_ref(TENSOR), Kind.TENSOR_LIST, integer, 2),
        "Tensor?[]": CxxArgument(
            const_ref(Named("c10", "List", (_optional(TENSOR),))), Kind.OPTIONAL_TENSOR_LIST, ref
        ),
        "Scalar": CxxArgument(const_ref(SCALAR), Kind.SCALAR, ref),
        "Scalar?": CxxArgument(const_ref(_optional(SCALAR)), Kind.OPTIONAL_SCALAR, ref),
        "Scalar[]": CxxArgument(_array_ref(SCALAR), Kind.SCALAR_LIST, integer, 2),
        "SymInt": CxxArgument(SYM_INT, Kind.SYM_INT, ref),
        "SymInt?": CxxArgument(_optional(SYM_INT), Kind.OPTIONAL_SYM_INT, ref),
        "SymInt[]": CxxArgument(_array_ref(SYM_INT), Kind.SYM_INT_LIST, integer, 2),
        "SymInt[]?": CxxArgument(
            _optional_array_ref(SYM_INT), Kind.OPTIONAL_SYM_INT_LIST, memory, 3
        ),
        "int[]": CxxArgument(_array_ref(LONG), Kind.LIST, integer, 2),
        "int[]?": CxxArgument(_optional_array_ref(LONG), Kind.OPTIONAL_LIST, memory, 3),
        "float[]": CxxArgument(_array_ref(DOUBLE), Kind.LIST, integer, 2),
        "float[]?": CxxArgument(_optional(_array_ref(DOUBLE)), Kind.OPTIONAL_LIST, memory, 3),
        "bool[]": CxxArgument(_array_ref(BOOL), Kind.LIST, integer, 2),
        "float": CxxArgument(DOUBLE, Kind.PLAIN, Passing.FLOATING),
        "float?": CxxArgument(_optional(DOUBLE), Kind.OPTIONAL_PLAIN, Passing.MIXED, 2),
        "str": CxxArgument(STRING_VIEW, Kind.STR, integer, 2),
        "str?": CxxArgument(_optional(STRING_VIEW), Kind.OPTIONAL_STR, memory, 3),
        "Stream": CxxArgument(Named("c10", "Stream"), Kind.STREAM, integer, 2),
    }
    plain = (
        ("int", LONG, 64, True),
        ("bool", BOOL, 8, False),
        ("DeviceIndex", SIGNED_CHAR, 8, True),
        ("ScalarType", Named("c10", "ScalarType"), 8, True),
        ("Layout", Named("c10", "Layout"), 8, True),
        ("MemoryFormat", Named("c10", "MemoryFormat"), 8, True),
        ("Device", Named("c10", "Device"), 16, False),
    )
    for written, cxx, bits, signed in plain:
        table[written], table[f"{written}?"] = _plain(cxx, bits, signed)
    for written, cxx in (
        ("Generator", Named("at", "Generator")),
        ("Storage", Named("c10", "Storage")),
    ):
        table[written] = CxxArgument(cxx, Kind.COUNTED, ref)
        table[f"{written}?"] = CxxArgument(_optional(cxx), Kind.OPTIONAL_COUNTED, ref)
    return table


ARGUMENTS = _table()
# Other C++ types behind the same spelling; the exported symbol tells which one it is.
ALTERNATIVES = {
    "Tensor[]": CxxArgument(
        const_ref(Named("c10", "IListRef", (TENSOR,))), Kind.TENSOR_ILIST, Passing.REFERENCE
    ),
    "int": ARGUMENTS["DeviceIndex"],
}

_ALIAS = re.compile(r"\([^)]*\)")
_SIZE = re.compile(r"\[\d+\]")


@cache
def spelling(written: str) -> str:
    """A schema type without alias marks and array sizes: ``SymInt[2]?`` gives ``SymInt[]?``."""
    return _SIZE.sub("[]", _ALIAS.sub("", written)).strip()


def argument_type(argument: Argument) -> CxxArgument | None:
    """The C++ argument of a schema argument; None when no C++ type is known for it."""
    written = spelling(argument.written)
    if written == "bool[]" and argument.size:
        array = Named("std", "array", (BOOL, Literal(argument.size)))
        # arrays of up to eight bytes travel in one integer word
        if argument.size > 8:
            return None
        return CxxArgument(array, Kind.BOOL_ARRAY, Passing.INTEGER, count=argument.size)
    found = ARGUMENTS.get(written)
    if found is None or found.kind is not Kind.TENSOR:
        return found
    if argument.alias is not None and argument.alias.is_write:
        return replace(found, cxx=mutable_ref(TENSOR))
    return found


def argument_alternatives(schema: OpSchema) -> Iterator[tuple[CxxArgument, ...]]:
    """The C++ argument lists that ``schema`` may have, likeliest first; none when unknown."""
    first = [argument_type(a) for a in schema.arguments]
    known = [a for a in first if a is not None]
    if len(known) != len(first):
        return
    yield tuple(known)
    for written, other in ALTERNATIVES.items():
        places = [spelling(a.written) == written for a in schema.arguments]
        if any(places):
            yield tuple(other if p else a for p, a in zip(places, known, strict=True))
    if any(a.kind is Kind.TENSOR for a in known):  # resize_ and its kin take const references
        yield tuple(ARGUMENTS["Tensor"] if a.kind is Kind.TENSOR else a for a in known)


class ResultKind(Enum):
    """How a schema result is converted from its C++ form."""

    TENSOR = "tensor"  # an owned at::Tensor
    TENSOR_REFERENCE = "tensor reference"  # at::Tensor&, a cell that the caller passed
    TENSOR_LIST = "tensor list"  # std::vector<at::Tensor>
    OPTIONAL_TENSOR_LIST = "optional tensor list"  # the same, of which some may be undefined
    SCALAR = "scalar"
    SYM_INT = "symint"
    INT = "int"
    FLOAT = "float"
    BYTE = "byte"  # bool, dtype, qscheme, layout


@dataclass(frozen=True)
class CxxResult:
    """One C++ result: conversion, size and alignment as an element of a std::tuple."""

    kind: ResultKind
    size: int
    align: int = 8
    in_memory: bool = False  # returned through a pointer even when it is the only result


_RESULTS = {
    "Tensor": CxxResult(ResultKind.TENSOR, 8, 8, True),
    "Tensor[]": CxxResult(ResultKind.TENSOR_LIST, 24, 8, True),
    "Scalar": CxxResult(ResultKind.SCALAR, 32, 16, True),
    "SymInt": CxxResult(ResultKind.SYM_INT, 8, 8, True),
    "int": CxxResult(ResultKind.INT, 8),
    "float": CxxResult(ResultKind.FLOAT, 8),
    "bool": CxxResult(ResultKind.BYTE, 1, 1),
    "ScalarType": CxxResult(ResultKind.BYTE, 1, 1),
    "QScheme": CxxResult(ResultKind.BYTE, 1, 1),
    "Layout": CxxResult(ResultKind.BYTE, 1, 1),
    "MemoryFormat": CxxResult(ResultKind.BYTE, 1, 1),
}
_REFERENCE_RESULT = CxxResult(ResultKind.TENSOR_REFERENCE, 8)


def result_types(schema: OpSchema) -> tuple[CxxResult, ...] | None:
    """The C++ results of ``schema``; None when one is of an unknown type."""
    found: list[CxxResult] = []
    for result in schema.returns:
        written = spelling(result.written)
        writes = result.alias is not None and result.alias.is_write
        known = _REFERENCE_RESULT if writes and written == "Tensor" else _RESULTS.get(written)
        if known is None or (writes and result.type != T.TENSOR):
            return None
        found.append(known)
    return tuple(found)


def tuple_offsets(results: tuple[CxxResult, ...]) -> tuple[list[int], int, int]:
    """Offsets of a ``std::tuple``'s elements, its size and alignment, as libstdc++ lays it out.

    libstdc++ stores the elements in reverse order.
    """
    offsets = [0] * len(results)
    end, align = 0, 1
    for index in reversed(range(len(results))):
        element = results[index]
        offsets[index] = -(-end // element.align) * element.align
        end = offsets[index] + element.size
        align = max(align, element.align)
    return offsets, -(-end // align) * align, align
