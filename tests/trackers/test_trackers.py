"""Trackers as they are: Weights & Biases offline, MLflow in a folder or a database, Trackio on this machine."""

import json
import os
import re
import shlex
import struct
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

import potstill as ps
from potstill.cli import main
from potstill.engine.checkpoint import fingerprint
from potstill.engine.recorders import flat
from potstill.errors import BadInput
from potstill.trackers.patient import Patient, read_known
from potstill.trackers.told import outcome

pytestmark = pytest.mark.filterwarnings("ignore")  # of the trackers' own dependencies
SHORT = ps.Training(data="digits", epochs=3, batch_size=30, images=60, test_images=30, lr=0.05, device="cpu")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "trackers.md"
TRACKIO = pytest.mark.skipif(find_spec("trackio") is None, reason="trackio takes Pillow before 13, and is not here")


class Stop(Exception):
    """Stands for a kill."""


def train(out, log, stop_in=None, data=None):
    training = replace(SHORT, out=out, log=log)
    data = data or training.load_data()
    student = ps.networks.create("resnet8", seed=0)

    def stop(distiller):
        if distiller.epoch == stop_in:
            raise Stop

    terms = [
        ps.Term(ps.losses.CE(), "student", "labels"),
        ps.Term(ps.losses.CE(label_smoothing=0.1), "student", "labels", name="CE(label_smoothing=0.1)"),
    ]
    distiller = ps.Distiller({"student": student}, terms, data.example())
    try:
        ps.fit(distiller, data, training, {"recipe": "own", "shape": [1, 2]}, after_step=stop)
    except Stop:
        assert stop_in is not None
    return student


def history(out):
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def summary(out):
    return json.loads((out / "summary.json").read_text())


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trackers")
    uri = f"sqlite:///{folder / 'mlflow.db'}" if os.environ.get("POTSTILL_WHOLE") else f"file://{folder / 'mlruns'}"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, value in {
            "WANDB_MODE": "offline",
            "MLFLOW_TRACKING_URI": uri,
            "MLFLOW_ALLOW_FILE_STORE": "true",
            "TRACKIO_DIR": str(folder / "trackio"),
        }.items():
            patch.setenv(name, value)
        yield folder


@pytest.fixture(scope="module")
def stopped_and_resumed(places):
    """A run with two trackers, killed in its second epoch and gone on with; and the same without any."""
    out = places / "table" / "seed-0"
    train(out, ("wandb", "mlflow"), stop_in=1)
    halfway = status_of(json.loads((out / "trackers.json").read_text())["mlflow"]["id"])
    return out, halfway, train(out, ("wandb", "mlflow")), train(places / "bare", ())


def status_of(run):
    from mlflow import MlflowClient

    return MlflowClient().get_run(run).info.status


def test_trackers_change_no_bit(stopped_and_resumed, places):
    out, _, tracked, bare = stopped_and_resumed
    assert fingerprint(tracked) == fingerprint(bare)
    assert not list(out.glob("events*"))
    assert not (places / "bare" / "trackers.json").exists()
    config = json.loads((out / "config.json").read_text())
    assert config["arguments"]["log"] == ["wandb", "mlflow"]


def test_mlflow_has_every_epoch_once_in_one_run(stopped_and_resumed):
    from mlflow import MlflowClient

    out, halfway, *_ = stopped_and_resumed
    client = MlflowClient()
    known = json.loads((out / "trackers.json").read_text())["mlflow"]
    run = client.get_run(known["id"])
    experiment = client.get_experiment_by_name("potstill")
    assert [one.info.run_id for one in client.search_runs([experiment.experiment_id])] == [known["id"]]
    assert (halfway, run.info.status, run.info.run_name) == ("KILLED", "FINISHED", "table/seed-0")
    assert known["epochs"] == 3
    for name, value in flat(history(out)[1]):
        key = re.sub(r"[=()]", "_", name)
        told = client.get_metric_history(known["id"], key)
        assert [one.step for one in told] == [0, 1, 2], name
        assert told[1].value == pytest.approx(value, rel=1e-12), name
    assert len(flat(history(out)[1])) > 8
    assert run.data.params["lr"] == "0.05"
    assert run.data.params["shape"] == "[1, 2]"
    assert run.data.params["recipe"] == "own"
    assert "teacher_cache" in run.data.params
    assert run.data.metrics.items() >= outcome(summary(out)).items()


