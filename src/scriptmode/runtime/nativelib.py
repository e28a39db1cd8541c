"""The native library in this process: built once per target and version, cached, registered.

``ensure_loaded()`` makes every public native function a symbol that engines resolve; ``signature``
gives the LLVM type to declare it with.  The sources determine the code, so the cache key is their
hash with LLVM's version and the processor.
"""

from __future__ import annotations

import ctypes
import hashlib
import inspect
import sys
import threading
import unicodedata
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import llvmlite
import llvmlite.binding as llvm

from scriptmode.abi import convention, layouts, objects
from scriptmode.abi import tasks as task_layout
from scriptmode.codegen import (
    engine,
    native,
    native_calls,
    native_expressions,
    native_lower,
    native_module,
    native_words,
)
from scriptmode.codegen.object_cache import ObjectCache
from scriptmode.ir import types as T
from scriptmode.runtime import descriptors, errors
from scriptmode.runtime.native import (
    allocation,
    arithmetic,
    builder,
    characters,
    copying,
    cycles,
    deques,
    dicts,
    digits,
    edits,
    elements,
    equality,
    exceptions,
    formats,
    gamma,
    hashing,
    hooks,
    instances,
    iterators,
    keys,
    list_searches,
    list_slices,
    lists,
    lookups,
    mathematics,
    memory,
    mixed_numbers,
    ordering,
    parsing,
    pieces,
    quick,
    ranges,
    reprs,
    resolving,
    searches,
    set_algebra,
    sets,
    sorting,
    splitting,
    strings,
    substrings,
    tasks,
    unicode,
    utf8,
    value_hashes,
    widening,
)
from scriptmode.runtime.native import errors as native_errors
from scriptmode.support.locks import held_while_forking

LIBRARY: tuple[ModuleType, ...] = (
    allocation, memory, native_errors, builder, digits, hashing, keys, quick, hooks, elements,
    resolving,
    mixed_numbers, equality, ordering, value_hashes, lookups, unicode, reprs, lists, list_slices,
    list_searches, ranges, substrings, utf8, strings, searches, splitting, pieces, edits,
    arithmetic, mathematics, gamma, formats, characters, parsing, dicts, sorting, tasks,
    instances, sets, set_algebra, deques, iterators, widening, copying, exceptions, cycles,
)  # fmt: skip
# the modules that decide what code the dialect becomes
COMPILER: tuple[ModuleType, ...] = (
    native, native_calls, native_expressions, native_lower, native_module, native_words,
    convention, layouts, objects, task_layout,
)  # fmt: skip
# descriptors that library code refers to by symbol
_DESCRIPTORS = (
    T.STR, T.BYTES, T.NONE, T.INT, T.FLOAT, T.BOOL, T.ListType([T.STR]), T.ListType([T.INT]),
    T.VarTupleType([T.ANY]),
)  # fmt: skip

_lock = held_while_forking(threading.RLock())
_engine: engine.Engine | None = None


@cache
def functions() -> dict[str, native.NativeFunction]:
    """Every public function of the library by name."""
    return {
        f.name: f
        for module in LIBRARY
        for f in vars(module).values()
        if isinstance(f, native.NativeFunction)
        and not f.is_private
        and f.python.__module__ == module.__name__
    }


@cache
def signature(name: str) -> Any:
    """The LLVM function type of a native function; KeyError for an unknown one."""
    return native_lower.function_type(functions()[name])


def build() -> Any:
    """The library's LLVM module, before optimisation."""
    return native_lower.lower_module(functions().values(), "scriptmode.native", hints=("optsize",))


@cache
def _environment() -> str:
    digest = hashlib.sha256()
    for text in (llvmlite.__version__, str(llvm.llvm_version_info), *engine.host_cpu(),
                 unicodedata.unidata_version, sys.version):  # fmt: skip
        digest.update(text.encode() + b"\0")
    for module in (*COMPILER, *LIBRARY):
        digest.update(Path(inspect.getfile(module)).read_bytes())
    return f"native-{digest.hexdigest()[:32]}"


_NAME = "native"  # of the library in the object cache


