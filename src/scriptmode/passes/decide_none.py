"""Decide where an Optional value is None, and give what is never None its plain type.

Before::

    graph f(%x: Tensor, %n: int) -> Optional[Tensor]:
      %true: bool = prim::Constant[value=True]()
      %none: Optional[Tensor] = prim::Constant[value=None]()
      %a: Optional[Tensor] = prim::If(%true)
        block0():
          -> (%x)
        block1():
          -> (%none)
      %r: Optional[Tensor] = prim::Loop(%n, %true, %a)
        block0(%i: int, %c: Optional[Tensor]):
          %isnt: bool = prim::is_none(%c)
          %d: Optional[Tensor] = prim::If(%isnt)
            block0():
              -> (%x)
            block1():
              %e: Tensor = prim::unchecked_cast(%c)
              %g: Tensor = aten::neg(%e)
              -> (%g)
          -> (%true, %d)
      return (%r)

After::

    graph f(%x: Tensor, %n: int) -> Optional[Tensor]:
      %true: bool = prim::Constant[value=True]()
      %none: Optional[Tensor] = prim::Constant[value=None]()
      %r: Tensor = prim::Loop(%n, %true, %x)
        block0(%i: int, %c: Tensor):
          %0: bool = prim::Constant[value=False]()
          %g: Tensor = aten::neg(%c)
          -> (%true, %g)
      return (%r)

What is None before a loop, and never after its first iteration, is decided when that iteration is
written out in front of the loop (``peel``).  Blocks must end with their Yields; a function with
other ends is left alone.
"""

from __future__ import annotations

import enum

from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import (
    UNREACHABLE,
    YIELD,
    Block,
    Graph,
    Node,
    Program,
    Value,
    copy_node,
)
from scriptmode.ops.aten import schema_of
from scriptmode.passes.narrowing import replace_uses
from scriptmode.passes.rewrite import apply_rules
from scriptmode.passes.simplify_control_flow import simplify_control_flow

MOST_PEELED = 600  # nodes of an iteration that is written out


class Null(enum.Enum):
    """Whether a value is None."""

    ALWAYS = "always"
    NEVER = "never"
    MAYBE = "maybe"


def decide_none(graph: Graph, program: Program | None = None) -> bool:
    """Return whether the graph changed."""
    if not _is_structured(graph.block):
        return False
    changed = False
    while _decide(graph) or _peel_one(graph):
        apply_rules(graph, program)
        simplify_control_flow(graph, program)
        changed = True
    while _retype(graph):
        apply_rules(graph, program)
        changed = True
    return changed


def _is_structured(block: Block) -> bool:
    ends = block.terminator.kind in (YIELD, UNREACHABLE)
    return ends and all(
        node.kind not in ("prim::Try", "prim::Defer") and all(map(_is_structured, node.blocks))
        for node in block.nodes
    )


def _join(a: Null, b: Null) -> Null:
    return a if a is b else Null.MAYBE


class Nulls:
    """What is known of the Optional values of a function."""

    def __init__(self) -> None:
        self.known: dict[Value, Null] = {}

    def of(self, value: Value) -> Null:
        """Whether a value is None."""
        if value.type == T.NONE:
            return Null.ALWAYS
        if not T.is_optional(value.type):
            return Null.NEVER
        if value.is_constant:
            return Null.ALWAYS if value.constant is None else Null.NEVER
        return self.known.get(value, Null.MAYBE)

    def answer(self, condition: Value) -> bool | None:
        """What a condition is, where it asks for None."""
        node = condition.node
        if condition.is_constant:
            return bool(condition.constant)
        if node is not None and node.kind == "prim::is_none":
            found = self.of(node.inputs[0])
            return None if found is Null.MAYBE else found is Null.ALWAYS
        if node is not None and node.kind == "bool::not":
            inner = self.answer(node.inputs[0])
            return None if inner is None else not inner
        return None

    def block(self, block: Block) -> None:
        """Go through the nodes of a block."""
        for node in block.nodes:
            if node.kind == "prim::If":
                self._if(node)
            elif node.kind == "prim::Loop":
                self.loop(node, [self.of(v) for v in node.inputs[2:]])
            elif node.kind == "prim::unchecked_cast":
                self.known[node.output] = self.of(node.inputs[0])
            elif node.kind == "list::getitem":
                self._element(node)
            else:
                for inner in node.blocks:
                    self.block(inner)

    def _element(self, node: Node) -> None:
        """Of a list that stays as it is made."""
        made, index = node.inputs[0].node, node.inputs[1]
        if made is None or made.kind != "prim::ListConstruct" or not made.inputs:
            return
        if not all(u.node.kind in ("list::getitem", "list::len") for u in made.output.uses):
            return
        found = {self.of(v) for v in made.inputs}
        if index.is_constant and 0 <= index.constant < len(made.inputs):
            found = {self.of(made.inputs[index.constant])}
        self.known[node.output] = found.pop() if len(found) == 1 else Null.MAYBE

    def _if(self, node: Node) -> None:
        answer = self.answer(node.inputs[0])
        taken = node.blocks if answer is None else [node.blocks[not answer]]
        for inner in taken:
            self.block(inner)
        ends = [b.returns for b in taken if b.terminator.kind == YIELD]
        for index, output in enumerate(node.outputs):
            found = {self.of(values[index]) for values in ends}
            self.known[output] = found.pop() if len(found) == 1 else Null.MAYBE

    def iteration(self, loop: Node, given: list[Null]) -> list[Null]:
        """What an iteration hands on, when it is given values."""
        body = loop.blocks[0]
        for param, null in zip(body.params[1:], given, strict=True):
            self.known[param] = null
        self.block(body)
        return [self.of(v) for v in body.returns[1:]]

    def loop(self, loop: Node, given: list[Null]) -> list[Null]:
        """What the params of a loop's body are in all iterations."""
        state = given
        if loop.blocks[0].terminator.kind == YIELD:
            while True:
                after = [_join(*p) for p in zip(state, self.iteration(loop, state), strict=True)]
                if after == state:
                    break
                state = after
        else:
            state = [Null.MAYBE] * len(given)
        self.known.update(zip(loop.outputs, state, strict=True))
        return state


