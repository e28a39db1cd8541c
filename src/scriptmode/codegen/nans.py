"""Floats that leave native code: in there, a NaN's payload tells which object it is.

Containers take a NaN for equal to itself only (``runtime/native/parsing.py`` makes the payloads);
torch and Python get the bits that they would have without.
"""

from __future__ import annotations

from llvmlite import ir

from scriptmode.abi.convention import F64, I64

_WITHOUT_PAYLOAD = 0xFFF8 << 48


def plain_float(b: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """A float whose bits are eager's."""
    if isinstance(value, ir.Constant):
        return value
    bits = b.and_(b.bitcast(value, I64), ir.Constant(I64, _WITHOUT_PAYLOAD))
    return b.select(b.fcmp_unordered("uno", value, value), b.bitcast(bits, F64), value)
