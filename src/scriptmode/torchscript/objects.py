"""Python objects of what a TorchScript file has pickled: modules, instances, containers.

Modules are made without running any ``__init__``; their types follow from what they hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from scriptmode.ir import types as T
from scriptmode.torchscript.classes import ClassTable, static_values
from scriptmode.torchscript.pickles import Instance, Member
from scriptmode.torchscript.sources import ClassDeclaration

_MOST_NESTED = 200
_PLAIN: Mapping[T.Type, type] = {
    T.INT: int,
    T.FLOAT: float,
    T.BOOL: bool,
    T.STR: str,
    T.COMPLEX: complex,
}
_OWN = frozenset(vars(torch.nn.Module()))


class ObjectMaker:
    """Makes the objects of ``data.pkl``; what is one object there is one object here."""

    def __init__(self, classes: ClassTable, problem: Any) -> None:
        self._classes = classes
        self._problem = problem
        self._made: dict[int, Any] = {}
        self._types: dict[int, T.ClassType] = {}
        self._busy: set[int] = set()
        self._kept: list[Any] = []

    def _wrong(self, what: str) -> Exception:
        error: Exception = self._problem(what, "data.pkl")
        return error

    def is_module(self, value: Any) -> bool:
        """Whether a pickled value is a module."""
        if not isinstance(value, Instance) or value.cls.startswith("__torch__.torch.classes."):
            return False
        return self._classes.sources.class_(value.cls).kind == "module"

    # modules

    def root(self, value: Instance) -> torch.nn.Module:
        """The module of the file; parameters are made before what else holds their tensors."""
        pending, seen = [value], set()
        while pending:
            owner = pending.pop()
            if id(owner) in seen or not isinstance(owner.state, dict):
                continue
            seen.add(id(owner))
            declared = self._classes.sources.class_(owner.cls)
            for name, part in owner.state.items():
                if name in declared.parameters and isinstance(part, torch.Tensor):
                    self._parameter(part, owner.cls, str(name))
            pending += [part for part in owner.state.values() if self.is_module(part)]
        return self.module(value)

    def module_type(self, value: Instance) -> T.ClassType:
        """The type of a pickled module."""
        return self._types[id(self.module(value))]

    def module(self, value: Instance, depth: int = 0) -> torch.nn.Module:
        """The module that a pickled object describes."""
        found = self._made.get(id(value))
        if found is None:
            if id(value) in self._busy or depth > _MOST_NESTED:
                raise self._wrong(f"the module {value.cls} contains itself")
            self._busy.add(id(value))
            found = self._module(value, depth)
            self._busy.discard(id(value))
            self._made[id(value)] = found
            self._kept.append(value)
        assert isinstance(found, torch.nn.Module)
        return found

    def _module(self, value: Instance, depth: int) -> torch.nn.Module:
        declared = self._classes.sources.class_(value.cls)
        state = value.state
        if declared.kind != "module" or not isinstance(state, dict):
            raise self._wrong(f"{value.cls} is no module with attributes")
        made: Any = object.__new__(self._classes.python_class(value.cls))
        torch.nn.Module.__init__(made)
        types: dict[str, T.Type] = {}
        constants = static_values(declared)
        for name, annotation in declared.attributes.items():
            if name not in state:
                raise self._wrong(f"a {value.cls} without its attribute `{name}`")
            part = state[name]
            if self.is_module(part):
                made._modules[name] = self.module(part, depth + 1)
                types[name] = self._types[id(made._modules[name])]
                continue
            t = self._classes.types.read(annotation, declared.file)
            if name in declared.parameters and part is not None:
                made._parameters[name] = self._parameter(part, value.cls, name)
                types[name] = T.TENSOR
            elif t == T.TENSOR and declared.is_buffer(name):
                made._buffers[name] = self.value(part, t)
                types[name] = t
            elif part is None and t == T.NONE:
                self._set_nothing(made, declared, name)
                if name not in _OWN:
                    constants[name] = None
            elif name == "training" or name not in _OWN:
                vars(made)[name] = self.value(part, t)
                types[name] = t
        for name, constant in constants.items():
            if name not in vars(made) and name not in types:
                vars(made).setdefault(name, constant)
        plain = {n: v for n, v in constants.items() if n not in types}
        self._types[id(made)] = self._classes.module_type(declared, types, plain.items())
        return made  # type: ignore[no-any-return]

    def _set_nothing(self, made: Any, declared: ClassDeclaration, name: str) -> None:
        """An attribute that is None: a parameter or buffer that is not there, or a plain one."""
        if name in declared.parameters:
            made._parameters[name] = None
        elif name in (declared.buffers or ()):
            made._buffers[name] = None
        elif name not in _OWN:
            vars(made)[name] = None

    def _parameter(self, value: Any, cls: str, name: str) -> torch.nn.Parameter:
        if not isinstance(value, torch.Tensor):
            raise self._wrong(f"the parameter `{name}` of {cls} is no tensor")
        found = self._made.get(id(value))
        if found is None:
            found = torch.nn.Parameter(value.detach(), value.requires_grad)
            self._made[id(value)] = found
            self._kept.append(value)
        assert isinstance(found, torch.nn.Parameter)
        return found

    # other values

    def value(self, value: Any, t: T.Type, depth: int = 0) -> Any:
        """A pickled value as an object of type ``t``."""
        if depth > _MOST_NESTED:
            raise self._wrong("values that are nested too deeply")
        if isinstance(t, T.OptionalType):
            return None if value is None else self.value(value, t.element, depth + 1)
        if isinstance(t, T.UnionType):
            return self._one_of(value, t, depth)
        if t == T.ANY:
            return self._any(value, depth)
        if isinstance(value, torch.Tensor):
            return self._tensor(value, t)
        is_container = isinstance(value, (list, dict, tuple, Instance))
        key = id(value)
        if is_container and key in self._made:
            return self._made[key]
        found = self._made_of(value, t, depth)
        if found is _WRONG:
            raise self._wrong(f"a {_name(value)} where a {t} is wanted")
        return found

    def _tensor(self, value: torch.Tensor, t: T.Type) -> Any:
        if t != T.TENSOR:
            raise self._wrong(f"a tensor where a {t} is wanted")
        return self._made.get(id(value), value)

    def _made_of(self, value: Any, t: T.Type, depth: int) -> Any:
        if t in _PLAIN:
            return value if type(value) is _PLAIN[t] else _WRONG
        if t == T.NUMBER:
            return value if type(value) in (int, float, bool, complex) else _WRONG
        if t == T.NONE:
            return None if value is None else _WRONG
        if t == T.DEVICE:
            return value if isinstance(value, torch.device) else _WRONG
        if isinstance(t, T.EnumType):
            return self._member(value, t)
        if isinstance(t, T.TupleType):
            return self._tuple(value, t, depth)
        if isinstance(t, T.ListType) and isinstance(value, list):
            items: list[Any] = []
            self._remember(value, items)
            items += [self.value(v, t.element, depth + 1) for v in value]
            return items
        if isinstance(t, T.DictType) and isinstance(value, dict):
            table: dict[Any, Any] = {}
            self._remember(value, table)
            for k, v in value.items():
                table[self.value(k, t.key, depth + 1)] = self.value(v, t.value, depth + 1)
            return table
        if isinstance(t, T.ClassType) and not t.is_module and isinstance(value, Instance):
            return self._instance(value, t, depth)
        return _WRONG

    def _remember(self, value: Any, made: Any) -> None:
        self._made[id(value)] = made
        self._kept.append(value)

    def _member(self, value: Any, t: T.EnumType) -> Any:
        cls: Any = t.python_class
        if not isinstance(value, Member) or self._classes.named(value.cls) != t:
            return _WRONG
        for member in cls:
            if type(member.value) is type(value.value) and member.value == value.value:
                return member
        raise self._wrong(f"{value.cls} has no member of the value {value.value!r}"[:200])

    def _tuple(self, value: Any, t: T.TupleType, depth: int) -> Any:
        if isinstance(value, Instance) and isinstance(value.state, tuple):
            value = value.state
        if isinstance(value, Instance) and isinstance(value.state, dict):
            value = tuple(value.state.values())
        if not isinstance(value, tuple) or len(value) != len(t.elements):
            return _WRONG
        items = [self.value(v, e, depth + 1) for v, e in zip(value, t.elements, strict=True)]
        if isinstance(t, T.NamedTupleType) and t.python_class is not None:
            return tuple.__new__(t.python_class, items)
        return tuple(items)

    def _instance(self, value: Instance, t: T.ClassType, depth: int) -> Any:
        own = self._classes.named(value.cls)
        if not isinstance(own, T.ClassType) or not T.is_subtype(own, t):
            return _WRONG
        declared = self._classes.sources.class_(value.cls)
        if "__getstate__" in declared.methods or not isinstance(value.state, dict):
            raise self._wrong(f"a {value.cls}, whose state is of its own making, is not supported")
        made: Any = object.__new__(own.python_class or object)
        self._remember(value, made)
        for name, inner in own.attributes.items():
            if name not in value.state:
                raise self._wrong(f"a {value.cls} without its attribute `{name}`")
            object.__setattr__(made, name, self.value(value.state[name], inner, depth + 1))
        return made

    def _one_of(self, value: Any, t: T.UnionType, depth: int) -> Any:
        for member in t.contained:
            if self._looks_like(value, member):
                return self.value(value, member, depth + 1)
        raise self._wrong(f"a {_name(value)} where a {t} is wanted")

    def _looks_like(self, value: Any, t: T.Type) -> bool:
        if t in _PLAIN:
            return type(value) is _PLAIN[t]
        kinds: tuple[tuple[type[T.Type], Any], ...] = (
            (T.ListType, list), (T.DictType, dict), (T.TupleType, (tuple, Instance)),
            (T.ClassType, Instance), (T.EnumType, Member),
        )  # fmt: skip
        if t == T.TENSOR:
            return isinstance(value, torch.Tensor)
        return any(isinstance(t, kind) and isinstance(value, cls) for kind, cls in kinds)

    def _any(self, value: Any, depth: int) -> Any:
        """A value of which no type is known."""
        if value is None or type(value) in (int, float, bool, str, complex):
            return value
        if isinstance(value, torch.Tensor):
            return self._made.get(id(value), value)
        if isinstance(value, list):
            return [self.value(v, T.ANY, depth + 1) for v in value]
        if isinstance(value, tuple):
            return tuple(self.value(v, T.ANY, depth + 1) for v in value)
        if isinstance(value, dict):
            return {k: self.value(v, T.ANY, depth + 1) for k, v in value.items()}
        if isinstance(value, (Instance, Member)) and not self.is_module(value):
            return self.value(value, self._classes.named(value.cls), depth + 1)
        raise self._wrong(f"a {_name(value)} of which the type is not known")


_WRONG: Any = object()


def _name(value: Any) -> str:
    return value.cls if isinstance(value, (Instance, Member)) else type(value).__name__
