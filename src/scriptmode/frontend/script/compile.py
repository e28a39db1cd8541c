"""The entrance: functions and modules to programs."""

from __future__ import annotations

import ast
import contextlib
import inspect
import sys
import threading
import types
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from scriptmode.frontend.script import annotations as A
from scriptmode.frontend.script import (
    autograd_functions,
    builtin_calls,
    builtin_numbers,
    builtin_types,
    call_expressions,
    contexts,
    copies,
    dataclass_functions,
    deques,
    dict_classes,
    dict_methods,
    dunder_methods,
    expressions,
    function_calls,
    futures,
    generator_methods,
    gradients,
    host_calls,
    itertools_calls,
    library_calls,
    list_methods,
    local_classes,
    managers,
    matching,
    module_calls,
    not_implemented,
    number_methods,
    object_methods,
    operator_calls,
    raising,
    ranges,
    sets,
    special,
    subscripts,
    tries,
    type_info,
)
from scriptmode.frontend.script.captured_objects import OutsideObjects
from scriptmode.frontend.script.cells import CellTable
from scriptmode.frontend.script.choices import ChoiceTable
from scriptmode.frontend.script.class_functions import complete_classes
from scriptmode.frontend.script.classes import AttributeLearnt, ClassFacts
from scriptmode.frontend.script.environment import closure_of
from scriptmode.frontend.script.functions import Instance, Target, instance_of
from scriptmode.frontend.script.known import (
    UNKNOWN_TYPE,
    KnownType,
    called_parameters,
    is_known_kind,
    mark_variables,
)
from scriptmode.frontend.script.linking import source_object
from scriptmode.frontend.script.modules import fits, type_of_object
from scriptmode.frontend.script.outside_variables import OutsideVariables
from scriptmode.frontend.script.shapes import Leaf, Shape, Static, leaves, type_of_shape
from scriptmode.frontend.script.shared_objects import SharedTable, is_kept
from scriptmode.frontend.script.source import place_of, source_of
from scriptmode.frontend.script.trees import walk
from scriptmode.frontend.script.unit import Unit
from scriptmode.frontend.script.values import (
    Constant,
    DictDisplay,
    ModuleValue,
    PythonObject,
    Sugared,
    TupleDisplay,
)
from scriptmode.ir import types as T
from scriptmode.ir.graph import Graph, Program, callable_functions
from scriptmode.support.diagnostics import (
    CompileError,
    Diagnostic,
    InternalError,
    ScriptAnnotationError,
    ScriptError,
    ScriptTypeError,
)
from scriptmode.support.locks import held_while_forking
from scriptmode.support.markers import EXPORT, modifier_of
from scriptmode.support.source import Span

HANDLERS = (  # they enter themselves
    autograd_functions, builtin_calls, builtin_numbers, builtin_types, call_expressions, contexts,
    copies, dataclass_functions, deques, dict_classes, dict_methods, dunder_methods, expressions,
    function_calls, futures, generator_methods, gradients, host_calls, itertools_calls,
    library_calls, list_methods, local_classes, managers, matching, module_calls, number_methods,
    object_methods, operator_calls, raising, ranges, sets, special, subscripts, tries, type_info,
)  # fmt: skip
_RECURSION_LIMIT = 20_000
# what a defect of the front end itself raises
_DEFECTS = (
    ArithmeticError, AssertionError, AttributeError, LookupError, NameError, TypeError, ValueError,
)  # fmt: skip
_MOST_ATTEMPTS = 300


def compile_function(
    function: Callable[..., Any],
    arg_types: Mapping[str, T.Type] | None = None,
    facts: ClassFacts | None = None,
) -> Program:
    """Compile a function; ``arg_types`` overrides what annotations and defaults say.

    ``facts`` are what is known of the instances that it will get.
    """
    if isinstance(function, types.MethodType) and isinstance(function.__self__, nn.Module):
        return compile_module(function.__self__, [function.__name__])
    plain = _plain_function(source_object(function))

    def attempt(open_type: T.Type | None, defers: bool = False) -> Program:
        def build(unit: Unit) -> None:
            unit.is_deferring = defers
            target = Target(source_of(plain), plain, plain.__globals__, closure_of(plain))
            shapes = _entry_shapes(unit, target, arg_types, None, open_type)
            instance = _compile_entry(unit, target, shapes)
            unit.program.root = instance.name

        return _build(build, plain, facts=facts)

    return _first_that_compiles(attempt, [(plain, arg_types)])


