"""LLVM engines, and the process-wide cache of op thunks.

An ``Engine`` turns LLVM modules or object code into callable addresses and gives the memory back
when closed.  ``thunks`` compiles op thunks on demand, in one module for all that are missing, and
keeps them for the life of the process; their object code is kept in the user's cache directory.
"""

from __future__ import annotations

import ctypes
import hashlib
import inspect
import struct
import threading
from collections.abc import Callable, Iterable
from functools import cache

import llvmlite
import llvmlite.binding as llvm
import torch
from llvmlite import ir

from scriptmode.abi import calls, convention, cxx, layouts, libtorch, mangle, selfcheck
from scriptmode.codegen import dispatcher_thunks, tensors, thunk_support
from scriptmode.codegen import thunks as emission
from scriptmode.codegen.object_cache import ObjectCache
from scriptmode.codegen.object_code import compile_object as compile_object
from scriptmode.codegen.object_code import host_cpu as host_cpu
from scriptmode.codegen.object_code import optimize as optimize
from scriptmode.codegen.object_code import target_machine as target_machine
from scriptmode.ir.schema import OpSchema
from scriptmode.support import config
from scriptmode.support.locks import held_while_forking


def register_symbol(name: str, address: int) -> None:
    """Let all engines of the process resolve ``name`` to ``address``."""
    llvm.add_symbol(name, address)


def address_of_symbol(name: str) -> int | None:
    """What engines resolve ``name`` to; None when they cannot."""
    return llvm.address_of_symbol(name) or None


def is_registered(name: str) -> bool:
    """Whether engines can resolve ``name``."""
    return address_of_symbol(name) is not None


def require_symbols(names: Iterable[str]) -> None:
    """Make symbols of libtorch, libstdc++ and libc resolvable; raises ImportError if missing."""
    for name in names:
        if not is_registered(name):
            register_symbol(name, libtorch.symbol(name))


def object_symbols(code: bytes) -> tuple[list[str], list[str]]:
    """Names that an ELF object refers to without defining them, and names that it exports."""
    if code[:5] != b"\x7fELF\x02" or code[5] != 1:
        raise NotImplementedError("only little-endian 64-bit ELF objects can be linked")
    (table_offset,) = struct.unpack_from("<Q", code, 0x28)
    entry_size, count = struct.unpack_from("<HH", code, 0x3A)
    headers = [
        struct.unpack_from("<IIQQQQIIQQ", code, table_offset + entry_size * i) for i in range(count)
    ]
    undefined: list[str] = []
    defined: list[str] = []
    for _, kind, _, _, offset, size, link, *_ in headers:
        if kind != 2:  # a symbol table
            continue
        names = headers[link][4]
        symbols = struct.iter_unpack("<IBBHQQ", code[offset : offset + size])
        for name, info, _, section, _, _ in symbols:
            if name and info >> 4:  # not a local symbol
                start = names + name
                text = code[start : code.index(0, start)].decode()
                (defined if section else undefined).append(text)
    return undefined, defined


class Engine:
    """Executable memory for compiled modules, freed by ``close``."""

    def __init__(self, level: int = 1) -> None:
        self.level = level
        machine = target_machine(level)
        empty = llvm.parse_assembly("")
        empty.triple = machine.triple
        self._engine: llvm.ExecutionEngine | None = llvm.create_mcjit_compiler(empty, machine)
        self._defined: set[str] = set()

    @property
    def _open(self) -> llvm.ExecutionEngine:
        if self._engine is None:
            raise RuntimeError("the engine is closed")
        return self._engine

    def add(self, module: ir.Module | str, optimize_level: int | None = None) -> None:
        """Compile a module (or its text) and link it."""
        self.add_object(compile_object(str(module), self.level, optimize_level))

    def add_object(self, code: bytes) -> None:
        """Link object code; raises ImportError when a symbol that it needs is unknown."""
        undefined, defined = object_symbols(code)
        # LLVM leaves every relocation open, silently, when one symbol of an object is missing
        require_symbols(name for name in undefined if name not in self._defined)
        self._open.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._open.finalize_object()
        self._defined.update(defined)

    def address(self, name: str) -> int:
        """Address of a function or global that was added; raises KeyError when unknown."""
        if name not in self._defined:
            raise KeyError(name)
        return int(self._open.get_function_address(name))

    def close(self) -> None:
        """Free the code; nothing of it may be running or be referred to."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None


# The modules that decide what the object code of a thunk is.
_SOURCES = (
    calls, convention, cxx, layouts, libtorch, mangle,
    dispatcher_thunks, emission, tensors, thunk_support,
)  # fmt: skip


@cache
def environment_key() -> str:
    """Hash of everything besides the schemas that determines the thunks' object code."""
    digest = hashlib.sha256()
    versions = (torch.__version__, llvmlite.__version__, str(llvm.llvm_version_info))
    for text in (*versions, *host_cpu()):
        digest.update(text.encode() + b"\0")
    for module in _SOURCES:
        digest.update(inspect.getsource(module).encode())
    return digest.hexdigest()[:32]


