"""The Python classes of a program, by name, shape and a hash of their code.

A class of Python or torch itself is known by its name.  One of the user's is looked for among the
modules that are loaded, never imported; where it is not there, or its code is another one, a
class of the same name and fields is made::

    {"name": "shop:Item", "kind": "dataclass", "fields": ["price"], "hash": "9f…", "bases": []}
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
import sys
import types
from collections.abc import Mapping
from typing import Any

import torch

from scriptmode.archive.made_classes import make_class
from scriptmode.archive.problems import not_saved

_OURS = (
    "builtins", "collections", "enum", "numbers", "scriptmode", "torch", "types", "typing",
)  # fmt: skip
_PARAMS = ("eq", "order", "frozen", "repr", "unsafe_hash")


def is_ours(module: str) -> bool:
    """Whether the module belongs to Python or torch, so that its classes are the same here."""
    return module.partition(".")[0] in _OURS


def found_statically(name: str) -> Any:
    """What ``module:path`` names among the loaded modules, found without running anything."""
    module_name, _, path = name.partition(":")
    found: Any = sys.modules.get(module_name)
    for part in path.split("."):
        names = getattr(found, "__dict__", None) if isinstance(
            found, (types.ModuleType, type)
        ) else None  # fmt: skip
        if names is None or part not in names:
            return None
        found = names[part]
    return found


def class_name(cls: type) -> str:
    """``module:path`` by which a class calls itself."""
    return f"{cls.__module__}:{cls.__qualname__}"


class ClassTable:
    """The classes of an archive that is written, each once, bases first."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self._numbers: dict[type, int] = {}

    def number(self, cls: type) -> int:
        """The row of a class."""
        found = self._numbers.get(cls)
        if found is None:
            row = self._row(cls)
            found = self._numbers[cls] = len(self.rows)
            self.rows.append(row)
        return found

    def _row(self, cls: type) -> dict[str, Any]:
        row: dict[str, Any] = {"name": class_name(cls)}
        if is_ours(cls.__module__) and found_statically(row["name"]) is cls:
            return row
        row["bases"] = [self.number(b) for b in cls.__bases__ if b is not object]
        made_from = _rows.get(cls)
        if made_from is not None:
            return {n: row.get(n, v) for n, v in made_from.items()}
        row["hash"] = _hash(cls)
        if issubclass(cls, enum.Enum):
            row["kind"] = "enum"
            row["members"] = {n: _plain(m.value, cls) for n, m in cls.__members__.items()}
        elif issubclass(cls, tuple) and hasattr(cls, "_fields"):
            row |= {"kind": "namedtuple", "fields": list(cls._fields)}
            del row["bases"]
        elif dataclasses.is_dataclass(cls):
            params = cls.__dataclass_params__  # type: ignore[attr-defined]
            row |= {
                "kind": "dataclass",
                "fields": [f.name for f in dataclasses.fields(cls)],
                "params": {n: getattr(params, n) for n in _PARAMS},
            }
        elif issubclass(cls, torch.nn.Module):
            row["kind"] = "module"
        else:
            row["kind"] = "class"
        return row


def _plain(value: Any, cls: type) -> Any:
    """The value of a member of an enumeration."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise not_saved(f"the enumeration {cls.__qualname__}, which has values of other types than"
                        " int, float and str")  # fmt: skip
    return value if isinstance(value, (int, str)) else {"f": value.hex()}


def _hash(cls: type) -> str:
    """A hash of what a class and the user's classes above it say: names, values and code."""
    digest = hashlib.sha256()
    for base in cls.__mro__:
        if not is_ours(base.__module__):
            for name, value in sorted(vars(base).items()):
                if name not in _UNSAID:
                    digest.update(f"{base.__qualname__}.{name}={_said(value)}\0".encode())
    return digest.hexdigest()


_UNSAID = frozenset(["__dict__", "__doc__", "__module__", "__weakref__", "__firstlineno__"])


def _said(value: Any) -> str:
    """What stands for a value in a class: the code of a function, the text of a constant."""
    function = getattr(value, "fget", None) or getattr(value, "__func__", value)
    code = getattr(function, "__code__", None)
    if isinstance(code, types.CodeType):
        return _code_text(code)
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(_said, value))}]"
    if value is None or type(value) in (bool, int, float, complex, str, bytes):
        return repr(value)
    return type(value).__qualname__


def _code_text(code: types.CodeType) -> str:
    consts = [_code_text(c) if isinstance(c, types.CodeType) else _said(c) for c in code.co_consts]
    return repr((code.co_code.hex(), code.co_names, code.co_varnames, consts))


_made: dict[str, type] = {}  # classes that were made, so that two loads give one class
_rows: dict[type, Mapping[str, Any]] = {}  # what they were made from


class ClassReader:
    """The classes of an archive; ``problem`` makes the errors."""

    def __init__(self, rows: Any, problem: Any) -> None:
        if not isinstance(rows, list) or not all(isinstance(r, dict) for r in rows):
            raise problem("`classes` is no list of objects", "manifest.json")
        self._rows = rows
        self._problem = problem
        self._found: list[type] = []
        for number, row in enumerate(rows):
            self._found.append(self._class(number, row))

    def get(self, number: Any) -> type:
        """The class of a row."""
        if type(number) is not int or not 0 <= number < len(self._found):
            raise self._problem(f"there is no class {number!r}", "manifest.json")
        return self._found[number]

    def is_users(self, number: int) -> bool:
        """Whether the class is none of Python or torch."""
        return "kind" in self._rows[number]

    def _class(self, number: int, row: Mapping[str, Any]) -> type:
        name = row.get("name")
        if not isinstance(name, str) or name.count(":") != 1:
            raise self._problem(f"class {number} has no name", "manifest.json")
        found = found_statically(name)
        if "kind" not in row:
            if not isinstance(found, type) or not is_ours(name.partition(":")[0]):
                raise self._problem(f"there is no class {name} here", "manifest.json")
            return found
        if isinstance(found, type) and _hash(found) == row.get("hash"):
            return found
        bases = row.get("bases", [])
        if not isinstance(bases, list) or any(type(b) is not int or b >= number for b in bases):
            raise self._problem(f"class {number} has no bases", "manifest.json")
        parents = tuple(self.get(b) for b in bases)
        key = json.dumps([row, [class_name(p) + str(id(p)) for p in parents]], sort_keys=True)
        if key not in _made:
            try:
                _made[key] = make_class(row, parents)
            except (TypeError, ValueError, AttributeError, KeyError, RecursionError) as error:
                raise self._problem(f"class {name}: {error}", "manifest.json") from None
            _rows[_made[key]] = row
        return _made[key]