def compile_module(
    module: nn.Module,
    methods: Sequence[str] | None = None,
    arg_types: Mapping[str, Mapping[str, T.Type]] | None = None,
    stand_ins: Mapping[int, nn.Module] | None = None,
    facts: ClassFacts | None = None,
) -> Program:
    """Compile ``forward`` and the exported methods of a module, or the named methods.

    ``stand_ins`` are used instead of the modules of these ids, wherever the program reaches them.
    """
    names = list(methods) if methods is not None else entry_methods(module)

    def build(unit: Unit, open_type: T.Type | None, defers: bool) -> None:
        unit.is_deferring = defers
        info = unit.modules.info(module)
        unit.program.self_object = module
        for name in names:
            function = _method(module, name)
            given = (arg_types or {}).get(name)
            prototype = ModuleValue(info, Graph().add_param(info.type, "self"))
            owner = Static(prototype, prototype.key(), (Leaf(info.type),))
            target = Target(
                source_of(function), function, function.__globals__, closure_of(function),
                name=f"{info.type.name}.{name}",
            )  # fmt: skip
            shapes = _entry_shapes(unit, target, given, owner, open_type)
            info.type.methods[name] = _compile_entry(unit, target, shapes).name
        if names:
            root = "forward" if "forward" in names else names[0]
            unit.program.root = info.type.methods[root]

    def attempt(open_type: T.Type | None, defers: bool = False) -> Program:
        return _build(lambda unit: build(unit, open_type, defers), module, stand_ins or {}, facts)

    every = [(_method(module, name), (arg_types or {}).get(name)) for name in names]
    return _first_that_compiles(attempt, every)


# what a parameter may be whose annotation does not say it
_GUESSES = (
    T.TENSOR, T.INT, T.FLOAT, T.STR, T.ListType([T.INT]), T.ListType([T.TENSOR]),
    T.DictType([T.STR, T.TENSOR]),
)  # fmt: skip


def _first_that_compiles(
    attempt: Callable[..., Program],
    entries: Sequence[tuple[types.FunctionType, Mapping[str, T.Type] | None]],
) -> Program:
    """The primary instance: with parameters of open types as the first type that compiles.

    A call with arguments of other types compiles an instance for them.
    """
    kinds = [_openness(function, given or {}) for function, given in entries]
    guesses: Sequence[T.Type | None] = [None]
    if "variable" in kinds:
        guesses = _GUESSES
    elif "any" in kinds:
        guesses = (T.ANY, *_GUESSES)
    first: CompileError | None = None
    for guess in guesses:
        try:
            return attempt(guess)
        except CompileError as error:
            first = first or error
    assert first is not None
    if any(_calls_parameters(function, given or {}) for function, given in entries):
        with contextlib.suppress(CompileError):
            return attempt(guesses[0], defers=True)
    raise first


def _calls_parameters(function: types.FunctionType, given: Mapping[str, T.Type]) -> bool:
    """Whether the function calls a parameter of which nothing is said, or passes ``*args`` on."""
    if any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in _own_parameters(function)):
        return True
    free = [
        p.name
        for p in _own_parameters(function)
        if p.name not in given and p.annotation is p.empty and p.default is p.empty
    ]
    return bool(free) and bool(called_parameters(source_of(function).node, free))


def _openness(function: types.FunctionType, given: Mapping[str, T.Type]) -> str:
    """Whether some parameter's annotation is Any, or has a type variable or the like."""
    names = {**function.__globals__, **closure_of(function)}
    found = ""
    for parameter in _forwarded(function) or _own_parameters(function):
        if parameter.name in given or parameter.annotation is parameter.empty:
            continue
        try:
            without = A.resolve(parameter.annotation, names, lambda cls: None)
            with_one = A.resolve(
                parameter.annotation, {**names, A.OPEN: T.TENSOR}, lambda cls: None
            )
        except A.BadAnnotation:
            continue
        if without != with_one:
            return "variable"
        if without == T.ANY:
            found = "any"
    return found


