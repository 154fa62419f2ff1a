"""Whether a long run stays flat: its memory, threads, open files, children, and the files in its folder.

    python tools/flat_test.py
    python tools/flat_test.py --epochs 40 --warm-up 10 --views 2

A student learns the digits by KD, AT and CRD with all that a run has beside its steps: images held out, TensorBoard, a
checkpoint an epoch, kept answers of the teacher. Every epoch says what the process has then. After the epochs of
warm-up, nothing that is counted may grow: all of it is there after the first few. Memory may grow by 28 KiB an epoch,
as the median of all pairs of epochs has it, since the kernel takes some pages back now and then. What is kept of each
epoch on purpose, its figures, takes some 6 KiB; the least that a step could leave behind, the images of a batch, takes
48 KiB. Fewer than 100 epochs after the warm-up tell less, and 128 KiB are allowed. Exit code 1: something has grown.
Linux only.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from statistics import median

import torch

import potstill as ps
from potstill.engine.recorders import Recorder
from potstill.runs.schema import Epoch

COUNTS = ("threads", "open files", "children", "files in the run folder")
KIB = 1024
SLACK, SLACK_OF_FEW, FEW = 28 * KIB, 128 * KIB, 100
LINE = "{:>6} {:>12} {:>8} {:>11} {:>9} {:>24}"


class Watch:
    """A recorder that keeps what the process has after each epoch."""

    def __init__(self, folder: Path, distiller: ps.Distiller) -> None:
        self.folder, self.distiller, self.samples = folder, distiller, list[dict[str, int]]()

    def log(self, record: Epoch) -> None:
        """Look, and say so."""
        self.answered = set(self.distiller.answered)
        self.samples.append(values := sample(self.folder))
        print(LINE.format(record["epoch"], values["memory"] // KIB, *(values[name] for name in COUNTS)), flush=True)

    def close(self) -> None:
        """Nothing is left to do."""


def sample(folder: Path) -> dict[str, int]:
    """What this process has now; memory in bytes."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    children = [(task / "children").read_text().split() for task in Path("/proc/self/task").iterdir()]
    return {
        "memory": int(status["VmRSS"].split()[0]) * KIB,
        "threads": int(status["Threads"]),
        "open files": len(list(Path("/proc/self/fd").iterdir())),
        "children": sum(map(len, children)),
        "files in the run folder": sum(file.is_file() for file in folder.rglob("*")),
    }


def grown(samples: Sequence[Mapping[str, int]], warm_up: int) -> dict[str, str]:
    """What has grown after the warm-up, and from what to what."""
    before, after = samples[:warm_up], samples[warm_up:]
    found = {}
    for name in COUNTS:
        most, now = max(one[name] for one in before), max(one[name] for one in after)
        if now > most:
            found[name] = f"{most} while it warms up, {now} later"
    slack = SLACK if len(after) >= FEW else SLACK_OF_FEW
    if (each := slope([one["memory"] for one in after])) > slack:
        found["memory"] = f"{each / KIB:.1f} KiB an epoch, of which {slack // KIB} are allowed"
    return found


def slope(values: Sequence[float]) -> float:
    """By how much they grow each time: the median of all pairs' slopes, which a few outliers do not move."""
    return median((other - one) / (j - i) for (i, one), (j, other) in combinations(enumerate(values), 2))


def train(
    folder: Path,
    epochs: int,
    images: int,
    views: int | None,
    recorders: Sequence[Recorder] = (),
    after_step: Callable[[ps.Distiller], object] | None = None,
) -> list[dict[str, int]]:
    """What the process has after each epoch of the run in ``folder``."""
    training = ps.Training(
        "digits",
        images=images,
        test_images=100,
        holdout=images // 4,
        views=views,
        epochs=epochs,
        batch_size=64,
        lr=0.05,
        device="cpu",
        out=folder / "run",
        teacher_cache=str(folder / "answers"),
    )
    data = training.load_data()
    distiller = make(data)
    watch = Watch(folder / "run", distiller)
    ps.fit(distiller, data, training, recorders=[*recorders, watch], after_step=after_step)
    if watch.answered != {"teacher"}:
        raise SystemExit("the teacher's answers were not kept: this run says nothing of the cache")
    return watch.samples


def make(data: ps.data.Data) -> ps.Distiller:
    """A student of two teachers: answers are kept of the one of which only rows are asked, no maps."""
    names = ("student", "teacher", "mapped")
    networks = {name: ps.networks.create("resnet8", len(data.classes), seed=i) for i, name in enumerate(names)}
    for name in names[1:]:
        ps.freeze(networks[name])
    stages = [(f"student.stage{i}", f"mapped.stage{i}") for i in (1, 2, 3)]
    crd = ps.losses.CRD(negatives=64)
    terms = [
        ps.Term(ps.losses.CE(), "student", "labels"),
        ps.Term(ps.losses.KD(temperature=4), "student", "teacher"),
        *(ps.Term(ps.losses.AT(), *pair, weight=100) for pair in stages),
        ps.Term(crd, *crd.taps, weight=0.1),
    ]
    return ps.Distiller(networks, terms, data.example())


def main(words: Sequence[str] | None = None, **seams: object) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--warm-up", type=int, default=20, help="epochs after which nothing may grow")
    parser.add_argument("--images", type=int, default=256, help="training images, a quarter of them held out")
    parser.add_argument(
        "--views",
        type=int,
        help="of each image: of few, all answers are soon kept; until then, batches of sizes that are new take memory",
    )
    parser.add_argument("--folder", type=Path, help="for the run and the teacher's answers; a temporary one by default")
    parser.add_argument("--out", type=Path, help="file for what every epoch had")
    given = parser.parse_args(words)
    if given.epochs < given.warm_up + 5:
        parser.error("there must be 5 epochs or more after the warm-up")
    torch.set_num_threads(1)
    began = time.monotonic()
    print(LINE.format("epoch", "memory, KiB", *COUNTS))
    with tempfile.TemporaryDirectory(prefix="flat-") as temporary:
        folder = given.folder or Path(temporary)
        samples = train(folder, given.epochs, given.images, given.views, **seams)  # type: ignore[arg-type]
    failures = grown(samples, given.warm_up)
    each = slope([one["memory"] for one in samples[given.warm_up :]])
    print(f"{len(samples)} epochs in {time.monotonic() - began:.0f} s; memory grows by {each / KIB:.1f} KiB an epoch")
    for name, reason in failures.items():
        print(f"{name}: {reason}")
    if given.out is not None:
        given.out.write_text(json.dumps({"failures": failures, "slope": each, "epochs": samples}, indent=1) + "\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
