"""Compiling does not import what takes torch seconds."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys, torch, scriptmode
layer = torch.nn.Conv2d(1, 1, 3)
x = torch.rand(1, 1, 4, 4)
assert torch.equal(scriptmode.trace(layer, (x,))(x), layer(x))
assert torch.equal(scriptmode.script(layer)(x), layer(x))
print([name for name in ("torch._dynamo", "torch._inductor", "sympy") if name in sys.modules])
"""


def test_neither_front_end_imports_the_compiler_of_torch():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr
