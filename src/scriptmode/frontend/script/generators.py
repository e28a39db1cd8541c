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
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import NoReturn

from scriptmode.frontend.script.conditions import is_type
from scriptmode.frontend.script.emitter import DeadCode, Emitter
from scriptmode.frontend.script.environment import Environment
from scriptmode.frontend.script.exceptions import construct, exception_type, is_exception_of
from scriptmode.frontend.script.flow import branch
from scriptmode.frontend.script.functions import Instance, Target, crossing, instance_of
from scriptmode.frontend.script.literals import ParameterGrows, widen
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
from scriptmode.frontend.script.trees import kept, walk
from scriptmode.frontend.script.tries import NOTHING, protect, raise_again
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
from scriptmode.ir.graph import YIELD, Graph, Value
from scriptmode.support.diagnostics import CompileError, NotBuiltError

STATE = T.ListType([T.INT])
STARTED = T.TupleType([STATE, T.ANY])
FINISHED = -1
RUNNING = -2
RETURNED = "%returned"  # what a `yield from` will give
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
    takes_errors: bool = False  # a `yield` may raise: what is around it runs when it is closed
    is_thrown_into: bool = False  # errors of any kind, not only that of `close`
    sent: T.Type = T.NEVER  # what `send` gives it
    needs_sent: bool = False  # a `yield` that is resumed without a value raises TypeError
    instance: Instance | None = None
    started: Instance | None = None  # for which ``start`` has been made
    item: T.Type = T.NEVER
    returned: T.Type = T.NEVER  # what is returned at the first time that it ends
    points: list[int] = field(default_factory=list)  # yields by state, from state 1 on
    alive: dict[int, dict[str, Shape | None]] = field(default_factory=dict)
    slots: dict[Slot, T.Type] = field(default_factory=dict)
    has_changed: bool = False

    @property
    def node(self) -> ast.AST:
        """The function."""
        return self.target.source.node

    def forget(self) -> None:
        """Forget the variables' types, when containers are known better."""
        self.item = self.returned = T.NEVER
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
    error: Value | None = None  # what the `yield` is to raise
    sent: Value | None = None  # the value of the `yield`
    saved: dict[Slot, list[Value]] = field(default_factory=dict)
    restored: dict[Value, Slot] = field(default_factory=dict)
    arguments: dict[Value, int] = field(default_factory=dict)  # of ``start``, by number
    is_guarded: bool = False  # whether it runs inside `_guarded`

    def sources(self, value: Value) -> list[Value] | None:
        """What a variable held when it was saved, of one that was read from the row."""
        slot = self.restored.get(value)
        return None if slot is None else self.saved.get(slot, [])


def code_of(
    e: Emitter, target: Target, shapes: dict[str, Shape], is_context: bool = False
) -> GeneratorCode:
    """The code of a generator function for these arguments, compiled now if it is new."""
    key = (target.key(), tuple((n, stable_key(s)) for n, s in shapes.items()))
    place = (key, *_held_choices(shapes))
    found: GeneratorCode | None = e.unit.generator_codes.get(place)
    if found is None:
        start = e.unit.unique_name(f"{target.source.module}.{target.source.qualname}.start")
        found = GeneratorCode(key, target, shapes, start)
        e.unit.generator_codes[place] = found
        known = e.unit.choices.generators
        found.takes_errors = found.is_thrown_into = is_context or key in known.thrown_into
        found.sent, found.needs_sent = known.sent.get(key, T.NEVER), key in known.needs_sent
    try:
        found.instance = instance_of(e.unit, target, found.shapes, e, found)
    except CompileError as problem:
        _use_sent(e, found, problem)
    if found.instance.graph is not None and found.instance is not found.started:
        add_start(e, found)
        found.started = found.instance
    return found


def _held_choices(shapes: dict[str, Shape]) -> list[str]:
    """The types of containers that hold functions: one of more functions is another container."""
    types = [t for shape in shapes.values() for t in leaves(shape)]
    return [str(t) for t in types if T.has_choice(t) and not isinstance(t, T.ChoiceType)]


