"""What the table of an exported library points to: open, call, close."""

from __future__ import annotations

from scriptmode.abi.convention import CTX_SIZE, HOST_FIELDS, TRACE_CAPACITY, WORD, ctx_offset
from scriptmode.abi.instances import TABLE_ENTRY_SIZE
from scriptmode.abi.objects import DESC_KIND, KIND_TENSOR
from scriptmode.aot.layouts import (
    HANDLE_ROWS,
    HANDLE_SIZE,
    HANDLE_TENSORS,
    METHOD_AREA,
    METHOD_FUNCTION,
    METHOD_N,
    METHOD_PARAMETERS,
    METHOD_RESULT,
    METHOD_RESULT_SIZE,
    METHOD_SIZE,
    PARAMETER_DEFAULT,
    PARAMETER_DESCRIPTOR,
    PARAMETER_FACT,
    PARAMETER_NAME,
    PARAMETER_OFFSET,
    PARAMETER_SIZE,
    VALUE_SIZE,
)
from scriptmode.aot.native.c_errors import (
    aot_error_text,
    aot_host_catch,
    aot_host_exception_text,
    aot_host_poll,
    aot_host_print,
    aot_host_python_call,
    aot_host_warn,
)
from scriptmode.aot.native.c_stack import aot_stack_key, aot_stack_limit
from scriptmode.aot.native.c_values import aot_value_in, aot_value_out
from scriptmode.codegen.native import (
    address_of,
    atomic_load,
    atomic_store,
    call,
    cell,
    compare_and_swap,
    extern,
    external,
    i8,
    i32,
    i64,
    load,
    memset,
    native,
    ptr,
    stack,
    store,
    text,
)
from scriptmode.runtime.native.allocation import sm_free_cache, sm_thread_key
from scriptmode.runtime.native.builder import b_finish, b_init, b_text
from scriptmode.runtime.native.cycles import sm_enter, sm_leave
from scriptmode.runtime.native.errors import (
    TYPE_ERROR,
    VALUE_ERROR,
    raise_from,
    sm_raise_memory_error,
)
from scriptmode.runtime.native.hashing import sm_hash_state
from scriptmode.runtime.native.memory import sm_slot_copy, sm_slot_drop, sm_tensor_release
from scriptmode.runtime.native.substrings import sm_make_characters

malloc = extern("malloc", ptr, i64)
calloc = extern("calloc", ptr, i64, i64)
free = extern("free", None, ptr)
memcmp = extern("memcmp", i32, ptr, ptr, i64)
pthread_key_create = extern("pthread_key_create", i32, ptr, ptr)
# of the flavour
aot_enter = extern("aot_enter", i64)
aot_leave = extern("aot_leave", None, i64)
aot_fits = extern("aot_fits", i32, ptr, ptr, ptr, ptr)
aot_weight = extern("aot_weight", i32, ptr, ptr, ptr, ptr)
# of the program
aot_start = extern("aot_start", i32, ptr)  # fills its cells
aot_finish = extern("aot_finish", None, ptr)  # ends the tasks of a call
METHODS = external("aot.methods")
N_METHODS = external("aot.method_count")
ROWS = external("aot.rows")  # ptr to each row of the tensor table, or null where it is None
N_ROWS = external("aot.row_count")
HEADER = external("aot.header")  # {ptr bytes that the weights file begins with, i64 n, i64 all}
HOST = cell("aot_host", 64)
READY = cell("aot_ready")  # 0: nothing is prepared, 1: a thread does it, 2: done
NO_POLL = cell("aot_no_poll")

CTX_POLL_FLAG = ctx_offset("poll_flag")
CTX_HOST = ctx_offset("host")
CTX_TENSORS = ctx_offset("tensors")
CTX_STACK_LIMIT = ctx_offset("stack_limit")
CTX_TRACE_DATA = ctx_offset("trace_data")
HOST_PRINT = HOST_FIELDS.index("print") * WORD
HOST_WARN = HOST_FIELDS.index("warn") * WORD
HOST_PYTHON_CALL = HOST_FIELDS.index("python_call") * WORD
HOST_OP_WARNINGS = HOST_FIELDS.index("op_warnings") * WORD
HOST_POLL = HOST_FIELDS.index("poll") * WORD
HOST_CATCH = HOST_FIELDS.index("catch") * WORD
HOST_TEXT = HOST_FIELDS.index("exception_text") * WORD
TRACE_BYTES = TRACE_CAPACITY * WORD
SIP_ROUNDS = 1  # and three to finish: CPython's siphash13, here without a secret
SIP_FINAL_ROUNDS = 3
NONE_HASH = 0xFCA86420  # what CPython 3.12 and newer have


