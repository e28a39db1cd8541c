"""Dataclasses, four ways."""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import InitVar, dataclass, field
from typing import ClassVar, Dict, List, Optional, Tuple, Union

import pytest
import torch
from torch import Tensor

import scriptmode
from tests.fourway import check


class Color(enum.Enum):
    RED = 1
    GREEN = 2


@dataclass
class Plain:
    x: int
    y: float = 2.0

    def total(self):
        return self.x + self.y


@dataclass(frozen=True, order=True)
class Ordered:
    x: int
    y: int = 0


@dataclass
class Lists:
    xs: List[int] = field(default_factory=list)
    counts: Dict[str, int] = field(default_factory=dict)
    n: int = field(default=3, repr=False)
    fixed: int = field(init=False, default=7)


@dataclass
class Derived:
    a: int
    factor: InitVar[int]
    offset: ClassVar[int] = 10
    result: int = field(init=False)

    def __post_init__(self, factor):
        self.result = self.a * factor + self.offset


@dataclass
class Child(Plain):
    z: str = "q"


@dataclass(kw_only=True)
class Keywords:
    a: int
    b: int = 1


@dataclass(slots=True)
class Slots:
    a: int
    b: int = 2


@dataclass(unsafe_hash=True)
class Hashed:
    a: int
    b: int = field(hash=False, compare=False, default=2)


@dataclass(eq=False)
class ByIdentity:
    a: int


@dataclass(frozen=True)
class Frozen:
    a: int
    b: int = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "b", self.a * 2)


@dataclass
class Base:
    n: int

    def __post_init__(self):
        self.n += 1


@dataclass
class Deep(Base):
    m: int = 2

    def __post_init__(self):
        super().__post_init__()
        self.m *= 3


@dataclass(frozen=True)
class Key:
    name: str
    i: int
    color: Color = Color.RED


@dataclass
class Config:
    rate: float = 0.1
    dims: Tuple[int, ...] = (1, 2)
    key: Optional[Key] = None
    tags: List[str] = field(default_factory=lambda: ["a"])

    @property
    def double(self):
        return self.rate * 2

    @classmethod
    def make(cls, n: int):
        return cls(rate=float(n))


@dataclass
class Output:
    logits: Tensor
    loss: Optional[Tensor] = None


@dataclass
class Tree:
    value: int
    children: List[Tree] = field(default_factory=list)

    def total(self) -> int:
        found = self.value
        for child in self.children:
            found += child.total()
        return found


@dataclass
class Custom:
    x: float

    def __add__(self, other):
        return Custom(self.x + other.x)

    def __repr__(self):
        return f"<{self.x}>"


def test_construction_defaults_equality_and_repr():
    def f(n: int):
        a, b, c = Plain(n), Plain(n, 3.0), Plain(x=n, y=1.0)
        return a, b.y, c.total(), a == b, a == Plain(n), a != c, repr(a), str(b), f"{c}"

    check(f, (3,))


def test_instances_from_python_are_changed_for_python():
    def f(a: Plain, b: Plain, xs: List[Plain]):
        a.x += 1
        xs.append(b)
        return a is b, a == b, [p.x for p in xs], a

    one = Plain(1, 5.0)
    check(f, (one, one, [one]), (one, Plain(1), []))


def test_order_and_hash():
    def f(n: int, d: Dict[Key, int]):
        key = Key("a", n)
        d[key] = d.get(key, 0) + 1
        ordered = sorted([Ordered(3), Ordered(n), Ordered(2, 1)])
        return (
            Ordered(n) < Ordered(n, 1), Ordered(3) >= Ordered(n), max(Ordered(1), Ordered(n)),
            ordered, {Ordered(n): 1}, key in d, d, {Key("a", 1), Key("a", 1), key},
            hash(Hashed(n)) == hash(Hashed(n, 5)), Hashed(n) == Hashed(n, 4),
        )  # fmt: skip

    check(f, (1, {}), (2, {Key("a", 2): 5}))


def test_fields_of_all_kinds():
    def f(n: int):
        a, b = Lists(), Lists()
        a.xs.append(n)
        a.counts["a"] = n
        return (
            a, b, a.fixed, b.n, Derived(n, 2).result, Derived(a=n, factor=3), Derived.offset,
            Keywords(a=n), Keywords(a=n, b=2).b, Slots(n), Slots(n).b, Frozen(n), Deep(n), Deep(n, 5).m,
        )  # fmt: skip

    check(f, (2,))


