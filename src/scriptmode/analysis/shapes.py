"""Dtypes, shapes and strides of a function's tensors, from those of its parameters.

``Shapes(graph, {param: fact, ...}).of(value)`` is the fact of a tensor wherever the value is
in use, None where it is not known.  The rules are torch's own: each op is run on meta tensors,
which have no elements.  Through an If a fact stays when both branches agree, through a Loop when
the first iteration and all others do (a fixed point).
"""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import torch

from scriptmode.analysis.facts import TensorFact, contiguous_fact
from scriptmode.analysis.known_values import Unknown, known_value
from scriptmode.analysis.local_lists import LocalList, known_length, local_lists
from scriptmode.analysis.terminators import ends_of_branches
from scriptmode.ir import types as T
from scriptmode.ir.graph import (
    BREAK,
    CONTINUE,
    YIELD,
    Block,
    Graph,
    Node,
    Value,
    innermost_loop,
)
from scriptmode.ir.schema import OpSchema
from scriptmode.ops import table
from scriptmode.ops.aten import overload

Facts = Mapping[Value, TensorFact]

# integer arguments on which the shape of a result does not depend
_FREE_INTS = frozenset([("aten::select", "index"), ("aten::embedding", "padding_idx")])
_INTS = T.ListType([T.INT])
_SAMPLES: Mapping[T.Type, Any] = {T.INT: 1, T.FLOAT: 1.0, T.BOOL: True}

# ops that only ask for metadata
METADATA = frozenset(
    [
        "tensor::shape", "tensor::dtype", "tensor::ndim", "tensor::len", "tensor::layout",
        "tensor::element_size", "tensor::is_quantized", "tensor::is_sparse", "tensor::is_nested",
        "aten::size.int", "aten::numel", "aten::dim", "aten::is_floating_point",
        "aten::is_complex", "aten::stride.int",
    ]
)  # fmt: skip

# ops that give lists of views
SPLITTING = frozenset(
    [
        "aten::chunk", "aten::split.Tensor", "aten::split", "aten::split_with_sizes",
        "aten::unbind.int", "aten::tensor_split.sections", "aten::split.sizes",
    ]
)  # fmt: skip
PASSING = frozenset(["tuple::from_list", "tuple::as_list"])
READING = frozenset([*PASSING, "list::len", "list::getitem", "aten::cat", "aten::stack"])


def fact_of(tensor: torch.Tensor) -> TensorFact:
    """The fact of a strided tensor."""
    return TensorFact(tensor.dtype, tuple(tensor.shape), tuple(tensor.stride()))


def meta_tensor(fact: TensorFact) -> torch.Tensor:
    """A tensor with a fact and no elements."""
    return torch.empty_strided(fact.shape, fact.strides, dtype=fact.dtype, device="meta")


def meta_result(node: Node, facts: Facts) -> Any:
    """What an op of torch gives on meta tensors; None where it cannot be asked."""
    return meta_call(node.kind, node.schema, node.inputs, facts)


def meta_call(kind: str, schema: OpSchema | None, inputs: Sequence[Value], facts: Facts) -> Any:
    """What an op of torch would give of values."""
    function = overload(kind)
    if function is None or schema is None or schema.is_mutable:
        return None
    positional: list[Any] = []
    keywords: dict[str, Any] = {}
    try:
        for argument, value in zip(schema.arguments, inputs, strict=True):
            is_free = (schema.name, argument.name) in _FREE_INTS
            given = _argument(value, facts, is_free or argument.type != T.INT)
            if argument.kwarg_only:
                keywords[argument.name] = given
            else:
                positional.append(given)
        if "device" in keywords:
            if keywords["device"] not in (None, torch.device("cpu")):
                return None
            has_tensor = any(v.type == T.TENSOR for v in inputs)
            keywords["device"] = None if has_tensor else torch.device("meta")
        return _answered(kind, function, positional, keywords)
    except Unknown:
        return None
    except Exception:  # an op that fails of such arguments has no shape; it fails when it runs
        return None


# what was asked: torch takes milliseconds for some, and layers of a model ask the same
_ANSWERS: collections.OrderedDict[Hashable, Any] = collections.OrderedDict()
_MOST_ANSWERS = 4096
_ANSWERING = threading.Lock()


