"""Text of the Python values that attributes, defaults and class declarations hold.

::

    -3   1.5   nan   complex(0.0, -0.0)   True   None   'a'   b'\\x00'   (1, (2,))   [1]   {'a': 1}
    torch.float32   device('cpu')   Size(2, 3)   type(Optional[int])
    tensor(torch.float32, (2,), (1,), 'AACAPwAAAEA=')
    make(python('m:Point'), (1, 2))     a named tuple
    python('builtins:ValueError')       what a module's attribute path leads to
    local('m:f.<locals>.g')             any other object: known by name only

Reading back gives an equal value: floats by their bits, tensors by dtype, shape, strides, bytes
and ``requires_grad``, with shared storages shared again.  A ``local`` object is looked up in the
mapping that the reader is given, else it becomes an ``ObjectReference``.
"""

from __future__ import annotations

import base64
import ctypes
import enum
import io
import math
import struct
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from scriptmode.ir.types import Type

_NAMED_TORCH_TYPES = (torch.dtype, torch.layout, torch.memory_format, torch.qscheme)
_CANONICAL_NAN = struct.pack("<d", math.nan)
ELIDED = "<elided>"


@dataclass(frozen=True)
class ObjectReference:
    """Stands for a Python object of which only the name is known."""

    name: str

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise NameError(f"the Python object {self.name!r} was not given when the IR text was read")


@dataclass(frozen=True)
class UnresolvedTuple:
    """Stands for a named tuple whose class is not known."""

    cls: ObjectReference
    items: tuple[Any, ...]


def import_path(obj: Any) -> str:
    """``module:attribute.path`` by which ``obj`` calls itself."""
    if isinstance(obj, enum.Enum):
        return f"{import_path(type(obj))}.{obj.name}"
    module, name = getattr(obj, "__module__", None), getattr(obj, "__qualname__", None)
    if isinstance(module, str) and isinstance(name, str):
        return f"{module}:{name}"
    return f"{type(obj).__module__}:{type(obj).__qualname__}()"


def look_up(path: str) -> Any:
    """What ``path`` leads to among the loaded modules, or an ``ObjectReference``."""
    module_name, _, attributes = path.partition(":")
    found: Any = sys.modules.get(module_name)
    if found is None:
        return ObjectReference(path)
    for name in attributes.split("."):
        found = getattr(found, name, None)
        if found is None:
            return ObjectReference(path)
    return found


def children(value: Any) -> Iterable[Any]:
    """The values inside a container value."""
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    return value if isinstance(value, (tuple, list)) else ()


def is_plain_tensor(value: torch.Tensor) -> bool:
    """Whether dtype, shape, strides and bytes say everything about the tensor."""
    return (
        type(value) in (torch.Tensor, torch.nn.Parameter)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not (value.is_quantized or value.is_conj() or value.is_neg() or value.is_nested)
    )


class LiteralWriter:
    """Writes values; ``scan`` every value first, so that shared storages are known.

    ``locals`` fills with the objects that can only be read back when they are handed over.
    """

    def __init__(self, *, elide_tensors: bool = False) -> None:
        self.elide_tensors = elide_tensors
        self.locals: dict[str, Any] = {}
        self._local_names: dict[int, str] = {}
        self._seen: dict[int, torch.Tensor] = {}
        self._repeated: set[int] = set()
        self._ranges: dict[int, tuple[int, int]] = {}  # storage -> first and last byte in use
        self._sharers: dict[int, int] = {}
        self._numbers: dict[int, int] = {}
        self._storage_numbers: dict[int, int] = {}

    def scan(self, value: Any) -> None:
        """Note the tensors in ``value``."""
        if isinstance(value, torch.Tensor):
            self._scan_tensor(value)
        for item in children(value):
            self.scan(item)

    def _scan_tensor(self, value: torch.Tensor) -> None:
        if id(value) in self._seen:
            self._repeated.add(id(value))
            return
        self._seen[id(value)] = value
        if is_plain_tensor(value):
            key = value.untyped_storage()._cdata
            low, high = _byte_range(value)
            known = self._ranges.get(key, (low, high))
            self._ranges[key] = min(known[0], low), max(known[1], high)
            self._sharers[key] = self._sharers.get(key, 0) + 1

    def write(self, value: Any) -> str:
        """Text of ``value``."""
        writer = _WRITERS.get(type(value))
        if writer is not None:
            return writer(self, value)
        if isinstance(value, torch.Tensor):
            return self._tensor(value)
        if isinstance(value, Type):
            return f"type({value})"
        if isinstance(value, tuple) and not isinstance(value, enum.Enum):
            items = tuple(tuple.__iter__(value))  # a class may have a length of its own
            return f"make({self.reference(type(value))}, {self.write(items)})"
        if isinstance(value, UnresolvedTuple):
            return f"make({self.reference(value.cls)}, {self.write(value.items)})"
        return self.reference(value)

    def reference(self, value: Any) -> str:
        """Text of an object that is known by its name."""
        if isinstance(value, ObjectReference):
            return f"local({value.name!r})"
        path = import_path(value)
        if look_up(path) is value:
            return f"python({path!r})"
        if id(value) not in self._local_names:
            name, number = path, 0
            while name in self.locals:
                number += 1
                name = f"{path}#{number}"
            self.locals[name] = value
            self._local_names[id(value)] = name
        return f"local({self._local_names[id(value)]!r})"

    def _sequence(self, items: Iterable[Any]) -> str:
        return ", ".join(map(self.write, items))

    def _tuple(self, value: tuple[Any, ...]) -> str:
        return f"({self._sequence(value)}{',' if len(value) == 1 else ''})"

    def _dict(self, value: dict[Any, Any]) -> str:
        pairs = (f"{self.write(k)}: {self.write(v)}" for k, v in value.items())
        return "{" + ", ".join(pairs) + "}"

    def _tensor(self, value: torch.Tensor) -> str:
        if id(value) not in self._seen:
            self._scan_tensor(value)
        if id(value) in self._numbers:
            return f"tensor(same={self._numbers[id(value)]})"
        parts: list[str] = []
        if id(value) in self._repeated:
            number = self._numbers[id(value)] = len(self._numbers)
            parts.append(f"number={number}")
        if is_plain_tensor(value):
            parts += self._plain_tensor(value)
        elif type(value) in (torch.Tensor, torch.nn.Parameter):
            data = io.BytesIO()
            torch.save(value, data)
            parts.append(f"saved={self._bytes(data.getvalue())}")
        else:
            return self.reference(value)
        return f"tensor({', '.join(parts)})"

    def _plain_tensor(self, value: torch.Tensor) -> list[str]:
        storage = value.untyped_storage()
        key = storage._cdata
        low, high = self._ranges[key]
        shared = self._sharers[key] > 1
        low -= low % 16 if shared else 0  # so that offsets are whole for every dtype
        offset = value.storage_offset() - low // value.element_size()
        parts = [self.write(value.dtype), str(tuple(value.shape)), str(tuple(value.stride()))]
        if key not in self._storage_numbers:
            data = ctypes.string_at(storage.data_ptr() + low, high - low) if high > low else b""
            parts.append(self._bytes(data))
        if shared:
            number = self._storage_numbers.setdefault(key, len(self._storage_numbers))
            parts += [f"storage={number}", f"offset={offset}"]
        if value.requires_grad:
            parts.append("requires_grad=True")
        if isinstance(value, torch.nn.Parameter):
            parts.append("parameter=True")
        return parts

    def _bytes(self, data: bytes) -> str:
        return ELIDED if self.elide_tensors else repr(base64.b64encode(data).decode())


