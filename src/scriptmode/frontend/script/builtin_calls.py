"""Calls of Python's builtins and of ``math``."""

from __future__ import annotations

import enum
import functools
import itertools
import math
import types
import typing
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch

from scriptmode.frontend.script.conditions import (
    fact,
    is_type,
    members,
    split,
    truth,
    truth_sugared,
)
from scriptmode.frontend.script.emitter import Emitter, NeedsConstant
from scriptmode.frontend.script.flow import choose, when
from scriptmode.frontend.script.handlers import OBJECT_CALLS
from scriptmode.frontend.script.iteration import (
    as_built_list,
    cursor_of,
    index_value,
    items_of,
    length_of,
)
from scriptmode.frontend.script.loops import run_cursor
from scriptmode.frontend.script.methods import (
    float_value,
    python_type,
    refuse_tensor_equality,
    sort_in_place,
)
from scriptmode.frontend.script.operators import (
    as_list,
    as_var_tuple,
    binary,
    compare,
    convert_number,
    is_sequence,
    is_tensor,
    needs_split,
    tuple_items,
    unary,
)
from scriptmode.frontend.script.text import to_format, to_repr, to_str
from scriptmode.frontend.script.values import (
    Arguments,
    BoundMethod,
    BuiltinMethod,
    Constant,
    DictDisplay,
    Facts,
    GeneratorValue,
    IRValue,
    IterableValue,
    ListDisplay,
    LocalFunction,
    ModuleValue,
    PartialFunction,
    PythonObject,
    Sugared,
    SuperValue,
    TupleDisplay,
)
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value
from scriptmode.ops import table


def take(e: Emitter, given: Arguments, *names: str, required: int = 0) -> list[Sugared | None]:
    """Arguments by position or by name; missing ones are None."""
    found: list[Sugared | None] = list(given.positional)
    if len(found) > len(names):
        e.fail_type(f"at most {len(names)} arguments are expected, {len(found)} given")
    found += [None] * (len(names) - len(found))
    for key, value in given.keywords.items():
        if key not in names or found[names.index(key)] is not None:
            e.fail_type(f"unexpected keyword argument `{key}`")
        found[names.index(key)] = value
    for index in range(required):
        if found[index] is None:
            e.fail_type(f"the argument `{names[index]}` is missing")
    return found


def one(e: Emitter, given: Arguments) -> Sugared:
    """The only argument."""
    if len(given.positional) != 1 or given.keywords:
        e.fail_type("exactly one argument is expected")
    return given.positional[0]


# containers and iteration


@OBJECT_CALLS(len)
def _len(e: Emitter, given: Arguments) -> Sugared:
    value = one(e, given)
    if isinstance(value, Constant) and isinstance(value.value, str):
        return Constant(len(value.value))
    return e.unit.length(e, value)


@OBJECT_CALLS(range)
def _range(e: Emitter, given: Arguments) -> Sugared:
    parts = given.positional
    if given.keywords or not 1 <= len(parts) <= 3:
        e.fail_type("range takes 1 to 3 arguments")
    if len(parts) == 1:
        return IterableValue("range", (Constant(0), parts[0], Constant(1)))
    step = parts[2] if len(parts) == 3 else Constant(1)
    return IterableValue("range", (parts[0], parts[1], step))


@OBJECT_CALLS(enumerate)
def _enumerate(e: Emitter, given: Arguments) -> Sugared:
    iterable, start = take(e, given, "iterable", "start", required=1)
    assert iterable is not None
    return IterableValue("enumerate", (e.settle(iterable), start or Constant(0)))


@OBJECT_CALLS(zip)
def _zip(e: Emitter, given: Arguments) -> Sugared:
    strict = given.keywords.get("strict", Constant(False))
    if not isinstance(strict, Constant):
        e.not_built("zip() with a variable `strict` is")
    kind = "strict zip" if strict.value else "zip"
    return IterableValue(kind, tuple(e.settle(a) for a in given.positional))


