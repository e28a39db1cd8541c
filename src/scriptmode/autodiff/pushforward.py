"""Forward mode as a program: a function's results and their tangents from those of its arguments.

``pushforward_program`` makes a program that takes the arguments of the function and, for each one
that is differentiated by, its tangent, in its type::

    graph f(%x: Tensor, %n: int)   becomes   graph f.pushforward(%x: Tensor, %n: int, %dx: Tensor)
                                               -> Tuple[result, Tuple[tangents]]

There is a tangent for each part of the result (see ``result_parts``): of a list of tensors a list,
of a part that holds tensors in containers the list of their tangents, in the order of
``structures``, None of what holds none.  Such containers stand in the result as they are inside,
with cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scriptmode.analysis.effects import HIDDEN_WRITES, op_effects
from scriptmode.autodiff import dual
from scriptmode.autodiff.activity import Activity
from scriptmode.autodiff.differentiate import Leaf, analyse, program_of
from scriptmode.autodiff.dual import MAYBE, TENSORS, has_cells
from scriptmode.autodiff.effects import effects_of
from scriptmode.autodiff.forward import Forward, forward_name, like, tangent_type
from scriptmode.autodiff.mutation import Versions
from scriptmode.autodiff.paths import IN_CONTAINERS, Key, Path, result_parts
from scriptmode.autodiff.prepare import check, written_in
from scriptmode.autodiff.problems import NotDifferentiable
from scriptmode.autodiff.pushed import PUSHED
from scriptmode.autodiff.recursion import Called
from scriptmode.autodiff.structures import cell_lists, root_of
from scriptmode.ir import types as T
from scriptmode.ir.graph import Graph, Program, Value, callees
from scriptmode.ops.table import Effect


@dataclass
class Pushforward:
    """The program, and what its results are.

    ``plain`` is the type of the function's result, without cells, ``parts`` are the parts of it,
    ``returned`` the numbers of the parameters that stand behind the result proper in it, as they
    are in the end.  ``uses_torch`` tells whether torch's forward mode runs some ops.
    """

    program: Program
    plain: T.Type
    parts: list[tuple[Path, T.Type]]
    returned: list[int]
    uses_torch: bool
    is_random: bool
    has_effects: bool


def pushforward_program(
    program: Program, name: str, places: Sequence[tuple[int, Path]]
) -> Pushforward:
    """The program for tangents of the tensors at ``places``, a number of an argument and a path.

    Raises NotDifferentiable.
    """
    chosen: list[tuple[Value, Path, Key]] = []

    def roots(graph: Graph, leaves: Sequence[Leaf]) -> list[Key]:
        own = graph.params[1:] if program.self_object is not None else graph.params
        chosen.extend((own[n], path, root_of(own[n], path)) for n, path in places)
        return [key for _, _, key in chosen]

    found = analyse(program, name, roots)
    graph, functions = found.graph, found.functions
    for part, by, versions in found.parts:
        check(part, Activity(part, by), set(), versions, True)
    writes = any(_writes(part, versions) for part, _, versions in found.parts)
    forms = [_form(function, functions) for function in functions.values()]
    forward = Forward(graph, found.roots, found.versions, functions)
    _take_tangents(forward, chosen)
    forward.run()
    plain, parts = _end(forward, found.structures.result)
    for form, function in zip(forms, functions.values(), strict=True):
        form.end()
        function.graph.name = forward_name(function.source)
    forward.end()
    graph.name = f"{name}.pushforward"
    graph.kwarg_only.clear()
    graph.defaults.clear()
    called = [f.graph for f in functions.values()]
    made = program_of(graph, program, [*called, *found.structures.graphs])
    made.captures = program.captures
    returned = found.structures.returned
    return _described(made, plain, parts, returned, writes)


def _writes(graph: Graph, versions: Versions) -> bool:
    """Whether a function may write tensors that are not its own."""
    kinds = {node.schema.name for node in graph.walk() if node.schema is not None}
    return bool(written_in(graph, versions.nodes)) or not kinds.isdisjoint(HIDDEN_WRITES)


def _described(
    made: Program, plain: T.Type, parts: list[tuple[Path, T.Type]], returned: list[int],
    writes: bool,
) -> Pushforward:  # fmt: skip
    graphs = list(made.functions.values())
    uses_torch = any(name.startswith(PUSHED) for graph in graphs for name in callees(graph))
    has_effects = writes or any(effects_of(g).is_any or g.find_all("prim::warn") for g in graphs)
    if has_effects and (uses_torch or returned):
        # an op that torch cannot push is found out in the middle of a call
        raise NotDifferentiable("effects beside an op without a rule for tangents", graphs[0].span)
    kinds = {n.kind for graph in graphs for n in graph.walk() if n.kind.startswith("aten::")}
    is_random = any(op_effects(kind) & Effect.IO for kind in kinds)
    return Pushforward(made, plain, parts, returned, uses_torch, is_random, has_effects)


def _form(function: Called, functions: dict[str, Called]) -> Forward:
    """Let a recursive function take and give tangents."""
    graph = function.graph
    forward = Forward(graph, function.roots, function.versions, functions)
    for number, (param, path) in enumerate(function.roots):
        t = tangent_type(param.type, path)
        forward.of[param, path] = graph.add_param(t, f"tangent.{number}")
    forward.run()
    (result,) = graph.block.returns
    end = graph.block.terminator
    with forward.before(end) as builder:
        found = [forward.tangent(result, path) for path in function.results]
        both = builder.tuple([result, builder.tuple(found)])
    types = [tangent_type(result.type, path) for path in function.results]
    both.type = T.TupleType([result.type, T.TupleType(types)])
    assert both.node is not None
    both.node.inputs[1].type = both.type.elements[1]
    end.set_input(0, both)
    graph.return_type = both.type
    return forward


def _take_tangents(forward: Forward, chosen: Sequence[tuple[Value, Path, Key]]) -> None:
    """Let tangents be parameters, in the types of the arguments."""
    graph = forward.graph
    first = graph.block.first
    assert first is not None
    params: dict[Value, Value] = {}
    with forward.before(first) as builder:
        for param, path, key in chosen:
            if param not in params:
                params[param] = graph.add_param(param.type, f"tangent.{param.name}")
            found = params[param]
            if path == IN_CONTAINERS:
                forward.structures[key[0]] = found
                continue
            for index in path:
                if not isinstance(found.type, T.TupleType):
                    raise NotDifferentiable(f"an argument of type {param.type}", graph.span)
                found = builder.tuple_index(found, index)
            forward.of[key] = found


def _end(forward: Forward, plain: T.Type | None) -> tuple[T.Type, list[tuple[Path, T.Type]]]:
    """Let the graph return tangents too."""
    graph = forward.graph
    (result,) = graph.block.returns
    cells = {call.attributes["path"]: call.output for call in cell_lists(graph)}
    parts = list(result_parts(result.type))
    end = graph.block.terminator
    with forward.before(end) as builder:
        found = []
        for path, t in parts:
            if path in cells:
                listed = T.ListType([MAYBE])
                found.append(builder.call(dual.READ, [cells[path]], listed))
            elif has_cells(t):
                raise NotDifferentiable(f"a result of type {t}", graph.span)
            elif t == TENSORS:
                found.append(forward.tangent(_made(result, path)))
            elif T.unwrap_optional(t) == T.TENSOR:
                found.append(_finished(forward, result, path))
            else:
                found.append(builder.constant(None))
        both = builder.tuple([result, builder.tuple(found)])
    end.set_input(0, both)
    graph.return_type = both.type
    return plain or result.type, parts


def _made(result: Value, path: Path) -> Value:
    """The list at ``path`` of the result."""
    for index in path:
        node = result.node
        if node is None or node.kind != "prim::TupleConstruct":
            span = result.block.graph.span if result.block.graph else result.block.terminator.span
            raise NotDifferentiable("a list in a tuple that is made elsewhere", span)
        result = node.inputs[index]
    return result


def _finished(forward: Forward, result: Value, path: Path) -> Value:
    """The tangent of a tensor of the result, in the form of the tensor."""
    tangent, value = forward.tangent(result, path), result
    for index in path:
        value = forward.builder.tuple_index(value, index)
    if value.type == T.TENSOR and tangent.type == T.TENSOR:
        return forward.apply(like, tangent, value)
    return tangent