def records(file):
    """What a file of Weights & Biases holds: a log in the format of LevelDB, of their messages."""
    from wandb.proto import wandb_internal_pb2

    content, at, whole = file.read_bytes(), 7, b""
    while at < len(content):
        if (left := 32768 - at % 32768) < 7:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", content[at : at + 7])
        whole, at = whole + content[at + 7 : at + 7 + length], at + 7 + length
        if kind in (1, 4):  # whole, or a last part
            record = wandb_internal_pb2.Record()
            record.ParseFromString(whole)
            yield record
            whole = b""


def items(found):
    return {"/".join(one.nested_key) or one.key: json.loads(one.value_json) for one in found}


def test_wandb_has_every_epoch_once_in_two_parts_of_one_run(stopped_and_resumed):
    out, *_ = stopped_and_resumed
    known = json.loads((out / "trackers.json").read_text())["wandb"]
    parts = [[*records(file)] for file in sorted(out.glob("wandb/offline-run-*/*.wandb"))]
    kinds = [[record.WhichOneof("record_type") for record in part] for part in parts]
    (begun,), (going_on,) = (
        [record.run for record, kind in zip(part, kind, strict=True) if kind == "run"]
        for part, kind in zip(parts, kinds, strict=True)
    )
    assert begun.run_id == going_on.run_id == known["id"]
    assert (begun.project, begun.display_name) == ("potstill", "table/seed-0")
    assert items(begun.config.update).items() >= {"lr": 0.05, "recipe": "own", "shape": [1, 2]}.items()
    told = [
        [items(record.history.item) for record in part if record.WhichOneof("record_type") == "history"]
        for part in parts
    ]
    assert [[one["_step"] for one in part] for part in told] == [[0], [1, 2]]
    for record, one in zip(history(out), [*told[0], *told[1]], strict=True):
        assert one.items() >= dict(flat(record)).items()
    ends = [record.exit.exit_code for part in parts for record in part if record.WhichOneof("record_type") == "exit"]
    assert ends == [1, 0]
    came_out = {}
    for record in parts[1]:
        came_out |= items(record.summary.update)
    assert came_out.items() >= outcome(summary(out)).items()


@TRACKIO
def test_trackio_has_every_epoch_once_in_one_run(places):
    import trackio
    from trackio.sqlite_storage import SQLiteStorage

    out = places / "with" / "trackio"
    train(out, ("trackio",), stop_in=1)
    train(out, ("trackio",))
    (run,) = [one for one in trackio.Api().runs("potstill") if one.name.startswith("with/trackio-")]
    assert run.config.items() >= {"recipe": "own", "lr": 0.05}.items()
    told = SQLiteStorage.get_logs("potstill", run.name, run_id=run.id)
    last = [row for row in told if "summary/seconds" in row]
    assert [row["step"] for row in told if "summary/seconds" not in row] == [0, 1, 2]
    assert len(last) == 1
    assert told[1].items() >= dict(flat(history(out)[1])).items()
    assert last[0].items() >= outcome(summary(out)).items()


def test_nobody_listens_and_the_run_goes_on(stopped_and_resumed, tmp_path, monkeypatch, capsys):
    """What a kill, or a server that did not answer, has kept from a tracker is told at the next start."""
    from mlflow import MlflowClient

    out, data = tmp_path / "out", SHORT.load_data()
    with monkeypatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        train(out, ("mlflow",), stop_in=2, data=data)
    assert len(history(out)) == 2
    assert not (out / "trackers.json").exists()
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("tracker")]
    assert len(lines) == 2
    assert re.match("tracker mlflow fails, the run goes on and tries it again later: .*127.0.0.1", lines[0])
    assert lines[1] == f"tracker mlflow was not told epochs 0 to 1, which {out}/metrics.jsonl has"
    assert fingerprint(train(out, ("mlflow",), data=data)) == fingerprint(stopped_and_resumed[3])
    known = json.loads((out / "trackers.json").read_text())["mlflow"]
    assert [one.step for one in MlflowClient().get_metric_history(known["id"], "lr")] == [0, 1, 2]


