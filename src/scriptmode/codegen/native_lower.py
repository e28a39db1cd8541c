"""Lower ``@native`` functions to one LLVM module.

::

    def next(p: ptr) -> i64:            define i64 @next(ptr %p) nounwind {
        return load(i64, p, 8)             %1 = getelementptr i8, ptr %p, i64 8
                                           %2 = load i64, ptr %1 ...

The entry point is ``lower_module``.  Locals become allocas (LLVM's mem2reg makes them registers);
every mistake is a ``NativeError`` with file and line.  The grammar is in ``native``.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llvmlite import ir

from scriptmode.abi import objects
from scriptmode.codegen import native_words as words
from scriptmode.codegen.native import (
    INTRINSICS,
    KINDS,
    Extern,
    Kind,
    NativeError,
    NativeFunction,
    Symbol,
)

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


class _Callee:
    """An address with the function type that llvmlite's call instruction asks for."""

    type = PTR
    opaque_ptr_type = PTR
    calling_convention = ""

    def __init__(self, address: Any, function_type: Any) -> None:
        self.get_reference = address.get_reference
        self.function_type = function_type


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

    def lower_all(self, functions: Iterable[NativeFunction]) -> None:
        """Lower the functions and every native one that they use."""
        for function in functions:
            self.function(function)
        while self._pending:
            function = self._pending.pop()
            FunctionLowering(self, function).lower()


def lower_module(
    functions: Iterable[NativeFunction], name: str = "native", *, hints: Sequence[str] = ()
) -> Any:
    """One LLVM module with ``functions`` and every native function that they call.

    ``hints`` are LLVM attributes of all of them, ``optsize`` for example.
    """
    lowering = ModuleLowering(name, hints)
    lowering.lower_all(functions)
    return lowering.module


