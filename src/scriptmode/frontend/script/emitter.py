"""The emitter: the state of compiling one function, and what every handler needs.

An ``Emitter`` has the function's scope, the environment at the current point, and a builder that
appends nodes at the current place.  Handlers take it as their first argument.
"""

from __future__ import annotations

import ast
import contextlib
import enum
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import torch

from scriptmode.frontend.script.environment import Environment, Scope, is_element
from scriptmode.frontend.script.handlers import (
    ATTRIBUTES,
    CALLS,
    EXPRESSIONS,
    STATEMENTS,
    SUBSCRIPTS,
)
from scriptmode.frontend.script.values import (
    Arguments,
    CellVariable,
    Constant,
    DictDisplay,
    GeneratorValue,
    IRValue,
    IterableValue,
    ListDisplay,
    ModuleChoice,
    ModuleValue,
    Place,
    PythonObject,
    Sugared,
    TupleDisplay,
    TypeOf,
)
from scriptmode.frontend.script.writes import ELEMENTS, Writes, writes_elements
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import UNREACHABLE, Block, Graph, Node, Value
from scriptmode.ir.growth import join_elements
from scriptmode.ir.schema import OpSchema
from scriptmode.ops.aten import schema_of
from scriptmode.ops.scalars import INT_MAX, INT_MIN
from scriptmode.support.captures import MISSING
from scriptmode.support.diagnostics import (
    CompileError,
    Diagnostic,
    Label,
    NotBuiltError,
    ScriptNameError,
    ScriptSyntaxError,
    ScriptTypeError,
)
from scriptmode.support.source import Span

if TYPE_CHECKING:
    from scriptmode.frontend.script.flow import LoopContext
    from scriptmode.frontend.script.generator_ends import Fresh
    from scriptmode.frontend.script.generators import Suspension
    from scriptmode.frontend.script.unit import Unit


class DeadCode(Exception):
    """The current block has been terminated; what follows in it is never run."""


class NeedsConstant(ScriptTypeError):
    """A value must be known at compile time; unrolling a loop may make it so."""


class Restart(Exception):
    """Something learnt makes the emission of the current function start again."""


# what runs before a jump of a kind (Break, Continue, Return) with a value leaves a statement
Cleanup = Callable[[str, "Sugared | None"], None]

CONSTANT_TYPES: dict[type, T.Type] = {
    type(None): T.NONE, bool: T.BOOL, int: T.INT, float: T.FLOAT, complex: T.COMPLEX, str: T.STR,
    torch.dtype: T.DTYPE, torch.device: T.DEVICE, torch.layout: T.LAYOUT,
    torch.memory_format: T.MEMORY_FORMAT, torch.qscheme: T.QSCHEME, bytes: T.BYTES,
}  # fmt: skip


class _WatchedBuilder(Builder):
    """Tells the emitter of nodes after which an element may be another."""

    def __init__(self, emitter: Emitter, block: Block) -> None:
        super().__init__(block, schema_of)
        self._emitter = emitter

    def node(
        self,
        kind: str,
        inputs: Sequence[Value] = (),
        outputs: Sequence[T.Type] = (),
        *,
        schema: OpSchema | None = None,
        **attributes: Any,
    ) -> Node:
        if writes_elements(kind):
            self._emitter.forget_elements()
        return super().node(kind, inputs, outputs, schema=schema, **attributes)


def _learnt(actual: T.Type, hint: T.Type) -> T.Type:
    """An element type, of which a use has said more."""
    if T.NEVER in T.walk(actual) and type(actual) is type(hint):
        return hint
    return join_elements(actual, hint)


