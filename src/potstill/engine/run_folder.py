"""The folder of a run: what was asked, what was measured, what came out."""

import json
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

import potstill
from potstill.engine.lock import Lock
from potstill.errors import BadInput
from potstill.whole_file import write_whole

CONFIG = "config.json"
# Where a run lies and who reads its images does not make it another run.
NOT_COMPARED = {"out", "data_dir", "workers"}


class RunFolder:
    """A run's files: ``config.json``, ``metrics.jsonl``, TensorBoard events, ``last.ckpt``, weights, ``summary.json``.

    Used in a ``with`` statement, inside which no other process writes here: a second one waits for the first to end.

    Args:
        path: the folder, made if need be.
        config: everything that makes this run what it is.

    Raises:
        BadInput: the folder holds something else, or a run of another configuration.
    """

    def __init__(self, path: Path, config: dict[str, Any]) -> None:
        self.path = path
        self.config = config
        self.checkpoint = path / "last.ckpt"
        self.insight = path / "insight.json"
        if path.exists() and not path.is_dir():
            raise BadInput(f"--out {path} is a file, not a folder")
        if (path / CONFIG).is_file():
            _must_agree(path, read_json(path / CONFIG), config)
        elif path.is_dir() and any(_is_foreign(file) for file in path.iterdir()):
            raise BadInput(f"--out {path} is not empty and holds no run; choose another folder")

    def __enter__(self) -> "RunFolder":
        self.path.mkdir(parents=True, exist_ok=True)
        self.lock = Lock(self.path)
        self.lock.take()
        try:
            if (self.path / CONFIG).is_file():  # perhaps by the process that held it until now
                _must_agree(self.path, read_json(self.path / CONFIG), self.config)
            else:
                write_json(self.path / CONFIG, self.config)
        except BaseException:
            self.lock.release()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.lock.release()

    def summary(self) -> dict[str, Any] | None:
        """The summary of the finished run; None while it is unfinished."""
        file = self.path / "summary.json"
        return read_json(file) if file.is_file() else None

    def start_logs(self, history: list[dict[str, Any]]) -> None:
        """Begin or continue the logs after the epochs in ``history``, forgetting what a killed run logged since."""
        lines = "".join(json.dumps(record) + "\n" for record in history)
        write_whole(self.path / "metrics.jsonl", lines.encode())

    def log(self, record: dict[str, Any]) -> None:
        """Add one epoch to ``metrics.jsonl`` and to TensorBoard."""
        with (self.path / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")

    def finish(self, summary: dict[str, Any]) -> None:
        """Write the summary, which marks the run as finished."""
        write_json(self.path / "summary.json", summary)


def describe_run(record: Mapping[str, Any], training: Any, device: torch.device) -> dict[str, Any]:
    """A run's configuration: recipe, every argument, versions, commit, device."""
    return {
        "recipe": record.get("recipe", "fit"),
        "arguments": _arguments(record, training),
        "versions": {
            "potstill": potstill.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "commit": _commit(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device} {platform.machine()}",
        "threads": torch.get_num_threads(),
    }


def default_folder(record: Mapping[str, Any], training: Any) -> Path:
    """Where a run goes that is not told: the same configuration always to the same place, so that it resumes."""
    recipe, arguments = record.get("recipe", "fit"), _arguments(record, training)
    compared = {key: value for key, value in arguments.items() if key not in NOT_COMPARED}
    digest = sha256(json.dumps([recipe, compared], sort_keys=True).encode()).hexdigest()
    return Path("runs") / f"{recipe}-{digest[:10]}"


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file's content.

    Raises:
        BadInput: the file is missing or damaged.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read: {error}") from error
    return content


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file, whole or not at all."""
    write_whole(path, (json.dumps(content, indent=2) + "\n").encode())


def _arguments(record: Mapping[str, Any], training: Any) -> dict[str, Any]:
    arguments = {key: value for key, value in record.items() if key not in ("recipe", "training")}
    plain: dict[str, Any] = _plain({**arguments, **asdict(training)})
    return plain


def _is_foreign(file: Path) -> bool:
    """Whether a file in a folder without a run is someone else's: not hidden, and not an earlier stage of this run."""
    if file.name.startswith("."):
        return False
    config = file / CONFIG
    return not config.is_file() or read_json(config).get("arguments", {}).get("stage") != file.name


def _must_agree(path: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    before = {"recipe": old.get("recipe"), **old.get("arguments", {}), **old.get("teachers", {})}
    now = {"recipe": new["recipe"], **new["arguments"], **new["teachers"]}
    for key in [*before, *now]:
        if key not in NOT_COMPARED and before.get(key) != now.get(key):
            flag = f"--{key.replace('_', '-')}" if key in new["arguments"] else key
            raise BadInput(
                f"{path} holds another run: {flag} was {before.get(key)!r} there and is {now.get(key)!r} now; "
                "choose another --out"
            )
    _must_be_the_same_data(path, old.get("data", {}), new.get("data", {}))


def _must_be_the_same_data(path: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Refuse what a folder of images shows when it was changed since; runs of earlier versions tell less."""
    before, now = (data.get("classes", []) for data in (old, new))
    if before and now and before != now:
        changed = ", ".join(sorted({*before} ^ {*now})[:3]) or "their order"
        counts = f"{len(before)} classes there and {len(now)} now"
        raise BadInput(f"{path} holds another run: of {counts}; different: {changed}; choose another --out")
    for split, count in old.get("images", {}).items():
        if count != (found := new.get("images", {}).get(split)):
            raise BadInput(
                f"{path} holds another run: {old['name']} had {count} {split} images then and has {found} now; "
                "choose another --out"
            )


def _plain(value: Any) -> Any:
    """The value as JSON has it."""
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _commit() -> str | None:
    """The commit of the checkout this package runs from, marked if it was changed since; None outside a checkout."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        answer = subprocess.run(git, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # no git on this machine
        return None
    return answer.stdout.strip() or None


def _flat(record: Mapping[str, Any], prefix: str = "") -> list[tuple[str, float]]:
    rows: list[tuple[str, float]] = []
    for key, value in record.items():
        rows += _flat(value, f"{prefix}{key}/") if isinstance(value, Mapping) else [(f"{prefix}{key}", float(value))]
    return rows
