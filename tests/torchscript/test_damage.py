"""Files that are damaged, or made to do harm: an ArchiveError that says where, and nothing else."""

import io
import os
import pickletools
import random
import re
import resource
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
import torch

import scriptmode
from scriptmode.archive.container import Archive
from scriptmode.torchscript.pickles import PickleProblem, PickleReader
from scriptmode.torchscript.reader import read_torchscript
from tests.torchscript import modules
from tests.torchscript.alike import stored
from tests.torchscript.test_files import changed, entries, hand_made, packed

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def file():
    return stored(modules.State())


def read(data):
    """Read a file up to where native code would be made."""
    return read_torchscript(Archive(memoryview(bytearray(data)), "m.pt"), None)


def refused(data, message):
    with pytest.raises(scriptmode.ArchiveError, match=message) as caught:
        read(data)
    assert "m.pt" in str(caught.value)


# pickles


def unpickled(data):
    return PickleReader(data, lambda function, args: (function, args)).read()


def test_values_are_read_as_pickle_reads_them():
    assert unpickled(b"\x80\x02(K\x01M\x01\x02J\xff\xff\xff\xff\x8a\x01\xfeNtq\x00.") == (
        1,
        513,
        -1,
        -2,
        None,
    )
    assert unpickled(b"\x80\x02]q\x00(\x88\x89G?\xf8\x00\x00\x00\x00\x00\x00X\x02\x00\x00\x00\xc3\xa9e.") == [
        True, False, 1.5, "é",
    ]  # fmt: skip
    shared = unpickled(b"\x80\x02]q\x00h\x00\x86.")
    assert shared[0] is shared[1]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "are not there"),
        (b"\x80\x02", "are not there"),
        (b"\x80\x09.", "protocol 9"),
        (b"\x80\x02X\xff\xff\xff\xff.", "4294967295 bytes are wanted"),
        (b"\x80\x02X\x01\x00\x00\x00\xff.", "no UTF-8 text"),
        (b"\x80\x02K\x01K\x02.", "other than one value"),
        (b"\x80\x02(.", "other than one value"),
        (b"\x80\x02K\x01(e.", "a int where another"),
        (b"\x80\x02a.", "stack is empty"),
        (b"\x80\x02e.", "no mark"),
        (b"\x80\x02K\x01(K\x01K\x02u.", "where another value is wanted"),
        (b"\x80\x02}(K\x01u.", "a key without a value"),
        (b"\x80\x02}(]K\x01u.", "a list as a key"),
        (b"\x80\x02h\x07.", "nothing is remembered"),
        (b"\x80\x02\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01.", "more than 64 bits"),
        (b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.", "a call of os.system"),
        (b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R.", "a call of builtins.eval"),
        (b"\x80\x02cbuiltins\nobject\n)\x81.", "an object of builtins.object"),
        (b"\x80\x02c__torch__\nM\n)\x81}b}b.", "two states"),
        (b"\x80\x02K\x01Q.", "where another value"),
        (b"\x80\x02X\x01\x00\x00\x00x\x85Q.", "other than a storage"),
        (b"\x80\x02i", "opcode 0x69 at byte 2"),
        (b"\x80\x02ctorch\ndevice\nX\x03\x00\x00\x00xyz\x85R.", "no device"),
    ],
)  # fmt: skip
def test_pickles_that_are_none(data, message):
    with pytest.raises(PickleProblem, match=message):
        unpickled(data)


def test_a_pickle_without_an_end_does_not_take_long():
    started = time.monotonic()
    with pytest.raises(PickleProblem):
        unpickled(b"\x80\x02" + b"]q\x00h\x00a" * 200_000)
    assert time.monotonic() - started < 20


# files


