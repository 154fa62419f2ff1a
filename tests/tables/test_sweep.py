"""Where the runs of a table run: GPUs, other hosts, SLURM by a stand-in for it, and what is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from drawn import by_hand

from potstill import tables
from potstill.cli import main
from potstill.errors import BadInput
from potstill.tables.jobs import Job, run_jobs
from potstill.tables.row import Row, Table
from potstill.tables.runners.gpus import chosen, gpus_here
from potstill.tables.runners.local import local
from potstill.tables.runners.slurm import Slurm
from potstill.tables.runners.template import elsewhere
from potstill.tables.sweep import Sweep

PYTHON = (sys.executable, "-S", "-c")
TELL = "import os, time; print(os.environ.get('CUDA_VISIBLE_DEVICES'), os.environ.get('HOST'), flush=True)"


class Diary:
    def __init__(self):
        self.lines = []

    def started(self, job, host):
        self.lines.append(f"{job.name} started on {host}")

    def lost(self, job, why):
        self.lines.append(f"{job.name} lost")

    def ended(self, job, failure):
        self.lines.append(f"{job.name} ended: {failure}")

    def tick(self):
        pass


def job(folder, name, code=TELL, needs=None):
    return Job(name, (*PYTHON, code), folder / f"{name}.log", needs)


def said(folder, name):
    return (folder / f"{name}.log").read_text().splitlines()


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """A folder of stand-ins, which come first on the path: a function that makes one from a script."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def make(name, script):
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)

    return make


# GPUs: what a job's process sees.
def test_each_job_sees_its_own_gpu_and_more_jobs_take_turns(tmp_path):
    hold = TELL + "\nimport pathlib, sys; [time.sleep(0.02) for _ in range(2000) if len(list(pathlib.Path("
    hold += f"{str(tmp_path)!r}).glob('*.log'))) < 3]"  # until all three have been started
    assert run_jobs([job(tmp_path, name, hold) for name in "abc"], local(3, ["0", "3"]), Diary()) == {}
    assert [said(tmp_path, name)[0].split()[0] for name in "abc"] == ["0", "3", "0"]


