"""Programs in an archive: the IR's text, in which every Python object is a name of the manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from scriptmode.archive.problems import not_saved
from scriptmode.archive.read_values import ValueReader
from scriptmode.archive.value_kinds import Json
from scriptmode.archive.values import ValueWriter
from scriptmode.ir.graph import Program
from scriptmode.ir.literals import LiteralWriter, ObjectReference, TensorReader, import_path
from scriptmode.ir.parser import parse_program
from scriptmode.ir.printer import PrintOptions, print_program
from scriptmode.ir.verifier import verify_program
from scriptmode.ops.aten import schema_of
from scriptmode.support.diagnostics import ScriptError

_FULL = PrintOptions(spans="full")


class NamedObjects(LiteralWriter):
    """Writes Python objects by the names under which the archive has them."""

    def __init__(self, values: ValueWriter) -> None:
        super().__init__()
        self.names: dict[str, Json] = {}
        self._values = values
        self._known: dict[int, str] = {}
        self._kept: list[Any] = []

    def scan(self, value: Any) -> None:
        """Nothing: tensors are no part of the text."""

    def reference(self, value: Any) -> str:
        """Text of an object that is known by its name."""
        if isinstance(value, ObjectReference):
            raise not_saved(f"a program that has lost {value.name}")
        return self._named(value, import_path(value))

    def _tensor(self, value: torch.Tensor) -> str:
        return self._named(value, "tensor")

    def _named(self, value: Any, name: str) -> str:
        if id(value) not in self._known:
            number, unique = 0, name
            while unique in self.names:
                number += 1
                unique = f"{name}#{number}"
            self.names[unique] = self._values.encode(value, name.replace(":", "."))
            self._known[id(value)] = unique
            self._kept.append(value)
        return f"local({self._known[id(value)]!r})"


class _Objects(Mapping[str, Any]):
    """The objects of an archive by name, made when the text names them."""

    def __init__(self, codes: Mapping[str, Json], values: ValueReader) -> None:
        self._codes, self._values = codes, values

    def __contains__(self, name: object) -> bool:
        return True  # nothing is looked for anywhere else

    def __getitem__(self, name: str) -> Any:
        if name not in self._codes:
            raise ValueError(f"the archive has nothing by the name of {name!r}")
        return self._values.decode(self._codes[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._codes)

    def __len__(self) -> int:
        return len(self._codes)


class _NoTensors(TensorReader):
    """Refuses tensors that are written out: an archive has its own place for them."""

    def build(self, parts: list[Any], options: dict[str, Any]) -> torch.Tensor:
        """Raise ValueError."""
        raise ValueError("tensors are no part of a program's text")


def program_text(program: Program, objects: NamedObjects) -> str:
    """The text of a program whose objects are entered in ``objects``."""
    if any(program.known.values()) or program.results:
        raise not_saved(
            f"{program.root}, which takes or returns functions, classes or modules",
            help="save a function or module that calls it",
        )
    return print_program(program, _FULL, objects) + "\n"


def read_program(
    text: str, names: Mapping[str, Json], values: ValueReader, problem: Any, where: str
) -> Program:
    """The program in ``text``, which is sound; ``problem`` makes the errors."""
    try:
        objects = _Objects(names, values)
        program = parse_program(text, schema_of, objects=objects, tensors=_NoTensors())
        verify_program(program, schema_of)
    except ScriptError as error:
        raise problem(str(error), where) from None
    except (
        ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError, RuntimeError,
        SyntaxError, TypeError, ValueError,
    ) as error:  # fmt: skip
        raise problem(f"no program: {error!r}"[:300], where) from None
    return program
