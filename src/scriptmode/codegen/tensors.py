"""Native reference counting of tensors and of libtorch's other counted objects.

A counted object starts with its vtable; the next word holds the strong count (low half), the weak
count (high half) and, in the top bit, whether a Python object wraps it.  When that bit is set, the
transitions of the strong count between 1 and 2 keep the Python object alive, and only libtorch may
make them.  The functions here change the count inline where no transition can happen and go
through libtorch's C interface otherwise.

``define_tensor_functions`` emits the functions into a module, ``tensor_function`` refers to one.
"""

from __future__ import annotations

from llvmlite import ir

from scriptmode.abi.convention import I1, I64, PTR

VOID = ir.VoidType()

RETAIN = "sm_tensor_retain"
RELEASE = "sm_tensor_release"
RELEASE_MANY = "sm_release_tensors"
RETAIN_COUNTED = "sm_counted_retain"
RELEASE_COUNTED = "sm_counted_release"
LIVE_TENSORS = "sm_live_tensors"  # debug count of owned tensor references

UNDEFINED = "_ZN3c1019UndefinedTensorImpl10_singletonE"
OPERATOR_NEW = "_Znwm"
OPERATOR_DELETE = "_ZdlPv"
NEW_HANDLE = "aoti_torch_new_tensor_handle"
DELETE_HANDLE = "aoti_torch_delete_tensor_object"

COUNT_OFFSET = 8  # of the counts in a counted object
UNIQUE = (1 << 32) | 1  # one strong reference, no weak ones, no Python object
HAS_PYOBJECT = 1 << 63
# Virtual functions of a counted object, by index in its vtable.
VTABLE_DELETE = 1
VTABLE_RELEASE_RESOURCES = 2
VTABLE_INCREF_PYOBJECT = 3
VTABLE_DECREF_PYOBJECT = 4

SIGNATURES: dict[str, ir.FunctionType] = {
    RETAIN: ir.FunctionType(VOID, [PTR]),
    RELEASE: ir.FunctionType(VOID, [PTR]),
    RELEASE_MANY: ir.FunctionType(VOID, [PTR, I64]),
    RETAIN_COUNTED: ir.FunctionType(VOID, [PTR]),
    RELEASE_COUNTED: ir.FunctionType(VOID, [PTR]),
    OPERATOR_NEW: ir.FunctionType(PTR, [I64]),
    OPERATOR_DELETE: ir.FunctionType(VOID, [PTR]),
    NEW_HANDLE: ir.FunctionType(ir.IntType(32), [PTR, PTR]),
    DELETE_HANDLE: ir.FunctionType(ir.IntType(32), [PTR]),
}


def constant(value: int) -> ir.Constant:
    """An i64 constant, given signed or unsigned."""
    return ir.Constant(I64, value - (1 << 64) if value >= 1 << 63 else value)


def extern_function(module: ir.Module, name: str, ftype: ir.FunctionType) -> ir.Function:
    """Declare the function ``name`` in ``module``, or find it there."""
    found = module.globals.get(name)
    return found if found is not None else ir.Function(module, ftype, name)


def extern_global(module: ir.Module, name: str, gtype: ir.Type) -> ir.GlobalVariable:
    """Declare the global ``name`` in ``module``, or find it there; use ``address`` on it."""
    found = module.globals.get(name)
    return found if found is not None else ir.GlobalVariable(module, gtype, name)


def address(value: ir.Value) -> ir.Value:
    """A global or stack slot as an untyped pointer."""
    return value.bitcast(PTR) if isinstance(value, ir.Constant) else value


def tensor_function(module: ir.Module, name: str) -> ir.Function:
    """Refer to one of the functions of ``SIGNATURES`` from ``module``."""
    return extern_function(module, name, SIGNATURES[name])


def load(builder: ir.IRBuilder, pointer: ir.Value, t: ir.Type, offset: int = 0) -> ir.Value:
    """Load a ``t`` at a byte offset of an untyped pointer."""
    return builder.load(byte_gep(builder, pointer, offset), typ=t)


def store(builder: ir.IRBuilder, value: ir.Value, pointer: ir.Value, offset: int = 0) -> None:
    """Store at a byte offset of an untyped pointer."""
    builder.store(value, byte_gep(builder, pointer, offset))


def byte_gep(builder: ir.IRBuilder, pointer: ir.Value, offset: int | ir.Value) -> ir.Value:
    """An untyped pointer moved by a number of bytes."""
    if isinstance(offset, int):
        if offset == 0:
            return pointer
        offset = ir.Constant(I64, offset)
    return builder.gep(pointer, [offset], inbounds=True, source_etype=ir.IntType(8))


