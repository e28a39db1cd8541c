"""``load``: compiled functions and modules from ``.sm`` archives."""

from __future__ import annotations

import inspect
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from scriptmode.archive.classes import ClassReader
from scriptmode.archive.container import Archive, opened
from scriptmode.archive.manifest import EXTRA, FORMAT, MANIFEST
from scriptmode.archive.programs import read_program
from scriptmode.archive.read_values import ValueReader
from scriptmode.archive.signatures import decode_recording, decode_signature
from scriptmode.archive.value_kinds import Json
from scriptmode.archive.weights import WeightReader
from scriptmode.autodiff.differentiate import program_of
from scriptmode.frontend.script import ClassFacts
from scriptmode.frontend.script.source import STUB
from scriptmode.frontend.trace import TracedMethod, TraceResult
from scriptmode.ir import types as T
from scriptmode.ir.graph import Graph, Program, copy_graph
from scriptmode.jit.dispatch import Dispatcher
from scriptmode.jit.function import SAVERS, ScriptFunction
from scriptmode.jit.module import CALL, Build, RecursiveScriptModule
from scriptmode.jit.pipeline import compile_native
from scriptmode.jit.tracing import TraceBuild, compiled_recording
from scriptmode.runtime.instance import UNBOUND, present
from scriptmode.support.diagnostics import CompileError, Diagnostic
from scriptmode.torchscript.reader import Loaded, read_torchscript

_WRONG = (AttributeError, LookupError, TypeError, ValueError, RecursionError)


def load(
    f: Any,
    map_location: Any = None,
    _extra_files: dict[str, Any] | None = None,
    _restore_shapes: bool = False,
    *,
    verify: bool = False,
) -> Any:
    """Read a compiled function or module from an archive; nothing in it is executed.

    Parameters
    ----------
    f
        A path, or a binary file that is open for reading.  A file at a path is mapped: tensors
        are read when they are first used.
    map_location
        Where tensors go, such as ``"cpu"``; where they were when it is None.
    _extra_files
        A dict whose values become the contents (bytes) of the extra files that its keys name.
    _restore_shapes
        Accepted for torch.jit's callers.
    verify
        Whether the checksums of weights and extra files are looked at too.

    Raises
    ------
    ArchiveError
        The file is no archive, or a damaged one: what is wrong, and where.
    """
    device = None if map_location is None else torch.device(map_location)
    with opened(f) as archive:
        if verify:
            for name in archive.names:
                archive.verify(name)
        folder = archive.folder + EXTRA
        extra = {n: archive.read(folder + n) for n in _extra_files or {}}
        if archive.is_torchscript:
            found = _torchscript(read_torchscript(archive, device))
        else:
            found = _Reader(archive, device).result()
    if _extra_files is not None:
        _extra_files.update(extra)
    return found


@dataclass(frozen=True)
class Contents:
    """What an archive holds, without native code.

    ``facts`` are what JSON can say: the kind, versions, methods, tensors and files.
    """

    facts: dict[str, Any]
    programs: list[Program]
    methods: dict[str, str]  # the functions of the first program that can be called, by name


def contents(f: Any, *, verify: bool = False) -> Contents:
    """Look at an archive; raises ArchiveError as ``load`` does."""
    with opened(f) as archive:
        if verify:
            for name in archive.names:
                archive.verify(name)
        facts: dict[str, Any] = {"kind": "TorchScript module"}
        root: Any = None
        if archive.is_torchscript:
            loaded = read_torchscript(archive, None)
            root, programs, methods = loaded.root, [loaded.program], loaded.methods
        else:
            reader = _Reader(archive, None)
            facts = {n: reader.manifest.get(n) for n in ("kind", "format", "scriptmode", "torch")}
            try:
                root, programs, methods = reader.inside()
            except _WRONG as error:
                what = f"{type(error).__name__}: {error}"[:300]
                raise archive.problem(what, MANIFEST) from error
        graphs = {n: programs[0].functions[function] for n, function in methods.items()}
        facts["methods"] = {n: shown_signature(n, g, root is not None) for n, g in graphs.items()}
        facts["tensors"] = [] if root is None else [
            {"name": name, "kind": kind, "dtype": str(t.dtype).removeprefix("torch."),
             "shape": list(t.shape)}
            for kind, named in (
                ("parameter", root.named_parameters()), ("buffer", root.named_buffers()),
            )
            for name, t in named
        ]  # fmt: skip
        facts["files"] = {n: len(archive.view(n)) for n in archive.names}
    return Contents(facts, programs, dict(methods))


