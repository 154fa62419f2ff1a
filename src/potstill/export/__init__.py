"""Taking a trained network out of its run folder, in forms that need no potstill, each checked against the original."""

from potstill.export.costs import compare
from potstill.export.images import run_images
from potstill.export.rebuild import rebuild
from potstill.export.run_network import choose_network
from potstill.export.usage import usage
from potstill.export.writing import write

__all__ = ["choose_network", "compare", "rebuild", "run_images", "usage", "write"]
