"""The canonical text of graphs and programs.

::

    graph forward(%self: Module<m.Cell>, %x: Tensor, %n: int = 3) -> Tensor:  # m.py:10:4
      %w: Tensor = prim::GetAttr[name='weight'](%self) @cell  # m.py:12:8
      %0: bool = tensor::bool(%w)
      %1: Tensor = prim::If(%0)
        block0():
          %2: Tensor = aten::relu(%x)
          -> (%2)
        block1():
          return (%x)
      return (%1)

Yield prints as ``-> (...)``, at the end of a function as ``return (...)``; Return as
``return (...)`` in nested blocks.  ``@`` precedes the scope, ``#`` the place.  A program's print
has the declarations of its types in front.  ``ir.parser`` reads an equal graph back, always; only
``elide_tensors`` gives a text for humans alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from scriptmode.ir import graph as graph_module
from scriptmode.ir.graph import (
    BREAK,
    CONTINUE,
    LEAVE,
    RETURN,
    UNREACHABLE,
    YIELD,
    Block,
    Graph,
    Node,
    Program,
    Value,
)
from scriptmode.ir.literals import LiteralWriter
from scriptmode.ir.types import ClassType, EnumType, NamedTupleType, Type, walk
from scriptmode.support.source import Span

_PLAIN_NAME = re.compile(r"[\w.]+")
_PLAIN_FILE = re.compile(r"[^\"'#\n\r]+")
_TERMINATORS: Mapping[str, str] = {
    YIELD: "-> ",
    BREAK: "break ",
    CONTINUE: "continue ",
    LEAVE: "leave ",
    RETURN: "return ",
}


@dataclass(frozen=True)
class PrintOptions:
    """``spans``: where a node starts, its whole range and function, or nothing."""

    elide_tensors: bool = False
    spans: Literal["start", "full", "none"] = "start"


CANONICAL = PrintOptions()


def print_graph(graph: Graph, options: PrintOptions = CANONICAL) -> str:
    """The text of one function, ending without a newline."""
    writer = _scanned([graph], (), options)
    return "\n".join(_GraphPrinter(graph, writer, options).lines())


def print_program(
    program: Program, options: PrintOptions = CANONICAL, writer: LiteralWriter | None = None
) -> str:
    """The text of a whole program, ending without a newline; ``writer`` writes its values."""
    return _print_program(program, options, writer)[0]


def local_objects(program: Program) -> dict[str, Any]:
    """The objects that ``parse_program`` must be handed to restore the program, by printed name."""
    return _print_program(program, PrintOptions(elide_tensors=True))[1].locals


def _print_program(
    program: Program, options: PrintOptions, writer: LiteralWriter | None = None
) -> tuple[str, LiteralWriter]:
    constants = [c.constants for c in program.classes.values()]
    writer = writer or _scanned(program.functions.values(), constants, options)
    parts = ["\n".join(_declarations(program, writer))]
    for key, graph in program.functions.items():
        assert key == graph.name, f"function {graph.name} is listed as {key}"
        parts.append("\n".join(_GraphPrinter(graph, writer, options).lines()))
    return "\n\n".join(parts), writer


def _scanned(
    graphs: Iterable[Graph], constants: Iterable[Any], options: PrintOptions
) -> LiteralWriter:
    writer = LiteralWriter(elide_tensors=options.elide_tensors)
    for value in constants:
        writer.scan(value)
    for graph in graphs:
        writer.scan(graph.defaults)
        for node in graph.walk():
            writer.scan(node.attributes)
    return writer


def place_text(span: Span, style: Literal["start", "full"]) -> str:
    """``file:line:column``, with end and function in the full style."""
    file = span.file if _PLAIN_FILE.fullmatch(span.file) else repr(span.file)
    text = f"{file}:{span.line}:{span.column}"
    if style == "full":
        text += f"-{span.end_line}:{span.end_column}"
        text += f" in {span.function!r}" if span.function else ""
    return text


def name_text(name: str) -> str:
    """A function's or scope's name, quoted where needed."""
    return name if _PLAIN_NAME.fullmatch(name) else repr(name)


class _GraphPrinter:
    """Prints one graph; names of values are unique within it."""

    def __init__(self, graph: Graph, writer: LiteralWriter, options: PrintOptions) -> None:
        self.graph = graph
        self.writer = writer
        self.options = options
        self.names: dict[Value, str] = {}
        self.taken = {p.name for p in graph.params}
        self.unnamed = 0
        self.suffixes: dict[str, int] = {}

    def lines(self) -> Iterator[str]:
        graph = self.graph
        params = ", ".join(map(self.param, graph.params))
        result = "" if graph.return_type is None else f" -> {graph.return_type}"
        yield f"graph {name_text(graph.name)}({params}){result}:{self.place(graph.span)}"
        if graph.doc:
            yield f"  doc {graph.doc!r}"
        yield from self.block(graph.block, "  ")

    def param(self, value: Value) -> str:
        # a parameter's name is part of the signature, so it is never changed
        name = self.names[value] = value.name if value.name else self.fresh("")
        text = f"%{name}: {value.type}"
        if value.name in self.graph.kwarg_only:
            text = f"kwonly {text}"
        if value.name in self.graph.defaults:
            text += f" = {self.writer.write(self.graph.defaults[value.name])}"
        return text

    def fresh(self, hint: str) -> str:
        hint = re.sub(r"[^\w.]", "_", hint)
        if not hint or hint.isdecimal():
            while str(self.unnamed) in self.taken:
                self.unnamed += 1
            name = str(self.unnamed)
        else:
            name = hint
            number = self.suffixes.get(hint, 0)
            while name in self.taken:
                number += 1
                name = f"{hint}.{number}"
            self.suffixes[hint] = number
        self.taken.add(name)
        return name

    def define(self, values: Iterable[Value]) -> str:
        parts = []
        for value in values:
            self.names[value] = self.fresh(value.name)
            parts.append(f"%{self.names[value]}: {value.type}")
        return ", ".join(parts)

    def use(self, values: Iterable[Value]) -> str:
        # a value that is not in scope still prints, so that a broken graph can be looked at
        return ", ".join(
            f"%{self.names.get(v, '<' + (v.name or 'out of scope') + '>')}" for v in values
        )

    def block(self, block: Block, indent: str) -> Iterator[str]:
        for node in block.nodes:
            yield from self.node(node, indent)
        if block.is_terminated:
            yield indent + self.terminator(block.terminator, block) + self.tail(block.terminator)

    def terminator(self, node: Node, block: Block) -> str:
        if node.kind == UNREACHABLE:
            return "unreachable"
        word = _TERMINATORS[node.kind]
        if block.owner is None:
            if node.kind == YIELD:
                word = "return "
            elif node.kind == RETURN:
                word = RETURN
        return f"{word}({self.use(node.inputs)})"

    def node(self, node: Node, indent: str) -> Iterator[str]:
        text = node.kind
        if node.attributes:
            items = sorted(node.attributes.items())
            text += "[" + ", ".join(f"{k}={self.writer.write(v)}" for k, v in items) + "]"
        text += f"({self.use(node.inputs)})"
        if node.outputs:
            text = f"{self.define(node.outputs)} = {text}"
        yield indent + text + self.tail(node)
        for index, block in enumerate(node.blocks):
            yield f"{indent}  block{index}({self.define(block.params)}):"
            yield from self.block(block, indent + "    ")

    def tail(self, node: Node) -> str:
        scope = f" @{name_text(node.scope)}" if node.scope else ""
        return scope + self.place(node.span)

    def place(self, span: Span) -> str:
        if self.options.spans == "none" or not span.line:
            return ""
        return f"  # {place_text(span, self.options.spans)}"


def _declarations(program: Program, writer: LiteralWriter) -> Iterator[str]:
    yield f"program {name_text(program.root)}"
    for enumeration in program.enums.values():
        yield f"{enumeration}{_python_class(enumeration, writer)}:"
        for name, value in enumeration.members.items():
            yield f"  {name} = {writer.write(value)}"
    for named in _named_tuples(program):
        yield f"{named}{_python_class(named, writer)}"
    for cls in program.classes.values():
        yield from _class(cls, writer)
    if program.self_object is not None:
        yield f"self = {writer.reference(program.self_object)}"
    for name, value in program.globals.items():
        yield f"global {name_text(name)} = {writer.reference(value)}"


def _python_class(t: ClassType | EnumType | NamedTupleType, writer: LiteralWriter) -> str:
    return "" if t.python_class is None else f" = {writer.reference(t.python_class)}"


def _class(cls: ClassType, writer: LiteralWriter) -> Iterator[str]:
    yield f"{cls} {cls.original_name!r}{_python_class(cls, writer)}:"
    for base in cls.bases:
        yield f"  base {base}"
    for name, index in cls.slots.items():
        yield f"  field {index} {name_text(name)}: {cls.family[index]}"
    for name, t in cls.attributes.items():
        if name in cls.slots:
            continue
        word = "parameter" if name in cls.parameters else "attribute"
        yield f"  {'buffer' if name in cls.buffers else word} {name_text(name)}: {t}"
    for word, names in (("parameter", cls.parameters), ("buffer", cls.buffers)):
        for name in sorted(names - set(cls.attributes)):
            yield f"  {word} {name_text(name)}"
    for name in sorted(cls.left_to_class):
        yield f"  class {name_text(name)}"
    for name, t in cls.late.items():
        yield f"  late {name_text(name)}: {t}"
    for name, value in cls.constants.items():
        yield f"  constant {name_text(name)} = {writer.write(value)}"
    for name, function in cls.methods.items():
        yield f"  method {name_text(name)} = {name_text(function)}"


def _named_tuples(program: Program) -> list[NamedTupleType]:
    """Those declared or mentioned by the program, each after the ones it contains."""
    found: dict[Type, NamedTupleType] = {}

    def add(t: Type) -> None:
        for inner in reversed(walk(t)):
            if isinstance(inner, NamedTupleType):
                found.setdefault(inner, inner)

    for named in program.named_tuples.values():
        add(named)
    for cls in program.classes.values():
        for t in cls.attributes.values():
            add(t)
    for graph in program.functions.values():
        for value in _values(graph):
            add(value.type)
    return list(found.values())


def _values(graph: Graph) -> Iterator[Value]:
    yield from graph.params
    for node in graph.walk():
        yield from node.outputs
        for block in node.blocks:
            yield from block.params


graph_module.GRAPH_PRINTER = print_graph
