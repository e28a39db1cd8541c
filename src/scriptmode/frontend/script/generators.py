"""Generators: functions that suspend at ``yield`` and go on from there.

A generator function becomes two functions of the program.  ``start`` takes the arguments and makes
the *frame*: a list with the number of the state, and a list of one row with the variables.
``resume`` takes both, goes on at the ``yield`` of that state, and returns at the next one::

    def squares(n):               squares.start(n) -> (state, frame)
        i = 0
        while i < n:              squares.resume(state, frame) -> (True, item, None)
            yield i * i                                        or (False, None, returned)
            i += 1

The code of a state is what follows its ``yield``: the rest of the block, then the loop around with
its first iteration being that rest, and so on outwards.  A row has a slot for every variable that
is alive at some ``yield``; what is known of a variable at compile time stays known.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from scriptmode.frontend.script.conditions import is_type
from scriptmode.frontend.script.contexts import kept_name, region_of, run_entered
from scriptmode.frontend.script.emitter import DeadCode, Emitter
from scriptmode.frontend.script.environment import Environment
from scriptmode.frontend.script.exceptions import construct, exception_type, is_exception_of
from scriptmode.frontend.script.flow import branch, leave_loop, loop
from scriptmode.frontend.script.functions import Instance, Target, crossing, instance_of
from scriptmode.frontend.script.handlers import EXPRESSIONS
from scriptmode.frontend.script.iterators import iterator_of, pull
from scriptmode.frontend.script.literals import ParameterGrows, widen
from scriptmode.frontend.script.loops import assigned_names, broken_flag, run_else, with_else
from scriptmode.frontend.script.raising import raise_value
from scriptmode.frontend.script.shapes import (
    Shape,
    flatten,
    join_shapes,
    leaves,
    rebuild,
    shape_of,
    stable_key,
)
from scriptmode.frontend.script.source import loaded_names, nonlocal_names, own_yields
from scriptmode.frontend.script.statements import assign_target, binary_of
from scriptmode.frontend.script.tries import (
    ForgottenName,
    Region,
    protect,
    raise_again,
    run_finally,
)
from scriptmode.frontend.script.values import (
    Arguments,
    Constant,
    GeneratorObject,
    IRValue,
    Sugared,
    TupleDisplay,
    Unusable,
)
from scriptmode.ir import types as T
from scriptmode.ir.graph import BREAK, YIELD, Graph, Value

STATE = T.ListType([T.INT])
STARTED = T.TupleType([STATE, T.ANY])
FINISHED = -1
RUNNING = -2
_RETURNED = "%returned"  # what a `yield from` will give
_ENTRY = 0

Slot = tuple[str, int]  # a variable, and the number of the run-time value inside it
Yielding = ast.Yield | ast.YieldFrom


@dataclass(eq=False)
class GeneratorCode:
    """A generator function compiled for one combination of argument shapes."""

    key: Hashable
    target: Target
    shapes: dict[str, Shape]
    start: str
    is_context: bool = False  # of a context manager: resumed exactly once, perhaps by an error
    instance: Instance | None = None
    started: Instance | None = None  # for which ``start`` has been made
    item: T.Type = T.NEVER
    points: list[int] = field(default_factory=list)  # yields by state, from state 1 on
    alive: dict[int, dict[str, Shape | None]] = field(default_factory=dict)
    slots: dict[Slot, T.Type] = field(default_factory=dict)
    has_changed: bool = False

    def forget(self) -> None:
        """Forget the variables' types, when containers are known better."""
        self.item = T.NEVER
        self.points.clear()
        self.alive.clear()
        self.slots.clear()

    def row(self) -> T.Type:
        """The type of the row of variables."""
        return T.TupleType([T.INT, *self.slots.values()])


