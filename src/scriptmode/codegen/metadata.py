"""Lowerings of tensor ops that are not ATen's: metadata, conversions to numbers, thread state.

Metadata is read through libtorch's C interface, which takes a pointer to a tensor's cell.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from llvmlite import ir

from scriptmode.abi import objects
from scriptmode.abi.convention import F64, I1, I8, I16, I32, I64, PTR
from scriptmode.abi.devices import DEVICE_NAMES, device_code
from scriptmode.abi.dtypes import DTYPES
from scriptmode.abi.layouts import COMPLEX_TYPE, NUMBER_COMPLEX, NUMBER_FLOAT, NUMBER_TYPE
from scriptmode.abi.tensorkeys import key_bit, key_set_offset
from scriptmode.codegen import tensors
from scriptmode.codegen.aten import thunk_result
from scriptmode.codegen.elements import REQUIRES_GRAD as REQUIRES_GRAD
from scriptmode.codegen.elements import read_item
from scriptmode.codegen.function import (
    IS_GRAD_ENABLED,
    SET_GRAD_ENABLED,
    FunctionEmitter,
    not_built,
)
from scriptmode.codegen.library import flattened
from scriptmode.codegen.lowering import DEFINED, lower
from scriptmode.codegen.python_calls import call_python
from scriptmode.codegen.values import boolean, make_struct, truth
from scriptmode.ir import types as T
from scriptmode.ir.graph import Node
from scriptmode.ops import tensors as tensor_ops
from scriptmode.ops.aten import aten_schema

GET_DEFAULT_DTYPE = "_ZN3c1031get_default_dtype_as_scalartypeEv"
GET_AUTOCAST_DTYPE = "_ZN2at8autocast18get_autocast_dtypeEN3c1010DeviceTypeE"
SET_AUTOCAST_ENABLED = "_ZN2at8autocast20set_autocast_enabledEN3c1010DeviceTypeEb"
SET_AUTOCAST_DTYPE = "_ZN2at8autocast18set_autocast_dtypeEN3c1010DeviceTypeENS1_10ScalarTypeE"
IS_AUTOCAST_CACHE_ENABLED = "_ZN2at8autocast25is_autocast_cache_enabledEv"
SET_AUTOCAST_CACHE_ENABLED = "_ZN2at8autocast26set_autocast_cache_enabledEb"
INCREMENT_NESTING = "_ZN2at8autocast17increment_nestingEv"
DECREMENT_NESTING = "_ZN2at8autocast17decrement_nestingEv"
CLEAR_AUTOCAST_CACHE = "_ZN2at8autocast11clear_cacheEv"
IS_AUTOCAST_ENABLED = "_ZN2at8autocast19is_autocast_enabledEN3c1010DeviceTypeE"
IS_INFERENCE_MODE = "_ZN3c1013InferenceMode10is_enabledEv"


def query(f: FunctionEmitter, name: str, self: ir.Value, result: ir.Type) -> ir.Value:
    """``aoti_torch_get_<name>(tensor, &result)``."""
    place = f.temporary(result)
    function = f.unit.external(f"aoti_torch_get_{name}", I32, [PTR, PTR])
    status = f.b.call(function, [f.spill(self), place])
    failed = f.b.icmp_signed("!=", status, ir.Constant(I32, 0))
    f.raise_if(failed, RuntimeError, f"reading the {name} of this tensor is not supported")
    return f.b.load(place, typ=result)


@lower("tensor::shape")
def tensor_shape(f: FunctionEmitter, node: Node, self: ir.Value) -> object:
    """A new Size."""
    return _copied(f, node, self, "sizes")


@lower("tensor::stride")
def tensor_stride(f: FunctionEmitter, node: Node, self: ir.Value) -> object:
    """A new list of strides."""
    return _copied(f, node, self, "strides")


def _copied(f: FunctionEmitter, node: Node, self: ir.Value, name: str) -> object:
    dim = query(f, "dim", self, I64)
    data = query(f, name, self, PTR)
    descriptor = f.unit.descriptor(node.output.type)
    f.native_call("sm_list_from", [descriptor, data, dim], node.outputs)
    return DEFINED


@lower("tensor::ndim")
def tensor_ndim(f: FunctionEmitter, node: Node, self: ir.Value) -> ir.Value:
    """Number of dimensions."""
    return query(f, "dim", self, I64)


@lower("tensor::len")
def tensor_len(f: FunctionEmitter, node: Node, self: ir.Value) -> ir.Value:
    """Size of the first dimension; a scalar tensor has no length."""
    dim = query(f, "dim", self, I64)
    none = f.b.icmp_signed("==", dim, ir.Constant(I64, 0))
    f.raise_if(none, TypeError, "len() of a 0-d tensor")
    return f.b.load(query(f, "sizes", self, PTR), typ=I64)


@lower("tensor::dtype")
def tensor_dtype(f: FunctionEmitter, node: Node, self: ir.Value) -> ir.Value:
    """Number of the dtype."""
    return f.b.trunc(query(f, "dtype", self, I32), I8)


@lower("tensor::same_form")
def tensor_same_form(f: FunctionEmitter, node: Node, a: ir.Value, b: ir.Value) -> ir.Value:
    """Whether dtype and shape are equal; nothing is allocated."""
    dims = [query(f, "dim", x, I64) for x in (a, b)]
    sizes = [query(f, "sizes", x, PTR) for x in (a, b)]
    dtypes = [query(f, "dtype", x, I32) for x in (a, b)]
    same_dims = f.b.icmp_signed("==", *dims)
    same = f.b.and_(same_dims, f.b.icmp_signed("==", *dtypes))
    size = f.b.select(same, f.b.shl(dims[0], ir.Constant(I64, 3)), ir.Constant(I64, 0))
    compare = f.unit.external("memcmp", I32, [PTR, PTR, I64])
    differ = f.b.call(compare, [*sizes, size])
    return boolean(f.b, f.b.and_(same, f.b.icmp_signed("==", differ, ir.Constant(I32, 0))))


@lower("tensor::check_writable")
def tensor_check_writable(f: FunctionEmitter, node: Node, self: ir.Value) -> None:
    """RuntimeError if elements of the tensor share memory."""
    found = f.b.call(f.unit.native("sm_tensor_is_expanded", I64, [PTR]), [f.spill(self)])
    shared = f.b.icmp_signed("!=", found, ir.Constant(I64, 0))
    f.raise_if(shared, RuntimeError, tensor_ops.SHARED_ELEMENTS)


@lower("tensor::layout")
def tensor_layout(f: FunctionEmitter, node: Node, self: ir.Value) -> ir.Value:
    """Number of the layout."""
    return f.b.trunc(query(f, "layout", self, I32), I8)


@lower("tensor::device")
def tensor_device(f: FunctionEmitter, node: Node, self: ir.Value) -> ir.Value:
    """Type in the low byte, index in the high one."""
    kind = f.b.and_(query(f, "device_type", self, I32), ir.Constant(I32, 0xFF))
    index = f.b.shl(query(f, "device_index", self, I32), ir.Constant(I32, 8))
    return f.b.trunc(f.b.or_(kind, index), I16)


@lower("tensor::element_size")
def tensor_element_size(f: FunctionEmitter, node: Node, self: ir.Value) -> ir.Value:
    """Bytes of an element."""
    size = f.unit.external("aoti_torch_dtype_element_size", I64, [I32])
    return f.b.call(size, [query(f, "dtype", self, I32)])


@lower("tensor::requires_grad")
def tensor_requires_grad(f: FunctionEmitter, node: Node, self: ir.Value) -> ir.Value:
    """``self.requires_grad``."""
    return boolean(f.b, f.b.call(f.unit.external(REQUIRES_GRAD, I1, [PTR]), [self]))


@lower("tensor::is_leaf")
def tensor_is_leaf(f: FunctionEmitter, node: Node, self: ir.Value) -> ir.Value:
    """``self.is_leaf``."""
    return thunk_result(f, "aten::is_leaf", [self], I8)


@lower("tensor::data")
def tensor_data(f: FunctionEmitter, node: Node, self: ir.Value) -> object:
    """An alias outside autograd."""
    schema = aten_schema("aten::data")
    assert schema is not None
    f.checked_call(f.unit.thunk(schema), [self], node.outputs)
    return DEFINED


@lower("tensor::is_device_type", raw=True)
def tensor_is_device_type(f: FunctionEmitter, node: Node) -> ir.Value:
    """Whether ``self.device.type`` is a constant name."""
    self, name = node.inputs
    if not name.is_constant:
        raise not_built(node, "no native code for a device type that is not constant yet")
    kind = query(f, "device_type", f.values[self], I32)
    known = name.constant in DEVICE_NAMES
    code = DEVICE_NAMES.index(name.constant) if known else -1
    return boolean(f.b, f.b.icmp_signed("==", kind, ir.Constant(I32, code)))


def has_key(f: FunctionEmitter, self: ir.Value, name: str) -> ir.Value:
    """Whether a dispatch key is in the tensor's set."""
    keys = tensors.load(f.b, self, I64, key_set_offset())
    found = f.b.and_(keys, ir.Constant(I64, key_bit(name)))
    return boolean(f.b, f.b.icmp_unsigned("!=", found, ir.Constant(I64, 0)))


