"""The low-level dialect in which the native library is written: its words.

A ``@native`` function is Python text with machine types; it is never run as Python, but lowered to
LLVM by ``native_lower``::

    @native
    def sm_sum(data: ptr, n: i64) -> i64:
        total = 0
        for i in range(n):
            total += load(i64, data, i * 8)
        return total

Grammar::

    function   = "def" name "(" {name ":" kind} ")" "->" (kind | "None") ":" statement+
    kind       = "i8" | "i16" | "i32" | "i64" | "f32" | "f64" | "ptr" | "bool"
    statement  = name [":" kind] "=" expr | name op"=" expr | name "," name "=" pair
               | "if" | "while" | "for" name "in" "range(" expr {"," expr} ")"
               | "break" | "continue" | "return" [expr] | "pass" | expr
    expr       = literal | name | expr op expr | -expr | ~expr | "not" expr
               | expr "and"/"or" expr | expr cmp expr {cmp expr} | expr "in" (expr, ...)
               | expr "if" expr "else" expr | call
    call       = kind(expr)                conversion, signed (``zext`` for unsigned)
               | native(args) | extern(args) | intrinsic(args)
    pair       = add_overflow(a, b) | sub_overflow | mul_overflow
               | compare_and_swap(p, old, new)

Rules: integers wrap around; ``+ - * & | ^ << >>`` (``>>`` is arithmetic) and signed comparisons
need operands of one kind, an integer literal takes the kind of the other operand; division,
remainder and unsigned forms are functions (``sdiv``, ``srem``, ``udiv``, ``urem``, ``lshr``,
``ult``, ...).  A local's kind is that of its first assignment (a bare literal gives i64 or f64);
locals start as zero.  ``ptr + i64`` moves by bytes; ``ptr - ptr`` is i64; ``ptr == 0`` tests for
null.  A condition may be an integer or a pointer, meaning "not zero".  Module-level ints and floats
are constants; module-level ``extern``, ``cell``, ``table``, ``external`` objects name symbols.
Functions whose name starts with an underscore are private to their module.  64-bit targets only.

Type checkers see ``i64`` and ``ptr`` as ``int``, ``f64`` as ``float``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

T = TypeVar("T", int, float)
F = TypeVar("F", bound=Callable[..., Any])


class NativeError(SyntaxError):
    """A mistake in dialect code; the text starts with file:line."""


@dataclass(frozen=True)
class Kind:
    """A machine type of the dialect."""

    name: str
    bits: int
    category: str  # "int", "float", "ptr", "bool"

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return max(1, self.bits // 8)


KINDS = {
    k.name: k
    for k in (
        Kind("i8", 8, "int"), Kind("i16", 16, "int"), Kind("i32", 32, "int"),
        Kind("i64", 64, "int"), Kind("f32", 32, "float"), Kind("f64", 64, "float"),
        Kind("ptr", 64, "ptr"), Kind("bool", 1, "bool"),
    )
}  # fmt: skip

if TYPE_CHECKING:
    i8 = int
    i16 = int
    i32 = int
    i64 = int
    ptr = int
    f32 = float
    f64 = float
else:
    i8, i16, i32, i64 = KINDS["i8"], KINDS["i16"], KINDS["i32"], KINDS["i64"]
    f32, f64, ptr = KINDS["f32"], KINDS["f64"], KINDS["ptr"]


@dataclass
class NativeFunction:
    """A function of the dialect: its Python source and its machine signature."""

    python: FunctionType
    hints: tuple[str, ...] = ()
    is_fast: bool = False  # not to be compiled for size

    @property
    def name(self) -> str:
        return self.python.__name__

    @property
    def is_private(self) -> bool:
        return self.name.startswith("_")

    @property
    def symbol(self) -> str:
        """The name in LLVM: private ones carry their module's."""
        return f"{self.python.__module__}.{self.name}" if self.is_private else self.name

    @property
    def parameters(self) -> list[tuple[str, Kind]]:
        """Names and kinds of the parameters."""
        hints = self.python.__annotations__
        return [(n, kind_of(t)) for n, t in hints.items() if n != "return"]

    @property
    def result(self) -> Kind | None:
        found = self.python.__annotations__["return"]
        return None if found in (None, "None") else kind_of(found)


def kind_of(annotation: object) -> Kind:
    """The kind an annotation (object or text) means."""
    if isinstance(annotation, Kind):
        return annotation
    name = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    if name not in KINDS:
        raise NativeError(f"{annotation!r} is not a kind of the native dialect")
    return KINDS[name]


@overload
def native(function: F) -> F: ...


@overload
def native(*, inline: bool = ..., noinline: bool = ..., fast: bool = ...) -> Callable[[F], F]: ...


def native(
    function: Any = None, *, inline: bool = False, noinline: bool = False, fast: bool = False
) -> Any:
    """Declare a function of the dialect.

    ``inline`` and ``noinline`` are orders to LLVM; ``fast`` asks for speed where the library is
    compiled for size.
    """
    hints = tuple(n for n, on in (("alwaysinline", inline), ("noinline", noinline)) if on)
    if function is not None:
        return NativeFunction(function, hints, fast)
    return lambda f: NativeFunction(f, hints, fast)


@dataclass(frozen=True)
class Extern:
    """A C function of another library."""

    name: str
    result: Kind | None
    parameters: tuple[Kind, ...]
    variadic: bool


@overload
def extern(
    name: str, result: None, *parameters: Any, variadic: bool = ...
) -> Callable[..., None]: ...


@overload
def extern(
    name: str, result: type[T], *parameters: Any, variadic: bool = ...
) -> Callable[..., T]: ...


def extern(name: str, result: Any, *parameters: Any, variadic: bool = False) -> Any:
    """Declare a C function: result kind (or None), then parameter kinds."""
    return Extern(name, None if result is None else kind_of(result),
                  tuple(kind_of(p) for p in parameters), variadic)  # fmt: skip


@dataclass(frozen=True)
class Symbol:
    """Data of the library or of another one; its name in a body is its address.

    ``content`` makes the bytes when the library is built; None for data that lives elsewhere.
    """

    name: str
    content: Callable[[], bytes] | None = field(default=None, compare=False)
    writable: bool = False


def cell(name: str, nbytes: int = 8) -> int:
    """Zeroed writable memory of the library."""
    return cast(int, Symbol(name, lambda: bytes(nbytes), writable=True))


def table(name: str, content: Callable[[], bytes]) -> int:
    """Constant data; ``content`` is called when the library is built."""
    return cast(int, Symbol(name, content))


def external(name: str) -> int:
    """Data that is found by its symbol when the library is loaded."""
    return cast(int, Symbol(name))


# ---- intrinsics: words of function bodies, lowered by native_lower ----

INTRINSICS: dict[object, str] = {}


def _word(function: F) -> F:
    INTRINSICS[function] = function.__name__
    return function


def _body_only() -> Any:
    raise NativeError("words of the native dialect have no meaning in Python")


@_word
def load(kind: type[T], address: int, offset: int = 0) -> T:
    """The value of ``kind`` at ``address + offset`` bytes."""
    return cast(T, _body_only())


@_word
def store(kind: type[T], address: int, offset: int, value: T) -> None:
    """Write ``value`` of ``kind`` at ``address + offset`` bytes."""
    _body_only()


@_word
def zext(kind: type[T], value: int) -> T:
    """Widen an integer without its sign."""
    return cast(T, _body_only())


@_word
def bitcast(kind: type[T], value: float) -> T:
    """The same bits as another kind of equal size."""
    return cast(T, _body_only())


@_word
def unsigned_to_float(value: int) -> float:
    """f64 of an unsigned i64."""
    return cast(float, _body_only())


@_word
def stack(nbytes: int) -> int:
    """Memory of the frame, 16-byte aligned, uninitialised; ``nbytes`` is constant."""
    return cast(int, _body_only())


@_word
def text(literal: str) -> int:
    """An immortal native str object with this value."""
    return cast(int, _body_only())


@_word
def utf8(literal: str) -> int:
    """Address of the NUL-terminated UTF-8 bytes of a literal."""
    return cast(int, _body_only())


@_word
def address_of(function: Callable[..., Any]) -> int:
    """Address of a native or extern function."""
    return cast(int, _body_only())


@overload
def call(result: None, function: int, *args: Any) -> None: ...


