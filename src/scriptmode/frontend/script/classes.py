"""User classes: their types, their attributes, and which classes a program knows.

A class is known when the program makes an instance, names it in an annotation, or when it was seen
at the boundary.  The types of its attributes come from annotations and from every assignment; a
later one of another type, or a class met after its base was dispatched over, starts the unit again
with what was learnt (``ClassFacts``).

Attributes of classes that inherit from one another share a slot and a type::

    class Node:                       Class<m.Node>: field 0 next: Optional[Class<m.Node>]
        def __init__(self, value):                   field 1 value: int
            self.next = None
            self.value = value
"""

from __future__ import annotations

import abc
import ast
import dis
import enum
import inspect
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from scriptmode.frontend.script import annotations as A
from scriptmode.frontend.script.dataclass_sources import enter_sources, generated, is_generated
from scriptmode.frontend.script.definite import definitely_assigned
from scriptmode.frontend.script.environment import closure_of
from scriptmode.frontend.script.source import source_of
from scriptmode.frontend.script.trees import kept, walk
from scriptmode.ir import types as T
from scriptmode.ir.growth import join_growing
from scriptmode.support.diagnostics import CompileError
from scriptmode.support.markers import is_interface
from scriptmode.support.outside import is_holder_class

if TYPE_CHECKING:
    from scriptmode.frontend.script.unit import Unit

# bases that say nothing of instances
_TRANSPARENT = (object, abc.ABC, typing.Generic, typing.Protocol)
_LIBRARIES = ("torch", "typing", "enum", "abc")  # whose classes are known one by one
_METACLASSES = (type, abc.ABCMeta, type(typing.Protocol))
_CHANGE_CLASSES = (
    "__call__", "__instancecheck__", "__subclasscheck__", "__getattribute__", "__getattr__",
    "__setattr__", "__eq__", "__hash__",
)  # fmt: skip
# classes whose instances are something else in compiled code
_OTHERS = (
    nn.Module, enum.Enum, torch.Tensor, tuple, list, dict, set, frozenset, str, bytes, int, float,
    complex, type, torch.autograd.Function,
)  # fmt: skip
# what every exception has; the native library knows their order
NATIVE_ATTRIBUTES = (
    "%class", "args", "__cause__", "__context__", "%origin", "%trace", "__suppress_context__",
)  # fmt: skip


class AttributeLearnt(Exception):
    """Something learnt of an attribute or a class makes the unit start again."""


@dataclass
class ClassFacts:
    """What earlier attempts at the unit, and objects seen at the boundary, say of classes."""

    fields: dict[tuple[type, str], T.Type] = field(default_factory=dict)
    classes: dict[type, None] = field(default_factory=dict)
    lacking: set[tuple[type, str]] = field(default_factory=set)  # seen without a value
    bare: set[type] = field(default_factory=set)  # made by ``object.__new__`` alone

    @staticmethod
    def of(other: ClassFacts | None) -> ClassFacts:
        """A copy, which may be added to."""
        copy = ClassFacts()
        if other is not None:
            copy.add(other)
        return copy

    def add(self, other: ClassFacts) -> None:
        """Learn what ``other`` says, too."""
        self.classes.update(other.classes)
        self.lacking |= other.lacking
        self.bare |= other.bare
        for key, t in other.fields.items():
            self.fields[key] = join_fields(self.fields[key], t) if key in self.fields else t


def is_user_class(cls: object) -> bool:
    """Whether ``cls`` is a class whose instances are those of a user class in compiled code."""
    return (
        isinstance(cls, type)
        and _makes_plain_classes(type(cls))
        and bool(cls.__flags__ & (1 << 9))  # made by a class statement
        and cls not in _TRANSPARENT
        and not issubclass(cls, (*_OTHERS, BaseException))
        # classes in C make instances that hold more than attributes
        and (
            cls.__new__ is object.__new__
            or isinstance(cls.__new__, types.FunctionType)
            or issubclass(cls, BaseException)
        )
        and (cls.__module__.partition(".")[0] not in _LIBRARIES or is_holder_class(cls))
    )


def _makes_plain_classes(meta: type) -> bool:
    """Whether a metaclass leaves making, testing and comparing to ``type`` or a known one."""
    own = meta.__mro__[: next(i for i, m in enumerate(meta.__mro__) if m in _METACLASSES)]
    return not any(name in vars(m) for m in own for name in _CHANGE_CLASSES)


