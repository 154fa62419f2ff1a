"""What would end a run late is found before its first step: teachers, batches of one, what cannot be saved."""

import subprocess
from datetime import datetime, timedelta

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import potstill as ps
from potstill.batch import few_of
from potstill.cli import main
from potstill.data.batch_sizes import batch_sizes
from potstill.engine import description
from potstill.engine.description import describe_run
from potstill.engine.rehearsal import _compare
from potstill.errors import BadInput

DIGITS = "--data digits --images 33 --test-images 20 --batch-size 16 --epochs 1 --lr 0.05"


def every(name, value):
    def change(state):
        for key in state:
            if name in key:
                state[key].fill_(value)

    return change


def one_nan(state):
    state["fc.bias"][3] = float("nan")


BROKEN = {  # what happens to its weights, and what is said: of a number that is none, by whoever reads the file
    "nan": (every("weight", float("nan")), "teacher.safetensors is no use: its conv1.weight holds NaN"),
    "one nan": (one_nan, "teacher.safetensors is no use: its fc.bias holds NaN, 1 of 10 values"),
    "infinite": (every("fc.weight", float("inf")), "teacher.safetensors is no use: its fc.weight holds infinity"),
    "overflows": (every("fc.weight", 3e38), "not finite"),
    "negative variance": (every("running_var", -1.0), "not finite"),
    "constant": (every("fc.weight", 0.0), "the same for all"),
    "dead": (every("conv1.weight", 0.0), "the same for all"),
}
RECIPES = {
    "distill": "distill --student resnet8",
    "boundary": "boundary --student resnet8 --attack-from 0",
    "two-stage": "two-stage --student resnet8 --first-epochs 1",
    "factor-transfer": "factor-transfer --student resnet8 --paraphraser-epochs 1",
    "class-means": "class-means --student resnet8",
    "channel": "channel --student resnet8",
    "moonshine": "moonshine --conv G4B2",
}


EVERY = [*((one, "distill") for one in BROKEN), *(("negative variance", one) for one in RECIPES if one != "distill")]


@pytest.mark.parametrize(("broken", "recipe"), EVERY)
def test_b5_a_broken_teacher_is_named_before_the_first_step(broken, recipe, tmp_path, capsys):
    network = "wrn-10-1" if recipe == "moonshine" else "resnet8"
    state = ps.networks.create(network, seed=1).state_dict()
    change, message = BROKEN[broken]
    change(state)
    save_file(state, tmp_path / "teacher.safetensors")
    teacher = f"--teacher {network} --teacher-weights {tmp_path}/teacher.safetensors"
    assert main(f"{RECIPES[recipe]} {teacher} {DIGITS} --out {tmp_path}/run".split()) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert message in line
    assert line.startswith("potstill: teacher ") or "teacher.safetensors" in line
    assert not (tmp_path / "run").exists(), "nothing is written"


def own_data(images=None, batch=5, test=None):
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(15, 3, 8, 8, generator=generator) if images is None else images
    pairs = [(part, torch.arange(len(part)) % 3) for part in images.split(batch)]
    return ps.data.from_loaders(pairs, pairs[:1] if test is None else test, classes=3)


def fit(out, data, student, teacher=None, after_step=None):
    networks = {"student": student, **({} if teacher is None else {"teacher": ps.freeze(teacher)})}
    terms = ps.terms(["CE", *(["KD"] if teacher is not None else [])], networks)
    distiller = ps.Distiller(networks, terms, data.example())
    return ps.fit(distiller, data, ps.Training(epochs=1, lr=0.05, out=out, device="cpu"), after_step=after_step)


def test_b5_a_teacher_that_breaks_on_a_test_image_is_named_too(tmp_path):
    data = own_data(test=[(torch.full((4, 3, 8, 8), 3e38), torch.tensor([0, 1, 2, 0]))])
    with pytest.raises(BadInput, match="teacher is broken: its outputs for some of the test images are not finite"):
        fit(tmp_path / "run", data, ps.networks.create("resnet8", 3), ps.networks.create("resnet8", 3, seed=1))


