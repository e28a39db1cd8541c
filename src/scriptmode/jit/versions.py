"""Versions of a function: programs that run special code while what was seen holds.

``build(subject, seen, code)`` makes the program of one version, whose root tests the guards::

    graph f.guarded(%x: Tensor):
      %plain: bool = torch::is_plain_state(%false, %float32)
      %1: bool = tensor::fits(%x, %float32, %shape, %strides)
      ...
      %y: Tensor = prim::If(%all)
        block0():
          torch::count(%hits)
          %a: Tensor = prim::Call[callee='f.special'](%x, %weight)
          -> (%a)
        block1():
          torch::count(%misses)
          %b: Tensor = prim::Call[callee='f'](%x)
          -> (%b)
      return (%y)

``f.special`` is ``f`` with its calls inlined; tensors of modules are parameters, and plain
attributes of modules constants.  Then the passes run, then what ``specializer`` has registered,
which may rely on the facts of the parameters.  ``f`` is the code that the function ran before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from scriptmode.analysis.edges import Edges
from scriptmode.analysis.facts import TensorFact
from scriptmode.codegen.module import CompiledProgram, Compiler, Elsewhere, compile_program
from scriptmode.codegen.object_code import compile_object
from scriptmode.codegen.regions import LEFT
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import Graph, Node, Program, Value, callees, copy_graph
from scriptmode.ir.verifier import verify
from scriptmode.jit.observation import (
    Argument,
    Attribute,
    Fact,
    Length,
    Nothing,
    Place,
    Scalar,
    Seen,
    Subject,
    attribute_reads,
)
from scriptmode.jit.pipeline import SIMPLIFYING, optimize_function
from scriptmode.ops.aten import schema_of
from scriptmode.passes.dce import eliminate_dead_code
from scriptmode.passes.narrowing import replace_uses, replace_with
from scriptmode.runtime.versions import counted
from scriptmode.support import config

Facts = Mapping[Value, TensorFact]
# makes better code of a graph whose parameters are known; whether it has changed the graph
Specializer = Callable[[Graph, Program, Facts], bool]

_SPECIALIZERS: list[Specializer] = []


def specializer(run: Specializer) -> Specializer:
    """Register a step that special code goes through."""
    _SPECIALIZERS.append(run)
    return run


@dataclass
class Version:
    """Special code of a function."""

    seen: Seen
    program: Program
    compiled: CompiledProgram
    root: str
    special: str
    needs_no_grad: bool
    default_dtype: torch.dtype
    seconds: float  # that making it took
    ratio: float = 0.0  # of the times of a call with it and without, if it was on trial

    @property
    def guards(self) -> list[str]:
        """What must hold, in words."""
        words = [f"{place} is {text_of(fact)}" for place, fact in self.seen.items()]
        if self.default_dtype != torch.float32:
            words.append(f"the default dtype is {self.default_dtype}")
        return [*words, "no gradients are recorded"] if self.needs_no_grad else words

    @property
    def hits(self) -> int:
        """Calls that ran it."""
        return counted(self.compiled, "hits")

    @property
    def misses(self) -> int:
        """Calls that came to it and went on."""
        return counted(self.compiled, "misses")

    @property
    def left(self) -> dict[str, int]:
        """How often regions have run torch's ops instead of their kernels, by name."""
        names = (what for what in self.compiled.counters if what.startswith(LEFT))
        found = {what.removeprefix(LEFT): counted(self.compiled, what) for what in names}
        return {name: times for name, times in found.items() if times}

    @property
    def graph(self) -> Graph:
        """The special code."""
        return self.program.functions[self.special]

    def __repr__(self) -> str:
        guards = "; ".join(self.guards)
        return f"<Version: {guards}: {self.hits} hits, {self.misses} misses>"


def text_of(fact: Fact) -> str:
    """A fact in words."""
    return fact.text if isinstance(fact, TensorFact) else str(fact)