def _answered(
    kind: str, function: Callable[..., Any], positional: list[Any], keywords: dict[str, Any]
) -> Any:
    """What an op gives of meta tensors, which nobody changes; the answers are kept."""
    asked = kind, torch.get_default_dtype(), _key(positional), _key(keywords)
    with _ANSWERING:
        if asked in _ANSWERS:
            _ANSWERS.move_to_end(asked)
            return _ANSWERS[asked]
    try:
        with torch.no_grad():
            found = _of_ones(kind, function, positional, keywords)
            if found is None:
                found = function(*positional, **keywords)
    except Exception:  # whatever torch refuses, it refuses again when the program runs
        found = None
    with _ANSWERING:
        _ANSWERS[asked] = found
        if len(_ANSWERS) > _MOST_ANSWERS:
            _ANSWERS.popitem(last=False)
    return found


# with Tag.pointwise: ops whose shape rules are written in Python and import torch's compiler, which
# takes seconds, and that cost little on tensors that exist
_CHEAP = frozenset(
    [
        "aten::batch_norm", "aten::layer_norm", "aten::group_norm", "aten::rms_norm",
        "aten::instance_norm", "aten::softmax.int", "aten::log_softmax.int", "aten::sum",
        "aten::sum.dim_IntList", "aten::mean", "aten::mean.dim", "aten::amax", "aten::amin",
        "aten::max_pool2d", "aten::avg_pool2d", "aten::adaptive_avg_pool2d", "aten::max_pool1d",
        "aten::avg_pool1d", "aten::adaptive_avg_pool1d", "aten::any", "aten::any.dim", "aten::all",
        "aten::all.dim", "aten::argmax", "aten::argmin", "aten::max", "aten::max.dim", "aten::min",
        "aten::min.dim", "aten::prod", "aten::cumsum", "aten::logsumexp",
        "aten::linalg_vector_norm", "aten::__and__.Tensor", "aten::__or__.Tensor",
        "aten::__xor__.Tensor", "aten::ones_like", "aten::zeros_like", "aten::full_like",
        "aten::empty_like", "aten::cat", "aten::stack", "aten::flip", "aten::tril", "aten::triu",
        "aten::repeat", "aten::std", "aten::std.dim", "aten::std.correction", "aten::var",
        "aten::roll", "aten::cumsum", "aten::cumprod", "aten::relu6", "aten::isfinite",
        "aten::var.dim", "aten::var.correction", "aten::norm.Scalar", "aten::masked_fill.Scalar",
        "aten::masked_fill.Tensor", "aten::mse_loss", "aten::glu", "aten::outer",
    ]
)  # fmt: skip
# the same, of tensors of zeros: those among them that are indices must be valid
_INDEXING = frozenset(
    [
        "aten::embedding", "aten::gather", "aten::index_select", "aten::index.Tensor",
        "aten::nll_loss", "aten::cross_entropy_loss", "aten::one_hot",
    ]
)  # fmt: skip
# the same, where each element of a tensor is used as often as some dimension is long
_PRODUCTS = frozenset(
    [
        "aten::mm", "aten::bmm", "aten::matmul", "aten::mv", "aten::dot", "aten::linear",
        "aten::addmm", "aten::baddbmm",
    ]
)  # fmt: skip
_MOST_ONES = 1 << 21  # elements of the tensors of an op
_MOST_WORK = 1 << 27  # multiplications
_MOST_PAIRS = 1 << 26  # numbers of queries times keys


def _is_cheap(kind: str, function: Callable[..., Any], positional: list[Any]) -> bool:
    if kind == "aten::scaled_dot_product_attention":
        # what it gives on the CPU lies as the queries do, which its rule for meta does not know
        query, key, _, _, dropout, *_ = positional
        return bool(dropout == 0 and query.numel() * key.size(-2) <= _MOST_PAIRS)
    return kind in _CHEAP or torch.Tag.pointwise in getattr(function, "tags", ())


