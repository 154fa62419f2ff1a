"""What losses have built but no optimiser trains: a regressor that stays as it began makes a hint of noise."""

from collections.abc import Mapping, Sequence

from torch import nn

from potstill.errors import BadInput
from potstill.term import Term

Versions = list[int]
STEPS = 3  # of the learners without one of a term's parts: a single one may be weights that somebody has loaded
CALLS = 100  # to look at most


class Untrained:
    """Looks, during the first steps, whether the losses' parts take them too.

    An optimiser that was made before the distiller, or of the student's parameters alone, does not have them. Steps
    show in the versions of parameters, which every in-place change raises. Fused steps do not raise them: nothing is
    found out then.

    Args:
        learners: whose steps are counted.
        terms: whose parts are looked at.
    """

    def __init__(self, learners: Mapping[str, nn.Module], terms: Sequence[Term]) -> None:
        self.learners = learners
        self.waiting = {term.name for term in terms if _versions(term)}
        self.before: Versions = []
        self.steps = self.calls = 0
        self.first: dict[str, tuple[Versions, int]] = {}

    @property
    def looking(self) -> bool:
        """Whether there is still something to find out."""
        return bool(self.waiting) and self.calls < CALLS

    def look(self, terms: Sequence[Term]) -> None:
        """To be called before every step, with the terms that are part of it.

        Raises:
            BadInput: the learners have taken some steps, and a term's parts none.
        """
        now = _versions(*self.learners.values())
        self.steps += bool(self.calls) and now != self.before
        self.before, self.calls = now, self.calls + 1
        for term in terms:
            if term.name not in self.waiting:
                continue
            versions = _versions(term)
            seen, steps = self.first.setdefault(term.name, (versions, self.steps))
            if versions != seen:
                self.waiting.remove(term.name)
            elif self.steps - steps >= STEPS:
                raise BadInput(
                    f"what term '{term.name}' has built does not train: the optimiser does not have it; make it after "
                    "the distiller, of distiller.parameters()"
                )


def _versions(*modules: nn.Module) -> Versions:
    return [p._version for module in modules for p in module.parameters() if p.requires_grad]
