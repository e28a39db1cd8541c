"""Programs that give gradients as results: a function's forward and reverse programs in one.

``gradient_program(program, name, argnums)`` has the same parameters and returns
``(value, (gradients by the arguments, in their structure))`` for a function whose value is a
scalar tensor.
"""

from __future__ import annotations

from collections.abc import Sequence

from scriptmode.autodiff import helpers
from scriptmode.autodiff.differentiate import Leaf, differentiate, program_of
from scriptmode.autodiff.dual import TENSORS
from scriptmode.autodiff.paths import Key, root_paths
from scriptmode.autodiff.problems import NotDifferentiable
from scriptmode.autodiff.transform import Differentiated
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import YIELD, Graph, Program, Value, copy_node
from scriptmode.ops.aten import schema_of

MAYBE = T.optional_of(T.TENSOR)


def gradient_program(
    program: Program, name: str, argnums: Sequence[int], has_aux: bool = False
) -> Program:
    """The value, and the gradients by the arguments ``argnums`` (the module not counted).

    With ``has_aux``, the function returns a pair whose first part is differentiated; the value of
    the program is then that pair.  Raises NotDifferentiable.
    """
    found, chosen = _differentiated(program, name, argnums)
    if found.result is not None:
        raise NotDifferentiable(f"a result of type {found.result}", found.forward.span)
    graph, builder, result, frame = opened(found)
    if has_aux and not (isinstance(result.type, T.TupleType) and len(result.type.elements) == 2):
        raise NotDifferentiable("a function with has_aux returns a pair", graph.span)
    value = builder.tuple_index(result, 0) if has_aux else result
    if value.type != T.TENSOR:
        raise NotDifferentiable(f"a value of type {value.type} has no gradient", graph.span)
    wanted = (0,) if has_aux else ()
    one = _splice(builder, helpers.one_graph(), [value])
    given = [one if path == wanted else _nothing(builder, found, path) for path in found.outputs]
    cotangents = reversed_behind(builder, found, frame, given)
    return _close(graph, builder, program, found, result, cotangents, chosen)


def _differentiated(
    program: Program, name: str, argnums: Sequence[int]
) -> tuple[Differentiated, list[Value]]:
    chosen: list[Value] = []

    def roots(graph: Graph, leaves: Sequence[Leaf]) -> list[Key]:
        own = graph.params[1:] if program.self_object is not None else graph.params
        for number in argnums:
            if not -len(own) <= number < len(own):
                raise NotDifferentiable(f"there is no argument {number}", graph.span)
            chosen.append(own[number])
        return [(p, path) for p in dict.fromkeys(chosen) for path in root_paths(p.type)]

    found, _ = differentiate(program, name, roots)
    return found, chosen


def opened(found: Differentiated) -> tuple[Graph, Builder, Value, Value]:
    """The forward graph without its end: the result and the frame."""
    graph = found.forward
    end = graph.block.terminator
    (both,) = end.inputs
    end.erase()
    assert both.node is not None
    result, cell, flags = both.node.inputs
    both.node.erase()
    if flags.node is not None and not flags.is_used:
        flags.node.erase()
    assert cell.node is not None
    (frame,) = cell.node.inputs
    return graph, Builder(graph.block, schema_of), result, frame


def _nothing(builder: Builder, found: Differentiated, path: tuple[int, ...]) -> Value:
    number = found.outputs.index(path)
    param = found.reverse.params[len(found.reverse.params) - len(found.outputs) + number]
    if param.type == T.ListType([MAYBE]):
        raise NotDifferentiable("a list beside the value", found.forward.span)
    return builder.constant(None, MAYBE)


def _splice(builder: Builder, body: Graph, inputs: Sequence[Value]) -> Value:
    mapping = dict(zip(body.params, inputs, strict=True))
    return _append(builder, body, mapping)


def _append(builder: Builder, body: Graph, mapping: dict[Value, Value]) -> Value:
    for node in body.nodes:
        builder.block.append(copy_node(node, mapping))
    (result,) = body.block.returns
    return mapping.get(result, result)


def reversed_behind(
    builder: Builder, found: Differentiated, frame: Value, given: Sequence[Value]
) -> list[Value]:
    """The reverse graph's nodes behind the forward ones; the cotangents of the roots."""
    held, *rest = found.reverse.params
    inputs, cotangents = rest[: len(found.inputs)], rest[len(found.inputs) :]
    mapping: dict[Value, Value] = dict(zip(inputs, found.inputs, strict=True))
    mapping.update(zip(cotangents, given, strict=True))
    reading = next(u.node for u in held.uses)
    mapping[reading.output] = frame
    for node in found.reverse.nodes:
        if node is not reading:
            builder.block.append(copy_node(node, mapping))
    (result,) = found.reverse.block.returns
    made = result.node
    assert made is not None and made.kind == "prim::TupleConstruct"
    return [mapping.get(v, v) for v in made.inputs]


def _close(
    graph: Graph,
    builder: Builder,
    program: Program,
    found: Differentiated,
    result: Value,
    cotangents: Sequence[Value],
    chosen: Sequence[Value],
) -> Program:
    by_root = dict(zip(found.wrt, cotangents, strict=True))
    parts = [_structured(builder, value, value.type, (), by_root, value) for value in chosen]
    both = builder.tuple([result, builder.tuple(parts)])
    graph.block.terminate(YIELD, [both], graph.span)
    graph.return_type = both.type
    made = program_of(graph, program, found.functions)
    made.self_object, made.captures = program.self_object, program.captures
    return made


def _structured(
    builder: Builder,
    value: Value,
    t: T.Type,
    path: tuple[int, ...],
    by_root: dict[Key, Value],
    root: Value,
) -> Value:
    """The gradient of an argument: zeros where nothing depends on it."""
    if t == TENSORS:
        return _splice(builder, helpers.filled_list_graph(), [by_root[root, path], value])
    if isinstance(t, T.TupleType):
        parts = [
            _structured(builder, builder.tuple_index(value, i), e, (*path, i), by_root, root)
            for i, e in enumerate(t.elements)
        ]
        return builder.tuple(parts)
    if t != T.TENSOR:
        raise NotDifferentiable(f"an argument of type {t}", builder.span)
    cotangent = by_root[root, path]
    if cotangent.type == T.TENSOR:
        return cotangent
    return _splice(builder, helpers.filled_graph(), [cotangent, value])
