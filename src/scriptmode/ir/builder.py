"""Appending nodes at an insertion point.

The builder knows no op: ``resolve`` maps a node kind to its schema, from which result types follow.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from scriptmode.ir.graph import Block, Node, Value
from scriptmode.ir.schema import OpSchema
from scriptmode.ir.types import (
    BOOL,
    COMPLEX,
    FLOAT,
    INT,
    NONE,
    STR,
    ListType,
    TupleType,
    Type,
    match_type,
    substitute,
)
from scriptmode.support.source import UNKNOWN, Span

Resolver = Callable[[str], OpSchema | None]


def type_of_scalar(value: Any) -> Type:
    """Type of an int, float, bool, complex, str or None constant."""
    if value is None:
        return NONE
    return {bool: BOOL, int: INT, float: FLOAT, complex: COMPLEX, str: STR}[type(value)]


class Builder:
    """Creates nodes at the end of ``block``."""

    def __init__(self, block: Block, resolve: Resolver) -> None:
        self.block = block
        self.resolve = resolve
        self.span: Span = UNKNOWN
        self.scope: str = ""

    @contextlib.contextmanager
    def at(self, block: Block) -> Iterator[Block]:
        """Insert into ``block`` within the ``with``."""
        saved, self.block = self.block, block
        try:
            yield block
        finally:
            self.block = saved

    @contextlib.contextmanager
    def located(self, span: Span) -> Iterator[None]:
        """Give new nodes this span within the ``with``."""
        saved, self.span = self.span, span
        try:
            yield
        finally:
            self.span = saved

    def node(
        self,
        kind: str,
        inputs: Sequence[Value] = (),
        outputs: Sequence[Type] = (),
        *,
        schema: OpSchema | None = None,
        **attributes: Any,
    ) -> Node:
        """Append a node of any kind."""
        node = Node(
            kind,
            inputs,
            outputs,
            attributes=attributes,
            schema=schema,
            span=self.span,
            scope=self.scope,
        )
        return self.block.append(node)

    def constant(self, value: Any, type: Type | None = None) -> Value:
        """A ``prim::Constant``; the type may be left out for scalars, str and None."""
        type = type if type is not None else type_of_scalar(value)
        return self.node("prim::Constant", (), [type], value=value).output

    def op(self, kind: str, *inputs: Value) -> Value:
        """Append an op with one result."""
        return self.op_node(kind, inputs).output

    def op_node(self, kind: str, inputs: Sequence[Value]) -> Node:
        """Append an op by kind; result types follow from its schema and the inputs' types."""
        schema = self.resolve(kind)
        assert schema is not None, f"unknown op {kind}"
        return self.call_schema(schema, inputs)

    def call_schema(self, schema: OpSchema, inputs: Sequence[Value]) -> Node:
        """Append an op whose inputs, one for each argument, have fitting types."""
        assert len(inputs) == len(schema.arguments), f"{schema}: {len(inputs)} inputs"
        binding: dict[str, Type] = {}
        for argument, value in zip(schema.arguments, inputs, strict=True):
            assert match_type(argument.type, value.type, binding), (
                f"{schema}: {argument.name} is {value.type}"
            )
        outputs = [substitute(r.type, binding) for r in schema.returns]
        return self.node(schema.kind, inputs, outputs, schema=schema)

    def list(self, items: Sequence[Value], element: Type) -> Value:
        """A new list."""
        return self.node("prim::ListConstruct", items, [ListType([element])]).output

    def tuple(self, items: Sequence[Value], type: Type | None = None) -> Value:
        """A tuple, plain unless ``type`` says otherwise."""
        type = type or TupleType([v.type for v in items])
        return self.node("prim::TupleConstruct", items, [type]).output

    def tuple_index(self, value: Value, index: int) -> Value:
        """Element ``index`` of a tuple."""
        assert isinstance(value.type, TupleType)
        element = value.type.elements[index]
        return self.node("prim::TupleIndex", [value], [element], index=index).output

    def cast(self, value: Value, type: Type) -> Value:
        """``value`` as the narrower ``type`` which the caller has proved."""
        if value.type == type:
            return value
        return self.node("prim::unchecked_cast", [value], [type]).output

    def call(self, callee: str, inputs: Sequence[Value], result: Type) -> Value:
        """A call of another function of the program."""
        return self.node("prim::Call", inputs, [result], callee=callee).output

    def if_node(self, condition: Value) -> Node:
        """An If with two empty blocks."""
        node = self.node("prim::If", [condition])
        node.add_block()
        node.add_block()
        return node

    def attributes_of(self, node: Node) -> Mapping[str, Any]:
        """Attributes of ``node``."""
        return node.attributes