@pytest.mark.parametrize(
    ("part", "content", "message"),
    [
        ("data.pkl", b"\x80\x02}.", "data.pkl.*no module"),
        ("data.pkl", b"\x80\x02c__torch__\nNone\n)\x81}b.", "there is no class __torch__.None"),
        ("data.pkl", b"\x80\x02c__torch__\nM\n)\x81.", "no module with attributes"),
        ("data.pkl", b"\x80\x02c__torch__\nM\n)\x81}b.", "without its attribute `training`"),
        ("data.pkl", b"\x80\x02c__torch__\nM\n)\x81}X\x08\x00\x00\x00trainingK\x05sb.", "a int where a bool"),
        ("constants.pkl", b"\x80\x02N.", "constants.pkl.*no tuple"),
        ("byteorder", b"big", "byteorder.*another byte order"),
        ("code/__torch__.py", b"class M(Module:\n", "__torch__.py, line 1.*no code"),
        ("code/__torch__.py", b"\xff", "codec can't decode"),
        ("code/__torch__.py", b"class M(Strange):\n  pass\n", "unknown base"),
        ("code/__torch__.py", b"(" * 100_000, "no code"),
        ("code/__torch__.py", b"x = " + b"-" * 100_000 + b"1", "no code|there is no class"),
    ],
)  # fmt: skip
def test_entries_that_are_wrong(part, content, message):
    refused(changed(hand_made("return x"), **{part: content}), message)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return y", "line 7`: `y` has no value here"),
        ("return torch.nothing(x)", "line 7`: there is no op aten::nothing"),
        ("return torch.mm(x, 3)", "no overload of aten::mm takes"),
        ("return torch.add(x, x, x, x)", "no overload of aten::add"),
        ("return __torch__.other(x, )", "there is no function __torch__.other"),
        ("return (x).method(x, )", "there is no op aten::method"),
        ("return (self).method(x, )", "has no method `method`"),
        ("return self.nothing", "has no attribute `nothing`"),
        ("self.training = x\nreturn x", "`training` is a Tensor, not a bool"),
        ("return 3", "the result is a int, not a Tensor"),
        ("pass", "ends without a result"),
        ("import os\nreturn x", "a statement of kind Import"),
        ("return eval(x)", "`eval` is not supported"),
        ("return __import__(x)", "`__import__` is not supported"),
        ("return lambda: x", "an expression of kind Lambda"),
        ("for i in x:\n  pass\nreturn x", "a loop over other than a range"),
        ("return CONSTANTS.c7", "there is no constant c7"),
        ("return torch.zeros([2], dtype=99)", "there is no dtype 99"),
        ("return annotate(__torch__.Other, x)", "there is no class __torch__.Other"),
        ("return annotate(__torch__.torch.classes.x.Y, x)", "a class of C"),
        ("while True:\n  return x\nreturn x", "a return inside of another statement"),
        ("a, b = x\nreturn a", "a Tensor is no sequence of 2"),
        ("return ops.prim.nothing(x)", "there is no op prim::nothing"),
        ("return ops.os.system(x)", "there is no op os::system"),
        ("return quantized.linear(x)", "`quantized.linear` is not known"),
        ("return self.forward", "has no attribute `forward`"),
        ("n = 99999999999999999999\nreturn x", "an expression of kind Constant"),
        ("return " + "(x,)[" * 3 + "0" + "]" * 3, "an index of a|no overload|is no|where"),
        ("return " + "torch.neg(" * 90 + "x" + ")" * 90, None),
        ("\n".join("  " * i + "if self.training:" for i in range(90)) + "\n" + "  " * 90 + "pass\nreturn x", None),
    ],
)  # fmt: skip
def test_code_that_is_wrong(body, message):
    if message is None:
        read(hand_made(body))
    else:
        refused(hand_made(body), message)


