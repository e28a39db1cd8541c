"""The low-level dialect: lowered functions compute what their text says, mistakes name their line."""

from __future__ import annotations

import ctypes

import pytest

from scriptmode.codegen import engine
from scriptmode.codegen.native import (
    NativeError,
    add_overflow,
    address_of,
    atomic_add,
    atomic_load,
    atomic_store,
    bitcast,
    call,
    cell,
    compare_and_swap,
    copysign,
    count_leading_zeros,
    count_ones,
    count_trailing_zeros,
    extern,
    f32,
    f64,
    fabs,
    floor,
    i8,
    i16,
    i32,
    i64,
    likely,
    load,
    lshr,
    memcpy,
    memmove,
    memset,
    mul_overflow,
    native,
    ptr,
    sdiv,
    sqrt,
    srem,
    stack,
    store,
    sub_overflow,
    table,
    udiv,
    ugt,
    ult,
    unlikely,
    unsigned_to_float,
    urem,
    utf8,
    zext,
)  # fmt: skip
from scriptmode.codegen.native_lower import lower_module

strlen = extern("strlen", i64, ptr)
snprintf = extern("snprintf", i32, ptr, i64, ptr, variadic=True)
COUNTER = cell("test_dialect_counter")
SQUARES = table("test_dialect_squares", lambda: bytes(i * i for i in range(10)))
LIMIT = 7


@native
def arithmetic(a: i64, b: i64) -> i64:
    c = a + b * 2 - (a & b | 3) ^ (a << 2)
    c += -a
    return ~c


@native
def narrow(a: i8, b: i16) -> i32:
    wide = i32(a) + i32(b)
    return wide + zext(i32, a)


@native
def divide(a: i64, b: i64, which: i64) -> i64:
    if which == 0:
        return sdiv(a, b)
    elif which == 1:
        return srem(a, b)
    elif which == 2:
        return udiv(a, b)
    return urem(a, b)


@native
def loops(n: i64) -> i64:
    total = 0
    for i in range(n):
        if i in (3, 1000):
            continue
        for j in range(10, 0, -3):
            if j < 5:
                break
            total += i * j
    k = 0
    while True:
        k += 1
        if k > LIMIT:
            break
    while k < 20 and total != 0:
        k += 5
    return total * 100 + k


@native
def logic(a: i64, b: ptr) -> i64:
    if a and b or not a and b == 0:
        return 1 if likely(a > 5) else 2
    return 3 if 0 < a < 10 else 4


@native
def overflow(a: i64, b: i64) -> i64:
    x, o = add_overflow(a, b)
    y, p = sub_overflow(a, b)
    z, q = mul_overflow(a, b)
    return i64(o) + i64(p) * 2 + i64(q) * 4 + (0 if unlikely(o or p or q) else x + y + z)


@native
def _helper(x: f64) -> f64:
    return floor(x) + fabs(x) * sqrt(4.0) - copysign(1.0, x)


@native
def floats(x: f64, n: i64) -> f64:
    return _helper(x) / 2 + f64(n) + f64(f32(0.5)) + unsigned_to_float(n)


@native
def bits(x: f64) -> i64:
    b = bitcast(i64, x)
    return lshr(b, 52) + count_leading_zeros(b) + count_trailing_zeros(b) * 100 + count_ones(b)


@native
def tests_unsigned(a: i64, b: i64) -> i64:
    return i64(ult(a, b)) + i64(ugt(a, b)) * 2


@native
def memory(n: i64) -> i64:
    p = stack(64)
    q = stack(64)
    memset(p, 1, 64)
    store(i64, p, 8, n)
    memcpy(q, p, 64)
    memmove(q + 8, q, 16)
    return load(i64, q, 16) + i64(load(i8, q)) + (q + 8 - q) + zext(i64, load(i8, SQUARES, 9))


@native
def text_length(n: i64) -> i64:
    p = stack(64)
    snprintf(p, 64, utf8("%lld|%.2f|é"), n, f64(n))
    return strlen(p)


@native
def indirect(n: i64) -> i64:
    return call(i64, address_of(loops), n) + call(i64, address_of(strlen), utf8("four"))


@native
def atomics(n: i64) -> i64:
    atomic_store(i64, COUNTER, n)
    before = atomic_add(i64, COUNTER, 5)
    found, done = compare_and_swap(COUNTER, n + 5, 100)
    lost, failed = compare_and_swap(COUNTER, 1, 2)
    return before + found + i64(done) + lost + i64(failed) + atomic_load(i64, COUNTER)


FUNCTIONS = [
    arithmetic, narrow, divide, loops, logic, overflow, floats, bits, tests_unsigned, memory,
    text_length, indirect, atomics,
]  # fmt: skip
TYPES = {"i8": ctypes.c_int8, "i16": ctypes.c_int16, "i32": ctypes.c_int32, "i64": ctypes.c_int64,
         "f64": ctypes.c_double, "ptr": ctypes.c_void_p}  # fmt: skip


