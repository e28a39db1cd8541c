"""C++ exceptions held by a context: raise them in Python, read their text, release them.

A context whose ``error_kind`` is ``ERROR_CPP`` owns the one word of a ``std::exception_ptr`` in
``error_value``.  Native code under the GIL may call the exported function ``TRANSLATE`` with a
pointer to that word: it sets Python's error indicator as eager mode does.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import NoReturn

from scriptmode.abi.libtorch import symbol

TRANSLATE = "_ZN5torch29translate_exception_to_pythonERKNSt15__exception_ptr13exception_ptrE"
RELEASE = "_ZNSt15__exception_ptr13exception_ptr10_M_releaseEv"


@cache
def _functions() -> tuple[object, object]:
    translate = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(symbol(TRANSLATE))
    # a thread-state free call would let the destructor of a Python error take the GIL by itself
    release = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(symbol(RELEASE))
    return translate, release


def release_cpp_exception(word: int) -> None:
    """Give up an owned C++ exception."""
    cell = ctypes.c_uint64(word)
    _functions()[1](ctypes.addressof(cell))  # type: ignore[operator]


def raise_cpp_exception(word: int) -> NoReturn:
    """Raise an owned C++ exception as the Python exception that eager mode raises, and give it up.

    Needs the GIL, as all Python code does.
    """
    cell = ctypes.c_uint64(word)
    try:
        _functions()[0](ctypes.addressof(cell))  # type: ignore[operator]
    finally:
        release_cpp_exception(word)
    raise RuntimeError("a C++ exception was not translated")
