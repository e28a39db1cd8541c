"""Calls: argument binding, aliases and changed containers, errors, modes, host services."""

from __future__ import annotations

import ctypes
import gc
import inspect
import sys
import traceback
import warnings

import pytest
import torch

from scriptmode.runtime import frame
from scriptmode.runtime.boundary import keeps_gil, native_calls, slow_calls, unusual_state
from tests.runtime.entries import WentSlow, alive, entry, identity, resident_bytes

ADD = """graph add(%x: Tensor, %n: int) -> Tensor:
  %one: int = prim::Constant[value=1]()
  %r: Tensor = aten::add.Scalar(%x, %n, %one)
  return (%r)
"""
THREE = """graph f(%a: int, %b: int, %c: int) -> Tuple[int, int, int]:
  %r: Tuple[int, int, int] = prim::TupleConstruct(%a, %b, %c)
  return (%r)
"""
APPEND = """graph f(%l: List[int], %m: List[int], %v: int) -> List[int]:
  list::append(%l, %v)
  return (%m)
"""


# ---- binding


def test_keywords_and_defaults():
    f = entry(THREE, defaults={"b": 20, "c": 30}, kwarg_only=("c",))
    assert f(1) == (1, 20, 30)
    assert f(1, 2) == (1, 2, 30)
    assert f(1, c=3) == (1, 20, 3)
    assert f(c=3, a=1) == (1, 20, 3)
    assert f(1, **{"".join(["", "b"]): 5}) == (1, 5, 30)
    assert slow_calls(f) == {}


@pytest.mark.parametrize(
    "args, kwargs",
    [((), {}), ((1, 2, 3), {}), ((1,), {"a": 1}), ((1,), {"z": 1}), ((1, 2, 3, 4), {})],
)
def test_wrong_arguments_go_the_slow_way(args, kwargs):
    f = entry(THREE, defaults={"b": 20, "c": 30}, kwarg_only=("c",))
    with pytest.raises(WentSlow) as caught:
        f(*args, **kwargs)
    assert caught.value.args == (args, kwargs)
    assert slow_calls(f) == {frame.REASONS[frame.REASON_ARITY]: 1}


def test_result_of_the_slow_way_is_the_result():
    f = entry(THREE, slow=lambda args, kwargs: ("slow", args, kwargs))
    assert f("a", c=1) == ("slow", ("a",), {"c": 1})


def test_many_parameters():
    names = [f"p{i}" for i in range(100)]
    types = ", ".join(f"%{n}: int" for n in names)
    f = entry(f"graph f({types}) -> int:\n  return (%p99)\n")
    assert f(*range(100)) == 99


def test_entry_is_a_builtin_with_the_name():
    f = entry(ADD)
    assert inspect.isbuiltin(f) and f.__name__ == "add"


def test_what_cpython_reads_of_an_entry_outlives_its_record():
    f = entry(ADD)
    f.__self__.__dict__.clear()  # as a collection of garbage does, before it frees the builtin
    gc.collect()
    reused = [(ctypes.c_int64 * 4)(-1, -1, -1, -1) for _ in range(1000)]
    assert f.__name__ == "add"
    del f  # freed while the memory of the record's objects belongs to others
    assert len(reused) == 1000


# ---- aliases and changes


def test_changed_list_is_changed_for_the_caller():
    f = entry(APPEND)
    x, y = [1, 2], [7]
    assert f(x, y, 3) is y
    assert x == [1, 2, 3] and y == [7]
    assert f(x, x, 4) is x and x == [1, 2, 3, 4]


def test_unchanged_elements_stay_the_same_objects():
    f = entry(
        """graph f(%l: List[str], %v: str) -> ():
  list::append(%l, %v)
  %n: None = prim::Constant[value=None]()
  return (%n)
""".replace("-> ()", "-> None")
    )
    first = "".join(["ab", "cd"])
    items = [first]
    assert f(items, "new") is None
    assert items[0] is first and items == ["abcd", "new"]


def test_nested_lists():
    f = entry(
        """graph f(%l: List[List[int]], %k: List[int]) -> List[int]:
  %zero: int = prim::Constant[value=0]()
  %i: List[int] = list::getitem(%l, %zero)
  list::append(%i, %zero)
  list::append(%l, %k)
  return (%i)
"""
    )
    inner, other = [5], [9]
    outer = [inner, inner]
    before = alive()
    got = f(outer, other)
    assert got is inner and inner == [5, 0]
    assert outer[0] is inner and outer[1] is inner and outer[2] is other
    del got
    assert alive() == before


