"""The text of one node as a Python expression: operators, methods, torch.ops calls."""

from __future__ import annotations

import builtins
import keyword
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from scriptmode.ir import types as T
from scriptmode.ir.graph import Node, Value
from scriptmode.ir.instances import is_hooked

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
_METHODS = frozenset(
    ("list", name) for name in ("append", "extend", "insert", "pop", "clear", "reverse", "copy")
) | frozenset(("dict", name) for name in ("get", "pop", "clear", "update", "copy", "setdefault"))


def function_name(name: str) -> str:
    """The Python name of an IR function: ``m.Cell.forward`` is ``m_Cell_forward``."""
    text = "".join(c if c.isalnum() or c == "_" else "_" for c in name)
    return f"_{text}" if not text.isidentifier() or keyword.iskeyword(text) else text


class Constants:
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
            return display("(", [self.literal(v) for v in value], ")")
        if isinstance(value, type):
            name: str = value.__name__
            if vars(builtins).get(name) is value:
                return name
        return self.name(value)


def display(opening: str, items: Sequence[str], closing: str) -> str:
    """Items between brackets, with the comma that a tuple of one needs."""
    comma = "," if opening == "(" and len(items) == 1 else ""
    return f"{opening}{', '.join(items)}{comma}{closing}"


class Expressions:
    """Makes expressions within one function; ``shadowed`` are names that its parameters take."""

    def __init__(
        self, constants: Constants, functions: Mapping[str, str], shadowed: frozenset[str]
    ) -> None:
        self.constants = constants
        self.functions = functions  # IR name -> Python name
        self.shadowed = shadowed

    def function(self, name: str) -> str:
        """The Python name of a function of the program."""
        return self.functions.get(name) or function_name(name)

    def builtin(self, name: str) -> str:
        """A builtin function's name, qualified where a parameter hides it."""
        return f"builtins.{name}" if name in self.shadowed else name

    def of(self, node: Node, args: list[str]) -> str:
        """Text of ``node`` applied to the texts ``args``; in parentheses if it has an operator."""
        structural = _STRUCTURAL.get(node.kind)
        if structural is not None:
            return structural(self, node, args)
        if node.schema is not None and torch_overload(node.kind) is not None:
            return self._torch_call(node, args)
        namespace, _, name = node.kind.partition("::")
        if namespace == "tensor" and name in _METADATA:
            return f"{args[0]}.{name}"
        if namespace in ("list", "dict", "str") and name in ("getitem",):
            return f"{args[0]}[{bare(args[1])}]"
        if name == "contains":  # evaluated in the order that ``in`` has
            return f"({args[0]} in {args[1]})"
        if namespace in _SCALARS and name in _BINARY and len(args) == 2:
            return f"({args[0]} {_BINARY[name]} {args[1]})"
        if namespace in _SCALARS and name in _UNARY:
            return f"({_UNARY[name]}{args[0]})"
        if name in _CONVERSIONS and len(args) == 1:
            return f"{self.builtin(name)}({bare(args[0])})"
        if namespace == "math" and hasattr(math, name):
            return f"math.{name}({', '.join(map(bare, args))})"
        if namespace == "str" and hasattr(str, name) and name not in ("format", "title"):
            return f"{args[0]}.{name}({', '.join(map(bare, args[1:]))})"
        if (namespace, name) in _METHODS:
            return f"{args[0]}.{name}({', '.join(map(bare, args[1:]))})"
        return f"script_op({node.kind!r})({', '.join(map(bare, args))})"

    def _torch_call(self, node: Node, args: list[str]) -> str:
        assert node.schema is not None
        schema = node.schema
        positional: list[tuple[str, bool]] = []
        keywords: list[str] = []
        for argument, value, text in zip(schema.arguments, node.inputs, args, strict=True):
            is_default = argument.has_default and _is_default(value, argument.default)
            if not argument.kwarg_only:
                positional.append((bare(text), is_default))
            elif not is_default:
                keywords.append(f"{argument.name}={bare(text)}")
        while positional and positional[-1][1]:
            positional.pop()
        name = schema.name.replace("::", ".")
        given = [*(text for text, _ in positional), *keywords]
        return f"torch.ops.{name}.{schema.overload or 'default'}({', '.join(given)})"


