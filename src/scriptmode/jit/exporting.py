"""``export_library``: compiled functions and modules to native libraries."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import torch

from scriptmode.analysis.facts import TensorFact
from scriptmode.aot.build import PORTABLE, Request, build
from scriptmode.aot.checks import Method
from scriptmode.aot.linking import check_linker, link_shared, linker
from scriptmode.aot.problems import not_exported
from scriptmode.codegen.object_code import Target, host_target
from scriptmode.ir import types as T
from scriptmode.ir.graph import Graph, Program, copy_graph
from scriptmode.jit.dispatch import Dispatcher
from scriptmode.jit.function import ScriptFunction
from scriptmode.jit.module import EmptyBuild, RecursiveScriptModule
from scriptmode.jit.observation import Argument, Nothing, Subject
from scriptmode.jit.pipeline import optimize
from scriptmode.jit.versions import Direct, add_missing, special_code
from scriptmode.loops.lowering import without_torch
from scriptmode.runtime.instance import NativeInstance
from scriptmode.runtime.tree import Tree
from scriptmode.support.markers import HIDDEN_PARAMETER
from scriptmode.support.source import UNKNOWN

HEADERS = ("scriptmode.h", "scriptmode.hpp")


def export_library(
    m: Any, directory: str | os.PathLike[str], *, name: str | None = None,
    inputs: Inputs | None = None, standalone: bool = False, cpu: str = "portable",
    linker_command: str | None = None,
) -> Path:  # fmt: skip
    """Compile a program ahead of time to a shared library that runs without Python.

    Parameters
    ----------
    m
        What ``scriptmode.script``, ``scriptmode.trace`` or ``scriptmode.load`` has returned.
    directory
        Where ``libNAME.so``, ``NAME.weights`` and ``scriptmode.h`` go; made if it is not there.
        Each file is the old one or the whole new one.
    name
        The library's name; by default that of the function or of the module's class.
    inputs
        Example arguments of the method that a call runs, or of several methods by name. A
        standalone library is made for tensors of their sizes, strides and dtypes, and has only
        these methods; others take any tensors and need none.
    standalone
        A library that needs neither libtorch nor a C++ runtime, for programs whose ops all become
        loops of our own.
    cpu
        "portable" for any processor of this architecture, "native" for one like this machine's.
    linker_command
        The C compiler that links; "zig" for the one of ``ziglang``, which is for standalone
        libraries.

    Returns
    -------
    pathlib.Path
        The library.

    Raises
    ------
    CompileError
        The program does what a library cannot do (Python code, state that is kept between calls,
        types that have no form in C), and where; or linking has failed.
    """
    chosen = name or re.sub(r"\W", "_", _name_of(m)).lower()
    if not re.fullmatch(r"[A-Za-z0-9_\-]+", chosen):
        raise ValueError(f"{chosen!r} is no name for a library: letters, digits, _ and - are")
    command = linker(linker_command)
    if not standalone:
        check_linker(command)
    if standalone and inputs is None:
        raise ValueError("a standalone library is made for certain tensors: give inputs")
    if standalone:
        assert inputs is not None
        with without_torch():
            built = build(standalone_request(m, chosen, inputs), _target(cpu))
    else:
        built = build(_request(m, chosen), _target(cpu))
    file = f"lib{chosen}.so"
    files = {
        file: link_shared(built.code, file, command, has_libtorch=not standalone),
        **({f"{chosen}.weights": built.weights} if built.weights else {}),
        **{header: _header(header) for header in HEADERS},
    }
    _write(Path(directory), files)
    return Path(directory) / file


def _target(cpu: str) -> Target:
    if cpu not in ("portable", "native"):
        raise ValueError(f"cpu is {cpu!r}; it can be 'portable' or 'native'")
    return PORTABLE if cpu == "portable" else host_target()


def _header(name: str) -> bytes:
    return resources.files("scriptmode.aot").joinpath("include", name).read_bytes()


def _write(directory: Path, files: Mapping[str, bytes]) -> None:
    """Write files beside where they belong, then move them there, the library last."""
    directory.mkdir(parents=True, exist_ok=True)
    folder = tempfile.mkdtemp(prefix=".export-", dir=directory)
    try:
        for name, content in files.items():
            with open(os.path.join(folder, name), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for name in sorted(files, key=lambda n: n.endswith(".so")):
            os.replace(os.path.join(folder, name), directory / name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _name_of(m: Any) -> str:
    if isinstance(m, RecursiveScriptModule):
        return str(m.original_name)
    if isinstance(m, ScriptFunction):
        return str(m.name)
    what = "a module" if isinstance(m, torch.nn.Module) else f"a {type(m).__name__}"
    raise not_exported(f"{what} that is not compiled", UNKNOWN, "scriptmode.script it first")


def _request(m: Any, name: str) -> Request:
    """What there is to export."""
    source, dispatchers, instance = _offered(m)
    program = optimize(source)
    methods = []
    for method, (dispatcher, function) in dispatchers.items():
        graph = program.functions[function]
        _check_callable(source, dispatcher, graph)
        methods.append(Method(method, graph, instance, dict(graph.defaults)))
    return _whole(name, program, methods, instance, "libtorch")


def _whole(
    name: str, program: Program, methods: Sequence[Method], instance: NativeInstance | None,
    flavour: str,
) -> Request:  # fmt: skip
    """The request with the tensors of the modules."""
    tree = instance.tree if instance is not None else Tree()
    roots = [] if instance is None else [(instance, methods[0].graph.params[0].type)]
    captured: dict[str, tuple[int, T.ClassType]] = {}
    for key, found, t in _captured(program, tree):
        captured[key] = (found.address, t)
        roots.append((found, t))

    def table(wanted: Collection[tuple[str, str]]) -> Sequence[torch.Tensor | None]:
        values: list[torch.Tensor | None] = [None] * tree.table_size
        for owner, t in roots:
            assert isinstance(t, T.ClassType), "instances are of class types"
            for row in owner.rows_read(t, wanted):
                values[row.index] = row.place.get(row.name)
        return values

    return Request(name, program, methods, table, captured, flavour)


Inputs = Sequence[Any] | Mapping[str, Sequence[Any]]


def _offered(m: Any) -> tuple[Program, dict[str, tuple[Dispatcher, str]], NativeInstance | None]:
    """The program, its methods with their functions, and the instance that they are called on."""
    if isinstance(m, RecursiveScriptModule):
        if m._path or isinstance(m._build, EmptyBuild):
            raise not_exported(f"{m.original_name}, which is part of a module", UNKNOWN)
        methods = {n: (m._dispatcher_for(n), f) for n, f in m._build.methods.items()}
        return m._build.program, methods, m._instance
    primary = m._dispatcher.primary
    return (
        primary.program, {m.name: (m._dispatcher, primary.function)}, m._dispatcher.instance
    )  # fmt: skip


def standalone_request(m: Any, name: str, inputs: Inputs) -> Request:
    """What a library without libtorch is made of: code for tensors like those of ``inputs``."""
    source, dispatchers, instance = _offered(m)
    if not isinstance(inputs, Mapping):
        entry = m._build.entry if isinstance(m, RecursiveScriptModule) else m.name
        inputs = {entry: inputs}
    program = Program()
    methods = []
    for method, given in inputs.items():
        if method not in dispatchers:
            raise ValueError(f"{method!r} is no compiled method; there are {[*dispatchers]}")
        dispatcher, function = dispatchers[method]
        _check_callable(source, dispatcher, source.functions[function])
        subject = dispatcher.primary.versions.subject
        if subject.reason:
            raise not_exported(
                f"{method} to a standalone library: {subject.reason}", subject.graph.span
            )
        values = list(dispatcher._bind(tuple(given), {}).values())
        methods.append(_special_method(program, method, subject, values, instance))
    return _whole(name, program, methods, instance, "standalone")


def _special_method(
    program: Program, name: str, subject: Subject, values: Sequence[Any],
    instance: NativeInstance | None,
) -> Method:  # fmt: skip
    """Add the code of one method to the program of a library."""
    seen = subject.everything(values)
    own, special, known = special_code(subject, seen, subject.program, ())
    root = Direct(own, subject, special, known.extra).graph
    own.add(root)
    for t in own.classes.values():
        for function in () if t.is_module else t.methods.values():
            if function not in own.functions and function in subject.program.functions:
                add_missing(
                    own, subject.program, own.add(copy_graph(subject.program.functions[function]))
                )
    for function, graph in own.functions.items():
        program.functions.setdefault(function, graph)
    program.classes.update(own.classes)
    program.enums.update(own.enums)
    program.named_tuples.update(own.named_tuples)
    program.globals.update(own.globals)
    root.doc = subject.graph.doc
    original = subject.program.functions[subject.function]
    root.span = original.span
    arguments = {p: f for p, f in seen.items() if isinstance(p, Argument) and not p.path}
    return Method(
        name, root, instance, dict(original.defaults),
        {p.name: f for p, f in arguments.items() if isinstance(f, TensorFact)},
        frozenset(p.name for p, f in arguments.items() if isinstance(f, Nothing)),
    )  # fmt: skip


def _check_callable(program: Program, dispatcher: Dispatcher, graph: Graph) -> None:
    """Refuse what only Python can pass or take."""
    if dispatcher._unflatten is not None:
        raise not_exported(
            "a trace whose result is nested", graph.span, "trace a function that returns tensors"
        )
    if program.known.get(graph.name) or any(
        p.name.startswith(HIDDEN_PARAMETER) for p in graph.params
    ):
        raise not_exported("a program that takes a function or an object of Python", graph.span)
    if graph.name in program.results:
        raise not_exported("a program that returns an object of Python", graph.span)


def _captured(program: Program, tree: Tree) -> Iterator[tuple[str, NativeInstance, T.ClassType]]:
    """The modules that a program has captured."""
    for graph in program.functions.values():
        for node in graph.find_all("prim::Global"):
            t, name = node.output.type, node.attributes["name"]
            if not (isinstance(t, T.ClassType) and t.is_module):
                raise not_exported(
                    f"`{name}`, which the program shares with Python", node.span,
                    "pass it as an argument",
                )  # fmt: skip
            yield name, NativeInstance.of(t, program.globals[name], tree), t
