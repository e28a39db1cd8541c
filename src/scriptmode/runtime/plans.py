"""Plans: how values of each IR type cross the Python boundary.

``plan(t)`` is the address of an immortal block laid out by ``frame``; native code follows it.
"""

from __future__ import annotations

import collections
import ctypes
import inspect
import sys
import threading
import types
from collections.abc import Mapping, Sequence

import torch
from llvmlite import ir

from scriptmode.abi import dtypes, instances, layouts, objects
from scriptmode.interp.values import factory_of
from scriptmode.ir import enumerations
from scriptmode.ir import types as T
from scriptmode.runtime import descriptors, frame
from scriptmode.support.diagnostics import Diagnostic, NotBuiltError
from scriptmode.support.futures import Future
from scriptmode.support.locks import held_while_forking
from scriptmode.support.outside import OutsideVariable

_lock = held_while_forking(threading.RLock())
_plans: dict[int, int] = {}  # by descriptor: class types of one name differ there
_kept: list[object] = []  # blocks, and Python objects that they refer to

_SIMPLE: Mapping[T.Type, int] = {
    T.NONE: frame.IN_NONE,
    T.NEVER: frame.IN_NONE,
    T.INT: frame.IN_INT,
    T.FLOAT: frame.IN_FLOAT,
    T.BOOL: frame.IN_BOOL,
    T.COMPLEX: frame.IN_COMPLEX,
    T.NUMBER: frame.IN_NUMBER,
    T.STR: frame.IN_STR,
    T.TENSOR: frame.IN_TENSOR,
    T.SIZE: frame.IN_SIZE,
    T.DEVICE: frame.IN_DEVICE,
    T.DTYPE: frame.IN_CODE,
    T.LAYOUT: frame.IN_CODE,
    T.MEMORY_FORMAT: frame.IN_CODE,
    T.QSCHEME: frame.IN_CODE,
    T.GENERATOR: frame.IN_GENERATOR,
    T.BYTES: frame.IN_BYTES,
    T.RANGE: frame.IN_RANGE,
}
_CLASSES: Mapping[T.Type, type] = {
    T.SIZE: torch.Size,
    T.DEVICE: torch.device,
    T.DTYPE: torch.dtype,
    T.LAYOUT: torch.layout,
    T.MEMORY_FORMAT: torch.memory_format,
    T.QSCHEME: torch.qscheme,
    T.GENERATOR: torch.Generator,
    T.BYTES: bytes,
    T.RANGE: range,
    T.ANY: object,
}
_SLOTS = (types.MemberDescriptorType, OutsideVariable)
_CONTAINERS: Mapping[type[T.Type], type] = {
    T.DictType: dict,
    T.OrderedDictType: collections.OrderedDict,
    T.DefaultDictType: collections.defaultdict,
    T.CounterType: collections.Counter,
    T.SetType: set,
    T.FrozenSetType: frozenset,
    T.DequeType: collections.deque,
    T.VarTupleType: tuple,
}
_QSCHEMES = (
    torch.per_tensor_affine, torch.per_channel_affine, torch.per_tensor_symmetric,
    torch.per_channel_symmetric, torch.per_channel_affine_float_qparams,
)  # fmt: skip
_CODES: Mapping[T.Type, Mapping[int, object]] = {
    T.DTYPE: dtypes.DTYPES,
    T.LAYOUT: dtypes.LAYOUTS,
    T.MEMORY_FORMAT: dtypes.MEMORY_FORMATS,
    T.QSCHEME: dict(enumerate(_QSCHEMES)),
}
# What an Any argument may be; containers need a static type.
_ANY_MEMBERS = (
    T.NONE, T.TENSOR, T.INT, T.FLOAT, T.BOOL, T.STR, T.COMPLEX, T.SIZE, T.DEVICE, T.DTYPE, T.LAYOUT,
    T.MEMORY_FORMAT, T.GENERATOR,
)  # fmt: skip


def words(values: Sequence[int]) -> int:
    """The address of an immortal array of 8-byte words; 0 when empty."""
    if not values:
        return 0
    block = (ctypes.c_int64 * len(values))(*values)
    _kept.append(block)
    return ctypes.addressof(block)


