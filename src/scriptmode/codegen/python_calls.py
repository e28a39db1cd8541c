"""Calls of Python functions through the host table.

The text of tensors, modules and other values that only Python can write comes this way, and so do
calls of functions that the user has left to Python.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from scriptmode.abi.convention import I64, PTR
from scriptmode.abi.layouts import llvm_type
from scriptmode.codegen import tensors
from scriptmode.codegen.function import FunctionEmitter
from scriptmode.ir import types as T
from scriptmode.ir.graph import Node, Value
from scriptmode.ir.types import Type

_PYTHON_TEXT = (T.TENSOR, T.ANY, T.GENERATOR, T.STORAGE, T.STREAM, T.QSCHEME)
_NAMED_TUPLE_FILE = collections.namedtuple.__code__.co_filename


def call_python(f: FunctionEmitter, node: Node, function: Callable[..., Any]) -> ir.Value:
    """The result of ``function`` on the inputs of ``node``, of the type of its output."""
    f.unit.crossings.append(node)
    inputs: Sequence[Value] = node.inputs
    cell = f.b.load(f.unit.cell(function), typ=PTR)
    descriptors = f.unit.pointer_array([f.unit.descriptor(v.type) for v in inputs])
    addresses = f.temporary(ir.ArrayType(PTR, len(inputs)))
    for index, value in enumerate(inputs):
        tensors.store(f.b, f.spill(f.values[value]), addresses, 8 * index)
    result_type = result_of(node)
    place = f.temporary(llvm_type(result_type))
    arguments = [cell, ir.Constant(I64, len(inputs)), descriptors, addresses,
                 f.unit.descriptor(result_type), place]  # fmt: skip
    f.check(f.host_call("python_call", arguments))
    return f.b.load(place, typ=llvm_type(result_type))


def result_of(node: Node) -> Type:
    """The type of what Python returns for the outputs of ``node``."""
    if len(node.outputs) > 1:
        return T.TupleType([v.type for v in node.outputs])
    return node.outputs[0].type if node.outputs else T.NONE


def has_native_text(t: Type) -> bool:
    """Whether the native library writes ``str`` and ``repr`` of every value of ``t``."""
    return not any(map(_is_written_by_python, T.walk(t)))


def _is_written_by_python(t: Type) -> bool:
    if isinstance(t, T.ClassType):
        return any("__repr__" not in c.methods for c in (t, *t.subclasses))
    if t in _PYTHON_TEXT or isinstance(t, (T.FunctionType, T.FutureType)):
        return True
    if isinstance(t, T.NamedTupleType):
        cls = t.python_class
        own = cls is None or any(
            getattr(cls, n) is not getattr(object, n) for n in ("__str__", "__format__")
        )
        code = getattr(getattr(cls, "__repr__", None), "__code__", None)
        return own or code is None or code.co_filename != _NAMED_TUPLE_FILE
    return False


def has_native_format(t: Type) -> bool:
    """Whether the native library formats every value of ``t`` by a format spec."""
    return has_native_text(t) and not any(p in (T.COMPLEX, T.NUMBER) for p in T.walk(t))
