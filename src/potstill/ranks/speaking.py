"""One line on stderr for all processes of a run: whoever fails first says why, and the others end silently."""

import os
import sys
from datetime import timedelta

from potstill.ranks.launch import Launch

PATIENCE = timedelta(seconds=5)


def claim(launch: Launch) -> bool:
    """Whether this process is the first one that wants to say why the run ends."""
    if "potstill.ranks.world" not in sys.modules:  # they have not met yet: all fail alike
        return launch.rank == 0
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    name = f"potstill/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}/said"
    try:
        store = TCPStore(host, port, is_master=False, timeout=PATIENCE, wait_for_workers=False)
        return bool(store.add(name, 1) == 1)
    except RuntimeError:  # whoever keeps the store was the first to end: rank 0, if it was not torchrun that started it
        return launch.rank <= 1
