"""The LLVM module of natively lowered functions: declarations, constant data, operands.

``ModuleLowering`` gives each native function, extern, data symbol and literal its LLVM value once,
and remembers which functions still need bodies.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llvmlite import ir

from scriptmode.abi import objects
from scriptmode.codegen.native import KINDS, Extern, Kind, NativeError, NativeFunction, Symbol

I1, I8, I32, I64 = ir.IntType(1), ir.IntType(8), ir.IntType(32), ir.IntType(64)
PTR = ir.PointerType()
BOOL, INT64, FLOAT64, POINTER = KINDS["bool"], KINDS["i64"], KINDS["f64"], KINDS["ptr"]

LLVM_TYPES = {
    "i8": I8, "i16": ir.IntType(16), "i32": I32, "i64": I64, "bool": I1,
    "f32": ir.FloatType(), "f64": ir.DoubleType(), "ptr": PTR,
}  # fmt: skip


def llvm_type(kind: Kind | None) -> Any:
    """The LLVM type of a kind; None is void."""
    return ir.VoidType() if kind is None else LLVM_TYPES[kind.name]


def function_type(function: NativeFunction | Extern) -> Any:
    """The LLVM function type of a native or extern function."""
    if isinstance(function, Extern):
        arguments = [llvm_type(k) for k in function.parameters]
        return ir.FunctionType(llvm_type(function.result), arguments, function.variadic)
    arguments = [llvm_type(k) for _, k in function.parameters]
    return ir.FunctionType(llvm_type(function.result), arguments)


@dataclass
class Value:
    """A typed value of a body."""

    kind: Kind
    llvm: Any


@dataclass
class Pair:
    """Two values of an intrinsic, to be unpacked by an assignment."""

    first: Value
    second: Value


# what an expression lowers to: a value, a literal without a width yet, a pair, or nothing
Operand = Value | int | float | Pair | None


@dataclass
class Loop:
    """Where ``break`` and ``continue`` go."""

    on_break: Any
    on_continue: Any


def _untyped(variable: Any) -> Any:
    """A global variable as a value of type ptr."""
    variable.type = PTR
    return variable


class SourceFiles:
    """Function definitions by file and name; each file is parsed once."""

    def __init__(self) -> None:
        self._files: dict[str, dict[str, ast.FunctionDef]] = {}

    def find(self, function: NativeFunction) -> ast.FunctionDef:
        """The syntax tree of the function's definition."""
        path = function.python.__code__.co_filename
        if path not in self._files:
            tree = ast.parse(Path(path).read_text(encoding="utf-8"), path)
            self._files[path] = {
                f"{n.name}:{_first_line(n)}": n
                for n in ast.walk(tree)
                if isinstance(n, ast.FunctionDef)
            }
        return self._files[path][f"{function.name}:{function.python.__code__.co_firstlineno}"]


def _first_line(node: ast.FunctionDef) -> int:
    return min([node.lineno, *(d.lineno for d in node.decorator_list)])


class ModuleLowering:
    """The LLVM module under construction: functions, externs and data by name."""

    def __init__(self, name: str, hints: Sequence[str] = ()) -> None:
        self.module = ir.Module(name=name)
        self.hints = hints
        self.sources = SourceFiles()
        self._functions: dict[str, Any] = {}
        self._defined: dict[str, NativeFunction] = {}
        self._pending: list[NativeFunction] = []
        self._texts: dict[str, Any] = {}

    def function(self, function: NativeFunction | Extern) -> Any:
        """The LLVM function; a native one is queued for lowering."""
        name = function.symbol if isinstance(function, NativeFunction) else function.name
        found = self._functions.get(name)
        if found is None:
            found = ir.Function(self.module, function_type(function), name)
            found.attributes.add("nounwind")
            self._functions[name] = found
        if isinstance(function, NativeFunction):
            if name not in self._defined:
                self._defined[name] = function
                self._pending.append(function)
            elif self._defined[name] is not function:
                raise NativeError(f"two native functions are named {name}")
        return found

    def intrinsic(self, name: str, result: Any, arguments: Sequence[Any]) -> Any:
        """The declaration of an LLVM intrinsic."""
        if name not in self._functions:
            signature = ir.FunctionType(result, arguments)
            self._functions[name] = ir.Function(self.module, signature, name)
        return self._functions[name]

    def symbol(self, symbol: Symbol) -> Any:
        """The address of a data symbol."""
        found = self.module.globals.get(symbol.name)
        if found is not None:
            return found
        if symbol.content is None:
            return _untyped(ir.GlobalVariable(self.module, I8, symbol.name))
        content = bytearray(symbol.content())
        kind = ir.ArrayType(I8, len(content))
        found = ir.GlobalVariable(self.module, kind, symbol.name)
        found.initializer = ir.Constant(kind, content if any(content) else None)
        found.global_constant = not symbol.writable
        found.align = 16
        return _untyped(found)

    def utf8(self, literal: str) -> Any:
        """Constant NUL-terminated bytes."""
        content = bytearray(literal.encode() + b"\0")
        kind = ir.ArrayType(I8, len(content))
        return self._constant(f"utf8:{literal}", kind, content)

    def text(self, literal: str) -> Any:
        """A constant native str; not in read-only memory because the hash is cached in it."""
        widest = max(map(ord, literal), default=0)
        width = 1 if widest < 256 else 2 if widest < 65536 else 4
        codec = {1: "latin-1", 2: "utf-16-le", 4: "utf-32-le"}[width]
        data = bytearray(literal.encode(codec, "surrogatepass") + bytes(width))
        kind = ir.LiteralStructType([I64, PTR, I64, I64, I64, ir.ArrayType(I8, len(data))])
        descriptor = self.symbol(Symbol("desc.str"))
        content = [objects.IMMORTAL, descriptor, len(literal), 0, width, data]
        fields = [
            c if c is descriptor else ir.Constant(t, c)
            for t, c in zip(kind.elements, content, strict=True)
        ]
        found = self._constant(f"text:{literal}", kind, fields)
        found.global_constant = False
        return found

    def _constant(self, key: str, kind: Any, content: Any) -> Any:
        found = self._texts.get(key)
        if found is None:
            found = ir.GlobalVariable(self.module, kind, f".data.{len(self._texts)}")
            found.initializer = ir.Constant(kind, content)
            found.global_constant = True
            found.linkage = "private"
            found.align = 16
            self._texts[key] = _untyped(found)
        return found

    def take_pending(self) -> NativeFunction | None:
        """A function that was referred to and has no body yet."""
        return self._pending.pop() if self._pending else None