def build(
    subject: Subject,
    seen: Seen,
    needs_no_grad: bool,
    generic: Program,
    code: Elsewhere,
    compiler: Compiler = compile_object,
) -> Version:
    """Compile a version for what was seen; ``code`` is that of ``generic``."""
    start = time.perf_counter()
    default = torch.get_default_dtype()
    program, special = special_program(subject, seen, needs_no_grad, default, generic, code)
    compiled = compile_program(
        program, debug=config.get("debug"), elsewhere=code, compiler=compiler
    )
    seconds = time.perf_counter() - start
    root = program.root
    return Version(seen, program, compiled, root, special, needs_no_grad, default, seconds)


def special_program(
    subject: Subject, seen: Seen, needs_no_grad: bool, default_dtype: torch.dtype,
    generic: Program, code: Elsewhere,
) -> tuple[Program, str]:  # fmt: skip
    """The program of a version, and the name of its special function."""
    program, special, known = special_code(subject, seen, generic, code.functions)
    guarded = Guarded(program, subject, seen, needs_no_grad, default_dtype, special, known.extra)
    program.root = program.add(guarded.graph).name
    if config.get("verify"):
        verify(special, program, schema_of)
        verify(program.graph, program, schema_of)
    return program, special.name


def special_code(
    subject: Subject, seen: Seen, generic: Program, others: Iterable[str]
) -> tuple[Program, Graph, Known]:
    """A program of special code and of the ``others`` of ``generic``; the special function."""
    others = list(others)
    program = Program()
    program.functions = {name: generic.functions[name] for name in others}
    program.classes, program.enums = generic.classes, generic.enums
    program.named_tuples, program.globals = generic.named_tuples, generic.globals
    program.self_object, program.captures = generic.self_object, generic.captures
    special = copy_graph(subject.graph)
    special.kwarg_only = set()  # it is called by position
    special.name = program.unique_name(f"{subject.function}.special")
    known = Known(subject, seen, special)
    program.add(special)
    add_missing(program, subject.program, special)
    for name in [n for n in program.functions if n not in others and n != special.name]:
        optimize_function(program.functions[name], program)
    optimize_function(special, program, SIMPLIFYING)  # constants decide branches
    optimize_function(special, program)
    for run in _SPECIALIZERS:
        if run(special, program, known.facts):
            eliminate_dead_code(special, program)
    return program, special, known


def add_missing(program: Program, source: Program, graph: Graph) -> None:
    """Add the functions that a graph calls and that are not there."""
    pending = callees(graph)
    while pending:
        name = pending.pop()
        if name not in program.functions:
            pending += callees(program.add(copy_graph(source.functions[name])))


class Known:
    """Puts what was seen into the special function.

    ``facts`` are those of its parameters; ``extra`` are the places of the parameters that it has
    besides those of the function.
    """

    def __init__(self, subject: Subject, seen: Seen, graph: Graph) -> None:
        self.seen, self.graph = seen, graph
        self.facts: dict[Value, TensorFact] = {}
        self.extra: list[Place] = []
        own = list(graph.params)
        for place, fact in seen.items():
            if isinstance(place, Argument):
                self._argument(own[place.number], place, fact)
        values: dict[Place, Value] = {}
        for place, node in attribute_reads(graph, subject):
            self._attribute(place, node, values)

    def _argument(self, param: Value, place: Argument, fact: Fact) -> None:
        if isinstance(fact, Nothing):
            none = Node("prim::Constant", (), [T.NONE], attributes={"value": None})
            self._at_start(none)
            replace_uses(param, none.output)
        elif isinstance(fact, Length):
            self._list(param, place, fact.count)
        elif isinstance(fact, TensorFact) and not isinstance(param.type, T.ListType):
            if param.type == T.TENSOR:
                self.facts[param] = fact
                return
            inner = self._new_param(place, fact)
            if not place.path:
                replace_uses(param, inner)
                return
            for value in _elements(param, place.path):
                assert value.node is not None
                value.replace_all_uses_with(inner)
                value.node.erase()

    def _list(self, param: Value, place: Argument, count: int) -> None:
        """A list of parameters in place of one that is a list."""
        elements: list[Value] = []
        for index in range(count):
            own = Argument(place.number, (index,), place.name)
            fact = self.seen[own]
            assert isinstance(fact, TensorFact), "elements of lists are seen with their length"
            elements.append(self._new_param(own, fact))
        made = Node("prim::ListConstruct", elements, [param.type])
        self._at_start(made)
        param.replace_all_uses_with(made.output)

    def _attribute(self, place: Attribute, node: Node, values: dict[Place, Value]) -> None:
        fact = self.seen.get(place)
        if isinstance(fact, TensorFact):
            if place not in values:
                values[place] = self._new_param(place, fact)
            node.replace_with(values[place])
        elif isinstance(fact, (Nothing, Scalar)):
            value = fact.value if isinstance(fact, Scalar) else None
            t = T.NONE if value is None else T.unwrap_optional(node.output.type)
            constant = Node("prim::Constant", (), [t], attributes={"value": value}, span=node.span)
            constant.insert_before(node)
            replace_with(node, constant.output)

    def _new_param(self, place: Place, fact: TensorFact) -> Value:
        name = "".join(c if c.isalnum() else "_" for c in str(place))
        taken = {param.name for param in self.graph.params}
        while name in taken:
            name += "_"
        made = self.graph.add_param(T.TENSOR, name)
        self.facts[made] = fact
        self.extra.append(place)
        return made

    def _at_start(self, node: Node) -> None:
        first = self.graph.block.first
        assert first is not None, "a function ends with a terminator"
        node.insert_before(first)


