"""Damaged archives, and what cannot be saved: clear errors, and nothing is lost."""

from __future__ import annotations

import errno
import io
import json
import os
import random
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import safetensors
import torch
from torch import nn

import scriptmode
from scriptmode.archive.container import Entry, write_archive
from tests.archive import programs
from tests.archive.test_round_trip import saved

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def archive() -> bytes:
    """A module with weights, classes and state."""
    return saved(scriptmode.script(programs.Shop()))


def load(data: bytes):
    return scriptmode.load(io.BytesIO(data))


def entries(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as files:
        return {n: files.read(n) for n in files.namelist()}


def rewritten(files: dict[str, bytes]) -> bytes:
    """An archive whose checksums are right."""
    whole = io.BytesIO()
    write_archive(whole, [Entry(n, [d]) for n, d in files.items()])
    return whole.getvalue()


def changed(data: bytes, **values) -> bytes:
    """An archive with other values in its manifest."""
    files = entries(data)
    manifest = json.loads(files["manifest.json"])
    manifest |= values
    files["manifest.json"] = json.dumps(manifest).encode()
    return rewritten(files)


def test_the_weights_are_a_safetensors_file(archive, tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(entries(archive)["weights.safetensors"])
    sizes = json.loads(entries(archive)["manifest.json"])["storages"]
    with safetensors.safe_open(path, "pt") as file:
        assert sorted(file.keys()) == sorted(f"s{i}" for i in range(len(sizes)))
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        info = files.getinfo("weights.safetensors")
    name, extra = struct.unpack_from("<2H", archive, info.header_offset + 26)
    begin = info.header_offset + 30 + name + extra
    (length,) = struct.unpack_from("<Q", archive, begin)
    assert (begin + 8 + length) % 64 == 0


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a zip file"),
        (b"no archive at all", "not a zip file"),
        (rewritten({}), "`manifest.json`: it is missing"),
        (rewritten({"manifest.json": b"{"}), "`manifest.json`: no JSON"),
        (rewritten({"manifest.json": b"[]"}), "`manifest.json`: no object"),
        (rewritten({"manifest.json": b'{"format": 99}'}), "its format is 99"),
        (rewritten({"m/constants.pkl": b"", "m/code/x.py": b""}), "it is missing"),
    ],
)
def test_files_that_are_no_archives(data, message):
    with pytest.raises(scriptmode.ArchiveError, match=message):
        load(data)


def zipped(*names: str, method: int = zipfile.ZIP_STORED) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", method) as files:
        for name in names:
            files.writestr(zipfile.ZipInfo(name), b"x" * 99, method)
    return whole.getvalue()


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../b", "a\\b", "C:x", "a//b", "./a"])
def test_names_that_lead_elsewhere_are_refused(name):
    with pytest.raises(scriptmode.ArchiveError, match="not a name of a file"):
        load(zipped(name))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_entries_that_are_compressed_or_there_twice_are_refused():
    with pytest.raises(scriptmode.ArchiveError, match="compressed or encrypted"):
        load(zipped("a", method=zipfile.ZIP_DEFLATED))
    with pytest.raises(scriptmode.ArchiveError, match="`a`: it is there twice"):
        load(zipped("a", "a"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"storages": None}, "`storages` is no list of sizes"),
        ({"storages": [1 << 60]}, "storage s0 is not inside the file"),
        ({"tensors": {}}, "`tensors` is no list"),
        ({"tensors": []}, "there is no tensor 0"),
        ({"classes": [{"name": "os:system"}]}, "there is no class os:system here"),
        ({"classes": [{"name": "builtins:eval"}]}, "there is no class builtins:eval here"),
        ({"values": []}, "there is no value"),
        ({"values": [{"t": "tuple", "v": [{"r": 0}]}] * 99}, "there is no value 0"),
        ({"root": 7}, "its root is no module"),
        ({"methods": {}}, "its module has no methods"),
        ({"methods": {"forward": {"function": "none"}}}, "there is no function none"),
        ({"names": {}}, "the archive has nothing by the name of"),
        ({"programs": 2}, "`ir/1.ir`: it is missing"),
    ],
)
def test_manifests_that_say_something_else(archive, values, message):
    with pytest.raises(scriptmode.ArchiveError, match=message):
        load(changed(archive, **values))


