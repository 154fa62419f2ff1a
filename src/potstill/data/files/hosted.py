"""Image sets of the Hugging Face Hub, ``hf-data:ORG/NAME``: their Parquet files, kept by the Hub's own client."""

import re
from contextlib import suppress
from pathlib import Path

from potstill.errors import BadInput
from potstill.hub import FORM, NoRevision, Repository, library, out_of_reach
from potstill.say import say

PREFIX = "hf-data:"
CONVERTED = "refs/convert/parquet"
"""The revision in which the Hub keeps what it has made Parquet of."""
PARTIAL = "partial-"
"""How its folders begin where it has done so with a part of the images only."""


def hosted_folder(name: str) -> Path:
    """The folder of an image set ``hf-data:ORG/NAME``, downloaded if need be, or of ``hf-data:FOLDER``, as it is.

    ``hf-data:ORG/NAME@REVISION:CONFIGURATION`` says which revision and which of several configurations.

    Raises:
        BadInput: there is no such image set, it holds no Parquet files, or the Hub cannot be reached.
    """
    place = name.removeprefix(PREFIX)
    folder = Path(place).expanduser()
    if place and folder.is_dir():
        return folder
    found = re.fullmatch(FORM + r"(?::(?P<configuration>[\w.-]+))?", place)
    if found is None:
        raise BadInput(f"--data {name}: the form is {PREFIX}ORG/NAME, or {PREFIX}FOLDER")
    repository = Repository(found["name"], found["revision"], "dataset")
    configuration = found["configuration"]
    try:
        folder = _download(repository, configuration)
        if repository.revision is None and not _parquet(folder):
            with suppress(NoRevision):
                folder = _download(Repository(found["name"], CONVERTED, "dataset"), configuration)
    except BadInput as error:
        raise BadInput(f"--data {name}: {error}") from error
    if not (files := _parquet(folder)):
        raise BadInput(
            f"--data {name}: {repository} holds no Parquet files{_of(configuration)}, and only these are read"
        )
    if partial := [file for file in files if file.parent.name.startswith(PARTIAL)]:
        raise BadInput(f"--data {name}: the Hub has converted a part of it only ({partial[0].parent.name})")
    say(f"{name}: revision {folder.name if configuration is None else folder.parent.name}")
    return folder


def _download(repository: Repository, configuration: str | None) -> Path:
    """The folder with the Parquet files of a revision, or of one of its configurations."""
    client = library("huggingface_hub", "hf")
    wanted = "*.parquet" if configuration is None else f"{configuration}/*.parquet"

    def download() -> Path:
        try:
            whole = Path(client.snapshot_download(**repository.place, allow_patterns=[wanted]))
        except client.errors.LocalEntryNotFoundError as error:
            raise out_of_reach(str(repository), error) from error
        return whole if configuration is None else whole / configuration

    return repository.asked(download)


def _parquet(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.parquet"))


def _of(configuration: str | None) -> str:
    return "" if configuration is None else f" of a configuration {configuration!r}"
