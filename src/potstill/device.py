"""The machine a run uses."""

import os

import torch

from potstill.errors import BadInput


def find_device(name: str = "auto") -> torch.device:
    """The device called ``name``; ``auto`` is a GPU where there is one.

    Raises:
        BadInput: no device of that name here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(name)
        torch.zeros(1, device=found).item()  # as no tensor on meta can
    except (RuntimeError, AssertionError, ImportError, NotImplementedError) as error:  # of whatever back end there is
        raise BadInput(f"--device {name}: not on this machine; auto, cpu, or cuda with a GPU") from error
    return found


def make_deterministic() -> None:
    """Have the same run give the same bits again, also after a resume."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
