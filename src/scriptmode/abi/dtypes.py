"""Numbers of dtypes, layouts and memory formats, as libtorch's enumerations count them."""

from __future__ import annotations

from collections.abc import Mapping

import torch

# Names by number; a torch that lacks a name leaves its number out of DTYPES.
_DTYPE_NAMES = (
    "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64", "complex32",
    "complex64", "complex128", "bool", "qint8", "quint8", "qint32", "bfloat16", "quint4x2",
    "quint2x4", "bits1x8", "bits2x4", "bits4x2", "bits8", "bits16", "float8_e5m2",
    "float8_e4m3fn", "float8_e5m2fnuz", "float8_e4m3fnuz", "uint16", "uint32", "uint64", "uint1",
    "uint2", "uint3", "uint4", "uint5", "uint6", "uint7", "int1", "int2", "int3", "int4", "int5",
    "int6", "int7", "float8_e8m0fnu", "float4_e2m1fn_x2",
)  # fmt: skip
DTYPES: Mapping[int, torch.dtype] = {
    number: getattr(torch, name) for number, name in enumerate(_DTYPE_NAMES) if hasattr(torch, name)
}
LAYOUTS: Mapping[int, torch.layout] = {
    number: getattr(torch, name)
    for number, name in enumerate(
        ("strided", "sparse_coo", "sparse_csr", "_mkldnn", "sparse_csc", "sparse_bsr",
         "sparse_bsc", "jagged")
    )
    if hasattr(torch, name)
}  # fmt: skip
MEMORY_FORMATS: Mapping[int, torch.memory_format] = dict(
    enumerate(
        (
            torch.contiguous_format,
            torch.preserve_format,
            torch.channels_last,
            torch.channels_last_3d,
        )
    )
)
DTYPE_NUMBERS = {dtype: number for number, dtype in DTYPES.items()}
LAYOUT_NUMBERS = {layout: number for number, layout in LAYOUTS.items()}
MEMORY_FORMAT_NUMBERS = {fmt: number for number, fmt in MEMORY_FORMATS.items()}