@dataclass(eq=False)
class Suspension:
    """What the emitter of a ``resume`` function knows."""

    code: GeneratorCode
    state: Value
    rows: Value
    error: Value | None = None  # what a context manager's body has raised
    saved: dict[Slot, list[Value]] = field(default_factory=dict)
    restored: dict[Value, Slot] = field(default_factory=dict)
    arguments: dict[Value, int] = field(default_factory=dict)  # of ``start``, by number
    is_guarded: bool = False  # whether it runs inside `_guarded`

    def sources(self, value: Value) -> list[Value] | None:
        """What a variable held when it was saved, of one that was read from the row."""
        slot = self.restored.get(value)
        return None if slot is None else self.saved.get(slot, [])


def code_of(
    e: Emitter, target: Target, shapes: dict[str, Shape], is_context: bool
) -> GeneratorCode:
    """The code of a generator function for these arguments, compiled now if it is new."""
    key = (target.key(), tuple((n, stable_key(s)) for n, s in shapes.items()))
    found: GeneratorCode | None = e.unit.generator_codes.get(key)
    if found is None:
        start = e.unit.unique_name(f"{target.source.module}.{target.source.qualname}.start")
        found = e.unit.generator_codes[key] = GeneratorCode(key, target, shapes, start, is_context)
    found.instance = instance_of(e.unit, target, found.shapes, e, found)
    if found.instance.graph is not None and found.instance is not found.started:
        add_start(e, found)
        found.started = found.instance
    return found


def make_generator(
    e: Emitter, target: Target, values: dict[str, Sugared], shapes: dict[str, Shape]
) -> Sugared:
    """Call a generator function: nothing of it runs yet."""
    for kept in (*values.values(), target.itself):  # the generator outlives the call
        if kept is not None:
            e.unit.check_escaping(e, kept)
    inputs = [v for name, s in shapes.items() for v in flatten(e, values[name], s)]
    try:
        is_context = id(target.source.node) in e.unit.context_functions
        code = code_of(e, target, shapes, is_context)
    except ParameterGrows as grown:
        widen(e, inputs[grown.index], grown.wanted)
        raise grown.error from None
    started = e.builder.call(code.start, inputs, STARTED)
    parts = [IRValue(e.builder.tuple_index(started, i)) for i in range(2)]
    return GeneratorObject(code, TupleDisplay(tuple(parts)))


def resume(
    e: Emitter, generator: GeneratorObject, error: Value | None = None
) -> tuple[Value, Value, T.Type]:
    """Run a generator to its next ``yield``; its answer, whether that has an item, of what type.

    The answer is (has an item, the item or None, what was returned at the end).  The generator of
    a context manager may be given an ``error``, which its ``yield`` raises.
    """
    code: GeneratorCode = generator.code
    if e.unit.generator_codes.get(code.key) is not code:  # of an earlier attempt
        fresh = {n: e.unit.refreshed(e, s) for n, s in code.shapes.items()}
        code = code_of(e, code.target, fresh, code.is_context)
    elif code.instance is None or code.instance.graph is None:
        code = code_of(e, code.target, code.shapes, code.is_context)
    instance = code.instance
    assert instance is not None and instance.return_type is not None
    parts = e.unit.tuple_items(e, generator.frame) or ()
    inputs = [e.value(p) for p in parts]
    if code.is_context:
        nothing = e.builder.constant(None) if error is None else error
        inputs.append(e.builder.cast(nothing, _thrown(e)))
    out = e.builder.call(instance.name, inputs, instance.return_type)
    e.forget_written(e.unit.writes.of(instance.name))
    if instance.return_type == T.NEVER:
        e.die()
    return out, e.builder.tuple_index(out, 0), code.item


def _thrown(e: Emitter) -> T.Type:
    return T.optional_of(exception_type(e.unit, BaseException))


# the body


