"""Functions shared by all op thunks: exceptions, and conversions that need memory or loops.

They are emitted once per process by ``define_support`` and called by symbol.
"""

from __future__ import annotations

from functools import partial

from llvmlite import ir

from scriptmode.abi import layouts
from scriptmode.abi.convention import (
    ERROR_CPP,
    I1,
    I8,
    I16,
    I32,
    I64,
    PTR,
    STATUS_ERROR,
    ctx_field,
)
from scriptmode.codegen.tensors import (
    COUNT_OFFSET,
    OPERATOR_NEW,
    RETAIN,
    UNIQUE,
    address,
    byte_gep,
    constant,
    count_live,
    extern_function,
    extern_global,
    for_range,
    load,
    stack_slot,
    store,
    tensor_function,
    undefined_tensor,
)
from scriptmode.ir import types as T

VOID = ir.VoidType()
NULL = ir.Constant(PTR, None)
LANDING_TYPE = ir.LiteralStructType([PTR, I32])

CATCH = "sm_op_catch"
REJECT = "sm_op_reject"
FAIL = "sm_op_fail"
SYM_INTS_VALID = "sm_sym_ints_valid"
STR_VIEW = "sm_str_view"
SCALARS_NEW = "sm_scalars_new"
OPTIONAL_TENSORS_NEW = "sm_optional_tensors_new"
UNDEFINED_FOR_NULL = "sm_undefined_for_null"
NULL_FOR_UNDEFINED = "sm_null_for_undefined"

PERSONALITY = "__gxx_personality_v0"
FORCED_UNWIND = "_ZTIN10__cxxabiv115__forced_unwindE"
CHECK_FAIL = "_ZN3c106detail14torchCheckFailEPKcS2_jS2_"
CURRENT_EXCEPTION = "_ZSt17current_exceptionv"
LIST_CONSTRUCTOR = (
    "_ZN3c106detail8ListImplC1ESt6vectorINS_6IValueESaIS3_EENS_4Type"
    "24SingletonOrSharedTypePtrIS6_EE"
)
OPTIONAL_TENSOR_TYPE = "sm_optional_tensor_type"  # address of libtorch's Optional[Tensor] type

SIGNATURES: dict[str, ir.FunctionType] = {
    CATCH: ir.FunctionType(I32, [PTR, PTR]),
    REJECT: ir.FunctionType(I32, [PTR, I64]),
    FAIL: ir.FunctionType(I32, [PTR, PTR]),
    SYM_INTS_VALID: ir.FunctionType(I1, [PTR, I64]),
    STR_VIEW: ir.FunctionType(VOID, [PTR, PTR]),
    SCALARS_NEW: ir.FunctionType(PTR, [PTR]),
    OPTIONAL_TENSORS_NEW: ir.FunctionType(PTR, [PTR]),
    UNDEFINED_FOR_NULL: ir.FunctionType(PTR, [PTR]),
    NULL_FOR_UNDEFINED: ir.FunctionType(I64, [PTR]),
    "__cxa_begin_catch": ir.FunctionType(PTR, [PTR]),
    "__cxa_end_catch": ir.FunctionType(VOID, []),
    CURRENT_EXCEPTION: ir.FunctionType(VOID, [PTR]),
    CHECK_FAIL: ir.FunctionType(VOID, [PTR, PTR, I32, PTR]),
    LIST_CONSTRUCTOR: ir.FunctionType(VOID, [PTR, PTR, PTR]),
    "malloc": ir.FunctionType(PTR, [I64]),
    "free": ir.FunctionType(VOID, [PTR]),
}

LIST_NEW = "sm_list_new"  # of the runtime library: (descriptor, capacity) -> empty list
TENSOR, MAYBE_TENSOR = T.TENSOR, T.optional_of(T.TENSOR)

SYM_INT_MIN = -(1 << 62)  # smallest integer that a c10::SymInt holds inline

