"""The calling convention of native code: the per-call context, status codes, function types.

Every native function is ``i32 f(ptr ctx, arguments..., ptr result...)`` and ``nounwind``; it
returns ``STATUS_OK`` or ``STATUS_ERROR`` with the error in the context.  Arguments are borrowed,
results are owned by the caller, and nothing is written through a result pointer when the status is
an error.
"""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir

WORD = 8  # bytes of a context field
STATUS_OK = 0
STATUS_ERROR = 1

# The fields of the context, one 8-byte word each, in order.
CTX_FIELDS = (
    "error_kind",  # one of the ERROR_ constants below
    "error_type",  # script exception: the exception class (immortal, held by the program)
    "error_value",  # script: native str or null; C++: word of the exception_ptr; Python: object
    "trace_length",  # number of location ids in trace_data
    "trace_data",  # pointer to TRACE_CAPACITY location ids, innermost first
    "poll_flag",  # pointer to the byte that asks for a signal poll
    "host",  # pointer to the host table
    "tensors",  # pointer to the tensors of module attributes, read at each call
    "stack_limit",  # lowest stack address that native code may use
    "program",  # opaque
    "thread_state",  # saved PyThreadState while the GIL is released; null: this thread has it
    "call",  # frame of the Python boundary; null without Python
    "op_warnings",  # warnings of libtorch not issued yet, oldest first; null: none
    "tasks",  # tasks that the call has launched, newest first; they end with it
    "handled",  # the exception object that a handler is dealing with, owned; null: none
    "dual_levels",  # not null: forward-mode differentiation is on somewhere in the process
)
CTX_SIZE = WORD * len(CTX_FIELDS)

# The host table: services of the surrounding process, function pointers.  All take the context
# first, may be called with or without the GIL, and return a status.  Pointers are borrowed.
HOST_FIELDS = (
    "print",  # (ctx, str): write a native str to the standard output
    "warn",  # (ctx, category class object, str message, i64 location id, i64 stacklevel)
    "python_call",  # (ctx, function object, i64 n, ptr descriptors[n], ptr addresses of n values,
    #                  ptr result descriptor, ptr result slot)
    "op_warnings",  # (ctx, i64 location id): issue libtorch's warnings; *op_warnings is not null
    "poll",  # (ctx): handle signals; called when *poll_flag is not 0
    "catch",  # (ctx, ptr descriptor): make the C++ or Python exception an ERROR_OBJECT
    "exception_text",  # (ctx, exception, i64 TEXT_ constant, str* result)
)
TRACE_CAPACITY = 64

ERROR_NONE = 0
ERROR_SCRIPT = 1  # an exception that the program raised itself
ERROR_CPP = 2  # a C++ exception, owned
ERROR_PYTHON = 3  # a Python exception object, owned
ERROR_OBJECT = 4  # an exception object of the program, owned

TEXT_STR = 0  # str(e)
TEXT_REPR = 1  # repr(e)
TEXT_NAME = 2  # type(e).__name__

PTR = ir.PointerType()
I1 = ir.IntType(1)
I8 = ir.IntType(8)
I16 = ir.IntType(16)
I32 = ir.IntType(32)
I64 = ir.IntType(64)
F64 = ir.DoubleType()
STATUS = I32


def ctx_offset(field: str) -> int:
    """Byte offset of a context field."""
    return WORD * CTX_FIELDS.index(field)


def ctx_field(builder: ir.IRBuilder, ctx: ir.Value, field: str) -> ir.Value:
    """Address of a context field."""
    index = ir.Constant(I64, CTX_FIELDS.index(field))
    return builder.gep(ctx, [index], inbounds=True, source_etype=I64)


def function_type(arguments: Sequence[ir.Type], results: int) -> ir.FunctionType:
    """LLVM type of a native function with these arguments and this many results."""
    return ir.FunctionType(STATUS, [PTR, *arguments, *([PTR] * results)])
