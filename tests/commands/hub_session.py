"""A process of its own, in which the Hub is where $HF_ENDPOINT says: commands, one after the other, and Python."""

import contextlib
import io
import json
import sys
import warnings

from potstill.cli import main

warnings.simplefilter("ignore")


def run(step):
    """A step's exit code and what it printed: a command's words, or Python."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(step) if isinstance(step, list) else exec(step, {}) or 0
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}


if __name__ == "__main__":
    print(json.dumps({name: run(step) for name, step in json.load(sys.stdin).items()}))
