"""What is done to training images, against torchvision's and the papers' own definitions."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torchvision.transforms import v2

import potstill as ps
from potstill.data.normalize import Standardize
from potstill.engine.transforms import Transforms
from potstill.errors import BadInput
from potstill.image_changes.chosen import chosen_changes
from potstill.image_changes.erasing import Erasing
from potstill.image_changes.mixing import Mixing, check_mixable
from potstill.image_changes.operations import Operations, randaugment, to_pixels, trivial_augment

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


@pytest.fixture(scope="module")
def pixels():
    return torch.randint(256, (12, 16, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def batch(pixels):
    images = Standardize(pixels.shape[1:], MEAN, STD, "cpu")(pixels)
    return {"images": images, "labels": torch.arange(12) % 5, "index": torch.arange(12)}


def test_pixels_come_back_as_they_were(batch, pixels):
    every = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1).expand(1, 16, 16, 3)
    for mean, std in ((MEAN, STD), ((0.0,) * 3, (1.0,) * 3), ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))):
        images = Standardize(every.shape[1:], mean, std, "cpu")(every)
        assert torch.equal(to_pixels(images, mean, std).permute(0, 2, 3, 1), every)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(randaugment(2, 9), v2.RandAugment(2, 9)), (trivial_augment(), v2.TrivialAugmentWide())],
    ids=["RandAugment", "TrivialAugment"],
)
def test_operations_are_torchvisions_on_the_pixels_and_each_image_has_its_own(batch, pixels, ours, theirs):
    torch.manual_seed(3)
    changed = Operations(ours, MEAN, STD)(batch)
    torch.manual_seed(3)
    wanted = torch.stack([theirs(image) for image in pixels.permute(0, 3, 1, 2)])
    wanted = (wanted.double() / 255 - torch.tensor(MEAN).double().view(3, 1, 1)) / torch.tensor(STD).double().view(
        3, 1, 1
    )
    torch.testing.assert_close(changed["images"].double(), wanted, rtol=1e-6, atol=1e-6)
    assert changed["images"].is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(changed["labels"], batch["labels"])
    same = {**batch, "images": batch["images"][:1].expand(12, -1, -1, -1)}
    assert len({image.numpy().tobytes() for image in Operations(ours, MEAN, STD)(same)["images"]}) > 3


def test_erasing_sets_one_rectangle_an_image_to_the_mean(batch):
    torch.manual_seed(0)
    erased = Erasing(1.0)(batch)["images"]
    for before, after in zip(batch["images"], erased, strict=True):
        gone = (after == 0).all(0)
        rows, columns = gone.any(1).nonzero().flatten(), gone.any(0).nonzero().flatten()
        inside = gone[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert inside.all()  # a rectangle
        assert 0.01 < gone.float().mean() < 0.4
        assert torch.equal(before[:, ~gone], after[:, ~gone])
    assert torch.equal(Erasing(0.0)(batch)["images"], batch["images"])
    many = {"images": torch.ones(400, 3, 8, 8)}
    assert 0.15 < (Erasing(0.25)(many)["images"] == 0).flatten(1).any(1).float().mean() < 0.35


def test_mixup_is_a_mean_of_two_images_and_of_their_labels(batch):
    torch.manual_seed(1)
    mixed = Mixing(0.8, 0, 5)(batch)
    one = F.one_hot(batch["labels"], 5).double()
    part = _part(mixed["labels"].double(), one)
    other = batch["images"].roll(1, 0).double()
    wanted = part * batch["images"].double() + (1 - part) * other
    torch.testing.assert_close(mixed["images"].double(), wanted, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(mixed["labels"].double(), part * one + (1 - part) * one.roll(1, 0), rtol=1e-6, atol=1e-6)
    assert mixed["labels"].dtype == torch.float32


def test_cutmix_pastes_a_rectangle_whose_area_the_label_tells(batch):
    torch.manual_seed(2)
    mixed = Mixing(0, 1.0, 5)(batch)
    pasted = (mixed["images"] != batch["images"]).any(1)[0]
    one = F.one_hot(batch["labels"], 5).double()
    assert torch.equal(mixed["images"][:, :, pasted], batch["images"].roll(1, 0)[:, :, pasted])
    assert _part(mixed["labels"].double(), one) == pytest.approx(1 - float(pasted.double().mean()), abs=0.02)


def _part(labels, one):
    """How much of its own label each row has kept: the same of all."""
    apart = (one != one.roll(1, 0)).any(1)
    parts = (labels * one).sum(1)[apart]
    assert float(parts.max() - parts.min()) < 1e-6
    return float(parts[0])


def test_parts_are_drawn_from_beta():
    mixing, batch = Mixing(0.4, 0, 2), {"images": torch.zeros(2, 1, 2, 2), "labels": torch.tensor([0, 1])}
    torch.manual_seed(0)
    parts = np.array([float(mixing(batch)["labels"][0, 0]) for _ in range(1000)])
    draws = np.random.default_rng(0).beta(0.4, 0.4, 200_000)
    for share in (0.1, 0.25, 0.5, 0.75, 0.9):
        # Three standard errors of a share of 1,000; Beta(1, 1) is off by up to 0.15.
        assert abs((parts < np.quantile(draws, share)).mean() - share) < 0.048


def test_with_both_each_batch_takes_one(batch):
    mixing, kinds = Mixing(0.8, 1.0, 5), set()
    for seed in range(12):
        torch.manual_seed(seed)
        images = mixing(batch)["images"]
        shared = ((images == batch["images"]) | (images == batch["images"].roll(1, 0))).float().mean()
        kinds.add("cutmix" if shared == 1 else "mixup")
    assert kinds == {"cutmix", "mixup"}


def test_all_at_once_is_repeatable_and_in_the_order_operations_erasing_mixing(batch):
    data = ps.data.from_loaders([(batch["images"], batch["labels"])], classes=5, mean=MEAN, std=STD)
    training = ps.Training(randaugment=(2, 9), erase=0.5, mixup=0.2, cutmix=1.0)
    changes = chosen_changes(training, data)
    assert [type(change) for change in changes] == [Operations, Erasing, Mixing]
    first, again, other = (Transforms(changes, seed, ())(batch, 0, 1)["images"] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert chosen_changes(ps.Training(), data) == []


@pytest.mark.parametrize(
    ("given", "settings", "message"),
    [
        ({"classes": 5}, {"trivial_augment": True}, "mean and std"),
        ({"mean": MEAN, "std": STD}, {"cutmix": 1.0}, "how many classes"),
    ],
    ids=["no statistics", "no classes"],
)
def test_what_somebody_elses_loaders_do_not_say_is_asked_for(batch, given, settings, message):
    data = ps.data.from_loaders([(batch["images"], batch["labels"])], **given)
    with pytest.raises(BadInput, match=message):
        chosen_changes(ps.Training(**settings), data)


@pytest.mark.parametrize(
    ("term", "mixable"),
    [
        (ps.Term(ps.losses.CE(), "student", "labels"), True),
        (ps.Term(ps.losses.KD(guided=True), "student", "teacher", "labels"), True),
        (ps.Term(ps.losses.DKD(), "student", "teacher", "labels"), False),
        (ps.Term(ps.losses.CRD(contrast="samples"), "student.pooled", "teacher.pooled", "index", "size"), False),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_terms_that_want_one_class_or_one_image_are_named(term, mixable):
    if mixable:
        check_mixable([term])
    else:
        with pytest.raises(BadInput, match=f"^--mixup and --cutmix .*'{term.name}'"):
            check_mixable([term])
