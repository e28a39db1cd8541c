"""Text: formats known at run time, ``%`` in full, translation, encoding, ASCII."""

import pytest

from tests.fourway import check


def braces(template: str, x: float, n: int) -> str:
    return template.format(x, n, name="é")


def percent(template: str, n: int) -> str:
    return template % n


def pair(template: str, n: int, s: str) -> str:
    return template % (n, s)


def written(n: int, x: float, s: str) -> list[str]:
    return [
        "%*d|%-*d|%.*f" % (5, n, 5, n, 2, x), "%.3d %5.2s" % (n, s), "%c%c" % (97, "b"),
        "%(a)s %(b)d" % {"a": s, "b": n}, "%s %r %a" % (s, s, s), "{:>{w}}".format(s, w=9),
        "%x %#X %o %e %G" % (n, n, n, x, x), ascii(s), f"{s!a:>12}",
    ]  # fmt: skip


def test_formats_known_at_run_time():
    check(braces, ("{} {} {name}", 1.5, 2), ("{1:>5}|{0!r}|{{}}", 1.5, 2), ("{9}", 1.5, 2))
    check(braces, ("{", 1.5, 2), ("{:d}", 1.5, 2), ("{missing}", 1.5, 2))
    check(percent, ("%05d", 42), ("%s%%", 1), ("%d %d", 1), ("none", 1), ("%(a)s", 1))
    check(pair, ("%d-%s", 42, "é"), ("%s", 1, "a"))


def test_formats_in_full():
    check(written, (42, 2.5, "é'\n漢\U0001f600"), (7, -1e300, ""))


def translated(s: str) -> list[str]:
    return [
        s.translate({97: "x", 98: None, 99: 100}), s.translate(str.maketrans("ab", "éy")),
        s.translate(str.maketrans("ab", "xy", "c")), s.translate({}),
    ]  # fmt: skip


def test_translation():
    check(translated, ("abcabc",), ("",), ("漢a",))


def joined(parts: list[str], sep: str) -> list[str]:
    return [sep.join(parts), sep.join(p * 2 for p in parts), "".join(parts), sep.join("abc")]


@pytest.mark.parametrize(
    "parts", [[], ["a"], ["a", "é", "漢"], ["", ""], ["x" * 300, "\U0001f600"]]
)
def test_joining(parts):
    check(joined, (parts, "-"), (parts, ""), (parts, "漢"))


def searched(s: str, t: str) -> list[int]:
    return [s.find(t), s.rfind(t), s.count(t), s.find(t, 2), s.find(t, 1, 4), len(s.split(t))]


def test_searching():
    text = "abcabcabx\0ab"
    check(
        searched, (text, "ab"), (text, "abx"), (text, "\0"), (text, "zz"), (text, text), ("", "a")
    )
    check(
        searched, ("é" + text, "ab"), ("漢ab漢ab", "b漢"), ("漢ab", "é"), (text, "漢"), (text, "")
    )