def _elements(value: Value, path: tuple[int, ...]) -> Iterator[Value]:
    """The values that are read from a tuple at a path."""
    if not path:
        yield value
        return
    for use in value.uses:
        if use.node.kind == "prim::TupleIndex" and use.node.attributes["index"] == path[0]:
            yield from _elements(use.node.output, path[1:])


class Root:
    """A function of the parameters of another, in which what was seen has values."""

    def __init__(self, program: Program, subject: Subject, name: str) -> None:
        own = subject.program.functions[subject.function]
        self.subject = subject
        self.graph = Graph(program.unique_name(f"{subject.function}.{name}"))
        self.params = [self.graph.add_param(p.type, p.name) for p in own.params]
        self.builder = Builder(self.graph.block, schema_of)
        self._modules: dict[tuple[str, tuple[str, ...]], Value] = {}
        self._values: dict[Place, Value] = {}

    def _tensor(self, place: Place) -> Value:
        """A tensor that is there."""
        if isinstance(place, Attribute):
            return self._values[place]
        value = self.params[place.number]
        for index in place.path:
            if isinstance(value.type, T.ListType):
                value = self.builder.op("list::getitem_inside", value, self.builder.constant(index))
            else:
                value = self.builder.tuple_index(value, index)
        return self.builder.cast(value, T.TENSOR)

    def _read(self, place: Attribute) -> Value:
        owner = self._module(place.base, place.path)
        assert isinstance(owner.type, T.ClassType)
        t = owner.type.attributes[place.name]
        return self.builder.node("prim::GetAttr", [owner], [t], name=place.name).output

    def _module(self, base: str, path: tuple[str, ...]) -> Value:
        found = self._modules.get((base, path))
        if found is None:
            found = self._modules[base, path] = self._find_module(base, path)
        return found

    def _find_module(self, base: str, path: tuple[str, ...]) -> Value:
        if path:
            owner = self._module(base, path[:-1])
            assert isinstance(owner.type, T.ClassType)
            t = owner.type.attributes[path[-1]]
            return self.builder.node("prim::GetAttr", [owner], [t], name=path[-1]).output
        if not base:
            return self.params[0]
        reads = self.subject.graph.find_all("prim::Global")
        t = next(n.output.type for n in reads if n.attributes["name"] == base)
        return self.builder.node("prim::Global", [], [t], name=base).output


class Direct(Root):
    """A root without guards, for arguments that are known to be what was seen."""

    def __init__(
        self, program: Program, subject: Subject, special: Graph, extra: Sequence[Place]
    ) -> None:
        super().__init__(program, subject, "direct")
        result = Edges(program, special).result_type
        assert result is not None
        self.graph.return_type = result
        self._values = {p: self._read(p) for p in extra if isinstance(p, Attribute)}
        given = [*self.params, *map(self._tensor, extra)]
        found = self.builder.call(special.name, given, result)
        self.graph.block.terminate("prim::Yield", [found])


