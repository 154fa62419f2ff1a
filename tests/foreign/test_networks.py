"""Other people's networks: what they may return and do, and how it is said that they cannot be used."""

import json
import re
import warnings
from pathlib import Path

import pytest
import torch
from foreign import odd
from torch import nn

import potstill as ps
from potstill.cli import main
from potstill.errors import BadInput
from potstill.losses import AT, CE, KD, Sobolev
from potstill.memory_layout import keeps_contiguous, lay_out
from potstill.network_call import call

FILE = Path(odd.__file__)
SETTINGS = "--data digits --images 32 --test-images 20 --batch-size 16 --epochs 1 --device cpu"


@pytest.fixture
def batch():
    return torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(4)


@pytest.fixture(autouse=True)
def _same_weights():
    torch.manual_seed(0)


def distiller(network, batch, role="student"):
    other = ps.networks.create("resnet8", seed=0)
    networks = {"student": network} if role == "student" else {"student": other, "teacher": ps.freeze(network)}
    terms = [ps.Term(CE(), "student", "labels")]
    if role == "teacher":
        terms.append(ps.Term(KD(), "student", "teacher"))
    return ps.Distiller(networks, terms, batch, classifiers=[*networks])


# C7: outputs that are not a tensor
@pytest.mark.parametrize("role", ["student", "teacher"])
@pytest.mark.parametrize("kind", ["Dictionary", "Pair", "PairInTraining", "Listed", "Dataclass", "Double"])
def test_what_holds_logits_is_trained_and_measured(batch, kind, role):
    network = getattr(odd, kind)()
    total, _ = distiller(network, batch, role)(batch)
    total.backward()
    assert ps.evaluate(network, [batch])["n"] == 4


