"""The functions of a TorchScript file as functions of a program, each lowered when it is needed."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from scriptmode.frontend.script.classes import exception_attributes
from scriptmode.ir import types as T
from scriptmode.ir.graph import Graph, Program, Value
from scriptmode.torchscript.classes import ClassTable
from scriptmode.torchscript.constants import NOT_CONSTANT, constant_of
from scriptmode.torchscript.emitter import Closure, Emitter
from scriptmode.torchscript.hooks import surround
from scriptmode.torchscript.sources import (
    ClassDeclaration,
    CodeFile,
    FunctionDeclaration,
    Sources,
)
from scriptmode.torchscript.statements import StatementLowering

_MOST_FUNCTIONS = 20_000


class Unit:
    """One program that is made of a file's code."""

    def __init__(
        self, sources: Sources, constants: Sequence[Any], version: int, problem: Any
    ) -> None:
        self.program = Program()
        self.sources = sources
        self.version = version
        self.classes = ClassTable(sources, self.program, problem)
        self._constants = constants
        self._known: dict[Any, str] = {}
        self._pending: list[Callable[[], None]] = []
        self._problem = problem
        self._current: Emitter | None = None

    @property
    def place(self) -> str:
        """The place in the code that was lowered last."""
        e = self._current
        line = getattr(e.node, "lineno", None) if e is not None else None
        return "code" if e is None else f"{e.file.entry}, line {line}"

    def type(self, node: ast.expr, file: CodeFile) -> T.Type:
        """The type that an expression says."""
        return self.classes.types.read(node, file)

    def constant(self, name: str, e: Emitter) -> Any:
        """The value ``CONSTANTS.c0``: a tensor, a text that cannot be written out, a tuple."""
        digits = name[1:]
        if name[:1] == "c" and digits.isdecimal() and len(digits) < 9:
            if int(digits) < len(self._constants):
                return self._constants[int(digits)]
        raise e.problem(f"there is no constant {name}")

    def base_exception(self) -> T.ClassType:
        """The type of what a handler is given."""
        name = "builtins.BaseException"
        found = self.program.classes.get(name)
        if found is None:
            found = T.ClassType(name, original_name="BaseException")
            found.python_class = BaseException
            found.attributes.update(exception_attributes(found))
            self.program.classes[name] = found
        return found

    # functions

    def method(self, owner: T.ClassType, name: str, e: Emitter | None = None) -> str:
        """The function that is a method of a class."""
        declared = self.classes.declaration(owner)
        node = declared.methods.get(name) if declared is not None else None
        if declared is None or node is None:
            what = f"{owner.name} has no method `{name}`"
            raise e.problem(what) if e is not None else self._problem(what, "code")
        key = (owner, name)
        if key not in self._known:
            qualified = f"{owner.name}.{name}"
            has_hooks = name == "forward" and bool(declared.pre_hooks or declared.hooks)
            if has_hooks:
                qualified += ".without_hooks"
            self._known[key] = self._declare(qualified, node, declared.file, [owner])
            if has_hooks:
                self._pending.insert(0, lambda: self._surround(owner, declared))
        return self._known[key]

    def _surround(self, owner: T.ClassType, declared: ClassDeclaration) -> None:
        """Enter ``forward`` as Python calls it: with the hooks around it."""
        forward = self.program.functions[self.method(owner, "forward")]
        graph = Graph(self.program.unique_name(f"{owner.name}.forward"))
        self.program.add(graph)
        e = Emitter(self, graph, declared.file, graph.name)
        e.at(declared.methods["forward"])

        def call(e: Emitter, name: str, args: Sequence[Value]) -> Value:
            return self._call(e, self.method(owner, name, e), args, {})

        surround(e, forward, declared.pre_hooks, declared.hooks, call)
        if "forward" in owner.methods:
            owner.methods["forward"] = graph.name

    def function(self, qualified: str, given: Sequence[Value], e: Emitter) -> str:
        """The function by this name, for modules as they are given."""
        declared = self.sources.find(qualified)
        if not isinstance(declared, FunctionDeclaration):
            raise e.problem(f"there is no function {qualified}")
        modules = tuple(
            v.type if isinstance(v.type, T.ClassType) and v.type.is_module else None for v in given
        )
        key = (qualified, modules)
        if key not in self._known:
            self._known[key] = self._declare(qualified, declared.node, declared.file, modules)
        return self._known[key]

    def _declare(
        self, qualified: str, node: ast.FunctionDef, file: CodeFile,
        types: Sequence[T.Type | None],
    ) -> str:  # fmt: skip
        """Enter a function; ``types`` are those of its first parameters that are known."""
        if len(self.program.functions) > _MOST_FUNCTIONS:
            raise file.problem(node, "too many functions")
        graph = Graph(self.program.unique_name(qualified))
        graph.span = file.span(node, qualified)
        arguments = node.args
        if arguments.vararg or arguments.kwarg or arguments.posonlyargs:
            raise file.problem(node, "parameters that are not written out")
        parameters = [*arguments.args, *arguments.kwonlyargs]
        known = [*types, *[None] * len(parameters)]
        for parameter, t in zip(parameters, known, strict=False):
            if t is None and parameter.annotation is None:
                raise file.problem(node, f"the parameter `{parameter.arg}` has no type")
            if t is None:
                assert parameter.annotation is not None
                t = self.type(parameter.annotation, file)
            graph.add_param(t, parameter.arg)
        if node.returns is None:
            raise file.problem(node, f"{qualified} has no type of its result")
        graph.return_type = self.type(node.returns, file)
        self._set_defaults(graph, node, file)
        self.program.add(graph)
        self._pending.append(lambda: self._lower(graph, node, file, qualified))
        return graph.name

    def _set_defaults(self, graph: Graph, node: ast.FunctionDef, file: CodeFile) -> None:
        arguments = node.args
        names = [a.arg for a in arguments.args]
        pairs: list[tuple[str, ast.expr | None]] = list(
            zip(names[len(names) - len(arguments.defaults) :], arguments.defaults, strict=True)
        )
        keyword = [a.arg for a in arguments.kwonlyargs]
        pairs += zip(keyword, arguments.kw_defaults, strict=True)
        graph.kwarg_only |= set(keyword)
        types = {p.name: p.type for p in graph.params}
        for name, default in pairs:
            if default is not None:
                graph.defaults[name] = self._default(default, types[name], file)

    def _default(self, node: ast.expr, t: T.Type, file: CodeFile) -> Any:
        """The Python value of a default."""
        value = constant_of(node)
        inner = T.unwrap_optional(t)
        if value is not NOT_CONSTANT:
            return float(value) if inner == T.FLOAT and type(value) is int else value
        match node:
            case ast.Attribute(value=ast.Name(id="CONSTANTS"), attr=name):
                return self.constant(name, Emitter(self, Graph(), file, ""))
            case ast.List(elts=items):
                element = inner.element if isinstance(inner, T.ListType) else T.ANY
                return [self._default(i, element, file) for i in items]
            case ast.Tuple(elts=items):
                return tuple(self._default(i, T.ANY, file) for i in items)
            case ast.Call(func=ast.Name(id="annotate"), args=[_, value_node]):
                return self._default(value_node, t, file)
            case ast.Call(func=ast.Attribute(attr="device"), args=[ast.Constant(str() as text)]):
                try:
                    return torch.device(text)
                except RuntimeError as error:
                    raise file.problem(node, f"no device: {error}"[:200]) from None
        raise file.problem(node, "a default that is no constant")

    def _lower(self, graph: Graph, node: ast.FunctionDef, file: CodeFile, qualified: str) -> None:
        lowering = StatementLowering(self, graph, file, qualified)
        lowering.names = {p.name: p for p in graph.params}
        self._run(lowering, node)

    def _run(self, lowering: StatementLowering, node: ast.FunctionDef) -> None:
        before, self._current = self._current, lowering
        lowering.at(node)
        lowering.body(node.body)
        if not lowering.is_dead:
            if lowering.graph.return_type not in (None, T.NONE):
                raise lowering.problem("a function that ends without a result", node)
            lowering.graph.return_type = T.NONE
            lowering.yield_([lowering.none()])
        if lowering.graph.return_type is None:
            lowering.graph.return_type = T.NONE
        self._current = before

    def finish(self) -> None:
        """Lower all that is called."""
        while self._pending:
            self._pending.pop()()
        self._leave_unread()
        self.classes.finish()

    def _leave_unread(self) -> None:
        """Leave attributes of unknown types to Python where no code reads them."""
        used = {
            (node.inputs[0].type, node.attributes["name"])
            for graph in self.program.functions.values()
            for node in graph.walk()
            if node.kind in ("prim::GetAttr", "prim::SetAttr")
        }
        for t in self.program.classes.values():
            for name, kind in list(t.attributes.items()) if t.is_module else ():
                if T.ANY in T.walk(kind) and (t, name) not in used:
                    del t.attributes[name]

    def closure(self, e: Emitter, closure: Closure) -> tuple[str, list[Value], T.Type]:
        """A function inside of another as one of its own: its name, what it captures, its result.

        What it captures is given to it as arguments.
        """
        node = closure.node
        if node.args.args or node.args.vararg or node.args.kwarg:
            raise e.problem("a function inside of another that has parameters", node)
        graph = Graph(self.program.unique_name(f"{e.function}.{node.name}"))
        self.program.add(graph)
        lowering = StatementLowering(self, graph, e.file, graph.name)
        captured: list[Value] = []
        used = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        for name, bound in closure.names.items():
            if isinstance(bound, Value) and name in used:
                captured.append(bound)
                lowering.names[name] = graph.add_param(bound.type, name)
            elif not isinstance(bound, Value):
                lowering.names[name] = bound
        self._run(lowering, node)
        assert graph.return_type is not None
        return graph.name, captured, graph.return_type

    # calls

    def call_function(
        self, e: Emitter, qualified: str, args: Sequence[Value], kwargs: Mapping[str, Value]
    ) -> Value:
        """Append a call of a function of the code."""
        return self._call(e, self.function(qualified, args, e), args, kwargs)

    def _call(
        self, e: Emitter, name: str, args: Sequence[Value], kwargs: Mapping[str, Value]
    ) -> Value:
        graph = self.program.functions[name]
        params = graph.params
        if len(args) > len(params) or set(kwargs) - {p.name for p in params[len(args) :]}:
            raise e.problem(f"{graph.name} takes other arguments")
        inputs = []
        for index, param in enumerate(params):
            if index < len(args):
                value = args[index]
            elif param.name in kwargs:
                value = kwargs[param.name]
            elif param.name in graph.defaults:
                value = self._default_value(e, graph.defaults[param.name], param.type)
            else:
                raise e.problem(f"{graph.name} misses its argument `{param.name}`")
            inputs.append(e.fit(value, param.type, f"`{param.name}`"))
        assert graph.return_type is not None
        return e.builder.call(name, inputs, graph.return_type)

    def _default_value(self, e: Emitter, value: Any, t: T.Type) -> Value:
        inner = T.unwrap_optional(t)
        if isinstance(value, list) and isinstance(inner, T.ListType):
            items = [self._default_value(e, v, inner.element) for v in value]
            return e.builder.list(items, inner.element)
        return e.constant(value, t)

    def call_method(
        self, e: Emitter, owner: Value, name: str, args: Sequence[Value],
        kwargs: Mapping[str, Value],
    ) -> Value:  # fmt: skip
        """Append a call of a method; that of an interface asks which class the object is of."""
        t = owner.type
        assert isinstance(t, T.ClassType)
        declared = self.classes.declaration(t)
        if declared is None or declared.kind != "interface":
            return self._call(e, self.method(t, name, e), [owner, *args], kwargs)
        node = declared.methods.get(name)
        if node is None or node.returns is None:
            raise e.problem(f"{t.name} has no method `{name}`")
        result = self.type(node.returns, declared.file)
        every = [c for c in self.program.classes.values() if t in c.bases]

        def called(index: int) -> Value:
            if index == len(every):
                e.raise_(RuntimeError, e.constant(f"no class for {t.name}.{name}"))
                return owner
            own = every[index]

            def call() -> Value:
                whole = [e.builder.cast(owner, own), *args]
                return e.fit(self._call(e, self.method(own, name, e), whole, kwargs), result)

            here = e.builder.node("prim::isinstance", [owner], [T.BOOL], types=(own,)).output
            return e.choose(here, call, lambda: called(index + 1), result)

        return called(0)
