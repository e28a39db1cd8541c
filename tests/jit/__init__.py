"""Compiled functions and modules."""
