"""The values of an archive, made again from their rows (see ``values``)."""

from __future__ import annotations

import base64
import collections
import enum
from collections.abc import Callable, Mapping
from typing import Any

import torch

from scriptmode.archive.classes import (
    ClassReader,
    found_statically,
)
from scriptmode.archive.value_kinds import (
    BASES,
    DICTS,
    FUNCTIONS,
    IMMUTABLE,
    INT,
    NAMED,
    Json,
    float_of,
    may_be_called,
)
from scriptmode.archive.weights import WeightReader


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
            if not -INT <= code < INT:
                raise self._wrong("an int of more than 64 bits")
            return code
        if isinstance(code, dict) and len(code) == 1:
            if isinstance(code.get("f"), str):
                return float_of(code["f"])
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
        if not isinstance(found, FUNCTIONS) or not may_be_called(name, found):
            raise self._wrong(f"{name} is no function that was left to Python")
        return found

    def _plain(self, row: Mapping[str, Json]) -> Any:
        kind, value = row["t"], row.get("v")
        if kind == "complex" and isinstance(value, list) and len(value) == 2:
            return complex(float_of(value[0]), float_of(value[1]))
        if kind == "bytes" and isinstance(value, str):
            return base64.b64decode(value, validate=True)
        if kind == "range" and isinstance(value, list) and len(value) == 3:
            return range(*value)
        if kind == "device" and isinstance(value, str):
            return torch.device(value)
        found = vars(torch).get(value) if kind == "torch" and isinstance(value, str) else None
        if not isinstance(found, NAMED):
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
            if "base" in row:
                base = self._decode(row["base"])
                if type(base) not in BASES:
                    raise TypeError(f"{cls.__name__} is no {type(base).__name__}")
                made = type(base).__new__(cls, base)
            else:
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
    **dict.fromkeys(IMMUTABLE, ValueReader._tuple),
    **dict.fromkeys(["list", "deque"], ValueReader._sequence),
    "set": ValueReader._set,
    **dict.fromkeys(DICTS.values(), ValueReader._dict),
}
