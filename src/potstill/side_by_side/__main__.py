"""``python -m potstill.side_by_side``: several commands of potstill, side by side in one process.

Its one argument is a list in JSON, with the words of each command and the file its output is added to. It prints their
exit codes, as JSON, and its own is the first of them that is not 0.
"""

import json
import sys
from contextlib import ExitStack
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO, TypedDict

from potstill import cli, signals
from potstill.compiler import without_compiler
from potstill.side_by_side.shared_passes import sharing
from potstill.side_by_side.turns import Turns
from potstill.whole_file import open_to_append


class Part(TypedDict):
    """A command and where its output goes."""

    words: list[str]
    log: str


def run(parts: list[Part]) -> list[int]:
    """Run commands to their ends; the exit code of each, 143 or 130 of one that a signal has kept from beginning."""
    with ExitStack() as files, signals.handled(), sharing(), without_compiler():
        streams = {part["log"]: _open(Path(part["log"]), files) for part in parts}
        turns = Turns({part["log"]: partial(cli.main, part["words"]) for part in parts}, streams)
        results = turns.run()
        asked = signals.asked()
    return [_code(results.get(part["log"], asked)) for part in parts]


def _open(log: Path, files: ExitStack) -> TextIO:
    log.parent.mkdir(parents=True, exist_ok=True)
    file = TextIOWrapper(open_to_append(log), encoding="utf-8", errors="backslashreplace", line_buffering=True)
    return files.enter_context(file)


def _code(result: Any) -> int:
    if isinstance(result, int):
        return result
    if isinstance(result, KeyboardInterrupt):
        return 130
    if isinstance(result, SystemExit):
        return result.code if isinstance(result.code, int) else 1
    assert isinstance(result, BaseException)
    raise result


if __name__ == "__main__":
    codes = run(json.loads(sys.argv[1]))
    print(json.dumps({"codes": codes}))
    sys.exit(next((code for code in codes if code), 0))