def plan(t: T.Type) -> int:
    """The address of the type's plan."""
    with _lock:
        descriptor = descriptors.descriptor(t)
        found = _plans.get(descriptor)
        if found is None:
            block = (ctypes.c_int64 * frame.PLAN_WORDS)()
            _kept.append(block)
            # known before it is filled: a type may contain itself
            found = _plans[descriptor] = ctypes.addressof(block)
            for offset, value in _fields(t, descriptor).items():
                block[offset // 8] = value
            reserved = ctypes.c_int64.from_address(descriptor + objects.DESC_RESERVED)
            reserved.value = found
        return found


def known(obj: object) -> tuple[int, object]:
    """The plan of an argument that must be one Python object, and what must live as long."""
    block = (ctypes.c_int64 * frame.PLAN_WORDS)()
    fields = {
        frame.PLAN_KIND: frame.IN_KNOWN,
        frame.PLAN_DESCRIPTOR: descriptors.descriptor(T.NONE),
        frame.PLAN_SIZE: layouts.size_of(T.NONE),
        frame.PLAN_CLASS: id(obj),
    }
    for offset, value in fields.items():
        block[offset // 8] = value
    return ctypes.addressof(block), (block, obj)


def plan_of_descriptor(address: int | None) -> int:
    """The plan of a type met at run time, by its descriptor; None: a value without Python form."""
    if address is None:
        raise NotImplementedError("the value has no Python form")
    return plan(descriptors.type_of(address))


def type_of_descriptor(address: int) -> T.Type:
    """The type behind a descriptor."""
    return descriptors.type_of(address)


def check_supported(t: T.Type, what: str) -> None:
    """Raise NotBuiltError unless values of ``t`` can cross the boundary as ``what``."""
    for part in T.walk(t):
        if not is_supported(part):
            raise NotBuiltError(
                Diagnostic("SM0902", f"{what} of type {part} cannot cross to Python yet")
            )


def is_supported(t: T.Type) -> bool:
    """Whether values of ``t`` have a form in Python, both ways."""
    refused = (frame.IN_UNSUPPORTED, frame.IN_MODULE)
    return all(
        _kind(part) not in refused
        for part in _parts(t, set())
        if not isinstance(part, T.ArrayType)  # in frames only, which Python does not look into
    )


def _parts(t: T.Type, seen: set[T.Type]) -> list[T.Type]:
    """All types in ``t``, those of the attributes of classes among them."""
    found = []
    for part in T.walk(t):
        found.append(part)
        if T.is_exception(part):
            continue  # it crosses with whatever attributes Python has a form for
        if isinstance(part, T.ClassType) and not part.is_module and part not in seen:
            seen.update([part, *part.subclasses])
            for cls in (part, *part.subclasses):
                for attribute in cls.attributes.values():
                    found += _parts(attribute, seen)
    return found


def _kind(t: T.Type) -> int:
    if t in _SIMPLE:
        return _SIMPLE[t]
    if isinstance(t, T.OptionalType):
        is_pointer = isinstance(layouts.llvm_type(t), ir.PointerType)
        return frame.IN_OPTIONAL_POINTER if is_pointer else frame.IN_OPTIONAL_VALUE
    if t == T.ANY:
        return frame.IN_UNION
    if T.is_exception(t):
        return frame.IN_EXCEPTION
    if isinstance(t, T.ClassType) and t.is_module:
        return frame.IN_MODULE
    if isinstance(t, T.ClassType):
        return frame.IN_OBJECT if t.python_class is not None else frame.IN_UNSUPPORTED
    for constructor, kind in (
        (T.ListType, frame.IN_LIST),
        (T.DictType, frame.IN_DICT),
        (T.FrozenSetType, frame.IN_FROZEN_SET),
        (T.SetType, frame.IN_SET),
        (T.DequeType, frame.IN_DEQUE),
        (T.NamedTupleType, frame.IN_NAMED_TUPLE),
        (T.TupleType, frame.IN_TUPLE),
        (T.VarTupleType, frame.IN_VAR_TUPLE),
        (T.UnionType, frame.IN_UNION),
        (T.EnumType, frame.IN_ENUM),
        (T.FutureType, frame.IN_FUTURE),
        (T.CellType, frame.IN_CELL),
    ):
        if isinstance(t, constructor):
            if getattr(t, "python_class", t) is None:
                return frame.IN_UNSUPPORTED
            return kind
    return frame.IN_UNSUPPORTED


def _children(t: T.Type, kind: int, descriptor: int) -> tuple[Sequence[T.Type], int]:
    """Contained types, and the address of their offsets (0 where there are none)."""
    offsets = ctypes.c_int64.from_address(descriptor + objects.DESC_OFFSETS).value
    if kind == frame.IN_SIZE:
        return (T.INT,), 0
    if t == T.ANY:
        return _ANY_MEMBERS, 0
    if kind in (frame.IN_UNSUPPORTED, frame.IN_MODULE, frame.IN_EXCEPTION, frame.IN_CELL):
        return (), 0
    return t.contained, offsets


def _object_fields(t: T.ClassType, descriptor: int) -> dict[int, int]:
    """The fields of the plan of a user class."""
    cls = t.python_class
    assert cls is not None
    exact = [plan(c) for c in (t, *t.subclasses) if not inspect.isabstract(c.python_class)]
    offsets = instances.slot_offsets(t)
    names = [sys.intern(name) for name in t.slots]
    maker = object.__new__  # the program itself calls a `__new__` of the user's
    absent = [sys.intern(name) for name in sorted(t.left_to_class)]
    _kept.extend([cls, names, absent, maker])
    flags, places = [], []
    for name in names:
        in_slot = isinstance(inspect.getattr_static(cls, name, None), _SLOTS)
        lacks = t.may_lack(name)
        flags.append(frame.FIELD_MAY_LACK * lacks + frame.FIELD_IN_DICT * (not in_slot))
        places.append(offsets[name] + lacks * instances.value_offset(t.attributes[name]))
    return {
        frame.PLAN_KIND: frame.IN_OBJECT,
        frame.PLAN_DESCRIPTOR: descriptor,
        frame.PLAN_SIZE: layouts.size_of(t),
        frame.PLAN_CLASS: id(cls),
        frame.PLAN_N: len(names),
        frame.PLAN_CHILDREN: words([plan(t.attributes[name]) for name in names]),
        frame.PLAN_OFFSETS: words(places),
        frame.PLAN_TABLE: words([id(name) for name in (*names, *absent)]),
        frame.PLAN_TABLE_N: len(names) + len(absent),
        frame.PLAN_NATIVE: words([offsets[name] for name in names]),
        frame.PLAN_CLASSES: words(exact),
        frame.PLAN_CLASSES_N: len(exact),
        frame.PLAN_FLAGS: words(flags),
        frame.PLAN_MAKER: id(maker),
    }


def _fields(t: T.Type, descriptor: int) -> dict[int, int]:
    kind = _kind(t)
    if kind == frame.IN_OBJECT:
        assert isinstance(t, T.ClassType)
        return _object_fields(t, descriptor)
    contained, offsets = _children(t, kind, descriptor)
    table, natives = _table(t, kind)
    python_class = _CLASSES.get(t) or _CONTAINERS.get(type(t), getattr(t, "python_class", None))
    if kind == frame.IN_FUTURE:
        python_class = Future
    _kept.extend([table, python_class])
    return {
        frame.PLAN_KIND: kind,
        frame.PLAN_DESCRIPTOR: descriptor,
        frame.PLAN_SIZE: layouts.size_of(t),
        frame.PLAN_CLASS: 0 if python_class is None else id(python_class),
        frame.PLAN_N: len(contained),
        frame.PLAN_CHILDREN: words([plan(c) for c in contained]),
        frame.PLAN_OFFSETS: offsets,
        frame.PLAN_TABLE: words([id(o) for o in table]),
        frame.PLAN_TABLE_N: len(table),
        frame.PLAN_NATIVE: words(natives),
    }


def _table(t: T.Type, kind: int) -> tuple[list[object], list[int]]:
    """Python objects by number, and the native objects that they stand for."""
    if kind == frame.IN_CODE:
        return code_table(t), []
    if kind == frame.IN_ENUM and isinstance(t, T.EnumType) and t.python_class is not None:
        members: list[object] = [enumerations.member(t, name) for name in t.members]
        return members, [descriptors.enum_member(t, name) for name in t.members]
    if kind == frame.IN_NAMED_TUPLE and isinstance(t, T.NamedTupleType):
        # torch.return_types.* are called with a sequence, classes of namedtuple have _make
        return [getattr(t.python_class, "_make", t.python_class)], []
    if kind == frame.IN_FUTURE:
        return [Future.of], []
    if isinstance(t, T.DefaultDictType):
        return [factory_of(t.made)], []
    if isinstance(t, T.DequeType):
        return [collections.deque.clear, collections.deque.extend], []
    return [], []


def code_table(t: T.Type) -> list[object]:
    """The dtypes, layouts, memory formats or qschemes by number; None where there is none."""
    numbered = _CODES[t]
    return [numbered.get(number) for number in range(max(numbered) + 1)]