@OBJECT_CALLS(itertools.repeat)
def _repeat(e: Emitter, given: Arguments) -> Sugared:
    value, times = take(e, given, "object", "times", required=2)
    assert value is not None and times is not None
    if isinstance(times, Constant):
        return IterableValue("generator", (TupleDisplay((value,) * times.value),))
    whole = binary(e, "mul", IRValue(e.value(ListDisplay((value,)))), times)
    return IterableValue("generator", (whole,))


@OBJECT_CALLS(itertools.chain)
def _chain(e: Emitter, given: Arguments) -> Sugared:
    parts = [items_of(e, p) for p in given.positional]
    known = [i for p in parts if p is not None for i in p]
    if all(p is not None for p in parts):
        return IterableValue("generator", (TupleDisplay(tuple(known)),))
    whole: Sugared | None = None
    for part in given.positional:
        built = IRValue(e.value(as_built_list(e, part)))
        whole = built if whole is None else binary(e, "add", whole, built)
    assert whole is not None
    return IterableValue("generator", (whole,))


@OBJECT_CALLS(reversed)
def _reversed(e: Emitter, given: Arguments) -> Sugared:
    value = one(e, given)
    if is_tensor(e, value):
        return e.call_positional(e.attribute(value, "__reversed__"))
    return IterableValue("reversed", (e.settle(value),))


@OBJECT_CALLS(map)
def _map(e: Emitter, given: Arguments) -> Sugared:
    return IterableValue("map", (given.positional[0], *map(e.settle, given.positional[1:])))


@OBJECT_CALLS(filter)
def _filter(e: Emitter, given: Arguments) -> Sugared:
    function, iterable = given.positional
    iterable = e.settle(iterable)

    def keep(item: Sugared) -> bool | Value:
        none = isinstance(function, Constant) and function.value is None
        return truth(e, item if none else e.call_positional(function, item))

    def fill(append: Callable[[Sugared], None]) -> None:
        def body(item: Sugared) -> None:
            outcome = keep(item)
            if outcome is True:
                append(item)
            elif isinstance(outcome, Value):
                when(e, outcome, lambda: append(item))

        run_cursor(e, cursor_of(e, iterable), [], body)

    return e.unit.collected(e, fill, given.node)


@OBJECT_CALLS(list)
def _list(e: Emitter, given: Arguments) -> Sugared:
    if not given.positional:
        return ListDisplay((), site=given.node)
    value = one(e, given)
    built = as_built_list(e, value)
    if isinstance(built, ListDisplay):
        return ListDisplay(built.items, site=given.node)
    return built


@OBJECT_CALLS(tuple)
def _tuple(e: Emitter, given: Arguments) -> Sugared:
    if not given.positional:
        return TupleDisplay(())
    value = one(e, given)
    items = items_of(e, value)
    if items is not None:
        return TupleDisplay(tuple(items))
    if e.type_of(value) == T.SIZE:
        return IRValue(as_var_tuple(e, as_list(e, e.value(value))))
    if isinstance(e.type_of(value), T.VarTupleType):
        return value
    return IRValue(as_var_tuple(e, e.value(as_built_list(e, value))))


@OBJECT_CALLS(dict, ("collections", "OrderedDict"))
def _dict(e: Emitter, given: Arguments) -> Sugared:
    named = DictDisplay(
        tuple(Constant(k) for k in given.keywords), tuple(given.keywords.values()), given.node
    )
    if not given.positional:
        return named
    value = given.positional[0]
    if isinstance(e.type_of(value), T.DictType):
        result: Sugared = e.op("dict::copy", e.value(value))
    else:
        items = items_of(e, value)
        if items is not None:
            pairs = [items_of(e, i) for i in items]
            known = [p for p in pairs if p is not None and len(p) == 2]
            if len(known) < len(pairs):
                e.fail_type("dict() needs pairs")
            keys, values = tuple(p[0] for p in known), tuple(p[1] for p in known)
            result = DictDisplay(keys, values, given.node)
            if not given.keywords:
                return result
        else:
            result = _dict_of_pairs(e, value, given)
    return binary(e, "or", result, named, in_place=True) if given.keywords else result


