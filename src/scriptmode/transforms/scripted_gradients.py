"""``scriptmode.grad`` and ``value_and_grad`` inside compiled programs.

::

    def step(w, x):
        value, dw = scriptmode.value_and_grad(loss)(w, x)
        return w - 0.1 * dw

The function is compiled with the program and recorded on torch's tape, without Python; libtorch
walks the tape (``autograd::grad``).  The result is differentiable again where grad mode is on and
an argument, a parameter of the function's module, or what the function captures requires a
gradient.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.handlers import CALLS, OBJECT_CALLS
from scriptmode.frontend.script.iteration import items_of
from scriptmode.frontend.script.values import (
    Arguments,
    BoundMethod,
    Constant,
    IRValue,
    ModuleValue,
    PythonObject,
    Sugared,
    TupleDisplay,
)
from scriptmode.ir import types as T
from scriptmode.ir.graph import Node, Program, Value, callees
from scriptmode.ops.aten import schema_of
from scriptmode.transforms import gradients


@dataclass(eq=False)
class GradientFunction(Sugared):
    """``scriptmode.grad(function, argnums, has_aux)``."""

    function: Sugared
    argnums: tuple[int, ...]
    is_single: bool
    has_aux: bool
    with_value: bool

    def parts(self) -> tuple[Sugared, ...]:
        return (self.function,)

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        return GradientFunction(
            parts[0], self.argnums, self.is_single, self.has_aux, self.with_value
        )

    def key(self) -> Any:
        return (self.argnums, self.is_single, self.has_aux, self.with_value)


def _make(name: str, with_value: bool) -> Any:
    def make(e: Emitter, given: Arguments) -> Sugared:
        names = ("func", "argnums", "has_aux")
        bound = {**dict(zip(names, given.positional, strict=False)), **given.keywords}
        if "func" not in bound or len(given.positional) > 3 or set(bound) - set(names):
            e.fail_type(f"scriptmode.{name}() takes a function, argnums and has_aux")
        argnums = _constant(e, bound.get("argnums", Constant(0)), name)
        has_aux = _constant(e, bound.get("has_aux", Constant(False)), name)
        is_single = isinstance(argnums, int)
        chosen = (argnums,) if is_single else tuple(argnums)
        return GradientFunction(bound["func"], chosen, is_single, bool(has_aux), with_value)

    return make


OBJECT_CALLS(gradients.grad)(_make("grad", False))
OBJECT_CALLS(gradients.value_and_grad)(_make("value_and_grad", True))


def _constant(e: Emitter, value: Sugared, name: str) -> Any:
    items = None if isinstance(value, Constant) else items_of(e, value)
    if items is not None:
        return [_constant(e, item, name) for item in items]
    if not isinstance(value, Constant):
        e.fail_type(f"argnums and has_aux of scriptmode.{name}() must be known at compile time")
    return value.value


@CALLS(GradientFunction)
def _call(e: Emitter, value: GradientFunction, given: Arguments) -> Sugared:
    if given.keywords:
        e.fail_type("the arguments of a gradient function are positional")
    arguments = list(given.positional)
    outside = Node("prim::Constant", (), [T.BOOL], attributes={"value": False})
    e.builder.block.append(outside)
    again = _counts(e, [value.function, *arguments], e.lift(outside.output))
    own: list[Sugared] = []
    chosen: list[Sugared] = []
    for number in value.argnums:
        if not -len(arguments) <= number < len(arguments):
            e.fail_type(f"there is no argument {number} to differentiate by")
        arguments[number] = _variables(e, arguments[number], own)
        chosen.append(arguments[number])
    function = with_aux if value.has_aux else without_aux
    parts = [value.function, TupleDisplay(tuple(own)), again, *arguments]
    block = e.builder.block
    result = e.call(PythonObject(function), Arguments(parts, {}))
    for call in [n for n in block.reversed_nodes if n.kind == "prim::Call"][:1]:
        known = {v.value for a in (again, *arguments, *own) for v in _values(e, a)}
        _find_outside(e.unit.program, call, known, outside)
    values = items_of(e, result)
    assert values is not None
    *outputs, found = values
    cotangents = items_of(e, found)
    assert cotangents is not None
    remaining = iter([e.call(PythonObject(filled), Arguments([c, x], {}))
                      for c, x in zip(cotangents, own, strict=True)])  # fmt: skip
    slopes = [_structured(e, argument, remaining) for argument in chosen]
    slope = slopes[0] if value.is_single else TupleDisplay(tuple(slopes))
    if value.has_aux:
        output, aux = outputs
        if value.with_value:
            return TupleDisplay((TupleDisplay((output, aux)), slope))
        return TupleDisplay((slope, aux))
    return TupleDisplay((outputs[0], slope)) if value.with_value else slope


# ---- whether the result may depend on what requires a gradient itself


def _counts(e: Emitter, values: Sequence[Sugared], outside: Sugared) -> Sugared:
    """Whether grad mode is on and any of the values, or what is found later, counts."""
    flags = [outside]
    for value in values:
        if isinstance(value, BoundMethod):
            value = value.owner
        if isinstance(value, ModuleValue):
            flags.append(e.call(PythonObject(module_counts), Arguments([value], {})))
        else:
            flags += [_flag(e, v) for v in _values(e, value) if T.TENSOR in T.walk(v.value.type)]
    found = e.call(PythonObject(torch.is_grad_enabled), Arguments([], {}))
    anything = flags[0]
    for flag in flags[1:]:
        anything = e.call(PythonObject(either), Arguments([anything, flag], {}))
    return e.call(PythonObject(both), Arguments([found, anything], {}))


def _flag(e: Emitter, value: IRValue) -> Sugared:
    t = value.value.type
    if t == T.TENSOR:
        return e.call(PythonObject(counts), Arguments([value], {}))
    if t == T.ListType([T.TENSOR]):
        return e.call(PythonObject(any_counts), Arguments([value], {}))
    return Constant(True)


def _values(e: Emitter, value: Sugared) -> Iterator[IRValue]:
    """The values of the program in an argument."""
    if isinstance(value, IRValue):
        yield value
        return
    if isinstance(value, TupleDisplay):
        for item in items_of(e, value) or ():
            yield from _values(e, item)


def _find_outside(program: Program, call: Node, known: Collection[Value], outside: Node) -> None:
    """Look for what else a function depends on: variables of functions around, captured tensors."""
    further = [v for v in call.inputs if v not in known and T.TENSOR in T.walk(v.type)]
    if _reads_outside(program, call.attributes["callee"]) or any(
        v.type != T.TENSOR or not _is_before(v, outside) for v in further
    ):
        outside.attributes["value"] = True
        return
    if not further:
        return
    flag = outside.output
    for value in further:
        kind = "tensor::requires_grad"
        asked = Node(kind, [value], [T.BOOL], schema=schema_of(kind), span=call.span)
        asked.insert_after(outside)
        joined = Node("bool::or", [outside.output, asked.output], [T.BOOL],
                      schema=schema_of("bool::or"), span=call.span)  # fmt: skip
        uses = flag.uses
        joined.insert_after(asked)
        for use in uses:
            if use.node is not joined:
                use.node.set_input(use.index, joined.output)
        flag = outside.output


def _is_before(value: Value, anchor: Node) -> bool:
    """Whether a value is known at ``anchor``."""
    node = value.node
    if node is None or node.block is not anchor.block:
        return True
    step: Node | None = anchor
    while step is not None and step is not node:
        step = step.previous
    return step is node


def _reads_outside(program: Program, name: str) -> bool:
    """Whether a function reads captured objects, or captured tensors that require a gradient."""
    names = [name]
    for each in names:
        graph = program.functions[each]
        for node in graph.walk():
            if node.kind == "prim::Global":
                return True
            if node.kind == "prim::Constant":
                constant = node.attributes["value"]
                if isinstance(constant, Tensor) and constant.requires_grad:
                    return True
        names += [c for c in callees(graph) if c not in names]
    return False


def _variables(e: Emitter, argument: Sugared, own: list[Sugared]) -> Sugared:
    """An argument with its tensors as variables of the tape, which are added to ``own``."""
    if e.type_of(argument) == T.TENSOR:
        made = e.call(PythonObject(variable), Arguments([argument], {}))
        own.append(made)
        return made
    items = items_of(e, argument)
    if items is None:
        e.fail_type(
            f"no gradient by an argument of type {e.type_of(argument)} in compiled code",
            help="pass tensors, or tuples of tensors",
        )
    return TupleDisplay(tuple(_variables(e, item, own) for item in items))


def _structured(e: Emitter, argument: Sugared, remaining: Any) -> Sugared:
    if e.type_of(argument) == T.TENSOR:
        found: Sugared = next(remaining)
        return found
    items = items_of(e, argument)
    assert items is not None
    return TupleDisplay(tuple(_structured(e, item, remaining) for item in items))


# ---- in the script language


def counts(x: Tensor) -> bool:
    """Whether a tensor requires a gradient."""
    return x.requires_grad


def any_counts(tensors: list[Tensor]) -> bool:
    """Whether any of these does."""
    return any(x.requires_grad for x in tensors)


def module_counts(module) -> bool:  # type: ignore[no-untyped-def]
    """Whether any parameter of a module does."""
    return any([p.requires_grad for p in module.parameters()])  # noqa: C419  (several are unrolled)


def either(a: bool, b: bool) -> bool:
    """Whether one of two is true."""
    return a or b


def both(a: bool, b: bool) -> bool:
    """Whether both are true."""
    return a and b


def variable(x: Tensor) -> Tensor:
    """A tensor to differentiate by: itself where it has a history that counts."""
    if torch.is_grad_enabled() and x.requires_grad:
        return x
    return x.detach().requires_grad_()


def filled(cotangent: Tensor | None, x: Tensor) -> Tensor:
    """A gradient: zeros where nothing depends on ``x``."""
    return torch.zeros_like(x) if cotangent is None else cotangent


def without_aux(function, own, again, *args):  # type: ignore[no-untyped-def]
    """The value of a function, and its gradients by ``own``."""
    with torch.enable_grad():
        value = function(*args)
        found = torch.autograd.grad(value, own, create_graph=again, allow_unused=True)
    return value if again else value.detach(), found


def with_aux(function, own, again, *args):  # type: ignore[no-untyped-def]
    """The same for a function that returns a pair."""
    with torch.enable_grad():
        value, aux = function(*args)
        found = torch.autograd.grad(value, own, create_graph=again, allow_unused=True)
    return value if again else value.detach(), aux, found
