"""The classes of a TorchScript file: their types here, and the Python classes that stand for them.

Modules get a type for each way in which their attributes are typed, as in the front ends; an
interface is a base class of those that have its methods.
"""

from __future__ import annotations

import ast
import enum
import hashlib
from collections.abc import Mapping
from typing import Any

from scriptmode.archive.classes import ClassReader, found_statically
from scriptmode.ir import types as T
from scriptmode.ir.enumerations import enum_type
from scriptmode.ir.graph import Program
from scriptmode.torchscript.constants import NOT_CONSTANT, constant_of
from scriptmode.torchscript.sources import ClassDeclaration, CodeFile, Sources
from scriptmode.torchscript.types import TypeReader

_BASES = {"module": "torch.nn.modules.module:Module", "enum": "enum:Enum"}
_MANGLED = "___torch_mangle_"
_BUSY: Any = object()


class ClassTable:
    """All classes of one file, by qualified name."""

    def __init__(self, sources: Sources, program: Program, problem: Any) -> None:
        self.sources = sources
        self.program = program
        self._problem = problem
        self.types = TypeReader(self._named)
        self._by_name: dict[str, Any] = {}
        self._python: dict[str, type] = {}
        self._modules: dict[Any, T.ClassType] = {}
        self._declared: dict[T.Type, ClassDeclaration] = {}

    def declaration(self, t: T.Type) -> ClassDeclaration | None:
        """What the code says of a class type."""
        return self._declared.get(t)

    def named(self, qualified: str) -> T.Type:
        """The type of instances of a class that is no module."""
        found = self._by_name.get(qualified)
        if found is _BUSY:
            raise self._problem(f"{qualified} contains itself", "code")
        if found is None:
            declared = self.sources.class_(qualified)
            if declared.kind in ("class", "interface"):
                found = self._class(declared)
            elif declared.kind == "enum":
                found = enum_type(self.python_class(qualified))
                self.program.enums[found.name] = found
            elif declared.kind == "named tuple":
                self._by_name[qualified] = _BUSY
                found = self._named_tuple(declared)
            else:
                raise declared.file.problem(declared.node, f"{qualified} is a module's class")
            self._by_name[qualified] = found
            self._declared[found] = declared
        assert isinstance(found, T.Type)
        return found

    def _named(self, qualified: str, file: CodeFile, node: ast.expr) -> T.Type:
        if not qualified.startswith("__torch__."):
            raise file.problem(node, f"the type {qualified} is not supported")
        if qualified.startswith("__torch__.torch.classes."):
            raise file.problem(node, f"{qualified}, a class of C++, is not supported")
        declared = self.sources.class_(qualified)
        if declared.kind.startswith("module"):
            types = [t for t, d in self._declared.items() if d is declared]
            if len(types) != 1:
                raise file.problem(node, f"a value that is a module, {qualified}")
            return types[0]
        return self.named(qualified)

    def python_class(self, qualified: str) -> type:
        """The Python class that stands for one of the file's."""
        found = self._python.get(qualified)
        if found is None:
            found = self._python[qualified] = self._made(self.sources.class_(qualified))
        return found

    def _made(self, declared: ClassDeclaration) -> type:
        own = _users_class(declared)
        if own is not None:
            return own
        folder, _, name = declared.name.rpartition(".")
        digest = hashlib.sha256(ast.dump(declared.node).encode()).hexdigest()
        rows: list[dict[str, Any]] = []
        base = _BASES.get(declared.kind)
        if base is not None:
            rows.append({"name": base})
        # the hash keeps classes of equal names and other code apart
        row: dict[str, Any] = {"name": f"{folder}:{name}", "hash": digest, "kind": "class"}
        if declared.kind == "module":
            row |= {"kind": "module", "bases": [0]}
        elif declared.kind == "enum":
            row |= {"kind": "enum", "bases": [0], "members": _members(declared)}
        elif declared.kind == "named tuple":
            row |= {"kind": "namedtuple", "fields": list(declared.attributes)}
        else:
            row["bases"] = []
        rows.append(row)
        return ClassReader(rows, self._problem).get(len(rows) - 1)

    def _class(self, declared: ClassDeclaration) -> T.ClassType:
        t = T.ClassType(declared.name)
        t.python_class = self.python_class(declared.name)
        self.program.classes[declared.name] = t
        self._by_name[declared.name] = t  # a field may be of its own class
        for name, annotation in declared.attributes.items():
            t.attributes[name] = self.types.read(annotation, declared.file)
        if declared.kind == "interface":
            self._find_implementations(t, declared)
        return t

    def _named_tuple(self, declared: ClassDeclaration) -> T.NamedTupleType:
        fields = declared.attributes
        parts = [self.types.read(a, declared.file) for a in fields.values()]
        found = T.NamedTupleType(
            declared.name, list(fields), parts, self.python_class(declared.name)
        )
        self.program.named_tuples[declared.name] = found
        return found

    def module_type(
        self, declared: ClassDeclaration, attributes: Mapping[str, T.Type], constants: Any
    ) -> T.ClassType:
        """The type of modules of a class whose attributes are of these types."""
        key = (declared.name, tuple(attributes.items()), tuple(constants))
        found = self._modules.get(key)
        if found is None:
            number, name = 0, declared.name
            while name in self.program.classes:
                number += 1
                name = f"{declared.name}.{number}"
            found = T.ClassType(
                name, is_module=True, original_name=declared.name.rpartition(".")[2]
            )
            found.attributes = dict(attributes)
            tensors = {n for n, t in attributes.items() if t == T.TENSOR}
            found.parameters = tensors & declared.parameters
            found.buffers = {n for n in tensors - declared.parameters if declared.is_buffer(n)}
            found.constants = dict(constants)
            found.python_class = self.python_class(declared.name)
            self.program.classes[name] = self._modules[key] = found
            self._declared[found] = declared
        return found

    def _find_implementations(self, interface: T.ClassType, declared: ClassDeclaration) -> None:
        """Make every class of the file that has the interface's methods a subclass of it."""
        wanted = {n: len(m.args.args) for n, m in declared.methods.items()}
        for other in self.sources.all_classes():
            counts = {n: len(m.args.args) for n, m in other.methods.items()}
            if other.kind == "class" and wanted.items() <= counts.items():
                t = self.named(other.name)
                assert isinstance(t, T.ClassType)
                t.bases.append(interface)

    def finish(self) -> None:
        """Link the classes that interfaces join, and give each family of them its slots."""
        classes = [t for t in self.program.classes.values() if not t.is_module]
        T.link_families(classes)
        seen: set[T.Type] = set()
        for first in classes:
            family, pending = [], [first]
            while pending:
                t = pending.pop()
                if t not in seen:
                    seen.add(t)
                    family.append(t)
                    pending += [*t.ancestors, *t.subclasses]
            slots: list[T.Type] = []
            for t in family:
                t.slots = {n: len(slots) + i for i, n in enumerate(t.attributes)}
                slots += t.attributes.values()
            for t in family:
                t.family = slots


