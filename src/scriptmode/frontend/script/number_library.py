"""Functions of ``math`` and methods of str as Python code, compiled like the user's own."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any


def prod(iterable: Iterable[Any], *, start: Any = 1) -> Any:
    """``math.prod``."""
    result = start
    for item in iterable:
        result = result * item
    return result


def float_prod(iterable: Iterable[Any], *, start: float = 1.0) -> float:
    """``math.prod`` of floats; an empty one is not asked for."""
    result = start
    for item in iterable:
        result = result * item
    return result


def dist(p: Any, q: Any) -> float:
    """``math.dist``."""
    if len(p) != len(q):
        raise ValueError("both points must have the same number of dimensions")
    return vector_norm([abs(float(a) - float(b)) for a, b in zip(p, q, strict=True)])


def hypot(*coordinates: float) -> float:
    """``math.hypot`` of any number of floats."""
    return vector_norm([abs(float(c)) for c in coordinates])


def vector_norm(sizes: list[float]) -> float:
    """The root of the sum of squares as CPython computes it (``vector_norm``, since 3.10).

    The numbers are scaled by a power of two, squared and added without error, and the root is
    corrected by what it leaves over.
    """
    largest = 0.0
    for size in sizes:
        largest = max(largest, size)
    for size in sizes:
        if math.isinf(size):
            return size
    for size in sizes:
        if math.isnan(size):
            return size
    if largest == 0.0 or len(sizes) <= 1:
        return largest
    exponent = math.frexp(largest)[1]
    if exponent < -1023:
        return _tiny_norm(sizes, largest)
    scale = math.ldexp(1.0, -exponent)
    total, low, lost = 1.0, 0.0, 0.0
    for size in sizes:
        high, rest = exact_product(size * scale, size * scale)
        low += rest
        total, rest = exact_sum(total, high)
        lost += rest
    return corrected_root(total, low, lost) / scale


def _tiny_norm(sizes: list[float], largest: float) -> float:
    """``vector_norm`` of subnormal numbers, for which no power of two scales."""
    total, lost = 1.0, 0.0
    for size in sizes:
        part = size / largest
        total, rest = exact_sum(total, part * part)
        lost += rest
    return largest * math.sqrt(total - 1.0 + lost)


def hypot_of_two(x: Any, y: Any) -> float:
    """``math.hypot`` of two numbers: ``vector_norm`` without a list."""
    a, b = abs(float(x)), abs(float(y))
    if math.isinf(a) or math.isinf(b):
        return math.inf
    if math.isnan(a) or math.isnan(b):
        return a + b
    largest = max(a, b)
    if largest == 0.0:
        return largest
    exponent = math.frexp(largest)[1]
    if exponent < -1023:
        return _tiny_norm([a, b], largest)
    scale = math.ldexp(1.0, -exponent)
    high, low = exact_product(a * scale, a * scale)
    total, lost = exact_sum(1.0, high)
    high, rest = exact_product(b * scale, b * scale)
    low += rest
    total, rest = exact_sum(total, high)
    lost += rest
    return corrected_root(total, low, lost) / scale


def corrected_root(total: float, low: float, lost: float) -> float:
    """The root of ``total - 1 + low + lost``, corrected by what its square leaves over."""
    root = math.sqrt(total - 1.0 + (low + lost))
    high, rest = exact_product(-root, root)
    low += rest
    total, rest = exact_sum(total, high)
    lost += rest
    return root + (total - 1.0 + (low + lost)) / (2.0 * root)


_SPLIT = 134217729.0  # 2 ** 27 + 1


def exact_sum(a: float, b: float) -> tuple[float, float]:
    """``a + b`` and its error, for a not smaller ``a``."""
    total = a + b
    return total, (a - total) + b


def exact_product(a: float, b: float) -> tuple[float, float]:
    """``a * b`` and its error (Dekker, "A floating-point technique", 1971)."""
    wide = a * _SPLIT
    a_high = wide - (wide - a)
    a_low = a - a_high
    wide = b * _SPLIT
    b_high = wide - (wide - b)
    b_low = b - b_high
    high = a_high * b_high
    middle = a_high * b_low + a_low * b_high
    product = high + middle
    return product, high - product + middle + a_low * b_low


def fsum(iterable: Iterable[Any]) -> float:
    """``math.fsum``: Shewchuk's exact partial sums, then rounded once."""
    partials: list[float] = []
    special = 0.0
    infinite = 0.0
    for item in iterable:
        x = float(item)
        start = x
        count = 0
        for y in partials:
            if abs(x) < abs(y):
                x, y = y, x
            high = x + y
            low = y - (high - x)
            if low != 0.0:
                partials[count] = low
                count += 1
            x = high
        del partials[count:]
        if x != 0.0:
            if math.isinf(x) or math.isnan(x):
                if math.isfinite(start):
                    raise OverflowError("intermediate overflow in fsum")
                if math.isinf(start):
                    infinite += start
                special += start
                partials.clear()
            else:
                partials.append(x)
    if special != 0.0:
        if math.isnan(infinite):
            raise ValueError("-inf + inf in fsum")
        return special
    return rounded_sum(partials)


