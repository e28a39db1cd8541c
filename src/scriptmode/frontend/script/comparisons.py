"""Comparisons, identity and membership."""

from __future__ import annotations

import enum
import types
from collections.abc import Callable

from scriptmode.frontend import operators as tensor_operators
from scriptmode.frontend.script import not_implemented, script_library
from scriptmode.frontend.script.classes_as_values import ClassOf, is_same_class
from scriptmode.frontend.script.conditions import (
    is_type,
    members,
    split,
    split_pair,
    truth,
    truth_sugared,
)
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.enums import contains_flag, enum_of, mixed_in, own_method, plain
from scriptmode.frontend.script.flow import choose
from scriptmode.frontend.script.literals import admit
from scriptmode.frontend.script.operands import operand
from scriptmode.frontend.script.operators import (
    FUNCTIONS,
    RANK,
    SYMBOLS,
    as_list,
    convert_number,
    is_sequence,
    is_tensor,
    needs_split,
    refuse_optional,
    tuple_items,
    unary,
)
from scriptmode.frontend.script.values import (
    Constant,
    DictDisplay,
    GeneratorObject,
    GeneratorValue,
    IRValue,
    IterableValue,
    IteratorObject,
    ListDisplay,
    LocalFunction,
    ModuleValue,
    PythonObject,
    Sugared,
    TupleDisplay,
    TypeOf,
    reading,
)
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value

