"""CPython's hash of bytes: SipHash with the secret of this process.

The runtime fills ``sm_hash_state`` when the library is loaded: the two halves of the secret, the
numbers of rounds, and ``hash(None)``.
"""

from __future__ import annotations

from scriptmode.codegen.native import cell, i8, i64, load, lshr, native, ptr, stack, store, zext

sm_hash_state = cell("sm_hash_state", 40)
HASH_KEY_0 = 0
HASH_KEY_1 = 8
HASH_ROUNDS = 16  # for each word
HASH_LAST_ROUNDS = 24
HASH_OF_NONE = 32


@native
def _rotated(x: i64, by: i64) -> i64:
    return (x << by) | lshr(x, 64 - by)


@native
def _half_round(v: ptr, a: i64, b: i64, c: i64, d: i64, s: i64, t: i64) -> None:
    x = load(i64, v, a) + load(i64, v, b)
    y = load(i64, v, c) + load(i64, v, d)
    store(i64, v, b, _rotated(load(i64, v, b), s) ^ x)
    store(i64, v, d, _rotated(load(i64, v, d), t) ^ y)
    store(i64, v, a, _rotated(x, 32))
    store(i64, v, c, y)


@native
def _rounds(v: ptr, count: i64) -> None:
    for _ in range(count):
        _half_round(v, 0, 8, 16, 24, 13, 16)
        _half_round(v, 16, 8, 0, 24, 17, 21)


@native
def _absorb(v: ptr, word: i64) -> None:
    store(i64, v, 24, load(i64, v, 24) ^ word)
    _rounds(v, load(i64, sm_hash_state, HASH_ROUNDS))
    store(i64, v, 0, load(i64, v, 0) ^ word)


@native
def sm_hash_bytes(data: ptr, n: i64) -> i64:
    """``hash`` of a str's code units, or of bytes."""
    if n == 0:
        return 0
    k0 = load(i64, sm_hash_state, HASH_KEY_0)
    k1 = load(i64, sm_hash_state, HASH_KEY_1)
    v = stack(32)
    store(i64, v, 0, k0 ^ 0x736F6D6570736575)
    store(i64, v, 8, k1 ^ 0x646F72616E646F6D)
    store(i64, v, 16, k0 ^ 0x6C7967656E657261)
    store(i64, v, 24, k1 ^ 0x7465646279746573)
    whole = n & -8
    at = 0
    while at < whole:
        _absorb(v, load(i64, data, at))
        at += 8
    last = n << 56
    for i in range(n - whole):
        last = last | (zext(i64, load(i8, data, whole + i)) << (i * 8))
    _absorb(v, last)
    store(i64, v, 16, load(i64, v, 16) ^ 0xFF)
    _rounds(v, load(i64, sm_hash_state, HASH_LAST_ROUNDS))
    hashed = load(i64, v, 0) ^ load(i64, v, 8) ^ load(i64, v, 16) ^ load(i64, v, 24)
    return i64(-2) if hashed == -1 else hashed
