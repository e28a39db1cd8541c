"""What a program changes outside of itself: globals, captured containers, attributes of classes."""

from __future__ import annotations

import collections
import copy
import threading
import types
from typing import Any, Callable, Optional

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import scriptmode
from scriptmode.support import config
from tests.fourway import interpret, same

COUNT = 0
STEP = 1
CACHE: Optional[list] = None
WEIGHT = torch.ones(2)
LOG: list = []
FULL: list = [1, 2]
TABLE: dict = {}
NESTED: dict = {"a": [1], "b": []}
SEEN: set = set()
RECENT: collections.deque = collections.deque(maxlen=2)
COUNTED: collections.Counter = collections.Counter()
ORDERED: collections.OrderedDict = collections.OrderedDict()
GROUPS: collections.defaultdict = collections.defaultdict(list)
SPACE = types.SimpleNamespace(n=0, items=[])
_STATE = {
    name: value for name, value in list(globals().items()) if name.isupper() and name[0] != "_"
}


class Totals:
    total = 0
    made: list = []
    only: "Optional[Totals]" = None

    def __init__(self, x: int):
        self.x = x
        Totals.total += 1
        self.made.append(x)

    def bump(self):
        type(self).total += 10
        return self.total

    @classmethod
    def get(cls):
        if cls.only is None:
            cls.only = cls(5)
        return cls.only


class Below(Totals):
    pass


def reset() -> None:
    here = globals()
    for name, value in _STATE.items():
        here[name] = copy.deepcopy(value)
    here.pop("FRESH", None)
    Totals.total, Totals.made, Totals.only = 0, [], None
    for name in ("total", "made", "only"):
        if name in vars(Below):
            delattr(Below, name)


def state() -> dict[str, Any]:
    found = {name: globals().get(name) for name in (*_STATE, "FRESH")}
    return {**found, "Totals": (Totals.total, Totals.made), "Below": vars(Below).get("total")}


def follow(function: Callable, *steps: Any) -> None:
    """Eager and compiled alike over ``steps``: argument tuples, or what Python does between."""

    def run(make: Callable[[], Callable]) -> list[Any]:
        reset()
        called = make()
        found: list[Any] = []
        for step in steps:
            if callable(step):
                step()
                continue
            try:
                found.append(called(*step))
            except Exception as error:
                found.append((type(error), str(error)))
        result = copy.deepcopy([found, state()])
        reset()
        return result

    def interpreted() -> Callable:
        compiled = scriptmode.script(function)
        return lambda *args: interpret(compiled, *args)

    want = run(lambda: function)
    for level in (0, 1):
        with config.override(opt=level):
            same(want, run(lambda: scriptmode.script(function)), f"native, opt {level}")
    if not any(map(callable, steps)):  # the interpreter guards nothing
        same(want, run(interpreted), "interpreter")


def put(name: str, value: Any) -> Callable[[], None]:
    return lambda: globals().__setitem__(name, copy.deepcopy(value))


# ---- global


def counts(x: int):
    global COUNT
    COUNT += x
    return COUNT


def tick():
    global COUNT
    COUNT += STEP
    return COUNT


def counts_in_helpers(n: int):
    before = COUNT
    for _ in range(n):
        tick()
    return before, COUNT


def caches(x: int):
    global CACHE
    if CACHE is None:
        CACHE = [x]
    CACHE.append(x)
    return len(CACHE)


def scales(x):
    global WEIGHT
    WEIGHT = WEIGHT * x
    return WEIGHT.sum()


def makes_new(x: int):
    global FRESH
    if x:
        FRESH = x
    return FRESH


def deletes(x: int):
    global COUNT
    del COUNT
    return COUNT if x else 0  # noqa: F821


def fails(x: int):
    global COUNT
    COUNT += 1
    LOG.append(x)
    if x > 1:
        raise ValueError(COUNT)
    return COUNT


def loops(n: int):
    global STEP
    for STEP in range(n):
        pass
    with torch.no_grad():
        STEP += 1
    return STEP


def test_globals_are_assigned():
    follow(counts, (1,), (2,), put("COUNT", 100), (3,))
    follow(counts_in_helpers, (3,), (2,), put("STEP", 5), (2,))
    follow(scales, (torch.ones(2),), (2 * torch.ones(2),))
    follow(loops, (4,), (1,))
    follow(fails, (1,), (2,), (1,))


def test_what_was_assigned_is_known():
    follow(caches, (1,), (2,), put("CACHE", None), (3,))


