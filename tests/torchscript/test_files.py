"""What else TorchScript files hold: traces, frozen modules, extra files, old versions, constants."""

import io
import zipfile

import pytest
import torch
from torch import nn

import scriptmode
from tests.torchscript import modules
from tests.torchscript.alike import assert_same, both, outcome, saved, stored
from tests.torchscript.modules import IMAGE, Y

pytestmark = pytest.mark.filterwarnings("ignore")


def entries(data):
    """The files inside of a file, by name."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {n: archive.read(n) for n in archive.namelist()}


def packed(files, compression=zipfile.ZIP_STORED):
    """A file of these."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return whole.getvalue()


def changed(data, **parts):
    """A file with other contents: ``version=b"2"``, ``code=(old, new)`` for a text of the code."""
    files = entries(data)
    for part, content in parts.items():
        if part == "code":
            old, new = content
            name = next(n for n, c in files.items() if n.endswith(".py") and old.encode() in c)
            files[name] = files[name].replace(old.encode(), new.encode())
        else:
            files[f"archive/{part}"] = content
    return packed(files)


def hand_made(body, parameters="x: Tensor", result="Tensor", version=3):
    """A file with one module whose ``forward`` has this body."""
    text = "\n".join(f"    {line}" for line in body.strip().split("\n"))
    code = (
        "class M(Module):\n  __parameters__ = []\n  __buffers__ = []\n  training : bool\n"
        f"  def forward(self: __torch__.M,\n    {parameters}) -> {result}:\n{text}\n"
    )
    data = b"\x80\x02c__torch__\nM\nq\x00)\x81}q\x01(X\x08\x00\x00\x00trainingq\x02\x88ub."
    return packed(
        {
            "archive/data.pkl": data,
            "archive/code/__torch__.py": code.encode(),
            "archive/constants.pkl": b"\x80\x02).",
            "archive/version": f"{version}\n".encode(),
        }
    )


def test_traced_module_and_function():
    network = modules.Convolutions().eval()
    traced = torch.jit.trace(network, (IMAGE,))
    for inputs in (True, False):
        file = io.BytesIO()
        module = torch.jit.trace(network, (IMAGE,), _store_inputs=inputs)
        torch.jit.save(module, file)
        ours = scriptmode.load(io.BytesIO(file.getvalue()))
        assert_same(outcome(ours, (IMAGE,)), outcome(traced, (IMAGE,)))

    def shapes(x):
        n = x.shape[0] * x.shape[1]
        return x.reshape(n) + n, x.new_zeros(x.shape[1], 2).expand(x.size(0), -1, -1)[:, 0]

    ours, theirs = both(stored(torch.jit.trace(shapes, (Y,))))
    for x in (Y, torch.rand(4, 5)):
        assert_same(outcome(ours, (x,)), outcome(theirs, (x,)))


def test_several_traced_methods():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(3, 3)

        def forward(self, x):
            return self.lin(x)

        def other(self, x, y):
            return self.lin(x) * y

    traced = torch.jit.trace_module(Two(), {"forward": Y, "other": (Y, Y)})
    ours, theirs = both(stored(traced))
    assert_same(outcome(ours, (Y,)), outcome(theirs, (Y,)))
    assert_same(outcome(ours.other, (Y, Y)), outcome(theirs.other, (Y, Y)))


@pytest.mark.parametrize("cls", [modules.Plain, modules.Convolutions, modules.Recurrent])
def test_frozen_module(cls):
    frozen = torch.jit.freeze(torch.jit.script(cls().eval()))
    ours, theirs = both(stored(frozen))
    (args,) = modules.MODULES[cls]
    assert_same(outcome(ours, args), outcome(theirs, args))
    assert not list(ours.parameters())
    again = scriptmode.load(io.BytesIO(saved(ours)))
    assert_same(outcome(again, args), outcome(theirs, args))


