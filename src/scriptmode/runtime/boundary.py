"""Python callables over compiled functions.

``make_entry(compiled, name, graph, slow=...)`` returns a builtin function whose C code checks and
converts the arguments, reads the module's tensors, runs the native code and converts the result.
Calls that do not fit go to ``slow(args, kwargs)``; ``slow_calls(entry)`` counts them by reason.
"""

from __future__ import annotations

import collections
import ctypes
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

import torch
from llvmlite import ir

from scriptmode.abi.convention import I32, PTR
from scriptmode.abi.layouts import align_of, align_of_llvm, llvm_type, size_of, size_of_llvm
from scriptmode.abi.python import new_builtin
from scriptmode.analysis.edges import Edges
from scriptmode.analysis.ownership import is_counted
from scriptmode.codegen.engine import Engine
from scriptmode.codegen.gradients import WITHOUT_GIL
from scriptmode.codegen.module import CompiledProgram
from scriptmode.ir import types as T
from scriptmode.ir.graph import Graph, Node, Program, Value
from scriptmode.runtime import boundary_state, frame, library, plans
from scriptmode.runtime.captured import CapturedRows
from scriptmode.runtime.code import Lease, manage
from scriptmode.runtime.crossing import OUTSIDE, Crossing
from scriptmode.runtime.instance import (
    PLAIN_TENSORS,
    NativeInstance,
    TensorRow,
    may_hold_containers,
)
from scriptmode.runtime.tree import Tree
from scriptmode.support.source import Span

Slow = Callable[[tuple[Any, ...], dict[str, Any]], Any]


