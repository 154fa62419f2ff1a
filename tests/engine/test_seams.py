"""`fit` is open at four places, and somebody else's loader trains as ours do."""

import json
from dataclasses import replace

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.compat.proto.event_pb2 import SessionLog
from torch import nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, TensorDataset

import potstill as ps
from potstill.data.digits import digits
from potstill.engine.checkpoint import fingerprint
from potstill.engine.recorders import Recorders
from potstill.errors import BadInput, TrainingFailed
from potstill.losses import CE, KD
from potstill.training import Training

SHORT = Training(data="digits", epochs=3, batch_size=100, images=300, test_images=100, lr=0.05)


def build(example, student="resnet8", **networks):
    networks = {"student": ps.networks.create(student, seed=0), **networks}
    terms = [ps.Term(CE(), "student", "labels")]
    terms += [ps.Term(KD(), "student", name) for name in networks if name != "student"]
    return ps.Distiller(networks, terms, example=example)


def run(out, data=None, distiller=None, **seams):
    training = replace(SHORT, out=out)
    data = data or training.load_data()
    distiller = distiller or build(data.example())
    return ps.fit(distiller, data, training, **seams), distiller


def history(out):
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


class Stop(Exception):
    """Stands for a kill."""


def stopping_after(steps, then=lambda distiller: None):
    left = [steps]

    def after_step(distiller):
        then(distiller)
        left[0] -= 1
        if not left[0]:
            raise Stop

    return after_step


def noise(batch):
    return {**batch, "images": batch["images"] + torch.rand(()) * torch.randn_like(batch["images"])}


def own_data(**settings):
    train = TensorDataset(*(part[:300] for part in _tensors()))
    test = TensorDataset(*(part[300:400] for part in _tensors()))
    return ps.data.from_loaders(
        DataLoader(train, batch_size=100, shuffle=True, **settings), DataLoader(test, batch_size=50), classes=10
    )


def _tensors():
    images, labels = digits()[0].images, digits()[0].labels
    return images.permute(0, 3, 1, 2).float() / 255, labels


@pytest.mark.parametrize("data", [None, "own", "own with a worker"])
def test_stopped_in_the_middle_of_an_epoch_everything_goes_on_to_the_same_bits(tmp_path, data):
    """With transforms, somebody's own shuffling loader, and averaged weights."""

    def make():
        settings = {} if data != "own with a worker" else {"num_workers": 1}
        given = SHORT.load_data() if data is None else own_data(**settings)
        distiller = build(given.example(), teacher=ps.freeze(ps.networks.create("resnet8", seed=5)))
        return given, distiller, AveragedModel(distiller.networks["student"])

    def averaging(model):
        def after_step(distiller):
            model.update_parameters(distiller.networks["student"])

        after_step.state_dict, after_step.load_state_dict = model.state_dict, model.load_state_dict
        return after_step

    given, whole, average = make()
    run(tmp_path / "whole", given, whole, transforms=[noise], after_step=averaging(average))

    given, stopped, model = make()
    first = averaging(model)
    stopping = stopping_after(5, first)
    stopping.state_dict, stopping.load_state_dict = model.state_dict, model.load_state_dict
    with pytest.raises(Stop):
        run(tmp_path / "stopped", given, stopped, transforms=[noise], after_step=stopping)
    assert len(history(tmp_path / "stopped")) == 1

    torch.manual_seed(99)
    given, resumed, model = make()
    run(tmp_path / "stopped", given, resumed, transforms=[noise], after_step=averaging(model))
    assert fingerprint(resumed.networks["student"]) == fingerprint(whole.networks["student"])
    assert fingerprint(model) == fingerprint(average)
    assert fingerprint(whole.networks["student"]) != fingerprint(build(given.example()).networks["student"])


def test_transforms_draw_by_seed_epoch_and_step_and_disturb_nothing(tmp_path):
    drawn = []

    def draw(batch):
        drawn.append(round(float(torch.rand(())), 6))
        return batch

    _, plain = run(tmp_path / "plain")
    _, drawing = run(tmp_path / "drawing", transforms=[draw])
    assert fingerprint(plain.networks["student"]) == fingerprint(drawing.networks["student"])
    assert len(set(drawn)) == len(drawn) == 9
    again, drawn[:] = list(drawn), []
    run(tmp_path / "again", transforms=[draw])
    assert drawn == again


