"""The compilation unit: all that the functions of one program share.

It owns the program, the instances of functions and the descriptions of modules, and gives the
handlers the services that stand above them.
"""

from __future__ import annotations

import ast
import contextlib
import enum
import functools
import importlib
import inspect
import types
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import torch
from torch import nn

from scriptmode.frontend.script import annotations as A
from scriptmode.frontend.script import (
    builtin_types,
    bytestrings,
    captured_objects,
    cells,
    choices,
    comparisons,
    conditions,
    decorated,
    dict_classes,
    function_calls,
    generator_ends,
    generators,
    instances,
    iteration,
    iterator_library,
    iterators,
    literals,
    module_containers,
    module_state,
    modules,
    not_implemented,
    number_methods,
    objects,
    operators,
    outside_variables,
    powers,
    python_modules,
    ranges,
    sets,
    shared_objects,
    sorting,
    spreading,
    statements,
    stores,
    text,
    tries,
    variables,
    yields,
)
from scriptmode.frontend.script import dunders as special_methods
from scriptmode.frontend.script.call_expressions import call_arguments
from scriptmode.frontend.script.captured_objects import OutsideObjects
from scriptmode.frontend.script.cells import CellTable
from scriptmode.frontend.script.choices import ChoiceTable
from scriptmode.frontend.script.classes import (
    AttributeLearnt,
    ClassFacts,
    ClassTable,
    names_for,
)
from scriptmode.frontend.script.emitter import CONSTANT_TYPES, Emitter
from scriptmode.frontend.script.environment import Scope, closure_of
from scriptmode.frontend.script.expressions import (
    collected,
    exists,
    list_comprehension,
    static_items,
)
from scriptmode.frontend.script.flow import Arm, branch, leave_loop, when
from scriptmode.frontend.script.functions import Instance, Target, bind_itself, instance_of
from scriptmode.frontend.script.generators import GeneratorCode
from scriptmode.frontend.script.linking import ProgramLinker, source_object
from scriptmode.frontend.script.loops import run_cursor, run_while
from scriptmode.frontend.script.methods import call_op, extend_list
from scriptmode.frontend.script.modules import ModuleInfo, ModuleTable
from scriptmode.frontend.script.outside_variables import OutsideVariables
from scriptmode.frontend.script.shapes import Leaf, Shape, Static
from scriptmode.frontend.script.shared_objects import SharedTable
from scriptmode.frontend.script.source import commented_result, source_of
from scriptmode.frontend.script.values import (
    NONE_VALUE,
    Arguments,
    Captured,
    Constant,
    DictDisplay,
    GeneratorObject,
    GeneratorValue,
    IRValue,
    IterableValue,
    IteratorObject,
    ListDisplay,
    ManagerValue,
    ModuleChoice,
    ModuleValue,
    Place,
    PythonObject,
    SliceValue,
    Sugared,
    TupleDisplay,
    TypeOf,
    Unusable,
    VariableCell,
)
from scriptmode.frontend.script.writes import WriteTable
from scriptmode.ir import types as T
from scriptmode.ir.enumerations import enum_type
from scriptmode.ir.graph import BREAK, Graph, Program, Value
from scriptmode.ir.growth import join_growing
from scriptmode.support.captures import MISSING, Captures
from scriptmode.support.diagnostics import (
    CompileError,
    Diagnostic,
    ScriptAnnotationError,
    ScriptAttributeError,
    ScriptNameError,
    ScriptTypeError,
)
from scriptmode.support.markers import STANDS_FOR
from scriptmode.support.source import Span


def _is_named(node: ast.expr, name: str) -> bool:
    """Whether an expression is the name, alone or in a module."""
    return getattr(node, "attr", getattr(node, "id", None)) == name


_DATA = (int, float, complex, str, bytes)  # classes of data that members of enumerations may be


