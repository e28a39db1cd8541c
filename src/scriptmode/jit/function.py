"""``ScriptFunction``: what ``script(fn)`` and ``trace(fn, inputs)`` return."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scriptmode.autodiff.problems import NotDifferentiable
from scriptmode.frontend.script import ClassFacts, compile_function
from scriptmode.ir import types as T
from scriptmode.ir.code import print_code
from scriptmode.ir.graph import Graph, Program, callees, copy_graph
from scriptmode.jit.dispatch import Dispatcher
from scriptmode.jit.gradient_versions import Pair
from scriptmode.jit.values import type_of_value
from scriptmode.jit.versions import Version
from scriptmode.passes.inline import inline_calls
from scriptmode.support.markers import HIDDEN_PARAMETER

SAVERS: dict[str, Callable[..., Any]] = {}  # entered by ``saving`` and ``loading``


def reachable(program: Program, function: str) -> list[str]:
    """``function`` and the functions it calls, directly or not, callers first."""
    found = [function]
    for name in found:
        found += [c for c in callees(program.functions[name]) if c not in found]
    return found


@dataclass(frozen=True)
class DebugState:
    """What ``get_debug_state`` tells: the primary graph, and every instance's by its types."""

    graph: Graph
    execution_plans: Mapping[str, Graph]
    fallback: None
    bailouts: Mapping[str, int]


class Compiled:
    """What compiled functions and modules show of themselves."""

    @property
    def _dispatcher(self) -> Dispatcher:
        raise NotImplementedError

    @property
    def graph(self) -> Graph:
        """The IR of the primary instance, as the front end made it."""
        return self._dispatcher.primary.graph

    @property
    def inlined_graph(self) -> Graph:
        """The same with every call inlined that can be."""
        primary = self._dispatcher.primary
        graph = copy_graph(primary.graph)
        inline_calls(graph, primary.program)
        return graph

    @property
    def grad_graph(self) -> Graph:
        """The reverse program: cotangents of arguments and parameters from those of the results.

        That of the last call that needed gradients, else one by everything.  Raises RuntimeError
        where the program has none, and calls record torch's own tape instead.
        """
        try:
            return self._dispatcher.primary.gradients.differentiated().reverse
        except NotDifferentiable as error:
            raise RuntimeError(f"there is no reverse program: {error}") from None

    @property
    def code(self) -> str:
        """The program as runnable Python source."""
        return self.code_with_constants[0]

    @property
    def schema(self) -> str:
        """The primary instance's signature, such as ``f(Tensor x, int n=3) -> Tensor``."""
        graph = self.graph
        arguments = []
        types = self._dispatcher.primary.program.known.get(self._dispatcher.primary.function, {})
        for p in graph.params:
            if p.name.startswith(HIDDEN_PARAMETER):
                continue  # an object that the program shares
            default = f"={graph.defaults[p.name]!r}" if p.name in graph.defaults else ""
            arguments.append(f"{types.get(p.name, p.type)} {p.name}{default}")
        return f"{self._dispatcher.name}({', '.join(arguments)}) -> {graph.return_type}"

    @property
    def code_with_constants(self) -> tuple[str, Mapping[str, Any]]:
        """``code`` and the objects that it names ``CONSTANTS.c0`` and so on."""
        primary = self._dispatcher.primary
        printed = print_code(primary.program, reachable(primary.program, primary.function))
        return printed.text, dict(printed.constants)

    @property
    def versions(self) -> list[Version]:
        """The special code that was made for what calls were like, with guards and counts."""
        return [v for variant in self._dispatcher.variants for v in variant.versions.found]

    @property
    def gradient_versions(self) -> list[Pair]:
        """Special forward and reverse programs of calls that need gradients."""
        variants = self._dispatcher.variants
        return [one for v in variants for pairs in v.gradients.pairs for one in pairs.found]

    def get_debug_state(self) -> DebugState:
        """What has been compiled: the instances and how often calls left them."""
        dispatcher = self._dispatcher
        plans = {", ".join(map(str, v.types)): v.graph for v in dispatcher.variants}
        return DebugState(self.graph, plans, None, dict(dispatcher.bailouts))

    def save(self, f: Any, _extra_files: Mapping[str, str | bytes] | None = None) -> None:
        """Write an archive, as ``scriptmode.save``."""
        SAVERS["save"](self, f, _extra_files)

    def save_to_buffer(self, _extra_files: Mapping[str, str | bytes] | None = None) -> bytes:
        """An archive's bytes."""
        found: bytes = SAVERS["to_bytes"](self, _extra_files)
        return found

    def __reduce_ex__(self, protocol: Any) -> Any:
        # a pickle holds an archive; reading that executes nothing
        return SAVERS["from_bytes"], (self.save_to_buffer(),)

    def graph_for(self, *args: Any, **kwargs: Any) -> Graph:
        """The IR of the instance that a call with these arguments runs."""
        dispatcher = self._dispatcher
        arguments = dispatcher._bind(args, kwargs)
        return dispatcher.variant_for(dispatcher._types_of(arguments)).graph

    @property
    def bailouts(self) -> Mapping[str, int]:
        """How often a call left native code, by reason."""
        return dict(self._dispatcher.bailouts)


