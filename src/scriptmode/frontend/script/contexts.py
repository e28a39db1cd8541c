"""``with``: torch's modes, context managers of classes and of generators, ``suppress``.

A mode of torch is switched back by code that cannot fail: where a jump leaves the body it stands
before the jump, and a Try around the body runs it for exceptions.  The ``__exit__`` of a user's
class may raise and may swallow the exception: that is a ``finally`` (``tries.run_finally``)::

    with A() as a: B      a = A().__enter__()
                          Try: B     handler(e): if not __exit__(type(e), e, tb): raise again
                          __exit__(None, None, None), where B has come to an end or jumps

So is that of a ``contextlib.contextmanager`` function: its generator goes on, or is given the
exception, which its ``yield`` raises.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import warnings
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch

from scriptmode.frontend.script.arguments import take
from scriptmode.frontend.script.conditions import members, split, truth
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.exceptions import (
    ExceptionClass,
    caught_classes,
    is_exception_of,
)
from scriptmode.frontend.script.flow import branch, choose, merge
from scriptmode.frontend.script.handlers import OBJECT_CALLS, STATEMENTS
from scriptmode.frontend.script.instances import instance_type, special_method
from scriptmode.frontend.script.statements import assign_target
from scriptmode.frontend.script.tries import Region, protect, raise_again, run_finally
from scriptmode.frontend.script.values import (
    Arguments,
    Constant,
    IRValue,
    ListDisplay,
    ManagerValue,
    PythonObject,
    Sugared,
    TupleDisplay,
)
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value
from scriptmode.support import markers

Body = Callable[[], None]


@STATEMENTS(ast.With)
def _with(e: Emitter, node: ast.With) -> None:
    _run_items(e, node, list(node.items))


def _run_items(e: Emitter, node: ast.With, items: Sequence[ast.withitem]) -> None:
    if not items:
        e.statements(node.body)
        return
    item, rest = items[0], items[1:]
    with e.at(item.context_expr):
        manager = e.settle(e.expression(item.context_expr))

    manager, entered = enter(e, manager)
    name = kept_name(item)
    if e.generator is not None:  # it may be suspended inside
        e.env.bind(name, manager)

    def body() -> None:
        if item.optional_vars is not None:
            assign_target(e, item.optional_vars, entered)
        _run_items(e, node, rest)

    run_entered(e, region_of(e, node, items), manager, body)
    if e.generator is not None:
        e.env.unbind(name)


def kept_name(item: ast.withitem) -> str:
    """The variable of a generator that holds what has been entered."""
    return f"%entered{item.context_expr.lineno}.{item.context_expr.col_offset}"


def region_of(e: Emitter, node: ast.With, items: Sequence[ast.withitem]) -> Region:
    """What runs under the first of ``items``, those of ``node`` that are not entered yet."""
    targets = [i.optional_vars for i in items if i.optional_vars is not None]
    inner = [*targets, *(i.context_expr for i in items[1:]), *node.body]
    return Region.of(e, node, inner)


def enter(e: Emitter, manager: Sugared) -> tuple[Sugared, Sugared]:
    """Enter a manager: what is to be left, and what ``as`` binds."""
    if isinstance(manager, PythonObject):
        manager = _made_before(e, manager.object) or manager
    if isinstance(manager, Manager):
        return manager.enter(e)
    if is_chosen(manager):

        def enter_one(one: Sugared) -> Sugared:
            return TupleDisplay(enter(e, one))

        entered = each_chosen(e, manager, enter_one)
        items = e.unit.tuple_items(e, entered)
        if items is None:
            e.not_built("a `with` of these context managers, chosen at run time, is",
                        help="write one `with` on each path")  # fmt: skip
        return items[0], items[1]
    if instance_type(manager) is not None:
        _protocol_method(e, manager, "__exit__")
        return manager, e.settle(e.call_positional(_protocol_method(e, manager, "__enter__")))
    if isinstance(manager, (IRValue, Constant, TupleDisplay, ListDisplay)):
        e.fail_type(
            f"{manager.describe()} is no context manager",
            help="use an object whose class has `__enter__` and `__exit__`",
        )
    e.not_built(f"`with` of {manager.describe()} is")


def run_entered(e: Emitter, region: Region, manager: Sugared, body: Body) -> None:
    """The body of a ``with`` under a manager that has been entered, and its end."""
    if isinstance(manager, Mode):
        run_mode(e, region, body, manager)
    else:
        run_finally(
            e, region, body,
            lambda: leave_manager(e, manager), lambda caught: handle_error(e, manager, caught),
        )  # fmt: skip


def leave_manager(e: Emitter, manager: Sugared) -> None:
    """The end of a ``with`` whose body has come to its end, or jumps."""
    if isinstance(manager, Manager):
        manager.leave(e)
    elif is_chosen(manager):

        def leave_one(one: Sugared) -> Sugared:
            leave_manager(e, one)
            return Constant(None)

        each_chosen(e, manager, leave_one)
    else:
        none = Constant(None)
        e.call_positional(_protocol_method(e, manager, "__exit__"), none, none, none)


def handle_error(e: Emitter, manager: Sugared, caught: Value) -> None:
    """The end of a ``with`` whose body has raised: it raises again, unless that is swallowed."""
    if isinstance(manager, Manager):
        manager.handle(e, caught)
        return
    if is_chosen(manager):

        def handle_one(one: Sugared) -> Sugared:
            handle_error(e, one, caught)
            return Constant(None)

        each_chosen(e, manager, handle_one)
        return
    leave, error = _protocol_method(e, manager, "__exit__"), IRValue(caught)
    swallows = truth(e, e.call_positional(leave, ExceptionClass(error), error, Traceback()))
    if swallows is False:
        raise_again(e)
    if not isinstance(swallows, bool):
        branch(e, swallows, lambda: None, lambda: raise_again(e))


def is_chosen(manager: Sugared) -> bool:
    """Whether a manager is one of several kinds, known at run time only."""
    if not isinstance(manager, IRValue):
        return False
    possible = members(manager.type)
    return isinstance(manager.type, T.ChoiceType) or (
        len(possible) > 1 and all(T.is_instance_type(m) for m in possible)
    )


def each_chosen(e: Emitter, manager: Sugared, act: Callable[[Sugared], Sugared]) -> Sugared:
    """``act`` on a manager as each kind that it may be."""
    assert isinstance(manager, IRValue)
    if isinstance(manager.type, T.ChoiceType):
        result: Sugared = e.unit.by_member(e, manager.value, act)
        return result
    return split(e, manager, act)


def _made_before(e: Emitter, obj: Any) -> Sugared | None:
    """A manager that was made outside of compiled code, such as a decorator's."""
    if isinstance(obj, torch.autocast):
        settings = (obj.device, obj.fast_dtype, obj._enabled, obj._cache_enabled)
        return Autocast(*map(Constant, settings))
    if isinstance(obj, (torch.no_grad, torch.enable_grad)):
        return GradMode(Constant(isinstance(obj, torch.enable_grad)))
    if isinstance(obj, torch.inference_mode):
        return InferenceMode(Constant(obj.mode))
    if isinstance(obj, contextlib.nullcontext):
        return NullContext(e.unit.wrap(e, obj.enter_result, "enter_result"))
    return None


