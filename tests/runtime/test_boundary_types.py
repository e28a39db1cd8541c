"""Every type there and back: values, identity, what is refused."""

from __future__ import annotations

import collections
import enum
import gc
import sys

import pytest
import torch

from scriptmode.codegen.module import compile_program
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import Graph, Program
from scriptmode.ops.aten import schema_of
from scriptmode.runtime import frame
from scriptmode.runtime.boundary import make_entry, native_calls, slow_calls
from tests.runtime.entries import WentSlow, alive, entry, identity, refuse

Point = collections.namedtuple("Point", "x y")


class Color(enum.Enum):
    RED = 1
    GREEN = "g"


def identity_of(t: T.Type, **options):
    """An entry that returns its argument, for types that have no text."""
    graph = Graph("f")
    graph.add_param(t, "x")
    graph.return_type = t
    Builder(graph.block, schema_of)
    graph.block.terminate("prim::Yield", graph.params)
    program = Program("f")
    program.add(graph)
    return make_entry(compile_program(program), "f", graph, slow=refuse, **options)


VALUES = {
    "int": [0, -1, 2**63 - 1, -(2**63)],
    "float": [0.0, -0.0, 1.5, float("inf")],
    "bool": [True, False],
    "complex": [1 + 2j, complex(0, -1)],
    "str": ["", "abc", "é", "日本", "😀x", "\ud800", "a" * 5000, "\0"],
    "None": [None],
    "number": [1, 1.5, True, 2j],
    "Optional[int]": [None, 7],
    "Optional[bool]": [None, True, False],
    "Optional[complex]": [None, 1j],
    "Optional[str]": [None, "x"],
    "Optional[List[int]]": [None, [1, 2]],
    "Tuple[int, str, float]": [(1, "a", 2.0)],
    "Tuple[()]": [()],
    "Tuple[bool, int, Tuple[bool, complex]]": [(True, 5, (False, 1j))],
    "Tuple[int, ...]": [(), (1, 2, 3)],
    "Optional[Tuple[int, bool]]": [None, (3, True)],
    "List[int]": [[], [1, 2, 3]],
    "List[str]": [["a", "é"]],
    "List[bool]": [[True, False]],
    "List[Optional[int]]": [[None, 1]],
    "List[List[float]]": [[[1.0], []]],
    "List[Tuple[int, str]]": [[(1, "a"), (2, "b")]],
    "Dict[str, int]": [{}, {"b": 1, "a": 2}],
    "Dict[int, List[float]]": [{5: [1.0], -1: []}],
    "Dict[str, Optional[Tuple[int, bool]]]": [{"x": None, "y": (1, True)}],
    "Dict[float, str]": [{1.5: "a"}],
    "Size": [torch.Size([2, 3]), torch.Size([])],
    "device": [torch.device("cpu"), torch.device("cuda", 1), torch.device("meta")],
    "dtype": [torch.float32, torch.bool, torch.int8, torch.bfloat16],
    "layout": [torch.strided, torch.sparse_coo],
    "memory_format": [torch.contiguous_format, torch.channels_last],
    "Union[int, str]": [1, "x"],
    "Optional[Union[int, str]]": [None, 1, "x"],
    "Union[Tuple[int, int], float]": [(1, 2), 2.5],
    "Any": [None, 1, 2.5, True, "s", 1j, torch.Size([1]), torch.device("cpu"), torch.float16],
}


@pytest.mark.parametrize("type_text", VALUES)
def test_value_comes_back_equal(type_text):
    f = identity(type_text)
    before = alive()
    for value in VALUES[type_text]:
        for _ in range(3):
            got = f(value)
            assert type(got) is type(value) and repr(got) == repr(value)
    assert alive() == before
    assert slow_calls(f) == {} and native_calls(f) == 3 * len(VALUES[type_text])


WRONG = {
    "int": [True, 1.0, 2**63, None, "1", torch.ones(())],
    "float": [1, True, None],
    "bool": [1, 0],
    "str": [b"x", 1],
    "None": [0],
    "Tensor": [1, None, [1]],
    "Optional[int]": [True, 1.5],
    "Tuple[int, int]": [(1,), (1, 2.0), [1, 2], Point(1, 2)],
    "List[int]": [(1, 2), [1, 2.0], [True]],
    "Dict[str, int]": [{"a": 1.5}, {1: 1}, collections.OrderedDict()],
    "Size": [(1, 2), [1]],
    "device": ["cpu"],
    "dtype": ["float32", torch.strided],
    "number": ["1", None],
    "Union[int, str]": [1.5, True],
}


