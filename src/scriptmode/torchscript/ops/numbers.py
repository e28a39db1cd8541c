"""Arithmetic on numbers, as that language means it.

Division, powers and elementary functions are those of IEEE 754: what Python raises for is infinite
or NaN.  A result of ints that leaves 64 bits raises OverflowError.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from scriptmode.ir import types as T
from scriptmode.ir.graph import Value
from scriptmode.torchscript.emitter import Emitter
from scriptmode.torchscript.ops.conversions import to_complex, to_float, to_int
from scriptmode.torchscript.ops.table import builtin

_NUMBERS = (T.INT, T.FLOAT, T.BOOL, T.COMPLEX, T.NUMBER)
Operation = Callable[[Emitter, Value, Value], Value | None]


def are_numbers(*values: Value) -> bool:
    """Whether all are numbers."""
    return all(v.type in _NUMBERS for v in values)


def split(e: Emitter, values: Sequence[Value], run: Callable[[list[Value]], Value | None]) -> Value:
    """``run`` for numbers of every type that they may have when the program runs."""
    index = next((i for i, v in enumerate(values) if v.type == T.NUMBER), None)
    if index is None:
        found = run(list(values))
        if found is None:
            raise e.problem(f"numbers of types {', '.join(str(v.type) for v in values)}")
        return found
    number = values[index]

    def case(value: Value) -> Value:
        found = split(e, [*values[:index], value, *values[index + 1 :]], run)
        return found if found.type == T.BOOL else e.builder.cast(found, T.NUMBER)

    def is_a(t: T.Type) -> Value:
        return e.builder.node("prim::isinstance", [number], [T.BOOL], types=(t,)).output

    def of_bool() -> Value:
        known = e.builder.node("prim::checked_cast", [number], [T.BOOL]).output
        return case(e.op("bool::int", known))

    def of_other() -> Value:
        return e.choose(is_a(T.FLOAT), lambda: case(e.builder.cast(number, T.FLOAT)), of_bool)

    return e.choose(is_a(T.INT), lambda: case(e.builder.cast(number, T.INT)), of_other)


def promoted(e: Emitter, a: Value, b: Value) -> tuple[T.Type, Value, Value]:
    """Two numbers as those of the wider type."""
    types = {a.type, b.type}
    if T.COMPLEX in types:
        return T.COMPLEX, to_complex(e, a), to_complex(e, b)
    if T.FLOAT in types:
        return T.FLOAT, to_float(e, a), to_float(e, b)
    if types == {T.BOOL}:
        return T.BOOL, a, b
    return T.INT, to_int(e, a), to_int(e, b)


def _arithmetic(name: str) -> Operation:
    def run(e: Emitter, a: Value, b: Value) -> Value | None:
        if not are_numbers(a, b):
            return None

        def known(values: list[Value]) -> Value:
            t, x, y = promoted(e, *values)
            if t == T.BOOL:
                t, x, y = T.INT, to_int(e, x), to_int(e, y)
            return e.op(f"{t}::{name}", x, y)

        return split(e, [a, b], known)

    return run


def _comparison(name: str) -> Operation:
    def run(e: Emitter, a: Value, b: Value) -> Value | None:
        if not are_numbers(a, b):
            return None

        def known(values: list[Value]) -> Value:
            t, x, y = promoted(e, *values)
            if t == T.COMPLEX and name not in ("eq", "ne"):
                raise e.problem("complex numbers have no order")
            return e.op(f"{t}::{name}", x, y)

        return split(e, [a, b], known)

    return run


for _name in ("add", "sub", "mul"):
    builtin(_name)(_arithmetic(_name))
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    builtin(_name)(_comparison(_name))


@builtin("div")
def divide(e: Emitter, a: Value, b: Value) -> Value | None:
    """``a / b``: infinite or NaN where Python raises."""
    if not are_numbers(a, b):
        return None

    def known(values: list[Value]) -> Value:
        x, y = values
        if T.COMPLEX in (x.type, y.type):
            return e.op("complex::truediv", to_complex(e, x), to_complex(e, y))
        return e.op("ieee::div", to_float(e, x), to_float(e, y))

    return split(e, [a, b], known)


def _floored(name: str, ieee: str) -> Operation:
    def run(e: Emitter, a: Value, b: Value) -> Value | None:
        if not are_numbers(a, b):
            return None

        def known(values: list[Value]) -> Value | None:
            t, x, y = promoted(e, *values)
            if t == T.COMPLEX:
                return None
            if t == T.FLOAT:
                return e.op(f"ieee::{ieee}", x, y)
            return e.op(f"int::{name}", to_int(e, x), to_int(e, y))

        return split(e, [a, b], known)

    return run


builtin("floordiv")(_floored("floordiv", "floordiv"))
builtin("remainder")(_floored("mod", "mod"))


@builtin("divmod")
def quotient_and_rest(e: Emitter, a: Value, b: Value) -> Value | None:
    """``divmod(a, b)``."""
    if not are_numbers(a, b) or T.NUMBER in (a.type, b.type):
        return None
    if T.FLOAT not in (a.type, b.type):
        return e.builder.tuple([e.op("int::floordiv", a, b), e.op("int::mod", a, b)])
    x, y = to_float(e, a), to_float(e, b)
    rest = e.op("float::mod", x, y)
    return e.builder.tuple([e.op("float::floordiv", x, y), rest])


@builtin("pow")
def power(e: Emitter, a: Value, b: Value) -> Value | None:
    """``a ** b``, a float also for two ints."""
    if not are_numbers(a, b):
        return None

    def known(values: list[Value]) -> Value:
        x, y = values
        if T.COMPLEX in (x.type, y.type):
            return e.op("complex::pow", to_complex(e, x), to_complex(e, y))
        return e.op("ieee::pow", to_float(e, x), to_float(e, y))

    return split(e, [a, b], known)


@builtin("neg")
def negative(e: Emitter, a: Value) -> Value | None:
    """``-a``."""
    if not are_numbers(a):
        return None

    def known(values: list[Value]) -> Value:
        (x,) = values
        x = to_int(e, x) if x.type == T.BOOL else x
        return e.op(f"{x.type}::neg", x)

    return split(e, [a], known)


@builtin("prim.abs")
def absolute(e: Emitter, a: Value) -> Value | None:
    """``abs(a)``."""
    if a.type == T.TENSOR:
        return e.op("aten::abs", a)
    if not are_numbers(a):
        return None

    def known(values: list[Value]) -> Value:
        (x,) = values
        x = to_int(e, x) if x.type == T.BOOL else x
        return e.op(f"{x.type}::abs", x)

    return split(e, [a], known)


def _bitwise(name: str) -> Operation:
    def run(e: Emitter, a: Value, b: Value) -> Value | None:
        if a.type == b.type == T.BOOL:
            return e.op(f"bool::{name}", a, b)
        if {a.type, b.type} <= {T.INT, T.BOOL}:
            return e.op(f"int::{name}", to_int(e, a), to_int(e, b))
        return None

    return run


for _name in ("and", "or", "xor"):
    builtin(f"__{_name}__")(_bitwise(_name))


@builtin("__not__")
def invert(e: Emitter, a: Value) -> Value | None:
    """``not a``."""
    return e.op("bool::not", a) if a.type == T.BOOL else None


def _shift(name: str) -> Operation:
    def run(e: Emitter, a: Value, b: Value) -> Value | None:
        return e.op(f"int::{name}", a, b) if a.type == b.type == T.INT else None

    return run


for _name in ("lshift", "rshift"):
    builtin(f"__{_name}__")(_shift(_name))


# the math module

_IEEE = ("sqrt", "log", "log2", "log10", "log1p", "acos", "asin", "acosh", "atanh", "exp", "expm1",
         "sinh", "cosh", "sin", "cos", "tan")  # fmt: skip
_PYTHONS = ("atan", "tanh", "asinh", "erf", "erfc", "degrees", "radians", "fabs", "gamma", "lgamma")


def _elementary(kind: str) -> Callable[[Emitter, Value], Value | None]:
    def run(e: Emitter, a: Value) -> Value | None:
        if a.type in (T.INT, T.FLOAT, T.BOOL, T.NUMBER):
            return e.op(kind, to_float(e, a))
        return None

    return run


for _name in _IEEE:
    builtin(_name)(_elementary(f"ieee::{_name}"))
for _name in _PYTHONS:
    builtin(_name)(_elementary(f"math::{_name}"))


@builtin("round")
def rounded(e: Emitter, a: Value) -> Value | None:
    """``round(a)``: a float, halves to the even number."""
    return e.op("ieee::round", to_float(e, a)) if a.type in (T.INT, T.FLOAT) else None


def _whole(name: str) -> Callable[[Emitter, Value], Value | None]:
    def run(e: Emitter, a: Value) -> Value | None:
        if a.type not in (T.INT, T.FLOAT, T.NUMBER):
            return None

        def known(values: list[Value]) -> Value:
            (x,) = values
            return x if x.type == T.INT else e.op(f"math::{name}", x)

        return split(e, [a], known)

    return run


for _name in ("floor", "ceil", "trunc"):
    builtin(_name)(_whole(_name))


def _of_two(kind: str) -> Operation:
    def run(e: Emitter, a: Value, b: Value) -> Value | None:
        if {a.type, b.type} <= {T.INT, T.FLOAT}:
            return e.op(kind, to_float(e, a), to_float(e, b))
        return None

    return run


for _name, _kind in {
    "atan2": "math::atan2", "copysign": "math::copysign", "fmod": "ieee::fmod",
    "mathremainder": "ieee::remainder",
}.items():  # fmt: skip
    builtin(_name)(_of_two(_kind))


@builtin("log")
def logarithm(e: Emitter, a: Value, base: Value) -> Value | None:
    """``math.log(a, base)``."""
    if not {a.type, base.type} <= {T.INT, T.FLOAT}:
        return None
    above = e.op("ieee::log", to_float(e, a))
    return e.op("ieee::div", above, e.op("ieee::log", to_float(e, base)))


def _test(name: str) -> Callable[[Emitter, Value], Value | None]:
    return lambda e, a: e.op(f"math::{name}", a) if a.type == T.FLOAT else None


for _name in ("isnan", "isinf", "isfinite"):
    builtin(_name)(_test(_name))


@builtin("gcd")
def greatest_divisor(e: Emitter, a: Value, b: Value) -> Value | None:
    """``math.gcd(a, b)``."""
    return e.op("math::gcd", a, b) if a.type == b.type == T.INT else None


@builtin("factorial")
def factorial(e: Emitter, a: Value) -> Value | None:
    """``math.factorial(a)``."""
    return e.op("math::factorial", a) if a.type == T.INT else None


@builtin("ldexp")
def scaled(e: Emitter, a: Value, b: Value) -> Value | None:
    """``math.ldexp(a, b)``."""
    return e.op("math::ldexp", a, b) if (a.type, b.type) == (T.FLOAT, T.INT) else None


@builtin("frexp")
def fraction_and_exponent(e: Emitter, a: Value) -> Value | None:
    """``math.frexp(a)``."""
    return e.builder.tuple(e.several("math::frexp", a)) if a.type == T.FLOAT else None


@builtin("modf")
def fraction_and_whole(e: Emitter, a: Value) -> Value | None:
    """``math.modf(a)``."""
    return e.builder.tuple(e.several("math::modf", a)) if a.type == T.FLOAT else None


# the least and the greatest


def _extreme(name: str, takes_first: str) -> None:
    def of_two(e: Emitter, a: Value, b: Value) -> Value | None:
        if a.type == b.type == T.TENSOR:
            return e.op(f"aten::{name}.other", a, b)
        if isinstance(a.type, T.ListType) and a.type == b.type:
            first = e.op("list::le" if takes_first == "lt" else "list::lt", a, b)
            return e.choose(
                first,
                lambda: a if takes_first == "lt" else b,
                lambda: b if takes_first == "lt" else a,
            )
        if not are_numbers(a, b) or T.COMPLEX in (a.type, b.type):
            return None

        def known(values: list[Value]) -> Value:
            t, x, y = promoted(e, *values)
            return e.choose(e.op(f"{t}::{takes_first}", x, y), lambda: x, lambda: y)

        return split(e, [a, b], known)

    def of_list(e: Emitter, xs: Value) -> Value | None:
        if not isinstance(xs.type, T.ListType) or xs.type.element not in (T.INT, T.FLOAT, T.BOOL):
            return None
        kind = xs.type.element
        length = e.op("list::len", xs)
        some = e.op("int::gt", length, e.constant(0))
        e.check(some, ValueError, f"{name}() arg is an empty sequence")
        node = e.builder.node(
            "prim::Loop", [length, e.constant(True), e.op("list::getitem", xs, e.constant(0))]
        )
        block = node.add_block()
        index, best = block.add_param(T.INT), block.add_param(kind)
        with e.builder.at(block):
            item = e.op("list::getitem", xs, index)
            better = e.op(f"{kind}::{takes_first}", item, best)
            e.yield_([e.constant(True), e.choose(better, lambda: item, lambda: best)])
        return node.add_output(kind)

    builtin(f"prim.{name}")(of_two)
    builtin(f"prim.{name}")(of_list)


_extreme("min", "lt")
_extreme("max", "gt")
