"""Where C++ arguments go on each machine: registers, memory or references.

One class per C++ ABI.  ``place`` answers for a whole argument list, because in the System V ABI of
x86-64 a two-word value goes to memory as a whole when too few registers are left, which LLVM
leaves to its caller to do.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from enum import Enum

from scriptmode.abi.cxx import CxxArgument, CxxResult, Passing


class Place(Enum):
    """How the LLVM call passes one C++ argument."""

    WORDS = "words"  # as one or two scalar LLVM arguments
    BYVAL = "byval"  # a copy in the argument area of the stack
    POINTER = "pointer"  # a pointer to memory of the caller


class SystemV:
    """x86-64 on Linux: six integer registers, eight floating-point registers."""

    name = "x86-64 System V"
    integer_registers = 6
    floating_registers = 8

    def place(self, arguments: Sequence[CxxArgument], result_in_memory: bool) -> list[Place]:
        """Place every argument, left to right."""
        integers = self.integer_registers - result_in_memory
        floats = self.floating_registers
        places: list[Place] = []
        for argument in arguments:
            if argument.passing is Passing.REFERENCE:
                integers = max(0, integers - 1)
                places.append(Place.POINTER)
                continue
            if argument.passing is Passing.MEMORY:
                places.append(Place.BYVAL)
                continue
            need_float = argument.passing in (Passing.FLOATING, Passing.MIXED)
            need_integer = argument.words - need_float
            if need_integer <= integers and need_float <= floats:
                integers -= need_integer
                floats -= need_float
                places.append(Place.WORDS)
            else:  # a single word that finds no register goes to the stack by itself
                places.append(Place.WORDS if argument.words == 1 else Place.BYVAL)
        return places

    def result_in_memory(self, results: Sequence[CxxResult]) -> bool:
        """Whether the caller passes a pointer to the memory of the result."""
        # std::tuple of libstdc++ has a non-trivial move constructor, so it is never in registers
        return len(results) > 1 or any(r.in_memory for r in results)


_ABIS = {("x86_64", "Linux"): SystemV}


def host_abi() -> SystemV:
    """The C++ ABI of this machine; raises NotImplementedError when it is not described here."""
    machine = (platform.machine(), platform.system())
    found = _ABIS.get(machine)
    if found is None:
        raise NotImplementedError(
            f"calling libtorch natively is not supported on {machine[0]} {machine[1]}: "
            f"supported are {', '.join(f'{m} {s}' for m, s in _ABIS)}"
        )
    return found()
