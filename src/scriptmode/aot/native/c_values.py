"""Values of C and native ones: arguments come in, results go out.

A ``value`` of C (see ``aot.layouts``) says its kind itself; what a native slot holds its descriptor
says.  Results are copies in memory of malloc, except tensors, which are lent with an owner.
"""

from __future__ import annotations

from scriptmode.abi.objects import (
    DESC_CHILDREN,
    DESC_KIND,
    DESC_N_CHILDREN,
    DESC_NAME,
    DESC_OFFSETS,
    DESC_SIZE,
    DICT_ENTRIES,
    DICT_LENGTH,
    DICT_USED,
    ENTRY_ERASED,
    ENTRY_HASH,
    ENTRY_KEY,
    KIND_ARRAY_TUPLE,
    KIND_BOOL,
    KIND_COMPLEX,
    KIND_DICT,
    KIND_FLOAT,
    KIND_INT,
    KIND_LIST,
    KIND_NONE,
    KIND_OPTIONAL_POINTER,
    KIND_OPTIONAL_VALUE,
    KIND_SIZE,
    KIND_STR,
    KIND_TENSOR,
    KIND_TUPLE,
    LIST_DATA,
    LIST_LENGTH,
)
from scriptmode.aot.layouts import (
    C_BOOL,
    C_COMPLEX,
    C_DICT,
    C_FLOAT,
    C_INT,
    C_LIST,
    C_NONE,
    C_STR,
    C_TENSOR,
    C_TUPLE,
    VALUE_KIND,
    VALUE_N,
    VALUE_OWNER,
    VALUE_PAYLOAD,
    VALUE_SIZE,
)
from scriptmode.codegen.native import (
    extern,
    f64,
    i8,
    i32,
    i64,
    load,
    memcpy,
    memset,
    native,
    ptr,
    stack,
    store,
    text,
    zext,
)
from scriptmode.runtime.native.builder import b_finish, b_init, b_text
from scriptmode.runtime.native.errors import (
    TYPE_ERROR,
    VALUE_ERROR,
    raise_from,
    sm_raise_memory_error,
)
from scriptmode.runtime.native.lists import sm_list_new
from scriptmode.runtime.native.memory import (
    child,
    child_offset,
    entry_size,
    entry_value_offset,
    sm_release,
    sm_slot_drop,
)
from scriptmode.runtime.native.utf8 import sm_str_from_utf8, sm_utf8_length, sm_utf8_write

malloc = extern("malloc", ptr, i64)
free = extern("free", None, ptr)
# of the flavour
aot_tensor_in = extern("aot_tensor_in", i32, ptr, ptr, ptr)
aot_tensor_out = extern("aot_tensor_out", i32, ptr, ptr, ptr)
aot_tensor_free = extern("aot_tensor_free", None, ptr)

MOST_DEPTH = 64  # of values inside of each other


@native
def misfit(ctx: ptr, descriptor: ptr) -> i32:
    """TypeError: the value is of another kind."""
    b = stack(40)
    b_init(b)
    b_text(b, text("expected "))
    b_text(b, load(ptr, descriptor, DESC_NAME))
    return raise_from(ctx, TYPE_ERROR, b_finish(b))


# ---- in ----


@native
def aot_value_in(ctx: ptr, value: ptr, descriptor: ptr, slot: ptr) -> i32:
    """Write an owned native value to ``slot``."""
    return value_in(ctx, value, descriptor, slot, 0)


@native
def value_in(ctx: ptr, value: ptr, descriptor: ptr, slot: ptr, depth: i64) -> i32:
    """``aot_value_in`` at a depth."""
    kind = load(i64, descriptor, DESC_KIND)
    given = zext(i64, load(i32, value, VALUE_KIND))
    payload = value + VALUE_PAYLOAD
    if depth > MOST_DEPTH:
        return raise_from(ctx, VALUE_ERROR, text("values are nested too deeply"))
    if kind in (KIND_OPTIONAL_POINTER, KIND_OPTIONAL_VALUE):
        return optional_in(ctx, value, descriptor, slot, depth)
    if kind == KIND_NONE and given == C_NONE:
        return 0
    if kind == KIND_INT and given == C_INT:
        store(i64, slot, 0, load(i64, payload))
        return 0
    if kind == KIND_FLOAT and given == C_FLOAT:
        store(f64, slot, 0, load(f64, payload))
        return 0
    if kind == KIND_COMPLEX and given == C_COMPLEX:
        memcpy(slot, payload, 16)
        return 0
    if kind == KIND_BOOL and given == C_BOOL:
        store(i8, slot, 0, i8(1) if load(i64, payload) != 0 else i8(0))
        return 0
    if kind == KIND_STR and given == C_STR:
        return text_in(ctx, load(ptr, payload), load(i64, value, VALUE_N), slot)
    if kind == KIND_TENSOR and given == C_TENSOR:
        return aot_tensor_in(ctx, load(ptr, payload), slot)
    if kind == KIND_LIST and given == C_LIST:
        return list_in(ctx, value, descriptor, slot, depth)
    if kind == KIND_TUPLE and given == C_TUPLE:
        return tuple_in(ctx, value, descriptor, slot, depth)
    return misfit(ctx, descriptor)


