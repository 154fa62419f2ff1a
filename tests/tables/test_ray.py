"""Runs in a Ray of this machine, which starts in a process of its own and takes some seconds."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
from drawn import by_hand

from potstill.errors import BadInput
from potstill.tables.runners.ray_cluster import Share, share_of

SWEEP = """
import json, os, signal, sys
from pathlib import Path
import ray
from potstill.tables.jobs import Job, run_jobs
from potstill.tables.runners.ray_cluster import in_ray
folder = Path(sys.argv[1])
os.chdir(folder)
for attempt in range(4):  # Ray gives itself 30 seconds, which a busy machine may need more of
    try:
        ray.init("local", num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False, logging_level="error")
        break
    except Exception as error:
        print(error, file=sys.stderr)
        ray.shutdown()

class Diary:
    lines = []
    def started(self, job, host): self.lines.append(f"{job.name} started")
    def lost(self, job, why): self.lines.append(f"{job.name} lost")
    def ended(self, job, failure): self.lines.append(f"{job.name} ended: {failure}")
    def tick(self): pass

def job(name, code, needs=None):
    words = "import os, pathlib, signal, sys, time\\n"
    words += "print(os.environ['CUDA_VISIBLE_DEVICES'], os.getcwd(), flush=True)\\n"
    return Job(name, (sys.executable, "-S", "-c", words + code), Path(name + ".log"), needs)

meet = "pathlib.Path('{0}').touch()\\nwhile not pathlib.Path('{1}').exists(): time.sleep(0.02)"
vanish = "if not os.path.exists('again'):\\n    pathlib.Path('again').touch()\\n"
vanish += "    os.kill(os.getppid(), signal.SIGKILL)\\n    time.sleep(9)"
jobs = [
    job("a", meet.format("x", "y")), job("b", meet.format("y", "x")),  # at once, or never
    job("bad", "sys.exit('potstill: no data')"), job("orphan", "", needs="bad"),
    job("vanishes", vanish),
    Job("no program", ("/no/such/program",), Path("none.log")),
]
failures = run_jobs(jobs, in_ray(2, "all"), Diary())
print(json.dumps({"failures": failures, "lines": Diary.lines, "handler": signal.getsignal(signal.SIGTERM) is not None}))
"""


@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'potstill[ray]'")
@by_hand
def test_a_local_ray_shares_its_gpu_and_what_vanishes_is_started_once_more(tmp_path):
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-c", SWEEP, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert {name: (tmp_path / f"{name}.log").read_text() for name in "ab"} == dict.fromkeys("ab", f"0 {tmp_path}\n")
    assert told["failures"].pop("no program").startswith("Ray: ")
    assert told["failures"] == {"bad": "no data", "orphan": "not run: its teacher bad failed: no data"}
    assert [line for line in told["lines"] if "vanishes" in line] == [
        "vanishes started",
        "vanishes lost",
        "vanishes started",
        "vanishes ended: None",
    ]


def test_shares_of_a_cluster():
    assert share_of([(16, 0), (32, 4)], None, "2") == Share(at_once=2, cpus=16, gpus=1.0)
    assert share_of([(8, 2)], 5, "2") == Share(at_once=5, cpus=1, gpus=1 / 3)
    assert share_of([(4, 0), (8, 0)], 4, None) == Share(at_once=4, cpus=2, gpus=0.0)
    assert share_of([(0, 0), (8, 0)], None, None) == Share(at_once=1, cpus=8, gpus=0.0)
    for gpus, message in {"3": "the Ray cluster has 2", "0,1": "Ray chooses the GPUs; say how many, or all"}.items():
        with pytest.raises(BadInput, match=f"--gpus {gpus}: {message}"):
            share_of([(8, 2)], None, gpus)
    with pytest.raises(BadInput, match="--gpus all: the Ray cluster has none"):
        share_of([(8, 0)], None, "all")