def _dict_of_pairs(e: Emitter, value: Sugared, given: Arguments) -> Sugared:
    def fill(store: Callable[[Sugared, Sugared], None]) -> None:
        def body(item: Sugared) -> None:
            pair = tuple_items(e, item)
            if pair is None or len(pair) != 2:
                e.fail_type("dict() needs pairs")
            store(*pair)

        run_cursor(e, cursor_of(e, value), [], body)

    return e.unit.collected_dict(e, fill, given.node)


@OBJECT_CALLS(set, frozenset)
def _set(e: Emitter, given: Arguments) -> Sugared:
    e.not_built("a set is")


@OBJECT_CALLS(slice)
def _slice(e: Emitter, given: Arguments) -> Sugared:
    return e.unit.slice_value(given.positional)


@OBJECT_CALLS(iter)
def _iter(e: Emitter, given: Arguments) -> Sugared:
    value = one(e, given)
    if items_of(e, value) is None:
        e.not_built("iter() of a value whose length is not known is", help="use a for loop")
    return value


@OBJECT_CALLS(next)
def _next(e: Emitter, given: Arguments) -> Sugared:
    items = items_of(e, given.positional[0])
    if items is None:
        e.not_built("next() is", help="use a for loop")
    if items:
        return items[0]
    if len(given.positional) > 1:
        return given.positional[1]
    e.raise_error(StopIteration, None)


# reductions


def _reduce(
    e: Emitter, items: Sugared, start: Sugared, step: Callable[[Sugared, Sugared], Sugared]
) -> Sugared:
    """Fold over the elements in order."""
    known = items_of(e, items)
    if known is not None:
        result = start
        for item in known:
            result = step(result, item)
        return result
    name = "%accumulator"
    outer = e.env.names.get(name)
    e.env.bind(name, start)

    def body(item: Sugared) -> None:
        changed = step(e.env.names[name], item)  # may replace e.env
        e.env.bind(name, changed)

    run_cursor(e, cursor_of(e, items), [name], body)
    result = e.env.names[name]
    if outer is None:
        e.env.unbind(name)
    else:
        e.env.bind(name, outer)
    return result


@OBJECT_CALLS(sum)
def _sum(e: Emitter, given: Arguments) -> Sugared:
    iterable, start = take(e, given, "iterable", "start", required=1)
    assert iterable is not None
    t = e.type_of(iterable)
    if start is None and t == T.ListType([T.INT]):
        return e.op("list::sum_int", e.value(iterable))
    return _reduce(e, iterable, start or Constant(0), lambda a, b: binary(e, "add", a, b))


def _exists(e: Emitter, given: Arguments, wanted: bool) -> Sugared:
    """Whether some element's truth is ``wanted``, looked at in order until one is."""
    value = one(e, given)
    if isinstance(value, GeneratorValue):
        return e.unit.exists(e, value, wanted)
    known = items_of(e, value)
    if known is not None:
        return _exists_among(e, list(known), wanted)
    if is_tensor(e, value):
        value = e.call_positional(e.attribute(value, "unbind"), Constant(0))
    name = "%found"
    e.env.bind(name, Constant(False))

    def body(item: Sugared) -> None:
        outcome = truth_sugared(e, item)
        hit = outcome if wanted else unary(e, "not", outcome)
        e.env.bind(name, hit)
        e.unit.break_if(e, hit)

    run_cursor(e, cursor_of(e, value), [name], body)
    result = e.env.names[name]
    e.env.unbind(name)
    return result if wanted else unary(e, "not", result)


def _exists_among(e: Emitter, items: list[Sugared], wanted: bool) -> Sugared:
    if not items:
        return Constant(not wanted)
    outcome = truth(e, items[0])
    if isinstance(outcome, bool):
        return Constant(wanted) if outcome is wanted else _exists_among(e, items[1:], wanted)
    stop, more = (lambda: Constant(wanted)), (lambda: _exists_among(e, items[1:], wanted))
    return choose(e, outcome, *((stop, more) if wanted else (more, stop)))


@OBJECT_CALLS(any)
def _any(e: Emitter, given: Arguments) -> Sugared:
    return _exists(e, given, True)