REJECTED_SYM_INT, REJECTED_BOOL_LIST, REJECTED_UNSIGNED, REJECTED_SYMBOLIC = range(4)
MESSAGES = (
    "an integer argument is below -2**62, which native calls of this op do not accept",
    "a list of bools has the wrong length",
    "the result does not fit a signed 64-bit integer",
    "the result is symbolic, which compiled code does not support",
)

SCALAR_SIZE = 32  # of c10::Scalar: tag at 0, payload at 16
SCALAR_PAYLOAD = 16
IVALUE_SIZE = 16  # of c10::IValue: payload at 0, 4-byte tag at 8
IVALUE_TENSOR = 1
LIST_IMPL_SIZE = 56  # vtable, counts, std::vector, type pointer


def support_function(module: ir.Module, name: str) -> ir.Function:
    """Refer to one of the functions of ``SIGNATURES`` from ``module``."""
    return extern_function(module, name, SIGNATURES[name])


def call(builder: ir.IRBuilder, name: str, *arguments: ir.Value) -> ir.Value:
    """Call one of the functions of ``SIGNATURES``."""
    return builder.call(support_function(builder.module, name), arguments)


def use_exceptions(function: ir.Function) -> None:
    """Let ``function`` have landing pads."""
    personality = ir.FunctionType(I32, [], var_arg=True)
    handler = extern_function(function.module, PERSONALITY, personality)
    function.attributes.personality = handler
    function.attributes.add("uwtable")


def landing_pad(builder: ir.IRBuilder) -> tuple[ir.Value, ir.Value]:
    """Catch anything; returns the exception pointer and whether it is a thread's forced unwind.

    A forced unwind is resumed here; the builder is left where all other exceptions arrive.
    """
    module = builder.module
    forced_type = address(extern_global(module, FORCED_UNWIND, I64))
    pad = builder.landingpad(LANDING_TYPE)
    pad.add_clause(ir.CatchClause(forced_type))
    pad.add_clause(ir.CatchClause(NULL))
    intrinsic = extern_function(module, "llvm.eh.typeid.for.p0", ir.FunctionType(I32, [PTR]))
    forced = builder.icmp_signed(
        "==", builder.extract_value(pad, 1), builder.call(intrinsic, [forced_type])
    )
    return pad, forced


def define_support(module: ir.Module, *, debug: bool = False, has_type_cell: bool = False) -> None:
    """Emit the functions into ``module``; ``debug`` keeps the count of live tensors right.

    With ``has_type_cell``, OPTIONAL_TENSOR_TYPE is a cell that holds the type's address.
    """
    for name, emit in (
        (CATCH, _emit_catch),
        (FAIL, _emit_fail),
        (REJECT, _emit_reject),
        (SYM_INTS_VALID, _emit_sym_ints_valid),
        (STR_VIEW, _emit_str_view),
        (SCALARS_NEW, _emit_scalars_new),
        (UNDEFINED_FOR_NULL, _emit_undefined_for_null),
        (NULL_FOR_UNDEFINED, _emit_null_for_undefined),
        (
            OPTIONAL_TENSORS_NEW,
            partial(_emit_optional_tensors_new, debug=debug, has_type_cell=has_type_cell),
        ),
    ):
        function = support_function(module, name)
        emit(function, ir.IRBuilder(function.append_basic_block("entry")))


def _emit_catch(function: ir.Function, builder: ir.IRBuilder) -> None:
    """Put the exception into the context; returns the error status."""
    ctx, exception = function.args
    cell = stack_slot(builder, 8)
    call(builder, "__cxa_begin_catch", exception)
    call(builder, CURRENT_EXCEPTION, cell)
    call(builder, "__cxa_end_catch")
    builder.store(constant(ERROR_CPP), ctx_field(builder, ctx, "error_kind"))
    builder.store(NULL, ctx_field(builder, ctx, "error_type"))
    builder.store(load(builder, cell, PTR), ctx_field(builder, ctx, "error_value"))
    builder.ret(ir.Constant(I32, STATUS_ERROR))


