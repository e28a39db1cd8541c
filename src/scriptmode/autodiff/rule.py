"""The table of derivatives: functions in the script language, found by the schema of their op.

::

    @vjp("aten::tanh(Tensor self) -> Tensor", "self")
    def tanh(grad: Tensor, result: Tensor) -> Tensor:
        return grad * (1 - result.conj() * result)

gives the cotangent of ``self`` from that of the result.  What a rule's parameters are called says
what they are:

``grad``, ``grad0``, ``grad1``     the cotangent of the only result, of result 0, of result 1
``result``, ``result0``, ...       results of the op
``NAME``                         the argument of that name
``NAME_shape``, ``NAME_dtype``     the shape or dtype of an argument or result, saved in its place
``NAME_form``                      both, or None where they are those of the result

Whatever else a parameter names is an error.  Only what the rules in use name is kept for the
reverse program.  A rule for several arguments at once returns a tuple, and may have a parameter
``needed: list[bool]``, which of them are asked for.  A cotangent that is None is zero.

``adds`` enters a second form of a rule, which adds to a sum that only the reverse program holds::

    @adds("aten::select.int(Tensor(a) self, int dim, SymInt index) -> Tensor(a)", "self")
    def select_into(into: Tensor | None, grad: Tensor, self_shape: ..., dim: int, index: int) ...

Its parameter ``into`` is the sum so far, or None; it writes it and returns it.

``without_gradient`` lists ops whose results carry none, ``results_without_gradient`` such results
of other ops.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from scriptmode.frontend.script import compile_function
from scriptmode.ir import types as T
from scriptmode.ir.graph import Graph, Node, Value, copy_graph
from scriptmode.ir.schema import OpSchema, parse_schema
from scriptmode.ops.aten import schema_of
from scriptmode.passes.fold import fold_constants
from scriptmode.passes.inline import inline_calls
from scriptmode.passes.simplify_control_flow import simplify_control_flow
from scriptmode.passes.structure_exits import structure_exits

CONVERSION = "aten::to.dtype"
FORM = "form"
_METADATA = {"shape": "tensor::shape", "dtype": "tensor::dtype", FORM: FORM}


@dataclass(frozen=True)
class Operand:
    """What one parameter of a rule stands for.

    ``role`` is ``grad``, ``result``, ``argument``, ``needed``, ``into`` or ``tangent`` (of the
    argument, see tangent_rule); ``index`` counts results or arguments; ``metadata`` is the op that
    is applied to the value, empty for the value itself.
    """

    role: str
    index: int
    metadata: str = ""


@dataclass(frozen=True)
class Rule:
    """One function of the table."""

    function: Callable[..., Any]
    of: tuple[str, ...]  # the arguments whose cotangents it gives
    operands: tuple[Operand, ...]

    def graph(self, types: Sequence[T.Type]) -> Graph:
        """The function's body for operands of these types, in one piece."""
        return compiled(self.function, tuple(types))

    def open_graph(self, types: Sequence[T.Type]) -> Graph:
        """The same, with the calls that are reversed as a whole (see ``LINEAR``)."""
        return compiled(self.function, tuple(types), is_open=True)

    def shared(self, types: Sequence[T.Type]) -> Graph | None:
        """The same as a function that reverse programs call; None where it is not worth a call."""
        if any(operand.role == "needed" for operand in self.operands):
            return None  # what is asked for decides branches
        return shared(self.function, tuple(types))


_RULES: dict[str, list[Rule]] = {}
_SUMS: dict[tuple[str, str], Rule] = {}
_WITHOUT_GRADIENT: set[str] = set()
_PLAIN_RESULTS: dict[str, frozenset[int]] = {}


