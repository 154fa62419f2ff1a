"""Batches of image files: the same ones whoever decodes them."""

import multiprocessing
import os
import pickle
import signal
import time
from pathlib import Path

import pytest
import torch

import potstill as ps
from potstill.data import ImageLoader
from potstill.data.files.decoding import Crops, decode
from potstill.data.files.folder import Folder
from potstill.errors import BadInput, TrainingFailed

SETTINGS = {"size": 16, "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4)}


def make(folder, workers=0, shuffle=True, augment=True, **more):
    return ImageLoader(
        Folder(folder / "train"), 5, **SETTINGS, shuffle=shuffle, augment=augment, workers=workers, **more
    )


class Slow(Folder):
    """Its first image lies on a disk that hangs."""

    def read(self, row):
        if row == 0:
            time.sleep(60)
        return super().read(row)


def contents(loader, epoch=0):
    return [{name: value.clone() for name, value in batch.items()} for batch in loader.batches(epoch)]


def equal(ones, others):
    return all(
        torch.equal(one[name], other[name])
        for one, other in zip(ones, others, strict=True)
        for name in ("images", "index")
    )


def test_batches_are_the_views_of_their_images(picture_folder):
    loader = make(picture_folder)
    batches = contents(loader, epoch=3)
    assert [len(batch["labels"]) for batch in batches] == [5, 5, 2]
    assert len(loader) == 3
    assert torch.cat([batch["index"] for batch in batches]).sort().values.tolist() == list(range(12))
    crops, mean, std = Crops(16), *(torch.tensor(SETTINGS[name]).double() for name in ("mean", "std"))
    for batch in batches:
        assert batch["images"].is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(batch["labels"], loader.images.labels[batch["index"]])
        assert batch["size"].item() == 12
        for image, row, view in zip(batch["images"], batch["index"], batch["view"], strict=True):
            pixels = crops.view(decode(loader.images.read(int(row))), int(view)).double() / 255
            expected = ((pixels - mean) / std).permute(2, 0, 1)
            torch.testing.assert_close(image.double(), expected, rtol=0, atol=4e-7)  # float32: of values up to 3.5


def test_epochs_and_seeds_differ_and_repeat(picture_folder):
    loader = make(picture_folder)
    first = contents(loader, 0)
    assert not torch.equal(contents(loader, 1)[0]["index"], first[0]["index"])
    assert equal(contents(loader, 0), first)
    assert equal(contents(make(picture_folder), 0), first)
    assert not torch.equal(contents(make(picture_folder, seed=1), 0)[0]["view"], first[0]["view"])


def test_workers_change_nothing(picture_folder):
    alone, helped = make(picture_folder), make(picture_folder, workers=2)
    for epoch in (0, 1):
        assert equal(contents(alone, epoch), contents(helped, epoch))


def test_slots_are_not_written_to_before_they_are_read(picture_folder):
    # More batches than slots, and a reader slower than the workers.
    whole = make(picture_folder)
    rows = torch.arange(12).repeat(5)
    alone, helped = (
        ImageLoader(whole.images, 1, **SETTINGS, shuffle=False, augment=True, rows=rows, workers=workers)
        for workers in (0, 2)
    )
    for one, other in zip(alone.batches(0), helped.batches(0), strict=True):
        time.sleep(0.01)
        assert torch.equal(one["images"], other["images"])


def test_an_epoch_that_is_left_early_disturbs_no_later_one(picture_folder):
    alone, helped = make(picture_folder), make(picture_folder, workers=2)
    next(iter(helped.batches(0)))
    assert equal(contents(alone, 1), contents(helped, 1))


@pytest.mark.parametrize("workers", [0, 1])
def test_two_epochs_at_once_are_an_error(picture_folder, workers):
    loader = make(picture_folder, workers=workers)
    with pytest.raises(RuntimeError, match="one epoch at a time"):
        list(zip(loader.batches(0), loader.batches(1), strict=True))


def test_without_enough_shared_memory(picture_folder):
    files = Folder(picture_folder / "train")
    settings = {**SETTINGS, "size": 10_000, "shuffle": True, "augment": True}
    loader = ImageLoader(files, 10_000, workers=100, **settings)  # which takes none before the first epoch
    with pytest.raises(BadInput, match=r"--workers 100 need 1800\.0 GB of shared memory for batches of 12"):
        next(iter(loader))


@pytest.mark.parametrize("cache", [False, True])
def test_what_workers_need_can_be_sent_to_a_new_process(picture_folder, user_cache, cache):
    # Python 3.14 no longer forks: what a worker is given is pickled.
    loader = make(picture_folder, cache=cache)
    copied = pickle.loads(pickle.dumps(loader._views))
    (items, *_) = loader._order
    assert torch.equal(copied.make(items)[0], loader._views.make(items)[0])


def test_the_callers_random_numbers_are_left_alone(picture_folder):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    loader = make(picture_folder)
    contents(loader)
    loader.example()
    assert torch.equal(torch.rand(3), expected)


def test_plain_images_in_order(picture_folder):
    loader = make(picture_folder).plain(torch.tensor([7, 1]), 2)
    (batch,) = contents(loader)
    assert batch["index"].tolist() == [7, 1]
    assert batch["view"].tolist() == [0, 0]
    assert equal(contents(loader, 1), [batch])


def test_the_example_is_the_start_of_epoch_0(picture_folder):
    loader = make(picture_folder, workers=1)
    assert torch.equal(loader.example()["images"], contents(make(picture_folder), 0)[0]["images"])


def break_image(folder):
    (folder / "train" / "green" / "1.png").write_bytes(b"no image")


@pytest.mark.parametrize("workers", [0, 2])
def test_a_bad_image_is_fatal(picture_folder, workers):
    loader = make(picture_folder, workers=workers)
    break_image(picture_folder)
    with pytest.raises(BadInput, match=r"green/1\.png cannot be read: .*; --on-bad-image skip leaves"):
        contents(loader)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_bad_image_is_left_out_and_named_once(picture_folder, workers, capsys):
    loader = make(picture_folder, workers=workers, shuffle=False, on_bad_image="skip")
    break_image(picture_folder)
    for epoch in (0, 1):
        rows = torch.cat([batch["index"] for batch in contents(loader, epoch)]).sort().values.tolist()
        assert rows == [row for row in range(12) if row != 5]
    assert capsys.readouterr().err.count("green/1.png cannot be read and is left out") == 1


def test_batches_with_a_bad_image_hold_the_right_others(picture_folder):
    whole = {
        int(row): image
        for b in contents(make(picture_folder))
        for row, image in zip(b["index"], b["images"], strict=True)
    }
    break_image(picture_folder)
    for batch in contents(make(picture_folder, on_bad_image="skip", workers=1)):
        for row, image, label in zip(batch["index"], batch["images"], batch["labels"], strict=True):
            assert torch.equal(image, whole[int(row)])
            assert label == int(row) // 4


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("bad", [range(5), range(5, 10), range(10, 12), range(11), [0, 1, 2, 3, 4, 10, 11]])
def test_batches_of_bad_images_alone_are_left_out(picture_folder, bad, workers):  # C9
    loader = make(picture_folder, shuffle=False, on_bad_image="skip", workers=workers)
    for row in bad:
        Path(loader.images.name(row)).write_bytes(b"")
    rows = torch.cat([batch["index"] for batch in contents(loader)])
    assert rows.tolist() == [row for row in range(12) if row not in bad]
    assert loader.example()["index"].tolist()[0] == int(rows[0])


@pytest.mark.parametrize("look", [lambda loader: loader.example(), contents])
def test_bad_images_alone_are_no_data(picture_folder, look):  # C9
    loader = make(picture_folder, shuffle=False, on_bad_image="skip")
    for path in (picture_folder / "train").glob("*/*.png"):
        path.write_bytes(b"")
    with pytest.raises(BadInput, match="none of the 12 images can be read, .*blue/0.png for example"):
        look(loader)


def test_one_image_that_hangs_holds_nothing_else_up(picture_folder, capsys):
    slow = Slow(picture_folder / "train")
    settings = {**SETTINGS, "shuffle": False, "augment": True}
    loader = ImageLoader(slow, 5, **settings, workers=2, on_bad_image="skip", patience=1.0)
    batches = contents(loader)
    assert torch.cat([batch["index"] for batch in batches]).tolist() == list(range(1, 12))
    assert "blue/0.png cannot be read and is left out: it takes longer than 1 s" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "message"), [({"workers": -1}, "--workers is -1"), ({"batch": 0}, "batch size is 0")]
)
def test_settings_that_make_no_sense(picture_folder, settings, message):
    with pytest.raises(BadInput, match=message):
        ImageLoader(
            Folder(picture_folder / "train"),
            settings.get("batch", 5),
            **SETTINGS,
            shuffle=True,
            augment=True,
            workers=settings.get("workers", 0),
        )


