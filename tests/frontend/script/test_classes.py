"""User classes whose instances live inside the compiled program, four ways."""

from __future__ import annotations

import abc
import functools
from typing import Dict, List, Optional

import pytest
import torch

import scriptmode
from scriptmode.frontend.script import compile_function
from scriptmode.ir.equal import program_difference
from scriptmode.ir.parser import parse_program
from scriptmode.ir.printer import print_program
from scriptmode.ops.aten import schema_of
from tests.fourway import check


class Point:
    def __init__(self, x, y):
        self.x = x
        self.y = y

    def norm(self):
        return self.x * self.x + self.y * self.y

    def moved(self, dx, dy=0):
        return Point(self.x + dx, self.y + dy)


def test_instances_are_made_and_their_attributes_read_and_written():
    def f(a: int, b: float):
        p = Point(a, b)
        p.x += 5
        q = p.moved(2, dy=3)
        r = Point.moved(q, 1)
        move = q.moved
        s = move(10)
        return p.norm(), q.x, r.x, s.x, s.y

    check(f, (3, 4.5), (-1, 0.0))


def test_instances_hold_tensors():
    def f(x: torch.Tensor):
        p = Point(x, x * 2)
        p.x = p.x + p.y
        return p.norm(), p.x

    check(f, (torch.ones(3),))


class Node:
    def __init__(self, value):
        self.value = value
        self.next = None


def test_linked_lists_are_built_walked_and_dropped():
    def f(n: int):
        head = None
        for i in range(n):
            node = Node(i)
            node.next = head
            head = node
        total, count = 0, 0
        while head is not None:
            total += head.value
            head = head.next
            count += 1
        return total, count

    check(f, (10,), (0,))


def test_a_long_list_is_dropped_without_recursion():
    def f(n: int):
        head = Node(0)
        for i in range(n):
            node = Node(i)
            node.next = head
            head = node
        return head.value

    assert scriptmode.script(f)(1_000_000) == 999_999


class Tree:
    def __init__(self, value: int, left: Optional[Tree] = None, right: Optional["Tree"] = None):
        self.value = value
        self.left = left
        self.right = right

    def insert(self, value: int) -> None:
        if value < self.value:
            if self.left is None:
                self.left = Tree(value)
            else:
                self.left.insert(value)
        elif self.right is None:
            self.right = Tree(value)
        else:
            self.right.insert(value)

    def total(self) -> int:
        found = self.value
        if self.left is not None:
            found += self.left.total()
        if self.right is not None:
            found += self.right.total()
        return found

    def walk(self, out: List[int]) -> None:
        if self.left is not None:
            self.left.walk(out)
        out.append(self.value)
        if self.right is not None:
            self.right.walk(out)


def test_trees_are_built_by_recursive_methods():
    def f(n: int):
        root = Tree(50)
        for i in range(n):
            root.insert((i * 37) % 101)
        found: List[int] = []
        root.walk(found)
        return root.total(), found

    check(f, (20,))


class Shape:
    sides = 0

    def area(self):
        raise NotImplementedError()

    def twice(self):
        return self.area() * 2


class Square(Shape):
    sides = 4

    def __init__(self, a):
        self.a = a

    def area(self):
        return self.a * self.a


class Circle(Shape):
    def __init__(self, r):
        self.r = r

    def area(self):
        return 3.0 * self.r


def test_methods_are_dispatched_over_the_classes_of_the_program():
    def f(x: float):
        shapes = [Square(x), Circle(x)]
        total = 0.0
        for s in shapes:
            total += s.twice() + s.sides
        names = [type(s).__name__ for s in shapes]
        squares = [isinstance(s, Square) for s in shapes]
        exact = [type(s) is Circle for s in shapes]
        sizes = [s.a if isinstance(s, Square) else s.r for s in shapes]
        return total, names, squares, exact, sizes, issubclass(Square, Shape)

    check(f, (2.0,))


class Base(abc.ABC):
    def __init__(self, n):
        self.n = n

    @abc.abstractmethod
    def go(self): ...

    def run(self):
        return self.go() + self.n


class First(Base):
    def __init__(self, n, m):
        super().__init__(n)
        self.m = m

    def go(self):
        return self.m


class Second(First):
    def go(self):
        return super().go() * 2


def test_abstract_bases_and_super():
    def f(n: int):
        xs: List[Base] = [First(n, 1), Second(n, 2)]
        return [x.run() for x in xs], [x.m for x in xs if type(x) is First]

    check(f, (4,))


def test_an_abstract_class_is_not_made():
    def f(n: int):
        return Base(n).n

    check(f, (4,))


class A:
    def __init__(self):
        self.log = ["A"]

    def who(self):
        return "A"


class B(A):
    def __init__(self):
        super().__init__()
        self.log.append("B")

    def who(self):
        return "B" + super().who()


class C(A):
    def __init__(self):
        super().__init__()
        self.log.append("C")

    def who(self):
        return "C" + super().who()


class D(B, C):
    def __init__(self):
        super().__init__()
        self.log.append("D")

    def who(self):
        return "D" + super().who()