def test_without_gpus_a_job_sees_what_we_see(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,6")
    run_jobs([job(tmp_path, "a")], local(1), Diary())
    assert said(tmp_path, "a") == ["5,6 None"]


def test_the_gpus_of_this_machine(commands, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    commands("nvidia-smi", "#!/bin/sh\necho 0; echo 1; echo 2\n")
    assert gpus_here() == ["0", "1", "2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,0")  # a part of them is ours
    assert gpus_here() == ["2", "0"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus_here() == []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    commands("nvidia-smi", "#!/bin/sh\necho no driver; exit 9\n")
    assert gpus_here() == []


@pytest.mark.parametrize(("wanted", "message"), [
    ("3", "--gpus 3: there are 2 here (0, 1)"),
    ("0,2", "--gpus 0,2: there is no GPU 2 here; there are 0, 1"),
    ("0", "--gpus must be 1 or more and at most 9,999, not '0'; GPU 0 alone is '0,'"),
    ("0,0", "--gpus 0,0 names GPU 0 twice; more --jobs than GPUs share them"),
    ("0,,1", "--gpus 0,,1 has an empty place between its commas"),
    ("al", "--gpus is 'al': give all, how many, or a list such as 0,1"),
])  # fmt: skip
def test_gpus_that_are_not_there(wanted, message):
    with pytest.raises(BadInput) as caught:
        chosen(wanted, ["0", "1"])
    assert str(caught.value) == message
    with pytest.raises(BadInput, match=r"there is no GPU here; leave it out$"):
        chosen(wanted, [])


# Other hosts.
def test_jobs_go_to_whichever_host_is_free_and_to_its_gpus(tmp_path):
    hosts = [f"sh -c 'cd {tmp_path} && HOST={name} && export HOST && {{}}'" for name in ("one", "two")]
    wait = TELL + "\nimport pathlib\nwhile not pathlib.Path('done').exists(): time.sleep(0.02)"
    done = "import pathlib; pathlib.Path('done').touch()"
    diary = Diary()
    jobs = [job(tmp_path, "slow", wait), *(job(tmp_path, name) for name in "ab"), job(tmp_path, "last", done)]
    assert run_jobs(jobs, elsewhere(hosts, 1, ["7"]), diary) == {}
    assert (said(tmp_path, "slow"), said(tmp_path, "a"), said(tmp_path, "b")) == (["7 one"], ["7 two"], ["7 two"])
    assert diary.lines[0] == f"slow started on {hosts[0] if len(hosts[0]) <= 60 else hosts[0][:57] + '...'}"


def test_the_command_reaches_the_other_shell_as_one_word(tmp_path):
    """As ssh passes its words on: joined by spaces, and read by a shell once more."""
    ssh = (
        f'{sys.executable} -c "import subprocess,sys; sys.exit(subprocess.call(chr(32).join(sys.argv[1:]),shell=True))"'
    )
    tricky = "print('a b; $HOME `x` \"q\"')"
    assert run_jobs([job(tmp_path, "a", tricky)], elsewhere([f"{ssh} cd / && {{}}"], 1), Diary()) == {}
    assert said(tmp_path, "a") == ['a b; $HOME `x` "q"']


GONE = "sh -c 'echo Connection refused >&2; exit 255 # {}'"


def test_a_host_that_vanishes_gets_nothing_more_and_its_job_is_started_elsewhere(tmp_path):
    diary = Diary()
    jobs = [job(tmp_path, name) for name in "abc"]
    assert run_jobs(jobs, elsewhere([GONE, "sh -c {}"], 2), diary) == {}
    assert sum("lost" in line for line in diary.lines) <= 2  # both of its places had one at most
    assert {line for line in diary.lines if "ended" in line} == {f"{name} ended: None" for name in "abc"}


def test_where_no_host_is_left_there_are_gaps(tmp_path):
    failures = run_jobs([job(tmp_path, name) for name in "ab"], elsewhere([GONE], 1), Diary())
    assert failures["a"] == f"connection lost: {GONE}: Connection refused"
    assert failures["b"] == f"not run: no machine is left: {GONE}"


def test_a_job_that_loses_two_hosts_is_given_up(tmp_path):
    other = GONE.replace("refused", "reset")
    diary = Diary()
    failures = run_jobs([job(tmp_path, "a")], elsewhere([GONE, other, "sh -c {}"], 1), diary)
    assert failures == {"a": f"connection lost: {other}: Connection reset"}
    assert [line.split()[1] for line in diary.lines] == ["started", "lost", "started", "ended:"]


# SLURM: a stand-in that runs what is submitted, at once, and remembers with which words.
SBATCH = """#!{python}
import os, pathlib, re, subprocess, sys
here = pathlib.Path({folder!r})
number = len(list(here.glob("call-*"))) + 100
(here / f"call-{{number}}").write_text("\\n".join(sys.argv[1:]))
words = dict(word[2:].split("=", 1) for word in sys.argv[1:-1] if "=" in word)
before = dict(line.split("=") for line in (here / "codes").read_text().split()) if (here / "codes").exists() else {{}}
needed = words.get("dependency", ":").split(":")[1]
for task in words["array"].split("%")[0].split(","):
    if needed and before.get(needed) != "0":
        continue  # afterok
    environment = {{**os.environ, "SLURM_ARRAY_TASK_ID": task, "SLURM_CPUS_PER_TASK": "3"}}
    code = subprocess.call(["bash", os.path.abspath(sys.argv[-1])], env=environment, cwd="/")
    with (here / "codes").open("a") as codes:
        codes.write(f"{{number}}_{{task}}={{code}}\\n")
print(f"{{number}};cluster")
"""


@pytest.fixture
def sbatch(commands, tmp_path):
    folder = tmp_path / "slurm"
    folder.mkdir()
    commands("sbatch", SBATCH.format(python=sys.executable, folder=str(folder)))
    return lambda: [call.read_text().splitlines() for call in sorted(folder.glob("call-*"))]


def test_slurm_runs_teachers_first_and_no_student_of_one_that_failed(sbatch, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    threads = "import os; print(os.environ['OMP_NUM_THREADS'], os.getcwd(), 'it''s \\'$HOME\\'')"
    out = Path("a folder")
    out.mkdir()
    jobs = [
        job(out, "teacher", threads),
        job(out, "bad teacher", "raise SystemExit('potstill: no data')"),
        job(out, "alone"),
        job(out, "student", needs="teacher"),
        job(out, "orphan", needs="bad teacher"),
        job(out, "known teacher's", needs="of an earlier command"),
        job(out, "student's student", needs="student"),
    ]
    slurm = Slurm("tiny", out, ("--partition=gpu",), 2, gpu=True)
    assert slurm.submit(jobs) == ["100", "101", "102", "103"]
    calls = sbatch()
    assert [call[1] for call in calls] == ["--array=0,1,2,5%2", "--array=3%2", "--array=4%2", "--array=6%2"]
    assert [call[3] for call in calls[1:]] == [f"--dependency=afterok:{task}" for task in ("100_0", "100_1", "101_3")]
    assert all(call[-2:] == ["--partition=gpu", "a folder/slurm.sh"] for call in calls)
    assert said(out, "teacher") == [f"3 {tmp_path} its '$HOME'"]
    assert {name for name in ("student", "alone", "known teacher's", "student's student") if said(out, name)}
    assert not (out / "orphan.log").exists()
    script = (out / "slurm.sh").read_text()
    assert "\n#SBATCH --gres=gpu:1\n" in script
    assert "\n#SBATCH --signal=B:TERM@120\n" in script


def test_what_sbatch_refuses_is_said(commands, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    commands("sbatch", "#!/bin/sh\necho 'sbatch: error: invalid partition specified: gpu' >&2; exit 1\n")
    with pytest.raises(BadInput, match=r"sbatch has not taken slurm\.sh: sbatch: error: invalid partition"):
        Slurm("tiny", Path(), (), None, gpu=False).submit([job(tmp_path, "a")])


@by_hand
def test_a_table_by_slurm_and_collected(sbatch, tmp_path, monkeypatch, capsys):
    settings = {"data": "digits", "epochs": 1, "batch_size": 500}
    rows = [
        Row("teacher", "supervised", {"network": "resnet8"}, settings),
        Row("student", "distill", {"student": "resnet8"}, settings, "teacher"),
        Row("broken", "supervised", {"network": "resnet8"}, {**settings, "lr": -1.0}),
    ]
    monkeypatch.setattr(tables, "__all__", [*tables.__all__, "tiny"])
    monkeypatch.setattr(tables, "tiny", Table("Tiny.", "", "digits", "SGD", 1, lambda _: rows), raising=False)
    monkeypatch.chdir(tmp_path)
    words = ["table", "tiny", "--seeds", "1", "--out", "out"]
    assert main([*words, "--collect", "--json"]) == 0  # nothing is there, and nothing is run
    assert json.loads(capsys.readouterr().out)["missing"] == ["teacher seed 0", "student seed 0", "broken seed 0"]
    assert sbatch() == []

    assert main([*words, "--via", "slurm --time=1:00:00"]) == 0
    assert "3 runs are with SLURM (100, 101), as out/slurm.sh says" in capsys.readouterr().err
    assert main([*words, "--collect", "--json"]) == 0
    collected = capsys.readouterr()
    assert [row["seeds"] for row in json.loads(collected.out)["rows"]] == [[0], [0], []]
    assert collected.err == "potstill: 1 of 3 runs are not there yet\n"
    assert (tmp_path / "out" / "report.html").is_file()
    assert "--lr must be positive, not -1.0" in (tmp_path / "out" / "broken" / "seed-0.log").read_text()

    assert main([*words, "--via", "slurm"]) == 0  # again: only what is missing
    assert [call[1] for call in sbatch()] == ["--array=0,2", "--array=1", "--array=0"]


@pytest.mark.parametrize(("sweep", "message"), [
    ({"via": ("ssh a",)}, "--via 'ssh a' has no {}, in whose place the command goes"),
    ({"via": ("slrum",)}, "--via 'slrum' is no way to run; did you mean slurm?"),
    ({"via": ("ssh a 'b {}",)}, "--via \"ssh a 'b {}\" is no command: no closing quotation"),
    ({"via": ("ray", "ssh a {}")}, "--via ray is a way of its own: leave out the others"),
    ({"via": ("ray 10.0.0.1",)}, "--via 'ray 10.0.0.1': ray stands alone; $RAY_ADDRESS says which cluster"),
    ({"via": ("slurm",)}, "--via slurm needs sbatch, which is not here: run the command where jobs are submitted"),
    ({"via": ("slurm",), "gpus": "4"}, "--gpus 4: SLURM gives each run its own GPU; say --gpus 1, and --jobs how many"),
    ({"via": ("ssh a {}",), "gpus": "all"}, "--gpus all: how many other hosts have is not known here; give a number"),
    ({"gpus": "1"}, "--gpus 1: there is no GPU here; leave it out"),
])  # fmt: skip
def test_bad_input(sweep, message, monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput) as caught:
        Sweep(**sweep).way("tiny", tmp_path, "auto")
    assert str(caught.value).startswith(message)


def test_ray_that_is_not_installed(monkeypatch, tmp_path):
    monkeypatch.setattr("potstill.tables.runners.ray_cluster.find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"needs Ray, which is not installed: pip install 'potstill\[ray\]'"):
        Sweep(via=("ray",)).way("tiny", tmp_path, "auto")


def test_a_device_and_gpus_and_what_collect_leaves_out(tmp_path):
    with pytest.raises(BadInput, match="--device cuda:1 and --gpus: each run sees its own GPU alone"):
        Sweep(gpus="1").way("tiny", tmp_path, "cuda:1")
    with pytest.raises(BadInput, match="--collect runs nothing: leave out --via"):
        Sweep(collect=True, via=("ray",))


def test_ask_for_no_torch():
    """A table that starts elsewhere starts at once."""
    code = f"import sys; sys.path[:0] = {sys.path!r}\nfrom potstill.tables.sweep import Sweep\n"
    code += "Sweep(via=('ssh a {}',), gpus='2', jobs=4).way('t', None, 'auto')\n"
    code += "import json; print(json.dumps([m for m in ('torch', 'ray', 'numpy') if m in sys.modules]))"
    assert json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout) == []
