"""Lowerings of set, deque, range and iterator ops whose native functions ask for descriptors."""

from __future__ import annotations

from collections.abc import Mapping

from llvmlite import ir

from scriptmode.abi import objects
from scriptmode.abi.convention import I8, I32, I64, PTR
from scriptmode.abi.layouts import RANGE_TYPE
from scriptmode.analysis.simple_keys import is_simple_key
from scriptmode.codegen import tensors
from scriptmode.codegen.function import FunctionEmitter
from scriptmode.codegen.lowering import DEFINED, lower
from scriptmode.codegen.values import make_struct
from scriptmode.ir import types as T
from scriptmode.ir.graph import Node


def described(f: FunctionEmitter, name: str, node: Node, arguments: list[ir.Value]) -> object:
    """Call ``name(ctx, arguments, descriptor of the result, result)``."""
    descriptor = f.unit.descriptor(node.output.type)
    f.native_call(name, [*arguments, descriptor], node.outputs)
    return DEFINED


# ---- sets ----


@lower("prim::SetConstruct")
def set_construct(f: FunctionEmitter, node: Node, *values: ir.Value) -> object:
    """A new set, to which the values are added in order."""
    described(f, "sm_set_new", node, [])
    made = f.values[node.output]
    for value in values:
        add = f.unit.native("sm_set_add", I32, [PTR, PTR, PTR])
        f.check(f.b.call(add, [f.ctx, made, f.spill(value)]))
    return DEFINED


@lower("set::from_list", "set::frozen_from_list", "set::from_keys", "set::frozen_keys")
def set_from(f: FunctionEmitter, node: Node, values: ir.Value) -> object:
    """A new set of the elements of a list or the keys of a dict."""
    described(f, "sm_set_new", node, [])
    name = "sm_set_update_keys" if "keys" in node.kind else "sm_set_update_list"
    update = f.unit.native(name, I32, [PTR, PTR, PTR])
    f.check(f.b.call(update, [f.ctx, f.values[node.output], values]))
    return DEFINED


@lower("set::contains", raw=True)
def set_contains(f: FunctionEmitter, node: Node) -> object:
    """``item in self``; the item may be of any type."""
    self, item = node.inputs
    if item.type == self.type.contained[0] and is_simple_key(item.type):
        if item.type == T.INT:
            return f.native_value("sm_set_has_int", I8, [f.values[self], f.values[item]])
        place = f.spill(f.values[item])
        return f.native_value("sm_set_has_simple", I8, [f.values[self], place])
    arguments = [f.values[self], f.spill(f.values[item]), f.unit.descriptor(item.type)]
    f.native_call("sm_set_contains", arguments, node.outputs)
    return DEFINED


@lower("set::add", raw=True)
def set_add(f: FunctionEmitter, node: Node) -> object:
    """``self.add(item)``."""
    self, item = node.inputs
    values = f.values
    if item.type == self.type.contained[0] and is_simple_key(item.type):
        if item.type == T.INT:
            add = f.unit.native("sm_set_add_int", I32, [PTR, PTR, I64])
            f.check(f.b.call(add, [f.ctx, values[self], values[item]]))
            return DEFINED
        name = "sm_set_add_simple"
    else:
        name = "sm_set_add"
    add = f.unit.native(name, I32, [PTR, PTR, PTR])
    f.check(f.b.call(add, [f.ctx, values[self], f.spill(f.value_as(item, self.type.contained[0]))]))
    return DEFINED


@lower("set::set", "set::frozenset")
def set_copy(f: FunctionEmitter, node: Node, self: ir.Value) -> object:
    """A copy of the class that the result has."""
    return described(f, "sm_set_copy", node, [self])


@lower(
    "set::union", "set::intersection", "set::difference", "set::symmetric_difference",
    "set::intersection_list", "set::difference_list",
)  # fmt: skip
def set_operation(f: FunctionEmitter, node: Node, self: ir.Value, other: ir.Value) -> object:
    """A new set of both."""
    return described(f, f"sm_{node.kind.replace('::', '_')}", node, [self, other])


