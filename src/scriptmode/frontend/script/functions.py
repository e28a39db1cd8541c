"""Calls of Python functions: binding of arguments, and one IR function per kinds of arguments.

An *instance* of a function is compiled for the shapes of its arguments: IR values become its
parameters, what is known at compile time (None, flags, strings, functions, modules' classes) is
part of the instance.  Free variables of nested functions are passed as further parameters.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import types
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from scriptmode.frontend.script.dataclass_sources import is_generated_comparison
from scriptmode.frontend.script.emitter import DeadCode, Emitter, Restart
from scriptmode.frontend.script.environment import Scope, closure_of
from scriptmode.frontend.script.known import UNKNOWN, KnownType
from scriptmode.frontend.script.literals import ParameterGrows, settle_literals, widen
from scriptmode.frontend.script.shapes import (
    Leaf,
    Shape,
    Static,
    flatten,
    join_all,
    leaves,
    rebuild,
    shape_of,
)
from scriptmode.frontend.script.source import (
    FunctionSource,
    free_names,
    source_of,
)
from scriptmode.frontend.script.texts import missing_text, too_many_text
from scriptmode.frontend.script.trees import children, kept, walk
from scriptmode.frontend.script.values import (
    KEYWORDS,
    Arguments,
    Constant,
    DictDisplay,
    GeneratorValue,
    IRValue,
    ListDisplay,
    LocalFunction,
    StarredDict,
    StarredList,
    Sugared,
    TupleDisplay,
    Unusable,
)
from scriptmode.ir import types as T
from scriptmode.ir.graph import Graph, Node, Value
from scriptmode.ir.growth import join_growing
from scriptmode.support.diagnostics import CompileError, ScriptCallError

if TYPE_CHECKING:
    from scriptmode.frontend.script.generators import GeneratorCode

_MOST_RESTARTS = 200
_MOST_DEPTH = 150


@dataclass(eq=False)
class Target:
    """A function to be compiled."""

    source: FunctionSource
    function: types.FunctionType | None
    globals: Mapping[str, Any]
    closure: Mapping[str, Any]
    captured: dict[str, Sugared] = field(default_factory=dict)
    itself: LocalFunction | None = None  # a nested function may call itself by name
    name: str = ""
    parameter_names: dict[str, list[str]] = field(default_factory=dict)
    empty_keywords: tuple[str, ...] = ()  # of an entry
    keyword_tuples: tuple[str, ...] = ()  # of an entry: they come as named tuples
    known: dict[str, KnownType] = field(default_factory=dict)  # of an entry

    def key(self) -> Hashable:
        """Identity of the function."""
        return (id(self.source.node), id(self.function), tuple(self.captured))


@dataclass(eq=False)
class Instance:
    """A function compiled for one combination of argument shapes."""

    name: str
    target: Target
    shapes: dict[str, Shape]
    graph: Graph | None = None
    result: Shape | None = None
    return_type: T.Type | None = None  # while compiling: what a recursive call assumes
    is_recursive: bool = False
    is_provisional: bool = False  # compiled against another instance's assumption
    hints: dict[Hashable, T.Type] = field(default_factory=dict)
    generator: GeneratorCode | None = None  # of the resume function of a generator
    owned: dict[str, T.Type] = field(default_factory=dict)  # variables that hold generators

    def key(self) -> Hashable:
        """What tells it from other instances."""
        return _key_of(self.target, self.shapes)


def _key_of(target: Target, shapes: dict[str, Shape]) -> Hashable:
    return target.key(), tuple(shapes.items())


# binding


def bad_call(e: Emitter, text: str) -> NoReturn:
    """Report arguments that do not fit; ``text`` is what Python says."""
    e.fail("SM0201", text, error=ScriptCallError)


def bind(
    e: Emitter,
    source: FunctionSource,
    defaults: Sequence[Sugared],
    keyword_defaults: Mapping[str, Sugared],
    given: Arguments,
) -> dict[str, Sugared]:
    """Parameters of a function by name, as Python binds the arguments of a call."""
    arguments = source.node.args
    name = source.qualname
    positional = [a.arg for a in (*arguments.posonlyargs, *arguments.args)]
    by_name = dict(zip(positional[len(positional) - len(defaults) :], defaults, strict=True))
    bound: dict[str, Sugared] = {}
    before, rest_list = given.positional, None
    if any(isinstance(a, StarredList) for a in before):
        before, rest_list = e.unit.spread_positional(e, name, arguments, by_name, given, bound)
    bound.update(zip(positional, before, strict=False))
    rest = _bind_keywords(e, name, arguments, given, bound)
    if len(before) > len(positional) and arguments.vararg is None:
        bad_call(e, _too_many(name, positional, defaults, given, bound, arguments))
    by_name.update(keyword_defaults)
    left: Sugared = DictDisplay(tuple(map(Constant, rest)), tuple(rest.values()), frozen=True)
    spread = given.keywords.get(KEYWORDS)
    if isinstance(spread, StarredDict):
        left = e.unit.spread_keywords(e, name, arguments, by_name, spread, bound)
        if rest:
            e.not_built("`**` beside further keyword arguments is", help="put them into the dict")
    bound = {**by_name, **bound}
    for kind, names in (
        ("positional", positional),
        ("keyword-only", [a.arg for a in arguments.kwonlyargs]),
    ):
        missing = [a for a in names if a not in bound]
        if missing:
            bad_call(e, missing_text(name, kind, missing))
    ordered = {a: bound[a] for a in positional}
    if arguments.vararg is not None:
        extra = TupleDisplay(tuple(before[len(positional) :]))
        ordered[arguments.vararg.arg] = extra if rest_list is None else rest_list
    ordered.update({a.arg: bound[a.arg] for a in arguments.kwonlyargs})
    if arguments.kwarg is not None:
        ordered[arguments.kwarg.arg] = left
    return ordered


def _bind_keywords(
    e: Emitter, name: str, arguments: ast.arguments, given: Arguments, bound: dict[str, Sugared]
) -> dict[str, Sugared]:
    """Bind arguments given by name; those that ``**kwargs`` takes."""
    only_positional = {a.arg for a in arguments.posonlyargs}
    by_keyword = {a.arg for a in (*arguments.args, *arguments.kwonlyargs)}
    rest: dict[str, Sugared] = {}
    for key, value in given.keywords.items():
        if key == KEYWORDS:
            continue
        if key in by_keyword:
            if key in bound:
                bad_call(e, f"{name}() got multiple values for argument '{key}'")
            bound[key] = value
        elif arguments.kwarg is not None:
            rest[key] = value
        elif key in only_positional:
            bad_call(
                e,
                f"{name}() got some positional-only arguments passed as keyword arguments: '{key}'",
            )
        else:
            bad_call(e, f"{name}() got an unexpected keyword argument '{key}'")
    return rest


def _too_many(
    name: str,
    positional: Sequence[str],
    defaults: Sequence[Sugared],
    given: Arguments,
    bound: Mapping[str, Sugared],
    arguments: ast.arguments,
) -> str:
    count = len(given.positional)
    text = too_many_text(name, len(positional), len(defaults))
    own = [a.arg for a in arguments.kwonlyargs if a.arg in bound]
    also = ""
    if own:
        also = (
            f" positional argument{'s' if count != 1 else ''} (and {len(own)} keyword-only "
            f"argument{'s' if len(own) != 1 else ''})"
        )
    elif count == 1:
        text = text.replace(" were given", " was given")
    return text.replace("{}", f"{count}{also}")


def argument_shape(e: Emitter, value: Sugared) -> Shape:
    """Shape by which an argument selects an instance: numbers vary, flags and names do not."""
    if isinstance(value, Constant):
        t = e.type_of(value)
        return Leaf(t) if t in (T.INT, T.FLOAT, T.COMPLEX) and t else Static(value, value.key(), ())
    if isinstance(value, (ListDisplay, DictDisplay)) and not value.frozen:
        t = e.type_of(value)
        if t is not None:
            return Leaf(t)
    parts = value.parts()
    if not parts:
        return shape_of(e, value)
    return Static(value, value.key(), tuple(argument_shape(e, p) for p in parts))


# calls


def call_function(e: Emitter, function: types.FunctionType, given: Arguments) -> Sugared:
    """Call a Python function by its source."""
    if is_generated_comparison(function):
        compared: Sugared = e.unit.dunders.call_generated_comparison(e, function, given)
        return compared
    return call_source(e, function, given)


def call_source(e: Emitter, function: types.FunctionType, given: Arguments) -> Sugared:
    """Call a Python function by what its source says, whatever the classes of the arguments."""
    source = source_of(function)
    defaults, keyword_defaults = default_values(e, function)
    bound = bind(e, source, defaults, keyword_defaults, given)
    target = Target(source, function, function.__globals__, closure_of(function))
    return call_target(e, target, bound)


def default_values(
    e: Emitter, function: types.FunctionType
) -> tuple[list[Sugared], dict[str, Sugared]]:
    """The defaults of a Python function: the last positional ones, keyword-only ones by name."""
    arguments = source_of(function).node.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args)]
    given = function.__defaults__ or ()
    positional = [
        e.unit.wrap_default(e, d, function, n)
        for n, d in zip(names[len(names) - len(given) :], given, strict=True)
    ]
    by_name = {
        k: e.unit.wrap_default(e, d, function, k)
        for k, d in (function.__kwdefaults__ or {}).items()
    }
    return positional, by_name


def local_function(e: Emitter, node: ast.FunctionDef | ast.Lambda) -> LocalFunction:
    """The value of a nested ``def`` or ``lambda``."""
    arguments = node.args
    positional = [*arguments.posonlyargs, *arguments.args]
    with_default = positional[len(positional) - len(arguments.defaults) :]
    defaults = tuple(
        _default(e, a, d) for a, d in zip(with_default, arguments.defaults, strict=True)
    )
    keyword_defaults = {
        a.arg: _default(e, a, d)
        for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if d is not None
    }
    source = e.scope.source.nested(node)
    return LocalFunction(source, e.scope, defaults, keyword_defaults)


def genexpr_function(e: Emitter, value: GeneratorValue) -> LocalFunction:
    """A generator expression as the function that Python makes of it."""
    node = value.node
    source = e.scope.source.inner.get(id(node))
    if source is None:
        source = e.scope.source.inner[id(node)] = _genexpr_source(e.scope.source, node)
    return close(e, LocalFunction(source, e.scope, (), {}))


def _genexpr_source(outer: FunctionSource, node: ast.GeneratorExp) -> FunctionSource:
    body: ast.stmt = ast.Expr(ast.Yield(node.elt))
    for number, part in reversed(list(enumerate(node.generators))):
        for test in reversed(part.ifs):
            body = ast.If(test, [body], [])
        iterable = part.iter if number else ast.Name(".0", ast.Load())
        body = ast.copy_location(ast.For(part.target, iterable, [body], []), part.target)
    arguments = ast.arguments([], [ast.arg(".0")], None, [], [], None, [])
    function = ast.FunctionDef("<genexpr>", arguments, [body], [], None)
    for inner in walk(function):
        if "lineno" in inner._attributes and not hasattr(inner, "lineno"):
            ast.copy_location(inner, node)
    qualname = f"{outer.qualname}.<locals>.<genexpr>"
    return FunctionSource(function, outer.file, qualname, outer.module, parent=outer, origin=node)


def _default(e: Emitter, parameter: ast.arg, node: ast.expr) -> Sugared:
    """A default value, which all calls share."""
    expected = None
    if parameter.annotation is not None and isinstance(node, (ast.List, ast.Dict)):
        expected = e.unit.declared.annotation_node(e, parameter.annotation)
    return e.settle(e.expression(node, expected), expected)


def close(e: Emitter, function: LocalFunction, seen: tuple[ast.AST, ...] = ()) -> LocalFunction:
    """The function with the present values of its free variables."""
    if function.captured is not None:
        return function
    node = function.source.node
    names = sorted(free_names(node))
    own_names: list[str] = []
    captured: dict[str, Sugared] = {}
    for name in names:
        value = e.env.names.get(name) if function.scope is e.scope else None
        value = value or function.scope.captured.get(name)
        if value is None or isinstance(value, Unusable):
            continue
        if isinstance(value, LocalFunction):
            if value.source.node is node:
                own_names.append(name)
                continue
            if value.source.node in seen:
                continue
            value = close(e, value, (*seen, node))
        captured[name] = _close_parts(e, value, (*seen, node))
    return dataclasses.replace(function, captured=captured, own_names=tuple(own_names))


def _close_parts(e: Emitter, value: Sugared, seen: tuple[ast.AST, ...]) -> Sugared:
    """A decorated function, or another value with functions inside, with their free variables."""
    parts = value.parts()
    if isinstance(value, LocalFunction) or not parts:
        return value
    closed = [
        close(e, p, seen)
        if isinstance(p, LocalFunction) and p.source.node not in seen
        else _close_parts(e, p, seen)
        for p in parts
    ]
    same = all(new is old for new, old in zip(closed, parts, strict=True))
    return value if same else value.with_parts(closed)


def _with_recursion(e: Emitter, function: LocalFunction) -> LocalFunction:
    """The function with those that call it and that it calls in turn, known where it is called."""
    captured = function.captured
    assert captured is not None
    missing = free_names(function.source.node) - {*captured, *function.own_names}
    found = {}
    for name in sorted(missing):
        value = e.scope.captured.get(name)
        if isinstance(value, LocalFunction) and value.scope is function.scope:
            found[name] = value
    return dataclasses.replace(function, captured={**captured, **found}) if found else function


def call_local(e: Emitter, function: LocalFunction, given: Arguments) -> Sugared:
    """Call a nested function."""
    closed = _with_recursion(e, close(e, function))
    assert closed.captured is not None
    bound = bind(e, closed.source, closed.defaults, closed.keyword_defaults, given)
    scope = closed.scope
    target = Target(
        closed.source, None, scope.globals, scope.closure, dict(closed.captured), closed
    )
    return call_target(e, target, bound)


def _typed_by_annotation(
    e: Emitter, target: Target, bound: dict[str, Sugared]
) -> dict[str, Sugared]:
    """Empty displays get the element types that the parameters' annotations say."""
    found = dict(bound)
    for name, value in bound.items():
        if isinstance(value, (ListDisplay, DictDisplay)) and not value.frozen:
            t = e.type_of(value)
            if t is not None and T.NEVER in T.walk(t):
                declared = e.unit.declared.parameter_annotation(e, target, name)
                found[name] = IRValue(e.value(value, declared))
    return found