def _use_sent(e: Emitter, code: GeneratorCode, problem: CompileError) -> NoReturn:
    """Start again with a generator that uses what is sent to it without a test for None."""
    known = e.unit.choices.generators
    uses = any(_is_used(s) for s in walk(code.target.source.node))
    if code.needs_sent or not uses or isinstance(problem, NotBuiltError):
        raise problem
    if code.sent != T.NEVER:
        known.needs_sent.add(code.key)
    elif code.key in known.starved:
        raise problem
    else:
        known.starved.add(code.key)
    e.unit.start_again()


def _is_used(statement: ast.AST) -> bool:
    if isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Return)):
        return isinstance(statement.value, (ast.Yield, ast.YieldFrom))
    return False


def make_generator(
    e: Emitter, target: Target, values: dict[str, Sugared], shapes: dict[str, Shape]
) -> Sugared:
    """Call a generator function: nothing of it runs yet."""
    for held in (*values.values(), target.itself):  # the generator outlives the call
        if held is not None:
            e.unit.check_escaping(e, held)
    inputs = [v for name, s in shapes.items() for v in flatten(e, values[name], s)]
    try:
        is_context = id(target.source.node) in e.unit.context_functions
        code = code_of(e, target, shapes, is_context)
    except ParameterGrows as grown:
        widen(e, inputs[grown.index], grown.wanted)
        raise grown.error from None
    started = e.builder.call(code.start, inputs, STARTED)
    parts = [IRValue(e.builder.tuple_index(started, i)) for i in range(2)]
    made = GeneratorObject(code, TupleDisplay(tuple(parts)))
    e.unit.note_made(e, made, list(values.values()))
    return made


def present_code(e: Emitter, generator: GeneratorObject) -> GeneratorCode:
    """The code of a generator in the present attempt to compile the unit."""
    code: GeneratorCode = generator.code
    if e.unit.generator_codes.get((code.key, *_held_choices(code.shapes))) is not code:
        # of an earlier attempt
        fresh = {n: e.unit.refreshed(e, s) for n, s in code.shapes.items()}
        return code_of(e, code.target, fresh)
    if code.instance is None or code.instance.graph is None:
        return code_of(e, code.target, code.shapes)
    return code


def resume(
    e: Emitter,
    generator: GeneratorObject,
    error: Value | None = None,
    sent: Sugared | None = None,
) -> tuple[Value, Value, T.Type]:
    """Run a generator to its next ``yield``; its answer, whether that has an item, of what type.

    The answer is (has an item, the item or None, what was returned at the end).  The ``yield``
    at which it was suspended raises ``error``, or has the value ``sent``.
    """
    code = present_code(e, generator)
    if sent is not None:
        _learn_sent(e, code, sent)
    if error is not None and not code.takes_errors:
        if code.instance is not None and code.instance in e.unit.stack:
            code.takes_errors = code.has_changed = True  # it throws into its own kind
        else:
            e.unit.choices.generators.thrown_into.add(code.key)
            e.unit.start_again()
    instance = code.instance
    assert instance is not None and instance.return_type is not None
    parts = e.unit.tuple_items(e, generator.frame) or ()
    inputs = [e.value(p) for p in parts]
    if code.takes_errors:
        nothing = e.builder.constant(None) if error is None else error
        inputs.append(e.builder.cast(nothing, _thrown(e)))
    if code.sent != T.NEVER:
        given = Constant(None) if sent is None else sent
        inputs.append(e.value(given, T.optional_of(code.sent)))
    out = e.builder.call(instance.name, inputs, instance.return_type)
    e.forget_written(e.unit.writes.of(instance.name))
    if instance.return_type == T.NEVER:
        e.die()
    return out, e.builder.tuple_index(out, 0), code.item


