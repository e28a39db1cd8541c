"""Element types of lists and dicts that are learnt from their uses.

``xs = []`` says nothing of its elements; ``xs.append(1.0)`` does, and ``xs[0] = None`` adds to it.
A use that an element type does not admit is traced back to the displays that made the container;
what they should have been is kept as a hint under the display's *site*, and the function is
compiled again.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from scriptmode.frontend.script.emitter import Emitter, Restart
from scriptmode.frontend.script.values import DictDisplay, IRValue, ListDisplay, Sugared
from scriptmode.ir import types as T
from scriptmode.ir.graph import YIELD, Node, Value
from scriptmode.ir.growth import MOST_NESTED, depth_of, join_elements
from scriptmode.support.diagnostics import CompileError, Diagnostic, ScriptTypeError
from scriptmode.support.markers import HIDDEN_PARAMETER

_SAME_ELEMENTS = {
    "list::repeat", "list::concat", "list::slice", "list::copy", "dict::copy", "dict::plain",
    "prim::unchecked_cast", "set::set", "set::frozenset", "set::intersection", "set::difference",
    "set::symmetric_difference", "set::intersection_list", "set::difference_list", "set::list",
    "set::from_list", "set::frozen_from_list", "set::union", "deque::copy", "deque::list",
    "deque::as_list",
}  # fmt: skip
_ELEMENTS = {
    "list::getitem", "list::pop", "dict::getitem", "dict::setdefault", "deque::getitem",
    "deque::pop", "deque::popleft",
}  # fmt: skip
# element types of containers of which nothing was learnt
_UNKNOWN: dict[type[T.Type], tuple[T.Type, ...]] = {
    T.ListType: (T.TENSOR,), T.SetType: (T.INT,), T.FrozenSetType: (T.INT,),
    T.DequeType: (T.TENSOR,), T.CounterType: (T.STR, T.INT),
}  # fmt: skip


def sites_of(e: Emitter, value: Value, seen: set[int] | None = None) -> list[Hashable] | None:
    """The displays that a container may come from; None when it may come from elsewhere."""
    seen = set() if seen is None else seen
    if id(value) in seen:
        return []
    seen.add(id(value))
    found: list[Hashable] = []
    sources = _sources(e, value, found)
    if not sources:
        return found or None
    for source in sources:
        inner = sites_of(e, source, seen)
        if inner is None:
            return None
        found += inner
    return found


def _sources(e: Emitter, value: Value, found: list[Hashable]) -> list[Value] | None:
    """Values that ``value`` may be the same object as, or a copy of; sites go to ``found``."""
    if e.generator is not None:
        saved = e.generator.sources(value)
        if saved is not None:
            return saved
    node = value.node
    if node is None:
        block = value.block
        if block.owner is None or block.owner.kind != "prim::Loop":
            return None
        return [block.owner.inputs[1 + block.params.index(value)]]
    site = e.sites.get(node)
    if site is not None:
        found.append(site)
        return None
    if node.kind == "prim::If":
        index = node.outputs.index(value)
        ends = [b.terminator for b in node.blocks if b.is_terminated]
        return [end.inputs[index] for end in ends if end.kind == YIELD]
    if node.kind == "prim::Loop":
        return [node.inputs[2 + node.outputs.index(value)]]
    if node.kind in _SAME_ELEMENTS:
        return [v for v in node.inputs if isinstance(v.type, T.CONTAINERS)]
    return None


class ParameterGrows(Exception):
    """A container that a caller has passed should be of another type."""

    def __init__(
        self, index: int, wanted: T.Type, error: CompileError, *, is_wish: bool = False
    ) -> None:
        super().__init__()
        self.is_wish = is_wish  # the function also compiles as it is
        self.index, self.wanted, self.error = index, wanted, error


def widen(e: Emitter, value: Value, wanted: T.Type, *, is_wish: bool = False) -> bool:
    """Learn that ``value`` should be of the container type ``wanted``; False if it cannot be.

    A wish changes only what displays make that this function and its callers have.
    """
    if is_wish and not _may_grow(e, value):
        return False
    node = value.node
    if e.generator is not None and value in e.generator.arguments:
        index = e.generator.arguments[value]
        raise ParameterGrows(index, wanted, _misfit(e, value.type, wanted.contained))
    if node is None and value.block.owner is None:
        parameter = next((p for p in e.graph.params if p is value), None)
        if parameter is not None and e.unit.stack[-1].target in e.unit.entries:
            if parameter.name.startswith(HIDDEN_PARAMETER):
                e.unit.learn_shared(e, parameter.name, wanted)
    if node is None and value.block.owner is None and len(e.unit.stack) > 1:
        index = e.graph.params.index(value)
        if is_wish and (e.unit.stack[-1].key(), index) in e.unit.fixed_parameters:
            return False
        misfit = _misfit(e, value.type, wanted.contained)
        raise ParameterGrows(index, wanted, misfit, is_wish=is_wish)
    if node is not None and node.kind in _ELEMENTS and not e.sites.get(node):
        container = node.inputs[0]
        parts = (*container.type.contained[:-1], wanted)
        return widen(e, container, container.type.with_contained(parts))
    if node is not None and node.kind == "prim::unchecked_cast" and node.inputs[0].node is not None:
        if node.inputs[0].node.kind == "prim::GetAttr":
            node = node.inputs[0].node
    if node is not None and node.kind == "prim::GetAttr":
        _widen_attribute(e, node, wanted)
    if node is not None and node.kind == "prim::Global":
        e.unit.learn_captured(e, node.attributes["name"], wanted)
    sites = sites_of(e, value)
    if not sites:
        return False
    changed = False
    for site in sites:
        old = e.hints.get(site)
        new = wanted if old is None else _join_elements(old, wanted)
        if new is None:
            return False
        new = _without_itself(new)
        if new != old:
            e.hints[site] = new
            changed = True
    if changed:
        raise Restart
    return False


def _without_itself(t: T.Type) -> T.Type:
    """A container that was put into itself holds `Any`: its type would go on for ever."""
    return t.with_contained([T.ANY if depth_of(c) > MOST_NESTED else c for c in t.contained])


def _is_learnt(e: Emitter, node: Node) -> bool:
    """Whether something is known of an attribute's elements: a use, or what it holds."""
    if T.is_instance_type(node.inputs[0].type):
        return T.NEVER not in T.walk(node.output.type)
    info = e.unit.module_of_type(node.inputs[0].type)
    if info is None:
        return True
    name = node.attributes["name"]
    learnt = (type(info.python), name) in e.unit.attribute_types
    return learnt or bool(getattr(info.python, name))