def test_frozen_module_with_preserved_parts():
    script = torch.jit.script(modules.State().eval())
    frozen = torch.jit.freeze(script, preserved_attrs=["texts", "count"])
    ours, theirs = both(stored(frozen))
    assert_same(outcome(ours, (Y,)), outcome(theirs, (Y,)))
    assert ours.texts("a") == theirs.texts("a") and ours.count == 1


def test_extra_files():
    data = stored(modules.Plain(), extra={"note.txt": "hällo", "a/b.bin": b"\x00\x01"})
    extra = {"note.txt": "", "a/b.bin": ""}
    scriptmode.load(io.BytesIO(data), _extra_files=extra)
    assert extra == {"note.txt": "hällo".encode(), "a/b.bin": b"\x00\x01"}
    with pytest.raises(scriptmode.ArchiveError, match=r"extra/none.*missing"):
        scriptmode.load(io.BytesIO(data), _extra_files={"none": ""})


def test_files_at_a_path_and_on_a_device(tmp_path):
    data = stored(modules.Plain())
    path = tmp_path / "model.pt"
    path.write_bytes(data)
    ours, theirs = scriptmode.load(path, map_location="cpu", verify=True), torch.jit.load(str(path))
    assert_same(outcome(ours, (Y,)), outcome(theirs, (Y,)))
    scriptmode.save(ours, tmp_path / "model.sm")
    assert_same(outcome(scriptmode.load(tmp_path / "model.sm"), (Y,)), outcome(theirs, (Y,)))
    meta = scriptmode.load(path, map_location="meta")
    assert meta.weight.device.type == "meta"


def test_compressed_entries_and_other_folders():
    files = {
        n.replace("archive/", "my model/"): c for n, c in entries(stored(modules.Plain())).items()
    }
    ours = scriptmode.load(io.BytesIO(packed(files, zipfile.ZIP_DEFLATED)))
    assert ours(Y).shape == (2, 4)


def test_every_dtype_and_stride_survives():
    class Tensors(nn.Module):
        def __init__(self):
            super().__init__()
            kinds = [torch.float64, torch.float16, torch.bfloat16, torch.uint8, torch.int8, torch.int16,
                     torch.int32, torch.int64, torch.bool, torch.complex64, torch.complex128]  # fmt: skip
            for i, kind in enumerate(kinds):
                self.register_buffer(f"b{i}", torch.arange(6).reshape(2, 3).to(kind).t())
            self.register_buffer("none", torch.empty(0, 3))
            self.register_buffer("scalar", torch.tensor(3.5))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.scalar

    ours, theirs = both(stored(Tensors()))
    for (name, a), (other, b) in zip(ours.named_buffers(), theirs.named_buffers(), strict=True):
        assert (name, a.dtype, a.stride(), a.shape) == (other, b.dtype, b.stride(), b.shape)
        assert torch.equal(a, b)


def test_custom_ops_are_found_by_name():
    data = hand_made("return ops.nowhere.thing(x)")
    with pytest.raises(scriptmode.ArchiveError, match=r"__torch__.py, line 7.*nowhere::thing"):
        scriptmode.load(io.BytesIO(data))
    library = torch.library.Library("sm_legacy", "DEF")
    library.define("double(Tensor x, int n=2) -> Tensor")
    library.impl("double", lambda x, n=2: x * n, "CompositeImplicitAutograd")
    ours = scriptmode.load(io.BytesIO(hand_made("return ops.sm_legacy.double(x, 3)")))
    assert torch.equal(ours(Y), Y * 3)


# versions