@pytest.fixture(scope="module")
def compiled():
    code = engine.Engine()
    code.add(lower_module(FUNCTIONS), optimize_level=2)
    found = {}
    for f in FUNCTIONS:
        prototype = ctypes.CFUNCTYPE(
            TYPES[f.result.name], *[TYPES[k.name] for _, k in f.parameters]
        )
        found[f.name] = prototype(code.address(f.name))
    yield found
    code.close()


def wrap(x: int, width: int = 64) -> int:
    half = 1 << width - 1
    return (x + half) % (2 * half) - half


INTS = [0, 1, -1, 5, -7, 2**63 - 1, -(2**63), 2**40 + 3]


def test_integers_wrap_around(compiled):
    for a in INTS:
        for b in INTS:
            c = a + b * 2 - (a & b | 3) ^ (a << 2)
            assert compiled["arithmetic"](a, b) == wrap(~(c - a))
            assert compiled["tests_unsigned"](a, b) == (a % 2**64 < b % 2**64) + 2 * (
                a % 2**64 > b % 2**64
            )


def test_widths_extend_with_and_without_sign(compiled):
    assert compiled["narrow"](-1, -300) == -1 - 300 + 255


def test_division_truncates(compiled):
    assert [compiled["divide"](-7, 2, w) for w in range(4)] == [-3, -1, (2**64 - 7) // 2, 1]


def test_control_flow(compiled):
    total = sum(i * j for i in range(6) if i != 3 for j in (10, 7))
    assert compiled["loops"](6) == total * 100 + 23
    assert compiled["logic"](6, 8) == 1
    assert compiled["logic"](3, 8) == 2
    assert compiled["logic"](0, None) == 2
    assert compiled["logic"](3, None) == 3
    assert compiled["logic"](11, None) == 4


def test_overflow_is_reported(compiled):
    for a in INTS:
        for b in INTS:
            results = [a + b, a - b, a * b]
            flags = [r != wrap(r) for r in results]
            want = sum(f << i for i, f in enumerate(flags)) + (0 if any(flags) else sum(results))
            assert compiled["overflow"](a, b) == wrap(want)


def test_floats(compiled):
    assert compiled["floats"](-2.5, 3) == (-3 + 5.0 + 1.0) / 2 + 3 + 0.5 + 3
    assert compiled["bits"](1.0) == 1023 + 2 + 52 * 100 + 10


def test_memory_text_and_calls(compiled):
    assert compiled["memory"](1000) == 1000 + 1 + 8 + 81
    assert compiled["text_length"](12) == len("12|12.00|é".encode())
    assert compiled["indirect"](6) == compiled["loops"](6) + 4
    assert compiled["atomics"](7) == 7 + 12 + 1 + 100 + 0 + 100


@native
def bad_mix(a: i64, b: i32) -> i64:
    return a + b


@native
def bad_result(a: i64) -> f64:
    return a


@native
def bad_end(a: i64) -> i64:
    if a > 0:
        return 1


@native
def bad_name(a: i64) -> i64:
    return a + missing  # noqa: F821


@native
def bad_literal(a: i8) -> i8:
    return a + 1000


@native
def bad_assignment(a: i64) -> i64:
    x = 1
    x = 2.5  # noqa: F841
    return a


@native
def bad_statement(a: i64) -> i64:
    with a:
        return a


@native
def bad_division(a: i64) -> i64:
    return a // 2


@native
def bad_count(a: i64) -> i64:
    return loops(a, a)


@native
def bad_step(a: i64) -> i64:
    for i in range(0, 5, a):
        a += i
    return a


@pytest.mark.parametrize("function, message", [
    (bad_mix, "expected i64, found i32"),
    (bad_result, "expected f64, found i64"),
    (bad_end, "bad_end may end without a result"),
    (bad_name, "missing is not defined"),
    (bad_literal, "1000 does not fit i8"),
    (bad_assignment, "expected i64, found a float literal"),
    (bad_statement, "With is not in the native dialect"),
    (bad_division, "FloorDiv is a function in the native dialect"),
    (bad_count, "expected 1 arguments, found 2"),
    (bad_step, "the step of a range is a constant other than 0"),
])  # fmt: skip
def test_mistakes_name_their_line(function, message):
    with pytest.raises(NativeError) as caught:
        lower_module([function])
    path, line, text = str(caught.value).split(":", 2)
    assert path.endswith("test_native_dialect.py")
    assert function.python.__code__.co_firstlineno <= int(line)
    assert text.strip() == message


def test_words_have_no_meaning_in_python():
    with pytest.raises(NativeError):
        load(i64, 0)