def entry_methods(module: nn.Module) -> list[str]:
    """``forward``, a ``__call__`` of the class's own, and methods marked for export."""
    cls = type(module)
    forward = inspect.getattr_static(cls, "forward", None)
    base = inspect.getattr_static(nn.Module, "forward")
    names = [] if forward is base and "forward" not in vars(module) else ["forward"]
    is_generated = isinstance(module, torch.fx.GraphModule)  # its __call__ reports errors only
    if inspect.getattr_static(cls, "__call__") is not vars(nn.Module)["__call__"]:
        if not is_generated:
            names.append("__call__")
    for name in dir(cls):
        found = inspect.getattr_static(cls, name, None)
        if name != "forward" and isinstance(found, types.FunctionType):
            if modifier_of(found) == EXPORT:
                names.append(name)
    return names


def _plain_function(function: Any) -> types.FunctionType:
    if isinstance(function, types.FunctionType):
        return function
    name = getattr(function, "__qualname__", None) or type(function).__name__
    raise CompileError(
        Diagnostic(
            "SM0101",
            f"`{name}` is not a Python function and cannot be compiled",
            place_of(function),
            help="pass a function defined with `def` or `lambda`, or an nn.Module",
        )
    )


def _method(module: nn.Module, name: str) -> types.FunctionType:
    found = getattr(module, name, None)
    if isinstance(found, types.MethodType) and isinstance(found.__func__, types.FunctionType):
        return found.__func__
    raise CompileError(
        Diagnostic("SM0303", f"`{type(module).__name__}` has no method `{name}` to compile")
    )


def _build(
    build: Callable[[Unit], None],
    subject: Any,
    stand_ins: Mapping[int, nn.Module] | None = None,
    facts: ClassFacts | None = None,
) -> Program:
    learnt: dict[tuple[type, str], T.Type] = {}
    late: dict[tuple[type, str], T.Type] = {}
    objects, outside = OutsideObjects(), OutsideVariables()
    choices, cells, learnt_facts = ChoiceTable(), CellTable(), ClassFacts.of(facts)
    shared = SharedTable()
    data_enums: list[Any] = []
    with _deep_recursion():
        for _ in range(_MOST_ATTEMPTS):
            unit = Unit(
                learnt,
                late,
                objects,
                outside,
                choices,
                cells,
                shared,
                data_enums,
                stand_ins or {},
                learnt_facts,
            )
            try:
                unit.classes.enter_known()
                build(unit)
                complete_classes(unit)
                unit.objects.settle(unit)
                unit.classes.finish()
            except AttributeLearnt:
                continue
            except ScriptError:
                raise
            except RecursionError:
                raise CompileError(
                    Diagnostic("SM0208", "the program is nested too deeply", place_of(subject))
                ) from None
            except _DEFECTS as error:
                raise _internal(unit, subject, error) from error
            program = unit.program
            # others are of attempts that were given up
            called = callable_functions(program)
            program.functions = {name: program.functions[name] for name in called}
            return program
    raise CompileError(
        Diagnostic("SM0203", "the types of the attributes do not settle", place_of(subject))
    )


def _internal(unit: Unit, subject: Any, error: Exception) -> InternalError:
    """A defect of the compiler, with the place that was being compiled."""
    span = unit.last_span or place_of(subject)
    return InternalError(
        Diagnostic(
            "SM9001",
            f"the script front end failed: {type(error).__name__}: {error}",
            span,
            help="this is a defect of scriptmode; please report it with this program",
        )
    )


class _Depth:
    """How many compilations are under way: the first raises the limit, the last restores it."""

    def __init__(self) -> None:
        self.lock = held_while_forking(threading.RLock())
        self.count = 0
        self.before = 0


_DEPTH = _Depth()


