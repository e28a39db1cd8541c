"""Script mode for PyTorch: script or trace a module into one native program.

::

    scripted = scriptmode.script(module)          # compile its Python source
    traced = scriptmode.trace(module, (x,))       # record one run
    scripted(x)                                   # native code

The names are those of ``torch.jit``.
"""

from typing import Final

from scriptmode import frontend
from scriptmode.ir.graph import Block, Graph, Node, Program, Value
from scriptmode.jit.api import is_scripting, is_tracing, script, script_if_tracing, specialize
from scriptmode.jit.compilation_unit import CompilationUnit
from scriptmode.jit.dispatch import bailout_count
from scriptmode.jit.exporting import export_library
from scriptmode.jit.function import ScriptFunction
from scriptmode.jit.inspection import export_opnames, last_executed_optimized_graph
from scriptmode.jit.later import (
    freeze,
    jit_module_from_flatbuffer,
    optimize_for_inference,
    run_frozen_optimizations,
    save_jit_module_to_flatbuffer,
)
from scriptmode.jit.loading import load
from scriptmode.jit.module import RecursiveScriptModule, ScriptModule
from scriptmode.jit.saving import save
from scriptmode.jit.settings import (
    enable_onednn_fusion,
    fuser,
    onednn_fusion_enabled,
    optimized_execution,
    set_fusion_strategy,
)
from scriptmode.jit.tracing import TracedFunction, TracedModule, trace, trace_module
from scriptmode.jit.tracing import TracedModule as TopLevelTracedModule
from scriptmode.runtime import link
from scriptmode.support import config
from scriptmode.support.containers import ScriptDict, ScriptList
from scriptmode.support.diagnostics import (
    ArchiveError,
    ArgumentError,
    CompileError,
    Diagnostic,
    InternalError,
    NotBuiltError,
    NotSupportedError,
    ScriptAttributeError,
    ScriptError,
    ScriptNameError,
    ScriptSyntaxError,
    ScriptTypeError,
    ScriptWarning,
    TraceError,
    TracerWarning,
    TracingCheckError,
)
from scriptmode.support.futures import Future, fork, wait
from scriptmode.support.futures import awaitable as _awaitable
from scriptmode.support.futures import awaitable_nowait as _awaitable_nowait
from scriptmode.support.futures import awaitable_wait as _awaitable_wait
from scriptmode.support.instances import is_instance as isinstance
from scriptmode.support.markers import (
    Attribute,
    _IgnoreContextManager,
    _overload,
    _overload_method,
    _unwrap_optional,
    annotate,
    export,
    ignore,
    interface,
    script_method,
    strict_fusion,
    unused,
)
from scriptmode.tools.explain import explain
from scriptmode.transforms import scripted_gradients  # noqa: F401  (grad inside of scripts)
from scriptmode.transforms.checkpoints import checkpoint
from scriptmode.transforms.forward_mode import jvp
from scriptmode.transforms.gradients import grad, hessian, value_and_grad, vjp
from scriptmode.version import __version__

# What a compiled program raises is the exception itself: this is the base of all of them.
Error = Exception

__all__ = [
    "ArchiveError", "ArgumentError", "Attribute", "Block", "CompilationUnit", "CompileError",
    "Diagnostic", "Error", "Final", "Future", "Graph", "InternalError", "Node", "NotBuiltError",
    "NotSupportedError", "Program", "RecursiveScriptModule", "ScriptAttributeError",
    "ScriptDict", "ScriptError", "ScriptFunction", "ScriptList", "ScriptModule",
    "ScriptNameError", "ScriptSyntaxError", "ScriptTypeError", "ScriptWarning",
    "TopLevelTracedModule", "TraceError", "TracedFunction", "TracedModule", "TracerWarning",
    "TracingCheckError", "Value", "_IgnoreContextManager", "__version__", "_awaitable",
    "_awaitable_nowait", "_awaitable_wait", "_overload", "_overload_method", "_unwrap_optional",
    "annotate", "bailout_count", "checkpoint", "config", "enable_onednn_fusion", "explain",
    "export", "export_library", "export_opnames", "fork", "freeze", "frontend", "fuser", "grad",
    "hessian", "ignore", "interface",
    "is_scripting", "is_tracing", "isinstance", "jit_module_from_flatbuffer", "jvp",
    "last_executed_optimized_graph", "link", "load", "onednn_fusion_enabled",
    "optimize_for_inference", "optimized_execution", "run_frozen_optimizations", "save",
    "save_jit_module_to_flatbuffer", "script", "script_if_tracing", "script_method",
    "set_fusion_strategy", "specialize", "strict_fusion", "trace", "trace_module", "unused",
    "value_and_grad", "vjp", "wait",
]  # fmt: skip
