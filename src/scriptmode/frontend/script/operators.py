"""Operators: arithmetic, comparison, membership, identity, by the operands' types.

Tensors go to ``frontend.operators``; numbers, strings and containers become ops of their own with
Python's conversions spelled out; two constants are folded.
"""

from __future__ import annotations

import operator
import typing
from collections.abc import Callable
from typing import Any, NoReturn

from scriptmode.frontend import operators as tensor_operators
from scriptmode.frontend.script.conditions import split, truth
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.enums import enum_of, operator_method, plain
from scriptmode.frontend.script.literals import admit
from scriptmode.frontend.script.operands import operand
from scriptmode.frontend.script.values import (
    Constant,
    IRValue,
    IterableValue,
    ModuleValue,
    PythonObject,
    Sugared,
    TupleDisplay,
    reading,
)
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value
from scriptmode.ops import table

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "truediv": operator.truediv,
    "floordiv": operator.floordiv, "mod": operator.mod, "pow": operator.pow,
    "matmul": operator.matmul, "and": operator.and_, "or": operator.or_, "xor": operator.xor,
    "lshift": operator.lshift, "rshift": operator.rshift, "eq": operator.eq, "ne": operator.ne,
    "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge,
    "neg": operator.neg, "pos": operator.pos, "invert": operator.invert,
}  # fmt: skip
SYMBOLS = {**tensor_operators.SYMBOLS, "neg": "-", "pos": "+", "invert": "~"}
_FOLDABLE = (int, float, bool, complex, str, type(None))
RANK: dict[T.Type | None, int] = {T.BOOL: 0, T.INT: 1, T.FLOAT: 2, T.COMPLEX: 3}
_MOST_FOLDED = 4096  # bits of an integer, characters of a string


# conversions of numbers


def convert_number(e: Emitter, value: Value, t: T.Type) -> Value:
    """An int, float, bool, complex or number as another of them, as Python converts operands."""
    source = value.type
    if source == t:
        return value
    if source == T.NUMBER:
        return e.builder.op(f"number::{t}", value)
    if source == T.BOOL and t == T.COMPLEX:
        return e.builder.op("int::complex", e.builder.op("bool::int", value))
    return e.builder.op(f"{source}::{t}", value)


def is_tensor(e: Emitter, value: Sugared) -> bool:
    """Whether the value is a Tensor."""
    return isinstance(value, IRValue) and value.type == T.TENSOR


def needs_split(t: T.Type | None) -> bool:
    """Whether the value's type must be found at run time before it is operated on."""
    return t == T.NUMBER or isinstance(t, T.UnionType)


def refuse_optional(e: Emitter, value: Sugared, what: str) -> None:
    """Refuse an operation on a value that may be None."""
    t = e.type_of(value)
    if isinstance(t, T.OptionalType):
        e.fail(
            "SM0205",
            f"{what} a value that may be None",
            help="test it first: `if x is not None:` or `assert x is not None`",
        )


def tuple_items(e: Emitter, value: Sugared) -> tuple[Sugared, ...] | None:
    """Items of a tuple whose length is known."""
    if isinstance(value, TupleDisplay):
        return value.items
    is_choice = isinstance(value, IRValue) and isinstance(value.type, T.ChoiceType)
    if isinstance(value, IRValue) and isinstance(value.type, T.TupleType) and not is_choice:
        count = len(value.type.elements)
        return tuple(e.lift(e.builder.tuple_index(value.value, i)) for i in range(count))
    return None


def as_list(e: Emitter, value: Value) -> Value:
    """A ``Tuple[T, ...]`` or ``Size`` under its list's type."""
    if isinstance(value.type, T.ListType):
        return value
    element = T.INT if value.type == T.SIZE else value.type.contained[0]
    schema = e.builder.resolve("tuple::as_list")
    node = e.builder.node("tuple::as_list", [value], [T.ListType([element])], schema=schema)
    return node.output


def as_var_tuple(e: Emitter, value: Value) -> Value:
    """A list as a ``Tuple[T, ...]``."""
    schema = e.builder.resolve("tuple::from_list")
    t = T.VarTupleType(value.type.contained)
    return e.builder.node("tuple::from_list", [value], [t], schema=schema).output


