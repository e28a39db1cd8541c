"""Nested inputs and outputs of a traced function, as trees over flat leaves.

A tree is described by a spec: how a container is built from its items.  Flattening a call's
arguments by the spec of the traced call checks that the structure is the same, and names the place
where it is not::

    trace(fn, ({"a": x, "b": [y, z]},))      leaves  d_a, d_b_0, d_b_1
    traced({"a": x})                         ArgumentError: d: keys 'a', 'b' were traced, ...
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import re
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils import _pytree as torch_trees

from scriptmode.frontend.trace.guards import Guard, check_guards
from scriptmode.ir import types as T
from scriptmode.support.diagnostics import ArgumentError, Diagnostic, TraceError

LEAF_TYPES: Mapping[type, T.Type] = {
    bool: T.BOOL, int: T.INT, float: T.FLOAT, complex: T.COMPLEX, str: T.STR,
}  # fmt: skip


def leaf_type(value: Any) -> T.Type | None:
    """The IR type of a leaf; None when ``value`` is not one."""
    if isinstance(value, torch.Tensor):
        return T.TENSOR
    if isinstance(value, enum.Enum):
        return None
    for python_class, t in LEAF_TYPES.items():
        if isinstance(value, python_class):
            return t
    return None


class Spec:
    """How one value is made of leaves."""

    def leaves(self) -> Iterator[Leaf]:
        """All leaves in order."""
        yield from ()

    def flatten(self, value: Any, place: str, out: list[Any]) -> None:
        """Append the leaves of ``value``, which must have this structure, to ``out``."""
        raise NotImplementedError

    def build(self, leaves: Iterator[Any]) -> Any:
        """The value made of the next leaves."""
        raise NotImplementedError


@dataclass(frozen=True)
class Leaf(Spec):
    """One flat parameter or result; ``name`` is that of the graph's parameter.

    Control flow on ``frozen`` values (bool, str) cannot be followed, so a call must pass an equal
    one again.
    """

    type: T.Type
    name: str = ""
    is_frozen: bool = False
    frozen: Any = None

    def leaves(self) -> Iterator[Leaf]:
        yield self

    def flatten(self, value: Any, place: str, out: list[Any]) -> None:
        found = leaf_type(value)
        if found != self.type and not (found == T.INT and self.type == T.FLOAT):
            raise _different(place, f"a value of type {self.type} was traced, got {_kind(value)}")
        if self.is_frozen and value != self.frozen:
            raise _different(
                place,
                f"{self.frozen!r} was traced, got {value!r}",
                "a trace follows one value of a bool or str; use script, or trace again",
            )
        out.append(float(value) if self.type == T.FLOAT else value)

    def build(self, leaves: Iterator[Any]) -> Any:
        return next(leaves)


@dataclass(frozen=True)
class Static(Spec):
    """A value that is part of the structure: None, a dtype, an enum member, ..."""

    value: Any

    def flatten(self, value: Any, place: str, out: list[Any]) -> None:
        if value is self.value:
            return
        same = type(value) is type(self.value) and value == self.value
        if not (isinstance(same, bool) and same):
            raise _different(place, f"{self.value!r} was traced, got {_kind(value)} {value!r:.60}")

    def build(self, leaves: Iterator[Any]) -> Any:
        return self.value


@dataclass(frozen=True)
class Container(Spec):
    """A container: the names of its items, their specs and how to take and make one.

    ``style`` and ``factory`` say how, for ``container_of``; a class that is registered with
    ``torch.utils._pytree`` has none.
    """

    python_class: type
    keys: tuple[Any, ...]
    items: tuple[Spec, ...]
    take: Callable[[Any], tuple[tuple[Any, ...], Sequence[Any]]]
    make: Callable[[Sequence[Any]], Any]
    style: str = ""
    factory: Any = None

    def leaves(self) -> Iterator[Leaf]:
        for item in self.items:
            yield from item.leaves()

    def flatten(self, value: Any, place: str, out: list[Any]) -> None:
        if type(value) is not self.python_class:
            want = self.python_class.__name__
            raise _different(place, f"a {want} was traced, got {_kind(value)}")
        keys, values = self.take(value)
        if isinstance(value, dict) and set(keys) == set(self.keys) and len(keys) == len(self.keys):
            keys, values = self.keys, [value[k] for k in self.keys]
        if keys != self.keys:
            raise _different(place, _key_difference(self.keys, keys))
        for key, item, spec in zip(keys, values, self.items, strict=True):
            spec.flatten(item, _subplace(place, key), out)

    def build(self, leaves: Iterator[Any]) -> Any:
        return self.make([item.build(leaves) for item in self.items])


def _kind(value: Any) -> str:
    return "None" if value is None else type(value).__name__


def _key_difference(traced: tuple[Any, ...], got: tuple[Any, ...]) -> str:
    if all(isinstance(k, int) for k in (*traced, *got)):
        return f"{len(traced)} items were traced, got {len(got)}"
    listed = [", ".join(map(repr, keys)) or "none" for keys in (traced, got)]
    return f"keys {listed[0]} were traced, got {listed[1]}"


def _subplace(place: str, key: Any) -> str:
    return f"{place}[{key!r}]"


def _different(place: str, what: str, help: str = "") -> ArgumentError:
    help = help or "pass the structure that was traced, or trace again"
    return ArgumentError(Diagnostic("SM0601", f"argument {place}: {what}", help=help))


def _sequence(value: Any) -> tuple[tuple[Any, ...], Sequence[Any]]:
    return tuple(range(len(value))), value


def _mapping(value: Any) -> tuple[tuple[Any, ...], Sequence[Any]]:
    return tuple(value), list(value.values())


def _fields(value: Any) -> tuple[tuple[Any, ...], Sequence[Any]]:
    names = tuple(f.name for f in dataclasses.fields(value))
    return names, [getattr(value, n) for n in names]


def _make_dataclass(python_class: type, names: Sequence[str]) -> Callable[[Sequence[Any]], Any]:
    def make(values: Sequence[Any]) -> Any:
        instance: Any = object.__new__(python_class)
        for name, value in zip(names, values, strict=True):
            object.__setattr__(instance, name, value)
        return instance

    return make


def take_apart(value: Any) -> Container | None:
    """The container description of ``value``, its ``items`` left empty; None for other values."""
    cls = type(value)
    if isinstance(value, (torch.Tensor, str, enum.Enum)) or value is None:
        return None
    if cls in (list, tuple, torch.Size):
        return container_of("sequence", cls, _sequence(value)[0])
    if isinstance(value, tuple) and hasattr(cls, "_fields"):
        return container_of("named", cls, _sequence(value)[0])
    if isinstance(value, tuple) and cls.__module__ == "torch.return_types":
        return container_of("sequence", cls, _sequence(value)[0])
    if cls in (dict, OrderedDict):
        return container_of("mapping", cls, tuple(value))
    if cls is defaultdict:
        return container_of("default", cls, tuple(value), value.default_factory)
    return _take_registered(value)


def container_of(
    style: str, cls: type, keys: tuple[Any, ...], factory: Any = None, items: Sequence[Spec] = ()
) -> Container:
    """The description of a container of a class by the way in which it is made; KeyError if none.

    An ``output`` is a dict and a dataclass, as the results of ``transformers`` are.
    """
    takes: Mapping[str, Callable[[Any], tuple[tuple[Any, ...], Sequence[Any]]]] = {
        "sequence": _sequence, "named": _sequence, "mapping": _mapping, "default": _mapping,
        "output": _mapping, "dataclass": _fields,
    }  # fmt: skip
    makes: Mapping[str, Callable[[Sequence[Any]], Any]] = {
        "sequence": cls,
        "named": lambda v: tuple.__new__(cls, v),
        "mapping": lambda v: cls(zip(keys, v, strict=True)),
        "default": lambda v: defaultdict(factory, zip(keys, v, strict=True)),
        "output": lambda v: cls(**dict(zip(keys, v, strict=True))),
        "dataclass": _make_dataclass(cls, keys),
    }
    return Container(cls, keys, tuple(items), takes[style], makes[style], style, factory)


def _take_registered(value: Any) -> Container | None:
    cls = type(value)
    is_output = isinstance(value, dict) and dataclasses.is_dataclass(value)
    node = torch_trees.SUPPORTED_NODES.get(cls)
    if node is not None:
        items, context = node.flatten_fn(value)
        keys = _mapping(value)[0] if isinstance(value, dict) else tuple(range(len(items)))

        def take(other: Any) -> tuple[tuple[Any, ...], Sequence[Any]]:
            found = node.flatten_fn(other)[0]
            return (
                _mapping(other)[0] if isinstance(other, dict) else tuple(range(len(found)))
            ), found

        style = "output" if is_output else ""
        return Container(cls, keys, (), take, lambda v: node.unflatten_fn(v, context), style)
    if is_output:
        return container_of("output", cls, tuple(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return container_of("dataclass", cls, _fields(value)[0])
    return None


def _identifier(key: Any) -> str:
    text = re.sub(r"\W", "_", str(key))
    return text or "_"


STATIC_TYPES = (
    torch.dtype, torch.device, torch.layout, torch.memory_format, enum.Enum, type(None), slice,
    type(Ellipsis), torch.Generator, type,
)  # fmt: skip


class InputBuilder:
    """Makes the specs of a call's arguments and collects the leaves."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.leaves: list[Leaf] = []
        self._names: set[str] = {"self"}

    def spec(self, value: Any, name: str, place: str) -> Spec:
        """The spec of ``value``; its leaves are named after ``name``."""
        t = leaf_type(value)
        if t is not None:
            is_frozen = t in (T.BOOL, T.STR, T.COMPLEX)
            leaf = Leaf(t, self._unique(name), is_frozen, value if is_frozen else None)
            self.values.append(value)
            self.leaves.append(leaf)
            return leaf
        container = take_apart(value)
        if container is not None:
            keys, values = container.take(value)
            items = [
                self.spec(v, f"{name}_{_identifier(k)}", _subplace(place, k))
                for k, v in zip(keys, values, strict=True)
            ]
            return dataclasses.replace(container, items=tuple(items))
        if isinstance(value, STATIC_TYPES) or callable(value):
            return Static(value)
        raise TraceError(
            Diagnostic(
                "SM0602",
                f"argument {place}: a {type(value).__name__} cannot be an input of a trace",
                help="pass tensors, numbers, bool, str, None, and lists, tuples, dicts of them",
            )
        )

    def _unique(self, name: str) -> str:
        candidate, number = name, 0
        while candidate in self._names:
            number += 1
            candidate = f"{name}_{number}"
        self._names.add(candidate)
        return candidate


