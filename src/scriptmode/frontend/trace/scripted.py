"""Compiled functions and modules inside a trace: one call, control flow kept.

The functions, class types and captured objects of the callee's program are merged into the one
being recorded; names that are taken get a number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from scriptmode.frontend.conversion import convert
from scriptmode.frontend.trace import numbers
from scriptmode.frontend.trace.recorder import Recorder
from scriptmode.interp import Interpreter
from scriptmode.ir import types as T
from scriptmode.ir.graph import Graph, Program, Value, copy_graph
from scriptmode.support.diagnostics import ScriptError

PROTOCOL = "__scriptmode_ir__"


class Linker:
    """Merges programs into ``target``, each one once."""

    def __init__(self, target: Program) -> None:
        self.target = target
        self._functions: dict[int, tuple[Program, dict[str, str]]] = {}

    def link(self, program: Program) -> Mapping[str, str]:
        """Merge ``program``; the new names of its functions by their old ones."""
        known = self._functions.get(id(program))
        if known is None:
            known = program, _Merge(self.target, program).run()
            self._functions[id(program)] = known
        return known[1]


class _Merge:
    def __init__(self, target: Program, source: Program) -> None:
        self.target, self.source = target, source
        self.classes: dict[str, T.ClassType] = {}
        self.globals: dict[str, str] = {}
        self.names: dict[str, str] = {}

    def run(self) -> dict[str, str]:
        for name in self.source.functions:
            new = self.target.unique_name(name)
            self.target.functions[new] = Graph(new)  # reserves the name
            self.names[name] = new
        self._merge_types()
        for name, value in self.source.globals.items():
            self.globals[name] = self._global(name, value)
        for name, graph in self.source.functions.items():
            copy = copy_graph(graph)
            copy.name = self.names[name]
            self._rewrite(copy)
            self.target.functions[copy.name] = copy
        return self.names

    def _merge_types(self) -> None:
        for name, t in self.source.classes.items():
            new, number = name, 0
            while self.target.classes.get(new, t) is not t:
                number += 1
                new = f"{name}.{number}"
            self.classes[name] = t if new == name else self._renamed(t, new)
            self.target.classes[new] = self.classes[name]
        if any(c is not self.source.classes[n] for n, c in self.classes.items()) or (
            self._renames_functions()
        ):
            self._retype_classes()
        for name, enumeration in self.source.enums.items():
            self.target.enums.setdefault(name, enumeration)
        for name, named in self.source.named_tuples.items():
            self.target.named_tuples.setdefault(name, named)

    def _renames_functions(self) -> bool:
        return any(old != new for old, new in self.names.items())

    @staticmethod
    def _renamed(t: T.ClassType, name: str) -> T.ClassType:
        new = T.ClassType(name, is_module=t.is_module, original_name=t.original_name)
        new.attributes, new.methods = dict(t.attributes), dict(t.methods)
        new.constants, new.python_class = dict(t.constants), t.python_class
        new.parameters, new.buffers = set(t.parameters), set(t.buffers)
        return new

    def _retype_classes(self) -> None:
        # methods and attributes name functions and types of the merged program
        for name, t in list(self.classes.items()):
            if t is self.source.classes[name]:
                self.classes[name] = self._renamed(t, t.name)
                self.target.classes[t.name] = self.classes[name]
        for t in self.classes.values():
            t.attributes = {n: self.retype(a) for n, a in t.attributes.items()}
            t.methods = {n: self.names.get(f, f) for n, f in t.methods.items()}

    def _global(self, name: str, value: Any) -> str:
        new, number = name, 0
        while new in self.target.globals and self.target.globals[new] is not value:
            number += 1
            new = f"{name}_{number}"
        self.target.globals[new] = value
        return new

    def retype(self, t: T.Type) -> T.Type:
        """``t`` over the merged classes."""
        if isinstance(t, T.ClassType):
            return self.classes.get(t.name, t)
        if not t.contained:
            return t
        return t.with_contained([self.retype(c) for c in t.contained])

    def _rewrite(self, graph: Graph) -> None:
        if graph.return_type is not None:
            graph.return_type = self.retype(graph.return_type)
        for param in graph.params:
            param.type = self.retype(param.type)
        for node in graph.walk():
            for output in node.outputs:
                output.type = self.retype(output.type)
            for block in node.blocks:
                for param in block.params:
                    param.type = self.retype(param.type)
            attributes = node.attributes
            if "callee" in attributes:
                attributes["callee"] = self.names.get(attributes["callee"], attributes["callee"])
            if node.kind == "prim::Global":
                attributes["name"] = self.globals[attributes["name"]]
            if "types" in attributes:
                attributes["types"] = tuple(self.retype(t) for t in attributes["types"])


def is_compiled(value: Any) -> bool:
    """Whether ``value`` offers its program by the protocol."""
    return getattr(type(value), PROTOCOL, None) is not None


@dataclass(frozen=True)
class Callee:
    """A function of a compiled program.

    ``owner`` is the module object that the program runs with, ``holder`` the module as the traced
    code has it.  ``flatten`` and ``unflatten`` are those of a recorded function, whose graph takes
    and returns flat leaves.
    """

    program: Program
    name: str
    owner: Any = None
    holder: Any = None
    flatten: Callable[[Sequence[Any], Mapping[str, Any]], Sequence[Any]] | None = None
    unflatten: Callable[[Any], Any] | None = None


def record_program(
    recorder: Recorder,
    linker: Linker,
    callee: Callee,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> Any:
    """Record one call of ``callee`` and run it by the interpreter for its value."""
    program, name = callee.program, callee.name
    linked = linker.link(program)[name]
    graph = recorder.program.functions[linked]
    if callee.flatten is not None:
        args, kwargs = callee.flatten(args, kwargs), {}
    recorder.before_call()
    params = list(graph.params)
    inputs: list[Value] = []
    plain: list[Any] = []
    if callee.owner is not None:
        inputs.append(_self_value(recorder, callee.holder, params.pop(0).type))
        plain.append(callee.owner)
    for param, value in _bind(recorder, graph, params, args, kwargs):
        inputs.append(value_for(recorder, param.type, value, f"{name}() argument {param.name}"))
        plain.append(_plain(value))
    assert graph.return_type is not None, "a compiled function has its return type"
    result_value = recorder.builder.call(linked, inputs, graph.return_type)
    assert recorder.call_hooks is not None, "the recorder was started"
    if isinstance(callee.owner, torch.nn.Module):
        recorder.snapshot.add_module(callee.owner)
    with recorder.call_hooks.claimed():
        result = Interpreter(program).run(name, *plain)
    recorder.index.rescan()
    result = recorder.bind_result(result, result_value, name)
    return result if callee.unflatten is None else callee.unflatten(result)


def _self_value(recorder: Recorder, holder: Any, own: T.Type) -> Value:
    assert isinstance(holder, torch.nn.Module) and isinstance(own, T.ClassType)
    known = recorder.index.find(holder)
    if known is None:
        recorder.index.capture(holder, type(holder).__name__.lower())
        known = recorder.index.find(holder)
    assert known is not None and recorder.reads is not None, "the module was just captured"
    known.class_type = own
    value = recorder.reads.module(known)
    value.type = own
    return value


def _bind(
    recorder: Recorder,
    graph: Graph,
    params: Sequence[Value],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> list[tuple[Value, Any]]:
    names = [p.name for p in params]
    given = dict(zip(names, args, strict=False))
    if len(args) > len(names) or set(kwargs) & set(given) or set(kwargs) - set(names):
        recorder.refuse("SM0621", f"{graph.name}() got arguments that do not fit its parameters")
    given |= kwargs
    pairs = []
    for param in params:
        if param.name not in given and param.name not in graph.defaults:
            recorder.refuse("SM0621", f"{graph.name}() misses argument `{param.name}`")
        value = given.get(param.name, graph.defaults.get(param.name))
        pairs.append((param, value))
    return pairs


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return type(value)([_plain(v) for v in value])
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return numbers.plain(value)


def value_for(recorder: Recorder, formal: T.Type, value: Any, what: str) -> Value:
    """A Python value, nested containers too, as an IR value of type ``formal``."""
    builder, inner = recorder.builder, T.unwrap_optional(formal)
    if value is None and T.is_optional(formal):
        return builder.constant(None)
    if isinstance(inner, T.ListType) and isinstance(value, (list, tuple)):
        items = [value_for(recorder, inner.element, v, what) for v in value]
        return builder.list(items, inner.element)
    if isinstance(inner, T.DictType) and isinstance(value, dict):
        parts: list[Value] = []
        for key, item in value.items():
            parts.append(value_for(recorder, inner.key, key, what))
            parts.append(value_for(recorder, inner.value, item, what))
        return builder.node("prim::DictConstruct", parts, [inner]).output
    if isinstance(inner, T.TupleType) and isinstance(value, tuple):
        if len(value) == len(inner.elements):
            pairs = zip(inner.elements, value, strict=True)
            return builder.tuple([value_for(recorder, t, v, what) for t, v in pairs], inner)
    try:
        return convert(builder, formal, recorder.operand(value))
    except ScriptError as error:
        reason = error.diagnostics[0].message
        recorder.refuse("SM0622", f"{what} is a {inner}: {reason}")
    raise AssertionError("refuse raises")