@pytest.mark.parametrize("kind", ["Dictionary", "View", "Lazy"])  # C7, C1
def test_every_command_takes_it(kind, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(FILE.parent)
    spec, run, again = f"odd.py:{kind}", str(tmp_path / "run"), str(tmp_path / "again")
    assert main(["supervised", "--network", spec, *SETTINGS.split(), "--out", run]) == 0
    said = "student" if kind != "View" else f"{spec} needs its maps contiguous, as .view does"
    assert said in capsys.readouterr().err
    terms = ["--terms", "CE", "KD", *(["AT on early=early"] if kind != "Lazy" else [])]
    assert main(["distill", "--student", spec, "--teacher", run, *SETTINGS.split(), "--out", again, *terms]) == 0
    assert main(["evaluate", "--network", run, "--data", "digits", "--device", "cpu"]) == 0
    assert main(["describe", run]) == 0
    to = "safetensors" if kind == "View" else "torch"
    assert main(["export", run, "--to", to, "--no-latency"]) == 0
    assert "top-1 is the same for 100 %" in " ".join(capsys.readouterr().out.split())


# C6: a network's own errors; C7: what holds no logits; C11
@pytest.mark.parametrize("role", ["student", "teacher"])
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("Nothing", "returns None without a tensor in it"),
        ("Array", "returns a ndarray without a tensor in it"),
        ("Wide", r"gives a tensor of shape \(2, 10, 1, 1\) for 2 images, not logits \(2, K\)"),
        ("Transposed", r"gives a tensor of shape \(10, 2\) for 2 images"),
        ("Complex", "gives complex64, not logits in floating point"),
        ("Whole", "gives int64, not logits in floating point"),
        ("Keywords", r"given \(2, 3, 8, 8\), failed: TypeError: Keywords.forward\(\) takes 1 positional argument"),
        ("TwoInputs", "missing 1 required positional argument: 'mask'"),
        ("OnlyInTraining", r"failed: RuntimeError: not in eval \(.*odd.py, line \d+\)"),
        ("Endless", r"failed: RecursionError: .* \(.*odd.py, line \d+\)"),
        ("Exits", r"failed: it called exit\(0\) \(.*odd.py, line \d+\)"),
        ("Größe", r"failed: ValueError: Größe \(.*odd.py, line \d+\)"),
        ("Missing", r"failed: KeyError: 'weights' \(.*odd.py, line \d+\)"),
        ("FourChannels", "to have 4 channels, but got 3 channels"),
        ("Deep", "Output size is too small"),
    ],
)
def test_what_cannot_be_used_is_one_line(batch, kind, message, role):
    with pytest.raises(BadInput, match=rf"^(network )?'?{role}'?[ ,].*{message}") as raised:
        distiller(getattr(odd, kind)(), batch, role)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fails", r"failed: KeyError: 'weights' \(.*odd.py, line \d+\)"),
        ("leaves", r"failed: it called exit\(0\) \(.*odd.py, line \d+\)"),
        ("of_two", r"failed: TypeError: of_two\(\) missing 2 required positional arguments"),
        ("a_class", "returned the class Base, which nobody has called, not a torch.nn.Module"),
        ("nothing", "returned nothing, not a torch.nn.Module"),
        ("several", "returned a list, not a torch.nn.Module"),
        ("without_weights", "has no weights: early.0.weight is on the meta device"),
    ],
)
def test_what_makes_no_network_is_one_line(name, message):
    with pytest.raises(BadInput, match=message) as raised:
        ps.networks.create(f"{FILE}:{name}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("spec", ["builtins:print", "builtins:input", "builtins:dict"])
def test_python_itself_has_no_networks(spec):
    with pytest.raises(BadInput, match="is of Python itself"):
        ps.networks.create(spec)


def test_a_module_that_is_there_already_is_copied():
    one, other = (ps.networks.create(f"{FILE}:ready") for _ in range(2))
    assert torch.equal(one.fc.weight, other.fc.weight)
    assert one.fc.weight is not other.fc.weight


def test_warnings_that_are_errors_name_their_line(batch):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(BadInput, match=r"UserWarning: careful \(.*odd.py, line \d+\)"):
            distiller(odd.Warns(), batch)


@pytest.mark.parametrize("kind", [torch.OutOfMemoryError, MemoryError, KeyboardInterrupt, RuntimeError])
def test_exhausted_memory_and_interrupts_are_nobodys_fault(kind):
    error = kind("can't allocate memory")

    class Raises(nn.Module):
        def forward(self, _):
            raise error

    with pytest.raises(kind) as raised:
        call(Raises(), "student", torch.zeros(1))
    assert raised.value is error


@pytest.mark.parametrize("kind", ["TrainGivesNothing", "InThread", "Loud", "Normed", "InPlace"])
def test_unusual_and_right(batch, kind):
    for role in ("student", "teacher"):
        made = distiller(getattr(odd, kind)(), batch, role)
        made(batch)[0].backward()


def test_what_a_network_prints_is_no_part_of_the_json(monkeypatch, capsys):
    monkeypatch.chdir(FILE.parent)
    assert main(["describe", "odd.py:Loud", "--input", "3", "8", "8", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["shapes"]["fc"] == [10]
    assert "hello" in err


def test_a_device_without_numbers(capsys):
    assert main(["describe", "resnet8", "--latency", "--device", "meta"]) == 2
    assert (
        capsys.readouterr().err
        == "potstill: --device meta: not on this machine; auto, cpu, cuda with a GPU, or mps on a Mac\n"
    )


def test_a_network_that_overwrites_its_images_gets_a_copy(batch):
    images = batch[0].clone()
    made = distiller(odd.InPlace(), batch, "teacher")
    made(batch)[0].backward()
    ps.evaluate(odd.InPlace(), [batch])
    assert torch.equal(batch[0], images)


def test_nothing_to_train(batch):
    with pytest.raises(BadInput, match="'CE student' trains nothing: .*'student' is frozen"):
        distiller(odd.Frozen(), batch)
    with pytest.raises(BadInput, match="'student' has no parameters"):
        distiller(nn.Sequential(nn.Flatten(), nn.AvgPool1d(19)), batch)


def test_one_module_of_two_names(batch):
    network = odd.Base()
    terms = [ps.Term(CE(), name, "labels") for name in ("a", "b")]
    with pytest.raises(BadInput, match="'a' and 'b' are one and the same module"):
        ps.Distiller({"a": network, "b": network}, terms, batch)


def test_lazy_layers_are_made_by_the_seed(batch):
    made = [distiller(odd.Lazy(), batch).networks["student"] for _ in range(2)]
    assert made[0].fc.weight.shape == (10, 288)
    assert torch.equal(made[0].fc.weight, made[1].fc.weight)
    with pytest.raises(BadInput, match="this Lazy has no weights yet"):
        ps.freeze(odd.Lazy())


# B9, B14 and constant or NaN teachers: named before the first step
@pytest.mark.parametrize(
    ("kind", "role", "said"),
    [
        ("Dropping", "student", "gives something else each time for the same images, in eval mode too"),
        ("Noisy", "teacher", "gives something else each time"),
        ("Probable", "student", "gives probabilities, not logits"),
        ("Probable", "teacher", "gives probabilities, not logits"),
        ("LogProbable", "teacher", "gives log-probabilities"),
        ("Bounded", "student", "gives values between 0 and 1, as a sigmoid does"),
        ("Constant", "teacher", "gives the same for different images"),
        ("Large", "teacher", r"gives values up to .*e\+1\d"),
    ],
)
def test_what_trains_without_a_word_is_said_once(batch, capsys, kind, role, said):
    network = getattr(odd, kind)()
    for _ in range(2):
        distiller(network, batch, role).close()
    ps.evaluate(network, [batch])
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert re.match(f"potstill: {role} {said}", lines[0])


@pytest.mark.parametrize("kind", ["Base", "Pair", "View", "Normed", "InThread"])
def test_of_sound_networks_nothing_is_said(batch, capsys, kind):
    for role in ("student", "teacher"):
        distiller(getattr(odd, kind)(), batch, role)
    assert capsys.readouterr().err == ""


def test_evaluating_says_it_too(batch, capsys):
    ps.evaluate(odd.Dropping(), [batch])
    assert "Giving gives something else each time" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "what"), [("Undefined", "values that are not finite"), ("Huge", r"values up to \S+e\+2\d")]
)
def test_a_teacher_without_sound_values_is_refused(batch, kind, what):
    with pytest.raises(BadInput, match=f"teacher cannot teach: 'teacher' has {what} on the first images"):
        distiller(getattr(odd, kind)(), batch, "teacher")


def test_a_teachers_maps_count_too(batch):
    teacher = odd.Base()
    teacher.late[0].weight.data *= 1e28
    networks = {"student": odd.Base(), "teacher": ps.freeze(teacher)}
    with pytest.raises(BadInput, match=r"teacher cannot teach: 'teacher.late.0' has values"):
        ps.Distiller(networks, [ps.Term(AT(), "student.late.0", "teacher.late.0")], batch)


def test_images_that_are_no_numbers_are_not_the_teachers_fault(batch):
    images = batch[0].clone()
    images[0, 0, 0, 0] = float("nan")
    with pytest.raises(BadInput, match="the batch's 'images' has values that are not finite"):
        distiller(odd.Base(), (images, batch[1]), "teacher")


def test_looking_changes_nothing(batch):
    network = odd.Normed()
    network.extra = nn.Dropout(0.5)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    random = torch.get_rng_state()
    distiller(network, batch)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


# C1: layouts
class Flattening(nn.Module):
    """A loss that takes maps for contiguous."""

    def forward(self, student, teacher):
        return (student.view(len(student), -1) - teacher.view(len(teacher), -1)).square().mean()


@pytest.mark.parametrize("role", ["student", "teacher"])
@pytest.mark.parametrize("kind", ["Base", "View", "ViewInTraining", "ViewInBackward"])
def test_a_network_that_cannot_be_channels_last_runs_contiguous(batch, capsys, kind, role):
    made = distiller(getattr(odd, kind)(), batch, role)
    network = made.networks[role]
    state, random = {key: value.clone() for key, value in made.state_dict(teachers=True).items()}, torch.get_rng_state()
    lay_out(made, batch)
    contiguous = kind == "View" or (kind != "Base" and role == "student")
    assert keeps_contiguous(network) == contiguous
    assert network.early[0].weight.is_contiguous(memory_format=torch.channels_last) != contiguous
    assert capsys.readouterr().err.count(f"{role} needs its maps contiguous") == contiguous
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, state[key]) for key, value in made.state_dict(teachers=True).items())
    made((batch[0].to(memory_format=torch.channels_last), batch[1]))[0].backward()


