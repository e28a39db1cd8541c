"""The boundary to CPython and torch's Python objects: struct offsets and C declarations.

The offsets are those of CPython 3.10 to 3.13 with the GIL and of torch's ``THPVariable`` and kin;
``check_layout`` verifies each one on live objects before native code relies on them.
"""

from __future__ import annotations

import collections
import ctypes
import sys
from collections.abc import Callable
from functools import cache

import torch

# PyObject, PyVarObject, PyListObject, PyTupleObject
OB_TYPE = 8
OB_SIZE = 16
LIST_ITEMS = 24  # pointer to the items
TUPLE_ITEMS = 24  # the items themselves
# PyASCIIObject: the bits of its state say that its code points, all below 128, lie behind it
STR_LENGTH = 16
STR_STATE = 32
STR_COMPACT_ASCII = 3 << 5
ASCII_DATA = "".__sizeof__() - 1
# PySetObject; its table has entries {key, hash}
PYSET_FILL = 16
PYSET_USED = 24
PYSET_MASK = 32
PYSET_TABLE = 40
PYSET_FINGER = 56
PYSET_SMALL_TABLE = 64
PYSET_ENTRY = 16
PYSET_ENTRY_HASH = 8
# dequeobject: a count of what has changed its length
PYDEQUE_STATE = 56
# defdictobject: the factory follows the dict
DEFAULT_FACTORY = dict.__basicsize__
# PyTypeObject
TP_STR = 136
TP_FLAGS = 168
TP_MRO = 344
IS_EXCEPTION_CLASS = 1 << 30  # Py_TPFLAGS_BASE_EXC_SUBCLASS
# PyFloatObject
FLOAT_VALUE = 16
# wrappers that hold one C++ value right after the object header
THP_TENSOR = 16  # TensorImpl*
THP_DEVICE = 16  # type and index, a byte each
THP_GENERATOR = 16  # GeneratorImpl*
# a ctypes structure: pointer to its memory
CDATA_POINTER = 16

METH_FASTCALL_KEYWORDS = 0x0080 | 0x0002

# Exported by libtorch_python and libtorch_cpu.
WRAP_TENSOR_MOVE = "_Z16THPVariable_WrapON2at10TensorBaseE"
WRAP_TENSOR = "_Z16THPVariable_WrapRKN2at10TensorBaseE"
WRAP_DEVICE = "_Z13THPDevice_NewRKN3c106DeviceE"
WRAP_GENERATOR = "_Z17THPGenerator_WrapRKN2at9GeneratorE"
TRANSLATE_EXCEPTION = (
    "_ZN5torch29translate_exception_to_pythonERKNSt15__exception_ptr13exception_ptrE"
)
RELEASE_EXCEPTION = "_ZNSt15__exception_ptr13exception_ptr10_M_releaseEv"
ANY_DISPATCH_MODE = "_ZN3c104impl20TorchDispatchModeTLS13any_modes_setEb"
FUNCTION_MODES = "_ZN2at4impl22PythonTorchFunctionTLS9stack_lenEv"
FUNCTORCH_STACK = "_ZN2at9functorch20getDynamicLayerStackEv"


