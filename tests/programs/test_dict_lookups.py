"""Dicts with int and str keys: searches that are shared, own hashes, keys of every sort."""

from tests.fourway import check


def counted(words: list[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for word in words:
        if word in counts:
            counts[word] += 1
        else:
            counts[word] = 1
    return counts


def counted_by_get(words: list[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    return counts


def test_counting_words_of_all_lengths_and_widths():
    words = ["a" * n for n in range(40)] + ["é" * n for n in range(1, 20)]
    words += ["漢" * n for n in range(1, 9)] + ["\U0001f600x", "a\0", "a", ""] + words[::2]
    check(counted, (words,), ([],))
    check(counted_by_get, (words,))


def test_words_that_differ_in_one_place_only():
    base = "abcdefghijklmnopqrstuvw"
    words = [base[:n][:i] + "#" + base[i + 1 : n] for n in range(1, 23) for i in range(n)]
    check(counted, (words + words,))


def ints(keys: list[int]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for key in keys:
        counts[key] = counts.get(key, 0) + 1
        if key in counts and counts[key] > 1:
            del counts[key]
    return counts


def test_int_keys():
    big = [2**61 - 1, -(2**61) + 1, 2**61, 2**63 - 1, -(2**63), -1, -2, 0, 1]
    check(ints, (big + list(range(-50, 400, 3)) + big[:4] + list(range(0, 4096, 64)),))


def removed_between(d: dict[str, int], k: str) -> int:
    old = d[k]
    del d[k]
    d["new"] = 1
    d[k] = old + 1
    return d[k] * 100 + len(d)


def cleared_between(d: dict[str, int], k: str) -> int:
    if k in d:
        d.clear()
        d[k] = 5
    return d[k]


def aliased(d: dict[str, int], e: dict[str, int], k: str) -> int:
    x = d[k]
    e.pop(k)
    d[k] = x + 1
    return len(e)


def test_changes_between_search_and_use():
    check(removed_between, ({"a": 1, "b": 2}, "a"), ({"a": 1}, "x"))
    check(cleared_between, ({"a": 1}, "a"), ({"a": 1}, "x"))
    check(aliased, ({"a": 1}, {"a": 2, "b": 3}, "a"), ({"a": 1}, {"b": 3}, "a"))


def alias_of_one(k: str) -> int:
    d = {"a": 1, "b": 2}
    e = d
    x = d[k]
    e.pop(k)
    d[k] = x + 1
    return d[k] * 10 + len(d)


def test_a_dict_under_two_names():
    check(alias_of_one, ("a",), ("b",), ("c",))


def missing(d: dict[int, str], k: int) -> str:
    return d[k] + d[k + 1]


def test_missing_keys_raise_key_errors():
    check(missing, ({1: "x", 2: "y"}, 1), ({1: "x"}, 1), ({}, 1))


def values_of_every_sort(d: dict[str, list[int]], p: dict[int, tuple[str, float]]) -> str:
    d["a"].append(1)
    d["a"] = d["a"] + [2]
    p[3] = (p[3][0] + "!", p[3][1])
    return f"{d} {p} {d.get('zz', [0])}"


def test_values_of_every_sort():
    check(values_of_every_sort, ({"a": [0]}, {3: ("x", 1.5)}), ({"b": [0]}, {3: ("x", 1.5)}))


def read_in_a_loop(d: dict[str, list[int]], k: str, n: int) -> int:
    total = 0
    for i in range(n):
        total += len(d[k]) + i
    return total


def read_if_there(d: dict[int, str], k: int, n: int) -> str:
    text = ""
    for i in range(n):
        if k in d:
            text += d[k]
        text += d.get(k + 1, "-")
    return text


def iterated_in_a_loop(d: dict[str, int], n: int) -> int:
    e: dict[str, str] = {}
    total = 0
    for i in range(n):
        for value in e.values():
            total += len(value)
        for key in d:
            total += len(key) + i
            break
    return total


def test_loops_read_only_what_is_there():
    check(read_in_a_loop, ({"a": [1]}, "a", 3), ({"a": [1]}, "b", 0), ({}, "b", 0), ({}, "b", 2))
    check(read_if_there, ({1: "x"}, 1, 2), ({1: "x"}, 0, 2), ({}, 5, 2), ({}, 5, 0))
    check(iterated_in_a_loop, ({"ab": 1}, 3), ({}, 3), ({}, 0))


def test_keys_in_places_that_other_keys_took():
    # equal low bits, and places whose entries were removed
    check(ints, ([0, 64, 128, 64, 0, 128, 64, 2**40, 2**40 + 64, 2**40, 0] * 3,))
    check(ints, ([-1, -2, 2**61 - 2, -1, 2**61 - 1, 0, -(2**61) + 1] * 2,))


def added(d: dict[str, int], keys: list[str]) -> list[int]:
    sizes: list[int] = []
    for k in keys:
        if k not in d:
            d[k] = len(d)
        sizes.append(d[k])
        if k in d and len(k) > 2:
            d[k] = 5
        else:
            d["x"] = 1
            d[k] = 6
    return sizes


def test_keys_that_are_added_where_they_are_missing():
    check(added, ({}, ["a", "bcd", "x", "a", "bcd", "longer than that", "longer than that"]))
    check(added, ({"x": 3, "é": 4}, ["é", "x", "漢", "漢字漢", "\0", "", "\0\0", ""]))