class Emitter:
    """State of compiling one function."""

    def __init__(
        self, unit: Unit, scope: Scope, graph: Graph, hints: dict[Hashable, T.Type]
    ) -> None:
        self.unit = unit
        self.scope = scope
        self.graph = graph
        self.hints = hints
        self.env = Environment()
        self.builder = _WatchedBuilder(self, graph.block)
        self.loops: list[LoopContext] = []
        self.cleanups: list[Cleanup] = []  # of the statements around, outermost first
        self.sites: dict[Node, Hashable] = {}
        self.returned: dict[Node, Sugared] = {}
        self.loop_memory: dict[Hashable, Any] = {}
        self.generator: Suspension | None = None  # in the resume function of a generator
        self.fresh: list[Fresh] = []  # generators that only the present expression holds
        self.owned: dict[str, Value] = {}  # slots of the variables that hold generators
        self.managed: set[Value] = set()  # states of generators that a `with` closes
        self.epoch = 0  # counts points at which attributes may have changed
        self.catches_stop = False  # inside a `try` that catches StopIteration
        self.is_reading = False  # the value of the expression is only looked into
        self.element_writes = 0  # counts points at which elements of containers may have

    # places and errors

    @contextlib.contextmanager
    def at(self, node: ast.AST) -> Iterator[None]:
        """New nodes and errors stand at ``node`` within the ``with``."""
        if not hasattr(node, "lineno"):
            yield
            return
        with self.builder.located(self.scope.source.span(node)):
            yield

    @property
    def span(self) -> Span:
        """The current place."""
        return self.builder.span

    def fail(
        self,
        code: str,
        message: str,
        *,
        error: type[CompileError] = CompileError,
        help: str = "",
        label: str = "",
        labels: tuple[Label, ...] = (),
        span: Span | None = None,
    ) -> NoReturn:
        """Report an error at the current place."""
        place = span if span is not None else self.span
        raise error(Diagnostic(code, message, place, label, labels, help=help))

    def fail_type(self, message: str, help: str = "") -> NoReturn:
        """Report an operation on types that do not support it."""
        self.fail("SM0201", message, error=ScriptTypeError, help=help)

    def fail_syntax(self, message: str, help: str = "") -> NoReturn:
        """Report a construct outside the language."""
        self.fail("SM0102", message, error=ScriptSyntaxError, help=help)

    def not_built(self, what: str, help: str = "") -> NoReturn:
        """Report a construct that is planned."""
        self.fail("SM0103", f"{what} not built yet", error=NotBuiltError, help=help)

    # syntax

    def expression(self, node: ast.expr, expected: T.Type | None = None) -> Sugared:
        """Compile an expression."""
        handler = EXPRESSIONS.get(type(node))
        with self.at(node):
            if handler is None:
                self.fail_syntax(f"`{type(node).__name__}` expressions are not supported")
            result: Sugared = handler(self, node, expected)
        return result

    def statements(self, body: Sequence[ast.stmt]) -> None:
        """Compile statements; the rest of a terminated block is skipped."""
        for node in body:
            handler = STATEMENTS.get(type(node))
            with self.at(node):
                if handler is None:
                    self.fail_syntax(f"`{type(node).__name__}` statements are not supported")
                before = len(self.fresh)
                self.unit.run_statement(self, node, handler)
                self.unit.check_held(self, before)
            self.check_alive()

    def forget_erased(self) -> None:
        """Forget generators whose making has been discarded."""
        self.fresh = [f for f in self.fresh if not f.is_erased()]

    def check_alive(self) -> None:
        """Raise DeadCode when the current block has its terminator."""
        if self.builder.block.is_terminated:
            raise DeadCode

    def die(self) -> NoReturn:
        """Nothing after this point runs."""
        self.builder.block.terminate(UNREACHABLE, [], self.span)
        raise DeadCode

    # operations on symbolic values

    def call(self, function: Sugared, arguments: Arguments) -> Sugared:
        """Call a value."""
        handler = CALLS.get(type(function))
        if handler is None:
            self.fail_type(f"{function.describe()} cannot be called")
        result: Sugared = handler(self, function, arguments)
        return result

    def call_positional(self, function: Sugared, *arguments: Sugared) -> Sugared:
        """Call a value with positional arguments."""
        return self.call(function, Arguments(list(arguments), {}))

    def find_attribute(self, value: Sugared, name: str) -> Sugared | None:
        """``value.name``; None when there is no such attribute."""
        handler = ATTRIBUTES.get(type(value))
        result: Sugared | None = None if handler is None else handler(self, value, name)
        return result

    def attribute(self, value: Sugared, name: str) -> Sugared:
        """``value.name``."""
        found = self.find_attribute(value, name)
        if found is None:
            self.unit.fail_attribute(self, value, name)
        return found

    def subscript(self, value: Sugared, index: Sugared) -> Sugared:
        """``value[index]``."""
        handler = SUBSCRIPTS.get(type(value))
        if handler is None:
            self.fail_type(f"{value.describe()} cannot be subscripted")
        result: Sugared = handler(self, value, index)
        return result

    # types and IR values

    def type_of(self, value: Sugared) -> T.Type | None:
        """The type of a value when it is built; None when it exists at compile time only."""
        match value:
            case IRValue():
                return value.type
            case Constant(value=constant):
                if isinstance(constant, enum.Enum):
                    return self.unit.enum_type(type(constant))
                return CONSTANT_TYPES.get(type(constant))
            case TupleDisplay(items=items):
                parts = [self.type_of(i) for i in items]
                known = [p for p in parts if p is not None]
                return T.TupleType(known) if len(known) == len(parts) else None
            case ListDisplay():
                element = self._element_type(value.items)
                return None if element is None else self.hinted(value.site, T.ListType([element]))
            case DictDisplay():
                k, v = self._element_type(value.keys), self._element_type(value.values)
                if k is None or v is None:
                    return None
                return self.hinted(value.site, T.DictType([k, v]))
            case ModuleValue():
                return value.value.type
            case TypeOf():
                return self.unit.class_choice(self, value)
            case ModuleChoice(candidates=candidates):
                return T.union_of([c.value.type for c in candidates])
            case IterableValue(kind="range"):
                return T.RANGE
        return None

    def _element_type(self, items: Sequence[Sugared]) -> T.Type | None:
        found: T.Type = T.NEVER
        for item in items:
            t = self.type_of(item)
            if t is None or isinstance(item, ModuleValue):
                return None  # modules stay known one by one
            joined = T.join(found, t)
            assert joined is not None
            found = joined
        return found

    def hinted(self, site: Hashable, actual: T.Type) -> T.Type:
        """Type of a container display: its elements' types and what was learnt from its uses."""
        hint = self.hints.get(site) if site is not None else None
        if hint is None:
            return actual
        pairs = zip(actual.contained, hint.contained, strict=True)
        return actual.with_contained([_learnt(a, h) for a, h in pairs])

    def value(self, value: Sugared, expected: T.Type | None = None) -> Value:
        """Build the IR value; ``expected`` decides element types of displays where it may."""
        match value:
            case IRValue():
                if expected is not None:
                    self.unit.adapt(self, value.value, expected)
                return value.value
            case ModuleValue():
                return value.value
            case ModuleChoice():
                return self.unit.chosen_module(self, value)
            case TypeOf():
                return self.value(self.unit.built_class(self, value))
            case Constant():
                return self._constant(value)
            case TupleDisplay(items=items):
                inner: Sequence[T.Type | None] = [None] * len(items)
                wanted = T.unwrap_optional(expected) if expected is not None else None
                if isinstance(wanted, T.TupleType) and len(wanted.elements) == len(items):
                    inner = wanted.elements
                elif isinstance(wanted, T.VarTupleType):
                    inner = [wanted.element] * len(items)
                return self.builder.tuple(
                    [self.value(i, t) for i, t in zip(items, inner, strict=True)]
                )
            case ListDisplay() | DictDisplay() if value.captured is not None:
                self._refuse_captured(value, value.captured.name)
            case ListDisplay():
                return self._list(value, expected)
            case DictDisplay():
                return self._dict(value, expected)
            case IterableValue(kind="range"):
                return self.unit.built_range(self, value)
        choice: Value | None = self.unit.build_choice(self, value)
        if choice is not None:
            return choice
        self.unit.make_run_time(self, value)
        self.fail(
            "SM0202",
            f"{value.describe()} is known at compile time only and cannot be stored or passed here",
            error=ScriptTypeError,
        )

    def _refuse_captured(self, value: ListDisplay | DictDisplay, name: str) -> NoReturn:
        self.unit.make_run_time(self, value)
        kind = "list" if isinstance(value, ListDisplay) else "dict"
        self.fail(
            "SM0212",
            f"the captured {kind} `{name}` itself cannot be stored, returned or changed here",
            error=ScriptTypeError,
            help=f"use a copy, `{kind}({name})`, or pass the {kind} as an argument",
        )

    def value_of_type(self, value: Sugared, expected: T.Type, what: str) -> Value:
        """Build the IR value, which must be of type ``expected``."""
        built = self.value(value, expected)
        if not T.is_subtype(built.type, expected):
            self.fail_type(f"{what} must be {expected}, not {built.type}")
        return built

    def _constant(self, value: Constant) -> Value:
        constant = value.value
        t = self.type_of(value)
        if t is None:
            self.fail_type(f"a constant of type {type(constant).__name__} cannot be stored")
        if t == T.INT and not INT_MIN <= constant <= INT_MAX:
            self.fail(
                "SM0204",
                f"the integer {constant} does not fit into 64 bits",
                help="compiled ints have 64 bits; use a float",
            )
        return self.builder.constant(constant, t)

    def _list(self, value: ListDisplay, expected: T.Type | None) -> Value:
        wanted = T.unwrap_optional(expected) if expected is not None else None
        inner = wanted.element if isinstance(wanted, T.ListType) else None
        items = [self.value(i, inner) for i in value.items]
        self._agree(items)
        element: T.Type = T.NEVER
        for item in items:
            element = T.join(element, item.type) or T.ANY
        if inner is not None and T.is_subtype(element, inner):
            element = inner
        t = self.hinted(value.site, T.ListType([element]))
        assert isinstance(t, T.ListType)
        self._adapt_all(items, t.element)
        built = self.builder.list(items, t.element)
        if value.site is not None and built.node is not None:
            self.sites[built.node] = value.site
        return built

    def _adapt_all(self, items: Sequence[Value], element: T.Type) -> None:
        """Empty containers among others take their element types from them."""
        for item in items:
            if T.NEVER in T.walk(item.type):
                self.unit.adapt(self, item, element)

    def _dict(self, value: DictDisplay, expected: T.Type | None) -> Value:
        wanted = T.unwrap_optional(expected) if expected is not None else None
        inner = wanted if isinstance(wanted, T.DictType) else None
        keys = [self.value(k, inner.key if inner else None) for k in value.keys]
        values = [self.value(v, inner.value if inner else None) for v in value.values]
        self._agree(values)
        parts: list[T.Type] = []
        for items, want in ((keys, inner and inner.key), (values, inner and inner.value)):
            t: T.Type = T.NEVER
            for item in items:
                t = T.join(t, item.type) or T.ANY
            parts.append(want if want is not None and T.is_subtype(t, want) else t)
        dict_type = self.hinted(value.site, T.DictType(parts))
        self._adapt_all(keys, dict_type.contained[0])
        self._adapt_all(values, dict_type.contained[1])
        flat = [v for pair in zip(keys, values, strict=True) for v in pair]
        node = self.builder.node("prim::DictConstruct", flat, [dict_type])
        if value.site is not None:
            self.sites[node] = value.site
        return node.output

    def _agree(self, items: Sequence[Value]) -> None:
        """Let the empty containers among a display's items take their types from the others."""
        kinds = [v.type for v in items if isinstance(v.type, T.CONTAINERS)]
        known = next((t for t in kinds if T.NEVER not in T.walk(t)), None)
        if known is not None and len({type(t) for t in kinds}) == 1 and len(set(kinds)) > 1:
            for item in items:
                self.unit.adapt(self, item, known)

    def lift(self, value: Value) -> Sugared:
        """An IR value as a symbolic value; None and Never are recognised by their types."""
        if value.type == T.NONE:
            return Constant(None)
        if value.type == T.NEVER:
            self.die()
        if value.type == T.RANGE:
            parts = [self.op(f"range::{name}", value) for name in ("start", "stop", "step")]
            return IterableValue("range", tuple(parts))
        module = self.unit.module_of_type(value.type)
        if module is not None:
            return ModuleValue(module, value)
        return IRValue(value)

    def op(self, kind: str, *inputs: Value) -> IRValue:
        """Append an op with one result."""
        return IRValue(self.builder.op(kind, *inputs))

    def int_constant(self, value: int) -> Value:
        """An int constant."""
        return self.builder.constant(value, T.INT)

    def raise_error(self, exception: type[BaseException], message: str | Value | None) -> NoReturn:
        """Append a raise of a Python exception."""
        if issubclass(exception, StopIteration):
            self.unit.note_stop(self)
        inputs: list[Value] = []
        if message is not None:
            text = self.builder.constant(message) if isinstance(message, str) else message
            inputs.append(text)
        self.builder.node("prim::raise", inputs, exception=exception)
        self.die()

    def forget_written(self, writes: Writes = None) -> None:
        """A call may have written these attributes and elements; None: any."""
        if writes is None:
            self.env.forget_attributes()
            self.epoch += 1
            return
        if ELEMENTS in writes:
            self.forget_elements()
        for name in writes - {ELEMENTS}:
            self.env.forget_attributes(name)
            self.env.forget_free(name)
            self.epoch += 1

    def forget_elements(self) -> None:
        """Elements of containers may have changed."""
        self.element_writes += 1
        self.env.forget_elements()

    def epoch_of(self, place: Place) -> int:
        """The count of points at which what is at ``place`` may have changed."""
        return self.epoch + (self.element_writes if is_element(place) else 0)

    # names

    def lookup(self, name: str) -> Sugared:
        """What a name means here."""
        found = self.env.names.get(name)
        if isinstance(found, CellVariable):
            return self.unit.read_cell(self, name, found, is_free=False)
        if found is not None:
            return self.unit.usable(self, name, found)
        if name in self.scope.locals:
            self.fail(
                "SM0301",
                f"local variable `{name}` is used before it is assigned",
                error=ScriptNameError,
            )
        captured = self.scope.captured.get(name)
        if isinstance(captured, CellVariable):
            return self.unit.read_cell(self, name, captured, is_free=True)
        if captured is not None:
            return self.unit.usable(self, name, captured)
        outside: Sugared | None = self.unit.read_outside(self, name)
        if outside is not None:
            return outside
        obj = self.scope.find_object(name, self.unit.program.captures)
        if obj is MISSING:
            if name == "__class__" and self.scope.owner_class is not None:
                return PythonObject(self.scope.owner_class)
            self.unit.share_variable(self, name)
            self.fail("SM0302", f"name `{name}` is not defined", error=ScriptNameError)
        return self.unit.wrap(self, obj, name)

    def assign(self, name: str, value: Sugared) -> None:
        """Bind a variable; containers get their identity now."""
        settled = self.settle(self.unit.kept(self, value), self.scope.declared.get(name))
        self.unit.own(self, name, settled)
        cell = self.cell_of(name)
        if cell is not None:
            self.unit.write_cell(self, name, cell, settled)
        elif self.is_outside(name):
            self.unit.assign_outside(self, name, settled)
        else:
            self.bind(name, settled)

    def is_outside(self, name: str) -> bool:
        """Whether an assignment of the name is one of a variable outside of the program."""
        scope = self.scope
        return name in scope.source.globals or (
            name in scope.nonlocals and name not in scope.captured and name not in self.env.names
        )

    def cell_of(self, name: str) -> CellVariable | None:
        """The cell in which a variable lives; None for others."""
        found = self.env.names.get(name)
        if found is None and name in self.scope.nonlocals:
            found = self.scope.captured.get(name)
        return found if isinstance(found, CellVariable) else None

    def bind(self, name: str, value: Sugared) -> None:
        """Give a variable a settled value, in its cell as well if it has one."""
        self.env.bind(name, value)
        cell = self.env.cells.get(name)
        if cell is not None:
            self.unit.write_variable(self, cell, value)

    def settle(self, value: Sugared, expected: T.Type | None = None) -> Sugared:
        """A display that can change becomes an object; one with compile-time items is frozen."""
        if isinstance(value, (ListDisplay, DictDisplay)) and not value.frozen:
            if self.type_of(value) is None and value.site not in self.unit.choices.built:
                items = value.parts()
                settled = value.with_parts([self.settle(i) for i in items])
                assert isinstance(settled, (ListDisplay, DictDisplay))
                settled.frozen = True
                return settled
            return IRValue(self.value(value, expected))
        if isinstance(value, TupleDisplay):
            return value.with_parts([self.settle(i) for i in value.items])
        if isinstance(value, GeneratorValue):
            kept: Sugared = self.unit.kept(self, value)
            return kept
        return value
