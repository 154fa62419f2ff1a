import numpy as np
import pytest
import torch

from potstill.errors import BadInput
from potstill.losses import CATKD, SDD
from potstill.losses.catkd import class_maps


def test_the_mean_of_a_class_map_is_the_logit():
    maps, classifier = torch.randn(3, 4, 5, 2), torch.nn.Linear(4, 6)
    found = class_maps((maps, classifier.weight, classifier.bias))
    torch.testing.assert_close(found.mean(dim=(2, 3)), classifier(maps.mean(dim=(2, 3))))
    assert class_maps(found) is found


@pytest.mark.parametrize("binarize", [False, True])
def test_the_classes_that_the_teacher_thinks_of(binarize):
    student, teacher, logits = torch.randn(3, 6, 4, 4), torch.randn(3, 6, 4, 4), torch.randn(3, 6)
    loss = CATKD(resolution=2, normalize=False, binarize=binarize, classes=2)
    s, t = student.numpy(), teacher.numpy()
    if binarize:
        t = (t > np.abs(t).mean(axis=(2, 3), keepdims=True)).astype("float32")
    pooled = [m.reshape(3, 6, 2, 2, 2, 2).mean(axis=(3, 5)) for m in (s, t)]
    best = np.argsort(-logits.numpy(), axis=1)[:, :2]
    squares = ((pooled[0] - pooled[1]) ** 2)[np.arange(3)[:, None], best]
    assert loss(student, teacher, logits).item() == pytest.approx(squares.mean(), rel=1e-5)


def test_the_classes_need_logits_of_so_many():
    maps = torch.randn(2, 3, 4, 4)
    assert CATKD(classes=2).taps[2] == "teacher"
    with pytest.raises(BadInput, match="classes=4 is more than the 3 there are"):
        CATKD(classes=4)(maps, maps, torch.randn(2, 3))
    with pytest.raises(BadInput, match="classes=2 needs the teacher's logits"):
        CATKD(classes=2)(maps, maps)


@pytest.mark.parametrize("loss", [CATKD(), SDD()], ids=["CATKD", "SDD"])
def test_a_map_that_the_classifier_does_not_read_is_refused(loss):
    right = torch.randn(3, 8, 4, 4), torch.randn(6, 8), torch.randn(6)
    wrong = torch.randn(3, 5, 4, 4), *right[1:]
    message = f"{type(loss).__name__}: a map of 5 channels is not what is pooled before a classifier that takes 8"
    with pytest.raises(BadInput, match=message):
        loss(wrong, right, torch.tensor([0, 1, 2])) if isinstance(loss, SDD) else loss(wrong, right)