@OBJECT_CALLS(all)
def _all(e: Emitter, given: Arguments) -> Sugared:
    return _exists(e, given, False)


def _extreme(name: str) -> Callable[[Emitter, Arguments], Sugared]:
    """``min`` or ``max``: the first of the extreme elements."""

    def run(e: Emitter, given: Arguments) -> Sugared:
        key = given.keywords.get("key")
        if set(given.keywords) - {"key", "default"}:
            e.fail_type(f"unexpected keyword argument of {name}()")
        if len(given.positional) > 1:
            return _best(e, name, TupleDisplay(tuple(given.positional)), key, None)
        iterable = given.positional[0]
        if isinstance(iterable, GeneratorValue):
            iterable = as_built_list(e, iterable)
        iterable = e.settle(iterable)
        if is_tensor(e, iterable):
            iterable = e.call_positional(e.attribute(iterable, "unbind"), Constant(0))
        return _best(e, name, iterable, key, given.keywords.get("default"))

    return run


def _best(
    e: Emitter, name: str, items: Sugared, key: Sugared | None, default: Sugared | None
) -> Sugared:
    operator = "lt" if name == "min" else "gt"

    def key_of(item: Sugared) -> Sugared:
        return item if key is None or e.type_of(key) == T.NONE else e.call_positional(key, item)

    def better(best: Sugared, item: Sugared) -> Sugared:
        outcome = truth(e, compare(e, operator, key_of(item), key_of(best)))
        if isinstance(outcome, bool):
            return item if outcome else best
        return choose(e, outcome, lambda: item, lambda: best)

    known = items_of(e, items)
    if known is not None:
        if not known:
            return default or e.raise_error(ValueError, f"{name}() iterable argument is empty")
        result = known[0]
        for item in known[1:]:
            result = better(result, item)
        return result
    whole = as_built_list(e, items) if isinstance(items, IterableValue) else items
    whole = IRValue(as_list(e, e.value(whole))) if is_sequence(e.type_of(whole)) else IRValue(
        e.value(as_built_list(e, whole))
    )  # fmt: skip
    empty = unary(e, "not", truth_sugared(e, whole))

    def fold() -> Sugared:
        return _reduce(e, whole, e.subscript(whole, Constant(0)), better)

    if default is not None:
        return choose(e, e.value(empty), lambda: default, fold)
    when(
        e, e.value(empty),
        lambda: e.raise_error(ValueError, f"{name}() iterable argument is empty"),
    )  # fmt: skip
    return fold()


OBJECT_CALLS(min)(_extreme("min"))
OBJECT_CALLS(max)(_extreme("max"))


@OBJECT_CALLS(sorted)
def _sorted(e: Emitter, given: Arguments) -> Sugared:
    (value,) = given.positional
    if "key" in given.keywords and e.type_of(given.keywords["key"]) != T.NONE:
        e.not_built("`sorted` with a key is")
    built = IRValue(e.value(as_built_list(e, value)))
    refuse_tensor_equality(e, built.type, "sorted()")
    sort_in_place(e, built.value, given.keywords.get("reverse", Constant(False)))
    return built


# numbers


def _by_type(e: Emitter, value: Sugared, act: Callable[[Sugared], Sugared]) -> Sugared:
    """``act`` on the value under each type that it may have."""
    if isinstance(value, IRValue) and len(members(value.type)) > 1:
        if isinstance(value.type, T.OptionalType):
            e.fail("SM0205", "a conversion of a value that may be None",
                   help="test it first: `if x is not None:`")  # fmt: skip
        return split(e, value, act)
    return act(value)


def _conversion(cls: type, target: T.Type) -> Callable[[Emitter, Arguments], Sugared]:
    def run(e: Emitter, given: Arguments) -> Sugared:
        if not given.positional:
            return Constant(cls())
        if len(given.positional) > 1 or given.keywords:
            return _convert_two(e, cls, given)
        value = given.positional[0]
        if isinstance(value, Constant):
            return _convert_constant(e, cls, value)
        return _by_type(e, value, lambda v: _convert(e, cls, target, v))

    return run


