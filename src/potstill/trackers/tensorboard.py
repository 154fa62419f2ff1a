"""TensorBoard, which needs no other program and no account."""

from pathlib import Path
from secrets import token_hex

from potstill.engine.recorders import flat
from potstill.runs.schema import Epoch


class TensorBoard:
    """Scalars in TensorBoard's event files.

    Args:
        folder: where they lie.
        purge_step: forget what an earlier, killed process wrote from this epoch on.
    """

    def __init__(self, folder: Path, purge_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # Of a name that nobody can know beforehand, where a link could wait.
        self.events = SummaryWriter(str(folder), purge_step=purge_step, filename_suffix=f".{token_hex(4)}")

    def log(self, record: Epoch) -> None:
        """Add a scalar for every number."""
        for name, value in flat(record):
            self.events.add_scalar(name, value, record["epoch"])
        self.events.flush()

    def close(self) -> None:
        """Close the file."""
        self.events.close()
