"""Give code generation the native library and the type descriptors of this process.

Importing this module is what makes ``codegen.module.compile_program`` work.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from scriptmode.codegen.library import use_library
from scriptmode.ir import types as T
from scriptmode.runtime import descriptors, frozen, nativelib, plans


class ProcessLibrary:
    """The native library as loaded into this process."""

    def ensure_loaded(self) -> None:
        """Load the library once."""
        nativelib.ensure_loaded()

    def signature(self, name: str) -> str | None:
        """The LLVM type of a public native function."""
        return str(nativelib.signature(name)) if name in nativelib.functions() else None

    def can_cross(self, t: T.Type) -> bool:
        """Whether the boundary has a plan for values of ``t``."""
        return plans.is_supported(t)

    def describe(self, types: Iterable[T.Type]) -> None:
        """Make the types' descriptors."""
        for t in types:
            descriptors.descriptor(t)

    def enum_member(self, t: T.EnumType, name: str) -> int:
        """The immortal object of an enum member."""
        return descriptors.enum_member(t, name)

    def set_class_function(self, t: T.ClassType, offset: int, function: int) -> None:
        """Enter a function of a user class into its descriptor."""
        descriptors.set_function(t, offset, function)

    def frozen_set(self, t: T.Type, value: frozenset[Any]) -> int:
        """An immortal frozenset with the table of ``value``."""
        return frozen.frozen_set(t, value)


use_library(ProcessLibrary())
