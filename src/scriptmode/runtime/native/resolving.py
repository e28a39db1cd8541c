"""Look through Optional, Union and number: what a slot holds, and of which kind it is.

``resolve`` writes a resolved value, ``{slot, descriptor, kind}``, that the other functions take.
"""

from __future__ import annotations

from scriptmode.abi.objects import (
    DESC_KIND,
    DESC_N_CHILDREN,
    DESC_NAME,
    DESC_SIZE,
    ENUM_DATA,
    HEAP_DESCRIPTOR,
    KIND_ARRAY_TUPLE,
    KIND_BOOL,
    KIND_CLASS,
    KIND_COMPLEX,
    KIND_ENUM,
    KIND_FLOAT,
    KIND_FROZEN_SET,
    KIND_INT,
    KIND_LIST,
    KIND_NONE,
    KIND_NUMBER,
    KIND_OPTIONAL_POINTER,
    KIND_OPTIONAL_VALUE,
    KIND_SET,
    KIND_SIZE,
    KIND_TUPLE,
    KIND_UNION,
    LIST_DATA,
    LIST_LENGTH,
    TAG_COMPLEX,
    TAG_FLOAT,
)
from scriptmode.codegen.native import i8, i64, load, native, ptr, store, text, udiv
from scriptmode.runtime.native.memory import child, child_offset, sm_any_slot

V_SLOT = 0
V_DESCRIPTOR = 8
V_KIND = 16


@native
def resolve(v: ptr, slot: ptr, descriptor: ptr) -> i64:
    """Look through Optional, Union and number; write slot, descriptor, kind to ``v``; the kind."""
    kind = load(i64, descriptor, DESC_KIND)
    while True:
        if kind == KIND_OPTIONAL_POINTER:
            if load(ptr, slot) == 0:
                kind = KIND_NONE
                break
            descriptor = child(descriptor, 0)
        elif kind == KIND_OPTIONAL_VALUE:
            if load(i8, slot) == 0:
                kind = KIND_NONE
                break
            slot = slot + child_offset(descriptor, 0)
            descriptor = child(descriptor, 0)
        elif kind == KIND_UNION:
            descriptor = load(ptr, slot)
            slot = sm_any_slot(slot)
        elif kind == KIND_NUMBER:
            tag = load(i64, slot)
            slot = slot + 8
            kind = KIND_INT
            if tag == TAG_FLOAT:
                kind = KIND_FLOAT
            elif tag == TAG_COMPLEX:
                kind = KIND_COMPLEX
            break
        else:
            break
        kind = load(i64, descriptor, DESC_KIND)
    if kind == KIND_CLASS:
        descriptor = load(ptr, load(ptr, slot), HEAP_DESCRIPTOR)  # of the class that it is of
    store(ptr, v, V_SLOT, slot)
    store(ptr, v, V_DESCRIPTOR, descriptor)
    store(i64, v, V_KIND, kind)
    return kind


@native
def resolve_data(v: ptr, slot: ptr, descriptor: ptr) -> i64:
    """``resolve`` that looks through members of an IntEnum and the like, too."""
    kind = resolve(v, slot, descriptor)
    if kind == KIND_ENUM:
        member = load(ptr, load(ptr, v, V_SLOT))
        data = load(ptr, member, ENUM_DATA)
        if data != 0:
            kind = load(i64, data, DESC_KIND)
            store(ptr, v, V_SLOT, member + ENUM_DATA + 8)
            store(ptr, v, V_DESCRIPTOR, data)
            store(i64, v, V_KIND, kind)
    return kind


@native
def is_tuple(kind: i64) -> bool:
    """Whether a tuple of any layout."""
    return kind in (KIND_TUPLE, KIND_ARRAY_TUPLE, KIND_SIZE)


@native
def tuple_length(v: ptr) -> i64:
    """The number of items of a resolved tuple."""
    if load(i64, v, V_KIND) == KIND_TUPLE:
        return load(i64, load(ptr, v, V_DESCRIPTOR), DESC_N_CHILDREN)
    return load(i64, load(ptr, load(ptr, v, V_SLOT)), LIST_LENGTH)


@native
def tuple_item(v: ptr, i: i64) -> ptr:
    """The slot of an item of a resolved tuple."""
    descriptor = load(ptr, v, V_DESCRIPTOR)
    slot = load(ptr, v, V_SLOT)
    if load(i64, v, V_KIND) == KIND_TUPLE:
        return slot + child_offset(descriptor, i)
    return load(ptr, load(ptr, slot), LIST_DATA) + i * load(i64, child(descriptor, 0), DESC_SIZE)


@native
def tuple_item_type(v: ptr, i: i64) -> ptr:
    """The descriptor of an item of a resolved tuple."""
    descriptor = load(ptr, v, V_DESCRIPTOR)
    return child(descriptor, i if load(i64, v, V_KIND) == KIND_TUPLE else i64(0))


@native
def is_set(kind: i64) -> bool:
    """Whether a set or frozenset."""
    return kind in (KIND_SET, KIND_FROZEN_SET)


@native
def range_length(r: ptr) -> i64:
    """``len`` of a range ``{start, stop, step}``."""
    start = load(i64, r)
    stop = load(i64, r, 8)
    step = load(i64, r, 16)
    if step > 0:
        return udiv(stop - start - 1, step) + 1 if start < stop else i64(0)
    return udiv(start - stop - 1, 0 - step) + 1 if stop < start else i64(0)


@native
def type_name(v: ptr) -> ptr:
    """The Python name of a resolved value's type: a borrowed str."""
    kind = load(i64, v, V_KIND)
    if kind == KIND_NONE:
        return text("NoneType")
    if kind == KIND_INT:
        return text("int")
    if kind == KIND_FLOAT:
        return text("float")
    if kind == KIND_BOOL:
        return text("bool")
    if kind == KIND_COMPLEX:
        return text("complex")
    if kind == KIND_LIST:
        return text("list")
    return load(ptr, load(ptr, v, V_DESCRIPTOR), DESC_NAME)
