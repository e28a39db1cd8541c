"""The native library as programs see it, and the default lowering: a call of its function.

An op ``list::insert`` without a lowering of its own is the native function ``sm_list_insert`` with
status and context; arguments whose type is a type variable go by the address of their memory,
aggregates (complex numbers, optional ints) as their scalars one by one, the result by address
(several results as one tuple).

The library itself belongs to the runtime, which registers it here (``use_library``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from llvmlite import ir

from scriptmode.abi.layouts import llvm_type
from scriptmode.codegen.function import FunctionEmitter, refuse_tensors
from scriptmode.codegen.lowering import DEFINED, lower
from scriptmode.ir import types as T
from scriptmode.ir.graph import Node
from scriptmode.ir.types import Type


class NativeLibrary(Protocol):
    """What code generation needs of the runtime."""

    def ensure_loaded(self) -> None:
        """Make the library's functions resolvable by every engine."""

    def signature(self, name: str) -> str | None:
        """The LLVM type of a function of the library as text; None when there is none."""

    def describe(self, types: Iterable[Type]) -> None:
        """Make the types' descriptors resolvable."""

    def can_cross(self, t: Type) -> bool:
        """Whether values of a type have a form in Python."""

    def enum_member(self, t: T.EnumType, name: str) -> int:
        """Address of an enum member's immortal object."""

    def set_class_function(self, t: T.ClassType, offset: int, function: int) -> None:
        """Enter a function of a user class into its descriptor."""

    def frozen_set(self, t: Type, value: frozenset[Any]) -> int:
        """Address of an immortal frozenset."""


# ops that ask whether elements are equal or which is less
COMPARING = frozenset(
    f"{kind}::{name}"
    for kind, names in {
        "list": ("contains", "index", "count", "remove", "eq", "lt", "le", "sort"), "dict": ("eq",),
    }.items()
    for name in names
)  # fmt: skip

_libraries: list[NativeLibrary] = []


def use_library(library: NativeLibrary) -> None:
    """Register the native library of this process."""
    _libraries.append(library)


def library() -> NativeLibrary:
    """The registered library; raises RuntimeError when the runtime is not imported."""
    if not _libraries:
        raise RuntimeError("no native library is registered: import scriptmode.runtime.link")
    return _libraries[-1]


def native_name(kind: str) -> str:
    """The library's function for an op without a lowering of its own."""
    return "sm_" + kind.replace("::", "_").replace(".", "_")


@lower("*")
def emit_native(f: FunctionEmitter, node: Node, *values: ir.Value) -> object:
    """Call the library's function of the op's name."""
    assert node.schema is not None
    if node.kind in COMPARING:
        refuse_tensors(node)
    arguments: list[ir.Value] = []
    for argument, value in zip(node.schema.arguments, values, strict=True):
        if isinstance(argument.type, T.TypeVar):
            arguments.append(f.spill(value))
        else:
            arguments += flattened(f, value)
    if len(node.outputs) > 1:
        return native_tuple(f, node, arguments)
    f.native_call(native_name(node.kind), arguments, node.outputs)
    return DEFINED


def native_tuple(f: FunctionEmitter, node: Node, arguments: list[ir.Value]) -> list[ir.Value]:
    """Several results, which the function writes as one tuple."""
    t = ir.LiteralStructType([llvm_type(o.type) for o in node.outputs])
    value = f.native_result(native_name(node.kind), arguments, t)
    return [f.b.extract_value(value, index) for index in range(len(node.outputs))]


def flattened(f: FunctionEmitter, value: ir.Value) -> list[ir.Value]:
    """The scalars of an aggregate, in order."""
    if not isinstance(value.type, ir.LiteralStructType):
        return [value]
    found = []
    for index in range(len(value.type.elements)):
        found += flattened(f, f.b.extract_value(value, index))
    return found