def run_mode(
    e: Emitter, region: Region, body: Callable[[], Sugared | None], mode: Mode
) -> Sugared | None:
    """A body under a mode that ends without failing; its result."""

    def leave() -> None:
        mode.leave(e)

    def protected() -> Sugared | None:
        e.cleanups.append(lambda kind, value: leave())
        try:
            return body()
        finally:
            e.cleanups.pop()

    def handler(caught: Value) -> None:
        leave()
        raise_again(e)

    node, ends = protect(e, region, protected, handler)
    if not ends:
        e.die()
    result = merge(e, node, ends)
    leave()
    return result


def _protocol_method(e: Emitter, manager: Sugared, name: str) -> Sugared:
    found = special_method(e, manager, name)
    if found is None:
        e.fail_type(f"{manager.describe()} has no `{name}`, which `with` needs")
    return found


class Traceback(Sugared):
    """The traceback that ``__exit__`` is given: it is there, and nothing more is known of it."""

    def key(self) -> Hashable:
        return "traceback"

    def describe(self) -> str:
        return "a traceback"


# managers


class Manager(ManagerValue):
    """A context manager that is no instance."""

    def enter(self, e: Emitter) -> tuple[Sugared, Sugared]:
        """Enter it: the manager to be left, and what ``as`` binds."""
        return self, Constant(None)

    def leave(self, e: Emitter) -> None:
        """End what has been entered."""

    def handle(self, e: Emitter, caught: Value) -> None:
        """End what has been entered after an exception: raise it again, or let it go."""
        self.leave(e)
        raise_again(e)

    def describe(self) -> str:
        return "a context manager"


