"""Which images come when: seeds, epochs, order, rows."""

import pytest
import torch

from potstill.data import Augment, ImageSet, Loader
from potstill.errors import BadInput

HALF = (0.5, 0.5, 0.5)
SIZE = 100


def image_set() -> ImageSet:
    images = torch.randint(256, (SIZE, 8, 8, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    return ImageSet(images, torch.arange(SIZE) % 10)


def loader(augment: Augment | None = Augment(2), seed: int = 0, **options) -> Loader:  # noqa: B008 - frozen
    return Loader(image_set(), 32, mean=HALF, std=HALF, augment=augment, seed=seed, **options)


def epoch_of(loader: Loader, epoch: int = 0) -> dict[str, torch.Tensor]:
    loader.set_epoch(epoch)
    batches = list(loader)
    assert all(batch["size"] == SIZE for batch in batches)
    return {name: torch.cat([batch[name] for batch in batches]) for name in batches[0] if name != "size"}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in ("images", "labels", "index", "view"))


def test_same_seed_same_batches_whatever_happened_before():
    first = loader()
    expected = epoch_of(first, 3)
    epoch_of(first, 1)
    torch.manual_seed(123)
    torch.rand(5)
    assert same(epoch_of(first, 3), expected)
    assert same(epoch_of(loader(), 3), expected)


def test_drawing_leaves_the_global_random_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    epoch_of(loader())
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(("seed", "epoch"), [(0, 1), (1, 0)])
def test_another_epoch_or_seed_has_another_order_and_other_views(seed, epoch):
    first, other = epoch_of(loader()), epoch_of(loader(seed=seed), epoch)
    assert not torch.equal(first["index"], other["index"])
    by_row, other_by_row = first["view"][first["index"].argsort()], other["view"][other["index"].argsort()]
    assert not torch.equal(by_row, other_by_row)


def test_every_image_comes_once_an_epoch_and_the_last_batch_is_kept():
    whole = loader()
    sizes = [len(batch["index"]) for batch in whole]
    assert sizes == [32, 32, 32, 4]
    assert len(whole) == 4
    assert epoch_of(whole)["index"].sort().values.tolist() == list(range(SIZE))


def test_without_augmentation_images_come_in_order_and_plain():
    values = epoch_of(loader(augment=None))
    assert values["index"].tolist() == list(range(SIZE))
    expected = (image_set().images.permute(0, 3, 1, 2).double() / 255 - 0.5) / 0.5
    torch.testing.assert_close(values["images"].double(), expected, rtol=0, atol=1e-6)
    assert values["view"].unique().tolist() == [0]


def test_plain_shows_the_training_images_unchanged_without_a_copy():
    train = loader()
    plain = train.plain(torch.tensor([3, 50, 99]), batch_size=2)
    values = epoch_of(plain)
    assert [len(batch["index"]) for batch in plain] == [2, 1]
    assert values["index"].tolist() == [3, 50, 99]
    assert values["labels"].tolist() == [3, 0, 9]
    assert values["view"].unique().tolist() == [Augment(2).plain]
    assert torch.equal(values["images"], epoch_of(loader(augment=None))["images"][[3, 50, 99]])
    assert plain._padded.data_ptr() == train._padded.data_ptr()
    assert epoch_of(train)["index"].tolist() != list(range(SIZE))


def test_rows_restrict_but_index_stays_the_row_in_the_whole_set():
    rows = torch.arange(10, 60)
    values = epoch_of(loader(rows=rows))
    assert values["index"].sort().values.tolist() == rows.tolist()
    assert torch.equal(values["labels"], image_set().labels[values["index"]])
    assert epoch_of(loader(rows=rows).plain())["index"].tolist() == rows.tolist()


def test_a_batch_may_be_one_image():
    assert [len(batch["labels"]) for batch in loader().plain(torch.tensor([3, 4]), batch_size=1)] == [1, 1]
    (batch,) = Loader(image_set(), 1, mean=HALF, std=HALF, augment=None, rows=torch.tensor([3]))
    assert batch["index"].tolist() == [3]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_batches_are_the_same_on_a_gpu():
    on_cpu, on_gpu = epoch_of(loader(), 2), epoch_of(loader(device="cuda"), 2)
    assert same(on_cpu, {name: tensor.cpu() for name, tensor in on_gpu.items()})


def test_bad_loaders():
    with pytest.raises(BadInput, match="batch size is 0"):
        Loader(image_set(), 0, mean=HALF, std=HALF, augment=None)
    with pytest.raises(BadInput, match="seed is -1"):
        next(iter(loader(seed=-1)))


def test_a_fixed_number_of_views_is_the_same_whatever_the_seed():
    seen: dict[int, set[int]] = {}
    tables = []
    for seed in (0, 1):
        some = loader(seed=seed, views=3)
        tables.append(some.table)
        for epoch in range(12):
            found = epoch_of(some, epoch)
            for row, view in zip(found["index"].tolist(), found["view"].tolist(), strict=True):
                seen.setdefault(row, set()).add(view)
    assert torch.equal(*tables)
    assert tables[0].shape == (SIZE, 3)
    assert [seen[row] for row in range(SIZE)] == [set(views) for views in tables[0].tolist()]


def test_without_augmentation_images_are_as_they_are():
    found = epoch_of(loader(augment=None))
    pixels = image_set().images.permute(0, 3, 1, 2).float() / 255
    assert torch.equal(found["index"], torch.arange(SIZE))
    torch.testing.assert_close(found["images"], (pixels - 0.5) / 0.5)
    assert not loader(augment=None).augment.flip


def test_the_parts_of_several_processes_are_the_batches_of_one():
    whole = list(loader())
    parts = [list(loader().part(part, 3)) for part in range(3)]
    for number, batch in enumerate(whole):
        together = torch.cat([batches[number]["index"] for batches in parts])
        assert torch.equal(together, batch["index"])
        assert torch.equal(torch.cat([batches[number]["images"] for batches in parts]), batch["images"])
