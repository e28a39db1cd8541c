"""Types by annotation: of parameters, results, variables, and attributes of classes.

An annotation may be an object, syntax, or the text of a type comment.
"""

from __future__ import annotations

import ast
import inspect
import types
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from scriptmode.frontend.script import annotations as A
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.environment import Scope, closure_of
from scriptmode.frontend.script.functions import Target
from scriptmode.frontend.script.source import commented_result, source_of
from scriptmode.frontend.script.trees import walk
from scriptmode.frontend.script.values import (
    Constant,
    ListDisplay,
    PythonObject,
    Sugared,
    TupleDisplay,
)
from scriptmode.ir import types as T
from scriptmode.support.captures import MISSING
from scriptmode.support.diagnostics import (
    CompileError,
    ScriptAnnotationError,
)

if TYPE_CHECKING:
    from scriptmode.frontend.script.unit import Unit


def _is_named(node: ast.expr, name: str) -> bool:
    """Whether an expression is the name, alone or in a module."""
    return getattr(node, "attr", getattr(node, "id", None)) == name


def names_of(scope: Scope) -> dict[str, Any]:
    """What the names in an annotation may mean."""
    return {**scope.globals, **scope.closure}


class DeclaredTypes:
    """The types that the annotations of one program mean, by the unit that compiles it."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self._of_classes: dict[type, dict[str, Any]] = {}

    def annotation(self, e: Emitter, annotation: Any) -> T.Type | None:
        """The type of an annotation object."""
        try:
            return A.resolve(annotation, names_of(e.scope), self.unit.type_of_class)
        except A.BadAnnotation as problem:
            e.fail("SM0209", str(problem), error=ScriptAnnotationError)

    def annotation_node(self, e: Emitter, node: ast.expr) -> T.Type | None:
        """The type of an annotation's syntax."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        else:
            text = ast.unparse(node)
        with e.at(node):
            return self.annotation(e, text)

    def annotation_text(self, e: Emitter, comment: str) -> Any:
        """The type of a type comment."""
        return self.annotation(e, comment)

    def annotation_value(self, e: Emitter, value: Sugared) -> T.Type | None:
        """The type that a value such as ``List[int]`` means."""
        if isinstance(value, PythonObject):
            return self.annotation(e, value.object)
        if isinstance(value, Constant):
            return self.annotation(e, value.value)
        e.fail_type("a type is expected here")

    def annotation_subscript(self, e: Emitter, obj: Any, index: Sugared) -> Any:
        """``List[int]`` as a Python object."""

        def plain(value: Sugared) -> Any:
            if isinstance(value, PythonObject):
                return value.object
            if isinstance(value, Constant):
                return value.value
            if isinstance(value, TupleDisplay):
                return tuple(plain(i) for i in value.items)
            if isinstance(value, ListDisplay):
                return [plain(i) for i in value.items]
            e.fail_type("a type is expected here")

        try:
            return obj[plain(index)]
        except (TypeError, KeyError) as error:
            e.fail_type(str(error))

    def quiet_annotation(self, e: Emitter, node: ast.expr) -> T.Type | None:
        """The type of an annotation; None when it has none."""
        try:
            names = names_of(e.scope)
            return A.resolve(ast.unparse(node), names, self.unit.type_of_class)
        except A.BadAnnotation:
            return None

    def return_annotation(self, target: Target, e: Emitter | None) -> T.Type | None:
        """The annotated result type of a function; None when there is none."""
        names = {**target.globals, **target.closure}
        if target.function is not None:
            annotation = target.function.__annotations__.get("return", MISSING)
        else:
            node = target.source.node
            returns = node.returns if isinstance(node, ast.FunctionDef) else None
            annotation = MISSING if returns is None else ast.unparse(returns)
        if annotation is MISSING:
            return None
        try:
            return A.resolve(annotation, names, self.unit.type_of_class)
        except A.BadAnnotation:
            return None

    def parameter_annotation(self, e: Emitter, target: Target, name: str) -> T.Type | None:
        """The annotated type of a parameter; None when there is none."""
        if target.function is not None:
            annotation = target.function.__annotations__.get(name, MISSING)
        else:
            arguments = [a for a in walk(target.source.node.args) if isinstance(a, ast.arg)]
            found = next((a.annotation for a in arguments if a.arg == name), None)
            annotation = MISSING if found is None else ast.unparse(found)
        if annotation is MISSING:
            return None
        try:
            names = {**target.globals, **target.closure}
            return A.resolve(annotation, names, self.unit.type_of_class)
        except A.BadAnnotation:
            return None

    def annotated_result(self, e: Emitter, function: types.FunctionType) -> T.Type:
        """The result type of a function that is not compiled: annotated, else Tensor."""
        annotation = function.__annotations__.get("return", MISSING)
        names = {**function.__globals__, **closure_of(function)}
        if annotation is MISSING:
            annotation = commented_result(function) or torch.Tensor
        found = A.resolve(annotation, names, self.unit.type_of_class)
        return found if found is not None else T.ANY

    def expected_return(self, e: Emitter) -> T.Type | None:
        """The annotated result type, for displays that are returned."""
        if self.unit.stack:
            return self.return_annotation(self.unit.stack[-1].target, e)
        return None

    def class_annotations(self, cls: type) -> dict[str, Any]:
        """Types of annotated class attributes; the word "Final" for constants."""
        found = self._of_classes.get(cls)
        if found is None:
            found = self._of_classes[cls] = self._read_annotations(cls)
        return found

    def _read_annotations(self, cls: type) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for base in reversed(cls.__mro__):
            own = vars(base).get("__annotations__", {})
            module = inspect.getmodule(base)
            names = dict(vars(module)) if module is not None else {}
            for name, annotation in own.items():
                if A.is_final(annotation):
                    found[name] = "Final"
                    continue
                try:
                    found[name] = A.resolve(annotation, names, self.unit.type_of_class)
                except A.BadAnnotation:
                    found[name] = None
            if base is not nn.Module and not base.__module__.startswith("torch."):
                found.update(self._constructor_annotations(base))
        return found

    def _constructor_annotations(self, cls: type) -> dict[str, Any]:
        """Types of ``self.x: T = ...`` and ``Attribute(..., T)`` in a class's ``__init__``."""
        init = vars(cls).get("__init__")
        if not isinstance(init, types.FunctionType):
            return {}
        try:
            node = source_of(init).node
        except CompileError:  # no source: nothing annotated
            return {}
        found: dict[str, Any] = {}
        names = {**init.__globals__, **closure_of(init)}
        for inner in walk(node):
            match inner:
                case ast.AnnAssign(
                    target=ast.Attribute(value=ast.Name(id="self"), attr=attr), annotation=declared
                ):
                    text_of = ast.unparse(declared)
                case ast.Assign(
                    targets=[ast.Attribute(value=ast.Name(id="self"), attr=attr)],
                    value=ast.Call(func=made, args=[_, declared])
                    | ast.Call(func=made, keywords=[*_, ast.keyword(arg="type", value=declared)]),
                ) if _is_named(made, "Attribute"):
                    text_of = ast.unparse(declared)
                case _:
                    continue
            if A.is_final(text_of):
                found[attr] = "Final"
                continue
            try:
                found[attr] = A.resolve(text_of, names, self.unit.type_of_class)
            except A.BadAnnotation:
                found[attr] = None
        return found