def user_bases(cls: type) -> list[type]:
    """``cls`` and the classes it inherits from that are user classes, in Python's order."""
    return [base for base in cls.__mro__ if base not in _TRANSPARENT and is_python(base)]


def is_python(cls: type) -> bool:
    """Whether a class comes from a class statement."""
    return bool(cls.__flags__ & (1 << 9))


def is_signature(cls: type, function: types.FunctionType) -> bool:
    """Whether a method of ``cls`` only says how an interface or protocol is called."""
    owner = next((b for b in cls.__mro__ if function in vars(b).values()), cls)
    if not (is_interface(owner) or vars(owner).get("_is_protocol", False)):
        return False
    try:
        node = source_of(function).node
    except CompileError:
        return False
    return isinstance(node, ast.FunctionDef) and all(
        isinstance(s, ast.Pass) or (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))
        for s in node.body
    )


def static_attribute(cls: type, name: str) -> Any:
    """What the class itself has under a name; ``MISSING`` when nothing."""
    return generated(inspect.getattr_static(cls, name, MISSING))


MISSING: Any = object()


def is_data(found: Any) -> bool:
    """Whether a class attribute is a plain value: nothing that Python binds to an instance."""
    return found is not MISSING and not hasattr(type(found), "__get__")


@cache
def _own_stores(cls: type) -> frozenset[str]:
    """Names that the functions of a class's own body assign as attributes, or declare."""
    names = set(vars(cls).get("__annotations__", ()))
    slots = vars(cls).get("__slots__", ())
    names.update([slots] if isinstance(slots, str) else slots)
    for found in vars(cls).values():
        for function in functions_of(found):
            names |= stored_names(function)
    return frozenset(names)


def functions_of(found: Any) -> list[types.FunctionType]:
    """The Python functions behind a method, property or the like."""
    if isinstance(found, property):
        parts: Iterable[Any] = (found.fget, found.fset, found.fdel)
    elif isinstance(found, (staticmethod, classmethod)):
        parts = (found.__func__,)
    else:
        parts = (found, getattr(found, "func", None))
    return [p for p in parts if isinstance(p, types.FunctionType)]


def stored_names(function: types.FunctionType) -> set[str]:
    """Names that a function stores or deletes as attributes of some object."""
    ops = ("STORE_ATTR", "DELETE_ATTR")
    return {i.argval for i in dis.get_instructions(function.__code__) if i.opname in ops}