def _of_ones(
    kind: str, function: Callable[..., Any], positional: list[Any], keywords: dict[str, Any]
) -> Any:
    """What a cheap op gives of tensors of ones instead of meta tensors; None for other ops."""
    is_product = kind in _PRODUCTS
    if not (is_product or kind in _INDEXING or _is_cheap(kind, function, positional)):
        return None
    given = [t for v in (*positional, *keywords.values()) for t in _tensors(v)]
    if not given or sum(t.numel() for t in given) > _MOST_ONES:
        return None
    if is_product:
        longest = max((n for t in given for n in t.shape), default=1)
        if longest * max(t.numel() for t in given) > _MOST_WORK:
            return None
    fill = 0 if kind in _INDEXING else 1
    full = [_full(v, fill) for v in positional]
    found = function(*full, **{name: _full(v, fill) for name, v in keywords.items()})
    results = found if isinstance(found, tuple) else (found,)
    if not all(isinstance(r, torch.Tensor) and r.layout == torch.strided for r in results):
        return None
    made = tuple(meta_tensor(fact_of(r)) for r in results)
    return made if isinstance(found, tuple) else made[0]


def _tensors(value: Any) -> list[torch.Tensor]:
    if isinstance(value, (list, tuple)):
        return [tensor for item in value for tensor in _tensors(item)]
    return [value] if isinstance(value, torch.Tensor) else []


def _full(value: Any, fill: int) -> Any:
    """Tensors that exist instead of meta tensors."""
    if type(value) in (list, tuple):
        return type(value)(_full(item, fill) for item in value)
    if not isinstance(value, torch.Tensor):
        return value
    span = sum((n - 1) * step for n, step in zip(value.shape, value.stride(), strict=True)) + 1
    whole = torch.full((span if value.numel() else 0,), fill, dtype=value.dtype, device="cpu")
    return whole.as_strided(value.shape, value.stride())


def _key(value: Any) -> Hashable:
    """What is the same for arguments of which an op gives the same."""
    if isinstance(value, torch.Tensor):
        return (torch.Tensor, fact_of(value))
    if isinstance(value, (list, tuple)):
        return (type(value), *map(_key, value))
    if isinstance(value, dict):
        return tuple((name, _key(item)) for name, item in value.items())
    # as text: 0.0 equals -0.0, and a NaN not even itself
    return (type(value), repr(value) if isinstance(value, (float, complex)) else value)


def _argument(value: Value, facts: Facts, may_be_any: bool) -> Any:
    fact = facts.get(value)
    if fact is not None:
        return meta_tensor(fact)
    if value.is_constant:
        constant = value.constant
        return constant.to("meta") if isinstance(constant, torch.Tensor) else constant
    node = value.node
    if node is not None and node.kind == "prim::ListConstruct" and is_fixed(value):
        return [_argument(v, facts, False) for v in node.inputs]
    if node is not None and node.kind == "prim::TupleConstruct" and value.type == T.SIZE:
        return [_argument(v, facts, False) for v in node.inputs]
    if node is not None and value.type in (T.INT, T.BOOL, T.DTYPE, T.SIZE, _INTS):
        try:
            return known_value(value, facts, metadata)
        except Unknown:
            pass
    if may_be_any and value.type in _SAMPLES:
        return _SAMPLES[value.type]
    raise Unknown


def metadata(node: Node, facts: Facts) -> Any:
    """What an op that asks for metadata gives; raises Unknown."""
    fact = facts.get(node.inputs[0])
    if fact is None or node.kind not in METADATA:
        raise Unknown
    if not all(v.is_constant for v in node.inputs[1:]):
        raise Unknown
    arguments = [meta_tensor(fact), *(v.constant for v in node.inputs[1:])]
    definition = table.find(node.kind)
    meaning = definition.meaning if definition is not None else overload(node.kind)
    assert meaning is not None
    try:
        return meaning(*arguments)
    except (TypeError, IndexError, RuntimeError) as error:
        raise Unknown from error


def result_facts(node: Node, facts: Facts) -> list[TensorFact | None]:
    """One fact for each output of an op."""
    nothing: list[TensorFact | None] = [None] * len(node.outputs)
    if node.kind == "tensor::from_data":
        return [_data_fact(node)]
    if not any(o.type == T.TENSOR for o in node.outputs) or node.schema is None:
        return nothing
    if node.kind in ("aten::linear", "aten::addmm"):
        return [_product_fact(node, facts)]
    if gives_what_it_writes(node):
        return [facts.get(node.inputs[0])]
    alike = _alike(node.kind, node.inputs, facts)
    if alike is not None:
        return [alike]
    result = meta_result(node, facts)
    if result is None:
        return nothing
    if node.kind == "aten::conv2d":
        return [_convolution_fact(node, fact_of(result), facts)]
    results = [result] if len(node.outputs) == 1 else list(result)
    return [
        fact_of(r) if isinstance(r, torch.Tensor) and r.layout == torch.strided else None
        for r in results
    ]


