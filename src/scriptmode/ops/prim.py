"""Structural ops: constants, construction, attributes, types, printing.

Those whose operands are not of fixed types are listed in ``STRUCTURAL`` with their effects and a
description; the verifier and the interpreter know their rules:

``prim::Constant[value=v]() -> T``            immutable values and tensors
``prim::ListConstruct(t...) -> List[t]``      a new list (inputs are subtypes of t)
``prim::VarTupleConstruct(t...)``             a ``Tuple[T, ...]`` or ``Size``
``prim::TupleConstruct(...) -> Tuple/NamedTuple``
``prim::TupleIndex[index=i](t) -> Ti``        i within bounds, not negative
``prim::DictConstruct(k0, v0, k1, ...) -> Dict[k, v]``
``prim::SetConstruct(t...) -> Set[t]``         the elements are added in order
``prim::Global[name=n]() -> T``               a captured mutable Python object, such as a module
``prim::GetAttr[name=n](self) -> T``          of a module or object
``prim::SetAttr[name=n](self, value)``
``prim::CellConstruct(value?) -> Cell[T]``     a variable, bound or not
``prim::CellGet[name=n, is_free?](cell) -> T`` its value; Python's error for ``n`` when it has none
``prim::CellRead(cell) -> T``                  the value of one that is known to be bound
``prim::CellIsBound(cell) -> bool``
``prim::CellSet(cell, value)``
``prim::CreateObject() -> C``                 an instance of a user class, without attributes
``prim::HasAttr[name=n](self) -> bool``       whether an instance has a value for the attribute
``prim::DelAttr[name=n](self)``               AttributeError when it has none
``prim::CellDelete[name=n?](cell)``            ``del n``; with a name, only if bound
``prim::Call[callee=f](args...) -> T``
``prim::Region[callee=f, facts=(...)](...)``   the results of f, by loops of our own; facts are the
                                             dtype, shape, strides of tensors; None for others;
                                             ``reuses``: results that may lie where arguments do
``prim::ToArray(x) -> Array``, ``prim::ToTensor(x) -> Tensor``   copies
``prim::StackArrays(list) -> Tensor``          ``torch.stack`` of a list of arrays
``prim::Fork[callee=f](args...) -> Future[T]``  a call that need not end before the next node
``prim::Defer[callee=f](args...) -> Future[T]`` a call that is made when it is waited for
``prim::Future(value) -> Future[T]``           a future that has its result
``prim::Wait(future) -> T``                    the result of the call, or its error
``prim::IsDone(future) -> bool``               whether a wait would return at once
``prim::is_none(x) -> bool``
``prim::isinstance[types=(...)](x) -> bool``   the dynamic type of a Union, Optional, Any or class;
                                             ``List[t]``, ``Dict[k, v]``, ``Tuple[t, ...]``: any;
                                             exact=True: instances of subclasses do not count
``prim::unchecked_cast(x) -> T``               the front end has proved the type
``prim::checked_cast(x) -> T``                 TypeError unless x (Any, Union, Optional) is a T
``prim::str(x) -> str``, ``prim::repr(x)``, ``prim::format(x, spec)``   any printable type
``prim::eq(a, b) -> bool``                     structural equality of two values of one type
``prim::is(a, b) -> bool``                     identity of heap objects and tensors
``prim::hash(x) -> int``
``prim::ExceptionConstruct(args...) -> Class<E>``  an exception whose ``args`` are these
``prim::class_name(e) -> str``                 ``type(e).__name__`` of an exception
``prim::raise_object(e)``                      raises an exception object
``prim::reraise()``                            a bare ``raise``
``prim::raise[exception=cls](message?)``       a Python exception class, message of type str
``prim::print(...)``                           attributes sep and end; inputs are str
``prim::warn[category=cls, stacklevel=n](message)``
``prim::python_call[function=f](args...) -> T``  host call of a Python function
``prim::retain(x)``, ``prim::release(x)``      inserted by passes/retain_release
"""

from __future__ import annotations

from collections.abc import Mapping

from scriptmode.ops.table import EVERYTHING, Effect

STRUCTURAL: Mapping[str, Effect] = {
    "prim::Constant": Effect.PURE,
    "prim::ListConstruct": Effect.ALLOCATES,
    "prim::VarTupleConstruct": Effect.PURE,
    "prim::TupleConstruct": Effect.PURE,
    "prim::TupleIndex": Effect.PURE,
    "prim::DictConstruct": Effect.ALLOCATES | Effect.RAISES,
    "prim::SetConstruct": Effect.ALLOCATES | Effect.RAISES,
    "prim::Global": Effect.PURE,
    "prim::GetAttr": Effect.READS,
    "prim::SetAttr": Effect.WRITES,
    "prim::CellConstruct": Effect.ALLOCATES,
    "prim::CellGet": Effect.READS | Effect.RAISES,
    "prim::CellRead": Effect.READS,
    "prim::CellIsBound": Effect.READS,
    "prim::CellSet": Effect.WRITES,
    "prim::CellDelete": Effect.READS | Effect.WRITES | Effect.RAISES,
    "prim::CreateObject": Effect.ALLOCATES,
    "prim::HasAttr": Effect.READS,
    "prim::DelAttr": Effect.WRITES | Effect.RAISES,
    "prim::Call": EVERYTHING,
    "prim::Region": Effect.READS | Effect.RAISES | Effect.ALLOCATES,
    "prim::ToArray": Effect.READS,
    "prim::StackArrays": Effect.READS | Effect.RAISES | Effect.ALLOCATES,
    "prim::ToTensor": Effect.ALLOCATES,
    "prim::Fork": EVERYTHING,
    "prim::Defer": Effect.ALLOCATES,
    "prim::Future": Effect.ALLOCATES,
    "prim::Wait": EVERYTHING,
    "prim::IsDone": Effect.READS | Effect.IO,
    "prim::If": Effect.PURE,  # the effects of its blocks count
    "prim::Loop": Effect.PURE,  # likewise
    "prim::Try": Effect.PURE,  # likewise
    "prim::ExceptionConstruct": Effect.ALLOCATES | Effect.RAISES,
    "prim::class_name": Effect.PURE,
    "prim::raise_object": Effect.RAISES | Effect.WRITES,
    "prim::reraise": Effect.RAISES,
    "prim::is_none": Effect.PURE,
    "prim::isinstance": Effect.PURE,
    "prim::unchecked_cast": Effect.PURE,
    "prim::checked_cast": Effect.RAISES,
    "prim::str": Effect.READS | Effect.RAISES,
    "prim::repr": Effect.READS | Effect.RAISES,
    "prim::format": Effect.READS | Effect.RAISES,
    "prim::eq": Effect.READS,
    "prim::is": Effect.PURE,
    "prim::hash": Effect.READS | Effect.RAISES,
    "prim::raise": Effect.RAISES,
    "prim::print": Effect.IO | Effect.RAISES,
    "prim::warn": Effect.IO | Effect.RAISES,
    "prim::python_call": EVERYTHING,
    "prim::retain": Effect.IO,
    "prim::release": Effect.IO,
}