class Unit:
    """One program being compiled."""

    dunders = special_methods

    def __init__(
        self,
        attribute_types: dict[tuple[type, str], T.Type],
        late: dict[tuple[type, str], T.Type],
        objects: OutsideObjects,
        outside: OutsideVariables,
        choices: ChoiceTable,
        cells: CellTable,
        shared: SharedTable,
        data_enums: list[Any],
        stand_ins: Mapping[int, nn.Module],
        facts: ClassFacts,
    ) -> None:
        self.program = Program()
        self.instances: dict[Hashable, Instance] = {}
        self.stack: list[Instance] = []
        self.attribute_types = attribute_types
        self.choices = choices
        self.cells = cells
        self.shared = shared
        self.entries: list[Target] = []
        self.late = late  # attributes of modules that may be unbound
        self.data_enums = data_enums  # enumerations whose members are numbers or strings
        self._asked_of_any: set[type] = set()
        self.outside = outside  # variables that the program assigns
        self.objects = objects  # objects from outside that are needed at run time
        self.stand_ins = stand_ins  # modules used instead of others, by the others' ids
        self.modules = ModuleTable(self)
        self.classes = ClassTable(self, facts)
        self.linker = ProgramLinker(self.program)
        self.writes = WriteTable(self.program.functions)
        self.context_functions: set[int] = set()  # nodes of context managers' generators
        self.generator_codes: dict[Hashable, GeneratorCode] = {}
        self._names: set[str] = set()
        self._globals: dict[int, tuple[str, Any]] = {}
        self.is_guarding = True
        self.is_deferring = False  # parameters that are called are not known yet
        self._emitter: Emitter | None = None
        self._annotations: dict[type, dict[str, Any]] = {}

    # names

    def unique_name(self, name: str) -> str:
        """A new function name."""
        candidate, number = name, 0
        while candidate in self._names or candidate in self.program.functions:
            number += 1
            candidate = f"{name}.{number}"
        self._names.add(candidate)
        return candidate

    def unique_class(self, name: str) -> str:
        """A new name of a class."""
        candidate, number = name, 0
        while candidate in self.program.classes:
            number += 1
            candidate = f"{name}.{number}"
        return candidate

    def link(self, traced: Any) -> Graph:
        """The function of a recording, merged into this program."""
        return self.linker.link(traced, self._names)

    def new_emitter(self, scope: Scope, graph: Graph, hints: dict[Hashable, T.Type]) -> Emitter:
        """An emitter for one function of the unit."""
        self._emitter = Emitter(self, scope, graph, hints)
        return self._emitter

    def new_emitter_at(self, target: Target) -> Emitter:
        """An emitter that only answers questions about types."""
        scope = Scope(target.source, target.function, target.globals, target.closure)
        return Emitter(self, scope, Graph(), {})

    @property
    def last_span(self) -> Span | None:
        """The place that was compiled last."""
        return None if self._emitter is None else self._emitter.span

    # errors

    def fail_at(self, span: Span, code: str, message: str) -> NoReturn:
        """Report an error about types at a place."""
        raise ScriptTypeError(Diagnostic(code, message, span))

    def fail_attribute(self, e: Emitter, value: Sugared, name: str) -> NoReturn:
        """Report a missing attribute."""
        t = instances.instance_type(value)
        help = "" if t is None else instances.suggestion(t, name)
        described = value.describe() if t is None else f"an instance of `{t.original_name}`"
        e.fail(
            "SM0303", f"{described} has no attribute `{name}`", error=ScriptAttributeError,
            help=help,
        )  # fmt: skip

    def usable(self, e: Emitter, name: str, found: Sugared) -> Sugared:
        """The value of a variable; an error when it has none here."""
        if not isinstance(found, Unusable):
            return found
        if found.cell is not None:
            return variables.read(e, name, found.cell)
        if found.value is not None:
            return self._check_bound(e, name, found.value)
        if found.reason == "unbound":
            e.fail(
                "SM0207",
                f"`{name}` may be unbound here",
                error=ScriptNameError,
                label="used here",
                help=f"give `{name}` a value on every path that leads here",
            )
        e.fail_type(found.reason)

    run_statement = staticmethod(variables.run_statement)

    def write_variable(self, e: Emitter, cell: VariableCell, value: Sugared) -> None:
        """Write an assignment to the variable's cell."""
        variables.write(e, cell, value)

    def _check_bound(self, e: Emitter, name: str, value: IRValue) -> Sugared:
        """A variable that only a loop binds: bound unless the loop did not run."""
        missing = e.value(comparisons.is_none(e, value))
        message = f"cannot access local variable '{name}' where it is not associated with a value"
        branch(e, missing, lambda: e.raise_error(UnboundLocalError, message), lambda: None)
        t = value.type
        assert isinstance(t, T.OptionalType)
        e.env.names[name] = e.lift(e.builder.cast(value.value, t.element))
        return e.env.names[name]

    # Python objects

    @contextlib.contextmanager
    def unguarded(self) -> Iterator[None]:
        """What is read within the ``with`` is not guarded against change."""
        kept, self.program.captures = self.program.captures, Captures()
        before, self.is_guarding = self.is_guarding, False
        try:
            yield
        finally:
            self.program.captures, self.is_guarding = kept, before

    def wrap(self, e: Emitter, obj: Any, name: str) -> Sugared:
        """A Python object as a symbolic value."""
        if isinstance(obj, enum.Enum) or type(obj) in CONSTANT_TYPES:
            return Constant(obj)
        obj = source_object(obj)
        if obj is Ellipsis or obj is NotImplemented:
            return Constant(obj)
        if isinstance(obj, Sugared):
            return obj
        if isinstance(obj, nn.Module):
            return self._module(e, obj, name)
        if isinstance(obj, torch.ScriptObject):
            e.not_built(
                f"`{name}`, an object of a C++ class ({obj._type()}), is",
                help="quantized modules and the like are not compiled; keep them outside",
            )
        if isinstance(obj, torch.Tensor):
            return self._tensor(e, obj)
        if isinstance(obj, tuple) and hasattr(obj, "_fields"):
            return self._named_tuple(e, obj, name)
        if type(obj) is tuple:
            return TupleDisplay(tuple(self.wrap(e, o, name) for o in obj))
        if isinstance(obj, torch.Size):
            sizes = [e.int_constant(n) for n in obj]
            return e.op("size::from_list", e.builder.list(sizes, T.INT))
        found = captured_objects.run_time_value(e, obj, name)
        if found is not None:
            return found
        if type(obj) in (list, dict):
            self.program.captures.add_items(obj, name)
        if isinstance(obj, range):
            bounds = (obj.start, obj.stop, obj.step)
            return IterableValue("range", tuple(map(Constant, bounds)))
        if isinstance(obj, slice):
            return SliceValue(*(self.wrap(e, p, name) for p in (obj.start, obj.stop, obj.step)))
        if type(obj) is list:
            items = tuple(self.wrap(e, o, f"{name}[{i}]") for i, o in enumerate(obj))
            return ListDisplay(items, frozen=True, captured=self._captured(name, obj))
        if type(obj) in (dict, types.MappingProxyType):
            keys = tuple(self.wrap(e, k, name) for k in obj)
            values = tuple(self.wrap(e, v, f"{name}[{k!r}]") for k, v in obj.items())
            captured = self._captured(name, obj) if type(obj) is dict else None
            return DictDisplay(keys, values, frozen=True, captured=captured)
        if isinstance(obj, types.MethodType) and isinstance(obj.__self__, nn.Module):
            from_module = self._module(e, obj.__self__, name)
            return e.attribute(from_module, obj.__name__)
        if isinstance(obj, (types.FunctionType, type)):
            obj = vars(obj).get(STANDS_FOR, obj)  # another thread may be tracing
        return PythonObject(obj)

    def stand_in(self, module: nn.Module) -> nn.Module:
        """The module that is compiled in the place of ``module``."""
        return self.stand_ins.get(id(module), module)

    def _captured(self, name: str, obj: Any) -> Captured | None:
        return Captured(name, obj) if self.is_guarding else None

    def _tensor(self, e: Emitter, tensor: torch.Tensor) -> Sugared:
        """A captured tensor: the very object, so that later changes in place are seen."""
        if type(tensor) not in (torch.Tensor, nn.Parameter):
            e.not_built(f"a captured tensor of class {type(tensor).__name__} is")
        return IRValue(e.builder.constant(tensor, T.TENSOR))

    def _module(self, e: Emitter, module: nn.Module, name: str) -> Sugared:
        module = self.stand_in(module)
        info = self.modules.info(module)
        found = self._global(e, module, name, info.type)
        return found

    def captured_object(self, e: Emitter, obj: Any, name: str, t: T.Type) -> Sugared:
        """An instance or a container that is reached by reference."""
        return self._global(e, obj, name, t)

    def make_run_time(self, e: Emitter, value: Sugared) -> None:
        """Start again with an object known at compile time as a run-time value, if it can be."""
        captured_objects.make_run_time(e, value)

    def learn_captured(self, e: Emitter, name: str, t: T.Type) -> None:
        """Start again with another type of a captured container."""
        if T.has_choice(t):
            e.fail(
                "SM0212",
                f"a function cannot be put into the captured `{name}`, which Python sees",
                error=ScriptTypeError,
                help="keep functions in a container that is made in compiled code",
            )
        self.objects.learn(self, self.program.globals[name], t)

    def _global(self, e: Emitter, obj: Any, name: str, t: T.Type) -> Sugared:
        known = self._globals.get(id(obj))
        if known is None:
            unique = name
            number = 0
            while unique in self.program.globals:
                number += 1
                unique = f"{name}.{number}"
            known = self._globals[id(obj)] = (unique, obj)
            self.program.globals[unique] = obj
        return e.lift(e.builder.node("prim::Global", [], [t], name=known[0]).output)

    def _named_tuple(self, e: Emitter, obj: Any, name: str) -> Sugared:
        t = self.type_of_object(obj)
        if not isinstance(t, T.NamedTupleType):
            return PythonObject(obj)
        parts = [
            e.value(self.wrap(e, v, name), inner) for v, inner in zip(obj, t.elements, strict=True)
        ]
        return IRValue(e.builder.tuple(parts, t))

    def wrap_default(
        self, e: Emitter, obj: Any, function: types.FunctionType | None = None, name: str = ""
    ) -> Sugared:
        """A parameter's default value; the object itself where it is changed or kept."""
        if function is not None and type(obj) in (list, dict):
            if shared_objects.is_kept(source_of(function).node, name):
                annotated = self.quiet_annotation_of(function, name)
                found = annotated or self.type_of_object(obj)
                if found is not None:
                    return shared_objects.shared(e, obj, found)
        return self.wrap(e, obj, "default")

    def quiet_annotation_of(self, function: types.FunctionType, name: str) -> T.Type | None:
        """The type of a container parameter by its annotation; None when it has none."""
        annotation = function.__annotations__.get(name)
        if annotation is None:
            return None
        try:
            names = {**function.__globals__, **closure_of(function)}
            found = A.resolve(annotation, names, self.type_of_class)
        except A.BadAnnotation:
            return None
        inner = T.unwrap_optional(found) if found is not None else None
        return inner if isinstance(inner, (T.ListType, T.DictType)) else None

    def frozen_dict(self, pairs: Iterable[tuple[Sugared, Sugared]]) -> Sugared:
        """A dict of known keys that cannot be changed."""
        items = list(pairs)
        return DictDisplay(tuple(k for k, _ in items), tuple(v for _, v in items), frozen=True)

    def module_of_type(self, t: T.Type) -> ModuleInfo | None:
        """The module description behind a class type."""
        return self.modules.of_type(t)

    def enum_type(self, cls: type[enum.Enum]) -> T.Type:
        """The type of an enum's members."""
        found = enum_type(cls)
        self._enter_enum(found)
        return found

    def _enter_enum(self, t: T.EnumType) -> None:
        """Enter an enumeration; tests of an Any that were compiled before must know it, too."""
        self.program.enums.setdefault(t.name, t)
        cls: Any = t.python_class
        if cls is not None and cls not in self.data_enums and issubclass(cls, _DATA):
            self.data_enums.append(cls)
            if any(issubclass(cls, asked) for asked in self._asked_of_any):
                self.start_again()

    def enums_below(self, cls: type) -> list[T.Type]:
        """The enumerations of the program whose members are instances of a class of data."""
        if cls not in _DATA:
            return []
        self._asked_of_any.add(cls)
        return [enum_type(known) for known in self.data_enums if issubclass(known, cls)]

    def type_of_object(self, value: Any) -> T.Type | None:
        """The type of a Python object; None when it has none."""
        t = modules.type_of_object(value, self.type_of_class)
        if t is not None:
            self.declare(t)
        return t

    def declare(self, t: T.Type) -> None:
        """Enter the named tuples inside a type into the program."""
        for inner in T.walk(t):
            if isinstance(inner, T.NamedTupleType):
                self.program.named_tuples.setdefault(inner.name, inner)
            elif isinstance(inner, T.EnumType):
                self._enter_enum(inner)

    def type_of_class(self, cls: type) -> T.Type | None:
        """The type of a user class's instances, where there is one."""
        if issubclass(cls, enum.Enum):
            return self.enum_type(cls)
        return self.classes.type_of(cls)

    # annotations

    def _names_of(self, scope: Scope) -> dict[str, Any]:
        return {**scope.globals, **scope.closure}

    def annotation(self, e: Emitter, annotation: Any) -> T.Type | None:
        """The type of an annotation object."""
        try:
            return A.resolve(annotation, self._names_of(e.scope), self.type_of_class)
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

    def class_annotations(self, cls: type) -> dict[str, Any]:
        """Types of annotated class attributes; the word "Final" for constants."""
        found = self._annotations.get(cls)
        if found is None:
            found = self._annotations[cls] = self._read_annotations(cls)
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
                    found[name] = A.resolve(annotation, names, self.type_of_class)
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
        for inner in ast.walk(node):
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
                found[attr] = A.resolve(text_of, names, self.type_of_class)
            except A.BadAnnotation:
                found[attr] = None
        return found

    def check_entry(self, e: Emitter, target: Target) -> None:
        """An entry's ``**keywords`` are empty, or a named tuple of them for a further instance."""
        for name in target.keyword_tuples:
            given = e.env.names[name]
            assert isinstance(given, IRValue) and isinstance(given.type, T.NamedTupleType)
            keys = map(Constant, given.type.fields)
            items = operators.tuple_items(e, given) or ()
            e.env.names[name] = self.frozen_dict(zip(keys, items, strict=True))
        for name in target.empty_keywords:
            given = e.env.names[name]
            message = f"compiled code takes no further keyword arguments (`**{name}`)"
            branch(
                e, e.value(self.truth(e, given)),
                functools.partial(e.raise_error, TypeError, message), lambda: None,
            )  # fmt: skip
            e.env.names[name] = self.frozen_dict(())

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
            return A.resolve(annotation, names, self.type_of_class)
        except A.BadAnnotation:
            return None

    def parameter_annotation(self, e: Emitter, target: Target, name: str) -> T.Type | None:
        """The annotated type of a parameter; None when there is none."""
        if target.function is not None:
            annotation = target.function.__annotations__.get(name, MISSING)
        else:
            arguments = [a for a in ast.walk(target.source.node.args) if isinstance(a, ast.arg)]
            found = next((a.annotation for a in arguments if a.arg == name), None)
            annotation = MISSING if found is None else ast.unparse(found)
        if annotation is MISSING:
            return None
        try:
            return A.resolve(annotation, {**target.globals, **target.closure}, self.type_of_class)
        except A.BadAnnotation:
            return None

    def annotated_result(self, e: Emitter, function: types.FunctionType) -> T.Type:
        """The result type of a function that is not compiled: annotated, else Tensor."""
        annotation = function.__annotations__.get("return", MISSING)
        names = {**function.__globals__, **closure_of(function)}
        if annotation is MISSING:
            annotation = commented_result(function) or torch.Tensor
        found = A.resolve(annotation, names, self.type_of_class)
        return found if found is not None else T.ANY

    def expected_return(self, e: Emitter) -> T.Type | None:
        """The annotated result type, for displays that are returned."""
        if self.stack:
            return self.return_annotation(self.stack[-1].target, e)
        return None

    def attribute_type(self, e: Emitter, node: ast.Attribute) -> T.Type | None:
        """The type of an attribute that is assigned."""
        if isinstance(node.value, ast.Name):
            owner = e.env.names.get(node.value.id)
            if isinstance(owner, ModuleValue):
                return owner.info.type.attributes.get(node.attr)
            t = None if owner is None else instances.instance_type(owner)
            if t is not None:
                return t.attributes.get(node.attr)
        return None

    def learn_attribute(
        self, e: Emitter, info: ModuleInfo, name: str, t: T.Type, *, replace: bool = False
    ) -> NoReturn:
        """Start the unit again with another type of a module's attribute."""
        key = (type(info.python), name)
        if key in self.late:
            self.learn_late(e, info, name, t)
        old = self.attribute_types.get(key)
        joined = t if old is None or replace else join_growing(old, t)
        if joined is None or joined == old:
            e.fail_type(f"the type of attribute `{name}` does not settle; annotate it")
        self.attribute_types[key] = joined
        raise AttributeLearnt

    def learn_late(self, e: Emitter, info: ModuleInfo, name: str, t: T.Type) -> NoReturn:
        """Start the unit again with an attribute that may be unbound, and holds a ``t`` else."""
        key = (type(info.python), name)
        old = self.late.get(key)
        joined = t if old is None else join_growing(old, t)
        if joined is None or joined == old:
            e.fail_type(f"the type of attribute `{name}` does not settle; annotate it")
        self.late[key] = joined
        raise AttributeLearnt

    def start_again(self) -> NoReturn:
        """Start the unit again with what has been learnt of it."""
        raise AttributeLearnt

    # variables outside of the program

    def read_outside(self, e: Emitter, name: str) -> Sugared | None:
        """The value of a free name that the program assigns; None of others."""
        place = outside_variables.owner_of_global(e, name)
        if place is None or self.outside.holder(place[0], name) is None:
            return None
        known = e.env.attributes.get((name,))
        if known is not None:
            return known
        found: Sugared | None = outside_variables.read(
            e, *place, name, NameError, f"name '{name}' is not defined"
        )
        return found

    def assign_outside(self, e: Emitter, name: str, value: Sugared) -> None:
        """Assign a name that is declared ``global``, or ``nonlocal`` of a function outside."""
        place = outside_variables.owner_of_global(e, name)
        if place is None:
            e.fail_syntax(f"the variable `{name}` of a function outside cannot be assigned")
        outside_variables.assign(e, *place, name, value)

    read_attribute_outside = staticmethod(outside_variables.read_attribute)
    is_class_variable = staticmethod(outside_variables.is_class_variable)

    def delete_outside(self, e: Emitter, name: str) -> None:
        """``del`` of a name that is declared ``global``, or ``nonlocal`` of a function outside."""
        place = outside_variables.owner_of_global(e, name)
        if place is None:
            e.fail_syntax(f"the variable `{name}` of a function outside cannot be deleted")
        outside_variables.delete(e, *place, name)

    def field_type(self, e: Emitter, node: ast.Attribute) -> T.Type | None:
        """The type of an attribute that is a plain field of an instance or module."""
        if not isinstance(node.value, ast.Name):
            return None
        return self.kept_type(e.env.names.get(node.value.id), node.attr)

    def kept_type(self, owner: Sugared | None, name: str) -> T.Type | None:
        """The type of an attribute that an instance or module only keeps; None of others."""
        if isinstance(owner, ModuleValue):
            info = owner.info
            on_class = inspect.getattr_static(type(info.python), name, None)
            late = name in info.type.late or isinstance(on_class, property)
            return None if late else info.type.attributes.get(name)
        t = None if owner is None else instances.instance_type(owner)
        return None if t is None else instances.plain_field(self, t, name)

    def assign_attribute_outside(self, e: Emitter, owner: Sugared, name: str, v: Sugared) -> bool:
        """Assign an attribute of a class, Python module or plain object, if it can be."""
        if not isinstance(owner, PythonObject):
            return False
        place = outside_variables.owner_of_attribute(owner.object)
        if place is not None:
            outside_variables.assign(e, *place, name, e.settle(v))
        return place is not None

    # variables in cells

    def make_cells(self, e: Emitter) -> None:
        """Put variables of the function being entered into cells."""
        cells.make_cells(e)

    sort_keys = staticmethod(sorting.sort_keys)
    counter_unary = staticmethod(dict_classes.counter_unary)
    counter_compare = staticmethod(dict_classes.counter_compare)
    delete_count = staticmethod(dict_classes.delete_count)
    share_variable = staticmethod(cells.share_variable)
    read_cell = staticmethod(cells.read_cell)
    write_cell = staticmethod(cells.write_cell)
    delete_cell = staticmethod(cells.delete_cell)
    check_escaping = staticmethod(cells.check_escaping)

    # calls

    is_bound_specially = staticmethod(decorated.is_bound_specially)
    bind_specially = staticmethod(decorated.bind_specially)
    call_descriptor = staticmethod(decorated.call_descriptor)
    is_single_dispatch = staticmethod(decorated.is_single_dispatch)
    call_single_dispatch = staticmethod(decorated.call_single_dispatch)
    module_cached_property = staticmethod(decorated.module_cached_property)
    known_attribute = staticmethod(decorated.known_attribute)
    call_cached = staticmethod(function_calls.call_cached)
    needed_objects = staticmethod(shared_objects.needed)
    learn_shared = staticmethod(shared_objects.learn_type)
    spread_positional = staticmethod(spreading.spread_positional)
    spread_keywords = staticmethod(spreading.spread_keywords)

    def call_python_source(
        self, e: Emitter, function: Callable[..., Any], *given: Sugared
    ) -> Sugared:
        """Call a function of the front end's own library of Python functions."""
        return iterators.call_library(e, function, Arguments(list(given), {}))

    def note_returned(self, e: Emitter, value: Sugared) -> None:
        """A call has returned ``value``; what generators are inside, nothing else holds."""
        if isinstance(value, ManagerValue):
            return  # what enters it ends it
        if isinstance(value, GeneratorObject):
            generator_ends.note_made(e, value)
        for part in value.parts():
            self.note_returned(e, part)

    # generators and iterators

    make_generator = staticmethod(generators.make_generator)
    emit_generator = staticmethod(generators.emit_generator)
    finish_generator = staticmethod(generators.finish_generator)
    generator_for = staticmethod(yields.generator_for)
    resume_body = staticmethod(yields.resume_block)
    check_held = staticmethod(generator_ends.check_held)
    has_ends = staticmethod(generator_ends.has_ends)
    places_of = staticmethod(generator_ends.places_of)
    note_made = staticmethod(generator_ends.note_made)
    own = staticmethod(generator_ends.own)
    refuse_held = staticmethod(generator_ends.refuse)
    release = staticmethod(generator_ends.release)
    returns = staticmethod(generator_ends.returned)
    take_fresh = staticmethod(generator_ends.take_fresh)
    with_drops = staticmethod(generator_ends.with_drops)
    with_owned = staticmethod(generator_ends.with_owned)
    build_owned = staticmethod(choices.build_owned)
    run_clause = staticmethod(tries.run_clause)
    finally_handler = staticmethod(tries.finally_handler)
    resume = staticmethod(generators.resume)
    run_except = staticmethod(tries.run_except)
    run_while = staticmethod(run_while)
    bind_itself = staticmethod(bind_itself)
    refreshed = staticmethod(choices.refreshed)
    finish_with = staticmethod(statements.finish_with)
    among = staticmethod(comparisons.contains)
    given_up_at_run_time = staticmethod(not_implemented.at_run_time)
    kept = staticmethod(iterators.kept)
    iterator_of = staticmethod(iterators.iterator_of)
    in_turn = staticmethod(iterators.in_turn)

    def called(self, e: Emitter, given: Arguments) -> Sugared:
        """``iter(function, sentinel)``."""
        return iterators.call_library(e, iterator_library.called, given)

    def pull(self, e: Emitter, iterator: Sugared, ended: Callable[[Sugared], Sugared]) -> Sugared:
        """The next element of an iterator, or ``ended``."""
        return iterators.pull(e, iterator, lambda found: found, ended)

    def next_or_leave(self, e: Emitter, iterator: Sugared) -> Sugared:
        """The next element of an iterator; leaves the innermost loop when there is none."""
        return iterators.pull(
            e, iterator, lambda found: found, lambda returned: leave_loop(e, BREAK)
        )

    def raise_if(
        self, e: Emitter, flag: Value, exception: type[BaseException], message: str
    ) -> None:
        """Raise when ``flag`` is true."""
        when(e, flag, lambda: e.raise_error(exception, message))

    def quiet_annotation(self, e: Emitter, node: ast.expr) -> T.Type | None:
        """The type of an annotation; None when it has none."""
        try:
            names = self._names_of(e.scope)
            return A.resolve(ast.unparse(node), names, self.type_of_class)
        except A.BadAnnotation:
            return None

    # functions as run-time values

    def build_choice(self, e: Emitter, value: Sugared) -> Value | None:
        """The run-time value of a function known at compile time; None for other kinds."""
        return choices.build_choice(e, value)

    def choice_type_of_shape(self, e: Emitter, shape: Static) -> T.Type | None:
        """The type of a function known at compile time; None for other kinds."""
        return choices.choice_type_of_shape(e, shape)

    def by_member(self, e: Emitter, choice: Value, act: Callable[[Sugared], Sugared]) -> Sugared:
        """``act`` on the value that a choice holds, under each member it may be."""
        return choices.by_member(e, choice, act)

    def is_choosable(self, value: Sugared) -> bool:
        """Whether a value known at compile time can be a run-time value."""
        return choices.is_choosable(value)

    def build_display(self, e: Emitter, display: ListDisplay | DictDisplay) -> None:
        """Start again with a display of functions built where it stands, if it can be."""
        choices.build_display(e, display)

    # services of upper layers

    def arguments(self, e: Emitter, node: ast.Call) -> Arguments:
        """The arguments of a call, starred ones expanded."""
        return call_arguments(e, node)

    def place_of(self, node: ast.expr) -> Place | None:
        """The variable or attribute path that an expression reads."""
        return conditions.place_of(node)

    def test(self, e: Emitter, node: ast.expr, then: Arm, otherwise: Arm) -> Sugared | None:
        """A choice on a test."""
        return conditions.test(e, node, then, otherwise)

    def equal(self, e: Emitter, a: Sugared, b: Sugared) -> Sugared:
        """``bool(a == b)``."""
        return conditions.truth_sugared(e, comparisons.compare(e, "eq", a, b))

    def truth(self, e: Emitter, value: Sugared) -> Sugared:
        """``bool(value)``."""
        return conditions.truth_sugared(e, value)

    def call_module_in_python(self, e: Emitter, module: ModuleValue, given: Arguments) -> Sugared:
        """``module(...)`` left to Python."""
        return python_modules.call_module_in_python(e, module, given)

    def length(self, e: Emitter, value: Sugared) -> Sugared:
        """``len(value)``."""
        if isinstance(value, ModuleValue):
            return module_containers.length(e, value)
        return iteration.length_of(e, value)

    def index_value(self, e: Emitter, value: Sugared, what: str) -> Value:
        """An int where Python takes anything with ``__index__``."""
        return iteration.index_value(e, value, what)

    def module_items(self, e: Emitter, value: ModuleValue) -> Sequence[Sugared] | None:
        """What iteration over a module yields."""
        return module_containers.module_items(e, value)

    def chosen_module(self, e: Emitter, value: ModuleChoice) -> Value:
        """The module that a choice picks, as one IR value."""
        return e.value(
            module_containers.dispatch(e, value, 0, lambda m: IRValue(m.value)),
            T.union_of([c.value.type for c in value.candidates]),
        )

    def object_items(self, e: Emitter, obj: Any) -> Sequence[Sugared] | None:
        """What iteration over a Python object yields."""
        if isinstance(obj, type) and issubclass(obj, enum.Enum):
            return [Constant(m) for m in obj]
        if isinstance(obj, (set, frozenset)):
            self.program.captures.add_items(obj, "a captured set")
            return [self.wrap(e, item, "item") for item in obj]
        return None

    def contains(self, e: Emitter, container: Sugared, item: Sugared) -> Sugared:
        """``item in container`` for modules, instances and iterables."""
        if instances.instance_type(container) is not None:
            found = special_methods.contains(e, container, item)
            if found is not None:
                return found
            return self._looked_for(e, container, item)
        if isinstance(container, (GeneratorObject, IteratorObject)):
            return self._looked_for(e, container, item)
        if isinstance(container, ModuleValue):
            return module_containers.contains_key(e, container, item)
        assert isinstance(container, IterableValue)
        if container.kind == "keys":
            return comparisons.contains(e, container.arguments[0], item)
        in_range = ranges.in_range(e, container, item) if container.kind == "range" else None
        if in_range is not None:
            return in_range
        return comparisons.contains(e, self.built_list(e, container), item)

    def _looked_for(self, e: Emitter, container: Sugared, item: Sugared) -> Sugared:
        function = iterator_library.contains_item
        given = Arguments([container, item], {})
        held = generator_ends.take_fresh(e, container)
        if not held:
            return iterators.call_library(e, function, given)
        found = generator_ends.with_drops(
            e, held, None, lambda: iterators.call_library(e, function, given)
        )
        assert found is not None
        return found

    def generated_items(self, e: Emitter, value: GeneratorValue) -> Sequence[Sugared] | None:
        """What a generator expression yields, if their number is known."""
        return static_items(e, value.node, None, value.iterable)

    def unrolled_items(self, e: Emitter, value: Sugared) -> Sequence[Sugared] | None:
        """Elements of a value over a constant range, where a fixed number is needed."""
        if isinstance(value, GeneratorValue):
            return static_items(e, value.node, None, value.iterable, unroll=True)
        return iteration.constant_range(value)

    def generated(self, e: Emitter, value: GeneratorValue) -> Sugared:
        """A list of what a generator expression yields."""
        return list_comprehension(e, value.node, None, value.iterable)

    def exists(self, e: Emitter, value: GeneratorValue, wanted: bool) -> Sugared:
        """``any`` or ``all`` of a generator expression, run as far as needed."""
        return exists(e, value.node, value.node.generators, wanted, value.iterable)

    def built_list(self, e: Emitter, value: Sugared) -> Sugared:
        """``list(value)``."""
        return iteration.as_built_list(e, value)

    def adapt(self, e: Emitter, value: Value, expected: T.Type) -> None:
        """Let an empty container take its element types from where it goes."""
        literals.adapt(e, value, expected)

    def view_as_set(self, e: Emitter, value: Sugared) -> Sugared:
        """The keys or items of a dict as a set, for set operations; other values as they are."""
        is_view = isinstance(value, IterableValue) and value.kind in ("keys", "items")
        return IRValue(sets.from_iterable(e, value, None)) if is_view else value

    def built_range(self, e: Emitter, value: IterableValue) -> Value:
        """A range as an IR value."""
        return e.builder.op("range::make", *iteration.range_bounds(e, value))

    def collect(self, e: Emitter, value: Sugared) -> Sugared:
        """A new list of what iteration yields."""
        cursor = iteration.cursor_of(e, value)

        def fill(append: Callable[[Sugared], None]) -> None:
            run_cursor(e, cursor, [], append)

        return collected(e, fill, None)

    def collected(
        self, e: Emitter, fill: Callable[[Callable[[Sugared], None]], None], site: Hashable
    ) -> Sugared:
        """A new list that ``fill`` appends to."""
        return collected(e, fill, site)

    def collected_dict(
        self,
        e: Emitter,
        fill: Callable[[Callable[[Sugared, Sugared], None]], None],
        site: Hashable,
    ) -> Sugared:
        """A new dict that ``fill`` stores into."""
        node = e.builder.node("prim::DictConstruct", [], [T.DictType([T.NEVER, T.NEVER])])
        seen: list[tuple[T.Type, T.Type]] = []

        def store(key: Sugared, value: Sugared) -> None:
            k, v = e.value(key), e.value(value)
            seen.append((k.type, v.type))
            stored = e.builder.node("dict::setitem", [node.output, k, v], [])
            stored.schema = e.builder.resolve("dict::setitem")

        fill(store)
        node.output.type = T.DictType(
            [T.union_of([s[0] for s in seen]), T.union_of([s[1] for s in seen])]
        )
        return IRValue(node.output)

    def in_bytes(self, e: Emitter, container: Sugared, item: Sugared) -> Sugared:
        """``item in container`` of bytes."""
        return bytestrings.contains(e, container, item)

    def sort(self, e: Emitter, owner: Value, options: Mapping[str, Sugared]) -> None:
        """``owner.sort(**options)`` of a list."""
        sorting.sort(e, owner, options)

    def for_each(self, e: Emitter, value: Sugared, act: Callable[[Sugared], None]) -> None:
        """``act`` on what iteration yields, in a loop that changes no variable."""
        items = iteration.items_of(e, value)
        if items is not None:
            for item in items:
                act(item)
        else:
            run_cursor(e, iteration.cursor_of(e, value), [], act)

    def call_python(
        self, e: Emitter, function: Callable[..., Any], given: Arguments, result: T.Type
    ) -> Sugared:
        """A call that is left to Python."""
        return objects.call_python(e, function, given, result)

    def raise_when(
        self, e: Emitter, condition: Value, exception: type[BaseException], message: str
    ) -> None:
        """Raise an exception when a condition holds."""
        branch(
            e, condition, functools.partial(e.raise_error, exception, message), lambda: None
        )  # fmt: skip

    def assign_subscript(
        self, e: Emitter, container: Sugared, index: Sugared, value: Sugared
    ) -> None:
        """``container[index] = value``."""
        stores.assign_subscript(e, container, index, value)

    def break_if(self, e: Emitter, hit: Sugared) -> None:
        """Leave the innermost loop when ``hit`` is true."""
        if isinstance(hit, Constant):
            if hit.value:
                leave_loop(e, BREAK)
            return
        branch(e, e.value(hit), lambda: leave_loop(e, BREAK), lambda: None)

    def slice_value(self, parts: Sequence[Sugared]) -> Sugared:
        """``slice(...)``."""
        if len(parts) == 1:
            return SliceValue(NONE_VALUE, parts[0], NONE_VALUE)
        return SliceValue(parts[0], parts[1], parts[2] if len(parts) > 2 else NONE_VALUE)

    def tuple_items(self, e: Emitter, value: Sugared) -> tuple[Sugared, ...] | None:
        """Items of a tuple of known length."""
        return operators.tuple_items(e, value)

    def extend_list(self, e: Emitter, owner: IRValue, other: Sugared) -> Sugared:
        """``owner += other``."""
        extend_list(e, owner.value, other)
        return owner

    def call_op(self, e: Emitter, kind: str, given: Arguments) -> Sugared:
        """Call one of our ops."""
        return call_op(e, kind, given.positional, given.keywords)

    def same_type(self, e: Emitter, a: Sugared, b: Sugared) -> Sugared:
        """``type(x) is cls``."""
        return builtin_types.same_type(e, a, b)

    def built_class(self, e: Emitter, value: TypeOf) -> Sugared:
        """``type(x)`` as a run-time value."""
        return builtin_types.built_class(e, value)

    def class_choice(self, e: Emitter, value: TypeOf) -> T.Type | None:
        """The type of ``built_class``; None when a class is not known."""
        classes = builtin_types.classes_of(e, value)
        if classes is None:
            return None
        return T.union_of([choices.choice_type(e, PythonObject(c)) or T.ANY for c in classes])

    def type_among(self, e: Emitter, a: TypeOf, classes: Sequence[Sugared]) -> Sugared:
        """``type(x) in (cls, ...)``."""
        known = [c.object for c in classes if isinstance(c, PythonObject)]
        return builtin_types.type_among(e, a, known)

    def has_attribute(self, e: Emitter, value: Sugared, name: str) -> bool:
        """``hasattr(value, name)``."""
        if isinstance(value, ModuleValue):
            info = value.info
            return (
                name in info.type.attributes
                or name in info.static
                or inspect.getattr_static(type(info.python), name, None) is not None
            )
        if isinstance(value, PythonObject):
            return hasattr(value.object, name)
        if isinstance(value, Constant):
            return hasattr(value.value, name)
        t = e.type_of(value)
        if t == T.TENSOR:
            return hasattr(torch.Tensor, name)
        return e.find_attribute(value, name) is not None

    def assign_attribute(self, e: Emitter, owner: Sugared, name: str, value: Sugared) -> None:
        """``owner.name = value``."""
        stores.assign_attribute(e, owner, name, value)

    def delete_attribute(self, e: Emitter, owner: Sugared, name: str) -> None:
        """``del owner.name``."""
        stores.delete_attribute(e, owner, name)

    def identical(self, e: Emitter, a: Sugared, b: Sugared) -> Sugared:
        """``a is b``."""
        return comparisons.identical(e, a, b)

    def negated(self, e: Emitter, value: Sugared) -> Sugared:
        """``not value``."""
        return operators.unary(e, "not", value)

    def compile_guess(self, function: types.FunctionType, t: T.ClassType) -> None:
        """Compile a method of an instance for parameters as their annotations and defaults say."""
        names = names_for(function)
        shapes: dict[str, Shape] = {}
        for index, parameter in enumerate(inspect.signature(function).parameters.values()):
            if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
                nothing: Sugared = TupleDisplay(())
                shapes[parameter.name] = Static(nothing, nothing.key(), ())
            elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
                nothing = self.frozen_dict(())
                shapes[parameter.name] = Static(nothing, nothing.key(), ())
            else:
                kind = t if index == 0 else self._guessed_type(parameter, names)
                shapes[parameter.name] = Leaf(kind)
        target = Target(source_of(function), function, function.__globals__, closure_of(function))
        instance_of(self, target, shapes, None)

    def _guessed_type(self, parameter: inspect.Parameter, names: Mapping[str, Any]) -> T.Type:
        annotated: T.Type | None = None
        if parameter.annotation is not inspect.Parameter.empty:
            with contextlib.suppress(A.BadAnnotation):
                annotated = A.resolve(parameter.annotation, names, self.type_of_class)
        if parameter.default is inspect.Parameter.empty:
            return annotated or T.TENSOR
        own = self.type_of_object(parameter.default)
        if annotated is not None:
            return T.optional_of(annotated) if parameter.default is None else annotated
        return own or T.TENSOR

    def assign_module_attribute(
        self, e: Emitter, owner: ModuleValue, name: str, value: Sugared
    ) -> None:
        """``module.name = value``."""
        module_state.assign_module_attribute(e, owner, name, value)

    def marker_call(self, e: Emitter, obj: Any, given: Arguments) -> Sugared | None:
        """A call of a marked function."""
        return objects.marker_call(e, obj, given)

    def by_types(
        self, e: Emitter, given: Arguments, act: Callable[[Arguments], Sugared]
    ) -> Sugared | None:
        """``act`` under each type of an argument that may be of several."""
        return objects.by_types(e, given, act)

    def finish(self, e: Emitter, value: Sugared) -> None:
        """Leave the function with a value."""
        statements.finish(e, value)

    def import_names(self, e: Emitter, node: ast.Import | ast.ImportFrom) -> None:
        """An import inside a function, carried out at compile time."""
        try:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    module = importlib.import_module(alias.name)
                    top = importlib.import_module(alias.name.partition(".")[0])
                    name = alias.asname or alias.name.partition(".")[0]
                    e.assign(name, PythonObject(module if alias.asname else top))
                return
            package = e.scope.globals.get("__package__") if node.level else None
            module = importlib.import_module("." * node.level + (node.module or ""), package)
            for alias in node.names:
                if alias.name == "*":
                    e.fail_syntax("`import *` cannot stand in a function")
                e.assign(
                    alias.asname or alias.name,
                    self.wrap(e, getattr(module, alias.name), alias.name),
                )
        except (ImportError, AttributeError) as error:
            kind = type(error) if isinstance(error, ImportError) else ImportError
            e.raise_error(kind, str(error))

    to_str = staticmethod(text.to_str)
    to_repr = staticmethod(text.to_repr)
    to_ascii = staticmethod(text.to_ascii)
    to_format = staticmethod(text.to_format)
    percent_format = staticmethod(text.percent_format)
    exact_power = staticmethod(powers.exact_power)
    brace_format = staticmethod(text.brace_format)
    brace_format_by_python = staticmethod(text.brace_format_by_python)
    escaped = staticmethod(number_methods.escaped)