def _byte_range(value: torch.Tensor) -> tuple[int, int]:
    size = value.element_size()
    first = int(value.storage_offset()) * size
    if value.numel() == 0:
        return first, first
    last = sum((n - 1) * int(s) for n, s in zip(value.shape, value.stride(), strict=True))
    return first, first + (last + 1) * size


def _float(value: float) -> str:
    bits = struct.pack("<d", value)
    if math.isnan(value) and bits != _CANONICAL_NAN:
        return f"float({struct.unpack('<Q', bits)[0]:#x})"
    return repr(value)


_WRITERS: Mapping[type, Callable[[LiteralWriter, Any], str]] = {
    type(None): lambda w, v: "None",
    bool: lambda w, v: repr(v),
    int: lambda w, v: repr(v),
    float: lambda w, v: _float(v),
    complex: lambda w, v: f"complex({_float(v.real)}, {_float(v.imag)})",
    str: lambda w, v: repr(v),
    bytes: lambda w, v: repr(v),
    tuple: LiteralWriter._tuple,
    list: lambda w, v: f"[{w._sequence(v)}]",
    frozenset: lambda w, v: f"frozenset([{w._sequence(sorted(v, key=repr))}])",
    range: lambda w, v: f"range({v.start}, {v.stop}, {v.step})",
    dict: LiteralWriter._dict,
    torch.Size: lambda w, v: f"Size({w._sequence(v)})",
    torch.device: lambda w, v: f"device({str(v)!r})",
    **dict.fromkeys(_NAMED_TORCH_TYPES, lambda w, v: str(v)),
}


class TensorReader:
    """Builds the tensors of one text; storages and repeated tensors are kept by number."""

    def __init__(self) -> None:
        self._tensors: dict[int, torch.Tensor] = {}
        self._storages: dict[int, torch.UntypedStorage] = {}

    def build(self, parts: list[Any], options: dict[str, Any]) -> torch.Tensor:
        """The tensor that ``tensor(*parts, **options)`` describes; ValueError if it makes none."""
        if "same" in options:
            return self._tensors[options["same"]]
        if "saved" in options:
            data = io.BytesIO(base64.b64decode(options["saved"]))
            value = torch.load(data, weights_only=True)
        else:
            value = self._plain(parts, options)
        assert isinstance(value, torch.Tensor)
        if "number" in options:
            self._tensors[options["number"]] = value
        return value

    def _plain(self, parts: list[Any], options: dict[str, Any]) -> torch.Tensor:
        dtype, shape, strides, *data = parts
        if data:
            storage = _storage_of(base64.b64decode(data[0]))
            if "storage" in options:
                self._storages[options["storage"]] = storage
        else:
            storage = self._storages[options["storage"]]
        value = torch.empty(0, dtype=dtype, device="cpu")
        value.set_(storage, options.get("offset", 0), shape, strides)
        if options.get("parameter"):
            return torch.nn.Parameter(value, options.get("requires_grad", False))
        return value.requires_grad_() if options.get("requires_grad") else value


def _storage_of(data: bytes) -> torch.UntypedStorage:
    if not data:
        return torch.empty(0, dtype=torch.uint8, device="cpu").untyped_storage()
    return torch.frombuffer(bytearray(data), dtype=torch.uint8).clone().untyped_storage()