class Mode(Manager):
    """A context manager of torch, whose end cannot fail."""

    def describe(self) -> str:
        return "a mode of torch"


class NullContext(Mode):
    """A context manager that does nothing compiled code can notice."""

    def __init__(self, entered: Sugared | None = None) -> None:
        self.entered = entered or Constant(None)

    def parts(self) -> tuple[Sugared, ...]:
        return (self.entered,)

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        return NullContext(parts[0])

    def key(self) -> Hashable:
        return "null context"

    def enter(self, e: Emitter) -> tuple[Sugared, Sugared]:
        return self, self.entered


class GradMode(Mode):
    """``torch.no_grad()``, ``torch.enable_grad()``: a mode for the body."""

    def __init__(self, mode: Sugared) -> None:
        self.mode = mode

    def parts(self) -> tuple[Sugared, ...]:
        return (self.mode,)

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        return GradMode(parts[0])

    def key(self) -> Hashable:
        return "grad mode"

    def enter(self, e: Emitter) -> tuple[Sugared, Sugared]:
        before = e.op("torch::is_grad_enabled")
        _set_grad(e, e.value(self.mode))
        return SetGrad(before), Constant(None)


class SetGrad(Mode):
    """``torch.set_grad_enabled(mode)``: it acts when it is called; a ``with`` ends it."""

    def __init__(self, before: Sugared) -> None:
        self.before = before

    def parts(self) -> tuple[Sugared, ...]:
        return (self.before,)

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        return SetGrad(parts[0])

    def key(self) -> Hashable:
        return "set grad"

    def leave(self, e: Emitter) -> None:
        _set_grad(e, e.value(self.before))


def _set_grad(e: Emitter, mode: Value) -> None:
    e.builder.op_node("torch::set_grad_enabled", [mode])


class InferenceMode(Mode):
    """``torch.inference_mode(mode)``."""

    def __init__(self, mode: Sugared) -> None:
        self.mode = mode

    def parts(self) -> tuple[Sugared, ...]:
        return (self.mode,)

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        return InferenceMode(parts[0])

    def key(self) -> Hashable:
        return "inference mode"

    def enter(self, e: Emitter) -> tuple[Sugared, Sugared]:
        mode = e.value_of_type(self.mode, T.BOOL, "the mode")
        token = IRValue(e.builder.op("torch::enter_inference_mode", mode))
        return EnteredInferenceMode(token), Constant(None)


class EnteredInferenceMode(InferenceMode):
    """An inference mode under way; ``mode`` is what ends it."""

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        return EnteredInferenceMode(parts[0])

    def key(self) -> Hashable:
        return "entered inference mode"

    def leave(self, e: Emitter) -> None:
        e.builder.op_node("torch::leave_inference_mode", [e.value(self.mode)])