def _decide(graph: Graph) -> bool:
    """Answer the questions for None that can be answered."""
    nulls = Nulls()
    nulls.block(graph.block)
    changed = False
    for node in graph.find_all("prim::is_none"):
        found = nulls.of(node.inputs[0])
        if found is not Null.MAYBE:
            builder = Builder(Block(None), schema_of)
            constant = builder.constant(found is Null.ALWAYS)
            made = constant.node
            assert made is not None
            made.detach()
            made.insert_before(node)
            node.replace_with(constant)
            changed = True
    return changed


# ---- plain types


def _retype(graph: Graph) -> bool:
    """Give results of Ifs, and what Loops carry, the types of what is never None."""
    nulls = Nulls()
    nulls.block(graph.block)
    changed = False
    for node in list(graph.walk()):
        if node.kind == "prim::If":
            ends = [b.terminator for b in node.blocks if b.terminator.kind == YIELD]
            for index, output in enumerate(node.outputs):
                if T.is_optional(output.type) and nulls.of(output) is Null.NEVER:
                    for end in ends:
                        _take_plain(end, index)
                    _make_plain(output)
                    changed = True
        elif node.kind == "prim::Loop" and node.blocks[0].terminator.kind == YIELD:
            body = node.blocks[0]
            for index, param in enumerate(body.params[1:]):
                output = node.outputs[index]
                if not T.is_optional(param.type) or nulls.of(param) is not Null.NEVER:
                    continue
                if output.type != param.type:
                    continue
                _take_plain(node, index + 2)
                _take_plain(body.terminator, index + 1)
                _make_plain(param)
                _make_plain(output)
                changed = True
    return changed


def _make_plain(value: Value) -> None:
    value.type = T.unwrap_optional(value.type)


def _take_plain(user: Node, index: int) -> None:
    value = user.inputs[index]
    if T.is_optional(value.type):
        plain = T.unwrap_optional(value.type)
        cast = Node("prim::unchecked_cast", [value], [plain], span=user.span)
        user.set_input(index, cast.insert_before(user).output)


# ---- first iterations


def _peel_one(graph: Graph) -> bool:
    """Write out the first iteration of a loop that decides what is None in the others."""
    nulls = Nulls()
    nulls.block(graph.block)
    for loop in graph.find_all("prim::Loop"):
        body = loop.blocks[0]
        if body.terminator.kind != YIELD or _size(body) > MOST_PEELED:
            continue
        given = [nulls.of(v) for v in loop.inputs[2:]]
        if Null.ALWAYS not in given:
            continue
        now = nulls.loop(loop, given)
        nulls.loop(loop, given)
        first = nulls.iteration(loop, given)
        later = nulls.loop(loop, first)
        nulls.loop(loop, given)
        if later.count(Null.MAYBE) < now.count(Null.MAYBE):
            peel(loop)
            return True
    return False


def _size(block: Block) -> int:
    return sum(1 + sum(map(_size, node.blocks)) for node in block.nodes)


def peel(loop: Node) -> None:
    """Write out the first iteration of a loop, behind a test whether there is one."""
    holder = Builder(Block(None), schema_of)
    holder.span, holder.scope = loop.span, loop.scope
    trips, condition, *given = loop.inputs
    runs = holder.op("int::gt", trips, holder.constant(0))
    if not (condition.is_constant and condition.constant):
        runs = holder.op("bool::and", runs, condition)
    branch = holder.if_node(runs)
    body = loop.blocks[0]
    with holder.at(branch.blocks[0]) as target:
        zero, one = holder.constant(0), holder.constant(1)
        mapping: dict[Value, Value] = {body.params[0]: zero}
        # what a param of a wider type is given keeps that type
        for param, value in zip(body.params[1:], given, strict=True):
            is_wide = value.type != param.type
            mapping[param] = (
                holder.node("prim::unchecked_cast", [value], [param.type]).output
                if is_wide and T.is_optional(param.type) and value.type == T.NONE
                else value
            )
        for node in body.nodes:
            target.append(copy_node(node, mapping))
        again, *after = [mapping.get(v, v) for v in body.returns]
        left = holder.op("int::sub", trips, one)
        rest = Node(loop.kind, [left, again, *after], span=loop.span, scope=loop.scope,
                    attributes=loop.attributes)  # fmt: skip
        for output in loop.outputs:
            rest.add_output(output.type, output.name)
        target.append(rest)
        inside: dict[Value, Value] = {}
        block = rest.add_block()
        index = block.add_param(T.INT, body.params[0].name)
        builder = Builder(block, schema_of)
        builder.span = loop.span
        inside[body.params[0]] = builder.op("int::add", index, one)
        for param in body.params[1:]:
            inside[param] = block.add_param(param.type, param.name)
        for node in body.nodes:
            block.append(copy_node(node, inside))
        block.terminate(YIELD, [inside.get(v, v) for v in body.returns], body.terminator.span)
        target.terminate(YIELD, rest.outputs, loop.span)
    with holder.at(branch.blocks[1]) as target:
        target.terminate(YIELD, given, loop.span)
    for output in loop.outputs:
        branch.add_output(output.type, output.name)
    for node in list(holder.block.nodes):
        node.detach()
        node.insert_before(loop)
    for output, value in zip(loop.outputs, branch.outputs, strict=True):
        replace_uses(output, value)
    loop.erase()
