"""Signatures of torch's Python functions and methods, derived from the registered schemas.

torch generates, for each name, a list of signatures that its Python argument parser tries in order.
The same list follows from the registry by the same rules (torchgen's gen_python_functions)::

    max(Tensor input)                                            aten::max
    max(Tensor input, Tensor other, *, Tensor out=None)          aten::max.other, aten::max.out
    max(Tensor input, int64_t dim, bool keepdim=False, *, ...)   aten::max.dim, aten::max.dim_max

``self`` is called ``input`` in functions and is bound in methods; an overload that takes a Tensor
goes before one that takes a number in the same place; the old positional forms of ``addmm`` and
friends are added.  ``str`` of a signature is the text that torch's parser is given.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from scriptmode.ir import types as T
from scriptmode.ir.schema import NO_DEFAULT, Argument, OpSchema
from scriptmode.ops.aten import aten_overloads, aten_schema, overload

# torch's parser turns numbers into 0-dim tensors for these functions only
NUMBERS_AS_TENSORS = frozenset(
    name + suffix
    for name in (
        "add", "div", "divide", "mul", "multiply", "sub", "subtract", "true_divide",
        "floor_divide", "copy",
    )
    for suffix in ("", "_")
)  # fmt: skip

# schemas without a Python signature: their Tensor overload takes the number
_HIDDEN = frozenset(
    f"aten::{name}{suffix}.Scalar" for name in ("add", "sub", "mul", "div") for suffix in ("", "_")
)

# parameter orders of old positional forms
_DEPRECATED: dict[str, tuple[tuple[str, ...], ...]] = {
    "add": (("self", "alpha", "other"),),
    "sub": (("self", "alpha", "other"),),
    "addcdiv": (("self", "value", "tensor1", "tensor2"),),
    "addcmul": (("self", "value", "tensor1", "tensor2"),),
    **{
        name: (("beta", "self", "alpha", *matrices), ("beta", "self", *matrices))
        for name, matrices in {
            "addbmm": ("batch1", "batch2"), "addmm": ("mat1", "mat2"),
            "sspaddmm": ("mat1", "mat2"), "addmv": ("mat", "vec"), "addr": ("vec1", "vec2"),
            "baddbmm": ("batch1", "batch2"),
        }.items()
    },
}  # fmt: skip

_OPTIONS = ("dtype", "layout", "device", "pin_memory")

NUMPY_NAMES = {
    "dim": ("axis",),
    "keepdim": ("keepdims",),
    "input": ("x", "a", "x1"),
    "other": ("x2",),
}


@dataclass(frozen=True)
class Parameter:
    """A parameter that Python sees; it fills the schema argument called ``source``."""

    name: str
    type: T.Type
    written: str
    size: int | None
    default: Any
    keyword_only: bool
    source: str

    @property
    def allows_none(self) -> bool:
        """Whether None stands for the default."""
        return isinstance(self.type, T.OptionalType) or self.default in (None, [])

    @property
    def is_required(self) -> bool:
        """Whether a call must give it."""
        return self.default is NO_DEFAULT

    def __str__(self) -> str:
        text = f"{self.written} {self.name}"
        return text if self.is_required else f"{text}={_default_text(self.default)}"


@dataclass(frozen=True)
class Signature:
    """One entry of a parser's list."""

    name: str
    parameters: tuple[Parameter, ...]
    schema: OpSchema
    out_schema: OpSchema | None = None
    is_deprecated: bool = False

    @functools.cached_property
    def positional_count(self) -> int:
        """How many parameters may be given by position."""
        return sum(not p.keyword_only for p in self.parameters)

    @functools.cached_property
    def takes_varargs(self) -> bool:
        """Whether ``f(2, 3)`` stands for ``f((2, 3))``."""
        first = next(iter(self.parameters), None)
        return (
            self.positional_count == 1 and first is not None and first.type == T.ListType([T.INT])
        )

    def __str__(self) -> str:
        texts = [str(p) for p in self.parameters]
        if self.positional_count < len(texts):
            texts.insert(self.positional_count, "*")
        mark = "|deprecated" if self.is_deprecated else ""
        return f"{self.name}({', '.join(texts)}){mark}"


def _default_text(value: Any) -> str:
    if isinstance(value, list):
        return str(value[0]) if len(set(value)) == 1 else str(value or None)
    return f'"{value}"' if isinstance(value, str) else str(value)


