"""Fuzzing on record: as many inputs as one likes, of every domain of tests/fuzzing.

    python tools/fuzz.py --inputs 100000 --seed 13 --out docs/results/fuzz/record.json
    python tools/fuzz.py --replay terms "(['KD(0)'], True)"

Every input must end with a result, or with an error that the command line makes one line of, within 10 seconds (time
in which other processes had the processor is not counted) and 4 GiB more memory than before. Inputs are drawn in
chunks, each by a seed of its own and in a process of its own, so that a crash or a hang inside of a library is seen
too. Chunks that the record holds already are not repeated, so a stopped command goes on. Cheap domains have most of the
inputs: the record says how many each.
"""

import argparse
import ast
import dataclasses
import importlib.metadata
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

SHARES = {
    **{"addresses": 0.27, "convolutions": 0.2, "terms": 0.16, "weights": 0.12, "runs": 0.08, "reports": 0.03},
    **{"image folders": 0.03, "pictures": 0.01, "parquet": 0.04, "networks": 0.03, "command lines": 0.03},
}
CHUNK = 1000
STUCK = 120.0  # seconds without a new input: the process hangs where Python cannot interrupt it
KEPT = 3  # inputs of each failure that the record holds


def chunks(inputs: int) -> list[tuple[str, int, int]]:
    """Domain, number and size of every chunk; the shares add up to 1."""
    found = []
    for domain, share in SHARES.items():
        total = round(inputs * share)
        sizes = [min(CHUNK, total - start) for start in range(0, total, CHUNK)]
        found += [(domain, number, size) for number, size in enumerate(sizes)]
    return found


def run_chunk(domain: str, seed: int, size: int, out: Path) -> None:
    """Run a chunk in this process; the file at ``out`` holds the input that is being run, then the outcome."""
    import torch
    from fuzzing import DOMAINS
    from fuzzing.domain import fuzz

    torch.set_num_threads(1)
    before = peak()

    def note(value: Any) -> None:
        out.write_text(json.dumps({"running": repr(value)}))

    outcome = dataclasses.asdict(fuzz(DOMAINS[domain], size, seed, note))
    out.write_text(json.dumps(outcome | {"peak_mib": peak(), "growth_mib": peak() - before}))


def peak() -> int:
    """The most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def watch(domain: str, seed: int, size: int) -> dict[str, Any]:
    """Run a chunk in a process of its own; one that crashed or is stuck is a failure with the input it was at."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "outcome.json")
        out.write_text("{}")
        command = [sys.executable, __file__, "--chunk", domain, str(seed), str(size), str(out)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": folder, "TMPDIR": folder}
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        stuck = False
        while process.poll() is None:
            time.sleep(0.2)
            if time.time() - out.stat().st_mtime > STUCK:
                stuck = True
                process.kill()
        said = process.stderr.read()[-2000:] if process.stderr else ""
        outcome: dict[str, Any] = json.loads(out.read_text() or "{}")
    if "inputs" not in outcome:
        error = f"stuck for {STUCK} s" if stuck else f"the process ended with {process.returncode}"
        failure = {"value": outcome.get("running", ""), "error": error, "where": "outside", "traceback": said}
        outcome = {"inputs": 0, "refused": 0, "longest": 0.0, "slowest": "", "failures": [failure]}
    return outcome


def merge(record: dict[str, Any], domain: str, number: int, outcome: dict[str, Any]) -> None:
    """Add a chunk's outcome to the record: failures of one kind are counted, and few of them kept."""
    record["chunks"].append([domain, number])
    sums = record["domains"].setdefault(domain, {"inputs": 0, "refused": 0, "failed": 0, "longest_seconds": 0.0})
    sums["inputs"] += outcome["inputs"]
    sums["refused"] += outcome["refused"]
    sums["failed"] += len(outcome["failures"])
    if outcome["longest"] > sums["longest_seconds"]:
        sums |= {"longest_seconds": round(outcome["longest"], 2), "slowest": outcome["slowest"]}
    for what in ("peak_mib", "growth_mib"):
        record[what] = max(record.get(what, 0), outcome.get(what, 0))
    for failure in sorted(outcome["failures"], key=lambda one: len(one["value"])):
        kind = f"{domain}: {failure['error'].partition(':')[0]} in {failure['where']}"
        known = record["failures"].setdefault(kind, {"count": 0, "examples": []})
        known["count"] += 1
        if len(known["examples"]) < KEPT:
            known["examples"].append(failure)
    record["inputs"] = sum(sums["inputs"] for sums in record["domains"].values())
    record["failed"] = sum(sums["failed"] for sums in record["domains"].values())


def fuzz_all(inputs: int, seed: int, out: Path) -> dict[str, Any]:
    """Run what the record at ``out`` lacks; returns it."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    changed = bool(
        subprocess.run(["git", "status", "--porcelain", "src", "tests"], cwd=ROOT, capture_output=True).stdout
    )
    names = ("hypothesis", "torch", "numpy", "pillow", "pyarrow", "safetensors", "tyro")
    versions = {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in names}}
    made_by = {"seed": seed, "wanted": inputs, "commit": commit + ("-changed" if changed else ""), "versions": versions}
    empty = {**made_by, "seconds": 0.0, "inputs": 0, "failed": 0, "domains": {}, "failures": {}, "chunks": []}
    record: dict[str, Any] = json.loads(out.read_text()) if out.exists() else empty
    if other := [key for key, value in made_by.items() if record[key] != value]:
        raise SystemExit(f"{out} was made with another {', '.join(other)}; give another --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    done = {tuple(chunk) for chunk in record["chunks"]}
    for domain, number, size in chunks(inputs):
        if (domain, number) in done:
            continue
        started = time.time()
        merge(record, domain, number, watch(domain, zlib.crc32(f"{seed} {domain} {number}".encode()), size))
        record["seconds"] = round(record["seconds"] + time.time() - started, 1)
        draft = out.with_suffix(".draft")
        draft.write_text(json.dumps(record, indent=1) + "\n")
        draft.replace(out)
        print(f"{domain} {number}: {record['inputs']} inputs, {record['failed']} failed", flush=True)
    return record


def replay(domain: str, text: str) -> None:
    """Run one input, as a record writes it, and let its error through."""
    from fuzzing import DOMAINS
    from fuzzing.domain import Outcome, attempt

    outcome = Outcome()
    attempt(DOMAINS[domain], ast.literal_eval(text), outcome)
    for failure in outcome.failures:
        print(failure.traceback)
    raise SystemExit(f"{len(outcome.failures)} failed, {outcome.refused} refused, {outcome.longest:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--replay", nargs=2, metavar=("DOMAIN", "INPUT"))
    parser.add_argument("--chunk", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.chunk:
        domain, seed, size, out = options.chunk
        run_chunk(domain, int(seed), int(size), Path(out))
    elif options.replay:
        replay(*options.replay)
    elif options.out is None:
        parser.error("--out FILE is needed")
    else:
        record = fuzz_all(options.inputs, options.seed, options.out)
        kinds = Counter({kind: found["count"] for kind, found in record["failures"].items()})
        print(json.dumps({**record["domains"], "failures": dict(kinds.most_common())}, indent=1))
        raise SystemExit(1 if record["failed"] else 0)


if __name__ == "__main__":
    main()
