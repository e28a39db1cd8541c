"""Tables of the native dialect: which LLVM instruction an operator, test or conversion is."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scriptmode.codegen.native import Kind


@dataclass(frozen=True)
class BinaryRow:
    """An operator: its meaning on literals and its instructions."""

    fold: Callable[[Any, Any], Any]
    on_int: str | None
    on_float: str | None = None
    on_bool: bool = False


BINARY: Mapping[type[ast.operator], BinaryRow] = {
    ast.Add: BinaryRow(operator.add, "add", "fadd"),
    ast.Sub: BinaryRow(operator.sub, "sub", "fsub"),
    ast.Mult: BinaryRow(operator.mul, "mul", "fmul"),
    ast.Div: BinaryRow(operator.truediv, None, "fdiv"),
    ast.BitAnd: BinaryRow(operator.and_, "and_", on_bool=True),
    ast.BitOr: BinaryRow(operator.or_, "or_", on_bool=True),
    ast.BitXor: BinaryRow(operator.xor, "xor", on_bool=True),
    ast.LShift: BinaryRow(operator.lshift, "shl"),
    ast.RShift: BinaryRow(operator.rshift, "ashr"),
}

COMPARE: Mapping[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip

UNSIGNED_TESTS = {"ult": "<", "ule": "<=", "ugt": ">", "uge": ">="}
OVERFLOW = {
    "add_overflow": "sadd_with_overflow",
    "sub_overflow": "ssub_with_overflow",
    "mul_overflow": "smul_with_overflow",
}
FLOAT_INTRINSICS = {"fabs", "floor", "ceil", "trunc", "rint", "sqrt"}


def conversion(source: Kind, target: Kind) -> str | None:
    """The builder method of ``target(x)`` for ``x`` of another kind; None if there is none."""
    between = (source.category, target.category)
    if between == ("int", "int"):
        return "sext" if source.bits < target.bits else "trunc"
    if between == ("bool", "int"):
        return "zext"
    if between == ("float", "float"):
        return "fpext" if source.bits < target.bits else "fptrunc"
    if between == ("ptr", "int") and target.bits == 64:
        return "ptrtoint"
    if between == ("int", "ptr") and source.bits == 64:
        return "inttoptr"
    crossing = {
        ("int", "float"): "sitofp", ("float", "int"): "fptosi", ("bool", "float"): "uitofp",
    }  # fmt: skip
    return crossing.get(between)
