"""Instances of user classes: making them, their attributes and methods.

A value of static type ``Class<A>`` is an instance of ``A`` or of a subclass that the program knows.
What a name means may differ among those: ``under_each`` divides them into groups that agree, and
tests at run time which group an instance belongs to::

    shape.area()      %sq: bool = prim::isinstance[exact=True, types=(Class<m.Square>,)](%shape)
                      %r: float = prim::If(%sq)  ...
"""

from __future__ import annotations

import difflib
import functools
import inspect
import types
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from scriptmode.frontend.script.attribute_hooks import (
    descriptor_method,
    hook,
    is_descriptor,
    own_new,
    stands_before_fields,
)
from scriptmode.frontend.script.classes import (
    MISSING,
    functions_of,
    is_data,
    is_signature,
    static_attribute,
    user_bases,
)
from scriptmode.frontend.script.conditions import members, split
from scriptmode.frontend.script.dataclass_sources import is_generated
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.flow import choose, discard_after, narrow, when
from scriptmode.frontend.script.functions import call_function
from scriptmode.frontend.script.handlers import CALLS
from scriptmode.frontend.script.literals import make_alike
from scriptmode.frontend.script.values import (
    Arguments,
    BoundMethod,
    Constant,
    IRValue,
    PythonObject,
    Sugared,
)
from scriptmode.ir import types as T

Member = Callable[[IRValue, T.ClassType], Sugared]
Key = Callable[[T.ClassType], Hashable]


class VirtualMethod(Sugared):
    """A method of an instance that differs among the classes that the instance may be of."""

    def __init__(self, owner: Sugared, name: str) -> None:
        self.owner = owner
        self.name = name

    def parts(self) -> tuple[Sugared, ...]:
        return (self.owner,)

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        return VirtualMethod(parts[0], self.name)

    def key(self) -> Hashable:
        return ("virtual method", self.name)

    def describe(self) -> str:
        return f"the method `{self.name}` of {self.owner.describe()}"


def instance_type(value: Sugared) -> T.ClassType | None:
    """The static class of an instance; None of other values."""
    if isinstance(value, IRValue) and isinstance(value.type, T.ClassType):
        return None if value.type.is_module else value.type
    return None


def python_class(t: T.ClassType) -> type:
    """The Python class behind a type."""
    assert t.python_class is not None, f"{t} has no Python class"
    return t.python_class


# dispatch


def under_each(e: Emitter, value: IRValue, key: Key, act: Member) -> Sugared:
    """``act`` on the value under every group of classes that agree in ``key``, merged."""
    t = instance_type(value)
    assert t is not None
    groups: dict[Hashable, list[T.ClassType]] = {}
    for candidate in e.unit.classes.concrete(t):
        groups.setdefault(key(candidate), []).append(candidate)
    listed = list(groups.values())
    if T.is_exception(t):
        # classes that the program does not know are like the one that is known of the value
        listed = [*listed[1:], listed[0]]

    def chain(first: int) -> Sugared:
        members = listed[first]
        if first == len(listed) - 1:
            return act(_narrowed(e, value, members), members[0])
        test = e.builder.node(
            "prim::isinstance", [value.value], [T.BOOL], types=tuple(members), exact=True
        )
        return choose(
            e, test.output,
            lambda: act(_narrowed(e, value, members), members[0]), lambda: chain(first + 1),
        )  # fmt: skip

    return chain(0)


def _narrowed(e: Emitter, value: IRValue, members: Sequence[T.ClassType]) -> IRValue:
    """The value under the narrowest class above all members."""
    above = [members[0], *members[0].ancestors]
    common = next(
        (c for c in above if all(c is m or c in m.ancestors for m in members)), value.type
    )
    if not isinstance(common, T.ClassType) or value.type not in common.ancestors:
        return value
    return IRValue(e.builder.cast(value.value, common), origin=value.root)


# making instances


def construct(e: Emitter, cls: type, given: Arguments) -> Sugared | None:
    """``cls(...)``; None when it is no user class."""
    t = e.unit.classes.type_of(cls)
    if t is None:
        return None
    new = own_new(cls)
    if new is not None:
        return _construct_by_new(e, cls, new, given)
    made = create(e, t, cls)
    initialise(e, made, cls, given)
    return made