def torch_overload(kind: str) -> Any:
    """The ``torch.ops`` overload of a node kind; None if torch has none."""
    name, _, overload = kind.partition(".")
    namespace, _, base = name.partition("::")
    packet = getattr(getattr(torch.ops, namespace, None), base, None)
    return getattr(packet, overload or "default", None)


def annotation(t: T.Type) -> str:
    """A type as a Python annotation: a string where Python has no such name."""
    plain = all(
        inner in _ANNOTATIONS or (inner.contained and type(inner) in _CONSTRUCTORS)
        for inner in T.walk(t)
    )
    return str(t) if plain else repr(str(t))


def bare(text: str) -> str:
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


def _is_default(value: Value, default: Any) -> bool:
    if not value.is_constant:
        return False
    constant = value.constant
    return type(constant) is type(default) and bool(constant == default)


def _named_tuple(f: Expressions, node: Node, args: list[str]) -> str:
    t = node.output.type
    if isinstance(t, T.NamedTupleType) and t.python_class is not None:
        cls = f.constants.literal(t.python_class)
        if t.python_class.__module__ == "torch.return_types":
            return f"{cls}({display('(', args, ')')})"
        return f"{cls}({', '.join(args)})"
    if t == T.SIZE:
        return f"torch.Size({display('[', args, ']')})"
    return display("(", args, ")")


def _get_attribute(f: Expressions, node: Node, args: list[str]) -> str:
    name = node.attributes["name"]
    owner = node.inputs[0].type
    if isinstance(owner, T.ClassType) and name in owner.late:
        return f"getattr({args[0]}, {name!r}, None)"
    if is_hooked(owner, "__getattribute__"):
        return f"object.__getattribute__({bare(args[0])}, {name!r})"
    if name.isidentifier() and not keyword.iskeyword(name):
        return f"{args[0]}.{name}"
    return f"getattr({args[0]}, {name!r})"


def _delete_attribute(f: Expressions, node: Node, args: list[str]) -> str:
    hooked = is_hooked(node.inputs[0].type, "__delattr__")
    function = "object.__delattr__" if hooked else "delattr"
    return f"{function}({bare(args[0])}, {node.attributes['name']!r})"


def _isinstance(f: Expressions, node: Node, args: list[str]) -> str:
    types_ = node.attributes["types"]
    if node.attributes.get("exact"):
        classes = [f.constants.literal(_class_of(t)) for t in types_]
        return f"(type({args[0]}) in {display('(', classes, ')')})"
    if all(t in _SIMPLE_TESTS for t in types_):
        return f"(type({args[0]}) in {display('(', [_SIMPLE_TESTS[t] for t in types_], ')')})"
    tests = [f"has_type({args[0]}, {f.constants.name(t)})" for t in types_]
    return f"({' or '.join(tests)})"


def _class_of(t: T.Type) -> type | None:
    return t.python_class if isinstance(t, T.ClassType) else None


def _create_object(f: Expressions, node: Node, args: list[str]) -> str:
    cls = f.constants.literal(_class_of(node.output.type))
    maker = cls if T.is_exception(node.output.type) else "object"
    return f"{maker}.__new__({cls})"


def _print(f: Expressions, node: Node, args: list[str]) -> str:
    attributes = node.attributes
    options = [f"{k}={attributes[k]!r}" for k in ("sep", "end") if k in attributes]
    return f"print({', '.join([*map(bare, args), *options])})"


def _warn(f: Expressions, node: Node, args: list[str]) -> str:
    category = f.constants.literal(node.attributes["category"])
    return f"warnings.warn({bare(args[0])}, {category})"


def _cell_name(node: Node, cell: str) -> str:
    if "name" not in node.attributes:
        return bare(cell)
    free = ", True" if node.attributes.get("is_free", False) else ""
    return f"{bare(cell)}, {node.attributes['name']!r}{free}"


def python_class_of(node: Node) -> type:
    """The Python class of the object that a node makes."""
    t = node.output.type
    assert isinstance(t, T.ClassType) and t.python_class is not None
    return t.python_class


