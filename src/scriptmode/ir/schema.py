"""Operator schemas: what an op is called, takes, returns and may alias.

The text form is that of torch's registry, for torch's ops and for our own alike::

    aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor
    list::append(t[](a!) self, t element) -> ()

Lower-case single letters are type variables; ``(a!)`` marks what is written, ``(a)`` what is
viewed.  ``parse_schema`` reads the text into an ``OpSchema`` and ``str`` prints it back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from scriptmode.ir import types as T
from scriptmode.ir.quoting import unquoted
from scriptmode.ir.type_parser import CONSTRUCTORS


@dataclass(frozen=True)
class AliasInfo:
    """Alias set of an argument or result; ``is_write`` for ``!``; ``(a! -> b)`` keeps ``after``."""

    sets: tuple[str, ...]
    is_write: bool
    after: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = "|".join(self.sets) + ("!" if self.is_write else "")
        return f"({text} -> {'|'.join(self.after)})" if self.after else f"({text})"


NO_DEFAULT: Any = type("NoDefault", (), {"__repr__": lambda self: "<no default>"})()


@dataclass(frozen=True)
class Argument:
    """One formal argument.

    ``written`` is the type as the schema spells it (``SymInt[2]?``), ``size`` the N of ``int[N]``,
    for which a single int stands for N copies.
    """

    name: str
    type: T.Type
    default: Any = NO_DEFAULT
    kwarg_only: bool = False
    alias: AliasInfo | None = None
    size: int | None = None
    written: str = ""

    @property
    def has_default(self) -> bool:
        """Whether a call may leave this argument out."""
        return self.default is not NO_DEFAULT

    @property
    def is_out(self) -> bool:
        """Whether this is an ``out=`` argument: keyword-only and written."""
        return self.kwarg_only and self.alias is not None and self.alias.is_write


@dataclass(frozen=True)
class Return:
    """One result."""

    type: T.Type
    alias: AliasInfo | None = None
    name: str = ""
    written: str = ""


@dataclass(frozen=True)
class OpSchema:
    """Signature of an op; ``name`` is namespaced, ``overload`` may be empty."""

    name: str
    overload: str
    arguments: tuple[Argument, ...]
    returns: tuple[Return, ...]
    text: str
    is_vararg: bool = False

    def __str__(self) -> str:
        return self.text

    def __hash__(self) -> int:
        return hash(self.text)

    @property
    def kind(self) -> str:
        """Name with overload, as nodes print it: ``aten::add.Tensor``."""
        return f"{self.name}.{self.overload}" if self.overload else self.name

    @property
    def namespace(self) -> str:
        """Text before ``::``."""
        return self.name.partition("::")[0]

    @property
    def base_name(self) -> str:
        """Text after ``::``."""
        return self.name.partition("::")[2]

    @property
    def is_mutable(self) -> bool:
        """Whether some argument is written."""
        return any(a.alias is not None and a.alias.is_write for a in self.arguments)

    @property
    def is_view(self) -> bool:
        """Whether some result aliases an argument without any write."""
        return not self.is_mutable and any(r.alias is not None for r in self.returns)

    def argument(self, name: str) -> Argument:
        """The argument called ``name``."""
        return next(a for a in self.arguments if a.name == name)


_SCHEMA_TYPES: dict[str, T.Type] = {
    "Tensor": T.TENSOR, "int": T.INT, "float": T.FLOAT, "bool": T.BOOL, "str": T.STR,
    "Scalar": T.NUMBER, "number": T.NUMBER, "complex": T.COMPLEX, "SymInt": T.INT,
    "SymFloat": T.FLOAT, "SymBool": T.BOOL, "ScalarType": T.DTYPE, "Layout": T.LAYOUT,
    "Device": T.DEVICE, "DeviceIndex": T.INT, "MemoryFormat": T.MEMORY_FORMAT,
    "Generator": T.GENERATOR, "Storage": T.STORAGE, "Stream": T.STREAM, "QScheme": T.QSCHEME,
    "Dimname": T.STR, "Any": T.ANY, "None": T.NONE, "NoneType": T.NONE, "dtype": T.DTYPE,
    "Size": T.SIZE, "device": T.DEVICE, "layout": T.LAYOUT, "ConstQuantizerPtr": T.ANY,
    "AnyEnumType": T.ANY,
    "Never": T.NEVER, "memory_format": T.MEMORY_FORMAT, "bytes": T.BYTES, "range": T.RANGE,
}  # fmt: skip


_NAME, _NAMESPACED, _DOTTED = map(re.compile, (r"\w*", r"[\w:]*", r"[\w.]*"))


class _SchemaParser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    def peek(self, token: str) -> bool:
        text, position = self.text, self.position
        if text.startswith(" ", position):
            while text.startswith(" ", position):
                position += 1
            self.position = position
        return text.startswith(token, position)

    def eat(self, token: str) -> bool:
        if self.peek(token):
            self.position += len(token)
            return True
        return False

    def expect(self, token: str) -> None:
        if not self.eat(token):
            raise ValueError(f"expected {token!r} at column {self.position} of {self.text!r}")

    def word(self, pattern: re.Pattern[str] = _NAME) -> str:
        self.peek("")
        found = pattern.match(self.text, self.position)
        assert found is not None  # perhaps of nothing
        self.position = found.end()
        return found[0]

    def parse(self) -> OpSchema:
        name = self.word(_NAMESPACED)
        overload = self.word() if self.eat(".") else ""
        self.expect("(")
        arguments: list[Argument] = []
        kwarg_only = vararg = False
        while not self.eat(")"):
            if arguments or kwarg_only or vararg:
                self.eat(",")
            if self.eat("..."):
                vararg = True
            elif self.eat("*"):
                kwarg_only = True
            else:
                arguments.append(self.argument(kwarg_only))
        self.expect("->")
        returns = self.returns()
        return OpSchema(name, overload, tuple(arguments), tuple(returns), self.text.strip(), vararg)

    def returns(self) -> list[Return]:
        if self.eat("..."):
            return []
        if not self.eat("("):
            return [self.one_return()]
        found: list[Return] = []
        while not self.eat(")"):
            if self.eat("..."):
                continue
            found.append(self.one_return())
            self.eat(",")
        return found

    def one_return(self) -> Return:
        start = self.position
        t, alias, _ = self.type()
        written = self.text[start : self.position].strip()
        name = "" if self.position >= len(self.text) else self.word()
        return Return(t, alias, name, written)

    def type(self) -> tuple[T.Type, AliasInfo | None, int | None]:
        alias: AliasInfo | None = None
        size: int | None = None
        if self.eat("("):  # a tuple type, as our own ops return
            parts: list[T.Type] = []
            while not self.eat(")"):
                parts.append(self.type()[0])
                self.eat(",")
            t: T.Type = T.TupleType(parts)
        else:
            t = self.base_type()
        while True:
            if self.peek("(") and alias is None:
                self.expect("(")
                alias = self.alias()
            elif self.peek("["):
                self.expect("[")
                digits = self.word()
                size = int(digits) if digits else None
                self.expect("]")
                t = T.ListType([t])
            elif self.eat("?"):
                t = T.optional_of(t) if not isinstance(t, T.TypeVar) else T.OptionalType([t])
            else:
                return t, alias, size

    def base_type(self) -> T.Type:
        name = self.word(_DOTTED)
        if name in CONSTRUCTORS:
            opening = "[" if self.eat("[") else "("
            if opening == "(":
                self.expect("(")
            parts: list[T.Type] = []
            while not self.eat("]" if opening == "[" else ")"):
                parts.append(self.type()[0])
                self.eat(",")
            return CONSTRUCTORS[name](parts)
        if name in _SCHEMA_TYPES:
            return _SCHEMA_TYPES[name]
        if len(name) <= 2 and name.islower() and name:
            return T.TypeVar(name)
        if name.startswith("__torch__"):
            return T.ANY  # a registered C++ class; its ops have no route
        raise ValueError(f"unknown type {name!r} in schema {self.text!r}")

    def alias(self) -> AliasInfo:
        def sets() -> tuple[str, ...]:
            found = []
            while True:
                found.append("*" if self.eat("*") else self.word())
                if not self.eat("|"):
                    return tuple(found)

        before = sets()
        write = self.eat("!")
        after: tuple[str, ...] = ()
        if self.eat("->"):
            after = sets()
        self.expect(")")
        return AliasInfo(before, write, after)

    def argument(self, kwarg_only: bool) -> Argument:
        start = self.position
        t, alias, size = self.type()
        written = self.text[start : self.position].strip()
        name = self.word()
        default = NO_DEFAULT
        if self.eat("="):
            default = self.default(t)
            if isinstance(default, (int, float)) and size is not None:
                default = [default] * size
        return Argument(name, t, default, kwarg_only, alias, size, written)

    def default(self, t: T.Type) -> Any:
        start, depth, quote = self.position, 0, ""
        while self.position < len(self.text):
            char = self.text[self.position]
            if quote:
                self.position += char == "\\"
                quote = "" if char == quote else quote
            elif char in "'\"":
                quote = char
            elif char in "[(":
                depth += 1
            elif char in ",)]" and depth == 0:
                break
            elif char in ")]":
                depth -= 1
            self.position += 1
        text = self.text[start : self.position].strip()
        if text in _NAMED_DEFAULTS:
            return _NAMED_DEFAULTS[text]
        value = _written(text)
        inner = T.unwrap_optional(t)
        return float(value) if inner == T.FLOAT and isinstance(value, int) else value


_WRITTEN_NUMBER = re.compile(r"[+-]?(\d+|(\d+\.\d*|\.\d+|\d+(?=e))(e[+-]?\d+)?)")


def _written(text: str) -> Any:
    """The value that a default's text writes: a number, a quoted text, a list, or a name."""
    if _WRITTEN_NUMBER.fullmatch(text):
        return int(text) if text.lstrip("+-").isdecimal() else float(text)
    if text[:1] in ("'", '"') and text[-1:] == text[:1] and len(text) > 1:
        return unquoted(text)
    if text[:1] == "[" and text[-1:] == "]":
        inner = text[1:-1].strip()
        return [_written(part.strip()) for part in inner.split(",")] if inner else []
    return EnumDefault(text)


@dataclass(frozen=True)
class EnumDefault:
    """A default that names a C++ enumerator, such as ``contiguous_format``."""

    name: str


_NAMED_DEFAULTS: dict[str, Any] = {"None": None, "True": True, "False": False, "Mean": 1}


def parse_schema(text: str) -> OpSchema:
    """Parse a schema's text; raises ValueError naming the column."""
    return _SchemaParser(text).parse()
