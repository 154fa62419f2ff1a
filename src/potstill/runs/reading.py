"""Reading and writing a run folder's files: whatever is read here is what `potstill.runs.schema` says."""

from math import prod
from pathlib import Path
from typing import Any, TypeVar

from potstill.errors import BadInput
from potstill.runs import manifest
from potstill.runs.details import Details, must_add_up
from potstill.runs.digests import bytes_of, there
from potstill.runs.json_text import parse
from potstill.runs.names import CONFIG, DETAILS, INSIGHT, MANIFEST, METRICS, SUMMARY
from potstill.runs.schema import Config, Epoch, Insight, Networks, Summary, Told
from potstill.runs.shapes import check
from potstill.say import say

T = TypeVar("T")
FORMAT = 2
"""Of a run folder, in its ``config.json``: since 2, a manifest lies in it."""
_said: set[Path] = set()


def read_config(folder: Path) -> Config:
    """What the run in ``folder`` was asked.

    Raises:
        BadInput: the file is missing or damaged.
    """
    config = _read(folder / CONFIG, Config)
    try:
        check(config["arguments"], Told, "arguments")
    except ValueError as error:
        raise BadInput(f"{folder / CONFIG} is damaged: {error}") from error
    _must_be_usable(folder, config)
    return config


def read_networks(folder: Path) -> Networks:
    """What the run in ``folder`` says of its networks.

    Raises:
        BadInput: the file is missing or damaged.
    """
    networks = _read(folder / CONFIG, Networks)
    _must_be_usable(folder, networks)
    return networks


def read_summary(folder: Path) -> Summary | None:
    """What came out of the run in ``folder``; None while it is unfinished.

    Raises:
        BadInput: the file is damaged.
    """
    return _read(folder / SUMMARY, Summary) if is_finished(folder) else None


def is_finished(folder: Path) -> bool:
    """Whether the run in ``folder`` came to its end.

    Raises:
        BadInput: its summary is gone, or something else is in its place.
    """
    if there(folder / SUMMARY):
        return True
    listed = manifest.read(folder)
    if listed is not None and None not in listed["files"].get(SUMMARY, [None]) and not there(folder / SUMMARY):
        raise BadInput(f"{folder / SUMMARY} is missing, though {MANIFEST} lists it")
    return there(folder / SUMMARY)  # a run may just have written it


def read_insight(folder: Path) -> Insight | None:
    """What the run in ``folder`` left besides numbers; None if it left nothing.

    Raises:
        BadInput: the file is damaged.
    """
    file = folder / INSIGHT
    if manifest.content_of(folder, INSIGHT) is None:
        return None
    insight = _read(file, Insight)
    _must_fit(insight, file)
    return insight


def read_details(folder: Path) -> dict[str, Details]:
    """What the learners of the run in ``folder`` answered to the test images in the end; empty if it left nothing.

    Raises:
        BadInput: the file is damaged.
    """
    file = folder / DETAILS
    if manifest.content_of(folder, DETAILS) is None:
        return {}
    content = _parsed(_content(file), file)
    try:
        details: dict[str, Details] = check(content, dict[str, Details])
        for name, found in details.items():
            must_add_up(found, name)
    except ValueError as error:
        raise BadInput(f"{file} is damaged: {error}") from error
    return details


def read_history(folder: Path) -> list[Epoch]:
    """The epochs of the run in ``folder``: one at least, and each follows on the one before.

    Of an unfinished run, a last line that has no end yet is passed over: it is being written, or the run was killed.

    Raises:
        BadInput: the file is missing, damaged or empty.
    """
    file = folder / METRICS
    try:
        lines = _content(file).decode().splitlines(keepends=True)
    except ValueError as error:
        raise BadInput(f"{file} is damaged: {error}") from error
    if lines and not lines[-1].endswith("\n") and not is_finished(folder):
        lines.pop()
    history: list[Epoch] = []
    for number, line in enumerate(lines, start=1):
        try:
            history.append(check(parse(line.encode()), Epoch))
            _must_continue(history)
        except ValueError as error:
            raise BadInput(f"{file} is damaged: line {number}: {error}") from error
    if not history:
        raise BadInput("no epoch is finished")
    return history


def read_json(file: Path) -> Any:
    """A JSON file's content.

    Raises:
        BadInput: the file is missing or damaged.
    """
    content = bytes_of(file)
    if content is None:
        raise BadInput(f"{file} is missing")
    return _parsed(content, file)


def _parsed(content: bytes, file: Path) -> Any:
    try:
        return parse(content)
    except ValueError as error:
        raise BadInput(f"{file} is damaged: {error}") from error


def _content(file: Path) -> bytes:
    """A file of a run, as its manifest has it."""
    content = manifest.content_of(file.parent, file.name)
    if content is None:
        raise BadInput(f"{file} is missing")
    return content


def _read(file: Path, shape: type[T]) -> T:
    content = _parsed(_content(file), file)
    try:
        return check(content, shape)
    except ValueError as error:
        raise BadInput(f"{file} is damaged: {error}") from error


def _must_be_usable(folder: Path, config: Networks) -> None:
    """Refuse networks whose names lead out of the folder, and say of a run without a manifest that it has none."""
    if strange := [name for name in config["networks"] if not name or {"/", "\\"} & {*name} or name.startswith(".")]:
        raise BadInput(f"{folder / CONFIG} is damaged: {strange[0]!r} is no name of a network")
    if manifest.read(folder) is not None:
        return
    if (config.get("format") or 1) >= FORMAT:
        raise BadInput(f"{folder / MANIFEST} is missing, without which no file of this run can be verified")
    if folder.absolute() not in _said:
        _said.add(folder.absolute())
        say(f"{folder} was made by an earlier version, its files cannot be verified")


def _must_continue(history: list[Epoch]) -> None:
    """Refuse an epoch that does not follow on those before it."""
    first, last = history[0], history[-1]
    if last["epoch"] != first["epoch"] + len(history) - 1:
        raise ValueError(f"epoch {last['epoch']} is in the place of {first['epoch'] + len(history) - 1}")
    if last["learners"].keys() != first["learners"].keys():
        raise ValueError("other networks learn than in the first epoch")
    for name, splits in last["learners"].items():
        if splits["test"].keys() != first["learners"][name]["test"].keys():
            raise ValueError(f"other numbers are measured of {name} than in the first epoch")
    if missing := [term for term in last["terms"] if term not in last["weights"]]:
        raise ValueError(f"the weight of {missing[0]!r} is missing")


def _must_fit(insight: Insight, file: Path) -> None:
    """Refuse pictures that are not as large as they say, or not one an image."""
    images = len(insight["images"])
    rows = [("predictions", len(row)) for row in insight["predictions"].values()]
    stages = [stage["maps"] for stages in insight["attention"].values() for stage in stages.values()]
    for name, found in rows + [("maps", len(maps)) for maps in stages]:
        if found != images:
            raise BadInput(f"{file} is damaged: {found} {name} of {images} images")
    for array in [image["pixels"] for image in insight["images"]] + [one for maps in stages for one in maps]:
        if len(array["base64"]) != 4 * -(-prod(array["shape"]) // 3):
            raise BadInput(f"{file} is damaged: an array is not of the shape {array['shape']}")