def test_super_follows_the_order_of_the_instances_class():
    def f(n: int):
        return D().log, B().log, [x.who() for x in [A(), B(), C(), D()]]

    check(f, (0,))


class Account:
    total = 0
    rate: int = 3

    def __init__(self):
        self.items = []
        self._limit = 10

    def add(self, x):
        self.items.append(x)
        self.total += x
        return self

    @property
    def mean(self):
        return self.total / len(self.items)

    @property
    def limit(self):
        return self._limit

    @limit.setter
    def limit(self, value):
        self._limit = value * 2

    @limit.deleter
    def limit(self):
        self._limit = -1

    @staticmethod
    def helper(a, b=2):
        return a * b

    @classmethod
    def start(cls, x):
        made = cls()
        made.add(x)
        return made

    @functools.cached_property
    def costly(self):
        self.items.append(100)
        return len(self.items)


def test_properties_static_and_class_methods_and_class_attributes():
    def f(n: int):
        a = Account.start(n)
        a.add(3).add(4)
        before = a.limit
        a.limit = n
        after = a.limit
        del a.limit
        once = a.costly + a.costly
        return (
            a.mean, a.items, a.total, Account.total, Account.helper(4), a.helper(5, b=3), before,
            after, a.limit, once, a.rate, Account().total,
        )  # fmt: skip

    check(f, (5,))


class Late:
    def __init__(self):
        self.a = 1

    def late(self):
        self.b = 2


def test_attributes_that_may_have_no_value():
    def f(n: int):
        x = Late()
        if n > 0:
            x.late()
        had = hasattr(x, "b")
        found = getattr(x, "b", -1)
        del x.a
        return had, found, hasattr(x, "a"), hasattr(x, "c")

    def g(n: int):
        x = Late()
        if n > 0:
            x.late()
        return x.b

    def h(n: int):
        x = Late()
        del x.a
        del x.a
        return 1

    check(f, (1,), (0,))
    check(g, (1,), (0,))
    check(h, (0,))
    with pytest.raises(AttributeError, match="'Late' object has no attribute 'b'"):
        scriptmode.script(g)(0)


class Vector:
    def __init__(self, x: int, y: int):
        self.x, self.y = x, y

    def __eq__(self, other):
        if not isinstance(other, Vector):
            return NotImplemented
        return self.x == other.x and self.y == other.y

    def __hash__(self):
        return self.x * 1000003 + self.y

    def __repr__(self):
        return f"Vector({self.x}, {self.y})"

    def __lt__(self, other):
        return self.x < other.x

    def __add__(self, other):
        return Vector(self.x + other.x, self.y + other.y)

    def __mul__(self, k):
        if not isinstance(k, int):
            return NotImplemented
        return Vector(self.x * k, self.y * k)

    __rmul__ = __mul__

    def __iadd__(self, other):
        self.x += other.x
        return self

    def __neg__(self):
        return Vector(-self.x, -self.y)

    def __call__(self, z):
        return self.x + z

    def __bool__(self):
        return self.x != 0

    def __abs__(self):
        return abs(self.x) + abs(self.y)

    def __int__(self):
        return self.x

    def __float__(self):
        return float(self.y)

    def __index__(self):
        return self.x

    def __format__(self, spec):
        return f"<{self.x:{spec}}>"

    def __len__(self):
        return 2

    def __getitem__(self, i):
        return self.x if i == 0 else self.y

    def __setitem__(self, i, value):
        if i == 0:
            self.x = value
        else:
            self.y = value

    def __contains__(self, value):
        return value == self.x or value == self.y


def test_operators_call_special_methods():
    def f(n: int):
        a = Vector(n, 2)
        b = 3 * a
        c = -b + a
        a += b
        return (
            a == Vector(4 * n, 2), a != b, a == 3, str(a), f"{b!r} {c} {c:>5}", a < b, a > b,
            min(a, b).x, a(10), hash(c), bool(a), not a, abs(c), int(a), float(a),
            [10, 20, 30][Vector(1, 1)], len(a), a[0], a[1], n in a,
        )  # fmt: skip

    def g(n: int):
        a = Vector(n, 2)
        a[0] = 7
        a[1] += 5
        return a.x, a.y, 1 if a else 0, 1 if Vector(0, 1) else 0

    check(f, (3,))
    check(g, (3,))


def test_containers_ask_the_classes_of_their_elements():
    def f(n: int):
        q = {Vector(i % 3, 0): i for i in range(n)}
        v = [Vector(1, 1), Vector(2, 2)]
        return (
            len(q), q[Vector(1, 0)], Vector(2, 0) in q, [Vector(1, 1)] == [Vector(1, 1)],
            v.index(Vector(2, 2)), v.count(Vector(1, 1)), Vector(5, 5) in v, str(v), str({1: v[0]}),
        )  # fmt: skip

    check(f, (7,))


class Plain:
    def __init__(self, n):
        self.n = n


def test_instances_without_equality_are_equal_to_themselves_only():
    def f(n: int):
        a, b = Plain(n), Plain(n)
        seen: Dict[Plain, int] = {a: 1}
        seen[b] = 2
        seen[a] += 5
        return a == a, a == b, a != b, a is a, a is not b, a in [b], a in [b, a], seen[a], len(seen)

    check(f, (1,))


