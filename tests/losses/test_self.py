"""Losses in which a network, or its branches, teach themselves: what the recorded numbers do not say."""

import pytest
import torch
import torch.nn.functional as F

import potstill as ps
from potstill.errors import BadInput
from potstill.losses import BYOT, DLB, HSAKD, ONE, PSKD, SSKD
from potstill.losses.sskd import least_wrong

LABELS = torch.tensor([0, 1, 2, 0])


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pskd(index):
    batch = draw(4, 3), LABELS, torch.tensor(1.0), index
    loss = PSKD(alpha=0.5, samples=9)
    loss.build(*batch)
    return loss, batch


def test_pskd_of_new_images_is_cross_entropy_and_nothing_is_kept_of_a_measurement():
    loss, batch = pskd(torch.arange(4))
    assert torch.isclose(loss.eval()(*batch), F.cross_entropy(batch[0], LABELS))
    assert not loss.memory.any()
    loss.train()(*batch)
    torch.testing.assert_close(loss.memory[:4], batch[0].softmax(dim=1))
    target = 0.5 * F.one_hot(LABELS, 3) + 0.5 * batch[0].softmax(dim=1)
    torch.testing.assert_close(loss(*batch), -(target * batch[0].log_softmax(dim=1)).sum(dim=1).mean())


@pytest.mark.parametrize("progress", [0.0, 0.25, 1.0])
def test_pskd_trusts_what_it_said_more_and_more(progress):
    loss, (logits, labels, _, index) = pskd(torch.arange(4))
    said = draw(4, 3, seed=1).softmax(dim=1)
    loss.memory[index] = said
    own = progress * loss.alpha
    expected = F.cross_entropy(logits, (1 - own) * F.one_hot(labels, 3) + own * said)
    torch.testing.assert_close(loss(logits, labels, torch.tensor(progress, dtype=torch.float64), index), expected)


def test_pskd_keeps_the_last_of_an_image_that_is_there_twice_and_refuses_others():
    loss, batch = pskd(torch.tensor([5, 2, 5, 3]))
    loss(*batch)
    torch.testing.assert_close(loss.memory[5], batch[0][2].softmax(dim=0))
    with pytest.raises(BadInput, match="index 9 is beyond samples=9 rows"):
        pskd(torch.tensor([5, 2, 9, 3]))


def test_dlb_is_loaded_with_any_number_of_rows_and_goes_on_with_them():
    loss, smaller = DLB(), DLB()
    old, new, labels = draw(6, 3), draw(4, 3, seed=1), torch.arange(6) % 3
    loss((old, old), labels, labels)
    smaller((new, new), LABELS, LABELS)
    smaller.load_state_dict(loss.state_dict())
    found = [one((new, draw(6, 3, seed=2)), LABELS, labels) for one in (loss, smaller)]
    assert torch.equal(*found)
    expected = loss.compare(new, draw(6, 3, seed=2), LABELS, labels, old)
    assert torch.equal(found[0], expected)
    after = loss((old, draw(4, 3, seed=3)), labels, LABELS)  # of six rows that were kept, the first four count
    assert torch.equal(after, loss.compare(old, draw(4, 3, seed=3), labels, LABELS, new))


def test_the_deepest_classifier_of_byot_learns_from_the_labels_alone():
    stage, logits, features = draw(4, 5, 4, 4), draw(4, 3).requires_grad_(), draw(4, 6).abs().requires_grad_()
    loss = BYOT(alpha=0.25, beta=1.0)
    loss.build((stage, logits.detach()), LABELS, features.detach())
    loss((stage, logits), LABELS, features).backward()
    (expected,) = torch.autograd.grad(0.75 * F.cross_entropy(logits, LABELS), logits)
    torch.testing.assert_close(logits.grad, expected)
    assert features.grad is None


@pytest.mark.parametrize(("epoch", "weight"), [(0, 0.006737946999085467), (40, 0.2865047968601901), (90, 1.0)])
def test_what_the_ensemble_of_one_teaches_grows(epoch, weight):
    branches, trunk = [draw(4, 3, seed=i) for i in range(3)], draw(4, 6, 2, 2)
    loss = ONE(ramp=80)
    batch = (*branches, trunk), LABELS, torch.tensor(float(epoch), dtype=torch.float64)
    loss.build(*batch)
    ensemble = loss.ensemble(branches, trunk)
    torch.testing.assert_close(loss(*batch), loss.compare(branches, ensemble, LABELS, weight))
    low, high = torch.stack(branches).amin(0), torch.stack(branches).amax(0)
    assert ((low - 1e-9 <= ensemble) & (ensemble <= high + 1e-9)).all()


@pytest.mark.parametrize("part", [0.0, 0.3, 1.0])
def test_sskd_keeps_those_that_sorting_them_one_by_one_would(part):
    scores, right = draw(20, 5), torch.arange(20) % 5
    ranks = [int((row > row[column]).sum()) for row, column in zip(scores, right.tolist(), strict=True)]
    wrong = [i for i, rank in sorted(enumerate(ranks), key=lambda pair: pair[1]) if rank > 0]
    kept = {i for i, rank in enumerate(ranks) if rank == 0} | set(wrong[: int(part * len(wrong))])
    assert set(least_wrong(scores, right, part).nonzero().flatten().tolist()) == kept


@pytest.mark.parametrize("loss", [SSKD(), HSAKD()], ids=["SSKD", "HSAKD"])
def test_the_student_does_not_touch_what_its_teacher_learns_alongside(loss):
    maps = (draw(16, 6, 4, 4), draw(16, 6, 4, 4, seed=1)) if isinstance(loss, HSAKD) else (draw(16, 6), draw(16, 6))
    pairs = [(maps[i].float(), draw(16, 3, seed=i).float()) for i in range(2)]
    student, teacher = [pair if isinstance(loss, HSAKD) else pair[::-1] for pair in pairs]
    loss.build(student, teacher, LABELS)
    theirs = [p for name, p in loss.named_parameters() if name.startswith(("heads_t", "project_t"))]
    found = []
    for scale in (1.0, -3.0):
        torch.manual_seed(0)
        value = loss((scale * student[0], scale * student[1]), teacher, LABELS)
        found.append(torch.autograd.grad(value, theirs))
    for one, other in zip(*found, strict=True):
        assert one.any()
        torch.testing.assert_close(one, other)


def test_images_that_are_not_square_are_not_turned():
    with pytest.raises(BadInput, match="are not square"):
        ps.networks.Rotations()(torch.zeros(2, 3, 4, 5))