def test_globals_without_a_value():
    follow(makes_new, (0,), (3,), (0,))
    follow(deletes, (1,), put("COUNT", 2), (0,), (0,))


def test_a_global_of_another_type_compiles_again():
    follow(counts, (1,), put("COUNT", 1.5), (2,), put("COUNT", True), (3,))
    reset()
    compiled = scriptmode.script(counts)
    compiled(1)
    put("COUNT", "a")()
    with pytest.raises(scriptmode.ArgumentError, match="variables of"):
        compiled(1)
    reset()


# ---- captured containers


def appends(x: int):
    LOG.append(x)
    return len(LOG)


def changes(x: int):
    LOG.extend([x, x + 1])
    LOG[0] += 1
    LOG.insert(0, x)
    LOG.sort()
    del LOG[-1]
    return LOG


def memo(x: int):
    if x not in TABLE:
        TABLE[x] = x * x
    return TABLE[x]


def nested(key: str, x: int):
    NESTED[key].append(x)
    return NESTED[key]


def collects(x: int):
    SEEN.add(x)
    RECENT.append(x)
    COUNTED[x % 2] += 1
    ORDERED[x] = str(x)
    GROUPS[x % 2].append(x)
    return len(SEEN), RECENT[0], COUNTED[0], len(ORDERED), GROUPS[0]


def copies(x: int):
    a, b, c, d = LOG.copy(), list(LOG), LOG[:], [*LOG, x]
    for part in (a, b, c):
        part.append(x)
    return a, b, c, d, LOG + [x], LOG == a


def stores(x: int):
    kept = {"log": FULL, "other": [x]}
    kept["log"].append(x)
    return kept["log"], len(FULL)


def keeps(x):
    LOG.append(x)
    return LOG[-1] + LOG[0]


def spaces(x: int):
    SPACE.n += x
    SPACE.items.append(x)
    return SPACE.n, len(SPACE.items)


def test_captured_containers_are_changed():
    follow(appends, (1,), (2,), lambda: LOG.append(7), (3,), put("LOG", [5]), (1,))
    follow(changes, (1,), (2,), lambda: LOG.clear(), (3,))
    follow(memo, (2,), (3,), (2,), lambda: TABLE.update({4: 0}), (4,))
    follow(nested, ("a", 1), ("b", 2), lambda: NESTED["b"].append(9), ("b", 3), ("c", 1))
    follow(collects, (1,), (2,), lambda: (SEEN.clear(), RECENT.popleft()), (3,), (2,))
    follow(copies, (1,), lambda: LOG.append(4), (2,))
    follow(stores, (1,), (2,))
    follow(keeps, (torch.ones(2),), (torch.zeros(2),))
    follow(spaces, (1,), (2,), lambda: setattr(SPACE, "n", 10), (3,))


def test_captured_containers_keep_their_identity():
    reset()
    compiled = scriptmode.script(changes)
    assert compiled(1) is LOG
    compiled = scriptmode.script(stores)
    assert compiled(1)[0] is FULL
    x = torch.ones(2)
    reset()
    scriptmode.script(keeps)(x)
    assert LOG[0] is x
    compiled = scriptmode.script(nested)
    assert compiled("a", 1) is NESTED["a"]
    reset()


def test_values_of_other_types_compile_again():
    follow(appends, (1,), lambda: LOG.append("x"), (2,), (3,))
    follow(memo, (1,), lambda: TABLE.update({2: 0.5}), (2,))
    reset()
    compiled = scriptmode.script(appends)
    for _ in range(3):
        compiled(1)
    assert "compiled again" not in scriptmode.explain(compiled)
    LOG.append("x")
    compiled(1)
    assert "the captured `LOG` changed" in scriptmode.explain(compiled)
    reset()


def test_two_programs_share_a_container():
    reset()
    first, second = scriptmode.script(appends), scriptmode.script(fails)
    first(1)
    second(0)
    first(3)
    assert LOG == [1, 0, 3] and COUNT == 1
    reset()


def calls_compiled(x: int):
    LOG.append(x)
    return COMPILED(x) + COMPILED(x)


COMPILED = scriptmode.script(appends)


def test_a_compiled_function_inside_sees_the_same_container():
    follow(calls_compiled, (1,), (2,))


@scriptmode.ignore
def ignored(x: int) -> int:
    global COUNT
    COUNT += 1
    LOG.append(x + 100)
    return len(LOG)