def object_code() -> bytes:
    """The library's object code, from the cache or built now."""
    objects_on_disk = ObjectCache(_environment())
    for _, code in objects_on_disk.load([_NAME]):
        return code
    code = engine.compile_object(str(build()), level=2, optimize_level=2)
    objects_on_disk.store([_NAME], code)
    return code


def _set_hash_state(address: int) -> None:
    """Tell the library how this process hashes."""
    secret = (ctypes.c_int64 * 2).in_dll(ctypes.pythonapi, "_Py_HashSecret")
    rounds = {"siphash13": (1, 3), "siphash24": (2, 4)}[sys.hash_info.algorithm]
    words = (ctypes.c_int64 * 5).from_address(address)
    words[:] = [*secret, *rounds, hash(None)]


def ensure_loaded() -> None:
    """Load the library once and register its functions as symbols."""
    global _engine
    with _lock:
        if _engine is not None:
            return
        engine.thunks.load_support()
        errors.register_builtin_exceptions()
        for t in _DESCRIPTORS:
            descriptors.descriptor(t)
        loaded = engine.Engine()
        loaded.add_object(object_code())
        _make_thread_key(loaded)
        _hold_collections_while_forking(loaded)
        counting = ctypes.c_int64.from_address(loaded.address("sm_counting"))
        counting.value = int(engine.thunks.debug)
        _set_hash_state(loaded.address("sm_hash_state"))
        for name in (*functions(), "sm_characters"):
            engine.register_symbol(name, loaded.address(name))
        descriptors.bind(
            {
                objects.DESC_DROP: loaded.address("sm_slot_drop"),
                objects.DESC_RETAIN: loaded.address("sm_slot_retain"),
                objects.DESC_EQ: loaded.address("sm_slot_eq"),
                objects.DESC_HASH: loaded.address("sm_slot_hash"),
                objects.DESC_REPR: loaded.address("sm_slot_repr"),
            },
            {objects.DESC_REPR: loaded.address("sm_exception_slot_repr")},
        )
        ctypes.CFUNCTYPE(None)(loaded.address("sm_make_characters"))()
        _engine = loaded
        # threads of the pool may be in this code until the process ends
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(loaded))
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(loaded._engine))


def _make_thread_key(loaded: engine.Engine) -> None:
    """Make the key of the threads' caches, which are freed when a thread ends."""
    key = ctypes.c_int64.from_address(loaded.address("sm_thread_key"))
    ended = ctypes.c_void_p(loaded.address("sm_free_cache"))
    status = ctypes.CDLL(None).pthread_key_create(ctypes.byref(key), ended)
    if status != 0:
        raise OSError(status, "no key for data of threads is left")


def _hold_collections_while_forking(loaded: engine.Engine) -> None:
    """Let every fork of the process wait for the collector, with no Python code in between."""
    before, after = (
        ctypes.c_void_p(loaded.address(name)) for name in ("sm_before_fork", "sm_after_fork")
    )
    child = ctypes.c_void_p(loaded.address("sm_tasks_after_fork"))
    register = ctypes.CDLL(None)["__register_atfork"]
    if register(before, after, after, None) != 0 or register(None, None, child, None) != 0:
        raise MemoryError


def address(name: str) -> int:
    """The address of a public native function or of a data symbol of the library."""
    ensure_loaded()
    assert _engine is not None
    return _engine.address(name)


def live_objects() -> int:
    """Heap objects that are alive now, immortal ones not counted; counted by debug processes."""
    return ctypes.c_int64.from_address(address("sm_live_objects")).value


def live_tensors() -> int:
    """References to tensors that native code owns now; counted by debug builds only."""
    return engine.thunks.live_tensors.value


def set_hook(offset: int, function: int) -> None:
    """Set a function of the host (``compare.HOOK_...``) by its address."""
    ctypes.c_int64.from_address(address("sm_hooks") + offset).value = function


def set_python_drop(function: int) -> None:
    """Set the function that gives Python objects up by its address."""
    ctypes.c_int64.from_address(address("sm_python_drop")).value = function
