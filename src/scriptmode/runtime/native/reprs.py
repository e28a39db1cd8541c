"""``repr`` and ``str`` of values, by descriptor."""

from __future__ import annotations

import sys

from scriptmode.abi.objects import (
    DEQUE_LIMIT,
    DESC_FLAVOR,
    DESC_KIND,
    DESC_MEMBERS,
    DESC_NAME,
    DESC_REPR,
    DESC_SIZE,
    DICT_ENTRIES,
    DICT_LENGTH,
    DICT_USED,
    ENTRY_ERASED,
    ENTRY_HASH,
    ENTRY_KEY,
    ENUM_REPR,
    ENUM_TEXT,
    FLAVOR_COUNTER,
    FLAVOR_DICT,
    FLAVOR_ORDERED,
    HEAP_DESCRIPTOR,
    KIND_ARRAY_TUPLE,
    KIND_BOOL,
    KIND_BYTES,
    KIND_CLASS,
    KIND_CODE,
    KIND_COMPLEX,
    KIND_DEQUE,
    KIND_DEVICE,
    KIND_DICT,
    KIND_ENUM,
    KIND_FLOAT,
    KIND_FROZEN_SET,
    KIND_INT,
    KIND_LIST,
    KIND_NONE,
    KIND_NUMBER,
    KIND_RANGE,
    KIND_SET,
    KIND_SIZE,
    KIND_STR,
    KIND_TENSOR,
    LIST_DATA,
    LIST_LENGTH,
    PLACE_KEY,
    PLACE_STATE,
    PLACE_USED,
    SET_MASK,
    SET_TABLE,
    SET_USED,
    STR_DATA,
    STR_LENGTH,
    TAG_BOOL,
)
from scriptmode.codegen.native import (
    call,
    f64,
    i8,
    i16,
    i32,
    i64,
    load,
    lshr,
    memcpy,
    native,
    ptr,
    stack,
    store,
    text,
    zext,
)
from scriptmode.runtime.native.builder import (
    b_char,
    b_discard,
    b_finish,
    b_init,
    b_text,
    str_new,
    unit,
)
from scriptmode.runtime.native.digits import b_complex, b_float, b_int, decimal
from scriptmode.runtime.native.errors import (
    NOT_IMPLEMENTED_ERROR,
    check_stack,
    raise_from,
    sm_raise_memory_error,
)
from scriptmode.runtime.native.hooks import HOOK_OBJECT_REPR, HOOK_TENSOR_REPR, sm_hooks
from scriptmode.runtime.native.memory import (
    child,
    entry_size,
    entry_value_offset,
    place_size,
    sm_release,
    sm_retain,
)
from scriptmode.runtime.native.resolving import (
    V_DESCRIPTOR,
    V_KIND,
    V_SLOT,
    is_tuple,
    resolve,
    tuple_item,
    tuple_item_type,
    tuple_length,
)
from scriptmode.runtime.native.unicode import PRINTABLE, has_property

SHOWS_PAIRS = int(sys.version_info < (3, 12))  # OrderedDict([(k, v)]), later OrderedDict({k: v})
COMMA = 44
QUOTE = 39
DOUBLE_QUOTE = 34
BACKSLASH = 92


@native
def _has_unit(s: ptr, c: i64) -> bool:
    for i in range(load(i64, s, STR_LENGTH)):
        if unit(s, i) == c:
            return True
    return False


@native
def _escape(b: ptr, c: i64, letter: i64, count: i64) -> None:
    """Append ``\\x41`` and the like."""
    b_char(b, BACKSLASH)
    b_char(b, letter)
    for i in range(count - 1, -1, -1):
        digit = lshr(c, i * 4) & 15
        b_char(b, digit + 48 if digit < 10 else digit + 87)


@native
def b_str_repr(b: ptr, s: ptr) -> None:
    """Append ``repr(s)``."""
    quote = i64(QUOTE)
    if _has_unit(s, QUOTE) and not _has_unit(s, DOUBLE_QUOTE):
        quote = DOUBLE_QUOTE
    b_char(b, quote)
    for i in range(load(i64, s, STR_LENGTH)):
        c = unit(s, i)
        if c in (quote, BACKSLASH):
            b_char(b, BACKSLASH)
            b_char(b, c)
        elif c == 9:
            b_text(b, text("\\t"))
        elif c == 10:
            b_text(b, text("\\n"))
        elif c == 13:
            b_text(b, text("\\r"))
        elif (c >= 32 and c < 127) or (c >= 127 and has_property(PRINTABLE, c)):
            b_char(b, c)
        elif c < 256:
            _escape(b, c, 120, 2)
        elif c < 65536:
            _escape(b, c, 117, 4)
        else:
            _escape(b, c, 85, 8)
    b_char(b, quote)