def create(e: Emitter, t: T.ClassType, cls: type) -> IRValue:
    """A new instance of exactly ``cls``, without attributes."""
    refuse_special(e, cls, "__del__")
    if inspect.isabstract(cls):
        try:
            object.__new__(cls)
        except TypeError as error:
            e.raise_error(TypeError, str(error))
    e.unit.classes.note_made(t)
    return IRValue(e.builder.node("prim::CreateObject", [], [t]).output)


def _construct_by_new(e: Emitter, cls: type, new: types.FunctionType, given: Arguments) -> Sugared:
    """``cls(...)`` by the class's own ``__new__``: what is of the class is initialised."""
    settled = _settled(e, given)
    arguments = Arguments([PythonObject(cls), *settled.positional], settled.keywords, given.node)
    made = e.settle(call_function(e, new, arguments))

    def finish(value: Sugared) -> Sugared:
        if instance_type(value) is not None:
            assert isinstance(value, IRValue)
            under_each(e, value, lambda c: c, initialise_own)
        return Constant(None)

    def initialise_own(value: IRValue, t: T.ClassType) -> Sugared:
        if issubclass(python_class(t), cls):
            initialise(e, value, python_class(t), settled)
        return Constant(None)

    if isinstance(made, IRValue):
        split(e, made, finish)
    return made


def initialise(e: Emitter, made: IRValue, cls: type, given: Arguments) -> None:
    """Call the ``__init__`` of a new instance."""
    init = static_attribute(cls, "__init__")
    if init is object.__init__:
        if (given.positional or given.keywords) and own_new(cls) is None:
            e.fail_type(f"{cls.__name__}() takes no arguments")
        return
    if not isinstance(init, types.FunctionType):
        e.not_built(f"the class `{cls.__name__}`, whose `__init__` is no Python function, is")
    arguments = Arguments([made, *given.positional], given.keywords, given.node)
    result = call_function(e, init, arguments)
    if e.type_of(result) != T.NONE:
        e.fail_type(f"__init__() of `{cls.__name__}` must return None")


_REFUSED = {
    "__new__": "make the instance in a function or a class method",
    "__del__": "release what it holds in a method or a context manager",
    "__setattr__": "write a method or a property that assigns",
    "__delattr__": "write a method that deletes",
    "__getattribute__": "write a property or `__getattr__`",
}


def refuse_special(e: Emitter, cls: type, *names: str) -> None:
    """Refuse classes with methods that change what making and assigning mean."""
    for base in user_bases(cls):
        for name in names or _REFUSED:
            found = vars(base).get(name)
            if isinstance(found, (types.FunctionType, staticmethod)) and not is_generated(found):
                e.not_built(f"the class `{base.__name__}` with `{name}` is", help=_REFUSED[name])


# reading attributes


def not_none(e: Emitter, value: IRValue, name: str) -> Sugared:
    """A value that may be None where its attribute is asked for: AttributeError when it is."""
    assert isinstance(value.type, T.OptionalType)
    missing = e.builder.node("prim::is_none", [value.value], [T.BOOL]).output
    when(
        e, missing,
        lambda: e.raise_error(AttributeError, f"'NoneType' object has no attribute '{name}'"),
    )  # fmt: skip
    return narrow(e, value, value.type.element)


def find_member(e: Emitter, value: IRValue, name: str) -> Sugared | None:
    """``value.name``: what ``__getattribute__`` of its class says, else as Python finds it."""
    t = instance_type(value)
    assert t is not None
    if all(_own_reader(e, c) is None for c in e.unit.classes.concrete(t)):
        return plain_member(e, value, name)

    def act(v: IRValue, c: T.ClassType) -> Sugared:
        reader = _own_reader(e, c)
        if reader is not None:
            return e.call_positional(PythonObject(reader), v, Constant(name))
        found = plain_member(e, v, name)
        if found is None:
            e.raise_error(AttributeError, missing_text(python_class(c), name))
        return found

    return under_each(e, value, lambda c: (c, _own_reader(e, c)), act)


