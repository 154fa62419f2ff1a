"""``potstill check``: what a data set is taken for and what is wrong with it, before anything is trained."""

from typing import Any

from potstill.selection import Reading


def check(data: str, /, *, reading: Reading = Reading()) -> dict[str, Any]:
    """Look at a whole data set: its classes, every image that cannot be read, duplicates, sizes.

    Every image is read and decoded as training does it. Equal images are found by their files and by their pixels,
    within splits and across them. What would stop a run makes exit code 2; with --on-bad-image skip broken images do
    not. For example: potstill check flowers --json

    Args:
        data: data set: cifar10, cifar100, digits, imagenet, or your own folder.
    """
    from potstill.data.checking import check as look
    from potstill.home import at_home

    return look(at_home(data), reading)
