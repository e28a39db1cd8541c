"""``__str__`` and ``__repr__`` of exceptions that ask those of the builtin classes."""

from __future__ import annotations

from tests.fourway import check


class Coded(Exception):
    def __init__(self, code: int, message: str = "m"):
        super().__init__(message)
        self.code = code

    def __str__(self):
        return f"[{self.code}] {super().__str__()}"


class Missing(Coded, KeyError):
    pass


class Shown(Exception):
    def __repr__(self):
        return "<" + super().__repr__() + ">"


class Field(ValueError):
    def __init__(self, field: str, why: str):
        self.field = field
        super().__init__(field, why)

    def __str__(self):
        return self.field + ": " + super().__str__() + super().__repr__()


class Key(KeyError):
    def __str__(self):
        return "<" + super().__str__() + ">"


def texts(c: int):
    try:
        if c == 0:
            raise Missing(3, "nf")
        if c == 1:
            raise Shown(c)
        if c == 2:
            raise Field("name", "bad")
        raise Coded(c)
    except KeyError as e:
        return "key", str(e), e.args, repr(e)
    except Coded as e:
        return "coded", str(e), e.args, repr(e)
    except Exception as e:
        return f"{e}", str(e), e.args, repr(e)


def keys(text: str):
    return str(Key(text)), str(Key()), str(Key(text, 1))


def asked_of_builtins(c: int):
    e: Exception = ValueError("a") if c == 1 else (ValueError() if c == 0 else ValueError("a", 2))
    return str(e), repr(e), Exception.__str__(e), BaseException.__repr__(e)


def raises(text: str):
    raise Field(text, "bad")


def test_texts_by_super():
    check(texts, (0,), (1,), (2,), (3,))
    check(keys, ("a",))
    check(raises, ("x",))


def test_texts_by_the_builtin_s_name():
    check(asked_of_builtins, (0,), (1,), (2,))
