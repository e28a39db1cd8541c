"""The reverse of single nodes: ops by their rules, elements of containers, recorded ops."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from scriptmode.autodiff import dual, helpers
from scriptmode.autodiff.activity import is_taped
from scriptmode.autodiff.dual import TENSORS, TO_DUALS, TO_TENSORS
from scriptmode.autodiff.mutation import WRITTEN
from scriptmode.autodiff.paths import Key
from scriptmode.autodiff.pulled import count_of, pulled
from scriptmode.autodiff.recorded import (
    RECORDS,
    STRIPS,
    is_pulled,
    is_recorded,
    needs_recording,
    original,
)
from scriptmode.autodiff.recursion import Called, reverse_name, tapes_of
from scriptmode.autodiff.residuals import COTANGENTS, MAYBE, Cotangents, Residuals
from scriptmode.autodiff.rule import CONJ, FIT, SPREAD, Rule, rules_of, sum_rule
from scriptmode.autodiff.structures import is_structural
from scriptmode.ir import types as T
from scriptmode.ir.graph import YIELD, Node, Value
from scriptmode.support.source import Span


def _python(
    function: Callable[..., Any], inputs: Sequence[Value], result: T.Type, span: Span
) -> Node:
    return Node("prim::python_call", inputs, [result], attributes={"function": function}, span=span)


class OpReversal(Residuals):
    """Emits the reverse of nodes without blocks."""

    def _reverse_store(self, node: Node, cotangents: Cotangents) -> None:
        """A tensor was put beside its cell: its cotangent is what the cell holds."""
        value, cell, _ = node.inputs
        if self.activity.is_active(value):
            held = self.need(cell, "the cell of an element")
            found = self.builder.node("prim::CellRead", [held], [MAYBE]).output
            # a second run of the reverse program starts anew
            self.builder.node("prim::CellSet", [held, self.builder.constant(None, MAYBE)])
            cotangents.add(self, (value, ()), found)

    def _reverse_load(self, node: Node, cotangents: Cotangents) -> None:
        """A tensor was taken out of a container: its cotangent goes to the cell beside it."""
        found = cotangents.take(self, (node.output, ()))
        if found is None:
            return
        cell = Node("prim::TupleIndex", node.inputs, [dual.CELL], attributes={"index": 1},
                    span=node.span)  # fmt: skip
        cell.insert_after(node)
        held = self.need(cell.output, "the cell of an element")
        before = self.builder.node("prim::CellRead", [held], [MAYBE]).output
        self.builder.node("prim::CellSet", [held, self.accumulate(before, found)])

    def _reverse_linear(self, node: Node, cotangents: Cotangents) -> None:
        """A call that fits a cotangent to a shape and dtype, or conjugates it."""
        grad, value = cotangents.take(self, (node.output, ())), node.inputs[0]
        if grad is None or not self.activity.is_active(value):
            return
        rest: list[Value] = []
        name = CONJ
        if node.attributes["callee"] != CONJ:
            name = FIT if node.attributes["callee"] == SPREAD else SPREAD
            kinds = ("tensor::shape", "tensor::dtype")
            rest = [self.need(self.metadata_of(value, kind), "a sum") for kind in kinds]
        if grad.type == T.TENSOR:
            found = self.builder.call(name, [grad, *rest], T.TENSOR)
        else:
            branch = self.builder.if_node(self._is_none(grad))
            with self.builder.at(branch.blocks[0]) as block:
                block.terminate(YIELD, [self.builder.constant(None, MAYBE)], node.span)
            with self.builder.at(branch.blocks[1]) as block:
                sure = self.builder.cast(grad, T.TENSOR)
                part = self.builder.call(name, [sure, *rest], T.TENSOR)
                block.terminate(YIELD, [part], node.span)
            found = branch.add_output(MAYBE)
        cotangents.add(self, (value, ()), found)

    def _reverse_call(self, node: Node, cotangents: Cotangents) -> None:
        """Elements of a container that became a plain list, or the other way round."""
        if node.attributes["callee"] == WRITTEN:
            self._reverse_written(node, cotangents)
            return
        if is_taped(node):
            self._reverse_taped(node, cotangents)
            return
        if is_pulled(node):
            if self.activity.any_in(node.output):
                self._reverse_op(node, cotangents)
            return
        if is_structural(node):
            for path in self.activity.paths(node.output):
                found = cotangents.take(self, (node.output, path))
                if found is not None:  # a tensor in no container
                    cotangents.add(self, (node.inputs[0], path), found)
            return
        (value,) = node.inputs
        if node.attributes["callee"] in STRIPS:
            self._reverse_strip(node, value, cotangents)
        if node.attributes["callee"] in (*STRIPS, *RECORDS):
            return
        if node.attributes["callee"] == TO_TENSORS:
            parts = self.scope.lists.get(node.output)
            if parts is not None:
                cells = self._cells_before(node, value)
                held = self.need(cells, "the cells of a list")
                self.splice(dual.scatter_graph(), [held, parts])
        elif node.attributes["callee"] == TO_DUALS and self.activity.any_in(value):
            cells = self._cells_before(node.next, node.output)
            parts = self.splice(dual.gather_graph(), [self.need(cells, "the cells of a list")])
            into = self.list_cotangent(value)
            self.splice(helpers.accumulate_list_graph(parts.type), [into, parts])

    def _reverse_taped(self, node: Node, cotangents: Cotangents) -> None:
        """Call the reverse of a recursive function, also without cotangents: it takes its frame."""
        function = self.functions[node.attributes["callee"]]
        given = [
            self.optional(cotangents.take(self, (node.output, (0, *path))))
            for path in function.results
        ]
        values = dict(zip(function.graph.params, node.inputs, strict=False))
        if function.is_checkpoint and all(value.is_constant for value in given):
            return
        leaves = [self.need(values[leaf], "a parameter") for leaf in function.leaves]
        if function.is_checkpoint:
            tapes = [self._run_again(function, node, values)]
        else:
            tapes = [self.tapes[name] for name in tapes_of(None, self.functions)]
        result = T.TupleType([MAYBE] * len(function.roots))
        found = self.builder.call(reverse_name(function.name), [*tapes, *leaves, *given], result)
        for index, (param, path) in enumerate(function.roots):
            if self.activity.is_active(values[param], path):
                part = self.builder.tuple_index(found, index)
                cotangents.add(self, (values[param], path), part)

    def _run_again(self, function: Called, node: Node, values: Mapping[Value, Value]) -> Value:
        """The tape of a call by ``checkpoint``, which is run once more, as random as before."""
        why = f"an argument of a checkpoint, {function.source}"
        own = [p for p in function.graph.params if p not in function.tapes.values()]
        inputs = [
            self.builder.constant(True)
            if param in function.flags
            else self.need(values[param], why)
            for param in own
        ]
        now: Value | None = None
        if function.is_random:
            state = _python(torch.get_rng_state, (), T.TENSOR, node.span).insert_before(node).output
            begun = self.need(state, "the state of the random numbers")
            now = self._append(_python(torch.get_rng_state, (), T.TENSOR, node.span)).output
            self._append(_python(torch.set_rng_state, [begun], T.NONE, node.span))
        tape = self.builder.node("prim::ListConstruct", (), [function.tape]).output
        assert function.graph.return_type is not None
        self.builder.call(function.name, [*inputs, tape], function.graph.return_type)
        if now is not None:
            self._append(_python(torch.set_rng_state, [now], T.NONE, node.span))
        return tape

    def _append(self, node: Node) -> Node:
        return self.builder.block.append(node)

    def _reverse_written(self, node: Node, cotangents: Cotangents) -> None:
        """A view of a tensor was written: its part of the cotangent is that of what it became."""
        before = node.inputs[0]
        if self.activity.is_active(before):
            cotangent = cotangents.take_own(self, (node.output, ()))
        else:
            cotangent = cotangents.take(self, (node.output, ()))
        keys: list[Key] = [(v, ()) for v in node.inputs if self.activity.is_active(v)]
        if cotangent is None or not keys:
            return
        if cotangent.type == T.TENSOR:
            found = self._split(node, cotangent)
        else:
            branch = self.builder.if_node(self.builder.op("bool::not", self._is_none(cotangent)))
            with self.builder.at(branch.blocks[0]) as block:
                parts = self._split(node, self.builder.cast(cotangent, T.TENSOR))
                block.terminate(YIELD, parts, node.span)
            with self.builder.at(branch.blocks[1]) as block:
                block.terminate(
                    YIELD, [self.builder.constant(None, MAYBE) for _ in keys], node.span
                )
            found = [branch.add_output(MAYBE) for _ in keys]
        for key, value in zip(keys, found, strict=True):
            if key[0] is before:
                cotangents.add_own(self, key, value)
            else:
                cotangents.add(self, key, value)

    def _split(self, node: Node, cotangent: Value) -> list[Value]:
        """The cotangents of what a tensor was before a view of it was written, and of the view.

        The first is ``cotangent`` itself, whose part is zero then.
        """
        before, view = node.inputs
        found = []
        if self.is_pure and self.activity.is_active(before):
            cotangent = self._copy(cotangent)  # others may hold it
        if self.activity.is_active(before):
            found.append(cotangent)
        part = cotangent
        for step in self.versions.views[node]:
            operands = [
                self.need(v, f"a view that is written: {step.kind}") for v in step.inputs[1:]
            ]
            part = self.builder.node(
                step.kind, [part, *operands], [T.TENSOR], schema=step.schema
            ).output
        if self.activity.is_active(before):
            whole = part
            if self.activity.is_active(view):
                found.append(self._copy(part))
            self.builder.op_node("aten::zero_", [whole])
        else:
            found.append(part)
        return found

    def _copy(self, value: Value) -> Value:
        return self.builder.op("aten::clone", value, self.builder.constant(None))

    def _reverse_strip(self, node: Node, raw: Value, cotangents: Cotangents) -> None:
        """The cotangent of what torch's tape has recorded is that of the result outside of it."""
        if raw.type == TENSORS:
            found = self.scope.lists.get(node.output)
            if found is not None:
                self.scope.lists[raw] = found
            return
        cotangent = cotangents.take(self, (node.output, ()))
        if cotangent is not None:
            cotangents.add(self, (raw, ()), cotangent)

    def _reverse_recorded(self, node: Node, grads: Sequence[Value | None]) -> dict[Key, Value]:
        """Ask torch for the cotangents of the op's operands."""
        why = f"{node.kind}, which torch records"
        outs, given = self._listed([], T.TENSOR), self._listed([], MAYBE)
        for output, grad in zip(node.outputs, grads, strict=True):
            if output.type not in (T.TENSOR, TENSORS):
                continue
            raw = self.need(output, why)
            if output.type == TENSORS:
                count = self.need(self.metadata_of(output, "list::len"), "length of a list")
                nothing = self._listed([self.builder.constant(None, MAYBE)], MAYBE)
                parts = grad or self.builder.op("list::repeat", nothing, count)
                outs = self.builder.op("list::concat", outs, raw)
                given = self.builder.op("list::concat", given, parts)
            else:
                self.builder.op_node("list::append", [outs, raw])
                self.builder.op_node("list::append", [given, self.optional(grad)])
        leaves = self._listed([], MAYBE)
        operands = [(v, o) for v in node.inputs for o in [original(v)] if o is not None]
        starts = []
        for value, _ in operands:
            starts.append(self.builder.op("list::len", leaves))
            held = self.need(value, why)
            if value.type == TENSORS:
                for_each = helpers.append_all_graph()
                self.splice(for_each, [leaves, held])
            else:
                self.builder.op_node("list::append", [leaves, held])
        pulled = self.splice(helpers.pull_graph(), [outs, given, leaves])
        found: dict[Key, Value] = {}
        for (_, value), start in zip(operands, starts, strict=True):
            if value.type == TENSORS:
                count = self.need(self.metadata_of(value, "list::len"), "length of a list")
                stop = self.builder.op("int::add", start, count)
                part = self.splice(helpers.slice_graph(), [pulled, start, stop])
            else:
                part = self.builder.op("list::getitem", pulled, start)
            self._deliver(value, part, found)
        return found

    def _pull(self, node: Node, grads: Sequence[Value | None]) -> dict[Key, Value]:
        """The same by a call that can be differentiated again."""
        why = f"{node.kind}, which torch records"
        active = [i for i, v in enumerate(node.inputs) if self.activity.any_in(v)]
        inputs = [self.need(v, why) for v in node.inputs]
        for output, grad in zip(node.outputs, grads, strict=True):
            if output.type not in (T.TENSOR, TENSORS):
                continue
            nothing = self.builder.constant(None, MAYBE)
            count = count_of(node)
            if grad is None and count is None and output.type == TENSORS:
                size = self.need(self.metadata_of(output, "list::len"), why)
                grad = self.builder.op("list::repeat", self._listed([nothing], MAYBE), size)
            if count is None or grad is None:
                inputs += [nothing if grad is None else grad] * (count or 1)
                continue
            places = [self.builder.constant(i) for i in range(count)]
            inputs += [self.builder.op("list::getitem", grad, place) for place in places]
        parts = self.builder.call(pulled(node, active), inputs, TENSORS)
        found: dict[Key, Value] = {}
        start = self.builder.constant(0)
        one = self.builder.constant(1)
        for value in (node.inputs[i] for i in active):
            is_list = value.type == TENSORS
            size = self.need(self.metadata_of(value, "list::len"), why) if is_list else one
            stop = self.builder.op("int::add", start, size)
            if is_list:
                part = self.splice(helpers.tensor_slice_graph(), [parts, start, stop])
                part = self.splice(helpers.unfilled_list_graph(), [part])
            else:
                part = self.builder.op("list::getitem", parts, start)
                if len(active) > 1:
                    part = self.splice(helpers.unfilled_graph(), [part])
            self._deliver(value, part, found)
            start = stop
        return found

    def _listed(self, items: Sequence[Value], element: T.Type) -> Value:
        return self.builder.list(items, element)

    def _cells_before(self, anchor: Node | None, value: Value) -> Value:
        """The cells of a list as it is before ``anchor``, in the forward program."""
        assert anchor is not None
        call = Node("prim::Call", [value], [dual.CELLS], attributes={"callee": dual.TO_CELLS},
                    span=anchor.span)  # fmt: skip
        return call.insert_before(anchor).output

    def _reverse_list(self, node: Node, cotangents: Cotangents) -> None:
        found = self.scope.lists.get(node.output)
        if found is None:
            return
        for index, value in enumerate(node.inputs):
            if self.activity.is_active(value):
                part = self.builder.op("list::getitem", found, self.builder.constant(index))
                cotangents.add(self, (value, ()), part)

    def _reverse_getitem(self, node: Node, cotangents: Cotangents) -> None:
        found = cotangents.take(self, (node.output, ()))
        if found is None:
            return
        parts = self.list_cotangent(node.inputs[0])
        index = self.need(node.inputs[1], "an index")
        before = self.builder.op("list::getitem", parts, index)
        self.builder.op_node("list::setitem", [parts, index, self.accumulate(before, found)])

    # ---- ops ----

    def _reverse_op(self, node: Node, cotangents: Cotangents) -> None:
        """Apply the rules of an op."""
        grads = [self._grad_of(output, cotangents) for output in node.outputs]
        if all(g is None for g in grads):
            return
        unsure = [g for g in grads if g is not None and g.type == MAYBE]
        is_sure = any(g is not None and g.type != MAYBE for g in grads) or not unsure
        sums = {
            key: self.optional(cotangents.sum_of(key)) for key in self._keys_of_sums(node).values()
        }
        if is_sure or len(grads) > 1:
            found, totals = self._apply_rules(node, grads, sums)
            for key, value in found.items():
                cotangents.add(self, key, value)
            cotangents.sums.update(totals)
            return
        # only if there is a cotangent at all
        (grad,) = unsure
        present = self.builder.op("bool::not", self._is_none(grad))
        branch = self.builder.if_node(present)
        with self.builder.at(branch.blocks[0]):
            sure = self.builder.cast(grad, T.TENSOR)
            found, totals = self._apply_rules(node, [sure], sums)
            after = [*found.values(), *totals.values()]
            branch.blocks[0].terminate(YIELD, after, node.span)
        with self.builder.at(branch.blocks[1]):
            nothing = [self.builder.constant(None, MAYBE) for _ in found]
            before = [sums[key] for key in totals]
            branch.blocks[1].terminate(YIELD, [*nothing, *before], node.span)
        for key in found:
            cotangents.add(self, key, branch.add_output(MAYBE))
        for key in totals:
            cotangents.sums[key] = branch.add_output(MAYBE)

    def _keys_of_sums(self, node: Node) -> dict[int, Key]:
        """By argument: the tensors whose cotangents an op adds to in place."""
        schema = node.schema
        if schema is None or self.is_pure or is_recorded(node):
            return {}
        return {
            position: (value, ())
            for position, (argument, value) in enumerate(
                zip(schema.arguments, node.inputs, strict=True)
            )
            if value.type == T.TENSOR
            and self.activity.is_active(value)
            and sum_rule(node.kind, argument.name) is not None
        }

    def _is_none(self, value: Value) -> Value:
        return self.builder.node("prim::is_none", [value], [T.BOOL]).output

    def _grad_of(self, output: Value, cotangents: Cotangents) -> Value | None:
        if output.type == T.ListType([T.TENSOR]):
            return self.scope.lists.get(output)
        return cotangents.take(self, (output, ()))

    def _apply_rules(
        self, node: Node, grads: Sequence[Value | None], sums: Mapping[Key, Value]
    ) -> tuple[dict[Key, Value], dict[Key, Value]]:
        """The cotangents of the node's active inputs, and what ``sums`` became.

        Cotangents of lists are written in place.
        """
        if is_recorded(node):
            return self._reverse_recorded(node, grads), {}
        if self.is_pure and needs_recording(node, self.activity, True):
            return self._pull(node, grads), {}
        schema = node.schema
        assert schema is not None
        names = [a.name for a in schema.arguments]
        active = [i for i, v in enumerate(node.inputs) if self.activity.any_in(v)]
        rules = rules_of(node.kind)
        found: dict[Key, Value] = {}
        done: set[int] = set()
        totals = dict(sums)
        adding = self._keys_of_sums(node)
        for position in active:
            if position in adding:
                key, sum_ = adding[position], sum_rule(node.kind, names[position])
                assert sum_ is not None
                totals[key] = self._apply_rule(node, sum_, grads, [True], totals[key])
                continue
            rule = rules[names[position]]
            if id(rule) in done:
                continue
            done.add(id(rule))
            places = [names.index(name) for name in rule.of]
            result = self._apply_rule(node, rule, grads, [p in active for p in places])
            parts = self._parts(result, len(places))
            for place, part in zip(places, parts, strict=True):
                if place in active and part.type != T.NONE:
                    self._deliver(node.inputs[place], part, found)
        return found, totals

    def _parts(self, result: Value, count: int) -> list[Value]:
        if count == 1:
            return [result]
        return [self.builder.tuple_index(result, i) for i in range(count)]

    def _deliver(self, value: Value, part: Value, found: dict[Key, Value]) -> None:
        if T.unwrap_optional(value.type) == T.TENSOR:
            key = (value, ())
            found[key] = part if key not in found else self.accumulate(found[key], part)
            return
        self.splice(helpers.accumulate_list_graph(part.type), [self.list_cotangent(value), part])

    def _apply_rule(
        self,
        node: Node,
        rule: Rule,
        grads: Sequence[Value | None],
        needed: Sequence[bool],
        into: Value | None = None,
    ) -> Value:
        inputs = []
        for operand in rule.operands:
            if operand.role == "into":
                assert into is not None
                inputs.append(into)
            elif operand.role == "grad":
                given = grads[operand.index]
                is_list = node.outputs[operand.index].type == T.ListType([T.TENSOR])
                nothing = COTANGENTS if is_list else MAYBE
                inputs.append(given if given is not None else self.builder.constant(None, nothing))
            else:
                inputs.append(self.need_operand(node, operand, needed))
        types = [v.type for v in inputs]
        if self.is_pure:
            return self.splice(rule.open_graph(types), inputs)
        function = rule.shared(types)
        if function is None:
            return self.splice(rule.graph(types), inputs)
        assert function.return_type is not None
        return self.builder.call(function.name, inputs, function.return_type)
