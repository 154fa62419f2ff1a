"""Seconds of a training epoch against what the machine could do at best: its operations, and its bytes.

    python benchmarks/epoch.py [--rounds 9] [--write]

KD on 50,000 random images of 32 x 32 pixels, cropped and mirrored, batch 64, float32, one thread: the steps of `fit`,
loader included, on fewer images and scaled up. Two times that no such epoch can fall below on this machine:

- operations: those of the multiply-adds of both networks forward and of the student backward, at the rate of a large
  matrix product or a large convolution, whichever is faster;
- bytes: what a step must read and write if all but convolutions and linear layers cost nothing: their inputs, outputs
  and weights, the same again backward, with gradients, and the optimiser's state, at the rate of a large copy. What
  stays in a cache from one layer to the next moves faster, so that small batches may fall below this one.

Both rates are measured after every epoch, in one interleaved run, and each ratio is taken within its round. CPU time.
--write puts the section into docs/benchmarks.md.
"""

import argparse
import platform
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import torch
import torch.nn.functional as F
from contestants.task import PAIRS, TERMS
from torch import Tensor, nn

import potstill as ps
from potstill.data.augment import Augment
from potstill.data.images import ImageSet
from potstill.data.loader import Loader
from potstill.engine.epoch import train_epoch
from potstill.engine.optimizer import make_optimizer
from potstill.engine.progress import Progress
from potstill.memory_layout import lay_out
from potstill.networks.cost import CONVOLUTIONS, layers, macs

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
HEADING = "## An epoch against the machine: `python benchmarks/epoch.py`\n"
WHOLE, BATCH = 50_000, 64
WORDS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "asimd", "sve")
HEAD = "| pair | seconds an epoch | floor of operations, s | over it | floor of bytes, s | over it | rounds |\n"


class Epoch:
    """A student and its teacher, and some images to train on.

    Args:
        pair: the names of teacher and student.
        images: how many.
    """

    def __init__(self, pair: tuple[str, str], images: int) -> None:
        torch.manual_seed(0)
        pixels = torch.randint(0, 256, (images, 32, 32, 3), dtype=torch.uint8)
        labels, half = torch.randint(0, 100, (images,)), (0.5, 0.5, 0.5)
        loader = Loader(ImageSet(pixels, labels), BATCH, mean=half, std=half, augment=Augment(pad=4, flip=True))
        self.data = ps.data.Data("random", tuple(map(str, range(100))), (3, 32, 32), half, half, loader, None, None)
        teacher, student = (ps.networks.create(name, 100, seed=seed) for seed, name in enumerate(pair))
        networks = {"student": student, "teacher": ps.freeze(teacher)}
        example = self.data.example()
        self.distiller = ps.Distiller(networks, ps.terms(TERMS["KD"], networks), example)
        lay_out(self.distiller, example)
        self.training = ps.Training(batch_size=BATCH, epochs=1, lr=0.05, device="cpu")
        self.optimizer = make_optimizer(self.distiller, self.training)

    def train(self) -> None:
        """Train on all images once."""
        progress = Progress(epochs=1, steps=len(self.data.train), done=0)
        train_epoch(self.distiller, self.data.train, self.optimizer, 0, self.training, progress)

    def operations(self) -> int:
        """Floating-point operations of a step, two a multiply-add: the first layer's images get no gradient."""
        student, teacher = (self.distiller.networks[name] for name in ("student", "teacher"))
        shape = self.data.shape
        return 2 * BATCH * (macs(teacher, shape) + 3 * macs(student, shape) - layers(student, shape)[0].macs)

    def traffic(self) -> int:
        """Bytes that a step reads and writes at least."""
        found = 0
        for name, network in self.distiller.networks.items():
            for inputs, weights, outputs in passing(network, self.data.example()["images"][:2]):
                given, made = inputs * BATCH // 2, outputs * BATCH // 2
                found += given + weights + made
                if name in self.distiller.learners:  # reads both again and the weights, writes gradients of those
                    found += made + given + 2 * weights + given
        first = self.data.example()["images"][0].numel() * 4 * BATCH  # has no gradient
        # The optimiser reads weight, gradient and momentum, and writes weight and momentum.
        return found - first + 5 * 4 * ps.networks.parameters(self.distiller.networks["student"])


def passing(network: nn.Module, images: Tensor) -> list[tuple[int, int, int]]:
    """Bytes of inputs, weights and outputs of every convolution and linear layer."""
    found = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        weights = sum(weight.nbytes for weight in module.parameters())
        found.append((inputs[0].nbytes, weights, output.nbytes))

    noted = [module for module in network.modules() if isinstance(module, (*CONVOLUTIONS, nn.Linear))]
    hooks = [module.register_forward_hook(note) for module in noted]
    training = network.training
    with torch.no_grad():
        network.eval()(images)
    network.train(training)
    for hook in hooks:
        hook.remove()
    return found


