"""Reads the text that ``ir.printer`` writes.

``parse_graph(str(graph), resolve)`` is equal to ``graph``; ``parse_program`` likewise, declarations
included.  Blank lines and lines that hold only a comment are skipped, values may have any names,
and a program's head may be left out, so cases are comfortable to write by hand::

    graph(%x: Tensor):
      %y: Tensor = aten::relu(%x)
      return (%y)

Objects that text cannot hold (``local('...')``) are taken from ``objects``; where it lacks them an
``ObjectReference`` stands in.  No module is imported for a ``python('...')`` name.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

from scriptmode.ir.builder import Resolver
from scriptmode.ir.cursor import Cursor
from scriptmode.ir.graph import (
    BREAK,
    CONTINUE,
    LEAVE,
    RETURN,
    TERMINATORS,
    UNREACHABLE,
    YIELD,
    Block,
    Graph,
    Node,
    Program,
    Value,
)
from scriptmode.ir.literals import ObjectReference, TensorReader, look_up
from scriptmode.ir.quoting import unquoted
from scriptmode.ir.schema import OpSchema
from scriptmode.ir.types import (
    NONE,
    ClassType,
    EnumType,
    NamedTupleType,
    Type,
    UnsetType,
    link_families,
)
from scriptmode.support.source import UNKNOWN, Span

_KIND = re.compile(r"\w+::[\w.]+")
_BLOCK = re.compile(r"block\d+")
_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"\d+")
_PLACE = re.compile(
    r"# (?P<file>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|.+):(?P<line>\d+):(?P<column>\d+)"
    r"(?:-(?P<end_line>\d+):(?P<end_column>\d+)(?: in (?P<function>.+))?)?$"
)
_WORDS: Mapping[str, str] = {
    "->": YIELD, "break": BREAK, "continue": CONTINUE, "leave": LEAVE, "return": RETURN,
    "unreachable": UNREACHABLE,
}  # fmt: skip


def parse_graph(
    text: str,
    resolve_schema: Resolver,
    program: Program | None = None,
    *,
    objects: Mapping[str, Any] | None = None,
) -> Graph:
    """The only graph in ``text``; class types are those of ``program``, else made up."""
    parser = _Parser(text, resolve_schema, program or Program(), objects or {})
    graph = parser.graph()
    if parser.line is not None:
        raise parser.line.error("text after the graph")
    return graph


def parse_program(
    text: str,
    resolve_schema: Resolver,
    *,
    objects: Mapping[str, Any] | None = None,
    tensors: TensorReader | None = None,
) -> Program:
    """The program in ``text``; ``tensors`` builds those that are written out in it."""
    program = Program()
    parser = _Parser(text, resolve_schema, program, {} if objects is None else objects, tensors)
    parser.declarations()
    while parser.line is not None:
        graph = parser.graph()
        if not program.functions and not parser.has_root:
            program.root = graph.name
        program.add(graph)
    return program


class _Parser:
    def __init__(
        self,
        text: str,
        resolve: Resolver,
        program: Program,
        objects: Mapping[str, Any],
        tensors: TensorReader | None = None,
    ) -> None:
        self.resolve = resolve
        self.program = program
        self.objects = objects
        self.has_root = False
        self.undeclared: dict[tuple[str, str], Type] = {}
        self.values: dict[str, Value] = {}
        tensors = tensors or TensorReader()
        self.lines: list[tuple[int, Cursor]] = []
        for number, line in enumerate(text.split("\n"), 1):
            cursor = Cursor(line, number, self._named_type, self._object, tensors)
            cursor.skip()
            if not cursor.at_end():
                self.lines.append((cursor.position, cursor))
            self.end = cursor
        self.index = 0

    @property
    def line(self) -> Cursor | None:
        """The current line; None after the last."""
        return self.lines[self.index][1] if self.index < len(self.lines) else None

    @property
    def indent(self) -> int:
        """Indentation of the current line; -1 after the last."""
        return self.lines[self.index][0] if self.index < len(self.lines) else -1

    def _object(self, name: str, is_local: bool) -> Any:
        if name in self.objects:
            return self.objects[name]
        return ObjectReference(name) if is_local else look_up(name)

    def _named_type(self, kind: str, name: str) -> Type | None:
        declared = self.program.resolve_type(name)
        if declared is not None or not kind:
            return declared
        if (kind, name) not in self.undeclared:
            self.undeclared[kind, name] = (
                EnumType(name, {})
                if kind == "Enum"
                else ClassType(name, is_module=kind == "Module")
            )
        return self.undeclared[kind, name]

    # declarations

    def declarations(self) -> None:
        """The head of a program."""
        while self.line is not None and not _is_word(self.line, "graph"):
            line, indent = self.line, self.indent
            self.index += 1
            self._declaration(line, indent)
        link_families(list(self.program.classes.values()))

    def _declaration(self, line: Cursor, indent: int) -> None:
        start = line.position
        word = line.word()
        if word == "program":
            self.program.root, self.has_root = line.name(), True
        elif word == "self":
            line.expect("=")
            self.program.self_object = line.literal()
        elif word == "global":
            name = line.name()
            line.expect("=")
            self.program.globals[name] = line.literal()
        else:
            line.position = start
            self._type_declaration(line, line.type(), indent)
        if not line.at_end():
            raise line.error("unexpected text")

    def _type_declaration(self, line: Cursor, t: Type, indent: int) -> None:
        if isinstance(t, ClassType):
            t.original_name = str(line.string())
        cls = line.literal() if line.eat("=") else None
        if isinstance(t, NamedTupleType):
            self.program.named_tuples[t.name] = NamedTupleType(t.name, t.fields, t.elements, cls)
            return
        line.expect(":")
        if isinstance(t, EnumType):
            t.python_class = cls
            self.program.enums[t.name] = t
            self._members(indent, lambda member: self._enum_member(t, member))
        elif isinstance(t, ClassType):
            t.python_class = cls
            self.program.classes[t.name] = t
            self._members(indent, lambda member: self._class_member(t, member))
        else:
            raise line.error(f"{t} cannot be declared")

    def _members(self, indent: int, read: Callable[[Cursor], None]) -> None:
        while self.line is not None and self.indent > indent:
            line = self.line
            self.index += 1
            read(line)
            if not line.at_end():
                raise line.error("unexpected text")

    def _enum_member(self, t: EnumType, line: Cursor) -> None:
        name = line.word()
        line.expect("=")
        t.members[name] = line.literal()

    def _class_member(self, t: ClassType, line: Cursor) -> None:
        word = line.word()
        if word == "base":
            base = line.type()
            assert isinstance(base, ClassType)
            t.bases.append(base)
            return
        if word == "field":
            self._field(t, line)
            return
        name = line.name()
        if word == "constant":
            line.expect("=")
            t.constants[name] = line.literal()
        elif word == "class":
            t.left_to_class.add(name)
        elif word == "late":
            line.expect(":")
            t.late[name] = line.type()
        elif word == "method":
            line.expect("=")
            t.methods[name] = line.name()
        elif word in ("attribute", "parameter", "buffer"):
            if line.eat(":"):
                t.attributes[name] = line.type()
            if word == "parameter":
                t.parameters.add(name)
            elif word == "buffer":
                t.buffers.add(name)
        else:
            raise line.error(f"unknown member {word!r}")

    def _field(self, t: ClassType, line: Cursor) -> None:
        number = line.match(_NUMBER)
        if number is None:
            raise line.error("expected the number of a slot")
        index = int(number)
        name = line.name()
        line.expect(":")
        slot = line.type()
        t.family += [NONE] * (index + 1 - len(t.family))
        t.family[index], t.slots[name] = slot, index
        t.attributes[name] = slot.element if isinstance(slot, UnsetType) else slot

    # graphs

    def graph(self) -> Graph:
        """The graph that starts at the current line."""
        line, indent = self.line, self.indent
        if line is None or not _is_word(line, "graph"):
            raise (line or self.end).error("expected a graph")
        self.index += 1
        line.word()
        graph = Graph() if line.peek("(") else Graph(line.name())
        self.values = {}
        line.expect("(")
        line.items(")", lambda: self._graph_param(graph, line))
        if line.eat("->"):
            graph.return_type = line.type()
        line.expect(":")
        _, graph.span = self._tail(line)
        if self.line is not None and self.indent > indent and _is_word(self.line, "doc"):
            self.line.word()
            graph.doc = self.line.string()
            self.index += 1
        self._block(graph.block, indent)
        return graph

    def _graph_param(self, graph: Graph, line: Cursor) -> None:
        keyword_only = _is_word(line, "kwonly")
        if keyword_only:
            line.word()
        name, t = self._output(line)
        # unlike a hint, the name belongs to the signature
        self._define(line, name, graph.block.add_param(t, name))
        if keyword_only:
            graph.kwarg_only.add(name)
        if line.eat("="):
            graph.defaults[name] = line.literal()

    def _block(self, block: Block, indent: int) -> None:
        own = self.indent
        while self.line is not None and self.indent > indent:
            line = self.line
            if self.indent != own:
                raise line.error("unexpected indentation")
            if block.is_terminated:
                raise line.error("text after the end of a block")
            self.index += 1
            self._node(block, line, own)

    def _node(self, block: Block, line: Cursor, indent: int) -> None:
        if not line.match_ahead(_KIND):
            for word, kind in _WORDS.items():
                if line.eat(word):
                    at_top = word == "return" and block.owner is None
                    self._end(block, line, YIELD if at_top else kind)
                    return
        outputs: list[tuple[str, Type]] = []
        if line.peek("%"):
            outputs.append(self._output(line))
            while line.eat(","):
                outputs.append(self._output(line))
            line.expect("=")
        kind_text = line.match(_KIND)
        if kind_text is None:
            raise line.error("expected the kind of a node")
        if kind_text in TERMINATORS:
            self._end(block, line, kind_text)
            return
        node = Node(kind_text, schema=self._schema(kind_text, line))
        if line.eat("["):
            node.attributes = dict(line.items("]", lambda: self._attribute(line)))
        for value in self._inputs(line):
            node.add_input(value)
        node.scope, node.span = self._tail(line)
        block.append(node)
        for name, t in outputs:
            self._define(line, name, node.add_output(t, "" if name.isdecimal() else name))
        self._nested(node, indent)

    def _schema(self, kind: str, line: Cursor) -> OpSchema | None:
        if kind.startswith("prim::"):
            return None
        schema = self.resolve(kind)
        if schema is None:
            raise line.error(f"unknown op {kind}")
        return schema

    def _end(self, block: Block, line: Cursor, kind: str) -> None:
        inputs = [] if kind == UNREACHABLE and not line.peek("(") else self._inputs(line)
        node = block.terminate(kind, inputs)
        node.scope, node.span = self._tail(line)

    def _output(self, line: Cursor) -> tuple[str, Type]:
        name = line.value_name()
        line.expect(":")
        return name, line.type()

    def _define(self, line: Cursor, name: str, value: Value) -> None:
        if name in self.values:
            raise line.error(f"%{name} is defined twice")
        self.values[name] = value

    def _attribute(self, line: Cursor) -> tuple[str, Any]:
        name = line.word()
        line.expect("=")
        return name, line.literal()

    def _inputs(self, line: Cursor) -> list[Value]:
        line.expect("(")
        return line.items(")", lambda: self._input(line))

    def _input(self, line: Cursor) -> Value:
        name = line.value_name()
        if name not in self.values:
            raise line.error(f"%{name} is not defined")
        return self.values[name]

    def _nested(self, node: Node, indent: int) -> None:
        while self.line is not None and self.indent > indent:
            line, own = self.line, self.indent
            if line.match(_BLOCK) != f"block{len(node.blocks)}":
                raise line.error(f"expected block{len(node.blocks)}")
            self.index += 1
            block = node.add_block()
            line.expect("(")
            for name, t in line.items(")", functools.partial(self._output, line)):
                self._define(line, name, block.add_param(t, "" if name.isdecimal() else name))
            line.expect(":")
            self._tail(line)
            self._block(block, own)

    def _tail(self, line: Cursor) -> tuple[str, Span]:
        scope = line.name() if line.eat("@") else ""
        if not line.at_end():
            raise line.error("unexpected text")
        return scope, _place(line.text[line.position :])


def _is_word(line: Cursor, word: str) -> bool:
    start = line.position
    found = line.match(_WORD)
    line.position = start
    return found == word


def _place(comment: str) -> Span:
    """The place that a trailing comment names; any other comment is a remark."""
    match = _PLACE.match(comment)
    if match is None:
        return UNKNOWN
    file, function = match["file"], match["function"]
    if file[0] in "'\"":
        file = unquoted(file)
    return Span(
        file,
        int(match["line"]),
        int(match["column"]),
        int(match["end_line"] or 0),
        int(match["end_column"] or 0),
        unquoted(function) if function else "",
    )
