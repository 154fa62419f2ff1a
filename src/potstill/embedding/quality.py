"""How good a student of features is: by labels, if there are any, and by what its teachers say."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from potstill.address import owner
from potstill.data.data import Batches
from potstill.embedding.bonds import Bond
from potstill.embedding.labelled import Labelled, features_of, labels_of, on_network
from potstill.embedding.places import Pooled
from potstill.errors import BadInput
from potstill.eval_mode import eval_mode
from potstill.losses.unit_length import unit_length
from potstill.say import say
from potstill.taps import Taps

STUDENT = "student"


class Quality:
    """Measures a student of features, for `fit`. In a ``with`` statement: at its end networks are as they were.

    ``knn`` and ``probe`` are the percentage of test images whose class `nearest_classes` and `fit_probe` find by their
    features, from those of training images; the first heads the summary. ``cosine`` is the mean one between the
    student's features, after the projectors, and its teachers', over images, places, kinds and teachers; where there
    are several of these, also of each. It heads the summary where there are no labels.

    Args:
        student: as it begins, a copy.
        teachers: by name; any other network is the student.
        bonds: what it learns from them, projectors included.
        labelled: the bank; None: there are no labels.
        test: other images than those that are measured, to tell the classes of; those of another data set.
    """

    def __init__(
        self,
        student: nn.Module,
        teachers: Mapping[str, nn.Module],
        bonds: Sequence[Bond],
        labelled: Labelled | None = None,
        test: Batches | None = None,
    ) -> None:
        self.start, self.teachers, self.bonds, self.labelled, self.test = student, teachers, bonds, labelled, test
        self.texts = sorted({STUDENT, *(text for bond in bonds for text in (*bond.student, *bond.teacher))})
        self.tapped: dict[nn.Module, Taps] = {}

    def __call__(self, network: nn.Module, batches: Iterable[Any]) -> dict[str, float]:
        """What is measured of a student on batches.

        Raises:
            BadInput: no batch.
        """
        features, labels, agreed, n = self._look(network, batches)
        if self.labelled is not None and self.test is not None:
            features, labels = features_of(network, self.test)
        told = {} if self.labelled is None or labels is None else self.labelled.measure(network, features, labels)
        mean = sum(agreed.values()) / len(agreed)
        each = {f"cosine {name}": value for name, value in agreed.items()} if len(agreed) > 1 else {}
        return {**told, "cosine": mean, **each, "n": n}

    def beforehand(self, batches: Iterable[Any]) -> dict[str, dict[str, float]]:
        """By labels, if there are any: what the teachers' own pooled features are worth, which is what a student can
        hope for, and what the student's are as it begins. A teacher without pooled features is left out.
        """
        if self.labelled is None:
            return {}
        found = {}
        for name, network in {**self.teachers, STUDENT: self.start}.items():
            asked = batches if self.test is None else self.test
            images = on_network(next(iter(asked)), network)["images"][:2]
            try:
                with Pooled(network, name, images) as pooled:
                    features, labels = features_of(pooled, asked)
                    if labels is not None:
                        found[name] = {**self.labelled.measure(pooled, features, labels), "n": len(labels)}
            except BadInput as error:
                say(f"{name} is not measured: {error}")
        return found

    def _look(self, network: nn.Module, batches: Iterable[Any]) -> tuple[Tensor, Tensor | None, dict[str, float], int]:
        """Features and labels of all images, the agreement by teacher and kind, and how many images there are."""
        features, labels, sums, n = [], [], dict[str, float](), 0
        taps = self._tapped(network)
        with eval_mode(network), torch.no_grad():
            for batch in batches:
                entries = on_network(batch, network)
                values = {text: value for one in taps for text, value in one(entries["images"]).items()}
                features.append(values[STUDENT].float())
                labels.append(labels_of(entries))
                n += len(entries["images"])
                for name, found in self._agreements(values):
                    sums[name] = sums.get(name, 0.0) + found * len(entries["images"])
        if not n:
            raise BadInput("nothing to measure: no batch")
        given = [some for some in labels if some is not None]
        whole = torch.cat(given) if len(given) == len(features) else None
        return torch.cat(features), whole, {name: total / n for name, total in sums.items()}, n

    def _agreements(self, values: Mapping[str, Tensor]) -> Iterator[tuple[str, float]]:
        """The mean cosine of a batch, by teacher and kind."""
        for bond in self.bonds:
            pairs: list[tuple[Tensor, Tensor]] = bond.loss.aligned(*bond.inputs(values))  # type: ignore[operator]
            for kind, (s, t) in zip(bond.kinds, pairs, strict=True):
                similar = (unit_length(s.float()) * unit_length(t.float())).sum(dim=-1)
                yield f"{bond.owner} {kind}", similar.double().mean().item()

    def _tapped(self, network: nn.Module) -> list[Taps]:
        """The student and its teachers, tapped where bonds take their inputs: once, or compiled ones would be again."""
        for name, one in {STUDENT: network, **self.teachers}.items():
            if one not in self.tapped:
                self.tapped[one] = Taps(one, name, [text for text in self.texts if owner(text) == name])
        return [self.tapped[one] for one in (network, *self.teachers.values())]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        """Remove the taps' hooks."""
        for one in self.tapped.values():
            one.close()
