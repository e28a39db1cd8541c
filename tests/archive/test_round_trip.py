"""What is saved and loaded does what it did, here and in a process that lacks its source."""

from __future__ import annotations

import copy
import io
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import scriptmode
from tests.archive import programs
from tests.archive.programs import Branches, Item, Key, Mode, Node, Shop, Whole
from tests.fourway import compare, outcome

ROOT = Path(__file__).parents[2]


def saved(m, **extra):
    """The bytes of an archive."""
    whole = io.BytesIO()
    scriptmode.save(m, whole, extra)
    return whole.getvalue()


def loaded(data: bytes):
    """What the bytes hold."""
    return scriptmode.load(io.BytesIO(data))


def same_calls(compiled, back, *argument_sets):
    for arguments in argument_sets:
        want = outcome(compiled, copy.deepcopy(arguments))
        compare(want, outcome(back, copy.deepcopy(arguments)), "loaded")


X = torch.linspace(-1, 1, 6).reshape(2, 3)
CALLS = {
    "gated": [(X,), (X, 1), (X, 5)],
    "containers": [([[1, 2], [3]], "x"), ([], 7), ([[5], [5]], 1)],
    "recursive": [(10,)],
    "constants": [(torch.ones(4),)],
    "calls_python": [(torch.ones(2), "aé漢")],
    "of_functions": [(1,), (5,)],
}


@pytest.mark.parametrize("name", CALLS)
def test_functions(name):
    compiled = scriptmode.script(getattr(programs, name))
    for arguments in CALLS[name]:
        compiled(*copy.deepcopy(arguments))
    data = saved(compiled)
    back = loaded(data)
    same_calls(compiled, back, *CALLS[name])
    assert back.schema == compiled.schema and "def " in back.code
    assert back.__name__ == name and back.__doc__ == compiled.__doc__
    assert saved(compiled) == data and saved(back) == data


def test_functions_that_were_compiled_for_several_types():
    def twice(x):
        return x + x

    compiled = scriptmode.script(twice)
    wants = [compiled(x) for x in (X, 3, "ab", [1])]
    data = saved(compiled)
    back = loaded(data)
    assert saved(back) == data
    assert torch.equal(back(X), wants[0]) and [back(x) for x in (3, "ab", [1])] == wants[1:]
    with pytest.raises(scriptmode.ArgumentError, match="the archive has no program of"):
        back({"a": 1})


def test_functions_that_have_seen_instances_with_other_attributes():
    ring = Node(1, None)
    ring.next = ring
    compiled = scriptmode.script(programs.values_of)
    calls = [(ring,), (Node(1, Node(2, None)),), (Node(3, None),)]
    for arguments in calls[:2]:
        compiled(*arguments)
    back = loaded(saved(compiled))
    same_calls(compiled, back, *calls)
    back = loaded(saved(compiled))
    same_calls(compiled, back, *calls[::-1])

    class Other(Node):
        pass

    with pytest.raises(scriptmode.ScriptError, match="knows instances of these classes"):
        back(Other(1, None))


def test_keywords_and_defaults():
    back = loaded(saved(scriptmode.script(programs.gated)))
    assert torch.equal(back(x=X, word="down"), programs.gated(X, word="down"))
    with pytest.raises(scriptmode.ArgumentError, match="unexpected keyword"):
        back(X, other=1)


def test_instances_of_classes_that_are_here_are_theirs():
    back = loaded(saved(scriptmode.script(programs.instances)))
    node = Node(1, Node(2))
    made, pair, key, mode = back(node, Key(5, 1), Mode.EXACT)
    assert type(made) is Node and made.next is node and node.value == 6 and node.next.value == 7
    assert type(pair) is programs.Pair and pair.second == 2 and key == Key(2, 0)
    assert mode is Mode.FAST
    with pytest.raises(programs.Wrong, match="after 2") as caught:
        back(node, Key(5, 1), Mode.FAST)
    assert caught.value.code == 2


def test_modules_with_state():
    compiled = scriptmode.script(Shop())
    compiled(X, ["a", "bc"])
    data = saved(compiled)
    back = loaded(data)
    assert saved(compiled) == data and saved(back) == data
    for module in (compiled, back):
        module(X, ["def"])
    assert back.items == compiled.items and type(back.items[0]) is Item
    assert back.last is back.items[-1] and back.by_key == compiled.by_key
    assert back.recent == compiled.recent and back.recent.maxlen == 3
    assert back.mode is Mode.EXACT and back.level is programs.Level.HIGH
    assert back.total(2, key=Key(0, 1)) == compiled.total(2, key=Key(0, 1))
    assert back.first is back.layers[1] and back.first.weight is back.layers[1].weight
    assert back.weight.stride() == (1, 3) and back.missing is None and back.scale == 2.5
    want, got = compiled.state_dict(), back.state_dict()
    assert (
        list(want) == list(got)
        and "passing" not in got
        and torch.equal(back.passing, torch.ones(2))
    )
    for name in want:
        assert torch.equal(want[name], got[name])
    assert [n for n, _ in back.named_parameters()] == [n for n, _ in compiled.named_parameters()]
    assert str(back) == str(compiled)
    assert back.eval() is back and back.training is False and compiled.training is True


