"""Containers of modules and parameters, in every use."""

from __future__ import annotations

import copy
from collections import OrderedDict

import pytest
import torch
from torch import Tensor, nn

import scriptmode
from tests.fourway import check

X = torch.linspace(-1, 1, 6).reshape(2, 3)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(3, 3)


def apply_mod(m, x):
    return m(x) * 2


class IFace(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        pass


class Params(Net):
    def forward(self, x):
        dev = next(self.parameters()).device
        dt = next(iter(self.parameters())).dtype
        s = torch.zeros((), device=dev, dtype=dt)
        for p in self.parameters():
            s = s + p.sum()
        for n, p in self.named_parameters():
            if "weight" in n:
                s = s + p.sum()
        for b in self.buffers():
            s = s + b.sum()
        return x + s + sum(p.numel() for p in self.parameters())


class Children(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 3)
        self.b = nn.ReLU()

    def forward(self, x):
        for m in self.children():
            x = m(x)
        for n, m in self.named_children():
            x = m(x)
        k = 0
        for n, m in self.named_modules():
            k += len(n)
        for m in self.modules():
            if isinstance(m, nn.Linear):
                k += 1
        return x, k


class ML(nn.Module):
    def __init__(self):
        super().__init__()
        self.ms = nn.ModuleList([nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3)])
        self.md = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Tanh()})
        self.seq = nn.Sequential(OrderedDict(u=nn.Linear(3, 3), v=nn.ReLU()))

    def forward(self, x):
        for i in range(len(self.ms)):
            x = self.ms[i](x)
        for i, m in enumerate(self.ms):
            x = m(x) * i
        for m in self.ms[1:]:
            x = m(x)
        for m in self.ms[::-1]:
            x = m(x)
        for (k, m), n in zip(self.md.items(), self.ms):
            x = m(x) + n(x) + len(k)
        for k in self.md:
            x = self.md[k](x)
        for k in self.md.keys():
            x = self.md[k](x)
        for m in self.md.values():
            x = m(x)
        x = self.seq[0](x)
        x = self.seq[-1](x)
        x = self.seq[:1](x)
        x = self.seq.u(x)
        if "a" in self.md:
            x = self.md.a(x)
        if "zz" in self.md:
            x = x * 100
        return x, len(self.ms), len(self.md), len(self.seq)


class MLVar(nn.Module):
    def __init__(self):
        super().__init__()
        self.ms = nn.ModuleList([nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3)])

    def forward(self, x, i: int):
        y = self.ms[i](x)
        m = self.ms[i - 1]
        return m(y) + m.forward(y)


class MDVar(nn.Module):
    def __init__(self):
        super().__init__()
        self.md = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Tanh()})

    def forward(self, x, k: str):
        if k in self.md:
            return self.md[k](x)
        return x


class MDVarMissing(nn.Module):
    def __init__(self):
        super().__init__()
        self.md = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Tanh()})

    def forward(self, x, k: str):
        return self.md[k](x)


class PL(nn.Module):
    def __init__(self):
        super().__init__()
        self.ps = nn.ParameterList([nn.Parameter(torch.ones(3) * i) for i in range(3)])
        self.pd = nn.ParameterDict(
            {"a": nn.Parameter(torch.ones(3)), "b": nn.Parameter(torch.ones(3))}
        )

    def forward(self, x):
        for p in self.ps:
            x = x + p
        for i, p in enumerate(self.ps):
            x = x * p * i
        for i in range(len(self.ps)):
            x = x + self.ps[i]
        for k, p in self.pd.items():
            x = x + p * len(k)
        for k in self.pd.keys():
            x = x + self.pd[k]
        if "a" in self.pd:
            x = x + self.pd.a
        x = x + self.ps[-1] + sum(self.ps[1:])
        return x, len(self.ps), len(self.pd)


class PLVar(nn.Module):
    def __init__(self):
        super().__init__()
        self.ps = nn.ParameterList([nn.Parameter(torch.ones(3) * i) for i in range(3)])

    def forward(self, x, i: int):
        return x + self.ps[i]


class PlainList(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 3)
        self.b = nn.ReLU()
        self.ms = [self.a, self.b]
        self.tm = (self.a, self.b)
        self.dm = {"a": self.a, "b": self.b}

    def forward(self, x):
        for m in self.ms:
            x = m(x)
        for m in self.tm:
            x = m(x)
        for k, m in self.dm.items():
            x = m(x)
        return self.dm["a"](x)


class PlainListUnreg(nn.Module):
    def __init__(self):
        super().__init__()
        self.ms = [nn.Linear(3, 3), nn.ReLU()]
        self.nested = [[nn.ReLU()], [nn.Tanh(), nn.Sigmoid()]]

    def forward(self, x):
        for m in self.ms:
            x = m(x)
        for l in self.nested:
            for m in l:
                x = m(x)
        return x


class ModArg(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 3)
        self.b = nn.ReLU()

    def twice(self, m: nn.Module, x):
        return m(m(x))

    def forward(self, x):
        return apply_mod(self.a, x) + apply_mod(self.b, x) + self.twice(self.b, x)


class ModBranch(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 3)
        self.b = nn.Linear(3, 3)
        self.c = nn.ReLU()

    def forward(self, x, f: bool):
        m = self.a if f else self.b
        y = m(x)
        if f:
            n = self.c
        else:
            n = self.a
        return n(y)