@native
def _bool_text(value: i64) -> ptr:
    return text("True") if value != 0 else text("False")


@native
def b_device(b: ptr, device: i16, names: ptr, is_repr: i64) -> None:
    """Append a device: ``cuda:0``, or ``device(type='cuda', index=0)`` for repr."""
    code = zext(i64, device) & 255
    index = i64(device) >> 8
    if is_repr:
        b_text(b, text("device(type='"))
    b_text(b, load(ptr, names, code * 8))
    if is_repr:
        b_char(b, QUOTE)
    if index >= 0:
        b_text(b, text(", index=") if is_repr else text(":"))
        b_int(b, index)
    if is_repr:
        b_char(b, 41)


@native
def slot_repr_into(ctx: ptr, b: ptr, slot: ptr, descriptor: ptr) -> i32:
    """Append ``repr`` of a value; the builder is discarded when the status is 1."""
    status = _repr(ctx, b, slot, descriptor)
    if status != 0:
        b_discard(b)
    return status


@native
def _repr(ctx: ptr, b: ptr, slot: ptr, descriptor: ptr) -> i32:
    if load(i64, descriptor, DESC_KIND) == KIND_NUMBER and load(i64, slot) == TAG_BOOL:
        b_text(b, _bool_text(load(i64, slot, 8) & 255))
        return 0
    v = stack(24)
    kind = resolve(v, slot, descriptor)
    s = load(ptr, v, V_SLOT)
    d = load(ptr, v, V_DESCRIPTOR)
    if kind == KIND_INT:
        b_int(b, load(i64, s))
    elif kind == KIND_FLOAT:
        b_float(b, load(f64, s))
    elif kind == KIND_BOOL:
        b_text(b, _bool_text(zext(i64, load(i8, s))))
    elif kind == KIND_COMPLEX:
        b_complex(b, load(f64, s), load(f64, s, 8))
    elif kind == KIND_NONE:
        b_text(b, text("None"))
    elif kind == KIND_STR:
        b_str_repr(b, load(ptr, s))
    elif kind == KIND_LIST:
        return _repr_list(ctx, b, load(ptr, s))
    elif kind == KIND_DICT:
        return _repr_dict(ctx, b, load(ptr, s))
    elif kind in (KIND_SET, KIND_FROZEN_SET):
        return _repr_set(ctx, b, load(ptr, s), kind)
    elif kind == KIND_DEQUE:
        return _repr_deque(ctx, b, load(ptr, s))
    elif kind == KIND_RANGE:
        _repr_range(b, s)
    elif kind == KIND_BYTES:
        _repr_bytes(b, load(ptr, s))
    elif is_tuple(kind):
        return _repr_tuple(ctx, b, v)
    elif kind == KIND_CODE:
        b_text(b, load(ptr, load(ptr, d, DESC_MEMBERS), zext(i64, load(i8, s)) * 8))
    elif kind == KIND_DEVICE:
        b_device(b, load(i16, s), load(ptr, d, DESC_MEMBERS), 1)
    elif kind == KIND_ENUM:
        b_text(b, load(ptr, load(ptr, s), ENUM_REPR))
    else:
        return _repr_by_host(ctx, b, kind, s, d)
    return 0


@native
def _repr_by_host(ctx: ptr, b: ptr, kind: i64, slot: ptr, descriptor: ptr) -> i32:
    """repr of tensors and instances, by the class or by the host."""
    result = stack(8)
    own = load(ptr, descriptor, DESC_REPR)
    hook = load(ptr, sm_hooks, HOOK_OBJECT_REPR)
    status = i32(0)
    if kind == KIND_TENSOR:
        hook = load(ptr, sm_hooks, HOOK_TENSOR_REPR)
        if hook == 0:
            return _raise_no_repr(ctx)
        status = call(i32, hook, ctx, load(ptr, slot), result)
    elif kind == KIND_CLASS and own != 0:
        status = call(i32, own, ctx, slot, descriptor, result)
    elif hook != 0:
        status = call(i32, hook, ctx, slot, descriptor, result)
    else:
        return _raise_no_repr(ctx)
    if status != 0:
        return 1
    b_text(b, load(ptr, result))
    sm_release(load(ptr, result))
    return 0