@native
def optional_in(ctx: ptr, value: ptr, descriptor: ptr, slot: ptr, depth: i64) -> i32:
    """A value or None."""
    inner = child(descriptor, 0)
    by_value = load(i64, descriptor, DESC_KIND) == KIND_OPTIONAL_VALUE
    memset(slot, i8(0), load(i64, descriptor, DESC_SIZE))
    if zext(i64, load(i32, value, VALUE_KIND)) == C_NONE:
        return 0
    place = slot
    if by_value:
        store(i8, slot, 0, i8(1))
        place = slot + child_offset(descriptor, 0)
    return value_in(ctx, value, inner, place, depth + 1)


@native
def is_utf8(data: ptr, n: i64) -> bool:
    """Whether bytes are well-formed UTF-8."""
    i = 0
    while i < n:
        c = zext(i64, load(i8, data, i))
        more = i64(0) if c < 0x80 else i64(1) if c < 0xE0 else i64(2) if c < 0xF0 else i64(3)
        if more > 0:
            if c < 0xC2 or c > 0xF4 or i + more >= n:
                return False
            second = zext(i64, load(i8, data, i + 1))
            low = i64(0xA0) if c == 0xE0 else i64(0x90) if c == 0xF0 else i64(0x80)
            high = i64(0x9F) if c == 0xED else i64(0x8F) if c == 0xF4 else i64(0xBF)
            if second < low or second > high:
                return False
            for k in range(2, more + 1):
                if zext(i64, load(i8, data, i + k)) & 0xC0 != 0x80:
                    return False
        i += more + 1
    return True


@native
def text_in(ctx: ptr, data: ptr, n: i64, slot: ptr) -> i32:
    """A str of ``n`` bytes of UTF-8."""
    if n < 0 or not is_utf8(data, n):
        return raise_from(ctx, VALUE_ERROR, text("a text is not well-formed UTF-8"))
    return sm_str_from_utf8(ctx, data, n, slot)


@native
def list_in(ctx: ptr, value: ptr, descriptor: ptr, slot: ptr, depth: i64) -> i32:
    """A new list of copies."""
    n = load(i64, value, VALUE_N)
    element = child(descriptor, 0)
    if n < 0 or n > 1 << 40:
        return raise_from(ctx, VALUE_ERROR, text("a list has a negative or a huge length"))
    made = sm_list_new(descriptor, n)
    if made == 0:
        return sm_raise_memory_error(ctx)
    items = load(ptr, value, VALUE_PAYLOAD)
    place = load(ptr, made, LIST_DATA)
    for i in range(n):
        if value_in(ctx, items + i * VALUE_SIZE, element, place, depth + 1):
            sm_release(made)
            return 1
        store(i64, made, LIST_LENGTH, i + 1)
        place = place + load(i64, element, DESC_SIZE)
    store(ptr, slot, 0, made)
    return 0


@native
def tuple_in(ctx: ptr, value: ptr, descriptor: ptr, slot: ptr, depth: i64) -> i32:
    """A tuple of copies."""
    n = load(i64, descriptor, DESC_N_CHILDREN)
    if load(i64, value, VALUE_N) != n:
        return raise_from(ctx, TYPE_ERROR, text("a tuple has another length"))
    items = load(ptr, value, VALUE_PAYLOAD)
    for i in range(n):
        place = slot + child_offset(descriptor, i)
        if value_in(ctx, items + i * VALUE_SIZE, child(descriptor, i), place, depth + 1):
            for k in range(i):
                sm_slot_drop(slot + child_offset(descriptor, k), child(descriptor, k))
            return 1
    return 0


# ---- out ----


@native
def put_kind(value: ptr, kind: i64) -> None:
    """Begin a value of C."""
    memset(value, i8(0), VALUE_SIZE)
    store(i32, value, VALUE_KIND, i32(kind))


@native
def aot_value_out(ctx: ptr, slot: ptr, descriptor: ptr, value: ptr) -> i32:
    """Copy what a slot holds to ``value``; on failure ``value`` holds nothing."""
    kind = load(i64, descriptor, DESC_KIND)
    payload = value + VALUE_PAYLOAD
    put_kind(value, C_NONE)
    if kind == KIND_INT:
        put_kind(value, C_INT)
        store(i64, payload, 0, load(i64, slot))
    elif kind == KIND_FLOAT:
        put_kind(value, C_FLOAT)
        store(f64, payload, 0, load(f64, slot))
    elif kind == KIND_COMPLEX:
        put_kind(value, C_COMPLEX)
        memcpy(payload, slot, 16)
    elif kind == KIND_BOOL:
        put_kind(value, C_BOOL)
        store(i64, payload, 0, zext(i64, load(i8, slot)))
    elif kind == KIND_STR:
        return text_out(ctx, load(ptr, slot), value)
    elif kind == KIND_TENSOR:
        return tensor_out(ctx, load(ptr, slot), value)
    elif kind == KIND_OPTIONAL_POINTER:
        if load(ptr, slot) != 0:
            return aot_value_out(ctx, slot, child(descriptor, 0), value)
    elif kind == KIND_OPTIONAL_VALUE:
        if load(i8, slot) != 0:
            inner = child(descriptor, 0)
            return aot_value_out(ctx, slot + child_offset(descriptor, 0), inner, value)
    elif kind == KIND_TUPLE:
        return tuple_out(ctx, slot, descriptor, value)
    elif kind in (KIND_LIST, KIND_ARRAY_TUPLE, KIND_SIZE):
        number = C_LIST if kind == KIND_LIST else C_TUPLE
        return list_out(ctx, load(ptr, slot), child(descriptor, 0), value, number)
    elif kind == KIND_DICT:
        return dict_out(ctx, load(ptr, slot), descriptor, value)
    return 0