def test_many_lists_keep_their_identity():
    f = identity("List[List[int]]")
    rows = [[i] for i in range(1000)]
    rows += rows
    before = alive()
    assert f(rows) is rows
    assert alive() == before
    g = entry(
        """graph f(%l: List[List[int]]) -> List[List[int]]:
  %a: List[List[int]] = list::copy(%l)
  return (%a)
"""
    )
    got = g(rows)
    assert got is not rows and all(a is b for a, b in zip(got, rows, strict=True))


def test_one_list_as_two_types_goes_the_slow_way():
    f = entry(
        """graph f(%a: List[int], %b: List[Optional[int]]) -> List[int]:
  return (%a)
"""
    )
    items = [1]
    assert f([1], [1]) == [1]
    with pytest.raises(WentSlow):
        f(items, items)
    assert slow_calls(f) == {frame.REASONS[frame.REASON_ALIAS]: 1}


def test_changed_list_is_written_back_when_an_error_leaves():
    f = entry(
        """graph f(%l: List[int], %n: int) -> int:
  list::append(%l, %n)
  %zero: int = prim::Constant[value=0]()
  %r: int = int::floordiv(%n, %zero)
  return (%r)
"""
    )
    items = [1]
    before = alive()
    with pytest.raises(ZeroDivisionError):
        f(items, 5)
    assert items == [1, 5] and alive() == before


def test_changed_dict_is_changed_for_the_caller():
    f = entry(
        """graph f(%d: Dict[str, List[int]], %k: str, %v: List[int]) -> Dict[str, List[int]]:
  dict::setitem(%d, %k, %v)
  return (%d)
"""
    )
    kept, new = [1], [2]
    d = {"z": kept, "b": [0]}
    before = alive()
    assert f(d, "a", new) is d
    assert list(d) == ["z", "b", "a"] and d["z"] is kept and d["a"] is new
    assert f(d, "z", new) is d and d["z"] is new and list(d) == ["z", "b", "a"]
    assert alive() == before


def test_python_function_sees_and_makes_changes():
    def change(items, table):
        assert items == [1, 9] and table == {"a": 1}
        items.append(3)
        table["b"] = 2
        return len(items)

    f = entry(
        """graph f(%l: List[int], %d: Dict[str, int], %v: int) -> Tuple[int, int, int]:
  list::append(%l, %v)
  %n: int = prim::python_call[function=local("change")](%l, %d)
  list::append(%l, %v)
  %a: int = list::len(%l)
  %b: int = dict::len(%d)
  %r: Tuple[int, int, int] = prim::TupleConstruct(%n, %a, %b)
  return (%r)
""",
        objects={"change": change},
    )
    items, table = [1], {"a": 1}
    before = alive()
    assert f(items, table, 9) == (3, 4, 2)
    assert items == [1, 9, 3, 9] and table == {"a": 1, "b": 2}
    assert alive() == before


def test_python_function_with_a_wrong_result():
    f = entry(
        """graph f(%x: int) -> int:
  %n: int = prim::python_call[function=local("g")](%x)
  return (%n)
""",
        objects={"g": lambda x: "text" if x else [][0]},
    )
    with pytest.raises(TypeError, match="int is expected"):
        f(1)
    with pytest.raises(IndexError) as caught:
        f(0)
    assert "<lambda>" in "".join(traceback.format_exception(caught.value))


# ---- errors


LOCATED = """graph f(%x: Tensor, %y: Tensor) -> Tensor:
  %r: Tensor = aten::mm(%x, %y)  # m.py:12:8
  return (%r)
"""


def notes_of(error):
    return getattr(error, "__notes__", [])


def test_error_of_an_op_is_eagers():
    f = entry(LOCATED)
    x = torch.ones(2, 3)
    with pytest.raises(RuntimeError) as eager:
        torch.mm(x, x)
    with pytest.raises(RuntimeError) as caught:
        f(x, x)
    assert str(caught.value) == str(eager.value) and type(caught.value) is type(eager.value)
    assert any('"m.py", line 12' in note for note in notes_of(caught.value))
    traceback = caught.value.__traceback__
    assert traceback.tb_next is None, "internal frames are shown"
    assert x._use_count() == 1


def test_errors_do_not_leak():
    f = entry(LOCATED)
    x = torch.ones(2, 3)
    before = alive()
    for _ in range(50):
        with pytest.raises(RuntimeError):
            f(x, x)
    assert alive() == before and x._use_count() == 1


