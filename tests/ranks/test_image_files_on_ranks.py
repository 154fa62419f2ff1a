"""Processes that share the images of a folder out see, and learn, together what one does: each image, in the same view.

Of twelve images in batches of five, the last batch has two: three processes divide no batch, and one has none of it.
"""

from pathlib import Path

import pytest
import torch
from drawn import by_hand, drawn

from potstill.errors import BadInput
from potstill.ranks.slices import Sliced
from ranks import several
from ranks.cases import difference
from ranks.image_files import EPOCHS, learned, load, seen

SCRIPT = Path(__file__).parent / "image_files.py"
SIZES = {2: [[3, 2], [3, 2], [1, 1]], 3: [[2, 2, 1], [2, 2, 1], [1, 1, 0]]}


def together(parts):
    """What all processes see of each step, in their order."""
    keys = ("images", "labels", "index", "view")
    return [{key: torch.cat([part[key] for part in step]) for key in keys} for step in zip(*parts, strict=True)]


def check(parts, whole, counts):
    for part in parts:
        assert [step["counts"].tolist() for step in part] == counts
    assert len(whole) == len(counts)
    for step, alone in zip(together(parts), whole, strict=True):
        assert all(torch.equal(value, alone[key]) for key, value in step.items())


@by_hand
@pytest.mark.parametrize("size", drawn(SIZES, 1))
def test_processes_see_the_images_of_one_and_learn_the_same(size, picture_folder, tmp_path):
    data = load(picture_folder)
    whole, later, alone = seen(data.train), seen(data.train, 1), learned(data)
    assert len({int(view) for step in whole for view in step["view"]}) == 12 * EPOCHS  # all of them augmented
    for code, _, errors in several.run(size, [str(SCRIPT), str(picture_folder), str(tmp_path / "rank.0")]):
        assert code == 0, errors
    ranks = [torch.load(tmp_path / f"rank.{rank}", weights_only=True) for rank in range(size)]
    check([rank["seen"] for rank in ranks], whole, SIZES[size] * EPOCHS)
    check([rank["later"] for rank in ranks], later, SIZES[size][1:] * EPOCHS)
    for rank in ranks:
        worst, where = difference(alone, rank["learned"])
        assert worst < 1e-9, where


def test_workers_decode_the_rows_of_one_process_only(picture_folder):
    whole = seen(load(picture_folder).train)[: len(SIZES[3])]
    loader = load(picture_folder, workers=1).train
    for rank in range(3):
        part = [{**batch, "images": batch["images"].clone()} for batch in loader.part(rank, 3)]
        for batch, alone, counts in zip(part, whole, SIZES[3], strict=True):
            start = sum(counts[:rank]) if counts[rank] else 0  # of a batch without a row for it, the first
            rows = slice(start, start + max(1, counts[rank]))
            assert all(torch.equal(batch[key], alone[key][rows]) for key in ("images", "labels", "index", "view"))


def test_images_that_cannot_be_read_are_not_left_out_by_several(picture_folder):
    loader = load(picture_folder).train
    loader.on_bad_image = "skip"
    with pytest.raises(BadInput, match="--on-bad-image skip is for one process"):
        Sliced(loader, world=None)  # it is not asked
