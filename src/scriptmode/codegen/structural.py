"""Lowerings of structural ops: tuples, casts, type tests, attributes, exceptions, host services."""

from __future__ import annotations

import builtins
from collections.abc import Mapping

from llvmlite import ir

from scriptmode.abi import objects
from scriptmode.abi.convention import I1, I8, I32, I64, PTR, TEXT_REPR, TEXT_STR, ctx_field
from scriptmode.abi.instances import (
    TABLE_DIRTY,
    TABLE_ENTRY_SIZE,
    instance_size,
    is_tensor_slot,
    slot_offsets,
    value_offset,
)
from scriptmode.abi.layouts import ANY_TYPE, HEAP_PAYLOAD, llvm_type, size_of_llvm
from scriptmode.analysis.ownership import is_any_like, needs_box
from scriptmode.codegen import tensors
from scriptmode.codegen.function import FunctionEmitter, not_built, refuse_tensors
from scriptmode.codegen.lowering import DEFINED, lower
from scriptmode.codegen.python_calls import call_python, has_native_format, has_native_text
from scriptmode.codegen.values import (
    boolean,
    coerce,
    dynamic_descriptor,
    extract,
    has_descriptor,
    is_instance_of,
    is_none,
    is_null,
    make_struct,
    narrow,
    zero,
)
from scriptmode.ir import types as T
from scriptmode.ir.graph import Node
from scriptmode.ir.types import Type

_EXCEPTION_TEXTS: Mapping[str, int] = {"sm_slot_str": TEXT_STR, "sm_slot_repr": TEXT_REPR}
NUMBER_TAGS: Mapping[Type, int] = {T.FLOAT: 0, T.INT: 1, T.COMPLEX: 3, T.BOOL: 4}


def take_over(f: FunctionEmitter, node: Node) -> None:
    """Make a new container the owner of its elements: ``moved`` ones change hands."""
    moved = node.attributes.get("moved", ())
    for index, value in enumerate(node.inputs):
        if index in moved:
            f.give_up(value)
        else:
            f.retain(f.values[value], value.type)


@lower("prim::TupleConstruct")
def tuple_construct(f: FunctionEmitter, node: Node, *values: ir.Value) -> ir.Value:
    """A struct of the elements."""
    take_over(f, node)
    return make_struct(f.b, llvm_type(node.output.type), list(values))


@lower("prim::TupleIndex", raw=True)
def tuple_index(f: FunctionEmitter, node: Node) -> ir.Value:
    """An element, which the tuple goes on owning."""
    index = node.attributes["index"]
    (source,) = node.inputs
    assert isinstance(source.type, T.TupleType)
    value = extract(f.b, f.values[source], (index,))
    return coerce(f.b, f.unit, value, source.type.elements[index], node.output.type)


# ---- casts and type tests ----


@lower("prim::unchecked_cast", raw=True)
def unchecked_cast(f: FunctionEmitter, node: Node) -> ir.Value:
    """The value as the type it is known to have."""
    (source,) = node.inputs
    return narrow(f.b, f.unit, f.values[source], source.type, node.output.type)


@lower("prim::checked_cast", raw=True)
def checked_cast(f: FunctionEmitter, node: Node) -> ir.Value:
    """The value as a type, or TypeError."""
    (source,) = node.inputs
    target = node.output.type
    fits = holds(f, f.values[source], source.type, target)
    f.raise_if(f.b.not_(fits), TypeError, f"expected {target}, got another type")
    return narrow(f.b, f.unit, f.values[source], source.type, target)


@lower("prim::is_none", raw=True)
def prim_is_none(f: FunctionEmitter, node: Node) -> ir.Value:
    """Whether a value is None."""
    (source,) = node.inputs
    return boolean(f.b, is_none(f.b, f.unit, f.values[source], source.type))


@lower("prim::isinstance", raw=True)
def prim_isinstance(f: FunctionEmitter, node: Node) -> ir.Value:
    """Whether the dynamic type is one of several."""
    (source,) = node.inputs
    found: ir.Value = ir.Constant(I1, 0)
    exact = bool(node.attributes.get("exact"))
    for t in node.attributes["types"]:
        found = f.b.or_(found, holds(f, f.values[source], source.type, t, exact=exact))
    return boolean(f.b, found)