@overload
def call(result: type[T], function: int, *args: Any) -> T: ...


@_word
def call(result: Any, function: int, *args: Any) -> Any:
    """Call through an address; parameter kinds are those of the arguments."""
    return _body_only()


INTRINSICS[call] = "call"


def _integer_word(name: str, doc: str) -> Callable[[int, int], int]:
    def word(a: int, b: int) -> int:
        return cast(int, _body_only())

    word.__name__, word.__doc__ = name, doc
    return _word(word)


def _test_word(name: str, doc: str) -> Callable[[int, int], bool]:
    def word(a: int, b: int) -> bool:
        return cast(bool, _body_only())

    word.__name__, word.__doc__ = name, doc
    return _word(word)


def _pair_word(name: str, doc: str) -> Callable[[int, int], tuple[int, bool]]:
    def word(a: int, b: int) -> tuple[int, bool]:
        return cast("tuple[int, bool]", _body_only())

    word.__name__, word.__doc__ = name, doc
    return _word(word)


def _bits_word(name: str, doc: str) -> Callable[[int], int]:
    def word(a: int) -> int:
        return cast(int, _body_only())

    word.__name__, word.__doc__ = name, doc
    return _word(word)


def _float_word(name: str) -> Callable[[float], float]:
    def word(a: float) -> float:
        return cast(float, _body_only())

    word.__name__, word.__doc__ = name, f"LLVM's ``{name}``."
    return _word(word)


sdiv = _integer_word("sdiv", "Signed quotient, truncated; the divisor must not be 0.")
srem = _integer_word("srem", "Remainder of ``sdiv``.")
udiv = _integer_word("udiv", "Unsigned quotient.")
urem = _integer_word("urem", "Unsigned remainder.")
lshr = _integer_word("lshr", "Logical shift to the right.")
ult = _test_word("ult", "Unsigned a < b.")
ule = _test_word("ule", "Unsigned a <= b.")
ugt = _test_word("ugt", "Unsigned a > b.")
uge = _test_word("uge", "Unsigned a >= b.")
add_overflow = _pair_word("add_overflow", "Signed sum and whether it overflowed.")
sub_overflow = _pair_word("sub_overflow", "Signed difference and whether it overflowed.")
mul_overflow = _pair_word("mul_overflow", "Signed product and whether it overflowed.")
count_leading_zeros = _bits_word("count_leading_zeros", "Leading zero bits; the width for 0.")
count_trailing_zeros = _bits_word("count_trailing_zeros", "Trailing zero bits; the width for 0.")
count_ones = _bits_word("count_ones", "Number of set bits.")
fabs = _float_word("fabs")
floor = _float_word("floor")
ceil = _float_word("ceil")
trunc = _float_word("trunc")
rint = _float_word("rint")
sqrt = _float_word("sqrt")


@_word
def copysign(magnitude: float, sign: float) -> float:
    """LLVM's ``copysign``."""
    return cast(float, _body_only())


@_word
def likely(condition: bool) -> bool:
    """``condition``, expected to be true."""
    return cast(bool, _body_only())


@_word
def unlikely(condition: bool) -> bool:
    """``condition``, expected to be false."""
    return cast(bool, _body_only())


@_word
def memcpy(target: int, source: int, nbytes: int) -> None:
    """Copy bytes between places that do not overlap."""
    _body_only()


@_word
def memmove(target: int, source: int, nbytes: int) -> None:
    """Copy bytes between places that may overlap."""
    _body_only()


@_word
def memset(target: int, byte: int, nbytes: int) -> None:
    """Fill bytes."""
    _body_only()


@_word
def atomic_add(kind: type[T], address: int, value: T) -> T:
    """Add atomically (sequentially consistent); the value before."""
    return cast(T, _body_only())


@_word
def atomic_load(kind: type[T], address: int) -> T:
    """Load with acquire ordering."""
    return cast(T, _body_only())


@_word
def atomic_store(kind: type[T], address: int, value: T) -> None:
    """Store with release ordering."""
    _body_only()


@_word
def compare_and_swap(address: int, old: int, new: int) -> tuple[int, bool]:
    """Replace ``old`` by ``new`` atomically; the value found and whether it was replaced."""
    return cast("tuple[int, bool]", _body_only())
