"""What specialised code may rely on: facts of a call's tensors and of the module's attributes.

A ``Subject`` is a function with its calls inlined, and the places that it reads: tensors among its
arguments (inside tuples and lists too), tensors of modules, and plain attributes of modules such as
``training``.  ``arguments(values)`` and ``everything(values)`` tell what is there now, by place::

    Argument 'x'              TensorFact(float32, (3, 4), (4, 1))
    Argument 'mask'           Nothing()                  None was given
    Argument 'steps'          Length(2)                  a list; elements are places of their own
    Attribute 'self.weight'   TensorFact(...)
    Attribute 'self.training' Scalar(False)

Places of which nothing is known, such as a sparse tensor, are left out.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from scriptmode.analysis.alias import written_values
from scriptmode.analysis.facts import TensorFact
from scriptmode.analysis.local_lists import TENSORS
from scriptmode.analysis.shapes import is_only_read
from scriptmode.codegen.guards import MOST_DIMS
from scriptmode.ir import types as T
from scriptmode.ir.graph import Graph, Node, Program, Value, ancestors, callees, copy_graph
from scriptmode.ops import table
from scriptmode.passes.inline import inline_calls
from scriptmode.runtime.instance import NativeInstance, TensorRow
from scriptmode.runtime.versions import instances_of, tensors_read

MOST_NODES = 20_000  # of a function, with its calls inlined
MOST_LISTED = 512  # elements of a list whose facts are looked at


@dataclass(frozen=True)
class Argument:
    """A parameter by its number in the graph, or an element of the tuple or list that it is."""

    number: int
    path: tuple[int, ...]
    name: str

    def __str__(self) -> str:
        return self.name + "".join(f"[{i}]" for i in self.path)


@dataclass(frozen=True)
class Attribute:
    """An attribute of a module, from ``self`` (base "") or from a captured module."""

    base: str
    path: tuple[str, ...]
    name: str

    def __str__(self) -> str:
        return ".".join([self.base or "self", *self.path, self.name])


@dataclass(frozen=True)
class Nothing:
    """None was there."""

    def __str__(self) -> str:
        return "None"


@dataclass(frozen=True)
class Length:
    """A list of so many elements."""

    count: int

    def __str__(self) -> str:
        return f"a list of {self.count}"


@dataclass(frozen=True)
class Scalar:
    """A bool, int, float or str; equal only to one of the same type and text."""

    type: type
    text: str
    value: Any = field(compare=False)

    def __str__(self) -> str:
        return self.text


Place = Argument | Attribute
Fact = TensorFact | Nothing | Scalar | Length
Seen = Mapping[Place, Fact]

_SCALARS = (T.BOOL, T.INT, T.FLOAT, T.STR, T.NONE)
_FITS = table.find("tensor::fits")
assert _FITS is not None


def fact_of(value: Any) -> TensorFact | None:
    """What guards can hold a tensor to; None where they cannot."""
    if not isinstance(value, torch.Tensor) or type(value) not in _PLAIN:
        return None
    if value.layout != torch.strided or value.dim() > MOST_DIMS:
        return None
    found = TensorFact(value.dtype, tuple(value.shape), tuple(value.stride()))
    assert _FITS is not None
    # whether gradients are needed is another question
    fits = _FITS.meaning(value, found.dtype, found.shape, found.strides, False)
    return found if fits else None


_PLAIN = (torch.Tensor, torch.nn.Parameter)


class Subject:
    """A function that may be specialised, or the ``reason`` why not."""

    def __init__(
        self,
        program: Program,
        function: str,
        instance: NativeInstance | None,
        entry: Callable[..., Any],
    ) -> None:
        self.program, self.function = program, function
        self.instance, self.entry = instance, entry
        own = program.functions[function]
        self.first = 0 if instance is None else 1  # the parameter that a call gives first
        self._arguments = list(self._find_arguments(own))

    @functools.cached_property
    def graph(self) -> Graph:
        """The function with its calls inlined."""
        graph = copy_graph(self.program.functions[self.function])
        inline_calls(graph, self.program, MOST_NODES, MOST_NODES, self._may_inline)
        return graph

    def _may_inline(self, call: Node) -> bool:
        """A function that brings back the grad mode does so before its error is caught."""
        callee = self.program.functions[call.attributes["callee"]]
        is_caught = any(b.owner is not None and b.owner.kind == "prim::Try"
                        for b in ancestors(call.block))  # fmt: skip
        return not (is_caught and callee.find_all("torch::guard_grad_mode"))

    @functools.cached_property
    def instances(self) -> Mapping[int, NativeInstance]:
        """The native instances that the entry reaches, by the id of the Python module."""
        return instances_of(self.entry, self.instance)

    @functools.cached_property
    def tensor_reads(self) -> frozenset[tuple[str, str]]:
        """The tensors of modules that a call reads, by names of class and attribute."""
        return frozenset(tensors_read(self.entry))

    @functools.cached_property
    def reason(self) -> str:
        """Why the function is not specialised; "" when it can be."""
        for graph in self._reached():
            for node in graph.walk():
                reason = _obstacle(node)
                if reason:
                    return f"{reason} (line {node.span.line})" if node.span.line else reason
        if sum(1 for _ in self.graph.walk()) > MOST_NODES:
            return "it is too large"
        return ""

    def prepare(self) -> None:
        """Find out what does not depend on calls, so that ``everything`` is quick."""
        for name in (
            "graph",
            "instances",
            "tensor_reads",
            "may_enable_grad",
            "attributes",
            "_lists",
        ):
            getattr(self, name)

    def _reached(self) -> list[Graph]:
        """The inlined function, what it calls still, and what containers call of their elements."""
        functions = self.program.functions
        found = {name: functions[name] for name in callees(self.graph)}
        for t in self.program.classes.values():
            if not t.is_module:
                found.update((name, functions[name]) for name in t.methods.values())
        pending = list(found.values())
        while pending:
            for name in callees(pending.pop()):
                if name not in found:
                    found[name] = functions[name]
                    pending.append(functions[name])
        return [self.graph, *found.values()]

    @functools.cached_property
    def may_enable_grad(self) -> bool:
        """Whether the function may switch on the recording of gradients by itself."""
        return any(
            _enables_grad(node)
            for graph in self._reached()
            for node in graph.find_all("torch::set_grad_enabled")
        )

    @functools.cached_property
    def attributes(self) -> list[Attribute]:
        """The attributes of modules that the function reads and nobody writes meanwhile."""
        return list(dict.fromkeys(place for place, _ in attribute_reads(self.graph, self)))

    @functools.cached_property
    def written(self) -> frozenset[str]:
        """Names of attributes that some function of the program assigns or deletes."""
        return frozenset(
            node.attributes["name"]
            for graph in self.program.functions.values()
            for node in graph.walk()
            if node.kind in ("prim::SetAttr", "prim::DelAttr")
        )

    # ---- places

    def _find_arguments(self, graph: Graph) -> Iterator[Argument]:
        for number, param in enumerate(graph.params):
            if number >= self.first:
                is_optional = isinstance(param.type, T.OptionalType)
                for path in [()] if is_optional else _tensor_paths(param.type):
                    yield Argument(number, path, param.name)

    def owner(self, place: Attribute) -> NativeInstance | None:
        """The native instance of the module that has an attribute."""
        found: NativeInstance | None
        if place.base:
            found = self.instances.get(id(self.program.globals[place.base]))
        else:
            found = self.instance
        for name in place.path:
            found = found.child(name) if found is not None else None
        return found

    # ---- what is there

    def value_of(self, place: Place, values: Sequence[Any]) -> Any:
        """What is at a place, for a call with ``values``."""
        if isinstance(place, Argument):
            found = values[place.number - self.first]
            for index in place.path:
                found = found[index] if isinstance(found, (tuple, list)) else None
            return found
        owner = self.owner(place)
        assert owner is not None, "places that are read have an owner"
        number = owner.table_indexes.get(place.name)
        if number is not None:
            row = TensorRow(owner, place.name, number)
            return row.place.get(row.name)
        return owner.get(place.name)

    def arguments(self, values: Sequence[Any]) -> dict[Place, Fact]:
        """The facts of a call's arguments."""
        return self._facts(self._arguments, values) | self._listed(values)

    def everything(self, values: Sequence[Any]) -> dict[Place, Fact]:
        """Those of the attributes too."""
        return self._facts([*self._arguments, *self.attributes], values) | self._listed(values)

    @functools.cached_property
    def _lists(self) -> list[Argument]:
        """The parameters that are lists of tensors which nothing changes."""
        own = self.program.functions[self.function].params[self.first :]
        if not any(param.type == TENSORS for param in own) or not _keeps_lists(self.graph):
            return []
        return [
            Argument(number, (), param.name)
            for number, param in enumerate(self.graph.params)
            if number >= self.first and param.type == TENSORS and is_only_read(param)
        ]

    def _listed(self, values: Sequence[Any]) -> dict[Place, Fact]:
        """The lengths of lists, and the facts of all of their elements."""
        found: dict[Place, Fact] = {}
        for place in self._lists:
            value = self.value_of(place, values)
            if type(value) is not list or len(value) > MOST_LISTED:
                continue
            facts = [fact_of(element) for element in value]
            known = [fact for fact in facts if fact is not None]
            if len(known) == len(facts):
                found[place] = Length(len(known))
                for index, fact in enumerate(known):
                    found[Argument(place.number, (index,), place.name)] = fact
        return found

    def _facts(self, places: Sequence[Place], values: Sequence[Any]) -> dict[Place, Fact]:
        found: dict[Place, Fact] = {}
        for place in places:
            value = self.value_of(place, values)
            fact: Fact | None
            if value is None:
                fact = Nothing() if self._may_be_none(place) else None
            elif isinstance(value, torch.Tensor):
                fact = fact_of(value)
            else:
                fact = _scalar_fact(place, value)
            if fact is not None:
                found[place] = fact
        return found

    def _may_be_none(self, place: Place) -> bool:
        """Whether None is of the place's type: a call need not fit, nor a module be as it was."""
        if isinstance(place, Argument):
            t = self.graph.params[place.number].type
            return isinstance(t, T.OptionalType) and not place.path
        owner = self.owner(place)
        assert owner is not None, "places that are read have an owner"
        t = owner.class_type.attributes[place.name]
        return t == T.NONE or isinstance(t, T.OptionalType)

    def needs_grad(self, values: Sequence[Any]) -> bool:
        """Whether a tensor at some place needs a gradient while they are recorded."""
        places: list[Place] = [*self._arguments, *self.attributes]
        found = [self.value_of(place, values) for place in places]
        for place in self._lists:
            elements = self.value_of(place, values)
            found += elements if type(elements) is list else []
        return any(isinstance(value, torch.Tensor) and value.requires_grad for value in found)


