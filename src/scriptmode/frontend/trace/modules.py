"""Modules that a trace meets: their place, their class types, the reads of their tensors.

A module is reached from ``self`` or, when a function has captured it, from a ``prim::Global``.  A
class type holds only those attributes that the recorded program reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from scriptmode.ir import types as T
from scriptmode.ir.graph import Program, Value


@dataclass(frozen=True)
class ModuleTree:
    """A module for printing: its attribute name, the name of its class, its children."""

    name: str
    original_name: str
    children: tuple[ModuleTree, ...]

    def __str__(self) -> str:
        return "\n".join(self._lines(""))

    def _lines(self, label: str) -> list[str]:
        if not self.children:
            return [f"{label}{self.original_name}()"]
        lines = [f"{label}{self.original_name}("]
        for child in self.children:
            lines += [f"  {line}" for line in child._lines(f"({child.name}): ")]
        return [*lines, ")"]


def module_tree(module: torch.nn.Module, name: str = "") -> ModuleTree:
    """The tree under ``module`` with original class names."""
    children = tuple(module_tree(m, n) for n, m in module._modules.items() if m is not None)
    original = getattr(module, "original_name", None)
    known = original if isinstance(original, str) else type(module).__name__
    return ModuleTree(name, known, children)


@dataclass
class KnownModule:
    """A module with its place; ``path`` leads from the root, ``root`` is "" for self."""

    module: torch.nn.Module
    root: str
    path: tuple[str, ...]
    class_type: T.ClassType | None = None
    attributes_at_start: dict[str, Any] = field(default_factory=dict)

    @property
    def scope(self) -> str:
        """What nodes of this module's forward carry."""
        parts = [self.root, *self.path] if self.root else [*self.path]
        return ".".join(parts)


def _named_tensors(module: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    for table in (module._parameters, module._buffers, module.__dict__):
        for name, value in table.items():
            if isinstance(value, torch.Tensor):
                yield name, value


class ModuleIndex:
    """All modules that a program may read from."""

    def __init__(self, program: Program, root: torch.nn.Module | None) -> None:
        self.program = program
        self.root = root
        self._modules: dict[int, KnownModule] = {}
        self._tensors: dict[int, tuple[torch.Tensor, KnownModule, str]] = {}
        if root is not None:
            self._add_tree(root, "")

    def __iter__(self) -> Iterator[KnownModule]:
        return iter(list(self._modules.values()))

    def capture(self, module: torch.nn.Module, name: str) -> None:
        """Make a module known that is not under ``self``."""
        if id(module) in self._modules:
            return
        candidate, number = name, 0
        while candidate in self.program.globals:
            number += 1
            candidate = f"{name}_{number}"
        self.program.globals[candidate] = module
        self._add_tree(module, candidate)

    def _add_tree(self, root: torch.nn.Module, root_name: str) -> None:
        for path, module in root.named_modules():
            if id(module) not in self._modules:
                parts = tuple(path.split(".")) if path else ()
                self._modules[id(module)] = KnownModule(module, root_name, parts)
        self.rescan()

    def rescan(self) -> None:
        """Find the tensors that modules hold now."""
        for known in self._modules.values():
            for name, tensor in _named_tensors(known.module):
                self._tensors[id(tensor)] = (tensor, known, name)
        stale = [
            key
            for key, (tensor, known, name) in self._tensors.items()
            if getattr(known.module, name, None) is not tensor
        ]
        for key in stale:
            del self._tensors[key]

    def find(self, module: torch.nn.Module) -> KnownModule | None:
        """The module's place."""
        return self._modules.get(id(module))

    def find_tensor(self, tensor: torch.Tensor) -> tuple[KnownModule, str] | None:
        """The module that holds ``tensor`` and the attribute's name."""
        found = self._tensors.get(id(tensor))
        return None if found is None else (found[1], found[2])

    def parent(self, known: KnownModule) -> KnownModule | None:
        """The module one step nearer to the root, on this module's path."""
        if not known.path:
            return None
        module: Any = self.program.globals[known.root] if known.root else self.root
        for part in known.path[:-1]:
            module = module._modules[part]
        return self._modules[id(module)]

    def class_type(self, known: KnownModule) -> T.ClassType:
        """The class type of a module, made at first use."""
        if known.class_type is None:
            cls = type(known.module)
            base = f"{cls.__module__}.{cls.__qualname__}".replace("<locals>.", "")
            name, number = base, 0
            while name in self.program.classes:
                number += 1
                name = f"{base}.{number}"
            t = T.ClassType(name, is_module=True, original_name=cls.__name__)
            t.python_class = cls
            self.program.classes[name] = t
            known.class_type = t
        return known.class_type

    def add_tensor_attribute(self, known: KnownModule, name: str) -> T.Type:
        """Declare a tensor attribute; its type."""
        t = self.class_type(known)
        t.attributes.setdefault(name, T.TENSOR)
        if name in known.module._parameters:
            t.parameters.add(name)
        elif name in known.module._buffers:
            t.buffers.add(name)
        return t.attributes[name]


class Reads:
    """Values of modules and their tensors in one graph, each read once."""

    def __init__(
        self, index: ModuleIndex, self_value: Value | None, read: Callable[..., Value]
    ) -> None:
        self.index = index
        self._read = read
        self._modules: dict[int, Value] = {}
        if self_value is not None and index.root is not None:
            self._modules[id(index.root)] = self_value

    def module(self, known: KnownModule) -> Value:
        """The value of a module."""
        value = self._modules.get(id(known.module))
        if value is None:
            own = self.index.class_type(known)
            parent = self.index.parent(known)
            if parent is None:
                value = self._read("prim::Global", (), own, known.root)
            else:
                name = known.path[-1]
                owner = self.module(parent)
                self.index.class_type(parent).attributes.setdefault(name, own)
                value = self._read("prim::GetAttr", (owner,), own, name)
            value.name = known.path[-1] if known.path else known.root
            self._modules[id(known.module)] = value
        return value

    def tensor(self, known: KnownModule, name: str) -> Value:
        """A new read of a module's tensor."""
        owner = self.module(known)
        t = self.index.add_tensor_attribute(known, name)
        value = self._read("prim::GetAttr", (owner,), t, name)
        value.name = name
        return value
