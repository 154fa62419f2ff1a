"""Optimisers that torch does not have."""

from potstill.optimizers.dot import DOT

__all__ = ["DOT"]
