"""Reverse-mode differentiation: IR to IR, with derivative rules in the script language."""
