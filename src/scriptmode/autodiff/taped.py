"""The forward and reverse forms of recursive functions (see recursion)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scriptmode.autodiff.activity import Activity
from scriptmode.autodiff.flags import Flags
from scriptmode.autodiff.mutation import WRITTEN
from scriptmode.autodiff.recursion import Called, add_parameters, plain_name, reverse_name
from scriptmode.autodiff.residuals import MAYBE, Cotangents, Scope
from scriptmode.autodiff.transform import Reverse
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import YIELD, Graph, Node, Value, copy_graph
from scriptmode.ops.aten import schema_of


def reverse_functions(functions: Mapping[str, Called]) -> list[Graph]:
    """The two forms of each function, whose graphs become the forward forms."""
    add_parameters(functions)
    plain = [_without_tape(f) for f in functions.values() if f.is_checkpoint]
    # a checkpoint calls no other: what keeps it must know the type of its tape
    ordered = sorted(functions.values(), key=lambda f: not f.is_checkpoint)
    made = [_TapedReverse(function, functions) for function in ordered]
    for each in made:
        each.emit()
    for each in made:
        each.set_types()
    return [*plain, *(graph for each in made for graph in (each.graph, each.reverse))]


def _without_tape(function: Called) -> Graph:
    """The form of a function that keeps nothing."""
    graph = copy_graph(function.graph)
    graph.name = plain_name(function.name)
    own = dict(zip(function.graph.params, graph.params, strict=True))
    roots = [(own[param], path) for param, path in function.roots]
    flags = Flags(graph, Activity(graph, roots), roots)
    for key, param in zip(roots, function.flags, strict=True):
        flags.know(key, own[param])
    flags.fill()
    (result,) = graph.block.returns
    told = [flags.constant(flags.of(result, path), graph.block) for path in function.results]
    _end_with_flags(graph, result, told)
    for tape in function.tapes.values():
        graph.params.remove(own[tape])
    for node in graph.find_all("prim::Call"):
        if node.attributes["callee"] == WRITTEN:
            node.replace_with(node.inputs[0])
    return graph


def _end_with_flags(graph: Graph, result: Value, flags: Sequence[Value]) -> None:
    end = graph.block.terminator
    span = end.span
    end.erase()
    builder = Builder(graph.block, schema_of)
    builder.span = span
    told = builder.tuple(flags, T.TupleType([T.BOOL] * len(flags)))
    both = builder.tuple([result, told])
    graph.block.terminate(YIELD, [both], span)
    graph.return_type = both.type


class _TapedReverse(Reverse):
    """Emits the reverse of one function, and makes its graph the forward form."""

    def __init__(self, function: Called, functions: Mapping[str, Called]) -> None:
        super().__init__(function.graph, function.roots, function.versions, functions)
        self.function = function
        self.reverse.name = reverse_name(function.name)

    def is_input(self, value: Value) -> bool:
        return value in self.function.leaves

    def know_flags(self, flags: Flags) -> None:
        for key, param in zip(self.function.roots, self.function.flags, strict=True):
            flags.know(key, param)

    def emit(self) -> None:
        """Emit the reverse, and let the forward form put its frame onto the tape."""
        function, block = self.function, self.graph.block
        (result,) = block.returns
        self.tapes = {
            name: self.reverse.add_param(T.NONE, f"tape.{i}")
            for i, name in enumerate(function.tapes)
        }
        for leaf in function.leaves:
            self.inputs[leaf] = self.reverse.add_param(leaf.type, leaf.name)
        given = [self.reverse.add_param(MAYBE, f"d{i}") for i in range(len(function.results))]
        self.builder.span = self.graph.span
        last = self.builder.constant(-1)
        schema = schema_of("list::pop")
        taking = self.builder.node("list::pop", [self.tapes[function.name], last], [T.NONE])
        taking.schema = schema
        self.scope = Scope(block, None, taking.output, self.mark())
        self.scope.reads.update(self.inputs)
        cotangents = Cotangents(block)
        for path, value in zip(function.results, given, strict=True):
            cotangents.add(self, (result, path), value)
        self._reverse_block(block, cotangents)
        found = [self.optional(cotangents.take(self, key)) for key in function.roots]
        parts = self.builder.tuple(found, T.TupleType([MAYBE] * len(found)))
        self.reverse.block.terminate(YIELD, [parts], self.graph.span)
        self.reverse.return_type = parts.type
        self.reverse.span = self.graph.span
        self._end_forward(result, taking)

    def _end_forward(self, result: Value, taking: Node) -> None:
        function, block = self.function, self.graph.block
        flags = self._flags(block, [(result, path) for path in function.results])
        _end_with_flags(self.graph, result, flags)
        end = block.terminator
        (both,) = end.inputs
        span = end.span
        end.erase()
        builder = Builder(block, schema_of)
        builder.span = span
        if not self.scope.saved:
            self.keep(self.scope, builder.constant(0), "a call")
        frame = self.frame_of(builder, self.scope, f"a call of {function.source}")
        taking.output.type = frame.type
        function.tape = T.ListType([frame.type])
        append = Node("list::append", [function.tapes[function.name], frame], (),
                      schema=schema_of("list::append"), span=span)  # fmt: skip
        block.append(append)
        block.terminate(YIELD, [both], span)
        self.end_versions()
        self.end_calls()

    def set_types(self) -> None:
        """Give the tapes, which all functions have, their types."""
        for name, tape in self.tapes.items():
            tape.type = self.function.tapes[name].type = self.functions[name].tape
