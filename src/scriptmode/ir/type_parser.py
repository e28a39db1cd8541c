"""Types from their printed form.

``parse_type(str(t)) is t`` holds for every type whose class types the given ``resolve`` finds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from scriptmode.ir.types import (
    SIMPLE_TYPES,
    ArrayType,
    CellType,
    ChoiceType,
    CounterType,
    DefaultDictType,
    DequeType,
    DictType,
    FactoryType,
    FrozenSetType,
    FunctionType,
    FutureType,
    IteratorType,
    ListType,
    NamedTupleType,
    OptionalType,
    OrderedDictType,
    SetType,
    TupleType,
    Type,
    TypeVar,
    UnionType,
    UnsetType,
    VarTupleType,
)


class TypeParser:
    """Recursive-descent parser of printed types; ``resolve`` finds class, enum and tuple types."""

    def __init__(self, text: str, position: int, resolve: Callable[[str], Type | None]) -> None:
        self.text = text
        self.position = position
        self.resolve = resolve

    def _name(self) -> str:
        start = self.position
        while self.position < len(self.text) and (
            self.text[self.position].isalnum() or self.text[self.position] in "_."
        ):
            self.position += 1
        return self.text[start : self.position]

    def _skip(self) -> None:
        while self.position < len(self.text) and self.text[self.position] == " ":
            self.position += 1

    def _eat(self, token: str) -> bool:
        self._skip()
        if self.text.startswith(token, self.position):
            self.position += len(token)
            return True
        return False

    def _expect(self, token: str) -> None:
        if not self._eat(token):
            raise ValueError(f"expected {token!r} at column {self.position} of type {self.text!r}")

    def _list(self, close: str) -> list[Type]:
        found: list[Type] = []
        if self._eat(close):
            return found
        while True:
            found.append(self.parse())
            if self._eat(close):
                return found
            self._expect(",")

    def _until_matching(self, close: str) -> str:
        start, depth = self.position, 1
        while depth:
            if self.position >= len(self.text):
                raise ValueError(f"unterminated type name in {self.text!r}")
            char = self.text[self.position]
            depth += (char == "<") - (char == close)
            self.position += 1
        return self.text[start : self.position - 1]

    def parse(self) -> Type:
        """Parse one type at the current position."""
        self._skip()
        if self._eat("Tuple[()]"):
            return TupleType([])
        name = self._name()
        if self._eat("<"):
            return self._named(name, self._until_matching(">"))
        if name == "Callable":
            self._expect("[")
            self._expect("[")
            parameters = self._list("]")
            self._expect(",")
            result = self.parse()
            self._expect("]")
            return FunctionType(parameters, result)
        if name == "Array":
            self._expect("[")
            dtype = getattr(torch, self._name())
            sizes: list[int] = []
            while not self._eat("]"):
                self._expect(",")
                self._skip()
                sizes.append(int(self._name()))
            return ArrayType(dtype, sizes)
        constructor = CONSTRUCTORS.get(name)
        if constructor is not None:
            self._expect("[")
            return self._parametrised(constructor)
        if name in SIMPLE_TYPES:
            return SIMPLE_TYPES[name]
        found = self.resolve(name)
        if found is None and len(name) == 1 and name.islower():
            return TypeVar(name)
        if found is None:
            raise ValueError(f"unknown type {name!r} in {self.text!r}")
        return found

    def _parametrised(self, constructor: Callable[[Sequence[Type]], Type]) -> Type:
        found = [self.parse()]
        while not self._eat("]"):
            self._expect(",")
            if self._eat("..."):
                self._expect("]")
                return VarTupleType(found)
            found.append(self.parse())
        return constructor(found)

    def _named(self, kind: str, name: str) -> Type:
        if kind == "NamedTuple":
            self._expect("(")
            fields: list[str] = []
            types: list[Type] = []
            while not self._eat(")"):
                if fields:
                    self._expect(",")
                self._skip()
                fields.append(self._name())
                self._expect(":")
                types.append(self.parse())
            known = self.resolve(name)
            python_class = known.python_class if isinstance(known, NamedTupleType) else None
            return NamedTupleType(name, fields, types, python_class)
        if kind == "Choice":
            return ChoiceType(map(int, name.split("|")))
        if kind == "Factory":
            return FactoryType(int(name))
        found = self.resolve(name)
        if found is None:
            raise ValueError(f"unknown {kind} {name!r}")
        return found


CONSTRUCTORS: Mapping[str, Callable[[Sequence[Type]], Type]] = {
    "Optional": OptionalType,
    "Union": UnionType,
    "List": ListType,
    "Dict": DictType,
    "Tuple": TupleType,
    "Cell": CellType,
    "Future": FutureType,
    "Unset": UnsetType,
    "OrderedDict": OrderedDictType,
    "DefaultDict": DefaultDictType,
    "Counter": CounterType,
    "Set": SetType,
    "FrozenSet": FrozenSetType,
    "Deque": DequeType,
    "Iterator": IteratorType,
}


def parse_type(text: str, resolve: Callable[[str], Type | None] = lambda name: None) -> Type:
    """Parse a printed type; ``resolve`` maps qualified names of classes and enums to types."""
    parser = TypeParser(text, 0, resolve)
    found = parser.parse()
    if parser.position != len(text.rstrip()):
        raise ValueError(f"unexpected text after type in {text!r}")
    return found
