"""Lower expressions of the native dialect; calls are in ``native_calls``."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from typing import Any

from llvmlite import ir

from scriptmode.codegen import native_words as words
from scriptmode.codegen.native import Kind, NativeError, NativeFunction, Symbol
from scriptmode.codegen.native_module import (
    BOOL,
    FLOAT64,
    I1,
    I8,
    I64,
    INT64,
    POINTER,
    PTR,
    Loop,
    ModuleLowering,
    Operand,
    Pair,
    Value,
    llvm_type,
)


class ExpressionLowering:
    """The state of one function body, its locals and its expressions but calls."""

    def __init__(self, module: ModuleLowering, function: NativeFunction) -> None:
        self.module = module
        self.native = function
        self.syntax = module.sources.find(function)
        self.names = function.python.__globals__
        self.function = module.function(function)
        self.locals: dict[str, Value] = {}
        self.loops: list[Loop] = []
        # locals lie in the entry block, where LLVM makes registers of them
        self.allocas = ir.IRBuilder(self.function.append_basic_block("entry"))
        self.body = self.function.append_basic_block("body")
        self.builder = ir.IRBuilder(self.body)

    def error(self, node: ast.AST, message: str) -> NativeError:
        """A mistake at ``node``."""
        path = self.native.python.__code__.co_filename
        return NativeError(f"{path}:{getattr(node, 'lineno', 0)}: {message}")

    # ---- locals and literals ----

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
