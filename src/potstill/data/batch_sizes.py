"""How many images each batch of an epoch has, and where in the epoch it begins."""

from collections.abc import Iterator, Sequence


def batch_sizes(count: int, batch_size: int, *, merged: bool) -> list[int]:
    """The sizes of the batches of ``count`` images, of which the last may be smaller.

    Args:
        count: images an epoch.
        batch_size: images a batch.
        merged: a last batch of one image joins the one before it, which then has ``batch_size + 1``. Nothing can be
            trained on one image alone: batch norm has no variance, and no loss of pairs has a pair.

    >>> batch_sizes(9, 4, merged=True), batch_sizes(9, 4, merged=False), batch_sizes(1, 4, merged=True)
    ([4, 5], [4, 4, 1], [1])
    """
    whole, rest = divmod(count, batch_size)
    sizes = [batch_size] * whole + [rest] * (rest > 0)
    if merged and batch_size > 1 and len(sizes) > 1 and rest == 1:
        sizes[-2:] = [batch_size + 1]
    return sizes


def stretches(sizes: Sequence[int], first: int, together: int) -> Iterator[tuple[int, Sequence[int]]]:
    """From batch ``first`` on, some batches ``together`` at a time: the image they begin at, and their sizes.

    Nothing is cut before its turn comes: an epoch may have tens of thousands of batches.

    >>> list(stretches([4, 4, 4, 5], first=1, together=2))
    [(4, [4, 4]), (12, [5])]
    """
    begin = sum(sizes[:first])
    for batch in range(first, len(sizes), together):
        some = sizes[batch : batch + together]
        yield begin, some
        begin += sum(some)


def rows_of_part(count: int, part: int, parts: int) -> range:
    """Which rows of a batch of ``count`` are those of one of several parts: as many each, the first ones one more.

    >>> [rows_of_part(5, part, 3) for part in range(3)]
    [range(0, 2), range(2, 4), range(4, 5)]
    """
    each, more = divmod(count, parts)
    start = part * each + min(part, more)
    return range(start, start + each + (part < more))


def halves_of_part(labelled: int, others: int, part: int, parts: int) -> tuple[range, range]:
    """Which rows are those of one of several parts, of a batch of which the first ``labelled`` have labels: its share
    of those, and its share of the others. Of the others the last parts have one more, so that all are about as large.

    >>> [halves_of_part(4, 2, part, 3) for part in range(3)]
    [(range(0, 2), range(6, 6)), (range(2, 3), range(5, 6)), (range(3, 4), range(4, 5))]
    """
    beyond = rows_of_part(others, parts - 1 - part, parts)
    return rows_of_part(labelled, part, parts), range(labelled + beyond.start, labelled + beyond.stop)


def parts_of_step(count: int, parts: int) -> list[range]:
    """The rows of the parts in which a batch of ``count`` is computed: no part has one image alone, if it need not.

    >>> parts_of_step(5, 2), len(parts_of_step(5, 4)), parts_of_step(1, 4)
    ([range(0, 3), range(3, 5)], 2, [range(0, 1)])
    """
    parts = max(1, min(parts, count // 2))
    return [rows_of_part(count, part, parts) for part in range(parts)]
