"""CPython's C API and torch's Python wrappers, as the native dialect calls them."""

from __future__ import annotations

from scriptmode.abi import python as layout
from scriptmode.codegen.native import (
    atomic_add,
    cell,
    extern,
    external,
    f64,
    i8,
    i32,
    i64,
    load,
    native,
    ptr,
)
from scriptmode.runtime.frame import STATE_DEBUG

OB_TYPE = layout.OB_TYPE
OB_SIZE = layout.OB_SIZE
FLOAT_VALUE = layout.FLOAT_VALUE
LIST_ITEMS = layout.LIST_ITEMS
TUPLE_ITEMS = layout.TUPLE_ITEMS
PYDEQUE_STATE = layout.PYDEQUE_STATE
PYSET_FILL = layout.PYSET_FILL
PYSET_USED = layout.PYSET_USED
PYSET_MASK = layout.PYSET_MASK
PYSET_TABLE = layout.PYSET_TABLE
PYSET_FINGER = layout.PYSET_FINGER
PYSET_ENTRY = layout.PYSET_ENTRY
PYSET_ENTRY_HASH = layout.PYSET_ENTRY_HASH
DEFAULT_FACTORY = layout.DEFAULT_FACTORY
THP_TENSOR = layout.THP_TENSOR
THP_DEVICE = layout.THP_DEVICE
THP_GENERATOR = layout.THP_GENERATOR
CDATA_POINTER = layout.CDATA_POINTER

Py_IncRef = extern("Py_IncRef", None, ptr)
Py_DecRef = extern("Py_DecRef", None, ptr)  # null is allowed

PyGILState_Ensure = extern("PyGILState_Ensure", i32)
PyGILState_Release = extern("PyGILState_Release", None, i32)

NONE = external("_Py_NoneStruct")
TRUE = external("_Py_TrueStruct")
FALSE = external("_Py_FalseStruct")
LONG_TYPE = external("PyLong_Type")
FLOAT_TYPE = external("PyFloat_Type")
BOOL_TYPE = external("PyBool_Type")
COMPLEX_TYPE = external("PyComplex_Type")
UNICODE_TYPE = external("PyUnicode_Type")
LIST_TYPE = external("PyList_Type")
TUPLE_TYPE = external("PyTuple_Type")
DICT_TYPE = external("PyDict_Type")
RANGE_TYPE = external("PyRange_Type")
SET_DUMMY = external("_PySet_Dummy")