_WRITTEN: dict[T.Type, str] = {
    T.TENSOR: "Tensor", T.NUMBER: "Scalar", T.INT: "int64_t", T.FLOAT: "double", T.BOOL: "bool",
    T.STR: "c10::string_view", T.DTYPE: "ScalarType", T.LAYOUT: "Layout", T.DEVICE: "Device",
    T.MEMORY_FORMAT: "MemoryFormat", T.GENERATOR: "Generator", T.STORAGE: "Storage",
    T.STREAM: "Stream",
}  # fmt: skip
_WRITTEN_LISTS: dict[T.Type, str] = {
    T.INT: "IntArrayRef", T.TENSOR: "TensorList", T.NUMBER: "ScalarList",
    T.FLOAT: "ArrayRef<double>",
}  # fmt: skip


def _written(argument: Argument) -> str:
    """The type as torch's parser spells it."""
    optional = "?" if isinstance(argument.type, T.OptionalType) else ""
    inner = T.unwrap_optional(argument.type)
    symbolic = argument.written.startswith("SymInt")
    if isinstance(inner, T.ListType):
        element = inner.element
        if element == T.BOOL and argument.size:
            return f"::std::array<bool,{argument.size}>{optional}"
        name = _WRITTEN_LISTS.get(element, "c10::List<::std::optional<Tensor>>")
        name = "SymIntArrayRef" if symbolic else name
        size = f"[{argument.size}]" if argument.size and element == T.INT else ""
        return f"{name}{size}{optional}"
    name = "SymInt" if symbolic else _WRITTEN.get(inner, str(inner))
    return name + optional


def _parameter(argument: Argument, *, is_method: bool) -> Parameter:
    name, default = argument.name, argument.default
    if name == "reduction" and argument.type == T.INT and default == 1:
        default = 0  # the parser reads `reduction=at::Reduction::Mean` as 0
    if name == "self" and argument.type == T.TENSOR and not is_method:
        name = "input"
    return Parameter(
        name, argument.type, _written(argument), argument.size,
        default, argument.kwarg_only, argument.name,
    )  # fmt: skip


@functools.cache
def dispatched() -> frozenset[str]:
    """Kinds of all ops that the dispatcher knows: those of TorchScript alone are not among them."""
    return frozenset(torch._C._dispatch_get_all_op_names())


@functools.cache
def aten_names() -> frozenset[str]:
    """Names, without namespace and overload, of the dispatcher's ``aten`` ops."""
    return frozenset(
        kind.removeprefix("aten::").partition(".")[0]
        for kind in dispatched()
        if kind.startswith("aten::")
    )


def _has_python_signature(schema: OpSchema) -> bool:
    if schema.kind not in dispatched() or schema.kind in _HIDDEN:
        return False
    if any("Dimname" in a.written for a in schema.arguments):
        return False
    is_generated = torch.Tag.generated in overload(schema.kind).tags
    return not is_generated or torch.Tag.view_copy in overload(schema.kind).tags


def _inputs(schema: OpSchema) -> list[Argument]:
    return [a for a in schema.arguments if not a.is_out]


def _outs(schema: OpSchema) -> list[Argument]:
    return [a for a in schema.arguments if a.is_out]


def _key(schema: OpSchema) -> tuple[str, ...]:
    return tuple(
        f"{_written(a)} {a.name} {a.kwarg_only} {a.default!r}"
        for a in _inputs(schema)
        if a.name not in _OPTIONS
    )


def _signature(name: str, schema: OpSchema, out: OpSchema | None, is_method: bool) -> Signature:
    positional: list[Parameter] = []
    keyword: list[Parameter] = []
    options: list[Parameter] = []
    names = {a.name for a in schema.arguments}
    is_factory = set(_OPTIONS) <= names
    for argument in _inputs(schema):
        if is_method and argument.name == "self":
            continue
        if is_factory and argument.name in _OPTIONS:
            options.append(_parameter(argument, is_method=is_method))
        else:
            (keyword if argument.kwarg_only else positional).append(
                _parameter(argument, is_method=is_method)
            )
    if out is not None and not is_method:
        keyword.append(_out_parameter(_outs(out)))
    if is_factory:
        wanted = Parameter("requires_grad", T.BOOL, "bool?", None, False, True, "")
        options.append(wanted)
    return Signature(name, (*positional, *keyword, *options), schema, None if is_method else out)


