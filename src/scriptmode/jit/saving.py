"""``save``: compiled functions and modules to ``.sm`` archives."""

from __future__ import annotations

import collections
import dataclasses
import enum
import inspect
import io
import json
import types
from collections.abc import Callable, Mapping
from typing import Any

import torch

from scriptmode.archive.container import Entry, write_archive
from scriptmode.archive.manifest import EXTRA, FORMAT, MANIFEST
from scriptmode.archive.problems import not_saved
from scriptmode.archive.programs import NamedObjects, program_text
from scriptmode.archive.signatures import encode_recording, encode_signature
from scriptmode.archive.value_kinds import Json
from scriptmode.archive.values import ValueWriter
from scriptmode.ir.graph import Program
from scriptmode.jit.dispatch import Dispatcher
from scriptmode.jit.function import SAVERS, ScriptFunction
from scriptmode.jit.module import EmptyBuild, RecursiveScriptModule
from scriptmode.jit.tracing import TraceBuild, TracedFunction
from scriptmode.runtime.instance import UNBOUND, present
from scriptmode.version import __version__

_SIMPLE = (bool, int, float, complex, str, bytes, type(None))
_SEQUENCES = (list, tuple, set, frozenset, collections.deque, torch.Size)
_DICTS = (dict, collections.OrderedDict, collections.Counter)
_OWN_STATE = frozenset(vars(torch.nn.Module()))
_BACKWARD_HOOKS = ("_backward_hooks", "_backward_pre_hooks")
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", *_BACKWARD_HOOKS)


def save(m: Any, f: Any, _extra_files: Mapping[str, str | bytes] | None = None) -> None:
    """Write a compiled function or module to an archive.

    Parameters
    ----------
    m
        What ``scriptmode.script``, ``scriptmode.trace`` or ``scriptmode.load`` has returned.
    f
        A path, or a binary file that is open for writing.  At a path there is the old file or the
        whole new one, whatever happens while it is written.
    _extra_files
        Further files by name; ``load`` gives them back.

    Raises
    ------
    ArchiveError
        Something in the program or the module cannot be kept: which, and where.
    OSError
        The file cannot be written.
    """
    write_archive(f, archive_entries(m, _extra_files or {}))


def archive_entries(m: Any, extra: Mapping[str, str | bytes]) -> list[Entry]:
    """The files of the archive of ``m``."""
    for name in extra:
        if not name or any(p in ("", ".", "..") for p in name.split("/")) or "\\" in name:
            raise not_saved(f"an extra file by the name of {name!r}")
    writer = _writer_for(m)
    manifest = json.dumps(writer.manifest, indent=1, ensure_ascii=False).encode()
    tensors = writer.values.tensors
    return [
        Entry(MANIFEST, [manifest]),
        *(Entry(f"ir/{i}.ir", [t.encode()]) for i, t in enumerate(writer.texts)),
        *([tensors.entry()] if tensors.sizes else []),
        *(
            Entry(EXTRA + name, [data.encode() if isinstance(data, str) else bytes(data)])
            for name, data in extra.items()
        ),
    ]


def _writer_for(m: Any) -> _Writer:
    if isinstance(m, RecursiveScriptModule):
        return _module_writer(m)
    if isinstance(m, ScriptFunction):
        if m._dispatcher.self_object is not None:
            raise not_saved(f"the method {m.name} alone", help="save its module")
        return _function_writer(m)
    what = "a module" if isinstance(m, torch.nn.Module) else f"a {type(m).__name__}"
    raise not_saved(f"{what} that is not compiled", help="scriptmode.script it first")


class _Writer:
    """Collects what an archive is made of."""

    def __init__(self, modules: Callable[[torch.nn.Module], Mapping[str, Any]]) -> None:
        self.values = ValueWriter(modules, _eager)
        self.objects = NamedObjects(self.values)
        self.texts: list[str] = []
        self.about: dict[str, Json] = {}

    def program(self, program: Program) -> None:
        """Add a program."""
        self.texts.append(program_text(program, self.objects))

    def method(self, dispatcher: Dispatcher, function: Any, name: str) -> dict[str, Json]:
        """How a function is called: its name, its place and its parameters."""
        return {
            "function": name,
            "name": dispatcher.name,
            "module": str(getattr(function, "__module__", "")),
            "qualname": str(getattr(function, "__qualname__", dispatcher.name)),
            "doc": inspect.getdoc(function),
            "parameters": encode_signature(dispatcher.signature, self.values),
        }

    @property
    def manifest(self) -> dict[str, Json]:
        """What stands in the manifest."""
        return {
            "format": FORMAT,
            "scriptmode": __version__,
            "torch": torch.__version__.partition("+")[0],
            **self.about,
            "programs": len(self.texts),
            "names": self.objects.names,
            "values": self.values.rows,
            "classes": self.values.classes.rows,
            "tensors": self.values.tensors.rows,
            "storages": self.values.tensors.sizes,
        }


