"""Op thunks through libtorch's C interface, for ops without an exported C++ function.

``torch_call_dispatcher`` takes a stack of 64-bit words: tensors, lists and strings as handles that
the call consumes, numbers as they are, an optional as a pointer to a word or null.  It leaves the
results on the same stack.  An error has only its text left, and is raised again with that.
"""

from __future__ import annotations

import torch
from llvmlite import ir

from scriptmode.abi import layouts
from scriptmode.abi.convention import F64, I1, I8, I32, I64, PTR, STATUS_OK
from scriptmode.codegen import thunk_support as support
from scriptmode.codegen.tensors import (
    NEW_HANDLE,
    OPERATOR_DELETE,
    OPERATOR_NEW,
    address,
    byte_gep,
    constant,
    count_live,
    extern_function,
    for_range,
    load,
    stack_slot,
    store,
    tensor_function,
    undefined_tensor,
)
from scriptmode.codegen.thunk_support import NULL
from scriptmode.ir import types as T
from scriptmode.ir.schema import OpSchema

CALL = "torch_call_dispatcher"
ERROR_TEXT = "torch_exception_get_what_without_backtrace"
NEW_STRING = "torch_new_string_handle"
NEW_LIST = "torch_new_list_reserve_size"
PUSH = "torch_list_push_back"
LIST_SIZE = "torch_list_size"
LIST_ITEM = "torch_list_get_item"
DELETE_LIST = "torch_delete_list"

SIGNATURES: dict[str, ir.FunctionType] = {
    CALL: ir.FunctionType(I32, [PTR, PTR, PTR, I64]),
    ERROR_TEXT: ir.FunctionType(PTR, []),
    NEW_STRING: ir.FunctionType(I32, [PTR, I64, PTR]),
    NEW_LIST: ir.FunctionType(I32, [I64, PTR]),
    PUSH: ir.FunctionType(I32, [I64, I64]),
    LIST_SIZE: ir.FunctionType(I32, [I64, PTR]),
    LIST_ITEM: ir.FunctionType(I32, [I64, I64, PTR]),
    DELETE_LIST: ir.FunctionType(I32, [I64]),
}


def interface_version() -> int:
    """The version of the C interface that the installed torch speaks."""
    major, minor = torch.__version__.split(".")[:2]
    return int(major) << 56 | int(minor) << 48


def emit_dispatcher_thunk(function: ir.Function, schema: OpSchema, *, debug: bool) -> None:
    """Emit the body of the thunk of ``schema``."""
    _DispatcherThunk(function, schema, debug).emit()


