"""Operators: arithmetic, comparison, membership, identity, by the operands' types.

Tensors go to ``frontend.operators``; numbers, strings and containers become ops of their own with
Python's conversions spelled out; two constants are folded.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from scriptmode.frontend import operators as tensor_operators
from scriptmode.frontend.script.conditions import members, split, truth, truth_sugared
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.flow import choose
from scriptmode.frontend.script.literals import admit
from scriptmode.frontend.script.operands import operand
from scriptmode.frontend.script.values import (
    Constant,
    DictDisplay,
    IRValue,
    IterableValue,
    ListDisplay,
    ModuleValue,
    PythonObject,
    Sugared,
    TupleDisplay,
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
_RANK = {T.BOOL: 0, T.INT: 1, T.FLOAT: 2, T.COMPLEX: 3}
_MIRRORED = {"eq": "eq", "ne": "ne", "lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}
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
    if isinstance(value, IRValue) and isinstance(value.type, T.TupleType):
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


# binary operators


def binary(e: Emitter, name: str, a: Sugared, b: Sugared, *, in_place: bool = False) -> Sugared:
    """``a op b``; ``in_place`` for ``a op= b``."""
    if isinstance(a, Constant) and isinstance(b, Constant):
        folded = _fold(e, name, a.value, b.value)
        if folded is not None:
            return folded
    if is_tensor(e, a) or is_tensor(e, b):
        if not needs_split(e.type_of(a)) and not needs_split(e.type_of(b)):
            return _tensor_binary(e, name, a, b, in_place)
    if isinstance(a, (TupleDisplay, IRValue)) and isinstance(b, (TupleDisplay, IRValue)):
        x, y = tuple_items(e, a), tuple_items(e, b)
        if x is not None and y is not None and name == "add":
            return TupleDisplay(x + y)
    return _typed_binary(e, name, a, b, in_place)


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
    if s is None or t is None:
        _fail_binary(e, name, a, b)
    handler = _BY_KIND.get((_kind(s), _kind(t)))
    if handler is not None:
        result = handler(e, name, a, b, in_place)
        if result is not None:
            return result
    for value in (a, b):
        refuse_optional(e, value, f"`{SYMBOLS[name]}` on")
    if isinstance(a, IRValue) and needs_split(s):
        return split(e, a, lambda v: binary(e, name, v, b, in_place=in_place))
    if isinstance(b, IRValue) and needs_split(t):
        return split(e, b, lambda v: binary(e, name, a, v, in_place=in_place))
    if name == "mod" and s == T.STR:
        return e.unit.percent_format(e, a, b)
    _fail_binary(e, name, a, b)


def _fail_binary(e: Emitter, name: str, a: Sugared, b: Sugared) -> Any:
    left, right = e.type_of(a) or a.describe(), e.type_of(b) or b.describe()
    e.fail_type(f"`{SYMBOLS[name]}` is not defined for {left} and {right}")


def _kind(t: T.Type) -> str:
    if t in _RANK:
        return "number"
    if t == T.STR:
        return "str"
    if isinstance(t, T.ListType):
        return "list"
    if t == T.SIZE or isinstance(t, T.VarTupleType):
        return "var tuple"
    if isinstance(t, T.TupleType):
        return "tuple"
    if isinstance(t, T.DictType):
        return "dict"
    return "other"


def _numbers(e: Emitter, name: str, a: Sugared, b: Sugared, in_place: bool) -> Sugared | None:
    s, t = e.type_of(a), e.type_of(b)
    assert s is not None and t is not None
    if name in ("and", "or", "xor"):
        common = T.BOOL if s == t == T.BOOL else T.INT
        if T.FLOAT in (s, t) or T.COMPLEX in (s, t):
            return None
    else:
        common = max(s, t, key=lambda x: _RANK[x])
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
        a, b, s, t = b, a, t, s
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
    repeated = e.builder.op("list::repeat", as_list(e, e.value(a)), count)
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
        if T.is_subtype(x.type.contained[0], y.type.contained[0]):
            admit(e, x, y.type.contained[0])
        admit(e, y, x.type.contained[0])
        admit(e, x, y.type.contained[0])
        if x.type != y.type:
            e.fail_type(f"`+` of a {x.type} and a {y.type}")
    return e.op("list::concat", x, y)


def _var_tuples(e: Emitter, name: str, a: Sugared, b: Sugared, in_place: bool) -> Sugared | None:
    if name != "add":
        return None
    s, t = e.type_of(a), e.type_of(b)
    whole: list[Value] = []
    for value, own, other in ((a, s, t), (b, t, s)):
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
    if x.type != y.type:
        admit(e, x, *y.type.contained)
        admit(e, y, *x.type.contained)
    result = x if in_place else e.builder.op("dict::copy", x)
    e.builder.op_node("dict::update", [result, y])
    return IRValue(result)


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
    if isinstance(value, Constant) and isinstance(value.value, (int, float, bool, complex)):
        try:
            return Constant(FUNCTIONS[name](value.value))
        except TypeError:
            e.fail_type(f"`{SYMBOLS[name]}` is not defined for {e.type_of(value)}")
    if is_tensor(e, value):
        return IRValue(
            tensor_operators.unary(e.builder, name, operand(e, value), e.span)
        )
    refuse_optional(e, value, f"`{SYMBOLS[name]}` on")
    t = e.type_of(value)
    if isinstance(value, IRValue) and needs_split(t):
        return split(e, value, lambda v: unary(e, name, v))
    if t == T.BOOL:
        value, t = IRValue(convert_number(e, e.value(value), T.INT)), T.INT
    if name == "pos" and t in _RANK:
        return value
    kind = f"{t}::{name}"
    if t not in _RANK or not table.overloads(kind):
        e.fail_type(f"`{SYMBOLS[name]}` is not defined for {t or value.describe()}")
    return e.op(kind, e.value(value))


# comparisons


def compare(e: Emitter, name: str, a: Sugared, b: Sugared) -> Sugared:
    """``a op b`` for eq, ne, lt, le, gt, ge; a bool, or a Tensor."""
    if isinstance(a, Constant) and isinstance(b, Constant):
        try:
            return Constant(FUNCTIONS[name](a.value, b.value))
        except TypeError:
            e.fail_type(f"`{SYMBOLS[name]}` is not defined for {a.describe()} and {b.describe()}")
    if is_tensor(e, a) or is_tensor(e, b):
        if not needs_split(e.type_of(a)) and not needs_split(e.type_of(b)):
            return _compare_tensor(e, name, a, b)
    if name in ("eq", "ne"):
        result = equal(e, a, b)
        return unary(e, "not", result) if name == "ne" else result
    return _order(e, name, a, b)


def _compare_tensor(e: Emitter, name: str, a: Sugared, b: Sugared) -> Sugared:
    if name in ("eq", "ne") and (e.type_of(a) is None or e.type_of(b) is None):
        return Constant(name == "ne")
    return e.lift(
        tensor_operators.compare(e.builder, name, operand(e, a), operand(e, b), e.span)
    )


def _compare_numbers(e: Emitter, name: str, a: Sugared, b: Sugared) -> Sugared:
    s, t = e.type_of(a), e.type_of(b)
    assert s is not None and t is not None
    if s == t == T.BOOL:
        return e.op(f"bool::{name}", e.value(a), e.value(b))
    x, y = e.value(a), e.value(b)
    common = max(s, t, key=lambda k: _RANK[k])
    if common == T.BOOL:
        common = T.INT
    if common == T.FLOAT and s != t:
        if s == T.FLOAT:
            x, y, name = y, x, _MIRRORED[name]
        return e.op(f"int::{name}_float", convert_number(e, x, T.INT), y)
    if common == T.COMPLEX and name not in ("eq", "ne"):
        e.fail_type(f"`{SYMBOLS[name]}` is not defined for complex numbers")
    return e.op(
        f"{common}::{name}", convert_number(e, x, common), convert_number(e, y, common)
    )


_SIMPLE_EQ = {
    T.STR: "str::eq", T.DTYPE: "dtype::eq", T.DEVICE: "device::eq", T.LAYOUT: "layout::eq",
    T.MEMORY_FORMAT: "memory_format::eq",
}  # fmt: skip


def equal(e: Emitter, a: Sugared, b: Sugared) -> Sugared:
    """``a == b`` where neither is a Tensor."""
    s, t = e.type_of(a), e.type_of(b)
    if s is None or t is None:
        return _equal_static(e, a, b)
    if s in _RANK and t in _RANK:
        return _compare_numbers(e, "eq", a, b)
    if s == T.NONE or t == T.NONE:
        return is_none(e, b if s == T.NONE else a)
    for value, other, flip in ((a, b, False), (b, a, True)):
        own = e.type_of(value)
        if isinstance(value, IRValue) and own is not None and len(members(own)) > 1:
            return split(
                e, value, lambda v, o=other, f=flip: compare(e, "eq", *((o, v) if f else (v, o)))
            )
    if s == t and s in _SIMPLE_EQ:
        return e.op(_SIMPLE_EQ[s], e.value(a), e.value(b))
    x, y = tuple_items(e, a), tuple_items(e, b)
    if x is not None and y is not None:
        return _all_equal(e, x, y) if len(x) == len(y) else Constant(False)
    if _is_tuple(s) and _is_tuple(t):
        whole = [_tuple_as_list(e, v) for v in (a, b)]
        return equal(e, *whole) if all(whole) else Constant(False)
    if isinstance(s, (T.ListType, T.DictType)) and type(s) is type(t):
        return _equal_containers(e, a, b)
    if s == t and isinstance(s, (T.EnumType, T.ClassType)):
        return IRValue(e.builder.node("prim::eq", [e.value(a), e.value(b)], [T.BOOL]).output)
    return Constant(False)


def _is_tuple(t: T.Type) -> bool:
    return t == T.SIZE or isinstance(t, (T.TupleType, T.VarTupleType))


def _tuple_as_list(e: Emitter, value: Sugared) -> Sugared:
    items = tuple_items(e, value)
    if items is not None:
        return ListDisplay(items)
    return IRValue(as_list(e, e.value(value)))


def _all_equal(e: Emitter, x: tuple[Sugared, ...], y: tuple[Sugared, ...]) -> Sugared:
    result: Sugared = Constant(True)
    for p, q in zip(x, y, strict=True):
        same = truth_sugared(e, compare(e, "eq", p, q))
        if isinstance(same, Constant):
            if not same.value:
                return same
        elif isinstance(result, Constant):
            result = same
        else:
            result = e.op("bool::and", e.value(result), e.value(same))
    return result


def _equal_containers(e: Emitter, a: Sugared, b: Sugared) -> Sugared:
    x, y = e.value(a, e.type_of(b)), e.value(b, e.type_of(a))
    if T.TENSOR in T.walk(x.type) or T.TENSOR in T.walk(y.type):
        e.fail_type(
            "`==` of containers of tensors is ambiguous", help="compare the tensors one by one"
        )
    if x.type != y.type:
        if T.NEVER in T.walk(x.type) or T.NEVER in T.walk(y.type):
            admit(e, x, *y.type.contained)
            admit(e, y, *x.type.contained)
        e.not_built(f"`==` of a {x.type} and a {y.type} is")
    kind = "list::eq" if isinstance(x.type, T.ListType) else "dict::eq"
    return e.op(kind, x, y)


def _equal_static(e: Emitter, a: Sugared, b: Sugared) -> Sugared:
    if isinstance(a, PythonObject) and isinstance(b, PythonObject):
        return Constant(bool(a.object == b.object))
    if isinstance(a, (TupleDisplay, ListDisplay)) and type(a) is type(b):
        items = b.parts()
        return _all_equal(e, a.items, items) if len(a.items) == len(items) else Constant(False)
    for value in (a, b):
        if not isinstance(value, (PythonObject, Constant)):
            e.fail_type(f"`==` of {a.describe()} and {b.describe()} is not supported")
    return Constant(False)


def _order(e: Emitter, name: str, a: Sugared, b: Sugared) -> Sugared:
    s, t = e.type_of(a), e.type_of(b)
    if s in _RANK and t in _RANK:
        return _compare_numbers(e, name, a, b)
    if s == t == T.STR:
        return e.op(f"str::{name}", e.value(a), e.value(b))
    for value in (a, b):
        refuse_optional(e, value, f"`{SYMBOLS[name]}` on")
    for value, other, flip in ((a, b, False), (b, a, True)):
        if isinstance(value, IRValue) and needs_split(e.type_of(value)):
            return split(
                e, value, lambda v, o=other, f=flip: compare(e, name, *((o, v) if f else (v, o)))
            )
    x, y = tuple_items(e, a), tuple_items(e, b)
    if x is not None and y is not None:
        return _lexicographic(e, name, x, y)
    if s is not None and t is not None and is_sequence(s) and is_sequence(t):
        left, right = as_list(e, e.value(a, t)), as_list(e, e.value(b, s))
        if left.type == right.type and T.TENSOR not in T.walk(left.type):
            if name in ("gt", "ge"):
                left, right, name = right, left, _MIRRORED[name]
            return e.op(f"list::{name}", left, right)
    e.fail_type(
        f"`{SYMBOLS[name]}` is not defined for {s or a.describe()} and {t or b.describe()}"
    )


def _lexicographic(
    e: Emitter, name: str, x: tuple[Sugared, ...], y: tuple[Sugared, ...]
) -> Sugared:
    if not x or not y:
        return Constant(FUNCTIONS[name](len(x), len(y)))
    same = truth(e, compare(e, "eq", x[0], y[0]))
    if isinstance(same, bool):
        if same:
            return _lexicographic(e, name, x[1:], y[1:])
        return compare(e, name, x[0], y[0])
    return choose(
        e, same,
        lambda: _lexicographic(e, name, x[1:], y[1:]), lambda: compare(e, name, x[0], y[0]),
    )  # fmt: skip


# identity and membership


def is_none(e: Emitter, value: Sugared) -> Sugared:
    """``value is None``."""
    t = e.type_of(value)
    if t == T.NONE:
        return Constant(True)
    if t is None or not T.is_optional(t):
        return Constant(False)
    return IRValue(e.builder.node("prim::is_none", [e.value(value)], [T.BOOL]).output)


_SINGLETONS = (type(None), bool, type(Ellipsis), type(NotImplemented))


def identical(e: Emitter, a: Sugared, b: Sugared) -> Sugared:
    """``a is b``."""
    for value, other in ((a, b), (b, a)):
        if isinstance(value, Constant) and value.value is None:
            return is_none(e, other)
    if a is b:
        return Constant(True)
    s, t = e.type_of(a), e.type_of(b)
    if isinstance(a, Constant) and isinstance(b, Constant):
        if isinstance(a.value, (int, float, complex, str)) and type(a.value) not in _SINGLETONS:
            if s == t:
                e.fail("SM0206", "`is` between numbers or strings has no fixed meaning",
                       help="use `==`")  # fmt: skip
        return Constant(a.value is b.value)
    if isinstance(a, PythonObject) and isinstance(b, PythonObject):
        return Constant(a.object is b.object)
    if s is None or t is None:
        if isinstance(a, ModuleValue) and isinstance(b, ModuleValue):
            e.fail_type("`is` between modules is not supported")
        return Constant(False)
    for value, other in ((a, b), (b, a)):
        own = e.type_of(value)
        if isinstance(value, IRValue) and own is not None and len(members(own)) > 1:
            return split(e, value, lambda v, o=other: identical(e, v, o))
    if s != t:
        return Constant(False)
    x, y = e.value(a), e.value(b)
    if x is y:
        return Constant(True)
    if s in (T.INT, T.FLOAT, T.COMPLEX, T.STR) or isinstance(s, T.TupleType):
        e.fail("SM0206", "`is` between numbers, strings or tuples has no fixed meaning",
               help="use `==`")  # fmt: skip
    if s == T.BOOL or s in _SIMPLE_EQ:
        return equal(e, a, b)
    if s == T.TENSOR:
        return e.op("tensor::same_object", x, y)
    return IRValue(e.builder.node("prim::is", [x, y], [T.BOOL]).output)


def contains(e: Emitter, container: Sugared, item: Sugared) -> Sugared:
    """``item in container``."""
    match container:
        case TupleDisplay(items=items) | ListDisplay(items=items):
            return _any_equal(e, items, item)
        case DictDisplay(keys=keys):
            return _any_equal(e, keys, item)
        case Constant(value=str(text)) if isinstance(item, Constant):
            if not isinstance(item.value, str):
                e.fail_type("`in` of a str needs a str")
            return Constant(item.value in text)
        case IterableValue() | ModuleValue():
            return e.unit.contains(e, container, item)
    refuse_optional(e, container, "`in` of")
    t = e.type_of(container)
    items = tuple_items(e, container)
    if items is not None:
        return _any_equal(e, items, item)
    if t == T.TENSOR:
        same = compare(e, "eq", container, item)
        return truth_sugared(e, e.call_positional(e.attribute(same, "any")))
    if isinstance(container, IRValue) and needs_split(t):
        return split(e, container, lambda v: contains(e, v, item))
    if t is None:
        e.fail_type(f"`in` of {container.describe()} is not supported")
    return _contains_value(e, container, t, item)


def _contains_value(e: Emitter, container: Sugared, t: T.Type, item: Sugared) -> Sugared:
    whole = e.value(container)
    if t == T.STR:
        return e.op("str::contains", whole, e.value_of_type(item, T.STR, "the left of `in`"))
    if is_sequence(t):
        whole = as_list(e, whole)
        kind, element = "list::contains", whole.type.contained[0]
    elif isinstance(t, T.DictType):
        kind, element = "dict::contains", t.key
    else:
        e.fail_type(f"`in` of a {t} is not supported")
    if element == T.TENSOR:
        e.fail_type("`in` of a list of tensors is ambiguous", help="compare them one by one")
    own = e.type_of(item)
    if own is not None and not T.is_subtype(own, element):
        if own in _RANK and element in _RANK and _RANK[own] < _RANK[element]:
            return e.op(kind, whole, convert_number(e, e.value(item), element))
        if element in _RANK and own in _RANK:
            e.not_built(f"`in` with {own} of a container of {element} is")
        if isinstance(item, IRValue) and len(members(own)) > 1:
            return split(e, item, lambda v: contains(e, container, v))
        return Constant(False)
    return e.op(kind, whole, e.value(item))


def _any_equal(e: Emitter, items: tuple[Sugared, ...], item: Sugared) -> Sugared:
    result: Value | None = None
    for candidate in items:
        same = truth(e, compare(e, "eq", item, candidate))
        if same is True:
            return Constant(True)
        if isinstance(same, Value):
            result = same if result is None else e.builder.op("bool::or", result, same)
    return Constant(False) if result is None else IRValue(result)