def stack_slot(builder: ir.IRBuilder, size: int, align: int = 8) -> ir.Value:
    """Reserve ``size`` bytes in the entry block of the function; an untyped pointer."""
    with builder.goto_entry_block():
        slot = builder.alloca(ir.ArrayType(ir.IntType(8), size))
        slot.align = align
        slot.type = PTR
        return slot


def count_live(builder: ir.IRBuilder, change: int | ir.Value) -> None:
    """Debug builds: add to the count of owned tensor references."""
    counter = extern_global(builder.module, LIVE_TENSORS, I64)
    amount = ir.Constant(I64, change) if isinstance(change, int) else change
    builder.atomic_rmw("add", counter, amount, "monotonic")


def undefined_tensor(module: ir.Module) -> ir.Value:
    """Address of the undefined tensor, which nobody counts."""
    return address(extern_global(module, UNDEFINED, I64))


def define_tensor_functions(
    module: ir.Module, *, debug: bool = False, linkage: str = "", inline: bool = False
) -> None:
    """Emit the functions into ``module``; ``linkage`` "internal" keeps a private copy."""
    for name, emit in (
        (RETAIN, _emit_retain),
        (RELEASE, _emit_release),
        (RELEASE_MANY, _emit_release_many),
        (RETAIN_COUNTED, _emit_retain_counted),
        (RELEASE_COUNTED, _emit_release_counted),
    ):
        function = tensor_function(module, name)
        function.linkage = linkage
        function.attributes.add("nounwind")
        if inline:
            function.attributes.add("alwaysinline")
        emit(function, debug)


def _count_address(builder: ir.IRBuilder, impl: ir.Value) -> ir.Value:
    return byte_gep(builder, impl, COUNT_OFFSET)


def _strong(builder: ir.IRBuilder, counts: ir.Value) -> ir.Value:
    return builder.and_(counts, constant(0xFFFFFFFF))


def _wrapped(builder: ir.IRBuilder, counts: ir.Value) -> ir.Value:
    return builder.icmp_signed("<", counts, constant(0))


def _exchange_loop(
    function: ir.Function, builder: ir.IRBuilder, impl: ir.Value, slow: ir.Block, change: int
) -> None:
    """Add ``change`` to the strong count, or go to ``slow`` where libtorch has to do it."""
    loop, exchange, done = (
        function.append_basic_block(name) for name in ("loop", "exchange", "done")
    )
    where = _count_address(builder, impl)
    builder.branch(loop)
    builder.position_at_end(loop)
    old = builder.load_atomic(where, "acquire", 8, typ=I64)
    strong, wrapped = _strong(builder, old), _wrapped(builder, old)
    # a wrapped object must not pass between 1 and 2; no object may reach 0 here
    floor_wrapped, floor_plain = (2, 1) if change > 0 else (3, 2)
    floor = builder.select(wrapped, constant(floor_wrapped), constant(floor_plain))
    builder.cbranch(builder.icmp_unsigned(">=", strong, floor), exchange, slow)
    builder.position_at_end(exchange)
    pair = builder.cmpxchg(
        where, old, builder.add(old, constant(change % (1 << 64))), "acq_rel", "monotonic"
    )
    builder.cbranch(builder.extract_value(pair, 1), done, loop)
    builder.position_at_end(done)
    builder.ret_void()


def _begin_unless_undefined(function: ir.Function, debug: bool, change: int) -> ir.IRBuilder:
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    skip = builder.icmp_unsigned("==", function.args[0], undefined_tensor(function.module))
    with builder.if_then(skip):
        builder.ret_void()
    if debug:
        count_live(builder, change)
    return builder


def _emit_retain(function: ir.Function, debug: bool) -> None:
    builder = _begin_unless_undefined(function, debug, 1)
    impl = function.args[0]
    slow = function.append_basic_block("slow")
    cell, handle = stack_slot(builder, 8), stack_slot(builder, 8)
    _exchange_loop(function, builder, impl, slow, 1)
    builder.position_at_end(slow)
    builder.store(impl, cell)
    builder.call(tensor_function(function.module, NEW_HANDLE), [cell, handle])
    # the new handle owns a reference, which is ours once the handle is freed without a destructor
    builder.call(tensor_function(function.module, OPERATOR_DELETE), [load(builder, handle, PTR)])
    builder.ret_void()


def _virtual_call(builder: ir.IRBuilder, target: ir.Value, index: int) -> None:
    vtable = load(builder, target, PTR)
    method_type = ir.FunctionType(VOID, [PTR]).as_pointer()
    builder.call(load(builder, vtable, method_type, 8 * index), [target])


