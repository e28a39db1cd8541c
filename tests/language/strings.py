"""Strings and bytes"""


def code_points(s: str = "né日"):
    """a `str` is Unicode code points: `len`, indices, slices, iteration, `in`"""
    return len(s), s[1], s[-1], s[::-1], s[1:], [c for c in s], "é" in s


def operators(s: str = "ab"):
    """`+ * < <= == !=` and `+=`"""
    s += "c"
    return s + "d", s * 2, s < "b", s == "abc", s != "x"


def methods(s: str = "Hello, World"):
    """the methods of `str`"""
    return (
        s.upper(), s.lower(), s.title(), s.swapcase(), s.casefold(), s.split(", "), s.replace("l", "L"),
        s.find("o"), s.rfind("o"), s.count("l"), s.startswith(("He", "x")), s.endswith("d"),
        s.strip("Hd"), s.center(20, "*"), s.zfill(15), s.partition(", "), s.isalpha(),
        s.removeprefix("Hello"), "-".join(["a", "b"]), s.index("W"), s.splitlines(), s.expandtabs(),
    )  # fmt: skip


def f_strings(n: int = 42, x: float = 3.14159, s: str = "é"):
    """f-strings with conversions and format specs"""
    return f"{n:05d} {x:.2f} {s!r} {n:x} {x:>10.3e} {n=} {{}} {x:{n - 32}.1f}"


def formats(n: int = 7, x: float = 0.5):
    """`%` formatting, `.format`, `format()`"""
    return (
        "%03d %5.2f %s %%" % (n, x, "t"),
        "{} {1} {0}".replace("{} ", "").format(n, x),
        format(n, "b"),
    )


def conversion(n: int = 3):
    """`str` and `repr` of every value that has a text of its own"""
    return str(n), repr("a'b"), str([1, 2.5, "x", None]), str({"k": (1,)}), repr(True)


def ordering(a: str = "b", b: str = "a"):
    """`sorted`, `min`, `max` of strings"""
    return sorted([a, b, "é"]), min(a, b), max([a, b])


def byte_strings(s: str = "hé"):
    """`bytes`: literals, indices, slices, `encode`, `decode`, methods"""
    b = s.encode("utf-8")
    return len(b), b[0], b[1:], b == b"h\xc3\xa9", b.decode("utf-8"), b"a,b".split(b","), b.hex()