def test_losses_that_are_not_ours_get_contiguous_maps(batch):
    networks = {"student": ps.networks.create("resnet8"), "teacher": ps.freeze(ps.networks.create("resnet14"))}
    terms = [ps.Term(Flattening(), f"student.stage{i}", f"teacher.stage{i}") for i in (1, 2)]
    made = ps.Distiller(networks, terms, batch)
    lay_out(made, batch)
    made((batch[0].to(memory_format=torch.channels_last), batch[1]))[0].backward()


def test_evaluating_finds_the_layout_by_itself(batch, capsys):
    images = batch[0].to(memory_format=torch.channels_last)
    assert ps.evaluate(odd.View(), [(images, batch[1])])["n"] == 4
    assert "View needs its maps contiguous" in capsys.readouterr().err


def test_the_backward_pass_is_guarded_too(batch):
    from potstill.engine.epoch import train_step

    class Keeps(odd.Base):
        """Stores its graph: the second step would go through the first one's."""

        def forward(self, x):
            z = self.logits(x)
            if not self.training:
                return z
            self.last = z + getattr(self, "last", 0)
            return self.last

    made = distiller(Keeps(), batch)
    optimizer = torch.optim.SGD(made.parameters(), 0.1)
    entries = {"images": batch[0], "labels": batch[1]}
    train_step(made, entries, optimizer, optimizer.step, "fp32")
    with pytest.raises(BadInput, match="the backward pass failed: RuntimeError: Trying to backward"):
        train_step(made, entries, optimizer, optimizer.step, "fp32")


def test_a_loss_that_differentiates_twice_says_so_where_an_operation_cannot(batch):
    from potstill.engine.epoch import train_step

    networks = {
        "student": odd.giving(lambda z, x: 3 * z + nn.functional.hardsigmoid(z))(),
        "teacher": ps.freeze(ps.networks.create("resnet8", seed=0)),
    }
    made = ps.Distiller(networks, [ps.Term(Sobolev(), "student", "teacher", "labels", "images")], batch)
    optimizer = torch.optim.SGD(made.parameters(), 0.1)
    entries = {"images": batch[0], "labels": batch[1]}
    wanted = "the backward pass, for which 'Sobolev student' needs second derivatives of the network, failed: "
    with pytest.raises(BadInput, match=f"{wanted}RuntimeError: derivative for aten::hardsigmoid_backward"):
        train_step(made, entries, optimizer, optimizer.step, "fp32")