@contextlib.contextmanager
def _deep_recursion() -> Iterator[None]:
    """The front end recurses over nested syntax and calls."""
    with _DEPTH.lock:
        if _DEPTH.count == 0:
            _DEPTH.before = sys.getrecursionlimit()
            sys.setrecursionlimit(max(_DEPTH.before, _RECURSION_LIMIT))
        _DEPTH.count += 1
    try:
        yield
    finally:
        with _DEPTH.lock:
            _DEPTH.count -= 1
            if _DEPTH.count == 0:
                sys.setrecursionlimit(_DEPTH.before)


# parameters of entries


def _compile_entry(unit: Unit, target: Target, shapes: dict[str, Shape]) -> Instance:
    """Compile an entry; its result must be a value that Python can be given."""
    if target.source.is_generator:
        raise ScriptTypeError(
            Diagnostic(
                "SM0202",
                "a generator cannot be returned to Python",
                target.source.span(target.source.node),
                help="compile a function that consumes it, or return a list of its items",
            )
        )
    unit.entries.append(target)
    instance = instance_of(unit, target, shapes, None)
    result = instance.result
    if result is not None and type_of_shape(unit.new_emitter_at(target), result) is None:
        assert isinstance(result, Static)
        span = target.source.span(target.source.node)
        if _is_returned(result.prototype, target):
            assert isinstance(result.prototype, PythonObject)
            unit.program.results[instance.name] = result.prototype.object
        else:
            unit.fail_at(
                span, "SM0202", f"{result.prototype.describe()} cannot be returned to Python"
            )
    if instance.return_type is not None and T.has_choice(instance.return_type):
        span = target.source.span(target.source.node)
        unit.fail_at(span, "SM0202", "a function cannot be returned to Python")
    if instance.return_type is not None and not_implemented.mentions(instance.return_type):
        span = target.source.span(target.source.node)
        unit.fail_at(span, "SM0202", "NotImplemented cannot be returned to Python")
    unit.program.known[instance.name] = dict(target.known)
    assert target.function is not None
    _complete_signature(instance, target.function)
    return instance


def _is_returned(result: Sugared, target: Target) -> bool:
    """Whether an entry returns a function or class that is the same Python object at each call."""
    if not isinstance(result, PythonObject) or not is_known_kind(result.object):
        return False
    if any(t.value is result.object for t in target.known.values()):
        return True
    # another call may pass a function of the same code
    is_made = "<" in getattr(result.object, "__qualname__", "")
    return not (target.known and is_made)


def _entry_shapes(
    unit: Unit,
    target: Target,
    arg_types: Mapping[str, T.Type] | None,
    owner: Static | None,
    open_type: T.Type | None,
) -> dict[str, Shape]:
    """Shapes of the parameters of an entry function, or of a method of ``owner``.

    ``open_type`` stands for what annotations leave open.
    """
    function = target.function
    assert function is not None
    shapes: dict[str, Shape] = {}
    given = {name: unit.classes.adopt(t) for name, t in (arg_types or {}).items()}
    comments = _type_comment(unit, function, 0 if owner is None else 1)
    parameters, forwarded = _own_parameters(function), _forwarded(function)
    if owner is not None and not parameters:
        raise ScriptTypeError(
            Diagnostic(
                "SM0201",
                f"the method `{function.__name__}` has no parameter for the module",
                place_of(function),
                help="give it a first parameter `self`",
            )
        )
    if owner is not None and not (forwarded and _takes_all(parameters)):
        shapes[parameters[0].name] = owner
        parameters, forwarded = parameters[1:], forwarded[1:]
        owner = None
    for index, parameter in enumerate(parameters):
        name = parameter.name
        if forwarded and parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            rest = forwarded[index + (owner is not None) :]
            types = [
                given.pop(p.name)
                if p.name in given
                else _parameter_type(unit, function, p, open_type)
                for p in rest
            ]
            parts: list[Shape] = [*map(Leaf, types)]
            items: list[Sugared] = [Constant(None) for _ in rest]
            if owner is not None:
                parts.insert(0, owner)
                items.insert(0, owner.prototype)
            display = TupleDisplay(tuple(items))
            shapes[name] = Static(display, display.key(), tuple(parts))
            target.parameter_names[name] = [p.name for p in forwarded[index:]]
        elif forwarded and parameter.kind is inspect.Parameter.VAR_KEYWORD:
            nothing = DictDisplay((), (), frozen=True)
            shapes[name] = Static(nothing, nothing.key(), ())
        else:
            t = given.pop(name) if name in given else comments.get(name)
            t = t or _parameter_type(unit, function, parameter, open_type)
            if isinstance(t, KnownType):
                target.known[name] = t
                mark_variables(unit, t)
                shapes[name] = Static(PythonObject(t.value), ("known", t.key), ())
                continue
            shapes[name] = Leaf(t)
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                if isinstance(t, T.NamedTupleType):
                    target.keyword_tuples = (name,)
                else:
                    target.empty_keywords = (name,)
    for shape in shapes.values():
        for t in leaves(shape):
            unit.declare(t)
    if given:
        names = ", ".join(given)
        raise ScriptTypeError(
            Diagnostic("SM0210", f"there is no parameter {names}", place_of(function))
        )
    return shapes


