"""Python values in the manifest of an archive: what programs and modules hold.

Numbers, strings and None stand for themselves; ``{"f": ...}`` is a float.  Everything else is a row
of a list, ``{"r": 3}``, so that what is one object in two places is one object again, and objects
may hold themselves::

    [{"t": "list", "v": [1, {"r": 1}]}, {"t": "dict", "k": ["a"], "v": [{"r": 0}]}]
"""

from __future__ import annotations

import base64
import collections
import enum
from collections.abc import Callable, Mapping
from typing import Any

import torch

from scriptmode.archive.classes import (
    ClassTable,
    class_name,
    found_statically,
    is_ours,
)
from scriptmode.archive.problems import not_saved
from scriptmode.archive.value_kinds import (
    BASES,
    DICTS,
    FUNCTIONS,
    HEAP_TYPE,
    IMMUTABLE,
    INT,
    NAMED,
    SEQUENCES,
    SETS,
    Json,
    float_text,
    function_name,
    may_be_called,
)
from scriptmode.archive.weights import TensorTable


class ValueWriter:
    """The values of an archive that is written.

    ``modules`` tells what is to be kept of a module: its attributes, by name.  ``eager`` gives the
    module that stands for one that is compiled.
    """

    def __init__(
        self,
        modules: Callable[[torch.nn.Module], Mapping[str, Any]],
        eager: Callable[[torch.nn.Module], torch.nn.Module],
    ) -> None:
        self.rows: list[dict[str, Json]] = []
        self.tensors = TensorTable()
        self.classes = ClassTable()
        self._modules = modules
        self._eager = eager
        self._numbers: dict[int, int] = {}
        self._kept: list[Any] = []
        self._pending: list[tuple[dict[str, Json], Callable[[], dict[str, Json]]]] = []
        self._is_running = False

    def encode(self, value: Any, what: str) -> Json:
        """How a value stands in the manifest; ``what`` names it in errors."""
        found = self._encode(value, what)
        if not self._is_running:  # what is inside of containers, without recursion
            self._is_running = True
            try:
                while self._pending:
                    row, fill = self._pending.pop()
                    row |= fill()
            finally:
                self._is_running = False
        return found

    def _encode(self, value: Any, what: str) -> Json:
        if value is None or type(value) in (bool, str):
            return value
        if type(value) is int:
            if not -INT <= value < INT:
                raise not_saved(f"{what}: an int of more than 64 bits")
            return value
        if type(value) is float:
            return {"f": float_text(value)}
        if isinstance(value, torch.nn.Module):
            value = self._eager(value)
        found = self._numbers.get(id(value))
        if found is None:
            found = self._numbers[id(value)] = len(self.rows)
            self._kept.append(value)
            row: dict[str, Json] = {}
            self.rows.append(row)
            try:
                self._fill(row, value, what)
            except BaseException:
                del self._numbers[id(value)]
                raise
        return {"r": found}

    def _fill(self, row: dict[str, Json], value: Any, what: str) -> None:
        cls = type(value)
        if isinstance(value, torch.Tensor):
            row |= {"t": "tensor", "n": self.tensors.number(value, what)}
        elif isinstance(value, torch.nn.Module):
            self._later(row, "module", lambda: self._module(value))
        elif isinstance(value, type):
            row |= {"t": "class", "n": self.classes.number(value)}
        elif isinstance(value, enum.Enum):
            name = value.name if value.name in cls.__members__ else None
            bits = None if name is not None else value.value
            row |= {"t": "member", "class": self.classes.number(cls), "name": name, "bits": bits}
        elif cls in SEQUENCES:
            if cls is collections.deque:
                row["maxlen"] = value.maxlen
            self._fill_items(row, SEQUENCES[cls], value, what)
        elif cls in SETS:
            self._fill_items(row, SETS[cls], sorted(value, key=repr), what)
        elif cls in DICTS:
            if cls is collections.defaultdict:
                row["factory"] = self._encode(value.default_factory, f"the factory of {what}")
            self._later(row, DICTS[cls], lambda: {
                "k": self._list(value, what), "v": self._list(value.values(), what),
            })  # fmt: skip
        elif isinstance(value, tuple) and hasattr(value, "_fields"):
            row["class"] = self.classes.number(cls)
            self._fill_items(row, "namedtuple", value, what)
        else:
            row |= _simple(value) or {}
            if not row:
                self._fill_other(row, value, what)

    def _fill_other(self, row: dict[str, Json], value: Any, what: str) -> None:
        cls = type(value)
        if isinstance(value, FUNCTIONS):
            name = function_name(value)
            if found_statically(name) is not value or not may_be_called(name, value):
                raise not_saved(
                    f"{what}: {name.replace(':', '.')} is left to Python, and is not found by name",
                    help="define it at the top of a module, with @scriptmode.ignore",
                )
            row |= {"t": "function", "name": name}
        elif isinstance(value, BaseException):
            row["class"] = self.classes.number(cls)
            self._later(row, "exception", lambda: {
                "args": self._list(value.args, what),
                "attributes": self._attributes(vars(value), what),
            })  # fmt: skip
        elif is_ours(cls.__module__) or cls.__flags__ & HEAP_TYPE == 0:
            raise not_saved(f"{what}: a {class_name(cls).replace(':', '.')}")
        elif isinstance(value, (list, dict, set, collections.deque)):
            base = next(b for b in cls.__mro__ if is_ours(b.__module__))
            shown = class_name(cls).replace(":", ".")
            raise not_saved(
                f"{what}: a {shown}, a kind of {base.__name__}",
                help="keep one in an attribute instead",
            )
        else:
            row["class"] = self.classes.number(cls)
            for base, read in BASES.items():
                if isinstance(value, base):
                    row["base"] = self._encode(read(value), what)
            self._later(row, "instance", lambda: {
                "attributes": self._attributes(_attributes_of(value), what),
            })  # fmt: skip

    def _later(self, row: dict[str, Json], kind: str, fill: Callable[[], dict[str, Json]]) -> None:
        """What is inside of a mutable object is written when its turn comes."""
        row["t"] = kind
        self._pending.append((row, fill))

    def _list(self, values: Any, what: str) -> list[Json]:
        return [self._encode(v, what) for v in values]

    def _fill_items(self, row: dict[str, Json], kind: str, values: Any, what: str) -> None:
        if kind in IMMUTABLE:  # the reader makes what is inside first
            row |= {"t": kind, "v": self._list(values, what)}
        else:
            self._later(row, kind, lambda: {"v": self._list(values, what)})

    def _attributes(self, values: Mapping[str, Any], what: str) -> dict[str, Json]:
        return {n: self._encode(v, f"`{n}` of {what}") for n, v in values.items()}

    def _module(self, module: torch.nn.Module) -> dict[str, Json]:
        name = type(module).__name__
        return {
            "class": self.classes.number(type(module)),
            "training": module.training,
            "parameters": self._attributes(module._parameters, name),
            "buffers": self._attributes(module._buffers, name),
            "transient": sorted(module._non_persistent_buffers_set),
            "modules": self._attributes(module._modules, name),
            "attributes": self._attributes(self._modules(module), name),
        }


# what an instance of a class of the user's may be besides: how to read it past the class's methods
def _attributes_of(value: Any) -> dict[str, Any]:
    """The attributes of an instance, those in slots included."""
    found = {}
    for cls in reversed(type(value).__mro__):
        slots = vars(cls).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                found[name] = getattr(value, name)
    return {**found, **getattr(value, "__dict__", {})}


def _simple(value: Any) -> dict[str, Json] | None:
    """The row of a value with nothing inside."""
    if type(value) is complex:
        return {"t": "complex", "v": [float_text(value.real), float_text(value.imag)]}
    if type(value) is bytes:
        return {"t": "bytes", "v": base64.b64encode(value).decode()}
    if type(value) is range:
        return {"t": "range", "v": [value.start, value.stop, value.step]}
    if isinstance(value, NAMED):
        return {"t": "torch", "v": str(value).removeprefix("torch.")}
    if isinstance(value, torch.device):
        return {"t": "device", "v": str(value)}
    return None
