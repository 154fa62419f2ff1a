"""The parts of a run: where and by which versions each was trained, from which epoch on."""

from potstill.runs.schema import Config, Segment

TOLD = ("potstill", "torch", "python", "commit", "device", "machine", "threads", "processes")


def segments_of(config: Config) -> list[Segment]:
    """The segments of a run; of an earlier version's there is one, as far as it is known."""
    if segments := config.get("segments"):
        return segments
    versions, commit, threads = config["versions"], config.get("commit"), config.get("threads")
    return [{"epoch": 0, "versions": versions, "commit": commit, "device": config["device"], "threads": threads}]


def continued(before: list[Segment], now: Segment, epoch: int) -> tuple[list[Segment], list[str]]:
    """The segments of a run that goes on from ``epoch`` as ``now`` says, and what is different from then on, in words.

    What was to come after that epoch never came. Where nothing is different, there is no new segment.

    >>> first = {"epoch": 0, "versions": {"torch": "2.11"}, "device": "cpu"}
    >>> continued([first], {**first, "versions": {"torch": "2.12"}}, 3)[1]
    ['torch was 2.11 and is 2.12']
    """
    reached = [segment for segment in before if segment["epoch"] < epoch]
    if not reached:
        return [{**now, "epoch": epoch}], []
    old, new = _told(reached[-1]), _told(now)
    both = [name for name in TOLD if old[name] is not None and new[name] is not None]
    changed = [f"{name} was {old[name]} and is {new[name]}" for name in both if old[name] != new[name]]
    return ([*reached, {**now, "epoch": epoch}] if changed else reached), changed


def _told(segment: Segment) -> dict[str, object]:
    told: dict[str, object] = {"processes": 1, **segment["versions"], **segment}
    return {name: told.get(name) for name in TOLD}