def test_load_gives_all_splits(picture_folder):
    data = ps.data.load(str(picture_folder), image_size=8, batch_size=4, holdout=3, workers=0, seed=2)
    held, trained, tested = (
        sorted(torch.cat([b["index"] for b in loader.batches(0)]).tolist())
        for loader in (data.holdout, data.train, data.test)
    )
    assert sorted(held + trained) == list(range(12))
    assert len(held) == 3
    assert tested == [0, 1, 2]
    assert data.example()["images"].shape == (4, 3, 8, 8)
    described = data.described()
    assert described["classes"] == ["blue", "green", "red"]
    assert described["shape"] == [3, 8, 8]
    alone = ps.data.load(str(picture_folder / "train"), image_size=8, workers=0, images=5)
    rows = [set(torch.cat([b["index"] for b in loader.batches(0)]).tolist()) for loader in (alone.train, alone.test)]
    assert [len(found) for found in rows] == [5, 2]
    assert not rows[0] & rows[1]


def test_a_worker_that_is_killed(picture_folder):
    whole = make(picture_folder)
    rows = torch.arange(12).repeat(50)
    loader = ImageLoader(whole.images, 1, **SETTINGS, shuffle=False, augment=False, rows=rows, workers=1)
    batches = loader.batches(0)
    next(batches)
    (worker,) = multiprocessing.active_children()
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(TrainingFailed, match="a process that decodes images was killed; .* fewer --workers"):
        list(batches)
