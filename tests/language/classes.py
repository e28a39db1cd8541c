"""Classes"""

import abc
import dataclasses
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Dict, List, Optional


class Account:
    bank = "B"

    def __init__(self, owner: str, balance: int = 0):
        self.owner = owner
        self.balance = balance
        self.log: List[int] = []

    def deposit(self, amount: int) -> "Account":
        self.balance += amount
        self.log.append(amount)
        return self

    @property
    def doubled(self) -> int:
        return self.balance * 2

    @doubled.setter
    def doubled(self, value: int) -> None:
        self.balance = value // 2

    @staticmethod
    def fee(amount: int) -> int:
        return amount // 10

    @classmethod
    def empty(cls) -> "Account":
        return cls("nobody")


class Savings(Account):
    def deposit(self, amount: int) -> "Account":
        super().deposit(amount + 1)
        return self


class Vector:
    def __init__(self, x: int, y: int):
        self.x = x
        self.y = y

    def __add__(self, other: "Vector") -> "Vector":
        return Vector(self.x + other.x, self.y + other.y)

    def __mul__(self, k: int) -> "Vector":
        return Vector(self.x * k, self.y * k)

    def __rmul__(self, k: int) -> "Vector":
        return self * k

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vector) and self.x == other.x and self.y == other.y

    def __hash__(self) -> int:
        return hash((self.x, self.y))

    def __lt__(self, other: "Vector") -> bool:
        return self.x < other.x

    def __len__(self) -> int:
        return 2

    def __getitem__(self, i: int) -> int:
        return self.x if i == 0 else self.y

    def __contains__(self, n: int) -> bool:
        return n == self.x or n == self.y

    def __call__(self, n: int) -> int:
        return self.x * n + self.y

    def __repr__(self) -> str:
        return f"Vector({self.x}, {self.y})"

    def __iter__(self):
        yield self.x
        yield self.y


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self) -> int: ...


class Square(Shape):
    def __init__(self, side: int):
        self.side = side

    def area(self) -> int:
        return self.side**2


class Strip(Shape):
    def __init__(self, length: int):
        self.length = length

    def area(self) -> int:
        return self.length


class Tree:
    def __init__(self, value: int, left: "Optional[Tree]" = None, right: "Optional[Tree]" = None):
        self.value = value
        self.left = left
        self.right = right
        self.parent: Optional[Tree] = None

    def total(self) -> int:
        found = self.value
        for child in (self.left, self.right):
            if child is not None:
                found += child.total()
        return found


@dataclass
class Item:
    name: str
    price: float = 1.5
    tags: List[str] = field(default_factory=list)

    def __post_init__(self):
        self.label = self.name + "!"


@dataclass(frozen=True, order=True)
class Version:
    major: int
    minor: int = 0


def instances(n: int = 5):
    """attributes, methods, properties, static and class methods, class attributes"""
    a = Account("ann")
    a.deposit(n).deposit(2)
    a.doubled = 40
    return (
        a.balance,
        a.doubled,
        a.log,
        Account.fee(100),
        Account.empty().owner,
        a.bank,
        Account.bank,
    )


def inheritance(n: int = 5):
    """inheritance, `super()`, `isinstance`, `type(x)`"""
    s = Savings("bob")
    s.deposit(n)
    return s.balance, isinstance(s, Account), type(s).__name__, issubclass(Savings, Account)


def operators(n: int = 2):
    """the methods that Python's operators and builtins call"""
    v = Vector(1, n)
    w = v + Vector(3, 4)
    return (
        w.x, (v * 3).y, (2 * v).x, v == Vector(1, n), v != w, v < w, len(v), v[1], 3 in w, v(10), repr(v), str(w),
        f"{v}", [q for q in v], sorted([w, v])[0].x, {v: 1}[Vector(1, n)], hash(v) == hash(Vector(1, n)),
    )  # fmt: skip


def polymorphism(n: int = 3):
    """a method of a base class, abstract ones too, calls that of the object's own class"""
    shapes: List[Shape] = [Square(n), Strip(n)]
    return [s.area() for s in shapes]


