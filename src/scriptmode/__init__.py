"""Script mode for PyTorch: script or trace a module into one native program.

::

    scripted = scriptmode.script(module)          # compile its Python source
    traced = scriptmode.trace(module, (x,))       # record one run
    scripted(x)                                   # native code

The names are those of ``torch.jit``.
"""

from scriptmode.ir.graph import Block, Graph, Node, Program, Value
from scriptmode.jit.api import is_scripting, is_tracing, script, script_if_tracing
from scriptmode.jit.dispatch import bailout_count
from scriptmode.jit.function import ScriptFunction
from scriptmode.jit.module import ScriptModule
from scriptmode.jit.tracing import TracedFunction, TracedModule, trace, trace_module
from scriptmode.runtime import link
from scriptmode.support import config
from scriptmode.support.diagnostics import (
    ArgumentError,
    CompileError,
    Diagnostic,
    InternalError,
    NotBuiltError,
    ScriptAttributeError,
    ScriptError,
    ScriptNameError,
    ScriptSyntaxError,
    ScriptTypeError,
    ScriptWarning,
    TraceError,
    TracerWarning,
)
from scriptmode.support.markers import export, ignore, unused
from scriptmode.tools.explain import explain
from scriptmode.version import __version__

__all__ = [
    "ArgumentError", "Block", "CompileError", "Diagnostic", "Graph", "InternalError", "Node",
    "NotBuiltError", "Program", "ScriptAttributeError", "ScriptError", "ScriptFunction",
    "ScriptModule", "ScriptNameError", "ScriptSyntaxError", "ScriptTypeError", "ScriptWarning",
    "TraceError", "TracedFunction", "TracedModule", "TracerWarning", "Value", "__version__",
    "bailout_count", "config", "explain", "export", "ignore", "is_scripting", "is_tracing", "link",
    "script", "script_if_tracing", "trace", "trace_module", "unused",
]  # fmt: skip
