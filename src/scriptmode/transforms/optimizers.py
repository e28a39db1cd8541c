"""The updates of ``torch.optim`` as functions of the script language.

They run inside of compiled programs, so that a whole training step is one native program, and
change parameters and state in place, as ``torch.optim`` does::

    def step(w, b, x, y, momentum: list[torch.Tensor]):
        loss = torch.nn.functional.mse_loss(x @ w + b, y)
        gradients = torch.autograd.grad(loss, [w, b])
        sgd_step([w, b], list(gradients), momentum, lr=0.1, momentum=0.9)
        return loss.detach()

The arithmetic is that of the single-tensor implementations of torch.optim.SGD, Adam (Kingma and
Ba 2015) and AdamW (Loshchilov and Hutter 2019).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def sgd_step(
    params: list[Tensor],
    grads: list[Tensor],
    buffers: list[Tensor],
    lr: float = 1e-3,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    maximize: bool = False,
) -> None:
    """One step of ``torch.optim.SGD`` on ``params``.

    ``buffers`` are the momentum buffers: empty before the first step, which fills the list.
    """
    with torch.no_grad():
        is_first = len(buffers) == 0
        for i in range(len(params)):
            p = params[i]
            g = -grads[i] if maximize else grads[i]
            if weight_decay != 0:
                g = g.add(p, alpha=weight_decay)
            if momentum != 0:
                if is_first:
                    buffers.append(g.clone())
                else:
                    buffers[i].mul_(momentum).add_(g, alpha=1 - dampening)
                g = g.add(buffers[i], alpha=momentum) if nesterov else buffers[i]
            p.add_(g, alpha=-lr)


def adam_step(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    max_exp_avg_sqs: list[Tensor],
    step: int,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    amsgrad: bool = False,
    maximize: bool = False,
) -> None:
    """Step number ``step`` (the first is 1) of ``torch.optim.Adam``; ``decoupled``: of AdamW.

    The three lists of state are empty before the first step, which fills them;
    ``max_exp_avg_sqs`` only with ``amsgrad``.
    """
    with torch.no_grad():
        if len(exp_avgs) == 0:
            for p in params:
                exp_avgs.append(torch.zeros_like(p))
                exp_avg_sqs.append(torch.zeros_like(p))
                if amsgrad:
                    max_exp_avg_sqs.append(torch.zeros_like(p))
        correction1 = 1 - beta1**step
        correction2 = math.sqrt(1 - beta2**step)
        for i in range(len(params)):
            p = params[i]
            g = -grads[i] if maximize else grads[i]
            if weight_decay != 0:
                if decoupled:
                    p.mul_(1 - lr * weight_decay)
                else:
                    g = g.add(p, alpha=weight_decay)
            exp_avgs[i].lerp_(g, 1 - beta1)
            exp_avg_sqs[i].mul_(beta2).addcmul_(g, g.conj(), value=1 - beta2)
            if amsgrad:
                torch.maximum(max_exp_avg_sqs[i], exp_avg_sqs[i], out=max_exp_avg_sqs[i])
                denom = (max_exp_avg_sqs[i].sqrt() / correction2).add_(eps)
            else:
                denom = (exp_avg_sqs[i].sqrt() / correction2).add_(eps)
            p.addcdiv_(exp_avgs[i], denom, value=-lr / correction1)