PyLong_AsLongLongAndOverflow = extern("PyLong_AsLongLongAndOverflow", i64, ptr, ptr)
PyLong_FromLongLong = extern("PyLong_FromLongLong", ptr, i64)
PyLong_AsVoidPtr = extern("PyLong_AsVoidPtr", ptr, ptr)
PyLong_FromVoidPtr = extern("PyLong_FromVoidPtr", ptr, ptr)
PyFloat_AsDouble = extern("PyFloat_AsDouble", f64, ptr)
PyFloat_FromDouble = extern("PyFloat_FromDouble", ptr, f64)
PyComplex_RealAsDouble = extern("PyComplex_RealAsDouble", f64, ptr)
PyComplex_ImagAsDouble = extern("PyComplex_ImagAsDouble", f64, ptr)
PyComplex_FromDoubles = extern("PyComplex_FromDoubles", ptr, f64, f64)
PyUnicode_GetLength = extern("PyUnicode_GetLength", i64, ptr)
PyUnicode_AsUCS4 = extern("PyUnicode_AsUCS4", ptr, ptr, ptr, i64, i32)
PyUnicode_FromKindAndData = extern("PyUnicode_FromKindAndData", ptr, i32, ptr, i64)
PyUnicode_New = extern("PyUnicode_New", ptr, i64, i32)
PyUnicode_Compare = extern("PyUnicode_Compare", i32, ptr, ptr)
PyUnicode_DecodeUTF8 = extern("PyUnicode_DecodeUTF8", ptr, ptr, i64, ptr)
PyUnicode_DecodeFSDefault = extern("PyUnicode_DecodeFSDefault", ptr, ptr)
PyList_New = extern("PyList_New", ptr, i64)
PyList_SetItem = extern("PyList_SetItem", i32, ptr, i64, ptr)
PyList_SetSlice = extern("PyList_SetSlice", i32, ptr, i64, i64, ptr)
PyTuple_New = extern("PyTuple_New", ptr, i64)
PyTuple_SetItem = extern("PyTuple_SetItem", i32, ptr, i64, ptr)
PySet_New = extern("PySet_New", ptr, ptr)
PyFrozenSet_New = extern("PyFrozenSet_New", ptr, ptr)
PySet_Clear = extern("PySet_Clear", i32, ptr)
PyMem_Malloc = extern("PyMem_Malloc", ptr, i64)
PySequence_List = extern("PySequence_List", ptr, ptr)
PyBytes_AsString = extern("PyBytes_AsString", ptr, ptr)
PyBytes_FromStringAndSize = extern("PyBytes_FromStringAndSize", ptr, ptr, i64)
PyObject_GetAttrString = extern("PyObject_GetAttrString", ptr, ptr, ptr)
PyObject_SetItem = extern("PyObject_SetItem", i32, ptr, ptr, ptr)
PyDict_New = extern("PyDict_New", ptr)
PyDict_Next = extern("PyDict_Next", i32, ptr, ptr, ptr, ptr)
PyDict_Size = extern("PyDict_Size", i64, ptr)
PyDict_SetItem = extern("PyDict_SetItem", i32, ptr, ptr, ptr)
PyDict_Clear = extern("PyDict_Clear", None, ptr)
PyDict_Update = extern("PyDict_Update", i32, ptr, ptr)
PyDict_DelItem = extern("PyDict_DelItem", i32, ptr, ptr)
PyDict_GetItemWithError = extern("PyDict_GetItemWithError", ptr, ptr, ptr)
PyObject_Call = extern("PyObject_Call", ptr, ptr, ptr, ptr)
PyObject_CallFunctionObjArgs = extern("PyObject_CallFunctionObjArgs", ptr, ptr, variadic=True)
PyObject_GenericGetDict = extern("PyObject_GenericGetDict", ptr, ptr, ptr)
PyObject_GenericGetAttr = extern("PyObject_GenericGetAttr", ptr, ptr, ptr)
PyObject_GenericSetAttr = extern("PyObject_GenericSetAttr", i32, ptr, ptr, ptr)
PyCapsule_New = extern("PyCapsule_New", ptr, ptr, ptr, ptr)
PyCapsule_GetPointer = extern("PyCapsule_GetPointer", ptr, ptr, ptr)
PyCapsule_IsValid = extern("PyCapsule_IsValid", i32, ptr, ptr)
PyType_IsSubtype = extern("PyType_IsSubtype", i32, ptr, ptr)
PyErr_Occurred = extern("PyErr_Occurred", ptr)
PyErr_NoMemory = extern("PyErr_NoMemory", ptr)
PyErr_Clear = extern("PyErr_Clear", None)
PyErr_Fetch = extern("PyErr_Fetch", None, ptr, ptr, ptr)
PyErr_Restore = extern("PyErr_Restore", None, ptr, ptr, ptr)
PyErr_NormalizeException = extern("PyErr_NormalizeException", None, ptr, ptr, ptr)
PyErr_SetObject = extern("PyErr_SetObject", None, ptr, ptr)
PyErr_Print = extern("PyErr_Print", None)
PyErr_CheckSignals = extern("PyErr_CheckSignals", i32)
PyException_SetTraceback = extern("PyException_SetTraceback", i32, ptr, ptr)
PyEval_SaveThread = extern("PyEval_SaveThread", ptr)
PyEval_RestoreThread = extern("PyEval_RestoreThread", None, ptr)
PyThreadState_Get = extern("PyThreadState_Get", ptr)
PyThreadState_GetID = extern("PyThreadState_GetID", i64, ptr)

THPVariable_Wrap = extern(layout.WRAP_TENSOR, ptr, ptr)
THPVariable_Wrap_move = extern(layout.WRAP_TENSOR_MOVE, ptr, ptr)
THPDevice_New = extern(layout.WRAP_DEVICE, ptr, ptr)
THPGenerator_Wrap = extern(layout.WRAP_GENERATOR, ptr, ptr)
any_dispatch_mode = extern(layout.ANY_DISPATCH_MODE, i8, i8)
function_modes = extern(layout.FUNCTION_MODES, i64)
functorch_stack = extern(layout.FUNCTORCH_STACK, ptr)

