"""Mutation testing: change the package's arithmetic and logic by one token at a time and see whether a test fails.

    python tools/mutation_test.py --seed 13 --mutants 1500 --out docs/results/mutation/record.json

mutmut makes every mutant that it knows of the files below; of these, the ones with the lowest hash of seed and name are
drawn, so that a draw is the same wherever it is repeated and changes little when a file changes. Each runs against the
tests of its group that call the mutated function, quickest first, up to the first failure, in a copy of the commit
outside the checkout. What the record already holds of an unchanged function is kept, so a stopped run goes on;
`--again` repeats survivors that no reason is given for, after tests were written. mutmut leaves decorated functions
(properties, the ones without gradients) and the bodies of classes and modules alone.

docs/results/mutation/equivalent.json says of mutants that no test can kill why that is so, and elsewhere.json which
test kills one that is not among its group's, because it starts processes, say: that test is run, too.
"""

import argparse
import functools
import hashlib
import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
EQUIVALENT = ROOT / "docs/results/mutation/equivalent.json"
ELSEWHERE = ROOT / "docs/results/mutation/elsewhere.json"

QUICK_ENGINE_TESTS = (
    *("before_training", "checkpoint", "costs", "evaluate", "extension", "fit", "insight", "meter", "optimizer"),
    *("precision", "previous_checkpoint", "progress", "seams", "step", "stopping"),
)
# Of each group: the files to mutate, under src/potstill, and the tests that are to notice.
GROUPS: dict[str, tuple[list[str], list[str]]] = {
    "losses": (["losses/*.py"], ["tests/losses", "tests/test_oracle.py"]),
    "schedules": (["schedules.py"], ["tests/test_schedules.py", "tests/test_oracle.py"]),
    "wiring": (
        ["taps.py", "tap_hooks.py", "forward_pass.py", "distiller.py", "term.py", "term_strings/*.py"],
        ["tests/test_taps.py", "tests/test_distiller.py", "tests/test_checked.py", "tests/term_strings"],
    ),
    "engine": (
        ["engine/*.py"],
        # Without the tests that start processes or train on files: they take longer than all others together.
        [f"tests/engine/test_{name}.py" for name in QUICK_ENGINE_TESTS],
    ),
    "data": (
        ["data/augment.py", "data/loader.py", "data/normalize.py", "data/split.py", "data/files/order.py"],
        ["tests/data"],
    ),
    "networks": (
        ["networks/sharing.py", "networks/substitution.py"],
        ["tests/networks/test_sharing.py", "tests/networks/test_substitution.py", "tests/networks/test_cheap.py"],
    ),
    "runs": (
        ["runs/*.py"],
        [
            *("tests/runs", "tests/report/test_rows.py", "tests/commands/test_verify.py", "tests/test_own_modules.py"),
            *("tests/engine/test_fit.py", "tests/engine/test_extension.py"),
        ],
    ),
}
# Its class calls a function of its own while it is being made, which mutmut has not prepared by then.
NOT_MUTATED = ("engine/waits.py",)
# What mutmut puts into every function stops the compiler, and with it the tests that compile. Others start a run again
# and again until it is finished, which a mutant may never be; or take seconds, which each survivor would cost.
LEFT_OUT = (
    *("compiled", "compiling", "recompiles", "tokens_are_tapped_as_maps", "differentiated_by_a_map"),
    "wrapped_networks_are_looked_through",
    *("killed_at_any_moment", "kill_at_every_file_operation", "second_signal_ends"),
    *("full_disk_ends", "bf16_keeps", "learns_and_the", "losses_own_state", "another_network_and"),
    *("gone_holds_nothing", "living_machine_holds", "stopped_for_too_long", "export", "finished_run_gives_back"),
    *("stopped_after_every_step", "stopped_in_the_middle", "same_seed_same_bits", "it_is_the_longer_run"),
    *("weight_zero_is_the_baseline", "holdout_chooses", "transforms_draw_by_seed", "knows_no_length"),
    *("default_folder_depends", "goes_on_keeps_what", "auto_is_the_faster_one", "would_have_been_another_run"),
    *("every_optimiser_and_schedule", "another_run_is_refused", "every_few_minutes", "cannot_train_on_one_image"),
)
SLOW = "tests/term_strings/test_matching.py::test_in_every_row_of_every_table_the_stages_of_one_number_go_together"
KEPT = ("mutants", "pyproject.toml", "src", "tests")  # mutmut sees to these itself
MEANINGS = {0: "survived", 1: "killed", 3: "killed", 5: "no test", 33: "no test", 36: "timeout", -24: "timeout"}