def vjp(schema: str, *of: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter a rule: the cotangents of the arguments ``of`` for the op of this schema.

    Raises ValueError for a schema that torch does not have, an argument that the op does not have,
    and a parameter that stands for nothing.
    """

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        rule = read_rule(schema, function, of)
        if rule is not None:
            _RULES.setdefault(schema.partition("(")[0], []).append(rule)
        return function

    return enter


def adds(schema: str, of: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter the form of a rule that adds to a sum; raises ValueError as ``vjp`` does."""

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        rule = read_rule(schema, function, (of,))
        if rule is not None:
            _SUMS[schema.partition("(")[0], of] = rule
        return function

    return enter


def sum_rule(kind: str, of: str) -> Rule | None:
    """The rule that adds the cotangent of an argument to a sum."""
    return _SUMS.get((not_in_place(kind), of))


def read_rule(schema: str, function: Callable[..., Any], of: tuple[str, ...]) -> Rule | None:
    """A rule of any table; None for an op that this torch does not have.  Raises ValueError."""
    kind = schema.partition("(")[0]
    found = schema_of(kind)
    if found is None:
        return None  # an op of another version of torch
    if _signature(found) != _signature(parse_schema(schema)):
        raise ValueError(f"the schema of {kind} is {found.text}, not {schema}")
    names = [a.name for a in found.arguments]
    for name in of:
        if name not in names:
            raise ValueError(f"{kind} has no argument {name!r}")
    operands = tuple(_operand(found, p) for p in inspect.signature(function).parameters)
    return Rule(function, of, operands)


def without_gradient(*kinds: str) -> None:
    """Enter ops, by name for all overloads or by kind, whose results carry no gradient."""
    _WITHOUT_GRADIENT.update(kinds)


def results_without_gradient(kind: str, *numbers: int) -> None:
    """Enter results of an op, statistics of a normalisation say, that carry no gradient."""
    _PLAIN_RESULTS[kind] = frozenset(numbers)


def carries_gradient(kind: str, number: int) -> bool:
    """Whether a result of an op may carry a gradient where an operand does."""
    return number not in _PLAIN_RESULTS.get(kind, ())


def dtype_asked(node: Node) -> torch.dtype | Value | None:
    """The dtype that an op is asked to give its result: a value where only a run knows it."""
    for value in node.inputs:
        if T.unwrap_optional(value.type) == T.DTYPE:
            return value.constant if value.is_constant else value
    return None


def may_give_whole_numbers(node: Node) -> bool:
    """Whether an op is asked, at least in some runs, for a result that carries no gradient."""
    dtype = dtype_asked(node)
    if isinstance(dtype, torch.dtype):
        return not (dtype.is_floating_point or dtype.is_complex)
    return dtype is not None


def is_cut(node: Node) -> bool:
    """Whether a conversion ends what carries a gradient, in any run."""
    is_open = isinstance(dtype_asked(node), Value)
    return node.kind == CONVERSION and may_give_whole_numbers(node) and not is_open


def rules_of(kind: str) -> Mapping[str, Rule]:
    """The rules of an op, by the argument whose cotangent they give."""
    return {name: rule for rule in _RULES.get(not_in_place(kind), ()) for name in rule.of}


def has_rules(kind: str) -> bool:
    """Whether the op has rules."""
    return not_in_place(kind) in _RULES


@cache
def not_in_place(kind: str) -> str:
    """The op that makes a new tensor of what ``kind`` writes; others as they are."""
    name, dot, overload = kind.partition(".")
    found, other = schema_of(kind), schema_of(name.removesuffix("_") + dot + overload)
    if found is None or other is None or not found.is_mutable:
        return kind
    same = [a.name for a in found.arguments] == [a.name for a in other.arguments]
    return other.kind if same else kind


def is_without_gradient(kind: str) -> bool:
    """Whether no result of the op carries a gradient."""
    if not kind.startswith(("aten::", "prims::")):
        return True  # ours: sizes, numbers; those of containers are looked at before
    return kind in _WITHOUT_GRADIENT or kind.partition(".")[0] in _WITHOUT_GRADIENT


def all_rules() -> Mapping[str, Sequence[Rule]]:
    """Every rule, by kind."""
    return dict(sorted(_RULES.items()))


def _signature(schema: OpSchema) -> object:
    """What two texts of one schema agree in; defaults print variously."""
    return [(a.name, a.type, a.alias) for a in schema.arguments], schema.returns


def _operand(schema: OpSchema, name: str) -> Operand:
    base, _, suffix = name.rpartition("_")
    for candidate, metadata in ((name, ""), (base, _METADATA.get(suffix, ""))):
        if candidate == name or metadata:
            found = _plain_operand(schema, candidate)
            if found is not None:
                return Operand(*found, metadata)
    raise ValueError(f"{name!r} is no operand of a rule for {schema.kind}")


def _plain_operand(schema: OpSchema, name: str) -> tuple[str, int] | None:
    for index, argument in enumerate(schema.arguments):
        if argument.name == name:
            return "argument", index
    if name in ("needed", "into", "tangent"):
        return name, 0
    for role in ("grad", "result"):
        if name == role and len(schema.returns) == 1:
            return role, 0
        number = name.removeprefix(role)
        if name.startswith(role) and number.isdigit() and int(number) < len(schema.returns):
            return role, int(number)
    return None


_COMMON = "scriptmode.autodiff.rules.common."
# functions that are linear in their first argument, and the types of their parameters
LINEAR: dict[str, tuple[T.Type, ...]] = {
    f"{_COMMON}conj": (T.TENSOR,),
    f"{_COMMON}fit": (T.TENSOR, T.SIZE, T.DTYPE),
    f"{_COMMON}summed": (T.TENSOR, T.SIZE),
    f"{_COMMON}reform": (T.TENSOR, T.optional_of(T.TupleType([T.SIZE, T.DTYPE]))),
    f"{_COMMON}cast": (T.TENSOR, T.DTYPE),
    f"{_COMMON}spread": (T.TENSOR, T.SIZE, T.DTYPE),
}
CONJ, FIT, SPREAD = (f"{_COMMON}{name}" for name in ("conj", "fit", "spread"))


def is_linear(node: Node) -> bool:
    """Whether a node calls one of these."""
    return node.kind == "prim::Call" and node.attributes["callee"] in LINEAR


def _is_no_linear(call: Node) -> bool:
    return LINEAR.get(call.attributes["callee"]) != tuple(v.type for v in call.inputs)


@cache
def compiled(
    function: Callable[..., Any], types: tuple[T.Type, ...], is_open: bool = False
) -> Graph:
    """A function of the script language as one graph, for parameters of these types.

    With ``is_open``, calls of linear functions stay.
    """
    names = inspect.signature(function).parameters
    program = compile_function(function, dict(zip(names, types, strict=True)))
    for graph in program.functions.values():
        structure_exits(graph, program)
    graph = program.graph
    inline_calls(graph, program, max_nodes=5000, where=_is_no_linear if is_open else _always)
    fold_constants(graph)
    simplify_control_flow(graph, program)
    return graph


def _always(call: Node) -> bool:
    return True


SMALL = 10  # nodes: a call is no shorter
_SHARED: dict[str, Graph] = {}


@cache
def shared(function: Callable[..., Any], types: tuple[T.Type, ...]) -> Graph | None:
    """``compiled`` under a name of its own, which ``shared_function`` knows; None if it is small.

    A rule is compiled to code once in a program, however often its op occurs.
    """
    body = compiled(function, types)
    if sum(1 for _ in body.walk()) <= SMALL:
        return None
    graph = copy_graph(body)
    text = "_".join(_LETTERS.sub("_", str(t)) for t in types)
    module = function.__module__.rpartition(".")[2]
    graph.name = f"autodiff.{module}.{function.__name__}.{text}"
    (result,) = graph.block.returns
    graph.return_type, graph.is_shared = result.type, True
    return _SHARED.setdefault(graph.name, graph)


def share(graph: Graph) -> None:
    """Let ``shared_function`` know a function."""
    _SHARED.setdefault(graph.name, graph)


def shared_function(name: str) -> Graph | None:
    """The function of this name that ``shared`` has made, or ``share`` was given, a copy."""
    found = _SHARED.get(name)
    return copy_graph(found) if found is not None else None


_LETTERS = re.compile(r"\W+")
