"""Calls with ``*list`` and ``**dict`` whose lengths are known at run time only.

A fixed parameter that a list may reach takes its element or its default, by the list's length,
which is checked as Python checks it; what is left goes to ``*args`` and ``**kwargs``.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Mapping, Sequence

from scriptmode.frontend.script import call_library
from scriptmode.frontend.script.comparisons import contains
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.flow import choose, when
from scriptmode.frontend.script.operators import as_list, as_var_tuple, binary
from scriptmode.frontend.script.texts import missing_text, too_many_text
from scriptmode.frontend.script.values import (
    KEYWORDS,
    Arguments,
    Constant,
    IRValue,
    ListDisplay,
    SliceValue,
    StarredDict,
    StarredList,
    Sugared,
)
from scriptmode.ir.graph import Value


def is_spread(given: Arguments) -> bool:
    """Whether a call has arguments whose number is not known."""
    return KEYWORDS in given.keywords or any(isinstance(a, StarredList) for a in given.positional)


def whole_list(e: Emitter, arguments: Sequence[Sugared]) -> Sugared:
    """All of ``arguments`` as one list; a new one."""
    result: Sugared = IRValue(e.value(_part(e, arguments[0])))
    if len(arguments) == 1:
        return result
    for argument in arguments[1:]:
        result = binary(e, "add", result, IRValue(e.value(_part(e, argument))))
    return result


def _part(e: Emitter, argument: Sugared) -> Sugared:
    if isinstance(argument, StarredList):
        return IRValue(as_list(e, e.value(argument.value)))
    return ListDisplay((argument,))


def spread_positional(
    e: Emitter,
    name: str,
    arguments: ast.arguments,
    defaults: Mapping[str, Sugared],
    given: Arguments,
    bound: dict[str, Sugared],
) -> tuple[list[Sugared], Sugared | None]:
    """Bind the parameters that a list of unknown length reaches.

    The result is what is before the list, and what ``*args`` gets of it.
    """
    first = next(i for i, a in enumerate(given.positional) if isinstance(a, StarredList))
    before, whole = given.positional[:first], whole_list(e, given.positional[first:])
    positional = [a.arg for a in (*arguments.posonlyargs, *arguments.args)]
    reached = positional[first:]
    items = e.value(whole)
    length = e.builder.op("list::len", items)
    needed = [p for p in reached if p not in defaults and p not in given.keywords]
    least = max((reached.index(p) + 1 for p in needed), default=0)
    _check_length(e, name, arguments, length, first, reached, least, len(defaults))
    for index, parameter in enumerate(reached):
        if parameter in given.keywords:
            continue

        def item(index: int = index) -> Sugared:
            return e.lift(e.builder.op("list::getitem", items, e.int_constant(index)))

        if index < least:
            bound[parameter] = item()
        else:
            there = e.builder.op("int::gt", length, e.int_constant(index))
            default = defaults[parameter]
            bound[parameter] = choose(e, there, item, functools.partial(_same, default))
    if arguments.vararg is None:
        return before, None
    left = before[len(positional) :]
    rest = e.subscript(whole, SliceValue(Constant(len(reached)), Constant(None), Constant(None)))
    if left:
        rest = binary(e, "add", IRValue(e.value(ListDisplay(tuple(left)))), rest)
    return before, IRValue(as_var_tuple(e, e.value(rest)))


def _same(value: Sugared) -> Sugared:
    return value


def _check_length(
    e: Emitter,
    name: str,
    arguments: ast.arguments,
    length: Value,
    first: int,
    reached: Sequence[str],
    least: int,
    optional: int,
) -> None:
    for count in range(least):
        wrong = e.builder.op("int::eq", length, e.int_constant(count))
        text = missing_text(name, "positional", reached[count:least])
        when(e, wrong, functools.partial(e.raise_error, TypeError, text))
    if arguments.vararg is None:
        most = first + len(reached)
        wrong = e.builder.op("int::gt", length, e.int_constant(len(reached)))

        def too_many() -> None:
            total = e.builder.op("int::add", length, e.int_constant(first))
            head, tail = too_many_text(name, most, optional).split("{}")
            number = e.builder.op("int::str", total)
            text = e.builder.op("str::concat", e.builder.constant(head), number)
            e.raise_error(TypeError, e.builder.op("str::concat", text, e.builder.constant(tail)))

        when(e, wrong, too_many)


def spread_keywords(
    e: Emitter,
    name: str,
    arguments: ast.arguments,
    defaults: Mapping[str, Sugared],
    given: StarredDict,
    bound: dict[str, Sugared],
) -> Sugared:
    """Bind what a dict of unknown keys gives; what is left of it for ``**kwargs``."""
    whole = e.call_positional(e.attribute(given.value, "copy"))
    for parameter in [a.arg for a in (*arguments.args, *arguments.kwonlyargs)]:
        key = Constant(parameter)
        there = e.value(contains(e, whole, key))
        if parameter in bound:
            text = f"{name}() got multiple values for argument '{parameter}'"
            when(e, there, functools.partial(e.raise_error, TypeError, text))
            continue

        def take(key: Constant = key) -> Sugared:
            return e.call_positional(e.attribute(whole, "pop"), key)

        if parameter in defaults:
            default = defaults[parameter]
            bound[parameter] = choose(e, there, take, functools.partial(_same, default))
        else:
            is_only = parameter in [a.arg for a in arguments.kwonlyargs]
            text = missing_text(name, "keyword-only" if is_only else "positional", [parameter])
            absent = e.builder.op("bool::not", there)
            when(e, absent, functools.partial(e.raise_error, TypeError, text))
            bound[parameter] = take()
    if arguments.kwarg is None:
        left = e.value(e.unit.truth(e, whole))
        head = e.builder.constant(f"{name}() got an unexpected keyword argument '")

        def unexpected() -> None:
            key = e.value(e.unit.call_python_source(e, call_library.first_key, whole))
            text = e.builder.op("str::concat", head, key)
            e.raise_error(TypeError, e.builder.op("str::concat", text, e.builder.constant("'")))

        when(e, left, unexpected)
    return whole
