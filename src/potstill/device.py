"""The machine a run uses."""

import os

import torch

from potstill.errors import BadInput
from potstill.ranks.launch import Launch, launched


def find_device(name: str = "auto") -> torch.device:
    """The device called ``name``; ``auto`` is a GPU where there is one.

    Raises:
        BadInput: no device of that name here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and (launch := launched()) is not None:
        return own_gpu(name, launch)
    try:
        found = torch.device(name)
        torch.zeros(1, device=found).item()  # as no tensor on meta can
    except (RuntimeError, AssertionError, ImportError, NotImplementedError) as error:  # of whatever back end there is
        raise BadInput(f"--device {name}: not on this machine; auto, cpu, cuda with a GPU, or mps on a Mac") from error
    return found


def own_gpu(name: str, launch: Launch) -> torch.device:
    """The GPU of one of several processes: as manyeth on this machine as the process.

    Raises:
        BadInput: one is asked for by its number, or there are fewer than processes.
    """
    if name != "cuda":
        raise BadInput(f"--device {name}: of several processes, each takes a GPU of its own; give cuda, or cpu")
    if launch.local >= torch.cuda.device_count():
        raise BadInput(
            f"process {launch.local} of this machine (counted from 0) has no GPU of its own, there are "
            f"{torch.cuda.device_count()}: start fewer processes, or give --device cpu"
        )
    torch.cuda.set_device(launch.local)
    return torch.device("cuda", launch.local)


def widest(device: torch.device) -> torch.dtype:
    """The floating-point numbers with the most digits that a device has: float64, but float32 on Apple's GPUs.

    >>> widest(torch.device("cpu")), widest(torch.device("mps"))
    (torch.float64, torch.float32)
    """
    return torch.float32 if device.type == "mps" else torch.float64


def make_deterministic() -> None:
    """Have the same run give the same bits again, also after a resume."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
