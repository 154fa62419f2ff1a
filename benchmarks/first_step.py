"""CPU seconds of a whole process from its start to the end of its first training step: ours and torchdistill's.

    python benchmarks/first_step.py --data-dir DIR [--rounds 9]

KD of resnet20 by resnet56 on a batch of 64 images of CIFAR-100, one thread: ours by the command line, with everything
that it checks and writes before the first step; torchdistill's box on ready-made tensors, without any of that. torch is
in both.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import torch

import potstill as ps

OURS = """
import os, sys
import torch
torch.set_num_threads(1)
from potstill.cli import main
from potstill.engine import epoch
take = epoch.train_step
def first(*given, **named):
    take(*given, **named)
    os._exit(0)
epoch.train_step = first
main(sys.argv[1:])
"""
TORCHDISTILL = """
import os, sys
import torch
torch.set_num_threads(1)
from torchdistill.core.distillation import DistillationBox
from torchdistill.models.classification.resnet import resnet20, resnet56
plain = {"forward_proc": "forward_batch_only", "sequential": []}
hooks = {"forward_hook": {"input": [], "output": []}}
loss = {"key": "KDLoss", "kwargs": {
    "student_module_path": ".", "student_module_io": "output",
    "teacher_module_path": ".", "teacher_module_io": "output", "temperature": 4, "alpha": 0.1}}
images = torch.utils.data.TensorDataset(torch.randn(64, 3, 32, 32), torch.arange(64))
config = {
    "num_epochs": 1,
    "train_data_loader": {
        "dataset_id": "train", "requires_supp": True, "kwargs": {"batch_size": 64, "num_workers": 0},
        "sampler": {"class_or_func": torch.utils.data.RandomSampler, "kwargs": {}}},
    "teacher": {**plain, "requires_grad": False, **hooks}, "student": {**plain, "requires_grad": True, **hooks},
    "optimizer": {"key": "SGD", "kwargs": {"lr": 0.05, "momentum": 0.9, "weight_decay": 5e-4, "nesterov": True}},
    "criterion": {"key": "WeightedSumLoss", "kwargs": {"sub_terms": {"kd": {"criterion": loss, "weight": 1}}}},
}
networks = resnet56(num_classes=100), resnet20(num_classes=100)
box = DistillationBox(*networks, {"train": images}, config, torch.device("cpu"), None, False, 1)
box.pre_epoch_process(epoch=0)
for given in box.train_data_loader:
    box.post_forward_process(box.forward_process(*given))
    os._exit(0)
"""


def cpu_seconds(words: list[str]) -> float:
    """Of a process of ours that runs these."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", *words], capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(done.stderr)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="where CIFAR-100 lies")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    ours: list[float] = []
    theirs: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        torch.save(ps.networks.create("resnet56", 100).state_dict(), weights := Path(folder, "teacher.pth"))
        flags = ["distill", "--student", "resnet20", "--teacher", "resnet56", "--teacher-weights", str(weights)]
        flags += ["--data", "cifar100", "--batch-size", "64", "--images", "640", "--device", "cpu"]
        flags += [] if options.data_dir is None else ["--data-dir", str(options.data_dir)]
        for number in range(options.rounds + 1):
            ours.append(cpu_seconds([OURS, *flags, "--out", str(Path(folder, str(number)))]))
            theirs.append(cpu_seconds([TORCHDISTILL]))
    print("| CPU seconds to the end of the first step | median (min to max) |\n|---|---|")
    for name, seconds in (("ours", ours[1:]), ("torchdistill", theirs[1:])):
        print(f"| {name} | {median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f}) |")
    ratios = [other / own for own, other in zip(ours[1:], theirs[1:], strict=True)]
    print(f"| torchdistill over ours | {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |")


if __name__ == "__main__":
    main()
