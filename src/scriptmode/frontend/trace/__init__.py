"""The trace front end: record the tensor operations of one run."""

from scriptmode.frontend.trace.calling import call_compiled, call_program
from scriptmode.frontend.trace.functions import plain_arguments
from scriptmode.frontend.trace.modules import ModuleTree
from scriptmode.frontend.trace.record import (
    Arguments,
    TracedMethod,
    TraceResult,
    trace_function,
    trace_module_methods,
)
from scriptmode.frontend.trace.scripted import Callee, is_compiled
from scriptmode.frontend.trace.state import Frozen, is_tracing
from scriptmode.frontend.trace.structure import InputTree, OutputTree

__all__ = [
    "Arguments", "Callee", "Frozen", "InputTree", "ModuleTree", "OutputTree", "TraceResult",
    "TracedMethod", "call_compiled", "call_program", "is_compiled", "is_tracing", "plain_arguments",
    "trace_function", "trace_module_methods",
]  # fmt: skip
