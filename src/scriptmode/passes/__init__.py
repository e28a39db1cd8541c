"""Passes: IR to IR, one file each."""
