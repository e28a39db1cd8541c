"""Annotations as types.

``None`` stands for an annotation that says nothing of the layout: a type variable, a callable, a
class that is known at compile time only.  Python does not enforce annotations, so they type what a
call does not: parameters of entry functions, empty displays, attributes.
"""

from __future__ import annotations

import collections
import collections.abc
import enum
import inspect
import numbers
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from scriptmode.ir import types as T

_SIMPLE: dict[Any, T.Type] = {
    int: T.INT, float: T.FLOAT, bool: T.BOOL, complex: T.COMPLEX, str: T.STR, None: T.NONE,
    type(None): T.NONE, torch.Tensor: T.TENSOR, nn.Parameter: T.TENSOR, torch.Size: T.SIZE,
    torch.device: T.DEVICE, torch.dtype: T.DTYPE, torch.layout: T.LAYOUT,
    torch.memory_format: T.MEMORY_FORMAT, torch.Generator: T.GENERATOR, Any: T.ANY,
    bytes: T.BYTES, range: T.RANGE, torch.qscheme: T.QSCHEME,
    torch.SymInt: T.INT, torch.SymFloat: T.FLOAT,
    list: T.ListType([T.TENSOR]), dict: T.DictType([T.STR, T.TENSOR]), object: T.ANY,
}  # fmt: skip
_LISTS = (list, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection,
          collections.abc.MutableSequence)  # fmt: skip
_DICTS: dict[Any, type[T.Type]] = {
    dict: T.DictType, collections.abc.Mapping: T.DictType,
    collections.abc.MutableMapping: T.DictType, collections.OrderedDict: T.OrderedDictType,
    collections.defaultdict: T.DefaultDictType,
}  # fmt: skip
_ONE_ELEMENT: dict[Any, type[T.Type]] = {
    set: T.SetType, collections.abc.Set: T.SetType, collections.abc.MutableSet: T.SetType,
    frozenset: T.FrozenSetType, collections.deque: T.DequeType, collections.Counter: T.CounterType,
}  # fmt: skip

# they say what a value can do, not what it is
_OPEN = (
    numbers.Number, numbers.Complex, numbers.Real, numbers.Integral, numbers.Rational,
    collections.abc.Hashable, collections.abc.Sized, collections.abc.Container,
    typing.Hashable, typing.Sized, typing.Container,
)  # fmt: skip
OPEN = "<open>"  # the name of the type that stands for open annotations

TypeOf = Callable[[type], T.Type | None]


class BadAnnotation(Exception):
    """An annotation that cannot be resolved; the message says why."""


