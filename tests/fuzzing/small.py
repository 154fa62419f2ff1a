"""What inputs are tried on: networks, a run, images; each made once a process."""

import functools
import io
import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import potstill as ps

OWN = """
def main(*, times: int = 1, name: str = "x") -> dict:
    \"\"\"Say something some times.\"\"\"
    return {"said": name * min(times, 3)}
"""


@functools.cache
def networks() -> dict[str, torch.nn.Module]:
    """A student and a frozen teacher."""
    with torch.random.fork_rng():
        return {
            "student": ps.networks.create("wrn-10-1", seed=0),
            "teacher": ps.freeze(ps.networks.create("resnet8", seed=1)),
        }


@functools.cache
def batch() -> dict[str, torch.Tensor]:
    """Four images of digits' size."""
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    rows = torch.arange(4)
    return {"images": images, "labels": torch.tensor([0, 1, 2, 9]), "index": rows, "size": torch.tensor(4)}


@functools.cache
def picture(kind: str) -> bytes:
    """A small sound image file."""
    pixels = np.random.default_rng(0).integers(255, size=(9, 12, 3), dtype=np.uint8)
    mode = {"GIF": "P", "PPM": "RGB", "TIFF": "I;16"}.get(kind, "RGB")
    image = Image.fromarray(pixels[..., 0].astype(np.uint16) * 16 if mode == "I;16" else pixels)
    buffer = io.BytesIO()
    (image.convert(mode) if mode == "P" else image).save(buffer, kind)
    return buffer.getvalue()


@functools.cache
def home() -> Path:
    """A folder with ``run``, ``images``, ``weights.safetensors``, ``own.py`` and a file ``occupied``."""
    keeper = tempfile.TemporaryDirectory(prefix="fuzz-", ignore_cleanup_errors=True)
    HOMES.append(keeper)
    folder = Path(keeper.name) / "home"
    few = ps.Training(data="digits", images=64, test_images=20, epochs=2, batch_size=32, out=folder / "run")
    ps.recipes.distill(student="wrn-10-1", teacher="wrn-10-1", teacher_weights=_teacher(folder), training=few)
    shutil.copy(folder / "run/student.safetensors", folder / "weights.safetensors")
    for split in ("train", "val"):
        for name in ("cat", "dog"):
            place = folder / "images" / split / name
            place.mkdir(parents=True)
            (place / "0.png").write_bytes(picture("PNG"))
    (folder / "own.py").write_text(OWN)
    (folder / "occupied").write_text("a file, where a run folder would be\n")
    return folder


HOMES: list[tempfile.TemporaryDirectory[str]] = []  # removed when the process ends


def _teacher(folder: Path) -> Path:
    folder.mkdir(parents=True)
    torch.save(ps.networks.create("wrn-10-1", seed=3).state_dict(), folder / "teacher.pth")
    return folder / "teacher.pth"