def sources(group: str) -> list[Path]:
    """Paths of a group's files, from the root."""
    found = [file for pattern in GROUPS[group][0] for file in sorted((ROOT / "src/potstill").glob(pattern))]
    left_out = {ROOT / "src/potstill" / name for name in NOT_MUTATED}
    return [file.relative_to(ROOT) for file in found if file.name != "__init__.py" and file not in left_out]


def mutants_of(file: Path) -> dict[str, str]:
    """Name of each mutant of a file, with the hash of the function that it changes."""
    from mutmut.mutation.file_mutation import mutate_file_contents
    from mutmut.utils.format_utils import get_mutant_name

    mutated = mutate_file_contents(str(file), (ROOT / file).read_text())
    hashes = mutated.hash_by_function_name
    return {get_mutant_name(file, name): hashes[name.partition("__mutmut_")[0]] for name in mutated.mutant_names}


def draw(seed: int, count: int) -> dict[str, dict[str, str]]:
    """By name, the drawn mutants: their group, file and function's hash."""
    everything = {
        name: {"group": group, "file": str(file), "function_hash": function_hash}
        for group in GROUPS
        for file in sources(group)
        for name, function_hash in mutants_of(file).items()
    }

    def rank(name: str) -> str:
        return hashlib.sha256(f"{seed} {name}".encode()).hexdigest()

    return {name: everything[name] for name in sorted(everything, key=rank)[:count]}


def git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True).stdout


def check_out(commit: str, group: str, work: Path) -> Path:
    """A copy of the commit, set up for mutmut."""
    tree = work / commit[:12] / group
    if not tree.is_dir():
        tree.mkdir(parents=True)
        subprocess.run(["tar", "x", "-C", str(tree)], input=git("archive", commit), check=True)
        # Before Python starts: of a folder that is missing then, it remembers that nothing can be imported from it.
        (tree / "mutants/src").mkdir(parents=True)
        everything = [path.name for path in tree.iterdir() if path.name not in KEPT]
        unwanted = ("-k", " and ".join(f"not {word}" for word in LEFT_OUT))
        settings = {
            "source_paths": ["src"],
            "only_mutate": [str(file) for file in sources(group)],
            "also_copy": everything,
            "pytest_add_cli_args_test_selection": GROUPS[group][1],
            "pytest_add_cli_args": ["-p", "no:cacheprovider", "-p", "no:xdist", *unwanted, "--deselect", SLOW],
            "timeout_multiplier": 4.0,
            "timeout_constant": 15.0,
        }
        with (tree / "pyproject.toml").open("a") as file:
            file.write("\n[tool.mutmut]\n")
            file.writelines(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())
    return tree


def surroundings(tree: Path) -> dict[str, str]:
    """The environment in which processes see the mutated package, those that a test starts, too."""
    shared = ROOT.parent / "shared"
    return {
        "POTSTILL_DATA": str(shared / "data"),
        "POTSTILL_ORACLE": str(shared / "oracle"),
        **os.environ,
        "PYTHONPATH": str(tree / "mutants/src"),
        "OMP_NUM_THREADS": "1",
    }


def mutmut(tree: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "from mutmut.__main__ import cli; cli()", *arguments]
    return subprocess.Popen(command, cwd=tree, env=surroundings(tree), stdout=subprocess.PIPE, text=True)


def verdicts(tree: Path, names: list[str]) -> dict[str, tuple[str, float]]:
    """What mutmut has found out so far: verdict and seconds."""
    found = {}
    for file in (tree / "mutants").rglob("*.meta"):
        meta = json.loads(file.read_text())
        for name in meta["exit_code_by_key"].keys() & set(names):
            code = meta["exit_code_by_key"][name]
            if code is not None:
                found[name] = (MEANINGS.get(code, f"exit {code}"), round(meta["durations_by_key"].get(name, 0), 2))
    return found


def run_group(names: list[str], commit: str, tree: Path) -> dict[str, dict[str, Any]]:
    """Verdicts on the named mutants; a tree that was left in the middle goes on."""
    missing = sorted(set(names) - verdicts(tree, names).keys())
    if missing:
        with (tree / "mutmut.log").open("a") as log:
            process = mutmut(tree, "run", "--max-children", "1", *missing)
            log.writelines(process.stdout or [])
            if process.wait():
                ended = f"mutmut ended with {process.returncode}; see {log.name}"
                if not verdicts(tree, names):
                    raise SystemExit(ended)
                print(f"{ended}; what it had found out is recorded", file=sys.stderr)
    results = {}
    tests = said(ELSEWHERE, "test")
    for name, (verdict, seconds) in verdicts(tree, names).items():
        results[name] = {"verdict": verdict, "seconds": seconds, "commit": commit}
        if verdict != "killed":
            diff = mutmut(tree, "show", name).communicate()[0].splitlines()
            results[name]["change"] = [line for line in diff if line[:1] in "+-" and line[:3] not in ("+++", "---")]
            if (test := tests.get(key_of(name, results[name]))) is not None and kills(test, name, tree):
                results[name] |= {"verdict": "killed", "by": test}
    return results