@native
def begin(ctx: ptr, trace: ptr, tensors: ptr) -> None:
    """A context for a call."""
    memset(ctx, i8(0), CTX_SIZE)
    store(ptr, ctx, CTX_POLL_FLAG, NO_POLL)
    store(ptr, ctx, CTX_HOST, HOST)
    store(ptr, ctx, CTX_TENSORS, tensors)
    store(ptr, ctx, CTX_TRACE_DATA, trace)


@native
def prepare(ctx: ptr) -> i32:
    """Once in a process: hashing, the threads' caches, the host table, the program's cells."""
    while atomic_load(i64, READY) != 2:
        _, mine = compare_and_swap(READY, 0, 1)
        if mine:
            store(i64, sm_hash_state, 16, SIP_ROUNDS)
            store(i64, sm_hash_state, 24, SIP_FINAL_ROUNDS)
            store(i64, sm_hash_state, 32, NONE_HASH)
            store(ptr, HOST, HOST_PRINT, address_of(aot_host_print))
            store(ptr, HOST, HOST_WARN, address_of(aot_host_warn))
            store(ptr, HOST, HOST_PYTHON_CALL, address_of(aot_host_python_call))
            store(ptr, HOST, HOST_OP_WARNINGS, address_of(aot_host_python_call))
            store(ptr, HOST, HOST_POLL, address_of(aot_host_poll))
            store(ptr, HOST, HOST_CATCH, address_of(aot_host_catch))
            store(ptr, HOST, HOST_TEXT, address_of(aot_host_exception_text))
            sm_make_characters()
            status = pthread_key_create(sm_thread_key, address_of(sm_free_cache))
            status = status | pthread_key_create(aot_stack_key, ptr(0))
            if status != 0:
                status = sm_raise_memory_error(ctx)
            else:
                status = aot_start(ctx)
            atomic_store(i64, READY, i64(0) if status != 0 else i64(2))
            if status != 0:
                return 1
    return 0


@native
def aot_open(weights: ptr, size: i64, result: ptr, error: ptr) -> i32:
    """Make a handle of the bytes of the weights file, which must stay as long as the handle."""
    ctx = stack(CTX_SIZE)
    trace = stack(TRACE_BYTES)
    begin(ctx, trace, ptr(0))
    store(ptr, result, 0, ptr(0))
    store(ptr, error, 0, ptr(0))
    status = prepare(ctx)
    if status == 0:
        state = aot_enter()
        status = make_handle(ctx, weights, size, result)
        aot_leave(state)
    if status != 0:
        store(ptr, error, 0, aot_error_text(ctx))
    return status


@native
def make_handle(ctx: ptr, weights: ptr, size: i64, result: ptr) -> i32:
    """The tensor table of a handle."""
    n = load(i64, N_ROWS)
    header = load(i64, HEADER, 8)
    if size < load(i64, HEADER, 16):
        return raise_from(ctx, VALUE_ERROR, text("the weights file is too short"))
    if header != 0 and memcmp(weights, load(ptr, HEADER), header) != 0:
        return raise_from(ctx, VALUE_ERROR, text("the weights file is of another program"))
    handle = malloc(HANDLE_SIZE)
    table = calloc(n + 1, TABLE_ENTRY_SIZE)
    if handle == 0 or table == 0:
        free(handle)
        free(table)
        return sm_raise_memory_error(ctx)
    store(ptr, handle, HANDLE_TENSORS, table)
    store(i64, handle, HANDLE_ROWS, n)
    for i in range(n):
        row = load(ptr, ROWS, i * 8)
        if row != 0 and aot_weight(ctx, weights + header, row, table + i * TABLE_ENTRY_SIZE):
            aot_close(handle)
            return 1
    store(ptr, result, 0, handle)
    return 0


