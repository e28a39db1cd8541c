"""Attributes of modules that compiled code reads, writes, sets first, and deletes."""

from __future__ import annotations

import argparse
import dataclasses
import enum
import functools
import types
from collections import namedtuple
from typing import Final, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import scriptmode
from tests.fourway import check, compare, interpret, outcome

X = torch.linspace(-1, 1, 6).reshape(2, 3)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(3, 3)


class Color(enum.Enum):
    R = 1
    G = 2


Pt = namedtuple("Pt", ["a", "b"])


class NT(NamedTuple):
    x: Tensor
    n: int


@dataclasses.dataclass
class Cfg:
    dim: int = 3
    scale: float = 2.0
    name: str = "x"
    opts: dict[str, int] = dataclasses.field(default_factory=lambda: {"k": 2})

    def total(self):
        return self.dim * self.scale


class NewAttrInForward(Net):
    def forward(self, x):
        self.y = x + 1
        return self.y * 2


class NewIntAttr(Net):
    def forward(self, x):
        self.n = 3
        return x * self.n


class NoneLater(nn.Module):
    def __init__(self):
        super().__init__()
        self.cache = None

    def forward(self, x):
        if self.cache is None:
            self.cache = x
        else:
            self.cache = self.cache + x
        return self.cache


class KVCache(nn.Module):
    def __init__(self):
        super().__init__()
        self.k: list[Tensor] = []
        self.d: dict[str, Tensor] = {}

    def forward(self, x):
        self.k.append(x)
        self.d["n" + str(len(self.k))] = x
        return torch.cat(self.k), len(self.d)


