"""SHA-256 of every weights file that training leaves, so that a refactoring can show that it changed no number.

    python tools/weight_digests.py --save digests.json      what this checkout trains
    python tools/weight_digests.py --against digests.json   the same again, compared with that
    python tools/weight_digests.py --against COMMIT         both trained here, one after the other

Nine recipes and one of a user's own, variants of some, the demo, and rows of tables, all on the embedded digits and on
one thread. Digests of two machines, or of two versions of torch, may differ; so compare on one.
"""

import argparse
import contextlib
import hashlib
import io
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHORT = ("--data", "digits", "--images", "400", "--epochs", "2", "--batch-size", "100", "--lr", "0.05")
DISTILL = ("distill", "--student", "resnet8", "--teacher", "{teacher}")
ROCKET = ("rocket", "--light", "wrn-10-1", "--booster", "wrn-16-1")
TERMS = (
    *("0.5 * CE", "0.9 * KD(temperature=2, guided=True)", "100 * AT on stages", "FitNet on stage2=stage3"),
    *("warmup(1, 2) * CRD(negatives=64)", "ReviewKD"),
)
RUNS: dict[str, tuple[str, ...]] = {
    "teacher": ("supervised", "--network", "wrn-16-1"),
    "other-teacher": ("supervised", "--network", "resnet14", "--seed", "1", "--optimizer", "adamw"),
    "supervised": ("supervised", "--network", "resnet8", "--holdout", "50", "--schedule", "cosine"),
    "distill": (*DISTILL, "--terms", *TERMS),
    "distill-bf16": (*DISTILL, "--precision", "bf16"),
    "distill-two": (*DISTILL, "{other-teacher}", "--terms", "CE", "KD", "10 * AT on stages"),
    "distill-graph": (*DISTILL, "--terms", "CE", "LwM on stage3", "Sobolev"),
    "rocket": ROCKET,
    "rocket-teacher": (*ROCKET, "--teacher", "{teacher}", "--share", "none", "--no-gradient-block"),
    "rocket-hint": (*ROCKET, "--hint", "AT on stages"),
    "mutual": ("mutual", "--networks", "resnet8", "wrn-10-1"),
    "mutual-alternate": ("mutual", "--networks", "resnet8", "resnet8", "--alternate"),
    "chain": ("chain", "--networks", "resnet8", "wrn-10-1", "--teacher", "{teacher}"),
    "native-ensemble": ("native-ensemble", "--network", "resnet8"),
    "dot": (*DISTILL, "--optimizer", "dot", "--terms", *TERMS),
    "moonshine": ("moonshine", "--teacher", "{teacher}", "--conv", "G8B2", "--alpha", "0.5"),
    "channel": ("channel", "--student", "resnet8", "--teacher", "{teacher}", "--decay-at", "1"),
    "two-stage": ("two-stage", "--student", "resnet8", "--teacher", "{teacher}", "--first-epochs", "1"),
    "factor-transfer": ("factor-transfer", *DISTILL[1:], "--paraphraser-epochs", "1"),
    "masked": ("masked", *DISTILL[1:], "--mask-epochs", "1"),
    "class-means": ("class-means", *DISTILL[1:], "--ramp", "1"),
    "mixed-paths": ("mixed-paths", *DISTILL[1:]),
    "boundary": ("boundary", *DISTILL[1:], "--attack-from", "0", "--attack-size", "8"),
    "own": ("run", "{own recipe}"),
}
"""Command lines; {NAME} is the folder of an earlier run."""
OWN_RECIPE = """
from typing import Any
import potstill as ps

def main(*, training: ps.Training = ps.Training()) -> dict[str, Any]:
    '''A recipe of one's own.'''
    data = training.load_data()
    networks = {"student": ps.networks.create("resnet8", len(data.classes), seed=training.seed)}
    terms = [ps.Term(ps.losses.CE(), "student", "labels")]
    distiller = ps.Distiller(networks, terms, example=data.example())
    return ps.fit(distiller, data, training, {"recipe": "own"})
"""
ROWS = {
    "rocket-table1": ("rocket-kd-16-1",),
    "rocket-table2": ("no-gradient-block-16-1",),
    "kd-zoo": ("cifar10-resnet20-resnet20-irg", "cifar10-resnet20-resnet20-bss"),
    "crd-benchmark": ("resnet56-resnet20-crd",),
    "moonshine": ("cifar10-ACDC-at",),
}
"""Rows of tables; their teachers are trained too."""


def train_all(out: Path) -> dict[str, str]:
    """Train with the potstill that this process imports; the digest of every weights file under ``out``."""
    import torch

    torch.set_num_threads(1)
    own = out / "own_recipe.py"
    own.write_text(OWN_RECIPE)
    places = {name: str(out / name) for name in RUNS} | {"own recipe": str(own)}
    for name, words in RUNS.items():
        potstill([*(word.format(**places) if "{" in word else word for word in words), *SHORT, "--out", places[name]])
    for table, rows in ROWS.items():
        for row in rows:
            settings = ["--only", row, "--epochs", "1", "--seeds", "1", "--images", "300", "--out", str(out / table)]
            for command in potstill(["table", table, *settings, "--dry-run"])["commands"]:
                if not command.startswith("#"):
                    words = shlex.split(command.partition(" -m potstill ")[2])
                    words[words.index("--data") + 1] = "digits"
                    potstill(words)
    potstill(["demo", "--out", str(out / "demo")])
    return {str(file.relative_to(out)): sha256(file) for file in sorted(out.rglob("*.safetensors"))}


def potstill(words: list[str]) -> dict[str, object]:
    """Run a command in this process; its result."""
    from potstill.cli import main

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()) as said:
        code = main([*words, "--json"])
    if code:
        raise SystemExit(f"{shlex.join(words)}: exit code {code}\n{said.getvalue()}")
    result: dict[str, object] = json.loads(printed.getvalue())
    return result


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def digests_of(tree: Path) -> dict[str, str]:
    """What a checkout trains, in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="potstill-") as folder:
        saved = Path(folder) / "digests.json"
        words = [sys.executable, __file__, "--here", folder, "--save", str(saved)]
        subprocess.run(words, check=True, env={**os.environ, "PYTHONPATH": str(tree / "src")})
        found: dict[str, str] = json.loads(saved.read_text())
        return found


def digests_at(commit: str) -> dict[str, str]:
    """What a commit trains, in a work tree that is removed again."""
    with tempfile.TemporaryDirectory(prefix="potstill-") as folder:
        tree = Path(folder) / "tree"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), commit], check=True)
        try:
            return digests_of(tree)
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def compare(before: dict[str, str], now: dict[str, str]) -> int:
    """Print what differs; how many files do."""
    files = sorted({*before, *now})
    different = [file for file in files if before.get(file) != now.get(file)]
    for file in different:
        print(f"{file}: {before.get(file, 'absent')[:16]} before, {now.get(file, 'absent')[:16]} now")
    print(f"{len(files) - len(different)} of {len(files)} weights files are equal")
    return len(different)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--save", type=Path, help="write the digests into this file")
    parser.add_argument("--against", help="compare with a file of digests, or with a commit")
    parser.add_argument("--here", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    now = train_all(given.here) if given.here else digests_of(ROOT)
    if given.save:
        given.save.write_text(json.dumps(now, indent=1) + "\n")
    if given.against is None:
        return 0
    is_file = Path(given.against).is_file()
    before = json.loads(Path(given.against).read_text()) if is_file else digests_at(given.against)
    return 1 if compare(before, now) else 0


if __name__ == "__main__":
    sys.exit(main())
