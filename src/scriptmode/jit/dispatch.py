"""Calls of one compiled function: its primary instance, further instances, and the slow path.

The primary instance is compiled at once.  Its native entry checks the arguments and, when they do
not fit or the thread is in an unusual state, calls ``Dispatcher.slow``, which either finds the
instance for the arguments' types (compiling it on first sight) or runs the reference interpreter
under the mode that is active.  Everything that leaves native code is counted in ``bailouts``.
"""

from __future__ import annotations

import collections
import contextlib
import inspect
import operator
import os
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import CellType
from typing import Any

from scriptmode.codegen.module import CompiledProgram
from scriptmode.frontend.script import ClassFacts
from scriptmode.frontend.script.known import UNKNOWN, KnownType, known_values
from scriptmode.frontend.trace import Callee, call_program, is_tracing, plain_arguments
from scriptmode.interp import Interpreter
from scriptmode.ir import types as T
from scriptmode.ir.graph import Graph, Program
from scriptmode.jit.gradients import Gradients
from scriptmode.jit.in_step import InStep
from scriptmode.jit.known import Known, holds_known, prepared, variables
from scriptmode.jit.observed import held_types, unknown_facts
from scriptmode.jit.pipeline import compile_native
from scriptmode.jit.pushforwards import Pushforwards
from scriptmode.jit.specialize import Versions
from scriptmode.jit.values import keywords_class, type_of_value
from scriptmode.runtime.boundary import make_entry, unusual_state
from scriptmode.runtime.captured import CapturedRows
from scriptmode.runtime.instance import NativeInstance
from scriptmode.support import config
from scriptmode.support.diagnostics import ArgumentError, CompileError, Diagnostic
from scriptmode.support.locks import held_while_forking
from scriptmode.support.markers import HIDDEN_PARAMETER

_BAILOUTS: collections.Counter[str] = collections.Counter()
_COUNT_LOCK = held_while_forking(threading.RLock())


def bailout_count() -> int:
    """How many calls of compiled programs have left native code in this process."""
    return sum(_BAILOUTS.values())


CompileInstance = Callable[[Mapping[str, T.Type], ClassFacts], Program]
Flatten = Callable[[Sequence[Any], Mapping[str, Any]], list[Any]]


_REST = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_DISPATCHERS: weakref.WeakSet[Dispatcher] = weakref.WeakSet()


def _free_locks() -> None:
    # the thread that compiled an instance when the process was forked does not exist here
    for dispatcher in list(_DISPATCHERS):
        dispatcher._lock = threading.RLock()
        for variant in getattr(dispatcher, "_all_variants", ()):  # it may have been half made
            variant.versions.free_lock()
            variant.gradients.free_lock()


os.register_at_fork(after_in_child=_free_locks)


def returning(entry: Callable[..., Any], result: Any) -> Callable[..., Any]:
    """``entry``, whose result is always this Python object, unless the call goes elsewhere."""

    def call(*args: Any, **kwargs: Any) -> Any:
        found = entry(*args, **kwargs)
        return found.value if isinstance(found, _Elsewhere) else result

    return call


@dataclass
class _Elsewhere:
    """The result of a call that another instance, or the interpreter, has taken over."""

    value: Any


@dataclass
class Variant:
    """One instance: the program for certain argument types, and its native code."""

    program: Program
    function: str
    compiled: CompiledProgram
    entry: Callable[..., Any]
    types: tuple[T.Type, ...]
    guards: CapturedRows
    held: Mapping[str, str]  # types of what captured containers held when it was compiled
    known: Mapping[str, Any]  # arguments that it was compiled for
    cells: list[CellType]  # closure variables of those, which a call sets first
    gradients: Gradients
    versions: Versions
    pushforwards: Pushforwards = field(default_factory=Pushforwards)
    lock: threading.RLock = field(default_factory=threading.RLock)

    @contextlib.contextmanager
    def lent(self, cells: Sequence[CellType]) -> Iterator[None]:
        """Around a call: the closure variables hold what those of the call's arguments do."""
        with self.lock:
            before = [cell.cell_contents for cell in cells]
            for own, value in zip(self.cells, before, strict=True):
                own.cell_contents = value
            try:
                yield
            finally:
                for cell, own, value in zip(cells, self.cells, before, strict=True):
                    if own.cell_contents is not value:
                        cell.cell_contents = own.cell_contents

    def held_otherwise(self) -> list[str]:
        """Captured containers in which Python has put values of other types."""
        if not self.guards.misfits:
            return []
        self.guards.misfits = False
        now = held_types(self.program)
        return [name for name, text in now.items() if self.held.get(name) != text]

    @property
    def graph(self) -> Graph:
        """The function's graph as the front end made it."""
        return self.program.functions[self.function]