@lower("tensor::is_nested")
def tensor_is_nested(f: FunctionEmitter, node: Node, self: ir.Value) -> ir.Value:
    """``self.is_nested``."""
    return has_key(f, self, "NestedTensor")


@lower("tensor::is_sparse")
def tensor_is_sparse(f: FunctionEmitter, node: Node, self: ir.Value) -> ir.Value:
    """``self.is_sparse``: the COO layout."""
    return has_key(f, self, "Sparse")


@lower("tensor::is_quantized")
def tensor_is_quantized(f: FunctionEmitter, node: Node, self: ir.Value) -> ir.Value:
    """``self.is_quantized``."""
    return has_key(f, self, "Quantized")


@lower("tensor::same_object")
def tensor_same_object(f: FunctionEmitter, node: Node, a: ir.Value, b: ir.Value) -> ir.Value:
    """Identity."""
    return boolean(f.b, f.b.icmp_unsigned("==", a, b))


# ---- conversions to Python numbers ----


def check_single(f: FunctionEmitter, self: ir.Value) -> None:
    """Raise unless the tensor has one element, as ``int(tensor)`` and ``float(tensor)`` do."""
    count = query(f, "numel", self, I64)
    several = f.b.icmp_signed("!=", count, ir.Constant(I64, 1))
    message = "only one element tensors can be converted to Python scalars"
    f.raise_if(several, ValueError, message)