def crossing(e: Emitter, value: Sugared) -> Sugared:
    """A value as another function sees it."""
    if isinstance(value, LocalFunction) and value.captured is None:
        value = close(e, value)
    value = e.unit.kept(e, value)
    parts = value.parts()
    if not parts:
        return value
    crossed = [crossing(e, p) for p in parts]
    same = all(new is old for new, old in zip(crossed, parts, strict=True))
    return value if same else value.with_parts(crossed)


def _call_shapes(
    e: Emitter, target: Target, bound: dict[str, Sugared]
) -> tuple[dict[str, Sugared], dict[str, Shape]]:
    """All that a call passes, and the shapes by which it selects an instance."""
    bound = {name: crossing(e, v) for name, v in _typed_by_annotation(e, target, bound).items()}
    target.captured.update(e.unit.needed_objects(e, target.source.node))
    values = {**bound, **{f"{name} (captured)": v for name, v in target.captured.items()}}
    return values, {name: argument_shape(e, v) for name, v in values.items()}


def prepare_call(
    e: Emitter, target: Target, bound: dict[str, Sugared]
) -> tuple[Instance, list[Value]]:
    """The instance for these arguments, and its inputs."""
    values, shapes = _call_shapes(e, target, bound)
    inputs = [v for name, s in shapes.items() for v in flatten(e, values[name], s)]
    while True:
        try:
            return instance_of(e.unit, target, shapes, e), inputs
        except ParameterGrows as grown:
            widen(e, inputs[grown.index], grown.wanted, is_wish=grown.is_wish)
            if not grown.is_wish:
                raise grown.error from None
            e.unit.fixed_parameters.add((_key_of(target, shapes), grown.index))


