"""What every test shares: one thread, and where the real data and the recorded numbers lie."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

BESIDE = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    # The suite runs one worker a core; more threads than cores would only slow it down.
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache folder for the whole test session, so that no test reads or writes the user's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
        yield


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
    """The folder with the recorded inputs and outputs of the original implementations."""
    return _folder("POTSTILL_ORACLE", BESIDE / "oracle")


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
