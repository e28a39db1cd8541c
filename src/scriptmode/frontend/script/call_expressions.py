"""Call expressions: the arguments, then the call."""

from __future__ import annotations

import ast

from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.handlers import EXPRESSIONS
from scriptmode.frontend.script.iteration import items_of
from scriptmode.frontend.script.values import (
    Arguments,
    Constant,
    DictDisplay,
    PythonObject,
    Sugared,
)
from scriptmode.ir import types as T


def call_arguments(e: Emitter, node: ast.Call) -> Arguments:
    """The arguments of a call, starred ones expanded."""
    positional: list[Sugared] = []
    for argument in node.args:
        if isinstance(argument, ast.Starred):
            value = e.expression(argument.value)
            items = items_of(e, value) or e.unit.unrolled_items(e, value)
            if items is None:
                with e.at(argument):
                    e.not_built(
                        "a starred argument whose length is not known is", help="pass a tuple"
                    )
            positional += items
        else:
            positional.append(e.expression(argument))
    keywords: dict[str, Sugared] = {}
    for keyword in node.keywords:
        value = e.expression(keyword.value)
        if keyword.arg is not None:
            keywords[keyword.arg] = value
            continue
        if not isinstance(value, DictDisplay):
            with e.at(keyword.value):
                e.not_built("`**` of a dict whose keys are not known is")
        for key, item in zip(value.keys, value.values, strict=True):
            if not isinstance(key, Constant) or not isinstance(key.value, str):
                e.fail_type("keywords must be strings")
            if key.value in keywords:
                e.fail_type(f"multiple values for keyword argument `{key.value}`")
            keywords[key.value] = item
    return Arguments(positional, keywords, node)


_TYPED = (("torch.jit", "annotate"), ("scriptmode.support.markers", "annotate"))


@EXPRESSIONS(ast.Call)
def call(e: Emitter, node: ast.Call, expected: T.Type | None) -> Sugared:
    """``function(...)``."""
    function = e.expression(node.func)
    if isinstance(function, PythonObject) and len(node.args) == 2:
        obj = function.object
        if (getattr(obj, "__module__", ""), getattr(obj, "__qualname__", "")) in _TYPED:
            wanted = e.unit.annotation_value(e, e.expression(node.args[0]))
            return e.settle(e.expression(node.args[1], wanted), wanted)
    given = call_arguments(e, node)
    with e.at(node):
        return e.call(function, given)
