"""Python numbers, strs, exceptions and members of enums to native values.

Each function is as ``unbox`` in ``unboxing``: it writes an owned value to ``slot`` and returns
``FITS``, or leaves nothing behind and returns ``MISFIT`` or ``FAILED``.
"""

from __future__ import annotations

from scriptmode.abi.objects import (
    STR_DATA,
    STR_HASH,
    STR_LENGTH,
    STR_WIDTH,
    TAG_BOOL,
    TAG_COMPLEX,
    TAG_FLOAT,
    TAG_INT,
)
from scriptmode.codegen.native import (
    bitcast,
    f64,
    i8,
    i16,
    i32,
    i64,
    load,
    lshr,
    native,
    ptr,
    stack,
    store,
)
from scriptmode.runtime.ascii import ascii_str
from scriptmode.runtime.frame import (
    FAILED,
    FITS,
    IN_CODE,
    IN_FLOAT,
    IN_INT,
    MEMO_NATIVE,
    MEMO_OBJECT,
    PLAN_CLASS,
    PLAN_DESCRIPTOR,
    PLAN_KIND,
    PLAN_NATIVE,
    PLAN_TABLE,
    PLAN_TABLE_N,
    REASON_OVERFLOW,
    REASON_TYPE,
    STATE_EXCEPTION_IN,
    STATE_NAN,
)
from scriptmode.runtime.memo import memo_add, memo_find
from scriptmode.runtime.native.parsing import NAN_OF_OBJECT, NAN_PAYLOAD
from scriptmode.runtime.pyapi import (
    BOOL_TYPE,
    COMPLEX_TYPE,
    FLOAT_TYPE,
    FLOAT_VALUE,
    LONG_TYPE,
    OB_TYPE,
    STR_DESCRIPTOR,
    TRUE,
    UNICODE_TYPE,
    Py_DecRef,
    PyComplex_ImagAsDouble,
    PyComplex_RealAsDouble,
    PyLong_AsLongLongAndOverflow,
    PyLong_AsVoidPtr,
    PyLong_FromVoidPtr,
    PyObject_CallFunctionObjArgs,
    PyUnicode_AsUCS4,
    PyUnicode_GetLength,
    free,
    malloc,
    sm_object_new,
    sm_retain,
    state,
)
from scriptmode.runtime.unboxing_parts import misfit, no_memory


@native(noinline=True)
def unbox_exception(frame: ptr, obj: ptr, plan: ptr, slot: ptr) -> i64:
    """An exception object that stands for a Python exception, the same one each time."""
    row = memo_find(frame, obj, MEMO_OBJECT)
    if row != 0:
        sm_retain(load(ptr, row, MEMO_NATIVE))
        store(ptr, slot, 0, load(ptr, row, MEMO_NATIVE))
        return FITS
    layout = PyLong_FromVoidPtr(load(ptr, plan, PLAN_DESCRIPTOR))
    address = PyObject_CallFunctionObjArgs(state(STATE_EXCEPTION_IN), obj, layout, ptr(0))
    Py_DecRef(layout)
    if address == 0:
        return FAILED
    made = PyLong_AsVoidPtr(address)
    Py_DecRef(address)
    store(ptr, slot, 0, made)
    return FITS if memo_add(frame, obj, made, plan, ptr(0)) else no_memory()


@native
def unbox_int(frame: ptr, obj: ptr, slot: ptr) -> i64:
    """An int of 64 bits."""
    overflow = stack(8)
    value = PyLong_AsLongLongAndOverflow(obj, overflow)
    if load(i32, overflow) != 0:
        return misfit(frame, REASON_OVERFLOW)
    store(i64, slot, 0, value)
    return FITS


@native(noinline=True)
def unbox_number(frame: ptr, obj: ptr, slot: ptr) -> i64:
    """A {tag, lo, hi} of an int, float, bool or complex."""
    t = load(ptr, obj, OB_TYPE)
    store(i64, slot, 8, 0)
    store(i64, slot, 16, 0)
    if t == LONG_TYPE:
        store(i64, slot, 0, TAG_INT)
        return unbox_int(frame, obj, slot + 8)
    if t == FLOAT_TYPE:
        store(i64, slot, 0, TAG_FLOAT)
        store(f64, slot, 8, float_of(obj))
        return FITS
    if t == BOOL_TYPE:
        store(i64, slot, 0, TAG_BOOL)
        store(i64, slot, 8, i64(obj == TRUE))
        return FITS
    if t == COMPLEX_TYPE:
        store(i64, slot, 0, TAG_COMPLEX)
        store(i64, slot, 8, bitcast(i64, PyComplex_RealAsDouble(obj)))
        store(i64, slot, 16, bitcast(i64, PyComplex_ImagAsDouble(obj)))
        return FITS
    return misfit(frame, REASON_TYPE)


