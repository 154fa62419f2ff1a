"""A step's gradient, computed in parts of the batch, one after the other."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from potstill.batch import Batch, rows_of
from potstill.data.batch_sizes import parts_of_step
from potstill.data.beside import Beside
from potstill.data.data import Data
from potstill.distiller import Distiller
from potstill.errors import BadInput
from potstill.ranks.team import Team
from potstill.say import say
from potstill.training import Training


def check_parts(training: Training, distiller: Distiller, data: Data, team: Team | None) -> None:
    """Say what will not be that of the whole batch.

    Raises:
        BadInput: several processes would exchange parts, of which they need not have equally many; a loss would carry
            over a part of a batch; or some images have no labels.
    """
    carrying = [term.name for term in distiller.terms if getattr(term.loss, "carries", False)]
    if carrying and (team is not None or training.accumulate > 1):
        what = "several processes" if team is not None else f"--accumulate {training.accumulate}"
        raise BadInput(f"term '{carrying[0]}' carries a batch over to the next, which {what} would cut into parts")
    if training.accumulate == 1:
        return
    if isinstance(data.train, Beside):
        raise BadInput("--accumulate does not go together with --extra: the parts would not all have labels")
    exchanged = [] if team is None else [*team.whole, *sorted(team.inner.keys), *(["--sync-bn"] if team.sync else [])]
    if exchanged:
        raise BadInput(
            "--accumulate does not go together with what several processes exchange in the middle of a step: "
            + ", ".join(exchanged)
        )
    if whole := [term.name for term in distiller.terms if term.whole_batch]:
        say(f"with --accumulate, these terms compare the images of a part of the batch only: {', '.join(whole)}")


def parts_of(batch: Batch, count: int) -> Iterator[tuple[float, Batch]]:
    """Parts of a batch, as equal as can be, and which share of its rows each has.

    >>> batch = {"labels": torch.arange(5), "size": torch.tensor(1000)}
    >>> [(share, part["labels"].tolist(), int(part["size"])) for share, part in parts_of(batch, 2)]
    [(0.6, [0, 1, 2], 1000), (0.4, [3, 4], 1000)]
    """
    rows = rows_of(batch)
    for part in parts_of_step(rows, count):
        some = slice(part.start, part.stop)
        yield len(part) / rows, {key: value[some] if _has_rows(value, rows) else value for key, value in batch.items()}


def _has_rows(value: Tensor, rows: int) -> bool:
    return value.dim() > 0 and len(value) == rows


def summed(values: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Each term's value over the whole batch, from the shares that parts have of it."""
    return {name: torch.stack([one[name] for one in values]).sum() for name in values[0]}
