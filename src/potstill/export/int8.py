"""A network of 8-bit numbers, as ONNX: quantised after its training, measured on the test images before and after."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from potstill.batch import Batch
from potstill.data.files.image_loader import ImageLoader
from potstill.data.loader import Loader
from potstill.data.split import drawn
from potstill.engine.evaluate import evaluate
from potstill.errors import BadInput, first_line
from potstill.export.check import Check, Function
from potstill.export.costs import Exported
from potstill.export.graph import quiet
from potstill.export.images import RunImages
from potstill.export.onnx_file import load_onnx
from potstill.export.run_network import RunNetwork
from potstill.export.writing import default_file, must_be_free, write_onnx
from potstill.say import say
from potstill.whole_file import write_whole

USUAL = 500
"""Training images on which ranges are measured."""
BATCH = 50
ABOUT = "int8"
"""The entry of a file's metadata that has what was measured of it."""


@dataclass(frozen=True)
class Quantised:
    """What was measured of a network of 8-bit numbers: accuracies in percent, on ``n`` test images, by onnxruntime.

    ``drop`` is how many points it lies below the file of 32-bit numbers, which has ``float_bytes``; ``same`` is the
    share of images that both take for the same class, in percent.
    """

    top1: float
    float_top1: float
    drop: float
    same: float
    n: int
    float_bytes: int
    calibration_images: int


@dataclass(frozen=True)
class Int8:
    """The file, what was measured of it, the check of the file of 32-bit numbers that it was made of, what runs it."""

    file: Path
    measured: Quantised
    found: Check
    run: Function


def write_int8(
    chosen: RunNetwork, network: nn.Module, data: RunImages, count: int | None, max_drop: float, out: Path | None = None
) -> Int8:
    """Write ``network`` as ONNX with 8-bit weights and activations, if it stays as accurate as is asked for.

    Args:
        chosen: which network of which run it is.
        network: that network, in eval mode.
        data: the run's images.
        count: of training images on which the ranges of activations are measured; by default 500, or all there are.
        max_drop: how many points of top-1 it may lose on the test images.
        out: the file; by default one in the folder "export" of the run's.

    Raises:
        BadInput: it cannot be written, or loses more; then there is no file.
    """
    usual = default_file(chosen, "onnx")
    file = out or usual.with_name(f"{usual.stem}-int8{usual.suffix}")
    must_be_free(file, chosen, "onnx")
    images = calibration_images(data, count)
    with TemporaryDirectory(prefix="potstill-") as folder:
        plain, draft = Path(folder, "float.onnx"), Path(folder, "int8.onnx")
        run, found = write_onnx(chosen, network, data, plain)
        quantise(plain, draft, images)
        run_int8 = load_onnx(draft)
        say(f"measuring both files on {data.data.test.count if data.data.test else 0:,} test images")
        measured = Quantised(**_compare(run, run_int8, data), float_bytes=_size(plain), calibration_images=images.count)
        if measured.drop > max_drop:
            lost = f"{measured.drop:.2f} points below {measured.float_top1:.2f} %, and --max-drop is {max_drop:g}"
            raise BadInput(
                f"of 8-bit numbers {chosen.name} is right on {measured.top1:.2f} % of {measured.n:,} test images, "
                f"{lost}: nothing is written; more --calibration-images may help"
            )
        _describe(plain, draft, measured)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, draft.read_bytes())
    return Int8(file, measured, found, run_int8)


def calibration_images(data: RunImages, count: int | None) -> Loader | ImageLoader:
    """Training images in their plain view, drawn once and for all.

    Raises:
        BadInput: there are fewer.
    """
    train = data.data.train
    assert isinstance(train, Loader | ImageLoader), "data.load gives these"
    rows = train.rows
    chosen = drawn(len(rows), min(USUAL, len(rows)) if count is None else count, 0, "--calibration-images")
    return train.plain(rows[chosen], BATCH)


def quantise(plain: Path, draft: Path, images: Loader | ImageLoader) -> None:
    """Write the ONNX file ``plain`` with 8-bit numbers, as ``draft``, by onnxruntime's static quantisation.

    Weights have a scale for each channel, and 7 bits: with 8, the usual instructions of older x86 processors (AVX2, and
    AVX-512 without VNNI) add up more than they can hold. Activations are unsigned, for which all processors have fast
    code; logits stay 32-bit numbers, since of 256 steps several classes would get the same. All of it is told in QDQ
    form, which other runtimes read.

    Source: https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html

    Raises:
        BadInput: onnxruntime cannot do it.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left: Iterator[Batch] = iter(images)

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self.left, None)
            return None if batch is None else {"images": batch["images"].cpu().contiguous().numpy()}

    prepared = plain.with_name("prepared.onnx")
    try:
        with quiet():
            # Torch's exporter knows all shapes already; to infer them anew fails on some networks.
            quant_pre_process(str(plain), str(prepared), skip_symbolic_shape=True)
            quantize_static(
                str(prepared),
                str(draft),
                Reader(),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                extra_options={"OpTypesToExcludeOutputQuantization": ["Gemm"]},
            )
    except BadInput:
        raise
    except Exception as error:  # of many kinds, none of them public
        raise BadInput(f"onnxruntime cannot quantise this network: {first_line(error)}") from error


def _compare(run: Function, run_int8: Function, data: RunImages) -> dict[str, Any]:
    """Accuracy before and after, and how often both say the same."""
    assert data.data.test is not None, "data.load gives test images"
    before, after = [list[Tensor]() for _ in range(2)]
    top1 = evaluate(Exported(run), data.data.test, _noting(before))["top1"]
    measured = evaluate(Exported(run_int8), data.data.test, _noting(after))
    same = (torch.cat(before) == torch.cat(after)).double().mean().item()
    counted = {"drop": top1 - measured["top1"], "same": 100 * same, "n": int(measured["n"])}
    return {"top1": measured["top1"], "float_top1": top1, **counted}


def _size(file: Path) -> int:
    return file.stat().st_size


def _noting(chosen: list[Tensor]) -> Callable[[Tensor, Tensor], None]:
    return lambda logits, _: chosen.append(logits.argmax(1))


def _describe(plain: Path, draft: Path, measured: Quantised) -> None:
    """Give the file the metadata of the one it was made of, and what was measured."""
    import onnx

    model = onnx.load(draft)
    about = {entry.key: entry.value for entry in onnx.load(plain).metadata_props}
    onnx.helper.set_model_props(model, {**about, ABOUT: json.dumps(asdict(measured))})
    onnx.save(model, draft)
