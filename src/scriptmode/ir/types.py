"""Static types of the IR.

Types are immutable, interned by their printed form, and print as annotations do::

    Optional[List[Tensor]]      Tuple[int, float]      Dict[str, Tensor]

``type_parser`` reads the printed form.  ``is_subtype(a, b)`` is the only implicit conversion of the
IR: an edge from a value of type ``a`` to a place of type ``b`` is legal exactly then, and the code
generator converts the representation there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch


class Type:
    """Base of all types; equality is by printed form."""

    __slots__ = ("_text",)
    _text: str

    def __repr__(self) -> str:
        return self._text

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Type) and self._text == other._text)

    def __hash__(self) -> int:
        return hash(self._text)

    @property
    def contained(self) -> tuple[Type, ...]:
        """The types this one is built from."""
        return ()

    def with_contained(self, contained: Sequence[Type]) -> Type:
        """The same constructor over other contained types."""
        return self


class SimpleType(Type):
    """A type without parameters, known by its name."""

    __slots__ = ()

    def __init__(self, name: str) -> None:
        self._text = name


TENSOR = SimpleType("Tensor")
INT = SimpleType("int")
FLOAT = SimpleType("float")
BOOL = SimpleType("bool")
COMPLEX = SimpleType("complex")
STR = SimpleType("str")
NONE = SimpleType("None")
NUMBER = SimpleType("number")  # ATen's Scalar: int, float, bool or complex, known at run time
DEVICE = SimpleType("device")
DTYPE = SimpleType("dtype")
LAYOUT = SimpleType("layout")
MEMORY_FORMAT = SimpleType("memory_format")
GENERATOR = SimpleType("Generator")
STORAGE = SimpleType("Storage")
STREAM = SimpleType("Stream")
QSCHEME = SimpleType("qscheme")
BYTES = SimpleType("bytes")
RANGE = SimpleType("range")
SIZE = SimpleType("Size")  # torch.Size: Tuple[int, ...] with its own name and methods
PYTHON = SimpleType("PythonObject")  # an object of Python's that the program only keeps
ANY = SimpleType("Any")
NEVER = SimpleType("Never")  # the type of an expression that does not return

SIMPLE_TYPES: Mapping[str, SimpleType] = {
    t._text: t
    for t in (
        TENSOR, INT, FLOAT, BOOL, COMPLEX, STR, NONE, NUMBER, DEVICE, DTYPE, LAYOUT,
        MEMORY_FORMAT, GENERATOR, STORAGE, STREAM, QSCHEME, SIZE, ANY, NEVER, BYTES, RANGE,
        PYTHON,
    )
}  # fmt: skip


class TypeVar(Type):
    """A type variable of an op schema: ``t`` in ``list::append(t[] self, t element)``."""

    __slots__ = ()

    def __init__(self, name: str) -> None:
        self._text = name


class _Parametrised(Type):
    __slots__ = ("_contained",)
    _contained: tuple[Type, ...]
    constructor: str

    def __init__(self, contained: Sequence[Type]) -> None:
        self._contained = tuple(contained)
        self._text = f"{self.constructor}[{', '.join(map(str, self._contained))}]"

    @property
    def contained(self) -> tuple[Type, ...]:
        return self._contained

    def with_contained(self, contained: Sequence[Type]) -> Type:
        return type(self)(contained)


class OptionalType(_Parametrised):
    """``Optional[T]``; make it with ``optional_of``, which collapses nesting."""

    constructor = "Optional"

    @property
    def element(self) -> Type:
        return self._contained[0]


class UnionType(_Parametrised):
    """A union of at least two types, none of which is None alone; make it with ``union_of``."""

    constructor = "Union"


class ListType(_Parametrised):
    """``List[T]``."""

    constructor = "List"

    @property
    def element(self) -> Type:
        return self._contained[0]


class DictType(_Parametrised):
    """``Dict[K, V]``, insertion ordered."""

    constructor = "Dict"

    @property
    def key(self) -> Type:
        return self._contained[0]

    @property
    def value(self) -> Type:
        return self._contained[1]


class CellType(_Parametrised):
    """``Cell[T]``: a local variable that several readers share, or that may be unbound."""

    constructor = "Cell"

    @property
    def element(self) -> Type:
        return self._contained[0]


class OrderedDictType(DictType):
    """``OrderedDict[K, V]``: a dict of its own class, whose equality asks for the order."""

    constructor = "OrderedDict"


class DefaultDictType(DictType):
    """``DefaultDict[K, V, F]``: a missing value is an empty (or zero) ``F``, a subtype of ``V``.

    ``F`` is a ``Factory`` where values are made in another way.
    """

    constructor = "DefaultDict"

    def __init__(self, contained: Sequence[Type], made: Type | None = None) -> None:
        super().__init__(contained[:2])
        self.made = contained[2] if len(contained) > 2 else made or contained[1]
        self._text = f"DefaultDict[{self.key}, {self.value}, {self.made}]"

    def with_contained(self, contained: Sequence[Type]) -> Type:
        # the elements of a container that is made are learnt with those of the value
        learns = isinstance(self.made, CONTAINERS) and type(self.made) is type(contained[1])
        return DefaultDictType(contained, contained[1] if learns else self.made)


class CounterType(DictType):
    """``Counter[K]``: a dict to int in which what is missing counts 0."""

    constructor = "Counter"

    def __init__(self, contained: Sequence[Type]) -> None:
        super().__init__([contained[0], INT])
        self._text = f"Counter[{self._contained[0]}]"


class SetType(_Parametrised):
    """``Set[T]``, iterated in CPython's order."""

    constructor = "Set"

    @property
    def element(self) -> Type:
        return self._contained[0]