def resolve(annotation: Any, names: Mapping[str, Any], type_of_class: TypeOf) -> T.Type | None:
    """The type that an annotation means; strings are evaluated in ``names``."""
    if isinstance(annotation, typing.ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        annotation = evaluate(annotation, names)
        if isinstance(annotation, str):  # quoted in a module that keeps annotations as texts
            annotation = evaluate(annotation, names)
        if isinstance(annotation, str):
            raise BadAnnotation(f"the annotation `{annotation}` is a string of a string")
    try:
        if annotation in _SIMPLE:
            return _SIMPLE[annotation]
    except TypeError:  # not hashable: no annotation
        raise BadAnnotation(f"`{annotation!r}` is not a type") from None
    if isinstance(annotation, T.Type):
        return annotation
    if is_open(annotation):
        return _open(annotation, names, type_of_class)
    origin = typing.get_origin(annotation)
    if origin is not None:
        return _generic(annotation, origin, names, type_of_class)
    supertype = getattr(annotation, "__supertype__", None)  # NewType
    if supertype is not None:
        return resolve(supertype, names, type_of_class)
    value = getattr(annotation, "__value__", None)  # type X = ...
    if value is not None and type(annotation).__name__ == "TypeAliasType":
        return resolve(value, names, type_of_class)
    if isinstance(annotation, type):
        return _class(annotation, names, type_of_class)
    if annotation is typing.Optional:
        raise BadAnnotation(f"`{annotation}` says nothing of what it contains")
    return None


def resolve_known(
    annotation: Any, names: Mapping[str, Any], type_of_class: TypeOf
) -> T.Type | None:
    """``resolve``, without the members of a union whose instances have no type here.

    The entry then refuses those instances, and takes the others.
    """
    found = resolve(annotation, names, type_of_class)
    if found is not None:
        return found
    if isinstance(annotation, str):
        annotation = evaluate(annotation, names)
    if typing.get_origin(annotation) not in (typing.Union, types.UnionType):
        return None
    parts = [resolve_known(a, names, type_of_class) for a in typing.get_args(annotation)]
    known = [p for p in parts if p is not None]
    return T.union_of(known) if known else None


def means_known(annotation: Any, names: Mapping[str, Any]) -> bool:
    """Whether an annotation is one of functions, classes or modules, or of containers of some."""
    if isinstance(annotation, typing.ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        annotation = evaluate(annotation, names)
    origin = typing.get_origin(annotation) or annotation
    if origin in (collections.abc.Callable, type) or (
        isinstance(origin, type)
        and (issubclass(origin, nn.Module) or getattr(origin, "_is_protocol", False))
    ):
        return True
    return any(means_known(part, names) for part in typing.get_args(annotation))


def evaluate(text: str, names: Mapping[str, Any]) -> Any:
    """Evaluate an annotation's text."""
    known = {"torch": torch, "Tensor": torch.Tensor, "number": numbers.Number}
    lists = {f"BroadcastingList{n}": list for n in range(1, 7)}  # torch's own evaluate to None
    scope = {**vars(typing), **known, **names, **lists}
    try:
        return eval(text, scope)  # annotations are the user's own code, as typing evaluates it
    except (NameError, AttributeError, TypeError, SyntaxError) as error:
        raise BadAnnotation(f"the annotation `{text}` cannot be resolved: {error}") from None


def _class(cls: type, names: Mapping[str, Any], type_of_class: TypeOf) -> T.Type | None:
    if type(cls).__name__ == "tensortype" or issubclass(cls, torch.Tensor):
        return T.TENSOR  # torch.FloatTensor is of type tensortype
    if cls is tuple:
        return T.VarTupleType([T.TENSOR])
    if cls.__module__ == "numpy":
        raise BadAnnotation(f"`{cls.__name__}` of numpy is not supported; pass a tensor")
    if typing.is_typeddict(cls):
        return _typed_dict(cls, names, type_of_class)
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return named_tuple(cls, type_of_class)
    if cls.__module__ == "torch.return_types":
        fields: tuple[str, ...] = vars(cls)["__match_args__"]
        return T.NamedTupleType(
            f"torch.return_types.{cls.__name__}", fields, [T.TENSOR] * len(fields), cls
        )
    if issubclass(cls, enum.Enum):
        return type_of_class(cls)
    if cls.__name__.startswith("BroadcastingList"):
        return T.ListType([T.INT])
    if cls in (tuple, set, frozenset, collections.deque):
        return None  # says nothing of what it contains
    return type_of_class(cls)


def is_open(annotation: Any) -> bool:
    """Whether an annotation leaves the type open: a type variable, a number, a library protocol."""
    if isinstance(annotation, (typing.TypeVar, typing.ParamSpec)) or annotation in _OPEN:
        return True
    is_protocol = isinstance(annotation, type) and getattr(annotation, "_is_protocol", False)
    return is_protocol and annotation.__module__ in ("typing", "typing_extensions")


def _open(annotation: Any, names: Mapping[str, Any], type_of_class: TypeOf) -> T.Type | None:
    """What stands for an open annotation: the bound of a variable, else what the caller tries."""
    if isinstance(annotation, typing.TypeVar):
        said = (*annotation.__constraints__, annotation.__bound__)
        if said[0] is not None and not is_open(said[0]):
            return resolve(said[0], names, type_of_class)
    found: T.Type | None = names.get(OPEN)
    return found


def _typed_dict(cls: type, names: Mapping[str, Any], type_of_class: TypeOf) -> T.Type | None:
    """A dict whose values are of any of the declared types."""
    hints = typing.get_type_hints(cls)
    parts = [resolve(h, names, type_of_class) for h in hints.values()]
    known = [p for p in parts if p is not None]
    if not known or len(known) < len(parts):
        return None
    return T.DictType([T.STR, T.union_of(known)])


def named_tuple(
    cls: type, type_of_class: TypeOf, binding: Mapping[Any, T.Type | None] | None = None
) -> T.Type | None:
    """The type of a NamedTuple class; fields without annotations are tensors.

    ``binding`` says what the type variables of a generic one stand for.
    """
    fields: tuple[str, ...] = cls._fields  # type: ignore[attr-defined]
    hints = dict(getattr(cls, "__annotations__", {}))
    module = inspect.getmodule(cls)
    names = vars(module) if module is not None else {}
    parts = []
    for name in fields:
        hint = hints.get(name, torch.Tensor)
        if isinstance(hint, typing.ForwardRef):
            hint = hint.__forward_arg__
        if binding and isinstance(hint, str):
            hint = evaluate(hint, names)
        if binding and isinstance(hint, typing.TypeVar):
            t = binding.get(hint)
        else:
            t = resolve(hint, names, type_of_class)
        if t is None:
            return None
        parts.append(t)
    return T.NamedTupleType(f"{cls.__module__}.{cls.__qualname__}", fields, parts, cls)


def _generic(
    annotation: Any, origin: Any, names: Mapping[str, Any], type_of_class: TypeOf
) -> T.Type | None:
    arguments = typing.get_args(annotation)
    if origin in (collections.abc.Callable, type):
        return None  # known when the function is called
    if not arguments and hasattr(annotation, "_nparams"):  # ``typing.List`` and the like, bare
        if origin in (list, dict, tuple):
            return resolve(origin, names, type_of_class)
        return _open(annotation, names, type_of_class)

    def inner(argument: Any) -> T.Type | None:
        return resolve(argument, names, type_of_class)

    if isinstance(origin, type) and issubclass(origin, tuple) and hasattr(origin, "_fields"):
        parameters = getattr(origin, "__parameters__", ())
        binding = {p: inner(a) for p, a in zip(parameters, arguments, strict=False)}
        return named_tuple(origin, type_of_class, binding)
    if origin is typing.Annotated or origin in (typing.Final, typing.ClassVar):
        return inner(arguments[0])
    if origin is typing.Literal:
        return T.union_of([_SIMPLE[type(a)] for a in arguments])
    if origin in (typing.Union, types.UnionType):
        parts = [inner(a) for a in arguments]
        known = [p for p in parts if p is not None]
        return T.union_of(known) if len(known) == len(parts) else None
    if origin is tuple:
        return _tuple(arguments, inner)
    if origin in _LISTS:
        element = inner(arguments[0])
        return None if element is None else T.ListType([element])
    if origin in _DICTS:
        key, value = (inner(a) for a in arguments)
        if key is None or value is None:
            return None
        made: T.Type = _DICTS[origin]([key, value])  # type: ignore[call-arg]
        return made
    if origin in _ONE_ELEMENT:
        element = inner(arguments[0])
        return None if element is None else _ONE_ELEMENT[origin]([element])  # type: ignore[call-arg]
    if isinstance(origin, type) and origin.__name__ in ("Future", "Await", "_Await"):
        element = inner(arguments[0])
        return None if element is None else T.FutureType([element])
    if getattr(origin, "__name__", "").startswith("BroadcastingList"):
        element = inner(arguments[0])
        return None if element is None else T.ListType([element])
    return None


def _tuple(arguments: tuple[Any, ...], inner: Callable[[Any], T.Type | None]) -> T.Type | None:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        element = inner(arguments[0])
        return None if element is None else T.VarTupleType([element])
    if arguments == ((),):
        arguments = ()
    parts = [inner(a) for a in arguments]
    known = [p for p in parts if p is not None]
    return T.TupleType(known) if len(known) == len(parts) else None


def is_final(annotation: Any) -> bool:
    """Whether an annotation says that an attribute never changes."""
    if isinstance(annotation, str):
        return annotation.split("[")[0].rpartition(".")[2] == "Final"
    return annotation is typing.Final or typing.get_origin(annotation) is typing.Final
