"""Lower ``@native`` functions to one LLVM module.

::

    def next(p: ptr) -> i64:            define i64 @next(ptr %p) nounwind {
        return load(i64, p, 8)             %1 = getelementptr i8, ptr %p, i64 8
                                           %2 = load i64, ptr %1 ...

The entry point is ``lower_module``; here are statements, ``native_expressions`` and
``native_calls`` have the rest of a body.  Locals become allocas (LLVM's mem2reg makes them
registers); every mistake is a ``NativeError`` with file and line.  The grammar is in ``native``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from typing import Any

from llvmlite import ir

from scriptmode.codegen.native import KINDS, NativeFunction
from scriptmode.codegen.native_calls import CallLowering
from scriptmode.codegen.native_module import (
    INT64,
    Loop,
    ModuleLowering,
    Pair,
    Value,
    function_type,
    llvm_type,
)

__all__ = ["function_type", "llvm_type", "lower_module"]


def lower_module(
    functions: Iterable[NativeFunction], name: str = "native", *, hints: Sequence[str] = ()
) -> Any:
    """One LLVM module with ``functions`` and every native function that they call.

    ``hints`` are LLVM attributes of all of them, ``optsize`` for example.
    """
    lowering = ModuleLowering(name, hints)
    for function in functions:
        lowering.function(function)
    while (pending := lowering.take_pending()) is not None:
        FunctionLowering(lowering, pending).lower()
    return lowering.module


class FunctionLowering(CallLowering):
    """One function: its frame and its statements."""

    def lower(self) -> None:
        """Emit the body."""
        self.function.attributes.add("nounwind")
        general = () if self.native.is_fast else self.module.hints
        for hint in (*self.native.hints, *general):
            self.function.attributes.add(hint)
        if self.native.is_private:
            self.function.linkage = "internal"
        for (name, kind), argument in zip(self.native.parameters, self.function.args, strict=True):
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
        self.allocas.branch(self.body)

    def _block_is_reachable(self) -> bool:
        block = self.builder.block
        return any(
            block in getattr(b.terminator, "operands", ())
            for b in self.function.blocks
            if b.terminator is not None
        )

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
                for part, value in zip(target.elts, (operand.first, operand.second), strict=True):
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