def _convert_constant(e: Emitter, cls: type, value: Constant) -> Sugared:
    try:
        return Constant(cls(value.value))
    except TypeError as error:
        e.fail_type(str(error))
    except (ValueError, ArithmeticError) as error:
        e.raise_error(type(error), str(error))


def _convert_two(e: Emitter, cls: type, given: Arguments) -> Sugared:
    if cls is int:
        text, base = take(e, given, "x", "base", required=2)
        assert text is not None and base is not None
        whole = e.value_of_type(text, T.STR, "the text of int()")
        return e.op("str::int_base", whole, index_value(e, base, "the base"))
    if cls is complex:
        parts = take(e, given, "real", "imag")
        built = [float_value(e, p or Constant(0.0), "a part of complex()") for p in parts]
        return e.op("complex::make", *built)
    e.fail_type(f"{cls.__name__}() takes one argument")


def _convert(e: Emitter, cls: type, target: T.Type, value: Sugared) -> Sugared:
    t = e.type_of(value)
    built = e.value(value)
    if t == target:
        return value
    if t == T.TENSOR:
        return e.op(f"tensor::{cls.__name__}", built)
    kind = f"{t}::{cls.__name__}"
    if t in (T.INT, T.BOOL, T.FLOAT, T.COMPLEX, T.STR, T.NUMBER) and table.overloads(kind):
        return e.op(kind, built)
    if t == T.BOOL and target == T.COMPLEX:
        return IRValue(convert_number(e, built, T.COMPLEX))
    e.fail_type(f"{cls.__name__}() of a {t}")


OBJECT_CALLS(int)(_conversion(int, T.INT))
OBJECT_CALLS(float)(_conversion(float, T.FLOAT))
OBJECT_CALLS(complex)(_conversion(complex, T.COMPLEX))


@OBJECT_CALLS(bool)
def _bool(e: Emitter, given: Arguments) -> Sugared:
    if not given.positional:
        return Constant(False)
    value = one(e, given)
    result = truth_sugared(e, value)
    if isinstance(result, IRValue) and result.facts is None and isinstance(value, IRValue):
        if value.facts is not None:
            result.facts = value.facts
    return result


@OBJECT_CALLS(abs)
def _abs(e: Emitter, given: Arguments) -> Sugared:
    value = one(e, given)
    if isinstance(value, Constant):
        return Constant(abs(value.value))
    if is_tensor(e, value):
        return e.call_positional(e.attribute(value, "abs"))

    def act(v: Sugared) -> Sugared:
        t = e.type_of(v)
        if t == T.BOOL:
            v, t = IRValue(convert_number(e, e.value(v), T.INT)), T.INT
        if t == T.TENSOR:
            return e.call_positional(e.attribute(v, "abs"))
        if t not in (T.INT, T.FLOAT, T.COMPLEX):
            e.fail_type(f"abs() of a {t}")
        return e.op(f"{t}::abs", e.value(v))

    return _by_type(e, value, act)


@OBJECT_CALLS(round)
def _round(e: Emitter, given: Arguments) -> Sugared:
    value, digits = take(e, given, "number", "ndigits", required=1)
    assert value is not None
    if is_tensor(e, value):
        e.fail_type("round() of a Tensor", help="use `x.round()`")
    if isinstance(value, Constant) and (digits is None or isinstance(digits, Constant)):
        extra = () if digits is None else (digits.value,)
        return Constant(round(value.value, *extra))
    t = e.type_of(value)
    if t == T.BOOL:
        value, t = IRValue(convert_number(e, e.value(value), T.INT)), T.INT
    if t not in (T.INT, T.FLOAT):
        if isinstance(value, IRValue) and needs_split(t):
            rest = given.positional[1:]
            return split(e, value, lambda v: _round(e, Arguments([v, *rest], given.keywords)))
        e.fail_type(f"round() of a {t}")
    if digits is None or e.type_of(digits) == T.NONE:
        return value if t == T.INT else e.op("float::round", e.value(value))
    return e.op(f"{t}::round_digits", e.value(value), index_value(e, digits, "ndigits"))


