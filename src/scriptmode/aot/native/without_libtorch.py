"""Tensors of exported libraries that have no libtorch: memory with sizes and strides.

What guards read of a tensor lies where it does in libtorch's (``abi.tensorfields``), so that one
code generator serves both::

    count at 8; sizes, strides and dtype as there; DATA: the elements; OWNED: 1 if they follow

Tensors of arguments and weights borrow their memory.  The functions that start with ``aoti_torch_``
stand in for those of libtorch that the native library calls.
"""

from __future__ import annotations

from scriptmode.abi.instances import TABLE_TENSOR
from scriptmode.abi.tensorfields import INLINE_DIMS
from scriptmode.aot.layouts import (
    DEVICE_CPU,
    FACT_DIMS,
    FACT_DTYPE,
    FACT_SIZES,
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
    atomic_add,
    extern,
    external,
    i8,
    i16,
    i32,
    i64,
    load,
    lshr,
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
from scriptmode.runtime.native.errors import VALUE_ERROR, raise_from, sm_raise_memory_error

malloc = extern("malloc", ptr, i64)
aligned_alloc = extern("aligned_alloc", ptr, i64, i64)
free = extern("free", None, ptr)
# {where the keys, the sizes and the dtype of a tensor lie, the keys of a dense tensor}
FIELDS = external("aot.fields")
F_KEYS = 0
F_SIZES = 8
F_DTYPE = 16
F_PLAIN = 24

COUNT = 8
DATA = 256
HEADER = 320  # bytes before elements, or before sizes and strides of many dimensions
ALIGN = 64


@native
def sizes_of(tensor: ptr) -> ptr:
    """Where the sizes of a tensor lie."""
    place = tensor + load(i64, FIELDS, F_SIZES)
    if load(i64, place) > INLINE_DIMS:
        return load(ptr, place, 8)
    return place + 8


@native
def dims_of(tensor: ptr) -> i64:
    """How many dimensions a tensor has."""
    return load(i64, tensor + load(i64, FIELDS, F_SIZES))


@native
def strides_of(tensor: ptr) -> ptr:
    """Where the strides of a tensor lie."""
    dims = dims_of(tensor)
    return sizes_of(tensor) + (dims if dims > INLINE_DIMS else INLINE_DIMS) * 8


@native
def number_of(tensor: ptr) -> i64:
    """libtorch's number of the elements' type."""
    return zext(i64, load(i16, tensor + load(i64, FIELDS, F_DTYPE)))


@native
def new_tensor(
    ctx: ptr, dtype: i64, dims: i64, sizes: ptr, strides: ptr, nbytes: i64, slot: ptr
) -> i32:
    """A tensor with ``nbytes`` of its own (negative: none) behind the header."""
    outside = dims * 16 if dims > INLINE_DIMS else 0
    start = (HEADER + outside + ALIGN - 1) & -ALIGN
    whole = (start + (nbytes if nbytes > 0 else 0) + ALIGN - 1) & -ALIGN
    made = aligned_alloc(ALIGN, whole)
    if made == 0:
        return sm_raise_memory_error(ctx)
    memset(made, i8(0), HEADER)
    store(i64, made, COUNT, 1)
    store(i64, made + load(i64, FIELDS, F_KEYS), 0, load(i64, FIELDS, F_PLAIN))
    store(i16, made + load(i64, FIELDS, F_DTYPE), 0, i16(dtype))
    place = made + load(i64, FIELDS, F_SIZES)
    store(i64, place, 0, dims)
    if dims > INLINE_DIMS:
        store(ptr, place, 8, made + HEADER)
    memcpy(sizes_of(made), sizes, dims * 8)
    memcpy(strides_of(made), strides, dims * 8)
    store(ptr, made, DATA, made + start)
    store(ptr, slot, 0, made)
    return 0


@native
def aot_tensor_new(ctx: ptr, dtype: i64, dims: i64, words: ptr, has_strides: i64, slot: ptr) -> i32:
    """A new tensor of these sizes, and strides if they follow; the elements are not set."""
    dense = stack(512)
    strides = words + dims * 8
    if has_strides == 0:
        strides = dense
        fill_dense(words, dims, strides)
    last = 0
    for k in range(dims):
        size = load(i64, words, k * 8)
        if size == 0:
            last = -1
        if last >= 0:
            last += (size - 1) * load(i64, strides, k * 8)
    bits = zext(i64, load(i8, sm_aot_dtypes, dtype * 4 + 1))
    return new_tensor(ctx, dtype, dims, words, strides, (last + 1) * lshr(bits, 3), slot)


@native
def fill_dense(sizes: ptr, dims: i64, strides: ptr) -> None:
    """The strides of rows that lie one after the other."""
    dense = 1
    for k in range(dims):
        place = (dims - 1 - k) * 8
        store(i64, strides, place, dense)
        size = load(i64, sizes, place)
        dense *= i64(1) if size < 1 else size


@native
def sm_tensor_retain(tensor: ptr) -> None:
    """Count one more owner."""
    atomic_add(i64, tensor + COUNT, 1)


@native
def sm_tensor_release(tensor: ptr) -> None:
    """Count one owner less; the last one frees."""
    if atomic_add(i64, tensor + COUNT, -1) == 1:
        free(tensor)


@native
def sm_release_tensors(slots: ptr, n: i64) -> None:
    """Release the tensors of slots, which become null; null ones are skipped."""
    for i in range(n):
        tensor = load(ptr, slots, i * 8)
        if tensor != 0:
            store(ptr, slots, i * 8, ptr(0))
            sm_tensor_release(tensor)


@native
def sm_counted_retain(target: ptr) -> None:
    """There are no generators and storages."""


@native
def sm_counted_release(target: ptr) -> None:
    """Likewise."""


# ---- the boundary


@native
def aot_enter() -> i64:
    """There is no state of the thread."""
    return 0


@native
def aot_leave(before: i64) -> None:
    """Likewise."""


@native
def aot_cpp_error(exception: ptr, result: ptr) -> i64:
    """There are no C++ exceptions."""
    store(ptr, result, 0, ptr(0))
    return 0


@native
def aot_weight(ctx: ptr, weights: ptr, row: ptr, entry: ptr) -> i32:
    """A tensor of the weights file for an entry of the tensor table."""
    dims = load(i64, row, ROW_DIMS)
    sizes = row + ROW_SIZES
    place = entry + TABLE_TENSOR
    if new_tensor(ctx, load(i64, row, ROW_DTYPE), dims, sizes, sizes + dims * 8, -1, place):
        return 1
    store(ptr, load(ptr, place), DATA, weights + load(i64, row, ROW_DATA))
    return 0


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
    dense = stack(512)
    sizes = load(ptr, given, TENSOR_SHAPE)
    strides = load(ptr, given, TENSOR_STRIDES)
    if strides == 0:
        strides = dense
        fill_dense(sizes, dims, strides)
    if new_tensor(ctx, dtype, dims, sizes, strides, -1, slot):
        return 1
    data = load(ptr, given, TENSOR_DATA) + load(i64, given, TENSOR_OFFSET)
    store(ptr, load(ptr, slot), DATA, data)
    return 0


@native
def aot_fits(ctx: ptr, tensor: ptr, fact: ptr, name: ptr) -> i32:
    """Whether an argument is as the program was made for."""
    dims = load(i64, fact, FACT_DIMS)
    same = number_of(tensor) == load(i64, fact, FACT_DTYPE) and dims_of(tensor) == dims
    if same:
        for k in range(dims):
            size = load(i64, fact, FACT_SIZES + k * 8)
            stride = load(i64, fact, FACT_SIZES + (dims + k) * 8)
            if load(i64, sizes_of(tensor), k * 8) != size:
                same = False
            elif size == 1:  # says nothing
                store(i64, strides_of(tensor), k * 8, stride)
            elif load(i64, strides_of(tensor), k * 8) != stride:
                same = False
    if same:
        return 0
    b = stack(40)
    b_init(b)
    b_text(b, text("argument "))
    b_text(b, name)
    b_text(b, text(" has other sizes, strides or elements than the library was made for"))
    return raise_from(ctx, VALUE_ERROR, b_finish(b))


@native
def aot_tensor_out(ctx: ptr, tensor: ptr, payload: ptr) -> i32:
    """Describe a tensor, and own a reference to it."""
    dims = dims_of(tensor)
    number = number_of(tensor)
    made = malloc(TENSOR_SIZE + dims * 16)
    if made == 0:
        return sm_raise_memory_error(ctx)
    store(ptr, made, TENSOR_DATA, load(ptr, tensor, DATA))
    store(i32, made, TENSOR_DEVICE_TYPE, i32(DEVICE_CPU))
    store(i32, made, TENSOR_DEVICE_TYPE + 4, 0)
    store(i32, made, TENSOR_DIMS, i32(dims))
    store(i8, made, TENSOR_CODE, load(i8, sm_aot_dtypes, number * 4))
    store(i8, made, TENSOR_BITS, load(i8, sm_aot_dtypes, number * 4 + 1))
    store(i16, made, TENSOR_LANES, i16(1))
    store(ptr, made, TENSOR_SHAPE, made + TENSOR_SIZE)
    store(ptr, made, TENSOR_STRIDES, made + TENSOR_SIZE + dims * 8)
    store(i64, made, TENSOR_OFFSET, 0)
    memcpy(made + TENSOR_SIZE, sizes_of(tensor), dims * 8)
    memcpy(made + TENSOR_SIZE + dims * 8, strides_of(tensor), dims * 8)
    sm_tensor_retain(tensor)
    store(ptr, payload, 0, made)
    return 0


@native
def aot_tensor_free(tensor: ptr) -> None:
    """Give a result's reference up."""
    sm_tensor_release(tensor)


# ---- what the native library and generated code ask of a tensor, by the address of its owner


@native
def aoti_torch_get_data_ptr(owner: ptr, result: ptr) -> i32:
    """Where the elements lie."""
    store(ptr, result, 0, load(ptr, load(ptr, owner), DATA))
    return 0


@native
def aoti_torch_get_dim(owner: ptr, result: ptr) -> i32:
    """The number of dimensions."""
    store(i64, result, 0, dims_of(load(ptr, owner)))
    return 0


@native
def aoti_torch_get_sizes(owner: ptr, result: ptr) -> i32:
    """Where the sizes lie."""
    store(ptr, result, 0, sizes_of(load(ptr, owner)))
    return 0


@native
def aoti_torch_get_strides(owner: ptr, result: ptr) -> i32:
    """Where the strides lie."""
    store(ptr, result, 0, strides_of(load(ptr, owner)))
    return 0


@native
def aoti_torch_get_numel(owner: ptr, result: ptr) -> i32:
    """The number of elements."""
    tensor = load(ptr, owner)
    n = 1
    for k in range(dims_of(tensor)):
        n *= load(i64, sizes_of(tensor), k * 8)
    store(i64, result, 0, n)
    return 0


@native
def aoti_torch_get_dtype(owner: ptr, result: ptr) -> i32:
    """The number of the elements' type."""
    store(i32, result, 0, i32(number_of(load(ptr, owner))))
    return 0


# what libtorch has that no program of this flavour reaches; named here for the linker's sake
UNREACHED = (
    "_ZNSt15__exception_ptr13exception_ptr10_M_releaseEv", "_ZN2at6launchESt8functionIFvvEE",
    "aoti_torch_grad_mode_is_enabled", "aoti_torch_grad_mode_set_enabled",
)  # fmt: skip
