"""The entrance: a TorchScript file to a module and the program of its methods.

The order is that of torch: constants, then the module's state, then the code that it names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from scriptmode.archive.container import Archive
from scriptmode.ir import types as T
from scriptmode.ir.graph import Program
from scriptmode.ir.verifier import verify_program
from scriptmode.ops.aten import schema_of
from scriptmode.support.diagnostics import ArchiveError, ScriptError
from scriptmode.torchscript.objects import ObjectMaker
from scriptmode.torchscript.pickles import Instance, PickleProblem, PickleReader
from scriptmode.torchscript.sources import Sources
from scriptmode.torchscript.tensors import TensorMaker
from scriptmode.torchscript.unit import Unit
from scriptmode.torchscript.upgraders import NEWEST, OLDEST

_DEFECTS = (
    ArithmeticError, AssertionError, AttributeError, LookupError, NotImplementedError,
    RecursionError, RuntimeError, TypeError, ValueError,
)  # fmt: skip
_SPECIAL = frozenset(["__init__", "__len__", "__contains__", "__getitem__"])


@dataclass(frozen=True)
class Loaded:
    """What a file holds: a module, its program, and the functions of its methods."""

    root: torch.nn.Module
    program: Program
    methods: dict[str, str]


def read_torchscript(archive: Archive, map_location: torch.device | None) -> Loaded:
    """The module of a TorchScript file, and its methods; raises ArchiveError."""
    reader = _Reader(archive, map_location)
    try:
        return reader.read()
    except ArchiveError:
        raise
    except ScriptError as error:
        raise reader.problem(str(error), reader.place) from error
    except _DEFECTS as error:
        what = f"{type(error).__name__}: {error}"[:300]
        raise reader.problem(what, reader.place) from error


class _Reader:
    def __init__(self, archive: Archive, map_location: torch.device | None) -> None:
        self.archive = archive
        self.map_location = map_location
        self.unit: Unit | None = None
        marks = [n for n in archive.names if n.count("/") == 1]
        self.prefix = next(
            (n.removesuffix("constants.pkl") for n in marks if n.endswith("/constants.pkl")), ""
        )

    def problem(self, what: str, where: str = "") -> Exception:
        """The error that names the file, and a place in it."""
        return self.archive.problem(what, where)

    @property
    def place(self) -> str:
        """What was read last."""
        return "code" if self.unit is None else self.unit.place

    def read(self) -> Loaded:
        """Everything."""
        if not self.prefix:
            raise self.problem("a TorchScript file of before torch 1.4, which is not supported")
        self._check_byte_order()
        version = self._version()
        constants = self._pickle("constants")
        if not isinstance(constants, tuple):
            raise self.problem("no tuple", f"{self.prefix}constants.pkl")
        data = self._pickle("data")
        sources = Sources(self.archive, self.prefix)
        self.unit = unit = Unit(sources, constants, version, self._problem_inside)
        objects = ObjectMaker(unit.classes, self._problem_inside)
        if not isinstance(data, Instance) or not objects.is_module(data):
            raise self.problem("no module", f"{self.prefix}data.pkl")
        root = objects.root(data)
        own = objects.module_type(data)
        self._compile(unit, own)
        unit.program.self_object = root
        if not own.methods:
            raise self.problem(f"{own.name} has no methods", f"{self.prefix}code")
        unit.program.root = own.methods.get("forward") or next(iter(own.methods.values()))
        verify_program(unit.program, schema_of)
        return Loaded(root, unit.program, dict(own.methods))

    def _problem_inside(self, what: str, where: str) -> Exception:
        return self.problem(what, self.prefix + where)

    def _compile(self, unit: Unit, own: T.ClassType) -> None:
        declared = unit.classes.declaration(own)
        assert declared is not None
        for name in declared.methods:
            if name not in _SPECIAL:
                own.methods[name] = unit.method(own, name)
        unit.finish()

    def _check_byte_order(self) -> None:
        entry = f"{self.prefix}byteorder"
        if entry in self.archive and self.archive.read(entry) != b"little":
            raise self.problem("numbers in another byte order than little", entry)

    def _version(self) -> int:
        """The version of the ops' meaning, from where this file has it."""
        for entry in (f"{self.prefix}.data/version", f"{self.prefix}version"):
            if entry in self.archive:
                text = self.archive.read(entry).strip()
                if not text.isdigit() or len(text) > 4:
                    raise self.problem(f"no version: {text[:40]!r}", entry)
                version = int(text)
                if version > NEWEST:
                    what = f"version {version} is newer than {NEWEST}, the newest known here"
                    raise self.problem(what, entry)
                if version < OLDEST:
                    raise self.problem(f"version {version} is too old", entry)
                return version
        raise self.problem("it is missing", f"{self.prefix}version")

    def _pickle(self, name: str) -> Any:
        tensors = TensorMaker(self.archive, self.prefix + name, self.map_location)
        make: Callable[..., Any] = tensors.make
        entry = f"{self.prefix}{name}.pkl"
        try:
            return PickleReader(self.archive.read(entry), make).read()
        except PickleProblem as problem:
            raise self.problem(str(problem), entry) from None


__all__ = ["Loaded", "read_torchscript"]