# ops on several tensors whose rules torch takes seconds to load
_OF_SEVERAL = frozenset(["aten::addcmul", "aten::addcdiv"])


def functional_fact(
    kind: str, schema: OpSchema | None, inputs: Sequence[Value], facts: Facts
) -> TensorFact | None:
    """Of what an op with one result would give of values."""
    alike = _alike(kind, inputs, facts)
    if alike is not None:
        return alike
    result = meta_call(kind, schema, inputs, facts)
    return fact_of(result) if isinstance(result, torch.Tensor) else None


def _alike(kind: str, inputs: Sequence[Value], facts: Facts) -> TensorFact | None:
    """The fact of such an op's result when all of its tensors are alike, of floats."""
    if kind not in _OF_SEVERAL:
        return None
    found = {facts.get(v) for v in inputs if v.type == T.TENSOR}
    fact = found.pop()
    if found or fact is None or not fact.is_contiguous or not fact.dtype.is_floating_point:
        return None
    return fact


def gives_what_it_writes(node: Node) -> bool:
    """Whether an op of torch writes its first argument in place and gives it back."""
    schema = node.schema
    if schema is None or not node.kind.partition(".")[0].endswith("_"):
        return False
    if len(schema.returns) != 1 or not schema.arguments:
        return False
    first, given = schema.arguments[0].alias, schema.returns[0].alias
    return (
        node.kind.startswith("aten::")
        and first is not None
        and first.is_write
        and given is not None
        and given.sets == first.sets
        and node.inputs[0].type == node.output.type == T.TENSOR
    )


def _product_fact(node: Node, facts: Facts) -> TensorFact | None:
    """Of two products that torch takes seconds to load its rules for."""
    known = [facts.get(v) for v in node.inputs[:3] if v.type == T.TENSOR]
    found = [f for f in known if f is not None]
    if len(found) < len(known) or len({f.dtype for f in found}) != 1:
        return None
    x, weight = found[:2] if node.kind == "aten::linear" else found[1:3]
    inner = weight.shape[-1] if node.kind == "aten::linear" else weight.shape[0]
    if len(weight.shape) != 2 or not x.shape or x.shape[-1] != inner:
        return None
    columns = weight.shape[0] if node.kind == "aten::linear" else weight.shape[1]
    shape = (*x.shape[:-1], columns)
    added = found[2:] if node.kind == "aten::linear" else found[:1]
    for other in added:
        if not _broadcasts(other.shape, shape):
            return None
    return contiguous_fact(x.dtype, shape)


def _convolution_fact(node: Node, result: TensorFact, facts: Facts) -> TensorFact:
    """On the CPU the channels come last where they do in the images or the weights."""
    given = [facts[v] for v in node.inputs[:2]]
    if len(result.shape) != 4 or not any(has_channels_last(fact) for fact in given):
        return result
    _, channels, height, width = result.shape
    strides = (channels * height * width, 1, channels * width, channels)
    return TensorFact(result.dtype, result.shape, strides)


def has_channels_last(fact: TensorFact) -> bool:
    """Whether torch takes a tensor for images whose channels lie side by side."""
    if len(fact.shape) != 4 or fact.numel == 0 or fact.strides[1] == 0:
        return False
    least = 0
    for dim in (1, 3, 2, 0):
        step = fact.strides[dim]
        if step < least or (dim == 0 and least == fact.strides[1]):
            return False
        least = step * fact.shape[dim]
    return True


def _broadcasts(shape: Sequence[int], target: Sequence[int]) -> bool:
    if len(shape) > len(target):
        return False
    last = target[len(target) - len(shape) :]
    return all(a in (1, b) for a, b in zip(shape, last, strict=True))


