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

from scriptmode.aot.build import Request, build, portable_machine
from scriptmode.aot.checks import Method
from scriptmode.aot.linking import link_shared, linker
from scriptmode.aot.problems import not_exported
from scriptmode.ir import types as T
from scriptmode.ir.graph import Graph, Program
from scriptmode.jit.dispatch import Dispatcher
from scriptmode.jit.function import ScriptFunction
from scriptmode.jit.module import EmptyBuild, RecursiveScriptModule
from scriptmode.jit.pipeline import optimize
from scriptmode.runtime.instance import NativeInstance
from scriptmode.runtime.tree import Tree
from scriptmode.support.markers import HIDDEN_PARAMETER
from scriptmode.support.source import UNKNOWN

HEADERS = ("scriptmode.h",)


def export_library(
    m: Any, directory: str | os.PathLike[str], *, name: str | None = None,
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
    linker_command
        The C compiler that links; "zig" for the one of ``ziglang``.

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
    built = build(_request(m, chosen), portable_machine())
    file = f"lib{chosen}.so"
    files = {
        file: link_shared(built.code, file, command, has_libtorch=True),
        **({f"{chosen}.weights": built.weights} if built.weights else {}),
        **{header: _header(header) for header in HEADERS},
    }
    _write(Path(directory), files)
    return Path(directory) / file


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
    dispatchers: dict[str, tuple[Dispatcher, str]]
    if isinstance(m, RecursiveScriptModule):
        if m._path or isinstance(m._build, EmptyBuild):
            raise not_exported(f"{m.original_name}, which is part of a module", UNKNOWN)
        source = m._build.program
        dispatchers = {n: (m._dispatcher_for(n), f) for n, f in m._build.methods.items()}
        instance = m._instance
    else:
        primary = m._dispatcher.primary
        source = primary.program
        dispatchers = {m.name: (m._dispatcher, primary.function)}
        instance = m._dispatcher.instance
    program = optimize(source)
    methods = []
    for method, (dispatcher, function) in dispatchers.items():
        graph = program.functions[function]
        _check_callable(source, dispatcher, graph)
        methods.append(Method(method, graph, instance, dict(graph.defaults)))
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

    return Request(name, program, methods, table, captured)


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
