"""Structural equality of graphs and programs.

``difference(a, b)`` says where two graphs differ first, or returns None.  Names of values do not
count, except those of parameters; values of attributes are compared exactly (``nan`` equals itself,
``0.0`` is not ``-0.0``, tensors by their bytes).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

import torch

from scriptmode.ir.graph import Block, Graph, Node, Program, Value
from scriptmode.ir.literals import ObjectReference, import_path
from scriptmode.ir.types import ClassType, Type
from scriptmode.support.source import Span


def equal_graphs(a: Graph, b: Graph, *, full_spans: bool = False) -> bool:
    """Whether the graphs are the same but for names of values."""
    return difference(a, b, full_spans=full_spans) is None


def difference(a: Graph, b: Graph, *, full_spans: bool = False, places: bool = True) -> str | None:
    """The first difference in words; ``places`` compares spans and scopes too."""
    comparison = _Comparison(full_spans, places)
    return next(comparison.graphs(a, b), None)


def program_difference(a: Program, b: Program, *, full_spans: bool = False) -> str | None:
    """The first difference of two programs: functions, types, captured objects."""
    return next(_programs(a, b, _Comparison(full_spans, True)), None)


def equal_values(a: Any, b: Any) -> bool:
    """Whether two attribute values are exactly the same."""
    if isinstance(a, ObjectReference) or isinstance(b, ObjectReference):
        return _reference(a) == _reference(b)
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor):
        return equal_tensors(a, b)
    if isinstance(a, float):
        return struct.pack("<d", a) == struct.pack("<d", b)
    if isinstance(a, complex):
        return equal_values(a.real, b.real) and equal_values(a.imag, b.imag)
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(map(equal_values, a, b))
    if isinstance(a, dict):
        return equal_values(list(a.items()), list(b.items()))
    return a is b or bool(a == b)


def equal_tensors(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two tensors agree in everything that a program can see of them."""
    if a is b:
        return True
    facts = [
        (type(t), t.dtype, t.device, t.layout, t.shape, t.requires_grad, t.is_quantized)
        for t in (a, b)
    ]
    if facts[0] != facts[1]:
        return False
    if a.layout != torch.strided:
        return a.layout == torch.sparse_coo and _equal_sparse(a, b)
    if a.stride() != b.stride() or a.is_conj() != b.is_conj() or a.is_neg() != b.is_neg():
        return False
    if a.is_quantized:
        return a.qscheme() == b.qscheme() and equal_tensors(a.int_repr(), b.int_repr())
    x, y = (t.detach().resolve_conj().resolve_neg().contiguous().reshape(-1) for t in (a, b))
    return bool(torch.equal(x.view(torch.uint8), y.view(torch.uint8)))


def _equal_sparse(a: torch.Tensor, b: torch.Tensor) -> bool:
    if a.is_coalesced() != b.is_coalesced():
        return False
    return equal_tensors(a._indices(), b._indices()) and equal_tensors(a._values(), b._values())


def _reference(value: Any) -> str:
    name = value.name if isinstance(value, ObjectReference) else import_path(value)
    return name.partition("#")[0]


