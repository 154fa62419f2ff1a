import pytest
import torch

from potstill.data.augment import Augment
from potstill.data.companions import Pairs, Previous, Strong
from potstill.data.images import ImageSet
from potstill.data.loader import Loader

LABELS = torch.tensor([0, 0, 0, 1, 1, 2, 0, 1, 0, 1])  # class 2 has a single image
PLAIN = Augment(pad=0, flip=False)


def loader(augment=PLAIN, companions=(Pairs, Previous, Strong)):
    """Each image says which one it is, if it is not augmented."""
    images = torch.arange(10, dtype=torch.uint8).view(10, 1, 1, 1).expand(10, 8, 8, 3).contiguous()
    found = Loader(ImageSet(images, LABELS), 4, mean=(0, 0, 0), std=(1 / 255,) * 3, augment=augment, seed=3)
    return found.beside([companion(found) for companion in companions])


def rows_of(images):
    return images[:, 0, 0, 0].round().long()


def epoch_of(loader, epoch, first=0):
    loader.set_epoch(epoch)
    return list(loader.from_batch(first))


def test_pairs_are_other_images_of_the_same_class():
    seen, found = loader(), set()
    for epoch in range(40):
        for batch in epoch_of(seen, epoch):
            others = rows_of(batch["pair"])
            assert torch.equal(LABELS[others], batch["labels"])
            alone = batch["labels"] == 2
            assert torch.equal(others == batch["index"], alone)
            found |= set(zip(batch["index"].tolist(), others.tolist(), strict=True))
    assert len(found) == 5 * 4 + 4 * 3 + 1  # every image with every other one of its class


def test_the_batch_before_comes_again_over_the_ends_of_epochs():
    seen = loader()
    batches = [batch for epoch in range(3) for batch in epoch_of(seen, epoch)]
    for before, batch in zip([batches[0], *batches], batches, strict=False):
        assert torch.equal(rows_of(batch["previous"]), before["index"])
        assert torch.equal(batch["previous_labels"], before["labels"])


@pytest.mark.parametrize(("epoch", "first"), [(0, 2), (1, 0), (1, 1)])
def test_a_loader_that_starts_anywhere_gives_the_same_bits(epoch, first):
    usual = Augment(pad=1)
    whole = loader(usual)
    expected = [epoch_of(whole, number) for number in range(2)][epoch][first:]
    found = epoch_of(loader(usual), epoch, first)
    assert len(found) == len(expected) > 0
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize(("companion", "entry"), [(Pairs, "pair"), (Strong, "strong")])
def test_a_part_of_the_batches_has_its_part_of_the_further_images(companion, entry):
    whole = loader(Augment(pad=1), [companion])
    halves = [whole.part(part, 2) for part in range(2)]
    for batch, *parts in zip(whole, *halves, strict=True):
        assert torch.equal(batch[entry], torch.cat([part[entry] for part in parts]))


def test_a_strong_view_is_the_image_after_operations_that_no_other_random_number_decides():
    noise = torch.Generator().manual_seed(0)
    images = torch.randint(256, (40, 16, 16, 3), dtype=torch.uint8, generator=noise)
    given = Loader(
        ImageSet(images, torch.zeros(40, dtype=torch.int64)), 40, mean=(0, 0, 0), std=(1 / 255,) * 3, augment=PLAIN
    )
    seen = given.beside([Strong(given)])
    before = torch.random.get_rng_state()
    batch = next(iter(seen))
    assert torch.equal(torch.random.get_rng_state(), before)
    same = (batch["strong"] == batch["images"]).flatten(1).all(dim=1)
    assert same.sum() < 10  # some operations do nothing
    assert batch["strong"].min() >= 0
    assert batch["strong"].max() <= 255.01
    torch.manual_seed(99)
    assert torch.equal(next(iter(seen))["strong"], batch["strong"])
    again, later = (next(seen.batches(epoch)) for epoch in (0, 1))
    assert torch.equal(again["strong"], batch["strong"])
    place = later["index"].argsort()[batch["index"]]  # of the same image an epoch later
    assert not (later["strong"][place] == batch["strong"]).flatten(1).all(dim=1).any()


def test_what_is_measured_has_nothing_beside_it():
    assert list(next(iter(loader().plain()))) == ["images", "labels", "index", "view", "size"]