def kills(test: str, name: str, tree: Path) -> bool:
    """Whether a test that passes otherwise fails with a mutant."""
    return ends(test, "", tree) == 0 and ends(test, name, tree) == 1


@functools.cache
def ends(test: str, mutant: str, tree: Path) -> int:
    """The exit status of a test, with a mutant or without."""
    python = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", test]
    environment = {**surroundings(tree), "MUTANT_UNDER_TEST": mutant}
    return subprocess.run(python, cwd=tree / "mutants", env=environment, capture_output=True, text=True).returncode


def key_of(name: str, mutant: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    """What a mutant is known by from commit to commit: its function, and the lines that it changes."""
    return name.partition("__mutmut_")[0], tuple(mutant.get("change", []))


def said(file: Path, what: str) -> dict[tuple[str, tuple[str, ...]], str]:
    """What a file says of mutants."""
    if not file.exists():
        return {}
    return {(one["function"], tuple(one["change"])): one[what] for one in json.loads(file.read_text())}


def write(out: Path, record: dict[str, Any], started: float) -> None:
    """The record with its sums, by way of a draft."""
    known = said(EQUIVALENT, "why")
    for name, mutant in record["mutants"].items():
        why = known.get(key_of(name, mutant))
        mutant.pop("why_equivalent", None)
        if why and mutant.get("verdict") in ("survived", "no test"):
            mutant["why_equivalent"] = why
    tried = [mutant for mutant in record["mutants"].values() if "verdict" in mutant]
    equivalent = sum("why_equivalent" in mutant for mutant in tried)
    counts = Counter(mutant["verdict"] for mutant in tried)
    noticed = counts["killed"] + counts["timeout"]
    by_file: dict[str, Counter[str]] = {}
    for mutant in tried:
        by_file.setdefault(mutant["file"], Counter())[mutant["verdict"]] += 1
    record["summary"] = {
        "drawn": len(record["mutants"]),
        "tried": len(tried),
        **dict(counts.most_common()),
        "survivors_said_to_be_equivalent": equivalent,
        "noticed_percent": round(100 * noticed / max(len(tried), 1), 2),
        "noticed_percent_of_those_that_are_not_equivalent": round(100 * noticed / max(len(tried) - equivalent, 1), 2),
    }
    record["by_file"] = {file: dict(by_file[file]) for file in sorted(by_file)}
    record["seconds"] = round(record.get("seconds", 0) + time.time() - started)
    draft = out.with_suffix(".draft")
    draft.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    draft.replace(out)


def is_open(mutant: dict[str, Any]) -> bool:
    """Whether nothing says why a mutant has not been noticed."""
    return mutant["verdict"] not in ("killed", "timeout") and "why_equivalent" not in mutant


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--mutants", type=int, default=1500)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--group", nargs="+", choices=GROUPS, default=list(GROUPS), help="only these of the drawn ones")
    parser.add_argument("--again", action="store_true", help="repeat survivors without a reason, too")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "mutation-test")
    options = parser.parse_args()
    commit = git("rev-parse", "HEAD").decode().strip()
    if git("status", "--porcelain", "src", "tests"):
        raise SystemExit("src and tests differ from the commit; a record names the commit that it was made of")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    old = json.loads(options.out.read_text())["mutants"] if options.out.exists() else {}
    versions = {name: importlib.metadata.version(name) for name in ("mutmut", "pytest", "torch")}
    drawn = draw(options.seed, options.mutants)
    record: dict[str, Any] = {"seed": options.seed, "versions": versions, "mutants": drawn}
    for name, mutant in record["mutants"].items():
        if old.get(name, {}).get("function_hash") == mutant["function_hash"]:
            record["mutants"][name] = old[name]
    for group in options.group:
        started = time.time()
        left = [
            name
            for name, mutant in record["mutants"].items()
            if mutant["group"] == group and ("verdict" not in mutant or (options.again and is_open(mutant)))
        ]
        if left:
            tree = check_out(commit, group, options.work)
            for name, result in run_group(left, commit, tree).items():
                record["mutants"][name] |= result
        write(options.out, record, started)
        print(group, record["summary"], flush=True)


if __name__ == "__main__":
    main()
