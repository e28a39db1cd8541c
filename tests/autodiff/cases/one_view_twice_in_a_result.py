import torch
from torch import Tensor


def f(x0: Tensor, x1: Tensor) -> tuple[Tensor, list[Tensor]]:
    v2 = x1.expand(3)
    return (x0.abs(), [v2, v2, v2.detach()])


def make(seed):
    g = torch.Generator().manual_seed(seed)
    return (
        torch.randn(3, 2, generator=g, dtype=torch.float64),
        torch.randn((), generator=g, dtype=torch.float64),
    )


ARGUMENTS = [lambda: make(406), lambda: make(903)]
