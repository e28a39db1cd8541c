"""What values of an archive may be, for its writer and its reader."""

from __future__ import annotations

import collections
import math
import struct
import types
from collections.abc import Callable, Mapping
from typing import Any

import torch

from scriptmode.archive.classes import class_name
from scriptmode.support.markers import IGNORE, UNUSED, modifier_of

Json = Any
FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, types.MethodDescriptorType)
_KNOWN_FUNCTIONS = (
    "scriptmode.frontend.script.", "torch._C:TensorBase.", "torch._C:Generator.",
    "torch.autograd:grad", "torch.autograd:backward", "torch._functorch.", "builtins:hash",
    "copy:copy", "copy:deepcopy", "cmath:isclose",
)  # fmt: skip
NAMED = (torch.dtype, torch.layout, torch.memory_format)
SEQUENCES: Mapping[type, str] = {
    list: "list", tuple: "tuple", torch.Size: "size", collections.deque: "deque",
}  # fmt: skip
SETS: Mapping[type, str] = {set: "set", frozenset: "frozenset"}
DICTS: Mapping[type, str] = {
    dict: "dict", collections.OrderedDict: "ordered", collections.Counter: "counter",
    collections.defaultdict: "default",
}  # fmt: skip
IMMUTABLE = frozenset(["tuple", "size", "frozenset", "namedtuple"])
INT = 1 << 63
HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: a class that a class statement has made
# what an instance of a class of the user's may be besides: how to read it past the class's methods
BASES: Mapping[type, Callable[[Any], Any]] = {
    tuple: lambda value: tuple(tuple.__iter__(value)),
    frozenset: lambda value: frozenset(frozenset.__iter__(value)),
    str: str.__str__,
    bytes: lambda value: bytes.__getitem__(value, slice(None)),
    int: int.__int__,
    float: float.__float__,
}


def function_name(function: Any) -> str:
    """``module:path`` by which a function calls itself."""
    owner = getattr(function, "__objclass__", None)
    if owner is not None:
        return f"{class_name(owner)}.{function.__name__}"
    return f"{function.__module__}:{function.__qualname__}"


def may_be_called(name: str, function: Any) -> bool:
    """Whether a program from a file may name the function: it was marked, or is a known one."""
    return name.startswith(_KNOWN_FUNCTIONS) or modifier_of(function) in (IGNORE, UNUSED)


def float_text(value: float) -> str:
    """Text of every bit of a float."""
    if math.isnan(value):
        return "nan:" + struct.pack("<d", value).hex()
    return value.hex()


def float_of(text: str) -> float:
    """What ``float_text`` has written."""
    if text.startswith("nan:"):
        value: float = struct.unpack("<d", bytes.fromhex(text[4:]))[0]
        return value
    return float.fromhex(text)