def _widen_attribute(e: Emitter, node: Node, wanted: T.Type) -> None:
    """Learn the element types of an attribute's container, where its contents admit them."""
    owner = node.inputs[0].type
    if isinstance(owner, T.ClassType) and not owner.is_module:
        known = owner.attributes[node.attributes["name"]]
        if isinstance(T.unwrap_optional(known), T.UnionType):
            return  # containers of several types, none of which can become the other
        t = _in_place_of(node.output.type, wanted)
        e.unit.classes.replace(owner, node.attributes["name"], t)
        return
    info = e.unit.module_of_type(node.inputs[0].type)
    if info is None:
        return
    name = node.attributes["name"]
    if isinstance(node.output.type, T.OptionalType):
        wanted = T.optional_of(wanted)
    e.unit.learn_attribute(e, info, name, wanted, replace=True)


def _in_place_of(t: T.Type, wanted: T.Type) -> T.Type:
    """The container type ``wanted`` where ``t`` is one, or Optional of one."""
    joined = _join_elements(T.unwrap_optional(t), wanted) or wanted
    return T.optional_of(joined) if isinstance(t, T.OptionalType) else joined


def _join_elements(a: T.Type, b: T.Type) -> T.Type | None:
    if len(a.contained) != len(b.contained):
        return None
    if type(a) is not type(b) and not _share_elements(a, b):
        return None
    parts = [_join_inner(x, y) for x, y in zip(a.contained, b.contained, strict=True)]
    return a.with_contained(parts)


def _share_elements(a: T.Type, b: T.Type) -> bool:
    """Whether one is made of the other, as a list of a deque or a set of a list."""
    kinds = (T.ListType, T.SetType, T.DequeType)
    return isinstance(a, kinds) and isinstance(b, kinds)


def _join_inner(a: T.Type, b: T.Type) -> T.Type:
    if isinstance(a, T.CONTAINERS) and type(a) is type(b):
        if T.NEVER in T.walk(a) or T.NEVER in T.walk(b):
            return _join_elements(a, b) or T.ANY
    return join_elements(a, b)


