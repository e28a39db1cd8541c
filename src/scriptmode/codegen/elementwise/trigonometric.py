"""sin, cos and tan for all arguments.

|x| = n * pi/2 + r with |r| <= pi/4, r in two parts; the result is a polynomial of r, which one (and
its sign) depends on n modulo 4.  The ways to r:

- for |x| <= LIMITS pi/2 has three parts, n times the first is taken off exactly (Cody and Waite);
- of larger doubles, integers times a power of two, only those bits of 2/pi count that contribute to
  the quadrant and to the fraction (Payne and Hanek); they are loaded from a table and multiplied as
  integers.  Both ways are computed, and one selected;
- all floats are multiplied by enough bits of 2/pi in doubles, unless they are known to be small.

Those who know that |x| <= LIMITS use ``sin_small``, ``cos_small``, ``tan_small``.
"""

from __future__ import annotations

import math

from llvmlite import ir

from scriptmode.codegen.elementwise.coefficients import (
    COEFFICIENTS,
    TWO_OVER_PI,
    fraction_parts,
    parts,
)
from scriptmode.codegen.elementwise.lanes import (
    F32,
    F64,
    I32,
    I64,
    Lanes,
    fast_two_sum,
    fused,
    polynomial,
    rounded,
    two_product,
    where,
)

LIMITS = {24: 2.0**15, 53: 2.0**26}
HALF_PI = {p: parts("HALF_PI", p, p, p) for p in (24, 53)}
WORDS = [int(TWO_OVER_PI[i : i + 8], 16) for i in range(0, len(TWO_OVER_PI), 8)]
TWO_OVER_PI_PARTS = fraction_parts(0)
TWO_OVER_PI_TAIL = fraction_parts(27)
TABLE = "sm_two_over_pi"
Pair = tuple[Lanes, Lanes]
# r, what r lacks (None: too little to count), n modulo 4 (an integer)
Reduced = tuple[Lanes, Lanes | None, Lanes]


def _reduce_small(a: Lanes) -> tuple[Lanes, Lanes, Lanes]:
    first, second, third = HALF_PI[a.format.precision]
    number, n = rounded(a * (2 / math.pi))
    rest = fused(-number, first, a)  # exact: the difference has no bits below those of first
    part = number.times(second)
    r = rest.minus(part)
    lost = fused(number, second, -part) + number * third
    return r, rest.minus(r).minus(part) - lost, n


def _modulo_four(x: Lanes) -> Lanes:
    """x less a multiple of 4, between -2 and 2; exact, for doubles below 2**52."""
    rounder = 4.0 * x.format.rounder
    return x.minus(x.plus(rounder).minus(rounder))


def _reduce32(a: Lanes) -> Reduced:
    """All floats, in doubles: a * 2/pi modulo 4, with 159 bits of 2/pi.

    Of a large a, which is a multiple of 2**29, the first 27 bits of 2/pi make multiples of 4.
    """
    wide = a.converted("fpext", F64)
    is_large = wide >= 2.0**52
    first, second, third = (
        where(is_large, wide.constant(large), small)
        for small, large in zip(TWO_OVER_PI_PARTS, TWO_OVER_PI_TAIL, strict=True)
    )
    head, head_low = two_product(wide, first)
    middle, middle_low = two_product(wide, second)
    head = head - (head * 0.25).intrinsic("llvm.rint") * 4.0
    head_low, middle = _modulo_four(head_low), _modulo_four(middle)
    number, n = rounded(head + head_low + middle)
    # where middle cancels the others, these have no bits below its last: their sum is exact
    turns = head.minus(number).plus(head_low).plus(middle)
    r = (turns + (middle_low + wide * third)) * (math.pi / 2)
    return r.converted("fptrunc", F32), None, n.converted("trunc", I32)


def _reduce_large(a: Lanes) -> tuple[Lanes, Lanes, Lanes]:
    """With 192 bits of 2/pi, loaded from a table."""
    bits = a.bits()
    position = (bits >> 52) - 1045
    position = where(position < 0, 0, position)
    pairs = [_table_pair(position, offset) for offset in (0, 2, 4, 6)]
    shift = position & 31
    window = []
    for i in range(3):
        pair = pairs[i].intrinsic("llvm.fshl", pairs[i + 1], shift)
        window += [pair >> 32, pair & 0xFFFFFFFF]
    mantissa = (bits & ((1 << 52) - 1)) | (1 << 52)
    low = [(mantissa & 0xFFFFFFFF) * w for w in window[:5]]
    high = [(mantissa >> 32) * w for w in window]
    # columns of 32 bits, the lowest two of six dropped but for their carries
    columns = []
    carry = (low[4] >> 32) + (high[5] >> 32)
    for i in (3, 2, 1, 0):
        column = (low[i] & 0xFFFFFFFF) + high[i + 1] + carry
        columns.append(column & 0xFFFFFFFF)
        carry = (column >> 32) + (low[i] >> 32)
    lower = columns[0] | (columns[1] << 32)
    upper = columns[2] | (columns[3] << 32)
    n = (upper + (1 << 61)) >> 62
    upper = upper - (n << 62)
    is_negative = upper < 0
    upper = where(is_negative, ~upper, upper)
    lower = where(is_negative, ~lower, lower)
    pieces = [(upper >> 32), upper & 0xFFFFFFFF, lower >> 32, lower & 0xFFFFFFFF]
    scales = (2.0**-30, 2.0**-62, 2.0**-94, 2.0**-126)
    values = [_from_word(p) * s for p, s in zip(pieces, scales, strict=True)]
    head, tail = fast_two_sum(values[0], values[1])
    head, tail = fast_two_sum(head, tail + (values[2] + values[3]))
    return *_signed(is_negative, *_quarter_turns(head, tail)), n