_MIRRORED = {"eq": "eq", "ne": "ne", "lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}


def compare(e: Emitter, name: str, a: Sugared, b: Sugared) -> Sugared:
    """``a op b`` for eq, ne, lt, le, gt, ge; a bool, or a Tensor."""
    if IterableValue in (type(a), type(b)):
        a, b = e.unit.view_as_set(e, a), e.unit.view_as_set(e, b)
    a, b = reading(a), reading(b)
    if enum_of(e, a) is not None or enum_of(e, b) is not None:
        own = _enum_comparison(e, name, a, b)
        if own is not None:
            return own
        a, b = plain(e, a), plain(e, b)
    elif T.NamedTupleType in (type(e.type_of(a)), type(e.type_of(b))):
        own = _enum_comparison(e, name, a, b)
        if own is not None:
            return own
    if isinstance(a, Constant) and isinstance(b, Constant):
        try:
            return Constant(FUNCTIONS[name](a.value, b.value))
        except TypeError:
            e.fail_type(f"`{SYMBOLS[name]}` is not defined for {a.describe()} and {b.describe()}")
    if e.unit.dunders.concerns(a, b):
        divided = split_pair(e, a, b, lambda x, y: compare(e, name, x, y))
        return divided if divided is not None else e.unit.dunders.compare(e, name, a, b)
    if is_tensor(e, a) or is_tensor(e, b):
        if not needs_split(e.type_of(a)) and not needs_split(e.type_of(b)):
            return _compare_tensor(e, name, a, b)
    if name in ("eq", "ne"):
        result = equal(e, a, b)
        return unary(e, "not", result) if name == "ne" else result
    return _order(e, name, a, b)


def _enum_comparison(e: Emitter, name: str, a: Sugared, b: Sugared) -> Sugared | None:
    """A comparison by a method of an enumeration's class."""
    for first, second, method in ((a, b, name), (b, a, _MIRRORED[name])):
        own = own_method(e, first, f"__{method}__")
        if own is None and method == "ne" and _negates_eq(e, first):
            return unary(e, "not", compare(e, "eq", first, second))
        if own is not None:
            return e.call_positional(own, second)
    return None


def _negates_eq(e: Emitter, value: Sugared) -> bool:
    """Whether ``!=`` is ``not ==`` by a method: not where a mixed-in type has its own."""
    cls = getattr(e.type_of(value), "python_class", object)
    return cls.__ne__ is object.__ne__ and own_method(e, value, "__eq__") is not None


def _compare_tensor(e: Emitter, name: str, a: Sugared, b: Sugared) -> Sugared:
    if name in ("eq", "ne") and (e.type_of(a) is None or e.type_of(b) is None):
        return Constant(name == "ne")
    return e.lift(tensor_operators.compare(e.builder, name, operand(e, a), operand(e, b), e.span))


def _compare_numbers(e: Emitter, name: str, a: Sugared, b: Sugared) -> Sugared:
    s, t = e.type_of(a), e.type_of(b)
    assert s is not None and t is not None
    if s == t == T.BOOL:
        return e.op(f"bool::{name}", e.value(a), e.value(b))
    x, y = e.value(a), e.value(b)
    common = max(s, t, key=lambda k: RANK[k])
    if common == T.BOOL:
        common = T.INT
    if common == T.FLOAT and s != t:
        if s == T.FLOAT:
            x, y, name = y, x, _MIRRORED[name]
        return e.op(f"int::{name}_float", convert_number(e, x, T.INT), y)
    if common == T.COMPLEX and name not in ("eq", "ne"):
        e.fail_type(f"`{SYMBOLS[name]}` is not defined for complex numbers")
    return e.op(f"{common}::{name}", convert_number(e, x, common), convert_number(e, y, common))


_SIMPLE_EQ: dict[T.Type, str] = {
    T.STR: "str::eq", T.DTYPE: "dtype::eq", T.DEVICE: "device::eq", T.LAYOUT: "layout::eq",
    T.MEMORY_FORMAT: "memory_format::eq",
}  # fmt: skip


def equal(e: Emitter, a: Sugared, b: Sugared) -> Sugared:
    """``a == b`` where neither is a Tensor."""
    divided = _by_member(e, a, b, equal)
    if divided is not None:
        return divided
    s, t = e.type_of(a), e.type_of(b)
    for value, other in ((a, b), (b, a)):
        if isinstance(value, ClassOf):
            return is_same_class(e, value, other)
    if s is None or t is None:
        return _equal_static(e, a, b)
    if s in RANK and t in RANK:
        return _compare_numbers(e, "eq", a, b)
    if s == T.NONE or t == T.NONE:
        return is_none(e, b if s == T.NONE else a)
    if _is_module(s) and _is_module(t):
        return identical(e, a, b)
    divided = split_pair(e, a, b, lambda x, y: compare(e, "eq", x, y))
    if divided is not None:
        return divided
    _refuse_any(e, "==", a, b)
    if s == t and s in _SIMPLE_EQ:
        return e.op(_SIMPLE_EQ[s], e.value(a), e.value(b))
    x, y = tuple_items(e, a), tuple_items(e, b)
    if x is not None and y is not None:
        return _all_equal(e, x, y) if len(x) == len(y) else Constant(False)
    if _is_tuple(s) and _is_tuple(t):
        whole = [_tuple_as_list(e, v) for v in (a, b)]
        return equal(e, *whole) if all(whole) else Constant(False)
    if isinstance(s, T.SetType) and isinstance(t, T.SetType):
        return e.op("set::eq", e.value(a), e.value(b))
    if isinstance(s, T.DictType) and isinstance(t, T.DictType) and type(s) is not type(t):
        return IRValue(e.builder.node("prim::eq", [e.value(a), e.value(b)], [T.BOOL]).output)
    if isinstance(s, (T.ListType, T.DictType, T.DequeType)) and type(s) is type(t):
        return _equal_containers(e, a, b)
    if s == t and s in (T.BYTES, T.RANGE):
        return IRValue(e.builder.node("prim::eq", [e.value(a), e.value(b)], [T.BOOL]).output)
    if s == t and isinstance(s, T.EnumType):
        return IRValue(e.builder.node("prim::eq", [e.value(a), e.value(b)], [T.BOOL]).output)
    return Constant(False)


def _is_module(t: T.Type) -> bool:
    """Whether a module, which equals itself only."""
    if not isinstance(t, T.ClassType) or not t.is_module:
        return False
    return getattr(t.python_class, "__eq__", object.__eq__) is object.__eq__


def _refuse_any(e: Emitter, symbol: str, *values: Sugared) -> None:
    """What an Any holds decides how it compares."""
    if any(e.type_of(v) == T.ANY for v in values):
        e.fail_type(
            f"`{symbol}` of a value of type Any",
            help="narrow it first: `if isinstance(x, int):`",
        )


def _is_tuple(t: T.Type) -> bool:
    return t == T.SIZE or isinstance(t, (T.TupleType, T.VarTupleType))


def _tuple_as_list(e: Emitter, value: Sugared) -> Sugared:
    items = tuple_items(e, value)
    if items is not None:
        return ListDisplay(items)
    return IRValue(as_list(e, e.value(value)))


def _has_tensor(e: Emitter, *items: Sugared) -> bool:
    return any(T.TENSOR in T.walk(e.type_of(item) or T.NONE) for item in items)


def same_item(e: Emitter, p: Sugared, q: Sugared) -> Sugared:
    """Whether containers take two items for equal: the same object, or true by ``==``."""
    if e.type_of(p) == e.type_of(q) == T.TENSOR:
        return e.call_positional(PythonObject(script_library.same_item), p, q)
    if isinstance(p, Constant) and isinstance(q, Constant) and p.value is q.value:
        return Constant(True)
    s, t = (members(e.type_of(v) or T.NONE) for v in (p, q))
    common = next((n for n in (T.FLOAT, T.COMPLEX) if n in s and n in t), None)
    if common is not None:
        divided = split_pair(e, p, q, lambda x, y: same_item(e, x, y))
        return divided or e.op(f"{common}::same", e.value(p), e.value(q))
    return truth_sugared(e, compare(e, "eq", p, q))


def _all_equal(e: Emitter, x: tuple[Sugared, ...], y: tuple[Sugared, ...]) -> Sugared:
    if _has_tensor(e, *x, *y):
        return _equal_in_order(e, x, y)
    result: Sugared = Constant(True)
    for p, q in zip(x, y, strict=True):
        same = same_item(e, p, q)
        if isinstance(same, Constant):
            if not same.value:
                return same
        elif isinstance(result, Constant):
            result = same
        else:
            result = e.op("bool::and", e.value(result), e.value(same))
    return result


def _equal_in_order(e: Emitter, x: tuple[Sugared, ...], y: tuple[Sugared, ...]) -> Sugared:
    """Items are compared until one differs: comparing tensors may raise."""
    if not x:
        return Constant(True)
    same = same_item(e, x[0], y[0])
    if isinstance(same, Constant):
        return _equal_in_order(e, x[1:], y[1:]) if same.value else same
    return choose(
        e, e.value(same), lambda: _equal_in_order(e, x[1:], y[1:]), lambda: Constant(False)
    )  # fmt: skip


def _equal_containers(e: Emitter, a: Sugared, b: Sugared) -> Sugared:
    if isinstance(e.type_of(a), T.CounterType) and isinstance(e.type_of(b), T.CounterType):
        return e.unit.counter_compare(e, "eq", a, b)
    x, y = e.value(a, e.type_of(b)), e.value(b, e.type_of(a))
    if T.TENSOR in T.walk(x.type) or T.TENSOR in T.walk(y.type):
        return _equal_with_tensors(e, x, y)
    if x.type != y.type:
        if T.NEVER in T.walk(x.type) or T.NEVER in T.walk(y.type):
            admit(e, x, *y.type.contained)
            admit(e, y, *x.type.contained)
    elif isinstance(x.type, (T.ListType, T.DictType)):
        return e.op("list::eq" if isinstance(x.type, T.ListType) else "dict::eq", x, y)
    return IRValue(e.builder.node("prim::eq", [x, y], [T.BOOL]).output)


def _equal_with_tensors(e: Emitter, x: Value, y: Value) -> Sugared:
    """Lists or dicts item by item, as far as needed."""
    function = script_library.lists_equal
    if isinstance(x.type, T.DictType):
        function = script_library.dicts_equal
    return e.call_positional(PythonObject(function), IRValue(x), IRValue(y))


def _by_member(
    e: Emitter, a: Sugared, b: Sugared, act: Callable[[Emitter, Sugared, Sugared], Sugared]
) -> Sugared | None:
    """``act`` on the functions that choices hold; None when neither value is a choice."""
    if isinstance(a, IRValue) and isinstance(a.type, T.ChoiceType):
        result: Sugared = e.unit.by_member(e, a.value, lambda v: act(e, v, b))
        return result
    if isinstance(b, IRValue) and isinstance(b.type, T.ChoiceType):
        result = e.unit.by_member(e, b.value, lambda v: act(e, a, v))
        return result
    return None


def _equal_static(e: Emitter, a: Sugared, b: Sugared) -> Sugared:
    if isinstance(a, TypeOf) or isinstance(b, TypeOf):
        return identical(e, a, b)
    if isinstance(a, PythonObject) and isinstance(b, PythonObject):
        return Constant(bool(a.object == b.object))
    if isinstance(a, (TupleDisplay, ListDisplay)) and type(a) is type(b):
        items = b.parts()
        return _all_equal(e, a.items, items) if len(a.items) == len(items) else Constant(False)
    if isinstance(a, LocalFunction) or isinstance(b, LocalFunction):
        return identical(e, a, b)
    for value in (a, b):
        if not isinstance(value, (PythonObject, Constant)):
            e.fail_type(f"`==` of {a.describe()} and {b.describe()} is not supported")
    return Constant(False)


def _order(e: Emitter, name: str, a: Sugared, b: Sugared) -> Sugared:
    s, t = e.type_of(a), e.type_of(b)
    if s in RANK and t in RANK:
        return _compare_numbers(e, name, a, b)
    if s == t == T.BYTES:
        texts = [e.builder.op("bytes::as_text", e.value(v)) for v in (a, b)]
        return e.op(f"str::{name}", *texts)
    if s == t == T.STR:
        return e.op(f"str::{name}", e.value(a), e.value(b))
    for value in (a, b):
        refuse_optional(e, value, f"`{SYMBOLS[name]}` on")
    divided = split_pair(e, a, b, lambda x, y: compare(e, name, x, y))
    if divided is not None:
        return divided
    if isinstance(s, T.CounterType) and isinstance(t, T.CounterType):
        return e.unit.counter_compare(e, name, a, b)
    if isinstance(s, T.DequeType) and isinstance(t, T.DequeType):
        return compare(e, name, *(e.op("deque::list", e.value(v)) for v in (a, b)))
    if isinstance(s, T.SetType) and isinstance(t, T.SetType):
        return _compare_sets(e, name, e.value(a), e.value(b))
    x, y = tuple_items(e, a), tuple_items(e, b)
    if x is not None and y is not None:
        return _lexicographic(e, name, x, y)
    if s is not None and t is not None and (is_sequence(s) or is_sequence(t)):
        if _is_tuple(s) and _is_tuple(t) and not (is_sequence(s) and is_sequence(t)):
            whole = [_tuple_as_list(e, v) for v in (a, b)]
            left, right = (e.value(w) for w in whole)
        else:
            left, right = e.value(a, t), e.value(b, s)
        if not is_sequence(left.type) or not is_sequence(right.type):
            e.fail_type(f"`{SYMBOLS[name]}` is not defined for {s} and {t}")
        left, right = as_list(e, left), as_list(e, right)
        inner = (*T.walk(left.type), *T.walk(right.type))
        if T.TENSOR not in inner:
            if name in ("gt", "ge"):
                left, right, name = right, left, _MIRRORED[name]
            if any(map(_has_own_order, inner)):  # which the program knows
                library = script_library.list_less if name == "lt" else script_library.list_at_most
                return e.call_positional(PythonObject(library), IRValue(left), IRValue(right))
            return e.op(f"list::{name}", left, right)
    e.fail_type(f"`{SYMBOLS[name]}` is not defined for {s or a.describe()} and {t or b.describe()}")


def _has_own_order(t: T.Type) -> bool:
    """Whether a class of the user's may say how values of the type are ordered."""
    if isinstance(t, (T.EnumType, T.NamedTupleType)):
        methods = ("__lt__", "__le__", "__gt__", "__ge__", "__eq__")
        found = (getattr(t.python_class, name, None) for name in methods)
        return any(isinstance(f, types.FunctionType) for f in found)
    return isinstance(t, T.ClassType)


def _compare_sets(e: Emitter, name: str, a: Value, b: Value) -> Sugared:
    """Whether one is a (proper) subset of the other."""
    if name in ("gt", "ge"):
        a, b = b, a
    return e.op("set::lt" if name in ("lt", "gt") else "set::issubset", a, b)


def _lexicographic(
    e: Emitter, name: str, x: tuple[Sugared, ...], y: tuple[Sugared, ...]
) -> Sugared:
    if not x or not y:
        return Constant(FUNCTIONS[name](len(x), len(y)))
    same = truth(e, same_item(e, x[0], y[0]))
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
    if isinstance(a, TypeOf) or isinstance(b, TypeOf):
        return e.unit.same_type(e, a, b)
    divided = _by_member(e, a, b, identical)
    if divided is not None:
        return divided
    for value, other in ((a, b), (b, a)):
        if not_implemented.is_given_up(value) and not_implemented.may_give_up(e, other):
            return IRValue(is_type(e, e.value(other), [not_implemented.given_up_type(e)]))
    s, t = e.type_of(a), e.type_of(b)
    if isinstance(a, Constant) and isinstance(b, Constant):
        if isinstance(a.value, (int, float, complex, str)) and type(a.value) not in _SINGLETONS:
            if s == t and not isinstance(a.value, enum.Enum):
                e.fail("SM0206", "`is` between numbers or strings has no fixed meaning",
                       help="use `==`")  # fmt: skip
        return Constant(a.value is b.value)
    if isinstance(a, PythonObject) and isinstance(b, PythonObject):
        return Constant(a.object is b.object)
    for value, other in ((a, b), (b, a)):
        if isinstance(value, ClassOf):
            return is_same_class(e, value, other)
    if s is None or t is None:
        if isinstance(a, LocalFunction) and isinstance(b, LocalFunction):
            if a.source.node is b.source.node:
                e.fail("SM0206", "`is` between two uses of one nested function is not supported",
                       help="compare something that the functions return")  # fmt: skip
            return Constant(False)
        return Constant(False)
    divided = split_pair(e, a, b, lambda x, y: identical(e, x, y))
    if divided is not None:
        return divided
    if T.ANY in (s, t) and s != t:
        return _identical_any(e, *((a, b) if s == T.ANY else (b, a)))
    if s != t and not (T.is_instance_type(s) and T.is_instance_type(t)):
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


def _identical_any(e: Emitter, value: Sugared, other: Sugared) -> Sugared:
    """``x is True`` or ``x is Color.RED`` of an Any."""
    t = e.type_of(other)
    if t != T.BOOL and not isinstance(t, T.EnumType):
        _refuse_any(e, "is", value)
    assert t is not None
    built = e.value(value)
    return choose(
        e, is_type(e, built, [t]),
        lambda: identical(e, IRValue(e.builder.cast(built, t)), other), lambda: Constant(False),
    )  # fmt: skip


def contains(e: Emitter, container: Sugared, item: Sugared) -> Sugared:
    """``item in container``."""
    container, item = reading(container), reading(item)
    match container:
        case TupleDisplay(items=items) | ListDisplay(items=items) if isinstance(item, TypeOf):
            return e.unit.type_among(e, item, items)
        case PythonObject(object=set() | frozenset() as captured):
            return _any_equal(e, tuple(e.unit.object_items(e, captured) or ()), item)
        case TupleDisplay(items=items) | ListDisplay(items=items):
            return _any_equal(e, items, item)
        case DictDisplay(keys=keys):
            return _any_equal(e, keys, item)
        case Constant(value=str(text)) if isinstance(item, Constant):
            if not isinstance(item.value, str):
                e.fail_type("`in` of a str needs a str")
            return Constant(item.value in text)
        case (
            IterableValue()
            | ModuleValue()
            | GeneratorObject()
            | IteratorObject()
            | (GeneratorValue())
        ):
            return e.unit.contains(e, container, item)
        case PythonObject(object=type() as cls) if issubclass(cls, enum.Enum):
            return Constant(enum_of(e, item) == e.unit.enum_type(cls))
    own = own_method(e, container, "__contains__")
    if own is not None:
        return truth_sugared(e, e.call_positional(own, item))
    flag = contains_flag(e, container, item)
    if flag is not None:
        return flag
    container = plain(e, container)
    refuse_optional(e, container, "`in` of")
    t = e.type_of(container)
    if T.is_instance_type(t):
        return e.unit.contains(e, container, item)
    known = tuple_items(e, container)
    if known is not None:
        return _any_equal(e, known, item)
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
    if t == T.BYTES:
        return e.unit.in_bytes(e, container, item)
    if t == T.STR:
        return e.op("str::contains", whole, e.value_of_type(item, T.STR, "the left of `in`"))
    if isinstance(t, T.SetType):
        return _in_set(e, whole, item)
    if isinstance(t, T.DequeType):
        whole = e.builder.op("deque::as_list", whole)
    if is_sequence(whole.type):
        whole = as_list(e, whole)
        kind, element = "list::contains", whole.type.contained[0]
    elif isinstance(t, T.DictType):
        kind, element = "dict::contains", t.key
    else:
        e.fail_type(f"`in` of a {t} is not supported")
    if T.TENSOR in T.walk(element) and kind == "list::contains":
        function = PythonObject(script_library.contains_item)
        return e.call_positional(function, IRValue(whole), item)
    if _is_data_enum(element) and e.type_of(item) != element:
        if kind != "list::contains":
            e.fail_type(f"`in` of a {t} needs a {element}, not {e.type_of(item)}")
        return e.call_positional(PythonObject(script_library.contains_item), IRValue(whole), item)
    if not any(map(_is_data_enum, T.walk(element))):
        item = plain(e, item)
    own = e.type_of(item)
    if own is not None and not T.is_subtype(own, element):
        if isinstance(item, IRValue) and len(members(own)) > 1:
            return split(e, item, lambda v: contains(e, container, v))
        _refuse_any(e, "in", item)
        # values of different types may be equal: 1 and 1.0, [] and any empty list
        return e.op(f"{kind}_any", whole, e.value(item, element))
    return e.op(kind, whole, e.value(item))


def _is_data_enum(t: T.Type) -> bool:
    """Whether members of an enumeration that are numbers or strings, too."""
    return isinstance(t, T.EnumType) and bool(t.python_class and mixed_in(t.python_class))


def _in_set(e: Emitter, whole: Value, item: Sugared) -> Sugared:
    if any(map(_is_data_enum, T.walk(whole.type.contained[0]))):
        if e.type_of(item) != whole.type.contained[0]:
            e.fail_type(f"`in` of a {whole.type} needs a {whole.type.contained[0]}")
    else:
        item = plain(e, item)
    built = e.value(item)
    if isinstance(built.type, (T.ListType, T.DictType)):
        name = "list" if isinstance(built.type, T.ListType) else "dict"
        e.raise_error(TypeError, f"unhashable type: '{name}'")
    if T.TENSOR in T.walk(built.type):
        e.fail_type("`in` of a set needs a value that has a hash, not a tensor")
    return e.op("set::contains", whole, built)


def _any_equal(e: Emitter, items: tuple[Sugared, ...], item: Sugared) -> Sugared:
    if _has_tensor(e, item, *items):
        return _first_equal(e, items, item)
    result: Value | None = None
    for candidate in items:
        same = truth(e, same_item(e, item, candidate))
        if same is True:
            return Constant(True)
        if isinstance(same, Value):
            result = same if result is None else e.builder.op("bool::or", result, same)
    return Constant(False) if result is None else IRValue(result)


def _first_equal(e: Emitter, items: tuple[Sugared, ...], item: Sugared) -> Sugared:
    """Items are compared until one is equal: comparing tensors may raise."""
    if not items:
        return Constant(False)
    same = same_item(e, items[0], item)
    if isinstance(same, Constant):
        return same if same.value else _first_equal(e, items[1:], item)
    return choose(
        e, e.value(same), lambda: Constant(True), lambda: _first_equal(e, items[1:], item)
    )  # fmt: skip
