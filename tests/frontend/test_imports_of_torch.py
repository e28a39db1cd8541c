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


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.table = torch.nn.Embedding(7, 8)
        self.linear = torch.nn.Linear(8, 8)
        self.norm = torch.nn.LayerNorm(8)

    def forward(self, tokens):
        x = self.table(tokens)
        h = torch.zeros_like(x[0])
        found = []
        for t in range(x.size(0)):
            h = torch.tanh(self.linear(self.norm(x[t] + h)))
            a, b = h.chunk(2, -1)
            found.append(torch.softmax((a @ b.t()).masked_fill(h[:, :1] > 9, 0.0), -1))
        return torch.stack(found), torch.cat([h, h * 2]).std()


with torch.no_grad():
    model = Model()
    tokens = torch.arange(6).reshape(3, 2)
    special = scriptmode.specialize(scriptmode.script(model), (tokens,))
    pairs = zip(special(tokens), model(tokens), strict=True)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in pairs)
    assert special.versions[0].hits == 1
print([name for name in ("torch._dynamo", "torch._inductor", "sympy") if name in sys.modules])
"""


def test_neither_front_ends_nor_special_code_import_the_compiler_of_torch(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr
