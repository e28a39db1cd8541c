"""Exceptions as values: their types, making them, their attributes, tests of their class."""

from __future__ import annotations

import ast
import builtins
import types
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any

from scriptmode.frontend.script import script_library
from scriptmode.frontend.script.classes import NATIVE_ATTRIBUTES, static_attribute
from scriptmode.frontend.script.classes_as_values import ClassOf
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.flow import choose
from scriptmode.frontend.script.handlers import ATTRIBUTES, OBJECT_CALLS
from scriptmode.frontend.script.instances import (
    find_member,
    initialise,
    python_class,
    refuse_special,
    under_each,
)
from scriptmode.frontend.script.values import (
    Arguments,
    BuiltinMethod,
    Constant,
    IRValue,
    PythonObject,
    Sugared,
    TupleDisplay,
)
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value

if TYPE_CHECKING:
    from scriptmode.frontend.script.unit import Unit

ARGS = T.VarTupleType([T.ANY])
_READABLE = [name for name in NATIVE_ATTRIBUTES if not name.startswith("%")]
# classes that make something of their arguments, when there are so many
_READING_ARGUMENTS = {OSError: 2, ImportError: 99, SyntaxError: 2, UnicodeError: 1}


def exception_type(unit: Unit, cls: type[BaseException]) -> T.ClassType:
    """The type of the exceptions of a class."""
    t = unit.classes.type_of(cls)
    assert t is not None, "exceptions have a type"
    return t


def is_exception_class(obj: object) -> bool:
    """Whether ``obj`` is a class of exceptions."""
    return isinstance(obj, type) and issubclass(obj, BaseException)


def caught_types(e: Emitter, node: ast.expr | None) -> list[T.ClassType]:
    """The types of the classes that an ``except`` clause names."""
    if node is None:
        return [exception_type(e.unit, BaseException)]
    with e.at(node):
        return caught_classes(e, [e.expression(node)])


def caught_classes(e: Emitter, values: Sequence[Sugared]) -> list[T.ClassType]:
    """The types of exception classes, and of those in tuples."""
    return [exception_type(e.unit, cls) for v in values for cls in _classes(e, v)]


def _classes(e: Emitter, value: Sugared) -> list[type[BaseException]]:
    if isinstance(value, TupleDisplay):
        return [cls for item in value.items for cls in _classes(e, item)]
    if isinstance(value, PythonObject) and is_exception_class(value.object):
        refuse_groups(e, value.object)
        return [value.object]
    e.fail_type("`except` needs exception classes that are known at compile time")


def refuse_groups(e: Emitter, cls: type) -> None:
    """Refuse groups of exceptions."""
    group = getattr(builtins, "BaseExceptionGroup", None)
    if group is not None and issubclass(cls, group):
        e.not_built("an exception group is", help="raise and catch single exceptions")


def is_exception_of(e: Emitter, value: Value, wanted: Sequence[T.Type]) -> Value:
    """Whether an exception is of one of the types ``wanted``."""
    return e.builder.node("prim::isinstance", [value], [T.BOOL], types=tuple(wanted)).output


# making them


def construct(e: Emitter, cls: type[BaseException], given: Arguments) -> Sugared:
    """``cls(...)``."""
    refuse_groups(e, cls)
    refuse_special(e, cls)
    if given.keywords and not initialises(cls):
        e.not_built(f"a keyword argument of {cls.__name__} is", help="pass it by position")
    reading = [n for c, n in _READING_ARGUMENTS.items() if issubclass(cls, c)]
    if reading and len(given.positional) >= reading[0]:
        e.not_built(f"{cls.__name__} with these arguments is", help="give it one message")
    items = [e.value(e.settle(a), T.ANY) for a in given.positional]
    args = e.builder.node("prim::VarTupleConstruct", items, [ARGS]).output
    t = exception_type(e.unit, cls)
    e.unit.classes.note_made(t)
    made = IRValue(e.builder.node("prim::ExceptionConstruct", [args], [t]).output)
    if initialises(cls):
        initialise(e, made, cls, given)
    return made


def initialises(cls: type[BaseException]) -> bool:
    """Whether an exception of a class is initialised by a method of the user's."""
    return isinstance(static_attribute(cls, "__init__"), types.FunctionType)


# attributes


class ExceptionClass(ClassOf):
    """``type(e)`` of an exception, whose class may be any below the known one."""

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        return ExceptionClass(parts[0])

    def key(self) -> Hashable:
        return "exception class"


@ATTRIBUTES(ExceptionClass)
def _class_attribute(e: Emitter, value: ExceptionClass, name: str) -> Sugared | None:
    if name in ("__name__", "__qualname__"):
        inputs = [e.value(value.owner)]
        return IRValue(e.builder.node("prim::class_name", inputs, [T.STR]).output)
    return None


