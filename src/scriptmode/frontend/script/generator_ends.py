"""The ends of generators: ``close``, and what Python does when nothing holds a generator any more.

A generator whose ``yield`` stands inside ``try`` or ``with`` has something to run when it is left
early; ``takes_errors`` says so.  Python runs it at once when the last reference goes.  That is
known at compile time where the references are: a generator that a call has made is *fresh*; the
statement or call that consumes it ends it, a variable that is given it holds it until the variable
is bound again, deleted, or its function ends::

    for x in g(): B          Try: the loop     handler: close quietly; raise again
                             close quietly

    a = g()                  the slot of `a` in `%owned`; emptied where the function ends

Other places, such as a list, are refused: when they let go of it is not known.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from scriptmode.frontend.script.contexts import Mode, run_mode
from scriptmode.frontend.script.emitter import Emitter, Restart
from scriptmode.frontend.script.exceptions import construct, exception_type, is_exception_of
from scriptmode.frontend.script.flow import branch, leave_loop, loop, merge
from scriptmode.frontend.script.functions import Instance
from scriptmode.frontend.script.generators import (
    FINISHED,
    RUNNING,
    present_code,
    resume,
    set_state,
)
from scriptmode.frontend.script.tries import NOTHING, Region, protect, raise_again
from scriptmode.frontend.script.values import (
    Arguments,
    Constant,
    GeneratorObject,
    IRValue,
    ManagerValue,
    Sugared,
)
from scriptmode.ir import types as T
from scriptmode.ir.graph import BREAK, Value


def close_generator(e: Emitter, generator: GeneratorObject) -> None:
    """``generator.close()``."""
    parts = e.unit.tuple_items(e, generator.frame) or ()
    state = e.value(parts[0])
    number = e.builder.op("list::getitem", state, e.int_constant(0))
    running = e.builder.op("int::eq", number, e.int_constant(RUNNING))

    def refuse() -> None:
        e.raise_error(ValueError, "generator already executing")

    def end() -> None:
        branch(e, running, refuse, lambda: set_state(e, state, FINISHED))

    if not present_code(e, generator).takes_errors:  # nothing stands around its `yield`
        end()
        return
    suspended = e.builder.op("int::gt", number, e.int_constant(0))
    branch(e, suspended, lambda: _throw_exit(e, generator), end)


def _throw_exit(e: Emitter, generator: GeneratorObject) -> None:
    def body() -> None:
        error = e.value(construct(e, GeneratorExit, Arguments([], {})))
        _, has, _ = resume(e, generator, error)
        branch(e, has, lambda: e.raise_error(RuntimeError, "generator ignored GeneratorExit"),
               lambda: None)  # fmt: skip

    def handler(caught: Value) -> None:
        wanted = [exception_type(e.unit, c) for c in (GeneratorExit, StopIteration)]
        ends = is_exception_of(e, caught, wanted)
        branch(e, ends, lambda: None, lambda: raise_again(e))

    node, ends = protect(e, NOTHING, body, handler)
    merge(e, node, ends)


def drop(e: Emitter, value: Sugared) -> None:
    """End what nothing holds any more; what it raises then is lost, as in Python."""
    if isinstance(value, IRValue) and isinstance(value.type, T.ChoiceType):
        e.unit.by_member(e, value.value, lambda member: _dropped(e, member))
    elif isinstance(value, GeneratorObject) and present_code(e, value).takes_errors:
        made, ends = protect(
            e, NOTHING, lambda: close_generator(e, value), lambda caught: None
        )  # fmt: skip
        merge(e, made, ends)


def _dropped(e: Emitter, member: Sugared) -> Sugared:
    drop(e, member)
    return Constant(None)


def has_ends(e: Emitter, value: Sugared) -> bool:
    """Whether there is a generator in ``value`` that has something to run when it is closed."""
    if isinstance(value, ManagerValue):
        return False  # what enters it leaves it
    if isinstance(value, GeneratorObject) and present_code(e, value).takes_errors:
        return True
    return any(has_ends(e, part) for part in value.parts())


# who holds a generator


@dataclass(eq=False)
class Fresh:
    """A generator that only the expression being compiled holds; it may hold others."""

    generator: GeneratorObject
    held: list[Fresh] = field(default_factory=list)

    def is_erased(self) -> bool:
        """Whether the code that made it has been discarded."""
        return any(p.node is not None and p.node.block is None for p in places_of(self.generator))

    def all(self) -> list[Sugared]:
        """The generators in the order in which they go."""
        return [self.generator, *(g for h in self.held for g in h.all())]


def note_made(e: Emitter, made: GeneratorObject, inputs: Sequence[Sugared] = ()) -> None:
    """A call has made a generator, and given it ``inputs`` to hold."""
    held = [f for value in inputs for f in _taken(e, value)]
    if held or present_code(e, made).takes_errors:
        e.fresh.append(Fresh(made, held))


def _taken(e: Emitter, value: Sugared) -> list[Fresh]:
    inside = places_of(value)
    found = [f for f in e.fresh if places_of(f.generator) <= inside]
    e.fresh = [f for f in e.fresh if f not in found]
    return found


def places_of(value: Sugared) -> set[Value]:
    """The states of the generators inside a value."""
    if isinstance(value, GeneratorObject):
        first = value.frame.parts()[0]
        return {first.value} if isinstance(first, IRValue) else set()
    return {place for part in value.parts() for place in places_of(part)}


def take_fresh(e: Emitter, *values: Sugared) -> list[Sugared]:
    """The generators that only ``values`` hold; the caller ends them."""
    if not e.fresh:
        return []
    return [g for value in values for f in _taken(e, value) for g in f.all()]


class Drops(Mode):
    """The end of a statement that holds generators."""

    def __init__(self, e: Emitter, act: Callable[[], None]) -> None:
        self.e = e
        self.act = act

    def leave(self, e: Emitter) -> None:
        self.act()


def with_drops(
    e: Emitter, held: Sequence[Sugared], node: ast.AST | None, act: Callable[[], Sugared | None]
) -> Sugared | None:
    """``act``, the code of ``node``, and then the end of the generators ``held``."""

    def end() -> None:
        for one in held:
            drop(e, one)

    region = NOTHING if node is None else Region.of(e, node, [node])
    return run_mode(e, region, act, Drops(e, end))


def check_held(e: Emitter, before: int) -> None:
    """At the end of a statement: a generator that it has made has found its place."""
    if len(e.fresh) > before:
        del e.fresh[before:]
        refuse(e)


def refuse(e: Emitter) -> None:
    """Refuse a place for a generator that has something to run when it is closed."""
    e.not_built(
        "a generator with `yield` inside `try` or `with`, kept here, is",
        help="bind it to a variable, or consume it with `for`, `list` or `next`",
    )


# variables


def own(e: Emitter, name: str, value: Sugared) -> None:
    """A variable is bound to ``value``, and holds the generators that nothing else does."""
    held = take_fresh(e, value) if e.fresh else []
    if held and name not in e.scope.locals:
        refuse(e)
    if held:
        _hold(e, name, held)
    elif isinstance(value, GeneratorObject) and has_ends(e, value):
        if not all(p in e.managed or _is_argument(e, p) for p in places_of(value)):
            e.not_built(
                "a second name of a generator with `yield` inside `try` or `with` is",
                help="use the first name",
            )
        release(e, name)
    else:
        release(e, name)


def _is_argument(e: Emitter, place: Value) -> bool:
    """Whether a generator is one that the caller holds."""
    if e.generator is not None:
        return place in e.generator.arguments
    return place in e.graph.block.params


def release(e: Emitter, name: str) -> None:
    """What a variable has held goes."""
    slot = e.owned.get(name)
    if slot is not None:
        _drop_first(e, slot, e.builder.op("list::len", slot))


def let_go(e: Emitter, name: str) -> bool:
    """Returning the generator that a variable holds: the caller holds it then."""
    slot = e.owned.get(name)
    if slot is not None:
        e.builder.op_node("list::clear", [slot])
    return slot is not None


def _hold(e: Emitter, name: str, held: Sequence[Sugared]) -> None:
    instance: Instance = e.unit.stack[-1]
    known = instance.owned.get(name, T.NEVER)
    built = [e.unit.build_owned(e, one) for one in held]
    wanted = known
    for value in built:
        wanted = T.join(wanted, value.type) or T.ANY
    if wanted != known or name not in e.owned:
        instance.owned[name] = wanted
        raise Restart
    slot = e.owned[name]
    before = e.builder.op("list::len", slot)
    for value in built:
        e.builder.op_node("list::append", [slot, e.builder.cast(value, wanted)])
    _drop_first(e, slot, before)


def _drop_first(e: Emitter, slot: Value, count: Value) -> None:
    """End the first ``count`` generators of a slot."""

    def body(index: Value) -> None:
        empty = e.builder.op("int::eq", e.builder.op("list::len", slot), e.int_constant(0))
        branch(e, empty, lambda: leave_loop(e, BREAK), lambda: None)
        first = e.builder.op("list::pop", slot, e.int_constant(0))
        drop(e, e.lift(first))

    loop(e, count, None, [], body)


def with_owned(e: Emitter, instance: Instance, act: Callable[[], None]) -> None:
    """The body of a function whose variables hold generators."""
    if not instance.owned:
        act()
        return
    for name, t in instance.owned.items():
        hidden = f"%owned {name}"
        if hidden not in e.env.names:
            e.env.bind(hidden, IRValue(e.builder.list([], t)))
        e.owned[name] = e.value(e.env.names[hidden])

    def end() -> None:
        for slot in e.owned.values():
            _drop_first(e, slot, e.builder.op("list::len", slot))

    run_mode(e, NOTHING, act, Drops(e, end))


def returned(e: Emitter, node: ast.expr | None, value: Sugared) -> None:
    """A function returns ``value``, with the generators that only it holds."""
    fresh = _taken(e, value)
    if any(f.held for f in fresh):
        refuse(e)
    if fresh or not has_ends(e, value):
        return
    if not isinstance(node, ast.Name) or not let_go(e, node.id):
        refuse(e)
