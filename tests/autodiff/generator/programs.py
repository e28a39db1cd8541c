"""Random differentiable programs: tensors, control flow, containers, helper functions."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.autodiff.generator.tensors import SHAPES, Shape, Tensors

Kind = tuple[object, ...]  # ("tensor", shape), ("list", shape), ("int",), ("opt", shape), ...

_HEAD = """\
from typing import NamedTuple, Optional

import torch
import torch.nn.functional as F
from torch import Tensor


class Pair(NamedTuple):
    first: Tensor
    second: Tensor
"""
_LEAST = 0.12


def annotation(kind: Kind) -> str:
    """The Python annotation of a kind."""
    match kind[0]:
        case "tensor":
            return "Tensor"
        case "list":
            return "list[Tensor]"
        case "lists":
            return "list[list[Tensor]]"
        case "dict":
            return "dict[str, Tensor]"
        case "pair":
            return "Pair"
        case "pairs":
            return "list[tuple[Tensor, float]]"
        case "opt":
            return "Optional[Tensor]"
        case "tuple":
            return f"tuple[{', '.join(map(annotation, kind[1:]))}]"  # type: ignore[arg-type]
        case other:
            return str(other)


class Writer:
    """Writes one function."""

    def __init__(
        self, rng: random.Random, helpers: list[tuple[str, list[Kind], Kind]], deepest: int = 3
    ) -> None:
        self.rng, self.helpers = rng, helpers
        self.deepest = deepest  # ops inside each other in one assignment
        self.lines: list[str] = []
        self.depth = 1
        self.loops = 0
        self.scope: dict[str, Kind] = {}
        self.fixed: set[str] = set()  # not to be assigned: loop variables, arguments that are lists
        self.count = 0
        self.returns: Kind = ("tensor", ())
        self.tensors = Tensors(rng, self.leaf, self.number)

    # ---- names and simple values

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    def name(self, prefix: str = "v") -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def of(self, *kind: object) -> list[str]:
        return [n for n, k in self.scope.items() if k[: len(kind)] == kind]

    def leaf(self, shape: Shape) -> str:
        """A tensor of this shape: a variable, or a part of a container."""
        choices: list[Callable[[], str]] = []
        for name in self.of("tensor", shape):
            choices += [lambda n=name: n] * 3
        for name in self.of("list", shape):
            choices += [
                lambda n=name: f"{n}[-1]", lambda n=name: f"{n}[0]",
                lambda n=name: f"{n}[{self.integer()} % len({n})]",
                lambda n=name: f"torch.stack({n}).sum(0)",
                lambda n=name: f"torch.stack({n}, 0).mean(0)",
            ]  # fmt: skip
        for name in self.of("dict", shape):
            choices += [
                lambda n=name: f'{n}["a"]',
                lambda n=name: f"torch.stack(list({n}.values())).sum(0)",
            ]
        for name in self.of("pair", shape):
            choices += [lambda n=name: f"{n}.first", lambda n=name: f"{n}[1]"]
        for name in self.of("opt", shape):
            choices += [lambda n=name: f"({n} if {n} is not None else {self.plain(shape)})"]
        for name, kind in self.scope.items():
            if kind[0] == "tuple":
                choices += [
                    lambda n=name, i=i: f"{n}[{i}]"
                    for i, k in enumerate(kind[1:])
                    if k == ("tensor", shape)
                ]
        for helper, kinds, result in self.helpers:
            if result == ("tensor", shape) and self.rng.random() < 0.5:
                choices.append(lambda h=helper, k=kinds: self.helper_call(h, k))
        if not choices or self.rng.random() < 0.04:
            return self.plain(shape)
        found = self.rng.choice(choices)()
        return f"({found}).detach()" if self.rng.random() < 0.04 else found

    def plain(self, shape: Shape) -> str:
        names = self.of("tensor", shape)
        if names and self.rng.random() < 0.7:
            return self.rng.choice(names)
        size = ", ".join(map(str, shape))
        others = self.of("tensor")
        if others and self.rng.random() < 0.85:  # not a constant, where that can be
            other = self.rng.choice(others)
            forms = ["{o}.sum() * torch.ones([{s}], dtype=torch.float64)", "({o}).mean().expand([{s}])",
                     "torch.full([{s}], 0.7, dtype=torch.float64) - {o}.sum()"]  # fmt: skip
            return self.rng.choice(forms).format(o=other, s=size)
        make = self.rng.choice(("torch.ones", "torch.zeros", "torch.full"))
        value = ", 0.5" if make == "torch.full" else ""
        return f"{make}([{size}]{value}, dtype=torch.float64)"

    def helper_call(self, helper: str, kinds: list[Kind]) -> str:
        parts = [
            self.short(k[1]) if k[0] == "tensor" else self.integer() if k[0] == "int" else self.value(k)
            for k in kinds
        ]  # fmt: skip
        return f"{helper}({', '.join(parts)})"

    def short(self, shape: object) -> str:
        """A variable, or something as simple, without calls of helpers."""
        names = self.of("tensor", shape)
        return self.rng.choice(names) if names else self.plain(shape)  # type: ignore[arg-type]

    def integer(self) -> str:
        names = [*self.of("int"), "1", "2"]
        found = self.rng.choice(names)
        if self.rng.random() < 0.08:
            found = f"int(({self.short(())}).detach().clamp(0, 3))"
        if self.rng.random() < 0.05:
            found = f"int(({self.short((3,))}).argmax())"
        return found

    def number(self) -> str:
        choices = [*self.of("float"), *self.of("int"), "0.5", "-1.5", "2"]
        if self.rng.random() < 0.15:
            return self.rng.choice((
                f"float({self.short(())})", f"{self.short(())}.item()", f"({self.short((3,))}).sum().item()",
                f"float(({self.short((2, 3))}).max())",
            ))  # fmt: skip
        return self.rng.choice(choices)

    def condition(self) -> str:
        rng = self.rng
        forms = [
            lambda: f"({self.short(rng.choice(SHAPES))}).sum() > 0",
            lambda: f"float({self.short(())}) < {self.short(())}",
            lambda: f"({self.short((3,))})[0] > ({self.short((3,))})[1]",
            lambda: f"bool((({self.short((2, 3))}) > 0.1).any())",
            lambda: f"{self.integer()} > 1",
            lambda: f"{self.integer()} % 2 == 0",
            lambda: f"({self.short(())}).item() > 0.2 and {self.integer()} < 3",
            lambda: f"not ({self.short((2,))}).mean() > 0.1",
        ]
        forms += [lambda n=n: f"len({n}) > 2" for n in self.of("list")]
        forms += [lambda n=n: f"{n} is None" for n in self.of("opt")]
        return rng.choice(forms)()

    def value(self, kind: Kind, depth: int = 2) -> str:
        """An expression of any kind."""
        shape: Shape = kind[1] if len(kind) > 1 and kind[0] != "tuple" else ()  # type: ignore[assignment]
        rng = self.rng
        depth = min(depth, self.deepest)
        tensor = lambda d=depth: self.tensors.expression(shape, rng.randint(0, d))  # noqa: E731
        names = self.of(*kind)
        match kind[0]:
            case "tensor":
                return tensor()
            case "list":
                if names and rng.random() < 0.35:
                    name = rng.choice(names)
                    return rng.choice((
                        name, f"list({name})", f"{name}[:2]", f"{name} + [{tensor(1)}]", f"{name}[::-1]",
                        f"[torch.sin(t) for t in {name}]", f"{name} * 2", f"sorted({name}, key=lambda t: float(t.sum()))",
                        f"[t * {self.number()} for t in {name}] + [{tensor(1)}]", f"list(reversed({name}))",
                        f"[t for t in {name} if t.sum() > 0] + [{tensor(0)}]", f"{name}.copy()",
                    ))  # fmt: skip
                return f"[{', '.join(tensor(1) for _ in range(rng.randint(1, 3)))}]"
            case "lists":
                return f"[{', '.join(self.value(('list', shape), 1) for _ in range(rng.randint(1, 2)))}]"
            case "dict":
                if names and rng.random() < 0.3:
                    name = rng.choice(names)
                    return rng.choice(
                        (name, f"dict({name})", f"{{k: v * 2 for k, v in {name}.items()}}")
                    )
                keys = ["a", *rng.sample(("b", "c", "d"), rng.randint(0, 2))]
                return "{" + ", ".join(f'"{k}": {tensor(1)}' for k in keys) + "}"
            case "pair":
                if names and rng.random() < 0.2:
                    return f"{rng.choice(names)}._replace(second={tensor(1)})"
                return f"Pair({tensor(1)}, {tensor(1)})"
            case "pairs":
                return (
                    "["
                    + ", ".join(
                        f"({tensor(1)}, {self.number()} * 1.0)" for _ in range(rng.randint(1, 3))
                    )
                    + "]"
                )
            case "opt":
                return rng.choice(("None", tensor(1)))
            case "tuple":
                return f"({', '.join(self.value(k, 1) for k in kind[1:])},)"  # type: ignore[arg-type]
            case "int":
                return self.integer()
            case _:
                return f"{self.number()} * 1.0"

    # ---- statements

    def statements(self, count: int) -> None:
        for _ in range(count):
            self.statement()

    def statement(self) -> None:
        rng = self.rng
        ways: list[tuple[int, Callable[[], None]]] = [
            (8, self.assign), (5, self.reassign), (3, self.make), (4, self.change), (1, self.number_of),
            (1, self.parts), (1, self.in_place),
        ]  # fmt: skip
        if self.depth < 4:
            ways += [
                (3, self.branch),
                (2, self.for_range),
                (1, self.while_loop),
                (2, self.for_each),
            ]
        if self.depth > 1:
            ways.append((1, self.exit))
        weights, options = zip(*ways, strict=True)
        rng.choices(options, weights)[0]()

    def assign(self) -> None:
        shape = self.rng.choice(SHAPES)
        name, value = self.name(), self.tensors.expression(shape, self.rng.randint(1, self.deepest))
        self.line(f"{name} = {value}")
        self.scope[name] = ("tensor", shape)

    def _own(self, *kind: object) -> list[str]:
        return [n for n in self.of(*kind) if n not in self.fixed]

    def reassign(self) -> None:
        names = self._own("tensor")
        if not names:
            return self.assign()
        name = self.rng.choice(names)
        shape: Shape = self.scope[name][1]  # type: ignore[assignment]
        self.line(f"{name} = {self.tensors.expression(shape, self.rng.randint(1, self.deepest))}")
        return None

    def make(self) -> None:
        shape = self.rng.choice(SHAPES[:4])
        kind: Kind = self.rng.choice((
            ("list", shape), ("list", shape), ("dict", shape), ("pair", shape), ("lists", shape),
            ("pairs", shape), ("opt", shape), ("tuple", ("tensor", shape), ("tensor", ())),
            ("tuple", ("tensor", shape), ("list", ())), ("tuple", ("int",), ("tensor", shape)),
        ))  # fmt: skip
        name, value = self.name(kind[0][0]), self.value(kind)  # type: ignore[index]
        self.line(f"{name}: {annotation(kind)} = {value}")
        self.scope[name] = kind

    def change(self) -> None:
        """Write a container."""
        names = (
            self._own("list")
            + self._own("dict")
            + self._own("lists")
            + self._own("pairs")
            + self._own("opt")
            + self._own("pair")
            + self._own("tuple")
        )
        if not names:
            return self.make()
        rng = self.rng
        name = rng.choice(names)
        kind = self.scope[name]
        if kind[0] in ("opt", "pair", "tuple"):
            self.line(f"{name} = {self.value(kind)}")
            return None
        shape: Shape = kind[1]  # type: ignore[assignment]
        value = self.tensors.expression(shape, rng.randint(0, 2))
        match kind[0]:
            case "list":
                form = rng.choice((
                    "{n}.append({v})", "{n}.append({v})", "{n}[{i} % len({n})] = {v}", "{n}[-1] = {v}",
                    "{n}.insert(0, {v})", "{n}.extend([{v}, {v}])", "{n}.reverse()", "{n} += [{v}]",
                    "{n}.sort(key=lambda t: float(t.sum()))", "{n} = {l}", "{n}[0], {n}[-1] = {n}[-1], {n}[0]",
                    "POP", "POP", "{n}[:1] = [{v}]", "{n}[-1] = {n}[-1] * {i}", "DEL",
                ))  # fmt: skip
                if form in ("POP", "DEL"):
                    self.line(f"if len({name}) > 1:")
                    self.depth += 1
                    target = self.name()
                    pop = rng.choice((f"{target} = {name}.pop()", f"{target} = {name}.pop(0)"))
                    self.line(f"del {name}[0]" if form == "DEL" else pop)
                    if form == "POP":
                        self.line(f"{name}[0] = {target} + {name}[0]")
                    self.depth -= 1
                    return None
            case "dict":
                form = rng.choice((
                    '{n}["a"] = {v}', '{n}["b"] = {v}', '{n}["a"] = {n}["a"] * {i} + {v}',
                    '{n}.update({{"c": {v}}})', '{n}.setdefault("d", {v})', '{n}["a"] = {n}.get("e", {v})',
                    '{n}.pop("b", {v})', "{n} = {l}",
                ))  # fmt: skip
            case "lists":
                form = rng.choice((
                    "{n}[-1].append({v})", "{n}.append([{v}])", "{n}[0][0] = {v}", "{n}[0] = [{v}, {v}]",
                    "{n}[0].append({n}[-1][0])",
                ))  # fmt: skip
            case _:
                form = rng.choice(("{n}.append(({v}, {i} * 0.5))", "{n}.sort(key=lambda p: p[1])",
                                   "{n}[0] = ({v}, {n}[0][1])", "{n} = sorted({n}, key=lambda p: -p[1])"))  # fmt: skip
        inner = self.value(kind)
        self.line(form.format(n=name, v=value, i=self.integer(), l=inner))
        return None

    def number_of(self) -> None:
        rng = self.rng
        name = self.name("k")
        if rng.random() < 0.5:
            self.line(f"{name} = {self.integer()} + {self.integer()}")
            self.scope[name] = ("int",)
        else:
            self.line(f"{name} = {self.number()} * 0.5")
            self.scope[name] = ("float",)

    def parts(self) -> None:
        """Several tensors of one op, or of a tuple."""
        rng = self.rng
        a, b = self.name(), self.name()
        value = self.tensors.expression((2, 3), 1)
        form, first, second = rng.choice((
            ("{}.unbind(0)", (3,), (3,)), ("({}).max(1)[0], ({}).sum(1)", (2,), (2,)),
            ("torch.var_mean({}, 1)", (2,), (2,)), ("({}).max(dim=1)", (2,), None),
            ("torch.sort({}, 1)", (2, 3), None), ("({}).sum(), ({}).t()", (), (3, 2)),
            ("torch.std_mean({}, 0)", (3,), (3,)), ("torch.aminmax({}, dim=1)", (2,), (2,)),
            ("torch.broadcast_tensors({}, torch.ones([3], dtype=torch.float64))", (2, 3), (2, 3)),
        ))  # fmt: skip
        self.line(f"{a}, {b} = {form.replace('{}', f'({value})')}")
        self.scope[a] = ("tensor", first)
        if second is not None:
            self.scope[b] = ("tensor", second)

    def in_place(self) -> None:
        rng = self.rng
        if rng.random() < 0.6:
            return self.assign()
        shape = rng.choice(SHAPES[1:])
        name, value = self.name(), self.tensors.expression(shape, 1)
        start = rng.choice(
            (f"({value}).clone()", f"torch.zeros({list(shape)}, dtype=torch.float64)")
        )
        self.line(f"{name} = {start}")
        other = self.tensors.expression(shape, 1)
        self.line(rng.choice((
            f"{name}.mul_({other})", f"{name} += {other}", f"{name}[0] = ({other})[0]", f"{name}.add_({other}, alpha=2)",
            f"{name}[0] += 1.5", f"{name}.copy_({other})",
        )))  # fmt: skip
        self.scope[name] = ("tensor", shape)
        return None

    def block(self, count: int) -> None:
        before = dict(self.scope)
        self.depth += 1
        start = len(self.lines)
        self.statements(count)
        if len(self.lines) == start:
            self.line("pass")
        self.depth -= 1
        self.scope = before

    def branch(self) -> None:
        rng = self.rng
        self.line(f"if {self.condition()}:")
        self.block(rng.randint(1, 2))
        if rng.random() < 0.3:
            self.line(f"elif {self.condition()}:")
            self.block(1)
        if rng.random() < 0.6:
            self.line("else:")
            self.block(rng.randint(1, 2))

    def _looped(self, count: int) -> None:
        self.loops += 1
        self.block(count)
        self.loops -= 1

    def for_range(self) -> None:
        name = self.name("i")
        stop = self.rng.choice((self.integer(), "2", "3", f"min({self.integer()}, 3)"))
        before = dict(self.scope)
        self.line(f"for {name} in range({stop}):")
        self.scope[name] = ("int",)
        self.fixed.add(name)
        self._looped(self.rng.randint(1, 2))
        self.scope = before

    def while_loop(self) -> None:
        name = self.name("k")
        self.line(f"{name} = 0")
        before = dict(self.scope)
        scalar = self.short(())
        condition = self.rng.choice(
            (f"{name} < {self.integer()}", f"{name} < 3 and ({scalar}).abs() < 2.0")
        )
        self.line(f"while {condition}:")
        self.depth += 1
        self.line(f"{name} += 1")
        self.depth -= 1
        self.scope[name] = ("int",)
        self.fixed.add(name)
        self._looped(self.rng.randint(1, 2))
        self.scope = before
        self.scope[name] = ("int",)

    def for_each(self) -> None:
        lists = self.of("list") + self.of("dict") + self.of("pairs")
        tensors = self.of("tensor", (2, 3)) + self.of("tensor", (3, 3))
        rng = self.rng
        before = dict(self.scope)
        item, fixed = self.name("t"), set(self.fixed)
        if lists and rng.random() < 0.8:
            name = rng.choice(lists)
            kind, shape = self.scope[name]
            if kind == "list":
                form = rng.choice(("for {t} in {n}:", "for i{t}, {t} in enumerate({n}):", "for {t} in list({n}):",
                                   "for {t}, z{t} in zip({n}, {n}[::-1]):", "for {t} in reversed({n}):"))  # fmt: skip
                self.fixed.add(name)
            elif kind == "dict":
                form = rng.choice(("for {t} in {n}.values():", "for k{t}, {t} in {n}.items():"))
                self.fixed.add(name)
            else:
                form = "for {t}, f{t} in {n}:"
                self.fixed.add(name)
            self.line(form.format(t=item, n=name))
            # what shares the container may grow while it is walked through
            self.fixed |= (
                set(self.of("list"))
                | set(self.of("dict"))
                | set(self.of("lists"))
                | set(self.of("pairs"))
            )
            self.scope[item] = ("tensor", shape)
        elif tensors:
            self.line(f"for {item} in {rng.choice(tensors)}:")
            self.scope[item] = ("tensor", (3,))
        else:
            return self.assign()
        self._looped(rng.randint(1, 2))
        self.scope, self.fixed = before, fixed
        return None

    def exit(self) -> None:
        """Break, continue or return, under a condition."""
        self.line(f"if {self.condition()}:")
        self.depth += 1
        ways = ["return"] + ["break", "continue"] * (2 if self.loops else 0)
        way = self.rng.choice(ways)
        self.line(f"return {self.value(self.returns)}" if way == "return" else way)
        self.depth -= 1

    def function(self, name: str, params: list[tuple[str, Kind]], returns: Kind, size: int) -> str:
        """The text of a function."""
        self.returns = returns
        self.scope = dict(params)
        self.fixed = (
            {n for n, k in params if k[0] in ("list", "dict")} if self.rng.random() < 0.9 else set()
        )
        self.statements(size)
        shown = ", ".join(f"{n}: {annotation(k)}" for n, k in params)
        self.line(f"return {self.value(returns)}")
        return f"def {name}({shown}) -> {annotation(returns)}:\n" + "\n".join(self.lines) + "\n"


def _result_kind(rng: random.Random) -> Kind:
    a, b = ("tensor", rng.choice(SHAPES)), ("tensor", rng.choice(SHAPES))
    shape = rng.choice(SHAPES)
    return rng.choice((
        a, a, ("tuple", a, b), ("tuple", a, b), ("list", shape), ("dict", shape), ("pair", shape),
        ("tuple", a, ("tuple", b, a)), ("tuple", a, ("list", shape)), ("tuple", ("float",), a),
        ("opt", shape), ("tuple", ("list", shape), ("list", ())), ("tuple", ("dict", shape), a),
        ("lists", shape),
    ))  # fmt: skip


def small_program(seed: int) -> str:
    """The text of a program of some lines, which compiles quickly."""
    return random_program(seed, small=True)


def random_program(seed: int, small: bool = False) -> str:
    """The text of a program."""
    rng = random.Random(seed)
    text = _HEAD
    helpers: list[tuple[str, list[Kind], Kind]] = []
    deepest, most = (1, 5) if small else (3, 9)
    for number in range(0 if small else rng.choice((0, 0, 1, 2))):
        kinds: list[Kind] = [("tensor", rng.choice(SHAPES)) for _ in range(rng.randint(1, 2))]
        kinds += [("int",)] * rng.randint(0, 1)
        returns: Kind = ("tensor", rng.choice(SHAPES))
        params = [(f"p{i}", k) for i, k in enumerate(kinds)]
        text += "\n\n" + Writer(rng, []).function(f"h{number}", params, returns, rng.randint(1, 3))
        helpers.append((f"h{number}", kinds, returns))
    arguments: list[Kind] = [
        ("tensor", rng.choice(SHAPES)) for _ in range(rng.randint(1, 2 if small else 4))
    ]
    if rng.random() < 0.6:
        arguments.append(("int",))
    if rng.random() < 0.25:
        arguments.append(("list", rng.choice(SHAPES)))
    if rng.random() < 0.08:
        arguments.append(
            rng.choice(
                (
                    ("dict", (3,)),
                    ("pair", (3,)),
                    ("float",),
                    ("tuple", ("tensor", (3,)), ("tensor", ())),
                )
            )
        )
    params = [(f"x{i}", k) for i, k in enumerate(arguments)]
    text += "\n\n" + Writer(rng, helpers, deepest).function(
        "f", params, _result_kind(rng), rng.randint(2, most)
    )
    sizes = [_made(k, rng) for k in arguments]
    text += "\n\n" + (
        "def make(seed, n):\n    g = torch.Generator().manual_seed(seed)\n"
        "    r = lambda *shape: torch.randn(shape, generator=g, dtype=torch.float64)\n"
        f"    return ({', '.join(sizes)},)\n\n\n"
        f"ARGUMENTS = [lambda: make({rng.randrange(1000)}, {rng.randint(1, 3)}), "
        f"lambda: make({rng.randrange(1000)}, {rng.randint(0, 2)})]\n"
    )
    return text


def _made(kind: Kind, rng: random.Random) -> str:
    shape = ", ".join(map(str, kind[1])) if len(kind) > 1 and kind[0] != "tuple" else ""  # type: ignore[call-overload]
    match kind[0]:
        case "tensor":
            return f"r({shape})"
        case "list":
            return f"[{', '.join([f'r({shape})'] * rng.randint(1, 3))}]"
        case "dict":
            return f'{{"a": r({shape}), "b": r({shape})}}'
        case "pair":
            return f"Pair(r({shape}), r({shape}))"
        case "tuple":
            return f"({', '.join(_made(k, rng) for k in kind[1:])},)"  # type: ignore[arg-type]
        case "int":
            return "n"
        case _:
            return "n * 0.5"
