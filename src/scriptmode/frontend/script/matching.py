"""The ``match`` statement.

A pattern is compiled in two steps: ``matches`` makes its outcome, ``captures`` reads again what the
names of a pattern that has matched stand for.  ``narrowed`` says of which types the subject is when
a pattern matches and when it does not; cases that cannot match are not compiled.
"""

from __future__ import annotations

import ast
import collections.abc
import enum
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence

from scriptmode.frontend.script.builtin_types import instances_among, is_instance
from scriptmode.frontend.script.comparisons import compare, contains, identical
from scriptmode.frontend.script.conditions import (
    assume,
    condition,
    fact,
    is_type,
    members,
    split,
    truth,
)
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.flow import branch, choose, narrow
from scriptmode.frontend.script.handlers import STATEMENTS
from scriptmode.frontend.script.iteration import as_built_list, items_of
from scriptmode.frontend.script.methods import python_type
from scriptmode.frontend.script.stores import delete_subscript
from scriptmode.frontend.script.trees import walk
from scriptmode.frontend.script.values import (
    NONE_VALUE,
    Arguments,
    Constant,
    DictDisplay,
    Fact,
    IRValue,
    IterableValue,
    ListDisplay,
    PythonObject,
    SliceValue,
    Sugared,
    TupleDisplay,
)
from scriptmode.ir import types as T
from scriptmode.ir.enumerations import member
from scriptmode.ir.graph import Value

Outcome = bool | Value

# a single positional sub-pattern of these matches the subject itself
_WHOLE = (bool, bytearray, bytes, dict, float, frozenset, int, list, set, str, tuple)
_NUMBERS = (T.BOOL, T.INT, T.FLOAT, T.COMPLEX, T.NUMBER)
_OPEN = (T.TENSOR, T.ANY)  # may equal values of other types


@STATEMENTS(ast.Match)
def _match(e: Emitter, node: ast.Match) -> None:
    value = e.settle(e.expression(node.subject))
    _Cases(e, node.subject, value).run(node.cases, e.type_of(value), [])


class _Cases:
    """The cases of one statement, tried in order."""

    def __init__(self, e: Emitter, node: ast.expr, value: Sugared) -> None:
        self.e = e
        self.node = node
        self.value = value

    def run(self, cases: Sequence[ast.match_case], t: T.Type | None, seen: list[object]) -> None:
        """The rest of the cases; ``t`` and not ``seen`` is what the subject may still be."""
        if not cases:
            return
        e, (case, *rest) = self.e, cases
        pattern = case.pattern
        view = self.value if t is None else narrow(e, self.value, t)
        matched, unmatched = (None, None) if t is None else narrowed(e, pattern, t)
        known: Sequence[Fact] = ()
        with e.at(pattern):
            outcome = matches(e, pattern, view)
            constants = [*seen, *_constants(e, pattern)]
            if t is not None and _covers(constants, t):
                outcome = True
            if case.guard is not None and outcome is not False:
                outcome, known = self._guarded(pattern, view, outcome, case.guard, matched)
                unmatched, constants = t, seen

        def success() -> None:
            if case.guard is None or outcome is not True:
                self._capture(pattern, view, matched)
                _assume_captured(e, pattern, known)
            e.statements(case.body)

        def failure() -> None:
            if unmatched is not None and unmatched != t:
                assume(e, fact(e, self.node, self.value, unmatched))
            self.run(rest, unmatched, constants)

        if isinstance(outcome, bool):
            success() if outcome else failure()
        else:
            branch(e, outcome, success, failure)

    def _capture(self, pattern: ast.pattern, view: Sugared, matched: T.Type | None) -> None:
        """Bind the names of a pattern that has matched, and narrow the subject."""
        e = self.e
        names = captures(e, pattern, view)
        if matched is not None:
            assume(e, _subject_facts(e, pattern, self.node, self.value, matched))
        for name, value in names.items():
            e.assign(name, value)

    def _guarded(
        self,
        pattern: ast.pattern,
        view: Sugared,
        outcome: Outcome,
        guard: ast.expr,
        matched: T.Type | None,
    ) -> tuple[Outcome, Sequence[Fact]]:
        """The outcome of a case with a guard; names are bound even where the guard fails."""
        e = self.e
        found: list[Sequence[Fact]] = []

        def test() -> Outcome:
            self._capture(pattern, view, matched)
            held, facts = condition(e, guard)
            found.append(facts.when_true)
            return held

        if outcome is True:
            return test(), found[0]
        outcome = _and(e, outcome, test)  # which may know that there is nothing to test
        return outcome, found[0] if found else ()


