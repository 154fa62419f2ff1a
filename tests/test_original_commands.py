"""docs/from-the-original-commands.md: no command of the originals is missing, and those of ours run."""

import re
import shlex
from pathlib import Path

import pyarrow.parquet
import pytest
from drawn import WHOLE, drawn

from potstill.cli import main

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "from-the-original-commands.md").read_text(encoding="utf-8")
PARTS = {part.partition("\n")[0]: part for part in PAGE.split("\n## ")[1:]}
SEEDS = ("rocket-launching", "moonshine", "knowledge-distillation-zoo", "channel-distillation")
IMAGES = {"train-00000-of-00002": 12, "train-00001-of-00002": 4, "test-00000-of-00001": 8}
# Two steps leave a teacher whose statistics are far from true; what it says is huge, and steps towards it must be tiny.
SHORT = ["--epochs", "1", "--batch-size", "8", "--lr", "1e-9"]
MOST = 1
"""Commands of each part that are run besides those of teachers; all with ``POTSTILL_WHOLE=1``."""
LENGTHS = {"--first-epochs": "1", "--first-lr": "1e-9", "--paraphraser-epochs": "1", "--attack-from": "0"}


@pytest.fixture(scope="module")
def few_images(shared_data, tmp_path_factory):
    """The first images of the real CIFAR-10, -100 and ImageNet, in the form in which they are published."""
    folder = tmp_path_factory.mktemp("few")
    for name in ("cifar10", "cifar100"):
        (folder / name).mkdir()
        for file, count in IMAGES.items():
            table = pyarrow.parquet.read_table(shared_data / name / f"{file}.parquet")
            pyarrow.parquet.write_table(table.slice(0, count), folder / name / f"{file}.parquet")
    (folder / "imagenet").mkdir()
    sample = pyarrow.parquet.read_table(shared_data / "imagenet_sample" / "sample-00000-of-00001.parquet")
    for split, rows in {"train": sample.slice(0, 8), "validation": sample.slice(8, 4)}.items():
        pyarrow.parquet.write_table(rows, folder / "imagenet" / f"{split}-00000-of-00001.parquet")
    return folder


def commands(part):
    """The commands of a part of the page as lists of words, with its shell variables put in."""
    variables, found = {}, []
    for block in re.findall(r"```sh\n(.*?)```", part, re.DOTALL):
        for line in block.splitlines():
            if assigned := re.fullmatch(r'([A-Z]+)="(.*)"', line):
                variables[assigned[1]] = assigned[2]
            elif line and not line.startswith("#"):
                found.append(shlex.split(re.sub(r"\$([A-Z]+)", lambda match: variables[match[1]], line)))
    return found


def shortened(words, data):
    after = {i + 1: LENGTHS[word] for i, word in enumerate(words) if word in LENGTHS}
    small = ["--image-size", "96"] if "imagenet" in words and not WHOLE else []
    return [after.get(i, word) for i, word in enumerate(words)] + [*SHORT, *small, "--data-dir", str(data)]


def heavy(words):
    """Whether a run's checkpoints are gigabytes, as those of ResNet-152 and of its students are."""
    return "resnet152" in " ".join(words)


@pytest.mark.parametrize("part", drawn(PARTS, 2))
def test_every_command_runs_one_short_epoch(part, few_images, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    every = [words for _, *words in commands(PARTS[part])]
    assert {program for program, *_ in commands(PARTS[part])} == {"potstill"}
    every = [words for words in every if WHOLE or not heavy(words)]
    teachers = [words for words in every if words[0] == "supervised"]
    others = [words for words in every if words not in teachers]
    wanted = teachers + drawn(others, min(MOST, len(others)))
    for words in (words for words in every if words in wanted):
        assert main(shortened(words, few_images)) == 0, capsys.readouterr().err
        folder = Path(words[words.index("--out") + 1])
        assert (folder / "summary.json").is_file()
        assert list(folder.glob("*.safetensors"))


@pytest.mark.parametrize("seed", SEEDS)
def test_no_command_of_the_originals_is_missing(seed, shared_data):
    document = (shared_data.parent / "seeds" / f"{seed}.md").read_text(encoding="utf-8")
    lines = re.sub(r"\s*\\\n\s*|\s*\n\s*(?=--)", " ", document).splitlines()
    originals = [" ".join(line.split()) for line in lines if re.match(r"\s*(CUDA\S* )?python3? \S+\.py", line)]
    assert originals
    shown = {" ".join(line.removeprefix("#").split()) for line in PAGE.splitlines() if line.startswith("#")}
    assert [line for line in originals if line not in shown] == []


def test_the_page_has_all_losses_of_the_zoo():
    scripts = re.findall(r"^# (train_\w+)\.py$", PARTS["Knowledge-Distillation-Zoo"], re.MULTILINE)
    assert len(scripts) == len(set(scripts)) == 20
