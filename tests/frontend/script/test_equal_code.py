"""Functions of different files whose code objects compare equal are told apart."""

import importlib.util
import sys

import torch

import scriptmode


def load(path, text, name):
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_annotations_come_from_the_functions_own_file(tmp_path):
    one = load(tmp_path / "one.py", "def f(x: int):\n    return x\n", "equal_code_one")
    two = load(tmp_path / "two.py", "def f(x: float):\n    return x\n", "equal_code_two")
    assert one.f.__code__ == two.f.__code__
    first, second = scriptmode.script(one.f), scriptmode.script(two.f)
    assert str(first.graph.params[0].type) == "int"
    assert str(second.graph.params[0].type) == "float"
    assert second.graph.span.file.endswith("two.py")
    assert torch.is_tensor(scriptmode.script(two.f)(torch.ones(1)))