def call_target(e: Emitter, target: Target, bound: dict[str, Sugared]) -> Sugared:
    """Call the instance for these arguments; of a generator function, make the generator."""
    if target.source.is_generator:
        made: Sugared = e.unit.make_generator(e, target, *_call_shapes(e, target, bound))
        return made
    instance, inputs = prepare_call(e, target, bound)
    assert instance.return_type is not None
    output = e.builder.call(instance.name, inputs, instance.return_type)
    e.forget_written(e.unit.writes.of(instance.name))
    if instance.return_type == T.NEVER:
        e.die()
    if isinstance(instance.result, Static):
        result = _taken_apart(e, instance.result, output)
        e.unit.check_escaping(e, result)
        e.unit.note_returned(e, result)
        return result
    return e.lift(output)


def _taken_apart(e: Emitter, shape: Static, output: Value) -> Sugared:
    """The result of a call, which returned the run-time values inside."""
    count = len(leaves(shape))
    if count == 0:
        return rebuild(e, shape, iter(()))
    return rebuild(e, shape, iter([e.builder.tuple_index(output, i) for i in range(count)]))


def instance_of(
    unit: Any,
    target: Target,
    shapes: dict[str, Shape],
    caller: Emitter | None,
    generator: GeneratorCode | None = None,
) -> Instance:
    """The instance for these shapes, compiled now if it is new; ``resume`` of a generator."""
    key = _key_of(target, shapes)
    found: Instance | None = unit.instances.get(key)
    if found is None:
        name = unit.unique_name(target.name or f"{target.source.module}.{target.source.qualname}")
        found = unit.instances[key] = Instance(name, target, shapes, generator=generator)
        if len(unit.stack) > _MOST_DEPTH and caller is not None:
            caller.fail("SM0208", "calls are nested too deeply to be compiled")
        try:
            _compile(unit, found, key)
        except ParameterGrows:
            del unit.instances[key]
            unit.program.functions.pop(name, None)
            raise
        except CompileError as error:
            del unit.instances[key]
            unit.program.functions.pop(name, None)
            if caller is None:
                raise
            raise type(error)(
                [dataclasses.replace(d, chain=(caller.span, *d.chain)) for d in error.diagnostics]
            ) from None
    elif found.graph is None:
        _assume_result(unit, found, caller)
    return found


