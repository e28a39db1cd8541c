"""What of a program a library cannot do: refused with its place before code is made.

A library has no Python and keeps no state between calls; what crosses to C has a form there; and
containers of the caller are copied, so a program that changes one would not do what eager does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scriptmode.abi import libtorch
from scriptmode.analysis.facts import TensorFact
from scriptmode.analysis.terminators import carried_offset, ends_of_branches, ends_of_loop
from scriptmode.aot.problems import not_exported
from scriptmode.codegen.function import not_built
from scriptmode.codegen.unit import Unit
from scriptmode.ir import types as T
from scriptmode.ir.graph import Block, Graph, Node, Program, Value
from scriptmode.runtime import nativelib
from scriptmode.runtime.instance import NativeInstance
from scriptmode.support.source import UNKNOWN, Span

_PASSED = (T.NONE, T.BOOL, T.INT, T.FLOAT, T.COMPLEX, T.STR, T.TENSOR)


@dataclass
class Method:
    """A function that the library offers; ``self`` is the instance that it is called on."""

    name: str
    graph: Graph
    self: NativeInstance | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, TensorFact] = field(default_factory=dict)  # of a standalone library
    absent: frozenset[str] = frozenset()  # parameters that are always None there

    @property
    def parameters(self) -> list[Any]:
        """The parameters that a caller gives."""
        return self.graph.params[1:] if self.self is not None else list(self.graph.params)

    @property
    def signature(self) -> str:
        """The method as text."""
        given = ", ".join(f"{p.name}: {p.type}" for p in self.parameters)
        return f"{self.name}({given}) -> {self.graph.return_type}"


def check(unit: Unit, program: Program, methods: Sequence[Method]) -> None:
    """Refuse what a library cannot do."""
    for method in methods:
        for p in method.parameters:
            if p.name in method.absent:
                continue
            _check_type(p.type, f"parameter `{p.name}`", method.graph.span, is_result=False)
            if not unit.has_libtorch and T.TENSOR in T.walk(p.type) and p.name not in method.facts:
                raise not_exported(
                    f"parameter `{p.name}` of type {p.type} to a standalone library",
                    method.graph.span, "each tensor has to be a parameter of its own",
                )  # fmt: skip
        result = method.graph.return_type or T.NONE
        _check_type(result, "the result", method.graph.span, is_result=True)
    if unit.crossings:
        node = unit.crossings[0]
        raise not_exported(
            "a call of Python", node.span, "a library runs without Python: compile what is called"
        )
    for graph in program.functions.values():
        for node in graph.walk():
            if node.kind in ("prim::SetAttr", "prim::DelAttr") and _is_module(node.inputs[0].type):
                raise not_exported(
                    f"an assignment of the module's attribute `{node.attributes['name']}`",
                    node.span,
                    "a library keeps no state between calls: return the new value",
                )
    _check_writes(program, methods)
    if not unit.has_libtorch:
        _check_own_kernels(unit)
    for schema, node in unit.thunks.items():
        route = libtorch.route(schema)
        if route.name is None:
            raise not_built(node, f"no native code for {schema.kind}: {route.reason}")
        if route.in_python:
            raise not_exported(f"{schema.kind}, which is a Python function", node.span)
    known = nativelib.functions()
    for name, asker in unit.natives.items():
        if name not in known and asker is not None:
            raise not_built(asker, f"no native code for {asker.kind} yet ({name})")


_WITHOUT_LIBTORCH = "a standalone library has only the ops that become loops of our own"
_TENSORS = frozenset(f"aoti_torch_get_{n}" for n in ("data_ptr", "dim", "sizes", "strides",
                                                     "numel", "dtype"))  # fmt: skip


def _check_own_kernels(unit: Unit) -> None:
    """Refuse what needs libtorch."""
    for schema, node in unit.thunks.items():
        raise not_exported(f"{schema.kind} to a standalone library", node.span, _WITHOUT_LIBTORCH)
    for name, asker in unit.externals.items():
        if name.startswith(("_Z", "aoti_", "torch_")) and name not in _TENSORS:
            what = "this program" if asker is None else asker.kind
            span = UNKNOWN if asker is None else asker.span
            raise not_exported(
                f"{what} to a standalone library: it calls {name} of libtorch", span,
                _WITHOUT_LIBTORCH,
            )  # fmt: skip
    for name, asker in unit.natives.items():
        if name.startswith("sm_task") and asker is not None:
            raise not_exported(
                f"{asker.kind} to a standalone library: tasks run on libtorch's threads", asker.span
            )


def _check_type(t: T.Type, what: str, span: Span, *, is_result: bool) -> None:
    for part in T.walk(t):
        fits = part in _PASSED or isinstance(part, (T.ListType, T.TupleType, T.OptionalType))
        given = isinstance(part, (T.DictType, T.VarTupleType)) or part == T.SIZE
        if not (fits or (is_result and given)):
            raise not_exported(
                f"{what} of type {t}", span, f"a {part} has no form in C; return its parts"
            )


def _is_module(t: T.Type) -> bool:
    return isinstance(t, T.ClassType) and t.is_module


# ---- containers that are not the program's own


def _check_writes(program: Program, methods: Sequence[Method]) -> None:
    """Refuse changes of containers of the caller, which are copied, and of the module's state."""
    kept = _containers(
        node.output.type
        for graph in program.functions.values()
        for node in graph.find_all("prim::GetAttr")
        if _is_module(node.inputs[0].type)
    )
    kept |= _containers(p.type for method in methods for p in method.parameters)
    for graph in program.functions.values() if kept else ():
        for node, value in _writes(graph):
            if value.type in kept and not _is_made_here(value):
                raise not_exported(
                    f"a program that may change a {value.type} of its caller or of a module",
                    node.span,
                    "a library keeps no state and copies containers: return a new one",
                )


