"""What a run changes, so that a check can run again and leave everything as after one run.

Tensors are saved when an op is about to write them for the first time; RNG state and the
attributes of modules at the start.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

from scriptmode.frontend.trace.modules import ModuleIndex
from scriptmode.ops.aten import aten_schema

_RUNNING = ("running_mean", "running_var")


def storage_key(tensor: torch.Tensor) -> int | None:
    """Identity of a tensor's memory; None when it has none."""
    if tensor.layout is not torch.strided or tensor.device.type == "meta":
        return None
    return int(tensor.untyped_storage()._cdata)


def op_kind(function: Any) -> str:
    """The node kind of a ``torch.ops`` overload."""
    schema = function._schema
    name: str = schema.name
    return f"{name}.{schema.overload_name}" if schema.overload_name else name


def written_tensors(function: Any, args: Any, kwargs: Any) -> Iterator[torch.Tensor]:
    """The tensors that a call of a ``torch.ops`` overload writes."""
    schema = aten_schema(op_kind(function))
    if schema is None:
        return
    for index, argument in enumerate(schema.arguments):
        marked = argument.alias is not None and argument.alias.is_write
        if not marked and argument.name not in _RUNNING:
            continue
        value = kwargs.get(argument.name) if index >= len(args) else args[index]
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from (v for v in value if isinstance(v, torch.Tensor))


def _rng_state() -> tuple[torch.Tensor, list[torch.Tensor]]:
    is_used = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return torch.get_rng_state(), torch.cuda.get_rng_state_all() if is_used else []


def _set_rng_state(state: tuple[torch.Tensor, list[torch.Tensor]]) -> None:
    torch.set_rng_state(state[0])
    if state[1]:
        torch.cuda.set_rng_state_all(state[1])


_TABLES = ("_parameters", "_buffers", "_modules")


def _module_state(module: torch.nn.Module) -> dict[str, Any]:
    state = dict(module.__dict__)
    for name in _TABLES:
        state[name] = dict(state[name])
    return state


def _set_module_state(module: torch.nn.Module, state: dict[str, Any]) -> None:
    tables = {name: module.__dict__[name] for name in _TABLES}
    for name, table in tables.items():
        table.clear()
        table.update(state[name])
    module.__dict__.clear()
    module.__dict__.update({**state, **tables})


class Snapshot:
    """The state before a run, and the way back to it."""

    def __init__(self, index: ModuleIndex) -> None:
        self.index = index
        self._rng = _rng_state()
        self._modules = {id(k.module): (k.module, _module_state(k.module)) for k in index}
        self._storages: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}
        self._fresh: set[int] = set()

    def state_of(self, module: torch.nn.Module) -> dict[str, Any]:
        """The module's ``__dict__`` as it was, its three tables copied."""
        found = self._modules.get(id(module))
        return found[1] if found is not None else {}

    def add_module(self, module: torch.nn.Module) -> None:
        """Cover a module that was met during the run, before it ran."""
        for inner in module.modules():
            self._modules.setdefault(id(inner), (inner, _module_state(inner)))

    def before_op(self, function: Any, args: Any, kwargs: Any) -> None:
        """Save what the op writes."""
        for tensor in written_tensors(function, args, kwargs):
            key = storage_key(tensor)
            if key is not None and key not in self._fresh and key not in self._storages:
                storage = tensor.untyped_storage()
                self._storages[key] = (storage, copy_of(storage))

    def after_op(self, inputs: Any, outputs: Any) -> None:
        """Note memory that the op has allocated."""
        known = {storage_key(t) for t in inputs}
        for tensor in outputs:
            key = storage_key(tensor)
            if key is not None and key not in known and key not in self._storages:
                self._fresh.add(key)

    def written(self) -> list[torch.Tensor]:
        """The bytes of what the run wrote and had not made, now."""
        found = []
        for storage, _ in self._storages.values():
            flat = torch.empty(0, dtype=torch.uint8, device=storage.device)
            found.append(flat.set_(storage))
        return found

    @contextlib.contextmanager
    def rewound(self) -> Iterator[None]:
        """The state before the run within the ``with``; the present state again after it."""
        after_rng = _rng_state()
        after_modules = [(module, _module_state(module)) for module, _ in self._modules.values()]
        after_storages = [(storage, copy_of(storage)) for storage, _ in self._storages.values()]
        try:
            self.rewind()
            yield
        finally:
            for storage, content in after_storages:
                _refill(storage, content)
            for module, state in after_modules:
                _set_module_state(module, state)
            _set_rng_state(after_rng)

    def rewind(self) -> None:
        """Go back to the state before the run."""
        for module, state in self._modules.values():
            _set_module_state(module, state)
        for storage, content in self._storages.values():
            _refill(storage, content)
        _set_rng_state(self._rng)


def copy_of(storage: torch.UntypedStorage) -> torch.UntypedStorage:
    """A copy of the bytes."""
    copy: torch.UntypedStorage = storage.clone()  # type: ignore[no-untyped-call]
    return copy


def _refill(storage: torch.UntypedStorage, content: torch.UntypedStorage) -> None:
    if storage.nbytes() != content.nbytes():
        storage.resize_(content.nbytes())
    storage.copy_(content)
