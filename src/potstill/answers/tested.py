"""What a teacher answers to the test images, and how accurate that is: found once, and kept for all its runs."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from potstill.answers.key import Key, digest_of, name_of, of_machine, of_network
from potstill.answers.wanted import Wanted
from potstill.batch import Batch, as_batch, few_of
from potstill.data.data import Data
from potstill.data.files.image_loader import ImageLoader
from potstill.data.loader import Loader
from potstill.say import say
from potstill.training import Training
from potstill.whole_file import write_whole

FIRST = 32
"""Images that are run in any case: enough for the ways through a product that whole batches take."""

Evaluate = Callable[[nn.Module, Iterable[Batch]], Mapping[str, float]]


class Tested:
    """A teacher's answers to the test images, in a folder; of the same teacher, images and arithmetic.

    The first images are run in any case: that their answers are the same bits is part of the key.

    Args:
        folder: where they are kept.
        network: the teacher.
        data: the test images.
        evaluate: what is measured.
    """

    @staticmethod
    def folder_for(training: Training, data: Data) -> Path | None:
        """Where they are kept of a run; None if they are not: what is compiled may be compiled otherwise elsewhere."""
        wanted = Wanted.parse(training.teacher_cache)
        ours = isinstance(data.test, Loader | ImageLoader) and data.identity is not None
        return wanted.folder if wanted is not None and ours and not training.compile else None

    def __init__(self, folder: Path, network: nn.Module, data: Data, evaluate: Evaluate) -> None:
        self.folder, self.network, self.data, self.evaluate = folder, network, data, evaluate

    def measure(self) -> tuple[dict[str, float], Tensor | None]:
        """What `evaluate` gives on all test images, and the logits (n, K) if they are known now."""
        test = self.data.test
        assert test is not None
        first = self._run(few_of(as_batch(batch), FIRST) for batch in islice(test, 1))[1]
        if first is None:
            return dict(self.evaluate(self.network, test)), None
        path = self.folder / f"test-{name_of(self._key(first))}.safetensors"
        if (found := _read(path)) is not None:
            return found
        measured, logits = self._run(test)
        if logits is not None:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                about = {"measured": json.dumps(measured), "sha256": _sum(logits, json.dumps(measured))}
                # In one entry: several would lie in the file in any order, and the same answers be other bytes.
                write_whole(path, save({"logits": logits}, {"about": json.dumps(about)}))
            except OSError as error:
                say(f"answers to the test images are not kept in {self.folder}: {error.strerror}")
        return measured, logits

    def _run(self, batches: Iterable[Batch]) -> tuple[dict[str, float], Tensor | None]:
        """What is measured, and the logits of all batches, unless the network returns something around them."""
        answers: list[Any] = []
        last: list[Any] = [None]

        def noted() -> Iterator[Batch]:
            for batch in batches:
                yield batch
                answers.append(last[0])  # of the whole batch: whoever looks at a few images does so before

        def note(_: nn.Module, __: Any, output: Any) -> None:
            last[0] = output

        hook = self.network.register_forward_hook(note)
        try:
            measured = dict(self.evaluate(self.network, noted()))
        finally:
            hook.remove()
        if not all(isinstance(answer, Tensor) for answer in answers):
            return measured, None
        return measured, torch.cat([answer.detach().cpu() for answer in answers])

    def _key(self, first: Tensor) -> Key:
        like = next(self.network.parameters(), first)
        statistics = {"mean": list(self.data.mean or ()), "std": list(self.data.std or ())}
        images: dict[str, Any] = {
            "data": self.data.described().get("digest"),
            "shape": list(self.data.shape),
            **statistics,
        }
        images |= {"n": None if self.data.test is None else self.data.test.count, "arithmetic": digest_of([first])}
        images["threads"] = torch.get_num_threads()  # which part a whole batch otherwise than a few images
        return {**of_network(self.network), **of_machine(like.device), **images}


class Answered(nn.Module):
    """Answers batch after batch with logits (n, K) that are known, in their order."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits, self.next = logits, 0

    def forward(self, images: Tensor) -> Tensor:
        """The logits of the next images (N, C, H, W)."""
        self.next += len(images)
        return self.logits[self.next - len(images) : self.next].to(images.device)


def _read(path: Path) -> tuple[dict[str, float], Tensor] | None:
    """What is kept; None if nothing is, or if it is damaged, which is said."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            about, logits = json.loads((file.metadata() or {})["about"]), file.get_tensor("logits")
        if about["sha256"] != _sum(logits, about["measured"]):
            raise ValueError("its checksum does not fit")
        return json.loads(about["measured"]), logits
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        say(f"{path} is damaged and made again: {error}")
        return None


def _sum(logits: Tensor, measured: str) -> str:
    return sha256(f"{digest_of([logits])} {measured}".encode()).hexdigest()
