"""Run a program every way and say whether all agree.

A program is a module text that defines ``f`` and ``ARGUMENTS``, functions that make the arguments of
a call; it may define ``LEVELS``, how much its native code is optimised.  Compared are the value,
which of its parts and of the arguments are the same objects, the arguments after the call, the
printed text, and the type and own message of an exception.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import enum
import gc
import importlib.util
import inspect
import io
import itertools
import math
import sys
import tempfile
import warnings
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

import scriptmode
from scriptmode.interp import Interpreter
from scriptmode.jit.dispatch import Dispatcher
from scriptmode.runtime import nativelib
from scriptmode.support import config

SAME, REFUSED, OVERFLOW, DIFFERENT, CRASH = "SAME", "REFUSED", "OVERFLOW", "DIFFERENT", "CRASH"
ARCHIVED = 4  # one program in so many is saved and loaded too
INVALID = "INVALID"  # no program: shrinking may make such
_numbers = itertools.count()


@dataclass(frozen=True)
class Verdict:
    """``kind`` and what was seen."""

    kind: str
    text: str = ""


@dataclass(frozen=True)
class Outcome:
    """What a call did, without references to its objects."""

    value: Any
    error: str
    message: str
    arguments: Any
    printed: str


class Canonical:
    """Values as nested tuples in which objects met again are numbers."""

    def __init__(self) -> None:
        self.seen: dict[int, int] = {}
        self.kept: list[Any] = []

    def of(self, value: Any) -> Any:
        if value is None or isinstance(value, (bool, int, float, str, bytes, complex, enum.Enum)):
            name = value.name if isinstance(value, enum.Enum) else value
            name = value.value if isinstance(value, enum.Flag) else name
            return (type(value).__name__, name)
        if isinstance(value, tuple):
            return (type(value).__name__, *map(self.of, value))
        number = self.seen.get(id(value))
        if number is not None:
            return ("again", number)
        self.seen[id(value)] = len(self.seen)
        self.kept.append(value)
        return (type(value).__name__, *self._parts(value))

    def _parts(self, value: Any) -> tuple[Any, ...]:
        if isinstance(value, torch.Tensor):
            storage = self.seen.setdefault(value.untyped_storage().data_ptr(), len(self.seen))
            return (str(value.dtype), tuple(value.shape), storage, tuple(value.tolist()))
        if isinstance(value, dict):
            made = getattr(value, "default_factory", None)
            return (made, *((self.of(k), self.of(v)) for k, v in value.items()))
        if isinstance(value, collections.deque):
            return (value.maxlen, *map(self.of, value))
        if isinstance(value, (list, set, frozenset)):
            return tuple(map(self.of, value))
        return tuple((k, self.of(v)) for k, v in sorted(vars(value).items()))


def outcome(function: Callable[..., Any], make: Callable[[], tuple[Any, ...]]) -> Outcome:
    """Call ``function`` with new arguments."""
    arguments = make()
    value: Any = None
    error = message = ""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            value = function(*arguments)
        except Exception as raised:
            error, message = type(raised).__name__, str(raised)
            raised.__traceback__ = None
    canonical = Canonical()
    return Outcome(canonical.of(value), error, message, canonical.of(arguments), printed.getvalue())


def equal(a: Any, b: Any) -> bool:
    """Equality with a tolerance for floats."""
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return a == b or (a != a and b != b) or math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-6)
    return type(a) is type(b) and bool(a == b)


def difference(want: Outcome, got: Outcome) -> str:
    """What differs; empty when nothing does."""
    for field in dataclasses.fields(Outcome):
        a, b = getattr(want, field.name), getattr(got, field.name)
        if field.name == "message" and not want.message.strip("'").startswith("mine"):
            continue
        if not equal(a, b):
            context = f" (eager: {want.error}: {want.message}; here: {got.error}: {got.message})"
            shown = context if want.error or got.error else ""
            return f"{field.name}: eager {a!r}, here {b!r}{shown}"
    return ""


@contextlib.contextmanager
def loaded(text: str) -> Any:
    """The module of a program's text, in a file, as compilers need it."""
    name = f"generated_{next(_numbers)}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.py"
        path.write_text(text)
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
            yield module
        finally:
            del sys.modules[name]