def holds(
    f: FunctionEmitter, value: ir.Value, source: Type, target: Type, *, exact: bool = False
) -> ir.Value:
    """Whether a value of static type ``source`` is a ``target``, as i1.

    ``exact``: instances of subclasses of ``target`` do not count.
    """
    if T.is_exception(source) and T.is_exception(target):
        return is_exception(f, value, source, target, exact=exact)
    if is_any_like(source) and T.is_exception(target):
        parts = [f.b.extract_value(value, 0), f.b.extract_value(value, 1)]
        parts[1] = f.b.inttoptr(parts[1], PTR)
        return f.native_value("sm_any_is_exception", I1, [*parts, python_class(f, target)])
    if T.is_instance_type(source) and T.is_instance_type(target):
        if not exact and T.is_subtype(source, target):
            return ir.Constant(I1, 1)
        descriptor = dynamic_descriptor(f.b, f.unit, value)
        return is_instance_of(f.b, f.unit, descriptor, target, exact=exact)
    if T.is_instance_of(source, target):
        return ir.Constant(I1, 1)
    if isinstance(source, T.OptionalType):
        none = is_none(f.b, f.unit, value, source)
        inner = value if isinstance(value.type, ir.PointerType) else f.b.extract_value(value, 1)
        if_some = holds(f, inner, source.element, target, exact=exact)
        if_none = ir.Constant(I1, int(T.is_optional(target)))
        return f.b.select(none, if_none, if_some)
    if is_any_like(source) and T.is_instance_type(target):
        descriptor = f.b.extract_value(value, 0)
        return is_instance_of(f.b, f.unit, descriptor, target, exact=exact)
    if isinstance(source, T.UnionType):
        members = [m for m in source.contained if T.is_instance_of(m, target)]
        return any_descriptor(f, value, members)
    if source == T.ANY and T.has_type_var(target):
        return any_kind(f, value, _KINDS_OF[type(target)])
    if source == T.ANY:
        return any_descriptor(f, value, spelled_out(target))
    if source == T.NUMBER:
        tag = f.b.extract_value(value, 0)
        code = NUMBER_TAGS.get(target, -1)
        return f.b.icmp_signed("==", tag, ir.Constant(I64, code))
    return ir.Constant(I1, 0)


_KINDS_OF: Mapping[type[Type], tuple[int, ...]] = {
    T.ListType: (objects.KIND_LIST,),
    T.DictType: (objects.KIND_DICT,),
    T.VarTupleType: (objects.KIND_TUPLE, objects.KIND_ARRAY_TUPLE, objects.KIND_SIZE),
}


def any_kind(f: FunctionEmitter, value: ir.Value, kinds: tuple[int, ...]) -> ir.Value:
    """Whether an Any holds a value of one of the kinds."""
    place = tensors.byte_gep(f.b, f.b.extract_value(value, 0), objects.DESC_KIND)
    kind = f.b.load(place, typ=I64)
    found: ir.Value = ir.Constant(I1, 0)
    for number in kinds:
        found = f.b.or_(found, f.b.icmp_unsigned("==", kind, ir.Constant(I64, number)))
    return found


def is_exception(
    f: FunctionEmitter, value: ir.Value, source: Type, target: Type, *, exact: bool
) -> ir.Value:
    """Whether an exception is of a class: by its Python class, which the program may not know."""
    if exact:
        own = tensors.load(f.b, value, PTR, objects.EXC_CLASS)
        return f.b.icmp_unsigned("==", own, python_class(f, target))
    if T.is_subtype(source, target):
        return ir.Constant(I1, 1)
    return f.native_value("sm_exception_is", I1, [value, python_class(f, target)])


def python_class(f: FunctionEmitter, t: Type) -> ir.Value:
    """Address of the Python class of an exception type."""
    assert isinstance(t, T.ClassType)
    return f.b.load(f.unit.cell(t.python_class), typ=PTR)


def any_descriptor(f: FunctionEmitter, value: ir.Value, types: list[Type]) -> ir.Value:
    """Whether an Any or Union holds one of the types."""
    found: ir.Value = ir.Constant(I1, 0)
    for t in types:
        found = f.b.or_(found, has_descriptor(f.b, f.unit, value, t))
    return found


def spelled_out(t: Type) -> list[Type]:
    """The types without alternatives that ``t`` stands for."""
    if isinstance(t, T.OptionalType):
        return [T.NONE, *spelled_out(t.element)]
    if isinstance(t, T.UnionType):
        return [p for m in t.contained for p in spelled_out(m)]
    if t == T.NUMBER:
        return [T.INT, T.FLOAT, T.BOOL, T.COMPLEX]
    return [t]


