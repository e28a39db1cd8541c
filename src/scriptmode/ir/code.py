"""Graphs as Python source: what a program does, in the language its author wrote.

::

    def forward(self, x: Tensor, n: int = 3) -> Tensor:
        h = x
        for i in range(n):
            h = torch.ops.aten.relu.default(torch.ops.aten.linear.default(h, self.weight))
        return h

The source runs: ``print_code`` gives it together with the objects that it names
``CONSTANTS.c0``, and ``code_namespace`` makes the namespace to execute it in.  It evaluates what
the graph evaluates, in the same order; a value that is used once is written where it is used when
that keeps the order.  The one difference is that Python's ints do not overflow.
"""

from __future__ import annotations

import builtins
import collections
import functools
import keyword
import math
import types
import typing
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from scriptmode.ir import types as T
from scriptmode.ir.cells import delete_cell, is_bound, read_cell
from scriptmode.ir.code_expressions import (
    Constants,
    Expressions,
    annotation,
    bare,
    display,
    function_name,
)
from scriptmode.ir.exceptions import Leave, make_exception
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
from scriptmode.ir.instances import has_slot, is_hooked
from scriptmode.support.futures import Future

_ENDLESS = 2**31
_RAISING = frozenset(["prim::raise", "prim::raise_object", "prim::reraise"])
_WIDTH = 96
_RESERVED = frozenset(
    [
        *keyword.kwlist, *dir(builtins), "torch", "math", "types", "warnings", "builtins",
        "collections",
        "CONSTANTS", "GLOBALS", "script_op", "has_type", "checked_cast", "read_cell", "delete_cell",
        "Future", "fork", "defer",
        "has_slot",
        "is_bound",
        "make_exception", "Leave",
        "Tensor", "Optional", "Union", "List", "Dict", "Tuple", "Any",
    ]
)  # fmt: skip


@dataclass
class Code:
    """Source text and the objects it names."""

    text: str
    constants: dict[str, Any] = field(default_factory=dict)


def print_code(program: Program, functions: Iterable[str] | None = None) -> Code:
    """Source of the program's functions (or of those named), the root first."""
    names = list(functions) if functions is not None else list(program.functions)
    names.sort(key=lambda name: name != program.root)
    constants = Constants()
    python_names = _unique_names([*names, *program.functions])
    texts = [_Function(program.functions[n], python_names, constants).text() for n in names]
    return Code("\n\n\n".join(texts) + "\n", constants.named)


def graph_code(graph: Graph) -> Code:
    """Source of one function."""
    constants = Constants()
    names = _unique_names([graph.name])
    return Code(_Function(graph, names, constants).text() + "\n", constants.named)


def code_namespace(
    code: Code,
    program: Program,
    meaning: Callable[[str], Callable[..., Any]],
    has_type: Callable[[Any, T.Type], bool],
) -> dict[str, Any]:
    """What the source needs around it; ``meaning`` gives our ops' functions by kind."""

    def checked_cast(value: Any, t: T.Type) -> Any:
        if not has_type(value, t):
            raise TypeError(f"expected {t}, got {type(value).__name__}")
        return value

    return {
        "torch": torch, "math": math, "types": types, "warnings": warnings, "builtins": builtins,
        "collections": collections,
        "CONSTANTS": types.SimpleNamespace(**code.constants), "GLOBALS": program.globals,
        "Tensor": torch.Tensor, "Optional": typing.Optional, "Union": typing.Union,
        "List": list, "Dict": dict, "Tuple": tuple, "Any": typing.Any,
        "script_op": meaning, "has_type": has_type, "checked_cast": checked_cast,
        "Future": Future,
        "fork": lambda f, *args: Future.run(functools.partial(f, *args)),
        "defer": lambda f, *args: Future(functools.partial(f, *args)),
        "has_slot": has_slot,
        "read_cell": read_cell, "delete_cell": delete_cell, "is_bound": is_bound,
        "make_exception": make_exception,
        "Leave": Leave,
    }  # fmt: skip