@functools.total_ordering
class Version:
    def __init__(self, n: int):
        self.n = n

    def __eq__(self, other):
        return self.n == other.n

    def __lt__(self, other):
        return self.n < other.n


def test_total_ordering_and_unhashable_classes():
    def f(n: int):
        a, b = Version(n), Version(2)
        return a < b, a <= b, a > b, a >= b, a == b

    def g(n: int):
        return len({Version(n): 1})

    check(f, (1,), (2,), (3,))
    check(g, (1,))


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self, a):
        self.a = a


def test_slots():
    def f(n: int):
        s = Slotted(n)
        had = hasattr(s, "b")
        s.b = 5
        return s.a, s.b, had

    def g(n: int):
        Slotted(n).c = 1
        return 1

    check(f, (1,))
    check(g, (1,))


class Lazy:
    def __init__(self):
        self.known = 1

    def __getattr__(self, name):
        return "no " + name


def test_getattr_for_missing_attributes():
    def f(n: int):
        x = Lazy()
        return x.known, x.other

    check(f, (1,))


def test_none_has_no_attributes():
    def f(n: int):
        x = Node(n)
        if n > 1:
            x.next = Node(0)
        return x.next.value

    def g(n: int):
        x = Node(n)
        if n > 1:
            x.next = Node(0)
        x.next.value = 3
        return x.next.value

    check(f, (1,), (2,))
    check(g, (1,), (2,))


class Counter2:
    def __init__(self):
        self.by_name = {}
        self.history = []

    def count(self, name):
        self.by_name[name] = self.by_name.get(name, 0) + 1
        self.history.append((name, self.by_name[name]))


def test_container_attributes_get_their_element_types_from_uses():
    def f(n: int):
        c = Counter2()
        for i in range(n):
            c.count(str(i % 2))
        return c.by_name, c.history

    check(f, (5,))


class Countdown:
    def __init__(self, n: int):
        self.n = n
        self.i = 0

    def __iter__(self):
        self.i = self.n
        return self

    def __next__(self):
        if self.i <= 0:
            raise StopIteration
        self.i -= 1
        return self.i


def test_membership_without_contains_looks_at_the_elements():
    def f(n: int):
        return 2 in Countdown(n), 7 in Countdown(n), sum(Countdown(n)), list(Countdown(n))

    check(f, (2,), (4,))


class Item:
    def __init__(self, value: int, name: str = "x"):
        self.value = value
        self.name = name

    def __lt__(self, other):
        return self.value < other.value


def test_instances_are_sorted_by_their_comparison_or_a_key():
    def f(n: int):
        items = [Item((i * 7) % 5, str(i)) for i in range(n)]
        items.sort()
        back = sorted(items, reverse=True)
        keyed = sorted(items, key=lambda i: -i.value)
        return [i.name for i in items], [i.name for i in back], max(items).name, keyed[0].name

    check(f, (6,))


class Queue:
    class Entry:
        def __init__(self, value: int):
            self.value = value
            self.next: Optional[Queue.Entry] = None

    def __init__(self):
        self.head: Optional[Queue.Entry] = None
        self.tail: Optional[Queue.Entry] = None

    def push(self, value: int):
        entry = Queue.Entry(value)
        if self.tail is None:
            self.head = entry
        else:
            self.tail.next = entry
        self.tail = entry

    def pop(self) -> int:
        head = self.head
        if head is None:
            raise IndexError("empty")
        self.head = head.next
        if self.head is None:
            self.tail = None
        return head.value


def test_nested_classes_and_classes_as_functions():
    def f(n: int):
        q = Queue()
        for i in range(n):
            q.push(i)
        found = [q.pop() for _ in range(n)]
        make = Item
        return found, [x.value for x in map(make, [3, 4])], q.pop()

    check(f, (3,))


class Visitor:
    def visit(self, node):
        return node.accept(self)


class Number:
    def __init__(self, v: float):
        self.v = v

    def accept(self, visitor):
        return visitor.number(self)


class Sum:
    def __init__(self, left, right):
        self.left = left
        self.right = right

    def accept(self, visitor):
        return visitor.sum(self)


class Evaluate(Visitor):
    def number(self, node) -> float:
        return node.v

    def sum(self, node) -> float:
        return self.visit(node.left) + self.visit(node.right)


def test_double_dispatch_over_a_recursive_structure():
    def f(x: float):
        return Evaluate().visit(Sum(Number(x), Sum(Number(2.0), Number(3.5))))

    check(f, (1.0,))


def test_programs_with_classes_read_back_equal():
    def f(n: int):
        shapes = [Square(1.5), Circle(2.0)]
        late = Late()
        late.late()
        names = [str(Vector(n, 1)), str([Vector(1, 2)])]
        return [s.twice() for s in shapes], late.b, Node(n).value, D().log, names

    program = compile_function(f)
    text = print_program(program)
    again = parse_program(text, schema_of)
    assert program_difference(program, again) is None
    assert print_program(again) == text