@native
def _raise_no_repr(ctx: ptr) -> i32:
    message = text("the text form of this value is not supported in native code")
    return raise_from(ctx, NOT_IMPLEMENTED_ERROR, message)


@native
def _separate(b: ptr, i: i64) -> None:
    if i > 0:
        b_char(b, COMMA)
        b_char(b, 32)


@native
def _repr_list(ctx: ptr, b: ptr, a: ptr) -> i32:
    if check_stack(ctx):
        return 1
    item = child(load(ptr, a, HEAP_DESCRIPTOR), 0)
    b_char(b, 91)
    i = 0
    while i < load(i64, a, LIST_LENGTH):
        _separate(b, i)
        if _repr(ctx, b, load(ptr, a, LIST_DATA) + i * load(i64, item, DESC_SIZE), item):
            return 1
        i += 1
    b_char(b, 93)
    return 0


@native
def _repr_tuple(ctx: ptr, b: ptr, v: ptr) -> i32:
    kind = load(i64, v, V_KIND)
    if kind == KIND_SIZE:
        b_text(b, text("torch.Size("))
        if _repr_list(ctx, b, load(ptr, load(ptr, v, V_SLOT))):
            return 1
        b_char(b, 41)
        return 0
    if kind == KIND_ARRAY_TUPLE and check_stack(ctx):
        return 1
    n = tuple_length(v)
    fields = load(ptr, load(ptr, v, V_DESCRIPTOR), DESC_MEMBERS)
    if fields != 0:
        b_text(b, load(ptr, load(ptr, v, V_DESCRIPTOR), DESC_NAME))
    b_char(b, 40)
    for i in range(n):
        _separate(b, i)
        if fields != 0:
            b_text(b, load(ptr, fields, i * 8))
            b_char(b, 61)
        if _repr(ctx, b, tuple_item(v, i), tuple_item_type(v, i)):
            return 1
    if n == 1 and fields == 0:
        b_char(b, COMMA)
    b_char(b, 41)
    return 0


@native
def _repr_set(ctx: ptr, b: ptr, s: ptr, kind: i64) -> i32:
    if check_stack(ctx):
        return 1
    item = child(load(ptr, s, HEAP_DESCRIPTOR), 0)
    is_plain = kind == KIND_SET and load(i64, s, SET_USED) > 0
    if not is_plain:
        b_text(b, text("set(") if kind == KIND_SET else text("frozenset("))
    if load(i64, s, SET_USED) > 0:
        b_char(b, 123)
        shown = 0
        for i in range(load(i64, s, SET_MASK) + 1):
            place = load(ptr, s, SET_TABLE) + i * place_size(item)
            if load(i64, place, PLACE_STATE) == PLACE_USED:
                _separate(b, shown)
                shown += 1
                if _repr(ctx, b, place + PLACE_KEY, item):
                    return 1
        b_char(b, 125)
    if not is_plain:
        b_char(b, 41)
    return 0


@native
def _repr_deque(ctx: ptr, b: ptr, d: ptr) -> i32:
    b_text(b, text("deque("))
    if _repr_list(ctx, b, d):
        return 1
    if load(i64, d, DEQUE_LIMIT) >= 0:
        b_text(b, text(", maxlen="))
        b_int(b, load(i64, d, DEQUE_LIMIT))
    b_char(b, 41)
    return 0


@native
def _repr_range(b: ptr, r: ptr) -> None:
    b_text(b, text("range("))
    b_int(b, load(i64, r))
    _separate(b, 1)
    b_int(b, load(i64, r, 8))
    if load(i64, r, 16) != 1:
        _separate(b, 1)
        b_int(b, load(i64, r, 16))
    b_char(b, 41)


@native
def _hex_digit(x: i64) -> i64:
    return x + 48 if x < 10 else x + 87


