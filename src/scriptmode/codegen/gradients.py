"""Lowering of ``autograd::grad``: libtorch's engine, called without the GIL."""

from __future__ import annotations

from llvmlite import ir

from scriptmode.codegen.aten import issue_warnings
from scriptmode.codegen.function import FunctionEmitter
from scriptmode.codegen.lowering import DEFINED, lower
from scriptmode.ir.graph import Node

WITHOUT_GIL = "autograd::grad"  # programs with such nodes always release it


@lower(WITHOUT_GIL)
def emit_grad(f: FunctionEmitter, node: Node, *arguments: ir.Value) -> object:
    """The thunk of ``torch::autograd::grad``."""
    assert node.schema is not None
    f.checked_call(f.unit.thunk(node.schema), arguments, node.outputs)
    issue_warnings(f, node)
    return DEFINED
