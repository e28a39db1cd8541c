"""Symbolic values: what the compiler knows about an expression's value.

An ``IRValue`` is computed at run time.  Every other kind is known at compile time in part: a
``Constant`` entirely, a ``TupleDisplay`` in its length, a ``ModuleValue`` in its class and place.
Each kind has a static ``key`` and ``parts``, the symbolic values inside; two values with equal keys
and equally many parts differ in their parts only.  ``IRValue``s are the leaves, so any value can be
taken apart into IR values and put together again: at the ends of branches, as loop-carried
variables and as arguments of specialised functions.
"""

from __future__ import annotations

import ast
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from scriptmode.ir.graph import Value
from scriptmode.ir.types import ChoiceType, IteratorType, Type
from scriptmode.support.source import Span

if TYPE_CHECKING:
    from scriptmode.frontend.script.environment import Scope
    from scriptmode.frontend.script.modules import ModuleInfo
    from scriptmode.frontend.script.source import FunctionSource


class Sugared:
    """Base of all symbolic values."""

    def parts(self) -> tuple[Sugared, ...]:
        """Symbolic values inside this one."""
        return ()

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        """The same kind with other parts."""
        return self

    def key(self) -> Hashable:
        """What is known at compile time, apart from the parts."""
        return id(self)

    def describe(self) -> str:
        """The value in an error message."""
        return type(self).__name__


@dataclass(eq=False)
class IRValue(Sugared):
    """A value computed at run time; ``origin`` is what it was narrowed from by a condition."""

    value: Value
    origin: Sugared | None = None
    facts: Facts | None = None  # of a bool: what holds when it is true, when it is false

    @property
    def type(self) -> Type:
        """Static type."""
        return self.value.type

    @property
    def root(self) -> Sugared:
        """The value before it was narrowed."""
        return self.origin if self.origin is not None else self

    def describe(self) -> str:
        return f"a value of type {self.type}"


@dataclass(eq=False)
class Constant(Sugared):
    """An immutable Python value: None, number, str, dtype, device, Ellipsis, enum member, ..."""

    value: Any
    origin: Sugared | None = None  # None, when a condition has shown that the origin is None

    def key(self) -> Hashable:
        if isinstance(self.value, (float, complex)):
            return ("constant", type(self.value), repr(self.value))
        return ("constant", type(self.value), self.value)

    def describe(self) -> str:
        return repr(self.value)


@dataclass(eq=False)
class TupleDisplay(Sugared):
    """A tuple of known length."""

    items: tuple[Sugared, ...]

    def parts(self) -> tuple[Sugared, ...]:
        return self.items

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        return TupleDisplay(tuple(parts))

    def key(self) -> Hashable:
        return ("tuple", len(self.items))

    def describe(self) -> str:
        return "a tuple"


@dataclass(frozen=True, eq=False)
class Captured:
    """A Python container from outside of the program, and the name it was reached by."""

    name: str
    object: Any


@dataclass(eq=False)
class ListDisplay(Sugared):
    """A list of known length, not built yet; ``frozen`` ones cannot be changed.

    ``captured`` is the Python list that it stands for: a copy must not take its place.
    """

    items: tuple[Sugared, ...]
    site: Hashable = None
    frozen: bool = False
    captured: Captured | None = None

    def parts(self) -> tuple[Sugared, ...]:
        return self.items

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        return ListDisplay(tuple(parts), self.site, self.frozen, self.captured)

    def key(self) -> Hashable:
        return ("list", len(self.items), self.frozen)

    def describe(self) -> str:
        return "a list"


@dataclass(eq=False)
class ModuleSlice(ListDisplay):
    """A slice of a container of modules, which is such a container again."""

    container: type = list

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        return ModuleSlice(tuple(parts), self.site, self.frozen, container=self.container)

    def key(self) -> Hashable:
        return ("module slice", len(self.items), self.container)

    def describe(self) -> str:
        return f"a slice of a {self.container.__name__}"


