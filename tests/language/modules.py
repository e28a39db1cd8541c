"""Modules"""

from typing import Dict, List, Optional

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import scriptmode

INPUTS = (torch.linspace(-1, 1, 4),)


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, grad):
        return grad * 2


class Attributes(nn.Module):
    """parameters, buffers (persistent or not), attributes of every type"""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))
        self.register_buffer("mean", torch.zeros(4))
        self.register_buffer("scratch", torch.ones(4), persistent=False)
        self.factor = 2
        self.names = ["a", "b"]
        self.table = {"a": 1.5}
        self.last: Optional[int] = None

    def forward(self, x):
        return (
            x * self.weight * self.factor
            + self.mean
            + self.table["a"]
            + len(self.names)
            + self.scratch
        )


class State(nn.Module):
    """attributes assigned in methods keep their values from call to call"""

    def __init__(self):
        super().__init__()
        self.calls = 0
        self.history: List[int] = []
        self.register_buffer("total", torch.zeros(4))

    def forward(self, x):
        self.calls += 1
        self.history.append(self.calls)
        self.total = self.total + x
        return self.total, self.calls, len(self.history)


class Submodules(nn.Module):
    """submodules, `Sequential`, `ModuleList`, `ModuleDict`: calls, iteration, constant and variable indices"""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
        self.layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])
        self.heads = nn.ModuleDict({"a": nn.Linear(4, 2), "b": nn.Linear(4, 3)})

    def forward(self, x):
        x = self.net(x)
        for i, layer in enumerate(self.layers):
            x = layer(x) + i
        k = int(x.numel()) % 3
        x = self.layers[k](x)
        return (
            {name: head(x) for name, head in self.heads.items()},
            self.layers[0](x),
            "a" in self.heads,
        )


class Base(nn.Module):
    def forward(self, x):
        return x + 1


class Inherited(Base):
    """inheritance, `super().forward()`, methods, properties, static methods"""

    scale = 3

    @property
    def twice(self):
        return self.scale * 2

    @staticmethod
    def shift(x):
        return x - 1

    def helper(self, x, k: int = 2):
        return x * k

    def forward(self, x):
        return self.shift(self.helper(super().forward(x))) + self.twice


class Hooks(nn.Module):
    """forward hooks and pre-hooks; a submodule with backward hooks is left to Python"""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 4)
        self.inner.register_forward_pre_hook(lambda m, inputs: (inputs[0] * 2,))
        self.inner.register_forward_hook(lambda m, inputs, result: result + 1)
        self.outer = nn.Linear(4, 4)
        self.outer.register_full_backward_hook(lambda m, before, after: None)

    def forward(self, x):
        return self.outer(self.inner(x))


class Parameters(nn.Module):
    """`self.parameters()`, `self.named_parameters()`, `self.children()`"""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 4)
        self.b = nn.Linear(4, 2)

    def forward(self, x):
        total = torch.zeros(())
        for p in self.parameters():
            total = total + p.sum()
        names = [n for n, _ in self.named_parameters()]
        return total, names, next(self.parameters()).dtype


class Ignored(nn.Module):
    """`@scriptmode.ignore` leaves a method to Python, `@scriptmode.unused` one that is not reached"""

    @scriptmode.ignore
    def in_python(self, x: torch.Tensor) -> torch.Tensor:
        return x * 10

    @scriptmode.unused
    def never(self, x):
        return eval("x")

    def forward(self, x):
        if x.numel() > 100:
            return self.never(x)
        return self.in_python(x)


class Training(nn.Module):
    """`self.training`, dropout and norms in both modes"""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        return self.drop(self.norm(x.expand(3, 4))), self.training


class Weighted(nn.Module):
    """`torch.nn.utils.parametrizations`"""

    def __init__(self):
        super().__init__()
        self.linear = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))

    def forward(self, x):
        return self.linear(x)


class Arguments(nn.Module):
    """modules as arguments and in variables"""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 4)
        self.b = nn.Linear(4, 4)

    def run(self, layer: nn.Linear, x):
        return layer(x)

    def forward(self, x):
        chosen = self.a if x.numel() > 2 else self.b
        return self.run(self.a, x) + self.run(self.b, x), chosen(x)


class Tasks(nn.Module):
    """`fork`, `wait`, `Future`: tasks on threads without the GIL"""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        futures = [scriptmode.fork(self.layer, x + i) for i in range(3)]
        total = x
        for f in futures:
            total = total + scriptmode.wait(f)
        return total


class Options:
    def __init__(self):
        self.scale = 2.0
        self.names: Dict[str, int] = {"a": 1}


class Configured(nn.Module):
    """objects of user classes as attributes"""

    def __init__(self):
        super().__init__()
        self.options = Options()

    def forward(self, x):
        return x * self.options.scale + self.options.names["a"]


class Checkpoints(nn.Module):
    """`torch.utils.checkpoint.checkpoint`, `torch.func.vmap`, `grad`, `jacrev`, ... of functions outside: left to Python"""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 4)

    def forward(self, x):
        y = checkpoint(self.inner, x, use_reentrant=False)
        return y + torch.func.vmap(torch.sin)(x)


class AppliesFunction(nn.Module):
    """`torch.autograd.Function.apply`: left to Python, on eager's tape"""

    def forward(self, x):
        return Doubled.apply(x) + 1


class FirstUse(nn.Module):
    """state that is made on first use, of a type that it has from then on"""

    def __init__(self):
        super().__init__()
        self.cache = None

    def forward(self, x):
        if self.cache is None:
            self.cache = {}
        self.cache[len(self.cache)] = x
        return len(self.cache)


class OwnCall(nn.Module):
    """a `__call__` of the class's own; `is` and `==` of modules"""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.same = self.layer

    def __call__(self, x):
        return super().__call__(x) + 1

    def forward(self, x):
        return self.layer(x) if self.same is self.layer else x
