"""One LLVM module of a program, its values and the runtime; object code of it.

::

    program   functions, as they are compiled for this process too
    thunks    of the program's ops, and what they share        (flavour "libtorch")
    image     descriptors, constants, module state, the table of methods
    runtime   the native library and the boundary to C, optimised once and kept as bitcode

The four are linked, everything but ``scriptmode_library`` becomes private, and what is not reached
goes.  What is still undefined then has to be of libtorch or libc.
"""

from __future__ import annotations

import ctypes
import hashlib
import inspect
import sys
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import torch
from llvmlite import ir

from scriptmode.abi import layouts, libtorch, tensorfields
from scriptmode.abi.convention import I32, I64, PTR
from scriptmode.abi.dtypes import DTYPE_NUMBERS
from scriptmode.abi.tensorfields import inference_key_set
from scriptmode.abi.tensorkeys import key_set_offset, plain_key_set
from scriptmode.aot import layouts as aot_layouts
from scriptmode.aot.checks import Method, check
from scriptmode.aot.cxx_errors import define_cpp_error
from scriptmode.aot.image import NULL, CannotExport, Image
from scriptmode.aot.native import (
    c_calls,
    c_errors,
    c_stack,
    c_values,
    dtypes,
    with_libtorch,
    without_libtorch,
)
from scriptmode.aot.problems import not_exported
from scriptmode.aot.weights import Weights, memory_of
from scriptmode.codegen import native, native_lower, tensors, thunk_support, thunks
from scriptmode.codegen.dense import mkl
from scriptmode.codegen.module import emit_program
from scriptmode.codegen.object_cache import ObjectCache
from scriptmode.codegen.object_code import Target, initialize, optimize, targeting
from scriptmode.codegen.unit import EnumMember, FrozenConstant, Unit
from scriptmode.ir import types as T
from scriptmode.ir.graph import Program
from scriptmode.runtime import descriptors, errors, nativelib
from scriptmode.runtime.boundary import area_offsets
from scriptmode.runtime.crossing import Crossing
from scriptmode.runtime.failures import note_of
from scriptmode.support.source import Span

EXPORTED = "scriptmode_library"
"""What a library exports: the table that ``scriptmode.h`` calls ``scriptmode_api``."""
_ENTRIES: tuple[Any, ...] = (
    c_calls.aot_open, c_calls.aot_close, c_calls.aot_call, c_values.aot_value_free,
)  # fmt: skip
_SOURCES = (c_calls, c_errors, c_stack, c_values, dtypes, aot_layouts)
_FLAVOURS = {"libtorch": with_libtorch, "standalone": without_libtorch}


@dataclass(frozen=True)
class Built:
    """Object code, what it needs of others, and the bytes of the weights file."""

    code: bytes
    undefined: tuple[str, ...]
    weights: bytes


# ---- the runtime ----


def _runtime_functions(flavour: str) -> list[native.NativeFunction]:
    own = [
        f
        for module in (*_SOURCES, _FLAVOURS[flavour])
        for f in vars(module).values()
        if isinstance(f, native.NativeFunction)
        and not f.is_private
        and f.python.__module__ == module.__name__
    ]
    return [*nativelib.functions().values(), *own]


@cache
def _runtime_key(flavour: str, triple: str) -> str:
    digest = hashlib.sha256()
    for text in (llvmlite.__version__, str(llvm.llvm_version_info), unicodedata.unidata_version,
                 sys.version, torch.__version__, triple):  # fmt: skip
        digest.update(text.encode() + b"\0")
    for module in (*nativelib.COMPILER, *nativelib.LIBRARY, *_SOURCES, _FLAVOURS[flavour]):
        digest.update(Path(inspect.getfile(module)).read_bytes())
    return f"aot-{flavour}-{digest.hexdigest()[:32]}"


def runtime_bitcode(flavour: str, machine: llvm.TargetMachine) -> bytes:
    """The runtime, optimised."""
    objects = ObjectCache(_runtime_key(flavour, machine.triple))
    for _, code in objects.load(["runtime"]):
        return code
    emitted = native_lower.lower_module(
        _runtime_functions(flavour), "scriptmode.aot", hints=("optsize",)
    )
    module = parse(str(emitted), machine)
    optimize(module, machine, 2)
    code = bytes(module.as_bitcode())
    objects.store(["runtime"], code)
    return code


