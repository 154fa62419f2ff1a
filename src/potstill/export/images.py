"""The images of a run: some real ones for the check, and what one must know to prepare others."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from potstill.data.data import Data
from potstill.data.load import describe_data_sets
from potstill.errors import BadInput
from potstill.export.run_network import RunNetwork
from potstill.network_input import Input
from potstill.runs.names import CONFIG
from potstill.training import Training

CHECKED_IMAGES = 32
"""Images that a file is checked on."""


@dataclass(frozen=True)
class RunImages:
    """Real test images of a run, (N, C, H, W), normalised, with the names of the classes and the normalisation.

    ``data`` are all of the run's.
    """

    images: Tensor
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    data: Data

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    @property
    def input(self) -> Input:
        """What networks are given."""
        return Input((self.mean, self.std), self.shape[1:])


def run_images(chosen: RunNetwork, data_dir: Path | None = None) -> RunImages:
    """The first test images of the run's own data set, read as the run has read them.

    ``data_dir`` says where data sets lie, or which folder it is now, if the run's data were a folder of images.

    Raises:
        BadInput: the data are not there, or not those of this run.
    """
    arguments = chosen.config.get("arguments", {})
    if "data" not in arguments:
        raise BadInput(f"{chosen.folder / CONFIG} does not say which data the run is of")
    known = {field.name for field in fields(Training)} - {"out", "device", "extra", "extra_batch"}
    settings = {name: _as_given(value) for name, value in arguments.items() if name in known}
    if settings.get("data_dir") is not None:
        settings["data_dir"] = Path(settings["data_dir"])
    if data_dir is not None:
        # Anybody's own folder of images has no name to look for in it: that folder is meant.
        settings |= {"data_dir": data_dir} if settings["data"] in describe_data_sets() else {"data": str(data_dir)}
    try:
        data = Training(**settings, device="cpu").load_data()
    except BadInput as error:
        raise BadInput(
            f"{error}; export is checked on the run's test images: --data-dir says where they lie"
        ) from error
    if data.unlabelled:  # its classes are those of the run's teacher
        recorded = chosen.config.get("data") or {"name": data.name}
        several = bool(recorded.get("several"))
        data = replace(data, classes=tuple(recorded.get("classes") or ()), several=several)
    assert data.test is not None, "data.load gives test images"
    assert data.mean is not None, "and knows how they are normalised"
    assert data.std is not None
    images = next(iter(data.test))["images"][:CHECKED_IMAGES].contiguous()
    found = RunImages(images, data.classes, data.mean, data.std, data)
    _must_fit(found, chosen)
    return found if chosen.classes else replace(found, classes=())  # of a backbone


def _as_given(value: Any) -> Any:
    """An argument as a recipe takes it: JSON has only lists."""
    return tuple(value) if isinstance(value, list) else value


def _must_fit(found: RunImages, chosen: RunNetwork) -> None:
    recorded: Mapping[str, Any] = chosen.config.get("data") or {}
    now = {"classes": list(found.classes), "mean": list(found.mean), "std": list(found.std), "shape": list(found.shape)}
    changed = [key for key, value in now.items() if recorded.get(key, value) != value]
    if changed or (chosen.classes and len(found.classes) != chosen.classes):
        what = changed[0] if changed else "classes"
        raise BadInput(f"the data of {chosen.folder} have other {what} than when it was trained: --data-dir names them")
