"""What the engine costs on top of the arithmetic: its training epoch against a bare loop, written by hand.

Both do the same on the same batches: student and frozen teacher forward, 0.1 CE + 0.9 KD(T=4), backward, fused Nesterov
SGD, channels_last. One thread, CPU time, interleaved rounds of one short epoch each.

    python benchmarks/step.py --data-dir DIR
"""

import argparse
import time
from pathlib import Path
from statistics import median

import torch
import torch.nn.functional as F

import potstill as ps
from potstill.engine.epoch import train_epoch
from potstill.engine.optimizer import make_optimizer
from potstill.engine.progress import Progress
from potstill.training import Training

IMAGES = 256  # two steps a round: short enough that the machine's speed changes little within a pair


def networks() -> dict[str, torch.nn.Module]:
    made = {"student": ps.networks.create("resnet20", seed=0), "teacher": ps.networks.create("resnet56", seed=1)}
    ps.freeze(made["teacher"])
    return {name: network.to(memory_format=torch.channels_last) for name, network in made.items()}


def bare_epoch(student, teacher, optimizer, batches) -> float:
    for batch in batches:
        images, labels = batch["images"], batch["labels"]
        logits = student(images)
        with torch.no_grad():
            target = F.log_softmax(teacher(images) / 4, dim=1)
        divergence = F.kl_div(F.log_softmax(logits / 4, dim=1), target, reduction="batchmean", log_target=True)
        loss = 0.1 * F.cross_entropy(logits, labels) + 0.9 * 16 * divergence
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return loss.item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--rounds", type=int, default=41)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    training = Training(data="cifar10", data_dir=arguments.data_dir, holdout=50_000 - IMAGES, epochs=1)
    data = training.load_data()
    ours, bare = networks(), networks()
    terms = [
        ps.Term(ps.losses.CE(), "student", "labels", weight=0.1),
        ps.Term(ps.losses.KD(4), "student", "teacher", weight=0.9),
    ]
    distiller = ps.Distiller(ours, terms, example=data.example())
    optimizers = make_optimizer(distiller, training), make_optimizer(bare["student"], training)
    progress = Progress(epochs=1, steps=len(data.train), done=0)
    seconds: dict[str, list[float]] = {"ours": [], "bare": []}
    epochs = {
        "ours": lambda: train_epoch(distiller, data.train, optimizers[0], 0, training, progress),
        "bare": lambda: bare_epoch(bare["student"].train(), bare["teacher"], optimizers[1], data.train),
    }
    for round_ in range(arguments.rounds + 1):
        for name in sorted(epochs, reverse=bool(round_ % 2)):  # each goes first every other time
            start = time.process_time()
            epochs[name]()
            seconds[name].append(time.process_time() - start)
    ratios = [a / b for a, b in zip(seconds["ours"][1:], seconds["bare"][1:], strict=True)]  # the first warms up
    steps = len(data.train)
    print("| training step | ours, ms | bare loop, ms | ratio, median (min to max) | rounds |")
    print("|---|---|---|---|---|")
    cells = [f"{1000 * median(seconds[name][1:]) / steps:.1f}" for name in ("ours", "bare")]
    spread = f"{median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
    print(f"| resnet56 to resnet20, batch 128 | {' | '.join(cells)} | {spread} | {arguments.rounds} |")
    for name, value in bare["student"].state_dict().items():  # the same arithmetic, or the comparison means nothing
        torch.testing.assert_close(ours["student"].state_dict()[name], value, rtol=1e-2, atol=1e-3, msg=name)


if __name__ == "__main__":
    main()
