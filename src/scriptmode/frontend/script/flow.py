"""Structured control flow: branches and loops over environments.

``branch`` compiles the arms of an If into copies of the environment and merges them.  ``loop``
compiles a Loop whose carried variables get their types by a fixed point: the body is compiled with
the types that the variables have on entry; while it changes them to wider ones, what was compiled
is discarded and compiled again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from scriptmode.frontend.script.emitter import DeadCode, Emitter
from scriptmode.frontend.script.environment import Environment
from scriptmode.frontend.script.functions import crossing
from scriptmode.frontend.script.literals import reconcile
from scriptmode.frontend.script.shapes import (
    Leaf,
    Shape,
    flatten,
    is_visible,
    join_all,
    join_in_turn,
    leaves,
    rebuild,
    root_of,
    same_value,
    shape_of,
)
from scriptmode.frontend.script.values import (
    CellVariable,
    Constant,
    IRValue,
    Sugared,
    Unusable,
    is_iterator,
    is_native_iterator,
)
from scriptmode.ir import types as T
from scriptmode.ir.graph import BREAK, CONTINUE, UNREACHABLE, YIELD, Block, Node, Value
from scriptmode.ir.growth import MOST_NESTED, depth_of
from scriptmode.ops.scalars import INT_MAX
from scriptmode.support.source import Span

Arm = Callable[[], Sugared | None]


def narrow(e: Emitter, subject: Sugared, t: T.Type) -> Sugared:
    """``subject`` under the narrower type that has been proved."""
    known = e.type_of(subject)
    if known is None or known == t:
        return subject
    if known == T.NUMBER and isinstance(t, T.UnionType):
        return subject  # a number needs no box, a union of numbers does
    root = root_of(subject)
    if t == T.NONE:
        return Constant(None, origin=root)
    cast = e.lift(e.builder.cast(e.value(subject), t))
    if isinstance(cast, IRValue):
        cast.origin = root
    return cast


@dataclass
class Outcome:
    """An arm that reaches its end; ``values`` are what it yields."""

    block: Block
    env: Environment
    result: Sugared | None
    values: list[Value] = field(default_factory=list)


def branch(e: Emitter, condition: Value, *arms: Arm) -> Sugared | None:
    """An If on ``condition``; the result is the merge of the arms' results."""
    node = e.builder.if_node(condition)
    outer, epoch, writes = e.env, e.epoch, e.element_writes
    last, last_write = epoch, writes
    alive: list[Outcome] = []
    for block, arm in zip(node.blocks, arms, strict=True):
        e.env, e.epoch, e.element_writes = outer.copy(), epoch, writes
        result = None
        with e.builder.at(block):
            try:
                result = arm()
            except DeadCode:
                assert block.is_terminated, "dead code without a terminator"
        last, last_write = max(last, e.epoch), max(last_write, e.element_writes)
        if not block.is_terminated:
            alive.append(Outcome(block, e.env, result))
    e.env, e.epoch = outer, last if last == epoch else last + 1
    e.element_writes = last_write if last_write == writes else last_write + 1
    if not alive:
        e.die()
    return merge(e, node, alive)


def merge(e: Emitter, node: Node, alive: Sequence[Outcome]) -> Sugared | None:
    """Go on behind ``node`` with what its arms have in common; the merge of their results."""
    return _Merge(e, node, alive).run()