@native
def _repr_bytes(b: ptr, s: ptr) -> None:
    n = load(i64, s, STR_LENGTH)
    quote = i64(39)
    for i in range(n):
        if unit(s, i) == 34:
            quote = 39
            break
        if unit(s, i) == 39:
            quote = 34
    b_char(b, 98)
    b_char(b, quote)
    for i in range(n):
        c = unit(s, i)
        if c == quote or c == 92:
            b_char(b, 92)
            b_char(b, c)
        elif c == 9:
            b_text(b, text("\\t"))
        elif c == 10:
            b_text(b, text("\\n"))
        elif c == 13:
            b_text(b, text("\\r"))
        elif c < 32 or c > 126:
            b_text(b, text("\\x"))
            b_char(b, _hex_digit(c >> 4))
            b_char(b, _hex_digit(c & 15))
        else:
            b_char(b, c)
    b_char(b, quote)


@native
def _repr_dict(ctx: ptr, b: ptr, d: ptr) -> i32:
    own = load(ptr, d, HEAP_DESCRIPTOR)
    flavor = load(i64, own, DESC_FLAVOR)
    if flavor == FLAVOR_DICT:
        return _repr_entries(ctx, b, d)
    if flavor == FLAVOR_ORDERED:
        b_text(b, text("OrderedDict("))
        if load(i64, d, DICT_LENGTH) > 0 and _repr_ordered(ctx, b, d):
            return 1
        b_char(b, 41)
        return 0
    if flavor == FLAVOR_COUNTER:
        b_text(b, text("Counter("))
        if load(i64, d, DICT_LENGTH) > 0 and _repr_counts(ctx, b, d):
            return 1
    else:
        b_text(b, text("defaultdict("))
        b_text(b, load(ptr, own, DESC_MEMBERS))
        _separate(b, 1)
        if _repr_entries(ctx, b, d):
            return 1
    b_char(b, 41)
    return 0


@native
def _repr_ordered(ctx: ptr, b: ptr, d: ptr) -> i32:
    if i64(SHOWS_PAIRS) == 0:
        return _repr_entries(ctx, b, d)
    b_char(b, 91)
    if _repr_pairs(ctx, b, d):
        return 1
    b_char(b, 93)
    return 0


@native
def _repr_pairs(ctx: ptr, b: ptr, d: ptr) -> i32:
    """The entries of an OrderedDict as pairs."""
    own = load(ptr, d, HEAP_DESCRIPTOR)
    value_offset = entry_value_offset(child(own, 0))
    shown = 0
    for i in range(load(i64, d, DICT_USED)):
        entry = load(ptr, d, DICT_ENTRIES) + i * entry_size(own)
        if load(i64, entry, ENTRY_HASH) == ENTRY_ERASED:
            continue
        _separate(b, shown)
        shown += 1
        b_char(b, 40)
        if _repr(ctx, b, entry + ENTRY_KEY, child(own, 0)):
            return 1
        _separate(b, 1)
        if _repr(ctx, b, entry + value_offset, child(own, 1)):
            return 1
        b_char(b, 41)
    return 0


@native
def _repr_counts(ctx: ptr, b: ptr, d: ptr) -> i32:
    """The entries of a Counter, the most common first."""
    own = load(ptr, d, HEAP_DESCRIPTOR)
    value_offset = entry_value_offset(child(own, 0))
    used = load(i64, d, DICT_USED)
    bound = i64(0)
    bounded = False
    shown = 0
    b_char(b, 123)
    while shown < load(i64, d, DICT_LENGTH):
        # the largest count below the last one
        best = i64(0)
        found = False
        for i in range(used):
            entry = load(ptr, d, DICT_ENTRIES) + i * entry_size(own)
            if load(i64, entry, ENTRY_HASH) != ENTRY_ERASED:
                count = load(i64, entry, value_offset)
                if (not bounded or count < bound) and (not found or count > best):
                    best = count
                    found = True
        for i in range(used):
            entry = load(ptr, d, DICT_ENTRIES) + i * entry_size(own)
            if load(i64, entry, ENTRY_HASH) == ENTRY_ERASED:
                continue
            if load(i64, entry, value_offset) == best:
                _separate(b, shown)
                shown += 1
                if _repr(ctx, b, entry + ENTRY_KEY, child(own, 0)):
                    return 1
                b_char(b, 58)
                b_char(b, 32)
                b_int(b, best)
        bound = best
        bounded = True
    b_char(b, 125)
    return 0


