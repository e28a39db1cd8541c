"""Lowerings of str ops that the native library does not take as they are."""

from __future__ import annotations

from llvmlite import ir

from scriptmode.codegen.function import FunctionEmitter
from scriptmode.codegen.library import emit_native
from scriptmode.codegen.lowering import DEFINED, lower
from scriptmode.ir.graph import Node


@lower("str::concat")
def str_concat(f: FunctionEmitter, node: Node, a: ir.Value, b: ir.Value) -> object:
    """``a + b``, in the memory of ``a`` when that is not needed any more."""
    if not node.attributes.get("moved"):
        return emit_native(f, node, a, b)
    f.give_up(node.inputs[0])
    f.native_call("sm_str_append", [a, b], node.outputs)
    return DEFINED