class Dispatcher:
    """All instances of one function or method.

    ``self_object`` is the Python module that is passed as first argument (None for a function) and
    ``instance`` its native counterpart; ``compile_instance`` compiles for other argument types and
    is None where only the primary can exist (a trace).  For traces, ``flatten`` makes the graph's
    flat arguments of a call's nested ones and ``unflatten`` the nested result of the flat one.
    ``call`` is what a user calls: the native entry itself where nothing is nested.  ``stored`` are
    the programs of an archive, for several types, and for instances of which more is known.
    """

    def __init__(
        self,
        name: str,
        program: Program,
        function: str,
        *,
        compiled: CompiledProgram | None = None,
        signature: inspect.Signature | None = None,
        compile_instance: CompileInstance | None = None,
        stored: Sequence[Program] = (),
        flatten: Flatten | None = None,
        unflatten: Callable[[Any], Any] | None = None,
        self_object: Any = None,
        instance: NativeInstance | None = None,
    ) -> None:
        self.name = name
        self.self_object = self_object
        self.instance = instance
        self.bailouts: collections.Counter[str] = collections.Counter()
        self.recompiled: collections.Counter[str] = collections.Counter()  # by what had changed
        self._compile_instance = compile_instance
        self._stored = list(stored)
        self._flatten, self._unflatten = flatten, unflatten
        self._lock = threading.RLock()
        _DISPATCHERS.add(self)
        graph = program.functions[function]
        self._span = graph.span
        self.signature = signature or self._signature_of(graph)
        self._variants: dict[tuple[T.Type, ...], Variant] = {}
        self._all_variants: list[Variant] = []
        self._facts = ClassFacts()  # of the instances that calls have passed
        self.primary = self._add_variant(program, function, compiled, self.slow)
        parameters = self._parameters_of(graph)
        self._declared = dict(zip([p.name for p in parameters], self.primary.types, strict=True))
        self.entry = self.primary.entry
        self.call = self.entry if unflatten is None else self._call_nested

    @property
    def variants(self) -> list[Variant]:
        """The instances, primary first."""
        return list(self._all_variants)

    def _parameters_of(self, graph: Graph) -> list[Any]:
        """The parameters that a caller gives; objects that the program shares are its own."""
        return [
            p for p in self._all_parameters_of(graph) if not p.name.startswith(HIDDEN_PARAMETER)
        ]

    def _all_parameters_of(self, graph: Graph) -> list[Any]:
        return graph.params[1:] if self.self_object is not None else graph.params

    def _signature_of(self, graph: Graph) -> inspect.Signature:
        kinds = inspect.Parameter
        return inspect.Signature(
            [
                kinds(
                    p.name,
                    kinds.KEYWORD_ONLY if p.name in graph.kwarg_only
                    else kinds.POSITIONAL_OR_KEYWORD,
                    default=graph.defaults.get(p.name, kinds.empty),
                )
                for p in self._parameters_of(graph)
            ]
        )  # fmt: skip

    def _add_variant(
        self,
        program: Program,
        function: str,
        compiled: CompiledProgram | None,
        slow: Callable[[tuple[Any, ...], dict[str, Any]], Any],
        given: Mapping[str, T.Type] | None = None,
    ) -> Variant:
        graph = program.functions[function]
        types = {p.name: p.type for p in self._parameters_of(graph)}
        types.update(program.known.get(function, {}) if given is None else given)
        known = known_values(types)
        compiled = compiled or compile_native(program)
        guards = CapturedRows(program.captures)
        elsewhere = slow
        if function in program.results:

            def elsewhere(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
                return _Elsewhere(slow(args, kwargs))

        try:
            entry = make_entry(
                compiled, function, graph,
                slow=elsewhere, instance=self.instance, defaults=graph.defaults, guards=guards,
                known=known,
            )  # fmt: skip
        except TypeError as error:
            raise self._refused(str(error), "script the module again") from None
        plain = entry
        step = InStep(entry, program, self.instance)
        entry = step.around(plain)
        is_quick = not step.is_needed or step.numbers is not None
        own = plain if is_quick else entry
        gradients = Gradients(program, function, own, self.instance, self.self_object)
        if not is_quick:
            gradients.reason = "state of compiled modules inside is brought over at each call"
        elif any(p.kind in _REST for p in self.signature.parameters.values()):
            gradients.reason = "it takes any number of arguments (*args or **kwargs)"
        versions = Versions(program, function, plain, self.instance)
        entry = step.around(entry, gradients.around(graph))
        if function in program.results:
            entry = returning(entry, program.results[function])
        variant = Variant(
            program, function, compiled, entry, tuple(types.values()), guards,
            held_types(program), known, list(variables(types)), gradients, versions,
        )  # fmt: skip
        self._variants[variant.types] = variant
        self._all_variants.append(variant)
        return variant

    def _call_nested(self, *args: Any, **kwargs: Any) -> Any:
        assert self._flatten is not None and self._unflatten is not None
        return self._unflatten(self.entry(*self._flatten(args, kwargs)))

    def _bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        if self._flatten is not None:
            names = [p.name for p in self._parameters_of(self.primary.graph)]
            flat = args if self._unflatten is not None else self._flatten(args, kwargs)
            return dict(zip(names, flat, strict=True))
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise ArgumentError(
                Diagnostic(
                    "SM0401",
                    f"{self.name}() {error}",
                    self.primary.graph.span,
                    label="defined here",
                    help=f"the parameters are {self.signature}",
                )
            ) from None
        bound.apply_defaults()
        return {n: self._argument(n, v) for n, v in bound.arguments.items()}

    def _argument(self, name: str, value: Any) -> Any:
        """An argument as the entry takes it: what ``**keywords`` gets, as a named tuple."""
        is_rest = self.signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD
        if is_rest and value and not holds_known(value):
            try:
                return keywords_class(tuple(value))(**value)
            except ValueError as error:
                raise self._refused(f"{self.name}(): {error}", "use other names") from None
        return value

    def _types_of(self, arguments: Mapping[str, Any]) -> dict[str, T.Type]:
        known = Known()
        found: dict[str, T.Type] = {}
        for name, value in arguments.items():
            t: T.Type | None = known.type_of(value)
            if t is None:
                hint = self._declared.get(name)
                t = type_of_value(value, None if isinstance(hint, KnownType) else hint)
            if t is None:
                raise ArgumentError(
                    Diagnostic(
                        "SM0402",
                        f"{self.name}(): `{name}` is a {type(value).__name__}, "
                        "which has no static type",
                        self.primary.graph.span,
                        help="pass tensors, numbers, strings, None, functions, or lists, tuples "
                        "and dicts of one element type",
                    )
                )
            found[name] = t
        return found

    def slow(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Find the instance for these arguments, or interpret; called by the native entry."""
        arguments = self._bind(args, kwargs)
        if is_tracing():
            return self._record(arguments)
        reason = unusual_state(arguments.values(), self.instance)
        types = self._types_of(arguments)
        asked = self.primary
        is_fresh = self._follow_captured()
        variant = self._variant_for_any(types, arguments)
        variant = self._knowing(variant, types, arguments)
        if reason is not None:
            return self._interpret(variant, arguments, reason)
        values = tuple({**arguments, **variant.known}.values())
        is_same = len(args) == len(values) and all(map(operator.is_, args, values))
        if variant is asked and is_same and not kwargs and not is_fresh:
            return self._interpret(variant, arguments, "arguments refused by the native entry")
        return self._run(variant, types, arguments)

    def _run(
        self, variant: Variant, types: Mapping[str, T.Type], arguments: Mapping[str, Any]
    ) -> Any:
        """Call the instance; known arguments are passed as those that it was compiled for."""
        given = {**arguments, **variant.known}
        positional, keywords = self._positional(given), self._keyword_only(given)
        with variant.lent(list(variables(types))) if variant.cells else contextlib.nullcontext():
            result = variant.entry(*positional, **keywords)
        for name, compiled_for in variant.known.items():
            if result is compiled_for:
                return arguments[name]
        return result

    def _follow_captured(self) -> bool:
        """Compile again what has captured values that changed; whether a guard has failed."""
        with self._lock:
            failed = False
            for variant in self.variants:
                if not variant.guards.is_stale():
                    continue
                failed = True
                changed = variant.program.captures.changed() + variant.held_otherwise()
                if changed:
                    self._recompile(variant, changed)
                else:  # equal values in other objects
                    variant.guards.refresh()
            return failed

    def _recompile(self, variant: Variant, changed: Sequence[str]) -> None:
        names = list(self._declared)
        what = ", ".join(f"`{name}`" for name in changed)
        if self._compile_instance is None:
            raise self._refused(f"{self.name}(): the captured {what} changed", "trace it again")
        try:
            types = dict(zip(names, variant.types, strict=True))
            program = self._compile_instance(types, self._facts)
        except CompileError as error:
            message = f"{self.name}(): the captured {what} changed"
            raise self._refused(message, "", cause=error) from error
        self.recompiled[what] += 1
        is_primary = variant is self.primary
        if self._variants.get(variant.types) is variant:
            del self._variants[variant.types]
        place = self._all_variants.index(variant)
        del self._all_variants[place]
        slow = self.slow if is_primary else self._refuse
        fresh = self._add_variant(program, program.root, None, slow, types)
        self._all_variants.insert(place, self._all_variants.pop())
        if is_primary:
            self._set_primary(fresh)

    def _positional(self, arguments: Mapping[str, Any]) -> list[Any]:
        keyword_only = self.primary.graph.kwarg_only
        return [v for n, v in arguments.items() if n not in keyword_only]

    def _keyword_only(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        keyword_only = self.primary.graph.kwarg_only
        return {n: v for n, v in arguments.items() if n in keyword_only}

    def _record(self, arguments: dict[str, Any]) -> Any:
        """Inside a trace: one recorded call of the instance for these arguments."""
        variant = self.variant_for(self._types_of(plain_arguments(arguments)))
        if variant.cells:
            raise self._refused(
                f"{self.name}() is recorded with a function that has closure variables",
                "pass a function without them, or call it directly",
            )
        owner = self.self_object
        callee = Callee(variant.program, variant.function, owner, owner)
        values = tuple(None if n in variant.known else v for n, v in arguments.items())
        return call_program(callee, values, {})

    def _variant_for_any(self, types: dict[str, T.Type], arguments: Mapping[str, Any]) -> Variant:
        """The instance for the very types of containers that are passed as Any, if it compiles.

        An Any that crosses the boundary natively holds no container.
        """
        exact = dict(types)
        for name, t in types.items():
            if t == T.ANY and isinstance(arguments[name], (list, tuple, dict, set)):
                exact[name] = type_of_value(arguments[name]) or t
        if exact != types:
            try:
                found = self.variant_for(exact)
            except ArgumentError:  # it is interpreted
                return self.variant_for(types)
            types.update(exact)
            return found
        return self.variant_for(types)

    def variant_for(self, types: Mapping[str, T.Type]) -> Variant:
        """The instance for these argument types, compiled if it is new."""
        key = tuple(types.values())
        found = self._variants.get(key)
        if found is not None:
            return found
        with self._lock:
            found = self._variants.get(key)
            return found if found is not None else self._compile_variant(types)

    def specialize(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], gradients: bool = False
    ) -> None:
        """Make a version for what a call with these arguments is like.

        With ``gradients``, of the programs that calls that need gradients run.
        """
        if self._flatten is not None and self._unflatten is not None:
            args, kwargs = tuple(self._flatten(args, kwargs)), {}
        arguments = self._bind(args, kwargs)
        types = self._types_of(arguments)
        self._follow_captured()
        variant = self._knowing(self._variant_for_any(types, arguments), types, arguments)
        given = {**variant.graph.defaults, **arguments, **variant.known}
        values = [given.get(p.name) for p in self._all_parameters_of(variant.graph)]
        reason = unusual_state(values, self.instance)
        if not reason:
            add = variant.gradients.specialize if gradients else variant.versions.add
            reason = add(values)
        if reason:
            raise ArgumentError(
                Diagnostic(
                    "SM0406",
                    f"{self.name}() cannot be specialised for these arguments",
                    self._span,
                    notes=(reason,),
                    help="call it without: the generic code runs",
                )
            )

    def _knowing(
        self, variant: Variant, types: Mapping[str, T.Type], arguments: Mapping[str, Any]
    ) -> Variant:
        """The instance that knows the classes and attributes of what it is given."""
        facts = unknown_facts(arguments.values(), variant.program)
        if facts is None:
            return variant
        with self._lock:
            key = tuple(types.values())
            for other in reversed(self._all_variants):
                if other.types == key and not unknown_facts(arguments.values(), other.program):
                    return other
            if self._stored:
                return self._stored_for(types, arguments)
            together = ClassFacts.of(self._facts)
            together.add(facts)
            try:
                variant = self._compile_variant(types, together)
            except ArgumentError:  # what earlier calls have passed does not go with this
                return self._compile_variant(types, facts)
            self._facts = together
            return variant

    def _stored_for(self, types: Mapping[str, T.Type], arguments: Mapping[str, Any]) -> Variant:
        """The instance of a program from an archive that knows what it is given."""
        for program in self._stored:
            fits = tuple(p.type for p in program.graph.params) == tuple(types.values())
            if fits and not unknown_facts(arguments.values(), program):
                return self._add_variant(program, program.root, None, self._refuse, types)
        raise self._refused(
            f"{self.name}(): no program of the archive knows instances of these classes with these"
            " attributes", "call it once with such instances before it is saved",
        )  # fmt: skip

    def _compile_variant(
        self, types: Mapping[str, T.Type], facts: ClassFacts | None = None
    ) -> Variant:
        types = prepared(types)
        expected = self._declared
        wrong = [n for n, t in types.items() if t != expected[n]]
        listed = ", ".join(f"`{n}` is {types[n]}, not {expected[n]}" for n in wrong)
        if self._compile_instance is None:
            raise self._refused(f"{self.name}(): {listed}", "a trace takes the types it was "
                                "recorded with")  # fmt: skip
        if len(self._all_variants) >= config.get("max_instances") and not self._forget_one():
            raise self._refused(
                f"{self.name}() has {len(self._all_variants)} instances already",
                "call it with fewer combinations of types, or raise "
                "scriptmode.config.set('max_instances', n)",
            )
        try:
            program = self._compile_instance(types, facts or self._facts)
        except CompileError as error:
            raise self._refused(f"{self.name}(): {listed}", "", cause=error) from error

        is_first = UNKNOWN in self.primary.known.values()
        slow = self.slow if is_first else self._refuse
        variant = self._add_variant(program, program.root, None, slow, types)
        if is_first:
            self._all_variants.remove(self.primary)
            self._set_primary(variant)
        return variant

    def _set_primary(self, variant: Variant) -> None:
        self.primary = variant
        self.entry = variant.entry
        if self._unflatten is None:
            self.call = self.entry

    def _forget_one(self) -> bool:
        """Forget the oldest instance for a known argument; whether there is one."""
        for variant in self._all_variants:
            if variant.known and variant is not self.primary:
                self._all_variants.remove(variant)
                if self._variants.get(variant.types) is variant:
                    del self._variants[variant.types]
                return True
        return False

    def _refuse(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call that the entry of a further instance does not take."""
        arguments = self._bind(args, kwargs)
        reason = unusual_state(arguments.values(), self.instance)
        is_fresh = self._follow_captured()
        types = self._types_of(arguments)
        variant = self.variant_for(types)
        if is_fresh and reason is None:
            return self._run(variant, types, arguments)
        return self._interpret(
            variant, arguments, reason or "arguments refused by the native entry"
        )

    def _refused(self, message: str, help: str, cause: CompileError | None = None) -> ArgumentError:
        notes = () if cause is None else (f"for these types it does not compile:\n{cause}",)
        return ArgumentError(Diagnostic("SM0403", message, self._span, notes=notes, help=help))

    def _interpret(self, variant: Variant, arguments: Mapping[str, Any], reason: str) -> Any:
        with _COUNT_LOCK:
            self.bailouts[reason] += 1
            _BAILOUTS[reason] += 1
        values = list(arguments.values())
        run = Interpreter(variant.program).run
        if self.instance is None:
            result = run(variant.function, *values)
        else:
            # the interpreter works on the eager module, so that containers keep their aliases
            with self.instance.lent() as module:
                result = run(variant.function, module, *values)
        return variant.program.results.get(variant.function, result)