def shown_signature(name: str, graph: Graph, is_method: bool) -> str:
    """A function's name with the types that it takes and gives."""
    params = graph.params[1:] if is_method else graph.params
    listed = ", ".join(f"{p.name}: {p.type}" for p in params)
    return f"{name}({listed}) -> {graph.return_type}"


@dataclass(frozen=True)
class _Method:
    """A compiled function of an archive, and how it is called."""

    function: str
    shown: str
    signature: inspect.Signature
    stub: Any


class _Reader:
    """Makes what an archive holds."""

    def __init__(self, archive: Archive, device: torch.device | None) -> None:
        self.archive = archive
        self.problem = archive.problem
        self.manifest = found = self._manifest()
        weights = WeightReader(archive, found.get("storages"), found.get("tensors"), device)
        classes = ClassReader(found.get("classes"), self.problem)
        self.values = ValueReader(found.get("values"), weights, classes, self.problem)

    def _manifest(self) -> dict[str, Json]:
        try:
            found = json.loads(self.archive.read(MANIFEST))
        except (ValueError, RecursionError) as error:
            raise self.problem(f"no JSON: {error}", MANIFEST) from None
        if not isinstance(found, dict):
            raise self.problem("no object", MANIFEST)
        if found.get("format") != FORMAT:
            made_by = f", which scriptmode {found.get('scriptmode')} has made"
            what = f"its format is {found.get('format')}{made_by}; this one reads {FORMAT}"
            raise self.problem(what, MANIFEST)
        return found

    def result(self) -> Any:
        """The function or the module."""
        try:
            return self._function() if self.manifest.get("kind") == "function" else self._module()
        except _WRONG as error:
            raise self.problem(f"{type(error).__name__}: {error}"[:300], MANIFEST) from error

    def _programs(self) -> list[Program]:
        count, names = self.manifest.get("programs"), self.manifest.get("names")
        if type(count) is not int or count < 1 or not isinstance(names, dict):
            raise self.problem("it names no programs", MANIFEST)
        found = []
        for number in range(count):
            where = f"ir/{number}.ir"
            try:
                text = self.archive.read(where).decode()
            except UnicodeDecodeError as error:
                raise self.problem(str(error), where) from None
            found.append(read_program(text, names, self.values, self.problem, where))
        return found

    def _method(self, about: Any, program: Program, skipped: int) -> _Method:
        name = str(about["function"])
        if name not in program.functions:
            raise ValueError(f"there is no function {name}")
        signature = decode_signature(about["parameters"], self.values)
        if signature is None:
            raise ValueError("a method without parameters")
        return _Method(name, str(about["name"]), signature, _stub(about, signature, skipped > 0))

    def _recording(self, name: str, code: Any, program: Program, skipped: int) -> TracedMethod:
        found = decode_recording(name, code, self.values)
        if len(found.input_tree.leaves) != len(program.functions[name].params) - skipped:
            raise ValueError(f"{name} has other parameters")
        return found

    def _function(self) -> ScriptFunction:
        programs = self._programs()
        method = self._method(self.manifest.get("entry"), programs[0], 0)
        code = self.manifest.get("recording")
        if code is not None:
            recording = self._recording(method.function, code, programs[0], 0)
            made: ScriptFunction = compiled_recording(
                method.stub, TraceResult(programs[0], {method.function: recording})
            )
            return made
        dispatcher = Dispatcher(
            method.shown,
            programs[0],
            method.function,
            signature=method.signature,
            compile_instance=_one_of(programs, method.shown),
            stored=programs,
        )
        found = ScriptFunction(method.stub, dispatcher)
        found.archived, found.__scriptmode_flat__ = programs, True
        return found

    def inside(self) -> tuple[torch.nn.Module | None, list[Program], dict[str, str]]:
        """The module, if it is one, the programs, and the functions that can be called."""
        programs = self._programs()
        if self.manifest.get("kind") == "function":
            method = self._method(self.manifest.get("entry"), programs[0], 0)
            return None, programs, {method.shown: method.function}
        root, methods = self._root(programs[0])
        return root, programs, {n: m.function for n, m in methods.items()}

    def _root(self, program: Program) -> tuple[torch.nn.Module, dict[str, _Method]]:
        """The module of an archive, and its methods."""
        root = self.values.decode(self.manifest.get("root"))
        if not isinstance(root, torch.nn.Module):
            raise self.problem("its root is no module", MANIFEST)
        given, entry = self.manifest.get("methods"), self.manifest.get("entry")
        if not isinstance(given, dict) or not given or entry not in ("forward", CALL):
            raise self.problem("its module has no methods", MANIFEST)
        methods = {str(n): self._method(about, program, 1) for n, about in given.items()}
        self._check_root(program, root, methods)
        return root, methods

    def _module(self) -> RecursiveScriptModule:
        (program, *_) = self._programs()
        root, methods = self._root(program)
        entry = self.manifest.get("entry")
        for name, method in methods.items():
            if getattr(type(root), name, None) in (None, torch.nn.Module.forward):
                setattr(type(root), name, method.stub)
        program.self_object = root
        codes = self.manifest.get("recordings")
        if codes is None:
            build = LoadedBuild(program, methods, str(entry))
            build.parts = dict(self._parts(program))
            return build.wrap(root)
        recordings = {str(n): self._recording(n, c, program, 1) for n, c in codes.items()}
        return TraceBuild(TraceResult(program, recordings)).wrap(root)

    def _parts(self, program: Program) -> Iterator[tuple[str, inspect.Signature]]:
        """How methods of submodules are called, by function."""
        for name, code in self.manifest.get("parts", {}).items():
            signature = decode_signature(code, self.values)
            graph = program.functions[name]
            if signature is None or list(signature.parameters) != [
                p.name for p in graph.params[1:]
            ]:
                raise ValueError(f"{name} has other parameters")
            yield name, signature

    def _check_root(
        self, program: Program, root: torch.nn.Module, methods: Mapping[str, _Method]
    ) -> None:
        """Raise unless the modules have what the program reads of them."""
        own = program.functions[next(iter(methods.values())).function].params[0].type
        for method in methods.values():
            if program.functions[method.function].params[0].type != own:
                raise self.problem(f"{method.function} is no method of the root", MANIFEST)
        pending: list[tuple[T.Type, Any, str]] = [(own, root, "the root")]
        seen = set()
        while pending:
            t, module, what = pending.pop()
            if not isinstance(t, T.ClassType) or not t.is_module or id(module) in seen:
                continue
            seen.add(id(module))
            if not isinstance(module, torch.nn.Module):
                raise self.problem(f"{what} is no module", MANIFEST)
            for name, inner in t.attributes.items():
                value = present(module, name)
                if value is UNBOUND and name not in t.late:
                    raise self.problem(f"{what} has no `{name}`", MANIFEST)
                pending.append((inner, value, f"`{name}` of {what}"))