@OBJECT_CALLS(divmod)
def _divmod(e: Emitter, given: Arguments) -> Sugared:
    a, b = given.positional
    return TupleDisplay((binary(e, "floordiv", a, b), binary(e, "mod", a, b)))


@OBJECT_CALLS(pow, ("_operator", "pow"))
def _pow(e: Emitter, given: Arguments) -> Sugared:
    base, exponent, modulus = take(e, given, "base", "exp", "mod", required=2)
    assert base is not None and exponent is not None
    if modulus is not None:
        e.not_built("pow() with three arguments is")
    return binary(e, "pow", base, exponent)


for _function, _kind in ((hex, "int::hex"), (oct, "int::oct"), (bin, "int::bin"),
                         (chr, "int::chr")):  # fmt: skip

    def _of_int(e: Emitter, given: Arguments, kind: str = _kind) -> Sugared:
        return e.op(kind, index_value(e, one(e, given), "the argument"))

    OBJECT_CALLS(_function)(_of_int)


@OBJECT_CALLS(ord)
def _ord(e: Emitter, given: Arguments) -> Sugared:
    return e.op("str::ord", e.value_of_type(one(e, given), T.STR, "the argument of ord()"))


@OBJECT_CALLS(hash)
def _hash(e: Emitter, given: Arguments) -> Sugared:
    value = e.value(one(e, given))
    if value.type not in (T.INT, T.FLOAT, T.BOOL, T.STR, T.COMPLEX):
        e.not_built(f"hash() of a {value.type} is")
    return IRValue(e.builder.node("prim::hash", [value], [T.INT]).output)


@OBJECT_CALLS(id)
def _id(e: Emitter, given: Arguments) -> Sugared:
    e.fail("SM0206", "id() has no meaning in compiled code", help="compare with `is`")


# text


@OBJECT_CALLS(str)
def _str(e: Emitter, given: Arguments) -> Sugared:
    return to_str(e, one(e, given)) if given.positional else Constant("")


@OBJECT_CALLS(repr)
def _repr(e: Emitter, given: Arguments) -> Sugared:
    return to_repr(e, one(e, given))


@OBJECT_CALLS(format)
def _format(e: Emitter, given: Arguments) -> Sugared:
    value, spec = take(e, given, "value", "spec", required=1)
    assert value is not None
    return to_format(e, value, spec or Constant(""))


@OBJECT_CALLS(print)
def _print(e: Emitter, given: Arguments) -> Sugared:
    options: dict[str, str] = {}
    for key, value in given.keywords.items():
        if key == "flush":
            continue
        if key not in ("sep", "end") or not isinstance(value, Constant):
            e.not_built(f"print() with `{key}` is")
        if value.value is not None:
            options[key] = value.value
    parts = [e.value(to_str(e, v)) for v in given.positional]
    e.builder.node("prim::print", parts, **options)
    return Constant(None)


@OBJECT_CALLS(warnings.warn)
def _warn(e: Emitter, given: Arguments) -> Sugared:
    message, category, level = take(
        e, given, "message", "category", "stacklevel", required=1
    )[:3]  # fmt: skip
    assert message is not None
    cls = category.object if isinstance(category, PythonObject) else UserWarning
    number = level.value if isinstance(level, Constant) else 1
    e.builder.node(
        "prim::warn", [e.value(to_str(e, message))], category=cls, stacklevel=number
    )
    return Constant(None)


# types and attributes


def _class_list(e: Emitter, value: Sugared) -> list[Any]:
    if isinstance(value, TupleDisplay):
        return [c for item in value.items for c in _class_list(e, item)]
    if isinstance(value, PythonObject):
        arguments = typing.get_args(value.object)
        if typing.get_origin(value.object) in (typing.Union, types.UnionType):
            return list(arguments)
        return [value.object]
    if isinstance(value, Constant) and value.value is None:
        return [type(None)]
    e.fail_type("the second argument of isinstance must be a class or a tuple of classes")