def test_quantised_tensors_are_refused():
    class Quantised(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("w", torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.w.dequantize()

    refused(stored(Quantised()), "quantised tensors are not supported")


def test_files_of_before_torch_1_4_are_refused():
    refused(packed({"m/model.json": b"{}", "m/version": b"1"}), "before torch 1.4")


def test_checksums_and_sizes(file):
    names = entries(file)
    place = file.index(names["archive/data.pkl"][:40]) + 60
    refused(file[:place] + bytes([file[place] ^ 1]) + file[place + 1 :], "data.pkl.*checksum")
    short = changed(file, **{"data/0": b""})
    refused(short, "fewer bytes than its size says")
    bomb = packed({**names, "archive/code/__torch__.py": b" " * (33 << 20)}, zipfile.ZIP_DEFLATED)
    refused(bomb, "compressed, and too large")
    large = packed(
        {**names, "archive/constants.pkl": b"\x80\x02)." + b" " * 100}, zipfile.ZIP_DEFLATED
    )
    read(large)


# mutants


def of_pickle(rng, data):
    """A pickle with other bytes, or with operations left out, doubled or exchanged."""
    places = [place for _, _, place in pickletools.genops(data)]
    parts = [data[a:b] for a, b in zip(places, [*places[1:], len(data)], strict=True)]
    at, other = rng.randrange(len(parts)), rng.randrange(len(parts))
    match rng.randrange(6):
        case 0:
            del parts[at]
        case 1:
            parts.insert(at, parts[other])
        case 2:
            parts[at], parts[other] = parts[other], parts[at]
        case 3:
            value = rng.choice([0, 1, 2**31 - 1, 2**32 - 1, 2**63 - 1])
            parts[at] = b"\x8a\x09" + struct.pack("<Q", value) + b"\x00"
        case 4:
            parts = parts[: at + 1]
        case _:
            mutant = bytearray(b"".join(parts))
            for _ in range(rng.choice([1, 1, 2, 4])):
                mutant[rng.randrange(len(mutant))] = rng.choice(
                    [0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)]
                )
            return bytes(mutant)
    return b"".join(parts)


_WORDS = re.compile(rb"\w+|\s+|.", re.DOTALL)


def of_code(rng, data):
    """Code with words left out, doubled, exchanged or replaced."""
    words = _WORDS.findall(data)
    for _ in range(rng.choice([1, 1, 2, 3])):
        at, other = rng.randrange(len(words)), rng.randrange(len(words))
        match rng.randrange(5):
            case 0:
                del words[at]
            case 1:
                words.insert(at, words[other])
            case 2:
                words[at], words[other] = words[other], words[at]
            case 3:
                words[at] = words[other]
            case _:
                words[at] = rng.choice([b"0", b"-1", b"None", b"9223372036854775807", b"self", b"Any", b"int",
                                        b"Tensor", b"torch", b"(", b"]", b"True", b"1e999", b"List[int]"])  # fmt: skip
    return b"".join(words)


def mutants(data, rng, count):
    """Damaged files, most of them with right sizes and checksums."""
    files = entries(data)
    pickles = [n for n in files if n.endswith(".pkl")]
    code = [n for n in files if n.endswith(".py")]
    for number in range(count):
        if number % 10 == 0:
            mutant = bytearray(data)
            for _ in range(rng.randint(1, 4)):
                mutant[rng.randrange(len(mutant))] = rng.randrange(256)
            if number % 20 == 0:
                del mutant[rng.randrange(len(mutant)) :]
            yield bytes(mutant)
            continue
        name = rng.choice(code if number % 2 else pickles)
        change = of_code if number % 2 else of_pickle
        yield packed({**files, name: change(rng, files[name])})


@pytest.mark.parametrize("cls", [modules.State, modules.Classes, modules.Recurrent])
def test_mutants_are_read_or_say_what_is_wrong(cls):
    data, rng = stored(cls()), random.Random(11)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    counts = {"read": 0, "refused": 0}
    for mutant in mutants(data, rng, 700):
        started = time.monotonic()
        try:
            read(mutant)
            counts["read"] += 1
        except scriptmode.ArchiveError as error:
            assert "m.pt" in str(error)
            counts["refused"] += 1
        assert time.monotonic() - started < 10
    assert min(counts.values()) > 50, counts
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KiB


def test_mutants_that_load_run_or_raise():
    data, rng = stored(modules.Lists()), random.Random(5)
    runs = 0
    for mutant in mutants(data, rng, 60):
        try:
            module = scriptmode.load(io.BytesIO(mutant))
            runs += 1
            module(modules.Y)
        except (
            scriptmode.ScriptError,
            RuntimeError,
            ArithmeticError,
            LookupError,
            TypeError,
            ValueError,
        ):
            pass
    assert runs > 5


AUDITED = """
import os, sys, tempfile
sys.path.insert(0, sys.argv[2])
import torch, scriptmode
from scriptmode.archive.container import Archive
scriptmode.script(lambda x: x + 1)(torch.ones(1))
data = open(sys.argv[1], "rb").read()
from scriptmode.torchscript.reader import read_torchscript
import ast
ast.unparse(ast.parse("x"))
read_torchscript(Archive(memoryview(bytearray(data)), "warm"), None)  # what torch imports late
seen, opened = [], []
names = set(sys.modules)

def hook(event, arguments):
    if event in ("import", "exec", "marshal.loads", "pickle.find_class", "code.__new__"):
        seen.append((event, str(arguments)[:200]))
    elif event == "compile" and arguments[1] != "<unknown>":
        seen.append((event, str(arguments)[:200]))
    elif event == "open":
        opened.append(str(arguments[0]))
    elif event.startswith(("subprocess", "os.", "socket", "ctypes.dlopen")):
        seen.append((event, str(arguments)[:200]))

sys.addaudithook(hook)
from_file = open(sys.argv[1], "rb")
with from_file as f:
    found = read_torchscript(Archive(memoryview(bytearray(f.read())), "m.pt"), None)
print(seen, len(opened), set(sys.modules) - names, type(found.root).__name__)
"""


def test_reading_imports_and_runs_nothing(file, tmp_path):
    path, script = tmp_path / "m.pt", tmp_path / "audited.py"
    path.write_bytes(file)
    script.write_text(AUDITED)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, str(script), str(path), str(ROOT / "src")], cwd=tmp_path,
        env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[] 1 set() State\n"
