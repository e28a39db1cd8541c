"""Types of the values in generated programs, their annotations and literals."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A type: a constructor name and the kinds it is built from."""

    name: str
    inner: tuple[Kind, ...] = ()

    @property
    def annotation(self) -> str:
        if self.name == "Tuple" and not self.inner:
            return "Tuple[()]"
        if self.name == "Either":
            return "Union[int, str]"
        if not self.inner:
            return self.name
        return f"{self.name}[{', '.join(k.annotation for k in self.inner)}]"

    @property
    def is_hashable(self) -> bool:
        if self.name == "Tuple":
            return all(k.is_hashable for k in self.inner)
        names = ("Color", "Level", "Key", "Perm", "bytes", "FrozenSet", "Either")
        return self in (INT, BOOL, STR, FLOAT) or self.name in names

    @property
    def is_ordered(self) -> bool:
        """Whether values can be sorted."""
        if self.name in ("Tuple", "List"):
            return all(k.is_ordered for k in self.inner)
        names = ("Level", "Key", "Box", "bytes", "Pair")
        return self in (INT, BOOL, STR, FLOAT) or self.name in names

    @property
    def is_printable(self) -> bool:
        """Whether ``str`` gives the same text in every process and every way of running."""
        if self.name == "FrozenSet":
            return False  # the order of members of enumerations and the like is not told
        if self.inner:
            return all(k.is_printable for k in self.inner)
        names = (
            "Color",
            "Level",
            "Key",
            "Point",
            "Box",
            "Perm",
            "bytes",
            "Pair",
            "Either",
            "complex",
        )
        return self in (INT, BOOL, STR, FLOAT) or self.name in names

    @property
    def has_tensor(self) -> bool:
        return self == TENSOR or any(k.has_tensor for k in self.inner)


INT = Kind("int")
FLOAT = Kind("float")
BOOL = Kind("bool")
STR = Kind("str")
TENSOR = Kind("Tensor")
COLOR = Kind("Color")  # an Enum
LEVEL = Kind("Level")  # an IntEnum
POINT = Kind("Point")  # a dataclass
KEY = Kind("Key")  # a frozen, ordered dataclass
SHAPE = Kind("Shape")  # a base class with two subclasses
NODE = Kind("Node")  # a linked list
BOX = Kind("Box")  # a class with special methods
PERM = Kind("Perm")  # a Flag
BYTES = Kind("bytes")
PAIR = Kind("Pair")  # a NamedTuple
EITHER = Kind("Either")  # a Union
COMPLEX = Kind("complex")
COUNTER = Kind("Counter", (STR,))


def list_of(k: Kind) -> Kind:
    return Kind("List", (k,))


def set_of(k: Kind) -> Kind:
    return Kind("Set", (k,))


def dict_of(k: Kind, v: Kind) -> Kind:
    return Kind("Dict", (k, v))


def tuple_of(*ks: Kind) -> Kind:
    return Kind("Tuple", ks)


def optional(k: Kind) -> Kind:
    return k if k.name == "Optional" else Kind("Optional", (k,))


SCALARS = (INT, INT, INT, FLOAT, BOOL, STR)
WORDS = ("", "a", "b", "ab", "Ba", "é", "x y", "zz", "日本", "a,b", "12", " t ")


def random_kind(rng: random.Random, features: frozenset[str], depth: int = 2) -> Kind:
    """A kind nested at most ``depth`` deep."""
    choice = rng.random()
    if depth == 0 or choice < 0.4:
        plain = list(SCALARS)
        if "tensors" in features:
            plain.append(TENSOR)
        if "enums" in features:
            plain += [COLOR, LEVEL]
        if "classes" in features:
            plain += [SHAPE, NODE]
        if "dataclasses" in features:
            plain.append(POINT)
        if "frozen" in features:
            plain.append(KEY)
        if "boxes" in features:
            plain += [BOX, BOX]
        if "flags" in features:
            plain.append(PERM)
        if "bytes" in features:
            plain.append(BYTES)
        if "unions" in features:
            plain += [EITHER, EITHER]
        if "named" in features:
            plain += [PAIR, PAIR]
        if "complex" in features:
            plain.append(COMPLEX)
        return rng.choice(plain)
    if choice < 0.52 and "collections" in features:
        return random_collection(rng, features, depth)
    if choice < 0.62:
        return list_of(random_kind(rng, features, depth - 1))
    if choice < 0.74:
        return dict_of(random_key(rng, features), random_kind(rng, features, depth - 1))
    if choice < 0.86:
        return tuple_of(
            *(random_kind(rng, features, depth - 1) for _ in range(rng.randrange(1, 4)))
        )
    if choice < 0.93 and "sets" in features:
        if "frozensets" in features and rng.random() < 0.4:
            return Kind("FrozenSet", (random_key(rng, features),))
        return set_of(random_key(rng, features))
    return optional(random_kind(rng, features, depth - 1))


