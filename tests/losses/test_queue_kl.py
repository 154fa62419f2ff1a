"""The queue; the loss itself is compared with the original in tests/test_oracle.py."""

import pytest
import torch
import torch.nn.functional as F

from potstill.errors import BadInput
from potstill.losses import QueueKL, QueuePatchKL


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_queue_holds_the_newest_first_and_only_while_training():
    loss = QueueKL(queue=5)
    batches = [draw(2, 4, seed=seed) for seed in range(3)]
    loss.build(draw(2, 3), batches[0])
    for batch in batches:
        loss(draw(2, 3), batch)
    torch.testing.assert_close(loss.queue, F.normalize(torch.cat([batches[2], batches[1], batches[0][:1]])))
    before = loss.queue.clone()
    loss.eval()(draw(2, 3), draw(2, 4, seed=9))
    assert torch.equal(loss.queue, before)


def test_zero_where_the_projected_student_is_the_teacher():
    loss = QueueKL(queue=6)
    student = draw(4, 3)
    loss.build(student, student)
    torch.nn.init.eye_(loss.head.weight)
    assert loss(student, 7 * student).item() == pytest.approx(0, abs=1e-12)


def test_patches_are_compared_within_an_image():
    """Turned as a whole, the patches of an image are as like to each other as before."""
    loss = QueuePatchKL(queue=6).eval()  # in which the queue stays
    student, teacher = (draw(4, 3), draw(4, 3, 2, 2)), (draw(4, 3, seed=1), draw(4, 3, 2, 2))
    loss.build(student, teacher)
    turn, _ = torch.linalg.qr(draw(3, 3))
    loss.head_local.weight.data = turn
    images, patches = loss.aligned(student, teacher)
    assert loss.of_patches(*patches).item() == pytest.approx(0, abs=1e-12)
    torch.testing.assert_close(loss(student, teacher), loss.of_images(*images), rtol=0, atol=1e-12)


def test_refusals():
    with pytest.raises(BadInput, match="queue"):
        QueueKL(queue=0)
    with pytest.raises(BadInput, match="temperature"):
        QueuePatchKL(patch_temperature=0)
