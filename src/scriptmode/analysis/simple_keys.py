"""Types of keys whose hash and equality the native library finds without asking descriptors twice.

Ints, strs, and plain tuples of such: comparing them runs no code of the program and never fails.
"""

from __future__ import annotations

from scriptmode.ir import types as T


def is_simple_key(t: T.Type) -> bool:
    """Whether ``t`` is int, str, or a tuple of these."""
    if type(t) is T.TupleType:
        return all(map(is_simple_key, t.elements))
    return t in (T.INT, T.STR)