def _eager(module: torch.nn.Module) -> torch.nn.Module:
    """The module with the state of one that is compiled."""
    return module.to_eager() if isinstance(module, RecursiveScriptModule) else module


def _function_writer(m: ScriptFunction) -> _Writer:
    writer = _Writer(lambda module: _kept_of(module, frozenset()))
    variants = m._dispatcher.variants
    for program in dict.fromkeys([*m.archived, *(v.program for v in variants)]):
        writer.program(program)
    method = writer.method(m._dispatcher, m._function, variants[0].function)
    writer.about = {"kind": "function", "entry": method}
    if isinstance(m, TracedFunction) and m.recording is not None:
        writer.about["recording"] = encode_recording(m.recording, writer.values)
    return writer


def _module_writer(m: RecursiveScriptModule) -> _Writer:
    build = m._build
    if m._path or isinstance(build, EmptyBuild):
        is_part = "part of a compiled module" if m._path else "without a method to compile"
        raise not_saved(
            f"{m.original_name}, which is {is_part}",
            help="script that submodule itself" if m._path else "save a module that contains it",
        )
    original = m.to_eager()
    if any(vars(original).get(n) for n in _HOOKS):
        raise not_saved(f"{m.original_name}, which has hooks", help="remove them before")
    for name, part in original.named_modules():
        if any(vars(part).get(n) for n in _BACKWARD_HOOKS):
            raise not_saved(
                f"{name or m.original_name}, which has backward hooks", help="remove them before"
            )
    names = _names_by_class(build.program)
    writer = _Writer(lambda module: _kept_of(module, names.get(type(module), frozenset())))
    writer.program(build.program)
    writer.about = {
        "kind": "module",
        "root": writer.values.encode(original, m.original_name),
        "entry": build.entry,
        "methods": {
            name: writer.method(m._dispatcher_for(name), getattr(original, name), function)
            for name, function in build.methods.items()
        },
    }
    writer.about["parts"] = {
        name: encode_signature(signature, writer.values)
        for name, signature in ((n, build.signature_of_part(n)) for n in build.program.functions)
        if signature is not None and all(map(_has_plain_default, signature.parameters.values()))
    }
    if isinstance(build, TraceBuild):
        writer.about["recordings"] = {
            n: encode_recording(r, writer.values) for n, r in build.traced.items()
        }
    return writer


def _has_plain_default(parameter: inspect.Parameter) -> bool:
    return parameter.default is parameter.empty or _is_plain(parameter.default)


def _names_by_class(program: Program) -> dict[type, frozenset[str]]:
    """The attributes that a program knows of modules of each Python class."""
    found: dict[type, frozenset[str]] = {}
    for t in program.classes.values():
        if t.is_module and t.python_class is not None:
            before = found.get(t.python_class, frozenset())
            found[t.python_class] = before | {*t.attributes, *t.constants}
    return found


def _kept_of(module: torch.nn.Module, known: frozenset[str]) -> dict[str, Any]:
    """The attributes of a module that an archive keeps: what the program knows, and plain ones."""
    state = {n: v for n, v in vars(module).items() if n not in _OWN_STATE}
    found = {n: v for n, v in state.items() if n in known or _is_plain(v)}
    tables = {*module._parameters, *module._buffers, *module._modules, "training"}
    for name in sorted(known - tables - set(found)):
        value = present(module, name)
        if value is not UNBOUND and not isinstance(value, types.MethodType):
            found[name] = value
    return found


def _is_plain(value: Any) -> bool:
    """Whether a value that no program reads is kept: what settings are made of."""
    pending, seen = [value], set()
    while pending:
        part = pending.pop()
        if type(part) in _SIMPLE or id(part) in seen:
            continue
        seen.add(id(part))
        if type(part) in _SEQUENCES or (isinstance(part, tuple) and hasattr(part, "_fields")):
            pending += part
        elif type(part) in _DICTS:
            pending += [*part, *part.values()]
        elif dataclasses.is_dataclass(part) and not isinstance(part, (type, dict)):
            pending += vars(part).values()
        elif not isinstance(part, (enum.Enum, torch.dtype, torch.device)):
            return False
    return True


def saved_bytes(m: Any, extra: Mapping[str, str | bytes] | None = None) -> bytes:
    """The bytes of the archive of ``m``."""
    whole = io.BytesIO()
    save(m, whole, extra)
    return whole.getvalue()


SAVERS.update(save=save, to_bytes=saved_bytes)

__all__ = ["archive_entries", "save", "saved_bytes"]