class Machine:
    """What it reaches at best, on large inputs.

    Args:
        scale: divides the inputs' sizes, to be quick.
    """

    def __init__(self, scale: int) -> None:
        side, width, self.numbers = 2048 // scale, 256 // scale, 2**26 // scale**3
        self.one, self.other = torch.randn(side, side), torch.randn(side, side)
        images, kernel = torch.randn(16, width, 32, 32), torch.randn(width, width, 3, 3)
        self.images, self.kernel = (maps.to(memory_format=torch.channels_last) for maps in (images, kernel))
        self.source, self.target = (torch.ones(self.numbers) for _ in range(2))
        self.product_operations, self.convolution_operations = 2 * side**3, 2 * 16 * 32 * 32 * width * width * 9

    @torch.no_grad()
    def rates(self) -> tuple[float, float, float]:
        """Operations a second of a product and of a convolution, bytes a second of a copy: read and written."""
        product = self.product_operations / seconds(lambda: self.one @ self.other)
        convolved = seconds(lambda: F.conv2d(self.images, self.kernel, padding=1))
        copied = 2 * 4 * self.numbers / seconds(lambda: self.target.copy_(self.source))
        return product, self.convolution_operations / convolved, copied


def seconds(work: Callable[[], object]) -> float:
    """How long it takes, as CPU time."""
    began = time.process_time()
    work()
    return time.process_time() - began


def described() -> str:
    """Processor, instruction sets, torch."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").is_file() else ""
    model = re.search(r"model name\s*:\s*(.+)", info)
    flags = set(re.findall(r"\w+", " ".join(re.findall(r"(?:flags|Features)\s*:\s*(.+)", info)[:1])))
    sets = " ".join(word for word in WORDS if word in flags)
    name = model[1] if model else platform.processor() or platform.machine()
    uses = torch.backends.cpu.get_cpu_capability()
    return f"{name}, with {sets or 'no instruction sets known'}; torch {torch.__version__} uses {uses}"


def told(values: Sequence[float], form: str) -> str:
    return f"{median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def measure(given: argparse.Namespace) -> str:
    """The section, of all rounds."""
    machine = Machine(4 if given.quick else 1)
    epochs = {name: Epoch(pair, given.images) for name, pair in PAIRS.items()}
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in epochs}
    rates = []
    steps = WHOLE / BATCH
    for turn in range(given.rounds + 1):
        for name, epoch in epochs.items():
            took = seconds(epoch.train) * WHOLE / given.images
            product, convolution, copy = machine.rates()
            if turn:  # the first one warms up
                rates.append((product / 1e9, convolution / 1e9, copy / 1e9))
                operations = epoch.operations() * steps / max(product, convolution)
                found[name].append((took, operations, epoch.traffic() * steps / copy))
    reached = [told(values, ".3g") for values in zip(*rates, strict=True)]
    lines = [
        f"\nKD on {given.images} images, scaled to {WHOLE:,}, batch {BATCH}, one thread; median (min to max).",
        f"{described()}. Reached: a product {reached[0]} GFLOP/s, a convolution {reached[1]} GFLOP/s, a copy "
        f"{reached[2]} GB/s.\n",
        HEAD + "|---|---|---|---|---|---|---|",
    ]
    for name, rows in found.items():
        took, operations, moved = zip(*rows, strict=True)
        over = [
            told([whole / part for whole, part in zip(took, floor, strict=True)], ".2f")
            for floor in (operations, moved)
        ]
        cells = [told(took, ".3g"), told(operations, ".3g"), over[0], told(moved, ".3g"), over[1], str(given.rounds)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def write(section: str) -> None:
    """Put the section into the page, in place of an earlier one."""
    before, _, after = PAGE.read_text(encoding="utf-8").partition(HEADING)
    rest = after[after.index("\n## ") + 1 :] if "\n## " in after else ""
    PAGE.write_text(before.rstrip() + "\n\n" + HEADING + section + (f"\n{rest}" if rest else ""), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--images", type=int, default=512, help="images an epoch, a multiple of 64: short rounds")
    parser.add_argument(
        "--quick", action="store_true", help="one round of few images and small products: figures of no use"
    )
    parser.add_argument("--write", action="store_true", help="put the section into docs/benchmarks.md")
    given = parser.parse_args()
    if given.images < BATCH or given.images % BATCH:
        parser.error(f"--images must be a multiple of {BATCH}, so that steps are as large as those of a whole epoch")
    if given.quick:
        given.rounds, given.images = 1, BATCH
    torch.set_num_threads(1)
    section = measure(given)
    print(HEADING + section)
    if given.write:
        write(section)


if __name__ == "__main__":
    main()