def emit_generator(e: Emitter, instance: Instance) -> None:
    """Emit the ``resume`` function."""
    code = instance.generator
    assert isinstance(code, GeneratorCode)
    code.has_changed = False
    if not code.slots:
        for name, shape in code.shapes.items():
            _add_slots(code, name, shape)
    state = e.graph.add_param(STATE, "state")
    frame = e.graph.add_param(T.ANY, "frame")
    rows = e.builder.cast(frame, T.ListType([code.row()]))
    error = e.graph.add_param(_thrown(e), "error") if code.is_context else None
    e.generator = Suspension(code, state, rows, error)
    zero = e.int_constant(0)
    number = e.builder.op("list::getitem", state, zero)
    known = [_ENTRY, *range(1, len(code.points) + 1)]

    def pick(first: int) -> None:
        if first == len(known):
            e.unit.finish(e, Constant(None))
            raise DeadCode
        here = e.builder.op("int::eq", number, e.int_constant(known[first]))
        branch(e, here, lambda: _run_state(e, instance, known[first]), lambda: pick(first + 1))

    if _runs_other_code(instance.target.source.node):
        _guarded(e, number, lambda: pick(0))
    else:
        set_state(e, state, FINISHED)
        pick(0)


def set_state(e: Emitter, state: Value, number: int) -> None:
    """Say where a generator goes on."""
    e.builder.op_node("list::setitem", [state, e.int_constant(0), e.int_constant(number)])


def finish_generator(e: Emitter, value: Sugared) -> Sugared:
    """The answer of a generator that ends with ``value``."""
    assert e.generator is not None
    if e.generator.is_guarded:
        set_state(e, e.generator.state, FINISHED)
    return TupleDisplay((Constant(False), Constant(None), value))


def _guarded(e: Emitter, number: Value, body: Callable[[], None]) -> None:
    """``body``, which may come back to this generator, or meet an end that is not its own."""
    suspension = e.generator
    assert suspension is not None
    running = e.builder.op("int::eq", number, e.int_constant(RUNNING))

    def refuse() -> None:
        e.raise_error(ValueError, "generator already executing")

    branch(e, running, refuse, lambda: None)
    set_state(e, suspension.state, RUNNING)
    suspension.is_guarded = True

    def handler(caught: Value) -> None:
        set_state(e, suspension.state, FINISHED)
        stops = is_exception_of(e, caught, [exception_type(e.unit, StopIteration)])
        branch(e, stops, lambda: _stopped(e, caught), lambda: raise_again(e))

    protect(e, Region((), frozenset(), (), False), body, handler)
    e.die()


def _stopped(e: Emitter, caught: Value) -> None:
    message = Arguments([Constant("generator raised StopIteration")], {})
    raise_value(e, construct(e, RuntimeError, message), IRValue(caught))


_OWN_CODE = frozenset(["range", "len", "enumerate", "zip", "abs", "int", "float", "min", "max"])


def _runs_other_code(node: ast.AST) -> bool:
    """Whether a generator calls what may resume it, or raise StopIteration."""
    for inner in ast.walk(node):
        match inner:
            case ast.Call(func=ast.Name(id=name)) if name in _OWN_CODE:
                pass
            case ast.Call() | ast.Raise() | ast.YieldFrom() | ast.With():
                return True
            case ast.For(iter=iterable) if not isinstance(iterable, ast.Call):
                return True
    return False


def _run_state(e: Emitter, instance: Instance, state: int) -> None:
    code = instance.generator
    node = e.scope.source.node
    assert code is not None and isinstance(node, ast.FunctionDef)
    e.scope.captured = {}
    if state == _ENTRY:
        e.env = Environment(_restored(e, code, dict(code.shapes)))
        assert e.generator is not None
        for value in [*e.generator.restored]:
            e.generator.arguments[value] = len(e.generator.arguments)
        e.generator.restored.clear()
        _find_captured(e)
        e.unit.bind_itself(instance, e.scope)
        e.unit.make_cells(e)
        e.statements(node.body)
    else:
        point = code.points[state - 1]
        e.env = Environment(_restored(e, code, code.alive[point]))
        _find_captured(e)
        e.unit.bind_itself(instance, e.scope)
        _resume_block(e, node.body, next(y for y in own_yields(node) if id(y) == point))
    e.unit.finish(e, Constant(None))
    raise DeadCode


def _find_captured(e: Emitter) -> None:
    for name in [n for n in e.env.names if n.endswith(" (captured)")]:
        e.scope.captured[name.removesuffix(" (captured)")] = e.env.names.pop(name)


