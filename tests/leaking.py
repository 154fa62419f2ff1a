"""tools/flat_test.py with a run that keeps something of every epoch: what nobody should."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
import flat_test

kept, over = [], threading.Event()


class Leaks:
    """A recorder that leaves a file open, a thread waiting, a child sleeping, and another file in the run folder."""

    def __init__(self, folder):
        self.folder = folder

    def log(self, record):
        kept.append(os.open("/dev/null", os.O_RDONLY))
        kept.append(subprocess.Popen(["sleep", "60"]))
        threading.Thread(target=over.wait, daemon=True).start()
        (self.folder / f"epoch-{record['epoch']}").touch()

    def close(self):
        for child in kept:
            if isinstance(child, subprocess.Popen):
                child.kill()
                child.wait()


def keep_weights(distiller):
    kept.append(torch.cat([weight.detach().flatten() for weight in distiller.networks["student"].parameters()]))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    words = ["--folder", str(folder), *sys.argv[2:]]
    sys.exit(flat_test.main(words, recorders=[Leaks(folder / "run")], after_step=keep_weights))
