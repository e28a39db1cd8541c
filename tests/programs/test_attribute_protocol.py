"""Descriptors, ``__new__``, ``__setattr__`` and what else classes say of making and attributes."""

from __future__ import annotations

import dataclasses
from typing import List, Optional

import pytest

import scriptmode
from tests.fourway import check


class Positive:
    def __set_name__(self, owner, name):
        self.name = "_" + name

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        return getattr(instance, self.name)

    def __set__(self, instance, value):
        if value <= 0:
            raise ValueError(self.name)
        setattr(instance, self.name, value)


class Clearable:
    def __get__(self, instance, owner):
        return instance.kept * 10

    def __set__(self, instance, value):
        instance.kept = value

    def __delete__(self, instance):
        instance.kept = -1


class Item:
    price = Positive()
    count = Positive()
    level = Clearable()

    def __init__(self, price: float, count: int):
        self.price = price
        self.count = count
        self.level = 3


def uses_descriptors(price: float, count: int):
    item = Item(price, count)
    item.count += 1
    first = item.level
    item.level = 5
    second = item.level
    del item.level
    return item.price * item.count, first, second, item.level, item._count


class OnlySet:
    def __set__(self, instance, value):
        instance.log.append(value)


class OnlyGet:
    def __init__(self, function):
        self.function = function

    def __get__(self, instance, owner):
        return self.function(instance) + len(owner.__name__)


class Mixed:
    late = OnlySet()

    def __init__(self):
        self.log: List[int] = []
        self.v = 3

    @OnlyGet
    def computed(self):
        return self.v * 2


class MixedMore(Mixed):
    pass


def non_data_descriptors(n: int):
    m, more = Mixed(), MixedMore()
    m.late = n
    before = m.computed
    m.v = n
    return before, m.computed, more.computed, m.log


def cannot_delete(n: int):
    item = Item(1.0, n)
    del item.price
    return item


class Counting:
    def __new__(cls, x: int, step: int = 1):
        made = super().__new__(cls)
        made.early = x + step
        return made

    def __init__(self, x: int, step: int = 1):
        self.x = x * self.early


class Dispatching:
    def __new__(cls, x: int):
        if cls is Dispatching and x > 0:
            return Positives(x)
        return object.__new__(cls)

    def __init__(self, x: int):
        self.x = x


class Positives(Dispatching):
    pass


class Elsewhere:
    def __new__(cls, x: int):
        return x + 1

    def __init__(self, x: int):
        raise ValueError("not reached")


class NoInit:
    def __new__(cls, x: int):
        made = object.__new__(cls)
        made.x = x
        return made


def made_by_new(x: int):
    c = Counting(x, step=2)
    d = Dispatching(x)
    return c.x, c.early, type(d).__name__, d.x, Elsewhere(x), NoInit(x).x


class Parsed:
    def __init__(self, text: str):
        self.text = text
        self.size = len(text)

    @classmethod
    def empty(cls):
        made = cls.__new__(cls)
        made.text = "empty"
        return made


def made_without_init(n: int):
    p = Parsed.empty()
    if n > 2:
        p.size = n
    return p.text, p.size, Parsed("abc").size


class Doubling:
    def __init__(self, x: int):
        self.x = x

    def __setattr__(self, name, value):
        object.__setattr__(self, name, value * 2)

    def __delattr__(self, name):
        if name == "x":
            raise AttributeError("x stays")
        super().__delattr__(name)


class Logging:
    def __init__(self):
        super().__setattr__("log", [])
        self.a = 1

    def __setattr__(self, name, value):
        self.log.append(name)
        super().__setattr__(name, value)


class Watched:
    def __init__(self):
        self.x = 1

    def __getattribute__(self, name):
        if name == "double":
            return object.__getattribute__(self, "x") * 2
        return super().__getattribute__(name)

    def method(self) -> int:
        return self.x + 1


def hooks_of_attributes(n: int):
    d = Doubling(n)
    d.y = 5
    first = d.x
    d.x += 1
    del d.y
    g = Logging()
    g.b = n
    g.a += 1
    w = Watched()
    return first, d.x, hasattr(d, "y"), g.log, g.a, w.double, w.method()


def deletes_what_stays(n: int):
    d = Doubling(n)
    del d.x
    return d


class ReadOnly:
    def __init__(self, v: int):
        object.__setattr__(self, "v", v)

    def __setattr__(self, name, value):
        raise AttributeError("read only: " + name)


def assigns_read_only(n: int):
    r = ReadOnly(n)
    if n > 0:
        r.v = 2
    return r.v


class Forgetting:
    """Keeps nothing but None, whatever is assigned."""

    def __init__(self):
        self.x: Optional[int] = None

    def __setattr__(self, name, value):
        object.__setattr__(self, name, None)


def assigned_through_hooks(n: int):
    f = Forgetting()
    f.x = n
    return f.x


@dataclasses.dataclass(frozen=True)
class Normal:
    a: int
    b: int = 0

    def __post_init__(self):
        object.__setattr__(self, "b", self.a + 1)


def frozen_with_setattr(n: int):
    return Normal(n).b, Normal(n)


def test_descriptors():
    check(uses_descriptors, (2.0, 3), (2.0, -1), (-2.0, 1))
    check(non_data_descriptors, (4,))
    check(cannot_delete, (1,))


def test_new():
    check(made_by_new, (3,), (-3,))
    check(made_without_init, (1,), (3,))


def test_hooks_of_attributes():
    check(hooks_of_attributes, (3,))
    check(deletes_what_stays, (1,))
    check(assigns_read_only, (1,), (-1,))
    check(frozen_with_setattr, (4,))
    check(assigned_through_hooks, (4,))


class Registering(type):
    known = {}

    def __new__(meta, name, bases, namespace):
        made = super().__new__(meta, name, bases, namespace)
        meta.known[name] = made
        return made

    @property
    def label(cls):
        return "class " + cls.__name__


class Registered(metaclass=Registering):
    def __init__(self, v: int):
        self.v = v

    def twice(self) -> int:
        return 2 * self.v


class Counted(type):
    def __call__(cls, *args):
        return super().__call__(*args)


class MadeByCall(metaclass=Counted):
    pass


def by_metaclass(n: int):
    r = Registered(n)
    return r.twice(), Registered.label, Registering.known["Registered"](n + 1).v, r


def calls_metaclass(n: int):
    return MadeByCall()


def test_metaclasses_that_only_look_at_classes():
    check(by_metaclass, (3,))
    with pytest.raises(scriptmode.CompileError, match="MadeByCall"):
        scriptmode.script(calls_metaclass)


class TakesNothing:
    def __init__(self, **options):
        super().__init__(**options)


def too_many_for_object(n: int):
    return TakesNothing(a=n)


def test_arguments_that_reach_object_are_refused():
    with pytest.raises(scriptmode.CompileError, match="exactly one argument"):
        scriptmode.script(too_many_for_object)
    with pytest.raises(TypeError):
        too_many_for_object(1)
