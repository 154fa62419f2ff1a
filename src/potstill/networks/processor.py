"""Which images a model of Hugging Face's was trained on, out of the settings of its image processor."""

from pathlib import Path
from typing import Any

from potstill.configured import CONFIG
from potstill.guard import foreign
from potstill.hub import Repository, library
from potstill.network_input import Input, Size

PROCESSOR = "preprocessor_config.json"


def images_of(config_file: Path, repository: Repository | None, spec: str) -> tuple[Input, bool]:
    """The normalisation and the size that a model's image processor gives, and whether its channels are blue first.

    Both are None where it says nothing.

    Args:
        config_file: the model's configuration.
        repository: where it comes from; None: the processor's settings lie beside it.
        spec: what messages call it.
    """
    file = config_file.with_name(PROCESSOR) if repository is None else repository.fetch(PROCESSOR)
    if file is None or not file.is_file():
        return Input(), False
    assert config_file.name == CONFIG
    with foreign(f"the image processor of {spec}"):
        processor = library("transformers", "hf").AutoImageProcessor.from_pretrained(file.parent)
    return Input(_statistics(processor), _size(processor)), bool(getattr(processor, "do_flip_channel_order", False))


def _statistics(processor: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of pixels in 0..1 that do what it does.

    (255 x factor - offset - mean) / std = (x - (mean + offset) / (255 factor)) / (std / (255 factor))
    """
    rescaled = getattr(processor, "do_rescale", True)
    scale = 255 * float(processor.rescale_factor) if rescaled else 255.0
    offset = 1.0 if rescaled and getattr(processor, "rescale_offset", False) else 0.0
    mean, std = (processor.image_mean, processor.image_std) if processor.do_normalize else ((0.0,) * 3, (1.0,) * 3)
    return tuple((float(value) + offset) / scale for value in mean), tuple(float(value) / scale for value in std)


def _size(processor: Any) -> Size | None:
    """Height and width of what it gives: the crop, if it crops."""
    cropped = getattr(processor, "do_center_crop", False) and getattr(processor, "crop_size", None)
    size = processor.crop_size if cropped else getattr(processor, "size", None)
    if not size:
        return None
    given = dict(size)
    side = given.get("shortest_edge")
    height, width = given.get("height") or side, given.get("width") or side
    return (int(height), int(width)) if height and width else None
