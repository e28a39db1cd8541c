"""Generated code calls the native library as the library is defined: checked when linking."""

from __future__ import annotations

import pytest
from llvmlite import ir

import scriptmode.ops  # noqa: F401  (declares the ops)
from scriptmode.codegen import module
from scriptmode.codegen.function import FunctionEmitter
from scriptmode.codegen.library import library
from scriptmode.frontend.script import compile_function
from tests import fourway

I64 = ir.IntType(64)


def listed(a: int):
    """The numbers below ``a``, forwards and backwards."""
    return list(range(a)), list(range(a, 0, -2)), list(range(-1, a))


def test_list_of_range_runs():
    fourway.check(listed, (3,), (0,), (-2,))


def test_a_call_of_the_wrong_type_is_found_when_linking(monkeypatch):
    program = compile_function(listed)
    true_call = FunctionEmitter.native_call

    def with_one_more(self, name, arguments, outputs=()):
        true_call(self, name, [*arguments, ir.Constant(I64, 0)], outputs)

    monkeypatch.setattr(FunctionEmitter, "native_call", with_one_more)
    unit = module.emit_program(program)
    with pytest.raises(TypeError, match="sm_list_range is .* but is called as"):
        module.link_requirements(unit, library())
