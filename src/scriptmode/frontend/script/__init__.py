"""The script front end: Python source to IR."""

from scriptmode.frontend.script.compile import compile_function, compile_module, entry_methods

__all__ = ["compile_function", "compile_module", "entry_methods"]
