"""Tensors of exported libraries that run on libtorch, through its C interface."""

from __future__ import annotations

from scriptmode.abi.instances import TABLE_TENSOR
from scriptmode.aot.layouts import (
    DEVICE_CPU,
    MOST_DIMS,
    ROW_DATA,
    ROW_DIMS,
    ROW_DTYPE,
    ROW_SIZES,
    TENSOR_BITS,
    TENSOR_CODE,
    TENSOR_DATA,
    TENSOR_DEVICE_TYPE,
    TENSOR_DIMS,
    TENSOR_LANES,
    TENSOR_OFFSET,
    TENSOR_SHAPE,
    TENSOR_SIZE,
    TENSOR_STRIDES,
)
from scriptmode.aot.native.dtypes import dtype_of, sm_aot_dtypes
from scriptmode.codegen.native import (
    extern,
    external,
    i8,
    i16,
    i32,
    i64,
    load,
    memcpy,
    native,
    ptr,
    stack,
    store,
    text,
    zext,
)
from scriptmode.runtime.native.errors import (
    RUNTIME_ERROR,
    VALUE_ERROR,
    raise_from,
    sm_raise_memory_error,
)
from scriptmode.runtime.native.memory import sm_tensor_release, sm_tensor_retain

malloc = extern("malloc", ptr, i64)
operator_delete = extern("_ZdlPv", None, ptr)
create_from_blob = extern(
    "aoti_torch_create_tensor_from_blob", i32, ptr, i64, ptr, ptr, i64, i32, i32, i32, ptr
)
get_dim = extern("aoti_torch_get_dim", i32, ptr, ptr)
get_sizes = extern("aoti_torch_get_sizes", i32, ptr, ptr)
get_strides = extern("aoti_torch_get_strides", i32, ptr, ptr)
get_dtype = extern("aoti_torch_get_dtype", i32, ptr, ptr)
get_data = extern("aoti_torch_get_data_ptr", i32, ptr, ptr)
abi_version = extern("aoti_torch_abi_version", i64)
is_grad_enabled = extern("aoti_torch_grad_mode_is_enabled", i8)
set_grad_enabled = extern("aoti_torch_grad_mode_set_enabled", None, i8)
# {where the dispatch keys lie in a tensor, those of a dense CPU tensor, those of inference mode}
KEYS = external("aot.keys")


@native
def aot_check_libtorch(ctx: ptr, expected: i64, message: ptr) -> i32:
    """RuntimeError with a str unless the libtorch that is loaded is the one that was compiled for.

    Generated code calls C++ functions by name and knows where a tensor keeps its count.
    """
    if abi_version() == expected:
        return 0
    return raise_from(ctx, RUNTIME_ERROR, message)


@native
def aot_enter() -> i64:
    """Before a call: no gradients are recorded; what to restore."""
    before = zext(i64, is_grad_enabled()) & 1
    if before != 0:
        set_grad_enabled(i8(0))
    return before


@native
def aot_leave(before: i64) -> None:
    """After a call."""
    if before != 0:
        set_grad_enabled(i8(1))


@native
def from_blob(ctx: ptr, data: ptr, dtype: i64, dims: i64, sizes: ptr, result: ptr) -> i32:
    """A tensor of memory that it does not own; strides follow the sizes."""
    handle = stack(8)
    strides = sizes + dims * 8
    cpu: i32 = 0
    if create_from_blob(data, dims, sizes, strides, 0, i32(dtype), cpu, i32(0), handle):
        return raise_from(ctx, RUNTIME_ERROR, text("libtorch cannot make a tensor like this"))
    owner = load(ptr, handle)
    store(ptr, result, 0, load(ptr, owner))
    operator_delete(owner)
    return 0


@native
def aot_weight(ctx: ptr, weights: ptr, row: ptr, entry: ptr) -> i32:
    """A tensor of the weights file for an entry of the tensor table."""
    data = weights + load(i64, row, ROW_DATA)
    dtype = load(i64, row, ROW_DTYPE)
    dims = load(i64, row, ROW_DIMS)
    return from_blob(ctx, data, dtype, dims, row + ROW_SIZES, entry + TABLE_TENSOR)