def _assume_result(unit: Any, instance: Instance, caller: Emitter | None) -> None:
    """A recursive call: take the annotated result, or none until a first pass has found one."""
    instance.is_recursive = True
    if instance.return_type is None and instance.generator is not None:
        instance.return_type = T.NEVER
    if instance.return_type is None:
        annotated = unit.declared.return_annotation(instance.target, caller)
        instance.return_type = annotated if annotated is not None else T.NEVER
    above = unit.stack[unit.stack.index(instance) + 1 :]
    for other in above:
        other.is_provisional = True


def _compile(unit: Any, instance: Instance, key: Hashable) -> None:
    unit.stack.append(instance)
    try:
        for _ in range(_MOST_RESTARTS):
            before = set(unit.instances)
            emitter = _emit(unit, instance)
            if emitter is not None and _settle_result(emitter, instance):
                if not instance.is_provisional:  # what they took its result to be was right
                    for other in unit.instances.keys() - before:
                        unit.instances[other].is_provisional = False
                break
            instance.graph = None
            for other in [k for k in unit.instances if k not in before]:
                if unit.instances[other].is_provisional:
                    unit.program.functions.pop(unit.instances[other].name, None)
                    del unit.instances[other]
        else:
            span = instance.target.source.span(instance.target.source.node)
            unit.fail_at(span, "SM0203", "the types of this function do not settle; annotate them")
    finally:
        unit.stack.pop()
    assert instance.graph is not None
    unit.program.functions[instance.name] = instance.graph


