"""Lower calls of the native dialect: conversions, native and extern functions, intrinsic words."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from scriptmode.codegen import native_words as words
from scriptmode.codegen.native import INTRINSICS, KINDS, Extern, Kind, NativeFunction
from scriptmode.codegen.native_expressions import ExpressionLowering
from scriptmode.codegen.native_module import (
    BOOL,
    FLOAT64,
    I1,
    I8,
    I64,
    INT64,
    POINTER,
    PTR,
    Operand,
    Pair,
    Value,
    llvm_type,
)


class _Callee:
    """An address with the function type that llvmlite's call instruction asks for."""

    type = PTR
    opaque_ptr_type = PTR
    calling_convention = ""

    def __init__(self, address: Any, function_type: Any) -> None:
        self.get_reference = address.get_reference
        self.function_type = function_type


class CallLowering(ExpressionLowering):
    """Calls of one function body."""

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
                self.builder.call(self.module.intrinsic(f"llvm.{word}.f64", double, [double]), [x]),
            )
        if len(node.args) != 2:
            raise self.error(node, f"{word} has two arguments")
        a, b = self.same_kind(node, self.expression(node.args[0]), self.expression(node.args[1]))
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
        function = self.module.intrinsic("llvm.memset.p0.i64", ir.VoidType(), [PTR, I8, I64, I1])
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
        old, new = (self.as_kind(node, self.expression(node.args[i]), INT64).llvm for i in (1, 2))
        both = self.builder.cmpxchg(place, old, new, "seq_cst")
        found, replaced = (self.builder.extract_value(both, i) for i in (0, 1))
        return Pair(Value(INT64, found), Value(BOOL, replaced))
