"""Write the figures on record into docs/reliability.md, out of the records that the tools have made.

    python tools/write_reliability_docs.py

Run it after every new record; a test compares.
"""

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reliability.md"
RESULTS = ROOT / "docs" / "results"
START, END = "## On record\n", "## What is not protected against\n"
TABLE = """\

| what | aim | on record | made at |
|---|---|---|---|
| [crash tests](results/crashes/record.json): signals at random moments, kills at every file operation, full disks, \
folders that vanish, damaged files; `python tools/crash_test.py` | 1,000 kills | {kills:,} kills in {cases:,} cases, \
seed {crash_seed}: {crash_failures} failures | {crash_commit} |
| [fuzzing](results/fuzz/record.json): inputs of ten kinds; `python tools/fuzz.py` | 100,000 inputs | {inputs:,}, seed \
{fuzz_seed}: {failed} failures | {fuzz_commit} |
| [mutation testing](results/mutation/record.json): one token changed; `python tools/mutation_test.py` | 1,500 \
mutants, 95 % noticed | {tried:,} of {drawn:,}, seed {mutant_seed}: {noticed} % noticed, {sensible} % \
without those that are [equivalent](results/mutation/equivalent.json) | as the record says |

mutmut leaves decorated functions and the bodies of classes alone. `POTSTILL_BITS=50 pytest
tests/runs/test_every_bit.py` flips 50 bits of each file of a run; the suite flips 2. Each case, input and mutant can be
repeated by the seed and its name.

"""


def page() -> str:
    """The page with the figures of the records as they are."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
    _, _, after = rest.partition(END)
    crashes, fuzz, mutants = (
        json.loads((RESULTS / name / "record.json").read_text()) for name in ("crashes", "fuzz", "mutation")
    )
    summary = mutants["summary"]
    figures = TABLE.format(
        kills=crashes["kills"],
        cases=crashes["cases"],
        crash_seed=crashes["seed"],
        crash_failures=len(crashes["failures"]),
        crash_commit=crashes["commit"][:7],
        inputs=fuzz["inputs"],
        fuzz_seed=fuzz["seed"],
        failed=fuzz["failed"],
        fuzz_commit=fuzz["commit"][:7],
        tried=summary["tried"],
        drawn=summary["drawn"],
        mutant_seed=mutants["seed"],
        noticed=summary["noticed_percent"],
        sensible=summary["noticed_percent_of_those_that_are_not_equivalent"],
    )
    return before + START + figures + END + after


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
