"""Mean average precision, against its definition."""

import numpy as np
import pytest
import torch
from torch import nn

from potstill.engine.average_precision import average_precision, mean_average_precision
from potstill.errors import BadInput


def by_definition(scores, truth):
    """Each threshold in turn: what is taken, and how much of it is right."""
    total, recall_before, found = truth.sum(), 0.0, 0.0
    for threshold in sorted({*scores.tolist()}, reverse=True):
        taken = scores >= threshold
        hits = (taken & truth).sum()
        found += (hits / total - recall_before) * hits / taken.sum()
        recall_before = hits / total
    return found


@pytest.mark.parametrize("ties", [False, True])
def test_it_is_that_of_the_definition(ties):
    draw = np.random.default_rng(0)
    for rows in (1, 2, 7, 40):
        scores = draw.normal(size=(rows, 5)).astype(np.float32)
        scores = scores.round(0) if ties else scores
        truth = draw.random((rows, 5)) < 0.4
        found = average_precision(scores, truth)
        expected = [by_definition(s, t) if t.any() else np.nan for s, t in zip(scores.T, truth.T, strict=True)]
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_of_numbers_by_hand():
    # The example of scikit-learn's documentation.
    assert average_precision(np.array([[0.1], [0.4], [0.35], [0.8]]), np.array([[False], [False], [True], [True]])) == (
        pytest.approx(0.8333333333333333)
    )


class Same(nn.Module):
    """Its images are its logits."""

    def forward(self, images):
        return images.flatten(1)


def batches(logits, labels, size):
    return [
        {"images": logits[at : at + size][:, :, None, None], "labels": labels[at : at + size]}
        for at in range(0, len(logits), size)
    ]


def test_a_network_is_measured_over_all_batches():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(23, 4, generator=generator)
    labels = (torch.rand(23, 4, generator=generator) < 0.3).float()
    labels[:, 3] = 0  # of a class without images nothing is known
    found = mean_average_precision(Same(), batches(logits, labels, 5))
    expected = average_precision(logits.numpy(), labels.numpy() > 0)
    assert list(found) == ["map", "loss", "n"]
    assert found["map"] == pytest.approx(100 * np.nanmean(expected))
    assert np.isnan(expected).tolist() == [False, False, False, True]
    p = logits.double().sigmoid()
    assert found["loss"] == pytest.approx(-(labels * p.log() + (1 - labels) * (1 - p).log()).mean().item(), rel=1e-6)
    assert found["n"] == 23


def test_what_cannot_be_measured_is_refused():
    logits = torch.randn(4, 3)
    with pytest.raises(BadInput, match="no batch"):
        mean_average_precision(Same(), [])
    with pytest.raises(BadInput, match=r"needs labels \(4, 3\) of zeros and ones, not those of shape \(4,\)"):
        mean_average_precision(Same(), batches(logits, torch.zeros(4), 4))
    with pytest.raises(BadInput, match="these are of none"):
        mean_average_precision(Same(), batches(logits, torch.zeros(4, 3), 4))