def _learn_sent(e: Emitter, code: GeneratorCode, sent: Sugared) -> None:
    """Start the unit again when a generator is sent what it was not sent before."""
    built = e.value(e.settle(sent))
    joined = T.join(code.sent, built.type) or T.ANY
    if built.type != T.NONE and not T.is_subtype(built.type, T.optional_of(code.sent)):
        e.unit.choices.generators.sent[code.key] = joined
        e.unit.choices.generators.starved.discard(code.key)
        e.unit.start_again()


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
    error = e.graph.add_param(_thrown(e), "error") if code.takes_errors else None
    sent = None
    if code.sent != T.NEVER:
        sent = e.graph.add_param(T.optional_of(code.sent), "sent")
    e.generator = Suspension(code, state, rows, error, sent)
    zero = e.int_constant(0)
    number = e.builder.op("list::getitem", state, zero)
    known = [_ENTRY, *range(1, len(code.points) + 1)]

    def pick(first: int) -> None:
        if first == len(known):
            throw_given(e)
            if e.generator is not None and e.generator.is_guarded:
                set_state(e, state, FINISHED)
            again = TupleDisplay((Constant(False), Constant(None), Constant(None)))
            e.unit.finish_with(e, again)
            raise DeadCode
        here = e.builder.op("int::eq", number, e.int_constant(known[first]))
        branch(e, here, lambda: _run_state(e, instance, known[first]), lambda: pick(first + 1))

    if code.takes_errors or _runs_other_code(instance.target.source.node):
        _guarded(e, number, lambda: pick(0))
    else:
        set_state(e, state, FINISHED)
        pick(0)


def throw_given(e: Emitter) -> None:
    """Raise the error that the generator was resumed with, if there is one."""
    assert e.generator is not None
    error = e.generator.error
    if error is None:
        return

    def throw() -> None:
        raised = e.builder.cast(error, exception_type(e.unit, BaseException))
        e.builder.node("prim::raise_object", [raised])
        e.die()

    branch(e, is_type(e, error, [T.NONE]), lambda: None, throw)


def set_state(e: Emitter, state: Value, number: int) -> None:
    """Say where a generator goes on."""
    e.builder.op_node("list::setitem", [state, e.int_constant(0), e.int_constant(number)])


def finish_generator(e: Emitter, value: Sugared) -> Sugared:
    """The answer of a generator that ends with ``value``."""
    assert e.generator is not None
    if e.generator.is_guarded:
        set_state(e, e.generator.state, FINISHED)
    code = e.generator.code
    code.returned = T.join(code.returned, e.value(e.settle(value)).type) or T.ANY
    return TupleDisplay((Constant(False), Constant(None), value))


# their generators are Python's iterators in C, which an exception does not end
_OF_LIBRARY = frozenset(
    f"scriptmode.frontend.script.{name}"
    for name in ("iterator_library", "shared_iterators", "combinatorics")
)


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

    goes_on = e.scope.source.module in _OF_LIBRARY

    def handler(caught: Value) -> None:
        if goes_on:
            e.builder.op_node("list::setitem", [suspension.state, e.int_constant(0), number])
        else:
            set_state(e, suspension.state, FINISHED)
        stops = is_exception_of(e, caught, [exception_type(e.unit, StopIteration)])
        stopped = _end if goes_on else _stopped
        branch(e, stops, lambda: stopped(e, caught), lambda: raise_again(e))

    protect(e, NOTHING, body, handler)
    e.die()


def _end(e: Emitter, caught: Value) -> None:
    """There is no element, as far as the one who asked for it can tell."""
    e.unit.finish_with(e, TupleDisplay((Constant(False), Constant(None), Constant(None))))
    raise DeadCode


def _stopped(e: Emitter, caught: Value) -> None:
    message = Arguments([Constant("generator raised StopIteration")], {})
    raise_value(e, construct(e, RuntimeError, message), IRValue(caught))


_OWN_CODE = frozenset(["range", "len", "enumerate", "zip", "abs", "int", "float", "min", "max"])


@kept
def _runs_other_code(node: ast.AST) -> bool:
    """Whether a generator calls what may resume it, or raise StopIteration."""
    for inner in walk(node):
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
        throw_given(e)
        e.unit.with_owned(e, instance, lambda: e.statements(node.body))
    else:
        point = code.points[state - 1]
        e.env = Environment(_restored(e, code, code.alive[point]))
        _find_captured(e)
        e.unit.bind_itself(instance, e.scope)
        resumed = next(y for y in own_yields(node) if id(y) == point)
        e.unit.with_owned(e, instance, lambda: e.unit.resume_body(e, node.body, resumed))
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
        and not n.startswith(RETURNED)
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


def save(e: Emitter, node: Yielding) -> int:
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
