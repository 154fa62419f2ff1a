"""The mean feature of each class over a teacher's training images: found once for a run, and kept in its folder."""

import json
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from potstill.answers.key import Key, difference, digest_of, of_network
from potstill.batch import as_batch, on_device
from potstill.data.beside import Beside
from potstill.data.data import Data
from potstill.data.files.image_loader import ImageLoader
from potstill.data.loader import Loader
from potstill.device import make_deterministic
from potstill.errors import BadInput, TrainingFailed
from potstill.eval_mode import eval_mode
from potstill.losses.labels import class_indices
from potstill.memory_layout import settle
from potstill.ranks.world import join
from potstill.runs.folder import must_be_free
from potstill.runs.names import STATISTICS
from potstill.say import say
from potstill.taps import Taps
from potstill.whole_file import make_folder, write_whole

LAYOUT = 1  # part of every key: raise it when what is kept, or how, changes
ONE_CLASS = "the mean of a class's features is that of images of this one class"


def class_means(teacher: nn.Module, place: str, batches: Iterable[Any], classes: int) -> tuple[Tensor, Tensor]:
    """The mean feature (K, D) of each class in float64, and how many images (K,) it is of; zeros where that is none.

    Args:
        teacher: runs in eval mode and float32, where it lies.
        place: a tap of it, for example ``pooled``; further dimensions are flattened.
        batches: with ``images``, and ``labels`` of the first of them, or of all.
        classes: K.

    Raises:
        BadInput: labels that are not class indices; features that are not finite; no such place.
    """
    address = f"teacher.{place}"
    device = next((parameter.device for parameter in teacher.parameters()), torch.device("cpu"))
    sums: Tensor | None = None
    counts = torch.zeros(classes, dtype=torch.int64)
    with closing(Taps(teacher, "teacher", [address])) as taps, eval_mode(teacher), torch.no_grad():
        for batch in batches:
            entries = on_device(as_batch(batch), device)
            if sums is None:
                settle(teacher, "teacher", entries["images"])
            features = taps(entries["images"].clone())[address].flatten(1)[: len(entries["labels"])]
            labels = class_indices(entries["labels"], features, ONE_CLASS).cpu()
            # On the processor, which has float64 and adds in the order of the images.
            features = features.cpu().double()
            sums = features.new_zeros(classes, features.shape[1]) if sums is None else sums
            sums.index_add_(0, labels, features)
            counts += labels.bincount(minlength=classes)
    if sums is None:
        raise BadInput("no images to take the means of classes over: the training set gives no batch")
    if not sums.isfinite().all():
        raise BadInput(f"teacher is broken: its {place} features of some of the training images are not finite")
    return sums / counts.clamp(min=1).unsqueeze(1), counts


def kept_class_means(out: Path, folder: str, teacher: nn.Module, place: str, data: Data) -> Tensor:
    """The means (K, D) over the training images, not augmented, less those held out: from a run's folder, or to there.

    Of several processes the first one does it, and all have what it has.

    Args:
        out: the run's folder.
        folder: the name of the one inside it that they are kept in.
        teacher: frozen, on its device.
        place: a tap of it.
        data: labelled images that are loaded here.

    Raises:
        BadInput: no run can lie there, or the means there are of another teacher or of other images.
        TrainingFailed: the disk is full, or the like.
    """
    world = join()

    def find() -> Tensor:
        must_be_free(out)
        return _found(out, folder, teacher, place, data)

    return find() if world is None else world.on_first(find)


def _found(out: Path, folder: str, teacher: nn.Module, place: str, data: Data) -> Tensor:
    train = data.train.labelled if isinstance(data.train, Beside) else data.train
    assert isinstance(train, Loader | ImageLoader), "a recipe loads its data"
    path, key = out / folder / STATISTICS, _key(teacher, place, data, train.rows)
    if (kept := _read(path, key)) is not None:
        return kept
    say(f"the teacher's mean features of {len(data.classes)} classes are found once, over {train.count} images")
    make_deterministic()
    means, counts = class_means(teacher, place, train.plain(), len(data.classes))
    # In one entry: several would lie in the file in any order, and the same means be other bytes.
    about = json.dumps({"key": key, "sha256": digest_of([means, counts])})
    try:
        out.mkdir(parents=True, exist_ok=True)
        make_folder(path.parent, out)
        write_whole(path, save({"means": means, "counts": counts}, {"about": about}), read_back=True)
    except OSError as error:
        raise TrainingFailed(f"{error.strerror} while writing {error.filename or path}") from error
    return means


def _key(teacher: nn.Module, place: str, data: Data, rows: Tensor) -> Key:
    """What the means are of."""
    described = data.described()
    images = {"data": described["digest"], "images": digest_of([rows]), "shape": described["shape"]}
    statistics = {"mean": described["mean"], "std": described["std"]}
    return {"layout": LAYOUT, "features": place, **of_network(teacher), **images, **statistics}


def _read(path: Path, key: Key) -> Tensor | None:
    """The means in a file; None if there is none, or if it is damaged, which is said.

    Raises:
        BadInput: they are of something else.
    """
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})["about"])
            means, counts = file.get_tensor("means"), file.get_tensor("counts")
        if about["sha256"] != digest_of([means, counts]):
            raise ValueError("its checksum does not fit")
        other = difference(about["key"], key)
    except (OSError, SafetensorError, KeyError, TypeError, AttributeError, ValueError) as error:
        say(f"{path} is damaged and made again: {error}")
        return None
    if other:
        raise BadInput(f"{path} holds means of another teacher or of other images: {other}; choose another --out")
    return means  # type: ignore[no-any-return]
