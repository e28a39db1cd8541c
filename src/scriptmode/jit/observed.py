"""What instances of user classes that are passed to a program say of their classes.

A program is compiled for the classes and the attribute types that it knows.  ``unknown_facts``
walks over the instances inside the arguments and returns what the program does not know of them: a
subclass that it has not met, an attribute of another type.  An instance of the program that knows
is then compiled.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from torch import nn

from scriptmode.frontend.script import ClassFacts, is_user_class
from scriptmode.frontend.script.known import is_known_kind
from scriptmode.ir import types as T
from scriptmode.ir.graph import Program
from scriptmode.ir.instances import attributes_of
from scriptmode.jit.values import type_of_value
from scriptmode.support.diagnostics import ArgumentError, Diagnostic
from scriptmode.support.outside import is_holder_class, variables_of


def unknown_facts(values: Iterable[Any], program: Program) -> ClassFacts | None:
    """What the program does not know of the instances in ``values``; None when it knows all."""
    known = {t.python_class: t for t in program.classes.values() if not t.is_module}
    found = ClassFacts()
    is_new = False
    for instance in instances_in(values):
        cls = type(instance)
        found.classes[cls] = None
        t = known.get(cls)
        is_new |= t is None
        declared: Mapping[str, T.Type] = {} if t is None else t.attributes
        held = attributes_of(instance)
        for name, value in held.items():
            own = _type_of_attribute(value, declared.get(name))
            hides = t is not None and name in t.left_to_class and name not in declared
            if own is None:
                if hides:
                    raise _hidden(cls, name)
                continue
            is_new |= hides
            before = found.fields.get((cls, name))
            found.fields[cls, name] = own if before is None else T.join(before, own) or T.ANY
            is_new |= name in declared and not T.is_subtype(own, declared[name])
        lacking = [n for n in declared if n not in held and t is not None and not t.may_lack(n)]
        found.lacking.update((cls, name) for name in lacking)
        is_new |= bool(lacking)
    return found if is_new else None


def held_types(program: Program) -> dict[str, str]:
    """By name, the types of what the captured containers, objects and variables hold."""
    found: dict[str, str] = {}
    for name, obj in program.globals.items():
        if isinstance(obj, nn.Module):
            continue
        if is_user_class(type(obj)):
            own = variables_of(obj) if is_holder_class(type(obj)) else attributes_of(obj)
            found[name] = ", ".join(f"{n}: {_type_of_attribute(v, None)}" for n, v in own.items())
        else:
            found[name] = str(_type_of_attribute(obj, None))
    return found


def _hidden(cls: type, name: str) -> ArgumentError:
    return ArgumentError(
        Diagnostic(
            "SM0402",
            f"an instance of `{cls.__name__}` has an attribute `{name}` that hides its class's",
            help="give the class a method or a property, or assign values of static types",
        )
    )


def _type_of_attribute(value: Any, hint: T.Type | None) -> T.Type | None:
    if hint is None and type(value) is list and not value:
        return T.ListType([T.NEVER])
    if hint is None and type(value) is dict and not value:
        return T.DictType([T.NEVER, T.NEVER])
    try:
        return type_of_value(value, hint)
    except OverflowError:
        return None


_SEQUENCES = (list, tuple, set, frozenset, collections.deque)


def instances_in(values: Iterable[Any]) -> Iterator[Any]:
    """Every instance of a user class that can be reached from ``values``, each once."""
    seen: set[int] = set()
    pending = list(values)
    while pending:
        value = pending.pop()
        if isinstance(value, _SEQUENCES):
            inner: Iterable[Any] = value
        elif isinstance(value, dict):
            inner = [*value, *value.values()]
        elif is_user_class(type(value)) and not is_known_kind(value):
            inner = attributes_of(value).values()
        else:
            continue
        if id(value) not in seen:
            seen.add(id(value))
            pending += inner
            if not isinstance(value, (*_SEQUENCES, dict)):
                yield value
