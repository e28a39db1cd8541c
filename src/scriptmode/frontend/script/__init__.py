"""The script front end: Python source to IR."""

from scriptmode.frontend.script.classes import ClassFacts, is_user_class
from scriptmode.frontend.script.compile import compile_function, compile_module, entry_methods

__all__ = [
    "ClassFacts", "compile_function", "compile_module", "entry_methods", "is_user_class",
]  # fmt: skip