@native
def _repr_entries(ctx: ptr, b: ptr, d: ptr) -> i32:
    if check_stack(ctx):
        return 1
    own = load(ptr, d, HEAP_DESCRIPTOR)
    value_offset = entry_value_offset(child(own, 0))
    shown = 0
    b_char(b, 123)
    i = 0
    while i < load(i64, d, DICT_USED):
        entry = load(ptr, d, DICT_ENTRIES) + i * entry_size(own)
        i += 1
        if load(i64, entry, ENTRY_HASH) == ENTRY_ERASED:
            continue
        _separate(b, shown)
        shown += 1
        if _repr(ctx, b, entry + ENTRY_KEY, child(own, 0)):
            return 1
        b_char(b, 58)
        b_char(b, 32)
        if _repr(ctx, b, entry + value_offset, child(own, 1)):
            return 1
    b_char(b, 125)
    return 0


@native
def finish(ctx: ptr, b: ptr, result: ptr) -> i32:
    """Hand over what was built, or raise MemoryError."""
    s = b_finish(b)
    if s == 0:
        return sm_raise_memory_error(ctx)
    store(ptr, result, 0, s)
    return 0


@native
def sm_slot_repr(ctx: ptr, slot: ptr, descriptor: ptr, result: ptr) -> i32:
    """``repr(x)``."""
    b = stack(40)
    b_init(b)
    if slot_repr_into(ctx, b, slot, descriptor):
        return 1
    return finish(ctx, b, result)


@native
def slot_str_into(ctx: ptr, b: ptr, slot: ptr, descriptor: ptr) -> i32:
    """Append ``str`` of a value; the builder is discarded when the status is 1."""
    v = stack(24)
    kind = resolve(v, slot, descriptor)
    if kind == KIND_STR:
        b_text(b, load(ptr, load(ptr, v, V_SLOT)))
        return 0
    if kind == KIND_DEVICE:
        names = load(ptr, load(ptr, v, V_DESCRIPTOR), DESC_MEMBERS)
        b_device(b, load(i16, load(ptr, v, V_SLOT)), names, 0)
        return 0
    if kind == KIND_ENUM:
        b_text(b, load(ptr, load(ptr, load(ptr, v, V_SLOT)), ENUM_TEXT))
        return 0
    return slot_repr_into(ctx, b, slot, descriptor)


@native
def sm_slot_str(ctx: ptr, slot: ptr, descriptor: ptr, result: ptr) -> i32:
    """``str(x)``."""
    v = stack(24)
    if resolve(v, slot, descriptor) == KIND_STR:
        s = load(ptr, load(ptr, v, V_SLOT))
        sm_retain(s)
        store(ptr, result, 0, s)
        return 0
    b = stack(40)
    b_init(b)
    if slot_str_into(ctx, b, slot, descriptor):
        return 1
    return finish(ctx, b, result)


@native
def sm_int_str(ctx: ptr, value: i64, result: ptr) -> i32:
    """``str(value)``."""
    buffer = stack(32)
    start = decimal(buffer + 32, value)
    n = i64(buffer + 32) - i64(start)
    s = str_new(n, 1)
    if s == 0:
        return sm_raise_memory_error(ctx)
    memcpy(s + STR_DATA, start, n)
    store(ptr, result, 0, s)
    return 0


@native
def sm_float_str(ctx: ptr, value: f64, result: ptr) -> i32:
    """``str(value)``."""
    b = stack(40)
    b_init(b)
    b_float(b, value)
    return finish(ctx, b, result)


@native
def sm_bool_str(ctx: ptr, value: i8, result: ptr) -> i32:
    """``str(value)``."""
    store(ptr, result, 0, _bool_text(zext(i64, value)))
    return 0


@native
def sm_complex_str(ctx: ptr, re: f64, im: f64, result: ptr) -> i32:
    """``str(complex(re, im))``."""
    b = stack(40)
    b_init(b)
    b_complex(b, re, im)
    return finish(ctx, b, result)


@native
def sm_str_repr(ctx: ptr, s: ptr, result: ptr) -> i32:
    """``repr(s)``."""
    b = stack(40)
    b_init(b)
    b_str_repr(b, s)
    return finish(ctx, b, result)
