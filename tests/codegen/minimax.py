"""Derive the polynomials of ``scriptmode.codegen.elementwise``.

``python -m tests.codegen.minimax [NAME ...]`` prints rows of ``coefficients.py``.

Each is the best approximation in the weighted maximum norm (Remez' exchange algorithm on a dense
Chebyshev grid, in 200 bits by mpmath).  Its coefficients are rounded to the format one after the
other, lowest order first, and the others fitted again each time, so that the rounding of one is
made good by the next (after Brisebarre and Chevillard, "Efficient polynomial L-infinity
approximations", ARITH 2007, without the lattice reduction).
"""

import math
import struct
import sys
from dataclasses import dataclass
from typing import Callable

import mpmath
from mpmath import mp, mpf

from scriptmode.codegen.elementwise.error_function import ERFC, NORMAL

LN2_HALF = 0.35
SQRT2 = math.sqrt(2)


@dataclass(frozen=True)
class Fit:
    """``function(u)`` on ``[low, high]`` as a polynomial in u; errors count times ``weight(u)``."""

    function: Callable
    weight: Callable
    low: float
    high: float
    degree32: int | None
    degree64: int | None
    high64: float | None = None
    is_split: bool = False  # the constant term comes as a sum of two numbers


def nonzero(function):
    """``function`` at its argument moved off zero, where the quotient would be 0/0."""
    return lambda u: function(u if u else mpf(2) ** -60)


def odd(function):
    """(f(x) - x) / x**3 in z = x*x, for an odd f."""
    root = mp.sqrt
    return nonzero(lambda z: (function(root(z)) / root(z) - 1) / z)


def odd_weight(function):
    return nonzero(lambda z: mp.sqrt(z) * z / function(mp.sqrt(z)))


def unfold(t, constants):
    """x of t."""
    return constants[0] * (1 + t) / (1 - t)


def fold(x, constants):
    """t of x."""
    return (x - constants[0]) / (x + constants[0])


def scaled_erfc(t):
    """(x + d) exp(x*x) erfc(x)."""
    x = unfold(t, ERFC)
    return (x + ERFC[1]) * mp.exp(x * x) * mp.erfc(x)


def scaled_normal(t):
    """(x + d) exp(x*x/2) Phi(-x), Phi the normal distribution."""
    x = unfold(t, NORMAL)
    return (x + NORMAL[1]) * mp.exp(x * x / 2) * mp.erfc(x / mp.sqrt(2)) / 2


FITS = {
    "EXP": Fit(
        nonzero(lambda r: (mp.expm1(r) - r) / r**2),
        lambda r: r**2 / mp.exp(r), -LN2_HALF, LN2_HALF, 4, 9,
    ),
    "EXP2": Fit(
        nonzero(lambda r: mp.expm1(r * mp.ln2) / r), lambda r: abs(r) / mpf(2) ** r, -0.501, 0.501, 5, 10
    ),
    # of pow for floats, in doubles
    "POW_EXP2": Fit(
        nonzero(lambda r: mp.expm1(r * mp.ln2) / r), lambda r: abs(r) / mpf(2) ** r, -0.501, 0.501, None, 6
    ),
    "LOG": Fit(
        nonzero(lambda f: (mp.log1p(f) - f + f * f / 2) / f**3),
        nonzero(lambda f: f**3 / mp.log1p(f)), SQRT2 / 2 - 1.001, SQRT2 - 0.999, 7, None,
    ),
    "LOG_ATANH": Fit(
        nonzero(lambda z: (2 * mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 2) / z),
        lambda z: z, 0, 0.0295, 4, 6,
    ),
    "LOG_TAIL": Fit(
        nonzero(lambda z: (2 * mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 2 - 2 * z / 3) / z**2),
        lambda z: 1, 0, 0.0295, None, 7,
    ),
    "SINH": Fit(odd(mp.sinh), odd_weight(mp.sinh), 0, 1, 3, 6),
    "TANH": Fit(odd(mp.tanh), odd_weight(mp.tanh), 0, 0.55**2, 4, 10),
    "SIN": Fit(odd(mp.sin), odd_weight(mp.sin), 0, 0.79**2, 2, 5),
    "COS": Fit(
        nonzero(lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2),
        lambda z: z**2 / mp.cos(mp.sqrt(z)), 0, 0.79**2, 2, 5,
    ),
    "ASIN": Fit(odd(mp.asin), odd_weight(mp.asin), 0, 0.25, 4, 11),
    "ATAN": Fit(odd(mp.atan), odd_weight(mp.atan), 0, 0.1716, 4, 10),
    "ERF": Fit(
        nonzero(lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 1),
        nonzero(lambda z: mp.sqrt(z) / mp.erf(mp.sqrt(z))), 0, 0.75**2, 5, 11, 1,
    ),
    "LOG_ERFC": Fit(lambda x: mp.log(mp.erfc(x)), mp.erfc, 0.75, 3.95, 7, 18, 5.98),
    "ERFC": Fit(
        scaled_erfc, lambda t: 1 / scaled_erfc(t),
        fold(0.5, ERFC), fold(10.1, ERFC), 9, 21, fold(27.3, ERFC), True,
    ),
    "NORMAL": Fit(
        scaled_normal, lambda t: 1 / scaled_normal(t),
        fold(0, NORMAL), fold(14.3, NORMAL), 10, 22, fold(39.0, NORMAL), True,
    ),
}  # fmt: skip


