"""Functions that stay functions: each has a forward and a reverse function of its own.

They call themselves, or are called by ``scriptmode.checkpoint``.

What the reverse of one call needs, its *frame*, goes onto a list, the *tape* of the function, when
the call ends.  The reverse function takes the last frame from the tape; since calls are reversed
last first, that is the frame of the call which is reversed::

    visit(%x, %w)                                   visit.taped(%x, %w, %flags..., %tape)
                                          becomes     -> (result, flags of the result)
                                          and       visit.taped.reverse(%tape, %w, %d...)
                                                      -> (cotangents of %x and %w)

What such a function reads of modules (*leaves*) becomes a parameter of it, and modules do not, so
that each tensor is read once, at the start of the whole.  ``give_leaves`` does that, ``spread``
finds by what the functions are differentiated.

A call by ``checkpoint`` keeps nothing but its arguments: the forward program calls a third form,
``visit.taped.plain``, which has no tape, and the reverse program calls the forward form with a new
tape before it calls the reverse form.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from scriptmode.autodiff.activity import TAPED, Activity, is_taped
from scriptmode.autodiff.dual import holds
from scriptmode.autodiff.mutation import Versions
from scriptmode.autodiff.paths import Key, Path
from scriptmode.autodiff.problems import NotDifferentiable
from scriptmode.ir import types as T
from scriptmode.ir.graph import Block, Graph, Node, Program, Value, callees, copy_graph

CHECKPOINT = "checkpoint"  # an attribute of calls
CHECKPOINTED = ".checkpointed"
_MOST_ROUNDS = 20  # of handing leaves from function to function

Leaf = tuple[int, tuple[str, ...]]  # a parameter and the attributes that lead from it to a tensor


@dataclass
class Called:
    """A recursive function.

    ``roots`` are what it is differentiated by, ``results`` the paths of its result that carry a
    gradient, ``leaves`` its last parameters, ``flags`` tell at run time which roots count.
    """

    graph: Graph
    leaves: list[Value]
    unrecorded: Sequence[Node] = ()
    versions: Versions = field(default_factory=Versions)
    roots: list[Key] = field(default_factory=list)
    results: list[Path] = field(default_factory=list)
    flags: list[Value] = field(default_factory=list)
    tapes: dict[str, Value] = field(default_factory=dict)  # parameters, by function
    tape: T.Type = T.NONE  # a list of frames
    is_checkpoint: bool = False
    is_random: bool = False

    @property
    def name(self) -> str:
        """The name that calls have."""
        return self.graph.name

    @property
    def source(self) -> str:
        """The name that the program has for it."""
        return self.graph.name.removesuffix(TAPED)


def reverse_name(name: str) -> str:
    """What the reverse of a function is called."""
    return f"{name}.reverse"


def plain_name(name: str) -> str:
    """What the form of a function without a tape is called."""
    return f"{name}.plain"


def left_calls(graph: Graph, program: Program) -> list[str]:
    """The functions of the program that are still called, directly or not."""
    found = [name for name in callees(graph) if name in program.functions]
    for name in found:
        inner = callees(program.functions[name])
        found += [c for c in inner if c in program.functions and c not in found]
    return found


def separate_checkpoints(program: Program) -> None:
    """Let calls by ``checkpoint`` call functions of their own, in which nothing else is called."""
    for graph in list(program.functions.values()):
        for call in graph.find_all("prim::Call"):
            if not call.attributes.get(CHECKPOINT):
                continue
            name = call.attributes["callee"] + CHECKPOINTED
            if name not in program.functions:
                copy = copy_graph(program.functions[call.attributes["callee"]])
                copy.name = name
                program.add(copy)
            call.attributes["callee"] = name


def is_no_checkpoint(call: Node) -> bool:
    """Whether a call may be inlined outside of functions that ``checkpoint`` calls."""
    return not str(call.attributes["callee"]).endswith(CHECKPOINTED)


def check_signature(graph: Graph) -> None:
    """Refuse what a call cannot hand on; what runs twice would change containers twice."""
    result = graph.return_type
    is_repeated = graph.name.endswith(CHECKPOINTED)
    for t in (*(p.type for p in graph.params), result):
        if t is None or (is_repeated and holds(t)):
            raise NotDifferentiable(f"a call with a value of type {t}", graph.span)
    if any(n.kind == "prim::Try" for n in graph.walk()):
        raise NotDifferentiable("prim::Try is not differentiated", graph.span)


# ---- leaves


def give_leaves(graph: Graph, functions: Mapping[str, Graph]) -> dict[str, list[Value]]:
    """Let functions get what they read of modules as further parameters; the tensors among them."""
    leaves: dict[str, dict[Leaf, Value]] = {name: {} for name in functions}
    for name, function in functions.items():
        for node in function.find_all("prim::GetAttr"):
            leaf = _leaf(node.output)
            if leaf is not None and not _is_module(node.output.type):
                _take_leaf(function, leaves[name], leaf, node.output)
    for _ in range(_MOST_ROUNDS):
        more = [_hand_on(f, functions, leaves, leaves[name]) for name, f in functions.items()]
        if not any(more):
            break
    else:
        raise NotDifferentiable("recursion into other modules", graph.span)
    for name, function in functions.items():
        _pass_leaves(function, functions, leaves, leaves[name])
    _pass_leaves(graph, functions, leaves, None)
    _drop_modules([graph, *functions.values()], functions)
    return {
        name: [v for v in found.values() if T.unwrap_optional(v.type) == T.TENSOR]
        for name, found in leaves.items()
    }


def _is_module(t: T.Type) -> bool:
    return isinstance(t, T.ClassType) and t.is_module


def _drop_modules(graphs: Sequence[Graph], functions: Mapping[str, Graph]) -> None:
    """Take modules out of the parameters."""
    numbers = {
        name: [i for i, p in enumerate(f.params) if _is_module(p.type)]
        for name, f in functions.items()
    }
    for graph in graphs:
        for call, name in _calls(graph, functions):
            call.set_inputs([v for i, v in enumerate(call.inputs) if i not in numbers[name]])
    for name, function in functions.items():
        for node in reversed(list(function.walk())):
            if node.kind == "prim::GetAttr" and not node.output.is_used:
                node.erase()
        for number in reversed(numbers[name]):
            param = function.params[number]
            if param.is_used:
                raise NotDifferentiable("a function with a module as argument", function.span)
            function.params.remove(param)


def _leaf(value: Value) -> Leaf | None:
    """The module among the parameters, and the attributes from it to ``value``."""
    names: list[str] = []
    while value.node is not None:
        if value.node.kind != "prim::GetAttr":
            return None
        names.append(value.node.attributes["name"])
        (value,) = value.node.inputs
    block = value.definition
    if not isinstance(block, Block) or not _is_module(value.type):
        return None
    return (block.params.index(value), tuple(reversed(names))) if block.owner is None else None


def _take_leaf(function: Graph, leaves: dict[Leaf, Value], leaf: Leaf, read: Value) -> None:
    if leaf not in leaves:
        leaves[leaf] = _add_param(function, read.type, leaf)
    read.replace_all_uses_with(leaves[leaf])
    assert read.node is not None
    read.node.erase()


def _add_param(function: Graph, t: T.Type, leaf: Leaf) -> Value:
    return function.add_param(t, f"{'_'.join(leaf[1])}.{len(function.params)}")


def _calls(graph: Graph, functions: Mapping[str, Graph]) -> Iterator[tuple[Node, str]]:
    for node in graph.find_all("prim::Call"):
        name = node.attributes["callee"]
        if name in functions:
            yield node, name


def _hand_on(
    function: Graph,
    functions: Mapping[str, Graph],
    leaves: Mapping[str, dict[Leaf, Value]],
    own: dict[Leaf, Value],
) -> bool:
    """Let a function have what those that it calls need; whether it has more now."""
    before = len(own)
    for call, name in _calls(function, functions):
        for (number, names), value in list(leaves[name].items()):
            leaf = _leaf(call.inputs[number])
            if leaf is None:
                raise NotDifferentiable("recursion into modules that are chosen", call.span)
            whole = (leaf[0], (*leaf[1], *names))
            if whole not in own:
                own[whole] = _add_param(function, value.type, whole)
    return len(own) > before


def _pass_leaves(
    graph: Graph,
    functions: Mapping[str, Graph],
    leaves: Mapping[str, dict[Leaf, Value]],
    own: Mapping[Leaf, Value] | None,
) -> None:
    """Give calls the leaves of their callees: the own ones, or what is read before the call."""
    for call, name in _calls(graph, functions):
        for (number, names), param in leaves[name].items():
            module = call.inputs[number]
            if own is not None:
                leaf = _leaf(module)
                assert leaf is not None
                call.add_input(own[leaf[0], (*leaf[1], *names)])
            else:
                call.add_input(_read(module, names, param.type, call))


def _read(module: Value, names: Sequence[str], result: T.Type, anchor: Node) -> Value:
    value = module
    for position, name in enumerate(names):
        t = value.type
        assert isinstance(t, T.ClassType)
        is_last = position + 1 == len(names)
        found = result if is_last else t.attributes[name]
        node = Node("prim::GetAttr", [value], [found], attributes={"name": name}, span=anchor.span)
        value = node.insert_before(anchor).output
    return value


# ---- calls


def mark_calls(graph: Graph, functions: Mapping[str, Graph]) -> None:
    """Name the calls of functions that get a tape, and let their results stand beside flags."""
    for call, name in list(_calls(graph, functions)):
        result = call.output.type
        both = Node("prim::Call", call.inputs, [T.TupleType([result, T.TupleType([])])],
                    attributes={"callee": name + TAPED, "active": ()}, span=call.span)  # fmt: skip
        both.insert_before(call)
        part = Node("prim::TupleIndex", [both.output], [result], attributes={"index": 0},
                    span=call.span)  # fmt: skip
        part.insert_before(call)
        call.replace_with(part.output)


def spread(graph: Graph, roots: Sequence[Key], functions: Mapping[str, Called]) -> None:
    """Find what each function is differentiated by: whatever is active where it is called."""
    graphs = [graph, *(f.graph for f in functions.values())]
    calls = [node for g in graphs for node in g.find_all("prim::Call") if is_taped(node)]
    for function in functions.values():
        function.roots, function.results = [], []
    for call in calls:
        call.attributes["active"] = ()
    changed = True
    while changed:
        changed = _spread_from(graph, roots, functions)
        for function in functions.values():
            changed |= _spread_from(function.graph, function.roots, functions)
            (result,) = function.graph.block.returns
            active = Activity(function.graph, function.roots).paths(result)
            if active != function.results:
                function.results, changed = active, True
        for call in calls:
            call.attributes["active"] = tuple(functions[call.attributes["callee"]].results)
    for call in calls:
        count = len(call.attributes["active"])
        plain, _ = call.output.type.contained
        call.output.type = T.TupleType([plain, T.TupleType([T.BOOL] * count)])


def _spread_from(graph: Graph, roots: Sequence[Key], functions: Mapping[str, Called]) -> bool:
    activity = Activity(graph, roots)
    changed = False
    for call in graph.find_all("prim::Call"):
        if not is_taped(call):
            continue
        function = functions[call.attributes["callee"]]
        for param, value in zip(function.graph.params, call.inputs, strict=False):
            for path in activity.paths(value):
                if (param, path) not in function.roots:
                    function.roots.append((param, path))
                    changed = True
    return changed


def add_parameters(functions: Mapping[str, Called]) -> None:
    """Let functions have flags of their roots and all tapes, whose types are not known yet."""
    for function in functions.values():
        graph = function.graph
        function.flags = [graph.add_param(T.BOOL, f"flag.{i}") for i in range(len(function.roots))]
        function.tapes = {
            name: graph.add_param(T.NONE, f"tape.{i}")
            for i, name in enumerate(tapes_of(function, functions))
        }
    for function in functions.values():
        complete_calls(function.graph, functions, function.tapes)


def tapes_of(function: Called | None, functions: Mapping[str, Called]) -> list[str]:
    """The functions whose tapes a function, or the whole program, gets."""
    if function is not None and function.is_checkpoint:
        return [function.name]
    return [name for name, other in functions.items() if not other.is_checkpoint]


def complete_calls(
    graph: Graph, functions: Mapping[str, Called], tapes: Mapping[str, Value]
) -> None:
    """Let the calls in ``graph`` have all arguments; flags are True until they are known."""
    for call in graph.find_all("prim::Call"):
        if not is_taped(call):
            continue
        for _ in functions[call.attributes["callee"]].flags:
            flag = Node("prim::Constant", (), [T.BOOL], attributes={"value": True}, span=call.span)
            call.add_input(flag.insert_before(call).output)
        if not functions[call.attributes["callee"]].is_checkpoint:
            for tape in tapes.values():
                call.add_input(tape)