# variables while suspended


def _add_slots(code: GeneratorCode, name: str, shape: Shape) -> None:
    for index, t in enumerate(leaves(shape)):
        old = code.slots.get((name, index), T.NONE)
        new = T.optional_of(T.join(old, t) or T.ANY)
        if new != old or (name, index) not in code.slots:
            code.slots[name, index] = new
            code.has_changed = True


def _restored(
    e: Emitter, code: GeneratorCode, shapes: dict[str, Shape | None]
) -> dict[str, Sugared]:
    """The variables of a row."""
    assert e.generator is not None
    row = e.builder.op("list::getitem", e.generator.rows, e.int_constant(0))
    places = {slot: index + 1 for index, slot in enumerate(code.slots)}

    known = e.generator

    def read(name: str, shape: Shape) -> Iterator[Value]:
        for index, t in enumerate(leaves(shape)):
            value = e.builder.cast(e.builder.tuple_index(row, places[name, index]), t)
            known.restored[value] = (name, index)
            yield value

    found: dict[str, Sugared] = {}
    for name, shape in shapes.items():
        if shape is None:
            found[name] = Unusable("unbound", e.span)
        else:
            found[name] = rebuild(e, shape, read(name, shape))
    return found


def _alive(e: Emitter, code: GeneratorCode) -> dict[str, Sugared]:
    """The variables that may be read after a ``yield``."""
    body = list(code.target.source.node.body)  # type: ignore[arg-type]
    read = loaded_names(body) | nonlocal_names(body)
    found = {
        n: v for n, v in e.env.names.items()
        if (n in read or n.startswith("%")) and not isinstance(v, Unusable)
        and not n.startswith(_RETURNED)
        and (n in e.scope.locals or n not in e.scope.captured)  # it is found as captured below
    }  # fmt: skip
    found |= {
        f"{n} (captured)": v for n, v in e.scope.captured.items() if n in code.target.captured
    }
    crossed = {n: crossing(e, v) for n, v in found.items()}
    for name, value in crossed.items():
        if not name.endswith(" (captured)"):
            e.unit.check_escaping(e, value)
    return crossed


def _save(e: Emitter, node: Yielding) -> int:
    """Store what is alive into the row; the number of the state."""
    assert e.generator is not None
    code, point = e.generator.code, id(node)
    values = _alive(e, code)
    own = {n: shape_of(e, v) for n, v in values.items()}
    known = code.alive.get(point)
    joined: dict[str, Shape | None] = dict(own)
    if known is None:
        code.points.append(point)
        code.has_changed = True
    else:
        for name in {**known, **own}:
            old, new = known.get(name), own.get(name)
            joined[name] = None if old is None or new is None else join_shapes(e, old, new)
        code.has_changed |= joined != known
    code.alive[point] = joined
    for name, shape in joined.items():
        if shape is not None:
            _add_slots(code, name, shape)
    _store(e, code, values, joined)
    return code.points.index(point) + 1


def _store(
    e: Emitter, code: GeneratorCode, values: dict[str, Sugared], shapes: dict[str, Shape | None]
) -> None:
    assert e.generator is not None
    kept: dict[Slot, Value] = {}
    for name, shape in shapes.items():
        if shape is not None:
            for index, value in enumerate(flatten(e, values[name], shape)):
                kept[name, index] = value
                e.generator.saved.setdefault((name, index), []).append(value)
    if code.has_changed:
        return  # the row is not known yet; the function is emitted again
    same = e.generator.restored
    if same and all(v.type == T.NONE or same.get(v) == slot for slot, v in kept.items()):
        return  # the row holds them: going on in a `yield from`
    row = _row(e, code, kept)
    e.builder.op_node("list::setitem", [e.generator.rows, e.int_constant(0), row])


def _row(e: Emitter, code: GeneratorCode, kept: dict[Slot, Value]) -> Value:
    nothing = e.builder.constant(None)
    row = [e.int_constant(0), *(kept.get(slot, nothing) for slot in code.slots)]
    return e.builder.tuple(row, code.row())