@native
def aot_close(handle: ptr) -> None:
    """Give a handle up; no call of it may be running, no result of it be in use."""
    if handle == 0:
        return
    table = load(ptr, handle, HANDLE_TENSORS)
    for i in range(load(i64, handle, HANDLE_ROWS)):
        tensor = load(ptr, table, i * TABLE_ENTRY_SIZE)
        if tensor != 0:
            sm_tensor_release(tensor)
    free(table)
    free(handle)


@native
def aot_call(handle: ptr, number: i64, args: ptr, nargs: i64, result: ptr, error: ptr) -> i32:
    """Call a method; the result, or the text of an error, is the caller's to free."""
    ctx = stack(CTX_SIZE)
    trace = stack(TRACE_BYTES)
    begin(ctx, trace, load(ptr, handle, HANDLE_TENSORS))
    store(i64, ctx, CTX_STACK_LIMIT, aot_stack_limit())
    memset(result, i8(0), VALUE_SIZE)
    store(ptr, error, 0, ptr(0))
    state = aot_enter()
    sm_enter()
    status: i32 = 1
    if number < 0 or number >= load(i64, N_METHODS):
        raise_from(ctx, VALUE_ERROR, text("there is no method of this number"))
    else:
        status = run(ctx, METHODS + number * METHOD_SIZE, args, nargs, result)
    sm_leave()
    if status != 0:
        store(ptr, error, 0, aot_error_text(ctx))
    aot_leave(state)
    return status


@native
def run(ctx: ptr, method: ptr, args: ptr, nargs: i64, result: ptr) -> i32:
    """Take the arguments over, run, hand the result out."""
    size = load(i64, method, METHOD_AREA) + 16
    area = malloc(size + load(i64, method, METHOD_RESULT_SIZE) + 16)
    if area == 0:
        return sm_raise_memory_error(ctx)
    out = area + size
    memset(area, i8(0), size)
    n = load(i64, method, METHOD_N)
    done = stack(8)
    store(i64, done, 0, 0)
    status: i32 = 1
    if nargs > n:
        raise_from(ctx, TYPE_ERROR, text("there are too many arguments"))
    else:
        status = take_arguments(ctx, method, args, nargs, area, done)
    if status == 0:
        status = call(i32, load(ptr, method, METHOD_FUNCTION), ctx, area, out)
        aot_finish(ctx)
        if status == 0:
            status = aot_value_out(ctx, out, load(ptr, method, METHOD_RESULT), result)
            sm_slot_drop(out, load(ptr, method, METHOD_RESULT))
    parameter = load(ptr, method, METHOD_PARAMETERS)
    for _ in range(load(i64, done)):
        place = area + load(i64, parameter, PARAMETER_OFFSET)
        sm_slot_drop(place, load(ptr, parameter, PARAMETER_DESCRIPTOR))
        parameter = parameter + PARAMETER_SIZE
    free(area)
    return status


@native
def take_arguments(ctx: ptr, method: ptr, args: ptr, nargs: i64, area: ptr, done: ptr) -> i32:
    """Fill the argument area; ``done`` counts what is owned."""
    parameter = load(ptr, method, METHOD_PARAMETERS)
    for i in range(load(i64, method, METHOD_N)):
        place = area + load(i64, parameter, PARAMETER_OFFSET)
        descriptor = load(ptr, parameter, PARAMETER_DESCRIPTOR)
        name = load(ptr, parameter, PARAMETER_NAME)
        if i < nargs:
            if aot_value_in(ctx, args + i * VALUE_SIZE, descriptor, place):
                return 1
            store(i64, done, 0, i + 1)
            fact = load(ptr, parameter, PARAMETER_FACT)
            if fact != 0 and load(i64, descriptor, DESC_KIND) == KIND_TENSOR:
                if aot_fits(ctx, load(ptr, place), fact, name):
                    return 1
        elif load(ptr, parameter, PARAMETER_DEFAULT) != 0:
            sm_slot_copy(place, load(ptr, parameter, PARAMETER_DEFAULT), descriptor)
            store(i64, done, 0, i + 1)
        else:
            return _missing(ctx, name)
        parameter = parameter + PARAMETER_SIZE
    return 0


@native
def _missing(ctx: ptr, name: ptr) -> i32:
    b = stack(40)
    b_init(b)
    b_text(b, text("missing argument "))
    b_text(b, name)
    return raise_from(ctx, TYPE_ERROR, b_finish(b))