class Guarded(Root):
    """The root of a version: guards, then the special function or the one it is a version of.

    Without a way back, the root gives None where the guards fail.
    """

    def __init__(
        self, program: Program, subject: Subject, seen: Seen, needs_no_grad: bool,
        default_dtype: torch.dtype, special: Graph, extra: Sequence[Place],
        has_way_back: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(program, subject, "guarded")
        self.seen, self.needs_no_grad = seen, needs_no_grad
        self.default_dtype = default_dtype
        b = self.builder
        plain = result = Edges(program, special).result_type
        assert plain is not None and result is not None
        if not has_way_back:
            result = T.optional_of(plain)
        self.graph.return_type = result
        self._values = {p: self._read(p) for p in seen if isinstance(p, Attribute)}
        choice = self._if(self._outer(), [T.BOOL])
        with b.at(choice.blocks[0]) as block:
            block.terminate("prim::Yield", [self._inner()])
        with b.at(choice.blocks[1]) as block:
            block.terminate("prim::Yield", [b.constant(False)])
        branch = self._if(choice.output, [result])
        with b.at(branch.blocks[0]) as block:
            b.op_node("torch::count", [b.constant("hits")])
            given = [*self.params, *map(self._tensor, extra)]
            block.terminate("prim::Yield", [b.call(special.name, given, plain)])
        with b.at(branch.blocks[1]) as block:
            b.op_node("torch::count", [b.constant("misses")])
            if has_way_back:
                found = b.call(subject.function, self.params, result)
            else:
                found = b.constant(None, result)
            block.terminate("prim::Yield", [found])
        self.graph.block.terminate("prim::Yield", [branch.output])

    def _if(self, condition: Value, types: list[T.Type]) -> Node:
        node = self.builder.if_node(condition)
        for t in types:
            node.add_output(t)
        return node

    def _outer(self) -> Value:
        """What must hold before tensors that may be None are looked at."""
        b = self.builder
        default = b.constant(self.default_dtype, T.DTYPE)
        found = b.op("torch::is_plain_state", b.constant(self.needs_no_grad), default)
        for place, fact in self.seen.items():
            if isinstance(place, Argument):
                param = self.params[place.number]
                if isinstance(param.type, T.OptionalType):
                    found = self._and(found, self._is_none(param, isinstance(fact, Nothing)))
            elif isinstance(fact, Nothing):
                found = self._and(found, self._is_none(self._values[place], True))
            elif isinstance(fact, Scalar):
                value = self._values[place]
                if isinstance(value.type, T.OptionalType):
                    found = self._and(found, self._is_none(value, False))
        for place, fact in self.seen.items():
            if isinstance(fact, Length):
                assert isinstance(place, Argument)
                length = b.op("list::len", self.params[place.number])
                found = self._and(found, b.op("int::eq", length, b.constant(fact.count)))
        return found

    def _inner(self) -> Value:
        """Everything else."""
        b = self.builder
        found = b.constant(True)
        for place, fact in self.seen.items():
            if isinstance(fact, TensorFact):
                value = self._tensor(place)
                wanted = [
                    b.constant(fact.dtype, T.DTYPE),
                    b.constant(torch.Size(fact.shape), T.SIZE),
                    b.constant(torch.Size(fact.strides), T.SIZE),
                    b.constant(not self.needs_no_grad),
                ]
                found = self._and(found, b.op("tensor::fits", value, *wanted))
                if self.subject.may_enable_grad:
                    needs = b.op("tensor::requires_grad", value)
                    found = self._and(found, b.op("bool::not", needs))
            elif isinstance(fact, Scalar):
                assert isinstance(place, Attribute)
                found = self._and(found, self._equals(self._values[place], fact.value))
        return found

    def _and(self, a: Value, b: Value) -> Value:
        return self.builder.op("bool::and", a, b)

    def _is_none(self, value: Value, wanted: bool) -> Value:
        found = self.builder.node("prim::is_none", [value], [T.BOOL]).output
        return found if wanted else self.builder.op("bool::not", found)

    def _equals(self, value: Value, wanted: object) -> Value:
        b = self.builder
        value = b.cast(value, T.unwrap_optional(value.type))
        if value.type == T.BOOL:
            return value if wanted else b.op("bool::not", value)
        return b.op(f"{value.type}::eq", value, b.constant(wanted, value.type))