@dataclass(eq=False)
class DictDisplay(Sugared):
    """A dict with known keys, not built yet; ``frozen`` ones cannot be changed.

    ``captured`` is the Python dict that it stands for: a copy must not take its place.
    """

    keys: tuple[Sugared, ...]
    values: tuple[Sugared, ...]
    site: Hashable = None
    frozen: bool = False
    captured: Captured | None = None

    def parts(self) -> tuple[Sugared, ...]:
        return (*self.keys, *self.values)

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        n = len(self.keys)
        return DictDisplay(
            tuple(parts[:n]), tuple(parts[n:]), self.site, self.frozen, self.captured
        )

    def key(self) -> Hashable:
        return ("dict", len(self.keys), self.frozen)

    def find(self, key: object) -> Sugared | None:
        """Value of a constant key."""
        for k, v in zip(self.keys, self.values, strict=True):
            if isinstance(k, Constant) and hash(k.value) == hash(key) and k.value == key:
                return v
        return None

    @property
    def has_constant_keys(self) -> bool:
        """Whether ``find`` knows every key."""
        return all(isinstance(k, Constant) for k in self.keys)

    def describe(self) -> str:
        return "a dict"


def reading(value: Sugared) -> Sugared:
    """A captured list or dict where it is only read, so that a copy will do."""
    if isinstance(value, (ListDisplay, DictDisplay)) and value.captured is not None:
        return replace(value, captured=None)
    return value


@dataclass(eq=False)
class StarredList(Sugared):
    """``*value`` in a call, of a length known at run time only."""

    value: Sugared

    def parts(self) -> tuple[Sugared, ...]:
        return (self.value,)

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        return StarredList(parts[0])

    def key(self) -> Hashable:
        return "starred"

    def describe(self) -> str:
        return "a starred argument whose length is not known"


KEYWORDS = "**"  # the keyword under which a call has a dict of unknown keys


@dataclass(eq=False)
class StarredDict(Sugared):
    """``**value`` in a call, of keys known at run time only."""

    value: Sugared

    def parts(self) -> tuple[Sugared, ...]:
        return (self.value,)

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        return StarredDict(parts[0])

    def key(self) -> Hashable:
        return "starred dict"

    def describe(self) -> str:
        return "`**` of a dict whose keys are not known"


@dataclass(eq=False)
class SliceValue(Sugared):
    """``start:stop:step``; missing parts are ``Constant(None)``."""

    start: Sugared
    stop: Sugared
    step: Sugared

    def parts(self) -> tuple[Sugared, ...]:
        return (self.start, self.stop, self.step)

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        return SliceValue(*parts)

    def key(self) -> Hashable:
        return "slice"

    def describe(self) -> str:
        return "a slice"


@dataclass(eq=False)
class IterableValue(Sugared):
    """The result of range, enumerate, zip, reversed, map, filter, dict.keys/values/items, ..."""

    kind: str
    arguments: tuple[Sugared, ...]

    @property
    def is_one_shot(self) -> bool:
        """Whether iteration uses it up."""
        return self.kind not in ("range", "keys", "values", "items")

    def parts(self) -> tuple[Sugared, ...]:
        return self.arguments

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        return IterableValue(self.kind, tuple(parts))

    def key(self) -> Hashable:
        return ("iterable", self.kind, len(self.arguments))

    def describe(self) -> str:
        return f"a {self.kind} object"


@dataclass(eq=False)
class GeneratorValue(Sugared):
    """A generator expression, run by what consumes it."""

    node: ast.GeneratorExp
    iterable: Sugared  # the first one; it is evaluated at once

    def parts(self) -> tuple[Sugared, ...]:
        return (self.iterable,)

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        return GeneratorValue(self.node, parts[0])

    def key(self) -> Hashable:
        return ("generator", id(self.node))

    def describe(self) -> str:
        return "a generator"


@dataclass(eq=False)
class IteratorObject(Sugared):
    """An iterator over a sequence, range or dict; its place is a run-time value inside."""

    kind: str
    arguments: tuple[Sugared, ...]

    def parts(self) -> tuple[Sugared, ...]:
        return self.arguments

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        return IteratorObject(self.kind, tuple(parts))

    def key(self) -> Hashable:
        return ("iterator", self.kind, len(self.arguments))

    def describe(self) -> str:
        return "an iterator"


@dataclass(eq=False)
class GeneratorObject(Sugared):
    """A suspended generator; ``frame`` is its run-time state."""

    code: Any  # the compiled generator function
    frame: Sugared

    def parts(self) -> tuple[Sugared, ...]:
        return (self.frame,)

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        return GeneratorObject(self.code, parts[0])

    def key(self) -> Hashable:
        return ("generator object", self.code.key)

    def describe(self) -> str:
        return "a generator"


