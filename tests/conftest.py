"""What every test shares: one thread, and where the real data and the recorded numbers lie."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

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
