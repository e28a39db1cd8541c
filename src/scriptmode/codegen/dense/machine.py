"""What a processor offers to dense kernels: width and number of its vector registers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from scriptmode.codegen import engine

LINE = 64  # bytes of a cache line
BYTES = {"f32": 4, "f64": 8}


@dataclass(frozen=True)
class Machine:
    """Vector registers: bytes in each, their number, and whether loads can be masked.

    ``has_blas``: whether the BLAS inside libtorch has kernels made for it, not only general ones.
    """

    vector_bytes: int
    registers: int
    masks: bool
    has_blas: bool = True

    def lanes(self, dtype: str) -> int:
        """Elements of ``dtype`` in a vector."""
        return self.vector_bytes // BYTES[dtype]


SSE = Machine(16, 16, masks=False)
AVX = Machine(32, 16, masks=True)
AVX512 = Machine(64, 32, masks=True)
NEON = Machine(16, 32, masks=False)


def host() -> Machine:
    """The machine that code is made for."""
    return _machine(*engine.host_cpu())


@cache
def _machine(name: str, features: str) -> Machine:
    known = set(features.split(","))
    if "+avx512f" in known:
        return AVX512
    if "+avx2" in known and "+fma" in known:
        return replace(AVX, has_blas=not name.startswith("znver"))
    return NEON if "+neon" in known else SSE
