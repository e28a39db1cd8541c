"""Python to IR, and the names by which callers know the errors of compilation.

``FrontendError`` is every error of a compilation, ``NotSupportedError`` one about a construct that
cannot be compiled, ``FrontendTypeError`` one about types.
"""

from scriptmode.support.diagnostics import CompileError as FrontendError
from scriptmode.support.diagnostics import NotSupportedError
from scriptmode.support.diagnostics import NotSupportedError as UnsupportedNodeError
from scriptmode.support.diagnostics import ScriptTypeError as FrontendTypeError

__all__ = ["FrontendError", "FrontendTypeError", "NotSupportedError", "UnsupportedNodeError"]