def item(f: FunctionEmitter, self: ir.Value) -> ir.Value:
    """The only element as a number."""
    check_single(f, self)
    return read_item(f, self)


def real_item(f: FunctionEmitter, self: ir.Value, name: str) -> ir.Value:
    """The only element as a real number; a complex one must have no imaginary part."""
    number = item(f, self)
    tag, low, high = (f.b.extract_value(number, i) for i in range(3))
    is_complex = f.b.icmp_signed("==", tag, ir.Constant(I64, NUMBER_COMPLEX))
    imaginary = f.b.fcmp_unordered("!=", f.b.bitcast(high, F64), ir.Constant(F64, 0.0))
    message = f"value cannot be converted to type {name} without overflow"
    f.raise_if(f.b.and_(is_complex, imaginary), RuntimeError, message)
    real = f.b.select(is_complex, ir.Constant(I64, NUMBER_FLOAT), tag)
    return make_struct(f.b, NUMBER_TYPE, [real, low, ir.Constant(I64, 0)])


@lower("tensor::int")
def tensor_int(f: FunctionEmitter, node: Node, self: ir.Value) -> ir.Value:
    """``int(self)``: floats are truncated."""
    return f.native_result("sm_number_int", flattened(f, real_item(f, self, "int64_t")), I64)


@lower("tensor::float")
def tensor_float(f: FunctionEmitter, node: Node, self: ir.Value) -> ir.Value:
    """``float(self)``."""
    return f.native_result("sm_number_float", flattened(f, real_item(f, self, "double")), F64)


@lower("tensor::complex")
def tensor_complex(f: FunctionEmitter, node: Node, self: ir.Value) -> ir.Value:
    """``complex(self)``."""
    return f.native_result("sm_number_complex", flattened(f, item(f, self)), COMPLEX_TYPE)


@lower("tensor::index")
def tensor_index(f: FunctionEmitter, node: Node, self: ir.Value) -> ir.Value:
    """``self.__index__()``: an integer tensor of one element."""
    count = query(f, "numel", self, I64)
    dtype = query(f, "dtype", self, I32)
    integral = truth(f.b, one_of(f, f.b.trunc(dtype, I8), _INTEGRAL))
    single = f.b.icmp_signed("==", count, ir.Constant(I64, 1))
    message = "only integer tensors of a single element can be converted to an index"
    f.raise_if(f.b.not_(f.b.and_(integral, single)), TypeError, message)
    return f.b.extract_value(thunk_result(f, "aten::item", [self], NUMBER_TYPE), 1)


# ---- dtypes and devices ----

_FLOATING = tuple(n for n, d in DTYPES.items() if d.is_floating_point)
_COMPLEX = tuple(n for n, d in DTYPES.items() if d.is_complex)