def _emit_fail(function: ir.Function, builder: ir.IRBuilder) -> None:
    """Raise and catch libtorch's own error with a C string as message."""
    use_exceptions(function)
    ctx, text = function.args
    unwind = function.append_basic_block("unwind")
    unreachable = function.append_basic_block("unreachable")
    empty = address(text_constant(function.module, "sm_op_no_text", ""))
    fail = support_function(function.module, CHECK_FAIL)
    builder.invoke(fail, [empty, empty, ir.Constant(I32, 0), text], unreachable, unwind)
    builder.position_at_end(unreachable)
    builder.unreachable()
    builder.position_at_end(unwind)
    pad = builder.landingpad(LANDING_TYPE)
    pad.add_clause(ir.CatchClause(NULL))
    builder.ret(call(builder, CATCH, ctx, builder.extract_value(pad, 0)))


def text_constant(module: ir.Module, name: str, text: str) -> ir.GlobalVariable:
    """A private, zero-terminated constant; use ``address`` on it."""
    content = bytearray(text.encode() + b"\0")
    made = ir.GlobalVariable(module, ir.ArrayType(I8, len(content)), name)
    made.linkage = "internal"
    made.global_constant = True
    made.initializer = ir.Constant(made.value_type, content)
    return made


def _emit_reject(function: ir.Function, builder: ir.IRBuilder) -> None:
    """Fail with one of ``MESSAGES``."""
    ctx, code = function.args
    width = max(map(len, MESSAGES)) + 1
    joined = "".join(text.ljust(width, "\0") for text in MESSAGES)
    table = text_constant(function.module, "sm_op_messages", joined)
    text = byte_gep(builder, address(table), builder.mul(code, constant(width)))
    builder.ret(call(builder, FAIL, ctx, text))


def _emit_sym_ints_valid(function: ir.Function, builder: ir.IRBuilder) -> None:
    """Whether each of ``length`` integers is one that a SymInt holds inline."""
    data, length = function.args
    with for_range(builder, length) as index:
        value = load(builder, byte_gep(builder, data, builder.mul(index, constant(8))), I64)
        with builder.if_then(builder.icmp_signed("<", value, constant(SYM_INT_MIN))):
            builder.ret(ir.Constant(I1, 0))
    builder.ret(ir.Constant(I1, 1))


def _emit_str_view(function: ir.Function, builder: ir.IRBuilder) -> None:
    """Write {bytes, UTF-8 data, memory to free or null} of a native string."""
    text, view = function.args
    length = load(builder, text, I64, layouts.STR_LENGTH)
    width = builder.zext(load(builder, text, I32, layouts.STR_WIDTH), I64)
    data = byte_gep(builder, text, layouts.STR_DATA)
    high = stack_slot(builder, 8)
    builder.store(constant(0), high)
    narrow = builder.icmp_unsigned("==", width, constant(1))
    with builder.if_then(narrow), for_range(builder, length) as index:
        byte = builder.zext(load(builder, byte_gep(builder, data, index), I8), I64)
        builder.store(builder.or_(byte, load(builder, high, I64)), high)
    ascii_only = builder.icmp_unsigned("<", load(builder, high, I64), constant(128))
    with builder.if_then(builder.and_(narrow, ascii_only)):
        store(builder, length, view)
        store(builder, data, view, 8)
        store(builder, NULL, view, 16)
        builder.ret_void()
    # at most four bytes for each code point
    buffer = call(builder, "malloc", builder.add(builder.mul(length, constant(4)), constant(1)))
    used = stack_slot(builder, 8)
    builder.store(constant(0), used)
    with for_range(builder, length) as index:
        point = _code_point(builder, data, width, index)
        _append_utf8(builder, buffer, used, point)
    store(builder, load(builder, used, I64), view)
    store(builder, buffer, view, 8)
    store(builder, buffer, view, 16)
    builder.ret_void()


