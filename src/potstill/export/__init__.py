"""Taking a trained network out of its run folder, in forms that need no potstill, each checked against the original."""

from potstill.export.costs import aligned, compare
from potstill.export.images import run_images
from potstill.export.int8 import write_int8
from potstill.export.rebuild import rebuild
from potstill.export.run_network import choose_network
from potstill.export.usage import usage
from potstill.export.writing import write

__all__ = ["aligned", "choose_network", "compare", "rebuild", "run_images", "usage", "write", "write_int8"]