class _Merge:
    """Merges the environments at the ends of the arms of an If or Try."""

    def __init__(self, e: Emitter, node: Node, alive: Sequence[Outcome]) -> None:
        self.e = e
        self.node = node
        self.alive = alive
        self.outer = e.builder.block
        self.common_cells = {
            name: cell
            for name, cell in alive[0].env.cells.items()
            if all(o.env.cells.get(name) is cell for o in alive)
        }

    def run(self) -> Sugared | None:
        e = self.e
        merged: dict[str, Callable[[], Sugared]] = {}
        for name in dict.fromkeys(n for o in self.alive for n in o.env.names):
            # a captured variable is there where something more is known of it
            other = None if name in e.scope.locals else e.scope.captured.get(name)
            merged[name] = self._merge(name, [o.env.names.get(name, other) for o in self.alive])
        attributes: dict[tuple[str, ...], Callable[[], Sugared]] = {}
        for place in self.alive[0].env.attributes:
            found = [o.env.attributes.get(place) for o in self.alive]
            if all(f is not None for f in found):
                attributes[place] = self._merge_place(place, [f for f in found if f is not None])
        results = [o.result for o in self.alive]
        result = None
        if all(r is not None for r in results):
            result = self._merge("", results)
        for outcome in self.alive:
            outcome.block.terminate(YIELD, outcome.values, e.span)
        e.env = Environment(
            {name: make() for name, make in merged.items()},
            {place: make() for place, make in attributes.items()},
            self.common_cells,
        )
        return None if result is None else result()

    def _merge_place(
        self, place: tuple[str, ...], found: Sequence[Sugared]
    ) -> Callable[[], Sugared]:
        """Prepare the merge of what is known of an attribute or element."""
        owners = [o.env.names.get(place[0]) for o in self.alive]
        is_same = all(v is found[0] for v in found[1:])
        if len(place) == 2 and not is_same and all(o is owners[0] for o in owners[1:]):
            joined: T.Type | None = T.NEVER
            for value in found:
                t = self.e.type_of(value)
                joined = None if t is None or joined is None else T.join(joined, t)
            if joined is not None and self.e.unit.kept_type(self.e, owners[0], place[1]):
                owner, kind = owners[0], joined
                assert owner is not None
                return lambda: narrow(self.e, self.e.attribute(owner, place[1]), kind)
        return self._merge(".".join(place), found)

    def _merge(self, name: str, found: Sequence[Sugared | None]) -> Callable[[], Sugared]:
        """Prepare the merge of one variable; the result makes it after the If."""
        e = self.e
        same = found[0]
        if same is not None and all(v is same for v in found[1:]):
            if isinstance(same, Unusable) or is_visible(same, self.outer):
                kept = same
                return lambda: kept
        values = [v for v in found if v is not None and not isinstance(v, Unusable)]
        if len(values) < len(found):
            cell = self.common_cells.get(name)
            if cell is not None:
                unsure = Unusable(cell.problem or "unbound", self._place(values), None, cell)
                return lambda: unsure
            missing = Unusable("unbound", self._place(values))
            clash = next((v for v in found if isinstance(v, Unusable)), missing)
            return lambda: missing if clash.reason == "unbound" else clash
        root = root_of(values[0])
        if (
            any(root_of(v) is not v for v in values)
            and all(same_value(root_of(v), root) for v in values)
            and is_visible(root, self.outer)
        ):
            return self._renarrow(root, values)
        values = self._of_one_kind(values)
        reconcile(e, values)
        shape = join_all(e, [shape_of(e, v) for v in values])
        if shape is None:
            values = self._of_one_kind(self._kept(values, _outliving))
            shape = join_all(e, [shape_of(e, v) for v in values])
        if shape is None:
            kinds = " and ".join(dict.fromkeys(v.describe() for v in values))
            what = f"`{name}`" if name else "the value"
            poison = Unusable(f"{what} is {kinds} on different paths")
            return lambda: poison
        return self._export(name, shape, values)

    def _kept(
        self, values: Sequence[Sugared], keep: Callable[[Emitter, Sugared], Sugared]
    ) -> list[Sugared]:
        """Values that outlive their arms: what they are made of is made there."""
        kept: list[Sugared] = []
        for outcome, value in zip(self.alive, values, strict=True):
            with self.e.builder.at(outcome.block):
                kept.append(keep(self.e, value))
        return kept

    def _of_one_kind(self, values: list[Sugared]) -> list[Sugared]:
        """Iterators of the run time that meet others become of a kind that a choice holds."""
        kinds = {v.type if isinstance(v, IRValue) else None for v in values}
        if (
            len(kinds) > 1
            and any(map(is_native_iterator, values))
            and all(map(is_iterator, values))
        ):
            return self._kept(values, self.e.unit.as_generator)
        return values

    def _place(self, values: Sequence[Sugared]) -> Span | None:
        for value in values:
            if isinstance(value, IRValue) and value.value.node is not None:
                return value.value.node.span
        return None

    def _renarrow(self, root: Sugared, values: Sequence[Sugared]) -> Callable[[], Sugared]:
        e = self.e
        joined: T.Type = T.NEVER
        for value in values:
            t = e.type_of(value)
            joined = joined if t is None else T.join(joined, t) or T.ANY
        if joined == e.type_of(root):
            return lambda: root
        return lambda: narrow(e, root, joined)

    def _export(self, name: str, shape: Shape, values: Sequence[Sugared]) -> Callable[[], Sugared]:
        e = self.e
        for outcome, value in zip(self.alive, values, strict=True):
            with e.builder.at(outcome.block):
                outcome.values += flatten(e, value, shape)
        outputs = [self.node.add_output(t, name) for t in leaves(shape)]
        return lambda: rebuild(e, shape, iter(outputs))


def when(e: Emitter, condition: Value, then: Callable[[], None]) -> None:
    """An If without an else arm."""

    def arm() -> None:
        then()

    branch(e, condition, arm, lambda: None)


