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
from scriptmode.ir.graph import (
    BREAK,
    CONTINUE,
    RETURN,
    UNREACHABLE,
    YIELD,
    Block,
    Graph,
    Node,
    Program,
    Value,
)

_BINARY: Mapping[str, str] = {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "eq": "==",
    "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "and": "&", "or": "|", "xor": "^",
    "lshift": "<<", "rshift": ">>", "concat": "+", "repeat": "*",
}  # fmt: skip
_UNARY: Mapping[str, str] = {"neg": "-", "invert": "~", "not": "not "}
_CONVERSIONS = frozenset(["int", "float", "bool", "complex", "str", "len", "abs", "list"])
_SCALARS = frozenset(["int", "float", "bool", "complex", "str"])
_SIMPLE_TESTS: Mapping[T.Type, str] = {
    T.INT: "int", T.FLOAT: "float", T.BOOL: "bool", T.COMPLEX: "complex", T.STR: "str",
    T.NONE: "types.NoneType",
}  # fmt: skip
_ANNOTATIONS = frozenset([*_SIMPLE_TESTS, T.TENSOR, T.ANY])
_CONSTRUCTORS = frozenset(
    [T.OptionalType, T.UnionType, T.ListType, T.DictType, T.TupleType, T.VarTupleType]
)
_METADATA = frozenset(
    [
        "shape", "dtype", "device", "layout", "ndim", "requires_grad", "is_leaf", "grad", "data",
        "is_quantized", "is_sparse", "is_nested",
    ]
)  # fmt: skip
_ENDLESS = 2**31
_WIDTH = 96
_RESERVED = frozenset(
    [
        *keyword.kwlist, *dir(builtins), "torch", "math", "types", "warnings", "builtins",
        "CONSTANTS", "GLOBALS", "script_op", "has_type", "checked_cast",
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
    constants = _Constants()
    python_names = _unique_names([*names, *program.functions])
    texts = [_Function(program.functions[n], python_names, constants).text() for n in names]
    return Code("\n\n\n".join(texts) + "\n", constants.named)


def graph_code(graph: Graph) -> Code:
    """Source of one function."""
    constants = _Constants()
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
        "CONSTANTS": types.SimpleNamespace(**code.constants), "GLOBALS": program.globals,
        "Tensor": torch.Tensor, "Optional": typing.Optional, "Union": typing.Union,
        "List": list, "Dict": dict, "Tuple": tuple, "Any": typing.Any,
        "script_op": meaning, "has_type": has_type, "checked_cast": checked_cast,
    }  # fmt: skip


def function_name(name: str) -> str:
    """The Python name of an IR function: ``m.Cell.forward`` is ``m_Cell_forward``."""
    text = "".join(c if c.isalnum() or c == "_" else "_" for c in name)
    return f"_{text}" if not text.isidentifier() or keyword.iskeyword(text) else text


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


class _Constants:
    """Objects without a literal, named ``c0``, ``c1``, ..."""

    def __init__(self) -> None:
        self.named: dict[str, Any] = {}
        self._names: dict[int, str] = {}

    def name(self, value: Any) -> str:
        if id(value) not in self._names:
            self._names[id(value)] = f"c{len(self.named)}"
            self.named[self._names[id(value)]] = value
        return f"CONSTANTS.{self._names[id(value)]}"

    def literal(self, value: Any) -> str:
        if isinstance(value, float) and not math.isfinite(value):
            return f"float('{value}')"
        if value is None or type(value) in (bool, int, float, str, bytes):
            return repr(value)
        if isinstance(value, (torch.dtype, torch.layout, torch.memory_format)):
            return str(value)
        if isinstance(value, torch.device):
            return f"torch.device('{value}')"
        if type(value) is tuple:
            return _display("(", [self.literal(v) for v in value], ")")
        if isinstance(value, type):
            name: str = value.__name__
            if vars(builtins).get(name) is value:
                return name
        return self.name(value)


def _display(opening: str, items: Sequence[str], closing: str) -> str:
    comma = "," if opening == "(" and len(items) == 1 else ""
    return f"{opening}{', '.join(items)}{comma}{closing}"


class _Function:
    """Source of one graph.

    ``pending`` holds expressions, in order of evaluation, that are not written yet because their
    only user may still take them in.
    """

    def __init__(self, graph: Graph, functions: Mapping[str, str], constants: _Constants) -> None:
        self.graph = graph
        self.functions = functions  # IR name -> Python name
        self.constants = constants
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
            annotation = (
                "" if isinstance(param.type, T.ClassType) else f": {_annotation(param.type)}"
            )
            default = ""
            if name in self.graph.defaults:
                default = f" = {self.constants.literal(self.graph.defaults[name])}"
            params.append(f"{name}{annotation}{default}")
        result = self.graph.return_type
        arrow = "" if result is None else f" -> {_annotation(result)}"
        self.block(self.graph.block, None)
        head = f"def {self.function(self.graph.name)}({', '.join(params)}){arrow}:"
        return "\n".join([head, *self.lines])

    def function(self, name: str) -> str:
        return self.functions.get(name) or function_name(name)

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

    def builtin(self, name: str) -> str:
        shadowed = any(p.name == name for p in self.graph.params)
        return f"builtins.{name}" if shadowed else name

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
            if end.previous is None or end.previous.kind != "prim::raise":
                self.emit("raise AssertionError('unreachable')")
        elif end.kind == YIELD and owner is not None and owner.kind == "prim::If":
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
            self.emit(f"{', '.join(n for n, _ in pairs)} = {', '.join(map(_bare, texts))}")

    # nodes

    def node(self, node: Node, loop: _LoopText | None) -> None:
        if node.kind in ("prim::Constant", "prim::retain", "prim::release"):
            return
        if node.kind == "prim::If":
            self.if_node(node, loop)
        elif node.kind == "prim::Loop":
            self.loop(node)
        elif node.kind == "prim::SetAttr":
            value, owner = self.take(node.inputs[::-1])  # as an assignment evaluates
            self.flush()
            name = node.attributes["name"]
            if name.isidentifier():
                self.emit(f"{owner}.{name} = {_bare(value)}")
            else:
                self.emit(f"setattr({owner}, {name!r}, {_bare(value)})")
        elif node.kind == "prim::raise":
            texts = self.take(node.inputs)
            self.flush()
            exception = self.constants.literal(node.attributes["exception"])
            self.emit(f"raise {exception}({', '.join(map(_bare, texts))})")
        else:
            self.expression_node(node)

    def expression_node(self, node: Node) -> None:
        swapped = node.kind in ("str::contains", "list::contains", "dict::contains")
        inputs = node.inputs[::-1] if swapped else node.inputs
        text = self.expression(node, self.take(inputs))
        if len(node.outputs) == 1:
            (output,) = node.outputs
            uses = output.uses
            if len(uses) == 1 and uses[0].node.block is node.block and _takes_in(uses[0].node):
                self.pending.append((output, text))
                return
            self.flush()
            self.emit(f"{self.bind(output)} = {_bare(text)}")
            return
        self.flush()
        names = [self.bind(o) for o in node.outputs]
        self.emit(f"{', '.join(names)} = {_bare(text)}" if names else _bare(text))

    def if_node(self, node: Node, loop: _LoopText | None) -> None:
        (condition,) = self.take(node.inputs)
        self.flush()
        for output in node.outputs:
            self.bind(output)
        self.emit(f"if {_bare(condition)}:")
        self.nested(node.blocks[0], loop)
        mark = len(self.lines)
        self.emit("else:")
        self.nested(node.blocks[1], loop)
        if [line.strip() for line in self.lines[mark:]] == ["else:", "pass"]:
            del self.lines[mark:]

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
            head = f"for {self.bind(index)} in {self.builtin('range')}({_bare(trips_text)}):"
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
            self.emit(f"{', '.join(left)} = {', '.join(map(_bare, right))}")
        self.emit(head)
        self.nested(body, form)

    def expression(self, node: Node, args: list[str]) -> str:
        structural = _STRUCTURAL.get(node.kind)
        if structural is not None:
            return structural(self, node, args)
        if node.schema is not None and torch_overload(node.kind) is not None:
            return self.torch_call(node, args)
        namespace, _, name = node.kind.partition("::")
        if namespace == "tensor" and name in _METADATA:
            return f"{args[0]}.{name}"
        if namespace in ("list", "dict", "str") and name in ("getitem",):
            return f"{args[0]}[{_bare(args[1])}]"
        if name == "contains":  # evaluated in the order that ``in`` has
            return f"({args[0]} in {args[1]})"
        if namespace in _SCALARS and name in _BINARY and len(args) == 2:
            return f"({args[0]} {_BINARY[name]} {args[1]})"
        if namespace in _SCALARS and name in _UNARY:
            return f"({_UNARY[name]}{args[0]})"
        if name in _CONVERSIONS and len(args) == 1:
            return f"{self.builtin(name)}({_bare(args[0])})"
        if namespace == "math" and hasattr(math, name):
            return f"math.{name}({', '.join(map(_bare, args))})"
        if namespace == "str" and hasattr(str, name) and name not in ("format", "title"):
            return f"{args[0]}.{name}({', '.join(map(_bare, args[1:]))})"
        if (namespace, name) in _METHODS:
            return f"{args[0]}.{name}({', '.join(map(_bare, args[1:]))})"
        return f"script_op({node.kind!r})({', '.join(map(_bare, args))})"

    def torch_call(self, node: Node, args: list[str]) -> str:
        assert node.schema is not None
        schema = node.schema
        positional: list[tuple[str, bool]] = []
        keywords: list[str] = []
        for argument, value, text in zip(schema.arguments, node.inputs, args, strict=True):
            is_default = argument.has_default and _is_default(value, argument.default)
            if not argument.kwarg_only:
                positional.append((_bare(text), is_default))
            elif not is_default:
                keywords.append(f"{argument.name}={_bare(text)}")
        while positional and positional[-1][1]:
            positional.pop()
        name = schema.name.replace("::", ".")
        given = [*(text for text, _ in positional), *keywords]
        return f"torch.ops.{name}.{schema.overload or 'default'}({', '.join(given)})"


@dataclass
class _LoopText:
    """Names of a loop's carried variables; condition and counter where the form needs them."""

    carried: list[str]
    condition: str = ""
    counter: str = ""


_METHODS = frozenset(
    ("list", name) for name in ("append", "extend", "insert", "pop", "clear", "reverse", "copy")
) | frozenset(("dict", name) for name in ("get", "pop", "clear", "update", "copy", "setdefault"))


def torch_overload(kind: str) -> Any:
    """The ``torch.ops`` overload of a node kind; None if torch has none."""
    name, _, overload = kind.partition(".")
    namespace, _, base = name.partition("::")
    packet = getattr(getattr(torch.ops, namespace, None), base, None)
    return getattr(packet, overload or "default", None)


def _annotation(t: T.Type) -> str:
    plain = all(
        inner in _ANNOTATIONS or (inner.contained and type(inner) in _CONSTRUCTORS)
        for inner in T.walk(t)
    )
    return str(t) if plain else repr(str(t))


def _bare(text: str) -> str:
    """``text`` without the parentheses that make it an operand."""
    if not text.startswith("(") or not text.endswith(")") or text.endswith(",)") or text == "()":
        return text
    depth = 0
    for position, char in enumerate(text):
        if char in "'\"":
            return text  # quotes may hold parentheses
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 1:
            return text  # a tuple
        if depth == 0:
            return text[1:-1] if position == len(text) - 1 else text
    return text


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


def _is_default(value: Value, default: Any) -> bool:
    if not value.is_constant:
        return False
    constant = value.constant
    return type(constant) is type(default) and bool(constant == default)


def _named_tuple(f: _Function, node: Node, args: list[str]) -> str:
    t = node.output.type
    if isinstance(t, T.NamedTupleType) and t.python_class is not None:
        cls = f.constants.literal(t.python_class)
        if t.python_class.__module__ == "torch.return_types":
            return f"{cls}({_display('(', args, ')')})"
        return f"{cls}({', '.join(args)})"
    if t == T.SIZE:
        return f"torch.Size({_display('[', args, ']')})"
    return _display("(", args, ")")


def _get_attribute(f: _Function, node: Node, args: list[str]) -> str:
    name = node.attributes["name"]
    if name.isidentifier() and not keyword.iskeyword(name):
        return f"{args[0]}.{name}"
    return f"getattr({args[0]}, {name!r})"


def _isinstance(f: _Function, node: Node, args: list[str]) -> str:
    types_ = node.attributes["types"]
    if all(t in _SIMPLE_TESTS for t in types_):
        return f"(type({args[0]}) in {_display('(', [_SIMPLE_TESTS[t] for t in types_], ')')})"
    tests = [f"has_type({args[0]}, {f.constants.name(t)})" for t in types_]
    return f"({' or '.join(tests)})"


def _print(f: _Function, node: Node, args: list[str]) -> str:
    attributes = node.attributes
    options = [f"{k}={attributes[k]!r}" for k in ("sep", "end") if k in attributes]
    return f"print({', '.join([*map(_bare, args), *options])})"


def _warn(f: _Function, node: Node, args: list[str]) -> str:
    category = f.constants.literal(node.attributes["category"])
    return f"warnings.warn({_bare(args[0])}, {category})"


def _called(function: str) -> Callable[[_Function, Node, list[str]], str]:
    return lambda f, node, args: f"{f.builtin(function)}({', '.join(map(_bare, args))})"


def _dict(f: _Function, node: Node, args: list[str]) -> str:
    pairs = zip(args[::2], args[1::2], strict=True)
    return "{" + ", ".join(f"{_bare(k)}: {_bare(v)}" for k, v in pairs) + "}"


_STRUCTURAL: Mapping[str, Callable[[_Function, Node, list[str]], str]] = {
    "prim::ListConstruct": lambda f, n, a: _display("[", [*map(_bare, a)], "]"),
    "prim::VarTupleConstruct": _named_tuple,
    "prim::TupleConstruct": _named_tuple,
    "prim::TupleIndex": lambda f, n, a: f"{a[0]}[{n.attributes['index']}]",
    "prim::DictConstruct": _dict,
    "prim::Global": lambda f, n, a: f"GLOBALS[{n.attributes['name']!r}]",
    "prim::GetAttr": _get_attribute,
    "prim::Call": lambda f, n, a: (
        f"{f.function(n.attributes['callee'])}({', '.join(map(_bare, a))})"
    ),
    "prim::is_none": lambda f, n, a: f"({a[0]} is None)",
    "prim::isinstance": _isinstance,
    "prim::unchecked_cast": lambda f, n, a: a[0],
    "prim::checked_cast": lambda f, n, a: (
        f"checked_cast({_bare(a[0])}, {f.constants.name(n.output.type)})"
    ),
    "prim::str": _called("str"),
    "prim::repr": _called("repr"),
    "prim::format": _called("format"),
    "prim::eq": lambda f, n, a: f"bool({a[0]} == {a[1]})",
    "prim::is": lambda f, n, a: f"({a[0]} is {a[1]})",
    "prim::hash": _called("hash"),
    "prim::print": _print,
    "prim::warn": _warn,
    "prim::python_call": lambda f, n, a: (
        f"{f.constants.name(n.attributes['function'])}({', '.join(map(_bare, a))})"
    ),
}