def _own_parameters(function: types.FunctionType) -> list[inspect.Parameter]:
    return list(inspect.signature(function, follow_wrapped=False).parameters.values())


def _takes_all(parameters: Sequence[inspect.Parameter]) -> bool:
    return bool(parameters) and parameters[0].kind is inspect.Parameter.VAR_POSITIONAL


def _forwarded(function: types.FunctionType) -> list[inspect.Parameter]:
    """Parameters of the function behind a decorator's ``wrapper(*args, **kwargs)``."""
    if not hasattr(function, "__wrapped__"):
        return []
    kinds = {p.kind for p in _own_parameters(function)}
    if inspect.Parameter.VAR_POSITIONAL not in kinds:
        return []
    found = list(inspect.signature(function).parameters.values())
    simple = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return found if all(p.kind in simple for p in found) else []


def _type_comment(unit: Unit, function: types.FunctionType, skip: int) -> dict[str, T.Type]:
    """Types from a ``# type: (int, Tensor) -> Tensor`` comment."""
    node = source_of(function).node
    comment = getattr(node, "type_comment", None)
    if not comment or not comment.startswith("("):
        return {}
    names = {**function.__globals__, **closure_of(function)}
    text = comment.partition("->")[0].strip()
    parameters = list(inspect.signature(function, follow_wrapped=False).parameters)[skip:]
    try:
        if text == "(...)":  # each parameter has a comment of its own
            return _comments_of_parameters(unit, node, names)
        parts = A.evaluate(f"({text[1:-1].strip()},)" if text != "()" else "()", names)
        found = [A.resolve(p, names, unit.type_of_class) for p in parts]
    except A.BadAnnotation as problem:
        raise ScriptAnnotationError(
            Diagnostic("SM0209", str(problem), place_of(function))
        ) from None
    if len(parameters) != len(found):
        message = f"the type comment has {len(found)} types for {len(parameters)} parameters"
        raise ScriptAnnotationError(Diagnostic("SM0209", message, place_of(function)))
    return {n: t for n, t in zip(parameters, found, strict=True) if t is not None}


def _comments_of_parameters(unit: Unit, node: Any, names: dict[str, Any]) -> dict[str, T.Type]:
    """Types from the comments behind the parameters, ``x,  # type: int``."""
    arguments: ast.arguments = node.args
    found: dict[str, T.Type] = {}
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        if argument.type_comment is not None:
            t = A.resolve(A.evaluate(argument.type_comment, names), names, unit.type_of_class)
            if t is not None:
                found[argument.arg] = t
    return found


