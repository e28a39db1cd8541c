"""Compile a program to machine code.

``compile_program(program)`` copies the functions, makes ownership explicit, emits one LLVM module,
compiles and links it::

    compiled = compile_program(program)
    compiled.address("forward")     # i32 (ctx, arguments..., result), see abi.convention
    compiled.close()                # frees the code; nothing of it may be running

Functions whose loops compute on scalars are optimised, and small ones beside them; tensor code is
compiled as fast as LLVM can, since its time goes by in libtorch.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import llvmlite.binding as llvm
import torch

from scriptmode.abi import libtorch
from scriptmode.analysis.ownership import Ownership
from scriptmode.codegen import (
    aten,
    cells,
    collections,
    constants,
    containers,
    control,
    creation,
    futures,
    gradients,
    guards,
    ieee,
    metadata,
    outside,
    regions,
    scalar_operands,
    scalars,
    services,
    strings,
    structural,
    tries,
)
from scriptmode.codegen.classes import emit_class_functions
from scriptmode.codegen.engine import (
    Engine,
    compile_object,
    is_registered,
    optimize,
    require_symbols,
    target_machine,
    thunks,
)
from scriptmode.codegen.function import FunctionEmitter, not_built
from scriptmode.codegen.library import NativeLibrary, library
from scriptmode.codegen.object_memo import memo
from scriptmode.codegen.unit import EnumMember, FrozenConstant, Unit
from scriptmode.ir import types as T
from scriptmode.ir.graph import Graph, Node, Program, callees, copy_graph
from scriptmode.ops import table
from scriptmode.passes.retain_release import insert_retain_release, is_module, stored_attributes
from scriptmode.support import config
from scriptmode.support.source import UNKNOWN, Span

# imported for the lowerings that they register
LOWERINGS = (
    aten, cells, collections, constants, containers, control, creation, futures, gradients, guards,
    ieee, metadata, outside, regions, scalar_operands, scalars, services, strings, structural,
    tries,
)  # fmt: skip

# functions of more nodes are never optimised: compile time would be seconds
OPTIMIZE_LIMIT = 4000
SMALL = 60  # functions of at most so many nodes are optimised when the program is


class CompiledProgram:
    """Machine code of a program, and everything that it refers to.

    ``locations`` are the places that location ids of a trace mean.  ``tensor_reads`` are the module
    attributes that the program reads from or writes to the tensor table.  ``global_cells`` maps the
    names of captured modules to the addresses of the words where their native instances go.
    """

    def __init__(
        self, program: Program, unit: Unit, graphs: Mapping[str, Graph], text: str, code: bytes
    ) -> None:
        self.program = program
        self.graphs = graphs  # with retains and releases
        self.locations: list[Span] = unit.locations
        self.tensor_reads: list[tuple[T.ClassType, str]] = list(unit.tensor_reads)
        self.level = level = unit.level
        self._text = text
        self._objects = unit.cells
        self._engine = Engine(level)
        self._engine.add_object(code)
        self._addresses = {
            name: self._engine.address(function.name)
            for name, function in unit.functions.items()
            if name not in unit.outside
        }
        self.global_cells: dict[str, int] = {
            name: self._engine.address(symbol) for name, symbol in unit.global_cells.items()
        }
        self.outside: Mapping[str, int] = {  # cells of functions whose code is elsewhere
            name: self._engine.address(symbol) for name, symbol in unit.outside.items()
        }
        self.counters: Mapping[str, int] = {
            name: self._engine.address(symbol) for name, symbol in unit.counters.items()
        }
        self._fill_cells(library())
        for (owner, offset), symbol in unit.class_functions.items():
            library().set_class_function(owner, offset, self._engine.address(symbol))

    def address(self, name: str) -> int:
        """Address of a function's native code."""
        return self._addresses[name]

    @property
    def llvm_text(self) -> str:
        """The program's LLVM module, as it was emitted."""
        return self._text

    @property
    def assembly(self) -> str:
        """The program's machine code as text."""
        machine = target_machine(self.level)
        module = llvm.parse_assembly(self._text)
        module.triple, module.data_layout = machine.triple, str(machine.target_data)
        if self.level:
            optimize(module, machine, self.level)
        return str(machine.emit_assembly(module))

    def close(self) -> None:
        """Free the code; it must not be running."""
        self._engine.close()

    def _fill_cells(self, native: NativeLibrary) -> None:
        for name, value in self._objects.items():
            cell = ctypes.c_void_p.from_address(self._engine.address(name))
            cell.value = _native_address(value, native)


def _native_address(value: Any, native: NativeLibrary) -> int:
    if isinstance(value, (torch.Tensor, torch.Generator, torch.UntypedStorage)):
        return int(getattr(value, "_cdata"))  # noqa: B009  (missing in a stub)
    if isinstance(value, EnumMember):
        return native.enum_member(value.type, value.name)
    if isinstance(value, FrozenConstant):
        return native.frozen_set(value.type, value.value)
    return id(value)


@dataclass(frozen=True)
class Elsewhere:
    """Code that a program goes on from: the functions that have it, and their places' ids.

    A call of the function ``counted`` is a miss.
    """

    functions: Mapping[str, int]
    locations: Sequence[Span]
    counted: str


NOWHERE = Elsewhere({}, [UNKNOWN], "")
# makes object code of a text: LLVM's level, and that of its pipeline or None
Compiler = Callable[[str, int, int | None], bytes]


