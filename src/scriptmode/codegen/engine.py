"""LLVM engines, object code on disk, and the process-wide cache of op thunks.

An ``Engine`` turns LLVM modules or object code into callable addresses and gives the memory back
when closed.  ``thunks`` compiles op thunks on demand, in one module for all that are missing, and
keeps them for the life of the process; their object code is kept in the user's cache directory.
"""

from __future__ import annotations

import ctypes
import hashlib
import inspect
import os
import struct
import tempfile
import threading
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path

import llvmlite
import llvmlite.binding as llvm
import torch
from llvmlite import ir

import scriptmode.abi
import scriptmode.codegen
from scriptmode.abi import libtorch, selfcheck
from scriptmode.codegen import tensors, thunk_support, thunks as emission
from scriptmode.ir.schema import OpSchema


@lru_cache(maxsize=None)
def _initialize() -> llvm.Target:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple()


@lru_cache(maxsize=None)
def host_cpu() -> tuple[str, str]:
    """Name and feature string of this machine's processor."""
    _initialize()
    return llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()


def target_machine(level: int) -> llvm.TargetMachine:
    """A new target machine of the host for code that runs in this process."""
    cpu, features = host_cpu()
    return _initialize().create_target_machine(
        cpu=cpu, features=features, opt=level, reloc="pic", codemodel="small", jit=True
    )


def register_symbol(name: str, address: int) -> None:
    """Let all engines of the process resolve ``name`` to ``address``."""
    llvm.add_symbol(name, address)


def is_registered(name: str) -> bool:
    """Whether engines can resolve ``name``."""
    return bool(llvm.address_of_symbol(name))


def require_symbols(names: Iterable[str]) -> None:
    """Make symbols of libtorch, libstdc++ and libc resolvable; raises ImportError if missing."""
    for name in names:
        if not is_registered(name):
            register_symbol(name, libtorch.symbol(name))


def optimize(module: llvm.ModuleRef, machine: llvm.TargetMachine, level: int) -> None:
    """Run LLVM's standard pipeline of ``level`` on ``module``."""
    options = llvm.create_pipeline_tuning_options(speed_level=level)
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)


def compile_object(text: str, level: int = 1, optimize_level: int | None = None) -> bytes:
    """Object code of LLVM assembly; ``optimize_level`` None skips the IR passes."""
    machine = target_machine(level)
    module = llvm.parse_assembly(text)
    module.triple = machine.triple
    module.data_layout = str(machine.target_data)
    module.verify()
    if optimize_level is not None:
        optimize(module, machine, optimize_level)
    return bytes(machine.emit_object(module))


def object_symbols(code: bytes) -> tuple[list[str], list[str]]:
    """Names that an ELF object refers to without defining them, and names that it exports."""
    if code[:5] != b"\x7fELF\x02" or code[5] != 1:
        raise NotImplementedError("only little-endian 64-bit ELF objects can be linked")
    (table_offset,) = struct.unpack_from("<Q", code, 0x28)
    entry_size, count = struct.unpack_from("<HH", code, 0x3A)
    headers = [
        struct.unpack_from("<IIQQQQIIQQ", code, table_offset + entry_size * i)
        for i in range(count)
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


class ObjectCache:
    """Object code on disk: one file per key, written atomically, checked when read."""

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory

    @property
    def directory(self) -> Path:
        """``SCRIPTMODE_CACHE_DIR``, else ``scriptmode`` in the user's cache directory."""
        if self._directory is not None:
            return self._directory
        chosen = os.environ.get("SCRIPTMODE_CACHE_DIR")
        if chosen:
            return Path(chosen)
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        return Path(base) / "scriptmode"

    def read(self, key: str) -> bytes | None:
        """The code stored under ``key``; None when there is none or the file is damaged."""
        try:
            content = (self.directory / f"{key}.o").read_bytes()
        except OSError:
            return None
        digest, code = content[:32], content[32:]
        return code if hashlib.sha256(code).digest() == digest else None

    def write(self, key: str, code: bytes) -> None:
        """Store ``code``; a directory that cannot be written is no error."""
        content = hashlib.sha256(code).digest() + code
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.directory, suffix=".tmp")
        except OSError:
            return
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(name, self.directory / f"{key}.o")
        except OSError:
            os.unlink(name)