def _from_word(n: Lanes) -> Lanes:
    """Integers of 32 bits as doubles: OR-ed into the fraction of 2**52."""
    return (n | (1075 << 52)).as_floats().minus(2.0**52)


def _table_pair(position: Lanes, offset: int) -> Lanes:
    """Words i and i + 1 of 0, 2/pi as one integer; i is position / 32 + offset."""
    builder = position.builder
    module = builder.module
    words = [0, *WORDS][::-1]  # least significant first, as integers lie in memory
    table = module.globals.get(TABLE)
    if table is None:
        kind = ir.ArrayType(I32, len(words))
        table = ir.GlobalVariable(module, kind, TABLE)
        table.linkage, table.global_constant, table.align = "internal", True, 8
        table.initializer = ir.Constant(kind, words)
    index = (len(words) - 2 - offset) - (position >> 5)

    def load(i: ir.Value) -> ir.Value:
        place = builder.gep(table, [I64(0), i], inbounds=True)
        return builder.load(place, align=4, typ=I64)

    if not isinstance(index.value.type, ir.VectorType):
        return Lanes(builder, load(index.value))
    result: ir.Value = ir.Constant(index.value.type, ir.Undefined)
    for lane in range(index.value.type.count):
        item = load(builder.extract_element(index.value, I32(lane)))
        result = builder.insert_element(result, item, I32(lane))
    return Lanes(builder, result)


def _quarter_turns(head: Lanes, tail: Lanes) -> tuple[Lanes, Lanes]:
    """(head + tail) * pi/2 in two parts."""
    first, second, _ = HALF_PI[head.format.precision]
    high, low = two_product(head, head.constant(first))
    return fast_two_sum(high, low + (head * second + tail * first))


def _signed(is_negative: Lanes, r: Lanes, low: Lanes) -> tuple[Lanes, Lanes]:
    return where(is_negative, -r, r), where(is_negative, -low, low)


def _reduce(x: Lanes, is_small: bool) -> Reduced:
    a = abs(x)
    if is_small:
        return _reduce_small(a)
    if a.element == F32:
        return _reduce32(a)
    fits = a <= LIMITS[53]
    r, low, n = (
        where(fits, small, large)
        for small, large in zip(_reduce_small(a), _reduce_large(a), strict=True)
    )
    return r, low, n


def _sine_and_cosine(r: Lanes, low: Lanes | None) -> tuple[Pair, Pair]:
    """sin(r + low) and cos(r + low), each as a sum of two, the second small."""
    precision = r.format.precision
    z = r * r
    sine = r * z * polynomial(z, COEFFICIENTS["SIN", precision])
    half = z * 0.5
    one = 1.0 - half
    lost = (1.0 - one) - half
    if low is not None:
        sine, lost = sine + low, lost - r * low
    cosine = z * z * polynomial(z, COEFFICIENTS["COS", precision]) + lost
    return (r, sine), (one, cosine)


def _choose(condition: Lanes, then: Pair, otherwise: Pair) -> Pair:
    return where(condition, then[0], otherwise[0]), where(condition, then[1], otherwise[1])


def _flip(x: Lanes, sign: Lanes) -> Lanes:
    """x, negated where the sign bit of the integer is set."""
    return (x.bits() ^ (sign & x.format.sign_bit)).as_floats()


def _quadrant_value(r: Lanes, low: Lanes | None, n: Lanes) -> Lanes:
    """sin(n * pi/2 + r + low)."""
    sine, cosine = _sine_and_cosine(r, low)
    first, second = _choose((n & 1).equals(0), sine, cosine)
    return _flip(first + second, n << (r.format.bits - 2))


def _unless_infinite(result: Lanes, x: Lanes) -> Lanes:
    """NaN for infinite x and for NaN."""
    return where(abs(x) < math.inf, result, x - x)


def sin(x: Lanes, is_small: bool = False) -> Lanes:
    """The sine."""
    result = _quadrant_value(*_reduce(x, is_small))
    return _unless_infinite(_flip(result, x.bits()), x)


def cos(x: Lanes, is_small: bool = False) -> Lanes:
    """The cosine: the sine a quadrant further."""
    r, low, n = _reduce(x, is_small)
    return _unless_infinite(_quadrant_value(r, low, n + 1), x)


def tan(x: Lanes, is_small: bool = False) -> Lanes:
    """The tangent: in odd quadrants -cos/sin."""
    r, low, n = _reduce(x, is_small)
    sine, cosine = _sine_and_cosine(r, low)
    is_even = (n & 1).equals(0)
    top, top_low = fast_two_sum(*_choose(is_even, sine, cosine))
    bottom, bottom_low = fast_two_sum(*_choose(is_even, cosine, sine))
    inverse = 1.0 / bottom
    result = top * inverse
    miss = fused(-result, bottom, top) + (top_low - result * bottom_low)
    result = result + inverse * miss
    sign = (n << (x.format.bits - 1)) ^ x.bits()
    return _unless_infinite(_flip(result, sign), x)


def sin_small(x: Lanes) -> Lanes:
    """The sine where |x| <= LIMITS."""
    return sin(x, is_small=True)


def cos_small(x: Lanes) -> Lanes:
    """The cosine where |x| <= LIMITS."""
    return cos(x, is_small=True)


def tan_small(x: Lanes) -> Lanes:
    """The tangent where |x| <= LIMITS."""
    return tan(x, is_small=True)