@lower("set::freeze")
def set_freeze(f: FunctionEmitter, node: Node, self: ir.Value) -> object:
    """A frozenset that takes the elements over."""
    return described(f, "sm_set_freeze", node, [self])


@lower("set::list")
def set_list(f: FunctionEmitter, node: Node, self: ir.Value) -> object:
    """``list(self)``."""
    return described(f, "sm_set_list", node, [self])


# ---- deques ----


@lower("deque::new")
def deque_new(f: FunctionEmitter, node: Node, limit: ir.Value) -> object:
    """An empty deque."""
    return described(f, "sm_deque_new", node, [limit])


@lower("deque::as_list", raw=True)
def deque_as_list(f: FunctionEmitter, node: Node) -> ir.Value:
    """The same object, read as a list."""
    return f.values[node.inputs[0]]


@lower("deque::list")
def deque_list(f: FunctionEmitter, node: Node, self: ir.Value) -> object:
    """``list(self)``."""
    return described(f, "sm_list_convert", node, [self])


# ---- ranges ----


@lower("range::make")
def range_make(
    f: FunctionEmitter, node: Node, start: ir.Value, stop: ir.Value, step: ir.Value
) -> ir.Value:
    """A range by its parts."""
    is_zero = f.b.icmp_signed("==", step, ir.Constant(I64, 0))
    f.raise_if(is_zero, ValueError, "range() arg 3 must not be zero")
    return make_struct(f.b, RANGE_TYPE, [start, stop, step])


@lower("range::start", "range::stop", "range::step")
def range_part(f: FunctionEmitter, node: Node, self: ir.Value) -> ir.Value:
    """One of the three parts."""
    index = ("start", "stop", "step").index(node.kind.partition("::")[2])
    return f.b.extract_value(self, index)


# ---- iterators ----

_KINDS: Mapping[str, int] = {
    "list::reversed": objects.OVER_REVERSED_LIST,
    "dict::iter_keys": objects.OVER_KEYS,
    "dict::iter_values": objects.OVER_VALUES,
    "dict::iter_items": objects.OVER_ITEMS,
    "dict::reversed_keys": objects.OVER_KEYS + objects.REVERSED,
    "dict::reversed_values": objects.OVER_VALUES + objects.REVERSED,
    "dict::reversed_items": objects.OVER_ITEMS + objects.REVERSED,
    "set::iter": objects.OVER_SET,
    "deque::iter": objects.OVER_DEQUE,
    "deque::reversed": objects.OVER_DEQUE + objects.REVERSED,
    "bytes::iter": objects.OVER_BYTES,
}


@lower(*_KINDS)
def iterate(f: FunctionEmitter, node: Node, self: ir.Value) -> object:
    """A new iterator over a container."""
    return described(f, "sm_iterator_new", node, [self, ir.Constant(I64, _KINDS[node.kind])])


@lower("list::widen", "set::widen", raw=True)
def widen(f: FunctionEmitter, node: Node) -> object:
    """A copy with elements of the wider type that the result has."""
    name = f"sm_{node.kind.replace('::', '_')}"
    return described(f, name, node, [f.values[node.inputs[0]]])


@lower("object::copy")
def instance_copy(f: FunctionEmitter, node: Node, self: ir.Value) -> object:
    """A new instance with the same attributes."""
    f.native_call("sm_instance_copy", [self], node.outputs)
    return DEFINED


@lower("object::deepcopy")
def deep_copy(f: FunctionEmitter, node: Node, self: ir.Value) -> object:
    """New objects for all that can change."""
    return described(f, "sm_object_deepcopy", node, [f.spill(self)])


# ---- bytes ----


@lower("bytes::as_text", "str::as_bytes", raw=True)
def same_characters(f: FunctionEmitter, node: Node) -> ir.Value:
    """The same object."""
    return f.values[node.inputs[0]]


@lower("bytes::len")
def bytes_len(f: FunctionEmitter, node: Node, self: ir.Value) -> ir.Value:
    """``len(self)``."""
    return tensors.load(f.b, self, I64, objects.STR_LENGTH)
