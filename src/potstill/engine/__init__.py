"""Training and measuring: the only loops over batches in the package."""

from potstill.engine.evaluate import evaluate
from potstill.engine.fit import fit

__all__ = ["evaluate", "fit"]
