"""Layouts of the boundary of exported libraries: byte offsets shared with ``scriptmode.h``.

::

    api       {i64 abi, char* name, char* flavour, i64 weights, i64 n, method* methods,
               open, close, call, release, free_text}
    method    {char* name, char* signature, i64 n, parameter* parameters,
               function, i64 area, descriptor* result, i64 result size}
    parameter {str* name, descriptor*, i64 offset in the area, slot* default or null,
               fact* or null}
    value     {i32 kind, i32 reserved, payload, i64 n, owner}
    fact      {i64 dtype, i64 dims, sizes..., strides...}       what a tensor must be like
    row       {i64 offset of the data, i64 dtype, i64 dims, sizes..., strides...}   a weight
    handle    {ptr tensor table, i64 rows}
    class     a Python class as far as native code reads one, and its name
"""

from __future__ import annotations

ABI = 1

API_METHODS = 5 * 8

METHOD_NAME = 0
METHOD_SIGNATURE = 8
METHOD_N = 16
METHOD_PARAMETERS = 24
METHOD_FUNCTION = 32  # i32 (ctx, ptr area, ptr result)
METHOD_AREA = 40
METHOD_RESULT = 48
METHOD_RESULT_SIZE = 56
METHOD_SIZE = 64

PARAMETER_NAME = 0
PARAMETER_DESCRIPTOR = 8
PARAMETER_OFFSET = 16
PARAMETER_DEFAULT = 24
PARAMETER_FACT = 32
PARAMETER_SIZE = 40

VALUE_KIND = 0
VALUE_PAYLOAD = 8
VALUE_N = 16
VALUE_OWNER = 24
VALUE_SIZE = 32

(
    C_NONE, C_BOOL, C_INT, C_FLOAT, C_STR, C_TENSOR, C_LIST, C_TUPLE, C_DICT, C_COMPLEX,
) = range(10)  # fmt: skip

# DLPack's DLTensor
TENSOR_DATA = 0
TENSOR_DEVICE_TYPE = 8
TENSOR_DEVICE_ID = 12
TENSOR_DIMS = 16
TENSOR_CODE = 20
TENSOR_BITS = 21
TENSOR_LANES = 22
TENSOR_SHAPE = 24
TENSOR_STRIDES = 32
TENSOR_OFFSET = 40
TENSOR_SIZE = 48
MOST_DIMS = 64
DEVICE_CPU = 1  # DLPack's kDLCPU

FACT_DTYPE = 0
FACT_DIMS = 8
FACT_SIZES = 16

ROW_DATA = 0
ROW_DTYPE = 8
ROW_DIMS = 16
ROW_SIZES = 24

HANDLE_TENSORS = 0
HANDLE_ROWS = 8
HANDLE_SIZE = 16

# a Python class: what the native library reads of it lies where it does in CPython
CLASS_NAME = 400  # str*
CLASS_SIZE = 408
