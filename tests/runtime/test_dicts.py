"""Native dicts against CPython's."""

from __future__ import annotations

import random

import pytest

from scriptmode.ir.type_parser import parse_type
from scriptmode.ir.types import BOOL, INT, STR, ListType, OptionalType, TupleType
from scriptmode.runtime import descriptors
from tests.runtime.natives import BySlot, Slot, Typed, no_leaks, op, outcome, raw

SAMPLES = {
    "Dict[int, str]": {1: "a", -5: "b", 2**62: "c", 0: ""},
    "Dict[str, int]": {"a": 1, "": 2, "é😀": 3},
    "Dict[str, float]": {"x": 0.5},
    "Dict[float, bool]": {0.5: True, 2.0: False},
    "Dict[Tuple[int, str], List[int]]": {(1, "a"): [1], (2, "b"): []},
    "Dict[bool, Optional[int]]": {True: None, False: 3},
    "Dict[Any, Any]": {1: "x", "k": 2.5, (1, 2): None, None: (1, "a"), 2.5: [1]},
    "Dict[Optional[str], Tuple[int, int, int]]": {None: (1, 2, 3), "a": (4, 5, 6)},
}


@pytest.fixture(autouse=True)
def leaks():
    with no_leaks():
        yield


@pytest.mark.parametrize("text", SAMPLES)
def test_every_operation_on_every_type(text):
    t, items = parse_type(text), SAMPLES[text]
    optional = (
        OptionalType([t.value])
        if "Optional" not in str(t.value) and str(t.value) != "Any"
        else t.value
    )
    missing = {"int": 77, "str": "none", "float": 7.5, "bool": None, "Any": "none"}.get(
        str(t.key), None
    )
    keys = list(items) + ([missing] if missing is not None else [])
    some = next(iter(items.values()))
    with Slot(t, items) as d:
        assert d.value == items
        assert list(d.value) == list(items)
        assert op("sm_dict_len", d, returns=INT) == len(items)
        assert op("sm_dict_copy", d, returns=t) == items
        for name, element, want in [("keys", t.key, list(items)), ("values", t.value, list(items.values())),
                                    ("items", TupleType([t.key, t.value]), list(items.items()))]:  # fmt: skip
            kind = ListType([element])
            assert op(f"sm_dict_{name}", d, descriptors.descriptor(kind), returns=kind) == want
        assert op("sm_slot_repr", d.address, descriptors.descriptor(t), returns=STR) == repr(items)
        for k in keys:
            by = BySlot(t.key, k)
            assert op("sm_dict_contains", d, by, returns=BOOL) == (k in items)
            assert outcome(lambda: op("sm_dict_getitem", d, by, returns=t.value)) == outcome(
                lambda: items[k]
            )
            assert op(
                "sm_dict_get", d, by, descriptors.descriptor(optional), returns=optional
            ) == items.get(k)
            assert op(
                "sm_dict_get_default", d, by, BySlot(t.value, some), returns=t.value
            ) == items.get(k, some)
    for k in keys:
        by, value = BySlot(t.key, k), BySlot(t.value, some)
        pair = TupleType([t.key, t.value])
        for name, args, returns, call in [
            ("pop", [by], t.value, lambda d: d.pop(k)), ("pop_default", [by, value], t.value, lambda d: d.pop(k, some)),
            ("delitem", [by], None, lambda d: d.__delitem__(k)), ("setitem", [by, value], None, lambda d: d.__setitem__(k, some)),
            ("setdefault", [by, value], t.value, lambda d: d.setdefault(k, some)), ("clear", [], None, lambda d: d.clear()),
            ("popitem", [descriptors.descriptor(pair)], pair, lambda d: d.popitem()),
        ]:  # fmt: skip
            mirror = dict(items)
            with Slot(t, items) as d:
                assert outcome(lambda: op(f"sm_dict_{name}", d, *args, returns=returns)) == outcome(
                    call, mirror
                ), name
                assert d.value == mirror and list(d.value) == list(mirror)


def test_long_random_histories():
    rng = random.Random(2)
    t = parse_type("Dict[str, List[int]]")
    for span in (5, 50, 1000):
        mirror: dict = {}
        with Slot(t, {}) as d:
            for step in range(800):
                k = str(rng.randrange(span))
                choice = rng.random()
                if choice < 0.55:
                    op("sm_dict_setitem", d, BySlot(STR, k), BySlot(t.value, [step]))
                    mirror[k] = [step]
                elif choice < 0.9:
                    assert outcome(
                        lambda: op("sm_dict_pop", d, BySlot(STR, k), returns=t.value)
                    ) == outcome(mirror.pop, k)
                else:
                    pair = TupleType([t.key, t.value])
                    got = outcome(
                        lambda: op("sm_dict_popitem", d, descriptors.descriptor(pair), returns=pair)
                    )
                    assert got == outcome(mirror.popitem)
            assert d.value == mirror
            assert list(d.value) == list(mirror)


def test_equality_and_update():
    t, other = parse_type("Dict[int, float]"), parse_type("Dict[float, int]")
    values = [{}, {1: 2.0}, {1: 2.0, 3: 4.0}, {3: 4.0, 1: 2.0}, {1: 3.0}]
    for a in values:
        for b in values:
            with Slot(t, a) as x, Slot(t, b) as y:
                assert op("sm_dict_eq", x, y, returns=BOOL) == (a == b)
                op("sm_dict_update", x, y)
                assert x.value == {**a, **b} and list(x.value) == list({**a, **b})
            converted = {float(k): int(v) for k, v in b.items()}
            assert op("sm_dict_eq", Typed(t, a), Typed(other, converted), returns=BOOL) == (
                a == converted
            )


def test_unhashable_keys_are_type_errors():
    t = parse_type("Dict[Any, int]")
    with Slot(t, {}) as d:
        for key in ([1], (1, [2])):
            got = outcome(lambda: op("sm_dict_setitem", d, BySlot(t.key, key), BySlot(INT, 1)))
            assert got == outcome(lambda: {key: 1})


def test_hashes_of_numbers_and_tuples_are_cpythons():
    values = [0, 1, -1, -2, 2**61 - 1, 2**61, -(2**61), 2**63 - 1, -(2**63), True, False, 0.0, 1.0, -1.0, 0.5, 2.0**61,
              2.0**62, 1e300, 5e-324, -5e-324, 1.1, float("inf"), -float("inf"), 1 + 2j, 3j, -0.0, 12345.678e-9, (), (1,),
              (1, 2.5), (True, (0, -1)), (1, 2, 3, 4, 5)]  # fmt: skip
    kinds = {int: "int", float: "float", bool: "bool", complex: "complex"}

    def kind(v):
        if isinstance(v, tuple):
            return "Tuple[" + (", ".join(map(kind, v)) or "()") + "]"
        return kinds[type(v)]

    for v in values:
        t = parse_type(kind(v))
        with Slot(t, v) as s:
            assert op("sm_slot_hash", s.address, descriptors.descriptor(t), returns=INT) == hash(
                v
            ), v
    assert raw("sm_hash_int")(5) == 5
