"""What becomes of logits: probabilities of all classes or of each, the most likely ones first."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from potstill.export.preparation import Preparation
from potstill.predicting import Classifier, find_pictures, predict

LOGITS = [[-1.0, 2.0, 0.5, -3.0], [3.0, -2.0, 1.0, 2.5]]


def softmax(logits):
    total = sum(map(math.exp, logits))
    return [math.exp(one) / total for one in logits]


def sigmoid(logits):
    return [1 / (1 + math.exp(-one)) for one in logits]


@pytest.mark.parametrize(("several", "shares"), [(False, softmax), (True, sigmoid)])
@pytest.mark.parametrize("top", [1, 3, 9])
def test_the_most_likely_first_with_their_shares_of_all_classes(tmp_path, several, shares, top):
    for name in ("a.png", "b.png"):
        Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / name)
    wanted = Preparation(("w", "x", "y", "z"), (0.0,) * 3, (1.0,) * 3, 4, 4, several=several)
    classifier = Classifier(lambda images: torch.tensor(LOGITS), wanted, {}, torch.device("cpu"))
    found = predict(classifier, find_pictures([tmp_path]), top, workers=0)
    assert found.labels.tolist() == [[1, 2, 0, 3][:top], [0, 3, 2, 1][:top]]
    for probabilities, labels, logits in zip(found.probabilities, found.labels, LOGITS, strict=True):
        expected = shares(logits)  # of all classes, however many are told
        assert probabilities.tolist() == pytest.approx([expected[label] for label in labels], rel=1e-5)
