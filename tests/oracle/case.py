"""One recorded case: settings, tensors and expected numbers, in the format of the oracle's README."""

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor


@cache
def _file(path: Path) -> dict[str, Tensor]:
    return load_file(path)


@dataclass(frozen=True)
class Case:
    folder: Path
    entry: dict[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.entry[key]

    @property
    def name(self) -> str:
        return f"{self['method']}/{self['case']}"

    @property
    def kind(self) -> str:
        """Its method, or what methods that differ in nothing but their settings have in common."""
        return re.sub(
            r"^(net_wrn|net_rocket_bottom|net_rocket_interval|train_moonshine|train_rocket_interval)_.*",
            r"\1",
            self["method"],
        )

    @property
    def settings(self) -> dict[str, Any]:
        return self.entry.get("settings", {})

    def tensor(self, reference: dict[str, Any], dtype: torch.dtype = torch.float32) -> Tensor:
        value = _file(self.folder / reference["file"])[reference["key"]]
        return value.to(dtype, copy=True) if value.is_floating_point() else value.clone()

    def tensors(self, kind: str, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """The tensors under ``inputs``, ``state``, ``outputs``, ..."""
        return {name: self.tensor(reference, dtype) for name, reference in self.entry.get(kind, {}).items()}

    def record(self, prefix: str, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """Of a record case, the tensors whose names start with ``prefix/``, without it."""
        return {
            name.removeprefix(f"{prefix}/"): self.tensor(reference, dtype)
            for name, reference in self.entry["tensors"].items()
            if name.startswith(f"{prefix}/")
        }


def read_cases(folder: Path) -> list[Case]:
    return [Case(folder, entry) for entry in json.loads((folder / "index.json").read_text())["cases"]]
