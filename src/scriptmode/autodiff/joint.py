"""A forward and a reverse program as one function, and such a function as two again.

``join`` puts the reverse program behind the forward one, where it takes what is kept directly
instead of from a frame, so that passes see both::

    graph f.joint(%x: Tensor, %w: Tensor, %d0: Tensor, %go: bool):
      %y: Tensor = aten::mul.Tensor(%x, %w)
      %z: Tensor = aten::tanh(%y)
      %flags: Tuple[bool] = ...
      %found: Tuple[Optional[Tensor], ...] = prim::If(%go)
        block0():
          ...                                             (reads %z, %x, %w and %d0)
        block1():
          -> (nothing)
      %held: Tuple[Tensor, Tensor] = prim::TupleConstruct(%x, %w)
      return (%z, %flags, %held, %found)

``part`` cuts it there: what the branch reads from outside and is no input is the new frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scriptmode.autodiff.prepare import sources_of, sources_of_values
from scriptmode.autodiff.residuals import COTANGENTS, MAYBE
from scriptmode.autodiff.transform import Differentiated
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import YIELD, Block, Graph, Node, Value, copy_block_into, copy_node
from scriptmode.ops.aten import schema_of

GO = "go"  # the parameter that lets a joint function go on to its reverse part


class NotJoined(Exception):
    """Why a pair of programs has no special form."""


@dataclass
class Joint:
    """The function, and its parameters for the cotangents that there are."""

    graph: Graph
    given: list[Value | None]  # by cotangent
    paths: list[tuple[int, ...]]  # of the results that these belong to

    def result_at(self, number: int) -> Value | None:
        """The tensor whose cotangent is ``given[number]``, if it is put into the result."""
        (value,) = self.graph.block.returns
        assert value.node is not None
        value = value.node.inputs[0]
        for index in self.paths[number]:
            node = value.node
            if node is None or node.kind != "prim::TupleConstruct":
                return None
            value = node.inputs[index]
        return value


def join(found: Differentiated, present: Sequence[bool]) -> Joint:
    """The joint function; ``present`` says which cotangents there are."""
    joint = Graph(f"{found.forward.name}.joint")
    joint.span = found.forward.span
    mapping: dict[Value, Value] = {}
    copy_block_into(found.forward.block, joint.block, mapping)
    end = joint.block.terminator
    both = end.inputs[0].node
    assert both is not None and both.kind == "prim::TupleConstruct"
    result, cell, flags = both.inputs
    end.erase()
    both.erase()
    assert cell.node is not None and cell.node.kind == "prim::CellConstruct"
    (frame,) = cell.node.inputs
    cell.node.erase()
    builder = Builder(joint.block, schema_of)
    builder.span = found.forward.span
    reverse = found.reverse
    opened, *params = reverse.params
    inputs, taken = params[: len(found.inputs)], params[len(found.inputs) :]
    inside: dict[Value, Value] = {
        param: mapping[value] for param, value in zip(inputs, found.inputs, strict=True)
    }
    given: list[Value | None] = []
    for number, (param, is_there) in enumerate(zip(taken, present, strict=True)):
        if param.type == COTANGENTS:
            raise NotJoined("a result is a list of tensors")
        made = joint.add_param(T.TENSOR, f"d{number}") if is_there else None
        given.append(made)
        inside[param] = builder.constant(None, MAYBE) if made is None else made
    go = joint.add_param(T.BOOL, GO)
    branch = builder.if_node(go)
    assert reverse.return_type is not None
    with builder.at(branch.blocks[0]) as target:
        for node in reverse.block.nodes:
            if node.kind == "prim::CellRead" and node.inputs[0] is opened:
                inside[node.output] = frame
            else:
                target.append(copy_node(node, inside))
        values = [inside.get(v, v) for v in reverse.block.returns]
        target.terminate(YIELD, values, reverse.span)
        _add_new(target)
        if not _writes(target):
            _share(target)
    with builder.at(branch.blocks[1]) as target:
        assert isinstance(reverse.return_type, T.TupleType)
        nothing = [builder.constant(None, t) for t in reverse.return_type.elements]
        target.terminate(YIELD, [builder.tuple(nothing, reverse.return_type)], reverse.span)
    branch.add_output(reverse.return_type)
    held = [v for v in mapping if v in found.held and _is_given(v, found.forward)]
    held = [v for v in held if v not in found.inputs]
    listed = builder.tuple([mapping[value] for value in (*found.inputs, *held)])
    whole = builder.tuple([result, flags, listed, branch.output])
    joint.block.terminate(YIELD, [whole], found.forward.span)
    joint.return_type = whole.type
    return Joint(joint, given, list(found.outputs))


def _is_given(value: Value, graph: Graph) -> bool:
    """Whether a tensor is a parameter, or one of a module."""
    if value.type != T.TENSOR:
        return False
    node = value.node
    if node is None:
        return value.definition is graph.block
    return node.kind == "prim::GetAttr" and node.block is graph.block


def _add_new(block: Block) -> None:
    """Let each sum be a new tensor, where the generic program writes in place what nobody holds."""
    for node in block.nodes:
        for inner in node.blocks:
            _add_new(inner)
        if node.kind == "aten::add_.Tensor" and node.output.is_used:
            schema = schema_of("aten::add.Tensor")
            made = Node("aten::add.Tensor", node.inputs, [T.TENSOR], schema=schema, span=node.span)
            made.insert_before(node)
            node.replace_with(made.output)


def _writes(block: Block) -> bool:
    """Whether a tensor is written in place."""
    return any(
        (node.schema is not None and node.schema.is_mutable and node.kind.startswith("aten::"))
        or any(map(_writes, node.blocks))
        for node in block.nodes
    )


def _share(block: Block) -> None:
    """Let sums begin with a cotangent itself, where they are not written."""
    for node in block.nodes:
        for inner in node.blocks:
            _share(inner)
        if node.kind == "aten::clone" and node.inputs[1].is_constant:
            if node.inputs[1].constant is None and node.inputs[0].type == T.TENSOR:
                node.replace_with(node.inputs[0])


@dataclass
class Parted:
    """The two programs again; ``reverse`` takes the frame, the inputs and the cotangents."""

    forward: Graph
    reverse: Graph


def part(joint: Joint, found: Differentiated) -> Parted:
    """Cut a joint function in two.

    The new frame may hold those parameters and tensors of modules that the generic one may hold,
    since nobody may write these before the last backward.
    """
    graph = joint.graph
    (whole,) = graph.block.returns
    assert whole.node is not None and whole.node.kind == "prim::TupleConstruct"
    result, flags, listed, pulled = whole.node.inputs
    assert listed.node is not None and listed.node.kind == "prim::TupleConstruct"
    inputs = listed.node.inputs[: len(found.inputs)]
    may_hold = listed.node.inputs
    branches = [n for n in graph.block.nodes if n.kind == "prim::If" and _goes(n.inputs[0])]
    (branch,) = branches
    cotangents = [v for v in joint.given if v is not None]
    own = [p for p in graph.params if p not in cotangents and p.name != GO]
    frame = _frame(branch.blocks[0], inputs, cotangents)
    for value in frame:
        if value.node is None and value not in may_hold:
            raise NotJoined("the reverse part would hold an argument")
    forward, mapping = _forward(graph, own, branch, whole.node, pulled)
    builder = Builder(forward.block, schema_of)
    builder.span = graph.span
    kept = [_kept(builder, mapping[value]) for value in frame]
    cell_type = T.CellType([T.TupleType([v.type for v in kept])])
    cell = builder.node("prim::CellConstruct", [builder.tuple(kept)], [cell_type]).output
    both = builder.tuple([mapping.get(result, result), cell, mapping.get(flags, flags)])
    forward.block.terminate(YIELD, [both], graph.span)
    forward.return_type = both.type
    _check_results(forward, kept, found)
    reverse = _reverse(joint, branch, pulled, frame, kept, inputs)
    return Parted(forward, reverse)


def _goes(condition: Value) -> bool:
    return condition.node is None and condition.name == GO


def _frame(block: Block, inputs: Sequence[Value], cotangents: Sequence[Value]) -> list[Value]:
    """What the reverse part reads that was made before."""
    inside: set[Value] = set()
    found: dict[Value, None] = {}
    pending = [block]
    order: list[Node] = []
    while pending:
        current = pending.pop()
        inside.update(current.params)
        for node in [*current.nodes, current.terminator]:
            inside.update(node.outputs)
            order.append(node)
            pending += node.blocks
    for node in order:
        for value in node.inputs:
            if value in inside or value in inputs or value in cotangents:
                continue
            if value.node is not None and value.node.kind == "prim::Constant":
                continue
            found[value] = None
    return list(found)


def _kept(builder: Builder, value: Value) -> Value:
    """A value as a frame can hold it."""
    if isinstance(value.type, T.ArrayType):
        return builder.node("prim::ToTensor", [value], [T.TENSOR]).output
    return value


def _forward(
    graph: Graph, own: Sequence[Value], branch: Node, whole: Node, pulled: Value
) -> tuple[Graph, dict[Value, Value]]:
    forward = Graph(f"{graph.name}.forward")
    forward.span = graph.span
    mapping = {p: forward.add_param(p.type, p.name) for p in own}
    left = {branch, whole, pulled.node}
    for node in graph.block.nodes:
        if node not in left:
            forward.block.append(copy_node(node, mapping))
    return forward, mapping


def _reverse(
    joint: Joint, branch: Node, pulled: Value, frame: Sequence[Value], kept: Sequence[Value],
    inputs: Sequence[Value],
) -> Graph:  # fmt: skip
    """The reverse part as a function."""
    graph = joint.graph
    reverse = Graph(f"{graph.name}.reverse")
    reverse.span = graph.span
    tuple_type = T.TupleType([v.type for v in kept])
    held = reverse.add_param(T.CellType([tuple_type]), "frame")
    builder = Builder(reverse.block, schema_of)
    builder.span = graph.span
    mapping: dict[Value, Value] = {}
    for number, value in enumerate(inputs):
        param = reverse.add_param(value.type, f"{value.name or 'x'}.{number}")
        mapping.setdefault(value, param)
    for number, cotangent in enumerate(joint.given):
        if cotangent is not None:
            mapping[cotangent] = reverse.add_param(T.TENSOR, f"d{number}")
    opened = builder.node("prim::CellRead", [held], [tuple_type]).output
    for index, value in enumerate(frame):
        found = builder.tuple_index(opened, index)
        if isinstance(value.type, T.ArrayType):
            found = builder.node("prim::ToArray", [found], [value.type]).output
        mapping[value] = found
    _copy_constants(branch.blocks[0], builder, mapping)
    for node in branch.blocks[0].nodes:
        reverse.block.append(copy_node(node, mapping))
    yielded = [mapping.get(v, v) for v in branch.blocks[0].returns]
    assert isinstance(pulled.type, T.TupleType)
    end = pulled.node
    if end is branch:
        (result,) = yielded
    else:  # the elements of the tuple are yielded one by one
        assert end is not None and end.kind == "prim::TupleConstruct"
        by_output: Mapping[Value, Value] = dict(zip(branch.outputs, yielded, strict=True))
        values = []
        for value in end.inputs:
            if value in by_output:
                values.append(by_output[value])
            else:
                assert value.is_constant, "a cotangent that is no result of the reverse part"
                values.append(builder.constant(value.constant, value.type))
        result = builder.tuple(values, pulled.type)
    reverse.block.terminate(YIELD, [result], graph.span)
    reverse.return_type = pulled.type
    return reverse


def _copy_constants(block: Block, builder: Builder, mapping: dict[Value, Value]) -> None:
    """Constants that stand outside of the branch."""
    pending = [block]
    while pending:
        current = pending.pop()
        for node in [*current.nodes, current.terminator]:
            pending += node.blocks
            for value in node.inputs:
                made = value.node
                if made is not None and made.kind == "prim::Constant" and value not in mapping:
                    if not _is_inside(made, block):
                        copy = copy_node(made, mapping)
                        builder.block.append(copy)


def _is_inside(node: Node, block: Block) -> bool:
    current = node.block
    while current is not None:
        if current is block:
            return True
        current = current.parent
    return False


def _check_results(forward: Graph, kept: Sequence[Value], found: Differentiated) -> None:
    """Refuse frames that hold results of which the frames of the generic program hold nothing."""
    held = sources_of_values(forward, kept)
    for path, may_be_saved in zip(found.outputs, found.may_be_saved, strict=True):
        if not may_be_saved and not held.isdisjoint(sources_of(forward, path).values):
            raise NotJoined("the frame would hold a result")