@dataclass(frozen=True)
class InputTree:
    """Parameters of a traced function: signature, specs by parameter, flat leaves.

    ``positional`` is the number of leading arguments that a call may pass by position.
    """

    signature: inspect.Signature | None
    specs: Mapping[str, Spec]
    leaves: tuple[Leaf, ...]
    guards: tuple[Guard, ...] = ()
    facts: tuple[Any, ...] = ()  # of the traced tensors, for the guards

    @property
    def is_flat(self) -> bool:
        """Whether every parameter is a single leaf, so that no flattening is needed."""
        return all(isinstance(s, Leaf) for s in self.specs.values())

    def flatten(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
        """The flat leaves of a call; ArgumentError when it differs from the traced one."""
        given = bind_arguments(self.signature, args, kwargs, ArgumentError)
        for name in self.specs:
            if name not in given:
                raise _different(name, "was passed when traced, and is missing")
        out: list[Any] = []
        for name, value in given.items():
            spec = self.specs.get(name)
            if spec is None:
                raise _different(name, "was left at its default when traced")
            spec.flatten(value, name, out)
        check_guards(self.guards, [leaf.name for leaf in self.leaves], self.facts, out)
        return out


def example_arguments(example: Any) -> tuple[Any, ...]:
    """The arguments of an example call: a tuple or list of them, or a single one."""
    return tuple(example) if type(example) in (tuple, list) else (example,)


def bind_arguments(
    signature: inspect.Signature | None,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    error: type[ArgumentError | TraceError],
) -> dict[str, Any]:
    """Arguments by parameter name; ``*args`` become ``args_0``.., ``**kwargs`` their own names."""
    if signature is None:
        return {f"arg_{i}": a for i, a in enumerate(args)} | dict(kwargs)
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as mismatch:
        raise error(Diagnostic("SM0603", str(mismatch))) from None
    given: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            given |= {f"{name}_{i}": v for i, v in enumerate(value)}
        elif kind is inspect.Parameter.VAR_KEYWORD:
            given |= value
        else:
            given[name] = value
    return given


def signature_of(function: Callable[..., Any]) -> inspect.Signature | None:
    """The signature, with annotations left alone; None where Python knows none."""
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


@dataclass(frozen=True)
class OutputTree:
    """What a traced function returns: a spec over ``count`` flat results.

    The graph returns the value itself when there is one leaf, else a tuple of the leaves.
    """

    spec: Spec
    count: int

    @property
    def is_plain(self) -> bool:
        """Whether the graph's result is the Python result as it stands."""
        if isinstance(self.spec, Leaf):
            return True
        return (
            self.count > 1
            and isinstance(self.spec, Container)
            and self.spec.python_class is tuple
            and all(isinstance(i, Leaf) for i in self.spec.items)
        )

    def unflatten(self, result: Any) -> Any:
        """The Python result made of what the graph returned."""
        leaves = [result] if self.count == 1 else list(result) if self.count else []
        return self.spec.build(iter(leaves))
