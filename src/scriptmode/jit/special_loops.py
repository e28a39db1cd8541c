"""Special code gets loops of its own: the step between known shapes and code generation."""

from __future__ import annotations

from scriptmode.jit.versions import specializer
from scriptmode.loops.specialize import specialize_function

specializer(specialize_function)
