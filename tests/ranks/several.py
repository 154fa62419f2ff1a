"""Starting several processes as torchrun does."""

import os
import socket
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def start(size, words, **environment):
    """Start ``python WORDS`` as every rank of ``size``; rank 0 keeps the store."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(size)}
    common |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    ranks = [{**common, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(size)]
    commands = words if isinstance(words[0], list) else [words] * size
    return [
        subprocess.Popen([sys.executable, *command], env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for env, command in zip(ranks, commands, strict=True)
    ]


def run(size, words, seconds=300, **environment):
    """The same, to the end: (exit code, stdout, stderr) of every rank."""
    processes = start(size, words, **environment)
    try:
        outputs = [process.communicate(timeout=seconds) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, *output) for process, output in zip(processes, outputs, strict=True)]