class OptSub(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = None
        self.b: nn.Module | None = nn.ReLU()
        self.register_module("c", None)
        self.down: nn.Linear | None = None

    def forward(self, x):
        if self.a is not None:
            x = self.a(x)
        if self.b is not None:
            x = self.b(x)
        if self.c:
            x = self.c(x)
        return x


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.BatchNorm1d(3)
        self.b = self.a
        self.s = nn.Sequential(self.a, self.b)

    def forward(self, x):
        return self.s(self.b(self.a(x)))


class NestedML(nn.Module):
    def __init__(self):
        super().__init__()
        self.m = nn.ModuleList(
            [nn.ModuleList([nn.Linear(3, 3), nn.ReLU()]), nn.ModuleList([nn.Tanh()])]
        )
        self.d = nn.ModuleDict({"x": nn.ModuleDict({"y": nn.ReLU()})})

    def forward(self, x):
        for l in self.m:
            for m in l:
                x = m(x)
        for k, v in self.d.items():
            for kk, vv in v.items():
                x = vv(x)
        xs = [m[0](x) for m in self.m]
        ys = {k: v["y"](x) for k, v in self.d.items()}
        return xs, ys


class UsesIface(nn.Module):
    p: IFace

    def __init__(self):
        super().__init__()
        self.ms = nn.ModuleList([nn.ReLU(), nn.Tanh()])
        self.p = nn.ReLU()

    def forward(self, x):
        for i in range(2):
            s: IFace = self.ms[i]
            x = s.forward(x)
        return self.p(x)


class IterMods(nn.Module):
    def __init__(self):
        super().__init__()
        self.ms = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])

    def forward(self, x):
        it = iter(self.ms)
        a = next(it)
        x = a(x)
        first, second = self.ms
        x = second(x)
        *rest, last = self.ms
        x = last(x)
        ys = list(self.ms)
        for m in reversed(self.ms):
            x = m(x)
        return (
            ys[0](x),
            [m(x) for m in self.ms],
            sum(m(x).sum() for m in self.ms),
            list(map(lambda m: m(x), self.ms)),
        )


class GetSub(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Sequential(nn.Linear(3, 3))
        for i in range(3):
            setattr(self, f"l{i}", nn.Linear(3, 3))
            self.add_module(f"m{i}", nn.ReLU())

    def forward(self, x):
        for i in range(3):
            x = getattr(self, f"l{i}")(x)
            x = getattr(self, "m%d" % i)(x)
        x = self.get_submodule("a.0")(x)
        return (
            x
            + self.get_parameter("a.0.weight").sum()
            + len(self._modules)
            + len(list(self.parameters()))
        )


CASES = [
    (Params, (X,)),
    (Children, (X,)),
    (ML, (X,)),
    (
        MLVar,
        (
            X,
            1,
        ),
    ),
    (
        MDVar,
        (
            X,
            "b",
        ),
    ),
    (
        MDVarMissing,
        (
            X,
            "zz",
        ),
    ),
    (PL, (X,)),
    (
        PLVar,
        (
            X,
            1,
        ),
    ),
    (PlainList, (X,)),
    (PlainListUnreg, (X,)),
    (ModArg, (X,)),
    (
        ModBranch,
        (
            X,
            True,
        ),
    ),
    (OptSub, (X,)),
    (Shared, (X,)),
    (NestedML, (X,)),
    (UsesIface, (X,)),
    (IterMods, (X,)),
    (GetSub, (X,)),
]


@pytest.mark.parametrize(("cls", "args"), CASES, ids=[c.__name__ for c, _ in CASES])
def test_modules_are_as_in_eager_mode(cls, args):
    check(cls(), args)


class OwnContainer(nn.ModuleList):
    """It is iterated and indexed in its own way."""

    def __getitem__(self, index: int):
        return super().__getitem__(len(self) - 1 - index)


class UsesOwnContainer(nn.Module):
    def __init__(self):
        super().__init__()
        self.ms = OwnContainer([nn.Tanh(), nn.Sigmoid()])

    def forward(self, x):
        return self.ms[0](x)


def test_a_subclass_of_a_container_keeps_its_own_methods():
    check(UsesOwnContainer(), (X,))


def test_a_copy_has_its_own_unregistered_modules():
    model = PlainListUnreg()
    compiled = scriptmode.script(model)
    copied = copy.deepcopy(compiled)
    with torch.no_grad():
        model.ms[0].weight.zero_()
        model.ms[0].bias.zero_()
    assert torch.equal(compiled(X), model(X))
    assert not torch.equal(copied(X), model(X))


class ZippedWithDisplay(nn.Module):
    def __init__(self):
        super().__init__()
        self.ms = nn.ModuleList([nn.Linear(4, 4), nn.ReLU(), nn.Tanh()])

    def forward(self, x):
        for m, factor in zip(self.ms, [1, 2, 3]):
            x = m(x) * factor
        for index, (m, factor) in enumerate(zip(self.ms, [0.5, 2])):
            x = m(x) * factor + index
        return x


def test_modules_are_zipped_with_a_list_display():
    check(ZippedWithDisplay(), (torch.randn(2, 4),))


class CountsSeven(nn.ModuleList):
    def __len__(self):
        return 7


class WalksFirst(nn.ModuleList):
    def __iter__(self):
        return iter([self[0]])


class HasZ(nn.ModuleDict):
    def __contains__(self, key):
        return key == "z"


class AsksOwnMethods(nn.Module):
    def __init__(self):
        super().__init__()
        self.seven = CountsSeven([nn.ReLU()])
        self.two = WalksFirst([nn.ReLU(), nn.Tanh()])
        self.z = HasZ({"a": nn.ReLU()})

    def forward(self, x: Tensor, key: str):
        found = "z" in self.z, "a" in self.z, key in self.z, key not in self.z
        return len(self.seven), len(self.two), found, self.two[1](x)


def test_containers_answer_len_and_in_by_their_own_methods():
    check(AsksOwnMethods(), (torch.ones(1), "z"))