class Moody:
    """A tracker that works in turns."""

    def __init__(self, told):
        self.id, self.where, self.steps, self.works, self.ends = told.id or "x", "here", [], True, []

    def log(self, record):
        if not self.works:
            raise ConnectionError("asleep\nand more")
        self.steps.append(record["epoch"])

    def finish(self, summary):
        self.ends.append(summary)

    def close(self):
        self.ends.append("closed")


@pytest.fixture
def patient(tmp_path, monkeypatch):
    monkeypatch.setattr("potstill.trackers.patient.PAUSE", 0.0)
    said = []
    config = {"recipe": "r", "arguments": {}, "networks": {}, "versions": {}, "device": "cpu"}
    run = SimpleNamespace(path=tmp_path, recorded=config, write=lambda files: None)
    return Patient(
        "moody", Moody, run, {"moody": {"id": "y", "epochs": 2}}, [{"epoch": i} for i in range(3)], said.append
    ), said


def test_what_it_missed_is_told_when_it_works_again(patient):
    patient, said = patient
    tracker = patient.tracker
    assert (tracker.id, tracker.steps) == ("y", [2])
    patient.log({"epoch": 1})  # of a checkpoint before the last
    tracker.works = False
    for epoch in (3, 4):
        patient.log({"epoch": epoch})
    assert said[1:] == ["tracker moody fails, the run goes on and tries it again later: asleep"]
    tracker.works, patient.again = True, 0.0
    patient.log({"epoch": 5})
    assert tracker.steps == [2, 3, 4, 5]
    assert said[2:] == ["tracker moody works again, and was told what it had missed"]
    patient.finish({"epochs": 6})
    patient.close()
    assert tracker.ends == [{"epochs": 6}, "closed"]
    assert patient.known["moody"] == {"id": "y", "epochs": 6}
    assert len(said) == 3


def test_it_is_not_asked_at_every_epoch(patient, monkeypatch):
    patient, _ = patient
    monkeypatch.setattr("potstill.trackers.patient.PAUSE", 60.0)
    tracker, tracker_works = patient.tracker, patient.tracker.log
    tracker.works = False
    patient.log({"epoch": 3})
    tracker.works, tracker.log = True, pytest.fail
    patient.log({"epoch": 4})
    tracker.log = tracker_works
    patient.finish({"epochs": 5})
    assert tracker.steps == [2, 3, 4]


def test_a_damaged_list_of_trackers_stops_no_run(tmp_path):
    said = []
    for content in ("{", '{"wandb": 3}', '{"wandb": {"id": "a"}}', "[]"):
        (tmp_path / "trackers.json").write_text(content)
        assert read_known(SimpleNamespace(path=tmp_path), said.append) == {}
    assert len(said) == 4
    assert all(line.endswith("; trackers begin anew") for line in said)


@pytest.mark.skipif(find_spec("trackio") is not None, reason="it is installed here")
def test_a_tracker_that_is_not_installed(tmp_path, capsys):
    flags = "--network resnet8 --data digits --epochs 1 --images 20 --test-images 20 --log trackio"
    words = ["supervised", *flags.split(), "--out", str(tmp_path / "run")]
    assert main(words) == 2
    said = "potstill: --log trackio: trackio is not installed; it needs: pip install potstill[log]\n"
    assert capsys.readouterr().err.endswith(said)
    assert not (tmp_path / "run").exists()


def test_a_tracker_that_there_is_not():
    with pytest.raises(BadInput, match="mlflow"):
        ps.Training(log=("mflow",))


def test_the_page_runs(places, capsys):
    (block,) = re.findall(r"```sh\n(potstill .*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for command in block.splitlines():
        assert main(shlex.split(command)[1:]) == 0, capsys.readouterr().err
    said = capsys.readouterr().err
    assert "tracker wandb: offline, in runs/tracked/wandb" in said
    assert "tracker mlflow: experiment potstill of " in said
    assert list(Path("runs/tracked").glob("events*"))