@lower("prim::box", raw=True)
def prim_box(f: FunctionEmitter, node: Node) -> ir.Value:
    """A conversion that allocates; the result owns what it holds."""
    (source,) = node.inputs
    return boxed(f, f.values[source], source.type, node.output.type)


def boxed(f: FunctionEmitter, value: ir.Value, source: Type, target: Type) -> ir.Value:
    """An owned ``target`` made of a borrowed ``source``."""
    if not needs_box(source, target):
        f.retain(value, source)
        return coerce(f.b, f.unit, value, source, target)
    if isinstance(source, T.OptionalType):
        inner = value if isinstance(value.type, ir.PointerType) else f.b.extract_value(value, 1)
        none = coerce(f.b, f.unit, zero(llvm_type(T.NONE)), T.NONE, target)
        before = f.b.block
        some, both = (f.llvm.append_basic_block(name) for name in ("some", "both"))
        f.b.cbranch(is_none(f.b, f.unit, value, source), both, some)
        f.b.position_at_end(some)
        made = boxed(f, inner, source.element, target)
        after = f.b.block
        f.b.branch(both)
        f.b.position_at_end(both)
        phi = f.b.phi(llvm_type(target))
        phi.add_incoming(none, before)
        phi.add_incoming(made, after)
        return phi
    if isinstance(target, T.OptionalType):
        inner = boxed(f, value, source, target.element)
        return coerce(f.b, f.unit, inner, target.element, target)
    if isinstance(source, T.UnionType):
        return _boxed_member(f, value, source, target)
    if isinstance(target, T.UnionType) and isinstance(source, T.TupleType):
        member = next((m for m in target.contained if T.is_subtype(source, m)), source)
        if member != source:
            inner = boxed(f, value, source, member)
            found = boxed(f, inner, member, target)
            f.release(inner, member)
            return found
    if is_any_like(target):
        place = f.temporary(ANY_TYPE)
        made = f.native_value("sm_any_new", I64, [place, f.spill(value), f.unit.descriptor(source)])
        f.raise_memory_error_if(f.b.icmp_signed("==", made, ir.Constant(I64, 0)))
        return f.b.load(place, typ=ANY_TYPE)
    assert isinstance(source, T.TupleType)
    if isinstance(target, T.VarTupleType):
        return _var_tuple(f, value, source, target)
    assert isinstance(target, T.TupleType)
    parts = [
        boxed(f, f.b.extract_value(value, i), s, t)
        for i, (s, t) in enumerate(zip(source.elements, target.elements, strict=True))
    ]
    return make_struct(f.b, llvm_type(target), parts)


def _boxed_member(
    f: FunctionEmitter, value: ir.Value, source: T.UnionType, target: Type
) -> ir.Value:
    """An owned ``target`` made of the member that a borrowed union holds."""
    kept = target.contained if isinstance(target, T.UnionType) else ()
    done = f.llvm.append_basic_block("boxed")
    arms: list[tuple[ir.Value, ir.Block]] = []
    for index, member in enumerate(source.contained):
        last = index == len(source.contained) - 1
        if not last:
            here, other = (f.llvm.append_basic_block(name) for name in ("member", "other"))
            f.b.cbranch(has_descriptor(f.b, f.unit, value, member), here, other)
            f.b.position_at_end(here)
        if member in kept:
            f.retain(value, source)
            made = value
        else:
            made = boxed(f, narrow(f.b, f.unit, value, source, member), member, target)
        arms.append((made, f.b.block))
        f.b.branch(done)
        f.b.position_at_end(done if last else other)
    phi = f.b.phi(llvm_type(target))
    for made, block in arms:
        phi.add_incoming(made, block)
    return phi


def _var_tuple(
    f: FunctionEmitter, value: ir.Value, source: T.TupleType, target: T.VarTupleType
) -> ir.Value:
    """An owned tuple of any length made of a borrowed one of a fixed length."""
    count = ir.Constant(I64, len(source.elements))
    made = f.native_value("sm_list_new", PTR, [f.unit.descriptor(target), count])
    f.raise_memory_error_if(is_null(f.b, made))
    data = tensors.load(f.b, made, PTR, objects.LIST_DATA)
    size = size_of_llvm(llvm_type(target.element))
    for index, element in enumerate(source.elements):
        part = boxed(f, f.b.extract_value(value, index), element, target.element)
        tensors.store(f.b, part, data, index * size)
    tensors.store(f.b, count, made, objects.LIST_LENGTH)
    return made


