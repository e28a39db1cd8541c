"""Pickled values, read as data: no class is looked up, nothing is called.

The reader knows the opcodes that torch writes and no others.  What a pickle would build by a call
becomes a description: ``Instance`` of a named class, ``Member`` of an enumeration; tensors are made
by the ``tensors`` that the reader is given.  Everything made has been in the file: lengths are
checked against the bytes that are left.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

_MOST_BYTES = 256 << 20
_INT = 1 << 63


@dataclass(frozen=True)
class Named:
    """A class or function that the pickle names."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}" if self.module else self.name


@dataclass(eq=False)
class Instance:
    """An object of a class: a dict of its attributes, or what its ``__getstate__`` gave."""

    cls: str
    state: Any = None
    has_state: bool = False


@dataclass(frozen=True)
class Member:
    """A member of an enumeration, known by its value."""

    cls: str
    value: Any


@dataclass(frozen=True)
class StorageReference:
    """The storage that lies in an entry of the archive."""

    dtype_name: str
    key: str
    device: str
    numel: int


class PickleProblem(Exception):
    """What is wrong with a pickle."""


class _Mark:
    """Where a sequence of operands begins on the stack."""


@dataclass
class _State:
    data: bytes
    at: int = 0
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)
    has_ended: bool = False


MakeTensor = Callable[[Named, tuple[Any, ...]], Any]
_LISTS = frozenset(
    ["build_intlist", "build_doublelist", "build_boollist", "build_tensorlist",
     "build_complexlist", "build_tensor_from_id"]
)  # fmt: skip


class PickleReader:
    """Reads one pickle; ``make_tensor`` makes a tensor of a rebuilding function's arguments."""

    def __init__(self, data: bytes, make_tensor: MakeTensor) -> None:
        if len(data) > _MOST_BYTES:
            raise PickleProblem(f"it has {len(data)} bytes")
        self._s = _State(data)
        self._make_tensor = make_tensor

    def read(self) -> Any:
        """The value; raises PickleProblem."""
        s = self._s
        while not s.has_ended:
            begin = s.at
            code = self._take(1)[0]
            run = _OPCODES.get(code)
            if run is None:
                raise PickleProblem(f"opcode {code:#x} at byte {begin}")
            try:
                run(self)
            except PickleProblem as problem:
                raise PickleProblem(f"{problem} (at byte {begin})") from None
        if len(s.stack) != 1 or isinstance(s.stack[0], _Mark):
            raise PickleProblem("it ends with other than one value")
        return s.stack[0]

    # bytes

    def _take(self, count: int) -> bytes:
        s = self._s
        if count < 0 or count > len(s.data) - s.at:
            raise PickleProblem(f"{count} bytes are wanted at byte {s.at}, which are not there")
        found = s.data[s.at : s.at + count]
        s.at += count
        return found

    def _number(self, count: int, signed: bool = False) -> int:
        return int.from_bytes(self._take(count), "little", signed=signed)

    def _line(self) -> str:
        s = self._s
        end = s.data.find(b"\n", s.at)
        if end < 0:
            raise PickleProblem("a line without an end")
        return self._text(self._take(end + 1 - s.at)[:-1])

    def _text(self, data: bytes) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise PickleProblem(f"no UTF-8 text: {error}") from None

    # the stack

    def _push(self, value: Any) -> None:
        self._s.stack.append(value)

    def _pop(self, kind: type | tuple[type, ...] = object) -> Any:
        if not self._s.stack:
            raise PickleProblem("a value is wanted, and the stack is empty")
        value = self._s.stack.pop()
        if isinstance(value, _Mark) or not isinstance(value, kind):
            raise PickleProblem(f"a {_name(value)} where another value is wanted")
        return value

    def _top(self, kind: type) -> Any:
        value = self._pop(kind)
        self._push(value)
        return value

    def _since_mark(self) -> list[Any]:
        stack = self._s.stack
        for index in range(len(stack) - 1, -1, -1):
            if isinstance(stack[index], _Mark):
                found = stack[index + 1 :]
                del stack[index:]
                return found
        raise PickleProblem("there is no mark")

    # opcodes

    def _proto(self) -> None:
        version = self._number(1)
        if version > 4:
            raise PickleProblem(f"protocol {version}")

    def _stop(self) -> None:
        self._s.has_ended = True

    def _long(self) -> None:
        count = self._number(1)
        value = int.from_bytes(self._take(count), "little", signed=True)
        if not -_INT <= value < _INT:
            raise PickleProblem("an int of more than 64 bits")
        self._push(value)

    def _float(self) -> None:
        self._push(struct.unpack(">d", self._take(8))[0])

    def _unicode(self) -> None:
        self._push(self._text(self._take(self._number(4))))

    def _short_unicode(self) -> None:
        self._push(self._text(self._take(self._number(1))))

    def _tuple_of(self, count: int) -> None:
        items = [self._pop() for _ in range(count)]
        self._push(tuple(reversed(items)))

    def _append(self) -> None:
        value = self._pop()
        self._top(list).append(value)

    def _appends(self) -> None:
        values = self._since_mark()
        self._top(list).extend(values)

    def _set_items(self) -> None:
        values = self._since_mark()
        if len(values) % 2:
            raise PickleProblem("a key without a value")
        self._set_pairs(values)

    def _set_item(self) -> None:
        value, key = self._pop(), self._pop()
        self._set_pairs([key, value])

    def _set_pairs(self, values: list[Any]) -> None:
        target = self._top(dict)
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not isinstance(key, (str, int, float, bool, complex, torch.Tensor)):
                raise PickleProblem(f"a {_name(key)} as a key")
            target[key] = value

    def _get(self, size: int) -> None:
        number = self._number(size)
        if number not in self._s.memo:
            raise PickleProblem(f"nothing is remembered as {number}")
        self._push(self._s.memo[number])

    def _put(self, size: int) -> None:
        self._s.memo[self._number(size)] = self._top(object)

    def _memoize(self) -> None:
        self._s.memo[len(self._s.memo)] = self._top(object)

    def _global(self) -> None:
        module, name = self._line(), self._line()
        self._push(Named(module, name))

    def _new_object(self) -> None:
        args, cls = self._pop(tuple), self._pop(Named)
        if args or not str(cls).startswith("__torch__."):
            raise PickleProblem(f"an object of {cls}")
        self._push(Instance(str(cls)))

    def _build(self) -> None:
        state = self._pop()
        target = self._top(Instance)
        if target.has_state:
            raise PickleProblem("an object with two states")
        target.state, target.has_state = state, True

    def _reference(self) -> None:
        found = self._pop(tuple)
        if len(found) < 5 or found[0] != "storage":
            raise PickleProblem("a reference to other than a storage")
        kind, key, device, numel = found[1:5]
        if not isinstance(kind, Named) or not isinstance(key, str) or not isinstance(device, str):
            raise PickleProblem("a reference to a storage without a type, a name or a device")
        if type(numel) is not int or not 0 <= numel < _INT:
            raise PickleProblem("a storage without a size")
        self._push(StorageReference(kind.name, key, device, numel))

    def _reduce(self) -> None:
        args, function = self._pop(), self._pop(Named)
        self._push(self._called(function, args))

    def _called(self, function: Named, args: Any) -> Any:
        """What torch's unpickler makes of the call of a function that it knows."""
        whole = str(function)
        if function.module in ("torch.jit._pickle", "torch._utils_internal"):
            if not isinstance(args, tuple) or not args:
                raise PickleProblem(f"{whole} without arguments")
            if function.name in _LISTS and isinstance(args[0], list):
                return args[0]
            if function.name == "restore_type_tag":
                return args[0]
        if function.module == "torch._utils" and isinstance(args, tuple):
            return self._make_tensor(function, args)
        if whole in ("collections.OrderedDict", "torch.jit._pickle.build_dict") and args == ():
            return {}
        if whole == "torch.device":
            return self._device(args)
        if whole in ("builtins.complex", "__builtin__.complex"):
            if isinstance(args, tuple) and len(args) == 2:
                if all(isinstance(a, float) for a in args):
                    return complex(*args)
        if whole.startswith("__torch__.") and isinstance(args, (int, float, str)):
            return Member(whole, args)
        raise PickleProblem(f"a call of {whole}, which is not known here")

    def _device(self, args: Any) -> torch.device:
        try:
            return torch.device(*args)
        except (RuntimeError, TypeError, ValueError) as error:
            raise PickleProblem(f"no device: {error}"[:200]) from None