def test_index_error_of_an_op():
    f = entry(
        """graph f(%x: Tensor, %d: int) -> Tensor:
  %r: Tensor = aten::select.int(%x, %d, %d)
  return (%r)
"""
    )
    with pytest.raises(IndexError, match="Dimension out of range"):
        f(torch.ones(2), 5)


class Custom(ValueError):
    pass


@pytest.mark.parametrize("cls", [ValueError, KeyError, Custom])
def test_raised_exception_has_class_and_message(cls):
    f = entry(
        """graph f(%s: str) -> int:
  prim::raise[exception=local("cls")](%s)
  unreachable
""",
        objects={"cls": cls},
    )
    with pytest.raises(cls) as caught:
        f("mé")
    assert type(caught.value) is cls and caught.value.args == ("mé",)


# ---- modes


def test_modes_go_the_slow_way():
    f = entry(ADD, slow=lambda args, kwargs: "slow")
    x = torch.ones(2)
    with torch.device("cpu"):
        assert f(x, 1) == "slow" and unusual_state([x], None)

    class Mode(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            return func(*args, **(kwargs or {}))

    with Mode():
        assert f(x, 1) == "slow" and unusual_state([x], None)
    assert torch.func.vmap(lambda t: f(t, 1) and t)(x) is not None
    assert f(x, 1).tolist() == [2, 2] and unusual_state([x], None) is None
    assert slow_calls(f) == {
        frame.REASONS[r]: 1
        for r in (frame.REASON_FUNCTION_MODE, frame.REASON_DISPATCH_MODE, frame.REASON_FUNCTORCH)
    }


def test_grad_modes_and_autocast_need_nothing():
    f = entry(ADD)
    x = torch.ones(2, requires_grad=True)
    assert f(x, 1).requires_grad
    with torch.no_grad():
        assert not f(x, 1).requires_grad
    with torch.inference_mode():
        assert f(x, 1).is_inference()
    y = f(x, 2).sum()
    y.backward()
    assert x.grad.tolist() == [1, 1]
    mm = entry(LOCATED)
    w = torch.ones(2, 2)
    with torch.autocast("cpu", torch.bfloat16):
        assert mm(w, w).dtype == torch.bfloat16
    assert slow_calls(f) == slow_calls(mm) == {}


# ---- host


def test_print(capsys):
    f = entry(
        """graph f(%s: str) -> None:
  prim::print[sep="-", end="!"](%s, %s)
  %n: None = prim::Constant[value=None]()
  return (%n)
"""
    )
    f("é")
    assert capsys.readouterr().out == "é-é!"


def test_failing_print_raises():
    class Broken:
        def write(self, text):
            raise OSError("no space")

    f = entry(
        """graph f(%s: str) -> None:
  prim::print(%s)
  %n: None = prim::Constant[value=None]()
  return (%n)
"""
    )
    old, sys.stdout = sys.stdout, Broken()
    try:
        with pytest.raises(OSError, match="no space"):
            f("x")
    finally:
        sys.stdout = old


def test_warning_at_the_users_line():
    f = entry(
        """graph f(%s: str) -> None:
  prim::warn[category=local("w")](%s)  # m.py:7:4
  %n: None = prim::Constant[value=None]()
  return (%n)
""",
        objects={"w": UserWarning},
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        f("careful")
    assert [(str(w.message), w.filename, w.lineno) for w in caught] == [("careful", "m.py", 7)]


# ---- learning, leaks


def test_short_calls_keep_the_gil():
    f = identity("int")
    assert not keeps_gil(f)
    for _ in range(10):
        f(1)
    assert keeps_gil(f) and native_calls(f) == 10


def test_memory_stays_flat():
    f = entry(APPEND)
    g = identity("Tuple[str, List[str], Optional[Tensor]]")
    x = torch.ones(1)

    def work(n):
        for _ in range(n):
            f([1, 2, 3], [4], 5)
            g(("text", ["a", "b"], x))

    work(2000)
    gc.collect()
    before = resident_bytes()
    work(50_000)
    gc.collect()
    assert resident_bytes() - before < 2 << 20


def test_dropped_entries_free_their_code():
    before = alive()
    for _ in range(5):
        f = entry(ADD)
        assert f(torch.ones(1), 1).item() == 2
        del f
    gc.collect()
    assert alive() == before
