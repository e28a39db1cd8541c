"""Threads that are inside libtorch when Python ends.

Once the interpreter is being finalized, a thread that asks for the GIL is ended there and then by
unwinding its stack.  libtorch asks for it in functions that must not be unwound (where a tensor
with a Python object gets its first owner in C++), and C++ then ends the whole process.  Such a
thread sleeps instead until the process is gone.
"""

from __future__ import annotations

from scriptmode.codegen.native import (
    address_of,
    call,
    cell,
    extern,
    i32,
    i64,
    load,
    native,
    ptr,
    store,
)
from scriptmode.runtime.frame import STATE_MAIN_THREAD
from scriptmode.runtime.pyapi import sm_python

FINALIZING = 0  # CPython's function that tells whether it is being finalized
PREVIOUS = 8  # what C++ called before ``sm_on_terminate``
sm_ending = cell("sm_ending", 16)

set_terminate = extern("_ZSt13set_terminatePFvvE", ptr, ptr)
current_exception_type = extern("__cxa_current_exception_type", ptr)
abort = extern("abort", None)
pthread_self = extern("pthread_self", i64)
usleep = extern("usleep", i32, i32)

A_WHILE = 1_000_000  # microseconds


@native
def sm_on_terminate() -> None:
    """What C++ calls instead of going on."""
    if pthread_self() != load(i64, sm_python, STATE_MAIN_THREAD):
        # an error of C++ has a type; the end of a thread has none
        if current_exception_type() == 0 and call(i32, load(ptr, sm_ending, FINALIZING)):
            while True:
                usleep(i32(A_WHILE))
    previous = load(ptr, sm_ending, PREVIOUS)
    if previous != 0:
        call(None, previous)
    abort()


@native
def sm_watch_ending(finalizing: ptr) -> None:
    """Let threads that the end of Python would unwind out of libtorch sleep."""
    store(ptr, sm_ending, FINALIZING, finalizing)
    store(ptr, sm_ending, PREVIOUS, set_terminate(address_of(sm_on_terminate)))