class MethodDef(ctypes.Structure):
    """CPython's ``PyMethodDef``."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]


@cache
def _method(name: str, function: int, doc: str | None) -> MethodDef:
    """A definition that is kept for good.

    CPython reads the definition of a builtin while it collects garbage, when that builtin and
    whatever could own the definition may be half taken apart.
    """
    text = doc.encode() if doc else None
    return MethodDef(name.encode(), function, METH_FASTCALL_KEYWORDS, text)


@cache
def _create() -> Callable[[int, object, str], object]:
    """``PyCFunction_NewEx``, called with the GIL held."""
    types = (ctypes.c_void_p, ctypes.py_object, ctypes.py_object)
    prototype = ctypes.PYFUNCTYPE(ctypes.py_object, *types)
    address = ctypes.cast(ctypes.pythonapi.PyCFunction_NewEx, ctypes.c_void_p).value
    assert address is not None
    return prototype(address)


def new_builtin(
    name: str, function: int, doc: str | None, self_object: object, module: str
) -> object:
    """A builtin over a C function ``METH_FASTCALL | METH_KEYWORDS``; it holds ``self_object``."""
    method = _method(name, function, doc)
    return _create()(ctypes.addressof(method), self_object, module)


def read_word(address: int) -> int:
    """The 8 bytes at an address."""
    return int(ctypes.c_uint64.from_address(address).value)


def _is_set_layout_known() -> bool:
    small, large = {5}, set(range(100))
    small.discard(7)
    table = read_word(id(small) + PYSET_TABLE)
    return (
        table == id(small) + PYSET_SMALL_TABLE
        and read_word(id(small) + PYSET_MASK) == 7
        and read_word(id(small) + PYSET_USED) == read_word(id(small) + PYSET_FILL) == 1
        and read_word(table + 5 * PYSET_ENTRY) == id(5)
        and read_word(table + 5 * PYSET_ENTRY + PYSET_ENTRY_HASH) == 5
        and read_word(id(large) + PYSET_USED) == 100
        and (large.pop() is not None and read_word(id(large) + PYSET_FINGER) == 1)
    )


def _is_deque_layout_known() -> bool:
    changed = collections.deque([1, 2], 9)
    before = read_word(id(changed) + PYDEQUE_STATE)
    changed[0] = 3
    changed.append(4)
    changed.popleft()
    return (
        read_word(id(changed) + PYDEQUE_STATE) == before + 2
        and read_word(id(changed) + PYDEQUE_STATE + 8) == 9  # the limit follows it
    )


def _is_str_layout_known() -> bool:
    """Whether the bits of ``STR_COMPACT_ASCII`` mark the strs that lie at ``ASCII_DATA``."""

    class Text(str):
        pass

    def has_bits(text: str) -> bool:
        state = int(ctypes.c_uint32.from_address(id(text) + STR_STATE).value)
        return state & STR_COMPACT_ASCII == STR_COMPACT_ASCII

    ascii_text = "".join(["a", "bc", "\x7f"])  # not one of the interned constants
    return (
        has_bits(ascii_text)
        and has_bits("x")
        and not any(map(has_bits, ("\xe9", "a\u6f22", "\U0001f600", Text("abc"))))
        and read_word(id(ascii_text) + STR_LENGTH) == 4
        and ctypes.string_at(id(ascii_text) + ASCII_DATA, 5) == b"abc\x7f\0"
    )


@cache
def check_layout() -> None:
    """Raise ImportError unless every offset above is true in this process."""
    a, b = object(), object()
    listed, paired = [a, b], (a, b)
    tensor = torch.empty(0)
    device = torch.device("cpu", 3)
    generator = torch.Generator()
    cell = ctypes.c_int64(0)
    number = float("2.5")
    default: object = collections.defaultdict(int)
    word = read_word(id(device) + THP_DEVICE)
    items = read_word(id(listed) + LIST_ITEMS)
    checks = {
        "object": read_word(id(a) + OB_TYPE) == id(object),
        "list": read_word(id(listed) + OB_SIZE) == 2 and read_word(items + 8) == id(b),
        "tuple": read_word(id(paired) + OB_SIZE) == 2
        and read_word(id(paired) + TUPLE_ITEMS + 8) == id(b),
        "tensor": read_word(id(tensor) + THP_TENSOR) == tensor._cdata,
        "device": word & 0xFFFF == 3 << 8,
        "generator": read_word(id(generator) + THP_GENERATOR) == generator._cdata
        if hasattr(generator, "_cdata")
        else True,
        "set": _is_set_layout_known(),
        "deque": _is_deque_layout_known(),
        "str": _is_str_layout_known(),
        "float": ctypes.c_double.from_address(id(number) + FLOAT_VALUE).value == number,
        "defaultdict": read_word(id(default) + DEFAULT_FACTORY) == id(int),
        "ctypes": read_word(id(cell) + CDATA_POINTER) == ctypes.addressof(cell),
        "type": read_word(id(bool) + TP_MRO) == id(bool.__mro__)
        and bool(read_word(id(ValueError) + TP_FLAGS) & IS_EXCEPTION_CLASS)
        and not read_word(id(int) + TP_FLAGS) & IS_EXCEPTION_CLASS
        and read_word(id(ValueError) + TP_STR) == read_word(id(Exception) + TP_STR)
        and read_word(id(KeyError) + TP_STR) != read_word(id(Exception) + TP_STR),
        "word size": ctypes.sizeof(ctypes.c_void_p) == 8,
        "GIL": getattr(sys, "_is_gil_enabled", lambda: True)(),
    }
    wrong = [name for name, holds in checks.items() if not holds]
    if wrong:
        raise ImportError(
            f"Python {sys.version.split()[0]} with torch {torch.__version__} lays out "
            f"{', '.join(wrong)} in an unknown way"
        )
