"""In which form a network is published: as one of timm, of `transformers`, or with a file that loads it."""

import json
from pathlib import Path
from typing import Protocol

from torch import nn

from potstill.errors import BadInput
from potstill.export import plain
from potstill.export.check import must_be_equal
from potstill.hub import library
from potstill.networks.headed import Headed
from potstill.pushing.published import Published, shown_spec
from potstill.runs.source import needs_code

WEIGHTS, CONFIG = "model.safetensors", "config.json"


class Form(Protocol):
    """A way to publish a network that another library reads, or none does."""

    library: str
    """The name under which the Hub knows what reads it."""

    def write(self, network: nn.Module, about: Published, folder: Path) -> None:
        """Write weights and configuration, and read them back the way that the card tells.

        Raises:
            BadInput: what is read back is not the network, bit for bit.
        """

    def usage(self, repository: str) -> str:
        """Lines of Python that load the network out of the repository."""


class OfTimm:
    """What ``timm.create_model("hf-hub:ORG/NAME", pretrained=True)`` makes."""

    library = "timm"

    def write(self, network: nn.Module, about: Published, folder: Path) -> None:
        """Weights and a configuration as timm writes them, with the run's classes and images."""
        timm = library("timm", "models")
        images = {
            "input_size": (about.shape[0], *about.size),
            "mean": about.mean,
            "std": about.std,
            "crop_pct": 1.0,
            "interpolation": "bilinear",
            "num_classes": len(about.classes),
        }
        kept = {name: value for name, value in vars(network)["pretrained_cfg"].items() if not name.startswith("test_")}
        network.pretrained_cfg = {**kept, **images}  # type: ignore[assignment]
        labels = {"label_names": list(about.classes)}
        timm.models.save_for_hf(network, folder, model_config=labels, safe_serialization=True)
        must_be_equal(timm.create_model(f"local-dir:{folder}", pretrained=True), network, WEIGHTS)

    def usage(self, repository: str) -> str:
        """As timm tells it."""
        return f"""\
import timm

network = timm.create_model("hf-hub:{repository}", pretrained=True).eval()
transform = timm.data.create_transform(**timm.data.resolve_model_data_config(network), is_training=False)
logits = network(transform(image)[None])  # image: of Pillow, RGB
label = network.pretrained_cfg["label_names"][logits.argmax()]"""


class OfTransformers:
    """What ``pipeline("image-classification", "ORG/NAME")`` uses."""

    library = "transformers"

    def write(self, network: nn.Module, about: Published, folder: Path) -> None:
        """Weights and configurations as `transformers` writes them, with the run's classes and images."""
        config = network.config
        config.id2label = dict(enumerate(about.classes))  # type: ignore[union-attr]
        config.label2id = {name: number for number, name in enumerate(about.classes)}  # type: ignore[union-attr]
        network.save_pretrained(folder)  # type: ignore[operator]
        processor = {
            "image_processor_type": "ViTImageProcessor",
            "do_resize": True,
            "size": {"height": about.size[0], "width": about.size[1]},
            "resample": 2,
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": about.mean,
            "image_std": about.std,
        }
        (folder / "preprocessor_config.json").write_text(json.dumps(processor, indent=2) + "\n", "utf-8")
        kind = library("transformers", "hf").AutoModelForImageClassification
        must_be_equal(kind.from_pretrained(folder), network, WEIGHTS)

    def usage(self, repository: str) -> str:
        """As `transformers` tells it."""
        return f"""\
from transformers import pipeline

classify = pipeline("image-classification", "{repository}")
classify(image)  # of Pillow, RGB, or the name of a file"""


class WithLoader:
    """Weights, and a Python file beside them that makes the network: of potstill, torchvision, or changed."""

    library = "potstill"

    def write(self, network: nn.Module, about: Published, folder: Path) -> None:
        """Weights with what they say of themselves, the file that loads them, and a configuration."""
        told = told_of(about)
        plain.save_plain(network, about.chosen.identity, folder / WEIGHTS, told)
        must_be_equal(plain.load_plain(folder / WEIGHTS), network, WEIGHTS)
        _configure(about, folder)

    def usage(self, repository: str) -> str:
        """How the file is fetched and used."""
        return f"""\
import sys

from huggingface_hub import snapshot_download

sys.path.insert(0, snapshot_download("{repository}"))
from {plain.loader_of(Path(WEIGHTS)).stem} import classes, mean, network, std  # runs that file: read it first

logits = network((images - mean) / std)  # images (N, C, H, W) of values in 0..1"""


class WeightsAlone:
    """Weights of a network whose code is the user's own, which stays where it is."""

    library = "potstill"

    def write(self, network: nn.Module, about: Published, folder: Path) -> None:
        """Weights with what they say of themselves, and a configuration."""
        from safetensors.torch import load_file, save_file

        state = {name: value.detach().clone().contiguous() for name, value in network.state_dict().items()}
        save_file(state, folder / WEIGHTS, told_of(about))
        read = load_file(folder / WEIGHTS)
        if read.keys() != state.keys() or not all(read[name].equal(value) for name, value in state.items()):
            raise BadInput(f"{WEIGHTS} does not hold the network's weights")
        _configure(about, folder)

    def usage(self, repository: str) -> str:
        """How the weights go into a network that the user has."""
        return f"""\
from huggingface_hub import hf_hub_download
from safetensors.torch import load_file

network.load_state_dict(load_file(hf_hub_download("{repository}", "{WEIGHTS}")))  # into the same class
logits = network((images - mean) / std)  # images (N, C, H, W) of values in 0..1"""


def form_of(about: Published, network: nn.Module) -> Form:
    """The form in which most people can use a network."""
    spec = about.chosen.spec
    of_library = "+" not in spec.rpartition("/")[2]  # cheap convolutions are none of its own
    if of_library and spec.startswith("timm:"):
        return OfTimm()
    if of_library and spec.startswith("hf:") and not isinstance(network, Headed):
        return OfTransformers()
    return WeightsAlone() if needs_code(spec) else WithLoader()


def told_of(about: Published) -> dict[str, str]:
    """What a file of weights says of itself; lists are JSON."""
    import potstill

    lists = {"classes": about.classes, "mean": about.mean, "std": about.std, "shape": about.shape}
    return {
        "network": shown_spec(about.chosen.config["networks"][about.chosen.name]),
        "name": about.chosen.name,
        "weights": about.chosen.epoch,
        **{name: json.dumps(values) for name, values in lists.items()},
        "potstill": potstill.__version__,
    }


def _configure(about: Published, folder: Path) -> None:
    told = told_of(about)
    lists = {name: json.loads(told[name]) for name in ("classes", "mean", "std", "shape")}
    content = {"library_name": "potstill", **told, **lists, "num_classes": len(about.classes), "size": about.size}
    (folder / CONFIG).write_text(json.dumps(content, indent=2) + "\n", "utf-8")
