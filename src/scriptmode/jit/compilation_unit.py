"""``CompilationUnit``: functions and classes compiled from text.

::

    unit = scriptmode.CompilationUnit('''
        def double(x):
            return x + x

        def four_times(x):
            return double(double(x))
    ''')
    unit.four_times(torch.ones(2))
"""

from __future__ import annotations

import types
from typing import Any

from scriptmode.interp import Interpreter
from scriptmode.ir.graph import Graph, Program
from scriptmode.jit import text
from scriptmode.jit.dispatch import Dispatcher
from scriptmode.jit.function import ScriptFunction, script_function
from scriptmode.jit.tracing import TracedFunction
from scriptmode.support.markers import is_interface


class CompilationUnit:
    """Functions by name, each a ``ScriptFunction``; they see each other."""

    def __init__(self, lang: str | None = None, _frames_up: int = 0) -> None:
        self._functions: dict[str, ScriptFunction] = {}
        self._names: dict[str, Any] = {}
        if lang is not None:
            self.define(lang, _frames_up=_frames_up + 1)

    def define(self, lang: str, rcb: Any = None, _frames_up: int = 0) -> None:
        """Compile the functions of a text, which may use the names that its caller sees."""
        names = text.names_of_caller(_frames_up)
        found = text.define(lang, {**names, **self._names})
        self._names.update(found)
        for name, value in found.items():
            if isinstance(value, types.FunctionType):
                self._functions[name] = script_function(value)

    def find_function(self, name: str) -> ScriptFunction | None:
        """The function of that name, if there is one."""
        return self._functions.get(name)

    def get_functions(self) -> list[ScriptFunction]:
        """Every function."""
        return list(self._functions.values())

    def get_class(self, name: str) -> type | None:
        """The class of that name that the text has defined, if there is one."""
        found = self._names.get(name)
        return found if isinstance(found, type) and not is_interface(found) else None

    def get_interface(self, name: str) -> type | None:
        """The interface of that name that the text has defined, if there is one."""
        found = self._names.get(name)
        return found if isinstance(found, type) and is_interface(found) else None

    def create_function(
        self, qualified_name: str, graph: Graph, should_mangle: bool = False
    ) -> ScriptFunction:
        """A function of a graph that calls no others."""
        name = qualified_name
        number = 0
        while should_mangle and name in self._functions:
            number += 1
            name = f"{qualified_name}.{number}"
        program = Program(graph.name)
        program.add(graph)

        def run(*args: Any) -> Any:
            return Interpreter(program).run(graph.name, *args)

        run.__name__ = run.__qualname__ = name
        made = TracedFunction(run, Dispatcher(name, program, graph.name), None)
        self._functions[name] = made
        return made

    def drop_all_functions(self) -> None:
        """Forget every function and class."""
        self._functions.clear()
        self._names.clear()

    def __getattr__(self, name: str) -> ScriptFunction:
        found = self.__dict__.get("_functions", {}).get(name)
        if found is None:
            raise AttributeError(f"this CompilationUnit has no function {name!r}")
        return found  # type: ignore[no-any-return]


__all__ = ["CompilationUnit"]
