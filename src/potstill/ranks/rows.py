"""Whether a batch has further rows on other processes that batch norm sees, see `SyncBatchNorm`."""

_elsewhere = False


def other_rows() -> bool:
    """Whether what is given to a module is only a part of what its batch norm sees."""
    return _elsewhere


def set_other_rows(elsewhere: bool) -> None:
    """Say so."""
    global _elsewhere
    _elsewhere = elsewhere
