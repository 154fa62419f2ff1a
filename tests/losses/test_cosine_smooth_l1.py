"""Against numpy; the recorded values of the original are in tests/test_oracle.py."""

import numpy as np
import pytest
import torch

from potstill.errors import BadInput
from potstill.losses import CosineSmoothL1


def draw(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape) * 1.5)


def by_hand(student, teacher, cosine, smooth_l1):
    """Of vectors in the last place."""
    lengths = [np.linalg.norm(x, axis=-1) for x in (student, teacher)]
    similar = (student * teacher).sum(-1) / (lengths[0] * lengths[1])
    d = np.abs(student - teacher)
    return cosine * (1 - similar).mean() + smooth_l1 * np.where(d < 1, d**2 / 2, d - 0.5).mean()


def test_a_map_is_resized_to_the_teachers_after_the_projector():
    student, teacher = draw(3, 4, 2, 2), draw(3, 6, 4, 4, seed=1)
    loss = CosineSmoothL1(0.9, 0.1)
    loss.build(student, teacher)
    weight, bias = (p.detach().numpy() for p in (loss.head.weight, loss.head.bias))
    projected = np.einsum("nchw,dc->ndhw", student.numpy(), weight) + bias[:, None, None]
    # From 2 to 4 places, of which each is a quarter of the way from one to the next.
    up = np.array([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
    resized = np.einsum("ih,jw,ndhw->nijd", up, up, projected)
    expected = by_hand(resized, teacher.numpy().transpose(0, 2, 3, 1), 0.9, 0.1)
    assert loss(student, teacher).item() == pytest.approx(expected, rel=1e-12)


def test_a_token_of_zeros_disturbs_no_other():
    student, teacher = draw(2, 3, 5), draw(2, 3, 5, seed=1)
    student[0, 1] = 0
    student.requires_grad_()
    CosineSmoothL1(1, 0)(student, teacher).backward()
    assert student.grad[0, 1].abs().max() == 0
    assert 0 < student.grad.abs().max() < 1


def test_the_projector():
    same, other = draw(2, 5), draw(2, 7)
    for layers, teacher, parameters in ((None, same, 0), (None, other, 2), (1, same, 2), (3, other, 10)):
        loss = CosineSmoothL1(layers=layers, hidden=4)
        loss.build(same, teacher)
        assert len(list(loss.parameters())) == parameters
        assert loss.aligned(same, teacher)[0][0].shape == teacher.shape


def test_refusals():
    with pytest.raises(BadInput, match="both weights are 0"):
        CosineSmoothL1(0, 0)
    with pytest.raises(BadInput, match=r"\(2, 3, 5\) of the student and \(2, 4, 5\) of the teacher"):
        CosineSmoothL1()(draw(2, 3, 5), draw(2, 4, 5))
    with pytest.raises(BadInput, match="do not go together"):
        CosineSmoothL1()(draw(2, 5), draw(2, 5, 3, 3))
