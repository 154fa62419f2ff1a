import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from potstill.engine import evaluate
from potstill.errors import BadInput


class Constant(nn.Module):
    """Gives each image's own first values as its logits; has a batch norm whose statistics could drift."""

    def __init__(self, classes):
        super().__init__()
        self.classes = classes
        self.norm = nn.BatchNorm1d(classes)

    def forward(self, images):
        logits = images.flatten(1)[:, : self.classes]
        return logits if self.norm(logits) is not None else None


@pytest.mark.parametrize("classes", [2, 4, 5, 6, 10])
def test_equals_a_count_by_hand_over_uneven_batches(classes):
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(23, 3, 4, 4, generator=generator)
    labels = torch.randint(classes, (23,), generator=generator)
    batches = list(zip(images.split(10), labels.split(10), strict=True))
    result = evaluate(Constant(classes), batches)
    logits = images.flatten(1)[:, :classes]
    order = logits.argsort(dim=1, descending=True)
    assert result["n"] == 23
    assert result["top1"] == pytest.approx(100 * (order[:, 0] == labels).float().mean().item())
    assert ("top5" in result) == (classes > 5)
    if classes > 5:
        hits = (order[:, :5] == labels[:, None]).any(dim=1)
        assert result["top5"] == pytest.approx(100 * hits.float().mean().item())
    assert result["loss"] == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-6)


def test_leaves_mode_and_statistics():
    network = Constant(3).train()
    before = network.norm.running_mean.clone()
    evaluate(network, [(torch.randn(4, 3, 2, 2), torch.zeros(4, dtype=torch.long))])
    assert network.training
    assert torch.equal(before, network.norm.running_mean)


@pytest.mark.parametrize("labels", [torch.zeros(4, 2, dtype=torch.long), torch.zeros(4), torch.zeros(4, 2)])
def test_labels_are_classes(labels):
    said = f"are classes \\(N,\\), not {labels.dtype} of shape {re.escape(str(tuple(labels.shape)))}$"
    with pytest.raises(BadInput, match=said):
        evaluate(Constant(3), [(torch.randn(4, 3, 2, 2), labels)])


def test_nothing_to_evaluate():
    with pytest.raises(BadInput, match="no batch"):
        evaluate(Constant(3), [])