class DelAttr(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = 3

    def forward(self, x):
        self.b = x
        y = self.b
        del self.b
        return y


class SetGetHas(Net):
    def __init__(self):
        super().__init__()
        self.n = 1

    def forward(self, x):
        setattr(self, "n", self.n + 1)
        z = getattr(self, "nope", 5)
        if hasattr(self, "l"):
            x = getattr(self, "l")(x)
        return x * self.n + z


class AugAttr(nn.Module):
    def __init__(self):
        super().__init__()
        self.n = 1
        self.t = torch.ones(3)
        self.register_buffer("b", torch.zeros(3))
        self.l = [1]

    def forward(self, x):
        self.n += 2
        self.n <<= 1
        self.t += 1
        self.b *= 2
        self.b += x.sum(0)
        self.l += [self.n]
        self.l[0] += 1
        return x + self.b + self.t, self.n, len(self.l)


class Buf(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("a", torch.zeros(3))
        self.register_buffer("np", torch.zeros(3), persistent=False)

    def forward(self, x):
        self.a = self.a + 1
        self.np += 1
        return x + self.a + self.np


class PropSetter(nn.Module):
    def __init__(self):
        super().__init__()
        self._v = 1

    @property
    def v(self) -> int:
        return self._v

    @v.setter
    def v(self, new: int):
        self._v = new * 2

    def forward(self, x):
        self.v = self.v + 1
        self.v += 1
        return x * self.v


class TypedState(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = Color.R
        self.pt = Pt(1, 2.0)
        self.nt = NT(torch.ones(3), 2)
        self.tup = (1, "a", torch.ones(3))
        self.o: int | None = None
        self.ll: list[list[int]] = [[1], [2, 3]]
        self.dl: dict[str, list[int]] = {"a": [1]}
        self.u: int | str = 3

    def forward(self, x):
        if self.c == Color.R:
            self.c = Color.G
        else:
            self.c = Color.R
        self.nt = NT(x.sum(0), self.nt.n + 1)
        self.tup = (self.tup[0] + 1, self.tup[1] + "b", x)
        self.ll[0].append(4)
        self.dl["a"].append(2)
        self.dl["b"] = self.ll[0]
        self.u = "s" if isinstance(self.u, int) else 4
        o = self.o
        self.o = 1 if o is None else o + 1
        return x + self.nt.n, self.tup[1], self.ll, self.dl, self.c, self.pt.a, self.o, self.u


class LSTMState(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(3, 4)
        self.hc: tuple[Tensor, Tensor] | None = None

    def forward(self, x):
        out, hc = self.rnn(x[None], self.hc)
        self.hc = (hc[0].detach(), hc[1].detach())
        return out


class Consts(nn.Module):
    __constants__ = ["a", "lst"]
    f: Final[float]

    def __init__(self):
        super().__init__()
        self.a = 2
        self.f = 0.5
        self.lst = [1, 2, 3]

    def forward(self, x):
        for i in self.lst:
            x = x * i
        y = torch.jit.annotate(list[int], [])
        y.append(1)
        return x * self.a * self.f, y


class LambdaAttr(nn.Module):
    def __init__(self):
        super().__init__()
        self.f = lambda x: x + 1
        self.act = F.relu
        self.act2 = torch.tanh
        self.part = functools.partial(F.leaky_relu, negative_slope=0.3)
        self.acts = {"a": F.relu, "b": torch.sigmoid}
        self.fl = [F.relu, torch.tanh]

    def forward(self, x):
        for f in self.fl:
            x = f(x)
        return self.part(self.act2(self.act(self.f(x)))) + self.acts["b"](x)


class Config(nn.Module):
    def __init__(self):
        super().__init__()
        self.cfg = Cfg()
        self.ns = types.SimpleNamespace(a=1, b=2.0)
        self.args = argparse.Namespace(k=3, layers=[1, 2])
        self.d = {"dim": 3, "scale": 2.0, "name": "abc"}

    def forward(self, x):
        if self.cfg.name == "x":
            x = x * self.cfg.scale + self.cfg.dim + self.cfg.opts["k"]
        for i in self.args.layers:
            x = x + i
        return (
            x * self.ns.a
            + self.ns.b
            + self.args.k
            + self.d["dim"] * self.d["scale"]
            + self.cfg.total()
        )


class ObjAttr(nn.Module):
    def __init__(self):
        super().__init__()
        self.dt = torch.float64
        self.dev = torch.device("cpu")
        self.size = torch.Size([3, 2])
        self.rng = range(3)
        self.sl = slice(0, 2)
        self.none = None
        self.cls = nn.Linear
        self.np = torch.nn.Parameter(torch.ones(2))

    def forward(self, x):
        for i in self.rng:
            x = x + i
        return x.to(self.dt)[self.sl], self.size, self.np.sum()


class StateDictInside(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 3)

    def forward(self, x):
        n = self.a.weight.shape[0]
        w = self.a._parameters["weight"]
        return (
            x @ w + n + (self.a.bias is not None),
            self.__class__.__name__,
            type(self).__name__,
            self._get_name(),
        )


class GetAttr(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 3)

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self._modules["inner"], name)

    def forward(self, x):
        return self.inner(x) + self.weight.sum() + self.in_features


CASES = [
    (NewAttrInForward, (X,)),
    (NewIntAttr, (X,)),
    (NoneLater, (X,)),
    (KVCache, (X,)),
    (DelAttr, (X,)),
    (SetGetHas, (X,)),
    (AugAttr, (X,)),
    (Buf, (X,)),
    (PropSetter, (X,)),
    (TypedState, (X,)),
    (LSTMState, (X,)),
    (Consts, (X,)),
    (LambdaAttr, (X,)),
    (Config, (X,)),
    (ObjAttr, (X,)),
    (StateDictInside, (X,)),
    (GetAttr, (X,)),
]


@pytest.mark.parametrize(("cls", "args"), CASES, ids=[c.__name__ for c, _ in CASES])
def test_modules_are_as_in_eager_mode(cls, args):
    check(cls(), args)


class Late(nn.Module):
    def forward(self, x, mode: int):
        if not hasattr(self, "cache"):
            self.cache = x
            self.opt = None
        if mode == 1:
            self.opt = 3
        if mode == 2:
            del self.cache
            return x
        if mode == 3:
            return x + self.other
        y = getattr(self, "later", x)
        if mode == 4:
            self.later = x * 7
            self.other = x
        self.cache = self.cache + y
        return self.cache + (0 if self.opt is None else self.opt)


def test_attributes_that_may_be_unbound_are_seen_and_deleted_from_both_sides():
    eager, compiled = Late(), scriptmode.script(Late())
    names = ("cache", "opt", "later", "other")

    def step(mode, run):
        compare(outcome(eager, (X, mode)), outcome(run, (X, mode)), f"mode {mode}")
        for name in names:
            assert hasattr(eager, name) == hasattr(compiled, name), (mode, name)

    for mode in (0, 1, 0, 3, 2, 2, 0, 4, 0, 1, 3):
        step(mode, compiled)
    for model in (eager, compiled):
        del model.cache
        del model.opt
    step(0, compiled)
    want = outcome(eager, (X, 1))
    compare(want, outcome(lambda *a: interpret(compiled, *a), (X, 1)), "interpreter")
    with pytest.raises(AttributeError):
        scriptmode.script(Buf()).__delattr__("training")


def test_what_cannot_be_assigned_or_deleted_is_refused():
    class Submodule(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.ReLU(), nn.Tanh()

        def forward(self, x):
            self.a = self.b
            return self.a(x)

    class Buffer(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("b", torch.ones(3))

        def forward(self, x):
            del self.b
            return x

    class ReadOnly(nn.Module):
        @property
        def p(self):
            return 1

        def forward(self, x):
            self.p = 3
            return x

    for cls, text in ((Submodule, "submodule"), (Buffer, "cannot be deleted")):
        with pytest.raises(scriptmode.CompileError, match=text):
            scriptmode.script(cls())
    check(ReadOnly(), (X,))


@dataclasses.dataclass
class Part:
    size: int
    name: str = "part"


class ListsOfObjects(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.parts = [Part(1), Part(2, "two")]
        self.rows = [[Part(3)], [Part(4)]]
        self.by_name = {"a": Part(5)}

    def forward(self, x: Tensor):
        last = self.parts[-1]
        self.parts.append(Part(last.size + 1, last.name + "!"))
        self.parts[0].size += 10
        self.rows[0].append(self.parts[-1])
        self.rows.append([last])
        self.by_name["b"] = last
        sizes = [part.size for row in self.rows for part in row]
        return x + len(self.parts), sizes, self.by_name["b"] is self.parts[1], [*self.by_name]


def test_lists_and_dicts_of_objects_are_changed():
    compiled = check(ListsOfObjects(), (torch.ones(2),))
    assert [part.size for part in compiled.parts][-1] == len(compiled.parts)
    assert compiled.rows[0][-1] is compiled.parts[-1]
