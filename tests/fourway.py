"""One program, four ways: eager, reference interpreter, native unoptimised, native optimised."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch

import scriptmode
from scriptmode.frontend.script import is_user_class
from scriptmode.frontend.script.known import KnownType
from scriptmode.interp import Interpreter
from scriptmode.ir.instances import attributes_of
from scriptmode.support import config


def clone(value: Any) -> Any:
    """A copy of nested containers with cloned leaf tensors; aliases stay aliases."""
    return copy.deepcopy(value)


def same(want: Any, got: Any, path: str = "result", **tolerance: float) -> None:
    """Assert equal values of equal types, recursively; instances by their attributes."""
    pending: list[tuple[Any, Any, str]] = []
    seen: set[tuple[int, int]] = set()
    _same(want, got, path, pending, **tolerance)
    while pending:  # instances may be linked, in rings or a long way
        first, second, path = pending.pop()
        if (id(first), id(second)) not in seen:
            seen.add((id(first), id(second)))
            a, b = attributes_of(first), attributes_of(second)
            assert set(a) == set(b), f"{path}: attributes {sorted(b)} instead of {sorted(a)}"
            for name in a:
                _same(a[name], b[name], f"{path}.{name}", pending, **tolerance)


def _same(
    want: Any, got: Any, path: str, pending: list[tuple[Any, Any, str]], **tolerance: float
) -> None:
    if isinstance(want, torch.Tensor):
        assert isinstance(got, torch.Tensor), f"{path}: {type(got)} instead of a tensor"
        assert type(want) is type(got), f"{path}: {type(got)} instead of {type(want)}"
        assert want.requires_grad == got.requires_grad, f"{path}: requires_grad differs"
        assert want.is_leaf == got.is_leaf or not want.requires_grad, f"{path}: is_leaf differs"
        torch.testing.assert_close(
            got, want, equal_nan=True, check_stride=False, msg=lambda m: f"{path}: {m}", **tolerance
        )
    elif isinstance(want, dict):
        assert type(want) is type(got) and list(want) == list(got), f"{path}: keys differ"
        for key in want:
            _same(want[key], got[key], f"{path}[{key!r}]", pending, **tolerance)
    elif isinstance(want, (list, tuple)):
        assert type(want) is type(got), f"{path}: {type(got)} instead of {type(want)}"
        assert len(want) == len(got), f"{path}: {len(got)} elements instead of {len(want)}"
        for index, (w, g) in enumerate(zip(want, got)):
            _same(w, g, f"{path}[{index}]", pending, **tolerance)
    elif isinstance(want, float):
        assert type(got) is float, f"{path}: {type(got)} instead of float"
        assert got == want or (got != got and want != want), f"{path}: {got!r}, not {want!r}"
    elif is_user_class(type(want)):
        assert type(want) is type(got), f"{path}: {type(got)} instead of {type(want)}"
        pending.append((want, got, path))
    else:
        assert type(want) is type(got), f"{path}: {type(got)} instead of {type(want)}"
        assert want == got, f"{path}: {got!r} instead of {want!r}"


def outcome(function: Callable[..., Any], args: Sequence[Any]) -> tuple[str, Any, Sequence[Any]]:
    """("value", result, arguments after) or ("raises", exception, arguments after)."""
    torch.manual_seed(7)
    args = clone(args)
    try:
        return "value", function(*args), args
    except Exception as error:
        return "raises", error, args


def compare(want: Any, got: Any, how: str, **tolerance: float) -> None:
    """Assert that two outcomes agree: value or exception type, and the arguments afterwards."""
    assert want[0] == got[0], f"{how}: eager {want[0]} {want[1]!r}, but {got[0]} {got[1]!r}"
    if want[0] == "raises":
        assert isinstance(got[1], type(want[1])), f"{how}: {got[1]!r} instead of {want[1]!r}"
    else:
        same(want[1], got[1], how, **tolerance)
    same(list(want[2]), list(got[2]), f"{how}: arguments", **tolerance)


def check(target: Any, *argument_sets: Sequence[Any], **tolerance: float) -> Any:
    """Compile ``target`` (function or module) and compare on each argument tuple, three calls each.

    Returns what ``scriptmode.script`` returned.  Modules are compared on copies of their state, each
    compiled for itself.
    """
    is_module = isinstance(target, torch.nn.Module)
    result: Any = None
    for level in (0, 1):
        with config.override(opt=level):
            result = None
            for args in argument_sets:
                eager = copy.deepcopy(target) if is_module else target
                if is_module or result is None:
                    result = scriptmode.script(copy.deepcopy(target) if is_module else target)
                for call in range(3):
                    want = outcome(eager, args)
                    how = f"native, opt {level}, call {call}"
                    compare(want, outcome(result, args), how, **tolerance)
    for args in argument_sets:
        eager = copy.deepcopy(target) if is_module else target
        compiled = result
        if is_module or _is_known_at_call(compiled):
            compiled = scriptmode.script(copy.deepcopy(target) if is_module else target)
        if _is_known_at_call(compiled):
            outcome(compiled, args)
        want = outcome(eager, args)
        compare(want, outcome(lambda *a: interpret(compiled, *a), args), "interpreter", **tolerance)
    return result


def _is_known_at_call(compiled: Any) -> bool:
    """Whether the primary instance has parameters that are known at the first call only."""
    return any(isinstance(t, KnownType) for t in compiled._dispatcher.primary.types)


def interpret(compiled: Any, *args: Any) -> Any:
    """Run the primary instance in the reference interpreter."""
    program, function, self_object = compiled.__scriptmode_ir__()
    values = [*args]
    if self_object is not None:
        values.insert(0, self_object)
    parameters = program.functions[function].params
    defaults = program.functions[function].defaults
    for parameter in parameters[len(values) :]:
        values.append(defaults[parameter.name])
    return Interpreter(program).run(function, *values)
