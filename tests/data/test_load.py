"""Data sets by name, on the embedded digits and a tiny CIFAR."""

import subprocess
import sys
from dataclasses import asdict, fields

import pytest
import torch

from potstill.data import Loader, describe_data_sets, load
from potstill.data.normalize import STATISTICS, statistics
from potstill.data.split import drawn
from potstill.errors import BadInput
from potstill.selection import Selection
from potstill.training import Training


def indices(loader: Loader) -> list[int]:
    return sorted(torch.cat([batch["index"] for batch in loader]).tolist())


def test_digits_are_the_1797_scans_in_their_order():
    data = load("digits", augment=False, normalize="0 0 0 1 1 1")
    train = torch.cat([batch["labels"] for batch in data.train])
    test = torch.cat([batch["labels"] for batch in data.test])
    # Counted in the original file.
    assert train.bincount().tolist() == [99, 102, 100, 104, 98, 100, 101, 99, 98, 99]
    assert (train.bincount() + test.bincount()).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    first = data.train.plain(torch.tensor([0]))
    images = next(iter(first))["images"]
    assert images.shape == (1, 3, 8, 8)
    assert (images[0, 0] * 16).round().int().tolist()[:2] == [[0, 0, 5, 13, 9, 1, 0, 0], [0, 0, 13, 15, 10, 15, 5, 0]]
    assert torch.equal(images[:, 0], images[:, 2])


def test_digits_statistics_are_those_of_their_training_images():
    data = load("digits", augment=False, normalize="0 0 0 1 1 1")
    pixels = torch.cat([batch["images"] for batch in data.train]).double()
    mean, std = STATISTICS["digits"]
    assert pixels.mean().item() == pytest.approx(mean[0], abs=5.1e-5)
    assert pixels.std(correction=0).item() == pytest.approx(std[0], abs=5.1e-5)


def test_digits_views_are_nine_crops_and_no_mirror_images():
    views = torch.cat([batch["view"] for batch in load("digits").train])
    assert views.unique().tolist() == list(range(0, 18, 2))


def test_holdout_is_disjoint_plain_and_keeps_its_rows():
    data = load("digits", holdout=100, seed=4)
    assert data.holdout is not None
    held, trained = indices(data.holdout), indices(data.train)
    assert len(held) == 100
    assert sorted(held + trained) == list(range(1000))
    whole = load("digits").train.plain()
    rows = torch.tensor(held)
    expected = whole.images(rows, torch.full_like(rows, whole.augment.plain))
    batch = next(iter(data.holdout))
    assert torch.equal(batch["images"], expected)
    assert torch.equal(batch["index"], rows)
    assert torch.equal(batch["labels"], whole.labels[rows])


def test_fewer_images_are_drawn_from_what_is_not_held_out():
    data = load("digits", holdout=100, images=50, test_images=30, seed=4)
    held, trained, measured = (indices(loader) for loader in (data.holdout, data.train, data.test))
    assert held == indices(load("digits", holdout=100, seed=4).holdout)
    assert (len(trained), len(measured)) == (50, 30)
    assert not set(held) & set(trained)
    other = load("digits", holdout=100, images=50, test_images=30, seed=5)
    assert indices(other.train) != trained
    assert indices(other.test) == measured  # what is compared is measured on the same images
    assert max(measured) > 400  # not just the first ones


def test_which_images_are_drawn_stays_the_same_from_version_to_version():
    drawings = [drawn(100, 5, seed, "images").tolist() for seed in (0, 1)]
    assert drawings == [[4, 9, 41, 47, 90], [18, 62, 65, 68, 92]]


def test_holdout_is_drawn_by_the_seed():
    first, again, other = (load("digits", holdout=50, seed=seed).holdout for seed in (1, 1, 2))
    assert first is not None and again is not None and other is not None  # noqa: PT018 - for the types
    assert indices(first) == indices(again)
    assert indices(first) != indices(other)


