"""Call expressions: the arguments, then the call."""

from __future__ import annotations

import ast
import collections
import inspect
import types

import torch

from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.flow import discard_after
from scriptmode.frontend.script.handlers import EXPRESSIONS
from scriptmode.frontend.script.iteration import items_of
from scriptmode.frontend.script.operators import is_sequence
from scriptmode.frontend.script.transposing import transposed
from scriptmode.frontend.script.values import (
    KEYWORDS,
    Arguments,
    BoundMethod,
    BuiltinMethod,
    Constant,
    DictDisplay,
    IRValue,
    LocalFunction,
    PythonObject,
    StarredDict,
    StarredList,
    Sugared,
)
from scriptmode.ir import types as T

# torch's functions whose further arguments are the elements of one list of ints
_LIST_TAKERS = frozenset(
    ["expand", "flip", "new_empty", "new_ones", "new_zeros", "permute", "repeat", "reshape", "tile",
     "view", "empty", "ones", "rand", "randn", "zeros"]
)  # fmt: skip


def _takes_list(e: Emitter, function: Sugared) -> bool:
    if isinstance(function, BuiltinMethod):
        return e.type_of(function.owner) == T.TENSOR and function.name in _LIST_TAKERS
    if isinstance(function, PythonObject):
        name = getattr(function.object, "__name__", "")
        return name in _LIST_TAKERS and getattr(torch, name, None) is function.object
    return False


def call_arguments(e: Emitter, node: ast.Call, function: Sugared | None = None) -> Arguments:
    """The arguments of a call, starred ones expanded."""
    if function is not None and any(isinstance(a, ast.Starred) for a in node.args):
        if _takes_list(e, function):
            whole = e.expression(ast.copy_location(ast.List(node.args, ast.Load()), node))
            return Arguments([whole], _keywords(e, node), node)
    positional: list[Sugared] = []
    for argument in node.args:
        if isinstance(argument, ast.Starred):
            value = e.expression(argument.value)
            items = items_of(e, value)
            if items is None:
                items = e.unit.unrolled_items(e, value)
            if items is None:
                positional.append(StarredList(_as_sequence(e, value)))
                continue
            positional += items
        else:
            positional.append(e.expression(argument))
    return Arguments(positional, _keywords(e, node), node)


def _as_sequence(e: Emitter, value: Sugared) -> Sugared:
    t = e.type_of(value)
    return value if is_sequence(t) else IRValue(e.value(e.unit.built_list(e, value)))


def _starred_dict(e: Emitter, keywords: dict[str, Sugared], value: Sugared) -> None:
    t = e.type_of(value)
    if not isinstance(t, T.DictType):
        e.fail_type(f"`**` needs a dict, not {value.describe()}")
    if t.key != T.STR:
        e.raise_error(TypeError, "keywords must be strings")
    if KEYWORDS in keywords:
        e.not_built("a call with two dicts of unknown keys is", help="merge them first")
    keywords[KEYWORDS] = StarredDict(value)


def _keywords(e: Emitter, node: ast.Call) -> dict[str, Sugared]:
    keywords: dict[str, Sugared] = {}
    for keyword in node.keywords:
        value = e.expression(keyword.value)
        if keyword.arg is not None:
            keywords[keyword.arg] = value
            continue
        if not isinstance(value, DictDisplay):
            with e.at(keyword.value):
                _starred_dict(e, keywords, value)
            continue
        for key, item in zip(value.keys, value.values, strict=True):
            if not isinstance(key, Constant) or not isinstance(key.value, str):
                e.fail_type("keywords must be strings")
            if key.value in keywords:
                e.fail_type(f"multiple values for keyword argument `{key.value}`")
            keywords[key.value] = item
    return keywords


def _transposed(e: Emitter, node: ast.Call, function: Sugared) -> Sugared | None:
    """``zip(*rows)`` of a number of rows that is not known; None for other calls."""
    if not (isinstance(function, PythonObject) and function.object is zip) or node.keywords:
        return None
    if len(node.args) != 1 or not isinstance(node.args[0], ast.Starred):
        return None
    mark = e.builder.block.last
    rows = e.settle(e.expression(node.args[0].value))
    if items_of(e, rows) is None and e.unit.unrolled_items(e, rows) is None:
        return transposed(e, rows)
    discard_after(e, mark)
    return None


_TYPED = (("torch.jit", "annotate"), ("scriptmode.support.markers", "annotate"))


@EXPRESSIONS(ast.Call)
def call(e: Emitter, node: ast.Call, expected: T.Type | None) -> Sugared:
    """``function(...)``."""
    function = e.expression(node.func)
    if isinstance(function, PythonObject):
        obj = function.object
        if (getattr(obj, "__module__", ""), getattr(obj, "__qualname__", "")) in _TYPED:
            if len(node.args) != 2 or node.keywords:
                e.fail_type("annotate() takes a type and a value, by position")
            wanted = e.unit.declared.annotation_value(e, e.expression(node.args[0]))
            return e.settle(e.expression(node.args[1], wanted), wanted)
    columns = _transposed(e, node, function)
    if columns is not None:
        return columns
    if isinstance(function, BuiltinMethod) and function.name == "tolist":
        if e.type_of(function.owner) == T.TENSOR and expected not in (None, T.ANY, T.NUMBER):
            # depth and elements are as annotated; a tensor of another kind raises TypeError
            given = Arguments([function.owner], {})
            return e.unit.call_python(e, torch.Tensor.tolist, given, expected)
    given = call_arguments(e, node, function)
    with e.at(node):
        held: list[Sugared] = []
        if e.fresh and _consumes(function):
            held = e.unit.take_fresh(e, *given.positional, *given.keywords.values())
        if not held:
            return e.call(function, given)
        result = e.unit.with_drops(e, held, node, lambda: e.settle(e.call(function, given)))
        assert isinstance(result, Sugared)
        t = e.type_of(result)
        if t is None or T.has_choice(t):
            e.unit.refuse_held(e)
        return result


def _consumes(function: Sugared) -> bool:
    """Whether a call has done with a generator that it is given when it returns."""
    if isinstance(function, PythonObject):
        obj = function.object
        is_plain = isinstance(obj, types.FunctionType) and not inspect.isgeneratorfunction(obj)
        return is_plain or any(obj is c for c in _CONSUMERS)
    if isinstance(function, LocalFunction):
        return not function.source.is_generator
    return isinstance(function, (BuiltinMethod, BoundMethod))


_CONSUMERS = (
    next, list, tuple, set, frozenset, dict, sum, any, all, max, min, sorted, collections.deque,
    collections.Counter, collections.OrderedDict,
)  # fmt: skip