class ClassTable:
    """The user classes of one unit."""

    def __init__(self, unit: Unit, facts: ClassFacts) -> None:
        self.unit = unit
        self.facts = facts
        self._types: dict[type, T.ClassType | None] = {}
        self._dispatched: set[T.Type] = set()
        self._guessed: set[type] = set()
        self.deleted: set[tuple[T.Type, str]] = set()
        self._assumed: set[tuple[T.Type, str]] = set()
        self.absent: set[tuple[T.Type, str]] = set()  # names taken to be no attributes
        self.whole: set[T.ClassType] = set()  # whose attributes all count, used or not

    @property
    def types(self) -> list[T.ClassType]:
        """Every class that is known."""
        return [t for t in self._types.values() if t is not None]

    def enter_known(self) -> None:
        """Enter the classes that earlier attempts have met."""
        for cls in list(self.facts.classes):
            self.type_of(cls)

    def type_of(self, cls: type) -> T.ClassType | None:
        """The type of a user class; None of any other class."""
        if cls not in self._types:
            is_known = is_user_class(cls) or issubclass(cls, BaseException)
            self._types[cls] = self._enter(cls) if is_known else None
        return self._types[cls]

    def _enter(self, cls: type) -> T.ClassType:
        enter_sources(cls)
        bases = [self.type_of(base) for base in cls.__bases__]
        name = self.unit.unique_class(f"{cls.__module__}.{cls.__qualname__}")
        t = T.ClassType(name, original_name=cls.__name__)
        t.python_class = cls
        t.bases = [base for base in bases if base is not None]
        self._types[cls] = self.unit.program.classes[name] = t
        self.facts.classes[cls] = None
        for base in t.ancestors:
            base.subclasses.append(t)
        if any(base in self._dispatched for base in t.ancestors):
            raise AttributeLearnt
        if issubclass(cls, BaseException):
            t.attributes.update(exception_attributes(t))
        for base in t.ancestors:
            for attribute, kind in base.attributes.items():
                if attribute in NATIVE_ATTRIBUTES:
                    continue
                self.declare(t, attribute, self.facts.fields.get((cls, attribute), kind))
        annotated = self._annotated(cls)
        for (owner, attribute), kind in list(self.facts.fields.items()):
            if owner is cls:
                kind, hint = self.adopt(kind), annotated.get(attribute)
                self.declare(t, attribute, hint if hint and T.is_subtype(kind, hint) else kind)
        for attribute, kind in annotated.items():
            if attribute not in t.attributes:
                self.declare(t, attribute, kind)
        return t

    def _annotated(self, cls: type) -> dict[str, T.Type]:
        """Types of annotated attributes that are no class attributes, and of ``self.x: T``."""
        found: dict[str, T.Type] = {}
        for function in (f for member in vars(cls).values() for f in functions_of(member)):
            found.update(self_annotations(function, self.unit.type_of_class))
        found.update(own_annotations(cls, self.unit.type_of_class))
        own = [n for n, t in found.items() if not _says_little(t) and not _is_class_level(cls, n)]
        return {name: found[name] for name in own}

    def adopt(self, t: T.Type) -> T.Type:
        """A type of another unit with the classes of this one."""
        if isinstance(t, T.ClassType):
            own = None if t.python_class is None or t.is_module else self.type_of(t.python_class)
            return own if own is not None else t
        if not t.contained:
            return t
        parts = [self.adopt(c) for c in t.contained]
        same = all(p is c for p, c in zip(parts, t.contained, strict=True))
        return t if same else t.with_contained(parts)

    # the closed set

    def concrete(self, t: T.ClassType) -> list[T.ClassType]:
        """The classes that an instance of static type ``t`` may be of."""
        self._dispatched.add(t)
        found = [c for c in (t, *t.subclasses) if not inspect.isabstract(c.python_class)]
        return found or [t]

    # attributes

    def home(self, t: T.ClassType, name: str) -> T.ClassType:
        """The most basic class above ``t`` whose own methods assign the attribute."""
        for base in reversed((t.python_class or object).__mro__):
            known = self._types.get(base)
            if known is not None and name in _own_stores(base):
                return known
        return t

    def sharing(self, t: T.ClassType, name: str) -> list[T.ClassType]:
        """The classes in which the attribute of ``t`` is the same one."""
        members: list[T.ClassType] = []
        pending = [t]
        while pending:
            member = pending.pop(0)
            if member in members:
                continue
            members.append(member)
            pending += member.subclasses
            pending += [base for base in member.ancestors if name in base.attributes]
        return members

    def declare(self, t: T.ClassType, name: str, kind: T.Type) -> None:
        """The attribute may be of type ``kind``, besides what it was known to be."""
        owner = self.home(t, name)
        members = self.sharing(owner, name)
        joined = kind
        for member in members:
            if name in member.attributes:
                joined = join_fields(member.attributes[name], joined)
        self._set(owner, members, name, joined)

    def replace(self, t: T.ClassType, name: str, kind: T.Type) -> None:
        """The attribute is of type ``kind``, whatever it was thought to be."""
        owner = self.home(t, name)
        self._set(owner, self.sharing(owner, name), name, kind)

    def _set(
        self, owner: T.ClassType, members: Sequence[T.ClassType], name: str, kind: T.Type
    ) -> None:
        assert owner.python_class is not None
        changed = any(m.attributes.get(name, kind) != kind for m in members)
        changed = changed or any(m in self.whole and name not in m.attributes for m in members)
        self.facts.fields[owner.python_class, name] = kind
        if changed or any((m, name) in self.absent for m in members):
            for member in members:
                assert member.python_class is not None
                if (member.python_class, name) in self.facts.fields:
                    self.facts.fields[member.python_class, name] = kind
            raise AttributeLearnt
        for member in members:
            member.attributes[name] = kind

    def is_assigned(self, cls: type, name: str) -> bool:
        """Whether some method of the class assigns, or its body declares, the attribute."""
        return any(name in _own_stores(base) for base in user_bases(cls))

    def guess(self, t: T.ClassType) -> None:
        """Learn attributes of a class of which nothing was made yet from its ``__init__``.

        Parameters are taken as their annotations and defaults say, else as tensors.
        """
        cls = t.python_class
        assert cls is not None
        if cls in self._guessed:
            return
        self._guessed.add(cls)
        init = static_attribute(cls, "__init__")
        if isinstance(init, types.FunctionType):
            try:
                self.unit.compile_guess(init, t)
            except CompileError:  # nothing is learnt; a use of the class will report it
                return

    def keep_whole(self, t: T.ClassType) -> str | None:
        """Keep all attributes of a class; the name of one that stays unknown, if there is one."""
        assert t.python_class is not None
        self.whole.add(t)
        self.guess(t)
        for base in user_bases(t.python_class):
            for name in sorted(_own_stores(base)):
                found = static_attribute(t.python_class, name)
                is_field = found is MISSING or inspect.isdatadescriptor(found)
                if is_field and name not in t.attributes:
                    return name
        return None

    def note_made(self, t: T.ClassType) -> None:
        """An instance is made: its attributes are learnt from that."""
        assert t.python_class is not None
        self._guessed.add(t.python_class)

    # the end

    def finish(self) -> None:
        """Settle what is open of the attributes' types, and give them slots."""
        used = self._used()
        for t, name in self.absent:
            if isinstance(t, T.ClassType) and name not in t.attributes:
                found = static_attribute(t.python_class or object, name)
                if not inspect.isdatadescriptor(found):
                    t.left_to_class.add(name)
        for t in self.types:
            # an exception shows all its attributes when it leaves
            if t not in self.whole and not T.is_exception(t):
                t.attributes = {n: k for n, k in t.attributes.items() if n in used}
            for name, kind in t.attributes.items():
                settled = without_never(kind)
                if settled != kind:
                    self.replace(t, name, settled)
        for family in _families(self.types):
            self._lay_out(family)
        T.link_families(self.types)

    def _used(self) -> set[str]:
        """Names of the attributes that the program reads or writes."""
        kinds = ("prim::GetAttr", "prim::SetAttr", "prim::HasAttr", "prim::DelAttr")
        return {
            node.attributes["name"]
            for graph in self.unit.program.functions.values()
            for node in graph.walk()
            if node.kind in kinds and T.is_instance_type(node.inputs[0].type)
        }

    def _lay_out(self, family: Sequence[T.ClassType]) -> None:
        slots: list[T.Type] = []
        # the attributes that native code knows come first
        for t in sorted(family, key=lambda t: t.python_class is not BaseException):
            for name, kind in t.attributes.items():
                if name in t.slots:
                    continue
                members = [m for m in self.sharing(t, name) if name in m.attributes]
                always = all(self._always(m, name) for m in members)
                for member in members:
                    member.slots[name] = len(slots)
                slots.append(kind if always else T.UnsetType([kind]))
        for t in family:
            t.family = slots

    def assume_set(self, t: T.ClassType, name: str) -> bool:
        """Whether every instance has a value for it; a deletion compiled later restarts."""
        members = [m for m in self.sharing(t, name) if name in m.attributes]
        if not all(self._always(m, name) for m in members):
            return False
        self._assumed.update((m, name) for m in members)
        return True

    def note_deleted(self, t: T.ClassType, name: str) -> None:
        """The program deletes the attribute of some instance."""
        self.deleted.add((t, name))
        if (t, name) in self._assumed:
            assert t.python_class is not None
            self.facts.lacking.add((t.python_class, name))
            raise AttributeLearnt

    def note_bare(self, t: T.ClassType) -> None:
        """An instance is made whose ``__init__`` need not be called."""
        assert t.python_class is not None
        if t.python_class not in self.facts.bare:
            self.facts.bare.add(t.python_class)
            if any(t is member for member, _ in self._assumed):
                raise AttributeLearnt

    def _always(self, t: T.ClassType, name: str) -> bool:
        cls = t.python_class
        assert cls is not None
        setter = static_attribute(cls, "__setattr__")
        is_hooked = isinstance(setter, types.FunctionType) and not is_generated(setter)
        if is_hooked or cls in self.facts.bare:
            return False
        if (t, name) in self.deleted or (cls, name) in self.facts.lacking:
            return False
        if T.is_exception(t):
            return name in NATIVE_ATTRIBUTES  # Python may raise one that lacks others
        return inspect.isabstract(cls) or name in definitely_assigned(cls)