def _called(function: str) -> Callable[[Expressions, Node, list[str]], str]:
    return lambda f, node, args: f"{f.builtin(function)}({', '.join(map(bare, args))})"


def _dict(f: Expressions, node: Node, args: list[str]) -> str:
    pairs = zip(args[::2], args[1::2], strict=True)
    text = "{" + ", ".join(f"{bare(k)}: {bare(v)}" for k, v in pairs) + "}"
    match node.output.type:
        case T.OrderedDictType():
            return f"collections.OrderedDict({text})"
        case T.CounterType():
            return f"collections.Counter({text})"
        case T.DefaultDictType():
            return f"collections.defaultdict(None, {text})"
    return text


def _set(f: Expressions, node: Node, args: list[str]) -> str:
    return "{" + ", ".join(map(bare, args)) + "}" if args else f"{f.builtin('set')}()"


_STRUCTURAL: Mapping[str, Callable[[Expressions, Node, list[str]], str]] = {
    "prim::ListConstruct": lambda f, n, a: display("[", [*map(bare, a)], "]"),
    "prim::VarTupleConstruct": _named_tuple,
    "prim::TupleConstruct": _named_tuple,
    "prim::TupleIndex": lambda f, n, a: f"{a[0]}[{n.attributes['index']}]",
    "prim::DictConstruct": _dict,
    "prim::SetConstruct": _set,
    "prim::Global": lambda f, n, a: f"GLOBALS[{n.attributes['name']!r}]",
    "prim::GetAttr": _get_attribute,
    "prim::CreateObject": _create_object,
    "prim::HasAttr": lambda f, n, a: f"has_slot({bare(a[0])}, {n.attributes['name']!r})",
    "prim::DelAttr": _delete_attribute,
    "prim::Call": lambda f, n, a: (
        f"{f.function(n.attributes['callee'])}({', '.join(map(bare, a))})"
    ),
    "prim::Fork": lambda f, n, a: (
        f"fork({', '.join([f.function(n.attributes['callee']), *map(bare, a)])})"
    ),
    "prim::Defer": lambda f, n, a: (
        f"defer({', '.join([f.function(n.attributes['callee']), *map(bare, a)])})"
    ),
    "prim::Future": lambda f, n, a: f"Future.of({bare(a[0])})",
    "prim::Wait": lambda f, n, a: f"{a[0]}.wait()",
    "prim::IsDone": lambda f, n, a: f"{a[0]}.done()",
    "prim::CellConstruct": lambda f, n, a: f"types.CellType({', '.join(map(bare, a))})",
    "prim::CellGet": lambda f, n, a: f"read_cell({_cell_name(n, a[0])})",
    "prim::CellRead": lambda f, n, a: f"{a[0]}.cell_contents",
    "prim::CellIsBound": lambda f, n, a: f"is_bound({bare(a[0])})",
    "prim::CellDelete": lambda f, n, a: f"delete_cell({_cell_name(n, a[0])})",
    "prim::is_none": lambda f, n, a: f"({a[0]} is None)",
    "prim::isinstance": _isinstance,
    "prim::unchecked_cast": lambda f, n, a: a[0],
    "prim::checked_cast": lambda f, n, a: (
        f"checked_cast({bare(a[0])}, {f.constants.name(n.output.type)})"
    ),
    "prim::ExceptionConstruct": lambda f, n, a: (
        f"make_exception({f.constants.literal(python_class_of(n))}, {a[0]})"
    ),
    "prim::class_name": lambda f, n, a: f"type({bare(a[0])}).__name__",
    "prim::str": _called("str"),
    "prim::repr": _called("repr"),
    "prim::format": _called("format"),
    "prim::eq": lambda f, n, a: f"bool({a[0]} == {a[1]})",
    "prim::is": lambda f, n, a: f"({a[0]} is {a[1]})",
    "prim::hash": _called("hash"),
    "prim::print": _print,
    "prim::warn": _warn,
    "prim::python_call": lambda f, n, a: (
        f"{f.constants.name(n.attributes['function'])}({', '.join(map(bare, a))})"
    ),
}