UNDEFINED = external("_ZN3c1019UndefinedTensorImpl10_singletonE")
COUNTS = 8  # of a TensorImpl: the strong count in the low half, the wrapped bit on top

# The native library.
malloc = extern("malloc", ptr, i64)
realloc = extern("realloc", ptr, ptr, i64)
free = extern("free", None, ptr)
memcmp = extern("memcmp", i32, ptr, ptr, i64)
sm_tensor_retain = extern("sm_tensor_retain", None, ptr)
sm_tensor_release = extern("sm_tensor_release", None, ptr)
sm_counted_retain = extern("sm_counted_retain", None, ptr)
sm_counted_release = extern("sm_counted_release", None, ptr)
sm_tasks_join = extern("sm_tasks_join", None, ptr)
sm_object_new = extern("sm_object_new", ptr, i64, ptr)
sm_retain = extern("sm_retain", None, ptr)
sm_release = extern("sm_release", None, ptr)
sm_slot_drop = extern("sm_slot_drop", None, ptr, ptr)
sm_enter = extern("sm_enter", None)
sm_leave = extern("sm_leave", None)
sm_object_copy = extern("sm_object_copy", ptr, ptr)
sm_any_new = extern("sm_any_new", i64, ptr, ptr, ptr)
sm_any_slot = extern("sm_any_slot", ptr, ptr)
sm_memory_error = extern("sm_memory_error", ptr, ptr)
sm_list_new = extern("sm_list_new", ptr, ptr, i64)
sm_list_from = extern("sm_list_from", i32, ptr, ptr, ptr, i64, ptr)
set_sized = extern("set_sized", ptr, ptr, i64)
set_clone = extern("set_clone", ptr, ptr)
sm_deque_new = extern("sm_deque_new", i32, ptr, i64, ptr, ptr)
sm_deque_append = extern("sm_deque_append", i32, ptr, ptr, ptr)
sm_deque_copy = extern("sm_deque_copy", i32, ptr, ptr, ptr)
place_size = extern("place_size", i64, ptr)
sm_dict_new = extern("sm_dict_new", i32, ptr, ptr, ptr)
sm_dict_setitem = extern("sm_dict_setitem", i32, ptr, ptr, ptr, ptr)
sm_dict_copy = extern("sm_dict_copy", i32, ptr, ptr, ptr)
same_order = extern("same_order", i32, ptr, ptr, ptr, ptr)
entry_size = extern("entry_size", i64, ptr)
entry_value_offset = extern("entry_value_offset", i64, ptr)
STR_DESCRIPTOR = external("desc.str")
BYTES_DESCRIPTOR = external("desc.bytes")

LIVE_TENSORS = external("sm_live_tensors")
sm_python = cell("sm_python", 4096)  # the state of frame.py


@native
def count_tensor(change: i64) -> None:
    """Debug builds: add to the count of owned tensor references."""
    if load(i64, sm_python, STATE_DEBUG):
        atomic_add(i64, LIVE_TENSORS, change)


@native
def tensor_retain_wrapped(impl: ptr, obj: ptr) -> None:
    """Own one more reference to the tensor of a Python object, with the GIL held.

    What libtorch's intrusive_ptr does: the first reference of C++ keeps the Python object alive.
    """
    count_tensor(1)
    before = atomic_add(i64, impl + COUNTS, 1)
    if before < 0 and i32(before) == 1:
        Py_IncRef(obj)


@native
def tensor_release_wrapped(impl: ptr, obj: ptr) -> None:
    """Undo ``tensor_retain_wrapped``; the Python object owns a reference itself."""
    count_tensor(-1)
    before = atomic_add(i64, impl + COUNTS, -1)
    if before < 0 and i32(before) == 2:
        Py_DecRef(obj)


@native
def state(offset: i64) -> ptr:
    """A word of the process's state."""
    return load(ptr, sm_python, offset)
