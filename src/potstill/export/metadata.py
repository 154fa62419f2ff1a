"""What an exported file says of itself, so that whoever has only the file can use it."""

import json

import potstill
from potstill.export.images import RunImages
from potstill.export.preparation import shorter_side
from potstill.export.run_network import RunNetwork
from potstill.text import printable


def metadata(chosen: RunNetwork, data: RunImages) -> dict[str, str]:
    """Entries for a file's metadata, texts all of them; lists are JSON.

    ``classes`` are the names of the logits; an image of ``shape`` (C, H, W), of values in 0..1, becomes the network's
    input by taking ``mean`` from each channel and dividing by ``std``. ``shorter_side`` says how a picture of another
    size becomes such an image: it is scaled to that, and its centre is cut; ``bits``, how many of 16 bits count.
    ``several`` is there where an image may be of several classes: the sigmoid of a logit is the probability of each.
    """
    side = shorter_side(data.data.name, data.shape[1])
    return {
        "network": printable(chosen.spec),
        "name": printable(chosen.name),
        "weights": chosen.epoch,
        "classes": json.dumps(data.classes),
        "mean": json.dumps(data.mean),
        "std": json.dumps(data.std),
        "shape": json.dumps(data.shape),
        "shorter_side": json.dumps(side),
        **({} if data.data.bits is None else {"bits": json.dumps(data.data.bits)}),
        **({"several": json.dumps(True)} if data.data.several else {}),
        "potstill": potstill.__version__,
    }