@dataclass(eq=False)
class PythonObject(Sugared):
    """Any other Python object known at compile time: a class, a Python module, a builtin, ..."""

    object: Any

    def key(self) -> Hashable:
        return ("object", id(self.object))

    def describe(self) -> str:
        name = getattr(self.object, "__name__", None)
        return f"`{name}`" if name else f"a Python object of type {type(self.object).__name__}"


class Getter(PythonObject):
    """An ``itemgetter``, ``attrgetter`` or ``methodcaller`` of constants."""

    def key(self) -> Hashable:
        return ("getter", repr(self.object))


@dataclass(eq=False)
class TypeOf(Sugared):
    """``type(value)`` of a value that may be of several types; ``node`` is where it was read."""

    value: IRValue
    node: ast.expr | None

    def parts(self) -> tuple[Sugared, ...]:
        return (self.value,)

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        (value,) = parts
        return TypeOf(value, None) if isinstance(value, IRValue) else self

    def key(self) -> Hashable:
        return "type of"

    def describe(self) -> str:
        return f"the type of {self.value.describe()}"


@dataclass(eq=False)
class LocalFunction(Sugared):
    """A ``def`` or ``lambda`` inside a compiled function.

    While ``scope`` is the scope being compiled, free names are read from it at the call.  A value
    that leaves it is closed: ``captured`` then holds the free names' values.
    """

    source: FunctionSource
    scope: Scope
    defaults: tuple[Sugared, ...]
    keyword_defaults: dict[str, Sugared]
    captured: dict[str, Sugared] | None = None
    metadata: tuple[tuple[str, object], ...] = ()  # what functools.wraps has copied
    own_names: tuple[str, ...] = ()  # variables through which it calls itself

    def parts(self) -> tuple[Sugared, ...]:
        captured = self.captured or {}
        return (*self.defaults, *self.keyword_defaults.values(), *captured.values())

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        rest = list(parts)
        defaults = tuple(rest.pop(0) for _ in self.defaults)
        keyword_defaults = {name: rest.pop(0) for name in self.keyword_defaults}
        captured = None
        if self.captured is not None:
            captured = {name: rest.pop(0) for name in self.captured}
        return LocalFunction(
            self.source, self.scope, defaults, keyword_defaults, captured, self.metadata,
            self.own_names,
        )  # fmt: skip

    def key(self) -> Hashable:
        names = None if self.captured is None else tuple(self.captured)
        scope = id(self.scope) if self.captured is None else None
        return ("local function", id(self.source.node), names, scope, self.metadata, self.own_names)

    def describe(self) -> str:
        return f"the function `{self.source.qualname.rpartition('.')[2]}`"


@dataclass(eq=False)
class ModuleValue(Sugared):
    """An ``nn.Module`` instance; ``value`` is its IR value."""

    info: ModuleInfo
    value: Value

    def parts(self) -> tuple[Sugared, ...]:
        return (IRValue(self.value),)

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        (part,) = parts
        assert isinstance(part, IRValue)
        return ModuleValue(self.info, part.value)

    def key(self) -> Hashable:
        return ("module", id(self.info))

    def describe(self) -> str:
        return f"a module of class {type(self.info.python).__name__}"


@dataclass(eq=False)
class ModuleChoice(Sugared):
    """One of several modules, chosen by an index at run time."""

    candidates: tuple[ModuleValue, ...]
    index: Sugared  # an int IRValue, within bounds and not negative

    def parts(self) -> tuple[Sugared, ...]:
        return (*self.candidates, self.index)

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        candidates = tuple(p for p in parts[:-1] if isinstance(p, ModuleValue))
        return ModuleChoice(candidates, parts[-1])

    def key(self) -> Hashable:
        return ("module choice", len(self.candidates))

    def describe(self) -> str:
        return "a module chosen at run time"


@dataclass(eq=False)
class BoundMethod(Sugared):
    """A Python function bound to its first argument."""

    owner: Sugared
    function: Sugared

    def parts(self) -> tuple[Sugared, ...]:
        return (self.owner, self.function)

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        return BoundMethod(parts[0], parts[1])

    def key(self) -> Hashable:
        return "bound method"

    def describe(self) -> str:
        return f"a method of {self.owner.describe()}"