def rounded(value, bits):
    """The float (24 bits) or double (53) next to ``value``."""
    if bits == 24:
        return struct.unpack("f", struct.pack("f", float(value)))[0]
    return float(value)


def remez(values, weights, powers):
    """Coefficients of the best fit of the grid, and its weighted error.

    ``powers[i][j]`` is the i-th basis function at the j-th point of the grid.
    """
    unknowns, points = len(powers), len(values)
    size = unknowns + 1
    chosen = [round((points - 1) * (i + 1) / size) for i in range(size)]
    coefficients, error = [], mpf(0)
    for _ in range(30):
        matrix = mp.matrix(size, size)
        right = mp.matrix(size, 1)
        for row, j in enumerate(chosen):
            for i in range(unknowns):
                matrix[row, i] = powers[i][j] * weights[j]
            matrix[row, unknowns] = (-1) ** row
            right[row] = values[j] * weights[j]
        solution = mp.lu_solve(matrix, right)
        coefficients = [solution[i] for i in range(unknowns)]
        errors = [
            (values[j] - mpmath.fdot(coefficients, [p[j] for p in powers])) * weights[j]
            for j in range(points)
        ]
        error = max(abs(e) for e in errors)
        if error <= abs(solution[unknowns]) * mpf("1.01"):
            break
        chosen = exchange(errors, size)
    return coefficients, error


def exchange(errors, size):
    """The points of ``size`` neighbouring extrema of alternating sign, the largest ones."""
    runs = []
    for j, e in enumerate(errors):
        if runs and (e < 0) == (errors[runs[-1]] < 0):
            if abs(e) > abs(errors[runs[-1]]):
                runs[-1] = j
        else:
            runs.append(j)
    while len(runs) > size:
        runs.pop(0 if abs(errors[runs[0]]) < abs(errors[runs[-1]]) else -1)
    while len(runs) < size:  # the error is flat: any further points do
        runs = sorted({*runs, *(j for j in range(len(errors)) if j not in runs)})[:size]
    return runs


def fit(name, bits):
    """Coefficients of row ``name``, lowest first, and log2 of the weighted error."""
    row = FITS[name]
    degree = row.degree32 if bits == 24 else row.degree64
    high = row.high64 if bits == 53 and row.high64 is not None else row.high
    with mp.workprec(200):
        points = 20 * (degree + 2)
        middle, half = (mpf(row.low) + high) / 2, (mpf(high) - row.low) / 2
        grid = [middle - half * mp.cos(mp.pi * j / (points - 1)) for j in range(points)]
        values = [row.function(u) for u in grid]
        weights = [row.weight(u) for u in grid]
        powers = [[u**i for u in grid] for i in range(degree + 1)]
        fixed = []
        # what the rounding of high orders does is far below the format's precision in doubles
        refits = degree + 1 if bits == 24 else min(4, degree + 1)
        if row.low < 0 < high:
            refits = 1  # without u**0 the others vanish at 0: no best approximation by them
        for i in range(refits):
            coefficients, _ = remez(values, weights, powers[i:])
            fixed.append(rounded(coefficients[0], bits))
            values = [v - fixed[i] * p for v, p in zip(values, powers[i])]
        fixed += [rounded(c, bits) for c in coefficients[1:]]
        if row.is_split:
            rest = rounded(coefficients[0] - fixed[0], bits)
            values = [v - rest for v in values]
        for i in range(refits, degree + 1):
            values = [v - fixed[i] * p for v, p in zip(values, powers[i])]
        error = max(abs(v * w) for v, w in zip(values, weights))
        if row.is_split:
            fixed.insert(1, rest)
        return fixed, float(mp.log(error, 2))


def main(names):
    for name in names or FITS:
        for bits, degree in ((24, FITS[name].degree32), (53, FITS[name].degree64)):
            if degree is not None:
                coefficients, error = fit(name, bits)
                digits = 9 if bits == 24 else 17
                texts = "".join(f"\n        {float(f'{c:.{digits}g}')!r}," for c in coefficients)
                print(f"    # error 2**{error:.1f}", flush=True)
                print(f'    ("{name}", {bits}): ({texts}\n    ),', flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
