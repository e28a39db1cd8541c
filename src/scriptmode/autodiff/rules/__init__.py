"""The derivative rules: importing this package enters them all."""

from scriptmode.autodiff.rules import movement, nn, nothing, pointwise, products, reductions

__all__ = ["movement", "nn", "nothing", "pointwise", "products", "reductions"]