def _name(value: Any) -> str:
    return "mark" if isinstance(value, _Mark) else type(value).__name__


def _pushed(value: Callable[[], Any]) -> Callable[[PickleReader], None]:
    return lambda reader: reader._push(value())


_OPCODES: Mapping[int, Callable[[PickleReader], None]] = {
    0x80: PickleReader._proto,
    ord("."): PickleReader._stop,
    ord("("): _pushed(_Mark),
    ord("N"): _pushed(lambda: None),
    0x88: _pushed(lambda: True),
    0x89: _pushed(lambda: False),
    ord("J"): lambda r: r._push(r._number(4, True)),
    ord("K"): lambda r: r._push(r._number(1)),
    ord("M"): lambda r: r._push(r._number(2)),
    0x8A: PickleReader._long,
    ord("G"): PickleReader._float,
    ord("X"): PickleReader._unicode,
    0x8C: PickleReader._short_unicode,
    ord("]"): _pushed(list),
    ord("}"): _pushed(dict),
    ord(")"): _pushed(tuple),
    ord("t"): lambda r: r._push(tuple(r._since_mark())),
    0x85: lambda r: r._tuple_of(1),
    0x86: lambda r: r._tuple_of(2),
    0x87: lambda r: r._tuple_of(3),
    ord("a"): PickleReader._append,
    ord("e"): PickleReader._appends,
    ord("s"): PickleReader._set_item,
    ord("u"): PickleReader._set_items,
    ord("h"): lambda r: r._get(1),
    ord("j"): lambda r: r._get(4),
    ord("q"): lambda r: r._put(1),
    ord("r"): lambda r: r._put(4),
    0x94: PickleReader._memoize,
    ord("c"): PickleReader._global,
    0x81: PickleReader._new_object,
    ord("b"): PickleReader._build,
    ord("Q"): PickleReader._reference,
    ord("R"): PickleReader._reduce,
}
