"""How functions and recordings are called, in the manifest of an archive."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from scriptmode.archive.problems import not_saved
from scriptmode.archive.read_values import ValueReader
from scriptmode.archive.value_kinds import Json
from scriptmode.archive.values import ValueWriter
from scriptmode.frontend.trace import Frozen, InputTree, OutputTree, TracedMethod
from scriptmode.frontend.trace.guards import Guard
from scriptmode.frontend.trace.structure import Container, Leaf, Spec, Static, container_of
from scriptmode.ir.type_parser import parse_type
from scriptmode.support.diagnostics import ArchiveError
from scriptmode.support.source import Span

_KINDS = {str(k.name).lower(): k for k in inspect._ParameterKind}


def encode_signature(signature: inspect.Signature | None, values: ValueWriter) -> Json:
    """Name, kind and default of each parameter."""
    if signature is None:
        return None
    rows = []
    for p in signature.parameters.values():
        row = [p.name, str(p.kind.name).lower()]
        if p.default is not p.empty:
            row.append(values.encode(p.default, f"the default of `{p.name}`"))
        rows.append(row)
    return rows


def decode_signature(code: Json, values: ValueReader) -> inspect.Signature | None:
    """The opposite; raises KeyError, TypeError or ValueError when ``code`` is none."""
    if code is None:
        return None
    return inspect.Signature(
        [
            inspect.Parameter(
                name, _KINDS[kind],
                default=values.decode(*default) if default else inspect.Parameter.empty,
            )
            for name, kind, *default in code
        ]
    )  # fmt: skip


def encode_recording(method: TracedMethod, values: ValueWriter) -> Json:
    """How the arguments of a recorded function become those of its graph, and its result."""
    tree = method.input_tree
    return {
        "signature": encode_signature(tree.signature, values),
        "inputs": {n: _encode_spec(s, values, method.name) for n, s in tree.specs.items()},
        "guards": [[g.fact, g.name, _encode_span(g.span)] for g in tree.guards],
        "facts": values.encode(list(tree.facts), "what was recorded of the inputs"),
        "output": _encode_spec(method.output_tree.spec, values, method.name),
        "results": method.output_tree.count,
        "frozen": [
            [f.kind, _frozen_value(f.value, values), _encode_span(f.span), f.text, f.warned]
            for f in method.frozen
        ],
    }


def decode_recording(name: str, code: Json, values: ValueReader) -> TracedMethod:
    """The opposite; raises KeyError, TypeError or ValueError when ``code`` is none."""
    specs = {str(n): _decode_spec(s, values) for n, s in code["inputs"].items()}
    leaves = tuple(leaf for spec in specs.values() for leaf in spec.leaves())
    guards = tuple(Guard(str(f), str(n), _decode_span(s)) for f, n, s in code["guards"])
    facts = tuple(values.decode(code["facts"]))
    if guards and len(facts) != len(leaves):
        raise ValueError("facts of other inputs")
    signature = decode_signature(code["signature"], values)
    frozen = [
        Frozen(str(kind), values.decode(value), _decode_span(span), str(text), warned is True)
        for kind, value, span, text, warned in code["frozen"]
    ]
    output = _decode_spec(code["output"], values)
    count = sum(1 for _ in output.leaves())
    if count != code["results"]:
        raise ValueError("another number of results")
    inputs = InputTree(signature, specs, leaves, guards, facts)
    return TracedMethod(name, inputs, OutputTree(output, count), frozen, [], None, None)


def _frozen_value(value: Any, values: ValueWriter) -> Json:
    try:
        return values.encode(value, "a value that the recording has fixed")
    except ArchiveError:
        return repr(value)  # it is for people to read


def _encode_span(span: Span) -> Json:
    ends = [span.end_line, span.end_column, span.function] if span.end_line else []
    return [span.file, span.line, span.column, *ends]


def _decode_span(code: Json) -> Span:
    file, line, column, *ends = code
    if not ends:
        return Span(str(file), int(line), int(column))
    end_line, end_column, function = ends
    return Span(str(file), int(line), int(column), int(end_line), int(end_column), str(function))


def _encode_spec(spec: Spec, values: ValueWriter, what: str) -> Json:
    if isinstance(spec, Leaf):
        code: dict[str, Json] = {"leaf": spec.name, "type": str(spec.type)}
        if spec.is_frozen:
            code["frozen"] = values.encode(spec.frozen, f"an input of {what}")
        return code
    if isinstance(spec, Static):
        return {"static": values.encode(spec.value, f"an input or result of {what}")}
    assert isinstance(spec, Container)
    if not spec.style:
        raise not_saved(f"{what}, whose inputs or results are in a {spec.python_class.__name__}")
    code = {
        "container": values.classes.number(spec.python_class),
        "style": spec.style,
        "keys": [values.encode(k, f"a key of {what}") for k in spec.keys],
        "items": [_encode_spec(item, values, what) for item in spec.items],
    }
    if spec.style == "default":
        code["factory"] = values.encode(spec.factory, f"a factory of {what}")
    return code


def _decode_spec(code: Mapping[str, Json], values: ValueReader) -> Spec:
    if "leaf" in code:
        is_frozen = "frozen" in code
        frozen = values.decode(code["frozen"]) if is_frozen else None
        return Leaf(parse_type(str(code["type"])), str(code["leaf"]), is_frozen, frozen)
    if "static" in code:
        return Static(values.decode(code["static"]))
    cls = values.classes.get(code["container"])
    keys = tuple(values.decode(k) for k in code["keys"])
    items = [_decode_spec(item, values) for item in code["items"]]
    if len(keys) != len(items):
        raise ValueError("other keys than items")
    return container_of(str(code["style"]), cls, keys, values.decode(code.get("factory")), items)