def _code_point(
    builder: ir.IRBuilder, data: ir.Value, width: ir.Value, index: ir.Value
) -> ir.Value:
    place = byte_gep(builder, data, builder.mul(index, width))
    point = stack_slot(builder, 8)
    for size, t in ((1, I8), (2, I16), (4, I32)):
        with builder.if_then(builder.icmp_unsigned("==", width, constant(size))):
            builder.store(builder.zext(load(builder, place, t), I64), point)
    return load(builder, point, I64)


def _append_utf8(builder: ir.IRBuilder, buffer: ir.Value, used: ir.Value, point: ir.Value) -> None:
    """Append one code point: a lead byte by length, then six bits in each following byte."""

    def put(value: ir.Value) -> None:
        at = load(builder, used, I64)
        store(builder, builder.trunc(value, I8), byte_gep(builder, buffer, at))
        builder.store(builder.add(at, constant(1)), used)

    def less(limit: int) -> ir.Value:
        return builder.icmp_unsigned("<", point, constant(limit))

    lead = builder.or_(builder.lshr(point, constant(18)), constant(0xF0))
    for shift, limit, mark in ((12, 0x10000, 0xE0), (6, 0x800, 0xC0), (0, 0x80, 0)):
        candidate = builder.or_(builder.lshr(point, constant(shift)), constant(mark))
        lead = builder.select(less(limit), candidate, lead)
    put(lead)
    for shift, limit in ((12, 0x10000), (6, 0x800), (0, 0x80)):
        with builder.if_then(builder.not_(less(limit))):
            bits = builder.and_(builder.lshr(point, constant(shift)), constant(0x3F))
            put(builder.or_(bits, constant(0x80)))


def new_tensor_list(builder: ir.IRBuilder, length: ir.Value, element: T.Type = TENSOR) -> ir.Value:
    """A new native list of ``length`` tensors, which the caller fills."""
    module = builder.module
    symbol = layouts.descriptor_symbol(T.ListType([element]))
    descriptor = extern_global(module, symbol, I64)
    list_new = extern_function(module, LIST_NEW, ir.FunctionType(PTR, [PTR, I64]))
    made = builder.call(list_new, [address(descriptor), length])
    store(builder, length, made, layouts.LIST_LENGTH)
    return made


def store_scalar(builder: ir.IRBuilder, number: ir.Value, place: ir.Value) -> None:
    """Write a number as a c10::Scalar."""
    store(builder, builder.trunc(builder.extract_value(number, 0), I32), place)
    store(builder, builder.extract_value(number, 1), place, SCALAR_PAYLOAD)
    store(builder, builder.extract_value(number, 2), place, SCALAR_PAYLOAD + 8)


def _emit_scalars_new(function: ir.Function, builder: ir.IRBuilder) -> None:
    """An array of c10::Scalar for a native list of numbers; freed by ``free``."""
    numbers = function.args[0]
    length = load(builder, numbers, I64, layouts.LIST_LENGTH)
    data = load(builder, numbers, PTR, layouts.LIST_DATA)
    size = layouts.size_of_llvm(layouts.NUMBER_TYPE)
    bytes_needed = builder.add(builder.mul(length, constant(SCALAR_SIZE)), constant(SCALAR_SIZE))
    array = call(builder, "malloc", bytes_needed)
    with for_range(builder, length) as index:
        place = byte_gep(builder, data, builder.mul(index, constant(size)))
        number = load(builder, place, layouts.NUMBER_TYPE)
        target = byte_gep(builder, array, builder.mul(index, constant(SCALAR_SIZE)))
        store_scalar(builder, number, target)
    builder.ret(array)


