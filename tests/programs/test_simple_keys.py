"""Sorting, comparing and looking up values of simple types, which have code of their own."""

import random

import pytest

from tests.fourway import check


def in_order(values: list[int]) -> tuple[list[int], list[int], list[int]]:
    by_digit = sorted(values, key=lambda v: v % 10)
    return sorted(values), sorted(values, reverse=True), by_digit


def floats_in_order(values: list[float]) -> tuple[list[str], list[str], list[float]]:
    up = [str(v) for v in sorted(values)]
    down = [str(v) for v in sorted(values, reverse=True)]
    return up, down, sorted(values, key=lambda v: -v)


def pairs_in_order(values: list[int]) -> list[tuple[int, str]]:
    return sorted([(v % 7, str(v)) for v in values])


@pytest.mark.parametrize("n", [0, 1, 2, 40, 63, 64, 65, 300])
def test_sorting_numbers(n):
    rng = random.Random(n)
    edges = [-(2**63), 2**63 - 1, 0, -1, 1, 255, 256, -256]
    wide = [rng.choice(edges) if i % 3 == 0 else rng.getrandbits(63) - 2**62 for i in range(n)]
    narrow = [rng.randrange(-5, 5) for _ in range(n)]
    check(in_order, (wide,), (narrow,), ([7] * n,))
    numbers = [rng.choice([0.0, -0.0, 1.5, -1.5, 1e300, 5e-324, float("inf")]) for _ in range(n)]
    check(floats_in_order, (numbers,), ([rng.gauss(0, 1) for _ in range(n)],))
    check(pairs_in_order, (narrow,))


def compared(words: list[str]) -> list[int]:
    found: list[int] = []
    for a in words:
        for b in words:
            found.append(int(a < b) + 2 * int(a <= b) + 4 * int(a == b) + 8 * int(a > b))
    return found


def test_comparing_texts():
    stem = "abcdefghijklmnopq"
    words = [stem[:n] for n in range(18)] + [stem[:n] + "\xff" for n in (0, 3, 7, 8, 15, 16)]
    words += [stem[:n] + "\0" for n in (0, 7, 8)] + [stem[:8] + "漢", "漢", "\U0001f600", "é"]
    check(compared, (words,))
    check(sort_texts, (words,), (words * 4,))


def sort_texts(words: list[str]) -> list[str]:
    return sorted(words)


def counted(n: int) -> tuple[dict[tuple[int, int], int], list[int], int]:
    counts: dict[tuple[int, int], int] = {}
    seen: set[tuple[int, int]] = set()
    for i in range(n):
        key = (i % 5 - 2, i % 3)
        counts[key] = counts.get(key, 0) + 1
        if key in seen:
            seen.discard(key)
        else:
            seen.add(key)
    missing = 0
    for i in range(-5, 5):
        if (i, 0) not in counts:
            missing += 1
    return counts, [x * 10 + y for x, y in sorted(seen)], missing


def nested(words: list[str]) -> list[int]:
    found: dict[tuple[str, tuple[int, str]], int] = {}
    for i, word in enumerate(words):
        key = (word, (len(word), word[:1]))
        if key in found:
            found[key] += i
        else:
            found[key] = i
    return list(found.values())


def erased(n: int) -> list[int]:
    d: dict[tuple[int, int], int] = {}
    for i in range(n):
        key = (i % 4, i % 6)
        if key in d:
            del d[key]
        d[key] = i
        if d.get((i % 4, 0), -1) > 3:
            d.pop((i % 4, 0))
            d[(i % 4, 0)] = d.get((0, i % 6), 7)
    return list(d.values())


def changed_between(n: int) -> int:
    d: dict[int, int] = {}
    for i in range(n):
        old = d.get(i, 5)
        for k in range(i):
            d[k + 100] = k
        d[i] = old + len(d)
        if i in d:
            d.clear()
            d[i] = 3
    return sum(d.values())


def test_tuples_as_keys():
    check(counted, (0,), (1,), (60,))
    check(nested, ([],), (["a", "b", "a", "漢", "a", "b"],))
    check(erased, (1,), (100,))
    check(changed_between, (12,))


def in_set(values: list[int], n: int) -> int:
    s = set(values)
    found = 0
    for i in range(-3, n):
        if i in s:
            found += 1
            s.discard(i - 1)
        if -1 in s:
            found += 100
    return found


def words_in_set(words: list[str], others: list[str]) -> list[bool]:
    s = set(words)
    return [w in s for w in others]


def test_sets():
    check(in_set, ([], 5), ([3, 1, -1, -2, 2**62], 20), (list(range(100)), 120))
    check(in_set, ([2**61 - 1, 0, 2**61], 3), ([i * 1024 for i in range(50)], 3000))
    check(words_in_set, (["a", "bc", "漢"], ["a", "b", "bc", "漢", ""]))


def numbers_as_text(values: list[int]) -> list[str]:
    return [str(v) for v in values] + [f"{v}:{v + 1}" for v in values[:3]] + [repr(values[-1])]


def test_ints_as_text():
    check(numbers_as_text, ([0, 9, 10, -1, -10, 99, 100, 2**63 - 1, -(2**63)],))


def text_of_arguments(words: list[str]) -> tuple[list[int], str, list[str]]:
    return [len(w) for w in words], "|".join(words), words


def test_texts_from_python():
    check(text_of_arguments, (["", "a", "x" * 200, "é" * 200, "\x7f", "\x80", "漢" * 3, "\0"],))


def in_other_cases(s: str) -> list[str]:
    return [s.lower(), s.upper(), s[::-1], s[::2], s[7:1:-3], s.title(), s.swapcase()]


def test_cases_of_ascii_and_others():
    check(
        in_other_cases, ("",), ("aZ@[`{",), ("The Fox\n0189 " * 9,), ("abcdefgH",), ("ABCDEFGhi",)
    )
    check(in_other_cases, ("é",), ("aÉ" * 20,), ("ΑΣ",), ("ß" + "a" * 9,), ("a" * 7 + "\x80",))


def vowels(s: str) -> list[bool]:
    found: list[bool] = []
    for c in s:
        found.append(c in "aeiouÿ")
        found.append(c in "")
        found.append(c not in "a漢")
    return found


def characters(codes: list[int]) -> list[str]:
    found = [chr(c) for c in codes]
    for i in range(len(codes)):
        found[i] += chr(97 + i % 26)
    return found


def test_single_characters():
    check(vowels, ("",), ("hello",), ("ÿé漢字a\U0001f600e\0",))
    check(characters, ([],), ([0, 65, 127, 128, 255, 256, 0xFFFF, 0x10FFFF],), ([-1],))


def classes(s: str) -> list[bool]:
    found: list[bool] = []
    for c in s:
        found += [c.isalpha(), c.isdigit(), c.isspace(), c.isupper(), c.islower(), c.isalnum()]
        found += [c.isidentifier(), c.isprintable(), c.isnumeric(), c.isdecimal(), c.istitle()]
    return found


def test_classes_of_all_narrow_characters():
    check(classes, ("".join(map(chr, range(300))),))
