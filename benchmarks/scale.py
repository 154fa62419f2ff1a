"""How the time of a step grows: with processes, rows, classes, images a step, their size, and terms.

python benchmarks/scale.py [--steps N] [--rounds N] [--only processes rows ...]

Each row is timed beside the first of its group, in turns; ratios are of medians. Processes by the clock, whatever one
process does by its CPU time.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from statistics import median

BASE = {"processes": 1, "rows": 2048, "classes": 10, "batch": 64, "size": 32, "terms": 1}
GROWING = {
    "processes": [1, 2],
    "rows": [2048, 8192, 32768],
    "classes": [10, 100, 1000],
    "batch": [64, 128, 256],
    "size": [32, 48, 64],
    "terms": [1, 2, 4],
}
TERMS = ["KD", "1000 * AT on stages", "0.02 * RKD", "SP on stage3"]


def measured(setting: dict[str, int], steps: int) -> float:
    """Images a second of steps with random images, in this process or as one of several."""
    import torch

    import potstill as ps
    from potstill.data.augment import Augment
    from potstill.data.images import ImageSet
    from potstill.data.loader import Loader
    from potstill.engine.epoch import train_step
    from potstill.engine.optimizer import make_optimizer
    from potstill.ranks.team import Team
    from potstill.ranks.world import join

    world = join()
    torch.manual_seed(0)
    rows, size, classes = setting["rows"], setting["size"], setting["classes"]
    images = torch.randint(0, 256, (rows, size, size, 3), dtype=torch.uint8)
    half = [0.5] * 3
    loader = Loader(
        ImageSet(images, torch.randint(0, classes, (rows,))),
        setting["batch"],
        mean=half,
        std=half,
        augment=Augment(pad=4, flip=True),
    )
    names = tuple(map(str, range(classes)))
    data = ps.data.Data("random", names, (3, size, size), tuple(half), tuple(half), loader, None, None)
    networks = {
        "student": ps.networks.create("wrn-16-2", classes),
        "teacher": ps.freeze(ps.networks.create("wrn-40-2", classes)),
    }
    terms = ps.terms(["CE", *TERMS[: setting["terms"]]], networks)
    distiller = ps.Distiller(networks, terms, data.example())
    training = ps.Training(batch_size=setting["batch"], device="cpu")
    optimizer = make_optimizer(distiller, training)
    if world is not None:
        distiller.team = Team(world, distiller, data, training)
        data = distiller.team.data
    clock = time.perf_counter if setting["by_the_clock"] else time.process_time
    seen, began, step = 0, clock(), -1
    while step < steps:
        for batch in data.train:
            if step == 0:  # the first warms up
                began = clock()
            if step >= steps:
                break
            if distiller.team is None:
                train_step(distiller, batch, optimizer, optimizer.step, "fp32")
            else:
                with distiller.team.step(0, step + 1):
                    train_step(distiller, batch, optimizer, optimizer.step, "fp32")
            seen += (len(batch["labels"]) if distiller.team is None else distiller.team.rows) * (step >= 0)
            step += 1
    return seen / (clock() - began)


def once(setting: dict[str, int], steps: int) -> float:
    """The same in processes of its own, of one thread each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    size = setting["processes"]
    common = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, __file__, "--steps", str(steps), "--one", json.dumps(setting)]
    running = [
        subprocess.Popen(
            words, env={**os.environ, **common, "RANK": str(r), "LOCAL_RANK": str(r)}, stdout=subprocess.PIPE
        )
        for r in range(size)
    ]
    outputs = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise SystemExit(f"a process failed with {setting}")
    return float(outputs[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=GROWING, default=list(GROWING))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(measured(json.loads(given.one), given.steps))
        return
    print("| what | images a second, median (min to max) | beside the first | rounds |\n|---|---|---|---|")
    for name in given.only:
        settings = [{**BASE, name: value, "by_the_clock": name == "processes"} for value in GROWING[name]]
        found: list[list[float]] = [[] for _ in settings]
        for _ in range(given.rounds):
            for setting, values in zip(settings, found, strict=True):
                values.append(once(setting, given.steps))
        for setting, values in zip(settings, found, strict=True):
            told = f"{median(values):.0f} ({min(values):.0f} to {max(values):.0f})"
            ratio = median(values) / median(found[0])
            print(f"| {name} {setting[name]:,} | {told} | {ratio:.2f} | {given.rounds} |", flush=True)


if __name__ == "__main__":
    main()
