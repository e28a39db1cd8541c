"""The type of the place that each input of a node flows into.

A value may be a subtype of its place; the code generator converts the representation there.
"""

from __future__ import annotations

import functools

from scriptmode.ir import types as T
from scriptmode.ir.graph import (
    BREAK,
    CONTINUE,
    LEAVE,
    RETURN,
    YIELD,
    Block,
    Graph,
    Node,
    Program,
    innermost_loop,
    labelled_try,
)
from scriptmode.ir.schema import OpSchema
from scriptmode.ir.types import Type


class Edges:
    """Place types within one function of ``program``."""

    def __init__(self, program: Program, graph: Graph) -> None:
        self.program = program
        self.graph = graph

    @property
    def result_type(self) -> Type:
        """What the function returns; inferred from its exits when the graph does not say."""
        if self.graph.return_type is not None:
            return self.graph.return_type
        returns = [n for n in self.graph.walk() if n.kind == RETURN]
        end = self.graph.block.terminator
        if end.kind == YIELD:
            returns.append(end)
        types = [n.inputs[0].type if n.inputs else T.NONE for n in returns]
        found: Type = types[0] if types else T.NEVER
        for other in types[1:]:
            joined = T.join(found, other)
            assert joined is not None
            found = joined
        return found

    def places(self, node: Node) -> list[Type]:
        """One type for each input of ``node``."""
        find = _RULES.get(node.kind)
        if find is not None:
            return find(self, node)
        if node.schema is not None and not node.schema.is_vararg:
            return schema_places(node)
        return [v.type for v in node.inputs]

    def callee(self, node: Node) -> Graph:
        """The function that a ``prim::Call``, ``Fork`` or ``Defer`` calls."""
        return self.program.functions[node.attributes["callee"]]

    def _cast(self, node: Node) -> list[Type]:
        source, target = node.inputs[0].type, node.output.type
        return [target if T.is_subtype(source, target) else source]

    def _call(self, node: Node) -> list[Type]:
        return [p.type for p in self.callee(node).params]

    def _list(self, node: Node) -> list[Type]:
        t = node.output.type
        element = t.contained[0] if t.contained else T.INT  # Size
        return [element] * len(node.inputs)

    def _tuple(self, node: Node) -> list[Type]:
        return list(node.output.type.contained)

    def _dict(self, node: Node) -> list[Type]:
        return list(node.output.type.contained) * (len(node.inputs) // 2)

    def _set(self, node: Node) -> list[Type]:
        return list(node.output.type.contained) * len(node.inputs)

    def _set_attribute(self, node: Node) -> list[Type]:
        owner = node.inputs[0].type
        assert isinstance(owner, T.ClassType)
        return [owner, owner.attributes[node.attributes["name"]]]

    def _cell(self, node: Node) -> list[Type]:
        t = node.output.type
        assert isinstance(t, T.CellType)
        return [t.element] * len(node.inputs)

    def _set_cell(self, node: Node) -> list[Type]:
        cell = node.inputs[0].type
        assert isinstance(cell, T.CellType)
        return [cell, cell.element]

    def _loop(self, node: Node) -> list[Type]:
        return [T.INT, T.BOOL, *(p.type for p in node.blocks[0].params[1:])]

    def _yield(self, node: Node) -> list[Type]:
        assert node.block is not None
        owner = node.block.owner
        if owner is None:
            return [self.result_type] * len(node.inputs)
        if owner.kind == "prim::Loop":
            return [T.BOOL, *(p.type for p in owner.blocks[0].params[1:])]
        return [o.type for o in owner.outputs]

    def _break(self, node: Node) -> list[Type]:
        return [o.type for o in _loop_of(node.block).outputs]

    def _continue(self, node: Node) -> list[Type]:
        return [T.BOOL, *(p.type for p in _loop_of(node.block).blocks[0].params[1:])]

    def _leave(self, node: Node) -> list[Type]:
        assert node.block is not None
        target = labelled_try(node.block)
        assert target is not None, "Leave in no labelled Try"
        return [o.type for o in target.outputs]

    def _return(self, node: Node) -> list[Type]:
        return [self.result_type] * len(node.inputs)


def _loop_of(block: Block | None) -> Node:
    assert block is not None
    loop = innermost_loop(block)
    assert loop is not None, "Break or Continue outside a Loop"
    return loop


_RULES = {
    "prim::unchecked_cast": Edges._cast,
    "prim::Call": Edges._call,
    "prim::Fork": Edges._call,
    "prim::Defer": Edges._call,
    "prim::ListConstruct": Edges._list,
    "prim::VarTupleConstruct": Edges._list,
    "prim::TupleConstruct": Edges._tuple,
    "prim::DictConstruct": Edges._dict,
    "prim::SetConstruct": Edges._set,
    "prim::SetAttr": Edges._set_attribute,
    "prim::CellConstruct": Edges._cell,
    "prim::CellSet": Edges._set_cell,
    "prim::Loop": Edges._loop,
    YIELD: Edges._yield,
    BREAK: Edges._break,
    CONTINUE: Edges._continue,
    LEAVE: Edges._leave,
    RETURN: Edges._return,
}


def schema_places(node: Node) -> list[Type]:
    """The argument types of an op's schema, its type variables bound as the inputs bind them."""
    assert node.schema is not None
    formal, is_generic = argument_types(node.schema)
    if not is_generic:
        return formal
    binding: dict[str, Type] = {}
    places: list[Type] = []
    for t, value in zip(formal, node.inputs, strict=True):
        T.match_type(t, value.type, binding)
        places.append(T.substitute(t, binding))
    return places


@functools.cache
def argument_types(schema: OpSchema) -> tuple[list[Type], bool]:
    """Types of the arguments, and whether type variables are among them."""
    types = [a.type for a in schema.arguments]
    return types, any(map(T.has_type_var, types))
