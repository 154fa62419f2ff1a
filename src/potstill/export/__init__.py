"""Taking a trained network out of its run folder, in forms that need no potstill, each checked against the original."""

from potstill.export.again import make_again
from potstill.export.chosen import choose
from potstill.export.costs import compare
from potstill.export.images import run_images
from potstill.export.usage import usage
from potstill.export.writing import write

__all__ = ["choose", "compare", "make_again", "run_images", "usage", "write"]
