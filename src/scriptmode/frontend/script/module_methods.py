"""Methods of ``nn.Module`` and of its containers that are answered at compile time.

The tree of modules is fixed, so what its methods list is known: ``parameters``, ``children``,
``named_modules``, ``get_submodule`` and the like.  Those that would change the tree are refused.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from torch import nn

from scriptmode.frontend.script.arguments import take
from scriptmode.frontend.script.emitter import Emitter, NeedsConstant
from scriptmode.frontend.script.module_containers import (
    child,
    container_item,
    contains_own_key,
    distinct_children,
    named,
    own_length,
)
from scriptmode.frontend.script.module_state import get_attribute
from scriptmode.frontend.script.values import (
    NONE_VALUE,
    Arguments,
    Constant,
    IterableValue,
    ListDisplay,
    ModuleValue,
    Sugared,
    TupleDisplay,
)
from scriptmode.ir import types as T

Method = Callable[[Emitter, ModuleValue, Arguments], Sugared]

_CONTAINERS = (nn.ModuleList, nn.Sequential, nn.ModuleDict)
_PARAMETER_CONTAINERS = (nn.ParameterList, nn.ParameterDict)


def _named_modules(
    e: Emitter, module: ModuleValue, prefix: str = "", seen: set[int] | None = None
) -> list[tuple[str, ModuleValue, nn.Module]]:
    """Every module below, with the actual Python object that identifies it, once each."""
    return _walk_modules(e, module, module.info.python, prefix, set() if seen is None else seen)


def _walk_modules(
    e: Emitter, module: ModuleValue, python: nn.Module, prefix: str, seen: set[int]
) -> list[tuple[str, ModuleValue, nn.Module]]:
    if id(python) in seen:
        return []
    seen.add(id(python))
    found = [(prefix, module, python)]
    for name, inner in python._modules.items():
        if inner is not None:
            path = f"{prefix}.{name}" if prefix else name
            found += _walk_modules(e, child(e, module, name), inner, path, seen)
    return found


def _named_tensors(
    e: Emitter, module: ModuleValue, given: Arguments, group: str
) -> list[tuple[str, Sugared]]:
    recurse = given.keywords.get("recurse", Constant(True))
    modules = _named_modules(e, module)
    if isinstance(recurse, Constant) and not recurse.value:
        modules = modules[:1]
    found: list[tuple[str, Sugared]] = []
    seen: set[int] = set()
    for path, owner, python in modules:
        for name, tensor in getattr(python, group).items():
            if tensor is None or id(tensor) in seen:
                continue
            seen.add(id(tensor))
            whole = f"{path}.{name}" if path else name
            found.append((whole, e.lift(get_attribute(e, owner, name))))
    return found


def _pairs(items: Sequence[tuple[str, Sugared]]) -> Sugared:
    pairs = ListDisplay(tuple(TupleDisplay((Constant(n), v)) for n, v in items), frozen=True)
    return IterableValue("iter", (pairs,))


def _only(items: Sequence[tuple[str, Sugared]]) -> Sugared:
    return IterableValue("iter", (ListDisplay(tuple(v for _, v in items), frozen=True),))


def _train(e: Emitter, module: ModuleValue, given: Arguments) -> Sugared:
    mode = given.keywords.get("mode", given.positional[0] if given.positional else Constant(True))
    return _set_training(e, module, mode)


def _set_training(e: Emitter, module: ModuleValue, mode: Sugared) -> Sugared:
    """Set the flag of every module below."""
    value = e.value_of_type(mode, T.BOOL, "the mode")
    for _, inner, _ in _named_modules(e, module):
        e.builder.node("prim::SetAttr", [inner.value, value], name="training")
    e.forget_written(frozenset(("training",)))
    return module


def _path(e: Emitter, given: Arguments) -> list[str]:
    """The dotted path that is the only argument."""
    (target,) = given.all()
    if not isinstance(target, Constant) or not isinstance(target.value, str):
        e.fail("SM0211", "the path must be known at compile time", error=NeedsConstant)
    return target.value.split(".") if target.value else []


def _get_submodule(e: Emitter, module: ModuleValue, given: Arguments) -> Sugared:
    found: Sugared = module
    for part in _path(e, given):
        found = e.attribute(found, part)
    return found


def _get_tensor(e: Emitter, module: ModuleValue, given: Arguments) -> Sugared:
    found: Sugared = module
    for part in _path(e, given):
        found = e.attribute(found, part)
    if e.type_of(found) != T.TENSOR:
        e.fail_type("there is no parameter or buffer of this name")
    return found


def _requires_grad(e: Emitter, module: ModuleValue, given: Arguments) -> Sugared:
    mode = e.value_of_type(given.all()[0] if given.all() else Constant(True), T.BOOL, "the mode")
    for _, tensor in _named_tensors(e, module, Arguments([], {}), "_parameters"):
        e.builder.op("aten::requires_grad_", e.value(tensor), mode)
    return module


def _refused(name: str, help: str) -> Method:
    def refuse(e: Emitter, module: ModuleValue, given: Arguments) -> NoReturn:
        e.fail(
            "SM0304",
            f"`{name}` changes the module itself, which compiled code cannot do",
            help=help,
        )

    return refuse


def _register_buffer(e: Emitter, module: ModuleValue, given: Arguments) -> Sugared:
    """``register_buffer`` of a buffer that is there already: an assignment."""
    name, tensor, persistent = take(e, given, "name", "tensor", "persistent", required=2)
    python, key = module.info.python, name.value if isinstance(name, Constant) else None
    is_known = isinstance(key, str) and key in module.info.type.attributes
    is_kept = persistent is None or (isinstance(persistent, Constant) and persistent.value)
    if not is_known or is_kept == (key in python._non_persistent_buffers_set):
        return _refused("register_buffer", "register it in __init__, then assign it here")(
            e, module, given
        )
    assert isinstance(key, str) and tensor is not None
    if key not in python._buffers:
        e.raise_error(KeyError, f"attribute '{key}' already exists")
    e.unit.assign_module_attribute(e, module, key, tensor)
    return NONE_VALUE


def _get(e: Emitter, module: ModuleValue, given: Arguments) -> Sugared:
    """``parameter_dict.get(key, default)``."""
    key = given.positional[0]
    default = given.positional[1] if len(given.positional) > 1 else NONE_VALUE
    if not isinstance(key, Constant):
        e.fail("SM0211", "the key must be known at compile time", error=NeedsConstant)
    return dict(named(e, module)).get(key.value, default)


def _dict_view(kind: str) -> Any:
    def view(e: Emitter, module: ModuleValue, given: Arguments) -> Sugared:
        items = e.unit.frozen_dict((Constant(n), v) for n, v in named(e, module))
        return IterableValue(kind, (items,))

    return view


def _length(e: Emitter, module: ModuleValue, given: Arguments) -> Sugared:
    return own_length(e, module)


def _contains(e: Emitter, module: ModuleValue, given: Arguments) -> Sugared:
    return contains_own_key(e, module, given.positional[0])


def _getitem(e: Emitter, module: ModuleValue, given: Arguments) -> Sugared:
    return container_item(e, module, given.positional[0])


_IN_INIT = "do it in __init__, before the module is scripted"
METHODS: dict[Any, Method] = {
    nn.Module.parameters: lambda e, m, a: _only(_named_tensors(e, m, a, "_parameters")),
    nn.Module.named_parameters: lambda e, m, a: _pairs(_named_tensors(e, m, a, "_parameters")),
    nn.Module.buffers: lambda e, m, a: _only(_named_tensors(e, m, a, "_buffers")),
    nn.Module.named_buffers: lambda e, m, a: _pairs(_named_tensors(e, m, a, "_buffers")),
    nn.Module.children: lambda e, m, a: _only(distinct_children(e, m)),
    nn.Module.named_children: lambda e, m, a: _pairs(distinct_children(e, m)),
    nn.Module.modules: lambda e, m, a: _only([(n, v) for n, v, _ in _named_modules(e, m)]),
    nn.Module.named_modules: lambda e, m, a: _pairs([(n, v) for n, v, _ in _named_modules(e, m)]),
    nn.Module.train: _train,
    nn.Module.eval: lambda e, m, a: _set_training(e, m, Constant(False)),
    nn.Module.get_submodule: _get_submodule,
    nn.Module.get_parameter: _get_tensor,
    nn.Module.get_buffer: _get_tensor,
    nn.Module.requires_grad_: _requires_grad,
    nn.Module._get_name: lambda e, m, a: Constant(type(m.info.python).__name__),
    nn.Module.register_buffer: _register_buffer,
    nn.Module.state_dict: _refused("state_dict", "read the parameters by their attributes"),
}
for _changing in (
    "register_parameter", "register_module", "add_module", "register_forward_hook",
    "register_forward_pre_hook", "register_full_backward_hook", "register_backward_hook",
    "register_full_backward_pre_hook", "load_state_dict", "to", "cuda", "cpu", "half", "float",
    "double", "bfloat16", "type", "apply", "share_memory", "to_empty", "zero_grad", "set_submodule",
    "compile",
):  # fmt: skip
    METHODS[getattr(nn.Module, _changing)] = _refused(_changing, _IN_INIT)
for _container in (*_CONTAINERS, *_PARAMETER_CONTAINERS):
    for _name, _handler in (
        ("keys", _dict_view("keys")), ("values", _dict_view("values")),
        ("items", _dict_view("items")), ("__len__", _length), ("__contains__", _contains),
        ("__getitem__", _getitem), ("get", _get),
    ):  # fmt: skip
        _found = vars(_container).get(_name)
        if isinstance(_found, types.FunctionType):
            METHODS[_found] = _handler