# ---- modules ----


def parse(text: str, machine: llvm.TargetMachine) -> llvm.ModuleRef:
    """The module of a text, for a target."""
    layout = f'target datalayout = "{machine.target_data}"'
    module = llvm.parse_assembly(text.replace('target datalayout = ""', layout, 1))
    module.triple = machine.triple
    module.verify()
    return module


def machine_of(target: Target) -> llvm.TargetMachine:
    """A machine that makes code for shared libraries."""
    return initialize().create_target_machine(
        cpu=target.cpu, features=target.features, opt=2, reloc="pic", codemodel="default"
    )


def _thunks_module(unit: Unit) -> ir.Module:
    module = ir.Module("thunks")
    for schema in unit.thunks:
        thunks.emit_thunk(module, schema, debug=False)
    tensors.define_tensor_functions(module)
    thunk_support.define_support(module, has_type_cell=True)
    define_cpp_error(module)
    return module


def _signed(word: int) -> int:
    return word - (1 << 64) if word >= 1 << 63 else word


class LibraryImage:
    """The image module of a library: values, cells, methods, the exported table."""

    def __init__(self, unit: Unit, name: str, flavour: str, weights: Weights) -> None:
        self.unit, self.name, self.flavour, self.weights = unit, name, flavour, weights
        self.module = ir.Module("image")
        self.image = Image(self.module, unit.class_functions)
        self._constants: list[tuple[ir.Constant, torch.Tensor]] = []

    # ---- what other modules refer to

    def descriptors(self, symbols: Iterable[str]) -> None:
        """Define descriptors by their symbols."""
        for symbol in symbols:
            self.image.descriptor(descriptors.of_symbol(symbol))

    def classes(self, symbols: Iterable[str]) -> None:
        """Define the cells of exception classes by their symbols."""
        for symbol in symbols:
            self.image.class_cell(errors.class_of_symbol(symbol), symbol)

    def places(self) -> None:
        """Define the text of each location id."""
        texts = []
        for span in self.unit.locations:
            lines = [note_of(s) + "\n" for s in reversed(span.chain) if s.line]
            texts.append(self.image.new_text("".join(lines)))
        self._table("aot.places", texts)

    def _table(self, symbol: str, values: Sequence[ir.Constant]) -> None:
        kind = ir.ArrayType(PTR, max(1, len(values)))
        made = ir.GlobalVariable(self.module, kind, symbol)
        made.initializer = ir.Constant(kind, [*values] or [NULL])

    def number(self, symbol: str, value: int) -> None:
        """Define a word."""
        made = ir.GlobalVariable(self.module, I64, symbol)
        made.initializer = ir.Constant(I64, value)

    def cells(self, root: Span) -> None:
        """Define the cells of the program's constants."""
        for symbol, value in self.unit.cells.items():
            made = ir.GlobalVariable(self.module, PTR, symbol)
            made.initializer = NULL
            if isinstance(value, torch.Tensor):
                self._constants.append((tensors.address(made), value))
            elif isinstance(value, EnumMember):
                address = descriptors.enum_member(value.type, value.name)
                made.initializer = self.image.enum_member(address)
            elif isinstance(value, type) and issubclass(value, BaseException):
                made.initializer = self.image.class_record(value)
            else:
                what = "a constant frozenset" if isinstance(value, FrozenConstant) else repr(value)
                raise not_exported(f"{what}, which the program refers to", root)

    def global_cells(self, found: Mapping[str, tuple[int, T.ClassType]]) -> None:
        """Define the cells of captured modules; ``found`` are their instances."""
        for name, symbol in self.unit.global_cells.items():
            made = ir.GlobalVariable(self.module, PTR, symbol)
            made.initializer = self.image.instance(*found[name])

    # ---- weights

    def rows(self, table: Sequence[torch.Tensor | None]) -> None:
        """Define the rows of the tensor table."""
        made: dict[int, ir.Constant] = {}
        found = []
        for tensor in table:
            if tensor is None:
                found.append(NULL)
                continue
            if id(tensor) not in made:
                made[id(tensor)] = self._row(tensor, self.weights.add(tensor))
            found.append(made[id(tensor)])
        self._table("aot.rows", found)
        self.number("aot.row_count", len(found))

    def header(self) -> None:
        """Define what the weights file must begin with, and how long it must be."""
        content = self.weights.content()
        header = self.weights.header if content else b""
        fields = {
            0: self.image.bytes(header),
            8: ir.Constant(I64, len(header)),
            16: ir.Constant(I64, len(content)),
        }
        self.image.data("aot.header", fields, 24, constant=True, public=True)

    def _row(self, tensor: torch.Tensor, offset: int) -> ir.Constant:
        words = [offset, DTYPE_NUMBERS[tensor.dtype], tensor.dim(), *tensor.shape, *tensor.stride()]
        return self.image.words("row", words)

    # ---- functions

    def start(self) -> None:
        """``i32 aot_start(ctx)``: makes the tensors that are constants."""
        function = ir.Function(self.module, ir.FunctionType(I32, [PTR]), "aot_start")
        b = ir.IRBuilder(function.append_basic_block("entry"))
        (ctx,) = function.args
        if self.flavour == "libtorch":
            self._check_libtorch(b, ctx)
            self._find_optional_type(b)
        weight = self._extern("aot_weight", I32, [PTR] * 4)
        for cell, tensor in self._constants:
            data = self.image.bytes(memory_of(tensor))
            status = b.call(weight, [ctx, data, self._row(tensor, 0), cell])
            with b.if_then(b.icmp_signed("!=", status, ir.Constant(I32, 0))):
                b.ret(status)
        b.ret(ir.Constant(I32, 0))

    def _check_libtorch(self, b: ir.IRBuilder, ctx: ir.Value) -> None:
        message = f"the library was made with torch {torch.__version__}, and another one is loaded"
        check = self._extern("aot_check_libtorch", I32, [PTR, I64, PTR])
        expected = ir.Constant(I64, _signed(libtorch.abi_version()))
        status = b.call(check, [ctx, expected, self.image.new_text(message)])
        with b.if_then(b.icmp_signed("!=", status, ir.Constant(I32, 0))):
            b.ret(status)

    def _find_optional_type(self, b: ir.IRBuilder) -> None:
        cell = ir.GlobalVariable(self.module, PTR, thunk_support.OPTIONAL_TENSOR_TYPE)
        cell.initializer = NULL
        found = tensors.stack_slot(b, 16)
        b.call(self._extern(libtorch.OPTIONAL_OF_TENSOR, ir.VoidType(), [PTR]), [found])
        b.store(tensors.load(b, found, PTR), tensors.address(cell))

    def finish(self) -> None:
        """``aot_finish(ctx)``: ends the tasks of a call, where the program has any."""
        function = ir.Function(self.module, ir.FunctionType(ir.VoidType(), [PTR]), "aot_finish")
        b = ir.IRBuilder(function.append_basic_block("entry"))
        if any(name.startswith("sm_task") for name in self.unit.natives):
            join = self._extern("sm_tasks_join", ir.VoidType(), [PTR])
            b.call(join, list(function.args))
        b.ret_void()

    def _extern(self, name: str, result: ir.Type, arguments: Sequence[ir.Type]) -> ir.Function:
        return tensors.extern_function(self.module, name, ir.FunctionType(result, arguments))

    def keys(self) -> None:
        """Define what the runtime knows of libtorch's tensors."""
        words = (key_set_offset(), plain_key_set(), inference_key_set())
        kind = ir.ArrayType(I64, len(words))
        made = ir.GlobalVariable(self.module, kind, "aot.keys")
        made.initializer = ir.Constant(kind, [ir.Constant(I64, _signed(w)) for w in words])

    def fields(self) -> None:
        """Define where the runtime puts what guards read of a tensor; and what is never called."""
        found = tensorfields.fields()
        if found is None:
            raise CannotExport(
                f"the tensors of torch {torch.__version__} are laid out in a new way"
            )
        words = (key_set_offset(), found.sizes, found.dtype, _signed(plain_key_set()))
        self.image.data(
            "aot.fields", {8 * i: ir.Constant(I64, w) for i, w in enumerate(words)}, 32,
            constant=True, public=True,
        )  # fmt: skip
        for name in without_libtorch.UNREACHED:
            unreached = self._extern(name, ir.VoidType(), [])
            ir.IRBuilder(unreached.append_basic_block("entry")).unreachable()

    # ---- methods

    def methods(self, methods: Sequence[Method]) -> None:
        """Define the methods, and the exported table."""
        fields: dict[int, ir.Constant] = {}
        for number, method in enumerate(methods):
            for at, value in self._method(method, number).items():
                fields[number * aot_layouts.METHOD_SIZE + at] = value
        size = len(methods) * aot_layouts.METHOD_SIZE
        listed = self.image.data("aot.methods", fields, size, public=True)
        self.number("aot.method_count", len(methods))
        functions = [*(self.image.function(f.name) for f in _ENTRIES), self.image.function("free")]
        table = {
            0: ir.Constant(I64, aot_layouts.ABI),
            8: self.image.c_text(self.name),
            16: self.image.c_text(self.flavour),
            24: ir.Constant(I64, len(self.weights.content())),
            32: ir.Constant(I64, len(methods)),
            aot_layouts.API_METHODS: listed,
            **{aot_layouts.API_METHODS + 8 * (i + 1): f for i, f in enumerate(functions)},
        }
        size = aot_layouts.API_METHODS + 8 * (len(functions) + 1)
        self.image.data(EXPORTED, table, size, public=True)

    def _method(self, method: Method, number: int) -> dict[int, ir.Constant]:
        parameters = method.parameters
        result = method.graph.return_type or T.NONE
        offsets, area = area_offsets([p.type for p in parameters], 0)
        rows: dict[int, ir.Constant] = {}
        for i, (p, offset) in enumerate(zip(parameters, offsets, strict=True)):
            row = {
                aot_layouts.PARAMETER_NAME: self.image.new_text(p.name),
                aot_layouts.PARAMETER_DESCRIPTOR: self._descriptor(
                    T.NONE if p.name in method.absent else p.type
                ),
                aot_layouts.PARAMETER_OFFSET: ir.Constant(I64, offset),
                aot_layouts.PARAMETER_DEFAULT: self._default(method, p),
                aot_layouts.PARAMETER_FACT: self._fact(method, p),
            }
            rows |= {i * aot_layouts.PARAMETER_SIZE + at: value for at, value in row.items()}
        size = len(parameters) * aot_layouts.PARAMETER_SIZE
        return {
            aot_layouts.METHOD_NAME: self.image.c_text(method.name),
            aot_layouts.METHOD_SIGNATURE: self.image.c_text(method.signature),
            aot_layouts.METHOD_N: ir.Constant(I64, len(parameters)),
            aot_layouts.METHOD_PARAMETERS: self.image.data("parameters", rows, size),
            aot_layouts.METHOD_FUNCTION: self._wrapper(method, number, offsets),
            aot_layouts.METHOD_AREA: ir.Constant(I64, area),
            aot_layouts.METHOD_RESULT: self._descriptor(result),
            aot_layouts.METHOD_RESULT_SIZE: ir.Constant(I64, layouts.size_of(result)),
        }

    def _descriptor(self, t: T.Type) -> ir.Constant:
        return self.image.descriptor(descriptors.descriptor(t))

    def _default(self, method: Method, parameter: Any) -> ir.Constant:
        if parameter.name not in method.defaults:
            return NULL
        t = parameter.type
        size = layouts.size_of(t)
        place = ctypes.create_string_buffer(size + 8)
        address = ctypes.addressof(place)
        with Crossing() as crossing:
            crossing.to_native(method.defaults[parameter.name], t, address)
        return self.image.data("default", self.image.slot(address, t), size + 8)

    def _fact(self, method: Method, parameter: Any) -> ir.Constant:
        fact = method.facts.get(parameter.name)
        if fact is None:
            return NULL
        words = [DTYPE_NUMBERS[fact.dtype], len(fact.shape), *fact.shape, *fact.strides]
        return self.image.words("fact", words)

    def _wrapper(self, method: Method, number: int, offsets: Sequence[int]) -> ir.Constant:
        """``i32 (ctx, area, result)``, which calls the function."""
        signature = ir.FunctionType(I32, [PTR, PTR, PTR])
        function = ir.Function(self.module, signature, f"aot.method.{number}")
        ctx, area, result = function.args
        b = ir.IRBuilder(function.append_basic_block("entry"))
        arguments = [ctx]
        if method.self is not None:
            t = method.graph.params[0].type
            assert isinstance(t, T.ClassType)
            arguments.append(self.image.instance(method.self.address, t))
        for p, offset in zip(method.parameters, offsets, strict=True):
            place = tensors.byte_gep(b, area, offset)
            arguments.append(b.load(place, typ=layouts.llvm_type(p.type)))
        types = [PTR if isinstance(a.type, ir.PointerType) else a.type for a in arguments]
        called = self._extern(f"sm.{method.graph.name}", I32, [*types, PTR])
        b.ret(b.call(called, [*arguments, result]))
        return function.bitcast(PTR)