def is_sequence(t: T.Type | None) -> bool:
    """Whether values of the type are kept as lists."""
    return t == T.SIZE or isinstance(t, (T.ListType, T.VarTupleType))


def widened(e: Emitter, value: Value, t: T.Type) -> Value:
    """A copy of a list or set as one of ``t``, whose elements may be those of ``value``."""
    if value.type == t:
        return value
    kind = "set::widen" if isinstance(t, T.SetType) else "list::widen"
    return e.builder.node(kind, [value], [t], schema=e.builder.resolve(kind)).output


# binary operators


def binary(e: Emitter, name: str, a: Sugared, b: Sugared, *, in_place: bool = False) -> Sugared:
    """``a op b``; ``in_place`` for ``a op= b``."""
    if name in ("and", "or", "sub", "xor") and IterableValue in (type(a), type(b)):
        a, b = e.unit.view_as_set(e, a), e.unit.view_as_set(e, b)
    if name == "or" and isinstance(a, PythonObject):
        union = _union_of_classes(a.object, b)
        if union is not None:
            return PythonObject(union)
    if enum_of(e, a) is not None or enum_of(e, b) is not None:
        return _enum_binary(e, name, a, b)
    if _has_own_operators(e, a) or _has_own_operators(e, b):
        own = operator_method(e, name, a, b)
        if own is not None:
            return own()
    return _without_enums(e, name, a, b, in_place)


def _has_own_operators(e: Emitter, value: Sugared) -> bool:
    return isinstance(value, ModuleValue) or isinstance(e.type_of(value), T.NamedTupleType)


def _union_of_classes(cls: Any, other: Sugared) -> Any:
    """``int | List[str]`` and ``int | None`` as values; None when they are no types."""
    if isinstance(other, PythonObject):
        operand = other.object
    elif isinstance(other, Constant) and other.value is None:
        operand = None
    else:
        return None
    is_type = isinstance(cls, type) or typing.get_origin(cls) is not None
    try:
        return cls | operand if is_type else None
    except TypeError:
        return None


def _without_enums(
    e: Emitter, name: str, a: Sugared, b: Sugared, in_place: bool = False
) -> Sugared:
    a, b = a if in_place else reading(a), reading(b)
    if isinstance(a, Constant) and isinstance(b, Constant):
        folded = _fold(e, name, a.value, b.value)
        if folded is not None:
            return folded
    if e.unit.dunders.concerns(a, b) and not (
        needs_split(e.type_of(a)) or needs_split(e.type_of(b))
    ):
        asked: Sugared = e.unit.dunders.binary(e, name, a, b, in_place=in_place)
        return asked
    if name == "mod" and e.type_of(a) == T.STR:
        formatted: Sugared = e.unit.percent_format(e, a, b)
        return formatted
    if is_tensor(e, a) or is_tensor(e, b):
        if not needs_split(e.type_of(a)) and not needs_split(e.type_of(b)):
            return _tensor_binary(e, name, a, b, in_place)
    if isinstance(a, (TupleDisplay, IRValue)) and isinstance(b, (TupleDisplay, IRValue)):
        x, y = tuple_items(e, a), tuple_items(e, b)
        if x is not None and y is not None and name == "add":
            return TupleDisplay(x + y)
    return _typed_binary(e, name, a, b, in_place)


def _enum_binary(e: Emitter, name: str, a: Sugared, b: Sugared) -> Sugared:
    own = operator_method(e, name, a, b)
    if own is not None:
        return own()
    if name == "mod" and e.type_of(a) == T.STR:
        return _without_enums(e, name, a, b)
    x, y = plain(e, a), plain(e, b)
    if x is a and y is b and not needs_split(e.type_of(a)) and not needs_split(e.type_of(b)):
        _fail_binary(e, name, a, b)
    return _without_enums(e, name, x, y)


def _tensor_binary(e: Emitter, name: str, a: Sugared, b: Sugared, in_place: bool) -> Sugared:
    function = tensor_operators.inplace_binary if in_place else tensor_operators.binary
    return e.lift(function(e.builder, name, operand(e, a), operand(e, b), e.span))