def _is_signed(dtype: torch.dtype) -> bool:
    try:
        return dtype.is_signed
    except RuntimeError:  # quantized and bits types do not say
        return True


_UNSIGNED = tuple(n for n, d in DTYPES.items() if not _is_signed(d))
_INTEGRAL = tuple(
    n
    for n, d in DTYPES.items()
    if d in (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool,
             torch.uint16, torch.uint32, torch.uint64)
)  # fmt: skip


def one_of(f: FunctionEmitter, code: ir.Value, codes: Sequence[int]) -> ir.Value:
    """Whether a dtype's number is among ``codes``, as a bool."""
    found: ir.Value = ir.Constant(I1, 0)
    for known in codes:
        found = f.b.or_(found, f.b.icmp_unsigned("==", code, ir.Constant(I8, known)))
    return boolean(f.b, found)


@lower("dtype::is_floating_point")
def dtype_is_floating_point(f: FunctionEmitter, node: Node, self: ir.Value) -> ir.Value:
    """``self.is_floating_point``."""
    return one_of(f, self, _FLOATING)


@lower("dtype::is_complex")
def dtype_is_complex(f: FunctionEmitter, node: Node, self: ir.Value) -> ir.Value:
    """``self.is_complex``."""
    return one_of(f, self, _COMPLEX)


@lower("dtype::is_signed")
def dtype_is_signed(f: FunctionEmitter, node: Node, self: ir.Value) -> ir.Value:
    """``self.is_signed``."""
    return f.b.xor(one_of(f, self, _UNSIGNED), ir.Constant(I8, 1))


@lower("dtype::itemsize")
def dtype_itemsize(f: FunctionEmitter, node: Node, self: ir.Value) -> ir.Value:
    """``self.itemsize``."""
    size = f.unit.external("aoti_torch_dtype_element_size", I64, [I32])
    return f.b.call(size, [f.b.zext(self, I32)])


@lower("device::index")
def device_index(f: FunctionEmitter, node: Node, self: ir.Value) -> ir.Value:
    """The index, or None."""
    index = f.b.ashr(self, ir.Constant(I16, 8))
    there = boolean(f.b, f.b.icmp_signed(">=", index, ir.Constant(I16, 0)))
    wide = f.b.sext(index, I64)
    return make_struct(f.b, ir.LiteralStructType([I8, I64]), [there, wide])


@lower("device::type")
def device_type(f: FunctionEmitter, node: Node, self: ir.Value) -> ir.Value:
    """The type's name, an immortal str of the descriptor."""
    names = tensors.load(f.b, f.unit.descriptor(T.DEVICE), PTR, objects.DESC_MEMBERS)
    kind = f.b.zext(f.b.and_(self, ir.Constant(I16, 0xFF)), I64)
    return f.b.load(tensors.byte_gep(f.b, names, f.b.mul(kind, ir.Constant(I64, 8))), typ=PTR)


@lower("dtype::str", "device::str", raw=True)
def code_str(f: FunctionEmitter, node: Node) -> object:
    """``str(self)``."""
    (source,) = node.inputs
    place = f.spill(f.values[source])
    f.native_call("sm_slot_str", [place, f.unit.descriptor(source.type)], node.outputs)
    return DEFINED


@lower("device::make", "device::make_index", raw=True)
def device_make(f: FunctionEmitter, node: Node) -> ir.Value:
    """``torch.device(...)`` of constants."""
    if not all(v.is_constant for v in node.inputs):
        raise not_built(node, "no native code for a device whose name is not constant yet")
    device = torch.device(*(v.constant for v in node.inputs))
    return ir.Constant(I16, device_code(device))


# ---- thread state ----


@lower("torch::is_grad_enabled")
def is_grad_enabled(f: FunctionEmitter, node: Node) -> ir.Value:
    """Whether operations are recorded on the tape."""
    return boolean(f.b, f.b.call(f.unit.external(IS_GRAD_ENABLED, I1, []), []))


@lower("torch::guard_grad_mode")
def guard_grad_mode(f: FunctionEmitter, node: Node) -> None:
    """Nothing here: the function's error path does it."""


@lower("torch::set_grad_enabled")
def set_grad_enabled(f: FunctionEmitter, node: Node, mode: ir.Value) -> None:
    """Switch recording on or off for this thread."""
    function = f.unit.external(SET_GRAD_ENABLED, ir.VoidType(), [I1])
    f.b.call(function, [f.b.trunc(mode, I1)])