def rounded_sum(partials: list[float]) -> float:
    """The sum of partial sums that do not overlap, rounded half to even."""
    high = 0.0
    count = len(partials)
    if count > 0:
        count -= 1
        high = partials[count]
        low = 0.0
        while count > 0:
            x = high
            count -= 1
            y = partials[count]
            high = x + y
            low = y - (high - x)
            if low != 0.0:
                break
        # half-way cases depend on the sign of what is left
        if count > 0 and (
            (low < 0.0 and partials[count - 1] < 0.0) or (low > 0.0 and partials[count - 1] > 0.0)
        ):
            y = low * 2.0
            x = high + y
            if y == x - high:
                high = x
    return high


def sumprod(p: Iterable[Any], q: Iterable[Any]) -> Any:
    """``math.sumprod``."""
    return sum([a * b for a, b in zip(p, q, strict=True)])


def pow_modulo(base: int, exponent: int, modulus: int) -> int:
    """``pow(base, exponent, modulus)``."""
    if modulus == 0:
        raise ValueError("pow() 3rd argument cannot be 0")
    size = abs(modulus)
    value = base % size
    if exponent < 0:
        value = inverse(value, size)
        exponent = -exponent
    result = 1 % size
    while exponent > 0:
        if exponent & 1:
            result = multiply_modulo(result, value, size)
        value = multiply_modulo(value, value, size)
        exponent >>= 1
    return result + modulus if modulus < 0 and result != 0 else result


def multiply_modulo(a: int, b: int, size: int) -> int:
    """``a * b % size`` of numbers below ``size``, whose product may not fit an int."""
    if a < 3037000499 and b < 3037000499:
        return a * b % size
    result = 0
    while b > 0:
        if b & 1:
            result = a - (size - result) if a >= size - result else result + a
        a = a - (size - a) if a >= size - a else a + a
        b >>= 1
    return result


def inverse(value: int, size: int) -> int:
    """The inverse of ``value`` modulo ``size``."""
    a, b = value, size
    x, y = 1, 0
    while b != 0:
        quotient = a // b
        a, b = b, a - quotient * b
        x, y = y, x - quotient * y
    if a != 1:
        raise ValueError("base is not invertible for the given modulus")
    return x % size


def ratio_of_int(value: int) -> tuple[int, int]:
    """``int.as_integer_ratio``."""
    return value, 1


def ratio_of_float(value: float) -> tuple[int, int]:
    """``float.as_integer_ratio``."""
    if math.isinf(value):
        raise OverflowError("cannot convert Infinity to integer ratio")
    if math.isnan(value):
        raise ValueError("cannot convert NaN to integer ratio")
    fraction, exponent = math.frexp(value)
    for _ in range(300):
        if fraction == math.floor(fraction):
            break
        fraction *= 2.0
        exponent -= 1
    numerator = int(fraction)
    denominator = 1
    if exponent > 0:
        numerator <<= exponent
    else:
        denominator <<= -exponent
    return numerator, denominator


def same(value: Any) -> Any:
    """The number itself."""
    return value


def escaped(text: str) -> str:
    """A repr without characters beyond ASCII."""
    parts: list[str] = []
    for c in text:
        code = ord(c)
        if code < 128:
            parts.append(c)
        elif code < 256:
            parts.append(f"\\x{code:02x}")
        elif code < 65536:
            parts.append(f"\\u{code:04x}")
        else:
            parts.append(f"\\U{code:08x}")
    return "".join(parts)


def translated(text: str, table: dict[int, Any]) -> str:
    """``str.translate``."""
    parts: list[str] = []
    for c in text:
        if ord(c) in table:
            found = table[ord(c)]
            if found is None:
                continue
            parts.append(chr(found) if isinstance(found, int) else found)
        else:
            parts.append(c)
    return "".join(parts)


def translation(old: str, new: str) -> dict[int, int]:
    """``str.maketrans`` of two texts."""
    if len(old) != len(new):
        raise ValueError("the first two maketrans arguments must have equal length")
    return {ord(a): ord(b) for a, b in zip(old, new, strict=True)}


def translation_without(old: str, new: str, gone: str) -> dict[int, int | None]:
    """``str.maketrans`` of two texts and what to leave out."""
    if len(old) != len(new):
        raise ValueError("the first two maketrans arguments must have equal length")
    table: dict[int, int | None] = {ord(a): ord(b) for a, b in zip(old, new, strict=True)}
    for c in gone:
        table[ord(c)] = None
    return table
