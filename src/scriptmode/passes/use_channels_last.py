"""Let convolutions work on images whose channels lie side by side, where shapes are known.

Before, with ``%x`` a contiguous float32[1, 32, 56, 56] and ``%w`` a float32[64, 32, 1, 1]::

    graph f(%x: Tensor, %w: Tensor, %s: List[int], %p: List[int]) -> Tensor:
      %one: int = prim::Constant[value=1]()
      %none: None = prim::Constant[value=None]()
      %a: Tensor = aten::conv2d(%x, %w, %none, %s, %p, %s, %one)
      %b: Tensor = aten::relu(%a)
      %c: Tensor = aten::conv2d(%b, %w, %none, %s, %p, %s, %one)
      return (%c)

After::

    graph f(%x: Tensor, %w: Tensor, %s: List[int], %p: List[int]) -> Tensor:
      %one: int = prim::Constant[value=1]()
      %none: None = prim::Constant[value=None]()
      %last: memory_format = prim::Constant[value=channels_last]()
      %x_last: Tensor = aten::contiguous(%x, %last)
      %a_last: Tensor = aten::conv2d(%x_last, %w, %none, %s, %p, %s, %one)
      %b_last: Tensor = aten::relu(%a_last)
      %c_last: Tensor = aten::conv2d(%b_last, %w, %none, %s, %p, %s, %one)
      %first: memory_format = prim::Constant[value=contiguous_format]()
      %c: Tensor = aten::contiguous(%c_last, %first)
      return (%c)

oneDNN's kernels are faster so, and torch's maxima of windows.  Ops in between that take any layout
follow; wherever else an image is used it is laid out again as eager has it, for its strides may be
looked at.  An activation in place of a new image, which nobody has another name of, becomes one
that makes an image; behind any other write the images that there are count as changed.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from scriptmode.analysis.effects import Effects, may_write_tensors
from scriptmode.analysis.facts import TensorFact
from scriptmode.analysis.shapes import Facts, Shapes, result_facts
from scriptmode.ir import types as T
from scriptmode.ir.graph import Block, Graph, Node, Program, Value
from scriptmode.ops.aten import schema_of

# ops on images that keep the layout that they find, of the arguments that are images
_FOLLOWING = frozenset(
    [
        "aten::conv2d", "aten::batch_norm", "aten::relu", "aten::relu6", "aten::hardtanh",
        "aten::leaky_relu", "aten::silu", "aten::gelu", "aten::sigmoid", "aten::tanh",
        "aten::hardswish", "aten::hardsigmoid", "aten::elu", "aten::clamp", "aten::add.Tensor",
        "aten::sub.Tensor", "aten::mul.Tensor", "aten::add.Scalar", "aten::mul.Scalar",
        "aten::max_pool2d", "aten::avg_pool2d", "aten::adaptive_avg_pool2d", "aten::mean.dim",
    ]
)  # fmt: skip
_LARGE = 1 << 14  # elements of an image that is worth it
_CHANNELS = 8  # that fill a vector
_SMALL_WEIGHT = 8  # times smaller than the image: laid out anew at each call


def use_channels_last(graph: Graph, program: Program, given: Facts) -> bool:
    """Return whether the graph changed; ``given`` are the facts of its parameters."""
    convolutions = graph.find_all("aten::conv2d")
    if not convolutions and not graph.find_all("aten::max_pool2d"):
        return False
    facts = Shapes(graph, given).facts
    light = [_is_light_node(n, facts) for n in convolutions]
    pays = torch._C._has_mkldnn and 2 * sum(light) >= len(light)
    effects = Effects(program)
    changed = False
    for block in [graph.block, *(b for n in graph.walk() for b in n.blocks)]:
        changed |= _Layouts(facts, effects, pays).block(block)
    return changed


class _Layouts:
    """The images of one block that have their channels last as well."""

    def __init__(self, facts: dict[Value, TensorFact], effects: Effects, pays: bool) -> None:
        self.facts, self.effects, self.pays = facts, effects, pays
        self.laid: dict[Value, Value] = {}
        self.copies: dict[Node, Node] = {}  # by what they stand for
        self.passed: set[Node] = set()

    def block(self, block: Block) -> bool:
        for given in list(block.nodes):
            node = self._functional(given) or given
            if self._follows(node):
                self._copy(node)
            elif any(self._may_write(inner) for inner in _with_nested(node)):
                self.laid.clear()
            self.passed.add(node)
        for node, copy in self.copies.items():
            self._restore(node, copy)
        for node in reversed(self.copies):
            node.erase()
        return bool(self.copies)

    def _may_write(self, node: Node) -> bool:
        if node.kind == "aten::batch_norm" and _is_off(node.inputs[5]):
            return False
        return may_write_tensors(node, self.effects)

    def _functional(self, node: Node) -> Node | None:
        """In place of an op that writes an image made here, one that makes another image."""
        name, _, overload = node.kind.partition(".")
        kind = name.removesuffix("_") + (f".{overload}" if overload else "")
        schema = schema_of(kind) if name.endswith("_") and kind in _FOLLOWING else None
        if schema is None or node.schema is None or node.output.is_used:
            return None
        image = node.inputs[0]
        if image not in self.laid or image.node not in self.copies or node.inputs.count(image) > 1:
            return None
        if [a.name for a in schema.arguments] != [a.name for a in node.schema.arguments]:
            return None
        earlier = [u for u in image.uses if _in_block(u.node, node.block) in self.passed]
        if any(use.node not in self.copies for use in earlier):
            return None  # it may have given somebody the image itself
        made = Node(
            kind, node.inputs, [T.TENSOR], schema=schema, span=node.span, scope=node.scope
        ).insert_before(node)
        (fact,) = result_facts(made, self.facts)
        if fact is None or fact != self.facts.get(image):
            made.erase()
            return None
        self.facts[made.output] = fact
        for use in image.uses:
            if use not in earlier and use.node is not node and use.node is not made:
                use.node.set_input(use.index, made.output)
        node.erase()
        return made

    def _follows(self, node: Node) -> bool:
        if node.kind not in _FOLLOWING or len(node.outputs) != 1 or node.output not in self.facts:
            return False
        if node.kind == "aten::conv2d":
            return self.pays and self._pays(node)
        if node.kind == "aten::max_pool2d" and self._pays_for_pool(self.facts.get(node.inputs[0])):
            return True
        if node.kind == "aten::batch_norm" and not _is_off(node.inputs[5]):
            return False
        images = [v for v in node.inputs if self._is_image(v)]
        return bool(images) and all(v in self.laid for v in images)

    def _pays(self, node: Node) -> bool:
        """Whether a convolution is of plain images, and its result large enough."""
        x, weight, result = (self.facts.get(v) for v in (*node.inputs[:2], node.output))
        if x is None or weight is None or result is None:
            return False
        if x.dtype != torch.float32 or weight.dtype != torch.float32 or len(x.shape) != 4:
            return False
        if not (x.is_contiguous and result.is_contiguous and weight.is_contiguous):
            return False
        if _is_light(weight, x):
            return node.inputs[0] in self.laid or min(x.numel, result.numel) >= _LARGE
        return False

    def _pays_for_pool(self, x: TensorFact | None) -> bool:
        """Whether images are such that torch finds maxima ten times faster with channels last."""
        if x is None or len(x.shape) != 4 or x.dtype != torch.float32 or not x.is_contiguous:
            return False
        return x.numel >= _LARGE and x.shape[1] >= _CHANNELS

    def _is_image(self, value: Value) -> bool:
        """Whether a value has a layout: tensors of one element per channel have none."""
        fact = self.facts.get(value) if value.type == T.TENSOR else None
        return fact is not None and len(fact.shape) == 4 and fact.numel != fact.shape[1]

    def _copy(self, node: Node) -> None:
        """The same op of the images with their channels last."""
        inputs = list(node.inputs)
        for index, value in enumerate(inputs):
            is_weight = node.kind == "aten::conv2d" and index > 0
            if self._is_image(value) and not is_weight:
                inputs[index] = self._laid(value, node)
        copy = Node(
            node.kind, inputs, [node.output.type], schema=node.schema,
            attributes=node.attributes, span=node.span, scope=node.scope,
        ).insert_before(node)  # fmt: skip
        self.copies[node] = copy
        (fact,) = result_facts(copy, self.facts)
        if fact is not None:
            self.facts[copy.output] = fact
        if self._is_image(node.output):
            self.laid[node.output] = copy.output

    def _laid(self, value: Value, before: Node) -> Value:
        if value not in self.laid:
            made = self._contiguous(value, torch.channels_last, before)
            self.laid[value] = made.output
        return self.laid[value]

    def _contiguous(self, value: Value, form: torch.memory_format, before: Node) -> Node:
        constant = Node(
            "prim::Constant", (), [T.MEMORY_FORMAT], attributes={"value": form}, span=before.span
        ).insert_before(before)
        kind = "aten::contiguous"
        made = Node(
            kind, [value, constant.output], [T.TENSOR], schema=schema_of(kind),
            span=before.span, scope=before.scope,
        ).insert_before(before)  # fmt: skip
        (fact,) = result_facts(made, self.facts)
        if fact is not None:
            self.facts[made.output] = fact
        return made

    def _restore(self, node: Node, copy: Node) -> None:
        """Give what has not followed the layout that it would have had."""
        others = [use for use in node.output.uses if use.node not in self.copies]
        if not others:
            return
        result = copy.output
        wanted = self.facts[node.output]
        if self.facts.get(result) != wanted:
            result = self._contiguous(copy.output, torch.contiguous_format, node).output
        for use in others:
            use.node.set_input(use.index, result)


def _is_off(value: Value) -> bool:
    return value.is_constant and value.constant is False


def _with_nested(node: Node) -> Iterator[Node]:
    yield node
    for block in node.blocks:
        for inner in (*block.nodes, block.terminator):
            yield from _with_nested(inner)


def _in_block(node: Node, block: Block | None) -> Node | None:
    """The node of a block that a node is, or is nested in."""
    found: Node | None = node
    while found is not None and found.block is not block:
        found = found.block.owner if found.block is not None else None
    return found


def _is_light_node(node: Node, facts: Facts) -> bool:
    weight, x = facts.get(node.inputs[1]), facts.get(node.inputs[0])
    return weight is not None and x is not None and _is_light(weight, x)


def _is_light(weight: TensorFact, x: TensorFact) -> bool:
    """Whether torch need not lay out the weights of a convolution anew, or few of them."""
    channels, *window = weight.shape[1:]
    return channels == 1 or max(window) == 1 or _SMALL_WEIGHT * weight.numel <= x.numel
