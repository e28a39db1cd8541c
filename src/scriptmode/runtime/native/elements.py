"""Elements of plain tensors of the CPU, read where they lie."""

from __future__ import annotations

import torch

from scriptmode.abi.dtypes import DTYPE_NUMBERS
from scriptmode.abi.objects import TAG_BOOL, TAG_FLOAT, TAG_INT
from scriptmode.codegen.native import (
    extern,
    f32,
    f64,
    i8,
    i32,
    i64,
    load,
    native,
    ptr,
    stack,
    store,
    zext,
)

# libtorch's C interface: a status; it takes the address of a tensor's cell
get_dtype = extern("aoti_torch_get_dtype", i32, ptr, ptr)
get_numel = extern("aoti_torch_get_numel", i32, ptr, ptr)
get_dim = extern("aoti_torch_get_dim", i32, ptr, ptr)
get_sizes = extern("aoti_torch_get_sizes", i32, ptr, ptr)
get_strides = extern("aoti_torch_get_strides", i32, ptr, ptr)
get_data = extern("aoti_torch_get_data_ptr", i32, ptr, ptr)

FLOAT32 = DTYPE_NUMBERS[torch.float32]
FLOAT64 = DTYPE_NUMBERS[torch.float64]
INT64 = DTYPE_NUMBERS[torch.int64]
INT32 = DTYPE_NUMBERS[torch.int32]
BOOL = DTYPE_NUMBERS[torch.bool]


@native(fast=True)
def sm_tensor_read(cell: ptr, n: i64, i: i64, j: i64, result: ptr) -> i64:
    """Write an element as {tag, lo, hi}: the only one, or that at one index or two (``n``).

    0 when it is not there, or of a kind that is left to libtorch.
    """
    place = stack(8)
    at = 0
    if n == 0:
        if get_numel(cell, place) != 0 or load(i64, place) != 1:
            return 0
    else:
        if get_dim(cell, place) != 0 or load(i64, place) != n:
            return 0
        if get_sizes(cell, place) != 0:
            return 0
        sizes = load(ptr, place)
        if get_strides(cell, place) != 0:
            return 0
        strides = load(ptr, place)
        if i < 0:
            i += load(i64, sizes)
        if i < 0 or i >= load(i64, sizes):
            return 0
        at = i * load(i64, strides)
        if n == 2:
            if j < 0:
                j += load(i64, sizes, 8)
            if j < 0 or j >= load(i64, sizes, 8):
                return 0
            at += j * load(i64, strides, 8)
    if get_dtype(cell, place) != 0:
        return 0
    dtype = load(i32, place)
    if get_data(cell, place) != 0:
        return 0
    return _number_at(load(ptr, place), at, dtype, result)


@native
def sm_tensor_is_expanded(cell: ptr) -> i64:
    """Whether elements along some dimension are one and the same (a stride of 0)."""
    place = stack(8)
    if get_dim(cell, place) != 0:
        return 0
    n = load(i64, place)
    if get_sizes(cell, place) != 0:
        return 0
    sizes = load(ptr, place)
    if get_strides(cell, place) != 0:
        return 0
    strides = load(ptr, place)
    found = 0
    for i in range(n):
        if load(i64, sizes, i * 8) == 0:
            return 0
        if load(i64, sizes, i * 8) > 1 and load(i64, strides, i * 8) == 0:
            found = 1
    return found


@native(inline=True)
def _number_at(data: ptr, at: i64, dtype: i32, result: ptr) -> i64:
    store(i64, result, 16, 0)
    if dtype == FLOAT32:
        store(i64, result, 0, TAG_FLOAT)
        store(f64, result, 8, f64(load(f32, data + at * 4)))
    elif dtype == FLOAT64:
        store(i64, result, 0, TAG_FLOAT)
        store(f64, result, 8, load(f64, data + at * 8))
    elif dtype == INT64:
        store(i64, result, 0, TAG_INT)
        store(i64, result, 8, load(i64, data + at * 8))
    elif dtype == INT32:
        store(i64, result, 0, TAG_INT)
        store(i64, result, 8, i64(load(i32, data + at * 4)))
    elif dtype == BOOL:
        store(i64, result, 0, TAG_BOOL)
        store(i64, result, 8, zext(i64, load(i8, data + at)))
    else:
        return 0
    return 1
