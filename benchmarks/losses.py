"""CPU time and memory of each loss against its literal textbook form, forward and backward, one thread.

    KINETO_LOG_LEVEL=5 python benchmarks/losses.py     # the variable silences the profiler

The textbook forms are in textbook.py; that they give the same numbers is checked first. Rounds alternate between the
two, so that whatever else the machine does meets both; the ratio is taken within each round. Memory is the most that
tensors made by one call hold at once. The last rows are whole training steps of wrn-16-2 taught by wrn-40-2. Prints a
Markdown table.
"""

import argparse
import gc
import statistics
import time
from collections.abc import Callable
from typing import Any

import textbook
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from potstill import Distiller, Term, freeze, losses
from potstill.networks import create

Step = Callable[[], Tensor]
CEILING = "the same, ours with KD in CRD's place: the most that any CRD could gain"
SAMPLES = 50_000
Form = Callable[..., Tensor]


def inputs(batch: int, *shapes: tuple[int, ...]) -> list[Tensor]:
    return [torch.randn(batch, *shape).relu() for shape in shapes]


def call(form: Form, student: Any, teacher: Any) -> Callable[[], Tensor]:
    """A function that runs one form forward and backward and returns its value."""
    several = isinstance(student, list)
    leaves = [maps.requires_grad_() for maps in (student if several else [student])]

    def run() -> Tensor:
        loss = form(tuple(leaves) if several else leaves[0], teacher)
        torch.autograd.grad(loss, leaves, allow_unused=True)
        return loss.detach()

    return run


def loss_rows(batch: int) -> dict[str, tuple[Callable[[], Tensor], Callable[[], Tensor]]]:
    wide, deep = (16, 32, 32), (64, 8, 8)
    stages = [wide, (32, 16, 16), deep]
    rows = {}
    for name, literal, ours in (
        ("AT", textbook.at, losses.AT()),
        ("NST", textbook.nst, losses.NST()),
        ("SP", textbook.sp, losses.SP()),
    ):
        for shape in (wide, deep):
            student, teacher = inputs(batch, shape, shape)
            rows[f"{name}, {shape[0]} x {shape[1]} x {shape[2]}"] = literal, ours, student, teacher
    for name, literal, ours in (
        ("CC", textbook.cc, losses.CC()),
        ("PKT", textbook.pkt, losses.PKT()),
        ("RKD", textbook.rkd, losses.RKD()),
    ):
        rows[f"{name}, 64 and 256 features"] = literal, ours, *inputs(batch, (64,), (256,))
    rows["FSP, three stages"] = textbook.fsp, losses.FSP(), inputs(batch, *stages), inputs(batch, *stages)
    rows["KDSVD, three stages"] = textbook.kdsvd, losses.KDSVD(), inputs(batch, *stages), inputs(batch, *stages)
    graph = [stages[1], deep, (64,), (100,)]
    rows["IRG, two stages"] = textbook.irg, losses.IRG(), inputs(batch, *graph), inputs(batch, *graph)
    return {name: (call(form, s, t), call(ours, s, t)) for name, (form, ours, s, t) in rows.items()}


def crd_rows(batch: int, negatives: int) -> dict[str, tuple[Callable[[], Tensor], Callable[[], Tensor]]]:
    student, teacher = inputs(batch, (128,), (128,))
    index = torch.randperm(SAMPLES)[:batch]
    forms = []
    for kind in (textbook.GatheredCRD, losses.CRD):
        loss = kind(SAMPLES, negatives=negatives, contrast="samples")
        torch.manual_seed(0)
        loss.build(student, teacher, index)
        forms.append(call(lambda s, t, loss=loss: loss(s, t, index), student, teacher))
    return {f"CRD, {negatives} negatives": tuple(forms)}


def step_rows(batch: int, precision: str, ours: torch.nn.Module, name: str) -> dict[str, tuple[Step, Step]]:
    examples = {"images": torch.randn(batch, 3, 32, 32).contiguous(memory_format=torch.channels_last)}
    examples |= {"labels": torch.arange(batch) % 100, "index": torch.randperm(SAMPLES)[:batch]}
    forms = [training_step(loss, examples, precision) for loss in (textbook.GatheredCRD(SAMPLES), ours)]
    return {f"{name}, {precision}": (forms[0], forms[1])}


def training_step(loss: torch.nn.Module, examples: dict[str, Tensor], precision: str) -> Step:
    networks = {"student": create("wrn-16-2", 100, seed=0), "teacher": freeze(create("wrn-40-2", 100, seed=1))}
    terms = [Term(losses.CE(), "student", "labels"), Term(loss, *loss.taps, weight=0.8)]
    distiller = Distiller(networks, terms, example=examples).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(distiller.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)

    def step() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            total, _ = distiller(examples)
        total.backward()
        optimizer.step()
        optimizer.zero_grad()
        return total.detach()

    return step


def peak(run: Callable[[], Tensor]) -> float:
    """The most MiB that tensors made by ``run`` hold at once."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most / 2**20


def seconds(run: Callable[[], Tensor]) -> float:
    gc.collect()
    start = time.process_time()
    run()
    return time.process_time() - start


def report(name: str, batch: int, forms: tuple[Step, ...], rounds: int) -> None:
    torch.manual_seed(0)
    theirs = forms[0]()
    torch.manual_seed(0)
    own = forms[1]()
    if CEILING not in name:
        torch.testing.assert_close(own, theirs, rtol=1e-3, atol=1e-7, msg=f"{name}: forms disagree")
    memory = [peak(form) for form in forms]
    times = []
    for number in range(rounds):
        order = (0, 1) if number % 2 else (1, 0)  # who comes first would otherwise have an advantage
        measured = {i: 1e3 * seconds(forms[i]) for i in order}
        times.append((measured[0], measured[1]))
    textbook, ours = (f"{statistics.median(t):.1f} ({min(t):.1f}-{max(t):.1f})" for t in zip(*times, strict=True))
    ratios = [literal / own for literal, own in times]
    ratio = f"{statistics.median(ratios):.2f}x ({min(ratios):.2f}-{max(ratios):.2f})"
    print(f"| {name} | {batch} | {textbook} | {ours} | {ratio} | {memory[0]:.1f} | {memory[1]:.1f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", default="", help="rows whose name contains this")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(0)
    print("| loss | batch | textbook, ms | ours, ms | ratio, median (min-max) | textbook, MiB | ours, MiB |")
    print("|---|---|---|---|---|---|---|")
    sections: list[tuple[int, int, Callable[[], dict[str, Any]]]] = [
        (64, arguments.rounds, lambda: loss_rows(64)),
        (256, arguments.rounds, lambda: loss_rows(256)),
        (64, 5, lambda: crd_rows(64, 16384)),
        (256, 5, lambda: crd_rows(256, 4096)),
        (64, 5, lambda: step_rows(64, "fp32", losses.CRD(SAMPLES), "training step with CRD")),
        (64, 5, lambda: step_rows(64, "bf16", losses.CRD(SAMPLES), "training step with CRD")),
        (64, 5, lambda: step_rows(64, "fp32", losses.KD(), CEILING)),
        (64, 5, lambda: step_rows(64, "bf16", losses.KD(), CEILING)),
    ]
    for batch, rounds, make in sections:
        for name, forms in make().items():
            if arguments.only in name:
                report(name, batch, forms, rounds)


if __name__ == "__main__":
    main()