def test_student_and_teacher_see_the_same_transformed_images(tmp_path):
    seen = {"student": [], "teacher": []}
    data = SHORT.load_data()
    distiller = build(data.example(), teacher=ps.freeze(ps.networks.create("resnet8", seed=5)))

    def watch(sums):
        def hook(module, args):
            if torch.is_grad_enabled() or not distiller.networks["student"].training:
                return
            sums.append(float(args[0].sum()))

        return hook

    distiller.networks["teacher"].register_forward_pre_hook(watch(seen["teacher"]))
    distiller.networks["student"].register_forward_pre_hook(
        lambda module, args: seen["student"].append(float(args[0].sum())) if module.training else None
    )
    run(tmp_path / "run", data, distiller, transforms=[noise])
    assert len(seen["student"]) == 9
    assert [value for value in seen["teacher"] if value in seen["student"]] == seen["student"]


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (lambda batch: {k: v[:50] if v.dim() else v for k, v in batch.items()}, "of 50 images out of one of 100"),
        (lambda batch: None, ": a batch is a dictionary .* not a NoneType"),
        (lambda batch: batch["nothing"], ": it failed: KeyError: 'nothing'"),
    ],
)
def test_a_transform_that_gives_no_whole_batch_is_named(tmp_path, transform, message):
    class Halving:
        def __call__(self, batch):
            return transform(batch)

    with pytest.raises(BadInput, match=rf"transform Halving.*{message}"):
        run(tmp_path / "other", transforms=[Halving()])

    def half(batch):
        return transform(batch)

    with pytest.raises(BadInput, match=rf"transform half.*{message}"):
        run(tmp_path / "run", transforms=[half])


class Recorder:
    def __init__(self):
        self.records, self.closed = [], 0

    def log(self, record):
        self.records.append(record)

    def close(self):
        self.closed += 1


class Failing(Recorder):
    def log(self, record):
        raise ConnectionError("no network\nand more")


def test_recorders_are_told_every_epoch_and_one_that_fails_is_named(tmp_path, capsys):
    good, bad = Recorder(), Failing()
    run(tmp_path / "run", recorders=[bad, good])
    assert good.records == history(tmp_path / "run")
    assert good.closed == bad.closed == 1
    said = capsys.readouterr().err
    assert said.count("recorder Failing cannot record epoch") == 3
    assert "the run goes on: no network\n" in said
    assert "TensorBoard" not in said
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    assert [event.value for event in events.Scalars("learners/student/test/top1")] == pytest.approx(
        [record["learners"]["student"]["test"]["top1"] for record in good.records]
    )


def test_recorders_are_closed_when_a_run_breaks_off(tmp_path):
    recorder = Recorder()
    with pytest.raises(Stop):
        run(tmp_path / "run", recorders=[recorder], after_step=stopping_after(2))
    assert recorder.closed == 1


def test_the_first_number_of_a_measure_chooses_the_best_epoch(tmp_path):
    values = iter([0.3, 0.9, 0.5])

    def measure(network, batches):
        return {"score": torch.tensor(next(values)), "batches": len(list(batches))}

    summary, _ = run(tmp_path / "run", measure=measure)
    student = summary["learners"]["student"]
    assert student["best"]["epoch"] == 1
    assert student["last"]["test"] == {"score": pytest.approx(0.5), "batches": 1}


@pytest.mark.parametrize(
    ("result", "message"),
    [(0.5, "measure gives numbers by name.*not 0.5"), ({}, "not {}"), ({"a": "high"}, "'a' is 'high'")],
)
def test_a_measure_gives_numbers_by_name(tmp_path, result, message):
    with pytest.raises(BadInput, match=message):
        run(tmp_path / "run", measure=lambda network, batches: result)


def test_a_measure_of_ones_own_is_of_every_learner(tmp_path):
    images = [torch.randn(20, 3, 8, 8)] * 2
    data = ps.data.from_loaders(images, images)
    networks = {
        "student": ps.networks.create("resnet8"),
        "teacher": ps.freeze(ps.networks.create("resnet8", 7, seed=1)),
    }
    terms = [ps.Term(ps.losses.AT(), "student.stage3", "teacher.stage3")]
    distiller = ps.Distiller(networks, terms, data.example())
    summary, _ = run(tmp_path / "run", data, distiller, measure=lambda network, batches: {"images": 40})
    assert summary["learners"]["student"]["last"]["test"] == {"images": 40}
    assert summary["teachers"]["teacher"].keys() == {"parameters", "macs"}


def test_a_measure_that_finds_a_loss_that_is_not_finite_ends_the_run(tmp_path):
    with pytest.raises(TrainingFailed, match="student gives no finite output after epoch 0"):
        run(tmp_path / "run", measure=lambda network, batches: {"top1": 1.0, "loss": float("inf")})


@pytest.mark.parametrize("epoch", [0, 2])
def test_weights_that_broke_are_never_saved_even_if_nothing_is_measured(tmp_path, epoch):
    data = ps.data.from_loaders([torch.randn(20, 3, 8, 8)])
    teacher = ps.freeze(ps.networks.create("resnet8", seed=1))
    terms = [ps.Term(ps.losses.AT(), "student.stage3", "teacher.stage3")]
    distiller = ps.Distiller({"student": ps.networks.create("resnet8"), "teacher": teacher}, terms, data.example())

    def poison(distiller):
        if distiller.epoch == epoch:
            nn.init.constant_(distiller.networks["student"].fc.weight, float("nan"))

    with pytest.raises(TrainingFailed, match=f"student gives no finite output after epoch {epoch}"):
        run(tmp_path / "run", data, distiller, after_step=poison)
    assert (tmp_path / "run" / "student.safetensors").is_file() == (epoch > 0)


