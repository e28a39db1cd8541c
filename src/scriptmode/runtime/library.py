"""The boundary's native code in this process: built from the dialect, cached, loaded for good."""

from __future__ import annotations

import ctypes
import hashlib
import inspect
import math
import os
import sys
import threading
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import torch
from torch.autograd import forward_ad

from scriptmode.abi import convention, cxxwarnings, instances, layouts, objects, tasks
from scriptmode.abi import python as python_layout
from scriptmode.codegen import engine, native_lower
from scriptmode.codegen.object_cache import ObjectCache
from scriptmode.runtime import (
    ascii,
    boxing,
    boxing_collections,
    boxing_dicts,
    captured,
    ending,
    entry,
    frame,
    gil,
    handles,
    host,
    interrupt,
    kept,
    memo,
    nativelib,
    pending,
    plans,
    published,
    pyapi,
    turns,
    unboxing,
    unboxing_parts,
    unboxing_scalars,
    warned,
)
from scriptmode.support.containers import ScriptDict, ScriptList
from scriptmode.support.diagnostics import ForeignResultError
from scriptmode.support.locks import held_while_forking

_SOURCES: tuple[ModuleType, ...] = (
    ascii, boxing, boxing_collections, boxing_dicts, captured, ending, entry, frame, gil, handles,
    host, interrupt, kept, memo, pending, published, pyapi, turns, unboxing, unboxing_parts,
    unboxing_scalars, warned, *nativelib.COMPILER, convention, cxxwarnings, instances, layouts,
    objects, python_layout, tasks,
)  # fmt: skip
_HOST: Mapping[str, Any] = {
    "print": host.sm_host_print,
    "warn": host.sm_host_warn,
    "python_call": host.sm_host_python_call,
    "op_warnings": warned.sm_host_op_warnings,
    "poll": host.sm_host_poll,
    "catch": host.sm_host_catch,
    "exception_text": host.sm_host_exception_text,
}
_EXPORTS: tuple[Any, ...] = (
    entry.sm_entry, interrupt.sm_ticker_reset, unboxing.unbox_whole, boxing.box_whole,
    boxing_collections.unbox_collection, boxing_collections.box_collection,
    boxing_collections.write_back_collection, boxing_dicts.box_dict,
    boxing_dicts.write_back_dict, turns.sm_turn_take, turns.sm_turn_give,
    boxing.write_back, memo.memo_close, memo.memo_add, kept.sm_read_back_row,
    kept.sm_snapshot_row, kept.sm_fill_rows, warned.sm_note_warning, host.sm_host_drop,
    ending.sm_watch_ending,
    *_HOST.values(),
)  # fmt: skip

_lock = held_while_forking(threading.RLock())
_engine: engine.Engine | None = None
_kept: list[object] = []  # objects that the state refers to


@cache
def _environment() -> str:
    digest = hashlib.sha256()
    for text in (llvmlite.__version__, str(llvm.llvm_version_info), *engine.host_cpu(),
                 torch.__version__, sys.version):  # fmt: skip
        digest.update(text.encode() + b"\0")
    for module in _SOURCES:
        digest.update(Path(inspect.getfile(module)).read_bytes())
    return f"boundary-{digest.hexdigest()[:32]}"


def _object_code() -> bytes:
    cached = ObjectCache(_environment())
    for _, code in cached.load(["boundary"]):
        return code
    module = native_lower.lower_module(_EXPORTS, "scriptmode.boundary")
    code = engine.compile_object(str(module), level=2, optimize_level=2)
    cached.store(["boundary"], code)
    return code


def ensure_loaded(helpers: Mapping[int, Callable[..., object]]) -> None:
    """Load the code once and fill the process's state; ``helpers`` go to their places in it."""
    global _engine
    with _lock:
        if _engine is not None:
            return
        python_layout.check_layout()
        nativelib.ensure_loaded()
        loaded = engine.Engine()
        code = _object_code()
        wanted, _ = engine.object_symbols(code)
        engine.require_symbols(wanted)
        loaded.add_object(code)
        _engine = loaded
        # threads may sleep in this code until the process ends
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(loaded))
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(loaded._engine))
        _fill_state(loaded, helpers)
        nativelib.set_python_drop(loaded.address("sm_host_drop"))
        _watch_ending()
    reset_after_fork()
    os.register_at_fork(after_in_child=reset_after_fork)


def _watch_ending() -> None:
    """Let threads that are inside libtorch when Python ends sleep."""
    name = "Py_IsFinalizing" if sys.version_info >= (3, 13) else "_Py_IsFinalizing"
    finalizing = ctypes.cast(ctypes.pythonapi[name], ctypes.c_void_p)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address("sm_watch_ending"))(finalizing)


def _fill_state(loaded: engine.Engine, given: Mapping[int, Callable[..., object]]) -> None:
    hosts = (ctypes.c_int64 * len(convention.HOST_FIELDS))(
        *(loaded.address(_HOST[name].name) for name in convention.HOST_FIELDS)
    )
    helpers = {
        **given,
        frame.STATE_TENSOR: torch.Tensor,
        frame.STATE_PARAMETER: torch.nn.Parameter,
        frame.STATE_PRINT: host.write_text,
        frame.STATE_WARN: host.issue_warning,
        frame.STATE_PLAN: plans.plan_of_descriptor,
        frame.STATE_LEND: published.lend_module,
        frame.STATE_TAKE_BACK: published.take_back,
        frame.STATE_SCRIPT_LIST: ScriptList,
        frame.STATE_SCRIPT_DICT: ScriptDict,
        frame.STATE_MISFIT: refuse_result,
        frame.STATE_OP_WARNING: host.issue_op_warning,
        frame.STATE_DUAL_PLACE: vars(forward_ad),
        frame.STATE_DUAL_NAME: sys.intern("_current_level"),
        frame.STATE_DUAL_NONE: -1,
        frame.STATE_NAN: math.nan,
        **given,
    }
    _kept.extend([hosts, *helpers.values()])
    for offset, helper in helpers.items():
        write_state(offset, id(helper))
    write_state(frame.STATE_HOST, ctypes.addressof(hosts))
    write_state(frame.STATE_DEBUG, int(engine.thunks.debug))
    table = (ctypes.c_int64 * cxxwarnings.TABLE_WORDS).from_address(address("sm_warning_table"))
    table[:] = list(cxxwarnings.handler_table())
    table[cxxwarnings.TABLE_PROCESS // 8] = address("sm_note_warning")


def refuse_result(value: object, descriptor: int) -> None:
    """Raise: a Python function gave what its annotation does not allow."""
    wanted = plans.type_of_descriptor(descriptor)
    raise ForeignResultError(f"a Python function gave {value!r} where {wanted} is expected")


def write_state(offset: int, value: int) -> None:
    """Set a word of the process's state."""
    ctypes.c_int64.from_address(address("sm_python") + offset).value = value


def reset_after_fork() -> None:
    """Set what depends on process and main thread."""
    # the ident is what pthread_self gives
    write_state(frame.STATE_MAIN_THREAD, threading.main_thread().ident or 0)
    ctypes.CFUNCTYPE(None, ctypes.c_int64)(address("sm_ticker_reset"))(0)


def address(name: str) -> int:
    """The address of one of the boundary's functions or data."""
    assert _engine is not None, "the boundary is not loaded"
    return _engine.address(name)