def compile_program(
    program: Program,
    *,
    debug: bool = False,
    elsewhere: Elsewhere = NOWHERE,
    compiler: Compiler = compile_object,
) -> CompiledProgram:
    """Generate, compile and link native code of all functions of ``program``.

    ``debug`` asks that tensor references are counted, which the process's thunks do or do not.
    Of the functions that have code ``elsewhere`` none is made.
    """
    if debug and not thunks.debug:
        raise RuntimeError("counting tensor references needs SCRIPTMODE_DEBUG=1 from the start")
    native = library()
    native.ensure_loaded()
    copy = Program(program.root)
    copy.functions = {
        name: g if name in elsewhere.functions else copy_graph(g)
        for name, g in program.functions.items()
    }
    copy.globals, copy.self_object = program.globals, program.self_object
    copy.classes = program.classes
    unit = emit_program(copy, elsewhere)
    link_requirements(unit, native)
    own = {name: g for name, g in copy.functions.items() if name not in elsewhere.functions}
    text = str(unit.module)
    level = unit.level
    code = memo.compiled(text, level, lambda: compiler(text, level, level or None))
    compiled = CompiledProgram(program, unit, own, text, code)
    for name, cell in compiled.outside.items():
        ctypes.c_int64.from_address(cell).value = elsewhere.functions[name]
    return compiled


def emit_program(program: Program, elsewhere: Elsewhere = NOWHERE) -> Unit:
    """Make ownership explicit in ``program`` and emit its LLVM module."""
    unit = Unit(program, choose_level(program, elsewhere.functions), elsewhere.locations)
    unit.recursive = recursive_functions(program)
    unit.counted = elsewhere.counted
    own = [g for name, g in program.functions.items() if name not in elsewhere.functions]
    if not unit.has_libtorch:  # there is nothing that could run a region op by op
        own = [graph for graph in own if graph.name not in regions.functions_of(program)]
    stored = stored_attributes(program)
    found = [node for graph in own for node in graph.find_all("prim::Region")]
    unit.plans = regions.plans_of(program, found)
    for graph in own:
        insert_retain_release(graph, program, stored)
        unit.declare(graph, optimize=unit.level > 0 and not is_cold(graph, unit.recursive))
    for name in outside.called_outside(program, elsewhere.functions):
        unit.declare(program.functions[name], optimize=True)
        outside.emit_outside(unit, program.functions[name])
    for graph in own:
        FunctionEmitter(unit, graph, Ownership(graph, stored)).emit()
    if not elsewhere.functions:  # there the classes have theirs
        emit_class_functions(unit)
    return unit


def link_requirements(unit: Unit, native: NativeLibrary) -> None:
    """Make every external symbol resolvable; what has no native code is a NotBuiltError."""
    lists = [T.ListType([t]) for t in (T.TENSOR, T.optional_of(T.TENSOR))]  # thunks make such
    native.describe([*unit.descriptors, *lists])
    for schema, node in unit.thunks.items():
        route = libtorch.route(schema)
        if route.name is None:
            raise not_built(node, f"no native code for {schema.kind}: {route.reason}")
    thunks.get(unit.thunks)
    require_symbols(unit.externals)
    for name, asker in unit.natives.items():
        if not is_registered(name):
            assert asker is not None, name
            raise not_built(asker, f"no native code for {asker.kind} yet ({name})")
        declared, defined = str(unit.module.globals[name].ftype), native.signature(name)
        if defined is not None and declared != defined:
            raise TypeError(f"{name} is {defined}, but is called as {declared}")
    for node in unit.crossings:
        values = [v for v in node.inputs if not is_module(v)] + node.outputs
        for value in values:
            if not native.can_cross(value.type):
                raise not_built(node, f"a value of type {value.type} cannot cross to Python yet")


def recursive_functions(program: Program) -> frozenset[str]:
    """Functions that may call themselves, directly or not."""
    calls = {name: set(callees(graph)) for name, graph in program.functions.items()}

    def reached(name: str) -> set[str]:
        found: set[str] = set()
        pending = list(calls[name])
        while pending:
            callee = pending.pop()
            if callee not in found:
                found.add(callee)
                pending += calls[callee]
        return found

    return frozenset(name for name in calls if name in reached(name))


def choose_level(program: Program, elsewhere: Container[str] = ()) -> int:
    """LLVM's optimisation level: 2 when some function is hot whose code is not ``elsewhere``."""
    if config.get("opt") == 0:
        return 0
    repeating = recursive_functions(program)
    own = [graph for name, graph in program.functions.items() if name not in elsewhere]
    return 2 if any(is_hot(graph, repeating) for graph in own) else 0


def is_hot(graph: Graph, recursive: frozenset[str]) -> bool:
    """Whether a function may run many instructions of its own for each op of torch."""
    if graph.find_all("prim::Region"):
        return True
    if graph.name in recursive and not any(map(_runs_torch, graph.walk())):
        return True
    return has_scalar_loop(graph) or bool(graph.find_all("tensor::fits"))


def is_cold(graph: Graph, recursive: frozenset[str]) -> bool:
    """Whether optimising a function would cost more than it can bring."""
    size = sum(1 for _ in graph.walk())
    return size > OPTIMIZE_LIMIT or (size > SMALL and not is_hot(graph, recursive))


def has_scalar_loop(graph: Graph) -> bool:
    """Whether some loop runs no op of torch, so that its own instructions are what it costs."""
    return any(
        node.kind == "prim::Loop" and not any(map(_runs_torch, _inside(node)))
        for node in graph.walk()
    )


def _runs_torch(node: Node) -> bool:
    return node.schema is not None and table.find(node.kind) is None


def _inside(node: Node) -> Iterable[Node]:
    for block in node.blocks:
        inner = block.first
        while inner is not None:
            yield inner
            yield from _inside(inner)
            inner = inner.next
