"""Which ATen op, or which handler, stands behind a Python callable of torch.

Builtins (``torch.add``, ``torch._C._nn.gelu``, ``torch.linalg.inv``) are called as ATen's op of
their name.  Functions that torch writes in Python and that end in one ATen op have a handler here;
all others are compiled from their source by the script front end.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from scriptmode.frontend import conversion as C
from scriptmode.frontend import factories, overloads
from scriptmode.frontend.methods import METHODS, NONE, Handler, bind, tensor, varargs
from scriptmode.frontend.operands import ConstOperand, Operand, SequenceOperand, ValueOperand
from scriptmode.frontend.signatures import aten_names, signatures
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import YIELD, Value

FUNCTIONS: dict[Any, Handler] = {}
PYTHON_METHODS: dict[str, Handler] = {}

_C: Any = torch._C  # whose stubs lack some of the modules
_MODULES = (
    _C._VariableFunctions, _C._nn, _C._linalg, _C._fft, _C._special, _C._sparse, _C._nested,
)  # fmt: skip
_BUILTINS: dict[Any, str] = {
    f: name
    for module in _MODULES
    for name in dir(module)
    if isinstance(f := getattr(module, name), types.BuiltinFunctionType) and name in aten_names()
}


def function_name(target: Any) -> str | None:
    """Name of the ATen op that a builtin of torch calls."""
    return _BUILTINS.get(target) if isinstance(target, types.BuiltinFunctionType) else None


def function(*targets: Any) -> Callable[[Callable[..., Value]], Callable[..., Value]]:
    """Declare the handler of Python callables."""

    def declare(handler: Callable[..., Value]) -> Callable[..., Value]:
        for target in targets:
            FUNCTIONS[target] = bind(target.__name__, handler)
        return handler

    return declare


def aten(b: Builder, name: str, *args: Any, **kwargs: Any) -> Value:
    """The call of the builtin ``name`` with operands, values or Python constants."""
    items = [C.operand(a) for a in args]
    named = {k: C.operand(v) for k, v in kwargs.items()}
    return overloads.call(b, f"torch.{name}", signatures(name), items, named)


for _target, _handler in factories.FACTORIES.items():
    FUNCTIONS[_target] = _handler


def _of_method(name: str) -> Handler:
    """The handler of a function that is a method with ``input`` for ``self``."""

    def handler(b: Builder, args: Sequence[Operand], kwargs: Mapping[str, Operand]) -> Value:
        kwargs = {("self" if k == "input" else k): v for k, v in kwargs.items()}
        return METHODS[name](b, args, kwargs)

    return handler


for _name in ("numel", "nonzero"):
    FUNCTIONS[getattr(torch, _name)] = _of_method(_name)

_TRUE, _FALSE, _ZERO = ConstOperand(True), ConstOperand(False), ConstOperand(0)
_TWO, _FROBENIUS = ConstOperand(2.0), ConstOperand("fro")
_USE_MM = ConstOperand("use_mm_for_euclid_dist_if_necessary")
_TWO_DIMS, _NO_SIZES = ConstOperand(2), SequenceOperand((), "tuple")
_REFLECT = ConstOperand("reflect")


# ----------------------------------------------------------------------------- split and friends


def _split(
    b: Builder, tensor_: Operand, split_size_or_sections: Operand, dim: Operand = _ZERO
) -> Value:
    if C.type_of(split_size_or_sections) in (T.INT, T.TENSOR):
        size = C.to_value(b, split_size_or_sections, T.INT)
        return aten(b, "split", tensor_, size, dim)
    return aten(b, "split_with_sizes", tensor_, split_size_or_sections, dim)


@function(torch.functional.split)
def _split_function(
    b: Builder, tensor: Operand, split_size_or_sections: Operand, dim: Operand = _ZERO
) -> Value:
    return _split(b, tensor, split_size_or_sections, dim)


def python_method(name: str) -> Callable[[Callable[..., Value]], Callable[..., Value]]:
    """Declare the handler of a Tensor method that torch writes in Python."""

    def declare(handler: Callable[..., Value]) -> Callable[..., Value]:
        PYTHON_METHODS[name] = bind(f"Tensor.{name}", handler)
        return handler

    return declare


@python_method("split")
def _split_method(b: Builder, self: Operand, split_size: Operand, dim: Operand = _ZERO) -> Value:
    return _split(b, self, split_size, dim)


@python_method("unflatten")
def _unflatten(b: Builder, self: Operand, dim: Operand, sizes: Operand) -> Value:
    return aten(b, "unflatten", self, dim, sizes)


# -------------------------------------------------------------------------- variadic functions


def _variadic(name: str, *, unpack_one: bool) -> Callable[..., Value]:
    def run(b: Builder, *tensors: Operand) -> Value:
        if unpack_one and len(tensors) == 1:
            return aten(b, name, tensors[0])
        return aten(b, name, SequenceOperand(tuple(tensors), "tuple"))

    return run


for _name in ("broadcast_tensors", "block_diag", "cartesian_prod"):
    function(getattr(torch, _name))(_variadic(_name, unpack_one=False))
for _name in ("atleast_1d", "atleast_2d", "atleast_3d"):
    function(getattr(torch, _name))(_variadic(_name, unpack_one=True))


@function(torch.functional.meshgrid)
def _meshgrid(b: Builder, *tensors: Operand, indexing: Operand = NONE) -> Value:
    whole = varargs(tensors)
    return aten(b, "meshgrid", whole, **({} if C.is_none(indexing) else {"indexing": indexing}))


@function(torch.functional.chain_matmul)
def _chain_matmul(b: Builder, *matrices: Operand, out: Operand = NONE) -> Value:
    return aten(b, "chain_matmul", SequenceOperand(tuple(matrices), "tuple"), out=out)


@function(torch.functional.einsum)
def _einsum(b: Builder, *args: Operand) -> Value:
    if not args or C.type_of(args[0]) != T.STR:
        raise C.not_built("einsum with subscript lists is not supported", b.span)
    operands = list(args[1:])
    if len(operands) == 1 and not C.is_tensor(operands[0]):
        return aten(b, "einsum", args[0], operands[0])
    return aten(b, "einsum", args[0], SequenceOperand(tuple(operands), "tuple"))


# ------------------------------------------------------------------------------------- distances

_COMPUTE_MODES = {
    "use_mm_for_euclid_dist_if_necessary": None,
    "use_mm_for_euclid_dist": 1,
    "donot_use_mm_for_euclid_dist": 2,
}


@function(torch.functional.cdist)
def _cdist(
    b: Builder, x1: Operand, x2: Operand, p: Operand = _TWO,
    compute_mode: Operand = _USE_MM,
) -> Value:  # fmt: skip
    mode = C.constant_of(compute_mode)
    if mode not in _COMPUTE_MODES:
        raise C.type_error(f"{mode!r} is not a valid value for compute_mode", b.span)
    return aten(b, "cdist", x1, x2, p, _COMPUTE_MODES[mode])


# ----------------------------------------------------------------------------------------- norms


def _norm(
    b: Builder, input: Operand, p: Operand = _FROBENIUS, dim: Operand = NONE,
    keepdim: Operand = _FALSE, out: Operand = NONE, dtype: Operand = NONE,
) -> Value:  # fmt: skip
    """``torch.norm`` of a strided tensor."""
    order = C.constant_of(p)
    count = _count(dim)
    if isinstance(order, str):
        if order == "fro" and (count is None or count <= 2):
            return aten(b, "linalg_vector_norm", input, 2, dim, keepdim, dtype=dtype, out=out)
        if C.is_none(dim):
            stop = b.op("tensor::ndim", tensor(b, input))
            dims = b.op("list::range", b.constant(0), stop, b.constant(1))
            dim = ValueOperand(dims)
        if isinstance(count, int) and C.type_of(dim) == T.INT:
            dim = SequenceOperand((dim,), "list")
        return aten(b, "linalg_matrix_norm", input, p, dim, keepdim, dtype=dtype, out=out)
    if order is None:
        p = ConstOperand(2.0)
    return aten(b, "linalg_vector_norm", input, p, dim, keepdim, dtype=dtype, out=out)


def _count(dim: Operand) -> int | None:
    if C.type_of(dim) == T.INT:
        return 1
    types_ = C.item_types(dim)
    return None if types_ is None else len(types_)


function(torch.functional.norm)(_norm)


@python_method("norm")
def _norm_method(
    b: Builder, self: Operand, p: Operand = _FROBENIUS, dim: Operand = NONE,
    keepdim: Operand = _FALSE, dtype: Operand = NONE,
) -> Value:  # fmt: skip
    return _norm(b, self, p, dim, keepdim, dtype=dtype)


# ---------------------------------------------------------------------------------------- unique


def _static_flag(b: Builder, name: str, item: Operand) -> bool:
    value = C.constant_of(item)
    if not isinstance(value, bool):
        raise C.type_error(f"`{name}` must be a constant: it decides the result's type", b.span)
    return value


def _chosen(b: Builder, whole: Value, inverse: bool, counts: bool) -> Value:
    wanted = [0] + [1] * inverse + [2] * counts
    values = [b.tuple_index(whole, i) for i in wanted]
    return values[0] if len(values) == 1 else b.tuple(values)


def _unique(
    b: Builder, input: Operand, sorted: Operand = _TRUE, return_inverse: Operand = _FALSE,
    return_counts: Operand = _FALSE, dim: Operand = NONE,
) -> Value:  # fmt: skip
    inverse = _static_flag(b, "return_inverse", return_inverse)
    counts = _static_flag(b, "return_counts", return_counts)
    flags = {"sorted": sorted, "return_inverse": inverse, "return_counts": counts}
    if C.is_none(dim):
        whole = aten(b, "_unique2", input, **flags)
    else:
        whole = aten(b, "unique_dim", input, dim, **flags)
    return _chosen(b, whole, inverse, counts)


def _unique_consecutive(
    b: Builder, input: Operand, return_inverse: Operand = _FALSE,
    return_counts: Operand = _FALSE, dim: Operand = NONE,
) -> Value:  # fmt: skip
    inverse = _static_flag(b, "return_inverse", return_inverse)
    counts = _static_flag(b, "return_counts", return_counts)
    whole = aten(
        b, "unique_consecutive", input, return_inverse=inverse, return_counts=counts, dim=dim
    )
    return _chosen(b, whole, inverse, counts)


function(torch.functional.unique)(_unique)
function(torch.functional.unique_consecutive)(_unique_consecutive)


def _as_method(handler: Callable[..., Value]) -> Callable[..., Value]:
    def run(b: Builder, self: Operand, *args: Operand, **kwargs: Operand) -> Value:
        return bind("unique", handler)(b, [self, *args], kwargs)

    return run


python_method("unique")(_as_method(_unique))
python_method("unique_consecutive")(_as_method(_unique_consecutive))


# ------------------------------------------------------------------------------- decompositions


def _lu(
    b: Builder, A: Operand, pivot: Operand = _TRUE, get_infos: Operand = _FALSE,
    out: Operand = NONE,
) -> Value:  # fmt: skip
    if not C.is_none(out):
        raise C.not_built("`torch.lu` with `out` is not supported", b.span)
    infos = _static_flag(b, "get_infos", get_infos)
    whole = aten(b, "_lu_with_info", A, pivot=pivot, check_errors=not infos)
    return whole if infos else b.tuple([b.tuple_index(whole, i) for i in range(2)])


function(torch.functional.lu)(_lu)


@python_method("lu")
def _lu_method(
    b: Builder, self: Operand, pivot: Operand = _TRUE, get_infos: Operand = _FALSE
) -> Value:
    infos = _static_flag(b, "get_infos", get_infos)
    whole = aten(b, "_lu_with_info", self, pivot=pivot, check_errors=not infos)
    return b.tuple([b.tuple_index(whole, i) for i in range(3 if infos else 2)])


@function(torch.functional.tensordot)
def _tensordot(
    b: Builder, a: Operand, b_: Operand = NONE, dims: Operand = _TWO_DIMS,
    out: Operand = NONE, **kwargs: Operand,
) -> Value:  # fmt: skip
    right = kwargs.get("b", b_)
    count = C.constant_of(dims)
    if isinstance(count, int):
        pairs: Sequence[Any] = (list(range(-count, 0)), list(range(count)))
    else:
        found = C.items_of(b, dims)
        if found is None or len(found) != 2:
            message = "the `dims` of tensordot must be a constant int or a pair of lists"
            raise C.type_error(message, b.span)
        pairs = found
    return aten(b, "tensordot", a, right, *pairs, out=out)


# ------------------------------------------------------------------------------- Fourier transform


def _stft(
    b: Builder, input: Operand, n_fft: Operand, hop_length: Operand = NONE,
    win_length: Operand = NONE, window: Operand = NONE, center: Operand = _TRUE,
    pad_mode: Operand = _REFLECT, normalized: Operand = _FALSE, onesided: Operand = NONE,
    return_complex: Operand = NONE, align_to_window: Operand = NONE,
) -> Value:  # fmt: skip
    signal = tensor(b, input)
    centered = C.constant_of(center)
    if centered is True and not C.is_none(align_to_window):
        message = "stft align_to_window should only be set when center = false"
        raise C.type_error(message, b.span)
    if centered is C.NOT_CONSTANT:
        if not C.is_none(align_to_window):
            raise C.not_built("stft with `align_to_window` and a variable `center`", b.span)
        node = b.if_node(C.to_value(b, center, T.BOOL))
        with b.at(node.blocks[0]):
            b.node(YIELD, [_padded_signal(b, signal, n_fft, pad_mode)])
        with b.at(node.blocks[1]):
            b.node(YIELD, [signal])
        signal = node.add_output(T.TENSOR)
    elif centered:
        signal = _padded_signal(b, signal, n_fft, pad_mode)
    return aten(
        b, "stft", signal, n_fft, hop_length, win_length, window, normalized, onesided,
        return_complex, align_to_window,
    )  # fmt: skip


def _padded_signal(b: Builder, signal: Value, n_fft: Operand, mode: Operand) -> Value:
    """Half a window on both sides, as a signal of three dimensions is padded."""
    rank = b.op("tensor::ndim", signal)
    ones = b.list([b.constant(1)], T.INT)
    missing = b.op("list::repeat", ones, b.op("int::sub", b.constant(3), rank))
    sizes = C.as_list(b, b.op("tensor::shape", signal))
    extended = aten(b, "reshape", signal, b.op("list::concat", missing, sizes))
    half = b.op("int::floordiv", C.to_value(b, n_fft, T.INT), b.constant(2))
    padded = aten(b, "pad", extended, [half, half], mode)
    none = b.constant(None)
    sizes = C.as_list(b, b.op("tensor::shape", padded))
    rest = b.op("list::slice", sizes, b.op("int::neg", rank), none, none)
    return aten(b, "reshape", padded, rest)


function(torch.functional.stft)(_stft)
python_method("stft")(_stft)


@python_method("istft")
def _istft(b: Builder, self: Operand, *args: Operand, **kwargs: Operand) -> Value:
    return aten(b, "istft", self, *args, **kwargs)


@python_method("to_sparse_coo")
def _to_sparse_coo(b: Builder, self: Operand) -> Value:
    return overloads.call(
        b, "Tensor.to_sparse", signatures("to_sparse", is_method=True), [], {},
        receiver=tensor(b, self),
    )  # fmt: skip


# ----------------------------------------------------------------------------------- tensor types


@function(torch.is_tensor)
def _is_tensor(b: Builder, obj: Operand) -> Value:
    found = C.type_of(obj)
    if found is not None and (found == T.ANY or isinstance(found, (T.OptionalType, T.UnionType))):
        value = C.to_value(b, obj)
        return b.node("prim::isinstance", [value], [T.BOOL], types=(T.TENSOR,)).output
    return b.constant(found == T.TENSOR)


for _target, _kind in {
    torch.is_grad_enabled: "torch::is_grad_enabled",
    torch.get_default_dtype: "torch::get_default_dtype",
    torch.is_inference_mode_enabled: "torch::is_inference_mode_enabled",
}.items():

    def _state(b: Builder, *, _kind: str = _kind) -> Value:
        return b.op(_kind)

    function(_target)(_state)


@function(torch.Size)
def _size(b: Builder, sizes: Operand = _NO_SIZES) -> Value:
    return b.op("size::from_list", C.convert(b, T.ListType([T.INT]), sizes))


@function(torch.device)
def _device(b: Builder, type: Operand, index: Operand = NONE) -> Value:
    constants = [C.constant_of(type), C.constant_of(index)]
    if C.NOT_CONSTANT not in constants:
        return b.constant(torch.device(*[c for c in constants if c is not None]), T.DEVICE)
    if C.type_of(type) == T.DEVICE:
        return C.to_value(b, type)
    kind = C.to_value(b, type, T.STR)
    if C.is_none(index):
        return b.op("device::make", kind)
    return b.op("device::make_index", kind, C.to_value(b, index, T.INT))
