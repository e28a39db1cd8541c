"""Split a differentiable graph into a forward and a reverse program.

The graph (see ``prepare``: one function, blocks that end with their Yields, nothing written in
place) becomes the forward part: it also returns a *frame*, the tuple of the values that the reverse
part will need, in nested blocks one frame for each branch or iteration::

    graph f(%x: Tensor, %w: Tensor):
      %y: Tensor = aten::mul.Tensor(%x, %w)
      %z: Tensor = aten::tanh(%y)
      return (%z)

becomes ::

    graph f.forward(%x: Tensor, %w: Tensor) -> Tuple[Tensor, Cell[Tuple[Tensor]], Tuple[bool]]:
      %y: Tensor = aten::mul.Tensor(%x, %w)
      %z: Tensor = aten::tanh(%y)
      %frame: Tuple[Tensor] = prim::TupleConstruct(%z)
      ...
    graph f.reverse(%frame: Cell[Tuple[Tensor]], %x: Tensor, %w: Tensor, %d: Optional[Tensor]):
      ...                                                   (cotangents of %x and %w)

Parameters and tensors of modules that the reverse part needs are no part of the frame: they are
its own parameters.  Cotangents are SSA values of type Tensor, or Optional[Tensor] where it is only
known at run time whether there is one.  A Loop is reversed by a Loop over its frames, which carries
the cotangents of the carried tensors and of what the body reads from outside; a list of tensors has
a list of cotangents, which is written in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from scriptmode.autodiff import dual
from scriptmode.autodiff.activity import is_taped
from scriptmode.autodiff.dual import DUAL, TENSORS, has_cells
from scriptmode.autodiff.flags import Flags
from scriptmode.autodiff.kept_versions import check_kept
from scriptmode.autodiff.paths import Key, Path, result_parts
from scriptmode.autodiff.prepare import sources_of, sources_of_values, written_in
from scriptmode.autodiff.problems import NotDifferentiable
from scriptmode.autodiff.recursion import complete_calls, plain_name, tapes_of
from scriptmode.autodiff.residuals import (
    ALIASES,
    COTANGENTS,
    MAYBE,
    Cotangents,
    Saved,
    Scope,
    root_list,
)
from scriptmode.autodiff.reverse_ops import OpReversal
from scriptmode.autodiff.rule import is_linear
from scriptmode.autodiff.structures import cell_lists
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import UNREACHABLE, YIELD, Block, Graph, Node, Value
from scriptmode.ops.aten import schema_of


@dataclass
class Differentiated:
    """The two programs of a graph, and what its parameters and results are.

    ``inputs`` are the values that the reverse graph takes behind the frame; ``wrt`` are the roots,
    whose cotangents it returns, in this order; ``outputs`` are the paths of the tensors of the
    result that carry a gradient, whose cotangents it takes last.
    """

    forward: Graph
    reverse: Graph
    inputs: list[Value]
    wrt: list[Key]
    outputs: list[Path]
    saved: list[tuple[str, Saved]]
    may_be_saved: list[bool]  # by output: whether the frame may hold the very tensor, or a view
    may_view_argument: list[bool]  # by output: whether it may be a view of an argument or parameter
    functions: list[Graph] = field(default_factory=list)  # what both call: see recursion
    held: set[Value] = field(default_factory=set)  # parameters and the like that the frame may hold
    result: T.Type | None = None  # in plain types, if it has cells beside its tensors
    returned: list[int] = field(default_factory=list)  # parameters behind the result proper in it


class Reverse(OpReversal):
    """Emits the reverse graph of ``graph`` and makes ``graph`` its forward part."""

    # ---- the whole ----

    def run(self, functions: Sequence[Graph] = ()) -> Differentiated:
        """Emit everything; ``functions`` are the forward and reverse forms of recursive ones."""
        block = self.graph.block
        (result,) = block.returns
        outputs = [
            path
            for path, t in result_parts(result.type)
            if t == TENSORS or has_cells(t) or self.activity.is_active(result, path)
        ]
        cells = {call.attributes["path"]: call.output for call in cell_lists(self.graph)}
        held = self.reverse.add_param(T.NONE, "frame")
        frame = self.builder.node("prim::CellRead", [held], [T.NONE]).output
        self.scope = Scope(block, None, frame, self.mark())
        self._make_tapes()
        cotangents = Cotangents(block)
        taken: list[Value] = []
        parts: list[Key] = []
        for number, path in enumerate(outputs):
            if path in cells:
                given = self.reverse.add_param(COTANGENTS, f"cotangent.{number}")
                taken.append(given)
                parts.append((cells[path], ()))
                held_cells = self.keep(self.scope, cells[path], "the cells of the result")
                self.splice(dual.scatter_graph(), [held_cells, given])
                continue
            part = self._part_of_result(path)
            is_list = part.type == TENSORS
            parts.append((part, ()) if is_list else (result, path))
            is_sure = self.given is not None and self.given[number]
            t = COTANGENTS if is_list else T.TENSOR if is_sure else MAYBE
            given = self.reverse.add_param(t, f"cotangent.{number}")
            taken.append(given)
            if self.given is not None and not self.given[number]:
                continue
            if is_list:
                self.scope.lists[root_list(part)] = given
            else:
                cotangents.add(self, (result, path), given)
        self._reverse_block(block, cotangents)
        found = [
            self.list_cotangent(value)
            if value.type == TENSORS
            else self.optional(cotangents.take(self, (value, path)))
            for value, path in self.roots
        ]
        given_back = self.builder.tuple(found)
        self.reverse.block.terminate(YIELD, [given_back])
        self.reverse.return_type = given_back.type
        self._end_graph(result, held, taken, parts)
        sources = [sources_of(self.graph, path) for path in outputs]
        kept = self.end_versions()
        differentiated = Differentiated(
            self.graph, self.reverse, list(self.inputs), self.roots, outputs, self.saved,
            [s.called or not kept.isdisjoint(s.values) for s in sources],
            [s.views_argument for s in sources],
            list(functions),
            kept | sources_of_values(self.graph, self._handed_on()),
        )  # fmt: skip
        self.end_calls()
        return differentiated

    def end_versions(self) -> set[Value]:
        """Refuse writes of what is kept, and take the versions out again; what is kept."""
        kept_values = [saved.value for _, saved in self.saved]
        # what the reverse takes as a parameter is not copied either
        kept = sources_of_values(self.graph, [*kept_values, *self.inputs])
        check_kept(self.graph, self.versions, kept_values, self.users)
        for value in written_in(self.graph, self.versions.nodes):
            if not kept.isdisjoint(sources_of_values(self.graph, [value])):
                raise NotDifferentiable("what is saved is written later", self.graph.span)
        for node in self.versions.views:
            node.replace_with(node.inputs[0])
        return kept

    def _handed_on(self) -> list[Value]:
        """What recursive functions may keep."""
        calls = [node for node in self.graph.find_all("prim::Call") if is_taped(node)]
        return [value for call in calls for value in call.inputs]

    def end_calls(self) -> None:
        """Let calls by ``checkpoint`` call what has no tape."""
        for call in self.graph.find_all("prim::Call"):
            function = self.functions.get(call.attributes["callee"])
            if function is not None and function.is_checkpoint:
                call.attributes["callee"] = plain_name(function.name)

    def _make_tapes(self) -> None:
        """A new tape for each recursive function; the reverse program takes from a copy."""
        first = self.graph.block.first
        assert first is not None
        made: dict[str, Value] = {}
        for name in tapes_of(None, self.functions):
            function = self.functions[name]
            tape = Node("prim::ListConstruct", (), [function.tape], span=first.span)
            made[name] = tape.insert_before(first).output
            kept = self.keep(self.scope, made[name], f"what calls of {function.source} keep")
            self.tapes[name] = self.builder.op("list::copy", kept)
        complete_calls(self.graph, self.functions, made)

    def _part_of_result(self, path: Path) -> Value:
        """The value at ``path`` of the result; of a list, the one that made it."""
        (value,) = self.graph.block.returns
        for index in path:
            node = value.node
            if node is None or node.kind != "prim::TupleConstruct":
                return self._typed(value, path)
            value = node.inputs[index]
        return value

    def _typed(self, value: Value, path: Path) -> Value:
        for found, t in result_parts(self.graph.block.returns[0].type):
            if found == path and t == TENSORS:
                raise NotDifferentiable("a list in a tuple that is made elsewhere", self.graph.span)
        return value

    def _flags(self, block: Block, parts: Sequence[tuple[Value, Path]]) -> list[Value]:
        """For each output of the node: whether it depends on the roots; lists for lists."""
        flags = Flags(self.graph, self.activity, self.roots)
        self.know_flags(flags)
        flags.fill()
        for call in self.graph.find_all("prim::Call"):
            if is_taped(call):
                function = self.functions[call.attributes["callee"]]
                values = dict(zip(function.graph.params, call.inputs, strict=False))
                for param, (root, path) in zip(function.flags, function.roots, strict=True):
                    flag = flags.before(values[root], path, call)
                    call.set_input(function.graph.params.index(param), flag)
        return [
            flags.constant(True, block)  # they stand beside the tensors
            if value.type == dual.CELLS
            else flags.in_list(value)
            if value.type == TENSORS
            else flags.constant(flags.of(value, path), block)
            for value, path in parts
        ]

    def know_flags(self, flags: Flags) -> None:
        """Tell ``flags`` of roots that do not always require a gradient."""

    def _end_graph(
        self, result: Value, held: Value, taken: list[Value], parts: list[tuple[Value, Path]]
    ) -> None:
        """Let the forward graph return its frame too, and order the reverse graph's parameters."""
        block = self.graph.block
        flags = self._flags(block, parts)
        end = block.terminator
        span = end.span
        end.erase()
        builder = Builder(block, schema_of)
        frame = self.frame_of(builder, self.scope, "the function")
        self.scope.frame.type = frame.type
        cell = builder.node("prim::CellConstruct", [frame], [T.CellType([frame.type])]).output
        held.type = cell.type
        both = builder.tuple([result, cell, builder.tuple(flags)])
        block.terminate(YIELD, [both], span)
        self.graph.return_type = both.type
        for param in taken:
            self.reverse.params.remove(param)
            self.reverse.params.append(param)

    # ---- blocks ----

    def _reverse_block(self, block: Block, cotangents: Cotangents) -> None:
        """Emit the reverse of the block's nodes; what is left in ``cotangents`` belongs outside."""
        for node in list(block.reversed_nodes):
            self.builder.span = node.span
            self.current = node
            self._reverse_node(node, cotangents)

    def _reverse_node(self, node: Node, cotangents: Cotangents) -> None:
        match node.kind:
            case "prim::If":
                self._reverse_if(node, cotangents)
            case "prim::Loop":
                self._reverse_loop(node, cotangents)
            case "prim::TupleConstruct" if node.output.type == DUAL:
                self._reverse_store(node, cotangents)
            case "prim::TupleIndex" if node.inputs[0].type == DUAL:
                self._reverse_load(node, cotangents)
            case "prim::Call" if is_linear(node):
                self._reverse_linear(node, cotangents)
            case "prim::Call":
                self._reverse_call(node, cotangents)
            case "prim::TupleConstruct":
                for index, value in enumerate(node.inputs):
                    for path in self.activity.paths(value):
                        found = cotangents.take(self, (node.output, (index, *path)))
                        if found is not None:
                            cotangents.add(self, (value, path), found)
            case "prim::TupleIndex":
                (value,) = node.inputs
                for path in self.activity.paths(node.output):
                    found = cotangents.take(self, (node.output, path))
                    if found is not None:
                        cotangents.add(self, (value, (node.attributes["index"], *path)), found)
            case "prim::unchecked_cast" | "prim::checked_cast":
                (value,) = node.inputs
                for path in self.activity.paths(node.output):
                    found = cotangents.take(self, (node.output, path))
                    if found is not None:
                        cotangents.add(self, (value, path), found)
            case "prim::ListConstruct":
                if node.output.type == T.ListType([T.TENSOR]):
                    self._reverse_list(node, cotangents)
            case "list::getitem":
                self._reverse_getitem(node, cotangents)
            case _ if any(self.activity.any_in(o) for o in node.outputs):
                if node.kind not in ALIASES and node.schema is not None:
                    self._reverse_op(node, cotangents)

    def _reverse_if(self, node: Node, cotangents: Cotangents) -> None:
        incoming = {
            (number, path): cotangents.take(self, (output, path))
            for number, output in enumerate(node.outputs)
            for path in self.activity.paths(output)
        }
        incoming = {k: v for k, v in incoming.items() if v is not None}
        if not incoming and not self._touches_lists(node):
            return
        live = [b for b in node.blocks if b.terminator.kind != UNREACHABLE]
        if not live:
            return
        condition = self.need(node.inputs[0], "a condition")
        branch = self.builder.if_node(condition)
        left: list[Cotangents] = []
        for block, target in zip(node.blocks, branch.blocks, strict=True):
            local = Cotangents(block, cotangents.sum_of)
            with self.builder.at(target):
                if block.terminator.kind != UNREACHABLE:
                    scope, extra = self._enter_branch(node, block)
                    for (number, path), value in incoming.items():
                        assert value is not None
                        local.add(self, (block.returns[number], path), value)
                    self._reverse_block(block, local)
                    self._leave_branch(scope, node, block, extra)
            left.append(local)
        keys = list(dict.fromkeys(key for local in left for key in local.of))
        sums = list(dict.fromkeys(key for local in left for key in local.sums))
        before = {key: cotangents.sum_of(key) for key in sums}
        for local, target in zip(left, branch.blocks, strict=True):
            with self.builder.at(target):
                values = [self.optional(local.of.get(key)) for key in keys]
                values += [self.optional(local.sums.get(key, before[key])) for key in sums]
            target.terminate(YIELD, values, node.span)
        for key in keys:
            found = [local.of.get(key) for local in left]
            is_sure = all(v is not None and v.type == T.TENSOR for v in found)
            cotangents.add(self, key, branch.add_output(T.TENSOR if is_sure else MAYBE))
        for key in sums:
            cotangents.sums[key] = branch.add_output(MAYBE)

    def _touches_lists(self, node: Node) -> bool:
        """Whether the reverse of a nested block has effects besides cotangents of its values."""
        return any(
            self._has_effect(inner) or self._touches_lists(inner)
            for block in node.blocks
            for inner in block.nodes
        )

    def _has_effect(self, node: Node) -> bool:
        if DUAL in [v.type for v in node.outputs] or dual.DUALS in [v.type for v in node.outputs]:
            return True
        if is_taped(node) and not self.functions[node.attributes["callee"]].is_checkpoint:
            return True
        if any(v.type == DUAL for v in node.inputs):
            return True
        if node.kind == "list::getitem" and self.activity.any_in(node.output):
            return True
        return any(v.type == TENSORS and self.activity.any_in(v) for v in node.inputs)

    def _enter_branch(self, node: Node, block: Block) -> tuple[Scope, Node]:
        """The scope of a branch; its frame comes from an extra output of the If."""
        holder = self.builder.node("prim::Constant", (), [T.NONE], value=None)
        self.scope = Scope(block, self.scope, holder.output, self.mark())
        return self.scope, holder

    def _leave_branch(self, scope: Scope, node: Node, block: Block, holder: Node) -> None:
        """Let the If of the forward program yield the branch's frame."""
        assert scope.parent is not None
        self.scope = scope.parent
        if not scope.saved:
            return
        where = f"the branch at line {node.span.line}"
        frame = self.frame_of(Builder(block, schema_of), scope, where)
        output = node.add_output(T.optional_of(frame.type))
        for other in node.blocks:
            if other is block:
                block.terminator.add_input(frame)
            elif other.terminator.kind != UNREACHABLE:
                nothing = Builder(other, schema_of).constant(None, output.type)
                other.terminator.add_input(nothing)
        whole = self.need(output, "the frame of a branch")
        cast = Node("prim::unchecked_cast", [whole], [frame.type], span=node.span)
        cast.insert_after(holder)
        scope.frame.replace_all_uses_with(cast.output)

    def _reverse_loop(self, node: Node, cotangents: Cotangents) -> None:
        body = node.blocks[0]
        params = body.params[1:]
        carried: list[tuple[int, Path]] = []
        starts: list[Value] = []
        is_any = False
        owned = {n for n, v in enumerate(body.returns[1:]) if self._is_written(v)}
        for number, output in enumerate(node.outputs):
            for path in self.activity.paths(output):
                take = cotangents.take_own if number in owned else cotangents.take
                found = take(self, (output, path))
                is_any = is_any or found is not None
                carried.append((number, path))
                starts.append(self.optional(found))
        if not is_any and not self._touches_lists(node):
            return
        trips, frames = self._count_iterations(node)
        n = self.need(trips, "the number of iterations")
        true = self.builder.constant(True)
        loop = self.builder.node("prim::Loop", [n, true, *starts], [MAYBE] * len(starts))
        target = loop.add_block()
        k = target.add_param(T.INT, "k")
        given = [target.add_param(MAYBE) for _ in starts]
        outer_scope = self.scope
        with self.builder.at(target):
            one = self.builder.constant(1)
            index = self.builder.op("int::sub", self.builder.op("int::sub", n, one), k)
            reading = self.builder.node("prim::Constant", (), [T.NONE], value=None)
            self.scope = Scope(body, outer_scope, reading.output, self.mark())
            scope = self.scope
            entered: dict[Key, Value] = {}  # the sums of what is outside, by which the loop goes on

            def enter(key: Key) -> Value:
                return entered.setdefault(key, target.add_param(MAYBE))

            local = Cotangents(body, enter)
            for (number, path), value in zip(carried, given, strict=True):
                add = local.add_own if number in owned else local.add
                add(self, (body.returns[1 + number], path), value)
            # the index of the iteration is known without being kept
            scope.reads[body.params[0]] = index
            self._reverse_block(body, local)
            self.scope = outer_scope
            new = []
            for number, path in carried:
                take = local.take_own if number in owned else local.take
                new.append(self.optional(take(self, (params[number], path))))
            for key in list(local.of):
                local.to_sum(self, key)
            sums = [local.sums[key] for key in entered]
            target.terminate(YIELD, [true, *new, *sums], node.span)
        for key in entered:
            start = cotangents.sum_of(key)
            if start is None:
                nothing = Node("prim::Constant", (), [MAYBE], attributes={"value": None},
                               span=node.span)  # fmt: skip
                start = nothing.insert_before(loop).output
            loop.add_input(start)
            cotangents.sums[key] = loop.add_output(MAYBE)
        self._keep_iterations(node, scope, reading, index, frames, loop)
        for (number, path), output in zip(carried, loop.outputs, strict=False):
            add = cotangents.add_own if number in owned else cotangents.add
            add(self, (node.inputs[2 + number], path), output)

    def _is_written(self, value: Value) -> bool:
        """Whether a value is a tensor after a write of a view of it."""
        return value.node is not None and value.node in self.versions.views

    def _count_iterations(self, node: Node) -> tuple[Value, Node]:
        """The number of iterations that a Loop of the forward program has run, and its counter."""
        assert node.block is not None
        body = node.blocks[0]
        zero = Node("prim::Constant", (), [T.INT], attributes={"value": 0}, span=node.span)
        zero.insert_before(node)
        node.add_input(zero.output)
        body.add_param(T.INT, "count")
        builder = Builder(body, schema_of)
        builder.span = node.span
        more = builder.op("int::add", body.params[0], builder.constant(1))
        body.terminator.add_input(more)
        return node.add_output(T.INT, "iterations"), zero

    def _keep_iterations(
        self, node: Node, scope: Scope, reading: Node, index: Value, counter: Node, loop: Node
    ) -> None:
        """Let the Loop of the forward program list the frames of its iterations."""
        if not scope.saved:
            return
        body = node.blocks[0]
        builder = Builder(body, schema_of)
        builder.span = node.span
        frame = self.frame_of(builder, scope, f"the loop at line {node.span.line}")
        listed = T.ListType([frame.type])
        frames = Node(
            "prim::ListConstruct", (), [listed], attributes={"tape": True}, span=node.span
        )
        frames.insert_before(counter)
        builder.op_node("list::append", [frames.output, frame])
        whole = self.need(frames.output, "the frames of a loop")
        schema = schema_of("list::getitem")
        item = Node("list::getitem", [whole, index], [frame.type], schema=schema, span=node.span)
        item.insert_after(reading)
        scope.frame.replace_all_uses_with(item.output)
