"""The compilation unit: all that the functions of one program share.

It owns the program, the instances of functions and the descriptions of modules, and gives the
handlers the services that stand above them.
"""

from __future__ import annotations

import contextlib
import enum
import functools
import types
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from torch import nn

from scriptmode.frontend.script import (
    attribute_facts,
    builtin_types,
    bytestrings,
    captured_objects,
    cells,
    choices,
    collecting,
    comparisons,
    conditions,
    decorated,
    dict_classes,
    entry_keywords,
    function_calls,
    generator_ends,
    generators,
    import_statements,
    iteration,
    iterator_library,
    iterators,
    literals,
    membership,
    method_guesses,
    module_containers,
    module_state,
    modules,
    not_implemented,
    number_methods,
    objects,
    operators,
    outside_variables,
    powers,
    python_modules,
    sets,
    shared_objects,
    sorting,
    spreading,
    statements,
    stopping,
    stores,
    text,
    tries,
    unbound_variables,
    variables,
    wrapping,
    yields,
)
from scriptmode.frontend.script import dunders as special_methods
from scriptmode.frontend.script.call_expressions import call_arguments
from scriptmode.frontend.script.captured_objects import OutsideObjects
from scriptmode.frontend.script.cells import CellTable
from scriptmode.frontend.script.choices import ChoiceTable
from scriptmode.frontend.script.classes import (
    AttributeLearnt,
    ClassFacts,
    ClassTable,
)
from scriptmode.frontend.script.declared_types import DeclaredTypes
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.environment import Scope
from scriptmode.frontend.script.expressions import (
    collected,
)
from scriptmode.frontend.script.flow import branch, leave_loop
from scriptmode.frontend.script.functions import Instance, Target, bind_itself
from scriptmode.frontend.script.generators import GeneratorCode
from scriptmode.frontend.script.linking import ProgramLinker
from scriptmode.frontend.script.list_methods import extend_list
from scriptmode.frontend.script.loops import run_while
from scriptmode.frontend.script.methods import call_op
from scriptmode.frontend.script.modules import ModuleInfo, ModuleTable
from scriptmode.frontend.script.outside_variables import OutsideVariables
from scriptmode.frontend.script.shared_objects import SharedTable
from scriptmode.frontend.script.values import (
    NONE_VALUE,
    Arguments,
    Constant,
    DictDisplay,
    GeneratorObject,
    IRValue,
    IterableValue,
    ManagerValue,
    ModuleChoice,
    ModuleValue,
    PythonObject,
    SliceValue,
    Sugared,
    TypeOf,
)
from scriptmode.frontend.script.writes import WriteTable
from scriptmode.ir import types as T
from scriptmode.ir.enumerations import enum_type
from scriptmode.ir.graph import BREAK, Graph, Program, Value
from scriptmode.ir.growth import join_growing
from scriptmode.support.captures import Captures
from scriptmode.support.diagnostics import (
    Diagnostic,
    ScriptTypeError,
)
from scriptmode.support.source import Span

_DATA = (int, float, complex, str, bytes)  # classes of data that members of enumerations may be


