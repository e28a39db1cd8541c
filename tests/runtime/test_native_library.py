"""Building, caching and loading the native library; descriptors, enum members, exception cells."""

from __future__ import annotations

import ctypes
import enum
import threading

import llvmlite.binding as llvm
import pytest
import torch

from scriptmode.abi import layouts, objects
from scriptmode.ir import types as T
from scriptmode.ir.type_parser import parse_type
from scriptmode.runtime import descriptors, errors, nativelib
from scriptmode.runtime.native import unicode
from tests.runtime.natives import Slot, no_leaks, op, raw, word


def test_every_function_is_a_symbol_with_a_signature():
    nativelib.ensure_loaded()
    for name in nativelib.functions():
        assert llvm.address_of_symbol(name) == nativelib.address(name)
        assert nativelib.signature(name).return_type is not None
    with pytest.raises(KeyError):
        nativelib.signature("sm_no_such_function")


def test_object_code_comes_from_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SCRIPTMODE_CACHE_DIR", str(tmp_path))
    made = []
    monkeypatch.setattr(
        nativelib.engine, "compile_object", lambda *a, **k: made.append(1) or b"code"
    )
    monkeypatch.setattr(nativelib, "build", lambda: "")
    assert [nativelib.object_code() for _ in range(3)] == [b"code"] * 3
    assert made == [1]
    for path in tmp_path.rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert nativelib.object_code() == b"code"
    assert made == [1, 1]


def test_descriptors_are_interned_and_named():
    for text in (
        "int",
        "List[Tensor]",
        "Dict[str, Tuple[int, Optional[float]]]",
        "Tuple[bool, int, None]",
        "number",
    ):
        t = parse_type(text)
        address = descriptors.descriptor(t)
        assert descriptors.descriptor(parse_type(text)) == address
        assert llvm.address_of_symbol(layouts.descriptor_symbol(t)) == address
        assert descriptors.type_of(address) == t
        assert word(address + objects.DESC_SIZE) == layouts.size_of(t)
        assert word(address + objects.DESC_DROP) == nativelib.address("sm_slot_drop")


def test_a_class_may_contain_itself():
    node = T.ClassType("tests.Node")
    node.attributes.update(value=T.INT, next=T.optional_of(node), items=T.ListType([node]))
    address = descriptors.descriptor(node)
    assert word(address + objects.DESC_N_CHILDREN) == 3
    assert word(address + objects.DESC_OBJECT_SIZE) == 16 + 24
    with no_leaks():
        chain = 0
        for i in range(200_000):
            n = raw("sm_object_new")(40, address)
            for offset, value in ((16, i), (24, chain or 0), (32, 0)):
                ctypes.c_int64.from_address(n + offset).value = value
            ctypes.c_int64.from_address(n + 32).value = raw("sm_list_new")(
                descriptors.descriptor(T.ListType([node])), 0
            )
            chain = n
        raw("sm_release")(chain)
    other = T.ClassType("tests.Node")
    assert descriptors.descriptor(other) != address


class Color(enum.Enum):
    RED = 1
    GREEN = "g"


def test_text_of_torch_values_and_enums():
    nativelib.ensure_loaded()

    def text(name, t, value):
        with Slot(t, value) as s:
            return op(f"sm_slot_{name}", s.address, descriptors.descriptor(t), returns=T.STR)

    for code, dtype in [
        (0, torch.uint8),
        (6, torch.float32),
        (11, torch.bool),
        (15, torch.bfloat16),
    ]:
        assert text("repr", T.DTYPE, code) == repr(dtype)
    for code, device in [(0xFF00, "cpu"), (0x0001, "cuda:0"), (0x0301, "cuda:3"), (0xFF0E, "meta")]:
        assert text("repr", T.DEVICE, code) == repr(torch.device(device))
        assert text("str", T.DEVICE, code) == str(torch.device(device))
    t = T.EnumType("tests.Color", {"RED": 1, "GREEN": "g"}, Color)
    member = descriptors.enum_member(t, "GREEN")
    assert descriptors.enum_member(t, "GREEN") == member
    assert text("repr", t, member) == repr(Color.GREEN)
    assert text("str", t, member) == str(Color.GREEN)
    point = T.NamedTupleType("tests.Point", ["x", "y"], [T.INT, T.STR])
    assert text("repr", point, (1, "a")) == "Point(x=1, y='a')"
    assert text("str", parse_type("List[str]"), ["a"]) == "['a']"
    assert text("repr", parse_type("Tuple[int]"), (1,)) == "(1,)"
    assert text("repr", T.TupleType([]), ()) == "()"


def test_exception_cells_hold_their_class():
    class Local(ValueError):
        pass

    assert errors.exception_symbol(ValueError) == "exc.ValueError"
    assert errors.exception_symbol(IOError) == "exc.OSError"
    symbol = errors.exception_symbol(Local)
    assert word(llvm.address_of_symbol(symbol)) == id(Local)
    assert errors.exception_class(id(Local)) is Local

    def same_name():
        class Local(ValueError):
            pass

        return Local

    Local2 = same_name()
    Local2.__qualname__ = Local.__qualname__
    other = errors.exception_symbol(Local2)
    assert other != symbol
    assert word(llvm.address_of_symbol(symbol)) == id(Local)
    assert word(llvm.address_of_symbol(other)) == id(Local2)


def test_unicode_tables_leave_out_only_empty_planes():
    for c in [*range(0x40000, 0xE0000, 7), *range(0xE1000, 0x110000, 7)]:
        s = chr(c)
        assert not (s.isprintable() or s.isalnum() or s.isspace() or ("a" + s).isidentifier()), hex(
            c
        )
        assert s.upper() == s.lower() == s
    assert unicode.ASSIGNED[0].stop == 0x40000


def test_counts_of_live_objects_are_exact_across_threads():
    t = parse_type("List[int]")

    def work():
        for _ in range(300):
            with Slot(t, [1, 2, 3]):
                pass

    with no_leaks():
        threads = [threading.Thread(target=work) for _ in range(4)]
        [x.start() for x in threads]
        [x.join() for x in threads]