@dataclass(eq=False)
class BuiltinMethod(Sugared):
    """A method of a tensor, list, dict, str, ... by name."""

    owner: Sugared
    name: str

    def parts(self) -> tuple[Sugared, ...]:
        return (self.owner,)

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        return BuiltinMethod(parts[0], self.name)

    def key(self) -> Hashable:
        return ("method", self.name)

    def describe(self) -> str:
        return f"the method `{self.name}` of {self.owner.describe()}"


@dataclass(eq=False)
class SuperValue(Sugared):
    """``super()``: attribute look-up starts after ``after`` in the owner's class order."""

    owner: Sugared
    after: type

    def parts(self) -> tuple[Sugared, ...]:
        return (self.owner,)

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        return SuperValue(parts[0], self.after)

    def key(self) -> Hashable:
        return ("super", self.after)


class ManagerValue(Sugared):
    """A context manager that is no instance: of torch, or of ``contextlib``."""


@dataclass(eq=False)
class PartialFunction(Sugared):
    """``functools.partial(function, *args, **kwargs)``."""

    function: Sugared
    arguments: tuple[Sugared, ...]
    keywords: dict[str, Sugared] = field(default_factory=dict)

    def parts(self) -> tuple[Sugared, ...]:
        return (self.function, *self.arguments, *self.keywords.values())

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        n = 1 + len(self.arguments)
        keywords = dict(zip(self.keywords, parts[n:], strict=True))
        return PartialFunction(parts[0], tuple(parts[1:n]), keywords)

    def key(self) -> Hashable:
        return ("partial", len(self.arguments), tuple(self.keywords))


@dataclass(eq=False)
class CellVariable(Sugared):
    """A variable that lives in a cell; names are bound to it, it is never a value itself."""

    owner: Hashable
    cell: Sugared

    def parts(self) -> tuple[Sugared, ...]:
        return (self.cell,)

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        return CellVariable(self.owner, parts[0])

    def key(self) -> Hashable:
        return ("cell", self.owner)


@dataclass(eq=False)
class VariableCell:
    """A cell that every assignment of a variable is written to as well.

    What was assigned before control came here by an error, or past the binding, is read from it.
    ``seen`` is the join of the types assigned; ``problem`` says why the cell cannot hold them.
    """

    name: str
    value: Value
    type: Type
    seen: Type
    problem: str = ""


@dataclass(eq=False)
class Unusable(Sugared):
    """A variable that has no usable value here: bound on some paths only, or of clashing kinds.

    ``value`` is None while a variable that only a loop binds is unbound: checked at run time.
    ``cell`` holds the value where there is one: likewise checked.
    """

    reason: str  # "unbound" or a sentence
    place: Span | None = None
    value: IRValue | None = None
    cell: VariableCell | None = None


# What a condition shows: the place, what it held when tested, and the narrower type.
Place = tuple[str, ...]  # ("x",), ("self", "x") for an attribute, ("x", "[0]") for an element


@dataclass(frozen=True)
class Fact:
    """``place``, which held ``subject``, is of type ``type``.

    Of an attribute or element it holds while nothing has been compiled since that may write it:
    ``epoch`` is the emitter's count of such points.
    """

    place: Place
    subject: Sugared
    type: Type
    epoch: int


@dataclass(frozen=True)
class Facts:
    """What holds when a condition is true and when it is false."""

    when_true: tuple[Fact, ...] = ()
    when_false: tuple[Fact, ...] = ()

    def negated(self) -> Facts:
        """Facts of the opposite condition."""
        return Facts(self.when_false, self.when_true)


NO_FACTS = Facts()
NONE_VALUE = Constant(None)


@dataclass
class Arguments:
    """Arguments of a call, starred ones expanded."""

    positional: list[Sugared]
    keywords: dict[str, Sugared]
    node: ast.Call | None = None

    def all(self) -> list[Sugared]:
        """Every argument."""
        return [*self.positional, *self.keywords.values()]


def is_iterator(value: Sugared) -> bool:
    """Whether a value is an iterator, or may be one."""
    if isinstance(value, IRValue):
        return isinstance(value.type, (ChoiceType, IteratorType))
    return isinstance(value, (GeneratorObject, IteratorObject))


def is_native_iterator(value: Sugared) -> bool:
    """Whether a value is an iterator of the run time, whose code the front end does not know."""
    return isinstance(value, IRValue) and isinstance(value.type, IteratorType)