def _fold(e: Emitter, name: str, a: Any, b: Any) -> Sugared | None:
    if not isinstance(a, _FOLDABLE) or not isinstance(b, _FOLDABLE):
        return None
    if name in ("pow", "lshift") and isinstance(b, int) and abs(b) > _MOST_FOLDED:
        return None
    if name == "mul" and (isinstance(a, str) or isinstance(b, str)):
        return None
    if name == "mod" and isinstance(a, str):
        return None
    try:
        return Constant(FUNCTIONS[name](a, b))
    except TypeError:
        return None
    except (ArithmeticError, ValueError) as error:
        e.raise_error(type(error), str(error))


def _typed_binary(e: Emitter, name: str, a: Sugared, b: Sugared, in_place: bool) -> Sugared:
    s, t = e.type_of(a), e.type_of(b)
    if in_place and name == "or" and isinstance(s, T.DictType) and isinstance(a, IRValue):
        if not isinstance(t, T.DictType):
            e.call_positional(e.attribute(a, "update"), b)
            return a
    if in_place and name == "add" and isinstance(s, T.DequeType) and isinstance(a, IRValue):
        e.call_positional(e.attribute(a, "extend"), b)
        return a
    if in_place and name == "add" and isinstance(s, T.ListType) and t is None:
        return e.unit.extend_list(e, a if isinstance(a, IRValue) else IRValue(e.value(a)), b)
    if s is None or t is None:
        _fail_binary(e, name, a, b)
    handler = _BY_KIND.get((_kind(s), _kind(t)))
    if handler is not None:
        result = handler(e, name, a, b, in_place)
        if result is not None:
            return result
    if in_place and name == "add" and isinstance(s, T.ListType):
        return e.unit.extend_list(e, a if isinstance(a, IRValue) else IRValue(e.value(a)), b)
    for value in (a, b):
        refuse_optional(e, value, f"`{SYMBOLS[name]}` on")
    power = e.unit.exact_power if name == "pow" and T.NUMBER in (s, t) else None
    operate = power or (lambda e, x, y: binary(e, name, x, y, in_place=in_place))
    if isinstance(a, IRValue) and needs_split(s):
        if power is not None and isinstance(b, IRValue) and needs_split(t):
            return split(e, a, lambda v: split(e, b, lambda w: power(e, v, w)))
        return split(e, a, lambda v: operate(e, v, b))
    if isinstance(b, IRValue) and needs_split(t):
        return split(e, b, lambda v: operate(e, a, v))
    _fail_binary(e, name, a, b)


def _fail_binary(e: Emitter, name: str, a: Sugared, b: Sugared) -> NoReturn:
    left, right = e.type_of(a) or a.describe(), e.type_of(b) or b.describe()
    for value in (a, b):
        e.unit.make_run_time(e, value)
    e.fail_type(f"`{SYMBOLS[name]}` is not defined for {left} and {right}")


def _kind(t: T.Type) -> str:
    if t in RANK:
        return "number"
    if t == T.STR:
        return "str"
    if isinstance(t, T.ListType):
        return "list"
    if t == T.SIZE or isinstance(t, T.VarTupleType):
        return "var tuple"
    if isinstance(t, T.TupleType):
        return "tuple"
    if isinstance(t, T.CounterType):
        return "counter"
    if isinstance(t, T.DictType):
        return "dict"
    if isinstance(t, T.SetType):
        return "set"
    if isinstance(t, T.DequeType):
        return "deque"
    if t == T.BYTES:
        return "bytes"
    return "other"


def _numbers(e: Emitter, name: str, a: Sugared, b: Sugared, in_place: bool) -> Sugared | None:
    s, t = e.type_of(a), e.type_of(b)
    assert s is not None and t is not None
    if name in ("and", "or", "xor"):
        common: T.Type = T.BOOL if s == t == T.BOOL else T.INT
        if T.FLOAT in (s, t) or T.COMPLEX in (s, t):
            return None
    else:
        common = max(s, t, key=lambda x: RANK[x])
        common = T.INT if common == T.BOOL else common
    if name == "pow" and common == T.INT:
        exponent = b.value if isinstance(b, Constant) else None
        if isinstance(exponent, int) and exponent < 0:
            kind = "int::pow_float"
        else:
            kind = "int::pow"
    else:
        kind = f"{common}::{name}"
    if not table.overloads(kind):
        return None
    x, y = (convert_number(e, e.value(v), common) for v in (a, b))
    return e.op(kind, x, y)