# ---- all together ----


@dataclass(frozen=True)
class Request:
    """What is exported: an optimised program, its methods, the tensor table, captured modules."""

    name: str
    program: Program
    methods: Sequence[Method]
    # the tensor table, given the attributes (class, name) that the program reads
    table: Callable[[Collection[tuple[str, str]]], Sequence[torch.Tensor | None]]
    captured: Mapping[str, tuple[int, T.ClassType]]
    flavour: str = "libtorch"


PORTABLE = Target("", "")
"""Any processor of this machine's architecture."""


def build(request: Request, target: Target = PORTABLE) -> Built:
    """Make the object code of a library."""
    machine = machine_of(target)
    with targeting(replace(target, has_libtorch=request.flavour == "libtorch")):
        return _build(request, machine)


def _build(request: Request, machine: llvm.TargetMachine) -> Built:
    root = request.methods[0].graph.span
    nativelib.ensure_loaded()
    unit = emit_program(request.program)
    check(unit, request.program, request.methods)
    lists = [T.ListType([t]) for t in (T.TENSOR, T.optional_of(T.TENSOR))]  # thunks make such
    for t in (*unit.descriptors, *lists):
        descriptors.descriptor(t)
    for symbol in (*unit.cells, *unit.global_cells.values()):
        unit.module.globals[symbol].initializer = None
    linked = parse(str(unit.module), machine)
    if unit.level:
        optimize(linked, machine, unit.level)
    if unit.has_libtorch:
        linked.link_in(parse(str(_thunks_module(unit)), machine))
    linked.link_in(llvm.parse_bitcode(runtime_bitcode(request.flavour, machine)))
    weights = Weights(request.name)
    image = LibraryImage(unit, request.name, request.flavour, weights)
    try:
        _fill(image, request, linked, root)
    except CannotExport as error:
        raise not_exported(f"this program: {error}", root) from None
    linked.link_in(parse(str(image.module), machine))
    _remove_unreached(linked, machine)
    undefined = tuple(
        sorted(v.name for v in (*linked.functions, *linked.global_variables)
               if v.is_declaration and not v.name.startswith("llvm."))
    )  # fmt: skip
    if not unit.has_libtorch:
        _refuse_libtorch(undefined, root)
    return Built(bytes(machine.emit_object(linked)), undefined, weights.content())


