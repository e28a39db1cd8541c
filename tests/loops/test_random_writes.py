"""Random programs that write tensors in place, through views, in branches and loops."""

from __future__ import annotations

import importlib.util
import os
import random

import pytest
import torch

from tests.loops.specialized import Specialized

PROGRAMS = 24
NATIVE = 6  # of them are compiled as well


class Writer:
    """Writes one function of two matrices, a row and two numbers."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.lines: list[str] = []
        self.fresh = 0

    def pick(self, *of: str) -> str:
        return self.chance.choice(of)

    def tensor(self, depth: int = 2) -> str:
        """A tensor of two rows and three columns."""
        leaves = ["x", "y", "z", "(w.expand(2, 3) + 0)", "(x * 1)", "y.flip(1)", "z[[1, 0]]"]
        if depth == 0 or self.chance.random() < 0.3:
            return self.pick(*leaves)
        a, b = self.tensor(depth - 1), self.tensor(depth - 1)
        return self.pick(
            f"({a} + {b})", f"({a} * 0.5 - {b})", f"torch.tanh({a})", f"torch.maximum({a}, {b})",
            f"torch.where({a} > 0, {a}, {b})", f"({a} + {self.number()})", f"torch.softmax({a}, 1)",
            f"({a} + {b}[:1])", f"({a} - {b}.sum(1, True))", f"{a}.clamp(-2, 2)",
        )  # fmt: skip

    def number(self) -> str:
        return self.pick(
            "1", "0.5", "k", "i", "float(x[0, 1])", "float(w.sum())", "float(y[1, 2])",
            "float(z.max())",
        )  # fmt: skip

    def row(self) -> str:
        return self.pick("x[0]", "y[1]", "w", "z[k % 2]", "x.t()[1:, 0].sum() * w", "y.mean(0)")

    def write(self) -> str:
        target = self.pick("x", "y", "z")
        return self.pick(
            f"{target}.add_({self.tensor()})",
            f"{target}.mul_({self.number()})",
            f"{target}.copy_({self.tensor()})",
            f"{target}[{self.pick('0', '1', 'k % 2')}] = {self.row()}",
            f"{target}[:, {self.pick('0', '2')}] = {self.number()}",
            f"{target}.t()[1].sub_({self.number()})",
            f"{target}[1, 2] = {self.number()}",
            f"{target}[0].copy_({self.row()})",
            f"w.add_({self.row()})",
            f"{target}.clamp_(-3, 3)",
            f"{target} = {self.tensor()}",
            f"{target} = {self.pick('x', 'y', 'z')}",
            f"{target} = {self.pick('x', 'y', 'z')} + 0",
            f"k += {self.pick('1', '2')}",
            f"s += {self.number()}",
        )

    def condition(self) -> str:
        return self.pick(
            "k > 2", "k % 2 == 0", "n > i", "x.sum() > 0", "s > 0", "float(w[0]) < 0.5"
        )

    def block(self, indent: str, depth: int, in_loop: bool) -> None:
        for _ in range(self.chance.randint(1, 4)):
            kind = self.chance.random()
            if kind < 0.2 and depth:
                self.lines.append(f"{indent}if {self.condition()}:")
                self.block(indent + "    ", depth - 1, in_loop)
                if self.chance.random() < 0.4:
                    self.lines.append(f"{indent}else:")
                    self.block(indent + "    ", depth - 1, in_loop)
            elif kind < 0.35 and depth:
                self.lines.append(f"{indent}for i in range({self.pick('n', '2', '3')}):")
                self.block(indent + "    ", depth - 1, True)
            elif kind < 0.45:
                leave = ["return x + y, z, w, k, s"] + ["break", "continue"] * 2 * in_loop
                self.lines.append(f"{indent}if {self.condition()}:")
                self.lines.append(f"{indent}    {self.pick(*leave)}")
            else:
                self.lines.append(indent + self.write())

    def function(self, name: str) -> str:
        self.lines = [
            f"def {name}(x: torch.Tensor, y: torch.Tensor, w: torch.Tensor, n: int):",
            "    i, k, s = 0, n, 0.0",
            "    z = x * 2 - y",
        ]
        self.block("    ", 3, False)
        self.block("    ", 3, False)
        self.lines.append("    return x + y, z, w, k, s")
        return "\n".join(self.lines) + "\n\n\n"


def written(seed: int, tmp_path):
    """The functions of a seed, from a file, which the front end reads."""
    writer = Writer(random.Random(seed))
    text = "".join(writer.function(f"f{number}") for number in range(PROGRAMS))
    path = tmp_path / f"random_writes_{seed}.py"
    path.write_text("import torch\n\n\n" + text)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return [getattr(module, f"f{number}") for number in range(PROGRAMS)], path.read_text()


def arguments(number: int):
    chance = torch.Generator().manual_seed(number)
    return [
        torch.randn(2, 3, generator=chance), torch.randn(2, 3, generator=chance),
        torch.randn(3, generator=chance), number % 4,
    ]  # fmt: skip


def outcome(run, number):
    """What is returned or raised, and what is in the arguments afterwards."""
    given = arguments(number)
    try:
        found = run(*given)
    except (RuntimeError, IndexError) as error:
        found = type(error).__name__
    return found, given[:3]


def check(function, text, is_native):
    special = Specialized(function, arguments(0))
    for number in range(4):
        want = outcome(function, number)
        for run in [special.interpret, *([special.run] if is_native else [])]:
            found = outcome(run, number)
            assert type(found[0]) is type(want[0]), text
            if isinstance(want[0], str):
                assert found[0] == want[0]
            else:
                torch.testing.assert_close(found[0], want[0], equal_nan=True, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(found[1], want[1], equal_nan=True, rtol=1e-4, atol=1e-5)
    return special.graph.find_all("prim::Region")


@pytest.mark.parametrize("part", range(2))
def test_memory_afterwards_is_eagers(part, tmp_path):
    seed = int(os.environ["SCRIPTMODE_TEST_SEED"]) + part
    functions, text = written(seed, tmp_path)
    regions = [check(f, text, number < NATIVE) for number, f in enumerate(functions)]
    assert any(regions)