def _assume_captured(e: Emitter, pattern: ast.pattern, facts: Sequence[Fact]) -> None:
    """What a guard has shown, also of names that the pattern has bound anew."""
    bound = set(_names(pattern))
    for item in facts:
        name = item.place[0]
        if len(item.place) == 1 and name in bound:
            e.env.names[name] = narrow(e, e.env.names[name], item.type)
        else:
            assume(e, [item])


def _subject_facts(
    e: Emitter, pattern: ast.pattern, node: ast.expr, value: Sugared, matched: T.Type
) -> Sequence[Fact]:
    """What a match shows of the subject, or of the items of a subject that is a tuple display."""
    if isinstance(node, ast.Tuple) and isinstance(value, TupleDisplay):
        match pattern:
            case ast.MatchSequence(patterns=patterns) if not any(map(_is_star, patterns)):
                found: list[Fact] = []
                for p, n, v in zip(patterns, node.elts, value.items, strict=True):
                    t = e.type_of(v)
                    if t is not None:
                        found += _subject_facts(e, p, n, v, narrowed(e, p, t)[0])
                return found
        return ()
    return fact(e, node, value, matched)


def _names(pattern: ast.pattern) -> list[str]:
    """The names that a pattern binds."""
    found = []
    for node in walk(pattern):
        match node:
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                found.append(name)
            case ast.MatchMapping(rest=str(name)):
                found.append(name)
    return list(dict.fromkeys(found))


def _is_star(pattern: ast.pattern) -> bool:
    return isinstance(pattern, ast.MatchStar)


def _is_irrefutable(pattern: ast.pattern) -> bool:
    match pattern:
        case ast.MatchAs(pattern=inner):
            return inner is None or _is_irrefutable(inner)
        case ast.MatchOr(patterns=patterns):
            return any(map(_is_irrefutable, patterns))
    return isinstance(pattern, ast.MatchStar)


# all members of an enumeration


def _constants(e: Emitter, pattern: ast.pattern) -> list[object]:
    """The members or singletons that a pattern without further conditions stands for."""
    match pattern:
        case ast.MatchSingleton(value=value):
            return [value]
        case ast.MatchValue(value=node):
            named = e.expression(node)
            return [named.value] if isinstance(named, Constant) else []
        case ast.MatchOr(patterns=patterns):
            return [c for p in patterns for c in _constants(e, p)]
        case ast.MatchAs(pattern=ast.pattern() as inner):
            return _constants(e, inner)
    return []


def _covers(constants: Sequence[object], t: T.Type) -> bool:
    """Whether every value of ``t`` is among ``constants``."""
    if t == T.BOOL:
        return any(c is True for c in constants) and any(c is False for c in constants)
    if isinstance(t, T.EnumType) and t.python_class is not None:
        if issubclass(t.python_class, enum.Flag):
            return False
        return all(any(c is member(t, k) for c in constants) for k in t.members)
    return False


# types


def narrowed(e: Emitter, pattern: ast.pattern, t: T.Type) -> tuple[T.Type, T.Type]:
    """Types of a subject of type ``t`` that a pattern matches, and that it does not match."""
    match pattern:
        case ast.MatchAs(pattern=None) | ast.MatchStar():
            return t, T.NEVER
        case ast.MatchAs(pattern=ast.pattern() as inner):
            return narrowed(e, inner, t)
        case ast.MatchOr(patterns=patterns):
            matched: T.Type = T.NEVER
            for inner in patterns:
                found, t = narrowed(e, inner, t)
                matched = T.union_of([matched, found])
            return matched, t
        case ast.MatchSingleton(value=None):
            return (T.NONE if T.is_optional(t) else T.NEVER), _without(t, [T.NONE])
        case ast.MatchSingleton():
            return (T.BOOL if T.BOOL in members(t) or t == T.ANY else T.NEVER), t
        case ast.MatchValue(value=node):
            return _among(t, _may_equal(e, node)), t
        case ast.MatchSequence(patterns=patterns):
            matched = _among(t, lambda m: _may_be_sequence(m, patterns))
            if all(map(_is_irrefutable, patterns)) and _has_fixed_length(matched, patterns):
                return matched, _without(t, members(matched))
            return matched, t
        case ast.MatchMapping(keys=keys):
            matched = _among(t, _is_mapping)
            return matched, t if keys else _without(t, members(matched))
        case ast.MatchClass():
            matched, rest = instances_among(e, t, [_class_of(e, pattern)])
            inner_patterns = [*pattern.patterns, *pattern.kwd_patterns]
            return matched, rest if all(map(_is_irrefutable, inner_patterns)) else t
    raise AssertionError(pattern)


def _among(t: T.Type, keep: Callable[[T.Type], bool]) -> T.Type:
    if t == T.ANY:
        return t
    return T.union_of([m for m in members(t) if keep(m)])


def _without(t: T.Type, types: Sequence[T.Type]) -> T.Type:
    return T.union_of([m for m in members(t) if m not in types])


def _may_equal(e: Emitter, node: ast.expr) -> Callable[[T.Type], bool]:
    own = e.type_of(e.expression(node))

    def keep(m: T.Type) -> bool:
        if own is None or own == m or m in _OPEN or own in _OPEN:
            return True
        if own in _NUMBERS and m in _NUMBERS:
            return True
        return any(isinstance(x, (T.EnumType, T.ClassType)) for x in (own, m))

    return keep


def _is_mapping(t: T.Type) -> bool:
    python = python_type(t)
    return python is not None and issubclass(python, collections.abc.Mapping)


def _is_sequence(python: type | None) -> bool:
    if python is None or issubclass(python, (str, bytes, bytearray)):
        return False
    return issubclass(python, collections.abc.Sequence)


def _may_be_sequence(t: T.Type, patterns: Sequence[ast.pattern]) -> bool:
    if not _is_sequence(python_type(t)):
        return False
    if isinstance(t, T.TupleType):
        return _fits_length(len(t.elements), patterns)
    return True


def _fits_length(length: int, patterns: Sequence[ast.pattern]) -> bool:
    starred = any(map(_is_star, patterns))
    return length >= len(patterns) - 1 if starred else length == len(patterns)


def _has_fixed_length(t: T.Type, patterns: Sequence[ast.pattern]) -> bool:
    """Whether the length of every sequence of the type fits."""
    any_length = len(patterns) == 1 and _is_star(patterns[0])
    return all(isinstance(m, T.TupleType) or any_length for m in members(t))


def _class_of(e: Emitter, pattern: ast.MatchClass) -> type:
    found = e.expression(pattern.cls)
    if not isinstance(found, PythonObject) or not isinstance(found.object, type):
        e.fail_type(f"{found.describe()} in a class pattern is not a class")
    return found.object


# outcomes


def matches(e: Emitter, pattern: ast.pattern, value: Sugared) -> Outcome:
    """Whether a pattern matches."""
    with e.at(pattern):
        match pattern:
            case ast.MatchAs(pattern=None) | ast.MatchStar():
                return True
            case ast.MatchAs(pattern=ast.pattern() as inner):
                return matches(e, inner, value)
            case ast.MatchOr(patterns=patterns):
                return _any(e, patterns, value)
            case ast.MatchSingleton(value=singleton):
                return truth(e, identical(e, value, Constant(singleton)))
            case ast.MatchValue(value=node):
                return truth(e, compare(e, "eq", value, e.expression(node)))
            case ast.MatchSequence(patterns=patterns):
                return _on_type(e, pattern, value, lambda v: _all_items(e, patterns, v))
            case ast.MatchMapping():
                return _on_type(e, pattern, value, lambda v: _all_keys(e, pattern, v))
            case ast.MatchClass():
                return _instance(e, pattern, value)
    raise AssertionError(pattern)


def _sugared(outcome: Outcome) -> Sugared:
    return Constant(outcome) if isinstance(outcome, bool) else IRValue(outcome)


def _and(e: Emitter, outcome: Outcome, more: Callable[[], Outcome]) -> Outcome:
    if isinstance(outcome, bool):
        return more() if outcome else False
    return truth(e, choose(e, outcome, lambda: _sugared(more()), lambda: Constant(False)))


def _all(e: Emitter, tests: Sequence[Callable[[], Outcome]]) -> Outcome:
    if not tests:
        return True
    return _and(e, tests[0](), lambda: _all(e, tests[1:]))


def _any(e: Emitter, patterns: Sequence[ast.pattern], value: Sugared) -> Outcome:
    outcome = matches(e, patterns[0], value)
    if outcome is True or len(patterns) == 1:
        return outcome
    if outcome is False:
        return _any(e, patterns[1:], value)
    return truth(
        e,
        choose(
            e, outcome,
            lambda: Constant(True), lambda: _sugared(_any(e, patterns[1:], value)),
        ),
    )  # fmt: skip


def _on_type(
    e: Emitter, pattern: ast.pattern, value: Sugared, act: Callable[[Sugared], Outcome]
) -> Outcome:
    """``act`` on the value under each type that the pattern can match; false for the others."""
    t = e.type_of(value)
    if t is None:
        return act(value) if _static_fits(pattern, value) else False
    matched, _ = narrowed(e, pattern, t)
    if matched == T.NEVER:
        return False
    if matched == T.ANY:
        e.not_built(
            "a sequence or mapping pattern on a value of type Any is",
            help="narrow it first: `if scriptmode.isinstance(x, List[int]):`",
        )
    outcome: Outcome = True
    if matched != t:
        outcome = is_type(e, e.value(value), members(matched))
    return _and(e, outcome, lambda: _by_member(e, narrow(e, value, matched), act))


def _by_member(e: Emitter, value: Sugared, act: Callable[[Sugared], Outcome]) -> Outcome:
    if isinstance(value, IRValue) and len(members(value.type)) > 1:
        return truth(e, split(e, value, lambda v: _sugared(act(v))))
    return act(value)


def _static_fits(pattern: ast.pattern, value: Sugared) -> bool:
    """Whether a value known in part at compile time is a sequence, or a mapping."""
    if isinstance(pattern, ast.MatchMapping):
        return isinstance(value, DictDisplay)
    if isinstance(value, IterableValue):
        return value.kind == "range"
    return isinstance(value, (TupleDisplay, ListDisplay))


def _items(e: Emitter, patterns: Sequence[ast.pattern], value: Sugared) -> list[Sugared]:
    """The item for each sub-pattern of a sequence whose length fits; a list for a star."""
    if isinstance(value, IterableValue):
        value = as_built_list(e, value)
    star = next((i for i, p in enumerate(patterns) if _is_star(p)), None)
    after = 0 if star is None else len(patterns) - star - 1
    known = items_of(e, value)
    found: list[Sugared] = []
    for index in range(len(patterns)):
        if index == star:
            found.append(_starred(e, patterns[index], value, index, after))
        else:
            place = index if star is None or index < star else index - len(patterns)
            item = known[place] if known is not None else e.subscript(value, Constant(place))
            found.append(item)
    return found