def test_tensors_larger_than_their_storage_are_refused(archive):
    rows = json.loads(entries(archive)["manifest.json"])["tensors"]
    for change in ({"shape": [99, 99]}, {"stride": [1 << 62]}, {"offset": 1 << 40},
                   {"dtype": "complex128"}, {"stride": [-1, 1]}, {"shape": [1] * 99}):  # fmt: skip
        with pytest.raises(scriptmode.ArchiveError, match="tensor 0"):
            load(changed(archive, tensors=[{**rows[0], **change}, *rows[1:]]))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("aten::linear", "aten::nothing", "unknown op aten::nothing"),
        ("prim::GetAttr[name='weight']", "prim::GetAttr[name='other']", "other"),
        ("return (", "return (%x, ", "not defined|invalid IR"),
        ("-> Tensor", "-> List[int]", "invalid IR"),
        ("local('tests.", "python('os:", "nothing by the name of"),
        ("value=1", "value=tensor(saved='')", "tensors are no part"),
    ],
)
def test_programs_that_are_none(archive, old, new, message):
    files = entries(archive)
    text = files["ir/0.ir"].decode()
    assert old in text
    files["ir/0.ir"] = text.replace(old, new, 1).encode()
    with pytest.raises(scriptmode.ArchiveError, match=message):
        load(rewritten(files))


def test_programs_name_no_function_that_was_not_left_to_python():
    data = saved(scriptmode.script(programs.calls_python))
    for name in ("posix:system", "builtins:eval", "subprocess:run", "torch:load"):
        rows = json.loads(entries(data)["manifest.json"])["values"]
        for row in rows:
            if row["t"] == "function" and "in_python" in row["name"]:
                row["name"] = name
        with pytest.raises(scriptmode.ArchiveError, match="is no function that was left to Python"):
            load(changed(data, values=rows))


def test_checksums(archive):
    files = entries(archive)
    place = archive.index(files["ir/0.ir"]) + 50
    broken = archive[:place] + bytes([archive[place] ^ 1]) + archive[place + 1 :]
    with pytest.raises(scriptmode.ArchiveError, match="`ir/0.ir`: its checksum is wrong"):
        load(broken)
    place = archive.index(files["weights.safetensors"]) + len(files["weights.safetensors"]) - 70
    broken = archive[:place] + bytes([archive[place] ^ 1]) + archive[place + 1 :]
    load(broken)
    with pytest.raises(scriptmode.ArchiveError, match="`weights.safetensors`: its checksum"):
        scriptmode.load(io.BytesIO(broken), verify=True)