def _member_is(e: Emitter, t: T.Type, classes: Sequence[Any]) -> bool:
    """Whether values of ``t`` are instances of one of ``classes``."""
    python = torch.Tensor if t == T.TENSOR else type(None) if t == T.NONE else python_type(t)
    for cls in classes:
        if not isinstance(cls, type):
            wanted = e.unit.annotation(e, cls)
            if wanted is not None and T.is_subtype(t, wanted):
                return True
            continue
        if t == T.TENSOR and issubclass(cls, torch.Tensor) and cls is not torch.Tensor:
            e.fail_type(
                f"isinstance of `{cls.__name__}` is not known of a tensor in compiled code"
            )
        if python is not None and issubclass(python, cls):
            return True
    return False


@OBJECT_CALLS(isinstance, ("torch.jit", "isinstance"))
def is_instance(e: Emitter, given: Arguments) -> Sugared:
    """``isinstance(value, classes)``: by type, else tested at run time."""
    value, spec = given.positional
    classes = _class_list(e, spec)
    match value:
        case Constant(value=constant) if not isinstance(constant, enum.Enum):
            return Constant(_static_instance(constant, classes))
        case Constant(value=constant) | PythonObject(object=constant):
            return Constant(_static_instance(constant, classes))
        case ModuleValue():
            return Constant(_static_instance(value.info.python, classes))
        case LocalFunction() | BoundMethod() | BuiltinMethod() | PartialFunction():
            return Constant(False)
        case IterableValue():
            return Constant(range in classes if value.kind == "range" else False)
    t = e.type_of(value)
    if t is None:
        kinds = {TupleDisplay: tuple, ListDisplay: list, DictDisplay: dict}
        return Constant(_is_subclass(kinds[type(value)], classes))
    if t == T.ANY:
        return _is_any(e, given, value, classes)
    possible = members(t)
    fits = [m for m in possible if _member_is(e, m, classes)]
    if len(fits) in (0, len(possible)):
        return Constant(bool(fits))
    rest = [m for m in possible if m not in fits]
    result = IRValue(is_type(e, e.value(value), fits))
    node = given.node.args[0] if given.node is not None and given.node.args else None
    result.facts = Facts(
        fact(e, node, value, T.union_of(fits)), fact(e, node, value, T.union_of(rest))
    )
    return result


def _is_any(e: Emitter, given: Arguments, value: Sugared, classes: Sequence[Any]) -> Sugared:
    if any(c in (list, tuple, dict) for c in classes):
        e.not_built("isinstance of an Any with a bare container class is",
                    help="name the element types: `torch.jit.isinstance(x, List[int])`")  # fmt: skip
    found = [e.unit.annotation(e, c) for c in classes]
    known = [t for t in found if t is not None]
    if len(known) < len(found):
        e.fail_type("isinstance of an Any needs classes that have a type")
    result = IRValue(is_type(e, e.value(value), known))
    node = given.node.args[0] if given.node is not None and given.node.args else None
    result.facts = Facts(fact(e, node, value, T.union_of(known)))
    return result


def _static_instance(value: Any, classes: Sequence[Any]) -> bool:
    return any(isinstance(value, typing.get_origin(c) or c) for c in classes)


def _is_subclass(cls: type, classes: Sequence[Any]) -> bool:
    return any(issubclass(cls, typing.get_origin(c) or c) for c in classes)


@OBJECT_CALLS(issubclass)
def _issubclass(e: Emitter, given: Arguments) -> Sugared:
    cls, spec = given.positional
    if not isinstance(cls, PythonObject):
        e.fail_type("the first argument of issubclass must be a class")
    return Constant(issubclass(cls.object, tuple(_class_list(e, spec))))


@OBJECT_CALLS(type)
def _type(e: Emitter, given: Arguments) -> Sugared:
    value = one(e, given)
    if isinstance(value, ModuleValue):
        return PythonObject(type(value.info.python))
    if isinstance(value, (Constant, PythonObject)):
        inner = value.value if isinstance(value, Constant) else value.object
        return PythonObject(type(inner))
    t = e.type_of(value)
    python = None if t is None else torch.Tensor if t == T.TENSOR else python_type(t)
    if python is None:
        e.not_built(f"type() of {value.describe()} is", help="use isinstance")
    return PythonObject(python)


