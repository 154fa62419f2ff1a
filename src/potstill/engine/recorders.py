"""Where a run's epochs go besides metrics.jsonl."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from potstill.runs.schema import Epoch


class TensorBoard:
    """Writes every number of an epoch as an event for TensorBoard.

    Args:
        folder: the run's.
        purge_step: the first epoch that is to come; what was written of it and of later ones before, by a run that was
            killed, is not shown.
    """

    def __init__(self, folder: Path, purge_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.events = SummaryWriter(str(folder), purge_step=purge_step)

    def log(self, record: Epoch) -> None:
        """Write an epoch."""
        for name, value in _flat(record):
            self.events.add_scalar(name, value, record["epoch"])
        self.events.flush()

    def close(self) -> None:
        """Write what is left."""
        self.events.close()


def _flat(record: Mapping[str, Any], prefix: str = "") -> list[tuple[str, float]]:
    rows: list[tuple[str, float]] = []
    for key, value in record.items():
        rows += _flat(value, f"{prefix}{key}/") if isinstance(value, Mapping) else [(f"{prefix}{key}", float(value))]
    return rows