def test_an_own_loader_without_labels_cannot_be_measured_by_accuracy(tmp_path):
    images, labels = torch.randn(20, 3, 8, 8), torch.arange(20) % 10
    data = ps.data.from_loaders([(images, labels)], [images], classes=10)
    with pytest.raises(BadInput, match="images to measure accuracy on need labels, but a batch has only images"):
        run(tmp_path / "run", data)
    with pytest.raises(BadInput, match="term 'CE student' needs labels, and the images have none"):
        build({"images": images})


def test_classes_are_compared_where_they_are_known(tmp_path):
    images, labels = torch.randn(20, 3, 8, 8), torch.arange(20) % 10
    with pytest.raises(BadInput, match="student has 10 classes, but own loaders has 3"):
        run(tmp_path / "run", ps.data.from_loaders([(images, labels)], classes=3))
    run(tmp_path / "unknown", ps.data.from_loaders([(images, labels)]))


def test_progress_is_the_part_of_the_training_that_is_done(tmp_path):
    seen = []

    def note(student, epoch, progress):
        seen.append((float(epoch), round(float(progress), 4)))
        return student.mean() * 0

    data = SHORT.load_data()
    terms = [ps.Term(CE(), "student", "labels"), ps.Term(note, "student", "epoch", "progress")]
    run(tmp_path / "run", data, ps.Distiller({"student": ps.networks.create("resnet8")}, terms, data.example()))
    assert seen[:4] == [(0, 0), (0, 0.1111), (0, 0.2222), (1, 0.3333)]
    assert seen[-1] == (2, 0.8889)


class Stream(torch.utils.data.IterableDataset):
    def __iter__(self):
        return iter(zip(*_tensors(), strict=True))


def test_a_stream_that_knows_no_length_trains_and_is_measured(tmp_path):
    loader = DataLoader(Stream(), batch_size=100)
    summary, _ = run(tmp_path / "run", ps.data.from_loaders(loader, loader, classes=10, holdout=loader))
    assert summary["best_chosen_on"] == "holdout"
    assert summary["learners"]["student"]["last"]["test"]["n"] == 1000
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["arguments"]["data"] == config["data"]["name"] == "own loaders"


@pytest.mark.parametrize(
    ("seam", "message"),
    [
        ({"transforms": noise}, r"transforms is a list of functions.*transforms=\[mixup\]"),
        ({"transforms": ["mixup"]}, "transforms is a list of functions"),
        ({"measure": "top1"}, "measure is a function of a network and batches, not a str"),
        (
            {"recorders": [print]},
            r"a recorder has log\(record\) and close\(\), but a builtin_function_or_method has not",
        ),
        ({"after_step": 3}, "after_step is a function of the distiller, not a int"),
    ],
)
def test_what_does_not_fit_a_seam_is_said_before_anything_is_written(tmp_path, seam, message):
    with pytest.raises(BadInput, match=message):
        run(tmp_path / "run", **seam)
    assert not (tmp_path / "run").exists()


def test_bare_batches_are_no_data(tmp_path):
    images, labels = torch.randn(20, 3, 8, 8), torch.arange(20) % 10
    with pytest.raises(BadInput, match=r"data is a list: give .* from_loaders"):
        run(tmp_path / "run", [(images, labels)], build((images, labels)))


def test_a_recorder_that_does_not_close_is_named():
    class Stuck:
        def log(self, record):
            pass

        def close(self):
            raise OSError("no answer")

    said = []
    with Recorders([Stuck()], said.append):
        pass
    (line,) = said
    assert "Stuck" in line
    assert "cannot close" in line
    assert "no answer" in line


def test_curves_forget_what_a_killed_process_wrote_after_the_last_epoch_that_was_saved(tmp_path):
    with pytest.raises(Stop):
        run(tmp_path / "run", after_step=stopping_after(4))  # in epoch 1
    before = {*(tmp_path / "run").glob("events*")}
    run(tmp_path / "run")
    (file,) = {*(tmp_path / "run").glob("events*")} - before
    starts = [event for event in EventFileLoader(str(file)).Load() if event.HasField("session_log")]
    assert [(event.session_log.status, event.step) for event in starts] == [(SessionLog.START, 1)]


def test_a_recorder_that_cannot_be_closed_is_refused(tmp_path):
    class Endless:
        def log(self, record):
            pass

    with pytest.raises(BadInput, match="but a Endless has not both"):
        run(tmp_path / "run", recorders=[Endless()])


def test_a_run_that_is_finished_gives_back_what_after_step_had_come_to(tmp_path):
    def averaged():
        distiller = build(SHORT.load_data().example())
        model = AveragedModel(distiller.networks["student"])

        def after_step(distiller):
            model.update_parameters(distiller.networks["student"])

        after_step.state_dict, after_step.load_state_dict = model.state_dict, model.load_state_dict
        run(tmp_path / "run", distiller=distiller, after_step=after_step)
        return fingerprint(model)

    assert averaged() == averaged()
    assert averaged() != fingerprint(AveragedModel(build(SHORT.load_data().example()).networks["student"]))
