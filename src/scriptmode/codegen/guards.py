"""Lowerings of guards: what specialised code was compiled for, tested in a few nanoseconds.

``tensor::fits`` compares the words of a TensorImpl with constants and asks libtorch only about
tensors that autograd knows; where the words are not found, the C interface reads them.
``torch::is_plain_state`` looks at the thread's dispatch keys, which autocast and modes change.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence

import torch
from llvmlite import ir

from scriptmode.abi.convention import I1, I8, I16, I32, I64, PTR, ctx_field
from scriptmode.abi.dtypes import DTYPE_NUMBERS
from scriptmode.abi.tensorfields import INLINE_DIMS, MOST_BYTES, fields, inference_key_set
from scriptmode.abi.tensorkeys import key_bit, key_set_offset, plain_key_set
from scriptmode.abi.threadkeys import GET_ADDRESS, thread_keys
from scriptmode.codegen import tensors
from scriptmode.codegen.engine import register_symbol
from scriptmode.codegen.function import IS_GRAD_ENABLED, FunctionEmitter, not_built
from scriptmode.codegen.lowering import lower
from scriptmode.codegen.metadata import GET_DEFAULT_DTYPE, IS_INFERENCE_MODE, REQUIRES_GRAD, query
from scriptmode.codegen.unit import Unit
from scriptmode.codegen.values import boolean, truth
from scriptmode.ir.graph import Node

MOST_DIMS = 12  # of a tensor that a guard may describe
ANY = -1  # a size or stride that is not compared
THREAD_KEYS = "sm_thread_keys"  # what __tls_get_addr takes
_REST = "sm.fits_rest"
_IS_INCLUDED = "_ZN3c104impl28tls_is_dispatch_key_includedENS_11DispatchKeyE"
_IS_EXCLUDED = "_ZN3c104impl31tls_is_dispatch_keyset_excludedENS_14DispatchKeySetE"
_MODE_KEYS = ("Python", "PythonTLSSnapshot", "FuncTorchDynamicLayerFrontMode", "Functionalize")


@lower("tensor::fits", raw=True)
def tensor_fits(f: FunctionEmitter, node: Node) -> ir.Value:
    """Whether a tensor is a plain one of constant dtype, sizes and strides."""
    self = f.values[node.inputs[0]]
    if not all(v.is_constant for v in node.inputs[1:]) or len(node.inputs[2].constant) > MOST_DIMS:
        raise not_built(node, "no native code for a guard that is not constant")
    dtype, shape, strides, records = (v.constant for v in node.inputs[1:])
    return boolean(f.b, fits(f, self, dtype, shape, strides, records=records))


def fits(
    f: FunctionEmitter, self: ir.Value, dtype: torch.dtype, shape: Sequence[int],
    strides: Sequence[int], *, records: bool,
) -> ir.Value:  # fmt: skip
    """Whether a tensor is a plain one of at most ``MOST_DIMS`` dimensions, as described."""
    wanted = DTYPE_NUMBERS[dtype], tuple(shape), tuple(strides)
    if not f.unit.has_libtorch:
        differences = _Differences(f.b)
        _compare_words(f.b, differences, self, *wanted)
        return f.b.icmp_unsigned("==", differences.total, zero())
    if fields() is None:
        differences = _Differences(f.b)
        _compare_by_queries(f, differences, self, *wanted)
        unknown = ir.Constant(I64, 1 if records else 0)  # libtorch is asked
        return _answer(f.unit, f.b, self, differences, unknown)
    if f.has_many_guards:
        return f.b.call(_test_of(f.unit, wanted, records), [self])
    return _compare(f.unit, f.b, self, wanted, records)


Wanted = tuple[int, tuple[int, ...], tuple[int, ...]]  # number of the dtype, sizes, strides


def _test_of(unit: Unit, wanted: Wanted, records: bool) -> ir.Function:
    """``i1 (tensor)``: a guard that many tensors share, outside of a function of many guards."""
    words = (wanted[0], int(records), *wanted[1], "", *wanted[2])
    name = f"sm.fits.{'.'.join(map(str, words))}"
    known = unit.module.globals.get(name)
    if known is not None:
        return known
    function = ir.Function(unit.module, ir.FunctionType(I1, [PTR]), name)
    function.linkage = "internal"
    for attribute in ("nounwind", "noinline"):
        function.attributes.add(attribute)
    b = ir.IRBuilder(function.append_basic_block("entry"))
    b.ret(_compare(unit, b, function.args[0], wanted, records))
    return function


def _compare(
    unit: Unit, b: ir.IRBuilder, self: ir.Value, wanted: Wanted, records: bool
) -> ir.Value:
    differences = _Differences(b)
    meta = _compare_words(b, differences, self, *wanted)
    return _answer(unit, b, self, differences, meta if records else zero())


def _answer(
    unit: Unit, b: ir.IRBuilder, self: ir.Value, differences: _Differences, meta: ir.Value
) -> ir.Value:
    """Whether nothing differs; what is odd, and not simply wrong, is looked at elsewhere."""
    keys = tensors.load(b, self, I64, key_set_offset())
    odd_keys = b.xor(keys, tensors.constant(plain_key_set()))
    fast = b.icmp_unsigned("==", b.or_(b.or_(differences.total, odd_keys), meta), zero())
    start = b.block
    ask, done = (b.function.append_basic_block(name) for name in ("fits.ask", "fits.done"))
    b.cbranch(fast, done, ask)
    b.position_at_end(ask)
    answer = b.call(fits_rest(unit), [self, differences.total, odd_keys, meta])
    b.branch(done)
    b.position_at_end(done)
    phi = b.phi(I1)
    phi.add_incoming(ir.Constant(I1, 1), start)
    phi.add_incoming(answer, ask)
    return phi


def zero() -> ir.Constant:
    """The word 0."""
    return ir.Constant(I64, 0)


class _Differences:
    """The bits in which words differ from what they should be, together."""

    def __init__(self, b: ir.IRBuilder) -> None:
        self.b = b
        self.total: ir.Value = zero()

    def add(self, word: ir.Value, wanted: int) -> None:
        """Compare one more word; ``ANY`` fits all."""
        if wanted == ANY:
            return
        if word.type != I64:
            word = self.b.zext(word, I64)
        self.total = self.b.or_(self.total, self.b.xor(word, tensors.constant(wanted)))


def _compare_words(
    b: ir.IRBuilder, differences: _Differences, self: ir.Value, dtype: int,
    shape: Sequence[int], strides: Sequence[int],
) -> ir.Value:  # fmt: skip
    """Compare what lies in the TensorImpl; what autograd knows of the tensor."""
    found = fields()
    assert found is not None
    count = len(shape)
    differences.add(tensors.load(b, self, I16, found.dtype), dtype)
    dims = tensors.load(b, self, I64, found.sizes)
    differences.add(dims, count)
    place, gap = tensors.byte_gep(b, self, found.sizes + 8), INLINE_DIMS
    if count > INLINE_DIMS:
        # the pointer is one only if the number of dimensions is right; the tensor can be read
        assert 16 * MOST_DIMS <= MOST_BYTES
        outside = b.load(place, typ=PTR)
        fits = b.icmp_unsigned("==", dims, ir.Constant(I64, count))
        place, gap = b.select(fits, outside, self), count
    for i, wanted in _words_of(shape, strides, gap):
        differences.add(tensors.load(b, place, I64, 8 * i), wanted)
    return tensors.load(b, self, I64, found.meta)


def _words_of(shape: Sequence[int], strides: Sequence[int], gap: int) -> Iterator[tuple[int, int]]:
    yield from enumerate(shape)
    for i, stride in enumerate(strides):
        yield gap + i, stride


def _compare_by_queries(
    f: FunctionEmitter, differences: _Differences, self: ir.Value, dtype: int,
    shape: Sequence[int], strides: Sequence[int],
) -> None:  # fmt: skip
    """Compare what the C interface tells."""
    differences.add(query(f, "dtype", self, I32), dtype)
    dims = query(f, "dim", self, I64)
    differences.add(dims, len(shape))
    fits = f.b.icmp_signed("==", dims, ir.Constant(I64, len(shape)))
    for name, wanted in (("sizes", shape), ("strides", strides)):
        # a tensor of other dimensions has other words, which can be read all the same
        place = f.b.select(fits, query(f, name, self, PTR), self)
        for i, word in enumerate(wanted):
            differences.add(tensors.load(f.b, place, I64, 8 * i), word)


def fits_rest(unit: Unit) -> ir.Function:
    """What ``tensor::fits`` does for a tensor that is not simply as wanted.

    ``i1 (tensor, differences, bits of odd keys, what autograd knows)``: nothing may differ; the
    keys may be those of inference mode while it is on; and nothing may be there to record.
    """
    known = unit.module.globals.get(_REST)
    if known is not None:
        return known
    function = ir.Function(unit.module, ir.FunctionType(I1, [PTR, I64, I64, I64]), _REST)
    function.linkage = "internal"
    for attribute in ("nounwind", "noinline"):
        function.attributes.add(attribute)
    b = ir.IRBuilder(function.append_basic_block("entry"))
    tensor, differences, odd_keys, meta = function.args
    false, true = ir.Constant(I1, 0), ir.Constant(I1, 1)
    with b.if_then(b.icmp_unsigned("!=", differences, zero())):
        b.ret(false)
    with b.if_then(b.icmp_unsigned("!=", odd_keys, zero())):
        expected = tensors.constant(plain_key_set() ^ inference_key_set())
        with b.if_then(b.icmp_unsigned("!=", odd_keys, expected)):
            b.ret(false)
        with b.if_then(b.not_(b.call(unit.external(IS_INFERENCE_MODE, I1, []), []))):
            b.ret(false)
    with b.if_then(b.icmp_unsigned("==", meta, zero())):
        b.ret(true)
    with b.if_then(b.not_(b.call(unit.external(IS_GRAD_ENABLED, I1, []), []))):
        b.ret(true)
    b.ret(b.not_(b.call(unit.external(REQUIRES_GRAD, I1, [PTR]), [tensor])))
    return function


@lower("torch::is_plain_state", raw=True)
def is_plain_state(f: FunctionEmitter, node: Node) -> ir.Value:
    """Whether nothing in this thread changes what ops do."""
    b = f.b
    plain = _has_plain_keys(f)
    levels = b.load(ctx_field(b, f.ctx, "dual_levels"), typ=I64)
    plain = b.and_(plain, b.icmp_unsigned("==", levels, zero()))
    needs_no_grad, default_dtype = node.inputs
    scalar_type = b.call(f.unit.external(GET_DEFAULT_DTYPE, I8, []), [])
    plain = b.and_(plain, b.icmp_unsigned("==", scalar_type, f.values[default_dtype]))
    if not (needs_no_grad.is_constant and not needs_no_grad.constant):
        is_off = b.not_(b.call(f.unit.external(IS_GRAD_ENABLED, I1, []), []))
        plain = b.and_(plain, b.or_(is_off, b.not_(truth(b, f.values[needs_no_grad]))))
    return boolean(b, plain)


def _has_plain_keys(f: FunctionEmitter) -> ir.Value:
    """Whether the thread includes and excludes the dispatch keys that all do, or inference mode."""
    b, keys = f.b, thread_keys()
    if keys is None:
        return _has_plain_keys_by_queries(f)
    register_symbol(THREAD_KEYS, ctypes.addressof(keys.index))
    index = tensors.address(tensors.extern_global(f.unit.module, THREAD_KEYS, I64))
    words = b.call(f.unit.external(GET_ADDRESS, PTR, [PTR]), [index])
    included, excluded = (tensors.load(b, words, I64, at) for at in (0, 8))
    plain = b.icmp_unsigned("==", b.or_(included, excluded), zero())
    odd = [
        b.xor(word, tensors.constant(wanted))
        for word, wanted in zip((included, excluded), keys.inference, strict=True)
    ]
    return b.or_(plain, b.icmp_unsigned("==", b.or_(*odd), zero()))


def _has_plain_keys_by_queries(f: FunctionEmitter) -> ir.Value:
    b = f.b
    excluded = f.unit.external(_IS_EXCLUDED, I1, [I64])
    plain = b.call(excluded, [tensors.constant(key_bit("AutocastCPU"))])
    included = f.unit.external(_IS_INCLUDED, I1, [I32])
    for name in _MODE_KEYS:
        number = ir.Constant(I32, int(getattr(torch._C.DispatchKey, name)))
        plain = b.and_(plain, b.not_(b.call(included, [number])))
    return plain
