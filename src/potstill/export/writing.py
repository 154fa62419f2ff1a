"""Writing an exported file: checked first, then put in its place."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import nn

from potstill.errors import BadInput
from potstill.export import executorch_file, onnx_file, plain
from potstill.export.check import Check, Function, check, must_be_equal
from potstill.export.graph import load_program, save_program, trace
from potstill.export.images import RunImages
from potstill.export.metadata import metadata
from potstill.export.run_network import RunNetwork
from potstill.whole_file import write_whole

FORMATS = {"onnx": ".onnx", "torch": ".pt2", "executorch": ".pte", "safetensors": ".safetensors"}
"""What can be written, and how such files end."""


@dataclass(frozen=True)
class Written:
    """The files of an export, first the one that counts, what was found in the check, and what runs it."""

    files: tuple[Path, ...]
    found: Check
    run: Function


def default_file(chosen: RunNetwork, to: str) -> Path:
    """Where an export goes that is not told: a folder of its own, since the run's own weights have the same name."""
    return chosen.folder / "export" / f"{chosen.weights.stem}{FORMATS[to]}"


def write(chosen: RunNetwork, network: nn.Module, data: RunImages, to: str, out: Path | None = None) -> Written:
    """Write ``network`` as a file in the format ``to``, which is checked on real images before it gets its name.

    Args:
        chosen: which network of which run it is.
        network: that network, in eval mode.
        data: the run's images.
        to: one of `FORMATS`.
        out: the file; by default one in the folder "export" of the run's.

    Raises:
        BadInput: it cannot be written, or is not what the network is; then there is no file.
    """
    file = out or default_file(chosen, to)
    must_be_free(file, chosen, to)
    with TemporaryDirectory(prefix="potstill-") as folder:
        draft = Path(folder) / file.name
        run, found = _WRITERS[to](chosen, network, data, draft)
        file.parent.mkdir(parents=True, exist_ok=True)
        written = sorted(Path(folder).iterdir(), key=lambda path: path != draft)
        for path in written:
            write_whole(file.parent / path.name, path.read_bytes())
    return Written(tuple(file.parent / path.name for path in written), found, run)


def must_be_free(file: Path, chosen: RunNetwork, to: str) -> None:
    """Raise BadInput, before anything is made, if ``file`` cannot be an export in the format ``to``."""
    if file.suffix != FORMATS[to]:
        raise BadInput(f"--out {file} does not end in {FORMATS[to]}, as --to {to} has it; try {file.stem}{FORMATS[to]}")
    if to == "onnx":
        onnx_file.need_onnx()
    if to == "executorch":
        executorch_file.need_executorch()
    if to == "safetensors":
        if file.resolve().parent == chosen.folder.resolve():
            raise BadInput(f"--out {file} is among the run's own weights; choose another folder")
        plain.must_be_ours(plain.loader_of(file))


def write_onnx(chosen: RunNetwork, network: nn.Module, data: RunImages, file: Path) -> tuple[Function, Check]:
    """Write an ONNX file; what runs it, and what was found in the check. Errors as `write`."""
    onnx_file.save_onnx(trace(network, data.images), file, metadata(chosen, data))
    run = onnx_file.load_onnx(file)
    return run, check(run, network, data.images, file.name)


def _write_program(chosen: RunNetwork, network: nn.Module, data: RunImages, file: Path) -> tuple[Function, Check]:
    save_program(trace(network, data.images), file, metadata(chosen, data))
    run = load_program(file)
    return run, check(run, network, data.images, file.name)


def _write_executorch(chosen: RunNetwork, network: nn.Module, data: RunImages, file: Path) -> tuple[Function, Check]:
    executorch_file.save_executorch(trace(network, data.images, one=True), file, metadata(chosen, data))
    run = executorch_file.load_executorch(file)
    return run, check(run, network, data.images, file.name)


def _write_plain(chosen: RunNetwork, network: nn.Module, data: RunImages, file: Path) -> tuple[Function, Check]:
    plain.save_plain(network, chosen.identity, file, metadata(chosen, data))
    restored = plain.load_plain(file).requires_grad_(False)
    must_be_equal(restored, network, file.name)
    return restored, check(restored, network, data.images, file.name)


_WRITERS: dict[str, Callable[[RunNetwork, nn.Module, RunImages, Path], tuple[Function, Check]]] = {
    "onnx": write_onnx,
    "torch": _write_program,
    "executorch": _write_executorch,
    "safetensors": _write_plain,
}
