"""The floors of benchmarks/epoch.py: what torch counts in a real step; and that it runs."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from drawn import by_hand
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

import potstill as ps

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
PAIRS = [("wrn-16-1", "wrn-10-1"), ("resnet14", "resnet8")]


class Convolved(TorchDispatchMode):
    """Counts the bytes of all that convolutions take and give, forward and backward."""

    def __init__(self):
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        given = func(*args, **(kwargs or {}))
        if func.overloadpacket in (torch.ops.aten.convolution, torch.ops.aten.convolution_backward):
            made = given if isinstance(given, tuple) else (given,)
            self.bytes += sum(value.nbytes for value in (*args, *made) if isinstance(value, torch.Tensor))
        return given


@pytest.fixture
def epoch(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("epoch")


@pytest.mark.parametrize("pair", PAIRS, ids=" to ".join)
def test_operations_are_those_that_torch_counts_in_a_step(epoch, pair):
    made = epoch.Epoch(pair, epoch.BATCH)
    with FlopCounterMode(display=False) as counter:
        made.train()
    assert made.operations() == counter.get_total_flops()


@pytest.mark.parametrize("pair", PAIRS, ids=" to ".join)
def test_bytes_are_those_of_convolutions_linear_layers_and_the_optimiser(epoch, pair):
    made = epoch.Epoch(pair, epoch.BATCH)
    with Convolved() as convolved:
        made.train()
    student = made.distiller.networks["student"]
    given, weights, logits = 4 * epoch.BATCH * 64, 4 * (64 * 100 + 100), 4 * epoch.BATCH * 100
    forward, backward = given + weights + logits, logits + given + weights + given + weights
    state = 5 * 4 * ps.networks.parameters(student)
    assert made.traffic() == convolved.bytes + 2 * forward + backward + state


@by_hand
def test_it_prints_a_section(tmp_path):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    command = [sys.executable, str(BENCHMARKS / "epoch.py"), "--quick"]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines() if " to " in line and line.startswith("| ")]
    assert [row[0] for row in rows] == ["| WRN-40-2 to WRN-16-2", "| resnet56 to resnet20"]
    for row in rows:
        seconds, operations, over, moved, over_bytes = (float(cell.split()[0]) for cell in row[1:6])
        assert over == pytest.approx(seconds / operations, rel=0.02)  # three digits each
        assert over_bytes == pytest.approx(seconds / moved, rel=0.02)


def test_a_section_takes_the_place_of_an_earlier_one(epoch, tmp_path, monkeypatch):
    page = tmp_path / "benchmarks.md"
    monkeypatch.setattr(epoch, "PAGE", page)
    for before in ("# Benchmarks\n\n## Loader\n\nfast\n", f"# Benchmarks\n\n{epoch.HEADING}\nold\n\n## Stem\n\nonce\n"):
        page.write_text(before)
        epoch.write("\nnew\n")
        once = page.read_text()
        epoch.write("\nnew\n")
        assert page.read_text() == once
        assert once == before.replace("\nold\n", "\nnew\n") + ("" if "old" in before else f"\n{epoch.HEADING}\nnew\n")