def _scalar_fact(place: Place, value: Any) -> Fact | None:
    """Numbers among arguments are not compared, nor is what equals others or nothing."""
    if isinstance(place, Argument) or type(value) not in (bool, int, float, str):
        return None
    if isinstance(value, float) and (value == 0 or value != value):
        return None
    return Scalar(type(value), repr(value), value)


def _keeps_lists(graph: Graph) -> bool:
    """Whether no list of tensors is changed that the function has not made itself."""
    for node in graph.walk():
        for value in [] if node.is_terminator else written_values(node):
            if value is None:
                return False
            is_own = value.node is not None and value.node.kind == "prim::ListConstruct"
            if value.type != T.TENSOR and T.TENSOR in T.walk(value.type) and not is_own:
                return False
    return True


def _tensor_paths(t: T.Type) -> Iterator[tuple[int, ...]]:
    if t == T.TENSOR:
        yield ()
    elif isinstance(t, T.TupleType):
        for index, element in enumerate(t.elements):
            for path in _tensor_paths(element):
                yield (index, *path)


# ---- what is read


def attribute_reads(graph: Graph, subject: Subject) -> Iterator[tuple[Attribute, Node]]:
    """The reads of attributes that can be guarded, in a copy of the subject's graph."""
    modules: dict[Value, Attribute] = {}  # a module, as if it were an attribute called ""
    if subject.instance is not None:
        modules[graph.params[0]] = Attribute("", (), "")
    for node in list(graph.walk()):
        if node.kind == "prim::Global" and _is_module(node.output):
            modules[node.output] = Attribute(node.attributes["name"], (), "")
        if node.kind != "prim::GetAttr" or node.inputs[0] not in modules:
            continue
        owner, name = modules[node.inputs[0]], node.attributes["name"]
        if _is_module(node.output):
            modules[node.output] = Attribute(owner.base, (*owner.path, name), "")
            continue
        place = Attribute(owner.base, owner.path, name)
        if _is_guarded(node, subject) and subject.owner(place) is not None:
            yield place, node