@OBJECT_CALLS(callable)
def _callable(e: Emitter, given: Arguments) -> Sugared:
    value = one(e, given)
    if isinstance(value, PythonObject):
        return Constant(callable(value.object))
    return Constant(
        isinstance(
            value, (LocalFunction, BoundMethod, BuiltinMethod, PartialFunction, ModuleValue)
        )
    )


def _attribute_name(e: Emitter, value: Sugared) -> str:
    if isinstance(value, Constant) and isinstance(value.value, str):
        return value.value
    e.fail("SM0211", "the attribute's name must be known at compile time", error=NeedsConstant)


@OBJECT_CALLS(hasattr)
def _hasattr(e: Emitter, given: Arguments) -> Sugared:
    value, name = given.positional
    return Constant(e.unit.has_attribute(e, value, _attribute_name(e, name)))


@OBJECT_CALLS(getattr)
def _getattr(e: Emitter, given: Arguments) -> Sugared:
    value, name = given.positional[:2]
    text = _attribute_name(e, name)
    if len(given.positional) == 3 and not e.unit.has_attribute(e, value, text):
        return given.positional[2]
    return e.attribute(value, text)


@OBJECT_CALLS(setattr)
def _setattr(e: Emitter, given: Arguments) -> Sugared:
    owner, name, value = given.positional
    e.unit.assign_attribute(e, owner, _attribute_name(e, name), value)
    return Constant(None)


@OBJECT_CALLS(super)
def _super(e: Emitter, given: Arguments) -> Sugared:
    if given.positional:
        cls, owner = given.positional
        if not isinstance(cls, PythonObject):
            e.fail_type("the first argument of super must be a class")
        return SuperValue(owner, cls.object)
    after = e.scope.owner_class
    arguments = e.scope.source.node.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args)]
    if after is None or not names:
        e.fail_type("super() works only inside a method")
    return SuperValue(e.lookup(names[0]), after)


@OBJECT_CALLS(functools.partial)
def _partial(e: Emitter, given: Arguments) -> Sugared:
    return PartialFunction(given.positional[0], tuple(given.positional[1:]), given.keywords)


@OBJECT_CALLS(typing.cast)
def _typing_cast(e: Emitter, given: Arguments) -> Sugared:
    return given.positional[1]


# math

_MATH_INT = ("gcd", "lcm", "comb", "perm", "factorial", "isqrt")
_MATH_ROUND = ("floor", "ceil", "trunc")


def _math(name: str) -> Callable[[Emitter, Arguments], Sugared]:
    function = getattr(math, name)

    def run(e: Emitter, given: Arguments) -> Sugared:
        values = [*given.positional, *given.keywords.values()]
        if all(isinstance(v, Constant) for v in values):
            return _fold_math(e, function, given)
        if name in _MATH_ROUND and e.type_of(given.positional[0]) in (T.INT, T.BOOL):
            return IRValue(index_value(e, given.positional[0], "the argument"))
        if name == "log" and len(given.positional) == 2:
            parts = [float_value(e, p, "an argument of math.log") for p in given.positional]
            return e.op("math::log_base", *parts)
        if name in ("gcd", "lcm") and len(given.positional) != 2:
            result: Sugared = Constant(0 if name == "gcd" else 1)
            for part in given.positional:
                result = run(e, Arguments([result, part], {}))
            return result
        return e.unit.call_op(e, f"math::{name}", given)

    return run


def _fold_math(e: Emitter, function: Any, given: Arguments) -> Sugared:
    positional = [v.value for v in given.positional if isinstance(v, Constant)]
    keywords = {k: v.value for k, v in given.keywords.items() if isinstance(v, Constant)}
    try:
        result = function(*positional, **keywords)
    except TypeError as error:
        e.fail_type(str(error))
    except (ValueError, ArithmeticError) as error:
        e.raise_error(type(error), str(error))
    if isinstance(result, tuple):
        return TupleDisplay(tuple(Constant(r) for r in result))
    return Constant(result)


for _name in dir(math):
    if callable(getattr(math, _name)) and table.overloads(f"math::{_name}"):
        OBJECT_CALLS(getattr(math, _name))(_math(_name))