def recursive_types(n: int = 3):
    """types that contain themselves; cycles are collected"""
    root = Tree(1, Tree(n), Tree(4, Tree(5)))
    root.left.parent = root
    return root.total()


def dataclass_values(n: int = 3):
    """dataclasses: defaults, `default_factory`, `__post_init__`, comparison, `replace`"""
    a = Item("a", n * 0.5)
    b = dataclasses.replace(a, name="b")
    a.tags.append("t")
    return a, b.label, a == Item("a", 1.5, ["t"]), repr(a)


def frozen(n: int = 3):
    """frozen and ordered dataclasses, as keys too"""
    seen: Dict[Version, str] = {Version(1): "old", Version(n, 2): "new"}
    return seen[Version(1, 0)], Version(1) < Version(n), max(seen)


def frozen_assignment(n: int = 3):
    """assignment to a field of a frozen dataclass: `FrozenInstanceError`"""
    v = Version(n)
    v.major = 4
    return v


def missing_attribute(n: int = 3):
    """an attribute that is not set: `AttributeError`"""
    a = Account("x", n)
    if n > 5:
        a.extra = n
    return a.extra


def identity(n: int = 3):
    """`is` on objects, arguments and results keep their identity"""
    a = Account("x", n)
    b = a
    return a is b, a is not Account("x", n)


def local_class(n: int = 3):
    """a class inside a function"""

    class Box:
        def __init__(self, value: int):
            self.value = value

    return Box(n).value


def dynamic_attributes(n: int = 3):
    """`getattr`, `setattr`, `hasattr` with constant names"""
    a = Account("x", n)
    setattr(a, "balance", 8)
    return getattr(a, "balance"), getattr(a, "none", 1), hasattr(a, "owner")


class Checked:
    def __set_name__(self, owner, name):
        self.name = "_" + name

    def __get__(self, instance, owner=None):
        return getattr(instance, self.name)

    def __set__(self, instance, value):
        if value < 0:
            raise ValueError(self.name)
        setattr(instance, self.name, value)


class Stock:
    amount = Checked()

    def __init__(self, amount: int):
        self.amount = amount


class Tracked:
    def __new__(cls, n: int):
        made = super().__new__(cls)
        object.__setattr__(made, "log", [])
        return made

    def __init__(self, n: int):
        self.n = n

    def __setattr__(self, name, value):
        self.log.append(name)
        super().__setattr__(name, value)


def descriptors(n: int = 3):
    """descriptors: `__get__`, `__set__`, `__delete__`, `__set_name__`"""
    s = Stock(n)
    s.amount += 1
    return s.amount


def attribute_hooks(n: int = 3):
    """`__new__`, `__setattr__`, `__delattr__`, `__getattribute__`"""
    t = Tracked(n)
    t.k = 1
    return t.log, t.n


class Meters:
    def __init__(self, n: int):
        self.n = n

    def __add__(self, other: "Meters"):
        if self.n < 0:
            return NotImplemented
        return self.n + other.n


def not_implemented(n: int = 3):
    """`NotImplemented` as a result, on some run-time paths too"""
    return Meters(n) + Meters(1)


def not_implemented_by_both(n: int = -3):
    """an operator that both operands give up: `TypeError`"""
    return Meters(n) + Meters(1)


class Place:
    def __init__(self, n: int):
        self.n = n
        self.next: Optional[Place] = None


def visited(n: int = 3):
    """sets of objects without `__hash__`: members, not their order"""
    first, second = Place(n), Place(2)
    first.next, second.next = second, first
    seen, here = set(), first
    while here not in seen:
        seen.add(here)
        here = here.next
    return len(seen), here is first


class Tally:
    def __init__(self):
        self.n = 0


def objects_by_default(words: List[str] = ["a", "b", "a"]):  # noqa: B006
    """`defaultdict` of objects"""
    found = defaultdict(Tally)
    for w in words:
        found[w].n += 1
    return {k: t.n for k, t in found.items()}