def _data_fact(node: Node) -> TensorFact | None:
    """Of ``torch.tensor`` of a number, or of a list of numbers that stands beside it."""
    data, dtype, device, requires_grad = node.inputs
    if data.node is not None and data.node.kind == "prim::box":
        data = data.node.inputs[0]
    fixed = all(v.is_constant for v in (dtype, device, requires_grad))
    if not fixed or device.constant is not None or requires_grad.constant:
        return None
    shape: tuple[int, ...] = ()
    element = data.type
    if isinstance(element, T.ListType):
        if data.node is None or data.node.kind != "prim::ListConstruct" or not is_fixed(data):
            return None
        shape, element = (len(data.node.inputs),), element.element
    if element not in (T.INT, T.BOOL) and dtype.constant is None:
        return None  # the default dtype decides
    if element not in (T.INT, T.FLOAT, T.BOOL):
        return None
    found = dtype.constant or (torch.int64 if element == T.INT else torch.bool)
    if element == T.FLOAT and not found.is_floating_point:
        return None
    return fact_of(torch.empty(shape, dtype=found, device="meta"))


def is_only_read(value: Value) -> bool:
    """Whether all uses of a list look at its elements only."""
    return all(
        (
            use.node.kind in READING
            and (use.node.kind not in PASSING or is_only_read(use.node.output))
        )
        or (use.node.kind == "prim::TupleIndex")
        for use in value.uses
    )


def is_fixed(value: Value) -> bool:
    """Whether a new list stays as it is made: it is only read, or lent to ops of torch."""
    return all(
        use.node.kind.startswith(("aten::", "tensor::"))
        or use.node.kind in READING
        or (use.node.kind == "prim::box" and is_fixed(use.node.output))
        for use in value.uses
    ) and all(is_fixed(u.node.output) for u in value.uses if u.node.kind in PASSING)


# what a list does of which its elements are all that is known
_LOCAL = frozenset(["list::append", "list::getitem", "list::len", "list::reserve", "aten::stack"])