def test_inheritance():
    def f(n: int):
        c = Child(n)
        return c, Child(n, 1.0, "w").total(), isinstance(c, Plain), c == Plain(n), Plain(n) == c

    check(f, (2,))


def test_identity_comparison():
    def f(n: int):
        a = ByIdentity(n)
        return a == ByIdentity(n), a == a, a is a

    check(f, (1,))


def test_frozen_instances_refuse_assignment():
    def assigned(k: Key):
        k.i = 3

    def deleted(k: Key):
        del k.i

    def caught(k: Key):
        try:
            k.i = 3
        except dataclasses.FrozenInstanceError as error:
            return str(error)
        return "assigned"

    for f in (assigned, deleted, caught):
        check(f, (Key("a", 1),))


def test_unhashable_and_unordered_instances_are_refused():
    def hashed(n: int):
        return {Plain(1): n}

    def ordered(n: int):
        return Plain(1) < Plain(2)

    def endless(n: int):
        return dataclasses.asdict(Tree(1, [Tree(2)]))

    check(hashed, (1,))
    for f in (ordered, endless):
        with pytest.raises(scriptmode.CompileError):
            scriptmode.script(f)


def test_functions_of_the_module():
    def f(n: int):
        config = Config(key=Key("z", n))
        changed = dataclasses.replace(config, rate=9.0)
        config.rate = 100.0
        return (
            changed, dataclasses.replace(Ordered(n), x=5), dataclasses.asdict(Plain(n)),
            dataclasses.astuple(Plain(n, 1.0)), dataclasses.asdict(Config(key=Key("z", n))),
            [g.name for g in dataclasses.fields(Plain)], dataclasses.is_dataclass(config),
        )  # fmt: skip

    check(f, (1,))


def test_methods_properties_and_operators():
    def f(n: int, a: Custom):
        c = Config()
        c.tags.append("b")
        return c, Config.make(n), c.double, a + Custom(1.0), repr(a), f"{a}", a == Custom(2.0)

    check(f, (3, Custom(2.0)))


def test_tensors_and_optionals():
    def f(x: Tensor, given: Output, config: Optional[Config]):
        out = Output(x * 2)
        if out.loss is None:
            out.loss = out.logits.sum()
        if given.loss is not None:
            out.logits = out.logits + given.loss
        if config is not None and config.key is not None:
            out.logits = out.logits * config.key.i
        return out.logits, out.loss

    x = torch.ones(2)
    check(f, (x, Output(x), None), (x, Output(x, x.sum()), Config(key=Key("a", 3))))


def test_self_reference():
    def f(tree: Tree, n: int):
        tree.children.append(Tree(n, [Tree(1), Tree(2)]))
        return tree.total(), tree

    check(f, (Tree(1, [Tree(2)]), 5))


def test_unions_and_patterns():
    def f(a: Union[Plain, Custom, int]):
        match a:
            case Plain(1, y):
                return y
            case Plain(x=x):
                return float(x)
            case Custom(x):
                return x * 10
            case int(n):
                return float(n)

    check(f, (Plain(1, 5.0),), (Plain(3),), (Custom(2.0),), (4,))


CONFIG = Config(rate=0.5)


def test_a_captured_instance_is_guarded(monkeypatch):
    monkeypatch.setitem(globals(), "CONFIG", Config(rate=0.5))

    def f(n: int):
        return CONFIG.rate * n, CONFIG.double, CONFIG.dims[0]

    compiled = scriptmode.script(f)
    assert compiled(2) == f(2)
    CONFIG.rate = 2.0
    assert compiled(2) == f(2) == (4.0, 4.0, 1)


@dataclass
class Named:
    options: Dict[str, float]
    rows: Dict[int, List[int]]


def test_asdict_copies_dicts():
    def f(n: int):
        named = Named({"a": 1.0}, {n: [n]})
        plain = dataclasses.asdict(named)
        named.rows[n].append(9)
        return plain["options"], plain["rows"], dataclasses.astuple(named)

    check(f, (3,))