class EntryRecord(ctypes.Structure):
    """The native record of an entry, and the Python objects that it refers to."""

    _fields_ = [("words", ctypes.c_int64 * frame.REC_WORDS)]

    locations: list[Span]
    warnings: dict[Any, Any]
    reason_counts: ctypes.Array[ctypes.c_int64]
    kept: list[object]
    captured: list[NativeInstance]
    compiled: CompiledProgram
    lease: Lease
    tree: Tree
    observe: Callable[[tuple[Any, ...]], None]

    def set(self, offset: int, value: int) -> None:
        """Write a word."""
        self.words[offset // 8] = value

    def array(self, offset: int, values: Iterable[int]) -> None:
        """Write the address of an array of words that lives as long as the record."""
        listed = list(values)
        block = (ctypes.c_int64 * max(1, len(listed)))(*listed)
        self.kept.append(block)
        self.set(offset, ctypes.addressof(block))


def make_entry(
    compiled: CompiledProgram,
    function_name: str,
    graph: Graph,
    *,
    slow: Slow,
    instance: NativeInstance | None = None,
    captured: Tree | None = None,
    defaults: Mapping[str, Any] | None = None,
    guards: CapturedRows | None = None,
    known: Mapping[str, object] | None = None,
) -> Callable[..., Any]:
    """A builtin function that runs ``function_name`` of a compiled program.

    ``instance`` is passed as first parameter, which callers do not see.  Modules that the program
    has captured get their instances in ``captured``, or in the tree of ``instance``.  While a value
    that ``guards`` watch is another than it was, calls go to ``slow``.  The parameters that are
    ``known`` take one object each.
    """
    boundary_state.load()
    lease = manage(compiled)
    record = EntryRecord()
    record.locations, record.warnings = compiled.locations, {}
    params = graph.params[1:] if instance is not None else graph.params
    record.kept = [compiled, slow, instance, guards]
    record.compiled, record.lease = compiled, lease
    record.set(frame.REC_COUNTDOWN, frame.FOREVER)
    record.set(frame.REC_CAPTURED, 0 if guards is None else guards.address)
    record.set(frame.REC_OWNER, id(record))
    record.set(frame.REC_SLOW, id(slow))
    record.set(frame.REC_FUNCTION, compiled.address(function_name))
    record.set(frame.REC_MUTATES, int(changes_containers(compiled.program)))
    if _needs_no_gil(compiled.program):
        record.set(frame.REC_KEEP_GIL, -1)
    record.reason_counts = (ctypes.c_int64 * len(frame.REASONS))()
    record.set(frame.REC_REASON_COUNTS, ctypes.addressof(record.reason_counts))
    _describe_parameters(record, graph, instance, defaults or {}, known or {})
    result = Edges(compiled.program, graph).result_type or T.NONE
    plans.check_supported(result, "a result")
    record.set(frame.REC_RESULT_PLAN, plans.plan(result))
    first = [PTR] if instance is not None else []
    types = (*first, *(llvm_type(p.type) for p in params))
    record.set(frame.REC_TRAMPOLINE, trampoline(types))
    tree = record.tree = instance.tree if instance is not None else captured or Tree()
    if uses_counted_state(compiled.program):
        record.set(frame.REC_TURN, tree.turn.address)
        record.kept.append(tree)
    roots = [] if instance is None else [(instance, graph.params[0].type)]
    captured_roots = link_captured(compiled, tree)
    record.captured = [found for found, _ in captured_roots]
    roots += captured_roots
    if reaches_outside(compiled.program):
        record.set(frame.REC_OUTER_TURN, OUTSIDE.address)
        if guards is not None:
            tree.memory.mirrors.captured.append(guards)
    if touches_containers(compiled.program):
        mirrors = tree.memory.mirrors
        record.kept += [mirrors, tree]
        record.set(frame.REC_MIRRORS, id(mirrors))
        record.set(frame.REC_MIRRORED, mirrors.count_address)
    if compiled.global_cells:
        tree.memory.use(lease)
    if roots:
        tree.memory.use(lease)
        _describe_tensors(record, compiled, roots)
    return _builtin(record, graph)


def _needs_no_gil(program: Program) -> bool:
    """Whether the program calls what must not be called with the GIL held."""
    return any(graph.find_all(WITHOUT_GIL) for graph in program.functions.values())


def _describe_parameters(
    record: EntryRecord,
    graph: Graph,
    instance: NativeInstance | None,
    defaults: Mapping[str, Any],
    known: Mapping[str, object],
) -> None:
    params = graph.params[1:] if instance is not None else graph.params
    for p in params:
        plans.check_supported(p.type, f"parameter `{p.name}`")
    offsets, size = area_offsets([p.type for p in params], 0 if instance is None else 8)
    names = [sys.intern(p.name) for p in params]
    given = [defaults.get(name) for name in names]
    record.kept += [names, given]
    record.set(frame.REC_SELF, 0 if instance is None else instance.address)
    record.set(frame.REC_N_PARAMS, len(params))
    positional = [name for name in names if name not in graph.kwarg_only]
    record.set(frame.REC_N_POSITIONAL, len(positional))
    fixed = {name: plans.known(obj) for name, obj in known.items()}
    record.kept.append(fixed)
    record.array(
        frame.REC_PLANS,
        [fixed[p.name][0] if p.name in fixed else plans.plan(p.type) for p in params],
    )
    record.array(frame.REC_OFFSETS, offsets)
    record.set(frame.REC_AREA_SIZE, size)
    record.array(frame.REC_NAMES, map(id, names))
    record.array(
        frame.REC_DEFAULTS,
        [id(value) if name in defaults else 0 for name, value in zip(names, given, strict=True)],
    )


def area_offsets(types: Iterable[T.Type], start: int) -> tuple[list[int], int]:
    """Where arguments lie in the area, and its size."""
    offsets = []
    at = start
    for t in types:
        align = max(8, align_of(t))
        at = -(-at // align) * align
        offsets.append(at)
        at += size_of(t)
    return offsets, at


def _describe_tensors(
    record: EntryRecord,
    compiled: CompiledProgram,
    roots: Iterable[tuple[NativeInstance, T.Type]],
) -> None:
    wanted = {(owner.name, name) for owner, name in compiled.tensor_reads}
    rows: list[TensorRow] = []
    for instance, class_type in roots:
        assert isinstance(class_type, T.ClassType), "instances are of class types"
        rows += instance.rows_read(class_type, wanted)
        record.set(frame.REC_TABLE_SIZE, instance.tree.table_size)
        record.kept.append(instance)
    fill: list[int] = []
    guards: dict[tuple[int, str], list[int]] = {}
    for row in rows:
        name = sys.intern(row.name)
        record.kept += [row, name]
        nullable = 2 if row.is_late else int(row.nullable)
        fill += [id(row.place), id(name), row.index, nullable, id(row.module)]
        if row.container is not None:
            key = (id(row.module), row.container)
            container = sys.intern(row.container)
            guards[key] = [id(row.module.__dict__), id(container), id(row.place)]
            record.kept += [row.module.__dict__, container]
    record.set(frame.REC_N_FILL, len(rows))
    record.array(frame.REC_FILL, fill)
    record.set(frame.REC_N_GUARDS, len(guards))
    record.array(frame.REC_GUARDS, [word for guard in guards.values() for word in guard])


def link_captured(compiled: CompiledProgram, tree: Tree) -> list[tuple[NativeInstance, T.Type]]:
    """Give the program the native instances of the modules it has captured."""
    found: list[tuple[NativeInstance, T.Type]] = []
    for name, cell in compiled.global_cells.items():
        module = compiled.program.globals[name]
        node = next(
            node
            for graph in compiled.program.functions.values()
            for node in graph.find_all("prim::Global")
            if node.attributes["name"] == name
        )
        class_type = node.output.type
        if not (isinstance(class_type, T.ClassType) and class_type.is_module):
            plans.check_supported(class_type, f"the captured `{name}`")
            _link_object(cell, module, class_type, tree)
            continue
        instance = NativeInstance.of(class_type, module, tree)
        word = ctypes.c_int64.from_address(cell)
        if word.value not in (0, instance.address):
            raise ValueError(f"the program is linked to another instance of module `{name}`")
        word.value = instance.address
        found.append((instance, class_type))
    return found


def _link_object(cell: int, obj: object, t: T.Type, tree: Tree) -> None:
    """Give the program a captured container or instance of a user class, by reference."""
    if ctypes.c_int64.from_address(cell).value == 0:
        tree.memory.fill(cell, t)
        with Crossing(tree.memory.mirrors) as crossing:
            crossing.to_native(obj, t, cell)


def _builtin(record: EntryRecord, graph: Graph) -> Callable[..., Any]:
    name = graph.name.rpartition(".")[2]
    made = new_builtin(name, library.address("sm_entry"), graph.doc, record, "scriptmode")
    assert callable(made)
    return made


# ---- trampolines ----

_trampolines: dict[str, tuple[Engine, int]] = {}


def trampoline(types: tuple[ir.Type, ...]) -> int:
    """Code that calls a function with these arguments from the argument area.

    ``i32 (ctx, ptr function, ptr area, ptr result)``; one per list of types, kept for good.
    """
    key = ", ".join(map(str, types))
    found = _trampolines.get(key)
    if found is None:
        engine = Engine()
        engine.add(_trampoline_module(types), optimize_level=1)
        found = _trampolines.setdefault(key, (engine, engine.address("sm.trampoline")))
    return found[1]


def _trampoline_module(types: tuple[ir.Type, ...]) -> ir.Module:
    module = ir.Module("trampoline")
    called = ir.FunctionType(I32, [PTR, *types, PTR])
    signature = ir.FunctionType(I32, [PTR, called.as_pointer(), PTR, PTR])
    function = ir.Function(module, signature, "sm.trampoline")
    function.attributes.add("nounwind")
    ctx, target, area, result = function.args
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    arguments = [ctx]
    at = 0
    for t in types:
        align = max(8, align_of_llvm(t))
        at = -(-at // align) * align
        place = builder.gep(area, [ir.Constant(ir.IntType(64), at)], source_etype=ir.IntType(8))
        arguments.append(builder.load(place, typ=t))
        at += size_of_llvm(t)
    builder.ret(builder.call(target, [*arguments, result]))
    return module


# ---- what programs do to containers ----


@cache
def _changes_containers(kind: str, schema: Any) -> bool:
    if kind == "prim::python_call":
        return True
    return schema is not None and any(
        a.alias is not None and a.alias.is_write and isinstance(a.type, T.CONTAINERS)
        for a in schema.arguments
    )


def _changes_instance(node: Node) -> bool:
    return node.kind in ("prim::SetAttr", "prim::DelAttr") and T.is_instance_type(
        node.inputs[0].type
    )


def changes_containers(program: Program) -> bool:
    """Whether some function of the program may change a list, a dict or an instance."""
    return any(
        _changes_containers(node.kind, node.schema) or _changes_instance(node)
        for graph in program.functions.values()
        for node in graph.walk()
    )


def touches_containers(program: Program) -> bool:
    """Whether the program reads or writes attributes of modules that hold containers."""
    for graph in program.functions.values():
        for node in graph.walk():
            if node.kind == "prim::Global" and not _is_module_value(node.output):
                return True
            if node.kind == "prim::python_call" and any(map(_is_module_value, node.inputs)):
                return True
            if node.kind in ("prim::GetAttr", "prim::SetAttr") and _is_module_value(node.inputs[0]):
                value = node.output if node.kind == "prim::GetAttr" else node.inputs[1]
                if not _is_module_or_tensor(value.type) and may_hold_containers(value.type):
                    return True
    return False


def _is_module_value(value: Value) -> bool:
    return isinstance(value.type, T.ClassType) and value.type.is_module


def reaches_outside(program: Program) -> bool:
    """Whether the program reaches captured containers, objects or variables by reference."""
    return any(
        node.kind == "prim::Global" and not _is_module_value(node.output)
        for graph in program.functions.values()
        for node in graph.walk()
    )


def state_names(program: Program) -> frozenset[str]:
    """Names of the modules' attributes, tensors excluded, that the program reads or writes."""
    found = set()
    for graph in program.functions.values():
        for node in graph.walk():
            if node.kind not in ("prim::GetAttr", "prim::SetAttr"):
                continue
            value = node.output if node.kind == "prim::GetAttr" else node.inputs[1]
            if not _is_module_or_tensor(value.type):
                found.add(node.attributes["name"])
    return frozenset(found)


def written_state_names(program: Program) -> frozenset[str]:
    """Names of the modules' attributes that the program assigns or deletes."""
    nodes = (n for graph in program.functions.values() for n in graph.walk())
    return frozenset(n.attributes["name"] for n in nodes if n.kind == "prim::SetAttr")


def uses_counted_state(program: Program) -> bool:
    """Whether the program uses state of modules that only one thread at a time may touch."""
    return any(
        node.kind in ("prim::GetAttr", "prim::SetAttr") and _is_shared(node)
        for graph in program.functions.values()
        for node in graph.walk()
    )


def _is_shared(node: Node) -> bool:
    owner = node.inputs[0].type
    if not (isinstance(owner, T.ClassType) and owner.is_module):
        return False
    t = owner.attributes[node.attributes["name"]]
    if _is_module_or_tensor(t):
        return False
    # several words are not written at once
    return is_counted(t) or (node.kind == "prim::SetAttr" and size_of(t) > 8)


def _is_module_or_tensor(t: T.Type) -> bool:
    return T.unwrap_optional(t) == T.TENSOR or (isinstance(t, T.ClassType) and t.is_module)


# ---- reading ----


def record_of(entry: Callable[..., Any]) -> EntryRecord:
    """What the native entry knows."""
    record = getattr(entry, "__self__", None)
    if not isinstance(record, EntryRecord):
        raise TypeError(f"{entry!r} is not a compiled entry")
    return record


def captured_instances(entry: Callable[..., Any]) -> list[NativeInstance]:
    """The native instances of the modules that an entry's program has captured."""
    return list(record_of(entry).captured)


def slow_calls(entry: Callable[..., Any]) -> dict[str, int]:
    """How many calls of an entry went the slow way, by reason."""
    counts = record_of(entry).reason_counts
    return {r: n for r, n in zip(frame.REASONS, counts, strict=True) if n}


def native_calls(entry: Callable[..., Any]) -> int:
    """How many calls of an entry ran natively."""
    return int(record_of(entry).words[frame.REC_CALLS // 8])


def keeps_gil(entry: Callable[..., Any]) -> bool:
    """Whether the entry's calls are short enough to keep the GIL."""
    return bool(record_of(entry).words[frame.REC_KEEP_GIL // 8] > 0)


_PLAIN = frozenset([*PLAIN_TENSORS, int, float, bool, str, type(None)])


def unusual_state(values: Iterable[Any], instance: NativeInstance | None) -> str | None:
    """Why a call with these arguments cannot run natively in this thread now; None if it can."""
    if torch._C._len_torch_dispatch_stack():
        return frame.REASONS[frame.REASON_DISPATCH_MODE]
    if torch._C._len_torch_function_stack():
        return frame.REASONS[frame.REASON_FUNCTION_MODE]
    if torch._C._functorch.peek_interpreter_stack() is not None:
        return frame.REASONS[frame.REASON_FUNCTORCH]
    if any(_holds_subclass(value) for value in values if type(value) not in _PLAIN):
        return frame.REASONS[frame.REASON_SUBCLASS]
    return instance.unusual() if instance is not None else None


def _holds_subclass(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return type(value) not in PLAIN_TENSORS
    if isinstance(value, (list, tuple, collections.deque)):
        return any(map(_holds_subclass, value))
    if isinstance(value, dict):
        return any(map(_holds_subclass, value.values()))
    return False
