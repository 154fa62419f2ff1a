"""A teacher's forward pass that runs only on images of whose views no answer is kept yet."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from potstill.answers.entries import Bytes, Entries
from potstill.answers.numbering import Numbering
from potstill.answers.proof import Answer, Proof
from potstill.say import say

Numbers = NDArray[np.int64]


@dataclass
class CachedPass:
    """Answers batches that have ``images``, ``index`` and ``view``; the same bits as without it.

    Images that are missing run in a batch of their own, of a size for which that was proven, filled up with some whose
    answers are known: these are compared, so that an answer that has become another one is found out.

    Args:
        name: of the teacher, for messages.
        answer: runs it.
        entries: where the answers at each address are kept.
        numbering: where in there.
        proof: what batches may be made.
    """

    name: str
    answer: Answer
    entries: Mapping[str, Entries]
    numbering: Numbering
    proof: Proof
    asked: int = field(default=0, init=False)
    known: int = field(default=0, init=False)
    trusted: bool = field(default=True, init=False)
    writes: bool = field(default=True, init=False)

    def __call__(self, batch: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The tensor at each address."""
        images = batch["images"]
        if not self.trusted or {"index", "view"} - batch.keys() or not self.proof.holds(len(images)):
            return self.answer(images)
        slots, views = self.numbering.slots(batch["index"], batch["view"])
        kept = {text: entries.read(slots, views) for text, entries in self.entries.items()}
        there = np.logical_and.reduce([found for found, _ in kept.values()])
        missing, present = np.flatnonzero(~there), np.flatnonzero(there)
        self.asked += len(images)
        self.known += len(present)
        size = (self.proof.part_for(len(missing)) or len(images)) if len(missing) else 0
        if size >= len(images):
            whole = self.answer(images)
            self._keep(whole, slots, views, missing, missing)
            return whole
        answers = {text: answer for text, (_, answer) in kept.items()}
        if size:
            rows = np.concatenate((missing, present[: size - len(missing)]))
            chosen = images[torch.from_numpy(rows).to(images.device)]
            run = self.answer(self.proof.laid_out(chosen))
            if not self._filled_in(answers, run, rows, len(missing)):
                self.trusted = False
                say(f"kept answers of {self.name} are not what it answers now: they are not used any more")
                return self.answer(images)
            self._keep(run, slots, views, missing, np.arange(len(missing)))
        return {text: self._tensor(text, answer) for text, answer in answers.items()}

    def _filled_in(self, answers: Mapping[str, Bytes], run: Mapping[str, Tensor], rows: Numbers, missing: int) -> bool:
        """Put what was run in the place of what was missing; whether the rest of it is what is kept."""
        same = True
        for text, answer in answers.items():
            ran = _bytes(run[text])
            same = same and bool((answer[rows[missing:]] == ran[missing:]).all())
            answer[rows[:missing]] = ran[:missing]
        return same

    def _keep(
        self, run: Mapping[str, Tensor], slots: Numbers, views: Numbers, missing: Numbers, where: Numbers
    ) -> None:
        """Keep the answers for the ``missing`` images, which are those of the rows ``where`` of what was run."""
        if not self.writes:
            return
        try:
            for text, entries in self.entries.items():
                entries.write(slots[missing], views[missing], _bytes(run[text])[where])
        except OSError as error:
            self.writes = False
            path = next(iter(self.entries.values())).path.parent
            say(f"no more answers of {self.name} are kept in {path}, and training goes on: {error.strerror}")

    def _tensor(self, text: str, answer: Bytes) -> Tensor:
        like = self.proof.answers[text]
        values = torch.from_numpy(np.ascontiguousarray(answer).reshape(-1)).view(like.dtype)
        return values.reshape(len(answer), like.shape[1]).to(like.device)


def _bytes(value: Tensor) -> Bytes:
    """The bits of answers (n, K), as (n, bytes)."""
    content: Bytes = value.detach().cpu().contiguous().view(torch.uint8).numpy()
    return content