def _users_class(declared: ClassDeclaration) -> type | None:
    """The user's own named tuple or enumeration, if one like it is loaded here."""
    parts = [p for p in declared.name.split(".")[1:] if not p.startswith(_MANGLED)]
    module = ".".join(parts[:-1]) or "__main__"
    found = found_statically(f"{module}:{parts[-1]}")
    if not isinstance(found, type):
        return None
    if declared.kind == "named tuple" and issubclass(found, tuple):
        return found if getattr(found, "_fields", None) == tuple(declared.attributes) else None
    if declared.kind == "enum" and issubclass(found, enum.Enum):
        values = {n: m.value for n, m in found.__members__.items()}
        wanted = {n: constant_of(v) for n, v in declared.constants.items()}
        return found if values == wanted and list(values) == list(wanted) else None
    return None


def _members(declared: ClassDeclaration) -> dict[str, Any]:
    found = {}
    for name, node in declared.constants.items():
        value = constant_of(node)
        if not isinstance(value, (int, float, str)):
            raise declared.file.problem(node, f"`{name}` has no value that a member can have")
        found[name] = {"f": value.hex()} if type(value) is float else value
    return found


def static_values(declared: ClassDeclaration) -> dict[str, Any]:
    """The constants of a class whose values are plain."""
    values = {n: constant_of(v) for n, v in declared.constants.items()}
    for name, node in declared.constants.items():
        if values[name] is NOT_CONSTANT and isinstance(node, (ast.List, ast.Tuple)):
            items = tuple(constant_of(i) for i in node.elts)
            if NOT_CONSTANT not in items:
                values[name] = items
    return {n: v for n, v in values.items() if v is not NOT_CONSTANT}