def _emit(unit: Any, instance: Instance) -> Emitter | None:
    """One pass over the function; None when it must start again with what was learnt."""
    target = instance.target
    source = target.source
    node = source.node
    graph = Graph(instance.name)
    graph.span = source.span(node)
    scope = Scope(source, target.function, target.globals, target.closure)
    owner = target.closure.get("__class__")
    scope.owner_class = owner if isinstance(owner, type) else None
    e: Emitter = unit.new_emitter(scope, graph, instance.hints)
    e.builder.span = graph.span
    _check_supported(e, node)
    try:
        if instance.generator is not None:
            with contextlib.suppress(DeadCode):
                unit.emit_generator(e, instance)
        else:
            _run_function(e, instance, scope)
        if instance.generator is not None and instance.generator.has_changed:
            return None  # what comes after a new place of a yield may say what literals hold
        settle_literals(e)
    except Restart:
        if instance.generator is not None:
            instance.generator.forget()
        return None
    return e


def _run_function(e: Emitter, instance: Instance, scope: Scope) -> None:
    try:
        _bind_parameters(e, instance, scope)
    except DeadCode:
        return
    e.unit.make_cells(e)
    e.unit.check_entry(e, instance.target)
    _run_body(e, instance, instance.target.source.node)


def _run_body(e: Emitter, instance: Instance, node: ast.FunctionDef | ast.Lambda) -> None:
    try:
        if isinstance(node, ast.Lambda):
            value = e.expression(node.body)
            e.unit.finish(e, e.settle(value))
        else:
            e.unit.with_owned(e, instance, lambda: e.statements(node.body))
            e.unit.finish(e, Constant(None))
    except DeadCode:
        assert e.builder.block.is_terminated, "dead code without a terminator"