def reconcile(e: Emitter, found: Sequence[Sugared]) -> None:
    """Make lists (or dicts) that meet in one variable agree in their element types."""
    values = [v for v in found if isinstance(v, IRValue)]
    _reconcile_displays(e, found, values)
    containers = [v.value for v in values if isinstance(v.type, T.CONTAINERS)]
    if len({v.type for v in containers}) < 2:
        return
    joined: T.Type | None = containers[0].type
    for value in containers[1:]:
        joined = None if joined is None else _join_elements(joined, value.type)
    if joined is None:
        return
    for value in containers:
        if value.type != joined:
            widen(e, value, joined)


def make_alike(e: Emitter, known: T.Type, value: Value) -> bool:
    """A container goes where one of type ``known`` is: become of that type, if it can.

    True if that one should rather become of the type of ``value``.
    """
    if isinstance(value.type, T.CONTAINERS) and type(value.type) is type(known):
        joined = _join_elements(value.type, known)
        if joined is not None and joined != value.type:
            widen(e, value, joined, is_wish=True)
        return joined == value.type
    return False


def _may_grow(e: Emitter, value: Value) -> bool:
    """Whether a container was made here, or by a caller: not one that others know as it is."""
    if value.node is None and value.block.owner is None:
        return len(e.unit.stack) > 1 and e.generator is None
    return bool(sites_of(e, value))


def _reconcile_displays(e: Emitter, found: Sequence[Sugared], built: Sequence[IRValue]) -> None:
    """Displays that meet a container of another type are to be of that type, if they can."""
    displays = [v for v in found if isinstance(v, (ListDisplay, DictDisplay))]
    kinds = [v.type for v in built] + [e.type_of(d) for d in displays if not d.frozen]
    for display in displays:
        own = e.type_of(display)
        if own is None or display.frozen or display.site is None:
            continue
        for other in kinds:
            joined = None if other is None else _join_elements(own, other)
            if joined is not None and joined == other and own != joined and T.NEVER in T.walk(own):
                e.hints[display.site] = joined
                raise Restart


def adapt(e: Emitter, value: Value, expected: T.Type) -> None:
    """An empty container that goes where ``expected`` is takes its element types from there."""
    wanted = T.unwrap_optional(expected)
    if isinstance(value.type, T.CONTAINERS) and type(value.type) is type(wanted):
        if T.NEVER in T.walk(value.type) and _join_elements(value.type, wanted) != value.type:
            widen(e, value, wanted)


def settle_literals(e: Emitter) -> None:
    """Give containers of which nothing was learnt elements of type Tensor."""
    changed = False
    for node, site in e.sites.items():
        if node.block is None:
            continue
        t = node.output.type
        known = e.hints.get(site, t)  # the keys alone may have been learnt
        if T.NEVER in t.contained and T.NEVER in known.contained:
            defaults = _UNKNOWN.get(type(t), (T.STR, T.TENSOR))
            parts = [
                default if own == T.NEVER else own
                for own, default in zip(known.contained, defaults, strict=True)
            ]
            e.hints[site] = t.with_contained(parts)
            changed = True
    if changed:
        raise Restart


def admit(e: Emitter, value: Value, *elements: T.Type) -> T.Type:
    """Element types must enter container ``value``; its type, or a restart, or an error."""
    t = value.type
    assert isinstance(t, T.CONTAINERS)
    if all(T.is_subtype(new, own) for new, own in zip(elements, t.contained, strict=True)):
        return t
    joined = _join_elements(t, t.with_contained(elements))
    node = value.node
    if node is not None and node.kind == "prim::GetAttr" and not _is_learnt(e, node):
        widen(e, value, t.with_contained(elements))
    if joined is not None:
        widen(e, value, joined)
    raise _misfit(e, t, elements)


def _misfit(e: Emitter, t: T.Type, wanted: Sequence[T.Type]) -> CompileError:
    """The error for elements of ``wanted`` that do not fit into ``t``."""
    new, own, what = next(
        (new, own, what)
        for new, own, what in zip(
            wanted, t.contained, ("key", "value")[2 - len(t.contained) :], strict=True
        )
        if not T.is_subtype(new, own)
    )
    return ScriptTypeError(
        Diagnostic(
            "SM0201",
            f"a {what} of type {new} does not fit into a {t}",
            e.span,
            help=f"annotate the container's type, or convert the {what} to {own}",
        )
    )