# ---- attributes ----


def tensor_entry(f: FunctionEmitter, owner: ir.Value, offset: int) -> ir.Value:
    """Address of the entry of a module's tensor in the table of the call."""
    index = tensors.load(f.b, owner, I64, offset)
    table = f.b.load(ctx_field(f.b, f.ctx, "tensors"), typ=PTR)
    return tensors.byte_gep(f.b, table, f.b.mul(index, ir.Constant(I64, TABLE_ENTRY_SIZE)))


@lower("prim::GetAttr", raw=True)
def get_attribute(f: FunctionEmitter, node: Node) -> object:
    """An attribute of a module or object."""
    (source,) = node.inputs
    name = node.attributes["name"]
    owner = source.type
    assert isinstance(owner, T.ClassType)
    t = owner.attributes[name]
    if name == "args" and T.is_exception(owner):
        value = f.native_result("sm_exception_args", [f.values[source]], PTR)
        if f.ownership.is_owned(node.output):
            f.retain(value, t)
        return value
    place_offset = slot_offsets(owner)[name]
    pointer = f.values[source]
    if owner.is_module and is_tensor_slot(t):
        f.unit.tensor_reads[owner, name] = None
        value = f.b.load(tensor_entry(f, pointer, place_offset), typ=PTR)
    elif owner.may_lack(name):
        _check_set(f, pointer, place_offset, name)
        value = tensors.load(f.b, pointer, llvm_type(t), place_offset + value_offset(t))
    else:
        value = tensors.load(f.b, pointer, llvm_type(t), place_offset)
    if f.ownership.is_owned(node.output):
        f.retain(value, t)
    return coerce(f.b, f.unit, value, t, node.output.type)


@lower("prim::SetAttr")
def set_attribute(f: FunctionEmitter, node: Node, pointer: ir.Value, value: ir.Value) -> None:
    """Write an attribute; the old value goes last, for its drop may run code."""
    owner = node.inputs[0].type
    name = node.attributes["name"]
    assert isinstance(owner, T.ClassType)
    t = owner.attributes[name]
    offset = slot_offsets(owner)[name]
    f.retain(value, t)
    if owner.is_module and is_tensor_slot(t):
        f.unit.tensor_reads[owner, name] = None
        place = tensor_entry(f, pointer, offset)
        tensors.store(f.b, ir.Constant(I64, 1), place, TABLE_DIRTY)
    elif owner.may_lack(name):
        # an attribute without a value is all zero, which can be released
        tensors.store(f.b, ir.Constant(I8, 1), pointer, offset)
        place = tensors.byte_gep(f.b, pointer, offset + value_offset(t))
    else:
        place = tensors.byte_gep(f.b, pointer, offset)
    old = f.b.load(place, typ=llvm_type(t))
    f.b.store(value, place)
    f.release(old, t, may_be_zero=not owner.is_module)


def _check_set(f: FunctionEmitter, pointer: ir.Value, offset: int, name: str) -> None:
    """Raise AttributeError when an attribute has no value."""
    has = tensors.load(f.b, pointer, I8, offset)
    with f.unlikely(f.b.icmp_unsigned("==", has, ir.Constant(I8, 0))):
        arguments = [f.ctx, pointer, f.unit.text(name)]
        raising = f.unit.native("sm_raise_missing_attribute", I32, [PTR, PTR, PTR])
        f.b.call(raising, arguments)
        f.fail()


@lower("prim::CreateObject", raw=True)
def create_object(f: FunctionEmitter, node: Node) -> ir.Value:
    """An instance whose attributes have no value, which is all zero."""
    t = node.output.type
    assert isinstance(t, T.ClassType)
    size = instance_size(t)
    arguments: list[ir.Value] = [ir.Constant(I64, size), f.unit.descriptor(t)]
    made = f.native_value("sm_object_new", PTR, arguments)
    f.raise_memory_error_if(is_null(f.b, made))
    for offset in range(HEAP_PAYLOAD, size, 8):
        tensors.store(f.b, ir.Constant(I64, 0), made, offset)
    return made


