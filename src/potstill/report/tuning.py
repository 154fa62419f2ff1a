"""What ``compare --tune`` tried: every setting's curve on held-out images, and which was chosen."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

from potstill.errors import BadInput
from potstill.report.markup import note, section, table
from potstill.runs.reading import read_json
from potstill.runs.shapes import check

STATES = {"complete": "complete", "pruned": "stopped early", "fail": "failed"}


class Trial(TypedDict):
    """A setting that was tried: how it ended, and what each epoch measured of the held-out images."""

    setting: dict[str, float]
    state: str
    curve: list[float]
    terms: list[str]


class Tried(TypedDict):
    """The trials of a method, and the number of the chosen one."""

    chosen: int
    trials: list[Trial]


class Tuned(TypedDict):
    """What stands in ``tune.json``."""

    settings: int
    held_out: int
    methods: dict[str, Tried]


def read_tuned(file: Path) -> Tuned:
    """Read ``tune.json``.

    Raises:
        BadInput: it is missing or damaged.
    """
    content = read_json(file)
    try:
        tuned: Tuned = check(content, Tuned)
        for method, tried in tuned["methods"].items():
            if not 0 <= tried["chosen"] < len(tried["trials"]):
                raise ValueError(f"{method}.chosen is no trial")
    except ValueError as error:
        raise BadInput(f"{file} is damaged: {error}") from error
    return tuned


def tuning_content(tuned: Tuned | None) -> list[dict[str, Any]]:
    """What the curves are drawn from, a method each."""
    return [
        {
            "method": method,
            "chosen": tried["chosen"],
            "trials": [
                {"said": _setting(trial), "state": STATES.get(trial["state"], trial["state"]), "curve": trial["curve"]}
                for trial in tried["trials"]
            ],
        }
        for method, tried in (tuned["methods"] if tuned else {}).items()
    ]


def tuning_section(tuned: Tuned | None) -> str:
    """A chart a method, and everything that was tried as a table; nothing where nothing was tuned."""
    if tuned is None or not tuned["methods"]:
        return ""
    lines = [
        [method, _setting(trial), ", ".join(trial["terms"]), *_ended(trial), "chosen" if i == tried["chosen"] else ""]
        for method, tried in tuned["methods"].items()
        for i, trial in enumerate(tried["trials"])
    ]
    every = table(("method", "setting", "terms", "ended", "epochs", "held-out images", ""), lines)
    charts = '<div class="grid" id="tuning-charts"></div>'
    said = f"""Each line is a setting of the method, measured on {tuned["held_out"]:,} held-out training images: the
    test images play no part. The thick line was chosen; dashed ones were stopped early, where others did better."""
    opened = f"<details><summary>All settings as a table</summary>{every}</details>"
    return section("tuning", "How the settings were found", charts + note(said) + opened)


def _setting(trial: Trial) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in _sorted(trial["setting"]).items()) or "as usual"


def _sorted(setting: Mapping[str, float]) -> dict[str, float]:
    """The weight first."""
    return dict(sorted(setting.items(), reverse=True))


def _ended(trial: Trial) -> tuple[str, str, str]:
    """How, after how many epochs, and with what."""
    last = f"{trial['curve'][-1]:.2f}" if trial["curve"] else "-"
    return STATES.get(trial["state"], trial["state"]), str(len(trial["curve"])), last