def exception_attributes(t: T.ClassType) -> dict[str, T.Type]:
    """Types of the attributes that every exception has."""
    other = T.optional_of(t.ancestors[-1] if t.ancestors else t)
    kinds = (T.INT, T.VarTupleType([T.ANY]), other, other, T.PYTHON,
             T.optional_of(T.ListType([T.INT])), T.BOOL)  # fmt: skip
    return dict(zip(NATIVE_ATTRIBUTES, kinds, strict=True))


def _says_little(t: T.Type) -> bool:
    return t == T.ANY or any(map(_says_little, t.contained))


def _families(types: Sequence[T.ClassType]) -> list[list[T.ClassType]]:
    found: list[list[T.ClassType]] = []
    seen: set[T.Type] = set()
    for first in types:
        pending, family = [first], []
        while pending:
            t = pending.pop(0)
            if t not in seen:
                seen.add(t)
                family.append(t)
                pending += [*t.ancestors, *t.subclasses]
        if family:
            found.append(family)
    return found


def join_fields(a: T.Type, b: T.Type) -> T.Type:
    """The type of an attribute that holds either; empty containers take the other's elements."""
    if type(a) is type(b) and isinstance(a, (T.ListType, T.DictType)):
        if T.NEVER in T.walk(a) or T.NEVER in T.walk(b):
            parts = [join_fields(x, y) for x, y in zip(a.contained, b.contained, strict=True)]
            return a.with_contained(parts)
    if isinstance(a, T.DefaultDictType) and isinstance(b, T.DefaultDictType) and a.made != b.made:
        # an annotation does not say how missing values are made
        made = next((d.made for d in (a, b) if isinstance(d.made, T.FactoryType)), None)
        if made is not None:
            parts = [join_fields(x, y) for x, y in zip(a.contained, b.contained, strict=True)]
            return T.DefaultDictType([*parts, made])
    if type(a) is T.TupleType and type(b) is T.TupleType and len(a.elements) == len(b.elements):
        return T.TupleType([join_fields(x, y) for x, y in zip(a.elements, b.elements, strict=True)])
    for one, other in ((a, b), (b, a)):
        inner = T.unwrap_optional(one)
        if isinstance(one, T.OptionalType) and T.NEVER in T.walk(one):
            return T.optional_of(join_fields(inner, T.unwrap_optional(other)))
        if isinstance(one, T.OptionalType) and T.NEVER in T.walk(other):
            return T.optional_of(join_fields(inner, T.unwrap_optional(other)))
    return join_growing(a, b) or T.ANY