def add_start(e: Emitter, code: GeneratorCode) -> None:
    """Make the ``start`` function, when the row is known."""
    graph = Graph(code.start)
    graph.span = code.target.source.span(code.target.source.node)
    starter = e.unit.new_emitter(e.scope, graph, {})
    starter.builder.span = graph.span
    kept: dict[Slot, Value] = {}
    for name, shape in code.shapes.items():
        for index, t in enumerate(leaves(shape)):
            kept[name, index] = graph.add_param(t, f"p{len(kept)}")
    row = _row(starter, code, kept)
    frame = starter.builder.list([row], code.row())
    state = starter.builder.list([starter.int_constant(_ENTRY)], T.INT)
    started = starter.builder.tuple([state, frame], STARTED)
    graph.block.terminate(YIELD, [started], graph.span)
    graph.return_type = STARTED
    e.unit.program.functions[code.start] = graph


# yield


def _suspend(e: Emitter, node: Yielding, item: Sugared) -> None:
    """Leave the function at a ``yield``."""
    assert e.generator is not None
    code = e.generator.code
    if not code.is_context and not all(isinstance(c, ForgottenName) for c in e.cleanups):
        e.not_built(
            "`yield` inside `with`, or `try` with `finally`, is",
            help="leave the statement before the `yield`",
        )
    built = e.value(e.settle(item, _item_annotation(e)))
    code.item = _joined(code, built.type)
    set_state(e, e.generator.state, _save(e, node))
    e.unit.finish_with(e, TupleDisplay((Constant(True), IRValue(built), Constant(None))))
    raise DeadCode


def _joined(code: GeneratorCode, t: T.Type) -> T.Type:
    joined = T.join(code.item, t) or T.ANY
    code.has_changed |= joined != code.item
    return joined


def _item_annotation(e: Emitter) -> T.Type | None:
    """The type of the items by the function's annotation, for displays."""
    assert e.generator is not None
    node = e.generator.code.target.source.node
    returns = node.returns if isinstance(node, ast.FunctionDef) else None
    if isinstance(returns, ast.Subscript):
        first = returns.slice.elts[0] if isinstance(returns.slice, ast.Tuple) else returns.slice
        found: T.Type | None = e.unit.quiet_annotation(e, first)
        return found
    return None


@EXPRESSIONS(ast.Yield)
def _yield(e: Emitter, node: ast.Yield, expected: T.Type | None) -> Sugared:
    _check_place(e, node)
    item: Sugared = Constant(None) if node.value is None else e.expression(node.value)
    _suspend(e, node, item)
    raise DeadCode


@EXPRESSIONS(ast.YieldFrom)
def _yield_from(e: Emitter, node: ast.YieldFrom, expected: T.Type | None) -> Sugared:
    _check_place(e, node)
    iterator = iterator_of(e, e.expression(node.value))
    e.env.bind(_hidden(node), iterator)
    return _run_from(e, node)


def _hidden(node: ast.expr | ast.stmt) -> str:
    """The variable that holds the iterator of a loop or ``yield from``."""
    return f"%iterator{node.lineno}.{node.col_offset}"


def _run_from(e: Emitter, node: ast.YieldFrom) -> Sugared:
    """Yield what is left of an iterator; its return value."""
    name, result = _hidden(node), f"{_RETURNED}{node.lineno}.{node.col_offset}"
    e.env.bind(result, Constant(None))

    def end(returned: Sugared) -> Sugared:
        e.env.bind(result, returned)
        leave_loop(e, BREAK)

    def body(index: Value) -> None:
        item = pull(e, e.env.names[name], lambda found: found, end)
        _suspend(e, node, item)

    loop(e, None, None, [result], body)
    returned = e.env.names[result]
    e.env.unbind(name)
    e.env.unbind(result)
    return returned


