"""Kill runs, fill their disks, remove their folders, damage their files; and look whether they end as if nothing was.

    python tools/crash_test.py --kills 1000 --seed 0 --jobs 2 --out docs/results/crashes.json
    python tools/crash_test.py --seed 0 --replay 17

Each case starts the same command again, and compares with a run that nothing happened to: weights, metrics but times,
the summary. It must be equal bit by bit, or refuse with exit code 2 or 3 and one line that names the file. A case is
made of the seed and its number alone, so that it can be replayed. Exit code 1: there were failures.

The processes are forked from one that has imported everything: no thread is started, and nothing is computed, before.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import platform
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from crashes.cases import GOOD, KINDS, Case, Lab, plan
from crashes.scenarios import SCENARIOS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50, help="how many cases")
    parser.add_argument("--seed", type=int, default=0, help="of which cases")
    parser.add_argument("--jobs", type=int, default=1, help="how many at once")
    parser.add_argument(
        "--scenarios", type=int, default=len(SCENARIOS), help="how many of them, the most telling first"
    )
    parser.add_argument("--only", choices=KINDS, help="cases of one kind")
    parser.add_argument("--replay", type=int, help="this case alone, and what it said")
    parser.add_argument("--out", type=Path, help="file for the record")
    told = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="crashes-") as folder:
        lab = Lab(Path(folder), SCENARIOS[: told.scenarios])
        lab.prepare()
        cases = plan(lab, told.kills if told.replay is None else told.replay + 1, told.seed, told.only)
        if told.replay is not None:
            cases = cases[told.replay :]
        results = run_all(lab, cases, told.jobs, talk=told.replay is not None)
    record = summarize(results, told.seed, time.monotonic() - began, lab.operations)
    print(json.dumps({key: value for key, value in record.items() if key != "operations"}, indent=1))
    if told.out is not None:
        told.out.parent.mkdir(parents=True, exist_ok=True)
        told.out.write_text(json.dumps(record, indent=1) + "\n")
    return 1 if record["failures"] else 0


def run_all(lab: Lab, cases: list[Case], jobs: int, talk: bool) -> list[dict]:
    """What became of each case, by several processes at once."""
    if jobs == 1:
        return [lab.examine(case, talk) for case in cases]
    children = []
    for job in range(jobs):
        file = lab.folder / f"results-{job}.json"
        if (pid := os.fork()) == 0:
            file.write_text(json.dumps([lab.examine(case, talk) for case in cases[job::jobs]]))
            os._exit(0)
        children.append((pid, file))
    for pid, _ in children:
        os.waitpid(pid, 0)
    found = [result for _, file in children for result in json.loads(file.read_text())]
    return sorted(found, key=lambda result: result["number"])


def summarize(results: list[dict], seed: int, seconds: float, operations: dict[str, int]) -> dict:
    import torch

    import potstill
    from potstill.engine.description import _commit

    bad = [result for result in results if result["outcome"] not in GOOD]
    table: dict[str, Counter] = {}
    for result in results:
        table.setdefault(result["kind"], Counter())[result["outcome"]] += 1
    return {
        "cases": len(results),
        "seed": seed,
        "commit": _commit(),
        "versions": {"potstill": potstill.__version__, "torch": torch.__version__, "python": platform.python_version()},
        "seconds": round(seconds),
        "processor_seconds": round(sum(os.times()[:4])),
        "kills": sum(result["kills"] for result in results),
        "outcomes": {kind: dict(sorted(counts.items())) for kind, counts in sorted(table.items())},
        "scenarios": dict(Counter(result["scenario"] for result in results)),
        "operations": operations,
        "failures": bad,
    }


if __name__ == "__main__":
    sys.exit(main())