def test_b5_images_that_are_not_finite_are_no_fault_of_the_teachers(tmp_path):
    data = own_data(torch.full((15, 3, 8, 8), float("nan")))
    with pytest.raises(BadInput, match="'images' has values that are not finite"):
        fit(tmp_path / "run", data, ps.networks.create("resnet8", 3), ps.networks.create("resnet8", 3, seed=1))


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 16])
@pytest.mark.parametrize("count", [1, 2, 3, 8, 15, 16, 17, 33])
def test_c4_no_last_batch_of_one(count, batch_size):
    sizes = batch_sizes(count, batch_size, merged=True)
    assert sum(sizes) == count
    assert batch_size == 1 or count == 1 or 1 not in sizes
    plain = batch_sizes(count, batch_size, merged=False)
    assert plain == [len(part) for part in torch.arange(count).split(batch_size)]
    assert sizes == plain or (plain[-1] == 1 and sizes == [*plain[:-2], batch_size + 1])


@pytest.mark.parametrize("workers", [None, "0", "2"])
def test_c4_a_network_that_cannot_train_on_one_image_trains(workers, tmp_path, picture_folder):
    """Batch norm on maps of one pixel; 17 images, then 13, in batches of 4."""
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "def net():\n"
        "    return nn.Sequential(nn.Conv2d(3, 4, 8), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, CLASSES))\n"
    )
    if workers is None:
        words = f"{DIGITS} --images 17 --batch-size 4"
    else:
        (picture_folder / "train" / "red" / "4.png").write_bytes(
            (picture_folder / "train" / "red" / "3.png").read_bytes()
        )
        words = f"--data {picture_folder} --image-size 8 --batch-size 4 --epochs 1 --workers {workers} --lr 0.05"
    file = tmp_path / "net.py"
    file.write_text(file.read_text().replace("CLASSES", "10" if workers is None else "3"))
    assert main([*f"supervised --network {file}:net {words} --out {tmp_path}/run".split()]) == 0


@pytest.mark.parametrize("workers", [0, 2])
def test_c4_an_image_that_skipping_leaves_alone_joins_the_next_batch(workers, picture_folder, capsys):
    training = ps.Training(
        str(picture_folder), batch_size=2, image_size=8, workers=workers, on_bad_image="skip", device="cpu"
    )
    files = sorted((picture_folder / "train").rglob("*.png"))
    order = torch.cat([batch["index"] for batch in training.load_data().train]).tolist()
    for bad in (order[2], order[-1]):  # in the second batch, and in the last, which nothing follows
        files[bad].write_bytes(b"no image")
    train = training.load_data().train
    batches = [batch["index"].tolist() for batch in train]
    assert [row for batch in batches for row in batch] == [*order[:2], *order[3:-2]]
    assert list(map(len, batches)) == [2, 3, 2, 2]
    assert f"{files[order[-2]]} is the only good image of its batch and is left out" in capsys.readouterr().err
    train.set_epoch(0)
    assert [batch["index"].tolist() for batch in train.from_batch(3)] == batches[2:], "what is taken, alone or not"


class Tensors(nn.Module):
    """Keeps more than parameters."""

    def __init__(self, extra):
        super().__init__()
        self.body, self.extra = nn.Sequential(nn.Flatten(), nn.Linear(192, 3)), extra

    def forward(self, images):
        return self.body(images)

    def get_extra_state(self):
        return self.extra

    def set_extra_state(self, state):
        self.extra = state


class Forgetful(Tensors):
    def set_extra_state(self, state):
        self.extra = state + 1


class Buffered(nn.Module):
    def __init__(self, value, in_double=False):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
        self.register_buffer("kept", value)
        self.in_double = in_double

    def forward(self, images):
        return self.body(images)