def choose(e: Emitter, condition: Value, a: Arm, b: Arm) -> Sugared:
    """An If whose arms have results."""
    result = branch(e, condition, a, b)
    assert result is not None
    return result


def choose_value(e: Emitter, condition: Value, a: Arm, b: Arm) -> Value:
    """An If whose arms have results that are built."""
    return e.value(choose(e, condition, a, b))


def _outliving(e: Emitter, value: Sugared) -> Sugared:
    """A value whose functions are kept while variables that they close over may change."""
    crossed = crossing(e, value)
    if crossed is not value:
        e.unit.check_escaping(e, crossed)
    return crossed


# loops


class _Clash(Exception):
    """A variable is of one kind before a loop and of another after an iteration."""

    def __init__(self, context: LoopContext, name: str, reason: str) -> None:
        super().__init__()
        self.context, self.name, self.reason = context, name, reason


@dataclass(eq=False)
class LoopContext:
    """The innermost loop while its body is compiled."""

    names: list[str]  # carried variables, in order
    shapes: list[Shape]
    next_condition: Callable[[], Value] | None
    cleanup_depth: int
    seen: list[Shape] = field(default_factory=list)
    late: dict[str, Value] = field(default_factory=dict)  # not bound before the loop: params
    seen_late: dict[str, T.Type] = field(default_factory=dict)
    has_break: bool = False
    block: Block | None = None  # of an unrolled iteration

    def leave(self, e: Emitter, kind: str) -> None:
        """End the current block: next iteration, break, or fall through (YIELD)."""
        values: list[Value] = []
        if kind != BREAK:
            values.append(
                self.next_condition()
                if self.next_condition is not None
                else e.builder.constant(True)
            )
        for index, name in enumerate(self.names):
            found = e.env.names.get(name)
            if found is None or isinstance(found, Unusable):
                if found is not None and found.reason != "unbound":
                    raise _Clash(self, name, found.reason)
                e.fail(
                    "SM0207",
                    f"`{name}` may be unbound at the end of an iteration",
                    help=f"give `{name}` a value on every path of the loop's body",
                )
            found = _outliving(e, found)
            shape = shape_of(e, found, general=True)
            joined = join_in_turn(e, self.seen[index], shape)
            if joined is None:
                reason = (
                    f"`{name}` is {found.describe()} after an iteration, another kind before it"
                )
                raise _Clash(self, name, reason)
            self.seen[index] = joined
            values += flatten(e, found, shape if joined != self.shapes[index] else joined)
        for name, param in self.late.items():
            values.append(self._late(e, name, param))
        self.has_break = self.has_break or kind == BREAK
        e.builder.block.terminate(kind, values, e.span)

    def _late(self, e: Emitter, name: str, param: Value) -> Value:
        """The value of a variable first bound in the loop: None while it is not bound."""
        found = e.env.names.get(name)
        if found is None or isinstance(found, Unusable):
            return param
        t = e.type_of(found)
        if t is None or T.is_optional(t):
            t = T.NONE  # None could not be told from unbound: refused when used
        self.seen_late[name] = T.join(self.seen_late[name], T.optional_of(t)) or T.NONE
        return param if t == T.NONE else e.value(found)


_MOST_PASSES = 30


def loop(
    e: Emitter,
    trips: Value | None,
    condition: Value | None,
    assigned: Sequence[str],
    body: Callable[[Value], None],
    next_condition: Callable[[Value], Value] | None = None,
    key: object = None,
    late: Sequence[str] = (),
) -> bool:
    """A Loop; ``body`` gets the index; the environment afterwards has the carried variables.

    ``late`` are variables first bound in the loop and used after it.  The result says whether the
    loop has a break.
    """
    outer = e.env
    names = [
        n for n in dict.fromkeys(assigned)
        if n in outer.names and not isinstance(outer.names[n], (CellVariable, Unusable))
    ]  # fmt: skip
    for name in names:
        outer.names[name] = _outliving(e, outer.names[name])
    entry = [shape_of(e, outer.names[n], general=True) for n in names]
    for index, name in enumerate(names):
        declared = e.scope.declared.get(name)
        own = entry[index]
        if declared is not None and isinstance(own, Leaf) and T.is_subtype(own.type, declared):
            entry[index] = Leaf(declared)
    memory_key = (key, tuple(entry)) if key is not None else None
    shapes = list(e.loop_memory.get(memory_key, entry)) if memory_key is not None else list(entry)
    if len(shapes) != len(entry):
        shapes = list(entry)
    late_types: dict[str, T.Type] = {n: T.NONE for n in late if n not in names}
    mark = e.builder.block.last
    for _ in range(_MOST_PASSES):
        context = LoopContext(
            names, shapes, None, len(e.cleanups), seen=list(shapes), seen_late=dict(late_types)
        )
        try:
            _emit_loop(e, outer, trips, condition, context, body, next_condition)
        except _Clash as clash:
            if clash.context is not context:
                raise
            # each iteration may still bind it before it is read
            discard_after(e, mark)
            e.env = outer
            outer.names[clash.name] = Unusable(clash.reason, e.span)
            return loop(e, trips, condition, assigned, body, next_condition, None, late)
        if context.seen == shapes and context.seen_late == late_types:
            break
        discard_after(e, mark)
        shapes, late_types = context.seen, context.seen_late
        if any(depth_of(t) > MOST_NESTED for shape in shapes for t in leaves(shape)):
            e.fail_type("the types of the loop's variables do not settle", help="annotate them")
    else:
        e.fail_type("the types of the loop's variables do not settle", help="annotate them")
    if memory_key is not None:
        e.loop_memory[memory_key] = tuple(shapes)
    return context.has_break