class ScriptFunction(Compiled):
    """A compiled function; call it as the original."""

    def __init__(self, function: Callable[..., Any], dispatcher: Dispatcher) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._calls = dispatcher
        self.archived: list[Program] = []  # those of the archive that it was loaded from
        self.__scriptmode_flat__ = False  # whether callers take its program, not its source

    @property
    def _dispatcher(self) -> Dispatcher:
        return self._calls

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._calls.call(*args, **kwargs)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        # a compiled function in a class body is a method, as any function is
        return self if instance is None else functools.partial(self, instance)

    @property
    def name(self) -> str:
        """The function's name."""
        return self._dispatcher.name

    @property
    def qualified_name(self) -> str:
        """The name with its module."""
        module = getattr(self._function, "__module__", "")
        return f"{module}.{getattr(self._function, '__qualname__', self.name)}"

    def __scriptmode_ir__(self) -> tuple[Program, str, Any]:
        """Program, function name and module object, for the front ends."""
        primary = self._dispatcher.primary
        return primary.program, primary.function, self._dispatcher.self_object

    def __deepcopy__(self, memo: dict[int, Any]) -> ScriptFunction:
        return self  # functions are copied by reference

    def __copy__(self) -> ScriptFunction:
        return self

    def __repr__(self) -> str:
        return f"<ScriptFunction {self.schema}>"


def script_function(
    function: Callable[..., Any], example_inputs: list[tuple[Any, ...]] | None = None
) -> ScriptFunction:
    """Compile ``function``; types come from annotations, defaults and ``example_inputs``."""
    signature = inspect.signature(function)
    types: Mapping[str, T.Type] | None = None
    if example_inputs:
        types = types_of_examples(signature, example_inputs)
    program = compile_function(function, types)

    def compile_instance(arg_types: Mapping[str, T.Type], facts: ClassFacts) -> Program:
        return compile_function(function, arg_types, facts)

    dispatcher = Dispatcher(
        function.__name__,
        program,
        program.root,
        signature=_without_annotations(signature),
        compile_instance=compile_instance,
    )
    return ScriptFunction(function, dispatcher)


def _without_annotations(signature: inspect.Signature) -> inspect.Signature:
    return signature.replace(
        parameters=[p.replace(annotation=p.empty) for p in signature.parameters.values()],
        return_annotation=signature.empty,
    )


def types_of_examples(
    signature: inspect.Signature, examples: Sequence[tuple[Any, ...]]
) -> dict[str, T.Type]:
    """Types of parameters from calls' arguments, joined over the calls."""
    found: dict[str, T.Type] = {}
    for example in examples:
        for name, value in signature.bind(*example).arguments.items():
            t = type_of_value(value)
            if t is not None:
                joined = T.join(found[name], t) if name in found else t
                found[name] = joined if joined is not None else t
    return found
