"""Forward mode: beside each tensor that depends on what is differentiated by, its tangent.

::

    graph f(%x: Tensor, %w: Tensor):          graph f(%x: Tensor, %w: Tensor, %dx: Tensor):
      %y: Tensor = aten::mul.Tensor(%x, %w)     %y: Tensor = aten::mul.Tensor(%x, %w)
      %z: Tensor = aten::tanh(%y)    becomes    %dy: Tensor = aten::mul.Tensor(%dx, %w)
      return (%z)                               %z: Tensor = aten::tanh(%y)
                                                %dz: Tensor = aten::tanh_backward(%dy, %z)
                                                ...                              (both)

Branches yield tangents, loops carry them, recursive functions take and give them.  What stands in
containers has its tangent in the cell beside it (see dual).  A tangent has the shape and dtype of
its tensor, is there wherever the tensor may depend on an input (zeros where it does not), and is
never written: a tensor that is written in place has a tangent for each version (see mutation).  The
tangent of a tensor of integers, whose dtype only a run knows, is zeros.

The graph is that of ``prepare``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from scriptmode.autodiff.activity import Activity, is_taped
from scriptmode.autodiff.dual import (
    CELL,
    DUAL,
    DUALS,
    MAYBE,
    PAIRED,
    TANGENTS,
    TENSORS,
    TO_DUALS,
    TO_TENSORS,
    UNPAIRED,
    has_cells,
)
from scriptmode.autodiff.helpers import filled_graph
from scriptmode.autodiff.mutation import WRITTEN, Versions, is_write
from scriptmode.autodiff.paths import Key, Path
from scriptmode.autodiff.problems import NotDifferentiable
from scriptmode.autodiff.pushed import pushed
from scriptmode.autodiff.recursion import Called
from scriptmode.autodiff.rule import (
    FORM,
    Operand,
    compiled,
    is_linear,
    may_give_whole_numbers,
    not_in_place,
)
from scriptmode.autodiff.rules.common import conj, spread
from scriptmode.autodiff.structures import is_flat, is_structural
from scriptmode.autodiff.tangent_rule import Tangent, tangents_of
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import UNREACHABLE, Block, Graph, Node, Value, copy_node
from scriptmode.ops.aten import schema_of

_LISTS = (TENSORS, T.VarTupleType([T.TENSOR]))
_NO_FORM = T.optional_of(T.TupleType([T.SIZE, T.DTYPE]))


def zeros(x: Tensor) -> Tensor:
    """The tangent of what depends on nothing."""
    return torch.zeros_like(x)


def zeros_maybe(x: Tensor | None) -> Tensor | None:
    """The same of what may be missing."""
    return None if x is None else torch.zeros_like(x)


def zeros_list(tensors: list[Tensor]) -> list[Tensor]:
    """The same of each."""
    return [torch.zeros_like(x) for x in tensors]


def like(tangent: Tensor, x: Tensor) -> Tensor:
    """A tangent in the form of its tensor; one of integers has none."""
    if not (x.dtype.is_floating_point or x.dtype.is_complex):
        return torch.zeros_like(x)
    return spread(tangent, x.shape, x.dtype)


_ZEROS: dict[T.Type, Callable[..., Any]] = {
    T.TENSOR: zeros, MAYBE: zeros_maybe, TENSORS: zeros_list,
}  # fmt: skip


def tangent_type(t: T.Type, path: Path) -> T.Type:
    """The type of the tangent at a path of a value: Optional where the tensor may be missing."""
    if t in _LISTS:
        return TENSORS
    is_optional = isinstance(t, T.OptionalType)
    for index in path:
        t = T.unwrap_optional(t)
        assert isinstance(t, T.TupleType)
        t = t.elements[index]
        is_optional = is_optional or isinstance(t, T.OptionalType)
    return TENSORS if t in _LISTS else MAYBE if is_optional else T.TENSOR


def forward_name(name: str) -> str:
    """What the form of a recursive function with tangents is called."""
    return f"{name}.forward"


class Forward:
    """Adds the tangents to one graph."""

    def __init__(
        self, graph: Graph, roots: Sequence[Key], versions: Versions,
        functions: Mapping[str, Called],
    ) -> None:  # fmt: skip
        self.graph, self.versions, self.functions = graph, versions, functions
        self.activity = Activity(graph, roots)
        self.of: dict[Key, Value] = {}
        self.structures: dict[Value, Value] = {}  # by flat list of a parameter: that of tangents
        self.builder = Builder(graph.block, schema_of)

    def run(self) -> None:
        """Add them; the tangents of the roots are in ``of`` and ``structures``."""
        self._block(self.graph.block)

    def end(self) -> None:
        """Take the versions out again."""
        for node in self.versions.views:
            node.replace_with(node.inputs[0])

    @contextmanager
    def before(self, anchor: Node) -> Iterator[Builder]:
        """A builder whose nodes stand before ``anchor`` in the end."""
        outer, self.builder = self.builder, Builder(Block(None), schema_of)
        self.builder.span = anchor.span
        yield self.builder
        made, self.builder = self.builder, outer
        for node in list(made.block.nodes):
            node.detach()
            node.insert_before(anchor)

    def after(self, node: Node) -> Any:
        """The same behind a node."""
        following = node.next
        assert following is not None
        return self.before(following)

    def splice(self, body: Graph, inputs: Sequence[Value]) -> Value:
        """Copy a function's body to where the builder is; its result."""
        mapping = dict(zip(body.params, inputs, strict=True))
        for node in body.nodes:
            self.builder.block.append(copy_node(node, mapping))
        (result,) = body.block.returns
        return mapping.get(result, result)

    def apply(self, function: Callable[..., Any], *inputs: Value) -> Value:
        """``splice`` of a function of the script language."""
        return self.splice(compiled(function, tuple(v.type for v in inputs)), inputs)

    # ---- tangents

    def paths(self, value: Value) -> list[Path]:
        """Where in a value tensors have tangents; () for a list of tensors."""
        is_list = value.type in _LISTS and self.activity.is_active(value)
        return [*self.activity.paths(value), *([()] if is_list else [])]

    def tangent(self, value: Value, path: Path = ()) -> Value:
        """A tangent; zeros, made here, of what depends on nothing."""
        found = self.of.get((value, path))
        return found if found is not None else self._zero(value, path)

    def _zero(self, value: Value, path: Path) -> Value:
        for index in path:
            if not isinstance(value.type, T.TupleType):
                raise NotDifferentiable(f"a value of type {value.type}", self.builder.span)
            value = self.builder.tuple_index(value, index)
        if value.type == T.NONE or (value.is_constant and value.constant is None):
            return self.builder.constant(None, MAYBE)
        if value.type == T.VarTupleType([T.TENSOR]):
            schema = schema_of("tuple::as_list")
            value = self.builder.node("tuple::as_list", [value], [TENSORS], schema=schema).output
        if value.type not in _ZEROS:
            raise NotDifferentiable(f"a value of type {value.type}", self.builder.span)
        return self.apply(_ZEROS[value.type], value)

    # ---- blocks

    def _block(self, block: Block) -> None:
        for node in list(block.nodes):
            self._node(node)

    def _node(self, node: Node) -> None:
        match node.kind:
            case "prim::If":
                self._if(node)
            case "prim::Loop":
                self._loop(node)
            case "prim::Call":
                self._call(node)
            case "prim::TupleConstruct" if node.output.type == DUAL:
                if self.activity.is_active(node.inputs[0]):
                    with self.before(node) as builder:
                        found = self.tangent(node.inputs[0])
                        builder.node("prim::CellSet", [node.inputs[1], found])
            case "prim::TupleIndex" if node.inputs[0].type == DUAL:
                self._load(node)
            case "prim::TupleConstruct":
                for index, value in enumerate(node.inputs):
                    for path in self.paths(value):
                        self.of[node.output, (index, *path)] = self.of[value, path]
            case "prim::TupleIndex":
                for path in self.paths(node.output):
                    whole = (node.attributes["index"], *path)
                    self.of[node.output, path] = self.of[node.inputs[0], whole]
            case "prim::unchecked_cast" | "prim::checked_cast":
                with self.after(node) as builder:
                    for path in self.paths(node.output):
                        found = self.of[node.inputs[0], path]
                        t = tangent_type(node.output.type, path)
                        self.of[node.output, path] = builder.cast(found, t)
            case "tuple::as_list" | "tuple::from_list":
                if self.paths(node.output):
                    self.of[node.output, ()] = self.of[node.inputs[0], ()]
            case "prim::ListConstruct":
                if self.activity.any_in(node.output):
                    self._list(node)
            case "list::getitem":
                if self.paths(node.inputs[0]):
                    with self.after(node) as builder:
                        found = self.of[node.inputs[0], ()]
                        item = builder.op("list::getitem", found, node.inputs[1])
                        self.of[node.output, ()] = item
            case _ if any(self.activity.any_in(o) for o in node.outputs):
                self._op(node)

    def _if(self, node: Node) -> None:
        for block in node.blocks:
            self._block(block)
        live = [b for b in node.blocks if b.terminator.kind != UNREACHABLE]
        for number, output in enumerate(list(node.outputs)):
            for path in self.paths(output):
                for block in live:
                    with self.before(block.terminator):
                        found = self.tangent(block.returns[number], path)
                    block.terminator.add_input(found)
                self.of[output, path] = node.add_output(tangent_type(output.type, path))

    def _loop(self, node: Node) -> None:
        body = node.blocks[0]
        carried = [
            (number, path)
            for number, param in enumerate(body.params[1:])
            for path in self.paths(param)
        ]
        params, outputs = list(body.params[1:]), list(node.outputs)
        with self.before(node):
            starts = [self.tangent(node.inputs[2 + number], path) for number, path in carried]
        for start, (number, path) in zip(starts, carried, strict=True):
            node.add_input(start)
            t = tangent_type(params[number].type, path)
            self.of[params[number], path] = body.add_param(t)
        self._block(body)
        ends = []
        with self.before(body.terminator):
            for number, path in carried:
                ends.append(self.tangent(body.returns[1 + number], path))
        for end, (number, path) in zip(ends, carried, strict=True):
            body.terminator.add_input(end)
            t = tangent_type(outputs[number].type, path)
            self.of[outputs[number], path] = node.add_output(t)

    # ---- containers

    def _load(self, node: Node) -> None:
        """A tensor was taken out of a container: its tangent is in the cell beside it."""
        if node.attributes["index"] != 0:
            return
        with self.after(node) as builder:
            cell = builder.node("prim::TupleIndex", node.inputs, [CELL], index=1).output
            found = builder.node("prim::CellRead", [cell], [MAYBE]).output
            self.of[node.output, ()] = self.splice(filled_graph(), [found, node.output])

    def _list(self, node: Node) -> None:
        if has_cells(node.output.type):
            return
        if node.output.type != TENSORS:
            raise NotDifferentiable(f"a value of type {node.output.type}", node.span)
        with self.after(node) as builder:
            parts = [self.tangent(value) for value in node.inputs]
            self.of[node.output, ()] = builder.list(parts, T.TENSOR)

    # ---- calls

    def _call(self, node: Node) -> None:
        callee = node.attributes["callee"]
        if callee == WRITTEN:
            if self.activity.is_active(node.output):
                self._written(node)
        elif is_taped(node):
            self._taped(node)
        elif is_structural(node):
            if is_flat(node.output) and node.output in self.structures:
                with self.after(node) as builder:
                    given = self.structures[node.output]
                    self.of[node.output, ()] = builder.call(callee, [given], TENSORS)
                return
            for path in self.activity.paths(node.output):
                self.of[node.output, path] = self.of[node.inputs[0], path]
        elif callee == TO_TENSORS:
            with self.after(node) as builder:
                self.of[node.output, ()] = builder.call(TANGENTS, node.inputs, TENSORS)
        elif callee == TO_DUALS:
            self._pair(node)
        elif is_linear(node):
            if self.activity.is_active(node.output):
                with self.after(node) as builder:
                    operands = [self.tangent(node.inputs[0]), *node.inputs[1:]]
                    self.of[node.output, ()] = builder.call(callee, operands, T.TENSOR)
        elif self.activity.any_in(node.output):
            raise NotDifferentiable(f"a call of {callee}", node.span)

    def _pair(self, node: Node) -> None:
        """A list of tensors becomes one of duals."""
        (value,) = node.inputs
        is_active = self.activity.any_in(value)
        inputs = [value, self.of[value, ()]] if is_active else [value]
        with self.before(node) as builder:
            duals = builder.call(PAIRED if is_active else UNPAIRED, inputs, DUALS)
        node.output.replace_all_uses_with(duals)
        node.erase()

    def _taped(self, node: Node) -> None:
        """A recursive function takes the tangents of its roots and gives those of its results."""
        function = self.functions[node.attributes["callee"]]
        plain = node.output.type.contained[0]
        active = self.activity.paths(node.output)
        values = dict(zip(function.graph.params, node.inputs, strict=False))
        with self.before(node):
            given = [self.tangent(values[param], path) for param, path in function.roots]
        for value in given:
            node.add_input(value)
        types = [tangent_type(plain, path) for path in function.results]
        node.output.type = T.TupleType([plain, T.TupleType(types)])
        node.attributes["callee"] = forward_name(function.source)
        with self.after(node) as builder:
            found = builder.tuple_index(node.output, 1)
            for number, path in enumerate(function.results):
                if (0, *path) in active:
                    self.of[node.output, (0, *path)] = builder.tuple_index(found, number)

    def _written(self, node: Node) -> None:
        """A view of a tensor was written: the tangent of the whole has that of the view there."""
        before, view = node.inputs
        with self.after(node) as builder:
            if self.activity.is_active(before):
                nothing = builder.constant(None)
                whole = builder.op("aten::clone", self.tangent(before), nothing)
            else:
                whole = self.apply(zeros, node.output)
            part = whole
            for step in self.versions.views[node]:
                inputs = [part, *step.inputs[1:]]
                part = builder.node(step.kind, inputs, [T.TENSOR], schema=step.schema).output
            if self.activity.is_active(view):
                false = builder.constant(False)
                builder.op_node("aten::copy_", [part, self.tangent(view), false])
            else:
                builder.op_node("aten::zero_", [part])
            self.of[node.output, ()] = whole

    # ---- ops

    def _op(self, node: Node) -> None:
        schema = node.schema
        assert schema is not None
        if schema.is_mutable and not is_write(node):
            raise NotDifferentiable(f"{node.kind} has no rule for tangents", node.span)
        places = [i for i, o in enumerate(node.outputs) if self.activity.any_in(o)]
        rules = self._rules(node, places)
        # what is written is no longer there behind the write
        with self.before(node) if is_write(node) else self.after(node):
            if rules is None:
                self._push(node, places)
            else:
                self.of[node.outputs[places[0]], ()] = self._by_rules(node, places[0], rules)

    def _rules(self, node: Node, places: Sequence[int]) -> dict[int, Tangent] | None:
        """The rules for the active operands, by position; None where torch pushes the op."""
        if len(places) != 1 or any(T.COMPLEX in T.walk(v.type) for v in node.inputs):
            return None
        if may_give_whole_numbers(node):
            return None
        assert node.schema is not None
        known = tangents_of(node.kind)
        found: dict[int, Tangent] = {}
        for number, argument in enumerate(node.schema.arguments):
            value = node.inputs[number]
            if not self.activity.any_in(value):
                continue
            rule = known.get(argument.name)
            if rule is None or value.type not in (T.TENSOR, TENSORS):
                return None
            if rule.rule is not None and places != [0]:
                return None
            found[number] = rule
        return found

    def _by_rules(self, node: Node, place: int, rules: Mapping[int, Tangent]) -> Value:
        results = node.outputs
        if is_write(node) and any(self._asks_result(rule) for rule in rules.values()):
            results = self._functional(node, node.inputs).outputs
        parts = []
        for number, rule in rules.items():
            tangent = self.tangent(node.inputs[number])
            if rule.rule is None:
                inputs = [*node.inputs[:number], tangent, *node.inputs[number + 1 :]]
                parts.append(self._functional(node, inputs).outputs[place])
            else:
                parts.append(self._by_function(node, rule, tangent, results))
        total = parts[0]
        for part in parts[1:]:
            one = self.builder.constant(1)
            total = self.builder.op("aten::add.Tensor", total, part, one)
        if is_write(node):
            return self.apply(like, total, node.inputs[0])
        if len(parts) == 1 and next(iter(rules.values())).is_partial:
            return self.apply(like, total, node.outputs[place])
        return total

    def _asks_result(self, rule: Tangent) -> bool:
        return rule.rule is not None and any(
            o.role == "result" and not o.metadata for o in rule.rule.operands
        )

    def _functional(self, node: Node, inputs: Sequence[Value]) -> Node:
        """The op, not in place, of other operands."""
        kind = not_in_place(node.kind)
        if kind == node.kind and is_write(node):
            raise NotDifferentiable(f"{kind} has no rule for tangents", node.span)
        types = [o.type for o in node.outputs]
        return self.builder.node(kind, inputs, types, schema=schema_of(kind))

    def _by_function(
        self, node: Node, rule: Tangent, tangent: Value, results: Sequence[Value]
    ) -> Value:
        assert rule.rule is not None
        if rule.is_conjugated:
            tangent = self.apply(conj, tangent)
        inputs = [self._operand(node, o, tangent, results) for o in rule.rule.operands]
        types = [v.type for v in inputs]
        function = rule.rule.shared(types)
        if function is None:
            found = self.splice(rule.rule.graph(types), inputs)
        else:
            assert function.return_type is not None
            found = self.builder.call(function.name, inputs, function.return_type)
        return self.apply(conj, found) if rule.is_conjugated else found

    def _operand(
        self, node: Node, operand: Operand, tangent: Value, results: Sequence[Value]
    ) -> Value:
        if operand.role in ("tangent", "grad"):
            return tangent
        if operand.metadata == FORM:
            return self.builder.constant(None, _NO_FORM)
        if operand.metadata:  # a contribution is in the form of the result
            form = node.inputs[0] if is_write(node) else results[0]
            return self.builder.op(operand.metadata, form)
        values = results if operand.role == "result" else node.inputs
        return values[operand.index]

    def _push(self, node: Node, places: Sequence[int]) -> None:
        """Let torch's forward mode run the op."""
        kind = not_in_place(node.kind)
        if kind == node.kind and is_write(node):
            raise NotDifferentiable(f"{kind} has no rule for tangents", node.span)
        active = [i for i, v in enumerate(node.inputs) if self.activity.any_in(v)]
        tangents = [self.tangent(node.inputs[i]) for i in active]
        name = pushed(node, kind, active, places)
        types = [*(o.type for o in node.outputs), *(node.outputs[i].type for i in places)]
        call = self.builder.call(name, [*node.inputs, *tangents], T.TupleType(types))
        for number, place in enumerate(places):
            found = self.builder.tuple_index(call, len(node.outputs) + number)
            self.of[node.outputs[place], ()] = found
        if is_write(node):
            (output,) = node.outputs
            self.of[output, ()] = self.apply(like, self.of[output, ()], node.inputs[0])
            return
        for number, output in enumerate(list(node.outputs)):
            plain = self.builder.tuple_index(call, number)
            if self.activity.any_in(output):
                self.activity.add(plain)
                self.of[plain, ()] = self.of[output, ()]
            output.replace_all_uses_with(plain)
        node.erase()
