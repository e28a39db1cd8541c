"""How modules are called: hooks, inheritance, markers, their own protocols."""

from __future__ import annotations

import linecache

import pytest
import torch
from torch import Tensor, nn

import scriptmode
from tests.fourway import check

X = torch.linspace(-1, 1, 6).reshape(2, 3)


class Base(nn.Module):
    k = 3

    def __init__(self):
        super().__init__()
        self.l = nn.Linear(3, 3)

    def forward(self, x):
        return self.helper(self.l(x))

    def helper(self, x):
        return x + self.k

    @property
    def prop(self):
        return self.k * 2

    @staticmethod
    def st(a, b: int = 2):
        return a * b

    @classmethod
    def cl(cls, a):
        return a + cls.k


class Ident2(nn.Module):
    def forward(self, x):
        return x + 1


class Prep2(nn.Module):
    def forward(self, x):
        return eval("x + 1")

    def __prepare_scriptable__(self):
        return Ident2()


class Inherit(Base):
    k = 5

    def forward(self, x):
        y = super().forward(x)
        z = super(Inherit, self).helper(x)
        w = Base.helper(self, x)
        return y + z + w + self.prop + self.st(x) + self.cl(x) + Inherit.st(x, 3) + Base.cl(x)

    def helper(self, x):
        return super().helper(x) * 2


class Recur(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(3, 3)

    def forward(self, x, n: int = 3) -> Tensor:
        if n == 0:
            return x
        return self.forward(self.l(x), n - 1)


class Ignored(nn.Module):
    def __init__(self):
        super().__init__()
        self.n = 2

    @torch.jit.ignore
    def py(self, x, scale: float = 2.0) -> Tensor:
        self.n += 1
        return x * scale * self.n

    @torch.jit.unused
    def un(self, x):
        import numpy

        return numpy.array(x)

    def forward(self, x):
        y = self.py(x) + self.py(x, 3.0) + self.py(x, scale=4.0) + self.py(scale=1.0, x=x)
        if self.n < 0:
            y = self.un(x)
        return y, self.n


class UnusedProps(nn.Module):
    __jit_unused_properties__ = ["bad"]
    __jit_ignored_attributes__ = ["bad2"]

    @property
    def bad(self):
        return [o for o in object.__subclasses__()][0]

    @property
    def bad2(self):
        yield 3

    def forward(self, x):
        return x + 1


class UsesPrep(nn.Module):
    def __init__(self):
        super().__init__()
        self.p = Prep2()
        self.l = nn.Sequential(Prep2(), nn.ReLU())

    def forward(self, x):
        return self.l(self.p(x))


class CallOverride(nn.Module):
    def __call__(self, x):
        return x + 100


class UsesCallOverride(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = CallOverride()

    def forward(self, x):
        return self.c(x)


class TrainInside(nn.Module):
    def __init__(self):
        super().__init__()
        self.d = nn.Dropout()

    def forward(self, x):
        self.eval()
        y = self.d(x)
        self.train()
        return y, self.training


def test_hooks_that_change_values_on_some_paths():
    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(3, 3)

        def forward(self, x):
            return self.a(x)

    def pre(self, inp: tuple[Tensor]):
        if inp[0].sum() > 0:
            return (inp[0] + 1,)
        return None

    def post(self, inp: tuple[Tensor], out: Tensor):
        if out.sum() > 0:
            return out * 2

    m = M()
    m.a.register_forward_pre_hook(pre)
    m.a.register_forward_hook(post)
    check(m, (X,), (X + 3,))


def test_a_hook_that_is_a_method_of_the_outer_module():
    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(3, 3)
            self.n = 0
            self.a.register_forward_hook(self.h)

        def h(self, mod, inp, out):
            self.n += 1
            return out + self.n

        def forward(self, x):
            return self.a(x)

    check(M(), (X,))


def test_parametrizations_of_torch():
    m = nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Linear(3, 3)),
        nn.utils.parametrizations.orthogonal(nn.Linear(3, 3)),
        nn.utils.parametrizations.spectral_norm(nn.Linear(3, 3)),
    )
    check(m, (X,))


def test_the_older_spectral_norm():
    m = nn.Sequential(nn.utils.spectral_norm(nn.Linear(3, 3)))
    check(m, (X,))