def _own_reader(e: Emitter, t: T.ClassType) -> types.FunctionType | None:
    """``__getattribute__`` of a class itself."""
    cls = python_class(t)
    found = hook(cls, "__getattribute__")
    if found is not None and functions_of(static_attribute(cls, "__getattr__")):
        e.not_built(f"the class `{cls.__name__}` with `__getattribute__` and `__getattr__` is")
    return found


def plain_member(e: Emitter, value: IRValue, name: str) -> Sugared | None:
    """``value.name`` as object finds it: data descriptors, the instance, the class."""
    t = instance_type(value)
    assert t is not None
    if name == "__dict__":
        e.not_built("`__dict__` of an instance is", help="name the attributes one by one")
    candidates = e.unit.classes.concrete(t)
    if all(_member_key(e, c, name) is None for c in candidates):
        known: Sugared | None = e.unit.known_attribute(e, value, t, name)
        return known or _guessed_member(e, value, t, name)
    if len({_member_key(e, c, name) for c in candidates}) > 1:
        kinds = {_kind_of(python_class(c), name) for c in candidates}
        if kinds <= {"function"}:
            return VirtualMethod(value, name)
    return under_each(
        e, value, lambda c: _member_key(e, c, name), lambda v, c: _read_member(e, v, c, name)
    )


def _guessed_member(e: Emitter, value: IRValue, t: T.ClassType, name: str) -> Sugared | None:
    """An attribute that no assignment compiled so far has shown."""
    known = dict(t.attributes)
    for candidate in e.unit.classes.concrete(t):
        if e.unit.classes.is_assigned(python_class(candidate), name):
            e.unit.classes.guess(candidate)
    return plain_member(e, value, name) if known != t.attributes else None


def _kind_of(cls: type, name: str) -> str:
    found = static_attribute(cls, name)
    return "function" if isinstance(found, types.FunctionType) else "other"


def _member_key(e: Emitter, t: T.ClassType, name: str) -> Hashable:
    """What ``name`` is of instances of exactly ``t``; None when it is missing."""
    cls = python_class(t)
    if name == "__class__":
        return ("class", cls)
    found = static_attribute(cls, name)
    if isinstance(found, property):
        return ("property", id(found))
    on_class = id(found) if is_data(found) or is_descriptor(found) else None
    if e.unit.is_class_variable(e, cls, name):
        on_class = id(cls)
    if stands_before_fields(found):
        return ("descriptor", id(found), cls)
    if name in t.attributes:
        shared = e.unit.classes.sharing(t, name)
        first = min(str(m) for m in shared if name in m.attributes)
        return ("field", first, t.attributes[name], on_class)
    e.unit.classes.absent.add((t, name))
    if on_class == id(cls):
        return ("class variable", cls)
    if isinstance(found, classmethod):
        return ("class method", id(found), cls)
    if is_descriptor(found):
        return ("class attribute", id(found), cls)
    if found is not MISSING and not isinstance(found, types.MemberDescriptorType):
        return ("class attribute", id(found))
    if isinstance(static_attribute(cls, "__getattr__"), types.FunctionType):
        return ("getattr", id(static_attribute(cls, "__getattr__")))
    return None


def _read_member(e: Emitter, value: IRValue, t: T.ClassType, name: str) -> Sugared:
    cls = python_class(t)
    key = _member_key(e, t, name)
    if key is None:
        e.raise_error(AttributeError, missing_text(cls, name))
    assert isinstance(key, tuple)
    found = static_attribute(cls, name)
    match key[0]:
        case "class":
            return PythonObject(cls)
        case "property":
            if found.fget is None:
                e.raise_error(AttributeError, f"{property_text(cls, name)} has no getter")
            return e.call_positional(e.unit.wrap(e, found.fget, name), value)
        case "descriptor":
            return _from_descriptor(e, value, cls, found)
        case "field":
            return _read_field(e, value, t, name, found)
        case "class variable":
            return e.attribute(PythonObject(cls), name)
        case "getattr":
            hook = static_attribute(cls, "__getattr__")
            return e.call_positional(PythonObject(hook), value, Constant(name))
    return bind_member(e, value, cls, found, name)


