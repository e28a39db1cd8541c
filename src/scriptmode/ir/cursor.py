"""Reading tokens, types and literals from one line of IR text."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from typing import Any

import torch

from scriptmode.ir.literals import ELIDED, ObjectReference, TensorReader, UnresolvedTuple
from scriptmode.ir.quoting import unquoted
from scriptmode.ir.type_parser import TypeParser
from scriptmode.ir.types import Type
from scriptmode.support.diagnostics import Diagnostic, ScriptSyntaxError
from scriptmode.support.source import Span

_STRING = re.compile(r"""b?(?:'[^'\\]*(?:\\.[^'\\]*)*'|"[^"\\]*(?:\\.[^"\\]*)*")""")
_NUMBER = re.compile(r"-?(?:inf\b|nan\b|\d+(?:\.\d*)?(?:e[+-]?\d+)?)")
_WORD = re.compile(r"[^\W\d]\w*")
_NAME = re.compile(r"[\w.]+")
_SPACE = re.compile(r" *")


class TextTypes(TypeParser):
    """The type parser, with a hook for names of classes that are met before their declaration."""

    def __init__(self, text: str, position: int, named: Callable[[str, str], Type | None]) -> None:
        super().__init__(text, position, lambda name: named("", name))
        self.named = named

    def _named(self, kind: str, name: str) -> Type:
        if kind in ("Class", "Module", "Enum"):
            found = self.named(kind, name)
            if found is not None:
                return found
        return super()._named(kind, name)


class Cursor:
    """A position in one line; every failure is a ``ScriptSyntaxError`` that names the place."""

    def __init__(
        self,
        text: str,
        line: int,
        named: Callable[[str, str], Type | None],
        resolve_object: Callable[[str, bool], Any],
        tensors: TensorReader,
    ) -> None:
        self.text = text
        self.position = 0
        self.line = line
        self.named = named
        self.resolve_object = resolve_object
        self.tensors = tensors

    def error(self, message: str) -> ScriptSyntaxError:
        """A diagnostic at the current position."""
        text = self.text if len(self.text) <= 80 else self.text[:77] + "..."
        place = Span("<ir>", self.line, self.position)
        note = f"{place.line}: {text}"
        return ScriptSyntaxError(Diagnostic("SM9001", message, place, notes=(note,)))

    def skip(self) -> None:
        """Go past spaces."""
        match = _SPACE.match(self.text, self.position)
        assert match is not None
        self.position = match.end()

    def peek(self, token: str) -> bool:
        """Whether ``token`` comes next."""
        self.skip()
        return self.text.startswith(token, self.position)

    def eat(self, token: str) -> bool:
        """Go past ``token`` if it comes next."""
        if self.peek(token):
            self.position += len(token)
            return True
        return False

    def expect(self, token: str) -> None:
        """Go past ``token``, which must come next."""
        if not self.eat(token):
            raise self.error(f"expected {token!r}")

    def match(self, pattern: re.Pattern[str]) -> str | None:
        """Go past what ``pattern`` matches here; None if it does not."""
        self.skip()
        found = pattern.match(self.text, self.position)
        if found is None:
            return None
        self.position = found.end()
        return found.group()

    def at_end(self) -> bool:
        """Whether nothing but a comment is left."""
        self.skip()
        return self.position == len(self.text) or self.text[self.position] == "#"

    def word(self) -> str:
        """An identifier."""
        found = self.match(_WORD)
        if found is None:
            raise self.error("expected a word")
        return found

    def name(self) -> str:
        """A dotted or quoted name."""
        self.skip()
        if self.text[self.position : self.position + 1] in ("'", '"'):
            return str(self.string())
        found = self.match(_NAME)
        if found is None:
            raise self.error("expected a name")
        return found

    def value_name(self) -> str:
        """The name after ``%``."""
        self.expect("%")
        found = _NAME.match(self.text, self.position)
        if found is None:
            raise self.error("expected a value's name")
        self.position = found.end()
        return found.group()

    def string(self) -> Any:
        """A quoted str or bytes."""
        found = self.match(_STRING)
        if found is None:
            raise self.error("expected a string")
        return unquoted(found)

    def type(self) -> Type:
        """A type."""
        self.skip()
        parser = TextTypes(self.text, self.position, self.named)
        try:
            found = parser.parse()
        except ValueError as error:
            self.position = parser.position
            raise self.error(str(error)) from error
        self.position = parser.position
        return found

    def items(self, close: str, read: Callable[[], Any]) -> list[Any]:
        """What ``read`` reads, separated by commas, up to ``close``."""
        found: list[Any] = []
        while not self.eat(close):
            if found:
                self.expect(",")
                if self.eat(close):
                    break
            found.append(read())
        return found

    def literal(self) -> Any:
        """A Python value as ``ir.literals`` writes it."""
        if self.eat("("):
            return tuple(self.items(")", self.literal))
        if self.eat("["):
            return self.items("]", self.literal)
        if self.eat("{"):
            return dict(self.items("}", self._pair))
        if self.match_ahead(_STRING):
            return self.string()
        number = self.match(_NUMBER)
        if number is not None:
            return float(number) if set(number) & set(".enf") else int(number)
        word = self.word()
        if word in _CONSTANTS:
            return _CONSTANTS[word]
        if word == "torch" and self.eat("."):
            return self._torch_name()
        constructor = _CONSTRUCTORS.get(word)
        if constructor is None:
            raise self.error(f"unknown literal {word!r}")
        self.expect("(")
        return constructor(self)

    def match_ahead(self, pattern: re.Pattern[str]) -> bool:
        """Whether ``pattern`` matches here."""
        self.skip()
        return pattern.match(self.text, self.position) is not None

    def _pair(self) -> tuple[Any, Any]:
        key = self.literal()
        self.expect(":")
        return key, self.literal()

    def _torch_name(self) -> Any:
        name = self.word()
        found = getattr(torch, name, None)
        if not isinstance(found, (torch.dtype, torch.layout, torch.memory_format, torch.qscheme)):
            raise self.error(f"unknown name torch.{name}")
        return found

    def _arguments(self) -> list[Any]:
        return self.items(")", self.literal)

    def _type_literal(self) -> Type:
        found = self.type()
        self.expect(")")
        return found

    def _float_bits(self) -> float:
        digits = self.match(_NAME)
        self.expect(")")
        value: float = struct.unpack("<d", struct.pack("<Q", int(digits or "0", 16)))[0]
        return value

    def _object(self, is_local: bool) -> Any:
        (name,) = self._arguments()
        return self.resolve_object(name, is_local)

    def _make(self) -> Any:
        cls, items = self._arguments()
        if isinstance(cls, ObjectReference):
            return UnresolvedTuple(cls, items)
        if not (isinstance(cls, type) and issubclass(cls, tuple)):
            raise self.error("not the class of a tuple")
        is_structseq = cls.__module__ == "torch.return_types"
        return cls(items) if is_structseq else tuple.__new__(cls, items)

    def _tensor(self) -> torch.Tensor:
        options: dict[str, Any] = {}
        parts: list[Any] = []

        def read() -> None:
            start = self.position
            word = self.match(_WORD)
            if word is not None and self.eat("="):
                options[word] = self._data()
            else:
                self.position = start
                parts.append(self._data())

        self.items(")", read)
        try:
            return self.tensors.build(parts, options)
        except (KeyError, ValueError, RuntimeError) as error:
            raise self.error(f"not a tensor: {error}") from error

    def _data(self) -> Any:
        if self.peek(ELIDED):
            raise self.error("the tensor's data was elided when this text was printed")
        return self.literal()


_CONSTANTS: Mapping[str, Any] = {
    "None": None, "True": True, "False": False,
}  # fmt: skip
_CONSTRUCTORS: Mapping[str, Callable[[Cursor], Any]] = {
    "complex": lambda c: complex(*c._arguments()),
    "float": Cursor._float_bits,
    "device": lambda c: torch.device(*c._arguments()),
    "frozenset": lambda c: frozenset(*c._arguments()),
    "range": lambda c: range(*c._arguments()),
    "Size": lambda c: torch.Size(c._arguments()),
    "type": Cursor._type_literal,
    "tensor": Cursor._tensor,
    "make": Cursor._make,
    "python": lambda c: c._object(False),
    "local": lambda c: c._object(True),
}
