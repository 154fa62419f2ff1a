"""What a run folder says, checked: whatever is read here can be shown."""

import json
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from potstill.errors import BadInput
from potstill.report.shape import NUMBER, Each, check

SPLIT = {"top1": NUMBER, "loss": NUMBER, "n": int}
CONFIG = {
    "recipe": str,
    "arguments": {"seed?": int, "epochs?": int, "data?": str},
    "networks": Each({"spec?": str}),
    "versions": Each(str),
    "commit?": str,
    "device": str,
}
EPOCH = {
    **{"epoch": int, "lr": NUMBER, "seconds": NUMBER, "images_per_second": NUMBER},
    **{"terms": Each(NUMBER), "weights": Each(NUMBER), "learners": Each({"test": SPLIT, "holdout?": SPLIT})},
}
COST = {"parameters?": int, "macs?": int}
SUMMARY = {
    **{"data": str, "epochs": int, "seconds": NUMBER, "best_chosen_on": str},
    "teachers": Each({"top1": NUMBER, **COST}),
    "learners": Each({which: {"epoch": int, "test": SPLIT} for which in ("last", "best")} | COST),
    "memory?": {"peak_bytes": int, "of": str},
}
ARRAY = {"shape": [int], "base64": str}
INSIGHT = {
    "agreement": Each(Each({"top1": NUMBER, "kl": NUMBER, "n": int})),
    "images": [{"label": int, "class": str, "pixels": ARRAY}],
    "predictions": Each([{"label": int, "class": str, "probability": NUMBER}]),
    "attention": Each(Each({"tap": str, "maps": [ARRAY]})),
}


@dataclass(frozen=True, eq=False)
class Run:
    """A run with at least one epoch; ``summary`` is None while it is unfinished, ``insight`` where it left none."""

    folder: Path
    config: dict[str, Any]
    history: list[dict[str, Any]]
    summary: dict[str, Any] | None
    insight: dict[str, Any] | None
    insight_missing: str | None  # why there is no insight, if a file was there

    @property
    def learners(self) -> list[str]:
        """The names of its learners, first the one that counts."""
        return list(self.history[-1]["learners"])

    @property
    def seed(self) -> Any:
        """Its seed, None for a run that was not told one."""
        return self.config["arguments"].get("seed")

    @property
    def name(self) -> str:
        """What tells it from the other runs of its row."""
        return self.folder.name if self.seed is None else f"seed {self.seed}"

    @property
    def unfinished(self) -> str | None:
        """How far it came, None once it is finished."""
        planned = self.config["arguments"].get("epochs", "?")
        return None if self.summary is not None else f"unfinished, epoch {len(self.history)} of {planned}"

    def top1(self, learner: str, which: str) -> float:
        """The test accuracy, in percent, of a learner's ``last`` or ``best`` epoch so far."""
        if self.summary is not None:
            return float(self.summary["learners"][learner][which]["test"]["top1"])
        results = [record["learners"][learner] for record in self.history]
        best = max(results, key=lambda splits: (splits.get("holdout") or splits["test"])["top1"])
        return float((best if which == "best" else results[-1])["test"]["top1"])

    def spec(self, network: str) -> str | None:
        """What the network of that name was made from; None if it was made by hand."""
        spec = self.config["networks"].get(network, {}).get("spec")
        return None if spec is None else str(spec)

    def known(self, network: str) -> dict[str, Any]:
        """What the summary says of a network: accuracies, and what it costs where the run counted that."""
        summary = self.summary or {}
        known: dict[str, Any] = {**summary.get("teachers", {}), **summary.get("learners", {})}.get(network, {})
        return known


def read_run(folder: Path) -> Run:
    """Read a run folder.

    Raises:
        BadInput: it cannot be shown; the message is the reason, without the folder.
    """
    config = _read(folder / "config.json", CONFIG)
    history = _history(folder / "metrics.jsonl", (folder / "summary.json").is_file())
    summary = None
    if (folder / "summary.json").is_file():
        summary = _read(folder / "summary.json", SUMMARY)
        if summary["epochs"] != len(history):
            raise BadInput(f"metrics.jsonl has {len(history)} epochs, but summary.json {summary['epochs']}")
        if missing := [name for name in history[-1]["learners"] if name not in summary["learners"]]:
            raise BadInput(f"summary.json says nothing of {missing[0]}")
    if not history[-1]["learners"]:
        raise BadInput("no network of this run learns")
    insight, reason = None, None
    if (folder / "insight.json").is_file():
        try:
            seen = _read(folder / "insight.json", INSIGHT)
            _must_fit(seen)
            insight = seen
        except BadInput as error:  # the rest of the run is sound
            reason = str(error)
    return Run(folder, config, history, summary, insight, reason)


def _read(file: Path, shape: Any) -> dict[str, Any]:
    if not file.is_file():
        raise BadInput(f"{file.name} is missing")
    try:
        return _parse(file.read_text(encoding="utf-8"), shape)
    except (OSError, ValueError) as error:
        raise BadInput(f"{file.name} is damaged: {error}") from error


def _parse(text: str, shape: Any) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(text)
    check(content, shape)
    return content


def _history(file: Path, finished: bool) -> list[dict[str, Any]]:
    if not file.is_file():
        raise BadInput(f"{file.name} is missing")
    try:
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    except (OSError, ValueError) as error:
        raise BadInput(f"{file.name} is damaged: {error}") from error
    if lines and not lines[-1].endswith("\n") and not finished:
        lines.pop()  # the run is writing it, or was killed while it wrote
    history: list[dict[str, Any]] = []
    for number, line in enumerate(lines, start=1):
        try:
            history.append(_parse(line, EPOCH))
            _must_continue(history)
        except ValueError as error:
            raise BadInput(f"{file.name} is damaged: line {number}: {error}") from error
    if not history:
        raise BadInput("no epoch is finished")
    return history


def _must_continue(history: list[dict[str, Any]]) -> None:
    """Refuse an epoch that does not follow on those before it."""
    first, last = history[0], history[-1]
    if last["epoch"] != first["epoch"] + len(history) - 1:
        raise ValueError(f"epoch {last['epoch']} is in the place of {first['epoch'] + len(history) - 1}")
    if last["learners"].keys() != first["learners"].keys():
        raise ValueError("other networks learn than in the first epoch")
    if missing := [term for term in last["terms"] if term not in last["weights"]]:
        raise ValueError(f"the weight of {missing[0]!r} is missing")


def _must_fit(insight: dict[str, Any]) -> None:
    """Refuse pictures that are not as large as they say, or not one an image."""
    images = len(insight["images"])
    stages = [stage["maps"] for stages in insight["attention"].values() for stage in stages.values()]
    for name, row in [("predictions", row) for row in insight["predictions"].values()] + [("maps", m) for m in stages]:
        if len(row) != images:
            raise BadInput(f"insight.json is damaged: {len(row)} {name} of {images} images")
    if unknown := insight["attention"].keys() - insight["predictions"].keys():
        raise BadInput(f"insight.json is damaged: no predictions of {min(unknown)}")
    for array in [image["pixels"] for image in insight["images"]] + [one for maps in stages for one in maps]:
        if len(array["base64"]) != 4 * -(-prod(array["shape"]) // 3):
            raise BadInput(f"insight.json is damaged: an array is not of the shape {array['shape']}")