def _out_parameter(outs: Sequence[Argument]) -> Parameter:
    if len(outs) == 1:
        argument = outs[0]
        return Parameter(
            argument.name, argument.type, _written(argument), None, None, True, argument.name
        )
    return Parameter(
        "out", T.ListType([T.TENSOR]), f"TensorList[{len(outs)}]", len(outs), None, True, "out"
    )


def _deprecated(signature: Signature, is_method: bool) -> Iterable[Signature]:
    for order in _DEPRECATED.get(signature.name.rstrip("_"), ()):
        found = {p.source: p for p in signature.parameters}
        wanted = [n for n in order if not (is_method and n == "self")]
        if all(n in found for n in wanted) and "out_dtype" not in found:
            parameters = [
                Parameter(p.name, p.type, p.written, p.size, NO_DEFAULT, False, p.source)
                for p in (found[n] for n in wanted)
            ]
            parameters += [p for p in signature.parameters if p.name == "out"]
            yield Signature(
                signature.name, tuple(parameters), signature.schema, signature.out_schema, True
            )


@functools.cache
def signatures(name: str, *, is_method: bool = False) -> tuple[Signature, ...]:
    """What ``torch.<name>`` or ``Tensor.<name>`` takes, in the parser's order; () if nothing."""
    if name not in aten_names():
        return ()
    schemas = [s for s in aten_overloads(f"aten::{name}") if _has_python_signature(s)]
    if is_method:
        schemas = [s for s in schemas if any(_is_self(a) for a in s.arguments)]
    bases = {_key(s): s for s in schemas if not _outs(s)}
    outs = {_key(s): s for s in schemas if _outs(s)}
    found: list[Signature] = []
    for key, schema in bases.items():
        signature = _signature(name, schema, outs.get(key), is_method)
        found.append(signature)
        found += _deprecated(signature, is_method)
    return tuple(_sorted(found))


def _is_self(argument: Argument) -> bool:
    return argument.name == "self" and argument.type == T.TENSOR


def _is_smaller_type(a: str, b: str) -> bool:
    return (
        (a, b) in (("Scalar", "Tensor"), ("Scalar?", "Tensor?"))
        or (a == "IntArrayRef" and b in ("int64_t", "int64_t?"))
        or (a == "TensorList" and ("List" in b or "Array" in b) and a != b)
        or (a == "SymIntArrayRef" and b == "IntArrayRef")
        or (a in ("SymInt", "int64_t") and b == "Tensor")
    )


def _is_smaller(a: Signature, b: Signature) -> bool:
    """Whether ``a`` is tried after ``b``."""
    left = [p.written for p in a.parameters if not _is_out(p)]
    right = [p.written for p in b.parameters if not _is_out(p)]
    return (
        len(left) == len(right)
        and left != right
        and all(x == y or _is_smaller_type(x, y) for x, y in zip(left, right, strict=True))
    )


def _is_out(parameter: Parameter) -> bool:
    return parameter.name == "out" and parameter.keyword_only


def _sorted(found: list[Signature]) -> list[Signature]:
    found = sorted(found, key=str)
    after = {i: {j for j, b in enumerate(found) if _is_smaller(a, b)} for i, a in enumerate(found)}
    order = [i for i in range(len(found)) if not after[i]]
    waiting = {i: larger for i, larger in after.items() if larger}
    for done in order:
        for i in sorted(waiting):
            waiting[i].discard(done)
            if not waiting[i]:
                del waiting[i]
                order.append(i)
    return [found[i] for i in order]


@functools.cache
def op_signatures(name: str) -> tuple[Signature, ...]:
    """What the packet ``torch.ops.<ns>.<op>`` takes: its schemas as they stand."""
    return tuple(op_signature(s.kind) for s in aten_overloads(name))


@functools.cache
def op_signature(kind: str) -> Signature:
    """What the overload ``torch.ops.<ns>.<op>.<overload>`` takes."""
    schema = aten_schema(kind)
    assert schema is not None, kind
    parameters = tuple(
        Parameter(a.name, a.type, a.written, a.size, a.default, a.kwarg_only, a.name)
        for a in schema.arguments
    )
    return Signature(kind, parameters, schema)
