"""Small functions that calls need, written in Python and compiled with the program."""

from __future__ import annotations


def first_key(given: dict[str, object]) -> str:
    """The first key of a dict that has one."""
    for key in given:
        return key
    return ""