class _Comparison:
    """One walk over two graphs; yields differences."""

    def __init__(self, full_spans: bool, places: bool) -> None:
        self.full_spans = full_spans
        self.places = places
        self.same: dict[Value, Value] = {}

    def span(self, span: Span) -> tuple[Any, ...]:
        if not span.line or not self.places:
            return ()
        place = (span.file, span.line, span.column)
        if not self.full_spans:
            return place
        return (*place, span.end_line, span.end_column, span.function)

    def graphs(self, a: Graph, b: Graph) -> Iterator[str]:
        for what in ("name", "return_type", "doc", "kwarg_only"):
            if getattr(a, what) != getattr(b, what):
                yield f"{what}: {getattr(a, what)!r} and {getattr(b, what)!r}"
        if self.span(a.span) != self.span(b.span):
            yield f"places of the functions: {a.span} and {b.span}"
        names = [p.name for p in a.params], [p.name for p in b.params]
        if names[0] != names[1] and all(names[0]):
            yield f"parameters {names[0]} and {names[1]}"
        if not equal_values(_sorted(a.defaults), _sorted(b.defaults)):
            yield f"defaults {a.defaults} and {b.defaults}"
        yield from self.blocks(a.block, b.block)

    def values(self, what: str, a: list[Value], b: list[Value]) -> Iterator[str]:
        if [v.type for v in a] != [v.type for v in b]:
            yield f"{what}: types {[v.type for v in a]} and {[v.type for v in b]}"
        self.same.update(zip(a, b, strict=False))

    def blocks(self, a: Block, b: Block) -> Iterator[str]:
        yield from self.values("params", a.params, b.params)
        for x, y in zip_longest(_all_nodes(a), _all_nodes(b)):
            if x is None or y is None:
                yield f"{x or y} stands on one side only"
                return
            yield from self.nodes(x, y)

    def nodes(self, a: Node, b: Node) -> Iterator[str]:
        if (a.kind, str(a.schema)) != (b.kind, str(b.schema)):
            yield f"{a} and {b}"
            return
        if self.places and (a.scope, self.span(a.span)) != (b.scope, self.span(b.span)):
            yield f"{a}: places {a.scope!r} {a.span!r} and {b.scope!r} {b.span!r}"
        if [self.same.get(v) for v in a.inputs] != b.inputs:
            yield f"inputs of {a} and {b}"
        if not equal_values(_sorted(a.attributes), _sorted(b.attributes)):
            yield f"attributes of {a} and {b}"
        yield from self.values(f"outputs of {a}", a.outputs, b.outputs)
        if len(a.blocks) != len(b.blocks):
            yield f"{a}: {len(a.blocks)} and {len(b.blocks)} blocks"
        for x, y in zip(a.blocks, b.blocks, strict=False):
            yield from self.blocks(x, y)


def _all_nodes(block: Block) -> Iterator[Node]:
    node = block.first
    while node is not None:
        yield node
        node = node.next


def _sorted(values: Mapping[str, Any]) -> dict[str, Any]:
    return dict(sorted(values.items()))


def _programs(a: Program, b: Program, comparison: _Comparison) -> Iterator[str]:
    if a.root != b.root:
        yield f"roots {a.root} and {b.root}"
    for what in ("functions", "classes", "enums"):
        if list(getattr(a, what)) != list(getattr(b, what)):
            yield f"{what}: {list(getattr(a, what))} and {list(getattr(b, what))}"
            return
    for name, named in a.named_tuples.items():
        if b.named_tuples.get(name) != named:
            yield f"named tuple {name}"
    for name in a.enums:
        if not equal_values(_facts(a.enums[name]), _facts(b.enums[name])):
            yield f"enum {name}"
    for name in a.classes:
        if not equal_values(_facts(a.classes[name]), _facts(b.classes[name])):
            yield f"class {name}"
    if not equal_values([a.self_object, a.globals], [b.self_object, b.globals]):
        yield "captured objects"
    for name in a.functions:
        for found in comparison.graphs(a.functions[name], b.functions[name]):
            yield f"function {name}: {found}"


def _facts(t: Type) -> list[Any]:
    facts: list[Any] = [t, t.python_class]  # type: ignore[attr-defined]
    if not isinstance(t, ClassType):
        return [*facts, t.members]  # type: ignore[attr-defined]
    attributes = {name: str(kind) for name, kind in t.attributes.items()}
    facts += [t.is_module, t.original_name, attributes, t.methods, t.constants]
    facts += [
        [str(b) for b in t.bases],
        t.slots,
        sorted(t.left_to_class),
        [str(s) for s in t.family],
    ]
    return [*facts, sorted(t.parameters), sorted(t.buffers), t.late]
