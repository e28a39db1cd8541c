"""Instances of user classes that pass from Python to compiled programs and back."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple, Union

import pytest
import torch

import scriptmode
from tests.fourway import check, outcome, same


class Point:
    def __init__(self, x: int, y: float):
        self.x = x
        self.y = y

    def norm(self):
        return self.x * self.x + self.y


class Node:
    def __init__(self, value: int, next: Optional[Node] = None):
        self.value = value
        self.next = next


def test_changes_of_an_argument_are_seen_by_the_caller():
    def f(p: Point, d: float):
        p.x += 1
        p.y = d
        return p.norm()

    check(f, (Point(1, 2.0), 5.0))


def test_changes_are_kept_when_an_exception_leaves():
    def f(p: Point):
        p.x = 99
        raise ValueError("no")

    check(f, (Point(1, 2.0),))


def test_an_argument_that_comes_back_is_the_same_object():
    def f(p: Point, q: Point, ps: List[Point]):
        q.x = 10
        return p, p is q, p.x, ps[0] is p, ps

    f_ = scriptmode.script(f)
    p = Point(1, 2.0)
    ps = [p]
    back, same_object, x, first, list_back = f_(p, p, ps)
    assert back is p and same_object and x == 10 and first and list_back is ps and p.x == 10
    assert f_(p, Point(1, 1.0), [Point(2, 2.0)])[1:4] == (False, 10, False)


def test_instances_made_in_a_program_reach_python():
    def f(n: int):
        made = [Point(i, 0.5) for i in range(n)]
        return made, {"a": made[0]}, (made[1], 3)

    check(f, (3,))
    made, by_name, pair = scriptmode.script(f)(3)
    assert type(made[0]) is Point and by_name["a"] is made[0] and pair[0] is made[1]


def test_instances_inside_containers_and_optionals():
    def f(ps: List[Point], d: Dict[str, Point], o: Optional[Point], t: Tuple[Point, int]):
        total = 0
        for p in ps:
            total += p.x
            p.x = total
        for name, p in d.items():
            p.y += 1.0
        if o is not None:
            total += o.x
            o.x = -1
        t[0].x = t[1]
        ps.append(Point(7, 7.0))
        d["new"] = ps[0]
        return total, o

    args = [Point(1, 1.0), Point(2, 2.0)], {"a": Point(3, 3.0)}
    check(f, (*args, None, (Point(0, 0.0), 5)), (*args, Point(4, 4.0), (Point(0, 0.0), 6)))


def test_unions_of_classes_and_other_types():
    def f(v: Union[Point, int, Node]):
        if isinstance(v, Point):
            return v.x
        if isinstance(v, Node):
            return v.value * 100
        return v

    check(f, (Point(1, 2.0),), (5,), (Node(3),))


def test_linked_structures_in_and_out():
    def total(n: Node):
        found, current = 0, n
        while current is not None:
            found += current.value
            current = current.next
        n.next = Node(5)
        return found

    def build(n: int):
        head = Node(0)
        for i in range(n):
            head = Node(i, head)
        return head

    check(total, (Node(1, Node(2, Node(3))),))
    check(build, (4,))


def test_a_long_list_passes_both_ways_without_recursion():
    def f(n: Node):
        count, current = 0, n
        last = n
        while current is not None:
            count += 1
            last = current
            current = current.next
        last.next = Node(-1)
        return count

    head = Node(0)
    first = head
    for i in range(100_000):
        first.next = Node(i)
        first = first.next
    assert scriptmode.script(f)(head) == 100_001
    assert first.next.value == -1


def test_aliases_inside_arguments_stay_aliases():
    def f(a: Node, b: Node):
        b.value = 42
        assert a.next is not None
        return a.next.value, a.next is b

    shared = Node(1)
    assert scriptmode.script(f)(Node(0, shared), shared) == (42, True)
    assert shared.value == 42


class Free:
    def __init__(self, x, y):
        self.x = x
        self.y = y
        self.log = []

    def both(self):
        self.log.append(self.x)
        return self.x + self.y


class Scaled(Free):
    def both(self):
        return self.x * 100


def test_attribute_types_and_subclasses_are_learnt_from_the_arguments():
    def f(p: Free):
        return p.both()

    def g(ps: List[Free]):
        return [p.both() for p in ps]

    compiled = scriptmode.script(f)
    makers = [
        lambda: Free(1, 2), lambda: Free(1.5, 2.0), lambda: Scaled(1, 2),
        lambda: Free(torch.ones(2), 1), lambda: Free("a", "b"), lambda: Scaled(3, 4),
    ]  # fmt: skip
    for make in makers:
        want, got = outcome(f, (make(),)), outcome(compiled, (make(),))
        same(list(want[1:]), list(got[1:]))
    many = scriptmode.script(g)
    same(g([Free(1, 2), Scaled(3, 4)]), many([Free(1, 2), Scaled(3, 4)]))


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self, a: int):
        self.a = a


class SlottedAndMore(Slotted):
    def __init__(self, a: int):
        super().__init__(a)
        self.c = a * 2


def test_slots_cross_the_boundary():
    def f(s: Slotted, n: int):
        s.a += n
        s.b = n
        return Slotted(7), s

    def g(s: SlottedAndMore):
        s.c += s.a
        return SlottedAndMore(5)

    s = Slotted(1)
    made, back = scriptmode.script(f)(s, 3)
    assert (s.a, s.b, made.a, back is s, hasattr(made, "b")) == (4, 3, 7, True, False)
    t = SlottedAndMore(2)
    made = scriptmode.script(g)(t)
    assert (t.a, t.c, made.a, made.c) == (2, 6, 5, 10)


class Maybe:
    def __init__(self):
        self.a = 1

    def extra(self):
        self.b = 2


def test_attributes_that_may_be_missing_cross_the_boundary():
    def f(m: Maybe, n: int):
        had = hasattr(m, "b")
        if n == 1:
            m.extra()
        elif n == 2:
            del m.a
        return had, hasattr(m, "a")

    compiled = scriptmode.script(f)
    for n in (0, 1, 2):
        for extra in (False, True):
            eager, mine = Maybe(), Maybe()
            if extra:
                eager.extra()
                mine.extra()
            assert f(eager, n) == compiled(mine, n)
            same(eager, mine)


class Custom:
    def __init__(self, x: int):
        self.x = x
        self.limit = 3

    def __setstate__(self, state: Any):
        raise AssertionError("not a copy")

    def __eq__(self, other):
        return isinstance(other, Custom) and self.x == other.x

    def __hash__(self):
        return self.x


def test_instances_as_keys_cross_the_boundary():
    def f(d: Dict[Custom, int], key: Custom):
        d[Custom(9)] = 1
        return d[key], len(d)

    want, got = {Custom(1): 5, Custom(2): 6}, {Custom(1): 5, Custom(2): 6}
    assert scriptmode.script(f)(got, Custom(2)) == f(want, Custom(2)) == (6, 3)
    assert got == want


def test_an_unknown_attribute_is_left_alone():
    def f(p: Point):
        p.x += 1
        return p

    p = Point(1, 2.0)
    p.other = object()
    q = scriptmode.script(f)(p)
    assert q is p and p.x == 2 and type(p.other) is object


def test_a_missing_attribute_of_an_argument_is_an_attribute_error():
    def f(p: Point):
        return p.x

    p = Point(1, 2.0)
    del p.x
    with pytest.raises(AttributeError):
        scriptmode.script(f)(p)


def keep(p: Point) -> Point:
    p.x *= 2
    return p


@torch.jit.ignore
def outside(p: Point) -> Point:
    p.x += 10
    return p


def test_ignored_functions_get_and_give_the_objects_themselves():
    def f(p: Point):
        q = outside(p)
        q.x *= 2
        return p.x, q is p, outside(Point(3, 4.0)).x

    check(f, (Point(1, 2.0),))


class Config:
    scale = 2.0

    def factor(self):
        return 3


def test_an_instance_may_hide_what_its_class_has():
    def f(c: Config):
        return c.scale * c.factor(), hasattr(c, "late")

    compiled = scriptmode.script(f)
    c = Config()
    assert compiled(c) == f(c) == (6.0, False)
    c.scale = 5
    assert compiled(c) == f(c) == (15, False)
    c.late = 1
    assert compiled(c) == f(c) == (15, True)
    assert compiled(Config()) == (6.0, False)
    c.factor = lambda: 4
    with pytest.raises(TypeError, match="hides"):
        compiled(c)


def test_instances_and_containers_passed_as_any_stay_in_native_code():
    def f(a: Any, b: Any):
        if isinstance(a, Point):
            return a.x
        if isinstance(b, list):
            return -1
        return b

    values = (Point(3, 1.0), [1, 2], 5, "s", None, (1, 2), {"a": 1}, [1, "a"], [Point(1, 1.0)])
    compiled = scriptmode.script(f)
    for a in values:
        for b in (1, [1], Point(2, 2.0)):
            same(f(a, b), compiled(a, b))


class Below(Exception):
    pass


class FurtherBelow(Below):
    pass


def type_of_an_optional_instance(n: int):
    try:
        try:
            raise FurtherBelow("a") if n == 1 else Below("b")
        except Below as inner:
            if n == 2:
                raise RuntimeError("outer") from None
            raise RuntimeError("outer") from inner
    except RuntimeError as outer:
        cause = outer.__cause__
        return (
            type(cause).__name__, type(cause) is Below, type(cause) in (FurtherBelow, int),
            type(cause) is type(None), type(cause) not in (Below,),
        )  # fmt: skip


def test_the_type_of_an_optional_instance_is_that_of_its_dynamic_class() -> None:
    check(type_of_an_optional_instance, (0,), (1,), (2,))


class Answering:
    def __init__(self, a: float):
        self.a = a

    def __iadd__(self, other: float):
        self.a += other
        return self

    def __getattr__(self, name: str):
        return name + "?"


def test_getattr_is_asked_for_missing_attributes_only():
    def f(x: float):
        c = Answering(x)
        c += 1.0
        return c.a + 1, c.b

    def deletes(x: float):
        c = Answering(x)
        before = c.a
        if x > 1.0:
            del c.a
        return before, c.a, c.b

    check(f, (2.0,))
    check(deletes, (1.0,))
    check(deletes, (2.0,))
