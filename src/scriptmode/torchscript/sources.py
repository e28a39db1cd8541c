"""The code of a TorchScript file: its declarations by qualified name.

The class ``__torch__.shop.Cart`` is ``Cart`` in ``code/__torch__/shop.py``.  The text is parsed,
never compiled or run.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass

from scriptmode.archive.container import Archive
from scriptmode.support.source import Span

_MOST_BYTES = 16 << 20
_KINDS = {
    "Module": "module", "NamedTuple": "named tuple", "Enum": "enum", "Interface": "interface",
    "ModuleInterface": "module interface",
}  # fmt: skip
_TOO_DEEP = (SyntaxError, ValueError, MemoryError, RecursionError)


@dataclass(frozen=True)
class CodeFile:
    """One file of code: the entry it lies in, and what it declares."""

    archive: Archive
    entry: str
    declarations: Mapping[str, ast.ClassDef | ast.FunctionDef]

    def problem(self, node: ast.AST | None, what: str) -> Exception:
        """The error that names the file, the entry and the place in it."""
        line = getattr(node, "lineno", None)
        where = self.entry if line is None else f"{self.entry}, line {line}"
        return self.archive.problem(what, where)

    def span(self, node: ast.AST, function: str) -> Span:
        """Where a node stands."""
        return Span(
            f"{self.archive.name}/{self.entry}",
            getattr(node, "lineno", 0),
            getattr(node, "col_offset", 0),
            getattr(node, "end_lineno", 0) or 0,
            getattr(node, "end_col_offset", 0) or 0,
            function,
        )


@dataclass(frozen=True)
class FunctionDeclaration:
    """A function of the code."""

    name: str
    file: CodeFile
    node: ast.FunctionDef


@dataclass(frozen=True)
class ClassDeclaration:
    """A class of the code: its kind, and its members in the order of the text.

    ``attributes`` are those with a type, ``constants`` those with a value (and a type that says
    ``Final``).  Old files do not say which tensors are ``buffers``: all that are no parameters.
    """

    name: str
    file: CodeFile
    node: ast.ClassDef
    kind: str
    attributes: Mapping[str, ast.expr]
    constants: Mapping[str, ast.expr]
    parameters: frozenset[str]
    buffers: frozenset[str] | None
    methods: Mapping[str, ast.FunctionDef]
    pre_hooks: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()

    def is_buffer(self, name: str) -> bool:
        """Whether a tensor by this name is a buffer."""
        if self.buffers is None:
            return name not in self.parameters
        return name in self.buffers


class Sources:
    """All code of a file; a file of it is parsed when it is first asked for."""

    def __init__(self, archive: Archive, prefix: str) -> None:
        self._archive = archive
        self._prefix = prefix
        self._files: dict[str, CodeFile | None] = {}
        self._found: dict[str, ClassDeclaration | FunctionDeclaration | None] = {}

    def find(self, qualified: str) -> ClassDeclaration | FunctionDeclaration | None:
        """The declaration by this name."""
        if qualified not in self._found:
            self._found[qualified] = self._find(qualified)
        return self._found[qualified]

    def all_classes(self) -> list[ClassDeclaration]:
        """Every class that some file declares."""
        begin, found = f"{self._prefix}code/", []
        for entry in self._archive.names:
            if entry.startswith(begin) and entry.endswith(".py"):
                folder = entry[len(begin) : -len(".py")].replace("/", ".")
                file = self._file(folder)
                for name, node in (file.declarations if file is not None else {}).items():
                    declared = self.find(f"{folder}.{name}")
                    if isinstance(node, ast.ClassDef) and isinstance(declared, ClassDeclaration):
                        found.append(declared)
        return found

    def class_(self, qualified: str) -> ClassDeclaration:
        """The class by this name, which must be there."""
        found = self.find(qualified)
        if not isinstance(found, ClassDeclaration):
            raise self._archive.problem(f"there is no class {qualified}", f"{self._prefix}code")
        return found

    def _find(self, qualified: str) -> ClassDeclaration | FunctionDeclaration | None:
        folder, _, name = qualified.rpartition(".")
        file = self._file(folder)
        node = file.declarations.get(name) if file is not None else None
        if file is None or node is None:
            return None
        if isinstance(node, ast.FunctionDef):
            return FunctionDeclaration(qualified, file, node)
        return _class(qualified, file, node)

    def _file(self, folder: str) -> CodeFile | None:
        if folder not in self._files:
            entry = f"{self._prefix}code/{folder.replace('.', '/')}.py"
            found = self._parsed(entry) if folder and entry in self._archive else None
            self._files[folder] = found
        return self._files[folder]

    def _parsed(self, entry: str) -> CodeFile:
        data = self._archive.read(entry)
        if len(data) > _MOST_BYTES:
            raise self._archive.problem(f"it has {len(data)} bytes", entry)
        try:
            tree = ast.parse(data.decode())
        except UnicodeDecodeError as error:
            raise self._archive.problem(str(error), entry) from None
        except _TOO_DEEP as error:
            line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
            raise self._archive.problem(f"no code: {error}"[:200], entry + line) from None
        declarations: dict[str, ast.ClassDef | ast.FunctionDef] = {}
        for node in tree.body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                if node.name in declarations:
                    raise self._archive.problem(f"`{node.name}` is declared twice", entry)
                declarations[node.name] = node
        return CodeFile(self._archive, entry, declarations)


def _class(qualified: str, file: CodeFile, node: ast.ClassDef) -> ClassDeclaration:
    kind = "class"
    for base in node.bases:
        kind = _KINDS.get(base.id, "") if isinstance(base, ast.Name) else ""
    if not kind or len(node.bases) > 1:
        raise file.problem(node, f"class {node.name} has an unknown base")
    attributes: dict[str, ast.expr] = {}
    constants: dict[str, ast.expr] = {}
    names: dict[str, tuple[str, ...]] = {}
    methods: dict[str, ast.FunctionDef] = {}
    for member in node.body:
        match member:
            case ast.FunctionDef():
                methods[member.name] = member
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=None):
                attributes[name] = annotation
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                constants[name] = value
            case ast.Assign(
                targets=[ast.Subscript(value=ast.Name("__annotations__"), slice=ast.Constant(name))]
            ) if isinstance(name, str):
                attributes[name] = member.value
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.List(elts=items)):
                names[name] = tuple(
                    i.value for i in items if isinstance(i, ast.Constant) and type(i.value) is str
                )
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                constants[name] = value
            case ast.Pass():
                pass
            case _:
                raise file.problem(member, f"class {node.name} has an unknown member")
    buffers = names.get("__buffers__")
    return ClassDeclaration(
        qualified, file, node, kind, attributes, constants,
        frozenset(names.get("__parameters__", ())),
        None if buffers is None else frozenset(buffers), methods,
        names.get("__forward_pre_hooks__", ()), names.get("__forward_hooks__", ()),
    )  # fmt: skip


def decoded(text: str) -> str:
    """A text literal of the code, whose escapes are bytes of UTF-8."""
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text