@lower("torch::is_autocast_enabled", raw=True)
def is_autocast_enabled(f: FunctionEmitter, node: Node) -> ir.Value:
    """Whether autocast is on for a constant device type."""
    (name,) = node.inputs
    if not name.is_constant or name.constant not in DEVICE_NAMES:
        raise not_built(node, "no native code for a device type that is not constant yet")
    function = f.unit.external(IS_AUTOCAST_ENABLED, I1, [I8])
    return boolean(f.b, f.b.call(function, [ir.Constant(I8, DEVICE_NAMES.index(name.constant))]))


def _device_type(node: Node) -> ir.Constant:
    """The number of the constant device type that a node is about."""
    name = node.inputs[0]
    if not name.is_constant or name.constant not in DEVICE_NAMES:
        raise not_built(node, "no native code for a device type that is not constant yet")
    return ir.Constant(I8, DEVICE_NAMES.index(name.constant))


@lower("torch::get_autocast_dtype", raw=True)
def get_autocast_dtype(f: FunctionEmitter, node: Node) -> ir.Value:
    """The dtype that autocast casts to on a device type."""
    return f.b.call(f.unit.external(GET_AUTOCAST_DTYPE, I8, [I8]), [_device_type(node)])


@lower("torch::set_autocast_enabled", raw=True)
def set_autocast_enabled(f: FunctionEmitter, node: Node) -> None:
    """Switch autocast of a device type."""
    function = f.unit.external(SET_AUTOCAST_ENABLED, ir.VoidType(), [I8, I1])
    f.b.call(function, [_device_type(node), f.b.trunc(f.values[node.inputs[1]], I1)])


@lower("torch::set_autocast_dtype", raw=True)
def set_autocast_dtype(f: FunctionEmitter, node: Node) -> None:
    """Say what autocast casts to on a device type."""
    function = f.unit.external(SET_AUTOCAST_DTYPE, ir.VoidType(), [I8, I8])
    f.b.call(function, [_device_type(node), f.values[node.inputs[1]]])


@lower("torch::is_autocast_cache_enabled")
def is_autocast_cache_enabled(f: FunctionEmitter, node: Node) -> ir.Value:
    """Whether autocast keeps casts of weights."""
    return boolean(f.b, f.b.call(f.unit.external(IS_AUTOCAST_CACHE_ENABLED, I1, []), []))


@lower("torch::set_autocast_cache_enabled")
def set_autocast_cache_enabled(f: FunctionEmitter, node: Node, enabled: ir.Value) -> None:
    """Say whether autocast keeps casts of weights."""
    function = f.unit.external(SET_AUTOCAST_CACHE_ENABLED, ir.VoidType(), [I1])
    f.b.call(function, [f.b.trunc(enabled, I1)])


@lower("torch::set_autocast_nesting", raw=True)
def set_autocast_nesting(f: FunctionEmitter, node: Node) -> None:
    """One region of autocast more or less."""
    (change,) = node.inputs
    if change.constant > 0:
        f.b.call(f.unit.external(INCREMENT_NESTING, I32, []), [])
        return
    left = f.b.call(f.unit.external(DECREMENT_NESTING, I32, []), [])
    with f.b.if_then(f.b.icmp_signed("==", left, ir.Constant(I32, 0))):
        f.b.call(f.unit.external(CLEAR_AUTOCAST_CACHE, ir.VoidType(), []), [])


@lower("torch::enter_inference_mode", raw=True)
def enter_inference_mode(f: FunctionEmitter, node: Node) -> ir.Value:
    """Begin inference mode; Python holds the guard."""
    return call_python(f, node, tensor_ops.enter_inference_mode)


@lower("torch::leave_inference_mode", raw=True)
def leave_inference_mode(f: FunctionEmitter, node: Node) -> None:
    """End inference mode."""
    call_python(f, node, tensor_ops.leave_inference_mode)


@lower("torch::get_default_dtype")
def get_default_dtype(f: FunctionEmitter, node: Node) -> ir.Value:
    """The dtype of new floating-point tensors."""
    return f.b.call(f.unit.external(GET_DEFAULT_DTYPE, I8, []), [])


@lower("torch::is_inference_mode_enabled")
def is_inference_mode_enabled(f: FunctionEmitter, node: Node) -> ir.Value:
    """Whether inference mode is on."""
    return boolean(f.b, f.b.call(f.unit.external(IS_INFERENCE_MODE, I1, []), []))
