"""Run by one process of several: trains every case, and compares with what one process alone has got."""

import json
import sys
from pathlib import Path

import torch

from potstill.ranks.world import join
from ranks.cases import CASES, difference, trained

if __name__ == "__main__":
    alone, report = torch.load(sys.argv[1], weights_only=True), Path(sys.argv[2])
    world = join()
    assert world is not None
    found = {text: difference(alone[text], trained(text, world)) for text in CASES}
    report.with_suffix(f".{world.rank}").write_text(json.dumps(found))