def _check_supported(e: Emitter, node: ast.FunctionDef | ast.Lambda) -> None:
    for inner in _awaits(node):
        with e.at(inner):
            e.fail_syntax("async code cannot be compiled")


@kept
def _awaits(node: ast.AST) -> tuple[ast.Await, ...]:
    return tuple(inner for inner in _own_nodes(node) if isinstance(inner, ast.Await))


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    for child in children(node):
        yield child
        if not isinstance(child, (ast.FunctionDef, ast.Lambda, ast.ClassDef, ast.GeneratorExp)):
            yield from _own_nodes(child)


def _bind_parameters(e: Emitter, instance: Instance, scope: Scope) -> None:
    for name, shape in instance.shapes.items():
        kinds = leaves(shape)
        plain = name.removesuffix(" (captured)")
        names = [plain] if len(kinds) == 1 else [f"{plain}_{i}" for i in range(len(kinds))]
        names = instance.target.parameter_names.get(name, names)
        params = [e.graph.add_param(t, n) for t, n in zip(kinds, names, strict=True)]
        value = rebuild(e, shape, iter(params))
        if name in instance.target.known:
            e.graph.add_param(T.NONE, name)
            continue
        if name != plain:
            scope.captured[plain] = value
        else:
            e.env.names[name] = value
    for name, t in instance.target.known.items():
        e.env.names[name] = _known_argument(e, name, t.value)
    bind_itself(instance, scope)


