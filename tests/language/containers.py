"""Containers"""

import copy
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from typing import Dict, List, NamedTuple, Set, Tuple

Pair = namedtuple("Pair", ["a", "b"])


class Row(NamedTuple):
    key: str
    value: int = 3


def lists(xs: List[int] = [3, 1, 2]):
    """`list`: the methods, indices, slices, `in`, `+`, `*`, comparison"""
    xs.append(5)
    xs.insert(0, 9)
    xs.extend([7, 8])
    xs.remove(9)
    last = xs.pop()
    ys = xs.copy()
    ys.sort(reverse=True)
    ys.reverse()
    return (
        xs,
        ys,
        last,
        xs[-1],
        xs[1:3],
        xs[::-1],
        3 in xs,
        xs + [0],
        [0] * 3,
        xs < ys,
        xs.index(2),
        xs.count(1),
    )


def slices(xs: List[int] = [0, 1, 2, 3, 4, 5]):
    """slice assignment and deletion"""
    xs[1:3] = [10, 20, 30]
    del xs[-2:]
    xs[::2] = [7, 7, 7]
    del xs[0]
    return xs


def index_error(xs: List[int] = [1]):
    """an index out of range: `IndexError`"""
    return xs[3]


def aliases(xs: List[List[int]] = [[1]]):
    """aliases stay aliases, changes reach the caller"""
    ys = xs[0]
    ys.append(2)
    xs.append(ys)
    return xs, xs[0] is xs[1]


def dicts(d: Dict[str, int] = {"a": 1, "b": 2}):
    """`dict`: the methods, insertion order, `in`, `|`, views, comparison"""
    d["c"] = 3
    d.update({"a": 9})
    d.setdefault("z", 0)
    removed = d.pop("b")
    last = d.popitem()
    return (
        d,
        removed,
        last,
        d.get("q"),
        d.get("q", 5),
        list(d),
        list(d.values()),
        list(d.items()),
        "a" in d,
        d | {"n": 1},
    )


def key_error(d: Dict[str, int] = {}):
    """a missing key: `KeyError`"""
    return d["missing"]


def any_keys():
    """keys of every hashable type: tuples, bools, None, nested"""
    d = {(1, "a"): 1, (2, "b"): 2}
    d[(1, "a")] += 5
    return (
        d,
        {True: 1},
        {
            None: 2,
        },
        {1.5: "x"},
    )


def changed_while_iterating(d: Dict[str, int] = {"a": 1}):
    """a dict or set that changes size while it is iterated over: `RuntimeError`"""
    for key in d:
        d[key + "x"] = 1
    return d


def tuples(t: Tuple[int, str, float] = (1, "a", 0.5)):
    """`tuple`: indices, slices, unpacking, comparison, `+`, `*`, `in`, `count`, `index`"""
    a, b, c = t
    return (
        t[0],
        t[-1],
        t[1:],
        t + (4,),
        (a,) * 3,
        "a" in t,
        t == (1, "a", 0.5),
        (1, 2) < (1, 3),
        len(t),
        b,
        c,
    )


def growing_tuples(n: int = 3):
    """tuples that grow: `t = t + (x,)` in a loop"""
    t = ()
    for i in range(n):
        t = (*t, i * i)
    return t, len(t), t[-1], sum(t)


def named_tuples(n: int = 4):
    """`NamedTuple` and `namedtuple`: fields, defaults, `_replace`, `_asdict`, comparison"""
    row = Row("k", n)
    pair = Pair(n, "b")
    return row, row.value, row._replace(value=9), Row("d"), pair.a, pair == Pair(4, "b"), row[0]


def sets(s: Set[int] = {1, 2, 3}):
    """`set` and `frozenset`: the methods and operators, in CPython's order"""
    s.add(9)
    s.discard(1)
    t = {3, 4}
    return (
        s,
        s | t,
        s & t,
        s - t,
        s ^ t,
        3 in s,
        s <= {2, 3, 9},
        len(s),
        frozenset([1, 2]),
        sorted(s),
        list(s),
    )


def copies(n: int = 3):
    """`copy.copy`, `copy.deepcopy`: nested, what is shared stays shared"""
    row = [n]
    grid = [row, row]
    deep, flat = copy.deepcopy(grid), copy.copy(grid)
    deep[0].append(1)
    return grid, deep, flat[0] is row, deep[0] is deep[1]


def deques(n: int = 3):
    """`deque`: the methods, `maxlen`, `+`, `*`, comparison"""
    d = deque([1, 2, 3], maxlen=4)
    d.append(n)
    d.appendleft(0)
    d.rotate(1)
    return list(d), d.popleft(), d.pop(), len(d), d[0], d, d * 2, d < deque([9])


def default_dicts(words: List[str] = ["a", "b", "a"]):
    """`defaultdict` with any factory that closes over constants, `Counter`, `OrderedDict`"""
    groups = defaultdict(list)
    for i, w in enumerate(words):
        groups[w].append(i)
    counts = Counter(words)
    ordered = OrderedDict()
    ordered["z"] = 1
    ordered["a"] = 2
    ordered.move_to_end("z")
    pairs = defaultdict(lambda: [0, 1])
    pairs["a"][0] += 5
    counts -= Counter("a")
    return groups, counts.most_common(1), list(ordered), dict(pairs), +counts


def ranges(n: int = 10):
    """`range` and `slice` as values"""
    r = range(1, n, 3)
    s = slice(1, 4)
    return r[1], len(r), 7 in r, list(r), r, [0, 1, 2, 3, 4][s]


def comprehensions(n: int = 4):
    """comprehensions of lists, dicts and sets, with several `for`s and `if`s"""
    return (
        [i * j for i in range(n) if i for j in range(i) if j % 2 == 0],
        {i: str(i) for i in range(n)}, {i % 2 for i in range(n)}, sum(i for i in range(n)),
    )  # fmt: skip


def unpacking(xs: List[int] = [1, 2, 3, 4]):
    """unpacking, starred targets (a list), starred displays"""
    a, *b, c = xs
    (d, e), f = (a, c), b
    return a, b, c, d, e, f, [*xs, 5], (*xs[:1], 0), {**{"k": 1}, "l": 2}


def bad_unpacking(xs: List[int] = [1]):
    """the wrong number of values to unpack: `ValueError`"""
    a, b = xs
    return a + b


def iteration(xs: List[str] = ["b", "a"], d: Dict[str, int] = {"k": 1}):
    """`enumerate zip reversed sorted map filter min max sum any all`, with `key=`, `default=`, `start=`"""
    return (
        list(enumerate(xs, 1)), list(zip(xs, range(2))), list(reversed(xs)), sorted(xs, key=lambda s: s),
        list(map(len, xs)), list(filter(lambda s: s > "a", xs)), min(xs, key=len), max([], default=0),
        sorted(d.items(), key=lambda kv: -kv[1]), [k for k in d],
    )  # fmt: skip


def empty_literals(n: int = 3):
    """an empty literal's type comes from its first use"""
    xs = []
    d = {}
    for i in range(n):
        xs.append(i)
        d[str(i)] = [i]
    return xs, d


def mixed_elements(n: int = 1):
    """elements of several types"""
    return [n, "a", None, 2.5], {"a": 1, "b": "x"}