def _torchscript(loaded: Loaded) -> RecursiveScriptModule:
    """The module of a TorchScript file."""
    methods = {}
    cls = type(loaded.root)
    for name, function in loaded.methods.items():
        graph = loaded.program.functions[function]
        signature = _signature_of(graph)
        qualname = f"{cls.__qualname__}.{name}"
        about = {"module": cls.__module__, "qualname": qualname}
        methods[name] = _Method(function, qualname, signature, _stub(about, signature, True))
        if getattr(cls, name, None) in (None, torch.nn.Module.forward):
            setattr(cls, name, methods[name].stub)
    return LoadedBuild(loaded.program, methods, "forward").wrap(loaded.root)


def _signature_of(graph: Graph) -> inspect.Signature:
    """How a method is called, its module left out."""
    kinds = inspect.Parameter
    found = []
    for parameter in graph.params[1:]:
        is_keyword = parameter.name in graph.kwarg_only
        kind = kinds.KEYWORD_ONLY if is_keyword else kinds.POSITIONAL_OR_KEYWORD
        default = graph.defaults.get(parameter.name, kinds.empty)
        found.append(inspect.Parameter(parameter.name, kind, default=default))
    return inspect.Signature(found)


def _stub(about: Mapping[str, Any], signature: inspect.Signature, is_method: bool) -> Any:
    """A function of Python with the name and the parameters of a compiled one."""

    def stub(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(
            f"{stub.__qualname__} was loaded from an archive: it runs compiled, and has no source"
        )

    setattr(stub, STUB, True)
    stub.__module__, stub.__qualname__ = str(about["module"]), str(about["qualname"])
    stub.__name__ = stub.__qualname__.rpartition(".")[2]
    stub.__doc__ = about["doc"] if isinstance(about.get("doc"), str) else None
    parameters = list(signature.parameters.values())
    if is_method:
        is_first = bool(parameters) and parameters[0].kind is parameters[0].POSITIONAL_ONLY
        kinds = inspect.Parameter
        kind = kinds.POSITIONAL_ONLY if is_first else kinds.POSITIONAL_OR_KEYWORD
        parameters.insert(0, inspect.Parameter("self", kind))
    stub.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return stub


def _one_of(
    programs: Sequence[Program], name: str
) -> Callable[[Mapping[str, T.Type], ClassFacts], Program]:
    """What compiles a function for other types: those that the archive has a program for."""

    def compile_instance(given: Mapping[str, T.Type], facts: ClassFacts) -> Program:
        wanted = {n: str(t) for n, t in given.items()}
        for program in programs:
            if {p.name: str(p.type) for p in program.graph.params} == wanted:
                return program
        shown = ", ".join(f"{n}: {t}" for n, t in wanted.items())
        raise CompileError(
            Diagnostic(
                "SM0703",
                f"the archive has no program of {name} for ({shown})",
                help="call it once with arguments of these types before it is saved",
            )
        )

    return compile_instance


class LoadedBuild(Build):
    """Methods from an archive."""

    def __init__(self, program: Program, methods: Mapping[str, _Method], entry: str) -> None:
        super().__init__(program, {n: m.function for n, m in methods.items()})
        self.given = dict(methods)
        self.entry = entry
        self.parts: dict[str, inspect.Signature] = {}  # of methods of submodules, by function

    def signature_of_part(self, function: str) -> inspect.Signature | None:
        return self.parts.get(function)

    def is_method(self, module: RecursiveScriptModule, name: str) -> bool:
        if not module._path:
            return name in self.methods
        return self._own(module, name) is not None

    def _own(self, module: RecursiveScriptModule, method: str) -> str | None:
        """The function that is a method of a submodule, where the program has it."""
        if module._instance is None:
            return None
        t = module._instance.class_type
        for name, graph in self.program.functions.items():
            is_named = name.rpartition(".")[2] == method
            if is_named and graph.params and graph.params[0].type == t:
                return name
        return None

    def dispatcher(self, module: RecursiveScriptModule, method: str) -> Dispatcher:
        given = self.given.get(method) if not module._path else None
        program, compiled = self.program, self.compiled
        if given is not None:
            function: str | None = given.function
            signature: inspect.Signature | None = given.signature
        else:
            function = self._own(module, method)
            if function is None:
                raise AttributeError(f"{module._path}.{method} is not in the archive's program")
            signature = self.parts.get(function)
            program = program_of(copy_graph(program.functions[function]), program)
            compiled = compile_native(program)
        assert function is not None
        shown = given.shown if given is not None else f"{module.original_name}.{method}"
        return Dispatcher(
            shown,
            program,
            function,
            compiled=compiled,
            signature=signature,
            compile_instance=_one_of([], shown),
            self_object=module,
            instance=module._instance,
        )


def loaded_bytes(data: bytes) -> Any:
    """What the bytes of an archive hold."""
    return load(io.BytesIO(data))


SAVERS["from_bytes"] = loaded_bytes

__all__ = ["Contents", "contents", "load", "loaded_bytes"]