@native
def aot_tensor_in(ctx: ptr, given: ptr, slot: ptr) -> i32:
    """A tensor of the caller's memory, borrowed."""
    if given == 0 or load(i32, given, TENSOR_DEVICE_TYPE) != DEVICE_CPU:
        return raise_from(ctx, VALUE_ERROR, text("a tensor is not one of the CPU"))
    dtype = dtype_of(given)
    dims = i64(load(i32, given, TENSOR_DIMS))
    if dtype < 0:
        return raise_from(ctx, VALUE_ERROR, text("a tensor has elements of an unknown type"))
    if dims < 0 or dims > MOST_DIMS:
        return raise_from(ctx, VALUE_ERROR, text("a tensor has too many dimensions"))
    shape = stack(1024)
    if dims > 0:
        memcpy(shape, load(ptr, given, TENSOR_SHAPE), dims * 8)
    strides = shape + dims * 8
    if load(ptr, given, TENSOR_STRIDES) != 0:
        if dims > 0:
            memcpy(strides, load(ptr, given, TENSOR_STRIDES), dims * 8)
    else:
        dense = 1
        for k in range(dims):
            place = (dims - 1 - k) * 8
            store(i64, strides, place, dense)
            size = load(i64, shape, place)
            dense *= i64(1) if size < 1 else size
    for k in range(dims):
        if load(i64, shape, k * 8) < 0 or load(i64, strides, k * 8) < 0:
            return raise_from(ctx, VALUE_ERROR, text("a tensor has a negative size or stride"))
    data = load(ptr, given, TENSOR_DATA) + load(i64, given, TENSOR_OFFSET)
    return from_blob(ctx, data, dtype, dims, shape, slot)


@native
def aot_fits(ctx: ptr, tensor: ptr, fact: ptr, name: ptr) -> i32:
    """Programs of this flavour take tensors of any shape."""
    return 0


@native
def aot_tensor_out(ctx: ptr, tensor: ptr, payload: ptr) -> i32:
    """Describe a tensor, and own a reference to it."""
    keys = load(i64, tensor + load(i64, KEYS), 0)
    if keys != load(i64, KEYS, 8) and keys != load(i64, KEYS, 16):
        message = text("a result is not a dense tensor of the CPU; the program can make it one")
        return raise_from(ctx, RUNTIME_ERROR, message)
    owner = stack(8)
    words = stack(40)
    store(ptr, owner, 0, tensor)
    store(i64, words, 24, 0)
    failed = get_dim(owner, words) | get_sizes(owner, words + 8) | get_strides(owner, words + 16)
    failed = failed | get_dtype(owner, words + 24) | get_data(owner, words + 32)
    number = load(i64, words, 24)
    if failed != 0 or number < 0 or number >= 64 or load(i8, sm_aot_dtypes, number * 4 + 1) == 0:
        return raise_from(ctx, RUNTIME_ERROR, text("a result has elements that C has no name for"))
    dims = load(i64, words)
    made = malloc(TENSOR_SIZE + dims * 16)
    if made == 0:
        return sm_raise_memory_error(ctx)
    store(ptr, made, TENSOR_DATA, load(ptr, words, 32))
    store(i32, made, TENSOR_DEVICE_TYPE, i32(DEVICE_CPU))
    store(i32, made, TENSOR_DEVICE_TYPE + 4, 0)
    store(i32, made, TENSOR_DIMS, i32(dims))
    store(i8, made, TENSOR_CODE, load(i8, sm_aot_dtypes, number * 4))
    store(i8, made, TENSOR_BITS, load(i8, sm_aot_dtypes, number * 4 + 1))
    store(i16, made, TENSOR_LANES, i16(1))
    store(ptr, made, TENSOR_SHAPE, made + TENSOR_SIZE)
    store(ptr, made, TENSOR_STRIDES, made + TENSOR_SIZE + dims * 8)
    store(i64, made, TENSOR_OFFSET, 0)
    memcpy(made + TENSOR_SIZE, load(ptr, words, 8), dims * 8)
    memcpy(made + TENSOR_SIZE + dims * 8, load(ptr, words, 16), dims * 8)
    sm_tensor_retain(tensor)
    store(ptr, payload, 0, made)
    return 0


@native
def aot_tensor_free(tensor: ptr) -> None:
    """Give a result's reference up."""
    sm_tensor_release(tensor)