class FrozenSetType(SetType):
    """``FrozenSet[T]``: a set that nothing writes."""

    constructor = "FrozenSet"


class DequeType(_Parametrised):
    """``Deque[T]``; whether its length is bounded is known at run time only."""

    constructor = "Deque"

    @property
    def element(self) -> Type:
        return self._contained[0]


class IteratorType(_Parametrised):
    """``Iterator[T]``: where an iteration stands."""

    constructor = "Iterator"

    @property
    def element(self) -> Type:
        return self._contained[0]


class FutureType(_Parametrised):
    """``Future[T]``."""

    constructor = "Future"

    @property
    def element(self) -> Type:
        return self._contained[0]


class ArrayType(Type):
    """``Array[float32, 3, 4]``: the elements of a tensor of this dtype and shape, as a value.

    Specialised code keeps small tensors so, densely in row-major order; nothing writes one.
    """

    __slots__ = ("dtype", "shape")

    def __init__(self, dtype: torch.dtype, shape: Sequence[int]) -> None:
        self.dtype = dtype
        self.shape = tuple(shape)
        name = str(dtype).removeprefix("torch.")
        self._text = f"Array[{', '.join([name, *map(str, self.shape)])}]"

    @property
    def numel(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


class VarTupleType(_Parametrised):
    """``Tuple[T, ...]``: a tuple of any length, laid out as a list that nothing writes."""

    constructor = "Tuple"

    def __init__(self, contained: Sequence[Type]) -> None:
        super().__init__(contained)
        self._text = f"Tuple[{self._contained[0]}, ...]"

    @property
    def element(self) -> Type:
        return self._contained[0]


class TupleType(_Parametrised):
    """``Tuple[T0, T1, ...]`` of a fixed length; ``Tuple[()]`` is the empty tuple."""

    constructor = "Tuple"

    def __init__(self, contained: Sequence[Type]) -> None:
        super().__init__(contained)
        if not self._contained:
            self._text = "Tuple[()]"

    @property
    def elements(self) -> tuple[Type, ...]:
        return self._contained


class NamedTupleType(TupleType):
    """A tuple with field names, known by its qualified name.

    ``python_class`` is the class whose instances reach Python; two named tuples are equal when
    name and field types agree.
    """

    __slots__ = ("fields", "name", "python_class")

    def __init__(
        self,
        name: str,
        fields: Sequence[str],
        contained: Sequence[Type],
        python_class: type | None = None,
    ) -> None:
        super().__init__(contained)
        self.name = name
        self.fields = tuple(fields)
        self.python_class = python_class
        items = ", ".join(f"{f}: {t}" for f, t in zip(self.fields, self._contained, strict=True))
        self._text = f"NamedTuple<{name}>({items})"

    def with_contained(self, contained: Sequence[Type]) -> Type:
        return NamedTupleType(self.name, self.fields, contained, self.python_class)


class ChoiceType(TupleType):
    """One of a closed set of values that the front end knows: a function in a list, for example.

    ``members`` are the numbers of those values.  A choice is laid out as ``Tuple[int, Any]``: the
    member's number, and a list of one tuple of the run-time values inside it, or None.
    """

    __slots__ = ("members",)

    def __init__(self, members: Iterable[int]) -> None:
        super().__init__([INT, ANY])
        self.members = tuple(sorted(set(members)))
        self._text = f"Choice<{'|'.join(map(str, self.members))}>"

    def with_contained(self, contained: Sequence[Type]) -> Type:
        return self


class FactoryType(Type):
    """What a defaultdict calls for a missing key: a number of ``ir.factories``."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number
        self._text = f"Factory<{number}>"


class FunctionType(Type):
    """A function value: parameter types and result."""

    __slots__ = ("parameters", "result")

    def __init__(self, parameters: Sequence[Type], result: Type) -> None:
        self.parameters = tuple(parameters)
        self.result = result
        self._text = f"Callable[[{', '.join(map(str, self.parameters))}], {result}]"

    @property
    def contained(self) -> tuple[Type, ...]:
        return (*self.parameters, self.result)

    def with_contained(self, contained: Sequence[Type]) -> Type:
        return FunctionType(contained[:-1], contained[-1])


class EnumType(Type):
    """An enumeration; ``members`` maps names to their Python values."""

    __slots__ = ("members", "name", "python_class")

    def __init__(
        self, name: str, members: Mapping[str, Any], python_class: type | None = None
    ) -> None:
        self.name = name
        self.members = dict(members)
        self.python_class = python_class
        self._text = f"Enum<{name}>"


class UnsetType(_Parametrised):
    """``Unset[T]``: how an attribute of type T is stored that may have no value."""

    constructor = "Unset"

    @property
    def element(self) -> Type:
        return self._contained[0]


class ClassType(Type):
    """A user class or a module; identity is its unique qualified name within a program.

    ``attributes`` maps attribute names to types in slot order; ``methods`` maps method names to the
    names of the program's functions; ``constants`` are Python values read at compile time.
    ``late`` maps attributes that may be unbound to the types of their values: their slots are of
    type ``late_slot(t)``, where None stands for unbound.
    For modules ``is_module`` is true and ``parameters``/``buffers`` name tensor attributes.

    User classes that inherit from one another are a *family*: ``family`` is the list of all slots
    of all its classes, one list object that they share, and ``slots`` says which slot an attribute
    of this class has.  A slot is of the attribute's type, or ``Unset`` of it.  ``bases`` and
    ``subclasses`` (direct and indirect) are those classes that the program knows.
    ``left_to_class`` are names that it takes to be no attributes of the instances themselves.
    ``dual`` is the class that stands for this one in programs that are differentiated.
    """

    __slots__ = (
        "attributes", "bases", "buffers", "constants", "dual", "family", "is_module", "late",
        "left_to_class", "methods", "name", "original_name", "parameters", "python_class", "slots",
        "subclasses",
    )  # fmt: skip

    def __init__(self, name: str, *, is_module: bool = False, original_name: str = "") -> None:
        self.name = name
        self.is_module = is_module
        self.original_name = original_name or name.rpartition(".")[2]
        self.attributes: dict[str, Type] = {}
        self.methods: dict[str, str] = {}
        self.constants: dict[str, Any] = {}
        self.parameters: set[str] = set()
        self.buffers: set[str] = set()
        self.late: dict[str, Type] = {}
        self.left_to_class: set[str] = set()
        self.python_class: type | None = None
        self.bases: list[ClassType] = []
        self.subclasses: list[ClassType] = []
        self.family: list[Type] = []
        self.slots: dict[str, int] = {}
        self.dual: ClassType | None = None
        self._text = f"{'Module' if is_module else 'Class'}<{name}>"

    def may_lack(self, attribute: str) -> bool:
        """Whether an instance may have no value for the attribute."""
        index = self.slots.get(attribute)
        return index is not None and isinstance(self.family[index], UnsetType)

    @property
    def ancestors(self) -> list[ClassType]:
        """All classes above this one, each once."""
        found: dict[ClassType, None] = {}
        for base in self.bases:
            found[base] = None
            found.update(dict.fromkeys(base.ancestors))
        return list(found)


def link_families(classes: Sequence[ClassType]) -> None:
    """Let classes that inherit from one another share their slots, and know their subclasses."""
    for t in classes:
        t.subclasses = [other for other in classes if t in other.ancestors]
    seen: set[Type] = set()
    for first in classes:
        if first in seen or first.is_module:
            continue
        members, pending = [], [first]
        while pending:
            t = pending.pop()
            if t not in seen:
                seen.add(t)
                members.append(t)
                pending += [*t.ancestors, *t.subclasses]
        shared: list[Type] = []
        for t in members:
            shared += [NONE] * (len(t.family) - len(shared))
            for index in t.slots.values():
                shared[index] = t.family[index]
        for t in members:
            t.family = shared


def is_instance_type(t: Type | None) -> bool:
    """Whether values of ``t`` are instances of a user class that is no module."""
    return isinstance(t, ClassType) and not t.is_module


def is_exception(t: Type) -> bool:
    """Whether values of ``t`` are exceptions."""
    return (
        isinstance(t, ClassType)
        and t.python_class is not None
        and issubclass(t.python_class, BaseException)
    )


def late_slot(t: Type) -> Type:
    """Type of the slot of an attribute of type ``t`` that may be unbound.

    A value that may be None itself is stored as a tuple of one element.
    """
    return OptionalType([TupleType([t]) if is_optional(t) else t])


def is_numeric(t: Type) -> bool:
    """Whether ``t`` is int, float, bool, complex or number."""
    return t in (INT, FLOAT, BOOL, COMPLEX, NUMBER)


def optional_of(t: Type) -> Type:
    """``Optional[t]``, with ``Optional[Optional[T]]``, ``Optional[None]`` and ``Any`` collapsed."""
    if t in (NONE, ANY) or isinstance(t, OptionalType):
        return t
    if isinstance(t, UnionType):
        rest = [m for m in t.contained if m != NONE]
        return OptionalType([union_of(rest)])
    return OptionalType([t])


def union_of(members: Sequence[Type]) -> Type:
    """The union of ``members``: flattened, without duplicates, ``Optional`` when None is among."""
    flat: list[Type] = []
    has_none = False
    for m in members:
        parts: Sequence[Type] = (m,)
        if isinstance(m, OptionalType):
            has_none = True
            parts = m.element.contained if isinstance(m.element, UnionType) else (m.element,)
        elif isinstance(m, UnionType):
            parts = m.contained
        for p in parts:
            if p == NONE:
                has_none = True
            elif p == ANY:
                return ANY
            elif p != NEVER and p not in flat:
                flat.append(p)
    choices = [m for m in flat if isinstance(m, ChoiceType)]
    if len(choices) > 1:
        flat = [m for m in flat if not isinstance(m, ChoiceType)]
        flat.append(ChoiceType(n for c in choices for n in c.members))
    if not flat:
        return NONE if has_none else NEVER
    # a canonical order makes equal unions print equally
    flat.sort(key=str)
    core = flat[0] if len(flat) == 1 else UnionType(flat)
    return OptionalType([core]) if has_none else core


def unwrap_optional(t: Type) -> Type:
    """``T`` of ``Optional[T]``, else ``t``."""
    return t.element if isinstance(t, OptionalType) else t


def is_optional(t: Type) -> bool:
    """Whether None is a value of ``t``."""
    return t in (NONE, ANY) or isinstance(t, OptionalType)


def is_subtype(a: Type, b: Type) -> bool:
    """Whether a value of ``a`` may flow into a place of type ``b``."""
    if b in (a, ANY) or a == NEVER:
        return True
    if a == SIZE and isinstance(b, VarTupleType):
        return b.element == INT
    if isinstance(b, OptionalType):
        return a == NONE or is_subtype(unwrap_optional(a), b.element)
    if b == NUMBER:
        return a in (INT, FLOAT, BOOL, COMPLEX) or (
            isinstance(a, UnionType) and all(is_subtype(m, b) for m in a.contained)
        )
    if isinstance(a, UnionType):
        return all(is_subtype(m, b) for m in a.contained)
    if isinstance(b, UnionType):
        return any(is_subtype(a, m) for m in b.contained)
    if isinstance(a, ChoiceType) or isinstance(b, ChoiceType):
        if not isinstance(a, ChoiceType) or not isinstance(b, ChoiceType):
            return False
        return set(a.members) <= set(b.members)
    if isinstance(a, ClassType) and isinstance(b, ClassType):
        return b in a.ancestors
    if isinstance(b, VarTupleType) and type(a) is TupleType:
        return all(is_subtype(x, b.element) for x in a.elements)
    if isinstance(a, TupleType) and isinstance(b, TupleType):
        if isinstance(b, NamedTupleType):
            return False  # equal ones were caught above
        return len(a.elements) == len(b.elements) and all(
            is_subtype(x, y) for x, y in zip(a.elements, b.elements, strict=True)
        )
    return False


def join(a: Type, b: Type, *, allow_union: bool = True) -> Type | None:
    """The least type both flow into; None when there is none (or only a union, if not allowed)."""
    if is_subtype(a, b):
        return b
    if is_subtype(b, a):
        return a
    if a == NONE or b == NONE:
        return optional_of(b if a == NONE else a)
    if isinstance(a, OptionalType) or isinstance(b, OptionalType):
        inner = join(unwrap_optional(a), unwrap_optional(b), allow_union=allow_union)
        return None if inner is None else optional_of(inner)
    if type(a) is TupleType and type(b) is TupleType and len(a.elements) == len(b.elements):
        parts = [
            join(x, y, allow_union=allow_union) for x, y in zip(a.elements, b.elements, strict=True)
        ]
        if all(p is not None for p in parts):
            return TupleType([p for p in parts if p is not None])
    if isinstance(a, ClassType) and isinstance(b, ClassType):
        common = next((c for c in a.ancestors if c in b.ancestors), None)
        if common is not None:
            return common
    return union_of([a, b]) if allow_union else None


def walk(t: Type) -> list[Type]:
    """``t`` and every type contained in it, outermost first (attributes of classes excluded)."""
    found = [t]
    for inner in t.contained:
        found += walk(inner)
    return found


def has_choice(t: Type) -> bool:
    """Whether a choice occurs in ``t``."""
    return any(isinstance(inner, ChoiceType) for inner in walk(t))


def substitute(t: Type, binding: Mapping[str, Type]) -> Type:
    """Replace type variables by their binding."""
    if isinstance(t, TypeVar):
        return binding.get(str(t), t)
    if not t.contained:
        return t
    contained = [substitute(c, binding) for c in t.contained]
    if isinstance(t, OptionalType):
        return optional_of(contained[0])
    return t.with_contained(contained)


def has_type_var(t: Type) -> bool:
    """Whether a type variable occurs in ``t``."""
    return isinstance(t, TypeVar) or any(has_type_var(c) for c in t.contained)


def match_type(formal: Type, actual: Type, binding: dict[str, Type]) -> bool:
    """Bind type variables of ``formal`` so that ``actual`` is a subtype; extend ``binding``."""
    if isinstance(formal, TypeVar):
        bound = binding.get(str(formal))
        if bound is None:
            binding[str(formal)] = actual
            return True
        return is_subtype(actual, bound)
    if not has_type_var(formal):
        return is_subtype(actual, formal)
    if isinstance(formal, OptionalType):
        return actual == NONE or match_type(formal.element, unwrap_optional(actual), binding)
    # what is written for a Dict (or a Set) holds for an OrderedDict (a FrozenSet)
    fits = isinstance(actual, type(formal)) and type(formal) is not TupleType
    if (fits or type(formal) is type(actual)) and len(formal.contained) == len(actual.contained):
        return all(
            match_type(f, a, binding)
            for f, a in zip(formal.contained, actual.contained, strict=True)
        )
    return False


def is_instance_of(a: Type, b: Type) -> bool:
    """Whether a value of ``a`` is a ``b``, which may have variables: ``List[t]`` is any list."""
    if not has_type_var(b):
        return is_subtype(a, b)
    if isinstance(b, VarTupleType):
        return a == SIZE or isinstance(a, (TupleType, VarTupleType))
    return match_type(b, a, {})


# types whose elements may be learnt from what is put into them
CONTAINERS = (ListType, DictType, SetType, DequeType)
