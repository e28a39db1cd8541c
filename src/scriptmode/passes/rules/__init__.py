"""Rewrite rules; importing the package registers them.

A rule keeps the type, returns an existing value or a constant, never crosses a block and never
moves an effect.  A rule that returns an existing *tensor* fires only when nothing can tell it from
the new one that eager makes.
"""

from scriptmode.passes.rules import scalars, strings, structure, tensors

__all__ = ["scalars", "strings", "structure", "tensors"]
