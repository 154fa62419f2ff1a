"""Run folders: edited JSON, damaged and missing files, links; read by all that reads one."""

import json
import shutil
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

import potstill as ps
from fuzzing.domain import Domain
from fuzzing.odd import damage, damaged, edited, edits, texts
from fuzzing.small import home
from potstill.networks.trained import create_trained
from potstill.report import find_runs, found_rows, write_page
from potstill.runs.folder import RunFolder
from potstill.runs.reading import read_config

TEXT = ("config.json", "summary.json", "insight.json", "details.json", "metrics.jsonl")
BINARY = ("student.safetensors", "student-best.safetensors", "last.ckpt")
HOW = st.one_of(
    st.tuples(st.just("edit"), st.sampled_from(TEXT), edits()),
    st.tuples(st.just("edit"), st.sampled_from(TEXT), edits()),
    st.tuples(st.just("damage"), st.sampled_from(TEXT + BINARY), damage()),
    st.tuples(st.just("remove"), st.sampled_from(TEXT + BINARY), st.none()),
    st.tuples(
        st.just("link"), st.sampled_from(TEXT + BINARY), st.sampled_from(("nowhere", ".", "/dev/null", "config.json"))
    ),
    st.tuples(st.just("folder"), st.sampled_from(TEXT + BINARY), st.none()),
    st.tuples(st.just("own"), st.sampled_from((".last.ckpt.draft", "x.json", "student", "export")), st.none()),
)
MARK = "<script>fuzzed()</script>"


def change(run: Path, changes: list[Any]) -> None:
    """Damage a run folder."""
    for how, name, what in changes:
        file = run / name
        if how == "edit" and file.is_file() and not file.is_symlink():
            content = file.read_text(errors="surrogateescape")
            lines = content.splitlines() if name == "metrics.jsonl" else [content]
            try:
                lines[-1:] = [edited(json.loads(lines[-1]), what)]
            except (ValueError, IndexError, RecursionError):
                continue  # an earlier change has damaged it
            file.write_text("\n".join(lines) + "\n", errors="surrogatepass")
        elif how == "damage" and file.is_file() and not file.is_symlink():
            file.write_bytes(damaged(file.read_bytes(), what))
        elif how in ("remove", "link", "folder", "own") and not file.is_dir():
            file.unlink(missing_ok=True)
            if how == "link":
                file.symlink_to(what)
            elif how == "folder":
                file.mkdir()
            elif how == "own":
                file.symlink_to("nowhere")


def run(value: tuple[list[Any], str], folder: Path) -> None:
    """Read the folder as ``reader`` does."""
    changes, reader = value
    target = folder / "run"
    shutil.copytree(home() / "run", target)
    change(target, changes)
    if reader == "network":
        ps.networks.create(str(target))
    elif reader == "teacher":
        data = ps.data.load("digits", images=8, test_images=8)
        create_trained(str(target), data)
    elif reader == "resume":
        with RunFolder(target, read_config(home() / "run")) as opened:
            opened.summary()
    else:
        find_runs([folder])
        rows, left_out = found_rows([target])
        assert rows or left_out


def write(value: tuple[list[Any], str, str], folder: Path) -> None:
    """Write the report of two runs, one of them damaged: a page without anything that is not ours in its markup."""
    changes, name, title = value
    shutil.copytree(home() / "run", folder / "sound")
    try:
        target = folder / name
        shutil.copytree(home() / "run", target)
    except (OSError, ValueError, UnicodeEncodeError):
        return  # a name that this file system does not take
    change(target, [one for one in changes if one[1] in TEXT])
    rows, left_out = found_rows([folder / "sound", target])
    page = write_page(folder / "report.html", title, rows, left_out).read_text(encoding="utf-8")
    assert MARK not in page
    assert "\x1b" not in page


NAMES = texts(nul=False).map(lambda text: text.replace("/", "_")[:40]).filter(lambda text: text not in ("", ".", ".."))
RUNS = Domain(
    st.tuples(st.lists(HOW, min_size=1, max_size=3), st.sampled_from(("network", "teacher", "resume", "rows"))), run
)
REPORTS = Domain(st.tuples(st.lists(HOW, max_size=2), NAMES, texts() | st.just(MARK)), write)