def _check_place(e: Emitter, node: Yielding) -> None:
    if e.generator is None:
        e.fail_syntax("`yield` outside of a generator function")
    function = e.scope.source.node
    is_context = e.generator.code.is_context
    if is_context and isinstance(node, ast.YieldFrom):
        e.not_built("`yield from` in a context manager is", help="write `yield`")
    for outer in [] if is_context else ast.walk(function):
        if isinstance(outer, ast.With) and _contains(outer.body, node):
            e.not_built("`yield` inside `with` is", help="leave the statement before the `yield`")
        if isinstance(outer, ast.Try) and _contains(outer.body, node):
            for handler in outer.handlers:
                if handler.type is None or _catches_exit(e, handler.type):
                    e.not_built(
                        "`yield` where GeneratorExit is caught is", help="catch `Exception` instead"
                    )
    if not any(getattr(n, "value", None) is node for n in _statements(function)):
        e.not_built("`yield` inside an expression is", help="write `value = yield ...` on its own")


def _catches_exit(e: Emitter, node: ast.expr) -> bool:
    names = [n.id for n in ast.walk(node) if isinstance(n, ast.Name)]
    found = [getattr(e.lookup(n), "object", None) for n in names]
    return any(isinstance(f, type) and issubclass(GeneratorExit, f) for f in found)


def _statements(node: ast.AST) -> Iterator[ast.stmt]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            if not isinstance(child, (ast.FunctionDef, ast.ClassDef)):
                yield child
        if not isinstance(child, (ast.FunctionDef, ast.ClassDef, ast.Lambda)):
            yield from _statements(child)


# going on


def _contains(root: ast.AST | Sequence[ast.AST], node: Yielding) -> bool:
    roots = [root] if isinstance(root, ast.AST) else root
    return any(inner is node for r in roots for inner in ast.walk(r))


def _resume_block(e: Emitter, body: Sequence[ast.stmt], node: Yielding) -> None:
    """Go on after a ``yield`` that is somewhere in ``body``."""
    index = next(i for i, s in enumerate(body) if _contains(s, node))
    statement = body[index]
    with e.at(statement):
        handler = _RESUME.get(type(statement))
        if handler is None:
            e.not_built(f"`yield` inside `{type(statement).__name__.lower()}` is")
        handler(e, statement, node)
    e.check_alive()
    e.statements(body[index + 1 :])


def _received(e: Emitter, node: Yielding) -> Sugared:
    """The value of a ``yield`` expression, or the error that it raises."""
    assert e.generator is not None
    error = e.generator.error
    if error is not None:

        def throw() -> None:
            caught = e.builder.cast(error, exception_type(e.unit, BaseException))
            e.builder.node("prim::raise_object", [caught])
            e.die()

        branch(e, is_type(e, error, [T.NONE]), lambda: None, throw)
    return _run_from(e, node) if isinstance(node, ast.YieldFrom) else Constant(None)


def _resume_expression(e: Emitter, statement: ast.Expr, node: Yielding) -> None:
    _received(e, node)


def _resume_assign(e: Emitter, statement: ast.Assign | ast.AnnAssign, node: Yielding) -> None:
    value = _received(e, node)
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    for target in targets:
        assign_target(e, target, value)


def _resume_augmented(e: Emitter, statement: ast.AugAssign, node: Yielding) -> None:
    if not isinstance(statement.target, ast.Name):
        e.not_built("`yield` in an augmented assignment to a part is")
    old = e.lookup(statement.target.id)  # not assigned since: frames are not shared
    e.assign(statement.target.id, binary_of(e, statement.op, old, _received(e, node)))


def _resume_return(e: Emitter, statement: ast.Return, node: Yielding) -> None:
    e.unit.finish(e, e.settle(_received(e, node)))
    raise DeadCode


def _resume_if(e: Emitter, statement: ast.If, node: Yielding) -> None:
    arm = statement.body if _contains(statement.body, node) else statement.orelse
    _resume_block(e, arm, node)