def _emit_loop(
    e: Emitter,
    outer: Environment,
    trips: Value | None,
    condition: Value | None,
    context: LoopContext,
    body: Callable[[Value], None],
    next_condition: Callable[[Value], Value] | None,
) -> None:
    """One pass over the body; ``context.seen`` tells what the variables have become."""
    names, shapes, late_types = context.names, context.shapes, dict(context.seen_late)
    inputs = [
        trips if trips is not None else e.int_constant(INT_MAX),
        condition if condition is not None else e.builder.constant(True),
    ]
    for name, shape in zip(names, shapes, strict=True):
        inputs += flatten(e, outer.names[name], shape)
    inputs += [e.builder.constant(None) for _ in late_types]
    node = e.builder.node("prim::Loop", inputs)
    block = node.add_block()
    index = block.add_param(T.INT, "i")
    env = outer.copy()
    env.attributes.clear()
    span = e.span
    if next_condition is not None:
        context.next_condition = lambda: next_condition(index)
    with e.builder.at(block):
        for name, shape in zip(names, shapes, strict=True):
            params = [block.add_param(t, name) for t in leaves(shape)]
            env.bind(name, rebuild(e, shape, iter(params)))
        for name, t in late_types.items():
            context.late[name] = block.add_param(t, name)
        e.env = env
        e.loops.append(context)
        try:
            body(index)
            with e.builder.located(span):
                context.leave(e, YIELD)
        except DeadCode:
            assert block.is_terminated, "dead code without a terminator"
        finally:
            e.loops.pop()
    e.env = _after_loop(e, outer, node, context, late_types)


def _after_loop(
    e: Emitter,
    outer: Environment,
    node: Node,
    context: LoopContext,
    late_types: dict[str, T.Type],
) -> Environment:
    """The environment after the loop."""
    after = outer.copy()
    after.attributes.clear()
    for name, shape in zip(context.names, context.shapes, strict=True):
        outputs = [node.add_output(t, name) for t in leaves(shape)]
        after.bind(name, rebuild(e, shape, iter(outputs)))
    for name, t in late_types.items():
        output = node.add_output(t, name)
        known = t != T.NONE
        after.names[name] = Unusable("unbound", e.span, IRValue(output) if known else None)
    for name in e.env.names:
        is_captured = name not in e.scope.locals and name in e.scope.captured
        if name not in after.names and not is_captured:
            after.names[name] = Unusable("unbound", e.span, None, after.cells.get(name))
    return after


def discard_after(e: Emitter, mark: Node | None) -> None:
    """Erase what was appended to the current block after ``mark``."""
    block = e.builder.block
    while block.last is not mark and block.last is not None:
        block.last.erase()
    e.forget_erased()


def terminates(block: Block) -> bool:
    """Whether control never passes the block's end."""
    return block.is_terminated and block.terminator.kind != YIELD


def leave_loop(e: Emitter, kind: str) -> NoReturn:
    """``break`` or ``continue`` in the innermost loop."""
    context = e.loops[-1]
    clean_up(e, context.cleanup_depth, kind)
    context.leave(e, kind)
    raise DeadCode


def clean_up(e: Emitter, depth: int, kind: str, value: Sugared | None = None) -> None:
    """Before a jump: end the ``with`` and ``finally`` parts above ``depth``, innermost first.

    One that has to run its own code first takes the jump over, and makes it afterwards.
    """
    for cleanup in reversed(e.cleanups[depth:]):
        cleanup(kind, value)


__all__ = [
    "BREAK", "CONTINUE", "UNREACHABLE", "LoopContext", "branch", "choose", "choose_value",
    "discard_after", "leave_loop", "loop", "narrow", "terminates", "when",
]  # fmt: skip
