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
import math
import struct
import types
from collections.abc import Callable, Mapping
from typing import Any

import torch

from scriptmode.archive.classes import (
    ClassReader,
    ClassTable,
    class_name,
    found_statically,
    is_ours,
)
from scriptmode.archive.problems import not_saved
from scriptmode.archive.weights import TensorTable, WeightReader
from scriptmode.support.markers import IGNORE, modifier_of

Json = Any
_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, types.MethodDescriptorType)
_KNOWN_FUNCTIONS = (
    "scriptmode.frontend.script.", "torch._C:TensorBase.", "torch._C:Generator.",
    "torch.autograd:grad", "torch.autograd:backward", "torch._functorch.", "builtins:hash",
    "copy:copy", "copy:deepcopy", "cmath:isclose",
)  # fmt: skip
_NAMED = (torch.dtype, torch.layout, torch.memory_format)
_SEQUENCES: Mapping[type, str] = {
    list: "list", tuple: "tuple", torch.Size: "size", collections.deque: "deque",
}  # fmt: skip
_SETS: Mapping[type, str] = {set: "set", frozenset: "frozenset"}
_DICTS: Mapping[type, str] = {
    dict: "dict", collections.OrderedDict: "ordered", collections.Counter: "counter",
    collections.defaultdict: "default",
}  # fmt: skip
_IMMUTABLE = frozenset(["tuple", "size", "frozenset", "namedtuple"])
_INT = 1 << 63
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: a class that a class statement has made


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
            if not -_INT <= value < _INT:
                raise not_saved(f"{what}: an int of more than 64 bits")
            return value
        if type(value) is float:
            return {"f": _float_text(value)}
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
        elif cls in _SEQUENCES:
            if cls is collections.deque:
                row["maxlen"] = value.maxlen
            self._fill_items(row, _SEQUENCES[cls], value, what)
        elif cls in _SETS:
            self._fill_items(row, _SETS[cls], sorted(value, key=repr), what)
        elif cls in _DICTS:
            if cls is collections.defaultdict:
                row["factory"] = self._encode(value.default_factory, f"the factory of {what}")
            self._later(row, _DICTS[cls], lambda: {
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
        if isinstance(value, _FUNCTIONS):
            name = _function_name(value)
            if found_statically(name) is not value or not _may_be_called(name, value):
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
        elif is_ours(cls.__module__) or cls.__flags__ & _HEAP_TYPE == 0:
            raise not_saved(f"{what}: a {class_name(cls).replace(':', '.')}")
        else:
            row["class"] = self.classes.number(cls)
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
        if kind in _IMMUTABLE:  # the reader makes what is inside first
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


def _function_name(function: Any) -> str:
    owner = getattr(function, "__objclass__", None)
    if owner is not None:
        return f"{class_name(owner)}.{function.__name__}"
    return f"{function.__module__}:{function.__qualname__}"


def _may_be_called(name: str, function: Any) -> bool:
    """Whether a program from a file may name the function: it was marked, or is a known one."""
    return name.startswith(_KNOWN_FUNCTIONS) or modifier_of(function) == IGNORE


def _attributes_of(value: Any) -> dict[str, Any]:
    """The attributes of an instance, those in slots included."""
    found = {}
    for cls in reversed(type(value).__mro__):
        slots = vars(cls).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                found[name] = getattr(value, name)
    return {**found, **getattr(value, "__dict__", {})}


def _float_text(value: float) -> str:
    if math.isnan(value):
        return "nan:" + struct.pack("<d", value).hex()
    return value.hex()


def _float_of(text: str) -> float:
    if text.startswith("nan:"):
        value: float = struct.unpack("<d", bytes.fromhex(text[4:]))[0]
        return value
    return float.fromhex(text)


def _simple(value: Any) -> dict[str, Json] | None:
    """The row of a value with nothing inside."""
    if type(value) is complex:
        return {"t": "complex", "v": [_float_text(value.real), _float_text(value.imag)]}
    if type(value) is bytes:
        return {"t": "bytes", "v": base64.b64encode(value).decode()}
    if type(value) is range:
        return {"t": "range", "v": [value.start, value.stop, value.step]}
    if isinstance(value, _NAMED):
        return {"t": "torch", "v": str(value).removeprefix("torch.")}
    if isinstance(value, torch.device):
        return {"t": "device", "v": str(value)}
    return None


class ValueReader:
    """Makes the values of an archive.

    ``made_module`` makes a module without state of a class.  Rows are made when they are asked
    for, and filled by ``finish``: instances first, then sequences, then what hashes its elements.
    """

    def __init__(
        self, rows: Any, tensors: WeightReader, classes: ClassReader, problem: Any
    ) -> None:
        if not isinstance(rows, list) or not all(isinstance(r, dict) for r in rows):
            raise problem("`values` is no list of objects", "manifest.json")
        self._rows = rows
        self._tensors = tensors
        self.classes = classes
        self._problem = problem
        self._made: dict[int, Any] = {}
        self._busy: set[int] = set()
        self._fills: list[list[Callable[[], None]]] = [[], [], []]

    def decode(self, code: Json) -> Any:
        """The value that stands for ``code``, whole."""
        found = self._decode(code)
        self._finish()
        return found

    def _finish(self) -> None:
        while True:
            fills = next((f for f in self._fills if f), None)
            if fills is None:
                return
            fills.pop()()

    def _decode(self, code: Json) -> Any:
        if code is None or type(code) in (bool, str):
            return code
        if type(code) is int:
            if not -_INT <= code < _INT:
                raise self._wrong("an int of more than 64 bits")
            return code
        if isinstance(code, dict) and len(code) == 1:
            if isinstance(code.get("f"), str):
                return _float_of(code["f"])
            if type(code.get("r")) is int:
                return self._object(code["r"])
        raise self._wrong(f"{str(code)[:40]} is no value")

    def _wrong(self, what: str) -> Exception:
        error: Exception = self._problem(what, "manifest.json")
        return error

    def _object(self, number: int) -> Any:
        if number in self._made:
            return self._made[number]
        if not 0 <= number < len(self._rows) or number in self._busy:
            raise self._wrong(f"there is no value {number}")
        self._busy.add(number)
        row = self._rows[number]
        read = _READERS.get(row.get("t", ""))
        if read is None:
            raise self._wrong(f"value {number} is of no kind")
        made = self._made[number] = read(self, row)
        self._busy.remove(number)
        return made

    def _list(self, row: Mapping[str, Json], key: str = "v") -> list[Any]:
        codes = row.get(key)
        if not isinstance(codes, list):
            raise self._wrong(f"a value without a list `{key}`")
        return [self._decode(c) for c in codes]

    def _table(self, row: Mapping[str, Json], key: str) -> dict[str, Any]:
        codes = row.get(key)
        if not isinstance(codes, dict):
            raise self._wrong(f"a value without a table `{key}`")
        return {n: self._decode(c) for n, c in codes.items()}

    # what is whole when it is made

    def _tensor(self, row: Mapping[str, Json]) -> Any:
        return self._tensors.tensor(row.get("n"))

    def _class(self, row: Mapping[str, Json]) -> Any:
        return self.classes.get(row.get("n"))

    def _member(self, row: Mapping[str, Json]) -> Any:
        cls = self.classes.get(row.get("class"))
        if not issubclass(cls, enum.Enum):
            raise self._wrong(f"{cls.__name__} is no enumeration")
        name, bits = row.get("name"), row.get("bits")
        if isinstance(name, str) and name in cls.__members__:
            return cls.__members__[name]
        if issubclass(cls, enum.Flag) and type(bits) is int:
            return cls(bits)
        raise self._wrong(f"{cls.__name__} has no member {name!r}")

    def _function(self, row: Mapping[str, Json]) -> Any:
        name = row.get("name")
        if not isinstance(name, str):
            raise self._wrong("a function without a name")
        found = found_statically(name)
        if found is None:
            return _absent(name)
        if not isinstance(found, _FUNCTIONS) or not _may_be_called(name, found):
            raise self._wrong(f"{name} is no function that was left to Python")
        return found

    def _plain(self, row: Mapping[str, Json]) -> Any:
        kind, value = row["t"], row.get("v")
        if kind == "complex" and isinstance(value, list) and len(value) == 2:
            return complex(_float_of(value[0]), _float_of(value[1]))
        if kind == "bytes" and isinstance(value, str):
            return base64.b64decode(value, validate=True)
        if kind == "range" and isinstance(value, list) and len(value) == 3:
            return range(*value)
        if kind == "device" and isinstance(value, str):
            return torch.device(value)
        found = vars(torch).get(value) if kind == "torch" and isinstance(value, str) else None
        if not isinstance(found, _NAMED):
            raise self._wrong(f"{str(value)[:40]!r} is no {kind}")
        return found

    def _tuple(self, row: Mapping[str, Json]) -> Any:
        items = self._list(row)
        if row["t"] == "tuple":
            return tuple(items)
        if row["t"] == "size":
            return torch.Size(items)
        if row["t"] == "frozenset":
            self._finish()  # the elements must be whole to be hashed
            return frozenset(items)
        cls = self.classes.get(row.get("class"))
        if not issubclass(cls, tuple) or len(getattr(cls, "_fields", ())) != len(items):
            raise self._wrong(f"{cls.__name__} is no named tuple of {len(items)}")
        return tuple.__new__(cls, items)

    # what is filled later

    def _sequence(self, row: Mapping[str, Json]) -> Any:
        limit = row.get("maxlen")
        made: Any = [] if row["t"] == "list" else collections.deque(maxlen=limit)
        self._fills[1].append(lambda: made.extend(self._list(row)))
        return made

    def _set(self, row: Mapping[str, Json]) -> Any:
        made: set[Any] = set()

        def fill() -> None:
            items = self._list(row)
            self._fills[2].insert(0, lambda: made.update(items))

        self._fills[1].append(fill)
        return made

    def _dict(self, row: Mapping[str, Json]) -> Any:
        kind = row["t"]
        made: Any = {}
        if kind == "default":
            factory = self._decode(row.get("factory"))
            if factory is not None and not callable(factory):
                raise self._wrong("a factory that cannot be called")
            made = collections.defaultdict(factory)
        elif kind != "dict":
            made = collections.OrderedDict() if kind == "ordered" else collections.Counter()

        def fill() -> None:
            keys, values = self._list(row, "k"), self._list(row)
            if len(keys) != len(values):
                raise self._wrong("a dict with other keys than values")

            def put() -> None:
                for key, value in zip(keys, values, strict=True):
                    made[key] = value

            self._fills[2].insert(0, put)

        self._fills[1].append(fill)
        return made

    def _users_class(self, row: Mapping[str, Json]) -> Any:
        number = row.get("class")
        cls = self.classes.get(number)
        if not self.classes.is_users(number):  # type: ignore[arg-type]
            raise self._wrong(f"an instance of {cls.__name__}")
        return cls

    def _instance(self, row: Mapping[str, Json]) -> Any:
        cls = self._users_class(row)
        try:
            made = object.__new__(cls)
        except TypeError as error:
            raise self._wrong(str(error)) from None

        def fill() -> None:
            for name, value in self._table(row, "attributes").items():
                object.__setattr__(made, name, value)

        self._fills[0].append(fill)
        return made

    def _exception(self, row: Mapping[str, Json]) -> Any:
        cls = self.classes.get(row.get("class"))
        if not issubclass(cls, BaseException):
            raise self._wrong(f"{cls.__name__} is no exception")
        made = cls.__new__(cls)
        made.args = tuple(self._list(row, "args"))
        self._fills[0].append(lambda: vars(made).update(self._table(row, "attributes")))
        return made

    def _module(self, row: Mapping[str, Json]) -> Any:
        cls = self.classes.get(row.get("class"))
        if not issubclass(cls, torch.nn.Module):
            raise self._wrong(f"{cls.__name__} is no module")
        made = cls.__new__(cls)
        torch.nn.Module.__init__(made)
        made.training = row.get("training") is True
        self._fills[0].append(lambda: self._fill_module(made, row))
        return made

    def _fill_module(self, made: torch.nn.Module, row: Mapping[str, Json]) -> None:
        kinds: tuple[tuple[str, dict[str, Any], type], ...] = (
            ("parameters", made._parameters, torch.nn.Parameter),
            ("buffers", made._buffers, torch.Tensor),
            ("modules", made._modules, torch.nn.Module),
        )
        for key, target, kind in kinds:
            for name, value in self._table(row, key).items():
                if value is not None and not isinstance(value, kind):
                    raise self._wrong(f"`{name}` of {type(made).__name__} is no {kind.__name__}")
                target[name] = value
        transient = row.get("transient")
        if isinstance(transient, list):
            made._non_persistent_buffers_set.update(n for n in transient if n in made._buffers)
        for name, value in self._table(row, "attributes").items():
            if not (name.startswith("_") and name in vars(made)):
                vars(made)[name] = value


def _absent(name: str) -> Callable[..., Any]:
    """Stands for a function of Python that is not loaded here."""

    def absent(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(
            f"the archive's program calls {name.replace(':', '.')} in Python, which was not loaded "
            "when the archive was: import its module before scriptmode.load"
        )

    module, _, absent.__qualname__ = name.partition(":")
    absent.__module__, absent.__name__ = module, absent.__qualname__.rpartition(".")[2]
    return absent


_READERS: Mapping[str, Callable[[ValueReader, Mapping[str, Json]], Any]] = {
    "tensor": ValueReader._tensor,
    "class": ValueReader._class,
    "member": ValueReader._member,
    "function": ValueReader._function,
    "instance": ValueReader._instance,
    "exception": ValueReader._exception,
    "module": ValueReader._module,
    **dict.fromkeys(["complex", "bytes", "range", "torch", "device"], ValueReader._plain),
    **dict.fromkeys(_IMMUTABLE, ValueReader._tuple),
    **dict.fromkeys(["list", "deque"], ValueReader._sequence),
    "set": ValueReader._set,
    **dict.fromkeys(_DICTS.values(), ValueReader._dict),
}