def on_device(e: Emitter, device: Sugared, act: Callable[[Value], Sugared]) -> Sugared:
    """``act`` on the name of a device type; one that varies is looked for among those known."""
    if isinstance(device, Constant):
        return act(e.value(device))
    name = e.value_of_type(device, T.STR, "`device_type`")

    def among(first: int) -> Sugared:
        if first == len(_AUTOCAST_DEVICES):
            e.raise_error(RuntimeError, "User specified an unsupported autocast device_type")
        known = e.builder.constant(_AUTOCAST_DEVICES[first])
        here = e.builder.op("str::eq", name, known)
        return choose(e, here, lambda: act(known), lambda: among(first + 1))

    return among(0)


_AUTOCAST_DEVICES = ("cpu", "cuda", "mps", "xpu", "hpu", "xla")


class Autocast(Mode):
    """``torch.autocast(device_type, dtype, enabled, cache_enabled)``."""

    def __init__(self, device: Sugared, dtype: Sugared, enabled: Sugared, cache: Sugared) -> None:
        self.device = device
        self.settings = (dtype, enabled, cache)

    def parts(self) -> tuple[Sugared, ...]:
        return (self.device, *self.settings)

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        return Autocast(*parts)

    def key(self) -> Hashable:
        return "autocast"

    def enter(self, e: Emitter) -> tuple[Sugared, Sugared]:
        def ask(kind: str) -> Sugared:
            return on_device(e, self.device, lambda name: e.op(kind, name))

        before = [
            ask("torch::get_autocast_dtype"),
            ask("torch::is_autocast_enabled"),
            e.op("torch::is_autocast_cache_enabled"),
        ]
        self.switch(e, 1)
        return EnteredAutocast(self.device, *before), Constant(None)

    def switch(self, e: Emitter, nesting: int) -> None:
        """Make the settings those of the thread."""
        dtype, enabled, cache = map(e.value, self.settings)

        def of_device(name: Value) -> Sugared:
            e.builder.op_node("torch::set_autocast_enabled", [name, enabled])
            e.builder.op_node("torch::set_autocast_dtype", [name, dtype])
            return Constant(None)

        if nesting < 0:
            e.builder.op_node("torch::set_autocast_nesting", [e.int_constant(nesting)])
        on_device(e, self.device, of_device)
        e.builder.op_node("torch::set_autocast_cache_enabled", [cache])
        if nesting > 0:
            e.builder.op_node("torch::set_autocast_nesting", [e.int_constant(nesting)])


class EnteredAutocast(Autocast):
    """An autocast region under way, with the settings before it."""

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        return EnteredAutocast(*parts)

    def key(self) -> Hashable:
        return "entered autocast"

    def leave(self, e: Emitter) -> None:
        self.switch(e, -1)


class Suppress(Manager):
    """``contextlib.suppress(*classes)``."""

    def __init__(self, classes: tuple[Sugared, ...]) -> None:
        self.classes = classes

    def parts(self) -> tuple[Sugared, ...]:
        return self.classes

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        return Suppress(tuple(parts))

    def key(self) -> Hashable:
        return ("suppress", len(self.classes))

    def handle(self, e: Emitter, caught: Value) -> None:
        fits = is_exception_of(e, caught, caught_classes(e, self.classes))
        branch(e, fits, lambda: None, lambda: raise_again(e))


# making them


@OBJECT_CALLS(torch.no_grad)
def _no_grad(e: Emitter, given: Arguments) -> Sugared:
    return _decorating(e, given) or GradMode(Constant(False))


@OBJECT_CALLS(torch.enable_grad)
def _enable_grad(e: Emitter, given: Arguments) -> Sugared:
    return _decorating(e, given) or GradMode(Constant(True))


def _decorating(e: Emitter, given: Arguments) -> Sugared | None:
    if given.positional:
        e.not_built("a gradient mode as the decorator of a nested function is",
                    help="write `with` in the function's body")  # fmt: skip
    return None


