"""Rules on tuples, None and casts."""

from __future__ import annotations

from scriptmode.ir import types as T
from scriptmode.ir.graph import Node, Value
from scriptmode.passes.rewrite import Const, rule


@rule("prim::TupleIndex")
def element_of_new_tuple(node: Node) -> Value | None:
    """prim::TupleIndex[index=1](prim::TupleConstruct(x, y)) -> y"""
    match node.inputs:
        case [Value(Node("prim::TupleConstruct", elements))]:
            element = elements[node.attributes["index"]]
            return element if element.type == node.output.type else None
    return None


@rule("prim::is_none")
def none_by_type(node: Node) -> Const | None:
    """prim::is_none(None) -> True"""
    (x,) = node.inputs
    if x.type == T.NONE:
        return Const(True)
    if isinstance(x.type, T.UnionType) or T.is_optional(x.type):
        return None
    return Const(False)


@rule("prim::unchecked_cast", "prim::checked_cast")
def cast_to_same_type(node: Node) -> Value | None:
    """prim::unchecked_cast(x) -> x, where the types are equal"""
    (x,) = node.inputs
    return x if x.type == node.output.type else None


@rule("prim::unchecked_cast")
def cast_and_back(node: Node) -> Value | None:
    """prim::unchecked_cast(prim::unchecked_cast(x)) -> x, where x has the type of the result"""
    match node.inputs:
        case [Value(Node("prim::unchecked_cast", [x]))]:
            return x if x.type == node.output.type else None
    return None
