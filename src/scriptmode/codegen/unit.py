"""The LLVM module of one program under construction: declarations, constants, locations.

External symbols are of four sorts: op thunks, functions of the native library, type descriptors
(``desc.<type>``) and libtorch's own.  Python objects that native code refers to have a *cell* in
the module, which is filled when the code is loaded; ``Unit.cells`` lists them.
"""

from __future__ import annotations

import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from scriptmode.abi import objects
from scriptmode.abi.convention import I8, I16, I32, I64, PTR, function_type
from scriptmode.abi.layouts import descriptor_symbol, llvm_type
from scriptmode.codegen import tensors
from scriptmode.codegen.object_code import target
from scriptmode.codegen.thunks import declare_thunk
from scriptmode.ir import types as T
from scriptmode.ir.graph import Graph, Node, Program
from scriptmode.ir.schema import OpSchema
from scriptmode.loops.schedule import Schedule
from scriptmode.support.source import UNKNOWN, Span

NULL = ir.Constant(PTR, None)
VOID = ir.VoidType()


@dataclass(frozen=True)
class EnumMember:
    """A member of an enum type, whose native object the library makes."""

    type: T.EnumType
    name: str


@dataclass(frozen=True)
class FrozenConstant:
    """A constant frozenset, whose native object the library makes."""

    type: T.Type
    value: frozenset[Any]


