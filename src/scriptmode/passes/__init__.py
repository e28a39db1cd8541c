"""Passes: IR to IR, one file each."""

from scriptmode.passes import rules  # registers the rewrite rules

__all__ = ["rules"]
