"""``scriptmode inspect``, ``convert``, ``run`` and ``export``, in this process and in one of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import warnings
from typing import Dict, List, Optional, Tuple

import numpy
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

import scriptmode
from scriptmode.cli import main


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)
        self.register_buffer("shift", torch.ones(2))

    def forward(self, x: Tensor, times: int = 1):
        if times < 0:
            raise ValueError(f"{times} times")
        return self.linear(x) * times + self.shift

    @scriptmode.export
    def both(self, x: Tensor, name: str) -> Dict[str, Tensor]:
        return {name: x, "sum": x.sum()}


def pairs(rows: List[Tuple[int, float]], of: Optional[Tensor] = None) -> List[float]:
    shift = 0.0 if of is None else float(of.sum())
    return [k * v + shift for k, v in rows]


def add_and_scale(x: Tensor, y: Tensor) -> Tensor:
    return (x + 1) * y


@pytest.fixture
def saved(tmp_path):
    """A module and a function in archives, and an input."""
    module, function = scriptmode.script(Model()), scriptmode.script(pairs)
    scriptmode.save(module, tmp_path / "model.sm")
    scriptmode.save(function, tmp_path / "pairs.sm")
    x = torch.linspace(-1, 1, 6).reshape(2, 3)
    numpy.save(tmp_path / "x.npy", x.numpy())
    return tmp_path, module, x


def test_run_with_files_and_json(saved, capsys):
    folder, module, x = saved
    out = str(folder / "y.npy")
    assert main(["run", f"{folder}/model.sm", f"{folder}/x.npy", "times=3", "--output", out]) == 0
    torch.testing.assert_close(torch.from_numpy(numpy.load(out)), module(x, 3).detach())
    out = str(folder / "both.safetensors")
    arguments = ["run", f"{folder}/model.sm", "--method", "both", "[[1, 2.5]]", '"a"']
    assert main([*arguments, "--output", out]) == 0
    found = safetensors.torch.load_file(out)
    assert found["a"].tolist() == [[1.0, 2.5]] and found["sum"] == 3.5
    assert main(["run", f"{folder}/pairs.sm", "[[2, 3], [1, 0.5]]", "of=[1, 1]"]) == 0
    assert capsys.readouterr().out == "[8.0, 2.5]\n"
    out = str(folder / "out.json")
    assert main([*arguments, "--output", out]) == 0
    assert json.loads((folder / "out.json").read_text()) == {"a": [[1.0, 2.5]], "sum": 3.5}


def test_inspect(saved, capsys):
    folder, _, _ = saved
    assert main(["inspect", f"{folder}/model.sm", "--verify"]) == 0
    text = capsys.readouterr().out
    assert "forward(x: Tensor, times: int) -> Tensor" in text
    assert "linear.weight  parameter  float32[2, 3]" in text
    assert "shift          buffer     float32[2]" in text and "weights.safetensors" in text
    assert main(["inspect", f"{folder}/model.sm", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["kind"] == "module" and facts["torch"] == torch.__version__.partition("+")[0]
    assert set(facts["methods"]) == {"forward", "both"} and len(facts["tensors"]) == 3
    assert main(["inspect", f"{folder}/pairs.sm", "--ir", "--code"]) == 0
    text = capsys.readouterr().out
    assert "prim::Loop" in text and "def " in text


def test_convert_a_torchscript_file(saved, capsys):
    folder, _, x = saved
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        old = torch.jit.script(nn.Sequential(nn.Linear(3, 2), nn.ReLU()))
        old.save(str(folder / "old.pt"))
    assert main(["inspect", f"{folder}/old.pt"]) == 0
    assert capsys.readouterr().out.startswith("TorchScript module")
    assert main(["convert", f"{folder}/old.pt", f"{folder}/new.sm"]) == 0
    torch.testing.assert_close(scriptmode.load(folder / "new.sm")(x), old(x))


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler to link with")
@pytest.mark.parametrize("more", [(), ("--standalone", "--name", "mine")])
def test_export(saved, capsys, more):
    folder, _, _ = saved
    scriptmode.save(scriptmode.script(add_and_scale), folder / "add.sm")
    status = main(
        ["export", f"{folder}/add.sm", f"{folder}/out", f"{folder}/x.npy", "[2.0]", *more]
    )
    made = capsys.readouterr().out.strip()
    assert status == 0 and made == str(
        folder / "out" / f"lib{more[-1] if more else 'add_and_scale'}.so"
    )
    names = {p.name for p in (folder / "out").iterdir()}
    assert "scriptmode.h" in names and made.rpartition("/")[2] in names


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["run", "model.sm", "nothing.npy"], 2, "cannot read"),
        (["run", "model.sm", "[1"], 2, "neither JSON nor a file"),
        (["run", "model.sm", "--method", "other", "1"], 2, "has no method other"),
        (["run", "pairs.sm", "--method", "other", "[]"], 2, "holds a function"),
        (["run", "model.sm", "x.npy", "--output", "y.txt"], 2, "y.txt: results go into .npy"),
        (["run", "model.sm", "--method", "both", "1", '"a"', "--output", "y.npy"], 2, "one tensor"),
        (["run", "model.sm", "x.npy", "-1"], 1, "ValueError: -1 times"),
        (["run", "model.sm", "x.npy", "--times", "-1"], 2, "unrecognized arguments: --times"),
        (["inspect", "model.sm", "x.npy"], 2, "unrecognized arguments: x.npy"),
        (["run", "model.sm", "x.npy", "times=-1"], 1, "ValueError: -1 times"),
        (["run", "model.sm", "times=1", "x.npy"], 2, "behind a keyword"),
        (["run", "model.sm", '"text"'], 1, "SM04"),
        (["inspect", "x.npy"], 1, "SM0702"),
        (["inspect", "nothing.sm"], 1, "nothing.sm"),
        (["convert", "model.sm", "no/folder/m.sm"], 1, "no/folder"),
    ],
)
def test_what_is_wrong(saved, monkeypatch, capsys, arguments, status, message):
    monkeypatch.chdir(saved[0])
    before = sorted(p.name for p in saved[0].iterdir())
    try:
        found = main(arguments)
    except SystemExit as error:  # argparse's, and errors of the program
        found = error.code
    captured = capsys.readouterr()
    assert (found, captured.out) == (status, "") and message in captured.err
    assert sorted(p.name for p in saved[0].iterdir()) == before


def test_in_a_process_of_its_own(saved):
    folder, module, x = saved
    command = [sys.executable, "-m", "scriptmode", "run", "model.sm", "x.npy", "2"]
    found = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == str(module(x, 2).detach())
