"""Op thunks: one native function per op schema that calls the op in libtorch.

A thunk has the signature of every native function, with one argument per schema argument in our
own representation and one result pointer per schema result.  It converts the arguments to the C++
types of the op, calls it, converts the results, and turns a C++ exception into an error status
with the exception in the context.  ``emit_thunk`` emits one into a module.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from llvmlite import ir

from scriptmode.abi import layouts, libtorch
from scriptmode.abi.calls import Place, SystemV, host_abi
from scriptmode.abi.convention import (
    F64,
    I8,
    I32,
    I64,
    PTR,
    STATUS_OK,
    function_type,
)
from scriptmode.abi.cxx import CxxArgument, CxxResult, Kind, ResultKind, tuple_offsets
from scriptmode.codegen import thunk_support as support
from scriptmode.codegen.dispatcher_thunks import emit_dispatcher_thunk
from scriptmode.codegen.nans import plain_float
from scriptmode.codegen.tensors import (
    OPERATOR_DELETE,
    RELEASE_COUNTED,
    RETAIN,
    RETAIN_COUNTED,
    byte_gep,
    constant,
    count_live,
    extern_function,
    load,
    stack_slot,
    store,
    tensor_function,
    undefined_tensor,
)
from scriptmode.codegen.thunk_support import NULL
from scriptmode.ir.schema import OpSchema


def thunk_symbol(schema: OpSchema) -> str:
    """Name of the thunk of ``schema``, unique among all schemas of a process."""
    if schema.namespace == "aten":
        return f"sm_op.{schema.kind}"
    # other libraries may be unloaded and define the same op differently
    return f"sm_op.{schema.kind}.{hashlib.sha1(schema.text.encode()).hexdigest()[:8]}"


def thunk_type(schema: OpSchema) -> ir.FunctionType:
    """LLVM type of the thunk of ``schema``."""
    arguments = [layouts.llvm_type(a.type) for a in schema.arguments]
    return function_type(arguments, len(schema.returns))


def declare_thunk(module: ir.Module, schema: OpSchema) -> ir.Function:
    """Refer to the thunk of ``schema`` from a program's module."""
    function = extern_function(module, thunk_symbol(schema), thunk_type(schema))
    function.attributes.add("nounwind")
    return function


def emit_thunk(module: ir.Module, schema: OpSchema, *, debug: bool = False) -> ir.Function:
    """Emit the thunk of ``schema``; raises NotImplementedError when there is no native route."""
    target = libtorch.find_target(schema)
    if target is not None:
        return _OpsThunk(module, schema, target, debug).emit()
    found = libtorch.route(schema)
    if found.name is None:
        raise NotImplementedError(f"{schema.kind}: {found.reason}")
    function = ir.Function(module, thunk_type(schema), thunk_symbol(schema))
    emit_dispatcher_thunk(function, schema, debug=debug)
    return function


class _OpsThunk:
    """Emits one thunk that calls ``at::_ops::...::call``."""

    def __init__(
        self, module: ir.Module, schema: OpSchema, target: libtorch.OpTarget, debug: bool
    ) -> None:
        self.module = module
        self.schema = schema
        self.target = target
        self.debug = debug
        self.abi: SystemV = host_abi()
        self.function = ir.Function(module, thunk_type(schema), thunk_symbol(schema))
        support.use_exceptions(self.function)
        self.builder = ir.IRBuilder(self.function.append_basic_block("entry"))
        self.ctx = self.function.args[0]
        count = len(schema.arguments)
        self.arguments = list(self.function.args[1 : count + 1])
        self.result_pointers = list(self.function.args[count + 1 :])
        # what has to be undone after the call, whether it raised or not
        self.cleanups: list[Callable[[ir.IRBuilder], None]] = []

    def emit(self) -> ir.Function:
        """Emit the whole function."""
        target = self.target
        for argument, value in zip(target.arguments, self.arguments, strict=True):
            self.check(argument, value)
        in_memory = self.abi.result_in_memory(target.results)
        places = self.abi.place(target.arguments, in_memory)
        values: list[ir.Value] = []
        result_memory = None
        offsets, size, align = tuple_offsets(target.results)
        if in_memory:
            result_memory = stack_slot(self.builder, size, align)
            values.append(result_memory)
        by_value: dict[int, int] = {}
        for argument, value, place in zip(target.arguments, self.arguments, places, strict=True):
            if place is Place.BYVAL:
                by_value[len(values)] = argument.words
            values += self.convert(argument, value, place)
        returned = self.call(values, by_value, in_memory)
        self.clean_up(self.builder)
        self.store_results(returned, result_memory, offsets)
        self.builder.ret(ir.Constant(I32, STATUS_OK))
        return self.function

    # the call

    def call(
        self, values: list[ir.Value], by_value: dict[int, int], in_memory: bool
    ) -> ir.Value | None:
        """Invoke the op; leaves the builder on the path without exception."""
        builder = self.builder
        results = self.target.results
        result_type: ir.Type = ir.VoidType()
        if results and not in_memory:
            result_type = _RESULT_REGISTERS[results[0].kind]
        callee = self.callee(values, by_value, in_memory, result_type)
        normal = self.function.append_basic_block("normal")
        unwind = self.function.append_basic_block("unwind")
        returned = builder.invoke(callee, values, normal, unwind)
        builder.position_at_end(unwind)
        self.landing_pad()
        builder.position_at_end(normal)
        return None if isinstance(result_type, ir.VoidType) else returned

    def callee(
        self,
        values: list[ir.Value],
        by_value: dict[int, int],
        in_memory: bool,
        result_type: ir.Type,
    ) -> ir.Function:
        types = [v.type for v in values]
        for index, words in by_value.items():
            types[index] = ir.LiteralStructType([I64] * words).as_pointer()
        if in_memory:
            size = tuple_offsets(self.target.results)[1]
            types[0] = ir.ArrayType(I8, size).as_pointer()
        ftype = ir.FunctionType(result_type, types)
        callee = extern_function(self.module, self.target.symbol, ftype)
        for index in by_value:
            callee.args[index].add_attribute("byval")
            callee.args[index].attributes.align = 8
        if in_memory:
            callee.args[0].add_attribute("sret")
        return callee

    def landing_pad(self) -> None:
        """Undo the conversions and report the exception."""
        builder = self.builder
        pad, forced = support.landing_pad(builder)
        resume = self.function.append_basic_block("resume")
        caught = self.function.append_basic_block("caught")
        builder.cbranch(forced, resume, caught)
        builder.position_at_end(resume)
        builder.resume(pad)
        builder.position_at_end(caught)
        self.clean_up(builder)
        builder.ret(support.call(builder, support.CATCH, self.ctx, builder.extract_value(pad, 0)))

    def clean_up(self, builder: ir.IRBuilder) -> None:
        for cleanup in reversed(self.cleanups):
            cleanup(builder)

    def reject_unless(self, valid: ir.Value, code: int) -> None:
        """Return with an error of ``support.MESSAGES`` when ``valid`` is false."""
        builder = self.builder
        with builder.if_then(builder.not_(valid), likely=False):
            builder.ret(support.call(builder, support.REJECT, self.ctx, constant(code)))

    # arguments

    def check(self, argument: CxxArgument, value: ir.Value) -> None:
        """Refuse values that the C++ type cannot hold, before anything is acquired."""
        builder = self.builder
        kind = argument.kind
        if kind in (Kind.SYM_INT, Kind.OPTIONAL_SYM_INT):
            number = value if kind is Kind.SYM_INT else self.present_or_zero(value)
            valid = builder.icmp_signed(">=", number, constant(support.SYM_INT_MIN))
            self.reject_unless(valid, support.REJECTED_SYM_INT)
        elif kind in (Kind.SYM_INT_LIST, Kind.OPTIONAL_SYM_INT_LIST):
            data, length, _ = self.list_words(value)
            valid = support.call(builder, support.SYM_INTS_VALID, data, length)
            self.reject_unless(valid, support.REJECTED_SYM_INT)
        elif kind is Kind.BOOL_ARRAY:
            length = load(builder, value, I64, layouts.LIST_LENGTH)
            valid = builder.icmp_signed("==", length, constant(argument.count))
            self.reject_unless(valid, support.REJECTED_BOOL_LIST)

    def present_or_zero(self, optional: ir.Value) -> ir.Value:
        """The value of an ``{i8, i64}`` optional, 0 when there is none."""
        builder = self.builder
        has = builder.trunc(builder.extract_value(optional, 0), ir.IntType(1))
        return builder.select(has, builder.extract_value(optional, 1), constant(0))

    def convert(self, argument: CxxArgument, value: ir.Value, place: Place) -> list[ir.Value]:
        """The LLVM arguments that pass ``value`` as the C++ type of ``argument``."""
        if place is Place.POINTER:
            return [self.reference(argument, value)]
        words = self.words(argument, value)
        if place is Place.WORDS:
            return words
        memory = stack_slot(self.builder, 8 * argument.words)
        for index, word in enumerate(words):
            store(self.builder, word, memory, 8 * index)
        return [memory]

    def words(self, argument: CxxArgument, value: ir.Value) -> list[ir.Value]:
        """The eightbytes of a trivially copyable argument, as integers, pointers or doubles."""
        builder = self.builder
        kind = argument.kind
        if kind is Kind.PLAIN:
            return [self.widen(value, argument)]
        if kind is Kind.OPTIONAL_PLAIN:
            return self.optional_plain(argument, value)
        if kind in (Kind.LIST, Kind.TENSOR_LIST, Kind.SYM_INT_LIST):
            return list(self.list_words(value)[:2])
        if kind in (Kind.OPTIONAL_LIST, Kind.OPTIONAL_SYM_INT_LIST):
            return list(self.list_words(value))
        if kind is Kind.SCALAR_LIST:
            array = support.call(builder, support.SCALARS_NEW, value)
            self.cleanups.append(lambda b: support.call(b, "free", array))
            return [array, load(builder, value, I64, layouts.LIST_LENGTH)]
        if kind is Kind.BOOL_ARRAY:
            data = load(builder, value, PTR, layouts.LIST_DATA)
            packed = load(builder, data, ir.IntType(8 * argument.count))
            return [packed if argument.count == 8 else builder.zext(packed, I64)]
        if kind in (Kind.STR, Kind.OPTIONAL_STR):
            return self.string_words(argument, value)
        if kind is Kind.STREAM:
            return [builder.extract_value(value, i) for i in range(2)]
        raise NotImplementedError(f"{self.schema.kind}: no conversion for {kind.value}")

    def widen(self, value: ir.Value, argument: CxxArgument) -> ir.Value:
        """Extend a small integer to 32 bits, as C++ callees expect."""
        builder = self.builder
        if value.type == F64:
            return plain_float(builder, value)
        if argument.bits == 64:
            return value
        if value.type == I64:  # a narrow C++ integer that is an int to us
            value = builder.trunc(value, ir.IntType(argument.bits))
        extend = builder.sext if argument.signed else builder.zext
        return extend(value, I32)

    def optional_plain(self, argument: CxxArgument, value: ir.Value) -> list[ir.Value]:
        builder = self.builder
        has, inner = builder.extract_value(value, 0), builder.extract_value(value, 1)
        if argument.words == 2:
            inner = plain_float(builder, inner) if inner.type == F64 else inner
            return [inner, builder.zext(has, I64)]
        low, high = builder.zext(inner, I32), builder.zext(has, I32)
        return [builder.or_(low, builder.shl(high, ir.Constant(I32, argument.bits)))]

    def list_words(self, value: ir.Value) -> tuple[ir.Value, ir.Value, ir.Value]:
        """Data, length and presence of a native list that may be null."""
        builder = self.builder
        present = builder.icmp_unsigned("!=", value, NULL)
        # reading a zeroed stand-in spares a branch
        empty = stack_slot(builder, layouts.LIST_SIZE)
        store(builder, constant(0), empty, layouts.LIST_LENGTH)
        store(builder, NULL, empty, layouts.LIST_DATA)
        source = builder.select(present, value, empty)
        data = load(builder, source, PTR, layouts.LIST_DATA)
        length = load(builder, source, I64, layouts.LIST_LENGTH)
        return data, length, builder.zext(present, I64)

    def string_words(self, argument: CxxArgument, value: ir.Value) -> list[ir.Value]:
        builder = self.builder
        view = stack_slot(builder, 24)
        for offset in (0, 8, 16):
            store(builder, constant(0), view, offset)
        present = builder.icmp_unsigned("!=", value, NULL)
        with builder.if_then(present):
            support.call(builder, support.STR_VIEW, value, view)
        self.cleanups.append(lambda b: support.call(b, "free", load(b, view, PTR, 16)))
        words = [load(builder, view, I64), load(builder, view, PTR, 8)]
        if argument.kind is Kind.OPTIONAL_STR:
            words.append(builder.zext(present, I64))
        return words

    def reference(self, argument: CxxArgument, value: ir.Value) -> ir.Value:
        """Memory that holds the C++ object that a reference or invisible reference points to."""
        builder = self.builder
        kind = argument.kind
        if kind is Kind.TENSOR:
            return self.cell(value)
        if kind is Kind.OPTIONAL_TENSOR:
            defined = builder.icmp_unsigned("!=", value, undefined_tensor(self.module))
            present = builder.and_(builder.icmp_unsigned("!=", value, NULL), defined)
            return self.cell(value, builder.zext(present, I64))
        if kind is Kind.SYM_INT:
            return self.cell(value)
        if kind is Kind.OPTIONAL_SYM_INT:
            has = builder.zext(builder.extract_value(value, 0), I64)
            return self.cell(builder.extract_value(value, 1), has)
        if kind is Kind.SCALAR:
            memory = stack_slot(builder, support.SCALAR_SIZE, 16)
            support.store_scalar(builder, value, memory)
            return memory
        if kind is Kind.OPTIONAL_SCALAR:
            memory = stack_slot(builder, support.SCALAR_SIZE + 16, 16)
            support.store_scalar(builder, builder.extract_value(value, 1), memory)
            has = builder.zext(builder.extract_value(value, 0), I64)
            store(builder, has, memory, support.SCALAR_SIZE)
            return memory
        if kind is Kind.TENSOR_ILIST:
            data, length, _ = self.list_words(value)
            return self.cell(data, length, constant(0))  # tag 0: an ArrayRef
        if kind is Kind.TENSOR_VECTOR:
            data, length, _ = self.list_words(value)
            return self.vector(data, length)
        if kind is Kind.OPTIONAL_TENSOR_VECTOR:
            array = support.call(builder, support.UNDEFINED_FOR_NULL, value)
            self.cleanups.append(lambda b: support.call(b, "free", array))
            return self.vector(array, load(builder, value, I64, layouts.LIST_LENGTH))
        if kind is Kind.OPTIONAL_TENSOR_LIST:
            made = support.call(builder, support.OPTIONAL_TENSORS_NEW, value)
            return self.owned_cell(made)
        if kind in (Kind.COUNTED, Kind.OPTIONAL_COUNTED):
            builder.call(tensor_function(self.module, RETAIN_COUNTED), [value])
            return self.owned_cell(value, kind is Kind.OPTIONAL_COUNTED)
        raise NotImplementedError(f"{self.schema.kind}: no conversion for {kind.value}")

    def vector(self, data: ir.Value, length: ir.Value) -> ir.Value:
        """A std::vector of tensors that is only lent."""
        end = byte_gep(self.builder, data, self.builder.shl(length, constant(3)))
        return self.cell(data, end, end)

    def cell(self, *words: ir.Value) -> ir.Value:
        """Stack memory that holds ``words``."""
        memory = stack_slot(self.builder, 8 * len(words))
        for index, word in enumerate(words):
            store(self.builder, word, memory, 8 * index)
        return memory

    def owned_cell(self, counted: ir.Value, optional: bool = False) -> ir.Value:
        """Memory with a counted pointer that the callee may move away and we release."""
        builder = self.builder
        if optional:
            present = builder.icmp_unsigned("!=", counted, NULL)
            memory = self.cell(counted, builder.zext(present, I64))
        else:
            memory = self.cell(counted)

        def release(b: ir.IRBuilder) -> None:
            b.call(tensor_function(self.module, RELEASE_COUNTED), [load(b, memory, PTR)])

        self.cleanups.append(release)
        return memory

    # results

    def store_results(
        self, returned: ir.Value | None, memory: ir.Value | None, offsets: list[int]
    ) -> None:
        """Convert the results and store them through the result pointers."""
        for index, (result, pointer) in enumerate(
            zip(self.target.results, self.result_pointers, strict=True)
        ):
            if memory is None:
                value = returned
            else:
                value = load(self.builder, memory, _RESULT_REGISTERS[result.kind], offsets[index])
            self.store_result(result, value, memory, offsets[index], pointer)

    def store_result(
        self,
        result: CxxResult,
        value: ir.Value,
        memory: ir.Value | None,
        offset: int,
        pointer: ir.Value,
    ) -> None:
        builder = self.builder
        if result.kind is ResultKind.TENSOR:
            builder.store(value, pointer)
            if self.debug:
                defined = builder.icmp_unsigned("!=", value, undefined_tensor(self.module))
                count_live(builder, builder.zext(defined, I64))
        elif result.kind is ResultKind.TENSOR_REFERENCE:
            impl = load(builder, value, PTR)
            builder.call(tensor_function(self.module, RETAIN), [impl])
            builder.store(impl, pointer)
        elif result.kind is ResultKind.TENSOR_LIST:
            assert memory is not None
            self.store_tensor_list(value, load(builder, memory, PTR, offset + 8), pointer)
        elif result.kind is ResultKind.OPTIONAL_TENSOR_LIST:
            assert memory is not None
            end = load(builder, memory, PTR, offset + 8)
            self.store_tensor_list(value, end, pointer, is_optional=True)
        elif result.kind is ResultKind.SCALAR:
            assert memory is not None
            self.store_number(memory, offset, pointer)
        elif result.kind is ResultKind.SYM_INT:
            valid = builder.icmp_signed(">=", value, constant(support.SYM_INT_MIN))
            self.reject_unless(valid, support.REJECTED_SYMBOLIC)
            builder.store(value, pointer)
        else:
            builder.store(value, pointer)

    def store_tensor_list(
        self, begin: ir.Value, end: ir.Value, pointer: ir.Value, is_optional: bool = False
    ) -> None:
        """Move the tensors of a std::vector into a new native list and free the vector.

        In a list of Optionals, undefined ones become None.
        """
        builder = self.builder
        first, last = builder.ptrtoint(begin, I64), builder.ptrtoint(end, I64)
        size = builder.sub(last, first)
        element = support.MAYBE_TENSOR if is_optional else support.TENSOR
        made = support.new_tensor_list(builder, builder.ashr(size, constant(3)), element)
        memcpy = extern_function(self.module, "memcpy", ir.FunctionType(PTR, [PTR, PTR, I64]))
        builder.call(memcpy, [load(builder, made, PTR, layouts.LIST_DATA), begin, size])
        builder.call(tensor_function(self.module, OPERATOR_DELETE), [begin])
        builder.store(made, pointer)
        if is_optional:
            present = support.call(builder, support.NULL_FOR_UNDEFINED, made)
        else:
            present = builder.ashr(size, constant(3))
        if self.debug:
            count_live(builder, present)

    def store_number(self, memory: ir.Value, offset: int, pointer: ir.Value) -> None:
        """Convert a c10::Scalar to a number."""
        builder = self.builder
        tag = builder.zext(load(builder, memory, I32, offset), I64)
        low = load(builder, memory, I64, offset + support.SCALAR_PAYLOAD)
        high = load(builder, memory, I64, offset + support.SCALAR_PAYLOAD + 8)
        unsigned = builder.icmp_unsigned("==", tag, constant(2))
        too_large = builder.and_(unsigned, builder.icmp_signed("<", low, constant(0)))
        self.reject_unless(builder.not_(too_large), support.REJECTED_UNSIGNED)
        concrete = builder.icmp_unsigned("<=", tag, constant(layouts.NUMBER_BOOL))
        self.reject_unless(concrete, support.REJECTED_SYMBOLIC)
        is_complex = builder.icmp_unsigned("==", tag, constant(layouts.NUMBER_COMPLEX))
        tag = builder.select(unsigned, constant(layouts.NUMBER_INT), tag)
        store(builder, tag, pointer)
        store(builder, low, pointer, 8)
        store(builder, builder.select(is_complex, high, constant(0)), pointer, 16)


_RESULT_REGISTERS: dict[ResultKind, ir.Type] = {
    ResultKind.TENSOR: PTR,
    ResultKind.TENSOR_REFERENCE: PTR,
    ResultKind.TENSOR_LIST: PTR,
    ResultKind.OPTIONAL_TENSOR_LIST: PTR,
    ResultKind.SCALAR: I32,
    ResultKind.SYM_INT: I64,
    ResultKind.INT: I64,
    ResultKind.FLOAT: F64,
    ResultKind.BYTE: I8,
}