@native
def text_out(ctx: ptr, string: ptr, value: ptr) -> i32:
    """A str as UTF-8 with a final zero."""
    n = sm_utf8_length(string)
    data = malloc(n + 1)
    if data == 0:
        return sm_raise_memory_error(ctx)
    sm_utf8_write(string, data)
    put_kind(value, C_STR)
    store(ptr, value, VALUE_PAYLOAD, data)
    store(i64, value, VALUE_N, n)
    return 0


@native
def tensor_out(ctx: ptr, tensor: ptr, value: ptr) -> i32:
    """A tensor, lent: the value owns a reference to it."""
    if aot_tensor_out(ctx, tensor, value + VALUE_PAYLOAD):
        return 1
    store(i32, value, VALUE_KIND, i32(C_TENSOR))
    store(ptr, value, VALUE_OWNER, tensor)
    return 0


@native
def new_items(ctx: ptr, n: i64, value: ptr, kind: i64) -> i32:
    """Begin a value that has others inside; they are none so far."""
    items = malloc(n * VALUE_SIZE + 8)
    if items == 0:
        return sm_raise_memory_error(ctx)
    memset(items, i8(0), n * VALUE_SIZE + 8)
    put_kind(value, kind)
    store(ptr, value, VALUE_PAYLOAD, items)
    store(i64, value, VALUE_N, n)
    return 0


@native
def tuple_out(ctx: ptr, slot: ptr, descriptor: ptr, value: ptr) -> i32:
    """A tuple, element by element."""
    n = load(i64, descriptor, DESC_N_CHILDREN)
    if new_items(ctx, n, value, C_TUPLE):
        return 1
    items = load(ptr, value, VALUE_PAYLOAD)
    for i in range(n):
        inner = load(ptr, load(ptr, descriptor, DESC_CHILDREN), i * 8)
        place = slot + load(i64, load(ptr, descriptor, DESC_OFFSETS), i * 8)
        if aot_value_out(ctx, place, inner, items + i * VALUE_SIZE):
            aot_value_free(value)
            return 1
    return 0


@native
def list_out(ctx: ptr, values: ptr, element: ptr, value: ptr, kind: i64) -> i32:
    """A list, or what is laid out as one, element by element."""
    n = load(i64, values, LIST_LENGTH)
    if new_items(ctx, n, value, kind):
        return 1
    items = load(ptr, value, VALUE_PAYLOAD)
    for i in range(n):
        place = load(ptr, values, LIST_DATA) + i * load(i64, element, DESC_SIZE)
        if aot_value_out(ctx, place, element, items + i * VALUE_SIZE):
            aot_value_free(value)
            return 1
    return 0


@native
def dict_out(ctx: ptr, values: ptr, descriptor: ptr, value: ptr) -> i32:
    """A dict: keys and values by turns, in order."""
    if new_items(ctx, load(i64, values, DICT_LENGTH) * 2, value, C_DICT):
        return 1
    item = load(ptr, value, VALUE_PAYLOAD)
    key = child(descriptor, 0)
    held = child(descriptor, 1)
    entry = load(ptr, values, DICT_ENTRIES)
    for _ in range(load(i64, values, DICT_USED)):
        if load(i64, entry, ENTRY_HASH) != ENTRY_ERASED:
            failed = aot_value_out(ctx, entry + ENTRY_KEY, key, item)
            if failed == 0:
                place = entry + entry_value_offset(key)
                failed = aot_value_out(ctx, place, held, item + VALUE_SIZE)
            if failed != 0:
                aot_value_free(value)
                return 1
            item = item + VALUE_SIZE * 2
        entry = entry + entry_size(descriptor)
    return 0


@native
def aot_value_free(value: ptr) -> None:
    """Give up what a value holds; it is none afterwards."""
    kind = zext(i64, load(i32, value, VALUE_KIND))
    payload = load(ptr, value, VALUE_PAYLOAD)
    if kind == C_TENSOR:
        free(payload)
        aot_tensor_free(load(ptr, value, VALUE_OWNER))
    elif kind == C_STR:
        free(payload)
    elif kind in (C_LIST, C_TUPLE, C_DICT):
        for i in range(load(i64, value, VALUE_N)):
            aot_value_free(payload + i * VALUE_SIZE)
        free(payload)
    put_kind(value, C_NONE)
