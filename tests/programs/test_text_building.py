"""Text that grows by appending: in place where nothing else sees it, a copy where something does."""

from tests.fourway import check


def appended(n: int, piece: str) -> str:
    text = ""
    for i in range(n):
        text += piece
        if i % 7 == 6:
            text += ", "
    return text


def test_appending():
    for piece in ("", "a", "abc", "é", "漢字", "\U0001f600"):
        check(appended, (50, piece), (0, piece))


def widening(n: int) -> list[str]:
    text = "x"
    seen: list[str] = []
    for i in range(n):
        text += chr(40 + i * i * 7)
        if i % 3 == 0:
            seen.append(text)
    seen.append(text)
    return seen


def test_earlier_texts_stay_as_they_were():
    check(widening, (60,))


def aliased(a: str) -> tuple[str, str, str]:
    b = a + "-"
    c = b
    b += "1"
    d = c
    c += "2"
    return b, c, d


def test_aliases_stay_as_they_were():
    check(aliased, ("x",), ("",))


def to_itself(n: int) -> str:
    text = "ab"
    for _ in range(n):
        text += text
    return text


def test_text_appended_to_itself():
    check(to_itself, (6,))


def keys(n: int) -> dict[str, int]:
    found: dict[str, int] = {}
    text = ""
    for i in range(n):
        text += "k"
        found[text] = i
    return found


def test_text_that_is_a_key_already():
    check(keys, (30,))


def characters(s: str) -> list[str]:
    found = [c for c in s]
    for i in range(len(s)):
        found.append(s[i] + s[-1 - i])
    return found


def test_single_characters():
    check(characters, ("aé\x00ÿ\u0100漢\U0001f600",), ("",))


def built(start: str, part: str, times: int) -> list[str]:
    text = start + part
    for _ in range(times):
        text += part
    kept = text
    text += part
    return [text, kept]


def test_texts_of_every_length_and_width_grow_in_their_memory():
    for part in ("a", "é", "漢", "\U0001f600", "ab", "abc", "abcdefg"):
        for start in ("", "x", "漢"):
            check(built, *[(start, part, times) for times in range(0, 40, 3)], (start, part, 700))


def pieces_of_constants(n: int) -> str:
    out = ""
    for i in range(n):
        out += "0123456789abcdef"[i % 16]
        out += ", "
        if i % 5 == 0:
            out += "fifteen letters"
        if i % 7 == 0:
            out += "é漢"[i % 2]
        out += "sixteen letters!"
    return out


def hashed_between(n: int) -> list[int]:
    counts: dict[str, int] = {}
    lengths: set[int] = set()
    text = ""
    for i in range(n):
        text += "x"
        counts[text] = i
        lengths.add(hash(text) % 7 + len(text) - hash(text) % 7)
    same = "x" * n
    return [counts[same], hash(text) == hash(same), len(lengths), len(counts)]


def hashed_then_longer(n: int) -> bool:
    text = "start"
    for i in range(n):
        text += "abc"[i % 3]
        if i == n // 2:
            h = hash(text)
            text += "z"
            if h == hash(text):
                return False
    return hash(text) == hash("" + text[:3] + text[3:])


def kept_while_growing(n: int) -> list[str]:
    kept: list[str] = []
    text = ""
    for i in range(n):
        text += "ab"[i % 2]
        if i % 3 == 0:
            kept.append(text)
        text += "--"
    return kept


def test_short_pieces():
    check(pieces_of_constants, (0,), (1,), (8,), (200,))
    check(kept_while_growing, (0,), (1,), (50,))


def test_hashes_of_what_grows():
    check(hashed_between, (1,), (40,))
    check(hashed_then_longer, (0,), (1,), (60,))
