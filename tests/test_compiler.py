"""The compiler is not imported unless something is compiled: that takes half of the start-up of a small run."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from potstill.compiler import step_of, without_compiler
from potstill.networks import create
from potstill.networks.cost import macs

RUNS = """
import sys
from potstill.cli import main
assert not main(["describe", "resnet8", "--json"])
short = ["--data", "digits", "--images", "100", "--epochs", "1", "--lr", "0.05"]
assert not main(["supervised", "--network", "resnet8", *short, "--out", "teacher"])
distill = ["distill", "--student", "resnet8", "--teacher", "teacher", "--terms", "CE", "KD", "AT on stages"]
assert not main([*distill, *short, "--optimizer", "adamw"])
sys.exit("torch._dynamo" in sys.modules)
"""


def test_runs_without_compile_never_import_the_compiler(tmp_path):
    done = subprocess.run([sys.executable, "-c", RUNS], cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("make", [torch.optim.SGD, torch.optim.AdamW, torch.optim.Adam])
def test_the_plain_step_is_the_same_step(make, monkeypatch):
    def trained(take):
        torch.manual_seed(0)
        network = nn.Linear(3, 2)
        optimizer = make(network.parameters(), lr=0.1, weight_decay=0.1)
        for _ in range(3):
            network(torch.ones(4, 3)).square().mean().backward()
            take(optimizer)()
        return network.weight

    monkeypatch.setattr("potstill.compiler.is_loaded", lambda: False)
    assert torch.equal(trained(step_of), trained(lambda optimizer: optimizer.step))


def test_torch_is_left_as_it_was(monkeypatch):
    monkeypatch.setattr("potstill.compiler.is_loaded", lambda: False)
    function = torch.optim.Optimizer.zero_grad.__wrapped__
    before = getattr(function, "__dynamo_disable", None)
    with without_compiler():
        assert getattr(function, "__dynamo_disable", None) is not None
    assert getattr(function, "__dynamo_disable", None) is before


def test_counting_is_the_same(monkeypatch):
    expected = macs(create("resnet8"))
    monkeypatch.setattr("potstill.compiler.is_loaded", lambda: False)
    assert macs(create("resnet8")) == expected