def _resume_try(e: Emitter, statement: ast.Try, node: Yielding) -> None:
    if not statement.finalbody:
        _resume_except(e, statement, node)
        return
    assert e.generator is not None
    if not e.generator.code.is_context:
        e.not_built("`yield` inside `try` with `finally` is")
    if _contains(statement.finalbody, node):
        e.not_built("`yield` inside `finally` is", help="leave the statement before it")
    inner = [*statement.body, *statement.handlers, *statement.orelse]
    run_finally(
        e, Region.of(e, statement, inner),
        lambda: _resume_except(e, statement, node),
        lambda: e.statements(statement.finalbody),
    )  # fmt: skip


def _resume_except(e: Emitter, statement: ast.Try, node: Yielding) -> None:
    if _contains(statement.body, node) and not statement.handlers:
        _resume_block(e, statement.body, node)
        e.statements(statement.orelse)
    elif _contains(statement.body, node):
        e.unit.run_except(e, statement, lambda: _resume_block(e, statement.body, node))
    elif _contains(statement.orelse, node):
        _resume_block(e, statement.orelse, node)
    else:
        e.not_built("`yield` inside `except` is", help="leave the handler before it")


def _resume_with(e: Emitter, statement: ast.With, node: Yielding) -> None:
    def go_on(items: Sequence[ast.withitem]) -> None:
        if not items:
            _resume_block(e, statement.body, node)
            return
        item, rest = items[0], items[1:]
        name = kept_name(item)
        region = region_of(e, statement, items)
        run_entered(e, region, e.env.names[name], lambda: go_on(rest))
        e.env.unbind(name)

    go_on(statement.items)


def _resume_while(e: Emitter, statement: ast.While, node: Yielding) -> None:
    if _contains(statement.orelse, node):
        _resume_block(e, statement.orelse, node)
        return
    e.unit.run_while(e, statement, lambda: _resume_block(e, statement.body, node))


def _resume_for(e: Emitter, statement: ast.For, node: Yielding) -> None:
    if _contains(statement.orelse, node):
        _resume_block(e, statement.orelse, node)
        return
    _run_for(e, statement, lambda: _resume_block(e, statement.body, node))


def generator_for(e: Emitter, node: ast.For) -> None:
    """A ``for`` with a ``yield`` inside: its iterator lives in the frame."""
    iterable = e.expression(node.iter)
    with e.at(node.iter):
        iterator = iterator_of(e, iterable)
    e.env.bind(_hidden(node), iterator)
    _run_for(e, node, None)


def _run_for(e: Emitter, node: ast.For, rest: Callable[[], None] | None) -> None:
    """The loop; ``rest`` is the first iteration when it goes on inside of one."""
    flagged = with_else(e, node) if rest is None else broken_flag(node) in e.env.names
    assigned = assigned_names(e, [node.target, *node.body], broken_flag(node) if flagged else "")

    def end(returned: Sugared) -> Sugared:
        leave_loop(e, BREAK)

    def iteration() -> None:
        item = pull(e, e.env.names[_hidden(node)], lambda found: found, end)
        assign_target(e, node.target, item)
        e.statements(node.body)

    run_first(e, assigned, rest, iteration)
    e.env.unbind(_hidden(node))
    run_else(e, node, flagged)


def run_first(
    e: Emitter, assigned: Sequence[str], first: Callable[[], None] | None, rest: Callable[[], None]
) -> bool:
    """A loop whose first iteration is ``first``; whether it has a break."""

    def body(index: Value) -> None:
        if first is None:
            rest()
            return
        going_on = e.builder.op("int::eq", index, e.int_constant(0))
        branch(e, going_on, first, rest)

    return loop(e, None, None, assigned, body)


_RESUME: dict[type[ast.stmt], Callable[[Emitter, Any, Yielding], None]] = {
    ast.Expr: _resume_expression,
    ast.Assign: _resume_assign,
    ast.AnnAssign: _resume_assign,
    ast.AugAssign: _resume_augmented,
    ast.Return: _resume_return,
    ast.If: _resume_if,
    ast.Try: _resume_try,
    ast.With: _resume_with,
    ast.While: _resume_while,
    ast.For: _resume_for,
}