def calls_python(x: int):
    global COUNT
    LOG.append(x)
    COUNT += 10
    a = ignored(x)
    return a, len(LOG), COUNT


def test_python_functions_see_and_make_changes():
    follow(calls_python, (1,), (2,))


class Logging(nn.Module):
    calls = 0

    def __init__(self):
        super().__init__()
        self.local: list[int] = []

    def forward(self, x):
        global COUNT
        COUNT += 1
        LOG.append(x.shape[0])
        self.local.append(len(LOG))
        Logging.calls += 1
        return x * COUNT * self.calls


def test_modules_change_what_is_outside():
    def run(module: Any) -> Any:
        reset()
        Logging.calls = 0
        found = [module(torch.ones(2)), module(torch.ones(3))]
        LOG.clear()
        found.append(module(torch.ones(1)))
        return found, COUNT, LOG, list(module.local), Logging.calls

    want = copy.deepcopy(run(Logging()))
    reset()
    Logging.calls = 0
    same(list(want), list(run(scriptmode.script(Logging()))))
    reset()
    Logging.calls = 0


def closure():
    seen, total = [], 0

    def f(x: int):
        nonlocal total
        total += x
        seen.append(x)
        return total, len(seen)

    return f, lambda: (total, seen)


def test_closures_of_functions_that_are_compiled():
    eager, eager_state = closure()
    function, state_now = closure()
    compiled = scriptmode.script(function)
    for x in (1, 2, 3):
        same(eager(x), compiled(x))
        same(eager_state(), state_now())


@pytest.mark.bails_out
def test_calls_under_a_mode_see_the_same():
    class Mode(TorchDispatchMode):
        def __torch_dispatch__(self, function, kinds, args=(), kwargs=None):
            return function(*args, **(kwargs or {}))

    reset()
    compiled = scriptmode.script(fails)
    compiled(0)
    with Mode():
        assert compiled(1) == 2
    assert compiled(0) == 3 and LOG == [0, 1, 0]
    reset()


def test_threads_take_turns():
    reset()
    first, second = scriptmode.script(fails), scriptmode.script(appends)

    def work() -> None:
        for _ in range(200):
            first(0)
            second(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert COUNT == 800 and len(LOG) == 1600
    reset()


# ---- attributes of classes


def makes(x: int):
    a = Totals(x)
    return Totals.total, a.total, len(a.made), Totals.made


def through_types(x: int):
    a, b = Totals(x), Below(x)
    return a.bump(), b.bump(), Totals.total, Below.total


def singleton(x: int):
    Totals.get().x += x
    return Totals.get().x


def test_attributes_of_classes_are_assigned():
    follow(makes, (1,), (2,), lambda: setattr(Totals, "total", 50), (3,))
    follow(through_types, (1,), (2,))
    follow(singleton, (1,), (2,))


class Constants:
    k = 3

    def __init__(self, x: int):
        self.x = x


def reads(x: int):
    return Constants(x).k * x


def test_class_attributes_that_python_changes_compile_again():
    compiled = scriptmode.script(reads)
    assert compiled(2) == 6
    Constants.k = 10
    assert compiled(2) == 20
    Constants.k = 3


# ---- attributes that were assigned


class Optional_:
    def __init__(self):
        self.value = None

    def get(self):
        if self.value is None:
            self.value = 4
        return self.value


def assigned(x: int):
    a = Optional_()
    b = a
    first = a.get() + a.get()
    b.value = None
    was_none = a.value is None
    a.value = x
    return first, was_none, a.value + 1


def test_an_attribute_is_of_the_type_that_was_assigned():
    follow(assigned, (1,))


# ---- refused


def stores_function(x: int):
    TABLE["f"] = lambda y: y + x
    return x


def test_functions_are_not_put_where_python_sees_them():
    reset()
    with pytest.raises(scriptmode.CompileError, match="SM0212"):
        scriptmode.script(stores_function)


MEMO: dict[tuple[int, str], float] = {}


def forgets(x: int):
    global MEMO
    MEMO[x, "a"] = 2.0
    count = len(MEMO)
    if x > 2:
        MEMO = {}
    return count, len(MEMO)


def test_an_empty_global_has_the_type_of_its_annotation():
    compiled = scriptmode.script(forgets)
    assert [compiled(i) for i in (1, 2, 3, 4)] == [(1, 1), (2, 2), (3, 0), (1, 0)]
    assert {} == MEMO