def _starred(e: Emitter, pattern: ast.pattern, value: Sugared, start: int, after: int) -> Sugared:
    """The list that a starred name takes."""
    assert isinstance(pattern, ast.MatchStar)
    if pattern.name is None:
        return NONE_VALUE
    known = items_of(e, value)
    if known is not None:
        return ListDisplay(tuple(known[start : len(known) - after]), site=pattern)
    stop = Constant(-after) if after else NONE_VALUE
    rest = e.subscript(value, SliceValue(Constant(start), stop, NONE_VALUE))
    return e.call_positional(PythonObject(list), rest)


def _all_items(e: Emitter, patterns: Sequence[ast.pattern], value: Sugared) -> Outcome:
    known = None if isinstance(value, IterableValue) else items_of(e, value)
    if known is not None:
        if not _fits_length(len(known), patterns):
            return False
        fits: Outcome = True
    else:
        starred = any(map(_is_star, patterns))
        least = Constant(len(patterns) - starred)
        length = e.unit.length(e, value)
        fits = truth(e, compare(e, "ge" if starred else "eq", length, least))

    def inner() -> Outcome:
        if all(map(_is_irrefutable, patterns)):
            return True
        tested = [p for p in patterns if not _is_star(p)]
        items = [
            i for p, i in zip(patterns, _items(e, patterns, value), strict=True) if not _is_star(p)
        ]
        return _all(
            e, [functools.partial(matches, e, p, i) for p, i in zip(tested, items, strict=True)]
        )

    return _and(e, fits, inner)


def _all_keys(e: Emitter, pattern: ast.MatchMapping, value: Sugared) -> Outcome:
    def test(key: ast.expr, inner: ast.pattern) -> Outcome:
        name = e.expression(key)
        there = truth(e, contains(e, value, name))
        return _and(
            e, there,
            lambda: _is_irrefutable(inner) or matches(e, inner, e.subscript(value, name)),
        )  # fmt: skip

    return _all(
        e,
        [
            functools.partial(test, k, p)
            for k, p in zip(pattern.keys, pattern.patterns, strict=True)
        ],
    )


def _instance(e: Emitter, pattern: ast.MatchClass, value: Sugared) -> Outcome:
    cls = _class_of(e, pattern)
    outcome = truth(e, is_instance(e, Arguments([value, PythonObject(cls)], {})))

    def inner() -> Outcome:
        t = e.type_of(value)
        view = value if t is None else narrow(e, value, narrowed(e, pattern, t)[0])
        return _by_member(e, view, lambda v: _all_attributes(e, pattern, cls, v))

    return _and(e, outcome, inner)


def _attributes(
    e: Emitter, pattern: ast.MatchClass, cls: type
) -> list[tuple[str | None, ast.pattern]]:
    """Sub-patterns with the attribute that each looks at; None for the subject itself."""
    count = len(pattern.patterns)
    names: tuple[str | None, ...] = getattr(cls, "__match_args__", ())
    if not names and issubclass(cls, _WHOLE) and "__match_args__" not in vars(cls):
        names = (None,)
    if count > len(names):
        plural = "" if len(names) == 1 else "s"
        e.raise_error(
            TypeError,
            f"{cls.__name__}() accepts {len(names)} positional sub-pattern{plural} ({count} given)",
        )
    positional = list(zip(names, pattern.patterns, strict=False))
    repeated = [a for a in pattern.kwd_attrs if a in names[:count]]
    if repeated:
        e.raise_error(
            TypeError, f"{cls.__name__}() got multiple sub-patterns for attribute '{repeated[0]}'"
        )
    return [*positional, *zip(pattern.kwd_attrs, pattern.kwd_patterns, strict=True)]


def _all_attributes(e: Emitter, pattern: ast.MatchClass, cls: type, value: Sugared) -> Outcome:
    def test(name: str | None, inner: ast.pattern) -> Outcome:
        if name is None:
            return matches(e, inner, value)
        if not e.unit.has_attribute(e, value, name):
            return False
        if _is_irrefutable(inner):
            return True
        if isinstance(inspect.getattr_static(cls, name, None), property) and _names(inner):
            e.not_built(
                f"a pattern that tests and captures the property `{name}` is",
                help="read the property into a variable, and match that",
            )
        return matches(e, inner, e.attribute(value, name))

    return _all(e, [functools.partial(test, *a) for a in _attributes(e, pattern, cls)])


