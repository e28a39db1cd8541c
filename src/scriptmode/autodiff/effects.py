"""What a program does besides giving a result: text that it prints, attributes that it writes.

A second derivative runs the program once more, without its messages; what it did before must then
be undone.  ``effects_of(graph)`` says what that is; ``check_effects`` refuses the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from scriptmode.autodiff.problems import NotDifferentiable
from scriptmode.ir import types as T
from scriptmode.ir.graph import Block, Graph, Node, Value

Names = tuple[str, ...]  # from the function's module to an attribute
_PLAIN = (T.INT, T.FLOAT, T.BOOL, T.COMPLEX, T.STR, T.NONE)


@dataclass
class Effects:
    """The effects of one program."""

    prints: bool = False
    assigned: list[Names] = field(default_factory=list)  # attributes that are no tensors

    @property
    def is_any(self) -> bool:
        """Whether there are any."""
        return self.prints or bool(self.assigned)


def effects_of(graph: Graph) -> Effects:
    """The effects of a program that has been checked."""
    found = Effects()
    for node in graph.walk():
        if node.kind == "prim::print":
            found.prints = True
        elif node.kind == "prim::SetAttr":
            names = _assigned(node)
            if names is not None and names not in found.assigned:
                found.assigned.append(names)
    return found


def drop_messages(graph: Graph) -> None:
    """Take out what prints or warns."""
    for node in [*graph.find_all("prim::print"), *graph.find_all("prim::warn")]:
        node.erase()


def is_undone(node: Node) -> bool:
    """Whether a ``prim::print`` or ``prim::SetAttr`` is an effect that may happen again."""
    return node.kind == "prim::print" or (
        _assigned(node) is not None and T.unwrap_optional(node.inputs[1].type) in _PLAIN
    )


def _assigned(node: Node) -> Names | None:
    """The attribute of the function's module, or of one inside it, that a node assigns."""
    if node.kind != "prim::SetAttr":
        return None
    owner, name = node.inputs[0], node.attributes["name"]
    t = owner.type
    if not (isinstance(t, T.ClassType) and t.is_module) or name in t.late:
        return None
    names = module_path(owner)
    return None if names is None else (*names, name)


def module_path(value: Value) -> Names | None:
    """The attribute names from the function's module to ``value``."""
    names: list[str] = []
    while value.node is not None:
        if value.node.kind != "prim::GetAttr":
            return None
        names.append(value.node.attributes["name"])
        (value,) = value.node.inputs
    t = value.type
    is_self = isinstance(t, T.ClassType) and t.is_module and isinstance(value.definition, Block)
    return tuple(reversed(names)) if is_self else None


def drop_same_assignments(graph: Graph) -> None:
    """Drop ``self.n += 1`` 's assignment: the tensor that was written in place is the same one."""
    for node in list(graph.find_all("prim::SetAttr")):
        if len(list(_assignments(graph, node))) == 1 and _is_written_self(node):
            node.erase()


def _assignments(graph: Graph, node: Node) -> Iterator[Node]:
    """What may assign the same attribute."""
    for other in graph.find_all("prim::SetAttr"):
        if other.attributes["name"] == node.attributes["name"]:
            yield other


def _is_written_self(node: Node) -> bool:
    owner, value = node.inputs
    path = module_path(owner)
    name = node.attributes["name"]
    if path is None or value.type != T.TENSOR:
        return False
    while value.node is not None and _is_write(value.node):
        value = value.node.inputs[0]
    made = value.node
    if made is None or made.kind != "prim::GetAttr" or made.attributes["name"] != name:
        return False
    return module_path(made.inputs[0]) == path


def _is_write(node: Node) -> bool:
    schema = node.schema
    if schema is None or not node.kind.startswith("aten::") or not schema.arguments:
        return False
    first = schema.arguments[0].alias
    return node.kind.partition(".")[0].endswith("_") and first is not None and first.is_write


def check_effects(node: Node, is_repeated: bool) -> None:
    """Refuse an effect that cannot be undone; none may be in what runs twice anyway."""
    if node.kind not in ("prim::print", "prim::SetAttr", "prim::DelAttr"):
        return
    if is_repeated or not is_undone(node):
        raise NotDifferentiable(f"{node.kind} is an effect besides the result", node.span)