def _strings(e: Emitter, name: str, a: Sugared, b: Sugared, in_place: bool) -> Sugared | None:
    return e.op("str::concat", e.value(a), e.value(b)) if name == "add" else None


def _repeat(e: Emitter, name: str, a: Sugared, b: Sugared, in_place: bool) -> Sugared | None:
    s, t = e.type_of(a), e.type_of(b)
    if name != "mul":
        return None
    if s in (T.INT, T.BOOL):
        a, b, s, t, in_place = b, a, t, s, False
    if t not in (T.INT, T.BOOL) or s is None:
        return None
    if isinstance(s, T.TupleType):
        items = tuple_items(e, a)
        if isinstance(b, Constant) and items is not None:
            return TupleDisplay(items * int(b.value))
        count = convert_number(e, e.value(b), T.INT)
        element = T.union_of(s.elements)
        if not s.elements:
            return a
        whole = e.builder.list([e.value(i) for i in items or ()], element)
        return IRValue(as_var_tuple(e, e.builder.op("list::repeat", whole, count)))
    count = convert_number(e, e.value(b), T.INT)
    if s == T.STR:
        return e.op("str::repeat", e.value(a), count)
    owner = e.value(a)
    repeated = e.builder.op("list::repeat", as_list(e, owner), count)
    if in_place and isinstance(s, T.ListType):
        none = e.builder.constant(None)
        e.builder.op_node("list::setslice", [owner, none, none, none, repeated])
        return IRValue(owner)
    if s == T.SIZE or isinstance(s, T.VarTupleType):
        return IRValue(as_var_tuple(e, repeated))
    return IRValue(repeated)


def _lists(e: Emitter, name: str, a: Sugared, b: Sugared, in_place: bool) -> Sugared | None:
    if name != "add":
        return None
    x, y = e.value(a, e.type_of(b)), e.value(b, e.type_of(a))
    if in_place:
        return e.unit.extend_list(e, a if isinstance(a, IRValue) else IRValue(x), b)
    if x.type != y.type:
        element = T.join(x.type.contained[0], y.type.contained[0]) or T.ANY
        x, y = (widened(e, v, T.ListType([element])) for v in (x, y))
    return e.op("list::concat", x, y)


def _var_tuples(e: Emitter, name: str, a: Sugared, b: Sugared, in_place: bool) -> Sugared | None:
    if name != "add":
        return None
    s, t = e.type_of(a), e.type_of(b)
    whole: list[Value] = []
    for value, other in ((a, t), (b, s)):
        items = tuple_items(e, value)
        if items is not None:
            element = T.INT if other == T.SIZE else (other or T.INT).contained[0]
            built = [e.value(i) for i in items]
            if any(not T.is_subtype(v.type, element) for v in built):
                return None
            whole.append(e.builder.list(built, element))
        else:
            whole.append(as_list(e, e.value(value)))
    if whole[0].type != whole[1].type:
        return None
    joined = e.builder.op("list::concat", *whole)
    if s == T.SIZE:
        return e.op("size::from_list", joined)
    return IRValue(as_var_tuple(e, joined))


def _dicts(e: Emitter, name: str, a: Sugared, b: Sugared, in_place: bool) -> Sugared | None:
    if name != "or":
        return None
    x, y = e.value(a, e.type_of(b)), e.value(b, e.type_of(a))
    if x.type.contained != y.type.contained:
        admit(e, x, *y.type.contained)
        if x.type.contained != y.type.contained and (in_place or T.NEVER not in T.walk(y.type)):
            return _merge_items(e, x, y, in_place)
        admit(e, y, *x.type.contained)
    if type(x.type) is T.DictType and type(y.type) is not T.DictType and not in_place:
        result = _copied_dict(e, y)  # which is of the more special class
        e.builder.op_node("dict::clear", [result])
        e.builder.op_node("dict::update", [result, x])
        e.builder.op_node("dict::update", [result, y])
        return IRValue(result)
    result = x if in_place else _copied_dict(e, x)
    e.builder.op_node("dict::update", [result, y])
    return IRValue(result)