INTS = torch.tensor([7, -7, 8]), torch.tensor([2, 2, -3])
OLD = {
    "div of ints": ("return torch.div(x, y)", 3, INTS),
    "div of floats": ("return torch.div(x, y)", 3, (Y, Y + 3)),
    "div of both": ("return torch.div(x, y)", 3, (INTS[0], torch.rand(3))),
    "div by an int": ("return torch.div(x, 2)", 3, INTS),
    "div by a float": ("return torch.div(x, 2.5)", 3, INTS),
    "div in place": ("return torch.div_(x, y)", 3, INTS),
    "div in place by a number": ("return torch.div_(x, 3)", 3, INTS),
    "div today": ("return torch.div(x, y)", 4, INTS),
    "div of item": ("return torch.div(x, torch.item(torch.select(y, 0, 0)))", 3, INTS),
    "full of int": ("return torch.full([2], 3)", 4, INTS),
    "full of bool": ("return torch.full([2], True)", 4, INTS),
    "full with dtype": ("return torch.full([2], 3, dtype=4)", 4, INTS),
    "full with no dtype": ("return torch.full([2], 3, dtype=None)", 4, INTS),
    "full today": ("return torch.full([2], 3)", 5, INTS),
    "linspace": ("return torch.linspace(0, 1)", 7, INTS),
    "linspace with steps": ("return torch.linspace(0, 1, 5)", 7, INTS),
    "linspace without": ("return torch.linspace(0, 1, None, dtype=6)", 7, INTS),
    "logspace": ("return torch.logspace(0, 1)", 8, INTS),
    "logspace with base": ("return torch.logspace(0, 1, None, 2.)", 8, INTS),
    "gelu": ("return torch.gelu(x)", 9, (Y, Y)),
    "gelu today": ('return torch.gelu(x, approximate="tanh")', 10, (Y, Y)),
}  # fmt: skip


@pytest.mark.parametrize("name", OLD)
def test_old_ops_mean_what_they_meant(name):
    body, version, args = OLD[name]
    data = hand_made(body, "x: Tensor,\n    y: Tensor", version=version)
    ours, theirs = both(data)
    assert_same(outcome(ours, args), outcome(theirs, args))


def test_the_version_stands_in_two_places():
    data = hand_made("return torch.div(x, 2)", version=3)
    assert scriptmode.load(io.BytesIO(data))(INTS[0]).dtype == torch.int64
    newer = changed(data, **{".data/version": b"6\n"})
    assert scriptmode.load(io.BytesIO(newer))(INTS[0]).dtype == torch.float32


@pytest.mark.parametrize(
    ("version", "message"),
    [(b"11\n", "version 11 is newer than 10"), (b"0", "too old"), (b"x", "no version"), (b"", "no version"),
     (b"99999999999", "no version"), (b"-1", "no version")],
)  # fmt: skip
def test_other_versions_are_refused(version, message):
    data = changed(hand_made("return x"), version=version)
    with pytest.raises(scriptmode.ArchiveError, match=message):
        scriptmode.load(io.BytesIO(data))


def test_code_of_old_printers():
    body = """
_0 = ops.prim.NumToTensor(torch.size(x, 0))
_1 = torch.mul(_0, CONSTANTS.c0)
n = ops.prim.unchecked_unwrap_optional(y)
if ops.prim.is_cuda(x):
  z = torch.add(x, 1, 1)
else:
  z = torch.add(x, n, alpha=2)
return torch.add(z, int(_1), alpha=1)
"""
    data = hand_made(body, "x: Tensor,\n    y: Optional[int]=3", version=1)
    constants = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nq\x00((X\x07\x00\x00\x00storageq\x01ctorch\nLongStorage\nq\x02X\x01\x00\x00\x000q\x03X\x03\x00\x00\x00cpuq\x04K\x01tq\x05QK\x00))\x89ccollections\nOrderedDict\nq\x06)Rtq\x07R\x85."
    data = changed(data, **{"constants.pkl": constants, "constants/0": (5).to_bytes(8, "little")})
    data = changed(data, code=("class M(Module)", "op_version_set = 1\nclass M(Module)"))
    data = changed(data, code=("  __buffers__ = []\n", ""))
    ours, theirs = both(data)
    for args in ((Y,), (Y, 4)):
        assert_same(outcome(ours, args), outcome(theirs, args))