class Shapes:
    """The facts of all tensors of one function."""

    def __init__(self, graph: Graph, given: Facts) -> None:
        self.facts: dict[Value, TensorFact] = dict(given)
        self._lists: dict[Value, list[TensorFact | None]] = {}  # elements of lists and tuples
        self._elements: dict[Node, TensorFact] = {}  # read from local lists, all of whose are alike
        self._block(graph.block)
        self._assume_elements(local_lists(graph), graph.block)

    def of(self, value: Value) -> TensorFact | None:
        """The fact of a value."""
        return self.facts.get(value)

    def _set(self, value: Value, fact: TensorFact | None) -> None:
        if fact is None:
            self.facts.pop(value, None)
        else:
            self.facts[value] = fact

    def _block(self, block: Block) -> None:
        for node in block.nodes:
            if node.kind == "prim::If":
                self._if(node)
            elif node.kind == "prim::Loop":
                self._loop(node)
            elif node.blocks:
                for inner in node.blocks:
                    self._block(inner)
            elif node.kind == "prim::Constant":
                value = node.attributes["value"]
                if isinstance(value, torch.Tensor) and value.layout == torch.strided:
                    self._set(node.output, fact_of(value))
            elif node.kind == "prim::Region":
                for output, fact in zip(node.outputs, node.attributes["results"], strict=True):
                    self._set(output, None if fact is None else TensorFact(*fact))
            elif node.kind == "prim::unchecked_cast":
                if node.output.type == T.TENSOR:
                    self._set(node.output, self.of(node.inputs[0]))
            elif node.kind in SPLITTING or node.kind == "aten::broadcast_tensors":
                parts = meta_result(node, self.facts)
                self._lists[node.output] = [] if parts is None else [fact_of(p) for p in parts]
            elif node.kind in ("prim::ListConstruct", "prim::TupleConstruct"):
                self._lists[node.output] = [self.of(v) for v in node.inputs]
            elif node.kind in PASSING:
                self._lists[node.output] = self._lists.get(node.inputs[0], [])
            elif node.kind in ("list::getitem", "prim::TupleIndex"):
                self._set(node.output, self._element(node))
            elif node.kind == "aten::stack" and known_length(node.inputs[0]) is not None:
                self._set(node.output, self._stacked(node))
            elif node.kind == "prim::StackArrays":
                self._set(node.output, None)
            else:
                for output, fact in zip(node.outputs, result_facts(node, self.facts), strict=True):
                    self._set(output, fact)

    def _assume_elements(self, lists: Sequence[LocalList], block: Block) -> None:
        """Let all elements of a list have the fact of those that are known, while that holds.

        What is assumed of one list may tell what is in another, which may go back into the first.
        """
        refuted: set[LocalList] = set()
        while True:
            assumed = False
            for made in lists:
                if made in refuted or not made.reads or made.reads[0] in self._elements:
                    continue
                known = {fact for v in made.written for fact in self._candidates(v)}
                if len(known) == 1:
                    self._elements.update(dict.fromkeys(made.reads, known.pop()))
                    assumed = True
            wrong: list[LocalList] = []
            if not assumed:
                wrong = [
                    made for made in lists
                    for node in made.reads[:1]
                    if node in self._elements
                    and any(self.of(v) != self._elements[node] for v in made.written)
                ]  # fmt: skip
                if not wrong:
                    return
            refuted.update(wrong)
            for made in wrong:
                for node in made.reads:
                    del self._elements[node]
            self._block(block)

    def _candidates(self, value: Value) -> set[TensorFact]:
        """The facts that a value has on some way, where an If joins several."""
        found: set[TensorFact] = set()
        seen: set[Value] = set()
        pending = [value]
        while pending:
            one = pending.pop()
            fact, node = self.of(one), one.node
            if one in seen:
                continue
            seen.add(one)
            if fact is not None:
                found.add(fact)
            elif node is not None and node.kind == "prim::If":
                index = node.outputs.index(one)
                pending += [end.inputs[index] for end in ends_of_branches(node)]
        return found

    def _element(self, node: Node) -> TensorFact | None:
        """Of an element of a list that nothing writes, or of a local one."""
        if node in self._elements:
            return self._elements[node]
        facts = self._lists.get(node.inputs[0], [])
        if not facts or not is_only_read(node.inputs[0]):
            return None
        if node.kind == "prim::TupleIndex":
            position: int = node.attributes["index"]
            return facts[position]
        index = node.inputs[1]
        if not index.is_constant:
            return facts[0] if len(set(facts)) == 1 else None
        place: int = index.constant
        return facts[place] if -len(facts) <= place < len(facts) else None

    def _stacked(self, node: Node) -> TensorFact | None:
        """Of a local list whose length is known, behind the loop that fills it."""
        listed, dim = node.inputs
        found = [self.of(u.node.inputs[1]) for u in listed.uses if u.node.kind == "list::append"]
        count = known_length(listed)
        is_local = all(u.node.kind in _LOCAL for u in listed.uses)
        if not found or found[0] is None or not count or not is_local or not dim.is_constant:
            return None
        if dim.constant != 0 or node.block is not listed.block:
            return None
        return contiguous_fact(found[0].dtype, (count, *found[0].shape))

    def _if(self, node: Node) -> None:
        for inner in node.blocks:
            self._block(inner)
        taken = node.blocks
        try:
            # what the facts decide, the next passes will
            answer = known_value(node.inputs[0], self.facts, metadata)
            taken = [node.blocks[not answer]]
        except Unknown:
            pass
        exits = [b.terminator for b in taken if b.terminator.kind == YIELD]
        self._join(node.outputs, [end.inputs for end in exits])

    def _loop(self, node: Node) -> None:
        (body,) = node.blocks
        initial = node.inputs[2:]
        params = body.params[1:]
        for param, value in zip(params, initial, strict=True):
            self._set(param, self.of(value))
        while True:
            self._block(body)
            before = [self.of(p) for p in params]
            again = _ends(node, body, YIELD) + _ends(node, body, CONTINUE)
            self._join(params, [initial, *(e.inputs[1:] for e in again)], self.of)
            if [self.of(p) for p in params] == before:
                break
        breaks = [e.inputs for e in _ends(node, body, BREAK)]
        self._join(node.outputs, [params, *breaks])

    def _join(
        self, targets: Sequence[Value], sources: Sequence[Sequence[Value]], of: Any = None
    ) -> None:
        found = []
        for index in range(len(targets)):
            facts = {self.of(values[index]) for values in sources}
            found.append(facts.pop() if len(facts) == 1 else None)
        for target, fact in zip(targets, found, strict=True):
            self._set(target, fact)


def _ends(loop: Node, body: Block, kind: str) -> list[Node]:
    """The terminators of ``kind`` that end an iteration of ``loop``."""
    if kind == YIELD:
        return [body.terminator] if body.terminator.kind == YIELD else []
    found: list[Node] = []
    pending = [body]
    while pending:
        block = pending.pop()
        if block.terminator.kind == kind and innermost_loop(block) is loop:
            found.append(block.terminator)
        for node in block.nodes:
            pending += node.blocks
    return found
