"""Native instances of modules: who owns the state that is not tensors.

``NativeInstance(class_type, module)`` builds the instances of a module and of all its submodules; a
module that is reached twice is one instance.  Tensors stay with the Python modules: each tensor
attribute of the tree has a number, its place in the table that every call fills.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import inspect
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import torch

from scriptmode.abi import layouts
from scriptmode.abi.instances import instance_size, is_tensor_slot, slot_offsets
from scriptmode.ir import types as T
from scriptmode.runtime import descriptors
from scriptmode.runtime.crossing import Crossing, drop_slot
from scriptmode.runtime.published import INSTANCES
from scriptmode.runtime.tree import Tree

PLAIN_TENSORS = (torch.Tensor, torch.nn.Parameter)


class NativeInstance:
    """The native counterpart of one Python module."""

    def __init__(
        self, class_type: T.ClassType, module: torch.nn.Module, tree: Tree | None = None
    ) -> None:
        self.class_type = class_type
        self.module = module
        self.tree = tree if tree is not None else Tree()
        self.tree.instances[id(module)] = self
        self.offsets = slot_offsets(class_type)
        self.table_indexes: dict[str, int] = {}
        self._children: dict[str, NativeInstance] = {}
        self._filled: list[str] = []
        self.address = self.tree.memory.new_block(instance_size(class_type))
        self._write(layouts.HEAP_COUNT, layouts.IMMORTAL)
        self._write(layouts.HEAP_DESCRIPTOR, descriptors.descriptor(class_type))
        INSTANCES[self.address] = self
        if self.tree.filling is not None:
            self._fill_all(self.tree.filling)
            return
        with Crossing() as crossing:
            self.tree.filling = crossing
            try:
                self._fill_all(crossing)
            finally:
                self.tree.filling = None

    def _fill_all(self, crossing: Crossing) -> None:
        for name, t in self.class_type.attributes.items():
            self._fill(name, t, crossing)

    def _write(self, offset: int, value: int) -> None:
        ctypes.c_int64.from_address(self.address + offset).value = value

    def _fill(self, name: str, t: T.Type, crossing: Crossing) -> None:
        offset = self.offsets[name]
        if is_tensor_slot(t):
            self.table_indexes[name] = self.tree.table_size
            self._write(offset, self.tree.table_size)
            self.tree.table_size += 1
            return
        if isinstance(t, T.ClassType) and t.is_module:
            child = self._instance_of(getattr(self.module, name), t)
            self._children[name] = child
            self._write(offset, child.address)
            return
        crossing.to_native(self._held(name), t, self.address + offset)
        self._filled.append(name)
        self.tree.memory.fill(self.address + offset, t)

    def _held(self, name: str) -> Any:
        """What the slot of an attribute holds for the value that the eager module has."""
        late = self.class_type.late.get(name)
        if late is None:
            return getattr(self.module, name)
        return _for_slot(present(self.module, name), late)

    @staticmethod
    def of(class_type: T.ClassType, module: torch.nn.Module, tree: Tree) -> NativeInstance:
        """The instance of ``module`` in ``tree``, made if it is new there."""
        known = tree.instances.get(id(module))
        return known if known is not None else NativeInstance(class_type, module, tree)

    def _instance_of(self, module: torch.nn.Module, t: T.ClassType) -> NativeInstance:
        known = self.tree.instances.get(id(module))
        if known is not None:
            if known.class_type != t:
                raise TypeError(f"one module is used as {known.class_type} and as {t}")
            return known
        return NativeInstance(t, module, self.tree)

    # ---- attributes

    def child(self, name: str) -> NativeInstance | None:
        """The instance of a submodule."""
        return self._children.get(name)

    @property
    def children(self) -> list[NativeInstance]:
        """The instances of the submodules."""
        return list(self._children.values())

    @property
    def named_children(self) -> list[tuple[str, NativeInstance]]:
        """The same with the names of their attributes."""
        return list(self._children.items())

    def has_slot(self, name: str) -> bool:
        """Whether ``name`` is a compiled attribute, submodules excluded."""
        return name in self.class_type.attributes and name not in self._children

    def get(self, name: str) -> Any:
        """The value of an attribute; a container is the same object each time."""
        if name in self.table_indexes:
            return getattr(self.module, name)
        with self.tree.turn, self._crossing(name) as crossing:
            value = self._read(name, crossing)
        if value is UNBOUND:
            raise AttributeError(
                f"'{self.class_type.original_name}' object has no attribute '{name}'"
            )
        return value

    def _crossing(self, name: str) -> Crossing:
        """A crossing for one attribute, by reference where it holds containers."""
        t = self.class_type.attributes[name]
        return Crossing(self.tree.memory.mirrors if may_hold_containers(t) else None)

    def _read(self, name: str, crossing: Crossing) -> Any:
        """The value in a slot; UNBOUND where there is none."""
        t = self.class_type.attributes[name]
        value = crossing.to_python(self.address + self.offsets[name], t)
        late = self.class_type.late.get(name)
        if late is None:
            return value
        if value is None:
            return UNBOUND
        return value[0] if T.is_optional(late) else value

    def unbind(self, name: str) -> None:
        """Delete an attribute; AttributeError when it cannot be unbound, or is already."""
        if name not in self.class_type.late:
            raise AttributeError(f"`{name}` of a compiled module cannot be deleted")
        if name in self.table_indexes:
            delattr(self.module, name)
            return
        self.get(name)
        with self.tree.turn, self._crossing(name) as crossing:
            self._replace(name, UNBOUND, crossing)

    def set(self, name: str, value: Any) -> None:
        """Assign an attribute; TypeError when the value is not of its type."""
        if name in self.table_indexes:
            t = self.class_type.attributes[name]
            if not (isinstance(value, torch.Tensor) or (value is None and T.is_optional(t))):
                raise TypeError(f"`{name}` is compiled as {t}, not {type(value).__name__}")
            setattr(self.module, name, value)
            return
        with self.tree.turn, self._crossing(name) as crossing:
            self._replace(name, value, crossing)

    def _replace(self, name: str, value: Any, crossing: Crossing) -> None:
        """Write a slot; UNBOUND unbinds a late attribute."""
        late = self.class_type.late.get(name)
        if late is not None:
            value = _for_slot(value, late)
        elif value is UNBOUND:
            raise TypeError(f"`{name}` of a compiled module cannot be deleted")
        t = self.class_type.attributes[name]
        size = layouts.size_of(t)
        fresh = ctypes.create_string_buffer(size + 8)
        slot = self.address + self.offsets[name]
        crossing.to_native(value, t, ctypes.addressof(fresh))
        old = ctypes.create_string_buffer(ctypes.string_at(slot, size), size + 8)
        ctypes.memmove(slot, fresh, size)
        drop_slot(ctypes.addressof(old), descriptors.descriptor(t))

    @property
    def is_elsewhere(self) -> bool:
        """Whether the module is a compiled one, which owns its state itself."""
        own = vars(self.module).get("_instance")
        return isinstance(own, NativeInstance) and own is not self

    def export_to(
        self, module: torch.nn.Module, names: frozenset[str] | None = None, whole: bool = False
    ) -> None:
        """Write the native state of the tree to the attributes of ``module`` and its submodules.

        Containers are written by reference.  ``names`` are the attributes that are meant, all by
        default.  Submodules that own their state are left alone, unless the ``whole`` is meant.
        """
        for name in self._filled if names is None else names.intersection(self._filled):
            with self.tree.turn, self._crossing(name) as crossing:
                self._write_to(module, name, self._read(name, crossing))
        for name, child in self._children.items():
            if whole or not child.is_elsewhere:
                child.export_to(getattr(module, name), names, whole)

    def copy_to(self, module: torch.nn.Module) -> None:
        """``export_to`` with copies of the containers."""
        self.tree.memory.mirrors.settle()
        with Crossing() as crossing:
            self._copy_to(module, crossing)

    def _copy_to(self, module: torch.nn.Module, crossing: Crossing) -> None:
        for name in self._filled:
            self._write_to(module, name, self._read(name, crossing))
        for name, child in self._children.items():
            if not child.is_elsewhere:
                child._copy_to(getattr(module, name), crossing)

    def _write_to(self, module: torch.nn.Module, name: str, value: Any) -> None:
        """Give an eager module the value of an attribute; immutable equal ones stay."""
        old = present(module, name)
        if value is old:
            return
        if value is UNBOUND:
            delattr(module, name)
        elif may_hold_containers(self.class_type.attributes[name]) or not _same(old, value):
            setattr(module, name, value)

    def import_from(self, module: torch.nn.Module, names: frozenset[str] | None = None) -> None:
        """The opposite of ``export_to``."""
        for name in self._filled if names is None else names.intersection(self._filled):
            with self.tree.turn, self._crossing(name) as crossing:
                value = present(module, name)
                own = self._read(name, crossing)
                holds = may_hold_containers(self.class_type.attributes[name])
                if own is not value and (holds or not _same(own, value)):
                    self._replace(name, value, crossing)
        for name, child in self._children.items():
            child.import_from(getattr(module, name), names)

    @contextlib.contextmanager
    def lent(self) -> Iterator[torch.nn.Module]:
        """The eager module with the native state, which takes over what becomes of it."""
        self.export_to(self.module)
        try:
            yield self.module
        finally:
            self.import_from(self.module)

    @contextlib.contextmanager
    def in_step(self, names: frozenset[str]) -> Iterator[None]:
        """Around a call of a program that has captured the module: its state is the module's."""
        self.import_from(self.module, names)
        try:
            yield
        finally:
            self.export_to(self.module, names, whole=True)

    # ---- lent to Python in a call

    @property
    def relatives(self) -> list[NativeInstance]:
        """Every instance of the tree."""
        return list(self.tree.instances.values())

    def publish(self, frame: int) -> dict[str, Any]:
        """Write the state to the eager module; the values of its attributes."""
        crossing = Crossing.of_call(frame)
        for name in self._filled:
            self._write_to(self.module, name, self._read(name, crossing))
        names = (*self._filled, *self.class_type.constants)
        return {n: present(self.module, n) for n in names}

    def refresh(self, frame: int, before: Mapping[str, Any]) -> None:
        """Take over what a Python function has assigned."""
        crossing = Crossing.of_call(frame)
        for row in self._own_rows():
            value = row.place.get(row.name)
            if not (type(value) in PLAIN_TENSORS or (value is None and row.nullable)):
                raise TypeError(f"`{row.name}` is compiled as a tensor, not {value!r}")
        for name, old in before.items():
            value = present(self.module, name)
            if value is not old:
                if name in self.class_type.constants:
                    raise TypeError(f"`{name}` is a constant of the compiled module")
                self._replace(name, value, crossing)

    # ---- tensors

    def _own_rows(self) -> list[TensorRow]:
        return [TensorRow(self, name, index) for name, index in self.table_indexes.items()]

    def walk(self) -> Iterator[NativeInstance]:
        """This instance and those below it, each once."""
        seen = {id(self)}
        pending = [self]
        while pending:
            found = pending.pop()
            yield found
            for child in found._children.values():
                if id(child) not in seen:
                    seen.add(id(child))
                    pending.append(child)

    def seen_as(self, class_type: T.ClassType) -> Iterator[tuple[NativeInstance, T.ClassType]]:
        """The tree beside the class types of another program; TypeError if its layout differs."""
        seen: set[int] = set()
        pending = [(self, class_type)]
        while pending:
            instance, other = pending.pop()
            if id(instance) in seen:
                continue
            seen.add(id(instance))
            if not _same_layout(instance.class_type, other):
                name = instance.class_type.original_name
                raise TypeError(f"attributes of {name} have changed since it was compiled")
            yield instance, other
            for name, child in instance._children.items():
                inner = other.attributes[name]
                assert isinstance(inner, T.ClassType), "layouts agree"
                pending.append((child, inner))

    def tensor_rows(self) -> Iterable[TensorRow]:
        """The tensor attributes of the tree."""
        for instance in self.walk():
            yield from instance._own_rows()

    def rows_read(
        self, class_type: T.ClassType, wanted: Collection[tuple[str, str]]
    ) -> Iterable[TensorRow]:
        """The tensor attributes that a program reads, which knows this module as ``class_type``.

        ``wanted`` are pairs of class and attribute names of that program.
        """
        for instance, other in self.seen_as(class_type):
            for name, index in instance.table_indexes.items():
                if (other.name, name) in wanted:
                    yield TensorRow(instance, name, index)

    def unusual(self) -> str | None:
        """Why native code cannot read the module's tensors as they are now; None if it can."""
        for row in self.tensor_rows():
            value = row.place.get(row.name)
            if value is not None and type(value) not in PLAIN_TENSORS:
                return f"`{row.name}` is a {type(value).__name__}"
        return None