@lru_cache(maxsize=None)
def environment_key() -> str:
    """Hash of everything besides the schemas that determines the thunks' object code."""
    digest = hashlib.sha256()
    versions = (torch.__version__, llvmlite.__version__, str(llvm.llvm_version_info))
    for text in (*versions, *host_cpu()):
        digest.update(text.encode() + b"\0")
    for package in (scriptmode.abi, scriptmode.codegen):
        folder = Path(inspect.getfile(package)).parent
        for source in sorted(folder.glob("*.py")):
            digest.update(source.read_bytes())
    return digest.hexdigest()


class ThunkCache:
    """The op thunks of the process; thread-safe."""

    def __init__(self, cache: ObjectCache | None = None, *, debug: bool = False) -> None:
        self.debug = debug
        self.cache = cache if cache is not None else ObjectCache()
        self._lock = threading.RLock()
        self._addresses: dict[OpSchema, int] = {}
        self._engine: Engine | None = None
        # owned references to tensors, counted by debug thunks
        self.live_tensors = ctypes.c_int64(0)

    def get(self, schemas: Iterable[OpSchema]) -> dict[OpSchema, int]:
        """Addresses of the thunks, compiled when missing.

        Raises NotImplementedError when an op has no native route.  Afterwards every engine can
        resolve the thunks' symbols.
        """
        wanted = list(dict.fromkeys(schemas))
        with self._lock:
            missing = [s for s in wanted if s not in self._addresses]
            if missing:
                self._link(missing)
            return {s: self._addresses[s] for s in wanted}

    def load_support(self) -> None:
        """Make the functions that count references to tensors resolvable."""
        with self._lock:
            self._support()

    def _link(self, missing: list[OpSchema]) -> None:
        engine = self._support()
        missing.sort(key=emission.thunk_symbol)
        for schema in missing:
            found = libtorch.route(schema)
            if found.name is None:
                raise NotImplementedError(f"{schema.kind}: {found.reason}")

        def emit(module: ir.Module) -> None:
            for schema in missing:
                emission.emit_thunk(module, schema, debug=self.debug)

        code = self._object([s.text for s in missing], emit, level=0)
        engine.add_object(code)
        for schema in missing:
            name = emission.thunk_symbol(schema)
            address = engine.address(name)
            register_symbol(name, address)
            self._addresses[schema] = address

    def _support(self) -> Engine:
        """The engine of all thunks, with the functions that they share."""
        if self._engine is not None:
            return self._engine
        selfcheck.check_abi()
        engine = Engine()
        optional_type = libtorch.optional_tensor_type()
        register_symbol(thunk_support.OPTIONAL_TENSOR_TYPE, optional_type)
        register_symbol(tensors.LIVE_TENSORS, ctypes.addressof(self.live_tensors))
        def emit(module: ir.Module) -> None:
            tensors.define_tensor_functions(module, debug=self.debug)
            thunk_support.define_support(module, debug=self.debug)

        engine.add_object(self._object(["support"], emit, level=1, optimize_level=1))
        for name in (*tensors.SIGNATURES, *thunk_support.SIGNATURES):
            if name.startswith("sm_"):
                register_symbol(name, engine.address(name))
        self._engine = engine
        return engine

    def _object(
        self,
        names: list[str],
        emit: Callable[[ir.Module], None],
        level: int,
        optimize_level: int | None = None,
    ) -> bytes:
        """The object code of what ``emit`` emits, from disk when it is there."""
        parts = (environment_key(), str(self.debug), *names)
        key = hashlib.sha256("\0".join(parts).encode()).hexdigest()
        found = self.cache.read(key)
        if found is not None:
            return found
        module = ir.Module("thunks")
        emit(module)
        code = compile_object(str(module), level, optimize_level)
        self.cache.write(key, code)
        return code


thunks = ThunkCache()
