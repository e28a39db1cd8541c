"""Call compiled functions through ctypes, with a context made by hand."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir

import scriptmode.runtime.link  # noqa: F401  (registers the native library)
from scriptmode.abi import convention, objects
from scriptmode.abi.errors import raise_cpp_exception
from scriptmode.abi.layouts import align_of, llvm_type, size_of
from scriptmode.abi.libtorch import symbol
from scriptmode.analysis.edges import Edges
from scriptmode.codegen.engine import Engine
from scriptmode.codegen.module import CompiledProgram, compile_program
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import Graph, Program
from scriptmode.ops.aten import schema_of
from scriptmode.runtime import descriptors, nativelib

HOST = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p)


def program_of(*graphs: Graph) -> Program:
    """A program whose root is the first graph."""
    program = Program(graphs[0].name)
    for graph in graphs:
        program.add(graph)
    return program


def builder_for(graph: Graph) -> Builder:
    """A builder at the end of a graph."""
    return Builder(graph.block, schema_of)


def read_text(address: int) -> str:
    """The value of a native str."""
    length = ctypes.c_int64.from_address(address + objects.STR_LENGTH).value
    width = ctypes.c_int32.from_address(address + objects.STR_WIDTH).value
    data = ctypes.string_at(address + objects.STR_DATA, length * width)
    return data.decode({1: "latin-1", 2: "utf-16-le", 4: "utf-32-le"}[width])


class Context:
    """A context, its trace and host table."""

    def __init__(self) -> None:
        self.words = (ctypes.c_int64 * len(convention.CTX_FIELDS))()
        self.trace = (ctypes.c_int64 * convention.TRACE_CAPACITY)()
        self.flag = ctypes.c_int8(0)
        self.printed: list[str] = []
        self.polls = 0
        self._print = HOST(self._on_print)
        self._poll = HOST(self._on_poll)
        host = {"print": self._print, "poll": self._poll}
        self.host = (ctypes.c_void_p * len(convention.HOST_FIELDS))(
            *(
                ctypes.cast(host[n], ctypes.c_void_p) if n in host else None
                for n in convention.HOST_FIELDS
            )
        )
        self["trace_data"] = ctypes.addressof(self.trace)
        self["poll_flag"] = ctypes.addressof(self.flag)
        self["host"] = ctypes.addressof(self.host)

    def _on_print(self, ctx: int, text: int) -> int:
        self.printed.append(read_text(text))
        return 0

    def _on_poll(self, ctx: int, unused: int) -> int:
        self.polls += 1
        self.flag.value = 0
        return 0

    def __setitem__(self, field: str, value: int) -> None:
        self.words[convention.CTX_FIELDS.index(field)] = value

    def __getitem__(self, field: str) -> int:
        return self.words[convention.CTX_FIELDS.index(field)]

    def locations(self) -> list[int]:
        """Location ids of the trace."""
        return list(self.trace[: self["trace_length"]])

    def raise_error(self) -> None:
        """Raise the error in the context."""
        kind, value = self["error_kind"], self["error_value"]
        if kind == convention.ERROR_SCRIPT:
            cls = ctypes.cast(self["error_type"], ctypes.py_object).value
            message = read_text(value) if value else None
            if value:
                release_object(value)
            raise cls(message) if message is not None else cls()
        raise_cpp_exception(value)


def release_object(address: int) -> None:
    """Give up a reference to a heap object."""
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(nativelib.address("sm_release"))(address)


class Compiled:
    """A compiled program, callable with Python values."""

    def __init__(
        self, program: Program, name: str | None = None, compiled: CompiledProgram | None = None
    ) -> None:
        self.program = compiled or compile_program(program)
        self.graph = program.functions[name or program.root]
        self.result_type = Edges(program, self.graph).result_type
        self.context = Context()
        self.stack_limit = self.flag = self.table = 0
        self._engine = Engine()
        self._engine.add(self._trampoline())
        self._run = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 3)(
            self._engine.address("run")
        )

    def _trampoline(self) -> ir.Module:
        """A function that takes the arguments from memory."""
        module = ir.Module()
        types = [llvm_type(p.type) for p in self.graph.params]
        ptr = convention.PTR
        function = ir.Function(module, ir.FunctionType(convention.I32, [ptr] * 3), "run")
        b = ir.IRBuilder(function.append_basic_block())
        callee_type = convention.function_type(types, 1)
        address = ir.Constant(convention.I64, self.program.address(self.graph.name))
        callee = b.inttoptr(address, callee_type.as_pointer())
        arguments = []
        for index, t in enumerate(types):
            slot = b.gep(
                function.args[1], [ir.Constant(convention.I64, 4 * index)],
                source_etype=convention.I64,
            )  # fmt: skip
            arguments.append(b.load(slot, typ=t))
        b.ret(b.call(callee, [function.args[0], *arguments, function.args[2]]))
        return module

    def __call__(self, *arguments: Any) -> Any:
        area = (ctypes.c_int64 * (4 * max(1, len(arguments))))()
        keep = []
        for index, (value, p) in enumerate(zip(arguments, self.graph.params, strict=True)):
            keep.append(write_value(ctypes.addressof(area) + 32 * index, value, p.type))
        result = (ctypes.c_int64 * 16)()
        self.context = context = Context()
        context["stack_limit"] = self.stack_limit
        context["tensors"] = self.table
        context.flag.value = self.flag
        status = self._run(
            ctypes.addressof(context.words), ctypes.addressof(area), ctypes.addressof(result)
        )
        try:
            if status:
                context.raise_error()
            return take_value(ctypes.addressof(result), self.result_type)
        finally:
            for release in keep:
                if release is not None:
                    release_object(release)

    def with_instance(self, instance: int, table: list[Any], *arguments: Any) -> Any:
        """Call a method with a tensor table; returns the result and the table afterwards."""
        rows = (ctypes.c_int64 * (2 * len(table)))()
        for index, tensor in enumerate(table):
            if tensor is not None:
                retain_tensor(tensor._cdata)
                rows[2 * index] = tensor._cdata
        self.table = ctypes.addressof(rows)
        result = self(instance, *arguments)
        return result, [(take_tensor(rows[2 * i]), rows[2 * i + 1]) for i in range(len(table))]

    def close(self) -> None:
        self.program.close()
        self._engine.close()


_SCALARS = {T.INT: ctypes.c_int64, T.FLOAT: ctypes.c_double, T.BOOL: ctypes.c_int8}


def write_value(place: int, value: Any, t: T.Type) -> int | None:
    """Write a value for native code; returns an object to release after the call."""
    if t == T.TENSOR:
        ctypes.c_void_p.from_address(place).value = value._cdata
        return None
    if t in _SCALARS or isinstance(t, T.ClassType):
        _SCALARS.get(t, ctypes.c_int64).from_address(place).value = value
        return None
    if t == T.STR:
        ctypes.c_void_p.from_address(place).value = descriptors.native_text(value)
        return None
    if isinstance(t, T.OptionalType) and t.element == T.TENSOR:
        ctypes.c_void_p.from_address(place).value = 0 if value is None else value._cdata
        return None
    if isinstance(t, T.ListType):
        new = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(
            nativelib.address("sm_list_new")
        )
        made = new(descriptors.descriptor(t), len(value))
        data = ctypes.c_int64.from_address(made + objects.LIST_DATA).value
        for index, item in enumerate(value):
            write_value(data + index * size_of(t.element), item, t.element)
            if t.element == T.TENSOR:
                retain_tensor(item._cdata)
        ctypes.c_int64.from_address(made + objects.LIST_LENGTH).value = len(value)
        ctypes.c_void_p.from_address(place).value = made
        return made
    raise NotImplementedError(str(t))


def retain_tensor(impl: int) -> None:
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(thunks_address("sm_tensor_retain"))(impl)


def thunks_address(name: str) -> int:
    return llvm.address_of_symbol(name)


def take_value(place: int, t: T.Type) -> Any:
    """Read an owned result and give it up."""
    if t == T.TENSOR or (isinstance(t, T.OptionalType) and t.element == T.TENSOR):
        return take_tensor(ctypes.c_int64.from_address(place).value)
    if t in _SCALARS:
        value = _SCALARS[t].from_address(place).value
        return bool(value) if t == T.BOOL else value
    if t == T.NONE:
        return None
    if t == T.STR:
        address = ctypes.c_int64.from_address(place).value
        value = read_text(address)
        release_object(address)
        return value
    if isinstance(t, T.OptionalType) and t.element in _SCALARS:
        if not ctypes.c_int8.from_address(place).value:
            return None
        return take_value(place + size_of(t.element), t.element)
    if isinstance(t, T.TupleType):
        offset, found = 0, []
        for e in t.elements:
            offset = -(-offset // align_of(e)) * align_of(e)
            found.append(take_value(place + offset, e))
            offset += size_of(e)
        return tuple(found)
    if isinstance(t, T.ListType) or t == T.SIZE:
        element = t.contained[0] if t.contained else T.INT
        address = ctypes.c_int64.from_address(place).value
        length = ctypes.c_int64.from_address(address + objects.LIST_LENGTH).value
        data = ctypes.c_int64.from_address(address + objects.LIST_DATA).value
        found = []
        for index in range(length):
            at = data + index * size_of(element)
            retain = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
            retain(nativelib.address("sm_slot_retain"))(at, descriptors.descriptor(element))
            found.append(take_value(at, element))
        release_object(address)
        return found
    raise NotImplementedError(str(t))


def take_tensor(impl: int) -> Any:
    """A Python tensor from an owned TensorImpl pointer."""
    if not impl:
        return None
    cell = ctypes.c_int64(impl)
    wrap = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p)
    value = wrap(symbol("_Z16THPVariable_WrapRKN2at10TensorBaseE"))(ctypes.addressof(cell))
    release = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(thunks_address("sm_tensor_release"))
    release(impl)
    return value


@contextlib.contextmanager
def nothing_left() -> Iterator[None]:
    """Assert that no native object is left over, and no tensor in a build that counts them."""
    before = nativelib.live_objects(), nativelib.live_tensors()
    yield
    after = nativelib.live_objects(), nativelib.live_tensors()
    assert after == before, "native objects or tensors are left over"
