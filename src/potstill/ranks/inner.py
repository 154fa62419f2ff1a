"""Passes that see what other networks give, or the rows of all ranks: how many rows they have on every rank."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from potstill.batch import Batch, of_labelled
from potstill.errors import BadInput
from potstill.forward_pass import ForwardPass
from potstill.ranks.gather import gathered
from potstill.ranks.slices import Sliced
from potstill.ranks.world import World

if TYPE_CHECKING:
    from potstill.distiller import Distiller


class InnerPasses:
    """The passes of a run whose rows may be others than the batch's, which then differ from rank to rank.

    A network with an attribute ``whole_batch``, which does not learn, sees the rows of all ranks, and returns this
    rank's part of what it has found in them, see `own_part`.

    Args:
        world: the ranks.
        distiller: whose passes.
        batches: this rank's.
        synced: whether batch norm waits for every rank in every pass.

    Raises:
        BadInput: what would have some ranks wait for others that have no row.
    """

    def __init__(self, world: World, distiller: "Distiller", batches: Sliced, *, synced: bool) -> None:
        self.world, self.batches, self.synced, self.passes = world, batches, synced, distiller.passes
        whole = [one for one in self.passes.in_order if getattr(distiller.networks[one.network], "whole_batch", False)]
        self.whole = {one.key for one in whole}
        labelled = {one.key for one in self.passes.in_order if batches.beside and "labels" in one.inputs}
        self.keys = {one.key for one in self.passes.in_order if one.needs or one.key in self.whole} | labelled
        self._idle: set[str] = set()  # passes whose rows on this rank count for nothing
        for one in whole:
            if one.network in distiller.learners or one.needs & self.keys:
                raise BadInput(
                    f"{one.key} has whole_batch: on several processes such a network neither learns, nor sees what "
                    "networks give that see other networks' outputs"
                )
        for term in distiller.terms:
            inner = self.keys.intersection(map(self.passes.key_of, term.flat_addresses))
            if term.whole_batch and inner and not synced:
                raise BadInput(
                    f"term '{term.name}' compares the rows of all processes, but {min(inner)} may have none on one of "
                    "them; add --sync-bn, with which every process takes part"
                )

    def counts(self, texts: Sequence[str], values: Batch, labelled: bool = False) -> list[int]:
        """The rows of every rank in tensors of as many rows each: those that have labels, or all."""
        if not self.keys.intersection(map(self.passes.key_of, texts)):
            return self.batches.labelled if labelled else self.batches.counts
        found: list[int] = self.world.each(min(self._own(text, values) for text in self._with_rows(texts, values)))
        return found

    def inputs(self, one: ForwardPass, values: Batch) -> tuple[Batch, list[int]]:
        """What a pass sees, and the rows of every rank in it.

        Where a rank has none but others do, and batch norm waits for all, a row of zeros counts for nothing.
        """
        labelled = "labels" in one.inputs
        values = of_labelled(values, one.inputs) if labelled else values
        counts = self.counts(one.inputs, values, labelled)
        own = counts[self.world.rank]
        if one.key in self.whole:
            return self.gathered(one.inputs, counts, {key: value.detach() for key, value in values.items()}), counts
        self._idle.discard(one.key)
        if own == 0:
            self._idle.add(one.key)
        if own > 0 or not self.synced or sum(counts) == 0:
            return values, counts
        empty = {text: values[text] for text in self._with_rows(one.inputs, values) if len(values[text]) == 0}
        return {**values, **{key: value.new_zeros(1, *value.shape[1:]) for key, value in empty.items()}}, counts

    def gathered(self, texts: Iterable[str], counts: list[int], values: Batch) -> dict[str, Tensor]:
        """The values with the rows of all ranks, of which each has ``counts``, or one that counts for nothing."""
        own, found = counts[self.world.rank], dict(values)
        order = self.batches.order() if counts is self.batches.counts else None
        for text in self._with_rows(texts, values):
            if len(values[text]) in (own, max(1, own)):
                rows = gathered(values[text], counts, self.world)
                found[text] = rows if order is None else rows[order.to(rows.device)]
        return found

    def _with_rows(self, texts: Iterable[str], values: Batch) -> list[str]:
        """Without scalars and parameters."""
        rowless = {text for text in texts if text in values and values[text].dim() == 0}
        return [text for text in texts if text not in rowless and not self.passes.is_parameter(text)]

    def _own(self, text: str, values: Batch) -> int:
        key = self.passes.key_of(text)
        stands_in = key in self._idle or (key not in self.keys and self.batches.counts[self.world.rank] == 0)
        return 0 if stands_in or text not in values else len(values[text])
