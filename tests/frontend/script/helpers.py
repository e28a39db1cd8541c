"""Compile a program, verify it, run it in the reference interpreter and compare with eager."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch

from scriptmode.frontend.script import compile_function, compile_module
from scriptmode.interp import Interpreter
from scriptmode.ir import types as T
from scriptmode.ir.graph import Program
from scriptmode.ir.verifier import verify_program
from scriptmode.ops.aten import schema_of
from tests.fourway import compare, outcome

torch.set_num_threads(1)


def compiled(
    target: Any, arg_types: Mapping[str, T.Type] | None = None, methods: list[str] | None = None
) -> Program:
    """The verified program of a function or module."""
    if isinstance(target, torch.nn.Module):
        types = None if arg_types is None else {"forward": arg_types}
        program = compile_module(target, methods, types)
    else:
        program = compile_function(target, arg_types)
    verify_program(program, schema_of)
    return program


def runner(program: Program) -> Callable[..., Any]:
    """The program as a callable."""
    return lambda *args: Interpreter(program).run_root(*args)


def check(target: Any, *argument_sets: tuple[Any, ...], **arg_types: T.Type) -> Program:
    """Results, exceptions and changed arguments equal eager's."""
    subject = copy.deepcopy(target) if isinstance(target, torch.nn.Module) else target
    program = compiled(subject, arg_types or None)
    for args in argument_sets or ((),):
        want = outcome(target, args)
        got = outcome(runner(program), args)
        compare(want, got, f"{getattr(target, '__name__', target)}{args}")
    return program


def text_of(program: Program) -> str:
    """All graphs."""
    return "\n".join(map(str, program.functions.values()))
