"""Entries of programs written as IR text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import scriptmode.runtime.link  # noqa: F401  (registers the native library)
from scriptmode.codegen.engine import thunks
from scriptmode.codegen.module import compile_program
from scriptmode.ir.parser import parse_program
from scriptmode.ops.aten import schema_of
from scriptmode.runtime import nativelib
from scriptmode.runtime.boundary import make_entry


class WentSlow(Exception):
    """The entry called its slow path."""


def refuse(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A slow path that tells on the entry."""
    raise WentSlow(args, kwargs)


def entry(
    text: str,
    *,
    slow: Callable[..., Any] = refuse,
    defaults: Mapping[str, Any] | None = None,
    kwarg_only: tuple[str, ...] = (),
    objects: Mapping[str, Any] | None = None,
) -> Callable[..., Any]:
    """The entry of the first graph in ``text``."""
    program = parse_program(text, schema_of, objects=objects)
    graph = program.functions[program.root]
    graph.kwarg_only |= set(kwarg_only)
    compiled = compile_program(program, debug=thunks.debug)
    return make_entry(compiled, program.root, graph, slow=slow, defaults=defaults)


def identity(type_text: str, **options: Any) -> Callable[..., Any]:
    """An entry that returns its argument."""
    return entry(f"graph f(%x: {type_text}) -> {type_text}:\n  return (%x)\n", **options)


def alive() -> tuple[int, int]:
    """Native heap objects, and counted tensor references."""
    return nativelib.live_objects(), nativelib.live_tensors()


def resident_bytes() -> int:
    """Memory of the process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
