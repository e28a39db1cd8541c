"""Every op has native code, or is listed here with the reason."""

from __future__ import annotations

from llvmlite import ir

import scriptmode.ops  # noqa: F401  (declares the ops)
from scriptmode.abi.layouts import llvm_type
from scriptmode.codegen import lowering, module
from scriptmode.codegen.library import native_name
from scriptmode.ir import types as T
from scriptmode.ops import table
from scriptmode.ops.prim import STRUCTURAL
from scriptmode.runtime import nativelib

assert module.LOWERINGS

# ops that raise NotBuiltError when compiled, with the reason
NOT_BUILT: dict[str, str] = {}


def flat(t: ir.Type) -> list[str]:
    """The scalars of an argument, in the order in which they are passed."""
    if isinstance(t, ir.LiteralStructType):
        return [scalar for element in t.elements for scalar in flat(element)]
    return [str(t)]


def signature(definition: table.OpDef) -> list[str]:
    """What the library's function for an op takes: see ``codegen.library``."""
    arguments = ["ptr"]
    for argument in definition.schema.arguments:
        generic = isinstance(argument.type, T.TypeVar)
        if generic or T.has_type_var(argument.type):
            arguments.append("ptr")
        else:
            arguments += flat(llvm_type(argument.type))
    return arguments + ["ptr"] * bool(definition.schema.returns)


def test_every_op_has_native_code_or_a_reason():
    missing = []
    for definition in table.all_ops():
        kind = definition.schema.kind
        if lowering.find(kind) is None and native_name(kind) not in nativelib.functions():
            missing.append(kind)
    assert sorted(missing) == sorted(NOT_BUILT)


def test_every_structural_op_has_a_lowering():
    assert [kind for kind in STRUCTURAL if lowering.find(kind) is None] == []


def test_library_functions_take_what_ops_pass():
    wrong = {}
    for definition in table.all_ops():
        name = native_name(definition.schema.kind)
        if lowering.find(definition.schema.kind) is None and name in nativelib.functions():
            taken = [str(t) for t in nativelib.signature(name).args]
            if (
                taken != signature(definition)
                or str(nativelib.signature(name).return_type) != "i32"
            ):
                wrong[definition.schema.kind] = (taken, signature(definition))
    assert wrong == {}
