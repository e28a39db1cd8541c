"""Arguments of builtins, by position or by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from math import inf
from typing import Any

from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.values import KEYWORDS, Arguments, StarredList, Sugared

# functions and classes in C without a signature: how many arguments they need, and take
_COUNTS: dict[Any, tuple[int, float]] = {
    min: (1, inf), max: (1, inf), iter: (1, 2), next: (1, 2), getattr: (2, 3), map: (2, inf),
    filter: (2, 2), slice: (1, 3), dict.pop: (2, 3), str.startswith: (2, 4), str.endswith: (2, 4),
    str.find: (2, 4), str.rfind: (2, 4), str.index: (2, 4), str.rindex: (2, 4), str.count: (2, 4),
}  # fmt: skip
COUNTED_CLASSES = (map, filter, slice)


def check_arguments(
    e: Emitter, function: Callable[..., Any], given: Arguments, owners: int = 0
) -> None:
    """Refuse a call of a function in C whose arguments Python would not take.

    ``owners`` is 1 for a method, whose first argument is not among those given.
    """
    if KEYWORDS in given.keywords or any(isinstance(a, StarredList) for a in given.positional):
        return
    positional = [None] * (owners + len(given.positional))
    signature = _signature(function)
    if signature is None:
        least, most = _COUNTS.get(function, (0, inf))
        if given.keywords and function in _COUNTS and function not in (min, max):
            e.fail_type(f"{function.__name__}() takes no keyword arguments")
        if not least <= len(positional) <= most:
            wanted = f"at least {least}" if most == inf else f"{least} to {int(most)}"
            e.fail_type(
                f"{function.__name__}() takes {wanted} arguments, but {len(positional)} are given"
            )
        return
    try:
        signature.bind(*positional, **dict.fromkeys(given.keywords))
    except TypeError as error:
        e.fail_type(f"{function.__name__}(): {error}")


@cache
def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except ValueError:
        return None


def take(e: Emitter, given: Arguments, *names: str, required: int = 0) -> list[Sugared | None]:
    """Arguments by position or by name; missing ones are None."""
    found: list[Sugared | None] = list(given.positional)
    if len(found) > len(names):
        e.fail_type(f"at most {len(names)} arguments are expected, {len(found)} given")
    found += [None] * (len(names) - len(found))
    for key, value in given.keywords.items():
        if key not in names or found[names.index(key)] is not None:
            e.fail_type(f"unexpected keyword argument `{key}`")
        found[names.index(key)] = value
    for index in range(required):
        if found[index] is None:
            e.fail_type(f"the argument `{names[index]}` is missing")
    return found


def one(e: Emitter, given: Arguments) -> Sugared:
    """The only argument."""
    if len(given.positional) != 1 or given.keywords:
        e.fail_type("exactly one argument is expected")
    return given.positional[0]
