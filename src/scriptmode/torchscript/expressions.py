"""Expressions of a TorchScript file's code as values."""

from __future__ import annotations

import ast
from collections.abc import Sequence

import torch

from scriptmode.ir import types as T
from scriptmode.ir.enumerations import key_of
from scriptmode.ir.graph import Value
from scriptmode.torchscript.calls import call_op
from scriptmode.torchscript.constants import NOT_CONSTANT, constant_of
from scriptmode.torchscript.emitter import Bound, Closure, Emitter, FunctionName, Uninitialized
from scriptmode.torchscript.ops import BUILTINS, call_builtin
from scriptmode.torchscript.ops.containers import get_item
from scriptmode.torchscript.ops.conversions import truth
from scriptmode.torchscript.ops.tensors import to_list
from scriptmode.torchscript.sources import ClassDeclaration, FunctionDeclaration
from scriptmode.torchscript.types import dotted

_MOST_NESTED = 400
# containers of anything, behind isinstance
_BARE: dict[str, T.Type] = {
    "list": T.ListType([T.TypeVar("t")]),
    "tuple": T.VarTupleType([T.TypeVar("t")]),
    "dict": T.DictType([T.TypeVar("k"), T.TypeVar("v")]),
}
_CONVERSIONS = {"int": "Int", "float": "Float", "bool": "Bool", "str": "str", "complex": "Complex"}