def test_a_loaded_module_trains_as_the_saved_one():
    torch.manual_seed(0)
    compiled = scriptmode.script(Shop())
    back = loaded(saved(compiled))
    losses = []
    for module in (compiled, back):
        optimizer = torch.optim.SGD(module.parameters(), lr=0.01)
        for _ in range(3):
            optimizer.zero_grad()
            loss = module(X, [])[0].square().sum()
            loss.backward()
            optimizer.step()
        losses.append(loss.item())
    assert losses[0] == losses[1]


def test_recordings():
    given = {"a": torch.ones(2), "b": torch.zeros(2)}
    compiled = scriptmode.trace(programs.recorded, (given, 2.0))
    data = saved(compiled)
    back = loaded(data)
    assert type(back) is scriptmode.TracedFunction and saved(back) == data
    same_calls(compiled, back, ({"a": torch.randn(2), "b": torch.randn(2)}, 3.0))
    with pytest.raises(scriptmode.ArgumentError, match="keys 'a', 'b' were traced"):
        back({"a": torch.ones(2)}, 1.0)
    module = scriptmode.trace(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).eval(), (X,))
    again = loaded(saved(module))
    assert type(again) is scriptmode.TracedModule and again.frozen == module.frozen
    same_calls(module, again, (X,), (X[:1],))


def test_a_recording_inside_of_a_script():
    compiled = scriptmode.script(Branches())
    same_calls(compiled, loaded(saved(compiled)), (X,), (X + 2,), (-X - 2,))


def test_loaded_functions_and_modules_inside_of_programs():
    gated = loaded(saved(scriptmode.script(programs.gated)))
    whole = loaded(saved(scriptmode.script(Whole())))

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.whole = whole

        def forward(self, x: torch.Tensor):
            return gated(self.whole(x)) + gated(x, 3)

    outer = Outer()
    scripted, traced = scriptmode.script(outer), scriptmode.trace(outer, (X,))
    for compiled in (scripted, traced, loaded(saved(scripted)), loaded(saved(traced))):
        same_calls(outer, compiled, (X,), (X + 1,))


def test_properties_are_not_computed_by_saving_and_loading():
    for calls in (0, 1):
        eager, compiled = programs.Computing(), scriptmode.script(programs.Computing())
        for _ in range(calls):
            eager(X), compiled(X)
        data = saved(compiled)
        back = loaded(data)
        assert saved(back) == data and compiled.computed == back.computed == calls
        same_calls(eager, back, (X,))


def test_a_module_without_source_inside_of_a_program_says_so(monkeypatch):
    data = saved(scriptmode.script(Whole()))
    monkeypatch.delattr(programs, "Whole")
    monkeypatch.delattr(programs, "Scaled")
    whole = loaded(data)

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.whole = whole

        def forward(self, x: torch.Tensor):
            return self.whole(x)

    with pytest.raises(scriptmode.ScriptError, match="loaded from an archive"):
        scriptmode.script(Outer())(X)


def test_submodules_are_called_alone_and_keep_their_state():
    compiled = scriptmode.script(Whole())
    compiled.part.times = 5
    data = saved(compiled)
    back = loaded(data)
    assert saved(back) == data
    same_calls(compiled, back, (X,))
    same_calls(compiled.part, back.part, (X,), (X, 2))
    same_calls(compiled.other, back.other, (X,), (X, 2))
    assert (back.part.times, tuple.__len__(back.part.terms)) == (5, 2)
    compiled.part.times = back.part.times = 7
    same_calls(compiled, back, (X,))
    with pytest.raises(AttributeError, match="no attribute 'backward'"):
        back.other.backward(X)


def test_dtypes_strides_and_shared_storages():
    class Holder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            whole = torch.arange(20, dtype=torch.float32)
            self.register_buffer("part", whole[3:9].view(2, 3).t())
            self.register_buffer("again", whole[5:7])
            self.register_buffer("empty", torch.empty(0, 3, dtype=torch.bfloat16))
            self.register_buffer("number", torch.tensor(7, dtype=torch.int8))
            for dtype in (torch.bool, torch.complex128, torch.float16, torch.uint8):
                self.register_buffer(str(dtype)[6:], torch.ones(3).to(dtype))
            self.register_buffer("turned", torch.tensor([1 + 2j, 3]).conj())
            self.register_buffer("wide", torch.tensor([1.5]).expand(4))

        def forward(self):
            self.again.add_(1)
            return self.part, self.wide

    compiled = scriptmode.script(Holder())
    back = loaded(saved(compiled))
    for name, want in compiled.named_buffers():
        got = getattr(back, name)
        assert got.dtype == want.dtype and torch.equal(got, want), name
        assert got.stride() == want.stride() or want.is_conj(), name
    assert torch.equal(back()[0], compiled()[0])
    assert back.part.untyped_storage().data_ptr() == back.again.untyped_storage().data_ptr()
    assert back.wide.untyped_storage().nbytes() == 4


