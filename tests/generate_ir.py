"""Random well-formed programs of the IR.

``random_program(seed)`` gives a program of up to three functions over ints, floats, bools, strings,
optionals, lists, tuples and tensors: nested Ifs and Loops that yield, break, continue and return,
calls, in-place ops, views, attributes and errors.  Every program ends: loops have few trips.
"""

import random

import torch

from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import BREAK, CONTINUE, RETURN, UNREACHABLE, YIELD, Graph, Program
from scriptmode.ops.aten import schema_of
from scriptmode.support.source import Span

PAIR = T.TupleType([T.INT, T.TENSOR])
MAYBE = T.optional_of(T.INT)
LISTS = [T.ListType([T.INT]), T.ListType([T.TENSOR])]
TYPES = [T.INT, T.FLOAT, T.BOOL, T.STR, T.TENSOR, PAIR, MAYBE, *LISTS]

# kind -> nothing: inputs follow from the schema
OPS = """
int::add int::sub int::mul int::floordiv int::mod int::neg int::xor int::eq int::lt int::ge
float::add float::sub float::mul float::truediv float::neg float::lt float::eq int::float
bool::not bool::and bool::or bool::int int::bool math::floor
str::concat str::len str::upper int::str str::eq str::contains
tensor::shape tensor::ndim tensor::dtype tensor::len size::numel
aten::relu aten::neg aten::abs aten::t aten::detach aten::clone aten::alias aten::view_as
aten::relu_ aten::neg_ aten::t_ aten::mm aten::mul.Tensor aten::max.dim aten::zero_ aten::sum
aten::dropout aten::contiguous aten::t aten::relu_
list::len list::append list::getitem list::pop list::clear list::copy list::contains list::concat
""".split()