def bind_member(e: Emitter, value: IRValue, cls: type, found: Any, name: str) -> Sugared:
    """A class attribute, bound to the instance as Python binds it."""
    e.unit.program.captures.add_class_attribute(cls, name)
    if isinstance(found, staticmethod):
        return e.unit.wrap(e, found.__func__, name)
    if isinstance(found, classmethod):
        return BoundMethod(PythonObject(cls), PythonObject(found.__func__))
    if isinstance(found, property):
        return e.call_positional(e.unit.wrap(e, found.fget, name), value)
    if isinstance(found, functools.cached_property):
        return _cached_property(e, value, found, name)
    if e.unit.is_bound_specially(found):
        special: Sugared = e.unit.bind_specially(value, found)
        return special
    if descriptor_method(found, "__get__") is not None:
        return _from_descriptor(e, value, cls, found)
    if isinstance(found, types.FunctionType) and is_signature(cls, found):
        e.raise_error(NotImplementedError, f"{cls.__name__}.{name} is a signature without code")
    wrapped = e.unit.wrap(e, found, name)
    if isinstance(found, (types.FunctionType, types.WrapperDescriptorType)):
        return BoundMethod(value, wrapped)
    return wrapped


def _from_descriptor(e: Emitter, value: IRValue, cls: type, found: Any) -> Sugared:
    """What a descriptor's ``__get__`` gives for the instance."""
    method = descriptor_method(found, "__get__")
    assert method is not None
    own = e.unit.wrap(e, found, "descriptor")
    return e.call_positional(PythonObject(method), own, value, PythonObject(cls))


def _read_field(e: Emitter, value: IRValue, t: T.ClassType, name: str, found: Any) -> Sugared:
    """An attribute of the instance, or else what its class has under the name."""

    def read() -> Sugared:
        kind = _declared(value.type, name) or t.attributes[name]
        node = e.builder.node("prim::GetAttr", [value.value], [kind], name=name)
        return e.lift(node.output)

    cls = python_class(t)
    if is_data(found) or is_descriptor(found) or e.unit.is_class_variable(e, cls, name):
        if is_data(found) and e.unit.classes.assume_set(t, name):
            return read()
        return choose(
            e, has_field(e, value, name), read, lambda: _behind_field(e, value, cls, found, name)
        )
    if isinstance(found, functools.cached_property):
        return _cached_property(e, value, found, name)
    hook = static_attribute(cls, "__getattr__")
    if isinstance(hook, types.FunctionType) and not e.unit.classes.assume_set(t, name):
        return choose(
            e, has_field(e, value, name), read,
            lambda: e.call_positional(PythonObject(hook), value, Constant(name)),
        )  # fmt: skip
    return read()


def plain_field(unit: Any, t: T.ClassType, name: str) -> T.Type | None:
    """The type of an attribute that every class below ``t`` keeps in a field; None of others."""
    for candidate in unit.classes.concrete(t):
        cls = python_class(candidate)
        found = static_attribute(cls, name)
        if isinstance(found, property) or is_descriptor(found):
            return None
        if hook(cls, "__setattr__") is not None or hook(cls, "__getattribute__") is not None:
            return None
        if candidate.attributes.get(name) != t.attributes.get(name):
            return None
    return t.attributes.get(name)


def _behind_field(e: Emitter, value: IRValue, cls: type, found: Any, name: str) -> Sugared:
    """What the class has under the name of an attribute that the instance lacks."""
    if e.unit.is_class_variable(e, cls, name):
        return e.attribute(PythonObject(cls), name)
    return bind_member(e, value, cls, found, name)


def _declared(t: T.Type, name: str) -> T.Type | None:
    return t.attributes.get(name) if isinstance(t, T.ClassType) else None


def has_field(e: Emitter, value: IRValue, name: str) -> Any:
    """Whether the instance itself has a value for an attribute, as an IR bool."""
    return e.builder.node("prim::HasAttr", [value.value], [T.BOOL], name=name).output