def test_pickle_copies_and_methods_of_the_objects(tmp_path):
    compiled = scriptmode.script(Shop())
    again = pickle.loads(pickle.dumps(compiled))
    copied = copy.deepcopy(again)
    function = pickle.loads(pickle.dumps(scriptmode.script(programs.gated)))
    want = compiled(X, ["a"])
    assert torch.equal(again(X, ["a"])[0], want[0]) and torch.equal(copied(X, ["a"])[0], want[0])
    assert torch.equal(function(X), programs.gated(X))
    compiled.save(tmp_path / "m.sm")
    assert (tmp_path / "m.sm").read_bytes() == compiled.save_to_buffer()
    assert os.listdir(tmp_path) == ["m.sm"]


def test_extra_files_and_map_location(tmp_path):
    path = str(tmp_path / "f.sm")
    scriptmode.save(scriptmode.script(programs.gated), path, {"a.txt": "é", "b/c.bin": b"\0"})
    extra = {"a.txt": "", "b/c.bin": ""}
    back = scriptmode.load(path, map_location="cpu", _extra_files=extra, verify=True)
    assert extra == {"a.txt": "é".encode(), "b/c.bin": b"\0"}
    assert torch.equal(back(X), programs.gated(X))
    with pytest.raises(scriptmode.ArchiveError, match="`extra/none`: it is missing"):
        scriptmode.load(path, _extra_files={"none": ""})


def test_changes_of_a_mapped_tensor_do_not_reach_the_file(tmp_path):
    path = tmp_path / "m.sm"
    scriptmode.save(scriptmode.script(nn.Linear(3, 3)), path)
    before = path.read_bytes()
    back = scriptmode.load(path)
    with torch.no_grad():
        back.weight.zero_()
    assert path.read_bytes() == before
    assert scriptmode.load(path).weight.abs().sum() > 0


CHILD = """
import sys, torch, scriptmode

assert not any(name.startswith("tests") for name in sys.modules)
x = torch.linspace(-1, 1, 6).reshape(2, 3)
shop = scriptmode.load(sys.argv[1] + "/shop.sm")
result, lengths = shop(x, ["def"])
instances = scriptmode.load(sys.argv[1] + "/instances.sm")
item = shop.items[0]
assert type(item).__name__ == "Item" and repr(item) == "Item(price=1, name='item')"
key = next(iter(shop.by_key))
assert shop.total(2, key=key) > 0 and key < type(key)(7, 7) and hash(key) == hash(type(key)(0, 1))
node, pair, made, mode = instances(*torch.load(sys.argv[1] + "/no", weights_only=True) or ()) \
    if len(sys.argv) > 2 else (None,) * 4
torch.save({"result": result.detach(), "lengths": lengths, "state": shop.state_dict(),
            "total": shop.total(), "mode": shop.mode.name, "level": int(shop.level)},
           sys.argv[1] + "/got.pt")
assert scriptmode.bailout_count() == 0
shop.save(sys.argv[1] + "/again.sm")
"""


def test_another_process_without_the_source(tmp_path):
    torch.manual_seed(1)
    compiled = scriptmode.script(Shop())
    compiled.save(tmp_path / "shop.sm")
    scriptmode.save(scriptmode.script(programs.instances), tmp_path / "instances.sm")
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)], cwd=tmp_path, env=environment,
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    got = torch.load(tmp_path / "got.pt", weights_only=True)
    result, lengths = compiled(X, ["def"])
    assert torch.equal(got["result"], result) and got["lengths"] == lengths
    assert got["total"] == compiled.total() and (got["mode"], got["level"]) == ("EXACT", 5)
    for name, want in compiled.state_dict().items():
        assert torch.equal(got["state"][name], want)
    assert scriptmode.load(tmp_path / "again.sm").items == compiled.items


def test_classes_that_are_not_here_are_made(monkeypatch):
    data = saved(scriptmode.script(programs.instances))
    for name in ("Node", "Key", "Pair", "Mode", "Wrong"):
        monkeypatch.delattr(programs, name)
    back = loaded(data)
    types = {t.original_name: t.python_class for t in back.__scriptmode_ir__()[0].classes.values()}
    node_class, key_class = types["Node"], types["Key"]
    assert node_class is not Node and node_class.__qualname__ == "Node"
    mode_class = next(iter(back.__scriptmode_ir__()[0].enums.values())).python_class
    node, inner = object.__new__(node_class), object.__new__(node_class)
    inner.value, inner.next = 2, None
    node.value, node.next = 1, inner
    made, pair, key, mode = back(node, key_class(5, 1), mode_class["EXACT"])
    assert type(made) is node_class and made.next is node and node.value == 6
    assert (
        pair._fields == ("first", "second") and pair.second == 2 and pair._replace(second=3)[1] == 3
    )
    assert key == key_class(2, 0) and mode is mode_class["FAST"]
    with pytest.raises(ValueError, match="after 2") as caught:
        back(node, key_class(5, 1), mode)
    assert type(caught.value).__name__ == "Wrong" and caught.value.code == 2
    assert type(loaded(data)(node, key_class(5, 1), mode_class["EXACT"])[0]) is node_class
    assert saved(back) == data