def random_key(rng: random.Random, features: frozenset[str]) -> Kind:
    """A hashable kind."""
    keys = [INT, INT, STR, STR, BOOL]
    if "keys" in features:
        keys += [tuple_of(INT, STR), tuple_of(INT, INT)]
    if "enums" in features and "keys" in features:
        keys.append(COLOR)
    if "frozen" in features:
        keys.append(KEY)
    if "bytes" in features and "keys" in features:
        keys.append(BYTES)
    if "frozensets" in features and "keys" in features:
        keys.append(Kind("FrozenSet", (INT,)))
    return rng.choice(keys)


def random_collection(rng: random.Random, features: frozenset[str], depth: int) -> Kind:
    """A kind of ``collections``."""
    name = rng.choice(("deque", "deque", "defaultdict", "defaultdict", "Counter", "OrderedDict"))
    if name == "deque":
        return Kind(name, (random_kind(rng, features, depth - 1),))
    if name == "Counter":
        return COUNTER
    key = random_key(rng, features)
    if name == "OrderedDict":
        return Kind(name, (key, random_kind(rng, features, depth - 1)))
    return Kind(name, (key, rng.choice((INT, STR, FLOAT, list_of(INT), list_of(STR)))))


def literal(rng: random.Random, k: Kind, size: int = 3) -> str:
    """An expression that makes a value of ``k`` and reads no variable."""
    if k == INT:
        return str(rng.choice((0, 1, 2, 3, 5, 7, -1, -2, -4, 10, 100)))
    if k == FLOAT:
        return rng.choice(("0.0", "1.0", "0.5", "-1.5", "2.25", "3.0", "-0.25", "10.0"))
    if k == BOOL:
        return rng.choice(("True", "False"))
    if k == STR:
        return repr(rng.choice(WORDS))
    if k == TENSOR:
        values = ", ".join(rng.choice(("0.0", "1.0", "-2.0", "0.5", "3.0")) for _ in range(3))
        return f"torch.tensor([{values}])"
    if k == COLOR:
        return rng.choice(("Color.RED", "Color.GREEN", "Color.BLUE"))
    if k == LEVEL:
        return rng.choice(("Level.LOW", "Level.MID", "Level.HIGH"))
    if k == POINT:
        return f"Point({literal(rng, INT)}, {literal(rng, STR)})"
    if k == KEY:
        return f"Key({literal(rng, INT)}, {literal(rng, STR)})"
    if k == SHAPE:
        return rng.choice((f"Square({literal(rng, INT)})", f"Round({literal(rng, INT)}, 2)"))
    if k == NODE:
        return f"Node({literal(rng, INT)}, None)"
    if k == BOX:
        return f"Box({literal(rng, list_of(INT), 3)})"
    if k == PERM:
        return rng.choice(("Perm.R", "Perm.W", "(Perm.R | Perm.X)", "Perm(0)"))
    if k == BYTES:
        return rng.choice(("b''", "b'a'", "b'ab'", "b'x y'", "b'\\x00\\xff'", "b'B1'"))
    if k == EITHER:
        return literal(rng, rng.choice((INT, STR)))
    if k == PAIR:
        return f"Pair({literal(rng, INT)}, {literal(rng, list_of(STR), 2)})"
    if k == COMPLEX:
        return rng.choice(("1j", "(2+0.5j)", "(-1-1j)", "0j", "complex(3, -2)"))
    if k == COUNTER:
        return f"Counter({literal(rng, STR)})"
    inner = k.inner
    if k.name == "deque":
        return f"deque({literal(rng, list_of(*inner), size)})"
    if k.name == "FrozenSet":
        return f"frozenset({literal(rng, list_of(*inner), size)})"
    if k.name == "OrderedDict":
        return f"OrderedDict({literal(rng, dict_of(*inner), size)})"
    if k.name == "defaultdict":
        factory = "list" if inner[1].inner else inner[1].annotation
        return f"defaultdict({factory}, {literal(rng, dict_of(*inner), size)})"
    count = 0 if rng.random() < 0.15 else rng.randrange(1, size + 1)
    if k.name == "List":
        return "[" + ", ".join(literal(rng, inner[0], 2) for _ in range(count)) + "]"
    if k.name == "Set":
        items = ", ".join(literal(rng, inner[0], 2) for _ in range(count or 1))
        return "{" + items + "}"
    if k.name == "Dict":
        pairs = (f"{literal(rng, inner[0], 2)}: {literal(rng, inner[1], 2)}" for _ in range(count))
        return "{" + ", ".join(pairs) + "}"
    if k.name == "Tuple":
        items = ", ".join(literal(rng, i, 2) for i in inner)
        return f"({items}{',' if len(inner) == 1 else ''})"
    assert k.name == "Optional"
    return "None" if rng.random() < 0.35 else literal(rng, inner[0], size)
