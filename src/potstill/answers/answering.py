"""While a run trains: its teachers are asked only what they, or anybody's with the same answers, were not asked yet."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from potstill.address import Address
from potstill.answers.cached_pass import CachedPass
from potstill.answers.carrying import ENTRIES, described, opened, unpack
from potstill.answers.entries import Entries
from potstill.answers.key import Key, difference, name_of, of_machine, of_network
from potstill.answers.numbering import Numbering, numbering
from potstill.answers.proof import PARTS, Answer, NotKept, Proof
from potstill.answers.wanted import Wanted
from potstill.batch import as_batch, on_device
from potstill.data.batch_sizes import parts_of_step
from potstill.data.data import Data
from potstill.distiller import Distiller
from potstill.engine.undisturbed import undisturbed
from potstill.errors import BadInput, first_line
from potstill.forward_pass import ForwardPass
from potstill.say import say
from potstill.teacher_engines.engine_pass import EnginePass
from potstill.training import Training

WORTH = 0.05
"""The part of a teacher's answers that a run alone must be able to save."""
PAYS = 20
"""Batches that it must be able to save, since to prove that answers are exact takes several."""


@contextmanager
def answering(distiller: Distiller, data: Data, training: Training, plain: bool) -> Iterator[None]:
    """Inside, the distiller's teachers answer out of ``--teacher-cache`` as far as they can: the same bits.

    Args:
        distiller: on its device, as it will train.
        data: on which images.
        training: how.
        plain: whether batches are trained on as the loader gives them.

    Raises:
        BadInput: a cache that is asked for does not fit on the disk, or is of another teacher.
    """
    wanted = Wanted.parse(training.teacher_cache)
    caches: dict[str, CachedPass] = {}
    with ExitStack() as files:
        try:
            for one in distiller.passes.in_order:
                if wanted is not None and one.network in distiller.teachers:
                    try:
                        cached = _cached(one, distiller, data, training, plain, wanted, files)
                    except NotKept as error:
                        if wanted.insists:
                            say(f"answers of {one.key} are not kept: {error}")
                        continue
                    caches[one.key] = distiller.answered[one.key] = cached
            yield
        finally:
            for key, cached in caches.items():
                if cached.asked:
                    say(f"{key}: {100 * cached.known / cached.asked:.0f} % of its answers were kept ones")
            distiller.answered.clear()


def _cached(
    one: ForwardPass,
    distiller: Distiller,
    data: Data,
    training: Training,
    plain: bool,
    wanted: Wanted,
    files: ExitStack,
) -> CachedPass:
    """A pass that answers out of a cache.

    Raises:
        NotKept: it cannot, or need not.
        BadInput: the cache that is asked for cannot be used.
    """
    if distiller.team is not None:
        raise NotKept("each of several processes asks for a part of every batch")
    numbered = _numbering(one, data, training, plain)
    network = of_network(distiller.networks[one.network])
    begun = wanted.shared or any(wanted.folder.glob(f"{network['weights'][:12]}-*{ENTRIES}"))
    if not wanted.insists:
        _check_worth(numbered, data, training, distiller.weights.device, begun)
    example = on_device(as_batch(data.example()), distiller.weights.device)["images"]
    # Runs side by side share the passes that have to be run, or an engine runs them.
    shared_pass = distiller.answered.get(one.key)
    engine = shared_pass.engine if isinstance(shared_pass, EnginePass) else None
    answer: Answer = one.taps if shared_pass is None else lambda images: shared_pass({"images": images})
    with undisturbed(), torch.no_grad(), _precision(distiller, training):
        sizes = [len(part) for size in numbered.sizes for part in parts_of_step(size, training.accumulate)]
        usual = max(set(sizes), key=sizes.count)
        slow = training.compile or training.teacher_engine == "compile"
        proof = Proof(answer, example, usual, 0 if slow else PARTS)
    shared = {**network, "precision": training.precision, "compile": training.compile}
    shared |= {**of_machine(distiller.weights.device), "data": data.described().get("digest"), **numbered.made}
    if engine is not None:
        shared["engine"] = engine
    keys = {text: {**shared, **_place(one, text, proof), "columns": numbered.views} for text in proof.answers}
    entries = _opened(one.key, keys, proof, numbered, data, training, wanted, files)
    return CachedPass(one.key, answer, entries, numbered, proof)


def _numbering(one: ForwardPass, data: Data, training: Training, plain: bool) -> Numbering:
    """How what the pass answers is numbered."""
    if not plain:
        raise NotKept("transforms change the images of a view")
    if one.inputs != ("images",):
        raise NotKept(f"it sees {' and '.join(one.inputs)}, not the images that are numbered")
    if any(place.as_map for place in one.taps.places.values()):
        raise NotKept("whole feature maps are asked for")
    numbered = numbering(data, training.epochs, training.seed)
    if numbered is None or data.identity is None:
        raise NotKept("somebody's own loader does not say which views its images are, and of which data")
    return numbered


