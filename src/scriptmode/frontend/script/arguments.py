"""Arguments of builtins, by position or by name."""

from __future__ import annotations

from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.values import Arguments, Sugared


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