class ExpressionLowering(Emitter):
    """Lowers expressions."""

    nesting = 0

    def value(self, node: ast.expr) -> Value:
        """The value of an expression."""
        return self.materialised(self.bound(node))

    def materialised(self, bound: Bound) -> Value:
        """A value for what a variable stands for."""
        if isinstance(bound, Value):
            return bound
        if isinstance(bound, Uninitialized):
            return self.zero(bound.type)
        raise self.problem("a function where a value is wanted")

    def truth(self, value: Value) -> Value:
        """A bool where a condition is wanted."""
        return truth(self, value)

    def bound(self, node: ast.expr) -> Bound:
        """What an expression stands for."""
        self.nesting += 1
        if self.nesting > _MOST_NESTED:
            raise self.problem("an expression that is nested too deeply", node)
        if isinstance(node, ast.Name) and node.id in self.names:
            found: Bound = self.names[node.id]
        else:
            constant = constant_of(node)
            found = self.constant(constant) if constant is not NOT_CONSTANT else self._bound(node)
        self.nesting -= 1
        return found

    def _bound(self, node: ast.expr) -> Bound:
        match node:
            case ast.Name(id=name):
                raise self.problem(f"`{name}` has no value here", node)
            case ast.List(elts=items):
                return self._list([self.value(i) for i in items])
            case ast.Tuple(elts=items):
                return self.builder.tuple([self.value(i) for i in items])
            case ast.Dict(keys=keys, values=values):
                return self._dict(
                    [self.value(k) for k in keys if k is not None], [self.value(v) for v in values]
                )
            case ast.Attribute():
                return self._attribute(node)
            case ast.Subscript(value=owner, slice=index):
                return self._subscript(owner, index)
            case ast.Call():
                return self._call(node)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                condition = self.truth(self.value(test))
                return self.choose(condition, lambda: self.value(body), lambda: self.value(orelse))
            case ast.BoolOp(op=ast.And(), values=[first, second]):
                condition = self.truth(self.value(first))
                return self.choose(
                    condition, lambda: self.truth(self.value(second)), lambda: self.constant(False)
                )
            case ast.BoolOp(op=ast.Or(), values=[first, second]):
                condition = self.truth(self.value(first))
                return self.choose(
                    condition, lambda: self.constant(True), lambda: self.truth(self.value(second))
                )
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return call_op(self, "neg", [self.value(operand)], {})
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return self.op("bool::not", self.truth(self.value(operand)))
        raise self.problem(f"an expression of kind {type(node).__name__}", node)

    # displays

    def _list(self, items: Sequence[Value], element: T.Type | None = None) -> Value:
        if element is None:
            element = T.TENSOR if not items else items[0].type
            for item in items[1:]:
                element = T.join(element, item.type) or T.ANY
        return self.builder.list([self.fit(i, element, "an element") for i in items], element)

    def _dict(
        self, keys: Sequence[Value], values: Sequence[Value], t: T.DictType | None = None
    ) -> Value:
        if t is None:
            found: list[T.Type] = []
            for parts, default in ((keys, T.STR), (values, T.TENSOR)):
                joined: T.Type = parts[0].type if parts else default
                for part in parts[1:]:
                    joined = T.join(joined, part.type) or T.ANY
                found.append(joined)
            t = T.DictType(found)
        inputs = []
        for key, value in zip(keys, values, strict=True):
            inputs += [self.fit(key, t.key, "a key"), self.fit(value, t.value, "a value")]
        return self.builder.node("prim::DictConstruct", inputs, [t]).output

    # attributes and subscripts

    def _attribute(self, node: ast.Attribute) -> Bound:
        names = dotted(node)
        if names is not None and names[0] not in self.names:
            found = self._global(names)
            if found is not None:
                return found
            raise self.problem(f"`{'.'.join(names)}` is not known here", node)
        return self.get_attribute(self.value(node.value), node.attr)

    def _global(self, names: Sequence[str]) -> Bound | None:
        """What a dotted name stands for that begins with no variable."""
        if names[0] == "CONSTANTS" and len(names) == 2:
            return self._stored(self.unit.constant(names[1], self))
        if names[0] != "__torch__":
            return None
        whole = ".".join(names)
        found = self.unit.sources.find(whole)
        if isinstance(found, FunctionDeclaration):
            return FunctionName(whole)
        owner = self.unit.sources.find(".".join(names[:-1]))
        if isinstance(owner, ClassDeclaration) and owner.kind == "enum":
            t = self.unit.classes.named(owner.name)
            assert isinstance(t, T.EnumType)
            cls = self.unit.classes.python_class(owner.name)
            members = cls.__members__  # type: ignore[attr-defined]
            if names[-1] in members:
                return self.constant(members[names[-1]], t)
        return None

    def _stored(self, value: object, depth: int = 0) -> Value:
        """A value of ``constants.pkl``."""
        if isinstance(value, torch.Tensor):
            return self.constant(value, T.TENSOR)
        if value is None or isinstance(value, (str, int, float, bool, complex)):
            return self.constant(value)
        if isinstance(value, (tuple, list)) and depth < _MOST_NESTED:
            items = [self._stored(v, depth + 1) for v in value]
            return self.builder.tuple(items) if isinstance(value, tuple) else self._list(items)
        if isinstance(value, torch.device):
            return self.constant(value, T.DEVICE)
        raise self.problem(f"a constant that is a {type(value).__name__}")

    def get_attribute(self, owner: Value, name: str) -> Value:
        """``owner.name``."""
        t = owner.type
        if isinstance(t, T.EnumType):
            return self._of_member(owner, t, name)
        if isinstance(t, T.NamedTupleType) and name in t.fields:
            return self.builder.tuple_index(owner, t.fields.index(name))
        if isinstance(t, T.ClassType):
            if name in t.attributes:
                return self.builder.node(
                    "prim::GetAttr", [owner], [t.attributes[name]], name=name
                ).output
            if name in t.constants:
                return self._constant_attribute(t.constants[name])
        if t == T.TENSOR:
            return call_builtin_or_fail(self, f"prim.{name}", [owner])
        raise self.problem(f"a {t} has no attribute `{name}`")

    def _constant_attribute(self, value: object) -> Value:
        if isinstance(value, tuple):
            return self._list([self.constant(v) for v in value])
        return self.constant(value)

    def _of_member(self, owner: Value, t: T.EnumType, name: str) -> Value:
        """``.name`` or ``.value`` of a member."""
        cls = t.python_class
        assert cls is not None
        members = list(cls)  # type: ignore[call-overload]
        if name not in ("name", "value"):
            raise self.problem(f"a member of {t} has no attribute `{name}`")
        values = [key_of(m) if name == "name" else m.value for m in members]

        def rest(index: int) -> Value:
            found = self.constant(values[index])
            if index == len(members) - 1:
                return found
            here = self.builder.node(
                "prim::eq", [owner, self.constant(members[index], t)], [T.BOOL]
            ).output
            return self.choose(here, lambda: self.constant(values[index]), lambda: rest(index + 1))

        return rest(0)

    def set_attribute(self, owner: Value, name: str, value: Value) -> None:
        """``owner.name = value``."""
        t = owner.type
        if not isinstance(t, T.ClassType) or name not in t.attributes:
            if isinstance(t, T.ClassType) and name in t.constants and value.type == T.NONE:
                return  # an attribute that is None, and stays so
            raise self.problem(f"a {t} has no attribute `{name}` that can be set")
        fitting = self.fit(value, t.attributes[name], f"`{name}`")
        self.builder.node("prim::SetAttr", [owner, fitting], [], name=name)

    def _subscript(self, owner: ast.expr, index: ast.expr) -> Value:
        if isinstance(index, ast.Slice):
            found = self.value(owner)
            bounds = [None if p is None else constant_of(p) for p in (index.lower, index.upper)]
            if not isinstance(found.type, T.TupleType) or index.step is not None:
                raise self.problem(f"a slice of a {found.type}")
            if not all(b is None or type(b) is int for b in bounds):
                raise self.problem("a slice of a tuple with bounds that are not known")
            count = len(found.type.elements)
            picked = range(count)[bounds[0] : bounds[1]]
            return self.builder.tuple([self.builder.tuple_index(found, i) for i in picked])
        shape = self._shape_of(owner)
        if shape is not None:  # an element is read: no list is made
            return self.op("list::getitem", shape, self.fit(self.value(index), T.INT, "an index"))
        return get_item(self, self.value(owner), self.value(index))

    def _shape_of(self, node: ast.expr) -> Value | None:
        """The sizes of a tensor, of ``torch.size(x)``, that nothing else sees."""
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="torch"), attr="size"), args=[x]):
                found = self.value(x)
                if found.type == T.TENSOR and "torch" not in self.names:
                    return self.shape(found)
        return None

    def shape(self, tensor: Value) -> Value:
        """The sizes of a tensor, as a list that must not be written."""
        return self.builder.node(
            "tuple::as_list", [self.op("tensor::shape", tensor)], [T.ListType([T.INT])],
            schema=self.builder.resolve("tuple::as_list"),
        ).output  # fmt: skip

    def set_item(self, owner: Value, index: Value, value: Value) -> None:
        """``owner[index] = value``."""
        call_builtin_or_fail(self, "_set_item", [owner, index, value])

    def unpacked(self, value: Value, count: int) -> list[Value]:
        """The parts of a tuple or of a list of this length."""
        t = value.type
        if isinstance(t, T.TupleType) and len(t.elements) == count:
            return [self.builder.tuple_index(value, i) for i in range(count)]
        if isinstance(t, T.ListType):
            length = self.op("list::len", value)
            message = f"Expected {count} elements in a list but found another number of them"
            is_right = self.op("int::eq", length, self.constant(count))
            self.check(is_right, RuntimeError, message)
            return [self.op("list::getitem", value, self.constant(i)) for i in range(count)]
        raise self.problem(f"a {t} is no sequence of {count}")

    # calls

    def _call(self, node: ast.Call) -> Bound:
        names = dotted(node.func)
        if names is not None and names[0] in self.names:
            bound = self.names[names[0]]
            if len(names) == 1:
                return self._call_bound(bound, node)
            names = None
        if names is None:
            if not isinstance(node.func, ast.Attribute):
                raise self.problem("a call of other than a function", node)
            owner = self.value(node.func.value)
            return self.call_method(owner, node.func.attr, *self._arguments(node))
        if len(names) == 1:
            return self._call_name(names[0], node)
        if names[0] == "torch":
            name = ".".join(names[1:])
            return call_op(self, name, *self._arguments(node))
        if names[0] == "ops" and len(names) == 3:
            name = names[2] if names[1] == "aten" else f"{names[1]}.{names[2]}"
            return call_op(self, name, *self._arguments(node))
        if names[0] == "__torch__":
            return self._call_torch_name(names, node)
        raise self.problem(f"`{'.'.join(names)}` is not known here", node)

    def _arguments(self, node: ast.Call) -> tuple[list[Value], dict[str, Value]]:
        args = [self.value(a) for a in node.args]
        kwargs = {}
        for keyword in node.keywords:
            if keyword.arg is None or keyword.arg in kwargs:
                raise self.problem("arguments that are not written out", node)
            kwargs[keyword.arg] = self.value(keyword.value)
        self.at(node)
        return args, kwargs

    def _call_bound(self, bound: Bound, node: ast.Call) -> Value:
        if isinstance(bound, FunctionName):
            args, kwargs = self._arguments(node)
            return self.unit.call_function(self, bound.name, args, kwargs)
        raise self.problem("a call of a variable that is no function", node)

    def _call_torch_name(self, names: Sequence[str], node: ast.Call) -> Value:
        whole = ".".join(names)
        found = self.unit.sources.find(whole)
        if isinstance(found, FunctionDeclaration):
            args, kwargs = self._arguments(node)
            return self.unit.call_function(self, whole, args, kwargs)
        if isinstance(found, ClassDeclaration) and found.kind == "named tuple":
            args, kwargs = self._arguments(node)
            t = self.unit.classes.named(whole)
            assert isinstance(t, T.NamedTupleType)
            items = [*args, *(kwargs[n] for n in t.fields[len(args) :] if n in kwargs)]
            if len(items) != len(t.elements) or len(items) != len(args) + len(kwargs):
                raise self.problem(f"{whole} takes {len(t.elements)} values", node)
            fields = [self.fit(i, e) for i, e in zip(items, t.elements, strict=True)]
            return self.builder.tuple(fields, t)
        owner = ".".join(names[:-1])
        declared = self.unit.sources.find(owner)
        if isinstance(declared, ClassDeclaration) and names[-1] in declared.methods:
            (value, *args), kwargs = self._arguments(node)
            return self.call_method(value, names[-1], args, kwargs)
        if isinstance(declared, ClassDeclaration) and names[-1] == "__new__":
            if declared.kind != "class":
                raise self.problem(f"an object of {owner}", node)
            return self.builder.node(
                "prim::CreateObject", [], [self.unit.classes.named(owner)]
            ).output
        raise self.problem(f"there is no function {whole}", node)

    def _call_name(self, name: str, node: ast.Call) -> Bound:
        args = node.args
        match name, args:
            case "annotate", [t, value]:
                return self._annotated(self.unit.type(t, self.file), value)
            case "unchecked_cast", [t, value]:
                return self._cast(self.value(value), self.unit.type(t, self.file))
            case "uninitialized", [t]:
                return Uninitialized(self.unit.type(t, self.file))
            case "isinstance", [value, types]:
                return self._is_instance(self.value(value), types)
            case "getattr", [value, ast.Constant(value=str() as attribute)]:
                return self.get_attribute(self.value(value), attribute)
            case "fork", [ast.Name(id=closure), *rest]:
                return self._fork(self.names.get(closure), [self.value(r) for r in rest])
            case "print", _:
                return call_builtin_or_fail(self, "prim.Print", [self.value(a) for a in args])
            case "unchecked_unwrap_optional", [value]:
                return call_builtin_or_fail(self, "_unwrap_optional", [self.value(value)])
        if name in _CONVERSIONS and not node.keywords:
            found = [self.value(a) for a in args]
            return call_builtin_or_fail(self, _CONVERSIONS[name], found)
        for known in (f"prim.{name}", name):
            if known in BUILTINS:
                return call_op(self, known, *self._arguments(node))
        raise self.problem(f"`{name}` is not supported", node)

    def _annotated(self, t: T.Type, node: ast.expr) -> Bound:
        """A value that is said to be of a type, which an empty container gets from that."""
        match node:
            case ast.List(elts=items) if isinstance(t, T.ListType):
                return self._list([self.value(i) for i in items], t.element)
            case ast.Dict(keys=keys, values=values) if isinstance(t, T.DictType):
                found = [self.value(k) for k in keys if k is not None]
                return self._dict(found, [self.value(v) for v in values], t)
            case ast.Call(func=ast.Attribute(value=x, attr="tolist"), args=[], keywords=[]):
                return to_list(self, self.value(x), t)
        value = self.value(node)
        if value.type == T.ANY and t != T.ANY:
            return self.builder.node("prim::checked_cast", [value], [t]).output
        return self.builder.cast(self.fit(value, t), t)

    def _cast(self, value: Value, t: T.Type) -> Value:
        if T.is_subtype(value.type, t) or T.is_subtype(t, value.type):
            return self.builder.cast(value, t)
        if value.type == T.NONE or isinstance(value.type, T.OptionalType):
            # a branch for a value that is never there
            self.check(self.constant(False), RuntimeError, "Unwrapping null optional")
            return self.zero(t)
        raise self.problem(f"a {value.type} taken for a {t}")

    def _is_instance(self, value: Value, types: ast.expr) -> Value:
        nodes = types.elts if isinstance(types, (ast.Tuple, ast.List)) else [types]
        found = tuple(
            _BARE[t.id]
            if isinstance(t, ast.Name) and t.id in _BARE
            else self.unit.type(t, self.file)
            for t in nodes
        )
        return self.builder.node("prim::isinstance", [value], [T.BOOL], types=found).output

    def _fork(self, bound: Bound | None, args: Sequence[Value]) -> Value:
        if not isinstance(bound, Closure) or args:
            raise self.problem("a fork of other than a function without arguments")
        callee, captured, result = self.unit.closure(self, bound)
        return self.builder.node(
            "prim::Fork", captured, [T.FutureType([result])], callee=callee
        ).output

    def call_method(
        self, owner: Value, name: str, args: Sequence[Value], kwargs: dict[str, Value] | None = None
    ) -> Value:
        """``owner.name(*args)``."""
        t = owner.type
        if isinstance(t, T.ClassType):
            return self.unit.call_method(self, owner, name, args, kwargs or {})
        return call_op(self, name, [owner, *args], kwargs or {})


def call_builtin_or_fail(e: Emitter, name: str, args: Sequence[Value]) -> Value:
    """The result of an op that is no ATen op."""
    found = call_builtin(e, name, args, {})
    if found is None:
        shown = ", ".join(str(a.type) for a in args)
        raise e.problem(f"{name} is not supported for ({shown})")
    return found