def _cached_property(
    e: Emitter, value: IRValue, found: functools.cached_property[Any], name: str
) -> Sugared:
    """The value of the first read, kept in the instance."""
    t = instance_type(value)
    assert t is not None

    def compute() -> Sugared:
        return e.settle(e.call_positional(e.unit.wrap(e, found.func, name), value))

    def compute_and_keep() -> Sugared:
        made = compute()
        store_field(e, value, name, made)
        return made

    def read() -> Sugared:
        node = e.builder.node("prim::GetAttr", [value.value], [t.attributes[name]], name=name)
        return e.lift(node.output)

    if name not in t.attributes:
        mark = e.builder.block.last
        kind = e.value(compute()).type
        discard_after(e, mark)
        e.unit.classes.absent.discard((t, name))
        e.unit.classes.declare(t, name, kind)
    return choose(e, has_field(e, value, name), read, compute_and_keep)


def missing_text(cls: type, name: str) -> str:
    """What AttributeError says of an attribute that is not there."""
    return f"'{cls.__name__}' object has no attribute '{name}'"


def suggestion(t: T.ClassType, name: str) -> str:
    """Which attribute may have been meant."""
    cls = python_class(t)
    known = [*t.attributes, *(n for n in dir(cls) if not n.startswith("__"))]
    near = difflib.get_close_matches(name, known, 1)
    if near:
        return f"did you mean `{near[0]}`?"
    return f"assign `self.{name}` in `{cls.__name__}.__init__`"


def has_member(e: Emitter, value: IRValue, name: str) -> Sugared:
    """``hasattr(value, name)``."""
    t = instance_type(value)
    assert t is not None

    def test(v: IRValue, c: T.ClassType) -> Sugared:
        key = _member_key(e, c, name)
        if not isinstance(key, tuple):
            return Constant(False)
        if key[0] == "getattr":
            e.not_built("`hasattr` of an instance with `__getattr__` is")
        if key[0] == "field" and not is_data(static_attribute(python_class(c), name)):
            return IRValue(has_field(e, v, name))
        return Constant(True)

    if find_known(e, t, name):
        return under_each(e, value, lambda c: _member_key(e, c, name), test)
    return Constant(False)


def find_known(e: Emitter, t: T.ClassType, name: str) -> bool:
    """Whether some class below ``t`` has, or assigns, the attribute."""
    classes = e.unit.classes
    for candidate in classes.concrete(t):
        if _member_key(e, candidate, name) is None:
            if classes.is_assigned(python_class(candidate), name):
                classes.guess(candidate)
    return any(_member_key(e, c, name) is not None for c in classes.concrete(t))


# writing attributes


def property_text(cls: type, name: str) -> str:
    """How Python's messages name a property."""
    return f"property '{name}' of '{cls.__name__}' object"


def takes(cls: type, name: str) -> bool:
    """Whether instances may have the attribute, where ``__slots__`` say which they have."""
    if getattr(cls, "__dictoffset__", 0):
        return True
    return isinstance(static_attribute(cls, name), types.MemberDescriptorType)


def store_field(e: Emitter, owner: IRValue, name: str, value: Sugared) -> None:
    """Assign an attribute of the instance itself."""
    t = instance_type(owner)
    assert t is not None
    known = t.attributes.get(name)
    built = e.value(value, known)
    site = e.sites.pop(built.node, None) if built.node is not None else None
    if known is not None and not T.is_subtype(built.type, known):
        if site is not None and built.node is not None:
            e.sites[built.node] = site
        if make_alike(e, T.unwrap_optional(known), built):
            is_optional = isinstance(known, T.OptionalType)
            wider = T.optional_of(built.type) if is_optional else built.type
            e.unit.classes.replace(t, name, wider)
    if known is None or not T.is_subtype(built.type, known):
        e.unit.classes.declare(t, name, built.type)
    e.builder.node("prim::SetAttr", [owner.value, built], name=name)


# methods