def _unique_names(names: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        if name not in found:
            base = candidate = function_name(name)
            number = 0
            while candidate in found.values():
                number += 1
                candidate = f"{base}_{number}"
            found[name] = candidate
    return found


class _Function:
    """Source of one graph.

    ``pending`` holds expressions, in order of evaluation, that are not written yet because their
    only user may still take them in.
    """

    def __init__(self, graph: Graph, functions: Mapping[str, str], constants: Constants) -> None:
        self.graph = graph
        shadowed = frozenset(p.name for p in graph.params)
        self.constants = constants
        self.expressions = Expressions(constants, functions, shadowed)
        self.names: dict[Value, str] = {}
        self.taken = {*_RESERVED, *functions.values(), *(p.name for p in graph.params)}
        self.lines: list[str] = []
        self.indent = "    "
        self.pending: list[tuple[Value, str]] = []

    # names and lines

    def text(self) -> str:
        params: list[str] = []
        for param in self.graph.params:
            if param.name in self.graph.kwarg_only and "*" not in params:
                params.append("*")
            name = self.names[param] = param.name or self.fresh("")
            note = "" if isinstance(param.type, T.ClassType) else f": {annotation(param.type)}"
            default = ""
            if name in self.graph.defaults:
                default = f" = {self.constants.literal(self.graph.defaults[name])}"
            params.append(f"{name}{note}{default}")
        result = self.graph.return_type
        arrow = "" if result is None else f" -> {annotation(result)}"
        self.block(self.graph.block, None)
        head = f"def {self.expressions.function(self.graph.name)}({', '.join(params)}){arrow}:"
        return "\n".join([head, *self.lines])

    def fresh(self, hint: str) -> str:
        base = "".join(c if c.isalnum() or c == "_" else "_" for c in hint)
        base = base if base.isidentifier() else f"v{base}" if base else "v"
        name, number = base, 0
        while name in self.taken:
            number += 1
            name = f"{base}_{number}"
        self.taken.add(name)
        return name

    def bind(self, value: Value) -> str:
        self.names[value] = self.fresh(value.name)
        return self.names[value]

    def emit(self, line: str) -> None:
        self.lines.append(self.indent + line)

    def flush(self) -> None:
        """Write the pending expressions as assignments."""
        for value, text in self.pending:
            self.emit(f"{self.bind(value)} = {text}")
        self.pending.clear()

    # values

    def take(self, values: Sequence[Value]) -> list[str]:
        """Texts of ``values`` as they are used now, in this order of evaluation.

        Pending ones are taken in when they are the last ones, in the same order; else all are
        written first.
        """
        wanted = [v for v in values if any(v is p for p, _ in self.pending)]
        tail = self.pending[len(self.pending) - len(wanted) :]
        texts: dict[Value, str] = {}
        if [p for p, _ in tail] == wanted and sum(len(t) for _, t in tail) < _WIDTH:
            del self.pending[len(self.pending) - len(wanted) :]
            texts = dict(tail)
        else:
            self.flush()
        return [texts[v] if v in texts else self.atom(v) for v in values]

    def atom(self, value: Value) -> str:
        if value in self.names:
            return self.names[value]
        return self.constants.literal(value.constant)

    # blocks

    def block(self, block: Block, loop: _LoopText | None) -> None:
        before = len(self.lines)
        for node in block.nodes:
            self.node(node, loop)
        self.terminator(block, loop)
        if len(self.lines) == before:
            self.emit("pass")

    def nested(self, block: Block, loop: _LoopText | None) -> None:
        saved, self.indent = self.indent, self.indent + "    "
        self.block(block, loop)
        self.indent = saved

    def terminator(self, block: Block, loop: _LoopText | None) -> None:
        end, owner = block.terminator, block.owner
        if end.kind == RETURN or (end.kind == YIELD and owner is None):
            texts = self.take(end.inputs)
            self.flush()
            self.emit(f"return {texts[0]}")
        elif end.kind == UNREACHABLE:
            self.flush()
            if end.previous is None or end.previous.kind not in _RAISING:
                self.emit("raise AssertionError('unreachable')")
        elif end.kind == LEAVE:
            texts = self.take(end.inputs)
            self.flush()
            self.emit(f"raise Leave({', '.join(map(bare, texts))})")
        elif end.kind == YIELD and owner is not None and owner.kind in ("prim::If", "prim::Try"):
            self.assign([self.names[o] for o in owner.outputs], end.inputs)
        elif loop is not None:
            self.end_of_iteration(end, loop)

    def end_of_iteration(self, end: Node, loop: _LoopText) -> None:
        if end.kind == BREAK:
            self.assign(loop.carried, end.inputs)
            self.emit("break")
            return
        if loop.condition:
            self.assign([loop.condition, *loop.carried], end.inputs)
        else:
            self.assign(loop.carried, end.inputs[1:])
        if loop.counter:
            self.emit(f"{loop.counter} += 1")
        if end.kind == CONTINUE:
            self.emit("continue")

    def assign(self, names: Sequence[str], values: Sequence[Value]) -> None:
        pairs = [(n, v) for n, v in zip(names, values, strict=True) if self.names.get(v) != n]
        texts = self.take([v for _, v in pairs])
        self.flush()
        if pairs:
            self.emit(f"{', '.join(n for n, _ in pairs)} = {', '.join(map(bare, texts))}")

    # nodes

    def node(self, node: Node, loop: _LoopText | None) -> None:
        if node.kind in ("prim::Constant", "prim::retain", "prim::release"):
            return
        if node.kind == "prim::If":
            self.if_node(node, loop)
        elif node.kind == "prim::Loop":
            self.loop(node)
        elif node.kind == "prim::Try":
            self.try_node(node, loop)
        elif node.kind == "prim::raise_object":
            (exception,) = self.take(node.inputs)
            self.flush()
            self.emit(f"raise {bare(exception)}")
        elif node.kind == "prim::reraise":
            self.flush()
            self.emit("raise")
        elif node.kind == "prim::SetAttr":
            value, owner = self.take(node.inputs[::-1])  # as an assignment evaluates
            self.flush()
            name = node.attributes["name"]
            if is_hooked(node.inputs[0].type, "__setattr__"):
                self.emit(f"object.__setattr__({bare(owner)}, {name!r}, {bare(value)})")
            elif name.isidentifier():
                self.emit(f"{owner}.{name} = {bare(value)}")
            else:
                self.emit(f"setattr({owner}, {name!r}, {bare(value)})")
        elif node.kind == "prim::CellSet":
            cell, value = self.take(node.inputs)
            self.flush()
            self.emit(f"{cell}.cell_contents = {bare(value)}")
        elif node.kind == "prim::raise":
            texts = self.take(node.inputs)
            self.flush()
            exception = self.constants.literal(node.attributes["exception"])
            self.emit(f"raise {exception}({', '.join(map(bare, texts))})")
        else:
            self.expression_node(node)

    def expression_node(self, node: Node) -> None:
        swapped = node.kind in ("str::contains", "list::contains", "dict::contains")
        inputs = node.inputs[::-1] if swapped else node.inputs
        text = self.expressions.of(node, self.take(inputs))
        if len(node.outputs) == 1:
            (output,) = node.outputs
            uses = output.uses
            if len(uses) == 1 and uses[0].node.block is node.block and _takes_in(uses[0].node):
                self.pending.append((output, text))
                return
            self.flush()
            self.emit(f"{self.bind(output)} = {bare(text)}")
            return
        self.flush()
        names = [self.bind(o) for o in node.outputs]
        self.emit(f"{', '.join(names)} = {bare(text)}" if names else bare(text))

    def if_node(self, node: Node, loop: _LoopText | None) -> None:
        (condition,) = self.take(node.inputs)
        self.flush()
        for output in node.outputs:
            self.bind(output)
        self.emit(f"if {bare(condition)}:")
        self.nested(node.blocks[0], loop)
        mark = len(self.lines)
        self.emit("else:")
        self.nested(node.blocks[1], loop)
        if [line.strip() for line in self.lines[mark:]] == ["else:", "pass"]:
            del self.lines[mark:]

    def try_node(self, node: Node, loop: _LoopText | None) -> None:
        self.flush()
        for output in node.outputs:
            self.bind(output)
        body, handler = node.blocks
        self.emit("try:")
        self.nested(body, loop)
        if node.attributes.get("labelled"):
            leave = self.fresh("leave")
            self.emit(f"except Leave as {leave}:")
            names = [self.names[o] for o in node.outputs]
            left = display("(", names, ")") if names else "pass"
            self.emit(f"    {left} = {leave}.results" if names else "    pass")
        elif _leaves(body):
            self.emit("except Leave:")
            self.emit("    raise")
        self.emit(f"except BaseException as {self.bind(handler.params[0])}:")
        self.nested(handler, loop)

    def loop(self, node: Node) -> None:
        trips, condition, *initial = node.inputs
        texts = self.take([*initial, trips, condition])
        *starts, trips_text, condition_text = texts
        self.flush()
        body = node.blocks[0]
        index, *params = body.params
        carried = [self.bind(o) for o in node.outputs]
        self.names.update(zip(params, carried, strict=True))
        form = _LoopText(carried)
        heads = [(n, t) for n, t in zip(carried, starts, strict=True)]
        is_for = _always_true(condition) and all(map(_always_true, _conditions(node)))
        if is_for:
            span = f"{self.expressions.builtin('range')}({bare(trips_text)})"
            head = f"for {self.bind(index)} in {span}:"
        else:
            form.condition = self.fresh("go_on")
            endless = trips.is_constant and trips.constant >= _ENDLESS
            if endless and not index.is_used:
                heads.append((form.condition, condition_text))
                head = f"while {form.condition}:"
            else:
                form.counter = self.bind(index)
                limit = self.fresh("trips")
                heads += [(form.counter, "0"), (limit, trips_text)]
                heads.append((form.condition, condition_text))
                head = f"while {form.counter} < {limit} and {form.condition}:"
        if heads:
            left, right = zip(*heads, strict=True)
            self.emit(f"{', '.join(left)} = {', '.join(map(bare, right))}")
        self.emit(head)
        self.nested(body, form)


@dataclass
class _LoopText:
    """Names of a loop's carried variables; condition and counter where the form needs them."""

    carried: list[str]
    condition: str = ""
    counter: str = ""


def _leaves(block: Block) -> bool:
    """Whether a Leave in ``block`` ends a Try around it."""
    if block.terminator.kind == LEAVE:
        return True
    return any(
        _leaves(inner)
        for node in block.nodes
        for inner in node.blocks
        if not (node.attributes.get("labelled") and inner is node.blocks[0])
    )


def _always_true(value: Value) -> bool:
    return value.is_constant and value.constant is True


def _conditions(loop: Node) -> list[Value]:
    """What each end of an iteration says about going on."""

    def jumps(block: Block) -> Iterable[Node]:
        for node in block.nodes:
            if node.kind != "prim::Loop":
                for inner in node.blocks:
                    yield from jumps(inner)
        if block.terminator.kind == CONTINUE:
            yield block.terminator

    ends = list(jumps(loop.blocks[0]))
    if loop.blocks[0].terminator.kind == YIELD:
        ends.append(loop.blocks[0].terminator)
    return [end.inputs[0] for end in ends]


def _takes_in(user: Node) -> bool:
    """Whether an input may be written inside of the text of ``user``."""
    return user.kind not in ("prim::isinstance", "prim::warn")
