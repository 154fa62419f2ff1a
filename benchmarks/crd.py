"""From how many rows of the bank for each score on CRD gathers rows faster than it multiplies by the whole bank.

    python benchmarks/crd.py [--batch 64] [--width 128] [--negatives 256 1024 4096] [--device cpu]

Both ways are timed in turn, forward and backward. `PRODUCT_PAYS` in potstill.losses.memory_bank is the smallest number
that is right for most lines. Likewise, what keeping class lists costs against sorting them.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from statistics import median

import torch
from torch import Tensor

from potstill.losses import memory_bank
from potstill.losses.class_lists import move, sorted_lists

RATIOS = (20, 40, 60, 80, 100, 150)
ROUNDS = 5


def timed(work: Callable[[], object], device: str) -> float:
    """Seconds, of the device's work too."""
    if device != "cpu":
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def products(pays: int, vectors: Tensor, bank: Tensor, rows: Tensor) -> None:
    """A forward and a backward pass, with the whole bank where it has up to ``pays`` rows a score."""
    memory_bank.PRODUCT_PAYS = pays
    memory_bank.products(vectors, bank, rows).sum().backward()


def main() -> None:
    """Print a line for each number of negatives and each ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--negatives", type=int, nargs="+", default=[256, 1024, 4096])
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    print("negatives  rows a score  gathering / product")
    for negatives in given.negatives:
        for ratio in RATIOS:
            bank = torch.randn(negatives * ratio, given.width, device=given.device)
            vectors = torch.randn(given.batch, given.width, device=given.device, requires_grad=True)
            rows = torch.randint(len(bank), (given.batch, negatives), device=given.device)
            ways = [partial(products, pays, vectors, bank, rows) for pays in (0, 10**9)]
            times = [[timed(way, given.device) for way in ways] for _ in range(ROUNDS)]
            print(f"{negatives:9}  {ratio:12}  {median(one / other for one, other in times[1:]):.2f}")
    classes = torch.randint(1000, (1281167,), device=given.device)
    lists = sorted_lists(classes)
    index = torch.randint(len(classes), (given.batch,), device=given.device)
    kept = median(timed(lambda: move(lists, classes, index, classes[index]), given.device) for _ in range(ROUNDS))
    whole = median(timed(lambda: classes.sort(stable=True), given.device) for _ in range(ROUNDS))
    print(f"class lists of {len(classes):,} rows: sorting them / keeping them {whole / kept:.1f}")


if __name__ == "__main__":
    main()