class Later(nn.Module):
    """What cannot be saved does not come first."""

    def __init__(self):
        super().__init__()
        self.body, self.last = nn.Sequential(nn.Flatten(), nn.Linear(192, 3)), nn.Identity()
        self.last.register_buffer("kept", torch.eye(3).to_sparse())

    def forward(self, images):
        return self.last(self.body(images))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Linear(192, 192)
        self.two = nn.Linear(192, 192)
        self.two.weight = self.one.weight
        self.fc = nn.Linear(192, 3)
        self.register_buffer("view", self.fc.bias.detach()[:2])

    def forward(self, images):
        return self.fc(self.two(self.one(images.flatten(1))))


def normed():
    with pytest.warns(FutureWarning):
        layer = nn.utils.weight_norm(nn.Linear(192, 3))
    return nn.Sequential(nn.Flatten(), layer)


class Complex(nn.Module):
    def __init__(self, dtype=torch.complex64):
        super().__init__()
        self.fc = nn.Linear(192, 3)
        self.phase = nn.Parameter(torch.ones(192, dtype=dtype))

    def forward(self, images):
        return self.fc((images.flatten(1) * self.phase).real.float())


class Double(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(192, 3).double()

    def forward(self, images):
        return self.fc(images.flatten(1).double())


C5 = {
    "extra state, a tensor": (lambda: Tensors(torch.ones(3)), None),
    "extra state, a dictionary": (lambda: Tensors({"scale": 2}), "keeps _extra_state, a dict, with its weights"),
    "extra state, nothing": (lambda: Tensors(None), "keeps _extra_state, a NoneType"),
    "extra state, a function": (lambda: Tensors(print), "keeps _extra_state"),
    "extra state that is not taken back": (lambda: Forgetful(torch.ones(3)), "student does not come back"),
    "old weight norm": (normed, None),
    "complex parameter": (Complex, None),
    "complex128": (lambda: Buffered(torch.ones(2, dtype=torch.complex128)), r"kept \(torch.complex128"),
    "double": (Double, None),
    "tied and overlapping": (Tied, None),
    "float8": (lambda: Buffered(torch.ones(2).to(torch.float8_e4m3fn)), None),
    "bool and int": (lambda: Buffered(torch.tensor([True])), None),
    "sparse": (lambda: Buffered(torch.eye(3).to_sparse()), r"hold kept \(torch.float32, torch.sparse_coo"),
    "sparse, and not the first": (Later, r"hold last.kept \(torch.float32, torch.sparse_coo"),
    "quantized": (lambda: Buffered(torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.quint8)), "kept"),
    "empty": (lambda: Buffered(torch.zeros(0, 3)), None),
    "not contiguous": (lambda: Buffered(torch.ones(3, 4).t()), None),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", C5)
def test_c5_what_cannot_be_saved_is_one_line_before_training(name, tmp_path):
    make, message = C5[name]
    student, trained = make(), []
    if message is None:
        fit(tmp_path / "run", own_data(), student, after_step=trained.append)
        assert {*load_file(tmp_path / "run" / "student.safetensors")} == {*student.state_dict()}
        assert trained
    else:
        with pytest.raises(BadInput, match=message) as refused:
            fit(tmp_path / "run", own_data(), student, after_step=trained.append)
        assert "\n" not in str(refused.value)
        assert not trained
        assert not (tmp_path / "run" / "last.ckpt").exists()


def test_a_look_ahead_takes_a_few_rows_of_what_has_rows():
    batch = {
        "images": torch.zeros(5, 3, 4, 4),
        "index": torch.arange(5),
        "classes": torch.zeros(3),
        "size": torch.tensor(9),
    }
    few = few_of({**batch, "labels": torch.arange(4)}, 2)  # of an image without a label, there is none
    assert {key: tuple(value.shape) for key, value in few.items()} == {
        "images": (2, 3, 4, 4),
        "labels": (2,),
        "index": (2,),
        "classes": (3,),
        "size": (),
    }


def test_what_comes_back_otherwise_is_named_by_its_place():
    before = {"a": [1, {"b": torch.zeros(2)}], "c": (2.0, "text")}
    _compare("the state", before, {"a": [1, {"b": torch.zeros(2)}], "c": (2.0, "text")})
    for after, place in (
        ({**before, "a": [1, {"b": torch.ones(2)}]}, "a.1.b"),
        ({**before, "a": [3, before["a"][1]]}, "a.0"),
        ({**before, "c": (2.0, "other")}, "c.1"),
        ({**before, "c": (2.0,)}, "c"),
    ):
        with pytest.raises(BadInput, match=f"^the state does not come back as it was saved: {place} differs$"):
            _compare("the state", before, after)
    with pytest.raises(BadInput, match="^the state does not come back as it was saved$"):
        _compare("the state", before, {"a": before["a"]})


class Unsaved(nn.Module):
    """Whose state cannot be had."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(12, 3)

    def forward(self, images, *_):
        return self.fc(images.flatten(1)) if images.dim() == 4 else images.square().mean()

    def get_extra_state(self):
        raise RuntimeError("no state today")

    def set_extra_state(self, state):
        pass


@pytest.mark.parametrize(("broken", "what"), [("network", "saving weights of student"), ("loss", "the losses' state")])
def test_what_cannot_be_saved_is_named(broken, what, tmp_path):
    data = ps.data.from_loaders([(torch.randn(4, 3, 2, 2), torch.tensor([0, 1, 2, 0]))], classes=3)
    whole = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    networks = {"student": Unsaved() if broken == "network" else whole}
    more = ps.Term(Unsaved() if broken == "loss" else lambda logits: logits.square().mean(), "student", name="more")
    distiller = ps.Distiller(networks, [*ps.terms(["CE"], networks), more], data.example())
    with pytest.raises(BadInput, match=f"{what}.*no state today"):
        ps.fit(distiller, data, ps.Training(epochs=1, out=tmp_path / "run", device="cpu"))


def test_a_run_says_on_how_many_threads_and_with_whose_losses_it_computes(tmp_path):
    networks = {"student": ps.networks.create("resnet8", 3)}
    data = ps.data.from_loaders([(torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 0]))], classes=3)
    distiller = ps.Distiller(networks, ps.terms(["CE"], networks), data.example())
    described = describe_run({}, ps.Training(), distiller, data, torch.device("cpu"))
    assert described["threads"] == torch.get_num_threads()
    assert described["losses"] == []


def test_a_segment_says_when_it_began_and_of_which_commit(tmp_path, monkeypatch):
    (tmp_path / "package").mkdir()
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run([*git, *words], check=True)
    monkeypatch.setattr(description, "__file__", str(tmp_path / "package/description.py"))
    monkeypatch.delenv("GIT_DIR", raising=False)
    segment = description.describe_segment(torch.device("cpu"))
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert segment["commit"] == head
    began = datetime.strptime(segment["date"], "%Y-%m-%d %H:%M:%S%z")
    assert abs(datetime.now(began.tzinfo) - began) < timedelta(minutes=5)


def small_run(tmp_path, loss):
    data = ps.data.from_loaders([(torch.randn(4, 3, 2, 2), torch.tensor([0, 1, 2, 0]))], classes=3)
    networks = {"student": nn.Sequential(nn.Flatten(), nn.Linear(12, 3))}
    terms = [*ps.terms(["CE"], networks), ps.Term(loss, "student", name="more")]
    distiller = ps.Distiller(networks, terms, data.example())
    ps.fit(distiller, data, ps.Training(epochs=1, out=tmp_path / "run", device="cpu"))


def test_a_loss_whose_state_is_another_one_after_a_restart_is_named(tmp_path):
    class Elsewhere(Unsaved):
        def get_extra_state(self):
            return float("nan")  # which is not equal to itself

    with pytest.raises(BadInput, match="^the losses' state does not come back as it was saved"):
        small_run(tmp_path, Elsewhere())


def test_costs_that_cannot_be_counted_are_said_to_be_so(tmp_path, monkeypatch):
    def fails(*_):
        raise RuntimeError("no counter")

    monkeypatch.setattr("potstill.engine.rehearsal.costs_of", fails)
    with pytest.raises(BadInput, match="counting what the networks cost.*no counter"):
        small_run(tmp_path, lambda logits: logits.square().mean())