# names


def captures(e: Emitter, pattern: ast.pattern, value: Sugared) -> dict[str, Sugared]:
    """What the names of a pattern stand for, where it has matched."""
    names = _names(pattern)
    if not names:
        return {}
    t = e.type_of(value)
    if t is not None:
        value = narrow(e, value, narrowed(e, pattern, t)[0])
    with e.at(pattern):
        match pattern:
            case ast.MatchAs(pattern=inner, name=name):
                found = {} if inner is None else captures(e, inner, value)
                return {**found, name: value} if name is not None else found
            case ast.MatchOr(patterns=patterns):
                return _alternatives(e, patterns, names, value)
            case ast.MatchSequence(patterns=patterns):
                return _merged(e, names, value, lambda v: _captured_items(e, patterns, v))
            case ast.MatchMapping():
                return _merged(e, names, value, lambda v: _captured_keys(e, pattern, v))
            case ast.MatchClass():
                cls = _class_of(e, pattern)
                return _merged(e, names, value, lambda v: _captured_attributes(e, pattern, cls, v))
    raise AssertionError(pattern)


def _display(names: Sequence[str], found: Mapping[str, Sugared]) -> Sugared:
    return TupleDisplay(tuple(found[n] for n in names))


def _named(e: Emitter, names: Sequence[str], value: Sugared) -> dict[str, Sugared]:
    items = e.unit.tuple_items(e, value)
    assert items is not None
    return dict(zip(names, items, strict=True))


def _merged(
    e: Emitter,
    names: Sequence[str],
    value: Sugared,
    act: Callable[[Sugared], Mapping[str, Sugared]],
) -> dict[str, Sugared]:
    """What ``act`` captures under each type of the value."""
    if isinstance(value, IRValue) and len(members(value.type)) > 1:
        return _named(e, names, split(e, value, lambda v: _display(names, act(v))))
    return dict(act(value))


def _alternatives(
    e: Emitter, patterns: Sequence[ast.pattern], names: Sequence[str], value: Sugared
) -> dict[str, Sugared]:
    first, *rest = patterns
    if not rest:
        return captures(e, first, value)
    outcome = matches(e, first, value)
    if isinstance(outcome, bool):
        return captures(e, first, value) if outcome else _alternatives(e, rest, names, value)
    return _named(
        e, names,
        choose(
            e, outcome,
            lambda: _display(names, captures(e, first, value)),
            lambda: _display(names, _alternatives(e, rest, names, value)),
        ),
    )  # fmt: skip


def _captured_items(
    e: Emitter, patterns: Sequence[ast.pattern], value: Sugared
) -> dict[str, Sugared]:
    found: dict[str, Sugared] = {}
    for inner, item in zip(patterns, _items(e, patterns, value), strict=True):
        if isinstance(inner, ast.MatchStar):
            if inner.name is not None:
                found[inner.name] = e.settle(item)
        else:
            found.update(captures(e, inner, item))
    return found


def _captured_keys(e: Emitter, pattern: ast.MatchMapping, value: Sugared) -> dict[str, Sugared]:
    found: dict[str, Sugared] = {}
    for key, inner in zip(pattern.keys, pattern.patterns, strict=True):
        if _names(inner):
            found.update(captures(e, inner, e.subscript(value, e.expression(key))))
    if pattern.rest is not None:
        rest = e.settle(e.call_positional(PythonObject(dict), value))
        for key in pattern.keys:
            delete_subscript(e, rest, e.expression(key))
        found[pattern.rest] = rest
    return found


def _captured_attributes(
    e: Emitter, pattern: ast.MatchClass, cls: type, value: Sugared
) -> dict[str, Sugared]:
    found: dict[str, Sugared] = {}
    for name, inner in _attributes(e, pattern, cls):
        if _names(inner):
            whole = value if name is None else e.attribute(value, name)
            found.update(captures(e, inner, whole))
    return found