class TensorRow:
    """One tensor attribute: where it lies in Python, and its number in the table."""

    def __init__(self, instance: NativeInstance, name: str, index: int) -> None:
        self.module = instance.module
        self.name = name
        self.index = index
        self.nullable = T.is_optional(instance.class_type.attributes[name])
        self.is_late = name in instance.class_type.late
        state = instance.module.__dict__
        self.container: str | None = None  # None: the module's own dict
        self.place: dict[str, Any] = state
        for container in ("_parameters", "_buffers"):
            if name in state.get(container, ()):
                self.container, self.place = container, state[container]


UNBOUND = object()  # the value of an attribute that a module does not have


def present(module: torch.nn.Module, name: str) -> Any:
    """An attribute that a module has now; a cached property that was not read yet is none."""
    if isinstance(inspect.getattr_static(type(module), name, None), functools.cached_property):
        return module.__dict__.get(name, UNBOUND)
    return getattr(module, name, UNBOUND)


def may_hold_containers(t: T.Type) -> bool:
    """Whether values of a type are, or may have inside, objects that can be changed."""
    return any(
        isinstance(part, (T.ListType, T.DictType, T.UnionType, T.ClassType)) or part == T.ANY
        for part in T.walk(t)
    )


def _for_slot(value: Any, late: T.Type) -> Any:
    """What the slot of an attribute that may be unbound holds for a value."""
    if value is UNBOUND:
        return None
    return (value,) if T.is_optional(late) else value


def _same_layout(a: T.ClassType, b: T.ClassType) -> bool:
    if a is b:
        return True
    if list(a.attributes) != list(b.attributes):
        return False
    return all(
        x == y or (isinstance(x, T.ClassType) and isinstance(y, T.ClassType))
        for x, y in zip(a.attributes.values(), b.attributes.values(), strict=True)
    )


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and bool(a == b)