def super_member(e: Emitter, value: IRValue, after: type, name: str) -> Sugared | None:
    """``super().name``: what stands behind ``after`` in the order of the instance's class."""

    def find(c: T.ClassType) -> tuple[type, Any] | None:
        order = python_class(c).__mro__
        if after not in order:
            return None
        behind = order[order.index(after) + 1 :]
        return next(((b, vars(b)[name]) for b in behind if name in vars(b)), None)

    t = instance_type(value)
    assert t is not None
    if any(find(c) is None for c in e.unit.classes.concrete(t)):
        return None

    def act(v: IRValue, c: T.ClassType) -> Sugared:
        found = find(c)
        assert found is not None
        return bind_member(e, v, python_class(c), found[1], name)

    def key(c: T.ClassType) -> Hashable:
        found = find(c)
        assert found is not None
        return (id(found[1]), c if isinstance(found[1], classmethod) else None)

    if len({key(c) for c in e.unit.classes.concrete(t)}) > 1:
        return SuperMethod(value, after, name)
    return under_each(e, value, key, act)


class SuperMethod(VirtualMethod):
    """A method of ``super()`` that differs among the classes that the instance may be of."""

    def __init__(self, owner: Sugared, after: type, name: str) -> None:
        super().__init__(owner, name)
        self.after = after

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        return SuperMethod(parts[0], self.after, self.name)

    def key(self) -> Hashable:
        return ("super method", self.after, self.name)


@CALLS(SuperMethod)
def _call_super(e: Emitter, method: SuperMethod, given: Arguments) -> Sugared:
    assert isinstance(method.owner, IRValue)
    settled = _settled(e, given)

    def act(value: IRValue, t: T.ClassType) -> Sugared:
        order = python_class(t).__mro__
        behind = order[order.index(method.after) + 1 :]
        cls = next(b for b in behind if method.name in vars(b))
        found = vars(cls)[method.name]
        return e.call(bind_member(e, value, python_class(t), found, method.name), settled)

    return under_each(e, method.owner, lambda c: c, act)


def _settled(e: Emitter, given: Arguments) -> Arguments:
    """Arguments that several calls may take."""
    keywords = {k: e.settle(v) for k, v in given.keywords.items()}
    return Arguments([e.settle(a) for a in given.positional], keywords, given.node)


@CALLS(VirtualMethod)
def _call_virtual(e: Emitter, method: VirtualMethod, given: Arguments) -> Sugared:
    """Call what the instance's class has under the name."""
    assert isinstance(method.owner, IRValue)
    settled = Arguments(
        [e.settle(a) for a in given.positional],
        {k: e.settle(v) for k, v in given.keywords.items()},
        given.node,
    )

    if len(members(method.owner.type)) > 1:
        return split(e, method.owner, lambda v: e.call(e.attribute(v, method.name), settled))

    def act(value: IRValue, t: T.ClassType) -> Sugared:
        cls = python_class(t)
        function = static_attribute(cls, method.name)
        return e.call(bind_member(e, value, cls, function, method.name), settled)

    return under_each(
        e, method.owner, lambda c: id(static_attribute(python_class(c), method.name)), act
    )


def special_method(e: Emitter, value: Sugared, name: str) -> Sugared | None:
    """A method that Python looks up on the class, such as ``__len__``; None when there is none.

    None stands for a method that a class sets to None, too.
    """
    t = instance_type(value)
    if t is None:
        return None
    assert isinstance(value, IRValue)
    found = [static_attribute(python_class(c), name) for c in e.unit.classes.concrete(t)]
    usable = [f for f in found if isinstance(f, (types.FunctionType, staticmethod, classmethod))]
    if not usable or len(usable) < len(found):
        return None
    if all(f is usable[0] for f in usable):
        return bind_member(e, value, python_class(t), usable[0], name)
    return VirtualMethod(value, name)


def lacks_somewhere(e: Emitter, t: T.ClassType, name: str) -> list[T.ClassType]:
    """The classes below ``t`` without a special method."""
    return [
        c
        for c in e.unit.classes.concrete(t)
        if not functions_of(static_attribute(python_class(c), name))
    ]