def _copied_dict(e: Emitter, value: Value) -> Value:
    schema = e.builder.resolve("dict::copy")
    return e.builder.node("dict::copy", [value], [value.type], schema=schema).output


def _merge_items(e: Emitter, x: Value, y: Value, in_place: bool) -> Sugared:
    """A merge of dicts whose element types differ, entry by entry."""
    result = IRValue(x if in_place else _copied_dict(e, x))
    items = e.call_positional(e.attribute(IRValue(y), "items"))

    def store(item: Sugared) -> None:
        pair = tuple_items(e, item)
        assert pair is not None
        e.unit.assign_subscript(e, result, *pair)

    e.unit.for_each(e, items, store)
    return result


_BY_KIND: dict[tuple[str, str], Callable[..., Sugared | None]] = {
    ("number", "number"): _numbers,
    ("str", "str"): _strings,
    ("str", "number"): _repeat,
    ("number", "str"): _repeat,
    ("list", "number"): _repeat,
    ("number", "list"): _repeat,
    ("tuple", "number"): _repeat,
    ("number", "tuple"): _repeat,
    ("var tuple", "number"): _repeat,
    ("number", "var tuple"): _repeat,
    ("list", "list"): _lists,
    ("var tuple", "var tuple"): _var_tuples,
    ("var tuple", "tuple"): _var_tuples,
    ("tuple", "var tuple"): _var_tuples,
    ("dict", "dict"): _dicts,
}


def operator_of(*kinds: tuple[str, str]) -> Callable[..., Any]:
    """Decorator: what binary operators do to operands of these kinds."""

    def enter(function: Callable[..., Sugared | None]) -> Callable[..., Sugared | None]:
        for pair in kinds:
            assert pair not in _BY_KIND, f"operators of {pair} are known"
            _BY_KIND[pair] = function
        return function

    return enter


def unary(e: Emitter, name: str, value: Sugared) -> Sugared:
    """``-x``, ``+x``, ``~x`` or ``not x``."""
    if name == "not":
        outcome = truth(e, value)
        if isinstance(outcome, bool):
            return Constant(not outcome)
        facts = value.facts if isinstance(value, IRValue) else None
        negated = e.op("bool::not", outcome)
        negated.facts = facts.negated() if facts is not None else None
        return negated
    if isinstance(e.type_of(value), (T.EnumType, T.NamedTupleType)):
        own = operator_method(e, name, value, None)
        if own is not None:
            return own()
        value = plain(e, value)
    if e.unit.dunders.concerns(value):
        asked: Sugared = e.unit.dunders.unary(e, name, value)
        return asked
    if isinstance(value, Constant) and isinstance(value.value, (int, float, bool, complex)):
        try:
            return Constant(FUNCTIONS[name](value.value))
        except TypeError:
            e.fail_type(f"`{SYMBOLS[name]}` is not defined for {e.type_of(value)}")
    if is_tensor(e, value):
        return IRValue(tensor_operators.unary(e.builder, name, operand(e, value), e.span))
    refuse_optional(e, value, f"`{SYMBOLS[name]}` on")
    t = e.type_of(value)
    if isinstance(value, IRValue) and needs_split(t):
        return split(e, value, lambda v: unary(e, name, v))
    if isinstance(t, T.CounterType) and name in ("pos", "neg"):
        return e.unit.counter_unary(e, name, value)
    if t == T.BOOL:
        value, t = IRValue(convert_number(e, e.value(value), T.INT)), T.INT
    if name == "pos" and t in RANK:
        return value
    kind = f"{t}::{name}"
    if t not in RANK or not table.overloads(kind):
        e.fail_type(f"`{SYMBOLS[name]}` is not defined for {t or value.describe()}")
    return e.op(kind, e.value(value))
