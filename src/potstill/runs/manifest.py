"""The manifest of a run folder: size and digest of every file that a command reads, and a digest of itself.

Before files change, it lists what each is and what it will be; afterwards, only what it is. A process killed in between
leaves files that are one or the other, and whoever reads meanwhile looks again.
"""

import json
from collections.abc import Mapping
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from potstill.errors import BadInput
from potstill.runs.claim import must_hold
from potstill.runs.digests import State, bytes_of, state_of, state_of_bytes, there
from potstill.runs.json_text import parse
from potstill.runs.names import CHECKPOINT, FILES, MANIFEST, PREVIOUS, SOURCE, WEIGHTS
from potstill.runs.shapes import check
from potstill.whole_file import make_folder, remove, write_whole


class Manifest(TypedDict):
    """``manifest.json``: the states that each file may be in, null for none, and who vouches for its code."""

    files: dict[str, list[State | None]]
    signature: NotRequired[str | None]


def read(folder: Path) -> Manifest | None:
    """The manifest of ``folder``; None where there is none, as in runs of earlier versions.

    Raises:
        BadInput: it is damaged.
    """
    content = bytes_of(folder / MANIFEST)
    if content is None:
        return None
    try:
        found = check(parse(content), Manifest)
        sound = content == _text(found)
    except ValueError as error:
        raise BadInput(f"{folder / MANIFEST} is damaged: {error}") from error
    if not sound:
        raise BadInput(f"{folder / MANIFEST} is damaged: its digest of itself does not fit")
    return {key: value for key, value in found.items() if key != "digest"}  # type: ignore[return-value]


def content_of(folder: Path, name: str) -> bytes | None:
    """A file of a run, checked; None if there is none.

    Raises:
        BadInput: it is not what the manifest says, or cannot be read.
    """
    manifest = read(folder)
    while True:
        content = bytes_of(folder / name)
        wrong = complaint(manifest, name, None if content is None else state_of_bytes(content))
        if wrong is None:
            return content
        manifest = _read_again(folder, name, manifest, wrong)


def verify(file: Path, *, listed: bool = True) -> None:
    """Check a file against the manifest beside it, if there is one.

    Args:
        file: in a run folder.
        listed: whether it is one of the run's own; others may lie there, too.

    Raises:
        BadInput: it is not what the manifest says, or cannot be read.
    """
    verify_in(file.parent, file.name, listed=listed)


def verify_in(folder: Path, name: str, *, listed: bool = True) -> None:
    """The same for a file by its name in the manifest."""
    manifest = read(folder)
    if manifest is None or (not listed and name not in manifest["files"]):
        return
    while wrong := complaint(manifest, name, state_of(folder / name)):
        manifest = _read_again(folder, name, manifest, wrong)


def verify_all(folder: Path) -> None:
    """Check every file of a finished run. Its checkpoints, which it does not need any more, may have been removed.

    Raises:
        BadInput: one is not what the manifest says.
    """
    for name in (read(folder) or {"files": {}})["files"]:
        if name not in (CHECKPOINT, PREVIOUS) or there(folder / name):
            verify_in(folder, name)


def complaint(manifest: Manifest | None, name: str, state: State | None) -> str | None:
    """What is wrong with a file in that state, in words; None if it is what the manifest says."""
    if manifest is None:
        return None
    may_be = manifest["files"].get(name, [None])
    if state in may_be:
        return None
    if name not in manifest["files"]:
        return f"is not the run's: {MANIFEST} does not list it"
    if state is None:
        return f"is missing, though {MANIFEST} lists it"
    sizes = [known["bytes"] for known in may_be if known is not None]
    if state["bytes"] not in sizes:
        return (
            f"is damaged: it has {state['bytes']:,} bytes, not {' or '.join(f'{size:,}' for size in sizes) or 'none'}"
        )
    return f"is damaged or was edited: its digest is not the one in {MANIFEST}"


def write(folder: Path, contents: Mapping[str, bytes | None], keep: Mapping[str, str] | None = None) -> None:
    """Write files of a run, in this order, each whole; None removes one. What was written is read back.

    Only for whoever holds the folder's lock. Where there is no manifest, there is none afterwards.

    Args:
        folder: the run folder.
        contents: what its files shall hold, by their names.
        keep: for some, the name under which the old one stays.

    Raises:
        OSError: the disk is full, or the like; files that were not reached are as they were.
        TrainingFailed: another machine has taken the folder over.
    """
    if not contents:
        return
    check = partial(must_hold, folder)
    manifest, kept = read(folder), keep or {}
    states = {} if manifest is None else manifest["files"]
    after: dict[str, list[State | None]] = {}
    for name, content in contents.items():
        if name in kept and name in states:
            after[kept[name]] = states[name]
        after[name] = [None if content is None else state_of_bytes(content)]
    if manifest is not None:
        during = {name: [*states.get(name, [None]), *news] for name, news in after.items()}
        save(folder, {**manifest, "files": {**states, **during}})
    for name, content in contents.items():
        file = folder / name
        if content is None:
            check()
            remove(file)
            continue
        make_folder(file.parent, folder)
        old = folder / kept[name] if kept.get(name) in after else None
        write_whole(file, content, read_back=True, keep=old, check=check)
    if manifest is not None:
        save(folder, {**manifest, "files": {**states, **after}})


def begin(folder: Path) -> None:
    """Make the manifest of what lies in a folder that has none: from now on, its files are vouched for."""
    found = [*(folder / name for name in FILES), *sorted(folder.glob(f"*{WEIGHTS}")), *files_below(folder / SOURCE)]
    states = {file.relative_to(folder).as_posix(): state_of(file) for file in found}
    save(folder, {"files": {name: [state] for name, state in states.items() if state is not None}})


def settle(folder: Path) -> None:
    """Forget, of files that a killed process was about to change, the states that they are not in."""
    manifest = read(folder)
    if manifest is None:
        return
    settled: dict[str, list[State | None]] = {}
    for name, states in manifest["files"].items():
        now = state_of(folder / name) if len(states) > 1 else None
        settled[name] = [now] if len(states) > 1 and now in states else states
    if settled != manifest["files"]:
        save(folder, {**manifest, "files": settled})


def sign(folder: Path, signature: str | None) -> None:
    """Keep who vouches for the code in a folder."""
    manifest = read(folder)
    if manifest is not None and manifest.get("signature") != signature:
        save(folder, {**manifest, "signature": signature})


def save(folder: Path, manifest: Manifest) -> None:
    """Write the manifest; a file that is not there and shall not be is not listed."""
    listed = {name: states for name, states in manifest["files"].items() if states != [None]}
    write_whole(folder / MANIFEST, _text({**manifest, "files": listed}), check=partial(must_hold, folder))


def files_below(folder: Path) -> list[Path]:
    """All that lies in a folder and its sub-folders, but for these themselves; through no link."""
    return sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())


def _text(manifest: Mapping[str, Any]) -> bytes:
    """The one way a manifest is written, so that no bit of it goes unnoticed."""
    content = {key: manifest[key] for key in ("files", "signature") if manifest.get(key) is not None}
    digest = sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return (json.dumps({**content, "digest": digest}, indent=1) + "\n").encode()


def _read_again(folder: Path, name: str, before: Manifest | None, wrong: str) -> Manifest | None:
    """The manifest of a run that may be writing right now; if it has not changed, nobody is."""
    now = read(folder)
    if now == before:
        raise BadInput(f"{folder / name} {wrong}")
    return now