def _known_argument(e: Emitter, name: str, obj: Any) -> Sugared:
    """An argument that is known; an entry of which it is not known yet raises."""
    if obj is UNKNOWN:
        e.raise_error(TypeError, f"the parameter `{name}` is known when the function is called")
    found: Sugared = e.unit.wrap(e, obj, name)
    return found


def bind_itself(instance: Instance, scope: Scope) -> None:
    """The names by which a nested function calls itself."""
    itself = instance.target.itself
    if itself is not None:
        captured = {name: scope.captured[name] for name in instance.target.captured}
        own_value = dataclasses.replace(itself, captured=captured)
        node = itself.source.node
        if isinstance(node, ast.FunctionDef) and not node.decorator_list:
            scope.captured.setdefault(node.name, own_value)
        for own in itself.own_names:
            scope.captured.setdefault(own, own_value)


def _settle_result(e: Emitter, instance: Instance) -> bool:
    """Find what the function returns; False when a recursive call has assumed another type."""
    graph = e.graph
    returned: list[tuple[Node, Sugared]] = [
        (node, e.returned[node]) for node in graph.walk() if node in e.returned
    ]
    instance.result = None
    returned = e.unit.given_up_at_run_time(e, returned)
    if any(e.type_of(v) is None for _, v in returned):
        returned = _return_static(e, instance, returned)
    elif returned:
        shape = join_all(e, [shape_of(e, v) for _, v in returned])
        if isinstance(shape, Static) and not leaves(shape):
            instance.result = shape
    actual: T.Type = T.NEVER
    for node, _ in returned:
        actual = T.join(actual, node.inputs[0].type) or T.ANY
    if isinstance(T.unwrap_optional(actual), T.UnionType):
        declared = e.unit.declared.return_annotation(instance.target, e)
        if declared is not None and isinstance(T.unwrap_optional(declared), T.VarTupleType):
            actual = declared if T.is_subtype(actual, declared) else actual
    if instance.is_recursive:
        assumed = instance.return_type
        assert assumed is not None
        if isinstance(instance.result, Static):  # callers have assumed a run-time value
            instance.result = None
        if not T.is_subtype(actual, assumed):
            joined = join_growing(assumed, actual)
            instance.return_type = joined if joined is not None else T.ANY
            return False
        actual = assumed
    instance.return_type = graph.return_type = actual
    instance.graph = graph
    return True


def _return_static(
    e: Emitter, instance: Instance, returned: Sequence[tuple[Node, Sugared]]
) -> list[tuple[Node, Sugared]]:
    """Return the run-time values inside what is known at compile time, such as a closure.

    Of a recursive function, and where paths return different functions, choices are returned.
    """
    shape = join_all(e, [shape_of(e, v) for _, v in returned])
    if isinstance(shape, Static) and not instance.is_recursive:
        instance.result = shape

    def result(value: Sugared) -> Value:
        if instance.result is None:
            return e.value(value, shape.type if isinstance(shape, Leaf) else None)
        inside = flatten(e, value, instance.result)
        return e.builder.tuple(inside) if inside else e.builder.constant(None)

    found: list[tuple[Node, Sugared]] = []
    for node, value in returned:
        if shape is None and e.type_of(value) is None and not e.unit.is_choosable(value):
            e.unit.fail_at(
                node.span, "SM0202", f"{value.describe()} cannot be returned from a function"
            )
        block, kind, span = node.block, node.kind, node.span
        assert block is not None
        node.erase()
        with e.builder.at(block), e.builder.located(span):
            end = block.terminate(kind, [result(value)], span)
        e.returned[end] = value
        found.append((end, value))
    return found
