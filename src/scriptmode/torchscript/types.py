"""Types as the code of a TorchScript file writes them: ``Optional[List[Tensor]]``."""

from __future__ import annotations

import ast
from collections.abc import Callable

from scriptmode.ir import types as T
from scriptmode.torchscript.sources import CodeFile

# dtypes, layouts and memory formats are ints in that language
_NAMES: dict[str, T.Type] = {
    "Tensor": T.TENSOR, "int": T.INT, "float": T.FLOAT, "bool": T.BOOL, "str": T.STR,
    "complex": T.COMPLEX, "NoneType": T.NONE, "None": T.NONE, "Any": T.ANY, "Device": T.DEVICE,
    "number": T.NUMBER, "Scalar": T.NUMBER, "Generator": T.GENERATOR, "Layout": T.INT,
    "ScalarType": T.INT, "MemoryFormat": T.INT, "Storage": T.STORAGE, "Stream": T.STREAM,
}  # fmt: skip
_MOST_NESTED = 60


def dotted(node: ast.expr) -> list[str] | None:
    """The names of ``a.b.c``; None for other expressions."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    names.append(node.id)
    return names[::-1]


class TypeReader:
    """Makes types of their text; ``named`` gives the type of a class."""

    def __init__(self, named: Callable[[str, CodeFile, ast.expr], T.Type]) -> None:
        self._named = named

    def read(self, node: ast.expr, file: CodeFile, depth: int = 0) -> T.Type:
        """The type that an expression says."""
        if depth > _MOST_NESTED:
            raise file.problem(node, "a type that is nested too deeply")
        if isinstance(node, ast.Constant) and node.value is None:
            return T.NONE
        if isinstance(node, ast.Subscript):
            return self._generic(node, file, depth)
        names = dotted(node)
        if names is None:
            raise file.problem(node, f"`{_shown(node)}` is no type")
        if len(names) == 1:
            found = _NAMES.get(names[0])
            if found is None:
                raise file.problem(node, f"the type {names[0]} is not supported")
            return found
        return self._named(".".join(names), file, node)

    def _generic(self, node: ast.Subscript, file: CodeFile, depth: int) -> T.Type:
        inside = node.slice
        items = inside.elts if isinstance(inside, ast.Tuple) else [inside]
        name = node.value.id if isinstance(node.value, ast.Name) else ""
        parts = [self.read(i, file, depth + 1) for i in items]
        match name, parts:
            case "List", [element]:
                return T.ListType([element])
            case "Optional", [element]:
                return T.optional_of(element)
            case "Dict", [_, _]:
                return T.DictType(parts)
            case "Future", [element]:
                return T.FutureType([element])
            case "Tuple", _:
                return T.TupleType(parts)
            case "Union", [_, *_]:
                return T.union_of(parts)
            case "Final", [element]:
                return element
        raise file.problem(node, f"the type `{_shown(node)}` is not supported")


def _shown(node: ast.AST) -> str:
    try:
        return ast.unparse(node)[:80]
    except RecursionError:
        return "..."