def test_mutants_load_or_say_what_is_wrong(archive):
    rng = random.Random(7)
    files = entries(archive)
    for number in range(2500):
        if number % 2:  # anywhere in the file
            data = bytearray(archive)
            for _ in range(rng.randint(1, 4)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            if number % 8 == 1:
                del data[rng.randrange(len(data)) :]
        else:  # inside of an entry, whose checksum is right
            name = rng.choice(["manifest.json", "ir/0.ir"])
            words = files[name].split(b" ")
            place = rng.randrange(len(words))
            words[place] = rng.choice([rng.choice(words), b"", b"-1", b"999999999999", b"null"])
            data = bytearray(rewritten({**files, name: b" ".join(words)}))
        try:
            load(bytes(data))
        except scriptmode.ArchiveError:
            pass


def test_what_cannot_be_saved_says_so(tmp_path):
    path = tmp_path / "old.sm"
    path.write_bytes(b"old")

    def refused(m, message):
        with pytest.raises(scriptmode.ArchiveError, match=message):
            scriptmode.save(m, path)
        assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["old.sm"]

    compiled = scriptmode.script(programs.Shop())
    refused(nn.Linear(2, 2), "a module that is not compiled")
    refused(len, "a builtin_function_or_method that is not compiled")
    refused(compiled.total, "the method Shop.total alone")
    refused(compiled.first, "Linear, which is part of a compiled module")
    refused(scriptmode.script(nn.ModuleList([nn.Tanh()])), "without a method to compile")
    refused(scriptmode.script(nn.Linear(2, 2, device="meta")), "`weight` of Linear: .* meta device")
    hooked = nn.Linear(2, 2)
    hooked.register_forward_hook(lambda m, a, r: None)
    refused(scriptmode.script(hooked), "Linear, which has hooks")
    whole = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    whole[0].register_full_backward_hook(lambda m, i, o: None)
    refused(scriptmode.script(whole), "0, which has backward hooks")
    with pytest.raises(scriptmode.ArchiveError, match="an extra file by the name of '../x'"):
        scriptmode.save(compiled, path, {"../x": ""})
    with pytest.raises(FileNotFoundError):
        scriptmode.save(compiled, tmp_path / "none" / "m.sm")
    with pytest.raises(FileNotFoundError):
        scriptmode.load(tmp_path / "none.sm")


AUDITED = """
import sys, scriptmode, torch
from scriptmode.codegen.object_cache import cache_directory

cache = str(cache_directory())
scriptmode.script(torch.nn.Linear(2, 2))(torch.ones(1, 2))  # what is made once is made
seen, opened = [], []

def hook(event, arguments):
    if event in ("exec", "compile", "import", "pickle.find_class", "marshal.loads"):
        seen.append((event, str(arguments)[:200]))
    elif event == "open" and isinstance(arguments[0], str):
        opened.append(arguments[0])
    elif event.startswith(("subprocess", "os.", "socket", "ctypes.dlopen")):
        if event not in ("os.listdir", "os.scandir", "os.rename", "os.mkdir", "os.chmod", "os.utime"):
            seen.append((event, str(arguments)[:200]))

sys.addaudithook(hook)
module = scriptmode.load(sys.argv[1])
opened = [o for o in opened if not o.startswith(cache)]  # of compiled code
assert not seen, seen
assert opened == [sys.argv[1]], opened
print(type(module.items[0]).__name__)
"""


def test_loading_imports_and_runs_nothing(archive, tmp_path):
    path, script = tmp_path / "m.sm", tmp_path / "audited.py"
    path.write_bytes(archive)
    script.write_text(AUDITED)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, str(script), str(path)], cwd=tmp_path, env=environment,
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Item\n"


_KILLED = """
import os, random, resource, signal, sys, time
import torch, scriptmode

folder = sys.argv[1]
path = os.path.join(folder, "m.sm")
modules = [scriptmode.script(torch.nn.Linear(300, 300)) for _ in range(2)]
known = []
for module in modules:
    module.save(path)
    with open(path, "rb") as file:
        known.append(file.read())
rng = random.Random(3)


def forked(run):
    child = os.fork()
    if child == 0:
        try:
            run()
        except OSError as error:
            os._exit(error.errno)
        os._exit(0)
    return child


def save_again_and_again():
    while True:
        for module in modules:
            module.save(path)


for _ in range(200):
    child = forked(save_again_and_again)
    time.sleep(rng.random() * 0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with open(path, "rb") as file:
        assert file.read() in known
left = [name for name in os.listdir(folder) if name != "m.sm"]
print("cut off:", len(left))
for name in left:
    os.unlink(os.path.join(folder, name))


def save_with_little_room():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    modules[0].save(path)


_, status = os.waitpid(forked(save_with_little_room), 0)
print("no room:", os.waitstatus_to_exitcode(status))
with open(path, "rb") as file:
    assert file.read() in known
print("beside it:", os.listdir(folder))
"""


def test_a_save_that_is_cut_off_leaves_the_old_file_or_the_new_one(tmp_path):
    """200 times by SIGKILL, and by a file that cannot grow."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, str(tmp_path)],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    cut_off, no_room, beside = done.stdout.splitlines()
    assert int(cut_off.partition(": ")[2]) > 0  # some were in the middle of it
    assert no_room == f"no room: {errno.EFBIG}" and beside == "beside it: ['m.sm']"
    loaded = scriptmode.load(tmp_path / "m.sm", verify=True)
    assert loaded(torch.ones(1, 300)).shape == (1, 300)
