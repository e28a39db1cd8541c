"""Small functions that calls need, written in Python and compiled with the program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def first_key(given: dict[str, object]) -> str:
    """The first key of a dict that has one."""
    for key in given:
        return key
    return ""


def call_cached(  # type: ignore[no-untyped-def]  # its result is inferred, also while it recurses
    function: Callable[..., Any], memo: dict[Any, Any], *args: Any
):
    """A call of a function under ``functools.lru_cache``."""
    if args in memo:
        return memo[args]
    result = function(*args)
    memo[args] = result
    return result