class Unit:
    """One program being compiled."""

    dunders = special_methods

    def __init__(
        self,
        attribute_types: dict[tuple[type, str], T.Type],
        late: dict[tuple[type, str], T.Type],
        objects: OutsideObjects,
        outside: OutsideVariables,
        choices: ChoiceTable,
        cells: CellTable,
        shared: SharedTable,
        data_enums: list[Any],
        stand_ins: Mapping[int, nn.Module],
        facts: ClassFacts,
    ) -> None:
        self.program = Program()
        self.instances: dict[Hashable, Instance] = {}
        self.stack: list[Instance] = []
        self.attribute_types = attribute_types
        self.choices = choices
        self.cells = cells
        self.shared = shared
        self.entries: list[Target] = []
        self.late = late  # attributes of modules that may be unbound
        self.data_enums = data_enums  # enumerations whose members are numbers or strings
        self.fixed_parameters: set[tuple[Hashable, int]] = set()  # containers that cannot grow
        self._asked_of_any: set[type] = set()
        self.outside = outside  # variables that the program assigns
        self.objects = objects  # objects from outside that are needed at run time
        self.stand_ins = stand_ins  # modules used instead of others, by the others' ids
        self.modules = ModuleTable(self)
        self.classes = ClassTable(self, facts)
        self.linker = ProgramLinker(self.program)
        self.writes = WriteTable(self.program.functions)
        self.context_functions: set[int] = set()  # nodes of context managers' generators
        self.generator_codes: dict[Hashable, GeneratorCode] = {}
        self._names: set[str] = set()
        self.known_globals: dict[int, tuple[str, Any]] = {}
        self.is_guarding = True
        self.is_deferring = False  # parameters that are called are not known yet
        self._emitter: Emitter | None = None
        self.declared = DeclaredTypes(self)

    # names

    def unique_name(self, name: str) -> str:
        """A new function name."""
        candidate, number = name, 0
        while candidate in self._names or candidate in self.program.functions:
            number += 1
            candidate = f"{name}.{number}"
        self._names.add(candidate)
        return candidate

    def unique_class(self, name: str) -> str:
        """A new name of a class."""
        candidate, number = name, 0
        while candidate in self.program.classes:
            number += 1
            candidate = f"{name}.{number}"
        return candidate

    def link(self, traced: Any) -> Graph:
        """The function of a recording, merged into this program."""
        return self.linker.link(traced, self._names)

    def new_emitter(self, scope: Scope, graph: Graph, hints: dict[Hashable, T.Type]) -> Emitter:
        """An emitter for one function of the unit."""
        self._emitter = Emitter(self, scope, graph, hints)
        if self.choices.generators.note_source(scope.source):
            self.start_again()
        return self._emitter

    def new_emitter_at(self, target: Target) -> Emitter:
        """An emitter that only answers questions about types."""
        scope = Scope(target.source, target.function, target.globals, target.closure)
        return Emitter(self, scope, Graph(), {})

    @property
    def last_span(self) -> Span | None:
        """The place that was compiled last."""
        return None if self._emitter is None else self._emitter.span

    # errors

    fail_attribute = staticmethod(attribute_facts.fail_attribute)

    def fail_at(self, span: Span, code: str, message: str) -> NoReturn:
        """Report an error about types at a place."""
        raise ScriptTypeError(Diagnostic(code, message, span))

    # Python objects

    wrap = staticmethod(wrapping.wrap)
    wrap_default = staticmethod(wrapping.wrap_default)
    captured_object = staticmethod(wrapping.global_object)
    object_items = staticmethod(wrapping.object_items)

    @contextlib.contextmanager
    def unguarded(self) -> Iterator[None]:
        """What is read within the ``with`` is not guarded against change."""
        kept, self.program.captures = self.program.captures, Captures()
        before, self.is_guarding = self.is_guarding, False
        try:
            yield
        finally:
            self.program.captures, self.is_guarding = kept, before

    def stand_in(self, module: nn.Module) -> nn.Module:
        """The module that is compiled in the place of ``module``."""
        return self.stand_ins.get(id(module), module)

    def learn_captured(self, e: Emitter, name: str, t: T.Type) -> None:
        """Start again with another type of a captured container."""
        if T.has_choice(t):
            e.fail(
                "SM0212",
                f"a function cannot be put into the captured `{name}`, which Python sees",
                error=ScriptTypeError,
                help="keep functions in a container that is made in compiled code",
            )
        self.objects.learn(self, self.program.globals[name], t)

    def frozen_dict(self, pairs: Iterable[tuple[Sugared, Sugared]]) -> Sugared:
        """A dict of known keys that cannot be changed."""
        items = list(pairs)
        return DictDisplay(tuple(k for k, _ in items), tuple(v for _, v in items), frozen=True)

    def module_of_type(self, t: T.Type) -> ModuleInfo | None:
        """The module description behind a class type."""
        return self.modules.of_type(t)

    def enum_type(self, cls: type[enum.Enum]) -> T.Type:
        """The type of an enum's members."""
        found = enum_type(cls)
        self._enter_enum(found)
        return found

    def _enter_enum(self, t: T.EnumType) -> None:
        """Enter an enumeration; tests of an Any that were compiled before must know it, too."""
        self.program.enums.setdefault(t.name, t)
        cls: Any = t.python_class
        if cls is not None and cls not in self.data_enums and issubclass(cls, _DATA):
            self.data_enums.append(cls)
            if any(issubclass(cls, asked) for asked in self._asked_of_any):
                self.start_again()

    def enums_below(self, cls: type) -> list[T.Type]:
        """The enumerations of the program whose members are instances of a class of data."""
        if cls not in _DATA:
            return []
        self._asked_of_any.add(cls)
        return [enum_type(known) for known in self.data_enums if issubclass(known, cls)]

    def type_of_object(self, value: Any) -> T.Type | None:
        """The type of a Python object; None when it has none."""
        t = modules.type_of_object(value, self.type_of_class)
        if t is not None:
            self.declare(t)
        return t

    def declare(self, t: T.Type) -> None:
        """Enter the named tuples inside a type into the program."""
        for inner in T.walk(t):
            if isinstance(inner, T.NamedTupleType):
                self.program.named_tuples.setdefault(inner.name, inner)
            elif isinstance(inner, T.EnumType):
                self._enter_enum(inner)

    def type_of_class(self, cls: type) -> T.Type | None:
        """The type of a user class's instances, where there is one."""
        if issubclass(cls, enum.Enum):
            return self.enum_type(cls)
        return self.classes.type_of(cls)

    def learn_attribute(
        self, e: Emitter, info: ModuleInfo, name: str, t: T.Type, *, replace: bool = False
    ) -> NoReturn:
        """Start the unit again with another type of a module's attribute."""
        key = (type(info.python), name)
        if key in self.late:
            self.learn_late(e, info, name, t)
        old = self.attribute_types.get(key)
        joined = t if old is None or replace else join_growing(old, t)
        if joined is None or joined == old:
            e.fail_type(f"the type of attribute `{name}` does not settle; annotate it")
        self.attribute_types[key] = joined
        raise AttributeLearnt

    def learn_late(self, e: Emitter, info: ModuleInfo, name: str, t: T.Type) -> NoReturn:
        """Start the unit again with an attribute that may be unbound, and holds a ``t`` else."""
        key = (type(info.python), name)
        old = self.late.get(key)
        joined = t if old is None else join_growing(old, t)
        if joined is None or joined == old:
            e.fail_type(f"the type of attribute `{name}` does not settle; annotate it")
        self.late[key] = joined
        raise AttributeLearnt

    def start_again(self) -> NoReturn:
        """Start the unit again with what has been learnt of it."""
        raise AttributeLearnt

    def compile_guess(self, function: types.FunctionType, t: T.ClassType) -> None:
        """Compile a method of an instance for parameters as their annotations and defaults say."""
        method_guesses.compile_guess(self, function, t)

    # variables outside of the program

    read_outside = staticmethod(outside_variables.read_name)
    assign_outside = staticmethod(outside_variables.assign_name)
    delete_outside = staticmethod(outside_variables.delete_name)
    assign_attribute_outside = staticmethod(outside_variables.assign_attribute)
    read_attribute_outside = staticmethod(outside_variables.read_attribute)
    is_class_variable = staticmethod(outside_variables.is_class_variable)

    # variables

    run_statement = staticmethod(variables.run_statement)
    usable = staticmethod(unbound_variables.usable)
    write_variable = staticmethod(variables.write)
    make_cells = staticmethod(cells.make_cells)
    share_variable = staticmethod(cells.share_variable)
    read_cell = staticmethod(cells.read_cell)
    write_cell = staticmethod(cells.write_cell)
    delete_cell = staticmethod(cells.delete_cell)
    check_escaping = staticmethod(cells.check_escaping)

    # calls

    is_bound_specially = staticmethod(decorated.is_bound_specially)
    bind_specially = staticmethod(decorated.bind_specially)
    call_descriptor = staticmethod(decorated.call_descriptor)
    is_single_dispatch = staticmethod(decorated.is_single_dispatch)
    call_single_dispatch = staticmethod(decorated.call_single_dispatch)
    module_cached_property = staticmethod(decorated.module_cached_property)
    known_attribute = staticmethod(decorated.known_attribute)
    call_cached = staticmethod(function_calls.call_cached)
    needed_objects = staticmethod(shared_objects.needed)
    learn_shared = staticmethod(shared_objects.learn_type)
    spread_positional = staticmethod(spreading.spread_positional)
    spread_keywords = staticmethod(spreading.spread_keywords)

    def call_python_source(
        self, e: Emitter, function: Callable[..., Any], *given: Sugared
    ) -> Sugared:
        """Call a function of the front end's own library of Python functions."""
        return iterators.call_library(e, function, Arguments(list(given), {}))

    def note_returned(self, e: Emitter, value: Sugared) -> None:
        """A call has returned ``value``; what generators are inside, nothing else holds."""
        if isinstance(value, ManagerValue):
            return  # what enters it ends it
        if isinstance(value, GeneratorObject):
            generator_ends.note_made(e, value)
        for part in value.parts():
            self.note_returned(e, part)

    # generators and iterators

    make_generator = staticmethod(generators.make_generator)
    emit_generator = staticmethod(generators.emit_generator)
    finish_generator = staticmethod(generators.finish_generator)
    generator_for = staticmethod(yields.generator_for)
    resume_body = staticmethod(yields.resume_block)
    check_held = staticmethod(generator_ends.check_held)
    has_ends = staticmethod(generator_ends.has_ends)
    places_of = staticmethod(generator_ends.places_of)
    note_made = staticmethod(generator_ends.note_made)
    own = staticmethod(generator_ends.own)
    refuse_held = staticmethod(generator_ends.refuse)
    release = staticmethod(generator_ends.release)
    returns = staticmethod(generator_ends.returned)
    take_fresh = staticmethod(generator_ends.take_fresh)
    with_drops = staticmethod(generator_ends.with_drops)
    with_owned = staticmethod(generator_ends.with_owned)
    build_owned = staticmethod(choices.build_owned)
    run_clause = staticmethod(tries.run_clause)
    finally_handler = staticmethod(tries.finally_handler)
    resume = staticmethod(generators.resume)
    run_except = staticmethod(tries.run_except)
    run_while = staticmethod(run_while)
    bind_itself = staticmethod(bind_itself)
    refreshed = staticmethod(choices.refreshed)
    finish_with = staticmethod(statements.finish_with)
    among = staticmethod(comparisons.contains)
    given_up_at_run_time = staticmethod(not_implemented.at_run_time)
    kept = staticmethod(iterators.kept)
    iterator_of = staticmethod(iterators.iterator_of)
    iterator_over_several = staticmethod(iterators.iterator_over_several)
    as_generator = staticmethod(iterators.as_generator)
    in_turn = staticmethod(iterators.in_turn)
    lazily = staticmethod(stopping.lazily)
    note_stop = staticmethod(stopping.note_stop)

    def called(self, e: Emitter, given: Arguments) -> Sugared:
        """``iter(function, sentinel)``."""
        return iterators.call_library(e, iterator_library.called, given)

    def pull(self, e: Emitter, iterator: Sugared, ended: Callable[[Sugared], Sugared]) -> Sugared:
        """The next element of an iterator, or ``ended``."""
        return iterators.pull(e, iterator, lambda found: found, ended)

    def next_or_leave(self, e: Emitter, iterator: Sugared) -> Sugared:
        """The next element of an iterator; leaves the innermost loop when there is none."""
        return iterators.pull(
            e, iterator, lambda found: found, lambda returned: leave_loop(e, BREAK)
        )

    # services of upper layers

    counter_unary = staticmethod(dict_classes.counter_unary)
    counter_compare = staticmethod(dict_classes.counter_compare)
    delete_count = staticmethod(dict_classes.delete_count)
    adapt = staticmethod(literals.adapt)
    arguments = staticmethod(call_arguments)
    assign_attribute = staticmethod(stores.assign_attribute)
    assign_module_attribute = staticmethod(module_state.assign_module_attribute)
    assign_subscript = staticmethod(stores.assign_subscript)
    attribute_type = staticmethod(attribute_facts.attribute_type)
    build_choice = staticmethod(choices.build_choice)
    build_display = staticmethod(choices.build_display)
    built_class = staticmethod(builtin_types.built_class)
    built_list = staticmethod(iteration.as_built_list)
    by_member = staticmethod(choices.by_member)
    by_types = staticmethod(objects.by_types)
    call_module_in_python = staticmethod(python_modules.call_module_in_python)
    call_python = staticmethod(objects.call_python)
    check_entry = staticmethod(entry_keywords.check_entry)
    choice_type_of_shape = staticmethod(choices.choice_type_of_shape)
    collect = staticmethod(collecting.collect)
    collected = staticmethod(collected)
    collected_dict = staticmethod(collecting.collected_dict)
    contains = staticmethod(membership.contains)
    first_items = staticmethod(membership.first_items)
    delete_attribute = staticmethod(stores.delete_attribute)
    exists = staticmethod(collecting.any_or_all)
    field_type = staticmethod(attribute_facts.field_type)
    is_asked = staticmethod(attribute_facts.is_asked)
    finish = staticmethod(statements.finish)
    for_each = staticmethod(collecting.for_each)
    generated = staticmethod(collecting.generated)
    generated_items = staticmethod(collecting.generated_items)
    has_attribute = staticmethod(attribute_facts.has_attribute)
    identical = staticmethod(comparisons.identical)
    import_names = staticmethod(import_statements.import_names)
    in_bytes = staticmethod(bytestrings.contains)
    index_value = staticmethod(iteration.index_value)
    is_choosable = staticmethod(choices.is_choosable)
    kept_type = staticmethod(attribute_facts.kept_type)
    make_run_time = staticmethod(captured_objects.make_run_time)
    marker_call = staticmethod(objects.marker_call)
    module_items = staticmethod(module_containers.module_items)
    place_of = staticmethod(conditions.place_of)
    same_type = staticmethod(builtin_types.same_type)
    sort = staticmethod(sorting.sort)
    sort_keys = staticmethod(sorting.sort_keys)
    test = staticmethod(conditions.test)
    truth = staticmethod(conditions.truth_sugared)
    tuple_items = staticmethod(operators.tuple_items)
    unrolled_items = staticmethod(collecting.unrolled_items)

    def equal(self, e: Emitter, a: Sugared, b: Sugared) -> Sugared:
        """``bool(a == b)``."""
        return conditions.truth_sugared(e, comparisons.compare(e, "eq", a, b))

    def length(self, e: Emitter, value: Sugared) -> Sugared:
        """``len(value)``."""
        if isinstance(value, ModuleValue):
            return module_containers.length(e, value)
        return iteration.length_of(e, value)

    def chosen_module(self, e: Emitter, value: ModuleChoice) -> Value:
        """The module that a choice picks, as one IR value."""
        return e.value(
            module_containers.dispatch(e, value, 0, lambda m: IRValue(m.value)),
            T.union_of([c.value.type for c in value.candidates]),
        )

    def view_as_set(self, e: Emitter, value: Sugared) -> Sugared:
        """The keys or items of a dict as a set, for set operations; other values as they are."""
        is_view = isinstance(value, IterableValue) and value.kind in ("keys", "items")
        return IRValue(sets.from_iterable(e, value, None)) if is_view else value

    def built_range(self, e: Emitter, value: IterableValue) -> Value:
        """A range as an IR value."""
        return e.builder.op("range::make", *iteration.range_bounds(e, value))

    def raise_when(
        self, e: Emitter, condition: Value, exception: type[BaseException], message: str
    ) -> None:
        """Raise an exception when a condition holds."""
        branch(
            e, condition, functools.partial(e.raise_error, exception, message), lambda: None
        )  # fmt: skip

    def break_if(self, e: Emitter, hit: Sugared) -> None:
        """Leave the innermost loop when ``hit`` is true."""
        if isinstance(hit, Constant):
            if hit.value:
                leave_loop(e, BREAK)
            return
        branch(e, e.value(hit), lambda: leave_loop(e, BREAK), lambda: None)

    def slice_value(self, parts: Sequence[Sugared]) -> Sugared:
        """``slice(...)``."""
        if len(parts) == 1:
            return SliceValue(NONE_VALUE, parts[0], NONE_VALUE)
        return SliceValue(parts[0], parts[1], parts[2] if len(parts) > 2 else NONE_VALUE)

    def extend_list(self, e: Emitter, owner: IRValue, other: Sugared) -> Sugared:
        """``owner += other``."""
        extend_list(e, owner.value, other)
        return owner

    def call_op(self, e: Emitter, kind: str, given: Arguments) -> Sugared:
        """Call one of our ops."""
        return call_op(e, kind, given.positional, given.keywords)

    def class_choice(self, e: Emitter, value: TypeOf) -> T.Type | None:
        """The type of ``built_class``; None when a class is not known."""
        classes = builtin_types.classes_of(e, value)
        if classes is None:
            return None
        return T.union_of([choices.choice_type(e, PythonObject(c)) or T.ANY for c in classes])

    def type_among(self, e: Emitter, a: TypeOf, classes: Sequence[Sugared]) -> Sugared:
        """``type(x) in (cls, ...)``."""
        known = [c.object for c in classes if isinstance(c, PythonObject)]
        return builtin_types.type_among(e, a, known)

    def negated(self, e: Emitter, value: Sugared) -> Sugared:
        """``not value``."""
        return operators.unary(e, "not", value)

    to_str = staticmethod(text.to_str)
    to_repr = staticmethod(text.to_repr)
    to_ascii = staticmethod(text.to_ascii)
    to_format = staticmethod(text.to_format)
    percent_format = staticmethod(text.percent_format)
    exact_power = staticmethod(powers.exact_power)
    brace_format = staticmethod(text.brace_format)
    brace_format_by_python = staticmethod(text.brace_format_by_python)
    escaped = staticmethod(number_methods.escaped)