class FunctionLowering:
    """One function body."""

    def __init__(self, module: ModuleLowering, function: NativeFunction) -> None:
        self.module = module
        self.native = function
        self.syntax = module.sources.find(function)
        self.names = function.python.__globals__
        self.function = module.function(function)
        self.locals: dict[str, Value] = {}
        self.loops: list[Loop] = []

    def error(self, node: ast.AST, message: str) -> NativeError:
        """A mistake at ``node``."""
        path = self.native.python.__code__.co_filename
        return NativeError(f"{path}:{getattr(node, 'lineno', 0)}: {message}")

    def lower(self) -> None:
        """Emit the body."""
        self.function.attributes.add("nounwind")
        for hint in (*self.native.hints, *self.module.hints):
            self.function.attributes.add(hint)
        if self.native.is_private:
            self.function.linkage = "internal"
        self.entry = self.function.append_basic_block("entry")
        body = self.function.append_basic_block("body")
        self.allocas = ir.IRBuilder(self.entry)
        self.builder = ir.IRBuilder(body)
        for (name, kind), argument in zip(
            self.native.parameters, self.function.args, strict=True
        ):
            argument.name = name
            self._declare(name, kind)
            self.builder.store(argument, self.locals[name].llvm)
        self.statements(self.syntax.body)
        if not self.builder.block.is_terminated:
            if self.native.result is None:
                self.builder.ret_void()
            elif self._block_is_reachable():
                raise self.error(self.syntax, f"{self.native.name} may end without a result")
            else:
                self.builder.unreachable()
        self.allocas.branch(body)

    def _block_is_reachable(self) -> bool:
        block = self.builder.block
        return any(
            block in getattr(b.terminator, "operands", ())
            for b in self.function.blocks
            if b.terminator is not None
        )

    # ---- locals ----

    def _declare(self, name: str, kind: Kind) -> Value:
        place = self.allocas.alloca(llvm_type(kind), name=name)
        self.allocas.store(ir.Constant(llvm_type(kind), None), place)
        self.locals[name] = Value(kind, place)
        return self.locals[name]

    def assign(self, node: ast.AST, name: str, operand: Operand) -> None:
        """Store into a local, declared by its first assignment."""
        if operand is None or isinstance(operand, Pair):
            raise self.error(node, f"{name} is assigned something that is not one value")
        place = self.locals.get(name)
        if place is None:
            place = self._declare(name, self._natural_kind(operand))
        value = self.as_kind(node, operand, place.kind)
        self.builder.store(value.llvm, place.llvm)

    @staticmethod
    def _natural_kind(operand: Value | int | float) -> Kind:
        if isinstance(operand, Value):
            return operand.kind
        if isinstance(operand, bool):
            return BOOL
        return INT64 if isinstance(operand, int) else FLOAT64

    def as_kind(self, node: ast.AST, operand: Operand, kind: Kind) -> Value:
        """``operand`` as a value of ``kind``; only literals adapt."""
        if isinstance(operand, Value):
            if operand.kind != kind:
                raise self.error(node, f"expected {kind.name}, found {operand.kind.name}")
            return operand
        if operand is None or isinstance(operand, Pair):
            raise self.error(node, f"expected {kind.name}, found no single value")
        return Value(kind, self._constant(node, operand, kind))

    def _constant(self, node: ast.AST, literal: int | float, kind: Kind) -> Any:
        if kind.category == "float":
            return ir.Constant(llvm_type(kind), float(literal))
        if isinstance(literal, float):
            raise self.error(node, f"expected {kind.name}, found a float literal")
        if kind.category == "ptr":
            if literal == 0:
                return ir.Constant(PTR, None)
            return ir.Constant(I64, literal).inttoptr(PTR)
        if kind.category == "bool":
            if not isinstance(literal, bool):
                raise self.error(node, "expected bool, found an int literal")
            return ir.Constant(I1, int(literal))
        if not -(1 << (kind.bits - 1)) <= literal < (1 << kind.bits):
            raise self.error(node, f"{literal} does not fit {kind.name}")
        half = 1 << (kind.bits - 1)
        # unsigned literals are written as the signed number with the same bits
        return ir.Constant(llvm_type(kind), (literal + half) % (2 * half) - half)

    # ---- statements ----

    def statements(self, nodes: Sequence[ast.stmt]) -> None:
        """Emit statements in order."""
        for node in nodes:
            if self.builder.block.is_terminated:
                self.builder.position_at_end(self.function.append_basic_block("dead"))
            method = getattr(self, f"_statement_{type(node).__name__}", None)
            if method is None:
                raise self.error(node, f"{type(node).__name__} is not in the native dialect")
            method(node)

    def _statement_Pass(self, node: ast.Pass) -> None:
        return

    def _statement_Expr(self, node: ast.Expr) -> None:
        if not (isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)):
            self.expression(node.value)

    def _statement_Assign(self, node: ast.Assign) -> None:
        operand = self.expression(node.value)
        for target in node.targets:
            if isinstance(target, ast.Name):
                self.assign(node, target.id, operand)
            elif isinstance(target, ast.Tuple) and isinstance(operand, Pair):
                for part, value in zip(
                    target.elts, (operand.first, operand.second), strict=True
                ):
                    if not isinstance(part, ast.Name):
                        raise self.error(node, "a pair is unpacked into two names")
                    self.assign(node, part.id, value)
            else:
                raise self.error(node, "assign to a name, or unpack a pair into two names")

    def _statement_AnnAssign(self, node: ast.AnnAssign) -> None:
        if not isinstance(node.target, ast.Name) or not isinstance(node.annotation, ast.Name):
            raise self.error(node, "only names are annotated, with a kind")
        kind = KINDS.get(node.annotation.id)
        if kind is None:
            raise self.error(node, f"{node.annotation.id} is not a kind")
        declared = self.locals.get(node.target.id)
        if declared is None:
            self._declare(node.target.id, kind)
        elif declared.kind != kind:
            raise self.error(node, f"{node.target.id} is already {declared.kind.name}")
        if node.value is not None:
            self.assign(node, node.target.id, self.expression(node.value))

    def _statement_AugAssign(self, node: ast.AugAssign) -> None:
        if not isinstance(node.target, ast.Name):
            raise self.error(node, "assign to a name")
        left = self._load_local(node, node.target.id)
        result = self.binary(node, node.op, left, self.expression(node.value))
        self.assign(node, node.target.id, result)

    def _statement_Return(self, node: ast.Return) -> None:
        kind = self.native.result
        if kind is None:
            if node.value is not None:
                raise self.error(node, "the function has no result")
            self.builder.ret_void()
            return
        if node.value is None:
            raise self.error(node, f"return without a value, expected {kind.name}")
        self.builder.ret(self.as_kind(node, self.expression(node.value), kind).llvm)

    def _statement_If(self, node: ast.If) -> None:
        condition = self.condition(node.test)
        then = self.function.append_basic_block("then")
        end = self.function.append_basic_block("end")
        otherwise = self.function.append_basic_block("else") if node.orelse else end
        self.builder.cbranch(condition, then, otherwise)
        self._branch_body(then, node.body, end)
        if node.orelse:
            self._branch_body(otherwise, node.orelse, end)
        self.builder.position_at_end(end)

    def _branch_body(self, block: Any, body: Sequence[ast.stmt], end: Any) -> None:
        self.builder.position_at_end(block)
        self.statements(body)
        if not self.builder.block.is_terminated:
            self.builder.branch(end)

    def _statement_While(self, node: ast.While) -> None:
        if node.orelse:
            raise self.error(node, "while ... else is not in the native dialect")
        head = self.function.append_basic_block("while")
        body = self.function.append_basic_block("do")
        end = self.function.append_basic_block("done")
        self.builder.branch(head)
        self.builder.position_at_end(head)
        if isinstance(node.test, ast.Constant) and node.test.value is True:
            self.builder.branch(body)
        else:
            self.builder.cbranch(self.condition(node.test), body, end)
        self.loops.append(Loop(end, head))
        self._branch_body(body, node.body, head)
        self.loops.pop()
        self.builder.position_at_end(end)

    def _statement_For(self, node: ast.For) -> None:
        arguments, target = self._range_of(node)
        operands = [self.expression(a) for a in arguments]
        step = operands.pop() if len(operands) == 3 else 1
        if not isinstance(step, int) or step == 0:
            raise self.error(node, "the step of a range is a constant other than 0")
        start = operands[0] if len(operands) == 2 else 0
        kind = next((o.kind for o in operands if isinstance(o, Value)), INT64)
        stop = self.as_kind(node, operands[-1], kind).llvm
        counter = self.allocas.alloca(llvm_type(kind))
        self.builder.store(self.as_kind(node, start, kind).llvm, counter)
        head, body, advance, end = (
            self.function.append_basic_block(n) for n in ("for", "do", "next", "done")
        )
        self.builder.branch(head)
        self.builder.position_at_end(head)
        index = self.builder.load(counter, typ=llvm_type(kind))
        more = self.builder.icmp_signed("<" if step > 0 else ">", index, stop)
        self.builder.cbranch(more, body, end)
        self.builder.position_at_end(body)
        self.assign(node, target, Value(kind, index))
        self.loops.append(Loop(end, advance))
        self._branch_body(body, node.body, advance)
        self.loops.pop()
        self.builder.position_at_end(advance)
        index = self.builder.load(counter, typ=llvm_type(kind))
        stepped = self.builder.add(index, ir.Constant(llvm_type(kind), step))
        self.builder.store(stepped, counter)
        self.builder.branch(head)
        self.builder.position_at_end(end)

    def _range_of(self, node: ast.For) -> tuple[list[ast.expr], str]:
        call = node.iter
        if (
            node.orelse
            or not isinstance(node.target, ast.Name)
            or not isinstance(call, ast.Call)
            or not isinstance(call.func, ast.Name)
            or call.func.id != "range"
            or not 1 <= len(call.args) <= 3
        ):
            raise self.error(node, "for loops have the form `for name in range(...)`")
        return call.args, node.target.id

    def _statement_Break(self, node: ast.Break) -> None:
        if not self.loops:
            raise self.error(node, "break outside a loop")
        self.builder.branch(self.loops[-1].on_break)

    def _statement_Continue(self, node: ast.Continue) -> None:
        if not self.loops:
            raise self.error(node, "continue outside a loop")
        self.builder.branch(self.loops[-1].on_continue)

    # ---- expressions ----

    def expression(self, node: ast.expr) -> Operand:
        """Emit an expression; constant parts stay Python numbers."""
        method = getattr(self, f"_expression_{type(node).__name__}", None)
        if method is None:
            raise self.error(node, f"{type(node).__name__} is not in the native dialect")
        result: Operand = method(node)
        return result

    def value(self, node: ast.expr) -> Value:
        """An expression as a value; literals become i64 or f64."""
        operand = self.expression(node)
        if operand is None or isinstance(operand, Pair):
            raise self.error(node, "expected one value")
        return self.as_kind(node, operand, self._natural_kind(operand))

    def condition(self, node: ast.expr) -> Any:
        """An expression as an i1; integers and pointers mean "not zero"."""
        value = self.value(node)
        if value.kind == BOOL:
            return value.llvm
        if value.kind.category == "float":
            raise self.error(node, "a float is not a condition")
        zero = ir.Constant(llvm_type(value.kind), None)
        return self.builder.icmp_unsigned("!=", value.llvm, zero)

    def _expression_Constant(self, node: ast.Constant) -> Operand:
        if isinstance(node.value, (bool, int, float)):
            return node.value
        raise self.error(node, f"literal {node.value!r} is not in the native dialect")

    def _expression_Name(self, node: ast.Name) -> Operand:
        if node.id in self.locals:
            return self._load_local(node, node.id)
        found = self._global(node, node.id)
        if isinstance(found, (bool, int, float)):
            return found
        if isinstance(found, Symbol):
            return Value(POINTER, self.module.symbol(found))
        raise self.error(node, f"{node.id} is not a value")

    def _load_local(self, node: ast.AST, name: str) -> Value:
        place = self.locals.get(name)
        if place is None:
            raise self.error(node, f"{name} is not assigned before")
        return Value(place.kind, self.builder.load(place.llvm, typ=llvm_type(place.kind)))

    def _global(self, node: ast.AST, name: str) -> Any:
        if name not in self.names:
            raise self.error(node, f"{name} is not defined")
        return self.names[name]

    def _expression_BinOp(self, node: ast.BinOp) -> Operand:
        left, right = self.expression(node.left), self.expression(node.right)
        return self.binary(node, node.op, left, right)

    def binary(self, node: ast.AST, op: ast.operator, left: Operand, right: Operand) -> Operand:
        """An arithmetic operator; two literals fold."""
        row = words.BINARY.get(type(op))
        if row is None:
            raise self.error(node, f"{type(op).__name__} is a function in the native dialect")
        if isinstance(left, (int, float)) and isinstance(right, (int, float)):
            folded: int | float = row.fold(left, right)
            return folded
        if isinstance(left, Value) and left.kind == POINTER:
            return self._pointer_arithmetic(node, op, left, right)
        a, b = self.same_kind(node, left, right)
        emit = row.on_float if a.kind.category == "float" else row.on_int
        if emit is None or (a.kind.category in ("ptr", "bool") and not row.on_bool):
            raise self.error(node, f"{type(op).__name__} is not defined on {a.kind.name}")
        return Value(a.kind, getattr(self.builder, emit)(a.llvm, b.llvm))

    def _pointer_arithmetic(
        self, node: ast.AST, op: ast.operator, left: Value, right: Operand
    ) -> Value:
        if isinstance(op, ast.Sub) and isinstance(right, Value) and right.kind == POINTER:
            ends = [self.builder.ptrtoint(v.llvm, I64) for v in (left, right)]
            return Value(INT64, self.builder.sub(*ends))
        offset = self.as_kind(node, right, INT64).llvm
        if isinstance(op, ast.Sub):
            offset = self.builder.neg(offset)
        elif not isinstance(op, ast.Add):
            raise self.error(node, f"{type(op).__name__} is not defined on ptr")
        return Value(POINTER, self.builder.gep(left.llvm, [offset], source_etype=I8))

    def same_kind(self, node: ast.AST, left: Operand, right: Operand) -> tuple[Value, Value]:
        """Two operands of one kind; a literal takes the kind of the other."""
        if isinstance(left, Value):
            return left, self.as_kind(node, right, left.kind)
        if isinstance(right, Value):
            return self.as_kind(node, left, right.kind), right
        raise self.error(node, "two literals where a value is needed")

    def _expression_UnaryOp(self, node: ast.UnaryOp) -> Operand:
        if isinstance(node.op, ast.Not):
            return Value(BOOL, self.builder.not_(self.condition(node.operand)))
        operand = self.expression(node.operand)
        if isinstance(operand, (int, float)):
            if isinstance(node.op, ast.USub):
                return -operand
            if isinstance(node.op, ast.Invert) and isinstance(operand, int):
                return ~operand
        if isinstance(operand, Value):
            if isinstance(node.op, ast.USub) and operand.kind.category == "float":
                return Value(operand.kind, self.builder.fneg(operand.llvm))
            if operand.kind.category == "int" and isinstance(node.op, ast.USub):
                return Value(operand.kind, self.builder.neg(operand.llvm))
            if operand.kind.category == "int" and isinstance(node.op, ast.Invert):
                return Value(operand.kind, self.builder.not_(operand.llvm))
        raise self.error(node, f"{type(node.op).__name__} is not defined here")

    def _expression_Compare(self, node: ast.Compare) -> Operand:
        left = self.expression(node.left)
        result = None
        for op, syntax in zip(node.ops, node.comparators, strict=True):
            if isinstance(op, ast.In) and isinstance(syntax, ast.Tuple) and len(node.ops) == 1:
                return Value(BOOL, self._is_among(node, left, syntax.elts))
            right = self.expression(syntax)
            test = self.compare(node, op, left, right)
            # operands of a chain are evaluated at once: they have no effects in practice
            result = test if result is None else self.builder.and_(result, test)
            left = right
        return Value(BOOL, result)

    def _is_among(self, node: ast.AST, left: Operand, items: Sequence[ast.expr]) -> Any:
        """``left in (a, b)``: equality with one of them."""
        result = None
        for item in items:
            test = self.compare(node, ast.Eq(), left, self.expression(item))
            result = test if result is None else self.builder.or_(result, test)
        if result is None:
            raise self.error(node, "nothing to compare with")
        return result

    def compare(self, node: ast.AST, op: ast.cmpop, left: Operand, right: Operand) -> Any:
        """One comparison as an i1: signed, ordered floats, unsigned pointers."""
        symbol = words.COMPARE.get(type(op))
        if symbol is None:
            raise self.error(node, f"{type(op).__name__} is not in the native dialect")
        a, b = self.same_kind(node, left, right)
        if a.kind.category == "float":
            test = self.builder.fcmp_unordered if symbol == "!=" else self.builder.fcmp_ordered
            return test(symbol, a.llvm, b.llvm)
        if a.kind.category == "int":
            return self.builder.icmp_signed(symbol, a.llvm, b.llvm)
        return self.builder.icmp_unsigned(symbol, a.llvm, b.llvm)

    def _expression_BoolOp(self, node: ast.BoolOp) -> Operand:
        is_and = isinstance(node.op, ast.And)
        end = self.function.append_basic_block("decided")
        decided: list[tuple[Any, Any]] = []
        for syntax in node.values[:-1]:
            test = self.condition(syntax)
            more = self.function.append_basic_block("more")
            decided.append((ir.Constant(I1, int(not is_and)), self.builder.block))
            self.builder.cbranch(test, *((more, end) if is_and else (end, more)))
            self.builder.position_at_end(more)
        decided.append((self.condition(node.values[-1]), self.builder.block))
        self.builder.branch(end)
        return Value(BOOL, self._merge(end, I1, decided))

    def _merge(self, block: Any, kind: Any, incoming: Iterable[tuple[Any, Any]]) -> Any:
        self.builder.position_at_end(block)
        phi = self.builder.phi(kind)
        for value, source in incoming:
            phi.add_incoming(value, source)
        return phi

    def _expression_IfExp(self, node: ast.IfExp) -> Operand:
        test = self.condition(node.test)
        then, otherwise, end = (
            self.function.append_basic_block(n) for n in ("then", "else", "end")
        )
        self.builder.cbranch(test, then, otherwise)
        branches: list[tuple[Operand, Any]] = []
        for block, syntax in ((then, node.body), (otherwise, node.orelse)):
            self.builder.position_at_end(block)
            branches.append((self.expression(syntax), self.builder.block))
        kinds = [o.kind for o, _ in branches if isinstance(o, Value)]
        kind = kinds[0] if kinds else self._natural_kind(branches[0][0])  # type: ignore[arg-type]
        incoming = []
        for operand, block in branches:
            self.builder.position_at_end(block)
            incoming.append((self.as_kind(node, operand, kind).llvm, block))
            self.builder.branch(end)
        return Value(kind, self._merge(end, llvm_type(kind), incoming))

    # ---- calls ----

    def _expression_Call(self, node: ast.Call) -> Operand:
        if not isinstance(node.func, ast.Name) or node.keywords:
            raise self.error(node, "calls have the form `name(args)`")
        if node.func.id in KINDS and node.func.id != "bool":
            return self.convert(node, KINDS[node.func.id])
        callee = self._global(node, node.func.id)
        if isinstance(callee, (NativeFunction, Extern)):
            return self._direct_call(node, callee)
        word = INTRINSICS.get(callee)
        if word is None:
            raise self.error(node, f"{node.func.id} is not native")
        method: Callable[[ast.Call], Operand] | None = getattr(self, f"_word_{word}", None)
        if method is not None:
            return method(node)
        return self._table_word(node, word)

    def arguments(self, node: ast.Call, kinds: Sequence[Kind]) -> list[Any]:
        """Call arguments of the given kinds."""
        if len(node.args) != len(kinds):
            raise self.error(node, f"expected {len(kinds)} arguments, found {len(node.args)}")
        return [
            self.as_kind(a, self.expression(a), k).llvm
            for a, k in zip(node.args, kinds, strict=True)
        ]

    def _direct_call(self, node: ast.Call, callee: NativeFunction | Extern) -> Operand:
        if isinstance(callee, Extern):
            fixed = callee.parameters
            extra = node.args[len(fixed) :] if callee.variadic else []
        else:
            fixed = tuple(k for _, k in callee.parameters)
            extra = []
        node = ast.copy_location(
            ast.Call(node.func, node.args[: len(node.args) - len(extra)], []), node
        )
        arguments = self.arguments(node, fixed) + [self.value(a).llvm for a in extra]
        result = self.builder.call(self.module.function(callee), arguments)
        return None if callee.result is None else Value(callee.result, result)

    def convert(self, node: ast.Call, kind: Kind) -> Operand:
        """``kind(x)``: signed, truncating, reinterpreting between ptr and i64."""
        if len(node.args) != 1:
            raise self.error(node, "a conversion has one argument")
        operand = self.expression(node.args[0])
        if isinstance(operand, (int, float)):
            literal = operand if kind.category == "float" else int(operand)
            return self.as_kind(node, literal, kind)
        if not isinstance(operand, Value):
            raise self.error(node, "expected one value")
        if operand.kind == kind:
            return operand
        emit = words.conversion(operand.kind, kind)
        if emit is None:
            raise self.error(node, f"no conversion from {operand.kind.name} to {kind.name}")
        return Value(kind, getattr(self.builder, emit)(operand.llvm, llvm_type(kind)))

    def _table_word(self, node: ast.Call, word: str) -> Operand:
        if word in words.FLOAT_INTRINSICS:
            (x,) = self.arguments(node, [FLOAT64])
            double = ir.DoubleType()
            return Value(
                FLOAT64,
                self.builder.call(
                    self.module.intrinsic(f"llvm.{word}.f64", double, [double]), [x]
                ),
            )
        if len(node.args) != 2:
            raise self.error(node, f"{word} has two arguments")
        a, b = self.same_kind(
            node, self.expression(node.args[0]), self.expression(node.args[1])
        )
        if word in words.UNSIGNED_TESTS:
            test = words.UNSIGNED_TESTS[word]
            return Value(BOOL, self.builder.icmp_unsigned(test, a.llvm, b.llvm))
        if a.kind.category != "int":
            raise self.error(node, f"{word} is defined on integers")
        if word in words.OVERFLOW:
            both = getattr(self.builder, words.OVERFLOW[word])(a.llvm, b.llvm)
            first, flag = (self.builder.extract_value(both, i) for i in (0, 1))
            return Pair(Value(a.kind, first), Value(BOOL, flag))
        return Value(a.kind, getattr(self.builder, word)(a.llvm, b.llvm))

    def _kind_argument(self, node: ast.Call) -> Kind:
        first = node.args[0] if node.args else None
        if not isinstance(first, ast.Name) or first.id not in KINDS or first.id == "bool":
            raise self.error(node, "the first argument is a kind")
        return KINDS[first.id]

    def _address(self, node: ast.Call, index: int) -> Any:
        return self.as_kind(node, self.expression(node.args[index]), POINTER).llvm

    def _place(self, node: ast.Call) -> Any:
        address = self._address(node, 1)
        if len(node.args) < 3:
            return address
        offset = self.as_kind(node, self.expression(node.args[2]), INT64)
        return self.builder.gep(address, [offset.llvm], source_etype=I8)

    def _word_load(self, node: ast.Call) -> Operand:
        kind = self._kind_argument(node)
        place = self._place(node)
        # values in packed containers of the caller may be less aligned than their size
        return Value(kind, self.builder.load(place, typ=llvm_type(kind), align=kind.size))

    def _word_store(self, node: ast.Call) -> Operand:
        kind = self._kind_argument(node)
        if len(node.args) != 4:
            raise self.error(node, "store(kind, address, offset, value)")
        place = self._place(node)
        value = self.as_kind(node, self.expression(node.args[3]), kind)
        self.builder.store(value.llvm, place, align=kind.size)
        return None

    def _word_zext(self, node: ast.Call) -> Operand:
        kind, value = self._kind_argument(node), self.value(node.args[1])
        if value.kind.bits > kind.bits:
            raise self.error(node, f"{value.kind.name} is wider than {kind.name}")
        return Value(kind, self.builder.zext(value.llvm, llvm_type(kind)))

    def _word_bitcast(self, node: ast.Call) -> Operand:
        kind, value = self._kind_argument(node), self.value(node.args[1])
        if value.kind.bits != kind.bits:
            raise self.error(node, f"{value.kind.name} and {kind.name} differ in size")
        return Value(kind, self.builder.bitcast(value.llvm, llvm_type(kind)))

    def _word_unsigned_to_float(self, node: ast.Call) -> Operand:
        (x,) = self.arguments(node, [INT64])
        return Value(FLOAT64, self.builder.uitofp(x, ir.DoubleType()))

    def _word_stack(self, node: ast.Call) -> Operand:
        size = self.expression(node.args[0])
        if not isinstance(size, int):
            raise self.error(node, "the size of stack memory is constant")
        place = self.allocas.alloca(ir.ArrayType(I8, size))
        place.align = 16
        return Value(POINTER, place)

    def _literal_text(self, node: ast.Call) -> str:
        argument = node.args[0]
        if not isinstance(argument, ast.Constant) or not isinstance(argument.value, str):
            raise self.error(node, "expected a str literal")
        return argument.value

    def _word_text(self, node: ast.Call) -> Operand:
        return Value(POINTER, self.module.text(self._literal_text(node)))

    def _word_utf8(self, node: ast.Call) -> Operand:
        return Value(POINTER, self.module.utf8(self._literal_text(node)))

    def _word_address_of(self, node: ast.Call) -> Operand:
        argument = node.args[0]
        found = self._global(node, argument.id) if isinstance(argument, ast.Name) else None
        if not isinstance(found, (NativeFunction, Extern)):
            raise self.error(node, "expected the name of a function")
        return Value(POINTER, self.module.function(found))

    def _word_call(self, node: ast.Call) -> Operand:
        first = node.args[0]
        is_void = isinstance(first, ast.Constant) and first.value is None
        kind = None if is_void else self._kind_argument(node)
        target = self._address(node, 1)
        values = [self.value(a) for a in node.args[2:]]
        signature = ir.FunctionType(llvm_type(kind), [llvm_type(v.kind) for v in values])
        result = self.builder.call(_Callee(target, signature), [v.llvm for v in values])
        return None if kind is None else Value(kind, result)

    def _bits_word(self, node: ast.Call, name: str, has_flag: bool) -> Operand:
        value = self.value(node.args[0])
        kind = llvm_type(value.kind)
        arguments = [kind, I1] if has_flag else [kind]
        function = self.module.intrinsic(f"llvm.{name}.{value.kind.name}", kind, arguments)
        extra = [ir.Constant(I1, 0)] if has_flag else []
        return Value(value.kind, self.builder.call(function, [value.llvm, *extra]))

    def _word_count_leading_zeros(self, node: ast.Call) -> Operand:
        return self._bits_word(node, "ctlz", True)

    def _word_count_trailing_zeros(self, node: ast.Call) -> Operand:
        return self._bits_word(node, "cttz", True)

    def _word_count_ones(self, node: ast.Call) -> Operand:
        return self._bits_word(node, "ctpop", False)

    def _word_copysign(self, node: ast.Call) -> Operand:
        arguments = self.arguments(node, [FLOAT64, FLOAT64])
        double = ir.DoubleType()
        function = self.module.intrinsic("llvm.copysign.f64", double, [double, double])
        return Value(FLOAT64, self.builder.call(function, arguments))

    def _expect(self, node: ast.Call, outcome: int) -> Operand:
        function = self.module.intrinsic("llvm.expect.i1", I1, [I1, I1])
        test = self.condition(node.args[0])
        return Value(BOOL, self.builder.call(function, [test, ir.Constant(I1, outcome)]))

    def _word_likely(self, node: ast.Call) -> Operand:
        return self._expect(node, 1)

    def _word_unlikely(self, node: ast.Call) -> Operand:
        return self._expect(node, 0)

    def _copy(self, node: ast.Call, name: str) -> Operand:
        arguments = self.arguments(node, [POINTER, POINTER, INT64])
        kinds = [PTR, PTR, I64, I1]
        function = self.module.intrinsic(f"llvm.{name}.p0.p0.i64", ir.VoidType(), kinds)
        self.builder.call(function, [*arguments, ir.Constant(I1, 0)])
        return None

    def _word_memcpy(self, node: ast.Call) -> Operand:
        return self._copy(node, "memcpy")

    def _word_memmove(self, node: ast.Call) -> Operand:
        return self._copy(node, "memmove")

    def _word_memset(self, node: ast.Call) -> Operand:
        arguments = self.arguments(node, [POINTER, KINDS["i8"], INT64])
        function = self.module.intrinsic(
            "llvm.memset.p0.i64", ir.VoidType(), [PTR, I8, I64, I1]
        )
        self.builder.call(function, [*arguments, ir.Constant(I1, 0)])
        return None

    def _word_atomic_add(self, node: ast.Call) -> Operand:
        kind = self._kind_argument(node)
        value = self.as_kind(node, self.expression(node.args[2]), kind)
        before = self.builder.atomic_rmw("add", self._address(node, 1), value.llvm, "seq_cst")
        return Value(kind, before)

    def _word_atomic_load(self, node: ast.Call) -> Operand:
        kind = self._kind_argument(node)
        place = self._address(node, 1)
        return Value(
            kind, self.builder.load_atomic(place, "acquire", kind.size, typ=llvm_type(kind))
        )

    def _word_atomic_store(self, node: ast.Call) -> Operand:
        kind = self._kind_argument(node)
        value = self.as_kind(node, self.expression(node.args[2]), kind)
        # llvmlite's atomic store knows typed pointers only; an exchange is as strong
        self.builder.atomic_rmw("xchg", self._address(node, 1), value.llvm, "seq_cst")
        return None

    def _word_compare_and_swap(self, node: ast.Call) -> Operand:
        place = self._address(node, 0)
        old, new = (
            self.as_kind(node, self.expression(node.args[i]), INT64).llvm for i in (1, 2)
        )
        both = self.builder.cmpxchg(place, old, new, "seq_cst")
        found, replaced = (self.builder.extract_value(both, i) for i in (0, 1))
        return Pair(Value(INT64, found), Value(BOOL, replaced))