@OBJECT_CALLS(torch.set_grad_enabled)
def _set_grad_enabled(e: Emitter, given: Arguments) -> Sugared:
    (mode,) = take(e, given, "mode", required=1)
    assert mode is not None
    before = e.op("torch::is_grad_enabled")
    _set_grad(e, e.value_of_type(mode, T.BOOL, "the mode"))
    return SetGrad(before)


@OBJECT_CALLS(torch.inference_mode)
def _inference_mode(e: Emitter, given: Arguments) -> Sugared:
    (mode,) = take(e, given, "mode")
    return InferenceMode(mode or Constant(True))


@OBJECT_CALLS(torch.profiler.record_function, ("torch.jit", "strict_fusion"), markers.strict_fusion)
def _record_function(e: Emitter, given: Arguments) -> Sugared:
    return NullContext()


@OBJECT_CALLS(contextlib.nullcontext)
def _null_context(e: Emitter, given: Arguments) -> Sugared:
    (entered,) = take(e, given, "enter_result")
    return NullContext(None if entered is None else e.settle(entered))


@OBJECT_CALLS(contextlib.suppress)
def _suppress(e: Emitter, given: Arguments) -> Sugared:
    caught_classes(e, given.positional)
    return Suppress(tuple(given.positional))


@OBJECT_CALLS(torch.autocast, *(m.autocast for m in (torch.cpu.amp, torch.cuda.amp)))
def _autocast(e: Emitter, given: Arguments) -> Sugared:
    node = given.node
    function = e.expression(node.func) if node is not None else PythonObject(torch.autocast)
    cls = function.object if isinstance(function, PythonObject) else torch.autocast
    names = list(inspect.signature(cls).parameters)
    values = dict(zip(names, take(e, given, *names), strict=True))
    return make_autocast(e, cls, {n: v for n, v in values.items() if v is not None})


def make_autocast(e: Emitter, cls: Any, given: dict[str, Sugared]) -> Sugared:
    """An autocast region; torch itself says what its arguments come to, and warns."""
    enabled = given.pop("enabled", Constant(True))
    device_type = given.get("device_type")
    dtype: Sugared
    cache: Sugared
    if isinstance(device_type, IRValue) and _is_off(enabled) and len(given) == 1:
        dtype = on_device(e, device_type, lambda name: e.op("torch::get_autocast_dtype", name))
        cache = e.op("torch::is_autocast_cache_enabled")
        return Autocast(device_type, dtype, enabled, cache)
    constants: dict[str, Any] = {}
    for name, value in given.items():
        if not isinstance(value, Constant):
            e.not_built(f"autocast with a variable `{name}` is")
        constants[name] = value.value
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            made = cls(**constants)
        except (RuntimeError, TypeError, ValueError) as error:
            e.raise_error(type(error), str(error))
    device = made.device

    def warn() -> None:
        for warning in caught:
            text = e.builder.constant(str(warning.message))
            e.builder.node("prim::warn", [text], category=warning.category)

    flag = e.value_of_type(enabled, T.BOOL, "`enabled`")
    if caught:
        branch(e, flag, warn, lambda: None)
    if not made._enabled:
        flag = e.builder.constant(False)
    dtype = Constant(made.fast_dtype)
    if constants.get("dtype") is None and cls is torch.autocast:
        dtype = e.op("torch::get_autocast_dtype", e.builder.constant(device))
    cache = Constant(made._cache_enabled)
    if constants.get("cache_enabled") is None and cls is torch.autocast:
        cache = e.op("torch::is_autocast_cache_enabled")
    return Autocast(Constant(device), dtype, e.lift(flag), cache)


def _is_off(enabled: Sugared) -> bool:
    return isinstance(enabled, Constant) and enabled.value is False


@OBJECT_CALLS(("torch.utils._contextlib", "context_decorator"))
def _context_decorator(e: Emitter, given: Arguments) -> Sugared:
    e.not_built("this decorator is")
