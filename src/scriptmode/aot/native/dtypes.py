"""Element types as DLPack names them: a code and a number of bits."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from scriptmode.abi.dtypes import DTYPE_NUMBERS
from scriptmode.aot.layouts import TENSOR_BITS, TENSOR_CODE, TENSOR_LANES
from scriptmode.codegen.native import i8, i16, i64, load, native, ptr, table

INT, UINT, FLOAT, BFLOAT, COMPLEX, BOOL = 0, 1, 2, 4, 5, 6
MOST = 64
NAMED: Mapping[torch.dtype, tuple[int, int]] = {
    torch.int8: (INT, 8), torch.int16: (INT, 16), torch.int32: (INT, 32), torch.int64: (INT, 64),
    torch.uint8: (UINT, 8), torch.uint16: (UINT, 16), torch.uint32: (UINT, 32),
    torch.uint64: (UINT, 64), torch.float16: (FLOAT, 16), torch.float32: (FLOAT, 32),
    torch.float64: (FLOAT, 64), torch.bfloat16: (BFLOAT, 16), torch.complex64: (COMPLEX, 64),
    torch.complex128: (COMPLEX, 128), torch.bool: (BOOL, 8),
}  # fmt: skip


def _rows() -> bytes:
    rows = bytearray(4 * MOST)
    for dtype, (code, bits) in NAMED.items():
        at = 4 * DTYPE_NUMBERS[dtype]
        rows[at : at + 2] = bytes((code, bits))
    return bytes(rows)


sm_aot_dtypes = table("sm_aot_dtypes", _rows)  # {code, bits, 0, 0} by libtorch's number


@native
def dtype_of(tensor: ptr) -> i64:
    """libtorch's number of the elements' type; -1 when there is none."""
    code = load(i8, tensor, TENSOR_CODE)
    bits = load(i8, tensor, TENSOR_BITS)
    if load(i16, tensor, TENSOR_LANES) != 1 or bits == 0:
        return -1
    for number in range(MOST):
        row = sm_aot_dtypes + number * 4
        if load(i8, row) == code and load(i8, row, 1) == bits:
            return number
    return -1
