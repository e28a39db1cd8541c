"""Transformations of functions and modules, for users."""
