"""Training and measuring: the only loops over batches in the package."""

from potstill.engine.device import device
from potstill.engine.evaluate import evaluate
from potstill.engine.fit import fit

__all__ = ["device", "evaluate", "fit"]