@native(noinline=True)
def unbox_str(frame: ptr, obj: ptr, slot: ptr) -> i64:
    """A str in the smallest width that holds its code points."""
    if load(ptr, obj, OB_TYPE) != UNICODE_TYPE:
        return misfit(frame, REASON_TYPE)
    text = ascii_str(obj)
    if text != 0:
        store(ptr, slot, 0, text)
        return FITS
    n = PyUnicode_GetLength(obj)
    small = stack(512)
    wide = small
    if n > 128:
        wide = malloc(n * 4)
        if wide == 0:
            return no_memory()
    PyUnicode_AsUCS4(obj, wide, n, i32(0))
    text = _narrowed(wide, n)
    if n > 128:
        free(wide)
    if text == 0:
        return no_memory()
    store(ptr, slot, 0, text)
    return FITS


@native
def _narrowed(wide: ptr, n: i64) -> ptr:
    """A native str of ``n`` 32-bit code points."""
    every: i32 = 0
    for i in range(n):
        every = every | load(i32, wide, i * 4)
    width = 1 if every < 256 else 2 if every < 65536 else 4
    text = sm_object_new(STR_DATA + (n + 1) * width, STR_DESCRIPTOR)
    if text == 0:
        return text
    store(i64, text, STR_LENGTH, n)
    store(i64, text, STR_HASH, 0)
    store(i64, text, STR_WIDTH, width)
    data = text + STR_DATA
    if width == 1:
        for i in range(n):
            store(i8, data, i, i8(load(i32, wide, i * 4)))
        store(i8, data, n, i8(0))
    elif width == 2:
        for i in range(n):
            store(i16, data, i * 2, i16(load(i32, wide, i * 4)))
        store(i16, data, n * 2, i16(0))
    else:
        for i in range(n):
            store(i32, data, i * 4, load(i32, wide, i * 4))
        store(i32, data, n * 4, i32(0))
    return text


@native(inline=True)
def float_of(obj: ptr) -> f64:
    """The value of a float; a NaN keeps in its bits which object it was."""
    x = load(f64, obj, FLOAT_VALUE)
    return x if x == x else nan_of(obj)


@native(noinline=True)
def nan_of(obj: ptr) -> f64:
    """A NaN of its own for each object; the plain one for ``math.nan``, as it is in programs."""
    if obj == state(STATE_NAN):
        return load(f64, obj, FLOAT_VALUE)
    word = stack(8)
    store(ptr, word, 0, obj)
    sign = load(i64, obj, FLOAT_VALUE) & (i64(1) << 63)
    return bitcast(f64, sign | i64(NAN_OF_OBJECT) | (lshr(load(i64, word), 4) & NAN_PAYLOAD))


@native(noinline=True)
def unbox_numbers(items: ptr, n: i64, kind: i64, data: ptr) -> i64:
    """Write leading ints of 64 bits or floats where such are wanted; how many."""
    i = 0
    if kind == IN_INT:
        overflow = stack(8)
        store(i32, overflow, 0, 0)
        while i < n and load(ptr, load(ptr, items, i * 8), OB_TYPE) == LONG_TYPE:
            value = PyLong_AsLongLongAndOverflow(load(ptr, items, i * 8), overflow)
            if load(i32, overflow) != 0:
                return i
            store(i64, data, i * 8, value)
            i = i + 1
    elif kind == IN_FLOAT:
        while i < n and load(ptr, load(ptr, items, i * 8), OB_TYPE) == FLOAT_TYPE:
            store(f64, data, i * 8, float_of(load(ptr, items, i * 8)))
            i = i + 1
    return i


@native(noinline=True)
def unbox_from_table(frame: ptr, obj: ptr, plan: ptr, slot: ptr) -> i64:
    """A dtype, layout or memory format as its number; an enum member as its native object."""
    if load(ptr, obj, OB_TYPE) != load(ptr, plan, PLAN_CLASS):
        return misfit(frame, REASON_TYPE)
    table = load(ptr, plan, PLAN_TABLE)
    for i in range(load(i64, plan, PLAN_TABLE_N)):
        if load(ptr, table, i * 8) == obj:
            if load(i64, plan, PLAN_KIND) == IN_CODE:
                store(i8, slot, 0, i8(i))
            else:
                store(ptr, slot, 0, load(ptr, load(ptr, plan, PLAN_NATIVE), i * 8))
            return FITS
    return misfit(frame, REASON_TYPE)
