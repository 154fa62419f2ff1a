"""Several processes train as one does, to 1e-9 in float64: values, gradients, weights, memory banks."""

import json
import os
from pathlib import Path

import pytest
import torch

from ranks import several
from ranks.cases import CASES, trained

HERE = Path(__file__).parent
SIZES = [2, 4] if os.environ.get("POTSTILL_WHOLE") else [2]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    file = tmp_path_factory.mktemp("alone") / "alone.pt"
    torch.save({text: trained(text) for text in CASES}, file)
    return file


@pytest.mark.parametrize("size", SIZES)
def test_several_processes_give_what_one_gives(size, alone, tmp_path):
    for code, _, errors in several.run(size, [str(HERE / "every_loss.py"), str(alone), str(tmp_path / "found.0")]):
        assert code == 0, errors
    for rank in range(size):
        found = json.loads((tmp_path / f"found.{rank}").read_text())
        assert list(found) == CASES
        assert {text: worst for text, worst in found.items() if worst[0] > 1e-9} == {}
