"""Loops over the pieces of a split text, which are made one by one, in each other's memory."""

import random

import pytest

import scriptmode
from scriptmode.runtime import nativelib
from tests.fourway import check

SEPARATORS = (" ", ", ", "\0", "\xff", "aba", "漢", "aaaaaaaaa")


def text_of(sep: str, letters: str = "ab", count: int = 90) -> str:
    rng = random.Random(len(sep) + count)
    words = ["".join(rng.choice(letters) for _ in range(n % 23)) for n in range(count)]
    return sep.join(words)


TEXTS = ["", "a", " ", "  a  bc ", "abcdefg h", "abcdefgh i", "\x1c\x85 \xa0é\t\n漢字 \u3000x"]


def gathered(text: str, sep: str) -> tuple[list[str], dict[str, int], int]:
    all_of_them: list[str] = []
    counts: dict[str, int] = {}
    length = 0
    for piece in text.split(sep):
        all_of_them.append(piece)
        length += len(piece)
        if piece not in counts:
            counts[piece] = 1
        else:
            counts[piece] += 1
    return all_of_them, counts, length


def lengths(text: str, sep: str) -> list[int]:
    return [len(piece) for piece in text.split(sep)]


def test_pieces_that_are_kept_and_pieces_that_are_not():
    for sep in SEPARATORS:
        texts = [text_of(sep), text_of(sep, "é漢a"), text_of(sep) + sep, *TEXTS]
        check(gathered, *[(text, sep) for text in texts])
        check(lengths, *[(text, sep) for text in texts])


def words(text: str) -> tuple[list[str], int]:
    found: list[str] = []
    length = 0
    for word in text.split():
        length += len(word)
        if len(word) % 2 == 0:
            found.append(word)
    return found, length


def test_white_space():
    wide = text_of("\u2003", "é漢a")
    check(words, *[(text,) for text in [*TEXTS, text_of(" "), text_of(" \t\n\x0b"), wide]])
    check(words, *[(text_of(" ", letters),) for letters in ("\x01a", "a\x7f", "\x80\xff", "!\x21")])


def changed(text: str) -> list[str]:
    made: list[str] = []
    before = "nothing"
    for word in text.split(","):
        word += "!"
        if before == word:
            made.append("again " + before)
        else:
            made.append(word + before[-1])
        before = word
        word += "?"
    return made


def test_pieces_that_grow_or_live_on():
    check(changed, ("a,a,bc,bc,bcd,longer than eight,longer than eight,,",), (text_of(","),))


def left_early(text: str, stop: str) -> str:
    seen = ""
    for i, word in enumerate(text.split(" ")):
        if word == "skip":
            continue
        if word == stop:
            break
        if word == "return":
            return seen + str(i)
        if word == "raise":
            raise ValueError(word + seen)
        seen += word
    else:
        seen += " all"
    return seen


def test_loops_that_are_left():
    text = "one skip two skip three return four"
    check(left_early, (text, "two"), (text, "none"), ("skip", ""), ("", ""), ("a skip b", "x"))
    with pytest.raises(ValueError, match="raiseab"):
        scriptmode.script(left_early)("a b raise c", "")


def handled(text: str) -> list[int]:
    numbers: list[int] = []
    for word in text.split(";"):
        try:
            numbers.append(int(word))
        except ValueError as error:
            numbers.append(len(str(error)))
            continue
    return numbers


def test_errors_inside():
    check(handled, ("1;2;three;;5;66666666666;x",), ("",))


def crossed(a: str, b: str) -> list[str]:
    made: list[str] = []
    for x in a.split(" "):
        for y in b.split():
            if x < y:
                made.append(x + y)
        for z in x.split("b"):
            made.append(z)
    return made


def test_loops_in_loops():
    check(crossed, (text_of(" ", count=12), text_of(" ", count=15)), ("", ""), ("x", " y "))


def indexed(text: str, sep: str, n: int) -> list[str]:
    pieces = text.split(sep)
    found: list[str] = []
    for i in range(n):
        found.append(pieces[i])
    return found


def test_an_index_that_is_outside():
    check(indexed, ("a b c", " ", 2), ("a b c", " ", 3))
    with pytest.raises(IndexError, match="list index out of range"):
        scriptmode.script(indexed)("a b c", " ", 4)
    with pytest.raises(ValueError, match="empty separator"):
        scriptmode.script(indexed)("a b c", "", 1)


def kept(text: str) -> list[str]:
    found: list[str] = []
    for word in text.split(" "):
        found.append(word)
        found[0] = word
    return found


def test_nothing_is_left_over():
    text = text_of(" ")
    for function, args in ((kept, (text,)), (lengths, (text, " ")), (words, (text,))):
        scripted = scriptmode.script(function)
        scripted(*args)
        before = nativelib.live_objects()
        scripted(*args)
        assert nativelib.live_objects() == before
