"""Programs with exception classes of their own, and arguments for them."""

from __future__ import annotations

from typing import Optional

import scriptmode


class AppError(Exception):
    pass


class ParseError(AppError):
    def __init__(self, message: str, line: int):
        super().__init__(message)
        self.line = line

    def where(self) -> str:
        return f"line {self.line}"


class CodeError(ValueError):
    def __init__(self, code: int, detail: Optional[str] = None):
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    def __str__(self):
        return f"[{self.code}] {self.detail}"


class Sub(CodeError):
    pass


class NoInit(RuntimeError):
    kind = "noinit"

    def describe(self) -> str:
        return self.kind + ":" + str(self)


def raises_each(n: int):
    if n == 0:
        raise AppError("app")
    if n == 1:
        raise ParseError("parse", 7)
    if n == 2:
        raise CodeError(3, "x")
    if n == 3:
        raise Sub(4)
    if n == 4:
        raise NoInit("a", "b")
    return n


def catches_by_class(n: int):
    try:
        raises_each(n)
    except ParseError as e:
        return "P", e.where(), e.line, str(e), repr(e)
    except AppError as e:
        return "A", "", 0, str(e), repr(e)
    except Sub as e:
        return "S", str(e.detail), e.code, str(e), repr(e)
    except CodeError as e:
        return "C", str(e.detail), e.code, str(e), repr(e)
    except NoInit as e:
        return "N", e.describe(), 0, str(e), repr(e)
    return "", "", 0, "", ""


def isinstance_narrows(n: int):
    try:
        raises_each(n)
    except Exception as e:
        if isinstance(e, CodeError):
            return e.code, str(e)
        return -1, f"{e}"
    return 0, ""


def wraps(n: int):
    try:
        raises_each(n)
    except (AppError, CodeError) as e:
        raise RuntimeError("wrapped") from e


def changes_an_attribute(n: int):
    e = ParseError("kept", n)
    e.line += 1
    if n > 3:
        raise e
    return e.line


@scriptmode.ignore
def python_raises_own(n: int) -> int:
    if n > 5:
        error = WithItems("incomplete", n)
        del error.items
        raise error
    raise WithItems("of python", n)


class WithItems(Exception):
    def __init__(self, message: str, code: int):
        super().__init__(message)
        self.code = code
        self.items = [code]


def attributes_of_an_error_of_python(n: int):
    try:
        return python_raises_own(n)
    except WithItems as e:
        e.items.append(3)
        return e.code * 10 + len(e.items)


def changes_an_error_of_python(n: int):
    if n < 0:
        raise WithItems("own", n)
    try:
        return python_raises_own(n)
    except WithItems as e:
        e.code = 77
        raise


CASES = [
    (attributes_of_an_error_of_python, (4,)),
    (changes_an_error_of_python, (4,), (-1,)),
    (raises_each, *((i,) for i in range(6))),
    (catches_by_class, *((i,) for i in range(6))),
    (isinstance_narrows, *((i,) for i in range(6))),
    (wraps, *((i,) for i in range(6))),
    (changes_an_attribute, (1,), (5,)),
]