def _writes(graph: Graph) -> Iterator[tuple[Node, Value]]:
    """What nodes write to."""
    for node in graph.walk():
        for argument, value in zip(
            node.schema.arguments if node.schema is not None else (), node.inputs, strict=False
        ):
            if argument.alias is not None and argument.alias.is_write:
                yield node, value


def _containers(types: Iterable[T.Type]) -> set[T.Type]:
    return {part for t in types for part in T.walk(t) if isinstance(part, T.CONTAINERS)}


_MAKING = ("prim::ListConstruct", "prim::DictConstruct", "prim::SetConstruct")


def _is_made_here(value: Value) -> bool:
    """Whether a container surely is one that the function has made."""
    seen: set[Value] = set()
    pending = [value]
    while pending:
        one = pending.pop()
        if one in seen:
            continue
        seen.add(one)
        sources = _sources(one)
        if sources is None:
            return False
        pending += sources
    return True


def _sources(value: Value) -> list[Value] | None:
    """The values that one may be; none for a new container, None for what is not known."""
    made = value.definition
    if isinstance(made, Block):
        owner = made.owner
        if owner is None or owner.kind != "prim::Loop":
            return None
        return _carried(owner, made.params.index(value) - 1)
    if made.kind == "prim::Loop":
        return _carried(made, made.outputs.index(value))
    if made.kind in ("prim::If", "prim::Try"):
        index = made.outputs.index(value)
        return [end.inputs[index] for end in ends_of_branches(made)]
    if made.kind in _MAKING:
        return []
    if made.schema is None or made.kind.endswith(("getitem", "get", "pop", "getitem_inside")):
        return None
    # a result without a mark is new
    number = made.outputs.index(value)
    return [] if made.schema.returns[number].alias is None else None


def _carried(loop: Node, index: int) -> list[Value]:
    """What flows into a value that a Loop carries."""
    ends = [end.inputs[carried_offset(end) + index] for end in ends_of_loop(loop)]
    return [loop.inputs[2 + index], *ends]
