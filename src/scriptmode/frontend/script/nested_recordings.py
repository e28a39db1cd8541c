"""Nested arguments and results of recordings that compiled code calls.

A recording's graph takes the leaves of its arguments and gives the leaves of its result; its trees
say how they are taken from what a call passes, and put together::

    traced = trace(fn, ({"a": x, "b": [y]},))      # leaves a, b_0
    def f(x):
        return traced({"a": x, "b": [x + 1]})["sum"]
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.flow import branch
from scriptmode.frontend.script.values import (
    Arguments,
    Constant,
    DictDisplay,
    ListDisplay,
    PythonObject,
    Sugared,
    TupleDisplay,
)
from scriptmode.frontend.trace.structure import (
    Container,
    InputTree,
    Leaf,
    OutputTree,
    Spec,
    Static,
    bind_arguments,
)
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value
from scriptmode.support.diagnostics import ArgumentError


def flat_inputs(e: Emitter, tree: InputTree, given: Arguments) -> list[Value]:
    """The leaves of a call's arguments."""
    try:
        passed = bind_arguments(tree.signature, given.positional, given.keywords, ArgumentError)
    except ArgumentError as error:
        e.fail_type(error.diagnostics[0].message)
    if passed.keys() != tree.specs.keys():
        names = ", ".join(tree.specs)
        e.fail_type(f"a recording takes what was traced ({names}), got {', '.join(passed)}")
    out: list[Value] = []
    for name, spec in tree.specs.items():
        _flatten(e, spec, passed[name], name, out)
    return out


def _flatten(e: Emitter, spec: Spec, value: Sugared, place: str, out: list[Value]) -> None:
    if isinstance(spec, Container):
        for key, item in zip(spec.keys, spec.items, strict=True):
            inner = _item(e, spec, value, key, place)
            _flatten(e, item, inner, f"{place}[{key!r}]", out)
        return
    if isinstance(spec, Leaf) and not spec.is_frozen:
        out.append(e.value_of_type(value, spec.type, f"argument `{place}` of the trace"))
        return
    wanted = spec.value if isinstance(spec, Static) else getattr(spec, "frozen", None)
    found = value.value if isinstance(value, Constant) else getattr(value, "object", e)
    if e.type_of(value) == T.NONE:
        found = None
    if found is not wanted and not (type(found) is type(wanted) and found == wanted):
        e.fail_type(
            f"argument `{place}` of the trace was {wanted!r}, which a recording keeps",
            help="pass an equal constant, or script the function",
        )
    if isinstance(spec, Leaf):
        out.append(e.value_of_type(value, spec.type, f"argument `{place}` of the trace"))


def _item(e: Emitter, spec: Container, value: Sugared, key: Any, place: str) -> Sugared:
    cls, t = spec.python_class, e.type_of(value)
    if isinstance(t, T.NamedTupleType):
        fits = t.python_class is cls
    elif isinstance(value, TupleDisplay) or isinstance(t, (T.TupleType, T.VarTupleType)):
        fits = cls is tuple
    elif isinstance(value, ListDisplay) or isinstance(t, T.ListType):
        fits = cls is list
    else:
        is_dict = isinstance(value, DictDisplay) or isinstance(t, T.DictType)
        fits = is_dict and issubclass(cls, dict)
    if not fits:
        e.fail_type(f"argument `{place}` of the trace was a {cls.__name__}, not {value.describe()}")
    if key == spec.keys[0]:
        _require_length(e, value, len(spec.keys), place)
    if isinstance(value, DictDisplay):
        for known, held in zip(value.keys, value.values, strict=True):
            if isinstance(known, Constant) and known.value == key:
                return held
        e.fail_type(f"argument `{place}` of the trace has no key {key!r} here")
    if isinstance(value, (TupleDisplay, ListDisplay)):
        item: Sugared = value.items[key]
        return item
    return e.subscript(value, Constant(key))


def _require_length(e: Emitter, value: Sugared, count: int, place: str) -> None:
    message = f"argument {place}: {count} items were traced, got another number"
    length = e.unit.length(e, value)
    if isinstance(length, Constant):
        if length.value != count:
            e.fail_type(message)
        return
    differs = e.builder.op("int::ne", e.value(length), e.int_constant(count))
    branch(e, differs, lambda: e.raise_error(TypeError, message), lambda: None)


def nested_result(e: Emitter, tree: OutputTree, output: Value, site: Hashable) -> Sugared:
    """What a recording returns, made of the leaves that its graph gives.

    ``site`` is the call, which the lists and dicts are made by.
    """
    if tree.count == 1:
        leaves = [output]
    else:
        leaves = [e.builder.tuple_index(output, i) for i in range(tree.count)]
    return _build(e, tree.spec, iter(leaves), (site,))


def _build(e: Emitter, spec: Spec, leaves: Iterator[Value], site: tuple[Hashable, ...]) -> Sugared:
    if isinstance(spec, Leaf):
        return e.lift(next(leaves))
    if isinstance(spec, Static):
        return e.unit.wrap(e, spec.value, "the result of a recording")
    assert isinstance(spec, Container), spec
    items: Sequence[Sugared] = [
        _build(e, item, leaves, (*site, key))
        for key, item in zip(spec.keys, spec.items, strict=True)
    ]
    cls = spec.python_class
    if cls is tuple:
        return TupleDisplay(tuple(items))
    if cls is list:
        return ListDisplay(tuple(items), site=site)
    if cls is dict:
        keys = tuple(Constant(k) for k in spec.keys)
        return DictDisplay(keys, tuple(items), site=site)
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return e.call(PythonObject(cls), Arguments(list(items), {}))
    e.not_built(f"a recording that returns a {cls.__name__} is")


__all__ = ["flat_inputs", "nested_result"]
