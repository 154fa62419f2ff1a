"""SLURM: one script with all that is missing, submitted as job arrays; nothing of ours goes on running."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from potstill.errors import BadInput
from potstill.say import say
from potstill.tables.jobs import Job
from potstill.whole_file import write_whole

HEAD = """#!/bin/bash
#SBATCH --job-name=potstill-{table}
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:TERM@120
{gpu}
# Written by `potstill table {table} --via slurm`: the runs that were missing. Each task is one of them, saves
# what it did when its time is up or it is preempted, and goes on from there when it is started again.
set -u
cd {folder} || exit 1
if [ -n "${{SLURM_CPUS_PER_TASK:-}}" ]; then export OMP_NUM_THREADS="$SLURM_CPUS_PER_TASK"; fi
case "$SLURM_ARRAY_TASK_ID" in
"""


@dataclass(frozen=True)
class Slurm:
    """How to submit.

    Args:
        table: name of the table.
        folder: its folder, on a file system that the nodes see.
        options: further words for sbatch.
        at_once: how many tasks of an array may run at the same time; None: as SLURM likes.
        gpu: whether each task gets a GPU.
    """

    table: str
    folder: Path
    options: Sequence[str]
    at_once: int | None
    gpu: bool

    def submit(self, jobs: Sequence[Job]) -> list[str]:
        """Write the script and hand it to sbatch: first what needs nothing, then, for each teacher, its students.

        Returns:
            The numbers of the arrays.

        Raises:
            BadInput: sbatch refuses; what it says is in the message.
        """
        for job in jobs:
            job.log.parent.mkdir(parents=True, exist_ok=True)
        script = self.folder / "slurm.sh"
        write_whole(script, self.script(jobs).encode())
        missing = {job.name for job in jobs}
        groups = dict[str | None, list[int]]()  # by the teacher they wait for; one that is not missing is there already
        for i, job in enumerate(jobs):
            groups.setdefault(job.needs if job.needs in missing else None, []).append(i)
        tasks, arrays = dict[str | None, str | None]({None: None}), list[str]()  # of each job, as SLURM calls it
        while groups:
            need = next(need for need in groups if need in tasks)
            group = groups.pop(need)
            arrays.append(self._sbatch(script, group, tasks[need]))
            tasks |= {jobs[i].name: f"{arrays[-1]}_{i}" for i in group}
        return arrays

    def script(self, jobs: Sequence[Job]) -> str:
        """One case for each job."""
        folder = Path.cwd()
        head = HEAD.format(
            table=self.table, gpu="#SBATCH --gres=gpu:1" if self.gpu else "#", folder=shlex.quote(str(folder))
        )
        cases = [
            f"  {i}) exec {shlex.join(job.command)} >>{shlex.quote(str(folder / job.log))} 2>&1 ;;"
            for i, job in enumerate(jobs)
        ]
        return head + "\n".join([*cases, '  *) echo "no task $SLURM_ARRAY_TASK_ID" >&2; exit 2 ;;', "esac", ""])

    def _sbatch(self, script: Path, tasks: Sequence[int], after: str | None) -> str:
        limit = "" if self.at_once is None else f"%{self.at_once}"
        # What SLURM itself has to say about a task: the run's own words are in its log.
        output = f"{script.absolute().parent}/slurm-".replace("%", "%%") + "%A_%a.out"
        words = ["sbatch", "--parsable", f"--array={','.join(map(str, tasks))}{limit}", f"--output={output}"]
        if after is not None:
            words += [f"--dependency=afterok:{after}", "--kill-on-invalid-dep=yes"]
        done = subprocess.run([*words, *self.options, str(script)], capture_output=True, text=True, check=False)
        number = done.stdout.strip().partition(";")[0]
        if done.returncode or not number.isdecimal():
            said = (done.stderr.strip() or done.stdout.strip()).split("\n")[-1] or f"exit code {done.returncode}"
            raise BadInput(f"sbatch has not taken {script}: {said}")
        return number


def submitted(slurm: Slurm, jobs: Sequence[Job]) -> dict[str, str]:
    """Submit jobs and say so; no failures, since nothing is known yet."""
    arrays = slurm.submit(jobs)
    say(
        f"{len(jobs)} runs are with SLURM ({', '.join(arrays)}), as {slurm.folder / 'slurm.sh'} says; afterwards, "
        "--collect makes the table, and the same command submits what is still missing"
    )
    return {}


def require_sbatch() -> None:
    """Refuse where SLURM is not.

    Raises:
        BadInput: there is no sbatch.
    """
    if shutil.which("sbatch", path=os.environ.get("PATH")) is None:
        raise BadInput("--via slurm needs sbatch, which is not here: run the command where jobs are submitted")
