"""Splits of long texts, where equal pieces may be one object: nothing of that may be noticed."""

import random

from tests.fourway import check


def split(text: str, sep: str, most: int) -> list[str]:
    return text.split(sep, most)


def joined(sep: str, lengths: list[int], letters: str = "ab") -> str:
    rng = random.Random(len(sep))
    return sep.join("".join(rng.choice(letters) for _ in range(n)) for n in lengths)


LENGTHS = [n % 37 for n in range(200)] + [7, 8, 9, 0, 1, 2] * 20


def test_pieces_of_all_lengths():
    for sep in (" ", ", ", "\0", "\xff", "aba", "漢"):
        for tail in ("", sep, "x", sep * 3, "abcdefg" + sep + "a"):
            check(split, (joined(sep, LENGTHS) + tail, sep, -1))


def test_limits_and_separators_that_do_not_occur():
    text = joined(" ", LENGTHS)
    check(split, (text, " ", 0), (text, " ", 5), (text, " ", 100_000), (text, ";", -1))


def test_pieces_with_the_bytes_that_follow_a_separator():
    # the bytes one above and below the separator's, and high ones
    for letters in ("!\x1f", "\x00\x80", "\xa0\x21\x20"[:2], "\xfe\xff"):
        check(split, (joined(" ", LENGTHS, letters), " ", -1))


def test_short_and_wide_texts():
    wide = joined(" ", LENGTHS, "é漢")
    check(split, ("a b a", " ", -1), ("", " ", -1), (wide, " ", -1))


def appended(text: str) -> list[str]:
    parts = text.split(" ")
    made: list[str] = []
    for i in range(len(parts)):
        part = parts[i]
        part += "!"
        parts[i] = part
        part += "?"
        made.append(part)
    return parts + made


def test_a_piece_that_grows_leaves_equal_ones_alone():
    check(appended, ("word and word " * 60,))


def counts(text: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for word in text.split(" "):
        found[word] = found.get(word, 0) + 1
    return found


def test_pieces_as_keys():
    check(counts, (joined(" ", LENGTHS, "abc"),), ("word and word " * 60,))