def test_a_parametrization_of_the_user():
    class Sym(nn.Module):
        def forward(self, w):
            return w.triu() + w.triu(1).T

    m = nn.Linear(3, 3)
    nn.utils.parametrize.register_parametrization(m, "weight", Sym())
    check(nn.Sequential(m), (X,))


def test_a_generated_graph_module():
    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.l = nn.Linear(3, 3)

        def forward(self, x):
            return self.l(x).relu() + 1

    g = torch.fx.symbolic_trace(M())
    check(g, (X,))
    check(nn.Sequential(g, nn.ReLU()), (X,))


def test_a_class_whose_source_is_in_no_file():
    src = "import torch\nfrom torch import nn\nclass E(nn.Module):\n    def forward(self, x):\n        return x + 1\n"
    linecache.cache["<cell 1>"] = (len(src), None, src.splitlines(True), "<cell 1>")
    ns = {"__name__": "__main__"}
    exec(compile(src, "<cell 1>", "exec"), ns)
    check(ns["E"](), (X,))


CASES = [
    (Inherit, (X,)),
    (Recur, (X,)),
    (Ignored, (X,)),
    (UnusedProps, (X,)),
    (UsesPrep, (X,)),
    (CallOverride, (X,)),
    (UsesCallOverride, (X,)),
    (TrainInside, (X,)),
]


@pytest.mark.parametrize(("cls", "args"), CASES, ids=[c.__name__ for c, _ in CASES])
def test_modules_are_as_in_eager_mode(cls, args):
    check(cls(), args)


def test_hooks_of_the_root_and_of_submodules_change_inputs_and_results():
    def pre(self, inputs):
        return (inputs[0] + 1,)

    def single(self, inputs):
        return inputs[0] + 1

    def post(self, inputs, out):
        return out * 2

    def in_place(self, inputs, out):
        out.add_(1)

    def model():
        torch.manual_seed(0)
        m = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
        m[0].register_forward_pre_hook(pre)
        m[0].register_forward_pre_hook(single)
        m[0].register_forward_hook(post)
        m[1].register_forward_hook(in_place)
        m.register_forward_hook(post)
        m.register_forward_pre_hook(pre)
        return m

    eager, compiled = model(), scriptmode.script(model())
    for _ in range(3):
        torch.testing.assert_close(compiled(X), eager(X))


@pytest.mark.parametrize("name", ["register_parameter", "to", "add_module", "load_state_dict"])
def test_methods_that_change_the_module_are_refused(name):
    class M(nn.Module):
        def forward(self, x):
            getattr(self, self.what)(x)
            return x

    M.what = name
    with pytest.raises(scriptmode.CompileError, match=f"`{name}` changes the module itself"):
        scriptmode.script(M())


def test_lazy_and_quantized_modules_are_refused():
    with pytest.raises(scriptmode.CompileError, match="lazy module `LazyLinear`"):
        scriptmode.script(nn.LazyLinear(3))
    with pytest.raises(scriptmode.CompileError, match="LinearPackedParams"):
        scriptmode.script(torch.ao.nn.quantized.Linear(3, 3))


def test_the_mode_of_the_eager_module_alone_is_warned_of():
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout())
    compiled = scriptmode.script(model)
    model.eval()
    with pytest.warns(UserWarning, match="call eval"):
        compiled(X)
    compiled.eval()
    torch.testing.assert_close(compiled(X), model(X))


def test_gradients_are_taken_inside():
    def grad(x):
        x = x.detach().requires_grad_(True)
        y = (x * x).sum()
        (g,) = torch.autograd.grad([y], [x], create_graph=True)
        return g.detach(), torch.autograd.grad(g.sum(), x)[0]

    def unused(x):
        x = x.detach().requires_grad_(True)
        z = torch.ones(2).requires_grad_(True)
        g = torch.autograd.grad([(x * x).sum()], [x, z], allow_unused=True)
        return g[0] if g[1] is None else x

    def backward(x):
        x = x.detach().requires_grad_(True)
        (x * x).sum().backward()
        g = x.grad
        assert g is not None
        return g

    for function in (grad, unused, backward):
        check(function, (X,))


class WithoutGrad(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    @torch.no_grad()
    def forward(self, x, scale: float = 2.0):
        return self.linear(x) * scale


def test_forward_behind_a_decorator_that_takes_all_arguments():
    x = torch.randn(2, 4)
    check(WithoutGrad(), (x,), (x, 3.0))