_SUPPORT = "sm_op_support"  # stands for the shared functions in the object cache
_kept: list[object] = []  # linked thunks stay: code of any program may call them


class ThunkCache:
    """Compiles, loads and keeps op thunks; thread-safe.

    Symbols are global to the process: the cache that linked a thunk last provides it to programs
    that are linked later.
    """

    def __init__(self, *, debug: bool = False) -> None:
        self.debug = debug
        self._lock = threading.RLock()
        self._addresses: dict[OpSchema, int] = {}
        self._has_support = False
        # owned references to tensors, counted by debug thunks
        self.live_tensors = ctypes.c_int64(0)
        _kept.append(self.live_tensors)

    @property
    def objects(self) -> ObjectCache:
        """The object code on disk."""
        return ObjectCache(environment_key() + ("-debug" if self.debug else ""))

    def get(self, schemas: Iterable[OpSchema]) -> dict[OpSchema, int]:
        """Addresses of the thunks, compiled when missing.

        Raises NotImplementedError when an op has no native route.  Afterwards every engine can
        resolve the thunks' symbols.
        """
        wanted = list(dict.fromkeys(schemas))
        with self._lock:
            missing = {emission.thunk_symbol(s): s for s in wanted if s not in self._addresses}
            if missing:
                self._provide_support()
                self._provide(missing)
            return {s: self._addresses[s] for s in wanted}

    def load_support(self) -> None:
        """Make the functions that all thunks share resolvable, those that count tensors too."""
        with self._lock:
            self._provide_support()

    def _provide(self, missing: dict[str, OpSchema]) -> None:
        left = dict(missing)
        for names, code in self.objects.load(left):
            self._link([n for n in names if n in left], code, left)
            left = {name: schema for name, schema in left.items() if name not in names}
        if not left:
            return

        def emit(module: ir.Module) -> None:
            for schema in left.values():
                emission.emit_thunk(module, schema, debug=self.debug)

        names = sorted(left)
        code = _compile(emit, level=0)
        self._link(names, code, left)
        self.objects.store(names, code)

    def _link(self, names: list[str], code: bytes, schemas: dict[str, OpSchema]) -> None:
        engine = Engine()
        engine.add_object(code)
        _kept.append(engine)
        for name in names:
            address = engine.address(name)
            register_symbol(name, address)
            self._addresses[schemas[name]] = address

    def _provide_support(self) -> None:
        """Link the functions that all thunks share."""
        if self._has_support:
            return
        selfcheck.check_abi()
        register_symbol(thunk_support.OPTIONAL_TENSOR_TYPE, libtorch.optional_tensor_type())
        register_symbol(tensors.LIVE_TENSORS, ctypes.addressof(self.live_tensors))

        def emit(module: ir.Module) -> None:
            tensors.define_tensor_functions(module, debug=self.debug)
            thunk_support.define_support(module, debug=self.debug)

        stored = self.objects.load([_SUPPORT])
        code = stored[0][1] if stored else _compile(emit, level=1, optimize_level=1)
        if not stored:
            self.objects.store([_SUPPORT], code)
        engine = Engine()
        engine.add_object(code)
        _kept.append(engine)
        for name in (*tensors.SIGNATURES, *thunk_support.SIGNATURES):
            if name.startswith("sm_"):
                register_symbol(name, engine.address(name))
        self._has_support = True


def _compile(
    emit: Callable[[ir.Module], None], level: int, optimize_level: int | None = None
) -> bytes:
    module = ir.Module("thunks")
    emit(module)
    return compile_object(str(module), level, optimize_level)


# llvmlite's own lock, around each call into LLVM
held_while_forking(llvm.ffi.lib._lock._lock)
thunks = ThunkCache(debug=config.get("debug"))
held_while_forking(thunks._lock)