def _is_module(value: Value) -> bool:
    return isinstance(value.type, T.ClassType) and value.type.is_module


def _is_guarded(node: Node, subject: Subject) -> bool:
    owner, name = node.inputs[0].type, node.attributes["name"]
    assert isinstance(owner, T.ClassType)
    t = owner.attributes[name]
    if name in subject.written or name in owner.late or node.output.type != t:
        return False
    if t == T.TENSOR:
        return (owner.name, name) in subject.tensor_reads
    return T.unwrap_optional(t) in _SCALARS


# ---- what cannot be specialised

# ops that change what a tensor is, not only what it holds; so does any op with `out`
_RESHAPING = frozenset(
    "aten::" + name
    for name in (
        "resize_", "resize_as_", "resize_as_sparse_", "sparse_resize_", "_resize_output_",
        "sparse_resize_and_clear_", "set_", "set_data", "t_", "transpose_", "swapaxes_",
        "swapdims_", "squeeze_", "unsqueeze_", "as_strided_", "detach_", "requires_grad_",
    )
)  # fmt: skip


def _obstacle(node: Node) -> str:
    """Why a node keeps a function from being specialised; "" when it does not."""
    kind, _, overload = node.kind.partition(".")
    if kind == "prim::python_call":
        return "it calls Python, which may change what was seen"
    is_foreign = node.schema is not None and table.find(node.kind) is None
    writes = is_foreign and node.schema is not None and node.schema.is_mutable
    if kind in _RESHAPING or (writes and ("out" in overload or not kind.startswith("aten::"))):
        return f"{kind} changes what a tensor is"
    if kind.startswith(("torch::set_autocast", "torch::enter_inference_mode")):
        return "it switches autocast or inference mode"
    if kind == "prim::Global" and not _is_module(node.output):
        return "it uses captured objects by reference"
    return ""


def _enables_grad(node: Node) -> bool:
    """Whether the recording of gradients may be on behind a node where it was off before."""
    (mode,) = node.inputs
    if mode.is_constant:
        return bool(mode.constant)
    return mode.node is None or mode.node.kind != "torch::is_grad_enabled"
