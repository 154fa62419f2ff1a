"""Ending a run that does not become better any more."""

from collections.abc import Callable, Sequence

from potstill.data.data import Data
from potstill.errors import BadInput
from potstill.runs.headline import best_epoch
from potstill.runs.schema import Epoch
from potstill.say import say
from potstill.training import Training


def check_early_stop(training: Training, data: Data) -> None:
    """Say on which images a run may end early.

    Raises:
        BadInput: on none.
    """
    if training.early_stop is None:
        return
    if data.test is None and data.holdout is None:
        raise BadInput("--early-stop looks at the accuracy after each epoch, and there are no images to measure it on")
    if data.holdout is None:
        say("--early-stop ends the run by its test images: even its last epoch is chosen on them; --holdout N would do")


def is_over(history: Sequence[Epoch], patience: int | None, say: Callable[[str], object] = say) -> bool:
    """Whether the best epoch of every network is at least ``patience`` epochs ago; said if it is so.

    >>> tops = [71.0, 73.5, 72.0, 73.5]
    >>> history = [{"epoch": i, "learners": {"student": {"test": {"top1": top}}}} for i, top in enumerate(tops)]
    >>> is_over(history, 2, print), is_over(history, 3), is_over(history[:3], 2)
    no epoch was better than the best in the last 2: the run ends
    (True, False, False)
    """
    if patience is None or not history:
        return False
    last = history[-1]
    ends = all(last["epoch"] - best_epoch(history, name)["epoch"] >= patience for name in last["learners"])
    if ends:
        say(f"no epoch was better than the best in the last {patience}: the run ends")
    return ends
