"""The ``**keywords`` of an entry."""

from __future__ import annotations

import functools

from scriptmode.frontend.script import (
    operators,
)
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.flow import branch
from scriptmode.frontend.script.functions import Target
from scriptmode.frontend.script.values import (
    Constant,
    IRValue,
)
from scriptmode.ir import types as T


def check_entry(e: Emitter, target: Target) -> None:
    """An entry's ``**keywords`` are empty, or a named tuple of them for a further instance."""
    for name in target.keyword_tuples:
        given = e.env.names[name]
        assert isinstance(given, IRValue) and isinstance(given.type, T.NamedTupleType)
        keys = map(Constant, given.type.fields)
        items = operators.tuple_items(e, given) or ()
        e.env.names[name] = e.unit.frozen_dict(zip(keys, items, strict=True))
    for name in target.empty_keywords:
        given = e.env.names[name]
        message = f"compiled code takes no further keyword arguments (`**{name}`)"
        branch(
            e, e.value(e.unit.truth(e, given)),
            functools.partial(e.raise_error, TypeError, message), lambda: None,
        )  # fmt: skip
        e.env.names[name] = e.unit.frozen_dict(())
