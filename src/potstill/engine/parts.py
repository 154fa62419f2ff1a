"""A step's gradient, computed in parts of the batch, one after the other."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from potstill.batch import Batch, labelled_rows, part_of, rows_of
from potstill.data.batch_sizes import halves_of_part, parts_of_step
from potstill.distiller import Distiller
from potstill.errors import BadInput
from potstill.ranks.team import Team
from potstill.say import say
from potstill.term import Term
from potstill.training import Training


@dataclass(frozen=True)
class Share:
    """How much of a batch a part of it is.

    Args:
        rows: of its rows.
        labelled: of those that have labels.
    """

    rows: float
    labelled: float

    def of(self, term: Term) -> float:
        """How much of a term's mean it makes."""
        return self.labelled if "labels" in term.flat_addresses else self.rows


def check_parts(training: Training, distiller: Distiller, team: Team | None) -> None:
    """Say what will not be that of the whole batch.

    Raises:
        BadInput: several processes would exchange parts, of which they need not have equally many; a loss would carry
            over a part of a batch.
    """
    carrying = [term.name for term in distiller.terms if getattr(term.loss, "carries", False)]
    if carrying and (team is not None or training.accumulate > 1):
        what = "several processes" if team is not None else f"--accumulate {training.accumulate}"
        raise BadInput(f"term '{carrying[0]}' carries a batch over to the next, which {what} would cut into parts")
    if training.accumulate == 1:
        return
    exchanged = [] if team is None else [*team.whole, *sorted(team.inner.keys), *(["--sync-bn"] if team.sync else [])]
    if exchanged:
        raise BadInput(
            "--accumulate does not go together with what several processes exchange in the middle of a step: "
            + ", ".join(exchanged)
        )
    if whole := [term.name for term in distiller.terms if term.whole_batch]:
        say(f"with --accumulate, these terms compare the images of a part of the batch only: {', '.join(whole)}")


def parts_of(batch: Batch, count: int) -> Iterator[tuple[Share, Batch]]:
    """Parts of a batch, as equal as can be, and which share of it each is. Of images without labels, if they lie beside
    labelled ones, every part has its share too.

    >>> batch = {"images": torch.arange(5), "labels": torch.arange(3), "size": torch.tensor(1000)}
    >>> [(share.rows, part["images"].tolist(), part["labels"].tolist()) for share, part in parts_of(batch, 2)]
    [(0.6, [0, 1, 4], [0, 1]), (0.4, [2, 3], [2])]
    """
    rows, labelled = rows_of(batch), labelled_rows(batch)
    parts = len(parts_of_step(rows, count))
    for number in range(parts):
        first, beyond = halves_of_part(labelled, rows - labelled, number, parts)
        share = Share((len(first) + len(beyond)) / rows, len(first) / max(1, labelled))
        yield share, part_of(batch, first, beyond)


def summed(values: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Each term's value over the whole batch, from the shares that parts have of it."""
    return {name: torch.stack([one[name] for one in values]).sum() for name in values[0]}