class Unit:
    """One LLVM module, to be compiled at optimisation level ``level``.

    ``locations`` are places that have their ids already.
    """

    def __init__(
        self, program: Program, level: int = 0, locations: Sequence[Span] = (UNKNOWN,)
    ) -> None:
        self.program = program
        self.level = level
        self.has_libtorch = target().has_libtorch
        self.module = ir.Module(program.root)
        self.locations: list[Span] = list(locations)
        self.descriptors: dict[T.Type, None] = {}
        self.thunks: dict[OpSchema, Node] = {}
        self.natives: dict[str, Node | None] = {}
        self.crossings: list[Node] = []  # nodes whose values cross to Python and back
        self.externals: dict[str, Node | None] = {}
        self.cells: dict[str, Any] = {}
        self.enum_members: dict[tuple[str, str], EnumMember] = {}
        self.global_cells: dict[str, str] = {}
        self.tensor_reads: dict[tuple[T.ClassType, str], None] = {}
        self.functions: dict[str, ir.Function] = {}
        self.outside: dict[str, str] = {}  # cells of functions whose code is elsewhere
        self.counted: str | None = None  # the one of which every call is a miss
        self.counters: dict[str, str] = {}
        self.recursive: frozenset[str] = frozenset()
        self.current: Node | None = None  # the node being lowered, for messages
        self.plans: dict[Node, Schedule] = {}  # the loop nests of regions
        self.kernels: dict[int, ir.Function] = {}  # their code, by the id of the plan
        self._location_ids = {tuple(span.chain): i for i, span in enumerate(self.locations)}
        self._texts: dict[str, ir.Constant] = {}
        self._cell_names: dict[int, str] = {}
        self._lists: dict[str, ir.Constant] = {}
        self._none_object: ir.Constant | None = None
        # functions that descriptors of classes point to: (class, offset) -> symbol
        self.class_functions: dict[tuple[T.ClassType, int], str] = {}

    # ---- functions ----

    def declare(self, graph: Graph, *, optimize: bool) -> ir.Function:
        """Declare the LLVM function of a graph."""
        arguments = [llvm_type(p.type) for p in graph.params]
        ftype = function_type(arguments, 1)
        function = ir.Function(self.module, ftype, f"sm.{graph.name}")
        function.attributes.add("nounwind")
        if self.level and not optimize:
            function.attributes.add("noinline")
            function.attributes.add("optnone")
        self.functions[graph.name] = function
        return function

    def native(self, name: str, result: ir.Type, arguments: Sequence[ir.Type]) -> ir.Function:
        """Refer to a function of the native library."""
        if name not in self.natives:
            self.natives[name] = self.current
        found = self.module.globals.get(name)
        if found is None:
            # constants have typed pointers, of which no two are alike
            types = [PTR if isinstance(t, ir.PointerType) else t for t in arguments]
            found = ir.Function(self.module, ir.FunctionType(result, types), name)
            found.attributes.add("nounwind")
        return found

    def external(self, name: str, result: ir.Type, arguments: Sequence[ir.Type]) -> ir.Function:
        """Refer to a function of libtorch or libc."""
        self.externals.setdefault(name, self.current)
        ftype = ir.FunctionType(result, list(arguments))
        return tensors.extern_function(self.module, name, ftype)

    def thunk(self, schema: OpSchema) -> ir.Function:
        """Refer to the thunk of an op."""
        assert self.current is not None
        self.thunks.setdefault(schema, self.current)
        return declare_thunk(self.module, schema)

    def intrinsic(self, name: str, result: ir.Type, arguments: Sequence[ir.Type]) -> ir.Function:
        """Refer to one of LLVM's intrinsics by its full name."""
        ftype = ir.FunctionType(result, list(arguments))
        return tensors.extern_function(self.module, name, ftype)

    # ---- data ----

    def location(self, span: Span) -> int:
        """The id of a place in the user's source."""
        key = tuple(span.chain)  # spans are equal whoever calls
        found = self._location_ids.get(key)
        if found is None:
            found = self._location_ids[key] = len(self.locations)
            self.locations.append(span)
        return found

    def descriptor(self, t: T.Type) -> ir.Constant:
        """Address of the descriptor of ``t``."""
        self.descriptors[t] = None
        return tensors.address(tensors.extern_global(self.module, descriptor_symbol(t), I64))

    def none_object(self) -> ir.Constant:
        """Address of a header that stands for None, where an instance may be null."""
        if self._none_object is None:
            fields = [ir.Constant(I64, objects.IMMORTAL), self.descriptor(T.NONE)]
            value = ir.Constant(ir.LiteralStructType([f.type for f in fields]), fields)
            self._none_object = tensors.address(self.private("none", value))
        return self._none_object

    def private(self, name: str, value: ir.Constant, *, constant: bool = False) -> Any:
        """A private global; use ``tensors.address`` on it."""
        unique = self.module.get_unique_name(name)
        found = ir.GlobalVariable(self.module, value.type, unique)
        found.linkage = "internal"
        found.initializer = value
        found.global_constant = constant
        return found

    def text(self, text: str) -> ir.Constant:
        """Address of an immortal native str."""
        found = self._texts.get(text)
        if found is None:
            found = self._texts[text] = self._make_text(text)
        return found

    def _make_text(self, text: str) -> ir.Constant:
        points = [*map(ord, text), 0]
        widest = max(points)
        width, unit, code = (
            (1, I8, "B") if widest < 256 else (2, I16, "H") if widest < 65536 else (4, I32, "I")
        )
        data = ir.Constant(ir.ArrayType(I8, width * len(points)),
                           bytearray(array.array(code, points).tobytes()))  # fmt: skip
        assert unit.width == 8 * width
        fields = [
            ir.Constant(I64, objects.IMMORTAL),
            self.descriptor(T.STR),
            ir.Constant(I64, len(text)),
            ir.Constant(I64, 0),  # the hash, filled in on first use
            ir.Constant(I64, width),
            data,
        ]
        value = ir.Constant(ir.LiteralStructType([f.type for f in fields]), fields)
        address: ir.Constant = tensors.address(self.private("text", value))
        return address

    def cell(self, value: Any) -> ir.Constant:
        """Address of a word that holds a Python object's native address."""
        name = self._cell_names.get(id(value))
        if name is None:
            name = f"sm.cell.{len(self.cells)}"
            self._cell_names[id(value)] = name
            self.cells[name] = value  # keeps the object, so its id stays taken
            cell = ir.GlobalVariable(self.module, I64, name)
            cell.initializer = ir.Constant(I64, 0)
        address: ir.Constant = tensors.address(self.module.globals[name])
        return address

    def global_cell(self, name: str) -> ir.Constant:
        """Address of a word for the native instance of a captured module; the boundary fills it."""
        symbol = f"sm.global.{name}"
        if symbol not in self.module.globals:
            self.global_cells[name] = symbol
            cell = ir.GlobalVariable(self.module, I64, symbol)
            cell.initializer = ir.Constant(I64, 0)
        address: ir.Constant = tensors.address(self.module.globals[symbol])
        return address

    def pointer_array(self, values: Sequence[ir.Constant]) -> ir.Constant:
        """Address of constant pointers."""
        array_type = ir.ArrayType(PTR, len(values))
        made = self.private("pointers", ir.Constant(array_type, list(values)))
        address: ir.Constant = tensors.address(made)
        return address

    def constant_list(
        self, element: ir.Type, values: Sequence[ir.Constant], descriptor: ir.Constant = NULL
    ) -> ir.Constant:
        """Address of an immortal list; one that is only lent to ops needs no descriptor."""
        key = f"{descriptor} {element} {[str(v) for v in values]}"
        found = self._lists.get(key)
        if found is None:
            data_type = ir.ArrayType(element, len(values))
            data = self.private("items", ir.Constant(data_type, list(values)), constant=True)
            count = ir.Constant(I64, len(values))
            immortal = ir.Constant(I64, objects.IMMORTAL)
            fields = [immortal, descriptor, count, count, tensors.address(data)]
            value = ir.Constant(ir.LiteralStructType([f.type for f in fields]), fields)
            found = tensors.address(self.private("list", value, constant=True))
            self._lists[key] = found
        return found
