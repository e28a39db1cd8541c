"""``isinstance`` that looks into containers: ``List[int]``, ``Dict[str, Tensor]``, ``Optional[T]``.

::

    is_instance([1, 2], List[int])        # True
    is_instance([1, "a"], List[int])      # False

Compiled code answers from the static type, so it also knows the element type of an empty list;
here an empty container is an instance of every container type of its kind.
"""

from __future__ import annotations

import types
import typing
import warnings
from typing import Any

from scriptmode.support.diagnostics import ScriptWarning

_BARE = (list, dict, tuple, typing.List, typing.Dict, typing.Tuple, typing.Optional)  # noqa: UP006


def says_nothing_of_elements(target_type: Any) -> bool:
    """Whether a type is a container's or ``Optional`` without what it contains."""
    return any(target_type is t for t in _BARE)


def is_instance(obj: Any, target_type: Any) -> bool:
    """Whether ``obj`` is of a type, or of one of a tuple of types, elements included."""
    if isinstance(target_type, tuple):
        return any(is_instance(obj, t) for t in target_type)
    if says_nothing_of_elements(target_type):
        raise RuntimeError(
            f"{target_type} says nothing of its elements; write List[int], Dict[str, Tensor], ..."
        )
    if isinstance(target_type, (list, set, dict)):
        raise RuntimeError(
            "the second argument of scriptmode.isinstance must be a type or a tuple of types"
        )
    if isinstance(obj, (list, dict, tuple)) and not obj and typing.get_origin(target_type):
        warnings.warn(
            f"an empty {type(obj).__name__} has no element type in eager mode: it is taken for "
            f"an instance of {target_type}",
            ScriptWarning,
            stacklevel=2,
        )
    return _fits(obj, target_type)


def _fits(obj: Any, target: Any) -> bool:
    origin, arguments = typing.get_origin(target), typing.get_args(target)
    if target is Any:
        return True
    if target is None:
        return obj is None
    if origin is None:
        return isinstance(obj, target)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(obj, a) for a in arguments)
    if origin is tuple:
        if not isinstance(obj, tuple):
            return False
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return all(_fits(o, arguments[0]) for o in obj)
        return len(obj) == len(arguments) and all(map(_fits, obj, arguments))
    if not isinstance(obj, origin):
        return False
    if isinstance(obj, dict):
        key, value = arguments
        return all(_fits(k, key) and _fits(v, value) for k, v in obj.items())
    if isinstance(obj, (list, set, frozenset)):
        return all(_fits(o, arguments[0]) for o in obj)
    return True


__all__ = ["is_instance", "says_nothing_of_elements"]
