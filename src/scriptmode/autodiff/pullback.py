"""The reverse program of a function as a function of its own, which can be differentiated again.

``pullback_program`` makes a program that takes the arguments of the function, the cotangents of its
results and the tensors of modules that it reads, and gives the cotangents of the roots::

    graph f(%x: Tensor):                        graph f.pullback(%x: Tensor, %d: Tensor):
      %y: Tensor = aten::tanh(%x)    becomes      %y: Tensor = aten::tanh(%x)
      return (%y)                                 %dx: Tensor = aten::tanh_backward(%d, %y)
                                                  return (%dx)

It writes no cotangent in place, prints nothing and warns of nothing: what ``f`` does besides its
result has happened.  Ops without rules are pulled back by functions that torch's tape records when
this program is differentiated (see pulled).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from scriptmode.autodiff.differentiate import Leaf, differentiate, program_of
from scriptmode.autodiff.dual import is_shadow
from scriptmode.autodiff.effects import drop_messages
from scriptmode.autodiff.paths import Key
from scriptmode.autodiff.prepare import sources_of_values, written_in
from scriptmode.autodiff.problems import NotDifferentiable
from scriptmode.autodiff.programs import opened, reversed_behind
from scriptmode.ir import types as T
from scriptmode.ir.graph import YIELD, Graph, Node, Program, Value
from scriptmode.ops.aten import schema_of


def pullback_program(
    program: Program,
    name: str,
    roots_of: Callable[[Graph, Sequence[Leaf]], Sequence[Key]],
    given: Sequence[bool],
) -> Program:
    """The program; ``given`` tells which cotangents are not None.  Raises NotDifferentiable."""
    found, leaves = differentiate(program, name, roots_of, given)
    span = found.forward.span
    if found.returned:
        raise NotDifferentiable("a second derivative of changes of arguments", span)
    for part in (found.forward, found.reverse):
        if any(is_shadow(T.unwrap_optional(v.type)) for n in part.walk() for v in n.outputs):
            raise NotDifferentiable("a second derivative of objects", span)
    graph, builder, _, frame = opened(found)
    drop_messages(graph)
    cotangents = found.reverse.params[len(found.reverse.params) - len(found.outputs) :]
    own = [graph.add_param(p.type, f"d.{len(graph.params)}") for p in cotangents]
    parts = builder.tuple(reversed_behind(builder, found, frame, own))
    graph.block.terminate(YIELD, [parts], span)
    graph.return_type = parts.type
    _take_leaves(graph, [value for value, _ in leaves])
    graph.name = f"{name}.pullback"
    graph.kwarg_only.clear()
    made = program_of(graph, program, found.functions)
    made.self_object, made.captures = program.self_object, program.captures
    return made


def _take_leaves(graph: Graph, leaves: Sequence[Value]) -> None:
    """Let what is read of modules be parameters; what is written is a copy of one."""
    written = sources_of_values(graph, written_in(graph))
    first = graph.block.first
    assert first is not None
    for value in leaves:
        param = graph.add_param(value.type, f"leaf.{len(graph.params)}")
        reading = value.node
        assert reading is not None
        if value in written:
            nothing = Node("prim::Constant", (), [T.NONE], attributes={"value": None},
                           span=reading.span).insert_before(first)  # fmt: skip
            schema = schema_of("aten::clone")
            copy = Node("aten::clone", [param, nothing.output], [T.TENSOR], schema=schema,
                        span=reading.span)  # fmt: skip
            param = copy.insert_before(first).output
        value.replace_all_uses_with(param)
        reading.erase()
