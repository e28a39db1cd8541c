"""Bring a function into the form that ``transform`` takes, or say why that cannot be.

``prepare(program, name)`` gives a copy of the function in which every call is inlined, every block
ends with its Yield, and each tensor of a module is read once, at the start.  What has no such form
raises ``NotDifferentiable``: such programs record torch's own tape instead.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from scriptmode.analysis.effects import HIDDEN_WRITES, op_effects
from scriptmode.autodiff.activity import PULLED, TAPED, Activity, is_taped
from scriptmode.autodiff.decompose import decompose
from scriptmode.autodiff.dual import (
    CELL,
    CELLS,
    DUAL,
    INDICES,
    TO_DUALS,
    TO_TENSORS,
    has_cells,
    is_shadow,
)
from scriptmode.autodiff.dualize import dualize
from scriptmode.autodiff.effects import check_effects, drop_same_assignments, module_path
from scriptmode.autodiff.grad_modes import unwrap_regions
from scriptmode.autodiff.mutation import WRITTEN, Versions, is_write
from scriptmode.autodiff.paths import Path, result_parts, tensor_paths
from scriptmode.autodiff.problems import NotDifferentiable
from scriptmode.autodiff.recorded import RECORDS, STRIPS, is_pulled, is_recorded, needs_recording
from scriptmode.autodiff.recursion import (
    CHECKPOINTED,
    Called,
    check_signature,
    give_leaves,
    is_no_checkpoint,
    left_calls,
    mark_calls,
    separate_checkpoints,
)
from scriptmode.autodiff.rule import LINEAR, has_rules, is_linear, is_without_gradient, rules_of
from scriptmode.autodiff.structures import FILL, FLAT, Structures, is_structural
from scriptmode.ir import types as T
from scriptmode.ir.graph import Block, Graph, Node, Program, Value, copy_graph
from scriptmode.ops.table import Effect
from scriptmode.passes.cse import eliminate_common_subexpressions
from scriptmode.passes.dce import eliminate_dead_code
from scriptmode.passes.fold import fold_constants
from scriptmode.passes.inline import inline_calls
from scriptmode.passes.licm import hoist_loop_invariants
from scriptmode.passes.rewrite import apply_rules
from scriptmode.passes.simplify_control_flow import simplify_control_flow
from scriptmode.passes.structure_exits import structure_exits

TENSORS = T.ListType([T.TENSOR])
_OWN = (TO_DUALS, TO_TENSORS, WRITTEN, *RECORDS, *STRIPS)  # functions that autodiff itself calls
_MOST_NODES = 20_000
_NEVER = (
    "prim::Call", "prim::Try", "prim::Fork", "prim::Defer", "prim::Wait", "prim::python_call",
    "prim::CreateObject", "autograd::grad",
)  # fmt: skip
# what a forward program, which records nothing, would answer otherwise
_ASKING = (
    "tensor::requires_grad", "tensor::is_leaf", "tensor::grad", "torch::is_grad_enabled",
    "aten::requires_grad_", "aten::retain_grad", "aten::is_leaf", "aten::set_data",
    "aten::_version",
)  # fmt: skip
_PRINTING = ("prim::print", "prim::str", "prim::repr", "prim::format")


@dataclass
class Prepared:
    """A function in one structured piece, and the recursive ones that it calls."""

    graph: Graph
    functions: dict[str, Called]
    structures: Structures


def prepare(program: Program, name: str) -> Prepared:
    """Prepare the function."""
    copies = Program(name)
    copies.classes, copies.enums = program.classes, program.enums
    copies.named_tuples, copies.globals = program.named_tuples, program.globals
    for other, graph in program.functions.items():
        if other.startswith(PULLED) or other in LINEAR:
            continue  # its calls stay calls
        copies.functions[other] = copy_graph(graph)
        unwrap_regions(copies.functions[other])
        structure_exits(copies.functions[other], copies)
    separate_checkpoints(copies)
    graph = copies.functions[name]
    inline_calls(graph, copies, _MOST_NODES, _MOST_NODES, is_no_checkpoint)
    called = {name: copies.functions[name] for name in left_calls(graph, copies)}
    if name in called:  # an entry that calls itself: its calls are of a copy
        graph = copy_graph(graph)
    for function in called.values():
        if function.name.endswith(CHECKPOINTED):
            inline_calls(function, copies, _MOST_NODES, _MOST_NODES)
        else:
            inline_calls(function, copies, _MOST_NODES, _MOST_NODES, is_no_checkpoint)
    called = {name: copies.functions[name] for name in left_calls(graph, copies)}
    whole = [graph, *called.values()]
    for function in whole:
        decompose(function)
        fold_constants(function)
        apply_rules(function)
        simplify_control_flow(function, copies)
    for function in called.values():
        check_signature(function)
        if function.name.endswith(CHECKPOINTED) and left_calls(function, copies):
            raise NotDifferentiable("recursion in a checkpoint", function.span)
    leaves = give_leaves(graph, called)
    _lift_module_tensors(graph)
    structures = Structures()
    for function in whole:
        eliminate_common_subexpressions(function, copies)
        hoist_loop_invariants(function, copies)
        eliminate_dead_code(function, copies)
        dualize(function, structures, called, function is not graph)
        mark_calls(function, called)
    for function in called.values():
        function.name += TAPED
    functions = {f.name: Called(f, leaves[name]) for name, f in called.items()}
    for found in functions.values():
        found.is_checkpoint = found.source.endswith(CHECKPOINTED)
        kinds = {n.kind for n in found.graph.walk() if n.kind.startswith("aten::")}
        found.is_random = any(op_effects(kind) & Effect.IO for kind in kinds)
    return Prepared(graph, functions, structures)


def leaves_of(graph: Graph) -> list[tuple[Value, tuple[str, ...]]]:
    """The tensors of modules that the graph reads, with the names that lead to them."""
    found = []
    for node in graph.block.nodes:
        if node.kind == "prim::GetAttr" and T.unwrap_optional(node.output.type) == T.TENSOR:
            path = module_path(node.output)
            if path is not None:
                found.append((node.output, path))
    return found


def _lift_module_tensors(graph: Graph) -> None:
    """Read every tensor of a module once, at the start of the function."""
    known: dict[tuple[str, ...], Value] = {}
    drop_same_assignments(graph)
    written = {
        n.attributes["name"]
        for n in graph.find_all("prim::SetAttr")
        if not T.is_instance_type(n.inputs[0].type)
    }
    for node in list(graph.walk()):
        if node.kind != "prim::GetAttr" or T.unwrap_optional(node.output.type) != T.TENSOR:
            continue
        path = module_path(node.output)
        if path is None or node.attributes["name"] in written:
            continue
        found = known.get(path)
        if found is None:
            found = known[path] = _read_at_start(graph, path, node)
        node.output.replace_all_uses_with(found)
        node.erase()


def _read_at_start(graph: Graph, path: tuple[str, ...], node: Node) -> Value:
    chain: list[Node] = [node]
    while chain[-1].inputs[0].node is not None:
        owner = chain[-1].inputs[0].node
        assert owner is not None
        chain.append(owner)
    value = chain[-1].inputs[0]
    first = graph.block.first
    assert first is not None
    for step in reversed(chain):
        copy = Node(
            step.kind, [value], [step.output.type],
            attributes=step.attributes, span=step.span, scope=step.scope,
        )  # fmt: skip
        value = copy.insert_before(first).output
    value.name = "_".join(path)
    return value


def _check_effects(node: Node, graph: Graph) -> None:
    """Refuse what may not happen twice: a second derivative runs the program again."""
    if not (node.kind == "prim::SetAttr" and _is_own_object(node.inputs[0], graph)):
        check_effects(node, graph.name.endswith(CHECKPOINTED + TAPED))
    schema = node.schema
    if schema is None or schema.namespace in ("aten", "torch", "iterator"):
        return
    given = _given_containers(graph)
    for argument, value in zip(schema.arguments, node.inputs, strict=True):
        if argument.alias is not None and argument.alias.is_write and value.type in given:
            raise NotDifferentiable(f"{node.kind} of what may be an argument", node.span)


def _is_own_object(value: Value, graph: Graph) -> bool:
    """Whether an object was made by the function."""
    if is_shadow(value.type):
        return True
    attributes = [n.output.type for n in _walk(graph.block) if n.kind == "prim::GetAttr"]
    given = [part for t in (*(p.type for p in graph.params), *attributes) for part in T.walk(t)]
    return T.is_instance_type(value.type) and not any(map(T.is_instance_type, given))


def _given_containers(graph: Graph) -> set[T.Type]:
    """The types of containers that the function does not make itself."""
    attributes = [n.output.type for n in _walk(graph.block) if n.kind == "prim::GetAttr"]
    return {
        part
        for t in (*(p.type for p in graph.params), *attributes)
        for part in T.walk(t)
        if isinstance(part, T.CONTAINERS) and not has_cells(part)
    }


def check(
    graph: Graph,
    activity: Activity,
    modes: Collection[Node],
    versions: Versions,
    is_pure: bool = False,
) -> None:
    """Raise NotDifferentiable for what ``transform`` does not take.

    ``modes`` are the nodes that may set the grad mode.  With ``is_pure``, ops that torch's tape
    must record are recorded by their reverse.
    """
    for node in _walk(graph.block):
        is_own = node.attributes.get("callee") in _OWN or is_taped(node) or _makes_object(node)
        is_own = is_own or is_structural(node) or is_pulled(node) or is_linear(node)
        if node.kind in _NEVER and not is_own:
            raise NotDifferentiable(f"{node.kind} is not differentiated", node.span)
        if node.kind.partition(".")[0] in _ASKING and node not in modes:
            raise NotDifferentiable(f"{node.kind} asks what the tape knows", node.span)
        if node.kind in _PRINTING and any(T.TENSOR in T.walk(v.type) for v in node.inputs):
            raise NotDifferentiable("the text of a tensor names its gradient", node.span)
        sets_mode = node.kind.startswith(("torch::set_", "torch::enter_", "torch::guard_"))
        if sets_mode and node not in modes:
            raise NotDifferentiable("a region of another grad mode", node.span)
        if node.kind == "prim::Global":
            raise NotDifferentiable("a captured object", node.span)
        is_read = node.kind == "prim::GetAttr" and not is_shadow(node.inputs[0].type)
        if is_read and T.TENSOR in T.walk(node.output.type):
            if node.block is not graph.block or module_path(node.output) is None:
                raise NotDifferentiable("a tensor of a module that is assigned", node.span)
        _check_effects(node, graph)
        _check_values(node, activity)
        if node not in versions.nodes:
            _check_writes(node, graph, activity, versions)
        if node.schema is not None and any(activity.any_in(o) for o in node.outputs):
            if not (is_pure and needs_recording(node, activity, True)):
                _check_rules(node, activity)
    if not graph.name.endswith(TAPED):
        (result,) = graph.block.returns
        _check_result(graph, result, activity)


def _makes_object(node: Node) -> bool:
    return node.kind == "prim::CreateObject" and not T.is_exception(node.output.type)


def _walk(block: Block) -> Iterator[Node]:
    for node in block.nodes:
        yield node
        for inner in node.blocks:
            yield from _walk(inner)


def _check_values(node: Node, activity: Activity) -> None:
    for value in node.outputs:
        t = T.unwrap_optional(value.type)
        if T.TENSOR not in T.walk(t) or DUAL in T.walk(t) or t in (CELL, CELLS):
            continue
        if t in (TENSORS, T.VarTupleType([T.TENSOR])) and not node.blocks:
            continue
        if t == INDICES and not any(map(activity.any_in, node.inputs)):
            continue
        if node.kind == "prim::TupleConstruct" and all(u.node.is_terminator for u in value.uses):
            continue  # the result: see _check_result
        if list(T.walk(t)).count(T.TENSOR) != len(list(tensor_paths(t))):
            raise NotDifferentiable(f"a value of type {value.type}", node.span)


def _check_writes(node: Node, graph: Graph, activity: Activity, versions: Versions) -> None:
    if node.kind in ("prim::SetAttr", "prim::DelAttr", "prim::CellSet", "prim::CellDelete"):
        is_own = node.inputs[0].type == CELL or has_cells(node.inputs[0].type)
        if not is_own and any(T.TENSOR in T.walk(v.type) for v in node.inputs[1:]):
            raise NotDifferentiable("a tensor is stored in an object", node.span)
    schema = node.schema
    if schema is None:
        return
    for value in _written_tensors(node):
        origins = Sources(graph)
        origins.follow(value, (), False)
        is_argument = any(v.definition is graph.block for v in origins.values)
        carries = any(map(activity.any_in, (*node.inputs, *origins.values)))
        if value.type != T.TENSOR or is_argument or carries:
            reason = versions.reasons.get(node, "a write of a tensor")
            raise NotDifferentiable(f"{node.kind}: {reason}", node.span)


def _written_tensors(node: Node) -> Iterator[Value]:
    """The tensors, or lists of them, that an op of torch says it writes."""
    schema = node.schema
    if schema is None:
        return
    hidden = HIDDEN_WRITES.get(schema.name, ())
    for argument, value in zip(schema.arguments, node.inputs, strict=True):
        if argument.alias is not None and argument.alias.is_write and argument.name not in hidden:
            if value.type == T.TENSOR or (value.type == TENSORS and node.kind[:6] == "aten::"):
                yield value


def written_in(graph: Graph, followed: Collection[Node] = ()) -> list[Value]:
    """The tensors that the graph writes, other than by ``followed`` nodes."""
    nodes = [node for node in _walk(graph.block) if node not in followed]
    return [value for node in nodes for value in _written_tensors(node)]


def _check_rules(node: Node, activity: Activity) -> None:
    if not node.kind.startswith("aten::") or is_without_gradient(node.kind):
        return
    if is_recorded(node):
        return
    if not has_rules(node.kind):
        raise NotDifferentiable(f"{node.kind} has no rule", node.span)
    rules = rules_of(node.kind)
    assert node.schema is not None
    for argument, value in zip(node.schema.arguments, node.inputs, strict=True):
        if activity.any_in(value) and argument.name not in rules:
            raise NotDifferentiable(f"{node.kind} has no rule for {argument.name}", node.span)


def _check_result(graph: Graph, result: Value, activity: Activity) -> None:
    for path, t in result_parts(result.type):
        if t == T.TENSOR or T.unwrap_optional(t) == T.TENSOR or t == TENSORS:
            _check_fresh(result, path, graph)
        elif has_cells(t):
            _check_stored(graph)
        elif T.TENSOR in T.walk(t):
            raise NotDifferentiable(f"a result of type {result.type}", graph.span)


def sources_of(graph: Graph, path: Path) -> Sources:
    """What a tensor of the (first part of the) result may be or view."""
    (result,) = graph.block.returns
    found = Sources(graph)
    t = result.type
    if isinstance(t, T.TupleType) and any(isinstance(e, T.CellType) for e in t.elements):
        path = (0, *path)  # the forward graph returns its frame too
    if any(has_cells(part) for at, part in result_parts(result.type) if at == path):
        found.follow_stored(False)
    else:
        found.follow(result, path, False)
    return found


def sources_of_values(graph: Graph, values: Iterable[Value]) -> set[Value]:
    """The values that tensors, and elements of lists of them, may be or view."""
    found = Sources(graph)
    for value in values:
        if T.unwrap_optional(value.type) == T.TENSOR or value.type == TENSORS:
            found.follow(value, (), False)
        elif has_cells(value.type):
            found.follow_stored(False)
    return found.values


class Sources:
    """Follows tensors back to where they were made."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.seen: set[tuple[Value, bool]] = set()
        self.views_argument = False
        self.unknown: Node | None = None
        self.called = False  # whether it may come from a recursive function

    @property
    def values(self) -> set[Value]:
        """All that was visited."""
        return {value for value, _ in self.seen}

    def follow(self, value: Value, path: Path, viewed: bool) -> None:
        """Visit what ``value`` may be; ``viewed``: behind a view."""
        if (value, viewed) in self.seen:
            return
        self.seen.add((value, viewed))
        node = value.node
        if node is None or (node.kind == "prim::GetAttr" and module_path(value) is not None):
            owner = value.block.owner
            if owner is None or node is not None:
                self.views_argument |= viewed
                return
            index = value.block.params.index(value) - 1
            self.follow(owner.inputs[2 + index], path, viewed)
            self.follow(value.block.returns[1 + index], path, viewed)
            return
        match node.kind:
            case "prim::If" | "prim::Loop":
                index = node.outputs.index(value)
                offset = 0 if node.kind == "prim::If" else 1
                if node.kind == "prim::Loop":
                    self.follow(node.inputs[2 + index], path, viewed)
                for block in node.blocks:
                    if block.returns:
                        self.follow(block.returns[index + offset], path, viewed)
            case "prim::TupleConstruct":
                self.follow(node.inputs[path[0]], path[1:], viewed)
            case "prim::TupleIndex" if node.inputs[0].type == DUAL:
                self.follow_stored(viewed)
            case "prim::TupleIndex":
                inside = (node.attributes["index"], *path)
                self.follow(node.inputs[0], inside, viewed)
            case "prim::unchecked_cast" | "prim::checked_cast":
                self.follow(node.inputs[0], path, viewed)
            case "list::getitem" | "tuple::as_list" | "tuple::from_list":
                self.follow(node.inputs[0], (), viewed)
            case "prim::Call" if node.attributes["callee"] in (*RECORDS, *STRIPS):
                self.follow(node.inputs[0], (), viewed)
            case "prim::Call" if node.attributes["callee"] == WRITTEN:
                self.follow(node.inputs[0], (), viewed)
            case "prim::Call" if str(node.attributes["callee"]).startswith(FLAT):
                self.views_argument |= viewed
            case "prim::Call" if str(node.attributes["callee"]).startswith(FILL):
                self.follow(node.inputs[0], path, viewed)
            case "prim::Call" if is_linear(node):
                self.follow(node.inputs[0], (), True)
            case "prim::Call" if is_pulled(node):
                for operand in node.inputs:  # what it gives may view its cotangents
                    if T.unwrap_optional(operand.type) == T.TENSOR or operand.type == TENSORS:
                        self.follow(operand, (), True)
            case "prim::Call" if is_taped(node):
                self.called = True
                for operand in node.inputs:
                    for inner in tensor_paths(operand.type):
                        self.follow(operand, inner, True)
            case "prim::Call":
                self.follow_stored(viewed)
            case "prim::ListConstruct":
                for element in node.inputs:
                    self.follow(element, (), viewed)
            case "prim::Constant" if node.attributes["value"] is None:
                return
            case _:
                schema = node.schema
                if schema is None or not node.kind.startswith("aten::"):
                    self.unknown = node
                elif is_write(node):
                    self.follow(node.inputs[0], (), viewed)
                elif schema.is_view or schema.name in _MAY_RETURN_INPUT:
                    self.follow(node.inputs[0], (), True)

    def follow_stored(self, viewed: bool) -> None:
        """An element of some container may be whatever was put into any."""
        for node in _walk(self.graph.block):
            if (node.kind == "prim::TupleConstruct" and node.output.type == DUAL) or (
                node.kind == "prim::Call" and node.attributes["callee"] == TO_DUALS
            ):
                self.follow(node.inputs[0], (), viewed)
            elif is_taped(node) and any(has_cells(v.type) for v in node.inputs):
                self.called = self.views_argument = True


def _check_stored(graph: Graph) -> None:
    """The same for what is in containers."""
    found = Sources(graph)
    found.follow_stored(False)
    _check_known(found)


def _check_fresh(value: Value, path: Path, graph: Graph) -> None:
    """Refuse results of which it is not known what they may view."""
    found = Sources(graph)
    found.follow(value, path, False)
    _check_known(found)


def _check_known(found: Sources) -> None:
    if found.unknown is not None:
        kind = found.unknown.kind
        raise NotDifferentiable(f"a result that is the output of {kind}", found.unknown.span)


_MAY_RETURN_INPUT = frozenset(
    f"aten::{name}"
    for name in (
        "contiguous", "to", "reshape", "flatten", "dropout", "type_as", "reshape_as", "ravel",
        "unflatten", "alpha_dropout", "feature_dropout", "expand_as", "broadcast_to", "float",
        "squeeze", "real", "conj", "resolve_conj", "resolve_neg", "positive", "chunk", "split",
        "tensor_split", "unbind", "view_as", "atleast_1d", "atleast_2d", "atleast_3d", "movedim",
        "meshgrid", "broadcast_tensors", "pin_memory", "cpu", "cuda", "_to_copy",
    )
)  # fmt: skip
