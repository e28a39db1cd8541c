"""What the command line does, one function for each command."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch

from scriptmode.cli import files
from scriptmode.cli.contents import shown
from scriptmode.ir.code import print_code
from scriptmode.ir.printer import PrintOptions, print_program
from scriptmode.jit.exporting import export_library
from scriptmode.jit.loading import contents, load
from scriptmode.jit.module import RecursiveScriptModule
from scriptmode.jit.saving import save
from scriptmode.support.diagnostics import ScriptError

_OPTION = re.compile(r"-[^\d.]")
_INPUT = (
    "a file (.npy, .safetensors, .json), JSON, or name=value; numbers and lists become tensors "
    "where a tensor is taken"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit status: 0, 1 for an error, 2 for a wrong command."""
    parser = _parser()
    options, rest = parser.parse_known_args(argv)  # inputs may stand behind options
    unknown = [text for text in rest if _OPTION.match(text) or "inputs" not in options]
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if rest:
        options.inputs += rest
    command: Callable[[argparse.Namespace], None] = options.command
    try:
        command(options)
    except files.UsageError as error:
        print(f"scriptmode: {error}", file=sys.stderr)
        return 2
    except (ScriptError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scriptmode", description="Look at, convert, run and export compiled programs."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    made = commands.add_parser("inspect", help="say what an archive (.sm, TorchScript .pt) holds")
    made.add_argument("file")
    made.add_argument("--verify", action="store_true", help="look at the checksums of weights too")
    made.add_argument("--code", action="store_true", help="print the programs as Python")
    made.add_argument("--ir", action="store_true", help="print the programs' IR")
    made.add_argument("--json", action="store_true", help="print what it holds as JSON")
    made.set_defaults(command=_inspect)

    made = commands.add_parser("convert", help="make a .sm archive of a TorchScript file")
    made.add_argument("file")
    made.add_argument("result", help="the .sm archive")
    made.set_defaults(command=_convert)

    made = commands.add_parser("run", help="call a program of an archive")
    made.add_argument("file")
    made.add_argument("inputs", nargs="*", metavar="INPUT", help=_INPUT)
    made.add_argument("--method", default="forward", help="of a module (default: forward)")
    made.add_argument("--output", help="a file for the result (.npy, .safetensors, .json)")
    made.add_argument("--threads", type=int, help="threads of each op")
    made.set_defaults(command=_run)

    made = commands.add_parser("export", help="make a native library of an archive")
    made.add_argument("file")
    made.add_argument("directory")
    made.add_argument("inputs", nargs="*", metavar="INPUT", help=f"examples: {_INPUT}")
    made.add_argument("--name", help="of the library")
    made.add_argument("--standalone", action="store_true", help="without libtorch, for the inputs")
    made.add_argument("--linker", help='the C compiler that links; "zig" for that of ziglang')
    made.set_defaults(command=_export)
    return parser


def _inspect(options: argparse.Namespace) -> None:
    found = contents(options.file, verify=options.verify)
    if options.json:
        print(json.dumps(found.facts, indent=1, ensure_ascii=False))
        return
    print("\n".join(shown(found)))
    for program in found.programs:
        if options.ir:
            print(f"\n{print_program(program, PrintOptions(elide_tensors=True))}")
        if options.code:
            print(f"\n{print_code(program, list(program.functions)).text}")


def _convert(options: argparse.Namespace) -> None:
    save(load(options.file), options.result)


def _called(options: argparse.Namespace, method: str) -> tuple[Any, list[Any], dict[str, Any]]:
    """The loaded program, and the arguments of a call of it."""
    loaded = load(options.file)
    function = loaded
    if isinstance(loaded, RecursiveScriptModule):
        if not loaded._build.is_method(loaded, method):
            names = ", ".join(loaded._build.methods)
            raise files.UsageError(f"{options.file} has no method {method}; it has {names}")
        function = getattr(loaded, method)
    elif method != "forward":
        raise files.UsageError(f"{options.file} holds a function, which has no methods")
    types = {p.name: p.type for p in function.graph.params}
    parameters = list(function._dispatcher.signature.parameters)
    positional, keywords = files.arguments(options.inputs)
    positional = [
        files.fitted(v, types.get(parameters[i]) if i < len(parameters) else None)
        for i, v in enumerate(positional)
    ]
    keywords = {n: files.fitted(v, types.get(n)) for n, v in keywords.items()}
    return loaded if method == "forward" else function, positional, keywords


def _run(options: argparse.Namespace) -> None:
    if options.threads is not None:
        if options.threads < 1:
            raise files.UsageError("--threads needs a number from 1 on")
        torch.set_num_threads(options.threads)
    if options.output is not None:
        files.writer_for(options.output)  # fails before the program runs
    function, positional, keywords = _called(options, options.method)
    try:
        with torch.no_grad():
            result = function(*positional, **keywords)
    except ScriptError:
        raise
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    if options.output is None:
        print(result)
    else:
        files.write(result, options.output)


def _export(options: argparse.Namespace) -> None:
    inputs: tuple[Any, ...] | None = None
    if options.inputs:
        loaded, positional, keywords = _called(options, "forward")
        if keywords:
            raise files.UsageError("examples are given by position")
        inputs = tuple(positional)
    else:
        loaded = load(options.file)
    made = export_library(
        loaded, options.directory, name=options.name, inputs=inputs,
        standalone=options.standalone, linker_command=options.linker,
    )  # fmt: skip
    print(made)
