"""Put a value in another's place whose type may be wider.

A value of type ``Optional[int]`` may turn out to be None once a branch is decided.  What is then
never reached, though it is still there, may cast that value to int: such a cast keeps its operand
of the wide type::

    %w: Optional[int] = prim::unchecked_cast(%none)
    %i: int = prim::unchecked_cast(%w)
"""

from __future__ import annotations

from scriptmode.ir import types as T
from scriptmode.ir.graph import Node, Value

_CASTS = ("prim::unchecked_cast", "prim::checked_cast")


def replace_with(node: Node, *values: Value) -> None:
    """Make users of the outputs take ``values``, then erase the node."""
    for output, value in zip(node.outputs, values, strict=True):
        replace_uses(output, value)
    node.erase()


def replace_uses(output: Value, value: Value) -> None:
    """Make every user of ``output`` take ``value`` instead."""
    for use in output.uses:
        fits = _fits(value, use.node)
        use.node.set_input(use.index, value if fits else _widened(value, output.type, use.node))


def for_users_of(param: Value, argument: Value, call: Node) -> Value:
    """``argument``, as all users of ``param`` can take it when they stand in place of ``call``."""
    if all(_fits(argument, use.node) for use in param.uses):
        return argument
    return _widened(argument, param.type, call)


def _fits(value: Value, user: Node) -> bool:
    if user.kind not in _CASTS:
        return True
    a, b = value.type, user.output.type
    return T.is_subtype(a, b) or T.is_subtype(b, a)


def _widened(value: Value, t: T.Type, user: Node) -> Value:
    cast = Node("prim::unchecked_cast", [value], [t], span=user.span, scope=user.scope)
    return cast.insert_before(user).output