def judge(text: str) -> Verdict:
    """Run a program every way."""
    torch.set_num_threads(1)
    before = nativelib.live_objects(), nativelib.live_tensors()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with loaded(text) as module:
                verdict = _judge(module)
        del module
    except Exception as error:
        return Verdict(INVALID, repr(error))
    gc.collect()
    after = nativelib.live_objects(), nativelib.live_tensors()
    if verdict.kind == SAME and after != before:
        return Verdict(DIFFERENT, f"left alive: {after[0] - before[0]} objects, "
                       f"{after[1] - before[1]} tensors")  # fmt: skip
    return verdict


def _judge(module: ModuleType) -> Verdict:
    wanted = [outcome(module.f, make) for make in module.ARGUMENTS]
    if any(w.error in ("NameError", "UnboundLocalError", "TypeError") for w in wanted):
        return Verdict(INVALID, wanted[0].message)
    compiled: Dispatcher | None = None
    for level in getattr(module, "LEVELS", (1, 0)):
        with config.override(opt=level):
            try:
                compiled = _compiled(module.f, compiled)
            except scriptmode.InternalError as error:
                return Verdict(DIFFERENT, f"compiler failed: {error}")
            except scriptmode.ScriptError as error:
                return Verdict(REFUSED, str(error))
            except Exception as error:
                return Verdict(DIFFERENT, f"compiler failed: {error!r}")
            bailouts = scriptmode.bailout_count()
            for call in range(2 if level else 1):
                for make, want in zip(module.ARGUMENTS, wanted, strict=True):
                    found = _compare(want, compiled.call, make, f"opt {level}, call {call}")
                    if found is not None:
                        return found
            if scriptmode.bailout_count() != bailouts:
                return Verdict(DIFFERENT, f"left native code: {dict(compiled.bailouts)}")
    assert compiled is not None
    variant = compiled.variants[-1]
    for make, want in zip(module.ARGUMENTS, wanted, strict=True):

        def interpreted(*arguments: Any) -> Any:
            return Interpreter(variant.program).run(variant.function, *arguments)

        found = _compare(want, interpreted, make, "interpreter")
        if found is not None:
            return found
    return _archived(module, wanted) or Verdict(SAME)


def _archived(module: ModuleType, wanted: Sequence[Outcome]) -> Verdict | None:
    """What differs in a program that comes out of an archive, for some of the programs."""
    if zlib.crc32(inspect.getsource(module).encode()) % ARCHIVED:
        return None
    compiled = scriptmode.script(module.f)
    for make in module.ARGUMENTS:
        outcome(compiled, make)  # the archive has programs for all types of arguments
    first, again = io.BytesIO(), io.BytesIO()
    try:
        scriptmode.save(compiled, first)
    except scriptmode.ArchiveError:
        return None  # says what cannot be saved
    try:
        loaded = scriptmode.load(io.BytesIO(first.getvalue()))
        for make, want in zip(module.ARGUMENTS, wanted, strict=True):
            found = _compare(want, loaded, make, "loaded")
            if found is not None:
                return found
        scriptmode.save(loaded, again)
    except scriptmode.ScriptError as error:
        return Verdict(DIFFERENT, f"archive: {error}")
    if first.getvalue() != again.getvalue():
        return Verdict(DIFFERENT, "the archive of what was loaded has other bytes")
    return None


def _compiled(function: Callable[..., Any], before: Dispatcher | None) -> Dispatcher:
    """``function`` compiled, or what the front end made of it ``before`` compiled again.

    The last instance knows the classes of all arguments.
    """
    if before is None:
        return scriptmode.script(function)._dispatcher
    variant = before.variants[-1]
    return Dispatcher(
        before.name,
        variant.program,
        variant.function,
        signature=before.signature,
        compile_instance=before._compile_instance,
    )


def _compare(
    want: Outcome, function: Callable[..., Any], make: Callable[[], Any], how: str
) -> Verdict | None:
    got = outcome(function, make)
    if got.error == "OverflowError" and want.error != "OverflowError":
        return Verdict(OVERFLOW, how)
    if got.error in ("NotBuiltError", "CompileError", "ScriptTypeError"):
        return Verdict(REFUSED, f"{how}: {got.message}")
    found = difference(want, got)
    return Verdict(DIFFERENT, f"{how}: {found}") if found else None