@pytest.mark.parametrize("type_text", WRONG)
def test_other_types_go_the_slow_way(type_text):
    f = identity(type_text)
    before = alive()
    for value in WRONG[type_text]:
        with pytest.raises(WentSlow) as caught:
            f(value)
        assert caught.value.args[0][0] is value
    assert alive() == before
    assert sum(slow_calls(f).values()) == len(WRONG[type_text])


def test_tensors_keep_identity_and_counts():
    f = identity("Tensor")
    x = torch.ones(3)
    p = torch.nn.Parameter(torch.ones(2))
    for value in (x, p):
        count = sys.getrefcount(value)
        for _ in range(100):
            assert f(value) is value
        assert sys.getrefcount(value) == count and value._use_count() == 1


def test_optional_tensor():
    f = identity("Optional[Tensor]")
    x = torch.ones(3)
    assert f(None) is None and f(x) is x


def test_list_of_tensors_is_the_same_list():
    f = identity("List[Tensor]")
    tensors = [torch.ones(1), torch.zeros(2)]
    before = alive()
    got = f(tensors)
    assert got is tensors
    assert [t._use_count() for t in tensors] == [1, 1] and alive() == before


def test_new_list_of_tensors():
    f = entry(
        """graph f(%x: Tensor) -> List[Tensor]:
  %y: Tensor = aten::neg(%x)
  %r: List[Tensor] = prim::ListConstruct(%x, %y, %x)
  return (%r)
"""
    )
    x = torch.ones(2)
    got = f(x)
    assert got[0] is x and got[2] is x and got[1].tolist() == [-1, -1]
    assert got[1]._use_count() == 1


def test_dynamic_any_result():
    f = entry(
        """graph f(%x: Tensor, %c: bool) -> Any:
  %s: str = prim::Constant[value="a"]()
  %r: Any = prim::If(%c)
    block0():
      -> (%x)
    block1():
      -> (%s)
  return (%r)
"""
    )
    x = torch.ones(2)
    assert f(x, True) is x and f(x, False) == "a"


def test_named_tuple():
    t = T.NamedTupleType("tests.Point", ["x", "y"], [T.INT, T.TENSOR], Point)
    f = identity_of(t)
    point = Point(3, torch.ones(1))
    got = f(point)
    assert type(got) is Point and got.x == 3 and got.y is point.y
    with pytest.raises(WentSlow):
        f((3, point.y))


def test_return_types_of_torch():
    cls = torch.return_types.max
    t = T.NamedTupleType("torch.return_types.max", ["values", "indices"], [T.TENSOR] * 2, cls)
    f = identity_of(t)
    value = torch.max(torch.rand(3, 4), 0)
    got = f(value)
    assert type(got) is cls and got.values is value.values and got.indices is value.indices


def test_enum():
    t = T.EnumType("tests.Color", {m.name: m.value for m in Color}, Color)
    f = identity_of(t)
    assert f(Color.RED) is Color.RED and f(Color.GREEN) is Color.GREEN
    with pytest.raises(WentSlow):
        f(1)


def test_generator_is_the_same_object():
    f = identity("Generator")
    g = torch.Generator()
    assert f(g) is g
    count = sys.getrefcount(g)
    for _ in range(100):
        f(g)
    assert sys.getrefcount(g) == count


def test_subclasses_go_the_slow_way():
    class Mine(torch.Tensor):
        pass

    f = identity("Tensor")
    x = torch.ones(2).as_subclass(Mine)
    with pytest.raises(WentSlow):
        f(x)
    assert slow_calls(f) == {frame.REASONS[frame.REASON_SUBCLASS]: 1}


def test_results_do_not_leak():
    f = entry(
        """graph f(%x: Tensor, %s: str, %l: List[str]) -> Tuple[Tensor, str, List[str], Optional[Tensor]]:
  %y: Tensor = aten::relu(%x)
  %r: Tuple[Tensor, str, List[str], Optional[Tensor]] = prim::TupleConstruct(%y, %s, %l, %y)
  return (%r)
"""
    )
    x, s, items = torch.ones(2), "text", ["a", "b"]
    gc.collect()
    before = alive()
    for _ in range(200):
        got = f(x, s, items)
    assert got[2] is items and got[0] is got[3] and got[1] == s
    assert got[0]._use_count() == 1 and x._use_count() == 1
    assert alive() == before