class Generator:
    def __init__(self, seed, size=14):
        self.rng = random.Random(seed)
        self.size = size
        self.program = Program("f0")
        self.line = 0

    def program_of(self, count):
        state = T.ClassType("m.State", is_module=True)
        state.attributes = {"n": T.INT, "w": T.TENSOR, "items": LISTS[0]}
        self.program.classes[state.name] = state
        self.state = state
        for number in reversed(range(count)):
            self.function(f"f{number}")
        self.program.functions = dict(reversed(self.program.functions.items()))
        return self.program

    def function(self, name):
        graph = Graph(name)
        graph.return_type = self.rng.choice(TYPES)
        self.graph, self.builder = graph, Builder(graph.block, schema_of)
        scope = [graph.add_param(self.state, "self")]
        for index in range(self.rng.randrange(2, 5)):
            scope.append(graph.add_param(self.rng.choice(TYPES), f"a{index}"))
        self.block(graph.block, scope, depth=0, loop=None)
        if not graph.block.is_terminated:
            graph.block.terminate(YIELD, [self.value(graph.return_type, scope)])
        self.program.add(graph)

    def block(self, block, scope, depth, loop):
        """Fill ``block``; it may end up terminated by a jump."""
        with self.builder.at(block):
            for _ in range(self.rng.randrange(1, max(2, self.size >> depth))):
                self.line += 1
                self.builder.span = Span("random.py", self.line, 4)
                self.builder.scope = self.rng.choice(["", "", "outer", "outer.inner"])
                self.statement(scope, depth, loop)
                if block.is_terminated:
                    return
            if depth and self.rng.random() < 0.25:
                self.jump(block, scope, loop)

    def jump(self, block, scope, loop):
        kind = self.rng.choice([RETURN, UNREACHABLE, BREAK, CONTINUE])
        if kind == RETURN:
            block.terminate(RETURN, [self.value(self.graph.return_type, scope)])
        elif kind == UNREACHABLE:
            self.builder.node("prim::raise", [self.value(T.STR, scope)], exception=KeyError)
            block.terminate(UNREACHABLE, [])
        elif loop is not None:
            carried = [self.value(t, scope) for t in loop]
            first = [self.value(T.BOOL, scope)] if kind == CONTINUE else []
            block.terminate(kind, [*first, *carried])

    def statement(self, scope, depth, loop):
        choice = self.rng.random()
        if choice < 0.55 or depth >= 3:
            self.op(self.rng.choice(OPS), scope)
        elif choice < 0.7:
            self.structural(scope)
        elif choice < 0.86:
            self.if_node(scope, depth, loop)
        else:
            self.loop(scope, depth)

    def op(self, kind, scope):
        schema = schema_of(kind)
        binding = {"t": self.rng.choice([T.INT, T.TENSOR])}
        if kind in ("list::contains",):
            binding = {"t": T.INT}
        inputs = [self.argument(a, T.substitute(a.type, binding), scope) for a in schema.arguments]
        scope += self.builder.call_schema(schema, inputs).outputs

    def argument(self, argument, t, scope):
        if argument.type == T.OptionalType([T.DTYPE]) or "memory_format" in argument.name:
            default = argument.default if argument.default is None else None
            if T.is_optional(t):
                return self.builder.constant(default)
            return self.builder.constant(torch.contiguous_format, T.MEMORY_FORMAT)
        if argument.name == "dim":
            return self.builder.constant(self.rng.choice([0, 1]))
        if argument.name == "train":
            return self.builder.constant(False)
        if argument.name == "p":
            return self.builder.constant(0.5)
        return self.value(t, scope)

    def structural(self, scope):
        b, rng = self.builder, self.rng
        choice = rng.randrange(9)
        owner = scope[0]
        if choice == 0:
            name = rng.choice(list(self.state.attributes))
            t = self.state.attributes[name]
            scope.append(b.node("prim::GetAttr", [owner], [t], name=name).output)
        elif choice == 1:
            name = rng.choice(list(self.state.attributes))
            value = self.value(self.state.attributes[name], scope)
            b.node("prim::SetAttr", [owner, value], name=name)
        elif choice == 2:
            scope.append(b.tuple_index(self.value(PAIR, scope), rng.randrange(2)))
        elif choice == 3:
            maybe = self.value(MAYBE, scope)
            scope.append(b.node("prim::is_none", [maybe], [T.BOOL]).output)
        elif choice == 4:
            maybe = self.value(MAYBE, scope)
            kind = rng.choice([T.INT, T.NONE])
            scope.append(b.node("prim::isinstance", [maybe], [T.BOOL], types=(kind,)).output)
        elif choice == 5:
            maybe = self.value(MAYBE, scope)
            scope.append(b.node("prim::checked_cast", [maybe], [T.INT]).output)
        elif choice == 6:
            b.node("prim::print", [self.value(T.STR, scope)], end="")
        elif choice == 7:
            x, y = self.value(T.TENSOR, scope), self.value(T.TENSOR, scope)
            scope.append(b.node("prim::is", [x, y], [T.BOOL]).output)
        elif self.program.functions:
            callee = self.program.functions[rng.choice(list(self.program.functions))]
            inputs = [owner, *(self.value(p.type, scope) for p in callee.params[1:])]
            scope.append(b.call(callee.name, inputs, callee.return_type))

    def if_node(self, scope, depth, loop):
        types = self.rng.choices(TYPES, k=self.rng.randrange(3))
        node = self.builder.if_node(self.value(T.BOOL, scope))
        for block in node.blocks:
            inner = list(scope)
            self.block(block, inner, depth + 1, loop)
            if not block.is_terminated:
                with self.builder.at(block):
                    block.terminate(YIELD, [self.value(t, inner) for t in types])
        if all(b.terminator.kind != YIELD for b in node.blocks):
            for t in types:
                node.add_output(t)
            self.builder.block.terminate(UNREACHABLE, [])
            return
        scope += [node.add_output(t) for t in types]

    def loop(self, scope, depth):
        types = self.rng.choices(TYPES, k=self.rng.randrange(3))
        trips = self.builder.constant(self.rng.choice([0, 1, 2, 3]))
        if self.rng.random() < 0.4:
            two = self.builder.constant(3)
            trips = self.builder.op("int::and", self.value(T.INT, scope), two)
        condition = self.value(T.BOOL, scope)
        initial = [self.value(t, scope) for t in types]
        node = self.builder.node("prim::Loop", [trips, condition, *initial], types)
        body = node.add_block()
        inner = [*scope, body.add_param(T.INT, "i"), *(body.add_param(t) for t in types)]
        self.block(body, inner, depth + 1, types)
        if not body.is_terminated:
            with self.builder.at(body):
                ends = [self.value(T.BOOL, inner), *(self.value(t, inner) for t in types)]
                body.terminate(YIELD, ends)
        scope += node.outputs

    def value(self, t, scope):
        """A value of exactly ``t``, mostly a late one of the scope, else made anew."""
        known = [v for v in scope if v.type == t]
        if known and self.rng.random() < 0.9:
            return self.rng.choice(known[-4:])
        b, rng = self.builder, self.rng
        if t == T.INT:
            return b.constant(rng.choice([0, 1, 2, -1, 7, 2**62]))
        if t == T.FLOAT:
            return b.constant(rng.choice([0.0, -0.0, 1.0, 0.5, float("inf")]))
        if t == T.BOOL:
            return b.constant(rng.choice([True, True, False]))
        if t == T.STR:
            return b.constant(rng.choice(["", "a", "é b"]))
        if t == MAYBE:
            return b.constant(rng.choice([None, 3]), MAYBE)
        if t == T.SIZE:
            return b.op("tensor::shape", self.value(T.TENSOR, scope))
        if isinstance(t, T.ListType):
            return b.list(
                [self.value(t.element, scope) for _ in range(rng.randrange(3))], t.element
            )
        if t == PAIR:
            return b.tuple([self.value(e, scope) for e in t.elements])
        if t == T.TENSOR:
            return b.node("prim::GetAttr", [scope[0]], [T.TENSOR], name="w").output
        raise AssertionError(t)


def random_program(seed, size=14):
    generator = Generator(seed, size)
    return generator.program_of(generator.rng.randrange(1, 4))
