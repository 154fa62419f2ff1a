"""A trained network that is asked about pictures: out of a run folder, or an ONNX file that was exported from one."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from potstill.errors import BadInput, first_line
from potstill.example_pass import FEW
from potstill.export.onnx_file import runner_of, session_of
from potstill.export.preparation import Preparation, of_file
from potstill.export.preparation import of_run as prepared_by
from potstill.export.rebuild import rebuild
from potstill.export.run_network import choose_network
from potstill.memory_layout import settle
from potstill.network_call import call
from potstill.outputs import logits_of
from potstill.soundness import check_logits, look_at


@dataclass(frozen=True)
class Classifier:
    """What answers images (N, 3, H, W) with logits (N, K), and how pictures become such images.

    ``about`` says which network it is, ``device`` where it wants the images.
    """

    answer: Callable[[Tensor], Tensor]
    wanted: Preparation
    about: dict[str, str]
    device: torch.device


def of_run(run: str, best: bool, device: torch.device) -> Classifier:
    """The network that ``FOLDER`` or ``FOLDER:NAME`` means, of its last epoch or of its ``best``.

    Raises:
        BadInput: there is none, it cannot be made again, or nothing tells which images it has seen.
    """
    chosen = choose_network(run, best).must_classify()
    wanted = prepared_by(chosen)
    network = rebuild(chosen.identity, wanted.input, chosen.weights).to(device)
    settled = False

    def answer(images: Tensor) -> Tensor:
        nonlocal settled
        with torch.no_grad():
            if not settled:
                settle(network, chosen.name, images)
                look_at(network, chosen.name, images[:FEW])
                settled = True
            logits = logits_of(call(network, chosen.name, images.clone()), chosen.name)
        check_logits(logits, chosen.name, len(images))
        return logits

    about = {"run": str(chosen.folder), "name": chosen.name, "network": chosen.spec, "weights": chosen.epoch}
    return Classifier(answer, wanted, about, device)


def of_onnx(file: Path) -> Classifier:
    """The network in an ONNX file that ``potstill export`` has written, run by onnxruntime on the CPU.

    Raises:
        BadInput: onnxruntime is not installed, or the file is damaged or another program's.
    """
    if find_spec("onnxruntime") is None:
        raise BadInput("onnxruntime is not installed, which runs ONNX files: pip install potstill[export]")
    content = file.read_bytes()
    try:
        session = session_of(content)
    except Exception as error:  # of onnxruntime's own kinds
        raise BadInput(f"{file} is no ONNX file that onnxruntime can run: {first_line(error)}") from error
    run, about = runner_of(session), session.get_modelmeta().custom_metadata_map
    wanted = of_file(about, str(file))

    def answer(images: Tensor) -> Tensor:
        try:
            (logits,) = run(images)
        except Exception as error:  # likewise
            raise BadInput(f"{file} fails on {len(images)} images: {first_line(error)}") from error
        check_logits(logits, str(file), len(images))
        return logits

    known = {key: about[key] for key in ("network", "name", "weights") if key in about}
    return Classifier(answer, wanted, {"file": str(file), **known}, torch.device("cpu"))
