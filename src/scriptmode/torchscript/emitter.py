"""What the lowering of a function has at hand: the builder, variables, errors with a place."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import UNREACHABLE, YIELD, Block, Graph, Value
from scriptmode.ops.aten import schema_of
from scriptmode.torchscript.sources import CodeFile

if TYPE_CHECKING:
    from scriptmode.torchscript.unit import Unit

_ZEROS: dict[T.Type, Any] = {
    T.INT: 0, T.FLOAT: 0.0, T.BOOL: False, T.STR: "", T.COMPLEX: 0j, T.NONE: None,
    T.DEVICE: torch.device("cpu"),
}  # fmt: skip
# a tensor where a number is wanted
_FROM_TENSOR: Mapping[T.Type, str] = {
    T.NUMBER: "aten::item", T.INT: "tensor::index", T.FLOAT: "tensor::float",
}  # fmt: skip


@dataclass(frozen=True)
class FunctionName:
    """A function of the code that a variable stands for."""

    name: str


@dataclass(frozen=True)
class Uninitialized:
    """A variable that has no value yet: none is read before it is set."""

    type: T.Type


@dataclass(frozen=True, eq=False)
class Closure:
    """A function inside of one, with the variables that it was made over."""

    node: ast.FunctionDef
    names: dict[str, Any]


Bound = Value | FunctionName | Uninitialized | Closure


class Emitter:
    """Appends nodes to one graph."""

    def __init__(self, unit: Unit, graph: Graph, file: CodeFile, function: str) -> None:
        self.unit = unit
        self.graph = graph
        self.file = file
        self.function = function
        self.builder = Builder(graph.block, schema_of)
        self.names: dict[str, Bound] = {}
        self.node: ast.AST | None = None

    # errors

    def problem(self, what: str, node: ast.AST | None = None) -> Exception:
        """The error that names the place."""
        return self.file.problem(node or self.node, what)

    def at(self, node: ast.AST) -> None:
        """What is appended from now on stands for ``node``."""
        self.node = node
        self.builder.span = self.file.span(node, self.function)

    # nodes

    def op(self, kind: str, *values: Value) -> Value:
        """Append an op with one result."""
        return self.builder.op(kind, *values)

    def several(self, kind: str, *values: Value) -> list[Value]:
        """Append an op with several results."""
        return self.builder.op_node(kind, values).outputs

    def run(self, kind: str, *values: Value) -> Value:
        """Append an op without a result; None in its place."""
        self.builder.op_node(kind, values)
        return self.none()

    def constant(self, value: Any, type: T.Type | None = None) -> Value:
        """A constant."""
        return self.builder.constant(value, type)

    def none(self) -> Value:
        """None."""
        return self.builder.constant(None)

    @property
    def is_dead(self) -> bool:
        """Whether what would come next is never reached."""
        return self.builder.block.is_terminated

    def yield_(self, values: Sequence[Value]) -> None:
        """End the block."""
        self.builder.block.terminate(YIELD, values, self.builder.span)

    def choose(self, condition: Value, then: Any, other: Any, type: T.Type | None = None) -> Value:
        """The value of one of two callables, by a bool."""
        node = self.builder.if_node(condition)
        found: list[tuple[Block, Value]] = []
        for block, make in zip(node.blocks, (then, other), strict=True):
            with self.builder.at(block):
                value = make()
                if not self.is_dead:
                    self.yield_([value])
                    found.append((block, value))
        result = type
        for _, value in found:
            result = value.type if result is None else T.join(result, value.type) or T.ANY
        if not found:
            self.builder.block.terminate(UNREACHABLE, [], self.builder.span)
        return node.add_output(result or T.NONE)

    def loop(self, count: Value, body: Any) -> None:
        """Run ``body`` with 0, 1, ... ``count - 1``; nothing is carried."""
        node = self.builder.node("prim::Loop", [count, self.constant(True)])
        block = node.add_block()
        index = block.add_param(T.INT)
        with self.builder.at(block):
            body(index)
            self.yield_([self.constant(True)])

    def raise_(self, exception: type[BaseException], message: Value | None) -> None:
        """Raise; nothing comes after it."""
        inputs = [] if message is None else [message]
        self.builder.node("prim::raise", inputs, exception=exception)
        self.builder.block.terminate(UNREACHABLE, [], self.builder.span)

    def check(self, condition: Value, exception: type[BaseException], message: str) -> None:
        """Raise unless a bool is true."""
        node = self.builder.if_node(condition)
        with self.builder.at(node.blocks[0]):
            self.yield_([])
        with self.builder.at(node.blocks[1]):
            self.raise_(exception, self.constant(message))

    # types

    def fit(self, value: Value, t: T.Type, what: str = "a value") -> Value:
        """A value where a ``t`` is wanted."""
        if T.is_subtype(value.type, t):
            return value
        if isinstance(value.type, T.OptionalType) and T.is_subtype(value.type.element, t):
            return self.builder.node("prim::checked_cast", [value], [t]).output
        if value.type == T.TENSOR and t in _FROM_TENSOR:
            return self.op(_FROM_TENSOR[t], value)
        if isinstance(t, T.TupleType) and isinstance(value.type, T.TupleType):
            parts = value.type.elements
            if len(parts) == len(t.elements) and not isinstance(t, T.NamedTupleType):
                items = [self.builder.tuple_index(value, i) for i in range(len(parts))]
                fitting = [self.fit(v, e, what) for v, e in zip(items, t.elements, strict=True)]
                return self.builder.tuple(fitting, t)
        if t == T.FLOAT and value.type in (T.INT, T.BOOL):
            return self.op(f"{value.type}::float", value)
        number = isinstance(value.type, (T.UnionType, T.SimpleType)) and value.type != T.TENSOR
        if number and (T.is_subtype(t, value.type) or value.type == T.ANY):
            return self.builder.node("prim::checked_cast", [value], [t]).output
        if isinstance(t, T.ListType) and isinstance(value.type, T.ListType):
            if value.node is not None and value.node.kind == "prim::ListConstruct":
                items = [self.fit(v, t.element, what) for v in value.node.inputs]
                return self.builder.list(items, t.element)
        raise self.problem(f"{what} is a {value.type}, not a {t}")

    def zero(self, t: T.Type) -> Value:
        """Some value of a type, for a variable that is never read before it is set."""
        b = self.builder
        if t in _ZEROS:
            return self.constant(_ZEROS[t], t)
        if T.is_optional(t):
            return b.cast(self.none(), t)
        if t == T.TENSOR:
            return self.constant(torch.empty(0), t)
        if t == T.NUMBER:
            return b.cast(self.constant(0), t)
        if isinstance(t, T.ListType):
            return b.list([], t.element)
        if isinstance(t, T.DictType):
            return b.node("prim::DictConstruct", [], [t]).output
        if isinstance(t, T.TupleType):
            return b.tuple([self.zero(e) for e in t.elements], t)
        if isinstance(t, T.UnionType):
            return b.cast(self.zero(t.contained[0]), t)
        if isinstance(t, T.FutureType):
            return b.node("prim::Future", [self.zero(t.element)], [t]).output
        if isinstance(t, T.EnumType) and t.python_class is not None:
            members: Any = t.python_class
            return self.constant(next(iter(members)), t)
        if T.is_instance_type(t):
            return b.node("prim::CreateObject", [], [t]).output
        raise self.problem(f"a variable of type {t} without a value")