def is_subclass(e: Emitter, value: ExceptionClass, classes: Sequence[type]) -> Sugared:
    """``issubclass(type(e), classes)``."""
    wanted = [exception_type(e.unit, c) for c in classes if is_exception_class(c)]
    if any(issubclass(BaseException, c) for c in classes):
        return Constant(True)
    if not wanted:
        return Constant(False)
    return IRValue(is_exception_of(e, e.value(value.owner), wanted))


def exception_attribute(e: Emitter, value: IRValue, name: str) -> Sugared | None:
    """``exception.name``."""
    t = value.type
    assert isinstance(t, T.ClassType) and t.python_class is not None
    if name in _READABLE:
        found = e.builder.node("prim::GetAttr", [value.value], [t.attributes[name]], name=name)
        return e.lift(found.output)
    if name == "__class__":
        return ExceptionClass(value)
    if name == "__traceback__":
        e.not_built("the traceback of an exception is", help="the error's notes name the places")
    if name in ("add_note", "__notes__"):
        e.not_built("a note of an exception is", help="raise a new exception `from` it")
    if name == "with_traceback":
        return BuiltinMethod(value, name)
    inner = {(StopIteration, "value"), (SystemExit, "code")}
    if any(issubclass(t.python_class, c) and name == n for c, n in inner):
        args = exception_attribute(e, value, "args")
        assert args is not None
        count = e.call_positional(PythonObject(len), args)
        empty = e.builder.op("int::eq", e.value(count), e.int_constant(0))
        return choose(e, empty, lambda: Constant(None), lambda: e.subscript(args, Constant(0)))
    return find_member(e, value, name)


def assign_exception_attribute(e: Emitter, owner: IRValue, name: str, value: Sugared) -> bool:
    """``exception.name = value``; whether there is such an attribute."""
    t = owner.type
    if not T.is_exception(t):
        return False
    assert isinstance(t, T.ClassType)
    if name == "args":
        whole = e.unit.tuple_items(e, value)
        if whole is None:
            e.not_built("assigning `args` from a value of unknown length is")
        items = [e.value(i, T.ANY) for i in whole]
        built = e.builder.node("prim::VarTupleConstruct", items, [ARGS]).output
    elif name in ("__cause__", "__context__", "__suppress_context__"):
        built = e.value_of_type(value, t.attributes[name], f"`{name}`")
    else:
        return False
    e.builder.node("prim::SetAttr", [owner.value, built], name=name)
    if name == "__cause__":
        suppress = e.builder.constant(True)
        e.builder.node("prim::SetAttr", [owner.value, suppress], name="__suppress_context__")
    return True


# methods of the builtin classes, which a user's class calls by super()


@OBJECT_CALLS(*{vars(c)["__init__"] for c in vars(builtins).values()
                if is_exception_class(c) and "__init__" in vars(c)})  # fmt: skip
def _builtin_init(e: Emitter, given: Arguments) -> Sugared:
    owner = given.positional[0]
    assert isinstance(owner, IRValue)
    assign_exception_attribute(e, owner, "args", TupleDisplay(tuple(given.positional[1:])))
    return Constant(None)


@OBJECT_CALLS(BaseException.__str__)
def _builtin_str(e: Emitter, given: Arguments) -> Sugared:
    return _of_arguments(e, given, script_library.exception_text)


@OBJECT_CALLS(KeyError.__str__)
def _key_error_str(e: Emitter, given: Arguments) -> Sugared:
    return _of_arguments(e, given, script_library.key_error_text)


@OBJECT_CALLS(BaseException.__repr__)
def _builtin_repr(e: Emitter, given: Arguments) -> Sugared:
    inputs = [e.value(given.positional[0])]
    name = IRValue(e.builder.node("prim::class_name", inputs, [T.STR]).output)
    return _of_arguments(e, given, script_library.exception_repr, name)


def _of_arguments(
    e: Emitter, given: Arguments, function: Callable[..., Any], *first: Sugared
) -> Sugared:
    """What a builtin method makes of an exception's arguments; a method of the user's asks it."""
    owner = given.positional[0]
    assert isinstance(owner, IRValue)
    args = exception_attribute(e, owner, "args")
    assert args is not None
    return e.call_positional(PythonObject(function), *first, args)


def _plain_text(e: Emitter, value: Sugared, kind: str) -> Sugared:
    return IRValue(e.builder.node(f"prim::{kind}", [e.value(value)], [T.STR]).output)


def text_of(e: Emitter, value: IRValue, kind: str) -> Sugared:
    """``str(e)`` or ``repr(e)``: by the method of the user's class, else as Python writes it."""
    name = f"__{kind}__"

    def method(c: T.ClassType) -> types.FunctionType | None:
        found = static_attribute(python_class(c), name)
        return found if isinstance(found, types.FunctionType) else None

    def act(v: IRValue, c: T.ClassType) -> Sugared:
        own = method(c)
        if own is None:
            return _plain_text(e, v, kind)
        return e.call_positional(e.unit.wrap(e, own, name), v)

    return under_each(e, value, method, act)