@lower("prim::HasAttr", raw=True)
def has_attribute(f: FunctionEmitter, node: Node) -> ir.Value:
    """Whether an attribute has a value."""
    (source,) = node.inputs
    owner, name = source.type, node.attributes["name"]
    assert isinstance(owner, T.ClassType)
    if not owner.may_lack(name):
        return ir.Constant(I8, 1)
    return tensors.load(f.b, f.values[source], I8, slot_offsets(owner)[name])


@lower("prim::DelAttr", raw=True)
def delete_attribute(f: FunctionEmitter, node: Node) -> None:
    """Take an attribute's value away."""
    (source,) = node.inputs
    owner, name = source.type, node.attributes["name"]
    assert isinstance(owner, T.ClassType)
    t, pointer, offset = owner.attributes[name], f.values[source], slot_offsets(owner)[name]
    _check_set(f, pointer, offset, name)
    place = tensors.byte_gep(f.b, pointer, offset + value_offset(t))
    old = f.b.load(place, typ=llvm_type(t))
    tensors.store(f.b, ir.Constant(I8, 0), pointer, offset)
    f.b.store(zero(llvm_type(t)), place)
    f.release(old, t)


@lower("prim::Global", raw=True)
def global_object(f: FunctionEmitter, node: Node) -> ir.Value:
    """The native instance of a captured module, from a cell that the boundary fills."""
    return f.b.load(f.unit.global_cell(node.attributes["name"]), typ=PTR)


# ---- text, equality, identity, hash of any value ----


@lower("prim::is", raw=True)
def prim_is(f: FunctionEmitter, node: Node) -> ir.Value:
    """Identity of objects, tensors, None and enum members."""
    a, b = node.inputs
    for x, y in ((a, b), (b, a)):
        if x.type == T.NONE:
            return boolean(f.b, is_none(f.b, f.unit, f.values[y], y.type))
    left, right = f.values[a], f.values[b]
    if isinstance(left.type, ir.PointerType) and isinstance(right.type, ir.PointerType):
        return boolean(f.b, f.b.icmp_unsigned("==", left, right))
    if left.type == right.type and isinstance(left.type, ir.IntType):
        return boolean(f.b, f.b.icmp_unsigned("==", left, right))
    raise not_built(node, f"`is` between {a.type} and {b.type} is not supported")


@lower("prim::eq", raw=True)
def prim_eq(f: FunctionEmitter, node: Node) -> ir.Value:
    """Structural equality."""
    a, b = node.inputs
    refuse_tensors(node)
    places = [f.spill(f.values[v]) for v in (a, b)]
    arguments = [places[0], f.unit.descriptor(a.type), places[1], f.unit.descriptor(b.type)]
    return f.native_result("sm_slots_eq", arguments, I8)


@lower("prim::hash", raw=True)
def prim_hash(f: FunctionEmitter, node: Node) -> ir.Value:
    """``hash(x)``."""
    (source,) = node.inputs
    place = f.spill(f.values[source])
    return f.native_result("sm_slot_hash", [place, f.unit.descriptor(source.type)], I64)


def _text_of(f: FunctionEmitter, node: Node, name: str) -> object:
    source = node.inputs[0]
    if T.is_exception(source.type) and name in _EXCEPTION_TEXTS:
        which = ir.Constant(I64, _EXCEPTION_TEXTS[name])
        f.native_call("sm_exception_text", [f.values[source], which], node.outputs)
        return DEFINED
    is_format = name == "sm_slot_format"
    if not (has_native_format(source.type) if is_format else has_native_text(source.type)):
        return call_python(f, node, getattr(builtins, name.removeprefix("sm_slot_")))
    place = f.spill(f.values[source])
    rest = [f.values[v] for v in node.inputs[1:]]
    f.native_call(name, [place, f.unit.descriptor(source.type), *rest], node.outputs)
    return DEFINED


@lower("prim::str", raw=True)
def prim_str(f: FunctionEmitter, node: Node) -> object:
    """``str(x)``."""
    return _text_of(f, node, "sm_slot_str")


@lower("prim::repr", raw=True)
def prim_repr(f: FunctionEmitter, node: Node) -> object:
    """``repr(x)``."""
    return _text_of(f, node, "sm_slot_repr")


@lower("prim::format", raw=True)
def prim_format(f: FunctionEmitter, node: Node) -> object:
    """``format(x, spec)``."""
    return _text_of(f, node, "sm_slot_format")
