"""Numbers"""

import cmath
import math

import torch


def integers(a: int = 7, b: int = -2):
    """`+ - * // % ** << >> & | ^ ~ -` on `int`: 64 bits, `OverflowError` beyond them"""
    return a + b, a - b, a * b, a // b, a % b, a**3, a << 3, a >> 1, a & 6, a | 8, a ^ b, ~a, -a


def overflow(a: int = 2**62):
    """an `int` outside 64 bits: `OverflowError`, where Python's grows"""
    try:
        return a * 4 if a < 0 else a // 3
    except OverflowError:
        return 0


def division_by_zero(a: int = 5, b: int = 0):
    """division by zero: `ZeroDivisionError`, for ints and floats"""
    return a / b


def floats(a: float = 7.5, b: float = -2.0):
    """`+ - * / // % **` on `float`"""
    return a + b, a - b, a * b, a / b, a // b, a % b, a**2, abs(b), -a


def mixed(i: int = 3, x: float = 0.5, b: bool = True):
    """mixed arithmetic of `int`, `float` and `bool` widens as in Python"""
    return i + x, i * b, x - b, i / 2, b + b, i == 3.0, b == 1


def complexes(z: complex = 1 + 2j, x: float = 2.0):
    """`complex`: operators, `.real`, `.imag`, `.conjugate()`, `abs`"""
    return z + x, z * z, z / 2, z.real, z.imag, z.conjugate(), abs(z), z == z


def operands(a: int = 0, b: int = 5, s: str = ""):
    """`and` and `or` return an operand"""
    return a or b, b and a, s or "empty", not a


def chained(a: int = 3):
    """chained comparisons"""
    return 1 < a <= 3 != 4, 5 > a > 4


def builtins_of_numbers(a: int = -7, b: int = 3, x: float = 2.5):
    """`abs divmod round pow min max sum any all`"""
    return (
        abs(a), divmod(a, b), round(x), round(x, 1), pow(b, 4), pow(b, 4, 5), min(a, b), max(a, b, 9),
        sum([a, b]), sum([a], b), any([a > 0]), all([True]),
    )  # fmt: skip


def conversions(a: int = 65, x: float = -2.75, s: str = "12"):
    """`int() float() bool() complex() str() chr ord hex oct bin`"""
    return (
        int(x), float(a), bool(a), complex(a, x), str(x), int(s), float(s), int("ff", 16), chr(a),
        ord("é"), hex(a), oct(a), bin(a),
    )  # fmt: skip


def failed_conversion(s: str = "seven"):
    """a conversion that fails raises as in Python"""
    return int(s)


def methods_of_numbers(a: int = 10, x: float = 2.0):
    """`int.bit_length`, `float.is_integer`"""
    return a.bit_length(), x.is_integer()


def mathematics(x: float = 0.5, n: int = 12):
    """the functions and constants of `math`"""
    return (
        math.sqrt(x), math.exp(x), math.log(x), math.log2(8.0), math.sin(x), math.atan2(x, 1.0),
        math.floor(-x), math.ceil(x), math.trunc(-2.5), math.gcd(n, 18), math.comb(n, 2),
        math.isqrt(n), math.factorial(5), math.hypot(3.0, 4.0), math.pi, math.inf > 0,
        math.isclose(x, 0.5), math.copysign(x, -1.0), math.fsum([x, x]), math.prod([n, 2]),
    )  # fmt: skip


def domain_error(x: float = -1.0):
    """`math` raises `ValueError` and `OverflowError` as Python does"""
    return math.sqrt(x)


def complex_functions(z: complex = 1j):
    """`cmath`"""
    return cmath.exp(z), cmath.sqrt(z), cmath.phase(z)


def hashes(a: int = 7, s: str = "key"):
    """`hash()` is CPython's"""
    return hash(a), hash(s), hash((a, s)), hash(1.5), hash(True)


def tensor_numbers(x: torch.Tensor = torch.tensor([1.0, 2.0])):
    """numbers out of tensors: `.item()`, `int()`, `float()`, `bool()`, `.tolist()`"""
    return x.sum().item(), int(x[0]), float(x[1]), bool(x[0] > 0)