def _fill(image: LibraryImage, request: Request, linked: llvm.ModuleRef, root: Span) -> None:
    wanted = [v.name for v in linked.global_variables if v.is_declaration]
    image.descriptors(n for n in wanted if n.startswith("desc."))
    image.classes(n for n in wanted if n.startswith("exc."))
    image.places()
    image.cells(root)
    image.global_cells(request.captured)
    read = {(owner.name, name) for owner, name in image.unit.tensor_reads}
    image.rows(request.table(read))
    image.header()
    image.start()
    image.finish()
    image.methods(request.methods)
    if image.flavour == "libtorch":
        image.keys()
    else:
        image.fields()


def _refuse_libtorch(undefined: Iterable[str], root: Span) -> None:
    for name in undefined:
        if name.startswith(("_Z", "aoti_", "torch_")) or name in mkl.SYMBOLS.values():
            raise not_exported(
                f"this program to a standalone library: it needs {name} of libtorch", root
            )


def _remove_unreached(module: llvm.ModuleRef, machine: llvm.TargetMachine) -> None:
    for value in (*module.functions, *module.global_variables):
        if not value.is_declaration and value.name != EXPORTED:
            value.linkage = "internal"
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options())
    passes = llvm.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.add_strip_dead_prototype_pass()
    passes.run(module, builder)
