"""Words split from texts, keys of dicts and elements of sets, and strs that Python gets again."""

import random

import scriptmode
from tests.fourway import check

EDGES = [-1, -2, 0, 1, 2**61 - 1, 2**61, 2**62, -(2**61) + 1, -(2**63), 2**63 - 1, 5, 13, 21, 29]


def lengths(text: str) -> list[int]:
    out: list[int] = []
    for w in text.split(" "):
        out.append(len(w))
    return out


def kept(text: str) -> list[str]:
    out: list[str] = []
    for w in text.split(","):
        if len(w) % 3 != 1:
            out.append(w)
    return out


def counted(text: str) -> dict[str, int]:
    d: dict[str, int] = {}
    for w in text.split(" "):
        if w in d:
            d[w] += 1
        else:
            d[w] = 1
    return d


def pairs(text: str) -> dict[tuple[str, str], int]:
    words = text.split(" ")
    d: dict[tuple[str, str], int] = {}
    for i in range(len(words) - 1):
        key = (words[i], words[i + 1])
        d[key] = d.get(key, 0) + 1
    return d


def last_places(values: list[int]) -> dict[int, int]:
    d: dict[int, int] = {}
    for i, v in enumerate(values):
        d[v] = i
    return d


def last_words(d: dict[str, str], words: list[str]) -> dict[str, str]:
    for w in words:
        d[w] = w + "!"
    return d


def last_lists(keys: list[int]) -> dict[int, list[int]]:
    d: dict[int, list[int]] = {}
    for k in keys:
        d[k % 3] = [k]
    return d


def stored_and_deleted(values: list[int]) -> list[int]:
    d: dict[int, int] = {}
    for v in values:
        d[v] = v
        if v % 3 == 0:
            del d[v]
    return list(d)


def changed_while_iterating(d: dict[int, int], new: bool) -> int:
    total = 0
    for k in d:
        total += k
        d[k + 1000 if new else k] = total
    return total


def added(values: list[int]) -> list[int]:
    s: set[int] = set()
    for v in values:
        s.add(v)
    return list(s)


def added_and_removed(values: list[int]) -> list[int]:
    s: set[int] = set()
    for v in values:
        s.add(v)
        if v % 2 == 0:
            s.discard(v - 4)
        s.add(v % 7)
    return list(s)


def added_texts(words: list[str]) -> int:
    s: set[str] = set()
    n = 0
    for w in words:
        if w in s:
            n += 1
        s.add(w)
        s.add(w + "x")
        if n % 5 == 4:
            s.remove(w)
    return len(s) * 1000 + n


def added_pairs(values: list[int], words: list[str]) -> int:
    s: set[tuple[int, str]] = set()
    for v in values:
        for w in words:
            s.add((v % 5, w))
    return len(s)


def added_while_iterating(s: set[int]) -> int:
    total = 0
    for v in s:
        total += v
        s.add(v + 100)
    return total


def added_optional(values: list[int]) -> int:
    s: set[int | None] = set()
    for v in values:
        s.add(v)
        s.add(None)
    return len(s)


def repeated(letters: list[str], most: int) -> list[str]:
    out: list[str] = []
    for c in letters:
        for n in range(most):
            out.append(c * n)
    return out


def of_lengths(most, c="a"):
    return " ".join(c * n for n in range(most))


def random_words(count, letters="abcdeé", longest=20):
    rng = random.Random(4)
    return [
        "".join(rng.choice(letters) for _ in range(rng.randrange(longest))) for _ in range(count)
    ]


def test_pieces_of_all_lengths():
    texts = [of_lengths(20), of_lengths(20, "é"), of_lengths(20, "\xa0"), of_lengths(20, "€")]
    texts += [
        of_lengths(9)[::-1],
        "",
        " ",
        "  ",
        "a",
        " a",
        "!!!!!!!! ! !!",
        "\x00 \x00\x00 ",
        "\x1f!",
    ]
    check(lengths, *[(t,) for t in texts], *[(" " * n + "x" * (17 - n) + " y",) for n in range(17)])
    check(kept, *[(t.replace(" ", ","),) for t in texts], (",".join(random_words(200)),))


def test_words_are_counted():
    check(counted, (" ".join(random_words(400, "abé", 4)),), (" ".join(random_words(300)),), ("",))
    check(pairs, (" ".join(random_words(200, "ab", 3)),), ("a",))


def test_stores_in_loops():
    check(last_places, (EDGES * 3,), ([],), (list(range(300)) * 2,))
    check(last_words, ({}, random_words(50)), ({"a": "b"}, ["a", "b", "a"]))
    check(last_lists, (EDGES,))
    check(stored_and_deleted, (list(range(100)) + list(range(50)),), ([3, 3, 3],))
    check(changed_while_iterating, ({1: 2, 3: 4}, False), ({1: 2, 3: 4}, True), ({}, True))


def test_elements_are_added_in_pythons_order():
    check(added, (EDGES,), ([],), (list(range(0, 5000, 7)),), (EDGES * 2 + list(range(40)),))
    check(added_and_removed, (list(range(200)),), (EDGES[:8],))
    check(added_texts, (random_words(300, "ab", 4),), ([],))
    check(added_pairs, (EDGES, ["a", "b", "é"]))
    check(added_while_iterating, ({1, 2, 3},), (set(),))
    check(added_optional, ([1, 2, 1],), ([],))


def test_strs_that_python_has_got_before():
    letters = ["a", "b", "\x00", "é", "\x7f", "\x80", "€"]
    check(repeated, (letters, 20), (letters, 20))
    function = scriptmode.script(repeated)
    first = function(["a", "b"], 20)
    grown = [text + "!" for text in first]
    first[3] += "?"
    assert function(["a", "b"], 20) == [c * n for c in "ab" for n in range(20)]
    assert grown == [c * n + "!" for c in "ab" for n in range(20)]


def test_many_strs_share_a_place():
    words = [f"{i:x}" for i in range(6000)] + [f"word{i:012d}" for i in range(3000)]
    function = scriptmode.script(kept)
    want = [w for w in words if len(w) % 3 != 1]
    for _ in range(2):
        assert function(",".join(words)) == want
