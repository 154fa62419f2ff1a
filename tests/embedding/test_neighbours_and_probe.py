"""k nearest neighbours and the linear probe, against numpy."""

import numpy as np
import torch

from potstill.embedding.neighbours import nearest_classes
from potstill.embedding.probe import PENALTIES, fit_probe

RANDOM = np.random.default_rng(0)
CENTRES = RANDOM.normal(size=(4, 6))


def draw(count):
    """Features of four overlapping classes."""
    labels = RANDOM.integers(4, size=count)
    return CENTRES[labels] + 1.3 * RANDOM.normal(size=(count, 6)), labels


def votes(features, bank, labels, k, temperature):
    """Image by image."""
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (features, bank)]
    found = []
    for similar in unit[0] @ unit[1].T:
        nearest = np.argsort(-similar)[:k]
        found.append([np.exp(similar[nearest] / temperature)[labels[nearest] == one].sum() for one in range(4)])
    return np.argmax(found, axis=1)


def test_weighted_votes():
    bank, labels = draw(60)
    features, _ = draw(50)
    tensors = [torch.from_numpy(x) for x in (features, bank, labels)]
    for k, temperature in ((20, 0.07), (1, 1.0), (100, 5.0)):
        found = nearest_classes(*tensors, classes=4, k=k, temperature=temperature)
        assert found.tolist() == votes(features, bank, labels, k, temperature).tolist()
    assert (votes(features, bank, labels, 20, 0.07) != votes(features, bank, labels, 20, 100)).any()


def ridge(x, y, penalty):
    """Weight and bias, from the normal equations; the penalty as it is."""
    mean, share = x.mean(0), y.mean(0)
    a = (x - mean).T @ (x - mean) + penalty * np.eye(x.shape[1])
    weight = np.linalg.solve(a, (x - mean).T @ (y - share))
    return weight, share - mean @ weight


def test_the_probe_is_ridge_regression_with_the_penalty_of_the_best_leave_one_out_error():
    x, labels = draw(25)
    y = np.eye(4)[labels]
    unit = np.linalg.eigvalsh((x - x.mean(0)).T @ (x - x.mean(0))).mean()
    errors = []
    for penalty in PENALTIES:
        error = 0.0
        for i in range(len(x)):
            rest = np.arange(len(x)) != i
            weight, bias = ridge(x[rest], y[rest], penalty * unit)
            error += np.square(y[i] - x[i] @ weight - bias).sum()
        errors.append(error)
    probe = fit_probe(torch.from_numpy(x), torch.from_numpy(labels), 4)
    assert probe.penalty == PENALTIES[int(np.argmin(errors))]
    assert 0 < int(np.argmin(errors)) < len(PENALTIES) - 1  # or any choice would do
    weight, bias = ridge(x, y, probe.penalty * unit)
    np.testing.assert_allclose(probe.weight, weight, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(probe.bias, bias, rtol=1e-9, atol=1e-12)
    other, _ = draw(30)
    assert probe.classes(torch.from_numpy(other)).tolist() == (other @ weight + bias).argmax(1).tolist()


def test_more_features_than_images_and_dead_ones():
    features = torch.zeros(5, 40)
    features[:, :8] = torch.from_numpy(RANDOM.normal(size=(5, 8))).float()
    probe = fit_probe(features, torch.tensor([0, 1, 2, 0, 1]), 3)
    assert probe.weight.isfinite().all()
    assert fit_probe(torch.ones(4, 3), torch.tensor([0, 1, 1, 1]), 2).classes(torch.ones(1, 3)).tolist() == [1]