def without_never(t: T.Type) -> T.Type:
    """Containers of which nothing is known hold tensors."""
    if not t.contained:
        return t
    if isinstance(t, T.DictType) and t.key == T.NEVER:
        return T.DictType([T.STR, T.TENSOR])
    return t.with_contained([T.TENSOR if c == T.NEVER else without_never(c) for c in t.contained])


def names_for(function: types.FunctionType) -> Mapping[str, Any]:
    """What names mean in the annotations of a function."""
    return {**function.__globals__, **closure_of(function)}


def self_annotations(function: types.FunctionType, type_of_class: A.TypeOf) -> dict[str, T.Type]:
    """Types of ``self.x: T`` in a method."""
    names = names_for(function)
    found: dict[str, T.Type] = {}
    for target, annotation in _annotated_targets(function):
        try:
            t = A.resolve(annotation, names, type_of_class)
        except A.BadAnnotation:
            continue
        if t is not None:
            found[target] = t
    return found


def own_annotations(cls: type, type_of_class: A.TypeOf) -> dict[str, T.Type]:
    """Types of the annotated names of a class body; those for the class alone are left out."""
    module = inspect.getmodule(cls)
    names = {**(vars(module) if module is not None else {}), cls.__name__: cls}
    for function in (f for member in vars(cls).values() for f in functions_of(member)):
        names.update(closure_of(function))
    found: dict[str, T.Type] = {}
    for name, annotation in vars(cls).get("__annotations__", {}).items():
        if "ClassVar" in str(annotation):
            continue
        try:
            t = A.resolve(annotation, names, type_of_class)
        except A.BadAnnotation:
            continue
        if t is not None:
            found[name] = t
    return found


def _is_class_level(cls: type, name: str) -> bool:
    """Whether the class has a value of its own under a name, slots and fields aside."""
    if name in getattr(cls, "__dataclass_fields__", ()):
        return False
    found = static_attribute(cls, name)
    return found is not MISSING and not isinstance(found, types.MemberDescriptorType)


def _annotated_targets(function: types.FunctionType) -> tuple[tuple[str, str], ...]:
    try:
        return _annotated_in(source_of(function).node)
    except CompileError:
        return ()


@kept
def _annotated_in(node: ast.AST) -> tuple[tuple[str, str], ...]:
    return tuple(
        (inner.target.attr, ast.unparse(inner.annotation))
        for inner in walk(node)
        if isinstance(inner, ast.AnnAssign)
        and isinstance(inner.target, ast.Attribute)
        and isinstance(inner.target.value, ast.Name)
    )