def test_cifar_by_name(hub):
    data = load("cifar10", data_dir=hub, border="reflect", batch_size=3)
    assert [len(batch["index"]) for batch in data.train] == [3, 3, 2]
    assert indices(data.test) == [0, 1, 2, 3]
    assert data.classes[3] == "cat"
    assert (data.mean, data.std) == STATISTICS["cifar10"]
    assert (data.train.augment.pad, data.train.augment.flip, data.train.augment.border) == (4, True, "reflect")
    hundred = load("cifar100", data_dir=str(hub))
    assert (len(hundred.classes), hundred.classes[0], hundred.classes[99]) == (100, "apple", "worm")


def test_a_selection_and_its_fields_are_the_same(hub):
    chosen = Selection("digits", holdout=100, images=50, test_images=30, normalize="imagenet", border="reflect")
    whole = load(chosen, seed=4)
    flat = load("digits", seed=4, **{name: v for name, v in asdict(chosen).items() if name != "data"})
    for data in (whole, flat, load(Training(**asdict(chosen)), seed=4), load(Selection("digits"), seed=4, holdout=100)):
        assert indices(data.holdout) == indices(whole.holdout)
    assert flat.described() == whole.described()
    assert (flat.train.augment.border, len(flat.train.rows)) == ("reflect", 50)
    assert torch.equal(flat.example()["images"], whole.example()["images"])
    with pytest.raises(TypeError, match="hold_out"):
        load("digits", hold_out=3)


def test_training_is_a_selection_in_the_order_of_its_flags():
    names = [field.name for field in fields(Training)]
    assert names[: len(fields(Selection))] == [field.name for field in fields(Selection)]
    assert names[0] == "data"
    assert Training(data="pictures/").data == Selection("pictures/").data == "pictures"
    assert Training(data="a/pictures/").data == Selection("a/pictures/").data == "a/pictures"


def test_augment_off_still_shuffles():
    loader = load("digits", augment=False).train
    values = next(iter(loader))
    assert values["index"].tolist() != list(range(128))
    assert values["view"].unique().tolist() == [loader.augment.plain]


def test_the_example_is_the_first_batch_whatever_the_epoch():
    data = load("digits", batch_size=16)
    first = next(iter(data.train))
    data.train.set_epoch(5)
    assert torch.equal(data.example()["images"], first["images"])
    assert data.train.epoch == 5


def test_six_numbers_and_names_normalise():
    assert statistics("0.1,0.2,0.3 1 2 3") == ((0.1, 0.2, 0.3), (1, 2, 3))
    assert load("digits", normalize="imagenet").mean == (0.485, 0.456, 0.406)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cifar11", {}, "unknown data set 'cifar11'; did you mean cifar10"),
        ("digits", {"holdout": 1000}, r"holdout is 1000, but must be 0\.\.999"),
        ("digits", {"holdout": -1}, "--holdout must be 0 or more, not -1"),
        ("digits", {"holdout": 900, "images": 101}, r"images is 101, but must be 1\.\.100"),
        ("digits", {"test_images": 0}, "--test-images must be 1 or more, not 0"),
        ("digits", {"normalize": "imagnet"}, "unknown normalization 'imagnet'; did you mean imagenet"),
        ("digits", {"normalize": "1 2 3"}, "normalization '1 2 3' is not a name"),
        ("digits", {"normalize": "0 0 0 1 0 1"}, "three deviations above 0"),
        ("digits", {"normalize": "nan 0 0 1 1 1"}, "three means"),
        ("digits", {"border": "mirror"}, "--border is 'mirror'"),
        ("digits", {"batch_size": 0}, "batch size is 0"),
        ("digits", {"seed": -1}, "seed is -1"),
    ],
)
def test_bad_input(name, options, message):
    with pytest.raises(BadInput, match=message):
        load(name, **options)


def test_the_listing_has_a_sentence_for_every_set():
    assert list(describe_data_sets()) == ["cifar10", "cifar100", "digits", "imagenet", "DIR", "hf-data:ORG/NAME"]
    assert all(sentence.endswith(".") for sentence in describe_data_sets().values())


def test_loading_data_imports_no_torchvision():
    code = "import sys; from potstill.data import load; load('digits'); print('torchvision' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