class _DispatcherThunk:
    def __init__(self, function: ir.Function, schema: OpSchema, debug: bool) -> None:
        self.function = function
        self.module: ir.Module = function.module
        self.schema = schema
        self.debug = debug
        self.builder = ir.IRBuilder(function.append_basic_block("entry"))
        # an output parameter of the C interface
        self.scratch = stack_slot(self.builder, 8)

    def call(self, name: str, *arguments: ir.Value) -> ir.Value:
        callee = extern_function(self.module, name, SIGNATURES[name])
        return self.builder.call(callee, arguments)

    def emit(self) -> None:
        builder, schema = self.builder, self.schema
        ctx, *values = self.function.args
        arguments, pointers = values[: len(schema.arguments)], values[len(schema.arguments) :]
        stack = stack_slot(builder, 8 * max(len(arguments), len(pointers), 1))
        for index, (formal, value) in enumerate(zip(schema.arguments, arguments, strict=True)):
            store(builder, self.word(formal.type, value), stack, 8 * index)
        name = support.text_constant(self.module, f"{self.function.name}.name", schema.name)
        overload = support.text_constant(
            self.module, f"{self.function.name}.overload", schema.overload
        )
        status = self.call(
            CALL, address(name), address(overload), stack, constant(interface_version())
        )
        with builder.if_then(builder.icmp_signed("!=", status, ir.Constant(I32, 0))):
            builder.ret(support.call(builder, support.FAIL, ctx, self.call(ERROR_TEXT)))
        for index, (formal_result, pointer) in enumerate(
            zip(schema.returns, pointers, strict=True)
        ):
            self.store_result(formal_result.type, load(builder, stack, I64, 8 * index), pointer)
        builder.ret(ir.Constant(I32, STATUS_OK))

    # arguments

    def word(self, t: T.Type, value: ir.Value) -> ir.Value:
        """The stack word for a value of type ``t``."""
        builder = self.builder
        if isinstance(t, T.OptionalType):
            return self.optional_word(t, value)
        if t == T.TENSOR:
            return self.tensor_word(value)
        if t == T.FLOAT:
            return builder.bitcast(value, I64)
        if t == T.BOOL:
            return builder.zext(value, I64)
        if t in (T.DTYPE, T.LAYOUT, T.MEMORY_FORMAT):
            return builder.zext(builder.sext(value, I32), I64)
        if t == T.DEVICE:
            kind = builder.zext(builder.trunc(value, I8), I64)
            index = builder.trunc(builder.lshr(value, ir.Constant(value.type, 8)), I8)
            low = builder.zext(builder.sext(index, I32), I64)
            return builder.or_(builder.shl(kind, constant(32)), low)
        if t == T.STR:
            return self.string_word(value)
        if isinstance(t, T.ListType):
            return self.list_word(t, value)
        return value

    def optional_word(self, t: T.OptionalType, value: ir.Value) -> ir.Value:
        """A new word that holds the value, or null."""
        builder = self.builder
        if value.type == PTR:
            present = builder.icmp_unsigned("!=", value, NULL)
            if t.element == T.TENSOR:
                defined = builder.icmp_unsigned("!=", value, undefined_tensor(self.module))
                present = builder.and_(present, defined)
            inner = value
        else:
            present = builder.trunc(builder.extract_value(value, 0), I1)
            inner = builder.extract_value(value, 1)
        result = stack_slot(builder, 8)
        builder.store(constant(0), result)
        with builder.if_then(present):
            box = builder.call(tensor_function(self.module, OPERATOR_NEW), [constant(8)])
            builder.store(self.word(t.element, inner), box)
            builder.store(box, result)
        return load(builder, result, I64)

    def tensor_word(self, impl: ir.Value) -> ir.Value:
        builder = self.builder
        cell = stack_slot(builder, 8)
        builder.store(impl, cell)
        builder.call(tensor_function(self.module, NEW_HANDLE), [cell, self.scratch])
        return load(builder, self.scratch, I64)

    def string_word(self, text: ir.Value) -> ir.Value:
        builder = self.builder
        view = stack_slot(builder, 24)
        support.call(builder, support.STR_VIEW, text, view)
        self.call(NEW_STRING, load(builder, view, PTR, 8), load(builder, view, I64), self.scratch)
        support.call(builder, "free", load(builder, view, PTR, 16))
        return load(builder, self.scratch, I64)

    def list_word(self, t: T.ListType, value: ir.Value) -> ir.Value:
        builder = self.builder
        length = load(builder, value, I64, layouts.LIST_LENGTH)
        data = load(builder, value, PTR, layouts.LIST_DATA)
        self.call(NEW_LIST, length, self.scratch)
        made = load(builder, self.scratch, I64)
        size = constant(layouts.size_of(t.element))
        with for_range(builder, length) as index:
            place = byte_gep(builder, data, builder.mul(index, size))
            element = load(builder, place, layouts.llvm_type(t.element))
            self.call(PUSH, made, self.word(t.element, element))
        return made

    # results

    def store_result(self, t: T.Type, word: ir.Value, pointer: ir.Value) -> None:
        builder = self.builder
        if t == T.TENSOR:
            builder.store(self.take_tensor(word), pointer)
        elif t == T.FLOAT:
            builder.store(builder.bitcast(word, F64), pointer)
        elif t == T.BOOL:
            builder.store(builder.trunc(word, I8), pointer)
        elif isinstance(t, T.OptionalType):
            self.store_optional_tensor(word, pointer)
        elif isinstance(t, T.ListType):
            self.store_tensor_list(word, pointer)
        else:
            builder.store(word, pointer)

    def take_tensor(self, handle: ir.Value) -> ir.Value:
        """The tensor that ``handle`` owns; the handle itself is freed."""
        builder = self.builder
        cell = builder.inttoptr(handle, PTR)
        impl = load(builder, cell, PTR)
        builder.call(tensor_function(self.module, OPERATOR_DELETE), [cell])
        if self.debug:
            defined = builder.icmp_unsigned("!=", impl, undefined_tensor(self.module))
            count_live(builder, builder.zext(defined, I64))
        return impl

    def store_optional_tensor(self, word: ir.Value, pointer: ir.Value) -> None:
        builder = self.builder
        builder.store(NULL, pointer)
        with builder.if_then(builder.icmp_unsigned("!=", word, constant(0))):
            box = builder.inttoptr(word, PTR)
            builder.store(self.take_tensor(load(builder, box, I64)), pointer)
            builder.call(tensor_function(self.module, OPERATOR_DELETE), [box])

    def store_tensor_list(self, word: ir.Value, pointer: ir.Value) -> None:
        builder = self.builder
        self.call(LIST_SIZE, word, self.scratch)
        length = load(builder, self.scratch, I64)
        made = support.new_tensor_list(builder, length)
        data = load(builder, made, PTR, layouts.LIST_DATA)
        with for_range(builder, length) as index:
            self.call(LIST_ITEM, word, index, self.scratch)
            impl = self.take_tensor(load(builder, self.scratch, I64))
            builder.store(impl, byte_gep(builder, data, builder.mul(index, constant(8))))
        self.call(DELETE_LIST, word)
        builder.store(made, pointer)
