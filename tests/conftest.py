"""What every test shares: one thread, and where the real data and the recorded numbers lie."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sealing import unseal

import potstill as ps
from potstill.losses import AT, CE, KD, Logits

BESIDE = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    # The suite runs one worker a core; more threads than cores would only slow it down.
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache and a key for the whole test session, so that no test reads or writes the user's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.getbasetemp() / "data"))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
        yield


@pytest.fixture(scope="module", autouse=True)
def _own_ways_out() -> Iterator[None]:
    """wandb puts functions of its own in the place of these two, for good."""
    exit_, hook = sys.exit, sys.excepthook
    yield
    sys.exit, sys.excepthook = exit_, hook


def _folder(variable: str, default: Path) -> Path:
    folder = Path(os.environ.get(variable, default)).resolve()
    if not folder.is_dir():
        pytest.skip(f"{variable}: no folder {folder}")
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with all of CIFAR-10 and -100 and the trained teachers."""
    return _folder("POTSTILL_DATA", BESIDE / "data")


@pytest.fixture(scope="session")
def oracle() -> Path:
    """The folder with the recorded inputs and outputs of the seeds: the first, if several are named."""
    first = os.environ.get("POTSTILL_ORACLE", str(BESIDE / "oracle")).split(os.pathsep)[0]
    folder = Path(first).resolve()
    if not folder.is_dir():
        pytest.skip(f"POTSTILL_ORACLE: no folder {folder}")
    return folder


@pytest.fixture
def user_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder as the user's cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user-cache"))
    return tmp_path / "user-cache"


@pytest.fixture
def picture_folder(tmp_path: Path) -> Path:
    """A folder of pictures, red, green or blue in the main: train/CLASS/0..3.png and val/CLASS/0.png, of many sizes."""
    noise = np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 1)):
        for channel, name in enumerate(("red", "green", "blue")):
            folder = tmp_path / "pictures" / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = noise.integers(100, size=(20 + 5 * number, 40 - 5 * number, 3), dtype=np.uint8)
                pixels[..., channel] += 150
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "pictures"


@pytest.fixture(scope="session")
def all_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds alone, two helped by a teacher, one rocket: two epochs each."""
    folder = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        _train(folder / f"alone-{seed}", seed, "supervised", {"student": "wrn-10-1"}, {"network": "wrn-10-1"})
        networks = {"student": "wrn-10-1", "teacher": "resnet8"}
        terms = ["0.5 * CE", "0.5 * KD", "10 * AT on stage2"]
        _train(folder / f"helped-{seed}", seed, "distill", networks, {**networks, "terms": terms})
    _train(folder / "rocket-0", 0, "rocket", {"light": "wrn-10-1", "booster": "resnet8"}, {"light": "wrn-10-1"})
    return folder


def _train(out: Path, seed: int, recipe: str, specs: dict[str, str], arguments: dict[str, Any]) -> None:
    training = ps.Training(data="digits", epochs=2, batch_size=250, lr=0.05, seed=seed, out=out)
    data = training.load_data()
    networks = {name: ps.networks.create(spec, seed=9 if name == "teacher" else seed) for name, spec in specs.items()}
    terms = [ps.Term(CE(), name, "labels", weight=0.5) for name in networks if name != "teacher"]
    if "teacher" in networks:
        ps.freeze(networks["teacher"])
        terms.append(ps.Term(KD(), "student", "teacher", weight=0.5))
        terms.append(ps.Term(AT(), "student.stage2", "teacher.stage2", weight=10))
    if "booster" in networks:
        terms.append(ps.Term(Logits(), "light", "booster", weight=0.03, name="hint"))
    distiller = ps.Distiller(networks, terms, example=data.example())
    ps.fit(distiller, data, training, {"recipe": recipe, **arguments})


@pytest.fixture
def runs(all_runs: Path, tmp_path: Path) -> Path:
    """A copy of the runs, to be damaged: as an earlier version made them, so that nothing but the damage is noticed."""
    bare = shutil.ignore_patterns("*.ckpt", "*.safetensors")
    return unseal(Path(shutil.copytree(all_runs, tmp_path / "runs", ignore=bare)))


@pytest.fixture
def edit() -> Callable[[Path, Callable[[Any], Any]], None]:
    """Changes a JSON file in place."""

    def change(file: Path, how: Callable[[Any], Any]) -> None:
        content = json.loads(file.read_text())
        how(content)
        file.write_text(json.dumps(content))

    return change
