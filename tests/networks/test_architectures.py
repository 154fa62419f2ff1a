"""Cheap convolutions in networks from elsewhere, and the page that says what they save there."""

import importlib.util
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from drawn import by_hand, drawn
from torch import nn

from potstill.networks import create, parameters, reasons_to_stay, substitute

ROOT = Path(__file__).resolve().parents[2]


def load_tool():
    spec = importlib.util.spec_from_file_location("substitution", ROOT / "tools" / "write_substitution_docs.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool


TOOL = load_tool()


def train(network: nn.Module, images: torch.Tensor, steps: int) -> list[float]:
    """Train all but the linear layers, which are most of VGG; returns the loss before each step.

    Adam, because some of these gradients are huge on images so small.
    """
    layers = [module for module in network.train().modules() if not isinstance(module, nn.Linear)]
    optimizer = torch.optim.Adam([p for module in layers for p in module.parameters(recurse=False)], lr=1e-4)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(network(images), torch.arange(len(images)))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("name", drawn(TOOL.ARCHITECTURES, 3))
def test_any_architecture_takes_cheap_convolutions(name):
    torch.manual_seed(0)
    network = create(name, seed=0)
    size = 96 if "inception" in name else 64
    images = torch.randn(4, 3, size, size)
    own = parameters(network)
    replaced = [path for path, reason in reasons_to_stay(network).items() if not reason]
    assert replaced
    with torch.no_grad():
        shape = network.eval()(images).shape
    substitute(network, "DConv")
    assert parameters(network) < own
    before = {path: network.get_submodule(path).conv.weight.clone() for path in replaced}
    # In the first step of some, a batch norm whose weight starts at 0 keeps the gradient from the rest of its block.
    assert all(math.isfinite(loss) for loss in train(network, images, steps=2))
    still = [path for path, weight in before.items() if torch.equal(network.get_submodule(path).conv.weight, weight)]
    assert not still
    network.eval()
    with torch.no_grad():
        logits = network(images)
    assert logits.shape == shape
    exported = torch.export.export(network, (images,)).module()
    torch.testing.assert_close(exported(images), logits)


def test_there_are_twenty():
    assert len(set(TOOL.ARCHITECTURES)) == 20


@by_hand
def test_the_page_is_what_the_tool_writes():
    rows = [TOOL.row(name) for name in TOOL.ARCHITECTURES]
    page = TOOL.page(rows, [TOOL.refusal(name) for name in TOOL.NOTHING_TO_REPLACE])
    stored = (ROOT / "docs" / "substitution.md").read_text(encoding="utf-8")
    assert stored == page, "run python tools/write_substitution_docs.py"
