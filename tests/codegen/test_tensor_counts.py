"""Native retain and release of tensors agree with libtorch's counts."""

import ctypes
import gc
import threading
import weakref

import pytest
import torch

from scriptmode.abi.libtorch import symbol
from scriptmode.codegen import tensors
from scriptmode.codegen.engine import address_of_symbol, thunks
from tests.abi.native_values import Caller, schema_of, wrap_tensor

pytestmark = pytest.mark.takes_handles


@pytest.fixture(scope="module")
def native():
    thunks.get([schema_of(torch.ops.aten.add.Tensor)])
    word = ctypes.c_void_p

    def function(name, *arguments):
        return ctypes.CFUNCTYPE(None, *arguments)(address_of_symbol(name))

    return {
        tensors.RETAIN: function(tensors.RETAIN, word),
        tensors.RELEASE: function(tensors.RELEASE, word),
        tensors.RELEASE_MANY: function(tensors.RELEASE_MANY, word, ctypes.c_int64),
    }


def counts(tensor: torch.Tensor) -> int:
    return ctypes.c_uint64.from_address(tensor._cdata + 8).value


def test_retain_and_release_a_python_tensor(native) -> None:
    tensor = torch.ones(2)
    before = counts(tensor)
    for times in (1, 2, 3):
        for _ in range(times):
            native[tensors.RETAIN](tensor._cdata)
        assert counts(tensor) == before + times
        for _ in range(times):
            native[tensors.RELEASE](tensor._cdata)
        assert counts(tensor) == before


def test_a_retained_tensor_keeps_its_python_object_alive(native) -> None:
    tensor = torch.ones(2)
    tensor.mark = "kept"
    impl = tensor._cdata
    native[tensors.RETAIN](impl)
    alive = weakref.ref(tensor)
    del tensor
    gc.collect()
    again = wrap_tensor(impl)
    assert again.mark == "kept" and alive() is again
    del again
    gc.collect()
    assert alive() is None


def test_the_last_release_frees_the_tensor(native) -> None:
    freed = []
    tensor = torch.ones(2)
    storage = weakref.finalize(tensor.untyped_storage(), freed.append, 1)
    native[tensors.RETAIN](tensor._cdata)
    impl = tensor._cdata
    del tensor
    native[tensors.RELEASE](impl)
    gc.collect()
    assert not storage.alive


def test_the_undefined_tensor_is_never_counted(native) -> None:
    undefined = symbol(tensors.UNDEFINED)
    before = ctypes.c_uint64.from_address(undefined + 8).value
    native[tensors.RETAIN](undefined)
    native[tensors.RELEASE](undefined)
    native[tensors.RELEASE](undefined)
    assert ctypes.c_uint64.from_address(undefined + 8).value == before


def test_release_many_skips_null_and_clears_the_slots(native) -> None:
    tensor = torch.ones(2)
    before = counts(tensor)
    slots = (ctypes.c_uint64 * 3)(tensor._cdata, 0, tensor._cdata)
    native[tensors.RETAIN](tensor._cdata)
    native[tensors.RETAIN](tensor._cdata)
    native[tensors.RELEASE_MANY](ctypes.addressof(slots), 3)
    assert counts(tensor) == before and list(slots) == [0, 0, 0]


def test_threads_retain_and_release_the_same_tensor(native) -> None:
    tensor = torch.ones(2)
    before = counts(tensor)

    def work() -> None:
        for _ in range(3000):
            native[tensors.RETAIN](tensor._cdata)
            native[tensors.RELEASE](tensor._cdata)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts(tensor) == before


def test_an_unwrapped_result_is_freed_by_its_release(native) -> None:
    caller = Caller(torch.ops.aten.add.Tensor)
    source = torch.ones(1 << 20)

    def resident() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096

    ctx = (ctypes.c_int64 * 16)()
    arguments = caller.bind(source, source)
    before = 0
    for step in range(60):
        status, results = caller.raw(ctx, arguments)
        assert status == 0
        native[tensors.RELEASE](results[0][0])
        if step == 20:
            before = resident()
    assert resident() - before < 16 << 20