def _parameter_type(
    unit: Unit,
    function: types.FunctionType,
    parameter: inspect.Parameter,
    open_type: T.Type | None,
) -> T.Type:
    names = {**function.__globals__, **closure_of(function)}
    if open_type is not None:
        names[A.OPEN] = open_type
    default = parameter.default
    annotated: T.Type | None = None
    place = _parameter_place(function, parameter.name)
    _check_default(function, parameter, place)
    if parameter.annotation is not inspect.Parameter.empty:
        try:
            annotation = _broadcasting(function, parameter) or parameter.annotation
            annotated = A.resolve_known(annotation, names, unit.type_of_class)
        except A.BadAnnotation as problem:
            raise ScriptAnnotationError(
                Diagnostic("SM0209", f"parameter `{parameter.name}`: {problem}", place)
            ) from None
        if annotated is None:
            if default is not parameter.empty and is_known_kind(default):
                return KnownType(default, ("object", id(default)))
            if A.means_known(parameter.annotation, names):
                return UNKNOWN_TYPE
            raise ScriptAnnotationError(
                Diagnostic(
                    "SM0209",
                    f"parameter `{parameter.name}`: `{parameter.annotation}` cannot be the type "
                    "of an entry's parameter",
                    place,
                    help="annotate it with a type of values, or pass it through a closure",
                )
            )
    if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
        return UNKNOWN_TYPE if unit.is_deferring else T.TupleType([])
    if parameter.kind is inspect.Parameter.VAR_KEYWORD:
        return T.DictType([T.STR, T.TENSOR])
    if annotated == T.ANY and open_type is not None:
        annotated = open_type
    if A.is_open(parameter.annotation) and default not in (None, inspect.Parameter.empty):
        annotated = None  # the default says more
    if annotated is not None:
        if default is None and not T.is_optional(annotated):
            return T.optional_of(annotated)
        return annotated
    if default is inspect.Parameter.empty:
        called = called_parameters(source_of(function).node, [parameter.name])
        return UNKNOWN_TYPE if unit.is_deferring and called else T.TENSOR
    if is_known_kind(default):
        return KnownType(default, ("object", id(default)))
    if default is None:
        return T.NONE  # a call with a value compiles an instance for it
    found = type_of_object(default)
    return found if found is not None and fits(default, found) else T.TENSOR


def _check_default(function: types.FunctionType, parameter: inspect.Parameter, place: Span) -> None:
    """Refuse a container as a default that the function changes, stores or returns."""
    if isinstance(parameter.default, (list, dict, set, deque, bytearray)):
        if is_kept(source_of(function).node, parameter.name):
            kind = type(parameter.default).__name__
            raise CompileError(
                Diagnostic(
                    "SM0212",
                    f"the default of `{parameter.name}` is one {kind} for all calls, which "
                    "the function changes, stores or returns",
                    place,
                    help=f"write None as the default and make the {kind} inside",
                )
            )


def _broadcasting(function: types.FunctionType, parameter: inspect.Parameter) -> str | None:
    """The text of an annotation ``BroadcastingList2[int]``, which has evaluated to None."""
    if parameter.annotation is not None:
        return None
    for inner in walk(source_of(function).node.args):
        if isinstance(inner, ast.arg) and inner.arg == parameter.name and inner.annotation:
            text = ast.unparse(inner.annotation)
            return text if "BroadcastingList" in text else None
    return None


def _parameter_place(function: types.FunctionType, name: str) -> Span:
    """Where a parameter stands."""
    source = source_of(function)
    for inner in walk(source.node.args):
        if isinstance(inner, ast.arg) and inner.arg == name:
            return source.span(inner)
    return place_of(function)


def _complete_signature(instance: Instance, function: types.FunctionType) -> None:
    """Enter defaults and keyword-only names, for the boundary."""
    graph = instance.graph
    assert graph is not None
    for parameter in _forwarded(function) or _own_parameters(function):
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            graph.defaults[parameter.name] = ()
        elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
            graph.defaults[parameter.name] = {}
        elif parameter.default is not inspect.Parameter.empty:
            graph.defaults[parameter.name] = parameter.default
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            graph.kwarg_only.add(parameter.name)
        elif parameter.kind is inspect.Parameter.VAR_KEYWORD and graph.kwarg_only:
            graph.kwarg_only.add(parameter.name)  # it stands behind them
    graph.doc = function.__doc__ or ""
