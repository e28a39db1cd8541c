"""C++ exceptions as a number and a text, without Python.

``i64 aot_cpp_error(exception_ptr, char** text)`` gives the exception up.  The number tells the
class of Python that it stands for (``c_errors.class_of``), the text is from malloc, null without
memory::

    rethrow --> landing pad: c10::X, ..., c10::Error, std::bad_alloc, std::exception or anything
"""

from __future__ import annotations

from llvmlite import ir

from scriptmode.abi.convention import I32, I64, PTR
from scriptmode.codegen import tensors, thunk_support

VOID = ir.VoidType()
NULL = ir.Constant(PTR, None)
NAME = "aot_cpp_error"
_RETHROW = "_ZSt17rethrow_exceptionNSt15__exception_ptr13exception_ptrE"
_RELEASE = "_ZNSt15__exception_ptr13exception_ptr10_M_releaseEv"
_ERROR = "_ZTIN3c105ErrorE"
# type information of C++ classes, most special first -> numbers of c_errors.class_of
_CLASSES = (
    ("_ZTIN3c1010IndexErrorE", 1), ("_ZTIN3c1010ValueErrorE", 2), ("_ZTIN3c109TypeErrorE", 3),
    ("_ZTIN3c1019NotImplementedErrorE", 4), (_ERROR, 0), ("_ZTISt9bad_alloc", 5),
    ("_ZTISt9exception", 0),
)  # fmt: skip
# indexes of virtual functions: of std::exception, and of c10::Error (``what`` of that makes a
# backtrace)
_WHAT = 2
_WITHOUT_BACKTRACE = 3


def define_cpp_error(module: ir.Module) -> None:
    """Define the function in a module."""
    function = ir.Function(module, ir.FunctionType(I64, [PTR, PTR]), NAME)
    thunk_support.use_exceptions(function)
    exception, text = function.args
    b = ir.IRBuilder(function.append_basic_block("entry"))
    cell = tensors.stack_slot(b, 8)
    b.store(exception, cell)
    b.store(NULL, text)
    unwind, unreachable = (function.append_basic_block(n) for n in ("unwind", "unreachable"))
    rethrow = tensors.extern_function(module, _RETHROW, ir.FunctionType(VOID, [PTR]))
    b.invoke(rethrow, [cell], unreachable, unwind)
    b.position_at_end(unreachable)
    b.unreachable()
    b.position_at_end(unwind)
    _catch(function, b, cell, text)


def _catch(function: ir.Function, b: ir.IRBuilder, cell: ir.Value, text: ir.Value) -> None:
    module = function.module
    pad = b.landingpad(thunk_support.LANDING_TYPE)
    known = [(tensors.address(tensors.extern_global(module, n, I64)), n, k) for n, k in _CLASSES]
    for place, _, _ in known:
        pad.add_clause(ir.CatchClause(place))
    pad.add_clause(ir.CatchClause(NULL))
    selector = b.extract_value(pad, 1)
    caught = thunk_support.call(b, "__cxa_begin_catch", b.extract_value(pad, 0))
    type_id = tensors.extern_function(module, "llvm.eh.typeid.for.p0", ir.FunctionType(I32, [PTR]))
    for place, name, number in known:
        with b.if_then(b.icmp_signed("==", selector, b.call(type_id, [place]))):
            is_torch = name.startswith("_ZTIN3c10")
            words = _virtual_what(b, caught, _WITHOUT_BACKTRACE if is_torch else _WHAT)
            _end(b, cell, text, words, number)
    _end(b, cell, text, None, 0)


def _virtual_what(b: ir.IRBuilder, caught: ir.Value, index: int) -> ir.Value:
    table = tensors.load(b, caught, PTR)
    method = ir.FunctionType(PTR, [PTR]).as_pointer()
    return b.call(tensors.load(b, table, method, 8 * index), [caught])


def _end(
    b: ir.IRBuilder, cell: ir.Value, text: ir.Value, words: ir.Value | None, number: int
) -> None:
    """Copy the words, give the exception up and return."""
    if words is None:
        made = thunk_support.text_constant(b.module, "aot.unknown", "an unknown C++ exception")
        words = tensors.address(made)
    copy = tensors.extern_function(b.module, "strdup", ir.FunctionType(PTR, [PTR]))
    b.store(b.call(copy, [words]), text)
    thunk_support.call(b, "__cxa_end_catch")
    release = tensors.extern_function(b.module, _RELEASE, ir.FunctionType(VOID, [PTR]))
    b.call(release, [cell])
    b.ret(ir.Constant(I64, number))