def _delete_if_unique(function: ir.Function, builder: ir.IRBuilder, impl: ir.Value) -> None:
    """Delete an object whose only reference is ours, and return."""
    where = _count_address(builder, impl)
    counts = builder.load_atomic(where, "acquire", 8, typ=I64)
    with builder.if_then(builder.icmp_unsigned("==", counts, constant(UNIQUE))):
        builder.store(constant(0), where)
        _virtual_call(builder, impl, VTABLE_DELETE)
        builder.ret_void()


def _emit_release(function: ir.Function, debug: bool) -> None:
    builder = _begin_unless_undefined(function, debug, -1)
    impl = function.args[0]
    slow = function.append_basic_block("slow")
    _delete_if_unique(function, builder, impl)
    _exchange_loop(function, builder, impl, slow, -1)
    builder.position_at_end(slow)
    handle = builder.call(tensor_function(function.module, OPERATOR_NEW), [constant(8)])
    builder.store(impl, handle)
    builder.call(tensor_function(function.module, DELETE_HANDLE), [handle])
    builder.ret_void()


def _emit_release_many(function: ir.Function, debug: bool) -> None:
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    slots, length = function.args
    with for_range(builder, length) as index:
        place = byte_gep(builder, slots, builder.mul(index, constant(8)))
        impl = load(builder, place, PTR)
        with builder.if_then(builder.icmp_unsigned("!=", impl, ir.Constant(PTR, None))):
            builder.store(ir.Constant(PTR, None), place)
            builder.call(tensor_function(function.module, RELEASE), [impl])
    builder.ret_void()


def _emit_retain_counted(function: ir.Function, debug: bool) -> None:
    """Retain a Generator, Storage or list of libtorch; null is nothing."""
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    target = function.args[0]
    with builder.if_then(builder.icmp_unsigned("==", target, ir.Constant(PTR, None))):
        builder.ret_void()
    where = _count_address(builder, target)
    new = builder.add(builder.atomic_rmw("add", where, constant(1), "monotonic"), constant(1))
    second = builder.icmp_unsigned("==", _strong(builder, new), constant(2))
    with builder.if_then(builder.and_(second, _wrapped(builder, new))):
        _virtual_call(builder, target, VTABLE_INCREF_PYOBJECT)
    builder.ret_void()


def _emit_release_counted(function: ir.Function, debug: bool) -> None:
    """Release a Generator, Storage or list of libtorch; null is nothing."""
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    target = function.args[0]
    with builder.if_then(builder.icmp_unsigned("==", target, ir.Constant(PTR, None))):
        builder.ret_void()
    _delete_if_unique(function, builder, target)
    where = _count_address(builder, target)
    new = builder.sub(builder.atomic_rmw("sub", where, constant(1), "acq_rel"), constant(1))
    strong = _strong(builder, new)
    first = builder.icmp_unsigned("==", strong, constant(1))
    with builder.if_then(builder.and_(first, _wrapped(builder, new))):
        _virtual_call(builder, target, VTABLE_DECREF_PYOBJECT)
    with builder.if_then(builder.icmp_unsigned("==", strong, constant(0))):
        weak_one = constant(1 << 32)
        weak = builder.and_(new, constant(HAS_PYOBJECT - 1))
        with builder.if_then(builder.icmp_unsigned("==", weak, weak_one)):
            _virtual_call(builder, target, VTABLE_DELETE)
            builder.ret_void()
        _virtual_call(builder, target, VTABLE_RELEASE_RESOURCES)
        left = builder.sub(builder.atomic_rmw("sub", where, weak_one, "acq_rel"), weak_one)
        gone = builder.icmp_unsigned("==", builder.and_(left, constant(HAS_PYOBJECT - 1)),
                                     constant(0))  # fmt: skip
        with builder.if_then(gone):
            _virtual_call(builder, target, VTABLE_DELETE)
    builder.ret_void()


class for_range:  # lower case: it reads as a statement
    """``with for_range(builder, n) as index``: a loop over 0..n-1."""

    def __init__(self, builder: ir.IRBuilder, length: ir.Value) -> None:
        self.builder = builder
        self.length = length

    def __enter__(self) -> ir.Value:
        builder = self.builder
        before = builder.block
        self.head = builder.append_basic_block("head")
        body = builder.append_basic_block("body")
        self.end = builder.append_basic_block("end")
        builder.branch(self.head)
        builder.position_at_end(self.head)
        self.index = builder.phi(I64)
        self.index.add_incoming(constant(0), before)
        more: ir.Value = builder.icmp_signed("<", self.index, self.length)
        assert more.type == I1
        builder.cbranch(more, body, self.end)
        builder.position_at_end(body)
        return self.index

    def __exit__(self, *exception: object) -> None:
        builder = self.builder
        self.index.add_incoming(builder.add(self.index, constant(1)), builder.block)
        builder.branch(self.head)
        builder.position_at_end(self.end)
