"""``scriptmode.checkpoint``: compute again instead of keeping.

::

    def forward(self, x):
        for block in self.blocks:
            x = scriptmode.checkpoint(block, x)
        return x

In compiled code, a call by ``checkpoint`` keeps its arguments alone for the reverse program, which
runs it once more (see autodiff.recursion).  Elsewhere it is ``torch.utils.checkpoint``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch.utils.checkpoint

from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.handlers import OBJECT_CALLS
from scriptmode.frontend.script.values import Arguments, Sugared


def checkpoint(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """``function(*args, **kwargs)``, whose intermediate results are computed again in backward.

    Results and gradients are those of a plain call; random numbers are the same in both runs.
    """
    return torch.utils.checkpoint.checkpoint(function, *args, use_reentrant=False, **kwargs)


@OBJECT_CALLS(checkpoint)
def _checkpoint(e: Emitter, given: Arguments) -> Sugared:
    if not given.positional:
        e.fail_type("checkpoint() misses the function")
    function, *rest = given.positional
    block = e.builder.block
    before = set(block.nodes)
    result = e.call(function, Arguments(rest, given.keywords, given.node))
    calls = [n for n in block.nodes if n.kind == "prim::Call" and n not in before]
    if calls:
        calls[-1].attributes["checkpoint"] = True
    return result