def _check_worth(numbered: Numbering, data: Data, training: Training, device: torch.device, begun: bool) -> None:
    """Whether a cache that nobody insists on is worth it."""
    if device.type != "cpu":
        raise NotKept("on a GPU, steps do not wait for the processor")
    if begun:
        return
    if numbered.views is None:
        raise NotKept("views of image files never repeat in a run, unless --views says how many there are")
    epochs, views = training.epochs, numbered.views
    saved = 1 - views * (1 - (1 - 1 / views) ** epochs) / epochs
    if saved < WORTH or saved * epochs * (data.train.count or 0) < PAYS * training.batch_size:
        raise NotKept(f"in {epochs} epochs of {views} views an image hardly ever has one of its views again")


def _precision(distiller: Distiller, training: Training) -> torch.autocast:
    return torch.autocast(distiller.weights.device.type, torch.bfloat16, enabled=training.precision == "bf16")


def _place(one: ForwardPass, text: str, proof: Proof) -> dict[str, Any]:
    """What of the network is answered, in which numbers, and what the bits of some answers are."""
    place, value = one.taps.places.get(text), proof.answers[text]
    at = Address.parse(text).part if place is None else f"{place.path}{':in' if place.at_input else ''}"
    numbers = f"{value.shape[1]} {value.dtype}".replace("torch.", "")
    return {"tap": at, "answer": numbers, "arithmetic": proof.digests()[text]}


def _opened(
    name: str,
    keys: Mapping[str, Key],
    proof: Proof,
    numbered: Numbering,
    data: Data,
    training: Training,
    wanted: Wanted,
    files: ExitStack,
) -> dict[str, Any]:
    """The files of answers; what they take is said before."""
    widths = {text: value.shape[1] * value.element_size() for text, value in proof.answers.items()}
    answers = (data.train.count or 0) * min(numbered.views or training.epochs, training.epochs)
    slots, block = numbered.rows * numbered.columns, os.statvfs(_existing(wanted.folder)).f_frsize
    size = sum(Entries.on_disk(slots, width, answers, block) for width in widths.values())
    there = [path for key in keys.values() if (path := wanted.folder / f"{name_of(key)}{ENTRIES}").is_file()]
    if wanted.packed is not None:
        if len(keys) > 1:
            raise BadInput(f"{wanted.packed} holds one kind of answers, and of {name} are wanted: {', '.join(keys)}")
        unpack(wanted.packed, wanted.folder, next(iter(keys.values())))
    elif wanted.insists and not there and (other := _nearest(wanted.folder, next(iter(keys.values())))):
        say(f"{wanted.folder} holds answers of another teacher, data or arithmetic, which are not used: {other}")
    taken = sum(path.stat().st_blocks * 512 for path in there)
    _check_room(name, size, taken, wanted)
    try:
        found = {text: opened(wanted.folder, key, slots, widths[text]) for text, key in keys.items()}
    except OSError as error:
        if wanted.insists:
            raise BadInput(f"--teacher-cache {wanted.folder}: {error.strerror}") from error
        say(f"answers of {name} are not kept in {wanted.folder}: {error.strerror}")
        raise NotKept(first_line(error)) from error
    for entries in found.values():
        files.callback(entries.close)
    say(f"answers of {name} are kept in {wanted.folder}: up to {_gib(size)}, of which {_gib(taken)} are there")
    return found


def _check_room(name: str, size: int, taken: int, wanted: Wanted) -> None:
    """Whether the disk has room for answers of this size, of which some are there already.

    Raises:
        BadInput: it has not, and they are asked for.
        NotKept: it has not, or they would take more than half of it and nobody asks for them; which is said.
    """
    free = shutil.disk_usage(_existing(wanted.folder)).free
    if size - taken <= (free if wanted.insists else free / 2):
        return
    message = f"{name}'s answers take up to {_gib(size)}, and {_gib(free)} are free at {wanted.folder}"
    if wanted.insists:
        raise BadInput(f"--teacher-cache {wanted.folder}: {message}")
    say(f"{message}: they are not kept")
    raise NotKept(message)


def _nearest(folder: Path, key: Key) -> str | None:
    """In what the most similar answers in a folder differ from these; None if there are none."""
    found: list[Key] = []
    for path in sorted(folder.glob(f"*{ENTRIES}")):
        try:
            found.append(described(path)[0])
        except BadInput:
            continue  # half made, or somebody else's: it is not used
    if not found:
        return None
    return difference(min(found, key=lambda there: sum(there.get(what) != key[what] for what in key)), key)


def _existing(folder: Path) -> Path:
    return next(one for one in (folder.absolute(), *folder.absolute().parents) if one.is_dir())


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**29 else f"{size / 2**20:.1f} MiB"