def _emit_undefined_for_null(function: ir.Function, builder: ir.IRBuilder) -> None:
    """An array of the tensors of a native list[Optional[Tensor]], lent; freed by ``free``."""
    tensors = function.args[0]
    length = load(builder, tensors, I64, layouts.LIST_LENGTH)
    data = load(builder, tensors, PTR, layouts.LIST_DATA)
    size = builder.shl(builder.add(length, constant(1)), constant(3))
    array = call(builder, "malloc", size)
    undefined = undefined_tensor(function.module)
    with for_range(builder, length) as index:
        at = builder.shl(index, constant(3))
        impl = load(builder, byte_gep(builder, data, at), PTR)
        is_null = builder.icmp_unsigned("==", impl, NULL)
        store(builder, builder.select(is_null, undefined, impl), byte_gep(builder, array, at))
    builder.ret(array)


def _emit_null_for_undefined(function: ir.Function, builder: ir.IRBuilder) -> None:
    """Make undefined tensors in a new list None; returns how many there are of the others."""
    tensors = function.args[0]
    length = load(builder, tensors, I64, layouts.LIST_LENGTH)
    data = load(builder, tensors, PTR, layouts.LIST_DATA)
    present = stack_slot(builder, 8)
    builder.store(constant(0), present)
    undefined = undefined_tensor(function.module)
    with for_range(builder, length) as index:
        place = byte_gep(builder, data, builder.shl(index, constant(3)))
        impl = load(builder, place, PTR)
        is_defined = builder.icmp_unsigned("!=", impl, undefined)
        store(builder, builder.select(is_defined, impl, NULL), place)
        count = builder.add(load(builder, present, I64), builder.zext(is_defined, I64))
        builder.store(count, present)
    builder.ret(load(builder, present, I64))


def _emit_optional_tensors_new(
    function: ir.Function, builder: ir.IRBuilder, debug: bool, has_type_cell: bool
) -> None:
    """A new, owned c10::List<optional<Tensor>> for a native list[Optional[Tensor]]."""
    module = function.module
    tensors = function.args[0]
    length = load(builder, tensors, I64, layouts.LIST_LENGTH)
    data = load(builder, tensors, PTR, layouts.LIST_DATA)
    size = builder.mul(length, constant(IVALUE_SIZE))
    new = tensor_function(module, OPERATOR_NEW)
    buffer = builder.call(new, [size])
    undefined = undefined_tensor(module)
    with for_range(builder, length) as index:
        impl = load(builder, byte_gep(builder, data, builder.mul(index, constant(8))), PTR)
        absent = builder.or_(
            builder.icmp_unsigned("==", impl, NULL), builder.icmp_unsigned("==", impl, undefined)
        )
        value = byte_gep(builder, buffer, builder.mul(index, constant(IVALUE_SIZE)))
        store(builder, builder.select(absent, NULL, impl), value)
        tag = builder.select(absent, constant(0), constant(IVALUE_TENSOR))
        store(builder, tag, value, 8)
        with builder.if_then(builder.not_(absent)):
            builder.call(tensor_function(module, RETAIN), [impl])
            if debug:  # the reference belongs to libtorch's list, not to native code
                count_live(builder, -1)
    vector, element_type = stack_slot(builder, 24), stack_slot(builder, 16)
    end = byte_gep(builder, buffer, size)
    for offset, pointer in ((0, buffer), (8, end), (16, end)):
        store(builder, pointer, vector, offset)
    # a type pointer without control block is a singleton: it is not counted
    tensor_type = address(extern_global(module, OPTIONAL_TENSOR_TYPE, I64))
    if has_type_cell:
        tensor_type = load(builder, tensor_type, PTR)
    store(builder, tensor_type, element_type)
    store(builder, NULL, element_type, 8)
    made = builder.call(new, [constant(LIST_IMPL_SIZE)])
    call(builder, LIST_CONSTRUCTOR, made, vector, element_type)
    store(builder, constant(UNIQUE), made, COUNT_OFFSET)
    builder.ret(made)
