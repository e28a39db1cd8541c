"""Special methods of user classes: operators, comparisons, conversions, containers.

Python's protocol is followed at compile time: which methods the operands' classes have, in which
order they are tried, and that a method may return ``NotImplemented``.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from scriptmode.frontend.script.classes import static_attribute
from scriptmode.frontend.script.dataclass_sources import is_generated_comparison
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.enums import own_method
from scriptmode.frontend.script.exceptions import text_of as exception_text
from scriptmode.frontend.script.flow import choose, when
from scriptmode.frontend.script.functions import call_source
from scriptmode.frontend.script.instances import (
    instance_type,
    python_class,
    special_method,
    under_each,
)
from scriptmode.frontend.script.not_implemented import is_given_up, or_else
from scriptmode.frontend.script.values import Arguments, Constant, IRValue, Sugared
from scriptmode.ir import types as T

_REFLECTED = {"eq": "eq", "ne": "ne", "lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}
_SYMBOLS = {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**",
    "matmul": "@", "and": "&", "or": "|", "xor": "^", "lshift": "<<", "rshift": ">>", "lt": "<",
    "le": "<=", "gt": ">", "ge": ">=", "divmod": "divmod()", "neg": "-", "pos": "+", "invert": "~",
}  # fmt: skip

Attempt = Callable[[], "Sugared | None"]
Otherwise = Callable[[bool], Sugared]


def concerns(a: Sugared, b: Sugared | None = None) -> bool:
    """Whether an operand is an instance of a user class."""
    return instance_type(a) is not None or (b is not None and instance_type(b) is not None)


def _exactly(e: Emitter, value: Sugared, act: Callable[[Sugared, type | None], Sugared]) -> Sugared:
    """``act`` on a value with its class, which is None when it is no instance."""
    if instance_type(value) is None:
        return act(value, None)
    assert isinstance(value, IRValue)
    return under_each(e, value, lambda c: c, lambda v, c: act(v, python_class(c)))


def _method(cls: type | None, name: str) -> types.FunctionType | None:
    """A special method that a class defines."""
    found = None if cls is None else static_attribute(cls, name)
    return found if isinstance(found, types.FunctionType) else None


def _attempt(
    e: Emitter,
    value: Sugared,
    cls: type | None,
    name: str,
    other: Sugared,
    other_cls: type | None,
) -> Sugared | None:
    """``value.name(other)``; None when there is no such method or it gives NotImplemented."""
    method = _method(cls, name)
    if method is None:
        return None
    if cls is not other_cls and is_generated_comparison(method):
        return None
    if is_generated_comparison(method):
        return call_source(e, method, Arguments([value, other], {}))
    result = e.call_positional(e.unit.wrap(e, method, name), value, other)
    return None if is_given_up(result) else result


def call_generated_comparison(e: Emitter, method: types.FunctionType, given: Arguments) -> Sugared:
    """A comparison of a dataclass that is called by its name."""
    if len(given.positional) != 2 or given.keywords:
        return call_source(e, method, given)
    a, b = map(e.settle, given.positional)

    def act(x: Sugared, ca: type | None, y: Sugared, cb: type | None) -> Sugared:
        if ca is not cb:
            return Constant(NotImplemented)
        return call_source(e, method, Arguments([x, y], {}, given.node))

    return _exactly(e, a, lambda x, ca: _exactly(e, b, lambda y, cb: act(x, ca, y, cb)))


def _in_order(
    e: Emitter,
    name: str,
    reflected: str,
    a: Sugared,
    ca: type | None,
    b: Sugared,
    cb: type | None,
    otherwise: Otherwise,
) -> Sugared:
    """The first result that the operands' methods give, in Python's order.

    ``otherwise`` where none gives one; it is told whether that shows at run time only.
    """

    def own() -> Sugared | None:
        return _attempt(e, a, ca, name, b, cb)

    def other() -> Sugared | None:
        return _attempt(e, b, cb, reflected, a, ca)

    attempts: list[Attempt] = [own, other]
    if ca is not None and cb is not None:
        overrides = _method(ca, reflected) is not _method(cb, reflected)
        is_comparison = name.strip("_") in _REFLECTED
        if cb is not ca and issubclass(cb, ca) and (overrides or is_comparison):
            attempts = [other, own]
        elif ca is cb and not is_comparison:
            attempts = [own]
    return _first(e, attempts, otherwise)


def _first(
    e: Emitter, attempts: Sequence[Attempt], otherwise: Otherwise, *, at_run_time: bool = False
) -> Sugared:
    """The first result of ``attempts`` that is not NotImplemented."""
    if not attempts:
        return otherwise(at_run_time)
    result, rest = attempts[0](), attempts[1:]
    if result is None:
        return _first(e, rest, otherwise, at_run_time=at_run_time)
    return or_else(e, result, lambda v: v, lambda: _first(e, rest, otherwise, at_run_time=True))


def binary(e: Emitter, name: str, a: Sugared, b: Sugared, *, in_place: bool = False) -> Sugared:
    """``a op b`` where one is an instance."""
    a, b = e.settle(a), e.settle(b)

    def act(x: Sugared, ca: type | None, y: Sugared, cb: type | None) -> Sugared:
        def otherwise(at_run_time: bool) -> Sugared:
            if in_place and name == "add" and isinstance(e.type_of(x), (T.ListType, T.DequeType)):
                owner = IRValue(e.value(x))
                e.call_positional(e.attribute(owner, "extend"), y)
                return owner
            symbol = f"{_SYMBOLS[name]}{'=' if in_place else ''}"
            if at_run_time:
                e.raise_error(TypeError, f"unsupported operand type(s) for {symbol}: "
                              f"'{_name(e, x, ca)}' and '{_name(e, y, cb)}'")  # fmt: skip
            e.fail_type(f"`{symbol}` is not defined for {_kind(e, x, ca)} and {_kind(e, y, cb)}",
                        help=f"define `__{name}__` in the class")  # fmt: skip

        def plainly() -> Sugared:
            return _in_order(e, f"__{name}__", f"__r{name}__", x, ca, y, cb, otherwise)

        done = _attempt(e, x, ca, f"__i{name}__", y, cb) if in_place else None
        return plainly() if done is None else or_else(e, done, lambda v: v, plainly)

    return _exactly(e, a, lambda x, ca: _exactly(e, b, lambda y, cb: act(x, ca, y, cb)))


def _kind(e: Emitter, value: Sugared, cls: type | None) -> str:
    return f"`{cls.__name__}`" if cls is not None else str(e.type_of(value) or value.describe())


def _name(e: Emitter, value: Sugared, cls: type | None) -> str:
    """A class's name in Python's messages."""
    return cls.__name__ if cls is not None else str(e.type_of(value) or value.describe())


def compare(e: Emitter, name: str, a: Sugared, b: Sugared) -> Sugared:
    """``a op b`` for eq, ne, lt, le, gt, ge where one is an instance."""
    a, b = e.settle(a), e.settle(b)

    def act(x: Sugared, ca: type | None, y: Sugared, cb: type | None) -> Sugared:
        def otherwise(at_run_time: bool) -> Sugared:
            if name == "eq":
                same: Sugared = e.unit.identical(e, x, y)
                return same
            if name == "ne":
                return _not_equal(e, x, ca, y, cb)
            if at_run_time:
                e.raise_error(TypeError, f"'{_SYMBOLS[name]}' not supported between instances of "
                              f"'{_name(e, x, ca)}' and '{_name(e, y, cb)}'")  # fmt: skip
            e.fail_type(f"`{_SYMBOLS[name]}` is not defined for {_kind(e, x, ca)} and "
                        f"{_kind(e, y, cb)}", help=f"define `__{name}__` in the class")  # fmt: skip

        return _in_order(e, f"__{name}__", f"__{_REFLECTED[name]}__", x, ca, y, cb, otherwise)

    return _exactly(e, a, lambda x, ca: _exactly(e, b, lambda y, cb: act(x, ca, y, cb)))


def _not_equal(e: Emitter, x: Sugared, ca: type | None, y: Sugared, cb: type | None) -> Sugared:
    """``x != y`` where neither class has ``__ne__``: the opposite of ``==``, else of ``is``."""

    def otherwise(at_run_time: bool) -> Sugared:
        same: Sugared = e.unit.identical(e, x, y)
        return same

    equal = _in_order(e, "__eq__", "__eq__", x, ca, y, cb, otherwise)
    negated: Sugared = e.unit.negated(e, equal)
    return negated


def unary(e: Emitter, name: str, value: Sugared) -> Sugared:
    """``-x``, ``+x`` or ``~x`` of an instance."""
    method = special_method(e, value, f"__{name}__")
    if method is None:
        e.fail_type(f"`{_SYMBOLS[name]}` is not defined for {value.describe()}",
                    help=f"define `__{name}__` in the class")  # fmt: skip
    return e.call_positional(method)


# conversions


def call_special(e: Emitter, value: Sugared, name: str, *arguments: Sugared) -> Sugared | None:
    """``value.name(arguments)``; None when not every class that the value may be of has it."""
    method = special_method(e, value, name)
    return None if method is None else e.call_positional(method, *arguments)


def required(e: Emitter, value: Sugared, what: str, *names: str) -> Sugared:
    """The result of the first method of ``names`` that the value has."""
    for name in names:
        result = call_special(e, value, name)
        if result is not None:
            return result
    e.fail_type(f"{what} of {value.describe()} is not defined",
                help=f"define `{names[0]}` in the class")  # fmt: skip


def _of_type(e: Emitter, value: Sugared, t: T.Type, name: str) -> Sugared:
    own = e.type_of(value)
    if own == T.BOOL and t == T.INT:
        return e.op("bool::int", e.value(value))
    if own != t:
        e.fail_type(f"`{name}` must return {t}, not {own}")
    return value


def truth(e: Emitter, value: Sugared) -> Sugared:
    """``bool(value)`` of an instance: ``__bool__``, else ``__len__``, else True."""

    def act(v: Sugared, cls: type | None) -> Sugared:
        if _method(cls, "__bool__") is not None:
            return _of_type(e, _call(e, v, cls, "__bool__"), T.BOOL, "__bool__")
        if _method(cls, "__len__") is not None:
            return e.op("int::bool", e.value(length(e, v)))
        return Constant(True)

    return _grouped(e, value, ("__bool__", "__len__"), act)


def _call(e: Emitter, value: Sugared, cls: type | None, name: str, *arguments: Sugared) -> Sugared:
    method = _method(cls, name)
    assert method is not None
    return e.call_positional(e.unit.wrap(e, method, name), value, *arguments)


def _grouped(
    e: Emitter,
    value: Sugared,
    names: tuple[str, ...],
    act: Callable[[Sugared, type | None], Sugared],
) -> Sugared:
    """``act`` under each group of classes that have the same methods of these names."""
    assert isinstance(value, IRValue)

    def key(c: T.ClassType) -> Hashable:
        return tuple(id(_method(python_class(c), n)) for n in names)

    return under_each(e, value, key, lambda v, c: act(v, python_class(c)))


def length(e: Emitter, value: Sugared) -> Sugared:
    """``len(value)`` of an instance."""
    result = _of_type(e, required(e, value, "len()", "__len__"), T.INT, "__len__")
    if isinstance(result, Constant):
        return result
    negative = e.builder.op("int::lt", e.value(result), e.int_constant(0))
    when(e, negative, lambda: e.raise_error(ValueError, "__len__() should return >= 0"))
    return result


def to_text(e: Emitter, value: Sugared, kind: str) -> Sugared:
    """``str(value)`` or ``repr(value)`` of an instance."""
    if isinstance(value, IRValue) and T.is_exception(value.type):
        return exception_text(e, value, kind)

    def act(v: Sugared, cls: type | None) -> Sugared:
        return text_exactly(e, v, cls, kind)

    return _grouped(e, value, ("__str__", "__repr__"), act)


def text_exactly(e: Emitter, value: Sugared, cls: type | None, kind: str) -> Sugared:
    """``str`` or ``repr`` of an instance of exactly this class."""
    for name in ("__str__", "__repr__") if kind == "str" else ("__repr__",):
        if _method(cls, name) is not None:
            return _of_type(e, _call(e, value, cls, name), T.STR, name)
    assert cls is not None
    e.fail("SM0202", f"the text of an instance of `{cls.__name__}` holds its address",
           help=f"define `__repr__` in `{cls.__name__}`")  # fmt: skip


def to_format(e: Emitter, value: Sugared, spec: Sugared) -> Sugared:
    """``format(value, spec)`` of an instance."""

    def act(v: Sugared, cls: type | None) -> Sugared:
        if _method(cls, "__format__") is not None:
            return _of_type(e, _call(e, v, cls, "__format__", spec), T.STR, "__format__")
        if isinstance(spec, Constant) and spec.value == "":
            return to_text(e, v, "str")
        assert cls is not None
        message = f"unsupported format string passed to {cls.__name__}.__format__"
        if isinstance(spec, Constant):
            e.raise_error(TypeError, message)
        given = e.builder.op("str::bool", e.value(spec))
        return choose(e, given, lambda: e.raise_error(TypeError, message),
                      lambda: to_text(e, v, "str"))  # fmt: skip

    return _grouped(e, value, ("__format__", "__str__", "__repr__"), act)


def hash_of(e: Emitter, value: Sugared) -> Sugared:
    """``hash(value)`` of an instance whose class says what it is."""

    def act(v: Sugared, cls: type | None) -> Sugared:
        assert cls is not None
        return hash_exactly(e, v, cls)

    return _grouped(e, value, ("__hash__",), act)


def hash_exactly(e: Emitter, value: Sugared, cls: type) -> Sugared:
    """``hash`` of an instance of exactly this class."""
    if static_attribute(cls, "__hash__") is None:
        e.raise_error(TypeError, f"unhashable type: '{cls.__name__}'")
    if _method(cls, "__hash__") is None:
        e.fail("SM0206", f"the hash of an instance of `{cls.__name__}` is its address",
               help=f"define `__hash__` and `__eq__` in `{cls.__name__}`")  # fmt: skip
    result = _of_type(e, _call(e, value, cls, "__hash__"), T.INT, "__hash__")
    error = e.builder.op("int::eq", e.value(result), e.int_constant(-1))
    return choose(e, error, lambda: Constant(-2), lambda: result)


def equal_exactly(e: Emitter, value: Sugared, cls: type, other: Sugared) -> Sugared:
    """``value == other`` of an instance of exactly this class."""
    t = instance_type(other)
    other_cls = None if t is None else python_class(t)
    return _in_order(
        e, "__eq__", "__eq__", value, cls, other, other_cls, lambda at_run_time: Constant(False)
    )


def integer(e: Emitter, value: Sugared, what: str) -> Sugared:
    """The int of an instance with ``__index__``."""
    return _of_type(e, required(e, value, what, "__index__"), T.INT, "__index__")


def _to_int(e: Emitter, value: Sugared) -> Sugared:
    names = ("__int__", "__index__", "__trunc__")
    return _of_type(e, required(e, value, "int()", *names), T.INT, "__int__")


def _to_float(e: Emitter, value: Sugared) -> Sugared:
    result = call_special(e, value, "__float__")
    if result is not None:
        return _of_type(e, result, T.FLOAT, "__float__")
    return e.op("int::float", e.value(integer(e, value, "float()")))


def _to_complex(e: Emitter, value: Sugared) -> Sugared:
    result = call_special(e, value, "__complex__")
    if result is not None:
        return _of_type(e, result, T.COMPLEX, "__complex__")
    real = e.value(_to_float(e, value))
    return e.op("complex::make", real, e.builder.constant(0.0))


def round_of(e: Emitter, value: Sugared, *digits: Sugared) -> Sugared:
    """``round(value)`` or ``round(value, digits)`` of an instance."""
    result = call_special(e, value, "__round__", *digits)
    if result is None:
        e.fail_type(f"round() of {value.describe()} is not defined",
                    help="define `__round__` in the class")  # fmt: skip
    return result


ONE_ARGUMENT: dict[str, Callable[[Emitter, Sugared], Sugared]] = {
    "len": length,
    "bool": truth,
    "int": _to_int,
    "float": _to_float,
    "complex": _to_complex,
    "hash": hash_of,
    "abs": lambda e, v: required(e, v, "abs()", "__abs__"),
    "str": lambda e, v: to_text(e, v, "str"),
    "repr": lambda e, v: to_text(e, v, "repr"),
    "format": lambda e, v: to_format(e, v, Constant("")),
    "round": round_of,
    "ceil": lambda e, v: required(e, v, "math.ceil()", "__ceil__"),
    "floor": lambda e, v: required(e, v, "math.floor()", "__floor__"),
    "trunc": lambda e, v: required(e, v, "math.trunc()", "__trunc__"),
    "index": lambda e, v: integer(e, v, "operator.index()"),
}
TWO_ARGUMENTS: dict[str, Callable[[Emitter, Sugared, Sugared], Sugared]] = {
    "format": to_format,
    "round": round_of,
    "divmod": lambda e, a, b: binary(e, "divmod", a, b),
    "pow": lambda e, a, b: binary(e, "pow", a, b),
}


def call_builtin(e: Emitter, obj: Any, positional: list[Sugared]) -> Sugared | None:
    """A builtin that asks a special method of its argument; None when it does not."""
    module, name = getattr(obj, "__module__", None), getattr(obj, "__name__", "")
    if module not in ("builtins", "math", "_operator"):
        return None
    if not positional:
        return None
    if not any(map(concerns, positional)):
        own = own_method(e, positional[0], f"__{name}__") if name in _OF_MEMBERS else None
        return None if own is None else e.call_positional(own, *positional[1:])
    if len(positional) == 1 and name in ONE_ARGUMENT:
        return ONE_ARGUMENT[name](e, positional[0])
    if len(positional) == 2 and name in TWO_ARGUMENTS:
        return TWO_ARGUMENTS[name](e, *positional)
    return None


# builtins that members of enumerations, and named tuples, may answer by a method of their own
_OF_MEMBERS = ("len", "int", "float", "complex", "abs", "round", "ceil", "floor", "trunc")


# containers


def subscript(e: Emitter, value: Sugared, index: Sugared) -> Sugared:
    """``value[index]``."""
    return _item(e, value, "__getitem__", index)


def assign_subscript(e: Emitter, value: Sugared, index: Sugared, item: Sugared) -> None:
    """``value[index] = item``."""
    _item(e, value, "__setitem__", index, e.settle(item))


def delete_subscript(e: Emitter, value: Sugared, index: Sugared) -> None:
    """``del value[index]``."""
    _item(e, value, "__delitem__", index)


def _item(e: Emitter, value: Sugared, name: str, *arguments: Sugared) -> Sugared:
    result = call_special(e, value, name, *arguments)
    if result is None:
        e.fail_type(f"{value.describe()} has no `{name}`", help=f"define `{name}` in the class")
    return result


def contains(e: Emitter, value: Sugared, item: Sugared) -> Sugared | None:
    """``item in value`` by ``__contains__``; None when there is none."""
    result = call_special(e, value, "__contains__", item)
    return None if result is None else e.unit.truth(e, result)
